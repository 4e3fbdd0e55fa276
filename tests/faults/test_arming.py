"""Faults between the first fill and armed legs (group A of the scenarios): shares that are not confirmed, exits that do not come.

Laws: as in ``test_entry``. A ladder is confirmed by the broker's position; until then a plain stop covers what has executed.
"""

# ids of scenarios have capital letters

from __future__ import annotations

import pytest
from tests.faults.kit import Stage, usd
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
    InventoryConfirmFailed,
    LadderProtectionStateChanged,
    ReconciliationFailed,
)
from tradeshell.core.exit_events import (
    LadderArmed,
    ProtectionAlarm,
)
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.plan import Cover
from tradeshell.core.policy import Policy


def no_positions(stage: Stage) -> None:
    """Let the broker say no position, whether asked or not."""
    stage.lose("position", times=99)
    stage.pictures(positions=None)


# --- shares that are not confirmed ------------------------------------------------------------------------------------


def test_A01_a_position_that_lags_delays_the_legs_and_not_the_protection(stage: Stage) -> None:
    """The fill is known at once, the position three seconds later: covered after half a second, armed once confirmed.

    Kills: legs armed without the broker's position.
    """
    keep_back_positions(stage)
    stage.trigger()
    stage.wait(2.9)
    assert placed(stage) == ["entry", "cover"]
    assert stage.shares() == {"cover": 100}
    assert stage.told(InventoryConfirmed) == []
    confirmed = stage.t
    stage.pictures()
    stage.release()
    stage.wait(2)
    assert stage.shares() == FULL
    assert stage.when(LadderArmed)[0] - confirmed < 5
    stage.sells_at_most(100)
    # A stop that waits ("PreSubmitted") works: nobody waits for "Submitted".
    assert {order.state for order in stage.working("sl")} == {"held"}
    assert states(stage)[-1] == "PROTECTED"
    assert (
        stage.line("armed 60")
        == "AAPL  exits     armed 60 + 30 + 10 shares, each with its target and its stop"
    )


def test_A01_a_position_message_that_is_lost_is_asked_for(stage: Stage) -> None:
    """Nothing comes by itself: pictures are asked for, and confirm the shares.

    Kills: no question for the position while a ladder waits for it.
    """
    stage.lose("position", times=99)
    stage.trigger()
    stage.wait(4)
    assert stage.shares() == FULL
    assert stage.when(LadderArmed)[0] - FILLED_AT < 5
    assert stage.told(InventoryConfirmFailed) == []
    assert "protected 100 %" in stage.line("protected")


