"""What the broker says, booked and told.

Laws: executions move quantities, statuses move states; a repetition changes nothing and is not told again. A refusal of a
change leaves the old order working. Words about orders that are not ours are shown, never acted upon.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from tradeshell.core import outside
from tradeshell.core.book import Book, executed, positioned, reverted, shown
from tradeshell.core.cap import group_of
from tradeshell.core.commands import SetTimer
from tradeshell.core.entry import look_at_stop
from tradeshell.core.events import (
    BracketChildOrderFilled,
    BracketChildOrderStatusChanged,
    BrokerMessageUnclassified,
    CommissionCharged,
    LadderStopLossReplaced,
    LadderStopLossReplaceFailed,
    OrderChangeGivenUp,
    OrderFilled,
    OrderOutcomeUnknown,
    OrderRefused,
    OrderSendFailed,
    OrderStatusChanged,
)
from tradeshell.core.exit_events import KillSwitchEngaged
from tradeshell.core.inputs import (
    CommissionReported,
    ExecutionReport,
    OrderRefusedByBroker,
    OrderReport,
    PositionReport,
    RefusedWhat,
    SendFailed,
    exec_stem,
)
from tradeshell.core.kill import want_no_entries
from tradeshell.core.orders import (
    RETRY,
    IllegalTransition,
    Order,
    OrderState,
    OrderType,
    Side,
    Signal,
    advance,
    ended,
    parse_ref,
)
from tradeshell.core.settle import settle
from tradeshell.core.strategy import Refused
from tradeshell.core.trade import (
    Rung,
    Trade,
    TradePhase,
    awaited,
    find_leg,
    is_exit,
    leg_of,
    leg_orders,
    live,
    watch_of,
    with_leg,
)
from tradeshell.core.turn import ACK_TIMEOUT, SECOND_LOOK, Turn
from tradeshell.core.watch import Watchers

MAX_ORDER_ID = 2**31 - 1_000_000  # foreign numbers near the protocol's end are not followed
NOT_THERE = 10147  # IBKR: "OrderId N that needs to be cancelled is not found"
NOT_NOW = 161  # IBKR: the order is not in a state in which it can be cancelled
NOT_FOUND = (
    NOT_THERE,
    10148,
    NOT_NOW,
    135,
)  # IBKR: the order is not there to be cancelled; a picture tells what became of it
FILLED = "state: Filled"  # IBKR's words with 10148
CANCELLED = "state: Cancelled"
DENIED_FOR = timedelta(seconds=5)
GROUP_FIXED = (10326, 10327)  # IBKR: revision of an OCA group is not allowed
GROUP_WORDS = "OCA group revision"
NOT_YET = 399  # IBKR: "your order will not be placed at the exchange until ..."
REDUCTIONS = 3  # refusals of a reduction after which the exit is replaced by a smaller one
STORM = 10  # refusals that stop entries
STORM_WITHIN = timedelta(seconds=10)


def after(turn: Turn, watchers: Watchers, trade: Trade | None) -> None:
    """Settle the trade something happened to, and end its watcher when the trade is over."""
    if trade is None:
        return
    trade = settle(turn, turn.book(trade.plan.symbol).trades[trade.id])
    if trade.phase is TradePhase.CLOSED:
        watchers.end(turn, trade.id, trade.end_reason)


def order_reported(turn: Turn, watchers: Watchers, report: OrderReport) -> None:
    """Book a status."""
    order = turn.desk.order(report.ref)
    if turn.desk.next_order_id <= report.order_id < MAX_ORDER_ID:
        turn.desk = replace(turn.desk, next_order_id=report.order_id + 1)
    if order is None:
        is_ours = parse_ref(report.ref) is not None
        if not outside.reported(turn, report) and is_ours and turn.desk.link.reconciled:
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
    if awaited(new) > awaited(order) or new.is_missed:  # its executions are on their way, or were lost
        turn.timer("picture", ACK_TIMEOUT.total_seconds())
    trade = turn.book(order.spec.symbol).trade_of(order.spec.ref)
    assert trade is not None  # every order of ours belongs to a trade
    if not order.changing and (new.spec.stop, new.spec.limit) != (order.spec.stop, order.spec.limit):
        turn.put_trade(adopted(trade, new))
    _tell_status(turn, trade, order, new, report)
    if new.state is OrderState.REFUSED:
        tell_refused_entry(turn, watchers, trade, order, report.why or "no reason given")
    after(turn, watchers, trade)


def adopted(trade: Trade, order: Order) -> Trade:
    """Return the trade wanting its exit where the order stands: somebody's change, or one of ours that was refused."""
    name = leg_of(order.spec.ref)
    leg = find_leg(trade, order.spec.ref)
    if leg is None or not is_exit(trade, order.spec.ref):
        return trade
    if name.startswith("tp"):
        return with_leg(trade, replace(leg, tp=order.spec.limit))
    if order.elected_at is not None or not name.startswith("sl"):
        return trade
    return with_leg(trade, replace(leg, stop=order.spec.stop, stop_limit=order.spec.limit))


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
    was = old.spec if old.before is None else old.before
    is_ours = old.changing and not new.changing and (was.stop, was.limit) != (spec.stop, spec.limit)
    is_theirs = child and not old.changing and (old.spec.stop, old.spec.limit) != (spec.stop, spec.limit)
    if (is_ours or (is_theirs and new.elected_at is None)) and new.state.is_live and spec.type.is_stop:
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
                reason="changed at the broker by somebody else" if is_theirs else "",
            )
        )


