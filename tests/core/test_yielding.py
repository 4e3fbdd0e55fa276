"""Legs that give way to a typed sale, where no venue plays what is needed: see ``tests/faults/test_sales.py`` for the rest."""

from __future__ import annotations

import pytest
from tests.core.support import Desktop, quote
from tests.core.test_branches_ladders import armed
from tests.core.test_stops_and_changes import hold, sell

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import RiskRejected
from tradeshell.core.exit_events import LegsGaveWay, LegsTookBack
from tradeshell.core.orders import OrderState
from tradeshell.core.trade import TradePhase
from tradeshell.core.yielding import shared


def acknowledge(desk: Desktop) -> None:
    """Let the broker show every exit as it was changed, targets and then stops."""
    for leg in ("tp", "sl"):
        for number in (1, 2, 3):
            ref = f"ts:br-1:{leg}{number}:1"
            desk.report(ref, desk.order(ref).state, qty=desk.order(ref).spec.qty)


def waiting() -> Desktop:
    """Return a desk with 100 under a ladder and a sale of 50 whose legs have given way, waiting for its touch."""
    desk = armed()
    hold(desk, 100)
    sell(desk, 50)
    acknowledge(desk)
    assert [ask.key for ask in desk.sent(c.AskQuote)] == ["m-1"]
    return desk


@pytest.mark.parametrize(
    "qty, legs, given",
    [
        (50, {1: 60, 2: 30, 3: 10}, {1: 30, 2: 15, 3: 5}),
        (33, {1: 60, 2: 30, 3: 10}, {1: 20, 2: 10, 3: 3}),
        (1, {1: 60, 2: 30, 3: 10}, {1: 1, 2: 0, 3: 0}),
        (97, {1: 60, 2: 30, 3: 10}, {1: 59, 2: 29, 3: 9}),  # one stays in each
        (99, {1: 60, 2: 30, 3: 10}, {1: 59, 2: 30, 3: 10}),
        (100, {1: 60, 2: 30, 3: 10}, {1: 60, 2: 30, 3: 10}),
        (2, {1: 1, 2: 1, 3: 4}, {1: 0, 2: 0, 3: 2}),  # the first leg's target moves the other stops
        (1, {1: 1, 2: 1, 3: 1}, {1: 1, 2: 0, 3: 0}),
    ],
)
def test_every_leg_gives_its_part_and_keeps_a_share_as_long_as_it_can(
    qty: int, legs: dict[int, int], given: dict[int, int]
) -> None:
    assert shared(qty, legs) == given


def test_a_sale_whose_touch_never_comes_gives_its_shares_back() -> None:
    desk = waiting()
    desk.wait(2)
    desk.do(i.TimerFired, key="ask:m-1")
    assert [event.reason for event in desk.told(RiskRejected)] == ["no_quote"]
    assert [event.qty for event in desk.told(LegsTookBack)] == [50]
    assert [(place.order.ref, place.order.qty) for place in desk.sent(c.PlaceOrder)] == [
        ("ts:br-1:sl4:1", 50),
        ("ts:br-1:tp4:1", 50),
    ]


def test_a_timer_of_the_first_question_does_not_end_a_sale_that_waits_for_exits() -> None:
    desk = armed()
    hold(desk, 100)
    sell(desk, 50)
    desk.wait(3)
    desk.do(i.TimerFired, key="ask:m-1")
    assert desk.trade("m-1").phase is TradePhase.ASKING


def test_a_look_at_a_sale_that_is_asking_for_its_touch_or_is_over_does_nothing() -> None:
    desk = waiting()
    desk.do(i.TimerFired, key="room:m-1")
    assert desk.last == ()
    desk.do(i.TimerFired, key="room:m-9")
    assert desk.last == ()


def test_a_target_that_sells_while_the_touch_is_asked_for_lets_the_sale_wait_again() -> None:
    desk = waiting()
    desk.execute("ts:br-1:tp1:1", 30, "195", "e8.01")
    desk.answer(quote(desk.at), "m-1")
    assert desk.sent(c.PlaceOrder) == []  # the stop beside it may still sell as much
    assert desk.trade("m-1").free_at is None


def test_a_restart_ends_a_sale_that_has_not_left_and_gives_its_shares_back() -> None:
    desk = waiting()
    desk.do(i.Restarted)
    assert desk.trade("m-1").phase is TradePhase.CLOSED
    desk.do(i.TimerFired, key="again:br-1:restart")
    assert [event.qty for event in desk.told(LegsTookBack)] == [50]
    assert desk.sent(c.PlaceOrder) == []  # nothing leaves before the first picture


def test_a_sale_that_waits_counts_as_sold_for_the_next_one() -> None:
    desk = armed()
    hold(desk, 100)
    sell(desk, 60)
    sell(desk, 50, "m-2")
    assert [event.reason for event in desk.told(RiskRejected)] == ["would_short"]
    assert desk.order("ts:br-1:sl1:1").state is OrderState.HELD


def test_no_leg_gives_way_in_the_second_after_one_has_executed() -> None:
    desk = armed()
    desk.execute("ts:br-1:tp1:1", 20, "195", "e8.01")
    desk.report("ts:br-1:tp1:1", OrderState.WORKING, filled=20)
    desk.report("ts:br-1:sl1:1", OrderState.HELD, qty=40)
    hold(desk, 80)
    sell(desk, 30)
    assert desk.ever_told(LegsGaveWay) == []
    for _ in range(2):
        desk.wait(0.5)
        desk.do(i.TimerFired, key="room:m-1")
    assert [event.legs for event in desk.told(LegsGaveWay)] == [(25, 19, 6)]
