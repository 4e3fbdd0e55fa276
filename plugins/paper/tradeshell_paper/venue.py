"""The venue: an exchange, a market and a clock that bring one to the other. The faces of the venue stand on it.

Laws: nothing is told inside a call: bars and reports come from the pump. One subscription is played once, however many listen. A
symbol in which no order lives and nobody asked for quotes costs one call a bar. Touches are read from the tape when they are
needed. Who hears of what is the face's business: it implements ``hear``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime

from tradeshell import Bar, BrokerError, Handle, Instrument, Price, Quote, Session, Shares, VenueClock
from tradeshell_paper.calendar import session_at
from tradeshell_paper.cursors import (
    BarCursor,
    BarTradeCursor,
    EndCursor,
    OnBar,
    PrintCursor,
    TimeCursor,
    TouchCursor,
)
from tradeshell_paper.market import MarketData, stock
from tradeshell_paper.matching import Exchange, Reports
from tradeshell_paper.pump import Cursor, Pump
from tradeshell_paper.settings import Rules
from tradeshell_paper.tape import Tape
from tradeshell_paper.witness import Witness

OnQuote = Callable[[Quote], None]


class Subscription:
    """A handle that runs its ending once."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def cancel(self) -> None:
        """End the subscription; twice is harmless."""
        end, self._end = self._end, None
        if end is not None:
            end()


class Venue(ABC):
    """The venue without a face. ``exchange`` is open to tests and to the faces."""

    def __init__(
        self, clock: VenueClock, market: MarketData, rules: Rules, witness: Witness | None = None
    ) -> None:
        self.exchange = Exchange(rules, witness)
        self._clock = clock
        self._market = market
        self._pump = Pump(clock)
        self._is_over = False
        self._bars: dict[tuple[str, int, bool], BarCursor] = {}
        self._quotes: dict[str, tuple[OnQuote, ...]] = {}
        self._touches: dict[str, TouchCursor] = {}
        self._live: dict[str, list[Cursor]] = {}
        self._time = TimeCursor(self)

    # --- what a face hears --------------------------------------------------------------------------------------------

    @abstractmethod
    def hear(self, reports: Reports) -> None:
        """Take what the exchange says; never empty."""

    @abstractmethod
    def hear_end(self, now: datetime) -> None:
        """Take that no more market data will come."""

    def seen_at(self) -> datetime:
        """Return the instant whose touch a looker sees: now, for who is connected."""
        return self._clock.now()

    def show_quote(self, quote: Quote) -> None:
        """Take that a looker is shown a touch; nobody asks to know."""
        del quote

    # --- what may be looked at ----------------------------------------------------------------------------------------

    def instrument(self, symbol: str) -> Instrument:
        """Return the contract of a symbol that the market has, listed; raises ``BrokerError``."""
        instrument = stock(symbol)
        self._market.tape(instrument.symbol)
        self.exchange.list_stock(instrument)
        return instrument

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the trading hours of the day of ``at``; they are the same for every symbol."""
        del symbol
        return session_at(at)

    def latest(self, symbol: str) -> Quote | None:
        """Return the touch as it is now; after the end of a recording the last regular close."""
        try:
            tape = self._market.tape(symbol)
        except BrokerError:
            return None
        mark = tape.mark() if self._is_over else None
        found = tape.latest(self.seen_at()) if mark is None else mark
        if found is not None:
            self.show_quote(found)
        return found

    # --- what may be subscribed to ------------------------------------------------------------------------------------

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
            self._clock.call_soon(lambda: self.hear_end(self._clock.now()))

        def end() -> None:
            left = list(cursor.listeners)
            left.remove(on_bar)  # the first of its kind: the same function may have subscribed twice
            cursor.listeners = tuple(left)
            if not cursor.listeners and self._bars.get(key) is cursor:
                del self._bars[key]
                self._pump.remove(cursor)
            self._review()

        return Subscription(end)

    def subscribe_quotes(self, symbol: str, on_quote: OnQuote | None = None) -> Handle:
        """Keep the touch of ``symbol`` (it is always there), and call ``on_quote`` on each change."""
        self._market.tape(symbol)
        if on_quote is None:
            return Subscription(lambda: None)
        told: Quote | None = None

        def tell(quote: Quote) -> None:
            nonlocal told
            if self._pump.is_up and quote != told:
                told = quote
                self._pump.has_spoken = True
                self.show_quote(quote)
                on_quote(quote)

        return self.follow(symbol, tell)

    def follow(self, symbol: str, on_quote: OnQuote) -> Handle:
        """Call ``on_quote`` whenever the touch may have changed or something traded."""

        def tell(quote: Quote) -> None:  # a function of its own: the same one may follow twice
            on_quote(quote)

        self._quotes[symbol] = (*self._quotes.get(symbol, ()), tell)
        self._review()

        def end() -> None:
            self._quotes[symbol] = tuple(other for other in self._quotes[symbol] if other is not tell)
            self._review()

        return Subscription(end)

    # --- what happens at the exchange ---------------------------------------------------------------------------------

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
        self.hear_end(now)
        self._review()

    # --- inside -------------------------------------------------------------------------------------------------------

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
        self.hear(reports)
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
        self.play_to_end()

    def play_to_end(self) -> None:
        """Let a recorded market end at its last row; the clock has been set by somebody."""
        if self._market.end is not None:
            self._pump.add(EndCursor(self._market.end, self))
