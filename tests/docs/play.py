"""Plays the blocks of a page: commands in a real shell, lines typed at the prompt in a real tradeshell.

A page is played in a scratch folder of its own, with a home of its own, from its first block to its last. What comes out is the
same block with what was really printed. It agrees with the page when only what differs from run to run differs: ids of watchers
and trades, the session, ``mono``. A line with nothing but ``…`` stands for any lines that the page leaves out.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.docs.pages import Block, Typed, blocks, commands_in, lines_in

from tradeshell.testing import Runner, open_shell
from tradeshell.testing.transcript import discard_start

# Commands that a page may show and that are not run: a checkout, an environment, the tests themselves.
NOT_RUN = ("make", "git", "pip", "cd", "source")
COLUMNS = "100"
LEFT_OUT = "…"
_MARK = "\x1e"

_VARIES = (
    (re.compile(r"\b(br|m)-[a-z2-7]{5}\b"), r"\1-?????"),
    (re.compile(r'"mono":[0-9.]+'), '"mono":?'),
    (re.compile(r'"crc":"[0-9a-f]{8}"'), '"crc":"?"'),
    (re.compile(r'"session":"[0-9a-f]{10}"'), '"session":"?"'),
)


@dataclass(frozen=True)
class Played:
    """A block as it really is. ``actual`` equals the block's text when the page is right."""

    block: Block
    actual: str


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which nothing of the caller's settings is left."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH", "TMPDIR")}
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    kept |= {"HOME": str(home), "COLUMNS": COLUMNS, "LINES": "40"}
    return kept | {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}


class Player:
    """Plays one page in ``folder``. Close it: a session may be open."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runner: Runner | None = None
        self._is_fast = False
        self._opened = contextlib.ExitStack()

    def close(self) -> None:
        """End the session."""
        self._opened.close()
        self._runner = None

    def play(self, block: Block) -> Played:
        """Run one block and return it with what it printed."""
        if (name := block.directive("file")) is not None:
            (self._folder / name).write_text(block.text, encoding="utf-8")
        if block.language == "console":
            actual = self._session(block) if block.is_session else self._commands(block)
            return Played(block, actual)
        if block.language == "python":
            self._python(block)
        return Played(block, block.text)

    # --- the system's shell -------------------------------------------------------------------------------------------

    def _commands(self, block: Block) -> str:
        typed = commands_in(block)
        assert typed, f"{block.place}: no line begins with `$ ` or a prompt"
        assert typed[0].line, f"{block.place}: output stands before the first command"
        if typed[0].line.split()[0] in NOT_RUN:
            return block.text
        run = [f"{one.line}\n__code=$?; printf '{_MARK}'; (exit $__code)" for one in typed]
        done = subprocess.run(
            ["bash", "-c", "\n".join(run)],
            cwd=self._folder,
            env=environment(self._folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=50,
            check=False,
        )
        outputs = done.stdout.decode().replace(str(self._folder), ".").split(_MARK)
        assert len(outputs) == len(typed) + 1, f"{block.place}: {outputs[-1]}"
        return "".join(_shown(one, output) for one, output in zip(typed, outputs, strict=False))

    def _python(self, block: Block) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block.text],
            cwd=self._folder,
            env=environment(self._folder),
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, f"{block.place}:\n{done.stdout}{done.stderr}"

    # --- tradeshell's prompt ------------------------------------------------------------------------------------------

    def _session(self, block: Block) -> str:
        begin = re.match(r"\$ tradeshell ?(.*)\n", block.text)
        arguments = block.directive("session") if begin is None else begin[1]
        if arguments is not None:
            self.close()
            self._is_fast = "--speed max" in arguments
            shell = self._opened.enter_context(open_shell(shlex.split(arguments), folder=self._folder))
            discard_start(shell)
            self._runner = Runner(shell)
        assert self._runner is not None, f"{block.place}: there is no session; give it `<!-- session: … -->`"
        prompt = self._runner.shell.prompt
        out = ""
        for one in lines_in(block):
            if not one.line:
                assert begin is not None, f"{block.place}: text stands before the first line that is typed"
                said = replace(one, head=begin[0], shown=one.shown.removeprefix(begin[0]))
                out += _shown(said, f"{self._runner.shell.intro_line()}\n")  # what a person sees first
                continue
            assert self._is_fast or "wait" not in one.line, (
                f"{block.place}: --speed max, or it takes real time"
            )
            text = self._runner.run(one.line).text.replace(str(self._folder), ".")
            out += _shown(replace(one, head=f"{prompt}{one.line}\n"), text)
        return out


def _shown(one: Typed, output: str) -> str:
    """Return a typed line with its output: that of the page where the two agree."""
    output = "\n".join(line.rstrip() for line in output.splitlines())
    output += "\n" if output else ""
    return one.head + (one.shown if agrees(one.shown, output) else output)


def agrees(shown: str, output: str) -> bool:
    """Return whether a page's output is what was printed."""
    parts = re.split(rf"^[ \t]*{LEFT_OUT}\n", _steady(shown), flags=re.MULTILINE)
    pattern = r"(?:.*\n)*?".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, _steady(output)) is not None


def _steady(text: str) -> str:
    for pattern, same in _VARIES:
        text = pattern.sub(same, text)
    return text


def played(page: Path, folder: Path) -> Iterator[Played]:
    """Play a page and yield its blocks one by one."""
    player = Player(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        for block in blocks(page):
            yield player.play(block)
    finally:
        os.chdir(before)
        player.close()


def rewritten(page: Path, folder: Path) -> str:
    """Return a page's text with what its blocks really print."""
    text = page.read_text(encoding="utf-8")
    for result in reversed(list(played(page, folder))):
        text = text[: result.block.start] + result.actual + text[result.block.end :]
    return text
