"""Whether anybody is still at the other end: a TCP connection says nothing when the other side is gone without a word.

Laws: any byte is a sign of life. After a silence the time is asked for; when that stays unanswered the connection is given up.
While the gateway has lost Interactive Brokers it may not answer such questions, so it is given much longer. The broker's clock
is learnt on the way.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from tradeshell import BrokerError, Clock, Handle
from tradeshell_ibkr.pacing import Priority
from tradeshell_ibkr.states import LinkState
from tradeshell_ibkr.wire import Hub, Wire

LOOK_EVERY = timedelta(seconds=5)
ASK_AFTER = 10.0  # seconds of silence after which the time is asked for
DEAD_AFTER = 20.0  # seconds of silence after which nobody is there
DEAD_WITHOUT_IB = (
    60.0  # the same while the gateway has lost Interactive Brokers: the line to it may die meanwhile
)
TIME_EVERY = 300.0  # seconds between two looks at the broker's clock
TIME_WITHIN = 4.0  # seconds
CLOCK_SLACK = 2.0  # seconds: the broker tells its time in whole ones


T = TypeVar("T")


class Watched(Protocol):
    """What is watched: a connection."""

    clock: Clock
    hub: Hub
    wire: Wire | None

    @property
    def has_ib(self) -> bool:
        """Whether the gateway has its own link."""
        ...

    def ask(self, method: str, *args: Any, priority: Priority = ...) -> None:
        """Send a request."""
        ...

    async def within(self, future: asyncio.Future[T], seconds: float, words: str) -> T:
        """Wait for an answer."""
        ...

    def drop(self, state: LinkState, detail: str) -> None:
        """Give the connection up."""
        ...


class Pulse:
    """Watches one connection, from ``begin`` to ``end``, again for each."""

    def __init__(self, connection: Watched) -> None:
        self._connection = connection
        self._timer: Handle | None = None
        self._heard = 0
        self._heard_at = connection.clock.now()
        self._asked_at: datetime | None = None
        self._asking: list[asyncio.Future[datetime]] = []
        self.offset = 0.0  # seconds the broker's clock is ahead
        connection.hub.listen("currentTime", self._told)

    def begin(self) -> None:
        """Watch the connection that has just come up."""
        self._heard, self._heard_at = 0, self._connection.clock.now()
        self._ask()
        self._look_later()

    def end(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_later(self) -> None:
        clock = self._connection.clock
        self._timer = clock.call_at(clock.now() + LOOK_EVERY, self._look)

    def _look(self) -> None:
        connection = self._connection
        wire, now = connection.wire, connection.clock.now()
        if wire is None:
            return
        if wire.heard != self._heard or now < self._heard_at:  # or the computer's clock was set back
            self._heard, self._heard_at = wire.heard, now
        silent = (now - self._heard_at).total_seconds()
        if silent >= (DEAD_AFTER if connection.has_ib else DEAD_WITHOUT_IB):
            connection.drop(LinkState.LIFELESS, f"nothing was heard for {silent:.0f} s")
            return
        asked = self._asked_at
        if silent >= ASK_AFTER or asked is None or (now - asked).total_seconds() >= TIME_EVERY:
            self._ask()
        self._look_later()

    def _ask(self) -> None:
        self._asked_at = self._connection.clock.now()
        with contextlib.suppress(BrokerError):  # the end of the connection is told elsewhere
            self._connection.ask("reqCurrentTime", priority=Priority.QUESTION)

    async def time(self) -> datetime:
        """Return the broker's time; raises ``BrokerError`` when there is no answer."""
        answer: asyncio.Future[datetime] = asyncio.get_running_loop().create_future()
        self._asking.append(answer)
        self._connection.ask("reqCurrentTime", priority=Priority.QUESTION)
        try:
            return await self._connection.within(answer, TIME_WITHIN, "the broker's time was not told")
        finally:
            if answer in self._asking:
                self._asking.remove(answer)

    def _told(self, seconds: int) -> None:
        asking, self._asking = self._asking, []
        for answer in asking:
            if not answer.done():
                answer.set_result(datetime.fromtimestamp(seconds, UTC))
        offset = seconds - self._connection.clock.now().timestamp()
        self.offset = 0.0 if abs(offset) <= CLOCK_SLACK else offset
