"""Scenarios: a TOML file of switches and events, and the line in which one switch or event is written at run time.

Laws: everything is checked before the gateway listens; what is wrong is one line that names the place.

| table | what |
| --- | --- |
| ``[switches]`` | values of ``Switches``; ``refuse`` is a list of tables |
| ``[exchange]`` | settings of the paper venue that are rules of the exchange: ``partial``, ``oca_shows``, ``fee_minimum`` ... |
| ``[[event]]`` | ``after`` seconds of the market's clock, ``do`` an action, and its arguments |
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradeshell import ConfigError
from tradeshell_paper.settings import read_settings
from tradeshell_paper.tws.switches import Switches, changed

EXCHANGE_KEYS = frozenset(
    {
        "partial", "bar_share", "fee_per_share", "fee_minimum", "fee_max_share", "oca_cancel_spreads", "oca_shows",
        "oca_join", "oca_restores", "oca_race", "chased_stops", "partial_parent", "reduced_to_filled", "first_execution",
        "slippage",
    }
)  # fmt: skip
_ARGUMENT = re.compile(r'\s*([a-z_]+)=("(?:[^"\\]|\\.)*"|\[[^\]]*\]|\{[^}]*\}|\S+)')


class Event(Struct, frozen=True):
    """Something that happens ``after`` seconds: the action ``do`` with its arguments."""

    after: float
    do: str
    arguments: Mapping[str, Any]


class Scenario(Struct, frozen=True, kw_only=True):
    """A whole scenario."""

    switches: Switches = Switches()
    exchange: Mapping[str, Any] = {}
    events: tuple[Event, ...] = ()


def read_scenario(path: Path | None) -> Scenario:
    """Return the scenario of a file, the empty one without a file; raises ``ConfigError``."""
    if path is None:
        return Scenario()
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--scenario {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"--scenario {path}: {error}") from None
    try:
        return make_scenario(tables)
    except ConfigError as error:
        raise ConfigError(f"--scenario {path}: {error}") from None


def make_scenario(tables: Mapping[str, Any]) -> Scenario:
    """Return the scenario of tables; raises ``ConfigError``."""
    for name in tables:
        if name not in ("switches", "exchange", "event"):
            raise ConfigError(f"there is no table [{name}]; known are [switches], [exchange] and [[event]]")
    switches = Switches()
    for name, value in _table(tables, "switches").items():
        switches = changed(switches, name, value)
    exchange = _table(tables, "exchange")
    for name in exchange:
        if name not in EXCHANGE_KEYS:
            raise ConfigError(f"[exchange] has no {name!r}; known are {', '.join(sorted(EXCHANGE_KEYS))}")
    read_settings(exchange)
    events = tables.get("event", [])
    if not isinstance(events, list) or not all(isinstance(each, dict) for each in events):
        raise ConfigError("[[event]] is a list of tables")
    return Scenario(
        switches=switches,
        exchange=exchange,
        events=tuple(_event(n, each) for n, each in enumerate(events, 1)),
    )


def _table(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = tables.get(name, {})
    if not isinstance(found, dict):
        raise ConfigError(f"[{name}] is a table")
    return found


def _event(number: int, table: dict[str, Any]) -> Event:
    left = dict(table)
    after, do = left.pop("after", 0.0), left.pop("do", None)
    if not isinstance(after, int | float) or isinstance(after, bool) or after < 0:
        raise ConfigError(f"[[event]] {number}: after is a number of seconds")
    if not isinstance(do, str):
        raise ConfigError(f"[[event]] {number}: do names an action")
    return Event(float(after), do, left)


def parse_line(line: str) -> tuple[str, dict[str, Any]]:
    """Return the action and the arguments of ``ACTION key=value …``; raises ``ConfigError``. Values are TOML, or bare words."""
    action, _, rest = line.strip().partition(" ")
    arguments: dict[str, Any] = {}
    at = 0
    while rest[at:].strip():
        found = _ARGUMENT.match(rest, at)
        if found is None:
            raise ConfigError(f"{rest[at:].strip()!r} is not key=value")
        arguments[found[1]] = _value(found[2])
        at = found.end()
    return action, arguments


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
