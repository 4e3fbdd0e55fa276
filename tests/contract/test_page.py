"""docs/broker-contract.md says what the code says."""

from __future__ import annotations

import inspect
import re

from tests.contract.write import PAGE, written
from tests.docs.pages import sections, tables

from tradeshell.testing import BrokerUnderTest, ScriptedVenue


def names_in(section: str, column: str) -> set[str]:
    """Return the names in a column of a section's first table that are followed by nothing, arguments, or more names."""
    (table, *_) = tables(sections(PAGE)[section])
    return {name for row in table for name in re.findall(r"(\w+)(?:\([^)]*\)|\[\w+\])?(?:, |$)", row[column])}


def public(thing: type) -> set[str]:
    """Return what a class offers."""
    return {name for name in vars(thing) if not name.startswith("_")}


def test_the_tables_of_cards_are_those_of_the_code() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert written(text) == text, "python -m tests.contract.write puts it right"


def test_everything_that_an_author_provides_is_listed() -> None:
    assert names_in("What you provide", "name") == public(BrokerUnderTest)


def test_everything_that_a_scripted_venue_does_is_there() -> None:
    made = ScriptedVenue()
    named = names_in("A broker that says what you tell it to", "of the venue")
    assert {name for name in named if not hasattr(made, name)} == set()
    told = {
        "take",
        "latest",
        "now",
        "broker",
        "books",
        "bars",
        "fee",
        "is_cut",
    }  # what the broker's side asks for
    assert public(ScriptedVenue) - named - told == set()


def test_what_is_without_a_default_has_to_be_provided() -> None:
    (table, *_) = tables(sections(PAGE)["What you provide"])
    bare = {name for row in table if row["default"] == "–" for name in re.findall(r"(\w+)\(", row["name"])}
    source = {name: inspect.getsource(getattr(BrokerUnderTest, name)) for name in bare}
    assert all("NotImplementedError" in text for text in source.values())
    raising = {
        n
        for n, f in vars(BrokerUnderTest).items()
        if callable(f) and "NotImplementedError" in inspect.getsource(f)
    }
    assert raising == bare
