"""``make tp-report``: how often computed targets were reached within the day, next to fixed and random ones.

``R`` is 0.5 % of the level, as in the first bracket of the oracle. *fixed*: 1 R, 2 R and 3 R. *random*: three prices drawn evenly
between the level and the computed TP3, ``DRAWS`` times with a seed of the case, so that they span what the computed ones span.
*cases* were entered and had history enough, *refused* had not; *highs*: how many of their three targets lie at earlier highs.
*gain of a trade*: what 60/30/10 gains with a stop 1 R below the level, stop first, the rest at the close; costs are not counted.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from decimal import Decimal
from itertools import groupby
from statistics import mean, median
from typing import NamedTuple

from tests.oracle.cases import DATA
from tests.targets.recorded import ABSENT, Case, cases, computed, gain, reached

RISK = Decimal("0.005")
PARTS = (Decimal("0.6"), Decimal("0.3"), Decimal("0.1"))
DRAWS = 100
WAYS = {"auto": "computed", "fixed": "1R 2R 3R", "random": "random"}
KINDS = {"all at highs": (3,), "highs, then projected": (1, 2), "all projected": (0,)}


class Scores(NamedTuple):
    """Of one case and one way of setting targets: shares reached (0 to 1), distances and gain in R."""

    reached: tuple[float, ...]
    distance: tuple[float, ...]
    gain: float


class Row(NamedTuple):
    """One entered case."""

    case: Case
    highs: int  # targets at earlier highs
    auto: Scores
    fixed: Scores
    random: Scores


def score(case: Case, ladders: Sequence[Sequence[Decimal]]) -> Scores:
    """Return the means over several ladders."""
    risk = case.price * RISK
    hits = [reached(case, prices) for prices in ladders]
    return Scores(
        tuple(mean(float(hit[leg]) for hit in hits) for leg in range(3)),
        tuple(mean(float((prices[leg] - case.price) / risk) for prices in ladders) for leg in range(3)),
        mean(float(gain(case, prices, case.price - risk, PARTS) / risk) for prices in ladders),
    )


def row(case: Case) -> Row | None:
    """Return the row of an entered case, ``None`` when it had too little history."""
    targets = computed(case)
    if targets is None:
        return None
    auto = [target.price for target in targets]
    chance = random.Random(f"{case.symbol} {case.date} {case.level}")
    span = float(auto[-1] - case.price)
    draws = [
        [case.price + Decimal(repr(span * part)) for part in sorted(chance.random() for _ in range(3))]
        for _ in range(DRAWS)
    ]
    fixed = [case.price * (1 + RISK * number) for number in (1, 2, 3)]
    highs = sum(not target.why.startswith("projected") for target in targets)
    return Row(case, highs, score(case, [auto]), score(case, [fixed]), score(case, draws))


def line(name: str, refused: int, some: Sequence[Row]) -> str:
    """Return one line of the table."""
    head = f"{name:<24}{len(some):>6}{refused:>9}"
    if not some:
        return head
    cells = [f"{head}{mean(row.highs for row in some):>7.1f}"]
    for which in WAYS:
        scores: list[Scores] = [getattr(row, which) for row in some]
        cells.append(" ".join(f"{100 * mean(s.reached[leg] for s in scores):>4.0f}" for leg in range(3)))
    return "    ".join(cells)


def main() -> int:
    """Print the table."""
    if not DATA.is_dir():
        print(ABSENT)
        return 0
    everything = list(cases())
    print(f"reached within the day, % of the entries         {'computed':>14}{'1R 2R 3R':>18}{'random':>18}")
    print(
        f"{'symbol-day':<24}{'cases':>6}{'refused':>9}{'highs':>7}"
        + f"    {' TP1  TP2  TP3':<14}" * len(WAYS)
    )
    made: list[Row] = []
    refused = 0
    for (symbol, date), group in groupby(everything, key=lambda case: (case.symbol, case.date)):
        found = [row(case) for case in group if case.entry is not None]
        some = [each for each in found if each is not None]
        print(line(f"{symbol} {date}", len(found) - len(some), some))
        made += some
        refused += len(found) - len(some)
    print(line("all", refused, made))
    for kind, counts in KINDS.items():
        print(line(f"  {kind}", 0, [each for each in made if each.highs in counts]))
    print("\nmedian distance of TP1 TP2 TP3 from the level in R · mean gain of a trade in R")
    for which, name in WAYS.items():
        scores: list[Scores] = [getattr(each, which) for each in made]
        far = " ".join(f"{median(s.distance[leg] for s in scores):>6.2f}" for leg in range(3))
        print(f"{name:<10}{far} · {mean(s.gain for s in scores):.2f}")
    days = {(case.symbol, case.date) for case in everything}
    print(
        f"\n{len(days)} symbol-days, {len(everything)} levels, {len(made) + refused} entered, {refused} refused"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
