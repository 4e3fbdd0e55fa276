"""``make fast-report``: what the fast path gains and costs on the recorded seconds, against the slow path alone.

For every recorded file of seconds and every level of the oracle of that day: the slow path enters at the end of the first minute
that closes at or above the level, the race at the end of that minute or of the first second that closes at or above level and
buffer, whichever comes first; both at the ask of that instant. *gained*: seconds earlier than slow; *paid*: what a share cost
more (below zero: less). *only fast*: a second triggered and no minute of the day did. Entries that `max_chase` refuses (an ask
1 % or more above the level) are counted, not averaged.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

from tests.oracle.cases import ABSENT, DATA

from tradeshell import US_STOCK_GRID, Bar
from tradeshell_breakout.logic import fast_level
from tradeshell_breakout.policy import chase_limit
from tradeshell_paper.feed_replay import replay_market
from tradeshell_paper.tape import Tape

SECONDS = DATA / "1s"
MINUTE = 60


class Entry(NamedTuple):
    """One entry: when its bar closed, whether that was a fast one, and the ask that it met (USD)."""

    at: datetime
    is_fast: bool
    ask: Decimal


class Case(NamedTuple):
    """One level of one recorded day, and both ways to enter."""

    symbol: str
    date: str
    level: str
    price: Decimal
    slow: Entry | None
    race: Entry | None

    @property
    def gained(self) -> float | None:
        """How many seconds earlier the race entered; ``None`` where one of them did not enter."""
        if self.slow is None or self.race is None:
            return None
        return (self.slow.at - self.race.at).total_seconds()

    @property
    def paid(self) -> Decimal | None:
        """How much more a share cost (USD); ``None`` as above."""
        return None if self.slow is None or self.race is None else self.race.ask - self.slow.ask

    @property
    def is_refused(self) -> bool:
        """Whether one of the entries is refused by the default ``max_chase``."""
        limit = chase_limit(self.price, None, None)
        return any(entry is not None and entry.ask >= limit for entry in (self.slow, self.race))


def files() -> tuple[Path, ...]:
    """Return the recorded trades by seconds."""
    return tuple(sorted(SECONDS.glob("*_trades.csv.gz")))


@cache
def recorded(trades: Path) -> tuple[Tape, tuple[Bar, ...], tuple[Bar, ...]]:
    """Return the tape of a file and its regular seconds and minutes, as the venue makes them."""
    quotes = trades.with_name(trades.name.replace("_trades", "_quotes"))
    market = replay_market([trades, *([quotes] if quotes.exists() else [])], None)
    tape = market.tape(trades.name.partition("_")[0])

    def bars(seconds: int) -> tuple[Bar, ...]:
        found = [bar for some in tape.look_back(seconds, 100_000, True, market.end) for bar in some]
        return tuple(reversed(found))

    return tape, bars(1), bars(MINUTE)


def cases(trades: Path) -> Iterator[Case]:
    """Yield every level of a recorded day."""
    symbol, date = trades.name.split("_")[:2]
    tape, seconds, minutes = recorded(trades)
    oracle = json.loads((DATA / "oracle.json").read_text(encoding="utf-8"))
    days = [case for case in oracle["cases"] if (case["symbol"], case["date"]) == (symbol, date)]
    for level in days[0]["levels"] if days else ():
        price, since = (
            US_STOCK_GRID.up(Decimal(level["level_price"])),
            datetime.fromisoformat(level["search_from"]),
        )
        slow = _first(tape, minutes, price, since)
        fast = _first(tape, seconds, fast_level(price, US_STOCK_GRID, None), since)
        both = [entry for entry in (slow, fast) if entry is not None]
        race = min(both, key=lambda entry: (entry.at, entry.is_fast), default=None)
        yield Case(symbol, date, level["level"], price, slow, race)


def _first(tape: Tape, bars: Sequence[Bar], price: Decimal, since: datetime) -> Entry | None:
    for bar in bars:
        if bar.end > since and bar.close >= price:
            quote = tape.latest(bar.end)
            if quote is None or quote.ask is None:  # the last bar of the day: nothing can be bought any more
                return None
            return Entry(bar.end, bar.seconds < MINUTE, quote.ask)
    return None


def line(name: str, some: Sequence[Case]) -> str:
    """Return one line of the table."""
    both = [case for case in some if case.gained is not None and not case.is_refused]
    first = [case for case in both if case.gained]
    refused = sum(case.is_refused for case in some)
    alone = sum(case.slow is None and case.race is not None for case in some)
    head = f"{name:<18}{len(some):>7}{len(both):>9}{len(first):>7}{alone:>10}{refused:>9}"
    if not first:
        return head
    gained = [float(case.gained or 0) for case in first]
    paid = [float((case.paid or 0) / case.price * 10_000) for case in first]
    less = sum(each < 0 for each in paid)
    cents = mean(float(case.paid or 0) * 100 for case in first)
    return f"{head}{median(gained):>9.0f}{max(gained):>7.0f}{cents:>10.2f}{median(paid):>9.1f}{max(paid):>8.1f}{less:>7}"


def main() -> int:
    """Print the table."""
    if not SECONDS.is_dir():
        print(ABSENT)
        return 0
    print(f"{'':<51}{'gained, s':>16}{'paid, cents':>12}{'in basis points':>20}")
    print(
        f"{'symbol-day':<18}{'levels':>7}{'entered':>9}{'faster':>7}{'only fast':>10}{'refused':>9}"
        f"{'median':>9}{'most':>7}{'mean':>10}{'median':>9}{'most':>8}{'less':>7}"
    )
    everything: list[Case] = []
    for trades in files():
        found = list(cases(trades))
        name = " ".join(trades.name.split("_")[:2])
        print(line(name, found) if found else f"{name:<18}no levels of this day in the oracle")
        everything += found
        recorded.cache_clear()
    print(line("all", everything))
    return 0


if __name__ == "__main__":
    sys.exit(main())
