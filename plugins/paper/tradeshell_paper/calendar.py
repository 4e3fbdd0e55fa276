"""Trading hours of the NYSE: which days trade, from when to when.

Laws: all instants are aware UTC ``datetime``, days are New York dates; answers are pure functions of their arguments. Regular
hours are 09:30-16:00 New York, 09:30-13:00 on half days; extended hours 04:00-20:00, 04:00-17:00 on half days (the late
session of NYSE Arca and Nasdaq ends four hours after an early close). Holidays, special closings and half days come from
``holidays``, which knows them for 1863-2100.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from tradeshell import Session

NEW_YORK = ZoneInfo("America/New_York")
FIRST_YEAR, LAST_YEAR = (
    1970,
    2099,
)  # what the venue can play: the calendar knows these years, and the epoch is behind them
SATURDAY = 5
# The longest closing since 1914 was 4 business days (September 2001); a year of search means that the calendar is wrong.
LONGEST_CLOSING = 366

_EXTENDED_OPEN = time(4)
_OPEN = time(9, 30)
_CLOSE, _EXTENDED_CLOSE = time(16), time(20)
_EARLY_CLOSE, _EARLY_EXTENDED_CLOSE = time(13), time(17)


def new_york_day(at: datetime) -> date:
    """Return the New York date of an instant."""
    return at.astimezone(NEW_YORK).date()


def new_york_instant(day: date, clock: time) -> datetime:
    """Return the UTC instant at which it is ``clock`` in New York on ``day``."""
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)


@cache
def _closings(year: int) -> tuple[frozenset[date], frozenset[date]]:
    from holidays import HALF_DAY, PUBLIC, financial_holidays  # noqa: PLC0415  # 90 ms: only a venue in use pays

    def days(category: str) -> frozenset[date]:
        # `expand` would add the other category's year silently when a date of a neighbouring year is looked up.
        return frozenset(financial_holidays("NYSE", years=year, expand=False, categories=(category,)))

    return days(PUBLIC), days(HALF_DAY)


@cache
def session_on(day: date) -> Session | None:
    """Return the trading hours of a New York day, ``None`` when it is no trading day."""
    closed, half = _closings(day.year)
    if day.weekday() >= SATURDAY or day in closed:
        return None
    early = day in half
    return Session(
        open=new_york_instant(day, _OPEN),
        close=new_york_instant(day, _EARLY_CLOSE if early else _CLOSE),
        extended_open=new_york_instant(day, _EXTENDED_OPEN),
        extended_close=new_york_instant(day, _EARLY_EXTENDED_CLOSE if early else _EXTENDED_CLOSE),
    )


def session_at(at: datetime) -> Session | None:
    """Return the trading hours of the New York day of an instant, ``None`` when it is no trading day."""
    return session_on(new_york_day(at))


def next_trading_day(day: date) -> date:
    """Return the first trading day after ``day``."""
    return _trading_day(day, 1)


def previous_trading_day(day: date) -> date:
    """Return the last trading day before ``day``."""
    return _trading_day(day, -1)


def _trading_day(day: date, step: int) -> date:
    for distance in range(1, LONGEST_CLOSING):
        found = day + timedelta(days=step * distance)
        if session_on(found) is not None:
            return found
    raise AssertionError(f"no trading day within a year of {day}")


class Hours:
    """The same answers, remembering the last New York day: for callers that ask for each bar."""

    def __init__(self) -> None:
        self._from = self._to = datetime.min.replace(tzinfo=UTC)
        self._session: Session | None = None

    def session(self, at: datetime) -> Session | None:
        """Return the trading hours of the New York day of ``at``."""
        if not self._from <= at < self._to:
            day = new_york_day(at)
            self._from = new_york_instant(day, time())
            self._to = new_york_instant(day + timedelta(days=1), time())
            self._session = session_on(day)
        return self._session

    def day_start(self, at: datetime) -> datetime:
        """Return New York midnight at or before ``at``."""
        self.session(at)
        return self._from

    def is_regular(self, at: datetime) -> bool:
        """Return whether ``at`` lies in regular hours."""
        session = self.session(at)
        return session is not None and session.open <= at < session.close

    def next_boundary(self, at: datetime) -> datetime:
        """Return the next instant after ``at`` at which hours begin or end."""
        day = new_york_day(at)
        session = session_on(day)
        while True:
            if session is not None:
                for edge in (session.extended_open, session.open, session.close, session.extended_close):
                    if edge > at:
                        return edge
            day = next_trading_day(day)
            session = session_on(day)
