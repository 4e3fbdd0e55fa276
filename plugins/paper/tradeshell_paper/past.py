"""What the account looked like a moment ago: the answers of stale snapshots.

Laws: each of orders, executions and positions is remembered by itself; changes are kept for ``KEPT``, older ones are merged into
the oldest known picture; asked for something older, that picture is the answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from tradeshell import (
    ExecutionReport,
    ExecutionReported,
    OrderReport,
    OrderReported,
    PositionReport,
    PositionReported,
)
from tradeshell_paper.floor import Report
from tradeshell_paper.matching import Exchange

KEPT = timedelta(minutes=10)
V = TypeVar("V")


class Past(Generic[V]):
    """A table whose earlier states can be seen. Keys keep the place at which they first came."""

    def __init__(self) -> None:
        self._oldest: dict[Hashable, V] = {}
        self._changes: deque[tuple[datetime, Hashable, V | None]] = deque()

    def note(self, at: datetime, key: Hashable, value: V | None) -> None:
        """Remember that ``key`` has become ``value`` (``None``: it is gone). In order of time."""
        self._changes.append((at, key, value))
        while self._changes[0][0] < at - KEPT:
            _, old, was = self._changes.popleft()
            _set(self._oldest, old, was)

    def as_of(self, at: datetime) -> tuple[V, ...]:
        """Return the values as they were at ``at``, including what happened at that instant."""
        table = dict(self._oldest)
        for when, key, value in self._changes:
            if when > at:
                break
            _set(table, key, value)
        return tuple(table.values())


def _set(table: dict[Hashable, V], key: Hashable, value: V | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value


class AccountPast:
    """The past of an account, fed with everything the exchange says."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._orders: Past[OrderReport] = Past()
        self._executions: Past[ExecutionReport] = Past()
        self._positions: Past[PositionReport] = Past()

    def note(self, report: Report) -> None:
        """Remember what one report changes."""
        said = report.input
        if isinstance(said, OrderReported):
            shown = said.report
            # A refused order may work again: until then it is shown as it is.
            lives = shown.state.is_live or self._exchange.lives(shown.order_id, report.client)
            self._orders.note(said.at, (report.client, shown.order_id), shown if lives else None)
        elif isinstance(said, ExecutionReported):
            self._executions.note(said.at, said.execution.stem, said.execution)
        elif isinstance(said, PositionReported):
            position = said.position
            self._positions.note(said.at, position.symbol, position if position.qty else None)

    def orders(self, at: datetime) -> tuple[OrderReport, ...]:
        """Return the living orders of ``at``."""
        return self._orders.as_of(at)

    def executions(self, at: datetime, since: datetime) -> tuple[ExecutionReport, ...]:
        """Return the executions known at ``at`` that happened at or after ``since``, each in its revision of then."""
        return tuple(each for each in self._executions.as_of(at) if each.at >= since)

    def positions(self, at: datetime) -> tuple[PositionReport, ...]:
        """Return the open positions of ``at``."""
        return self._positions.as_of(at)
