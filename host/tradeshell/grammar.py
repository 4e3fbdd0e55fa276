"""Commands as tables: one grammar drives parsing, completion, help and refusals of every command.

Laws: a command never touches the terminal; it gets parsed words and a ``Trading`` facade and returns an ``Answer``. What
cannot be parsed raises ``OperatorError`` with the offending word, the rule and an example; nothing is half done. A word is
``key=value``, a flag (``tp-2``), a verb (``cancel``) or the next positional. Completion reads immutable snapshots only.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from msgspec import Struct, field

from tradeshell.errors import OperatorError

# (value, meaning) pairs offered by completion; a callable gets the published ``View`` and the words before the cursor.
Choices: TypeAlias = Sequence[tuple[str, str]]
ChoiceSource: TypeAlias = Choices | Callable[[Any, tuple[str, ...]], Choices]


class Key(Struct, frozen=True, kw_only=True):
    """One ``name=VALUE`` option (or positional). ``parse`` raises ``ValueError`` with the rule when a value is wrong."""

    name: str
    help: str
    parse: Callable[[str], Any] = str
    values: ChoiceSource = ()
    metavar: str = "VALUE"
    example: str = ""
    default: str = ""


class Flag(Struct, frozen=True, kw_only=True):
    """A bare word that stands for ``key=value``, such as ``tp-2``."""

    word: str
    key: str
    value: str
    help: str


class Verb(Struct, frozen=True, kw_only=True):
    """A first word that switches to another grammar: ``orders cancel``, ``breakout cancel``.

    ``data`` is the type of what it answers with in ``--json``, as ``Command.data`` is.
    """

    word: str
    help: str
    grammar: Grammar
    data: Any = None


class Grammar(Struct, frozen=True, kw_only=True):
    """The words a command takes. ``required`` positionals come first; ``rest`` names the key that collects all further words."""

    keys: tuple[Key, ...] = ()
    positionals: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    rest: str | None = None
    flags: tuple[Flag, ...] = ()
    verbs: tuple[Verb, ...] = ()
    example: str = ""

    def key(self, name: str) -> Key | None:
        """Return the key called ``name``."""
        return next((k for k in self.keys if k.name == name), None)

    def flag(self, word: str) -> Flag | None:
        """Return the flag written ``word``."""
        return next((f for f in self.flags if f.word == word), None)

    def verb(self, word: str) -> Verb | None:
        """Return the verb written ``word``."""
        return next((v for v in self.verbs if v.word == word), None)


class Words(Struct, frozen=True, kw_only=True):
    """Parsed words: the verb (empty for none), values by key, and the collected rest."""

    verb: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    rest: tuple[Any, ...] = ()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the parsed value of ``name``, or ``default`` when it was not given."""
        return self.values.get(name, default)

    def has(self, name: str) -> bool:
        """Return whether ``name`` was given."""
        return name in self.values


class Column(Struct, frozen=True):
    """A table column; numbers are right-aligned."""

    name: str
    right: bool = False


class Table(Struct, frozen=True, kw_only=True):
    """Rows for the screen; the shell fits them to the terminal's width."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


class Span(Struct, frozen=True):
    """Words of a picture. ``style``: empty, ``good``, ``bad``, ``strong`` or ``dim``."""

    text: str
    style: str = ""


class Figure(Struct, frozen=True, kw_only=True):
    """A picture of characters. ``draw(width, height)`` is asked for its lines when the size of the screen is known."""

    draw: Callable[[int, int], Sequence[Sequence[Span]]]


class Answer(Struct, frozen=True, kw_only=True):
    """What a command says: ``lines`` for the screen, ``data`` (msgspec-encodable) for ``--json``; ``ok=False`` fails a script.

    ``more`` yields further lines as they come, and an empty one at least every second; it is asked for at a terminal only, until
    Enter or Ctrl-C.
    """

    lines: tuple[str | Table | Figure, ...] = ()
    data: Any = None
    ok: bool = True
    more: Callable[[], Iterable[str]] | None = None


class Result(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the shapes of ``Answer.data``: no field beside those that it names."""


class Command(Struct, frozen=True, kw_only=True):
    """One command of the shell. ``run(trading, words)`` may block; it runs on the main thread, never in the engine.

    ``group`` is the heading under which ``help`` lists it; ``examples`` are complete lines that work as typed. ``data`` is the
    type of ``Answer.data``: a ``Result``, a list of them, or ``None`` where there is none. Nothing checks it at run time;
    ``tradeshell.testing.JsonLines`` does in a test.
    """

    name: str
    help: str
    grammar: Grammar
    run: Callable[[Any, Words], Answer]
    group: str = "Other"
    examples: tuple[str, ...] = ()
    notes: str = ""
    data: Any = None


def parse(command: str, grammar: Grammar, tokens: Sequence[str]) -> Words:
    """Return the parsed ``tokens``; raises ``OperatorError`` with one line that names word, rule and example."""
    if tokens and (verb := grammar.verb(tokens[0])) is not None:
        inner = parse(f"{command} {verb.word}", verb.grammar, tokens[1:])
        return Words(verb=f"{verb.word} {inner.verb}".strip(), values=inner.values, rest=inner.rest)
    values: dict[str, Any] = {}
    rest: list[Any] = []
    waiting = list(grammar.positionals)
    for token in tokens:
        _take(command, grammar, token, values, waiting, rest)
    missing = [name for name in grammar.required if name not in values]
    if grammar.rest is not None and grammar.rest in grammar.required:
        missing = [name for name in missing if name != grammar.rest] + ([] if rest else [grammar.rest])
    if missing:
        raise OperatorError(f"{command}: {missing[0]} is missing{_example(grammar, None)}")
    return Words(values=values, rest=tuple(rest))