def execution_reported(turn: Turn, watchers: Watchers, execution: ExecutionReport) -> None:
    """Book an execution of the account, ours or anybody's."""
    book = turn.desk.books.get(execution.symbol)
    if book is None or execution.account != turn.desk.account:
        return
    before, trades_before = book.orders.get(execution.ref), book.trades
    book, added = executed(book, execution)
    if book is turn.desk.books[execution.symbol]:
        return
    is_news = book.executions is not turn.desk.books[execution.symbol].executions
    turn.put_book(execution.symbol, book)
    order = book.orders.get(execution.ref)
    trade = book.trade_of(execution.ref)
    if not is_news:  # it was corrected before it came
        after(turn, watchers, trade)
        return
    if order is not None and before is not None and trade is not None:
        turn.mark_chased(execution.symbol, order)
        order = replace(order, executed_at=turn.at)
        turn.put_order(order)
        _spoil(turn, order)
        _hide_siblings(turn, trade, order)
        if order.filled < before.filled:
            _taken_back(turn, trade, order)
        _tell_fill(turn, book, trade, order, execution)
    if not added:
        return
    for id_, each in tuple(turn.book(execution.symbol).trades.items()):
        is_touched = each is not trades_before.get(id_) or (trade is not None and id_ == trade.id)
        # A sale that was typed may be of shares that somebody else has sold.
        if is_touched or (each.plan.side is Side.SELL and each.phase is not TradePhase.CLOSED):
            after(turn, watchers, each)


def _spoil(turn: Turn, order: Order) -> None:
    """News of a group: what was being explained there has to be looked at again."""
    orders = turn.book(order.spec.symbol).orders
    for other in tuple(orders.values()):
        if other.lost_at is not None and not other.is_explained and group_of(other) == group_of(order):
            turn.put_order(replace(other, lost_at=turn.at, gone_at=None))


def _hide_siblings(turn: Turn, trade: Trade, order: Order) -> None:
    """After an execution the broker takes off its siblings what was sold: their totals are old until it shows them."""
    leg = find_leg(trade, order.spec.ref)
    if leg is None or not is_exit(trade, order.spec.ref):
        return
    for other in live(leg_orders(trade, leg, turn.book(trade.plan.symbol).orders)):
        if other.spec.ref != order.spec.ref and other.unseen_since is None:
            turn.put_order(replace(other, unseen_since=turn.at))


