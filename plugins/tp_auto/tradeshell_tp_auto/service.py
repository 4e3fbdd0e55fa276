"""How much of the past is looked at: step by step, until it gives the targets that are wanted.

Laws: the nearest past decides first, in fine bars; a further step adds only highs that are older than what was seen. A step whose
bars cannot be had is passed over and named where a projection rests on it. Too little history is a refusal, never a guess.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from tradeshell import BrokerError, OperatorError, PastBars, Target, TargetsWanted, money
from tradeshell_tp_auto.calculator import (
    LEAST_BARS,
    Found,
    High,
    Scale,
    begin_of_scale,
    highs_of,
    is_other_scale,
    scale_of,
    source_of,
    targets_from,
)


class Step(Struct, frozen=True):
    """How far to look: ``count`` bars of ``seconds``, none of which began more than ``days`` ago."""

    seconds: int
    count: int
    days: int


STEPS = (
    Step(300, 390, 10),  # 5 regular days
    Step(
        60, 390, 5
    ),  # what has no closed five-minute bar yet; shortly after the first open of all, everything
    Step(900, 520, 40),  # 20 days
    Step(3600, 455, 130),  # 65 days, a quarter
    Step(86_400, 250, 380),  # a year
)
FAILURES = (
    2  # refused steps after which a broker that has given nothing is not asked again: each may take long
)
NEAREST = 2  # steps that are always looked at


class Look(Struct):
    """What has been seen so far."""

    rth: bool
    highs: list[High]
    scale: Scale | None = None
    since: datetime | None = None  # when the oldest bar that was seen began
    until: datetime | None = None  # when the newest was over
    begins: datetime | None = None  # an overnight jump of the price: what was before it is another scale
    most: int = 0  # bars of the longest answer
    failures: int = 0  # steps that the broker refused
    missing: str = ""  # why bars of a step cannot be used

    def take(self, wanted: TargetsWanted, bars: PastBars, step: Step) -> None:
        """Look at one step."""
        try:
            past = bars(step.seconds, step.count, self.rth)
        except BrokerError as error:
            self.missing = self.missing or str(error)
            self.failures += 1
            return
        oldest = wanted.at - timedelta(days=step.days)
        seen = [bar for bar in past if bar.end <= wanted.at and bar.start >= oldest]
        begins = begin_of_scale(seen)
        self.begins = max(filter(None, (self.begins, begins)), default=None)
        if self.begins is not None:  # known from finer bars, it holds for coarser ones that do not show it
            cut_at = self.begins
            seen = [bar for bar in seen if bar.start >= cut_at]
        if is_other_scale(seen, wanted.anchor_price):
            last = money(seen[-1].close)
            self.missing = (
                self.missing or f"the last price was {last}, of another scale than the level (a split?)"
            )
            return
        self.most = max(self.most, len(seen))
        if not seen:
            return
        source = source_of(seen, rth=self.rth, cut=self.begins is not None)
        if self.scale is None:
            self.scale = scale_of(seen, source)
        found = highs_of(seen, source, wanted.anchor_price, wanted.grid)
        # What finer bars, or the same ones, have shown is not counted twice.
        length, first, until = timedelta(seconds=step.seconds), seen[0].start, seen[-1].end
        since, after = self.since or until, self.until or first
        self.highs += [high for high in found if high.at + length <= since or high.at >= after]
        self.since, self.until = min(since, first), max(after, until)


def find_targets(wanted: TargetsWanted, bars: PastBars) -> tuple[Target, ...]:
    """Return the targets that the past gives; raises ``OperatorError`` when it gives too little.

    In regular hours first; where they have too few bars (shortly after the open of a stock without a past), extended hours count.
    """
    looks = []
    for rth in (True, False) if wanted.rth else (False,):
        look = Look(rth=rth, highs=[])
        looks.append(look)
        found = _look(wanted, bars, look)
        if found is not None:
            return found.targets
        if look.failures >= FAILURES:
            break
    most = max(look.most for look in looks)
    why = next((look.missing for look in looks if look.missing), "")
    seen = (
        f"{most} bar{'s' * (most != 1)}, {LEAST_BARS} that move are needed"
        if most
        else why or "there are no bars"
    )
    raise OperatorError(
        f"tp=auto: targets above {money(wanted.anchor_price)} cannot be computed from the history of {wanted.symbol}: {seen} · "
        f"nothing was started; name prices · example: tp={_example(wanted)}"
    )


def _look(wanted: TargetsWanted, bars: PastBars, look: Look) -> Found | None:
    found: Found | None = None
    for number, step in enumerate(STEPS, 1):
        look.take(wanted, bars, step)
        if look.scale is None and look.failures >= FAILURES:
            break
        if look.scale is not None:
            note = ", some missing" if look.missing else ""
            found = targets_from(look.highs, wanted.anchor_price, wanted.count, look.scale, wanted.grid, note)
            if found.is_settled and number >= NEAREST:
                break
    return found


def _example(wanted: TargetsWanted) -> str:
    base = wanted.anchor_price
    return "-".join(money(wanted.grid.up(base + base * number / 50)) for number in range(1, wanted.count + 1))
