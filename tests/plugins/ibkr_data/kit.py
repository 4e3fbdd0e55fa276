"""A link without a wire, on virtual time: what is asked is noted, what a gateway would send is given as fields."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from tradeshell import Bar, BrokerError, StreamNews
from tradeshell.engine.clock import LoopClock, VenueLoop
from tradeshell_ibkr.asking import rest
from tradeshell_ibkr.market_data import DataSettings, MarketData

T = TypeVar("T")
MONDAY = datetime(2026, 7, 6, 14, 0, tzinfo=UTC)  # 10:00 New York
APPLE = 265598
DAYS = (6, 7, 8, 9, 10)
TRADING = ";".join(f"202607{day:02}:0400-202607{day:02}:2000" for day in DAYS)
LIQUID = ";".join(f"202607{day:02}:0930-202607{day:02}:1600" for day in DAYS)


class Asked:
    """One request."""

    def __init__(self, at: datetime, method: str, args: tuple[Any, ...]) -> None:
        self.at, self.method, self.args = at, method, args

    @property
    def id(self) -> int:
        return int(self.args[0])


class _Decoder:
    def __init__(self) -> None:
        self.handlers: dict[int, Callable[[list[str]], None]] = {}


class _Wire:
    def __init__(self) -> None:
        self.decoder = _Decoder()


class _Hub:
    def __init__(self) -> None:
        self.listeners: dict[str, Callable[..., None]] = {}

    def listen(self, name: str, handler: Callable[..., None]) -> None:
        assert name not in self.listeners
        self.listeners[name] = handler


class FakeLink:
    """Everything market data asks for; ``answer`` may reply to a request on the next turn of the loop."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.hub = _Hub()
        self.names: dict[int, str] = {}
        self.wire: _Wire = _Wire()
        self.is_ready = self.is_served = False
        self.epoch = 0
        self.asked: list[Asked] = []
        self.told: list[tuple[int, str]] = []
        self.notices: list[Callable[[int, str], None]] = []
        self.errors: dict[int, Callable[[int, str], None]] = {}
        self.answer: Callable[[Asked], None] = lambda _: None
        self._waits: set[asyncio.Future[Any]] = set()
        self._next = 2_000_000_000

    def request_id(self) -> int:
        self._next += 1
        return self._next

    def ask(self, method: str, *args: Any) -> None:
        if not self.is_ready:
            raise BrokerError("not connected to Interactive Brokers")
        asked = Asked(self.clock.now(), method, args)
        self.asked.append(asked)
        self.clock.call_soon(lambda: self.answer(asked))

    def on_error(self, req_id: int, handler: Callable[[int, str], None]) -> None:
        self.errors[req_id] = handler

    def forget(self, req_id: int) -> None:
        self.errors.pop(req_id, None)

    def tell(self, code: int, text: str) -> None:
        self.told.append((code, text))

    async def within(self, future: asyncio.Future[T], seconds: float, words: str) -> T:
        self._waits.add(future)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise BrokerError(words) from None
        finally:
            self._waits.discard(future)
            future.cancel()

    # --- what the gateway does ----------------------------------------------------------------------------------------

    def send(self, *fields: object) -> None:
        """Give one message; its first field is its kind."""
        texts = [str(field) for field in fields]
        handler = self.wire.decoder.handlers.get(int(texts[0]))
        if handler is not None:
            handler(texts)

    def error(self, req_id: int, code: int, text: str) -> None:
        """Give an error about a request."""
        handler = self.errors.get(req_id)
        if handler is not None:
            handler(code, text)

    def lose(self) -> None:
        """End what waits for an answer, as the end of a connection does."""
        for future in tuple(self._waits):
            if not future.done():
                future.set_exception(BrokerError("the request was lost with the connection"))

    def requests(self, method: str) -> list[Asked]:
        """Return the requests of one kind, in order."""
        return [asked for asked in self.asked if asked.method == method]


class Details:
    """Contract details as the library's decoder gives them."""

    def __init__(self, symbol: str = "AAPL", con_id: int = APPLE, **changes: Any) -> None:
        from ib_async.contract import Contract, ContractDetails

        self.value = ContractDetails(
            contract=Contract(
                secType="STK",
                conId=con_id,
                symbol=symbol,
                exchange="SMART",
                primaryExchange="NASDAQ",
                currency="USD",
                localSymbol=symbol,
                tradingClass="NMS",
            ),
            minTick=0.01,
            validExchanges="SMART,NASDAQ",
            marketRuleIds="26,26",
            timeZoneId="US/Eastern",
            tradingHours=TRADING,
            liquidHours=LIQUID,
        )
        for name, value in changes.items():
            owner = self.value if hasattr(self.value, name) else self.value.contract
            assert owner is not None
            setattr(owner, name, value)


