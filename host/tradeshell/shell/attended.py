"""What somebody at the terminal is told beside answers: what is waited for, and what changed since the last look.

Laws: a script, a pipe and JSON never see any of it. It is told before the next line runs, never over what is being typed.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from tradeshell.errors import TradeshellError
from tradeshell.ports import View
from tradeshell.shell import render, since
from tradeshell.shell.life import LivingShell
from tradeshell.shell.progress import Progress

AWAY = 120.0  # seconds without a line: the next one begins with what changed meanwhile


class AttendedShell(LivingShell):
    """Keeps in mind what has been seen. ``seen``: the desk when the last line had run, ``None`` before there was one."""

    def __init__(self, **life: Any) -> None:
        self.seen: View | None = None
        self._last = time.monotonic()
        self.progress = Progress(self.put, lambda: self.screen().width)
        super().__init__(**life)

    def put(self, text: str) -> None:
        """Write to the screen whatever stands there."""
        raise NotImplementedError

    def while_waiting(self, what: str, waited: float) -> None:
        """Show what happens, and what is waited for; called on the main thread while a command waits for the engine."""
        self.pump.drain()
        if self.is_attended and self.out.isatty():
            with self.pump.screen:
                self.progress.tick(what, waited)

    def before_line(self) -> None:
        """Take printing back from the prompt and show what happened meanwhile; in short, after a while away."""
        with self.sigint_protection:
            self.pump.leave_prompt()
            self.pump.drain()
        if len(self._frames) == 1 and time.monotonic() - self._last >= AWAY:
            self._tell_changes(is_asked=False)

    def after_line(self) -> None:
        """Remember what the person at the terminal has seen."""
        self.progress.clear()
        if self.is_attended and not self._frames:
            with contextlib.suppress(TradeshellError):
                self.seen = self.trading.view()
            self._last = time.monotonic()

    def empty_line(self) -> None:
        """Answer Enter on its own: what changed since the last look."""
        if self.is_attended and not self._frames:
            with self.sigint_protection:
                self.pump.leave_prompt()
                self.pump.drain()
            self._tell_changes(is_asked=True)
            self.after_line()

    def _tell_changes(self, *, is_asked: bool) -> None:
        if self.seen is None or not self.is_attended:
            return
        with contextlib.suppress(TradeshellError):
            now = self.trading.view()
            found = since.changes(self.seen, now)
            if found or is_asked:
                with self.pump.screen:
                    self.write(render.answer_text((since.line(self.seen, found),), self.screen()) + "\n")

    @property
    def is_attended(self) -> bool:
        """Whether somebody types, at a terminal."""
        return self.has_terminal and not self.as_json and not self.batch
