"""The shell under load, in a real terminal: from a key to the completion menu, and from a key to its echo while events arrive.

The whole program runs on the paper venue with so many symbols, watchers and orders; keys go through a pseudo-terminal, and a
measurement ends when the bytes that show the answer have been read. Nothing is emulated in between.
"""

from __future__ import annotations

import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SYMBOLS, WATCHERS, ORDERS = 500, 50, 200
PATIENCE = 20.0  # seconds
LOADED_WITHIN = 120.0  # seconds
EVENTS = 100  # a second
CURSOR = b"\x1b[6n"  # the program asks where the cursor is
PROMPT = b"paper>"
TAB, CLEAR = b"\t", b"\x03"

BARE = "the smallest cmd2 application"
# What is typed before Tab, and what the menu then shows.
MENUS = (
    (BARE, b"", b"history"),
    ("commands", b"", b"breakouts"),
    ("500 symbols", b"quote ", b"ZAAB"),
    ("200 orders", b"orders cancel ", b"BUY 10 1.00 limit"),
    ("50 watchers", b"breakout cancel ", b"ZAAB"),
    ("keys of breakout", b"breakout ZAAA 500 10 ", b"sl="),
)


class Load(NamedTuple):
    """What is loaded before anything is measured."""

    symbols: int = SYMBOLS
    watchers: int = WATCHERS
    orders: int = ORDERS


class Keys:
    """A program at the other end of a pseudo-terminal."""

    def __init__(self, words: list[str], environ: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            words, stdin=slave, stdout=slave, stderr=slave, env=environ, cwd=ROOT, start_new_session=True
        )
        os.close(slave)

    def press(self, keys: bytes) -> float:
        """Send keys and return when."""
        now = time.perf_counter()
        os.write(self._master, keys)
        return now

    def until(self, wanted: bytes, patience: float = PATIENCE) -> float:
        """Read until ``wanted`` has come and return when it had."""
        seen = b""
        deadline = time.perf_counter() + patience
        while True:
            seen += self.read(0.05)
            if wanted in seen:
                return time.perf_counter()
            if time.perf_counter() > deadline:
                raise SystemExit(f"{wanted!r} never came; the last was {seen[-400:]!r}")

    def read(self, patience: float) -> bytes:
        """Return what is there within ``patience`` seconds."""
        if not select.select([self._master], [], [], patience)[0]:
            return b""
        found = os.read(self._master, 1 << 16)
        for _ in range(found.count(CURSOR)):
            os.write(self._master, b"\x1b[1;1R")
        return found

    def settle(self, quiet: float = 0.05) -> None:
        """Read until nothing has come for ``quiet`` seconds."""
        while self.read(quiet):
            pass

    def close(self) -> None:
        """End the program."""
        self.process.kill()
        self.process.wait()
        os.close(self._master)


def _environ(home: Path) -> dict[str, str]:
    dropped = ("TRADESHELL", "APPS_", "IB_", "XDG_", "PYTHON", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    limits = ("MAX_ORDERS_PER_MINUTE", "MAX_ORDERS_PER_SIDE", "DUPLICATE_WINDOW")
    return (
        kept
        | {f"TRADESHELL_{name}": "off" for name in limits}
        | {"HOME": str(home), "TERM": "xterm-256color"}
    )


@contextmanager
def opened(
    home: Path, *words: str, module: str | None = "tradeshell", prompt: bytes = PROMPT
) -> Iterator[Keys]:
    """Run a program in a terminal and wait for its prompt. Without a module the first word is a script."""
    home.mkdir(parents=True, exist_ok=True)
    keys = Keys([sys.executable, *(() if module is None else ("-m", module)), *words], _environ(home))
    try:
        keys.until(prompt)
        yield keys
    finally:
        keys.close()


def symbol(number: int) -> str:
    """Return a made-up symbol: ``ZAAA``, ``ZAAB`` and so on."""
    a = ord("A")
    return "Z" + "".join(chr(a + number // 26**place % 26) for place in (2, 1, 0))


def script(load: Load) -> str:
    """Return the lines that load a desk."""
    names = [symbol(number) for number in range(max(load.watchers, load.orders))]
    lines = [f"breakout {name} 5000 10 sl=4000" for name in names[: load.watchers]]
    lines += [f"buy {name} 10 limit=1" for name in names[: load.orders]]
    return "\n".join(lines) + "\n"


def menus(folder: Path, rounds: int, load: Load = Load()) -> dict[str, list[float]]:  # noqa: B008  # frozen
    """Return seconds from Tab to the menu, for each kind of menu; the smallest application's in turns with ours."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "load").write_text(script(load))
    found: dict[str, list[float]] = {name: [] for name, _, _ in MENUS}
    market = [word for number in range(load.symbols) for word in ("--market", f"{symbol(number)}=100")]
    bare_words = (str(ROOT / "tests" / "bench" / "bare_shell.py"),)
    with (
        opened(folder / "bare", *bare_words, module=None, prompt=b"(Cmd)") as bare,
        opened(folder / "home", "--state-dir", str(folder / "state"), *market) as ours,
    ):
        keys = ours
        keys.press(f"run_script {folder / 'load'}\r".encode())
        keys.press(b"status\r")
        keys.until(b"audit ", LOADED_WITHIN)
        keys.settle(1.0)
        for _ in range(rounds):
            for name, typed, shown in MENUS:
                keys = bare if name == BARE else ours
                if typed:
                    keys.press(typed)
                keys.settle()
                began = keys.press(TAB)
                found[name].append(keys.until(shown) - began)
                keys.settle()
                keys.press(CLEAR)
                keys.until(b"(Cmd)" if name == BARE else PROMPT)
                keys.settle()
    return found


def echoes(folder: Path, count: int, events: float = EVENTS) -> list[float]:
    """Return seconds from a key to its echo while ``events`` a second are told.

    Keys are characters that no event holds; that typed text stays whole is what ``tests/terminal`` looks at.
    """
    text = (b"ABCDEFGHIJKLMNOPQRSTUVWXYZ!#$%&*+/?@^~_XYZQW" * (count // 44 + 1))[:count]
    found = []
    words = ("--state-dir", str(folder / "stand-in"), "--events", f"{events:g}")
    with opened(folder / "home", *words, module="tests.shell.stand_in") as keys:
        keys.until(b"event number")
        for number in range(count):
            if number and number % 44 == 0:
                keys.press(b"\x15")  # a new line of text
                keys.settle(0.005)
            key = text[number : number + 1]
            began = keys.press(key)
            found.append(keys.until(key) - began)
            time.sleep(0.03)
    return found
