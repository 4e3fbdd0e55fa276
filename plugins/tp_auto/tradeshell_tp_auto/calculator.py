"""Where price turned before, and how far it usually goes: targets from bars. Pure: bars in, targets out.

Laws: earlier highs come first; a distance is projected only where no earlier high lies. Targets rise, lie at least ``GAP`` of a
day's range apart (and above the anchor), and on the price grid. All distances are parts of one figure, the range of a usual day,
so that they fit a stock of 0.42 USD and one of 600. Analysis is done in floats; a price that leaves is a ``Decimal`` on the grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import sqrt
from statistics import median
from zoneinfo import ZoneInfo

from msgspec import Struct

from tradeshell import Bar, Price, PriceGrid, Shares, Target, money

WING = 2  # bars on each side of a high that reach no higher
LEAST_BARS = 15  # for a range that means something
GAP = 0.1  # of a day's range: the least distance between targets, and of the first from the anchor
BAND = 0.05  # of a day's range: highs within it are one level
RUNNER = 0.5  # of a day's range: the least distance of the last of several targets, where a high lies so far
MOST = 4  # usual ranges: a bar of more counts as one of so many
JUMP = Decimal("1.3")  # overnight, up or down: a split or a new company; what was before it is another scale
FAR = Decimal(
    2
)  # times, from one bar to the next of a day, or from the last price to the level: another scale, too
REGULAR_DAY = 23_400  # seconds
DAY = 86_400
NEW_YORK = ZoneInfo("America/New_York")


class Source(Struct, frozen=True, kw_only=True):
    """Where a figure comes from: the length of the bars in seconds, how many trading days of them, regular hours only or not."""

    seconds: int
    days: int
    rth: bool = True
    cut: bool = False  # older bars are left out: the price jumps

    def words(self) -> str:
        """Return ``5m bars, 5 days``."""
        length = "1d" if self.seconds == DAY else f"{self.seconds // 60}m" if self.seconds < 3600 else "1h"
        days = f"{self.days} day{'s' * (self.days != 1)}"
        hours = "" if self.rth else ", extended hours"
        return f"{length} bars, {days}{' since a price jump' if self.cut else ''}{hours}"


class High(Struct, frozen=True, kw_only=True):
    """A bar that the bars around it do not exceed. ``price`` USD, on the grid."""

    price: Price
    at: datetime
    volume: Shares
    source: Source


class Scale(Struct, frozen=True, kw_only=True):
    """How far price goes: the average true range of a bar and, from it, the range of a usual day (USD)."""

    atr: float
    day_range: float
    source: Source

    def part(self, of: float) -> Decimal:
        """Return a part of the day's range in USD."""
        return Decimal(repr(round(self.day_range * of, 10)))


class Found(Struct, frozen=True, kw_only=True):
    """Targets, and whether more history could better them: a high instead of a projection, a runner that is far enough."""

    targets: tuple[Target, ...]
    is_settled: bool


def day_of(at: datetime) -> date:
    """Return the New York date."""
    return at.astimezone(NEW_YORK).date()


def begin_of_scale(bars: Sequence[Bar]) -> datetime | None:
    """Return since when ``bars`` are of one scale: the instant behind the last jump, ``None`` without one."""
    for index in range(len(bars) - 1, -1, -1):
        bar = bars[index]
        if bar.high >= bar.low * FAR:  # a price of before the jump is within this bar
            return bar.end
        if index and _is_jump(bars[index - 1], bar):
            return bar.start
    return None


def _is_jump(before: Bar, after: Bar) -> bool:
    most = JUMP if day_of(before.start) != day_of(after.start) else FAR
    return not 1 / most < after.open / before.close < most


def is_other_scale(bars: Sequence[Bar], anchor: Price) -> bool:
    """Return whether ``anchor`` cannot be a price of what ``bars`` show: split since then, or mistyped.

    A breakout may lie far above the last price, and never far below it: it would be over before it began.
    """
    return bool(bars) and not 1 / JUMP < anchor / bars[-1].close < FAR


def source_of(bars: Sequence[Bar], *, rth: bool, cut: bool) -> Source:
    """Return what is said of ``bars``, of which there is at least one."""
    days = len({day_of(bar.start) for bar in bars})
    return Source(seconds=bars[0].seconds, days=days, rth=rth, cut=cut)


