"""One instrument in one account: its orders, its execution ledger, its position, its trades.

Laws: the book is the only place that builds a SELL. Fills are booked from executions, once per execution stem, in whatever
state the order is believed to be; a correction replaces. Statuses move states, never quantities. What the broker shows of
prices and totals wins over what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct, field
from msgspec.structs import replace

from tradeshell.core.exits import DesiredExit, exit_legs, stop_limit_price
from tradeshell.core.guards import Approved
from tradeshell.core.inputs import ExecutionReport, OrderReport, PositionReport
from tradeshell.core.market import Instrument, Price, Shares
from tradeshell.core.orders import (
    OcaType,
    Order,
    OrderSpec,
    OrderState,
    OrderType,
    Side,
    Signal,
    Tif,
    advance,
    order_ref,
)
from tradeshell.core.trade import Trade, TradePhase, first_leg, inventory, new_ref

# Seconds after the entry timeout at which the broker itself drops the entry (the entry must not outlive us).
ENTRY_EXPIRY_GRACE = 5.0

_SIGNALS = {
    OrderState.HELD: Signal.HELD,
    OrderState.WORKING: Signal.WORKING,
    OrderState.CANCELLED: Signal.CANCELLED,
    OrderState.REFUSED: Signal.REFUSED,
    OrderState.UNKNOWN: Signal.LOST_SIGHT,
}


class Book(Struct, frozen=True, kw_only=True):
    """The book of one instrument. ``position`` and ``average`` are the broker's own words, ``None`` before it spoke."""

    instrument: Instrument
    orders: dict[str, Order] = field(default_factory=dict)
    executions: dict[str, ExecutionReport] = field(default_factory=dict)
    trades: dict[str, Trade] = field(default_factory=dict)
    position: Shares | None = None
    average: Price | None = None

    def trade_of(self, ref: str) -> Trade | None:
        """Return the trade that sent ``ref``."""
        return next((trade for trade in self.trades.values() if ref in trade.refs), None)

    def held(self) -> Shares:
        """Return the shares held: the broker's position, or our ledger before the broker spoke."""
        if self.position is not None:
            return self.position
        return sum(execution.side.sign * execution.qty for execution in self.executions.values())

    def committed(self) -> Shares:
        """Return the shares that working SELLs could still take: each OCA group (or bracket) counts its largest order once."""
        groups: dict[str, Shares] = {}
        for order in self.orders.values():
            if order.spec.side is Side.SELL and order.remaining > 0:
                key = order.spec.oca_group or order.spec.parent_ref or order.spec.ref
                if order.spec.parent_ref is not None and self.orders[order.spec.parent_ref].filled == 0:
                    continue  # a held child of an entry that has bought nothing can take nothing
                groups[key] = max(groups.get(key, 0), order.remaining)
        return sum(groups.values())


def with_order(book: Book, order: Order) -> Book:
    """Return the book with ``order`` put in its place."""
    return replace(book, orders={**book.orders, order.spec.ref: order})


def with_trade(book: Book, trade: Trade) -> Book:
    """Return the book with ``trade`` put in its place."""
    return replace(book, trades={**book.trades, trade.id: trade})


# --- what the broker says ---------------------------------------------------------------------------------------------


def shown(order: Order, report: OrderReport, at: datetime) -> Order:
    """Return ``order`` after the broker's report; raises ``IllegalTransition`` for what the table does not allow."""
    # Executions alone fill an order; the status only says how many to expect.
    after = order if report.state is OrderState.FILLED else advance(order, _SIGNALS[report.state])
    if after.state is OrderState.CANCELLED and order.filled >= order.spec.qty:
        after = order
    stop = order.shown_stop if report.stop is None else report.stop
    limit = order.shown_limit if report.limit is None else report.limit
    agrees = (stop, limit) == (order.spec.stop, order.spec.limit)
    elected = (
        order.spec.type is OrderType.STOP_LIMIT
        and order.elected_at is None
        and after.state is OrderState.WORKING
        and order.state is not OrderState.WORKING
    )
    qty = report.qty if report.qty is not None else order.shown_qty
    spec = order.spec
    if qty is not None and qty < spec.qty and after.state.is_live:
        spec = replace(spec, qty=max(qty, order.filled))  # the broker reduced an OCA sibling by itself
    return replace(
        after,
        spec=spec,
        order_id=report.order_id or order.order_id,
        told_filled=max(order.told_filled, report.filled),
        shown_stop=stop,
        shown_limit=limit,
        shown_qty=qty,
        changing=order.changing and not agrees and after.state.is_live,
        cancelling=order.cancelling and after.state.is_live,
        elected_at=at if elected else order.elected_at,
        why=report.why or order.why,
    )


