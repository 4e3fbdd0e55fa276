"""The switches and actions: each fault of orders that a real gateway was seen to have, on demand."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.gateway.support import (
    OPEN,
    on_virtual_time,
    quotes,
    start_bare,
    told,
)

from tradeshell_paper.settings import Print
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.gateway import Gateway

CALM = quotes((0, "100.00", "100.02"), (20_000, "100.00", "100.02"))
STOCK = ["0", "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "", ""]


async def nothing() -> None: ...


def actions_of(gateway: Gateway) -> Actions:
    return Actions(gateway, nothing, lambda: None)


def heard(
    *steps: Any, script: Any = CALM, switches: dict[str, Any] | None = None, **settings: Any
) -> list[list[str]]:
    """Run steps (waits, calls of the client, actions with their arguments); return what was told after each wait."""
    pieces: list[list[str]] = []

    async def story(gateway: Gateway) -> None:
        client, actions = await start_bare(gateway), actions_of(gateway)
        for step in (*steps, 0.01):
            if isinstance(step, tuple):
                actions.do(step[0], step[1])
            elif callable(step):
                step(client)
            else:
                await asyncio.sleep(step)
                pieces.append(told(client.take()))

    on_virtual_time(story, script=script, switches=switches, **settings)
    return pieces


def place(*args: Any, **values: Any) -> Any:
    return lambda client: client.place(*args, **values)


def cancel(number: int) -> Any:
    return lambda client: client.cancel(number)


MARKET = place(1, "BUY", 100, "MKT")
RESTING = place(1, "BUY", 100, "LMT", limit=99)
FILLED = ["O1 Filled", "T1 Filled 100/0"]


# --- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switches, order",
    [
        ({"filled_first": True}, ["O1 Submitted", "T1 Submitted 0/100", *FILLED, *FILLED, "E1 100 @ 100.02", "K"]),
        ({"execution_first": True}, [*FILLED, *FILLED, "K", "E1 100 @ 100.02"]),
        ({"commission": "never"}, ["O1 Submitted", "T1 Submitted 0/100", "E1 100 @ 100.02", *FILLED, *FILLED]),
        ({"commission": "before"}, ["O1 Submitted", "T1 Submitted 0/100", "K", "E1 100 @ 100.02", *FILLED, *FILLED]),
        ({"skip_status": ["Submitted"]}, ["E1 100 @ 100.02", *FILLED, *FILLED, "K"]),
        (
            {"repeat_status": True},
            ["O1 Submitted", "T1 Submitted 0/100"] * 2 + ["E1 100 @ 100.02", *FILLED * 4, "K"],
        ),
        (
            {"flash_presubmitted": True},
            ["O1 PreSubmitted", "T1 PreSubmitted 0/100", "O1 Submitted", "T1 Submitted 0/100", "E1 100 @ 100.02",
             *FILLED, *FILLED, "K"],
        ),
        (
            {"tif_preset": True},
            ["X1 10349", "O1 Submitted", "T1 Submitted 0/100", "E1 100 @ 100.02", *FILLED, *FILLED, "K"],
        ),
        (
            {"unsolicited_completed": True},
            ["O1 Submitted", "T1 Submitted 0/100", "E1 100 @ 100.02", *FILLED, *FILLED, "K"],
        ),
    ],
)  # fmt: skip
def test_messages_of_a_fill_change_their_order_repeat_or_are_missing(
    switches: dict[str, Any], order: list[str]
) -> None:
    (piece,) = heard(
        place(1, "BUY", 100, "MKT", tif="" if "tif_preset" in switches else "DAY"), switches=switches
    )
    if "execution_first" in switches:
        assert piece.index("E1 100 @ 100.02") < piece.index("O1 Submitted")
    else:
        assert piece == order


def test_each_kind_of_message_can_be_late() -> None:
    pieces = heard(
        MARKET, 1, 1, 1, 1,
        switches={"ack_delay": 0.5, "status_delay": 1.5, "execution_delay": 2.5, "commission_delay": 3.5},
    )  # fmt: skip
    assert pieces[:4] == [
        ["O1 Submitted", "T1 Submitted 0/100"],
        [*FILLED, *FILLED],
        ["E1 100 @ 100.02"],
        ["K"],
    ]


def test_an_order_can_take_its_time_to_the_exchange() -> None:
    assert heard(RESTING, 1, 2, switches={"latency": 2.0})[:2] == [[], ["O1 Submitted", "T1 Submitted 0/100"]]


def test_a_cancel_can_lose_the_race_against_a_fill() -> None:
    pieces = heard(RESTING, 1, cancel(1), 1, switches={"cancel_race": 1, "pending_cancel": True})
    assert pieces[1] == ["T1 PendingCancel 0/100", "E1 100 @ 99", *FILLED, *FILLED, "K", "X1 10148"]


def test_a_confirmed_cancel_can_be_followed_by_a_fill() -> None:
    pieces = heard(RESTING, 1, cancel(1), 1, ("late_fill", {"order": 1, "client": 1, "qty": 40, "price": 99}))
    assert pieces[2] == ["E1 40 @ 99", "T1 Cancelled 40/60", "X1 202", "K"]


def test_a_correction_repeats_the_execution_with_a_higher_last_number() -> None:
    ids: list[str] = []

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.place(1, "BUY", 100, "MKT")
        await asyncio.sleep(1)
        actions_of(gateway).do("correct", {"order": 1, "client": 1, "qty": 80, "price": 99.5})
        await asyncio.sleep(1)
        ids.extend(m[14] for m in client.take() if m[0] == "11")
        client.send(61, 1)
        await asyncio.sleep(1)
        assert [m[14:] for m in client.take() if m[0] == "61"] == [["80", "99.5"]]

    on_virtual_time(story, script=CALM)
    first, second = ids
    assert first.rpartition(".")[0] == second.rpartition(".")[0]
    assert (first[-3:], second[-3:]) == (".01", ".02")


def test_orders_can_be_refused_before_and_after_they_were_taken() -> None:
    before = {
        "refuse": [
            {
                "symbol": "AAPL",
                "side": "BUY",
                "code": 201,
                "text": "Order rejected - reason:margin",
                "times": 1,
            }
        ]
    }
    assert heard(RESTING, 1, place(2, "BUY", 1, "LMT", limit=99), switches=before) == [
        ["X1 201"],
        ["O2 Submitted", "T2 Submitted 0/1"],
    ]
    after = {"refuse": [{"accepted": True, "code": 201, "times": 1}]}
    assert heard(RESTING, switches=after) == [["X1 201", "O1 Inactive", "T1 Inactive 0/100"]]


def test_an_order_can_be_inactive_and_come_back_to_life() -> None:
    rules = {"refuse": [{"code": 201, "times": 1, "revive": 5.0}]}
    pieces = heard(RESTING, 1, 5, switches=rules)
    assert pieces[:2] == [
        ["O1 Submitted", "T1 Submitted 0/100", "X1 201", "O1 Inactive", "T1 Inactive 0/100"],
        ["O1 Submitted", "T1 Submitted 0/100"],
    ]


def test_changes_and_cancels_can_be_refused_and_the_order_works_on() -> None:
    rules = {"busy_changes": 1, "refuse": [{"action": "cancel", "code": 161, "times": 1}]}
    pieces = heard(RESTING, 1, place(1, "BUY", 100, "LMT", limit=98), cancel(1), 1, cancel(1), switches=rules)
    assert pieces[1:] == [["X1 2102", "X1 161"], ["T1 Cancelled 0/100", "X1 202"]]


def test_an_advice_is_said_and_the_order_works() -> None:
    rules = {"refuse": [{"code": 2109, "text": "Order Event Warning", "advisory": True}]}
    assert heard(RESTING, switches=rules) == [["X1 2109", "O1 Submitted", "T1 Submitted 0/100"]]


def test_a_short_sale_can_wait_for_stock() -> None:
    pieces = heard(place(1, "SELL", 100, "LMT", limit=100), 1, 5, switches={"locate": 4.0})
    assert pieces[0] == ["X1 404", "O1 PreSubmitted", "T1 PreSubmitted 0/100 locate"]
    assert pieces[1][:2] == ["O1 Submitted", "T1 Submitted 0/100"]


@pytest.mark.parametrize("mode, there", [("accepted", ["O1 Submitted", "T1 Submitted 0/100"]), ("lost", [])])
def test_the_socket_can_end_around_a_new_order_that_was_taken_or_not(mode: str, there: list[str]) -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway, 1)
        client.place(1, "BUY", 100, "LMT", limit=99)
        await asyncio.sleep(1)
        assert client.is_lost
        assert client.take() == []
        again = await start_bare(gateway, 1)
        again.send(5, 1)
        await asyncio.sleep(1)
        assert told(again.take()) == there

    on_virtual_time(story, script=CALM, switches={"lose_place": mode})


@pytest.mark.parametrize("shown", [True, False])
def test_children_of_a_parent_that_filled_in_part_are_cancelled_or_held(shown: bool) -> None:
    exchange = {"partial": True, "partial_parent": "cancel" if shown else "hold"}
    pieces = heard(
        place(1, "BUY", 1000, "LMT", limit=100.02, transmit=0), place(2, "SELL", 1000, "STP", aux=95, parent=1), 1,
        cancel(1), exchange=exchange,
    )  # fmt: skip
    assert ("T2 Cancelled 0/1000" in pieces[1]) is shown


def test_both_orders_of_a_group_can_fill() -> None:
    wide = quotes((0, "100.00", "100.02"))

    rows = [
        *wide,
        Print("AAPL", OPEN + timedelta(seconds=60), Decimal(98)),
        Print("AAPL", OPEN + timedelta(seconds=99), Decimal(98)),
    ]
    pieces = heard(
        place(1, "BUY", 100, "LMT", limit=99, oca="g", oca_type=3),
        place(2, "BUY", 100, "LMT", limit=98.5, oca="g", oca_type=3), 1, 70, script=rows, exchange={"oca_race": True},
    )  # fmt: skip
    assert {"T1 Filled 100/0", "T2 Filled 100/0"} <= set(pieces[1])


def test_an_order_can_be_killed_revived_filled_and_cancelled_from_outside() -> None:
    pieces = heard(
        RESTING, 1, ("kill", {"order": 1, "client": 1, "code": 201, "text": "no", "final": False}), 1,
        ("revive", {"order": 1, "client": 1}), 1, ("fill", {"order": 1, "client": 1, "qty": 30, "price": 98.5}), 1,
        ("cancel", {"order": 1, "client": 1}), 1,
    )  # fmt: skip
    assert pieces[1:5] == [
        ["X1 201", "O1 Inactive", "T1 Inactive 0/100"],
        ["O1 Submitted", "T1 Submitted 0/100"],
        ["E1 30 @ 98.5", "O1 Submitted", "T1 Submitted 30/70", "K"],
        ["T1 Cancelled 30/70", "X1 202"],
    ]
