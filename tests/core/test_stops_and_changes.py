"""Elected stops, operator's changes, refusals and sells, in the core alone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.core.support import AAPL, ENTRY, SESSION, SL1, TP1, Desktop, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import (
    BracketChildOrderStatusChanged,
    BrokerMessageUnclassified,
    CommissionCharged,
    LadderStopLossReplaced,
    LadderStopLossReplaceFailed,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderStatusChanged,
    RiskRejected,
    TradeClosed,
)
from tradeshell.core.inputs import RefusedWhat
from tradeshell.core.market import DataKind
from tradeshell.core.orders import OrderState, OrderType, Side
from tradeshell.core.plan import EntryKind, ExitMode
from tradeshell.core.trade import TradePhase

CHASE = f"chase:{SL1}"


def elected() -> Desktop:
    """Return a desk whose stop was just elected at 187."""
    desk = Desktop()
    desk.open_position()
    desk.wait(60)
    desk.report(SL1, OrderState.WORKING)
    return desk


def limits(desk: Desktop) -> list[Decimal | None]:
    """Return the limits of the modifies that the last input caused."""
    return [command.order.limit for command in desk.sent(c.ModifyOrder)]


def test_an_elected_stop_asks_for_the_touch_and_follows_the_bid_down() -> None:
    desk = elected()
    assert [event.status for event in desk.told(BracketChildOrderStatusChanged)] == ["elected"]
    assert [ask.key for ask in desk.sent(c.AskQuote)] == [CHASE]
    desk.answer(quote(desk.at, bid="185.40", ask="185.45"), CHASE)
    assert limits(desk) == [d("185.40")]
    desk.report(SL1, OrderState.WORKING)
    assert [event.limit for event in desk.told(LadderStopLossReplaced)] == [d("185.40")]


def test_a_bid_at_or_above_the_limit_moves_nothing() -> None:
    desk = elected()
    desk.answer(quote(desk.at, bid="187.00", ask="187.02"), CHASE)
    assert desk.last == ()


def test_an_elected_stop_is_repriced_at_most_once_a_second_with_one_change_in_flight() -> None:
    desk = elected()
    desk.answer(quote(desk.at, bid="186.50", ask="186.52"), CHASE)
    desk.wait(1.5)
    desk.do(i.QuoteSeen, quote=quote(desk.at, bid="186.00", ask="186.02"))
    assert limits(desk) == []  # the first change is still in flight
    desk.report(SL1, OrderState.WORKING)
    desk.do(i.QuoteSeen, quote=quote(desk.at, bid="186.00", ask="186.02"))
    assert limits(desk) == [d("186.00")]
    desk.report(SL1, OrderState.WORKING)
    desk.wait(0.5)
    desk.do(i.QuoteSeen, quote=quote(desk.at, bid="185.00", ask="185.02"))
    assert limits(desk) == []  # half a second after the last one
    desk.wait(0.5)
    desk.do(i.TimerFired, key=CHASE)
    assert [ask.key for ask in desk.sent(c.AskQuote)] == [CHASE]
    desk.answer(quote(desk.at, bid="185.00", ask="185.02"), CHASE)
    assert limits(desk) == [d("185.00")]


def test_without_a_bid_the_limit_steps_down_to_a_floor_and_in_a_halt_it_rests() -> None:
    desk = elected()
    desk.answer(quote(desk.at, bid=None, ask="187"), CHASE)
    assert limits(desk) == [d("186.53")]  # 187 less 0.25 %, rounded down
    for _ in range(40):
        desk.report(SL1, OrderState.WORKING)
        desk.wait(1)
        desk.answer(quote(desk.at, bid="150", ask="187"), CHASE)  # a spread that wide is no touch
    assert desk.order(SL1).spec.limit == d("181.39")  # 187 less 3 %
    desk.report(SL1, OrderState.WORKING)
    desk.wait(1)
    desk.answer(quote(desk.at, bid="170", ask="170.02", kind=DataKind.HALTED), CHASE)
    assert limits(desk) == []


def test_an_old_touch_or_none_moves_no_stop() -> None:
    desk = elected()
    old = quote(desk.at, bid="185", ask="185.02")
    desk.wait(1.5)
    desk.answer(old, CHASE)
    assert limits(desk) == []
    desk.answer(None, CHASE)
    assert limits(desk) == []


def test_a_stop_that_filled_is_chased_no_more() -> None:
    desk = elected()
    assert desk.desk.chased == {"AAPL"}
    desk.execute(SL1, 100, "187", "e2.01")
    assert desk.desk.chased == frozenset()
    desk.answer(quote(desk.at, bid="185", ask="185.02"), CHASE)
    assert limits(desk) == []
    desk.do(i.TimerFired, key=CHASE)
    assert desk.last == ()


def test_an_execution_can_be_the_first_word_of_an_election() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(SL1, 40, "187", "e2.01")
    assert desk.order(SL1).elected_at == desk.at
    assert [ask.key for ask in desk.sent(c.AskQuote)] == [CHASE]


def test_a_touch_of_an_unknown_symbol_or_for_an_unknown_order_is_ignored() -> None:
    desk = Desktop()
    desk.do(i.QuoteSeen, quote=quote(desk.at))
    desk.answer(quote(desk.at), "chase:ts:no:sl1:1")
    desk.answer(quote(desk.at), "nobody")
    assert desk.last == ()


def test_a_plain_stop_has_no_limit_and_is_not_chased() -> None:
    desk = Desktop()
    desk.open_position(sl_type=OrderType.STOP)
    assert desk.order(SL1).spec.limit is None
    desk.report(SL1, OrderState.WORKING)
    assert desk.sent(c.AskQuote) == []


def test_the_stops_limit_lies_below_the_stop_by_the_offset() -> None:
    desk = Desktop()
    desk.open_position(sl_offset=d("0.25"))
    assert desk.order(SL1).spec.limit == d("186.75")


# --- operator's changes -----------------------------------------------------------------------------------------------


def test_moving_a_stop_moves_its_limit_too_and_what_is_wanted_follows() -> None:
    desk = Desktop()
    desk.open_position(sl_offset=d("0.25"))
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    (change,) = desk.sent(c.ModifyOrder)
    assert (change.order.stop, change.order.limit, change.order.qty) == (d("188"), d("187.75"), 100)
    assert desk.trade().legs[0].stop == d("188")
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("189"))
    assert [event.reason for event in desk.told(RiskRejected)] == ["exit_busy"]  # one change in flight
    assert desk.sent(c.ModifyOrder) == []
    desk.report(SL1, OrderState.HELD)
    assert desk.sent(c.ModifyOrder) == []
    assert [event.stop for event in desk.told(LadderStopLossReplaced)] == [d("188")]


def test_moving_a_target_and_a_quantity() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.ReplaceRequested, ref=TP1, limit=d("196"), qty=100)
    assert limits(desk) == [d("196")]
    desk.report(TP1, OrderState.WORKING)
    assert desk.sent(c.ModifyOrder) == []
    assert desk.trade().legs[0].tp == d("196")


def test_a_refused_change_leaves_the_old_stop_working_and_is_not_sent_again() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("189"))
    desk.do(i.OrderRefusedByBroker, ref=SL1, what=RefusedWhat.CHANGE, code=110, text="price variation")
    assert desk.order(SL1).spec.stop == d("187")
    assert desk.order(SL1).state is OrderState.HELD
    assert len(desk.told(LadderStopLossReplaceFailed)) == 1
    assert desk.trade().protection == "PROTECTED"
    assert desk.sent(c.ModifyOrder) == []


def test_a_refused_change_of_an_entry_and_of_an_elected_stop() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.do(i.ReplaceRequested, ref=ENTRY, limit=d("191"))
    desk.do(i.OrderRefusedByBroker, ref=ENTRY, what=RefusedWhat.CHANGE, code=110, text="price variation")
    assert desk.order(ENTRY).spec.limit == d("190.15")
    desk = elected()
    desk.answer(quote(desk.at, bid="185.40", ask="185.45"), CHASE)
    desk.do(
        i.OrderRefusedByBroker,
        ref=SL1,
        what=RefusedWhat.CHANGE,
        code=104,
        text="Cannot modify a filled order.",
    )
    assert desk.order(SL1).spec.limit == d("187")
    assert desk.trade().legs[0].stop == d("187")


def test_a_cancel_that_is_refused_leaves_the_order_as_it_was() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.CancelRequested, ref=TP1)
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [TP1]
    desk.do(i.CancelRequested, ref=TP1)
    assert desk.sent(c.CancelOrder) == []
    desk.do(i.OrderRefusedByBroker, ref=TP1, what=RefusedWhat.CANCEL, code=161, text="not cancellable")
    assert not desk.order(TP1).cancelling
    assert desk.order(TP1).state.is_live


def test_advisory_codes_touch_no_order() -> None:
    desk = Desktop()
    desk.open_position()
    before = desk.order(SL1)
    desk.do(i.OrderRefusedByBroker, ref=SL1, what=RefusedWhat.NOTHING, code=2109, text="ignored")
    assert desk.order(SL1) == before
    assert [event.code for event in desk.told(OrderRefused)] == [2109]


def test_a_refused_entry_ends_the_attempt_with_the_brokers_own_words() -> None:
    desk = Desktop()
    desk.trigger()
    desk.do(i.OrderRefusedByBroker, ref=ENTRY, what=RefusedWhat.ORDER, code=201, text="INSUFFICIENT EQUITY")
    assert desk.order(ENTRY).why == "INSUFFICIENT EQUITY"
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    assert desk.trade().end_reason == "rejected"


@pytest.mark.parametrize("ref", ["", "ts:no:entry:1", "somebody else's"])
def test_words_about_orders_that_are_not_ours_are_told_and_nothing_else(ref: str) -> None:
    desk = Desktop()
    before = desk.desk
    desk.do(i.OrderRefusedByBroker, ref=ref, what=RefusedWhat.ORDER, code=201, text="Order rejected")
    assert [event.code for event in desk.told(BrokerMessageUnclassified)] == [201]
    assert desk.desk is before
    desk.do(i.SendFailed, ref=ref, action="place", reason="x", certain=True)
    assert desk.last == ()
    desk.do(i.CancelRequested, ref=ref)
    desk.do(i.ReplaceRequested, ref=ref, limit=d("1"))
    assert desk.last == ()


def test_reports_of_orders_that_are_not_in_our_books() -> None:
    desk = Desktop()
    foreign = i.OrderReport(ref="manual", order_id=900, state=OrderState.WORKING, filled=0, remaining=1)
    desk.do(i.OrderReported, report=foreign)
    assert desk.last == ()
    assert desk.desk.next_order_id == 901
    ours = i.OrderReport(ref="ts:lost:sl1:1", order_id=5, state=OrderState.WORKING, filled=0, remaining=1)
    desk.do(i.OrderReported, report=ours)
    assert len(desk.told(BrokerMessageUnclassified)) == 1


def test_a_repeated_status_is_not_told_again() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    assert len(desk.told(OrderStatusChanged)) == 1
    desk.report(ENTRY, OrderState.WORKING)
    assert desk.last == ()


def test_late_statuses_and_late_fills_of_a_finished_order() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.CANCELLED)
    desk.report(ENTRY, OrderState.WORKING)
    assert desk.order(ENTRY).state is OrderState.CANCELLED
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    assert desk.order(ENTRY).state is OrderState.FILLED
    desk.report(ENTRY, OrderState.CANCELLED)
    assert desk.order(ENTRY).state is OrderState.FILLED


def test_a_failed_cancel_or_change_is_taken_back_when_nothing_left() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.CancelRequested, ref=TP1)
    desk.do(i.SendFailed, ref=TP1, action="cancel", reason="not connected", certain=True)
    assert not desk.order(TP1).cancelling
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    desk.do(i.SendFailed, ref=SL1, action="replace", reason="timeout", certain=False)
    assert desk.order(SL1).changing


def test_silence_after_three_seconds_is_told_once() -> None:
    desk = Desktop()
    desk.trigger()
    desk.do(i.TimerFired, key=f"ack:{ENTRY}")
    assert len(desk.told(OrderOutcomeUnknown)) == 1
    desk.do(i.TimerFired, key=f"ack:{ENTRY}")
    assert desk.last == ()
    desk.do(i.TimerFired, key="ack:nobody")
    assert desk.last == ()


# --- sells, fees, positions -------------------------------------------------------------------------------------------


def sell(desk: Desktop, qty: int, id_: str = "m-1") -> None:
    """Ask to sell at the bid."""
    wanted = plan(
        side=Side.SELL,
        qty=qty,
        level=None,
        tps=(),
        sl=None,
        mode=ExitMode.NONE,
        chase_limit=None,
        entry_timeout=None,
    )
    desk.do(i.TradeRequested, id=id_, plan=wanted, instrument=AAPL)
    desk.answer(quote(desk.at), id_)


def hold(desk: Desktop, qty: int) -> None:
    """Let the broker say what is held."""
    desk.do(
        i.PositionReported,
        position=i.PositionReport(
            symbol="AAPL", con_id=AAPL.con_id, account="DU…0001", qty=qty, average=d("190.15")
        ),
    )


def test_shares_under_working_exits_are_not_free_to_sell() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    sell(desk, 50)
    (refusal,) = desk.told(RiskRejected)
    assert refusal.reason == "would_short"
    assert "100 of them in working sells" in refusal.detail
    assert desk.sent(c.PlaceOrder) == []


def test_free_shares_are_sold_at_the_bid_and_belong_to_the_newest_trade() -> None:
    desk = Desktop()
    desk.open_position(tps=(), sl=None, mode=ExitMode.NONE, chase_limit=None)
    hold(desk, 100)
    sell(desk, 60)
    (order,) = [place.order for place in desk.sent(c.PlaceOrder)]
    assert (order.side, order.limit, order.qty) == (Side.SELL, d("190.10"), 60)
    desk.execute(order.ref, 60, "190.10", "e9.01")
    assert desk.trade().taken == 60
    assert desk.trade("m-1").phase is TradePhase.CLOSED
    hold(desk, 40)
    sell(desk, 40, "m-2")
    desk.execute("ts:m-2:sell:1", 40, "190.10", "e10.01")
    assert desk.trade().phase is TradePhase.CLOSED


def test_a_sell_of_more_than_is_held_never_leaves() -> None:
    desk = Desktop()
    sell(desk, 1)
    assert [event.reason for event in desk.told(RiskRejected)] == ["would_short"]


def test_foreign_sells_shrink_the_exits_at_once() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(
        i.ExecutionReported,
        execution=i.ExecutionReport(
            exec_id="x1.01",
            ref="manual",
            order_id=0,
            symbol="AAPL",
            account="DU…0001",
            side=Side.SELL,
            qty=30,
            price=d("191"),
            at=desk.at,
        ),
    )
    assert [(m.order.ref, m.order.qty) for m in desk.sent(c.ModifyOrder)] == [(SL1, 70), (TP1, 70)]


def test_foreign_sells_consume_foreign_shares_first() -> None:
    desk = Desktop()
    desk.open_position()
    desk.wait(7)
    hold(desk, 150)
    sold = i.ExecutionReport(
        exec_id="x1.01", ref="", order_id=0, symbol="AAPL", account="DU…0001", side=Side.SELL, qty=60, price=d("191"), at=desk.at
    )  # fmt: skip
    desk.do(i.ExecutionReported, execution=sold)
    assert desk.trade().taken == 10


def test_executions_of_symbols_nobody_trades_are_ignored() -> None:
    desk = Desktop()
    sold = i.ExecutionReport(
        exec_id="x1.01", ref="", order_id=0, symbol="IBM", account="DU…0001", side=Side.SELL, qty=60, price=d("191"), at=desk.at
    )  # fmt: skip
    desk.do(i.ExecutionReported, execution=sold)
    assert desk.last == ()


def test_an_operators_order_at_a_price_needs_no_touch_and_a_wrong_account_is_refused() -> None:
    desk = Desktop()
    priced = plan(entry=EntryKind.PRICED, limit=d("189"), level=None, chase_limit=None, entry_timeout=None)
    desk.do(i.TradeRequested, id="m-1", plan=priced, instrument=AAPL)
    desk.answer(None, "m-1")
    assert desk.sent(c.PlaceOrder)[0].order.limit == d("189")
    desk.do(i.TradeRequested, id="m-2", plan=plan(account="U…9"), instrument=AAPL)
    desk.answer(quote(desk.at), "m-2")
    assert [event.reason for event in desk.told(RiskRejected)] == ["wrong_account"]


def test_an_ask_at_or_below_the_stop_is_refused() -> None:
    desk = Desktop()
    desk.watch(sl=d("189.99"))
    desk.close_bar(0, "190")
    desk.answer(quote(desk.at, bid="189.90", ask="189.95"))
    assert desk.sent(c.PlaceOrder) == []
    assert desk.trade().end_reason == "below_stop"


def test_fees_are_booked_to_the_trade_that_caused_them() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.CommissionReported, exec_id="e1.01", amount=d("1.00"))
    assert [event.amount for event in desk.told(CommissionCharged)] == [d("1.00")]
    desk.do(i.CommissionReported, exec_id="unknown.01", amount=d("1.00"))
    assert desk.last == ()
    desk.execute(SL1, 100, "187", "e2.01")
    desk.report(TP1, OrderState.CANCELLED)
    (closed,) = desk.told(TradeClosed)
    assert closed.fees == d("1.00")
    assert closed.r == -1


def test_a_repeated_position_changes_nothing() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    before = desk.desk
    hold(desk, 100)
    assert desk.desk is before
    assert desk.desk.books["AAPL"].held() == 100


# --- link -------------------------------------------------------------------------------------------------------------


def test_orders_in_flight_at_the_drop_are_unknown_until_the_broker_shows_them() -> None:
    desk = Desktop()
    desk.trigger()
    desk.do(i.LinkChanged, up=False, account="DU…0001", paper=True, why="gone")
    assert desk.order(ENTRY).state is OrderState.UNKNOWN
    desk.do(i.LinkChanged, up=False, account="DU…0001", paper=True, why="gone again")
    assert desk.last == ()
    desk.do(i.LinkChanged, up=True, account="DU…0001", paper=True)
    assert [ask.epoch for ask in desk.sent(c.AskSnapshot)] == [2]
    shown = i.OrderReport(ref=ENTRY, order_id=1, state=OrderState.WORKING, filled=0, remaining=100)
    late = i.SnapshotAnswered(at=desk.at, epoch=1, orders=(shown,), executions=(), positions=())
    desk.feed(late)
    assert desk.last == ()  # an answer of the connection before
    desk.do(i.SnapshotAnswered, epoch=2, orders=(shown,), executions=(), positions=())
    assert desk.order(ENTRY).state is OrderState.WORKING
    assert desk.desk.link.is_open


def test_fills_of_the_time_away_are_booked_from_the_snapshot() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.LinkChanged, up=False, account="DU…0001", paper=True, why="gone")
    desk.do(i.LinkChanged, up=True, account="DU…0001", paper=True)
    execution = i.ExecutionReport(
        exec_id="e2.01", ref=TP1, order_id=2, symbol="AAPL", account="DU…0001", side=Side.SELL, qty=100,
        price=d("195"), at=desk.at,
    )  # fmt: skip
    position = i.PositionReport(symbol="AAPL", con_id=AAPL.con_id, account="DU…0001", qty=0, average=d("0"))
    desk.do(i.SnapshotAnswered, epoch=2, orders=(), executions=(execution,), positions=(position,))
    assert desk.order(TP1).state is OrderState.FILLED
    assert desk.desk.books["AAPL"].position == 0


def test_a_watcher_ends_with_its_session_and_only_once() -> None:
    desk = Desktop()
    desk.watch()
    desk.at = SESSION.close
    desk.do(i.TimerFired, key="close:br-1")
    assert desk.desk.watchers["br-1"].end_reason == "session_end"
    desk.do(i.TimerFired, key="close:br-1")
    desk.do(i.WatchCancelRequested, watch="br-1")
    desk.do(i.WatchCancelRequested, watch="nobody")
    assert desk.last == ()


def test_a_typed_limit_far_through_the_market_is_refused() -> None:
    desk = Desktop()
    priced = plan(
        entry=EntryKind.PRICED,
        limit=d("250"),
        level=None,
        tps=(),
        sl=None,
        mode=ExitMode.NONE,
        chase_limit=None,
    )
    desk.do(i.TradeRequested, id="m-1", plan=priced, instrument=AAPL)
    desk.answer(quote(desk.at), "m-1")
    assert [event.reason for event in desk.told(RiskRejected)] == ["price_collar"]


def test_a_position_without_working_orders_keeps_nobody_waiting() -> None:
    desk = Desktop()
    desk.open_position(tps=(), sl=None, mode=ExitMode.NONE, chase_limit=None)
    assert desk.trade().phase is TradePhase.OPEN
    assert desk.desk.busy() == ()


def test_a_change_that_reaches_an_order_after_its_end_is_no_alarm() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    desk.execute(SL1, 100, "187", "e2.01")
    desk.do(
        i.OrderRefusedByBroker,
        ref=SL1,
        what=RefusedWhat.CHANGE,
        code=104,
        text="Cannot modify a filled order.",
    )
    assert desk.told(LadderStopLossReplaceFailed) == []
    assert [event.story() for event in desk.told(OrderRefused)] == [None]
