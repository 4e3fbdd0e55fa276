"""Stops that move with milestones, and changes of them that are refused, lost, late or repeated.

``Kills`` names a change of the program that the test does not survive.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from tests.faults.kit import LAD2, Stage, usd
from tests.faults.scenes import commands, placed, rungs, stops

from tradeshell.core import inputs as i
from tradeshell.core.events import (
    BracketChildOrderFilled,
    LadderProtectionStateChanged,
    LadderStopLossReplaced,
    LadderStopLossReplaceFailed,
    OrderChangeGivenUp,
    OrderRefused,
)
from tradeshell.core.exit_events import MilestoneReached, StopUpdatePostponed
from tradeshell.core.market import DataKind

MakeStage = Callable[..., Stage]
RAISED = ["modify sl2 30 stop 190", "modify sl3 10 stop 190"]
LEFT = {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}


def first_target(stage: Stage) -> float:
    """Let the first target fill; return when, in seconds since the start."""
    stage.quote("195", "195.02")
    return stage.t


# --- milestones -------------------------------------------------------------------------------------------------------


def test_S01_a_milestone_modifies_the_stops_in_place_and_tells_them_moved_when_they_are(stage: Stage) -> None:
    """Kills: ``book._agreed`` that believes the old price while a change is in flight (sent twice, told as 187)."""
    stage.ladder()
    numbers = {order.leg: order.number for order in stage.working()}
    stage.delay("modify", 0.2, "sl", times=2)
    stage.delay("status", 0.2, "sl", times=3)
    began = first_target(stage)
    stage.wait(0.15)
    assert stops(stage) == {"sl2": "187", "sl3": "187"}  # covered all the time by the old prices
    for shown in stage.venue.exchange.open_orders():  # an old word about all of them, once more
        stage.say(i.OrderReported(at=stage.now, report=shown))
    assert commands(stage, began) == RAISED
    assert not stage.told(LadderStopLossReplaced)
    stage.wait(0.5)
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    assert stage.shares() == LEFT
    assert {order.leg: order.number for order in stage.working()} == {leg: numbers[leg] for leg in LEFT}
    assert [(event.leg, event.stop) for event in stage.told(LadderStopLossReplaced)] == [
        ("sl2", usd(190)),
        ("sl3", usd(190)),
    ]
    assert stage.line("milestone").endswith("target 1 reached · stops of the later legs go to 190.00")
    assert stage.line("sl2").endswith("stands at 190.00")
    assert stage.told(LadderProtectionStateChanged)[-1].state == "PROTECTED"
    stage.sells_at_most(40)


def test_S01_a_ladder_of_two_moves_its_second_stop_after_the_first_target(stage: Stage) -> None:
    """Kills: ``exits.ruled_stop`` that looks at the leg's own step (a stop would wait for its own target)."""
    stage.ladder(LAD2)
    assert stage.shares() == {"sl1": 70, "tp1": 70, "sl2": 30, "tp2": 30}
    first_target(stage)
    stage.wait(1)
    assert (stage.shares(), stops(stage)) == ({"sl2": 30, "tp2": 30}, {"sl2": "190"})


@pytest.mark.parametrize("code", [201, 110])
def test_S02_a_refused_change_leaves_the_old_stop_and_is_asked_once_more(stage: Stage, code: int) -> None:
    """Kills: ``reports.refused`` that takes a refused change for a refused order (a second stop beside the first)."""
    stage.ladder()
    stage.refuse("modify", "sl2", code, "Order rejected - reason: price")
    began = first_target(stage)
    stage.wait(0.5)
    assert stops(stage) == {"sl2": "187", "sl3": "190"}
    assert stage.trade_of().protection == "PROTECTED"
    assert [event.leg for event in stage.told(LadderStopLossReplaceFailed)] == ["sl2"]
    assert stage.line("sl2", "still works").endswith(
        "change refused, the old stop still works: Order rejected - reason: price"
    )
    stage.wait(5)
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    assert commands(stage, began) == [*RAISED, RAISED[0]]
    stage.sells_at_most(40)


