"""The journal: our own decisions, appended before they are acted upon, read again only for recovery and for proof.

One line a record: eight hex digits of CRC-32, a blank, one JSON object. The first record names the format and the session; every
other holds an input that changed something and the order commands that followed. Written with one ``write`` to a file opened
for appending (survives a killed process); synced to the disk by a thread within 10 ms, or before the order leaves when
``audit_fsync`` is set.
"""

from __future__ import annotations

import contextlib
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from tradeshell.core import inputs
from tradeshell.core.commands import CancelOrder, Command, ModifyOrder, PlaceOrder
from tradeshell.errors import StateError

VERSION = 1
SYNC_EVERY = 0.010  # seconds

AnyInput = (
    inputs.BarClosed
    | inputs.QuoteSeen
    | inputs.QuoteAnswered
    | inputs.BarsRefused
    | inputs.FeedEnded
    | inputs.WatchRequested
    | inputs.WatchCancelRequested
    | inputs.TradeRequested
    | inputs.CancelRequested
    | inputs.ReplaceRequested
    | inputs.OrderReported
    | inputs.ExecutionReported
    | inputs.CommissionReported
    | inputs.PositionReported
    | inputs.OrderRefusedByBroker
    | inputs.SendFailed
    | inputs.LinkChanged
    | inputs.SnapshotAnswered
    | inputs.TimerFired
)
OrderCommand = PlaceOrder | ModifyOrder | CancelOrder


class Entry(Struct, frozen=True):
    """One decision: its number, what came in, and the orders that went out."""

    n: int
    input: AnyInput
    orders: tuple[OrderCommand, ...]


class Header(Struct, frozen=True):
    """The first record of a journal."""

    v: int
    session: str
    broker: str


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Entry)
_HEADER = msgspec.json.Decoder(Header)


def frame(payload: bytes) -> bytes:
    """Return one journal line."""
    return b"%08x %s\n" % (zlib.crc32(payload), payload)


class Journal:
    """Appends decisions to one file. Not thread-safe: the engine's loop alone writes."""

    def __init__(self, path: Path, session: str, broker: str, *, fsync: bool = False) -> None:
        """Start a new journal at ``path``; an earlier one is kept as ``NAME.1``. Raises ``StateError``."""
        self.path = path
        self.written = 0
        self._fsync = fsync
        try:
            if path.exists():
                path.replace(path.with_name(path.name + ".1"))
            self._fd = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            os.write(self._fd, frame(_ENCODER.encode(Header(VERSION, session, broker))))
        except OSError as error:
            raise StateError(f"journal {path}: {error.strerror}; choose another --state-dir") from None
        self._dirty = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        if not fsync:
            self._thread = threading.Thread(target=self._sync_often, name="journal-sync", daemon=True)
            self._thread.start()

    def append(self, event: inputs.Input, commands: tuple[Command, ...]) -> None:
        """Write one decision; raises ``OSError`` when the disk will not take it."""
        orders = tuple(c for c in commands if isinstance(c, PlaceOrder | ModifyOrder | CancelOrder))
        line = frame(_ENCODER.encode(Entry(self.written + 1, event, orders)))  # type: ignore[arg-type]  # every Input is listed
        if os.write(self._fd, line) != len(line):
            raise OSError(28, "the disk is full")
        self.written += 1
        if self._fsync and orders:
            os.fdatasync(self._fd)
        elif not self._fsync:
            self._dirty.set()

    def _sync_often(self) -> None:
        while True:
            self._dirty.wait()
            self._dirty.clear()
            with contextlib.suppress(OSError):  # the next append meets the same disk and is heard
                os.fdatasync(self._fd)
            if self._closing:
                return
            threading.Event().wait(SYNC_EVERY)

    def close(self) -> None:
        """Sync and close."""
        self._closing = True
        self._dirty.set()
        if self._thread is not None:
            self._thread.join(2)
        with contextlib.suppress(OSError):
            os.fdatasync(self._fd)
            os.close(self._fd)


def read_journal(path: Path) -> Iterator[Entry]:
    """Yield the decisions of a journal, oldest first; a torn last line ends it quietly, damage elsewhere is a ``StateError``."""
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
                yield _DECODER.decode(payload)
        except msgspec.MsgspecError as error:
            raise StateError(f"journal {path} line {number}: {error}") from None
