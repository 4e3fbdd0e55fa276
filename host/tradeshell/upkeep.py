"""Upkeep: what keeps a running program honest about itself: health of bar streams, logs of what was said, findings of `doctor`.

Laws: values and protocols only. A broker offers ``Diagnosable``, ``KeepsTime`` and ``StreamWitness`` by having the method, and is
as good a broker without. All times are aware UTC ``datetime``, lengths seconds.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

from msgspec import Struct

from tradeshell.core.orders import OrderSpec
from tradeshell.grammar import Result

StreamKey: TypeAlias = tuple[str, int, bool]  # symbol, length of its bars in seconds, regular hours only


# --- streams of bars --------------------------------------------------------------------------------------------------


class BarHealthSettings(Struct, frozen=True, kw_only=True):
    """When a stream of bars counts as stalled, and what is done about it (``APPS_BAR_…``). Times in seconds.

    A stream is stalled after ``max(stall_floor_secs, stall_multiplier * length)`` without data. Recovery (only when
    ``self_heal_enabled``) waits for ``recovery_stall_burst_count`` stalled looks in a row.
    """

    self_heal_enabled: bool = False
    health_poll_secs: float = 5.0
    stall_multiplier: float = 3.0
    stall_floor_secs: float = 30.0
    recovery_cooldown_secs: float = 60.0
    recovery_max_attempts: int = 5
    recovery_max_concurrency: int = 1
    recovery_stall_burst_count: int = 2


class StreamWord(StrEnum):
    """What a broker may say about its streams of bars, beside handing bars on."""

    BROKEN = "broken"  # it was ended or refused (10182, 162, 366, 420 …): no bar will come without a new subscription
    BLOCKED = "blocked"  # another session of the same login takes the data (10197): asking again is of no use
    CLEARED = "cleared"  # the broker says that data flows again


class StreamNews(Struct, frozen=True, kw_only=True):
    """What a broker says about one stream, or about all (of a symbol): ``None`` means every one.

    ``code`` and ``text`` are the broker's own words, kept as they are.
    """

    word: StreamWord
    symbol: str | None = None
    seconds: int | None = None
    rth: bool | None = None
    code: int = 0
    text: str = ""

    def is_about(self, key: StreamKey) -> bool:
        """Return whether this is about the stream ``key``."""
        mine = (self.symbol, self.seconds, self.rth)
        return all(said is None or said == its for said, its in zip(mine, key, strict=True))


@runtime_checkable
class StreamWitness(Protocol):
    """A broker that hears more of a stream than closed bars: a thin stock without a trade is no dead stream."""

    def last_heard(self, symbol: str, seconds: int, rth: bool) -> datetime | None:
        """Return when anything arrived for this stream (an update of its forming bar, an empty 5-second bar), or ``None``."""
        ...


class BlindStream(Result, frozen=True, kw_only=True):
    """A stream of bars that is stalled: its watchers are blind. ``since``: the last sign of life, or its subscription.

    ``state``: ``stalled``, ``recovering``, ``blocked`` (competing session) or ``given up``.
    """

    symbol: str
    seconds: int
    rth: bool
    since: datetime
    state: str
    watches: tuple[str, ...] = ()


# --- logs -------------------------------------------------------------------------------------------------------------


class LogSettings(Struct, frozen=True, kw_only=True):
    """Where the logs go: ``on`` (a file in the state folder), ``off``, or a path. At most ``max_mb`` each, ``keep`` old ones."""

    ops: str | Path = "on"
    gateway: str | Path = "off"
    max_mb: int = 20
    keep: int = 5


class WireLog(Protocol):
    """Takes raw messages for the gateway log. Never blocks, never raises; account ids are masked before anything is written."""

    def sent(self, frame: bytes | str) -> None:
        """Keep a message that leaves for the broker, without its length prefix."""
        ...

    def received(self, frame: bytes | str) -> None:
        """Keep a message that came from the broker, without its length prefix."""
        ...


class LogFile(Struct, frozen=True, kw_only=True):
    """A log that `tail` can show. ``path`` ``None``: it is not written; ``why`` it is not, or cannot be at present.

    ``lost``: lines that the disk did not take; ``waiting``: lines that are on their way to it.
    """

    name: str
    path: Path | None = None
    why: str = ""
    lost: int = 0
    waiting: int = 0


# --- doctor -----------------------------------------------------------------------------------------------------------


class Outcome(StrEnum):
    """How an examination ended. Only ``FAILED`` fails `doctor`."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"  # could not be examined, and says why


class Finding(Result, frozen=True, kw_only=True):
    """One line of `doctor`. ``name`` is one or two words, ``told`` what was found; ``remedy`` what to do, empty when all is well.

    Account ids in it are shown masked.
    """

    name: str
    outcome: Outcome
    told: str
    remedy: str = ""


@runtime_checkable
class Diagnosable(Protocol):
    """A broker that can be examined, connected or not."""

    async def examine(self) -> tuple[Finding, ...]:
        """Return what was found, in the order in which things depend on each other; sends no order that could trade.

        Must end by itself within ``EXAMINE_WITHIN`` seconds. What it raises becomes a failed finding of its own.
        """
        ...


@runtime_checkable
class KeepsTime(Protocol):
    """A broker whose clock can be asked for; the host compares and judges."""

    async def broker_time(self) -> datetime:
        """Return the broker's time; raises ``BrokerError`` when there is no answer."""
        ...


class Margin(Result, frozen=True, kw_only=True):
    """What an order would change, as the broker reckons it, USD; ``None`` for what it did not say. Equity is with loan value."""

    initial: Decimal | None = None
    maintenance: Decimal | None = None
    initial_after: Decimal | None = None
    equity_after: Decimal | None = None
    commission: Decimal | None = None


@runtime_checkable
class PreviewsOrders(Protocol):
    """A broker that says what an order would cost without taking it (IBKR calls it what-if)."""

    async def preview(self, order: OrderSpec) -> Margin:
        """Return what ``order`` would change; raises ``BrokerError`` when it would be refused, or nothing is said in time."""
        ...


@runtime_checkable
class NamesSymbols(Protocol):
    """A venue that has only so many symbols, or some that are worth a look: completion offers them."""

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols, without waiting."""
        ...


@runtime_checkable
class ConfirmsLive(Protocol):
    """A broker that asks nothing of a live account before its id was typed. The host lets others go as soon as they connect."""

    def unconfirmed(self) -> str:
        """Return the whole id of the live account that was left for that reason, empty when there is none."""
        ...

    def confirm_live(self, account: str) -> None:
        """Take the id that somebody typed; the next ``connect`` goes on with it."""
        ...


EXAMINE_WITHIN = 15.0
