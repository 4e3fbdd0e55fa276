"""Words that the scenarios of entries and of arming share: how one begins, and what was sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.kit import Stage

from tradeshell.core.events import LadderProtectionStateChanged
from tradeshell_breakout.events import BreakoutConfirmed, BreakoutRejected, BreakoutStopped

ENTRY = "ts:br-1:entry:1"
FULL = {"sl1": 60, "tp1": 60, "sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
FILLED_AT = 60.0  # seconds: when the entry of a test that waits for nothing executes
Make = Callable[..., Stage]


def break_out(
    stage: Stage, bid: Any = "190.00", ask: Any = "190.02", *, wait: float = 5, **more: Any
) -> None:
    """Watch, and let a bar close above the level while this touch is in force."""
    stage.watch()
    stage.wait(60 - stage.t % 60)
    stage.quote(bid, ask, **more)
    stage.close_bar_now("190.01")
    stage.wait(wait)


def buys(stage: Stage) -> list[str]:
    """Return what was done with entries, in order."""
    return [sent.action for sent in stage.sent if sent.leg == "entry"]


def placed(stage: Stage, leg: str = "") -> list[str]:
    """Return the legs of the orders that were sent, in order."""
    return [sent.leg for sent in stage.sent if sent.action == "place" and sent.leg.startswith(leg)]


def states(stage: Stage) -> list[str]:
    """Return the states of protection, in order."""
    return [event.state for event in stage.told(LadderProtectionStateChanged)]


def keep_back_positions(stage: Stage) -> None:
    """Let the broker's position lag: neither its message nor a picture shows the fill."""
    stage.hold("position", times=99)
    stage.pictures(positions=3.0)


def is_rejected(stage: Stage, reason: str) -> None:
    """Assert that nothing left, ever, and that the watcher is used up for one reason."""
    stage.close_bar("190.30")  # the watcher is used up: another break changes nothing
    stage.wait(5)
    assert stage.sent == []
    assert [event.reason for event in stage.told(BreakoutRejected)] == [reason]
    assert [event.reason for event in stage.told(BreakoutStopped)] == ["rejected"]
    assert stage.told(BreakoutConfirmed) == []
