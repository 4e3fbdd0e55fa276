"""The replay of recorded files: several days, symbols and resolutions as one market."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.plugins.paper.venue import Venue, ny, on_venue, order

from tradeshell import Bar, ConfigError, DataError, FeedEnded, OrderReported, Tif

TRADES = "ts,open,high,low,close,volume"
QUOTES = "ts,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"
TICKS = "ts,price,size"
FRIDAY, MONDAY = date(2013, 10, 11), date(2013, 10, 14)
LONG = 86400 * 30

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, header: str, *rows: str, folder: str = "data") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
        return path

    return write


def row(clock: str, *values: str, day: date = FRIDAY) -> str:
    return ",".join((ny(clock, day).isoformat(), *values))


def flat(clock: str, price: str = "10", day: date = FRIDAY) -> str:
    return row(clock, price, price, price, price, "1000", day=day)


def touch(clock: str, bid: str, ask: str, day: date = FRIDAY) -> str:
    return row(clock, bid, bid, bid, bid, "100", ask, ask, ask, ask, "100", day=day)


async def heard(venue: Venue, symbol: str, seconds: int, rth: bool = False) -> list[Bar]:
    bars: list[Bar] = []
    venue.broker.subscribe(symbol, seconds, rth, bars.append)
    await asyncio.sleep(LONG)
    return bars


async def nothing(venue: Venue) -> None:
    """Only see whether the venue opens."""


def test_days_and_symbols_are_played_in_the_order_of_time_whatever_the_order_of_files(write: Write) -> None:
    files = [
        write("XYZ_2013-10-11_trades.csv", TRADES, flat("10:00", "20")),
        write("ABC_2013-10-14_trades.csv", TRADES, flat("09:30", "11", MONDAY)),
        write("ABC_2013-10-11_trades.csv", TRADES, flat("09:59"), flat("10:00")),
    ]

    async def work(venue: Venue) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for symbol in ("ABC", "XYZ"):
            venue.broker.subscribe(
                symbol, 60, True, lambda b: found.append((b.symbol, f"{b.start:%d %H:%M}"))
            )
        await asyncio.sleep(LONG)
        assert (
            venue.broker.info().words == "paper venue · replay of 3 files, ABC XYZ, 2013-10-11 to 2013-10-14"
        )
        return found

    assert on_venue(work, replay=files) == [
        ("ABC", "11 13:59"),
        ("ABC", "11 14:00"),
        ("XYZ", "11 14:00"),
        ("ABC", "14 13:30"),
    ]


def test_the_clock_starts_at_the_first_regular_open_and_earlier_bars_are_history(write: Write) -> None:
    file = write(
        "ABC_2013-10-11_trades.csv", TRADES, flat("08:00"), flat("09:29"), flat("09:30"), flat("09:31")
    )

    async def work(venue: Venue) -> None:
        assert venue.clock.now() == ny("09:30", FRIDAY)
        history = await venue.broker.history("ABC", 60, 10, False)
        assert [b.start for b in history] == [ny("08:00", FRIDAY), ny("09:29", FRIDAY)]
        assert [b.start for b in await heard(venue, "ABC", 60)] == [ny("09:30", FRIDAY), ny("09:31", FRIDAY)]

    on_venue(work, replay=[file])


@pytest.mark.parametrize(
    "start, first",
    [
        ("10:01", "10:01"),
        ("2013-10-11T10:01", "10:01"),
        ("2013-10-11T14:01:00Z", "10:01"),
        ("2013-10-11", "10:00"),
        ("04:00", "10:00"),
    ],
)
def test_from_starts_the_clock_and_leaves_earlier_bars_as_history(
    write: Write, start: str, first: str
) -> None:
    file = write("ABC_2013-10-11_trades.csv", TRADES, flat("10:00"), flat("10:01"), flat("10:02"))

    async def work(venue: Venue) -> None:
        assert len(await venue.broker.history("ABC", 60, 10, True)) == (1 if first == "10:01" else 0)
        bars = await heard(venue, "ABC", 60)
        assert bars[0].start == ny(first, FRIDAY)

    on_venue(work, replay=[file], start=start)


@pytest.mark.parametrize(
    "start, words",
    [
        ("25:00", "neither a time of day"),
        ("soon", "neither"),
        ("9999-12-31", "the venue plays the years 1970 to 2099"),
        ("2014-01-01", "the recording ends at 2013-10-11 14:01"),
    ],
)
def test_a_start_that_cannot_be_is_refused(write: Write, start: str, words: str) -> None:
    file = write("ABC_2013-10-11_trades.csv", TRADES, flat("10:00"))

    async def never(_venue: Venue) -> None:
        raise AssertionError("the venue was opened")

    with pytest.raises(ConfigError, match=words):
        on_venue(never, replay=[file], start=start)


def test_a_day_that_is_none_of_the_exchange_starts_with_its_first_row(write: Write) -> None:
    saturday = date(2013, 10, 12)
    file = write("ABC_2013-10-12_trades.csv", TRADES, flat("11:00", day=saturday))

    async def work(venue: Venue) -> None:
        assert venue.clock.now() == ny("11:00", saturday)
        assert venue.broker.session("ABC", venue.clock.now()) is None

    on_venue(work, replay=[file])


def test_seconds_decide_fills_and_minutes_are_what_a_minute_listener_hears(write: Write) -> None:
    minutes = write(
        "ABC_2013-10-11_trades.csv",
        TRADES,
        flat("10:00"),
        row("10:01", "10", "11", "9", "10", "7"),
        flat("10:02"),
        folder="1m",
    )
    seconds = write(
        "ABC_2013-10-11_trades.csv",
        TRADES,
        row("10:01:10", "10.5", "11", "10", "10.2", "5"),  # the target first
        row("10:01:40", "9.5", "9.6", "9", "9.5", "5"),
        row("10:02:10", "10", "10", "10", "10", "5"),
        folder="1s",
    )

    async def work(venue: Venue) -> tuple[list[Bar], list[tuple[str, str]]]:
        await venue.broker.qualify("ABC")
        bars: list[Bar] = []
        venue.broker.subscribe("ABC", 60, True, bars.append)
        await venue.until("10:00:30", FRIDAY)
        venue.place(
            order("SELL", 1, "LMT 11", "tp", oca_group="g", tif=Tif.GTC),
            order("SELL", 1, "STP LMT 9.6 9.6", "sl", oca_group="g", tif=Tif.GTC),
        )
        await asyncio.sleep(LONG)
        return bars, [(e.ref, f"{e.at:%H:%M:%S.%f}"[:-3]) for e in venue.executions()]

    bars, executed = on_venue(work, replay=[minutes])
    assert executed == [("sl", "14:01:59.999")]  # stop first
    bars_too, executed = on_venue(work, replay=[minutes, seconds])
    assert executed == [("tp", "14:01:10.999")]
    assert bars_too == bars


def test_minutes_decide_outside_the_time_that_finer_trades_cover(write: Write) -> None:
    minutes = write(
        "ABC_2013-10-11_trades.csv", TRADES, flat("10:00"), flat("10:01"), flat("10:05", "9"), folder="1m"
    )
    ticks = write(
        "ABC_2013-10-11_trades.csv",
        TICKS,
        row("10:00:01", "10", "5"),
        row("10:01:30", "10", "5"),
        folder="tick",
    )

    async def work(venue: Venue) -> list[tuple[str, str]]:
        await venue.broker.qualify("ABC")
        venue.place(order("SELL", 1, "STP 9.5", "sl", tif=Tif.GTC))
        await asyncio.sleep(LONG)
        return [(str(e.price), f"{e.at:%H:%M:%S}") for e in venue.executions()]

    assert on_venue(work, replay=[ticks, minutes]) == [("9", "14:05:00")]


def test_ticks_without_quotes_make_the_last_print_the_touch(write: Write) -> None:
    ticks = write(
        "ABC_2013-10-11_trades.csv",
        TICKS,
        row("10:00:01", "10", "5"),
        row("10:00:03", "9.98", "5"),
        row("10:00:05", "9.90", "5"),
        row("10:00:09", "9.95", "5"),
    )

    async def work(venue: Venue) -> list[tuple[str, str, str]]:
        await venue.broker.qualify("ABC")
        await venue.until("10:00:02", FRIDAY)
        latest = venue.broker.latest("ABC")
        assert latest is not None
        assert (latest.bid, latest.ask, latest.in_force) == (Decimal(10), Decimal(10), True)
        venue.place(order("BUY", 1, "LMT 10", "entry"), order("SELL", 1, "STP LMT 9.95 9.95", "sl"))
        await asyncio.sleep(LONG)
        return [(e.ref, str(e.price), f"{e.at:%H:%M:%S}") for e in venue.executions()]

    # Among ticks the chase is visible: an elected stop-limit rests until the market comes back or its limit moves.
    assert on_venue(work, replay=[ticks]) == [("entry", "10", "14:00:02"), ("sl", "9.95", "14:00:09")]


def test_a_day_recorded_in_seconds_only_has_minutes_too(write: Write) -> None:
    files = [
        write("ABC_2013-10-11_trades.csv", TRADES, flat("10:00"), folder="1m"),
        write(
            "ABC_2013-10-14_trades.csv",
            TRADES,
            flat("10:00:01", "11", MONDAY),
            flat("10:00:59", "12", MONDAY),
            folder="1s",
        ),
    ]

    async def work(venue: Venue) -> list[tuple[str, str, str]]:
        return [(f"{b.start:%d %H:%M}", str(b.open), str(b.close)) for b in await heard(venue, "ABC", 60)]

    assert on_venue(work, replay=files) == [("11 14:00", "10", "10"), ("14 14:00", "11", "12")]


def test_the_finest_quotes_are_in_force_where_they_reach_and_coarser_ones_elsewhere(write: Write) -> None:
    trades = write("ABC_2013-10-11_trades.csv", TRADES, flat("10:00"), flat("10:10"))
    coarse = write(
        "ABC_2013-10-11_quotes.csv",
        QUOTES,
        *(touch(f"10:0{n}", "9.9", f"10.{n}") for n in range(6)),
        folder="1m",
    )
    fine = write(
        "ABC_2013-10-11_quotes.csv",
        "ts,bid,ask,bid_size,ask_size",
        row("10:01:30", "9.9", "20", "1", "1"),
        row("10:03:10", "9.9", "30", "1", "1"),
        folder="tick",
    )

    async def work(venue: Venue) -> list[str]:
        found = []
        for at in ("10:01:00", "10:01:40", "10:02:30", "10:03:20", "10:04:30"):
            await venue.until(at, FRIDAY)
            latest = venue.broker.latest("ABC")
            found.append("" if latest is None else str(latest.ask))
        return found

    assert on_venue(work, replay=[trades, coarse, fine]) == ["10.1", "20", "20", "30", "10.4"]


def test_a_side_without_a_price_stays_without_one(write: Write) -> None:
    trades = write("ABC_2013-10-11_trades.csv", TRADES, flat("10:00"), flat("10:01"))
    quotes = write(
        "ABC_2013-10-11_quotes.csv", QUOTES, row("10:00", "9", "9", "9", "9", "100", "", "", "", "", "0")
    )

    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        await venue.until("10:00:10", FRIDAY)
        latest = venue.broker.latest("ABC")
        assert latest is not None
        assert (latest.bid, latest.ask) == (Decimal(9), None)
        venue.place(order("BUY", 1, "MKT", "buy"), order("SELL", 1, "MKT", "sell"))
        await venue.until("10:00:20", FRIDAY)
        assert [e.ref for e in venue.executions()] == ["sell"]
        await venue.until("10:01:20", FRIDAY)
        assert [(e.ref, e.price) for e in venue.executions()][1:] == [("buy", Decimal(10))]  # the next open

    on_venue(work, replay=[trades, quotes])


def test_quotes_without_trades_are_refused(write: Write) -> None:
    trades = write("XYZ_2013-10-11_trades.csv", TRADES, flat("10:00"))
    quotes = write("ABC_2013-10-11_quotes.csv", QUOTES, touch("10:00", "9.9", "10"))
    for files in ([quotes], [trades, quotes]):
        with pytest.raises(DataError) as caught:
            on_venue(nothing, replay=files)
        assert str(caught.value) == (
            f"{quotes}: quotes without trades of ABC; give ABC_…_trades.csv of its days too"
        )


def test_a_start_on_a_day_before_the_data_is_refused(write: Write) -> None:
    file = write("ABC_2013-10-11_trades.csv", TRADES, flat("10:00"))
    with pytest.raises(DataError) as caught:
        on_venue(nothing, replay=[file], start="2013-10-10")
    assert str(caught.value) == f"--from 2013-10-10: the recording begins on 2013-10-11, with {file}"
    on_venue(nothing, replay=[file], start="2013-10-11T04:00")


@pytest.mark.parametrize("clock, price", [("15:50:59", None), ("16:00:00", "20.02")])
def test_without_quotes_the_evenings_open_is_no_touch_of_regular_hours(
    write: Write, clock: str, price: str | None
) -> None:
    file = write("ABC_2013-10-11_trades.csv", TRADES, flat("15:49"), flat("16:05", "20.02"))

    async def work(venue: Venue) -> None:
        touch = venue.broker.latest("ABC")
        assert (None if touch is None else str(touch.ask)) == price

    on_venue(work, replay=[file], start=f"2013-10-11T{clock}")


@pytest.mark.parametrize("start", ["13:29:40", "13:29:00.5"])
def test_a_minute_that_forms_before_the_open_is_not_regular(write: Write, start: str) -> None:
    file = write("ABC_2013-10-11_trades.csv", TRADES, flat("09:29"), flat("09:30"), flat("09:31"))

    async def work(venue: Venue) -> list[str]:
        return [f"{bar.start:%H:%M}" for bar in await heard(venue, "ABC", 60, rth=True)]

    assert on_venue(work, replay=[file], start=f"2013-10-11T{start}+00:00") == ["13:30", "13:31"]


def test_a_fill_in_the_last_bar_leaves_the_close_and_the_next_open_to_the_other_orders(write: Write) -> None:
    files = [
        write(
            "ABC_2013-10-11_trades.csv",
            TRADES,
            row("15:59", "10", "10.5", "10", "10", "1000"),
            flat("16:01", "9"),
        ),
        write(
            "ABC_2013-10-14_trades.csv", TRADES, flat("09:30", "9.4", MONDAY), flat("09:31", "9.4", MONDAY)
        ),
    ]

    async def work(venue: Venue) -> list[tuple[str, str]]:
        await venue.broker.qualify("ABC")
        venue.place(
            order("SELL", 1, "LMT 10.5", "tp", tif=Tif.GTC),
            order("SELL", 1, "STP 9.5", "sl", tif=Tif.GTC),
            order("BUY", 1, "LMT 9", "day"),
        )
        await asyncio.sleep(LONG)
        assert [
            event.report.ref
            for event in venue.inputs
            if isinstance(event, OrderReported) and event.report.why.startswith("expired")
        ] == ["day"]
        return [(e.ref, f"{e.price} {e.at:%d %H:%M}") for e in venue.executions()]

    assert on_venue(work, replay=files, start="15:58") == [
        ("tp", "10.5 11 19:59"),
        ("sl", "9.4 14 13:30"),
    ]


def test_the_replay_ends_with_its_last_row(write: Write) -> None:
    file = write("ABC_2013-10-11_trades.csv", TRADES, flat("15:59", "10.5"), flat("19:59", "12"))

    async def work(venue: Venue) -> None:
        await heard(venue, "ABC", 60, rth=True)
        assert venue.inputs[-1] == FeedEnded(at=ny("20:00", FRIDAY))
        mark = venue.broker.latest("ABC")
        assert mark is not None
        assert mark.bid == Decimal("10.5")
        assert venue.clock.now() >= ny("20:00", FRIDAY) + timedelta(days=20)

    on_venue(work, replay=[file])
