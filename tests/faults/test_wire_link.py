"""The connection is lost and comes back (group D of the scenarios), with the unmodified client and the gateway on either side.

Laws: each scenario asserts the orders at the gateway, the events, and the operator's line, and names a change of the program
that it notices (``Kills``). What the program finds out by itself it is not told by the test.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from tests.faults.kit import usd
from tests.faults.openings import FULL, buys, states
from tests.faults.scenes import RUNNING, commands, stops
from tests.faults.wire_kit import WireStage

from tradeshell.core.events import (
    ConnectionChanged,
    OrderFilled,
    ReconciliationCompleted,
    ReconciliationFailed,
)
from tradeshell.core.exit_events import LadderStopLossCancelled, MilestoneReached
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.trade import TradePhase
from tradeshell_breakout.events import BreakoutConfirmed
from tradeshell_paper.tws import outgoing

Make = Callable[..., WireStage]
LEFT = {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
QUOTES, BARS, POSITIONS, HELLO = 1, 50, 61, 71  # messages of the program


def first_target_unseen(stage: WireStage) -> None:
    """Let the first target fill at the exchange."""
    stage.quote("195", "195.02")
    stage.quote("194.90", "194.92")
    assert stage.position() == 40


def asked(stage: WireStage, kind: int, since: float) -> int:
    """Return how often the program has asked for something."""
    return sum(at >= since for at, what in stage.requests if what == kind)


def is_up(stage: WireStage) -> bool:
    """Return whether the link was told as up last."""
    return stage.told(ConnectionChanged)[-1].link == "up"


def reconciled(stage: WireStage) -> list[float]:
    """Return when the account was known."""
    return stage.when(ReconciliationCompleted)


def link_lines(stage: WireStage) -> list[str]:
    """Return the lines about the link."""
    return [line for line in stage.lines() if line.startswith("link")]


# --- lost and back ----------------------------------------------------------------------------------------------------


def test_D01_a_target_that_fills_while_the_link_is_down_moves_the_stops_once_it_is_back(
    wire: WireStage,
) -> None:
    """Thirty seconds without a connection, the first target fills: booked from the executions, stops moved, once.

    Kills: a picture whose executions are not booked.
    """
    wire.ladder()
    wire.drop_link()
    wire.wait(10)
    first_target_unseen(wire)
    wire.wait(20)
    assert [event.leg for event in wire.told(OrderFilled)] == ["entry"]
    back = wire.t
    wire.restore_link(by_itself=True)
    wire.wait(20)
    assert [(event.leg, event.cumulative) for event in wire.told(OrderFilled)] == [
        ("entry", 100),
        ("tp1", 60),
    ]
    assert [event.number for event in wire.told(MilestoneReached)] == [1]
    assert commands(wire, back) == ["modify sl2 30 stop 190", "modify sl3 10 stop 190"]
    assert (wire.shares(), stops(wire)) == (LEFT, {"sl2": "190", "sl3": "190"})
    assert reconciled(wire)[-1] - back < 15
    wire.line("link", "reconciled · 4 orders, 1 positions · entries open again")
    wire.line("milestone", "target 1 reached")
    assert wire.trade_of().protection == "PROTECTED"
    wire.sells_at_most(40)


def test_D02_while_the_gateway_has_no_line_nothing_is_sent_and_afterwards_the_account_is_looked_at_first(
    wire: WireStage,
) -> None:
    """1100, ninety seconds, 1102; meanwhile the first target fills, and its news come late.

    Kills: 1100 that leaves the link up (the stops would be changed, and the changes lost).
    """
    wire.ladder()
    began = wire.t
    wire.act("cut")
    wire.wait(30)
    first_target_unseen(wire)
    wire.order_now("m-1")
    wire.wait(60)
    assert commands(wire, began) == []
    assert not is_up(wire)
    wire.line("entry", "BUY 100 refused (not_connected)")
    assert "has lost Interactive Brokers: nothing is sent until it is back" in link_lines(wire)[-1]
    back, cables = wire.t, wire.cables
    wire.act("restore", code=1102)
    wire.wait(5)
    assert wire.cables == cables  # the socket stayed
    assert commands(wire, back) == ["modify sl2 30 stop 190", "modify sl3 10 stop 190"]
    first_change = min(sent.t for sent in wire.sent if sent.t >= back)
    assert back <= reconciled(wire)[-1] <= first_change
    assert stops(wire) == {"sl2": "190", "sl3": "190"}
    wire.line("link", "reconciled · 4 orders, 1 positions")
    wire.sells_at_most(40)


def test_D02_a_watcher_holds_its_fire_while_the_gateway_has_no_line(wire: WireStage) -> None:
    """The minute of the break closes during the outage: it fires nothing, then or later; the next break does.

    Kills: bars of an outage that are handed on when it is over.
    """
    wire.watch()
    wire.wait(30)
    wire.act("cut")
    wire.wait(30)
    wire.close_bar_now("190.10")
    wire.wait(5)
    wire.act("restore", code=1102)
    wire.wait(5)
    assert wire.sent == []
    assert wire.told(BreakoutConfirmed) == []
    wire.close_bar("190.20")
    wire.wait(3)
    assert buys(wire) == ["place"]
    assert wire.shares() == FULL
    wire.line("trigger", "190.20")


def test_D03_after_1101_everything_is_asked_for_once_and_nothing_twice(wire: WireStage) -> None:
    """The gateway has dropped all subscriptions: quotes and bars are asked for anew, once each, and the account is looked at.

    Kills: 1101 taken as 1102 (nothing would ever be heard of the market again), and the reverse.
    """
    wire.watch()
    wire.wait(10)
    began = wire.t
    wire.act("cut")
    wire.wait(10)
    wire.act("restore", code=1101)
    wire.wait(10)
    assert (asked(wire, QUOTES, began), asked(wire, BARS, began)) == (1, 1)
    (session,) = wire.gateway.sessions
    assert len(session.quotes.lines) == len(session.history.real_time) == 1
    assert reconciled(wire)[-1] > began
    wire.quote("190.00", "190.02")
    wire.close_bar("190.01")
    wire.wait(3)
    assert buys(wire) == ["place"]
    assert len(wire.told(BreakoutConfirmed)) == 1
    wire.line("link", "reconciled · 0 orders, 0 positions · entries open again")


def test_D04_fills_behind_1100_in_the_same_packet_are_booked_like_any_other(wire: WireStage) -> None:
    """All stops sell; in one packet: the first execution, 1100, the rest.

    Kills: messages that are dropped once 1100 was read.
    """
    wire.ladder()
    for what in ("execution", "status", "commission"):
        wire.hold(what, times=99)
    wire.quote("187.00", "187.05")
    wire.trade("187", 1000)
    assert wire.position() == 0
    lost = outgoing.error(-1, 1100, "Connectivity between IBKR and Trader Workstation has been lost.", 178)
    wire.release_around(lost)
    assert sum(event.qty for event in wire.told(OrderFilled) if event.side is Side.SELL) == 100
    assert not is_up(wire)
    began = wire.t
    wire.act("restore", code=1102)
    wire.wait(5)
    assert [word for word in commands(wire, began) if word.startswith("place")] == []
    assert wire.trade_of().phase is TradePhase.CLOSED
    wire.line("sl3", "filled 10 @ 187.00")
    assert wire.working() == []


# --- pictures that are not whole --------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [53, 55, 62])
def test_D06_a_picture_without_its_end_is_no_picture(wire: WireStage, end: int) -> None:
    """After a reconnect open orders (53), executions (55) or positions (62) are never completely told.

    Kills: time-outs of questions that count as their end.
    """
    wire.ladder()
    wire.watch(id_="br-2", level=usd(191))
    wire.drop_link()
    wire.wait(2)
    wire.switch(withhold=[end])
    began, cables = wire.t, wire.cables
    known = len(reconciled(wire))
    wire.restore_link()
    wire.wait(6)
    wire.quote("191.10", "191.12")
    wire.close_bar("191.11")
    wire.wait(20)
    assert len(reconciled(wire)) == known
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING
    assert [event.watch for event in wire.told(BreakoutConfirmed)] == ["br-1"]
    assert wire.cables > cables + 1  # three questions, and the connection was made anew
    assert wire.told(ReconciliationFailed)
    wire.line("not reconciled:", "were not answered completely")
    wire.switch(withhold=[])
    wire.wait(30)
    assert len(reconciled(wire)) == known + 1
    assert wire.shares() == RUNNING
    wire.sells_at_most(100)


def test_D07_positions_that_come_empty_and_then_right_cancel_nothing(wire: WireStage) -> None:
    """Right after its login the gateway has no positions yet; two seconds later it has.

    Kills: a flat account that is believed at its first word.
    """
    wire.ladder()
    wire.drop_link()
    wire.wait(2)
    wire.pictures(positions=1e6)
    began = wire.t
    wire.restore_link()
    wire.wait(2)
    wire.pictures()
    wire.wait(20)
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING
    assert wire.trade_of().protection == "PROTECTED"
    assert not wire.told(LadderStopLossCancelled)
    wire.line("exits", "protected 100 % · 100 of 100 shares have a stop")
    wire.sells_at_most(100)


def test_D08_a_client_id_in_use_is_waited_for_and_never_changed(wire: WireStage) -> None:
    """The gateway takes the old connection for alive for a while: 326 again and again, then it is let in.

    Kills: another client id after 326 (our orders would belong to somebody else).
    """
    wire.ladder()
    began, cables = wire.t, wire.cables
    wire.cut_cable(ghost=60)
    wire.wait(50)
    refused = wire.cables - cables
    assert 3 <= refused <= 6
    assert list(wire.gateway.house.clients) == [7]
    assert not is_up(wire)
    wire.line("client id 7 is in use: end the other program that has it; our orders belong to this id")
    assert len([line for line in wire.lines() if "client id 7 is in use" in line]) == 1
    dials = [at for at in wire.net.dials if at >= began]
    assert all(later - earlier >= 1 for earlier, later in pairwise(dials))
    wire.wait(70)
    assert is_up(wire)
    assert wire.hellos == {7}
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING


# --- what stands there at the connect ---------------------------------------------------------------------------------


def test_D11_a_stop_that_is_missing_after_a_reconnect_is_replaced_and_a_foreign_one_does_not_count(
    make_wire: Make,
) -> None:
    """Leg 2 lost its stop while nobody looked, and another program has a stop of its own there: 30 shares get a new one.

    Kills: foreign stops that count as protection.
    """
    wire = make_wire(oca_cancel_spreads=False)
    wire.ladder()
    wire.drop_link()
    wire.wait(5)
    wire.cancel_outside("sl2")
    wire.foreign(Side.SELL, 30, type=OrderType.STOP, stop=usd(180))
    back = wire.t
    wire.restore_link()
    wire.wait(10)
    assert wire.shares("sl") == {"sl1": 60, "sl2": 30, "sl3": 10}
    renewed = [sent for sent in wire.sent if sent.leg == "sl2" and sent.action == "place" and sent.t >= back]
    assert len(renewed) == 1
    assert renewed[0].t - back < 10
    (foreign,) = wire.working(client=3)
    assert (foreign.qty, foreign.stop) == (30, usd(180))
    assert "PARTIAL" in states(wire)
    assert states(wire)[-1] == "PROTECTED"
    wire.line("sl2", "stop gone")
    wire.sells_at_most(100)


@pytest.mark.parametrize("is_restart", [False, True])
def test_D12_a_ladder_that_is_found_at_work_is_taken_up_and_nothing_is_sent(
    wire: WireStage, is_restart: bool
) -> None:
    """A new connection, or a new process: the same orders by their refs and numbers, and not one byte about orders.

    Kills: a picture after which orders that it shows are placed again.
    """
    wire.ladder()
    before = [(order.leg, order.number, order.qty, order.stop, order.limit) for order in wire.working()]
    began = wire.t
    if is_restart:
        wire.crash()
        wire.wait(5)
        wire.restart()
    else:
        wire.drop_link()
        wire.wait(5)
        wire.restore_link()
    wire.wait(60)
    assert commands(wire, began) == []
    assert [
        (order.leg, order.number, order.qty, order.stop, order.limit) for order in wire.working()
    ] == before
    assert wire.trade_of().protection == "PROTECTED"
    assert reconciled(wire)[-1] > began
    first_target_unseen(wire)
    wire.wait(2)
    assert stops(wire) == {"sl2": "190", "sl3": "190"}
    wire.line("milestone", "target 1 reached")
    wire.sells_at_most(40)
