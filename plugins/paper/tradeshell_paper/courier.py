"""Couriers: how long each message between host and venue takes, and which get lost, doubled or overtaken.

Laws: a courier only answers; what it says is carried out by the post (``post``). It has no chance of its own: the same questions
in the same order give the same answers. Two messages that become due at the same instant arrive in the order in which they were
sent. Delays are seconds and come on top of the setting ``latency``; ``()`` is a message that is lost, several delays deliver it
several times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from tradeshell import (
    CommissionReported,
    ExecutionReported,
    Input,
    OrderRefusedByBroker,
    OrderReported,
    PositionReported,
)

AT_ONCE: tuple[float, ...] = (0.0,)
NEVER = "never"
KINDS = ("orders", "executions", "positions")  # what one request for a snapshot asks for
# The words that the config uses for the messages of the venue.
MESSAGES: dict[type[Input], str] = {
    OrderReported: "status",
    ExecutionReported: "execution",
    CommissionReported: "commission",
    PositionReported: "position",
    OrderRefusedByBroker: "refusal",
}


@runtime_checkable
class Courier(Protocol):
    """Says what becomes of each message. Called in the order in which messages are sent."""

    def to_venue(self, action: str, ref: str, now: datetime) -> Sequence[float]:
        """Return after how many seconds the venue gets an order: ``action`` is ``place``, ``modify`` or ``cancel``."""
        ...

    def to_host(self, message: Input, now: datetime) -> Sequence[float]:
        """Return after how many seconds the host gets a status, execution, fee, position or refusal."""
        ...

    def staleness(self, kind: str, now: datetime) -> float | None:
        """Return by how many seconds one part of a snapshot is old when it is handed over.

        ``kind`` is ``orders``, ``executions`` or ``positions``. ``None``: never answered, the setting ``unanswered`` says what
        becomes of the request. Raising ``BrokerError`` fails this one.
        """
        ...

    def answer_delay(self, now: datetime) -> float:
        """Return how many seconds pass from the request for a snapshot to its answer."""
        ...


class CleanCourier:
    """Everything arrives once, at once. Base of couriers that change one thing."""

    def to_venue(self, action: str, ref: str, now: datetime) -> Sequence[float]:
        """Return ``(0.0,)``."""
        del action, ref, now
        return AT_ONCE

    def to_host(self, message: Input, now: datetime) -> Sequence[float]:
        """Return ``(0.0,)``."""
        del message, now
        return AT_ONCE

    def staleness(self, kind: str, now: datetime) -> float | None:
        """Return zero: snapshots are fresh."""
        del kind, now
        return 0.0

    def answer_delay(self, now: datetime) -> float:
        """Return zero: snapshots are answered at once."""
        del now
        return 0.0


class TableCourier:
    """The courier of the config: each kind of message has its delays, each part of a snapshot its age.

    ``delays`` by the words of ``MESSAGES`` and by ``place``, ``modify``, ``cancel``; ``ages`` by those of ``KINDS``.
    """

    def __init__(
        self, delays: Mapping[str, Sequence[float]], ages: Mapping[str, float | None], answer: float
    ) -> None:
        self._delays = delays
        self._ages = ages
        self._answer = answer

    def to_venue(self, action: str, ref: str, now: datetime) -> Sequence[float]:
        """Return what the table says of the action."""
        del ref, now
        return self._delays.get(action, AT_ONCE)

    def to_host(self, message: Input, now: datetime) -> Sequence[float]:
        """Return what the table says of the message's kind."""
        del now
        return self._delays.get(MESSAGES.get(type(message), ""), AT_ONCE)

    def staleness(self, kind: str, now: datetime) -> float | None:
        """Return what the table says of the kind."""
        del now
        return self._ages.get(kind, 0.0)

    def answer_delay(self, now: datetime) -> float:
        """Return what the table says."""
        del now
        return self._answer


def read_courier(value: object, take: Callable[[Mapping[str, Any]], TableCourier]) -> Courier | None:
    """Return the courier of a setting: an object of a test, ``take`` of a table, ``None`` for ``none``."""
    if value == "none":
        return None
    if isinstance(value, Mapping):
        return take(value)
    if isinstance(value, Courier):
        return value
    raise ValueError("is a table such as {status = 0.3, execution = [0.1, 0.4]}, or none")


def parse_delays(value: object) -> tuple[float, ...]:
    """Return the delays of a message: a number of seconds, or a list of them; an empty list loses it."""
    values = value if isinstance(value, list | tuple) else (value,)
    return tuple(_seconds(each) for each in values)


def parse_age(value: object) -> float | None:
    """Return an age in seconds, ``None`` for ``never``."""
    return None if value == NEVER else _seconds(value)


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    raise ValueError("is a number of seconds, zero or more")
