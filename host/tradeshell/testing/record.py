"""``python -m tradeshell.testing.record FILE [ARGS…]``: record a session as a transcript.

Lines are typed at a prompt (or piped in) and run on a fresh tradeshell with ``ARGS``; at the end the commands and what they
printed are written to ``FILE``, and replayed once to see that they repeat. Ids that differ from session to session become
regular expressions.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from tradeshell.errors import TradeshellError
from tradeshell.shell.app import TradeShell
from tradeshell.testing.pytest_plugin import STYLE_VARIABLES
from tradeshell.testing.session import COLUMNS, open_shell
from tradeshell.testing.transcript import Mismatch, TranscriptError, discard_start, plain, replay

_VOLATILE = re.compile(r"\b(?:br|m)-[a-z2-7]{5}\b")
_ANY_ID = r"/(?:br|m)-[a-z2-7]{5}/"


class Tee(io.TextIOBase):
    """Writes to the screen and keeps a copy; says that it is no terminal, so that what is kept has no styles and no folds."""

    def __init__(self, screen: TextIO, copy: io.StringIO) -> None:
        super().__init__()
        self._screen = screen
        self._copy = copy

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a property in the stubs as well, but a writable one
        """The screen's encoding."""
        return self._screen.encoding

    def write(self, text: str) -> int:
        """Write to both."""
        self._copy.write(text)
        return self._screen.write(text)

    def flush(self) -> None:
        """Flush the screen."""
        self._screen.flush()

    def isatty(self) -> bool:
        """Return that this is no terminal."""
        return False


class Recorder:
    """Keeps every line typed into ``shell`` with what it printed."""

    def __init__(self, shell: TradeShell) -> None:
        self.steps: list[tuple[str, str]] = []
        self._shell = shell
        self._run = shell.onecmd_plus_hooks
        self._inside = False
        shell.out = cast(
            "TextIO", Tee(shell.out, io.StringIO())
        )  # asked whether there is a terminal, for styles and folds
        setattr(shell, "onecmd_plus_hooks", self._record)  # noqa: B010  # mypy: a method is replaced on one object

    def _record(self, line: str, **options: Any) -> bool:
        text = line.strip()
        if self._inside or not text or text in ("_eof", "quit", "exit"):  # the end is no part of the story
            return self._run(line, **options)
        copy = io.StringIO()
        shell = self._shell
        name = "out" if shell.as_json else "stdout"
        screen = getattr(shell, name)
        self._inside = True
        setattr(shell, name, Tee(screen, copy))
        try:
            with contextlib.redirect_stderr(Tee(sys.stderr, copy)):
                stop = self._run(line, **options)
            shell.pump.drain()
        finally:
            setattr(shell, name, screen)
            self._inside = False
        self.steps.append((text, plain(copy.getvalue())))
        return stop


def transcript_text(steps: Sequence[tuple[str, str]], prompt: str, args: str, *, exact: bool) -> str:
    """Return the transcript of ``steps``."""
    head = [
        "# Recorded with `python -m tradeshell.testing.record`.\n",
        *([f"# args: {args}\n"] if args else []),
        "\n",
    ]
    body = []
    for line, output in steps:
        body.append(f"{prompt}{line}\n")
        body += [_literal(text, prompt, exact=exact) for text in output.splitlines(keepends=True)]
        if output and not output.endswith("\n"):
            body.append("\n")
    return "".join((*head, *body))


def _literal(line: str, prompt: str, *, exact: bool) -> str:
    """Return a printed line as the transcript writes it."""
    text = line.replace("/", "\\/")
    if not exact:
        text = _VOLATILE.sub(_ANY_ID, text)
    # A printed line that looks like a command becomes one that cannot be taken for it.
    return f"/{re.escape(text[0])}/{text[1:]}" if line.startswith(prompt) else text


def main(argv: Sequence[str] | None = None) -> int:
    """Record a session; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tradeshell.testing.record", description="Record a transcript."
    )
    parser.add_argument("--exact", action="store_true", help="keep ids as they are")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "args", nargs=argparse.REMAINDER, metavar="ARGS", help="of tradeshell, such as --market DEMO=100"
    )
    options = parser.parse_args(argv)
    path: Path = options.file
    if path.exists() and not options.force:
        sys.stderr.write(f"{path} exists; --force overwrites it\n")
        return 2
    for name in STYLE_VARIABLES:
        os.environ.pop(name, None)
    os.environ["COLUMNS"] = str(COLUMNS)
    args = shlex.join(options.args)
    try:
        return _record(path, args, exact=options.exact)
    except TradeshellError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _record(path: Path, args: str, *, exact: bool) -> int:
    with open_shell(args, folder=path.parent, terminal=(sys.stdin, sys.stdout)) as shell:
        discard_start(shell)
        recorder = Recorder(shell)
        shell.run()
        prompt = plain(shell.prompt)
    if not recorder.steps:
        sys.stderr.write(f"nothing was typed; {path} is not written\n")
        return 1
    path.write_text(transcript_text(recorder.steps, prompt, args, exact=exact), encoding="utf-8")
    sys.stderr.write(f"{path}: {len(recorder.steps)} commands\n")
    try:
        with open_shell(args, folder=path.parent) as again:
            discard_start(again)
            replay(again, path)
    except (Mismatch, TranscriptError) as error:
        told = error.explanation() if isinstance(error, Mismatch) else str(error)
        sys.stderr.write(
            f"it does not repeat; put what changes between slashes, as a regular expression:\n{told}\n"
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
