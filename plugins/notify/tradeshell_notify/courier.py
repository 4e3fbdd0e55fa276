"""The sink: takes records, and has a thread of its own tell them.

Laws: taking a record is one look at a length and one append, whatever the services do: nobody who trades ever waits here, and
nothing is raised. What does not fit into the queue is counted and said in the next message. The thread alone filters, words and
sends; what goes wrong on it is told once and goes on.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from msgspec import Struct

from tradeshell import ConnectionChanged, Event, Finding, Outcome, Record, Sink, SinkContext
from tradeshell_notify.digest import Digest, told
from tradeshell_notify.events import NotifyFailed, NotifyRestored
from tradeshell_notify.sender import Delivery, Message, Sender, names
from tradeshell_notify.settings import Settings, read_settings, unknown_events

QUEUE = 10_000  # records
TICK = 0.5  # seconds: what happens within them is one message
CLOSE_WITHIN = 3.0  # seconds that the last message has
TEST = Message(title="tradeshell", body="A test: notifications arrive here.", kind="info")
OWN = (NotifyFailed, NotifyRestored)


@contextlib.contextmanager
def open_notify(context: SinkContext) -> Iterator[Sink]:
    """Open the sink with ``[sinks.notify]``; raises ``ConfigError`` with one line."""
    courier = Courier(read_settings(context), context.tell, is_silent=context.replaying)
    try:
        yield courier
    finally:
        courier.close()


class State(Struct, frozen=True, kw_only=True):
    """How notifications do: messages that somebody and that nobody got; events that wait, and that came too fast to be taken."""

    sent: int
    failed: int
    waiting: int
    missed: int
    addresses: tuple[Delivery, ...]


class Courier:
    """The open sink. ``is_silent``: a recording is played, nothing is sent but tests."""

    queue = QUEUE

    def __init__(
        self,
        settings: Settings,
        tell: Callable[[Event], None],
        *,
        is_silent: bool = False,
        tick: float = TICK,
    ) -> None:
        self.settings = settings
        self.is_silent = is_silent
        self.notes = unknown_events(settings.wanted)
        self._tell = tell
        self._tick = tick
        self._records: deque[Record] = deque()
        self._missed = self._told_missed = 0
        self._sent = self._failed = 0
        self._digest = Digest(settings.per_minute)
        self._sender = Sender(settings.urls)
        self._last = tuple(Delivery(address=name, ok=True) for name in names(settings.urls))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        if not is_silent:
            self._thread.start()

    # --- on the engine's loop -----------------------------------------------------------------------------------------

    def __call__(self, record: Record) -> None:
        """Take a record; never waits."""
        if len(self._records) < self.queue:
            if not self.is_silent:
                self._records.append(record)
        else:
            self._missed += 1

    async def examine(self) -> tuple[Finding, ...]:
        """Return a row for `doctor`: what is known, without sending anything."""
        state = self.state()
        bad = [each for each in state.addresses if not each.ok]
        said = "silent in a replay" if self.is_silent else f"{state.sent} messages sent"
        return (
            Finding(
                name="notify",
                outcome=Outcome.WARNING if bad else Outcome.OK,
                told=f"{len(state.addresses)} addresses · {said}"
                + "".join(f" · {each.address}: {each.why}" for each in bad),
                remedy="`notify test` sends to each of them" if bad else "",
            ),
        )

    # --- on the main thread -------------------------------------------------------------------------------------------

    def state(self) -> State:
        """Return how it does."""
        return State(
            sent=self._sent,
            failed=self._failed,
            waiting=len(self._records) + self._digest.waiting,
            missed=self._missed,
            addresses=self._last,
        )

    def test(self) -> tuple[Delivery, ...]:
        """Send a test to every address and wait for what becomes of it, beside everything else."""
        sender = Sender(self.settings.urls)
        try:
            return sender.send(TEST)
        finally:
            sender.clean_up()

    def close(self) -> None:
        """Send what waits if that goes quickly, and end."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_WITHIN)
            self._sender.close()  # what still hangs returns now
            self._thread.join(CLOSE_WITHIN)

    # --- on the thread ------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._guarded(self._begin)
        is_closing = False
        while not is_closing:
            is_closing = self._closing.wait(self._tick)
            self._guarded(self._take_in)
            self._guarded(self._deliver)
        self._sender.clean_up()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:
            # A defect of ours: for the operations log, which has room for a traceback; the next turn goes on.
            logging.getLogger("tradeshell.notify").exception("a turn of the notifications failed")

    def _begin(self) -> None:
        """Start the child, which says whether it understands the addresses: that is worth knowing before the first alarm."""
        if why := self._sender.start():
            self._learn(tuple(Delivery(address=each.address, ok=False, why=why) for each in self._last))
        else:
            self._learn(self._sender.understood)

    def _take_in(self) -> None:
        missed = self._missed
        self._digest.miss(missed - self._told_missed)
        self._told_missed = missed
        for _ in range(len(self._records)):
            record = self._records.popleft()
            with contextlib.suppress(Exception):  # a plugin's event may raise anything when it is worded
                self._take(record)

    def _take(self, record: Record) -> None:
        event = record.event
        if isinstance(event, ConnectionChanged) and event.account:
            self._digest.title = f"tradeshell {event.account}"
        if not isinstance(event, OWN) and self.settings.wanted.takes(event):
            self._digest.add(told(record))

    def _deliver(self) -> None:
        message = self._digest.message(time.monotonic())
        if message is None:
            return
        found = self._sender.send(message)
        taken = any(each.ok for each in found)
        self._digest.done(time.monotonic(), taken=taken)
        if taken:
            self._sent += 1
        else:
            self._failed += 1
        self._learn(found)

    def _learn(self, found: tuple[Delivery, ...]) -> None:
        """Remember how each address did, and tell what has changed."""
        before, self._last = self._last, found
        for then, now in zip(before, found, strict=True):
            if then.ok and not now.ok:
                self._tell(NotifyFailed(address=now.address, reason=now.why))
            elif now.ok and not then.ok:
                self._tell(NotifyRestored(address=now.address))