def test_S02_changes_that_are_always_refused_are_given_up_and_add_no_stop(stage: Stage) -> None:
    """Kills: ``Retry.times`` of 30 (the broker would be asked on and on)."""
    stage.ladder()
    stage.refuse("modify", "sl2", 201, "Order rejected - reason: price", times=99)
    began = first_target(stage)
    stage.wait(25)  # a look at the account, every half minute, would begin anew
    assert stops(stage) == {"sl2": "187", "sl3": "190"}
    assert commands(stage, began).count(RAISED[0]) == 4
    assert len(stage.told(OrderChangeGivenUp)) == 1
    stage.line("sl2", "refused again and again; not asked any more")
    stage.sells_at_most(40)


@pytest.mark.parametrize("arrived", [True, False])
def test_S03_a_change_in_flight_when_the_link_drops_is_sent_again_only_if_it_was_lost(
    stage: Stage, arrived: bool
) -> None:
    """Kills: ``pictures.pictured`` that leaves a change in flight which did not arrive (the stop stays at 187)."""
    stage.ladder()
    stage.delay("modify", 0.5, "sl2")
    began = first_target(stage)
    stage.wait(0.1)
    stage.drop_link(lose_orders=not arrived)
    stage.wait(4)
    assert stops(stage)["sl2"] == ("190" if arrived else "187")
    assert commands(stage, began) == RAISED  # nothing is sent while the link is down
    stage.restore_link()
    stage.wait(5)
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    assert commands(stage, began) == ([*RAISED] if arrived else [*RAISED, RAISED[0]])
    assert stage.shares() == LEFT
    stage.line("reconciled")


def test_S03_a_lost_change_is_sent_again_and_not_blamed_on_somebody_else(stage: Stage) -> None:
    """Kills: ``pictures.pictured`` that takes the old price it shows for somebody's change."""
    stage.ladder()
    stage.lose("modify", "sl2")
    began = first_target(stage)
    stage.wait(8)
    assert commands(stage, began) == [*RAISED, RAISED[0]]
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    assert not [line for line in stage.lines() if "by somebody else" in line]


def test_S05_a_change_that_meets_the_fill_of_its_order_replaces_nothing(stage: Stage) -> None:
    """Kills: ``reports.refused`` without its early return for orders that have ended (a retry, and a line, about nothing)."""
    stage.ladder()
    stage.delay("modify", 0.5, "sl2")
    began = first_target(stage)
    stage.wait(0.1)
    stage.quote("187.00", "187.02", size=30)
    stage.trade("187", 30)
    stage.wait(5)
    refusals = [event for event in stage.told(OrderRefused) if event.leg == "sl2"]
    assert [(event.code, event.is_late) for event in refusals] == [(104, True)]
    assert not [word for word in commands(stage, began) if word.startswith(("place", "cancel"))]
    assert not stage.told(LadderStopLossReplaceFailed)
    assert "sl2" not in stage.shares()
    assert rungs(stage, "sl2") == []
    assert not [line for line in stage.lines() if "refused" in line]
    stage.line("sl2", "filled 30 @ 187.00")
    stage.sells_at_most(stage.position())


def test_S06_a_new_stop_at_or_above_the_market_waits_until_the_bid_is_above_it(stage: Stage) -> None:
    """Kills: ``milestones.answer_raise`` that compares with ``>=`` and no tick (at 190.01 the stops would go out)."""
    stage.ladder()
    began = stage.t
    stage.quote("189.50", "189.55")
    stage.trade("195", 60)  # a spike, and the market is back below
    stage.wait(5)
    assert stops(stage) == {"sl2": "187", "sl3": "187"}
    stage.quote("190.01", "190.05")
    stage.wait(3)
    assert commands(stage, began) == []
    assert [(event.leg, event.bid) for event in stage.told(StopUpdatePostponed)] == [
        ("sl2", usd("189.50")),
        ("sl3", usd("189.50")),
    ]  # told once, not once a second
    assert stage.line("sl2").endswith(
        "stays where it is: the bid is 189.50, a stop at 190.00 would sell at once · tried again"
    )
    stage.quote("190.02", "190.05")
    stage.wait(1.5)
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    assert stage.position() == 40


@pytest.mark.parametrize("kind", ["stale", "missing", "delayed"])
def test_S06_without_a_good_bid_no_stop_moves_up(stage: Stage, kind: str) -> None:
    """Kills: ``milestones._is_good`` that is always true."""
    stage.ladder()
    if kind == "delayed":
        stage.quote("195", "195.02", kind=DataKind.DELAYED)
    elif kind == "missing":
        stage.quote(None, "195.00")
        stage.trade("195", 60)
    else:
        stage.quote("194.90", "194.95")
        stage.silence()
        stage.wait(2)
        stage.trade("195", 60)
    stage.wait(3)
    assert stops(stage) == {"sl2": "187", "sl3": "187"}
    stage.line("sl2", "stays where it is: there is no fresh bid")


