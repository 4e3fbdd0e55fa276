"""A live account: the program says what it is, wants its whole id from a person, and trades nothing before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.process import running_gateway
from tests.terminal.screen import program

pytestmark = [pytest.mark.terminal, pytest.mark.timeout(120)]

ACCOUNT, ALIAS = "U7654321", "U…4321"
QUESTION = "Type its whole id to trade it, Enter to leave it:"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[str]:
    """The port of a gateway that is logged in to a live account."""
    with running_gateway(
        tmp_path / "gateway", "--account", ACCOUNT, module="tests.terminal.live_gateway"
    ) as gateway:
        yield str(gateway.port)


def script(home: Path, port: str, *words: str, paper_only: str = "false") -> subprocess.CompletedProcess[str]:
    """Run the program without a terminal."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("IB_", "APPS_"))}
    environ |= {"IB_PORT": port, "PAPER_ONLY": paper_only}
    command = [sys.executable, "-m", "tradeshell", "--state-dir", str(home), "--broker", "ibkr", *words]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the data of the one result."""
    (found,) = [each for line in done.stdout.splitlines() if "result" in (each := json.loads(line))]
    assert isinstance(found["data"], dict)
    return found["data"]


def test_a_live_account_is_traded_after_its_whole_id_was_typed(tmp_path: Path, port: str) -> None:
    with program(tmp_path, "--broker", "ibkr", IB_PORT=port, PAPER_ONLY="false") as opened:
        opened.sees(f"{ALIAS} is a live account: what is sent there costs real money.")
        opened.prompts(QUESTION)
        opened.type(f"{ALIAS}\r")
        opened.sees(f"that is not the id of {ALIAS}: it is not traded")
        opened.sees("link down")
        opened.type("connect\r")
        opened.prompts(QUESTION)
        opened.type("\r")
        opened.sees("it is left alone")
        opened.sees("link down")
        opened.type("connect\r")
        opened.prompts(QUESTION)
        opened.type(f"{ACCOUNT}\r")
        opened.prompts("LIVE>")
        opened.sees("LIVE · link up · U…4321")
        opened.type("quit\r")
        assert opened.code() == 0
        typed = [line for line in opened.everything if ACCOUNT in line]
        assert typed == [f"{QUESTION} {ACCOUNT}"]
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if ACCOUNT.encode() in path.read_bytes()]


def test_in_a_script_only_the_flag_with_the_whole_id_allows_a_live_account(tmp_path: Path, port: str) -> None:
    refused = script(tmp_path / "a", port, "--json", "-c", "status")
    assert told(refused)["link"]["up"] is False
    assert "start with --live-account and its full id" in refused.stderr
    for wrong in ("U7654322", "DU7654321"):
        done = script(tmp_path / wrong, port, "--live-account", wrong, "-c", "buy AAPL 1")
        assert done.returncode == 1
        assert "start with --live-account and its full id" in done.stderr
    done = script(tmp_path / "b", port, "--live-account", ACCOUNT, "--json", "-c", "status")
    assert (done.returncode, told(done)["mode"], told(done)["account"]) == (0, "LIVE", ALIAS), done.stderr


def test_paper_only_wins_over_the_flag(tmp_path: Path, port: str) -> None:
    done = script(tmp_path, port, "--live-account", ACCOUNT, "-c", "buy AAPL 1", paper_only="true")
    assert done.returncode == 1
    assert f"account {ALIAS} is live and PAPER_ONLY is true" in done.stderr
