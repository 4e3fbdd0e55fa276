"""docs/commands.md and docs/guards.md say what the program says, both ways."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.docs.pages import DOCS, ROOT, plain, sections, tables

from tradeshell import words as w
from tradeshell.core import entry as entering
from tradeshell.core import guards, resume, specs, watch
from tradeshell.core.plan import TradePlan
from tradeshell.core.policy import Limits
from tradeshell.engine import resumer
from tradeshell.grammar import Command, Grammar, Key, parse
from tradeshell.shell.commands import ALIASES, KEPT
from tradeshell.testing import open_shell
from tradeshell_breakout.grammar import BREAKOUT_GRAMMAR, PLAN_GRAMMAR
from tradeshell_breakout.policy import chase_limit, trade_plan, watch_params

PAGE = DOCS / "commands.md"
GUARDS = DOCS / "guards.md"
NONE = "–"
ABOUT = ("How a line is written", "alias, macro, history, set")


@pytest.fixture(scope="module")
def program() -> Iterator[Mapping[str, Command]]:
    with open_shell("--speed max") as shell:
        yield shell.commands


def grammars(command: Command) -> Iterator[tuple[str, Grammar]]:
    """Yield a command's grammar and those of its verbs, with their names."""

    def inner(name: str, grammar: Grammar) -> Iterator[tuple[str, Grammar]]:
        yield name, grammar
        for verb in grammar.verbs:
            yield from inner(f"{name} {verb.word}", verb.grammar)

    return inner(command.name, command.grammar)


def documented() -> dict[str, str]:
    """Return the text of each command and verb, without that of its verbs."""
    found = {}
    for title, text in sections(PAGE).items():
        parts = re.split(r"^### (.*)$", text, flags=re.MULTILINE)
        found[title] = parts[0]
        found |= dict(zip(parts[1::2], parts[2::2], strict=True))
    return found


def table(text: str, column: str) -> list[dict[str, str]]:
    """Return the rows of the table that begins with ``column``, none without one."""
    return next((rows for rows in tables(text) if rows and next(iter(rows[0])) == column), [])


def test_every_command_has_a_section_and_every_section_is_a_command(program: Mapping[str, Command]) -> None:
    there = {name for command in program.values() for name, _ in grammars(command)}
    assert there == set(documented()) - set(ABOUT)
    assert set(ABOUT) < set(documented())


def test_what_cmd2_brings_is_named() -> None:
    assert set(ABOUT[1].split(", ")) == set(KEPT)
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"`{alias}`" in page for alias in ALIASES)


def test_the_keys_of_every_command_are_those_of_its_table(program: Mapping[str, Command]) -> None:
    said = {}
    for name, text in documented().items():
        said[name] = {row["key"]: row["default"] for row in table(text, "key")}
    for command in program.values():
        for name, grammar in grammars(command):
            keys = {key.name: key.default or NONE for key in grammar.keys}
            if name == "plan":
                assert grammar.keys == BREAKOUT_GRAMMAR.keys
                assert said[name] == {}
                continue
            assert list(said[name].items()) == list(keys.items()), name


def test_values_that_are_offered_are_named(program: Mapping[str, Command]) -> None:
    for command in program.values():
        for name, grammar in grammars(command):
            said = {row["key"]: row["values"] for row in table(documented()[name], "key")}
            for key in grammar.keys:
                if key.name in said and said[key.name] != "yes or no":
                    words = re.findall(r"[\w*.%:]+", said[key.name])
                    assert set(_fixed_values(key)) <= set(words), f"{name} {key.name}"


def _fixed_values(key: Key) -> list[str]:
    return [] if callable(key.values) else [value for value, _ in key.values]


def test_what_is_said_to_be_yes_or_no_is(program: Mapping[str, Command]) -> None:
    for command in program.values():
        for name, grammar in grammars(command):
            for row in table(documented()[name], "key"):
                key = grammar.key(row["key"])
                assert key is not None
                assert (row["values"] == "yes or no") is (key.parse is w.boolean), f"{name} {key.name}"


def test_usage_and_bare_words_are_in_the_section(program: Mapping[str, Command]) -> None:
    for command in program.values():
        for name, grammar in grammars(command):
            text = documented()[name]
            wanted = [
                word.upper() if word in grammar.required else f"[{word.upper()}]"
                for word in grammar.positionals
            ]
            assert text.strip().startswith(f"`{' '.join([name, *wanted])}"), name
            if grammar.rest is not None:
                assert "…" in text.strip().partition("\n")[0]
            for flag in grammar.flags if name != "plan" else ():
                assert f"`{flag.word}`" in text


