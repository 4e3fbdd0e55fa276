"""What leaves first when not everything may leave: protection, then cancels, then questions, then entries, then data.

IBKR takes 50 messages a second from one client and ends the connection of one that goes on. Everything that is sent passes here.

Laws: at most ``LIMITS[priority]`` messages of all kinds within any second have left when one of ``priority`` leaves, so that a
burst of requests for data always leaves room for a stop. What may leave leaves at once, in the caller's turn of the loop. What
waits keeps its order within its kind, and a message about an order never overtakes an earlier one about the same order or its
parent.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from enum import IntEnum

from tradeshell import Clock, Handle


class Priority(IntEnum):
    """Who goes first."""

    PROTECTIVE = 0
    CANCEL = 1
    QUESTION = 2  # orders, executions, positions, the time
    ENTRY = 3
    DATA = 4


# Messages within a second, all kinds counted. The protocol allows 50.
LIMITS = {
    Priority.PROTECTIVE: 44,
    Priority.CANCEL: 42,
    Priority.QUESTION: 40,
    Priority.ENTRY: 34,
    Priority.DATA: 24,
}
# Who goes before or beside whom: tuples, because an enumeration takes long to walk.
_AHEAD = {priority: tuple(other for other in Priority if other <= priority) for priority in Priority}
WINDOW = 1.0  # seconds
SLACK = 0.005  # seconds: the window is asked again a little after its oldest message has left it


class Waiting:
    """A message that waits. ``send`` writes it, ``drop`` is called instead when the connection ends before."""

    __slots__ = ("drop", "key", "priority", "send")

    def __init__(
        self, priority: Priority, send: Callable[[], None], drop: Callable[[str], None] | None, key: int
    ) -> None:
        self.priority, self.send, self.drop, self.key = priority, send, drop, key


class Outbox:
    """Everything on its way out of one program."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._left: deque[float] = deque()  # when the messages of the last second left
        self._queues: dict[Priority, deque[Waiting]] = {priority: deque() for priority in Priority}
        self._waiting = 0
        self._timer: Handle | None = None

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return self._waiting

    def post(
        self,
        priority: Priority,
        send: Callable[[], None],
        drop: Callable[[str], None] | None = None,
        key: int = 0,
        after: int = 0,
    ) -> None:
        """Send a message, now if it may leave. ``key`` is the order it is about, ``after`` its parent; 0 for neither.

        What ``send`` raises is raised here, unless it waited: then ``drop`` hears of it.
        """
        if self._waiting and key:
            priority = self._not_before(priority, key, after)
        if not self._waiting or not self._is_behind(priority):
            now = self._clock.now().timestamp()
            if self._may_leave(priority, now):
                send()
                self._left.append(now)
                return
        self._queues[priority].append(Waiting(priority, send, drop, key))
        self._waiting += 1
        self._wake_later()

    def drop_all(self, why: str) -> None:
        """Forget what waits and tell whose it was: nothing of it has left."""
        dropped = [waiting for queue in self._queues.values() for waiting in queue]
        for queue in self._queues.values():
            queue.clear()
        self._waiting = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for waiting in dropped:
            if waiting.drop is not None:
                waiting.drop(why)

    def _is_behind(self, priority: Priority) -> bool:
        """Return whether a message of its kind or of one that goes first waits."""
        return any(map(self._queues.__getitem__, _AHEAD[priority]))

    def _not_before(self, priority: Priority, key: int, after: int) -> Priority:
        """Return the kind among which a message has to wait so that it stays behind what it follows."""
        for other, queue in self._queues.items():
            for waiting in queue:
                if waiting.key and (waiting.key in (key, after)):
                    priority = max(priority, other)
                    break
        return priority

    def _may_leave(self, priority: Priority, now: float) -> bool:
        left = self._left
        if (
            left and left[-1] > now + WINDOW
        ):  # the computer's clock was set back: what it says of before is nothing
            left.clear()
        while left and left[0] <= now - WINDOW:
            left.popleft()
        return len(left) < LIMITS[priority]

    def _wake_later(self) -> None:
        if self._timer is None:
            oldest = self._left[0] if self._left else self._clock.now().timestamp()
            wait = max(0.0, oldest + WINDOW - self._clock.now().timestamp()) + SLACK
            self._timer = self._clock.call_at(self._clock.now() + timedelta(seconds=wait), self._wake)

    def _wake(self) -> None:
        self._timer = None
        for priority in Priority:
            queue = self._queues[priority]
            while queue and self._may_leave(priority, now := self._clock.now().timestamp()):
                waiting = queue.popleft()
                self._waiting -= 1
                try:
                    waiting.send()
                except Exception as error:  # noqa: BLE001  # whoever posted it has gone on; it hears that nothing left
                    if waiting.drop is not None:
                        waiting.drop(str(error))
                else:
                    self._left.append(now)
        if self._waiting:
            self._wake_later()
