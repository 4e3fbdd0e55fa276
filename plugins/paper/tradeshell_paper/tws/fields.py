"""Values of the TWS API: how the gateway writes them, and how it reads what clients of every kind write.

Laws: numbers leave as plain decimals without an exponent, whole ones without a fraction (a client of 2020 reads sizes with
``int``); "not set" leaves as the text that the field's table asks for. What comes in is read generously, and what cannot be
read is a ``FieldError`` that names the field.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo

from tradeshell_paper.calendar import NEW_YORK

UNSET_DOUBLE = "1.7976931348623157E308"
UNSET_INT = "2147483647"
UNSET_DECIMAL = "170141183460469231731687303715884105727"
# Names that clients use, some of which a system's own data does not have any more.
ZONES = {
    "US/EASTERN": "America/New_York",
    "US/CENTRAL": "America/Chicago",
    "US/MOUNTAIN": "America/Denver",
    "US/PACIFIC": "America/Los_Angeles",
    "EST": "America/New_York",
    "EDT": "America/New_York",
    "EST5EDT": "America/New_York",
    "GMT": "UTC",
    "Z": "UTC",
}
ZONE_NAME = "US/Eastern"  # what a gateway calls the zone of New York

_LARGEST = Decimal("1.797693134862315E308")
_DATE_TIME = re.compile(r"(\d{8})(?:[ -]+(\d{1,2}):(\d{2}):(\d{2}))?(?: +(\S+))?", re.ASCII)


class FieldError(ValueError):
    """A field that cannot be read; the text says which and why."""


def number(value: Decimal | float) -> str:
    """Return a number as plain text: ``100``, ``0.0001``, ``189.4``."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        value = Decimal(repr(value))
    if value.is_infinite():
        return "Infinity" if value > 0 else "-Infinity"
    if value == value.to_integral_value():
        return str(int(value))
    return format(value.normalize(), "f")


@lru_cache(maxsize=65536)
def price_text(price: Decimal) -> str:
    """Return a price; the same ones come again and again."""
    return number(price)


def real(value: Decimal | None) -> str:
    """Return a price field of an order: ``0.0`` where there is none, as a gateway writes it."""
    if value is None or value == 0:
        return "0.0"
    text = number(value)
    return text if "." in text else f"{text}.0"


def optional(value: Decimal | None, unset: str = "") -> str:
    """Return a number, or ``unset``."""
    return unset if value is None else number(value)


# --- instants ---------------------------------------------------------------------------------------------------------


def epoch(at: datetime) -> int:
    """Return whole seconds since 1970."""
    return int(at.timestamp())


def stamp(at: datetime) -> str:
    """Return an instant as ``YYYYMMDD HH:MM:SS US/Eastern``."""
    return f"{at.astimezone(NEW_YORK):%Y%m%d %H:%M:%S} {ZONE_NAME}"


def day_text(at: datetime) -> str:
    """Return the New York day of an instant as ``YYYYMMDD``."""
    return f"{at.astimezone(NEW_YORK):%Y%m%d}"


def minute_text(at: datetime) -> str:
    """Return the New York minute of an instant as ``YYYYMMDD:HHMM``, as trading hours are written."""
    return f"{at.astimezone(NEW_YORK):%Y%m%d:%H%M}"


def parse_instant(text: str, name: str = "time") -> datetime | None:
    """Return an instant, ``None`` for an empty text.

    ``YYYYMMDD HH:MM:SS [zone]``, ``YYYYMMDD-HH:MM:SS`` (UTC), ``YYYYMMDD`` (its end). Without a zone it is New York's.
    """
    text = text.strip()
    if not text:
        return None
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise FieldError(f"{name} {text!r} is not YYYYMMDD HH:MM:SS")
    try:
        day = date(int(found[1][:4]), int(found[1][4:6]), int(found[1][6:]))
        zone = NEW_YORK if found[5] is None else zone_of(found[5])
        if found[2] is None:
            return datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
        clock = time(int(found[2]), int(found[3]), int(found[4]))
        if found[5] is None and text[8] == "-":
            return datetime.combine(day, clock, UTC)
        return datetime.combine(day, clock, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise FieldError(f"{name} {text!r} is no date and time") from None


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """Return a zone by the names that clients use; raises ``FieldError``."""
    try:
        return ZoneInfo(ZONES.get(name.upper(), name))
    except (KeyError, ValueError, OSError):
        raise FieldError(f"time zone {name!r} is not known") from None


# --- reading ----------------------------------------------------------------------------------------------------------


class Fields:
    """The fields of one message, read from left to right."""

    def __init__(self, values: list[str]) -> None:
        self._values = values
        self._at = 0

    @property
    def left(self) -> list[str]:
        """What was not read yet."""
        return self._values[self._at :]

    def text(self, name: str = "") -> str:
        """Return the next field."""
        if self._at >= len(self._values):
            raise FieldError(f"the message ends before {name or 'a field'}")
        self._at += 1
        return self._values[self._at - 1]

    def whole(self, name: str = "", default: int = 0) -> int:
        """Return a whole number, ``default`` when it is not set."""
        text = self.text(name)
        if text in ("", UNSET_INT):
            return default
        try:
            return int(text)
        except ValueError:
            value = _decimal(text, name)
            if value is None or value != value.to_integral_value() or abs(value) > 2**63:
                raise FieldError(f"{name} {text[:40]!r} is not a whole number") from None
            return int(value)

    def maybe_whole(self, name: str = "") -> int | None:
        """Return a whole number, ``None`` when it is not set."""
        if self._at < len(self._values) and self._values[self._at] in ("", UNSET_INT):
            self._at += 1
            return None
        return self.whole(name)

    def real(self, name: str = "") -> Decimal | None:
        """Return a number, ``None`` when it is not set."""
        return _decimal(self.text(name), name)

    def flag(self, name: str = "") -> bool:
        """Return a truth: ``1``, ``true``; ``0``, ``false`` or empty."""
        text = self.text(name)
        if text in ("1", "true", "True"):
            return True
        if text in ("", "0", "false", "False"):
            return False
        value = _decimal(text, name)
        return value is not None and value != 0


def _decimal(text: str, name: str) -> Decimal | None:
    if text in ("", UNSET_DOUBLE, UNSET_INT, UNSET_DECIMAL):
        return None
    if text in ("Infinity", "Infinite", "inf"):
        return Decimal("Infinity")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise FieldError(f"{name} {text[:40]!r} is not a number") from None
    if value.is_nan():
        raise FieldError(f"{name} {text[:40]!r} is not a number")
    return None if abs(value) >= _LARGEST and value.is_finite() else value
