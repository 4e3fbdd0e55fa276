"""When a watcher looks: from and until a time of day in New York, on one day or several, over nights and restarts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import AAPL, ACCOUNT, OPEN, SESSION, Desktop, bar

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import Watcher, WatchPhase
from tradeshell.core.market import Session
from tradeshell.core.resume_events import WatchDayBegan, WatchHeld, WatchRests, WatchResumed
from tradeshell.core.window import Window, window
from tradeshell.errors import OperatorError
from tradeshell_breakout.events import BreakoutStarted, BreakoutStopped

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
TEN, ELEVEN = OPEN + 30 * MINUTE, OPEN + 90 * MINUTE
BETWEEN = {"after": "10:00", "until": "11:00"}
THREE = {"days": "3"}


def session(days: int) -> Session:
    """Return the hours of a later day."""
    return Session(**{name: getattr(SESSION, name) + days * DAY for name in SESSION.__struct_fields__})


def armed(words: Mapping[str, str], **more: Any) -> Desktop:
    desk = Desktop()
    desk.watch(words=words, **more)
    return desk


def watcher(desk: Desktop) -> Watcher:
    return desk.desk.watchers["br-1"]


def closes_at(desk: Desktop, end: datetime, close: str = "190.12") -> None:
    """Let a minute close."""
    desk.at = max(desk.at, end)
    desk.do(i.BarClosed, bar=replace(bar(0, close), start=end - MINUTE), rth=True)


def timers(desk: Desktop) -> dict[str, datetime]:
    return {timer.key: timer.at for timer in desk.sent(c.SetTimer)}


def fires(desk: Desktop, kind: str, at: datetime | None = None) -> None:
    desk.at = desk.at if at is None else max(desk.at, at)
    desk.do(i.TimerFired, key=f"{kind}:br-1")


def night(desk: Desktop, hours: Session | None, at: datetime) -> None:
    """Let the question for the next day's hours be asked and answered."""
    fires(desk, "day", at)
    assert [ask.key for ask in desk.sent(c.AskQuote)] == ["day:br-1"]
    desk.answer(None, key="day:br-1", session=hours)


# --- times of day -----------------------------------------------------------------------------------------------------


def test_a_window_is_part_of_the_sessions_day() -> None:
    ten, three = time(10), time(15)
    assert window(SESSION, None, None, False) == Window(None, SESSION.close)
    assert window(SESSION, ten, three, False) == Window(TEN, datetime(2025, 7, 8, 19, 0, tzinfo=UTC))
    half = replace(SESSION, close=OPEN + timedelta(hours=3, minutes=30))
    assert window(half, None, three, False).ends == half.close
    assert window(half, None, None, True).ends == SESSION.extended_close


@pytest.mark.parametrize(
    "end, counts",
    [
        (TEN - MINUTE, False),
        (TEN, False),
        (TEN + MINUTE, True),
        (ELEVEN, True),
        (ELEVEN + timedelta(seconds=1), False),
        (ELEVEN + MINUTE, False),
    ],
)
def test_bars_count_that_close_between_the_two_times(end: datetime, counts: bool) -> None:
    desk = armed(BETWEEN)
    closes_at(desk, end)
    assert watcher(desk).fired is counts


def test_the_start_tells_the_times_and_the_watcher_ends_with_them() -> None:
    desk = armed(BETWEEN)
    (started,) = desk.told(BreakoutStarted)
    assert "watching 1m closes ≥ 190.00 from 10:00 until 11:00" in str(started.story())
    assert timers(desk)["close:br-1"] == ELEVEN + timedelta(seconds=1)
    assert watcher(desk).started_at == TEN
    fires(desk, "close", ELEVEN + timedelta(seconds=1))
    (stopped,) = desk.told(BreakoutStopped)
    assert stopped.reason == "until"
    assert stopped.story() == "br-1 · its time of day is over, the level was not broken"
    fires(desk, "close")
    fires(desk, "day")
    assert desk.last == ()


def test_without_times_it_ends_with_the_session() -> None:
    desk = armed({})
    assert timers(desk)["close:br-1"] == SESSION.close + timedelta(seconds=1)
    fires(desk, "close", SESSION.close + timedelta(seconds=1))
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["session_end"]


