"""Corners of ladders: covers that are refused or cancelled, shares that somebody sold before, stops that may not move."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.core.support import ENTRY, SESSION, Desktop, d, quote
from tests.core.test_totals_and_pictures import picture
from tests.core.test_unsafe_shares import hold, sell, sold_by_hand, works

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import LadderStopLossReplaceFailed, TradeClosed
from tradeshell.core.exit_events import CoverStopPlaced, IncidentStepTaken, LadderArmed, MilestoneReached
from tradeshell.core.exits import ruled_stop
from tradeshell.core.incidents import TOO_MANY
from tradeshell.core.inputs import RefusedWhat
from tradeshell.core.orders import OrderState, OrderType, Side
from tradeshell.core.plan import Cover, ExitMode
from tradeshell.core.trade import Leg, TradePhase

THREE = {"mode": ExitMode.DETACHED, "tps": (d("195"), d("198"), d("201"))}
COVER_STOP = "ts:br-1:cover:1"


def entering(executed: int, **more: Any) -> Desktop:
    """Return a desk whose ladder's entry works and has executed so many shares."""
    desk = Desktop()
    desk.trigger(**(THREE | more))
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, executed, "190.15", "e1.01")
    return desk


def covered(executed: int = 50) -> Desktop:
    """Return a desk whose entry works, with a cover stop over what has executed."""
    desk = entering(executed)
    hold(desk, executed)
    desk.wait(0.5)
    desk.do(i.TimerFired, key="again:br-1:cover")
    assert [order.order.ref for order in desk.sent(c.PlaceOrder)] == [COVER_STOP]
    desk.report(COVER_STOP, OrderState.HELD)
    return desk


def armed(**more: Any) -> Desktop:
    """Return a desk whose ladder of 60, 30 and 10 works."""
    desk = entering(100, **more)
    hold(desk, 100)
    for ref in desk.refs()[1:]:
        desk.report(ref, OrderState.HELD if desk.order(ref).spec.type.is_stop else OrderState.WORKING)
    assert desk.trade().protection == "PROTECTED"
    return desk


def placed(desk: Desktop) -> list[tuple[str, int]]:
    """Return the legs and totals of the orders that the last input sent."""
    return [(order.order.ref.split(":")[2], order.order.qty) for order in desk.sent(c.PlaceOrder)]


# --- the cover --------------------------------------------------------------------------------------------------------


def test_a_cover_that_the_operator_cancelled_stays_away() -> None:
    desk = covered()
    desk.do(i.CancelRequested, ref=COVER_STOP)
    desk.report(COVER_STOP, OrderState.CANCELLED)
    desk.wait(5)
    desk.do(i.TimerFired, key="again:br-1:cover")
    assert placed(desk) == []
    assert desk.trade().protection == "ARMING"


def test_a_cover_that_was_refused_is_tried_again_a_second_after_it_was_sent() -> None:
    desk = covered()
    desk.wait(0.2)
    desk.do(i.OrderRefusedByBroker, ref=COVER_STOP, what=RefusedWhat.ORDER, code=201, text="no")
    desk.report(COVER_STOP, OrderState.REFUSED)
    desk.wait(0.2)
    desk.execute(ENTRY, 1, "190.15", "e2.01")
    assert placed(desk) == []
    desk.wait(0.6)
    desk.do(i.TimerFired, key="again:br-1:cover")
    assert [leg for leg, _ in placed(desk)] == ["cover"]


def test_no_cover_leaves_for_shares_that_the_broker_says_are_not_there() -> None:
    desk = entering(50)
    hold(desk, 0)
    desk.wait(0.5)
    desk.do(i.TimerFired, key="again:br-1:cover")
    assert placed(desk) == []
    hold(desk, 50)
    assert placed(desk) == [("cover", 50)]


def test_a_cover_shrinks_with_the_shares_it_covers() -> None:
    desk = covered()
    sold_by_hand(desk, 20, "x1.01")
    assert [(change.order.ref, change.order.qty) for change in desk.sent(c.ModifyOrder)] == [(COVER_STOP, 30)]
    assert desk.told(CoverStopPlaced) == []


# --- arming -----------------------------------------------------------------------------------------------------------


