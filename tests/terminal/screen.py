"""A real terminal: a pseudo-terminal, the program in it, and an emulator that says what a person would see."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pexpect
import pyte

ROOT = Path(__file__).parents[2]
ROWS, COLUMNS = 30, 100
PATIENCE = 20.0


class Terminal:
    """Types keys into a program and looks at its screen."""

    def __init__(
        self, command: list[str], environ: dict[str, str], rows: int = ROWS, columns: int = COLUMNS
    ) -> None:
        self.columns = columns
        self.screen = pyte.HistoryScreen(columns, rows, history=5000, ratio=0.5)
        self.stream = pyte.ByteStream(self.screen)
        self.child = pexpect.spawn(
            command[0],
            command[1:],
            cwd=str(ROOT),
            env=cast("os._Environ[str]", environ),
            dimensions=(rows, columns),
            timeout=PATIENCE,
        )
        # The program asks where the cursor is; the emulator answers as a terminal does.
        setattr(self.screen, "write_process_input", self.child.send)  # noqa: B010  # a hook of pyte, typed as a method

    @property
    def lines(self) -> list[str]:
        """What the screen shows, without empty lines at the end."""
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def everything(self) -> list[str]:
        """The lines that have scrolled away, and the screen."""
        top = ["".join(row[x].data for x in range(self.columns)).rstrip() for row in self.screen.history.top]
        return [*top, *self.lines]

    @property
    def prompt_line(self) -> str:
        """The line the cursor is in."""
        return self.screen.display[self.screen.cursor.y].rstrip()

    def read(self) -> None:
        """Take what the program has written, waiting a moment for more."""
        try:
            self.stream.feed(cast("bytes", self.child.read_nonblocking(65536, timeout=0.02)))
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            if self.child.isalive():
                time.sleep(0.01)

    def until(self, is_true: Callable[[], bool], what: str) -> None:
        """Look at the screen until it is as wanted."""
        deadline = time.monotonic() + PATIENCE
        while not is_true():
            assert time.monotonic() < deadline, f"never happened: {what}; the screen:\n" + "\n".join(
                self.lines
            )
            self.read()

    def sees(self, words: str) -> None:
        """Wait until a line of the screen (or above it) holds ``words``."""
        self.until(lambda: any(words in line for line in self.everything), f"to see {words!r}")

    def prompts(self, text: str) -> None:
        """Wait until the line with the cursor reads ``text``."""
        self.until(lambda: self.prompt_line == text, f"the cursor in {text!r}")

    def type(self, keys: str, *, pause: float = 0.0) -> None:
        """Press keys; with a pause between them the screen is read meanwhile."""
        if not pause:
            self.child.send(keys)
            return
        for key in keys:
            self.child.send(key)
            deadline = time.monotonic() + pause
            while time.monotonic() < deadline:
                self.read()

    def code(self) -> int:
        """Wait for the program's end and return its exit code; that of a shell for a signal."""
        self.until(lambda: not self.child.isalive(), "the program's end")
        self.read()
        if self.child.exitstatus is not None:
            return int(self.child.exitstatus)
        return 128 + int(self.child.signalstatus or 0)


def _environ() -> dict[str, str]:
    """Return the environment of whoever runs the tests without what would change the screen."""
    dropped = ("COLUMNS", "LINES", "NO_COLOR", "PAPER_ONLY")
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in dropped and not name.startswith(("IB_", "APPS_", "TRADESHELL_"))
    }
    return kept | {"TERM": "xterm-256color", "PYTHONUTF8": "1"}


@contextmanager
def program(
    home: Path, *words: str, rows: int = ROWS, columns: int = COLUMNS, **environ: str
) -> Iterator[Terminal]:
    """Open the whole program in a terminal, as somebody whose folders are in ``home``."""
    own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / "config"), "XDG_STATE_HOME": str(home / "state")}
    opened = Terminal(
        [sys.executable, "-m", "tradeshell", *words],
        _environ() | own | {"NO_COLOR": "1"} | environ,
        rows,
        columns,
    )
    try:
        yield opened
    finally:
        opened.child.close(force=True)


@contextmanager
def terminal(state: Path, *words: str, no_colour: bool = True) -> Iterator[Terminal]:
    """Open the stand-in in a terminal; it is killed if a test leaves it behind."""
    environ = _environ() | ({"NO_COLOR": "1"} if no_colour else {})
    opened = Terminal(
        [sys.executable, "-m", "tests.shell.stand_in", "--state-dir", str(state), *words], environ
    )
    try:
        yield opened
    finally:
        opened.child.close(force=True)
