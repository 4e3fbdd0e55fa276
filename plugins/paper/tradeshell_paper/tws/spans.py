"""Bar sizes and durations of historical requests: what is legal, and how many bars it means. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from tradeshell import Bar
from tradeshell_paper.calendar import new_york_day
from tradeshell_paper.tape import DAY
from tradeshell_paper.tws.fields import day_text, epoch, stamp
from tradeshell_paper.tws.outgoing import BarRow
from tradeshell_paper.tws.requests import HistoryRequest

SIZES = {
    "1 secs": 1, "5 secs": 5, "10 secs": 10, "15 secs": 15, "30 secs": 30,
    "1 min": 60, "2 mins": 120, "3 mins": 180, "5 mins": 300, "10 mins": 600, "15 mins": 900, "20 mins": 1200,
    "30 mins": 1800, "1 hour": 3600, "2 hours": 7200, "3 hours": 10800, "4 hours": 14400, "8 hours": 28800,
    "1 day": DAY, "1 week": 7 * DAY, "1 month": 30 * DAY, "1W": 7 * DAY, "1M": 30 * DAY,
}  # fmt: skip
ALIASES = {"1 sec": 1, "5 sec": 5, "1 mins": 60, "1 hours": 3600, "1 days": DAY, "1D": DAY, "1D ": DAY}
TRADES = frozenset({"TRADES", "ADJUSTED_LAST"})
KEPT = frozenset({"TRADES", "MIDPOINT", "BID", "ASK"})
SHOWN = KEPT | {"ADJUSTED_LAST", "BID_ASK", "SCHEDULE"}
REFUSED = frozenset(
    {"HISTORICAL_VOLATILITY", "OPTION_IMPLIED_VOLATILITY", "FEE_RATE", "YIELD_BID", "YIELD_ASK", "YIELD_LAST"}
)
MOST_BARS = 100_000
_DURATION = re.compile(r"(\d{1,6}) ?([SDWMY])", re.ASCII)
_INVALID = "Error validating request.-'bK' : cause - "


class Span(Struct, frozen=True):
    """What a request means: bars of ``seconds``, at most ``count``, from ``first`` on, of at most ``days`` trading days."""

    seconds: int
    count: int
    first: datetime | None = None
    days: int | None = None


def read_span(request: HistoryRequest, until: datetime) -> Span | tuple[int, str]:
    """Return what a request means, or the error that it deserves."""
    seconds = SIZES.get(request.bar_size, ALIASES.get(request.bar_size, 0))
    if not seconds:
        legal = ", ".join(list(SIZES)[:21])
        return 321, f"{_INVALID}Historical data bar size setting is invalid. Legal ones are: {legal}"
    if request.what in REFUSED:
        return (
            162,
            "Historical Market Data Service error message:No historical data of this kind is simulated",
        )
    if request.what not in SHOWN:
        return 321, f"{_INVALID}What to show field is missing or incorrect."
    if request.keep and request.end:
        return 321, f"{_INVALID}End date not supported with real-time updates"
    if request.keep and (seconds < 5 or seconds > DAY):
        return 321, f"{_INVALID}Real-time updates need bars of 5 seconds to 1 day"
    if request.keep and request.what not in KEPT:
        return 321, f"{_INVALID}Real-time updates are not supported for {request.what}"
    if request.what == "ADJUSTED_LAST" and request.end:
        return 321, f"{_INVALID}End date not supported with adjusted last"
    found = _DURATION.fullmatch(request.duration.strip().upper())
    if found is None or int(found[1]) == 0:
        return (
            321,
            f"{_INVALID}Historical data query end date/time string or duration is invalid: {request.duration!r}",
        )
    number, unit = int(found[1]), found[2]
    if unit == "S":
        if (seconds == 1 and number > 2000) or number > 86400:
            return 162, "Historical Market Data Service error message:invalid step: 1"
        return Span(seconds, max(1, number // seconds))
    if (
        (unit == "D" and number > 365)
        or (unit == "W" and number > 52)
        or (unit == "M" and number > 12)
        or number > 400
    ):
        return (
            321,
            f"{_INVALID}Historical data requests for durations longer than 365 days must be made in years.",
        )
    if unit == "D":
        if seconds >= DAY:
            return Span(seconds, max(1, number * DAY // seconds))
        return Span(seconds, min(MOST_BARS, number * (DAY // seconds)), days=number)
    days = number * {"W": 7, "M": 30, "Y": 365}[unit]
    return Span(seconds, min(MOST_BARS, days * DAY // seconds + 1), first=until - timedelta(days=days))


def within(span: Span, bars: list[Bar]) -> tuple[list[Bar], bool]:
    """Return the bars (newest first) that a request means, and whether older ones are of no use."""
    kept: list[Bar] = []
    known: list[object] = []
    for bar in bars:
        if span.first is not None and bar.start < span.first:
            return kept, True
        day = new_york_day(bar.start)
        if span.days is not None and (not known or known[-1] != day):
            known.append(day)
            if len(known) > span.days:
                return kept, True
        kept.append(bar)
        if len(kept) >= span.count:
            return kept, True
    return kept, False


def row(bar: Bar, what: str, form: int, offset: timedelta) -> BarRow:
    """Return a bar as it is sent: in the form that was asked for, without volume where no trades are shown."""
    at = bar.start + offset
    if bar.seconds >= DAY:
        when = day_text(at)
    elif form == 2:
        when = str(epoch(at))
    else:
        when = stamp(at) if form == 1 else stamp(at)[:17]
    if what not in TRADES:
        return BarRow(when, bar.open, bar.high, bar.low, bar.close, -1, Decimal(-1), -1)
    wap = ((bar.high + bar.low + bar.close) / 3).quantize(Decimal("0.0001"))
    return BarRow(when, bar.open, bar.high, bar.low, bar.close, bar.volume, wap, max(1, bar.volume // 100))
