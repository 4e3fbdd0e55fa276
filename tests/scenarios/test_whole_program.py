"""Whole stories through the real program on the generated market, read back from what it wrote."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tradeshell.engine.journal import read_journal
from tradeshell.engine.store import load

ROOT = Path(__file__).resolve().parents[2]
STORY = ("breakout DEMO 100.05 100 tp=100.90 sl=99.50", "wait ALL")


def tradeshell(
    folder: Path, *commands: str, market: str = "DEMO=100", seed: int = 1, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the real program in a process of its own."""
    words = [word for command in commands for word in ("-c", command)]
    base = [
        sys.executable,
        "-m",
        "tradeshell",
        "--state-dir",
        str(folder),
        "--config",
        str(folder / "config.toml"),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").touch()
    return subprocess.run(
        [*base, "--speed", "max", "--market", market, "--seed", str(seed), *words],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
        env={**os.environ, **environ},
    )


def events(folder: Path) -> list[dict[str, Any]]:
    """Return the audit log."""
    text = (folder / "paper" / "events.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_breakout_runs_from_bar_to_closed_trade_and_every_step_is_on_record(tmp_path: Path) -> None:
    run = tradeshell(tmp_path, *STORY)
    assert run.returncode == 0, run.stdout + run.stderr
    log = events(tmp_path)
    names = [record["event"] for record in log]
    story = [
        "SessionStarted",
        "BreakoutStarted",
        "BreakoutConfirmed",
        "OrderIntent",
        "OrderSent",
        "OrderFilled",
    ]
    story += [
        "LadderProtectionStateChanged",
        "BracketChildOrderFilled",
        "TradeClosed",
        "BreakoutStopped",
        "SessionEnded",
    ]
    at = -1
    for name in story:
        at = names.index(name, at + 1)
    assert [record["seq"] for record in log] == list(range(1, len(log) + 1))
    for record in log:
        if record["event"] == "OrderSent":
            intents = [
                r["seq"] for r in log if r["event"] == "OrderIntent" and r["order_ref"] == record["order_ref"]
            ]
            assert min(intents) < record["seq"]


def test_the_recorded_inputs_give_the_same_commands_in_a_fresh_process_and_altered_ones_do_not(
    tmp_path: Path,
) -> None:
    assert tradeshell(tmp_path, *STORY).returncode == 0
    journal = tmp_path / "paper" / "journal"
    recorded = [
        msgspec.json.encode(command).decode() for entry in read_journal(journal) for command in entry.orders
    ]
    assert len(recorded) >= 3

    def fresh(*words: str) -> list[str]:
        run = subprocess.run(
            [sys.executable, "-m", "tests.scenarios.recorded_inputs", str(journal), *words],
            capture_output=True,
            text=True,
            timeout=50,
            check=True,
            cwd=ROOT,
        )
        return run.stdout.splitlines()

    assert fresh() == recorded
    assert fresh("alter") == []


def test_the_same_seed_tells_the_same_story_whatever_the_process_and_another_one_another(
    tmp_path: Path,
) -> None:
    def story(name: str, seed: int, **environ: str) -> list[tuple[Any, ...]]:
        folder = tmp_path / name
        assert tradeshell(folder, *STORY, seed=seed, **environ).returncode == 0
        return [(r["ts"], r["event"], r.get("leg"), r.get("price")) for r in events(folder)]

    first = story("a", 1, PYTHONHASHSEED="1", TZ="UTC")
    assert story("b", 1, PYTHONHASHSEED="2", TZ="Asia/Tokyo") == first
    assert story("c", 2) != first


def test_the_snapshot_knows_that_the_watcher_has_fired(tmp_path: Path) -> None:
    assert tradeshell(tmp_path, *STORY).returncode == 0
    found = load(tmp_path / "paper" / "state.toml")
    saved = found.saved
    assert found.notes == ()
    assert saved is not None
    assert [(w.symbol, w.fired, w.end_reason) for w in saved.watchers] == [("DEMO", True, "trade_closed")]
    assert saved.journal_seq == len(list(read_journal(tmp_path / "paper" / "journal")))


def test_what_the_session_before_left_running_is_named_with_what_to_type(tmp_path: Path) -> None:
    assert tradeshell(tmp_path, "breakout DEMO 150 100 sl=140").returncode == 0
    run = tradeshell(tmp_path, "breakouts")
    assert run.returncode == 0
    assert "was armed when the last session ended" in run.stdout + run.stderr
    assert "breakout DEMO 150 100 sl=140" in run.stdout + run.stderr


def test_a_damaged_state_file_is_set_aside_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "paper"
    folder.mkdir()
    (folder / "state.toml").write_text("[[[", encoding="utf-8")
    run = tradeshell(tmp_path, "breakouts")
    assert run.returncode == 0
    assert "set aside as state.toml.damaged-1" in run.stdout + run.stderr
    assert (folder / "state.toml.damaged-1").read_text(encoding="utf-8") == "[[["


def test_a_start_that_fails_leaves_the_records_of_the_session_before(tmp_path: Path) -> None:
    assert tradeshell(tmp_path, *STORY).returncode == 0
    kept = {
        name: (tmp_path / "paper" / name).read_bytes() for name in ("journal", "state.toml", "events.jsonl")
    }
    (tmp_path / "config.toml").write_text('[brokers.paper]\nlatency = "x"\n', encoding="utf-8")
    for _ in range(2):
        failed = tradeshell(tmp_path, "breakouts")
        assert failed.returncode == 1
        assert "latency" in failed.stderr
    assert {name: (tmp_path / "paper" / name).read_bytes() for name in kept} == kept


def test_a_journal_that_cannot_be_written_is_one_line_and_a_failure(tmp_path: Path) -> None:
    (tmp_path / "paper" / "journal").mkdir(parents=True)
    (tmp_path / "paper" / "journal" / "x").touch()
    (tmp_path / "paper" / "journal.1").mkdir()
    (tmp_path / "paper" / "journal.1" / "x").touch()
    run = tradeshell(tmp_path, "breakouts")
    assert run.returncode == 1
    assert "choose another --state-dir" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "line",
    [
        "breakout DEMO 100 10 tp=95",
        "breakout DEMO 100 10 sl=101",
        "breakout DEMO 100 0",
        "breakout DEMO 100 10 tpp=101",
        "breakout DEMO 100 10 tp=102-101 sl=99",
        "breakout DEMO 100 10 tp=101-102",
        "breakout DEMO 100 10 tp-2",
        "breakout DEMO 100,5 10",
        "breakout DEMO",
        "breakout cancel NOPE",
        "sell DEMO 10",
        "nonsense",
    ],
)
def test_what_cannot_be_done_is_one_line_exit_code_1_and_nothing_is_sent(tmp_path: Path, line: str) -> None:
    run = tradeshell(tmp_path, line)
    assert run.returncode == 1
    said = (run.stdout + run.stderr).strip().splitlines()
    assert len(said) <= 2
    assert "Traceback" not in run.stdout + run.stderr
    assert "OrderIntent" not in [record["event"] for record in events(tmp_path)]


def test_a_program_whose_engine_ended_by_itself_says_so_with_its_exit_code(tmp_path: Path) -> None:
    """The loop is ended from inside while the shell still reads lines."""
    code = (
        "import sys\n"
        "from tradeshell import cli\n"
        "from tradeshell.shell.app import TradeShell\n"
        "run = TradeShell.run\n"
        "def ended(self):\n"
        "    engine = self.trading._engine\n"
        "    def leave(): raise SystemExit\n"
        "    engine.loop.call_soon_threadsafe(leave)\n"
        "    engine._watchdog._thread.join(20)\n"
        "    return run(self)\n"
        "TradeShell.run = ended\n"
        "sys.exit(cli.main(sys.argv[1:]))\n"
    )
    config = tmp_path / "config.toml"
    config.touch()
    words = ["--state-dir", str(tmp_path), "--config", str(config), "-c", "status"]
    run = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=50, check=False
    )
    assert run.returncode == 70
    assert "the engine is not running any more; leave with `quit` and start again" in run.stderr
    assert "Traceback" not in run.stderr
