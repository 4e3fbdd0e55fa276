"""Incidents of a ladder: exits that are refused, cancelled by nobody we know, or lost; rung by rung down to the market.

``Kills`` names a change of the program that the test does not survive.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.faults.kit import Stage
from tests.faults.scenes import REFUSED, RUNNING, alarms, commands, placed, rungs, stop_entries, stops

from tradeshell.core import inputs as i
from tradeshell.core.events import (
    BracketChildOrderFilled,
    BrokerMessageUnclassified,
    LadderProtectionStateChanged,
    OrderRefused,
    RiskRejected,
)
from tradeshell.core.exit_events import (
    IncidentStepTaken,
    KillSwitchEngaged,
    LadderStopLossCancelled,
    LadderTakeProfitLost,
)
from tradeshell.core.inputs import RefusedWhat
from tradeshell.core.policy import Policy

MakeStage = Callable[..., Stage]
BOTH_OCA = pytest.mark.parametrize("shows", ["total", "remaining"])
BOTH_HANDS = pytest.mark.parametrize("spreads", [True, False])
OTHERS = {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
PAIR = ["place sl2 30 stop 187", "place tp2 30 198"]


def states(stage: Stage) -> list[str]:
    """Return the protection states that were told, those on the way to protection left out."""
    told = [event.state for event in stage.told(LadderProtectionStateChanged)]
    return [state for state in told if state != "ARMING"]


def second_target_near(stage: Stage) -> float:
    """Run the ladder past its first target, with the market just below the second; return now, in seconds."""
    stage.ladder()
    stage.quote("197.90", "197.92")
    stage.wait(3)
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    return stage.t


# --- a stop is lost ---------------------------------------------------------------------------------------------------


@BOTH_HANDS
def test_I01_a_refused_stop_is_replaced_by_a_new_pair_after_pictures(
    make_stage: MakeStage, spreads: bool
) -> None:
    """Kills: ``turn.SECOND_LOOK`` of a tenth of a second (replaced before two pictures apart agree)."""
    stage = make_stage(oca_cancel_spreads=spreads)
    stage.ladder()
    old = {order.ref for order in stage.working()}
    began = stage.t
    stage.kill("sl2", 201, REFUSED)
    stage.wait(1)
    assert "cancel tp2" in commands(stage, began)
    assert placed(stage, began) == []
    stage.wait(9)
    assert stage.shares() == RUNNING
    assert placed(stage, began) == PAIR
    assert {order.leg for order in stage.working() if order.ref not in old} == {"sl2", "tp2"}
    assert states(stage)[-2:] == ["PARTIAL", "PROTECTED"]
    assert rungs(stage, "sl2") == ["barrier", "replacement"]
    stage.line("sl2", f"stop gone{stage.because(REFUSED)} · 30 shares of this leg need a new one")
    stage.line("sl2", "a new stop goes out for 30 shares")
    stage.sells_at_most(100)


def test_I02_a_stop_cancelled_by_nobody_is_replaced_once_its_target_is_known_to_be_gone(
    make_stage: MakeStage,
) -> None:
    """Kills: ``_replace_stop`` that waits for no target, with targets left out of the cap (60 shares exposed)."""
    stage = make_stage(oca_cancel_spreads=False)
    stage.ladder()
    stage.delay("cancel", 3.0, "tp2", times=9)  # the target lives on for three seconds
    began = stage.t
    stage.kill("sl2")
    stage.wait(3.3)
    assert commands(stage, began)[:1] == ["cancel tp2"]
    assert not [word for word in commands(stage, began) if word.startswith("place")]
    assert stage.shares("tp2") == {"tp2": 30}
    stage.wait(7)
    assert placed(stage, began) == PAIR
    assert stage.shares() == RUNNING
    assert [event.leg for event in stage.told(LadderStopLossCancelled)] == ["sl2"]
    stage.line("sl2", f"stop gone{stage.because('Order Canceled - reason:')}")
    stage.sells_at_most(100)


@BOTH_HANDS
def test_I04_three_refusals_lead_to_an_emergency_stop_and_then_paper_sells_at_the_market(
    make_stage: MakeStage, spreads: bool
) -> None:
    """Kills: ``incidents.REPLACEMENTS`` of 9 (pairs would be sent over and over, half a minute and more)."""
    stage = make_stage(oca_cancel_spreads=spreads)
    stage.ladder()
    stage.refuse("place", "sl1", 201, REFUSED, times=99)
    began = stage.t
    stage.kill("sl1", 201, REFUSED)
    stage.wait(30)
    assert stage.position() == 40
    assert stage.shares() == OTHERS
    steps = [rung for rung in rungs(stage, "sl1") if rung != "barrier"]
    assert steps == ["replacement", "replacement", "emergency", "flatten"]
    assert rungs(stage, "sl1").count("barrier") == 4
    placed = [sent.spec for sent in stage.sent if sent.t >= began and sent.spec is not None]
    assert [(spec.type.value, spec.qty, spec.oca_group is None) for spec in placed if "sl1" in spec.ref] == [
        ("STP LMT", 60, False),
        ("STP LMT", 60, False),
        ("STP", 60, True),
    ]
    assert commands(stage, began)[-1] == "place flat1 60 MKT"
    stage.line("sl1", "emergency stop for 60 shares · 3 stops failed within a minute")
    stage.line("sl1", "selling 60 shares at the market · the emergency stop failed too")
    assert stage.line("exits").endswith("protected 100 % · 40 of 40 shares have a stop") or (
        states(stage)[-1] == "PROTECTED"
    )
    stage.sells_at_most(40)


def test_I04_the_market_gets_what_is_left_when_the_target_sold_some_on_the_way(stage: Stage) -> None:
    """Kills: ``exits.exit_pair`` that sells the leg's first quantity (60 of which 20 are sold)."""
    stage.ladder()
    stage.quote("194.90", "194.95")
    stage.trade("195", 20)
    stage.wait(2)
    stage.refuse("place", "sl1", 201, REFUSED, times=99)
    began = stage.t
    stage.kill("sl1", 201, REFUSED)
    stage.wait(30)
    assert commands(stage, began)[-1] == "place flat1 40 MKT"
    assert stage.position() == 40
    stage.sells_at_most(40)