@pytest.mark.parametrize("spreads", [True, False])
def test_S07_a_target_that_lost_its_last_share_is_no_milestone_and_the_share_stays_covered(
    make_stage: MakeStage, spreads: bool
) -> None:
    """Kills: ``exits.reached``, asked at any fill, without its condition on shares that are left (59 of 60 would do)."""
    stage = make_stage(oca_cancel_spreads=spreads)
    stage.ladder()
    stage.quote("194.90", "194.92")
    stage.trade("195", 59)
    stage.wait(2)
    assert stage.shares("sl1") == {"sl1": 1}
    stage.cancel_outside("tp1")
    stage.wait(10)
    assert not stage.told(MilestoneReached)
    assert stage.shares("sl") == {"sl1": 1, "sl2": 30, "sl3": 10}
    assert set(stops(stage).values()) == {"187"}
    stage.line("tp1", f"cancelled{stage.because('cancelled outside this program')}")
    assert stage.trade_of().protection == "PROTECTED"
    stage.sells_at_most(41)


def test_S08_a_change_repeats_the_group_of_its_order(stage: Stage) -> None:
    """Kills: ``book.moved`` that sends a change without its OCA group (IBKR: revision is not allowed)."""
    stage.ladder()
    groups = {order.leg: order.group for order in stage.working()}
    first_target(stage)
    stage.wait(1)
    changes = [sent.spec for sent in stage.sent if sent.action == "modify" and sent.spec]
    assert [(spec.oca_group, spec.oca_type) for spec in changes] == [(groups["sl2"], 2), (groups["sl3"], 2)]


@pytest.mark.parametrize("spreads", [True, False])
def test_S08_a_stop_whose_group_may_not_be_revised_is_replaced_by_a_new_pair(
    make_stage: MakeStage, spreads: bool
) -> None:
    """Kills: ``reports.GROUP_FIXED`` and its words of nothing (the stop would be given up at 187)."""
    stage = make_stage(oca_cancel_spreads=spreads)
    stage.ladder()
    groups = {order.leg: order.group for order in stage.working()}
    stage.refuse("modify", "sl2", 10326, "OCA group revision is not allowed.", times=99)
    began = first_target(stage)
    stage.wait(30)
    assert placed(stage, began) == [*RAISED, "place sl2 30 stop 190", "place tp2 30 198"]
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    assert stage.shares() == LEFT
    pair = {order.group for order in stage.working() if order.leg in ("sl2", "tp2")}
    assert len(pair) == 1
    assert pair.isdisjoint(groups.values())
    stage.line("sl2", "change refused", "OCA group revision is not allowed.", "a new pair takes its place")
    stage.line("exits", "protected 100 % · 40 of 40")
    stage.sells_at_most(40)


def test_S09_a_repeated_fill_is_one_milestone_and_one_change_of_each_stop(stage: Stage) -> None:
    """Kills: ``book.executed`` that books an execution every time it is told."""
    stage.ladder()
    stage.double("execution", "tp1", copies=3)
    stage.double("status", "tp1", copies=3)
    began = first_target(stage)
    stage.wait(1)
    stage.drop_link()
    stage.wait(3)
    stage.restore_link()
    stage.wait(5)
    assert commands(stage, began) == RAISED
    assert len(stage.told(MilestoneReached)) == 1
    assert [event.qty for event in stage.told(BracketChildOrderFilled)] == [60]
    assert stage.shares() == LEFT


def test_S11_a_rule_between_two_prices_rounds_away_from_the_market_and_never_loosens(stage: Stage) -> None:
    """Kills: ``plan.put_on_grid`` that rounds stop updates up (190.01 lies above the rule)."""
    stage.ladder(stop_updates=(usd("190.003"), usd(195)))
    stage.quote("194", "194.02")
    stage.alter("sl3", stop=usd(192), limit=usd(192))
    stage.wait(1)
    began = first_target(stage)
    stage.wait(3)
    assert {leg: Decimal(stop) for leg, stop in stops(stage).items()} == {"sl2": usd(190), "sl3": usd(192)}
    assert commands(stage, began) == ["modify sl2 30 stop 190"]
