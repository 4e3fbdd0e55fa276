"""A gateway made by hand: frames as they are on the wire, on a loop with its own time and sockets that are memory.

It knows nothing of markets or orders. It greets, answers what is asked for with what it was given, and says what it is told to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from tradeshell import BrokerContext, Input, VenueOptions
from tradeshell.engine.clock import LoopClock, VenueLoop
from tradeshell_ibkr.broker import IbkrBroker

T = TypeVar("T")
ACCOUNT = "DU1234567"
START = datetime(2026, 3, 16, 14, 30, tzinfo=UTC)  # a Monday, 10:30 in New York
UD = "1.7976931348623157E308"


class MemoryTransport(asyncio.Transport):
    """One end of a connection that is memory. What is written arrives on the next turn of the loop."""

    def __init__(self, loop: WireLoop, protocol: asyncio.BaseProtocol, peer: Peer) -> None:
        super().__init__()
        self._loop, self._protocol, self._peer = loop, protocol, peer
        self._is_closing = False
        self.unread = 0

    def write(self, data: Any) -> None:
        if self._is_closing:
            return
        if self._peer.reads:
            self._loop.call_soon(self._peer.receive, bytes(data))
        else:
            self.unread += len(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._peer.has_ended = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    def deliver(self, data: bytes) -> None:
        """Bring bytes of the peer."""
        if not self._is_closing:
            assert isinstance(self._protocol, asyncio.Protocol)
            self._protocol.data_received(data)


class WireLoop(VenueLoop):
    """A loop on which a port is answered by whoever a test puts there; nobody there: it refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.start_at(START.timestamp())
        self.listeners: dict[int, Callable[[], Peer]] = {}
        self.dialled: list[tuple[str, int, float]] = []
        self.faults: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **_: Any
    ) -> Any:
        self.dialled.append((host, port, self.time()))
        if port not in self.listeners:
            raise ConnectionRefusedError(111, "Connection refused")
        peer, protocol = self.listeners[port](), protocol_factory()
        if peer.takes_no_connection:
            await asyncio.sleep(3600)
        peer.transport = MemoryTransport(self, protocol, peer)
        protocol.connection_made(peer.transport)
        return peer.transport, protocol


