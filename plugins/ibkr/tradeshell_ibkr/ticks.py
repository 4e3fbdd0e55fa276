"""Live bars of a second, made here: IBKR has none that are live.

Laws: trades come tick by tick for the few symbols that IBKR allows (5 % of the market data lines), else from the trades that the
quote line tells (a snapshot four times a second: volume is right, a price inside a snapshot may be missed). A trade is put
into the second that the exchange stamped on it. Reported trades only; delayed ones never.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

from tradeshell import Bar, Handle
from tradeshell_ibkr.bars import instant, is_price, read_price, read_shares
from tradeshell_ibkr.seconds import Seconds
from tradeshell_ibkr.source import BUSTED, TICK_PAUSE, Lengths, Room, Source

OnBar = Callable[[Bar], None]
TRADES = "233"  # the generic tick that adds trades to a quote line
TRADE_WORDS = frozenset({"48", "77"})  # tickString: price;size;time in ms;volume;average;single
LAST, LAST_SIZE = "4", "5"
UNREPORTED = 2  # of a tick's attributes
NO_TICKS = frozenset({10189, 10190, 10186, 10187, 101})


class SecondStream(Source):
    """Bars of one second of one symbol."""

    def __init__(self, symbol: str, room: Room) -> None:
        super().__init__(symbol, room)
        self._listeners: tuple[tuple[bool, OnBar], ...] = ()
        self._seconds = Seconds(symbol, 0)
        self._ticks: int | None = None
        self._quotes: int | None = None
        self._has_words = False  # trades come with their time
        self._timer: Handle | None = None
        self._later: Handle | None = None

    def add(self, rth: bool, on_bar: OnBar) -> None:
        """Hand bars that end after now to ``on_bar``."""
        if not self._listeners:
            self._seconds = Seconds(self.symbol, self._link.clock.now().timestamp())
        self._listeners = (*self._listeners, (rth, on_bar))
        if self._link.is_served and (not self.is_asked or self.must_be_renewed()):
            self.start()

    def remove(self, rth: bool, on_bar: OnBar) -> bool:
        """Remove a listener; return whether nobody is left."""
        left = list(self._listeners)
        left.remove((rth, on_bar))
        self._listeners = tuple(left)
        if not left:
            self.stop()
        return not left

    def lengths(self) -> Lengths:
        """Return which bars are made here."""
        return tuple(sorted({(1, rth) for rth, _ in self._listeners}))

    @property
    def is_asked(self) -> bool:
        """Whether the broker was asked, or will be after the pause between two requests."""
        return self._ticks is not None or self._quotes is not None or self._later is not None

    def start(self) -> None:
        """Ask for trades."""
        self.stop()
        now = self._link.clock.now()
        self._asked_at, self._is_dead = now, False
        before = self._budget.ticked_at.get(self.symbol)
        again = None if before is None else before + timedelta(seconds=TICK_PAUSE)
        if self._budget.ticking >= self._budget.tick_lines:
            self._fall_back()
        elif again is not None and again > now:
            self._later = self._link.clock.call_at(again, self._start_later)
        else:
            self._budget.ticking += 1
            self._budget.ticked_at[self.symbol] = now
            self._ticks = self._request(
                self._on_trade, self._tick_error, "reqTickByTickData", "Last", 0, False
            )

    def stop(self) -> None:
        """End the requests."""
        ticks, quotes = self._ticks, self._quotes
        self._forget()
        if ticks is not None:
            self._cancel("cancelTickByTickData", ticks)
        if quotes is not None:
            self._cancel("cancelMktData", quotes)

    def lose(self) -> None:
        """Forget the requests; a new connection has no pause between two."""
        for req_id in (self._ticks, self._quotes):
            if req_id is not None:
                self._drop(req_id)
        self._forget()
        self._budget.ticked_at.pop(self.symbol, None)

    def close(self) -> None:
        """End what runs by the clock."""
        self._forget()

    def _forget(self) -> None:
        if self._ticks is not None:
            self._budget.ticking -= 1
        self._ticks = self._quotes = None
        self._give_line()
        for timer in (self._timer, self._later):
            if timer is not None:
                timer.cancel()
        self._timer = self._later = None

    def _start_later(self) -> None:
        self._later = None
        if self._link.is_served:
            self.start()

    def _fall_back(self) -> None:
        """Take trades from a quote line."""
        if not self._take_line():
            self._fail(101, f"all {self._budget.lines} market data lines are in use")
            return
        self._has_words = False
        self._quotes = self._request(
            self._on_quote_line, self._line_error, "reqMktData", TRADES, False, False, []
        )

    # --- messages -----------------------------------------------------------------------------------------------------

    def _on_trade(self, fields: list[str]) -> None:
        """Take a ``tickByTick``: number, type, second, price, size, attributes, exchange, conditions."""
        now = self._hear().timestamp()
        if fields[2] in {"1", "2"} and not int(fields[6] or 0) & UNREPORTED:
            self._trade(int(fields[3]), read_price(fields[4]), fields[5], now)

    def _on_quote_line(self, fields: list[str]) -> None:
        """Take a tick of a quote line: only those about trades matter."""
        now = self._hear().timestamp()
        if fields[0] == "46" and fields[3] in TRADE_WORDS:
            words = fields[4].split(";")
            if words[0] and words[2]:
                self._has_words = True
                self._trade(int(words[2]) // 1000, read_price(words[0]), words[1], now)
        elif fields[0] == "1" and fields[3] == LAST and not self._has_words and fields[5] not in {"", "0"}:
            # A server without trade words: the second in which it came is what is known of its time.
            self._trade(int(now), read_price(fields[4]), fields[5], now)

    def _trade(self, second: int, price: Decimal, size: str, now: float) -> None:
        if not is_price(price) or price <= 0:
            raise ValueError(f"a trade at {price}")
        closed = self._seconds.trade(second, price, read_shares(size), now)
        if closed is not None:
            self._hand_on(closed)
        if self._timer is None:
            self._watch_end(now)

    def _watch_end(self, now: float) -> None:
        due, second = self._seconds.due(now), self._seconds.second
        if due is not None:
            self._timer = self._link.clock.call_at(instant(due), lambda: self._end_is_due(second))

    def _end_is_due(self, second: int) -> None:
        self._timer = None
        now = self._link.clock.now().timestamp()
        if self._seconds.second != second and (self._seconds.due(now) or now) > now + 0.001:
            self._watch_end(now)
            return
        closed = self._seconds.close()
        if closed is not None:
            self._hand_on(closed)

    def _hand_on(self, bar: Bar) -> None:
        regular: bool | None = None
        for rth, on_bar in self._listeners:
            if rth and regular is None:
                session = self._room.contracts.session(self.symbol, bar.start)
                regular = session is not None and session.is_regular(bar.start)
            if not rth or regular:
                on_bar(bar)

    # --- errors -------------------------------------------------------------------------------------------------------

    def _tick_error(self, code: int, text: str) -> None:
        if code in NO_TICKS and self._ticks is not None:
            self._drop(self._ticks)
            self._ticks = None
            self._budget.ticking -= 1
            self._fall_back()
        else:
            self._line_error(code, text)

    def _line_error(self, code: int, text: str) -> None:
        if code == BUSTED:
            self.start()
        else:
            self._fail(code, text)
