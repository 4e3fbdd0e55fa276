"""docs/events.md and the classes of events say the same: names, fields, examples."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from datetime import datetime
from types import ModuleType

import msgspec
import pytest
from tests.docs.pages import DOCS, sections, tables

import tradeshell.core
import tradeshell_breakout
import tradeshell_jsonl_log
import tradeshell_notify
import tradeshell_paper
import tradeshell_reconcile
from tradeshell import Event, Record
from tradeshell.shell.render import Screen, event_line
from tradeshell_jsonl_log.lines import ENVELOPE, encode

PAGE = DOCS / "events.md"
BASE = {"symbol", "watch", "leg"}


def modules(package: ModuleType) -> list[ModuleType]:
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [importlib.import_module(f"{package.__name__}.{name}") for name in names]


def classes() -> dict[str, type[Event]]:
    """Return every event that the host and the bundled plugins define."""
    packages = (
        tradeshell.core,
        tradeshell_breakout,
        tradeshell_jsonl_log,
        tradeshell_notify,
        tradeshell_paper,
        tradeshell_reconcile,
    )
    found: dict[str, type[Event]] = {}
    for module in (module for package in packages for module in modules(package)):
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Event) and thing is not Event:
                assert found.setdefault(thing.__name__, thing) is thing, thing.__name__  # one owner each
    return found


EVENTS = classes()
DOCUMENTED = sections(PAGE, 3)


def test_every_event_has_a_section_and_every_section_is_an_event() -> None:
    assert set(DOCUMENTED) == set(EVENTS)


def fields_said(name: str) -> set[str]:
    """Return the fields that a section lists: the marked words with which its items (``a · b``) begin."""
    (said,) = re.findall(r"^Fields: (.*)$", DOCUMENTED[name], re.MULTILINE)
    if (other := re.match(r"as `(\w+)`", said)) is not None:
        return fields_said(other[1])
    leading = [re.match(r"(?:`\w+` ?)+", item) for item in said.split(" · ")]
    return {word for match in leading if match for word in re.findall(r"`(\w+)`", match[0])}


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_the_fields_of_an_event_are_listed(name: str) -> None:
    own = set(EVENTS[name].__struct_fields__) - BASE
    assert fields_said(name) == own


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_section_says_when(name: str) -> None:
    first = DOCUMENTED[name].strip().splitlines()[0]
    assert re.fullmatch(r"[A-Z].{20,}\.", first)


def example(name: str) -> tuple[str, Record]:
    """Return the example of a section as it stands, and the record that it is."""
    (line,) = re.findall(r"^```json\n(.*)\n```$", DOCUMENTED[name], re.MULTILINE)
    raw = json.loads(line)
    fields = {key: value for key, value in raw.items() if key not in ENVELOPE}
    assert raw["event"] == name
    event = msgspec.convert({**fields, "event": name}, EVENTS[name])
    return line, Record(
        v=raw["v"],
        seq=raw["n"],
        ts=datetime.fromisoformat(raw["ts"]),
        mono=raw["mono"],
        session=raw["session"],
        event=event,
    )


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_the_example_of_an_event_is_what_the_log_writes(name: str) -> None:
    line, record = example(name)
    assert encode(record, json.loads(line)["seq"]).decode() == line


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_the_screen_shows_what_a_section_says(name: str) -> None:
    _, record = example(name)
    shown = re.findall(r"^```text\n(.*)\n```$", DOCUMENTED[name], re.MULTILINE)
    line = event_line(record, Screen(100, wrap=False, colour=False))
    if EVENTS[name].__module__ == "tradeshell_jsonl_log.events":
        line = None  # written by the log for itself: the screen never gets it
    assert shown == ([] if line is None else [line])


def test_the_envelope_is_that_of_a_record() -> None:
    rows = tables(sections(PAGE)["A record"])[0]
    assert [row["field"] for row in rows] == [*ENVELOPE, *Event.__struct_fields__]
    assert set(Record.__struct_fields__) <= {row["field"] for row in rows}


def test_every_example_is_numbered_once() -> None:
    numbers = [json.loads(example(name)[0])["seq"] for name in DOCUMENTED]
    assert numbers == sorted(set(numbers))
