"""The journals of one schedule: the one that goes on over its lives, and those that ended because nothing was open any more.

Laws: lives are taken up by the program's own recovery; here it is only kept what a later life puts aside, so that the checker
sees every line that was ever written, and the last one torn when it is.
"""

from __future__ import annotations

from pathlib import Path

from tradeshell.core.step import Core
from tradeshell.engine.recovery import Recovered, recover
from tradeshell_breakout.strategy import Breakout


class Journals:
    """Every journal of a schedule in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "journal"
        self._earlier: list[bytes] = []  # whole files
        self._found = b""

    def look(self) -> None:
        """Look at the journal before a life begins."""
        self._found = self._path.read_bytes() if self._path.exists() else b""

    def went_on(self, found: Recovered) -> None:
        """Keep the journal that was there, unless the life goes on with it."""
        if not found.goes_on_after and self._found:
            self._earlier.append(self._found)

    def lines(self) -> list[bytes]:
        """Return all lines, oldest first."""
        files = (*self._earlier, self._path.read_bytes())
        return [line for file in files for line in file.splitlines(keepends=True)]

    def differ(self) -> str:
        """Return the first decision of the journals that a fresh core does not repeat, ``""`` when it repeats them all."""
        aside = self._folder / "journal-of-before"
        for file in self._earlier:
            aside.write_bytes(file)
            if difference := recover(Core({"breakout": Breakout()}), aside, "paper").differs:
                return difference
        return recover(Core({"breakout": Breakout()}), self._path, "paper").differs
