"""Bars, ticks, quotes and contracts, message by message."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.gateway.support import OPEN, on_virtual_time, quotes, start_bare, told

from tradeshell_paper.settings import Halt, Print
from tradeshell_paper.tws.fields import FieldError, Fields, number, parse_instant, real
from tradeshell_paper.tws.gateway import Gateway

STOCK = ["0", "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "", ""]
CALM = quotes((0, "100.00", "100.02"), (20_000, "100.00", "100.02"))


def asked(*messages: list[Any], wait: float = 2.0, **settings: Any) -> list[list[str]]:
    """Return what the answers to some messages are."""
    got: list[list[str]] = []

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        for message in messages:
            client.send(*message)
        await asyncio.sleep(wait)
        got.extend(client.take())
        assert gateway.house.defects == []

    on_virtual_time(story, **settings)
    return got


def history(
    size: str,
    duration: str,
    what: str = "TRADES",
    *,
    end: str = "",
    rth: int = 1,
    form: int = 1,
    keep: int = 0,
) -> list[Any]:
    return [20, 7, *STOCK, 0, end, size, duration, rth, what, form, keep, ""]


@pytest.mark.parametrize(
    "size, duration, count, first",
    [
        ("1 min", "1 D", 61, "20250708 09:30:00 US/Eastern"),
        ("1 hour", "2 D", 9, "20250707 09:00:00 US/Eastern"),
        ("5 secs", "60 S", 12, "20250708 10:29:05 US/Eastern"),
        ("1 day", "5 D", 5, "20250701"),
        ("1 week", "4 W", 4, "20250616"),
        ("1 month", "2 M", 2, "20250602"),
        ("30 mins", "1 W", None, None),
        ("1W", "2 W", None, None),
        ("1 day", "1 Y", None, None),
    ],
)
def test_bars_of_every_size_reach_as_far_back_as_was_asked(
    size: str, duration: str, count: int | None, first: str | None
) -> None:
    (answer,) = [m for m in asked(history(size, duration)) if m[0] == "17"]
    starts = answer[5::8]
    assert int(answer[4]) == len(starts)
    assert starts == sorted(starts)
    if count is not None:
        assert (len(starts), starts[0]) == (count, first)


def test_bars_can_end_in_the_past_and_have_seconds_or_days_for_times() -> None:
    (answer,) = asked(history("1 min", "120 S", end="20250703 11:00:00 US/Eastern", form=2))
    assert [int(at) % 60 for at in answer[5::8]] == [0, 0]
    assert int(answer[5]) == 1751554680  # 10:58 in New York
    (answer,) = asked(history("1 day", "2 D", form=2))
    assert answer[5::8] == ["20250707", "20250708"]
    (short,) = asked(history("1 min", "60 S", form=3))
    assert short[5] == "20250708 10:30:00"


@pytest.mark.parametrize("what", ["BID", "ASK", "MIDPOINT"])
def test_bars_without_trades_have_no_volume(what: str) -> None:
    (answer,) = asked(history("1 min", "60 S", what))
    assert answer[10:13] == ["-1", "-1", "-1"]


@pytest.mark.parametrize(
    "message, code",
    [
        (history("7 secs", "60 S"), 321),
        (history("1 min", "60"), 321),
        (history("1 min", "0 D"), 321),
        (history("1 min", "400 D"), 321),
        (history("1 min", "99999 Y"), 321),
        (history("1 min", "60 S", "NONSENSE"), 321),
        (history("1 min", "60 S", "HISTORICAL_VOLATILITY"), 162),
        (history("1 min", "60 S", "ADJUSTED_LAST", end="20250703 11:00:00"), 321),
        (history("1 secs", "2001 S"), 162),
        (history("1 secs", "60 S", keep=1), 321),
        (history("1 week", "4 W", keep=1), 321),
        (history("1 min", "60 S", "BID_ASK", keep=1), 321),
        (history("1 min", "60 S", end="20250703 11:00:00", keep=1), 321),
        (history("1 min", "60 S", end="yesterday"), 320),
        ([20, 7, "0", "AAPL", "OPT", *STOCK[3:], 0, "", "1 min", "60 S", 1, "TRADES", 1, 0, ""], 200),
        ([25, 1, 99], 366),
        ([51, 1, 99], 300),
        ([2, 2, 99], 300),
        ([98, 99], 300),
        ([97, 9, *STOCK, "Nothing", 0, 0], 321),
        ([97, 9, "0", "AAPL", "FUT", *STOCK[3:], "Last", 0, 0], 200),
        ([1, 11, 9, "0", "AAPL", "STK", "", "", "", "", "SMART", "", "EUR", "", "", 0, "", 0, 0, ""], 200),
        ([50, 3, 9, "0", "A A", "CASH", *STOCK[3:], 5, "TRADES", 0, ""], 200),
        ([96, 9, *STOCK, 0, "", "", 10, "TRADES", 1, 0, ""], 321),
        ([96, 9, *STOCK, 0, "20250708 10:00:00", "", 5000, "TRADES", 1, 0, ""], 321),
        ([91, 7], 321), ([15, 1, 1], 327), ([18, 1, 1], 321), ([10, 5, 9, *STOCK, 5, 0, ""], 10092), ([11, 1, 9, 0], 310),
        ([22, 9, 1], 162), ([52, 2, 9, 0, "AAPL"], 430), ([59, 1, 9], 321), ([3, 5, "x"], 320), (["x", 1], 320),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused_with_its_code(message: list[Any], code: int) -> None:
    (answer,) = asked(message)
    assert (answer[0], answer[3]) == ("4", str(code))


def test_requests_that_run_can_be_cancelled_and_not_asked_twice() -> None:
    got = asked(history("1 day", "1 Y"), history("1 day", "1 Y"), [25, 1, 7], wait=5)
    assert told(got) == ["X7 386", "X7 162"]
    assert "cancelled: 7" in got[1][4]


def test_there_are_so_many_open_histories_and_no_more_while_the_farm_is_there() -> None:
    second = [20, 8, *STOCK, 0, "", "1 day", "1 Y", 1, "TRADES", 1, 0, ""]
    got = asked(history("1 day", "1 Y"), second, switches={"open_histories": 1}, wait=5)
    assert told(got) == ["X8 322"]
    assert told(asked(history("1 min", "60 S"), switches={"history_down": True})) == ["X7 162"]


def test_what_has_no_bars_says_so() -> None:
    answer = asked(history("1 min", "60 S"), script=CALM)
    assert told(answer) == ["X7 162"]
    assert told(asked([50, 3, 9, *STOCK, 5, "TRADES", 0, ""], script=CALM)) == ["X9 420"]
    assert told(asked([97, 9, *STOCK, "Last", 0, 0], script=CALM)) == ["X9 10189"]


def test_the_schedule_has_the_sessions_of_trading_days() -> None:
    (answer,) = asked(history("1 day", "3 D", "SCHEDULE"))
    assert answer[:6] == ["106", "7", "20250703-09:30:00", "20250708-16:00:00", "US/Eastern", "3"]
    assert answer[6:9] == ["20250703-09:30:00", "20250703-13:00:00", "20250703"]


def test_past_ticks_are_trades_touches_or_their_middle_up_to_an_instant_or_from_one_on() -> None:
    end = "20250708 10:00:00 US/Eastern"
    trades, touches, middles, later = asked(
        [96, 1, *STOCK, 0, "", end, 5, "TRADES", 1, 0, ""],
        [96, 2, *STOCK, 0, "", end, 5, "BID_ASK", 1, 0, ""],
        [96, 3, *STOCK, 0, "", end, 5, "MIDPOINT", 1, 0, ""],
        [96, 4, *STOCK, 0, end, "", 5, "TRADES", 1, 0, ""],
    )
    begin = 1751983200
    assert trades[:3] == ["98", "1", "5"]
    assert [int(at) for at in trades[3:-1:6]] == [begin - n for n in (5, 4, 3, 2, 1)]
    assert touches[:3] == ["97", "2", "5"]
    assert all(Decimal(b) < Decimal(a) for b, a in zip(touches[5:-1:6], touches[6:-1:6], strict=True))
    assert middles[:3] == ["96", "3", "5"]
    assert [int(at) for at in later[3:-1:6]] == [begin + n for n in range(5)]
    assert {m[-1] for m in (trades, touches, middles, later)} == {"1"}


def test_small_questions_have_answers() -> None:
    got = asked(
        [87, 1, *STOCK, 0, 1, "TRADES", 2], [88, 2, *STOCK, 0, 1, "1 day"], [81, 3, "AAPL"], [81, 4, "no such!"],
        [104, 5], [85], [86, 6, 1, "", "", "", 5, ""], [80], [82], [83, 7, ""], [79, 8], [78, 9, "AAPL", "", "STK", 1],
        [17, 1], [24, 1], [8, 1, 1],
    )  # fmt: skip
    assert [m[0] for m in got] == [
        "88",
        "89",
        "79",
        "79",
        "107",
        "85",
        "87",
        "78",
        "80",
        "82",
        "77",
        "76",
        "15",
        "19",
        "9",
    ]
    assert got[0][2] == "1751961600"
    assert got[3][2] == "0"


def test_a_line_begins_with_what_is_in_force_and_then_tells_changes() -> None:
    rows: list[Any] = [
        *quotes((0, "100.00", "100.02"), (10, "100.01", "100.02"), (60, "100.01", "100.02")),
        Print("AAPL", OPEN + timedelta(seconds=5), Decimal("100.02"), 300),
        Print("AAPL", OPEN + timedelta(seconds=12), Decimal("99.50"), 200),
        Halt("AAPL", OPEN + timedelta(seconds=20)),
    ]
    got = asked([1, 11, 4, *STOCK, 0, "233", 0, 0, ""], wait=30, script=rows)
    prices = [(m[3], m[4]) for m in got if m[0] == "1"]
    assert prices == [("1", "100"), ("2", "100.02"), ("4", "100.02"), ("1", "100.01"), ("4", "99.5")]
    assert [m[0] for m in got[:2]] == ["81", "58"]
    assert [m[4] for m in got if m[0] == "45"] == ["0", "1"]
    assert [m[4] for m in got if m[:1] == ["2"] and m[3] == "8"] == ["0", "300", "500"]
    assert [m[4].split(";")[:2] for m in got if m[0] == "46" and m[3] == "48"] == [
        ["100.02", "300"],
        ["99.5", "200"],
    ]


def test_a_snapshot_ends_by_itself_or_by_a_cancel() -> None:
    got = asked([1, 11, 4, *STOCK, 0, "", 1, 0, ""], [1, 11, 4, *STOCK, 0, "", 1, 0, ""], wait=12)
    assert told(got) == ["X4 102"]
    assert got[-1] == ["57", "1", "4"]
    assert ["57", "1", "4"] not in asked([1, 11, 4, *STOCK, 0, "", 1, 0, ""], [2, 2, 4], wait=12)


def test_clients_see_every_time_moved_by_the_same_hours() -> None:
    got = asked(
        [49, 1], history("1 min", "60 S"), history("1 min", "60 S", end="20250708 15:00:00 US/Eastern"),
        [9, 8, 3, *STOCK, 0, "", "", ""], offset=timedelta(hours=5), wait=0.5,
    )  # fmt: skip
    assert got[0] == ["49", "1", str(1751985000 + 5 * 3600)]
    details = next(m for m in got if m[0] == "10")
    assert any(field.startswith("20250708:1430-20250708:2100;") for field in details)
    assert next(m for m in got if m[0] == "17")[5] == "20250708 15:30:00 US/Eastern"


def test_a_contract_is_known_by_its_number_once_it_was_named() -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.send(9, 8, 3, *STOCK, 0, "", "", "")
        await asyncio.sleep(0.1)
        con_id = client.take()[0][12]
        client.send(9, 8, 4, con_id, *[""] * 11, 0, "", "", "")
        client.send(9, 8, 5, "12345", "AAPL", "STK", *[""] * 9, 0, "", "", "")
        client.send(
            9, 8, 6, "0", "BRK B", "STK", "", "", "", "", "SMART", "NYSE", "USD", "", "", 0, "", "", ""
        )
        await asyncio.sleep(0.1)
        got = client.take()
        assert (got[0][0], got[0][2]) == ("10", "AAPL")
        assert told(got) == ["X5 200"]
        assert (got[3][2], got[3][20]) == ("BRK B", "NYSE")

    on_virtual_time(story)


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, text",
    [
        (100, "100"), (Decimal("100.0"), "100"), (1e-05, "0.00001"), (1e22, "10000000000000000000000"),
        (float("inf"), "Infinity"), (Decimal("-Infinity"), "-Infinity"), (Decimal("189.4000"), "189.4"),
    ],
)  # fmt: skip
def test_numbers_leave_without_exponents_and_whole_ones_without_a_fraction(value: Any, text: str) -> None:
    assert number(value) == text


def test_prices_of_orders_have_a_fraction_and_zero_where_there_is_none() -> None:
    assert [real(value) for value in (None, Decimal(0), Decimal(90), Decimal("90.25"))] == [
        "0.0",
        "0.0",
        "90.0",
        "90.25",
    ]


@pytest.mark.parametrize(
    "text, instant",
    [
        ("20250708 10:30:00 US/Eastern", "2025-07-08T14:30:00+00:00"),
        ("20250708 10:30:00", "2025-07-08T14:30:00+00:00"),
        ("20250708-14:30:00", "2025-07-08T14:30:00+00:00"),
        ("20250708 14:30:00 UTC", "2025-07-08T14:30:00+00:00"),
        ("20250708  10:30:00 EST", "2025-07-08T14:30:00+00:00"),
        ("20250708", "2025-07-09T04:00:00+00:00"),
    ],
)
def test_instants_are_read_in_every_form_that_clients_write(text: str, instant: str) -> None:
    found = parse_instant(text)
    assert found is not None
    assert found.isoformat() == instant


@pytest.mark.parametrize(
    "text", ["soon", "20251308 10:00:00", "20250708 10:30:00 Mars/Olympus", "20250708 25:00:00"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(FieldError):
        parse_instant(text)


def test_fields_are_read_generously_and_their_end_is_told() -> None:
    fields = Fields(
        ["100.0", "", "2147483647", "true", "0", "1.7976931348623157E308", "1e-05", "Infinity", "2.0"]
    )
    assert fields.whole("a") == 100
    assert fields.whole("b", 7) == 7
    assert fields.maybe_whole("c") is None
    assert (fields.flag("d"), fields.flag("e")) == (True, False)
    assert fields.real("f") is None
    assert fields.real("g") == Decimal("0.00001")
    assert fields.real("h") == Decimal("Infinity")
    assert fields.flag("i")
    with pytest.raises(FieldError, match="ends before j"):
        fields.text("j")
    for text in ("x", "1.5", "nan"):
        with pytest.raises(FieldError):
            Fields([text]).whole("k")
    with pytest.raises(FieldError):
        Fields(["nan"]).real("l")
