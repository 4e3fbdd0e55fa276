"""The shell: commands from grammars, events from the pump, one line for everything that goes wrong.

Laws: the main thread types and waits, the engine never waits for it; completion reads published pictures only. A command's
events stand before its answer. What a plugin's command raises costs that line; its traceback goes to a file.
"""

from __future__ import annotations

import asyncio
import difflib
import io
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, TextIO

import cmd2
from cmd2 import CompletionItem, Completions
from cmd2.exceptions import CompletionError
from prompt_toolkit.application import get_app

from tradeshell.engine import crash
from tradeshell.errors import Interrupted, OperatorError, TradeshellError
from tradeshell.grammar import Answer, Command, complete, parse
from tradeshell.ports import Record, Trading, View
from tradeshell.shell import (
    commands_shell,
    helptext,
    lines,
    picture,
    render,
)
from tradeshell.shell.attended import AttendedShell
from tradeshell.shell.base import is_usage_error
from tradeshell.shell.commands import ALIASES, KEPT
from tradeshell.shell.consent import NeedsAccount, NeedsConsent
from tradeshell.shell.pump import EventPump
from tradeshell.version import VERSION

HOST = "tradeshell"
SPARE_ROWS = 4  # of the terminal, beside a picture: what was typed, the prompt, the toolbar
_TOOLBAR_STYLES = {"": "", "live": "fg:ansired bold", "alarm": "fg:ansired"}


