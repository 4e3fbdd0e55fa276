"""Words that the scenarios of bars share: a watcher on a market that trades, and the break that it has to see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.faults.openings import FULL, buys
from tests.faults.wire_kit import WireStage

from tradeshell.upkeep import BarHealthSettings
from tradeshell_breakout.events import BreakoutConfirmed

Make = Callable[..., WireStage]
HEAL = BarHealthSettings(self_heal_enabled=True)
KEPT = {"real_time_bars": False}
LIMIT = 180.0  # seconds without data after which a stream of minutes counts as stalled


def watched(stage: WireStage, **more: Any) -> WireStage:
    """Let the market trade at 189.50, and a watcher look at it."""
    stage.start_market()
    stage.watch(**more)
    stage.wait(70)
    assert stage.sent == []
    return stage


def breaks(stage: WireStage, price: str = "190.01") -> None:
    """Trade above the level in the last seconds of the present minute, and let the minute end."""
    stage.wait(60 - stage.t % 60 - 2)
    stage.trade(price, 100)
    stage.wait(1)
    stage.quote("190.00", "190.02")
    stage.wait(4)


def requests(stage: WireStage, kind: int, since: float = 0) -> list[float]:
    """Return when bars were asked for."""
    return [at for at, what in stage.requests if what == kind and at >= since]


def fires(stage: WireStage) -> None:
    """Assert that the next break buys, once."""
    breaks(stage)
    assert buys(stage) == ["place"]
    assert len(stage.told(BreakoutConfirmed)) == 1
    assert stage.shares() == FULL


def fires_kept(stage: WireStage) -> None:
    """Assert that a break of a history that is kept up to date buys, once."""
    stage.wait(60 - stage.t % 60 - 2)
    stage.trade("190.01", 100)
    stage.quote("190.00", "190.02")
    stage.wait(2.5)
    stage.trade("190.01", 100)  # the next minute begins, and so this one is over
    stage.wait(6)
    assert buys(stage) == ["place"]
    assert len(stage.told(BreakoutConfirmed)) == 1
