"""The processes of the kills over TCP: one life of a shell on a state folder, and the control line of the gateway."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.crash.wire_judge import Shown, decode

ROOT = Path(__file__).resolve().parents[2]
CLIENT = 7


class Control:
    """The gateway's control line."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._file = self._socket.makefile("rwb")

    def say(self, line: str) -> bytes:
        """Say a line and return what follows ``ok``."""
        self._file.write(line.encode() + b"\n")
        self._file.flush()
        answer = self._file.readline()
        assert answer.startswith(b"ok"), f"{line}: {answer!r}"
        return answer[2:].strip()

    def show(self) -> Shown:
        """Return the gateway's record."""
        return decode(self.say("show"))

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()


class Life:
    """One process of the shell. ``began`` is the clock when it was started."""

    def __init__(self, folder: Path, port: int, number: int, fuse: str = "") -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("IB_", "APPS_"))}
        own = {
            "IB_PORT": str(port),
            "IB_CLIENT_ID": str(CLIENT),
            "HOME": str(folder),
            "WIRE_FUSE": fuse,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        }
        self.folder, self.number, self.began = folder, number, time.monotonic()
        self._out = (folder / f"life-{number}.out").open("wb", buffering=0)  # a test reads it meanwhile
        self._errors = (folder / f"life-{number}.err").open("wb")
        words = ("--broker", "ibkr", "--state-dir", str(folder / "state"), "--json", "--keep-going")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.wire_shell", *words],
            cwd=folder,
            env={**kept, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )
        self._results: dict[str, list[dict[str, Any]]] = {}
        self.is_reconciled = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._out.write(line)
            if line.startswith(b'{"result"'):
                found = json.loads(line)
                self._results.setdefault(found["result"], []).append(found)
            elif b'"ReconciliationCompleted"' in line:
                self.is_reconciled = True

    def say(self, line: str) -> None:
        """Type a line; a process that is gone does not hear it."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()

    def results(self, line: str) -> list[dict[str, Any]]:
        """Return what that line has been answered, each time."""
        return self._results.get(line, [])

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> bool:
        """End it by SIGKILL; say whether it was alive until then."""
        was_alive = self.is_alive
        self._process.kill()
        self._over()
        return was_alive

    def end(self) -> int:
        """Let it end by itself and return its exit code."""
        self.say("quit")
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self._over()

    def _over(self) -> int:
        code = self._process.wait()
        self._reader.join(5)
        for pipe in (self._process.stdin, self._process.stdout, self._out, self._errors):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return code

    @property
    def was_killed(self) -> bool:
        """Whether a SIGKILL has ended it."""
        return self._process.poll() == -signal.SIGKILL
