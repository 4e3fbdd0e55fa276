"""What a mutant is, and how it is put in force: source of a function edited, compiled and put wherever the function is known.

Laws: an edit names its place, and its words occur there exactly once; a function is replaced in every module of core, engine,
adapter and strategy that has imported it, and nowhere else: the venue keeps the real ones. Everything is put back at the end.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

MUTABLE = ("tradeshell.core", "tradeshell.engine", "tradeshell_breakout", "tradeshell_ibkr")


class StaleMutantError(Exception):
    """The words that a mutant changes are not in the program, or are there more than once."""


class Edit(NamedTuple):
    """One change: ``where`` is ``module:name`` or ``module:Class.name`` below ``tradeshell``, unless it names another plugin.

    ``old`` is replaced by ``new`` in the source of that function; for a constant ``old`` is empty, and ``new`` its other value.
    """

    where: str
    old: str
    new: str


class Mutant(NamedTuple):
    """One seeded bug. ``rule``: what it breaks; ``text``: how the program behaves with it, in one sentence.

    ``caught_by`` names a test that is to catch it where no campaign can, with the reason in ``why``. A mutant with a ``why``
    and no test survives, for that reason.
    """

    name: str
    rule: str
    text: str
    edits: tuple[Edit, ...]
    caught_by: str = ""
    why: str = ""


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Put a mutant in force, and take it back at the end. Raises ``StaleMutantError``."""
    by_place: dict[str, list[Edit]] = {}
    for edit in mutant.edits:
        by_place.setdefault(edit.where, []).append(edit)
    undo: list[tuple[Any, str, Any]] = []
    try:
        for where, edits in by_place.items():
            _apply(where, edits, undo)
        yield
    finally:
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)


def stale_words(mutant: Mutant) -> str:
    """Return why a mutant is stale, ``""`` when it is not."""
    try:
        with applied(mutant):
            return ""
    except StaleMutantError as error:
        return str(error)


def _apply(where: str, edits: list[Edit], undo: list[tuple[Any, str, Any]]) -> None:
    module, owner, name = _find(where)
    old = inspect.getattr_static(owner, name)
    is_constant = not edits[0].old
    new = eval(edits[0].new, dict(module.__dict__)) if is_constant else _rewritten(module, where, old, edits)
    owners = [owner] if owner is not module else _importers(name, old)
    for each in owners:
        undo.append((each, name, old))
        setattr(each, name, new)


def _find(where: str) -> tuple[Any, Any, str]:
    module_name, _, path = where.partition(":")
    root = module_name if module_name.startswith("tradeshell_") else f"tradeshell.{module_name}"
    module = importlib.import_module(root)
    owner: Any = module
    *classes, name = path.split(".")
    try:
        for each in classes:
            owner = getattr(owner, each)
        inspect.getattr_static(owner, name)
    except AttributeError:
        raise StaleMutantError(f"{where}: there is no such name") from None
    return module, owner, name


def _importers(name: str, value: object) -> list[Any]:
    """Return every module that may be mutated and knows ``value`` under ``name``."""
    return [
        module
        for key, module in tuple(sys.modules.items())
        if key.startswith(MUTABLE) and module.__dict__.get(name) is value
    ]


def _rewritten(module: Any, where: str, old: Any, edits: list[Edit]) -> Any:
    function: Any = old.fget if isinstance(old, property) else inspect.unwrap(old)
    source = textwrap.dedent(inspect.getsource(function))
    for edit in edits:
        if (count := source.count(edit.old)) != 1:
            raise StaleMutantError(f"{where}: found {count} times, not once: {edit.old}")
        source = source.replace(edit.old, edit.new)
    names: dict[str, Any] = {}
    try:
        exec(compile(source, f"<mutant of {where}>", "exec"), module.__dict__, names)
    except SyntaxError as error:
        raise StaleMutantError(f"{where}: {error} after {edits}") from None
    return names[function.__name__]
