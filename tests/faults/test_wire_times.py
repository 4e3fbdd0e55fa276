"""Sizes and times over the wire (groups E and R of the scenarios): they outlive the program, and the trade is closed on time.

Laws: as in ``test_wire_restart``. The market stands at 10:00 New York when it begins.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from datetime import time

import pytest
from tests.faults.kit import usd
from tests.faults.openings import buys
from tests.faults.wire_bars import breaks, fires, watched
from tests.faults.wire_kit import WireStage

from tradeshell.core.desk import WatchPhase
from tradeshell.core.exit_events import FlattenStarted
from tradeshell.core.resume_events import WatchRests, WatchResumed
from tradeshell_breakout.events import BreakoutStopped

BY = {"flat_by": time(10, 10)}
RISK = {"risk_usd": usd(200), "qty": 66}


def again(stage: WireStage, down: float) -> None:
    """Kill the program and start it again."""
    stage.crash()
    stage.wait(down)
    stage.restart()
    stage.wait(15)


def is_flat(stage: WireStage) -> None:
    """Assert that nothing is held, nothing works, and no more was ever sold than was held."""
    stage.wait(20)
    assert stage.position() == 0
    assert [order.leg for order in stage.working()] == []
    stage.sells_at_most(100)


def test_a_trade_is_closed_at_its_time_and_not_before(wire: WireStage) -> None:
    """Kills: a time that no timer looks at; exits that are not cancelled first."""
    watched(wire, **BY)
    fires(wire)
    wire.wait(600 - wire.t - 5)
    assert wire.position() == 100
    assert wire.told(FlattenStarted) == []
    wire.wait(10)
    (told,) = wire.told(FlattenStarted)
    assert told.reason == "flat_by=10:10"
    is_flat(wire)
    wire.line("flatten", "flat_by=10:10: selling 100 AAPL shares")


@pytest.mark.parametrize("down", [5.0, 700.0])
def test_a_trade_whose_program_was_killed_is_closed_at_its_time_or_at_the_next_start(
    wire: WireStage, down: float
) -> None:
    """Killed with a ladder open; back before its time, or long behind it.

    Kills: a time that only the program that set it knows.
    """
    watched(wire, **BY)
    fires(wire)
    again(wire, down)
    if down < 100:
        assert wire.position() == 100
        assert wire.told(FlattenStarted) == []
        wire.wait(600 - wire.t + 1)
    assert [event.reason for event in wire.told(FlattenStarted)] == ["flat_by=10:10"]
    is_flat(wire)
    again(wire, 5)
    is_flat(wire)


def test_a_link_that_is_lost_at_the_time_delays_it(wire: WireStage) -> None:
    """Kills: a sale that is tried once."""
    watched(wire, **BY)
    fires(wire)
    wire.wait(600 - wire.t - 3)
    wire.drop_link()
    wire.wait(20)
    assert wire.position() == 100
    wire.restore_link()
    wire.wait(30)
    is_flat(wire)


def test_R07_a_watcher_with_a_risk_is_counted_at_the_trigger_after_a_kill(wire: WireStage) -> None:
    """200 USD from the ask 190.02 to 187 are 66 shares.

    Kills: a risk that a restart forgets.
    """
    watched(wire, **RISK)
    wire.quote("189.49", "189.51")
    again(wire, 5)
    assert len(wire.told(WatchResumed)) == 1
    breaks(wire)
    wire.wait(5)
    assert buys(wire) == ["place"]
    assert wire.position() == 66
    assert wire.shares("sl") == {"sl1": 40, "sl2": 20, "sl3": 6}


def test_R07_a_watcher_between_two_times_keeps_them_over_a_kill(wire: WireStage) -> None:
    """Watching from 10:05 until 10:08: the level breaks before, and after, and nothing is bought.

    Kills: a resumed watcher that looks at once, or for ever.
    """
    watched(wire, words={"after": "10:05", "until": "10:08"})
    wire.quote("189.49", "189.51")
    again(wire, 5)
    assert wire.session.desk.watchers["br-1"].phase is WatchPhase.ARMED
    breaks(wire)
    assert wire.sent == []
    wire.quote("189.49", "189.51")
    wire.trade("189.50", 100)
    wire.wait(480 - wire.t + 3)
    assert [event.reason for event in wire.told(BreakoutStopped)] == ["until"]
    breaks(wire)
    assert wire.sent == []


def test_R07_a_watcher_of_two_days_rests_over_a_kill(wire: WireStage) -> None:
    """Kills: a watcher whose night is its end."""
    watched(wire, words={"until": "10:05", "days": "2"})
    wire.quote("189.49", "189.51")
    wire.wait(300 - wire.t + 2)
    assert len(wire.told(WatchRests)) == 1
    again(wire, 5)
    assert wire.session.desk.watchers["br-1"].phase is WatchPhase.ARMED
    breaks(wire)
    assert wire.sent == []
    assert [(event.day, event.days) for event in wire.told(WatchRests)] == [(1, 2), (1, 2)]
