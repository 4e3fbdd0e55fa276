"""A real process of the program's engine, whose broker trades over a socket and kills the process where it is told to.

    python -m tests.crash.trader STATE_FOLDER PORT [buy]

``KILL_AT=send:3:before`` (``send`` or ``hear``, which one, ``before`` or ``after``) ends it by SIGKILL: before the third order
command leaves, which is right after its record was written; ``hear`` counts what the venue says, before it is read or after it
was acted upon. The process ends by itself when its standard input does.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
from tests.crash.venue import ACCOUNT, CON_ID, Answer, Ask, Cancel, Hello, Modify, Place, Said, Told, encode

from tradeshell.core.inputs import LinkChanged, TradeRequested
from tradeshell.core.market import Bar, Instrument, Quote, Session
from tradeshell.core.orders import OrderSpec
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan
from tradeshell.engine.nobroker import NoBroker
from tradeshell.engine.runtime import Engine, Plan
from tradeshell.errors import BrokerError
from tradeshell.ports import (
    Broker,
    BrokerContext,
    BrokerInfo,
    BrokerOffer,
    Handle,
    SinkContext,
    Snapshot,
    VenueOptions,
)
from tradeshell_breakout.strategy import Breakout
from tradeshell_jsonl_log.writer import open_log

_decode = msgspec.json.Decoder(Said).decode
AAPL = Instrument(symbol="AAPL", con_id=CON_ID)


class Fuse:
    """Ends the process at the boundary that ``KILL_AT`` names."""

    def __init__(self, words: str) -> None:
        kind, number, self._where = words.split(":") if words else ("", "0", "")
        self._kind, self._left = kind, int(number)

    def passes(self, kind: str, act: Callable[[], None]) -> None:
        """Do it, and end before or after it when it is the one."""
        self._left -= kind == self._kind
        is_it = kind == self._kind and self._left == 0
        if is_it and self._where == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        act()
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)


class SocketBroker(NoBroker):
    """A broker over a socket."""

    def __init__(self, context: BrokerContext, port: int) -> None:
        super().__init__()
        self._context, self._port = context, port
        self._fuse = Fuse(os.environ.get("KILL_AT", ""))
        self._answers: list[asyncio.Future[Answer]] = []
        self._reading: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter

    def info(self) -> BrokerInfo:
        """Return who this is."""
        return BrokerInfo(name="socket", account=ACCOUNT, paper=True, words="a venue of a test")

    async def connect(self) -> None:
        """Connect and listen."""
        reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._reading = asyncio.get_running_loop().create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            self._hear(_decode(line))

    def _hear(self, said: Said) -> None:
        now = self._context.clock.now()
        if isinstance(said, Hello):
            up = LinkChanged(at=now, up=True, account=ACCOUNT, paper=True, first_order_id=said.first_order_id)
            self._context.emit(up)
        elif isinstance(said, Answer):
            self._answers.pop(0).set_result(said)
        else:
            self._fuse.passes("hear", lambda: self._context.emit(msgspec.structs.replace(said, at=now)))

    def _say(self, told: Told) -> None:
        # Straight to the socket: what a killed process left in a buffer of its own would be lost.
        self._writer.get_extra_info("socket")._sock.sendall(encode(told) + b"\n")

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order."""
        self._fuse.passes("send", lambda: self._say(Place(order, order_id)))

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send a changed order."""
        self._fuse.passes("send", lambda: self._say(Modify(order, order_id)))

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask to cancel."""
        self._fuse.passes("send", lambda: self._say(Cancel(ref, order_id)))

    async def snapshot_account(self) -> Snapshot:
        """Request everything."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers.append(answer)
        self._say(Ask())
        found = await answer
        return Snapshot(orders=found.orders, executions=found.executions, positions=found.positions)

    async def qualify(self, symbol: str) -> Instrument:
        """Return the one contract there is."""
        if symbol != AAPL.symbol:
            raise BrokerError(f"{symbol}: unknown")
        return AAPL

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return trading hours that last."""
        del symbol
        hour = timedelta(hours=1)
        return Session(
            open=at - hour, close=at + 5 * hour, extended_open=at - 2 * hour, extended_close=at + 6 * hour
        )

    def latest(self, symbol: str) -> Quote | None:
        """Return the touch, which never moves."""
        bid, ask, now = Decimal("190.00"), Decimal("190.02"), self._context.clock.now()
        return Quote(symbol=symbol, at=now, bid=bid, ask=ask, bid_size=500, ask_size=500)

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Nothing ever changes."""
        return asyncio.get_running_loop().call_later(0, lambda: None)

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """No bar ever closes."""
        return asyncio.get_running_loop().call_later(0, lambda: None)


async def _ready(engine: Engine) -> None:
    ready = asyncio.Event()
    engine.session.changed.append(lambda: ready.set() if engine.session.desk.link.is_open else None)
    if not engine.session.desk.link.is_open:
        await ready.wait()


async def _buy(engine: Engine) -> None:
    plan = TradePlan(
        symbol="AAPL",
        qty=100,
        account=engine.session.desk.account,
        entry=EntryKind.PRICED,
        limit=Decimal("190.02"),
        tps=(Decimal(195), Decimal(198)),
        sl=Decimal(187),
        mode=ExitMode.DETACHED70,
    )
    engine.session.submit(
        TradeRequested(at=datetime.now(UTC), id="m-1", plan=plan, instrument=AAPL)  # a real process
    )


def main(folder: Path, port: int, *, buys: bool) -> None:
    """Run until standard input ends."""

    @contextmanager
    def opened(context: BrokerContext) -> Iterator[Broker]:
        yield SocketBroker(context, port)

    engine = Engine(
        Plan(
            session=f"process-{os.getpid()}",
            version="test",
            broker_name="socket",
            broker=BrokerOffer(open=opened, own_clock=False, words="a socket"),
            broker_settings={},
            options=VenueOptions(),
            strategies={"breakout": Breakout()},
            sinks={"jsonl": (open_log, SinkContext(state_dir=folder, settings={}, environ={}))},
            state_dir=folder,
        )
    )
    engine.start()
    engine.call(_ready(engine), what="the first picture")
    if buys:
        engine.call(_buy(engine))
    sys.stdin.read()
    engine.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), buys=sys.argv[3:] == ["buy"])
