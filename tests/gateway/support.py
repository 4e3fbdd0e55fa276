"""Gateways for tests: on real sockets, and on a venue's own time with connections in memory; a client of bare messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ib_async import IB, Contract, Stock
from tradeshell_paper.feed import make_market
from tradeshell_paper.settings import read_settings
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.clock import ScaledClock
from tradeshell_paper.tws.fields import UNSET_DOUBLE
from tradeshell_paper.tws.frames import decode, encode
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.house import AccountVenue
from tradeshell_paper.tws.ids import Ids
from tradeshell_paper.tws.inmemory import dial
from tradeshell_paper.tws.scenario import make_scenario
from tradeshell_paper.tws.server import Listener
from tradeshell_paper.tws.view import TapeView

from tradeshell import Quote, VenueClock, VenueOptions
from tradeshell.engine.clock import LoopClock, VenueLoop

OPEN = datetime(2025, 7, 8, 13, 30, tzinfo=UTC)  # 09:30 in New York
TEN_THIRTY = "2025-07-08T10:30"
AAPL = Stock("AAPL", "SMART", "USD")


def make_gateway(
    clock: VenueClock,
    *,
    start: str | None = TEN_THIRTY,
    accounts: Sequence[str] = ("DU0000001",),
    script: Iterable[Any] = (),
    prices: Sequence[str] = (),
    exchange: Mapping[str, Any] | None = None,
    switches: Mapping[str, Any] | None = None,
    ids: Ids | None = None,
    offset: timedelta = timedelta(0),
) -> Gateway:
    """Return a gateway whose market starts now. ``script`` replaces the generated market."""
    scenario = make_scenario({"switches": dict(switches or {}), "exchange": dict(exchange or {})})
    settings = [read_settings({**scenario.exchange, "account": a, "script": tuple(script)}) for a in accounts]
    options = VenueOptions(start=None if script else start, market=tuple(prices))
    market = make_market(options, settings[0])
    venues = {each.rules.account: AccountVenue(clock, market, each.rules) for each in settings}
    for number, venue in enumerate(venues.values()):
        if number == 0:
            venue.start()
        else:
            venue.play_to_end()
    return Gateway(clock, TapeView(market), venues, switches=scenario.switches, ids=ids, offset=offset)


def quotes(*rows: tuple[float, str, str], symbol: str = "AAPL") -> list[Quote]:
    """Return touches of a script: seconds after the open, bid, ask."""
    return [
        Quote(
            symbol=symbol,
            at=OPEN + timedelta(seconds=seconds),
            bid=Decimal(bid),
            ask=Decimal(ask),
            bid_size=500,
            ask_size=500,
        )
        for seconds, bid, ask in rows
    ]


# --- real sockets -----------------------------------------------------------------------------------------------------


class Served:
    """A gateway that listens."""

    def __init__(self, gateway: Gateway, listener: Listener) -> None:
        self.gateway = gateway
        self.listener = listener
        self.tasks: set[asyncio.Future[None]] = set()
        self.actions = Actions(gateway, listener.open, listener.close)
        self.actions.spawn = self._spawn

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.listener.port

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def switch(self, **values: Any) -> None:
        """Set switches."""
        self.actions.set(**values)


@asynccontextmanager
async def served(*, speed: float = 1.0, **settings: Any) -> AsyncIterator[Served]:
    """Open a gateway on a free port of the loopback address."""
    gateway = make_gateway(ScaledClock(asyncio.get_running_loop(), speed), **settings)
    listener = Listener(gateway, "127.0.0.1", 0)
    await listener.open()
    try:
        yield Served(gateway, listener)
    finally:
        listener.close()
        gateway.close()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def client_of(port: int, number: int = 1, **options: Any) -> AsyncIterator[IB]:
    """Connect an unmodified ib_async."""
    ib = IB()
    await ib.connectAsync(
        "127.0.0.1", port, clientId=number, timeout=10, **{"raiseSyncErrors": True, **options}
    )
    try:
        yield ib
    finally:
        if ib.isConnected():
            ib.disconnect()
        await asyncio.sleep(0.01)


async def until(check: Callable[[], object], seconds: float = 8.0) -> None:
    """Wait until something is true, on the running loop's clock."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not check():
        assert loop.time() < end, "it did not become true in time"
        await asyncio.sleep(0.005)


# --- bare messages ----------------------------------------------------------------------------------------------------


class Talk:
    """A client of bare messages over a socket: what it got is in ``got``, as lists of fields."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int) -> None:
        self.reader = reader
        self.writer = writer
        self.version = version
        self.got: list[list[str]] = []

    def send(self, *fields: object) -> None:
        """Send one message."""
        self.writer.write(encode(*fields))

    async def read(self) -> list[str]:
        """Return the next message."""
        size = int.from_bytes(await self.reader.readexactly(4), "big")
        fields = decode(await self.reader.readexactly(size))
        self.got.append(fields)
        return fields

    async def read_until(self, *begin: object, seconds: float = 5.0) -> list[str]:
        """Read until a message that begins with these fields (``None``: any)."""
        async with asyncio.timeout(seconds):
            while True:
                fields = await self.read()
                shown = fields[: len(begin)]
                if len(shown) == len(begin) and all(
                    b is None or str(b) == f for b, f in zip(begin, shown, strict=True)
                ):
                    return fields


@asynccontextmanager
async def talk_to(port: int, number: int = 9, offer: str = "v157..178") -> AsyncIterator[Talk]:
    """Connect with bare messages, as far as the next valid id."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    greeting = offer.encode()
    writer.write(b"API\0" + len(greeting).to_bytes(4, "big") + greeting)
    talk = Talk(reader, writer, 0)
    talk.version = int((await talk.read())[0])
    talk.send(71, 2, number, "")
    await talk.read_until(9)
    try:
        yield talk
    finally:
        writer.close()


