"""Trading hours out of the texts of contract details."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from tests.plugins.ibkr_data.kit import LIQUID, TRADING

from tradeshell import Session
from tradeshell_ibkr.hours import new_york_day, read_hours, usual_session, zone_of


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _session(opened: str, closing: str, first: str, last: str) -> Session:
    return Session(
        open=_utc(opened), close=_utc(closing), extended_open=_utc(first), extended_close=_utc(last)
    )


SUMMER = _session("2026-07-06T13:30", "2026-07-06T20:00", "2026-07-06T08:00", "2026-07-07T00:00")


@pytest.mark.parametrize(
    "zone", ["US/Eastern", "America/New_York", "EST", "EST5EDT", "EST (Eastern Standard Time)", "", "?!"]
)
def test_M09_every_name_of_new_yorks_zone_means_the_same_instants(zone: str) -> None:
    assert read_hours(TRADING, LIQUID, zone).session(_utc("2026-07-06T15:00")) == SUMMER


def test_M09_a_day_begins_and_ends_at_midnight_of_new_york() -> None:
    hours = read_hours(TRADING, LIQUID, "US/Eastern")
    assert hours.session(_utc("2026-07-06T04:00")) == SUMMER
    assert hours.session(_utc("2026-07-07T03:59")) == SUMMER
    assert hours.session(_utc("2026-07-06T03:59")) is None  # still Sunday


def test_M09_winter_hours_are_an_hour_later_in_utc() -> None:
    hours = read_hours("20261102:0400-20261102:2000", "20261102:0930-20261102:1600", "US/Eastern")
    assert hours.session(_utc("2026-11-02T15:00")) == _session(
        "2026-11-02T14:30", "2026-11-02T21:00", "2026-11-02T09:00", "2026-11-03T01:00"
    )


def test_a_half_day_closes_when_the_text_says_so() -> None:
    hours = read_hours("20261127:0400-20261127:1700", "20261127:0930-20261127:1300", "US/Eastern")
    assert hours.session(_utc("2026-11-27T15:00")) == _session(
        "2026-11-27T14:30", "2026-11-27T18:00", "2026-11-27T09:00", "2026-11-27T22:00"
    )


def test_a_closed_day_is_no_trading_day() -> None:
    hours = read_hours(
        "20261126:CLOSED;" + "20261127:0400-20261127:1700", "20261126:CLOSED;20261127:0930-20261127:1300", ""
    )
    assert hours.session(_utc("2026-11-26T15:00")) is None


def test_a_day_that_is_not_mentioned_inside_the_span_is_no_trading_day() -> None:
    hours = read_hours(
        "20260702:0400-20260702:2000;20260706:0400-20260706:2000",
        "20260702:0930-20260702:1600;20260706:0930-20260706:1600",
        "US/Eastern",
    )
    assert hours.session(_utc("2026-07-03T15:00")) is None


def test_a_day_outside_of_the_span_is_a_usual_one() -> None:
    hours = read_hours(TRADING, LIQUID, "US/Eastern")
    day = date(2026, 7, 13)
    assert not hours.knows(day)
    assert hours.session(_utc("2026-07-13T15:00")) == usual_session(day)
    assert hours.session(_utc("2026-07-12T15:00")) is None  # a Sunday


def test_an_overnight_session_on_its_own_is_not_extended_hours() -> None:
    trading = "20260705:2000-20260706:0350;20260706:0400-20260706:2000"
    assert read_hours(trading, LIQUID, "US/Eastern").session(_utc("2026-07-06T15:00")) == SUMMER


def test_hours_that_reach_through_the_night_without_a_gap_are_extended_hours() -> None:
    trading = "20260705:2000-20260706:0400;20260706:0400-20260706:2000"
    found = read_hours(trading, LIQUID, "US/Eastern").session(_utc("2026-07-06T15:00"))
    assert found is not None
    assert found.extended_open == _utc("2026-07-06T00:00")


def test_the_older_form_of_the_text_is_read_too() -> None:
    hours = read_hours("20260706:0400-0930,0930-1600,1600-2000", "20260706:0930-1600", "US/Eastern")
    assert hours.session(_utc("2026-07-06T15:00")) == SUMMER


def test_without_liquid_hours_the_usual_ones_within_the_trading_hours_count() -> None:
    assert read_hours(TRADING, "", "US/Eastern").session(_utc("2026-07-06T15:00")) == SUMMER


def test_without_trading_hours_the_liquid_ones_stand_for_both() -> None:
    found = read_hours("", LIQUID, "US/Eastern").session(_utc("2026-07-06T15:00"))
    assert found == _session("2026-07-06T13:30", "2026-07-06T20:00", "2026-07-06T13:30", "2026-07-06T20:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        ",,;:",
        "20261350:0930-20261350:1600",
        "20260706:2930-20260706:1600",
        "20260706:1600-20260706:0930",
        "\uff12\uff10\uff12\uff16",
        "x" * 10000,
    ],
)
def test_a_text_that_cannot_be_read_leaves_the_usual_hours(text: str) -> None:
    assert read_hours(text, text, "US/Eastern").session(_utc("2026-07-06T15:00")) == SUMMER


def test_one_piece_that_cannot_be_read_costs_that_piece_only() -> None:
    hours = read_hours("what;" + TRADING, LIQUID + ";20261399:0930-20261399:1600", "US/Eastern")
    assert hours.session(_utc("2026-07-06T15:00")) == SUMMER


def test_a_zone_of_another_market_is_that_zone() -> None:
    assert str(zone_of("Europe/Amsterdam")) == "Europe/Amsterdam"


def test_the_day_of_an_instant_is_that_of_new_york_at_every_hour_of_a_year_and_in_every_zone() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(366 * 24):
        at += timedelta(minutes=59, seconds=47)
        assert new_york_day(at) == at.astimezone(ZoneInfo("America/New_York")).date()
        assert new_york_day(at.astimezone(ZoneInfo("Asia/Kolkata"))) == new_york_day(at)
