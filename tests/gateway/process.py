"""A gateway in a process of its own, as `tradeshell gateway` starts it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

START = 30.0  # seconds until it says that it listens
END = 10.0  # seconds until it has ended after SIGTERM
OPEN_DAY = ("--from", "2025-07-08T10:30")  # a market that is open whenever the test runs


class RunningGateway(NamedTuple):
    """A gateway that listens. ``control`` is 0 without ``--control``."""

    process: subprocess.Popen[str]
    port: int
    control: int


@contextmanager
def running_gateway(
    folder: Path, *options: str, day: tuple[str, ...] = OPEN_DAY, module: str = "tradeshell"
) -> Iterator[RunningGateway]:
    """Start a gateway on a free port, its state in ``folder``; it is ended by its id, and must end in order and in silence.

    ``day``: where its market starts; without words it is *now* for clients. ``module``: the program that has it.
    """
    words = [sys.executable, "-m", module, "--state-dir", str(folder), "gateway", "--port", "0"]
    words += [*(() if "--from" in options else day), *options]
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("IB_", "APPS_"))}
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environ,
    )
    alarm = threading.Timer(START, process.kill)
    alarm.start()
    said: list[str] = []
    try:
        ports = _ports(process, said)
        alarm.cancel()
        yield RunningGateway(process, ports.get("listening", 0), ports.get("control", 0))
    finally:
        alarm.cancel()
        process.terminate()
        try:
            _, complaints = process.communicate(timeout=END)
        except subprocess.TimeoutExpired:
            process.kill()
            _, complaints = process.communicate()
    assert process.returncode == 0, f"the gateway ended with {process.returncode}: {complaints}"
    assert "Traceback" not in complaints, complaints


def _ports(process: subprocess.Popen[str], said: list[str]) -> dict[str, int]:
    assert process.stdout is not None
    ports: dict[str, int] = {}
    for line in process.stdout:
        said.append(line)
        what, _, place = line.strip().partition(" on ")
        if place.rpartition(":")[2].isdigit():
            ports[what] = int(place.rpartition(":")[2])
        if what == "listening":
            return ports
    raise AssertionError(f"the gateway did not come up: {''.join(said)}")
