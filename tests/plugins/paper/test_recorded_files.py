"""Recorded files: what is read from them, and how each damage is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.plugins.paper.venue import on_venue

from tradeshell import DataError
from tradeshell_paper.recorded import read_recording

TRADES = "ts,open,high,low,close,volume"
QUOTES = "ts,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"
TICKS = "ts,price,size,exchange,condition,suspicious"
TICK_QUOTES = "ts,bid,ask,bid_size,ask_size,exchange,suspicious"
NAME = "ABC_2013-10-10_trades.csv"
GOOD = [
    "2013-10-10T13:30:00Z,10,10.5,9.5,10.2,100",
    "2013-10-10T13:31:00Z,10.2,10.5,9.5,10.2,100",
    "2013-10-10T13:32:00Z,10.2,10.5,9.5,10.2,100",
]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(header: str, *rows: str, name: str = NAME, folder: str = "data") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(exist_ok=True)
        text = "\n".join((header, *rows)) + "\n"
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return write


Write = Callable[..., Path]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        read_recording(path)
    words = str(caught.value)
    assert "\n" not in words
    return words


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [NAME, NAME + ".gz"])
def test_bars_are_read_plain_and_packed(write: Write, name: str) -> None:
    recording = read_recording(write(TRADES, *GOOD, name=name))
    assert (recording.symbol, recording.seconds) == ("ABC", 60)
    assert recording.bars is not None
    first = recording.bars.bar(0)
    assert (first.open, first.high, first.low, first.close, first.volume) == (
        Decimal(10),
        Decimal("10.5"),
        Decimal("9.5"),
        Decimal("10.2"),
        100,
    )
    assert first.start.isoformat() == "2013-10-10T13:30:00+00:00"
    assert len(recording.bars) == 3


def test_columns_may_stand_in_any_order_with_others_between(write: Write) -> None:
    path = write("volume,close,low,note,high,open,ts", "100,10.2,9.5,x,10.5,10,2013-10-10T13:30:00Z")
    recording = read_recording(path)
    assert recording.bars is not None
    assert recording.bars.bar(0).high == Decimal("10.5")


@pytest.mark.parametrize(
    "folder, times, seconds",
    [
        ("data", ["13:30:00", "13:31:00", "13:35:00"], 60),
        ("data", ["13:30:00", "13:30:05", "13:31:00"], 5),
        ("data", ["13:30:00", "13:30:01"], 1),
        ("data", ["13:30:00", "13:35:00", "13:40:00"], 300),
        ("data", ["13:30:00"], 60),
        ("data", ["13:30:30"], 30),
        ("1m", ["13:30:00", "13:40:00"], 60),
        ("5s", ["13:30:00", "13:31:00"], 5),
    ],
)
def test_bars_are_as_long_as_the_folder_says_or_as_their_smallest_distance(
    write: Write, folder: str, times: list[str], seconds: int
) -> None:
    rows = [f"2013-10-10T{time}Z,10,10,10,10,100" for time in times]
    assert read_recording(write(TRADES, *rows, folder=folder)).seconds == seconds


def test_quote_bars_put_their_open_in_force_at_the_start_and_their_close_at_the_end(write: Write) -> None:
    rows = [
        "2013-10-10T13:30:00Z,10,10.2,9.9,10.1,500,10.1,10.3,10,10.2,600",
        "2013-10-10T13:31:00Z,10.1,10.1,10.1,10.1,500,,,,,0",
    ]
    touches = read_recording(write(QUOTES, *rows, name="ABC_2013-10-10_quotes.csv")).touches
    assert touches is not None
    assert touches.bids == [Decimal(10), Decimal("10.1"), Decimal("10.1")]
    assert touches.asks == [Decimal("10.1"), None, None]
    assert [(ms - touches.ms[0]) // 1000 for ms in touches.ms] == [0, 60, 120]


def test_ticks_leave_out_what_is_suspicious_or_was_not_made_at_the_market(write: Write) -> None:
    rows = [
        "2013-10-10T13:30:00.100Z,10,100,Q,1,0",
        "2013-10-10T13:30:00.100Z,10.01,200,Q,20000020,0",
        "2013-10-10T13:30:00.200Z,99,100,D,1,1",
        "2013-10-10T13:30:00.300Z,9,100,D,20100200,0",
        "2013-10-10T13:30:01.300Z,10.02,100,D,,0",
    ]
    prints = read_recording(write(TICKS, *rows)).prints
    assert prints is not None
    assert prints.prices == [Decimal(10), Decimal("10.01"), Decimal("10.02")]


def test_of_tick_quotes_of_one_instant_the_last_counts(write: Write) -> None:
    rows = ["2013-10-10T13:30:00.1Z,10,10.1,100,100,Q,0", "2013-10-10T13:30:00.1Z,10,10.2,100,300,Q,0"]
    touches = read_recording(write(TICK_QUOTES, *rows, name="ABC_2013-10-10_quotes.csv")).touches
    assert touches is not None
    assert (touches.asks, list(touches.ask_sizes)) == ([Decimal("10.2")], [300])


def test_times_of_other_zones_and_whole_floats_are_understood(write: Write) -> None:
    recording = read_recording(write(TRADES, "2013-10-10T09:30:00-04:00,10,10,10,10,100.0"))
    assert recording.bars is not None
    assert recording.bars.bar(0).volume == 100
    assert recording.bars.start(0).hour == 13


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    csv = pytest.importorskip("pyarrow.csv", reason="pyarrow is not installed")
    text = tmp_path / NAME
    text.write_text("\n".join((TRADES, *GOOD)) + "\n", encoding="utf-8")
    path = tmp_path / "ABC_2013-10-10_trades.parquet"
    parquet.write_table(csv.read_csv(text), path)
    packed, plain = read_recording(path).bars, read_recording(text).bars
    assert packed is not None
    assert plain is not None
    assert [packed.bar(row) for row in range(3)] == [plain.bar(row) for row in range(3)]


def test_without_pyarrow_parquet_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ABC_2013-10-10_trades.parquet"
    path.write_bytes(b"PAR1")

    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", absent)
    assert "pip install pyarrow" in refusal(path)


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row, words",
    [
        ("2013-10-10T13:33:00Z,NaN,10.5,9.5,10.2,100", "open 'NaN' is no price"),
        ("2013-10-10T13:33:00Z,10,inf,9.5,10.2,100", "high 'inf' is no price"),
        ("2013-10-10T13:33:00Z,10,10.5,-9.5,10.2,100", "low '-9.5' is no price"),
        ("2013-10-10T13:33:00Z,10,10.5,0,10.2,100", "low 0: a price lies above zero"),
        ("2013-10-10T13:33:00Z,10,10.5,9.5,,100", "close '' is no price"),
        ("2013-10-10T13:33:00Z,10,10.5,9.5,abc,100", "close 'abc' is no price"),
        ("2013-10-10T13:33:00Z,10,1e9,9.5,10,100", "not above"),
        ("2013-10-10T13:33:00Z,10,9,9.5,9.2,100", "high 9 is below low 9.5"),
        ("2013-10-10T13:33:00Z,11,10.5,9.5,10.2,100", "open and close lie between low and high"),
        ("2013-10-10T13:33:00Z,10,10.5,9.5,10.2,-5", "volume '-5' is no number of shares"),
        ("2013-10-10T13:33:00Z,10,10.5,9.5,10.2,1.5", "volume '1.5' is no number of shares"),
        ("2013-10-10T13:33:00Z,10,10.5,9.5,10.2,nan", "volume 'nan' is no number of shares"),
        ("2013-10-10T13:33:00Z,10,10.5,9.5", "has 4 fields, the header has 6; the file may be cut off"),
        ("2013-10-10T13:33:00Z,10,10.5,9.5,10.2,100,7", "has 7 fields"),
        ("2013-10-10T13:31:00Z,10,10.5,9.5,10.2,100", "lies before the row above it"),
        ("2013-10-10T13:32:00Z,10,10.5,9.5,10.2,100", "repeats the row above it"),
        ("2013-10-10T13:33:00,10,10.5,9.5,10.2,100", "has no time zone"),
        ("0001-01-01T00:00:00Z,10,10.5,9.5,10.2,100", "lies outside the years 1970 to 2099"),
        ("yesterday,10,10.5,9.5,10.2,100", "is no ISO time"),
        ("2013-10-10T13:33:00.5Z,10,10.5,9.5,10.2,100", "starts on a whole second"),
    ],
)
@pytest.mark.parametrize("name", [NAME, NAME + ".gz"])
def test_a_wrong_value_names_file_row_and_rule(write: Write, name: str, row: str, words: str) -> None:
    path = write(TRADES, *GOOD, row, *GOOD[:0], name=name)
    said = refusal(path)
    assert said.startswith(f"{path} row 5: "), said
    assert words in said


def test_nothing_begins_when_the_last_row_of_the_last_file_is_wrong(write: Write) -> None:
    good = write(TRADES, *GOOD)
    bad = write(TRADES, "2013-10-11T13:30:00Z,10,10,10,10,100", "x", name="XYZ_2013-10-11_trades.csv")

    async def never(_venue: object) -> None:
        raise AssertionError("the venue was opened")

    with pytest.raises(DataError, match=r"XYZ_2013-10-11_trades\.csv row 3"):
        on_venue(never, replay=[good, bad])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert refusal(tmp_path / NAME) == f"{tmp_path / NAME}: there is no such file"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    assert "is a folder" in refusal(tmp_path / NAME)
    assert refusal(tmp_path) == f"{tmp_path}: is a folder; name the files in it"


def test_a_file_that_cannot_be_read_says_why(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(TRADES, *GOOD)

    def locked(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)
    assert refusal(path) == f"{path}: cannot be read: Permission denied"


def test_a_gzip_file_that_was_cut_off_names_the_row_where_it_ends(write: Write) -> None:
    rows = [f"2013-10-10T{13 + n // 60:02}:{n % 60:02}:00Z,10,1{n}.5,9.5,10.2,{n}" for n in range(600)]
    path = write(TRADES, *rows, name=NAME + ".gz")
    whole = path.read_bytes()
    for kept in (len(whole) // 2, len(whole) - 4):
        path.write_bytes(whole[:kept])
        said = refusal(path)
        assert said.startswith(f"{path} row "), said
        assert "cut off" in said


def test_a_damaged_gzip_file_is_told(write: Write) -> None:
    path = write(TRADES, *GOOD * 1, name=NAME + ".gz")
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    path.write_bytes(whole)
    assert f"{path} row " in refusal(path)


def test_a_gzip_name_without_gzip_and_bytes_that_are_no_text_are_told(write: Write, tmp_path: Path) -> None:
    path = tmp_path / (NAME + ".gz")
    path.write_text(TRADES, encoding="utf-8")
    assert "is no gzip file" in refusal(path)
    plain = tmp_path / NAME
    plain.write_bytes(b"ts,open\n\xff\xfe\x00")
    assert "is no UTF-8 text" in refusal(plain)


def test_a_file_packed_without_saying_so_is_read_all_the_same(write: Write) -> None:
    path = write(TRADES, *GOOD)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert len(read_recording(path).bars or ()) == 3


@pytest.mark.parametrize(
    "header, words",
    [
        ("time,open,high,low,close,volume", "lacks ts; it says time,open"),
        ("ts,open,high,low,close", "lacks volume"),
        (QUOTES, "the header of trades lacks open"),
        ("", "it says nothing"),
    ],
)
def test_a_wrong_header_is_row_1(write: Write, header: str, words: str) -> None:
    path = write(header, *GOOD)
    said = refusal(path)
    assert said.startswith(f"{path} row 1: ")
    assert words in said


def test_an_empty_file_and_a_file_of_a_header_only_are_refused(write: Write) -> None:
    path = write(TRADES)
    assert refusal(path) == f"{path} row 2: there are no rows after the header"
    path.write_bytes(b"")
    assert "row 1: the header of trades lacks" in refusal(path)


def test_an_empty_line_is_allowed_at_the_end_only(write: Write) -> None:
    assert len(read_recording(write(TRADES, *GOOD, "", "")).bars or ()) == 3
    path = write(TRADES, GOOD[0], "", GOOD[1])
    assert refusal(path) == f"{path} row 3: is empty"


@pytest.mark.parametrize(
    "name", ["AAPL.csv", "AAPL_2014-06-05.csv", "AAPL_2014-06-05_trades.txt", "trades.csv.gz", "_trades.csv"]
)
def test_a_name_that_does_not_say_what_is_in_it_is_refused(write: Write, name: str) -> None:
    assert "name it like AAPL_2014-06-05_trades.csv.gz" in refusal(write(TRADES, *GOOD, name=name))


def test_a_symbol_that_cannot_be_is_refused(write: Write) -> None:
    assert "123" in refusal(write(TRADES, *GOOD, name="123_2014-06-05_trades.csv"))


def test_bars_that_do_not_fit_their_folder_are_refused(write: Write) -> None:
    path = write(TRADES, GOOD[0], "2013-10-10T13:30:30Z,10,10,10,10,1", folder="1m")
    assert refusal(path) == f"{path} row 3: 13:30:30 is no start of a bar of 60 s"


def bars_at(*times: str) -> list[str]:
    return [f"2013-10-10T{time}Z,10,10,10,10,100" for time in times]


EACH_MINUTE = [f"13:3{minute}:00" for minute in range(10)]


@pytest.mark.parametrize(
    "stray, row, seconds", [("13:34:01", 7, 1), ("13:34:30", 7, 30), ("13:39:05", 12, 5)]
)
def test_a_row_off_the_minute_does_not_make_all_minutes_shorter(
    write: Write, stray: str, row: int, seconds: int
) -> None:
    path = write(TRADES, *bars_at(*sorted([*EACH_MINUTE, stray])))
    assert refusal(path) == (
        f"{path} row {row}: {stray} is no start of a bar of 60 s, as most rows here are"
        f" · if all are of {seconds} s, put the file in a folder {seconds}s"
    )


def test_quotes_off_the_minute_are_refused_too(write: Write) -> None:
    rows = [f"2013-10-10T{time}Z,10,10,10,10,1,11,11,11,11,1" for time in [*EACH_MINUTE, "13:39:01"]]
    path = write(QUOTES, *rows, name="ABC_2013-10-10_quotes.csv")
    assert refusal(path).startswith(f"{path} row 12: 13:39:01 is no start of a bar of 60 s")


def test_minutes_that_begin_at_the_half_of_a_minute_are_refused(write: Write) -> None:
    path = write(TRADES, *bars_at("13:30:30", "13:31:30", "13:32:30", "13:33:30"))
    assert refusal(path).startswith(f"{path} row 2: 13:30:30 is no start of a bar of 60 s")


def test_minutes_in_a_folder_of_seconds_are_refused(write: Write) -> None:
    path = write(TRADES, *bars_at("13:28:00", *EACH_MINUTE), folder="1s")
    assert refusal(path) == (
        f"{path} row 4: starts 60 s after the row above it, as most rows do; the folder says bars of 1 s"
    )


@pytest.mark.parametrize("folder", ["data", "1s"])
@pytest.mark.parametrize(
    "times",
    [
        ("13:30:00", "13:30:01", "13:30:08", "13:30:15", "13:30:22"),
        ("13:30:00", "13:30:05", "13:30:10", "13:30:15", "13:30:18", "13:30:19", "13:30:22", "13:30:23"),
    ],
)
def test_seconds_with_many_holes_are_still_seconds(write: Write, folder: str, times: tuple[str, ...]) -> None:
    assert read_recording(write(TRADES, *bars_at(*times), folder=folder)).seconds == 1


@pytest.mark.parametrize(
    "row, words",
    [
        ("2013-10-10T13:30:00Z,10,9,9.5,9.2,100,10,10,10,10,100", "bid_high 9 is below bid_low 9.5"),
        ("2013-10-10T13:30:00Z,10,10,10,10,100,10,,10,10,100", "ask_high '' is no price"),
        ("2013-10-10T13:30:00Z,10,10,10,10,x,10,10,10,10,100", "bid_size 'x' is no number of shares"),
        ("2013-10-10T13:30:00Z,10,10,10,10,100,0,0,0,0,0", "ask_open 0: a price lies above zero"),
    ],
)
def test_wrong_quotes_are_refused_too(write: Write, row: str, words: str) -> None:
    path = write(QUOTES, row, name="ABC_2013-10-10_quotes.csv")
    assert words in refusal(path)
    assert f"{path} row 2" in refusal(path)


@pytest.mark.parametrize(
    "row, words",
    [
        ("2013-10-10T13:30:00Z,0,100,Q,1,0", "price 0"),
        ("2013-10-10T13:30:00Z,10,many,Q,1,0", "size 'many'"),
        ("2013-10-10T13:30:00Z,10,100,Q,zz,0", "condition 'zz' is no hexadecimal number"),
        ("2013-10-10T13:30:00Z,10,100,Q,1,1", "no print of this file was made at the market"),
    ],
)
def test_wrong_ticks_are_refused_too(write: Write, row: str, words: str) -> None:
    path = write(TICKS, row)
    assert words in refusal(path)
    assert f"{path} row 2" in refusal(path)


def test_the_same_day_given_twice_is_refused(write: Write) -> None:
    one, two = write(TRADES, *GOOD, folder="a"), write(TRADES, *GOOD, folder="b")

    async def never(_venue: object) -> None:
        raise AssertionError("the venue was opened")

    with pytest.raises(DataError, match="give each day of a symbol once"):
        on_venue(never, replay=[one, two])
