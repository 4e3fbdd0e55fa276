"""What a client hears of its orders, message by message, and in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.session import Session

from tests.gateway.support import Bare, on_virtual_time, place_fields, quotes, start_bare, told

CALM = quotes((0, "100.00", "100.02"), (20_000, "100.00", "100.02"))


def heard(*steps: Any, script: Any = CALM, number: int = 1, **settings: Any) -> list[list[str]]:
    """Run steps (callables of the client, or seconds to wait) and return what was told after each wait."""
    pieces: list[list[str]] = []

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway, number)
        for step in (*steps, 0.01):
            if callable(step):
                step(client)
            else:
                await asyncio.sleep(step)
                pieces.append(told(client.take()))

    on_virtual_time(story, script=script, **settings)
    return pieces


def place(*args: Any, **values: Any) -> Any:
    return lambda client: client.place(*args, **values)


def cancel(number: int) -> Any:
    return lambda client: client.cancel(number)


def test_a_market_order_is_shown_working_then_executed_then_filled_and_its_fee_comes_last() -> None:
    assert heard(place(1, "BUY", 100, "MKT")) == [
        [
            "O1 Submitted", "T1 Submitted 0/100", "E1 100 @ 100.02",
            "O1 Filled", "T1 Filled 100/0", "O1 Filled", "T1 Filled 100/0", "K",
        ]
    ]  # fmt: skip


def test_a_resting_limit_is_submitted_and_its_cancel_is_a_status_and_then_error_202() -> None:
    assert heard(place(1, "BUY", 100, "LMT", limit=99), 1, cancel(1)) == [
        ["O1 Submitted", "T1 Submitted 0/100"],
        ["T1 Cancelled 0/100", "X1 202"],
    ]


def test_a_change_shows_the_order_again_with_its_status() -> None:
    pieces = heard(place(1, "BUY", 100, "LMT", limit=99), 1, place(1, "BUY", 100, "LMT", limit=98))
    assert pieces[1] == ["O1 Submitted", "T1 Submitted 0/100"]


def test_a_stop_is_held_for_its_trigger_and_passes_through_submitted_when_elected() -> None:
    falls = quotes((0, "100.00", "100.02"), (60, "98.90", "98.92"))
    assert heard(place(1, "SELL", 100, "STP", aux=99), 1, 70, script=falls)[:2] == [
        ["O1 PreSubmitted", "T1 PreSubmitted 0/100 trigger"],
        ["E1 100 @ 98.9", "O1 Filled", "T1 Filled 100/0", "O1 Filled", "T1 Filled 100/0", "K"],
    ]


def test_an_elected_stop_limit_that_cannot_fill_becomes_submitted_and_rests() -> None:
    falls = quotes((0, "100.00", "100.02"), (60, "97.00", "97.02"))
    assert heard(place(1, "SELL", 100, "STP LMT", aux=99, limit=98.5), 1, 70, script=falls)[:2] == [
        ["O1 PreSubmitted", "T1 PreSubmitted 0/100 trigger"],
        ["O1 Submitted", "T1 Submitted 0/100"],
    ]


def bracket(parent: Any) -> list[Any]:
    return [
        parent,
        place(2, "SELL", 100, "LMT", limit=105, parent=1, transmit=0),
        place(3, "SELL", 100, "STP", aux=95, parent=1, transmit=1),
    ]


def test_a_bracket_is_silent_until_its_last_member_and_its_children_wait_for_the_parent() -> None:
    steps = bracket(place(1, "BUY", 100, "LMT", limit=99, transmit=0))
    pieces = heard(steps[0], steps[1], 1, steps[2], 1, cancel(1))
    assert pieces == [
        [],
        [
            "O1 Submitted", "T1 Submitted 0/100",
            "O2 PreSubmitted", "T2 PreSubmitted 0/100 child",
            "O3 PreSubmitted", "T3 PreSubmitted 0/100 child,trigger",
        ],
        ["T1 Cancelled 0/100", "X1 202", "T2 Cancelled 0/100", "X2 202", "T3 Cancelled 0/100", "X3 202"],
    ]  # fmt: skip


def test_children_come_to_life_with_the_parents_fill_and_one_ends_the_other() -> None:
    rises = quotes((0, "100.00", "100.02"), (60, "105.10", "105.12"))
    steps = bracket(place(1, "BUY", 100, "MKT", transmit=0))
    born, ended = heard(*steps, 1, 70, script=rises)[:2]
    assert born[6:] == [
        "E1 100 @ 100.02", "O1 Filled", "T1 Filled 100/0", "O1 Filled", "T1 Filled 100/0", "K",
        "O2 Submitted", "T2 Submitted 0/100", "O3 PreSubmitted", "T3 PreSubmitted 0/100 trigger",
    ]  # fmt: skip
    assert ended == [
        "E2 100 @ 105", "O2 Filled", "T2 Filled 100/0", "O2 Filled", "T2 Filled 100/0", "K",
        "T3 Cancelled 0/100", "X3 202",
    ]  # fmt: skip


def test_children_of_a_bracket_are_shown_in_a_group_named_after_the_parents_permanent_number() -> None:
    shown: list[list[str]] = []

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        for step in bracket(place(1, "BUY", 100, "LMT", limit=99, transmit=0)):
            step(client)
        await asyncio.sleep(1)
        shown.extend(m for m in client.take() if m[0] == "5")

    on_virtual_time(story, script=CALM)
    parent, take, stop = shown
    perm = parent[25]
    assert (take[19], stop[19], parent[19]) == (perm, perm, "")
    assert {m[53] for m in (take, stop)} == {"3"}


def test_an_ioc_that_cannot_fill_is_shown_and_cancelled_at_once() -> None:
    assert heard(place(1, "BUY", 100, "LMT", limit=99, tif="IOC")) == [
        ["O1 Submitted", "T1 Submitted 0/100", "T1 Cancelled 0/100", "X1 202"]
    ]


@pytest.mark.parametrize(
    "order, code",
    [
        (place_fields(1, "BUY", 0, "MKT"), 434),
        (place_fields(1, "BUY", 100, "LMT", limit=99.123), 110),
        (place_fields(1, "BUY", 100, "LMT"), 463),
        (place_fields(1, "BUY", 1.5, "MKT"), 10243),
        (place_fields(1, "BUY", 100, "TRAIL", aux=1), 387),
        (place_fields(1, "HOLD", 100, "MKT"), 321),
        (place_fields(1, "BUY", 100, "MKT", symbol="N/A"), 200),
        (place_fields(1, "BUY", 100, "MKT", symbol="MSFT"), 200),
        (place_fields(1, "BUY", 100, "MKT", account="DU9"), 321),
        (place_fields(1, "SELL", 100, "LMT", limit=105, parent=77), 135),
        (place_fields(1, "BUY", 100, "LMT", limit=99, tif="GTD"), 321),
        (place_fields(1, "BUY", 100, "MKT", tif="OPG"), 201),
        (place_fields(0, "BUY", 100, "MKT"), 103),
    ],
)
def test_what_cannot_be_an_order_is_refused_with_its_code_and_no_status(
    order: list[object], code: int
) -> None:
    assert heard(lambda client: client.send(*order)) == [[f"X{order[1]} {code}"]]


def test_an_id_that_was_refused_may_be_used_again_and_one_below_the_highest_may_not() -> None:
    assert heard(
        place(5, "BUY", 0, "MKT"), place(5, "BUY", 1, "LMT", limit=99), place(4, "BUY", 1, "LMT", limit=99)
    ) == [["X5 434", "O5 Submitted", "T5 Submitted 0/1", "X4 103"]]


def test_changes_of_what_may_not_change_are_refused_and_the_order_works_on() -> None:
    first = place(1, "BUY", 100, "LMT", limit=99)
    pieces = heard(
        first, 1,
        place(1, "SELL", 100, "LMT", limit=99), place(1, "BUY", 100, "STP", aux=105), 1,
        place(1, "BUY", 100, "LMT", limit=99, parent=7), 1, cancel(1),
    )  # fmt: skip
    assert pieces == [
        ["O1 Submitted", "T1 Submitted 0/100"],
        ["X1 105", "X1 329"],
        ["X1 10341"],
        ["T1 Cancelled 0/100", "X1 202"],
    ]


def test_ended_orders_are_neither_changed_nor_cancelled() -> None:
    pieces = heard(place(1, "BUY", 100, "MKT"), 1, place(1, "BUY", 200, "MKT"), cancel(1), cancel(99))
    assert pieces[1] == ["X1 104", "X1 10148", "X99 10147"]


def test_a_child_is_changed_with_its_parent_named_only_while_that_lives() -> None:
    steps = bracket(place(1, "BUY", 100, "MKT", transmit=0))
    pieces = heard(
        *steps,
        1,
        place(3, "SELL", 100, "STP", aux=96, parent=1),
        1,
        place(3, "SELL", 100, "STP", aux=96, parent=0),
    )
    assert pieces[1:] == [["X3 135"], ["O3 PreSubmitted", "T3 PreSubmitted 0/100 trigger"]]


def test_what_if_is_answered_by_an_order_with_margins_and_never_lives() -> None:
    answers: list[list[str]] = []

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.place(1, "BUY", 100, "LMT", limit=100, what_if=1)
        await asyncio.sleep(1)
        answers.extend(client.take())
        assert gateway.news.records == {}

    on_virtual_time(story, script=CALM)
    (answer,) = answers
    at = answer.index("PreSubmitted")
    assert answer[at - 1] == "1"
    assert answer[at + 1 : at + 10] == ["0", "0", "1000000", "2500", "2500", "-1", "2500", "2500", "999999"]


def test_partial_fills_are_told_one_by_one_with_totals_that_only_grow() -> None:
    thin = quotes((0, "100.00", "100.02"), (10, "100.00", "100.01"), (20, "99.99", "100.00"))
    pieces = heard(place(1, "BUY", 1200, "LMT", limit=100.02), 1, 30, script=thin, exchange={"partial": True})
    flat = [each for piece in pieces for each in piece if each[0] in "ET"]
    assert flat == [
        "T1 Submitted 0/1200", "E1 500 @ 100.02", "T1 Submitted 500/700", "E1 500 @ 100.02",
        "T1 Submitted 1000/200", "E1 200 @ 100.02", "T1 Filled 1200/0", "T1 Filled 1200/0",
    ]  # fmt: skip


def test_out_of_hours_an_order_is_announced_held_and_submitted_at_the_open() -> None:
    pieces = heard(
        place(1, "BUY", 100, "LMT", limit=1),
        1,
        7200,
        script=(),
        start="2025-07-08T08:00",
        switches={"hours_note": True},
    )
    assert pieces[0] == ["X1 399", "O1 PreSubmitted", "T1 PreSubmitted 0/100"]
    assert pieces[1] == ["O1 Submitted", "T1 Submitted 0/100"]


def test_a_day_order_ends_at_the_close_as_if_it_were_cancelled() -> None:
    pieces = heard(place(1, "BUY", 100, "LMT", limit=1), 1, 3600, script=(), start="2025-07-08T15:30")
    assert pieces[1] == ["T1 Cancelled 0/100", "X1 202"]


def test_an_order_that_is_good_after_a_time_waits_for_it_and_can_be_cancelled_before() -> None:
    later = "20250708 09:31:00 US/Eastern"
    pieces = heard(
        place(1, "BUY", 100, "MKT", after=later), place(2, "BUY", 100, "MKT", after=later), 1, cancel(2), 1, 120,
        script=quotes((0, "100.00", "100.02"), (90, "100.00", "100.02")),
    )  # fmt: skip
    assert pieces[0] == [
        "O1 PreSubmitted",
        "T1 PreSubmitted 0/100",
        "O2 PreSubmitted",
        "T2 PreSubmitted 0/100",
    ]
    assert pieces[1] == ["T2 Cancelled 0/100", "X2 202"]
    assert "T1 Filled 100/0" in pieces[2]


def test_a_group_of_the_first_kind_ends_with_any_fill() -> None:
    pieces = heard(
        place(1, "BUY", 100, "LMT", limit=99, oca="g", oca_type=1), 1,
        place(2, "BUY", 100, "LMT", limit=101, oca="g", oca_type=1),
    )  # fmt: skip
    assert pieces[1][-2:] == ["T1 Cancelled 0/100", "X1 202"]


@pytest.mark.parametrize("shows, total", [("total", "O1 Submitted"), ("remaining", "O1 Submitted")])
def test_a_group_that_is_reduced_shows_what_is_left(shows: str, total: str) -> None:
    sizes: list[str] = []

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.place(1, "BUY", 1000, "LMT", limit=99, oca="g", oca_type=2)
        client.place(2, "BUY", 1000, "LMT", limit=100.02, oca="g", oca_type=2, tif="IOC")
        await asyncio.sleep(1)
        got = [m for m in client.take() if m[:2] in (["5", "1"], ["3", "1"])]
        sizes.extend((got[2][14], got[3][4]))
        assert told(got[2:4]) == [total, "T1 Submitted 0/500"]

    on_virtual_time(story, script=CALM, exchange={"partial": True, "oca_shows": shows})
    assert sizes == (["500", "500"] if shows == "total" else ["1000", "500"])


def test_a_global_cancel_ends_the_orders_of_every_client() -> None:
    async def story(gateway: Gateway) -> None:
        one, two = await start_bare(gateway, 1), await start_bare(gateway, 2)
        one.place(1, "BUY", 100, "LMT", limit=99)
        two.place(1, "BUY", 100, "LMT", limit=98)
        await asyncio.sleep(1)
        one.take(), two.take()
        one.send(58, 1)
        await asyncio.sleep(1)
        assert told(one.take()) == told(two.take()) == ["T1 Cancelled 0/100", "X1 202"]

    on_virtual_time(story, script=CALM)


# --- who sees what ----------------------------------------------------------------------------------------------------


async def ask(client: Bare, *fields: object) -> list[str]:
    client.take()
    client.send(*fields)
    await asyncio.sleep(0.01)
    return told(client.take())


def test_clients_see_their_own_orders_and_may_look_at_all_but_cancel_their_own_only() -> None:
    async def story(gateway: Gateway) -> None:
        one, two = await start_bare(gateway, 1), await start_bare(gateway, 2)
        one.place(1, "BUY", 100, "LMT", limit=99)
        await asyncio.sleep(1)
        assert told(two.take()) == []
        assert await ask(two, 5, 1) == []
        assert await ask(two, 16, 1) == ["O1 Submitted", "T1 Submitted 0/100"]
        assert await ask(one, 5, 1) == ["O1 Submitted", "T1 Submitted 0/100"]
        assert await ask(two, 4, 1, 1, "") == ["X1 10147"]

    on_virtual_time(story, script=CALM)


def test_client_zero_binds_the_orders_of_the_window_and_hears_of_them() -> None:
    async def story(gateway: Gateway) -> None:
        from tradeshell_paper.tws.actions import Actions

        async def nothing() -> None: ...

        actions = Actions(gateway, nothing, lambda: None)
        zero = await start_bare(gateway, 0)
        actions.do("manual", {"side": "BUY", "symbol": "AAPL", "qty": 10, "kind": "LMT", "limit": 99})
        await asyncio.sleep(1)
        assert told(zero.take()) == []
        zero.send(5, 1)
        await asyncio.sleep(1)
        got = zero.take()
        assert got[0][0] == "100"
        assert told(got) == ["O-1 Submitted", "T-1 Submitted 0/10"]
        zero.cancel(-1)
        await asyncio.sleep(1)
        assert told(zero.take()) == ["T-1 Cancelled 0/10", "X-1 202"]

    on_virtual_time(story, script=CALM)


def test_the_master_client_hears_of_everybodys_orders() -> None:
    async def story(gateway: Gateway) -> None:
        one, master = await start_bare(gateway, 1), await start_bare(gateway, 77)
        one.place(1, "BUY", 100, "LMT", limit=99)
        await asyncio.sleep(1)
        assert told(one.take()) == told(master.take()) == ["O1 Submitted", "T1 Submitted 0/100"]

    on_virtual_time(story, script=CALM, switches={"master_client": 77})


def test_orders_live_while_their_client_is_away_and_nothing_is_told_again() -> None:
    rises = quotes((0, "100.00", "100.02"), (60, "98.00", "98.02"))

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway, 1)
        client.place(1, "BUY", 100, "LMT", limit=99, ref="mine")
        await asyncio.sleep(1)
        session: Session = gateway.sessions[0]
        session.abort()
        await asyncio.sleep(100)
        again = await start_bare(gateway, 1)
        assert told(again.take()) == []
        assert await ask(again, 5, 1) == []
        again.send(7, 3, 2, 0, "", "", "", "", "", "")
        again.send(99, 0)
        await asyncio.sleep(1)
        got = again.take()
        assert [m[0] for m in got] == ["11", "59", "55", "101", "102"]
        assert got[0][14].count(".") == 3
        assert got[0][26] == "mine"

    on_virtual_time(story, script=rises)


def test_executions_of_yesterday_are_not_told_and_filters_hold() -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway, 1)
        client.place(1, "BUY", 100, "MKT", tif="GTC")
        await asyncio.sleep(1)
        query: list[Any] = [7, 3, 2, 0, "", "", "", "", "", ""]
        assert await ask(client, *query) == ["E1 100 @ 189.4", "K"]
        for at, other in (
            (3, 5),
            (4, "DU9"),
            (6, "MSFT"),
            (7, "FUT"),
            (9, "SELL"),
            (5, "20250708 23:00:00 US/Eastern"),
        ):
            assert await ask(client, *query[:at], other, *query[at + 1 :]) == []
        assert len(await ask(client, *query[:9], "BUY")) == 2
        await asyncio.sleep(86_400)
        assert await ask(client, *query) == []

    on_virtual_time(story, start="2025-07-08T10:30")
