"""The audit: every announced event becomes one record and goes to every sink, in order, before the next command runs.

Laws: a sink never stops trading; one that fails is muted once and for all, and that is itself an event.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tradeshell.core.events import Event, SinkMuted
from tradeshell.ports import Record, Sink
from tradeshell.upkeep import LogFile

RECORD_VERSION = 1


class Audit:
    """Numbers events and hands them out."""

    def __init__(self, session: str, now: Callable[[], datetime]) -> None:
        self._session = session
        self._now = now
        self._seq = 0
        self._sinks: tuple[tuple[str, Sink], ...] = ()

    def add(self, name: str, sink: Sink) -> None:
        """Add a sink; it gets every record from now on."""
        self._sinks = (*self._sinks, (name, sink))

    @property
    def names(self) -> tuple[str, ...]:
        """The sinks that still get every record."""
        return tuple(name for name, _ in self._sinks)

    def log_file(self) -> LogFile:
        """Return the log of a sink that says where it writes: such a sink has an attribute ``path``."""
        for _, sink in self._sinks:
            if isinstance(path := getattr(sink, "path", None), Path):
                return LogFile(name="events", path=path)
        return LogFile(name="events", why="no sink writes events to a file")

    def tell(self, event: Event) -> None:
        """Hand ``event`` to every sink."""
        self._seq += 1
        record = Record(
            v=RECORD_VERSION,
            seq=self._seq,
            ts=self._now(),
            mono=time.monotonic(),
            session=self._session,
            event=event,
        )
        failed: list[tuple[str, str]] = []
        for name, sink in self._sinks:
            try:
                sink(record)
            except Exception as error:  # noqa: BLE001  # a sink may raise anything; trading goes on without it
                failed.append((name, f"{type(error).__name__}: {error}"))
        for name, reason in failed:
            self._sinks = tuple((n, s) for n, s in self._sinks if n != name)
            self.tell(SinkMuted(sink=name, reason=reason))