class Desk:
    """Market data over a fake link, on virtual time that begins at ten on a Monday."""

    def __init__(self, settings: DataSettings | None = None, start: datetime = MONDAY) -> None:
        self.loop = VenueLoop()
        self.clock = LoopClock(self.loop)
        self.clock.start_at(start)
        self.link = FakeLink(self.clock)
        self.news: list[StreamNews] = []
        self.bars: list[Bar] = []
        self.data = MarketData(self.link, settings, self.news.append)

    def run(self, work: Awaitable[T]) -> T:
        """Run something to its end, in virtual time."""

        async def outer() -> T:
            return await work

        return self.loop.run_until_complete(outer())

    def advance(self, seconds: float = 0.0) -> None:
        """Let time pass; what is due happens."""
        self.run(rest(self.clock, seconds))
        self.run(_turns())

    def until(self, second: float) -> None:
        """Let time pass up to an instant, in seconds after the start at ten."""
        self.advance(max((MONDAY.timestamp() + second) - self.clock.now().timestamp(), 0.0))

    def connect(self, *, data_lost: bool = True, new: bool = True) -> None:
        """Bring the link up."""
        if new:
            self.link.epoch += 1
            self.link.wire = _Wire()
        self.link.is_ready = self.link.is_served = True
        self.do(lambda: self.data.on_connected(data_lost))

    def disconnect(self) -> None:
        """Take the link down."""
        self.link.is_ready = self.link.is_served = False
        self.link.lose()
        self.do(self.data.on_lost)

    def do(self, act: Callable[[], T]) -> T:
        """Do something on the loop, as the engine does."""

        async def inner() -> T:
            result = act()
            await _turns()
            return result

        return self.run(inner())

    def watch(self, seconds: int = 60, *, rth: bool = True, symbol: str = "AAPL") -> Any:
        """Subscribe to bars and collect them."""
        return self.do(lambda: self.data.subscribe(symbol, seconds, rth, self.bars.append))

    def part(
        self,
        second: int,
        prices: str = "190 190 190 190",
        volume: int = 100,
        *,
        late: float = 0.2,
        req_id: int = 0,
    ) -> None:
        """Give the 5-second bar that starts ``second`` seconds after ten, a little after its end."""
        self.until(second + 5 + late)
        self.give_part(second, prices, volume, req_id=req_id)

    def give_part(self, second: int, prices: str, volume: int = 100, *, req_id: int = 0) -> None:
        """Give a 5-second bar now."""
        number = req_id or self.link.requests("reqRealTimeBars")[-1].id
        start = int(MONDAY.timestamp()) + second
        self.do(
            lambda: self.link.send(50, 3, number, start, *prices.split(), volume, "190.0", 3 if volume else 0)
        )

    def shown(self) -> list[str]:
        """Return the collected bars as short texts: start, length, prices, volume."""
        return [
            f"{bar.start:%H:%M:%S} {bar.seconds} {bar.open} {bar.high} {bar.low} {bar.close} {bar.volume}"
            for bar in self.bars
        ]


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@contextmanager
def desk(settings: DataSettings | None = None, start: datetime = MONDAY) -> Iterator[Desk]:
    """Make a desk and end everything that it began."""
    made = Desk(settings, start)
    try:
        yield made
    finally:
        made.data.close()
        made.run(_turns())
        made.loop.close()


def history_answers(link: FakeLink, rows: Callable[[Asked], list[tuple[int, str, int]]]) -> None:
    """Answer every request for history with ``rows`` (seconds after ten, prices, volume); others as before."""
    others = link.answer

    def answer(asked: Asked) -> None:
        if asked.method != "reqHistoricalData":
            others(asked)
            return
        found = rows(asked)
        flat: list[object] = []
        for second, prices, volume in found:
            flat += [int(MONDAY.timestamp()) + second, *prices.split(), volume, "190.0", 3]
        link.send(17, asked.id, "start", "end", len(found), *flat)

    link.answer = answer


def contract_answers(
    link: FakeLink, *details: Details, rule: list[tuple[float, float]] | None = None
) -> None:
    """Answer questions about contracts and market rules."""
    from ib_async.objects import PriceIncrement

    others = link.answer

    def answer(asked: Asked) -> None:
        if asked.method == "reqContractDetails":
            for each in details:
                link.hub.listeners["contractDetails"](asked.id, each.value)
            link.hub.listeners["contractDetailsEnd"](asked.id)
        elif asked.method == "reqMarketRule" and rule is not None:
            bands = [PriceIncrement(low, step) for low, step in rule]
            link.hub.listeners["marketRule"](asked.args[0], bands)
        else:
            others(asked)

    link.answer = answer


Work = Coroutine[Any, Any, T]
