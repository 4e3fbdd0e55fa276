"""What the venue's broker says of itself: for `doctor`, and for those who look after its streams of bars.

Laws: the venue's clock is the host's, and its streams do not stall: a minute without a trade is a quiet one. They go dead only
where the setting ``dead_streams`` says so: ``SYM@HH:MM`` is a subscription that hears nothing from then on (New York), a new one
does; ``SYM@HH:MM-HH:MM`` hears no bar that closes in between, whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, time
from typing import TypeAlias

from msgspec import Struct

from tradeshell import Bar, BrokerInfo, DataKind, Finding, Outcome, Quote, VenueClock, masked, parse_symbol
from tradeshell_paper.calendar import new_york_day, new_york_instant, session_at
from tradeshell_paper.cursors import OnBar

StreamKey: TypeAlias = tuple[str, int, bool]
EVERY = "ALL"


class DeadStream(Struct, frozen=True, kw_only=True):
    """When streams of ``symbol`` (or ``ALL``) are dead, New York: from ``begins`` to ``ends``, or for old subscriptions only."""

    symbol: str
    begins: time
    ends: time | None = None

    def silences(self, symbol: str, subscribed_at: datetime, at: datetime) -> bool:
        """Return whether a subscription to ``symbol`` made at ``subscribed_at`` does not hear what comes at ``at``."""
        day = new_york_day(at)
        begins = new_york_instant(day, self.begins)
        if self.symbol not in (EVERY, symbol) or at <= begins:
            return False
        return subscribed_at <= begins if self.ends is None else at <= new_york_instant(day, self.ends)


def read_dead_streams(value: object) -> tuple[DeadStream, ...]:
    """Return what the setting says; raises ``ValueError`` with the rule."""
    if value == "none":
        return ()
    words = (value,) if isinstance(value, str) else value
    if not isinstance(words, Sequence):
        raise ValueError("is a list such as AAPL@10:05, or AAPL@10:05-10:20")  # noqa: TRY004  # the table expects ValueError
    return tuple(map(_dead_stream, words))


def _dead_stream(word: object) -> DeadStream:
    clock = r"((?:[01][0-9]|2[0-3]):[0-5][0-9])"
    found = re.fullmatch(rf"([^@]+)@{clock}(?:-{clock})?", word, re.ASCII) if isinstance(word, str) else None
    if found is None:
        raise ValueError("is a list such as AAPL@10:05, or AAPL@10:05-10:20")
    begins, ends = time.fromisoformat(found[2]), None if found[3] is None else time.fromisoformat(found[3])
    if ends is not None and ends <= begins:
        raise ValueError(f"{found[0]} ends before it begins")
    return DeadStream(symbol=parse_symbol(found[1]), begins=begins, ends=ends)


class Streams:
    """What is heard of the streams of bars. Where no stream is dead it costs a bar nothing."""

    def __init__(self, clock: VenueClock, dead: tuple[DeadStream, ...]) -> None:
        self._clock = clock
        self._dead = dead
        self._subscribed: dict[StreamKey, datetime] = {}
        self._heard: dict[StreamKey, datetime] = {}

    def listener(self, key: StreamKey, on_bar: OnBar) -> OnBar:
        """Return what a new subscription to ``key`` calls for each bar."""
        symbol = key[0]
        if not any(each.symbol in (EVERY, symbol) for each in self._dead):
            return on_bar
        since = self._subscribed[key] = self._clock.now()

        def hear(bar: Bar) -> None:
            if not self._is_dead(symbol, since, bar.end):
                on_bar(bar)

        return hear

    def last_heard(self, key: StreamKey) -> datetime | None:
        """Return when the stream was alive last: now, unless it is dead."""
        now = self._clock.now()
        if not self._is_dead(key[0], self._subscribed.get(key, now), now):
            self._heard[key] = now
        return self._heard.get(key)

    def _is_dead(self, symbol: str, since: datetime, at: datetime) -> bool:
        return any(each.silences(symbol, since, at) for each in self._dead)


def examine(broker: BrokerInfo, quote: Quote | None, now: datetime) -> tuple[Finding, ...]:
    """Return what `doctor` shows of the venue."""
    hours = session_at(now)
    is_open = hours is not None and hours.is_regular(now)
    return (
        Finding(
            name="venue", outcome=Outcome.OK, told=f"{broker.words}, inside this program: it ends with it"
        ),
        Finding(name="account", outcome=Outcome.OK, told=f"{masked(broker.account)}, paper"),
        Finding(
            name="market data",
            outcome=Outcome.OK,
            told=(DataKind.LIVE if quote is None else quote.kind).value
            + ("" if is_open else ", outside regular hours"),
        ),
    )