def test_a_watcher_without_known_hours_looks_as_long_as_it_lives() -> None:
    desk = Desktop()
    desk.watch()
    spec = replace(watcher(desk).spec, id="br-2", session=None)
    desk.do(i.WatchRequested, watch=spec)
    assert "close:br-2" not in timers(desk)
    fires(desk, "close")
    desk.do(i.TimerFired, key="close:br-2")
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["session_end"]


def test_it_never_looks_longer_than_to_the_time_by_which_its_trade_is_closed() -> None:
    desk = armed({"until": "15:00"}, flat_by=time(11))
    assert watcher(desk).ends_at == ELEVEN
    closes_at(desk, ELEVEN + MINUTE)
    assert not watcher(desk).fired


@pytest.mark.parametrize(
    "words, more, at, said",
    [
        ({"until": "11:00"}, {}, ELEVEN, "would end at 11:00 New York (until, flat_by or the close), and it is 11:00"),
        ({"after": "15:00"}, {"half": True}, OPEN, "after=15:00: the watcher would end before, at 13:00 New York"),
        ({}, {"flat_by": "15:55", "half": True}, OPEN, "nothing can be sold then, the hours of its orders end at 13:00"),
        ({}, {"flat_by": "16:00"}, OPEN, "example: flat_by=15:55"),
        ({}, {"flat_by": "09:31"}, OPEN + MINUTE, "would end at 09:31"),
    ],
)  # fmt: skip
def test_times_that_leave_nothing_are_refused_with_the_word_and_an_example(
    words: dict[str, str], more: dict[str, Any], at: datetime, said: str
) -> None:
    desk = Desktop()
    desk.watch("br-0")
    desk.at = at
    spec = replace(watcher_of(desk, "br-0").spec, id="br-1")
    if more.pop("half", False):
        spec = replace(spec, session=replace(SESSION, close=OPEN + timedelta(hours=3, minutes=30)))
    if "flat_by" in more:
        spec = replace(spec, plan=replace(spec.plan, flat_by=time.fromisoformat(more["flat_by"])))
    spec = replace(spec, params={**spec.params, **words})
    with pytest.raises(OperatorError) as refused:
        desk.do(i.WatchRequested, watch=spec)
    assert said in str(refused.value)
    assert "br-1" not in desk.desk.watchers


def watcher_of(desk: Desktop, id_: str) -> Watcher:
    return desk.desk.watchers[id_]


# --- several days -----------------------------------------------------------------------------------------------------


def test_a_watcher_of_three_days_rests_at_night_and_enters_on_the_third() -> None:
    desk = armed(THREE)
    assert "on 3 days" in str(desk.told(BreakoutStarted)[0].story())
    for number in (1, 2):
        close = session(number - 1).close + timedelta(seconds=1)
        fires(desk, "close", close)
        (rests,) = desk.told(WatchRests)
        assert (rests.label(), rests.day, rests.days) == ("rests", number, 3)
        assert f"day {number} of 3 is over, the level 190.00 was not broken" in str(rests.story())
        assert timers(desk) == {"day:br-1": close + timedelta(minutes=30)}
        closes_at(desk, close + MINUTE)
        assert not watcher(desk).fired
        night(desk, session(number - 1), close + timedelta(hours=1))  # before midnight: the same day's hours
        assert timers(desk) == {"day:br-1": desk.at + timedelta(minutes=30)}
        night(desk, session(number), OPEN + number * DAY - timedelta(hours=9))
        (began,) = desk.told(WatchDayBegan)
        assert (began.label(), began.day, began.since) == ("watches", number + 1, session(number).open)
        assert f"day {number + 1} of 3 for closes ≥ 190.00 from 09:30" in str(began.story())
        assert timers(desk) == {"close:br-1": session(number).close + timedelta(seconds=1)}
    closes_at(desk, OPEN + 2 * DAY + 5 * MINUTE)
    assert watcher(desk).fired
    assert desk.sent(c.UnwatchBars) != []


