"""From the last byte of data to an order's bytes, on a real wire: the program against the barest ib_async script.

Three processes on one machine: a server that sends bytes and reads the clock (``wire_server.py``), the script
(``wire_bare.py``) and the program (``wire_ours.py``). Both clients are connected at the same time and take turns, trigger by
trigger, so that a busy machine is busy for both; whoever is not asked sleeps. A desk has as many symbols as an account has
market data lines for (100: two for each); a round is made of several desks, each with fresh processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from tests.bench.wire_server import Script

HERE = Path(__file__).resolve().parent
BARE, OURS = "script", "tradeshell"
PROGRAMS = {BARE: "wire_bare.py", OURS: "wire_ours.py"}
RATE = 20  # quotes a second and symbol
WITHIN = 600.0  # seconds for one round


class Failed(Exception):
    """A round came to nothing."""


def entries_script(triggers: int, ladders: int, warm: int = 3, warm_ladders: int = 2) -> Script:
    """Return so many triggers and ladders that count, each in a symbol of its own."""
    return Script(
        clients=tuple(PROGRAMS),
        entries=tuple(f"E{number:04d}" for number in range(triggers + warm)),
        ladders=tuple(f"L{number:04d}" for number in range(ladders + warm_ladders)),
        warm=warm,
        warm_ladders=warm_ladders,
    )


def stream_script(symbols: int, rounds: int, seconds: float = 5.0) -> Script:
    """Return quotes of so many symbols."""
    return Script(
        clients=tuple(PROGRAMS),
        streamed=tuple(f"Q{number:04d}" for number in range(symbols)),
        stream=seconds,
        rate=RATE,
        rounds=rounds,
    )


class Round(NamedTuple):
    """What one round found, in seconds by client: bar to entry, an entry's fill to its last exit, bar to the last of seven."""

    entry: dict[str, list[float]]
    exits: dict[str, list[float]]
    seven: dict[str, list[float]]


def triggers(folder: Path, desks: int, entries: int = 45, ladders: int = 10) -> Round:
    """Return what ``desks`` of so many entries and ladders found together. Raises ``Failed``."""
    entry: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    exits: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    seven: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    folder.mkdir()
    for desk in range(desks):
        found = run(entries_script(entries, ladders), folder / str(desk))
        for name in PROGRAMS:
            entry[name] += found["entries"][name]
            exits[name] += [last for _, last in found["ladders"][name]]
            seven[name] += [first + last for first, last in found["ladders"][name]]
    return Round(entry, exits, seven)


def run(script: Script, folder: Path, programs: Sequence[str] = tuple(PROGRAMS)) -> dict[str, Any]:
    """Play ``script`` once with fresh processes; returns what the server found. Raises ``Failed``."""
    folder.mkdir()
    text = msgspec.json.encode(script).decode()
    started: list[subprocess.Popen[str]] = []
    try:
        server = _start(started, folder, "wire_server.py", text)
        assert server.stdout is not None
        assert server.stdin is not None
        port = server.stdout.readline().rpartition(" ")[2].strip()
        if not port.isdigit():
            raise Failed(f"the server did not start:\n{_errors(folder, 'wire_server.py')}")
        pids = []
        for number, name in enumerate(programs, 1):
            program = PROGRAMS[name]
            extra = [str(folder / name)] if name == OURS else []
            pids.append(f"{name}={_start(started, folder, program, port, str(number), text, *extra).pid}")
        server.stdin.write(" ".join(pids) + "\n")
        server.stdin.flush()
        said = server.stdout.read()
        if server.wait(WITHIN) != 0:
            raise Failed("\n".join(_errors(folder, name) for name in ("wire_server.py", *PROGRAMS.values())))
        for process in started:  # they have been hung up on
            process.wait(20)
        found: dict[str, Any] = json.loads(said)
        return found
    finally:
        for process in started:
            process.terminate()
            process.wait(20)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _start(
    started: list[subprocess.Popen[str]], folder: Path, program: str, *words: str
) -> subprocess.Popen[str]:
    with (folder / f"{program}.errors").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(HERE / program), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    started.append(process)
    return process


def _errors(folder: Path, program: str) -> str:
    return f"{program}: {(folder / f'{program}.errors').read_text()[-2000:]}"
