"""What became of each line, and what that means for the exit code.

Laws: success is detected, failure assumed: a line failed unless its command was found, returned normally and did not say
otherwise. So unknown commands, open quotes, refusals and defects all fail. In a batch the first failing line ends the run with
exit code 1 unless ``keep_going``, which only delays it; Ctrl-C ends it with 130.
"""

from __future__ import annotations

import contextlib
import io
import sys
from contextlib import nullcontext, redirect_stderr
from typing import Any, TextIO

import cmd2
from msgspec import Struct

from tradeshell.shell import lines, render
from tradeshell.shell.base import BaseShell
from tradeshell.shell.commands import KEPT

FAILED = 1
INTERRUPTED = 130


class Frame(Struct):
    """One line being run. ``inner_failed``: a line inside (of a script, of the history) failed."""

    line: str
    told: bool = True  # the end of the lines is run as a line, too: nobody typed it
    ok: bool = False
    inner_failed: bool = False
    interrupted: bool = False
    data: Any = None
    errors: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether the line counts as failed."""
        return not self.ok or self.inner_failed


class BatchShell(BaseShell):
    """Keeps a frame for each line being run, turns failures into exit codes, and writes results as JSON if asked to."""

    def __init__(self, *, batch: bool, keep_going: bool, as_json: bool, **base: Any) -> None:
        self.batch = batch
        self.keep_going = keep_going
        self.as_json = as_json
        self.last_failed = False
        self._frames: list[Frame] = []
        super().__init__(**base)
        self.out: TextIO = self.stdout
        if as_json:
            # What built-in commands print becomes data of their result; only JSON goes to the real stream.
            self.stdout = io.StringIO()
        self.register_postparsing_hook(self._refuse_operators)

    @property
    def frame(self) -> Frame:
        """The line being run; one that nobody looks at when there is none."""
        return self._frames[-1] if self._frames else Frame("")

    # --- frames -------------------------------------------------------------------------------------------------------

    def onecmd_plus_hooks(
        self,
        line: str,
        *,
        add_to_history: bool = True,
        raise_keyboard_interrupt: bool = False,
        py_bridge_call: bool = False,
    ) -> bool:
        """Run one line; returns whether running lines should stop."""
        text = line.strip()
        self.last_failed = False
        if not text or text.startswith("#"):
            if not text:
                self.empty_line()
            return False
        frame = Frame(text, told=text != "_eof")
        self._frames.append(frame)
        self.before_line()
        stop = False
        try:
            stop = super().onecmd_plus_hooks(
                line,
                add_to_history=add_to_history,
                raise_keyboard_interrupt=raise_keyboard_interrupt,
                py_bridge_call=py_bridge_call,
            )
        finally:
            self._frames.pop()
            self._close(frame)
            self.after_line()
        return stop or (self.batch and frame.failed and (frame.interrupted or not self.keep_going))

    def onecmd(self, statement: cmd2.Statement | str, *, add_to_history: bool = True) -> bool:
        """Run a parsed line; the only place where a frame becomes good."""
        frame = self.frame
        self.last_result = None
        name = statement.command if isinstance(statement, cmd2.Statement) else ""
        known = self.get_command_func(name) is not None
        # argparse writes to stderr by itself; for scripts that read JSON its words belong to the result
        stderr = io.StringIO()
        try:
            with redirect_stderr(stderr) if self.as_json and name in KEPT else nullcontext():
                stop = super().onecmd(statement, add_to_history=add_to_history)
        except KeyboardInterrupt:
            frame.interrupted = True
            raise
        except cmd2.exceptions.Cmd2ArgparseError as error:
            frame.ok = getattr(error.__cause__, "code", FAILED) in (
                0,
                None,
            )  # `history --help` asks and is answered
            raise
        finally:
            if self.as_json:
                self._collect(frame, stderr.getvalue())
        frame.ok = known and self.last_result is not False
        return stop

    def fail(self, message: str) -> None:
        """Show one line in red and count the line being run as failed."""
        self.last_result = False
        self.frame.errors.append(message)
        if not self.as_json:
            self.say_error(message)

    def say_error(self, message: str) -> None:
        """Show one line in red."""
        raise NotImplementedError

    def before_line(self) -> None:
        """Do what has to be done before a line runs."""

    def after_line(self) -> None:
        """Do what has to be done after a line has run."""

    def empty_line(self) -> None:
        """Do what has to be done when nothing was typed."""

    def write_line(self, text: str) -> None:
        """Write one line to the real output."""
        raise NotImplementedError

    def _close(self, frame: Frame) -> None:
        self.last_failed = frame.failed
        if frame.failed:
            if self._frames:
                self._frames[-1].inner_failed = True
                self._frames[-1].interrupted |= frame.interrupted
            if self.batch and self.exit_code == 0:
                self.exit_code = INTERRUPTED if frame.interrupted else FAILED
        if self.as_json and frame.told:
            error = " · ".join(frame.errors) or ("interrupted" if frame.interrupted else None)
            if error is None and frame.failed:
                error = "a line inside failed" if frame.inner_failed else "failed"
            self.write_line(render.result_json(frame.line, ok=not frame.failed, data=frame.data, error=error))

    def _collect(self, frame: Frame, stderr: str) -> None:
        """Take what a built-in command printed into its frame."""
        assert isinstance(self.stdout, io.StringIO)
        text = self.stdout.getvalue()
        self.stdout.seek(0)
        self.stdout.truncate()
        if text.strip() and frame.data is None:
            frame.data = {"text": cmd2.string_utils.strip_style(text).splitlines()}
        if stderr.strip():
            frame.errors.append(" ".join(cmd2.string_utils.strip_style(stderr).split()))

    # --- refusals before a command runs -------------------------------------------------------------------------------

    def _refuse_operators(self, data: cmd2.plugin.PostparsingData) -> cmd2.plugin.PostparsingData:
        # The typed line is looked at, and what aliases and macros made of it: cmd2 has cut a lone `>` and what follows.
        statement = data.statement
        try:
            typed = lines.raw_tokens(statement.raw)
        except ValueError:
            typed = []  # an alias closed the quote
        made = lines.raw_tokens(statement.command_and_args)
        refusal = lines.refused_operator([*typed, *made, statement.redirector])
        if statement.command in KEPT and not statement.raw.rstrip("\r\n").replace("\t", " ").isprintable():
            refusal = f"{statement.command}: the line holds a character that cannot be printed"  # argparse would print it
        if refusal is None:
            return data
        self.fail(refusal)
        raise cmd2.exceptions.SkipPostcommandHooks(refusal)

    def stderr_line(self, text: str) -> None:
        """Write one line to standard error; one that is gone ends nothing."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
