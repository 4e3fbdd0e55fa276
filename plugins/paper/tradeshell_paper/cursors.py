"""What plays along a tape: closed bars to listeners, trades and touches to the exchange.

Laws: a cursor knows its next instant before it speaks about the present one, so that a listener may end it; it reads rows, it
never copies them. A bar goes to its listeners at its end; a bar that closed at or before the start of a subscription does not.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tradeshell import Bar, Price, Shares
from tradeshell_paper.calendar import Hours
from tradeshell_paper.pump import Phase
from tradeshell_paper.series import Bars, Prints, Trades, deciding
from tradeshell_paper.tape import Tape, bucket_start
from tradeshell_paper.tickets import ARRIVAL_PART

OnBar = Callable[[Bar], None]
ALWAYS_ASK = datetime.min.replace(tzinfo=UTC)  # no bar is known to be regular


class Link(Protocol):
    """Whether the host is connected, and whether it was told something that it may answer at this instant."""

    is_up: bool
    has_spoken: bool


class BarCursor:
    """Closed bars of one (symbol, length, hours) to everyone who listens. Nothing is told while the link is down."""

    phase = Phase.CLOSED

    def __init__(self, tape: Tape, seconds: int, rth: bool, after: datetime, link: Link) -> None:
        self.token = 0
        self.at: datetime | None = None
        self.listeners: tuple[OnBar, ...] = ()
        self._link = link
        self._tape = tape
        self._seconds = seconds
        self._length = timedelta(seconds=seconds)
        self._rth = rth
        self._hours = Hours()
        self._regular_until = ALWAYS_ASK
        self._trades = tape.source(seconds)
        exact = tape.bars.get(seconds)
        self._bar_at: Callable[[int], Bar] | None = None if exact is None else exact.bar
        self._bar: Bar
        self._row = self._first_row(after)
        self._prepare()

    def play(self, now: datetime) -> None:
        """Hand the bar that has just closed to its listeners."""
        del now
        bar = self._bar
        if self._bar_at is None:
            self._prepare()
        else:  # the same as _prepare, for the many
            row = self._row
            try:
                following = self._bar_at(row)
            except IndexError:
                self._prepare()
            else:
                if self._rth and following.start >= self._regular_until:
                    self._prepare()
                else:
                    self._bar = following
                    self._row = row + 1
                    self.at = following.start + self._length
        link = self._link
        if link.is_up:
            link.has_spoken = True
            for listener in self.listeners:
                listener(bar)

    def _first_row(self, after: datetime) -> int:
        start = bucket_start(after, self._seconds, self._hours)
        return self._trades.find(start if start + self._length > after else start + self._length)

    def _prepare(self) -> None:
        """Set the next bar and when it closes."""
        while self._row >= len(self._trades) or not self._take_next():
            if self._row >= len(self._trades) and not self._tape.grow():
                self.at = None
                return

    def _take_next(self) -> bool:
        """Take the bar at the row if it is wanted, and step behind it."""
        if self._bar_at is None:
            return self._take_merged()
        bar = self._bar_at(self._row)
        self._row += 1
        if self._rth and bar.start >= self._regular_until and not self._is_regular(bar.start):
            return False
        self._bar = bar
        self.at = bar.start + self._length
        return True

    def _take_merged(self) -> bool:
        trades = self._trades
        start = bucket_start(trades.start(self._row), self._seconds, self._hours)
        bar = self._tape.bar_from(trades, self._row, start, self._seconds, self._rth)
        self._row = trades.find(start + self._length)
        if bar is None:
            return False
        self._bar = bar
        self.at = start + self._length
        return True

    def _is_regular(self, start: datetime) -> bool:
        session = self._hours.session(start)
        if session is None or not session.is_regular(start):
            return False
        self._regular_until = session.close  # bars come in order: up to the close there is nothing to ask
        return True


class Market(Protocol):
    """Who is told what trades: the venue, for the exchange."""

    def on_open(self, now: datetime, symbol: str, price: Price, seconds: int, volume: Shares) -> None:
        """A recorded bar of ``seconds`` begins with a trade at ``price``."""
        ...

    def on_range(self, now: datetime, bar: Bar) -> None:
        """A recorded bar has ended."""
        ...

    def on_print(self, now: datetime, symbol: str, price: Price, size: Shares) -> None:
        """A trade happened."""
        ...

    def on_touch(self, now: datetime, symbol: str) -> None:
        """The touch may have changed."""
        ...

    def on_time(self, now: datetime) -> None:
        """An order may have expired, or its hours begun or ended."""
        ...

    def on_end(self, now: datetime) -> None:
        """The recording is used up."""
        ...


class BarTradeCursor:
    """Recorded bars to the exchange: the open when a bar begins, its range when it has ended."""

    def __init__(self, tape: Tape, bars: Bars, market: Market, after: datetime) -> None:
        self.token = 0
        self.phase = Phase.TRADE
        self._tape = tape
        self._bars = bars
        self._market = market
        self._length = timedelta(seconds=bars.seconds)
        # A bar that has just begun counts for orders that answer the close of the one before.
        self._row, begins = next_deciding(tape, bars, bars.find(after - self._length / ARRIVAL_PART))
        self.at: datetime | None = begins
        if begins is not None and begins < after:
            self._await_end()

    def play(self, now: datetime) -> None:
        """Tell an open or a range."""
        row = self._row
        if self.phase is Phase.TRADE:
            self._await_end()
            bars = self._bars
            self._market.on_open(now, bars.symbol, bars.open(row), bars.seconds, bars.volume(row))
            return
        self._row += 1
        self._seek()
        self._market.on_range(now, self._bars.bar(row))

    def _await_end(self) -> None:
        self.phase = Phase.RANGE
        self.at = self._bars.start(self._row) + self._length

    def _seek(self) -> None:
        self.phase = Phase.TRADE
        self._row, self.at = next_deciding(self._tape, self._bars, self._row)


class PrintCursor:
    """Single trades to the exchange."""

    phase = Phase.TRADE

    def __init__(self, tape: Tape, prints: Prints, market: Market, after: datetime) -> None:
        self.token = 0
        self._tape = tape
        self._prints = prints
        self._market = market
        self._row, self.at = next_deciding(tape, prints, prints.find(after))

    def play(self, now: datetime) -> None:
        """Tell one print."""
        row, prints = self._row, self._prints
        self._row, self.at = next_deciding(self._tape, prints, row + 1)
        self._market.on_print(now, prints.symbol, prints.prices[row], prints.sizes[row])


def next_deciding(tape: Tape, trades: Trades, row: int) -> tuple[int, datetime | None]:
    """Return the first row from ``row`` on that decides fills, and when it begins."""
    while True:
        if trades.finer:
            row = deciding(trades, row)
        if row < len(trades):
            return row, trades.start(row)
        if not tape.grow():
            return row, None


class TouchCursor:
    """Each change of the touch, to the exchange and to listeners."""

    phase = Phase.TOUCH

    def __init__(self, tape: Tape, market: Market, after: datetime) -> None:
        self.token = 0
        self._tape = tape
        self._market = market
        # What is in force already was told when the listener or the order came.
        self.at = tape.next_touch(after)

    def play(self, now: datetime) -> None:
        """Tell that the touch may have changed."""
        self.at = self._tape.next_touch(now)
        self._market.on_touch(now, self._tape.symbol)


class TimeCursor:
    """The instants at which time alone changes an order."""

    phase = Phase.TIME

    def __init__(self, market: Market) -> None:
        self.token = 0
        self.at: datetime | None = None
        self._market = market

    def play(self, now: datetime) -> None:
        """Tell the exchange that time has passed; the venue sets the next instant."""
        self.at = None
        self._market.on_time(now)


class EndCursor:
    """The end of a recording."""

    phase = Phase.END

    def __init__(self, end: datetime, market: Market) -> None:
        self.token = 0
        self.at: datetime | None = end
        self._market = market

    def play(self, now: datetime) -> None:
        """Tell it, once."""
        self.at = None
        self._market.on_end(now)
