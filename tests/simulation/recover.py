"""How a life takes up what the earlier ones left: the one place where a schedule calls the program's recovery.

Until the program resumes by itself, this does what its parts promise: the inputs of the journals are fed to the core in order,
the desk is taken, and the core is told that the program starts again.
"""

from __future__ import annotations

from pathlib import Path

from tests.simulation.life import Life

from tradeshell.core.commands import ORDER_COMMANDS
from tradeshell.core.desk import Desk
from tradeshell.core.inputs import Restarted
from tradeshell.core.step import Core
from tradeshell.engine.journal import read_journal
from tradeshell_breakout.strategy import Breakout


def keep_journal(folder: Path, number: int) -> bytes:
    """Put the journal of an ended life aside, and return what is in it."""
    journal = folder / "journal"
    journal.rename(folder / f"journal-of-{number}")
    return (folder / f"journal-of-{number}").read_bytes()


def differs(folder: Path, lives: int) -> str:
    """Return the first decision of the journals that a fresh core does not repeat, ``""`` when it repeats them all."""
    desk = Desk()
    core = Core({"breakout": Breakout()})
    for number in range(1, lives + 1):
        for entry in read_journal(folder / f"journal-of-{number}"):
            desk, commands = core.step(desk, entry.input)
            orders = tuple(command for command in commands if isinstance(command, ORDER_COMMANDS))
            if orders != entry.orders:
                return f"life {number}, decision {entry.n}: {entry.orders} was sent, the replay says {orders}"
    return ""


def recover(life: Life, folder: Path) -> None:
    """Let the program take up what its state folder says; before the first connection of this life."""
    desk = Desk()
    core = life.session._core
    for number in range(1, life.number):
        for entry in read_journal(folder / f"journal-of-{number}"):
            desk, _ = core.step(desk, entry.input)
    life.session.desk = desk
    life.session.submit(Restarted(at=life.session.clock.now()))