def scale_of(bars: Sequence[Bar], source: Source) -> Scale | None:
    """Return the scale of ``bars``, ``None`` when they are too few or do not move.

    A night is no part of a true range. The range of a day grows with the square root of the number of its bars.
    """
    if len(bars) < LEAST_BARS:
        return None
    ranges = []
    last: Bar | None = None
    for bar in bars:
        high, low = float(bar.high), float(bar.low)
        if last is not None and day_of(last.start) == day_of(bar.start):
            high, low = max(high, float(last.close)), min(low, float(last.close))
        ranges.append(high - low)
        last = bar
    if (usual := median(ranges)) > 0:  # one false print must not make every distance larger
        ranges = [min(each, usual * MOST) for each in ranges]
    atr = sum(ranges) / len(ranges)
    bars_a_day = max(REGULAR_DAY / source.seconds, 1.0)
    return Scale(atr=atr, day_range=atr * sqrt(bars_a_day), source=source) if atr > 0 else None


def highs_of(bars: Sequence[Bar], source: Source, anchor: Price, grid: PriceGrid) -> list[High]:
    """Return the highs above ``anchor`` that the ``WING`` bars on each side do not exceed; of equal ones the first.

    At either end of the bars fewer neighbours decide, so that the highest of all is always among them.
    """
    return [
        High(price=grid.down(bar.high), at=bar.start, volume=bar.volume, source=source)
        for index, bar in enumerate(bars)
        if bar.high > anchor
        and all(other.high < bar.high for other in bars[max(0, index - WING) : index])
        and all(other.high <= bar.high for other in bars[index + 1 : index + 1 + WING])
    ]


def targets_from(
    highs: Iterable[High], anchor: Price, count: int, scale: Scale, grid: PriceGrid, note: str = ""
) -> Found:
    """Return ``count`` targets above ``anchor`` (USD, on ``grid``): at earlier highs from below, beyond the last projected.

    Of the levels within one gap the one that was touched most often counts, then the one with most volume. ``note`` says of a
    projection what of history could not be had.
    """
    pool = sorted(highs, key=lambda high: (high.price, high.at))
    gap = max(grid.up(scale.part(GAP)), grid.increment(anchor))
    targets: list[Target] = []
    is_settled = True
    last = anchor
    for number in range(1, count + 1):
        floor = grid.up(last + gap)
        is_runner = number == count > 1
        above = [high for high in pool if high.price >= floor]
        far = anchor + scale.part(RUNNER)
        wanted = [high for high in above if high.price >= far] if is_runner else above
        if wanted:
            targets.append(_at_highs(_strongest(wanted, gap, scale.part(BAND))))
        elif above:  # no high is far enough for a runner: the farthest
            targets.append(
                _at_highs(
                    _strongest([h for h in above if h.price > above[-1].price - gap], gap, scale.part(BAND))
                )
            )
            is_settled = False
        else:
            part = 2.0 ** (number - max(count, 2))
            targets.append(_projected(anchor, floor, part, scale, grid, note))
            is_settled = False
        last = targets[-1].price
    return Found(targets=tuple(targets), is_settled=is_settled)


def _strongest(highs: Sequence[High], gap: Decimal, band: Decimal) -> list[High]:
    """Return the strongest level among those within one gap of the lowest high; ``highs`` rise."""
    levels: list[list[High]] = []
    for high in highs:
        if levels and high.price <= levels[-1][0].price + band:
            levels[-1].append(high)
        elif high.price < highs[0].price + gap:
            levels.append([high])
        else:
            break
    return max(levels, key=lambda level: (len(level), sum(high.volume for high in level)))


def _at_highs(level: Sequence[High]) -> Target:
    """Return the target at the lowest high of a level: it is met first."""
    first, last = level[0], level[-1]
    shares = f"{_short(sum(high.volume for high in level))} shares"
    source = max((high.source for high in level), key=lambda each: each.seconds)
    if len(level) > 1:
        where = (
            money(first.price) if first.price == last.price else f"{money(first.price)}–{money(last.price)}"
        )
        what = f"{len(level)} highs {where}"
    else:
        at = first.at.astimezone(NEW_YORK)
        clock = "" if first.source.seconds == DAY else f" {at:%H:%M}"
        what = f"high of {at:%b} {at.day}{clock}"
    return Target(price=first.price, why=f"{what}, {shares} · {source.words()}")


def _projected(anchor: Price, floor: Price, part: float, scale: Scale, grid: PriceGrid, note: str) -> Target:
    price = grid.up(max(anchor + scale.part(part), floor))
    distance = float(price - anchor) / scale.day_range
    atr = money(grid.up(Decimal(repr(round(scale.atr, 10)))))
    why = f"projected {distance:.2f} of a day's range, no earlier high from {money(floor)} up"
    return Target(price=price, why=f"{why} · ATR {atr}, {scale.source.words()}{note}")


def _short(shares: Shares) -> str:
    """Return a number of shares in a few characters: ``940``, ``84k``, ``1.2M``."""
    if shares >= 1_000_000:
        return f"{shares / 1_000_000:.1f}M"
    return f"{shares / 1000:.0f}k" if shares >= 10_000 else str(shares)
