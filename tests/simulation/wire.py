"""The courier of one schedule: how long messages take, which are lost, doubled, overtaken, and how old a picture is.

Laws: what goes up keeps its order (one connection); from the fault-free suffix on every message takes its typical delay and
pictures are fresh. ``tally`` counts what went wrong.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from random import Random

from tests.simulation.loop import SECOND, SimLoop
from tests.simulation.schedule import Schedule

from tradeshell.core.inputs import CommissionReported, Input, PositionReported

NOTHING: tuple[float, ...] = ()
WAITS = 5.0  # seconds that the host waits for a picture: one that takes longer is as good as none


class SimCourier:
    """Answers from the schedule's own generator."""

    def __init__(self, schedule: Schedule, loop: SimLoop) -> None:
        self.tally: Counter[str] = Counter()
        self.on_silence: Callable[[], object] = bool  # called when a picture is never answered, or too late
        self._wire = schedule.wire
        self._loop = loop
        self._chance = Random(f"{schedule.seed}/courier")
        self._calm_from = schedule.fault_free_from
        first = next(iter(schedule.paths.values()))
        self._wild = sorted(first.wild)
        self._begins = [begin for begin, _ in self._wild]
        self._up_to = self._down_to = 0

    @property
    def is_calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self._loop.micros >= self._calm_from

    def _factor(self) -> float:
        row = bisect_right(self._begins, self._loop.micros) - 1
        return self._wire.wild if row >= 0 and self._loop.micros < self._wild[row][1] else 1.0

    def _delay(self, typical: int) -> int:
        spread = self._wire.spread
        return (
            typical
            if not spread
            else min(3 * SECOND, int(typical * self._chance.lognormvariate(0.0, spread)))
        )

    def to_venue(self, action: str, ref: str, now: datetime) -> Sequence[float]:
        """Return the delay of an order; a few are swallowed."""
        wire, chance = self._wire, self._chance
        delay = self._delay(wire.up)
        if not self.is_calm:
            if wire.lost and chance.random() < wire.lost / 3:
                self.tally["order swallowed"] += 1
                return NOTHING
            if wire.slow and chance.random() < wire.slow / 3 * self._factor():
                self.tally["order slow"] += 1
                delay += chance.randrange(wire.slow_by)
        at = self._up_to = max(self._loop.micros + delay, self._up_to)
        return ((at - self._loop.micros) / SECOND,)

    def to_host(self, message: Input, now: datetime) -> Sequence[float]:
        """Return the delays of one message of the venue."""
        wire, chance = self._wire, self._chance
        delay = self._delay(wire.down)
        if self.is_calm:
            return (self._in_order(delay),)
        factor = self._factor()
        if wire.lost and chance.random() < wire.lost * factor:
            self.tally["message lost"] += 1
            return NOTHING
        if wire.slow and chance.random() < wire.slow * factor:
            self.tally["message slow"] += 1
            delay += chance.randrange(wire.slow_by)
        if wire.position_lag and isinstance(message, PositionReported):
            delay += chance.randrange(wire.position_lag)
            return (delay / SECOND,)
        first = self._in_order(delay) if wire.is_ordered else delay / SECOND
        if (
            wire.doubled
            and not isinstance(message, CommissionReported)
            and chance.random() < wire.doubled * factor
        ):
            self.tally["message doubled"] += 1
            return (first, first + chance.choice((0.0, 0.02, 0.5, 3.0)))
        return (first,)

    def _in_order(self, delay: int) -> float:
        at = self._down_to = max(self._loop.micros + delay, self._down_to)
        return (at - self._loop.micros) / SECOND

    def staleness(self, kind: str, now: datetime) -> float | None:
        """Return how old one part of a picture is; ``None`` when it is never answered."""
        wire, chance = self._wire, self._chance
        if self.is_calm:
            return 0.0
        if kind == "orders":
            self._agreed = chance.random()
            if wire.silent and chance.random() < wire.silent:
                self.tally["snapshot without end"] += 1
                self.on_silence()
                return None
        most = wire.stale[("orders", "executions", "positions").index(kind)]
        if wire.agrees:
            most = max(wire.stale)
        # A heavy tail: most pictures are nearly fresh, a few as old as it gets.
        part = self._agreed if wire.agrees else chance.random()
        return min(most * part**3, self._loop.micros / SECOND)  # nothing is older than the day

    def answer_delay(self, now: datetime) -> float:
        """Return how long a picture takes."""
        delay = self._delay(self._wire.up) + self._delay(self._wire.down)
        if not self.is_calm and self._wire.slow and self._chance.random() < self._wire.slow:
            delay += self._chance.randrange(self._wire.slow_by)
        # One connection: an answer does not overtake what was said before, nor is it overtaken.
        seconds = self._in_order(delay) if self._wire.is_ordered else delay / SECOND
        if seconds >= WAITS:
            self.tally["snapshot too late"] += 1
            self.on_silence()
        return seconds
