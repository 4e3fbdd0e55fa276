"""Stops after their election: they follow the bid down, rest in a halt, and say so when nobody buys.

``Kills`` names a change of the program that the test does not survive.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.faults.kit import Stage, usd
from tests.faults.scenes import RUNNING, alarms, commands, elect, limits, rungs, stops

from tradeshell.core.events import (
    BracketChildOrderFilled,
    LadderProtectionStateChanged,
    LadderStopLossReplaceFailed,
    OrderRefused,
)

MakeStage = Callable[..., Stage]
BOTH_OCA = pytest.mark.parametrize("shows", ["total", "remaining"])


@BOTH_OCA
def test_L06_three_elected_stops_follow_a_falling_bid_at_most_once_a_second_each(
    make_stage: MakeStage, shows: str
) -> None:
    """Kills: ``exits.REPRICE_EVERY`` of 0.1 s (orders are rated by message efficiency)."""
    stage = make_stage(oca_shows=shows)
    stage.ladder()
    began = elect(stage, "186.95", "187.00")
    bid = usd("186.95")
    for _ in range(32):
        bid -= usd("0.05")
        stage.quote(bid, bid + usd("0.02"), size=5)
        stage.wait(0.5)
        assert stage.exits_at_most() <= stage.position()
    for leg in ("sl1", "sl2", "sl3"):
        times, prices = zip(*limits(stage, leg, began), strict=True)
        assert all(later - earlier >= 0.999 for earlier, later in pairwise(times))
        assert list(prices) == sorted(prices, reverse=True)
    sold = {leg: sum(e.qty for e in stage.told(BracketChildOrderFilled) if e.leg == leg) for leg in RUNNING}
    assert sold["sl1"] == 60
    assert sold["tp1"] == sold["tp2"] == sold["tp3"] == 0
    assert sum(sold.values()) == 100 - stage.position()
    stage.line("sl1", "sl1 is elected, the limit follows the bid")
    stage.sells_at_most(stage.position())


@BOTH_OCA
def test_L06_a_reprice_asks_for_what_is_left_after_the_target_sold_a_part(
    make_stage: MakeStage, shows: str
) -> None:
    """Kills: ``entry._chase`` that repeats the total the stop was sent with (60 of which 25 are sold)."""
    stage = make_stage(oca_shows=shows)
    stage.ladder()
    stage.quote("194.90", "194.95")
    stage.trade("195", 25)
    stage.wait(2)
    began = elect(stage, "186.50", "187.05")
    stage.wait(2)
    assert commands(stage, began)[0] == "modify sl1 35 stop 187"
    assert stage.shares("sl1") == {"sl1": 35}
    stage.sells_at_most(75)


def test_L12_a_stop_elected_into_a_gap_goes_to_the_bid_at_once_and_follows_it_down(stage: Stage) -> None:
    """Kills: ``exits.chased_limit`` that returns the stop's own price (187 never sells at 185.40)."""
    stage.ladder()
    began = elect(stage, "185.40", "185.45", traded="185.45")
    stage.wait(0.1)
    assert limits(stage, "sl1", began) == [(0.0, "185.40")]
    stage.wait(2)
    stage.quote("184.90", "184.95", size=0)
    stage.wait(1)
    assert [text for _, text in limits(stage, "sl1", began)] == ["185.40", "184.90"]
    stage.quote("186.00", "186.05", size=0)
    stage.wait(2)
    assert limits(stage, "sl1", began)[-1][1] == "184.90"  # never up again
    assert stops(stage) == {"sl1": "187", "sl2": "187", "sl3": "187"}
    stage.line("sl1", "SELL 60 → stop 187.00 limit 184.90 · sl1 is elected, the limit follows the bid")
    stage.sells_at_most(100)


def test_L12_an_offset_lets_the_stop_sell_below_its_price_without_a_reprice(stage: Stage) -> None:
    """Kills: ``exits.stop_limit_price`` that forgets the offset (it would rest at 187 until it is chased)."""
    stage.ladder(sl_offset=usd("0.50"))
    assert {order.limit for order in stage.working("sl")} == {usd("186.50")}
    began = stage.t
    stage.quote("186.80", "187.05")
    stage.trade("187", 1000)
    stage.wait(1)
    assert commands(stage, began) == []
    assert (stage.position(), stage.working()) == (0, [])
    stage.line("sl1", "@ 186.80")


def test_L12_a_wide_touch_is_no_touch_and_the_limit_steps_down(stage: Stage) -> None:
    """Kills: ``exits._is_wide`` that is always false (the stop would be given away at 150)."""
    stage.ladder()
    began = elect(stage, "150", "187.05")
    stage.wait(2.5)
    assert [text for _, text in limits(stage, "sl1", began)] == ["186.53", "186.06", "185.59"]


