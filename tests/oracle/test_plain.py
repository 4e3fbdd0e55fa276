"""The program against the plain calculation, where the oracle has no row: no quotes, one exit or none, other bars, odd files.

What is compared is the whole outcome: trigger bar, instant and price of the entry, kind, bar and price of the exit. The samples
are drawn with fixed seeds; other seeds, and as many as wanted, come from ``PLAIN_SEED`` and ``PLAIN_SAMPLES``.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, Decimal
from functools import cache
from pathlib import Path
from typing import TypeAlias

import pytest
from tests.oracle import plain
from tests.oracle.cases import ABSENT, DATA, QTY, Row, outcome_of, rows
from tests.oracle.plain import NEW_YORK, NO_ENTRY, NO_TRIGGER, SECOND, Bar, Outcome, Quote, Wish, breakout

from tradeshell.bootstrap import Run, program
from tradeshell.cli import parser
from tradeshell.config import load_settings

SEED = os.environ.get("PLAIN_SEED", "plain")
SAMPLES = int(os.environ.get("PLAIN_SAMPLES", "66"))
CENT = Decimal("0.01")
HALF_DAY = date(2013, 11, 29)
ROWS = tuple(rows()) if DATA.is_dir() else ()
TRADES = tuple(sorted((DATA / "1m").glob("*_trades.csv.gz"))) if DATA.is_dir() else ()

Odd: TypeAlias = Callable[[random.Random, list[Bar], list[Quote]], tuple[list[Bar], list[Quote]]]

recorded = pytest.mark.skipif(not ROWS, reason=ABSENT)


# --- running ----------------------------------------------------------------------------------------------------------


def typed(symbol: str, wish: Wish) -> str:
    """Return the command of a wish. The entry waits as long as it takes: the rule text knows no time-out."""
    bracket = "".join(f" {k}={v}" for k, v in (("tp", wish.tp), ("sl", wish.sl)) if v is not None)
    bar = f"{wish.minutes}m" if wish.minutes < 60 else "1h"
    return f"breakout {symbol} {wish.level} {QTY}{bracket} bar={bar} max_chase=off entry_timeout=off"


def played(files: Iterable[Path], start: datetime, *commands: str) -> list[Outcome]:
    """Return what the program makes of each of the commands over recorded files."""
    with tempfile.TemporaryDirectory(prefix="plain-") as name:
        folder = Path(name)
        config = folder / "config.toml"
        config.touch()
        args = [*(f"--replay={file}" for file in files), "--speed=max", f"--from={start.isoformat()}"]
        options = vars(parser().parse_args([*args, f"--state-dir={folder}", f"--config={config}"]))
        flags = {name: value for name, value in options.items() if name not in ("commands", "words")}
        run = Run(commands=(*commands, "wait ALL"), batch=True, stdout=io.StringIO())
        with program(load_settings(flags, {}), run, {}) as running:
            assert running.shell.run() == 0, commands
        # A log for each day that is over, and that of the last one.
        logs = (*sorted((folder / "replay").glob("events-*.jsonl")), folder / "replay" / "events.jsonl")
        lines = [line for log in logs for line in log.read_text(encoding="utf-8").splitlines()]
        return _by_watcher(lines, folder / "one.jsonl")


def _by_watcher(lines: Sequence[str], place: Path) -> list[Outcome]:
    records = [(json.loads(line), line) for line in lines]
    outcomes = []
    for watch in [record["watch"] for record, _ in records if record["event"] == "BreakoutStarted"]:
        own = [line for record, line in records if record.get("watch") == watch]
        place.write_text("\n".join(own), encoding="utf-8")
        outcomes.append(Outcome(*outcome_of(place)))
    return outcomes


def agreed(outcome: Outcome, *, has_quotes: bool) -> Outcome:
    """Return an outcome in the rule text's words: an entry that could not leave, or left and found nobody, is none."""
    if outcome.result == "REJECTED session_closed" or (outcome.result == "ENTERED" and outcome.entry is None):
        return NO_ENTRY
    if outcome.result == "REJECTED no_quote":
        return outcome._replace(result="REJECTED no_ask") if has_quotes else NO_ENTRY
    return outcome


