"""The paper venue under test, in this process: a market that the cards make up as they go, on the venue's own clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.contract.live_market import LiveMarket

from tradeshell import Broker, BrokerContext, OrderSpec, Price, Shares
from tradeshell.testing.broker_contract import BrokerUnderTest, Can
from tradeshell_paper.broker import PaperBroker
from tradeshell_paper.courier import CleanCourier
from tradeshell_paper.settings import Refusal, read_settings

NEW_YORK = ZoneInfo("America/New_York")
START = datetime.combine(date(2025, 12, 22), time(10), NEW_YORK).astimezone(UTC)
MOMENT = 0.001  # seconds between what happens, and what happens next
WIRE = 0.005  # seconds that an order takes
HOUR = 3600.0

EVERYTHING = frozenset(Can) - {
    Can.AMBIGUOUS,  # each symbol means one stock here
    Can.RESTART,  # the venue ends with the program
}


class Trouble(CleanCourier):
    """Holds answers back."""

    def __init__(self) -> None:
        self.is_stalled = False

    def answer_delay(self, now: datetime) -> float:
        """Return an hour while stalled."""
        return HOUR if self.is_stalled else 0.0


class Refusals:
    """Refuses what was asked for, once each."""

    def __init__(self) -> None:
        self.waiting: dict[str, Refusal] = {}

    def __call__(self, spec: OrderSpec, at: datetime, action: str) -> Refusal | None:
        """Return the refusal of an action."""
        return self.waiting.pop(action, None)


class PaperUnderTest(BrokerUnderTest):
    """The venue in this process. ``broker`` is the open one."""

    can = EVERYTHING
    own_clock = True
    account = "DU0000001"
    calm = 0.02

    def __init__(self) -> None:
        self.market = LiveMarket(self.symbol, START)
        self.courier = Trouble()
        self.refusals = Refusals()
        self.settings: dict[str, Any] = {
            "partial": True,
            "latency": WIRE,
            "courier": self.courier,
            "refuse": self.refusals,
        }
        self.broker: PaperBroker

    @contextmanager
    def open(self, context: BrokerContext) -> Iterator[Broker]:
        """Open the venue over the market of the test."""
        clock = context.venue_clock
        assert clock is not None
        self.broker = PaperBroker(context, clock, read_settings(context.settings), self.market)
        self.broker.start()
        try:
            yield self.broker
        finally:
            self.broker.close()

    def _now(self) -> datetime:
        return self.broker._clock.now()

    async def touch(
        self, bid: Price | None, ask: Price | None, bid_size: Shares = 5000, ask_size: Shares = 5000
    ) -> None:
        """Let the market have a touch."""
        await asyncio.sleep(MOMENT)
        self.market.touch(self._now(), (bid, bid_size), (ask, ask_size), (self.broker,))
        await asyncio.sleep(MOMENT)

    async def trade(self, price: Price, size: Shares = 1000) -> None:
        """Let a trade happen."""
        await asyncio.sleep(MOMENT)
        self.market.trade(self._now(), price, size, (self.broker,))
        await asyncio.sleep(MOMENT)

    async def leave_regular_hours(self) -> None:
        """Go to 16:30 New York."""
        await asyncio.sleep((START + timedelta(hours=6, minutes=30) - self._now()).total_seconds())
        await self.touch(self.price - Decimal("0.01"), self.price + Decimal("0.01"))

    async def cut(self) -> None:
        """Drop the link."""
        self.broker.drop_link("the line was cut")

    async def mend(self) -> None:
        """Let the link come back."""
        self.broker.restore_link()

    async def stall(self) -> None:
        """Hold answers back."""
        self.courier.is_stalled = True

    async def refuse_next(self, action: str, code: int, text: str, *, advisory: bool = False) -> None:
        """Refuse one order, change or cancel."""
        self.refusals.waiting[action] = Refusal(code, text, advisory)

    async def correct(self, exec_id: str, qty: Shares, price: Price) -> None:
        """Correct an execution."""
        self.broker.correct(exec_id, qty, price)

    async def fill_late(self, order_id: int, qty: Shares, price: Price) -> None:
        """Execute a cancelled order."""
        self.broker.fill_late(order_id, qty, price)
