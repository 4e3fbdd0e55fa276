"""After anything happened to a trade: compare, correct, tell, close.

Laws: level-triggered: ``settle`` looks only at what is true now. It is called after every input that may matter to a trade, and
does nothing when nothing is to be done. An unfilled or partly filled bracket gets its own exits for what it really bought.
Nothing leaves while the link is down or not reconciled. A closed trade that turns out to hold shares is open again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from tradeshell.core.book import moved
from tradeshell.core.commands import SetTimer
from tradeshell.core.diff import ChangeExit, DropExit, compare, is_patient
from tradeshell.core.events import (
    InventoryConfirmed,
    LadderProtectionStateChanged,
    TradeClosed,
    TradeReopened,
)
from tradeshell.core.exits import DesiredExit, desired_exits
from tradeshell.core.orders import Order, OrderState, Side
from tradeshell.core.specs import exit_spec, oca_group
from tradeshell.core.trade import (
    Leg,
    Trade,
    TradePhase,
    awaited,
    entry_of,
    exits_of,
    fills_of,
    inventory,
    is_over,
    leg_of,
    leg_orders,
    live,
    protection_state,
)
from tradeshell.core.turn import Turn

# What the broker gets to cancel an OCA sibling before we ask ourselves, and to reduce one before we do.
SIBLING_PATIENCE = timedelta(seconds=2)
REDUCTION_PATIENCE = timedelta(seconds=1)
# Children that ended this long after their entry ended because of it; later ones ended for a reason of their own.
TOGETHER = timedelta(seconds=2)
EARLY = timedelta(milliseconds=1)  # a timer of floats may come this early
FINAL_WORDS = {OrderState.REFUSED: "rejected", OrderState.CANCELLED: "unfilled"}


def settle(turn: Turn, trade: Trade) -> Trade:
    """Bring one trade's exits, phase and protection in line with its orders; returns the trade as it now stands."""
    if trade.phase is TradePhase.ASKING or not trade.refs:
        return trade
    trade = _reopen_if_needed(turn, trade)
    if trade.phase is TradePhase.CLOSED:
        return trade
    trade = _assign_legs(turn, _advance_phase(turn, trade))
    if turn.desk.link.is_open:
        trade = _cancel_entry(turn, trade)
        if trade.plan.side is Side.BUY:
            trade = _correct(turn, trade)
    trade = _close_if_over(turn, _tell_protection(turn, trade))
    turn.desk = turn.desk.with_active(trade.id, trade.plan.symbol)
    return trade


def _orders(turn: Turn, trade: Trade) -> dict[str, Order]:
    return turn.book(trade.plan.symbol).orders


def _reopen_if_needed(turn: Turn, trade: Trade) -> Trade:
    orders = _orders(turn, trade)
    held = inventory(trade, orders)
    if trade.phase is not TradePhase.CLOSED or (held <= 0 and not live(orders[ref] for ref in trade.refs)):
        return trade
    trade = replace(trade, phase=TradePhase.OPEN, drop_at=None, end_reason="")
    turn.put_trade(trade)
    turn.say(TradeReopened(symbol=trade.plan.symbol, watch=trade.id, held=held))
    return trade


def _advance_phase(turn: Turn, trade: Trade) -> Trade:
    entry = entry_of(trade, _orders(turn, trade))
    if trade.phase is TradePhase.ENTERING and is_over(entry):
        trade = replace(trade, phase=TradePhase.OPEN)
        turn.put_trade(trade)
    if trade.phase is TradePhase.OPEN and entry is not None and entry.filled != trade.confirmed:
        trade = replace(trade, confirmed=entry.filled)
        turn.put_trade(trade)
        turn.say(InventoryConfirmed(symbol=trade.plan.symbol, watch=trade.id, leg="entry", qty=entry.filled))
    return trade