def test_a_leg_that_somebody_sold_before_it_was_armed_keeps_no_ladder_from_being_armed() -> None:
    desk = entering(100, cover=Cover.NONE)
    sold_by_hand(desk, 60, "x1.01")
    hold(desk, 40)
    assert placed(desk) == [("sl2", 30), ("tp2", 30), ("sl3", 10), ("tp3", 10)]
    assert [event.legs for event in desk.told(LadderArmed)] == [(0, 30, 10)]
    assert desk.trade().is_armed


def test_a_ladder_whose_shares_were_all_sold_before_is_over_and_not_called_armed() -> None:
    desk = entering(100, cover=Cover.NONE)
    sold_by_hand(desk, 100, "x1.01")
    hold(desk, 0)
    assert placed(desk) == []
    assert desk.ever_told(LadderArmed) == []
    assert desk.trade().phase is TradePhase.CLOSED


def test_a_leg_for_which_the_cap_has_no_room_waits_and_a_smaller_one_is_armed() -> None:
    desk = entering(100, cover=Cover.NONE)
    sell(desk, 50)
    hold(desk, 100)
    assert placed(desk) == [("sl2", 30), ("tp2", 30), ("sl3", 10), ("tp3", 10)]
    assert not desk.trade().is_armed
    desk.do(i.CancelRequested, ref="ts:m-1:sell:1")
    desk.report("ts:m-1:sell:1", OrderState.CANCELLED)
    desk.wait(1)
    desk.do(i.TimerFired, key="again:br-1:cap")
    assert placed(desk) == [("sl1", 60), ("tp1", 60)]
    assert desk.trade().is_armed


def test_shares_that_a_correction_takes_are_taken_from_legs_without_exits_and_no_stop_ends_for_them() -> None:
    desk = entering(100, cover=Cover.NONE)
    sell(desk, 50)
    hold(desk, 100)
    assert placed(desk) == [("sl2", 30), ("tp2", 30), ("sl3", 10), ("tp3", 10)]
    desk.execute(ENTRY, 40, "190.15", "e1.02")
    assert [leg.qty for leg in desk.trade().legs] == [0, 30, 10]
    # What was typed to be sold is there no more; no stop ends for it.
    assert [order.ref for order in desk.sent(c.CancelOrder)] == ["ts:m-1:sell:1"]
    assert desk.sent(c.ModifyOrder) == []
    desk.execute(ENTRY, 35, "190.15", "e1.03")  # there is no other leg any more
    assert [leg.qty for leg in desk.trade().legs] == [0, 30, 5]


# --- stops that follow ------------------------------------------------------------------------------------------------


def first_target(desk: Desktop) -> None:
    """Let the first target sell all of its 60 shares."""
    desk.execute("ts:br-1:tp1:1", 60, "195", "t1.01")
    desk.report("ts:br-1:tp1:1", OrderState.FILLED, filled=60)
    desk.report("ts:br-1:sl1:1", OrderState.CANCELLED)
    assert [event.number for event in desk.ever_told(MilestoneReached)] == [1]


def test_a_stop_that_is_elected_already_is_not_raised() -> None:
    desk = armed()
    desk.report("ts:br-1:sl2:1", OrderState.WORKING)
    first_target(desk)
    desk.answer(quote(desk.at, "195.00", "195.02"), "raise:br-1")
    assert [change.order.ref for change in desk.sent(c.ModifyOrder)] == ["ts:br-1:sl3:1"]


def test_no_touch_is_asked_for_while_the_market_is_closed() -> None:
    desk = armed()
    desk.at = SESSION.close
    first_target(desk)
    desk.answer(None, "raise:br-1", session=None)
    desk.wait(1.5)
    desk.do(i.TimerFired, key="again:br-1:raise")
    assert [ask.key for ask in desk.sent(c.AskQuote)] == []


def test_a_leg_without_a_stop_has_none_to_raise() -> None:
    trade = armed().trade()
    assert ruled_stop(trade, Leg(2, 30, step=2), 1) is None
    assert ruled_stop(trade, Leg(2, 30, step=2, stop=d("187")), 1) == d("190")


# --- what the broker does not take ------------------------------------------------------------------------------------


