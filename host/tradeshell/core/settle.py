"""After anything happened to a trade: compare, correct, tell, close.

Laws: level-triggered: ``settle`` looks only at what is true now. It is called after every input that may matter to a trade, and
does nothing when nothing is to be done. An unfilled or partly filled bracket gets its own exits for what it really bought.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from tradeshell.core.book import exit_spec, moved, oca_group
from tradeshell.core.commands import SetTimer
from tradeshell.core.diff import ChangeExit, DropExit, compare
from tradeshell.core.events import InventoryConfirmed, LadderProtectionStateChanged, TradeClosed
from tradeshell.core.exits import DesiredExit, desired_exits
from tradeshell.core.orders import Order, OrderState, Side
from tradeshell.core.trade import (
    Trade,
    TradePhase,
    entry_of,
    exits_of,
    fills_of,
    inventory,
    is_over,
    leg_of,
    live,
    protection_state,
)
from tradeshell.core.turn import Turn

SIBLING_PATIENCE = timedelta(
    seconds=2
)  # what the broker gets to cancel an OCA sibling before we ask ourselves
FINAL_WORDS = {OrderState.REFUSED: "rejected", OrderState.CANCELLED: "unfilled"}


def settle(turn: Turn, trade: Trade) -> Trade:
    """Bring one trade's exits, phase and protection in line with its orders; returns the trade as it now stands."""
    if trade.phase in (TradePhase.CLOSED, TradePhase.ASKING):
        return trade
    trade = _advance_phase(turn, trade)
    if trade.plan.side is Side.BUY and turn.desk.link.up:
        trade = _correct(turn, trade)
    trade = _tell_protection(turn, trade)
    return _close_if_over(turn, trade)


def _advance_phase(turn: Turn, trade: Trade) -> Trade:
    orders = turn.book(trade.plan.symbol).orders
    entry = entry_of(trade, orders)
    if trade.phase is TradePhase.ENTERING and is_over(entry) and entry is not None:
        trade = replace(trade, phase=TradePhase.OPEN)
        turn.put_trade(trade)
    if trade.phase is TradePhase.OPEN and entry is not None and entry.filled != trade.confirmed:
        trade = replace(trade, confirmed=entry.filled)
        turn.put_trade(trade)
        turn.say(InventoryConfirmed(symbol=trade.plan.symbol, watch=trade.id, leg="entry", qty=entry.filled))
    return trade


def _correct(turn: Turn, trade: Trade) -> Trade:
    orders = turn.book(trade.plan.symbol).orders
    wanted = desired_exits(trade, orders)
    if wanted is None:
        return trade
    living = live(exits_of(trade, orders))
    placed: list[DesiredExit] = []
    for change in compare(wanted, living):
        if isinstance(change, ChangeExit):
            turn.modify(
                trade,
                moved(change.order, qty=change.qty, limit=change.limit, stop=change.stop),
                "quantity follows the shares held"
                if change.qty < change.order.spec.qty
                else "price as planned",
            )
        elif isinstance(change, DropExit):
            trade = _drop(turn, trade, change.order)
        elif _may_arm(trade, orders, change.exit):
            placed.append(change.exit)
    return _arm(turn, trade, placed) if placed and not living else trade


def _drop(turn: Turn, trade: Trade, order: Order) -> Trade:
    """Cancel an exit that nothing needs, after the broker had its time to do it by itself (OCA siblings, held children)."""
    if trade.drop_at is None:
        trade = replace(trade, drop_at=turn.at + SIBLING_PATIENCE)
        turn.put_trade(trade)
        turn.commands.append(SetTimer(f"drop:{trade.id}", turn.at + SIBLING_PATIENCE))
    elif turn.at >= trade.drop_at:
        turn.cancel(trade, order, "no share is left to protect")
    return trade


def _may_arm(trade: Trade, orders: dict[str, Order], wanted: DesiredExit) -> bool:
    """Own exits are armed once, when a bracket's children died with a partly filled entry, or a fill came after its cancel.

    An exit that was cancelled or refused otherwise is told (UNPROTECTED), not fought over.
    """
    sent = [orders[ref] for ref in trade.refs[1:] if leg_of(ref) == wanted.leg]
    return (
        len(sent) == 1
        and sent[0].spec.parent_ref is not None
        and orders[trade.refs[0]].filled < trade.plan.qty
    )


def _arm(turn: Turn, trade: Trade, exits: list[DesiredExit]) -> Trade:
    group = oca_group(trade, exits[0].leg) if len(exits) > 1 else None
    specs = tuple(exit_spec(trade, leg, parent=None, transmit=True, oca_group=group) for leg in exits)
    return turn.place(trade, specs)


def _tell_protection(turn: Turn, trade: Trade) -> Trade:
    state, held, covered = protection_state(trade, turn.book(trade.plan.symbol).orders)
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
    orders = turn.book(trade.plan.symbol).orders
    entry = entry_of(trade, orders)
    if entry is None or not is_over(entry) or inventory(trade, orders) > 0 or live(exits_of(trade, orders)):
        return trade
    fills = fills_of(trade, orders)
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
    fills = fills_of(trade, turn.book(trade.plan.symbol).orders)
    entry, exit_ = fills.paid / fills.bought, fills.received / fills.sold
    pnl = fills.received - entry * fills.sold
    r: Decimal | None = None
    if trade.plan.sl is not None and entry > trade.plan.sl:
        r = (exit_ - entry) / (entry - trade.plan.sl)
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
