"""The table ``[sinks.notify]``. Law: no error, no note and no representation shows an address, which holds passwords and keys."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from tradeshell import ConfigError, Event, SinkContext, Weight, parse_symbol
from tradeshell_notify.digest import Wanted

URLS_VARIABLE = "TRADESHELL_NOTIFY_URLS"
KEYS = ("urls", "weights", "events", "never", "symbols", "per_minute")
PER_MINUTE = 6
EXAMPLE = 'example: urls = ["ntfy://my-topic"]'


class Settings(Struct, frozen=True, kw_only=True):
    """What is told, where, and how often. ``urls`` are secrets."""

    urls: tuple[str, ...]
    wanted: Wanted = Wanted()
    per_minute: int = PER_MINUTE

    def __repr__(self) -> str:
        return f"Settings({len(self.urls)} urls, {self.wanted}, per_minute={self.per_minute})"


def read_settings(context: SinkContext) -> Settings:
    """Return the settings; raises ``ConfigError`` with one line."""
    table = context.settings
    for name in table:
        if name not in KEYS:
            near = difflib.get_close_matches(name, KEYS, 1)
            meant = f" (did you mean {near[0]}?)" if near else ""
            raise ConfigError(
                f"[sinks.notify] has no setting {name[:40]!r}{meant} · it has {', '.join(KEYS)}"
            )
    weights = _words(table, "weights")
    for word in weights:
        if word not in list(Weight):
            raise ConfigError(
                f"[sinks.notify] weights: {word[:40]!r} is none of {', '.join(Weight)} · "
                'example: weights = ["alarm", "bad"]'
            )
    wanted = Wanted(
        weights=frozenset(map(Weight, weights)) if "weights" in table else Wanted().weights,
        events=frozenset(_words(table, "events")),
        never=frozenset(_words(table, "never")),
        symbols=frozenset(_symbols(table)),
    )
    return Settings(urls=_urls(context), wanted=wanted, per_minute=_per_minute(table))


def unknown_events(wanted: Wanted) -> tuple[str, ...]:
    """Return a line for each name in the settings that no event has: a slip would go unnoticed."""
    known = {event.__name__ for event in _subclasses(Event)}
    lines = []
    for name in sorted((wanted.events | wanted.never) - known):
        near = difflib.get_close_matches(name, known, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        lines.append(f"[sinks.notify]: there is no event {name[:60]!r}{meant}")
    return tuple(lines)


def _subclasses(kind: type[Event]) -> set[type[Event]]:
    return {kind}.union(*(_subclasses(each) for each in kind.__subclasses__()))


def _urls(context: SinkContext) -> tuple[str, ...]:
    if text := context.environ.get(URLS_VARIABLE, "").split():
        place, urls = URLS_VARIABLE, tuple(text)
    else:
        place, urls = "[sinks.notify] urls", _words(context.settings, "urls")
    if not urls:
        raise ConfigError(f"[sinks.notify] has no urls, nor is {URLS_VARIABLE} set · {EXAMPLE}")
    for number, url in enumerate(urls, 1):
        if "://" not in url:
            raise ConfigError(f"{place}: number {number} is no address, it has no :// · {EXAMPLE}")
    return urls


def _symbols(table: Mapping[str, Any]) -> tuple[str, ...]:
    try:
        return tuple(map(parse_symbol, _words(table, "symbols")))
    except ValueError as error:
        raise ConfigError(f'[sinks.notify] symbols: {error} · example: symbols = ["AAPL"]') from None


def _words(table: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = table.get(name, ())
    found = (value,) if isinstance(value, str) else value
    if not isinstance(found, tuple | list) or not all(isinstance(word, str) and word for word in found):
        raise ConfigError(f'[sinks.notify] {name}: is a list of words · example: {name} = ["…", "…"]')
    return tuple(found)


def _per_minute(table: Mapping[str, Any]) -> int:
    value = table.get("per_minute", PER_MINUTE)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 60:
        raise ConfigError(
            f"[sinks.notify] per_minute: is a whole number from 1 to 60 · example: per_minute = {PER_MINUTE}"
        )
    return value
