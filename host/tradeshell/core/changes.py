"""Changes that an operator asks of a working order: what they would be, and whether they may leave.

Laws: prices go onto the grid by side, a stop never looser than asked; a SELL never grows beyond what is held; the entry of a
bracket does not grow, because its children would not follow.
"""

from __future__ import annotations

from tradeshell.core.book import Book, moved
from tradeshell.core.exits import stop_limit_price
from tradeshell.core.guards import Refusal, check_sell
from tradeshell.core.inputs import ReplaceRequested
from tradeshell.core.market import Price, PriceGrid, Shares
from tradeshell.core.orders import Order, OrderType, Side
from tradeshell.core.trade import Trade, is_exit


def check_replace(book: Book, order: Order, qty: Shares | None) -> Refusal | None:
    """Return why ``order`` may not get the total ``qty``, or ``None``."""
    if qty is None or qty == order.spec.qty:
        return None
    trade = book.trade_of(order.spec.ref)
    if qty < order.spec.qty:
        children = any(o.spec.parent_ref == order.spec.ref and o.state.is_live for o in book.orders.values())
        if children:
            return Refusal(
                "bracket_quantity", "its exits would sell more than it buys; cancel the entry instead"
            )
        return None
    if trade is not None and is_exit(trade, order.spec.ref):
        return Refusal(
            "exit_quantity", f"an exit follows the shares held; it works {order.remaining} and does not grow"
        )
    if order.spec.side is Side.SELL:
        return check_sell(order.spec.symbol, qty - order.spec.qty, book.held(), book.committed())
    if trade is not None and len(trade.refs) > 1:
        return Refusal("bracket_quantity", "the entry of a bracket does not grow, its exits would not follow")
    return None


def replaced(order: Order, trade: Trade, request: ReplaceRequested) -> Order:
    """Return the order with the change in flight; a stop that moves takes its limit along unless one is named."""
    grid = trade.instrument.grid
    stop = order.spec.stop if request.stop is None else _stop_on_grid(request.stop, order.spec.side, grid)
    limit = (
        order.spec.limit if request.limit is None else _limit_on_grid(request.limit, order.spec.side, grid)
    )
    if request.stop is not None and request.limit is None and order.spec.type is OrderType.STOP_LIMIT:
        limit = stop_limit_price(request.stop if stop is None else stop, trade.plan.sl_offset, grid)
    return moved(order, qty=order.spec.qty if request.qty is None else request.qty, limit=limit, stop=stop)


def _stop_on_grid(price: Price, side: Side, grid: PriceGrid) -> Price:
    return grid.up(price) if side is Side.SELL else grid.down(price)


def _limit_on_grid(price: Price, side: Side, grid: PriceGrid) -> Price:
    """Never pay more or take less than what was typed."""
    return grid.up(price) if side is Side.SELL else grid.down(price)
