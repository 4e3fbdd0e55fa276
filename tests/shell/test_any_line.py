"""Whatever is typed ends in an answer or in one line: no traceback, no defect, nothing that steers the terminal."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.shell.support import make_runner

from tradeshell.errors import OperatorError
from tradeshell.grammar import Command, Grammar, Key, parse
from tradeshell.shell import lines
from tradeshell.shell.commands import BUILTIN_COMMANDS, KEPT

WORDS = (
    "AAPL", "aapl", "BRK.B", "ALL", "100", "0", "-1", "1e9", "0x10", "190,5", "\uff11\uff10\uff10", "nan", "inf", "true", "be",
    "br-1", "AAPL.sl1", "AAPL.*", "?", "--help", "2", "99", "30s", "5m", "'", '"', "''", "a b", "=", "==", "x=y", "#", ";", ">",
    "|", "{1}", "\x1b[2J", "\x00", "\u202e", "ﬀ", "💥", "again", "cancel", "replace", "show=all", "99999999999999999999",
)  # fmt: skip
RAW = st.text(st.characters(exclude_characters="\n\r"), max_size=60)


def _value(chance: random.Random, key: Key) -> str:
    fixed = [] if callable(key.values) else [value for value, _ in key.values]
    known = [*fixed, *([key.example] if key.example else [])]
    return chance.choice(known if known and chance.random() < 0.6 else WORDS)


def _words(chance: random.Random, grammar: Grammar) -> list[str]:
    """Return words that fit the grammar, more or less."""
    if grammar.verbs and chance.random() < 0.6:
        verb = chance.choice(grammar.verbs)
        return [verb.word, *_words(chance, verb.grammar)]
    words = [_value(chance, key) for name in grammar.positionals if (key := grammar.key(name)) is not None]
    named = chance.sample(grammar.keys, min(len(grammar.keys), chance.randint(0, 3)))
    words += [
        f"{key.name}={_value(chance, key)}" if chance.random() < 0.8 else _value(chance, key) for key in named
    ]
    words += [flag.word for flag in grammar.flags if chance.random() < 0.2]
    return words


def _mutated(chance: random.Random, words: list[str]) -> list[str]:
    """Return the words after an accident."""
    if not words:
        return [chance.choice(WORDS)]
    at = chance.randrange(len(words))
    accident = chance.randrange(6)
    if accident == 0:
        return [*words, chance.choice(words)]
    if accident == 1:
        cut = chance.randint(0, len(words[at]))
        odd = chr(
            chance.choice((chance.randrange(32), chance.randrange(32, 127), chance.randrange(128, 0xD800)))
        )
        return [*words[:at], words[at][:cut] + odd + words[at][cut:], *words[at + 1 :]]
    if accident == 2:
        return chance.sample(words, len(words))
    if accident == 3:
        return [*words[:at], *words[at + 1 :]]
    if accident == 4:
        return [*words[:at], words[at].swapcase(), *words[at + 1 :]]
    return [*words[:at], chance.choice(WORDS), *words[at:]]


def command_line(seed: int) -> tuple[Command, list[str]]:
    """Return a command and words for it, perhaps with accidents; the same ones for a seed."""
    chance = random.Random(seed)
    command = chance.choice(BUILTIN_COMMANDS)
    words = _words(chance, command.grammar)
    for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
        words = _mutated(chance, words)
    return command, words


COMMAND_LINES = st.integers(0, 2**32).map(command_line)


def is_one_clean_line(text: str) -> bool:
    """Return whether a refusal is one printable line of a bearable length."""
    return bool(text) and text.isprintable() and len(text) < 600


def check_parse(command: Command, words: list[str]) -> bool:
    """Parse; return whether the words were understood."""
    refusal = ""
    try:
        parse(command.name, command.grammar, words)
    except OperatorError as error:
        refusal = str(error)
    assert not refusal or is_one_clean_line(refusal), (command.name, words, refusal)
    return not refusal


@settings(max_examples=250, deadline=None)
@given(st.integers(0, 2**32))
def test_ten_thousand_lines_are_words_or_a_refusal_of_one_line(seed: int) -> None:
    for number in range(40):
        check_parse(*command_line(seed + number))


def test_the_lines_are_a_fair_mixture() -> None:
    understood = sum(check_parse(*command_line(seed)) for seed in range(2000))
    assert 200 < understood < 1800


@settings(max_examples=500, deadline=None)
@given(
    command=st.sampled_from(BUILTIN_COMMANDS),
    words=st.lists(st.text(max_size=20) | st.sampled_from(WORDS), max_size=5),
)
def test_any_words_at_all_are_understood_or_refused_in_one_line(command: Command, words: list[str]) -> None:
    check_parse(command, words)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A shell that holds a position; the same one for all lines, as a session is."""
    runner, trading = make_runner(tmp_path_factory.mktemp("any"))
    trading.hold_position()
    trading.over.set()
    return runner, trading


NAMES = st.sampled_from(
    [*(command.name for command in BUILTIN_COMMANDS), *KEPT, "help", "pos", "?", "nope", "alias create x"]
)


@settings(max_examples=400, deadline=None)
@given(
    line=COMMAND_LINES.map(lambda c: " ".join([c[0].name, *c[1]])) | st.tuples(NAMES, RAW).map(" ".join) | RAW
)
def test_hundreds_of_lines_through_the_shell_leave_no_defect(world: Any, line: str) -> None:
    runner, _ = world
    if line.split()[:1] in (
        ["quit"],
        ["exit"],
        ["run_script"],
        ["@"],
        ["history"],
    ) or line.lstrip().startswith("@"):
        return  # these end the session, read the disk or repeat what went before
    outcome = runner.run(line)
    assert "internal error" not in outcome.text, outcome.explained()
    assert "Traceback" not in outcome.text
    assert not outcome.stopped
    assert all(part.isprintable() for part in outcome.text.split("\n")), outcome.explained()


@settings(max_examples=200, deadline=None)
@given(line=COMMAND_LINES.map(lambda c: " ".join([c[0].name, *c[1]])) | RAW, at=st.integers(0, 60))
def test_tab_anywhere_in_any_line_leaves_no_defect(world: Any, line: str, at: int) -> None:
    runner, _ = world
    cursor = min(at, len(line))
    begin = max((i + 1 for i in range(cursor) if line[i] in " \t\n\"'|>"), default=0)
    found = runner.shell.complete(line[begin:cursor], line, begin, cursor)
    assert "Error" not in found.error, found.error
    assert "no completion" not in found.error
    assert all("\x1b" not in item.display + item.display_meta for item in found)


def test_lines_are_split_before_they_are_parsed() -> None:
    # The lines above reach `parse` as words; what a quote does to them is tested with `lines`.
    assert lines.words("orders cancel 'AAPL'") == ["orders", "cancel", "AAPL"]


def test_the_state_directory_has_no_crash_report_after_all_that(world: Any, tmp_path: Path) -> None:
    runner, _ = world
    assert not (runner.shell._state_dir / "crashes").exists()
