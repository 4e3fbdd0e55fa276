"""Exit codes and output of a shell that runs as a program, without a terminal."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.shell.stand_in import EXTRA
from tests.shell.support import make_shell

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0


def command(state: Path, *words: str) -> list[str]:
    """Return the command line of the stand-in."""
    return [sys.executable, "-m", "tests.shell.stand_in", "--state-dir", str(state), *words]


def environment() -> dict[str, str]:
    """Return an environment in which the stand-in finds its modules, and no more of ours."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
    }
    return kept | {"PYTHONUTF8": "1", "TERM": "dumb"}


def run(state: Path, *words: str, stdin: str | None = "") -> subprocess.CompletedProcess[str]:
    """Run the stand-in to its end."""
    return subprocess.run(
        command(state, *words),
        cwd=ROOT,
        env=environment(),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@contextmanager
def running(state: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Run the stand-in with open pipes; it is killed if a test leaves it behind."""
    with subprocess.Popen(
        command(state, *words),
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        bufsize=1,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def say(process: subprocess.Popen[str], line: str) -> None:
    """Type a line."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n")
    process.stdin.flush()


def hear(process: subprocess.Popen[str], words: str) -> str:
    """Read lines until one holds ``words``, and return it."""
    assert process.stdout is not None
    for line in process.stdout:
        if words in line:
            return line
    raise AssertionError(f"never said {words!r}; stderr: {process.stderr.read() if process.stderr else ''}")


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what the program says until it ends."""
    return process.communicate(timeout=PATIENCE)


def ran(done: subprocess.CompletedProcess[str], *marks: str) -> list[bool]:
    """Return for each mark whether it is in the output."""
    return [mark in done.stdout for mark in marks]


# --- exit codes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lines, code",
    [
        (["orders"], 0),
        (["orders", "status"], 0),
        (["# a comment", "", "   "], 0),
        (["help", "help buy", "?", "?orders"], 0),
        (["quit"], 0),
        (["alias create x orders", "x"], 0),
        (["orders --help"], 0),
        (["history --help"], 0),
        (["nope"], 1),
        (["buy AAPL 0"], 1),
        (["buy 'AAPL 1"], 1),
        (["soft"], 1),
        (["boom"], 1),
        (["leave"], 1),
        (["help nope"], 1),
        (["level>190"], 1),
        (["orders | less"], 1),
        (["history --nonsense"], 1),
        (["history 99"], 1),
        (["alias create"], 1),
        (["macro create m buy {1}", "m"], 1),
        (["run_script nowhere.txt"], 1),
        (["set nothing 1"], 1),
        (["wait timeout=0.05"], 1),
        (["nope", "quit"], 1),
    ],
)
def test_the_exit_code_says_whether_every_line_succeeded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[str], code: int
) -> None:
    shell, _ = make_shell(tmp_path, extra=EXTRA, batch=True, stdin=io.StringIO("\n".join((*lines, ""))))
    found = shell.run()
    said = capsys.readouterr()
    assert found == code, said
    assert "Traceback" not in said.out + said.err


def test_the_first_failing_command_ends_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "buy AAPL 1", "-c", "nope", "-c", "buy AAPL 2")
    assert (done.returncode, ran(done, "BUY 1 ", "BUY 2 ")) == (1, [True, False])
    assert done.stderr.startswith("nope: unknown command")


def test_keep_going_runs_the_rest_and_still_fails(tmp_path: Path) -> None:
    done = run(tmp_path, "--keep-going", "-c", "nope", "-c", "buy AAPL 2")
    assert (done.returncode, ran(done, "BUY 2 ")) == (1, [True])


def test_keep_going_works_inside_scripts_too(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("nope\nbuy AAPL 3\n", encoding="utf-8")
    done = run(tmp_path, "--keep-going", "-c", f"run_script {tmp_path}/a.txt", "-c", "buy AAPL 2")
    assert (done.returncode, ran(done, "BUY 3 ", "BUY 2 ")) == (1, [True, True])
    assert "a.txt: 1 line failed" in done.stderr


def test_a_failure_in_a_nested_script_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "inner.txt").write_text("buy AAPL 1\nnope\n", encoding="utf-8")
    (tmp_path / "outer.txt").write_text(f"run_script {tmp_path}/inner.txt\nbuy AAPL 2\n", encoding="utf-8")
    done = run(tmp_path, "-c", f"run_script {tmp_path}/outer.txt", "-c", "buy AAPL 3")
    assert (done.returncode, ran(done, "BUY 1 ", "BUY 2 ", "BUY 3 ")) == (1, [True, False, False])


def test_a_failure_that_the_history_repeats_counts(tmp_path: Path) -> None:
    done = run(tmp_path, "--keep-going", stdin="soft\n")
    assert done.returncode == 1
    done = run(tmp_path, stdin="orders\nhistory -r 1\n")
    assert (done.returncode, done.stdout.count("no order is working")) == (0, 2)


def test_several_lines_in_one_c_are_several_commands(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "buy AAPL 1\nbuy AAPL 2")
    assert (done.returncode, ran(done, "BUY 1 ", "BUY 2 ")) == (0, [True, True])


def test_the_end_of_the_lines_adds_nothing_to_the_output(tmp_path: Path) -> None:
    done = run(tmp_path, stdin="orders")
    assert (done.stdout, done.returncode) == ("no order is working\n", 0)
    assert run(tmp_path, stdin="").stdout == ""


def test_given_commands_leave_standard_input_alone(tmp_path: Path) -> None:
    done = run(tmp_path, "-c", "orders", stdin="buy AAPL 7\n")
    assert (done.stdout, done.returncode) == ("no order is working\n", 0)


def test_what_stays_at_the_broker_is_said_without_asking(tmp_path: Path) -> None:
    done = run(tmp_path, "--hold", "--live-account", stdin="quit\nbuy AAPL 1\n")
    assert done.returncode == 0
    assert "has 100 shares open" in done.stderr
    assert ran(done, "Leave?", "BUY 1 ") == [False, False]


def test_without_a_terminal_nothing_is_styled(tmp_path: Path) -> None:
    done = run(tmp_path, "--keep-going", stdin="help\nhelp buy\nnope\nhistory --help\nset\nbuy AAPL 1\n")
    assert "\x1b" not in done.stdout + done.stderr


def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        say(process, "ready")
        hear(process, "ready")
        assert process.stdout is not None
        process.stdout.close()
        for line in ("help", "buy AAPL 1", "orders"):
            say(process, line)
        assert process.stdin is not None
        process.stdin.close()
        assert process.stderr is not None
        told = process.stderr.read()
        assert process.wait(PATIENCE) == 0
        assert "closed in good order" in told
        assert "Traceback" not in told


# --- events -----------------------------------------------------------------------------------------------------------


def test_events_are_printed_while_a_pipe_is_silent(tmp_path: Path) -> None:
    with running(tmp_path, "--events", "50") as process:
        assert "event number 1 of" in hear(process, "event number")
        hear(process, "event number 5 of")
        say(process, "quit")
        finish(process)
        assert process.returncode == 0


def test_ten_thousand_events_come_through_in_order(tmp_path: Path) -> None:
    with running(tmp_path, "--events", "100000", "--most", "10000") as process:
        assert process.stdout is not None
        found = []
        for line in process.stdout:
            found.append(int(line.split("number ")[1].split()[0]))
            if found[-1] == 10_000:
                break
        assert found == list(range(1, 10_001))


# --- JSON -------------------------------------------------------------------------------------------------------------


def objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects of the output; every line has to be one."""
    return [json.loads(line) for line in text.splitlines()]


def test_in_json_every_line_is_an_object_and_errors_are_results(tmp_path: Path) -> None:
    lines = [
        "orders", "buy AAPL 1", "buy AAPL 0", "nope", "boom", "soft", "help", "history", "history --nonsense", "level>1",
        "buy 'x", "alias create x orders", "x", "set timing true", "orders", "# nothing", "", "run_script nowhere", "quit",
    ]  # fmt: skip
    done = run(tmp_path, "--json", "--keep-going", stdin="\n".join(lines) + "\n")
    assert done.returncode == 1
    found = objects(done.stdout)
    results = {o["result"]: o for o in found if "result" in o}
    asked = [line for line in lines if line and not line.startswith("#")]
    assert [o["result"] for o in found if "result" in o] == asked
    assert {line for line, o in results.items() if not o["ok"]} == {
        "buy AAPL 0", "nope", "boom", "soft", "history --nonsense", "level>1", "buy 'x", "run_script nowhere",
    }  # fmt: skip
    assert all(o["error"] for o in results.values() if not o["ok"])
    assert all(o["error"] is None for o in results.values() if o["ok"])
    assert results["buy AAPL 1"]["data"]["orders"][0]["qty"] == 1
    assert results["soft"]["error"] == "soft failure"
    assert next(o["event"] for o in found if "event" in o) == "OrderIntent"
    assert done.stderr.replace("closed in good order\n", "") == ""


def test_in_json_events_stand_before_the_result_that_caused_them(tmp_path: Path) -> None:
    done = run(tmp_path, "--json", "-c", "buy AAPL 1", "-c", "orders")
    kinds = ["result" if "result" in o else "event" for o in objects(done.stdout)]
    assert kinds[-2:] == ["result", "result"]
    assert set(kinds[:-2]) == {"event"}


def test_in_json_a_script_gives_a_result_for_each_of_its_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("orders\nnope\n", encoding="utf-8")
    done = run(tmp_path, "--json", "-c", f"run_script {tmp_path}/a.txt")
    assert [(o["result"].split()[0], o["ok"]) for o in objects(done.stdout)] == [
        ("orders", True),
        ("nope", False),
        ("run_script", False),
    ]


# --- signals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["ready", "wait"])
def test_sigterm_ends_in_good_order(tmp_path: Path, line: str) -> None:
    with running(tmp_path, "--events", "50") as process:
        say(process, "ready")
        hear(process, "ready")
        say(process, line)
        hear(process, "event number")
        process.send_signal(signal.SIGTERM)
        _, told = finish(process)
        assert process.returncode == 128 + signal.SIGTERM
        assert "closed in good order" in told
        assert "Traceback" not in told


@pytest.mark.parametrize("line", ["", "wait\nbuy AAPL 1"])
def test_ctrl_c_ends_a_batch_with_130(tmp_path: Path, line: str) -> None:
    with running(tmp_path, "--keep-going", "--events", "50") as process:
        say(process, f"ready\n{line}")
        hear(process, "ready")
        hear(process, "event number")
        process.send_signal(signal.SIGINT)
        said, told = finish(process)
        assert process.returncode == 130
        assert "closed in good order" in told
        assert "BUY 1 " not in said
        assert "Traceback" not in told
