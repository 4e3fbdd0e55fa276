"""What the broker says, booked and told.

Laws: executions move quantities, statuses move states; a repetition changes nothing and is not told again. A refusal of a
change leaves the old order working. Words about orders that are not ours are shown, never acted upon.
"""

from __future__ import annotations

from msgspec.structs import replace

from tradeshell.core.book import Book, adopt_prices, executed, positioned, reverted, shown
from tradeshell.core.entry import look_at_stop
from tradeshell.core.events import (
    BracketChildOrderFilled,
    BracketChildOrderStatusChanged,
    BrokerMessageUnclassified,
    CommissionCharged,
    LadderStopLossReplaced,
    LadderStopLossReplaceFailed,
    OrderFilled,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderSendFailed,
    OrderStatusChanged,
)
from tradeshell.core.inputs import (
    CommissionReported,
    ExecutionReport,
    OrderRefusedByBroker,
    OrderReport,
    PositionReport,
    RefusedWhat,
    SendFailed,
)
from tradeshell.core.orders import (
    IllegalTransition,
    Order,
    OrderState,
    OrderType,
    Signal,
    advance,
    parse_ref,
)
from tradeshell.core.settle import settle
from tradeshell.core.trade import Trade, TradePhase, is_exit, leg_of
from tradeshell.core.turn import Turn
from tradeshell.core.watch import Watchers


def after(turn: Turn, watchers: Watchers, trade: Trade | None) -> None:
    """Settle the trade something happened to, and end its watcher when the trade is over."""
    if trade is None or trade.phase is TradePhase.CLOSED:
        return
    trade = settle(turn, turn.book(trade.plan.symbol).trades[trade.id])
    if trade.phase is TradePhase.CLOSED:
        watchers.end(turn, trade.id, trade.end_reason)


def order_reported(turn: Turn, watchers: Watchers, report: OrderReport) -> None:
    """Book a status."""
    order = turn.desk.order(report.ref)
    if report.order_id >= turn.desk.next_order_id:
        turn.desk = replace(turn.desk, next_order_id=report.order_id + 1)
    if order is None:
        if parse_ref(report.ref) is not None:
            turn.say(
                BrokerMessageUnclassified(
                    code=0,
                    order_ref=report.ref,
                    text=f"order {report.order_id} carries our ref but is not in our books",
                )
            )
        return
    try:
        new = shown(order, report, turn.at)
    except IllegalTransition as error:
        turn.say(BrokerMessageUnclassified(code=0, order_ref=report.ref, text=str(error)))
        return
    if new == order:
        return
    turn.put_order(new)
    trade = turn.book(order.spec.symbol).trade_of(order.spec.ref)
    if trade is None:
        return
    _tell_status(turn, trade, order, new, report)
    after(turn, watchers, trade)


def _tell_status(turn: Turn, trade: Trade, old: Order, new: Order, report: OrderReport) -> None:
    spec = new.spec
    leg = leg_of(spec.ref)
    elected = new.elected_at is not None and old.elected_at is None
    child = is_exit(trade, spec.ref)
    kind = BracketChildOrderStatusChanged if child else OrderStatusChanged
    if elected or (old.state, old.told_filled, old.spec.qty) != (new.state, new.told_filled, new.spec.qty):
        turn.say(
            kind(
                symbol=spec.symbol,
                watch=trade.id,
                leg=leg,
                order_ref=spec.ref,
                order_id=new.order_id,
                status="elected" if elected else report.state.value,
                filled=report.filled,
                remaining=report.remaining,
                limit=spec.limit,
                stop=spec.stop,
                reason=new.cancel_reason or new.why,
            )
        )
    if elected:
        look_at_stop(turn, new)
    if old.changing and not new.changing and new.state.is_live and spec.type.is_stop:
        turn.say(
            LadderStopLossReplaced(
                symbol=spec.symbol,
                watch=trade.id,
                leg=leg,
                order_ref=spec.ref,
                stop=spec.stop
                if spec.stop is not None
                else trade.instrument.grid.nearest(spec.limit or new.notional),
                limit=spec.limit,
            )
        )


def execution_reported(turn: Turn, watchers: Watchers, execution: ExecutionReport) -> None:
    """Book an execution, ours or anybody's of the account."""
    book = turn.desk.books.get(execution.symbol)
    if book is None:
        return
    before = book.orders.get(execution.ref)
    book, added = executed(book, execution)
    if book is turn.desk.books[execution.symbol]:
        return
    turn.put_book(execution.symbol, book)
    order = book.orders.get(execution.ref)
    if order is not None:
        turn.mark_chased(execution.symbol, order)
    trade = book.trade_of(execution.ref)
    if order is not None and before is not None and trade is not None:
        _tell_fill(turn, book, trade, order, execution)
    if added:
        for open_trade in tuple(book.trades.values()):
            after(turn, watchers, open_trade)


