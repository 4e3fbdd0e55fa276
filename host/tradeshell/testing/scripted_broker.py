"""The port's side of the scripted broker: it hands what the host asks for to its venue, and what the venue says to the host.

Laws: nothing is told inside a call of the host; while the link is down nothing is handed over, after the close nothing at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from msgspec import Struct

from tradeshell.core.inputs import LinkChanged
from tradeshell.core.market import Bar, Instrument, Quote, Session
from tradeshell.core.orders import OrderSpec
from tradeshell.errors import BrokerError
from tradeshell.ports import BrokerContext, BrokerInfo, Handle, Snapshot
from tradeshell.testing.scripted_books import Books

NEW_YORK = ZoneInfo("America/New_York")
SATURDAY = 5
Listener = TypeVar("Listener")


class Sent(Struct, frozen=True, kw_only=True):
    """What the host asked for: ``action`` is ``place``, ``modify`` or ``cancel``; ``order`` is ``None`` for a cancel."""

    action: str
    ref: str
    order_id: int
    order: OrderSpec | None = None


class TestSide(Protocol):
    """What the port's side needs of the test's."""

    instruments: tuple[Instrument, ...]
    account: str
    paper: bool
    books: Books
    days: dict[date, Session | None]
    sent: list[Sent]
    pictures: list[Snapshot | BrokerError]
    is_stalled: bool
    is_cut: bool
    bars: list[Bar]

    def take(self, sent: Sent) -> None:
        """Answer what the host has sent."""
        ...

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch of a symbol."""
        ...


def new_york_hours(at: datetime) -> Session | None:
    """Return plain hours: 09:30 to 16:00 New York on weekdays, within 04:00 to 20:00. There are no holidays here."""
    day = at.astimezone(NEW_YORK).date()
    if day.weekday() >= SATURDAY:
        return None
    edges = (time(9, 30), time(16), time(4), time(20))
    opens, closes, first, last = (datetime.combine(day, edge, NEW_YORK).astimezone(UTC) for edge in edges)
    return Session(open=opens, close=closes, extended_open=first, extended_close=last)


class _Subscription:
    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def cancel(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end()


class ScriptedBroker:
    """Implements ``Broker``; everything that it says comes from its venue."""

    def __init__(self, venue: TestSide, context: BrokerContext) -> None:
        self.context = context
        self.is_up = False
        self._venue = venue
        self._is_wanted = False
        self._is_closed = False
        self._bars: list[tuple[str, int, Callable[[Bar], None]]] = []
        self._quotes: list[tuple[str, Callable[[Quote], None]]] = []
        self._asked: set[asyncio.Future[None]] = set()

    def close(self) -> None:
        """Say nothing any more."""
        self.is_up, self._is_closed = False, True
        self._give_up("the broker was closed")

    def info(self) -> BrokerInfo:
        """Return who this is."""
        return BrokerInfo(
            name="scripted", account=self._venue.account, paper=self._venue.paper, words="a broker of a test"
        )

    async def connect(self) -> None:
        """Connect, unless the test has cut the link."""
        self._is_wanted = True
        if self._venue.is_cut:
            raise BrokerError("the scripted broker cannot be reached: its link is cut")
        self.come_back()

    async def disconnect(self) -> None:
        """Disconnect; orders live on in the books."""
        self._is_wanted = False
        self.go_down("disconnected by the operator")

    def come_back(self) -> None:
        """Have the link, if it is wanted and was not there."""
        if self._is_wanted and not self.is_up:
            self.is_up = True
            self._tell_link(up=True)

    def go_down(self, why: str) -> None:
        """Lose the link, if there is one."""
        if self.is_up:
            self._tell_link(up=False, why=why)
            self.is_up = False
            self._give_up(why)

    def _tell_link(self, *, up: bool, why: str = "") -> None:
        venue = self._venue
        now, first = self.context.clock.now(), self.first_order_id()
        self.context.emit(
            LinkChanged(
                at=now, up=up, account=venue.account, paper=venue.paper, first_order_id=first, why=why
            )
        )

    async def qualify(self, symbol: str) -> Instrument:
        """Return the one contract of a symbol."""
        found = [instrument for instrument in self._venue.instruments if instrument.symbol == symbol]
        if len(found) != 1:
            raise BrokerError(f"{symbol}: {'ambiguous' if found else 'there is no such symbol'}")
        return found[0]

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the hours of the New York day of ``at``."""
        del symbol
        day = at.astimezone(NEW_YORK).date()
        return self._venue.days[day] if day in self._venue.days else new_york_hours(at)

    def first_order_id(self) -> int:
        """Return the lowest number that was never used."""
        return self._venue.books.highest_id + 1

    # --- orders -------------------------------------------------------------------------------------------------------

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Hand an order to the script."""
        self._send(Sent(action="place", ref=order.ref, order_id=order_id, order=order))

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Hand a change to the script."""
        self._send(Sent(action="modify", ref=order.ref, order_id=order_id, order=order))

    def cancel(self, ref: str, order_id: int) -> None:
        """Hand a cancel to the script."""
        self._send(Sent(action="cancel", ref=ref, order_id=order_id))

    def _send(self, sent: Sent) -> None:
        self._must_be_up()
        self._venue.sent.append(sent)
        self.context.clock.call_soon(lambda: None if self._is_closed else self._venue.take(sent))

    async def snapshot_account(self) -> Snapshot:
        """Return what the test has laid ready, or what the books say."""
        self._must_be_up()
        venue = self._venue
        if venue.is_stalled:
            asked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._asked.add(asked)
            try:
                await asked
            finally:
                self._asked.discard(asked)
        found = venue.pictures.pop(0) if venue.pictures else venue.books.picture()
        if isinstance(found, BrokerError):
            raise found
        return found

    def _must_be_up(self) -> None:
        if not self.is_up:
            raise BrokerError("not connected to the scripted broker; type: connect")

    def _give_up(self, why: str) -> None:
        for asked in self._asked:
            if not asked.done():
                asked.set_exception(BrokerError(f"the request was lost with the link: {why}"))

    # --- market data --------------------------------------------------------------------------------------------------

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """Hand bars of that symbol and length to ``on_bar``."""
        del rth
        return _listed(self._bars, (symbol, seconds, on_bar))

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return the last bars that have closed."""
        del rth
        await self.qualify(symbol)
        bars = [bar for bar in self._venue.bars if (bar.symbol, bar.seconds) == (symbol, seconds)]
        return tuple(bars[-count:])

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return the touch, or ``None`` after ``patience`` seconds."""
        if (quote := self.latest(symbol)) is None:
            await asyncio.sleep(patience)
        return quote

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Hand touches of that symbol to ``on_quote``."""
        return _Subscription(lambda: None) if on_quote is None else _listed(self._quotes, (symbol, on_quote))

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch."""
        return self._venue.latest(symbol)

    def hand_bar(self, bar: Bar) -> None:
        """Hand a bar to everyone who listens."""
        for symbol, seconds, on_bar in tuple(self._bars):
            if self.is_up and (symbol, seconds) == (bar.symbol, bar.seconds):
                on_bar(bar)

    def hand_quote(self, quote: Quote) -> None:
        """Hand a touch to everyone who listens."""
        for symbol, on_quote in tuple(self._quotes):
            if self.is_up and symbol == quote.symbol:
                on_quote(quote)


def _listed(listeners: list[Listener], listener: Listener) -> Handle:
    listeners.append(listener)
    return _Subscription(lambda: listeners.remove(listener))
