"""The fast path over the wire (group E of the scenarios): seconds out of single trades race the minutes, and enter once.

Laws: as in ``test_wire_bars``. The buffer above 190 is 0.10.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections.abc import Callable

from tests.faults.kit import usd
from tests.faults.openings import FULL, buys
from tests.faults.wire_bars import breaks, watched
from tests.faults.wire_kit import WireStage

from tradeshell.core.desk import WatchPhase
from tradeshell_breakout.events import BreakoutConfirmed, BreakoutFastTriggered

Make = Callable[..., WireStage]
FAST = {"fast_bar": "1"}


def jumps(stage: WireStage, price: str = "190.12") -> None:
    """Trade above level and buffer in the middle of a minute, and let the second end."""
    stage.wait(60 - stage.t % 60 + 20)
    stage.quote("190.10", "190.12")
    stage.wait(0.2)
    stage.trade(price, 100)
    stage.wait(2.5)


def test_E18_a_second_above_level_and_buffer_buys_before_its_minute_ends_and_the_minute_buys_nothing(
    wire: WireStage,
) -> None:
    """Kills: a slow bar that is looked at after a fast one has entered; no stream of seconds at all."""
    watched(wire, words=FAST)
    jumps(wire)
    (fast,) = wire.told(BreakoutFastTriggered)
    assert (fast.close, fast.fast_level) == (usd("190.12"), usd("190.10"))
    assert wire.t % 60 < 30
    assert buys(wire) == ["place"]
    breaks(wire, "190.12")
    wire.wait(130)
    assert buys(wire) == ["place"]
    assert len(wire.told(BreakoutConfirmed)) == 1
    assert wire.shares() == FULL


def test_E18_killed_right_after_the_fast_entry_neither_path_enters_again(wire: WireStage) -> None:
    """Kills: a resumed watcher whose other stream fires."""
    watched(wire, words=FAST)
    jumps(wire)
    wire.crash()
    wire.wait(5)
    wire.restart()
    wire.wait(15)
    breaks(wire, "190.12")
    jumps(wire)
    assert buys(wire) == ["place"]
    assert wire.session.desk.watchers["br-1"].phase is WatchPhase.FIRED


def test_R07_a_watcher_that_was_killed_while_it_waited_has_both_paths_again(wire: WireStage) -> None:
    """Kills: a resumed watcher that has lost its fast stream."""
    watched(wire, words=FAST)
    wire.quote("189.49", "189.51")
    wire.crash()
    wire.wait(5)
    wire.restart()
    wire.wait(15)
    assert wire.session.desk.watchers["br-1"].phase is WatchPhase.ARMED
    jumps(wire)
    assert buys(wire) == ["place"]
    assert len(wire.told(BreakoutFastTriggered)) == 1
