"""Faults of the legs themselves while they arm (group A of the scenarios): lost, refused, too many, already through, late.

Laws: as in ``test_entry``.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from typing import Any

import pytest
from tests.faults.kit import LAD2, Stage, usd
from tests.faults.openings import (
    FILLED_AT,
    FULL,
    Make,
    keep_back_positions,
    placed,
    states,
)

from tradeshell.core.events import (
    InventoryConfirmed,
    LadderProtectionStateChanged,
    LadderStopLossReplaced,
    OrderMissing,
    RiskRejected,
)
from tradeshell.core.exit_events import (
    IncidentStepTaken,
    LadderArmed,
    LadderStopLossCancelled,
    LadderTakeProfitLost,
    MilestoneReached,
    StopThrough,
)
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.plan import Cover
from tradeshell.errors import OperatorError

# --- exits that do not arrive -----------------------------------------------------------------------------------------


def test_A05_a_drop_in_the_middle_of_arming_ends_with_six_legs_and_nothing_twice(stage: Stage) -> None:
    """sl1 and tp1 arrived, four orders died with the link: they are sent once more, under new refs, and nothing else is.

    Kills: an exit sent again under the ref of the one that vanished.
    """
    for leg in ("sl2", "tp2", "sl3", "tp3"):
        stage.lose("place", leg)
    stage.lose("status", "tp1")
    stage.watch()
    stage.wait(60 - stage.t % 60)
    stage.quote("190.00", "190.02")
    stage.close_bar_now("190.01")
    stage.drop_link()
    stage.wait(5)
    back = stage.t
    stage.restore_link()
    stage.wait(12)
    assert stage.shares() == FULL
    assert placed(stage, "sl1") == ["sl1"]
    assert placed(stage, "tp1") == ["tp1"]
    assert placed(stage, "sl2") == ["sl2", "sl2"]
    asked = [sent.leg for sent in stage.sent if sent.action == "cancel"]  # they must not come late
    assert asked == ["sl2", "tp2", "sl3", "tp3"]
    assert len({sent.ref for sent in stage.sent}) == len(stage.sent) - len(asked)
    assert len({order.number for order in stage.working()}) == 6
    assert {event.leg for event in stage.told(OrderMissing)} == {"sl2", "tp2", "sl3", "tp3"}
    assert states(stage)[-1] == "PROTECTED"
    assert stage.when(LadderProtectionStateChanged)[-1] - back < 10
    stage.sells_at_most(100)
    assert "a new stop goes out for 30 shares" in stage.line("sl2", "new stop goes out")


def test_A06_a_stop_that_is_refused_is_replaced_with_its_target_and_the_other_legs_stand(
    stage: Stage,
) -> None:
    """201 on sl1: tp1 is not left alone, the pair is sent anew within a second, legs 2 and 3 are not touched.

    Kills: the target of a refused stop being left alone.
    """
    stage.refuse("place", "sl1", 201, "Order rejected - reason:Stop price is invalid")
    stage.trigger()
    stage.wait(10)
    assert stage.shares() == FULL
    by_leg = {order.leg: order.ref for order in stage.working()}
    assert (by_leg["sl1"], by_leg["tp1"]) == ("ts:br-1:sl1:2", "ts:br-1:tp1:2")
    assert [order.leg for order in stage.working() if order.ref.endswith(":1")] == [
        "sl2",
        "tp2",
        "sl3",
        "tp3",
    ]
    assert [event.order_ref for event in stage.told(LadderStopLossCancelled)] == ["ts:br-1:sl1:1"]
    assert [event.rung for event in stage.told(IncidentStepTaken)] == ["barrier", "replacement"]
    assert stage.when(IncidentStepTaken)[-1] - FILLED_AT < 10
    stage.sells_at_most(100)
    assert (
        f"stop gone{stage.because('Order rejected - reason:Stop price is invalid')} · 60 shares"
        in stage.line("sl1", "stop gone")
    )


def fill_far_from_where_it_was(stage: Stage, price: Any) -> None:
    """Let the entry fill, the market run to ``price``, and only then the position be confirmed."""
    keep_back_positions(stage)
    stage.trigger(cover=Cover.NONE)
    stage.quote(price, usd(price) + usd("0.02"))
    stage.pictures()
    stage.release()
    stage.trade(price)
    stage.wait(5)


def test_A07_a_market_below_the_stop_gets_the_stops_first_and_they_sell(stage: Stage) -> None:
    """186.40 when the shares are confirmed, stop 187: the stops elect at once, follow the bid, and all is sold.

    Kills: the target of a leg being sent before its stop.
    """
    fill_far_from_where_it_was(stage, "186.40")
    assert placed(stage) == ["entry", "sl1", "tp1", "sl2", "tp2", "sl3", "tp3"]
    assert stage.position() == 0
    assert stage.working() == []
    stage.sells_at_most(0)
    assert "stop elected · 60 left at limit 187.00" in stage.line("sl1", "stop elected")
    assert "100 shares · 190.02 → 186.40" in stage.line("closed  ")


def test_A07_the_operator_is_told_that_the_stop_is_already_through(stage: Stage) -> None:
    """Arming below the stop is a decision, and is announced.

    Kills: no look at the market when the legs are armed.
    """
    fill_far_from_where_it_was(stage, "186.40")
    (told,) = stage.told(StopThrough)
    assert (told.stop, told.bid) == (usd(187), usd("186.40"))
    assert "the bid 186.40 is below the stop 187.00 already: the stops sell at once" in stage.line(
        "exits", "already"
    )


def test_A08_a_market_above_the_first_target_sells_that_leg_and_moves_the_other_stops(stage: Stage) -> None:
    """196 when the shares are confirmed: the stop goes first, the target fills at once, the milestone counts.

    Kills: milestones that are not told of targets filled while arming.
    """
    fill_far_from_where_it_was(stage, "196.00")
    assert placed(stage) == ["entry", "sl1", "tp1", "sl2", "tp2", "sl3", "tp3"]
    assert stage.position() == 40
    assert stage.shares() == {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
    assert [order.stop for order in stage.working("sl")] == [usd(190), usd(190)]
    assert [event.number for event in stage.told(MilestoneReached)] == [1]
    assert [event.leg for event in stage.told(LadderStopLossReplaced)] == ["sl2", "sl3"]
    stage.sells_at_most(40)
    assert "target 1 reached" in stage.line("milestone")


@pytest.mark.parametrize("times", [1, 2])
def test_A09_a_refused_target_is_sent_once_more_and_no_stop_is_touched(stage: Stage, times: int) -> None:
    """201 on tp2, then perhaps again: one more try in the same group, and the stop works on.

    Kills: targets being sent again for ever.
    """
    stage.refuse("place", "tp2", 201, "Order rejected - reason:no", times=times)
    stage.trigger()
    stage.wait(60)
    assert placed(stage, "tp2") == ["tp2", "tp2"]
    assert len(stage.working("tp2")) == 2 - times
    assert stage.shares("sl") == {"sl1": 60, "sl2": 30, "sl3": 10}
    assert {sent.action for sent in stage.sent if sent.leg.startswith("sl")} == {"place"}
    assert {order.group for order in stage.working("tp2")} <= {order.group for order in stage.working("sl2")}
    assert len(stage.told(LadderTakeProfitLost)) == times
    assert set(states(stage)) == {"ARMING", "PROTECTED"} or states(stage) == ["PROTECTED"]
    stage.sells_at_most(100)
    assert f"target gone{stage.because('Order rejected - reason:no')} · its stop keeps working" in stage.line(
        "tp2", "gone"
    )


@pytest.mark.parametrize(
    "kind, filled, legs",
    [
        (None, 1, {"1": 1}),
        (None, 2, {"1": 1, "2": 1}),
        (LAD2, 1, {"1": 1}),
        (None, 8, {"1": 5, "2": 2, "3": 1}),
    ],
)
def test_A10_a_fill_too_small_for_every_leg_makes_fewer_legs(
    stage: Stage, kind: Any, filled: int, legs: dict[str, int]
) -> None:
    """One, two or eight of a hundred: no order over no share, and every share in a leg.

    Kills: legs without a share being kept.
    """
    stage.trigger(filled, kind)
    stage.wait(25)
    assert stage.position() == filled
    assert stage.shares() == {f"{exit_}{n}": qty for n, qty in legs.items() for exit_ in ("sl", "tp")}
    assert all(sent.spec is None or sent.spec.qty > 0 for sent in stage.sent)
    assert [event.legs for event in stage.told(LadderArmed)] == [tuple(legs.values())]
    stage.sells_at_most(filled)
    assert f"armed {' + '.join(map(str, legs.values()))} shares" in stage.line("armed", "target")


def test_A10_a_plan_that_leaves_a_leg_empty_is_refused_where_it_is_typed(stage: Stage) -> None:
    """Three shares in 60/30/10.

    Kills: the plan's check without that rule.
    """
    with pytest.raises(OperatorError, match="split 60-30-10 leaves leg 3 without a share"):
        stage.watch(qty=3)
    assert stage.sent == []


# --- limits of the account --------------------------------------------------------------------------------------------


def test_A11_an_entry_whose_exits_would_exceed_the_brokers_order_limit_is_refused(stage: Stage) -> None:
    """Two ladders hold twelve SELLs; a third would make eighteen.

    Kills: working orders not being counted before an entry.
    """
    stage.ladder()
    stage.ladder(id_="br-2")
    stage.watch(id_="br-3")
    stage.quote("190.00", "190.02")
    stage.close_bar("190.01")
    stage.wait(5)
    assert placed(stage, "entry") == ["entry", "entry"]
    assert len(stage.working()) == 12
    assert [event.reason for event in stage.told(RiskRejected)] == ["max_orders_per_side"]
    assert "AAPL would have 18 working SELLs (12 now), more than 15" in stage.line("entry  ", "refused")


FULL_BOOK = "Order rejected - reason: the maximum number of open orders is reached"


def hit_the_limit(stage: Stage, *, market: bool) -> None:
    """Let the broker take four SELLs that wait and no fifth; ``market``: no market order beside them either."""

    def is_too_much(spec: Any) -> bool:
        others = [o for o in stage.working() if o.side is Side.SELL and o.ref != spec.ref]
        return spec.side is Side.SELL and len(others) >= 4 and (market or spec.type is not OrderType.MARKET)

    stage.refuse("place", "", 201, FULL_BOOK, times=999, where=is_too_much)
    stage.trigger()


def test_A11_a_limit_that_is_hit_while_arming_leaves_no_share_without_a_stop(stage: Stage) -> None:
    """A stop is worth more than a target: one is given up, and the leg that was left out gets a plain stop in its place.

    Kills: ``incidents.TOO_MANY`` that matches nothing.
    """
    hit_the_limit(stage, market=False)
    stage.wait(15)
    assert stage.position() == 100
    assert sum(order.qty for order in stage.working("sl")) == 100
    rungs = [event.rung for event in stage.told(IncidentStepTaken) if event.leg == "sl3"]
    assert rungs[-1] == "emergency"
    stage.sells_at_most(100)
    stage.line("tp2", "it makes room for the stop of leg 3")


@pytest.mark.parametrize("live", [False, True])
def test_A11_a_limit_that_is_hit_while_arming_costs_targets_and_not_stops(
    make_stage: Make, live: bool
) -> None:
    """Coverage first: where the market order is refused too, or is not allowed, a target makes room for the last stop.

    Kills: ``incidents._dispensable`` that finds nothing.
    """
    stage = make_stage(live=live)
    hit_the_limit(stage, market=True)
    stage.wait(20)
    assert stage.position() == 100
    assert sum(order.qty for order in stage.working("sl")) == 100


def test_A13_a_late_fill_gets_a_pair_of_its_own(stage: Stage) -> None:
    """43 were armed, five more execute after the cancel: 48 are covered, and no order has grown.

    Kills: late shares without a leg.
    """
    stage.trigger(43)
    stage.wait(30)
    before = stage.working()
    late = stage.t
    stage.fill_late("entry", 5, "190.02")
    stage.wait(5)
    assert stage.position() == 48
    assert stage.working()[: len(before)] == before
    assert stage.shares()["sl4"] == 5
    assert sum(order.qty for order in stage.working("sl")) == 48
    assert next(sent.t for sent in stage.sent if sent.leg == "sl4") - late < 5
    assert len(stage.told(LadderArmed)) == 1
    assert stage.told(InventoryConfirmed)[-1].qty == 48
    stage.sells_at_most(48)
    assert "protected 100 % · 48 of 48 shares have a stop" in stage.line("protected")


def test_A14_every_order_carries_the_account(stage: Stage) -> None:
    """Orders of one group with different accounts are refused (10224): there is none without it.

    Kills: exits without the plan's account.
    """
    stage.refuse("place", "sl2", 201, "Order rejected - reason:no")
    stage.trigger(43)
    stage.wait(25)
    stage.flatten()
    stage.wait(5)
    specs = [sent.spec for sent in stage.sent if sent.spec is not None]
    assert {leg[:4] for leg in placed(stage)} >= {"entr", "cove", "sl1", "tp1", "flat"}
    assert {spec.account for spec in specs} == {stage.account}
    assert stage.position() == 0
    assert not any("10224" in line for line in stage.lines())
    assert "AAPL is flat" in stage.line("flatten", "flat")


def test_A16_the_name_of_a_group_is_never_used_again(stage: Stage) -> None:
    """Two ladders in one symbol, a pair that is armed again after its stop was refused: every group has its own name.

    Kills: group names without the generation.
    """
    stage.refuse("place", "sl1", 201, "Order rejected - reason:no")
    stage.ladder()
    stage.ladder(id_="br-2")
    names = {
        (sent.spec.oca_group, sent.ref.split(":")[1], sent.leg[-1], sent.ref[-1])
        for sent in stage.sent
        if sent.spec is not None and sent.spec.oca_group is not None
    }
    assert len({name for name, *_ in names}) == len(names) == 7
    assert {order.group for order in stage.working("sl1")} == {"ts:br-1:p1:2", "ts:br-2:p1:1"}
    stage.sells_at_most(200)
    assert "a new stop goes out for 60 shares" in stage.line("sl1", "new stop")
