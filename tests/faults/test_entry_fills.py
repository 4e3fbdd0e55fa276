"""Faults between the entry's sending and its end (group E of the scenarios): silence, partial and late fills, halts.

Laws: as in ``test_entry``.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from datetime import datetime

import pytest
from tests.faults.kit import Stage
from tests.faults.openings import (
    ENTRY,
    FULL,
    Make,
    break_out,
    buys,
    is_rejected,
)
from tests.plugins.breakout.words import planned

from tradeshell import words
from tradeshell.core import inputs as i
from tradeshell.core.events import (
    InventoryConfirmed,
    OrderChangeGivenUp,
    OrderFilled,
    OrderMissing,
    OrderOutcomeUnknown,
    RiskRejected,
    TradeReopened,
)
from tradeshell.core.exit_events import LadderArmed
from tradeshell.core.orders import OrderState, OrderType, Side
from tradeshell.core.policy import Policy
from tradeshell.errors import OperatorError
from tradeshell_breakout.events import BreakoutRejected, BreakoutStopped

PRE_MARKET = datetime.fromisoformat("2025-07-08T12:10:00+00:00")  # ten past eight in New York


# --- silence ----------------------------------------------------------------------------------------------------------


def test_E09_an_entry_that_nobody_answers_is_unknown_then_gone_and_is_not_sent_again(stage: Stage) -> None:
    """The order is swallowed: unknown after three seconds, gone after two pictures without it.

    Kills: no timer for the first answer to an order.
    """
    stage.lose("place", "entry")
    break_out(stage, wait=2.9)
    assert stage.told(OrderOutcomeUnknown) == []
    stage.wait(57)
    assert buys(stage) == ["place"]
    assert stage.working() == []
    assert stage.when(OrderOutcomeUnknown) == [pytest.approx(63.0, abs=0.01)]
    (gone,) = stage.when(OrderMissing)
    assert gone >= 64.0 - 0.001  # two pictures, a second apart
    assert len(stage.told(BreakoutStopped)) == 1
    assert "the broker does not have this order any more" in stage.line("entry", "ended")


def test_E09_an_entry_that_fills_after_it_was_given_up_gets_its_ladder(stage: Stage) -> None:
    """The order was slow, not lost: what it buys eight seconds later is protected and told.

    Kills: `settle` leaving a closed trade closed.
    """
    stage.delay("place", 8, "entry")
    break_out(stage, wait=7.9)
    assert len(stage.told(OrderMissing)) == 1
    stage.wait(5)
    assert stage.shares() == FULL
    assert buys(stage) == ["place"]
    assert len(stage.told(TradeReopened)) == 1
    assert "came late" in stage.line("reopened")
    assert "protected 100 % · 100 of 100" in stage.line("protected")
    stage.sells_at_most(100)


def test_E09_an_entry_that_turns_up_working_after_it_was_given_up_ends_with_its_timeout(stage: Stage) -> None:
    """It rests at the broker eight seconds late: the trade is open again, and the order does not outlive its time.

    Kills: a status that does not wake an order which pictures lacked.
    """
    stage.delay("place", 8, "entry")
    stage.watch()
    stage.wait(60 - stage.t % 60)
    stage.quote("190.00", "190.02")
    stage.close_bar_now("190.01")
    stage.quote("190.10", "190.12")
    stage.wait(9)
    assert [event.held for event in stage.told(TradeReopened)] == [0]
    assert "one of its orders works again" in stage.line("reopened")
    stage.wait(12)
    assert buys(stage) == ["place", "cancel"]
    assert stage.working() == []
    assert {sent.leg for sent in stage.sent} == {"entry"}


def test_E09_an_entry_that_nobody_can_reach_ends_by_itself(stage: Stage) -> None:
    """The link is gone while it rests: it carries its end, broker time plus its timeout and five seconds.

    Kills: entries sent as DAY orders.
    """
    stage.trigger(0)
    stage.drop_link()
    stage.wait(24)
    assert [order.leg for order in stage.working()] == ["entry"]
    stage.wait(6)
    assert stage.working() == []
    stage.move_to("189.50")
    stage.restore_link()
    stage.wait(20)
    assert stage.position() == 0
    assert buys(stage).count("place") == 1
    assert "the entry was not filled" in stage.line("stopped")


def test_E09_an_entry_that_expired_while_the_link_was_down_is_told_as_unfilled(stage: Stage) -> None:
    """The broker took it and let it expire: it was not refused, and nobody has to act.

    Kills: every entry that is gone being told as refused.
    """
    stage.trigger(0)
    stage.drop_link()
    stage.wait(31)
    stage.restore_link()
    stage.wait(20)
    assert stage.told(BreakoutRejected) == []
    assert stage.told(OrderChangeGivenUp) == []
    assert len(stage.told(BreakoutStopped)) == 1
    assert stage.working() == []
    assert "the entry was not filled" in stage.line("stopped")


# --- partial and late fills -------------------------------------------------------------------------------------------


def test_E10_a_partial_fill_then_nothing_is_cancelled_and_the_rest_is_split_anew(stage: Stage) -> None:
    """43 of 100, then the timeout: covered from the start, 26 + 13 + 4 afterwards, never more than 43 for sale.

    Kills: `settle` splitting what was asked for and not what was bought.
    """
    stage.trigger(43)
    stage.wait(2)
    assert stage.shares("cover") == {"cover": 43}
    stage.sells_at_most(43)
    stage.wait(20)
    assert stage.position() == 43
    assert stage.shares() == {"sl1": 26, "tp1": 26, "sl2": 13, "tp2": 13, "sl3": 4, "tp3": 4}
    assert all(sent.spec is None or sent.spec.qty > 0 for sent in stage.sent)
    assert [event.qty for event in stage.told(InventoryConfirmed)] == [43]
    assert [event.legs for event in stage.told(LadderArmed)] == [(26, 13, 4)]
    assert stage.when(LadderArmed)[0] - 80.0 < 5
    stage.sells_at_most(43)
    assert "filled 43 @ 190.02 (43 of 100)" in stage.line("entry", "filled")
    assert stage.line("protected") == "AAPL  exits     protected 100 % · 43 of 43 shares have a stop"


@pytest.mark.parametrize("code", [10148, 10147])
def test_E11_a_cancel_that_meets_the_fill_is_not_told_as_cancelled_and_the_ladder_stands(
    stage: Stage, code: int
) -> None:
    """The entry fills unheard, its cancel is refused (10148, or 10147 "not found"): a picture tells, and the legs arm.

    Kills: no look at the account after 10148 and 10147.
    """
    stage.trigger(0)
    for what in ("execution", "status", "position"):
        stage.lose(what, times=9)
    stage.lose("cancel", "entry")
    stage.wait(19)
    stage.move_to("190.00")
    stage.wait(1)
    text = "OrderId 1 that needs to be cancelled is not there"
    stage.say(
        i.OrderRefusedByBroker(at=stage.now, ref=ENTRY, what=i.RefusedWhat.CANCEL, code=code, text=text)
    )
    stage.wait(1.5)
    assert stage.shares() == FULL
    assert stage.when(LadderArmed)[0] - 80.0 < 1
    assert buys(stage) == ["place", "cancel"]
    assert not any("entry     cancelled" in line for line in stage.lines())
    assert [event.qty for event in stage.told(InventoryConfirmed)] == [100]
    assert f"cancel refused by the broker ({code})" in stage.line("entry  ", "refused")
    stage.sells_at_most(100)


def test_E12_an_execution_after_a_confirmed_cancel_opens_the_trade_again(stage: Stage) -> None:
    """202, and four seconds later 40 shares: booked, reopened, armed, and told as an alarm.

    Kills: `settle` leaving a closed trade closed.
    """
    stage.trigger(0)
    stage.wait(24)
    assert len(stage.told(BreakoutStopped)) == 1
    late = stage.t
    stage.fill_late("entry", 40, "190.02")
    stage.wait(5)
    assert stage.shares() == {"sl1": 24, "tp1": 24, "sl2": 12, "tp2": 12, "sl3": 4, "tp3": 4}
    assert [event.held for event in stage.told(TradeReopened)] == [40]
    assert stage.when(LadderArmed)[0] - late < 5
    assert "40 shares are held after all" in stage.line("reopened")
    stage.sells_at_most(40)


def test_E12_an_execution_a_minute_after_the_cancel_and_over_a_reconnect_is_booked(stage: Stage) -> None:
    """A watcher that is over goes on listening, and a picture tells what was missed while the link was down.

    Kills: executions of pictures not being booked.
    """
    stage.trigger(0)
    stage.wait(85)
    stage.drop_link()
    stage.fill_late("entry", 40, "190.02")
    stage.wait(5)
    stage.restore_link()
    stage.wait(5)
    assert stage.shares("sl") == {"sl1": 24, "sl2": 12, "sl3": 4}
    assert [event.cumulative for event in stage.told(OrderFilled)] == [40]
    assert "40 shares are held after all" in stage.line("reopened")


def test_E13_a_status_that_overtakes_the_executions_arms_nothing_too_early(stage: Stage) -> None:
    """`Filled 100` is heard with 43 executions booked: the rest is awaited, then the ladder arms once, for 100.

    Kills: a status filling an order without its executions.
    """
    stage.hold("execution", "entry", where=lambda message: message.execution.qty == 57)
    stage.trigger(43)
    stage.hold("position", times=9)
    stage.quote("190.00", "190.02", size=57)
    stage.quote("190.10", "190.12")
    stage.wait(0.8)
    assert stage.position() == 100
    assert stage.shares("sl") == {}
    assert stage.told(LadderArmed) == []
    stage.release()
    late = i.OrderReport(ref=ENTRY, order_id=1, state=OrderState.WORKING, filled=43, remaining=57, qty=100)
    stage.say(i.OrderReported(at=stage.now, report=late))
    stage.wait(3)
    assert stage.shares() == FULL
    assert [event.legs for event in stage.told(LadderArmed)] == [(60, 30, 10)]
    stage.sells_at_most(100)
    assert "armed 60 + 30 + 10 shares" in stage.line("armed 60")


def test_E14_messages_that_come_five_times_count_once(stage: Stage) -> None:
    """Every message of the entry comes five times, and again in the picture after a reconnect.

    Kills: `book` booking an execution id twice.
    """
    for what in ("execution", "status", "position"):
        stage.double(what, times=50, copies=5)
    stage.trigger()
    stage.wait(3)
    stage.drop_link()
    stage.wait(2)
    stage.restore_link()
    stage.wait(5)
    assert [event.cumulative for event in stage.told(OrderFilled)] == [100]
    assert stage.shares() == FULL
    assert len(stage.told(LadderArmed)) == 1
    assert buys(stage) == ["place"]
    stage.sells_at_most(100)
    assert len([line for line in stage.lines() if "filled 100" in line]) == 1


# --- halts, hours, quantities -----------------------------------------------------------------------------------------


def test_E19_nothing_is_bought_into_a_halt(stage: Stage) -> None:
    """Trading is halted when the bar closes.

    Kills: `guards` not knowing a halt.
    """
    stage.watch()
    stage.wait(60 - stage.t % 60)
    stage.halt()
    stage.close_bar_now("190.01")
    stage.wait(5)
    is_rejected(stage, "halted")
    assert "halted: AAPL is halted · nothing was sent" in stage.line("rejected")


def test_E19_a_halt_cancels_a_working_entry(stage: Stage) -> None:
    """The price at which trading resumes is not the price that was broken.

    Kills: no look for a halt while an entry works.
    """
    stage.trigger(0)
    stage.halt()
    stage.wait(3)
    assert stage.working() == []
    assert buys(stage) == ["place", "cancel"]
    stage.halt(on=False)
    stage.move_to("189.50")
    stage.wait(5)
    assert stage.position() == 0
    assert {sent.leg for sent in stage.sent} == {"entry"}
    assert len(stage.told(BreakoutStopped)) == 1
    assert "the symbol is halted" in stage.line("stopped")


def test_E19_an_entry_that_is_kept_through_a_halt_arms_nothing_and_its_timeout_ends_it(
    make_stage: Make,
) -> None:
    """With hold_through_halt the entry rests: no exit leaves for it, and it does not outlive its timeout.

    Kills: an entry without an end of its own, in the program and at the broker.
    """
    stage = make_stage(policy=Policy(hold_through_halt=True))
    stage.trigger(0)
    stage.halt()
    stage.wait(15)
    assert [order.leg for order in stage.working()] == ["entry"]
    stage.wait(15)
    stage.halt(on=False)
    stage.move_to("189.50")
    stage.wait(5)
    assert {sent.leg for sent in stage.sent} == {"entry"}
    assert stage.position() == 0
    assert "the entry was not filled in time" in stage.line("stopped")


@pytest.mark.parametrize("held", [0, 30])
def test_E20_a_sell_of_more_than_is_held_is_refused_with_the_free_quantity(stage: Stage, held: int) -> None:
    """`sell AAPL 50` with nothing, and with 30.

    Kills: `guards` letting a sell pass that is larger than what is free.
    """
    if held:
        stage.order_now("m-1", Side.BUY, held)
        stage.wait(3)
    stage.order_now("m-2", Side.SELL, 50)
    stage.wait(3)
    assert [sent.leg for sent in stage.sent if sent.spec is not None and sent.spec.side is Side.SELL] == []
    assert stage.position() == held
    assert [event.reason for event in stage.told(RiskRejected)] == ["would_short"]
    assert f"would_short): {held} of AAPL are free to sell ({held} held)" in stage.line("SELL 50 refused")


def test_E20_a_sell_under_a_full_ladder_shrinks_the_legs_first(stage: Stage) -> None:
    """100 are held, all of them behind exits; `sell AAPL 50` is no short sale.

    Kills: `yielding.rearrange` letting no leg give way.
    """
    stage.ladder()
    stage.order_now("m-2", Side.SELL, 50)
    stage.wait(5)
    assert stage.position() == 50
    stage.sells_at_most(50)


@pytest.mark.parametrize("text", ["0.5", "100.37"])
def test_E21_a_part_of_a_share_is_refused_where_it_is_typed(stage: Stage, text: str) -> None:
    """No order for a fraction can be made, and none is rounded.

    Kills: `words.quantity` reading the whole part of a number.
    """
    with pytest.raises(ValueError, match="fraction"):
        words.quantity(text)
    assert stage.sent == []


def test_E23_outside_regular_hours_every_exit_works_then_too_and_a_stop_sells(make_stage: Make) -> None:
    """08:10 in New York, outside_rth: cover and legs are stop-limits that may work now; the stop really sells.

    Kills: exits that do not inherit outside_rth.
    """
    stage = make_stage(start=PRE_MARKET)
    stage.trigger(43, outside_rth=True)
    stage.wait(2)
    assert [(order.leg, order.type) for order in stage.working("cover")] == [("cover", OrderType.STOP_LIMIT)]
    stage.wait(25)
    assert stage.shares("sl") == {"sl1": 26, "sl2": 13, "sl3": 4}
    assert all(sent.spec is None or sent.spec.outside_rth for sent in stage.sent)
    assert "protected 100 %" in stage.line("protected")
    stage.quote("186.90", "186.92")
    stage.trade("186.90")
    stage.wait(5)
    assert stage.position() == 0
    assert stage.working() == []
    assert "43 shares · 190.02 → 186.90" in stage.line("closed  ")


def test_E23_a_plain_stop_outside_regular_hours_is_refused_where_it_is_typed(stage: Stage) -> None:
    """It would not trigger before half past nine: that is not protection.

    Kills: the plan's words without that rule.
    """
    with pytest.raises(OperatorError, match="a plain stop does not trigger outside regular hours"):
        planned("AAPL level=190 qty=100 tp=195 sl=187 sl_type=stop outside_rth=true")
    assert stage.sent == []


def test_E23_flatten_outside_regular_hours_sells_by_marketable_limits(make_stage: Make) -> None:
    """A market order would wait until half past nine, with the exits cancelled for it.

    Kills: market orders outside regular hours.
    """
    stage = make_stage(start=PRE_MARKET)
    stage.ladder(outside_rth=True)
    stage.flatten()
    stage.wait(20)
    assert stage.position() == 0
    assert stage.working() == []
    sales = [sent.spec for sent in stage.sent if sent.leg.startswith("flat") and sent.spec is not None]
    assert {(spec.type, spec.outside_rth) for spec in sales} == {(OrderType.LIMIT, True)}
    stage.sells_at_most(0)
    assert "AAPL is flat" in stage.line("flatten", "flat")
