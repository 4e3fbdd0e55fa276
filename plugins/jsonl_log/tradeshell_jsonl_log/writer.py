"""One event, one line, one write.

Laws:

1. A line leaves in one ``write`` to a file opened for appending, before the order that it is about: a killed process tears
   nothing. There is no sync on the path; what a power cut tears or a disk flips is found at the next start: the longest good
   beginning stays, what follows is kept in a file aside, and the log goes on.
2. ``seq`` counts the lines of the log from 1 without a gap, over sessions and over rotated files. ``n`` counts the records of
   one session, as the host numbers them; a line of the log's own has ``n`` 0.
3. A line is there whole or not at all. What the disk refuses is counted and tried no second time; as soon as it takes lines
   again, an ``AuditGap`` says before the next one how many are missing. Meanwhile ``trouble`` says why, and no entry leaves.
4. A disk that needs longer than ``SLOW`` for a line gets the following ones from a thread, in order, out of a bounded queue.
5. The running file is always the configured path. It is renamed to ``NAME-YYYY-MM-DD.jsonl`` before the first record of a later
   New York day, or when it is full. The day is the record's own (the venue's in a replay): no clock is asked. A file that
   somebody moved or cut is noticed within a second of writing, and the log goes on in the one that is there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from time import monotonic
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tradeshell import ConfigError, Event, Record, Sink, SinkContext, StateError
from tradeshell_jsonl_log.events import AuditGap, LogRestarted, LogTailRepaired
from tradeshell_jsonl_log.files import (
    PATH_VARIABLE,
    free_name,
    make_folder,
    open_locked,
    refusals,
    rotated,
    set_aside,
)
from tradeshell_jsonl_log.lines import OURS, Whole, encode, instant, is_sealed, parsed, scan, seal

FILE_NAME = "events.jsonl"
NEW_YORK = ZoneInfo("America/New_York")
FULL = 64 << 20  # bytes of one file: a start reads it whole, within a second
LOOK_EVERY = 1.0  # seconds between two looks whether the file is still ours
SLOW = 0.25  # seconds that a write may take
PROBE_EVERY = 1.0  # seconds between two looks whether a slow disk is quick again
PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
)  # of a disk, not of a path: tried again
QUEUE = 20_000  # records that wait for a slow disk at most
CLOSE_WITHIN = 2.0  # seconds
NO_DAY = datetime.min.replace(tzinfo=UTC)


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
    """The open log, a sink. One thread writes at a time: the engine's loop, or while the disk is slow the thread of ``_drain``.

    ``path`` is what `tail events` reads, ``notes`` what the operator should know of the start, ``trouble`` why nothing can be
    written in time ("" while all is well). ``write`` never raises for what a disk does.
    """

    slow = SLOW  # seconds that a write may take

    def __init__(self, path: Path) -> None:
        """Open ``path`` for appending, putting damage aside.

        Raises ``StateError`` when it is no log, belongs to another program or is in no place for one; a disk that is full or
        fails is ``trouble``: it is tried again.
        """
        self.notes: tuple[str, ...] = ()
        self.trouble = ""
        self._fd = -1
        self._seq = self._size = self._chain = 0
        self._day: datetime | None = None
        self._next_day = NO_DAY
        self._look_at = 0.0
        self._must_look = True
        self._is_torn = self._was_slow = self._is_closing = False
        self._own: list[Event] = []  # what the log has to say of itself before the next record
        self._lost = self._late = 0  # records that the next ``AuditGap`` counts
        self._why = ""
        self._waiting: list[Record] | None = None  # for a slow disk; then its thread owns everything above
        self._overflow = 0
        self._ready = threading.Condition()  # guards the two
        self._thread: threading.Thread | None = None
        with refusals(path):
            # A link stays a link: what it points to is what is opened and rotated.
            self.path = Path(os.path.realpath(path.expanduser()))
            if self.path.exists() and not self.path.is_file():
                raise StateError(f"event log {self.path} is no file · choose another {PATH_VARIABLE}")
            try:
                make_folder(self.path)
                self._take_up()
            except OSError as error:
                if error.errno not in PASSING:
                    raise
                self._lose(0, error)
        told = [event.story() for event in self._own] + ([self._why] if self.trouble else [])
        self.notes = tuple(f"event log {self.path}: {words}" for words in told)

    # --- writing ------------------------------------------------------------------------------------------------------

    def write(self, record: Record) -> None:
        """Append ``record``."""
        self.write_all((record,))

    __call__ = write

    def write_all(self, records: Sequence[Record]) -> None:
        """Append ``records``, with one call to the system if they belong into one file; they are there when this returns.

        What cannot be written is counted, ``trouble`` says why.
        """
        if self._waiting is not None and self._queued(records):
            return
        if (
            self._must_look
            or records[-1].ts >= self._next_day
            or self._size >= FULL
            or monotonic() >= self._look_at
        ):
            self._write_with_care(records)
        else:
            try:
                self._append(records)
            except OSError as error:
                self._lose(len(records), error)
        if self._was_slow:
            self._begin_to_wait()

    def _append(self, records: Sequence[Record]) -> None:
        """Write the lines of ``records`` whole, or leave the file as it was and raise ``OSError``."""
        number, chain = self._seq, self._chain
        lines = []
        for record in records:
            number += 1
            line, chain = seal(encode(record, number), chain)
            lines.append(line)
        data = b"".join(lines)
        began = monotonic()
        try:
            if os.write(self._fd, data) != len(data):
                raise OSError(errno.ENOSPC, "the disk is full")
        except OSError:
            self._is_torn = True
            with contextlib.suppress(OSError):  # then the next write begins with it
                self._cut()
            raise
        finally:
            self._was_slow = monotonic() - began > self.slow
        self._seq, self._chain = number, chain
        self._size += len(data)

    def _cut(self) -> None:
        """Take back what was written of a line that did not fit."""
        os.ftruncate(self._fd, self._size)
        self._is_torn = False

    def _write_with_care(self, records: Sequence[Record]) -> None:
        """Write where there is more to do: see that the file is ours, say what is missing, begin a new page."""
        done = 0
        try:
            self._make_ready()
            if records[-1].ts < self._next_day and self._size < FULL:
                self._append_first(records)
            else:
                for record in records:
                    if record.ts >= self._next_day or self._size >= FULL:
                        self._turn_page(record.ts)
                    self._append_first((record,))
                    done += 1
        except (OSError, StateError) as error:  # the latter: another program has taken the file's place
            self._lose(len(records) - done, error)
        else:
            self._must_look = False
            if self._waiting is None:
                self.trouble = ""

    def _append_first(self, records: Sequence[Record]) -> None:
        """Append ``records`` behind what the log has to say of itself, and what is missing before them."""
        own = list(self._own)
        if self._lost or self._late:
            own.append(AuditGap(lost=self._lost, late=self._late, reason=self._why))
        self._append((*(replace(records[0], seq=0, event=event) for event in own), *records))
        self._own.clear()
        self._lost = self._late = 0

    def _lose(self, count: int, error: OSError | StateError) -> None:
        """Count what was not written, and say why."""
        self._must_look = True
        self._lost += count
        self._why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        self.trouble = self._why if isinstance(error, StateError) else f"event log {self.path}: {self._why}"

    # --- a slow disk --------------------------------------------------------------------------------------------------

    def _begin_to_wait(self) -> None:
        """Let a thread write from now on: the loop has waited once, and orders shall not wait again."""
        self._was_slow = False
        if not self._is_closing:
            if not self.trouble:
                self._why = f"the disk needs more than {self.slow:g} s for a line"
                self.trouble = f"event log {self.path}: {self._why}"
            self._waiting = []
            self._thread = threading.Thread(target=self._drain, name="jsonl-log", daemon=True)
            self._thread.start()

    def _queued(self, records: Sequence[Record]) -> bool:
        """Hand ``records`` to the thread; ``False`` when there is none any more."""
        with self._ready:
            if self._waiting is None:
                return False
            room = QUEUE - len(self._waiting)
            self._waiting.extend(records[:room])
            self._overflow += len(records[room:])
            self._ready.notify()
        return True

    def _drain(self) -> None:
        """Write what waits until the disk is quick again; on the thread."""
        batch: list[Record] = []
        overflow = 0
        while True:
            began = monotonic()
            if batch:
                self._write_with_care(batch)
                self._late += len(batch)
                self._lost += overflow
            with contextlib.suppress(OSError):  # a disk that answers with an error is not slow
                os.fdatasync(self._fd)
            is_slow = monotonic() - began > self.slow
            with self._ready:
                assert self._waiting is not None, "this thread alone ends the waiting"
                if not self._waiting and (not is_slow or self._is_closing):
                    self._waiting, self._must_look = None, True
                    if not self._lost:
                        self.trouble = ""
                    return
                if not self._waiting:
                    self._ready.wait(PROBE_EVERY)
                batch, self._waiting = self._waiting, []
                overflow, self._overflow = self._overflow, 0

    def close(self) -> None:
        """Write what waits, have it on the disk, and close the file; a disk that hangs is not waited for."""
        self._is_closing = True
        if self._thread is not None:
            with self._ready:
                self._ready.notify()
            self._thread.join(CLOSE_WITHIN)
            if self._thread.is_alive():
                return  # it ends with the process, and so does its file
        self._release(sync=True)

    def _release(self, *, sync: bool = False) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # what the disk did not take was told when it was written
                if sync:
                    os.fsync(fd)
            with contextlib.suppress(OSError):
                os.close(fd)

    # --- the file -----------------------------------------------------------------------------------------------------

    def _make_ready(self) -> None:
        """See that the file is the one that was left, whole; otherwise go on in the one that is there."""
        self._look_at = monotonic() + LOOK_EVERY
        if self._fd < 0:
            make_folder(self.path)
            self._take_up()
            return
        if self._is_torn:
            self._cut()
        if why := self._what_happened():
            self._release()
            self._own.append(LogRestarted(reason=why))
            self._take_up()

    def _what_happened(self) -> str:
        try:
            there = os.stat(self.path)  # noqa: PTH116  # on the path of every second of writing
        except FileNotFoundError:
            return "the file was moved away or removed"
        mine = os.fstat(self._fd)
        if (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino):
            return "another file has taken its place"
        if mine.st_size != self._size:
            return "the file was cut" if mine.st_size < self._size else "somebody else has written to it"
        return ""

    def _take_up(self) -> None:
        """Open the file and go on behind its last good line; what follows is put aside. Raises ``OSError``, ``StateError``."""
        fd = open_locked(self.path)
        try:
            with os.fdopen(os.dup(fd), "rb") as file:
                whole = scan(file)
                size = os.fstat(fd).st_size
                if size > whole.size:
                    if not whole.count:
                        self._refuse_foreign(fd)
                    kept = set_aside(self.path, fd, whole.size)
                    self._own.append(
                        LogTailRepaired(torn=size - whole.size, kept=kept.name, whole=whole.count)
                    )
            seq, day = self._last_of(whole)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._size, self._chain, self._is_torn = fd, whole.size, whole.chain, False
        self._seq, self._day = seq, day
        self._next_day = NO_DAY if day is None else _midnight_after(day)

    def _refuse_foreign(self, fd: int) -> None:
        """Raise ``StateError`` unless a file without a single good line is a damaged log of ours."""
        head = os.pread(fd, 1 << 20, 0)
        is_ours = head.startswith(OURS) or OURS.startswith(head) or not head.strip(b"\0")
        if not is_ours and not any(map(is_sealed, head.splitlines(keepends=True))):
            raise StateError(
                f"{self.path} is no event log of ours, it was left as it is · choose another {PATH_VARIABLE}"
            )

    def _last_of(self, whole: Whole) -> tuple[int, datetime | None]:
        """Return the last number of the log and the latest instant in its running file."""
        if not whole.count:
            return self._seq or last_number(self.path), None
        first, last = parsed(whole.first), parsed(whole.last)
        # A replay writes old days behind newer ones: the first line may be the later one.
        return last["seq"], max(instant(first), instant(last))

    def _turn_page(self, ts: datetime) -> None:
        """Begin a new file for the day of ``ts``, unless the running one is still empty (then it has no day)."""
        if self._day is not None and self._size > 0:
            day = self._day.astimezone(NEW_YORK).date().isoformat()
            self.path.rename(free_name(self.path, day))
            self._release()
            self._take_up()
        self._day = ts
        self._next_day = _midnight_after(ts)


def last_number(path: Path) -> int:
    """Return the number at which the newest rotated file that has a good line ended, 0 without one; raises ``OSError``."""
    for each in reversed(rotated(path)):
        with each.open("rb") as file:
            whole = scan(file)
        if whole.count:
            number: int = parsed(whole.last)["seq"]
            return number
    return 0


def _midnight_after(instant_: datetime) -> datetime:
    day = instant_.astimezone(NEW_YORK).date() + timedelta(days=1)
    return datetime.combine(day, time(), NEW_YORK)
