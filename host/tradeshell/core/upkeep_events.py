"""Announced events of the program itself: whether its engine answers.

Laws: as in ``events``. ``EngineStuck`` and ``EngineEnded`` go to the screen alone: who writes the records does not answer.
"""

from __future__ import annotations

from typing import ClassVar

from tradeshell.core.events import Event, Weight


class EngineLagged(Event, frozen=True, kw_only=True):
    """The engine was busy for so many ``seconds``: what came in waited."""

    weight: ClassVar[Weight] = Weight.BAD
    seconds: float

    def label(self) -> str:
        return "engine"

    def story(self) -> str | None:
        return f"busy for {self.seconds:g} s: quotes, bars and answers waited"


class EngineStuck(Event, frozen=True, kw_only=True):
    """The engine has not answered for so many ``seconds``, and still does not."""

    weight: ClassVar[Weight] = Weight.ALARM
    seconds: float

    def label(self) -> str:
        return "engine"

    def story(self) -> str | None:
        return (
            f"no answer for {self.seconds:.0f} s: nothing is watched, no stop-limit is chased · exits at the broker keep "
            "working · if it stays so, end this program by force and start it again: it takes up what it left"
        )


class EngineEnded(Event, frozen=True, kw_only=True):
    """The engine has ended by itself."""

    weight: ClassVar[Weight] = Weight.ALARM

    def label(self) -> str:
        return "engine"

    def story(self) -> str | None:
        return (
            "it has ended: nothing is watched, no stop-limit is chased · exits at the broker keep working · leave with "
            "`quit` and start again: the next start takes up what it left"
        )