def test_examples_that_help_shows_are_understood(program: Mapping[str, Command]) -> None:
    for command in program.values():
        for line in command.examples:
            name, *words = line.split()
            if name == command.name and words != ["?"]:
                parse(name, command.grammar, words)


def plan_of(*more: str) -> tuple[TradePlan, dict[str, str]]:
    parsed = parse("breakout", PLAN_GRAMMAR, ["AAPL", "190", "100", "tp=195", "sl=187", *more])
    return trade_plan(parsed, {}, "DU…0001"), watch_params(parsed, {})


@pytest.mark.parametrize("row", table(documented()["breakout"], "key"), ids=lambda row: row["key"])
def test_a_default_of_breakout_is_what_happens_without_the_word(row: dict[str, str]) -> None:
    key = BREAKOUT_GRAMMAR.key(row["key"])
    assert key is not None
    if row["default"] in (NONE, "none") or " " in row["default"] or "'" in row["default"]:
        return  # nothing to type
    base = ["fast=true"] if key.name == "fast_bar" else []
    more = [*base, f"{key.name}={row['default']}"]
    if key.name == "tif":
        more.append("exit_tif=GTC")  # a tif that is typed is that of the exits, too
    assert plan_of(*more) == plan_of(*base)


def test_max_chase_is_half_of_the_risk_or_one_percent() -> None:
    plan, _ = plan_of()
    assert plan.chase_limit == Decimal("191.50")
    assert chase_limit(Decimal(200), None, None) == Decimal(202)


# --- guards -----------------------------------------------------------------------------------------------------------


def guard_rows() -> list[list[dict[str, str]]]:
    return tables(GUARDS.read_text(encoding="utf-8"))


def reasons_in(path: Path) -> set[str]:
    """Return the first words of every ``Refusal(…)`` in a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant):
                found.add(str(first.value))
            elif isinstance(first, ast.JoinedStr):
                stem = "".join(str(part.value) for part in first.values if isinstance(part, ast.Constant))
                found |= {stem + side for side in ("ask", "bid")}
    return found


def test_every_reason_of_a_refusal_is_documented() -> None:
    core = ROOT / "host/tradeshell/core"
    there = {reason for path in core.glob("*.py") for reason in reasons_in(path)}
    entries, changes, left, typed, _ = guard_rows()
    assert {row["reason"] for rows in (entries, changes, left) for row in rows} == there - {"duplicate"}
    assert "duplicate" in {row["what"] for row in typed}


def test_the_figures_of_the_guards_are_those_of_the_code() -> None:
    figures = [{next(iter(row.values())): row["figure"] for row in rows} for rows in guard_rows()]
    entry, _, left, typed, watching = figures
    plan = TradePlan(symbol="AAPL", qty=1, account="")
    assert entry["no_quote"] == f"{entering.PATIENCE:g} s"
    assert entry["too_late"] == f"{entering.TOO_LATE:g} s"
    assert entry["stale_quote"] == f"{plan.quote_age:g} s"
    limits = Limits()
    assert entry["price_collar"] == guards.percent(limits.collar) == typed["limit of orders replace"]
    for key in ("max_qty", "max_notional", "max_orders_per_side", "max_orders_per_minute"):
        assert entry[key] == str(getattr(limits, key))
    for key, reason in (
        ("max_daily_loss", "daily_loss"),
        ("max_exposure", "max_exposure"),
        ("max_open_risk", "max_open_risk"),
    ):
        assert getattr(limits, key) is None
        assert entry[reason] == "off"
    assert typed["duplicate"] == f"{limits.duplicate_window:g} s"
    assert typed["quantity"] == str(w.MAX_QTY)
    assert typed["price"] == str(w.MAX_PRICE)
    assert left["level_crossed"] == seconds(resume.FRESH)
    assert left["no_contract"] == f"{resumer.ANSWER_WITHIN:g} s"
    assert watching["late bar"] == seconds(watch.BAR_GRACE)
    assert watching["entry timeout"] == f"{plan.entry_timeout:g} s"
    assert watching["broker's expiry"] == f"{specs.ENTRY_EXPIRY_GRACE:g} s"
    assert watching["session end"] == f"{watch.CLOSE_GRACE:g} s"


def seconds(length: timedelta) -> str:
    return f"{length.total_seconds():g} s"


def test_the_words_that_set_a_guard_are_words() -> None:
    known = {key.name for key in BREAKOUT_GRAMMAR.keys} | {"again", "limit", "stopentry off", "resume"}
    known |= set(Limits.__struct_fields__)
    named = {
        word.rstrip("=")
        for rows in guard_rows()
        for row in rows
        for word in plain(row["set by"]).split(", ")
        if word != NONE
    }
    assert named <= known
