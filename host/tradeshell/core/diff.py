"""Desired exits against the orders that live: what has to be sent so that they agree.

Laws: *quiet* (nothing to do, nothing sent), *convergent* (after the changes took effect: quiet), *patient* (what is in flight
counts as asked for), *modify rather than cancel and place*. An order in flight or being changed is left alone until the broker
has spoken (unless it would sell more than is held, or its stop belongs higher and the word was lost), and one that it has just
refused to change until the pause is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from tradeshell.core.exits import DesiredExit
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import RETRY, Order, OrderState, OrderType
from tradeshell.core.trade import leg_of


class PlaceExit(Struct, frozen=True):
    """An exit is missing."""

    exit: DesiredExit


class ChangeExit(Struct, frozen=True):
    """An exit works with other values than wanted. ``qty`` is the order's new total."""

    order: Order
    qty: Shares
    limit: Price | None
    stop: Price | None


class DropExit(Struct, frozen=True):
    """An exit works that is not wanted."""

    order: Order


Change = PlaceExit | ChangeExit | DropExit


def compare(desired: Iterable[DesiredExit], living: Iterable[Order], now: datetime) -> tuple[Change, ...]:
    """Return the changes that turn ``living`` exits into the ``desired`` ones, reductions before additions."""
    changes: list[Change] = []
    additions: list[Change] = []
    by_leg: dict[str, Order] = {}
    for newer in living:  # the newest of a leg stands for it; an older one came back and has to go
        older = by_leg.get(leg_of(newer.spec.ref))
        if older is not None and not older.cancelling and not rests(older, now):
            changes.append(DropExit(older))
        by_leg[leg_of(newer.spec.ref)] = newer
    for wanted in desired:
        order = by_leg.pop(wanted.leg, None)
        if order is None:
            additions.append(PlaceExit(wanted))
        elif (change := _difference(order, wanted)) is not None and (
            not is_patient(order, now) or _is_pressing(change, now)
        ):
            changes.append(change)
    changes += [
        DropExit(order) for order in by_leg.values() if not order.cancelling and not rests(order, now)
    ]
    return (*changes, *additions)


def is_patient(order: Order, now: datetime) -> bool:
    """Return whether an order must be left alone for now: something is on its way, or was refused a moment ago."""
    in_flight = order.changing or order.cancelling or order.state in (OrderState.SENT, OrderState.UNKNOWN)
    return in_flight or rests(order, now)


def _is_pressing(change: ChangeExit, now: datetime) -> bool:
    """Return whether an order that nobody has answered yet would sell more than is held: what follows reaches it in order.

    A stop that belongs higher does not wait either for a word that was lost.
    """
    order = change.order
    in_doubt = order.absent_at is not None or order.is_in_doubt
    if order.changing or order.cancelling or in_doubt or rests(order, now):
        return False
    stop, wanted = order.spec.stop, change.stop
    is_lower = order.state is OrderState.UNKNOWN and stop is not None and wanted is not None and stop < wanted
    return is_lower or change.qty < order.spec.qty


def rests(order: Order, now: datetime) -> bool:
    """Return whether the broker refused a change or a cancel of the order a moment ago, or too often."""
    return order.retry_at is not None and (order.retries > RETRY.times or now < order.retry_at)


def _difference(order: Order, wanted: DesiredExit) -> ChangeExit | None:
    total = order.done + wanted.qty
    stop, limit = wanted.stop, wanted.limit
    if order.spec.type is not wanted.type or (
        order.spec.type is OrderType.STOP_LIMIT and order.elected_at is not None
    ):
        # Once elected the limit follows the touch (exits.chased_limit); the plan no longer says where it stands.
        stop, limit = order.spec.stop, order.spec.limit
    # A broker that reduces OCA siblings by itself shows a smaller total: that is agreement, a larger total is not.
    too_many = order.spec.qty > total
    if not too_many and (order.spec.stop, order.spec.limit) == (stop, limit):
        return None
    return ChangeExit(order, min(order.spec.qty, total), limit, stop)
