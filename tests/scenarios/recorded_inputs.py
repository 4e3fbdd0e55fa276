"""Feeds the inputs of a journal to a fresh core and prints the order commands as JSON lines; run in a process of its own.

``python -m tests.scenarios.recorded_inputs JOURNAL [ALTER]``: with ``alter`` the deciding bar is put below the level.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
from msgspec.structs import replace

from tradeshell.core.commands import ORDER_COMMANDS
from tradeshell.core.desk import Desk
from tradeshell.core.inputs import BarClosed, Input
from tradeshell.core.step import Core
from tradeshell.engine.journal import read_journal
from tradeshell_breakout.strategy import Breakout


def order_commands(inputs: Iterable[Input]) -> Iterator[str]:
    """Yield the order commands that ``inputs`` lead to, as JSON."""
    core, desk = Core({"breakout": Breakout()}), Desk()
    for event in inputs:
        desk, commands = core.step(desk, event)
        for command in commands:
            if isinstance(command, ORDER_COMMANDS):
                yield msgspec.json.encode(command).decode()


def altered(event: Input) -> Input:
    """Return the input with its bar, if it has one, below every level."""
    if not isinstance(event, BarClosed):
        return event
    low = event.bar.low - Decimal(50)
    return replace(event, bar=replace(event.bar, close=low, high=low, open=low, low=low))


def main(journal: str, alter: str = "") -> None:
    """Print the commands."""
    inputs = [entry.input for entry in read_journal(Path(journal))]
    changed = [altered(event) for event in inputs] if alter else inputs
    sys.stdout.write("".join(f"{line}\n" for line in order_commands(changed)))


if __name__ == "__main__":
    main(*sys.argv[1:])
