"""Closed bars out of what IBKR sends: five-second bars, and the forming bars of kept-up-to-date history.

Laws: pure, no clock: instants are handed in (whole epoch seconds of the exchange; ``now`` in seconds of ours). A bar is handed on
once, when it is certain that nothing of it is still to come:

*Five-second parts* (real-time bars) are final when they come. A longer bar is closed by its **last** part: the close that
decides is one that came live. Parts of it that were missed (a start in the middle of a bar, a gap) may be filled from
history; a bar whose last part did not come live is handed on only if history says that nothing traded in what was missed.

*Forming bars* (``keepUpToDate``) end with the first update of a later bar, or with one of their own that comes well after their
end; ``SETTLE`` later, because a correction of the ended bar may follow. What comes later still is a revision, and is
ignored. The last word about a bar may be older than its end: ``Ended.silence`` says how much is not known of it.

Bars are aligned to the clock and stamped with their start. A bar in which nothing traded does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from tradeshell import Bar, Price, Shares
from tradeshell_ibkr.hours import day_start

PART = 5  # seconds of a real-time bar
HOUR = 3600
DAY = 86400
# Bars that can be made live: they divide the hour, so that every zone's clock agrees about where they start.
LIVE_LENGTHS = frozenset(n for n in range(PART, HOUR + 1, PART) if HOUR % n == 0) | {1}
SETTLE = 0.3  # seconds after the first update of a new bar in which the old one may still be corrected
SLACK = 0.05  # seconds: two messages of one instant
SURELY_OVER = (
    3.0  # seconds after its end, by our clock, at which a bar that is still sent has ended by theirs
)
LONG_NUMBER = 12  # digits; a longer price is the noise of a binary fraction
NOISE = Decimal("0.000001")
NO_NUMBER = Decimal("NaN")
MOST_PRICE = Decimal(10_000_000)  # USD: above is no price, and far above nothing can be computed


class Part(NamedTuple):
    """The prices (USD) and shares of one stretch of time."""

    open: Price
    high: Price
    low: Price
    close: Price
    volume: Shares


def instant(second: float) -> datetime:
    """Return the UTC instant of an epoch second."""
    return datetime.fromtimestamp(second, UTC)


def read_price(text: str) -> Price:
    """Return the price a field holds, without the noise of binary fractions; raises ``ValueError`` for what is no number."""
    try:
        price = Decimal(text)
        if len(text) <= LONG_NUMBER or not price.is_finite():
            return price
        return price.quantize(NOISE).normalize()
    except InvalidOperation:
        raise ValueError(f"not a price: {text!r}") from None


def read_shares(text: str) -> Shares:
    """Return whole shares, 0 for nothing, less than nothing, or no number."""
    if text.isdigit() and text.isascii():
        return int(text)
    try:
        return max(int(float(text)), 0)
    except (ValueError, OverflowError):
        return 0


def read_part(opened: str, high: str, low: str, close: str, volume: str) -> Part:
    """Return the prices of a bar as they were sent; raises ``ValueError``."""
    if len(opened) <= LONG_NUMBER >= len(high) and len(low) <= LONG_NUMBER >= len(close):
        try:
            return Part(Decimal(opened), Decimal(high), Decimal(low), Decimal(close), int(volume))
        except (InvalidOperation, ValueError):
            pass  # a fraction of a share, or no number
    return Part(read_price(opened), read_price(high), read_price(low), read_price(close), read_shares(volume))


def believable(part: Part) -> Part:
    """Return ``part`` with every price that cannot be one made a quiet NaN: nothing that computes with it raises."""
    opened, high, low, close = (price if is_price(price) else NO_NUMBER for price in part[:4])
    return Part(opened, high, low, close, part.volume)


def is_price(price: Price) -> bool:
    """Return whether ``price`` is a number that a share may cost, zero and less included (they are told as they are)."""
    return price.is_finite() and -MOST_PRICE < price < MOST_PRICE


def is_sane(part: Part) -> bool:
    """Return whether prices are finite, above zero and in order."""
    try:
        return 0 < part.low <= part.open <= part.high < MOST_PRICE and part.low <= part.close <= part.high
    except InvalidOperation:  # NaN does not compare
        return False


def floor_bar(start: datetime, seconds: int) -> datetime:
    """Return the start of the clock-aligned bar that contains ``start``.

    IBKR's first regular hour is stamped 09:30 and ends at 10:00: it is what the bar of 09:00 holds in regular hours.
    """
    if seconds <= HOUR:
        second = int(start.timestamp())
        return instant(second - second % seconds)
    midnight = day_start(start)
    if seconds >= DAY:
        return midnight
    whole = int((start - midnight).total_seconds()) // seconds
    return instant(midnight.timestamp() + whole * seconds)


def merge(parts: Iterable[Part]) -> Part | None:
    """Return several stretches, in order of time, as one; ``None`` for none."""
    found = iter(parts)
    first = next(found, None)
    if first is None:
        return None
    opened, high, low, close, volume = first
    for part in found:
        high = max(high, part.high)
        low = min(low, part.low)
        close = part.close
        volume += part.volume
    return Part(opened, high, low, close, volume)


class Open(NamedTuple):
    """A bar ``[start, start + seconds)`` that ended without its last part; ``live`` is where its live parts end."""

    start: int
    seconds: int
    live: int


class Assembly:
    """Bars of several lengths out of the five-second parts of one stream."""

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self._lengths: dict[int, float] = {}  # length -> bars that end after this instant are wanted
        self._forming: dict[int, int] = {}  # length -> start of the bar that has parts and is not decided
        self._parts: dict[int, Part | None] = {}  # start -> what traded, None: nothing did
        self._lost: set[Open] = set()
        self._poison: set[int] = set()  # starts of parts that cannot be true
        self._live: int = -PART  # start of the newest part that came live
        self._close: Price | None = None

    def want(self, seconds: int, since: float) -> None:
        """Make bars of ``seconds`` from now on: those that end after ``since``."""
        self._lengths[seconds] = since

    def forget(self, seconds: int) -> None:
        """Make bars of ``seconds`` no longer."""
        self._lengths.pop(seconds, None)
        self._forming.pop(seconds, None)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths that are wanted."""
        return tuple(self._lengths)

    def part(self, start: int, part: Part, trades: int) -> tuple[list[Bar], list[Open]]:
        """Take a live part; return the bars that it closes, shortest first, and those that ended before it, unfinished."""
        closed: list[Bar] = []
        lost: list[Open] = []
        if start <= self._live or start % PART:
            self._take_late(start, part)
            return closed, lost
        if not is_sane(part):
            part = believable(part)
            self._poison.add(start)
        quiet = part.volume <= 0 and trades <= 0 and part.high == part.low
        quiet = quiet and (self._close is None or part.close == self._close)
        before = self._live + PART
        self._parts[start] = None if quiet else part
        self._live = start
        self._close = part.close
        end = start + PART
        forming = self._forming
        is_decided = False
        for seconds, since in self._lengths.items():
            if seconds != PART:
                bucket = start - start % seconds
                if forming.get(seconds, bucket) < bucket:
                    lost.append(Open(forming.pop(seconds), seconds, before))
                if end < bucket + seconds:
                    forming[seconds] = bucket
                    continue
                forming.pop(seconds, None)
                is_decided = True
                bar = self._bar(bucket, seconds) if end > since else None
            elif quiet or end <= since:
                continue
            else:
                bar = Bar(self.symbol, instant(start), PART, *part)
            if bar is not None:
                closed.append(bar)
        if lost:
            self._lost.update(lost)
        if is_decided or not forming:
            self._tidy()
        return closed, lost

    def overdue(self, now: float, grace: float) -> list[Open]:
        """Return the bars whose last part should have come ``grace`` seconds ago; they are formed no longer."""
        lost = [Open(at, n, self._live + PART) for n, at in self._forming.items() if at + n + grace <= now]
        for bar in lost:
            del self._forming[bar.seconds]
        self._lost.update(lost)
        return lost

    def next_end(self) -> int | None:
        """Return the end of the forming bar that ends first."""
        return min((start + seconds for seconds, start in self._forming.items()), default=None)

    @property
    def is_forming(self) -> bool:
        """Whether a bar has parts and has not ended."""
        return bool(self._forming)

    @property
    def live_end(self) -> int:
        """The end of the newest part that came live."""
        return self._live + PART

    def is_wanted(self, lost: Open) -> bool:
        """Return whether somebody would have got the bar."""
        return lost.start + lost.seconds > self._lengths.get(lost.seconds, float("inf"))

    def first_forming(self) -> int | None:
        """Return the start of the forming bar that began first."""
        return min(self._forming.values(), default=None)

    def gaps(self, first: int, after: int) -> list[int]:
        """Return the starts in ``[first, after)`` of which nothing is known."""
        return [start for start in range(first - first % PART, after, PART) if start not in self._parts]

    def fill(self, first: int, after: int, parts: dict[int, Part]) -> None:
        """Take what history says about ``[first, after)``: where it has no part, nothing traded."""
        for start in self.gaps(first, after):
            self._parts[start] = parts.get(start)

    def decide(self, lost: Open, *, silence_is_quiet: bool = False) -> Bar | None:
        """Return an ended bar after history was asked, or ``None``: its close did not come live, or nothing traded in it.

        ``silence_is_quiet``: the server sends no part when nothing trades.
        """
        self._lost.discard(lost)
        end = lost.start + lost.seconds
        if not self.is_wanted(lost):
            return None
        for start in range(lost.live, end, PART):
            if self._parts.get(start) is not None or not (silence_is_quiet or start in self._parts):
                return None
        return self._bar(lost.start, lost.seconds)

    def _take_late(self, start: int, part: Part) -> None:
        """Take a part that is out of order or sent again: it counts as long as its bar is not decided."""
        if start % PART == 0 and any(at <= start < at + n for n, at in self._forming.items()):
            self._parts[start] = believable(part)
            (self._poison.discard if is_sane(part) else self._poison.add)(start)
            if start == self._live:
                self._close = part.close

    def _bar(self, bucket: int, seconds: int) -> Bar | None:
        made: Part | None
        parts = self._parts
        wrong = [at for at in self._poison if bucket <= at < bucket + seconds] if self._poison else None
        if wrong:  # spoils its bar: handed on as it came, the host rejects it in its own words
            made = parts[min(wrong)]
        else:
            made = merge(
                part for s in range(bucket, bucket + seconds, PART) if (part := parts.get(s)) is not None
            )
        return None if made is None else Bar(self.symbol, instant(bucket), seconds, *made)

    def _tidy(self) -> None:
        """Forget the parts of bars that are decided."""
        if self._forming or self._lost:
            keep = min((*self._forming.values(), *(bar.start for bar in self._lost)))
            self._parts = {start: part for start, part in self._parts.items() if start >= keep}
            self._poison = {start for start in self._poison if start >= keep}
        elif len(self._parts) > 1 or self._poison:
            self._parts = {self._live: self._parts[self._live]}
            self._poison = self._poison & {self._live}


