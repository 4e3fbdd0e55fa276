r"""Transcripts: a session's commands and what they print, as a file and as a test.

The format is cmd2's (3.5.1, the last version that had transcripts). Lines before the first prompt are a header. A line that
starts with the prompt is a command; what follows up to the next prompt is its output: literal text with ``/regex/`` islands,
which may span lines; ``\/`` is a slash, and so is a slash without a partner.

Laws: ``strict`` (the default) compares the whole output, standard error included, of every command. ``compat`` compares as 3.5.1
did: standard output only, a match of its beginning, and nothing for a last command without expected output.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DIALECTS = ("strict", "compat")
_DIRECTIVE = re.compile(r"#\s*([a-z_]+):\s*(.*?)\s*$")
_STYLE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


class TranscriptError(Exception):
    """A file that is no transcript."""


@dataclass(frozen=True)
class Step:
    """One command. ``number`` is its line in the file; ``expected`` is ``None`` when nothing follows it."""

    number: int
    command: str
    expected: str | None


@dataclass(frozen=True)
class Transcript:
    """A parsed file: ``directives`` are the header's lines ``# name: value``, in order."""

    directives: tuple[tuple[str, str], ...]
    steps: tuple[Step, ...]

    def directive(self, name: str, default: str = "") -> str:
        """Return the last value given for ``name``."""
        return dict(self.directives).get(name, default)

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value given for ``name``."""
        return tuple(value for key, value in self.directives if key == name)


class Mismatch(AssertionError):
    """A command printed something else than the transcript says."""

    def __init__(self, path: Path, step: Step, why: str, got: str) -> None:
        super().__init__(f"{path.name}:{step.number}: {why}")
        self.path = path
        self.step = step
        self.why = why
        self.got = got

    def explanation(self) -> str:
        """Return where and how the output differs, as a diff."""
        head = f"{self.path}:{self.step.number}: {self.why}\n  command: {self.step.command.rstrip()}\n"
        wanted = (self.step.expected or "").splitlines(keepends=True)
        diff = difflib.unified_diff(wanted, self.got.splitlines(keepends=True), "expected", "got")
        return head + "".join(line if line.endswith("\n") else f"{line}\n" for line in diff)


@dataclass
class Prompts:
    """What command lines begin with."""

    prompt: str
    continuation: str = "> "
    others: tuple[str, ...] = field(default=())

    def of(self, line: str) -> str | None:
        """Return the prompt with which ``line`` begins."""
        return next((p for p in (self.prompt, *self.others) if line.startswith(p)), None)


def plain(text: str) -> str:
    """Return ``text`` without terminal styles."""
    return _STYLE.sub("", text)


def parse(text: str, prompts: Prompts) -> Transcript:
    """Return the parsed transcript; raises ``TranscriptError`` when there is no command in it."""
    lines = text.splitlines(keepends=True)
    at = 0
    directives: list[tuple[str, str]] = []
    while at < len(lines) and prompts.of(plain(lines[at])) is None:
        if (found := _DIRECTIVE.match(lines[at])) is not None:
            directives.append((found[1], found[2]))
        at += 1
    if at == len(lines):
        raise TranscriptError(f"no line begins with the prompt {prompts.prompt!r}: there is no command")
    steps: list[Step] = []
    while at < len(lines):
        number = at + 1
        line = plain(lines[at])
        command = line[len(prompts.of(line) or "") :]
        at += 1
        while at < len(lines) and lines[at].startswith(prompts.continuation):
            command += lines[at][len(prompts.continuation) :]
            at += 1
        expected: list[str] = []
        while at < len(lines) and prompts.of(plain(lines[at])) is None:
            expected.append(lines[at])
            at += 1
        steps.append(Step(number, command, "".join(expected) if expected else None))
    return Transcript(tuple(directives), tuple(steps))


def header_of(text: str) -> Transcript:
    """Return the directives of a file whose prompt is not known yet: the ``#`` lines it begins with."""
    directives: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            break
        if (found := _DIRECTIVE.match(line)) is not None:
            directives.append((found[1], found[2]))
    return Transcript(tuple(directives), ())


