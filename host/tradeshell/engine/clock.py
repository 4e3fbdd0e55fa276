"""Clocks: the wall clock for real brokers, and a loop on a venue's own time for simulated ones.

Laws of the venue loop: time moves only inside ``select``, from timer to timer, so what happens is the same at every speed; no
timer runs before its instant, and two of one instant run in the order in which they were set; while *held*, no time passes at
all (a script's commands are typed at one instant, time flows while ``wait`` runs); at infinite speed nothing ever sleeps.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import time
from collections.abc import Callable
from contextvars import Context
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tradeshell.ports import Handle


class Pace(NamedTuple):
    """Another time than the computer's for a broker in another process: a gateway that plays a day of the past at a speed."""

    start: datetime
    speed: float


class WallClock:
    """The computer's clock on an ordinary loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> datetime:
        """Return the present instant, UTC."""
        return datetime.now(UTC)

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Handle:
        """Call ``callback`` at ``when``."""
        return self._loop.call_later(max(0.0, (when - self.now()).total_seconds()), callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop's next turn."""
        self._loop.call_soon(callback)


class _VenueSelector(selectors.DefaultSelector):
    """Waits for real I/O as usual and for time as the venue loop says."""

    loop: VenueLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        loop = self.loop
        if timeout is None or loop.is_held:
            found = super().select(None if timeout is None or timeout > 0 else 0)
            if not loop.is_held:  # nothing was due, but the venue's time went on
                loop.move_to(loop.flowing_time())
            return found
        if timeout <= 0:
            return super().select(0)
        target = loop.time() + timeout
        events = super().select(loop.real_delay(target))
        loop.move_to(target if not events else min(target, loop.flowing_time()))
        return events


class _FifoTimer(asyncio.TimerHandle):
    """A timer that keeps its place among timers of the same instant (the stock heap does not)."""

    number = 0

    def __lt__(self, other: object) -> bool:
        assert isinstance(other, _FifoTimer)
        return (self.when(), self.number) < (other.when(), other.number)


class VenueLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose ``time()`` is the venue's: seconds since the epoch, UTC. ``speed`` may be ``math.inf``."""

    def __init__(self, speed: float = math.inf) -> None:
        selector = _VenueSelector()
        selector.loop = self
        self._now = 0.0
        self._anchor = (0.0, time.monotonic())
        self.speed = speed
        self.is_held = False
        self._timers = 0
        super().__init__(selector)
        self._set(0.0)
        self._scheduled: list[_FifoTimer]
        self._ready: Any

    def time(self) -> float:
        """Return the venue's time; it stands still while callbacks run."""
        return self._now

    def move_to(self, now: float) -> None:
        """Move the venue's time forward."""
        self._set(max(self._now, now))

    def start_at(self, now: float) -> None:
        """Set the venue's time; only before anything was scheduled."""
        self._set(now)
        self._anchor = (now, time.monotonic())

    def flowing_time(self) -> float:
        """Return where the venue's time would be by the wall clock and the speed."""
        if math.isinf(self.speed):
            return self._now
        base, since = self._anchor
        return base + (time.monotonic() - since) * self.speed

    def real_delay(self, target: float) -> float:
        """Return the real seconds until the venue reaches ``target``."""
        if math.isinf(self.speed):
            return 0.0
        return max(0.0, (target - self.flowing_time()) / self.speed)

    def hold(self) -> None:
        """Stop the venue's time. On the loop's thread."""
        self.is_held = True

    def release(self) -> None:
        """Let the venue's time flow. On the loop's thread."""
        self.is_held = False
        self._anchor = (self._now, time.monotonic())

    def call_at(  # type: ignore[override]  # the stubs spell the TypeVarTuple form
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Schedule as usual, first set first run."""
        self._check_closed()  # type: ignore[attr-defined]  # private, as in the stock call_at
        timer = _FifoTimer(when, callback, args, self, context)
        self._timers += 1
        timer.number = self._timers
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001  # the stock loop counts cancelled timers by it
        return timer

    def try_advance(self, to: float) -> bool:
        """Move to ``to`` at once if the speed is infinite and nothing else would run before; say whether it was done."""
        if self.is_held or self.speed != math.inf or self._ready:
            return False
        scheduled = self._scheduled
        if scheduled and scheduled[0].when() <= to:
            return False
        self._set(max(self._now, to))
        return True

    def _set(self, now: float) -> None:
        self._now = now
        # The stock loop runs what is due *before* now + resolution: with the next float, exactly what is due by now.
        self._clock_resolution = math.ulp(now)


class LoopClock:
    """The venue loop as the engine's clock."""

    def __init__(self, loop: VenueLoop) -> None:
        self._loop = loop
        self._cached = (-1.0, datetime.fromtimestamp(0, UTC))

    def now(self) -> datetime:
        """Return the venue's instant, UTC, to the microsecond."""
        seconds, known = self._cached
        now = self._loop.time()
        if seconds != now:
            known = datetime.fromtimestamp(round(now, 6), UTC)
            self._cached = (now, known)
        return known

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Handle:
        """Call ``callback`` at ``when``."""
        return self._loop.call_at(when.timestamp(), callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop's next turn."""
        self._loop.call_soon(callback)

    def start_at(self, when: datetime) -> None:
        """Set the venue's time."""
        self._loop.start_at(when.timestamp())

    def try_advance(self, to: datetime) -> bool:
        """Move to ``to`` at once if nothing else is due before."""
        seconds = to.timestamp()
        if not self._loop.try_advance(seconds):
            return False
        self._cached = (seconds, to)
        return True
