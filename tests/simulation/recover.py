"""How a life takes up what an earlier one left: the one place where a schedule calls the program's own recovery."""

from __future__ import annotations

from pathlib import Path

from tests.simulation.life import Life


def recover(life: Life, folder: Path) -> None:
    """Let the program take up what its state folder says; before the first connection of this life."""
    del life, folder  # the program cannot resume yet: kills are samples without a restart