def _assign_legs(turn: Turn, trade: Trade) -> Trade:
    """Give every executed share a leg, once the entry is over: fewer shares shrink the last leg, late ones get their own."""
    orders = _orders(turn, trade)
    entry = entry_of(trade, orders)
    if entry is None or not is_over(entry) or not trade.legs:
        return trade
    extra = entry.filled - sum(leg.qty for leg in trade.legs)
    legs = list(trade.legs)
    while extra < 0 and any(leg.qty for leg in legs):
        last = max(n for n, leg in enumerate(legs) if leg.qty)
        part = min(-extra, legs[last].qty)
        legs[last] = Leg(legs[last].number, legs[last].qty - part)
        extra += part
    if extra > 0:
        own = leg_orders(trade, legs[-1], orders)
        if any(order.state.is_live or order.filled or order.spec.parent_ref is None for order in own):
            legs.append(Leg(legs[-1].number + 1, extra))
        else:  # nothing lives or has executed under this leg yet: it may be sized anew
            legs[-1] = Leg(legs[-1].number, legs[-1].qty + extra)
    if tuple(legs) == trade.legs:
        return trade
    trade = replace(trade, legs=tuple(legs))
    turn.put_trade(trade)
    return trade


def _cancel_entry(turn: Turn, trade: Trade) -> Trade:
    """Cancel the rest of an entry that timed out, was cancelled, or has lost the stop that was to protect it."""
    orders = _orders(turn, trade)
    entry = orders[trade.refs[0]]
    if not trade.cancel_wanted and trade.plan.sl is not None and len(trade.refs) > 1 and entry.state.is_live:
        stops = [o for o in exits_of(trade, orders) if o.spec.type.is_stop]
        if stops and not any(o.state.is_live for o in stops):
            trade = replace(trade, cancel_wanted="its stop is gone")
            turn.put_trade(trade)
    if not trade.cancel_wanted or not entry.state.is_live:
        return trade
    if entry.state is OrderState.UNKNOWN:
        turn.look_again()
    if not entry.cancelling and (entry.retry_at is None or not is_patient(entry, turn.at)):
        turn.cancel(trade, entry, trade.cancel_wanted)
    return trade


def _correct(turn: Turn, trade: Trade) -> Trade:
    orders = _orders(turn, trade)
    wanted = desired_exits(trade, orders)
    if wanted is None:
        return trade
    placed: list[DesiredExit] = []
    for change in compare(wanted, live(exits_of(trade, orders)), turn.at):
        if isinstance(change, ChangeExit):
            trade = _change(turn, trade, change)
        elif isinstance(change, DropExit):
            trade = _drop(turn, trade, change.order)
        elif _may_arm(trade, orders, change.exit):
            placed.append(change.exit)
    return _arm(turn, trade, placed)


def _change(turn: Turn, trade: Trade, change: ChangeExit) -> Trade:
    order = change.order
    is_reduction = change.qty < order.spec.qty
    has_sibling = order.spec.oca_group is not None or order.spec.parent_ref is not None
    if is_reduction and has_sibling and not order.grown and sibling_just_executed(trade, order, turn):
        until = (sibling_executed_at(turn, trade, order) or turn.at) + REDUCTION_PATIENCE
        if trade.calm_at is None or trade.calm_at <= turn.at or until < trade.calm_at:
            trade = replace(trade, calm_at=until)
            turn.put_trade(trade)
            turn.commands.append(SetTimer(f"calm:{trade.id}", until))
        return trade
    reason = "quantity follows the shares held" if is_reduction else "price as planned"
    turn.modify(trade, moved(order, qty=change.qty, limit=change.limit, stop=change.stop), reason)
    return trade


def sibling_just_executed(trade: Trade, order: Order, turn: Turn) -> bool:
    """Return whether the broker may be reducing this order itself right now: a total of ours would cross that."""
    at = sibling_executed_at(turn, trade, order)
    return at is not None and turn.at + EARLY < at + REDUCTION_PATIENCE


def sibling_executed_at(turn: Turn, trade: Trade, order: Order) -> datetime | None:
    """Return when an exit other than ``order`` was last heard to execute."""
    others = (other for other in exits_of(trade, _orders(turn, trade)) if other.spec.ref != order.spec.ref)
    return max((other.executed_at for other in others if other.executed_at is not None), default=None)