def test_I05_a_live_account_is_not_sold_out_and_alarms_every_fifteen_seconds(make_stage: MakeStage) -> None:
    """Kills: ``incidents._rung`` that may always flatten; and ``AGAIN`` of a second (it would hammer the broker)."""
    stage = make_stage(live=True)
    stage.ladder()
    stage.refuse("place", "sl1", 201, REFUSED, times=99)
    began = stage.t
    stage.kill("sl1", 201, REFUSED)
    stage.wait(190)
    assert stage.position() == 100
    assert stage.shares() == OTHERS
    assert not [word for word in commands(stage, began) if "MKT" in word]
    assert rungs(stage, "sl1")[-1] == "barrier"  # of a try a minute
    assert "alarm" in rungs(stage, "sl1")
    stops_sent = [sent.t for sent in stage.sent if sent.t >= began and sent.leg == "sl1" and sent.spec]
    assert [round(later - earlier) for earlier, later in pairwise(stops_sent)][2:] == [61, 60, 60]
    assert all(later - earlier == pytest.approx(15, abs=0.01) for earlier, later in pairwise(alarms(stage)))
    stage.line(
        "sl1", "nothing more is tried by itself for 60 shares", "a live account is not sold out by itself"
    )
    assert stage.line("exits").endswith(
        "EMERGENCY · 60 of 100 AAPL shares have no working stop · `flatten AAPL` sells them, or act in TWS"
    )
    stage.sells_at_most(100)


def test_I05_a_live_account_is_sold_out_when_its_operator_allows_it(make_stage: MakeStage) -> None:
    """Kills: ``incidents._rung`` that looks at paper alone."""
    stage = make_stage(live=True, policy=Policy(flatten_live=True))
    stage.ladder()
    stage.refuse("place", "sl1", 201, REFUSED, times=99)
    stage.kill("sl1", 201, REFUSED)
    stage.wait(30)
    assert (stage.position(), stage.shares()) == (40, OTHERS)


def test_I06_a_storm_of_refusals_stops_entries_and_asks_at_most_once_a_second_for_each_leg(
    stage: Stage,
) -> None:
    """Kills: ``reports.STORM`` of 1000 (entries would go on into a broker that refuses everything)."""
    stage.ladder()
    stage.refuse("place", "", 201, REFUSED, times=999)
    began = stage.t
    for leg in ("sl1", "sl2", "sl3"):
        stage.kill(leg, 201, REFUSED)
    stage.wait(40)
    assert len(stage.told(KillSwitchEngaged)) == 1
    stage.line("stopentry", "entries are off (the broker refused 10 orders within 10 s)", "`stopentry off`")
    for leg in "123":
        names = (f"sl{leg}", f"flat{leg}")
        times = [sent.t for sent in stage.sent if sent.t >= began and sent.leg in names and sent.spec]
        assert all(later - earlier >= 0.999 for earlier, later in pairwise(times))
    busiest = max(sum(1 for s in stage.sent if at <= s.t < at + 1) for at in [sent.t for sent in stage.sent])
    assert busiest <= 20
    stage.order_now("m-1")
    stage.wait(1)
    assert [event.reason for event in stage.told(RiskRejected)] == ["entries_stopped"]
    assert not [sent for sent in stage.sent if sent.t >= began and sent.leg == "entry"]
    stop_entries(stage, on=False)
    stage.order_now("m-2")
    stage.wait(1)
    assert [sent.leg for sent in stage.sent if sent.leg == "entry" and sent.t >= began] == ["entry"]
    stage.sells_at_most(100)


