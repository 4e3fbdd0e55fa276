"""A breakout with a bracket, calculated from recorded bars by the oracle's rule text and nothing else.

Written apart from the program and without any of its code, so that the two can be held against each other where the oracle has
no row: without quotes, with one exit or none, with other bar sizes, with holes, on half days, with finer bars.

- A bar carries its start. Regular hours are 09:30-16:00 New York, until 13:00 on half days.
- *Trigger*: the first closed regular bar of the day, of the watched size, that ends after the watcher started and whose close is
  at or above the level. Sizes above a minute are made from the regular minutes and aligned to the clock of New York.
- *Entry* at the trigger's end: the ask in force, that is the open of the quote bar that begins then, else the close of the latest
  earlier one; without quotes the open of the first regular trade bar from then on, at its start. None is left, or the session
  is over: no entry.
- *Exits* on the finest regular trade bars from the entry on. A bar that touches both is a stop. The entry's own bar exits at the
  stop or the target; a later one that opens beyond them exits at its open.

Beside the rule text stand the four pre-trade checks that depend on prices alone (``refusal``).
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE, EARLY_CLOSE = time(9, 30), time(16), time(13)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
COLLAR = Decimal("0.03")
THURSDAY, FRIDAY = 3, 4


class Bar(NamedTuple):
    """Trades of ``[start, end)``, USD."""

    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class Quote(NamedTuple):
    """The touch over a bar, USD; ``None`` is a side without a price."""

    start: datetime
    bid_open: Decimal | None
    bid_close: Decimal | None
    ask_open: Decimal | None
    ask_close: Decimal | None


class Wish(NamedTuple):
    """A breakout as it is typed: prices USD, ``minutes`` the size of the watched bars."""

    level: Decimal
    start: datetime
    minutes: int = 1
    tp: Decimal | None = None
    sl: Decimal | None = None


class Outcome(NamedTuple):
    """What becomes of it; times are ISO with Z, the exit's is the start of its minute."""

    trigger: str | None = None
    entry_at: str | None = None
    entry: Decimal | None = None
    result: str = "NO_TRIGGER"
    exit_bar: str | None = None
    exit: Decimal | None = None


NO_TRIGGER = Outcome()
NO_ENTRY = Outcome(result="NO_ENTRY")


# --- hours ------------------------------------------------------------------------------------------------------------


def is_half_day(day: date) -> bool:
    """Return whether the exchange closes at 13:00: before Independence Day, after Thanksgiving, on Christmas Eve."""
    if (day.month, day.day) in ((7, 3), (12, 24)):
        return day.weekday() <= THURSDAY
    return day.month == 11 and day.weekday() == FRIDAY and 23 <= day.day <= 29


def regular_close(at: datetime) -> datetime:
    """Return the regular close of the New York day of an instant."""
    day = at.astimezone(NEW_YORK).date()
    return datetime.combine(day, EARLY_CLOSE if is_half_day(day) else CLOSE, NEW_YORK).astimezone(UTC)


def is_regular(at: datetime) -> bool:
    """Return whether an instant lies in regular hours."""
    return at.astimezone(NEW_YORK).time() >= OPEN and at < regular_close(at)


# --- files ------------------------------------------------------------------------------------------------------------


def read_bars(path: Path, length: timedelta = MINUTE) -> list[Bar]:
    """Return the trade bars of a file."""
    return [
        Bar(start, start + length, *(Decimal(row[name]) for name in ("open", "high", "low", "close")))
        for row in _rows(path)
        for start in (datetime.fromisoformat(row["ts"]),)
    ]


def read_quotes(path: Path) -> list[Quote]:
    """Return the quote bars of a file."""
    names = ("bid_open", "bid_close", "ask_open", "ask_close")
    return [
        Quote(datetime.fromisoformat(row["ts"]), *(Decimal(row[n]) if row[n] else None for n in names))
        for row in _rows(path)
    ]


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        yield from csv.DictReader(text)


# --- the rule ---------------------------------------------------------------------------------------------------------


