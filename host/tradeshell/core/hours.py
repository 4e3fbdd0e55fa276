"""Trading hours of an open trade: when its orders rest, what expired with the day, and how it is sold when only limits work.

Laws: the hours are what the broker says of the day; a trade that is held over the night asks again. An order of the day that
ended with its day is no incident: it is told, and armed again in the next session where the policy says so. Outside regular hours
the market is a limit below the bid. A trade that has to be closed by a time of day is, whatever else is going on.
"""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace

from tradeshell.core.commands import AskQuote, SetTimer
from tradeshell.core.exit_events import FlattenStarted
from tradeshell.core.exits import QUOTE_FOR_STOP
from tradeshell.core.inputs import QuoteAnswered
from tradeshell.core.market import DataKind, Session, is_usable
from tradeshell.core.orders import Order, Side, Tif
from tradeshell.core.trade import Rung, Trade, TradePhase, inventory
from tradeshell.core.turn import EARLY, Turn
from tradeshell.core.window import clock

AT_THE_CLOSE = timedelta(seconds=60)  # DAY orders that end this long after the close ended because of it
LOOK_EVERY = timedelta(
    hours=3
)  # until the hours of the next day are known: a day begins at midnight in New York
PRICE_EVERY = timedelta(seconds=2)  # between two prices of a sale outside regular hours


def is_open(trade: Trade, session: Session | None, turn: Turn) -> bool:
    """Return whether the trade's orders work now, as far as the session is known."""
    if session is None:
        return False
    return session.is_extended(turn.at) if trade.plan.outside_rth else session.is_regular(turn.at)


def start(turn: Turn, trade: Trade) -> None:
    """Look at the hours again when those of the entry's day are over."""
    if trade.session is not None:
        close = trade.session.extended_close if trade.plan.outside_rth else trade.session.close
        turn.commands.append(SetTimer(f"hours:{trade.id}", max(close, turn.at) + timedelta(seconds=1)))


def look(turn: Turn, trade: Trade) -> None:
    """Ask for the session, as long as the trade holds anything."""
    if trade.phase is not TradePhase.CLOSED:
        turn.commands.append(AskQuote(f"hours:{trade.id}", trade.plan.symbol, QUOTE_FOR_STOP, patience=0.1))


def answer(turn: Turn, trade: Trade, answered: QuoteAnswered) -> Trade:
    """Take the session of the day, and look again when it begins or ends."""
    session = answered.session
    if session is not None and session != trade.session:
        trade = replace(trade, session=session)
        turn.put_trade(trade)
    if is_open(trade, session, turn):
        start(turn, trade)
        return trade
    opens = None
    if session is not None:
        opens = session.extended_open if trade.plan.outside_rth else session.open
    at = opens if opens is not None and turn.at < opens else turn.at + LOOK_EVERY
    turn.commands.append(SetTimer(f"hours:{trade.id}", at))
    return trade


def has_expired(order: Order, trade: Trade) -> bool:
    """Return whether a DAY order, ending now, ends because its day did."""
    if trade.session is None or order.ended_at is None or order.spec.tif is not Tif.DAY:
        return False
    close = trade.session.extended_close if order.spec.outside_rth else trade.session.close
    return timedelta(seconds=-1) <= order.ended_at - close <= AT_THE_CLOSE


def may_rearm(turn: Turn, trade: Trade, order: Order) -> bool:
    """Return whether an exit that expired may be armed again: the policy says so and another session has begun."""
    if not turn.desk.policy.rearm or trade.session is None or order.ended_at is None:
        return False
    return is_open(trade, trade.session, turn) and order.ended_at < trade.session.open


def flatten_by(turn: Turn, trade: Trade) -> Trade:
    """Begin to sell the shares of a trade whose time is over: as ``flatten`` does, but those of this trade only.

    What was typed to sell some of the symbol's shares makes way, as there.
    """
    if trade.flat_at is None or trade.is_flattening or turn.at + EARLY < trade.flat_at:
        return trade
    book = turn.book(trade.plan.symbol)
    told = f"flat_by={clock(trade.flat_at)}"
    turn.say(
        FlattenStarted(
            symbol=trade.plan.symbol, watch=trade.id, held=inventory(trade, book.orders), reason=told
        )
    )
    for other in book.trades.values():
        if other.plan.side is Side.SELL and other.phase is not TradePhase.CLOSED:
            turn.put_trade(replace(other, cancel_wanted=other.cancel_wanted or "flat_by"))
            turn.again(other, turn.at, "flat_by")
    trade = replace(trade, flatten_at=turn.at, cancel_wanted=trade.cancel_wanted or "flat_by")
    turn.put_trade(trade)
    return trade


# --- sales outside regular hours --------------------------------------------------------------------------------------


def price_sale(turn: Turn, trade: Trade) -> Trade:
    """Ask for the touch that prices a sale of a trade that works outside regular hours."""
    is_selling = trade.is_flattening or any(leg.rung is Rung.FLATTEN for leg in trade.legs)
    if not is_selling or not trade.plan.outside_rth:
        return trade
    asked = trade.priced_at
    if asked is not None and turn.at + EARLY < asked + PRICE_EVERY:
        return trade
    trade = replace(trade, priced_at=turn.at)
    turn.put_trade(trade)
    turn.commands.append(AskQuote(f"flat:{trade.id}", trade.plan.symbol, QUOTE_FOR_STOP, patience=0.5))
    turn.again(trade, turn.at + PRICE_EVERY, "price")
    return trade


def answer_price(turn: Turn, trade: Trade, answered: QuoteAnswered) -> Trade:
    """Sell at the market in regular hours, else at a limit a little below the bid; without a bid wait for one."""
    quote, grid = answered.quote, trade.instrument.grid
    limit = trade.flat_limit
    if answered.session is not None and answered.session.is_regular(turn.at):
        limit = None
    elif quote is not None and quote.kind is DataKind.LIVE and quote.bid is not None and is_usable(quote.bid):
        limit = grid.down(quote.bid * 99 / 100)
    elif limit is None:
        return trade
    trade = replace(trade, flat_limit=limit, is_priced=True)
    turn.put_trade(trade)
    return trade
