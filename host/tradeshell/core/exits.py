"""Which exits a trade wants, computed from what is true; and the limit an elected stop-limit wants.

Laws: level-triggered: the answer depends on inventory and orders as they are, never on which message came last. No exit is
wanted for a share that has not executed, except the held children of an attached bracket, which the broker itself releases.

"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from tradeshell.core.market import DataKind, Price, PriceGrid, Quote, Shares, is_usable
from tradeshell.core.orders import Order, OrderState, OrderType
from tradeshell.core.plan import TradePlan, split
from tradeshell.core.trade import (
    Leg,
    Rung,
    Trade,
    has_legs,
    inventory,
    leg_orders,
    leg_shares,
    orders_of,
)

# At most one reprice a second per leg: orders are rated by message efficiency.
REPRICE_EVERY = timedelta(seconds=1)
QUOTE_FOR_STOP = 1.0  # seconds: older touches do not move an elected stop
STEP_BELOW = Decimal("0.0025")
MAX_SLIP = Decimal("0.03")
WIDE_SPREAD = Decimal("0.01")
WIDE_TICKS = 5


class DesiredExit(Struct, frozen=True, kw_only=True):
    """One exit that should be working: ``qty`` shares still to sell. Prices USD."""

    leg: str
    qty: Shares
    type: OrderType
    limit: Price | None = None
    stop: Price | None = None


def floor_price(stop: Price, grid: PriceGrid) -> Price:
    """Return how far below its stop an elected stop's limit may go (USD)."""
    return grid.up(stop * (1 - MAX_SLIP))


def stop_limit_price(stop: Price, offset: Price, grid: PriceGrid) -> Price:
    """Return the initial limit of a stop-limit: stop - offset, on the grid, never above the stop."""
    return grid.down(stop - offset)


def exit_pair(trade: Trade, leg: Leg, qty: Shares) -> tuple[DesiredExit, ...]:
    """Return the exits of a leg over ``qty`` shares, the stop first; what they are depends on the leg's rung."""
    if (leg.rung is Rung.FLATTEN or trade.is_flattening) and (trade.is_priced or not trade.plan.outside_rth):
        type_ = OrderType.MARKET if trade.flat_limit is None else OrderType.LIMIT
        return (DesiredExit(leg=f"flat{leg.number}", qty=qty, type=type_, limit=trade.flat_limit),)
    if leg.rung not in (Rung.PAIR, Rung.FLATTEN):
        return () if leg.stop is None else (plain_stop(trade, f"sl{leg.number}", leg.stop, qty),)
    wanted: list[DesiredExit] = []
    if leg.stop is not None:
        limit = None
        if trade.plan.sl_type is OrderType.STOP_LIMIT:
            planned = stop_limit_price(leg.stop, trade.plan.sl_offset, trade.instrument.grid)
            limit = planned if leg.stop_limit is None else min(leg.stop_limit, leg.stop)
        wanted.append(
            DesiredExit(leg=f"sl{leg.number}", qty=qty, type=trade.plan.sl_type, stop=leg.stop, limit=limit)
        )
    if leg.tp is not None:
        wanted.append(DesiredExit(leg=f"tp{leg.number}", qty=qty, type=OrderType.LIMIT, limit=leg.tp))
    return tuple(wanted)


def plain_stop(trade: Trade, name: str, stop: Price, qty: Shares) -> DesiredExit:
    """Return a stop that sells at the market; outside regular hours only a stop-limit works."""
    if trade.plan.outside_rth:
        limit = stop_limit_price(stop, trade.plan.sl_offset, trade.instrument.grid)
        return DesiredExit(leg=name, qty=qty, type=OrderType.STOP_LIMIT, stop=stop, limit=limit)
    return DesiredExit(leg=name, qty=qty, type=OrderType.STOP, stop=stop)


def desired_exits(trade: Trade, orders: Mapping[str, Order]) -> tuple[DesiredExit, ...] | None:
    """Return the exits of the legs that should be working now, or ``None`` while that cannot be said.

    It cannot be said while the entry works: its children wait at the broker.
    """
    if not has_legs(trade, orders):
        return None
    if inventory(trade, orders) <= 0:
        return ()
    shares = leg_shares(trade, orders)
    return tuple(
        wanted
        for leg in trade.legs
        if shares[leg.number] > 0
        for wanted in exit_pair(trade, leg, shares[leg.number])
    )


