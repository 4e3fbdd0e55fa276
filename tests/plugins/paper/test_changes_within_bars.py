"""Orders whose price changes while a recorded bar lasts: nobody knows whether its extreme came before or after."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from tests.plugins.paper.venue import Floor, Venue, bar, minutes, ny, on_venue, order, usd

from tradeshell import Bar, OrderSpec, OrderType, Tif
from tradeshell_paper.settings import Rules
from tradeshell_paper.tickets import Ticket

HALF = ("10:00:30",)


def fills(floor: Floor) -> list[str]:
    """Return price and New York time of day of every execution."""
    return [f"{e.price} {e.at - timedelta(hours=4):%H:%M:%S.%f}"[:-3] for e in floor.executions()]


def changed(floor: Floor, prices: str, versions: list[OrderSpec], clocks: tuple[str, ...] = HALF) -> None:
    """Play the minute from 10:00 to an order that rested before, and changes at ``clocks`` to one version after another."""
    one = bar("10:00", prices)
    floor.at("09:59").send(versions[0])
    floor.exchange.open_bar(one.start, "ABC", one.open, 60, one.volume)
    for version, clock in zip(versions[1:], clocks, strict=True):
        floor.at(clock).change(version)
    floor.exchange.close_bar(one.end, one)


def versions(side: str, *words: str) -> list[OrderSpec]:
    return [order(side, 1, each, "it") for each in words]


def stop_limits(*words: str) -> tuple[str, ...]:
    return tuple(f"STP LMT {price} {price}" for price in (each.removeprefix("STP ") for each in words))


RAISED, LOWERED = ("STP 9", "STP 9.5"), ("STP 9.5", "STP 9")
STOPS = [
    ("SELL", RAISED, "10 10.1 8.9 10", "9"),
    ("SELL", RAISED, "10 10.1 9.2 10", None),
    ("SELL", LOWERED, "10 10.1 8.9 10", "9"),
    ("SELL", LOWERED, "10 10.1 9.2 10", "9.5"),
    ("SELL", LOWERED, "10 10.1 9.6 10", None),
    ("BUY", ("STP 11", "STP 10.5"), "10 11.1 9.9 10", "11"),
    ("BUY", ("STP 11", "STP 10.5"), "10 10.8 9.9 10", None),
    ("BUY", ("STP 10.5", "STP 11"), "10 11.1 9.9 10", "11"),
    ("BUY", ("STP 10.5", "STP 11"), "10 10.8 9.9 10", "10.5"),
    ("BUY", ("STP 10.5", "STP 11"), "10 10.4 9.9 10", None),
]


@pytest.mark.parametrize("has_limit", [False, True], ids=["stop", "stop-limit"])
@pytest.mark.parametrize("side, words, prices, price", STOPS)
def test_a_stop_is_met_where_it_was_when_the_bar_began_and_fills_at_the_worst_price_that_was_reached(
    side: str, words: tuple[str, ...], prices: str, price: str | None, has_limit: bool
) -> None:
    floor = Floor()
    changed(floor, prices, versions(side, *(stop_limits(*words) if has_limit else words)))
    assert fills(floor) == ([] if price is None else [f"{price} 10:00:59.999"])


@pytest.mark.parametrize(
    "side, words, prices, price",
    [
        ("SELL", ("LMT 10.5", "LMT 10.8"), "10 10.6 9.9 10", None),
        ("SELL", ("LMT 10.5", "LMT 10.8"), "10 10.9 9.9 10", "10.5"),
        ("SELL", ("LMT 10.8", "LMT 10.5"), "10 10.6 9.9 10", None),
        ("SELL", ("LMT 10.8", "LMT 10.5"), "10 10.9 9.9 10", "10.5"),
        ("BUY", ("LMT 9.5", "LMT 9.2"), "10 10.1 9.3 10", None),
        ("BUY", ("LMT 9.5", "LMT 9.2"), "10 10.1 9.1 10", "9.5"),
        ("BUY", ("LMT 9.2", "LMT 9.5"), "10 10.1 9.3 10", None),
        ("BUY", ("LMT 9.2", "LMT 9.5"), "10 10.1 9.1 10", "9.5"),
    ],
)
def test_a_limit_fills_only_where_both_its_prices_are_reached_and_at_the_worse_of_them(
    side: str, words: tuple[str, ...], prices: str, price: str | None
) -> None:
    floor = Floor()
    changed(floor, prices, versions(side, *words))
    assert fills(floor) == ([] if price is None else [f"{price} 10:00:59.999"])


@pytest.mark.parametrize(
    "words, prices, price",
    [
        (("STP 9", "STP 9.5", "STP 9.2"), "10 10.1 8.9 10", "9"),
        (("STP 9.5", "STP 9", "STP 9.3"), "10 10.1 8.9 10", "9"),
        (("STP 9.5", "STP 9.3", "STP 9"), "10 10.1 9.2 10", "9.3"),
        (("LMT 10.5", "LMT 10.9", "LMT 10.6"), "10 10.7 9.9 10", None),
        (("LMT 10.5", "LMT 10.9", "LMT 10.6"), "10 11 9.9 10", "10.5"),
    ],
)
def test_of_several_changes_within_a_bar_every_one_counts(
    words: tuple[str, ...], prices: str, price: str | None
) -> None:
    floor = Floor()
    changed(floor, prices, versions("SELL", *words), ("10:00:30", "10:00:40"))
    assert fills(floor) == ([] if price is None else [f"{price} 10:00:59.999"])


@pytest.mark.parametrize(
    "words, following, price",
    [
        (("STP 9", "STP 9.5"), "10 10.1 9.4 10", "9.5 10:01:59.999"),
        (("STP 9", "STP 9.5"), "9.4 9.6 9.3 9.5", "9.4 10:01:00.000"),
        (("STP 9.5", "STP 9"), "10 10.1 9.4 10", None),
        (("LMT 11", "LMT 10.5"), "10 10.6 9.9 10", "10.5 10:01:59.999"),
        (("LMT 10.5", "LMT 11"), "10 10.6 9.9 10", None),
    ],
)
def test_the_next_bar_meets_the_new_price_alone(
    words: tuple[str, ...], following: str, price: str | None
) -> None:
    floor = Floor()
    changed(floor, "10 10.1 9.9 10", versions("SELL", *words))
    floor.play("10:01", following)
    assert fills(floor) == ([] if price is None else [price])


def test_a_change_in_the_first_sixtieth_of_a_bar_counts_as_made_before_it() -> None:
    floor = Floor()
    one = bar("10:00", "10 10.1 9.2 10")
    old, new = versions("SELL", *RAISED)
    floor.at("09:59").send(old)
    floor.at(one.start + timedelta(milliseconds=900)).change(new)
    floor.exchange.close_bar(one.end, one)
    assert fills(floor) == ["9.5 10:00:59.999"]


def test_an_order_that_came_and_changed_within_the_bar_is_not_met_by_it() -> None:
    floor = Floor()
    one = bar("10:00", "10 11 8 10")
    old, new = versions("SELL", *RAISED)
    floor.at("10:00:10").send(old)
    floor.at("10:00:30").change(new)
    floor.exchange.close_bar(one.end, one)
    assert fills(floor) == []


def test_a_child_that_is_released_within_the_bar_is_not_met_where_it_waited() -> None:
    floor = Floor(start="09:59")
    stop = order("SELL", 1, "STP 9", "sl", parent_ref="entry")
    floor.send(order("BUY", 1, "LMT 9.9", "entry", transmit=False), stop)
    floor.at("10:00:30").change(replace(stop, stop=usd("9.2")))
    floor.at("10:00:45").quote("9.8", "9.9")
    one = bar("10:00", "10 10.1 8.9 10")
    floor.exchange.close_bar(one.end, one)
    assert [e.ref for e in floor.executions()] == ["entry"]


@pytest.mark.parametrize("words, found", [("STP 9.5", "9.5"), ("LMT 10.5", "10.5")])
def test_a_change_of_the_quantity_alone_leaves_the_bar_its_order(words: str, found: str) -> None:
    floor = Floor()
    spec = order("SELL", 2, words, "it")
    changed(floor, "10 11 9 10", [spec, replace(spec, qty=1)])
    assert [(e.qty, str(e.price)) for e in floor.executions()] == [(1, found)]


@pytest.mark.parametrize("change", [{"qty": 1}, {"limit": usd("10.9")}, {"limit": usd("10.2")}])
def test_a_target_that_the_open_gapped_over_has_filled_there_whatever_changes_later(
    change: dict[str, int | Decimal],
) -> None:
    target = order("SELL", 2, "LMT 10.5", "it", oca_group="g")
    floor = Floor()
    floor.send(order("SELL", 2, "STP 9", "sl", oca_group="g"))
    changed(floor, "10.7 10.8 10.1 10.3", [target, replace(target, **change)])
    assert fills(floor) == ["10.7 10:00:59.999"]


def test_a_limit_that_becomes_a_market_order_without_a_touch_waits_for_the_next_open() -> None:
    floor = Floor()
    limit = order("SELL", 1, "LMT 10.5", "it")
    changed(floor, "10 11 9 10", [limit, replace(limit, type=OrderType.MARKET, limit=None)])
    floor.play("10:01", "9.8 9.9 9.7 9.8")
    assert fills(floor) == ["9.8 10:01:00.000"]


def test_a_stop_limit_that_was_elected_where_no_limit_of_it_allows_a_fill_rests() -> None:
    floor = Floor()
    changed(floor, "10 10.1 8.9 10", versions("SELL", "STP LMT 9 9.1", "STP LMT 9.5 9.6"))
    assert floor.states() == {"it": "working"}
    floor.play("10:01", "9.5 9.7 9.4 9.5")
    assert fills(floor) == ["9.6 10:01:59.999"]


def test_an_elected_stop_limit_that_is_chased_within_a_bar_fills_where_every_limit_was_reached() -> None:
    floor = Floor(Rules(chased_stops=False))
    chased = versions("SELL", "STP LMT 9.5 9.5", "STP LMT 9.5 9.4", "STP LMT 9.5 9.3")
    changed(floor, "9.2 9.45 9.1 9.3", chased, ("10:00:30", "10:00:40"))
    assert floor.states() == {"it": "working"}
    floor.play("10:01", "9.2 9.35 9.1 9.3")
    assert fills(floor) == ["9.3 10:01:59.999"]


@pytest.mark.parametrize("words", ["STP 9", "LMT 11"])
def test_a_venue_plays_the_bar_to_an_order_that_left_its_reach(words: str) -> None:
    lasting, calm = bar("10:01", "10 11.5 9.4 10"), minutes("10:02", 3)
    bars: list[Bar] = [*minutes("09:59", 2), lasting, *calm]
    rested, left = order("SELL", 1, "STP 9.5", "it", tif=Tif.GTC), "STP 9"
    if words == "LMT 11":
        rested, left = order("SELL", 1, "LMT 10.5", "it", tif=Tif.GTC), words

    async def work(venue: Venue) -> list[str]:
        await venue.broker.qualify("ABC")
        venue.place(rested)
        await venue.until("10:01:30")
        venue.broker.modify(order("SELL", 1, left, "it", tif=Tif.GTC), 1)
        await venue.until(ny("10:04"))
        return [f"{e.price} {e.at - timedelta(hours=4):%H:%M:%S}" for e in venue.executions()]

    price = "10.5" if words == "LMT 11" else "9.5"
    assert on_venue(work, bars=bars) == [f"{price} 10:01:59"]


def test_prices_are_kept_for_no_longer_than_a_bar_can_last() -> None:
    spec = order("SELL", 1, "STP 9", "it")
    ticket = Ticket(number=1, client=0, order_id=1, spec=spec, since=ny("10:00"), qty=1)
    for hour in range(1, 100):
        ticket.take_prices(ny("10:00") + timedelta(hours=hour), replace(spec, stop=usd(f"9.{hour:02}")))
    assert len(ticket.former) == 24
    lasting = ticket.terms_during(ny("10:00") + timedelta(hours=76), 86400)
    assert [str(terms.stop) for terms in lasting][:2] == ["9.76", "9.77"]
