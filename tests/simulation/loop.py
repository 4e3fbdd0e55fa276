"""The loop of one schedule: virtual time in whole microseconds, no selector, no thread, no socket.

Laws: time stands still while a callback runs and moves only to the next timer; two timers of one instant run in the order in
which they were set; what is called soon runs before time moves. A loop lives for one schedule and leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

Connector: TypeAlias = Callable[[Callable[[], Any]], Awaitable[tuple[Any, Any]]]
MICROSECOND = timedelta(microseconds=1)
SECOND = 1_000_000  # microseconds


class Call:
    """Something that will be called, unless it is called off."""

    __slots__ = ("args", "callback", "is_cancelled")

    def __init__(self, callback: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.callback, self.args = callback, args
        self.is_cancelled = False

    def cancel(self) -> None:
        """Call it off."""
        self.is_cancelled = True


class StuckError(Exception):
    """Callbacks follow each other without end at one instant."""


STRAYS: list[BaseException] = []  # failures that nobody looked at, of loops that do not run any more, too
TURNS = 5_000  # callbacks at one instant


class SimLoop:
    """What tasks and futures need of a loop, and a heap of timers. ``time()`` is seconds since the schedule's start."""

    def __init__(self) -> None:
        self.micros = 0
        self.connector: Connector | None = None  # what a schedule has for a network
        self.faults: list[BaseException] = []
        self._ready: deque[Call] = deque()
        self._timers: list[tuple[int, int, Call]] = []
        self._number = 0

    # --- what the schedule asks ---------------------------------------------------------------------------------------

    def run_until(self, micros: int) -> None:
        """Run everything that is due up to ``micros``, and stand there."""
        ready, timers = self._ready, self._timers
        events._set_running_loop(self)  # type: ignore[arg-type]  # it quacks as far as it is asked
        try:
            turns = 0
            while True:
                while ready:
                    call = ready.popleft()
                    if not call.is_cancelled:
                        call.callback(*call.args)
                        turns += 1
                        if turns > TURNS:
                            raise StuckError(
                                f"more than {TURNS} callbacks at one instant, the last is {call.callback}"
                            )
                if not timers or timers[0][0] > micros:
                    break
                when, _, call = heapq.heappop(timers)
                if call.is_cancelled:
                    continue
                if when > self.micros:
                    self.micros, turns = when, 0
                ready.append(call)
            self.micros = max(self.micros, micros)
        finally:
            events._set_running_loop(None)

    def at(self, micros: int, callback: Callable[..., Any], *args: Any) -> Call:
        """Call at an instant of the schedule, in microseconds."""
        call = Call(callback, args)
        self._number += 1
        heapq.heappush(self._timers, (micros, self._number, call))
        return call

    # --- what tasks and futures ask -----------------------------------------------------------------------------------

    def time(self) -> float:
        """Return seconds since the schedule's start."""
        return self.micros / SECOND

    def get_debug(self) -> bool:
        """Say no."""
        return False

    def is_running(self) -> bool:
        """Return whether callbacks run."""
        running: object = events._get_running_loop()
        return running is self

    def is_closed(self) -> bool:
        """A loop of a schedule is dropped, not closed."""
        return False

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Call:
        """Call before time moves. Nothing here uses context variables."""
        call = Call(callback, args)
        self._ready.append(call)
        return call

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Call:
        """Call after ``delay`` seconds."""
        return self.at(self.micros + round(delay * SECOND), callback, *args)

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Call:
        """Call when ``time()`` is ``when``."""
        return self.at(round(when * SECOND), callback, *args)

    def create_future(self) -> asyncio.Future[Any]:
        """Return a future of this loop."""
        return asyncio.Future(loop=self)  # type: ignore[arg-type]  # as above

    def create_task(self, coro: Coroutine[Any, Any, Any], **_more: Any) -> asyncio.Task[Any]:
        """Return a task of this loop."""
        return asyncio.Task(coro, loop=self)  # type: ignore[arg-type]  # as above

    async def create_connection(self, factory: Callable[[], Any], host: str, port: int) -> tuple[Any, Any]:
        """Connect through the schedule's network; raises ``OSError``."""
        if self.connector is None:
            raise ConnectionRefusedError("this schedule has no network")
        return await self.connector(factory)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody has caught: it is a finding."""
        error = context.get("exception")
        found = error if isinstance(error, BaseException) else RuntimeError(str(context["message"]))
        self.faults.append(found)
        # What was pending when a schedule ended is nobody's fault; what had failed and was not looked at is.
        if self.connector is not None and "never retrieved" in str(context["message"]):
            STRAYS.append(found)


class SimClock:
    """The loop as a clock: ``start`` plus its microseconds. Satisfies the engine's and the venue's port."""

    def __init__(self, loop: SimLoop, start: datetime) -> None:
        self._loop = loop
        self.start = start
        self._cached = (0, start)

    def now(self) -> datetime:
        """Return the present instant, UTC."""
        micros, known = self._cached
        if micros != self._loop.micros:
            known = self.start + timedelta(microseconds=self._loop.micros)
            self._cached = (self._loop.micros, known)
        return known

    def instant(self, micros: int) -> datetime:
        """Return the instant so many microseconds after the start."""
        return self.start + timedelta(microseconds=micros)

    def micros_of(self, when: datetime) -> int:
        """Return an instant in microseconds since the start."""
        return (when - self.start) // MICROSECOND

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Call:
        """Call at ``when``, at once when that is past."""
        return self._loop.at(max(self._loop.micros, self.micros_of(when)), callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call before time moves."""
        self._loop.call_soon(callback)

    def start_at(self, when: datetime) -> None:
        """The schedule has set the clock already."""

    def try_advance(self, to: datetime) -> bool:
        """Say whether it is that late already: time moves in the loop alone."""
        return to <= self.now()


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
