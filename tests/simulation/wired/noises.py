"""What must not be heard while a schedule runs: errors in logs, tracebacks, coroutines and results that nobody takes.

Laws: whatever listened before listens again afterwards.
"""

from __future__ import annotations

import gc
import io
import logging
import sys
import warnings
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from types import TracebackType
from typing import Any, Self

from tests.simulation.loop import SECOND, STRAYS, SimLoop
from tests.simulation.wired.rules import Noise

TRACES = ("Traceback", "never retrieved", "never awaited")


class _Listener(logging.Handler):
    """Keeps records of errors."""

    def __init__(self, noises: Noises) -> None:
        super().__init__(logging.ERROR)
        self._noises = noises

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self._noises.hear(f"{record.name}: {record.getMessage()}")


class Noises:
    """Listens from entering to leaving; what it hears is in ``found``."""

    def __init__(self, loop: SimLoop, found: list[Noise]) -> None:
        self._loop, self._found = loop, found
        self._said = io.StringIO()
        self._handler = _Listener(self)
        self._stack = ExitStack()

    def hear(self, words: str) -> None:
        """Keep something that was heard."""
        self._found.append(Noise(self._loop.micros / SECOND, words))

    def look(self, *, thoroughly: bool) -> None:
        """Judge what was printed so far; ``thoroughly``: also what lies about, of earlier schedules too."""
        if thoroughly:
            gc.collect()
            while STRAYS:
                self.hear(f"nobody took care of {STRAYS.pop()!r}")
        said = self._said.getvalue()
        for trace in TRACES:
            if trace in said:
                self.hear(f"printed: {said[max(0, said.index(trace) - 60) : said.index(trace) + 200]!r}")

    def __enter__(self) -> Self:
        """Listen."""
        self._stack.enter_context(redirect_stderr(self._said))
        self._stack.enter_context(redirect_stdout(self._said))
        self._stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("always", RuntimeWarning)
        warnings.showwarning = self._warned
        self._before, sys.unraisablehook = sys.unraisablehook, self._unraisable
        logging.getLogger().addHandler(self._handler)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more."""
        logging.getLogger().removeHandler(self._handler)
        sys.unraisablehook = self._before
        self._stack.close()

    def _warned(self, message: Any, category: type[Warning], *_: Any, **_more: Any) -> None:
        if issubclass(category, RuntimeWarning):
            self.hear(f"{category.__name__}: {message}")

    def _unraisable(self, event: Any) -> None:
        self.hear(f"ignored: {event.exc_value!r} in {event.object!r}")
