"""The market that every program of the benchmark is given: the same bars, the same plans, from a seed.

Laws: a market depends on its arguments alone, and is made before any clock starts. Prices are whole cents here; each program gets
them in the type that suits it best. Only the standard library is imported: peers read this module in environments of their own.

A *plan* is one breakout of one symbol-day: enter once when a one-minute bar of that day closes at or above ``level``, at the open
of the next bar of the day, protected by a stop and a target that stay until one of them fills, also over night.
"""

from __future__ import annotations

import csv
import pickle
import random
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

MINUTES = 390  # of a regular session
# New York trading days without a holiday, a half day or a change of the clock between them: 09:30 is 13:30 UTC throughout.
FIRST_DAY = date(2024, 4, 1)
HOLIDAYS = (date(2024, 5, 27), date(2024, 6, 19), date(2024, 7, 4))
HALF_DAYS = (date(2024, 7, 3),)
LAST_DAY = date(2024, 10, 31)
OPEN_UTC = timedelta(hours=13, minutes=30)
QTY = 100  # shares of every plan


class Columns(NamedTuple):
    """The bars of one symbol: starts in seconds since the epoch, prices in cents, shares."""

    starts: list[int]
    opens: list[int]
    highs: list[int]
    lows: list[int]
    closes: list[int]
    volumes: list[int]


class Plan(NamedTuple):
    """One breakout. ``day`` is the start of its first bar in seconds since the epoch, prices are cents.

    The entry is refused when the price it would pay is at or above ``chase``.
    """

    symbol: str
    day: int
    level: int
    sl: int
    tp: int
    chase: int


class Market(NamedTuple):
    """Bars by symbol, and plans in order of symbol and day."""

    bars: dict[str, Columns]
    plans: tuple[Plan, ...]

    @property
    def size(self) -> int:
        """The number of bars."""
        return sum(len(columns.starts) for columns in self.bars.values())

    def plans_of(self, symbol: str) -> tuple[Plan, ...]:
        """Return the plans of one symbol, in order."""
        return tuple(plan for plan in self.plans if plan.symbol == symbol)


class Trade(NamedTuple):
    """One trade as a program made it: instants in milliseconds since the epoch, prices in cents.

    ``kind`` is ``tp``, ``sl``, or ``open`` when the data ended first.
    """

    symbol: str
    entered: int
    entry: int
    exited: int | None
    exit: int | None
    kind: str

    def by_the_bar(self) -> Trade:
        """Return the trade with the start of its exit's bar for its exit: all that a program of bars knows."""
        return self if self.exited is None else self._replace(exited=self.exited - self.exited % 60_000)


def trading_days(count: int) -> tuple[date, ...]:
    """Return the first ``count`` full trading days."""
    days: list[date] = []
    day = FIRST_DAY
    while len(days) < count:
        if day > LAST_DAY:
            raise ValueError(f"{count} days: the market has {len(days)}")
        if day.weekday() < 5 and day not in HOLIDAYS and day not in HALF_DAYS:
            days.append(day)
        day += timedelta(days=1)
    return tuple(days)


def seconds_of(day: date) -> int:
    """Return the regular open of a day in seconds since the epoch."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int((midnight + OPEN_UTC).timestamp())


def make_market(symbols: int = 20, days: int = 50, seed: int = 7, *, rough: bool = False) -> Market:
    """Return a random walk of one-minute bars with one plan for each symbol and day.

    About 2 % a day with gaps over night. Within a day a bar opens where the one before closed, so that "the price at the
    trigger's close" and "the next open" are one price, and no bar reaches both exits: programs with other rules for these cases
    make the same trades. ``rough`` takes that away: gaps between minutes, and brackets so narrow that bars reach both sides.
    """
    chance = random.Random(seed)
    opens_at = [seconds_of(day) for day in trading_days(days)]
    bars: dict[str, Columns] = {}
    plans: list[Plan] = []
    for number in range(symbols):
        symbol = f"SYM{number:02d}"
        columns = Columns([], [], [], [], [], [])
        price = chance.randint(4_000, 25_000)
        for day in opens_at:
            price = max(2_000, round(price * (1 + chance.gauss(0, 0.006))))
            plans.append(_plan(chance, symbol, day, price, rough=rough))
            price = _walk(chance, columns, day, price, rough=rough)
        bars[symbol] = columns
    return Market(bars, tuple(plans))


def _plan(chance: random.Random, symbol: str, day: int, price: int, *, rough: bool) -> Plan:
    level = round(price * (1 + chance.uniform(0.001, 0.014)))
    risk = max(4, round(level * (0.001 if rough else 0.008)))
    return Plan(symbol, day, level, level - risk, level + risk * 3 // 2, level + (risk + 1) // 2)


def _walk(chance: random.Random, columns: Columns, day: int, price: int, *, rough: bool) -> int:
    gauss, randint = chance.gauss, chance.randint
    for minute in range(MINUTES):
        step = price * 0.001
        opening = round(price + gauss(0, step)) if rough else price
        closing = round(opening + gauss(0, step))
        wick = max(1, round(step / 2))
        columns.starts.append(day + 60 * minute)
        columns.opens.append(opening)
        columns.highs.append(max(opening, closing) + randint(0, wick))
        columns.lows.append(min(opening, closing) - randint(0, wick))
        columns.closes.append(closing)
        columns.volumes.append(100 * randint(10, 400))
        price = closing
    return price


# --- files ------------------------------------------------------------------------------------------------------------


def save(market: Market, path: Path) -> None:
    """Write a market for a process that is started next."""
    with path.open("wb") as file:
        pickle.dump((dict(market.bars), market.plans), file, pickle.HIGHEST_PROTOCOL)


def load(path: Path) -> Market:
    """Read what ``save`` wrote."""
    with path.open("rb") as file:
        bars, plans = pickle.load(file)
    return Market(bars, plans)


def write_trades(path: Path, trades: Iterable[Trade]) -> None:
    """Write trades as CSV."""
    with path.open("w", newline="", encoding="ascii") as file:
        in_order: list[Trade] = sorted(trades, key=_order)
        csv.writer(file).writerows(in_order)


def read_trades(path: Path) -> tuple[Trade, ...]:
    """Read what ``write_trades`` wrote."""
    with path.open(newline="", encoding="ascii") as file:
        return tuple(_trade(row) for row in csv.reader(file))


def _trade(row: list[str]) -> Trade:
    symbol, entered, entry, exited, price, kind = row
    return Trade(
        symbol, int(entered), int(entry), int(exited) if exited else None, int(price) if price else None, kind
    )


def _order(trade: Trade) -> tuple[str, int]:
    return trade.symbol, trade.entered


def differences(
    ours: Iterable[Trade], theirs: Iterable[Trade]
) -> Iterator[tuple[Trade | None, Trade | None]]:
    """Yield the pairs of trades of one (symbol, entry instant) that are not equal; ``None`` where one side has none."""
    left = {_order(trade): trade for trade in ours}
    right = {_order(trade): trade for trade in theirs}
    for key in sorted(left.keys() | right.keys()):
        if left.get(key) != right.get(key):
            yield left.get(key), right.get(key)
