"""A whole tradeshell for a test: the real program on the paper venue, with a state directory of its own."""

from __future__ import annotations

import io
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tradeshell.bootstrap import Run, program
from tradeshell.cli import parser, replay_ends_at_a_command
from tradeshell.config import load_settings
from tradeshell.shell.app import TradeShell
from tradeshell.testing.outcome import Runner
from tradeshell.testing.transcript import discard_start

COLUMNS = 100  # what transcripts are recorded and replayed with


@contextmanager
def open_shell(
    args: str | Sequence[str] = (),
    *,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
    terminal: tuple[TextIO, TextIO] | None = None,
) -> Iterator[TradeShell]:
    """Open a tradeshell and close it again.

    ``args`` are words of the command line, such as ``--market DEMO=100 --seed 3``; nothing is read from the caller's config,
    environment or state. A venue that runs its own clock stands still between commands, so what is printed does not depend on how
    fast the test is. File names in ``args`` are relative to ``folder``. Raises ``TradeshellError`` when it cannot be opened.
    """
    words = shlex.split(args) if isinstance(args, str) else list(args)
    with tempfile.TemporaryDirectory(prefix="tradeshell-test-") as scratch:
        empty = Path(scratch) / "config.toml"
        empty.write_text("", encoding="utf-8")
        options = vars(parser().parse_args(replay_ends_at_a_command(_located(words, folder))))
        flags = {name: value for name, value in options.items() if name not in ("commands", "words")}
        flags["config"] = flags["config"] or str(empty)
        flags["state_dir"] = flags["state_dir"] or str(Path(scratch) / "state")
        stdin, stdout = terminal or (io.StringIO(), sys.stdout)
        run = Run(batch=True, stdin=stdin, stdout=stdout)
        with program(load_settings(flags, environ or {}), run, environ or {}) as running:
            running.shell.batch = False  # a test wants to see what comes after a refusal
            yield running.shell


@contextmanager
def open_runner(args: str | Sequence[str] = (), *, folder: Path | None = None) -> Iterator[Runner]:
    """Open a tradeshell to type into: ``runner.run("buy DEMO 100").assert_ok()``."""
    with open_shell(args, folder=folder) as shell:
        discard_start(shell)
        yield Runner(shell)


def _located(words: list[str], folder: Path | None) -> list[str]:
    """Return ``words`` with names of files in ``folder`` made absolute."""
    if folder is None:
        return words
    return [
        str(folder / word) if not word.startswith("-") and (folder / word).is_file() else word
        for word in words
    ]