def executed(book: Book, execution: ExecutionReport) -> tuple[Book, Shares]:
    """Return the book with the execution booked and the net shares it added (0 for a repetition).

    A later revision of the same stem replaces the earlier one (IBKR: the last part of ``execId`` counts corrections).
    """
    before = book.executions.get(execution.stem)
    if before is not None and before.exec_id >= execution.exec_id:
        return book, 0
    book = replace(book, executions={**book.executions, execution.stem: execution})
    old_qty = 0 if before is None else before.qty
    order = book.orders.get(execution.ref)
    if order is not None:
        old_value = Decimal(0) if before is None else before.price * before.qty
        filled = order.filled + execution.qty - old_qty
        signal = Signal.FULL_FILL if filled >= order.spec.qty else Signal.PART_FILL
        order = replace(
            advance(order, signal),
            filled=filled,
            notional=order.notional + execution.price * execution.qty - old_value,
        )
        if not order.state.is_live:
            order = replace(order, changing=False, cancelling=False)
        book = with_order(book, order)
    if execution.side is Side.SELL and _is_foreign_to_trades(book, execution.ref):
        book = _take(book, execution.qty - old_qty)
    return book, execution.qty - old_qty


def _is_foreign_to_trades(book: Book, ref: str) -> bool:
    trade = book.trade_of(ref)
    return trade is None or trade.plan.side is Side.SELL


def _take(book: Book, qty: Shares) -> Book:
    """Consume shares that were sold outside the trades' own exits: foreign shares first, then the newest trade."""
    owned = sum(max(0, inventory(trade, book.orders)) for trade in book.trades.values())
    foreign = max(0, (book.position if book.position is not None else owned) - owned)
    qty -= min(qty, foreign)
    for trade in sorted(book.trades.values(), key=lambda t: t.asked_at, reverse=True):
        if qty <= 0:
            break
        share = min(qty, max(0, inventory(trade, book.orders)))
        if share:
            book = with_trade(book, replace(trade, taken=trade.taken + share))
            qty -= share
    return book


def positioned(book: Book, report: PositionReport) -> Book:
    """Return the book with the broker's position."""
    if (book.position, book.average) == (report.qty, report.average):
        return book
    return replace(book, position=report.qty, average=report.average)


# --- what we ask for --------------------------------------------------------------------------------------------------


def entry_specs(trade: Trade, approved: Approved, at: datetime) -> tuple[OrderSpec, ...]:
    """Return the entry and, for a bracket, its children; only the last one transmits (IBKR: bracket staging)."""
    plan = trade.plan
    parent = order_ref(trade.id, first_leg(plan), 1)
    children = exit_legs(trade, plan.qty)
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
        tif=plan.exit_tif,
        outside_rth=plan.outside_rth,
        parent_ref=parent,
        oca_group=oca_group,
        oca_type=None if oca_group is None else OcaType.REDUCE,
        transmit=transmit,
        client_tag=plan.client_tag,
    )


def oca_group(trade: Trade, leg: str) -> str:
    """Return a group name that is unique for the attempt and its generation (a finished group cannot be used again)."""
    return new_ref(trade, leg).replace(":sl", ":p").replace(":tp", ":p")


def moved(order: Order, *, qty: Shares, limit: Price | None, stop: Price | None) -> Order:
    """Return the order with new values asked for and the change in flight."""
    return replace(order, spec=replace(order.spec, qty=qty, limit=limit, stop=stop), changing=True)


def reverted(order: Order) -> Order:
    """Return the order as the broker last showed it: a refused change leaves the old order working."""
    spec = replace(
        order.spec,
        limit=order.spec.limit if order.shown_limit is None else order.shown_limit,
        stop=order.spec.stop if order.shown_stop is None else order.shown_stop,
        qty=order.spec.qty if order.shown_qty is None else order.shown_qty,
    )
    return replace(order, spec=spec, changing=False)


def adopt_prices(trade: Trade, order: Order) -> Trade:
    """Return the trade wanting its exit where the order stands (an operator's change, or a change that was refused)."""
    if order.spec.type.is_stop:
        return trade if order.elected_at is not None else replace(trade, stop=order.spec.stop)
    return replace(trade, tp=order.spec.limit)


def new_stop_limit(trade: Trade, stop: Price) -> Price | None:
    """Return the limit that belongs to a stop at ``stop``; ``None`` for a plain stop."""
    if trade.plan.sl_type is not OrderType.STOP_LIMIT:
        return None
    return stop_limit_price(stop, trade.plan.sl_offset, trade.instrument.grid)


def open_trades(book: Book) -> Iterable[Trade]:
    """Return the trades that are not over."""
    return (trade for trade in book.trades.values() if trade.phase is not TradePhase.CLOSED)


def stops_of(book: Book, trade: Trade) -> tuple[Order, ...]:
    """Return the trade's elected stop-limits that still work."""
    return tuple(
        order
        for ref in trade.refs[1:]
        if (order := book.orders[ref]).elected_at is not None and order.state.is_live
    )
