"""Watchers that wait when the program is killed (groups R and P of the scenarios): they come back by themselves, and enter once.

Laws: as in ``test_wire_restart``. The market goes on while nobody is there.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from tests.faults.kit import usd
from tests.faults.openings import buys
from tests.faults.scenes import commands
from tests.faults.wire_bars import breaks, fires, watched
from tests.faults.wire_kit import WireStage

from tradeshell.core.desk import WatchPhase
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.policy import Policy, Resume
from tradeshell.core.resume_events import WatchHeld, WatchResumed
from tradeshell_breakout.events import BreakoutConfirmed

Make = Callable[..., WireStage]


def again(stage: WireStage, *, down: float = 5.0) -> None:
    """Kill the program and start it again."""
    stage.crash()
    stage.wait(down)
    stage.restart()
    stage.wait(15)


def phase(stage: WireStage, id_: str = "br-1") -> WatchPhase:
    return stage.session.desk.watchers[id_].phase


@pytest.mark.parametrize("kills", [1, 3])
def test_R07_a_watcher_that_was_not_used_up_watches_again_by_itself_and_enters_once(
    wire: WireStage, kills: int
) -> None:
    """Killed while it waits, once or three times; then the level breaks.

    Kills: watchers that end with their process; one that is armed twice.
    """
    watched(wire)
    wire.quote("189.49", "189.51")
    for _ in range(kills):
        again(wire)
        assert phase(wire) is WatchPhase.ARMED
    assert len(wire.told(WatchResumed)) == kills
    wire.line("resumed", "br-1 watches again for closes ≥ 190.00")
    fires(wire)
    again(wire)
    breaks(wire)
    assert buys(wire) == ["place"]
    assert len(wire.told(BreakoutConfirmed)) == 1


def test_R07_nothing_enters_before_the_account_is_known_and_the_bars_of_the_gap_do_not_count(
    wire: WireStage,
) -> None:
    """The level breaks while the program starts and its picture is not answered.

    Kills: watchers that look at bars before anybody knows what is held.
    """
    watched(wire)
    wire.crash()
    wire.wait(3)
    wire.pictures(positions=None)  # never answered
    wire.restart()
    breaks(wire)
    assert phase(wire) is WatchPhase.PAUSED
    assert wire.sent == []


def test_R07_a_level_that_was_crossed_while_nobody_was_there_is_told_and_nothing_is_bought(
    wire: WireStage,
) -> None:
    """A minute closed above the level between the kill and the start; the price has fallen since.

    Kills: a stale guard that only looks at the price of now.
    """
    watched(wire)
    wire.crash()
    breaks(wire, "190.40")
    wire.quote("189.40", "189.42")
    wire.trade("189.41", 100)
    wire.wait(70)
    wire.restart()
    wire.wait(15)
    (held,) = wire.told(WatchHeld)
    assert (held.reason, held.asks) == ("level_crossed", False)
    wire.line(
        "held", "the level 190.00 was crossed meanwhile: a bar closed at 190.40", "a start at a terminal asks"
    )
    breaks(wire)
    assert wire.sent == []
    again(wire)
    assert [event.reason for event in wire.told(WatchHeld)] == ["level_crossed", "level_crossed"]


def test_R07_one_that_is_armed_all_the_same_watches_from_then_on(make_wire: Make) -> None:
    """The same, and the policy is to arm it.

    Kills: a doubt that no policy can set aside; bars from before that count.
    """
    wire = make_wire(policy=Policy(resume=Resume.ARM))
    watched(wire)
    wire.crash()
    breaks(wire, "190.40")
    wire.quote("189.40", "189.42")
    wire.trade("189.41", 100)
    wire.wait(70)
    wire.restart()
    wire.wait(15)
    (resumed,) = wire.told(WatchResumed)
    assert "crossed meanwhile" in resumed.despite
    assert wire.sent == []
    fires(wire)


def test_R07_shares_that_somebody_bought_meanwhile_are_asked_about(wire: WireStage) -> None:
    """Another client buys the symbol while the program is down.

    Kills: a resume that would double a position.
    """
    watched(wire)
    wire.crash()
    wire.foreign(Side.BUY, 30, type=OrderType.MARKET)
    wire.wait(3)
    wire.restart()
    wire.wait(15)
    wire.line("held", "the account holds 30 AAPL already")
    breaks(wire)
    assert wire.sent == []


def test_R10_a_watcher_of_yesterday_is_not_armed_today_by_itself(wire: WireStage) -> None:
    """The program comes back the next morning.

    Kills: a watcher whose day is over and that buys on the next one.
    """
    watched(wire)
    wire.crash()
    tomorrow = datetime.fromisoformat("2025-07-09T14:00:00+00:00")
    wire.wait((tomorrow - wire.now).total_seconds())
    wire.restart()
    wire.wait(15)
    wire.line("held", "its session of 2025-07-08 is over")
    breaks(wire)
    assert wire.sent == []


def test_R15_a_ladder_and_a_watcher_beside_it_come_back_together(wire: WireStage) -> None:
    """A ladder runs, a second watcher waits far above it; the clock of the computer has stepped back.

    Kills: a resume that disturbs the exits of another trade; ages that are computed from two clocks.
    """
    wire.ladder()
    wire.start_market("190.50")
    wire.watch(id_="br-2", level=usd(194))
    wire.wait(5)
    wire.crash()
    wire.wait(3)
    began = wire.t
    wire.restart(shift=-300.0)
    wire.wait(20)
    assert phase(wire, "br-2") is WatchPhase.ARMED
    assert commands(wire, began) == []
    assert wire.trade_of().protection == "PROTECTED"


def test_D03_after_a_lost_link_a_watcher_goes_on_without_being_asked_about(wire: WireStage) -> None:
    """The socket drops while it waits: the program is there all the time, nothing has to be resumed.

    Kills: a lost link that is taken for a restart.
    """
    watched(wire)
    wire.drop_link()
    wire.wait(5)
    wire.restore_link()
    wire.wait(20)
    assert phase(wire) is WatchPhase.ARMED
    assert wire.told(WatchResumed) == []
    fires(wire)
