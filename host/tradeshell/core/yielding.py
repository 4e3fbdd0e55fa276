"""Legs that give way to a sale that was typed: they become smaller, the broker acknowledges it, then the sale leaves.

Laws: nothing is sold twice: the sale leaves when no exit can take its shares any more. Nothing lies open longer than it must:
no leg gives way before all that are asked can, targets do so before stops, a sale waits 2.5 s for them and works for 10 s at
most, and what it leaves unsold has its stop again, never a looser one. What a leg gave away is in no leg until it is sold.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from msgspec.structs import replace

from tradeshell.core.book import Book
from tradeshell.core.cap import could_sell, exposures
from tradeshell.core.commands import AskQuote
from tradeshell.core.diff import is_patient, rests
from tradeshell.core.exit_events import LegsGaveWay, LegsTookBack
from tradeshell.core.guards import Refusal, check_sell
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import Order, OrderState, Side
from tradeshell.core.plan import split
from tradeshell.core.trade import (
    SALE,
    Leg,
    Trade,
    TradePhase,
    awaited,
    inventory,
    leg_of,
    leg_orders,
    leg_shares,
    live,
    orders_of,
    orphans,
    with_leg,
)
from tradeshell.core.turn import Turn

PATIENCE = 1.0  # seconds in which a touch may be fetched for the sale
OVERDUE = 2.0  # seconds after which it is given up
# For exits to be calm, and again for the broker to acknowledge: a change that is refused is asked again once in it.
ROOM_WITHIN = timedelta(seconds=2.5)
SOLD_WITHIN = 10.0  # seconds: the sale does not rest, for its shares have no stop
CALM = timedelta(seconds=1)  # after an execution of a leg: the broker may be reducing the sibling


# --- what may be sold -------------------------------------------------------------------------------------------------


def check_sale(book: Book, qty: Shares, besides: str = "") -> Refusal | None:
    """Return why ``qty`` shares cannot be sold, whatever exits make room; ``besides`` is the sale that asks."""
    waiting = sum(sale.plan.qty for sale in _waiting(book) if sale.id != besides)
    return check_sell(book.instrument.symbol, qty, book.held(), _typed(book) + book.claimed + waiting)


def is_free(book: Book, qty: Shares) -> bool:
    """Return whether no working sell can take any of ``qty`` shares."""
    return check_sell(book.instrument.symbol, qty, book.held(), book.committed()) is None


def _typed(book: Book) -> Shares:
    """Return the shares that sales which were typed could still take."""
    return sum(qty for ref, qty in exposures(book.orders).items() if leg_of(ref) == SALE)


def _sales(book: Book) -> list[Trade]:
    """Return the sales for which exits had to make room, those that are over too."""
    return [trade for trade in book.trades.values() if trade.room_at is not None]


def _waiting(book: Book) -> list[Trade]:
    return [sale for sale in _sales(book) if sale.phase is TradePhase.ASKING]


# --- who gives way ----------------------------------------------------------------------------------------------------


def rearrange(turn: Turn, symbol: str) -> tuple[str, ...]:
    """Let legs give shares away that a sale needs, and take back those that none needs; returns the trades to be settled."""
    book = turn.book(symbol)
    working = _working(book)
    if working and _typed(book) > max(0, book.expected()) and turn.desk.link.is_open:
        return _give_up(turn, working)  # somebody else has sold what these are to sell
    if not (sales := _sales(book)):
        return ()
    loose = {trade.id: _loose(trade, book.orders) for trade in _buys(book)}
    wanted = _wanted(book, sales)
    missing = wanted - sum(loose.values())
    if missing < 0:
        return _take_back(turn, book, -missing, loose)
    if missing == 0 or not turn.desk.link.is_open:
        return ()
    if waiting := [sale for sale in sales if sale.phase is TradePhase.ASKING]:
        return _give_way(turn, book, missing, waiting[-1])
    return _give_up(turn, [sale for sale in working if sale in sales])


def _working(book: Book) -> list[Trade]:
    """Return the sales whose order works."""
    sales = (trade for trade in book.trades.values() if trade.plan.side is Side.SELL and trade.refs)
    return [sale for sale in sales if book.orders[sale.refs[0]].state.is_live]


def _buys(book: Book) -> list[Trade]:
    """Return the trades that hold shares, newest first."""
    held = [trade for trade in book.trades.values() if trade.plan.side is Side.BUY]
    return sorted(held, key=lambda trade: trade.asked_at, reverse=True)


def _wanted(book: Book, sales: list[Trade]) -> Shares:
    """Return the shares that should be in no leg: what the sales may still take, less what no exit holds anyway."""
    asked = sum(_may_take(sale, book.orders) for sale in sales)
    refs = {ref for sale in sales for ref in sale.refs}
    others = sum(
        exposures(
            {ref: o for ref, o in book.orders.items() if ref not in refs and leg_of(ref) == SALE}
        ).values()
    )
    ours = max(0, asked + others + book.claimed - book.foreign())
    return min(asked, max(0, ours - sum(_bare(trade, book.orders) for trade in _buys(book))))


def _may_take(sale: Trade, orders: dict[str, Order]) -> Shares:
    """Return the shares that a sale may still take."""
    if not sale.refs:
        return sale.plan.qty if sale.phase is TradePhase.ASKING else 0
    order = orders[sale.refs[0]]
    return sum(exposures({order.spec.ref: order}).values())


def _loose(trade: Trade, orders: dict[str, Order]) -> Shares:
    """Return the shares that legs of a trade gave away and that are not sold."""
    if not trade.yielded:
        return 0
    return max(0, inventory(trade, orders) - sum(leg_shares(trade, orders).values()))


def _bare(trade: Trade, orders: dict[str, Order]) -> Shares:
    """Return the shares of a trade that no exit could take and none will, without those that legs gave away.

    A leg whose exits were lost gets others; one whose stop the operator cancelled does not.
    """
    if not trade.legs or not trade.is_armed:
        exposed = sum(exposures({ref: orders[ref] for ref in trade.refs}).values())
        return max(0, inventory(trade, orders) - exposed)
    shares = leg_shares(trade, orders)
    return sum(shares[leg.number] for leg in trade.legs if _is_given_up(leg_orders(trade, leg, orders)))


def _is_given_up(exits: tuple[Order, ...]) -> bool:
    protecting = [order for order in exits if order.spec.type.is_stop] or list(exits)
    return bool(protecting) and protecting[-1].by_operator and not live(exits)


def _give_way(turn: Turn, book: Book, missing: Shares, sale: Trade) -> tuple[str, ...]:
    """Make legs smaller by ``missing`` shares, of the newest trade first; none before all of them can."""
    able = {trade.id: _able(turn, trade, book.orders) for trade in _buys(book)}
    if sum(sum(legs.values()) for legs in able.values()) < missing:
        return ()  # it is looked at again: something may be on its way
    changed: list[str] = []
    for trade in _buys(book):
        part = min(missing, sum(able[trade.id].values()))
        if part:
            missing -= part
            smaller = _smaller(trade, shared(part, able[trade.id]), book.orders)
            turn.put_trade(smaller)
            left = leg_shares(smaller, book.orders)
            legs = tuple(left[number] for number in able[trade.id])
            turn.say(LegsGaveWay(symbol=trade.plan.symbol, watch=trade.id, sale=sale.id, qty=part, legs=legs))
            changed.append(trade.id)
    turn.put_trade(replace(sale, room_at=turn.at))
    return tuple(changed)


def _smaller(trade: Trade, parts: dict[int, Shares], orders: dict[str, Order]) -> Trade:
    """Return the trade whose legs gave ``parts`` away; what others have sold of a leg before stays missing from just that one."""
    shares = leg_shares(trade, orders)
    legs: list[Leg] = []
    gone = 0
    for leg in trade.legs:
        left = leg.qty - sum(order.filled for order in leg_orders(trade, leg, orders))
        less = max(0, left - shares[leg.number]) + parts.get(leg.number, 0)
        legs.append(replace(leg, qty=leg.qty - less))
        gone += less
    return replace(trade, legs=tuple(legs), yielded=trade.yielded + gone)


def shared(qty: Shares, legs: dict[int, Shares]) -> dict[int, Shares]:
    """Return what each leg gives of ``qty`` shares: in proportion, by largest remainder. One share stays in each, if it can.

    A leg that is gone reaches no target, and the stops of later legs follow the targets of those before.
    """
    spare = {number: held - 1 for number, held in legs.items()}
    weights = spare if qty <= sum(spare.values()) else legs
    return dict(zip(weights, split(qty, tuple(weights.values())), strict=True))


def _able(turn: Turn, trade: Trade, orders: dict[str, Order]) -> dict[int, Shares]:
    """Return the shares of the legs that can become smaller right now; none while something of one is on its way."""
    if (
        not trade.is_armed
        or trade.is_flattening
        or trade.phase is not TradePhase.OPEN
        or orphans(trade, orders)
    ):
        return {}
    shares = leg_shares(trade, orders)
    held = [(leg.number, leg_orders(trade, leg, orders)) for leg in trade.legs if shares[leg.number] > 0]
    if any(_is_busy(turn, exits) for _, exits in held):
        return {}
    return {number: shares[number] for number, exits in held if _may_shrink(turn, exits)}


def _is_busy(turn: Turn, exits: tuple[Order, ...]) -> bool:
    """Return whether it will be known in a moment what a leg's exits are: something is on its way."""
    if any(order.executed_at is not None and turn.at - order.executed_at < CALM for order in exits):
        return True
    on_its_way = (is_patient(order, turn.at) and not rests(order, turn.at) for order in live(exits))
    return any(on_its_way) or any(awaited(order) for order in exits)