def test_a_target_whose_change_the_group_forbids_is_given_a_new_pair_and_no_stop_is_mourned() -> None:
    desk = armed()
    desk.do(i.ReplaceRequested, ref="ts:br-1:tp2:1", limit=d("199"))
    desk.do(
        i.OrderRefusedByBroker,
        ref="ts:br-1:tp2:1",
        what=RefusedWhat.CHANGE,
        code=10327,
        text="OCA group revision is not allowed",
    )
    assert desk.order("ts:br-1:tp2:1").needs_new_group
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == ["ts:br-1:tp2:1"]
    assert desk.told(LadderStopLossReplaceFailed) == []


def refused_for_room(desk: Desktop, ref: str) -> None:
    """Let the broker refuse the stop of a leg because too many orders work; its target is cancelled, a first picture comes."""
    desk.do(i.OrderRefusedByBroker, ref=ref, what=RefusedWhat.ORDER, code=201, text=TOO_MANY)
    desk.wait(1)
    desk.do(i.TimerFired, key="again:br-1:stop1")
    desk.report(ref.replace("sl", "tp"), OrderState.CANCELLED)
    everything(desk)


def everything(desk: Desktop, *, asked: float = 0) -> None:
    """Let a complete picture come that was asked for so many seconds ago."""
    living = [order.spec.ref for order in desk.desk.orders() if order.state.is_live]
    shown = [works(desk, ref, desk.order(ref).state) for ref in living]
    picture(desk, *shown, asked_at=desk.at - timedelta(seconds=asked))


def test_a_ladder_of_one_leg_has_no_target_to_give_up_for_its_stop() -> None:
    desk = entering(100, tps=(d("195"),), mode=ExitMode.DETACHED)
    hold(desk, 100)
    desk.report("ts:br-1:tp1:1", OrderState.WORKING)
    refused_for_room(desk, "ts:br-1:sl1:1")
    desk.wait(2)
    everything(desk)
    steps = [(event.rung, event.reason) for event in desk.ever_told(IncidentStepTaken)]
    assert steps == [("barrier", ""), ("emergency", "the broker takes no more orders on this side")]
    assert desk.order("ts:br-1:sl1:2").spec.type is OrderType.STOP


def test_a_target_that_the_operator_is_cancelling_makes_room_without_a_second_cancel() -> None:
    desk = armed()
    refused_for_room(desk, "ts:br-1:sl1:1")
    desk.wait(2)
    desk.do(i.CancelRequested, ref="ts:br-1:tp3:1")
    everything(desk, asked=0.5)
    assert desk.sent(c.CancelOrder) == []
    assert desk.trade().legs[2].tp is None
    assert desk.trade().legs[0].has_room


def test_the_cancel_of_a_target_that_the_broker_holds_for_ever_leaves_once_and_again_after_a_refusal() -> (
    None
):
    desk = Desktop()
    desk.trigger(sl=None)
    target = "ts:br-1:tp1:1"
    desk.report(ENTRY, OrderState.WORKING)
    desk.report(target, OrderState.HELD)
    desk.execute(ENTRY, 10, "190.15", "e1.01")
    desk.do(i.WatchCancelRequested, watch="br-1")
    desk.report(ENTRY, OrderState.CANCELLED, filled=10)
    hold(desk, 10)
    desk.report(target, OrderState.HELD, qty=10)
    desk.wait(2)
    for expected in ([target], []):
        desk.do(i.TimerFired, key="again:br-1:orphans")
        assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == expected
    desk.do(i.OrderRefusedByBroker, ref=target, what=RefusedWhat.CANCEL, code=201, text="busy")
    assert desk.sent(c.CancelOrder) == []
    desk.wait(1)
    desk.do(i.TimerFired, key=f"retry:{target}")
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [target]


def test_shares_without_exits_are_sold_at_the_market_when_flattened() -> None:
    desk = Desktop()
    desk.trigger(mode=ExitMode.NONE, tps=(), sl=None)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)
    assert placed(desk) == []
    desk.do(i.FlattenRequested, symbol="AAPL")
    (sale,) = desk.sent(c.PlaceOrder)
    assert (sale.order.side, sale.order.qty, sale.order.type) == (Side.SELL, 100, OrderType.MARKET)
    desk.execute(sale.order.ref, 100, "190.00", "e2.01")
    assert [event.qty for event in desk.told(TradeClosed)] == [100]
