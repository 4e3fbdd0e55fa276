"""``tradeshell gateway`` as a program: words, the line that it prints, signals, the control port, numbers that outlive it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ib_async import LimitOrder
from tests.gateway.support import client_of, contract, until

from tradeshell_paper.calendar import session_at
from tradeshell_paper.tws.ids import AHEAD, Ids
from tradeshell_paper.tws.program import first_instant


class Program:
    """A gateway in a process of its own."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tradeshell", "--state-dir", str(folder), "gateway", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HOME": str(folder)},
        )
        self.lines: list[str] = []

    def port(self, what: str = "listening") -> int:
        """Read lines until the one that says where ``what`` is."""
        assert self.process.stdout is not None
        while True:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            self.lines.append(line.rstrip())
            if line.startswith(what):
                return int(line.rpartition(":")[2])

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """End it by a signal and return exit code and what it said on stderr."""
        self.process.send_signal(number)
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@contextmanager
def program(folder: Path, *words: str) -> Iterator[Program]:
    running = Program(folder, "--port", "0", *words)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_a_signal_ends_it_cleanly(tmp_path: Path, number: int) -> None:
    with program(tmp_path) as running:
        port = running.port()
        assert running.lines == [f"listening on 127.0.0.1:{port}"]
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(b"API\0\0\0\0\x09v157..178")
            assert sock.recv(4096)[4:8] == b"178\0"
        assert running.end(number) == (0, "")


def test_without_a_start_it_is_open_now_and_the_clock_is_the_computers(tmp_path: Path) -> None:
    async def story(port: int) -> None:
        async with client_of(port) as ib:
            now = await ib.reqCurrentTimeAsync()
            assert abs((now - datetime.now(UTC)).total_seconds()) < 5
            (details,) = await ib.reqContractDetailsAsync(contract())
            (session,) = [each for each in details.liquidSessions() if each.start <= now < each.end]
            assert session.end - session.start == timedelta(hours=6.5)
            await ib.qualifyContractsAsync(stock := contract())
            bars = await ib.reqHistoricalDataAsync(stock, "", "600 S", "1 min", "TRADES", True, 2)
            newest = bars[-1].date
            assert isinstance(newest, datetime)
            assert 0 <= (now - newest).total_seconds() < 62

    with program(tmp_path) as running:
        asyncio.run(story(running.port()))
        assert running.end() == (0, "")


@pytest.mark.parametrize("hour", range(0, 7 * 24, 5))
def test_a_generated_market_is_open_at_whatever_hour_it_starts(hour: int) -> None:
    now = datetime(2026, 11, 22, 5, 17, 31, 123456, tzinfo=UTC) + timedelta(hours=hour)
    begin = first_instant(now)
    session = session_at(begin)
    assert session is not None
    assert session.open <= begin < session.close - timedelta(minutes=15)
    assert (now - begin) % timedelta(hours=1) == timedelta(0)
    assert abs(now - begin) < timedelta(days=5)


def test_in_regular_hours_the_market_has_the_computers_time() -> None:
    noon = datetime(2026, 11, 23, 17, tzinfo=UTC)
    assert first_instant(noon) == noon


def test_order_numbers_outlive_the_process_also_when_it_is_killed(tmp_path: Path) -> None:
    async def trade(port: int) -> int:
        async with client_of(port, 3) as ib:
            await ib.qualifyContractsAsync(stock := contract())
            trade = ib.placeOrder(stock, LimitOrder("BUY", 1, 1))
            await until(lambda: trade.orderStatus.permId)
            return trade.order.orderId

    with program(tmp_path, "--from", "10:30") as running:
        first = asyncio.run(trade(running.port()))
        running.end()
    with program(tmp_path, "--from", "10:30") as running:
        second = asyncio.run(trade(running.port()))
        assert first < second < first + AHEAD
        running.end(signal.SIGKILL)
    with program(tmp_path, "--from", "10:30") as running:
        third = asyncio.run(trade(running.port()))
        assert second < third
        running.end()


def test_numbers_are_written_ahead_and_a_damaged_file_is_told(tmp_path: Path) -> None:
    file = tmp_path / "numbers.json"
    one = Ids(file)
    perm = one.perm_id()
    one.used(5, 40)
    two = Ids(file)  # as after a kill
    assert two.next_order(5) > 40
    assert two.perm_id() > perm
    assert (one.run, two.run) == (1, 2)
    two.close()
    assert Ids(file).next_order(5) == two.next_order(5)
    file.write_text("{", encoding="utf-8")
    assert "begin anew" in Ids(file).note


