"""Market data of one symbol in rows: bars, prints, touches, each in time order.

Laws: rows are never changed, only appended; prices are ``Decimal``, shared between rows; times are kept as whole milliseconds
since the epoch, UTC, and handed out as aware ``datetime``. Columns of references take a tenth of the memory of objects.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Protocol

from tradeshell import Bar, Price, Shares

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
_START = attrgetter("start")


def to_ms(at: datetime) -> int:
    """Return whole milliseconds since the epoch, rounded down."""
    return (at - EPOCH) // MILLISECOND


def from_ms(ms: int) -> datetime:
    """Return the instant of ``ms`` milliseconds since the epoch."""
    return EPOCH + timedelta(milliseconds=ms)


def _ceil_ms(at: datetime) -> int:
    return -((EPOCH - at) // MILLISECOND)


class Span:
    """The instants a file covers: ``[first, last)``."""

    __slots__ = ("first", "last")

    def __init__(self, first: datetime, last: datetime) -> None:
        self.first = first
        self.last = last

    def overlaps(self, start: datetime, end: datetime) -> bool:
        """Return whether ``[start, end)`` has an instant in common."""
        return start < self.last and end > self.first


class Trades(Protocol):
    """What traded, finest first: prints (``seconds`` 0) or bars of ``seconds``."""

    symbol: str
    seconds: int
    finer: list[Span]  # where finer trades of the same symbol decide fills

    def __len__(self) -> int:
        """Return the number of rows."""
        ...

    def start(self, row: int) -> datetime:
        """Return when a row begins."""
        ...

    def find(self, at: datetime) -> int:
        """Return the first row that begins at or after ``at``."""
        ...

    def open(self, row: int) -> Price:
        """Return the first price of a row."""
        ...

    def close(self, row: int) -> Price:
        """Return the last price of a row."""
        ...

    def volume(self, row: int) -> Shares:
        """Return the shares of a row."""
        ...

    def merge(self, first: int, after: int, start: datetime, seconds: int) -> Bar:
        """Return rows ``first`` to ``after`` (exclusive) as one bar."""
        ...


def covering(trades: Trades, row: int) -> Span | None:
    """Return where finer trades decide fills instead of a row; ``None``: the row decides."""
    if not trades.finer:
        return None
    start = trades.start(row)
    end = start + (timedelta(seconds=trades.seconds) or MILLISECOND)
    return next((span for span in trades.finer if span.overlaps(start, end)), None)


def deciding(trades: Trades, row: int) -> int:
    """Return the first row from ``row`` on that decides fills, behind the last one when there is none."""
    while row < len(trades):
        span = covering(trades, row)
        if span is None:
            break
        row = max(row + 1, trades.find(span.last))
    return row


class Bars(Trades, Protocol):
    """Trades in bars."""

    def bar(self, row: int) -> Bar:
        """Return one bar."""
        ...


class BarColumns:
    """Bars as columns, made into objects one at a time."""

    def __init__(self, symbol: str, seconds: int) -> None:
        self.symbol = symbol
        self.seconds = seconds
        self.finer: list[Span] = []
        self.ms = array("q")
        self.opens: list[Price] = []
        self.highs: list[Price] = []
        self.lows: list[Price] = []
        self.closes: list[Price] = []
        self.volumes = array("q")

    def extend(self, more: BarColumns) -> None:
        """Append the rows of ``more``, which begin after the last one here."""
        self.ms += more.ms
        self.opens += more.opens
        self.highs += more.highs
        self.lows += more.lows
        self.closes += more.closes
        self.volumes += more.volumes

    def append(self, bar: Bar) -> None:
        """Append one bar."""
        self.ms.append(to_ms(bar.start))
        self.opens.append(bar.open)
        self.highs.append(bar.high)
        self.lows.append(bar.low)
        self.closes.append(bar.close)
        self.volumes.append(bar.volume)

    def __len__(self) -> int:
        return len(self.ms)

    def start(self, row: int) -> datetime:
        """Return when a bar begins."""
        return from_ms(self.ms[row])

    def find(self, at: datetime) -> int:
        """Return the first bar that begins at or after ``at``."""
        return bisect_left(self.ms, _ceil_ms(at))

    def open(self, row: int) -> Price:
        """Return a bar's open."""
        return self.opens[row]

    def close(self, row: int) -> Price:
        """Return a bar's close."""
        return self.closes[row]

    def volume(self, row: int) -> Shares:
        """Return a bar's volume."""
        return self.volumes[row]

    def bar(self, row: int) -> Bar:
        """Return one bar."""
        return Bar(
            self.symbol,
            EPOCH + timedelta(milliseconds=self.ms[row]),
            self.seconds,
            self.opens[row],
            self.highs[row],
            self.lows[row],
            self.closes[row],
            self.volumes[row],
        )

    def merge(self, first: int, after: int, start: datetime, seconds: int) -> Bar:
        """Return several bars as one."""
        return Bar(
            self.symbol,
            start,
            seconds,
            self.opens[first],
            max(self.highs[first:after]),
            min(self.lows[first:after]),
            self.closes[after - 1],
            sum(self.volumes[first:after]),
        )


