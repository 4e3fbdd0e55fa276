"""A line becomes words: quotes hold inside words, operators of other shells are refused and never eaten."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradeshell.shell import lines


@pytest.mark.parametrize(
    "line, words",
    [
        ("buy AAPL 100", ["buy", "AAPL", "100"]),
        ("  buy\tAAPL  ", ["buy", "AAPL"]),
        ('client_tag="my swing" again', ["client_tag=my swing", "again"]),
        ("note='a > b'", ["note=a > b"]),
        ('"it\'s"', ["it's"]),
        ("a\"b\"'c'", ["abc"]),
        ("''", [""]),
        (r"C:\x", [r"C:\x"]),
        ("", []),
    ],
)
def test_quotes_hold_words_together(line: str, words: list[str]) -> None:
    assert words == lines.words(line)


@pytest.mark.parametrize("line", ["buy 'AAPL", 'x"', "'\"'\""])
def test_an_open_quote_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="is not closed"):
        lines.raw_tokens(line)


@pytest.mark.parametrize("token", ["level>190", ">", ">>", "a|b", "100;", "<x", 'a"b">c'])
def test_an_operator_outside_quotes_is_refused_by_name(token: str) -> None:
    refusal = lines.refused_operator(["buy", token])
    assert refusal is not None
    assert refusal.startswith(f"{token}: ")


@pytest.mark.parametrize("token", ["'a > b'", 'note="x|y;z"', "a=b", "100"])
def test_what_stands_in_quotes_is_no_operator(token: str) -> None:
    assert lines.refused_operator([token]) is None


@given(st.text())
def test_every_line_is_words_or_one_refusal(line: str) -> None:
    try:
        tokens = lines.raw_tokens(line)
    except ValueError:
        return
    assert "".join(tokens) == "".join(c for c, quoted in _marked(line) if quoted or not c.isspace())


def _marked(line: str) -> list[tuple[str, bool]]:
    """Return each character with whether it stands inside quotes (the quotes themselves included)."""
    marked = []
    quote = ""
    for char in line:
        if quote:
            marked.append((char, True))
            quote = "" if char == quote else quote
        else:
            quote = char if char in "\"'" else ""
            marked.append((char, bool(quote)))
    return marked