def test_the_control_port_shows_sets_and_acts(tmp_path: Path) -> None:
    async def story(port: int, control: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", control)

        async def say(line: str) -> str:
            writer.write(f"{line}\n".encode())
            return (await reader.readline()).decode().rstrip()

        async with client_of(port, 3) as ib:
            await ib.qualifyContractsAsync(stock := contract())
            trade = ib.placeOrder(stock, LimitOrder("BUY", 100, 1, orderRef="mine"))
            await until(lambda: trade.orderStatus.status == "Submitted")
            shown = json.loads((await say("show")).removeprefix("ok "))
            assert [order["ref"] for order in shown["orders"]] == ["mine"]
            assert shown["clients"] == [3]
            assert await say("set commission=never") == "ok"
            assert await say(f"fill order={trade.order.orderId} client=3 price=1") == "ok"
            await until(lambda: trade.orderStatus.status == "Filled")
            assert trade.fills[0].commissionReport.execId == ""
            assert await say("dance") == (
                "error: there is no action 'dance'; known are "
                + ", ".join(sorted(ACTIONS, key=ACTIONS.index))
            )
            assert (await say("drop")) == "ok"
            await until(lambda: not ib.isConnected())
        writer.close()

    from tradeshell_paper.tws.actions import ACTIONS

    with program(tmp_path, "--from", "10:30", "--control", "0") as running:
        control = running.port("control")
        asyncio.run(story(running.port(), control))
        assert running.end() == (0, "")


def test_it_ends_in_silence_while_somebody_is_connected_to_the_control_port(tmp_path: Path) -> None:
    with program(tmp_path, "--from", "10:30", "--control", "0") as running:
        control = running.port("control")
        running.port()
        with socket.create_connection(("127.0.0.1", control)) as line, line.makefile("rw") as talk:
            talk.write("set latency=0\n")
            talk.flush()
            assert talk.readline() == "ok\n"
            assert running.end() == (0, "")


def test_a_scenario_file_sets_switches_rules_and_events(tmp_path: Path) -> None:
    file = tmp_path / "rough.toml"
    file.write_text(
        '[switches]\ncommission = "never"\n[exchange]\nslippage = 0.5\n'
        '[[event]]\nafter = 0.2\ndo = "say"\ncode = 2110\ntext = "broken"\n',
        encoding="utf-8",
    )

    async def story(port: int) -> None:
        async with client_of(port, 3) as ib:
            heard: list[int] = []
            ib.errorEvent += lambda _id, code, *_: heard.append(code)
            await until(lambda: 2110 in heard)

    with program(tmp_path, "--from", "10:30", "--scenario", str(file)) as running:
        asyncio.run(story(running.port()))
        assert running.end() == (0, "")


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["--port", "many"], 2, "invalid int value"),
        (["--version", "200"], 1, "this gateway speaks 157 to 178"),
        (["--speed", "0"], 1, "--speed 0: is a number above zero"),
        (["--account", "U123"], 1, "a paper account begins with D"),
        (["--account", "DU1111111", "--account", "DU1111111"], 1, "one of them is there twice"),
        (["--market", "nothing_here.csv"], 1, "nothing_here.csv"),
        (["--market", "AAPL=ten"], 1, "example: --market DEMO=100"),
        (["--scenario", "nowhere.toml"], 1, "No such file"),
        (["--host", "no such host"], 1, "no such host"),
        (["--port", "70000"], 1, "is 0 to 65535"),
    ],
)
def test_wrong_words_are_one_line_and_nothing_is_opened(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    running = Program(tmp_path, *words)
    out, error = running.process.communicate(timeout=20)
    assert running.process.returncode == code
    assert out == ""
    assert said in error
    assert error.count("\n") == 1


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = Program(tmp_path, "--port", str(taken.getsockname()[1]))
        _, error = running.process.communicate(timeout=20)
        assert running.process.returncode == 1
        assert error.count("\n") == 1


def test_an_address_that_others_can_reach_is_warned_about(tmp_path: Path) -> None:
    with program(tmp_path, "--host", "0.0.0.0") as running:
        running.port()
        assert running.lines[0].startswith("warning: 0.0.0.0 can be reached from other machines")
        assert running.end()[0] == 0


def test_a_recording_is_played_with_its_own_time(tmp_path: Path) -> None:
    file = tmp_path / "ACME_2014-06-05_trades.csv"
    rows = "".join(
        f"2014-06-05T{13 + m // 60:02d}:{m % 60:02d}:00Z,10.0{m % 7},10.1,10,10.05,1000\n"
        for m in range(30, 120)
    )
    file.write_text(f"ts,open,high,low,close,volume\n{rows}", encoding="utf-8")

    async def story(port: int) -> None:
        async with client_of(port, 3) as ib:
            assert (await ib.reqCurrentTimeAsync()).date().isoformat() == "2014-06-05"
            await ib.qualifyContractsAsync(stock := contract("ACME"))
            bars = await ib.reqHistoricalDataAsync(
                stock, "", "600 S", "1 min", "TRADES", True, 2, keepUpToDate=True
            )
            seen: list[datetime] = []
            bars.updateEvent += lambda b, new: seen.append(b[-1].date) if new else None
            await until(lambda: len(seen) >= 2)
            assert seen[1] - seen[0] == timedelta(minutes=1)

    with program(tmp_path, "--market", str(file), "--from", "10:00", "--speed", "60") as running:
        asyncio.run(story(running.port()))
        assert running.end() == (0, "")


def test_help_is_quick_and_names_the_program() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "tradeshell", "--help"], capture_output=True, text=True, check=True
    )
    assert "tradeshell gateway --port N" in shown.stdout
