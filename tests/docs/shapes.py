"""The shapes of ``--json`` as they stand in docs/json.md, and as a JSON Schema in docs/json.schema.json: made from the code.

``python -m tests.docs.write`` puts both in their place.
"""

from __future__ import annotations

import inspect as python
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect
from tests.docs.pages import DOCS

from tradeshell.grammar import Command
from tradeshell.shell.commands import KEPT
from tradeshell.shell.results import Text
from tradeshell.testing import open_shell
from tradeshell.testing.json_lines import Envelope, Line, event_shape, events, line_shape, shapes

PAGE = DOCS / "json.md"
SCHEMA = DOCS / "json.schema.json"
BLOCK = re.compile(r"(<!-- written: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
WORDS: dict[type, str] = {
    inspect.StrType: "text", inspect.BoolType: "true or false", inspect.IntType: "whole number",
    inspect.FloatType: "number", inspect.DecimalType: "decimal as text", inspect.DateTimeType: "time",
    inspect.NoneType: "`null`", inspect.TimeType: "time of day",
}  # fmt: skip


def commands() -> Mapping[str, Command]:
    """Return the commands of the host and of the bundled plugins."""
    with open_shell("--speed max") as shell:
        return dict(sorted(shell.commands.items()))


def page(text: str, there: Mapping[str, Command]) -> str:
    """Return the page with its blocks as they should be."""
    line = _rows(Line).replace("| `data` | `null` |", "| `data` | `null`, or as [below](#data) |")
    blocks = {"line": line, "envelope": _rows(Envelope), "commands": _commands(there)}
    blocks["shapes"] = "\n".join(_shape(each) for each in _structs(there))
    return BLOCK.sub(lambda found: f"{found[1]}\n{blocks[found[2]]}\n{found[3]}", text)


def schema(there: Mapping[str, Command]) -> str:
    """Return the JSON Schema of every line, by the name of its event or its command."""
    of_events = {
        name: event_shape(kind) for name, kind in events().items() if kind.__module__.startswith("tradeshell")
    }
    of_commands = {
        name: line_shape(_title(name), data)
        for command in there.values()
        for name, data in shapes(command).items()
    } | {name: line_shape(_title(name), Text) for name in KEPT}
    types = [*of_events.values(), *of_commands.values()]
    refs, parts = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    names = [*of_events, *of_commands]
    by_name = dict(zip(names, refs, strict=True))
    written = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Lines of tradeshell --json",
        "description": "A line with a field event has the shape events[event]; one with result that of its command in results.",
        "events": {name: by_name[name] for name in of_events},
        "results": {name: by_name[name] for name in sorted(of_commands)},
        "$defs": dict(sorted(parts.items())),
    }
    return json.dumps(written, indent=1, ensure_ascii=False, default=str) + "\n"


def _title(name: str) -> str:
    return "Line" + "".join(word.capitalize() for word in re.split(r"[ _]", name))


def _commands(there: Mapping[str, Command]) -> str:
    rows = ["| command | `data` |", "| --- | --- |"]
    for command in there.values():
        for name, data in shapes(command).items():
            rows.append(f"| `{name}` | {'`null`' if data is None else _words(inspect.type_info(data))} |")
    rows.append(f"| {' '.join(f'`{name}`' for name in KEPT)}, `COMMAND ?` | {_link(Text)} |")
    return "\n".join(rows) + "\n"


def _structs(there: Mapping[str, Command]) -> list[type]:
    """Return every shape that a command's data is made of, each once, in the order in which they are met."""
    found: dict[type, None] = {}

    def look(part: Any) -> None:
        if isinstance(part, inspect.StructType) and part.cls not in found:
            found[part.cls] = None
            for field in part.fields:
                look(field.type)
        for each in _inner(part):
            look(each)

    for command in there.values():
        for data in shapes(command).values():
            look(inspect.type_info(data))
    return list(found)


def _inner(part: Any) -> Iterator[Any]:
    if isinstance(part, inspect.UnionType):
        yield from part.types
    elif isinstance(part, inspect.ListType | inspect.VarTupleType):
        yield part.item_type
    elif isinstance(part, inspect.DictType):
        yield part.value_type


def _shape(kind: type) -> str:
    doc = re.sub(r"``(.*?)``", r"`\1`", python.cleandoc(kind.__doc__ or ""))
    return f"### {kind.__name__}\n\n{doc}\n\n{_rows(kind)}"


def _rows(kind: type) -> str:
    rows = ["| field | value |", "| --- | --- |"]
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        may_lack = "" if field.required else ", may be missing"
        rows.append(f"| `{field.name}` | {_words(field.type)}{may_lack} |")
    return "\n".join(rows) + "\n"


def _words(part: Any) -> str:
    """Return a type in words."""
    if isinstance(part, inspect.UnionType):
        return " or ".join(_words(each) for each in part.types)
    if isinstance(part, inspect.ListType | inspect.VarTupleType):
        inner = _words(part.item_type)
        return f"list of {f'({inner})' if ' or ' in inner and inner != WORDS[inspect.BoolType] else inner}"
    if isinstance(part, inspect.DictType):
        return f"object: {_words(part.key_type)} to {_words(part.value_type)}"
    if isinstance(part, inspect.StructType):
        return _link(part.cls)
    if isinstance(part, inspect.EnumType):
        return " ".join(f"`{each.value}`" for each in part.cls)
    if isinstance(part, inspect.LiteralType):
        return " ".join(f"`{each}`" for each in part.values)
    return WORDS[type(part)]


def _link(kind: type) -> str:
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def write() -> list[str]:
    """Put page and schema in their place; return what changed."""
    there = commands()
    wanted = {PAGE: page(PAGE.read_text(encoding="utf-8"), there), SCHEMA: schema(there)}
    changed = [
        path.name
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return changed
