"""Quotes and single ticks of one client: reqMktData, snapshots, reqTickByTickData.

Laws: a line begins with what is in force, and then tells what changes; prices come with their size, and the size again as a
message of its own, as a gateway does. A line that ends tells nothing more.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from tradeshell import DataKind, Handle, Quote
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.fields import epoch, price_text
from tradeshell_paper.tws.house import Client, House
from tradeshell_paper.tws.requests import QuoteRequest, StreamRequest
from tradeshell_paper.tws.view import TICK, Trade, midpoint

LIVE, DELAYED = 1, 3
RT_VOLUME = 233
STREAMS = {"Last": 1, "AllLast": 2, "BidAsk": 3, "MidPoint": 4}
NOT_SUBSCRIBED = (
    "Requested market data is not subscribed. Check API status by selecting the Account menu then under Management "
    "choose Market Data Subscription Manager and/or availability of delayed data."
)
SHOWN_DELAYED = "Requested market data is not subscribed. Displaying delayed market data."
NEEDS_MORE = (
    "Requested market data requires additional subscription for API. See link in 'Market Data Connections' dialog for "
    "more details.Delayed market data is not enabled."
)
COMPETING = "No market data during competing live session"


class Line:
    """One reqMktData."""

    def __init__(
        self, house: House, client: Client, request: QuoteRequest, symbol: str, delayed: bool
    ) -> None:
        self.request = request
        self.symbol = symbol
        self._house = house
        self._client = client
        self._delayed = delayed
        self._last_at: datetime | None = None
        self._bid: tuple[Decimal | None, int] = (None, 0)
        self._ask: tuple[Decimal | None, int] = (None, 0)
        self._halted: bool | None = None
        self._high = self._low = Decimal(0)
        self._volume = 0
        self._handle: Handle | None = None

    def begin(self) -> None:
        """Tell what is in force, and follow it."""
        house, client, number_ = self._house, self._client, self.request.request
        instrument = house.data_venue.instrument(self.symbol)
        now = house.now()
        last = house.view.last(self.symbol, now)
        price = Decimal(1) if last is None else last.price
        client.send(outgoing.tick_parameters(number_, instrument.grid.increment(price)))
        client.send(outgoing.market_data_type(number_, DELAYED if self._delayed else LIVE))
        day = house.view.day(self.symbol, now)
        quote = house.data_venue.latest(self.symbol)
        if quote is not None:
            self._touch(quote)
        if last is not None:
            self._trade(last, 0)
        self._volume, self._high, self._low = day.volume, day.high or Decimal(0), day.low or Decimal(0)
        for kind, value in ((6, day.high), (7, day.low), (14, day.open), (9, day.close)):
            if value is not None:
                client.send(outgoing.tick_price(number_, self._kind(kind), value, 0))
        client.send(outgoing.tick_size(number_, self._kind(8), self._volume))
        if not self.request.snapshot:
            self._handle = house.data_venue.follow(self.symbol, self._on_change)

    def end(self) -> None:
        """Tell nothing more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _on_change(self, quote: Quote) -> None:
        house = self._house
        if house.switches.competing or house.is_cut_off:
            return
        self._touch(quote)
        now = house.now()
        since = self._last_at
        traded = [] if since is None else house.view.prints(self.symbol, since + TICK, now + TICK)
        for trade in traded:
            self._trade(trade, trade.size)
        if not traded:
            last = house.view.last(self.symbol, now)
            if last is not None and (since is None or last.at > since):
                self._trade(last, last.size)

    def _touch(self, quote: Quote) -> None:
        send, number_ = self._client.send, self.request.request
        halted = quote.kind is DataKind.HALTED
        if halted is not self._halted:
            self._halted = halted
            send(outgoing.tick_generic(number_, 49, int(halted)))
        sides = (
            (1, 0, self._bid, (quote.bid, quote.bid_size)),
            (2, 3, self._ask, (quote.ask, quote.ask_size)),
        )
        for price_kind, size_kind, old, new in sides:
            price, size = new
            if price != old[0]:
                shown = Decimal(-1) if price is None else price
                send(
                    outgoing.tick_price(
                        number_, self._kind(price_kind), shown, 0 if price is None else size or 100
                    )
                )
            if new != old:
                send(outgoing.tick_size(number_, self._kind(size_kind), 0 if price is None else size or 100))
        self._bid, self._ask = (quote.bid, quote.bid_size), (quote.ask, quote.ask_size)

    def _trade(self, trade: Trade, size: int) -> None:
        send, number_ = self._client.send, self.request.request
        self._last_at = trade.at
        at = self._house.shown(trade.at)
        send(outgoing.tick_string(number_, 88 if self._delayed else 45, str(epoch(at))))
        shown = trade.size or 100
        send(outgoing.tick_price(number_, self._kind(4), trade.price, shown))
        send(outgoing.tick_size(number_, self._kind(5), shown))
        if not size:
            return
        self._volume += size
        send(outgoing.tick_size(number_, self._kind(8), self._volume))
        if trade.price > self._high > 0:
            self._high = trade.price
            send(outgoing.tick_price(number_, self._kind(6), trade.price, 0))
        if trade.price < self._low:
            self._low = trade.price
            send(outgoing.tick_price(number_, self._kind(7), trade.price, 0))
        if RT_VOLUME in self.request.generic:
            ms = int(at.timestamp() * 1000)
            text = f"{price_text(trade.price)};{size};{ms};{self._volume};{price_text(trade.price)};true"
            send(outgoing.tick_string(number_, 48, text))

    def _kind(self, kind: int) -> int:
        """Return the tick type, or the one of delayed data."""
        delayed = {1: 66, 2: 67, 4: 68, 0: 69, 3: 70, 5: 71, 6: 72, 7: 73, 8: 74, 9: 75, 14: 76}
        return delayed[kind] if self._delayed else kind


