"""What happens in a run of days, drawn from its seed before anything runs.

A day has *windows* of one or two minutes in which the market moves, watchers trigger and people act: after the open, in the
middle, and over the close. Between them the market stands still, and at night the gateway restarts, the line flaps and the
program is started again.

Laws: ``draw_run`` is a pure function. Prices stay around one level, so that a ladder that is carried overnight meets its targets
and its stops on a later day. A run of more than ``SETTLED`` days is left without kills and restarts from then on, so that what
grows in one process shows.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import NamedTuple

from tests.simulation.days.calendar import AUTUMNS, Autumn, Day, instant, trading_days
from tests.simulation.faults import Act, Kill, draw_acts, draw_kills
from tests.simulation.features import FEATURES
from tests.simulation.path import SECOND, Bar, Move, Path, Shape, draw_path
from tests.simulation.schedule import CALM, Ask, Schedule, draw, draw_ask
from tests.simulation.wired.trouble import KINDS, Trouble

SYMBOLS = ("AAPL", "MSFT")
TICK = Decimal("0.01")
LEVEL = 19_000  # ticks
SETTLED = 9  # days after which the program of a long run lives on
NIGHT = time(23, 45)  # of New York: when gateways restart
BARS = 5
LAST_SPEECH = 40 * 60  # seconds that a run goes on behind its last close
OLD = ("late_fill", "correct", "bust")  # what clerks do on the day itself: schedules of one day have it
LENGTHS = (45, 60, 90)
TROUBLES = tuple(name for name in KINDS if name not in ("restart", "mute"))


class Window(NamedTuple):
    """A stretch in which the market moves. Instants are microseconds after the run's start."""

    begin: int
    seconds: int
    acts: tuple[Act, ...]
    kills: tuple[Kill, ...]


class Run(NamedTuple):
    """A run of days: the schedule that carries it, and what no schedule of one day has."""

    schedule: Schedule
    days: tuple[Day, ...]
    windows: tuple[Window, ...]
    troubles: tuple[Trouble, ...]
    nights: tuple[tuple[int, int], ...]  # when the program is ended, and how long it is away, in microseconds
    flaps: tuple[Act, ...]
    flattens: tuple[int, ...]  # when the operator sells all

    def micros(self, at: datetime) -> int:
        """Return an instant in microseconds after the start."""
        return (at - self.schedule.start) // timedelta(microseconds=1)


def draw_run(seed: int, count: int, first: date | None = None) -> Run:
    """Return the run of a seed: so many trading days, from ``first`` on if that is given."""
    dice = Random(f"{seed}/days")
    autumn = AUTUMNS[seed % len(AUTUMNS)] if first is None else _autumn_of(first)
    days = tuple(trading_days(autumn, count, first))
    start = days[0].open - timedelta(minutes=20)
    base = draw(7 * seed + 3)  # habits, wire and cost of some day of the campaigns
    moves: dict[str, list[Move]] = {symbol: [] for symbol in SYMBOLS}
    bars: dict[str, list[Bar]] = {symbol: [] for symbol in SYMBOLS}
    wild: list[tuple[int, int]] = []
    asks: list[Ask] = []
    windows: list[Window] = []
    troubles: list[Trouble] = []
    for number, day in enumerate(days):
        is_settled = count > SETTLED + 2 and number >= SETTLED
        for begin, seconds, is_last in _windows(dice, day):
            at = (begin - start) // timedelta(microseconds=1)
            symbol = dice.choice((SYMBOLS[0], SYMBOLS[0], SYMBOLS[1]))
            shape = _shape(dice)
            path = draw_path(dice, shape, seconds, CALM, BARS, partial=bool(base.habits.settings["partial"]))
            moves[symbol] += (move._replace(at=move.at + at) for move in path.moves)
            bars[symbol] += (bar._replace(at=bar.at + at, begin=bar.begin + at) for bar in path.bars)
            if symbol == SYMBOLS[0]:
                wild += ((a + at, b + at) for a, b in path.wild)
            asks += (_ask(dice, symbol, shape, at, expires=is_last) for _ in range(dice.choice((1, 1, 2))))
            windows.append(
                Window(at, seconds, *_people(dice, symbol, path, seconds, has_kills=not is_settled))
            )
            troubles += _troubles(dice, at, seconds)
    troubles += _restarts(dice, days, start)
    length = int((days[-1].close - start).total_seconds()) + LAST_SPEECH
    shape = Shape(TICK, LEVEL, 150, (19_150, 19_300, 19_450))
    schedule = base._replace(
        seed=seed,
        start=start,
        seconds=length,
        fault_free_from=(length - LAST_SPEECH + CALM) * SECOND,
        paths={
            symbol: Path(shape, tuple(moves[symbol]), tuple(bars[symbol]), tuple(wild)) for symbol in SYMBOLS
        },
        asks=tuple(sorted(asks, key=lambda ask: ask.at)),
        refusing=(),
        acts=(),
        kills=(),
        position_before=0,
        limits={},
        history=0,
    )
    return Run(
        schedule, days, tuple(windows), tuple(sorted(troubles)), *_nights(dice, days, start, long=count > SETTLED + 2)
    )  # fmt: skip


