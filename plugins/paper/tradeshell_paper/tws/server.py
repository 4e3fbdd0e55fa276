"""The sockets: listens, and joins each connection with a session of the gateway.

Laws: loopback unless told otherwise; one connection's trouble is its own; what a client does not read is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.session import Session

RESET_AT_ONCE = struct.pack("ii", 1, 0)  # linger for zero seconds: the other side sees a reset


class Connection(asyncio.Protocol):
    """One TCP connection. It is the ``Wire`` of its session."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._transport: asyncio.Transport | None = None
        self._session: Session | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._session = self._gateway.connect(self)

    def data_received(self, data: bytes) -> None:
        """Hand on what came."""
        if self._session is not None:
            self._session.feed(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        del exc
        if self._session is not None:
            self._session.lost()
            self._session = None

    # --- the wire -----------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close when everything has left."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once; the other side sees a reset."""
        if self._transport is None:
            return
        sock = self._transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
        self._transport.abort()

    def backlog(self) -> int:
        """Return how many bytes have not left."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()


class Listener:
    """The port. ``port`` is the true one once it is open."""

    def __init__(self, gateway: Gateway, host: str, port: int) -> None:
        self._gateway = gateway
        self._server: asyncio.Server | None = None
        self.host = host
        self.port = port

    @property
    def is_open(self) -> bool:
        """Whether connections are taken."""
        return self._server is not None

    async def open(self) -> None:
        """Listen; raises ``OSError``."""
        if self._server is not None:
            return
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self._gateway), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Refuse connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None