# --- a target is lost -------------------------------------------------------------------------------------------------


def test_I07_a_lost_target_is_replaced_once_into_its_group_and_then_only_told(stage: Stage) -> None:
    """Kills: ``incidents._replace_target`` that counts nothing (a target a second time and on and on)."""
    stage.ladder()
    (stop,) = stage.working("sl2")
    began = stage.t
    stage.kill("tp2")
    stage.wait(10)
    assert commands(stage, began) == ["place tp2 30 198"]
    assert stage.working("sl2") == [stop]
    assert stage.working("tp2")[0].group == stop.group
    stage.kill("tp2")
    stage.wait(60)
    assert commands(stage, began) == ["place tp2 30 198"]
    assert stage.working("sl2") == [stop]
    assert len(stage.told(LadderTakeProfitLost)) == 2
    assert not stage.told(IncidentStepTaken)
    assert "PARTIAL" not in states(stage)
    stage.line("tp2", f"target gone{stage.because('Order Canceled - reason:')} · its stop keeps working")
    stage.sells_at_most(100)


@pytest.mark.parametrize("sold, left", [(30, 0), (18, 12)])
def test_I08_a_target_that_fills_while_it_is_cleared_leaves_a_pair_for_the_rest(
    make_stage: MakeStage, sold: int, left: int
) -> None:
    """Kills: ``incidents._send`` that replaces the leg's first quantity (30 where 12 are left)."""
    stage = make_stage(oca_cancel_spreads=False)
    began = second_target_near(stage)
    stage.delay("cancel", 0.3, "tp2")
    stage.kill("sl2")
    stage.wait(0.6)
    assert commands(stage, began) == ["cancel tp2"]
    stage.trade("198", sold)
    stage.wait(10)
    pair = [f"place sl2 {left} stop 190", f"place tp2 {left} 198"] if left else ["modify sl3 10 stop 195"]
    assert commands(stage, began)[1:] == pair
    assert stage.shares("sl2") == ({"sl2": left} if left else {})
    assert stage.position() == 10 + left
    refusals = [event.code for event in stage.told(OrderRefused) if event.leg == "tp2"]
    assert refusals == ([] if left else [10148])
    assert not [line for line in stage.lines() if "refused" in line]
    stage.line("tp2", f"filled {sold} @ 198.00")
    stage.sells_at_most(10 + left)


def test_I09_a_cancel_of_a_target_that_is_gone_is_settled_by_pictures(make_stage: MakeStage) -> None:
    """Kills: ``pictures.pictured`` that ignores what a picture lacks (the target would be waited for, for ever)."""
    stage = make_stage(oca_cancel_spreads=False)
    stage.ladder()
    stage.lose("status", "tp2")
    stage.kill("tp2")  # nobody hears of it
    began = stage.t
    stage.kill("sl2")
    stage.wait(20)
    assert commands(stage, began).count("cancel tp2") <= 4
    assert stage.shares() == RUNNING
    assert placed(stage, began) == PAIR
    stage.line("tp2", "cancel refused by the broker (10148)")
    stage.sells_at_most(100)


def test_I09_a_cancel_that_is_not_found_although_the_target_lives_is_asked_again_later(
    make_stage: MakeStage,
) -> None:
    """Kills: ``reports.DENIED_FOR`` of zero (a loop of cancels within one second)."""
    stage = make_stage(oca_cancel_spreads=False)
    stage.ladder()
    text = "OrderId 5 that needs to be cancelled is not found."
    stage.refuse("cancel", "tp2", 10147, text, times=2)
    began = stage.t
    stage.kill("sl2")
    stage.wait(15)
    cancels = [sent.t for sent in stage.sent if sent.action == "cancel" and sent.t >= began]
    assert len(cancels) == 3
    assert all(later - earlier >= 0.999 for earlier, later in pairwise(cancels))
    assert stage.shares() == RUNNING
    stage.line("tp2", f"cancel refused by the broker (10147): {text}")
    stage.sells_at_most(100)


# --- words of the broker ----------------------------------------------------------------------------------------------


ADVISORY = (2104, 2106, 2107, 2108, 2119, 2158, 2103, 2105, 2110, 2137, 2148, 2161, 10167, 165)


@pytest.mark.parametrize("leg", ["sl2", "tp1"])
def test_I11_advisory_codes_about_an_order_touch_it_not(stage: Stage, leg: str) -> None:
    """Kills: ``reports.refused`` that takes everything that is said about an order for its end."""
    advise(stage, leg)