class Peer:
    """One connection's other end. Fields are what a test sets before it dials."""

    def __init__(self, **fields: Any) -> None:
        self.version = "178"
        self.accounts = ACCOUNT
        self.next_id = "1"
        self.is_silent = False  # takes everything and says nothing
        self.is_mute = False  # greets, and then says nothing
        self.takes_no_connection = False
        self.reads = True
        self.before_ready: tuple[tuple[str, ...], ...] = ()  # messages between the version and the accounts
        self.ends_when_started = False
        self.open_orders: list[tuple[str, ...]] = []
        self.executions: list[tuple[str, ...]] = []
        self.positions: list[tuple[str, ...]] = []
        self.unanswered: set[str] = set()  # kinds of requests
        self.answers: dict[str, Callable[[list[str]], None]] = {}
        self.sent: list[list[str]] = []  # by the plugin, without the greeting
        self.has_ended = False
        self.transport: MemoryTransport
        self._data = b""
        self._is_greeted = False
        for name, value in fields.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    # --- from the plugin ----------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        self._data += data
        if self.is_silent:
            return
        if not self._is_greeted:
            assert self._data.startswith(b"API\0")
            size = int.from_bytes(self._data[4:8], "big")
            self._data = self._data[8 + size :]
            self._is_greeted = True
            self.say(self.version, "20260316 10:30:00 US/Eastern")
        while len(self._data) >= 4:
            size = int.from_bytes(self._data[:4], "big")
            if len(self._data) < 4 + size:
                return
            fields = self._data[4 : 4 + size].decode().split("\0")[:-1]
            self._data = self._data[4 + size :]
            self.sent.append(fields)
            self._answer(fields)

    def _answer(self, fields: list[str]) -> None:
        kind = fields[0]
        if kind in self.answers:
            self.answers[kind](fields)
            return
        if self.is_mute or kind in self.unanswered:
            return
        if kind == "71":
            for message in self.before_ready:
                self.say(*message)
            if self.ends_when_started:
                self.end()
                return
            self.say("15", "1", self.accounts)
            self.say("9", "1", self.next_id)
        elif kind in ("5", "16"):
            for message in self.open_orders:
                self.say(*message)
            self.say("53", "1")
        elif kind == "61":
            for message in self.positions:
                self.say(*message)
            self.say("62", "1")
        elif kind == "7":
            for message in self.executions:
                self.say(*(fields[2] if field == "REQ" else field for field in message))
            self.say("55", "1", fields[2])
        elif kind == "49":
            self.say("49", "1", str(int(asyncio.get_running_loop().time())))
        elif kind == "8":
            self.say("9", "1", self.next_id)

    def of(self, kind: str) -> list[list[str]]:
        """Return the messages of one kind that the plugin has sent."""
        return [fields for fields in self.sent if fields[0] == kind]

    # --- to the plugin ------------------------------------------------------------------------------------------------

    def say(self, *fields: object) -> None:
        """Send one message."""
        payload = "".join(f"{field}\0" for field in fields).encode()
        self.write(len(payload).to_bytes(4, "big") + payload)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        asyncio.get_running_loop().call_soon(self.transport.deliver, data)

    def end(self) -> None:
        """Close the connection, after what was said."""
        asyncio.get_running_loop().call_soon(self.transport.abort)

    def error(self, number: int, code: int, text: str) -> None:
        """Send message 4."""
        self.say("4", "2", number, code, text, "")


# --- messages ---------------------------------------------------------------------------------------------------------


def open_order(  # a message has fields
    order_id: int,
    ref: str,
    *,
    side: str = "SELL",
    qty: object = 100,
    kind: str = "STP LMT",
    limit: str = "187.0",
    stop: str = "187.0",
    status: str = "PreSubmitted",
    client: int = 7,
    perm: int = 0,
    account: str = ACCOUNT,
    group: str = "",
    parent: int = 0,
    con_id: int = 265598,
    security: str = "STK",
) -> tuple[str, ...]:
    """Return an openOrder as server version 178 writes it."""
    perm = perm or 1_000_000 + order_id
    text = (
        f"5|{order_id}|{con_id}|AAPL|{security}||0|?||SMART|USD|AAPL|NMS|{side}|{qty}|{kind}|{limit}|{stop}|GTC|{group}|{account}|O|0|REF|"
        f"{client}|{perm}|0|0|0||{perm}.0/{account}/100|||||||||0||-1|0||||||2147483647|0|0|0||3|0|0||{parent}|0||0|None||0||||?|0|0||0|0||||||0"
        f"|0|0|2147483647|2147483647|||0||IB|0|0||0|0|{status}|{UD}|{UD}|{UD}|{UD}|{UD}|{UD}|{UD}|{UD}|{UD}||||||0|0|0|None|{UD}|{UD}|{UD}|{UD}|{UD}|"
        f"{UD}|0||||0|1|0|0|0|2147483647|2147483647|0|||||"
    )
    return tuple(ref if field == "REF" else field for field in text.split("|"))


def status(
    order_id: int,
    word: str,
    filled: object = 0,
    remaining: object = 100,
    *,
    client: int = 7,
    perm: int = 0,
    held: str = "",
) -> tuple[str, ...]:
    """Return an orderStatus."""
    perm = perm or 1_000_000 + order_id
    return (
        "3",
        str(order_id),
        word,
        str(filled),
        str(remaining),
        "0",
        str(perm),
        "0",
        "0",
        str(client),
        held,
        "0",
    )