def compile_expected(text: str) -> re.Pattern[str]:
    """Return the pattern of expected output; raises ``re.error`` for an island that is no regular expression."""
    parts: list[str] = []
    literal: list[str] = []
    at = 0
    while at < len(text):
        if text.startswith("\\/", at):
            literal.append("/")
            at += 2
        elif text[at] == "/" and (island := _island(text, at)) is not None:
            pattern, at = island
            parts += [re.escape("".join(literal)), pattern]
            literal = []
        else:
            literal.append(text[at])
            at += 1
    parts.append(re.escape("".join(literal)))
    return re.compile("".join(parts), re.MULTILINE | re.DOTALL)


def _island(text: str, at: int) -> tuple[str, int] | None:
    """Return the regular expression that begins with the slash at ``at`` and where it ends, ``None`` without a closing slash."""
    pattern: list[str] = []
    at += 1
    while at < len(text) and text[at] != "/":
        if text.startswith("\\/", at):
            pattern.append("/")
            at += 2
        else:
            pattern.append(text[at])
            at += 1
    return None if at >= len(text) else ("".join(pattern), at + 1)


def agrees(expected: str, got: str, *, strict: bool) -> bool:
    """Return whether ``got`` is what ``expected`` says."""
    pattern = compile_expected(expected)
    if not strict:
        return pattern.match(got) is not None
    if pattern.fullmatch(got) is not None:
        return True
    # The last line of a file often lacks its newline, and so may the last line that a command prints.
    return pattern.fullmatch(got.removesuffix("\n")) is not None or pattern.fullmatch(f"{got}\n") is not None


def replay(app: Any, path: Path, *, dialect: str = "strict", text: str | None = None) -> None:
    """Run a transcript against a cmd2 application; raises ``Mismatch`` at the first command that differs.

    ``app`` is any ``cmd2.Cmd``. Of a ``TradeShell``, events that were announced before a command returned are part of its output.
    """
    strict = dialect == "strict"
    source = path.read_text(encoding="utf-8") if text is None else text
    prompts = Prompts(plain(app.prompt), getattr(app, "continuation_prompt", "> "))
    steps = parse(source, prompts).steps
    for at, step in enumerate(steps):
        with captured(app, merge_errors=strict) as output:
            stop = app.onecmd_plus_hooks(step.command)
        got = output()
        is_last = at == len(steps) - 1
        if step.expected is None:
            if got.strip() and (strict or not is_last):
                raise Mismatch(path, step, "no output was expected", got)
        elif not agrees(step.expected, got, strict=strict):
            raise Mismatch(path, step, "the output differs", got)
        if stop and not is_last:
            raise Mismatch(path, step, "the command ended the session, but the transcript goes on", got)


@contextlib.contextmanager
def captured(app: Any, *, merge_errors: bool = True) -> Iterator[Callable[[], str]]:
    """Catch what ``app`` prints; yields a function that returns it, without styles."""
    buffer = io.StringIO()
    # A shell that answers in JSON writes past ``stdout``, which catches the text of cmd2's own commands.
    name = "out" if getattr(app, "as_json", False) else "stdout"
    saved = getattr(app, name)
    setattr(app, name, buffer)
    drain = getattr(getattr(app, "pump", None), "drain", None)
    errors = contextlib.redirect_stderr(buffer) if merge_errors else contextlib.nullcontext()
    try:
        with errors:
            yield lambda: plain(buffer.getvalue())
            if drain is not None:
                drain()
    finally:
        setattr(app, name, saved)


def discard_start(app: Any) -> None:
    """Drop what was announced before the first command, such as the link coming up."""
    with captured(app):
        pass
