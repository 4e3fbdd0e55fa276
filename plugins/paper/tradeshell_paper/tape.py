"""The tape of one symbol: what is known of its market at any instant, and bars of any length made from it.

Laws: a tape only answers; it never says anything about an instant later than the one it is asked for, with one exception that the
replay of trades without quotes needs: where no bar lasts, ``latest`` shows the next bar's open as bid and ask, and an order
cannot fill at it before that bar has begun. While a bar lasts ``latest`` shows its own open, which is ``standing`` only for
orders that come as the bar begins: what comes later meets the next one.

*Bars* of a length that is recorded are taken as they are; others are made from the longest recorded bars that divide them, or
from prints, aligned to the clock of New York. A bar in which nothing traded does not exist.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta

from tradeshell import Bar, BrokerError, DataKind, Price, Quote
from tradeshell_paper.calendar import Hours, new_york_day
from tradeshell_paper.series import Bars, Prints, Touches, Trades, covering, deciding, from_ms, to_ms
from tradeshell_paper.tickets import ARRIVAL_PART

DAY = 86400  # seconds


def bucket_start(at: datetime, seconds: int, hours: Hours) -> datetime:
    """Return the start of the clock-aligned bar of ``seconds`` that contains ``at``."""
    midnight = hours.day_start(at)
    if seconds >= DAY:
        return midnight
    # Aligned to New York midnight: a 2-hour or 4-hour grid must not shift with daylight saving.
    whole = (at - midnight) // timedelta(seconds=seconds)
    return midnight + timedelta(seconds=whole * seconds)


class Tape:
    """One symbol's data. ``in_force``: quotes stay good until changed, whatever their age (recorded data)."""

    def __init__(self, symbol: str, *, in_force: bool) -> None:
        self.symbol = symbol
        self.in_force = in_force
        self.bars: dict[int, Bars] = {}
        self.prints: Prints | None = None
        self.touches: Touches | None = None
        self.halts: list[tuple[datetime, bool]] = []
        self.grow: Callable[[], bool] = lambda: False  # append a further day; say whether there was one
        self.earlier: Callable[[date], Trades | None] = lambda _day: None  # the day before a day, for history
        self._hours = Hours()
        self._shown: tuple[int, Quote] | None = None
        self._mark: Quote | None = None

    @property
    def quotes_decide(self) -> bool:
        """Whether a touch fills resting orders: where nothing is known of trades, and on markets that are not recorded."""
        return not self.in_force or not self.all_trades()

    # --- trades -------------------------------------------------------------------------------------------------------

    def all_trades(self) -> tuple[Trades, ...]:
        """Return everything that traded, finest first."""
        bars = (self.bars[seconds] for seconds in sorted(self.bars))
        return (*(() if self.prints is None else (self.prints,)), *bars)

    def source(self, seconds: int) -> Trades:
        """Return what bars of ``seconds`` are made from; raises ``BrokerError`` when the recording is coarser."""
        fitting = [known for known in self.bars if seconds % known == 0]
        if fitting:
            return self.bars[max(fitting)]
        if self.prints is not None:
            return self.prints
        known = ", ".join(f"{s} s" for s in sorted(self.bars)) or "no trades"
        raise BrokerError(f"{self.symbol}: no bars of {seconds} s can be made; the recording has {known}")

    def look_back(self, seconds: int, count: int, rth: bool, now: datetime) -> Iterator[list[Bar]]:
        """Yield up to ``count`` bars that are closed at ``now``, the newest first, in lists that cost little each."""
        trades: Trades | None = self.source(seconds)
        day = new_york_day(now)
        while trades is not None and count > 0:
            found: list[Bar] = []
            self._collect(trades, seconds, count, rth, now, found)
            yield found
            count -= len(found)
            if len(trades):
                day = new_york_day(
                    trades.start(0)
                )  # also where ``now`` lies before: days are gone through one by one
            trades = self.earlier(day) if count > 0 else None

    def _collect(
        self, trades: Trades, seconds: int, count: int, rth: bool, now: datetime, found: list[Bar]
    ) -> None:
        """Append bars before ``now``, newest first, until there are ``count``."""
        row = trades.find(now)
        while row > 0 and len(found) < count:
            start = bucket_start(trades.start(row - 1), seconds, self._hours)
            first = trades.find(start)
            bar = self.bar_from(trades, first, start, seconds, rth)
            if bar is not None and bar.end <= now:
                found.append(bar)
            row = first

    def bar_from(self, trades: Trades, first: int, start: datetime, seconds: int, rth: bool) -> Bar | None:
        """Return the bar of ``seconds`` that begins at ``start``, ``None`` when nothing traded in its hours.

        ``first`` is the first row of ``trades`` in it.
        """
        end = start + timedelta(seconds=seconds)
        if rth:
            session = self._hours.session(start)
            if session is None or session.open >= end or session.close <= start:
                return None
            if session.open > start:
                first = trades.find(session.open)
            end = min(end, session.close)
        after = trades.find(end)
        return trades.merge(first, after, start, seconds) if after > first else None

    # --- touch --------------------------------------------------------------------------------------------------------

    def latest(self, now: datetime) -> Quote | None:
        """Return the touch as it is told at ``now``."""
        quote = self._touch(now)
        if quote is None and not self._has_touches(now):
            quote = self._lasting_open(now)
            quote = self._next_open(now) if quote is None else quote
        return quote

    def standing(self, now: datetime) -> Quote | None:
        """Return the touch that an order meets at ``now``."""
        return self._touch(now)

    def next_touch(self, after: datetime) -> datetime | None:
        """Return when the touch may change next, ``None`` when that is not known (yet)."""
        found: list[datetime] = []
        while not found:
            if self.touches is not None:
                row = bisect_right(self.touches.ms, to_ms(after))
                if row < len(self.touches):
                    found.append(from_ms(self.touches.ms[row]))
            for trades in self.all_trades():
                row = trades.find(after + timedelta(microseconds=1))
                if row < len(trades):
                    found.append(trades.start(row))
                    break
            found += [at for at, _ in self.halts if at > after]
            if not found and not self.grow():
                return None
        return min(found)

    def is_halted(self, now: datetime) -> bool:
        """Return whether trading is halted at ``now``."""
        state = False
        for at, on in self.halts:
            if at > now:
                break
            state = on
        return state

    def _has_touches(self, now: datetime) -> bool:
        """Return whether quotes of the day of ``now`` exist."""
        if self.touches is None:
            return False
        start = self._hours.day_start(now)
        row = bisect_left(self.touches.ms, to_ms(start))
        return row < len(self.touches) and from_ms(self.touches.ms[row]) < start + timedelta(hours=24)

    def _touch(self, now: datetime) -> Quote | None:
        if self.touches is not None:
            row = bisect_right(self.touches.ms, to_ms(now)) - 1
            # Nothing is carried over night: the book of a new day begins empty.
            if row >= 0 and self.touches.ms[row] >= to_ms(self._hours.day_start(now)):
                return self._quote(row, now)
            if self._has_touches(now):
                return None
        last = self._last_deciding(now)
        if last is None:
            return None
        trades, row = last
        start = trades.start(row)
        if trades.seconds and now > start + timedelta(seconds=trades.seconds / ARRIVAL_PART):
            return None
        return self._at_one_price(trades.open(row), start, now)

    def _last_deciding(self, now: datetime) -> tuple[Trades, int] | None:
        """Return the last row of the day that begins by ``now`` and decides fills: of several the newest, then the finest."""
        found, begun = None, self._hours.day_start(now)
        for trades in self.all_trades():
            row = trades.find(now + timedelta(microseconds=1)) - 1
            if row < 0 or trades.start(row) < begun or (found is not None and trades.start(row) == begun):
                continue
            if covering(trades, row) is None:
                found, begun = (trades, row), trades.start(row)
        return found

    def _lasting_open(self, now: datetime) -> Quote | None:
        last = self._last_deciding(now)
        if last is None:
            return None
        trades, row = last
        start = trades.start(row)
        is_over = now >= start + timedelta(seconds=trades.seconds)
        return None if is_over else self._at_one_price(trades.open(row), start, now)

    def _next_open(self, now: datetime) -> Quote | None:
        session = self._hours.session(now)
        # In regular hours nothing is known of the touch once their last bar has begun: the evening's open is another market.
        close = session.close if session is not None and session.is_regular(now) else None
        following = []
        for seconds, bars in self.bars.items():
            row = deciding(bars, bars.find(now))
            if row < len(bars) and self._hours.day_start(bars.start(row)) == self._hours.day_start(now):
                following.append((bars.start(row), seconds, bars.open(row)))
        if not following:
            return None
        start, _, price = min(following)
        return None if close is not None and start >= close else self._at_one_price(price, now, now)

    def _quote(self, row: int, now: datetime) -> Quote:
        touches = self.touches
        assert touches is not None
        if self._shown is None or self._shown[0] != row or self.halts:
            quote = Quote(
                symbol=self.symbol,
                at=from_ms(touches.ms[row]),
                bid=touches.bids[row],
                ask=touches.asks[row],
                bid_size=touches.bid_sizes[row],
                ask_size=touches.ask_sizes[row],
                kind=DataKind.HALTED if self.is_halted(now) else DataKind.LIVE,
                in_force=self.in_force,
            )
            self._shown = (row, quote)
        return self._shown[1]

    def _at_one_price(self, price: Price, at: datetime, now: datetime) -> Quote:
        kind = DataKind.HALTED if self.is_halted(now) else DataKind.LIVE
        return Quote(symbol=self.symbol, at=at, bid=price, ask=price, kind=kind, in_force=True)

    # --- end ----------------------------------------------------------------------------------------------------------

    def end(self) -> datetime | None:
        """Return when the last row is over, ``None`` for an empty tape."""
        ends = [
            trades.start(len(trades) - 1) + timedelta(seconds=trades.seconds)
            for trades in self.all_trades()
            if len(trades)
        ]
        if self.touches is not None and len(self.touches):
            ends.append(from_ms(self.touches.ms[-1]))
        return max(ends, default=None)

    def mark(self) -> Quote | None:
        """Return the last regular close as a touch: what positions are worth after the end of a recording."""
        for trades in self.all_trades() if self._mark is None else ():
            for row in range(len(trades) - 1, -1, -1):
                start = trades.start(row)
                if self._hours.is_regular(start):
                    at = start + timedelta(seconds=trades.seconds)
                    self._mark = self._at_one_price(trades.close(row), at, at)
                    return self._mark
        return self._mark
