"""Milestones: stops of later legs follow the targets that were reached.

Laws: a milestone is a fact of executions, never of a status; a stop is never loosened, neither below the rule nor below where
somebody put it; a stop that would be elected at once stays where it is, and is tried again.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from tradeshell.core.commands import AskQuote
from tradeshell.core.exit_events import MilestoneReached, StopThrough, StopUpdatePostponed
from tradeshell.core.exits import QUOTE_FOR_STOP, reached, ruled_stop
from tradeshell.core.market import DataKind, Price, Quote, is_usable
from tradeshell.core.orders import Order, OrderState
from tradeshell.core.trade import Leg, Trade, is_closed, leg_shares, orders_of, with_leg
from tradeshell.core.turn import EARLY, Turn

LOOK_EVERY = timedelta(seconds=1)


def tell_milestones(turn: Turn, trade: Trade) -> Trade:
    """Tell targets that were reached, and ask for the touch that says whether stops may move."""
    if not trade.plan.updates:
        return trade
    orders = turn.book(trade.plan.symbol).orders
    if not any(orders[ref].state is OrderState.FILLED for ref in trade.refs[1:]):
        return trade  # no exit has sold all of its shares
    targets = reached(trade, orders)
    for number in range(trade.milestone + 1, min(targets, len(trade.plan.updates)) + 1):
        trade = replace(trade, milestone=number, asked_raise_at=None)
        turn.put_trade(trade)
        turn.say(
            MilestoneReached(
                symbol=trade.plan.symbol,
                watch=trade.id,
                leg=f"tp{number}",
                number=number,
                stop=trade.plan.updates[number - 1],
            )
        )
    if not _pending(trade, orders) or not turn.desk.link.is_open or turn.desk.feed_over:
        return trade
    if trade.asked_raise_at is not None and is_closed(trade, turn.at - LOOK_EVERY):
        return trade  # the look at the hours comes back when they begin
    asked = trade.asked_raise_at
    if asked is not None and turn.at + EARLY < asked + LOOK_EVERY:
        return trade
    trade = replace(trade, asked_raise_at=turn.at)
    turn.put_trade(trade)
    turn.commands.append(AskQuote(f"raise:{trade.id}", trade.plan.symbol, QUOTE_FOR_STOP, patience=0.5))
    turn.again(trade, turn.at + LOOK_EVERY, "raise")
    return trade


def _pending(trade: Trade, orders: dict[str, Order]) -> list[tuple[Leg, Price]]:
    """Return the legs whose stop belongs higher than it stands, with the price (USD)."""
    if trade.milestone == 0:
        return []
    shares = leg_shares(trade, orders)
    found = []
    for leg in trade.legs:
        stop = ruled_stop(trade, leg, trade.milestone)
        if stop is None or leg.stop is None or stop <= leg.stop or shares[leg.number] == 0:
            continue
        stops = orders_of(trade, f"sl{leg.number}", orders)
        if stops and stops[-1].state is not OrderState.WORKING:  # an elected one is selling already
            found.append((leg, stop))
    return found


def answer_raise(turn: Turn, trade: Trade, quote: Quote | None) -> Trade:
    """Move the stops that may move at this touch; tell once which may not."""
    bid = None if quote is None or not _is_good(quote, turn) else quote.bid
    for leg, stop in _pending(trade, turn.book(trade.plan.symbol).orders):
        best = _highest_allowed(trade, leg, bid)
        if best is not None and leg.stop is not None and best > leg.stop:
            leg = replace(leg, stop=best, stop_limit=None)  # noqa: PLW2901  # the leg as it now is
            trade = with_leg(trade, leg)
        if stop not in (leg.stop, leg.postponed):
            trade = with_leg(trade, replace(leg, postponed=stop))
            turn.say(
                StopUpdatePostponed(
                    symbol=trade.plan.symbol, watch=trade.id, leg=f"sl{leg.number}", stop=stop, bid=bid
                )
            )
    turn.put_trade(trade)
    return trade


def _highest_allowed(trade: Trade, leg: Leg, bid: Price | None) -> Price | None:
    """Return the highest update reached whose stop would not be elected at this bid (USD), ``None`` when there is none."""
    grid = trade.instrument.grid
    for targets in range(trade.milestone, 0, -1):
        stop = ruled_stop(trade, leg, targets)
        if bid is not None and stop is not None and bid > stop + grid.increment(stop):
            return stop
    return None


def tell_stop_through(turn: Turn, trade: Trade, quote: Quote | None) -> None:
    """Tell that the market is below the stop already when the legs are armed: the stops sell at once."""
    stops = [leg.stop for leg in trade.legs if leg.stop is not None]
    if (
        quote is not None
        and quote.bid is not None
        and _is_good(quote, turn)
        and stops
        and quote.bid <= min(stops)
    ):
        turn.say(StopThrough(symbol=trade.plan.symbol, watch=trade.id, stop=min(stops), bid=quote.bid))


def _is_good(quote: Quote, turn: Turn) -> bool:
    return quote.kind is DataKind.LIVE and is_usable(quote.bid) and quote.age(turn.at) <= QUOTE_FOR_STOP
