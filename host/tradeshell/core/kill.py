"""Kill switches, and the first step after a restart.

Laws: ``stopentry`` stops entries and nothing else; ``flatten`` only reduces: what may still sell is cancelled and explained first
(``exits``, ``incidents`` do that, level-triggered); both survive a lost link and a restart.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from tradeshell.core import inputs as i
from tradeshell.core.desk import Link
from tradeshell.core.entry import CHASE_EVERY, HALT_EVERY
from tradeshell.core.exit_events import FlattenStarted, KillSwitchEngaged, KillSwitchLifted
from tradeshell.core.orders import Side, Signal, advance
from tradeshell.core.resume import pause
from tradeshell.core.trade import Trade, TradePhase, entry_of, inventory
from tradeshell.core.turn import ACK_TIMEOUT, Turn
from tradeshell.core.watch import Watchers

RESTARTED = "restarted"  # what a new program says of what an earlier one left unfinished


def stop_entries(turn: Turn, request: i.StopEntryRequested) -> list[Trade]:
    """Stop or allow entries; returns the trades whose entry is to be cancelled."""
    desk = turn.desk
    if not request.on:
        frozen = [symbol for symbol, book in desk.books.items() if book.frozen]
        if desk.stopped or frozen:
            turn.desk = replace(desk, stopped="", refusals=())
            for symbol in frozen:
                turn.put_book(symbol, replace(turn.book(symbol), frozen=""))
            turn.say(KillSwitchLifted(reason=request.reason))
        return [trade for trade in turn.desk.trades() if trade.plan.symbol in frozen]
    if not desk.stopped:
        turn.desk = replace(desk, stopped=request.reason)
        turn.say(KillSwitchEngaged(reason=request.reason))
    return want_no_entries(turn)


def want_no_entries(turn: Turn) -> list[Trade]:
    """Want every entry that works cancelled; returns the trades concerned."""
    found = []
    for trade in turn.desk.trades():
        entry = entry_of(trade, turn.book(trade.plan.symbol).orders)
        if (
            trade.plan.side is Side.BUY
            and entry is not None
            and entry.state.is_live
            and not trade.cancel_wanted
        ):
            after = replace(trade, cancel_wanted="entries are stopped")
            turn.put_trade(after)
            found.append(after)
    return found


def flatten(turn: Turn, watchers: Watchers, symbol: str | None) -> list[Trade]:
    """Want the shares of our trades sold, in ``symbol`` or everywhere; returns the trades concerned.

    An order that has not left does not leave any more, and what was typed to sell some of the shares makes way.
    """
    found = []
    for name, book in tuple(turn.desk.books.items()):
        if symbol is not None and name != symbol:
            continue
        for trade in tuple(book.trades.values()):
            if trade.phase is TradePhase.ASKING:
                turn.put_trade(replace(trade, phase=TradePhase.CLOSED, end_reason="flatten"))
                watchers.end(turn, trade.id, "flatten")
            elif trade.plan.side is Side.SELL and trade.phase is not TradePhase.CLOSED:
                selling = replace(trade, cancel_wanted=trade.cancel_wanted or "flatten")
                turn.put_trade(selling)
                found.append(selling)
        open_ = [
            trade
            for trade in book.trades.values()
            if trade.plan.side is Side.BUY and trade.phase in (TradePhase.ENTERING, TradePhase.OPEN)
        ]
        if open_ and not any(trade.is_flattening for trade in open_):
            held = sum(inventory(trade, book.orders) for trade in open_)
            turn.say(FlattenStarted(symbol=name, held=held))
        for trade in open_:
            after = replace(
                trade, flatten_at=trade.flatten_at or turn.at, cancel_wanted=trade.cancel_wanted or "flatten"
            )
            turn.put_trade(after)
            found.append(after)
    return found


def restart(turn: Turn, watchers: Watchers) -> None:
    """Bring a desk that was read from the journal to where a new process stands: no link, no timers, no bars."""
    turn.desk = replace(
        turn.desk, link=Link(epoch=turn.desk.link.epoch, why=RESTARTED), feed_over=False, watch_at=None
    )
    for order in turn.desk.orders():
        if (lost := advance(order, Signal.LOST_SIGHT)) is not order:
            turn.put_order(lost)
        if order.is_chased:
            turn.timer(f"chase:{order.spec.ref}", CHASE_EVERY)
    pause(turn, watchers)
    for trade in turn.desk.trades():
        if trade.phase is TradePhase.ASKING:
            turn.put_trade(replace(trade, phase=TradePhase.CLOSED, end_reason=RESTARTED))
            watchers.end(turn, trade.id, RESTARTED)
        elif trade.phase is not TradePhase.CLOSED:
            # What was asked died with the process, and every timer too: it is asked again, and settled when waits are over.
            legs = tuple(replace(leg, postponed=None) for leg in trade.legs)  # told again, on the new screen
            turn.put_trade(replace(trade, asked_raise_at=None, priced_at=None, legs=legs))
            turn.again(trade, turn.at + ACK_TIMEOUT, "restart")
            turn.timer(f"hours:{trade.id}", ACK_TIMEOUT.total_seconds())
            if trade.flat_at is not None:
                turn.again(trade, trade.flat_at, "flat_by")
        if trade.phase is TradePhase.ENTERING:
            turn.timer(f"halt:{trade.id}", HALT_EVERY)
            if trade.plan.entry_timeout is not None:
                due = trade.asked_at + timedelta(seconds=trade.plan.entry_timeout)
                turn.timer(f"entry:{trade.id}", max(0.0, (due - turn.at).total_seconds()))
        if trade.alarm_at is not None:
            turn.again(trade, max(trade.alarm_at, turn.at + ACK_TIMEOUT), "alarm")