class Stream:
    """One reqTickByTickData."""

    def __init__(self, house: House, client: Client, request: StreamRequest, symbol: str) -> None:
        self.request = request
        self.symbol = symbol
        self._house = house
        self._client = client
        self._since = house.now()
        self._told: object = None
        self._handle = house.data_venue.follow(symbol, self._on_change)

    def end(self) -> None:
        """Tell nothing more."""
        self._handle.cancel()

    def _on_change(self, quote: Quote) -> None:
        house, number_, kind = self._house, self.request.request, STREAMS[self.request.what]
        if house.switches.competing or house.is_cut_off:
            return
        if kind <= 2:
            now = house.now()
            for trade in house.view.prints(self.symbol, self._since + TICK, now + TICK):
                at = house.shown(trade.at)
                self._client.send(
                    outgoing.tick_by_tick_last(number_, kind, at, trade.price, trade.size, "ISLAND")
                )
            self._since = now
            return
        middle = midpoint(quote)
        touch = (quote.bid, quote.ask, quote.bid_size, quote.ask_size) if kind == 3 else middle
        if touch == self._told or quote.bid is None or quote.ask is None or middle is None:
            return
        self._told = touch
        at = house.shown(quote.at)
        if kind == 3:
            sizes = (quote.bid_size or 100, quote.ask_size or 100)
            self._client.send(outgoing.tick_by_tick_touch(number_, at, quote.bid, quote.ask, *sizes))
        else:
            self._client.send(outgoing.tick_by_tick_middle(number_, at, middle))


