"""Pictures of the shell for the pages: what a session on the generated market really printed, as SVG.

They are written by ``python -m tests.docs.write`` and compared by a test. Ids differ from run to run and are
made the same. Nothing is loaded from elsewhere: the font is the reader's own.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text
from tests.docs.pages import DOCS

from tradeshell.testing import Runner, open_shell
from tradeshell.testing.transcript import discard_start

FOLDER = DOCS / "pictures"
WIDTH = 100  # columns
LADDER = "breakout DEMO 100.30 100 tp=100.80-101.20-102 sl=99.80"

# What is typed before the picture, and in it.
SESSIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "ladder": (
        (LADDER, "wait timeout=30m"),
        ("positions", "orders", "orders replace DEMO.sl* stop=be", "executions"),
    ),
    "chart": ((LADDER, "wait timeout=30m"), ("chart DEMO",)),
}
_FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_ID = re.compile(r"\b(br|m)-[a-z2-7]{5}\b")


def drawn(name: str) -> str:
    """Return the picture called ``name`` as it is now; the terminal has to be ``WIDTH`` columns wide."""
    before, shown = SESSIONS[name]
    console = Console(
        record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor"
    )
    with open_shell(["--speed", "max"]) as shell:
        discard_start(shell)
        runner = Runner(shell)
        for line in before:
            runner.run(line)
        for line in shown:
            typed = Text(shell.prompt, style="bold green").append(line, style="bold white")
            console.print(typed)
            said = Text.from_ansi(_ID.sub(r"\1-abcde", runner.run(line).assert_ok().text))
            assert all(len(row) <= WIDTH for row in said.split()), f"{line}: too wide for a picture"
            console.print(said)
    return _FONTS.sub("", console.export_svg(title="tradeshell", unique_id=f"tradeshell-{name}"))


def path_of(name: str) -> Path:
    """Return where a picture is."""
    return FOLDER / f"{name}.svg"


def write() -> list[str]:
    """Write the pictures that differ and return their names."""
    changed = []
    FOLDER.mkdir(exist_ok=True)
    for name in SESSIONS:
        now, path = drawn(name), path_of(name)
        if not path.exists() or path.read_text(encoding="utf-8") != now:
            path.write_text(now, encoding="utf-8")
            changed.append(path.name)
    return changed
