"""Trading hours out of what IBKR writes into contract details.

Laws: pure; answers are aware UTC instants; a piece of text that cannot be read costs that piece only. A day inside the span that
was told and not mentioned is no trading day. Days outside of that span are taken as usual weekdays of the NYSE: the caller
asks for newer details, and an order sent on a holiday is held by IBKR (399), while a day wrongly believed closed would take the
exits of a position out of work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from tradeshell import Session

NEW_YORK = ZoneInfo("America/New_York")
# The names under which TWS has shown the zone of US exchanges. `EST` of the zone database knows no daylight saving.
_EASTERN = frozenset({"", "EST", "EDT", "EST5EDT", "US/EASTERN", "EST (EASTERN STANDARD TIME)", "NEW_YORK"})
_SPAN = re.compile(r"(\d{8}):(\d{4})-(?:(\d{8}):)?(\d{4})", re.ASCII)
_CLOSED = re.compile(r"(\d{8}):CLOSED", re.ASCII)
_FURTHER = re.compile(
    r"(\d{4})-(\d{4})", re.ASCII
)  # `20090507:0700-1830,1830-2330`: more hours of the same day
SATURDAY = 5

Span = tuple[datetime, datetime]


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone that a contract's ``timeZoneId`` means; New York for what nobody knows."""
    if name.strip().upper() in _EASTERN:
        return NEW_YORK
    try:
        return ZoneInfo(name.strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return NEW_YORK


def new_york_day(at: datetime) -> date:
    """Return the New York date of an instant."""
    if at.tzinfo is not UTC:
        return at.astimezone(NEW_YORK).date()
    return _day_of_hour(at.toordinal(), at.hour)


@lru_cache(maxsize=256)
def _day_of_hour(day: int, hour: int) -> date:
    """Return the New York date of an hour of a UTC day: its midnight is at a whole hour, and zones take long to look up."""
    return datetime.combine(date.fromordinal(day), time(hour), UTC).astimezone(NEW_YORK).date()


def day_start(at: datetime) -> datetime:
    """Return New York midnight at or before ``at``, UTC."""
    return datetime.combine(new_york_day(at), time(), NEW_YORK).astimezone(UTC)


def usual_session(day: date) -> Session | None:
    """Return the hours of a US stock on a day without surprises; ``None`` at weekends."""
    if day.weekday() >= SATURDAY:
        return None

    def at(hour: int, minute: int = 0) -> datetime:
        return datetime.combine(day, time(hour, minute), NEW_YORK).astimezone(UTC)

    return Session(open=at(9, 30), close=at(16), extended_open=at(4), extended_close=at(20))


class TradingHours(Struct, frozen=True):
    """The trading hours of the days that contract details tell of, ``first`` to ``last``; empty when they tell of none."""

    days: dict[date, Session]
    first: date | None = None
    last: date | None = None

    def knows(self, day: date) -> bool:
        """Return whether the details tell of ``day``."""
        return self.first is not None and self.last is not None and self.first <= day <= self.last

    def session(self, at: datetime) -> Session | None:
        """Return the hours of the New York day of ``at``."""
        day = new_york_day(at)
        return self.days.get(day) if self.knows(day) else usual_session(day)


def read_hours(trading: str, liquid: str, zone_id: str) -> TradingHours:
    """Return the hours that ``tradingHours`` and ``liquidHours`` tell, in the zone ``timeZoneId``.

    Regular hours are the liquid ones; extended hours are the trading hours that reach them without a gap, so that an overnight
    session on its own does not count. Where only one of the two texts is there, it stands for both.
    """
    zone = zone_of(zone_id)
    wide, closed = _read(trading, zone)
    regular, also_closed = _read(liquid, zone)
    if not regular:
        regular = [
            span
            for day in sorted({new_york_day(start) for start, _ in wide})
            for span in _usual_within(day, wide)
        ]
    days: dict[date, Session] = {}
    for start, end in regular:
        day = new_york_day(start)
        known = days.get(day)
        opened, closing = (start, end) if known is None else (min(known.open, start), max(known.close, end))
        first, last = _reach(opened, closing, wide)
        days[day] = Session(open=opened, close=closing, extended_open=first, extended_close=last)
    told = sorted({*days, *closed, *also_closed})
    return TradingHours(days, told[0], told[-1]) if told else TradingHours({})


def _read(text: str, zone: ZoneInfo) -> tuple[list[Span], list[date]]:
    """Return the spans and the closed days of one text."""
    spans: list[Span] = []
    closed: list[date] = []
    for piece in text.split(";"):
        day: str | None = None
        for part in piece.split(","):
            try:
                if found := _SPAN.fullmatch(part.strip()):
                    day = found[1]
                    spans += _span(found[1], found[2], found[3] or found[1], found[4], zone)
                elif found := _CLOSED.fullmatch(part.strip()):
                    closed.append(_day(found[1]))
                elif day is not None and (found := _FURTHER.fullmatch(part.strip())):
                    spans += _span(day, found[1], day, found[2], zone)
            except ValueError:  # a thirteenth month, a 25th hour
                continue
    return sorted(spans), closed


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:]))


def _span(first: str, start: str, last: str, end: str, zone: ZoneInfo) -> Iterator[Span]:
    opened, closing = _instant(first, start, zone), _instant(last, end, zone)
    if opened < closing:
        yield opened, closing


def _instant(day: str, clock: str, zone: ZoneInfo) -> datetime:
    hour, minute = int(clock[:2]), int(clock[2:])
    if (hour, minute) == (24, 0):
        return datetime.combine(_day(day) + timedelta(days=1), time(), zone).astimezone(UTC)
    return datetime.combine(_day(day), time(hour, minute), zone).astimezone(UTC)


def _usual_within(day: date, wide: list[Span]) -> Iterator[Span]:
    """Yield the usual regular hours of ``day``, cut to the trading hours."""
    usual = usual_session(day)
    if usual is not None:
        for start, end in wide:
            if start < usual.close and end > usual.open:
                yield max(start, usual.open), min(end, usual.close)


def _reach(opened: datetime, closing: datetime, wide: list[Span]) -> Span:
    """Return the hours around regular ones: every span that overlaps or touches them, and what touches those."""
    first, last = opened, closing
    for start, end in wide:  # in order of their starts
        if start <= last and end >= first:
            last = max(last, end)
    for start, end in reversed(wide):
        if start <= last and end >= first:
            first = min(first, start)
    return first, last
