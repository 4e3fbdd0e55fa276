"""Announced events about ladders, incidents, kill switches and flattening (``events`` has the rest).

Laws: as in ``events``; whatever leaves a share without a stop is an alarm and says what the operator can do.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from tradeshell.core.events import Event, Weight, money
from tradeshell.core.market import Price, Shares
from tradeshell.core.window import clock


class CoverStopPlaced(Event, frozen=True, kw_only=True):
    """A stop covers what a ladder's entry has executed until the legs are armed; told again when it grows."""

    order_ref: str
    qty: Shares
    stop: Price


class LadderArmed(Event, frozen=True, kw_only=True):
    """Every leg of a ladder has left: ``legs`` are the shares of each; ``until``: exits of the day end then (UTC)."""

    legs: tuple[Shares, ...]
    until: datetime | None = None

    def label(self) -> str:
        return "exits"

    def story(self) -> str | None:
        words = f"armed {' + '.join(map(str, self.legs))} shares, each with its target and its stop"
        if self.until is None:
            return words
        return f"{words} · they end with the day at {clock(self.until)}"


class MilestoneReached(Event, frozen=True, kw_only=True):
    """Targets 1 to ``number`` are fully sold: the stops of the later legs go to ``stop`` (USD)."""

    weight: ClassVar[Weight] = Weight.GOOD
    number: int
    stop: Price

    def label(self) -> str:
        return "milestone"

    def story(self) -> str | None:
        return f"target {self.number} reached · stops of the later legs go to {money(self.stop)}"


class StopUpdatePostponed(Event, frozen=True, kw_only=True):
    """A stop that should move up stays: at the present bid the new one would be elected at once."""

    weight: ClassVar[Weight] = Weight.BAD
    stop: Price
    bid: Price | None

    def story(self) -> str | None:
        bid = "there is no fresh bid" if self.bid is None else f"the bid is {money(self.bid)}"
        return f"stays where it is: {bid}, a stop at {money(self.stop)} would sell at once · tried again"


class LegsGaveWay(Event, frozen=True, kw_only=True):
    """Exits become smaller for shares that are typed to be sold: ``qty`` leave the legs, each keeps its part of ``legs``."""

    weight: ClassVar[Weight] = Weight.BAD
    sale: str
    qty: Shares
    legs: tuple[Shares, ...]

    def label(self) -> str:
        return "exits"

    def story(self) -> str | None:
        kept = " + ".join(map(str, self.legs))
        return f"make room: {self.qty} shares are to be sold and lose their stop, the legs keep {kept}"


class LegsTookBack(Event, frozen=True, kw_only=True):
    """Shares that were to be sold and were not have a stop again; ``aimless`` shares of the legs have no target any more."""

    weight: ClassVar[Weight] = Weight.BAD
    qty: Shares
    aimless: Shares = 0

    def label(self) -> str:
        return "exits"

    def story(self) -> str | None:
        words = f"{self.qty} shares were not sold: they get their stop again"
        return words + (f", and {self.aimless} have no target any more" if self.aimless else "")


class StopThrough(Event, frozen=True, kw_only=True):
    """The market is below the stop when the legs are armed: the stops sell at once."""

    weight: ClassVar[Weight] = Weight.BAD
    stop: Price
    bid: Price

    def label(self) -> str:
        return "exits"

    def story(self) -> str | None:
        return (
            f"the bid {money(self.bid)} is below the stop {money(self.stop)} already: the stops sell at once"
        )


class LadderStopLossCancelled(Event, frozen=True, kw_only=True):
    """A stop ended other than by its pair's fill. ``held`` shares of its leg are affected."""

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str
    held: Shares
    reason: str = ""

    def story(self) -> str | None:
        return f"stop gone{' · ' + self.reason if self.reason else ''} · {self.held} shares of this leg need a new one"


