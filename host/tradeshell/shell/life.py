"""How the shell begins and ends: the loop, signals, questions before leaving, and life without a terminal.

Laws: every way out is in good order: what was opened by the caller can be closed. The program cannot be suspended, because a
stopped program chases no stop. When the terminal goes away, open trades keep the program going until they are flat.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, TextIO

from tradeshell.errors import TradeshellError
from tradeshell.ports import Trading
from tradeshell.shell import picture, render
from tradeshell.shell.base import SUSPEND_REFUSED
from tradeshell.shell.batch import INTERRUPTED, BatchShell
from tradeshell.shell.consent import NeedsAccount, NeedsConsent
from tradeshell.shell.pump import EventPump

HANGUP: int | None = getattr(signal, "SIGHUP", None)  # not on every system
SUSPEND: int | None = getattr(signal, "SIGTSTP", None)
LAST_END_OF_FILE = 3  # so many in a row are an answer


class LivingShell(BatchShell):
    """Runs the loop and leaves it well. ``ended_by``: the signal that ended it."""

    trading: Trading
    pump: EventPump

    def __init__(self, **batch: Any) -> None:
        self.ended_by: int | None = None
        self._ends_of_file = 0
        super().__init__(**batch)

    def intro_line(self) -> str:
        """Return what a person sees first."""
        raise NotImplementedError

    def screen(self) -> render.Screen:
        """Return what text is made for."""
        raise NotImplementedError

    def write(self, text: str) -> None:
        """Write to the screen."""
        raise NotImplementedError

    def run(self) -> int:
        """Run until the lines end, ``quit`` or a signal; returns the exit code. The caller stops the engine afterwards."""
        before = None if SUSPEND is None else signal.signal(SUSPEND, self._refuse_suspend)
        try:
            code = _exit_code(lambda: self.cmdloop(self.intro_line()))
            if self.ended_by is not None and self.ended_by == HANGUP:
                _exit_code(self._go_on_without_terminal)
            elif self.ended_by is not None:
                self._say_what_stays()
            return code
        finally:
            self.pump.close()
            _let_go_of(sys.stdout)
            if SUSPEND is not None:
                signal.signal(SUSPEND, before)

    def termination_signal_handler(self, signum: int, _: FrameType | None) -> None:
        """End in good order on SIGTERM and SIGHUP."""
        self.ended_by = signum
        raise SystemExit(128 + signum)

    def sigint_handler(self, signum: int, frame: FrameType | None) -> None:
        """Leave the command that runs; while a pipe is read, leave the program."""
        if self.batch and self.current_command is None and not self.sigint_protection:
            raise SystemExit(INTERRUPTED)
        super().sigint_handler(signum, frame)

    def _refuse_suspend(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        self.stderr_line(SUSPEND_REFUSED)

    def _go_on_without_terminal(self) -> int:
        """Keep open trades company until they are flat: their stops may have to be chased."""
        self.pump.mute()
        view = self.trading.view()
        symbols = tuple({trade.plan.symbol for trade in picture.open_trades(view.desk)})
        if symbols and not picture.is_embedded(view):
            self.trading.wait(symbols, None)
        return 0

    def _say_what_stays(self) -> None:
        """Say what works on at the broker when a signal ends the program: nobody is asked then."""
        with contextlib.suppress(TradeshellError):
            view = self.trading.view()
            if not self.as_json and not picture.is_embedded(view):
                for line in picture.leaving(view):
                    self.stderr_line(line)

    def leave(self, *, at_end: bool) -> bool:
        """Say what stays and what stops, ask at a terminal, and return whether to leave. ``at_end``: the lines are used up."""
        if at_end and self.has_terminal and self.terminal_is_gone():
            self.ended_by = HANGUP
            return True
        try:
            view = self.trading.view()
        except TradeshellError as error:  # an engine that is gone must not keep anybody here
            self.say_error(str(error))
            return True
        told = picture.leaving(view)
        if not told:
            return True
        if not self.has_terminal or self.as_json:
            if not self.as_json and not picture.is_embedded(view):
                for line in told:
                    self.stderr_line(line)
            return True
        self._ends_of_file = self._ends_of_file + 1 if at_end else 0
        if self._ends_of_file >= LAST_END_OF_FILE:
            return True
        return self._asks(told, "Leave?")

    def agrees(self, question: NeedsConsent) -> bool | None:
        """Ask the person who typed the line; ``None`` where nobody can be asked: in a script, in JSON, without a terminal."""
        if not self.can_ask():
            return None
        return self._asks((question.told,), question.question)

    def typed_account(self, question: NeedsAccount) -> str | None:
        """Return the id that the person at the terminal types, empty for none; ``None`` where nobody can be asked."""
        if not self.can_ask():
            return None
        return self._typed((question.told,), question.question)

    def can_ask(self) -> bool:
        """Return whether the line that runs was typed by somebody who can answer: not in a script, not in JSON."""
        return self.has_terminal and not self.as_json and not self.batch and len(self._frames) == 1

    def _asks(self, told: Iterable[str], question: str) -> bool:
        """Say what follows and return whether the answer is yes."""
        return self._typed(told, f"{question} [y/N] ").lower() in ("y", "yes")

    def _typed(self, told: Iterable[str], question: str) -> str:
        """Say what follows and return what is typed then, without blanks around it; nothing is also an answer."""
        self.write(render.answer_text(tuple(told), self.screen()) + "\n")
        self.pump.enter_prompt()  # events wait while the question stands
        try:
            return self.read_input(question).strip()
        except (EOFError, KeyboardInterrupt):
            return ""
        finally:
            self.pump.leave_prompt()

    def do__eof(self, _: Any) -> bool:
        """Leave at the end of the lines (Ctrl-D); no blank line after piped input."""
        if self.has_terminal:
            self.write("\n")
        return self.leave(at_end=True)


def _exit_code(run: Callable[[], int]) -> int:
    """Return what ``run`` returns, or the code of the ``SystemExit`` it raises: cmd2 lets signals at the prompt through."""
    try:
        return run()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1


def _let_go_of(stream: TextIO) -> None:
    """Write what is left; when the reader has gone, give the interpreter's last flush an open end (else exit code 120)."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
