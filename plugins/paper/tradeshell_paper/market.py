"""What feeds the venue: a market that has a tape for each of its symbols, and a first instant.

Laws: everything is read and checked when the market is made, before the venue's clock starts; from then on it only answers.
"""

from __future__ import annotations

import zlib
from datetime import UTC, date, datetime, time
from typing import Protocol, runtime_checkable

from tradeshell import BrokerError, ConfigError, Instrument, parse_symbol
from tradeshell_paper.calendar import FIRST_YEAR, LAST_YEAR, NEW_YORK, new_york_instant
from tradeshell_paper.tape import Tape


class MarketData(Protocol):
    """A generated, recorded or scripted market. ``end`` is ``None`` for one that never ends."""

    start: datetime
    words: str

    @property
    def end(self) -> datetime | None:
        """The instant of the last row."""
        ...

    def tape(self, symbol: str) -> Tape:
        """Return the tape of a symbol; raises ``BrokerError`` when the market has none."""
        ...


@runtime_checkable
class Named(Protocol):
    """A market that can say which symbols it has; those worth naming, when it has all."""

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols."""
        ...


class FixedMarket:
    """A market whose tapes are known from the beginning."""

    def __init__(self, tapes: dict[str, Tape], start: datetime, words: str) -> None:
        self.start = start
        self.words = words
        self._tapes = tapes
        self.end = max((end for tape in tapes.values() if (end := tape.end()) is not None), default=start)

    @property
    def names(self) -> tuple[str, ...]:
        """The symbols that it has."""
        return tuple(sorted(self._tapes))

    def tape(self, symbol: str) -> Tape:
        """Return the tape of a symbol."""
        tape = self._tapes.get(symbol)
        if tape is None:
            raise BrokerError(
                f"{symbol}: {self.words} has no such symbol; it has {', '.join(sorted(self._tapes))}"
            )
        return tape


def stock(symbol: str) -> Instrument:
    """Return the contract of a symbol; raises ``BrokerError`` for what cannot be one. The number depends on the symbol alone."""
    try:
        name = parse_symbol(symbol)
    except ValueError as error:
        raise BrokerError(f"{symbol}: {error}") from None
    return Instrument(symbol=name, con_id=zlib.crc32(name.encode()) % 900_000_000 + 1)


def parse_start(text: str, first_day: date) -> datetime:
    """Return the instant of ``--from``: ``HH:MM`` New York on ``first_day``, an ISO date (its open) or date and time.

    An ISO time without a zone is New York's. Raises ``ConfigError``.
    """
    try:
        if len(text) == len("HH:MM") and text[2] == ":":
            return new_york_instant(first_day, time.fromisoformat(text))
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--from {text}: is neither a time of day in New York nor an ISO date and time · example: --from 10:30"
        ) from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ConfigError(f"--from {text}: the venue plays the years {FIRST_YEAR} to {LAST_YEAR}")
    if len(text) == len("YYYY-MM-DD"):
        return open_of(at.date())
    return (at if at.tzinfo is not None else at.replace(tzinfo=NEW_YORK)).astimezone(UTC)


def open_of(day: date) -> datetime:
    """Return the regular open of a day: 09:30 New York, on half days too.

    The calendar is not asked: whether it is a trading day costs a tenth of a second to know, and every start would pay it.
    """
    return new_york_instant(day, time(9, 30))