# --- a venue's own time -----------------------------------------------------------------------------------------------


class WiredLoop(VenueLoop):
    """A loop on virtual time whose connections lead to one gateway."""

    gateway: Gateway | None = None
    delay = 0.0

    async def create_connection(self, factory: Any, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]  # of the many forms one is used
        """Return a connection in memory."""
        del args, kwargs
        if self.gateway is None:
            raise ConnectionRefusedError("nobody listens")
        return dial(self, self.gateway, factory, self.delay)


def on_virtual_time(
    story: Callable[[Gateway], Awaitable[None]], delay: float = 0.0, **settings: Any
) -> Gateway:
    """Run a story with a gateway on virtual time, to its end; returns the gateway."""
    loop = WiredLoop()
    loop.delay = delay
    asyncio.set_event_loop(loop)
    try:
        gateway = loop.gateway = make_gateway(LoopClock(loop), **settings)

        async def whole() -> None:
            async with asyncio.timeout(864_000):
                await story(gateway)

        loop.run_until_complete(whole())
        gateway.close()
        loop.run_until_complete(asyncio.sleep(0))
        return gateway
    finally:
        loop.close()
        asyncio.set_event_loop(None)


class Bare(asyncio.Protocol):
    """A client of bare messages in memory."""

    def __init__(self) -> None:
        self.got: list[list[str]] = []
        self.is_lost = False
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while len(self._data) >= 4 and len(self._data) >= 4 + int.from_bytes(self._data[:4], "big"):
            end = 4 + int.from_bytes(self._data[:4], "big")
            self.got.append(decode(self._data[4:end]))
            self._data = self._data[end:]

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def send(self, *fields: object) -> None:
        """Send one message."""
        assert self._transport is not None
        self._transport.write(encode(*fields))

    def raw(self, data: bytes) -> None:
        """Send bytes."""
        assert self._transport is not None
        self._transport.write(data)

    def place(self, number: int, side: str, qty: int, kind: str, **values: Any) -> None:
        """Send a placeOrder message of version 178."""
        self.send(*place_fields(number, side, qty, kind, **values))

    def cancel(self, number: int) -> None:
        """Send a cancelOrder message."""
        self.send(4, 1, number, "")

    def take(self) -> list[list[str]]:
        """Return what came since the last call."""
        got, self.got = self.got, []
        return got


async def start_bare(gateway: Gateway, number: int = 1, version: int = 178) -> Bare:
    """Connect with bare messages in memory, and forget what the start said."""
    loop = asyncio.get_running_loop()
    _, protocol = dial(loop, gateway, Bare)
    assert isinstance(protocol, Bare)
    offer = f"v{version}".encode()
    protocol.raw(b"API\0" + len(offer).to_bytes(4, "big") + offer)
    await asyncio.sleep(0.001)
    protocol.send(71, 2, number, "")
    await asyncio.sleep(0.001)
    protocol.got.clear()
    return protocol


def place_fields(number: int, side: str, qty: int, kind: str, **values: Any) -> list[object]:
    """Return the fields of a placeOrder message of version 178 for a plain stock order."""
    v = {
        "symbol": "AAPL", "limit": "", "aux": "", "tif": "DAY", "oca": "", "account": "", "ref": "", "transmit": 1,
        "parent": 0, "rth": 0, "oca_type": 0, "what_if": 0, "after": "", "till": "", "con_id": 0,
    } | values  # fmt: skip
    return [
        3, number, v["con_id"], v["symbol"], "STK", "", "0.0", "", "", "SMART", "", "USD", "", "", "", "",
        side, qty, kind, v["limit"], v["aux"], v["tif"], v["oca"], v["account"], "O", 0, v["ref"], v["transmit"],
        v["parent"], 0, 0, 0, 0, v["rth"], 0,
        "", "0.0", v["after"], v["till"], "", "", "", "", 0, "", -1,
        v["oca_type"], "", "", 0, "", "", 0, 0, "", 0, "", "", "", "", "", 0, "", "", "", "",
        0, "", "", "", "", "", "", "", "", "", "", 0, "", "", 0, 0, "", "", v["what_if"], "", 0, 0, 0, 0,
        "", "", "", "", "", "", 0, "", "", "", "", "", "", "", "", 0, 0, 0, "", "", "", 0, "", "",
    ]  # fmt: skip


def told(messages: list[list[str]]) -> list[str]:
    """Return messages about orders in short: ``O Submitted``, ``T Filled 100/0``, ``E 100 @ 190``, ``K``, ``X 202``."""
    short = []
    for m in messages:
        kind = m[0]
        if kind == "5":
            at = m.index(UNSET_DOUBLE) - 1
            short.append(f"O{m[1]} {m[at]}")
        elif kind == "3":
            why = f" {m[10]}" if m[10] else ""
            short.append(f"T{m[1]} {m[2]} {m[3]}/{m[4]}{why}")
        elif kind == "11":
            short.append(f"E{m[2]} {m[19]} @ {m[20]}")
        elif kind == "59":
            short.append("K")
        elif kind == "4":
            short.append(f"X{m[2]} {m[3]}")
    return short


def contract(symbol: str = "AAPL") -> Contract:
    """Return a stock."""
    return Stock(symbol, "SMART", "USD")
