"""The in-process face of the venue: the ``Broker`` port over the exchange, a market and the venue's clock.

Laws: nothing is told inside a call of the host: orders reach the exchange on a later turn of the loop (after ``latency``), bars
and reports come from the pump. One subscription is played once, however many listen. A symbol in which no order lives and nobody
asked for quotes costs one call a bar. Touches are read from the tape when they are needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from tradeshell import (
    Bar,
    Broker,
    BrokerContext,
    BrokerError,
    BrokerInfo,
    DataKind,
    FeedEnded,
    Handle,
    Instrument,
    OrderSpec,
    Price,
    Quote,
    Session,
    Shares,
    Snapshot,
    VenueClock,
)
from tradeshell_paper.calendar import new_york_day, new_york_instant, session_at
from tradeshell_paper.cursors import (
    BarCursor,
    BarTradeCursor,
    EndCursor,
    OnBar,
    PrintCursor,
    TimeCursor,
    TouchCursor,
)
from tradeshell_paper.feed import make_market
from tradeshell_paper.link import OUR_CLIENT, HostLink
from tradeshell_paper.market import MarketData, stock
from tradeshell_paper.matching import Exchange, Reports
from tradeshell_paper.outside import Outside
from tradeshell_paper.pump import Cursor, Pump
from tradeshell_paper.settings import Settings, read_settings
from tradeshell_paper.tape import Tape

OnQuote = Callable[[Quote], None]


class _Subscription:
    """A handle that runs its ending once."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def cancel(self) -> None:
        """End the subscription; twice is harmless."""
        end, self._end = self._end, None
        if end is not None:
            end()


