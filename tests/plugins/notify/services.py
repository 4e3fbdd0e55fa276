"""Services on this computer: loopback HTTP servers that take, refuse, fail, dawdle or hang."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Service:
    """A running service: its address for apprise, and the messages that it got."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.got: list[dict[str, Any]] = []
        self.arrived = threading.Event()


@contextlib.contextmanager
def service(status: int = 200, path: str = "hooks/5ecret-token") -> Iterator[Service]:
    """Answer every message with ``status``."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.got.append(json.loads(body))
            found.arrived.set()
            self.send_response(found_status[0])
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name of the base class
            del format, args

    found_status = [status]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Service(f"json://user:pa55word@127.0.0.1:{server.server_address[1]}/{path}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def hanging() -> Iterator[Service]:
    """Take what is sent and answer one byte at a time, for ever: no time-out of a socket notices."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Service(f"json://127.0.0.1:{listener.getsockname()[1]}/5ecret-token")
    over = threading.Event()

    def dawdle(peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            peer.recv(65536)
            found.arrived.set()
            peer.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not over.wait(0.1):
                peer.sendall(b"x")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                threading.Thread(target=dawdle, args=(peer,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield found
    finally:
        over.set()
        listener.close()


def nobody() -> str:
    """Return an address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"json://127.0.0.1:{taken.getsockname()[1]}/5ecret-token"
