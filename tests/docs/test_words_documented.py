"""The glossary's names and the modules that docs/orders.md and the decisions point to are there."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import DOCS, ROOT, prose, sections, tables

GLOSSARY = tables((DOCS / "glossary.md").read_text(encoding="utf-8"))[0]
ORDERS = DOCS / "orders.md"
FOLDERS = {
    "core": "host/tradeshell/core",
    "engine": "host/tradeshell/engine",
    "shell": "host/tradeshell/shell",
    "breakout": "plugins/breakout/tradeshell_breakout",
}


@pytest.mark.parametrize("row", GLOSSARY, ids=lambda row: row["word"])
def test_a_word_is_one_sentence_and_its_name_is_in_the_code(row: dict[str, str]) -> None:
    assert re.fullmatch(r"[A-Z].*\.", row["what it means"])
    assert not re.search(r"\. [A-Z]", row["what it means"])
    name = row["in the code"]
    assert name == "–" or is_there(f"tradeshell.{name}" if name.startswith("core.") else name)


def is_there(dotted: str) -> bool:
    """Return whether a dotted name leads to something: a module's name, or a field of a class."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            thing: Any = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            fields = getattr(thing, "__struct_fields__", ())
            if name in fields:
                return True
            if not hasattr(thing, name):
                return False
            thing = getattr(thing, name)
        return True
    return False


def test_the_glossary_is_in_order_and_names_a_word_once() -> None:
    words = [row["word"] for row in GLOSSARY]
    assert words == sorted(set(words), key=str.lower)


def items() -> list[str]:
    """Return the items of every list on the page of orders, each as one line."""
    text = prose(ORDERS)
    return [" ".join(item.split()) for item in re.findall(r"^- ((?:.+\n)(?:  .+\n)*)", text, re.MULTILINE)]


def test_every_sentence_about_orders_says_where_its_rule_lives() -> None:
    assert len(items()) > 40
    homeless = [item for item in items() if not re.search(r"`\w+/\w+\.py`$", item)]
    assert homeless == []
    named = {match for item in items() for match in re.findall(r"`(\w+)/(\w+\.py)`$", item)}
    assert [f"{a}/{b}" for a, b in sorted(named) if not (ROOT / FOLDERS[a] / b).is_file()] == []


def test_nearly_every_rule_lives_in_the_core() -> None:
    homes = [item.rpartition("`")[0].rpartition("`")[2].partition("/")[0] for item in items()]
    assert homes.count("core") + homes.count("breakout") > len(homes) * 0.8


DECISIONS = sorted((DOCS / "decisions").glob("*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_says_what_why_what_follows_and_where(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert re.match(rf"# {int(page.stem[:4])}\. [A-Z]", text)
    heads = ["Decided.", "Why.", "What follows.", "Where."]
    assert re.findall(r"^\*\*(.*?)\*\*", text, re.MULTILINE) == heads
    assert len(text.splitlines()) < 50


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(page.stem[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("page", [*DECISIONS, DOCS / "guards.md", ORDERS], ids=lambda page: page.stem)
def test_paths_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`((?:host|plugins|tests|examples|docs)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_open_questions_are_asked_as_questions() -> None:
    rows = tables(sections(ORDERS)["Not verified on a real account"])[0]
    assert all(row["open question"].endswith("?") for row in rows)
