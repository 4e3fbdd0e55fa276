"""What is worth a message, and when one may leave: everything that came meanwhile in one. Pure: time is given.

Laws: at most ``per_minute`` messages leave within 60 s, the last of them with an alarm only. Nothing is dropped without being
counted: what does not fit into a message is summed up by name. What could not be delivered leaves with the next message.
"""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from tradeshell import Event, Record, Weight
from tradeshell_notify.sender import Message

NEW_YORK = ZoneInfo("America/New_York")
LINES = 12  # of one message
WIDTH = 200  # characters of a line
HOLD = 500  # lines that wait at most; beyond them names are counted
MINUTE = 60.0
RETRY = 15.0  # seconds before a message that nobody took is tried again
KINDS = {Weight.NOTE: "info", Weight.GOOD: "success", Weight.BAD: "warning", Weight.ALARM: "failure"}
LOUDNESS = (Weight.NOTE, Weight.GOOD, Weight.BAD, Weight.ALARM)


class Wanted(Struct, frozen=True, kw_only=True):
    """Which events are told: those of ``weights``, those named in ``events``, none named in ``never``.

    ``symbols``: of these and of none in particular; empty: of all.
    """

    weights: frozenset[Weight] = frozenset({Weight.GOOD, Weight.BAD, Weight.ALARM})
    events: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()

    def takes(self, event: Event) -> bool:
        """Return whether ``event`` is told."""
        name = type(event).__name__
        if name in self.never:
            return False
        if self.symbols and event.symbol is not None and event.symbol not in self.symbols:
            return False
        if name in self.events:
            return True
        return event.how() in self.weights and event.story() is not None


class Told(Struct, frozen=True):
    """One line of a message."""

    name: str
    weight: Weight
    text: str


def told(record: Record) -> Told:
    """Return the line of a record: time in New York, symbol, label and words, as on the screen."""
    event = record.event
    name = type(event).__name__
    story = event.story()
    words = name if story is None else f"{event.label()} {story}"
    parts = (_clock(record.ts), event.symbol or "", *words.split())
    text = " ".join(part for part in parts if part)
    return Told(name, event.how(), text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…")


def _clock(at: datetime) -> str:
    return f"{at.astimezone(NEW_YORK):%H:%M:%S}"


class Digest:
    """Holds lines until a message may leave. ``title`` begins every message."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._left: deque[float] = deque()  # when messages left
        self._not_before = 0.0
        self._held: list[Told] = []
        self._beyond: Counter[str] = Counter()
        self._missed = 0
        self.title = "tradeshell"

    @property
    def waiting(self) -> int:
        """How many events wait for a message."""
        return len(self._held) + self._beyond.total() + self._missed

    def add(self, line: Told) -> None:
        """Hold a line for the next message."""
        if len(self._held) < HOLD:
            self._held.append(line)
        else:
            self._beyond[line.name] += 1

    def miss(self, count: int) -> None:
        """Count events that came faster than they could be taken."""
        self._missed += count

    def message(self, now: float) -> Message | None:
        """Return the message that may leave now, ``None`` while there is none; ``done`` says what became of it."""
        while self._left and self._left[0] <= now - MINUTE:
            self._left.popleft()
        if not self.waiting or now < self._not_before:
            return None
        loudest = max((line.weight for line in self._held), key=LOUDNESS.index, default=Weight.BAD)
        kept = 1 if loudest is not Weight.ALARM and self._per_minute > 1 else 0
        if len(self._left) >= self._per_minute - kept:
            return None
        self._left.append(now)
        # The loudest first: of many lines those are shown. Lines of one message stand in their order.
        order = sorted(
            range(len(self._held)), key=lambda n: LOUDNESS.index(self._held[n].weight), reverse=True
        )
        shown = sorted(order[:LINES])
        lines = [self._held[n].text for n in shown]
        more = Counter(self._held[n].name for n in order[LINES:]) + self._beyond
        if self._missed:
            more["events that came too fast"] = self._missed
        if more:
            words = ", ".join(f"{count} {name}" for name, count in more.most_common())
            lines.append(f"… and {more.total()} more: {words}")
        title = f"{self.title} · ALARM" if loudest is Weight.ALARM else self.title
        return Message(title=title, body="\n".join(lines), kind=KINDS[loudest])

    def done(self, now: float, *, taken: bool) -> None:
        """Forget what the last message said, or keep it for the next one when nobody took it."""
        if taken:
            self._held.clear()
            self._beyond.clear()
            self._missed = 0
        else:
            self._not_before = now + RETRY
