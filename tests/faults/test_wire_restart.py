"""The program is killed and starts again (group R of the scenarios): on what is on disk, against what the gateway has.

Laws: as in ``test_wire_link``. A kill takes effect at one write and undoes none before it; the next life has the files of the
folder and nothing else.
"""

# ids of scenarios have capital letters

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from tests.faults.kit import usd
from tests.faults.openings import FULL, buys
from tests.faults.scenes import RUNNING, commands, stops
from tests.faults.wire_kit import WireStage

from tradeshell.core.events import (
    BrokerMessageUnclassified,
    EngineFault,
    OrderFilled,
    ReconciliationCompleted,
)
from tradeshell.core.exit_events import LadderArmed, MilestoneReached, ProtectionAlarm
from tradeshell.core.inputs import ExecutionReported
from tradeshell.core.orders import Side
from tradeshell.core.trade import TradePhase
from tradeshell.engine.journal import frame
from tradeshell_breakout.events import BreakoutConfirmed
from tradeshell_breakout.strategy import Breakout

Make = Callable[..., WireStage]
LEFT = {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}


def again(stage: WireStage, *, after: float = 3.0, **more: Any) -> float:
    """Start the program again, some seconds after its end; return that instant."""
    assert not stage.life.alive, "it was not killed"
    stage.wait(after)
    began = stage.t
    stage.restart(**more)
    stage.wait(20)
    return began


def is_whole(stage: WireStage, began: float) -> None:
    """Assert that the ladder stands, once, within ten seconds of the restart."""
    assert stage.shares() == FULL
    assert stage.position() == 100
    assert buys(stage) == ["place"]
    ours = [
        sent
        for sent in stage.sent
        if sent.leg[:2] in ("sl", "tp") and sent.action == "place" and sent.t >= began
    ]
    assert all(sent.t - began < 10 for sent in ours)
    assert len(stage.working()) == len({order.leg for order in stage.working()})
    assert stage.trade_of().protection == "PROTECTED"
    stage.sells_at_most(100)


@pytest.mark.parametrize("leg", ["entry", "sl2"])
def test_R01_what_was_decided_and_never_left_is_no_late_surprise(wire: WireStage, leg: str) -> None:
    """The intent is on disk, not a byte has left: an entry is dropped, a stop is placed once.

    Kills: intents of the journal that are sent again when the program starts.
    """
    wire.crash_at("send", leg=leg)
    wire.trigger()
    wire.wait(2)
    began = again(wire)
    if leg == "sl2":
        is_whole(wire, began)
        return
    wire.quote("190.00", "190.02")
    wire.close_bar("190.10")
    wire.wait(30)
    assert wire.sent == []
    assert (wire.position(), wire.working()) == (0, [])
    assert wire.trade_of().phase is TradePhase.CLOSED
    wire.line("entry", "the broker does not have this order any more; it counts as ended")


@pytest.mark.parametrize("leg", ["entry", "sl2"])
def test_R02_what_left_and_was_not_answered_is_found_by_its_ref(wire: WireStage, leg: str) -> None:
    """The bytes have left, the process is gone before any answer: the order is taken up, no second one follows.

    Kills: an order in flight at the end that counts as refused at the start.
    """
    wire.crash_at("send", "after", leg=leg)
    wire.trigger()
    wire.wait(2)
    assert not wire.life.alive
    before = {order.leg: order.number for order in wire.working()}
    began = again(wire)
    is_whole(wire, began)
    assert before.items() <= {order.leg: order.number for order in wire.working()}.items()
    assert [event.cumulative for event in wire.told(OrderFilled) if event.leg == "entry"] == [100]
    wire.line("exits", "protected 100 %")


def test_R03_a_stop_without_its_target_gets_it_after_the_restart(wire: WireStage) -> None:
    """Killed between sl1 and tp1.

    Kills: a leg that counts as armed because one of its orders works.
    """
    wire.crash_at("send", leg="tp1")
    wire.trigger()
    wire.wait(1)
    assert "tp1" not in wire.shares()
    began = again(wire)
    is_whole(wire, began)
    assert reconciled_at(wire) < began + 10
    wire.line("tp1", "SELL 60 @ 195.00 limit")


