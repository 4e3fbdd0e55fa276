"""What is believed of the broker's words: claims without executions, ends that were none, corrections, late elections."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.support import ENTRY, SL1, TP1, Desktop, d, quote
from tests.core.test_totals_and_pictures import picture, seen
from tests.core.test_unsafe_shares import elected, hold, in_position

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.book import OLD
from tradeshell.core.events import BracketChildOrderFilled, OrderFilled
from tradeshell.core.exit_events import IncidentStepTaken
from tradeshell.core.orders import OrderState
from tradeshell.core.trade import TradePhase, awaited

LATER = OLD.total_seconds() + 1


def everything(desk: Desktop, *, held: int = 100, asked_ago: float = 0, **states: OrderState) -> None:
    """Let a complete picture come that shows what lives, an order of ``states`` (by leg) whatever we believe of it."""
    shown = []
    for order in desk.desk.orders():
        state = states.get(order.spec.ref.split(":")[2], order.state)
        if state.is_live:
            shown.append(seen(desk, order.spec.ref, state, qty=order.spec.qty, filled=order.filled))
    picture(desk, *shown, held=held, asked_at=desk.at - timedelta(seconds=asked_ago))


# --- a status that claims more than has executed ----------------------------------------------------------------------


def claimed() -> Desktop:
    """Return a desk whose target is said to have filled, without an execution."""
    desk = in_position()
    desk.report(TP1, OrderState.WORKING)
    desk.report(TP1, OrderState.FILLED, filled=100)
    assert awaited(desk.order(TP1)) == 100
    return desk


def test_a_claim_without_executions_is_reason_for_another_picture() -> None:
    desk = claimed()
    desk.wait(3)
    desk.do(i.TimerFired, key="picture")
    assert len(desk.sent(c.AskSnapshot)) == 1


def test_a_claim_without_executions_is_given_up_when_two_pictures_apart_know_nothing_of_it() -> None:
    desk = claimed()
    desk.wait(1)
    everything(desk)
    assert "picture" in [timer.key for timer in desk.sent(c.SetTimer)]
    desk.wait(LATER - 2)
    everything(desk)
    assert awaited(desk.order(TP1)) == 100  # answers of the same moment say nothing new
    desk.wait(LATER)
    everything(desk)
    assert awaited(desk.order(TP1)) == 0
    assert desk.order(TP1).untrue == 100


def test_a_position_that_speaks_for_a_claim_starts_its_doubt_anew() -> None:
    desk = claimed()
    desk.wait(1)
    everything(desk)
    assert desk.order(TP1).gone_at == desk.at
    desk.wait(LATER)
    everything(desk, held=0)
    assert desk.order(TP1).gone_at is None
    assert desk.order(TP1).untrue == 0


# --- ends and elections that pictures contradict ----------------------------------------------------------------------


def test_a_stop_that_pictures_go_on_showing_after_its_end_was_told_works() -> None:
    desk = in_position()
    desk.report(SL1, OrderState.CANCELLED)
    desk.wait(1)
    everything(desk, sl1=OrderState.HELD)
    assert desk.order(SL1).state is OrderState.CANCELLED  # the picture may be older than the end
    desk.wait(LATER)
    everything(desk, sl1=OrderState.HELD)
    assert desk.order(SL1).state is OrderState.HELD
    assert desk.order(SL1).ended_at is None
    assert desk.trade().protection == "PROTECTED"
    assert [event.rung for event in desk.ever_told(IncidentStepTaken) if event.rung != "barrier"] == []


def test_an_election_is_not_taken_back_by_a_picture_of_its_first_seconds() -> None:
    desk = elected()
    desk.wait(2)
    everything(desk, sl1=OrderState.HELD)
    assert desk.order(SL1).is_chased
    assert desk.order(SL1).is_missed
    desk.wait(LATER)
    everything(desk, sl1=OrderState.HELD)
    assert desk.order(SL1).state is OrderState.HELD


def test_a_refused_stop_that_comes_back_works_and_is_not_replaced() -> None:
    desk = in_position()
    desk.report(SL1, OrderState.REFUSED)
    assert desk.order(SL1).left == 100
    desk.report(SL1, OrderState.HELD)
    order = desk.order(SL1)
    assert (order.state, order.left, order.lost_at) == (OrderState.HELD, 0, None)
    assert desk.trade().protection == "PROTECTED"
    desk.wait(5)
    desk.do(i.TimerFired, key="again:br-1:stop1")
    assert desk.sent(c.PlaceOrder) == []


# --- replacements -----------------------------------------------------------------------------------------------------


def placed(desk: Desktop) -> list[str]:
    """Return the refs of the orders that the last input sent."""
    return [order.order.ref for order in desk.sent(c.PlaceOrder)]


def test_a_target_that_the_operator_cancelled_stays_away_also_when_its_stop_is_replaced() -> None:
    desk = in_position()
    desk.do(i.CancelRequested, ref=TP1)
    desk.report(TP1, OrderState.CANCELLED)
    desk.wait(5)
    desk.do(i.TimerFired, key="again:br-1:target1")
    assert placed(desk) == []
    desk.report(SL1, OrderState.CANCELLED)
    desk.wait(1)
    everything(desk)
    desk.wait(1)
    everything(desk)
    assert placed(desk) == ["ts:br-1:sl1:2"]


def test_a_vanished_stop_is_not_replaced_for_shares_that_the_position_lacks() -> None:
    desk = in_position()
    desk.report(TP1, OrderState.WORKING)
    desk.report(SL1, OrderState.CANCELLED)
    desk.wait(1)
    everything(desk)
    assert desk.order(TP1).cancelling
    desk.wait(2)
    everything(desk)
    assert desk.order(SL1).is_explained
    hold(desk, 40)
    desk.report(TP1, OrderState.CANCELLED)
    desk.wait(0.5)
    desk.do(i.TimerFired, key="again:br-1:stop1")
    assert placed(desk) == []
    again = {timer.key: timer.at - desk.at for timer in desk.sent(c.SetTimer)}
    assert again["again:br-1:stop1"] == timedelta(seconds=1)
    hold(desk, 100)
    desk.wait(1)
    desk.do(i.TimerFired, key="again:br-1:stop1")
    assert placed(desk) == ["ts:br-1:sl1:2", "ts:br-1:tp1:2"]


# --- executions -------------------------------------------------------------------------------------------------------


def test_a_correction_of_the_price_alone_moves_no_share() -> None:
    desk = in_position()
    desk.execute(ENTRY, 100, "190.25", "e1.02")
    assert (desk.order(ENTRY).filled, desk.order(ENTRY).average) == (100, d("190.25"))
    assert [event.price for event in desk.told(OrderFilled)] == [d("190.25")]
    assert len(desk.last) == 1


def test_the_first_execution_after_its_correction_changes_nothing() -> None:
    desk = in_position()
    desk.execute(TP1, 40, "195", "t1.02")
    desk.execute(TP1, 40, "195", "t1.01")
    assert desk.order(TP1).filled == 40
    assert desk.told(BracketChildOrderFilled) == []


def test_an_order_is_filled_when_what_a_correction_took_was_all_that_it_lacked() -> None:
    desk = in_position()
    desk.report(TP1, OrderState.WORKING)
    desk.report(TP1, OrderState.FILLED, filled=100)
    desk.execute(TP1, 60, "195", "t1.02")
    assert desk.order(TP1).state is OrderState.WORKING
    desk.execute(TP1, 100, "195", "t1.01")
    assert desk.order(TP1).state is OrderState.FILLED
    assert desk.order(TP1).filled == 60


# --- orders that did not leave ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("certain", [True, False])
def test_an_order_that_could_not_be_handed_over_is_refused_only_when_nothing_left(certain: bool) -> None:
    desk = Desktop()
    desk.trigger()
    desk.do(i.SendFailed, ref=ENTRY, action="place", reason="queue full", certain=certain)
    assert desk.order(ENTRY).state is (OrderState.REFUSED if certain else OrderState.UNKNOWN)
    assert len(desk.sent(c.AskSnapshot)) == (0 if certain else 1)
    assert desk.order(ENTRY).why == "queue full"


def test_an_attempt_that_nobody_waits_for_any_more_ends_unless_its_order_has_left() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.do(i.TradeAbandoned, id="br-1")
    assert (desk.trade().phase, desk.trade().end_reason) == (TradePhase.CLOSED, "abandoned")
    late = Desktop()
    late.trigger()
    late.do(i.TradeAbandoned, id="br-1")
    assert late.last == ()
    late.do(i.TradeAbandoned, id="nobody")
    assert late.last == ()


def test_an_attempt_whose_touch_never_comes_is_rejected_and_one_that_has_left_is_not() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.wait(3)
    desk.do(i.TimerFired, key="ask:br-1")
    assert (desk.trade().phase, desk.trade().end_reason) == (TradePhase.CLOSED, "no_quote")
    late = Desktop()
    late.trigger()
    late.do(i.TimerFired, key="ask:br-1")
    assert late.last == ()


# --- the touch --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bid", [None, "-1"])
def test_an_entry_needs_an_ask_and_no_bid(bid: str | None) -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at, bid=bid))
    assert len(desk.sent(c.PlaceOrder)) == 3
