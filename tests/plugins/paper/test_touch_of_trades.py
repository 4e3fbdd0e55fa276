"""The touch where trades are recorded and no quotes: a bar's own open while it lasts, the next one's where none lasts."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.plugins.paper.venue import DAY, Venue, bar, ny, on_venue, order

from tradeshell import Tif

BARS = [
    bar("10:00", "10 10.2 9.9 10.1"),
    bar("10:01", "10.1 10.4 10 10.3"),
    bar("10:02", "10.3 10.5 10.2 10.4"),
    bar("10:05", "10.8 10.9 10.7 10.8"),
    bar("10:06", "10.7 10.9 10.6 10.8"),
]


def bid_at(venue: Venue) -> str | None:
    found = venue.broker.latest("ABC")
    assert found is None or found.bid == found.ask
    return None if found is None else str(found.bid)


async def bids(venue: Venue, *clocks: datetime) -> list[str | None]:
    found = []
    for clock in clocks:
        await venue.until(clock)
        found.append(bid_at(venue))
    return found


@pytest.mark.parametrize(
    "clock, price",
    [
        ("10:00:00", "10"),
        ("10:00:01", "10"),
        ("10:00:30", "10"),
        ("10:00:59.999", "10"),
        ("10:01:00", "10.1"),
        ("10:02:59.999", "10.3"),
        ("10:03:00", "10.8"),
        ("10:04:30", "10.8"),
        ("10:05:30", "10.8"),
        ("10:06:59", "10.7"),
    ],
)
def test_a_bars_own_open_stands_while_it_lasts_and_the_next_ones_where_none_lasts(
    clock: str, price: str
) -> None:
    async def work(venue: Venue) -> list[str | None]:
        return await bids(venue, ny(clock))

    assert on_venue(work, bars=BARS, start=f"{DAY}T10:00") == [price]


def test_listeners_hear_of_an_open_at_its_own_instant_and_of_none_before() -> None:
    async def work(venue: Venue) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        venue.broker.subscribe_quotes(
            "ABC",
            lambda quote: found.append((f"{venue.clock.now() - timedelta(hours=4):%H:%M}", str(quote.bid))),
        )
        await venue.until("10:10")
        return found

    heard = on_venue(work, bars=BARS, start=f"{DAY}T09:59")
    assert heard[:3] == [("10:00", "10"), ("10:01", "10.1"), ("10:02", "10.3")]


@pytest.mark.parametrize(
    "words, found",
    [
        ("BUY MKT", [("10.1", "10:01:00")]),
        (
            "BUY LMT 10",
            [("10", "10:01:59")],
        ),  # the open that it saw has traded: it waits for one that has not
        ("BUY LMT 10.2", [("10.1", "10:01:00")]),
        ("SELL LMT 10.05", [("10.1", "10:01:00")]),
        ("SELL LMT 10.2", [("10.2", "10:01:59")]),
        ("SELL STP 9.95", []),
    ],
)
def test_what_comes_while_a_bar_lasts_meets_nothing_before_the_next_open(
    words: str, found: list[tuple[str, str]]
) -> None:
    side, _, kind = words.partition(" ")

    async def work(venue: Venue) -> list[tuple[str, str]]:
        await venue.broker.qualify("ABC")
        await venue.until("10:00:30")
        venue.place(order(side, 1, kind, "it", tif=Tif.GTC))
        await venue.until("10:10")
        return [(str(e.price), f"{e.at - timedelta(hours=4):%H:%M:%S}") for e in venue.executions()]

    assert on_venue(work, bars=BARS, start=f"{DAY}T10:00") == found


@pytest.mark.parametrize("tif", [Tif.IOC, Tif.FOK])
def test_what_must_fill_at_once_is_cancelled_while_a_bar_lasts(tif: Tif) -> None:
    async def work(venue: Venue) -> list[str]:
        await venue.broker.qualify("ABC")
        found = []
        for number, clock in enumerate((ny("10:00:30"), ny("10:01")), 1):
            await venue.until(clock)
            venue.place(order("BUY", 1, "LMT 10.5", f"it{number}", tif=tif))
            await venue.answered()
            report = venue.broker.exchange.order(number)
            assert report is not None
            found.append(report.state.value)
        return found

    assert on_venue(work, bars=BARS, start=f"{DAY}T10:00") == ["cancelled", "filled"]


def _file(folder: Path, length: str, header: str, rows: dict[str, str]) -> Path:
    path = folder / length / f"ABC_{DAY}_trades.csv"
    path.parent.mkdir()
    lines = (f"{ny(clock).isoformat()},{values}" for clock, values in rows.items())
    path.write_text("\n".join((header, *lines)) + "\n", encoding="utf-8")
    return path


BAR_HEADER = "ts,open,high,low,close,volume"


def flat(price: str) -> str:
    return f"{price},{price},{price},{price},100"


@pytest.fixture
def day_of_minutes(tmp_path: Path) -> Path:
    rows = {f"10:0{minute}": flat(f"1{minute}") for minute in range(10) if minute != 6}
    return _file(tmp_path, "1m", BAR_HEADER, rows)


@pytest.mark.parametrize(
    "clock, price",
    [
        ("10:01:30", "11"),
        ("10:02:03", "20"),  # the minute that the seconds cover is no touch
        ("10:02:05.5", "20"),
        ("10:02:10", "21"),
        ("10:02:30", "21"),
        ("10:03:30", "22"),
        ("10:06:30", "22"),
        ("10:08:30", "18"),
    ],
)
def test_seconds_are_the_touch_where_they_reach_and_minutes_elsewhere(
    clock: str, price: str, day_of_minutes: Path, tmp_path: Path
) -> None:
    seconds = {"10:02:05": flat("20"), "10:02:30": flat("21"), "10:07:05": flat("22")}
    files = [day_of_minutes, _file(tmp_path, "1s", BAR_HEADER, seconds)]

    async def work(venue: Venue) -> list[str | None]:
        return await bids(venue, ny(clock))

    assert on_venue(work, replay=files, start="10:00") == [price]


def test_an_order_after_the_last_tick_meets_the_minute_that_begins_and_not_the_tick(
    day_of_minutes: Path, tmp_path: Path
) -> None:
    ticks = _file(tmp_path, "tick", "ts,price,size", {"10:02:01": "20,5", "10:02:50": "21,5"})

    async def work(venue: Venue) -> tuple[list[str | None], list[str]]:
        await venue.broker.qualify("ABC")
        told = await bids(venue, ny("10:02:30"), ny("10:03:30"))
        await venue.until("10:04")
        venue.place(order("BUY", 1, "MKT", "it"))
        await venue.answered()
        return told, [str(e.price) for e in venue.executions()]

    assert on_venue(work, replay=[day_of_minutes, ticks], start="10:00") == (["20", "13"], ["14"])