def reconciled_at(stage: WireStage) -> float:
    """Return when the account was known last."""
    return stage.when(ReconciliationCompleted)[-1]


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("leg", ["sl2", "sl3"])
def test_R04_stops_that_were_moving_end_where_the_rule_says(wire: WireStage, where: str, leg: str) -> None:
    """Killed before or after the bytes of one change of the first milestone.

    Kills: a change in flight at the end that counts as done, or that is never asked for again.
    """
    wire.ladder()
    numbers = {order.leg: order.number for order in wire.working()}
    wire.crash_at("send", where, leg=leg)
    wire.quote("195", "195.02")
    wire.quote("194.90", "194.92")
    wire.wait(1)
    began = again(wire)
    assert stops(wire) == {"sl2": "190", "sl3": "190"}
    assert wire.shares() == LEFT
    assert {order.leg: order.number for order in wire.working()}.items() <= numbers.items()
    assert not [word for word in commands(wire, began) if not word.startswith("modify")]
    assert [event.number for event in wire.told(MilestoneReached)] == [1]
    wire.line("milestone", "target 1 reached")
    wire.sells_at_most(40)


@pytest.mark.parametrize("nth", range(1, 9))
@pytest.mark.parametrize("kind", ["journal", "audit"])
def test_R06_a_record_that_was_torn_was_never_acted_upon(wire: WireStage, kind: str, nth: int) -> None:
    """Killed within the nth line after the trigger: what follows from a torn record has not left, and the files go on.

    Kills: bytes that leave before their record is written; a torn tail that keeps the program from starting.
    """
    wire.watch()
    wire.wait(60 - wire.t % 60)
    wire.quote("190.00", "190.02", size=100)
    wire.crash_at(kind, "torn", nth=nth, tear=nth / 9)
    wire.close_bar_now("190.01")
    wire.quote("190.10", "190.12")
    wire.wait(1)
    left = len(wire.sent)
    began = again(wire)
    assert wire.life.alive
    assert not wire.life.found.why_not
    if wire.position():
        is_whole(wire, began)
    else:
        assert (left, wire.working()) == (0, [])
    lines = [json.loads(line) for line in (wire.folder / "events.jsonl").read_bytes().splitlines()]
    if kind == "audit":
        (repaired,) = [line for line in lines if line["event"] == "LogTailRepaired"]
        assert (wire.folder / repaired["kept"]).stat().st_size == repaired["torn"] > 0
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


@pytest.mark.parametrize("end", ["filled", "refused", "sold"])
def test_R07_a_watcher_that_is_used_up_never_fires_again(wire: WireStage, end: str) -> None:
    """Its entry was filled, was refused, or all is sold: after the restart bars above the level buy nothing.

    Kills: watchers that are armed anew from their plan.
    """
    if end == "refused":
        wire.refuse("place", "entry", 201, "Order rejected - reason:no")
    wire.trigger()
    wire.wait(3)
    if end == "sold":
        wire.flatten()
        wire.wait(5)
    count = len(buys(wire))
    wire.crash()
    again(wire)
    wire.quote("190.00", "190.02")
    for _ in range(3):
        wire.close_bar("190.30")
        wire.wait(5)
    assert len(buys(wire)) == count == 1
    assert len(wire.told(BreakoutConfirmed)) == 1
    known = wire.session.desk.watchers.get("br-1")  # when all is over nothing is resumed
    assert known is None or known.fired is not None
    assert wire.position() == (100 if end == "filled" else 0)
    wire.line("trigger")


