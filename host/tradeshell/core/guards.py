"""Pre-trade checks: whether an entry may leave, and at what price.

Laws: a check answers with a reason word and the numbers behind it, never with a changed order. Exits never come here.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from tradeshell.core.events import money
from tradeshell.core.market import DataKind, Price, PriceGrid, Quote, Session, Shares, is_usable
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.plan import EntryKind, TradePlan

HOLD = "hold_through_halt in [protection] of the config lets a limit that was typed rest"


class Refusal(Struct, frozen=True):
    """Why an entry may not leave: a reason word for tools, the numbers for people."""

    reason: str
    detail: str


class Approved(Struct, frozen=True):
    """An entry that passed: its type and limit (USD, on the grid)."""

    type: OrderType
    limit: Price | None


def check_entry(
    plan: TradePlan,
    quote: Quote | None,
    reference: Price | None,
    session: Session | None,
    grid: PriceGrid,
    collar: Decimal,
    now: datetime,
    *,
    holds_through_halt: bool = False,
) -> Approved | Refusal:
    """Return the priced entry or the refusal.

    ``reference`` (USD) is the trigger bar's close. A touch further than ``collar`` (a part of the price) from it is not believed.
    ``holds_through_halt``: an order whose limit was named may rest in a halt.
    """
    if session is None or not (session.is_extended(now) if plan.outside_rth else session.is_regular(now)):
        return Refusal(
            "session_closed", "the market is closed for this order; outside_rth=true trades extended hours"
        )
    if plan.entry is EntryKind.PRICED:
        if quote is not None and quote.kind is DataKind.HALTED and not holds_through_halt:
            return Refusal("halted", f"{plan.symbol} is halted; {HOLD}")
        refusal = (
            None
            if plan.limit is None
            else check_limit(plan.side, plan.limit, quote, plan.quote_age, collar, now)
        )
        return refusal or Approved(OrderType.LIMIT, plan.limit)
    touch_side = "ask" if plan.side is Side.BUY else "bid"
    if (refusal := _check_quote(plan, quote, touch_side, collar, now)) is not None:
        if plan.entry is EntryKind.MARKET and refusal.reason in (
            "no_quote",
            "no_ask",
            "no_bid",
            "stale_quote",
        ):
            return Approved(
                OrderType.MARKET, None
            )  # a market entry was asked for knowingly; it needs no touch
        return refusal
    assert quote is not None
    touch = quote.ask if plan.side is Side.BUY else quote.bid
    assert touch is not None
    if (refusal := _check_price(plan, touch, touch_side, reference, collar)) is not None:
        return refusal
    if plan.entry is EntryKind.MARKET:
        return Approved(OrderType.MARKET, None)
    return Approved(OrderType.LIMIT, grid.up(touch) if plan.side is Side.BUY else grid.down(touch))


def pays(
    plan: TradePlan, approved: Approved, quote: Quote | None, reference: Price | None, now: datetime
) -> Price | None:
    """Return what a share of the approved order would cost or bring (USD): its limit, else the last thing known of the price.

    A touch that is too old to enter on says less than the bar that asked: a market order may leave all the same.
    """
    touch = None if quote is None else (quote.ask if plan.side is Side.BUY else quote.bid)
    is_old = quote is not None and quote.age(now) > plan.quote_age
    seen = (reference, plan.level, touch) if is_old else (touch, reference, plan.level)
    known = (approved.limit, *seen)
    return next((price for price in known if price is not None and is_usable(price)), None)


def check_limit(
    side: Side, limit: Price, quote: Quote | None, max_age: float, collar: Decimal, now: datetime
) -> Refusal | None:
    """Return a refusal of a typed limit far through the market; without a fresh touch it is the operator's word."""
    if quote is None or quote.age(now) > max_age:
        return None
    touch, name = (quote.ask, "ask") if side is Side.BUY else (quote.bid, "bid")
    if touch is None or not is_usable(touch):
        return None
    beyond = limit - touch if side is Side.BUY else touch - limit
    if beyond <= touch * collar:
        return None
    return Refusal(
        "price_collar",
        f"limit {money(limit)} is more than {percent(collar)} through the {name} {money(touch)} · {changed_by('collar')}",
    )


def percent(part: Decimal) -> str:
    """Return a part of a price as people write it: ``3 %``."""
    return f"{(part * 100).normalize():f} %"


def changed_by(key: str) -> str:
    """Return where a limit is changed, for the end of a refusal."""
    return f"{key} in [limits] of the config sets that"


def _check_quote(
    plan: TradePlan, quote: Quote | None, side: str, collar: Decimal, now: datetime
) -> Refusal | None:
    if quote is None:
        return Refusal("no_quote", f"no quote for {plan.symbol} arrived in time")
    if quote.kind is DataKind.HALTED:
        return Refusal("halted", f"{plan.symbol} is halted")
    if quote.kind is not DataKind.LIVE:
        return Refusal("delayed_data", f"the quotes of {plan.symbol} are {quote.kind.value}, not live")
    price, other = (quote.ask, quote.bid) if side == "ask" else (quote.bid, quote.ask)
    if price is None or not is_usable(price):
        return Refusal(f"no_{side}", f"{plan.symbol} has no {side}")
    age = quote.age(now)
    if age > plan.quote_age:
        return Refusal(
            "stale_quote", f"the {side} {money(price)} is {age:.1f} s old, quote_age={plan.quote_age:g}"
        )
    if other is None or not is_usable(other):
        return None
    bid, ask = min(price, other), max(price, other)
    if (bid, ask) != (quote.bid, quote.ask):
        return Refusal("crossed_quote", f"bid {money(ask)} above ask {money(bid)}")
    if plan.level is None and ask - bid > bid * collar:
        return Refusal(
            "price_collar",
            f"bid {money(bid)} and ask {money(ask)} are more than {percent(collar)} apart · {changed_by('collar')}",
        )
    return None


def _check_price(
    plan: TradePlan, touch: Price, side: str, reference: Price | None, collar: Decimal
) -> Refusal | None:
    base = reference if reference is not None else plan.level
    if base is not None and abs(touch - base) > base * collar:
        return Refusal(
            "price_collar",
            f"{side} {money(touch)} is more than {percent(collar)} away from {money(base)} · {changed_by('collar')}",
        )
    if plan.side is Side.SELL:
        return None
    if plan.chase_limit is not None and touch >= plan.chase_limit:
        return Refusal("chase", f"ask {money(touch)} reached {money(plan.chase_limit)} (max_chase)")
    if plan.tps and touch >= plan.tps[0]:
        return Refusal("chase", f"ask {money(touch)} is not below the first target {money(plan.tps[0])}")
    if plan.sl is not None and touch <= plan.sl:
        return Refusal("below_stop", f"ask {money(touch)} is not above the stop {money(plan.sl)}")
    return None


def check_sell(symbol: str, qty: Shares, held: Shares, committed: Shares) -> Refusal | None:
    """Return a refusal when selling ``qty`` could make the account short, counting exits that already work."""
    free = held - committed
    if qty <= free:
        return None
    why = f"{held} held, {committed} of them in working sells" if committed else f"{held} held"
    hint = "; cancel working sells first" if committed else ""
    return Refusal("would_short", f"{max(free, 0)} of {symbol} are free to sell ({why}){hint}")
