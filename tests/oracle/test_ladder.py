"""Ladders on the recorded days, through the program and by the plain calculation: every fill, every move of a stop, the result.

Each day of the oracle carries ladders of two and of three targets with several splits, stop updates and sizes; more are drawn at
random with fixed seeds. Other seeds, and as many as wanted, come from ``LADDER_SEED`` and ``LADDER_SAMPLES``.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.oracle import plain
from tests.oracle.cases import DATA
from tests.oracle.ladder import Course, Ladder, course, split
from tests.oracle.ladder_runs import agreed, climbed, typed
from tests.oracle.plain import SECOND, Bar, Quote
from tests.oracle.test_plain import (
    CENT,
    HALF_DAY,
    ODD,
    ROWS,
    TRADES,
    Odd,
    at,
    drawn_wish,
    minutes_of,
    on_a_half_day,
    quotes_beside,
    quotes_of,
    recorded,
    seconds_of,
    with_one_sided_books,
    write_bars,
    write_quotes,
)

SEED = os.environ.get("LADDER_SEED", "ladder")
SAMPLES = int(os.environ.get("LADDER_SAMPLES", "36"))


class Shape(NamedTuple):
    """A ladder around any level: targets and updates in R above it, R a part of it."""

    qty: int
    targets: tuple[str, ...]
    parts: tuple[int, ...] = ()
    updates: tuple[str, ...] = ()
    risk: str = "0.003"

    def around(self, level: Decimal, start: datetime, minutes: int = 1) -> Ladder:
        """Return the ladder at a level."""
        risk = max(2 * CENT, (level * Decimal(self.risk)).quantize(CENT))
        tps: list[Decimal] = []
        for target in self.targets:
            tps.append(max(level + (risk * Decimal(target)).quantize(CENT), (tps or [level])[-1] + CENT))
        updates = tuple(level + (risk * Decimal(update)).quantize(CENT) for update in self.updates)
        return Ladder(level, start, tuple(tps), level - risk, self.qty, self.parts, updates, minutes)


TWO = (
    Shape(100, ("0.5", "1")),
    Shape(3, ("1", "2"), risk="0.002"),
    Shape(97, ("1", "3"), updates=("-0.5",)),
    Shape(1000, ("0.5", "2"), updates=("0.2",), risk="0.005"),
)
THREE = (
    Shape(100, ("0.5", "1", "2")),
    Shape(10, ("1", "2", "3"), risk="0.0015"),
    Shape(97, ("0.5", "1.5", "3"), parts=(50, 30, 20)),
    Shape(1000, ("1", "2", "3"), updates=("-0.5", "0.5"), risk="0.002"),
    Shape(3, ("0.5", "1", "1.5"), parts=(1, 1, 1)),
    Shape(97, ("0.3", "0.6", "4"), parts=(7, 20, 70), updates=("0", "0")),
    Shape(100, ("0.5", "1", "3"), parts=(34, 33, 33), risk="0.006"),
)


# --- the calculation itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "qty, parts, shares",
    [
        (100, (70, 30), [70, 30]),
        (3, (70, 30), [2, 1]),
        (10, (60, 30, 10), [6, 3, 1]),
        (97, (60, 30, 10), [58, 29, 10]),
        (5, (60, 30, 10), [3, 2, 0]),
        (10, (25, 50, 25), [3, 5, 2]),
        (97, (7, 20, 70), [7, 20, 70]),
    ],
)
def test_shares_are_split_by_largest_remainder(qty: int, parts: tuple[int, ...], shares: list[int]) -> None:
    assert split(qty, parts) == shares


# --- running ----------------------------------------------------------------------------------------------------------


def is_clear(found: Course, *, has_quotes: bool) -> bool:
    """Return whether the rules leave no question; the questions have tests of their own (``test_ladder_corners``)."""
    return not found.has_settled and (has_quotes or not found.has_waited)


def check(
    files: Sequence[Path],
    ladders: Sequence[Ladder],
    expected: Sequence[Course],
    *,
    has_quotes: bool,
    more: str = "another=true",
) -> None:
    """Assert that the program makes of ladders on one symbol, all at once, what the calculation says of each."""
    symbol = files[0].name.partition("_")[0]
    commands = [typed(symbol, ladder, more) for ladder in ladders]
    for command, ours, theirs in zip(
        commands, climbed(files, ladders[0].start, *commands), expected, strict=True
    ):
        told = theirs._replace(has_waited=False, has_settled=False)
        assert agreed(ours, has_quotes=has_quotes) == told, (command, ladders[0].start)


def files_of(trades: Path, *, has_quotes: bool) -> list[Path]:
    """Return the files of a recorded day."""
    return [trades, quotes_beside(trades)] if has_quotes else [trades]


def day_of(trades: Path) -> date:
    """Return the day of a file."""
    return date.fromisoformat(trades.name.split("_")[1])


# --- every level of the oracle ----------------------------------------------------------------------------------------


class Case(NamedTuple):
    """A level of the oracle: two ladders are typed there, whose shapes begin at ``turn``."""

    trades: Path
    level: Decimal
    start: datetime
    turn: int

    @property
    def has_quotes(self) -> bool:
        """Whether the quotes are replayed too."""
        return self.turn % 3 != 1

    @property
    def name(self) -> str:
        """A name for lists."""
        words = "-".join(self.trades.name.split("_")[:2])
        return f"{words}-{self.level}-{'quotes' if self.has_quotes else 'trades'}"


def cases() -> list[Case]:
    """Return the lowest and the highest level of each day of the oracle that are entered."""
    entered = {(row.symbol, row.date, row.level_price, row.search_from) for row in ROWS if row.tp is not None}
    by_day = [list(levels) for _, levels in groupby(sorted(entered), key=itemgetter(0, 1))]
    return [
        Case(
            DATA / "1m" / f"{symbol}_{day}_trades.csv.gz",
            level.quantize(CENT, ROUND_CEILING),
            datetime.fromisoformat(start),
            turn,
        )
        for turn, (symbol, day, level, start) in enumerate(
            level for levels in by_day for level in dict.fromkeys((levels[0], levels[-1]))
        )
    ]


CASES = cases()


@recorded
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_ladders_at_a_level_of_the_oracle_go_as_calculated(case: Case) -> None:
    quotes = quotes_of(quotes_beside(case.trades)) if case.has_quotes else None
    chosen = []
    for shapes in (TWO, THREE):
        turned = (shapes[(case.turn + n) % len(shapes)] for n in range(len(shapes)))
        ladders = (shape.around(case.level, case.start) for shape in turned)
        courses = ((ladder, course(ladder, minutes_of(case.trades), quotes)) for ladder in ladders)
        chosen.append(next(pair for pair in courses if is_clear(pair[1], has_quotes=case.has_quotes)))
    files = files_of(case.trades, has_quotes=case.has_quotes)
    check(files, *zip(*chosen, strict=True), has_quotes=case.has_quotes)


# --- at random --------------------------------------------------------------------------------------------------------


def drawn(draw: random.Random, bars: Sequence[Bar], day: date, sizes: Sequence[int] = (1, 1, 1, 5)) -> Ladder:
    """Return a ladder of any shape somewhere in a day."""
    wish = drawn_wish(draw, bars, day, sizes=sizes)
    count = draw.choice((2, 3, 3))
    steps = draw.choice((("0.5", "1", "2"), ("1", "2", "3"), ("0.5", "1.5", "2.5"), ("0.2", "0.4", "0.6")))
    qty = draw.choice((3, 10, 97, 100, 1000))
    parts: tuple[int, ...] = ()
    if count == 3 and (qty == 3 or draw.random() < 0.5):
        parts = (1, 1, 1) if qty == 3 else draw.choice(((50, 30, 20), (34, 33, 33), (10, 10, 80)))
    risk = draw.choice(("0.0008", "0.0015", "0.003", "0.006", "0.01"))
    ladder = Shape(qty, steps[:count], parts, (), risk).around(wish.level, wish.start, wish.minutes)
    updates: list[Decimal] = []
    for target in ladder.tps[:-1] if draw.random() < 0.6 else ():
        last = (updates or [ladder.sl])[-1]
        part = Decimal(draw.randrange(101)) / 100
        updates.append((last + (target - CENT - last) * part).quantize(CENT, ROUND_FLOOR))
    return ladder._replace(updates=tuple(updates))


def drawn_clear(
    draw: random.Random, bars: Sequence[Bar], day: date, quotes: Sequence[Quote] | None
) -> tuple[Ladder, Course]:
    """Return a ladder that the rules leave no question about; most of those that are drawn buy and sell something."""
    while True:
        ladder = drawn(draw, bars, day)
        found = course(ladder, bars, quotes)
        is_short = len(found.fills) < 2 and draw.random() < 0.9
        if is_clear(found, has_quotes=quotes is not None) and not is_short:
            return ladder, found


@recorded
@pytest.mark.parametrize("number", range(SAMPLES))
def test_a_ladder_drawn_at_random_on_a_recorded_day_agrees(number: int) -> None:
    draw = random.Random(f"{SEED} recorded {number}")
    trades = draw.choice(TRADES)
    has_quotes = draw.random() < 0.7
    quotes = quotes_of(quotes_beside(trades)) if has_quotes else None
    ladder, expected = drawn_clear(draw, minutes_of(trades), day_of(trades), quotes)
    # None of these words makes a difference on recorded bars.
    more = draw.choice(("", "", "sl_type=stop", "sl_offset=0.05", "cover=none", "exit_tif=GTC"))
    check(files_of(trades, has_quotes=has_quotes), [ladder], [expected], has_quotes=has_quotes, more=more)


@recorded
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
@pytest.mark.parametrize("number", range(SAMPLES // 12))
def test_a_ladder_drawn_at_random_on_an_odd_file_agrees(odd: Odd, number: int, tmp_path: Path) -> None:
    draw = random.Random(f"{SEED} {odd.__name__} {number}")
    trades = draw.choice(TRADES)
    bars, quotes = odd(draw, list(minutes_of(trades)), list(quotes_of(quotes_beside(trades))))
    day = HALF_DAY if odd is on_a_half_day else day_of(trades)
    has_quotes = odd is with_one_sided_books or draw.random() < 0.5
    ladder, expected = drawn_clear(draw, bars, day, quotes if has_quotes else None)
    files = [write_bars(tmp_path, day, bars), *([write_quotes(tmp_path, day, quotes)] * has_quotes)]
    check(files, [ladder], [expected], has_quotes=has_quotes)


@recorded
@pytest.mark.parametrize("number", range(SAMPLES // 6))
def test_a_ladder_held_over_night_meets_the_next_open(number: int) -> None:
    draw = random.Random(f"{SEED} days {number}")
    symbol = draw.choice(("BAC", "IBM", "SPY"))
    days = [file for file in TRADES if file.name.startswith(f"{symbol}_2013-10-1")]
    bars = [bar for day in days for bar in minutes_of(day)]
    quotes = [quote for day in days for quote in quotes_of(quotes_beside(day))]
    while True:
        start = at(day_of(days[0]), "15:30") + draw.randrange(20) * plain.MINUTE
        price = next(bar.close for bar in bars if bar.start >= start)
        shape = draw.choice(TWO + THREE)._replace(risk=draw.choice(("0.003", "0.006", "0.01")))
        ladder = shape.around((price - CENT).quantize(CENT), start)
        expected = course(ladder, bars, quotes)
        if expected.fills and expected.fills[-1].at > plain.regular_close(start):
            break
    files = [file for day in days for file in files_of(day, has_quotes=True)]
    check(files, [ladder], [expected], has_quotes=True)


@recorded
@pytest.mark.parametrize("number", range(SAMPLES // 12))
def test_where_seconds_are_replayed_too_they_decide(number: int) -> None:
    draw = random.Random(f"{SEED} seconds {number}")
    name = f"IBM_2013-10-{('08', '11')[number % 2]}_trades.csv.gz"
    minute, second = DATA / "1m" / name, DATA / "1s" / name
    touches = quotes_beside(second if number % 4 == 1 else minute)
    quotes, bars = quotes_of(touches), minutes_of(minute)
    while True:
        wish = drawn_wish(draw, bars, day_of(minute), sizes=(1, 5))
        shape = draw.choice(TWO + THREE)._replace(risk=draw.choice(("0.0008", "0.0015", "0.003")))
        ladder = shape.around(wish.level, at(day_of(minute), "09:40"), wish.minutes)
        expected = course(
            ladder,
            bars,
            quotes,
            seconds_of(name),
            SECOND if touches.parent == second.parent else plain.MINUTE,
        )
        if len(expected.fills) > 1 and is_clear(expected, has_quotes=True):
            break
    check([minute, second, touches], [ladder], [expected], has_quotes=True)
