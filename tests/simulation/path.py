"""Where a market goes in one schedule: touches, prints, bars and halts, drawn before anything runs.

Laws: the path is a pure function of the generator that it is given; prices are whole ticks until they are told; moves cluster,
so that what is violent comes together. A path begins below its level, nearly always reaches it, and visits targets and stops.
"""

from __future__ import annotations

from bisect import bisect_right
from decimal import Decimal
from random import Random
from typing import NamedTuple

SECOND = 1_000_000  # microseconds
CALM_PACE = 4  # seconds between two touches of a calm market


class Shape(NamedTuple):
    """The prices that a path knows of, in ticks: where it begins, what it breaks, where exits lie."""

    tick: Decimal
    level: int
    risk: int  # ticks between level and stop
    targets: tuple[int, ...]

    def price(self, ticks: int) -> Decimal:
        """Return ticks as USD."""
        return self.tick * max(1, ticks)


class Move(NamedTuple):
    """One thing that the market does. ``kind``: quote (a bid, b ask, size), print (a price, size), halt (a on/off)."""

    at: int  # microseconds
    kind: str
    a: int
    b: int
    size: int


class Bar(NamedTuple):
    """One closed bar in ticks, told at ``at``."""

    at: int
    begin: int
    open: int
    high: int
    low: int
    close: int
    volume: int


class Path(NamedTuple):
    """A whole path. ``wild``: spans in which the market is wild, in microseconds."""

    shape: Shape
    moves: tuple[Move, ...]
    bars: tuple[Bar, ...]
    wild: tuple[tuple[int, int], ...]
    seconds: tuple[Bar, ...] = ()  # bars of a second, where somebody wants them

    def wildest(self, chance: Random, last: int) -> int:
        """Return an instant before ``last``, most often in a wild span."""
        spans = [span for span in self.wild if span[0] < last]
        if spans and chance.random() < 0.7:
            begin, end = chance.choice(spans)
            return chance.randrange(begin, max(begin + 1, min(end, last)))
        return chance.randrange(SECOND, last)


def draw_path(
    chance: Random, shape: Shape, seconds: int, calm: int, bar_seconds: int, *, partial: bool
) -> Path:
    """Return a path of ``seconds``, and ``calm`` seconds behind it in which the market hardly moves."""
    risk, level = shape.risk, shape.level
    at = 0
    here = level - chance.randint(max(1, risk // 4), max(2, risk))
    moves: list[Move] = []
    prints: list[tuple[int, int, int]] = []
    wild: list[tuple[int, int]] = []
    first = True
    while at < seconds * SECOND:
        if first:
            target = level + chance.randint(0, max(1, risk // 6)) if chance.random() < 0.97 else level - risk
            span = chance.randint(4, 18)
            first = False
        else:
            target = _next_target(chance, shape, here)
            span = chance.choice((2, 5, 8, 13, 20, 35))
        is_wild = chance.random() < 0.35
        pace = chance.choice((0.5, 1.0)) if is_wild else chance.choice((1.0, 1.5, 2.5))
        begin, end = at, min(at + span * SECOND, seconds * SECOND)
        if is_wild:
            wild.append((begin, max(begin + 1, end)))
            if chance.random() < 0.3:
                here = target + chance.randint(-risk // 4 - 1, risk // 8 + 1)  # a gap
            if chance.random() < 0.12 and at > 0:
                _halt(chance, moves, begin, end)
        noise = max(1, risk // (4 if is_wild else 12))
        from_, steps = here, max(1, int((end - begin) / SECOND / pace))
        for step in range(1, steps + 1):
            at = begin + (end - begin) * step // steps
            at -= chance.randrange(1, 200_000) if step < steps else 0
            here = max(3, from_ + (target - from_) * step // steps + chance.randint(-noise, noise))
            spread = (
                chance.choice((1, 1, 1, 2, 3, max(1, risk // 8))) if is_wild else chance.choice((1, 1, 2))
            )
            size = chance.choice((1, 3, 20, 100, 100, 400)) if partial else 1000
            bid = max(1, here - spread // 2 - 1)
            moves.append(Move(at, "quote", bid, bid + spread, size))
            if step % 2 or is_wild:
                prints.append((at, here, size))
                moves.append(Move(at, "print", here, 0, size))
        at = max(at, end)
    if any(move.kind == "halt" for move in moves):
        moves.append(Move(seconds * SECOND, "halt", 0, 0, 0))
    for at in range(seconds * SECOND, (seconds + calm) * SECOND, CALM_PACE * SECOND):
        here = max(3, here + chance.randint(-1, 1))
        moves += (Move(at, "quote", here - 1, here + 1, 1000), Move(at, "print", here, 0, 1000))
    moves.sort(key=lambda move: move.at)
    return Path(shape, tuple(moves), _bars(prints, seconds, bar_seconds), tuple(wild))


def with_seconds(path: Path, seconds: int) -> Path:
    """Return the path with its bars of a second, too."""
    prints = [(move.at, move.a, move.size) for move in path.moves if move.kind == "print"]
    return path._replace(seconds=_bars(prints, seconds, 1))


def _next_target(chance: Random, shape: Shape, here: int) -> int:
    level, risk = shape.level, shape.risk
    stop = level - risk
    beyond = max(1, risk // 10)
    places = [stop - beyond, stop + beyond, stop - risk, level, level - risk // 2, here]
    for target in shape.targets:
        places += [target + beyond, target + beyond, target - beyond]
    return max(3, chance.choice(places))


def _halt(chance: Random, moves: list[Move], begin: int, end: int) -> None:
    moves.append(Move(begin, "halt", 1, 0, 0))
    moves.append(Move(chance.randrange(begin + 1, end + 10 * SECOND), "halt", 0, 0, 0))


def _bars(prints: list[tuple[int, int, int]], seconds: int, length: int) -> tuple[Bar, ...]:
    """Return the closed bars of ``length`` seconds; one in which nothing traded does not exist."""
    prints.sort()
    times = [at for at, _, _ in prints]
    bars: list[Bar] = []
    for begin in range(0, seconds * SECOND, length * SECOND):
        end = begin + length * SECOND
        inside = prints[bisect_right(times, begin - 1) : bisect_right(times, end - 1)]
        if inside:
            prices = [price for _, price, _ in inside]
            volume = sum(size for _, _, size in inside)
            bars.append(Bar(end, begin, prices[0], max(prices), min(prices), prices[-1], volume))
    return tuple(bars)