def _taken_back(turn: Turn, trade: Trade, order: Order) -> None:
    """The exchange took an execution back. On a live account nobody but the operator sells those shares again."""
    leg = find_leg(trade, order.spec.ref)
    orders = turn.book(trade.plan.symbol).orders
    if leg is not None and not turn.desk.paper and not live(leg_orders(trade, leg, orders)):
        turn.put_trade(
            with_leg(
                turn.book(trade.plan.symbol).trades[trade.id], replace(leg, rung=Rung.ALARM, tried_at=None)
            )
        )


def _count_refusal(turn: Turn, watchers: Watchers) -> None:
    """Too many refusals at once: no more entries, until somebody has looked."""
    recent = tuple(at for at in turn.desk.refusals if turn.at - at < STORM_WITHIN)
    turn.desk = replace(turn.desk, refusals=(*recent, turn.at))
    if len(recent) + 1 >= STORM and not turn.desk.stopped:
        turn.desk = replace(turn.desk, stopped="storm", refusals=())
        turn.say(
            KillSwitchEngaged(reason=f"the broker refused {STORM} orders within {STORM_WITHIN.seconds} s")
        )
        for trade in want_no_entries(turn):
            after(turn, watchers, trade)


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


def position_reported(turn: Turn, watchers: Watchers, report: PositionReport) -> None:
    """Book the broker's position; one that does not follow from the executions is looked at again."""
    if report.account != turn.desk.account:
        return
    if turn.desk.positions.get(report.symbol) != report:
        turn.desk = replace(turn.desk, positions={**turn.desk.positions, report.symbol: report})
    book = turn.desk.books.get(report.symbol)
    if book is None:
        return
    new = positioned(book, report, turn.at)
    if new == book:
        return
    turn.put_book(report.symbol, new)
    is_gained = new.gained_at is not None and new.gained_at != book.gained_at
    if is_gained or (new.differs_at is not None and book.differs_at is None):
        turn.look_later(report.symbol)
    for id_, trade in new.trades.items():
        # A ladder waits for the position that confirms its shares.
        if trade is not book.trades.get(id_) or (trade.plan.mode.is_detached and not trade.is_armed):
            after(turn, watchers, trade)


def commission_reported(turn: Turn, commission: CommissionReported) -> None:
    """Book a fee to the trade that caused it."""
    stem = exec_stem(commission.exec_id)
    for symbol, book in turn.desk.books.items():
        execution = book.executions.get(stem)
        trade = None if execution is None else book.trade_of(execution.ref)
        if execution is not None and trade is not None and commission.exec_id not in book.fees:
            turn.put_book(symbol, replace(book, fees=book.fees | {commission.exec_id}))
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
    if order is None and outside.refused(turn, refusal):
        return
    if order is None or trade is None or not refusal.is_known:
        turn.say(
            BrokerMessageUnclassified(code=refusal.code, text=refusal.text, order_ref=refusal.ref or None)
        )
        return
    if order.is_probed and refusal.what is RefusedWhat.CANCEL and refusal.code == NOT_THERE:
        if order.state.is_live:
            _denied(turn, trade, order, refusal)  # pictures from now on are believed when they lack it
        else:
            _never_came(turn, order)
        after(turn, watchers, turn.desk.trade(trade.id))
        return
    is_late = not order.state.is_live and refusal.what is not RefusedWhat.ORDER
    turn.say(
        OrderRefused(
            symbol=order.spec.symbol,
            watch=trade.id,
            leg=leg_of(order.spec.ref),
            order_ref=refusal.ref,
            what=refusal.what.value,
            code=refusal.code,
            text=refusal.text,
            is_late=is_late,
        )
    )
    if is_late:  # it ended before the change or the cancel reached it
        if refusal.code == NOT_NOW and order.is_buried and order.retries <= RETRY.times:
            turn.put_order(replace(order, is_buried=False, retries=order.retries + 1))
            turn.timer(f"bury:{refusal.ref}", RETRY.delay(order.retries).total_seconds())
        return
    if refusal.what is RefusedWhat.ORDER:
        new = replace(advance(order, Signal.REFUSED), why=refusal.text)
        turn.put_order(ended(new, turn.at, told=True, asked=False))
        _count_refusal(turn, watchers)
        tell_refused_entry(turn, watchers, trade, order, f"{refusal.code}: {refusal.text}")
    elif refusal.what in (RefusedWhat.CHANGE, RefusedWhat.CANCEL):
        if refusal.code in NOT_FOUND:
            _denied(turn, trade, order, refusal)
        elif refusal.what is RefusedWhat.CHANGE and (
            refusal.code in GROUP_FIXED or GROUP_WORDS in refusal.text
        ):
            _fixed_in_group(turn, trade, order, refusal.text)
        else:
            take_back(turn, trade, order, refusal.what is RefusedWhat.CHANGE, refusal.text)
    elif refusal.code == NOT_YET and order.spec.side is Side.BUY and not turn.desk.policy.hold:
        turn.put_trade(replace(trade, cancel_wanted="it cannot work now"))
    else:
        return
    after(turn, watchers, turn.desk.trade(trade.id))


