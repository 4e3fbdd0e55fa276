"""Which exits a trade wants, computed from what is true; and the limit an elected stop-limit wants.

Laws: level-triggered: the answer depends on inventory and orders as they are, never on which message came last. No exit is
wanted for a share that has not executed, except the held children of an attached bracket, which the broker itself releases.
While shares are said to be sold whose executions have not arrived, nothing new is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from tradeshell.core.market import DataKind, Price, PriceGrid, Quote, Shares, is_usable
from tradeshell.core.orders import Order, OrderType
from tradeshell.core.trade import Trade, awaited, entry_of, exits_of, inventory, is_over, leg_shares

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


def stop_limit_price(stop: Price, offset: Price, grid: PriceGrid) -> Price:
    """Return the initial limit of a stop-limit: stop - offset, on the grid, never above the stop."""
    return grid.down(stop - offset)


def exit_pair(trade: Trade, number: int, qty: Shares) -> tuple[DesiredExit, ...]:
    """Return the exits of leg ``number`` over ``qty`` shares, the stop first."""
    wanted: list[DesiredExit] = []
    if trade.stop is not None:
        limit = None
        if trade.plan.sl_type is OrderType.STOP_LIMIT:
            planned = stop_limit_price(trade.stop, trade.plan.sl_offset, trade.instrument.grid)
            limit = planned if trade.stop_limit is None else min(trade.stop_limit, trade.stop)
        wanted.append(
            DesiredExit(leg=f"sl{number}", qty=qty, type=trade.plan.sl_type, stop=trade.stop, limit=limit)
        )
    if trade.tp is not None:
        wanted.append(DesiredExit(leg=f"tp{number}", qty=qty, type=OrderType.LIMIT, limit=trade.tp))
    return tuple(wanted)


def desired_exits(trade: Trade, orders: Mapping[str, Order]) -> tuple[DesiredExit, ...] | None:
    """Return the exits that should be working now, or ``None`` while that cannot be said.

    It cannot be said while the entry works (its children wait at the broker) and while executions are known to be missing.
    """
    if not is_over(entry_of(trade, orders)) or any(awaited(order) for order in exits_of(trade, orders)):
        return None
    if inventory(trade, orders) <= 0:
        return ()
    shares = leg_shares(trade, orders)
    return tuple(
        wanted
        for leg in trade.legs
        if shares[leg.number] > 0
        for wanted in exit_pair(trade, leg.number, shares[leg.number])
    )


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
        wanted = max(grid.down(limit * (1 - STEP_BELOW)), grid.up(stop * (1 - MAX_SLIP)))
    return wanted if wanted < limit else None


def _is_wide(bid: Price, ask: Price | None, grid: PriceGrid) -> bool:
    if ask is None or not is_usable(ask):
        return False
    return ask - bid > max(WIDE_TICKS * grid.increment(bid), bid * WIDE_SPREAD)
