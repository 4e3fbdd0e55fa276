"""A breakout from bar to closed trade, in the core alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.support import ENTRY, SESSION, SL1, TP1, Desktop, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.core.events import (
    BracketChildOrderFilled,
    LadderProtectionStateChanged,
    OrderFilled,
    OrderIntent,
    TradeClosed,
)
from tradeshell.core.market import DataKind
from tradeshell.core.orders import OrderState, OrderType, Side, Tif
from tradeshell.core.plan import EntryKind, ExitMode
from tradeshell.core.trade import TradePhase
from tradeshell_breakout.events import (
    BreakoutBreakDetected,
    BreakoutConfirmed,
    BreakoutRejected,
    BreakoutStarted,
    BreakoutStopped,
)


def test_arming_subscribes_to_the_bars_and_says_so() -> None:
    desk = Desktop()
    desk.watch()
    assert desk.sent(c.WatchBars) == [c.WatchBars("br-1", "AAPL", 60, True)]
    assert [event.level for event in desk.told(BreakoutStarted)] == [d("190")]


def test_a_bar_below_the_level_changes_nothing_at_all() -> None:
    desk = Desktop()
    desk.watch()
    before = desk.desk
    desk.close_bar(0, "189.50")
    assert desk.desk is before
    assert desk.last == ()


def test_the_first_touch_is_told_once_and_does_not_enter() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "189.97", high="190.04", low="189.50")
    assert [e.high for e in desk.told(BreakoutBreakDetected)] == [d("190.04")]
    assert desk.sent(c.AskQuote) == []
    desk.close_bar(1, "189.98", high="190.10", low="189.50")
    assert desk.last == ()


def test_a_close_at_the_level_asks_for_the_touch_and_closes_the_watcher_for_ever() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190")
    assert [ask.key for ask in desk.sent(c.AskQuote)] == ["br-1"]
    assert desk.sent(c.UnwatchBars) == [c.UnwatchBars("br-1")]
    assert desk.desk.watchers["br-1"].fired
    desk.close_bar(1, "191")
    assert desk.last == ()


def test_the_entry_is_a_limit_at_the_ask_with_an_expiry_and_its_children_are_staged() -> None:
    desk = Desktop()
    desk.trigger()
    entry, tp, sl = [place.order for place in desk.sent(c.PlaceOrder)]
    assert (entry.side, entry.qty, entry.type, entry.limit) == (Side.BUY, 100, OrderType.LIMIT, d("190.15"))
    assert entry.tif is Tif.GTD
    assert entry.good_till is not None
    assert (entry.good_till - desk.at).total_seconds() == 25
    assert (tp.side, tp.qty, tp.limit, tp.tif, tp.parent_ref) == (Side.SELL, 100, d("195"), Tif.GTC, ENTRY)
    assert (sl.type, sl.stop, sl.limit, sl.parent_ref) == (OrderType.STOP_LIMIT, d("187"), d("187"), ENTRY)
    assert [entry.transmit, tp.transmit, sl.transmit] == [False, False, True]
    assert [place.order_id for place in desk.sent(c.PlaceOrder)] == [1, 2, 3]


def test_every_intent_is_announced_before_any_order_is_sent_and_the_entry_names_what_it_was_decided_on() -> (
    None
):
    desk = Desktop()
    desk.trigger()
    kinds = [type(x.event) if isinstance(x, c.Announce) else type(x) for x in desk.last]
    assert max(n for n, kind in enumerate(kinds) if kind is OrderIntent) < kinds.index(c.PlaceOrder)
    assert kinds.index(BreakoutConfirmed) < kinds.index(OrderIntent)
    intent = desk.told(OrderIntent)[0]
    assert (intent.ask, intent.bid, intent.quote_age, intent.bar_close) == (
        d("190.15"),
        d("190.10"),
        0,
        d("190.12"),
    )


def test_only_a_target_only_a_stop_or_none_of_both() -> None:
    for more, legs in (
        ({"sl": None, "chase_limit": None}, [ENTRY, TP1]),
        ({"tps": ()}, [ENTRY, SL1]),
        ({"tps": (), "sl": None, "mode": ExitMode.NONE}, [ENTRY]),
    ):
        desk = Desktop()
        desk.trigger(**more)
        orders = [place.order for place in desk.sent(c.PlaceOrder)]
        assert [order.ref for order in orders] == legs
        assert [order.transmit for order in orders] == [False] * (len(legs) - 1) + [True]


@pytest.mark.parametrize(
    "touch,reason",
    [
        (None, "no_quote"),
        ({"ask": None}, "no_ask"),
        ({"ask": "0"}, "no_ask"),
        ({"kind": DataKind.DELAYED}, "delayed_data"),
        ({"kind": DataKind.HALTED}, "halted"),
        ({"bid": "190.50", "ask": "189.90"}, "crossed_quote"),
        ({"bid": "190.10", "ask": "191.50"}, "chase"),
        ({"bid": "190.10", "ask": "199.00"}, "price_collar"),
    ],
)
def test_an_entry_that_may_not_leave_uses_the_watcher_up_and_sends_nothing(
    touch: dict[str, object] | None, reason: str
) -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.answer(None if touch is None else quote(desk.at, **touch))  # type: ignore[arg-type]
    assert desk.sent(c.PlaceOrder) == []
    assert [event.reason for event in desk.told(BreakoutRejected)] == [reason]
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["rejected"]
    assert desk.desk.watchers["br-1"].phase is WatchPhase.DONE


def test_a_stale_quote_rejects_and_names_its_age_but_a_recorded_one_stays_in_force() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at - timedelta(seconds=70)))
    (rejected,) = desk.told(BreakoutRejected)
    assert rejected.reason == "stale_quote"
    assert "70.0 s" in rejected.detail
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at - timedelta(seconds=70), in_force=True))
    assert len(desk.sent(c.PlaceOrder)) == 3


def test_an_ask_at_or_above_the_target_is_chasing() -> None:
    desk = Desktop()
    desk.watch(chase_limit=None, tps=(d("190.20"),))
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at, bid="190.15", ask="190.20"))
    assert [event.reason for event in desk.told(BreakoutRejected)] == ["chase"]


def test_a_market_entry_needs_no_touch_but_respects_a_halt() -> None:
    desk = Desktop()
    desk.watch(entry=EntryKind.MARKET)
    desk.close_bar(0, "190.12")
    desk.answer(None)
    assert desk.sent(c.PlaceOrder)[0].order.type is OrderType.MARKET
    desk = Desktop()
    desk.watch(entry=EntryKind.MARKET)
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at, kind=DataKind.HALTED))
    assert desk.sent(c.PlaceOrder) == []


def test_no_entry_leaves_when_the_session_is_closed() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(389, "190.12")
    desk.answer(quote(desk.at), session=SESSION)
    assert [event.reason for event in desk.told(BreakoutRejected)] == ["session_closed"]


def test_no_entry_leaves_before_reconciliation_has_completed() -> None:
    desk = Desktop()
    desk.watch()
    desk.do(i.LinkChanged, up=False, account="DU…0001", paper=True, why="gone")
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at))
    assert [event.reason for event in desk.told(BreakoutRejected)] == ["not_connected"]
    desk = Desktop()
    desk.watch()
    desk.do(i.LinkChanged, up=False, account="DU…0001", paper=True, why="gone")
    desk.do(i.LinkChanged, up=True, account="DU…0001", paper=True)
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at))
    assert [event.reason for event in desk.told(BreakoutRejected)] == ["not_reconciled"]


def test_bars_from_before_the_start_late_bars_and_other_lengths_do_not_count() -> None:
    desk = Desktop()
    desk.at = SESSION.open.replace(minute=35)
    desk.watch()
    desk.close_bar(3, "191")  # closed before the watcher started
    assert desk.last == ()
    desk.wait(120)
    desk.close_bar(5, "191")  # delivered a minute after it closed
    assert desk.last == ()
    desk.close_bar(7, "191", seconds=300)
    assert desk.last == ()
    desk.close_bar(40, "191")
    assert len(desk.sent(c.AskQuote)) == 1


def test_the_bar_that_was_forming_when_the_watcher_started_counts_at_its_close() -> None:
    desk = Desktop()
    desk.wait(30)
    desk.watch()
    desk.close_bar(0, "190.12")
    assert len(desk.sent(c.AskQuote)) == 1


def test_max_bars_gives_up_after_so_many_bars() -> None:
    desk = Desktop()
    desk.watch(max_bars="2")
    desk.close_bar(0, "189")
    assert desk.desk.watchers["br-1"].phase is WatchPhase.ARMED
    desk.close_bar(1, "189")
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["max_bars"]


def test_a_breakout_in_the_last_allowed_bar_still_enters() -> None:
    desk = Desktop()
    desk.watch(max_bars="1")
    desk.close_bar(0, "190.50")
    assert len(desk.sent(c.AskQuote)) == 1


def test_the_position_is_protected_when_the_entry_filled_and_ends_at_the_target() -> None:
    desk = Desktop()
    desk.open_position()
    assert [(e.state, e.held, e.protected) for e in desk.ever_told(LadderProtectionStateChanged)][-1] == (
        "PROTECTED",
        100,
        100,
    )
    desk.wait(600)
    desk.execute(TP1, 100, "195", "e2.01")
    (fill,) = desk.told(BracketChildOrderFilled)
    assert fill.pnl == d("485")
    desk.report(TP1, OrderState.FILLED, filled=100)
    desk.report(SL1, OrderState.CANCELLED)
    (closed,) = desk.told(TradeClosed)
    assert (closed.qty, closed.entry, closed.exit, closed.pnl) == (100, d("190.15"), d("195"), d("485"))
    assert closed.r == d("1.5397")
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["trade_closed"]
    assert desk.desk.busy() == ()


def test_a_sibling_that_the_broker_leaves_alive_is_cancelled_after_a_while_and_only_once() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(TP1, 100, "195", "e2.01")
    assert desk.sent(c.CancelOrder) == []
    timers = [t.key for t in desk.sent(c.SetTimer)]
    assert timers == ["again:br-1:drop"]
    desk.report(TP1, OrderState.FILLED, filled=100)
    desk.wait(2)
    desk.do(i.TimerFired, key="again:br-1:drop")
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [SL1]
    desk.do(i.TimerFired, key="again:br-1:drop")
    assert desk.sent(c.CancelOrder) == []


def test_executions_are_booked_once_and_corrections_replace() -> None:
    desk = Desktop()
    desk.trigger()
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    assert desk.last == ()
    assert desk.order(ENTRY).filled == 40
    desk.execute(ENTRY, 30, "190.15", "e1.02")
    assert desk.order(ENTRY).filled == 30
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    assert desk.order(ENTRY).filled == 30
    assert len(desk.ever_told(OrderFilled)) == 2


def test_a_filled_status_ahead_of_its_executions_arms_nothing() -> None:
    desk = Desktop()
    desk.trigger()
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    assert desk.trade().phase is TradePhase.ENTERING
    assert desk.order(ENTRY).state is OrderState.WORKING
    desk.execute(ENTRY, 57, "190.15", "e2.01")
    assert desk.trade().phase is TradePhase.OPEN


def test_an_entry_that_is_not_filled_in_time_is_cancelled_and_the_trade_ends() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.wait(20)
    desk.do(i.TimerFired, key="entry:br-1")
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [ENTRY]
    for ref in (ENTRY, TP1, SL1):
        desk.report(ref, OrderState.CANCELLED)
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["entry_timeout"]
    assert desk.desk.busy() == ()


def test_a_partly_filled_bracket_gets_exits_of_its_own_when_its_children_died_with_the_entry() -> None:
    desk = Desktop()
    desk.trigger()
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    desk.wait(20)
    desk.do(i.TimerFired, key="entry:br-1")
    desk.report(TP1, OrderState.CANCELLED)
    desk.report(SL1, OrderState.CANCELLED)
    assert desk.sent(c.PlaceOrder) == []
    desk.report(ENTRY, OrderState.CANCELLED, filled=43)
    stop, target = [place.order for place in desk.sent(c.PlaceOrder)]
    assert (stop.ref, stop.qty, stop.type, stop.stop) == ("ts:br-1:sl1:2", 43, OrderType.STOP_LIMIT, d("187"))
    assert (target.ref, target.qty, target.limit) == ("ts:br-1:tp1:2", 43, d("195"))
    assert stop.oca_group == target.oca_group == "ts:br-1:p1:2"
    assert stop.parent_ref is None
    assert desk.trade().protection == "ARMING"
    desk.report(stop.ref, OrderState.HELD)
    assert desk.trade().protection == "PROTECTED"


def test_living_children_of_a_partly_filled_bracket_shrink_to_what_was_bought() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(TP1, OrderState.HELD)
    desk.report(SL1, OrderState.HELD)
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.CANCELLED, filled=43)
    assert [(m.order.ref, m.order.qty) for m in desk.sent(c.ModifyOrder)] == [(SL1, 43), (TP1, 43)]
    desk.report(SL1, OrderState.HELD, qty=43)
    assert desk.sent(c.ModifyOrder) == []


def test_a_stop_that_the_broker_refuses_is_an_alarm_and_is_not_fought_over() -> None:
    desk = Desktop()
    desk.open_position()
    desk.report(SL1, OrderState.CANCELLED, why="cancelled outside")
    (state,) = desk.told(LadderProtectionStateChanged)
    assert (state.state, state.held, state.protected) == ("UNPROTECTED", 100, 0)
    assert desk.sent(c.PlaceOrder) == []


def test_cancelling_a_watcher_before_and_after_its_trigger() -> None:
    desk = Desktop()
    desk.watch()
    desk.do(i.WatchCancelRequested, watch="br-1")
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["cancelled"]
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.do(i.WatchCancelRequested, watch="br-1")
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [ENTRY]
    desk = Desktop()
    desk.open_position()
    desk.do(i.WatchCancelRequested, watch="br-1")
    assert desk.sent(c.CancelOrder) == []
    assert desk.trade().protection == "PROTECTED"


def test_a_cancel_that_meets_the_trigger_wins_only_if_it_came_first() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.do(i.WatchCancelRequested, watch="br-1")
    desk.answer(quote(desk.at))
    assert desk.last == ()
    assert desk.refs() == ()


def test_the_end_of_a_replay_ends_watchers_and_leaves_positions_open() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.FeedEnded)
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["replay_end"]
    assert desk.trade().phase is TradePhase.OPEN
    assert desk.desk.busy() == ()


def test_an_unanswered_order_is_unknown_after_three_seconds_and_counts_as_working() -> None:
    desk = Desktop()
    desk.trigger()
    desk.wait(3)
    desk.do(i.TimerFired, key=f"ack:{ENTRY}")
    assert desk.order(ENTRY).state is OrderState.UNKNOWN
    assert desk.order(ENTRY).remaining == 100
    assert desk.sent(c.PlaceOrder) == []
