"""Why something is what it is: the sentence, the records that decided it, and the words for them. Pure: records in, words out.

Laws: the sentence names the values that were decided on, and ``because`` holds the very records they come from; nothing is asked
of the running program. What the log does not say is not said here either.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from tradeshell import Event
from tradeshell_jsonl_log.tale import Said, Tale, clock

ENDS = {
    "session_end": "the session ended and no bar had closed at the level",
    "max_bars": "as many bars as it was to wait for had closed below the level",
    "cancelled": "it was cancelled",
    "no_bars": "the bars that it wants cannot be had",
    "replay_end": "the recorded data was used up",
    "entry_timeout": "it was not filled in time",
}


class Why(Struct, frozen=True, kw_only=True):
    """An answer. ``situation`` is one word, ``lines`` begin with the sentence, ``because`` are records, oldest first."""

    about: str
    situation: str
    lines: tuple[str, ...]
    because: tuple[dict[str, Any], ...]


class Case(Struct, frozen=True):
    """What an explanation is made from: the tale, what belongs to none, and the day that needs no date."""

    tale: Tale
    general: tuple[Said, ...]
    now: datetime

    def when(self, said: Said, *, fine: bool = False) -> str:
        """Return when a record was made, in a trader's words."""
        return clock(said.at, self.now, fine=fine)

    def clock_of(self, text: str) -> str:
        """Return an instant of a record, in a trader's words."""
        return clock(datetime.fromisoformat(text), self.now) if text else "–"

    def on_symbol(self, *events: str) -> list[Said]:
        """Return records of some kinds about the symbol that belong to no watcher or trade."""
        return [
            each for each in self.general if each.event in events and each.text("symbol") == self.tale.symbol
        ]

    def why(
        self, about: str, situation: str, sentence: str, *because: Said | None, details: Iterable[str] = ()
    ) -> Why:
        """Put an answer together; records that there are not are left out."""
        there = {id(each): each for each in because if each is not None}
        ordered = sorted(there.values(), key=lambda each: each.seq)
        lines = (sentence, *(f"  {detail}" for detail in details if detail))
        return Why(about=about, situation=situation, lines=lines, because=tuple(each.raw for each in ordered))


# --- words ------------------------------------------------------------------------------------------------------------


def name_of(tale: Tale) -> str:
    """Return symbol and id of a tale."""
    return f"{tale.symbol} {tale.id}"


def bar_words(seconds: int) -> str:
    """Return a bar's length in a trader's words: ``1m``."""
    for unit, letter in ((3600, "h"), (60, "m")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit}{letter}"
    return f"{seconds}s"


def reason_words(reason: str) -> str:
    """Return why something ended, in words."""
    return ENDS.get(reason, reason)


def touch_words(said: Said) -> str:
    """Return the touch that a record was decided on, "" without one."""
    sides = [f"{side} {said.cash(side)}" for side in ("bid", "ask") if said.price(side) is not None]
    age = said.raw.get("quote_age")
    return " ".join(sides) + (f" ({age:.1f} s old)" if sides and isinstance(age, int | float) else "")


def broker_words(refused: Said) -> str:
    """Return what the broker said."""
    code = f" ({refused.number('code')})" if refused.number("code") else ""
    return f"the broker said{code}: {refused.text('text') or refused.text('reason')}"


def step_words(said: Said) -> str:
    """Return one step of an incident in a few words."""
    reason = said.text("reason")
    tail = f" · {reason}" if reason else ""
    if said.event == "IncidentStepTaken":
        return f"{said.text('rung')} for {said.number('held')} shares{tail}"
    if said.event == "LadderStopLossCancelled":
        return f"stop gone, {said.number('held')} shares of this leg{tail}"
    if said.event == "OrderRefused":
        return f"{said.text('what')} refused, {broker_words(said)}"
    if said.event == "ProtectionAlarm":
        return f"alarm: {said.number('protected')} of {said.number('held')} shares have a stop"
    return f"{story_of(said) or said.event}"


def story_of(said: Said) -> str:
    """Return what the screen said of a record, "" when its event is not known here or was for the log only."""
    kind = next((each for each in _kinds(Event) if each.__name__ == said.event), None)
    if kind is None:
        return ""
    fields = {name: said.raw[name] for name in kind.__struct_fields__ if name in said.raw}
    try:
        return msgspec.convert({**fields, "event": said.event}, kind).story() or ""
    except (msgspec.ValidationError, KeyError):
        return ""


def _kinds(kind: type[Event]) -> Iterable[type[Event]]:
    for each in kind.__subclasses__():
        yield each
        yield from _kinds(each)
