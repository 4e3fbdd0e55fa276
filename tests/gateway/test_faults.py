"""The switches and actions: each fault that a real gateway was seen to have, on demand."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.gateway.support import (
    OPEN,
    Bare,
    Served,
    client_of,
    contract,
    on_virtual_time,
    quotes,
    served,
    start_bare,
    talk_to,
    told,
    until,
)

from tradeshell import ConfigError
from tradeshell_paper.settings import Print
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.inmemory import dial
from tradeshell_paper.tws.scenario import make_scenario, parse_line

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


# --- the line to the exchange, farms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1101, 1102])
def test_an_outage_holds_orders_and_news_back_and_says_how_the_data_fared(code: int) -> None:
    falls = quotes((0, "100.00", "100.02"), (30, "98.00", "98.02"), (20_000, "98.00", "98.02"))

    async def story(gateway: Gateway) -> None:
        client, actions = await start_bare(gateway), actions_of(gateway)
        client.send(1, 11, 4, *STOCK, 0, "", 0, 0, "")
        client.place(1, "BUY", 100, "LMT", limit=99)
        await asyncio.sleep(1)
        client.take()
        actions.do("outage", {"seconds": 60, "code": code})
        await asyncio.sleep(10)
        client.place(2, "BUY", 1, "LMT", limit=90)
        await asyncio.sleep(45)
        assert told(client.take()) == ["X-1 1100"]
        await asyncio.sleep(10)
        assert told(client.take()) == [
            f"X-1 {code}", "E1 100 @ 99", *FILLED, *FILLED, "K", "O2 Submitted", "T2 Submitted 0/1",
        ]  # fmt: skip
        client.send(2, 2, 4)
        await asyncio.sleep(1)
        assert told(client.take()) == (["X4 300"] if code == 1101 else [])

    on_virtual_time(story, script=falls)


def test_a_farm_can_break_and_come_back_with_bars_that_never_speak_again() -> None:
    async def story(gateway: Gateway) -> None:
        client, actions = await start_bare(gateway), actions_of(gateway)
        client.send(20, 7, *STOCK, 0, "", "5 secs", "60 S", 1, "TRADES", 2, 1, "")
        await asyncio.sleep(20)
        assert [m[0] for m in client.take()].count("90") > 3
        actions.do("farm", {"kind": "market", "seconds": 5, "bars_die": True})
        await asyncio.sleep(60)
        assert told(client.take()) == ["X-1 2103", "X-1 2104"]
        client.send(25, 1, 7)
        await asyncio.sleep(1)
        assert told(client.take()) == []

    on_virtual_time(story)


def test_updates_of_bars_can_end_with_10182_and_be_asked_for_again() -> None:
    async def story(gateway: Gateway) -> None:
        client, actions = await start_bare(gateway), actions_of(gateway)
        ask = [20, 7, *STOCK, 0, "", "5 secs", "60 S", 1, "TRADES", 2, 1, ""]
        client.send(*ask)
        await asyncio.sleep(11)
        client.take()
        actions.do("bars_die", {"code": 10182})
        await asyncio.sleep(20)
        got = client.take()
        assert told(got) == ["X7 10182"]
        assert len(got) == 1
        client.send(25, 1, 7)
        ask[1] = 8
        client.send(*ask)
        await asyncio.sleep(11)
        assert [m[0] for m in client.take()].count("90") > 1

    on_virtual_time(story)


def bars_seen(switches: dict[str, Any], seconds: float = 62) -> list[tuple[str, str]]:
    """Return start and volume of each update of five-second bars."""
    found: list[tuple[str, str]] = []

    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.send(20, 7, *STOCK, 0, "", "15 secs", "600 S", 1, "TRADES", 2, 1, "")
        await asyncio.sleep(1)
        first = next(m for m in client.take() if m[0] == "17")
        assert (first[4] == "0") is bool(switches.get("bars_empty"))
        await asyncio.sleep(seconds)
        found.extend((m[3], m[9]) for m in client.take() if m[0] == "90")

    on_virtual_time(story, switches=switches)
    return found


def test_bars_can_be_silent_corrected_missing_out_of_order_and_the_first_answer_empty() -> None:
    usual = bars_seen({})
    starts = list(dict.fromkeys(at for at, _ in usual))
    assert len(starts) >= 4
    assert [int(b) - int(a) for a, b in pairwise(starts)] == [15] * (len(starts) - 1)
    assert bars_seen({"bars_silent": True}) == []
    corrected = bars_seen({"bars_corrected": True})
    at = corrected.index((starts[1], corrected[[a for a, _ in corrected].index(starts[1])][1]))
    assert any(a == starts[0] for a, _ in corrected[at:])
    assert len({a for a, _ in bars_seen({"bars_missing": 1})}) == len(starts) - 1
    order = [a for a, _ in bars_seen({"bars_out_of_order": 1})]
    assert order != sorted(order)
    assert bars_seen({"bars_empty": True}) == usual


def test_a_competing_session_takes_the_quotes_until_it_ends() -> None:
    async def story(gateway: Gateway) -> None:
        client, actions = await start_bare(gateway), actions_of(gateway)
        client.send(1, 11, 4, *STOCK, 0, "", 0, 0, "")
        await asyncio.sleep(3)
        assert client.take() != []
        actions.do("set", {"competing": True})
        await asyncio.sleep(5)
        got = client.take()
        assert (told(got), len(got)) == (["X4 10197"], 1)
        actions.do("set", {"competing": False})
        await asyncio.sleep(3)
        assert len(client.take()) > 5

    on_virtual_time(story)


@pytest.mark.parametrize(
    "mode, kind, codes, first",
    [
        ("delayed", 3, ["X4 10167"], "66"),
        ("delayed", 1, ["X4 354"], None),
        ("refused", 3, ["X4 354"], None),
        ("unsubscribed", 3, ["X4 10089"], None),
        ("live", 3, [], "1"),
    ],
)
def test_market_data_can_be_delayed_or_refused(
    mode: str, kind: int, codes: list[str], first: str | None
) -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.send(59, 1, kind)
        client.send(1, 11, 4, *STOCK, 0, "", 0, 0, "")
        await asyncio.sleep(1)
        got = client.take()
        assert told(got) == codes
        assert next((m[3] for m in got if m[0] == "1"), None) == first

    on_virtual_time(story, switches={"market_data": mode})


def test_there_are_so_many_lines_and_no_more() -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        for number in range(4):
            client.send(1, 11, 10 + number, *STOCK, 0, "", 0, 0, "")
            client.send(97, 20 + number, *STOCK, "Last", 0, 0)
        await asyncio.sleep(0.1)
        assert told(client.take()) == ["X22 10190", "X13 101", "X23 10190"]

    on_virtual_time(story, switches={"lines": 3, "tick_streams": 2})


# --- answers and connections --------------------------------------------------------------------------------------------


def test_requests_can_go_unanswered_and_answers_can_lack_their_end() -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.send(61, 1)
        client.send(7, 3, 2, 0, "", "", "", "", "", "")
        client.send(99, 0)
        await asyncio.sleep(1)
        assert [m[0] for m in client.take()] == ["62"]

    on_virtual_time(story, switches={"ignore": [99], "withhold": [55]})


def test_executions_of_a_day_before_are_gone_and_completed_orders_have_no_order_id() -> None:
    async def story(gateway: Gateway) -> None:
        client = await start_bare(gateway)
        client.place(1, "BUY", 100, "MKT")
        await asyncio.sleep(1)
        client.take()
        client.send(99, 0)
        await asyncio.sleep(1)
        done = client.take()[0]
        assert (done[0], done[12], done[13]) == ("101", "BUY", "0")
        assert len(done) == 100

    on_virtual_time(story)


def test_a_port_can_be_closed_and_a_gateway_restart_for_a_while() -> None:
    async def story() -> None:
        async with served(script=CALM) as gateway:
            async with client_of(gateway.port, 1) as ib:
                await ib.qualifyContractsAsync(contract())
                gateway.actions.do("restart", {"seconds": 0.3})
                await until(lambda: not ib.isConnected())
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", gateway.port)
            await until(lambda: gateway.listener.is_open)
            async with client_of(gateway.port, 1) as again:
                assert again.isConnected()

    asyncio.run(story())


@pytest.mark.parametrize("greeting", ["silent", "mute"])
def test_a_gateway_can_take_the_connection_and_say_nothing(greeting: str) -> None:
    async def story() -> None:
        async with served(script=CALM, switches={"greeting": greeting}) as gateway:
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(b"API\0\0\0\0\x09v157..178")
            said = b""
            try:
                async with asyncio.timeout(0.2):
                    said += await reader.read(4096)
                    writer.write(b"\0\0\0\x0a71\x002\x001\x00\x00")
                    said += await reader.read(4096)
            except TimeoutError:
                pass
            assert said[4:7] == (b"" if greeting == "silent" else b"178")
            writer.close()

    asyncio.run(story())


async def drop(gateway: Served, **arguments: Any) -> None:
    gateway.actions.do("drop", arguments)
    await asyncio.sleep(0)


def test_a_connection_can_be_reset_closed_or_go_dead_without_a_word() -> None:
    async def story() -> None:
        async with served(script=CALM) as gateway:
            async with talk_to(gateway.port, 1) as talk:
                await drop(gateway, client=1)
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await talk.read_until("nothing like it")
            async with talk_to(gateway.port, 1) as talk:
                await talk.read_until(4, 2, -1, 2158)
                await drop(gateway, client=1, reset=False)
                with pytest.raises(asyncio.IncompleteReadError):
                    await talk.read()
            async with talk_to(gateway.port, 1) as talk:
                await talk.read_until(4, 2, -1, 2158)
                gateway.switch(half_open=True)
                talk.send(49, 1)
                with pytest.raises(TimeoutError):
                    await talk.read_until(49, seconds=0.2)

    asyncio.run(story())


def test_the_next_valid_id_can_be_late() -> None:
    async def story(gateway: Gateway) -> None:
        _, client = dial(asyncio.get_running_loop(), gateway, Bare)
        assert isinstance(client, Bare)
        client.raw(b"API\0\0\0\0\x04v178")
        client.send(71, 2, 1, "")
        await asyncio.sleep(1)
        assert "9" not in [m[0] for m in client.take()]
        await asyncio.sleep(2)
        assert client.take() == [["9", "1", "1"]]

    on_virtual_time(story, script=CALM, switches={"next_id_delay": 2.0})


# --- scenarios and lines ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tables, words",
    [
        ({"switchs": {}}, r"there is no table \[switchs\]"),
        ({"switches": {"comission": "never"}}, "did you mean commission"),
        ({"switches": {"commission": "sometimes"}}, "switch commission = 'sometimes'"),
        ({"switches": {"refuse": [{"codes": 1}]}}, "refuse"),
        ({"exchange": {"account": "DU1"}}, r"\[exchange\] has no 'account'"),
        ({"exchange": {"partial": 3}}, "partial"),
        ({"event": [{"after": -1, "do": "drop"}]}, "after is a number"),
        ({"event": [{"after": 1}]}, "do names an action"),
    ],
)
def test_a_scenario_that_is_wrong_says_where(tables: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_scenario(tables)


def test_a_line_is_an_action_with_values() -> None:
    assert parse_line('say code=1100 text="two words" client=3') == (
        "say",
        {"code": 1100, "text": "two words", "client": 3},
    )
    assert parse_line("set commission=never ignore=[99, 7]") == (
        "set",
        {"commission": "never", "ignore": [99, 7]},
    )
    with pytest.raises(ConfigError):
        parse_line("drop hard")


def test_an_unknown_action_or_argument_is_refused_in_words() -> None:
    async def story(gateway: Gateway) -> None:
        actions = actions_of(gateway)
        for name, arguments, words in (
            ("explode", {}, "there is no action 'explode'"),
            ("drop", {"hard": True}, "drop: got an unexpected keyword"),
            ("outage", {"code": 7}, "code is 1101 or 1102"),
            ("set", {"speed": 3}, "there is no switch 'speed'"),
            ("fill", {"order": 1, "price": "x"}, ""),
        ):
            if name == "fill":
                actions.do(name, arguments)  # an order that is not there is left alone
                continue
            with pytest.raises(ConfigError, match=words):
                actions.do(name, arguments)

    on_virtual_time(story, script=CALM)
