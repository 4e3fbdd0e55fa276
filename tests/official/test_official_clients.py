"""The gateway, tried with clients that others wrote: each in an environment of its own, over a real socket.

Laws: these clients are tools of this test and nothing else; their licence keeps them out of the product. A test is skipped only
where the package registry cannot be reached; with a registry at hand, an environment that cannot be made is a failure.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.process import running_gateway

HERE = Path(__file__).parent
CLIENTS = (("10.46.1", 157), ("10.46.1", 178), ("9.81.1", 157))
INSTALL = 300  # seconds
FLOW = 120  # seconds

pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL + FLOW)]


def pip(python: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run pip of an environment."""
    return subprocess.run(
        [python, "-m", "pip", "--disable-pip-version-check", "--no-input", *words],
        capture_output=True, text=True, timeout=INSTALL, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda pair: f"{pair[0]} at {pair[1]}")
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Return the Python that has a client, and the version of the protocol that it is to speak."""
    version, protocol = request.param
    folder = tmp_path_factory.mktemp(f"client-{version}")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    made = pip(python, "install", "--quiet", "--require-hashes", "-r", str(HERE / f"client-{version}.txt"))
    if made.returncode:
        # What installed this very environment is asked for once more: if that fails too, there is no registry.
        known = pip(python, "download", "--quiet", "--no-deps", "--dest", str(folder / "probe"), "pluggy")
        if known.returncode:
            pytest.skip("the package registry cannot be reached, so the client cannot be installed")
        pytest.fail(f"the registry answers, but the client cannot be installed: {made.stderr[-800:]}")
    return python, protocol


@pytest.fixture
def port(client: tuple[Path, int], tmp_path: Path) -> Iterator[int]:
    """Return the port of a gateway that speaks the version of this client."""
    with running_gateway(tmp_path, "--version", str(client[1])) as gateway:
        yield gateway.port


def run_flow(python: Path, port: int) -> list[dict[str, Any]]:
    """Run the flow and return what it told."""
    ran = subprocess.run(
        [python, HERE / "flow.py", str(port), "5"], capture_output=True, text=True, timeout=FLOW, check=False
    )
    told = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    tail = "\n".join(map(str, told[-12:]))
    assert ran.returncode == 0, f"{ran.stderr[-1500:]}\nlast heard:\n{tail}"
    assert "Traceback" not in ran.stderr, ran.stderr[-2000:]
    return told


def test_a_client_of_others_trades_a_bracket_and_a_pair(client: tuple[Path, int], port: int) -> None:
    told = run_flow(client[0], port)

    def all_of(kind: str) -> list[dict[str, Any]]:
        return [each for each in told if each["event"] == kind]

    assert all_of("version")[0]["number"] == client[1]
    assert told[-1]["event"] == "done"
    (contract,) = all_of("contractDetails")
    assert contract["con_id"] > 0
    assert contract["min_tick"] == 0.01
    bars = all_of("bar")
    assert [bar["date"] for bar in bars] == sorted(bar["date"] for bar in bars)
    assert all(bar["low"] <= min(bar["open"], bar["close"]) for bar in bars)
    assert all(bar["high"] >= max(bar["open"], bar["close"]) for bar in bars)
    bought = {e["exec"]: e["shares"] for e in all_of("execDetails") if e["side"] == "BOT"}
    sold = {e["exec"]: e["shares"] for e in all_of("execDetails") if e["side"] == "SLD"}
    assert sum(bought.values()) == sum(sold.values()) == 7.0
    assert {e["exec"] for e in all_of("commission")} >= bought.keys() | sold.keys()
    assert {e["ref"] for e in all_of("execDetails") if e["req"] == 9} == {"flow:entry", "flow:a"}
    assert [each for each in all_of("position") if each["qty"]] == []
    assert {each["code"] for each in all_of("error")} <= {
        202,
        10148,
    }  # the stop went with its target before its own cancel came


def test_the_flow_is_run_by_a_python_that_has_nothing_of_ours(client: tuple[Path, int]) -> None:
    asked = "import importlib.util as u; print(u.find_spec('tradeshell'), u.find_spec('ib_async'))"
    found = subprocess.run([client[0], "-c", asked], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout.split() == ["None", "None"]
    assert client[0] != Path(sys.executable)