class QuoteDesk:
    """The lines and streams of one client. ``others`` counts what else takes a line."""

    def __init__(self, house: House, client: Client, others: Callable[[], int]) -> None:
        self._house = house
        self._client = client
        self._others = others
        self.lines: dict[int, Line] = {}
        self.streams: dict[int, Stream] = {}
        self._snapshots: dict[int, Handle] = {}
        self.kind = LIVE  # what the client asked for: 1 live, 2 frozen, 3 delayed, 4 delayed and frozen

    def begin(self, request: QuoteRequest) -> None:
        """Take reqMktData."""
        house, client, number_ = self._house, self._client, request.request
        found = house.resolve(request.contract)
        refused: tuple[int, str] | None = None
        delayed = False
        if number_ in self.lines or number_ in self._snapshots:
            refused = (102, "Duplicate ticker ID.")
        elif found is None:
            refused = (200, "No security definition has been found for the request")
        elif len(self.lines) + self._others() >= house.switches.lines:
            refused = (101, "Max number of tickers has been reached")
        elif house.switches.market_data == "refused":
            refused = (354, NOT_SUBSCRIBED)
        elif house.switches.market_data == "unsubscribed":
            refused = (10089, NEEDS_MORE)
        elif house.switches.market_data == "delayed":
            delayed = self.kind >= DELAYED
            refused = None if delayed else (354, NOT_SUBSCRIBED)
        elif house.switches.competing:
            client.error(number_, 10197, COMPETING)
        if refused is not None or found is None:
            client.error(number_, *(refused or (200, "")))
            return
        if delayed:
            client.error(number_, 10167, SHOWN_DELAYED)
        line = Line(house, client, request, found[0].symbol, delayed)
        if not house.switches.competing:
            line.begin()
        if request.snapshot:
            self._snapshots[number_] = house.after(
                house.switches.snapshot_seconds, lambda: self._end_snapshot(number_)
            )
        else:
            self.lines[number_] = line

    def _end_snapshot(self, number_: int) -> None:
        del self._snapshots[number_]
        self._client.send(outgoing.ended(57, number_))

    def cancel(self, number_: int) -> None:
        """Take cancelMktData."""
        line, snapshot = self.lines.pop(number_, None), self._snapshots.pop(number_, None)
        if line is not None:
            line.end()
        elif snapshot is not None:
            snapshot.cancel()
        else:
            self._client.error(number_, 300, f"Can't find EId with tickerId:{number_}")

    def begin_stream(self, request: StreamRequest) -> None:
        """Take reqTickByTickData."""
        house, client, number_ = self._house, self._client, request.request
        found = house.resolve(request.contract)
        if number_ in self.streams:
            client.error(number_, 102, "Duplicate ticker ID.")
        elif found is None:
            client.error(number_, 200, "No security definition has been found for the request")
        elif request.what not in STREAMS:
            client.error(
                number_,
                321,
                f"Error validating request.-'bY' : cause - Incorrect tick type {request.what!r}.",
            )
        elif len(self.streams) >= house.switches.tick_streams:
            client.error(number_, 10190, "Max number of tick-by-tick requests has been reached.")
        elif STREAMS[request.what] <= 2 and not self._has_prints(found[0].symbol):
            client.error(number_, 10189, "Failed to request tick-by-tick data.This recording has bars only.")
        else:
            self.streams[number_] = Stream(house, client, request, found[0].symbol)

    def _has_prints(self, symbol: str) -> bool:
        return self._house.view.has_prints(symbol)

    def cancel_stream(self, number_: int) -> None:
        """Take cancelTickByTickData."""
        stream = self.streams.pop(number_, None)
        if stream is None:
            self._client.error(number_, 300, f"Can't find EId with tickerId:{number_}")
        else:
            stream.end()

    def compete(self, *, on: bool) -> None:
        """Let another session take the data, or give it back."""
        for number_, line in self.lines.items():
            if on:
                self._client.error(number_, 10197, COMPETING)
            else:
                line.end()
                line.begin()

    def end(self) -> None:
        """End everything."""
        for line in self.lines.values():
            line.end()
        for stream in self.streams.values():
            stream.end()
        for handle in self._snapshots.values():
            handle.cancel()
        self.lines.clear()
        self.streams.clear()
        self._snapshots.clear()
