"""Words become values strictly: what is not exactly a number is refused, and the refusal says what was read."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeshell import words as w
from tradeshell.core.orders import Tif


@pytest.mark.parametrize(
    "text, value",
    [
        ("190", "190"),
        ("190.25", "190.25"),
        ("0.0001", "0.0001"),
        ("190.250000", "190.250000"),
        ("007.5", "7.5"),
    ],
)
def test_a_price_is_digits_and_a_dot(text: str, value: str) -> None:
    assert Decimal(value) == w.price(text)


@pytest.mark.parametrize(
    "text, why",
    [
        ("190,5", "such as 190.5"),
        ("1,900.50", "write 1900.50"),
        ("1_900", "write 1900"),
        ("1e9", "exponents"),
        ("1E+2", "exponents"),
        ("0x10", "is not a number"),
        ("nan", "is not a number"),
        ("NaN", "is not a number"),
        ("inf", "is not a number"),
        ("-5", "sign"),
        ("+5", "sign"),
        ("$190", "write 190"),
        (".5", "both sides"),
        ("5.", "both sides"),
        ("", "is not a number"),
        (" 190", "is not a number"),
        ("190\n", "is not a number"),
        ("\uff11\uff19\uff10", "0 to 9"),
        ("١٩٠", "0 to 9"),
        ("190.1234567", "more than 6"),
        ("0", "above zero"),
        ("0.000", "above zero"),
        ("10000001", "at most"),
        ("1" * 500, "is not a number"),
    ],
)
def test_a_price_that_is_no_price_is_refused_with_what_was_read(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        w.price(text)
    assert why in str(refusal.value)


@pytest.mark.parametrize("text, value", [("1", 1), ("100", 100), ("10000000", 10_000_000)])
def test_a_quantity_is_a_whole_number_of_shares(text: str, value: int) -> None:
    assert value == w.quantity(text)


@pytest.mark.parametrize(
    "text, why",
    [
        ("0", "is zero"),
        ("00", "is zero"),
        ("0100", "starts with a zero"),
        ("-100", "`sell` sells"),
        ("100.0", "fraction"),
        ("1,000", "write 1000"),
        ("1e9", "exponents"),
        ("0x10", "not a whole number"),
        ("1k", "not a whole number"),
        ("\uff11\uff10\uff10", "0 to 9"),
        ("10000001", "at most"),
        ("9" * 400, "at most"),
        ("", "not a whole number"),
        ("nan", "not a whole number"),
    ],
)
def test_a_quantity_that_is_none_is_refused_with_what_was_read(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        w.quantity(text)
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    "text, value", [("aapl", "AAPL"), ("BRK.B", "BRK.B"), ("brk b", "BRK B"), ("BF-A", "BF-A")]
)
def test_a_symbol_is_read_in_capitals(text: str, value: str) -> None:
    assert value == w.symbol(text)


@pytest.mark.parametrize("text", ["", "1A", "AAPL;", "A" * 13, "AÄ", "AAPL\x1b", "../x", "A.B.C", "\u017f"])
def test_what_is_no_symbol_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="letters and digits"):
        w.symbol(text)


@pytest.mark.parametrize(
    "text, value", [("30", 30.0), ("0.5", 0.5), ("30s", 30.0), ("5m", 300.0), ("2h", 7200.0)]
)
def test_a_time_is_seconds_or_has_a_unit(text: str, value: float) -> None:
    assert value == w.seconds(text)


@pytest.mark.parametrize("text", ["0", "0s", "-1", "1e3", "5 m", "m", "5w", "nan", "inf", "", "٣"])
def test_a_time_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        w.seconds(text)


def test_a_switch_is_true_or_false_in_a_few_words() -> None:
    assert [w.boolean(x) for x in ("true", "YES", "on", "false", "no", "OFF")] == [True] * 3 + [False] * 3
    for text in ("1", "0", "t", "", "maybe"):
        with pytest.raises(ValueError, match="true or false"):
            w.boolean(text)


def test_a_time_in_force_that_needs_a_date_is_not_offered() -> None:
    assert w.tif("gtc") is Tif.GTC
    with pytest.raises(ValueError, match="DAY GTC IOC FOK"):
        w.tif("GTD")


@pytest.mark.parametrize("text", ["a\tb", " a", "a ", "x" * 41, "ä", "a\x00"])
def test_a_tag_is_short_and_plain(text: str) -> None:
    assert w.tag("swing 3") == "swing 3"
    with pytest.raises(ValueError, match="tag"):
        w.tag(text)


@pytest.mark.parametrize(
    "account, masked",
    [("DU1234567", "DU…4567"), ("U7654321", "U…4321"), ("DU…0001", "DU…0001"), ("", ""), ("DEMO", "DEMO")],
)
def test_an_account_is_masked_once(account: str, masked: str) -> None:
    assert masked == w.masked(account) == w.masked(w.masked(account))


@pytest.mark.parametrize(
    "parse", [w.price, w.quantity, w.symbol, w.seconds, w.boolean, w.tif, w.tag, w.account, w.count]
)
@given(text=st.text(max_size=30))
def test_any_text_is_a_value_or_a_refusal_of_one_line(parse: Callable[[str], Any], text: str) -> None:
    refusal = ""
    value: Any = None
    try:
        value = parse(text)
    except ValueError as error:
        refusal = str(error)
        assert refusal, "a refusal says why"  # both ways are right, and each is looked at
    assert "\n" not in refusal
    assert text.isascii() or refusal
    assert not isinstance(value, float) or math.isfinite(value)


@given(st.decimals(min_value="0.000001", max_value=10**6, places=6))
def test_every_plain_price_comes_through_unchanged(value: Decimal) -> None:
    assert value == w.price(format(value, "f"))