def test_A02_a_position_smaller_than_the_fills_is_armed_for_what_is_there(stage: Stage) -> None:
    """40 of 100 were sold elsewhere, and that execution is never heard of: exits for 60, an alarm, and never more.

    Kills: the cap not knowing the broker's position.
    """
    stage.lose("execution", times=99, where=lambda message: message.execution.ref == "")
    stage.pictures(executions=500.0)
    stage.lose("position")
    stage.trigger()
    stage.foreign(Side.SELL, 40)
    stage.wait(60)
    assert stage.position() == 60
    assert stage.shares() == {"sl1": 20, "tp1": 20, "sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
    stage.sells_at_most(60)
    failed = stage.told(InventoryConfirmFailed)
    assert {(event.expected, event.actual) for event in failed} == {(100, 60)}
    assert failed[-1].is_believed
    assert "the broker holds 60, executions make it 100: the broker is believed" in stage.line("position")
    assert "armed 20 + 30 + 10 shares" in stage.line("exits", "armed")


def test_A04_a_position_that_is_never_answered_arms_nothing_and_one_stop_covers_it_all(stage: Stage) -> None:
    """Half a minute without a position: one plain stop for what executed, asked again and again, armed once answered.

    Kills: a look at the confirmation that is set for an instant of the past, and so for ever.
    """
    no_positions(stage)
    stage.trigger()
    stage.wait(30)
    (cover,) = stage.working()
    assert (cover.leg, cover.qty, cover.type, cover.stop) == ("cover", 100, OrderType.STOP, usd(187))
    assert stage.told(LadderArmed) == []
    assert stage.when(InventoryConfirmFailed) == [pytest.approx(FILLED_AT + 5, abs=0.01)]
    assert "the ladder is not armed before they agree" in stage.line("position  ")
    answered = stage.t
    stage.pictures()
    stage.wait(20)
    assert stage.shares() == FULL
    # Over the wire the connection was given up after three questions, and is made anew first.
    assert stage.when(LadderArmed)[0] - answered < (15 if stage.is_wire else 5)
    stage.sells_at_most(100)


def test_A04_without_a_cover_one_stop_follows_when_the_confirmation_is_overdue(stage: Stage) -> None:
    """cover=none waits for the position; after five seconds a stop of its own is the lesser evil.

    Kills: shares that stay unconfirmed being left without a stop.
    """
    no_positions(stage)
    stage.trigger(cover=Cover.NONE)
    stage.wait(4.8)
    assert placed(stage) == ["entry"]
    stage.wait(20)
    assert placed(stage) == ["entry", "cover"]
    assert stage.shares() == {"cover": 100}
    assert next(sent.t for sent in stage.sent if sent.leg == "cover") - FILLED_AT < 10
    assert states(stage) == ["ARMING", "PROTECTED"]
    assert "protected 100 % · 100 of 100 shares have a stop" in stage.line("protected")


def test_A04_where_no_stop_is_allowed_an_alarm_repeats_until_it_is_answered(make_stage: Make) -> None:
    """A live account whose operator wants no unconfirmed stop: nothing is sent, and it is said every 15 seconds.

    Kills: an alarm that is told once only.
    """
    stage = make_stage(live=True, policy=Policy(stop_on_unconfirmed=False))
    no_positions(stage)
    stage.trigger(cover=Cover.NONE)
    stage.wait(41)
    assert placed(stage) == ["entry"]
    assert states(stage) == ["ARMING", "UNPROTECTED"]
    assert stage.when(LadderProtectionStateChanged)[-1] - FILLED_AT <= 10.01
    assert [round(t - FILLED_AT) for t in stage.when(ProtectionAlarm)] == [25, 40]
    assert "UNPROTECTED · 100 of 100 AAPL shares have no working stop · `flatten AAPL`" in stage.line(
        "flatten"
    )
    stage.pictures()
    stage.wait(10)
    assert stage.shares() == FULL
    stage.sells_at_most(100)


def test_A04_a_request_that_hangs_is_given_up_and_made_again(make_stage: Make) -> None:
    """One lost answer must not leave the ladder unarmed for the rest of the day.

    Kills: requests for a picture without a bound.
    """
    stage = make_stage(unanswered="hang")
    no_positions(stage)
    stage.trigger()
    stage.wait(30)
    assert stage.shares() == {"cover": 100}
    stage.pictures()
    stage.wait(20)
    assert stage.shares() == FULL
    assert len(stage.told(LadderArmed)) == 1
    stage.sells_at_most(100)
    within = "answered completely within 4 s" if stage.is_wire else "answered within 5 s"
    assert f"{within} · asked again" in stage.line("link", "asked again")


def test_A04_the_operator_is_not_told_of_every_question_that_failed(stage: Stage) -> None:
    """Thirty seconds of silence are one alarm, not one every two seconds.

    Kills: a line for every request that fails.
    """
    no_positions(stage)
    stage.trigger()
    stage.wait(30)
    # Over the wire the connection is given up after three questions, and the next one shows nothing either.
    assert (
        1 <= len([line for line in stage.lines() if line.startswith("link")]) <= (6 if stage.is_wire else 3)
    )
    if not stage.is_wire:  # orders and positions of this connection are known: entries stay open
        assert stage.told(ReconciliationFailed) == []
    assert stage.shares() == {"cover": 100}
    stage.line("link", "positions", "answer", "· asked again")
