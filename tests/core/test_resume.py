"""Watchers that an earlier life left waiting: what speaks against arming them, and what becomes of them then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import AAPL, ACCOUNT, OPEN, SESSION, Desktop, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import Watcher, WatchPhase
from tradeshell.core.events import Event, Weight
from tradeshell.core.market import DataKind
from tradeshell.core.orders import Side
from tradeshell.core.policy import Limits, Policy, Resume
from tradeshell.core.recon_events import DetachedSessionRestored
from tradeshell.core.resume_events import WatchHeld, WatchPaused, WatchResumed, WatchSkipped
from tradeshell.core.step import Core
from tradeshell.core.upkeep_events import EngineEnded, EngineLagged, EngineStuck
from tradeshell_breakout.events import BreakoutStopped
from tradeshell_breakout.strategy import Breakout


def connect(desk: Desktop, *positions: i.PositionReport) -> None:
    desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
    epoch = desk.desk.link.epoch
    desk.do(i.SnapshotAnswered, epoch=epoch, asked_at=desk.at, orders=(), executions=(), positions=positions)


def held(qty: int) -> i.PositionReport:
    return i.PositionReport(symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=qty, average=d("180"))


def execution(ref: str, side: Side, qty: int, exec_id: str) -> i.ExecutionReport:
    return i.ExecutionReport(
        exec_id=exec_id,
        ref=ref,
        order_id=1,
        symbol="AAPL",
        account=ACCOUNT,
        side=side,
        qty=qty,
        price=d("190.15"),
        at=OPEN,
    )


def left(*positions: i.PositionReport, **more: Any) -> Desktop:
    """Return a desk whose program ended while a watcher waited, and started again a minute later."""
    desk = Desktop()
    desk.watch(**more)
    desk.wait(60)
    desk.do(i.Restarted)
    connect(desk, *positions)
    return desk


def found(**more: Any) -> i.Meanwhile:
    return i.Meanwhile(**({"instrument": AAPL, "session": SESSION} | more))


def ask(desk: Desktop, *, sure: bool = False, can_ask: bool = True, **more: Any) -> None:
    desk.do(i.ResumeRequested, watch="br-1", found=found(**more), can_ask=can_ask, is_sure=sure)


def watcher(desk: Desktop) -> Watcher:
    return desk.desk.watchers["br-1"]


def test_a_watcher_that_was_left_waiting_looks_at_no_bar_before_it_may_go_on() -> None:
    desk = left()
    assert watcher(desk).phase is WatchPhase.PAUSED
    assert desk.desk.busy() == ("br-1",)
    desk.close_bar(2, "190.12")
    assert desk.last == ()
    assert not watcher(desk).fired


def test_without_a_doubt_it_is_armed_and_enters_once() -> None:
    desk = left()
    ask(desk, bars=1, highest=d("189.99"))
    (told,) = desk.told(WatchResumed)
    assert (told.bars, told.highest, told.despite) == (1, d("189.99"), "")
    assert [(w.key, w.symbol) for w in desk.sent(c.WatchBars)] == [("br-1", "AAPL")]
    assert "close:br-1" in {timer.key for timer in desk.sent(c.SetTimer)}
    desk.close_bar(0, "190.12")
    assert desk.last == ()  # it had closed before
    desk.at += timedelta(seconds=60)
    desk.close_bar(2, "190.12")
    assert watcher(desk).fired
    desk.answer(quote(desk.at))
    assert len(desk.sent(c.PlaceOrder)) == 3


def test_it_goes_on_with_what_its_strategy_had_seen() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "189.50", high="190.20")  # the level was touched, and that was told
    desk.do(i.Restarted)
    connect(desk)
    state = watcher(desk).state
    ask(desk)
    assert watcher(desk).phase is WatchPhase.ARMED
    assert watcher(desk).state is state
    assert state.touched


@pytest.mark.parametrize(
    "meanwhile,reason,words",
    [
        ({"highest": d("190.00"), "bars": 3}, "level_crossed", "a bar closed at 190.00"),
        ({"quote": "190.00"}, "level_crossed", "bid 190.00"),
        ({"missing": "162 no data"}, "not_known", "162 no data"),
    ],
)
def test_what_happened_meanwhile_is_asked_about(meanwhile: dict[str, Any], reason: str, words: str) -> None:
    desk = left()
    if "quote" in meanwhile:
        meanwhile = {"quote": quote(desk.at, bid=meanwhile["quote"])}
    ask(desk, **meanwhile)
    (told,) = desk.told(WatchHeld)
    assert (told.reason, told.asks, words in told.detail) == (reason, True, True)
    assert "`breakout resume AAPL` arms it all the same" in (told.story() or "")
    assert (watcher(desk).phase, watcher(desk).asks) == (WatchPhase.PAUSED, reason)
    assert desk.desk.busy() == ()
    ask(desk, sure=True, **meanwhile)
    (resumed,) = desk.told(WatchResumed)
    assert words in resumed.despite
    assert watcher(desk).phase is WatchPhase.ARMED


@pytest.mark.parametrize("bid", ["189.99", None])
def test_a_price_below_the_level_is_no_doubt(bid: str | None) -> None:
    desk = left()
    ask(desk, quote=quote(desk.at, bid=bid))
    assert desk.told(WatchHeld) == []


def test_an_old_touch_above_the_level_says_nothing() -> None:
    desk = left()
    ask(desk, quote=quote(desk.at - timedelta(seconds=16), bid="195"))
    assert watcher(desk).phase is WatchPhase.ARMED


def test_shares_that_are_there_already_are_asked_about_and_our_own_are_not() -> None:
    desk = left(held(30))
    ask(desk)
    (told,) = desk.told(WatchHeld)
    assert (told.reason, "holds 30 AAPL already" in told.detail) == ("position", True)
    desk = Desktop()
    desk.open_position()
    desk.watch("br-2", sl=None, tps=())
    desk.do(i.Restarted)
    connect(desk, held(100))
    desk.do(i.ResumeRequested, watch="br-2", found=found())
    assert desk.desk.watchers["br-2"].phase is WatchPhase.ARMED


@pytest.mark.parametrize("outside,hours", [(False, 7), (True, 11)])
def test_a_session_that_is_over_is_asked_about_and_the_next_one_is_taken(outside: bool, hours: int) -> None:
    desk = left(outside_rth=outside)
    desk.at += timedelta(hours=hours)
    day = timedelta(days=1)
    later = replace(
        SESSION,
        open=SESSION.open + day,
        close=SESSION.close + day,
        extended_open=SESSION.extended_open + day,
        extended_close=SESSION.extended_close + day,
    )
    ask(desk, session=later)
    (told,) = desk.told(WatchHeld)
    assert (told.reason, "2025-07-08 is over" in told.detail) == ("session_over", True)
    ask(desk, session=later, sure=True)
    assert watcher(desk).spec.session == later


def test_entries_that_are_off_are_asked_about_because_the_first_trigger_would_use_it_up() -> None:
    desk = left()
    desk.do(i.StopEntryRequested, on=True)
    ask(desk)
    assert desk.told(WatchHeld)[0].reason == "entries_stopped"


def test_a_contract_that_is_another_one_now_is_asked_about() -> None:
    desk = left()
    ask(desk, instrument=replace(AAPL, con_id=7))
    assert desk.told(WatchHeld)[0].reason == "other_contract"


@pytest.mark.parametrize(
    "meanwhile,reason",
    [
        ({"instrument": None, "missing": "200 ambiguous"}, "no_contract"),
        ({"instrument": None}, "no_contract"),
        ({"session": None}, "no_session"),
        ({"quote": "delayed"}, "delayed_data"),
    ],
)
@pytest.mark.parametrize("policy", [Resume.ASK, Resume.ARM])
def test_what_cannot_be_armed_is_armed_by_no_policy_and_no_word(
    policy: Resume, meanwhile: dict[str, Any], reason: str
) -> None:
    desk = left()
    desk.do(i.PolicySet, policy=Policy(resume=policy))
    if "quote" in meanwhile:
        meanwhile = {"quote": quote(desk.at, kind=DataKind.DELAYED)}
    for sure in (False, True):
        ask(desk, sure=sure, **meanwhile)
        assert [told.reason for told in desk.told(WatchHeld)] == [reason]
        assert watcher(desk).phase is WatchPhase.PAUSED
    ask(desk)
    assert watcher(desk).phase is WatchPhase.ARMED


def test_a_plan_that_is_too_large_today_or_of_another_account_or_plugin_is_not_armed() -> None:
    desk = left()
    desk.do(i.PolicySet, policy=Policy(limits=Limits(max_qty=50)))
    ask(desk, sure=True)
    assert desk.told(WatchHeld)[0].reason == "max_qty"
    desk = left(account="DU…9999")
    ask(desk, sure=True)
    assert desk.told(WatchHeld)[0].reason == "wrong_account"
    desk = left()
    desk.core = Core({})
    ask(desk, sure=True)
    assert desk.told(WatchHeld)[0].reason == "no_strategy"
    desk.do(i.WatchCancelRequested, watch="br-1")
    assert watcher(desk).phase is WatchPhase.DONE


class _Refuses(Breakout):
    """A strategy of another version."""

    def start(self, *_: Any) -> Any:
        """Raise."""
        raise ZeroDivisionError("not\nany more")


def test_words_that_are_refused_today_are_named() -> None:
    desk = left()
    desk.core = Core({"breakout": _Refuses()})
    ask(desk, sure=True)
    (told,) = desk.told(WatchHeld)
    assert (told.reason, told.detail) == (
        "invalid",
        "its words are refused today: ZeroDivisionError: not any more",
    )
    desk = left()
    bad = plan(sl=d("191"))
    spec = replace(watcher(desk).spec, plan=bad)
    desk.desk = replace(desk.desk, watchers={"br-1": replace(watcher(desk), spec=spec)})
    ask(desk, sure=True)
    assert "the stop of a long trade lies below" in desk.told(WatchHeld)[0].detail


@pytest.mark.parametrize(
    "policy,can_ask,phase",
    [
        (Resume.ASK, True, WatchPhase.PAUSED),
        (Resume.ASK, False, WatchPhase.PAUSED),
        (Resume.ARM, False, WatchPhase.ARMED),
        (Resume.SKIP, True, WatchPhase.DONE),
    ],
)
def test_the_policy_says_what_becomes_of_a_doubt(policy: Resume, can_ask: bool, phase: WatchPhase) -> None:
    desk = left()
    desk.do(i.PolicySet, policy=Policy(resume=policy))
    ask(desk, can_ask=can_ask, highest=d("190.50"), bars=2)
    assert watcher(desk).phase is phase
    assert [told.asks for told in desk.told(WatchHeld)] == ([can_ask] if policy is Resume.ASK else [])
    if policy is Resume.SKIP:
        (told,) = desk.told(WatchSkipped)
        assert told.reason == "level_crossed"
        assert [stopped.reason for stopped in desk.told(BreakoutStopped)] == ["not_resumed"]
    if policy is Resume.ASK and not can_ask:
        assert "it is kept" in (desk.told(WatchHeld)[0].story() or "")


def test_several_doubts_are_told_together() -> None:
    desk = left(held(30))
    ask(desk, highest=d("190.50"), bars=2)
    (told,) = desk.told(WatchHeld)
    assert told.reason == "level_crossed"
    assert "crossed meanwhile" in told.detail
    assert "holds 30" in told.detail


def test_one_that_was_asked_about_is_looked_at_again_by_the_next_life() -> None:
    desk = left()
    ask(desk, highest=d("190.50"))
    desk.do(i.Restarted)
    assert (watcher(desk).phase, watcher(desk).asks) == (WatchPhase.PAUSED, "")
    assert desk.told(WatchPaused) == []


def test_a_watcher_that_is_over_or_has_fired_is_left_as_it_is_by_a_restart() -> None:
    desk = Desktop()
    desk.open_position()
    desk.watch("br-2", sl=None, tps=())
    desk.do(i.WatchCancelRequested, watch="br-2")
    desk.do(i.Restarted)
    assert {id_: w.phase for id_, w in desk.desk.watchers.items()} == {
        "br-1": WatchPhase.FIRED,
        "br-2": WatchPhase.DONE,
    }


@pytest.mark.parametrize(
    "event,label,words",
    [
        (WatchPaused(watch="br-1", level=None), "paused", "was waiting when the program ended"),
        (WatchResumed(watch="br-1", level=None, bars=0, highest=None), "resumed", "br-1 watches again"),
        (
            WatchHeld(watch="br-1", reason="x", detail="why", strategy="breakout", asks=False),
            "held",
            "br-1 is not armed: why",
        ),
        (WatchSkipped(watch="br-1", reason="x", detail="why"), "skipped", "is not taken up again: why"),
        (EngineLagged(seconds=0.5), "engine", "busy for 0.5 s: quotes"),
        (
            EngineLagged(seconds=11, where="p (f, line 1)", stops_entries=True),
            "engine",
            "busy for 11 s in plugin p (f",
        ),
        (EngineStuck(seconds=12.3), "engine", "no answer for 12 s"),
        (EngineEnded(), "engine", "it has ended"),
    ],
)
def test_each_event_of_a_restart_and_of_the_engine_is_told_in_one_line(
    event: Event, label: str, words: str
) -> None:
    assert event.label() == label
    assert words in (event.story() or "")
    assert "\n" not in (event.story() or "")


def test_nothing_is_judged_while_the_account_is_not_known() -> None:
    desk = left()
    desk.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True)
    ask(desk, sure=True)
    assert desk.last == ()
    assert watcher(desk).phase is WatchPhase.PAUSED


def test_a_watcher_that_is_armed_or_unknown_is_left_alone() -> None:
    desk = Desktop()
    ask(desk)
    assert desk.last == ()
    desk.watch()
    ask(desk)
    assert desk.last == ()


def test_the_end_of_a_replay_and_a_cancel_end_it() -> None:
    desk = left()
    desk.do(i.WatchCancelRequested, watch="br-1")
    assert (watcher(desk).phase, watcher(desk).end_reason) == (WatchPhase.DONE, "cancelled")


def test_a_trade_that_was_left_running_is_told_once_as_the_broker_shows_it() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.Restarted)
    desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
    orders = tuple(
        i.OrderReport(
            ref=o.spec.ref, order_id=o.order_id, state=o.state, filled=o.filled, remaining=o.remaining
        )
        for o in desk.desk.orders()
    )
    picture = {
        "orders": orders,
        "executions": (
            execution("ts:br-1:entry:1", Side.BUY, 100, "e1.02"),  # the one that was known, corrected
            execution("ts:br-1:tp1:1", Side.SELL, 40, "e2.01"),
        ),
        "positions": (held(60),),
    }
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, **picture)
    (told,) = desk.told(DetachedSessionRestored)
    assert (told.held, told.protected, told.orders, told.missed, told.source) == (60, 60, 2, 1, "journal")
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, **picture)
    assert desk.told(DetachedSessionRestored) == []
    desk.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True)
    connect(desk, held(100))
    assert desk.told(DetachedSessionRestored) == []  # the program was there all the time


def test_where_a_reconciler_compares_it_tells_what_was_left_running() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.Restarted)
    desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
    desk.do(
        i.SnapshotAnswered,
        epoch=2,
        asked_at=desk.at,
        orders=(),
        executions=(),
        positions=(held(100),),
        opens=False,
    )
    assert desk.told(DetachedSessionRestored) == []
    assert desk.desk.takes_up
    desk.do(i.Compared, epoch=2, shown=(), executions=0, positions=1)
    assert desk.told(DetachedSessionRestored) == []
    assert not desk.desk.takes_up


def test_a_trade_that_is_over_is_not_told_again() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.do(i.Restarted)  # its order had not left: the attempt is over
    connect(desk)
    assert desk.told(DetachedSessionRestored) == []


@pytest.mark.parametrize(
    "held,protected,orders,words,weight",
    [
        (100, 100, 6, "br-1 restored · 100 shares, 100 protected · nothing missed", Weight.GOOD),
        (100, 40, 1, "100 shares, 40 protected", Weight.BAD),
        (0, 0, 1, "nothing is held, 1 order at work", Weight.GOOD),
        (0, 0, 2, "nothing is held, 2 orders at work", Weight.GOOD),
    ],
)
def test_what_is_taken_up_is_told_in_one_line(
    held: int, protected: int, orders: int, words: str, weight: Weight
) -> None:
    told = DetachedSessionRestored(watch="br-1", held=held, protected=protected, orders=orders)
    assert words in (told.story() or "")
    assert told.how() is weight


# --- from a snapshot --------------------------------------------------------------------------------------------------


def restored(desk: Desktop, doubt: str = "the journal is missing") -> None:
    spec = i.WatchSpec(
        id="br-1",
        strategy="breakout",
        plan=plan(),
        params={"bar": "300", "rth": "true", "max_bars": ""},
        instrument=AAPL,
        session=SESSION,
    )
    desk.do(i.WatchRestored, watch=spec, started_at=desk.at, doubt=doubt)


def test_a_watcher_that_only_a_snapshot_holds_is_asked_about_and_starts_afresh() -> None:
    desk = Desktop()
    restored(desk)
    assert watcher(desk).phase is WatchPhase.PAUSED
    ask(desk)
    (told,) = desk.told(WatchHeld)
    assert (told.reason, told.detail) == ("not_recorded", "the journal is missing")
    ask(desk, sure=True)
    assert (watcher(desk).phase, watcher(desk).need.seconds) == (WatchPhase.ARMED, 300)
    assert watcher(desk).doubt == ""


def test_a_snapshot_changes_nothing_about_a_watcher_that_is_known() -> None:
    desk = Desktop()
    desk.watch()
    restored(desk)
    assert desk.last == ()
    desk = Desktop()
    desk.trigger()
    before = desk.desk
    restored(desk)
    assert desk.desk is before


@pytest.mark.parametrize("sure", [False, True])
def test_one_whose_order_the_broker_knows_has_had_its_entry(sure: bool) -> None:
    desk = Desktop()
    restored(desk)
    ask(desk, sure=sure, used_by="ts:br-1:entry:1")
    (told,) = desk.told(WatchSkipped)
    assert (told.reason, "ts:br-1:entry:1" in told.detail) == ("used_up", True)
    assert watcher(desk).phase is WatchPhase.DONE


class _Silent(Breakout):
    """A strategy that needs no level."""

    def start(self, *_: Any) -> Any:
        """Say nothing."""
        return (), ()


def test_one_without_a_level_is_told_without_it() -> None:
    desk = Desktop()
    desk.core = Core({"breakout": _Silent()})
    desk.watch(level=None, sl=None, tps=(), chase_limit=None)
    desk.do(i.Restarted)
    assert "level" not in (desk.told(WatchPaused)[0].story() or "")
    connect(desk)
    ask(desk, quote=quote(desk.at, bid="500"), highest=d("500"), bars=2)
    (told,) = desk.told(WatchResumed)
    assert told.story() == "br-1 watches again · highest of 2 closes since: 500.00"
