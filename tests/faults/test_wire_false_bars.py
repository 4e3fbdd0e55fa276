"""Bars that are not what they seem (group M of the scenarios): forming, revised, in other zones, impossible, of before.

Laws: as in ``test_wire_link``.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.faults.kit import usd
from tests.faults.openings import buys
from tests.faults.wire_bars import HEAL, KEPT, Make, fires, fires_kept, requests, watched
from tests.faults.wire_kit import WireStage
from tests.faults.wire_messages import HISTORY, REAL_TIME

from tradeshell.core.data_events import (
    BarStreamRecoveryStarted,
    BarStreamStalled,
)
from tradeshell.core.events import DataRejected
from tradeshell.core.market import Bar
from tradeshell_breakout.events import BreakoutBreakDetected, BreakoutConfirmed
from tradeshell_paper.tws import outgoing


@pytest.mark.parametrize("broker", [{}, KEPT], ids=["parts", "kept"])
def test_M07_a_bar_that_still_forms_triggers_nothing(make_wire: Make, broker: dict[str, Any]) -> None:
    """190.20 after twenty seconds, 189.80 at its end; the next one closes above.

    Kills: updates of the forming bar that count as closed.
    """
    wire = watched(make_wire(broker=broker))
    wire.wait(60 - wire.t % 60 + 20)
    wire.trade("190.20", 100)
    wire.wait(20)
    wire.trade("189.80", 100)
    wire.wait(15)
    wire.wait(10)
    assert wire.sent == []
    assert wire.told(BreakoutConfirmed) == []
    (fires_kept if broker else fires)(wire)
    wire.line("trigger", "close 190.01")


def test_M08_each_bar_counts_once_with_its_last_word_and_older_ones_not_at_all(make_wire: Make) -> None:
    """A minute at 189.90, a revision to 190.10 when it is over, an older one at 190.30, the same twice: nothing; then a break.

    Kills: a revision that is handed on as another bar; a late older bar that is.
    """
    wire = watched(make_wire(broker=KEPT))
    (session,) = wire.gateway.sessions
    (number,) = session.history._kept
    wire.wait(60 - wire.t % 60)
    start = wire.now - timedelta(seconds=60)

    def told(at: datetime, close: str) -> None:
        bar = Bar(
            "AAPL", at, 60, usd("189.90"), max(usd("190.05"), usd(close)), usd("189.80"), usd(close), 500
        )
        line = outgoing.BarRow(
            str(int(at.timestamp())), bar.open, bar.high, bar.low, bar.close, 500, bar.close, 5
        )
        wire.inside(lambda: session.send(outgoing.historical_update(number, line)))

    for _ in range(2):
        told(start, "189.90")
    told(start + timedelta(seconds=60), "189.90")
    wire.wait(2)
    told(start, "190.10")
    told(start - timedelta(seconds=60), "190.30")
    told(start, "190.10")
    wire.wait(5)
    assert wire.told(BreakoutConfirmed) == []
    assert wire.sent == []
    wire.trade("190.01", 100)
    fires_kept(wire)
    wire.line("trigger", "close 190.01")


def epoch(text: str) -> datetime:
    """Return the instant of an epoch second."""
    return datetime.fromtimestamp(int(text), UTC)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "epoch": str,
    "eastern": lambda text: f"{epoch(text) - timedelta(hours=4):%Y%m%d %H:%M:%S} US/Eastern",
    "new york": lambda text: f"{epoch(text) - timedelta(hours=4):%Y%m%d %H:%M:%S} America/New_York",
    "utc": lambda text: f"{epoch(text):%Y%m%d-%H:%M:%S}",
    "zurich": lambda text: f"{epoch(text) + timedelta(hours=2):%Y%m%d %H:%M:%S} Europe/Zurich",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_M09_a_bar_is_the_same_whatever_zone_its_time_is_written_in(make_wire: Make, spelling: str) -> None:
    """Kills: a time without its zone that is taken for that of this computer."""
    wire = make_wire(broker=KEPT)
    wire.respell = SPELLINGS[spelling]
    watched(wire)
    fires_kept(wire)
    (trigger,) = wire.told(BreakoutConfirmed)
    assert trigger.bar_start == wire.clock.start + timedelta(
        seconds=wire.when(BreakoutConfirmed)[0] // 60 * 60 - 60
    )
    wire.line("trigger", "close 190.01")


@pytest.mark.parametrize(
    "close, more",
    [("0", {}), ("-1", {}), ("NaN", {}), ("1e9", {}), ("190.10", {"low": "190.50", "high": "190.00"})],
)
def test_M11_a_bar_that_cannot_be_true_is_told_and_triggers_nothing(
    wire: WireStage, close: str, more: Any
) -> None:
    """Kills: a check of bars that looks at their order only, or not at all."""
    wire.watch()
    wire.wait(60 - wire.t % 60)
    good = wire.bar("190.10")
    low, high = (Decimal(more.get(name, close)) for name in ("low", "high"))
    bad = Bar("AAPL", good.start, 60, Decimal(close), high, low, Decimal(close), 1000)
    wire.tell_bar(bad)
    wire.wait(5)
    assert wire.told(BreakoutConfirmed) == []
    assert wire.told(BreakoutBreakDetected) == []
    (rejected,) = wire.told(DataRejected)
    assert rejected.symbol == "AAPL"
    wire.line("AAPL", "bar", "o ")
    wire.close_bar("190.01")
    wire.wait(2)
    assert buys(wire) == ["place"]


@pytest.mark.parametrize("broker", [{}, KEPT], ids=["parts", "kept"])
def test_M12_a_halt_is_no_stall(make_wire: Make, broker: dict[str, Any]) -> None:
    """Ten minutes without a bar while trading is halted; the first bar afterwards counts like any other.

    Kills: silence that is measured while a symbol is halted.
    """
    wire = watched(make_wire(bar_health=HEAL, broker=broker))
    wire.halt()
    wire.switch(bars_silent=True)
    began = wire.t
    wire.wait(600)
    assert wire.told(BarStreamStalled) == []
    assert wire.told(BarStreamRecoveryStarted) == []
    assert requests(wire, REAL_TIME, began) == []
    assert len(requests(wire, HISTORY, began)) <= 1  # what became of the minute of the halt
    wire.switch(bars_silent=False)
    wire.halt(on=False)
    (fires_kept if broker else fires)(wire)
    wire.line("trigger", "close 190.01")


def test_M16_a_bar_that_was_over_before_the_start_does_not_fire_and_the_one_that_forms_does_at_its_close(
    make_wire: Make,
) -> None:
    """The watcher starts forty seconds into a minute; the minute before closed above the level.

    Kills: history that is handed on as live bars.
    """
    wire = make_wire(broker=KEPT)
    wire.start_market("190.30")
    wire.wait(60 - wire.t % 60 + 40)
    wire.watch()
    wire.wait(5)
    assert wire.told(BreakoutConfirmed) == []
    fires_kept(wire)
    (fired,) = wire.when(BreakoutConfirmed)
    assert 120 <= fired < 122
    wire.line("trigger", "close 190.01")
