"""Words into values: what an operator may write for a symbol, a price, a quantity.

Laws: strict, because a misread number is money. Only ASCII, one notation, nothing guessed: ``190,5``, ``1e9``, ``0x10`` and
digits of other scripts are refused. Every parser returns the value or raises ``ValueError`` with the rule in words that fit
behind ``qty=1e9: …``; the grammar adds the word, the command and the example.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import time
from decimal import Decimal

from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import Tif

MAX_QTY = 10_000_000  # shares: a typing slip beyond this is caught here, the operator's own limits are guards
MAX_PRICE = Decimal(10_000_000)  # USD a share; the dearest US stock trades below one million
MAX_DECIMALS = 6  # finer than any price grid; the grid rounds
MAX_TAG = 40

_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,11}(?:[ .\-][A-Z0-9]{1,4})?", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.([0-9]+))?", re.ASCII)
_WHOLE = re.compile(r"[1-9][0-9]*", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd]?)", re.ASCII)
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")


def symbol(text: str) -> str:
    """Return a stock symbol in capitals: letters and digits, perhaps a class (``BRK.B``, ``BRK B``)."""
    found = text.upper() if text.isascii() else text
    if _SYMBOL.fullmatch(found) is None:
        raise ValueError("a symbol is letters and digits, perhaps with a class as in BRK.B")
    return found


def price(text: str) -> Price:
    """Return a price in USD above zero, written with digits and a dot."""
    value = decimal(text)
    if value <= 0:
        raise ValueError("a price is above zero")
    if value > MAX_PRICE:
        raise ValueError(f"a price is at most {MAX_PRICE}")
    return value


def decimal(text: str) -> Decimal:
    """Return a plain decimal number, zero included: digits, perhaps a dot and at most six more digits."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError(_why_no_number(text))
    if found[1] is not None and len(found[1]) > MAX_DECIMALS:
        raise ValueError(f"more than {MAX_DECIMALS} digits after the dot")
    return Decimal(text)


def quantity(text: str) -> Shares:
    """Return whole shares above zero."""
    if _WHOLE.fullmatch(text) is None:
        raise ValueError(_why_no_quantity(text))
    if len(text) > len(str(MAX_QTY)) or int(text) > MAX_QTY:
        raise ValueError(f"at most {MAX_QTY} shares an order")
    return int(text)


def count(text: str) -> int:
    """Return a whole number above zero that counts something other than shares."""
    if _WHOLE.fullmatch(text) is None or len(text) > 9:
        raise ValueError("a whole number above zero, digits only")
    return int(text)


def boolean(text: str) -> bool:
    """Return ``True`` for true, yes, on and ``False`` for false, no, off."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("is true or false")


def tif(text: str) -> Tif:
    """Return a time in force that needs nothing else: DAY, GTC, IOC or FOK."""
    offered = (Tif.DAY, Tif.GTC, Tif.IOC, Tif.FOK)
    for value in offered:
        if text.upper() == value.value:
            return value
    raise ValueError(f"is one of {' '.join(value.value for value in offered)}")


def seconds(text: str) -> float:
    """Return a duration above zero in seconds: ``30``, ``0.5``, ``30s``, ``5m``, ``2h``, ``1d``."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("a time is a number of seconds, or written 30s, 5m, 2h, 1d")
    value = float(found[1]) * _UNITS[found[2]]
    if value <= 0:
        raise ValueError("a time is above zero")
    return value


def clock(text: str) -> time:
    """Return a time of day of New York, written with hours 0 to 23 and two digits of minutes: ``9:45``, ``15:55``."""
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise ValueError("a time of day is written HH:MM, 24 hours, and means New York")
    return time(int(found[1]), int(found[2]))


def tag(text: str) -> str:
    """Return a label of the operator's own: printable ASCII, not too long for the broker's field."""
    if not text.isascii() or not text.isprintable() or len(text) > MAX_TAG or text != text.strip():
        raise ValueError(f"a tag is at most {MAX_TAG} plain letters, digits and signs")
    return text


def account(text: str) -> str:
    """Return an account id as the broker writes it: capitals and digits."""
    found = text.upper() if text.isascii() else text
    if re.fullmatch(r"[A-Z]{1,3}[0-9]{3,12}", found, re.ASCII) is None:
        raise ValueError("an account is written as the broker writes it, such as DU1234567")
    return found


def one_of(*words: str) -> Callable[[str], str]:
    """Return a parser that accepts exactly ``words``, in capitals or not."""

    def parse(text: str) -> str:
        if (found := text.lower()) not in words:
            raise ValueError(f"is one of {' '.join(words)}")
        return found

    return parse


def masked(account_id: str) -> str:
    """Return an account id fit for screens and files: ``DU1234567`` becomes ``DU…4567``; a masked one stays as it is."""
    if "…" in account_id or len(account_id) <= 6:
        return account_id
    letters = re.match(r"[A-Za-z]*", account_id)
    return f"{'' if letters is None else letters[0]}…{account_id[-4:]}"


def _why_no_number(text: str) -> str:
    if not text.isascii():
        return "only the digits 0 to 9 and a dot make a price"
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        return f"a comma is not read; a dot starts the cents, such as {text.replace(',', '.')}"
    if re.fullmatch(r"[0-9,_']+(\.[0-9]+)?", text) and any(c in text for c in ",_'"):
        return f"has a separator; write {re.sub('[^0-9.]', '', text)}"
    if re.fullmatch(r"[+-][0-9.]+", text):
        return "a price has no sign"
    if re.fullmatch(r"\$ ?[0-9.]+", text):
        return f"USD is understood; write {text.lstrip('$ ')}"
    if re.fullmatch(r"\.[0-9]+|[0-9]+\.", text):
        return "digits stand on both sides of the dot, such as 0.5"
    if re.fullmatch(r"[0-9.]+[eE][+-]?[0-9]+", text):
        return "exponents are not read; write all digits"
    return "is not a number such as 190 or 190.25"


def _why_no_quantity(text: str) -> str:
    if not text.isascii():
        return "only the digits 0 to 9 make a quantity"
    if re.fullmatch(r"0+", text):
        return "is zero; a quantity is a whole number of shares above zero"
    if re.fullmatch(r"0[0-9]+", text):
        return "starts with a zero; write it without"
    if re.fullmatch(r"-[0-9.]+", text):
        return "is negative; `sell` sells"
    if re.fullmatch(r"[0-9]+\.[0-9]*", text):
        return "is a fraction; only whole shares are traded"
    if re.fullmatch(r"[0-9]{1,3}([,_'][0-9]{3})+", text):
        return f"has a separator; write {re.sub('[^0-9]', '', text)}"
    if re.fullmatch(r"[0-9.]+[eE][+-]?[0-9]+", text):
        return "exponents are not read; write all digits"
    return "is not a whole number of shares such as 100"
