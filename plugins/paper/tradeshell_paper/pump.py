"""The pump: plays what happens on the tape, in order, on the venue's clock.

Laws: one thing at a time, by instant, then phase, then who was there first; time moves only through the clock. At speed ``max``
many instants pass in one turn of the loop, as long as nothing else is due (``VenueClock.try_advance``); other callbacks get their
turn at least every ``TURN`` events. What answers something said at an instant is let through before the prints of that same
instant: a stop that is moved because of a closed bar meets the open of the next one.
"""

from __future__ import annotations

import heapq
from datetime import datetime
from enum import IntEnum
from typing import Protocol

from tradeshell import Handle, VenueClock

TURN = 2000  # events
PATIENCE = 64  # turns of the loop that an answer may take before the prints of its instant come


class Phase(IntEnum):
    """The order of things at one instant."""

    RANGE = 0  # the range of a bar that ended
    TIME = 1  # expiries, hours
    TOUCH = 2  # quotes in force from now
    CLOSED = 3  # closed bars to their listeners
    TRADE = 4  # opens of bars that begin, prints
    END = 5


class Cursor(Protocol):
    """Something that plays along the tape. ``at`` is its next instant (``None``: it waits or is over)."""

    at: datetime | None
    phase: Phase
    token: int

    def play(self, now: datetime) -> None:
        """Do what is due at ``now`` (its own ``at``) and set ``at`` and ``phase`` to what comes next."""
        ...


class Pump:
    """Plays cursors. Runs only while ``is_active``."""

    def __init__(self, clock: VenueClock) -> None:
        self._clock = clock
        self._heap: list[tuple[datetime, int, int, Cursor]] = []
        self._serial = 0
        self._handle: Handle | None = None
        self._is_asked = False
        self._is_running = False
        self._turns = 0
        self.is_active = False
        self.is_up = False  # the host listens
        self.has_spoken = False  # something was said at this instant that may be answered

    def add(self, cursor: Cursor) -> None:
        """Play ``cursor`` from now on, or again from where its ``at`` says."""
        self._serial += 1
        cursor.token = self._serial
        if cursor.at is not None:
            heapq.heappush(self._heap, (cursor.at, cursor.phase, cursor.token, cursor))
        self.wake()

    def remove(self, cursor: Cursor) -> None:
        """Play ``cursor`` no more."""
        cursor.token = 0

    def set_active(self, active: bool) -> None:
        """Let time flow for the tape, or let it rest: nobody watches, no order works, nothing is held."""
        self.is_active = active
        self.wake()

    def wake(self) -> None:
        """Look at the next turn of the loop what is due."""
        if self.is_active and self._heap and not self._is_running and not self._is_asked:
            self._is_asked = True
            self._clock.call_soon(self._look)

    def close(self) -> None:
        """Stop for good."""
        self._heap.clear()
        self.is_active = False
        self._disarm()

    def _look(self) -> None:
        self._is_asked = False
        self._disarm()
        self._run(self._clock.now())

    def _disarm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, at: datetime) -> None:
        def due() -> None:
            self._handle = None
            # A clock of floats may stand a microsecond before the instant it was asked for.
            self._run(max(self._clock.now(), at))

        self._handle = self._clock.call_at(at, due)

    def _run(self, now: datetime) -> None:
        if self._is_running:
            return
        self._is_running = True
        try:
            self._play(now)
        except BaseException:
            # A listener's defect costs its own callback: the tape goes on behind it.
            self._is_running = False
            self.wake()
            raise
        self._is_running = False

    def _play(self, now: datetime) -> None:
        heap, try_advance, pop, push = self._heap, self._clock.try_advance, heapq.heappop, heapq.heappush
        left = TURN
        while heap and self.is_active:
            entry = heap[0]
            at, phase, token, cursor = entry
            if cursor.token != token:
                pop(heap)
                continue
            if at > now:
                if not try_advance(at):
                    self._arm(at)
                    return
                now = at
                self.has_spoken = False
                self._turns = 0
            elif self.has_spoken and phase >= Phase.TRADE and self._must_settle(now):
                return
            left -= 1
            if left < 0:
                self._ask()
                return
            pop(heap)
            try:
                cursor.play(at)
            finally:
                if cursor.token == token and cursor.at is not None:
                    push(heap, (cursor.at, cursor.phase, token, cursor))

    def _must_settle(self, now: datetime) -> bool:
        """Return whether the loop gets another turn before the prints of this instant."""
        if self._turns < PATIENCE and not self._clock.try_advance(now):
            self._turns += 1
            self._ask()
            return True
        self.has_spoken = False
        return False

    def _ask(self) -> None:
        self._is_asked = True
        self._clock.call_soon(self._look)