@pytest.mark.venue_only("over the wire farms have effects of their own: test_wire_words.py")
def test_I11_advisory_codes_about_no_order_touch_none(stage: Stage) -> None:
    """Kills: as above."""
    advise(stage, "")


def advise(stage: Stage, leg: str) -> None:
    """Say all advisory codes, and assert that nothing follows but their lines."""
    stage.ladder()
    began = stage.t
    ref = f"ts:br-1:{leg}:1" if leg else ""
    for code in ADVISORY:
        said = f"farm connection of code {code}"
        stage.say(
            i.OrderRefusedByBroker(at=stage.now, ref=ref, what=RefusedWhat.NOTHING, code=code, text=said)
        )
    stage.wait(5)
    assert commands(stage, began) == []
    assert stage.shares() == RUNNING
    assert states(stage)[-1] == "PROTECTED"
    for code in ADVISORY:
        stage.line(str(code), f"farm connection of code {code}")


def test_I14_an_error_without_an_order_is_attributed_to_none(stage: Stage) -> None:
    """Kills: ``reports.refused`` that says nothing about orders it does not know."""
    stage.ladder()
    began = stage.t
    for code, text in ((201, "Order rejected"), (321, "Error validating request.-'bx' : cause - x")):
        stage.say(i.OrderRefusedByBroker(at=stage.now, ref="", what=RefusedWhat.ORDER, code=code, text=text))
    stage.wait(5)
    assert commands(stage, began) == []
    assert stage.shares() == RUNNING
    assert [event.code for event in stage.told(BrokerMessageUnclassified)] == [201, 321]
    stage.line("unexpected message 321: Error validating request")


# --- on the way down --------------------------------------------------------------------------------------------------


def test_I12_a_market_order_that_a_halt_stops_stays_alone_and_is_an_alarm(stage: Stage) -> None:
    """Kills: ``trade.selling_since`` that knows no market orders (25 shares would be called protected)."""
    stage.ladder()
    stage.refuse("place", "sl1", 201, REFUSED, times=99)
    stage.quote("188", "188.02", size=35)
    stage.kill("sl1", 201, REFUSED)
    while "flat1" not in stage.shares():
        stage.wait(0.05)
    assert stage.shares("flat1") == {"flat1": 25}
    stage.wait(0.01)
    began = stage.t
    stage.halt()
    stage.quote(None, None)
    stage.wait(120)
    assert commands(stage, began) == []
    assert (stage.position(), stage.shares("flat1")) == (65, {"flat1": 25})
    assert stage.when(LadderProtectionStateChanged)[-1] - began < 5
    assert states(stage)[-1] == "EMERGENCY"
    assert "25 of 65 AAPL shares have no working stop" in stage.line("exits")
    stage.quote("185", "185.02")
    stage.halt(on=False)
    stage.wait(3)
    assert (stage.position(), stage.shares()) == (40, OTHERS)
    assert commands(stage, began) == []
    stage.sells_at_most(40)


@pytest.mark.parametrize("both", [True, False])
def test_I13_a_replacement_whose_stop_is_refused_is_cleared_and_tried_again(stage: Stage, both: bool) -> None:
    """Kills: ``incidents._replace_stop`` that gives up while a target lives and does not cancel it."""
    stage.ladder()
    stage.refuse("place", "sl2", 201, REFUSED)
    if both:
        stage.refuse("place", "tp2", 201, REFUSED)
    began = stage.t
    stage.kill("sl2")
    stage.wait(20)
    assert placed(stage, began) == [*PAIR, *PAIR]
    assert commands(stage, began).count("cancel tp2") == 2
    assert stage.shares() == RUNNING
    assert states(stage)[-1] == "PROTECTED"
    assert stage.when(LadderProtectionStateChanged)[-1] - began < 20
    stage.line("sl2", f"order refused by the broker (201): {REFUSED}")
    stage.sells_at_most(100)


@BOTH_OCA
def test_I15_a_stop_lost_beside_a_target_that_sold_some_is_replaced_for_the_rest(
    make_stage: MakeStage, shows: str
) -> None:
    """Kills: ``incidents._send`` that replaces the leg's first quantity (30 where 20 are left)."""
    stage = make_stage(oca_shows=shows, oca_cancel_spreads=False)
    began = second_target_near(stage)
    stage.trade("198", 10)
    stage.wait(0.1)
    stage.kill("sl2")
    stage.wait(8)
    assert commands(stage, began) == ["cancel tp2", "place sl2 20 stop 190", "place tp2 20 198"]
    assert stage.shares() == {"sl2": 20, "tp2": 20, "sl3": 10, "tp3": 10}
    assert sum(event.qty for event in stage.told(BracketChildOrderFilled) if event.leg == "tp2") == 10
    stage.line(
        "sl2", f"stop gone{stage.because('Order Canceled - reason:')} · 20 shares of this leg need a new one"
    )
    stage.sells_at_most(30)
