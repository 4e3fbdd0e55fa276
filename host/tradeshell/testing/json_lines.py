"""What ``--json`` prints, held to its shapes: a line is an event or a result, with the fields that are documented and no other.

For tests, and for whoever reads such lines: ``JsonLines(shell.commands).check(line)`` raises ``JsonLineError`` with one line that
says what is wrong. A command without a shape has no data; a shape that leaves something open is a defect of the shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect

from tradeshell.core.events import Event
from tradeshell.grammar import Command, Result
from tradeshell.shell import lines
from tradeshell.shell.commands import ALIASES, KEPT
from tradeshell.shell.results import Text

HELP = (["?"], ["-h"], ["--help"])


class JsonLineError(ValueError):
    """A line does not have its documented shape."""


class Line(Result, frozen=True, kw_only=True):
    """The result of one line that was typed. ``error`` says why it failed, ``null`` when ``ok``."""

    result: str
    ok: bool
    data: None
    error: str | None


class Envelope(Result, frozen=True, kw_only=True):
    """What every event carries beside its own fields: ``seq`` counts from 1 in the session, ``mono`` seconds."""

    v: int
    seq: int
    ts: datetime
    mono: float
    session: str


def events() -> dict[str, type[Event]]:
    """Return every event that is there, by name: those of the host and of every plugin that was imported."""

    def below(kind: type[Event]) -> Iterator[type[Event]]:
        for each in kind.__subclasses__():
            yield each
            yield from below(each)

    return {each.__name__: each for each in sorted(below(Event), key=lambda each: each.__name__)}


def event_shape(event: type[Event]) -> type[msgspec.Struct]:
    """Return the shape of an event's line: a field that is ``None`` is left out of it, every other field is there."""
    fields: list[Any] = [(field.name, field.type) for field in msgspec.structs.fields(Envelope)]
    fields += [
        (field.name, field.type, None) if _may_be_none(field.type) else (field.name, field.type)
        for field in msgspec.structs.fields(event)
    ]
    return msgspec.defstruct(
        event.__name__,
        fields,
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
        tag_field="event",
        tag=event.__name__,
        module=event.__module__,
        namespace={"__doc__": event.__doc__},
    )


def _may_be_none(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind)


def line_shape(name: str, data: Any) -> type[msgspec.Struct]:
    """Return the shape of the result of a line whose data has the shape ``data``."""
    fields: list[Any] = [
        (field.name, data | None if field.name == "data" and data is not None else field.type)
        for field in msgspec.structs.fields(Line)
    ]
    return msgspec.defstruct(
        name,
        fields,
        bases=(Result,),
        frozen=True,
        kw_only=True,
        module=__name__,
        namespace={"__doc__": Line.__doc__},
    )


def shapes(command: Command) -> dict[str, Any]:
    """Return the shape of a command's data and those of its verbs: ``orders``, ``orders cancel``."""
    return {
        command.name: command.data,
        **{f"{command.name} {verb.word}": verb.data for verb in command.grammar.verbs},
    }


def left_open(shape: Any) -> list[str]:
    """Return what a shape leaves open: parts of any type, and objects that may have fields of any name."""
    found: list[str] = []
    seen: set[type] = set()

    def look(part: Any, where: str) -> None:
        if isinstance(part, inspect.AnyType | inspect.RawType | inspect.CustomType):
            found.append(f"{where} is of any type")
        elif isinstance(part, inspect.StructType):
            if not part.forbid_unknown_fields:
                found.append(f"{where}: {part.cls.__name__} allows unknown fields")
            if part.cls not in seen:
                seen.add(part.cls)
                for field in part.fields:
                    look(field.type, f"{part.cls.__name__}.{field.name}")
        elif isinstance(part, inspect.UnionType):
            for each in part.types:
                look(each, where)
        elif isinstance(part, inspect.DictType):
            look(part.key_type, where)
            look(part.value_type, where)
        elif isinstance(part, inspect.ListType | inspect.VarTupleType | inspect.SetType):
            look(part.item_type, where)
        elif isinstance(part, inspect.TupleType):
            for each in part.item_types:
                look(each, where)

    look(inspect.type_info(shape), "data")
    return found


class JsonLines:
    """Checks lines that a shell with these commands printed."""

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._lines = {
            name: line_shape(name, data)
            for command in commands.values()
            for name, data in shapes(command).items()
        }
        self._text = line_shape("text", Text)
        self._verbs = {name: {verb.word for verb in each.grammar.verbs} for name, each in commands.items()}
        self._events: dict[str, type[msgspec.Struct]] = {}

    def check(self, line: str) -> str:
        """Return the name of the event, or of the command and its verb; raises ``JsonLineError``."""
        try:
            raw = json.loads(line)
        except ValueError as error:
            raise JsonLineError(f"no JSON: {error}") from None
        if not isinstance(raw, dict) or not isinstance(raw.get("result", raw.get("event")), str):
            raise JsonLineError("neither an event nor a result")
        name, shape = self._result(raw) if "result" in raw else self._event(raw["event"])
        try:
            msgspec.json.decode(line, type=shape)
        except msgspec.ValidationError as error:
            raise JsonLineError(f"{name}: {error}") from None
        return name

    def _event(self, name: str) -> tuple[str, type[msgspec.Struct]]:
        if name not in self._events:
            if (event := events().get(name)) is None:
                raise JsonLineError(f"{name}: there is no such event")
            self._events[name] = event_shape(event)
        return name, self._events[name]

    def _result(self, raw: dict[str, Any]) -> tuple[str, type[msgspec.Struct]]:
        name, words = self._meant(raw["result"])
        if words in HELP or name in KEPT:
            return name, self._text
        if name not in self._lines:  # no command at all: only a refusal has such a line
            return name, line_shape("refused", None)
        verb = f"{name} {words[0]}" if words and words[0] in self._verbs[name] else name
        return verb, self._lines[verb]

    @staticmethod
    def _meant(line: str) -> tuple[str, list[str]]:
        """Return the command that a line means, and its words."""
        text = line.strip()
        for sign, command in (("?", "help"), ("@", "run_script")):
            if text.startswith(sign):
                text = f"{command} {text[1:]}"
        try:
            name, *words = lines.words(text) or [""]
        except ValueError:  # an open quote: refused
            return "", []
        return ALIASES.get(name, name), words
