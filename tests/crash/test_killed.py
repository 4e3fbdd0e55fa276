"""A real process, killed by the kernel between its journal and its socket, started again on the same folder."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.crash.venue import Venue

from tradeshell.core.step import Core
from tradeshell.engine.journal import read_journal
from tradeshell.engine.recovery import recover
from tradeshell_breakout.strategy import Breakout
from tradeshell_jsonl_log.reader import read_log

ROOT = Path(__file__).resolve().parents[2]
LADDER = {"sl1": 70, "sl2": 30}
TARGETS = {"tp1": 70, "tp2": 30}
PLACED = [f"place ts:m-1:{leg}:1" for leg in ("entry", "sl1", "tp1", "sl2", "tp2")]


class Program:
    """One process after the other on one state folder."""

    def __init__(self, folder: Path, venue: Venue) -> None:
        self.folder, self.venue = folder, venue
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str, kill_at: str = "") -> subprocess.Popen[bytes]:
        """Start a process."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.trader", str(self.folder), str(self.venue.port), *more],
            cwd=ROOT,
            env={"KILL_AT": kill_at, "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
        )
        return self._process

    def buy_and_die(self, kill_at: str) -> None:
        """Let a process buy, and wait for its violent end."""
        process = self.start("buy", kill_at=kill_at)
        assert process.wait(10) == -signal.SIGKILL
        assert process.stdin is not None
        process.stdin.close()

    def end(self) -> None:
        """Let the process end by itself."""
        if self._process is not None and self._process.poll() is None:
            self._process.communicate(timeout=10)

    def restart(self) -> None:
        """Start again, and wait until the account was read."""
        self.end()
        before = self._reconciled()
        self.start()
        _wait(lambda: self._reconciled() > before)

    def _reconciled(self) -> int:
        return (self.folder / "events.jsonl").read_bytes().count(b'"ReconciliationCompleted"')


def _wait(is_so: Callable[[], bool], seconds: float = 6.0) -> None:
    until = time.monotonic() + seconds  # a real process: there is no other clock
    while not is_so():
        assert time.monotonic() < until, "it did not come about"  # as above
        time.sleep(0.01)


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """A venue, and a program that is not running yet."""
    venue = Venue()
    made = Program(tmp_path, venue)
    yield made
    made.end()
    venue.close()


def check_records(program: Program) -> None:
    """Both files are whole, and the journal can be repeated order by order."""
    entries = list(read_journal(program.folder / "journal"))
    assert [entry.n for entry in entries] == list(range(1, len(entries) + 1))
    assert recover(Core({"breakout": Breakout()}), program.folder / "journal", "socket").differs == ""
    intents = [
        r["order_ref"] for r in read_log(program.folder / "events.jsonl") if r["event"] == "OrderIntent"
    ]
    assert {line.split()[1] for line in program.venue.sent} <= set(intents)


@pytest.mark.parametrize("kill_at", ["send:1:after", "hear:1:before", "hear:2:after"])
def test_an_entry_that_filled_while_nobody_was_there_gets_its_ladder_once(
    program: Program, kill_at: str
) -> None:
    program.buy_and_die(kill_at)
    assert program.venue.held == 100
    program.restart()
    _wait(lambda: program.venue.stops() == LADDER and program.venue.targets() == TARGETS)
    program.restart()
    program.end()
    assert program.venue.sent == PLACED
    assert len(set(program.venue.ids)) == len(PLACED)
    check_records(program)


@pytest.mark.parametrize("kill_at", ["send:5:after", "hear:5:before", "hear:6:after"])
def test_a_ladder_that_was_sent_is_adopted_and_nothing_is_sent_again(program: Program, kill_at: str) -> None:
    program.buy_and_die(kill_at)
    _wait(lambda: program.venue.stops() == LADDER and program.venue.targets() == TARGETS)
    for _ in range(3):
        program.restart()
    program.end()
    assert program.venue.sent == PLACED
    check_records(program)


def test_an_entry_that_was_decided_and_did_not_leave_never_leaves(program: Program) -> None:
    program.buy_and_die("send:1:before")
    with (program.folder / "journal").open("ab") as file:
        file.write(b'0badc0de {"n":99,"input":{"input":"Timer')  # and the record after it is torn
    program.restart()
    program.restart()
    program.end()
    assert program.venue.sent == []
    check_records(program)