class Ended(NamedTuple):
    """A bar that has ended. ``silence``: 0 when the last word about it came at its end, else how many seconds before the next."""

    bar: Bar
    silence: float


class Forming:
    """Ended bars out of a history that is kept up to date: the last bar is sent again and again while it forms."""

    def __init__(self, symbol: str, seconds: int, since: float) -> None:
        self.symbol = symbol
        self.seconds = seconds
        self._since = since
        self._now: tuple[int, Part] | None = None
        self._heard = 0.0  # when the last word about it came
        self._ended: tuple[int, Part] | None = None
        self._silence = 0.0
        self._lead: float | None = None  # how much later than the start of its bar a word came, at best
        self._told = 0  # end of the newest bar that was handed on

    def seed(self, start: int, part: Part, now: float) -> None:
        """Take a bar of the first answer: only the one that still forms matters."""
        if self._now is None or start >= self._now[0]:
            self._now, self._heard = (start, part), now

    def update(self, start: int, part: Part, now: float) -> tuple[Ended | None, bool]:
        """Take an update; return a bar that has ended, and whether another one is to be settled (``SETTLE`` seconds)."""
        ended: Ended | None = None
        lead = now - start
        self._lead = lead if self._lead is None else min(lead, self._lead)
        if self._now is None or start > self._now[0]:
            ended = self.settle()
            self._ended, self._silence = self._now, now - self._heard
            if self._now is not None and self._heard >= self._now[0] + self.seconds + self._lead - SLACK:
                self._silence = 0.0  # whenever the next bar began: all of this one was heard
            self._now, self._heard = (start, part), now
        elif start == self._now[0]:
            self._now, self._heard = (start, part), now
            if now >= start + self.seconds + SURELY_OVER:  # sent again after its end: nothing traded since
                ended = self.settle() or self._tell(self._now, 0.0)
        elif self._ended is not None and start == self._ended[0]:
            self._ended, self._silence = (start, part), 0.0  # the correction that SETTLE waits for
        return ended, self._ended is not None

    def settle(self) -> Ended | None:
        """Return the ended bar: it will be corrected no more."""
        ended, self._ended = self._ended, None
        return None if ended is None else self._tell(ended, self._silence)

    def _tell(self, ended: tuple[int, Part], silence: float) -> Ended | None:
        start, part = ended
        end = start + self.seconds
        if end <= self._told or end <= self._since:
            return None
        self._told = end
        return Ended(Bar(self.symbol, instant(start), self.seconds, *part), silence)
