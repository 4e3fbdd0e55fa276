"""One trade attempt: its plan, its orders, its legs, and how much of it is protected.

Laws: a trade never sends; it says which exits are desired. Its inventory is what its own entry executed, less what its exits
executed, less what was taken from it by other sells. Executions alone move it. A leg is a pair of exits over some of the shares;
shares that arrive late get a leg of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from tradeshell.core.market import Bar, Instrument, Price, Shares
from tradeshell.core.orders import Order, OrderState, Side, order_ref, parse_ref
from tradeshell.core.plan import TradePlan

ENTRY = "entry"
SALE = "sell"


class TradePhase(StrEnum):
    """Where a trade stands."""

    ASKING = "asking"  # triggered; waiting for the touch that decides the entry
    ENTERING = "entering"  # the entry is in flight or working
    OPEN = "open"  # the entry is over and shares are held
    CLOSED = "closed"  # nothing is held and nothing works; late news opens it again


class Leg(Struct, frozen=True):
    """A pair of exits, ``sl<number>`` and ``tp<number>``, over ``qty`` shares of the entry."""

    number: int
    qty: Shares


class Trade(Struct, frozen=True, kw_only=True):
    """One attempt. ``refs`` are all orders ever sent for it, entry first; ``stop`` is where its stop is wanted now (USD)."""

    id: str
    origin: str
    plan: TradePlan
    instrument: Instrument
    phase: TradePhase
    asked_at: datetime
    bar: Bar | None = None
    refs: tuple[str, ...] = ()
    legs: tuple[Leg, ...] = ()
    stop: Price | None = None
    stop_limit: Price | None = None  # a limit that the operator gave the stop
    tp: Price | None = None
    taken: Shares = 0
    protection: str = "FLAT"
    fees: Decimal = Decimal(0)
    confirmed: Shares = 0
    exit_at: datetime | None = None  # when an exit last executed
    calm_at: datetime | None = None  # until when siblings are left to the broker's own reduction
    cancel_wanted: str = ""  # why the entry is to be cancelled, while that has not happened
    drop_at: datetime | None = None  # when exits that nothing needs are cancelled by us
    end_reason: str = ""


class Fills(Struct, frozen=True):
    """What a trade's orders have executed: shares and USD notional in and out."""

    bought: Shares
    paid: Decimal
    sold: Shares
    received: Decimal


def first_leg(plan: TradePlan) -> str:
    """Return the leg of the order that starts a trade: ``entry``, or ``sell`` for one that only sells."""
    return ENTRY if plan.side is Side.BUY else SALE


def is_exit(trade: Trade, ref: str) -> bool:
    """Return whether ``ref`` is one of the trade's exits."""
    return ref in trade.refs[1:]


def leg_of(ref: str) -> str:
    """Return the leg's name (``entry``, ``tp1``, ``sl1``) in one of our orderRefs."""
    parts = parse_ref(ref)
    return "" if parts is None else parts.leg


def watch_of(ref: str) -> str:
    """Return the id of the watcher or trade in one of our orderRefs."""
    parts = parse_ref(ref)
    return "" if parts is None else parts.watch


def entry_of(trade: Trade, orders: Mapping[str, Order]) -> Order | None:
    """Return the trade's entry order, ``None`` before it was sent."""
    return orders[trade.refs[0]] if trade.refs else None


def exits_of(trade: Trade, orders: Mapping[str, Order]) -> tuple[Order, ...]:
    """Return every exit ever sent for the trade."""
    return tuple(orders[ref] for ref in trade.refs[1:])


def fills_of(trade: Trade, orders: Mapping[str, Order]) -> Fills:
    """Return the sums over the trade's executions."""
    entry = entry_of(trade, orders)
    exits = exits_of(trade, orders)
    return Fills(
        bought=0 if entry is None else entry.filled,
        paid=Decimal(0) if entry is None else entry.notional,
        sold=sum(order.filled for order in exits),
        received=sum((order.notional for order in exits), Decimal(0)),
    )