class BarList:
    """Bars that exist already: shared, never copied."""

    def __init__(self, bars: Sequence[Bar]) -> None:
        self.symbol = bars[0].symbol
        self.seconds = bars[0].seconds
        self.finer: list[Span] = []
        self._bars = bars
        self.bar = bars.__getitem__

    def __len__(self) -> int:
        return len(self._bars)

    def start(self, row: int) -> datetime:
        """Return when a bar begins."""
        return self._bars[row].start

    def find(self, at: datetime) -> int:
        """Return the first bar that begins at or after ``at``."""
        return bisect_left(self._bars, at, key=_START)

    def open(self, row: int) -> Price:
        """Return a bar's open."""
        return self._bars[row].open

    def close(self, row: int) -> Price:
        """Return a bar's close."""
        return self._bars[row].close

    def volume(self, row: int) -> Shares:
        """Return a bar's volume."""
        return self._bars[row].volume

    def merge(self, first: int, after: int, start: datetime, seconds: int) -> Bar:
        """Return several bars as one."""
        bars = self._bars[first:after]
        return Bar(
            self.symbol,
            start,
            seconds,
            bars[0].open,
            max(bar.high for bar in bars),
            min(bar.low for bar in bars),
            bars[-1].close,
            sum(bar.volume for bar in bars),
        )


class Prints:
    """Single trades; several may share one instant."""

    seconds = 0

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.finer: list[Span] = []
        self.ms = array("q")
        self.prices: list[Price] = []
        self.sizes = array("q")

    def extend(self, more: Prints) -> None:
        """Append later prints."""
        self.ms += more.ms
        self.prices += more.prices
        self.sizes += more.sizes

    def append(self, at: datetime, price: Price, size: Shares) -> None:
        """Append one print."""
        self.ms.append(to_ms(at))
        self.prices.append(price)
        self.sizes.append(size)

    def __len__(self) -> int:
        return len(self.ms)

    def start(self, row: int) -> datetime:
        """Return the instant of a print."""
        return from_ms(self.ms[row])

    def find(self, at: datetime) -> int:
        """Return the first print at or after ``at``."""
        return bisect_left(self.ms, _ceil_ms(at))

    def open(self, row: int) -> Price:
        """Return the price of a print."""
        return self.prices[row]

    def close(self, row: int) -> Price:
        """Return the price of a print."""
        return self.prices[row]

    def volume(self, row: int) -> Shares:
        """Return the size of a print."""
        return self.sizes[row]

    def merge(self, first: int, after: int, start: datetime, seconds: int) -> Bar:
        """Return several prints as one bar."""
        prices = self.prices[first:after]
        return Bar(
            self.symbol,
            start,
            seconds,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(self.sizes[first:after]),
        )


class Touches:
    """The touch as it changes: each row is in force until the next one."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.ms = array("q")
        self.bids: list[Price | None] = []
        self.asks: list[Price | None] = []
        self.bid_sizes = array("q")
        self.ask_sizes = array("q")

    def append(
        self, ms: int, bid: Price | None, ask: Price | None, bid_size: Shares, ask_size: Shares
    ) -> None:
        """Append the touch that is in force from ``ms``; at an instant that is there already the later one counts."""
        if self.ms and self.ms[-1] == ms:
            self.bids[-1], self.asks[-1] = bid, ask
            self.bid_sizes[-1], self.ask_sizes[-1] = bid_size, ask_size
            return
        self.ms.append(ms)
        self.bids.append(bid)
        self.asks.append(ask)
        self.bid_sizes.append(bid_size)
        self.ask_sizes.append(ask_size)

    def extend(self, more: Touches, rows: Iterable[int] | None = None) -> None:
        """Append later touches, all or only ``rows`` of them."""
        if rows is None:
            self.ms += more.ms
            self.bids += more.bids
            self.asks += more.asks
            self.bid_sizes += more.bid_sizes
            self.ask_sizes += more.ask_sizes
            return
        for row in rows:
            self.append(
                more.ms[row], more.bids[row], more.asks[row], more.bid_sizes[row], more.ask_sizes[row]
            )

    def __len__(self) -> int:
        return len(self.ms)