def check(
    files: Sequence[Path],
    wish: Wish,
    minutes: Sequence[Bar],
    quotes: Sequence[Quote] | None,
    finer: Sequence[Bar] | None = None,
) -> Outcome:
    """Assert that program and plain calculation agree; return the outcome."""
    symbol = files[0].name.partition("_")[0]
    expected = breakout(wish, minutes, quotes, finer)
    (ours,) = played(files, wish.start, typed(symbol, wish))
    assert agreed(ours, has_quotes=quotes is not None) == expected, (typed(symbol, wish), wish.start)
    return expected


# --- files ------------------------------------------------------------------------------------------------------------


@cache
def minutes_of(file: Path) -> tuple[Bar, ...]:
    return tuple(plain.read_bars(file))


@cache
def quotes_of(file: Path) -> tuple[Quote, ...]:
    return tuple(plain.read_quotes(file))


def quotes_beside(trades: Path) -> Path:
    """Return the quotes file of a trades file."""
    return trades.with_name(trades.name.replace("_trades", "_quotes"))


def write_bars(
    folder: Path, day: date, bars: Iterable[Bar], *, symbol: str = "XYZ", length: str = "1m"
) -> Path:
    """Write a trades file."""
    path = folder / length / f"{symbol}_{day}_trades.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as text:
        out = csv.writer(text)
        out.writerow(("ts", "open", "high", "low", "close", "volume"))
        out.writerows((bar.start.isoformat(), bar.open, bar.high, bar.low, bar.close, QTY) for bar in bars)
    return path


def write_quotes(folder: Path, day: date, quotes: Iterable[Quote], *, symbol: str = "XYZ") -> Path:
    """Write a quotes file; a side without a price at one end of a bar has none at the other."""
    path = folder / "1m" / f"{symbol}_{day}_quotes.csv"
    path.parent.mkdir(exist_ok=True)
    names = ("open", "high", "low", "close", "size")
    with path.open("w", encoding="utf-8", newline="") as text:
        out = csv.writer(text)
        out.writerow(("ts", *(f"bid_{name}" for name in names), *(f"ask_{name}" for name in names)))
        for quote in quotes:
            bid, ask = _side(quote.bid_open, quote.bid_close), _side(quote.ask_open, quote.ask_close)
            out.writerow((quote.start.isoformat(), *bid, *ask))
    return path


def _side(first: Decimal | None, last: Decimal | None) -> tuple[object, ...]:
    if first is None or last is None:
        return ("", "", "", "", 0)
    return (first, max(first, last), min(first, last), last, QTY)


def at(day: date, clock: str) -> datetime:
    """Return the instant of a New York time of day."""
    return datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=NEW_YORK).astimezone(UTC)


def bars_from(day: date, clock: str, *prices: str) -> list[Bar]:
    """Return minute bars one after another; each is ``open high low close``."""
    first = at(day, clock)
    return [
        Bar(start, start + plain.MINUTE, *(Decimal(price) for price in text.split()))
        for start, text in ((first + number * plain.MINUTE, text) for number, text in enumerate(prices))
    ]


# --- drawing ----------------------------------------------------------------------------------------------------------


