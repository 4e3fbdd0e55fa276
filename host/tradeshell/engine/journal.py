"""The journal: our own decisions, appended before they are acted upon, read again only for recovery and for proof.

One line a record: eight hex digits of CRC-32, a blank, one JSON object. The first record names the format and the session; every
other holds an input that changed something and the order commands that followed. Written with one ``write`` to a file opened
for appending (survives a killed process); synced to the disk by a thread within 10 ms, or before the order leaves when
``audit_fsync`` is set.

Laws: a record is there whole or not at all; a decision that could not be written is missing for good, and a ``Gap`` that says so
goes before the next one. Numbers are spent on missing decisions too. A record that is there and may not outlive the computer, on
a disk that is slow or whose sync has failed, is told (``NotSafe``): no entry leaves on it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from tradeshell.core import inputs
from tradeshell.core.commands import ORDER_COMMANDS, CancelOrder, Command, ModifyOrder, PlaceOrder
from tradeshell.engine.syncer import SLOW, Syncer
from tradeshell.errors import StateError

VERSION = 1


class NotSafe(Exception):
    """A decision was written and may not be on the disk; the words say why."""


AnyInput = (
    inputs.BarClosed
    | inputs.QuoteSeen
    | inputs.QuoteAnswered
    | inputs.BarsRefused
    | inputs.FeedEnded
    | inputs.WatchRequested
    | inputs.WatchRestored
    | inputs.ResumeRequested
    | inputs.WatchCancelRequested
    | inputs.TradeRequested
    | inputs.TradeAbandoned
    | inputs.CancelRequested
    | inputs.ReplaceRequested
    | inputs.StopEntryRequested
    | inputs.FlattenRequested
    | inputs.PolicySet
    | inputs.TakeUpRequested
    | inputs.Restarted
    | inputs.OrderReported
    | inputs.ExecutionReported
    | inputs.CommissionReported
    | inputs.PositionReported
    | inputs.OrderRefusedByBroker
    | inputs.SendFailed
    | inputs.LinkChanged
    | inputs.SnapshotAnswered
    | inputs.Compared
    | inputs.TimerFired
)
OrderCommand = PlaceOrder | ModifyOrder | CancelOrder


class Entry(Struct, frozen=True):
    """One decision: its number, what came in, and the orders that went out."""

    n: int
    input: AnyInput
    orders: tuple[OrderCommand, ...]


class Gap(Struct, frozen=True):
    """Decisions that are missing: how many, the number of the last one, and why it could not be written."""

    gap: int
    n: int
    why: str


class Header(Struct, frozen=True, omit_defaults=True):
    """The first record of a journal. ``session``: its name, that of the session that began it; ``before``: that of the last one.

    ``over``: watchers and trades of earlier journals; none of them ever fires again.
    """

    v: int
    session: str
    broker: str
    before: str = ""
    over: tuple[str, ...] = ()


_ORDERS = frozenset(ORDER_COMMANDS)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)
_HEADER = msgspec.json.Decoder(Header)
_GAP = msgspec.json.Decoder(Gap)
_GAP_STARTS = b'{"gap":'  # no other record starts so


def frame(payload: bytes) -> bytes:
    """Return one journal line."""
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


def decision(number: int, event: inputs.Input, commands: tuple[Command, ...]) -> tuple[bytes, bool]:
    """Return the line of one decision, and whether it holds orders."""
    orders = [each for each in commands if type(each) in _ORDERS]
    return frame(_ENCODER.encode(Entry(number, event, tuple(orders)))), bool(orders)  # type: ignore[arg-type]  # every Input is listed


class Journal:
    """Appends decisions to one file. Not thread-safe: the engine's loop alone writes."""

    def __init__(
        self,
        path: Path,
        session: str,
        broker: str,
        *,
        fsync: bool = False,
        outlives_us: bool = True,
        after: int = 0,
        before: str = "",
        over: tuple[str, ...] = (),
    ) -> None:
        """Start a new journal at ``path``; an earlier one is kept as ``NAME.1``. Raises ``StateError``.

        ``after``: go on behind that decision of the journal that is there. ``before``, ``over``: see ``Header``. Without
        ``outlives_us`` (a venue that ends with this program) nothing is ever recovered and nothing is synced.
        """
        self.path = path
        self.session = session
        self.written = after
        self._count = after
        self._missing = 0
        self._why = ""
        self._length = 0
        self._torn = False
        self._fsync = fsync
        self._syncer: Syncer | None = None
        try:
            if after:
                self._length = _whole(path)
                os.truncate(path, self._length)
            elif path.exists():
                path.replace(path.with_name(path.name + ".1"))
            self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            if not after:
                self._write(frame(_ENCODER.encode(Header(VERSION, session, broker, before, over))))
        except OSError as error:
            raise StateError(f"journal {path}: {error.strerror}; choose another --state-dir") from None
        if fsync or outlives_us:
            self._syncer = Syncer(self._fd)
            self._syncer.written()

    def append(self, event: inputs.Input, commands: tuple[Command, ...]) -> None:
        """Write one decision; raises whatever keeps it, or the gap before it, from the disk. Then it is missing.

        Raises ``NotSafe`` for one that is written all the same.
        """
        self._count += 1
        try:
            line, has_orders = decision(self._count, event, commands)
            if self._missing:
                self._write(frame(_ENCODER.encode(Gap(self._missing, self._count - 1, self._why))))
                self._missing = 0
            began = time.monotonic()
            self._write(line)
            taken = time.monotonic() - began
        except Exception as error:
            self._missing += 1
            # Whatever was wrong with the text, this can be written.
            self._why = ascii(f"{type(error).__name__}: {error}")[1:-1]
            raise
        self.written = self._count
        if (why := self._why_unsafe(taken, wait=has_orders)) != "":
            raise NotSafe(why)

    def _why_unsafe(self, taken: float, *, wait: bool) -> str:
        """Return why the record that took so many seconds to write may not be on the disk; "" when it is, or will be at once."""
        syncer = self._syncer
        if syncer is None:
            return ""
        is_late = self._fsync and wait and not syncer.wait()
        if why := syncer.why_unsafe:
            return why
        if is_late:
            return f"the disk is slow: a sync takes longer than {SLOW:g} s"
        return f"the disk is slow: a write took {taken:.1f} s" if taken > SLOW else ""

    def _write(self, line: bytes) -> None:
        """Write one line whole, or leave the file as it was."""
        if self._torn:
            os.ftruncate(self._fd, self._length)
        self._torn = True
        try:
            if os.write(self._fd, line) != len(line):
                raise OSError(errno.ENOSPC, "the disk is full")
        except OSError:
            with contextlib.suppress(OSError):  # then the next write begins with it
                os.ftruncate(self._fd, self._length)
                self._torn = False
            raise
        self._torn = False
        self._length += len(line)
        if self._syncer is not None:
            self._syncer.written()

    def sync_soon(self) -> None:
        """Have what was written synced to the disk; never waits. Not between decision and order: it wakes a thread."""
        if self._syncer is not None:
            self._syncer.soon()

    def close(self) -> None:
        """Sync and close."""
        if self._syncer is not None:
            self._syncer.close()
        with contextlib.suppress(OSError):
            os.fdatasync(self._fd)
            os.close(self._fd)


