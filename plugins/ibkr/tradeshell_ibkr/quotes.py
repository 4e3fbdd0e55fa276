"""The touch of each symbol, out of ticks.

Laws: a tick costs a look-up and two assignments; prices become ``Decimal`` when somebody reads the quote. A side without a price
(−1, 0, NaN, an empty field) or with a size of 0 is ``None``. Bid and ask are on the price grid, never better than what was sent.
``at`` is when a bid or an ask, price or size, was last sent: IBKR sends changes only, so that an older touch may still be
right, but nobody has said so. What a trade or a volume says is no word about the touch.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from tradeshell import DataKind, Price, PriceGrid, Quote
from tradeshell_ibkr.bars import NOISE, is_price, read_price, read_shares

OnQuote = Callable[[Quote], None]

BID, ASK, BID_SIZE, ASK_SIZE = "1", "2", "0", "3"
DELAYED_BID, DELAYED_ASK, DELAYED_BID_SIZE, DELAYED_ASK_SIZE = "66", "67", "69", "70"
HALTED, DELAYED_HALTED = "49", "90"
_KINDS = {
    "1": DataKind.LIVE,
    "2": DataKind.FROZEN,
    "3": DataKind.DELAYED,
    "4": DataKind.DELAYED,  # delayed and frozen: late is what matters
}
_PRICES = {BID: "bid", ASK: "ask", DELAYED_BID: "bid", DELAYED_ASK: "ask"}
_SIZES = {
    BID_SIZE: "bid_size",
    ASK_SIZE: "ask_size",
    DELAYED_BID_SIZE: "bid_size",
    DELAYED_ASK_SIZE: "ask_size",
}


class Touch:
    """What the ticks of one request have said so far. Fields are kept as they came."""

    __slots__ = ("_quote", "ask", "ask_size", "at", "bid", "bid_size", "grid", "halted", "kind", "symbol")

    def __init__(self, symbol: str, grid: PriceGrid) -> None:
        self.symbol = symbol
        self.grid = grid
        self.halted = False
        self._quote: Quote | None = None
        self.clear()

    def clear(self) -> None:
        """Forget the touch: another request begins, or the data have stopped."""
        self.bid = self.ask = self.bid_size = self.ask_size = ""
        self.at: datetime | None = None
        self.kind = DataKind.LIVE
        self._quote = None

    def price(self, tick: str, price: str, size: str, now: datetime) -> bool:
        """Take a tickPrice; return whether it is about the touch."""
        if tick == BID:
            self.bid, self.bid_size = price, size
        elif tick == ASK:
            self.ask, self.ask_size = price, size
        elif tick == DELAYED_BID:
            self.bid, self.bid_size, self.kind = price, size, DataKind.DELAYED
        elif tick == DELAYED_ASK:
            self.ask, self.ask_size, self.kind = price, size, DataKind.DELAYED
        else:
            return False
        self.at = now
        self._quote = None
        return True

    def size(self, tick: str, size: str, now: datetime) -> bool:
        """Take a tickSize; return whether it is about the touch."""
        name = _SIZES.get(tick)
        if name is None:
            return False
        self.at = now
        self._quote = None
        setattr(self, name, size)
        return True

    def generic(self, tick: str, value: str) -> bool:
        """Take a tickGeneric; return whether it changes what the touch is worth (a halt began or ended)."""
        if tick not in {HALTED, DELAYED_HALTED}:
            return False
        try:
            halted = float(value) > 0  # −1 unknown, 0 trades, 1 halted, 2 halted for volatility
        except ValueError:
            return False
        changed, self.halted = halted != self.halted, halted
        if changed:
            self._quote = None
        return changed

    def data_type(self, kind: str) -> bool:
        """Take a marketDataType; return whether it changes what the touch is worth."""
        found = _KINDS.get(kind)
        return found is not None and self.set_kind(found)

    def set_kind(self, kind: DataKind) -> bool:
        """Take how far the data may be trusted; return whether that is new."""
        if kind is self.kind:
            return False
        self.kind = kind
        self._quote = None
        return True

    @property
    def has_both(self) -> bool:
        """Whether both sides have been spoken of."""
        return bool(self.bid) and bool(self.ask)

    def quote(self) -> Quote | None:
        """Return the touch as a value, ``None`` before the first word about it."""
        if self.at is None:
            return None
        if self._quote is None:
            self._quote = Quote(
                symbol=self.symbol,
                at=self.at,
                bid=self._side(self.bid, self.bid_size, up=False),
                ask=self._side(self.ask, self.ask_size, up=True),
                bid_size=read_shares(self.bid_size),
                ask_size=read_shares(self.ask_size),
                kind=DataKind.HALTED if self.halted else self.kind,
            )
        return self._quote

    def _side(self, text: str, size: str, *, up: bool) -> Price | None:
        """Return a side's price on the grid: an ask is never shown lower, a bid never higher than it was sent."""
        try:
            price = read_price(text)
        except ValueError:
            return None
        if not is_price(price) or price < NOISE or (size and read_shares(size) == 0):
            return None
        grid = self.grid
        if grid.holds(price):
            return price
        near = grid.nearest(price)
        if abs(near - price) <= NOISE:
            return near or None
        return grid.up(price) if up else grid.down(price) or None