def _drop(turn: Turn, trade: Trade, order: Order) -> Trade:
    """Cancel an exit that nothing needs.

    When an exit executed or the entry bought nothing, the broker gets its time to cancel the siblings by itself; when the shares
    went elsewhere, nobody else will do it.
    """
    if trade.exit_at is None and order.state is OrderState.SENT:
        return trade  # it has just left; the answer comes first
    if trade.drop_at is None and (trade.exit_at is not None or trade.taken == 0):
        trade = replace(trade, drop_at=(trade.exit_at or turn.at) + SIBLING_PATIENCE)
        turn.put_trade(trade)
        set_drop_timer(turn, trade)
    if trade.drop_at is None or turn.at + EARLY >= trade.drop_at:
        turn.cancel(trade, order, "no share is left to protect")
    return trade


def set_drop_timer(turn: Turn, trade: Trade) -> None:
    """Look again when the broker's time to cancel siblings is over."""
    if trade.drop_at is not None and turn.at + EARLY < trade.drop_at:
        turn.commands.append(SetTimer(f"drop:{trade.id}", trade.drop_at))


def _may_arm(trade: Trade, orders: dict[str, Order], wanted: DesiredExit) -> bool:
    """Exits of our own are placed for shares that never had any, and where children ended together with their entry.

    An exit that was cancelled or refused otherwise is told (UNPROTECTED), not fought over.
    """
    earlier = [orders[ref] for ref in trade.refs[1:] if leg_of(ref)[2:] == wanted.leg[2:]]
    entry = orders[trade.refs[0]]
    if earlier and trade.exit_at is not None:
        return False
    return all(not order.state.is_live and _ended_with(entry, order) for order in earlier)


def _ended_with(entry: Order, child: Order) -> bool:
    is_child = child.spec.parent_ref is not None and child.filled == 0 and not child.cancel_reason
    if not is_child or not entry.was_cut or child.ended_at is None or entry.ended_at is None:
        return False
    return child.ended_at <= entry.ended_at + TOGETHER


def _arm(turn: Turn, trade: Trade, exits: list[DesiredExit]) -> Trade:
    for number in dict.fromkeys(exit_.leg[2:] for exit_ in exits):
        pair = [exit_ for exit_ in exits if exit_.leg[2:] == number]
        group = oca_group(trade, pair[0].leg) if len(pair) > 1 else None
        specs = tuple(exit_spec(trade, leg, parent=None, transmit=True, oca_group=group) for leg in pair)
        trade = turn.place(trade, specs)
    return trade


def _tell_protection(turn: Turn, trade: Trade) -> Trade:
    state, held, covered = protection_state(trade, _orders(turn, trade))
    if state == trade.protection:
        return trade
    trade = replace(trade, protection=state)
    turn.put_trade(trade)
    turn.say(
        LadderProtectionStateChanged(
            symbol=trade.plan.symbol, watch=trade.id, state=state, held=held, protected=covered
        )
    )
    return trade


def _close_if_over(turn: Turn, trade: Trade) -> Trade:
    orders = _orders(turn, trade)
    entry = entry_of(trade, orders)
    exits = exits_of(trade, orders)
    if entry is None or not is_over(entry) or live(exits) or any(awaited(order) for order in exits):
        return trade
    fills = fills_of(trade, orders)
    held = inventory(trade, orders)
    if held > 0 or fills.sold > fills.bought == 0:  # an exit may execute before the entry's execution arrives
        return trade
    if trade.plan.side is Side.SELL or fills.bought == 0:
        reason = (
            "done" if entry.filled else entry.cancel_reason or FINAL_WORDS.get(entry.state, entry.state.value)
        )
    else:
        reason = "trade_closed"
    trade = replace(trade, phase=TradePhase.CLOSED, end_reason=reason)
    turn.put_trade(trade)
    if trade.plan.side is Side.BUY and fills.sold > 0:
        _tell_result(turn, trade)
    return trade


def _tell_result(turn: Turn, trade: Trade) -> None:
    fills = fills_of(trade, _orders(turn, trade))
    entry, exit_ = fills.paid / fills.bought, fills.received / fills.sold
    pnl = fills.received - entry * fills.sold
    r: Decimal | None = None
    if trade.plan.sl is not None and entry > trade.plan.sl:
        r = ((exit_ - entry) / (entry - trade.plan.sl)).quantize(Decimal("0.0001"))
    turn.say(
        TradeClosed(
            symbol=trade.plan.symbol,
            watch=trade.id,
            qty=fills.sold,
            entry=entry,
            exit=exit_,
            pnl=pnl,
            fees=trade.fees,
            r=r,
        )
    )
