"""A ladder that runs: siblings, milestones, somebody else's hands, the end of the day, a trade that is taken back.

Each test is one sequence of messages by its id; what counts is what lives at the venue. ``Kills`` names a change of the program
that the test does not survive.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from tests.faults.kit import MORNING, Stage, usd
from tests.faults.scenes import RUNNING, alarms, commands, placed, rungs, stops

from tradeshell.core.events import (
    LadderProtectionStateChanged,
    LadderStopLossReplaced,
    TradeClosed,
    TradeReopened,
)
from tradeshell.core.exit_events import (
    IncidentStepTaken,
    LadderStopLossCancelled,
    MilestoneReached,
    ProtectionAlarm,
)
from tradeshell.core.orders import Tif
from tradeshell.core.policy import Policy

MakeStage = Callable[..., Stage]
LATE = datetime.fromisoformat("2025-07-08T19:50:00+00:00")  # ten minutes before the close
BOTH_OCA = pytest.mark.parametrize("shows", ["total", "remaining"])
BOTH_HANDS = pytest.mark.parametrize("spreads", [True, False])


# --- fills of siblings ------------------------------------------------------------------------------------------------


@BOTH_OCA
def test_L01_a_target_that_sold_a_part_leaves_the_stop_the_rest_and_moves_no_other_stop(
    make_stage: MakeStage, shows: str
) -> None:
    """Kills: ``exits.reached`` without its condition ``others > 0`` (stops that sold the rest would be a milestone)."""
    stage = make_stage(oca_shows=shows)
    stage.ladder()
    stage.quote("194.90", "194.95")
    stage.trade("195", 25)
    stage.wait(2)
    assert stage.shares() == RUNNING | {"sl1": 35, "tp1": 35}
    began = stage.t
    stage.quote("187.00", "187.02", size=35)
    stage.silence()
    stage.trade("187", 35)
    stage.wait(0.4)
    assert (stage.position(), stage.shares("sl1"), stage.shares("tp1")) == (40, {}, {})
    assert stops(stage) == {"sl2": "187", "sl3": "187"}
    assert not stage.told(MilestoneReached)
    assert not stage.told(LadderStopLossCancelled)
    assert [word for word in commands(stage, began) if not word.startswith("modify sl")] == []
    stage.line("sl1", "filled 35 @ 187.00")
    stage.sells_at_most(40)


def test_L03_a_siblings_cancel_before_the_fill_that_caused_it_replaces_nothing(stage: Stage) -> None:
    """Kills: ``incidents.EXECUTION_FIRST`` of zero (the loss of the stop would be told, and its target cancelled)."""
    stage.ladder()
    stage.pictures(answer=0.6)  # no picture helps out before the execution is heard
    stage.delay("execution", 0.4, "tp1")
    stage.delay("status", 0.4, "tp1")
    began = stage.t
    stage.quote("195", "195.02")
    stage.wait(0.3)
    assert commands(stage, began) == []
    assert stage.shares() == {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
    stage.wait(5)
    assert commands(stage, began) == ["modify sl2 30 stop 190", "modify sl3 10 stop 190"]
    assert not stage.told(LadderStopLossCancelled)
    assert not stage.told(IncidentStepTaken)
    stage.line("milestone", "target 1 reached")
    assert stage.line("exits") == "AAPL  exits     protected 100 % · 40 of 40 shares have a stop"
    stage.sells_at_most(40)


def test_L03_while_the_fill_is_missing_its_shares_are_sold_by_nothing_else(stage: Stage) -> None:
    """Kills: a cancel that counts as done when it is sent, in ``could_sell`` and ``_replace_stop`` (shares sold twice)."""
    stage.ladder()
    stage.pictures(executions=5.0, positions=5.0)  # pictures know nothing of the sale either
    for what in ("execution", "status", "position"):
        stage.delay(what, 4.9, "" if what == "position" else "tp1")
    stage.lose("cancel", "tp1", times=9)
    began = stage.t
    stage.quote("195", "195.02")
    stage.wait(4.8)
    assert [word for word in commands(stage, began) if word.startswith("place")] == []
    stage.wait(8)
    assert stage.shares() == {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
    assert [word for word in commands(stage, began) if word.startswith("place")] == []
    stage.sells_at_most(40)


def test_L04_two_targets_at_one_instant_leave_the_last_stop_at_the_second_milestone(stage: Stage) -> None:
    """Kills: ``milestones.tell_milestones`` that keeps ``asked_raise_at`` (the second raise would wait for a second)."""
    stage.ladder()
    began = stage.t
    stage.quote("198", "198.02")
    stage.wait(0.5)
    assert stops(stage) == {"sl3": "195"}
    assert stage.shares() == {"sl3": 10, "tp3": 10}
    assert [event.number for event in stage.told(MilestoneReached)] == [1, 2]
    assert commands(stage, began)[-1] == "modify sl3 10 stop 195"
    assert stage.line("milestone").endswith("target 2 reached · stops of the later legs go to 195.00")
    stage.wait(5)
    assert stops(stage) == {"sl3": "195"}
    stage.sells_at_most(10)


def test_L04_two_targets_heard_in_the_other_order_are_one_step_to_the_second_milestone(stage: Stage) -> None:
    """Kills: ``exits.reached`` that goes on after a gap (a milestone after the second target alone)."""
    stage.ladder()
    stage.hold("execution", "tp1")
    stage.hold("status", "tp1")
    stage.hold("status", "sl1")
    stage.pictures(answer=30)
    began = stage.t
    stage.quote("198", "198.02")
    stage.wait(0.3)
    assert not stage.told(MilestoneReached)
    assert commands(stage, began) == []
    stage.release()
    stage.wait(0.3)
    assert commands(stage, began) == ["modify sl3 10 stop 195"]
    assert stops(stage) == {"sl3": "195"}
    stage.line("milestone", "target 2 reached")


# --- somebody else's hands --------------------------------------------------------------------------------------------


@BOTH_HANDS
def test_L08_a_stop_cancelled_outside_is_replaced_once_and_then_not_fought_over(
    make_stage: MakeStage, spreads: bool
) -> None:
    """Kills: ``incidents.CUTS`` of 3 (a second cancel by hand would be answered by a third stop)."""
    stage = make_stage(oca_cancel_spreads=spreads)
    stage.ladder()
    began = stage.t
    stage.cancel_outside("sl2")
    stage.wait(0.4)
    assert not [word for word in commands(stage, began) if word.startswith("place")]  # pictures first
    stage.wait(9.6)
    assert stage.shares() == RUNNING
    assert commands(stage, began)[-2:] == ["place sl2 30 stop 187", "place tp2 30 198"]
    assert rungs(stage, "sl2") == ["barrier", "replacement"]
    assert stage.line("sl2", "stop gone").endswith(
        f"stop gone{stage.because('cancelled outside this program')} · 30 shares of this leg need a new one"
    )
    cut = stage.t
    stage.cancel_outside("sl2")
    stage.wait(40)
    assert stage.shares() == {"sl1": 60, "tp1": 60, "sl3": 10, "tp3": 10}
    assert [word for word in commands(stage, cut) if word.startswith("place")] == []
    assert rungs(stage, "sl2")[-2:] == ["barrier", "alarm"]
    stage.line(
        "sl2", "nothing more is tried by itself for 30 shares · somebody else cancelled its stop twice"
    )
    assert "30 of 100 AAPL shares have no working stop · `flatten AAPL` sells them" in stage.line("exits")
    assert len(alarms(stage)) == 2  # every 15 s, not once per message
    stage.sells_at_most(100)


def test_L09_a_stop_moved_down_outside_is_adopted_and_the_next_milestone_tightens_it(stage: Stage) -> None:
    """Kills: ``reports.order_reported`` that does not call ``adopted`` (the stop would be moved back to 187)."""
    stage.ladder()
    stage.alter("sl2", stop=usd(185), limit=usd(185))
    stage.wait(5)
    assert stops(stage) == {"sl1": "187", "sl2": "185", "sl3": "187"}
    moved = stage.told(LadderStopLossReplaced)
    assert [(event.leg, event.stop, event.reason) for event in moved] == [
        ("sl2", usd(185), "changed at the broker by somebody else")
    ]
    assert stage.line("sl2").endswith("stands at 185.00 · changed at the broker by somebody else")
    stage.quote("195", "195.02")
    stage.wait(2)
    assert stops(stage) == {"sl2": "190", "sl3": "190"}


def test_L09_a_stop_moved_above_the_rule_outside_is_not_loosened_by_the_milestone(stage: Stage) -> None:
    """Kills: ``reports.adopted`` that keeps the leg as it was (192 would be moved back down)."""
    stage.ladder()
    stage.quote("194", "194.02")
    stage.alter("sl2", stop=usd(192), limit=usd(192))
    began = stage.t
    stage.quote("195", "195.02")
    stage.wait(3)
    assert stops(stage) == {"sl2": "192", "sl3": "190"}
    assert commands(stage, began) == ["modify sl3 10 stop 190"]


def test_L09_a_stop_price_changed_alone_gets_a_limit_that_is_not_above_it(stage: Stage) -> None:
    """Kills: ``exits.exit_pair`` with the adopted limit as it is, above the stop (an elected stop could not sell)."""
    stage.ladder()
    stage.alter("sl2", stop=usd(185))  # its limit stays at 187
    stage.wait(3)
    (order,) = stage.working("sl2")
    assert (order.stop, order.limit) == (usd(185), usd(185))


# --- the end of the day -----------------------------------------------------------------------------------------------


def test_L10_exits_that_expire_at_the_close_are_an_alarm_and_neither_replaced_nor_sold(
    make_stage: MakeStage,
) -> None:
    """Kills: ``hours.has_expired`` that is always false (three incidents, and a flatten after hours)."""
    stage = make_stage(start=LATE)
    stage.ladder(exit_tif=Tif.DAY)
    began = stage.t
    stage.wait(600 - stage.t + 60)
    assert stage.working() == []
    assert stage.position() == 100
    assert commands(stage, began) == []
    assert not stage.told(LadderStopLossCancelled)
    states = [event.state for event in stage.told(LadderProtectionStateChanged)]
    assert states[-1] == "UNPROTECTED"
    assert stage.when(LadderProtectionStateChanged)[-1] == pytest.approx(600, abs=1)
    assert "100 of 100 AAPL shares have no working stop" in stage.line("exits")


@pytest.mark.parametrize("rearm", [True, False])
def test_L10_expired_exits_are_armed_again_in_the_next_session_where_the_operator_says_so(
    make_stage: MakeStage, rearm: bool
) -> None:
    """Kills: ``hours.may_rearm`` without its look at the policy; and one that is always false."""
    stage = make_stage(start=LATE, policy=Policy(rearm=rearm))
    stage.ladder(exit_tif=Tif.DAY)
    began = stage.t
    stage.wait(17 * 3600)  # half an hour before the next open
    assert commands(stage, began) == []
    stage.wait(3600)
    assert stage.shares() == (RUNNING if rearm else {})
    assert stage.position() == 100
    assert stage.trade_of().protection == ("PROTECTED" if rearm else "UNPROTECTED")
    stage.sells_at_most(100)


def test_L10_arming_exits_of_the_day_says_that_they_end_with_it(make_stage: MakeStage) -> None:
    """Kills: ``exit_events.LadderArmed`` whose line leaves the end of the day out."""
    stage = make_stage(start=LATE)
    stage.ladder(exit_tif=Tif.DAY)
    assert stage.line("exits", "armed").endswith("they end with the day at 16:00")


def test_L10_exits_that_outlive_the_night_rest_and_protect_again_in_the_morning(
    make_stage: MakeStage,
) -> None:
    """Kills: ``hours.answer`` that keeps the session of the entry's day (the next morning is past its close)."""
    stage = make_stage(start=LATE)
    stage.ladder()
    stage.wait(2 * 3600)
    assert stage.trade_of().protection == "DEFERRED"
    assert not stage.told(ProtectionAlarm)
    stage.wait(16 * 3600)
    assert stage.shares() == RUNNING
    assert stage.trade_of().protection == "PROTECTED"


