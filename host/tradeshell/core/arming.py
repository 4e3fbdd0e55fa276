"""First protection of shares: the cover stop from the first execution on, the legs once the shares are confirmed, the handover.

Laws: never more than the cap is exposed, also while a message is on its way. Legs are armed once, at the end of the entry, for
the confirmed quantity; a quantity never grows inside an OCA group. The cover is given up step by step, each step acknowledged:
reduced, then the leg's stop and target, then the next; last it is cancelled and the first leg armed. A cover that trades is left
alone until it is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from tradeshell.core.book import LAG, moved
from tradeshell.core.cap import bound
from tradeshell.core.commands import AskQuote
from tradeshell.core.diff import is_patient, rests
from tradeshell.core.events import InventoryConfirmFailed
from tradeshell.core.exit_events import CoverStopPlaced, LadderArmed
from tradeshell.core.exits import QUOTE_FOR_STOP, DesiredExit, plain_stop
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import Order, OrderState, Tif
from tradeshell.core.plan import Cover
from tradeshell.core.specs import exit_spec, oca_group
from tradeshell.core.trade import (
    COVER,
    Leg,
    Trade,
    TradePhase,
    begun,
    inventory,
    is_over,
    leg_orders,
    leg_shares,
    live,
    orders_of,
)
from tradeshell.core.turn import EARLY, Turn

COVER_AFTER = timedelta(seconds=0.5)
CONFIRM_WITHIN = timedelta(seconds=5)
LOOK_EVERY = timedelta(seconds=1)
COVERS = 3  # tries of a cover stop that was refused
COVER_EVERY = timedelta(seconds=1)  # at the earliest, between two of them


def tend_cover(turn: Turn, trade: Trade) -> Trade:
    """Place, raise, shrink or end the stop that covers what has executed while no leg is armed."""
    if not trade.plan.mode.is_detached or trade.plan.sl is None or trade.filled_at is None:
        return trade
    orders = turn.book(trade.plan.symbol).orders
    covers = orders_of(trade, COVER, orders)
    living = live(covers)
    held = inventory(trade, orders)
    if living:
        _tend_living(turn, trade, living[-1], held)
        return trade
    if covers and covers[-1].by_operator:
        return trade
    held -= _armed(trade, orders)  # the others have stops of their own, or are being tended
    if held <= 0 or trade.is_flattening or not _wants_cover(turn, trade):
        return trade
    sent_at = covers[-1].sent_at if covers else None
    since = trade.filled_at + COVER_AFTER if sent_at is None else sent_at + COVER_EVERY
    if turn.at + EARLY < since:
        turn.again(trade, since, "cover")
        return trade
    qty = min(held, turn.book(trade.plan.symbol).room(trade))
    if qty <= 0 or len(covers) >= COVERS or turn.book(trade.plan.symbol).frozen:
        return trade
    moved_to = (
        covers[-1].spec.stop if covers else None
    )  # somebody may have raised the one before: no stop is loosened
    stop = trade.plan.sl if moved_to is None else max(trade.plan.sl, moved_to)
    wanted = plain_stop(trade, COVER, stop, qty)
    spec = exit_spec(trade, wanted, parent=None, transmit=True, oca_group=None)
    trade = turn.place(trade, (spec,))
    _tell_cover(turn, trade, spec.ref, qty, stop)
    return trade


def _wants_cover(turn: Turn, trade: Trade) -> bool:
    """Whether shares lie open: the entry still works, or does so again, or the broker has not confirmed them."""
    book = turn.book(trade.plan.symbol)
    is_bought = is_over(book.orders[trade.refs[0]])
    if is_bought and book.agrees():
        return False  # the legs are armed in this very turn
    if is_bought and not trade.is_unconfirmed and begun(trade):
        return False  # they came late: the position that confirms them is about to come
    return trade.plan.cover is Cover.OWN or (trade.is_unconfirmed and turn.desk.policy.stop_on_unconfirmed)


def _tell_cover(turn: Turn, trade: Trade, ref: str, qty: Shares, stop: Price) -> None:
    turn.say(
        CoverStopPlaced(
            symbol=trade.plan.symbol, watch=trade.id, leg=COVER, order_ref=ref, qty=qty, stop=stop
        )
    )


def _tend_living(turn: Turn, trade: Trade, cover: Order, held: Shares) -> None:
    book = turn.book(trade.plan.symbol)
    if held <= 0 or (trade.is_flattening and is_over(book.orders[trade.refs[0]])):
        if not cover.cancelling and not rests(cover, turn.at):  # a change on its way does not hold it up
            turn.cancel(
                trade, cover, "no share is left to protect" if held <= 0 else "its shares are to be sold"
            )
        return
    if is_patient(cover, turn.at) or cover.state is not OrderState.HELD or cover.filled > 0:
        return
    missing = held - cover.remaining - _armed(trade, book.orders)
    if missing < 0:
        _resize(turn, trade, cover, cover.spec.qty + missing, "quantity follows the shares held")
    elif missing > 0 and _is_kept(turn, trade) and (free := book.cap() + bound(cover)) > 0:
        qty = cover.spec.qty + min(missing, free)
        _resize(turn, trade, cover, qty, "more has executed")
        assert cover.spec.stop is not None, "a cover is a stop"
        _tell_cover(turn, trade, cover.spec.ref, qty, cover.spec.stop)


def _is_kept(turn: Turn, trade: Trade) -> bool:
    """Whether the cover stands as it is: its shares get no legs yet. An entry may work again after legs were armed."""
    entry = turn.book(trade.plan.symbol).orders[trade.refs[0]]
    return not is_over(entry) or not _may_arm(turn, trade)


def _armed(trade: Trade, orders: dict[str, Order]) -> Shares:
    """Return the shares of legs that have had their exits."""
    shares = leg_shares(trade, orders)
    began = begun(trade)
    return sum(qty for number, qty in shares.items() if number in began)


def _resize(turn: Turn, trade: Trade, cover: Order, qty: Shares, reason: str) -> None:
    if qty <= 0:
        turn.cancel(trade, cover, reason)
    else:
        turn.modify(trade, moved(cover, qty=qty, limit=cover.spec.limit, stop=cover.spec.stop), reason)


def _may_arm(turn: Turn, trade: Trade) -> bool:
    """Whether the shares of a ladder are confirmed: entry over, executions complete, position the same."""
    return trade.phase is TradePhase.OPEN and (
        not trade.plan.mode.is_detached or trade.is_flattening or turn.book(trade.plan.symbol).agrees()
    )


def arm(turn: Turn, trade: Trade, fresh: list[tuple[Leg, tuple[DesiredExit, ...]]]) -> Trade:
    """Arm legs that never had exits, as far as confirmation and cap allow; the cover is handed over meanwhile."""
    orders = turn.book(trade.plan.symbol).orders
    covers = live(orders_of(trade, COVER, orders))
    if not fresh:
        return _all_armed(turn, trade, covers)
    if covers and not trade.is_flattening and not is_over(orders[trade.refs[0]]):
        return trade  # it works again: what has no leg yet is covered until it is over
    if not _may_arm(turn, trade):
        return _await_confirmation(turn, trade)
    for _, exits in reversed(fresh) if covers else fresh:
        qty = exits[0].qty
        free = turn.book(trade.plan.symbol).room(trade)
        if covers and not trade.is_flattening and _trades(covers[-1]):
            if (
                free > 0
            ):  # what the cover does not sell: its sales come from the first legs, the last one keeps its shares
                return place_pair(turn, trade, tuple(replace(exit_, qty=min(free, qty)) for exit_ in exits))
            break
        if free >= qty:
            trade = place_pair(turn, trade, exits)
        elif (
            covers and not trade.is_flattening and not _stops_work(trade, turn.book(trade.plan.symbol).orders)
        ):
            return trade  # the cover is given up only for legs whose stop works
        elif covers and covers[-1].state is OrderState.HELD and covers[-1].filled == 0:
            _hand_over(turn, trade, covers[-1], qty - max(0, free))
            return trade
        elif free > 0 and not covers and _is_calm(turn, trade):
            # The position is confirmed and some shares lie elsewhere: what is there is protected, the rest is told.
            trade = place_pair(turn, trade, tuple(replace(exit_, qty=free) for exit_ in exits))
        else:  # perhaps a smaller leg fits
            turn.again(trade, turn.at + LOOK_EVERY, "cap")
            turn.look_later(trade.plan.symbol)
    return _all_armed(turn, trade, covers)


def _trades(cover: Order) -> bool:
    return cover.filled > 0 or cover.state is OrderState.WORKING


def _stops_work(trade: Trade, orders: dict[str, Order]) -> bool:
    """Whether every leg that was armed and holds shares has a stop that the broker has acknowledged."""
    shares = leg_shares(trade, orders)
    began = begun(trade)
    return all(
        any(
            order.state in (OrderState.HELD, OrderState.WORKING) and order.absent_at is None
            for order in orders_of(trade, f"sl{number}", orders)
        )
        for number in began
        if shares.get(number, 0) > 0
    )


def place_pair(turn: Turn, trade: Trade, exits: tuple[DesiredExit, ...], group: str | None = None) -> Trade:
    """Send the exits of one leg, the stop first; two of them share an OCA group of their own."""
    name = oca_group(trade, exits[0].leg) if group is None and len(exits) > 1 else group
    specs = tuple(exit_spec(trade, exit_, parent=None, transmit=True, oca_group=name) for exit_ in exits)
    return turn.place(trade, specs)


def _hand_over(turn: Turn, trade: Trade, cover: Order, qty: Shares) -> None:
    """Free ``qty`` shares of the cover; what it still holds goes on being covered."""
    if not is_patient(cover, turn.at):
        _resize(turn, trade, cover, cover.spec.qty - qty, "its shares get their legs")


def _all_armed(turn: Turn, trade: Trade, covers: tuple[Order, ...]) -> Trade:
    if trade.is_armed or trade.phase is not TradePhase.OPEN or not trade.legs or covers:
        return trade
    orders = turn.book(trade.plan.symbol).orders
    shares = leg_shares(trade, orders)  # somebody else may have sold some of a leg's shares before
    began = begun(trade)
    if not any(shares.values()) or any(leg.number not in began and shares[leg.number] for leg in trade.legs):
        return trade
    trade = replace(trade, is_armed=True)
    turn.put_trade(trade)
    if trade.plan.mode.is_detached and not trade.is_flattening:
        legs = tuple(max((o.placed for o in leg_orders(trade, leg, orders)), default=0) for leg in trade.legs)
        turn.say(LadderArmed(symbol=trade.plan.symbol, watch=trade.id, legs=legs, until=_end_of_exits(trade)))
        turn.commands.append(AskQuote(f"armed:{trade.id}", trade.plan.symbol, QUOTE_FOR_STOP, patience=0.5))
    return trade


def _end_of_exits(trade: Trade) -> datetime | None:
    if trade.plan.exit_tif is not Tif.DAY or trade.session is None:
        return None
    return trade.session.extended_close if trade.plan.outside_rth else trade.session.close


def _is_calm(turn: Turn, trade: Trade) -> bool:
    """Whether what the cap allows will not change by itself: the purchase is over for a while, and so is every execution."""
    executed_at = turn.book(trade.plan.symbol).executed_at
    since = _bought_at(turn, trade) + CONFIRM_WITHIN
    return turn.at + EARLY >= (since if executed_at is None else max(since, executed_at + LAG))


def _bought_at(turn: Turn, trade: Trade) -> datetime:
    """Return when the entry was last heard of."""
    entry = turn.book(trade.plan.symbol).orders[trade.refs[0]]
    return max(at for at in (entry.ended_at, entry.executed_at, trade.filled_at) if at is not None)


def _await_confirmation(turn: Turn, trade: Trade) -> Trade:
    """Ask again until the broker confirms the shares; tell when it takes too long."""
    book = turn.book(trade.plan.symbol)
    since = _bought_at(turn, trade)
    if not trade.is_unconfirmed and turn.at + EARLY >= since + CONFIRM_WITHIN:
        trade = replace(trade, is_unconfirmed=True)
        turn.put_trade(trade)
        turn.say(
            InventoryConfirmFailed(
                symbol=trade.plan.symbol, watch=trade.id, expected=book.expected(), actual=book.position or 0
            )
        )
        turn.again(trade, turn.at, "cover")
        return trade
    # The position message is about to come by itself; only when it does not it is asked for.
    turn.look_later(trade.plan.symbol)
    later = turn.at + 2 * LOOK_EVERY  # after the answer to that question
    turn.again(trade, later if trade.is_unconfirmed else min(later, since + CONFIRM_WITHIN), "confirm")
    return trade
