"""The fill rule on recorded bars."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from tests.plugins.paper.venue import Floor, bar, ny, order

from tradeshell import Tif
from tradeshell_paper.settings import Rules


def fills(floor: Floor) -> list[tuple[str, str, str]]:
    """Return (ref, price, New York time of day) of every execution."""
    return [
        (e.ref, str(e.price), f"{e.at - timedelta(hours=4):%H:%M:%S.%f}"[:-3]) for e in floor.executions()
    ]


def test_a_limit_fills_at_its_limit_when_touched_dated_at_the_bars_last_millisecond() -> None:
    floor = Floor(start="10:00")
    floor.send(order("SELL", 1, "LMT 10.5", "tp"))
    floor.play("10:00", "10 10.4 9.9 10")
    floor.play("10:01", "10 10.5 9.9 10")
    assert fills(floor) == [("tp", "10.5", "10:01:59.999")]


def test_a_limit_gapped_over_fills_at_the_better_open_dated_at_the_bars_start() -> None:
    floor = Floor(start="10:00")
    floor.send(order("SELL", 1, "LMT 10.5", "sell"), order("BUY", 1, "LMT 9.5", "buy"))
    floor.play("10:01", "10.7 11 10.6 10.8")
    floor.play("10:02", "9.3 9.4 9.2 9.3")
    assert fills(floor) == [("sell", "10.7", "10:01:00.000"), ("buy", "9.3", "10:02:00.000")]


@pytest.mark.parametrize("words", ["STP 9.5", "STP LMT 9.5 9.5"])
def test_a_stop_reached_inside_a_bar_fills_at_its_stop_price(words: str) -> None:
    floor = Floor(start="10:00")
    floor.send(order("SELL", 1, words, "sl"))
    floor.play("10:00", "10 10.1 9.4 9.9")
    assert fills(floor) == [("sl", "9.5", "10:00:59.999")]


@pytest.mark.parametrize("words", ["STP 9.5", "STP LMT 9.5 9.5"])
def test_a_gap_through_a_stop_fills_at_the_open(words: str) -> None:
    floor = Floor(start="10:00")
    floor.send(order("SELL", 1, words, "sl"))
    floor.play("10:01", "9.2 9.4 9.1 9.3")
    assert fills(floor) == [("sl", "9.2", "10:01:00.000")]


def test_a_stop_limit_that_is_not_chased_rests_behind_a_gap_and_fills_when_the_price_comes_back() -> None:
    floor = Floor(Rules(chased_stops=False), start="10:00")
    floor.send(order("SELL", 1, "STP LMT 9.5 9.5", "sl"))
    floor.play("10:01", "9.2 9.4 9.1 9.3")
    assert floor.states() == {"sl": "working"}
    floor.play("10:02", "9.3 9.6 9.3 9.6")
    assert fills(floor) == [("sl", "9.5", "10:02:59.999")]


def test_a_stop_limit_whose_limit_lies_on_the_wrong_side_rests_when_elected() -> None:
    floor = Floor(start="10:00")
    floor.send(order("SELL", 1, "STP LMT 9.5 9.6", "sl"))
    floor.play("10:00", "10 10.1 9.4 9.4")
    assert floor.states() == {"sl": "working"}


def test_when_one_bar_reaches_both_the_stop_comes_first() -> None:
    floor = Floor(start="10:00")
    floor.send(
        order("SELL", 1, "LMT 10.5", "tp", oca_group="g"), order("SELL", 1, "STP 9.5", "sl", oca_group="g")
    )
    floor.play("10:00", "10 11 9 10")
    assert [ref for ref, _, _ in fills(floor)] == ["sl"]


def test_a_fresh_order_does_not_fill_on_a_range_that_had_begun_before_it_came() -> None:
    floor = Floor(start="10:00:30")
    floor.send(order("SELL", 1, "LMT 10.5", "tp"), order("SELL", 1, "STP 9.5", "sl"))
    floor.play("10:00", "10 11 9 10")
    assert fills(floor) == []


def test_an_order_that_comes_within_the_first_sixtieth_of_a_bar_counts_as_there() -> None:
    floor = Floor(start=ny("10:00") + timedelta(milliseconds=900))
    floor.send(order("SELL", 1, "STP 9.5", "sl"))
    floor.play("10:00", "10 11 9 10")
    assert [ref for ref, _, _ in fills(floor)] == ["sl"]


def test_an_order_sent_at_the_instant_a_bar_begins_meets_its_open() -> None:
    floor = Floor(start="10:00")
    floor.send(order("SELL", 1, "STP 9.5", "sl"))
    floor.play("10:00", "9.3 9.6 9.2 9.4")
    assert fills(floor) == [("sl", "9.3", "10:00:00.000")]


def test_exits_of_an_entry_that_filled_at_the_bars_first_instant_are_not_gapped_by_its_open() -> None:
    floor = Floor(start="10:00")
    floor.quote("9.99", "10.00", decides=False)
    floor.send(
        order("BUY", 1, "LMT 10.00", "entry", transmit=False),
        order("SELL", 1, "STP LMT 9.5 9.5", "sl", parent_ref="entry"),
    )
    floor.play("10:00", "9.4 9.6 9.3 9.5")
    assert fills(floor) == [("entry", "10.00", "10:00:00.000"), ("sl", "9.5", "10:00:59.999")]


def test_exits_of_an_entry_filled_by_a_range_work_from_the_next_bar_on() -> None:
    floor = Floor(start="10:00")
    floor.send(
        order("BUY", 1, "LMT 9.8", "entry", transmit=False),
        order("SELL", 1, "STP LMT 9.5 9.5", "sl", parent_ref="entry"),
    )
    floor.play("10:00", "10 10 9 9.6")
    assert [ref for ref, _, _ in fills(floor)] == ["entry"]
    floor.play("10:01", "9.3 9.6 9.2 9.4")
    assert fills(floor)[1] == ("sl", "9.3", "10:01:00.000")


def test_a_stop_moved_because_of_a_bars_fill_meets_the_next_open() -> None:
    floor = Floor(start="10:00")
    sl = order("SELL", 2, "STP 9", "sl")
    floor.send(order("SELL", 1, "LMT 10.5", "tp"), sl)
    floor.play("10:00", "10 10.6 10 10.5")
    floor.change(replace(sl, stop=Decimal(10)))
    floor.play("10:01", "9.9 10.2 9.8 10")
    assert fills(floor)[1] == ("sl", "9.9", "10:01:00.000")


@pytest.mark.parametrize(
    "words, price, prices",
    [
        ("STP 9.9", "9.9", "9.5 9.6 9.4 9.5"),
        ("STP LMT 9.9 9.9", "9.9", "9.5 9.6 9.4 9.5"),
        ("LMT 10.1", "10.1", "10.3 10.4 10.2 10.3"),
    ],
)
def test_an_exit_of_the_bars_first_instant_fills_at_its_price_although_the_bar_lies_wholly_beyond_it(
    words: str, price: str, prices: str
) -> None:
    floor = Floor(start="10:00")
    floor.quote("9.99", "10.00", decides=False)
    floor.send(order("BUY", 1, "LMT 10.00", "entry"), order("SELL", 1, words, "exit"))
    floor.play("10:00", prices)
    assert fills(floor)[1] == ("exit", price, "10:00:59.999")


BRACKET = (
    order("SELL", 1, "LMT 10.5", "tp", oca_group="g"),
    order("SELL", 1, "STP LMT 9.5 9.5", "sl", oca_group="g"),
)


@pytest.mark.parametrize(
    "prices, found",
    [
        ("10.7 10.8 9.4 9.6", ("sl", "9.5", "10:01:59.999")),
        ("10.7 10.8 9.6 9.7", ("tp", "10.7", "10:01:59.999")),
        ("9.4 10.8 9.3 10.6", ("sl", "9.4", "10:01:00.000")),
    ],
    ids=["both", "target", "stop"],
)
def test_a_target_that_the_open_gaps_over_waits_until_the_range_has_spared_its_stop(
    prices: str, found: tuple[str, str, str]
) -> None:
    floor = Floor(start="10:00")
    floor.send(*BRACKET)
    floor.play("10:01", prices)
    assert fills(floor) == [found]


def test_a_limit_whose_group_has_no_stop_fills_at_the_open_that_gaps_over_it() -> None:
    floor = Floor(start="10:00")
    floor.send(
        order("SELL", 1, "LMT 10.5", "tp", oca_group="g"), order("SELL", 1, "STP 9.5", "sl", oca_group="h")
    )
    floor.play("10:01", "10.7 10.8 9.4 9.6")
    assert fills(floor) == [("tp", "10.7", "10:01:00.000"), ("sl", "9.5", "10:01:59.999")]


def test_a_target_that_is_changed_just_after_an_open_gapped_over_it_fills_at_its_new_price() -> None:
    floor = Floor(start="10:00")
    floor.send(*BRACKET)
    floor.exchange.open_bar(ny("10:01"), "ABC", Decimal("10.7"), 60, 10_000)
    floor.at(ny("10:01") + timedelta(milliseconds=500)).change(replace(BRACKET[0], limit=Decimal("10.6")))
    floor.exchange.close_bar(ny("10:02"), bar("10:01", "10.7 10.8 10.5 10.5"))
    assert fills(floor) == [("tp", "10.6", "10:01:59.999")]


@pytest.mark.parametrize("decider", ["bar", "print"])
def test_a_target_that_rested_yesterday_meets_the_open_and_not_the_touch(decider: str) -> None:
    floor = Floor(start="15:59")
    floor.quote("9.99", "10.01", decides=False)
    floor.send(order("SELL", 1, "LMT 10.5", "tp", tif=Tif.GTC))
    floor.pass_time("16:00")
    opening = ny("09:30") + timedelta(days=1)
    floor.pass_time(opening)
    assert floor.quote("10.6", "10.9", decides=False) == []
    if decider == "print":
        floor.trade("10.8")
    else:
        floor.exchange.open_bar(opening, "ABC", Decimal("10.8"), 60, 10_000)
    assert fills(floor) == [("tp", "10.8", "09:30:00.000")]


def test_a_market_order_that_waited_for_its_hours_meets_the_touch() -> None:
    floor = Floor(start="08:00")
    floor.send(order("BUY", 1, "MKT", "buy"))
    floor.pass_time("09:30")
    assert "E BUY 1@9.95" in floor.quote("9.93", "9.95", decides=False)


def test_several_stops_fill_nearest_first() -> None:
    floor = Floor(start="10:00")
    floor.send(*(order("SELL", 1, f"STP {price}", price) for price in ("9.1", "9.3", "9.2")))
    floor.play("10:00", "10 10 9 9")
    assert [ref for ref, _, _ in fills(floor)] == ["9.3", "9.2", "9.1"]
