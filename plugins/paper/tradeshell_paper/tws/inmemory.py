"""A connection without sockets: a client's protocol joined with a session of a gateway, on one loop.

Laws: bytes arrive on a later turn of the loop, never inside the call that sends them, each way in the order in which they were
sent; ``delay`` seconds of the loop's clock pass on the way. Either side may end it; what is under way then still arrives, unless
the connection was aborted. For simulations on a venue's own time: a client that asks its loop for a connection gets this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.session import Session


class _GatewaySide:
    """The wire of the session."""

    def __init__(self, pipe: MemoryTransport) -> None:
        self._pipe = pipe

    def write(self, data: bytes) -> None:
        """Send bytes to the client."""
        self._pipe.to_client(data)

    def close(self) -> None:
        """Close when everything has arrived."""
        self._pipe.end_from_gateway(None)

    def abort(self) -> None:
        """Close at once."""
        self._pipe.end_from_gateway(ConnectionResetError("Connection reset by peer"))

    def backlog(self) -> int:
        """Return zero: what is sent here has left."""
        return 0


class MemoryTransport(asyncio.Transport):
    """The client's transport."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        gateway: Gateway,
        protocol: asyncio.Protocol,
        delay: float = 0.0,
    ) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._delay = delay
        self._is_closing = False
        self._is_lost = False
        self._is_cut = False  # what is under way does not arrive any more
        self._session: Session | None = gateway.connect(_GatewaySide(self))

    # --- the client's side --------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes to the gateway."""
        if not self._is_closing:
            copied = bytes(data)
            self._later(lambda: self._arrive(copied))

    def write_eof(self) -> None:
        """Do nothing: the close follows."""

    def can_write_eof(self) -> bool:
        """Return that the end of writing can be told."""
        return True

    def is_closing(self) -> bool:
        """Return whether it is over."""
        return self._is_closing

    def close(self) -> None:
        """Close when everything has arrived."""
        if not self._is_closing:
            self._is_closing = True
            self._later(self._gone)
            self._loop.call_soon(self._lose, None)

    def abort(self) -> None:
        """Close at once."""
        self._is_cut = True
        self.close()

    def get_write_buffer_size(self) -> int:
        """Return zero: what is sent here has left."""
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return that nothing more is known."""
        del name
        return default

    # --- the gateway's side -------------------------------------------------------------------------------------------

    def to_client(self, data: bytes) -> None:
        """Carry bytes to the client."""
        self._later(lambda: None if self._is_cut or self._is_lost else self._protocol.data_received(data))

    def end_from_gateway(self, error: Exception | None) -> None:
        """Carry the end to the client."""
        self._session = None
        self._is_cut = self._is_cut or error is not None
        self._later(lambda: self._lose(error))

    # --- on the way ---------------------------------------------------------------------------------------------------

    def _later(self, call: Callable[[], None]) -> None:
        if self._delay > 0:
            self._loop.call_later(self._delay, call)
        else:
            self._loop.call_soon(call)

    def _arrive(self, data: bytes) -> None:
        if self._session is not None and not self._is_cut:
            self._session.feed(data)

    def _gone(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.lost()

    def _lose(self, error: Exception | None) -> None:
        if not self._is_lost:
            self._is_lost = self._is_closing = True
            self._protocol.connection_lost(error)


def dial(
    loop: asyncio.AbstractEventLoop,
    gateway: Gateway,
    factory: Callable[[], asyncio.Protocol],
    delay: float = 0.0,
) -> tuple[MemoryTransport, asyncio.Protocol]:
    """Join a client's protocol with the gateway, as ``loop.create_connection`` does with a socket."""
    protocol = factory()
    transport = MemoryTransport(loop, gateway, protocol, delay)
    protocol.connection_made(transport)
    return transport, protocol