def _take(
    command: str, grammar: Grammar, token: str, values: dict[str, Any], waiting: list[str], rest: list[Any]
) -> None:
    name, eq, raw = token.partition("=")
    if eq:
        key = grammar.key(name)
        if key is None:
            raise OperatorError(
                f"{command}: unknown key {shown(name)}{_suggest(name, grammar)}{_example(grammar, None)}"
            )
        _put(command, grammar, key, raw, values)
        return
    if (flag := grammar.flag(token)) is not None:
        key = grammar.key(flag.key)
        assert key is not None, f"flag {flag.word} names no key"
        _put(command, grammar, key, flag.value, values)
        return
    while waiting and waiting[0] in values:
        waiting.pop(0)
    if waiting:
        key = grammar.key(waiting.pop(0))
        assert key is not None, f"{command}: a positional has no key"
        _put(command, grammar, key, token, values)
        return
    if grammar.rest is not None and (key := grammar.key(grammar.rest)) is not None:
        rest.append(_value(command, key, token))
        return
    raise OperatorError(
        f"{command}: {shown(token)} is not expected here; options are written key=value"
        f"{_suggest(token, grammar)}{_example(grammar, None)}"
    )


def _put(command: str, grammar: Grammar, key: Key, raw: str, values: dict[str, Any]) -> None:
    if key.name in values:
        raise OperatorError(f"{command}: {key.name} is given twice")
    if not raw:
        raise OperatorError(f"{command}: {key.name}= needs a value{_example(grammar, key)}")
    values[key.name] = _value(command, key, raw)


def _value(command: str, key: Key, raw: str) -> Any:
    try:
        return key.parse(raw)
    except ValueError as error:
        example = f" · example: {key.name}={key.example}" if key.example else ""
        raise OperatorError(f"{command}: {key.name}={shown(raw)}: {error}{example}") from None


def shown(text: str, limit: int = 60) -> str:
    """Return ``text`` fit for one line of a terminal: no control characters, not endless."""
    clean = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[:limit] + "…"


def _suggest(word: str, grammar: Grammar) -> str:
    known = [k.name for k in grammar.keys] + [v.word for v in grammar.verbs] + [f.word for f in grammar.flags]
    near = difflib.get_close_matches(word[:40].lower(), known, 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _example(grammar: Grammar, key: Key | None) -> str:
    text = f"{key.name}={key.example}" if key is not None and key.example else grammar.example
    return f" · example: {text}" if text else ""


class Offer(Struct, frozen=True):
    """One completion: the full token, what the menu shows, its meaning. ``open`` offers (``key=``) get no blank after them."""

    text: str
    display: str
    meaning: str
    open: bool = False


def complete(grammar: Grammar, text: str, before: Sequence[str], view: Any) -> tuple[Offer, ...] | str:
    """Return what may stand for ``text`` after the words ``before``; a string is a hint about a free value."""
    if before and (verb := grammar.verb(before[0])) is not None:
        return complete(verb.grammar, text, before[1:], view)
    used = _used(grammar, before)
    words = tuple(before)
    name, eq, partial = text.partition("=")
    if eq and (key := grammar.key(name)) is not None:
        found = _choices(key, view, words)
        offers = tuple(Offer(f"{name}={v}", v, meaning) for v, meaning in found if v.startswith(partial))
        return offers or f"{name}={key.metavar}  {key.help}"
    offers_list: list[Offer] = []
    if not before:
        offers_list += [Offer(v.word, v.word, v.help) for v in grammar.verbs if v.word.startswith(text)]
    waiting = [p for p in grammar.positionals if p not in used]
    position = waiting[0] if waiting else grammar.rest
    hint = ""
    if position is not None and (key := grammar.key(position)) is not None:
        found = [(v, m) for v, m in _choices(key, view, words) if v not in before]
        offers_list += [Offer(v, v, m) for v, m in found if v.lower().startswith(text.lower())]
        hint = f"{position}  {key.help}"
    offers_list += [
        Offer(f"{k.name}=", f"{k.name}=", k.help, open=True)
        for k in grammar.keys
        if k.name not in used and k.name != grammar.rest and k.name not in grammar.positionals
        if f"{k.name}=".startswith(text)
    ]
    offers_list += [
        Offer(f.word, f.word, f.help) for f in grammar.flags if f.key not in used and f.word.startswith(text)
    ]
    return tuple(offers_list) or hint


def _choices(key: Key, view: Any, before: tuple[str, ...]) -> Choices:
    return key.values(view, before) if callable(key.values) else key.values


def _used(grammar: Grammar, before: Iterable[str]) -> set[str]:
    used: set[str] = set()
    waiting = list(grammar.positionals)
    for token in before:
        name, eq, _ = token.partition("=")
        if eq:
            used.add(name)
        elif (flag := grammar.flag(token)) is not None:
            used.add(flag.key)
        else:
            while waiting and waiting[0] in used:
                waiting.pop(0)
            if waiting:
                used.add(waiting.pop(0))
    return used