def _may_shrink(turn: Turn, exits: tuple[Order, ...]) -> bool:
    """Return whether a leg has exits, none of which sells what it should only protect, or is left alone for now."""
    living = live(exits)
    return bool(living) and not any(
        rests(order, turn.at)
        or order.absent_at is not None
        or (order.spec.type.is_stop and order.state is OrderState.WORKING)
        for order in living
    )


def holds_stops(trade: Trade, orders: dict[str, Order]) -> bool:
    """Return whether stops stay as large as they are for now: a target that has to become smaller first is not yet."""
    exposed = sum(exposures({ref: orders[ref] for ref in trade.refs}).values())
    if not _loose(trade, orders) or exposed > inventory(
        trade, orders
    ):  # what could be sold twice goes at once
        return False
    shares = leg_shares(trade, orders)
    return any(
        could_sell(order) > shares[leg.number]
        for leg in trade.legs
        for order in live(leg_orders(trade, leg, orders))
        if not order.spec.type.is_stop
    )


# --- what is not sold -------------------------------------------------------------------------------------------------


def _take_back(turn: Turn, book: Book, left: Shares, loose: dict[str, Shares]) -> tuple[str, ...]:
    """Let legs have shares again that no sale takes, of the oldest trade first."""
    changed: list[str] = []
    for trade in reversed(_buys(book)):
        part = min(left, loose[trade.id])
        if part:
            left -= part
            after = _with_back(trade, part, book.orders)
            turn.put_trade(after)
            aimless = _aimless(after, book.orders)
            turn.say(LegsTookBack(symbol=trade.plan.symbol, watch=trade.id, qty=part, aimless=aimless))
            changed.append(trade.id)
    return tuple(changed)


