"""Situations that are played: the real session and core on the paper venue, with every fault on call, and the real log beside it.

Each returns nothing; what it leaves is the log, and ``told``: the events as they were announced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.faults.kit import BRACKET, Stage, staged, usd
from tests.faults.openings import break_out
from tests.faults.scenes import REFUSED, elect, flatten, stop_entries

from tradeshell.core import inputs as i
from tradeshell.core.data_events import BarStreamStalled
from tradeshell.core.market import DataKind
from tradeshell.ports import Record, SinkContext
from tradeshell_jsonl_log.commands import Log, answer
from tradeshell_jsonl_log.why import Why
from tradeshell_jsonl_log.writer import open_log

Play = Callable[[Stage], None]


class Played:
    """A situation that was played, and its log."""

    def __init__(self, path: Path, stage: Stage) -> None:
        self.path, self.stage, self.log = path, stage, Log(path)

    @property
    def records(self) -> list[Record]:
        """What was announced, as the host handed it out."""
        return self.stage.records

    def why(self, word: str, now: datetime | None = None) -> Why:
        """Ask the log."""
        return answer(self.log, word, now or self.stage.now)[0]

    def others(self, word: str) -> tuple[str, ...]:
        """Return what else a word may mean."""
        return answer(self.log, word, self.stage.now)[1]


@contextmanager
def played(folder: Path, play: Play, **settings: Any) -> Iterator[Played]:
    """Play a situation with the log on."""
    with open_log(SinkContext(state_dir=folder / "log", settings={}, environ={})) as log:
        (folder / "stage").mkdir()
        with staged(folder / "stage", **settings) as stage:
            stage.session.audit.add("jsonl", log)
            play(stage)
            yield Played(folder / "log" / "events.jsonl", stage)


# --- watchers ---------------------------------------------------------------------------------------------------------


def armed(stage: Stage) -> None:
    """A watcher waits; its level was not touched."""
    stage.watch()
    stage.close_bar("189.95", high="189.97")


def touched(stage: Stage) -> None:
    """The level was touched, and the bar closed below it."""
    stage.watch()
    stage.close_bar("189.95", high="190.05")


def cancelled(stage: Stage) -> None:
    """The operator gave the watcher up."""
    touched(stage)
    stage.submit(i.WatchCancelRequested(at=stage.now, watch="br-1"))


def blind(stage: Stage) -> None:
    """The bars of a watcher have stalled."""
    stage.watch()
    stalled = BarStreamStalled(
        symbol="AAPL", seconds=60, rth=True, watches=("br-1",), silent=180.5, limit=180.0, code=0, reason=""
    )
    stage.inside(lambda: stage.session.tell(stalled))


def stale(stage: Stage) -> None:
    """It triggers, and the touch is too old."""
    stage.watch()
    stage.wait(57 - stage.t % 60)
    stage.silence()
    stage.lose("quote", times=9)
    stage.wait(3)
    stage.close_bar_now("190.01")
    stage.wait(3)


def halted(stage: Stage) -> None:
    """It triggers while the symbol is halted."""
    break_out(stage, kind=DataKind.HALTED)


def chased(stage: Stage) -> None:
    """It triggers, and the ask has run away."""
    break_out(stage, "192.00", "192.05")


def stopped(stage: Stage) -> None:
    """It triggers while entries are off."""
    stage.watch()
    stop_entries(stage)
    stage.wait(60 - stage.t % 60)
    stage.close_bar_now("190.01")
    stage.wait(2)


def refused_by_broker(stage: Stage) -> None:
    """The broker does not take the entry."""
    stage.refuse("place", "entry", 201, REFUSED)
    break_out(stage)


def unheard(stage: Stage) -> None:
    """Nobody answers the entry."""
    stage.lose("place", "entry")
    stage.pictures(orders=None)
    break_out(stage, wait=4)


def working(stage: Stage) -> None:
    """The entry rests."""
    stage.trigger(0)


def timed_out(stage: Stage) -> None:
    """The entry was not filled in time."""
    stage.trigger(0)
    stage.wait(25)


def partly(stage: Stage) -> None:
    """A part of the entry has filled, and a stop covers it."""
    stage.trigger(43)
    stage.wait(2)


# --- trades -----------------------------------------------------------------------------------------------------------


def ladder(stage: Stage) -> None:
    """A ladder stands."""
    stage.ladder()


def first_target(stage: Stage) -> None:
    """The first target has sold, the stops have moved."""
    stage.ladder()
    stage.quote("195", "195.02")
    stage.wait(2)


def half_a_target(stage: Stage) -> None:
    """The first target has sold a part."""
    stage.ladder()
    stage.quote("195", "195.02", size=25)
    stage.quote("194.50", "194.52")
    stage.wait(2)


def postponed(stage: Stage) -> None:
    """The first target has sold in a spike, and the bid is below the stop's new place."""
    stage.ladder()
    stage.quote("189.50", "189.55")
    stage.trade("195", 60)
    stage.wait(3)


def change_refused(stage: Stage) -> None:
    """The broker does not change the stop."""
    stage.ladder()
    stage.refuse("modify", "sl2", 201, "Order rejected - reason: price", times=99)
    stage.quote("195", "195.02")
    stage.wait(0.5)


def moved_by_hand(stage: Stage) -> None:
    """The operator moves a stop."""
    stage.ladder()
    stage.submit(
        i.ReplaceRequested(at=stage.now, ref="ts:br-1:sl2:1", limit=None, stop=usd("188.50"), qty=None)
    )
    stage.wait(1)


def moved_elsewhere(stage: Stage) -> None:
    """Somebody moves a stop in another window."""
    stage.ladder()
    stage.alter("sl2", stop=usd("185"), limit=usd("185"))
    stage.wait(5)


def elected(stage: Stage) -> None:
    """A stop is elected and follows the bid."""
    stage.ladder()
    elect(stage, "186.90", "187.05")
    stage.quote("186.50", "186.60", size=0)
    stage.wait(3)


def stopped_out(stage: Stage) -> None:
    """The market comes to the stops."""
    stage.ladder()
    stage.move_to("186.90")
    stage.wait(3)


def stop_lost(stage: Stage) -> None:
    """A stop was cancelled by nobody, and a new one stands."""
    stage.ladder()
    stage.kill("sl2")
    stage.wait(10)


def emergency(stage: Stage) -> None:
    """Stops are refused on a live account: nothing protects the shares."""
    stage.ladder()
    stage.refuse("place", "sl1", 201, REFUSED, times=99)
    stage.kill("sl1", 201, REFUSED)
    stage.wait(30)


def target_lost(stage: Stage) -> None:
    """A target was cancelled by nobody, and was sent again."""
    stage.ladder()
    stage.kill("tp2")
    stage.wait(10)


def flattened(stage: Stage) -> None:
    """The operator typed `flatten`."""
    stage.ladder()
    flatten(stage)
    stage.wait(10)


def bracket(stage: Stage) -> None:
    """A bracket's target has sold."""
    stage.trigger(kind=BRACKET)
    stage.wait(1)
    stage.quote("195", "195.02")
    stage.wait(2)


def typed(stage: Stage) -> None:
    """The operator typed `buy`."""
    stage.order_now("m-1")
    stage.wait(2)
