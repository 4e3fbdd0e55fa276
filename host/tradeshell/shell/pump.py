"""The event pump: events of the engine on their way to the screen.

Laws: ``post`` may be called from any thread, never blocks and never prints. Events are shown in the order in which they were
posted, each once. Whoever prints holds ``screen``, so lines never mix. At the prompt the prompt's own loop prints, above the
typed text and without touching it; while a command runs or a pipe is read, a thread of the pump prints; around commands the main
thread prints what is there (``drain``), so that what happened before a command returned stands before its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from prompt_toolkit.application import run_in_terminal

from tradeshell.ports import Record

PACE = (
    0.1  # seconds between two redraws of the prompt: ten a second is live to the eye and leaves time to type
)
BATCH = 200  # lines a redraw: a key waits at most for one of these
LIMIT = (
    100_000  # waiting events before further ones are only counted: a stopped terminal must not eat the memory
)

Tell = Callable[[Record], str | None]


def _nowhere(text: str) -> None:
    """Take text for a screen that is not there yet, or not any more."""
    del text


class EventPump:
    """Carries records from the engine to the screen. It may be fed before a screen is attached.

    ``missed`` counts events that were given up because the screen did not take any; the number is shown and the audit has them.
    """

    def __init__(self, *, limit: int = LIMIT) -> None:
        self.screen = threading.RLock()
        self.missed = 0
        self._limit = limit
        self._queue: deque[Record] = deque()
        self._tell: Tell | None = None
        self._write: Callable[[str], None] = _nowhere
        self._posted = threading.Event()
        self._writer: threading.Thread | None = None
        self._closing = False
        self._prompting = False
        self._wake: Callable[[], object] | None = None
        self._woken = False

    # --- any thread ---------------------------------------------------------------------------------------------------

    def post(self, record: Record) -> None:
        """Take one record; a sink. Never blocks, never raises."""
        if len(self._queue) >= self._limit:
            self.missed += 1
            return
        self._queue.append(record)
        if not self._prompting:
            self._posted.set()
        elif (wake := self._wake) is not None and not self._woken:
            self._woken = True
            # The prompt's loop may have been closed just now: whoever prints next looks into the queue first.
            with contextlib.suppress(RuntimeError):
                wake()

    # --- main thread --------------------------------------------------------------------------------------------------

    def attach(self, tell: Tell, write: Callable[[str], None], *, live: bool) -> None:
        """Show events with ``write(tell(record))`` from now on. ``live=False``: only when ``drain`` is called."""
        self._tell = tell
        self._write = write
        if live:
            self._writer = threading.Thread(target=self._write_live, name="event-writer", daemon=True)
            self._writer.start()
            self._posted.set()

    def drain(self) -> None:
        """Show everything that has been posted so far, now; nothing while the prompt's loop prints."""
        with self.screen:
            if self._prompting:
                return
            waiting = len(self._queue)
            while waiting > 0:
                waiting -= self._show(BATCH)

    def enter_prompt(self) -> None:
        """Leave printing to the prompt's loop from now on: see ``at_prompt``."""
        with self.screen:
            self._prompting = True

    def leave_prompt(self) -> None:
        """Take printing back from the prompt's loop, which has ended."""
        with self.screen:
            self._prompting = False
        if self._queue:
            self._posted.set()

    async def at_prompt(self) -> None:
        """Show events above the prompt until cancelled; a background task of the prompt's application."""
        loop = asyncio.get_running_loop()
        posted = asyncio.Event()
        self._woken = False
        self._wake = lambda: loop.call_soon_threadsafe(posted.set)
        try:
            while True:
                if not self._queue:
                    await posted.wait()
                posted.clear()
                self._woken = False
                # Taking from the queue and printing is one synchronous call: a cancel in between cannot lose a line.
                await run_in_terminal(self._show_above_prompt)
                await asyncio.sleep(PACE)
        finally:
            self._wake = None

    def mute(self) -> None:
        """Show nothing any more: the screen is gone."""
        self._write = _nowhere

    def close(self) -> None:
        """Show what is left and end the thread; what is posted later is not shown."""
        self._closing = True
        self._prompting = False
        self._posted.set()
        if self._writer is not None:
            self._writer.join(timeout=2.0)
        self.drain()

    # --- printing: with the screen held -------------------------------------------------------------------------------

    def _write_live(self) -> None:
        while True:
            self._posted.wait()
            self._posted.clear()
            while self._queue and not self._closing:
                with self.screen:
                    if self._prompting:
                        break  # checked under the lock: from here on the prompt's loop prints
                    self._show(BATCH)
            if self._closing:
                return

    def _show_above_prompt(self) -> None:
        with self.screen:
            self._show(BATCH)

    def _show(self, most: int) -> int:
        """Print up to ``most`` events; returns how many were taken."""
        if self._tell is None:
            return most
        lines: list[str] = []
        taken = 0
        while taken < most and self._queue:
            line = self._tell(self._queue.popleft())
            taken += 1
            if line is not None:
                lines.append(line)
        if not self._queue and self.missed:
            lines.append(f"… {self.missed} events were not shown; the event log has them")
            self.missed = 0
        if lines:
            self._write("\n".join(lines) + "\n")
        return taken or most
