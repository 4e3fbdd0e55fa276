"""Announced events about orders that are in none of our books, and sessions that are found again (``events`` has the rest).

Laws: as in ``events``. What a reconciler found it tells by events of its own.
"""

from __future__ import annotations

from typing import ClassVar

from tradeshell.core.events import Event, Weight, money
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import Side


class OrphanExitOrderCancelled(Event, frozen=True, kw_only=True):
    """The broker has ended an order outside our books that we asked it to cancel."""

    weight: ClassVar[Weight] = Weight.GOOD
    order_ref: str
    order_id: int
    filled: Shares = 0

    def label(self) -> str:
        return "orphan"

    def story(self) -> str | None:
        sold = f" · {self.filled} shares had executed" if self.filled else ""
        return f"order {self.order_id} is cancelled{sold}"


class OrphanExitOrderCancelFailed(Event, frozen=True, kw_only=True):
    """An order outside our books was not cancelled, as far as we know. ``code`` is the broker's, 0 without one."""

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str
    order_id: int
    reason: str
    code: int = 0

    def label(self) -> str:
        return "orphan"

    def story(self) -> str | None:
        code = f" ({self.code})" if self.code else ""
        return f"order {self.order_id} was not cancelled{code}: {self.reason} · cancel it where it was typed"


class OutsideOrderExecuted(Event, frozen=True, kw_only=True):
    """An order outside our books has executed more, by its status: shares came or went that no trade of ours accounts for."""

    weight: ClassVar[Weight] = Weight.BAD
    order_ref: str
    order_id: int
    side: Side
    filled: Shares
    remaining: Shares

    def label(self) -> str:
        return "order"

    def story(self) -> str | None:
        left = f", {self.remaining} left" if self.remaining else ""
        return f"order {self.order_id}, which no record knows: {self.side.value} {self.filled} filled{left} · `reconcile`"


class OutsideOrderChanged(Event, frozen=True, kw_only=True):
    """The broker shows other values of an order outside our books, after a change that the operator asked for."""

    order_ref: str
    order_id: int
    qty: Shares
    limit: Price | None = None
    stop: Price | None = None
    refused: str = ""  # why it works as before

    def label(self) -> str:
        return "order"

    def story(self) -> str | None:
        if self.refused:
            return f"order {self.order_id} works as before, its change was refused: {self.refused}"
        prices = [f"limit {money(self.limit)}"] if self.limit is not None else []
        prices = [f"stop {money(self.stop)}", *prices] if self.stop is not None else prices
        return f"order {self.order_id} stands at {self.qty} {' '.join(prices)}".rstrip()


class DetachedSessionRestored(Event, frozen=True, kw_only=True):
    """A trade is looked after again: ``held`` shares, ``protected`` of them with a living stop, ``orders`` that work for it.

    ``missed``: executions that happened while nobody listened. ``source``: ``journal``, ``link`` or ``broker``.
    """

    weight: ClassVar[Weight] = Weight.GOOD
    held: Shares
    protected: Shares
    orders: int
    missed: int = 0
    source: str = "journal"

    def label(self) -> str:
        return "reconcile"

    def story(self) -> str | None:
        number = f"{self.missed} execution{'' if self.missed == 1 else 's'}"
        has = f"{self.held} shares, {self.protected} protected"
        if self.held <= 0:
            has = f"nothing is held, {self.orders} order{'' if self.orders == 1 else 's'} at work"
        missed = f"{number} missed, booked now" if self.missed else "nothing missed"
        if self.source == "broker":
            missed = f"from {self.orders} orders and {number} of today"
        return f"{self.watch} restored · {has} · {missed}"

    def how(self) -> Weight:
        return Weight.GOOD if self.protected >= self.held else Weight.BAD
