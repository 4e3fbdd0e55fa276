"""The wire: frames, the handshake, and ib_async 2.1 as a codec for what is inside the frames.

Why not ``ib_async.IB``. Its wrapper holds opinions that cost money here: any error with an order's number marks the order
cancelled although it may live, one that ended or is "Inactive" is sent and then answered with an ``AssertionError``, a
correction counts as a second fill, a fee that comes before its execution is dropped, objects die with the connection, and the
log text of a whole trade is built for each status. Its reader keeps every byte of a frame of any length. So only two parts are
used: ``Client`` writes requests, ``Decoder`` reads messages. Framing, handshake, pacing, books and time-outs are ours.

Laws: nothing a peer sends raises out of here; a message that cannot be read costs itself, nonsense as a length costs the
connection. A defect of ours in a handler reaches the loop's exception handler, and the next message is read. A wire lives for
one connection. Names in camel case are ib_async's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC
from types import TracebackType
from typing import Any

from ib_async.client import Client
from ib_async.decoder import Decoder

from tradeshell import BrokerError, WireLog

LONGEST_FRAME = 0xFFFFFF  # bytes: the most that the protocol's own servers take for a message
LONGEST_GREETING = 256  # bytes: a version and a time
UNREAD_LIMIT = 4_000_000  # bytes of ours that a peer may leave unread before it counts as dead
OLDEST, NEWEST = 157, 178  # server versions that ib_async 2.1 encodes and decodes
OPTIONS = ""  # of the start message
NOT_AN_API = "what answers there does not speak the TWS API"


class _Zone:
    """What the decoder looks at for times without a zone: accounts of US brokers are kept in New York time."""

    TimezoneTWS = "US/Eastern"


class Hub:
    """Hands each decoded message to the one who listens for it; messages that nobody listens for are dropped."""

    defaultTimezone = UTC  # noqa: N815  # the decoder's name for it
    ib = _Zone()

    def listen(self, name: str, handler: Callable[..., None]) -> None:
        """Call ``handler`` for each message that ib_async's decoder calls ``name``; raises ``ValueError`` when it is taken."""
        if name in self.__dict__:
            raise ValueError(f"{name} has a listener already")
        setattr(self, name, handler)

    def __getattr__(self, name: str) -> Callable[..., None]:
        """Return what drops a message: the decoder asks for each by its name."""
        if name.startswith("__"):
            raise AttributeError(name)
        return _drop


def _drop(*_: Any) -> None:
    pass


class _Reraise:
    """Stands where the decoder logs what it swallows."""

    def exception(self, *_: Any) -> None:
        raise  # noqa: PLE0704  # called in an ``except`` block of the decoder, whose error goes on


