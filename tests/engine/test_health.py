"""What is a stalled stream, and when is it subscribed again: the decisions alone, at instants that the test chooses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tradeshell.core.data_events import (
    BarStreamCompetingSessionBlocked,
    BarStreamCompetingSessionCleared,
    BarStreamRecovered,
    BarStreamRecoveryFailed,
    BarStreamRecoveryScanScheduled,
    BarStreamRecoveryStarted,
    BarStreamStalled,
)
from tradeshell.core.events import Event, Weight
from tradeshell.engine import health
from tradeshell.engine.health import Board, Seen, Verdict
from tradeshell.upkeep import BarHealthSettings, StreamKey, StreamNews, StreamWord

OPEN = datetime(2025, 7, 8, 13, 30, tzinfo=UTC)
AAPL: StreamKey = ("AAPL", 60, True)
HEAL = BarHealthSettings(self_heal_enabled=True)


def at(seconds: float) -> datetime:
    """Return the instant ``seconds`` after the open."""
    return OPEN + timedelta(seconds=seconds)


def seen(heard: float | None = 0.0, key: StreamKey = AAPL, **more: Any) -> Seen:
    """Return a stream that was subscribed at the open and last heard ``heard`` seconds after it."""
    return Seen(
        **{
            "key": key,
            "since": OPEN,
            "heard_at": None if heard is None else at(heard),
            "due_since": OPEN,
            "watches": (f"br-{key[0].lower()}",),
            **more,
        }
    )


class Ward:
    """Streams under observation: what a look decides is kept for the next one."""

    def __init__(self, settings: BarHealthSettings = HEAL) -> None:
        self.settings = settings
        self.board = Board()
        self.told: list[tuple[float, Event]] = []
        self.renewed: list[tuple[float, str]] = []
        self.link_up = True

    def look(self, seconds: float, *streams: Seen, data_at: float | None = None) -> Verdict:
        """Look ``seconds`` after the open."""
        verdict = health.look(
            self.board,
            streams or (seen(),),
            at(seconds),
            self.settings,
            link_up=self.link_up,
            data_at=None if data_at is None else at(data_at),
        )
        self.board = verdict.board
        self.told += [(seconds, event) for event in verdict.events]
        self.renewed += [(seconds, key[0]) for key in verdict.renew]
        return verdict

    def watch(self, begin: float, end: float, *streams: Seen) -> None:
        """Look as often as the looks ask for, from ``begin`` up to ``end``."""
        now = begin
        while now <= end:
            verdict = self.look(now, *streams)
            assert verdict.look_at is not None
            assert verdict.look_at > at(now)
            now = (verdict.look_at - OPEN).total_seconds()

    def hear(self, when: float, word: StreamWord, **more: Any) -> None:
        """Let the broker say something."""
        news = StreamNews(word=word, **more)
        self.board, events = health.hear(self.board, news, at(when))
        self.told += [(when, event) for event in events]

    def link(self, seconds: float, *, up: bool) -> None:
        """Let the link change."""
        self.link_up = up
        self.board, events = health.link_changed(self.board, at(seconds), up=up)
        self.told += [(seconds, event) for event in events]

    def of(self, kind: type[Event]) -> list[tuple[float, Any]]:
        """Return what was told of one kind, with when."""
        return [(when, event) for when, event in self.told if type(event) is kind]

    def names(self) -> list[str]:
        """Return the names of everything told."""
        return [type(event).__name__ for _, event in self.told]


# --- stalled ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seconds, multiplier, floor, limit", [(60, 3, 30, 180), (5, 3, 30, 30), (60, 1, 0, 60), (1, 1, 0, 1)]
)
def test_a_stream_may_be_silent_for_some_lengths_of_its_bars_and_never_less_than_the_floor(
    seconds: int, multiplier: float, floor: float, limit: float
) -> None:
    settings = BarHealthSettings(stall_multiplier=multiplier, stall_floor_secs=floor)
    ward = Ward(settings)
    stream = seen(0, ("AAPL", seconds, True))
    ward.look(limit - 0.001, stream)
    assert ward.told == []
    ward.look(limit, stream)
    ((_, event),) = ward.of(BarStreamStalled)
    assert (event.symbol, event.silent, event.limit) == ("AAPL", limit, limit)
    assert event.how() is Weight.ALARM


def test_a_stall_is_told_once_and_names_who_is_blind() -> None:
    ward = Ward(BarHealthSettings())
    ward.watch(0, 1000)
    ((when, event),) = ward.of(BarStreamStalled)
    assert when == 180
    assert len(ward.told) == 1
    assert event.watches == ("br-aapl",)
    assert "blind: br-aapl" in (event.story() or "")


def test_a_stream_that_never_spoke_is_measured_from_its_subscription() -> None:
    ward = Ward()
    ward.look(100, seen(None, since=at(50)))
    ward.look(229, seen(None, since=at(50)))
    assert ward.told == []
    ward.look(230, seen(None, since=at(50)))
    assert ward.names()[0] == "BarStreamStalled"


def test_silence_before_the_hours_begin_does_not_count() -> None:
    ward = Ward()
    early: dict[str, Any] = {"since": at(-7200), "heard_at": None}
    ward.look(-10, seen(**early, due_since=None))
    ward.look(179, seen(**early))
    assert ward.told == []
    ward.look(180, seen(**early))
    assert ward.names()[0] == "BarStreamStalled"


@pytest.mark.parametrize("seconds", [600.0, 3600.0])
def test_outside_its_hours_and_while_it_is_halted_no_stream_stalls(seconds: float) -> None:
    ward = Ward()
    ward.watch(0, seconds, seen(0, due_since=None))
    assert ward.told == []
    assert ward.renewed == []


def test_after_a_halt_the_silence_counts_from_its_end() -> None:
    ward = Ward()
    ward.look(100, seen(60))
    ward.look(590, seen(60, due_since=None))
    ward.look(600, seen(60))
    ward.look(769, seen(60))
    assert ward.told == []
    ward.look(770, seen(60))
    assert ward.names()[0] == "BarStreamStalled"


def test_without_a_link_no_stream_stalls_and_silence_counts_from_the_new_link() -> None:
    ward = Ward()
    ward.look(60)
    ward.link(90, up=False)
    ward.watch(90, 900)
    ward.link(900, up=True)
    ward.look(1079)
    assert ward.told == []
    ward.look(1080)
    assert ward.names()[0] == "BarStreamStalled"


def test_a_stream_that_the_broker_ends_is_stalled_at_once_in_the_brokers_words() -> None:
    ward = Ward()
    ward.look(1)
    ward.hear(70, StreamWord.BROKEN, symbol="AAPL", seconds=60, rth=True, code=10182, text="disconnected.")
    ward.look(70, seen(60))
    ((_, event),) = ward.of(BarStreamStalled)
    assert (event.code, event.reason) == (10182, "disconnected.")
    assert "disconnected. (10182)" in (event.story() or "")


def test_news_of_another_stream_or_older_than_its_last_bar_breaks_nothing() -> None:
    ward = Ward()
    ward.look(1)
    ward.hear(70, StreamWord.BROKEN, symbol="AAPL", seconds=5, rth=True)
    ward.hear(70, StreamWord.BROKEN, symbol="MSFT")
    ward.look(70, seen(60))
    ward.hear(80, StreamWord.BROKEN, symbol="AAPL")
    ward.look(90, seen(85))
    assert ward.told == []


def test_a_stream_that_nobody_watches_any_more_is_forgotten() -> None:
    ward = Ward()
    ward.look(180)
    assert ward.look(185, seen(184, ("MSFT", 60, True))).board.streams.keys() == {("MSFT", 60, True)}


# --- recovered --------------------------------------------------------------------------------------------------------


def test_a_stream_that_comes_back_by_itself_is_well_again_and_a_recovery_that_was_due_is_not_begun() -> None:
    ward = Ward()
    ward.look(180)
    ward.look(184, seen(183))
    ward.watch(185, 300, seen(183))
    ((_, event),) = ward.of(BarStreamRecovered)
    assert (event.by, event.silent, event.attempts) == ("self", 183, 0)
    assert ward.renewed == []


@pytest.mark.parametrize("heard, missed", [(60, 0), (61, 1), (120, 1), (300, 4), (270, 4)])
def test_a_recovery_says_how_many_bars_are_missed_at_most(heard: float, missed: int) -> None:
    ward = Ward(BarHealthSettings(stall_multiplier=1, stall_floor_secs=0))
    ward.look(60)
    ward.look(heard, seen(heard))
    ((_, event),) = ward.of(BarStreamRecovered)
    assert event.missed == missed


def test_after_a_recovery_a_stream_may_stall_again() -> None:
    ward = Ward()
    ward.look(180)
    ward.look(200, seen(200))
    ward.look(380, seen(200))
    assert [when for when, _ in ward.of(BarStreamStalled)] == [180, 380]


# --- healing ----------------------------------------------------------------------------------------------------------


def test_without_self_healing_nothing_is_ever_subscribed_again() -> None:
    ward = Ward(BarHealthSettings())
    ward.watch(0, 4000)
    assert ward.renewed == []
    assert ward.names() == ["BarStreamStalled"]


@pytest.mark.parametrize("burst, begins", [(1, 180), (2, 185), (4, 195)])
def test_a_stream_is_subscribed_again_after_so_many_stalled_looks_in_a_row(burst: int, begins: float) -> None:
    ward = Ward(replace(HEAL, recovery_stall_burst_count=burst))
    ward.watch(0, 200)
    assert ward.renewed == [(begins, "AAPL")]
    assert [event.attempt for _, event in ward.of(BarStreamRecoveryStarted)] == [1]


def test_a_stream_that_the_broker_ended_waits_for_one_look_only() -> None:
    ward = Ward(replace(HEAL, recovery_stall_burst_count=10))
    ward.look(61, seen(60))
    ward.hear(70, StreamWord.BROKEN, symbol="AAPL")
    ward.watch(70, 90, seen(60))
    assert ward.renewed == [(75, "AAPL")]


def test_data_after_an_attempt_ends_it_well() -> None:
    ward = Ward()
    ward.watch(0, 185)
    ward.look(240, seen(240))
    ((_, event),) = ward.of(BarStreamRecovered)
    assert (event.by, event.attempts) == ("resubscription", 1)
    ward.watch(241, 400, seen(240))
    assert ward.of(BarStreamRecoveryFailed) == []


def test_attempts_that_bring_nothing_are_repeated_ever_more_rarely_and_then_given_up_with_an_alarm() -> None:
    ward = Ward()
    ward.watch(0, 10_000)
    begins = [when for when, _ in ward.renewed]
    assert len(begins) == 5
    gaps = [after - before for before, after in pairwise(begins)]
    # A verdict on minute bars takes 65 s, the cool-down is 60 s and doubles.
    assert gaps == [65, 120, 240, 480]
    failed = [event for _, event in ward.of(BarStreamRecoveryFailed)]
    assert [event.attempt for event in failed] == [1, 2, 3, 4, 5]
    assert [event.how() for event in failed] == [Weight.BAD] * 4 + [Weight.ALARM]
    assert "given up" in (failed[-1].story() or "")
    (blind,) = health.blind(ward.board, (seen(),))
    assert (blind.state, blind.since) == ("given up", OPEN)


def test_a_refused_attempt_fails_at_once_and_the_cool_down_holds_all_the_same() -> None:
    ward = Ward()
    ward.watch(0, 185)
    ward.hear(186, StreamWord.BROKEN, symbol="AAPL", code=162, text="pacing violation")
    ward.watch(186, 400)
    (when, event), *_ = ward.of(BarStreamRecoveryFailed)
    assert (when, event.reason, event.again_at) == (186, "pacing violation (162)", at(245))
    assert [begin for begin, _ in ward.renewed] == [185, 245, 365]


def test_what_was_given_up_is_tried_again_when_the_link_changes() -> None:
    ward = Ward(replace(HEAL, recovery_max_attempts=1))
    ward.watch(0, 1000)
    assert len(ward.renewed) == 1
    ward.link(1000, up=False)
    ward.watch(1000, 1060)
    ward.link(1100, up=True)
    ward.watch(1100, 1200)
    assert ward.renewed[1:] == [(1110, "AAPL")]
    assert len(ward.of(BarStreamStalled)) == 1


def test_a_stream_that_comes_back_with_the_link_is_not_subscribed_twice() -> None:
    ward = Ward()
    ward.look(180)
    ward.link(182, up=False)
    ward.link(400, up=True)
    ward.look(400)
    ward.look(405, seen(404))
    ward.watch(406, 500, seen(404))
    assert ward.renewed == []
    assert ward.names().count("BarStreamRecovered") == 1


def thirty(heard: float | None = 0.0) -> list[Seen]:
    """Return thirty streams; the higher the number, the nearer the level."""
    return [
        seen(heard, (f"S{n:02}", 60, True), urgency=partial(tuple, (1.0, (30 - n) / 100))) for n in range(30)
    ]


def test_thirty_streams_that_stall_at_once_are_healed_one_after_the_other_the_nearest_level_first() -> None:
    ward = Ward()
    heard: dict[str, float] = {}
    now = 0.0
    while now < 1500 and len(heard) < 30:
        streams = [replace(each, heard_at=at(heard.get(each.key[0], 0.0))) for each in thirty()]
        verdict = ward.look(now, *streams)
        for _, symbol in ward.renewed[len(heard) :]:
            heard[symbol] = now + 2.0  # each comes back two seconds after its new subscription
        assert verdict.look_at is not None
        now = (verdict.look_at - OPEN).total_seconds()
    order = [symbol for _, symbol in ward.renewed]
    assert order == [f"S{n:02}" for n in reversed(range(30))]
    begins = [when for when, _ in ward.renewed]
    assert all(after - before >= 2.0 for before, after in pairwise(begins))
    assert begins[-1] - 180 <= 600  # all of them within ten minutes
    assert len(ward.of(BarStreamStalled)) == 30


def test_streams_with_working_orders_come_before_those_near_their_level() -> None:
    ward = Ward(replace(HEAL, recovery_stall_burst_count=1))
    near = seen(0, ("NEAR", 60, True), urgency=lambda: (1.0, 0.0))
    held = seen(0, ("HELD", 60, True), urgency=lambda: (0.0, 0.5))
    ward.look(180, near, held)
    assert ward.renewed == [(180, "HELD")]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_never_more_attempts_begin_at_a_time_than_allowed(concurrency: int) -> None:
    ward = Ward(replace(HEAL, recovery_max_concurrency=concurrency))
    ward.watch(0, 400, *thirty())
    for begin, _ in ward.renewed:
        assert sum(begin <= other < begin + health.SLOT for other, _ in ward.renewed) <= concurrency


def test_while_streams_wait_the_next_scan_is_told_and_comes_when_it_was_told() -> None:
    ward = Ward()
    ward.watch(0, 300, *thirty())
    scans = ward.of(BarStreamRecoveryScanScheduled)
    first = BarStreamRecoveryScanScheduled(next_at=at(185), waiting=30)
    assert [event for _, event in scans][:1] == [first]
    assert [event.waiting for _, event in scans][:3] == [30, 29, 28]
    begins = {begin for begin, _ in ward.renewed}
    assert {
        (event.next_at - OPEN).total_seconds() for _, event in scans if event.next_at <= at(300)
    } <= begins


# --- another session of the login -------------------------------------------------------------------------------------


def test_while_another_session_has_the_data_nothing_is_asked_for_however_long_it_takes() -> None:
    ward = Ward()
    ward.look(1)
    for seconds in (100, 200, 300):
        ward.hear(
            seconds, StreamWord.BLOCKED, code=10197, text="No market data during competing live session"
        )
        ward.watch(seconds, seconds + 99)
    ward.watch(400, 20_000)
    assert ward.renewed == []
    assert len(ward.of(BarStreamCompetingSessionBlocked)) == 1
    (blind,) = health.blind(ward.board, (seen(),))
    assert blind.state == "blocked"


def test_data_that_comes_again_shows_that_the_other_session_has_let_go_and_healing_goes_on() -> None:
    ward = Ward()
    ward.look(1)
    ward.hear(100, StreamWord.BLOCKED, code=10197, text="competing")
    ward.watch(100, 300)
    ward.look(301, data_at=301)
    ((_, event),) = ward.of(BarStreamCompetingSessionCleared)
    assert (event.by, event.blocked) == ("data", 201)
    assert ward.renewed == [(301, "AAPL")]


def test_data_that_was_under_way_when_the_other_session_came_shows_nothing() -> None:
    ward = Ward()
    ward.look(1)
    ward.hear(100, StreamWord.BLOCKED, code=10197, text="competing")
    ward.look(101, seen(100.5), data_at=101)
    assert ward.board.blocked_at == at(100)
    ward.hear(110, StreamWord.BLOCKED, code=10197, text="competing")
    ward.look(111, data_at=108)
    assert ward.board.blocked_at == at(110)


@pytest.mark.parametrize("by", ["broker", "link"])
def test_the_brokers_word_and_a_new_link_end_a_block_too(by: str) -> None:
    ends: dict[str, Callable[[Ward], None]] = {
        "broker": lambda ward: ward.hear(300, StreamWord.CLEARED),
        "link": lambda ward: ward.link(300, up=True),
    }
    ward = Ward()
    ward.look(1)
    ward.hear(100, StreamWord.BLOCKED, symbol="AAPL", code=10197, text="competing")
    ward.look(100)
    ends[by](ward)
    assert [event.by for _, event in ward.of(BarStreamCompetingSessionCleared)] == [by]
    ward.watch(300, 320)
    assert len(ward.renewed) == 1


def test_a_block_of_one_symbol_says_at_once_that_its_stream_is_stalled() -> None:
    ward = Ward()
    ward.look(1)
    ward.hear(70, StreamWord.BLOCKED, symbol="AAPL", code=10197, text="competing")
    ward.look(70, seen(60), seen(60, ("MSFT", 60, True)))
    assert [event.symbol for _, event in ward.of(BarStreamStalled)] == ["AAPL"]


# --- for any story ----------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([1.0, 5.0, 31.0, 65.0, 200.0])),
        st.tuples(st.just("heard"), st.sampled_from(["A", "B", "C"])),
        st.tuples(
            st.just("news"), st.sampled_from([(word, s) for word in StreamWord for s in ("A", "B", None)])
        ),
        st.tuples(st.just("link"), st.booleans()),
        st.tuples(st.just("due"), st.booleans()),
    ),
    max_size=40,
)


@given(STEPS, st.integers(1, 3), st.integers(1, 3))
def test_whatever_happens_stalls_and_recoveries_alternate_and_the_caps_hold(
    steps: list[tuple[str, Any]], attempts: int, concurrency: int
) -> None:
    ward = Ward(replace(HEAL, recovery_max_attempts=attempts, recovery_max_concurrency=concurrency))
    now, due = 0.0, True
    heard = dict.fromkeys("ABC", 0.0)
    for what, value in steps:
        if what == "wait":
            now += value
        elif what == "heard":
            heard[value] = now
        elif what == "news":
            ward.hear(now, value[0], symbol=value[1])
        elif what == "link":
            ward.link(now, up=value)
        else:
            due = value
        streams = [seen(heard[s], (s, 60, True), due_since=OPEN if due else None) for s in "ABC"]
        verdict = ward.look(now, *streams)
        assert verdict.look_at is not None
        assert verdict.look_at > at(now)
        if verdict.renew:
            assert ward.link_up
            assert due
            assert ward.board.blocked_at is None
        again = health.look(ward.board, streams, at(now), ward.settings, link_up=ward.link_up)
        assert (again.events, again.renew) == ((), ())  # a second look at the same instant finds nothing more
        now += 0.5
    for symbol in "ABC":
        mine = [
            e
            for _, e in ward.told
            if e.symbol == symbol and isinstance(e, BarStreamStalled | BarStreamRecovered)
        ]
        kinds = [type(event) for event in mine]
        assert all(a is not b for a, b in pairwise(kinds))
        assert not kinds or kinds[0] is BarStreamStalled
    assert all(e.attempt <= attempts for _, e in ward.of(BarStreamRecoveryStarted))
