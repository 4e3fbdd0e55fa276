"""Breakout: watch closed bars, enter when one closes at or above a level, once. Hook implementations only."""

from tradeshell import Command, Register, Strategy, hookimpl
from tradeshell_breakout.command import commands
from tradeshell_breakout.strategy import Breakout


@hookimpl
def register_strategies(register: Register[Strategy]) -> None:
    """Offer ``breakout``."""
    register("breakout", Breakout())


@hookimpl
def register_commands(register: Register[Command]) -> None:
    """Offer ``breakout``, ``breakouts`` and ``plan``."""
    for command in commands():
        register(command.name, command)
