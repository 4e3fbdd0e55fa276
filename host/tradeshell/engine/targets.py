"""Targets computed by a method of a plugin: what it is told, what it may see, and what a failure costs.

Laws: asked on the main thread, before anything is started; a bar that closes while a method thinks is kept from it; whatever a
method does wrong is one line, and nothing is started.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from tradeshell.core.market import Bar, Instrument, Price
from tradeshell.core.targets import Target, TargetsWanted, check_targets
from tradeshell.errors import OperatorError, PluginError, TradeshellError
from tradeshell.grammar import shown
from tradeshell.ports import TakeProfitOffer, View


class Looking(Protocol):
    """The part of ``Trading`` that a method is served from."""

    def view(self) -> View:
        """Return the present picture."""
        ...

    def instrument(self, symbol: str) -> Instrument:
        """Return the qualified contract."""
        ...

    def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return past bars."""
        ...


def compute_targets(
    trading: Looking,
    offers: Mapping[str, TakeProfitOffer],
    method: str,
    symbol: str,
    level: Price,
    count: int,
    rth: bool,
    sl: Price | None,
) -> tuple[Target, ...]:
    """Return what ``method`` answers, checked; raises ``TradeshellError`` with one line."""
    offer = offers.get(method)
    if offer is None:
        known = " ".join(f"tp={name}" for name in offers) or "none is installed"
        raise OperatorError(
            f"tp={shown(method)}: is neither a price nor a method that computes targets · methods: {known}"
        )
    grid = trading.instrument(symbol).grid
    wanted = TargetsWanted(
        symbol=symbol,
        anchor_price=grid.up(level),
        count=count,
        at=trading.view().now,
        rth=rth,
        sl=sl,
        grid=grid,
    )

    def past(seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        bars = trading.history(symbol, seconds, count, rth)
        return tuple(bar for bar in bars if bar.end <= wanted.at)

    try:
        found = offer.find(wanted, past)
    except TradeshellError:
        raise
    except Exception as error:
        what = shown(" ".join(f"{type(error).__name__}: {error}".split()), 160)
        raise PluginError(
            f"tp={method} failed: {what} · nothing was started; name prices, and tell its author"
        ) from error
    return check_targets(method, wanted, found)
