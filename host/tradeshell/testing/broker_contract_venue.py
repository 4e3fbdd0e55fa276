"""What the author of a broker provides to the broker contract: what it can do, how it is opened, how its venue is driven.

Laws: one object for each card; the venue stands in regular hours of a trading day when ``start`` returns; a method for something
that ``can`` does not name is never called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from tradeshell.core.market import Price, Shares
from tradeshell.ports import Broker, BrokerContext, VenueOptions


class Can(StrEnum):
    """What a broker can do, or whoever drives its venue in a test. A card that needs more than ``can`` has is left out."""

    MODIFY = "changes orders"
    STOPS = "stop and stop-limit orders"
    BRACKETS = "children that wait for their parent"
    OCA = "groups of which one order reduces the others"
    GOOD_TILL = "orders that end at an instant"
    OUTSIDE_HOURS = "orders outside regular hours"
    PARTIAL_FILLS = "orders fill in parts"
    COMMISSIONS = "fees are told"
    BARS = "streams of closed bars"
    HISTORY = "past bars"
    QUOTES = "the touch is kept fresh"
    HOURS = "the trading hours of any day"
    AMBIGUOUS = "a symbol that means several contracts"
    CUT = "the test can cut and mend the link"
    STALL = "the test can hold answers back"
    RESTART = "the venue lives on when the broker is closed"
    REFUSE = "the test can have an order, a change or a cancel refused"
    CORRECT = "the test can have an execution corrected"
    FILL_LATE = "the test can have a cancelled order execute"
    NO_TOUCH = "the market begins without a touch"


class ContractBroken(AssertionError):
    """A broker does not do what a card says."""


class NotPlayed(Exception):
    """A card needs what this broker, or its venue, does not have."""


def ensure(holds: bool, words: str) -> None:
    """Raise ``ContractBroken`` with ``words`` unless ``holds``."""
    if not holds:
        raise ContractBroken(words)


class BrokerUnderTest:
    """What the author of a broker provides: how it is opened, and how its venue is driven. One object for each card.

    The venue stands in regular hours of a trading day when ``start`` returns. Prices are USD, sizes shares, times seconds. A
    method for something that ``can`` does not name is never called.
    """

    can: frozenset[Can] = frozenset()
    own_clock = False  # ``BrokerOffer.own_clock``: the broker is a simulated venue that runs the clock
    symbol = "ABC"  # trades on this venue
    unknown = "NOSUCH"  # does not
    ambiguous = ""  # means several contracts
    account = ""  # what ``LinkChanged`` has to say; empty: anything
    paper = True
    price: Price = Decimal(100)  # where cards trade, give or take five dollars
    bar_seconds = 60
    patience = 5.0  # seconds of the loop that something which must happen may take
    calm = 0.0  # seconds of the loop without a message after which nothing more is expected; 0: some turns of the loop
    regular_day = date(2025, 12, 22)
    half_day: date | None = date(2025, 11, 28)
    closed_days: tuple[date, ...] = (date(2025, 12, 25), date(2025, 12, 27))
    settings: Mapping[str, Any] = {}  # ``BrokerContext.settings``
    options = VenueOptions()

    def open(self, context: BrokerContext) -> AbstractContextManager[Broker]:
        """Open the broker; more than once with ``Can.RESTART``, always on the same venue."""
        raise NotImplementedError

    async def start(self) -> None:
        """Start the venue, before the broker is opened."""

    async def stop(self) -> None:
        """Stop the venue, after the broker was closed."""

    async def touch(
        self, bid: Price | None, ask: Price | None, bid_size: Shares = 5000, ask_size: Shares = 5000
    ) -> None:
        """Let the market have this touch from now on; orders that it reaches fill, up to its sizes."""
        raise NotImplementedError

    async def trade(self, price: Price, size: Shares = 1000) -> None:
        """Let one trade happen; orders that it reaches fill, up to its size, and stops are elected."""
        raise NotImplementedError

    async def pass_time(self, seconds: float) -> None:
        """Let the venue's time pass."""
        await asyncio.sleep(seconds)

    def now(self) -> datetime | None:
        """Return the venue's time, ``None`` when it is that of ``BrokerContext.clock``."""
        return None

    async def leave_regular_hours(self) -> None:
        """Let time pass into extended hours, with a touch around ``price``. With ``Can.OUTSIDE_HOURS``."""
        raise NotImplementedError

    async def cut(self) -> None:
        """Let the link drop; connecting fails until ``mend``. With ``Can.CUT``."""
        raise NotImplementedError

    async def mend(self) -> None:
        """Let the link be possible again. With ``Can.CUT``."""
        raise NotImplementedError

    async def stall(self) -> None:
        """Let requests go unanswered from now on. With ``Can.STALL``."""
        raise NotImplementedError

    async def refuse_next(self, action: str, code: int, text: str, *, advisory: bool = False) -> None:
        """Refuse the next ``place``, ``modify`` or ``cancel``, or only say so (``advisory``). With ``Can.REFUSE``."""
        raise NotImplementedError

    async def correct(self, exec_id: str, qty: Shares, price: Price) -> None:
        """Correct an execution by its next revision. With ``Can.CORRECT``."""
        raise NotImplementedError

    async def fill_late(self, order_id: int, qty: Shares, price: Price) -> None:
        """Execute shares of an order after its cancel was confirmed. With ``Can.FILL_LATE``."""
        raise NotImplementedError
