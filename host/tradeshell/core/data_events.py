"""Announced events about streams of bars (stalled, recovered, and what is done in between) and logs (``events`` has the rest).

Laws: as in ``events``; a watcher whose bars do not come is blind, and the line says so. ``seconds`` is the length of the stream's
bars, ``rth`` whether it has regular hours only, ``watches`` the watchers that listen to it.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tradeshell.core.events import Event, Weight, money
from tradeshell.core.market import Price


def length_words(seconds: int) -> str:
    """Return a bar's length as it is typed: ``1m``, ``5s``, ``1h``."""
    for size, letter in ((3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def _bars(seconds: int) -> str:
    return f"{length_words(seconds)} bars"


def time_words(seconds: float) -> str:
    """Return a time for people: ``95 s``, ``12 min``."""
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


class BarStreamStalled(Event, frozen=True, kw_only=True):
    """No data came for ``silent`` seconds (``limit`` is allowed), or the broker ended the stream: its ``code`` and ``reason``."""

    weight: ClassVar[Weight] = Weight.ALARM
    seconds: int
    rth: bool
    watches: tuple[str, ...] = ()
    silent: float
    limit: float
    code: int = 0
    reason: str = ""

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        said = f"{self.reason} ({self.code})" if self.code else self.reason
        why = said or f"none for {time_words(self.silent)}, {time_words(self.limit)} are allowed"
        return f"{_bars(self.seconds)} have stalled: {why}{_blind(self.watches)} · nothing is entered on old data"


class BarStreamRecovered(Event, frozen=True, kw_only=True):
    """Data comes again after ``silent`` seconds, ``by`` ``self`` or ``resubscription``; up to ``missed`` bars did not come."""

    weight: ClassVar[Weight] = Weight.GOOD
    seconds: int
    rth: bool
    watches: tuple[str, ...] = ()
    by: str
    silent: float
    attempts: int = 0
    missed: int = 0

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        how = "by itself" if self.by == "self" else f"after {_times(self.attempts, 'new subscription')}"
        missed = f" · {_times(self.missed, 'bar')} missed, they decide nothing" if self.missed else ""
        return f"{_bars(self.seconds)} come again {how}, silent for {time_words(self.silent)}{missed}"


class BarStreamRecoveryStarted(Event, frozen=True, kw_only=True):
    """The stream is subscribed again, the old subscription ended: attempt ``attempt`` of ``most``."""

    seconds: int
    rth: bool
    watches: tuple[str, ...] = ()
    attempt: int
    most: int

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        return f"{_bars(self.seconds)} are subscribed again ({self.attempt} of {self.most})"


class BarStreamRecoveryFailed(Event, frozen=True, kw_only=True):
    """An attempt brought no data. ``again_at``: when the next one may begin (UTC); ``None``: given up until the link changes."""

    weight: ClassVar[Weight] = Weight.BAD
    seconds: int
    rth: bool
    watches: tuple[str, ...] = ()
    attempt: int
    most: int
    reason: str
    again_at: datetime | None = None

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        words = f"{_bars(self.seconds)} do not come back ({self.attempt} of {self.most}): {self.reason}"
        if self.again_at is not None:
            return f"{words} · tried again"
        return f"{words} · given up until the link changes{_blind(self.watches)} · `disconnect`, `connect` tries again"

    def how(self) -> Weight:
        return Weight.ALARM if self.again_at is None else Weight.BAD


class BarStreamRecoveryScanScheduled(Event, frozen=True, kw_only=True):
    """Streams are stalled and wait for their turn: ``waiting`` of them, looked at again at ``next_at`` (UTC)."""

    next_at: datetime
    waiting: int


class BarStreamGapRead(Event, frozen=True, kw_only=True):
    """History has ``count`` of the bars that were missed, between ``low`` and ``high`` (USD). They decide nothing."""

    seconds: int
    rth: bool
    watches: tuple[str, ...] = ()
    count: int
    low: Price
    high: Price

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        return (
            f"{_times(self.count, 'missed bar')} between {money(self.low)} and {money(self.high)} · "
            "what happened in them triggers nothing"
        )


class BarStreamCompetingSessionBlocked(Event, frozen=True, kw_only=True):
    """Another session of the same login takes the market data: no stream is asked for again before that ends."""

    weight: ClassVar[Weight] = Weight.ALARM
    code: int
    reason: str

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        return (
            f"another session of this login takes the market data ({self.code}: {self.reason}) · log that one off, "
            "or give it a user of its own; streams are not asked for again before data is back"
        )


class BarStreamCompetingSessionCleared(Event, frozen=True, kw_only=True):
    """Market data was blocked for ``blocked`` seconds. ``by``: ``data`` came, the ``broker`` said so, or a new ``link`` began."""

    weight: ClassVar[Weight] = Weight.GOOD
    by: str
    blocked: float

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        if self.by == "link":
            return "a new connection: market data is asked for again"
        return f"market data is back after {time_words(self.blocked)}: the other session has let go of it"


class LogFailed(Event, frozen=True, kw_only=True):
    """A line of the ``ops`` or the ``gateway`` log could not be written; every further line is tried."""

    weight: ClassVar[Weight] = Weight.BAD
    log: str
    reason: str

    def label(self) -> str:
        return "log"

    def story(self) -> str | None:
        return f"the {self.log} log cannot be written: {self.reason} · trading goes on, `tail {self.log}` shows how far it goes"


def _blind(watches: tuple[str, ...]) -> str:
    return f" · blind: {' '.join(watches)}" if watches else ""


def _times(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
