"""What the venue refuses, with the codes and words of IBKR: pure functions of the order and what is there already.

Laws: a check looks at everything it needs and changes nothing; the first thing wrong is the answer; a refused change leaves the
old order working.
"""

from __future__ import annotations

from datetime import datetime

from tradeshell import (
    Instrument,
    OrderSpec,
    OrderState,
    OrderType,
    Price,
    PriceGrid,
    Tif,
)
from tradeshell_paper.settings import Refusal
from tradeshell_paper.tickets import Ticket

DUPLICATE_ID = Refusal(103, "Duplicate order id")
FILLED = Refusal(104, "Cannot modify a filled order.")
MISMATCH = Refusal(105, "Order being modified does not match original order")
OFF_GRID = Refusal(110, "The price does not conform to the minimum price variation for this contract.")
TIF_MISMATCH = Refusal(111, "The TIF (Time-in-Force) and the order type are incompatible.")
NOT_CANCELLABLE = Refusal(161, "Cancel attempted when order is not in a cancellable state.")
NO_SECURITY = Refusal(200, "No security definition has been found for the request")
PAST_EXPIRY = Refusal(201, "Order rejected - reason:Invalid expiration: good till date lies in the past")
GROUP_BEGUN = Refusal(201, "Order rejected - reason:OCA group has executed already")
GROUP_DONE = Refusal(201, "Order rejected - reason:OCA group is already filled")
NO_EXPIRY = Refusal(321, "Error validating request.-'bK' : cause - GTD order needs a good till date")
FOREIGN_ACCOUNT = Refusal(321, "Error validating request.-'bK' : cause - Invalid account code")
TYPE_CHANGED = Refusal(329, "Order modify failed. Cannot change to the new order type.")
NO_SIZE = Refusal(434, "The order size cannot be zero.")
NO_PRICE = Refusal(463, "You must enter a valid price.")
GROUP_CHANGED = Refusal(10326, "OCA group revision is not allowed.")
GROUP_TYPE_CHANGED = Refusal(10327, "OCA group type revision is not allowed.")
PARENT_CHANGED = Refusal(10341, "Parent order revision is not allowed.")


def unknown(order_id: int) -> Refusal:
    """Return the refusal of a change of, or a child for, an order that is not there."""
    return Refusal(135, f"Can't find order with id ={order_id}")


def unknown_cancel(order_id: int) -> Refusal:
    """Return the refusal of a cancel of an order that is not there."""
    return Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")


def finished_cancel(ticket: Ticket) -> Refusal:
    """Return the refusal of a cancel of an order that has ended."""
    state = ticket.state.value.capitalize()
    return Refusal(
        10148, f"OrderId {ticket.order_id} that needs to be cancelled cannot be cancelled, state: {state}."
    )


def check_values(
    spec: OrderSpec, account: str, instrument: Instrument | None, now: datetime
) -> Refusal | None:
    """Return what is wrong with an order's own values, ``None`` when nothing is."""
    if instrument is None or spec.con_id not in (0, instrument.con_id):
        return NO_SECURITY
    if spec.account not in ("", account):
        return FOREIGN_ACCOUNT
    if spec.qty <= 0:
        return NO_SIZE
    if (refusal := _check_prices(spec, instrument.grid)) is not None:
        return refusal
    if spec.tif in (Tif.IOC, Tif.FOK) and spec.type.is_stop:
        return TIF_MISMATCH
    if spec.tif is Tif.GTD:
        if spec.good_till is None:
            return NO_EXPIRY
        if spec.good_till <= now:
            return PAST_EXPIRY
    return None


def _check_prices(spec: OrderSpec, grid: PriceGrid) -> Refusal | None:
    needed: list[Price | None] = []
    if spec.type in (OrderType.LIMIT, OrderType.STOP_LIMIT):
        needed.append(spec.limit)
    if spec.type.is_stop:
        needed.append(spec.stop)
    for price in needed:
        if price is None or not price.is_finite() or price <= 0:
            return NO_PRICE
        if not grid.holds(price):
            return OFF_GRID
    return None


def check_change(ticket: Ticket, spec: OrderSpec) -> Refusal | None:
    """Return why ``ticket`` may not become ``spec``, ``None`` when it may. Values are checked by ``check_values``."""
    old = ticket.spec
    if ticket.state is OrderState.FILLED:
        return FILLED
    if ticket.is_over:
        return NOT_CANCELLABLE
    if (spec.side, spec.symbol, spec.con_id, spec.account) != (old.side, old.symbol, old.con_id, old.account):
        return MISMATCH
    if spec.type is not old.type and (old.type, spec.type) != (OrderType.LIMIT, OrderType.MARKET):
        return TYPE_CHANGED
    if spec.parent_ref not in (None, old.parent_ref):
        return PARENT_CHANGED
    if spec.oca_group not in (None, old.oca_group):
        return GROUP_CHANGED
    if spec.oca_group is not None and spec.oca_type is not old.oca_type:
        return GROUP_TYPE_CHANGED
    return None
