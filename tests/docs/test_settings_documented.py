"""docs/config.md and docs/paper.md list every setting with its default, and nothing else."""

from __future__ import annotations

import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.docs.pages import DOCS, sections, tables

from tradeshell.cli import parser
from tradeshell.config import load_settings, table
from tradeshell.errors import ConfigError
from tradeshell.testing import open_shell
from tradeshell_paper import feed_generated
from tradeshell_paper.pump import Phase
from tradeshell_paper.settings import Fees, Rules, Settings, read_settings

NONE = "–"


def rows(page: str, section: str, number: int = 0) -> list[dict[str, str]]:
    return tables(sections(DOCS / page)[section])[number]


# --- the host's settings ----------------------------------------------------------------------------------------------


def test_every_setting_is_listed_with_its_three_names_and_its_default() -> None:
    columns = ("file", "flag", "environment", "default")
    said = [tuple(row[name] for name in columns) for row in rows("config.md", "Settings")]
    assert said == [
        (NONE if s is table.LIVE_ACCOUNT else s.key, s.option or NONE, s.env or NONE, shown(s.default))
        for s in table.SETTINGS
    ]


def shown(value: Any) -> str:
    if value is None or value == ():
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) and math.isfinite(value) else str(value)


def test_every_flag_of_the_command_line_is_a_setting_or_says_what_to_run() -> None:
    options = [option for action in parser()._actions for option in action.option_strings]
    flags = {option for option in options if option.startswith("--")}
    said = {row["flag"] for row in rows("config.md", "Settings")} - {NONE}
    assert flags - said == {"--help", "--version", "--config"}
    assert said <= flags


def test_the_defaults_of_commands_are_listed_and_their_examples_are_taken(tmp_path: Path) -> None:
    listed = rows("config.md", "Defaults of commands")
    column = "key in `[defaults]`"
    assert [f"defaults.{row[column]}" for row in listed] == list(table.FILE_EXAMPLES)
    for row in listed:
        for text in row["example"].split(", or "):
            line = text if "=" in text else f"{row[column]} = {text}"
            path = tmp_path / "config.toml"
            path.write_text(f"[defaults]\n{line}\n", encoding="utf-8")
            assert set(load_settings({"config": str(path)}, {}).defaults.values) == {row[column]}


def test_the_files_of_the_state_directory_are_those_that_a_session_leaves(tmp_path: Path) -> None:
    for _ in range(2):
        with open_shell(["--speed", "max", "--state-dir", str(tmp_path)]):
            pass
    there = {path.name for path in (tmp_path / "paper").iterdir()}
    said = {name.strip() for row in rows("config.md", "Files") for name in row["file"].split(",")}
    assert there <= said
    assert {"journal", "journal.1", "state.toml", "state.toml.1", "events.jsonl", "lock"} <= there


# --- the paper venue's settings ---------------------------------------------------------------------------------------


def known_settings() -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_settings({"!": 1})
    return str(caught.value).partition("known: ")[2].split(", ")


def test_every_setting_of_the_venue_is_listed() -> None:
    assert sorted(row["key"] for row in rows("paper.md", "Settings")) == sorted(known_settings())


def test_the_defaults_of_the_venue_are_those_of_the_code() -> None:
    said = {row["key"]: row["default"] for row in rows("paper.md", "Settings")}
    typed: dict[str, Any] = {
        key: _typed(text) for key, text in said.items() if key not in ("refuse", "bars", "script")
    }
    assert read_settings(typed) == read_settings({}) == Settings(rules=Rules(fees=Fees()))


def _typed(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    if text.isdigit():
        return int(text)
    return float(text) if text.replace(".", "").isdigit() else text


@pytest.mark.parametrize(
    "key, words",
    [
        ("oca_shows", ("total", "remaining")),
        ("oca_join", ("as_sent", "capped", "refused")),
        ("partial_parent", ("cancel", "hold")),
        ("reduced_to_filled", ("cancelled", "filled")),
    ],
)
def test_a_setting_with_a_few_words_names_and_takes_each(key: str, words: tuple[str, ...]) -> None:
    (row,) = (row for row in rows("paper.md", "Settings") if row["key"] == key)
    for word in words:
        assert word in row["what"]
        read_settings({key: word})


def test_the_order_of_things_at_an_instant_is_the_pumps() -> None:
    text = sections(DOCS / "paper.md")["The order of things at one instant"]
    steps = [line for line in text.splitlines() if line[:1].isdigit()]
    words = {
        Phase.RANGE: "Ranges",
        Phase.TIME: "expire",
        Phase.TOUCH: "Quotes",
        Phase.CLOSED: "Closed bars",
        Phase.TRADE: "Opens",
        Phase.END: "ends",
    }
    assert len(steps) == len(Phase)
    assert all(words[phase] in step for phase, step in zip(sorted(Phase), steps, strict=True))


def test_the_figures_of_the_generated_market_are_those_of_the_code() -> None:
    text = sections(DOCS / "paper.md")["The generated market"]
    assert f"{feed_generated.FIRST_DAY}" in text
    assert f"{feed_generated.HISTORY_DAYS} trading days of history" in text
    flags = tables((DOCS / "paper.md").read_text(encoding="utf-8"))[0]
    prices = next(row["without it"] for row in flags if row["flag"].startswith("--market"))
    for symbol, price in feed_generated.KNOWN_PRICES.items():
        assert f"{symbol} {Decimal(price).normalize():f}".rstrip("0").rstrip(".") in prices


def test_a_market_without_a_flag_is_the_default_one() -> None:
    flags = {
        row["flag"].split()[0]: row["without it"] for row in tables((DOCS / "paper.md").read_text("utf-8"))[0]
    }
    defaults = {s.option: shown(s.default) for s in table.SETTINGS if s.key.startswith("venue.")}
    assert set(flags) == set(defaults)
    assert [flags[name] for name in ("--seed", "--speed", "--replay")] == [
        defaults[name] for name in ("--seed", "--speed", "--replay")
    ]


def test_the_switches_of_open_questions_are_settings() -> None:
    asked = {row["the other form"] for row in rows("orders.md", "Not verified on a real account")} - {NONE}
    assert asked <= set(known_settings())
