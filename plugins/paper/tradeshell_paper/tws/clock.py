"""The market's clock on an ordinary loop: wall-clock time, from a first instant, at a speed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tradeshell import Handle

MICROSECOND = timedelta(microseconds=1)
LOOK_AGAIN = 0.01  # seconds between two looks at a clock that is held


class ScaledClock:
    """A ``VenueClock`` that stands at ``start`` when it is made, and moves ``speed`` times as fast as the loop's."""

    def __init__(self, loop: asyncio.AbstractEventLoop, speed: float = 1.0) -> None:
        self._loop = loop
        self._speed = speed
        self._start = datetime.fromtimestamp(0, UTC)
        self._since = loop.time()
        self._is_held = False

    def hold(self) -> None:
        """Let time stand still."""
        self._start, self._is_held = self.now(), True

    def release(self) -> None:
        """Let time flow; twice is harmless."""
        if self._is_held:
            self._is_held, self._since = False, self._loop.time()

    def now(self) -> datetime:
        """Return the market's instant."""
        if self._is_held:
            return self._start
        return self._start + timedelta(seconds=(self._loop.time() - self._since) * self._speed)

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Handle:
        """Call ``callback`` at ``when``, never before."""
        handle = _Timer()

        def due() -> None:
            left = (when - self.now()).total_seconds()
            if left > 0:  # the loop's clock is coarser than ours
                handle.timer = self._loop.call_later(self._real(left) + 0.0001, due)
            else:
                callback()

        handle.timer = self._loop.call_later(self._real(max(0.0, (when - self.now()).total_seconds())), due)
        return handle

    def _real(self, seconds: float) -> float:
        # While time stands still nobody knows how long it takes: look again soon.
        return min(seconds / self._speed, LOOK_AGAIN) if self._is_held else seconds / self._speed

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop's next turn."""
        self._loop.call_soon(callback)

    def start_at(self, when: datetime) -> None:
        """Set the clock."""
        self._start, self._since = when, self._loop.time()

    def try_advance(self, to: datetime) -> bool:
        """Say whether ``to`` has come: on this clock nobody can move time."""
        return to <= self.now()


class _Timer:
    timer: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Call it off."""
        if self.timer is not None:
            self.timer.cancel()
