"""Settings, read once at start into frozen values: flag before environment before file before default.

Laws: every refusal is a ``ConfigError`` of one line that names the place (flag, variable, or file and line), the rule and an
example. One parser per setting serves all three places, so they accept and refuse the same. A file that is there is never
written, a damaged one stays as it is; ``first_config`` writes one where there is none. Without a file neither pydantic nor
tomllib is imported. An empty variable counts as not set, except ``TRADESHELL_LOAD_PLUGINS``, where it means "none".
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tradeshell.config import parsers
from tradeshell.config.default_text import default_config_text
from tradeshell.config.file import File, config_path, default_config_path, is_there, read
from tradeshell.config.table import APP, CONFIG_ENV, EVENT_LOG_ENV, FLAGS, NOTIFY_URLS_ENV, SETTINGS, Setting
from tradeshell.core.policy import Limits, Policy
from tradeshell.errors import ConfigError, StateError
from tradeshell.grammar import shown
from tradeshell.ports import Defaults, VenueOptions
from tradeshell.upkeep import BarHealthSettings, LogSettings

__all__ = [
    "CONFIG_ENV",
    "FLAGS",
    "Settings",
    "default_config_path",
    "default_config_text",
    "first_config",
    "load_settings",
    "open_state_dir",
]


class Settings(Struct, frozen=True, kw_only=True):
    """What this run was told. Paths are absolute.

    ``load_plugins`` ``None``: all; empty: none. ``sinks``: the sinks that are on, each with its table. ``brokers``: the table
    of each broker; ``ibkr`` has all of its settings, and ``paper_only`` and ``live_account``. ``reconcilers`` are as brokers.
    ``sources``: where each setting came from, for ``doctor``. ``live_account``: the whole id of the live account that may be
    traded, as it was typed for this start; empty for none.
    """

    broker: str
    state_dir: Path
    config_file: Path | None
    load_plugins: tuple[str, ...] | None
    safe_mode: bool
    json: bool
    keep_going: bool
    audit_fsync: bool
    paper_only: bool
    live_account: str
    policy: Policy
    bar_health: BarHealthSettings
    logs: LogSettings
    venue: VenueOptions
    defaults: Defaults
    brokers: Mapping[str, Mapping[str, Any]]
    sinks: Mapping[str, Mapping[str, Any]]
    reconcilers: Mapping[str, Mapping[str, Any]]
    sources: Mapping[str, str]


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Return the settings of this run; raises ``ConfigError``.

    ``flags`` has names of ``FLAGS`` only (``TypeError`` otherwise). A flag that is ``None``, ``False`` or an empty list counts
    as not given: a switch on the command line can only switch on.
    """
    if strange := sorted(set(flags) - FLAGS):
        raise TypeError(f"flags {', '.join(strange)} are none of {', '.join(sorted(FLAGS))}")
    _refuse_misspelt(environ)
    path = config_path(flags, environ)
    file = File({}, None) if path is None else read(path)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        values[setting.key], sources[setting.key] = _choose(setting, flags, environ, file)
    return Settings(
        broker=values["broker"],
        state_dir=_default_state_dir() if values["state_dir"] is None else values["state_dir"].absolute(),
        config_file=path,
        load_plugins=values["load_plugins"],
        safe_mode=values["safe_mode"],
        json=values["json"],
        keep_going=values["keep_going"],
        audit_fsync=values["audit_fsync"],
        paper_only=values["paper_only"],
        live_account=values["live_account"] or "",
        policy=_policy(values),
        bar_health=BarHealthSettings(**_below("bars", values)),
        logs=LogSettings(**_below("logs", values)),
        venue=VenueOptions(
            replay=values["venue.replay"],
            speed=values["venue.speed"],
            start=values["venue.from"],
            market=values["venue.market"],
            seed=values["venue.seed"],
        ),
        defaults=Defaults(values=MappingProxyType(dict(file.get("defaults") or {}))),
        brokers=_brokers(file, values),
        sinks=_sinks(file),
        reconcilers=_reconcilers(file, values),
        sources=MappingProxyType(sources),
    )


def first_config(settings: Settings) -> tuple[str, ...]:
    """Write the default config file where there is none, and return a line that says so; nothing when it cannot be done."""
    path = default_config_path()
    if settings.config_file is not None:
        return ()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:  # never over one that has just come
            path.chmod(0o600)
            file.write(default_config_text())
    except OSError:  # a home that cannot be written: the program runs without a file, too
        return ()
    return (f"settings: {_from_home(path)} was written, every one at its default and commented out",)


