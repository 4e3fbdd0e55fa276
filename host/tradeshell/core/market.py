"""Market values: instruments, price grids, bars, quotes, sessions.

Laws: prices are ``Decimal`` in USD; times are aware UTC ``datetime``; a bar is stamped with its *start* (as IBKR does) and is
only handed on when it is closed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

Price: TypeAlias = Decimal
Shares: TypeAlias = int


def is_usable(price: Price | None) -> bool:
    """Return whether ``price`` is a price: there, finite and above zero."""
    return price is not None and price.is_finite() and price > 0


class PriceBand(Struct, frozen=True):
    """From ``low_edge`` (USD, inclusive) upwards prices are multiples of ``increment`` (USD)."""

    low_edge: Price
    increment: Price


class PriceGrid(Struct, frozen=True):
    """The prices a venue accepts, as bands in rising order of ``low_edge`` (IBKR calls this a market rule)."""

    bands: tuple[PriceBand, ...]

    def increment(self, price: Price) -> Price:
        """Return the price increment (USD) in force at ``price``."""
        found = self.bands[0].increment
        for band in self.bands:
            if price < band.low_edge:
                break
            found = band.increment
        return found

    def down(self, price: Price) -> Price:
        """Return the highest grid price at or below ``price``."""
        return self._snap(price, ROUND_FLOOR)

    def up(self, price: Price) -> Price:
        """Return the lowest grid price at or above ``price``."""
        return self._snap(price, ROUND_CEILING)

    def nearest(self, price: Price) -> Price:
        """Return the grid price nearest to ``price``, halves away from zero."""
        return self._snap(price, ROUND_HALF_UP)

    def holds(self, price: Price) -> bool:
        """Return whether ``price`` lies on the grid."""
        return price % self.increment(price) == 0

    def _snap(self, price: Price, rounding: str) -> Price:
        tick = self.increment(price)
        return (price / tick).to_integral_value(rounding=rounding) * tick


# SEC Rule 612 (sub-penny rule): one cent from one dollar upwards, a hundredth of a cent below.
US_STOCK_GRID = PriceGrid(
    bands=(
        PriceBand(low_edge=Decimal(0), increment=Decimal("0.0001")),
        PriceBand(low_edge=Decimal(1), increment=Decimal("0.01")),
    )
)


class Instrument(Struct, frozen=True, kw_only=True):
    """A qualified contract: what an order may name. ``con_id`` is the venue's own id and never 0."""

    symbol: str
    con_id: int
    exchange: str = "SMART"
    currency: str = "USD"
    grid: PriceGrid = US_STOCK_GRID


class _Lengths(dict[int, timedelta]):
    """Bar lengths by their seconds, each made once: every bar is asked for its end, and a timedelta costs ten times that."""

    def __missing__(self, seconds: int) -> timedelta:
        made = self[seconds] = timedelta(seconds=seconds)
        return made


_LENGTHS = _Lengths()


class Bar(Struct, frozen=True):
    """One closed bar: ``[start, start + seconds)``; prices in USD, volume in shares."""

    symbol: str
    start: datetime
    seconds: int
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Shares = 0

    @property
    def end(self) -> datetime:
        """The instant at which the bar is closed, UTC."""
        return self.start + _LENGTHS[self.seconds]


class DataKind(StrEnum):
    """How far market data may be trusted (IBKR's market-data types, plus a halt)."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    HALTED = "halted"


class Quote(Struct, frozen=True, kw_only=True):
    """The touch: best bid and ask in USD; ``None`` is a side without a price. ``at`` is when it was last confirmed.

    ``in_force`` quotes (recorded data) stay good until the next one, whatever their age.
    """

    symbol: str
    at: datetime
    bid: Price | None
    ask: Price | None
    bid_size: Shares = 0
    ask_size: Shares = 0
    kind: DataKind = DataKind.LIVE
    in_force: bool = False

    def age(self, now: datetime) -> float:
        """Return the age in seconds at ``now``; 0 for a recorded quote that is still in force."""
        return 0.0 if self.in_force else (now - self.at).total_seconds()


class Session(Struct, frozen=True, kw_only=True):
    """Regular trading hours of one day and the extended hours around them, all UTC."""

    open: datetime
    close: datetime
    extended_open: datetime
    extended_close: datetime

    def is_regular(self, at: datetime) -> bool:
        """Return whether ``at`` lies in regular hours, the closing instant excluded."""
        return self.open <= at < self.close

    def is_extended(self, at: datetime) -> bool:
        """Return whether ``at`` lies in regular or extended hours."""
        return self.extended_open <= at < self.extended_close
