"""Text for people and JSON for scripts: nothing is lost, nothing steers the terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.shell.support import Line, record

from tradeshell.core.events import (
    BracketChildOrderFilled,
    InventoryConfirmed,
    LadderProtectionStateChanged,
    OrderFilled,
    OrderIntent,
)
from tradeshell.core.orders import OrderType, Side, Tif
from tradeshell.grammar import Answer, Column, Table
from tradeshell.shell import render
from tradeshell.shell.render import Screen

PLAIN = Screen(100, wrap=False, colour=False)
NARROW = Screen(40, wrap=True, colour=False)
COLOUR = Screen(100, wrap=False, colour=True)

FILL = OrderFilled(
    symbol="AAPL",
    watch="br-1",
    leg="entry",
    order_ref="ts:br-1:entry:1",
    order_id=1,
    exec_id="e.01",
    side=Side.BUY,
    qty=100,
    price=Decimal("190.14"),
    cumulative=100,
    order_qty=100,
    at=datetime(2025, 7, 8, 13, 42, 1, tzinfo=UTC),
)
LOSS = BracketChildOrderFilled(
    **{f: getattr(FILL, f) for f in FILL.__struct_fields__} | {"pnl": Decimal(-300), "leg": "sl1"}
)


def test_an_event_is_a_line_in_new_york_time() -> None:
    assert render.event_line(record(FILL), PLAIN) == "09:42:00 AAPL  entry     filled 100 @ 190.14"


def test_winter_time_is_new_york_time_too() -> None:
    winter = datetime(2025, 1, 8, 14, 42, tzinfo=UTC)
    line = render.event_line(record(FILL, at=winter), PLAIN)
    assert line is not None
    assert line.startswith("09:42:00 ")


def test_an_event_without_a_symbol_needs_no_column_for_it() -> None:
    line = render.event_line(record(Line(words="lost · gateway closed", tag="link")), PLAIN)
    assert line == "09:42:00 link      lost · gateway closed"


def test_an_event_for_the_log_only_is_no_line() -> None:
    assert render.event_line(record(InventoryConfirmed(symbol="AAPL", qty=1)), PLAIN) is None


def test_a_long_line_is_folded_under_its_story_and_nothing_is_lost() -> None:
    words = "one two three four five six seven eight nine ten eleven twelve"
    text = render.event_line(record(Line(symbol="AAPL", words=words)), NARROW)
    assert text is not None
    first, *rest = text.split("\n")
    assert all(len(line) <= 40 for line in (first, *rest))
    assert all(line.startswith(" " * 20) for line in rest)  # half of so narrow a screen at most
    assert " ".join(text.split())[9:] == f"AAPL line {words}"


@pytest.mark.parametrize(
    "bad", ["\x1b[2J", "\r", "\x07", "\n", "\x9b31m", "\u202e", "\u2028", "\x00", "\x7f"]
)
def test_text_from_outside_cannot_steer_the_terminal(bad: str) -> None:
    event = Line(symbol=f"A{bad}", words=f"x{bad}y", tag=f"l{bad}")
    line = render.event_line(record(event), PLAIN)
    assert line is not None
    assert line.isprintable()
    answer = render.answer_text((f"x{bad}y", Table(columns=(Column("a"),), rows=((bad,),))), PLAIN)
    assert all(part.isprintable() for part in answer.split("\n"))
    assert render.error_line(f"x{bad}", PLAIN).isprintable()


def test_colour_says_gain_loss_and_alarm_and_nothing_else() -> None:
    alarm = LadderProtectionStateChanged(symbol="AAPL", watch="w", state="UNPROTECTED", held=10, protected=0)
    styles = [
        render.event_line(record(event), COLOUR) or "" for event in (FILL, LOSS, alarm, Line(words="x"))
    ]
    assert [render.GREEN in styles[0], render.RED in styles[1], render.ALARM in styles[2]] == [True] * 3
    assert "\x1b" not in styles[3]
    assert all(style.startswith("09:42:00 ") for style in styles)
    assert not any("\x1b" in (render.event_line(record(event), PLAIN) or "") for event in (FILL, LOSS, alarm))


def test_a_tables_gain_and_loss_have_colour() -> None:
    table = Table(columns=(Column("P&L", right=True),), rows=(("+1.00",), ("-2.00",), ("3.00",)))
    gain, loss, neither = render.table_lines(table, COLOUR)[1:]
    assert (render.GREEN in gain, render.RED in loss, "\x1b" in neither) == (True, True, False)


# --- tables -----------------------------------------------------------------------------------------------------------

WIDE = Table(
    columns=(Column("id", right=True), Column("words"), Column("more"), Column("n", right=True)),
    rows=(
        (
            "1",
            "some words that go on and on for quite a while",
            "and other words that do the same thing",
            "12345",
        ),
    ),
)


def test_a_table_that_fits_is_aligned() -> None:
    table = Table(columns=(Column("symbol"), Column("qty", right=True)), rows=(("AAPL", "40"), ("F", "1000")))
    assert render.table_lines(table, PLAIN) == ["  symbol    qty", "  AAPL       40", "  F        1000"]


def test_a_table_that_does_not_fit_wraps_words_inside_columns() -> None:
    lines = render.table_lines(WIDE, Screen(80, wrap=True, colour=False))
    assert all(len(line) <= 80 for line in lines)
    assert len(lines) > 2
    assert sorted(" ".join(lines).split()) == sorted(
        f"{' '.join(c.name for c in WIDE.columns)} {' '.join(WIDE.rows[0])}".split()
    )


def test_no_word_is_broken_while_another_column_can_give_way() -> None:
    columns = (Column("what"), Column("many"))
    words = " ".join(["word"] * 30)
    table = Table(columns=columns, rows=(("x" * 40, words),))
    lines = render.table_lines(table, Screen(80, wrap=True, colour=False))
    assert all(len(line) <= 80 for line in lines)
    assert "x" * 40 in "\n".join(lines)


def test_a_table_of_figures_that_no_screen_holds_is_told_row_by_row() -> None:
    columns = tuple(Column(f"figure{n}", right=True) for n in range(12))
    table = Table(columns=columns, rows=(tuple("1234567.89" for _ in columns),))
    lines = render.table_lines(table, Screen(80, wrap=True, colour=False))
    assert all(len(line) <= 80 for line in lines)
    assert " ".join(lines).count("1234567.89") == 12


def test_a_table_on_a_narrow_screen_is_fitted_to_eighty_columns() -> None:
    assert max(map(len, render.table_lines(WIDE, NARROW))) <= 80


@given(
    rows=st.lists(st.lists(st.text(max_size=60), min_size=3, max_size=3).map(tuple), min_size=1, max_size=4),
    width=st.integers(80, 160),
)
def test_any_table_is_within_its_width_and_keeps_every_character(
    rows: list[tuple[str, ...]], width: int
) -> None:
    table = Table(columns=(Column("a"), Column("b", right=True), Column("c")), rows=tuple(rows))
    lines = render.table_lines(table, Screen(width, wrap=True, colour=False))
    assert all(cell_len(line) <= width for line in lines)
    wanted = sorted("".join(render.clean(cell) for row in rows for cell in row).replace(" ", ""))
    found = sorted("".join(lines[1:]).replace(" ", ""))
    if lines[0].split() == ["a", "b", "c"]:
        assert wanted == found


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_an_event_is_one_flat_object_with_its_envelope() -> None:
    found = json.loads(render.event_json(record(FILL, seq=7)))
    assert list(found)[:6] == ["v", "seq", "ts", "mono", "session", "event"]
    assert (found["seq"], found["ts"], found["event"]) == (7, "2025-07-08T13:42:00Z", "OrderFilled")
    assert (found["symbol"], found["side"], found["price"]) == ("AAPL", "BUY", "190.14")
    assert "pnl" not in found


def test_an_account_is_masked_in_an_events_object() -> None:
    intent = OrderIntent(
        symbol="AAPL", order_ref="r", action="place", side=Side.BUY, qty=1, type=OrderType.MARKET, tif=Tif.DAY,
        outside_rth=False, account="DU1234567", con_id=1,
    )  # fmt: skip
    text = render.event_json(record(intent))
    assert "1234567" not in text
    assert json.loads(text)["account"] == "DU…4567"


def test_a_result_is_one_object() -> None:
    text = render.result_json(
        "buy AAPL 1", ok=True, data={"at": FILL.at, "price": FILL.price, "x": {1}}, error=None
    )
    assert "\n" not in text
    assert json.loads(text) == {
        "result": "buy AAPL 1",
        "ok": True,
        "data": {"at": "2025-07-08T13:42:01Z", "price": "190.14", "x": [1]},
        "error": None,
    }


def test_an_answer_without_data_gives_scripts_its_lines() -> None:
    table = Table(columns=(Column("a"), Column("b")), rows=(("1", "2"),))
    assert render.answer_data(Answer(lines=("hello", table))) == {"lines": ["hello", {"a": "1", "b": "2"}]}
    assert render.answer_data(Answer(lines=("hello",), data=[])) == []
    assert render.answer_data(Answer()) is None


@given(st.text(), st.integers(1, 60), st.integers(0, 80))
def test_wrapping_keeps_every_word_and_never_passes_the_width(text: str, width: int, indent: int) -> None:
    clean = render.clean(text)
    lines = render.wrapped(clean, max(width, 2), indent)
    assert all(cell_len(line) <= max(width, 2) for line in lines)
    assert "".join("".join(lines).split()) == "".join(clean.split())


@pytest.mark.parametrize("text", ["\x9b2J", "\u202e", "\x7f", "\U000e0001", "\x00"])
def test_json_holds_nothing_that_steers_a_terminal_and_loses_nothing(text: str) -> None:
    line = render.result_json(f"buy {text}", ok=False, data=None, error=text)
    assert line.isprintable()
    assert json.loads(line) == {"result": f"buy {text}", "ok": False, "data": None, "error": text}
