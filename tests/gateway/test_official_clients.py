"""The official clients of 2020 and of today, each in an environment of its own, against the gateway.

They are tools of this test: installed from the package registry, never imported here. Without a registry the test says so and is
skipped; where there is one, it may not be.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.test_program import program

STORY = Path(__file__).with_name("official_story.py")
CLIENTS = {
    "today": (("nautilus-ibapi==10.46.1", "protobuf>=5.29.5,<6"), 178),
    "2020": (("ibapi==9.81.1.post1",), 157),
}


def pip(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *words],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def environment(name: str, tmp_path: Path) -> Path:
    """Return the Python of an environment that has a client; made once, beside the packages of this one."""
    folder = Path(sys.prefix) / "official" / name
    python, done = folder / "bin/python", folder / "done"
    packages, _ = CLIENTS[name]
    if done.exists() and done.read_text(encoding="utf-8") == "\n".join(packages):
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True, timeout=200)
    installed = pip(python, "install", *packages)
    if installed.returncode:
        reachable = pip(python, "download", "--no-deps", "--dest", str(tmp_path), "packaging").returncode == 0
        if reachable:
            pytest.fail(f"the registry is there, and {' '.join(packages)} is not: {installed.stderr}")
        pytest.skip(f"no package registry: {' '.join(packages)} cannot be installed")
    done.write_text("\n".join(packages), encoding="utf-8")
    return python


def of(heard: list[list[Any]], name: str) -> list[list[Any]]:
    return [arguments for known, arguments in heard if known == name]


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("offered", [178, 157])
@pytest.mark.parametrize("name", CLIENTS)
def test_an_official_client_looks_trades_and_understands_every_message(
    name: str, offered: int, tmp_path: Path
) -> None:
    python = environment(name, tmp_path)
    with program(tmp_path, "--from", "2025-07-08T10:30", "--version", str(offered)) as running:
        done = subprocess.run(
            [python, STORY, str(running.port())], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert running.end() == (0, "")
    told = json.loads(done.stdout)
    heard, first = told["heard"], told["first"]
    assert told["version"] == min(offered, CLIENTS[name][1])
    assert "Traceback" not in done.stderr
    (details,) = of(heard, "contractDetails")
    assert details[1]["liquidHours"].startswith("20250708:0930-20250708:1600;")
    assert details[1]["contract"]["symbol"] == "AAPL"
    bars = [bar for number, bar in of(heard, "historicalData") if number == 102]
    assert bars[0]["date"] == "20250708 09:30:00 US/Eastern"
    assert len(bars) == 13
    assert all(bar["low"] <= min(bar["open"], bar["close"]) for bar in bars)
    executions = of(heard, "execDetails")
    ours = {e[2]["orderId"]: e[2]["shares"] for e in executions}
    assert ours == {first + 1: 10.0, first + 2: 10.0, first + 5: 5.0}
    assert {e[2]["execId"] for e in executions} == {
        next(iter(fee[0].values()))
        for fee in of(heard, "commissionReport") + of(heard, "commissionAndFeesReport")
    }
    (what_if,) = [o for o in of(heard, "openOrder") if o[0] == first + 6]
    assert float(what_if[3]["initMarginChange"]) == 125.0
    assert [p[2] for p in of(heard, "position")][-1] == 5.0
    finished = [o[2]["completedStatus"] for o in of(heard, "completedOrder")]
    assert sorted(finished) == [
        "Cancelled by System:OCA: an order of its group executed",
        "Cancelled by System:OCA: an order of its group executed",
        "Cancelled by Trader",
        "Filled Size: 10",
        "Filled Size: 10",
        "Filled Size: 5",
    ]
