"""Reconcilers: what is at the broker against what we know of it, in values.

Laws: a reconciler is a pure function of its ``Comparison``: no clock, no I/O, nothing kept between calls. It finds and wishes;
the host tells, the core judges every wish by its own rules, and only the core lets anything about an order leave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from tradeshell.core.desk import Desk
from tradeshell.core.events import Event, Weight
from tradeshell.core.inputs import ExecutionReport, PositionReport, StandingOrder
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.plan import TradePlan


class CompletedOrder(Struct, frozen=True, kw_only=True):
    """An order that ended today, as the broker remembers it; prices USD. ``why`` is the broker's own word."""

    ref: str
    perm_id: int
    account: str
    symbol: str
    side: Side
    filled: Shares
    state: OrderState
    limit: Price | None = None
    stop: Price | None = None
    why: str = ""
    at: str = ""


@runtime_checkable
class ShowsCompleted(Protocol):
    """A broker that remembers the orders that ended today."""

    async def completed_orders(self) -> tuple[CompletedOrder, ...]:
        """Return them; raises ``BrokerError`` when there is no complete answer."""
        ...


class Comparison(Struct, frozen=True, kw_only=True):
    """What a reconciler looks at. Accounts are aliases, times UTC.

    ``before`` is the desk as it was when the broker was asked, ``desk`` the same with the answers booked: what they differ in
    was missed. ``others`` are living orders that no book of ours has, whoever sent them; ``desk.outside`` says since when each
    has had no shares. ``elsewhere`` are positions of the login's other accounts. ``completed`` is ``None`` where the broker does
    not remember, or did not answer. ``is_first``: it is the first of its connection; otherwise the operator asked.
    """

    at: datetime
    before: Desk
    desk: Desk
    others: tuple[StandingOrder, ...]
    executions: tuple[ExecutionReport, ...]
    positions: tuple[PositionReport, ...]
    elsewhere: tuple[PositionReport, ...] = ()
    completed: tuple[CompletedOrder, ...] | None = None
    is_first: bool = False


class CancelOutside(Struct, frozen=True):
    """A way to settle a difference: cancel these orders, by their keys; never one typed in the broker's own window."""

    keys: tuple[str, ...]


class TakeUp(Struct, frozen=True, kw_only=True):
    """A way to settle a difference: look after a session that no record knows. ``plan`` is what its orders say of it."""

    id: str
    plan: TradePlan
    executions: tuple[ExecutionReport, ...]


class Difference(Struct, frozen=True, kw_only=True):
    """One finding: a row of `reconcile`. The same difference has the same ``key`` each time.

    ``broker`` is what is there, ``expected`` what we thought, ``done`` what was done or what the operator can do. ``event`` is
    told when the finding is new on a connection. ``cancels``: orders that are to be cancelled now, by key. ``fix``: what
    `reconcile fix` does.
    """

    key: str
    finding: str
    symbol: str
    broker: str
    expected: str
    done: str
    weight: Weight = Weight.NOTE
    event: Event | None = None
    cancels: tuple[str, ...] = ()
    fix: CancelOutside | TakeUp | None = None


class Differences(Struct, frozen=True, kw_only=True):
    """What a reconciler found, and the events that end its comparison."""

    found: tuple[Difference, ...] = ()
    closing: tuple[Event, ...] = ()


Reconciler: TypeAlias = Callable[[Comparison], Differences]
ReconcilerMaker: TypeAlias = Callable[[Mapping[str, Any]], Reconciler]
