"""Sequences of messages that once sent too much, too little or the wrong thing: refusals, reductions, late news, changes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.support import AAPL, ENTRY, SL1, TP1, Desktop, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import OrderChangeGivenUp
from tradeshell.core.inputs import RefusedWhat
from tradeshell.core.orders import OrderState, OrderType
from tradeshell.core.trade import TradePhase


def sent_orders(desk: Desktop) -> list[c.Command]:
    """Return the order commands that the last input caused."""
    return [command for command in desk.last if isinstance(command, c.ORDER_COMMANDS)]


def changed_totals(desk: Desktop) -> list[tuple[str, int]]:
    """Return the orders and totals of the modifies that the last input caused."""
    return [(command.order.ref, command.order.qty) for command in desk.sent(c.ModifyOrder)]


def refuse(desk: Desktop, ref: str, what: RefusedWhat, code: int = 201) -> None:
    """Let the broker refuse something about an order."""
    desk.do(i.OrderRefusedByBroker, ref=ref, what=what, code=code, text="no")


def staged() -> Desktop:
    """Return a desk whose entry works and whose children wait for it."""
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.report(TP1, OrderState.HELD)
    desk.report(SL1, OrderState.HELD)
    return desk


def partly_entered() -> Desktop:
    """Return a desk that bought 43 of 100: the rest timed out, the children live on over 43."""
    desk = staged()
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    desk.wait(20)
    desk.do(i.TimerFired, key="entry:br-1")
    desk.report(ENTRY, OrderState.CANCELLED, filled=43)
    desk.report(TP1, OrderState.WORKING, qty=43)
    desk.report(SL1, OrderState.HELD, qty=43)
    return desk


def sold_at_the_target() -> Desktop:
    """Return a desk whose target has sold everything while the stop is not known to be gone."""
    desk = Desktop()
    desk.open_position()
    desk.execute(TP1, 100, "195", "e2.01")
    return desk


# --- a refusal is followed by a pause, never by the same command at once ----------------------------------------------


def test_a_refused_cancel_is_not_repeated_at_once() -> None:
    desk = sold_at_the_target()
    desk.wait(2)
    desk.do(i.TimerFired, key="again:br-1:drop")
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [SL1]
    refuse(desk, SL1, RefusedWhat.CANCEL, 10147)
    assert sent_orders(desk) == []


def test_a_refused_reduction_is_not_repeated_at_once() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(TP1, 40, "195", "e2.01")
    desk.report(SL1, OrderState.HELD, qty=100)
    desk.wait(1)
    desk.do(i.TimerFired, key="again:br-1:calm")
    assert changed_totals(desk) == [(SL1, 60)]
    refuse(desk, SL1, RefusedWhat.CHANGE, 2102)
    assert sent_orders(desk) == []


def test_a_change_that_could_not_be_handed_over_is_not_repeated_at_once() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    assert len(sent_orders(desk)) == 1
    desk.do(i.SendFailed, ref=SL1, action="replace", reason="not connected", certain=True)
    assert sent_orders(desk) == []


def test_a_cancel_that_is_refused_every_time_is_given_up() -> None:
    desk = sold_at_the_target()
    desk.wait(2)
    desk.do(i.TimerFired, key="again:br-1:drop")
    cancels = 0
    while sent_orders(desk) and cancels < 20:
        cancels += 1
        refuse(desk, SL1, RefusedWhat.CANCEL)
        desk.wait(60)
        desk.do(i.TimerFired, key=f"retry:{SL1}")
    assert cancels == 4
    assert len(desk.ever_told(OrderChangeGivenUp)) == 1


# --- no total of ours may undo a reduction of the broker's; what has grown goes down at once ---------------------------


def test_a_reduction_that_crossed_the_brokers_own_is_corrected() -> None:
    desk = Desktop()
    desk.open_position()
    desk.report(TP1, OrderState.WORKING, qty=100)
    desk.report(SL1, OrderState.WORKING, qty=100)
    desk.do(i.ReplaceRequested, ref=TP1, limit=d("194"))
    desk.report(TP1, OrderState.WORKING, qty=100)
    desk.execute(SL1, 87, "187", "e2.01")
    desk.report(TP1, OrderState.WORKING, qty=13)
    desk.report(TP1, OrderState.WORKING, qty=3)  # the broker's own reductions by 87 and by 10
    desk.execute(SL1, 10, "187", "e3.01")
    desk.report(TP1, OrderState.WORKING, qty=13)  # a change of ours lands last: 13 may sell, 3 are held
    assert changed_totals(desk) == [(TP1, 3)]


# --- a change of a staged order must reach the exchange ----------------------------------------------------------------


def test_a_change_always_transmits() -> None:
    desk = staged()
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.CANCELLED, filled=43)
    assert [change.order.transmit for change in desk.sent(c.ModifyOrder)] == [True, True]


# --- late news is true: a finished trade that holds shares is open again ----------------------------------------------


def test_a_fill_after_the_confirmed_cancel_opens_the_trade_again_and_arms_it() -> None:
    desk = staged()
    desk.wait(20)
    desk.do(i.TimerFired, key="entry:br-1")
    for ref in (ENTRY, TP1, SL1):
        desk.report(ref, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    desk.wait(4)
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    assert desk.trade().phase is TradePhase.OPEN
    assert [place.order.qty for place in desk.sent(c.PlaceOrder)] == [40, 40]


def test_an_exit_that_is_busted_opens_the_trade_again() -> None:
    desk = sold_at_the_target()
    desk.report(SL1, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    desk.execute(TP1, 0, "195", "e2.02")
    assert desk.trade().phase is TradePhase.OPEN
    assert desk.trade().protection == "UNPROTECTED"


# --- executions alone say what is held; while some are on their way nothing new is armed -------------------------------


def test_a_correction_of_the_entry_shrinks_the_exits() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(ENTRY, 90, "190.15", "e1.02")
    assert [qty for _, qty in changed_totals(desk)] == [90, 90]


def test_shares_that_a_status_says_are_sold_are_not_armed_again() -> None:
    desk = partly_entered()
    desk.report(SL1, OrderState.WORKING, qty=43)
    desk.report(SL1, OrderState.CANCELLED, filled=20)  # the execution of these 20 is late
    desk.report(TP1, OrderState.CANCELLED)
    assert sent_orders(desk) == []


def test_an_order_that_filled_at_a_smaller_total_is_over() -> None:
    desk = Desktop()
    desk.trigger()
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    desk.execute(TP1, 92, "195", "e2.01")  # the children's first statuses are late
    desk.execute(SL1, 8, "187", "e3.01")
    desk.report(SL1, OrderState.FILLED, filled=8, qty=8)
    desk.report(TP1, OrderState.CANCELLED, filled=92)
    assert desk.trade().phase is TradePhase.CLOSED


def test_an_exit_may_execute_before_the_entrys_execution_arrives() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(TP1, OrderState.CANCELLED)
    desk.execute(SL1, 100, "187", "e2.01")
    desk.report(ENTRY, OrderState.CANCELLED)
    assert desk.order(SL1).filled == 100
    assert desk.trade().phase is not TradePhase.CLOSED


def test_the_timer_of_a_drop_that_comes_a_microsecond_early_loses_nothing() -> None:
    desk = sold_at_the_target()
    desk.at += timedelta(seconds=2) - timedelta(microseconds=1)
    desk.do(i.TimerFired, key="again:br-1:drop")
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [SL1]


# --- what is wanted follows what the operator and the broker agreed, and prices lie on the grid -------------------------


def test_a_refused_change_goes_back_to_what_worked_before() -> None:
    desk = Desktop()
    desk.trigger()
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.HELD, limit=None, stop=None)  # a bare status carries no prices
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("189"))
    refuse(desk, SL1, RefusedWhat.CHANGE)
    assert desk.order(SL1).spec.stop == d("187")


def test_a_stop_that_somebody_moved_at_the_broker_is_adopted() -> None:
    desk = Desktop()
    desk.open_position()
    desk.report(SL1, OrderState.HELD, stop=d("185"), limit=d("185"))
    assert desk.order(SL1).spec.stop == d("185")
    assert desk.trade().legs[0].stop == d("185")


def test_a_limit_that_the_operator_gave_a_stop_is_kept() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.ReplaceRequested, ref=SL1, limit=d("186.50"))
    desk.report(SL1, OrderState.HELD)
    assert desk.order(SL1).spec.limit == d("186.50")
    assert sent_orders(desk) == []


def test_a_price_that_the_order_does_not_have_is_no_disagreement() -> None:
    desk = Desktop()
    desk.open_position(sl_type=OrderType.STOP)
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    desk.report(SL1, OrderState.HELD, limit=d("0"))
    assert not desk.order(SL1).changing


def test_a_replaced_price_lies_on_the_grid() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.ReplaceRequested, ref=TP1, limit=d("195.005"))
    (change,) = desk.sent(c.ModifyOrder)
    assert change.order.limit is not None
    assert AAPL.grid.holds(change.order.limit)


# --- protection is what lives at the broker and works for shares that have executed ------------------------------------


def test_held_children_of_a_working_entry_protect_nothing() -> None:
    desk = staged()
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    assert desk.trade().protection == "ARMING"


def test_exits_of_our_own_that_nobody_answers_are_told_as_no_protection() -> None:
    desk = staged()
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    desk.report(TP1, OrderState.CANCELLED)
    desk.report(SL1, OrderState.CANCELLED)
    desk.report(ENTRY, OrderState.CANCELLED, filled=43)
    for ref in ("ts:br-1:sl1:2", "ts:br-1:tp1:2"):
        desk.do(i.TimerFired, key=f"ack:{ref}")
    assert desk.trade().protection == "UNPROTECTED"


def test_an_entry_whose_stop_was_refused_does_not_go_on() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.report(TP1, OrderState.HELD)
    refuse(desk, SL1, RefusedWhat.ORDER)
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [ENTRY]
    assert len(sent_orders(desk)) == 1


def test_the_operators_cancel_is_not_fought_after_a_partial_entry() -> None:
    desk = partly_entered()
    desk.wait(600)
    desk.do(i.CancelRequested, ref=SL1)
    desk.report(SL1, OrderState.CANCELLED)
    assert sent_orders(desk) == []
    desk.report(TP1, OrderState.CANCELLED)
    assert sent_orders(desk) == []


# --- a number that is none decides nothing -----------------------------------------------------------------------------


@pytest.mark.parametrize("ask", ["NaN", "Infinity", "-1"])
def test_a_touch_that_is_no_price_enters_nothing(ask: str) -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at, ask=ask))
    assert sent_orders(desk) == []
    assert desk.desk.busy() == ()