class Wire(Client):
    """One connection. ``on_ready`` is called when accounts and the next order number are there, ``on_gone`` once at its end."""

    def __init__(
        self,
        hub: Hub,
        on_ready: Callable[[], None],
        on_gone: Callable[[str], None],
        log: WireLog | None = None,
        readers: Readers | None = None,
        packet: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        super().__init__(hub)  # type: ignore[no-untyped-call]  # the library's methods carry no types
        self.decoder = Decoder(hub, 0)  # type: ignore[arg-type]  # it calls methods by name, and the hub has them all
        self.decoder.logger = _Reraise()  # type: ignore[assignment]  # errors come to ``_read`` instead of a log
        self.accounts: tuple[str, ...] = ()
        self.first_order_id = 0
        self.unreadable = 0  # messages that could not be read
        self.complaint = ""  # what the last of them was
        self.heard = 0  # bytes
        self.refusal = ""  # what the peer said before it was ready
        self._on_ready, self._on_gone, self._log = on_ready, on_gone, log
        self._packet = packet
        self._readers = {} if readers is None else readers
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._gathered: list[bytes] | None = None  # frames that leave together
        self._version = 0
        self._is_ready = False
        self._why = ""

    # --- to the peer --------------------------------------------------------------------------------------------------

    async def open(self, host: str, port: int, client_id: int) -> None:
        """Connect and greet; the answers come later. Raises ``OSError``."""
        self.clientId = client_id
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: _Ends(self), host, port)

    def met(self, transport: asyncio.Transport) -> None:
        """Greet a peer: the versions we speak."""
        self._transport = transport
        versions = f"v{OLDEST}..{NEWEST}".encode()
        self.write(b"API\0" + len(versions).to_bytes(4, "big") + versions)

    def sendMsg(self, msg: str) -> None:  # noqa: N802  # the library's name
        """Write one message that the library has encoded."""
        payload = msg.encode(errors="backslashreplace")
        self.write(len(payload).to_bytes(4, "big") + payload)

    def write(self, frame: bytes) -> None:
        """Write one frame, now; raises ``BrokerError`` when there is no connection, and so nothing left."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise BrokerError("the connection to the gateway is gone")
        if transport.get_write_buffer_size() > UNREAD_LIMIT:
            self.end("the gateway does not read what is sent to it")
            raise BrokerError(self._why)
        if self._gathered is None:
            transport.write(frame)
        else:
            self._gathered.append(frame)
        if self._log is not None:
            self._log.sent(frame[4:])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write the frames of this block in one piece, at its end: seven orders cost one call to the system, not seven."""
        if self._gathered is not None:
            yield
            return
        self._gathered = []
        try:
            yield
        finally:
            frames, self._gathered = self._gathered, None
            if frames and self._transport is not None:
                self._transport.write(b"".join(frames))

    def isConnected(self) -> bool:  # noqa: N802  # the library's name
        """Return whether the versions are agreed."""
        return self._transport is not None and self._version > 0

    def isReady(self) -> bool:  # noqa: N802  # the library's name
        """Return whether accounts and the next order number have come."""
        return self._is_ready

    def serverVersion(self) -> int:  # noqa: N802  # the library's name
        """Return the version that was agreed; 0 before."""
        return self._version

    def end(self, why: str) -> None:
        """Close the connection for a reason; what is not written yet is lost. ``on_gone`` follows."""
        transport = self._transport
        self._why = self._why or why
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """Close the connection after everything was written; ``on_gone`` is not called."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()

    def lost(self, error: Exception | None) -> None:
        """Take note that the connection has ended."""
        if self._transport is None:
            return
        self._transport, self._is_ready = None, False
        said = error.strerror if isinstance(error, OSError) and error.strerror else ""
        self._on_gone(self._why or said or "the gateway closed the connection")

    # --- from the peer ------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take bytes as they come, split or coalesced, and handle every complete frame."""
        with self._packet():
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self.heard += len(data)
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= 4 and self._transport is not None:
            size = int.from_bytes(buffer[start : start + 4], "big")
            if size > (LONGEST_FRAME if self._version else LONGEST_GREETING):
                self._buffer = bytearray()
                self.end(NOT_AN_API if not self._version else f"a message of {size} bytes was announced")
                return
            stop = start + 4 + size
            if stop > end:
                break
            payload = buffer[start + 4 : stop]
            if self._log is not None:
                self._log.received(bytes(payload))
            fields = payload.decode(errors="backslashreplace").split("\0")
            fields.pop()
            start = stop
            if self._version:
                self._read(fields)
            else:
                self._greeted(fields)
        del buffer[:start]
        self.wrapper.dataProcessed()

    def _greeted(self, fields: list[str]) -> None:
        if len(fields) != 2 or not fields[0].isascii() or not fields[0].isdigit():
            self.end(NOT_AN_API)
            return
        version = int(fields[0])
        if not OLDEST <= version <= NEWEST:
            self.end(
                f"its version {version} of the TWS API is not spoken here ({OLDEST} to {NEWEST} are); "
                f"{'update TWS or IB Gateway' if version < OLDEST else 'it ignored the versions it was offered'}"
            )
            return
        self._version = self.decoder.serverVersion = version
        self.send(71, 2, self.clientId, OPTIONS)  # type: ignore[no-untyped-call]  # as above

    def _read(self, fields: list[str]) -> None:
        kind = -1
        try:
            kind = int(fields[0])
            if not self._is_ready:
                self._look_for_start(kind, fields)
            reader = self._readers.get(kind)
            if reader is not None:
                reader(fields)
            else:
                self.decoder.handlers[kind](fields)
        except Exception as error:  # noqa: BLE001  # a peer may send anything, and the next message may be a fill
            is_read_by_us = kind in self._readers and isinstance(
                error, ValueError | IndexError | ArithmeticError
            )
            if not is_read_by_us and _is_ours(error.__traceback__):
                asyncio.get_running_loop().call_exception_handler(
                    {"message": "a message from the gateway", "exception": error}
                )
            else:
                self.unreadable += 1
                self.complaint = f"{type(error).__name__} in message {' '.join(fields)[:60]!r}"
                self.wrapper.unreadable(fields)

    def _look_for_start(self, kind: int, fields: list[str]) -> None:
        if kind == 9:
            self.first_order_id = int(fields[2])
        elif kind == 15:
            self.accounts = tuple(name for name in fields[2].split(",") if name)
        if self.first_order_id > 0 and self.accounts:
            self._is_ready = True
            asyncio.get_running_loop().call_soon(self._on_ready)


Readers = dict[
    int, Callable[[list[str]], None]
]  # who reads the fields of a message instead of the decoder, by its kind


class _Ends(asyncio.Protocol):
    """The transport's calls, handed to the wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire.met(transport)

    def data_received(self, data: bytes) -> None:
        self._wire.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wire.lost(exc)


def _is_ours(trace: TracebackType | None) -> bool:
    """Return whether an error was raised in a handler of this distribution rather than while a message was decoded."""
    frames = 0
    while trace is not None:
        frames += trace.tb_frame.f_globals.get("__name__", "").startswith("tradeshell")
        trace = trace.tb_next
    return frames > 1