def _with_back(trade: Trade, qty: Shares, orders: dict[str, Order]) -> Trade:
    """Return the trade with shares in legs again: where stops still are as large as they were, else in a leg of their own."""
    trade = replace(trade, yielded=trade.yielded - qty)
    shares = leg_shares(trade, orders)
    for leg in trade.legs:
        part = max(0, min(qty, _still_exposed(leg_orders(trade, leg, orders)) - shares[leg.number]))
        if part:
            trade = with_leg(trade, replace(leg, qty=leg.qty + part))
            qty -= part
    return replace(trade, legs=(*trade.legs, _own_leg(trade, qty, orders))) if qty else trade


def _still_exposed(exits: tuple[Order, ...]) -> Shares:
    """Return the shares that a leg's stop would still sell; none when its exits are about to end."""
    living = live(exits)
    if any(order.state is OrderState.FILLED for order in exits) or any(order.cancelling for order in living):
        return 0
    stops = [order.sure for order in living if order.spec.type.is_stop]
    return min(stops or [order.sure for order in living], default=0)


def _aimless(trade: Trade, orders: dict[str, Order]) -> Shares:
    """Return the shares that targets became smaller by for a sale that came to nothing: no quantity grows again in its group."""
    shares = leg_shares(trade, orders)
    aims = [(leg, live(orders_of(trade, f"tp{leg.number}", orders))) for leg in trade.legs]
    return sum(max(0, shares[leg.number] - targets[-1].sure) for leg, targets in aims if targets)


def _own_leg(trade: Trade, qty: Shares, orders: dict[str, Order]) -> Leg:
    """Return the leg of shares that were not sold: the nearest target that is still open, and the highest stop of all."""
    shares = leg_shares(trade, orders)
    held = [leg for leg in trade.legs if shares[leg.number] > 0] or [trade.legs[-1]]
    model = held[0]
    targets = orders_of(trade, f"tp{model.number}", orders)
    tp = None if targets and targets[-1].by_operator else model.tp  # what he cancelled stays away
    return Leg(
        trade.legs[-1].number + 1, qty, step=model.step, tp=tp, stop=_highest(leg.stop for leg in held)
    )


def _highest(stops: Iterable[Price | None]) -> Price | None:
    return max((stop for stop in stops if stop is not None), default=None)


def _give_up(turn: Turn, sales: list[Trade]) -> tuple[str, ...]:
    """Want sales cancelled whose shares are gone; stops keep theirs."""
    changed = [sale for sale in sales if not sale.cancel_wanted]
    for sale in changed:
        turn.put_trade(replace(sale, cancel_wanted="its shares are gone"))
    return tuple(sale.id for sale in changed)


# --- the sale ---------------------------------------------------------------------------------------------------------


def look(turn: Turn, symbol: str) -> None:
    """Ask for the touch of a sale that waits, once its shares are free, or can never be."""
    book = turn.book(symbol)
    for sale in _waiting(book):
        is_over = check_sale(book, sale.plan.qty, sale.id) is not None
        if sale.free_at is None and (is_over or is_free(book, sale.plan.qty)):
            turn.put_trade(replace(sale, free_at=turn.at))
            turn.commands.append(AskQuote(sale.id, symbol, sale.plan.quote_age, PATIENCE))
            turn.timer(f"ask:{sale.id}", OVERDUE)


def since(trade: Trade, book: Book) -> Trade | None:
    """Return the sale that shares of a trade wait for, ``None`` when none is under way."""
    if not _loose(trade, book.orders):
        return None
    return next((sale for sale in _sales(book) if sale.phase is not TradePhase.CLOSED), None)
