"""cmd2 as this shell wants it: the one place that uses names cmd2 does not promise.

Decided on purpose: kept are alias, history, macro, set and the shortcuts ``?`` and ``@``; help, quit and run_script are our own.
Gone are shell, edit, py, ipy, run_pyscript (a shell that moves money starts no programs), redirection, pipes and ``;``.
Pinned to cmd2 4.3; ``tests/shell/test_base.py`` says which private names must exist and what they must do.
"""

from __future__ import annotations

import os
import re
import select
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import cmd2
from cmd2 import rich_utils
from cmd2.exceptions import Cmd2ShlexError
from cmd2.parsing import StatementParser
from cmd2.pt_utils import BASE_DELIMITERS, Cmd2Completer
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import Completion
from prompt_toolkit.document import Document
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings

from tradeshell.shell import lines
from tradeshell.shell.commands import REMOVED

SETTINGS = ("allow_style", "echo", "quiet", "scripts_add_to_history", "timing")
SHORTCUTS = {"?": "help", "@": "run_script"}
SUSPEND_REFUSED = (
    "not suspended: a stopped program chases no stop and follows no level · quit leaves, Ctrl-C stops waiting"
)


class LineParser(StatementParser):
    """Splits lines as ``lines`` says: quotes hold inside words, and no character is an operator."""

    def tokenize(self, line: str) -> list[str]:
        """Return the words of ``line`` with quotes, aliases and shortcuts expanded; none for a comment."""
        line = self._expand(line)
        if line.lstrip().startswith("#"):
            return []
        try:
            return lines.raw_tokens(line)
        except ValueError as error:
            raise Cmd2ShlexError(str(error)) from None

    def split_on_punctuation(self, tokens: list[str]) -> list[str]:
        """Return ``tokens`` as they are; what would be an operator is refused later, by name."""
        return tokens


class PlainMenu(Cmd2Completer):
    """cmd2's completer without its look for styles in every offer, which none of ours has: with hundreds it took longest."""

    def get_completions(self, document: Document, complete_event: object) -> Iterable[Completion]:
        """Return the offers for what stands before the cursor."""
        line, end = document.text, document.cursor_position
        begin = max(line.rfind(delimiter, 0, end) for delimiter in BASE_DELIMITERS) + 1
        text = line[begin:end]
        found = self._cmd_app.complete(
            text, line=line, begidx=begin, endidx=end, custom_settings=self.custom_settings
        )
        has_more = found.error or found.table is not None or found._add_opening_quote  # noqa: SLF001  # cmd2's own looks at it too
        if not found or has_more:
            yield from super().get_completions(document, complete_event)
            return
        is_final = len(found) == 1 and found.allow_finalization
        close = found._quote_char  # noqa: SLF001  # as above
        after = (close + (" " if end == len(line) else "")) if is_final else ""
        for item in found:
            yield Completion(
                item.text + after,
                start_position=-len(text),
                display=[("", item.display_plain)],
                display_meta=[("", item.display_meta_plain)],
            )


class BaseShell(cmd2.Cmd):
    """cmd2 without what a trading shell must not have."""

    DEFAULT_CATEGORY = "Shell"

    def __init__(
        self,
        *,
        stdin: TextIO | None,
        stdout: TextIO | None,
        history_file: Path | None,
        aliases: dict[str, str],
    ) -> None:
        # Before cmd2 starts: it reads the history, which may want to say something, and checks the names of commands.
        for name in REMOVED:
            setattr(self, f"do_{name}", None)
        super().__init__(
            stdin=stdin,
            stdout=stdout,
            allow_cli_args=False,
            allow_clipboard=False,
            allow_redirection=False,
            complete_in_thread=True,
            enable_bottom_toolbar=True,
            persistent_history_file="" if history_file is None else str(history_file),
            refresh_interval=1.0,
            shortcuts=SHORTCUTS,
            terminators=(),
        )
        self.statement_parser = LineParser(terminators=(), shortcuts=SHORTCUTS, aliases=aliases)
        for name in set(self.settables) - set(SETTINGS):
            self.remove_settable(name)
        self.debug = False
        self.max_column_completion_results = 1000  # one offer a line, so that its meaning stands beside it
        self.main_session.enable_suspend = False
        self.main_session.completer = PlainMenu(self)
        self.main_session.key_bindings = merge_key_bindings(
            [
                bindings
                for bindings in (self.main_session.key_bindings, self._own_keys())
                if bindings is not None
            ]
        )

    @property
    def has_terminal(self) -> bool:
        """Whether lines are typed at a terminal (or at what stands for one in a test)."""
        return self._is_tty_session(self.main_session)

    def run_first(self, line: str) -> None:
        """Run ``line`` as if it had been typed at the first prompt."""
        self._startup_commands.append(line)

    def terminal_is_gone(self) -> bool:
        """Return whether the terminal was closed: it says "end of file" for ever then."""
        try:
            return not os.isatty(self.stdin.fileno())
        except (OSError, ValueError):
            return False

    def is_line_waiting(self) -> bool:
        """Return whether a line was typed that nobody has read."""
        try:
            return bool(select.select([self.stdin], [], [], 0)[0])
        except (OSError, ValueError):
            return False

    def _own_keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("c-z")
        def _refuse(event: KeyPressEvent) -> None:
            del event
            run_in_terminal(lambda: self.perror(SUSPEND_REFUSED, style=None))

        return keys

    def _initialize_history(self, hist_file: str) -> None:
        """Read the history; a file that no history can be made of is set aside, as cmd2 only does for some damage."""
        try:
            super()._initialize_history(hist_file)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            path = Path(hist_file)
            path.replace(path.with_suffix(".damaged"))
            self.perror(
                f"{path.name}: the command history is unreadable ({error}) and was set aside as {path.stem}.damaged"
            )
            super()._initialize_history(hist_file)

    def run_editor(self, file_path: str | None = None) -> None:
        """Refuse: this shell starts no programs."""
        del file_path
        raise ValueError(
            "no editor here; history -o FILE writes the commands to a file, run_script FILE runs it"
        )

    def words_before(self, line: str, begidx: int, endidx: int) -> tuple[str, ...]:
        """Return the words between the command and the one being completed."""
        tokens, _ = self.tokens_for_completion(line, begidx, endidx)
        return tuple(tokens[1:-1])

    def wants_colour(self, tty: bool) -> bool:
        """Return whether text is styled: ``set allow_style``, then NO_COLOR, then whether there is a terminal."""
        if self.allow_style is rich_utils.AllowStyle.TERMINAL:
            return tty and not os.environ.get("NO_COLOR")
        return self.allow_style is rich_utils.AllowStyle.ALWAYS


def is_usage_error(error: BaseException) -> bool:
    """Return whether a built-in command of cmd2 raised because of what was typed (a bad range, a bad pattern)."""
    return isinstance(error, (ValueError, IndexError, re.error, OSError))
