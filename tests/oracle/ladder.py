"""A ladder of targets and stops, calculated from recorded bars by the rules' text and nothing else.

Written apart from the program and without any of its code, as ``plain`` is for a bracket, whose trigger and entry are taken over:
up to the entry a ladder is a bracket with the same level, stop and first target.

- *Legs*: the shares are split by the parts (70/30, 60/30/10 or as typed), by largest remainder, ties to the earlier leg. Each
  leg has its target and its stop; they rest from the instant of the entry on.
- *A bar* that touches the stop ends every leg there, whatever else it touches; another one fills the targets it touches. The
  entry's own bar fills at the prices of the orders; a later one that opens beyond them at its open.
- *When*: a stop that an open gaps through executes with that open; everything else at the bar's last millisecond.
- *Milestones*: when targets 1 to n are sold, the stops of the later legs go to update n (the level, then target 1, or as typed),
  never down. They go when the bid in force is more than a tick above the new stop; while it is not, an update before it that may
  go does. This is looked at when the bar has ended, then each second. A stop that has moved works at its new price from the next
  bar on, its open included.
- *The bid in force*: a quote bar's opening bid from its start, its closing bid from its end, until the next of the day. Without
  quotes a bar's open while it lasts, and when none lasts that of the next one of the day; in regular hours of regular bars.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tests.oracle import plain
from tests.oracle.plain import MINUTE, NEW_YORK, SECOND, Bar, Quote, Wish, breakout

TICK = Decimal("0.01")
LAST_MOMENT = timedelta(milliseconds=1)
USUAL_PARTS = {2: (70, 30), 3: (60, 30, 10)}


class Ladder(NamedTuple):
    """A ladder as it is typed: prices USD; ``parts`` and ``updates`` empty: the usual ones."""

    level: Decimal
    start: datetime
    tps: tuple[Decimal, ...]
    sl: Decimal
    qty: int = 100
    parts: tuple[int, ...] = ()
    updates: tuple[Decimal, ...] = ()
    minutes: int = 1

    @property
    def wish(self) -> Wish:
        """The bracket it is up to its entry."""
        return Wish(self.level, self.start, self.minutes, self.tps[0], self.sl)


class Fill(NamedTuple):
    """An execution: ``qty`` shares at ``price`` USD."""

    at: datetime
    leg: str
    qty: int
    price: Decimal


class Move(NamedTuple):
    """A stop that goes to ``stop`` USD."""

    at: datetime
    leg: str
    stop: Decimal


class Course(NamedTuple):
    """What becomes of a ladder: ``pnl`` USD without fees once every share is sold, ``why_not`` when nothing was bought.

    ``legs`` are the shares of each leg, armed at the instant of the entry.
    """

    why_not: str = ""
    fills: tuple[Fill, ...] = ()
    moves: tuple[Move, ...] = ()
    pnl: Decimal | None = None
    legs: tuple[int, ...] = ()
    has_waited: bool = False  # a stop could not go where it was due at once
    has_settled: bool = False  # and went to an update before that meanwhile


# --- shares -----------------------------------------------------------------------------------------------------------


def split(qty: int, parts: Sequence[int]) -> list[int]:
    """Return ``qty`` shares shared by ``parts``: rounded down, then one more for whom rounding cost most."""
    exact = [Decimal(qty * part) / sum(parts) for part in parts]
    shares = [int(share) for share in exact]
    lost = sorted(range(len(parts)), key=lambda leg: exact[leg] - shares[leg], reverse=True)
    for leg in lost[: qty - sum(shares)]:
        shares[leg] += 1
    return shares


# --- the bid ----------------------------------------------------------------------------------------------------------


class Bids:
    """The bid in force at any instant of a recording."""

    def __init__(self, bars: Sequence[Bar], quotes: Sequence[Quote] | None, length: timedelta) -> None:
        """Keep every bar, those outside regular hours too, and the quotes of bars as long as ``length``."""
        self._bars = bars
        self._starts = [bar.start for bar in bars]
        self._bids: list[tuple[datetime, Decimal | None]] = []
        for quote in quotes or ():
            if self._bids and self._bids[-1][0] >= quote.start:
                self._bids.pop()
            self._bids += [(quote.start, quote.bid_open), (quote.start + length, quote.bid_close)]
        self._times = [time for time, _ in self._bids]
        self._quoted = {_day(time) for time in self._times}
        self.end = max([bars[-1].end, *self._times[-1:]])

    def at(self, now: datetime) -> Decimal | None:
        """Return the bid in force."""
        if _day(now) in self._quoted:
            place = bisect_right(self._times, now) - 1
            return self._bids[place][1] if place >= 0 and _day(self._times[place]) == _day(now) else None
        place = bisect_right(self._starts, now) - 1
        if place >= 0 and now < self._bars[place].end:
            return self._bars[place].open
        following = self._bars[place + 1] if place + 1 < len(self._bars) else None
        if following is None or _day(following.start) != _day(now):
            return None
        return following.open if plain.is_regular(following.start) or not plain.is_regular(now) else None


def _day(at: datetime) -> object:
    return at.astimezone(NEW_YORK).date()


# --- the rule ---------------------------------------------------------------------------------------------------------


def course(
    ladder: Ladder,
    minutes: Sequence[Bar],
    quotes: Sequence[Quote] | None = None,
    finer: Sequence[Bar] | None = None,
    quoted: timedelta = MINUTE,
) -> Course:
    """Return what becomes of a ladder on recorded minutes; ``finer`` bars decide fills, quote bars are ``quoted`` long."""
    begun = breakout(ladder.wish, minutes, quotes, finer)
    if begun.entry is None or begun.entry_at is None:
        return Course(why_not=begun.result)
    entry_at = datetime.fromisoformat(begun.entry_at)
    deciding = minutes if finer is None else finer
    climb = _Climb(ladder, Fill(entry_at, "entry", ladder.qty, begun.entry), Bids(deciding, quotes, quoted))
    for bar in deciding:
        if bar.start >= entry_at and plain.is_regular(bar.start):
            climb.look_until(bar.start)
            climb.meet(bar)
    climb.look_until(climb.bids.end)
    return climb.course()


class _Climb:
    """A ladder on its way: the shares of the legs that are left, by number, and the stop that all of them have."""

    def __init__(self, ladder: Ladder, entry: Fill, bids: Bids) -> None:
        self.bids = bids
        self._has_waited = self._has_settled = False
        self._ladder = ladder
        self._fills = [entry]
        self._moves: list[Move] = []
        parts = ladder.parts or USUAL_PARTS[len(ladder.tps)]
        self._shares = tuple(split(ladder.qty, parts))
        self._legs = dict(enumerate(self._shares, 1))
        self._stop = ladder.sl
        self._updates = ladder.updates or (ladder.level, *ladder.tps)
        self._due: list[Decimal] = []  # updates that were reached
        self._looked_at = entry.at

    def meet(self, bar: Bar) -> None:
        """Let a bar fill what it reaches."""
        is_gap = bar.start > self._fills[0].at
        stop = self._stop  # where the bar meets it, also when it moves while the bar lasts
        if not (is_gap and bar.open <= stop):
            self.look_until(bar.end - LAST_MOMENT)
        if bar.low <= stop:
            at = bar.start if is_gap and bar.open <= stop else bar.end - LAST_MOMENT
            for leg in sorted(self._legs):
                self._sell(at, "sl", leg, min(stop, bar.open) if is_gap else stop)
            return
        targets = [(leg, self._ladder.tps[leg - 1]) for leg in sorted(self._legs)]
        sold = [(leg, target) for leg, target in targets if bar.high >= target]
        for leg, target in sold:
            self._sell(bar.end - LAST_MOMENT, "tp", leg, max(target, bar.open) if is_gap else target)
        if sold and self._legs:
            self._due = list(self._updates[: sold[-1][0]])
            self._look(bar.end)

    def look_until(self, end: datetime) -> None:
        """Try each second, up to ``end``, to move stops that could not go yet."""
        while self._legs and self._is_waiting() and self._looked_at + SECOND <= end:
            self._look(self._looked_at + SECOND)

    def course(self) -> Course:
        """Return what has become of it."""
        pnl = None if self._legs else self._result()
        waits = (self._has_waited, self._has_settled)
        return Course("", tuple(self._fills), tuple(self._moves), pnl, self._shares, *waits)

    def _look(self, now: datetime) -> None:
        self._looked_at = now
        bid = self.bids.at(now)
        stop = max((due for due in self._due if bid is not None and bid > due + TICK), default=self._stop)
        if stop > self._stop:
            self._stop = stop
            self._moves += [Move(now, f"sl{leg}", self._stop) for leg in sorted(self._legs)]
            self._has_settled |= stop < max(self._due)
        self._has_waited |= self._is_waiting()

    def _is_waiting(self) -> bool:
        return max(self._due, default=self._stop) > self._stop

    def _sell(self, at: datetime, kind: str, leg: int, price: Decimal) -> None:
        self._fills.append(Fill(at, f"{kind}{leg}", self._legs.pop(leg), price))

    def _result(self) -> Decimal:
        bought, *sold = self._fills
        return sum((fill.qty * (fill.price - bought.price) for fill in sold), Decimal(0))
