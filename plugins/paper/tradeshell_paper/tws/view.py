"""What the gateway looks up in a market: past and forming bars, prints, the day so far.

Laws: it answers about the past and the present only; instants are the market's. ``TapeView`` reads the tapes of a market; a venue
whose market is pushed brings a view of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from tradeshell import Bar, BrokerError, Price, Quote, Session, Shares
from tradeshell_paper.calendar import Hours, new_york_day, previous_trading_day, session_on
from tradeshell_paper.market import MarketData
from tradeshell_paper.tape import DAY, bucket_start

TICK = timedelta(microseconds=1)


class Trade(Struct, frozen=True):
    """One print."""

    at: datetime
    price: Price
    size: Shares


class DayStats(Struct, frozen=True):
    """The regular session so far, and the close of the one before; ``None`` where there is none yet."""

    open: Price | None = None
    high: Price | None = None
    low: Price | None = None
    close: Price | None = None
    volume: Shares = 0


class MarketView(Protocol):
    """What a gateway asks of a market."""

    def has(self, symbol: str) -> bool:
        """Return whether there is such a stock."""
        ...

    def past(self, symbol: str, seconds: int, rth: bool, until: datetime, count: int) -> Iterator[list[Bar]]:
        """Yield closed bars that end by ``until``, newest first, in lists that cost little each; raises ``BrokerError``."""
        ...

    def forming(self, symbol: str, seconds: int, rth: bool, now: datetime) -> Bar | None:
        """Return the bar of ``seconds`` that lasts, as far as it has traded; ``None`` when nothing is known of it."""
        ...

    def last(self, symbol: str, now: datetime) -> Trade | None:
        """Return the newest print, also of an earlier day."""
        ...

    def prints(self, symbol: str, first: datetime, after: datetime) -> list[Trade]:
        """Return the prints in ``[first, after)``; of a recording of bars none."""
        ...

    def has_prints(self, symbol: str) -> bool:
        """Return whether single trades are known, and not bars only."""
        ...

    def touches(self, symbol: str, first: datetime, after: datetime) -> list[Quote]:
        """Return the touches that came into force in ``[first, after)``."""
        ...

    def day(self, symbol: str, now: datetime) -> DayStats:
        """Return the day so far."""
        ...

    def begin(self, symbol: str) -> datetime:
        """Return since when there is data."""
        ...


class TapeView:
    """The view of a market of tapes."""

    def __init__(self, market: MarketData) -> None:
        self._market = market
        self._hours = Hours()
        self._closes: dict[tuple[str, str], Price | None] = {}

    def has(self, symbol: str) -> bool:
        """Return whether there is such a stock."""
        try:
            self._market.tape(symbol)
        except BrokerError:
            return False
        return True

    def past(self, symbol: str, seconds: int, rth: bool, until: datetime, count: int) -> Iterator[list[Bar]]:
        """Yield closed bars that end by ``until``, newest first."""
        if seconds <= DAY:
            yield from self._market.tape(symbol).look_back(seconds, count, rth, until)
            return
        days = seconds // DAY
        found: list[Bar] = []
        for bars in self._market.tape(symbol).look_back(DAY, count * days, rth, until):
            found += bars
            yield []
        yield _in_longer(found, seconds, monthly=days >= 28)[:count]

    def forming(self, symbol: str, seconds: int, rth: bool, now: datetime) -> Bar | None:
        """Return the bar that lasts, made of what has traded in it."""
        tape = self._market.tape(symbol)
        seconds = min(seconds, DAY)
        finest = tape.all_trades()
        if not finest:
            return None
        start = bucket_start(now, seconds, self._hours)
        first_at = start
        if rth:
            session = self._hours.session(now)
            if session is None or not session.is_regular(now):
                return None
            first_at = max(start, session.open)
        trades = finest[0]
        first, after = trades.find(first_at), trades.find(now + TICK)
        if trades.seconds and after > first:
            # Of the recorded bar that lasts only the open has happened.
            lasts = trades.start(after - 1) + timedelta(seconds=trades.seconds) > now
            if lasts:
                price = trades.open(after - 1)
                begun = Bar(symbol, start, seconds, price, price, price, price, 0)
                if after - 1 == first:
                    return begun
                before = trades.merge(first, after - 1, start, seconds)
                return Bar(
                    symbol,
                    start,
                    seconds,
                    before.open,
                    max(before.high, price),
                    min(before.low, price),
                    price,
                    before.volume,
                )
        return trades.merge(first, after, start, seconds) if after > first else None

    def last(self, symbol: str, now: datetime) -> Trade | None:
        """Return the newest print."""
        tape = self._market.tape(symbol)
        for trades in tape.all_trades():
            row = trades.find(now + TICK) - 1
            if row >= 0:
                start = trades.start(row)
                if trades.seconds and start + timedelta(seconds=trades.seconds) > now:
                    return Trade(start, trades.open(row), 0)
                return Trade(start, trades.close(row), trades.volume(row))
        return None

    def prints(self, symbol: str, first: datetime, after: datetime) -> list[Trade]:
        """Return prints."""
        known = self._market.tape(symbol).prints
        if known is None:
            return []
        rows = range(known.find(first), known.find(after))
        return [Trade(known.start(row), known.prices[row], known.sizes[row]) for row in rows]

    def has_prints(self, symbol: str) -> bool:
        """Return whether single trades are known."""
        return self._market.tape(symbol).prints is not None

    def touches(self, symbol: str, first: datetime, after: datetime) -> list[Quote]:
        """Return touches."""
        tape = self._market.tape(symbol)
        found = []
        at = tape.next_touch(first - TICK)
        while at is not None and at < after:
            quote = tape.latest(at)
            if quote is not None:
                found.append(quote)
            at = tape.next_touch(at)
        return found

    def day(self, symbol: str, now: datetime) -> DayStats:
        """Return the day so far."""
        so_far = self.forming(symbol, DAY, True, now)
        session = self._hours.session(now)
        if so_far is None and session is not None and now >= session.close:
            so_far = self.forming(symbol, DAY, True, session.close - TICK)
        close = self._close_before(symbol, now)
        if so_far is None:
            return DayStats(close=close)
        return DayStats(so_far.open, so_far.high, so_far.low, close, so_far.volume)

    def begin(self, symbol: str) -> datetime:
        """Return since when there is data; of a generated market without counting its history."""
        firsts = [trades.start(0) for trades in self._market.tape(symbol).all_trades() if len(trades)]
        return min(firsts, default=self._market.start)

    def _close_before(self, symbol: str, now: datetime) -> Price | None:
        key = (symbol, new_york_day(now).isoformat())
        if key not in self._closes:
            midnight = self._hours.day_start(now)
            chunks = self._market.tape(symbol).look_back(DAY, 1, True, midnight)
            try:
                self._closes[key] = next((bar.close for bars in chunks for bar in bars), None)
            except BrokerError:  # a recording of quotes alone
                self._closes[key] = None
        return self._closes[key]


def _in_longer(days: list[Bar], seconds: int, *, monthly: bool) -> list[Bar]:
    """Return days, newest first, as weeks or months, newest first."""
    groups: dict[tuple[int, int], list[Bar]] = {}
    for bar in reversed(days):
        day = new_york_day(bar.start)
        key = (day.year, day.month) if monthly else day.isocalendar()[:2]
        groups.setdefault(key, []).append(bar)
    longer = [
        Bar(
            group[0].symbol,
            group[0].start,
            seconds,
            group[0].open,
            max(bar.high for bar in group),
            min(bar.low for bar in group),
            group[-1].close,
            sum(bar.volume for bar in group),
        )
        for group in groups.values()
    ]
    return longer[::-1]


def midpoint(quote: Quote) -> Decimal | None:
    """Return the middle of a touch that has two sides."""
    if quote.bid is None or quote.ask is None:
        return None
    return (quote.bid + quote.ask) / 2


def sessions_back(until: datetime, days: int) -> list[Session]:
    """Return the last ``days`` trading days up to the New York day of ``until``, oldest first."""
    day = new_york_day(until)
    found: list[Session] = []
    while len(found) < days:
        session = session_on(day)
        if session is not None and session.extended_open <= until:
            found.append(session)
        day = previous_trading_day(day)
    return found[::-1]
