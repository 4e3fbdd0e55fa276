"""Helpers of these tests: a venue on virtual time, orders in few words, reports as short texts."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tradeshell import (
    Bar,
    BrokerContext,
    CommissionReported,
    ExecutionReport,
    ExecutionReported,
    FeedEnded,
    Input,
    OrderRefusedByBroker,
    OrderReported,
    OrderSpec,
    OrderType,
    PositionReported,
    Quote,
    Side,
    VenueOptions,
)
from tradeshell.engine.clock import LoopClock, VenueLoop
from tradeshell_paper.broker import PaperBroker, open_paper
from tradeshell_paper.floor import Report
from tradeshell_paper.market import stock
from tradeshell_paper.matching import Exchange
from tradeshell_paper.settings import Rules

T = TypeVar("T")
NEW_YORK = ZoneInfo("America/New_York")
DAY = date(2013, 10, 10)
ACCOUNT = "DU0000001"


def ny(clock: str, day: date = DAY) -> datetime:
    """Return the instant of a New York time of day, ``HH:MM`` or ``HH:MM:SS``."""
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


def usd(text: str) -> Decimal:
    """Return a price."""
    return Decimal(text)


def bar(
    start: datetime | str, prices: str, seconds: int = 60, volume: int = 10_000, symbol: str = "ABC"
) -> Bar:
    """Return a bar; ``prices`` is ``open high low close``."""
    at = ny(start) if isinstance(start, str) else start
    first, high, low, last = (Decimal(text) for text in prices.split())
    return Bar(symbol, at, seconds, first, high, low, last, volume)


def quote(
    at: datetime | str, bid: str | None, ask: str | None, size: int = 1000, *, in_force: bool = False
) -> Quote:
    """Return a touch of ABC."""
    return Quote(
        symbol="ABC",
        at=ny(at) if isinstance(at, str) else at,
        bid=None if bid is None else Decimal(bid),
        ask=None if ask is None else Decimal(ask),
        bid_size=size,
        ask_size=size,
        in_force=in_force,
    )


def order(
    side: str, qty: int, words: str = "MKT", ref: str = "", symbol: str = "ABC", **more: Any
) -> OrderSpec:
    """Return an order; ``words`` like ``MKT``, ``LMT 10``, ``STP 9``, ``STP LMT 9 8.95`` (stop, limit)."""
    parts = words.split()
    numbers = [Decimal(part) for part in parts if part[0].isdigit()]
    kind = OrderType(" ".join(part for part in parts if not part[0].isdigit()))
    stop = numbers[0] if kind.is_stop else None
    limit = numbers[-1] if kind in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
    return OrderSpec(
        ref=ref or f"{side} {qty} {words}",
        symbol=symbol,
        con_id=stock(symbol).con_id,
        account=ACCOUNT,
        side=Side(side),
        qty=qty,
        type=kind,
        limit=limit,
        stop=stop,
        **more,
    )


def told(reports: Iterable[Report | Input]) -> list[str]:
    """Return reports as short texts: ``E 100@10.01``, ``O ref filled 100/0``, ``P 100``, ``K 1.00``, ``X 110 order``."""
    return [_short(report.input if isinstance(report, Report) else report) for report in reports]


def _short(event: Input) -> str:
    match event:
        case ExecutionReported(execution=e):
            return f"E {e.side.value} {e.qty}@{e.price}"
        case OrderReported(report=r):
            return f"O {r.ref} {r.state.value} {r.filled}/{r.remaining}"
        case PositionReported(position=p):
            return f"P {p.qty}@{p.average.normalize():f}"
        case CommissionReported(amount=amount):
            return f"K {amount}"
        case OrderRefusedByBroker(ref=ref, code=code, what=what):
            return f"X {ref} {code} {what.value}"
    return type(event).__name__


class Floor:
    """An exchange with ABC listed, driven by hand in the morning of a trading day."""

    def __init__(self, rules: Rules | None = None, start: datetime | str = "10:00") -> None:
        self.exchange = Exchange(rules)
        self.exchange.list_stock(stock("ABC"))
        self.now = ny(start) if isinstance(start, str) else start
        self.numbers: dict[str, int] = {}

    def at(self, clock: datetime | str) -> Floor:
        """Go to another instant."""
        self.now = ny(clock) if isinstance(clock, str) else clock
        return self

    def send(self, *specs: OrderSpec) -> list[str]:
        """Place orders under the next numbers."""
        reports: list[Report] = []
        for spec in specs:
            self.numbers[spec.ref] = len(self.numbers) + 1
            reports += self.exchange.place(self.now, spec, self.numbers[spec.ref])
        return told(reports)

    def change(self, spec: OrderSpec) -> list[str]:
        """Send an order again."""
        return told(self.exchange.modify(self.now, spec, self.numbers[spec.ref]))

    def drop(self, ref: str) -> list[str]:
        """Cancel an order."""
        return told(self.exchange.cancel(self.now, self.numbers[ref], ref=ref))

    def quote(
        self,
        bid: str | None,
        ask: str | None,
        size: int = 1000,
        *,
        decides: bool = True,
        elects: bool = False,
    ) -> list[str]:
        """Put a touch in force."""
        touch = quote(self.now, bid, ask, size)
        return told(self.exchange.quote(self.now, touch, decides=decides, elects=elects))

    def trade(self, price: str, size: int = 100) -> list[str]:
        """Print a trade."""
        return told(self.exchange.trade(self.now, "ABC", Decimal(price), size))

    def play(self, start: str, prices: str, seconds: int = 60, volume: int = 10_000) -> list[str]:
        """Play a recorded bar: its open, then its range."""
        one = bar(start, prices, seconds, volume)
        self.now = one.start
        reports = self.exchange.open_bar(one.start, "ABC", one.open, seconds, one.volume)
        self.now = one.end
        return told((*reports, *self.exchange.close_bar(one.end, one)))

    def pass_time(self, clock: datetime | str) -> list[str]:
        """Let time pass up to an instant."""
        self.at(clock)
        return told(self.exchange.pass_time(self.now))

    def states(self) -> dict[str, str]:
        """Return the state of every order placed here."""
        found = {ref: self.exchange.order(number) for ref, number in self.numbers.items()}
        return {ref: report.state.value for ref, report in found.items() if report is not None}

    def executions(self) -> tuple[ExecutionReport, ...]:
        """Return all executions."""
        return self.exchange.executions()

    def position(self) -> int:
        """Return the shares held."""
        return sum(position.qty for position in self.exchange.positions())


class Venue:
    """The broker on a venue loop, with everything it told."""

    def __init__(
        self, broker: PaperBroker, clock: LoopClock, inputs: list[Input], ended: asyncio.Event
    ) -> None:
        self.broker = broker
        self.clock = clock
        self.inputs = inputs
        self.ended = ended  # the recording is used up
        self.next_id = 1

    async def until(self, at: datetime | str, day: date = DAY) -> None:
        """Let the venue's time pass."""
        when = ny(at, day) if isinstance(at, str) else at
        await asyncio.sleep(max(0.0, (when - self.clock.now()).total_seconds()))

    async def answered(self) -> None:
        """Let what is ready happen without time passing."""
        for _ in range(10):
            await asyncio.sleep(0)

    def place(self, *specs: OrderSpec) -> None:
        """Place orders under the next numbers."""
        for spec in specs:
            self.broker.place(spec, self.next_id)
            self.next_id += 1

    def executions(self) -> list[ExecutionReport]:
        """Return the executions told so far."""
        return [event.execution for event in self.inputs if isinstance(event, ExecutionReported)]


