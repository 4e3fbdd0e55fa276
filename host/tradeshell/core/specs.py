"""The orders a trade sends, as the broker is told them: the entry with its staged children, and exits of their own.

Laws: every order names its account, its time in force and whether it works outside regular hours; children are sent before
anything is transmitted, the last one transmits them all (IBKR: bracket staging); a finished OCA group's name is never used
again.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from tradeshell.core.exits import DesiredExit, exit_pair
from tradeshell.core.guards import Approved
from tradeshell.core.orders import OcaType, OrderSpec, OrderType, Side, Tif, order_ref
from tradeshell.core.trade import Trade, first_leg, new_ref

# Seconds after the entry timeout at which the broker itself drops the entry (the entry must not outlive us).
ENTRY_EXPIRY_GRACE = 5.0


def entry_specs(trade: Trade, approved: Approved, at: datetime) -> tuple[OrderSpec, ...]:
    """Return the entry and, for a bracket, its children; only the last one transmits."""
    plan = trade.plan
    parent = order_ref(trade.id, first_leg(plan), 1)
    children = exit_pair(trade, trade.legs[0], plan.qty) if trade.legs else ()
    tif, good_till = plan.tif, None
    if plan.entry_timeout is not None and plan.tif is Tif.DAY and approved.type is OrderType.LIMIT:
        tif, good_till = Tif.GTD, at + timedelta(seconds=plan.entry_timeout + ENTRY_EXPIRY_GRACE)
    entry = OrderSpec(
        ref=parent,
        symbol=plan.symbol,
        con_id=trade.instrument.con_id,
        account=plan.account,
        side=plan.side,
        qty=plan.qty,
        type=approved.type,
        limit=approved.limit,
        tif=tif,
        good_till=good_till,
        outside_rth=plan.outside_rth,
        transmit=not children,
        client_tag=plan.client_tag,
    )
    # Take profit before stop, the stop last: if the link dies in the middle, nothing was transmitted at all.
    staged = sorted(children, key=lambda leg: leg.type.is_stop)
    exits = tuple(
        exit_spec(trade, leg, parent=parent, transmit=leg is staged[-1], oca_group=None) for leg in staged
    )
    return (entry, *exits)


def exit_spec(
    trade: Trade, leg: DesiredExit, *, parent: str | None, transmit: bool, oca_group: str | None
) -> OrderSpec:
    """Return one SELL of a trade. Children of a living entry get their OCA group from the broker."""
    plan = trade.plan
    return OrderSpec(
        ref=new_ref(trade, leg.leg),
        symbol=plan.symbol,
        con_id=trade.instrument.con_id,
        account=plan.account,
        side=Side.SELL,
        qty=leg.qty,
        type=leg.type,
        limit=leg.limit,
        stop=leg.stop,
        tif=Tif.DAY if leg.leg.startswith("flat") else plan.exit_tif,
        outside_rth=plan.outside_rth,
        parent_ref=parent,
        oca_group=oca_group,
        oca_type=None if oca_group is None else OcaType.REDUCE,
        transmit=transmit,
        client_tag=plan.client_tag,
    )


def oca_group(trade: Trade, leg: str) -> str:
    """Return a group name that is unique for the attempt, its leg and its generation."""
    return new_ref(trade, leg).replace(":sl", ":p").replace(":tp", ":p")
