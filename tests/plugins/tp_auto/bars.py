"""Bars that a test draws by their highs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradeshell import Bar, BrokerError, TargetsWanted

OPEN = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)  # a Monday, 09:30 in New York
NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)


def drawn(
    highs: Iterable[float | str], *, seconds: int = 300, start: datetime = OPEN, volume: int = 1000
) -> list[Bar]:
    """Return bars of a range of 0.40 USD with these highs, one after the other."""
    bars = []
    for number, text in enumerate(highs):
        high = Decimal(str(text))
        at = start + number * timedelta(seconds=seconds)
        bars.append(
            Bar(
                "AAPL",
                at,
                seconds,
                high - Decimal("0.2"),
                high,
                high - Decimal("0.4"),
                high - Decimal("0.1"),
                volume,
            )
        )
    return bars


def quiet(count: int, high: float = 100) -> list[float]:
    """Return highs that fall a little, so that none but the first stands out."""
    return [round(high - 0.01 * number, 2) for number in range(count)]


class Past:
    """A history by bar length; ``asked`` are the lengths that were asked for. An error in the place of bars is raised."""

    def __init__(self, by_length: Mapping[int, list[Bar] | BrokerError], only_extended: bool = False) -> None:
        self.by_length = by_length
        self.only_extended = only_extended
        self.asked: list[tuple[int, bool]] = []

    def __call__(self, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        self.asked.append((seconds, rth))
        found = self.by_length.get(seconds, [])
        if isinstance(found, BrokerError):
            raise found
        return () if rth and self.only_extended else tuple(found[-count:])


def wanted(anchor: str, count: int = 3, at: datetime = NOON, *, rth: bool = True) -> TargetsWanted:
    """Return what is asked of a method."""
    return TargetsWanted(symbol="AAPL", anchor_price=Decimal(anchor), count=count, at=at, rth=rth)
