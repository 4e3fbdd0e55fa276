"""The demo over the wire: the same commands through ib_async and TCP to a gateway in a process of its own tell the same story."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tradeshell import demo
from tradeshell.errors import BrokerError

MOST = 170  # seconds

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.timeout(2 * MOST)]


def told(tmp_path: Path, *options: str) -> list[str]:
    """Return what the demo prints."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("IB_", "APPS_"))}
    words = [sys.executable, "-m", "tradeshell", "--state-dir", str(tmp_path), *options]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=MOST, env=environ, check=False)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-2000:]
    assert ran.stderr == ""
    return ran.stdout.splitlines()


def executions(lines: list[str]) -> list[tuple[str, ...]]:
    """Return time, leg, side, quantity and price of each line of the table of executions."""
    rows = [line.split() for line in lines if re.search(r"\s(BUY|SELL)\s+\d+\s+\d+\.\d+\s+br-", line)]
    return [(row[0][:5], *row[2:6]) for row in rows]


def test_over_the_wire_the_demo_tells_the_same_story(tmp_path: Path) -> None:
    wired = told(tmp_path / "wired", "--broker", "ibkr", "demo")
    plain = told(tmp_path / "plain", "demo", "--speed", "max")
    assert executions(wired) == executions(plain), "\n".join(wired[-40:])
    assert len(executions(wired)) == 4
    for words in (
        "milestone target 1 reached",
        "milestone target 2 reached",
        "protected 100 %",
        "no position",
    ):
        assert any(words in line for line in wired), words


def test_a_gateway_that_cannot_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "SYMBOL", "no symbol")
    with (
        pytest.raises(BrokerError, match="the paper gateway did not start: "),
        demo.gateway(1, "60", tmp_path),
    ):
        pass
