"""`tail` and `doctor`, and where the screen says that a stream of bars is silent."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from tests.shell.support import FakeTrading, make_runner

from tradeshell.shell import picture
from tradeshell.shell.commands_upkeep import BLOCK, following, last_lines
from tradeshell.testing.outcome import Runner
from tradeshell.upkeep import BlindStream, Finding, LogFile, Outcome


@pytest.fixture
def made(tmp_path: Path) -> tuple[Runner, FakeTrading]:
    """A shell to type into whose ops log has a hundred lines, and the fake."""
    runner, trading = make_runner(tmp_path)
    path = tmp_path / "ops.log"
    path.write_text("".join(f"line {n}\n" for n in range(1, 101)))
    trading.logs = (LogFile(name="gateway", why="off"), LogFile(name="ops", path=path))
    return runner, trading


# --- tail -------------------------------------------------------------------------------------------------------------


def test_the_last_twenty_lines_are_shown_or_as_many_as_one_wants(made: tuple[Runner, FakeTrading]) -> None:
    runner, _ = made
    assert runner.run("tail ops").assert_ok().lines == tuple(f"line {n}" for n in range(81, 101))
    assert runner.run("tail ops n=3").assert_ok().lines == ("line 98", "line 99", "line 100")
    assert len(runner.run("tail n=1000 log=ops").assert_ok().lines) == 100


def test_a_log_that_is_off_says_how_it_is_switched_on(made: tuple[Runner, FakeTrading]) -> None:
    runner, _ = made
    runner.run("tail").assert_refused("gateway log is not written", "APPS_IB_GATEWAY_LOG_PATH=on")
    runner.run("tail events").assert_refused("events log is not written")


def test_words_that_mean_no_log_are_refused(made: tuple[Runner, FakeTrading]) -> None:
    runner, _ = made
    runner.run("tail orders").assert_refused("is one of gateway ops events")
    runner.run("tail ops n=0").assert_refused("n=0")
    runner.run("tail ops n=100000").assert_refused("at most 10000 lines")


def test_a_log_that_is_gone_or_empty_says_so(made: tuple[Runner, FakeTrading], tmp_path: Path) -> None:
    runner, trading = made
    for path in (tmp_path / "none.log", tmp_path / "empty.log"):
        trading.logs = (LogFile(name="ops", path=path),)
        runner.run("tail ops").assert_ok().assert_says("the ops log is empty")
        (tmp_path / "empty.log").touch()
    trading.logs = (LogFile(name="ops", path=tmp_path),)
    runner.run("tail ops").assert_refused("Is a directory")


def test_lines_that_were_lost_are_counted(made: tuple[Runner, FakeTrading], tmp_path: Path) -> None:
    runner, trading = made
    trading.logs = (LogFile(name="ops", path=tmp_path / "ops.log", lost=7),)
    runner.run("tail ops n=1").assert_ok().assert_says("line 100", "7 lines were lost")


def test_what_a_log_holds_cannot_steer_the_terminal(made: tuple[Runner, FakeTrading], tmp_path: Path) -> None:
    runner, _ = made
    (tmp_path / "ops.log").write_bytes(b"\x1b[2J\xff evil\n")
    assert runner.run("tail ops").assert_ok().lines == ("?[2J\N{REPLACEMENT CHARACTER} evil",)


def test_for_a_script_the_lines_are_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner, trading = make_runner(tmp_path, as_json=True)
    path = tmp_path / "ops.log"
    path.write_text("one\ntwo\n")
    trading.logs = (LogFile(name="ops", path=path),)
    found = json.loads(runner.run("tail ops follow n=1").text)
    assert found["data"] == {"log": "ops", "path": str(path), "lost": 0, "lines": ["two"]}


@pytest.mark.parametrize("length", [1, 100, BLOCK // 2, BLOCK - 1, BLOCK, BLOCK * 2])
def test_the_end_of_a_log_is_found_whatever_the_length_of_its_lines(tmp_path: Path, length: int) -> None:
    path = tmp_path / "log"
    lines = [f"{n}" + "x" * length for n in range(9)]
    path.write_text("".join(f"{line}\n" for line in lines))
    for most in (1, 3, 9, 20):
        assert last_lines(path, most) == (tuple(lines[-most:]), path.stat().st_size)


def test_a_line_that_is_being_written_counts_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("whole\nhal")
    lines, at = last_lines(path, 5)
    assert lines == ("whole",)
    more = following(path, at)
    assert next(more) == ""
    with path.open("a") as file:
        file.write("f\n")
    assert [line for line in islice(more, 3) if line] == ["half"]


def test_a_log_that_is_set_aside_is_followed_into_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("old\n")
    more = following(path, path.stat().st_size)
    assert next(more) == ""
    path.rename(tmp_path / "log.1")
    assert next(more) == ""  # between two files
    path.write_text("new one\nnew two\n")
    assert [line for line in islice(more, 3) if line] == ["new one", "new two"]


# --- doctor -----------------------------------------------------------------------------------------------------------


def test_findings_are_a_table_with_what_to_do_and_only_failures_fail(tmp_path: Path) -> None:
    runner, trading = make_runner(tmp_path)
    trading.findings = (
        Finding(name="disk", outcome=Outcome.WARNING, told="4 s", remedy="another disk"),
        Finding(name="port", outcome=Outcome.OK, told="open"),
    )
    runner.run("doctor").assert_ok().assert_says("warning", "another disk", "to look at: disk")
    trading.findings = (*trading.findings, Finding(name="api", outcome=Outcome.FAILED, told="silent"))
    found = runner.run("doctor")
    assert not found.ok
    found.assert_says("FAILED", "3 checks · failed: api · to look at: disk")


def test_for_a_script_findings_are_data(tmp_path: Path) -> None:
    runner, trading = make_runner(tmp_path, as_json=True)
    trading.findings = (Finding(name="port", outcome=Outcome.FAILED, told="closed", remedy="start TWS"),)
    found = json.loads(runner.run("doctor").text)
    assert found["ok"] is False
    assert found["data"] == {
        "ok": False,
        "findings": [{"name": "port", "outcome": "failed", "told": "closed", "remedy": "start TWS"}],
    }


# --- streams that are silent ------------------------------------------------------------------------------------------


def silent(trading: FakeTrading, symbol: str, state: str = "stalled") -> BlindStream:
    """Return a stream of minute bars that has been silent for three minutes."""
    since = trading.desktop.at - timedelta(minutes=3)
    return BlindStream(symbol=symbol, seconds=60, rth=True, since=since, state=state, watches=("br-1",))


def test_a_silent_stream_is_an_alarm_in_the_toolbar_and_a_row_of_status(tmp_path: Path) -> None:
    runner, trading = make_runner(tmp_path)
    assert "bars" not in runner.run("status").text
    trading.blind = (silent(trading, "AAPL"),)
    pieces = {piece.text: piece.style for piece in picture.toolbar(trading.view(), 200)}
    assert pieces["AAPL 1m bars stalled 3 min"] == "alarm"
    runner.run("status").assert_ok().assert_says(
        "AAPL 1m bars stalled 3 min · nothing is entered on old data"
    )


def test_of_many_silent_streams_the_toolbar_names_two_and_counts_the_others(tmp_path: Path) -> None:
    _, trading = make_runner(tmp_path)
    trading.blind = tuple(silent(trading, f"S{n}", "recovering") for n in range(9))
    words = [piece.text for piece in picture.toolbar(trading.view(), 200)]
    assert [word for word in words if "recovering" in word] == [
        "S0 1m bars recovering 3 min",
        "S1 1m bars recovering 3 min",
    ]
    assert "+7 blind" in words


def test_a_competing_session_is_an_alarm_wherever_one_looks(tmp_path: Path) -> None:
    runner, trading = make_runner(tmp_path)
    trading.blocked = True
    assert "DATA TAKEN BY ANOTHER SESSION" in [p.text for p in picture.toolbar(trading.view(), 200)]
    runner.run("status").assert_ok().assert_says("taken by another session of this login")