def first_legs(plan: TradePlan, qty: Shares) -> tuple[Leg, ...]:
    """Return the legs of ``qty`` shares as planned; a leg that would be empty is left out."""
    if plan.sl is None and not plan.tps:
        return ()
    if not plan.mode.is_detached:
        return (Leg(1, qty, tp=plan.tps[0] if plan.tps else None, stop=plan.sl),)
    parts = split(qty, plan.parts)
    return tuple(
        Leg(number, part, step=number, tp=plan.tps[number - 1], stop=plan.sl)
        for number, part in enumerate(parts, 1)
        if part > 0
    )


def reached(trade: Trade, orders: Mapping[str, Order]) -> int:
    """Return how many targets, counted from the first without a gap, are fully sold by executions.

    Shares that somebody else sold are none of the target's. One that was told stays reached: an execution that is taken back
    undoes no milestone.
    """
    shares = leg_shares(trade, orders)
    count = trade.milestone
    for leg in trade.legs[count:]:
        targets = orders_of(trade, f"tp{leg.number}", orders)
        sold = sum(order.filled for order in targets)
        others = sum(order.filled for order in leg_orders(trade, leg, orders)) - sold
        if (
            leg.number != leg.step
            or leg.step != count + 1
            or not any(order.state is OrderState.FILLED for order in targets)
            or others > 0
            or shares[leg.number] > 0
        ):
            break
        count += 1
    return count


def ruled_stop(trade: Trade, leg: Leg, targets: int) -> Price | None:
    """Return where a leg's stop belongs once ``targets`` targets are reached (USD): never looser than it is."""
    if leg.stop is None:
        return None
    updates = trade.plan.updates
    step = min(targets, leg.step - 1, len(updates))
    return leg.stop if step < 1 else max(leg.stop, updates[step - 1])


def chased_limit(order: Order, quote: Quote | None, grid: PriceGrid, now: datetime) -> Price | None:
    """Return the new limit of an elected SELL stop-limit, or ``None`` to leave it.

    The limit follows the bid downwards only, at most once a second. Without a usable touch it steps 0.25 % below the last
    limit each second, down to 3 % under the stop. It rests in a halt and on data that is not live.
    """
    limit, stop = order.spec.limit, order.spec.stop
    if limit is None or stop is None or order.changing or order.cancelling:
        return None
    if order.repriced_at is not None and now - order.repriced_at < REPRICE_EVERY:
        return None
    if quote is None or quote.kind is not DataKind.LIVE or quote.age(now) > QUOTE_FOR_STOP:
        return None
    if quote.bid is not None and is_usable(quote.bid) and not _is_wide(quote.bid, quote.ask, grid):
        wanted = grid.down(quote.bid)
    else:
        wanted = max(grid.down(limit * (1 - STEP_BELOW)), floor_price(stop, grid))
    return wanted if wanted < limit else None


def is_at_floor(order: Order, quote: Quote | None, grid: PriceGrid, now: datetime) -> bool:
    """Return whether an elected stop's limit has come down as far as it may, and nobody buys there in a live market."""
    limit, stop = order.spec.limit, order.spec.stop
    if limit is None or stop is None or order.changing or order.cancelling or order.repriced_at is None:
        return False
    is_fresh = quote is not None and quote.kind is DataKind.LIVE and quote.age(now) <= QUOTE_FOR_STOP
    bid = None if quote is None else quote.bid
    sells = is_usable(bid) and bid is not None and bid >= limit
    return (
        is_fresh
        and not sells
        and limit <= floor_price(stop, grid)
        and now - order.repriced_at >= REPRICE_EVERY
    )


def _is_wide(bid: Price, ask: Price | None, grid: PriceGrid) -> bool:
    if ask is None or not is_usable(ask):
        return False
    return ask - bid > max(WIDE_TICKS * grid.increment(bid), bid * WIDE_SPREAD)