# --- a trade that is taken back ---------------------------------------------------------------------------------------


def first_target_sold(stage: Stage) -> None:
    """Run the ladder past its first target, and bring the market back to 193."""
    stage.ladder()
    stage.quote("195", "195.02")
    stage.wait(3)
    stage.quote("193", "193.02")
    assert stops(stage) == {"sl2": "190", "sl3": "190"}


def test_L15_a_busted_target_is_armed_again_on_paper_and_its_milestone_stays(stage: Stage) -> None:
    """Kills: ``turn.SECOND_LOOK`` of a tenth of a second (armed again before two pictures apart agree)."""
    first_target_sold(stage)
    began = stage.t
    stage.bust("tp1")
    stage.wait(1)
    assert commands(stage, began) == []  # pictures that agree come first
    stage.wait(9)
    assert stage.shares() == RUNNING
    assert stops(stage) == {"sl1": "187", "sl2": "190", "sl3": "190"}
    assert rungs(stage, "sl1")[-1] == "replacement"
    assert [event.number for event in stage.told(MilestoneReached)] == [1]
    stage.line("tp1", "the exchange took an execution back")
    stage.line("exits", "PARTIAL · 60 of 100 shares have no working stop")
    stage.sells_at_most(100)


def test_L15_a_busted_target_of_a_live_account_waits_for_its_operator(make_stage: MakeStage) -> None:
    """Kills: ``reports._taken_back`` that does nothing (a live account would sell again by itself)."""
    stage = make_stage(live=True)
    first_target_sold(stage)
    began = stage.t
    stage.bust("tp1")
    stage.wait(50)
    assert commands(stage, began) == []
    assert stage.shares() == {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
    assert "60 of 100 AAPL shares have no working stop · `flatten AAPL`" in stage.line("exits")
    assert len(alarms(stage)) == 3


def a_part_is_taken_back(stage: Stage) -> float:
    """Let the first target sell 25, and the exchange take that back; return when, in seconds since the start."""
    stage.ladder()
    stage.quote("194.90", "194.95")
    stage.trade("195", 25)
    stage.wait(3)
    stage.quote("193", "193.02")
    stage.bust("tp1")
    assert stage.shares() == RUNNING | {"sl1": 35, "tp1": 35}
    return stage.t


def test_L15_a_busted_part_of_a_target_leaves_the_living_pair_of_a_live_account_alone(
    make_stage: MakeStage,
) -> None:
    """Kills: ``settle._split_off`` that does not look whether the account is a paper one (a live one would sell by itself)."""
    stage = make_stage(live=True)
    began = a_part_is_taken_back(stage)
    stage.wait(20)
    assert commands(stage, began) == []
    assert stage.shares() == RUNNING | {"sl1": 35, "tp1": 35}
    stage.line("exits", "25 of 100 AAPL shares have no working stop")
    stage.sells_at_most(100)


def test_L15_a_busted_part_of_a_target_is_covered_by_a_pair_of_its_own_on_paper(stage: Stage) -> None:
    """Kills: ``settle._split_off`` that never splits (25 shares without a stop, for ever)."""
    began = a_part_is_taken_back(stage)
    stage.wait(20)
    assert placed(stage, began) == ["place sl4 25 stop 187", "place tp4 25 195"]
    assert stage.shares() == RUNNING | {"sl1": 35, "tp1": 35, "sl4": 25, "tp4": 25}
    stage.sells_at_most(100)


def test_L15_a_bust_opens_a_trade_that_was_closed(stage: Stage) -> None:
    """Kills: ``settle._reopen_if_needed`` that leaves closed trades closed (30 shares that nobody protects)."""
    stage.ladder()
    stage.quote("205", "205.02")
    stage.wait(3)
    assert len(stage.told(TradeClosed)) == 1
    assert stage.position() == 0
    stage.quote("196", "196.02")
    stage.bust("tp2")
    stage.wait(5)
    assert len(stage.told(TradeReopened)) == 1
    assert stage.shares() == {"sl2": 30, "tp2": 30}
    stage.line("reopened", "30 shares are held after all")
    assert not stage.told(ProtectionAlarm)
    stage.sells_at_most(30)


def test_the_ladders_of_these_tests_begin_in_the_morning(stage: Stage) -> None:
    """Kills: a stage that starts outside regular hours, where none of the stops above would work."""
    assert stage.clock.start == MORNING
    stage.ladder()
    assert stage.shares() == RUNNING
