"""``help``, ``quit`` and ``run_script``: the commands that concern the shell itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from tradeshell.errors import OperatorError
from tradeshell.grammar import Answer, Choices, Command, Grammar, Key, Words
from tradeshell.shell import results
from tradeshell.shell.helptext import SHELL_GROUP

DEEPEST = 16  # scripts within scripts; a script that runs itself ends here


class Leave(Exception):  # not an error: the shell is asked to end
    """The shell should end."""


class Host(Protocol):
    """What these commands need of the shell."""

    commands: dict[str, Command]
    echo: bool
    batch: bool
    keep_going: bool
    last_failed: bool
    scripts_add_to_history: bool

    def show_help(self, name: str | None) -> None:
        """Show all commands, or one."""
        ...

    def leave(self, *, at_end: bool) -> bool:
        """Return whether to leave, after asking where there is somebody to ask."""
        ...

    def echo_line(self, line: str) -> None:
        """Show a line that is about to run."""
        ...

    def run_line(self, line: str, *, remember: bool) -> bool:
        """Run one line; returns whether running lines should stop."""
        ...


def commands(host: Host) -> tuple[Command, ...]:
    """Return the commands, bound to ``host``."""
    depth = 0

    def topics(view: Any, before: tuple[str, ...]) -> Choices:
        del view
        return (
            () if before else tuple((name, command.help) for name, command in sorted(host.commands.items()))
        )

    def show(trading: Any, words: Words) -> Answer:
        del trading
        host.show_help(words.get("command"))
        return Answer()

    def leave(trading: Any, words: Words) -> Answer:
        del trading, words
        if host.leave(at_end=False):
            raise Leave
        return Answer(lines=("staying",), data={"left": False})

    def script(trading: Any, words: Words) -> Answer:
        nonlocal depth
        del trading
        path = Path(words.get("file")).expanduser()
        if depth >= DEEPEST:
            raise OperatorError(
                f"run_script: scripts run scripts {DEEPEST} deep here; does {path.name} run itself?"
            )
        depth += 1
        try:
            return _run(host, path)
        finally:
            depth -= 1

    return (
        Command(
            name="help",
            help="List commands, or show one with its options and examples",
            grammar=Grammar(
                keys=(Key(name="command", help="which command", values=topics, metavar="COMMAND"),),
                positionals=("command",),
            ),
            run=show,
            data=results.Text,
            group=SHELL_GROUP,
            examples=("help", "help buy", "?buy", "buy ?"),
        ),
        Command(
            name="quit",
            help="Leave; says what stays at the broker, and asks",
            grammar=Grammar(),
            run=leave,
            data=results.Left,
            group=SHELL_GROUP,
            examples=("quit",),
            notes="Orders at the broker stay there. Watchers stop watching; the next start says which.",
        ),
        Command(
            name="run_script",
            help="Run the lines of a file; the first that fails ends it",
            grammar=Grammar(
                keys=(
                    Key(
                        name="file",
                        help="a text file with one command a line; # starts a comment",
                        metavar="FILE",
                    ),
                ),
                positionals=("file",),
                required=("file",),
                example="run_script morning.txt",
            ),
            run=script,
            group=SHELL_GROUP,
            examples=("run_script morning.txt", "@morning.txt"),
        ),
    )


def _run(host: Host, path: Path) -> Answer:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise OperatorError(f"run_script: {path}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise OperatorError(
            f"run_script: {path}: not a text file (byte {error.start} is not UTF-8)"
        ) from None
    failed = 0
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if host.echo:
            host.echo_line(line)
        stop = host.run_line(line, remember=host.scripts_add_to_history)
        if host.last_failed:
            failed += 1
            if not host.keep_going:
                raise OperatorError(f"run_script: {path.name} stopped at line {number}: {line.strip()}")
        if stop:
            raise Leave
    if failed:
        raise OperatorError(f"run_script: {path.name}: {failed} line{'' if failed == 1 else 's'} failed")
    return Answer()
