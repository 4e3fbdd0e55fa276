"""Announced events of the program itself: whether its engine answers.

Laws: as in ``events``. ``EngineStuck`` and ``EngineEnded`` go to the screen alone: who writes the records does not answer.
"""

from __future__ import annotations

from typing import ClassVar

from tradeshell.core.events import Event, Weight


class EngineLagged(Event, frozen=True, kw_only=True):
    """The engine was busy for so many ``seconds``: what came in waited. ``where``: in which plugin, "" when in none.

    ``stops_entries``: it took so long in a plugin that no entry leaves any more, because what is bought would wait for its stop.
    """

    weight: ClassVar[Weight] = Weight.BAD
    seconds: float
    where: str = ""
    stops_entries: bool = False

    def label(self) -> str:
        return "engine"

    def story(self) -> str | None:
        then = " · entries are off; start without it, or `stopentry off`" if self.stops_entries else ""
        return f"busy for {self.seconds:g} s{_in(self.where)}: quotes, bars and answers waited{then}"


class EngineStuck(Event, frozen=True, kw_only=True):
    """The engine has not answered for so many ``seconds``, and still does not. ``where``: in which plugin it is, if in one."""

    weight: ClassVar[Weight] = Weight.ALARM
    seconds: float
    where: str = ""

    def label(self) -> str:
        return "engine"

    def story(self) -> str | None:
        return (
            f"no answer for {self.seconds:.0f} s{_in(self.where)}: nothing is watched, no stop-limit is chased · exits at "
            "the broker keep working · if it stays so, end this program by force and start it again: it takes up what it left"
        )


def _in(where: str) -> str:
    return f" in plugin {where}" if where else ""


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
