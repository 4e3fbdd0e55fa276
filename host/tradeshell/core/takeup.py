"""A session that no record knows, taken up from what the broker has: its orders, its executions, what its orders say of its plan.

Laws: nothing is taken up by itself; what is taken up has bought more than it sold, holds shares that the broker confirms, and
every order of it is ours and works. Its orders keep their numbers and their refs; none is sent for it that is not missing.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from tradeshell.core import outside
from tradeshell.core.book import executed, with_order
from tradeshell.core.desk import WatchPhase
from tradeshell.core.inputs import ExecutionReport, TakeUpRequested
from tradeshell.core.market import Shares
from tradeshell.core.orders import Order, OrderSpec, OrderState, OrderType, Side, parse_ref
from tradeshell.core.recon_events import DetachedSessionRestored
from tradeshell.core.standing import Outside, is_living
from tradeshell.core.trade import (
    ENTRY,
    Leg,
    Trade,
    TradePhase,
    leg_number,
    leg_of,
    protection_state,
    watch_of,
)
from tradeshell.core.turn import Turn
from tradeshell.errors import OperatorError

LONG_AGO = timedelta(minutes=1)  # since when its orders work: pictures show them


def take_up(turn: Turn, request: TakeUpRequested) -> Trade:
    """Take up the session; raises ``OperatorError`` with one line when what the broker has does not make one."""
    symbol, account = request.plan.symbol, turn.desk.account
    mine = [
        each for each in request.executions if watch_of(each.ref) == request.id and each.account == account
    ]
    standing = [each for each in turn.desk.outside.values() if _belongs(each, request.id, symbol, account)]
    bought = sum(each.qty for each in mine if each.side is Side.BUY)
    held = bought - sum(each.qty for each in mine if each.side is Side.SELL)
    _check(turn, request, standing, held)
    orders = {each.order.ref: _living(each, mine, turn) for each in standing}
    for each in mine:
        orders.setdefault(each.ref, _ended(each, mine, request))
    refs = tuple(sorted(orders, key=_in_order))
    legs = _legs(request, orders, bought)
    trade = Trade(
        id=request.id,
        origin="restored",
        plan=request.plan,
        instrument=request.instrument,
        phase=TradePhase.ENTERING
        if any(each.order.side is Side.BUY for each in standing)
        else TradePhase.OPEN,
        asked_at=min(each.at for each in mine),
        refs=refs,
        legs=legs,
        filled_at=min(each.at for each in mine),
        confirmed=bought,
        is_armed=bool(legs),
    )
    book = turn.book(symbol, request.instrument)
    before = book.net
    for order in orders.values():
        book = with_order(book, order)
    turn.put_book(symbol, book)
    turn.desk = replace(turn.desk, refs={**turn.desk.refs, **dict.fromkeys(refs, symbol)})
    turn.put_trade(trade)
    book = turn.book(symbol)
    for each in sorted(mine, key=lambda execution: execution.at):
        book, _ = executed(book, each)
    # They were in the position that the book began with.
    change = book.net - before
    turn.put_book(
        symbol, replace(book, seed=(book.seed or 0) - change, since_position=book.since_position - change)
    )
    for order in orders.values():
        turn.mark_chased(symbol, order)
    left = {key: each for key, each in turn.desk.outside.items() if key not in orders}
    outside.put(turn, left)
    trade = turn.book(symbol).trades[request.id]
    _, held, covered = protection_state(trade, turn.book(symbol).orders, turn.at)
    turn.say(
        DetachedSessionRestored(
            symbol=symbol,
            watch=request.id,
            held=held,
            protected=covered,
            orders=len(standing),
            missed=len(mine),
            source="broker",
        )
    )
    return trade


def _belongs(each: Outside, id_: str, symbol: str, account: str) -> bool:
    order = each.order
    is_its = order.is_adoptable and watch_of(order.ref) == id_ and is_living(each)
    return is_its and order.symbol == symbol and order.account == account


def _check(turn: Turn, request: TakeUpRequested, standing: list[Outside], held: Shares) -> None:
    symbol = request.plan.symbol
    name = f"{symbol} {request.id}"
    book = turn.desk.books.get(symbol)
    if not turn.desk.link.is_open:
        link = turn.desk.link
        raise OperatorError(f"{name}: not connected to the broker ({link.why}); {link.way_back}")
    watcher = turn.desk.watchers.get(request.id)
    waits = (
        watcher is not None and watcher.phase is not WatchPhase.DONE
    )  # one that the state file alone knew is over
    if request.id in turn.desk.trade_symbols or waits:
        raise OperatorError(f"{name}: this session is known already; `positions` shows it")
    if any(each.cancelling or each.changing for each in standing):
        raise OperatorError(
            f"{name}: a change or a cancel of its orders is on its way; try again in a moment"
        )
    if held <= 0:
        raise OperatorError(f"{name}: today's executions make no shares of it; cancel its orders by number")
    position = turn.desk.positions.get(symbol)
    others = 0 if book is None else book.own()
    there = (0 if position is None else position.qty) - others
    if there < held:
        raise OperatorError(f"{name}: executions make {held} shares, the broker has {there} for it")


def _living(each: Outside, mine: list[ExecutionReport], turn: Turn) -> Order:
    order = each.order
    done = _done(order.ref, mine)
    is_elected = order.kind == OrderType.STOP_LIMIT and order.state is OrderState.WORKING
    return Order(
        spec=replace(each.spec, qty=done + order.remaining),
        state=order.state,
        order_id=order.order_id,
        told_filled=done,
        placed=order.qty,
        elected_at=turn.at if is_elected else None,
        sent_at=turn.at - LONG_AGO,
        touched_at=turn.at - LONG_AGO,
    )


def _ended(execution: ExecutionReport, mine: list[ExecutionReport], request: TakeUpRequested) -> Order:
    """Return an order that is at the broker no more, as its executions tell it; ``executed`` fills it."""
    qty = max(1, _done(execution.ref, mine))
    spec = OrderSpec(
        ref=execution.ref,
        symbol=execution.symbol,
        con_id=request.instrument.con_id,
        account=execution.account,
        side=execution.side,
        qty=qty,
        type=OrderType.LIMIT,
        limit=execution.price,
    )
    return Order(spec=spec, order_id=execution.order_id, told_filled=qty, placed=qty, is_explained=True)


def _done(ref: str, mine: list[ExecutionReport]) -> Shares:
    return sum(each.qty for each in mine if each.ref == ref)


def _in_order(ref: str) -> tuple[bool, str, int]:
    """Entry first, then by leg and generation."""
    parts = parse_ref(ref)
    assert parts is not None  # only refs of ours belong to a session
    return parts.leg != ENTRY, parts.leg, parts.generation


def _legs(request: TakeUpRequested, orders: dict[str, Order], bought: Shares) -> tuple[Leg, ...]:
    """Return the legs: what each has sold and what its exits still work for. One that has no order any more gets the rest."""
    plan = request.plan
    legs: list[Leg] = []
    for number in range(1, max((leg_number(leg_of(ref)) for ref in orders), default=0) + 1):
        own = [order for ref, order in orders.items() if leg_number(leg_of(ref)) == number]
        qty = sum(order.told_filled for order in own)
        qty += max((order.spec.qty - order.told_filled for order in own), default=0)
        stops = [o.spec for o in own if leg_of(o.spec.ref).startswith("sl") and o.elected_at is None]
        stop, limit = (stops[-1].stop, stops[-1].limit) if stops else (plan.sl, plan.sl)
        step = min(number, max(1, len(plan.tps)))
        tp = plan.tps[step - 1] if plan.tps else None
        legs.append(
            Leg(number, qty, step=step, tp=tp, stop=stop, stop_limit=limit if limit != stop else None)
        )
    rest = bought - sum(leg.qty for leg in legs)
    for index, leg in enumerate(legs):
        if leg.qty == 0 and rest > 0:
            legs[index], rest = replace(leg, qty=rest), 0
    return tuple(legs)