def _never_came(turn: Turn, order: Order) -> None:
    """The broker has no order of which nothing was ever heard: it was lost on the way, and sold nothing."""
    if not (order.told_filled or order.filled):
        turn.put_order(replace(order, is_explained=True))


def bury_again(turn: Turn, ref: str) -> None:
    """Ask once more to cancel an order that was refused, and that could not be cancelled then."""
    order = turn.desk.order(ref)
    trade = None if order is None else turn.book(order.spec.symbol).trade_of(ref)
    if (
        order is not None
        and trade is not None
        and order.state is OrderState.REFUSED
        and turn.desk.link.is_open
    ):
        turn.bury(trade, order)


def _fixed_in_group(turn: Turn, trade: Trade, order: Order, why: str) -> None:
    """The broker changes no order of this group: where the exit is wanted stays, and a new pair will stand there."""
    turn.put_order(replace(reverted(order, turn.at), retry_at=None, retries=0, needs_new_group=True))
    if order.spec.type.is_stop:
        turn.say(
            LadderStopLossReplaceFailed(
                symbol=order.spec.symbol,
                watch=trade.id,
                leg=leg_of(order.spec.ref),
                order_ref=order.spec.ref,
                reason=f"{why} · a new pair takes its place",
            )
        )


def _denied(turn: Turn, trade: Trade, order: Order, refusal: OrderRefusedByBroker) -> None:
    """The broker has no such order, or it is over there: what became of it a picture tells, and nothing is asked again before.

    One that it calls filled has executed, and its executions are on their way: old pictures that lack both say nothing. An order
    that cannot be cancelled now may work on. Whether a reduction reached it nobody knows: it may have executed the larger total.
    """
    is_filled = FILLED in refusal.text
    is_bought = order.spec.side is Side.BUY and is_filled
    # A change of it may have arrived or not: the larger total stays bound until the broker shows the order.
    most = order.doubted if order.before is None else max(order.doubted, order.before.qty)
    new = replace(
        order,
        changing=False,
        cancelling=False,
        before=None,
        is_missed=True,
        doubted=most,
        owes_answer=order.changing,
    )
    says_nothing = is_filled or refusal.code == NOT_NOW
    new = replace(new, is_bought=is_bought, denied_at=order.denied_at if says_nothing else turn.at)
    # A cancel that met nothing ended nothing: whoever asked for it did not end this order.
    is_ours = CANCELLED in refusal.text or not order.cancelling
    new = replace(new, by_operator=False, cancel_reason=order.cancel_reason if is_ours else "")
    new = replace(new, retry_at=turn.at + DENIED_FOR)
    if CANCELLED in refusal.text and order.spec.side is Side.SELL:
        # It has ended, unheard; how much it sold before that nobody said: executions of its group or pictures will.
        report = OrderReport(
            ref=order.spec.ref,
            order_id=order.order_id,
            state=OrderState.CANCELLED,
            filled=order.told_filled,
            remaining=order.remaining,
        )
        new = ended(advance(new, Signal.CANCELLED), turn.at, told=True, asked=False)
        _tell_status(turn, trade, order, new, report)
    turn.put_order(new)
    turn.look_again()
    turn.timer("picture", SECOND_LOOK.total_seconds())
    turn.commands.append(SetTimer(f"retry:{order.spec.ref}", turn.at + DENIED_FOR))