def test_R09_another_program_under_our_name_is_told_and_its_orders_are_left_alone(wire: WireStage) -> None:
    """Same account, another folder, another client id: its orders are called as ours are.

    Kills: ownership by the ref alone.
    """
    wire.ladder()
    began = wire.t
    number = wire.foreign(Side.SELL, 5, client=8, type=wire.working("tp1")[0].type, limit=usd(250))
    record = wire.gateway.orders.records[8, number]
    record.order = type(record.order)(
        **{name: getattr(record.order, name) for name in record.order.__struct_fields__}
        | {"order_ref": "ts:br-9:tp1:1"}
    )
    wire.crash()
    began = again(wire)
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING
    (foreign,) = wire.working(client=8)
    assert foreign.qty == 5
    wire.line("another tradeshell trades this account; its orders are not followed")
    assert wire.session.desk.order("ts:br-9:tp1:1") is None
    assert len([line for line in wire.lines() if "another tradeshell" in line]) == 1


def test_R10_a_ladder_that_ended_while_the_program_was_down_is_closed_and_nothing_is_placed(
    wire: WireStage,
) -> None:
    """The stops sold everything after the kill; the program starts on the next day, whose executions are none.

    Kills: exits for shares that a journal has and a broker has not.
    """
    wire.ladder()
    wire.crash()
    wire.wait(1)
    wire.quote("187.00", "187.05")
    wire.trade("187", 1000)
    assert (wire.position(), wire.working()) == (0, [])
    wire.close_market()
    tomorrow = datetime.fromisoformat("2025-07-09T14:00:00+00:00")
    wire.wait((tomorrow - wire.now).total_seconds())
    began = again(wire)
    wire.wait(60)
    assert commands(wire, began) == []
    assert wire.position() == 0
    assert wire.told(ProtectionAlarm) == []
    assert wire.trade_of().phase is TradePhase.CLOSED
    wire.line("position", "the broker holds 0, executions make it 100: the broker is believed")
    wire.line("shares moved without an execution that was reported")
    wire.line("stopped", "the trade is closed")


def test_R11_a_journal_of_a_newer_version_is_not_read_and_protection_stays(wire: WireStage) -> None:
    """It may mean anything: nothing is resumed from it, entries are off, what works at the broker works on.

    Kills: a header whose version nobody looks at.
    """
    wire.ladder()
    wire.crash()
    wire.wait(1)
    journal = wire.folder / "journal"
    first, rest = journal.read_bytes().split(b"\n", 1)
    newer = json.loads(first[9:]) | {"v": 99}
    journal.write_bytes(frame(json.dumps(newer).encode()) + rest)
    began = again(wire)
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING
    assert "version 99" in wire.life.found.why_not
    wire.order_now("m-1")
    wire.wait(2)
    assert commands(wire, began) == []
    wire.line("entry", "BUY 100 refused")


def test_R12_an_old_state_that_is_restored_sells_nothing_that_is_not_held(wire: WireStage) -> None:
    """The files are those of a running ladder; since then all was sold, and two days have passed.

    Kills: exits for what a journal says is held.
    """
    wire.ladder()
    shutil.copy(wire.folder / "journal", wire.folder / "backup")
    wire.flatten()
    wire.wait(10)
    assert (wire.position(), wire.working()) == (0, [])
    wire.crash()
    wire.close_market()
    later = datetime.fromisoformat("2025-07-10T14:00:00+00:00")
    wire.wait((later - wire.now).total_seconds())
    shutil.copy(wire.folder / "backup", wire.folder / "journal")
    began = again(wire)
    wire.wait(60)
    assert commands(wire, began) == []
    assert wire.position() == 0
    wire.line("position", "the broker holds 0", "the broker is believed")
    wire.sells_at_most(0)


