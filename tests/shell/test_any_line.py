"""Whatever is typed ends in an answer or in one line: no traceback, no defect, nothing that steers the terminal.

``make fuzz-lines`` runs the large figures; here are samples of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.shell import fuzz
from tests.shell.any_lines import WORDS, any_line, command_line, is_typed
from tests.shell.support import d, make_runner

from tradeshell import Answer, ExitMode, Grammar, Key, OrderType, Side, Tif, TradePlan
from tradeshell.errors import OperatorError
from tradeshell.grammar import Command, parse
from tradeshell.shell import lines
from tradeshell.shell.commands import BUILTIN_COMMANDS, KEPT
from tradeshell_breakout.command import commands as breakout_commands

RAW = st.text(st.characters(exclude_characters="\n\r"), max_size=60)
COMMANDS = (*BUILTIN_COMMANDS, *breakout_commands())
COMMAND_LINES = st.integers(0, 2**32).map(lambda seed: command_line(seed, COMMANDS))


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
        check_parse(*command_line(seed + number, COMMANDS))


def test_the_lines_are_a_fair_mixture() -> None:
    understood = sum(check_parse(*command_line(seed, COMMANDS)) for seed in range(2000))
    assert 200 < understood < 1800


@settings(max_examples=500, deadline=None)
@given(
    command=st.sampled_from(COMMANDS),
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
    if not is_typed(line):
        return
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


# --- samples of `make fuzz-lines` -------------------------------------------------------------------------------------


def test_lines_of_every_command_are_understood_or_refused_and_plans_keep_the_policy() -> None:
    found = fuzz.parser_lines(range(6000))
    assert found["planned"] > 200
    assert min(found["understood"], found["refused"]) > 600


@pytest.mark.parametrize("seed", [0, fuzz.A_SESSION], ids=["text", "json"])
def test_lines_through_a_whole_shell_leave_no_defect_and_the_desk_keeps_the_policy(seed: int) -> None:
    found = fuzz.typed(seed, 80)
    assert found["accepted"] > 5
    assert found["trades"] > 0


PLAN = TradePlan(
    symbol="AAPL", qty=100, account="DU1", level=d("190"), tps=(d("195"), d("198"), d("205")), sl=d("187"),
    mode=ExitMode.DETACHED, chase_limit=d("191.5"),
)  # fmt: skip


def test_a_plan_that_keeps_the_policy_is_left_alone() -> None:
    assert fuzz.breaches(PLAN) == []


@pytest.mark.parametrize(
    "change",
    [
        {"qty": 0}, {"qty": 10_000_001}, {"qty": 2}, {"sl": d("190")}, {"sl": None}, {"sl": d("-1")}, {"level": d("NaN")},
        {"tps": (d("195"), d("195"), d("205"))}, {"tps": (d("189"), d("198"), d("205"))}, {"tps": (d("195"),)},
        {"mode": ExitMode.ATTACHED}, {"weights": (50, 50)}, {"stop_updates": (d("186"), d("190"))},
        {"stop_updates": (d("195"), d("196"))}, {"sl_offset": d("187")}, {"exit_tif": Tif.IOC}, {"quote_age": 0.0},
        {"sl_type": OrderType.STOP, "outside_rth": True}, {"entry_timeout": 0.0}, {"chase_limit": d("189")}, {"side": Side.SELL},
        {"risk_usd": d("100")}, {"risk_usd": d("1000"), "sl": None}, {"risk_usd": d("1000"), "weights": (60, 30, 20)},
        {"tps": (d("195"), d("198")), "mode": ExitMode.DETACHED70, "weights": (60, 40)},
    ],
    ids=str,
)  # fmt: skip
def test_a_plan_that_breaks_the_policy_is_seen(change: dict[str, Any]) -> None:
    assert fuzz.breaches(replace(PLAN, **change))


def test_a_refusal_that_is_no_line_and_a_defect_are_seen() -> None:
    def broken(text: str) -> str:
        raise ValueError("two\nlines") if text == "a" else KeyError(text)

    key = Key(name="x", help="x", parse=broken)
    grammar = Grammar(keys=(key,), positionals=("x",), required=("x",))
    command = Command(name="ping", help="ping", grammar=grammar, run=lambda trading, words: Answer())
    with pytest.raises(fuzz.Broken, match="no printable line"):
        fuzz.at_the_parser("ping a", {"ping": command})
    with pytest.raises(KeyError):
        fuzz.at_the_parser("ping b", {"ping": command})


def test_a_line_is_the_same_for_its_seed() -> None:
    once = [any_line(seed, COMMANDS) for seed in range(50)]
    assert once == [any_line(seed, COMMANDS) for seed in range(50)]
    assert len(set(once)) > 45