def test_the_last_of_its_days_ends_it() -> None:
    desk = armed({"days": "2", **BETWEEN})
    fires(desk, "close", ELEVEN)
    night(desk, session(1), OPEN + DAY - timedelta(hours=9))
    assert desk.told(WatchDayBegan)[0].since == TEN + DAY
    closes_at(desk, TEN + DAY)
    assert not watcher(desk).fired
    fires(desk, "close", ELEVEN + DAY)
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["until"]


def test_over_a_weekend_it_asks_until_there_is_a_session() -> None:
    desk = armed(THREE)
    fires(desk, "close", SESSION.close)
    night(desk, None, OPEN + DAY)
    assert timers(desk) == {"day:br-1": OPEN + DAY + timedelta(minutes=30)}
    desk.do(i.WatchCancelRequested, watch="br-1")
    desk.answer(None, key="day:br-1", session=session(3))
    assert desk.last == ()


# --- restarts ---------------------------------------------------------------------------------------------------------


def restarted(desk: Desktop, at: datetime, hours: Session | None, **more: Any) -> None:
    """Start the program again at ``at``, and let it look at the watcher."""
    desk.at = at
    desk.do(i.Restarted)
    desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
    epoch = desk.desk.link.epoch
    desk.do(i.SnapshotAnswered, epoch=epoch, asked_at=at, orders=(), executions=(), positions=())
    found = i.Meanwhile(instrument=AAPL, session=hours, **more)
    desk.do(i.ResumeRequested, watch="br-1", found=found, can_ask=True)


@pytest.mark.parametrize(
    "at, hours, day, rests",
    [
        (OPEN + 5 * MINUTE, SESSION, 1, False),
        (SESSION.close + timedelta(hours=1), SESSION, 1, True),
        (OPEN + DAY + MINUTE, session(1), 2, False),
        (OPEN + 4 * DAY, None, 1, True),
        (OPEN + 7 * DAY, session(7), 2, False),
        (session(1).close + MINUTE, session(1), 2, True),
    ],
)
def test_after_a_restart_a_watcher_of_several_days_goes_on_with_the_day_that_it_is(
    at: datetime, hours: Session | None, day: int, rests: bool
) -> None:
    desk = armed(THREE)
    restarted(desk, at, hours)
    assert len(desk.told(WatchResumed)) == 1
    assert watcher(desk).phase is WatchPhase.ARMED
    assert watcher(desk).day == day
    closes_at(desk, at + MINUTE)
    assert watcher(desk).fired is not rests
    if rests:
        fires(desk, "close")
        assert [(event.day, event.days) for event in desk.told(WatchRests)] == [(day, 3)]


def test_after_a_restart_it_looks_between_its_times_again() -> None:
    desk = armed(BETWEEN)
    restarted(desk, OPEN + 5 * MINUTE, SESSION)
    closes_at(desk, TEN)
    assert not watcher(desk).fired
    closes_at(desk, TEN + MINUTE)
    assert watcher(desk).fired


@pytest.mark.parametrize(
    "words, at, hours, reason",
    [
        (BETWEEN, ELEVEN, SESSION, "no_session"),
        ({"days": "2"}, session(1).close, session(1), "no_session"),
        ({}, OPEN + DAY, session(1), "session_over"),
        ({}, SESSION.close, SESSION, "no_session"),
        ({}, OPEN + 4 * DAY, None, "no_session"),
    ],
)
def test_one_whose_last_day_is_over_is_asked_about(
    words: dict[str, str], at: datetime, hours: Session | None, reason: str
) -> None:
    desk = armed(words)
    restarted(desk, at, hours)
    assert [event.reason for event in desk.told(WatchHeld)] == [reason]


def test_a_day_beyond_its_last_one_is_a_doubt() -> None:
    desk = armed({"days": "2"})
    restarted(desk, OPEN + DAY, session(1))
    restarted(desk, OPEN + 2 * DAY, session(2))
    assert [event.reason for event in desk.told(WatchHeld)] == ["session_over"]


def test_the_day_is_kept_by_a_state_file_without_a_journal() -> None:
    desk = armed(THREE)
    spec = watcher(desk).spec
    other = Desktop()
    other.do(i.WatchRestored, watch=spec, started_at=OPEN, doubt="no journal", day=3)
    assert watcher(other).day == 3
