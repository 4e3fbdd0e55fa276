"""Help made from grammars: what ``help`` and ``help COMMAND`` show. Pure; fits 80 columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tradeshell.grammar import Column, Command, Grammar, Key, Table
from tradeshell.shell.render import BOLD, Screen, answer_text, styled, wrapped

ENTER, PROTECT, LOOK = "Enter", "Protect and get out", "Look"
CONNECT, SHELL_GROUP = "Connection and upkeep", "Scripts and shell"
GROUPS = (ENTER, PROTECT, LOOK, CONNECT)  # what one does, in its order; then plugins' own, then the shell's


def overview(commands: Mapping[str, tuple[str, str]], screen: Screen) -> str:
    """Return the list of commands by group; ``commands`` maps a name to its group and help."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, (group, text) in sorted(commands.items()):
        groups.setdefault(group, []).append((name, text))
    order = [group for group in GROUPS if group in groups]
    order += sorted(group for group in groups if group not in (*GROUPS, SHELL_GROUP))
    order += [SHELL_GROUP] if SHELL_GROUP in groups else []
    width = max((len(name) for name in commands), default=0)
    out: list[str] = []
    for group in order:
        out.append(styled(group, BOLD, screen))
        for name, text in groups[group]:
            out += wrapped(f"  {name:<{width}}  {_sentence(text)}", screen.width, width + 4)
        out.append("")
    out.append("`help COMMAND` or `?COMMAND` shows options and examples · Tab completes words")
    return "\n".join(out)


def command_help(command: Command, owner: str, screen: Screen) -> str:
    """Return usage, options with defaults, examples and notes of one command."""
    out: list[str] = []
    for line in _usages(command.name, command.grammar):
        out += wrapped(line, screen.width, len(command.name) + 1)
    out += ["", *wrapped(f"{_sentence(command.help)}.", screen.width, 0)]
    for title, grammar in _grammars(command.name, command.grammar):
        rows = tuple(_rows(grammar))
        if rows:
            out += ["", styled(title, BOLD, screen), answer_text((_table(rows),), screen)]
    if command.examples:
        out += ["", styled("examples", BOLD, screen), *(f"  {example}" for example in command.examples)]
    if command.notes:
        out += ["", *wrapped(command.notes, screen.width, 0)]
    if owner != "tradeshell":
        out += ["", f"from plugin {owner}"]
    return "\n".join(out)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _usages(name: str, grammar: Grammar) -> Iterable[str]:
    yield " ".join([name, *_usage_words(grammar)])
    for verb in grammar.verbs:
        yield from _usages(f"{name} {verb.word}", verb.grammar)


def _usage_words(grammar: Grammar) -> Iterable[str]:
    for name in grammar.positionals:
        key = grammar.key(name)
        word = name.upper() if key is None or key.metavar == "VALUE" else key.metavar
        yield word if name in grammar.required else f"[{word}]"
    if grammar.rest is not None and (key := grammar.key(grammar.rest)) is not None:
        word = f"{key.metavar}…"
        yield word if grammar.rest in grammar.required else f"[{word}]"
    if any(key.name not in (*grammar.positionals, grammar.rest) for key in grammar.keys):
        yield "[key=value…]"
    for flag in grammar.flags:
        yield f"[{flag.word}]"


def _grammars(name: str, grammar: Grammar) -> Iterable[tuple[str, Grammar]]:
    yield "options" if not grammar.verbs else f"options of {name}", grammar
    for verb in grammar.verbs:
        yield from (
            (f"options of {title}", inner) for title, inner in _verbs(f"{name} {verb.word}", verb.grammar)
        )


def _verbs(name: str, grammar: Grammar) -> Iterable[tuple[str, Grammar]]:
    yield name, grammar
    for verb in grammar.verbs:
        yield from _verbs(f"{name} {verb.word}", verb.grammar)


def _rows(grammar: Grammar) -> Iterable[tuple[str, str, str, str]]:
    for key in grammar.keys:
        if grammar.flag(key.name) is None:
            yield _shown_name(key, grammar), _values(key), key.help, key.default
    for flag in grammar.flags:
        yield flag.word, "", flag.help, ""


def _shown_name(key: Key, grammar: Grammar) -> str:
    if key.name == grammar.rest:
        return f"{key.metavar}…"
    return key.name if key.name in grammar.positionals else f"{key.name}="


def _values(key: Key) -> str:
    if callable(key.values) or not key.values:
        return key.metavar
    fixed = " ".join(value for value, _ in key.values)
    return fixed if key.metavar in ("VALUE", key.name.upper()) else f"{fixed} {key.metavar}"


def _table(rows: Sequence[tuple[str, str, str, str]]) -> Table:
    columns = (Column("option"), Column("values"), Column("meaning"), Column("default"))
    if any(row[3] for row in rows):
        return Table(columns=columns, rows=tuple(rows))
    return Table(columns=columns[:3], rows=tuple(row[:3] for row in rows))
