"""One event, one line, one write.

Laws:

1. A line is one JSON object and leaves in one ``write`` to a file opened for appending: a killed process tears nothing. There
   is no fsync on the path; what a power cut tears is repaired at the next start, and the torn bytes are kept in a file aside.
2. ``seq`` counts the lines of the log from 1 without a gap, over sessions and over rotated files. ``n`` counts the records of
   one session, as the host numbers them; a line of the log's own has ``n`` 0.
3. No value makes a line that cannot be parsed: NaN becomes null, what JSON does not know becomes text.
4. A line that cannot be written whole is taken back, the failure is raised once, and nothing is written after it.
5. The running file is always the configured path. It is renamed to ``NAME-YYYY-MM-DD.jsonl`` before the first record of a later
   New York day. The day is the record's own (the venue's in a replay): no clock is asked.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from tradeshell import ConfigError, DataError, Event, Record, Sink, SinkContext, StateError, Weight

PATH_VARIABLE = "APPS_EVENT_LOG_PATH"
FILE_NAME = "events.jsonl"
NEW_YORK = ZoneInfo("America/New_York")
ENVELOPE = ("v", "seq", "ts", "mono", "session", "n", "event")
OURS = b'{"v":'  # how every line begins
TAIL = 1 << 20  # bytes: how far from the end the last whole line is looked for


class LogTailRepaired(Event, frozen=True, kw_only=True):
    """The log ended in a torn line: its ``torn`` bytes are in the file ``kept``, the log goes on after the last whole line."""

    weight: ClassVar[Weight] = Weight.BAD
    torn: int
    kept: str

    def label(self) -> str:
        return "audit"

    def story(self) -> str | None:
        return f"the log ended in a torn line; its {self.torn} bytes are kept in {self.kept}"


@contextlib.contextmanager
def open_log(context: SinkContext) -> Iterator[Sink]:
    """Open the log at ``APPS_EVENT_LOG_PATH``, else ``path`` of ``[sinks.jsonl]``, else ``events.jsonl`` in the state directory.

    Raises ``StateError`` when the file is not a log, is written by another program, or cannot be opened; it stays as it was.
    Raises ``ConfigError`` for a setting that is not known or is no path.
    """
    log = JsonlLog(_chosen_path(context))
    try:
        yield log
    finally:
        log.close()


def _chosen_path(context: SinkContext) -> Path:
    for name, value in context.settings.items():
        if name != "path" or not isinstance(value, str) or not value:
            raise ConfigError(
                f'[sinks.jsonl] {name} = {value!r}: the one setting is path · example: path = "~/events.jsonl"'
            )
    if named := context.environ.get(PATH_VARIABLE):
        return Path(named)
    return context.state_dir / Path(context.settings.get("path", FILE_NAME)).expanduser()


class JsonlLog:
    """The open log. Not thread-safe: the engine's loop alone writes. It is the sink: ``path`` is what `tail events` reads."""

    def __init__(self, path: Path) -> None:
        """Open ``path`` for appending, repairing a torn end; raises ``StateError``."""
        with _refusals(path):
            # A link stays a link: what it points to is what is opened and rotated.
            self.path = Path(os.path.realpath(path.expanduser()))
            self._make_folder()
            if self.path.exists() and not self.path.is_file():
                raise StateError(f"event log {self.path} is no file · choose another {PATH_VARIABLE}")
            self._fd = self._open()
        try:
            with _refusals(self.path):
                self._seq, self._day, self._repaired = self._take_up()
        except BaseException:
            os.close(self._fd)
            raise
        self._size = os.fstat(self._fd).st_size
        self._next_day = _midnight_after(self._day)
        self._failed = False

    def write(self, record: Record) -> None:
        """Append ``record``; raises ``StateError`` the first time the disk refuses, and does nothing from then on."""
        if self._failed:
            return  # the host was told and has muted this sink
        try:
            if self._next_day is None or record.ts >= self._next_day:
                self._turn_page(record.ts)
            if self._repaired is not None:
                self._append(msgspec.structs.replace(record, seq=0, event=self._repaired))
                self._repaired = None
            self._append(record)
        except StateError:
            self._failed = True
            raise
        except OSError as error:
            self._failed = True
            raise self._refused(error) from error

    __call__ = write

    def write_all(self, records: Sequence[Record]) -> None:
        """Append ``records`` as ``write`` does one after the other, with one call to the system where that is the same."""
        last = records[-1]
        if self._failed or self._repaired or self._next_day is None or last.ts >= self._next_day:
            for record in records:
                self.write(record)
            return
        lines = [encode(record, number) for number, record in enumerate(records, self._seq + 1)]
        try:
            self._append_lines(b"".join(lines), len(lines))
        except OSError as error:
            self._failed = True
            raise self._refused(error) from error

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, record: Record) -> None:
        self._append_lines(encode(record, self._seq + 1), 1)

    def _append_lines(self, lines: bytes, count: int) -> None:
        written = os.write(self._fd, lines)
        if written != len(lines):
            os.ftruncate(self._fd, self._size)
            raise OSError(errno.ENOSPC, "the disk is full")
        self._size += written
        self._seq += count

    def _refused(self, error: OSError) -> StateError:
        return StateError(
            f"event log {self.path}: {error.strerror} · nothing is logged from here on; make room and start again"
        )

    # --- opening ------------------------------------------------------------------------------------------------------

    def _make_folder(self) -> None:
        for missing in reversed([place for place in self.path.parents if not place.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        fd = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise StateError(
                f"event log {self.path} is being written by another program · give one of them its own {PATH_VARIABLE}"
            ) from None
        except OSError:
            pass  # some network file systems have no locks: better a log without one than none
        with contextlib.suppress(OSError):  # somebody else's file that we may write stays as open as it is
            if stat.S_IMODE(os.fstat(fd).st_mode) & 0o077:
                os.fchmod(fd, 0o600)  # positions and prices are nobody else's affair
        return fd

    def _take_up(self) -> tuple[int, datetime | None, LogTailRepaired | None]:
        """Return the last number, the latest instant in the file, and what had to be repaired."""
        size = os.fstat(self._fd).st_size
        if size == 0:
            return self._last_of_rotated(), None, None
        start = max(0, size - TAIL)
        tail = os.pread(self._fd, size - start, start)
        whole, last = _last_line(tail)
        if last is None:
            # Without a single whole line it is a log only if it begins like one (or like one that a power cut filled with zeros).
            if start > 0 or not (tail.startswith(OURS) or OURS.startswith(tail) or not tail.strip(b"\0")):
                raise StateError(
                    f"{self.path} is no event log of ours, it was left as it is · choose another {PATH_VARIABLE}"
                )
            return self._last_of_rotated(), None, self._repair(tail, 0)
        # A replay writes old days behind newer ones: the first line may be the later one.
        first = _parsed(os.pread(self._fd, TAIL, 0).partition(b"\n")[0] + b"\n")
        latest = max(_instant(record) for record in (first, last) if record is not None)
        torn = tail[whole:]
        return last["seq"], latest, self._repair(torn, start + whole) if torn else None

    def _repair(self, torn: bytes, keep: int) -> LogTailRepaired:
        # The copy first: a kill between the two leaves the bytes in both places, never in none.
        names = (f"{self.path.name}.torn-{keep}{part}" for part in ("", *(f"-{n}" for n in range(2, 10_000))))
        aside = next(place for name in names if not (place := self.path.with_name(name)).exists())
        with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(torn)
        os.ftruncate(self._fd, keep)
        return LogTailRepaired(torn=len(torn), kept=aside.name)

    def _last_of_rotated(self) -> int:
        """Return the number at which the newest rotated file ended, 0 without one."""
        for file in reversed(rotated(self.path)):
            with file.open("rb") as opened:
                opened.seek(max(0, opened.seek(0, os.SEEK_END) - TAIL))
                _, last = _last_line(opened.read())
            if last is not None:
                number: int = last["seq"]
                return number
        return 0

    # --- rotation -----------------------------------------------------------------------------------------------------

    def _turn_page(self, ts: datetime) -> None:
        """Begin a new file for the day of ``ts``, unless the running one is still empty (then it has no day)."""
        if self._day is not None:
            day = self._day.astimezone(NEW_YORK).date().isoformat()
            with contextlib.suppress(
                FileNotFoundError
            ):  # somebody has moved the running file away: begin a new one
                self.path.rename(_free_name(self.path, day))
            os.close(self._fd)
            self._fd = -1
            self._fd = self._open()
            self._size = 0
        self._day = ts
        self._next_day = _midnight_after(ts)


def rotated(path: Path) -> list[Path]:
    """Return the files that the log at ``path`` was rotated to, oldest first."""
    form = re.compile(re.escape(path.stem) + r"-(\d{4}-\d\d-\d\d)(?:\.(\d+))?" + re.escape(path.suffix))
    found = [
        (match[1], int(match[2] or 0), file)
        for file in path.parent.iterdir()
        if (match := form.fullmatch(file.name))
    ]
    return [file for _, _, file in sorted(found)]


def _free_name(path: Path, day: str) -> Path:
    # A replay of an old day, or a clock set back, may bring a day a second time: nothing is overwritten.
    taken = {file.name for file in rotated(path)}
    name, number = f"{path.stem}-{day}{path.suffix}", 0
    while name in taken:
        number += 1
        name = f"{path.stem}-{day}.{number}{path.suffix}"
    return path.with_name(name)


def _midnight_after(instant: datetime | None) -> datetime | None:
    if instant is None:
        return None
    day = instant.astimezone(NEW_YORK).date() + timedelta(days=1)
    return datetime.combine(day, time(), NEW_YORK)


# --- lines ------------------------------------------------------------------------------------------------------------


def encode(record: Record, seq: int) -> bytes:
    """Return the line of ``record`` under the number ``seq``: the envelope, then the event's fields that are set.

    A field that is called like one of the envelope gets a ``_`` behind its name.
    """
    line = _head(record, seq)
    event = record.event
    try:
        keys, values = _fields(type(event))
        for key, value in zip(keys, values(event), strict=True):
            if value is not None:
                line[key] = value
        return _ENCODER.encode(line) + b"\n"
    except Exception as error:  # noqa: BLE001  # an event of a plugin may hold anything; its line is kept as far as it goes
        instead = {"unreadable": _described(error), "fields": _shallow(record.event)}
        return (
            json.dumps(_head(record, seq) | {"ts": _described(record.ts)} | instead).encode("ascii") + b"\n"
        )


def _head(record: Record, seq: int) -> dict[str, Any]:
    return {
        "v": record.v,
        "seq": seq,
        "ts": record.ts,
        "mono": round(record.mono, 6) if math.isfinite(record.mono) else None,
        "session": record.session,
        "n": record.seq,
        "event": type(record.event).__name__,
    }


_ENCODER = msgspec.json.Encoder(enc_hook=str)


@cache
def _fields(kind: type[Event]) -> tuple[tuple[str, ...], Callable[[Event], tuple[Any, ...]]]:
    """Return the names that a kind of event's fields have in a line, and what takes their values."""
    named = [
        (name, f"{key}_" if key in ENVELOPE else key)
        for name, key in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
        if key != "event"
    ]
    return tuple(key for _, key in named), attrgetter(*(name for name, _ in named))


def _shallow(event: object) -> dict[str, str]:
    names: tuple[str, ...] = getattr(event, "__struct_fields__", ())
    return {name: _described(getattr(event, name, None)) for name in names}


def _described(value: object) -> str:
    try:
        return value.isoformat() if isinstance(value, datetime) else ascii(value)[:200]
    except Exception:  # noqa: BLE001  # not even its repr works
        return f"<{type(value).__name__}>"


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of one log file, oldest first; a torn last line ends it quietly.

    Raises ``DataError`` when a line in the middle is damaged or a number is missing, ``StateError`` when it cannot be opened.
    """
    expected: int | None = None
    with _refusals(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            record = _parsed(line)
            if record is None:
                if line.endswith(b"\n") and file.read(1):
                    raise DataError(
                        f"event log {path} line {number}: it is damaged · the lines before it are good"
                    )
                return
            if expected is not None and record["seq"] != expected:
                raise DataError(
                    f"event log {path} line {number}: number {record['seq']} where {expected} belongs · lines are missing"
                )
            expected = record["seq"] + 1
            yield record


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        record = json.loads(line)
        whole = (
            type(record["seq"]) is int and isinstance(record["event"], str) and _instant(record) is not None
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return record if whole else None


def _instant(record: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(record["ts"]).astimezone(NEW_YORK)


def _last_line(tail: bytes) -> tuple[int, dict[str, Any] | None]:
    """Return where the last whole line of ``tail`` ends, and its record."""
    end = tail.rfind(b"\n") + 1
    while end > 0:
        start = tail.rfind(b"\n", 0, end - 1) + 1
        record = _parsed(tail[start:end])
        if record is not None:
            return end, record
        end = start
    return 0, None


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateError(f"event log {path}: {error.strerror} · choose another {PATH_VARIABLE}") from error