def drawn_wish(draw: random.Random, bars: Sequence[Bar], day: date, *, sizes: Sequence[int]) -> Wish:
    """Return a breakout somewhere in a day: its level near a price that trades later, its bracket around the level."""
    close = plain.regular_close(at(day, "12:00"))
    first = max(at(day, "09:20"), bars[0].start - 5 * plain.MINUTE)
    span = int((close - first) / plain.MINUTE)
    start = first + draw.choice((draw.randrange(span), span - draw.randrange(1, 30))) * plain.MINUTE
    if plain.is_regular(start):
        start += draw.choice((0, 0, 0, draw.randrange(1, 60))) * SECOND
    later = [bar for bar in bars if bar.end > start and plain.is_regular(bar.start)] or list(bars)
    near = draw.choice(later[: draw.choice((3, 30, 400))])
    level = draw.choice((near.close, near.high, near.low)).quantize(CENT, ROUND_CEILING)
    tp = level + max(CENT, (level * draw.randrange(10, 150) / 10000).quantize(CENT))
    sl = level - max(CENT, (level * draw.randrange(10, 150) / 10000).quantize(CENT))
    kind = draw.choice(("both", "both", "both", "tp", "sl", "none"))
    return Wish(
        level,
        start,
        draw.choice(sizes),
        tp if kind in ("both", "tp") else None,
        sl if kind in ("both", "sl") else None,
    )


def on_a_half_day(draw: random.Random, bars: list[Bar], quotes: list[Quote]) -> tuple[list[Bar], list[Quote]]:
    def moved(start: datetime) -> datetime:
        return datetime.combine(HALF_DAY, start.astimezone(NEW_YORK).time(), NEW_YORK).astimezone(UTC)

    return (
        [bar._replace(start=moved(bar.start), end=moved(bar.start) + plain.MINUTE) for bar in bars],
        [quote._replace(start=moved(quote.start)) for quote in quotes],
    )


def with_holes(draw: random.Random, bars: list[Bar], quotes: list[Quote]) -> tuple[list[Bar], list[Quote]]:
    return [bar for bar in bars if draw.random() < 0.5], [q for q in quotes if draw.random() < 0.5]


def with_one_sided_books(
    draw: random.Random, bars: list[Bar], quotes: list[Quote]
) -> tuple[list[Bar], list[Quote]]:
    def emptied(quote: Quote) -> Quote:
        if draw.random() < 0.4:
            quote = quote._replace(ask_open=None, ask_close=None)
        if draw.random() < 0.4:
            quote = quote._replace(bid_open=None, bid_close=None)
        return quote

    return bars, [emptied(quote) for quote in quotes]


def with_sub_penny_prices(
    draw: random.Random, bars: list[Bar], quotes: list[Quote]
) -> tuple[list[Bar], list[Quote]]:
    def shifted(bar: Bar) -> Bar:
        first, last, more, less = (Decimal(draw.randrange(100)) / 10000 for _ in range(4))
        first, last = bar.open + first, bar.close - last
        return bar._replace(
            open=first, close=last, high=max(bar.high, first) + more, low=min(bar.low, last) - less
        )

    return [shifted(bar) for bar in bars], quotes


def beginning_late(
    draw: random.Random, bars: list[Bar], quotes: list[Quote]
) -> tuple[list[Bar], list[Quote]]:
    regular = [number for number, bar in enumerate(bars) if plain.is_regular(bar.start)]
    return bars[draw.choice(regular[:-60]) :], quotes


ODD: tuple[Odd, ...] = (
    on_a_half_day,
    with_holes,
    with_one_sided_books,
    with_sub_penny_prices,
    beginning_late,
)


# --- the plain calculation itself -------------------------------------------------------------------------------------


@recorded
def test_the_plain_calculation_gives_every_row_of_the_oracle() -> None:
    for row in ROWS:
        trades = DATA / "1m" / f"{row.symbol}_{row.date}_trades.csv.gz"
        quotes = quotes_of(quotes_beside(trades)) if row.has_quotes else None
        assert tuple(breakout(_wish(row), minutes_of(trades), quotes)) == tuple(row.expected), row.name


def _wish(row: Row) -> Wish:
    return Wish(row.level_price, datetime.fromisoformat(row.search_from), 1, row.tp, row.sl)


# --- recorded days ----------------------------------------------------------------------------------------------------