def tell_refused_entry(turn: Turn, watchers: Watchers, trade: Trade, before: Order, words: str) -> None:
    """Tell a watcher's strategy, once, that the broker did not take its entry."""
    is_entry = before.spec.ref == trade.refs[0]
    if is_entry and before.filled == 0 and before.state.is_live:
        watchers.news(turn, trade.id, Refused("broker_refusal", words))


def take_back(turn: Turn, trade: Trade, order: Order, is_change: bool, why: str) -> None:
    """A change or a cancel did not happen: the order works as before and is left alone for a while."""
    old = reverted(order, turn.at)
    is_reduction = order.before is not None and order.spec.qty < order.before.qty
    if (
        is_change
        and is_reduction
        and old.retries >= REDUCTIONS
        and find_leg(trade, order.spec.ref) is not None
    ):
        # It may not stand over more than is held: a pair of the right size takes its place.
        old = replace(old, needs_new_group=True, retries=0, retry_at=turn.at)
    turn.put_order(old)
    if old.doubted:
        turn.look_again()
    if is_change:
        turn.put_trade(adopted(trade, old))
        if order.spec.type.is_stop:
            turn.say(
                LadderStopLossReplaceFailed(
                    symbol=order.spec.symbol,
                    watch=trade.id,
                    leg=leg_of(order.spec.ref),
                    order_ref=order.spec.ref,
                    reason=why,
                )
            )
    if old.retries > RETRY.times:
        turn.look_again()  # what the broker shows may be what was wanted
        turn.say(
            OrderChangeGivenUp(
                symbol=order.spec.symbol, watch=trade.id, leg=leg_of(order.spec.ref), order_ref=order.spec.ref
            )
        )
    else:
        assert old.retry_at is not None  # ``reverted`` has set it
        turn.commands.append(SetTimer(f"retry:{order.spec.ref}", old.retry_at))


def send_failed(turn: Turn, watchers: Watchers, failure: SendFailed) -> None:
    """Book that a command could not be handed over."""
    order = turn.desk.order(failure.ref)
    trade = None if order is None else turn.book(order.spec.symbol).trade_of(failure.ref)
    if order is None or trade is None:
        outside.send_failed(turn, failure)
        return
    turn.say(
        OrderSendFailed(
            symbol=order.spec.symbol,
            watch=trade.id,
            leg=leg_of(failure.ref),
            order_ref=failure.ref,
            reason=failure.reason,
            certain=failure.certain,
            action=failure.action,
        )
    )
    if failure.action == "place":
        signal = Signal.REFUSED if failure.certain else Signal.LOST_SIGHT
        new = replace(advance(order, signal), why=failure.reason)
        turn.put_order(ended(new, turn.at, told=True, asked=True))
    elif failure.certain:
        take_back(turn, trade, order, failure.action == "replace", failure.reason)
    if not failure.certain:
        turn.look_again()
    after(turn, watchers, turn.desk.trade(trade.id))


def ack_overdue(turn: Turn, watchers: Watchers, ref: str) -> None:
    """An order has been in flight for too long: its outcome is unknown, it still counts as working; a picture is asked for."""
    order = turn.desk.order(ref)
    if order is None or order.state is not OrderState.SENT:
        return
    turn.put_order(advance(order, Signal.LOST_SIGHT))
    turn.say(
        OrderOutcomeUnknown(symbol=order.spec.symbol, watch=watch_of(ref), leg=leg_of(ref), order_ref=ref)
    )
    turn.look_again()
    after(turn, watchers, turn.book(order.spec.symbol).trade_of(ref))


def answer_overdue(turn: Turn, ref: str) -> None:
    """A change or a cancel was not answered in time: a picture says what works."""
    order = turn.desk.order(ref)
    if order is not None and order.state.is_live and (order.changing or order.cancelling):
        turn.look_again()
