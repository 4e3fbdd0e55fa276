"""Trading hours of the NYSE."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from tests.plugins.paper.venue import ny

from tradeshell_paper.calendar import (
    Hours,
    next_trading_day,
    previous_trading_day,
    session_at,
    session_on,
)


def test_a_plain_day_trades_from_half_past_nine_to_four_in_new_york() -> None:
    day = date(2013, 10, 10)
    session = session_on(day)
    assert session is not None
    assert (session.open, session.close) == (ny("09:30", day), ny("16:00", day))
    assert (session.extended_open, session.extended_close) == (ny("04:00", day), ny("20:00", day))


def test_hours_follow_daylight_saving() -> None:
    winter, summer = session_on(date(2008, 3, 7)), session_on(date(2008, 3, 10))
    assert winter is not None
    assert summer is not None
    assert winter.open == datetime(2008, 3, 7, 14, 30, tzinfo=UTC)
    assert summer.open == datetime(2008, 3, 10, 13, 30, tzinfo=UTC)


@pytest.mark.parametrize("day", ["2013-11-29", "2025-07-03", "2024-12-24"])
def test_half_days_close_at_one(day: str) -> None:
    on = date.fromisoformat(day)
    session = session_on(on)
    assert session is not None
    assert (session.close, session.extended_close) == (ny("13:00", on), ny("17:00", on))


@pytest.mark.parametrize(
    "day",
    [
        "2013-10-12",
        "2013-10-13",
        "2025-07-04",
        "2021-12-24",
        "2012-10-29",
        "2018-12-05",
        "2001-09-12",
        "2024-03-29",
    ],
)
def test_weekends_holidays_and_special_closings_are_no_trading_days(day: str) -> None:
    assert session_on(date.fromisoformat(day)) is None


def test_an_instant_belongs_to_its_new_york_day() -> None:
    late = datetime(2013, 10, 11, 1, 0, tzinfo=UTC)  # 21:00 New York of the 10th
    assert session_at(late) == session_on(date(2013, 10, 10))


def test_neighbouring_trading_days_leap_over_closings() -> None:
    assert next_trading_day(date(2025, 7, 3)) == date(2025, 7, 7)
    assert previous_trading_day(date(2025, 7, 7)) == date(2025, 7, 3)


def test_the_remembering_hours_answer_like_the_plain_ones() -> None:
    hours = Hours()
    for shift in range(0, 24 * 40, 7):
        at = datetime(2013, 11, 1, tzinfo=UTC) + timedelta(hours=shift)
        session = session_at(at)
        assert hours.session(at) == session
        assert hours.is_regular(at) == (session is not None and session.is_regular(at))


def test_the_next_boundary_is_the_next_edge_of_any_hours() -> None:
    hours = Hours()
    friday, monday = date(2013, 10, 11), date(2013, 10, 14)
    edges = [ny("03:00", friday)]
    for _ in range(5):
        edges.append(hours.next_boundary(edges[-1]))
    assert edges[1:] == [
        ny("04:00", friday),
        ny("09:30", friday),
        ny("16:00", friday),
        ny("20:00", friday),
        ny("04:00", monday),
    ]
