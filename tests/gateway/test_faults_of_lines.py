"""Faults of the line, of data, answers and connections, on demand; scenarios and lines that say them."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from tests.gateway.support import (
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
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.inmemory import dial
from tradeshell_paper.tws.scenario import make_scenario, parse_line

CALM = quotes((0, "100.00", "100.02"), (20_000, "100.00", "100.02"))
STOCK = ["0", "AAPL", "STK", "", "0.0", "", "", "SMART", "", "USD", "", ""]


async def nothing() -> None: ...


def actions_of(gateway: Gateway) -> Actions:
    return Actions(gateway, nothing, lambda: None)


FILLED = ["O1 Filled", "T1 Filled 100/0"]


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