class LadderTakeProfitLost(Event, frozen=True, kw_only=True):
    """A target ended other than by a fill; its stop is untouched."""

    weight: ClassVar[Weight] = Weight.BAD
    order_ref: str
    reason: str = ""

    def story(self) -> str | None:
        return f"target gone{' · ' + self.reason if self.reason else ''} · its stop keeps working"


class IncidentStepTaken(Event, frozen=True, kw_only=True):
    """One rung of an incident on one leg: ``barrier``, ``replacement``, ``emergency``, ``flatten`` or ``alarm``."""

    weight: ClassVar[Weight] = Weight.BAD
    rung: str
    held: Shares
    reason: str = ""

    def story(self) -> str | None:
        words = {
            "barrier": "looking at positions, executions and orders before anything is replaced",
            "replacement": f"a new stop goes out for {self.held} shares",
            "emergency": f"emergency stop for {self.held} shares",
            "flatten": f"selling {self.held} shares at the market",
            "alarm": f"nothing more is tried by itself for {self.held} shares",
        }
        return f"{words[self.rung]}{' · ' + self.reason if self.reason else ''}"


class ProtectionAlarm(Event, frozen=True, kw_only=True):
    """Shares have no working stop, or the account is short by ours, and stays so: repeated until that ends."""

    weight: ClassVar[Weight] = Weight.ALARM
    state: str
    held: Shares
    protected: Shares
    reason: str = ""

    def label(self) -> str:
        return "exits"

    def story(self) -> str | None:
        if self.state == "OVERSOLD":
            return (
                f"OVERSOLD · {-self.held} {self.symbol} shares more were sold than bought"
                f"{' · ' + self.reason if self.reason else ''} · buy them back in TWS, then `stopentry off`"
            )
        return (
            f"{self.state} · {self.held - self.protected} of {self.held} {self.symbol} shares have no working stop"
            f"{' · ' + self.reason if self.reason else ''} · `flatten {self.symbol}` sells them, or act in TWS"
        )


class SymbolFrozen(Event, frozen=True, kw_only=True):
    """What is at the broker cannot be explained: no new order in this symbol, living stops stay."""

    weight: ClassVar[Weight] = Weight.ALARM
    reason: str

    def label(self) -> str:
        return "frozen"

    def story(self) -> str | None:
        return f"{self.symbol} frozen: {self.reason} · no new orders in it; `stopentry off` lifts that when it is clear"


class KillSwitchEngaged(Event, frozen=True, kw_only=True):
    """No entry leaves any more; unfilled entries are cancelled, exits keep working."""

    weight: ClassVar[Weight] = Weight.ALARM
    reason: str

    def label(self) -> str:
        return "stopentry"

    def story(self) -> str | None:
        return f"entries are off ({self.reason}) · exits keep working · `stopentry off` allows entries again"


class KillSwitchLifted(Event, frozen=True, kw_only=True):
    """Entries may leave again."""

    reason: str = ""

    def label(self) -> str:
        return "stopentry"

    def story(self) -> str | None:
        return "entries are allowed again"


class FlattenStarted(Event, frozen=True, kw_only=True):
    """The shares of our trades in a symbol are being sold: exits are cancelled first, then the market takes them.

    ``reason``: those of one trade, because its time was over (``flat_by=15:55``); left out where the operator asked.
    """

    weight: ClassVar[Weight] = Weight.BAD
    held: Shares
    reason: str = ""

    def label(self) -> str:
        return "flatten"

    def story(self) -> str | None:
        why = f"{self.reason}: " if self.reason else ""
        return f"{why}selling {self.held} {self.symbol} shares: exits are cancelled first, nothing more is bought"


class FlattenCompleted(Event, frozen=True, kw_only=True):
    """Our trades hold nothing more in the symbol; ``left`` shares of the account's position are not ours."""

    weight: ClassVar[Weight] = Weight.GOOD
    left: Shares

    def label(self) -> str:
        return "flatten"

    def story(self) -> str | None:
        others = f" · {self.left} shares that are not ours stay" if self.left else ""
        return f"{self.symbol} is flat{others}"
