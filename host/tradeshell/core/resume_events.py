"""Announced events of watchers that wait over a night, or that an earlier life of the program left waiting.

Laws: as in ``events``. A watcher that comes back is told once, in one line that says why it is armed, or why it is not.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tradeshell.core.events import Event, Weight, money
from tradeshell.core.market import Price
from tradeshell.core.window import clock


class WatchPaused(Event, frozen=True, kw_only=True):
    """A watcher was left waiting by a program that ended: it looks at no bar until the account is known and it may go on."""

    level: Price | None

    def label(self) -> str:
        return "paused"

    def story(self) -> str | None:
        at = "" if self.level is None else f" · level {money(self.level)}"
        return f"{self.watch} was waiting when the program ended{at} · it goes on when the account is known"


class WatchResumed(Event, frozen=True, kw_only=True):
    """A watcher that was left waiting is armed again. ``bars``: closed meanwhile, with their ``highest`` close (USD).

    ``despite``: the doubts that somebody, or the policy, has set aside.
    """

    weight: ClassVar[Weight] = Weight.GOOD
    level: Price | None
    bars: int
    highest: Price | None
    despite: str = ""

    def label(self) -> str:
        return "resumed"

    def story(self) -> str | None:
        level = "" if self.level is None else f" for closes ≥ {money(self.level)}"
        missed = (
            "" if self.highest is None else f" · highest of {self.bars} closes since: {money(self.highest)}"
        )
        despite = f" · although {self.despite}" if self.despite else ""
        return f"{self.watch} watches again{level}{missed}{despite}"


class WatchHeld(Event, frozen=True, kw_only=True):
    """A watcher that was left waiting is not armed by itself. ``reason`` is one word, ``strategy`` the command to answer with.

    ``asks``: somebody at a terminal is asked; else it stays as it is until a start at a terminal.
    """

    weight: ClassVar[Weight] = Weight.BAD
    reason: str
    detail: str
    strategy: str
    asks: bool

    def label(self) -> str:
        return "held"

    def story(self) -> str | None:
        why = f"{self.watch} is not armed: {self.detail}"
        if not self.asks:
            return f"{why} · it is kept; a start at a terminal asks"
        return (
            f"{why} · `{self.strategy} resume {self.symbol}` arms it all the same, "
            f"`{self.strategy} cancel {self.symbol}` ends it"
        )


class WatchSkipped(Event, frozen=True, kw_only=True):
    """A watcher that was left waiting is over: the policy skips it, or it can never be armed again. ``reason`` is one word."""

    weight: ClassVar[Weight] = Weight.BAD
    reason: str
    detail: str

    def label(self) -> str:
        return "skipped"

    def story(self) -> str | None:
        return f"{self.watch} is not taken up again: {self.detail}"


class WatchRests(Event, frozen=True, kw_only=True):
    """The day of a watcher is over, and it has another one (``days=``): until then it looks at no bar."""

    level: Price | None
    day: int
    days: int

    def label(self) -> str:
        return "rests"

    def story(self) -> str | None:
        level = "the level" if self.level is None else f"the level {money(self.level)}"
        return f"{self.watch} · day {self.day} of {self.days} is over, {level} was not broken · it goes on with the next session"


class WatchDayBegan(Event, frozen=True, kw_only=True):
    """A watcher that rested looks again, on the next of its days. ``since``: when, UTC."""

    level: Price | None
    day: int
    days: int
    since: datetime

    def label(self) -> str:
        return "watches"

    def story(self) -> str | None:
        level = "" if self.level is None else f" for closes ≥ {money(self.level)}"
        return f"{self.watch} · day {self.day} of {self.days}{level} from {clock(self.since)}"