@recorded
@pytest.mark.parametrize("day", sorted({(row.symbol, row.date) for row in ROWS}), ids="-".join)
def test_without_quotes_the_next_open_is_the_entry_on_every_day_and_level_of_the_oracle(
    day: tuple[str, str],
) -> None:
    trades = DATA / "1m" / f"{day[0]}_{day[1]}_trades.csv.gz"
    # Every level has two brackets: one of them, in turns.
    of_level = {row.level: row for row in ROWS if (row.symbol, row.date) == day and row.can_be_typed}
    for row in of_level.values():
        check([trades], _wish(row), minutes_of(trades), None)


@recorded
@pytest.mark.parametrize("number", range(SAMPLES))
def test_a_breakout_drawn_at_random_on_a_recorded_day_agrees(number: int) -> None:
    draw = random.Random(f"{SEED} recorded {number}")
    trades = draw.choice(TRADES)
    quotes = quotes_beside(trades) if draw.random() < 0.5 else None
    bars = minutes_of(trades)
    wish = drawn_wish(draw, bars, _day_of(trades), sizes=(1, 1, 1, 1, 2, 3, 5, 5, 15, 30, 60))
    check(
        [trades] if quotes is None else [trades, quotes],
        wish,
        bars,
        None if quotes is None else quotes_of(quotes),
    )


def _day_of(trades: Path) -> date:
    return date.fromisoformat(trades.name.split("_")[1])