class TradeShell(AttendedShell):
    """The cmd2 application.

    ``commands`` are those of the host and of all plugins by name, ``owners`` who brought each. ``commands_to_run`` are run
    instead of reading lines. ``batch``: the first failing line ends the run. ``live``: events are printed while commands run;
    without it only around them, which makes a transcript repeatable. ``notes`` are lines for the operator, shown first;
    ``hints`` are shown to a person only.
    """

    def __init__(
        self,
        *,
        commands: Mapping[str, Command],
        owners: Mapping[str, str],
        trading: Trading,
        pump: EventPump,
        state_dir: Path,
        batch: bool = False,
        as_json: bool = False,
        keep_going: bool = False,
        commands_to_run: tuple[str, ...] | None = None,
        notes: Iterable[str] = (),
        hints: Iterable[str] = (),
        live: bool = True,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
    ) -> None:
        self.trading = trading
        self.pump = pump
        self.commands: dict[str, Command] = {}
        self.owners = {HOST: HOST, **owners}
        self._state_dir = state_dir
        self._day: date | None = None  # of the last line told
        self._notes, self._hints = tuple(notes), tuple(hints)
        if commands_to_run is not None:
            stdin = io.StringIO("\n".join((*commands_to_run, "")))
        typed = not batch and (sys.stdin if stdin is None else stdin).isatty()
        super().__init__(
            batch=batch,
            keep_going=keep_going,
            as_json=as_json,
            stdin=stdin,
            stdout=stdout,
            history_file=state_dir / "history" if typed else None,
            aliases=dict(ALIASES),
        )
        for command in (*commands_shell.commands(self), *commands.values()):
            self._install(command)
        self._set_prompt()
        pump.attach(self._tell, self.write, live=live)

    # --- commands -----------------------------------------------------------------------------------------------------

    def _install(self, command: Command) -> None:
        name = command.name
        self.commands[name] = command

        def do(statement: cmd2.Statement) -> bool:
            return self._execute(command, lines.words(statement.args))

        def complete_(text: str, line: str, begidx: int, endidx: int) -> Completions:
            return self._complete(command, text, line, begidx, endidx)

        do.__doc__ = command.help
        setattr(self, f"do_{name}", do)
        setattr(self, f"complete_{name}", complete_)
        setattr(self, f"help_{name}", lambda: self.show_help(name))

    def _execute(self, command: Command, words: list[str]) -> bool:
        """Run one command; returns whether the shell should stop."""
        if words in (["?"], ["-h"], ["--help"]):
            self.show_help(command.name)
            return False
        try:
            answer = self._answer(command, words)
            if not isinstance(answer, Answer):
                raise TypeError(f"{command.name} answered with {type(answer).__name__}")
        except TradeshellError as error:
            self._fail_after_events(str(error))
            return False
        except KeyboardInterrupt as stop:
            usual = "interrupted; the engine goes on with what is under way"
            self._fail_after_events(f"{command.name}: {stop if isinstance(stop, Interrupted) else usual}")
            raise
        except commands_shell.Leave:
            return True
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if self.ended_by is not None:
                raise  # a signal of ours, not the command's own idea
            self._crash(error, command.name)
            return False
        self._show(answer)
        if answer.more is not None:
            self._follow(answer.more)
        return False

    def _follow(self, more: Callable[[], Iterable[str]]) -> None:
        """Show further lines as they come, until Enter or Ctrl-C; where nobody could end it, none."""
        if not self.has_terminal or self.as_json or self.batch:
            return
        try:
            for line in more():
                if line:
                    with self.pump.screen:
                        self.write(render.answer_text((line,), self.screen()) + "\n")
                elif self.is_line_waiting():
                    self.stdin.readline()
                    return
        except KeyboardInterrupt:  # this is how it ends
            self.write("\n")

    def _answer(self, command: Command, words: list[str]) -> Answer:
        """Return a command's answer, after asking where it wants a yes first."""
        try:
            return command.run(self.trading, parse(command.name, command.grammar, words))
        except NeedsConsent as question:
            agreed = self.agrees(question)
            if agreed is None and not question.only_at_terminal:
                raise
            if agreed is False:
                return Answer(lines=("nothing was done",), ok=False)
            return command.run(self.trading, parse(command.name, command.grammar, [*words, question.word]))
        except NeedsAccount as question:
            typed = self.typed_account(question)
            if typed is None:
                raise
            if not typed:
                return Answer(lines=("it is left alone · `connect` asks again",), ok=False)
            self.trading.confirm_live(typed)
            return command.run(self.trading, parse(command.name, command.grammar, words))

    def _show(self, answer: Answer) -> None:
        self.last_result = answer.ok
        with self.sigint_protection, self.pump.screen:
            self.pump.drain()
            data = render.answer_data(answer) if self.as_json else None
            if data is not None:
                self.frame.data = data
            if self.as_json and not answer.ok:
                self.frame.errors += [line for line in answer.lines if isinstance(line, str)]
            elif answer.lines and not self.as_json:
                self.write(render.answer_text(answer.lines, self.screen()) + "\n")

    def _fail_after_events(self, message: str) -> None:
        with self.sigint_protection, self.pump.screen:
            self.pump.drain()
            self.fail(message)

    def _crash(self, error: BaseException, what: str) -> None:
        owner = self.owners.get(what, HOST)
        name = what if owner == HOST else f"{what} (plugin {owner})"
        path = crash.report(error, self.frame.line or what, VERSION, self._state_dir)
        self._fail_after_events(crash.told(error, name, path))

    # --- completion (on a completion thread) --------------------------------------------------------------------------

    def _complete(self, command: Command, text: str, line: str, begidx: int, endidx: int) -> Completions:
        before = self.words_before(line, begidx, endidx)
        if command.name == "run_script" and not before:
            return self.path_complete(text, line, begidx, endidx)
        try:
            found = complete(command.grammar, text, before, self._glance())
        except Exception as error:  # noqa: BLE001  # a plugin's source may raise anything; Tab must not
            why = render.clean(f"{type(error).__name__}: {error}")
            raise CompletionError(f"{command.name}: no completion ({why})") from None
        if isinstance(found, str):
            raise CompletionError(render.clean(found), apply_style=False)
        items = [
            CompletionItem(o.text, display=o.display, display_meta=render.clean(o.meaning)) for o in found
        ]
        is_open = len(found) == 1 and found[0].open
        return Completions(items, is_sorted=True, allow_finalization=not is_open)

    # --- help, unknown commands, defects ------------------------------------------------------------------------------

    def show_help(self, name: str | None) -> None:
        """Show all commands, or one."""
        name = None if name is None else self.aliases.get(name, name).split()[0]
        if name is None:
            listed = {n: (c.group, c.help) for n, c in self.commands.items()}
            listed |= {
                n: (helptext.SHELL_GROUP, str(getattr(self, f"do_{n}").__doc__).splitlines()[0].rstrip("."))
                for n in KEPT
            }
            text = helptext.overview(listed, self.screen())
        elif name in self.commands:
            text = helptext.command_help(self.commands[name], self.owners.get(name, HOST), self.screen())
        elif name in KEPT:
            cmd2.Cmd.do_help(self, name)
            return
        else:
            raise OperatorError(f"help: {name} is no command{self._near(name)}")
        if self.as_json:
            self.frame.data = {"text": text.splitlines()}
        else:
            self.write(text + "\n")

    def default(self, statement: cmd2.Statement) -> None:
        """Refuse an unknown command in one line."""
        word = render.clean(statement.command)[:40]
        self._fail_after_events(f"{word}: unknown command{self._near(word)} · `help` lists all")

    def _near(self, word: str) -> str:
        known = [*self.commands, *KEPT, *self.aliases, *self.macros]
        near = difflib.get_close_matches(word.lower(), known, 1)
        return f" (did you mean {near[0]}?)" if near else ""

    def poutput(self, *objects: Any, **kwargs: Any) -> None:
        """Print what a command of cmd2 says; what was typed into it once cannot steer the terminal."""
        super().poutput(*map(_harmless, objects), **kwargs)

    def perror(self, *objects: Any, **kwargs: Any) -> None:
        """Show an error of cmd2's own; in JSON it belongs to the result."""
        objects = tuple(map(_harmless, objects))
        if self.as_json:
            if (
                kwargs.get("style", "error") is not None
            ):  # without a style: a remark, such as the time it took
                self.frame.errors.append(" ".join(str(o) for o in objects))
        else:
            super().perror(*objects, **kwargs)

    def pexcept(self, exception: BaseException, **kwargs: Any) -> None:
        """Turn what a built-in command raised into one line: the operator's mistake, or ours with a report."""
        del kwargs
        name = next(iter(self.frame.line.split()), "shell")
        if is_usage_error(exception) and name not in self.commands:
            why = "there is no such line" if isinstance(exception, IndexError) else exception
            self._fail_after_events(f"{name}: {why}")
        else:
            self._crash(exception, name)

    # --- output -------------------------------------------------------------------------------------------------------

    def screen(self) -> render.Screen:
        """Return what text is made for now: the terminal's width, and whether colour is wanted."""
        tty = self.out.isatty()
        size = shutil.get_terminal_size((100, render.FALLBACK_HEIGHT))
        rows = size.lines if tty else render.FALLBACK_HEIGHT
        return render.Screen(max(20, size.columns), tty, self.wants_colour(tty), rows - SPARE_ROWS)

    def _tell(self, record: Record) -> str | None:
        try:
            if self.as_json:
                return render.event_json(record)
            line = render.event_line(record, self.screen())
            return line if line is None else self._dated(record, line)
        except Exception as error:  # noqa: BLE001  # a plugin's event may raise anything; the screen goes on
            name, why = type(record.event).__name__, type(error).__name__
            return f"{render.clock(record.ts)} an event of type {name} cannot be shown ({why})"

    def _dated(self, record: Record, line: str) -> str:
        """Return the line, under its date when a later day than the last line's has come: lines themselves have times only."""
        before, self._day = self._day, render.day(record.ts)
        return line if before is None or before >= self._day else f"{self._day:%A %Y-%m-%d}\n{line}"

    def write(self, text: str) -> None:
        """Write to the screen or into the file in its place; a screen that is gone ends nothing."""
        self.progress.clear()
        self.put(text)

    def put(self, text: str) -> None:
        stream = self.out if self.as_json else self.stdout
        try:
            stream.write(text)
            stream.flush()
        except UnicodeEncodeError:
            encoding = stream.encoding or "ascii"
            stream.write(text.encode(encoding, "replace").decode(encoding))
            stream.flush()
        except (
            OSError,
            ValueError,
        ):  # a closed pipe, a terminal that hung up: the engine goes on, the log has it all
            self.pump.mute()

    def write_line(self, text: str) -> None:
        """Write one line of JSON, after the events that came before it."""
        with self.sigint_protection, self.pump.screen:
            self.pump.drain()
            self.write(text + "\n")

    def say_error(self, message: str) -> None:
        """Show one line in red on standard error."""
        self.progress.clear()
        screen = self.screen()._replace(colour=self.screen().colour and sys.stderr.isatty())
        self.stderr_line(render.error_line(message, screen))

    # --- prompt -------------------------------------------------------------------------------------------------------

    def pre_prompt(self) -> None:
        """Set the prompt and let its loop print events (cmd2 calls this inside that loop)."""
        self._set_prompt()
        self.pump.enter_prompt()
        get_app().create_background_task(self.pump.at_prompt())

    def _set_prompt(self) -> None:
        try:
            mode = picture.mode(self._glance())
        except TradeshellError:
            return  # an engine that does not answer: the last prompt stays, commands will say so
        style = render.ALARM if mode == "LIVE" else ""
        self.prompt = f"{render.styled(mode, style, self.screen())}> "

    def get_bottom_toolbar(self) -> Any:
        """Return the toolbar: mode, link, account, watchers, risk, protection, stale data."""
        columns = shutil.get_terminal_size((100, 40)).columns
        found: list[tuple[str, str]] = []
        try:
            pieces = picture.toolbar(self._glance(), columns)
        except Exception as error:  # noqa: BLE001  # asked for at every key: a defect must not take the prompt away
            return [("", f"no picture of the desk ({type(error).__name__})")]
        for piece in pieces:
            found += [("", " · " if found else " "), (_TOOLBAR_STYLES[piece.style], render.clean(piece.text))]
        return found

    # --- what the life of a shell needs -------------------------------------------------------------------------------

    def _glance(self) -> View:
        """Return the last picture; only the very first one is waited for."""
        view = self.trading.glance()
        return self.trading.view() if view is None else view

    def intro_line(self) -> str:
        """Tell the notes, and return the first lines for a person; nothing for a script."""
        for note in self._notes:
            self.stderr_line(render.answer_text((note,), self.screen()))
        if self.batch or self.as_json:
            return ""
        view = self.trading.view()
        if view.unconfirmed:
            self.run_first("connect")
        loaded = sum(1 for report in self.trading.plugins() if not report.refused)
        self.seen = view
        where, what = picture.intro(view, VERSION, loaded, self.commands)
        return render.answer_text((where, *picture.left_open(view), *self._hints, what), self.screen())

    # --- lines of scripts ---------------------------------------------------------------------------------------------

    def echo_line(self, line: str) -> None:
        """Show a line that is about to run, as if it had been typed."""
        self.write(f"{self.prompt}{render.clean(line)}\n")

    def run_line(self, line: str, *, remember: bool) -> bool:
        """Run one line of a script; returns whether running lines should stop."""
        return self.onecmd_plus_hooks(line, add_to_history=remember, raise_keyboard_interrupt=True)


def _harmless(thing: Any) -> Any:
    """Return text without control characters but for its line breaks, and anything else as it is."""
    return "\n".join(map(render.clean, thing.split("\n"))) if isinstance(thing, str) else thing
