"""docs/gateway.md lists every word, switch and action, with its default, and nothing else."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec
from tests.docs.pages import DOCS, sections, tables

from tradeshell_paper.tws.actions import ACTIONS, Actions
from tradeshell_paper.tws.program import parser
from tradeshell_paper.tws.scenario import EXCHANGE_KEYS
from tradeshell_paper.tws.switches import Refuse, Switches

PAGE = DOCS / "gateway.md"
TABLES = tables(sections(PAGE)["Scenarios"])


def test_every_switch_is_listed_with_its_default() -> None:
    said = {name: row["default"] for row in TABLES[0] for name in row["switch"].split(", ")}
    assert said == {name: shown(value) for name, value in msgspec.structs.asdict(Switches()).items()}


def shown(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def test_every_action_is_listed_with_its_arguments() -> None:
    said: dict[str, list[str]] = {}
    for row in TABLES[1]:
        for part in row["action"].split(", "):
            name, *arguments = part.split()
            said[name] = arguments
    assert set(said) == set(ACTIONS)
    for name in set(ACTIONS) - {"set"}:
        parameters = [each for each in inspect.signature(getattr(Actions, name)).parameters if each != "self"]
        assert sorted(said[name]) == sorted(parameters), name


def test_every_word_of_the_command_line_is_listed() -> None:
    (table,) = tables(PAGE.read_text(encoding="utf-8").split("## Time")[0])
    said = {row["word"].split()[0] for row in table}
    options = {o for action in parser()._actions for o in action.option_strings if o.startswith("--")}
    assert said == options - {"--help"}


def test_the_fields_of_a_refusal_and_the_rules_of_the_exchange_are_real() -> None:
    row = next(row for row in TABLES[0] if row["switch"] == "refuse")
    assert set(row["what"].removeprefix("refusals: tables of ").split()) == set(Refuse.__struct_fields__)
    text = sections(PAGE)["Scenarios"]
    assert {"partial", "slippage", "oca_shows", "oca_race", "partial_parent"} <= EXCHANGE_KEYS
    assert all(f"`{key}`" in text for key in ("partial", "slippage", "oca_shows"))
