"""A typed line into tokens. Pure.

Laws: quotes hold words together, also inside a word (``tag="a b"``); there are no escapes. What other shells would take for an
operator (``>``, ``|``, ``;``) is refused by name, never eaten: ``level>190`` must not write a file, ``buy A 1; sell A 1`` must
not lose its second half.
"""

from __future__ import annotations

from tradeshell.grammar import shown

QUOTES = "\"'"

_OPERATORS = {
    ">": "a shell that trades writes no files; options are written key=value, and a quoted word may hold >",
    "<": "a shell that trades reads no files; options are written key=value, and a quoted word may hold <",
    "|": "output cannot be piped from here; run tradeshell -c 'COMMAND' | PROGRAM instead",
    ";": "one command a line; ; does not join commands",
}


def raw_tokens(line: str) -> list[str]:
    """Return the words of ``line`` with their quotes; raises ``ValueError`` when a quote is not closed."""
    tokens: list[str] = []
    token = quote = ""
    for char in line:
        if quote:
            token += char
            if char == quote:
                quote = ""
        elif char in QUOTES:
            token += char
            quote = char
        elif char.isspace():
            if token:
                tokens.append(token)
            token = ""
        else:
            token += char
    if quote:
        raise ValueError(f"the quote {quote} is not closed")
    if token:
        tokens.append(token)
    return tokens


def unquoted(token: str) -> str:
    """Return the word that a token with quotes stands for."""
    word = quote = ""
    for char in token:
        if quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif char in QUOTES:
            quote = char
        else:
            word += char
    return word


def words(args: str) -> list[str]:
    """Return the words of ``args`` without quotes; raises ``ValueError`` when a quote is not closed."""
    return [unquoted(token) for token in raw_tokens(args)]


def refused_operator(tokens: list[str]) -> str | None:
    """Return one line that refuses the first unquoted operator in ``tokens``, or ``None`` when there is none."""
    for token in tokens:
        quote = ""
        for char in token:
            if quote:
                quote = "" if char == quote else quote
            elif char in QUOTES:
                quote = char
            elif char in _OPERATORS:
                return f"{shown(token)}: {_OPERATORS[char]}"
    return None