@recorded
@pytest.mark.parametrize("number", range(SAMPLES // 8))
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
def test_a_breakout_drawn_at_random_on_an_odd_file_agrees(odd: Odd, number: int, tmp_path: Path) -> None:
    draw = random.Random(f"{SEED} {odd.__name__} {number}")
    trades = draw.choice(TRADES)
    bars, quotes = odd(draw, list(minutes_of(trades)), list(quotes_of(quotes_beside(trades))))
    day = HALF_DAY if odd is on_a_half_day else _day_of(trades)
    files = [write_bars(tmp_path, day, bars)]
    has_quotes = odd is with_one_sided_books or draw.random() < 0.5
    if has_quotes:
        files.append(write_quotes(tmp_path, day, quotes))
    wish = drawn_wish(draw, bars, day, sizes=(1, 1, 1, 5))
    check(files, wish, bars, quotes if has_quotes else None)


@recorded
@pytest.mark.parametrize("number", range(SAMPLES // 8))
def test_a_position_held_over_night_meets_the_next_open(number: int) -> None:
    draw = random.Random(f"{SEED} days {number}")
    symbol = draw.choice(("BAC", "IBM", "SPY"))
    days = [file for file in TRADES if file.name.startswith(f"{symbol}_2013-10-1")]
    bars = [bar for day in days for bar in minutes_of(day)]
    start = at(_day_of(days[0]), "15:30") + draw.randrange(20) * plain.MINUTE
    price = next(bar.close for bar in bars if bar.start >= start)
    level = (price - CENT).quantize(CENT)
    part = Decimal(draw.randrange(20, 100)) / 10000
    wish = Wish(level, start, 1, (level * (1 + part)).quantize(CENT), (level * (1 - part)).quantize(CENT))
    quoted = [quotes_beside(day) for day in days if draw.random() < 0.5]
    quotes = quotes_of(quoted[0]) if quoted[:1] == [quotes_beside(days[0])] else None
    check([*days, *quoted], wish, bars, quotes)


@recorded
@pytest.mark.parametrize("number", range(SAMPLES // 8))
def test_several_watchers_at_once_are_each_as_if_alone(number: int) -> None:
    draw = random.Random(f"{SEED} at once {number}")
    day = date(2013, 10, draw.choice((4, 7, 8, 9, 10)))
    files: list[Path] = []
    commands: list[str] = []
    expected: list[Outcome] = []
    start = at(day, "09:30") + draw.randrange(300) * plain.MINUTE
    for symbol in ("BAC", "IBM", "SPY"):
        trades = DATA / "1m" / f"{symbol}_{day}_trades.csv.gz"
        files += [trades, quotes_beside(trades)]
        for _ in range(2):
            wish = drawn_wish(draw, minutes_of(trades), day, sizes=(1, 1, 5))._replace(start=start)
            commands.append(f"{typed(symbol, wish)} another=true")
            expected.append(breakout(wish, minutes_of(trades), quotes_of(files[-1])))
    ours = played(files, start, *commands)
    assert [agreed(outcome, has_quotes=True) for outcome in ours] == expected, (start, commands)


# --- finer recordings -------------------------------------------------------------------------------------------------


@cache
def seconds_of(name: str) -> tuple[Bar, ...]:
    return tuple(plain.read_bars(DATA / "1s" / name, SECOND))


@recorded
@pytest.mark.parametrize("number", range(6))
def test_where_seconds_are_replayed_too_they_decide(number: int) -> None:
    draw = random.Random(f"{SEED} seconds {number}")
    name = f"IBM_2013-10-{('08', '11')[number % 2]}_trades.csv.gz"
    minute, second = DATA / "1m" / name, DATA / "1s" / name
    bars, finer = minutes_of(minute), seconds_of(name)
    wish = drawn_wish(draw, bars, _day_of(minute), sizes=(1, 5))._replace(start=at(_day_of(minute), "09:40"))
    files, quotes = [minute, second], None
    if number >= 2:
        files.append(quotes_beside(second if number >= 4 else minute))
        quotes = quotes_of(files[-1])
    draw.shuffle(files)
    check(files, wish, bars, quotes, finer)


@recorded
def test_where_ticks_are_replayed_too_they_decide() -> None:
    name = "IBM_2013-10-08_trades.csv.gz"
    minute, quotes = DATA / "1m" / name, DATA / "1m" / name.replace("_trades", "_quotes")
    start = at(date(2013, 10, 8), "10:00")
    wish = Wish(Decimal("180.00"), start, 1, Decimal("180.60"), Decimal("179.70"))
    by_minutes = breakout(wish, minutes_of(minute), quotes_of(quotes))
    (ours,) = played([minute, quotes, DATA / "tick" / name], start, typed("IBM", wish) + " sl_type=stop")
    assert ours[:3] == by_minutes[:3]
    by_seconds = breakout(wish, minutes_of(minute), quotes_of(quotes), seconds_of(name))
    assert ours[3:5] == by_seconds[3:5]


# --- corners ----------------------------------------------------------------------------------------------------------

DAY, NEXT_DAY = date(2013, 10, 10), date(2013, 10, 11)


@pytest.mark.parametrize("day", [DAY, HALF_DAY], ids=["full-day", "half-day"])
@pytest.mark.parametrize("has_quotes", [True, False], ids=["quotes", "no-quotes"])
def test_a_trigger_on_the_last_bar_cannot_enter_any_more(day: date, has_quotes: bool, tmp_path: Path) -> None:
    clock = "12:58" if day == HALF_DAY else "15:58"
    flat = "20 20 20 20"
    bars = bars_from(day, clock, flat, "20 20.05 20 20.05", flat, flat)
    files = [write_bars(tmp_path, day, bars)]
    quotes = [Quote(bars[0].start, *(Decimal(price) for price in ("19.99", "20.04", "20", "20.05")))]
    if has_quotes:
        files.append(write_quotes(tmp_path, day, quotes))
    wish = Wish(Decimal("20.05"), bars[0].start)
    assert check(files, wish, bars, quotes if has_quotes else None) == NO_ENTRY


def test_a_trigger_one_bar_before_the_last_enters_for_one_minute(tmp_path: Path) -> None:
    bars = bars_from(DAY, "15:57", "20 20 20 20", "20 20.05 20 20.05", "20.06 20.30 20 20.20", "25 25 15 15")
    wish = Wish(Decimal("20.05"), bars[0].start, 1, Decimal("20.50"), Decimal("19.50"))
    outcome = check([write_bars(tmp_path, DAY, bars)], wish, bars, None)
    assert (outcome.entry, outcome.result) == (Decimal("20.06"), "EOD")


def test_without_a_regular_bar_left_there_is_no_entry(tmp_path: Path) -> None:
    bars = bars_from(DAY, "15:50", "20 20 20 20", "20 20.05 20 20.05")
    bars += bars_from(DAY, "16:05", "20.02 20.02 20.02 20.02", "20.02 20.02 20.02 20.02")
    assert (
        check([write_bars(tmp_path, DAY, bars)], Wish(Decimal("20.05"), bars[0].start), bars, None)
        == NO_ENTRY
    )


def test_a_bar_that_is_forming_at_the_start_counts_at_its_close(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", "20 20.05 20 20.05", "20 20.01 20 20", "20 20 20 20")
    files = [write_bars(tmp_path, DAY, bars)]
    level = Decimal("20.05")
    assert check(files, Wish(level, bars[0].start + 59 * SECOND), bars, None).entry == 20
    assert check(files, Wish(level, bars[0].end), bars, None) == NO_TRIGGER


@pytest.mark.parametrize("clock", ["09:00:00", "09:28:00", "09:29:00", "09:29:30"])
def test_a_bar_before_the_open_never_triggers_a_regular_breakout(clock: str, tmp_path: Path) -> None:
    high, low = "20 20.05 20 20.05", "20 20 20 20"
    bars = bars_from(DAY, "09:00", *([high] * 30), low, low, "20 20.06 20 20.06", low)
    outcome = check([write_bars(tmp_path, DAY, bars)], Wish(Decimal("20.05"), at(DAY, clock)), bars, None)
    assert outcome.trigger == plain.iso(at(DAY, "09:32"))


def test_one_bar_that_touches_both_is_a_stop_and_a_gap_fills_at_the_open(tmp_path: Path) -> None:
    start = ("20 20 20 20", "20 20.05 20 20.05", "20.05 20.08 20.02 20.06")
    wish = Wish(Decimal("20.05"), at(DAY, "10:00"), 1, Decimal("20.20"), Decimal("19.90"))
    for number, (bar, result, price) in enumerate((
        ("20.06 20.25 19.85 20", "SL", "19.90"),
        ("20.30 20.40 20.10 20.10", "TP", "20.30"),
        ("19.80 20.10 19.70 20", "SL", "19.80"),
        ("20.19 20.20 20 20", "TP", "20.20"),
        ("20.06 20.10 19.90 20", "SL", "19.90"),
        ("20.06 20.19 19.91 20", "EOD", None),
    )):  # fmt: skip
        folder = tmp_path / str(number)
        folder.mkdir()
        bars = bars_from(DAY, "10:00", *start, bar, "20 20 20 20")
        outcome = check([write_bars(folder, DAY, bars)], wish, bars, None)
        assert (outcome.result, outcome.exit) == (result, None if price is None else Decimal(price)), bar


def test_the_entry_waits_for_the_next_bar_over_a_hole(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", "20 20 20 20", "20 20.05 20 20.05")
    bars += bars_from(DAY, "10:07", "20.01 20.30 19.95 20.10", "20 20 20 20")
    wish = Wish(Decimal("20.05"), bars[0].start, 1, Decimal("20.25"), Decimal("19.90"))
    outcome = check([write_bars(tmp_path, DAY, bars)], wish, bars, None)
    assert (outcome.entry_at, outcome.result) == (plain.iso(at(DAY, "10:07")), "TP")


def test_a_stop_rests_after_the_close_although_another_trade_ended_in_the_last_bar(tmp_path: Path) -> None:
    bars = bars_from(DAY, "15:56", "20 20 20 20", "20 20.05 20 20.05", "20 20 20 20", "20 20.20 20 20")
    bars += bars_from(DAY, "16:01", "19 19 19 19")
    alone = Wish(Decimal("20.05"), bars[0].start, sl=Decimal("19.90"))
    other = alone._replace(tp=Decimal("20.15"), sl=None)
    commands = [f"{typed('XYZ', wish)} another=true" for wish in (alone, other)]
    ours = played([write_bars(tmp_path, DAY, bars)], bars[0].start, *commands)
    assert ours == [breakout(alone, bars), breakout(other, bars)]


def test_a_stop_works_again_at_the_open_although_another_trade_ended_just_before(tmp_path: Path) -> None:
    evening = bars_from(DAY, "15:56", "20 20 20 20", "20 20.05 20 20.05", "20 20 20 20", "20 20 20 20")
    morning = bars_from(NEXT_DAY, "09:28", "20 20 20 20", "20 20.20 20 20", "20 20 20 20", "20 20 19 19")
    files = [write_bars(tmp_path, DAY, evening), write_bars(tmp_path, NEXT_DAY, morning)]
    wish = Wish(Decimal("20.05"), evening[0].start, sl=Decimal("19.50"))
    extended = typed("XYZ", wish._replace(tp=Decimal("20.15"), sl=None))
    ours = played(files, wish.start, typed("XYZ", wish), f"{extended} rth=false another=true")
    assert ours[0] == breakout(wish, [*evening, *morning])


def test_a_target_held_over_night_meets_the_open_with_quotes_as_without(tmp_path: Path) -> None:
    evening = bars_from(DAY, "15:57", "20 20 20 20", "20 20.05 20 20.05", "20 20 20 20")
    morning = bars_from(NEXT_DAY, "09:30", "20.80 20.90 20.70 20.80", "20 20 20 20")
    files = [write_bars(tmp_path, DAY, evening), write_bars(tmp_path, NEXT_DAY, morning)]
    wish = Wish(Decimal("20.05"), evening[0].start, tp=Decimal("20.50"))
    assert check(files, wish, [*evening, *morning], None).exit == Decimal("20.80")
    touch = [Quote(morning[0].start, *(Decimal(price) for price in ("20.60", "20.60", "20.90", "20.90")))]
    check([*files, write_quotes(tmp_path, NEXT_DAY, touch)], wish, [*evening, *morning], None)


@pytest.mark.parametrize(
    "quote, bar, result, price",
    [
        ("20.04 20.04 20.05 20.05", "20.09 20.20 20.08 20.15", "TP", "20.07"),
        ("19.90 19.90 20.05 20.05", "19.91 19.95 19.90 19.92", "SL", "20.02"),
    ],
    ids=["target-below-the-bar", "stop-above-the-bar"],
)
def test_an_entry_bar_that_lies_wholly_beyond_an_exit_exits_at_its_price(
    quote: str, bar: str, result: str, price: str, tmp_path: Path
) -> None:
    bars = bars_from(DAY, "10:00", "20 20 20 20", "20 20.05 20 20.05", bar, "20 20 20 20")
    quotes = [Quote(bars[0].start, *(Decimal(value) for value in quote.split()))]
    wish = Wish(
        Decimal("20.05"),
        bars[0].start,
        1,
        Decimal("20.07") if result == "TP" else None,
        Decimal("20.02") if result == "SL" else None,
    )
    files = [write_bars(tmp_path, DAY, bars), write_quotes(tmp_path, DAY, quotes)]
    outcome = check(files, wish, bars, quotes)
    assert (outcome.result, outcome.exit) == (result, Decimal(price))


def test_bars_of_an_hour_begin_with_the_session_and_stay_on_the_clock(tmp_path: Path) -> None:
    low, high = "20 20 20 20", "20 20.05 20 20.05"
    bars = bars_from(DAY, "09:00", *([high] * 30), *([low] * 29), high, low, low)
    outcome = check(
        [write_bars(tmp_path, DAY, bars)], Wish(Decimal("20.05"), at(DAY, "09:10"), 60), bars, None
    )
    assert (outcome.trigger, outcome.entry_at) == (plain.iso(at(DAY, "09:00")), plain.iso(at(DAY, "10:00")))
