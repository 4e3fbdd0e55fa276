"""Closed bars of a second out of single trades, whose times are whole seconds of the exchange.

Laws: pure, no clock of its own. A second is closed by the first trade of a later one, or when it is certainly over: at most a
second after a trade of it came, whatever our clock says. A trade that comes later is dropped. A second without a trade is no bar.
"""

from __future__ import annotations

from tradeshell import Bar, Price, Shares
from tradeshell_ibkr.bars import Part, instant

TICK_GRACE = 0.25  # seconds after the end of a second in which its trades may still arrive


class Seconds:
    """Bars of a second out of single trades, whose times are whole seconds of the exchange."""

    def __init__(self, symbol: str, since: float) -> None:
        self.symbol = symbol
        self._since = since
        self.second = 0  # the one that forms, or formed last
        self._bar: Part | None = None
        self._told = 0
        self._lead: float | None = (
            None  # how much later than the exchange's second a trade of it came, at best
        )
        self.late = 0  # trades of seconds that were closed already

    def trade(self, second: int, price: Price, size: Shares, now: float) -> Bar | None:
        """Take a trade; return the bar of the second that it closes."""
        lead = now - second
        if self._lead is None or lead < self._lead:
            self._lead = lead
        bar = self._bar
        if second == self.second and bar is not None:
            opened, high, low, _, volume = bar
            self._bar = Part(opened, max(high, price), min(low, price), price, volume + size)
            return None
        if second <= self._told or second < self.second:
            self.late += 1
            return None
        closed = self.close()
        self.second = second
        self._bar = Part(price, price, price, price, size)
        return closed

    def due(self, now: float) -> float | None:
        """Return our time at which the second that forms is certainly over, trades under way included.

        Its end is at most a second after a trade of it came, and at most a second after the quickest message about its start.
        """
        if self._bar is None or self._lead is None:
            return None
        return min(now, self.second + self._lead) + 1 + TICK_GRACE

    def close(self) -> Bar | None:
        """Close the second that forms and return its bar."""
        bar, self._bar = self._bar, None
        if bar is None:
            return None
        self._told = self.second
        return Bar(self.symbol, instant(self.second), 1, *bar) if self.second + 1 > self._since else None
