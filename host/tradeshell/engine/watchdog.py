"""Looks whether the engine's loop answers, from a thread of its own.

Laws: it never touches the loop but to ask it for a sign of life, and decides nothing. A lag is told by the loop itself when it is
over; what the loop cannot tell any more (that it is stuck, that it has ended) goes to the screen directly. A plugin in which it
is stuck is named, and reported when the loop answers again. On a venue that runs the clock one turn of the loop may be a day of
market: only its end is told there.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from tradeshell.core.events import Event
from tradeshell.core.upkeep_events import EngineEnded, EngineLagged, EngineStuck

LOOK_EVERY = 0.1  # seconds
LAG = 0.25  # seconds that the loop may take to answer
STUCK = 10.0  # seconds after which it is told while it lasts
STUCK_EVERY = 30.0  # seconds until that is told again


class Watchdog:
    """Watches one engine. ``tell`` is called on the loop, ``alarm`` on the watchdog's own thread."""

    def __init__(
        self,
        thread: threading.Thread,
        loop: asyncio.AbstractEventLoop,
        *,
        tell: Callable[[Event], None],
        alarm: Callable[[Event], None],
        crashes: Path,
        is_embedded: bool,
        packages: frozenset[str] = frozenset(),
        held_up: Callable[[], object] = bool,
    ) -> None:
        """Watch ``thread``. ``packages`` are the plugins' own; ``held_up`` is called on the loop after one was stuck."""
        self._engine, self._loop = thread, loop
        self._tell, self._alarm = tell, alarm
        self._crashes, self._is_embedded = crashes, is_embedded
        self._packages, self._held_up = packages, held_up
        self._where = ""  # in which plugin the loop was seen last
        self._closing = threading.Event()
        self._answered = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Watch from now on."""
        self._thread.start()

    def close(self) -> None:
        """Watch no more; before the engine is ended on purpose."""
        self._closing.set()

    def _run(self) -> None:
        while not self._closing.wait(LOOK_EVERY):
            if not self._engine.is_alive():
                self._alarm(EngineEnded())
                return
            if not self._is_embedded:
                self._look()

    def _look(self) -> None:
        """Ask for a sign of life, and wait for it as long as it takes."""
        asked, told_at = time.monotonic(), STUCK
        self._where = ""
        self._answered.clear()
        try:
            self._loop.call_soon_threadsafe(self._answer, asked)
        except RuntimeError:  # the loop has ended just now; the next look tells
            return
        while not self._answered.wait(LOOK_EVERY):
            if self._closing.is_set() or not self._engine.is_alive():
                return
            self._where = self._found_in() or self._where
            if (lag := time.monotonic() - asked) >= told_at:
                told_at = lag + STUCK_EVERY
                self._write_where()
                self._alarm(EngineStuck(seconds=round(lag, 1), where=self._where))

    def _answer(self, asked: float) -> None:
        self._answered.set()
        if (lag := time.monotonic() - asked) > LAG:
            is_long = bool(self._where) and lag >= STUCK
            self._tell(EngineLagged(seconds=round(lag, 2), where=self._where, stops_entries=is_long))
            if is_long:
                self._held_up()

    def _frame(self) -> FrameType | None:
        """Return where the engine's thread is."""
        return sys._current_frames().get(self._engine.ident or 0)  # noqa: SLF001  # the documented way to see another thread

    def _found_in(self) -> str:
        """Return in which plugin the engine's thread is, "" while it is in none."""
        frame = self._frame()
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module.partition(".")[0] in self._packages:
                return f"{module} ({frame.f_code.co_name}, line {frame.f_lineno})"
            frame = frame.f_back
        return ""

    def _write_where(self) -> None:
        """Put down where the engine's thread is, for who has to find out."""
        frame = self._frame()
        if frame is None:
            return
        try:
            with self._crashes.open("a", encoding="utf-8") as file:
                file.write(
                    f"the engine does not answer; it is here:\n{''.join(traceback.format_stack(frame))}\n"
                )
        except OSError:
            return  # a disk that fails may be what it waits for
