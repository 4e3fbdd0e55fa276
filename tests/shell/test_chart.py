"""``chart``: bars and the prices that matter, in any terminal, with or without colour, and as data."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.shell.support import FakeTrading, make_runner, make_shell

from tradeshell.core.events import money
from tradeshell.core.market import Bar
from tradeshell.core.orders import Side
from tradeshell.grammar import Figure
from tradeshell.shell.chart import BOUGHT, FALLING, RISING, SOLD, Chart, Fill, Mark, draw, length
from tradeshell.shell.render import Screen, answer_text
from tradeshell.testing.outcome import Runner

OPEN = datetime(2025, 7, 8, 13, 30, tzinfo=UTC)


def bars(*closes: str, start: datetime = OPEN, seconds: int = 60) -> tuple[Bar, ...]:
    """Return bars that follow one another: each opens where the one before closed."""
    found = []
    before = Decimal(closes[0])
    for number, text in enumerate(closes):
        close = Decimal(text)
        low, high = min(before, close), max(before, close)
        found.append(
            Bar("AAPL", start + number * timedelta(seconds=seconds), seconds, before, high, low, close)
        )
        before = close
    return tuple(found)


def picture(chart: Chart, width: int = 100, height: int = 24) -> list[str]:
    return ["".join(span.text for span in line).rstrip() for line in draw(chart, width, height)]


def chart_of(*closes: str, marks: tuple[Mark, ...] = (), fills: tuple[Fill, ...] = ()) -> Chart:
    return Chart(symbol="AAPL", seconds=60, bars=bars(*closes), marks=marks, fills=fills)


def mark(what: str, price: str, *, planned: bool = False) -> Mark:
    return Mark(what=what, price=Decimal(price), planned=planned)


def row_with(lines: list[str], words: str) -> str:
    """Return the one line that holds ``words``."""
    (found,) = [line for line in lines if words in line]
    return found


@pytest.fixture
def shell(tmp_path: Path) -> tuple[Runner, FakeTrading]:
    runner, trading = make_runner(tmp_path)
    trading.bars = bars("190", "190.50", "190.20", "191.10")
    return runner, trading


prices = st.integers(min_value=1, max_value=10_000_000).map(lambda cents: Decimal(cents) / 100)


@given(
    st.lists(prices, min_size=1, max_size=40),
    st.lists(st.tuples(st.sampled_from(("level", "entry", "tp1", "tp2", "sl1")), prices), max_size=8),
    st.integers(min_value=20, max_value=180),
    st.integers(min_value=5, max_value=40),
)
def test_no_line_is_wider_than_the_screen_and_no_price_is_left_out(
    closes: list[Decimal], marks: list[tuple[str, Decimal]], width: int, height: int
) -> None:
    chart = chart_of(*map(str, closes), marks=tuple(Mark(what=what, price=price) for what, price in marks))
    lines = picture(chart, width, height)
    assert max(map(cell_len, lines)) <= width
    if width >= 40:
        told = " ".join(" ".join(lines).split())
        assert all(money(price) in told and what in told for what, price in marks)


def test_rising_and_falling_bars_differ_without_colour() -> None:
    lines = picture(chart_of("100", "101", "100.50"))
    body = [line.split("│", 1)[-1] for line in lines[1:-2]]
    assert any(RISING in line for line in body)
    assert any(FALLING in line for line in body)
    assert "close 100.50" in lines[0]
    assert lines[0].startswith("AAPL · 1m bars · 09:30 – 09:33")


def test_colour_changes_no_character() -> None:
    figure = Figure(draw=lambda width, height: draw(chart_of("100", "101", "100.50"), width, height))
    plain = answer_text((figure,), Screen(100, wrap=True, colour=False))
    coloured = answer_text((figure,), Screen(100, wrap=True, colour=True))
    import re

    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_lines_have_their_price_and_name_and_what_is_planned_stands_in_brackets() -> None:
    marks = (
        mark("level", "100.50"), mark("sl2", "100.50"), mark("tp1", "101.00", planned=True), mark("entry", "100.60"),
    )  # fmt: skip
    lines = picture(chart_of("100", "101", "100.20", marks=marks))
    assert "101.00 (tp1)" in row_with(lines, "tp1")
    assert "100.50 level sl2" in row_with(lines, "level")
    assert "100.60 entry" in row_with(lines, "entry")
    assert (
        lines.index(row_with(lines, "tp1"))
        < lines.index(row_with(lines, "entry"))
        < lines.index(row_with(lines, "level"))
    )


def test_prices_too_far_away_are_named_above_the_picture_and_leave_the_bars_their_height() -> None:
    marks = (mark("tp3", "150"), mark("sl1", "50"))
    lines = picture(chart_of("100", "101", "100.50", marks=marks))
    assert lines[1] == "  above: 150.00 tp3 · below: 50.00 sl1"
    assert sum(RISING in line for line in lines[2:-2]) > 10


def test_a_fill_stands_at_its_bar_and_its_price() -> None:
    fills = (
        Fill(at=OPEN + timedelta(seconds=70), leg="entry", side=Side.BUY, qty=100, price=Decimal("100.50")),
        Fill(at=OPEN + timedelta(hours=5), leg="tp1", side=Side.SELL, qty=60, price=Decimal(101)),
        Fill(at=OPEN - timedelta(hours=5), leg="tp9", side=Side.SELL, qty=60, price=Decimal(99)),
    )
    lines = picture(chart_of("100", "100", "101", "101", fills=fills))
    assert sum(line.count(BOUGHT) for line in lines[:-1]) == 1
    assert sum(line.count(SOLD) for line in lines[:-1]) == 1
    bought, sold = row_with(lines[:-1], BOUGHT), row_with(lines[:-1], SOLD)
    assert sold.index(SOLD) - bought.index(BOUGHT) == 4  # two bars of two columns
    assert lines.index(sold) < lines.index(bought)


def test_the_newest_bars_are_drawn_when_not_all_fit() -> None:
    closes = [str(100 + n) for n in range(300)]
    lines = picture(chart_of(*closes), width=80)
    assert "close 399.00" in lines[0]
    assert "09:30" not in lines[0]


def test_a_new_day_has_its_date_on_the_axis() -> None:
    yesterday = bars("100", "101", "102", start=OPEN - timedelta(days=1))
    chart = Chart(symbol="AAPL", seconds=60, bars=(*yesterday, *bars(*["103"] * 40)))
    lines = picture(chart)
    assert "07-07 09:30 – 07-08 10:10" in lines[0]
    assert "07-08" in lines[-2]


@pytest.mark.parametrize("seconds, words", [(5, "5s"), (60, "1m"), (90, "90s"), (900, "15m"), (3600, "1h")])
def test_a_length_reads_as_it_is_typed(seconds: int, words: str) -> None:
    assert length(seconds) == words


def test_the_chart_of_a_trade_shows_what_was_paid_its_exits_and_its_fills(
    shell: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = shell
    trading.hold_position()
    outcome = runner.run("chart AAPL").assert_ok()
    outcome.assert_says("190.15 entry", "above: 195.00 tp1", "below: 187.00 sl1", BOUGHT)
    assert trading.asked == [("history", "AAPL", 60, 120, True)]


def test_lengths_counts_and_hours_are_asked_for_as_typed(shell: tuple[Runner, FakeTrading]) -> None:
    runner, trading = shell
    runner.run("chart AAPL bar=5m n=30 rth=false").assert_ok()
    assert trading.asked == [("history", "AAPL", 300, 30, False)]
    runner.run("chart AAPL bar=7m").assert_refused("bar=7m", "1m")
    runner.run("chart AAPL n=401").assert_refused("at most 400 bars")
    runner.run("chart").assert_refused("symbol is missing", "chart AAPL bar=5m")


def test_a_symbol_without_bars_is_refused_in_one_line(shell: tuple[Runner, FakeTrading]) -> None:
    runner, trading = shell
    trading.bars = ()
    runner.run("chart AAPL").assert_refused("AAPL has no closed bars yet", "rth=false")


def test_scripts_get_bars_prices_and_fills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import io

    out = io.StringIO()
    shell, trading = make_shell(
        tmp_path, batch=True, as_json=True, commands_to_run=("chart AAPL",), stdin=None, stdout=out
    )
    trading.bars = bars("190", "190.50")
    trading.hold_position()
    assert shell.run() == 0
    result = json.loads(out.getvalue().splitlines()[-1])
    data = result["data"]
    assert (data["symbol"], data["seconds"], len(data["bars"])) == ("AAPL", 60, 2)
    found = {each["what"]: (each["price"], each["qty"], each["planned"]) for each in data["marks"]}
    assert found["entry"] == ("190.15", 100, False)
    assert found["tp1"][0].startswith("195")
    assert found["sl1"][0].startswith("187")
    assert [(each["leg"], each["side"], each["qty"]) for each in data["fills"]] == [("entry", "BUY", 100)]
