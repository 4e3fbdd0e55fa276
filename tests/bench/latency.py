"""From the close of the bar that triggers to the orders at the broker port, inside one process.

*Ours* is the real way: the feed's listener, ``step``, journal, audit log, ``broker.place``. *Direct* is what a person would write
who has one breakout and no engine, in one function, with the same promises: look at the level and the touch, price the bracket,
put the decision into a journal (one write) and the three intents into an audit log (one write each), hand the orders over.
Both write to real files, neither waits for the disk.
"""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import msgspec

from tradeshell.core import inputs as i
from tradeshell.core.commands import PlaceOrder
from tradeshell.core.events import OrderIntent
from tradeshell.core.market import Bar, Instrument, Quote, Session
from tradeshell.core.orders import OrderSpec, OrderType, Side, Tif, order_ref
from tradeshell.core.plan import ExitMode, TradePlan
from tradeshell.core.policy import Limits, Policy
from tradeshell.core.step import Core
from tradeshell.engine.audit import Audit
from tradeshell.engine.clock import LoopClock, VenueLoop
from tradeshell.engine.journal import Entry, Journal, frame
from tradeshell.engine.session import Session as EngineSession
from tradeshell.ports import BrokerInfo, Handle, Record, SinkContext, Snapshot
from tradeshell_breakout.strategy import Breakout
from tradeshell_jsonl_log.lines import encode
from tradeshell_jsonl_log.writer import open_log

ACCOUNT = "DU0000001"
OPEN = datetime(2024, 4, 1, 13, 30, tzinfo=UTC)
CLOSED = OPEN + timedelta(minutes=1)
HOURS = Session(
    open=OPEN,
    close=OPEN + timedelta(hours=6.5),
    extended_open=OPEN - timedelta(hours=5.5),
    extended_close=OPEN + timedelta(hours=10.5),
)
LEVEL, STOP, TARGET = Decimal("190.00"), Decimal("187.00"), Decimal("195.00")
LEGS = 3
# It would end the benchmark; a desk that has it never has more than 30 orders of the last minute to count.
POLICY = Policy(limits=Limits(max_orders_per_minute=None))
GOOD_FOR = timedelta(seconds=25)  # of the entry: its timeout, and the grace of the order at the broker


class Sample(NamedTuple):
    """Seconds from the bar's close to the first order and to the last one at the port; ``cpu`` is what the thread itself used.

    On a machine with other work the slowest percent of ``first`` is other people's turns; ``cpu`` leaves them out.
    """

    first: float
    last: float
    cpu: float


def plan(symbol: str) -> TradePlan:
    """Return a breakout with a bracket."""
    return TradePlan(
        symbol=symbol,
        qty=100,
        account=ACCOUNT,
        level=LEVEL,
        tps=(TARGET,),
        sl=STOP,
        mode=ExitMode.ATTACHED,
        chase_limit=Decimal("191.50"),
    )


def bar(symbol: str) -> Bar:
    """Return the bar that triggers."""
    return Bar(
        symbol, OPEN, 60, Decimal("189.80"), Decimal("190.20"), Decimal("189.70"), Decimal("190.12"), 5000
    )


def quote(symbol: str) -> Quote:
    """Return a fresh touch."""
    return Quote(
        symbol=symbol,
        at=CLOSED,
        bid=Decimal("190.13"),
        ask=Decimal("190.15"),
        bid_size=200,
        ask_size=300,
    )


class _Kept:
    """A subscription that nobody ends."""

    def cancel(self) -> None:
        """Do nothing."""


