"""Times of day in New York as instants of a session's day: from when to when a watcher looks, and when a trade is closed.

Laws: a time of day means the day of the session that it is asked of, whatever the date in UTC; half days end earlier, and nothing
is ever put behind the end of the hours in which it could still be done.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tradeshell.core.market import Session

NEW_YORK = ZoneInfo("America/New_York")
BEFORE_THE_END = timedelta(
    minutes=1
)  # what is to be sold by a time behind the close is sold this long before it


def on_day_of(session: Session, at: time) -> datetime:
    """Return the instant (UTC) of a New York time of day on the session's day."""
    day = session.open.astimezone(NEW_YORK).date()
    return datetime.combine(day, at, NEW_YORK).astimezone(UTC)


def clock(at: datetime) -> str:
    """Return an instant as a time of day in New York: ``15:55``."""
    return f"{at.astimezone(NEW_YORK):%H:%M}"


def end_of(session: Session, outside_rth: bool) -> datetime:
    """Return the end of the hours in which orders work."""
    return session.extended_close if outside_rth else session.close


def flat_at(session: Session | None, flat_by: time | None, outside_rth: bool) -> datetime | None:
    """Return when a trade that was entered in the session is closed, ``None`` for one that is held as long as it takes."""
    if session is None or flat_by is None:
        return None
    return min(on_day_of(session, flat_by), end_of(session, outside_rth) - BEFORE_THE_END)


class Window(NamedTuple):
    """From when to when a watcher looks: a bar counts that closes after ``begins`` and by ``ends``."""

    begins: datetime | None
    ends: datetime


def window(session: Session, after: time | None, until: time | None, outside_rth: bool) -> Window:
    """Return the part of a session's day between two times of day; without them it is open to the end of the hours."""
    end = end_of(session, outside_rth)
    return Window(
        None if after is None else on_day_of(session, after),
        end if until is None else min(end, on_day_of(session, until)),
    )


def is_later(session: Session, than: Session | None) -> bool:
    """Return whether a session is that of a later day."""
    return than is None or session.open > than.open
