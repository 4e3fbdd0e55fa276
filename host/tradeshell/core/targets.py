"""Targets that a method computes from past bars: what it is asked, what it answers, and whether the answer can be used.

Laws: a method sees bars that had closed when it was asked, and no other; what it answers becomes the prices of a plan only when
there are as many as were asked for, above the anchor, rising, on the price grid, each with its reason. Nothing is repaired: an
answer that breaks a rule is refused, and nothing is started.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct

from tradeshell.core.events import money
from tradeshell.core.market import US_STOCK_GRID, Price, PriceGrid
from tradeshell.errors import PluginError

LONGEST_REASON = 200  # characters


class TargetsWanted(Struct, frozen=True, kw_only=True):
    """What a method is asked for: ``count`` targets above ``anchor_price`` (USD, on ``grid``), as seen at ``at`` (UTC).

    ``rth``: the operator looks at regular hours only. ``sl``: the stop, if there is one.
    """

    symbol: str
    anchor_price: Price
    count: int
    at: datetime
    rth: bool = True
    sl: Price | None = None
    grid: PriceGrid = US_STOCK_GRID


class Target(Struct, frozen=True, kw_only=True):
    """One target: its price (USD, on the grid), and how it was found, in a few words; details behind the first `` · ``."""

    price: Price
    why: str


def check_targets(method: str, wanted: TargetsWanted, found: Sequence[Target]) -> tuple[Target, ...]:
    """Return ``found`` if it is an answer to ``wanted``; raises ``PluginError`` with one line that names the ``method``."""
    answer: object = found  # of a plugin, which no type checker may have seen
    if not isinstance(answer, Sequence) or not all(isinstance(target, Target) for target in answer):
        raise _broken(method, "answered with something else than targets")
    if len(found) != wanted.count:
        raise _broken(method, f"{wanted.count} targets were asked for, {len(found)} came")
    last, name = wanted.anchor_price, "the level"
    for number, target in enumerate(found, 1):
        if not target.price.is_finite() or target.price <= last:
            raise _broken(
                method, f"tp{number} {_shown(target.price)} does not lie above {name} {money(last)}"
            )
        if not wanted.grid.holds(target.price):
            raise _broken(method, f"tp{number} {_shown(target.price)} is not on the price grid")
        if not target.why.strip() or len(target.why) > LONGEST_REASON or not target.why.isprintable():
            raise _broken(
                method, f"tp{number} does not say in one line of {LONGEST_REASON} characters how it was found"
            )
        last, name = target.price, f"tp{number}"
    return tuple(found)


def _shown(price: Price) -> str:
    return f"{price:f}"[:20]


def _broken(method: str, what: str) -> PluginError:
    return PluginError(f"tp={method}: {what} · nothing was started; name prices, and tell its author")