def test_R13_an_orderly_end_while_a_ladder_arms_leaves_what_a_start_completes(wire: WireStage) -> None:
    """The session is closed between two orders of the ladder: what works, works on; the next start completes it.

    Kills: an orderly end that cancels exits.
    """
    wire.hold("position", times=999)
    wire.pictures(positions=None)
    wire.trigger()
    wire.wait(0.5)
    assert wire.shares() == {"cover": 100}
    wire.ask(wire.session.close())
    wire.broker.close()
    wire.crash()
    wire.wait(5)
    assert wire.shares() == {"cover": 100}
    wire._holds.clear()
    wire.pictures()
    began = again(wire)
    is_whole(wire, began)
    assert len(wire.told(LadderArmed)) == 1
    wire.line("exits", "armed 60 + 30 + 10 shares")


class _Poisoned(Breakout):
    """A strategy with a defect."""

    def on_bar(self, *_: Any) -> Any:
        """Raise."""
        raise ZeroDivisionError("a defect of the plugin\nwith an odd ünicode line \u202e")


def test_R14_a_strategy_that_raises_costs_its_bar_and_is_told_in_one_line(
    wire: WireStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ladder beside it goes on, and its stops move.

    Kills: an exception of a plugin that ends the engine's turn.
    """
    wire.ladder()
    wire.watch(id_="br-2", level=usd(194))
    monkeypatch.setattr(Breakout, "on_bar", _Poisoned.on_bar)
    wire.close_bar("190.50")
    wire.close_bar("195.50")
    wire.quote("195", "195.02")
    wire.quote("194.90", "194.92")
    wire.wait(3)
    (told,) = wire.told(BrokerMessageUnclassified)
    assert (told.watch, "ZeroDivisionError: a defect of the plugin" in told.text) == ("br-2", True)
    assert wire.told(EngineFault) == []
    assert stops(wire) == {"sl2": "190", "sl3": "190"}
    assert len(buys(wire)) == 1
    wire.line("strategy breakout raised ZeroDivisionError", "its watcher is stopped")
    wire.sells_at_most(40)


def test_R14_a_defect_in_one_step_costs_its_input_and_the_next_picture_makes_it_good(
    wire: WireStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The core raises while it books the first target's execution: one line, a traceback aside, and the stops move all the same.

    Kills: an exception of a step that reaches the loop.
    """
    wire.ladder()
    real, raised = wire.session._core.step, 0

    def step(desk: Any, event: Any) -> Any:
        nonlocal raised
        if isinstance(event, ExecutionReported) and not raised:
            raised += 1
            raise AssertionError("an invariant")
        return real(desk, event)

    monkeypatch.setattr(wire.session._core, "step", step)
    crashes, wire.crashes = wire.crashes, wire.folder / "none"
    wire.quote("195", "195.02")
    wire.quote("194.90", "194.92")
    wire.wait(35)
    (fault,) = wire.told(EngineFault)
    assert "AssertionError: an invariant" in fault.reason
    assert "Traceback" in crashes.read_text()
    assert stops(wire) == {"sl2": "190", "sl3": "190"}
    assert wire.life.alive
    wire.line("AssertionError: an invariant", "details in")
    wire.sells_at_most(40)


@pytest.mark.parametrize("shift", [-300.0, -1500.0, 300.0])
def test_R15_a_clock_that_has_stepped_at_the_restart_changes_no_bound(wire: WireStage, shift: float) -> None:
    """The computer's clock is five (twenty-five) minutes behind, or ahead, when the program starts again.

    Kills: ages of touches that are computed from two clocks; timeouts from before the restart.
    """
    wire.ladder()
    wire.crash()
    began = again(wire, shift=shift)
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING
    assert wire.trade_of().protection == "PROTECTED"
    back = wire.t
    wire.quote("195", "195.02")
    wire.quote("194.90", "194.92")
    wire.wait(2)
    assert stops(wire) == {"sl2": "190", "sl3": "190"}
    assert max(sent.t for sent in wire.sent) - back < 2
    seqs = [json.loads(line)["seq"] for line in (wire.folder / "events.jsonl").read_bytes().splitlines()]
    assert seqs == list(range(1, len(seqs) + 1))
    wire.line("milestone", "target 1 reached")
    wire.sells_at_most(40)
