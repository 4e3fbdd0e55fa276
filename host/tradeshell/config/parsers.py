"""Parsers of settings: a text or a TOML value in, the value out, ``ValueError`` with the rule otherwise."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

from tradeshell import words
from tradeshell.core.policy import Resume
from tradeshell.grammar import shown

ON, OFF = "on", "off"
MIN_COLLAR, MAX_COLLAR = Decimal("0.1"), Decimal(50)  # percent
MAX_WINDOW = 3600  # seconds


def boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if isinstance(value, str | int) and text in ("true", "yes", "on", "1"):
        return True
    if isinstance(value, str | int) and text in ("false", "no", "off", "0"):
        return False
    raise ValueError("is true or false")


def whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        text = str(value)
        plain = isinstance(value, str | int) and not isinstance(value, bool)
        if plain and re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) and low <= int(text) <= high:
            return int(text)
        raise ValueError(f"is a whole number from {low} to {high}")

    return parse


def span(low: float, high: float) -> Callable[[object], float]:
    """Return a parser of a number from ``low`` to ``high``."""

    def parse(value: object) -> float:
        text = _number(value)
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text, re.ASCII) and low <= float(text) <= high:
            return float(text)
        raise ValueError(f"is a number from {low:g} to {high:g}")

    return parse


def log(value: object) -> str | Path:
    """Return where a log goes: ``on``, ``off``, or a path."""
    if isinstance(value, bool):
        return ON if value else OFF
    if isinstance(value, str) and value.strip().lower() in (ON, OFF):
        return value.strip().lower()
    try:
        return path(value)
    except ValueError:
        raise ValueError("is on, off, or a path") from None


def choice(*words_: str) -> Callable[[object], str]:
    """Return a parser of one of some words."""

    def parse(value: object) -> str:
        if isinstance(value, str) and value.strip().lower() in words_:
            return value.strip().lower()
        raise ValueError(f"is {' or '.join(words_)}")

    return parse


def name(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,40}", value, re.ASCII):
        return value
    raise ValueError("is a name of lower-case letters, digits and _")


def account(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("an account is a text, such as DU1234567")  # noqa: TRY004  # every parser refuses with ValueError
    return words.account(value)


def never_in_a_file(value: object) -> None:
    """Refuse: a live account is allowed for one start, by somebody who types its id."""
    del value
    raise ValueError("is typed when the program asks, or said with --live-account; a file cannot say it")


def host(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", value, re.ASCII):
        return value
    raise ValueError("is a host name or an address")


def path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
        raise ValueError("is a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("starts with ~ and there is no such home") from None


def _items(value: object) -> tuple[object, ...]:
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    if isinstance(value, Sequence):
        return tuple(value)
    raise ValueError("is a list")


def plugins(value: object) -> tuple[str, ...]:
    names = _items(value)
    if not all(isinstance(name, str) and re.fullmatch(r"[\w.-]+", name) for name in names):
        raise ValueError("is a list of plugin names")
    return tuple(dict.fromkeys(str(name) for name in names))


def files(value: object) -> tuple[Path, ...]:
    # A comma may be part of a file's name, so a text is one file.
    return tuple(path(item) for item in ((value,) if isinstance(value, str | Path) else _items(value)))


def speed(value: object) -> float:
    if value == "max":
        return math.inf
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII) and float(text) > 0:
            return float(text)
    raise ValueError("is a factor above 0, or max")


def start(value: object) -> str:
    if isinstance(value, date):  # TOML has dates and times of its own
        return value.isoformat()
    if isinstance(value, str):
        if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value, re.ASCII):
            return value
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    raise ValueError("is a time of day in New York, or an ISO date and time")


def market(value: object) -> tuple[str, ...]:
    return tuple(_symbol_at_price(item) for item in _items(value))


def _symbol_at_price(item: object) -> str:
    symbol, equals, price = str(item).partition("=")
    if not equals:
        raise ValueError(f"{shown(symbol)!r} lacks its price")
    return f"{words.symbol(symbol)}={words.price(price)}"


def resume(value: object) -> Resume:
    text = str(value).strip().lower()
    if isinstance(value, str) and text in {each.value for each in Resume}:
        return Resume(text)
    raise ValueError(f"is one of {' '.join(Resume)}")


def limit(parse: Callable[[str], object]) -> Callable[[object], object]:
    """Return a parser of a limit that can be switched off: ``off``, or what ``parse`` makes of a number."""

    def check(value: object) -> object:
        text = _number(value)
        if text.lower() == OFF:
            return OFF
        try:
            return parse(text)
        except ValueError as error:
            raise ValueError(f"{error}, or off") from None

    return check


def amount(text: str) -> Decimal:
    """Return an amount in USD above zero."""
    try:
        found = words.decimal(text)
    except ValueError:
        found = Decimal(0)
    if found <= 0:
        raise ValueError("is an amount in USD above zero")
    return found


def shares(text: str) -> int:
    try:
        return words.quantity(text)
    except ValueError:
        raise ValueError(f"is a whole number of shares from 1 to {words.MAX_QTY}") from None


def orders(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,5}", text, re.ASCII) is None:
        raise ValueError("is a whole number from 1 to 999999")
    return int(text)


def window(text: str) -> float:
    """Return seconds, an hour at the most."""
    if (
        re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text, re.ASCII) is None
        or not 0 < float(text) <= MAX_WINDOW
    ):
        raise ValueError(f"is a number of seconds from 0.001 to {MAX_WINDOW}")
    return float(text)


def collar(value: object) -> Decimal:
    """Return a percentage; a part of one (0.03) is refused, because it would be taken for a hundredth of what was meant."""
    found = re.fullmatch(r"([0-9]{1,2}(?:\.[0-9]{1,4})?) ?%?", _number(value), re.ASCII)
    if found is None or not MIN_COLLAR <= Decimal(found[1]) <= MAX_COLLAR:
        raise ValueError(f"is a percentage from {MIN_COLLAR} to {MAX_COLLAR}")
    return Decimal(found[1])


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""  # no number: refused by the rule
    text = str(value).strip()
    return text.removesuffix(".0") if isinstance(value, float) else text


def text_of(parse: Callable[[str], object]) -> Callable[[object], str]:
    """Return a parser of a command's word: what ``parse`` accepts is kept as text, as if it had been typed."""

    def check(value: object) -> str:
        if not isinstance(value, str | int | float):
            raise ValueError("is a number or a text")  # noqa: TRY004  # pydantic and the callers expect ValueError
        text = str(value).lower() if isinstance(value, bool) else str(value)
        parse(text)
        return text

    return check


def or_off(parse: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text == "off" else parse(text)