def _tell_fill(turn: Turn, book: Book, trade: Trade, order: Order, execution: ExecutionReport) -> None:
    leg = leg_of(order.spec.ref)
    child = is_exit(trade, order.spec.ref)
    entry = book.orders[trade.refs[0]].average
    pnl = (execution.price - entry) * execution.qty if child and entry is not None else None
    kind = BracketChildOrderFilled if child else OrderFilled
    turn.say(
        kind(
            symbol=order.spec.symbol,
            watch=trade.id,
            leg=leg,
            order_ref=order.spec.ref,
            order_id=order.order_id,
            exec_id=execution.exec_id,
            side=order.spec.side,
            qty=execution.qty,
            price=execution.price,
            cumulative=order.filled,
            order_qty=order.spec.qty,
            at=execution.at,
            pnl=pnl,
        )
    )
    if order.spec.type is OrderType.STOP_LIMIT and order.elected_at is None and order.state.is_live:
        # An execution can be the first word of an election.
        elected = replace(order, elected_at=turn.at)
        turn.put_order(elected)
        look_at_stop(turn, elected)


def position_reported(turn: Turn, report: PositionReport) -> None:
    """Book the broker's position."""
    book = turn.desk.books.get(report.symbol)
    if book is not None and (new := positioned(book, report)) is not book:
        turn.put_book(report.symbol, new)


def commission_reported(turn: Turn, commission: CommissionReported) -> None:
    """Book a fee to the trade that caused it."""
    stem = commission.exec_id.rpartition(".")[0] or commission.exec_id
    for book in turn.desk.books.values():
        execution = book.executions.get(stem)
        trade = None if execution is None else book.trade_of(execution.ref)
        if execution is not None and trade is not None:
            turn.put_trade(replace(trade, fees=trade.fees + commission.amount))
            turn.say(
                CommissionCharged(
                    symbol=execution.symbol,
                    watch=trade.id,
                    leg=leg_of(execution.ref),
                    order_ref=execution.ref,
                    exec_id=commission.exec_id,
                    amount=commission.amount,
                )
            )
            return


def refused(turn: Turn, watchers: Watchers, refusal: OrderRefusedByBroker) -> None:
    """Book a refusal of an order, a change or a cancel."""
    order = turn.desk.order(refusal.ref)
    trade = None if order is None else turn.book(order.spec.symbol).trade_of(refusal.ref)
    if order is None or trade is None:
        turn.say(
            BrokerMessageUnclassified(code=refusal.code, text=refusal.text, order_ref=refusal.ref or None)
        )
        return
    who = {"symbol": order.spec.symbol, "watch": trade.id, "leg": leg_of(order.spec.ref)}
    turn.say(
        OrderRefused(
            **who, order_ref=refusal.ref, what=refusal.what.value, code=refusal.code, text=refusal.text
        )
    )
    if refusal.what is RefusedWhat.ORDER:
        turn.put_order(replace(advance(order, Signal.REFUSED), why=refusal.text))
    elif refusal.what is RefusedWhat.CHANGE:
        old = reverted(order)
        turn.put_order(old)
        if is_exit(trade, refusal.ref):
            trade = adopt_prices(trade, old)
            turn.put_trade(trade)
        if order.spec.type.is_stop:
            turn.say(LadderStopLossReplaceFailed(**who, order_ref=refusal.ref, reason=refusal.text))
    elif refusal.what is RefusedWhat.CANCEL:
        turn.put_order(replace(order, cancelling=False))
    else:
        return
    after(turn, watchers, trade)


def send_failed(turn: Turn, watchers: Watchers, failure: SendFailed) -> None:
    """Book that a command could not be handed over."""
    order = turn.desk.order(failure.ref)
    trade = None if order is None else turn.book(order.spec.symbol).trade_of(failure.ref)
    if order is None or trade is None:
        return
    turn.say(
        OrderSendFailed(
            symbol=order.spec.symbol,
            watch=trade.id,
            leg=leg_of(failure.ref),
            order_ref=failure.ref,
            reason=failure.reason,
            certain=failure.certain,
        )
    )
    if failure.action == "place":
        signal = Signal.REFUSED if failure.certain else Signal.LOST_SIGHT
        turn.put_order(replace(advance(order, signal), why=failure.reason))
    elif failure.certain:
        turn.put_order(replace(reverted(order), cancelling=False))
    after(turn, watchers, trade)


def ack_overdue(turn: Turn, ref: str) -> None:
    """An order has been in flight for too long: its outcome is unknown, it still counts as working."""
    order = turn.desk.order(ref)
    if order is None or order.state is not OrderState.SENT:
        return
    turn.put_order(advance(order, Signal.LOST_SIGHT))
    turn.say(OrderOutcomeUnknown(symbol=order.spec.symbol, leg=leg_of(ref), order_ref=ref))