def test_L12_without_a_bid_the_limit_steps_to_its_floor_and_paper_then_sells_at_the_market(
    stage: Stage,
) -> None:
    """Kills: ``incidents.tend_stuck`` that returns the trade as it is (a limit that nobody buys, for ever)."""
    stage.ladder()
    stage.wait(60)
    began = elect(stage, None, size=10)
    stage.wait(20)
    steps = limits(stage, "sl1", began)
    # Over the wire a touch that has no bid is asked for, which takes a moment.
    assert [at for at, _ in steps] == pytest.approx(range(13), abs=0.6 if stage.is_wire else 0.1)
    assert steps[-1][1] == "181.39"  # 3 % below the stop
    assert rungs(stage, "sl1")[0] == "flatten"
    assert [word for word in commands(stage, began) if "flat1" in word] == ["place flat1 59 MKT"]
    assert stage.shares("flat1") == {"flat1": 59}
    assert stage.when(LadderProtectionStateChanged)[-1] > began
    stage.line(
        "sl1", "selling 59 shares at the market · its stop is elected and finds no buyer within 3 % of it"
    )
    stage.sells_at_most(99)


def test_L12_without_a_bid_a_live_account_keeps_its_stop_at_the_floor_and_alarms(
    make_stage: MakeStage,
) -> None:
    """Kills: ``settle._drop`` without its look at the rung (the target's cancel takes the elected stop along: no order)."""
    stage = make_stage(live=True)
    stage.ladder()
    stage.wait(60)
    began = elect(stage, None, size=10)
    stage.wait(60)
    assert stage.shares("sl1") == {"sl1": 59}
    assert [word for word in commands(stage, began) if word.startswith(("place", "cancel"))] == []
    assert rungs(stage, "sl1") == ["alarm"]
    assert len(alarms(stage)) == 3
    assert "59 of 99 AAPL shares have no working stop" in stage.line("exits")
    stage.quote("181.50", "181.60")  # buyers are back
    stage.wait(2)
    assert "sl1" not in stage.shares()


@pytest.mark.parametrize("live", [True, False])
def test_L12_a_touch_that_grows_old_moves_nothing_and_is_an_alarm_within_five_seconds(
    make_stage: MakeStage, live: bool
) -> None:
    """Kills: ``settle._tell_protection`` without its timer for orders that ought to sell (nothing would be said, ever)."""
    stage = make_stage(live=live)
    stage.ladder()
    stage.wait(60)
    began = elect(stage, "186.99", "187.05")
    stage.silence()
    stage.wait(30)
    assert [text for _, text in limits(stage, "sl1", began)] == ["186.99"]
    told = stage.told(LadderProtectionStateChanged)[-1]
    assert (told.state, told.protected) == ("EMERGENCY", 0)
    assert stage.when(LadderProtectionStateChanged)[-1] - began < 5
    assert len(alarms(stage)) == 1
    stage.line("exits", "EMERGENCY · 100 of 100 AAPL shares have no working stop")


def test_L13_a_reprice_that_meets_the_fill_places_nothing(stage: Stage) -> None:
    """Kills: ``reports.refused`` that looks at a late refusal of a change like at any other."""
    stage.ladder()
    stage.delay("modify", 0.3, "sl1")
    began = elect(stage, "186.99", "187.05")
    stage.quote("187.00", "187.05", size=60)
    stage.trade("187", 60)  # the old limit sells before the change arrives
    stage.wait(5)
    refusals = [event for event in stage.told(OrderRefused) if event.leg == "sl1"]
    assert [(event.code, event.is_late) for event in refusals] == [(104, True)]
    assert [word for word in commands(stage, began) if word.startswith(("place", "cancel"))] == []
    assert not stage.told(LadderStopLossReplaceFailed)
    assert rungs(stage, "sl1") == []
    assert not [line for line in stage.lines() if "refused" in line]
    stage.sells_at_most(stage.position())


def test_L14_a_halt_freezes_elected_stops_and_the_reopening_is_one_reprice(stage: Stage) -> None:
    """Kills: ``exits.chased_limit`` without its condition on the kind of data (it would step down during the halt)."""
    stage.ladder()
    stage.wait(60)
    began = elect(stage, "187.00", "187.02", traded="187")
    stage.halt()
    stage.quote(None, None)
    stage.wait(300)
    assert commands(stage, began) == []
    assert stage.position() >= 99
    assert "shares have no working stop" in stage.line("exits", "EMERGENCY")
    assert len(alarms(stage)) == pytest.approx(20, abs=1)
    stage.quote("180", "180.10")
    reopened = stage.t
    stage.halt(on=False)
    stage.wait(3)
    assert limits(stage, "sl1", reopened)[0][1] == "180"
    assert len(limits(stage, "sl1", reopened)) == 1
    assert "sl1" not in stage.shares()
    stage.sells_at_most(stage.position())