def execution(
    order_id: int,
    exec_id: str,
    ref: str,
    shares: object,
    price: str,
    *,
    side: str = "SLD",
    request: str = "-1",
    client: int = 7,
    account: str = ACCOUNT,
    at: str = "20260316 10:30:00 US/Eastern",
    con_id: int = 265598,
    security: str = "STK",
) -> tuple[str, ...]:
    """Return an execDetails as server version 178 writes it."""
    text = (
        f"11|{request}|{order_id}|{con_id}|AAPL|{security}||0.0|||IEX|USD|AAPL|NMS|{exec_id}|{at}|{account}|IEX|{side}|{shares}|{price}|"
        f"{1_000_000 + order_id}|{client}|0|{shares}|{price}|REF||||2|0"
    )
    return tuple(ref if field == "REF" else field for field in text.split("|"))


def fee(exec_id: str, amount: str = "1.0") -> tuple[str, ...]:
    """Return a commissionReport."""
    return ("59", "1", exec_id, amount, "USD", UD, UD, "")


def position(
    qty: object,
    average: str = "190.05",
    *,
    con_id: int = 265598,
    account: str = ACCOUNT,
    security: str = "STK",
) -> tuple[str, ...]:
    """Return a position."""
    return tuple(
        f"61|3|{account}|{con_id}|AAPL|{security}||0.0|||NASDAQ|USD|AAPL|NMS|{qty}|{average}".split("|")
    )


# --- the plugin -------------------------------------------------------------------------------------------------------


class Scene:
    """A broker on a loop of its own, and everything that it told the host."""

    def __init__(self, loop: WireLoop, folder: Path, **settings: Any) -> None:
        self.loop = loop
        self.clock = LoopClock(loop)
        self.told: list[Input] = []
        self.peers: list[Peer] = []
        self.next_peers: list[Peer] = []
        context = BrokerContext(
            emit=self.told.append,
            clock=self.clock,
            venue_clock=None,
            options=VenueOptions(),
            settings={"host": "127.0.0.1", "port": 7497, "client_id": 7} | settings,
            state_dir=folder,
        )
        self.broker = IbkrBroker(context)
        self.listen()

    @property
    def peer(self) -> Peer:
        """The other end of the newest connection."""
        return self.peers[-1]

    def listen(self, port: int = 7497) -> None:
        """Let somebody answer at the port: the next of ``next_peers``, or an ordinary gateway."""

        def answer() -> Peer:
            self.peers.append(self.next_peers.pop(0) if self.next_peers else Peer())
            return self.peers[-1]

        self.loop.listeners[port] = answer

    def refuse(self, port: int = 7497) -> None:
        """Let nobody answer there."""
        self.loop.listeners.pop(port, None)

    def of(self, kind: type[T]) -> list[T]:
        """Return what was told of one kind."""
        return [event for event in self.told if isinstance(event, kind)]

    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        await asyncio.sleep(seconds)

    async def settle(self) -> None:
        """Let everything happen that needs no time."""
        for _ in range(20):
            await asyncio.sleep(0)


@contextmanager
def scene(folder: Path, **settings: Any) -> Iterator[Scene]:
    """Open a scene and close it; whatever reached the loop's exception handler fails the test."""
    loop = WireLoop()
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:

            async def make() -> Scene:
                return Scene(loop, folder, **settings)

            made = runner.run(make())
            made.run = runner.run  # type: ignore[attr-defined]  # the runner belongs to the scene
            yield made

            async def close() -> None:
                made.broker.close()
                await made.settle()

            runner.run(close())
        assert loop.faults == []
    finally:
        asyncio.set_event_loop(None)


def play(folder: Path, story: Callable[[Scene], Awaitable[None]], **settings: Any) -> Scene:
    """Let a story happen and return its scene."""
    with scene(folder, **settings) as made:

        async def run() -> None:
            await story(made)

        made.run(run())  # type: ignore[attr-defined]  # as above
    return made
