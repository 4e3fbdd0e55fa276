"""Which exits a trade wants, computed from what is true; and the limit an elected stop-limit wants.

Laws: level-triggered: the answer depends on inventory and orders as they are, never on which message came last. No exit is
wanted for a share that has not executed, except the held children of an attached bracket, which the broker itself releases.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from tradeshell.core.market import DataKind, Price, PriceGrid, Quote, Shares
from tradeshell.core.orders import Order, OrderType
from tradeshell.core.trade import Trade, entry_of, inventory, is_over

REPRICE_EVERY = timedelta(
    seconds=1
)  # at most one reprice a second per leg: orders are rated by message efficiency
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


def stop_limit_price(stop: Price, offset: Price, grid: PriceGrid) -> Price:
    """Return the initial limit of a stop-limit: stop - offset, on the grid, never above the stop."""
    return grid.down(stop - offset)


def exit_legs(trade: Trade, qty: Shares) -> tuple[DesiredExit, ...]:
    """Return the exits of a trade over ``qty`` shares, stops first."""
    wanted: list[DesiredExit] = []
    if trade.stop is not None:
        limit = None
        if trade.plan.sl_type is OrderType.STOP_LIMIT:
            limit = stop_limit_price(trade.stop, trade.plan.sl_offset, trade.instrument.grid)
        wanted.append(DesiredExit(leg="sl1", qty=qty, type=trade.plan.sl_type, stop=trade.stop, limit=limit))
    if trade.tp is not None:
        wanted.append(DesiredExit(leg="tp1", qty=qty, type=OrderType.LIMIT, limit=trade.tp))
    return tuple(wanted)


def desired_exits(trade: Trade, orders: Mapping[str, Order]) -> tuple[DesiredExit, ...] | None:
    """Return the exits that should be working now, or ``None`` while that cannot be said.

    It cannot be said while the entry works (its children wait at the broker) and while executions are known to be missing.
    """
    entry = entry_of(trade, orders)
    if not is_over(entry):
        return None
    held = inventory(trade, orders)
    return exit_legs(trade, held) if held > 0 else ()


def chased_limit(order: Order, quote: Quote | None, grid: PriceGrid, now: datetime) -> Price | None:
    """Return the new limit of an elected SELL stop-limit, or ``None`` to leave it.

    The limit follows the bid downwards only, at most once a second. Without a usable touch it steps 0.25 % below the last
    limit each second, down to 3 % under the stop. In a halt it rests.
    """
    limit, stop = order.spec.limit, order.spec.stop
    if limit is None or stop is None or order.changing or order.cancelling:
        return None
    if order.repriced_at is not None and now - order.repriced_at < REPRICE_EVERY:
        return None
    if quote is None or (quote.kind is not DataKind.HALTED and quote.age(now) > QUOTE_FOR_STOP):
        return None
    if quote.kind is DataKind.HALTED:
        return None
    if quote.bid is not None and quote.bid > 0 and not _is_wide(quote, grid):
        wanted = grid.down(quote.bid)
        return wanted if wanted < limit else None
    stepped = grid.down(limit * (1 - STEP_BELOW))
    floor = grid.up(stop * (1 - MAX_SLIP))
    wanted = max(stepped, floor)
    return wanted if wanted < limit else None


def _is_wide(quote: Quote, grid: PriceGrid) -> bool:
    if quote.bid is None or quote.ask is None:
        return quote.bid is None
    spread = quote.ask - quote.bid
    return spread > max(WIDE_TICKS * grid.increment(quote.bid), quote.bid * WIDE_SPREAD)
