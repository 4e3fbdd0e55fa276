"""The audit: every announced event becomes one record and goes to every sink, in order.

Laws: what is held is handed out before an order leaves (the session does that) and before anything that is told later; of what is
handed out together, sinks that keep it are served before those that only show it. A sink never stops trading; one that fails is
muted once and for all, and that is itself an event. One that has an attribute ``trouble`` stays: it says there why it cannot keep
records at present, and no entry leaves before it can again (the session does that).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from tradeshell.core.events import AuditInterrupted, AuditResumed, Event, SinkMuted
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
        self._shows: frozenset[str] = frozenset()
        self._keepers: tuple[tuple[str, Any], ...] = ()  # those with an attribute ``trouble``
        self._told: dict[str, str] = {}  # what of it is told
        self._held: list[Event] = []
        self._unshown: list[Record] = []

    def add(self, name: str, sink: Sink, *, shows: bool = False) -> None:
        """Add a sink; it gets every record from now on. One that only ``shows`` them may get them after the orders have left.

        A sink may have a method ``write_all`` that takes several records at once, and an attribute ``trouble``.
        """
        self._sinks = (*self._sinks, (name, sink))
        if hasattr(sink, "trouble"):
            self._keepers = (*self._keepers, (name, sink))
        if shows:
            self._shows |= {name}

    @property
    def sinks(self) -> tuple[tuple[str, Sink], ...]:
        """The sinks that still get every record, by name."""
        return self._sinks

    @property
    def names(self) -> tuple[str, ...]:
        """What they are called."""
        return tuple(name for name, _ in self._sinks)

    @property
    def trouble(self) -> str:
        """Why records are not kept as they should be, "" while they are."""
        return next((sink.trouble for _, sink in self._keepers if sink.trouble), "")

    def log_file(self) -> LogFile:
        """Return the log of a sink that says where it writes: such a sink has an attribute ``path``."""
        for _, sink in self._sinks:
            if isinstance(path := getattr(sink, "path", None), Path):
                return LogFile(name="events", path=path, why=getattr(sink, "trouble", ""))
        return LogFile(name="events", why="no sink writes events to a file")

    def tell(self, event: Event) -> None:
        """Hand ``event`` to every sink, behind what is held."""
        self._held.append(event)
        self.keep()
        self.show()

    def hold(self, *events: Event) -> None:
        """Tell ``events`` with the next one that is told, or with ``keep``."""
        self._held += events

    def keep(self) -> None:
        """Hand what is held to the sinks that keep it."""
        if not self._held:
            return
        held, self._held = self._held, []
        now, mono, seq = self._now(), time.monotonic(), self._seq
        self._seq += len(held)
        records = [
            Record(v=RECORD_VERSION, seq=number, ts=now, mono=mono, session=self._session, event=event)
            for number, event in enumerate(held, seq + 1)
        ]
        self._unshown += records
        self._hand_out(records, shows=False)
        for name, sink in self._keepers:
            if sink.trouble or self._told:
                self._tell_trouble(name, sink.trouble)

    def _tell_trouble(self, name: str, trouble: str) -> None:
        """Tell what a sink says of itself, once for each beginning and end."""
        known = self._told.get(name, "")
        if trouble and not known:
            self._told[name] = trouble
            self.tell(AuditInterrupted(sink=name, reason=trouble))
        elif known and not trouble:
            del self._told[name]
            self.tell(AuditResumed(sink=name))

    def show(self) -> None:
        """Hand what was kept to the sinks that show it."""
        if self._unshown:
            records, self._unshown = self._unshown, []
            self._hand_out(records, shows=True)

    def _hand_out(self, records: list[Record], *, shows: bool) -> None:
        failed: list[tuple[str, str]] = []
        for name, sink in self._sinks:
            if (name in self._shows) is not shows:
                continue
            write_all = getattr(sink, "write_all", None)
            try:
                if write_all is not None:
                    write_all(records)
                else:
                    for record in records:
                        sink(record)
            except Exception as error:  # noqa: BLE001  # a sink may raise anything; trading goes on without it
                failed.append((name, f"{type(error).__name__}: {error}"))
        for name, reason in failed:
            self._sinks = tuple((n, s) for n, s in self._sinks if n != name)
            self.tell(SinkMuted(sink=name, reason=reason))