def inventory(trade: Trade, orders: Mapping[str, Order]) -> Shares:
    """Return the shares the trade owns by its executions; 0 for a trade that only sells."""
    if trade.plan.side is Side.SELL:
        return 0
    fills = fills_of(trade, orders)
    return fills.bought - fills.sold - trade.taken


def awaited(order: Order) -> Shares:
    """Return the shares that statuses claim to be filled and whose executions have not arrived."""
    return max(0, order.told_filled - order.filled)


def is_over(order: Order | None) -> bool:
    """Return whether an order is final *and* every execution it was told about has arrived."""
    return order is not None and not order.state.is_live and awaited(order) == 0


def leg_orders(trade: Trade, leg: Leg, orders: Mapping[str, Order]) -> tuple[Order, ...]:
    """Return every exit ever sent for a leg."""
    names = (f"sl{leg.number}", f"tp{leg.number}")
    return tuple(orders[ref] for ref in trade.refs[1:] if leg_of(ref) in names)


def leg_shares(trade: Trade, orders: Mapping[str, Order]) -> dict[int, Shares]:
    """Return the shares still held in each leg, by number; what was taken by other sells is missing from the latest legs."""
    left = {leg.number: leg.qty - sum(o.filled for o in leg_orders(trade, leg, orders)) for leg in trade.legs}
    taken = trade.taken
    for number in sorted(left, reverse=True):
        part = min(taken, max(0, left[number]))
        left[number] -= part
        taken -= part
    return left


def most(trade: Trade, order: Order, orders: Mapping[str, Order]) -> Shares:
    """Return the largest total that a change may ask for: what the order sold and what its leg still holds.

    While the entry works its children keep the totals they were staged with.
    """
    if not is_exit(trade, order.spec.ref) or not is_over(entry_of(trade, orders)):
        return order.spec.qty
    number = int(leg_of(order.spec.ref)[2:])
    return min(order.spec.qty, order.filled + max(0, leg_shares(trade, orders).get(number, 0)))


def generation(trade: Trade, leg: str) -> int:
    """Return the next generation number of ``leg``."""
    return 1 + sum(1 for ref in trade.refs if leg_of(ref) == leg)


def new_ref(trade: Trade, leg: str) -> str:
    """Return the orderRef of the next order of ``leg``."""
    return order_ref(trade.id, leg, generation(trade, leg))


def protected(trade: Trade, orders: Mapping[str, Order]) -> Shares:
    """Return the shares for which a stop lives at the broker.

    A stop in flight does not count yet, one that a complete picture lacked no longer, and a child whose entry still works is held
    by the broker and does nothing for the shares that have already executed.
    """
    if not is_over(entry_of(trade, orders)):
        return 0
    return sum(
        order.remaining
        for order in exits_of(trade, orders)
        if order.spec.type.is_stop
        and order.state in (OrderState.HELD, OrderState.WORKING)
        and order.absent_at is None
    )


def protection_state(trade: Trade, orders: Mapping[str, Order]) -> tuple[str, Shares, Shares]:
    """Return the protection state and the shares held and protected. ``NONE``: no stop was asked for."""
    held = inventory(trade, orders)
    entry = entry_of(trade, orders)
    if held < 0 and entry is not None and entry.filled > 0:
        return "OVERSOLD", held, 0
    if held <= 0:
        return "FLAT", 0, 0
    if trade.plan.sl is None:
        return "NONE", held, 0
    covered = min(held, protected(trade, orders))
    flying = any(o.spec.type.is_stop and o.state is OrderState.SENT for o in exits_of(trade, orders))
    if covered >= held:
        return "PROTECTED", held, covered
    if flying or not is_over(entry):
        return "ARMING", held, covered
    return ("PARTIAL" if covered else "UNPROTECTED"), held, covered


def live(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Return the orders that may still fill."""
    return tuple(order for order in orders if order.state.is_live)
