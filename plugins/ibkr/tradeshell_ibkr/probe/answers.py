"""Questions and answers as values, and the file in which answers stand beside the defaults.

Laws: nothing here asks anybody anything; a row for every question that was asked, whatever became of it; the file keeps what
earlier runs of the same account found out and this one did not.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

FILE = "probe.toml"
LONGEST = 200  # characters of what was seen


class Outcome(StrEnum):
    """What became of a question."""

    ANSWERED = "answered"
    NOT_HERE = "not answerable here"
    FAILED = "failed"


class Question(Struct, frozen=True, kw_only=True):
    """One open question about the broker.

    ``answers``: each possible answer with what it means; without any the answer is a number of seconds. ``default``: what the
    program counts on; with ``limit`` any number of seconds up to it fits. ``rests``: what in the program rests on that.
    """

    name: str
    asks: str
    how: str
    default: str
    rests: str
    answers: Mapping[str, str] = {}
    limit: float | None = None
    shares: int = 0

    @property
    def costs(self) -> str:
        """What it costs, in words."""
        if self.shares == 0:
            return "nothing executes"
        return f"{self.shares} share{'s' if self.shares > 1 else ''} bought and sold again"

    def fits(self, value: str) -> bool:
        """Return whether an answer is what the program counts on."""
        if self.limit is None:
            return value == self.default
        return float(value) <= self.limit


class Finding(Struct, frozen=True):
    """An answer, and what was seen."""

    value: str
    seen: str = ""


class NotHere(Exception):
    """A question cannot be answered on this account at this time; the text says why.

    ``again``: the market moved on while it was asked, and another try may do.
    """

    def __init__(self, why: str, *, again: bool = False) -> None:
        super().__init__(why)
        self.again = again


class Row(Struct, frozen=True, kw_only=True):
    """What became of one question. ``seen``: what was observed, or why there is no answer."""

    name: str
    outcome: Outcome
    default: str
    value: str = ""
    seen: str = ""
    rests: str = ""
    differs: bool = False

    def difference(self) -> str:
        """Return the line that says what rests on a default that does not hold."""
        return f"{self.name}: {self.value}, where {self.default} is counted on · {self.rests}"


def row_of(question: Question, found: Finding | Exception | None) -> Row:
    """Return the row of a question. ``None``: its trial ended before it came to it."""
    if isinstance(found, Finding):
        return Row(
            name=question.name,
            outcome=Outcome.ANSWERED,
            default=question.default,
            value=found.value,
            seen=found.seen,
            rests=question.rests,
            differs=not question.fits(found.value),
        )
    outcome = Outcome.NOT_HERE if isinstance(found, NotHere) else Outcome.FAILED
    why = "it was not come to" if found is None else str(found) or type(found).__name__
    return Row(name=question.name, outcome=outcome, default=question.default, seen=why, rests=question.rests)


def seconds(value: float) -> str:
    """Return an answer in seconds."""
    return f"{max(0.0, value):.1f}"


# --- the file ---------------------------------------------------------------------------------------------------------


class Asked(Struct, frozen=True, kw_only=True):
    """When, where and of whom. ``account`` is the alias."""

    at: datetime
    account: str
    server_version: int
    symbol: str


def read_answers(text: str, account: str) -> dict[str, dict[str, Any]]:
    """Return the answers of a file by question; none of another account's, and none of a file that cannot be read."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    found = tables.get("answers")
    if tables.get("account") != account or not isinstance(found, dict):
        return {}
    return {name: table for name, table in found.items() if isinstance(table, dict)}


def write_answers(asked: Asked, rows: Iterable[Row], before: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the text of the file: the rows of this run, and what is known from ``before`` where nothing was found now."""
    stamp = f"{asked.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    tables: dict[str, Mapping[str, Any]] = dict(before)
    for row in rows:
        known = tables.get(row.name)
        if row.outcome is not Outcome.ANSWERED and known is not None and known.get("value"):
            continue
        table: dict[str, Any] = {"outcome": row.outcome.value, "value": row.value, "default": row.default}
        table |= {"differs": row.differs, "seen": row.seen[:LONGEST], "at": stamp}
        tables[row.name] = table | {"server_version": asked.server_version}
    lines = [
        "# What `tradeshell probe` found out about this account's broker, beside what the program counts on.",
        f"at = {_value(stamp)}",
        f"account = {_value(asked.account)}",
        f"server_version = {asked.server_version}",
        f"symbol = {_value(asked.symbol)}",
    ]
    for name in sorted(tables):
        lines += [
            "",
            f"[answers.{name}]",
            *(f"{key} = {_value(value)}" for key, value in tables[name].items()),
        ]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    # What JSON escapes, TOML reads the same way.
    return json.dumps("".join(c if c.isprintable() else " " for c in str(value)), ensure_ascii=False)