def aggregated(bars: Iterable[Bar], minutes: int) -> list[Bar]:
    """Return bars of ``minutes`` made from regular minute bars, aligned to the clock of New York."""

    def bucket(bar: Bar) -> datetime:
        local = bar.start.astimezone(NEW_YORK)
        whole = (local.hour * 60 + local.minute) // minutes * minutes
        return local.replace(hour=whole // 60, minute=whole % 60, second=0).astimezone(UTC)

    made = []
    for start, group in groupby(bars, bucket):
        parts = list(group)
        made.append(
            Bar(
                start,
                start + minutes * MINUTE,
                parts[0].open,
                max(part.high for part in parts),
                min(part.low for part in parts),
                parts[-1].close,
            )
        )
    return made


def touch_at(quotes: Iterable[Quote], at: datetime) -> tuple[Decimal | None, Decimal | None]:
    """Return the bid and the ask in force at an instant."""
    found: tuple[Decimal | None, Decimal | None] = None, None
    for quote in quotes:
        if quote.start == at:
            return quote.bid_open, quote.ask_open
        if quote.start > at:
            break
        found = quote.bid_close, quote.ask_close
    return found


def refusal(wish: Wish, bid: Decimal | None, ask: Decimal | None, close: Decimal) -> str | None:
    """Return why an entry at ``ask`` may not leave after a bar that closed at ``close``."""
    if ask is None:
        return "no_ask"
    if bid is not None and bid > ask:
        return "crossed_quote"
    if abs(ask - close) > close * COLLAR:
        return "price_collar"
    if wish.tp is not None and ask >= wish.tp:
        return "chase"
    if wish.sl is not None and ask <= wish.sl:
        return "below_stop"
    return None


def breakout(
    wish: Wish,
    minutes: Sequence[Bar],
    quotes: Sequence[Quote] | None = None,
    finer: Sequence[Bar] | None = None,
) -> Outcome:
    """Return what becomes of a breakout on recorded minutes; where ``finer`` bars are recorded too, they decide fills."""
    day = wish.start.astimezone(NEW_YORK).date()
    watched = [
        bar for bar in minutes if is_regular(bar.start) and bar.start.astimezone(NEW_YORK).date() == day
    ]
    if wish.minutes > 1:
        watched = aggregated(watched, wish.minutes)
    trigger = next((bar for bar in watched if bar.end > wish.start and bar.close >= wish.level), None)
    if trigger is None:
        return NO_TRIGGER
    deciding = [bar for bar in (minutes if finer is None else finer) if is_regular(bar.start)]
    ahead = [bar for bar in deciding if bar.start >= trigger.end]
    close = regular_close(trigger.start)
    if quotes is not None:
        entry_at = trigger.end
        bid, ask = touch_at(quotes, entry_at)
    else:
        if not ahead:
            return NO_ENTRY
        entry_at = ahead[0].start
        bid = ask = ahead[0].open
    if entry_at >= close:
        return NO_ENTRY
    why = refusal(wish, bid, ask, trigger.close)
    if why is not None or ask is None:
        return Outcome(result=f"REJECTED {why}")
    result, bar, price = _exit(wish, entry_at, ahead)
    return Outcome(
        trigger=iso(trigger.start),
        entry_at=iso(entry_at),
        entry=ask,
        result=result,
        exit_bar=None if bar is None else iso(bar.start.replace(second=0)),
        exit=price,
    )


def _exit(wish: Wish, entry_at: datetime, ahead: Iterable[Bar]) -> tuple[str, Bar | None, Decimal | None]:
    for bar in ahead:
        if bar.start < entry_at:
            continue
        is_later = bar.start > entry_at
        if wish.sl is not None and bar.low <= wish.sl:
            return "SL", bar, min(wish.sl, bar.open) if is_later else wish.sl
        if wish.tp is not None and bar.high >= wish.tp:
            return "TP", bar, max(wish.tp, bar.open) if is_later else wish.tp
    return "EOD", None, None


def iso(at: datetime) -> str:
    """Return an instant as the oracle writes it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
