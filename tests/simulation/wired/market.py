"""The market of one schedule as a gateway looks it up: past and forming bars, prints, the day.

Laws: everything is made from the prints of the path, on the grid of whole seconds that the protocol's bars have.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.simulation.path import SECOND, Path
from tests.simulation.schedule import Schedule

from tradeshell.core.market import Bar, Quote
from tradeshell_paper.tws.view import DayStats, Trade


class _Prints:
    """The prints of one symbol, in order."""

    def __init__(self, path: Path) -> None:
        found = sorted((move.at, move.a, move.size) for move in path.moves if move.kind == "print")
        self.times = [at for at, _, _ in found]
        self.prices = [path.shape.price(price) for _, price, _ in found]
        self.sizes = [size for _, _, size in found]

    def bar(self, symbol: str, start: datetime, seconds: int, first: int, after: int) -> Bar | None:
        """Return the bar of some prints; ``None`` of none."""
        if after <= first:
            return None
        prices = self.prices[first:after]
        return Bar(
            symbol,
            start,
            seconds,
            prices[0],
            max(prices),
            min(prices),
            prices[-1],
            sum(self.sizes[first:after]),
        )


class SimView:
    """The gateway's view of a pushed market."""

    def __init__(self, schedule: Schedule) -> None:
        self._start = schedule.start
        self._prints = {symbol: _Prints(path) for symbol, path in schedule.paths.items()}

    def _micros(self, at: datetime) -> int:
        return (at - self._start) // timedelta(microseconds=1)

    def _bucket(self, at: datetime, seconds: int) -> datetime:
        return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, at.tzinfo)

    def between(self, symbol: str, start: datetime, seconds: int) -> Bar | None:
        """Return the bar that starts there, complete."""
        prints, begin = self._prints[symbol], self._micros(start)
        first = bisect_left(prints.times, begin)
        return prints.bar(symbol, start, seconds, first, bisect_left(prints.times, begin + seconds * SECOND))

    def has(self, symbol: str) -> bool:
        """Return whether there is such a stock."""
        return symbol in self._prints

    def past(self, symbol: str, seconds: int, rth: bool, until: datetime, count: int) -> Iterator[list[Bar]]:
        """Yield closed bars that end by ``until``, newest first."""
        length = timedelta(seconds=seconds)
        start = self._bucket(until, seconds) - length
        found: list[Bar] = []
        while start + length > self._start and len(found) < count:
            bar = self.between(symbol, start, seconds)
            if bar is not None:
                found.append(bar)
            start -= length
        yield found

    def forming(self, symbol: str, seconds: int, rth: bool, now: datetime) -> Bar | None:
        """Return the bar that lasts, as far as it has traded."""
        start, prints = self._bucket(now, seconds), self._prints[symbol]
        first = bisect_left(prints.times, self._micros(start))
        return prints.bar(symbol, start, seconds, first, bisect_right(prints.times, self._micros(now)))

    def last(self, symbol: str, now: datetime) -> Trade | None:
        """Return the newest print."""
        prints = self._prints[symbol]
        row = bisect_right(prints.times, self._micros(now)) - 1
        if row < 0:
            return None
        at = self._start + timedelta(microseconds=prints.times[row])
        return Trade(at, prints.prices[row], prints.sizes[row])

    def prints(self, symbol: str, first: datetime, after: datetime) -> list[Trade]:
        """Return the prints in ``[first, after)``."""
        prints = self._prints[symbol]
        rows = range(
            bisect_left(prints.times, self._micros(first)), bisect_left(prints.times, self._micros(after))
        )
        return [
            Trade(
                self._start + timedelta(microseconds=prints.times[row]), prints.prices[row], prints.sizes[row]
            )
            for row in rows
        ]

    def has_prints(self, symbol: str) -> bool:
        """Say that single trades are known."""
        return True

    def touches(self, symbol: str, first: datetime, after: datetime) -> list[Quote]:
        """Return none: nobody asks for past touches here."""
        return []

    def day(self, symbol: str, now: datetime) -> DayStats:
        """Return nothing: the day has just begun."""
        return DayStats()

    def begin(self, symbol: str) -> datetime:
        """Return since when there is data."""
        return self._start
