"""What a breakout watcher announces. Names as in the design document of the system that traders know."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import ClassVar

from tradeshell import Event, Price, Shares, Weight, money


def bar_words(seconds: int) -> str:
    """Return a bar length in a trader's words: ``1m``, ``1h``."""
    return (
        f"{seconds // 3600}h"
        if seconds % 3600 == 0
        else f"{seconds // 60}m"
        if seconds % 60 == 0
        else f"{seconds}s"
    )


@lru_cache(maxsize=64)
def seconds_of(words: str) -> int:
    """Return the length in seconds of a bar in a trader's words; digits alone are seconds. Raises ``ValueError``."""
    return int(words.rstrip("smh")) * {"m": 60, "h": 3600}.get(words[-1:], 1)


class BreakoutStarted(Event, frozen=True, kw_only=True):
    """A watcher was armed. Prices USD, ``qty`` shares, ``legs`` those of each leg of a ladder, ``bar`` seconds.

    ``updates``: where the stops of later legs go after each target; ``max_bars``: how many bars it waits; ``tp_why``: how each
    target was found, when they were computed. ``fast_bar`` seconds, ``fast_level``: the second stream, and the close of it that
    enters. ``risk`` USD: ``qty`` is what that comes to at the level, it is counted at the trigger. ``flat_by``, ``after`` and
    ``until``: times of day in New York; ``days``: on how many trading days it looks.
    """

    level: Price
    qty: Shares
    tp: tuple[Price, ...]
    sl: Price | None
    mode: str
    bar: int
    legs: tuple[Shares, ...] = ()
    updates: tuple[Price, ...] = ()
    max_bars: int | None = None
    tp_why: tuple[str, ...] = ()
    fast_bar: int | None = None
    fast_level: Price | None = None
    risk: Price | None = None
    flat_by: str | None = None
    after: str | None = None
    until: str | None = None
    days: int = 1

    def label(self) -> str:
        return "armed"

    def story(self) -> str | None:
        exits = [f"tp {' '.join(map(money, self.tp))}"] if self.tp else []
        exits += [] if self.sl is None else [f"sl {money(self.sl)}"]
        kind = (
            f"{self.mode} {'/'.join(map(str, self.legs))}"
            if self.legs
            else "bracket"
            if len(exits) > 1
            else "exit"
        )
        held = f"{kind} {' '.join(exits)}" if exits else "no exits"
        found = [f"tp{number}: {why.partition(' · ')[0]}" for number, why in enumerate(self.tp_why, 1)]
        watching = f"watching {bar_words(self.bar)} closes ≥ {money(self.level)}"
        if self.fast_bar is not None and self.fast_level is not None:
            watching += f", {bar_words(self.fast_bar)} closes ≥ {money(self.fast_level)}"
        sized = [] if self.risk is None else [f"risk {money(self.risk)}, ~{self.qty} shares"]
        times = [
            f"{word} {at}" for word, at in (("from", self.after), ("until", self.until)) if at is not None
        ]
        times += [f"on {self.days} days"] if self.days > 1 else []
        flat = [] if self.flat_by is None else [f"flat by {self.flat_by}"]
        return " · ".join((str(self.watch), held, *sized, " ".join((watching, *times)), *flat, *found))


class AutoTpComputed(Event, frozen=True, kw_only=True):
    """The targets of a watcher were computed before it was armed: by which method, above which level, and how each was found.

    For the log: the line of ``BreakoutStarted`` tells it. Prices USD.
    """

    method: str
    level: Price
    tp: tuple[Price, ...]
    why: tuple[str, ...]


class BreakoutBreakDetected(Event, frozen=True, kw_only=True):
    """The level was touched inside a closed bar for the first time."""

    level: Price
    high: Price
    close: Price
    bar_start: datetime

    def label(self) -> str:
        return "break"

    def story(self) -> str | None:
        return f"high {money(self.high)} touched the level {money(self.level)}, close {money(self.close)}"


class BreakoutFastTriggered(Event, frozen=True, kw_only=True):
    """A fast bar of ``bar`` seconds closed at or above ``fast_level``, the level and the buffer: it asks for the entry.

    What becomes of it follows, as for a slow bar.
    """

    level: Price
    fast_level: Price
    close: Price
    bar: int
    bar_start: datetime

    def label(self) -> str:
        return "fast"

    def story(self) -> str | None:
        return f"a {bar_words(self.bar)} bar closed at {money(self.close)} ≥ {money(self.fast_level)}"


class BreakoutConfirmed(Event, frozen=True, kw_only=True):
    """The entry goes out: the bar closed at or above the level and every check passed. ``quote_age`` seconds.

    ``qty`` shares, and ``risk``, the USD that they were counted from, if they were.
    """

    level: Price
    close: Price
    bar_start: datetime
    ask: Price | None
    quote_age: float | None
    order_ref: str
    qty: Shares | None = None
    risk: Price | None = None

    def label(self) -> str:
        return "trigger"

    def story(self) -> str | None:
        age = "" if self.quote_age is None else f" ({self.quote_age:.1f} s old)"
        ask = "" if self.ask is None else f" · ask {money(self.ask)}{age}"
        size = "" if self.risk is None else f" · risk {money(self.risk)} buys {self.qty}"
        return f"close {money(self.close)} ≥ {money(self.level)}{ask}{size}"


class BreakoutRejected(Event, frozen=True, kw_only=True):
    """The bar triggered but the entry may not go out; the watcher is used up. ``reason`` is one word.

    The bar and the touch are those that it was decided on, where there were any; ``quote_age`` seconds.
    """

    weight: ClassVar[Weight] = Weight.BAD
    reason: str
    detail: str
    level: Price | None = None
    close: Price | None = None
    bar_start: datetime | None = None
    bid: Price | None = None
    ask: Price | None = None
    quote_age: float | None = None

    def label(self) -> str:
        return "rejected"

    def story(self) -> str | None:
        sent = "" if self.reason == "broker_refusal" else "nothing was sent, "
        return f"{self.reason}: {self.detail} · {sent}this watcher is used up"


class BreakoutStopped(Event, frozen=True, kw_only=True):
    """The watcher and its trade are over."""

    reason: str

    def label(self) -> str:
        return "stopped"

    def story(self) -> str | None:
        words = {
            "trade_closed": "the trade is closed",
            "rejected": "the entry was refused",
            "cancelled": "cancelled",
            "entry_timeout": "the entry was not filled in time",
            "unfilled": "the entry was not filled",
            "session_end": "the session is over, the level was not broken",
            "until": "its time of day is over, the level was not broken",
            "no_bars": "the bars it wants cannot be had",
            "max_bars": "max_bars reached, the level was not broken",
            "restarted": "the program ended before its order had left",
            "not_resumed": "not taken up again",
            "replay_end": "the recorded data is used up",
        }
        return f"{self.watch} · {words.get(self.reason, self.reason)}"