class PaperBroker(Outside):
    """The venue as a broker. ``exchange`` is open to tests and to the other faces of the venue."""

    def __init__(
        self, context: BrokerContext, clock: VenueClock, settings: Settings, market: MarketData
    ) -> None:
        self.exchange = Exchange(settings.rules, settings.witness)
        self._clock = clock
        self._settings = settings
        self._market = market
        self._pump = Pump(clock)
        self.link = HostLink(context.emit, clock, settings, self.exchange, self._pump)
        self._is_over = False
        self._bars: dict[tuple[str, int, bool], BarCursor] = {}
        self._quotes: dict[str, tuple[OnQuote, ...]] = {}
        self._touches: dict[str, TouchCursor] = {}
        self._live: dict[str, list[Cursor]] = {}
        self._time = TimeCursor(self)

    def close(self) -> None:
        """Stop playing."""
        self._pump.close()
        self.link.close()

    # --- who and when -------------------------------------------------------------------------------------------------

    def info(self) -> BrokerInfo:
        """Return who this is."""
        return BrokerInfo(
            name="paper",
            account=self._settings.rules.account,
            paper=True,
            words=f"paper venue · {self._market.words}",
            embedded=True,
        )

    async def connect(self) -> None:
        """Connect and emit ``LinkChanged``."""
        if self.link.connect(self.first_order_id()):
            self._review()

    async def disconnect(self) -> None:
        """Disconnect and emit ``LinkChanged``; orders go on working, unheard."""
        self.link.disconnect()

    async def qualify(self, symbol: str) -> Instrument:
        """Return the contract of a symbol that the market has."""
        instrument = stock(symbol)
        self._market.tape(instrument.symbol)
        self.exchange.list_stock(instrument)
        return instrument

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the trading hours of the day of ``at``; they are the same for every symbol."""
        del symbol
        return session_at(at)

    def first_order_id(self) -> int:
        """Return the lowest order number that was never used here."""
        return max(self._settings.first_order_id, self.exchange.highest_order_id(OUR_CLIENT) + 1)

    # --- market data --------------------------------------------------------------------------------------------------

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: OnBar) -> Handle:
        """Call ``on_bar`` for each bar that closes from now on; raises ``BrokerError`` for bars that cannot be made."""
        key = (symbol, seconds, rth)
        cursor = self._bars.get(key)
        if cursor is None:
            cursor = BarCursor(self._market.tape(symbol), seconds, rth, self._clock.now(), self._pump)
            self._bars[key] = cursor
            self._pump.add(cursor)
        cursor.listeners = (*cursor.listeners, on_bar)
        self._review()
        if self._is_over:
            self._clock.call_soon(lambda: self.link.tell(FeedEnded(at=self._clock.now())))

        def end() -> None:
            left = list(cursor.listeners)
            left.remove(on_bar)  # the first of its kind: the same function may have subscribed twice
            cursor.listeners = tuple(left)
            if not cursor.listeners and self._bars.get(key) is cursor:
                del self._bars[key]
                self._pump.remove(cursor)
            self._review()

        return _Subscription(end)

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return up to ``count`` bars that are closed by now, oldest first."""
        found: list[Bar] = []
        for bars in self._market.tape(symbol).look_back(seconds, count, rth, self._clock.now()):
            found += bars
            await asyncio.sleep(0)  # a generated day of the past takes milliseconds: others have their turn
        return tuple(reversed(found))

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return the touch as it is now; a simulated market has nothing to wait for."""
        del patience
        return self.latest(symbol)

    def latest(self, symbol: str) -> Quote | None:
        """Return the touch as it is now; after the end of a recording the last regular close."""
        try:
            tape = self._market.tape(symbol)
        except BrokerError:
            return None
        mark = tape.mark() if self._is_over else None
        # What the host sees stands still when the link drops.
        seen_at = self.link.dropped_at or self._clock.now()
        found = tape.latest(seen_at) if mark is None else mark
        if found is not None and self.link.recorder is not None:
            self._witness_quote(found)
        return found

    def subscribe_quotes(self, symbol: str, on_quote: OnQuote | None = None) -> Handle:
        """Keep the touch of ``symbol`` (it is always there), and call ``on_quote`` on each change."""
        self._market.tape(symbol)
        if on_quote is None:
            return _Subscription(lambda: None)
        told: Quote | None = None

        def tell(quote: Quote) -> None:
            nonlocal told
            if self._pump.is_up and quote != told:
                told = quote
                self._pump.has_spoken = True
                if self.link.recorder is not None:
                    self._witness_quote(quote)
                on_quote(quote)

        self._quotes[symbol] = (*self._quotes.get(symbol, ()), tell)
        self._review()

        def end() -> None:
            self._quotes[symbol] = tuple(other for other in self._quotes[symbol] if other is not tell)
            self._review()

        return _Subscription(end)

    # --- orders -------------------------------------------------------------------------------------------------------

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order."""
        arrive = self._arrival(lambda now: self.exchange.place(now, order, order_id), order.symbol)
        self.link.send("place", order.ref, arrive)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send an order again with its changed values."""
        arrive = self._arrival(lambda now: self.exchange.modify(now, order, order_id), order.symbol)
        self.link.send("modify", order.ref, arrive)

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask to cancel."""
        arrive = self._arrival(lambda now: self.exchange.cancel(now, order_id, OUR_CLIENT, ref), None)
        self.link.send("cancel", ref, arrive)

    async def snapshot_account(self) -> Snapshot:
        """Return living orders, the executions of the New York day, and positions."""
        return await self.link.snapshot(
            new_york_instant(new_york_day(self._clock.now()), datetime.min.time())
        )

    def _arrival(self, act: Callable[[datetime], Reports], symbol: str | None) -> Callable[[], None]:
        def arrive() -> None:
            now = self._clock.now()
            if symbol is not None:
                self._show_touch(now, symbol)
            self._report(act(now))

        return arrive

    def intervene(self, act: Callable[[Exchange, datetime], Reports]) -> None:
        """Let something happen at the exchange now, with the touches of now in force."""
        now = self._clock.now()
        for symbol in sorted(self.exchange.live_symbols()):
            self._show_touch(now, symbol)
        self._report(act(self.exchange, now))

    # --- what the pump plays ------------------------------------------------------------------------------------------

    def on_open(self, now: datetime, symbol: str, price: Price, seconds: int, volume: Shares) -> None:
        """Match the open of a recorded bar."""
        if self.exchange.is_out_of_reach(symbol, price, price):
            return
        if self.exchange.awaits_touch(symbol):
            self._show_touch(now, symbol)
        reports = self.exchange.open_bar(now, symbol, price, seconds, volume)
        self._report(reports)
        self._show_released(now, symbol, reports)

    def on_range(self, now: datetime, bar: Bar) -> None:
        """Match the range of a recorded bar."""
        if self.exchange.is_out_of_reach(bar.symbol, bar.low, bar.high):
            return
        reports = self.exchange.close_bar(now, bar)
        self._report(reports)
        self._show_released(now, bar.symbol, reports)

    def on_print(self, now: datetime, symbol: str, price: Price, size: Shares) -> None:
        """Match a print."""
        self._show_touch(now, symbol)
        self._report(self.exchange.trade(now, symbol, price, size))

    def on_touch(self, now: datetime, symbol: str) -> None:
        """Show the touch to the exchange and to listeners."""
        if symbol in self._live:
            self._show_touch(now, symbol)
        listeners = self._quotes.get(symbol)
        if listeners:
            quote = self._market.tape(symbol).latest(now)
            if quote is not None:
                for listener in listeners:
                    listener(quote)

    def on_time(self, now: datetime) -> None:
        """Let orders expire, be held and be released; what never met the market meets the touch of this instant."""
        reports = self.exchange.pass_time(now)
        self._report(reports)
        for symbol in sorted(self.exchange.live_symbols()):
            self._show_touch(now, symbol)
        self._set_due(now)

    def on_end(self, now: datetime) -> None:
        """End the recording: what is held is worth the last regular close, and no more data will come."""
        forming = [cursor.at for cursor in self._bars.values() if cursor.at is not None]
        if forming:  # a bar is told at its end, also when its last trade was earlier
            self._pump.add(EndCursor(max(forming), self))
            return
        self._is_over = True
        for symbol, listeners in self._quotes.items():
            mark = self._market.tape(symbol).mark()
            if mark is not None:
                for listener in listeners:
                    listener(mark)
        self.link.tell(FeedEnded(at=now))
        self._review()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _witness_quote(self, quote: Quote) -> None:
        if self.link.recorder is not None:
            halted = quote.kind is DataKind.HALTED
            self.link.recorder.quote_to_host(self._clock.now(), quote, halted=halted)

    def _show_released(self, now: datetime, symbol: str, reports: Reports) -> None:
        """Show the touch of ``now`` to orders that a bar's fills set free."""
        if reports and self.exchange.awaits_touch(symbol):
            self._show_touch(now, symbol)

    def _show_touch(self, now: datetime, symbol: str) -> None:
        """Put the touch of ``now`` in force at the exchange."""
        if not self.exchange.is_listed(symbol):
            return
        tape = self._market.tape(symbol)
        if tape.halts:
            self._report(self.exchange.halt(now, symbol, on=tape.is_halted(now)))
        quote = None if self._is_over else tape.standing(now)
        if quote is None:
            self._report(self.exchange.no_quote(now, symbol))
        else:
            decides, elects = tape.quotes_decide, not tape.all_trades()
            self._report(self.exchange.quote(now, quote, decides=decides, elects=elects))

    def _report(self, reports: Reports) -> None:
        if not reports:
            return
        self.link.report(reports)
        self._pump.has_spoken = True
        self._set_due(self._clock.now())
        self._review()

    def _set_due(self, now: datetime) -> None:
        due, pending = self.exchange.due(now), self._time.at
        if due is not None and pending is not None and pending <= now:
            return  # a bar that ended with its session filled something: the boundary itself is still to come
        if due != self._time.at or self._time.token == 0:
            self._time.at = due
            self._pump.add(self._time)

    def _review(self) -> None:
        """Play what somebody needs, and nothing else."""
        now = self._clock.now()
        live = self.exchange.live_symbols()
        # Sorted: the order in which sets give their texts is another one in each process.
        for symbol in sorted(live - self._live.keys()):
            self._live[symbol] = self._follow(symbol, now)
        for symbol in self._live.keys() - live:
            for cursor in self._live.pop(symbol):
                self._pump.remove(cursor)
        quoted = {symbol for symbol, listeners in self._quotes.items() if listeners}
        # Recorded quotes beside recorded trades fill no resting order: what arrives or is released looks at them itself.
        followed = quoted | {symbol for symbol in live if self._market.tape(symbol).quotes_decide}
        for symbol in sorted(followed - self._touches.keys()):
            self._touches[symbol] = cursor = TouchCursor(self._market.tape(symbol), self, now)
            self._pump.add(cursor)
        for symbol in self._touches.keys() - followed:
            self._pump.remove(self._touches.pop(symbol))
        self._pump.set_active(
            not self._is_over and bool(self._bars or live or quoted or not self.exchange.is_flat())
        )

    def _follow(self, symbol: str, now: datetime) -> list[Cursor]:
        """Return the cursors that show the trades of ``symbol`` to the exchange."""
        tape: Tape = self._market.tape(symbol)
        cursors: list[Cursor] = [BarTradeCursor(tape, bars, self, now) for bars in tape.bars.values()]
        if tape.prints is not None:
            cursors.append(PrintCursor(tape, tape.prints, self, now))
        for cursor in cursors:
            self._pump.add(cursor)
        return cursors

    def start(self) -> None:
        """Set the venue's clock to the market's first instant."""
        self._clock.start_at(self._market.start)
        if self._market.end is not None:
            self._pump.add(EndCursor(self._market.end, self))


@contextmanager
def open_paper(context: BrokerContext) -> Iterator[Broker]:
    """Open the venue: read the settings, make the market, start the clock."""
    clock = context.venue_clock
    if clock is None:
        raise BrokerError("the paper venue runs on a clock of its own, and none was given")
    settings = read_settings(context.settings)
    broker = PaperBroker(context, clock, settings, make_market(context.options, settings))
    broker.start()
    try:
        yield broker
    finally:
        broker.close()