def _whole(path: Path) -> int:
    """Return the length of the records that are there whole; what follows is torn and was never acted upon."""
    return path.read_bytes().rfind(b"\n") + 1


def read_header(path: Path) -> Header | None:
    """Return who wrote a journal, ``None`` when not even that is whole; raises ``StateError`` as ``read_journal`` does."""
    with path.open("rb") as file:
        line = file.readline()
    if not line.endswith(b"\n"):
        return None
    try:
        return _HEADER.decode(line.partition(b" ")[2])
    except msgspec.MsgspecError as error:
        raise StateError(f"journal {path} line 1: {error}") from None


def read_journal(path: Path) -> Iterator[Entry]:
    """Yield the decisions of a journal, oldest first, those after a gap too; their numbers and ``read_gaps`` tell of it.

    A torn last line ends it quietly, damage elsewhere is a ``StateError``.
    """
    return (record for record in _records(path) if isinstance(record, Entry))


def read_gaps(path: Path) -> tuple[Gap, ...]:
    """Return where decisions are missing; raises ``StateError`` as ``read_journal`` does."""
    return tuple(record for record in _records(path) if isinstance(record, Gap))


def _records(path: Path) -> Iterator[Entry | Gap]:
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if number == len(lines):
            return  # what follows the last newline is nothing, or a torn record that was never acted upon
        crc, _, payload = line.partition(b" ")
        if f"{zlib.crc32(payload):08x}".encode() != crc:
            raise StateError(
                f"journal {path} line {number}: the checksum does not match; the lines before it are good"
            )
        try:
            if number == 1:
                header = _HEADER.decode(payload)
                if header.v != VERSION:
                    raise StateError(
                        f"journal {path}: version {header.v} is not the {VERSION} this program reads"
                    )
            else:
                yield (_GAP if payload.startswith(_GAP_STARTS) else _DECODER).decode(payload)
        except msgspec.MsgspecError as error:
            raise StateError(f"journal {path} line {number}: {error}") from None
