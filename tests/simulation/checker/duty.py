"""An obligation that must end in time, and what counts as having acted on it.

Laws: it runs only while the program could act; a request that L shows in time is acting, however long the wire takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.checker.model import Stock

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay


class Duty:
    """Something that must end in time: ``ran`` is how long the program could have acted."""

    __slots__ = ("alarm_only", "is_excused", "is_told", "opened", "ran", "spent", "troubled", "waited")

    def __init__(self, opened: float) -> None:
        self.opened = opened
        self.ran = 0.0
        self.spent = 0.0  # share-seconds
        self.waited = 0.0  # for the venue's answer, before anything could be done
        self.troubled = 0
        self.is_told = False
        self.is_excused = False
        self.alarm_only = False


def did_act(run: Replay, stock: Stock, since: float, until: float) -> bool:
    """Return whether L shows that a cancel or a change of a living exit was sent in time: it may be under way."""
    for order in stock.sells:
        for action in ("cancel", "replace"):
            intent = run.log.last_intent(order.ref, action, until)
            if intent is not None and intent.t >= since:
                return True
        for command in ("CancelOrder", "ModifyOrder"):  # a kill between the two files
            if any(since <= w.t <= until for w in run.journal.commands.get((order.ref, command), ())):
                return True
    return False
