"""What the tests of the log write with: records of one moment, and a log in a folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tradeshell import Event, Record, SinkContext
from tradeshell_jsonl_log.reader import read_log
from tradeshell_jsonl_log.writer import JsonlLog, open_log

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)  # Monday, 12:00 in New York


class Noted(Event, frozen=True, kw_only=True):
    """An event of a plugin."""

    what: Any = None


def record(n: int = 1, *, ts: datetime = NOON, event: Event | None = None, session: str = "s1") -> Record:
    """Return the ``n``-th record of a session."""
    return Record(v=1, seq=n, ts=ts, mono=12.3456789, session=session, event=event or Noted(what=n))


def records(count: int) -> Sequence[Record]:
    """Return the first records of a session."""
    return [record(n) for n in range(1, count + 1)]


@contextlib.contextmanager
def log(folder: Path, *, named: str | None = None, **config: object) -> Iterator[JsonlLog]:
    """Open the log in ``folder``, or where the variable names it."""
    environ = {} if named is None else {"APPS_EVENT_LOG_PATH": named}
    with open_log(SinkContext(state_dir=folder, settings=config, environ=environ)) as sink:
        assert isinstance(sink, JsonlLog)
        yield sink


def write(folder: Path, count: int, *, ts: datetime = NOON, session: str = "s1") -> Path:
    """Write ``count`` records in a session of their own and return the file."""
    with log(folder) as sink:
        for n in range(1, count + 1):
            sink(record(n, ts=ts, session=session))
    return folder / "events.jsonl"


def numbers(path: Path) -> list[int]:
    """Return the numbers in one file; raises when it is damaged."""
    return [line["seq"] for line in read_log(path)]


def events(path: Path) -> list[str]:
    """Return the names of the events in one file."""
    return [line["event"] for line in read_log(path)]
