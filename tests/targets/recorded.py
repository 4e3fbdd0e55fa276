"""Computed targets on the recorded market: what would have been typed each day, and what became of it.

A *case* is a level of the oracle of that day (opening range, pre-market high, yesterday's high, round prices) that was broken and
entered. Targets are computed at the instant from which the oracle looks for the break, from what the replay's history gives then,
and judged on the minutes behind the entry. The judging half knows the future; the computing half gets a history that ends at the
instant, and a test moves the future to see that it does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from tests.oracle.cases import DATA
from tests.oracle.plain import Bar as Minute
from tests.oracle.plain import is_regular, read_bars

from tradeshell import US_STOCK_GRID, Bar, OperatorError, PastBars, Target, TargetsWanted
from tradeshell_paper.feed_replay import replay_market
from tradeshell_paper.tape import Tape
from tradeshell_tp_auto.service import find_targets

ABSENT = f"no recorded market at {DATA}"
CONTROL = "NEVER"  # the oracle's level that no day reaches
COUNT = 3


class Case(NamedTuple):
    """One level of a day. ``at``: when targets are asked for. ``entry`` and ``entry_at`` are ``None`` where none was made."""

    symbol: str
    date: str
    level: str
    price: Decimal
    at: datetime
    entry: Decimal | None
    entry_at: datetime | None


def cases() -> Iterator[Case]:
    """Yield every level of every recorded symbol-day."""
    oracle = json.loads((DATA / "oracle.json").read_text(encoding="utf-8"))
    for day in sorted(oracle["cases"], key=lambda case: (case["symbol"], case["date"])):
        for level in day["levels"]:
            entered = level["result"] == "ENTERED"
            if level["level"] != CONTROL:
                yield Case(
                    day["symbol"],
                    day["date"],
                    level["level"],
                    US_STOCK_GRID.up(Decimal(level["level_price"])),
                    datetime.fromisoformat(level["search_from"]),
                    Decimal(level["entry"]) if entered else None,
                    datetime.fromisoformat(level["entry_ts"]) if entered else None,
                )


@cache
def tape(symbol: str) -> Tape:
    """Return all recorded minutes of a symbol."""
    return replay_market(sorted((DATA / "1m").glob(f"{symbol}_*_trades.csv.gz")), None).tape(symbol)


def past_of(known: Tape, at: datetime) -> PastBars:
    """Return the history of a tape as the paper venue gives it at an instant."""

    def bars(seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        found = [bar for some in known.look_back(seconds, count, rth, at) for bar in some]
        return tuple(reversed(found))

    return bars


def computed(case: Case, known: Tape | None = None, count: int = COUNT) -> tuple[Target, ...] | None:
    """Return the targets of a case, ``None`` where there is too little history."""
    wanted = TargetsWanted(symbol=case.symbol, anchor_price=case.price, count=count, at=case.at)
    try:
        return find_targets(wanted, past_of(tape(case.symbol) if known is None else known, case.at))
    except OperatorError:
        return None


@cache
def minutes(symbol: str, date: str) -> tuple[Minute, ...]:
    """Return the regular minutes of a day."""
    bars = read_bars(DATA / "1m" / f"{symbol}_{date}_trades.csv.gz")
    return tuple(bar for bar in bars if is_regular(bar.start))


def behind(case: Case) -> tuple[Minute, ...]:
    """Return the minutes from the entry to the close."""
    assert case.entry_at is not None
    entry_at = case.entry_at
    return tuple(bar for bar in minutes(case.symbol, case.date) if bar.start >= entry_at)


def reached(case: Case, prices: Sequence[Decimal]) -> tuple[bool, ...]:
    """Return which prices traded between the entry and the close."""
    high = max((bar.high for bar in behind(case)), default=Decimal(0))
    return tuple(high >= price for price in prices)


def gain(case: Case, prices: Sequence[Decimal], stop: Decimal, parts: Sequence[Decimal]) -> Decimal:
    """Return what a ladder over ``prices`` gains a share (USD): stop first in a bar that touches both, the rest at the close.

    Stops are not moved.
    """
    assert case.entry is not None
    open_parts, total, last = list(zip(prices, parts, strict=True)), Decimal(0), case.entry
    for bar in behind(case):
        if bar.low <= stop:
            return total + sum(
                (part * (min(stop, bar.open) - case.entry) for _, part in open_parts), Decimal(0)
            )
        total += sum(
            (part * (price - case.entry) for price, part in open_parts if bar.high >= price), Decimal(0)
        )
        open_parts = [(price, part) for price, part in open_parts if bar.high < price]
        last = bar.close
    return total + sum((part * (last - case.entry) for _, part in open_parts), Decimal(0))
