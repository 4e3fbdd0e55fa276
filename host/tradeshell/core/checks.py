"""Pre-trade checks of plugins: asked last, when everything of our own has said yes.

Laws: a check sees values and answers with a refusal or ``None``; it changes nothing. One that raises, or answers with anything
else, refuses the order and is named: a broken check lets nothing through. Sales of held shares are not asked about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import TypeAlias

from msgspec import Struct

from tradeshell.core.desk import Desk
from tradeshell.core.guards import Refusal
from tradeshell.core.limits import exposure, open_risk, realised
from tradeshell.core.market import Instrument, Price, Quote, Shares
from tradeshell.core.orders import Side
from tradeshell.core.plan import TradePlan
from tradeshell.core.trade import Trade

_REASON = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)
_LONGEST = 300  # characters of a detail


class DeskView(Struct, frozen=True, kw_only=True):
    """What a check may know of the account. Amounts in USD; ``positions`` are shares by symbol, the account's.

    ``exposure``: positions at cost and what working entries may still buy. ``open_risk``: what is lost if every stop is hit;
    shares without a stop count with all they cost. ``realised``: today's profit (loss: below zero), New York day, fees included.
    """

    paper: bool
    positions: Mapping[str, Shares]
    exposure: Decimal
    open_risk: Decimal
    realised: Decimal


class CheckContext(Struct, frozen=True, kw_only=True):
    """One order that is about to leave. ``price``: what a share would cost (USD), ``None`` when nobody knows.

    ``origin`` is ``manual``, or the strategy whose watcher has triggered. ``now`` is UTC, the venue's clock on a simulated venue.
    """

    plan: TradePlan
    instrument: Instrument
    origin: str
    price: Price | None
    quote: Quote | None
    desk: DeskView
    now: datetime


Check: TypeAlias = Callable[[CheckContext], Refusal | None]


class PreTradeCheck(Struct, frozen=True, kw_only=True):
    """A check with its name and the plugin that brought it."""

    name: str
    owner: str
    check: Check


def ask_checks(
    checks: Sequence[PreTradeCheck],
    desk: Desk,
    trade: Trade,
    price: Price | None,
    quote: Quote | None,
    now: datetime,
) -> Refusal | None:
    """Return the first refusal of the plugins' checks."""
    if not checks or trade.plan.side is Side.SELL:
        return None
    context = CheckContext(
        plan=trade.plan,
        instrument=trade.instrument,
        origin=trade.origin,
        price=price,
        quote=quote,
        desk=_view(desk, now),
        now=now,
    )
    return next((refusal for check in checks if (refusal := _ask(check, context)) is not None), None)


def _view(desk: Desk, now: datetime) -> DeskView:
    positions = {symbol: report.qty for symbol, report in desk.positions.items()}
    positions |= {symbol: book.held() for symbol, book in desk.books.items()}
    return DeskView(
        paper=desk.paper,
        positions=MappingProxyType({symbol: qty for symbol, qty in positions.items() if qty}),
        exposure=exposure(desk),
        open_risk=open_risk(desk),
        realised=realised(desk, now),
    )


def _ask(check: PreTradeCheck, context: CheckContext) -> Refusal | None:
    who = f"check {check.name} of plugin {check.owner}"
    try:
        answer: object = check.check(context)
        if answer is None:
            return None
        if isinstance(answer, Refusal) and _REASON.fullmatch(answer.reason) is not None:
            detail = " ".join(str(answer.detail).split())[:_LONGEST]
            return Refusal(answer.reason, f"{detail} ({who})")
        said = f"answered with {type(answer).__name__}, not a Refusal with a reason of one word, or None"
    except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything: the order stays, the engine goes on
        said = f"raised {type(error).__name__}: {error}"
    return Refusal(
        "check_failed",
        f"{who} {' '.join(said.split())[:_LONGEST]} · without it: TRADESHELL_LOAD_PLUGINS or --safe-mode",
    )
