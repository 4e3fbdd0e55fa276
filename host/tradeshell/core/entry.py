"""From a trigger to an entry order, and the stops that are chased once elected.

Laws: one entry per watcher for ever: ``fired`` is set in the step in which its strategy asks, before anything else can happen.
The touch that decides is part of the input, the bar's or one of its own. A refusal ends the attempt; nothing is retried.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from tradeshell.core import hours, yielding
from tradeshell.core.book import moved, stops_of
from tradeshell.core.checks import PreTradeCheck, ask_checks
from tradeshell.core.commands import AskQuote, Command, SetTimer
from tradeshell.core.desk import Watcher
from tradeshell.core.events import RiskRejected, money
from tradeshell.core.exits import chased_limit, first_legs, is_at_floor
from tradeshell.core.guards import Approved, Refusal, check_entry, pays
from tradeshell.core.incidents import tend_stuck
from tradeshell.core.inputs import BarClosed, QuoteAnswered, TradeRequested
from tradeshell.core.limits import check_limits, check_stopped, usd
from tradeshell.core.market import Bar, DataKind, Price, Quote
from tradeshell.core.milestones import answer_raise, tell_stop_through
from tradeshell.core.orders import Order, Side
from tradeshell.core.plan import check_plan, shares_at_risk
from tradeshell.core.settle import settle, sibling_just_executed
from tradeshell.core.specs import entry_specs
from tradeshell.core.strategy import Entered, Refused
from tradeshell.core.trade import Trade, TradePhase, first_leg, leg_of, most
from tradeshell.core.turn import EARLY, Evidence, Turn
from tradeshell.core.watch import Watchers
from tradeshell.core.window import clock, flat_at
from tradeshell.errors import OperatorError

HALT_EVERY = 2.0  # seconds between looks whether a symbol is halted whose entry works
CHASE_EVERY = 1.0  # seconds between looks at an elected stop
CHASE_AGE = 1.0  # seconds: oldest touch that may move an elected stop
PATIENCE = 1.0  # seconds in which a touch may be fetched for an entry
LOOK_EVERY = 0.5  # seconds between looks at a sale that waits for exits to become smaller
TOO_LATE = 3.0  # seconds after its trigger at which an entry may not leave any more
# A watcher's strategy tells these refusals itself; every other one is a matter of risk and told as such, too.
OF_THE_MARKET = frozenset({
    "not_connected", "not_reconciled", "too_late", "session_closed", "past_flat_by", "no_quote", "halted", "delayed_data",
    "no_ask", "no_bid", "stale_quote", "crossed_quote", "chase", "below_stop",
})  # fmt: skip


def ask_entry(turn: Turn, watcher: Watcher, bar: Bar) -> None:
    """Close the watcher for ever and ask for the touch that decides."""
    spec = watcher.spec
    open_trade(turn, Trade(
        id=spec.id,
        origin=spec.strategy,
        plan=spec.plan,
        instrument=spec.instrument,
        phase=TradePhase.ASKING,
        asked_at=turn.at,
        bar=bar,
    ))  # fmt: skip


def request_trade(turn: Turn, request: TradeRequested) -> None:
    """Start a trade that the operator typed."""
    plan = request.plan
    open_trade(turn, Trade(
        id=request.id,
        origin="manual",
        plan=plan,
        instrument=request.instrument,
        phase=TradePhase.ASKING,
        asked_at=turn.at,
    ))  # fmt: skip


def open_trade(turn: Turn, trade: Trade) -> None:
    """Put the attempt into its book and ask for the touch."""
    turn.book(trade.plan.symbol, trade.instrument)
    if not trade.plan.mode.is_detached:  # a ladder gets its legs once it is known what was bought
        trade = replace(trade, legs=first_legs(trade.plan, trade.plan.qty))
    turn.put_trade(trade)
    turn.commands.append(AskQuote(trade.id, trade.plan.symbol, trade.plan.quote_age, PATIENCE))
    turn.timer(f"ask:{trade.id}", TOO_LATE)


def answer_with_bar(
    turn: Turn, watchers: Watchers, closed: BarClosed, quote: Quote, checks: Sequence[PreTradeCheck]
) -> None:
    """Decide the entries that a bar has just asked for on the touch that came with it; who wants a fresher one asks for it."""
    age = quote.age(turn.at)
    asked: list[AskQuote] = []
    left: list[Command] = []
    overdue_at: set[str] = set()  # timers of those that need not wait
    for each in turn.commands:
        if type(each) is AskQuote and age <= each.max_age:
            asked.append(each)
            overdue_at.add(f"ask:{each.key}")
        elif type(each) is not SetTimer or each.key not in overdue_at:
            left.append(each)
    turn.commands = left
    for ask in asked:
        answer = QuoteAnswered(at=turn.at, key=ask.key, quote=quote, session=closed.session)
        answer_quote(turn, watchers, answer, checks)


def answer_quote(
    turn: Turn, watchers: Watchers, answer: QuoteAnswered, checks: Sequence[PreTradeCheck] = ()
) -> None:
    """Decide an entry, or move an elected stop, on the touch that arrived."""
    turn.seen = answer.quote
    if answer.key.startswith("chase:"):
        order = turn.desk.order(answer.key.removeprefix("chase:"))
        if order is not None:
            _chase(turn, order, answer.quote)
        return
    kind, _, id_ = answer.key.partition(":")
    if kind == "day":
        watchers.begin_day(turn, id_, answer.session)
        return
    if kind in ("raise", "hours", "flat", "armed", "halt"):
        _answer_open_trade(turn, kind, turn.desk.trade(id_), answer)
        return
    trade = turn.desk.trade(answer.key)
    if trade is None or trade.phase is not TradePhase.ASKING:
        return
    verdict = _judge(turn, trade, answer, checks)
    if isinstance(verdict, Refusal):
        _refuse(turn, watchers, trade, verdict)
        return
    trade, approved = verdict
    if trade.plan.side is Side.SELL and not yielding.is_free(turn.book(trade.plan.symbol), trade.plan.qty):
        _make_room(turn, watchers, trade, approved, answer.quote)
        return
    if trade.room_at is not None:  # its shares have no stop: it does not rest
        trade = replace(trade, plan=replace(trade.plan, entry_timeout=yielding.SOLD_WITHIN))
    trade = replace(
        trade,
        phase=TradePhase.ENTERING,
        session=answer.session,
        flat_at=flat_at(answer.session, trade.plan.flat_by, trade.plan.outside_rth),
    )
    # The watcher speaks first (`trigger …`), then the orders that follow from it.
    touch = None if answer.quote is None else answer.quote.ask
    age = None if answer.quote is None else answer.quote.age(turn.at)
    specs = entry_specs(trade, approved, turn.at)
    watchers.news(turn, trade.id, Entered(specs[0].ref, touch, age, trade.bar, trade.plan.qty))
    trade = turn.place(trade, specs, Evidence(answer.quote, trade.bar))
    if trade.plan.entry_timeout is not None:
        turn.timer(f"entry:{trade.id}", trade.plan.entry_timeout)
    turn.timer(f"halt:{trade.id}", HALT_EVERY)
    if trade.flat_at is not None:
        turn.again(trade, trade.flat_at, "flat_by")


def _judge(
    turn: Turn, trade: Trade, answer: QuoteAnswered, checks: Sequence[PreTradeCheck]
) -> tuple[Trade, Approved] | Refusal:
    """Return the sized trade and its priced entry, or the first refusal.

    In this order: the gate, the market, the size, the account's limits, the plugins' checks.
    """
    plan, desk = trade.plan, turn.desk
    if (refusal := _gate(turn, trade)) is not None:
        return refusal
    if (waited := (turn.at - (trade.free_at or trade.asked_at)).total_seconds()) > TOO_LATE:
        return Refusal("too_late", f"the touch came {waited:.1f} s after the trigger")
    short = (
        yielding.check_sale(turn.book(plan.symbol), plan.qty, trade.id) if plan.side is Side.SELL else None
    )
    if short is not None:
        return short
    flat = flat_at(answer.session, plan.flat_by, plan.outside_rth)
    if flat is not None and turn.at >= flat:
        return Refusal(
            "past_flat_by", f"the trade would have to be closed at {clock(flat)} already (flat_by)"
        )
    reference = None if trade.bar is None else trade.bar.close
    grid, collar = trade.instrument.grid, desk.policy.limits.collar
    holds = desk.policy.hold_through_halt
    verdict = check_entry(
        plan, answer.quote, reference, answer.session, grid, collar, turn.at, holds_through_halt=holds
    )
    if isinstance(verdict, Refusal):
        return verdict
    price = pays(plan, verdict, answer.quote, reference, turn.at)
    sized = _sized(trade, price)
    if isinstance(sized, Refusal):
        return sized
    refusal = check_limits(desk, sized, price, turn.at)
    refusal = refusal or ask_checks(checks, desk, sized, price, answer.quote, turn.at)
    return refusal or (sized, verdict)


def _sized(trade: Trade, price: Price | None) -> Trade | Refusal:
    """Return a trade with the shares that its risk allows at ``price`` (USD); one whose shares were typed keeps them."""
    plan = trade.plan
    if plan.risk_usd is None:
        return trade
    assert plan.sl is not None, "a plan with a risk has a stop"
    assert price is not None, "a plan with a risk has a level"
    qty = shares_at_risk(plan.risk_usd, price, plan.sl)
    if qty < 1:
        way = f"from {money(price)} to the stop {money(plan.sl)} one loses {money(price - plan.sl)}"
        return Refusal("too_small", f"a risk of {usd(plan.risk_usd)} buys no share: {way}")
    plan = replace(plan, qty=qty)
    try:
        check_plan(plan)
    except OperatorError as error:  # too few shares for its legs
        return Refusal("too_small", str(error))
    return replace(trade, plan=plan, legs=() if plan.mode.is_detached else first_legs(plan, qty))


def _make_room(turn: Turn, watchers: Watchers, trade: Trade, verdict: Approved, quote: Quote | None) -> None:
    """Let exits become smaller for a sale, which leaves when the broker has shown that; it has to sell at once then."""
    bid = None if quote is None else quote.bid
    if verdict.limit is not None and (bid is None or verdict.limit > bid):
        touch = "there is no bid" if bid is None else f"the bid is {money(bid)}"
        words = f"these shares are behind exits, and have no stop while a sale at {money(verdict.limit)} rests ({touch})"
        _refuse(
            turn, watchers, trade, Refusal("would_rest", f"{words}; move a target there, or sell at the bid")
        )
        return
    turn.put_trade(replace(trade, room_at=trade.room_at or turn.at, free_at=None))
    turn.timer(f"room:{trade.id}", LOOK_EVERY)
    _rearranged(turn, trade.plan.symbol)


def look_for_room(turn: Turn, watchers: Watchers, id_: str) -> None:
    """See whether a sale that waits for exits can leave, and end it when it has waited long enough."""
    trade = turn.desk.trade(id_)
    if (
        trade is None
        or trade.phase is not TradePhase.ASKING
        or trade.room_at is None
        or trade.free_at is not None
    ):
        return
    if turn.at + EARLY >= trade.room_at + yielding.ROOM_WITHIN:
        words = f"exits did not become smaller within {yielding.ROOM_WITHIN.total_seconds():g} s; try again, or use `flatten`"
        _refuse(turn, watchers, trade, Refusal("no_room", words))
        return
    turn.timer(f"room:{id_}", LOOK_EVERY)
    _rearranged(turn, trade.plan.symbol)


def _rearranged(turn: Turn, symbol: str) -> None:
    """Let legs give way, or take back what no sale needs any more."""
    for id_ in yielding.rearrange(turn, symbol):
        settle(turn, turn.book(symbol).trades[id_])
    yielding.look(turn, symbol)


def _answer_open_trade(turn: Turn, kind: str, trade: Trade | None, answer: QuoteAnswered) -> None:
    """Use a touch or the hours that an open trade asked for; a touch ends none."""
    if trade is None or trade.phase is TradePhase.CLOSED:
        return
    if kind == "raise":
        trade = answer_raise(turn, trade, answer.quote)
    elif kind == "hours":
        trade = hours.answer(turn, trade, answer)
    elif kind == "flat":
        trade = hours.answer_price(turn, trade, answer)
    elif kind == "armed":
        tell_stop_through(turn, trade, answer.quote)
    elif answer.quote is not None and answer.quote.kind is DataKind.HALTED and not trade.cancel_wanted:
        trade = replace(trade, cancel_wanted="the symbol is halted")
        turn.put_trade(trade)
    settle(turn, trade)


def look_at_entry(turn: Turn, trade: Trade) -> None:
    """While the entry works: see whether the symbol is halted, and look again."""
    order = turn.desk.order(trade.refs[0]) if trade.refs else None
    if order is not None and order.state.is_live and not turn.desk.policy.hold_through_halt:
        turn.commands.append(AskQuote(f"halt:{trade.id}", trade.plan.symbol, CHASE_AGE, patience=0.5))
        turn.timer(f"halt:{trade.id}", HALT_EVERY)


def overdue(turn: Turn, watchers: Watchers, id_: str) -> None:
    """End an attempt whose touch never came."""
    trade = turn.desk.trade(id_)
    if trade is None or trade.phase is not TradePhase.ASKING:
        return
    if trade.room_at is None or trade.free_at is not None:  # one that waits for exits has not asked yet
        _refuse(
            turn, watchers, trade, Refusal("no_quote", f"no quote for {trade.plan.symbol} arrived in time")
        )


def abandon(turn: Turn, watchers: Watchers, id_: str) -> None:
    """End an attempt that nobody waits for any more, unless its order has left."""
    trade = turn.desk.trade(id_)
    if trade is not None and trade.phase is TradePhase.ASKING:
        turn.put_trade(replace(trade, phase=TradePhase.CLOSED, end_reason="abandoned"))
        _rearranged(turn, trade.plan.symbol)
        watchers.end(turn, id_, "cancelled")


def _gate(turn: Turn, trade: Trade) -> Refusal | None:
    link = turn.desk.link
    if not link.up:
        return Refusal("not_connected", f"the link to the broker is down ({link.why}); {link.way_back}")
    if not link.reconciled:
        return Refusal("not_reconciled", "orders and positions of this connection are not known yet")
    if trade.plan.account != turn.desk.account:
        return Refusal(
            "wrong_account", f"account={trade.plan.account} is not the connected {turn.desk.account}"
        )
    return check_stopped(turn.desk, trade.plan.symbol, trade.plan.side)


def _refuse(turn: Turn, watchers: Watchers, trade: Trade, refusal: Refusal) -> None:
    turn.put_trade(replace(trade, phase=TradePhase.CLOSED, end_reason=refusal.reason))
    _rearranged(turn, trade.plan.symbol)
    watcher = turn.desk.watchers.get(trade.id)
    if watcher is None or refusal.reason not in OF_THE_MARKET:
        turn.say(RiskRejected(
            symbol=trade.plan.symbol,
            watch=trade.id,
            leg=first_leg(trade.plan),
            reason=refusal.reason,
            detail=refusal.detail,
            side=trade.plan.side,
            qty=trade.plan.qty,
        ))  # fmt: skip
    watchers.news(turn, trade.id, Refused(refusal.reason, refusal.detail, trade.bar, turn.seen))
    watchers.end(turn, trade.id, "rejected")


# --- elected stops ----------------------------------------------------------------------------------------------------


def look_at_stop(turn: Turn, order: Order) -> None:
    """Ask for the touch that an elected stop has to follow, and look again in a second."""
    turn.commands.append(AskQuote(f"chase:{order.spec.ref}", order.spec.symbol, CHASE_AGE, patience=0.5))
    turn.timer(f"chase:{order.spec.ref}", CHASE_EVERY)


def see_quote(turn: Turn, quote: Quote) -> None:
    """Move the elected stops of the quote's symbol."""
    turn.seen = quote
    book = turn.desk.books.get(quote.symbol)
    if book is None:
        return
    for trade in book.trades.values():
        for order in stops_of(book, trade):
            _chase(turn, order, quote)


def _chase(turn: Turn, order: Order, quote: Quote | None) -> None:
    if not order.is_chased or not turn.desk.link.is_open or order.absent_at is not None:
        return
    book = turn.book(order.spec.symbol)
    trade = book.trade_of(order.spec.ref)
    limit = chased_limit(order, quote, book.instrument.grid, turn.at)
    if trade is not None and limit is None and is_at_floor(order, quote, book.instrument.grid, turn.at):
        settle(turn, tend_stuck(turn, trade, order))
        return
    if trade is None or limit is None or sibling_just_executed(trade, order, turn):
        return
    qty = most(trade, order, book.orders)
    if qty <= order.done:
        return  # nothing is left to sell; settling lets it go
    changed = replace(moved(order, qty=qty, limit=limit, stop=order.spec.stop), repriced_at=turn.at)
    turn.modify(trade, changed, f"{leg_of(order.spec.ref)} is elected, the limit follows the bid")
