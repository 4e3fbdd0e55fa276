"""A line of the log: one JSON object, whatever the event holds."""

from __future__ import annotations

import json
import re
import zlib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.jsonl_log.kit import NOON, Noted, log, record, write

from tradeshell import Event, OrderFilled, Record, Side
from tradeshell_jsonl_log.lines import LONGEST, encode


def test_a_line_is_the_envelope_and_the_fields_that_are_set(tmp_path: Path) -> None:
    event = OrderFilled(
        symbol="AAPL",
        leg="tp1",
        order_ref="ts:br-1:tp1:1",
        order_id=17,
        exec_id="0001.01",
        side=Side.SELL,
        qty=60,
        price=Decimal("195.00"),
        cumulative=60,
        order_qty=60,
        at=NOON,
        pnl=None,
    )
    with log(tmp_path) as sink:
        sink(record(5, ts=NOON + timedelta(microseconds=114_000), event=event))
    text = (tmp_path / "events.jsonl").read_text(encoding="utf-8")
    assert re.sub('"crc":"[0-9a-f]{8}"', '"crc":"CRC"', text) == (
        '{"v":1,"seq":1,"ts":"2026-03-02T17:00:00.114000Z","mono":12.345679,"session":"s1","n":5,"event":"OrderFilled",'
        '"symbol":"AAPL","leg":"tp1","order_ref":"ts:br-1:tp1:1","order_id":17,"exec_id":"0001.01","side":"SELL","qty":60,'
        '"price":"195.00","cumulative":60,"order_qty":60,"at":"2026-03-02T17:00:00Z","crc":"CRC"}\n'
    )


def test_a_field_that_is_called_like_one_of_the_envelope_gets_another_name() -> None:
    class Odd(Event, frozen=True, kw_only=True):
        seq: int
        ts: str
        n: int

    line = json.loads(encode(record(3, event=Odd(seq=7, ts="never", n=9)), 2))
    assert (line["seq"], line["n"], line["seq_"], line["ts_"], line["n_"]) == (2, 3, 7, "never", 9)


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("no words")

    __str__ = __repr__


class Endless(dict[str, object]):
    def __init__(self) -> None:
        super().__init__()
        self["self"] = self


ODD: list[tuple[object, object]] = [
    (float("nan"), None),
    (float("inf"), None),
    (Decimal("NaN"), "NaN"),
    (Decimal("1E+30"), "1E+30"),
    (2**80, 2**80),
    ("two\nlines\u2028\x00", "two\nlines\u2028\x00"),
    ({1: {2}}, {"1": [2]}),
    ({(1, 2): 3}, {"(1, 2)": 3}),
    (Path("a/b"), "a/b"),
    (timedelta(seconds=90), "PT90S"),
]


@pytest.mark.parametrize("value, read", ODD, ids=[repr(value) for value, _ in ODD])
def test_P10_an_odd_value_is_kept_as_json_knows_it(value: object, read: object) -> None:
    line = json.loads(encode(record(event=Noted(what=value)), 1), parse_constant=pytest.fail)
    assert line.get("what") == read
    assert "unreadable" not in line


@pytest.mark.parametrize("value", ["\ud800", Unspeakable(), Endless()], ids=["surrogate", "repr", "endless"])
def test_P10_a_value_that_cannot_be_kept_costs_its_event_the_fields_not_the_line(value: object) -> None:
    raw = encode(record(event=Noted(what=value, symbol="AAPL")), 1)
    line = json.loads(raw)
    assert b"\n" not in raw
    assert (line["seq"], line["event"], line["ts"]) == (1, "Noted", "2026-03-02T17:00:00+00:00")
    assert line["unreadable"]
    assert line["fields"]["symbol"] == "'AAPL'"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | st.builds(object)
    | st.builds(Unspeakable),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
    max_leaves=8,
)


@given(value=VALUES, session=st.text(st.characters()), mono=st.floats())
def test_P10_whatever_an_event_holds_its_line_is_one_json_object(
    value: object, session: str, mono: float
) -> None:
    raw = encode(Record(v=1, seq=1, ts=NOON, mono=mono, session=session, event=Noted(what=value)), 3)
    assert b"\n" not in raw
    line = json.loads(raw, parse_constant=pytest.fail)
    assert (line["v"], line["seq"], line["n"], line["event"]) == (1, 3, 1, "Noted")


def test_an_event_that_is_too_long_for_a_line_is_described(tmp_path: Path) -> None:
    with log(tmp_path) as sink:
        sink(record(event=Noted(what="x" * LONGEST, symbol="AAPL")))
        sink(record(2))
    first, second = (json.loads(line) for line in (tmp_path / "events.jsonl").read_bytes().splitlines())
    assert first["unreadable"].endswith("bytes are too long for a line")
    assert first["fields"]["symbol"] == "'AAPL'"
    assert (second["seq"], second["what"]) == (2, 2)


def test_a_seal_is_the_crc_of_the_line_and_of_all_before_it(tmp_path: Path) -> None:
    chain = 0
    for line in write(tmp_path, 3).read_text(encoding="utf-8").splitlines():
        said, _, seal = line.rpartition('"crc":"')
        chain = zlib.crc32(f'{said}"crc":"'.encode(), chain)
        assert seal == f'{chain:08x}"}}'