def on_venue(
    work: Callable[[Venue], Awaitable[T]],
    *,
    replay: Iterable[Path] = (),
    start: str | None = None,
    market: tuple[str, ...] = (),
    seed: int = 1,
    speed: float = math.inf,
    **settings: Any,
) -> T:
    """Run ``work`` on an open, connected venue."""
    loop = VenueLoop(speed)
    clock = LoopClock(loop)
    inputs: list[Input] = []
    ended = asyncio.Event()

    def emit(event: Input) -> None:
        inputs.append(event)
        if isinstance(event, FeedEnded):
            ended.set()

    context = BrokerContext(
        emit=emit,
        clock=clock,
        venue_clock=clock,
        options=VenueOptions(replay=tuple(replay), start=start, market=market, seed=seed, speed=speed),
        settings=settings,
        state_dir=Path(),
    )

    async def main() -> T:
        with open_paper(context) as broker:
            assert isinstance(broker, PaperBroker)
            await broker.connect()
            return await work(Venue(broker, clock, inputs, ended))

    try:
        return loop.run_until_complete(asyncio.wait_for(main(), None))
    finally:
        loop.close()


def minutes(first: str, count: int, price: str = "10", symbol: str = "ABC") -> list[Bar]:
    """Return ``count`` quiet minute bars from ``first`` on."""
    start = ny(first)
    return [
        bar(start + timedelta(minutes=n), f"{price} {price} {price} {price}", symbol=symbol)
        for n in range(count)
    ]