def _autumn_of(first: date) -> Autumn:
    return next(autumn for autumn in AUTUMNS if autumn.first.year == first.year)


def _windows(dice: Random, day: Day) -> list[tuple[datetime, int, bool]]:
    """Return when the market of a day moves, how long, and whether the close lies within."""
    seconds = [dice.choice(LENGTHS) for _ in range(3)]
    last = day.close - timedelta(seconds=dice.randint(20, seconds[2]))
    return [
        (day.open + timedelta(seconds=dice.randint(60, 900)), seconds[0], False),
        (day.open + timedelta(minutes=dice.randint(40, 150)), seconds[1], False),
        (last, seconds[2], True),
    ]


def _shape(dice: Random) -> Shape:
    risk = dice.choice((60, 95, 150, 280))
    level = LEVEL + dice.randint(-120, 120)
    targets: list[int] = []
    far = level
    for _ in range(4):
        far += max(3, int(risk * dice.choice((0.6, 1.0, 1.5))))
        targets.append(far)
    return Shape(TICK, level, risk, tuple(targets))


def _ask(dice: Random, symbol: str, shape: Shape, begin: int, *, expires: bool) -> Ask:
    ask = draw_ask(dice, symbol, shape, BARS, FEATURES, expires)
    return ask._replace(at=ask.at + begin)


def _people(
    dice: Random, symbol: str, path: Path, seconds: int, *, has_kills: bool
) -> tuple[tuple[Act, ...], tuple[Kill, ...]]:
    """Return what people and clerks do in a window, and how the program is killed in it."""
    acts = [
        act for act in draw_acts(dice, (symbol,), path, seconds * SECOND, FEATURES) if act.what not in OLD
    ]
    kept = tuple(act for act in acts if dice.random() < 0.5)
    kills = draw_kills(dice, path, seconds * SECOND)[:1] if has_kills and dice.random() < 0.5 else ()
    return kept, tuple(kill for kill in kills if not kill.on)


def _troubles(dice: Random, begin: int, seconds: int) -> list[Trouble]:
    if dice.random() > 0.25:
        return []
    what = dice.choice(TROUBLES)
    at = begin + dice.randrange(2 * SECOND, seconds * SECOND)
    length = max(int(KINDS[what][1] * SECOND), 27 * SECOND if what == "half_open" else 0)
    return [Trouble(at, at + length, what, dice.randrange(1000))]


def _restarts(dice: Random, days: tuple[Day, ...], start: datetime) -> list[Trouble]:
    """Return the restarts of the gateway: every night, and long ones when the week is over."""
    found: list[Trouble] = []
    day = days[0].day
    while day < days[-1].day:
        at = (instant(day, NIGHT) - start) // timedelta(microseconds=1) + dice.randrange(300) * SECOND
        length = dice.choice((60, 120, 300)) if day.weekday() != 5 else dice.choice((600, 6 * 3600))
        found.append(Trouble(at, at + length * SECOND, "restart"))
        day += timedelta(days=1)
    return found


def _nights(
    dice: Random, days: tuple[Day, ...], start: datetime, *, long: bool
) -> tuple[tuple[tuple[int, int], ...], tuple[Act, ...], tuple[int, ...]]:
    """Return when the program is started again at night, when the line flaps, and when everything is sold."""
    nights: list[tuple[int, int]] = []
    flaps: list[Act] = []
    flattens: list[int] = []
    for number, (day, following) in enumerate(pairwise(days)):
        close = (day.close - start) // timedelta(microseconds=1)
        gap = int((following.open - day.close).total_seconds())
        if dice.random() < 0.5 and not (long and number >= SETTLED):
            at = close + dice.randrange(600, gap - 3600) * SECOND
            away = dice.choice((20, 300, 3 * 3600, gap))
            most = close + (gap - 1800) * SECOND - at
            nights.append((at, min(away * SECOND, most)))
        if dice.random() < 0.4:
            at = close - dice.randrange(1800, 3 * 3600) * SECOND
            for _ in range(dice.randint(2, 5)):
                what, pick = dice.choice(("drop", "drop", "reset")), dice.randrange(64)
                flaps.append(Act(at, "start", 1, "link", what, SYMBOLS[0], pick, dice.randint(1, 60)))
                at += dice.randrange(1, 20) * SECOND
        if dice.random() < 0.2:
            flattens.append(close - dice.randrange(1000, 1700) * SECOND)
    return tuple(nights), tuple(flaps), tuple(flattens)
