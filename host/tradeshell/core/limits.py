"""Limits of the account as a whole: whether an order may be that large, or be sent at all today.

Laws: a refusal names the numbers and the key of ``[limits]`` that changes it. Limits hold for entries, for orders that are typed
and for changes that make them larger; the exits of a trade never come here, and no limit keeps held shares from being sold but
those on the size and number of typed orders. What is not known counts at its worst.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from tradeshell.core.book import Book
from tradeshell.core.desk import Desk
from tradeshell.core.events import money
from tradeshell.core.guards import Refusal, changed_by
from tradeshell.core.market import Price, Shares, is_usable
from tradeshell.core.orders import Order, OrderState, Side
from tradeshell.core.plan import TradePlan
from tradeshell.core.policy import Limits
from tradeshell.core.trade import Trade, TradePhase, entry_of, exits_of, inventory, is_exit, live
from tradeshell.core.window import NEW_YORK

MINUTE = timedelta(minutes=1)
ASKED_LONG_AGO = timedelta(minutes=2)  # an order leaves within seconds after it was asked for
NOTHING = Decimal(0)
UNKNOWN = Decimal("Infinity")  # USD: an amount that nobody can tell is larger than every limit
MANUAL = "manual"


# --- what is checked --------------------------------------------------------------------------------------------------


def check_plan_limits(desk: Desk, plan: TradePlan, price: Price | None) -> Refusal | None:
    """Return why ``plan`` could never leave as it is: too many shares, too dear at ``price`` (USD), or too many exits."""
    return (
        _check_shares(desk.policy.limits, plan.side, plan.qty)
        or _check_notional(desk.policy.limits, plan.qty, price)
        or _check_working(desk, plan)
    )


def check_limits(desk: Desk, trade: Trade, price: Price | None, now: datetime) -> Refusal | None:
    """Return why a priced order may not leave now; ``price`` is what a share of it would cost (USD), if that is known."""
    plan = trade.plan
    refusal = (
        _check_price_known(desk.policy.limits, plan, price)
        or check_plan_limits(desk, plan, price)
        or _check_pace(desk, now)
    )
    if refusal is not None or plan.side is Side.SELL:
        return refusal
    return (
        _check_loss(desk, now)
        or _check_exposure(desk, _times(plan.qty, price))
        or _check_risk(desk, _times(plan.qty, _risk_a_share(price, plan.sl)))
    )


def check_change(
    desk: Desk, trade: Trade, order: Order, qty: Shares | None, limit: Price | None, now: datetime
) -> Refusal | None:
    """Return why an order that was typed or entered may not grow to ``qty`` shares or cost ``limit`` (USD); exits may."""
    spec, limits = order.spec, desk.policy.limits
    if is_exit(trade, spec.ref):
        return None
    before = entry_price(desk.books[spec.symbol], trade, order)
    price = before if limit is None else limit
    total = spec.qty if qty is None else qty
    is_larger = total > spec.qty
    is_dearer = spec.side is Side.BUY and limit is not None and (spec.limit is None or limit > spec.limit)
    if not is_larger and not is_dearer:
        return None
    refusal = check_stopped(desk, spec.symbol, spec.side) or _check_shares(limits, spec.side, total)
    refusal = refusal or _check_notional(limits, total, price)
    if refusal is not None or spec.side is Side.SELL:
        return refusal
    sl, rest = trade.plan.sl, max(0, total - order.filled)
    added = _more(_times(rest, price), _times(order.remaining, before))
    risk = _more(_times(rest, _risk_a_share(price, sl)), _times(order.remaining, _risk_a_share(before, sl)))
    return _check_loss(desk, now) or _check_exposure(desk, added) or _check_risk(desk, risk)


def check_stopped(desk: Desk, symbol: str, side: Side) -> Refusal | None:
    """Return the refusal of a desk whose entries are off, or of a symbol in which no new order may leave."""
    book = desk.books.get(symbol)
    if book is not None and book.frozen:
        return Refusal(
            "symbol_frozen",
            f"{symbol} takes no new order ({book.frozen}) · `stopentry off` lifts that when it is clear",
        )
    if desk.stopped and side is Side.BUY:
        return Refusal(
            "entries_stopped", f"entries are off ({desk.stopped}) · `stopentry off` allows them again"
        )
    return None


def check_duplicate(desk: Desk, plan: TradePlan, now: datetime) -> Refusal | None:
    """Return a refusal of an order that was typed just like this a moment ago, unless that one came to nothing."""
    window = desk.policy.limits.duplicate_window
    book = desk.books.get(plan.symbol)
    for trade in () if book is None else book.trades.values():
        is_fresh = now - trade.asked_at < timedelta(seconds=window)
        same = replace(
            trade.plan, entry_timeout=plan.entry_timeout
        )  # a sale that exits made room for got one
        if is_fresh and trade.origin == MANUAL and same == plan and not _came_to_nothing(trade, book):  # type: ignore[arg-type]  # book is set here
            return Refusal(
                "duplicate",
                f"the same order was sent less than {window:g} s ago; again=true sends it once more",
            )
    return None


def _came_to_nothing(trade: Trade, book: Book) -> bool:
    entry = entry_of(trade, book.orders)
    return trade.phase is TradePhase.CLOSED if entry is None else entry.state is OrderState.REFUSED


# --- one limit each ---------------------------------------------------------------------------------------------------


def _check_shares(limits: Limits, side: Side, qty: Shares) -> Refusal | None:
    if limits.max_qty is None or qty <= limits.max_qty:
        return None
    hint = "; `flatten` sells all that our trades hold" if side is Side.SELL else ""
    return Refusal(
        "max_qty", f"{qty} shares are more than {limits.max_qty} in one order · {changed_by('max_qty')}{hint}"
    )


def _check_notional(limits: Limits, qty: Shares, price: Price | None) -> Refusal | None:
    if limits.max_notional is None or price is None:
        return None  # `_check_price_known` has its word where an order is about to leave
    if (value := price * qty) <= limits.max_notional:
        return None
    return Refusal(
        "max_notional",
        f"{qty} shares at {money(price)} are {usd(value)}, more than {usd(limits.max_notional)} in one order · "
        f"{changed_by('max_notional')}",
    )


def _check_price_known(limits: Limits, plan: TradePlan, price: Price | None) -> Refusal | None:
    """Refuse to buy at a price that nobody knows while amounts are limited; held shares can be sold at any."""
    if price is not None or plan.side is Side.SELL or limits.max_notional is None:
        return None
    return Refusal(
        "no_price",
        f"no price of {plan.symbol} is known, so {plan.qty} shares cannot be held against {usd(limits.max_notional)} an "
        "order · limit= names one",
    )


def _check_working(desk: Desk, plan: TradePlan) -> Refusal | None:
    most = desk.policy.limits.max_orders_per_side
    if most is None:
        return None
    book = desk.books.get(plan.symbol)
    for side, more in ((plan.side, 1), (Side.SELL, exits_needed(plan))):
        if not more:
            continue
        there = 0 if book is None else sum(_working(t, book, side) for t in book.trades.values() if t.refs)
        if there + more > most:
            return Refusal(
                "max_orders_per_side",
                f"{plan.symbol} would have {there + more} working {side.value}s ({there} now), more than {most} · "
                f"{changed_by('max_orders_per_side')}",
            )
    return None


def _working(trade: Trade, book: Book, side: Side) -> int:
    """Return the orders of one side that a trade has at work, or will have once its entry is over."""
    works = sum(1 for order in live(book.orders[ref] for ref in trade.refs) if order.spec.side is side)
    is_coming = trade.phase is TradePhase.ENTERING or trade.protection == "ARMING"
    return max(works, exits_needed(trade.plan)) if side is Side.SELL and is_coming else works


def exits_needed(plan: TradePlan) -> int:
    """Return the most SELLs that the exits of a plan need at one time: a pair for each leg."""
    if plan.side is Side.SELL:
        return 0
    if plan.mode.is_detached:
        return len(plan.tps) * 2
    return (plan.sl is not None) + bool(plan.tps)


def _check_pace(desk: Desk, now: datetime) -> Refusal | None:
    most = desk.policy.limits.max_orders_per_minute
    if most is None:
        return None
    sent = 0
    for id_, symbol in reversed(desk.trade_symbols.items()):  # the newest first: a day has more than a minute
        book = desk.books[symbol]
        trade = book.trades[id_]
        if trade.refs and _is_within_minute(book.orders[trade.refs[0]], now):
            sent += 1
        elif now - trade.asked_at > ASKED_LONG_AGO:
            break
    if sent < most:
        return None
    return Refusal(
        "max_orders_per_minute",
        f"{sent} orders were sent in the last minute, {most} are allowed · {changed_by('max_orders_per_minute')}",
    )


def _is_within_minute(order: Order, now: datetime) -> bool:
    return order.sent_at is not None and now - order.sent_at < MINUTE


def _check_loss(desk: Desk, now: datetime) -> Refusal | None:
    most = desk.policy.limits.max_daily_loss
    if most is None or (lost := -realised(desk, now)) < most:
        return None
    return Refusal(
        "daily_loss",
        f"{usd(lost)} were lost today, fees included; {usd(most)} end the day for entries · {changed_by('max_daily_loss')}",
    )


def _check_exposure(desk: Desk, added: Decimal) -> Refusal | None:
    most = desk.policy.limits.max_exposure
    if most is None or added <= 0 or (now := exposure(desk)) + added <= most:
        return None
    said = _too_much("positions and working entries", now, added, most)
    return Refusal("max_exposure", f"{said} · {changed_by('max_exposure')}")


def _check_risk(desk: Desk, added: Decimal) -> Refusal | None:
    most = desk.policy.limits.max_open_risk
    if most is None or added <= 0 or (now := open_risk(desk)) + added <= most:
        return None
    said = _too_much("the risk to all stops", now, added, most)
    return Refusal("max_open_risk", f"{said} · {changed_by('max_open_risk')}")


def _too_much(what: str, now: Decimal, added: Decimal, most: Decimal) -> str:
    if not (now + added).is_finite():
        return f"{what} cannot be told: the price of a market order is not known"
    return f"{what} would be {usd(now + added)} ({usd(now)} now), more than {usd(most)}"


# --- what there is ----------------------------------------------------------------------------------------------------


def exposure(desk: Desk) -> Decimal:
    """Return what the account holds at cost and what working entries may still buy (USD); short positions count as long ones."""
    total = NOTHING
    for symbol in desk.positions.keys() | desk.books.keys():
        told = desk.positions.get(symbol)
        of_account = NOTHING
        if told is not None and told.qty and is_usable(told.average):
            of_account = abs(told.qty) * told.average
        book = desk.books.get(symbol)
        if book is None:
            total += of_account
            continue
        ours = NOTHING
        for trade in book.trades.values():
            entry = entry_of(trade, book.orders)
            if entry is None or entry.spec.side is Side.SELL:
                continue
            ours += _times(max(0, inventory(trade, book.orders)), entry.average)
            total += _times(entry.remaining, entry_price(book, trade, entry))
        total += max(of_account, ours)
    return total


def open_risk(desk: Desk) -> Decimal:
    """Return what open trades and working entries lose if every stop is hit at its price (USD); without a stop, all they cost."""
    return sum(
        (_trade_risk(trade, book) for book in desk.books.values() for trade in book.trades.values()), NOTHING
    )


def _trade_risk(trade: Trade, book: Book) -> Decimal:
    orders: Mapping[str, Order] = book.orders
    entry = entry_of(trade, orders)
    if entry is None or trade.plan.side is Side.SELL:
        return NOTHING
    risk = _times(entry.remaining, _risk_a_share(entry_price(book, trade, entry), trade.plan.sl))
    left = max(0, inventory(trade, orders))
    for order in live(exits_of(trade, orders)) if left else ():
        if order.spec.stop is not None:
            share = min(left, order.remaining)
            risk += _times(share, _risk_a_share(entry.average, order.spec.stop))
            left -= share
    return risk + _times(left, _risk_a_share(entry.average, trade.plan.sl))


def entry_price(book: Book, trade: Trade, entry: Order) -> Price | None:
    """Return what the rest of an entry will cost a share, as far as anybody knows (USD)."""
    bar = None if trade.bar is None else trade.bar.close
    known = (entry.spec.limit, entry.average, bar, trade.plan.level, book.average)
    return next((price for price in known if price is not None and is_usable(price)), None)


def realised(desk: Desk, now: datetime) -> Decimal:
    """Return the profit (or loss, below zero) realised in the New York day of ``now``, fees included (USD).

    What this program sold is held against the average cost of what it had bought in the symbol; other shares do not count.
    """
    day = now.astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
    return sum((_realised_in(book, day) for book in desk.books.values()), NOTHING)


def _realised_in(book: Book, day: datetime) -> Decimal:
    tomorrow = day + timedelta(days=1)  # wall time: the day may have 23 or 25 hours
    held, cost, gained = 0, NOTHING, NOTHING
    today: set[str] = set()
    ours = (e for e in book.executions.values() if e.ref in book.orders)
    # Brokers tell whole seconds: of one instant the buys come first, or a sale would find nothing to sell.
    for execution in sorted(ours, key=lambda e: (e.at, e.side is Side.SELL)):
        is_today = day <= execution.at < tomorrow
        if is_today:
            today.add(execution.ref)
        if execution.side is Side.BUY:
            held, cost = held + execution.qty, cost + execution.price * execution.qty
        elif (part := min(held, execution.qty)) > 0:
            average = cost / held
            gained += (execution.price - average) * part if is_today else NOTHING
            held, cost = held - part, cost - average * part
    fees = sum((t.fees for t in book.trades.values() if not today.isdisjoint(t.refs)), NOTHING)
    return gained - fees


def _risk_a_share(price: Price | None, sl: Price | None) -> Price | None:
    return None if price is None else max(NOTHING, price - (NOTHING if sl is None else sl))


def _times(qty: Shares, price: Price | None) -> Decimal:
    """Return an amount in USD; of a price that is not known, ``UNKNOWN``."""
    if qty == 0:
        return NOTHING
    return UNKNOWN if price is None else price * qty


def _more(after: Decimal, before: Decimal) -> Decimal:
    """Return how much larger an amount gets."""
    return after - before if after.is_finite() and before.is_finite() else after


def usd(amount: Decimal) -> str:
    """Return an amount in USD, to the cent."""
    return money(amount.quantize(Decimal("0.01"))) + " USD" if amount.is_finite() else "an unknown amount"
