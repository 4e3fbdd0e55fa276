"""The post between host and venue: carries orders one way and messages the other as a courier says, and loses what must be lost.

Laws: what is due at the same instant arrives in the order in which it was sent; a message tells the instant at which it arrives,
an execution keeps the instant at which it happened. What is under way when the link drops is lost. A defect of whoever receives
one message costs that message: the rest arrives.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec.structs import replace

from tradeshell import Handle, Input, VenueClock
from tradeshell_paper.courier import Courier

ORDER, MESSAGE = 0, 1


class Post:
    """Carries. ``tell`` hands a message to the host."""

    def __init__(
        self, clock: VenueClock, courier: Courier, latency: timedelta, tell: Callable[[Input], None]
    ) -> None:
        self._clock = clock
        self._courier = courier
        self._latency = latency
        self._tell = tell
        self._serial = 0
        self._queue: list[tuple[datetime, int, int, Callable[[], None]]] = []
        self._handle: Handle | None = None
        self._armed: datetime | None = None

    def to_venue(self, action: str, ref: str, arrive: Callable[[], None]) -> None:
        """Send an order; never inside this call."""
        now = self._clock.now()
        for delay in self._courier.to_venue(action, ref, now):
            wait = self._latency + timedelta(seconds=delay) if delay else self._latency
            if wait or self._is_due(now):
                self._put(now + wait, ORDER, arrive)
            else:
                self._clock.call_soon(arrive)

    def to_host(self, message: Input) -> None:
        """Send a message of the venue."""
        now = self._clock.now()
        for delay in self._courier.to_host(message, now):
            if delay or self._is_due(now):
                self._put(now + timedelta(seconds=delay), MESSAGE, lambda: self._hand_over(message))
            else:
                self._tell(message)

    def lose(self, *, orders: bool) -> None:
        """Lose every message that is under way, and every order if ``orders``."""
        self._queue = [] if orders else [entry for entry in self._queue if entry[2] is ORDER]
        heapq.heapify(self._queue)

    def close(self) -> None:
        """Carry nothing any more."""
        self._queue = []
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _is_due(self, now: datetime) -> bool:
        """Return whether something that was sent before is about to arrive at this instant."""
        return bool(self._queue) and self._queue[0][0] <= now

    def _hand_over(self, message: Input) -> None:
        self._tell(replace(message, at=self._clock.now()))

    def _put(self, at: datetime, kind: int, act: Callable[[], None]) -> None:
        self._serial += 1
        heapq.heappush(self._queue, (at, self._serial, kind, act))
        if self._armed is None or at < self._armed:
            self._arm(at)

    def _arm(self, at: datetime) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed = at
        self._handle = self._clock.call_at(at, self._due)

    def _due(self) -> None:
        # A clock of floats may stand a microsecond before the instant it was asked for.
        now = self._clock.now() if self._armed is None else max(self._clock.now(), self._armed)
        self._handle = self._armed = None
        try:
            while self._queue and self._queue[0][0] <= now:
                heapq.heappop(self._queue)[3]()
        finally:
            if self._queue and self._armed is None:
                self._arm(self._queue[0][0])
