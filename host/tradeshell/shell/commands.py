"""The host's own commands, and the words that no plugin may take. Importing this loads no terminal."""

from __future__ import annotations

from types import MappingProxyType

from tradeshell.grammar import Command
from tradeshell.shell import (
    commands_account,
    commands_chart,
    commands_orders,
    commands_risk,
    commands_session,
    commands_trade,
    commands_upkeep,
)

ALIASES = MappingProxyType({"pos": "positions", "exit": "quit"})
KEPT = ("alias", "history", "macro", "set")  # cmd2's own, as they are
REMOVED = (
    "shell",
    "edit",
    "run_pyscript",
    "py",
    "ipy",
    "_relative_run_script",
    "shortcuts",
)  # cmd2's own, not here
OF_THE_SHELL = ("help", "quit", "run_script")  # see commands_shell: they need the shell itself

BUILTIN_COMMANDS: tuple[Command, ...] = (
    *commands_trade.COMMANDS,
    *commands_orders.COMMANDS,
    *commands_risk.COMMANDS,
    *commands_account.COMMANDS,
    *commands_chart.COMMANDS,
    *commands_session.COMMANDS,
    *commands_upkeep.COMMANDS,
)
RESERVED_WORDS: tuple[str, ...] = (*OF_THE_SHELL, *KEPT, *REMOVED, *ALIASES)
