"""What one line of the journal and one line of the audit log cost, against a bare write of the same bytes.

The lines are those of a replay: every decision and every event of a few symbol-days, again and again.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.bench.market import make_market
from tests.bench.ours import replay

from tradeshell.core.events import Event
from tradeshell.engine.audit import Audit
from tradeshell.engine.journal import Entry, Journal, read_journal
from tradeshell.ports import Record, SinkContext
from tradeshell_jsonl_log.writer import open_log


class Costs(NamedTuple):
    """Seconds a line."""

    journal: float
    journal_write: float
    audit: float
    audit_write: float


def lines_of(path: Path) -> list[bytes]:
    """Return the lines of a file with their ends."""
    return path.read_bytes().splitlines(keepends=True)


def write_all(path: Path, lines: list[bytes]) -> float:
    """Append each line with one bare write; returns the seconds."""
    fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    write = os.write
    began = time.perf_counter()
    for line in lines:
        write(fd, line)
    took = time.perf_counter() - began
    os.close(fd)
    return took


def measure(count: int, folder: Path) -> Costs:
    """Write ``count`` lines of each kind; each is timed beside its own bare writes."""
    folder.mkdir()
    records: list[Record] = []
    replay(make_market(2, 5), folder / "replay", extra_sink=records.append)
    decisions = _repeated(list(read_journal(folder / "replay" / "journal")), count)
    events = _repeated([record.event for record in records], count)
    journal = _journal(decisions, folder)
    journal_write = write_all(folder / "bare-journal", lines_of(folder / "journal")[1:])
    audit = _audit(events, folder)
    audit_write = write_all(folder / "bare-audit", lines_of(folder / "events.jsonl"))
    return Costs(*(seconds / count for seconds in (journal, journal_write, audit, audit_write)))


def _repeated(found: list[Entry] | list[Event], count: int) -> list:  # type: ignore[type-arg]  # one list or the other
    return list(islice((item for _ in range(count) for item in found), count))


def _journal(decisions: list[Entry], folder: Path) -> float:
    journal = Journal(folder / "journal", "bench", "paper")
    began = time.perf_counter()
    for decision in decisions:
        journal.append(decision.input, decision.orders)
    took = time.perf_counter() - began
    journal.close()
    return took


def _audit(events: list[Event], folder: Path) -> float:
    now = datetime(2024, 4, 1, 13, 30, tzinfo=UTC)
    audit = Audit("bench", lambda: now)
    with open_log(SinkContext(state_dir=folder, settings={}, environ={})) as log:
        audit.add("jsonl", log)
        began = time.perf_counter()
        for event in events:
            audit.tell(event)
        return time.perf_counter() - began
