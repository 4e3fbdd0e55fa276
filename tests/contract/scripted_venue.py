"""The scripted broker under test: a small market that lets its orders fill, on virtual time."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tradeshell import Bar, Broker, BrokerContext, Instrument, OrderType, Price, Session, Shares, Side
from tradeshell.testing import ScriptedVenue, refuses
from tradeshell.testing.broker_contract import BrokerUnderTest, Can
from tradeshell.testing.scripted import Script, accepts
from tradeshell.testing.scripted_broker import Sent

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ny(day: date, clock: str) -> datetime:
    """Return the instant of a New York time of day."""
    return datetime.combine(day, time.fromisoformat(clock), NEW_YORK).astimezone(UTC)


class ScriptedUnderTest(BrokerUnderTest):
    """The venue knows neither families, groups nor hours: it is a book of orders that the test fills."""

    can = frozenset(Can) - {Can.BRACKETS, Can.OCA, Can.OUTSIDE_HOURS, Can.GOOD_TILL}
    own_clock = True
    account = "DU0000007"
    ambiguous = "TWICE"

    def __init__(self) -> None:
        self.scripted = ScriptedVenue(
            Instrument(symbol=self.symbol, con_id=7),
            Instrument(symbol=self.ambiguous, con_id=8),
            Instrument(symbol=self.ambiguous, con_id=9, exchange="LSE"),
            account=self.account,
            start=ny(self.regular_day, "10:00"),
        )
        half, closed = self.half_day, self.closed_days
        assert half is not None
        self.scripted.days = dict.fromkeys(closed)
        self.scripted.days[half] = Session(
            open=ny(half, "09:30"),
            close=ny(half, "13:00"),
            extended_open=ny(half, "04:00"),
            extended_close=ny(half, "17:00"),
        )
        self.scripted.scripts |= {"place": self.arrives, "modify": self.arrives}
        self._sizes: dict[Side, Shares] = {}
        self._trades: list[tuple[Price, Shares]] = []

    def open(self, context: BrokerContext) -> AbstractContextManager[Broker]:
        """Open the scripted broker."""
        return self.scripted.open(context)

    # --- the market ---------------------------------------------------------------------------------------------------

    def arrives(self, venue: ScriptedVenue, sent: Sent) -> None:
        """Take an order or a change, and show it to the touch."""
        accepts(venue, sent)
        self._meet_touch()

    async def touch(
        self, bid: Price | None, ask: Price | None, bid_size: Shares = 5000, ask_size: Shares = 5000
    ) -> None:
        """Show a touch to everyone and to the orders."""
        await asyncio.sleep(0)
        if self.scripted.broker is not None:
            self.scripted.touch(self.symbol, bid, ask, bid_size)
            self._meet_touch()

    def _meet_touch(self) -> None:
        quote = self.scripted.latest(self.symbol)
        for report in self.scripted.books.living():
            order = self.scripted.books.spec(report.ref)
            price = None if quote is None else quote.ask if order.side is Side.BUY else quote.bid
            waits = order.type.is_stop and report.state == "held"
            if price is not None and not waits and self._allows(order.limit, order.side, price):
                self.scripted.fill(report.ref, None, price)

    async def trade(self, price: Price, size: Shares = 1000) -> None:
        """Show a trade to the orders, and to the bar that forms."""
        await asyncio.sleep(0)
        if self.scripted.broker is not None:
            self._to_bar(price, size)
        for report in self.scripted.books.living():
            order = self.scripted.books.spec(report.ref)
            if order.type.is_stop and report.state == "held":
                if order.stop is not None and (price - order.stop) * order.side.sign >= 0:
                    self.scripted.books.elect(report.ref)
                    self.scripted.show(report.ref)
            elif order.type is not OrderType.MARKET and self._allows(order.limit, order.side, price):
                qty = min(size, report.remaining)
                size -= qty
                if qty:
                    self.scripted.fill(report.ref, qty, order.limit or price)
        self._meet_touch()

    @staticmethod
    def _allows(limit: Price | None, side: Side, price: Price) -> bool:
        return limit is None or (limit - price) * side.sign >= 0

    def _to_bar(self, price: Price, size: Shares) -> None:
        now, length = self.scripted.now, timedelta(seconds=self.bar_seconds)
        start = now - (now - EPOCH) % length
        if not self._trades:
            asyncio.get_running_loop().call_later((start + length - now).total_seconds(), self._close, start)
        self._trades.append((price, size))

    def _close(self, start: datetime) -> None:
        prices = [price for price, _ in self._trades]
        volume = sum(size for _, size in self._trades)
        self._trades.clear()
        self.scripted.close_bar(
            Bar(
                self.symbol,
                start,
                self.bar_seconds,
                prices[0],
                max(prices),
                min(prices),
                prices[-1],
                volume,
            )
        )

    # --- trouble ------------------------------------------------------------------------------------------------------

    async def cut(self) -> None:
        """Drop the link."""
        self.scripted.drop()

    async def mend(self) -> None:
        """Let the link come back."""
        self.scripted.restore()

    async def stall(self) -> None:
        """Answer no snapshot."""
        self.scripted.is_stalled = True

    async def refuse_next(self, action: str, code: int, text: str, *, advisory: bool = False) -> None:
        """Answer the next one with a refusal."""
        script: Script = refuses(code, text, advisory=advisory)
        self.scripted.answer(action, script)

    async def correct(self, exec_id: str, qty: Shares, price: Price) -> None:
        """Correct an execution."""
        self.scripted.correct(exec_id, qty, price)

    async def fill_late(self, order_id: int, qty: Shares, price: Price) -> None:
        """Execute a cancelled order."""
        report = self.scripted.books.by_id(order_id)
        assert report is not None
        self.scripted.fill(report.ref, qty, price)
