"""A market of one symbol that has no rows but those which a test appends, while a venue plays it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tradeshell import BrokerError, Price, Shares
from tradeshell_paper.market import stock
from tradeshell_paper.series import Prints, Touches, to_ms
from tradeshell_paper.tape import Tape, bucket_start
from tradeshell_paper.venue import Venue

Side = tuple[Price | None, Shares]


class LiveMarket:
    """The market. ``touch`` and ``trade`` append and show to the venues that play it; each needs a millisecond of its own."""

    def __init__(self, symbol: str, start: datetime) -> None:
        self.symbol = symbol
        self.start = start
        self.end: datetime | None = None
        self.words = "a market of a test"
        self._prints = Prints(symbol)
        self._touches = Touches(symbol)
        self._tape = Tape(symbol, in_force=False)
        self._tape.prints, self._tape.touches = self._prints, self._touches

    def tape(self, symbol: str) -> Tape:
        """Return the tape of the one symbol."""
        stock(symbol)
        if symbol != self.symbol:
            raise BrokerError(f"{symbol}: {self.words} has no such symbol")
        return self._tape

    def touch(self, now: datetime, bid: Side, ask: Side, venues: Iterable[Venue]) -> None:
        """Let the market have a touch from now on."""
        self._touches.append(to_ms(now), bid[0], ask[0], bid[1], ask[1])
        for venue in venues:
            venue.on_touch(now, self.symbol)

    def trade(self, now: datetime, price: Price, size: Shares, venues: Iterable[Venue]) -> None:
        """Let a trade happen, and let bars that form know of it."""
        self._prints.append(now, price, size)
        for venue in venues:
            if venue.exchange.is_listed(self.symbol):
                venue.on_print(now, self.symbol, price, size)
            for cursor in venue._bars.values():
                cursor._row = self._prints.find(bucket_start(now, cursor._seconds, cursor._hours))
                cursor._prepare()
                venue._pump.add(cursor)
            venue.on_touch(now, self.symbol)  # who follows the market looks at trades with each touch