def _from_home(path: Path) -> str:
    """Return a path as people write it: ``~/.config/tradeshell/config.toml``."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


def open_state_dir(settings: Settings, which: str) -> Path:
    """Return the folder ``which`` (``paper``, ``live``, ``replay``) of the state directory, created 0700 where it is missing.

    Raises ``StateError`` when that cannot be done.
    """
    folder = settings.state_dir / which
    try:
        for missing in reversed([place for place in (folder, *folder.parents) if not place.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(20, "it is no folder")
    except OSError as error:
        raise StateError(
            f"state directory {folder}: {error.strerror} · choose another with --state-dir"
        ) from None
    return folder


# --- choosing ---------------------------------------------------------------------------------------------------------


def _choose(
    setting: Setting, flags: Mapping[str, object], environ: Mapping[str, str], file: File
) -> tuple[Any, str]:
    given = None if setting.flag is None else flags.get(setting.flag)
    if given is not None and given is not False and given not in ((), []):
        example = f"{setting.option} {setting.example}"
        place = setting.option if setting.parse is parsers.boolean else f"{setting.option} {_told(given)}"
        return _existing(setting, _parsed(setting, given, place, example), setting.option), setting.option
    if setting.env is not None and setting.env in environ:
        text = environ[setting.env]
        if text or setting.parse is parsers.plugins:
            place, example = f"{setting.env}={shown(text)}", f"{setting.env}={setting.example}"
            return _parsed(setting, text, place, example), setting.env
    value = file.get(setting.key)
    if value is not None:
        return _existing(setting, value, f"{file.path} {setting.key}"), str(file.path)
    return setting.default, "default"


def _parsed(setting: Setting, value: object, place: str, example: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        raise ConfigError(f"{place}: {error} · example: {example}") from None


def _existing(setting: Setting, value: Any, place: str) -> Any:
    if setting.parse is not parsers.files:
        return value
    for path in value:
        if not is_there(path, place):
            raise ConfigError(f"{place}: there is no file {shown(str(path), 200)}")
    return tuple(path.absolute() for path in value)


def _told(value: object) -> str:
    return shown(" ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value))


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    # A variable of ours with a slip in its name would be ignored, and the default broker or folder used instead.
    known = [CONFIG_ENV, EVENT_LOG_ENV, NOTIFY_URLS_ENV]
    known += [setting.env for setting in SETTINGS if setting.env is not None]
    for name in environ:
        if name.startswith(("TRADESHELL_", "APPS_")) and name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.9)
            if near:
                raise ConfigError(f"{shown(name)} is no variable of tradeshell · did you mean {near[0]}?")


def _policy(values: Mapping[str, Any]) -> Policy:
    """Return what the operator allows; ``off`` is ``None`` there, percent are parts."""
    given = _below("limits", values)
    limits: dict[str, Any] = {key: None if value == parsers.OFF else value for key, value in given.items()}
    limits["collar"] = given["collar"] / 100
    limits["duplicate_window"] = limits["duplicate_window"] or 0.0
    return Policy(limits=Limits(**limits), resume=values["resume"], **_below("protection", values))


def _below(table: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of one table by their own names."""
    start = f"{table}."
    return {key.removeprefix(start): value for key, value in values.items() if key.startswith(start)}


def _brokers(file: File, values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    tables = {name: dict(table) for name, table in (file.get("brokers") or {}).items()}
    ibkr = tables.setdefault("ibkr", {})
    ibkr |= _below("brokers.ibkr", values)
    ibkr |= {name: values[name] for name in ("paper_only", "live_account")}
    frozen: Mapping[str, Mapping[str, Any]] = _frozen(tables)
    return frozen


def _reconcilers(file: File, values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    tables = {name: dict(table) for name, table in (file.get("reconcilers") or {}).items()}
    tables.setdefault("reconcile", {}).update(_below("reconcilers.reconcile", values))
    frozen: Mapping[str, Mapping[str, Any]] = _frozen(tables)
    return frozen


def _sinks(file: File) -> Mapping[str, Mapping[str, Any]]:
    tables: dict[str, dict[str, Any]] = {"jsonl": {}}
    tables |= {name: dict(table) for name, table in (file.get("sinks") or {}).items()}
    frozen: Mapping[str, Mapping[str, Any]] = _frozen(
        {name: table for name, table in tables.items() if table.pop("enabled", True)}
    )
    return frozen


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _default_state_dir() -> Path:
    from platformdirs import user_state_path  # noqa: PLC0415  # not needed when the folder was named

    return user_state_path(APP, appauthor=False)
