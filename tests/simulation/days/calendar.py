"""The days of a run, told by hand: the calendar of the product is one of the things that are on trial.

Laws: hours are New York's; each autumn begins in daylight saving time, ends in standard time, and has a Thanksgiving behind
which a half day lies. Nothing else is closed in these weeks but weekends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
OPEN, CLOSE, EARLY = time(9, 30), time(16), time(13)


class Autumn(NamedTuple):
    """Six weeks: the first day, and what is special."""

    first: date
    clocks: date  # the Sunday on which an hour is repeated
    closed: date
    half: date


AUTUMNS = (
    Autumn(date(2024, 10, 21), date(2024, 11, 3), date(2024, 11, 28), date(2024, 11, 29)),
    Autumn(date(2025, 10, 20), date(2025, 11, 2), date(2025, 11, 27), date(2025, 11, 28)),
    Autumn(date(2026, 10, 19), date(2026, 11, 1), date(2026, 11, 26), date(2026, 11, 27)),
)


class Day(NamedTuple):
    """A trading day."""

    day: date
    open: datetime  # UTC
    close: datetime


def instant(day: date, at: time) -> datetime:
    """Return an instant of New York, UTC."""
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def trading_days(autumn: Autumn, count: int, first: date | None = None) -> Iterator[Day]:
    """Yield so many trading days of an autumn, from ``first`` on."""
    day = first or autumn.first
    while count > 0:
        if day.weekday() < 5 and day != autumn.closed:
            yield Day(day, instant(day, OPEN), instant(day, EARLY if day == autumn.half else CLOSE))
            count -= 1
        day += timedelta(days=1)
