"""Connections that do not hold, or end at the worst instant (group D of the scenarios).

Laws: as in ``test_wire_link``.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import pytest
from tests.faults.openings import FULL, buys, states
from tests.faults.scenes import RUNNING, commands
from tests.faults.wire_kit import WireStage

from tradeshell.core.events import (
    ConnectionChanged,
    InventoryConfirmFailed,
    OrderOutcomeUnknown,
    ReconciliationCompleted,
)

Make = Callable[..., WireStage]
FRIDAY = datetime.fromisoformat("2025-07-11T19:30:00+00:00")  # half an hour before the close


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


# --- links that do not hold -------------------------------------------------------------------------------------------


def test_D13_a_link_that_flaps_while_a_ladder_arms_leaves_one_ladder(wire: WireStage) -> None:
    """Twenty drops within a minute, each in the middle of a picture.

    Kills: an answer of an earlier connection that counts for the present one; attempts without a pause.
    """
    wire.pictures(answer=0.4)
    wire.hold("position", times=999)
    wire.trigger()
    for _ in range(20):
        wire.cut_cable()
        wire.wait(0.7)
        wire.connect()
        wire.wait(2.3)
    wire._holds.clear()
    wire.pictures()
    wire.cut_cable()
    dials = len(wire.net.dials)
    wire.wait(90)
    assert wire.shares() == FULL
    assert len(wire.gateway.sessions) == 1
    assert len(wire.net.dials) - dials <= 3
    assert buys(wire) == ["place"]
    assert wire.position() == 100
    by_leg = [sent.leg for sent in wire.sent if sent.action == "place" and sent.leg[:2] in ("sl", "tp")]
    assert sorted(by_leg) == sorted(FULL)
    wire.line("exits", "protected 100 % · 100 of 100 shares have a stop")
    wire.sells_at_most(100)


def test_D13_attempts_come_later_each_time(wire: WireStage) -> None:
    """A gateway that is gone for five minutes is dialled after 1, 2, 4 … 30 seconds, and told about once.

    Kills: a pause that does not grow.
    """
    wire.ladder()
    wire.drop_link()
    wire.wait(300)
    pauses = [later - earlier for earlier, later in pairwise(wire.net.dials[1:])]
    assert pauses[0] >= 1
    assert all(later >= earlier * 0.8 for earlier, later in pairwise(pauses))
    assert 25 <= pauses[-1] <= 60
    assert len(link_lines(wire)) <= 3
    wire.line("broker", "refuses the connection", "trying again by itself")
    assert wire.shares() == RUNNING


@pytest.mark.parametrize("how", ["shut", "silent", "mute", "line"])
def test_D16_a_gateway_that_is_not_logged_in_is_told_in_its_own_words_and_without_a_flood(
    wire: WireStage, how: str
) -> None:
    """It takes the socket and closes it, says nothing, says nothing after the greeting, or has no line of its own.

    Kills: one text for every failure to connect, and a line for each attempt.
    """
    words = {
        "shut": "closed the connection before it was ready",
        "silent": "takes the connection and says nothing: it may be waiting for its login",
        "mute": "takes the connection and says nothing: it may be waiting for its login",
        "line": "has lost Interactive Brokers: nothing is sent until it is back",
    }
    wire.ladder()
    began = wire.t
    if how == "line":
        for _ in range(10):
            wire.act("say", code=1100, text="Connectivity between IBKR and Trader Workstation has been lost.")
            wire.act("say", code=2110, text="Connectivity between Trader Workstation and server is broken.")
            wire.wait(30)
    else:
        wire.switch(**({"max_clients": 0} if how == "shut" else {"greeting": how}))
        wire.cut_cable()
        wire.wait(300)
        dials = [at for at in wire.net.dials if at >= began]
        assert all(later - earlier <= 60 + 6.1 for earlier, later in pairwise(dials))
    wire.line(words[how])
    assert len([line for line in wire.lines() if line.startswith(("link", "broker"))]) <= 4
    assert commands(wire, began) == []
    if how == "line":
        wire.act("say", code=1102, text="Connectivity has been restored - data maintained.")
    else:
        wire.switch(max_clients=32, greeting="normal")
    wire.wait(80)
    assert is_up(wire)
    assert reconciled(wire)[-1] > began
    assert wire.shares() == RUNNING


def test_D17_after_a_weekend_the_position_decides_and_nothing_is_placed_twice(make_wire: Make) -> None:
    """The link goes on Friday, the third target fills after that, and on Monday executions are those of Monday.

    Kills: a sale of a picture's orders that are missing, from executions alone (10 shares would be sold twice).
    """
    wire = make_wire(start=FRIDAY)
    wire.ladder()
    numbers = {order.leg: order.number for order in wire.working()}
    wire.drop_link()
    wire.wait(60)
    wire.inside(lambda: wire.actions.fill(order=wire.number("tp3"), price=205, client=7))
    wire.close_market()
    assert wire.position() == 90
    monday = datetime.fromisoformat("2025-07-14T14:00:00+00:00")
    wire.wait((monday - wire.now).total_seconds())
    began = wire.t
    wire.restore_link()
    wire.wait(60)
    assert wire.position() == 90
    # Which leg sold nobody can say: what is left is shared out anew, over the orders that are there and no more.
    assert sum(order.qty for order in wire.working("sl")) == 90
    assert {numbers[leg] for leg in ("sl1", "sl2")} <= {order.number for order in wire.working("sl")}
    assert not [
        sent
        for sent in wire.sent
        if sent.t >= began and sent.leg in ("sl1", "sl2") and sent.action == "place"
    ]
    assert [(e.expected, e.actual) for e in wire.told(InventoryConfirmFailed)][-1] == (100, 90)
    wire.line("position", "the broker holds 90")
    wire.sells_at_most(90)


def test_D18_two_attempts_at_once_make_one_connection(wire: WireStage) -> None:
    """The program tries by itself at the instant at which the operator types `connect`, twice.

    Kills: an attempt that does not look whether there is one.
    """
    wire.ladder()
    began, cables = wire.t, wire.cables
    wire.cut_cable()

    def thrice() -> None:
        wire.broker.connection._try_again()
        for _ in range(2):
            wire.loop.create_task(wire.broker.connect())

    wire.inside(thrice)
    wire.wait(10)
    assert wire.cables == cables + 1
    assert len(wire.gateway.sessions) == 1
    assert [event.link for event in wire.told(ConnectionChanged)][-2:] == ["lost", "up"]
    assert commands(wire, began) == []
    assert wire.shares() == RUNNING


@pytest.mark.parametrize("arrives", [True, False])
def test_D19_D20_an_exit_that_left_as_the_link_dropped_is_found_or_placed_once_more(
    wire: WireStage, arrives: bool
) -> None:
    """The stop of leg 2 is on its way when the socket ends: the gateway has it, or never got it.

    Kills: an order of which nothing was heard that is sent again before two pictures lack it; one that is never sent again.
    """
    wire.cut_at("sl2", arrives=arrives)
    wire.trigger()
    wire.wait(5)
    assert ("sl2" in wire.shares()) is arrives
    back = wire.t
    wire.restore_link()
    wire.wait(20)
    assert wire.shares() == FULL
    again = [sent for sent in wire.sent if sent.leg == "sl2" and sent.action == "place" and sent.t >= back]
    assert len(again) == (0 if arrives else 1)
    numbers = [order.number for order in wire.working("sl2")]
    assert len(numbers) == 1
    assert not arrives or wire.told(OrderOutcomeUnknown) == [] or numbers == [wire.number("sl2")]
    assert states(wire)[-1] == "PROTECTED"
    wire.line("exits", "protected 100 % · 100 of 100 shares have a stop")
    wire.sells_at_most(100)
