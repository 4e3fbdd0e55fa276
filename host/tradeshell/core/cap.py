"""How many shares the working sells could still take: exposure by OCA group, what is in flight, unknown or unexplained included.

Laws: a group counts its largest order once; an order being changed counts with the larger of its totals; one that ended or
vanished without a word that explains it counts with what it had left, until executions of its group or two pictures explain it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tradeshell.core.market import Shares
from tradeshell.core.orders import Order, Side
from tradeshell.core.trade import TOGETHER, awaited, ended_with


def group_of(order: Order) -> str:
    """Return what an order shares its quantity with: its OCA group, its bracket, or itself."""
    return order.spec.oca_group or order.spec.parent_ref or order.spec.ref


def could_sell(order: Order) -> Shares:
    """Return the most that a living order could still execute: the larger total counts until the broker shows the smaller."""
    total = order.spec.qty if order.before is None else max(order.spec.qty, order.before.qty)
    return max(0, max(total, order.doubted) - order.done)


def bound(order: Order) -> Shares:
    """Return the shares that a living order binds beyond its total: a raise of it may still be on its way."""
    return max(0, could_sell(order) - order.remaining)


def unexplained(order: Order, group: Iterable[Order]) -> Shares:
    """Return the shares with which an order ended that may have been sold without our knowing."""
    if order.state.is_live or order.is_explained:
        return 0
    members = tuple(group)
    if order.was_told and any(_took_along(member, order) for member in members):
        return 0  # the operator cancelled one of them, the broker took the others along
    sold = sum(member.filled for member in members)
    placed = max((member.placed for member in members), default=0)
    return max(0, min(order.left, placed - sold))


def _took_along(cancelled: Order, other: Order) -> bool:
    if (
        not cancelled.by_operator
        or not cancelled.is_explained
        or cancelled.lost_at is None
        or other.lost_at is None
    ):
        return False
    return abs(other.lost_at - cancelled.lost_at) <= TOGETHER


def exposures(orders: Mapping[str, Order]) -> dict[str, Shares]:
    """Return the shares that each group of our SELLs could still take, groups that can take nothing left out."""
    members: dict[str, list[Order]] = {}
    for order in orders.values():
        if order.spec.side is Side.SELL and not is_dormant(order, orders):
            members.setdefault(group_of(order), []).append(order)
    found = {key: max(_takes(order, group) for order in group) for key, group in members.items()}
    for key, group in members.items():
        parent = None if group[0].spec.parent_ref is None else orders[group[0].spec.parent_ref]
        if (
            parent is not None and parent.state.is_live
        ):  # the broker holds children, and releases what was bought
            found[key] = min(found[key], _bought(parent))
    return {key: most for key, most in found.items() if most}


def _takes(order: Order, group: list[Order]) -> Shares:
    if order.state.is_live:
        return could_sell(order)
    return max(awaited(order), unexplained(order, group))


def _bought(parent: Order) -> Shares:
    """Return the shares of an entry that its children may sell; of one that ended also those of a purchase taken back since."""
    if parent.state.is_live:
        return parent.filled + awaited(parent)
    return max(parent.filled, parent.told_filled)


def is_dormant(order: Order, orders: Mapping[str, Order]) -> bool:
    """Whether it is a child that can take nothing: its entry has bought nothing, or the child ended unused with its entry."""
    parent = None if order.spec.parent_ref is None else orders[order.spec.parent_ref]
    if parent is None:
        return False
    if _bought(parent) == 0:
        return True
    return not order.state.is_live and awaited(order) == 0 and ended_with(parent, order)


def is_open_question(order: Order, orders: Mapping[str, Order]) -> bool:
    """Return whether it is one of our sells that ended with shares that nobody has explained."""
    if order.spec.side is not Side.SELL or order.state.is_live or order.is_explained or order.lost_at is None:
        return False
    if is_dormant(order, orders):
        return False
    key = group_of(order)
    group = (o for o in orders.values() if o.spec.side is Side.SELL and group_of(o) == key)
    return unexplained(order, group) > 0