class Port:
    """A broker port that notes when an order reaches it, and does nothing."""

    def __init__(self) -> None:
        self.arrivals: list[float] = []
        self.cpu = 0.0  # the thread's own time when the first order came
        self.listeners: dict[str, Callable[[Bar], None]] = {}
        self.quotes: dict[str, Quote] = {}

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Note the instant."""
        del order, order_id
        self.arrivals.append(time.perf_counter())
        if len(self.arrivals) == 1:
            self.cpu = time.thread_time()

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Never asked for here."""

    def cancel(self, ref: str, order_id: int) -> None:
        """Never asked for here."""

    def info(self) -> BrokerInfo:
        """Return who this is."""
        return BrokerInfo(name="port", account=ACCOUNT, paper=True, words="a benchmark")

    async def connect(self) -> None:
        """Do nothing."""

    async def disconnect(self) -> None:
        """Do nothing."""

    async def qualify(self, symbol: str) -> Instrument:
        """Return any stock."""
        return Instrument(symbol=symbol, con_id=1)

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the day's hours."""
        del symbol, at
        return HOURS

    def first_order_id(self) -> int:
        """Return 1."""
        return 1

    async def snapshot_account(self) -> Snapshot:
        """Return an empty account."""
        return Snapshot(orders=(), executions=(), positions=())

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """Keep the listener."""
        del seconds, rth
        self.listeners[symbol] = on_bar
        return _Kept()

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return nothing."""
        del symbol, seconds, count, rth
        return ()

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return the touch at hand."""
        del patience
        return self.latest(symbol)

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Take note."""
        del on_quote
        self.quotes[symbol] = quote(symbol)
        return _Kept()

    def latest(self, symbol: str) -> Quote | None:
        """Return the touch."""
        return self.quotes.get(symbol)


def ours(watchers: int, triggers: int, folder: Path) -> list[Sample]:
    """Arm ``watchers``, one a symbol, let the first ``triggers`` of them break out; a sample each."""
    folder.mkdir()
    loop = VenueLoop()
    clock = LoopClock(loop)
    clock.start_at(OPEN)
    journal = Journal(folder / "journal", "bench", "port")
    audit = Audit("bench", clock.now)
    with open_log(SinkContext(state_dir=folder, settings={}, environ={})) as log:
        audit.add("jsonl", log)
        session = EngineSession(Core({"breakout": Breakout()}), clock, journal, audit)
        port = Port()
        session.attach(port)
        session.submit(i.PolicySet(at=clock.now(), policy=POLICY))
        loop.run_until_complete(_connect(session))
        symbols = [f"S{number:04d}" for number in range(watchers)]
        for symbol in symbols:
            session.submit(i.WatchRequested(at=clock.now(), watch=_watch(symbol)))
        clock.start_at(CLOSED)
        samples = []
        gc.collect()
        gc.freeze()  # as the engine does when it has started
        for symbol in symbols[:triggers]:
            port.arrivals.clear()
            closed, listener = bar(symbol), port.listeners[symbol]
            cpu, began = time.thread_time(), time.perf_counter()
            listener(closed)
            samples.append(_sample(began, cpu, port))
        journal.close()
    loop.close()
    return samples


async def _connect(session: EngineSession) -> None:
    session.submit(i.LinkChanged(at=OPEN, up=True, account=ACCOUNT, paper=True))
    session.submit(i.SnapshotAnswered(at=OPEN, epoch=1, orders=(), executions=(), positions=()))


def _watch(symbol: str) -> i.WatchSpec:
    return i.WatchSpec(
        id=f"br-{symbol.lower()}",
        strategy="breakout",
        plan=plan(symbol),
        params={"bar": "60", "rth": "true", "max_bars": ""},
        instrument=Instrument(symbol=symbol, con_id=1),
        session=HOURS,
    )


def _sample(began: float, cpu: float, port: Port) -> Sample:
    if len(port.arrivals) != LEGS:
        raise RuntimeError(f"{len(port.arrivals)} orders reached the port, {LEGS} should have")
    return Sample(port.arrivals[0] - began, port.arrivals[-1] - began, port.cpu - cpu)


def direct(triggers: int, folder: Path) -> list[Sample]:
    """Do the same in one function, ``triggers`` times."""
    folder.mkdir()
    flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
    journal = os.open(folder / "journal", flags, 0o600)
    log = os.open(folder / "events.jsonl", flags, 0o600)
    port = Port()
    encoder = msgspec.json.Encoder()
    quotes, plans = {}, {}
    symbols = [f"S{number:04d}" for number in range(triggers)]
    for symbol in symbols:
        quotes[symbol], plans[symbol] = quote(symbol), plan(symbol)
    samples: list[Sample] = []
    seq = 0

    def on_bar(closed: Bar) -> None:
        nonlocal seq
        wanted = plans[closed.symbol]
        if wanted.level is None or closed.close < wanted.level:
            return
        touch = quotes[closed.symbol]
        ask, stop, target = touch.ask, wanted.sl, wanted.tps[0]
        if ask is None or stop is None or touch.age(CLOSED) > wanted.quote_age:
            return
        if not stop < ask < target or (wanted.chase_limit is not None and ask >= wanted.chase_limit):
            return
        orders = _bracket(wanted, closed, ask, stop, target)
        event = i.BarClosed(at=CLOSED, bar=closed, rth=True)
        placed = tuple(PlaceOrder(order, seq * LEGS + number) for number, order in enumerate(orders, 1))
        seq += 1
        os.write(journal, frame(encoder.encode(Entry(seq, event, placed))))
        for number, order in enumerate(orders):
            record = Record(
                v=1, seq=seq, ts=CLOSED, mono=time.monotonic(), session="bench", event=_intent(order)
            )
            os.write(log, encode(record, seq * LEGS + number) + b"\n")
        for command in placed:
            port.place(command.order, command.order_id)

    gc.collect()
    gc.freeze()
    for symbol in symbols:
        port.arrivals.clear()
        closed = bar(symbol)
        cpu, began = time.thread_time(), time.perf_counter()
        on_bar(closed)
        samples.append(_sample(began, cpu, port))
    os.close(journal)
    os.close(log)
    return samples


def _bracket(
    wanted: TradePlan, closed: Bar, ask: Decimal, stop: Decimal, target: Decimal
) -> tuple[OrderSpec, ...]:
    watch = f"br-{closed.symbol.lower()}"
    entry = order_ref(watch, "entry", 1)
    return (
        OrderSpec(
            ref=entry,
            symbol=closed.symbol,
            con_id=1,
            account=ACCOUNT,
            side=Side.BUY,
            qty=wanted.qty,
            type=OrderType.LIMIT,
            limit=ask,
            tif=Tif.GTD,
            good_till=CLOSED + GOOD_FOR,
            transmit=False,
        ),
        OrderSpec(
            ref=order_ref(watch, "tp1", 1),
            symbol=closed.symbol,
            con_id=1,
            account=ACCOUNT,
            side=Side.SELL,
            qty=wanted.qty,
            type=OrderType.LIMIT,
            limit=target,
            tif=Tif.GTC,
            parent_ref=entry,
            transmit=False,
        ),
        OrderSpec(
            ref=order_ref(watch, "sl1", 1),
            symbol=closed.symbol,
            con_id=1,
            account=ACCOUNT,
            side=Side.SELL,
            qty=wanted.qty,
            type=OrderType.STOP_LIMIT,
            limit=stop,
            stop=stop,
            tif=Tif.GTC,
            parent_ref=entry,
        ),
    )


def _intent(order: OrderSpec) -> OrderIntent:
    return OrderIntent(
        symbol=order.symbol,
        order_ref=order.ref,
        action="place",
        side=order.side,
        qty=order.qty,
        type=order.type,
        limit=order.limit,
        stop=order.stop,
        tif=order.tif,
        outside_rth=order.outside_rth,
        account=order.account,
        con_id=order.con_id,
        parent_ref=order.parent_ref,
        good_till=order.good_till,
    )
