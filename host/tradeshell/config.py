"""Settings, read once at start into frozen values: flag before environment before file before default.

Laws: every refusal is a ``ConfigError`` of one line that names the place (flag, variable, or file and line), the rule and an
example. One parser per setting serves all three places, so they accept and refuse the same. Nothing here writes: a damaged
file stays as it is. Without a file neither pydantic nor tomllib is imported. An empty variable counts as not set, except
``TRADESHELL_LOAD_PLUGINS``, where it means "none".
"""

from __future__ import annotations

import difflib
import functools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from msgspec import Struct

from tradeshell import words
from tradeshell.errors import ConfigError, StateError
from tradeshell.grammar import shown
from tradeshell.ports import Defaults, VenueOptions

if TYPE_CHECKING:
    from pydantic import BaseModel

APP = "tradeshell"
FILE_NAME = "config.toml"
MAX_INT = 2**31 - 1  # what the TWS protocol can carry
BARS = ("1m", "2m", "3m", "5m", "15m", "30m", "1h")


class Settings(Struct, frozen=True, kw_only=True):
    """What this run was told. Paths are absolute.

    ``load_plugins`` ``None``: all; empty: none. ``sinks``: the sinks that are on, each with its table. ``brokers``: the table of
    each broker; ``ibkr`` always has ``host``, ``port`` and ``client_id``. ``notes``: lines for the operator about settings that
    this version knows and does not use yet. ``sources``: where each setting came from, for ``doctor``.
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
    venue: VenueOptions
    defaults: Defaults
    brokers: Mapping[str, Mapping[str, Any]]
    sinks: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]
    sources: Mapping[str, str]


# --- parsers: a text or a TOML value in, the value out, ValueError with the rule ---------------------------------------


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if isinstance(value, str | int) and text in ("true", "yes", "on", "1"):
        return True
    if isinstance(value, str | int) and text in ("false", "no", "off", "0"):
        return False
    raise ValueError("is true or false")


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        text = str(value)
        plain = isinstance(value, str | int) and not isinstance(value, bool)
        if plain and re.fullmatch(r"[0-9]{1,12}", text, re.ASCII) and low <= int(text) <= high:
            return int(text)
        raise ValueError(f"is a whole number from {low} to {high}")

    return parse


def _name(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]{0,40}", value, re.ASCII):
        return value
    raise ValueError("is a name of lower-case letters, digits and _")


def _host(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.:_-]{1,253}", value, re.ASCII):
        return value
    raise ValueError("is a host name or an address")


def _path(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value).strip() or "\0" in str(value):
        raise ValueError("is a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("starts with ~ and there is no such home") from None


def _items(value: object) -> tuple[object, ...]:
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    if isinstance(value, Sequence):
        return tuple(value)
    raise ValueError("is a list")


def _plugins(value: object) -> tuple[str, ...]:
    names = _items(value)
    if not all(isinstance(name, str) and re.fullmatch(r"[\w.-]+", name) for name in names):
        raise ValueError("is a list of plugin names")
    return tuple(dict.fromkeys(str(name) for name in names))


def _files(value: object) -> tuple[Path, ...]:
    # A comma may be part of a file's name, so a text is one file.
    return tuple(_path(item) for item in ((value,) if isinstance(value, str | Path) else _items(value)))


def _speed(value: object) -> float:
    if value == "max":
        return math.inf
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        text = str(value)
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text, re.ASCII) and float(text) > 0:
            return float(text)
    raise ValueError("is a factor above 0, or max")


def _start(value: object) -> str:
    if isinstance(value, date):  # TOML has dates and times of its own
        return value.isoformat()
    if isinstance(value, str):
        if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value, re.ASCII):
            return value
        try:
            datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return value
    raise ValueError("is a time of day in New York, or an ISO date and time")


def _market(value: object) -> tuple[str, ...]:
    return tuple(_symbol_at_price(item) for item in _items(value))


def _symbol_at_price(item: object) -> str:
    symbol, equals, price = str(item).partition("=")
    if not equals:
        raise ValueError(f"{shown(symbol)!r} lacks its price")
    return f"{words.symbol(symbol)}={words.price(price)}"


def _text_of(parse: Callable[[str], object]) -> Callable[[object], str]:
    """Return a parser of a command's word: what ``parse`` accepts is kept as text, as if it had been typed."""

    def check(value: object) -> str:
        if not isinstance(value, str | int | float):
            raise ValueError("is a number or a text")  # noqa: TRY004  # pydantic and the callers expect ValueError
        text = str(value).lower() if isinstance(value, bool) else str(value)
        parse(text)
        return text

    return check


def _or_off(parse: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text == "off" else parse(text)


# --- the settings -----------------------------------------------------------------------------------------------------


class _Setting(Struct, frozen=True, kw_only=True):
    """One setting in all its places. ``key`` is the path in the file, ``flag`` the name in ``flags``."""

    key: str
    parse: Callable[[object], Any]
    example: str
    default: Any
    flag: str | None = None
    option: str = ""
    env: str | None = None

    @property
    def toml(self) -> str:
        """The last part of the key, as it stands under its table."""
        return self.key.rpartition(".")[2]


_SETTINGS: tuple[_Setting, ...] = (
    _Setting(
        key="broker", parse=_name, example="paper", default="paper",
        flag="broker", option="--broker", env="TRADESHELL_BROKER",
    ),
    _Setting(
        key="state_dir", parse=_path, example="~/trading", default=None,
        flag="state_dir", option="--state-dir", env="TRADESHELL_STATE_DIR",
    ),
    _Setting(
        key="load_plugins", parse=_plugins, example="breakout,paper", default=None,
        env="TRADESHELL_LOAD_PLUGINS",
    ),
    _Setting(
        key="safe_mode", parse=_boolean, example="true", default=False,
        flag="safe_mode", option="--safe-mode", env="TRADESHELL_SAFE_MODE",
    ),
    _Setting(
        key="json", parse=_boolean, example="true", default=False,
        flag="json", option="--json", env="TRADESHELL_JSON",
    ),
    _Setting(
        key="keep_going", parse=_boolean, example="true", default=False,
        flag="keep_going", option="--keep-going", env="TRADESHELL_KEEP_GOING",
    ),
    _Setting(
        key="audit_fsync", parse=_boolean, example="true", default=False, env="TRADESHELL_AUDIT_FSYNC",
    ),
    _Setting(key="paper_only", parse=_boolean, example="true", default=True, env="PAPER_ONLY"),
    _Setting(
        key="venue.replay", parse=_files, example="AAPL_1m.csv", default=(), flag="replay", option="--replay",
    ),
    _Setting(key="venue.speed", parse=_speed, example="60", default=1.0, flag="speed", option="--speed"),
    _Setting(key="venue.from", parse=_start, example="10:30", default=None, flag="start", option="--from"),
    _Setting(
        key="venue.market", parse=_market, example="DEMO=100", default=(), flag="market", option="--market",
    ),
    _Setting(
        key="venue.seed", parse=_whole(0, MAX_INT), example="7", default=1, flag="seed", option="--seed",
    ),
    _Setting(key="brokers.ibkr.host", parse=_host, example="127.0.0.1", default="127.0.0.1", env="IB_HOST"),
    _Setting(key="brokers.ibkr.port", parse=_whole(1, 65535), example="7497", default=7497, env="IB_PORT"),
    _Setting(
        key="brokers.ibkr.client_id", parse=_whole(0, MAX_INT), example="7", default=7, env="IB_CLIENT_ID",
    ),
)  # fmt: skip

FLAGS = frozenset(setting.flag for setting in _SETTINGS if setting.flag is not None) | {"config"}
CONFIG_ENV = "TRADESHELL_CONFIG"

# Examples for what the file has beyond the table above.
_FILE_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "defaults.quote_age": "quote_age = 2",
        "defaults.entry_timeout": "entry_timeout = 20",
        "defaults.max_chase": "max_chase = 1.50",
        "defaults.entry": 'entry = "limit"',
        "defaults.tif": 'tif = "DAY"',
        "defaults.exit_tif": 'exit_tif = "GTC"',
        "defaults.sl_type": 'sl_type = "stop_limit"',
        "defaults.sl_offset": "sl_offset = 0.05",
        "defaults.rth": "rth = true",
        "defaults.outside_rth": "outside_rth = false",
        "defaults.bar": 'bar = "1m"',
        "defaults.max_bars": "max_bars = 60",
    }
)

# Variables of features that are not built yet: setting one says so instead of being ignored in silence.
_NOT_YET: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        (
            "APPS_BAR_SELF_HEAL_ENABLED",
            "APPS_BAR_HEALTH_POLL_SECS",
            "APPS_BAR_STALL_MULTIPLIER",
            "APPS_BAR_STALL_FLOOR_SECS",
            "APPS_BAR_RECOVERY_COOLDOWN_SECS",
            "APPS_BAR_RECOVERY_MAX_ATTEMPTS",
            "APPS_BAR_RECOVERY_MAX_CONCURRENCY",
            "APPS_BAR_RECOVERY_STALL_BURST_COUNT",
        ),
        "streams are not healed yet",
    )
    | dict.fromkeys(
        ("APPS_ORPHAN_EXIT_SCOPE", "APPS_ORPHAN_EXIT_ACTION"), "orphan exits are not looked for yet"
    )
    | {
        "APPS_OPS_LOG_PATH": "the ops log is not written yet",
        "APPS_IB_GATEWAY_LOG_PATH": "the gateway log is not written yet",
    }
)


def load_settings(flags: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Return the settings of this run; raises ``ConfigError``.

    ``flags`` has names of ``FLAGS`` only (``TypeError`` otherwise). A flag that is ``None``, ``False`` or an empty list counts
    as not given: a switch on the command line can only switch on.
    """
    if strange := sorted(set(flags) - FLAGS):
        raise TypeError(f"flags {', '.join(strange)} are none of {', '.join(sorted(FLAGS))}")
    _refuse_misspelt(environ)
    path = _config_path(flags, environ)
    file = _File({}, None) if path is None else _read(path)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in _SETTINGS:
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
        notes=tuple(f"{name} has no effect: {why}" for name, why in _NOT_YET.items() if environ.get(name)),
        sources=MappingProxyType(sources),
    )


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
    setting: _Setting, flags: Mapping[str, object], environ: Mapping[str, str], file: _File
) -> tuple[Any, str]:
    given = None if setting.flag is None else flags.get(setting.flag)
    if given is not None and given is not False and given not in ((), []):
        example = f"{setting.option} {setting.example}"
        place = setting.option if setting.parse is _boolean else f"{setting.option} {_told(given)}"
        return _existing(setting, _parsed(setting, given, place, example), setting.option), setting.option
    if setting.env is not None and setting.env in environ:
        text = environ[setting.env]
        if text or setting.parse is _plugins:
            place, example = f"{setting.env}={shown(text)}", f"{setting.env}={setting.example}"
            return _parsed(setting, text, place, example), setting.env
    value = file.get(setting.key)
    if value is not None:
        return _existing(setting, value, f"{file.path} {setting.key}"), str(file.path)
    return setting.default, "default"


def _parsed(setting: _Setting, value: object, place: str, example: str) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        raise ConfigError(f"{place}: {error} · example: {example}") from None


def _existing(setting: _Setting, value: Any, place: str) -> Any:
    if setting.parse is not _files:
        return value
    for path in value:
        if not _is_there(path, place):
            raise ConfigError(f"{place}: there is no file {shown(str(path), 200)}")
    return tuple(path.absolute() for path in value)


def _told(value: object) -> str:
    return shown(" ".join(str(item) for item in value) if isinstance(value, list | tuple) else str(value))


def _refuse_misspelt(environ: Mapping[str, str]) -> None:
    # A variable of ours with a slip in its name would be ignored, and the default broker or folder used instead.
    known = [CONFIG_ENV, *(setting.env for setting in _SETTINGS if setting.env is not None)]
    for name in environ:
        if name.startswith("TRADESHELL_") and name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.9)
            if near:
                raise ConfigError(f"{shown(name)} is no variable of tradeshell · did you mean {near[0]}?")


def _brokers(file: _File, values: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    tables = {name: dict(table) for name, table in (file.get("brokers") or {}).items()}
    ibkr = tables.setdefault("ibkr", {})
    for key in ("host", "port", "client_id"):
        ibkr[key] = values[f"brokers.ibkr.{key}"]
    frozen: Mapping[str, Mapping[str, Any]] = _frozen(tables)
    return frozen


def _sinks(file: _File) -> Mapping[str, Mapping[str, Any]]:
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


# --- the file ---------------------------------------------------------------------------------------------------------


class _File:
    """The parsed values of a config file by path (``venue.speed``)."""

    def __init__(self, values: Mapping[str, Any], path: Path | None) -> None:
        self._values = values
        self.path = path

    def get(self, key: str) -> Any:
        found: Any = self._values
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        return found


def default_config_path() -> Path:
    """Return where the config file is looked for when none is named."""
    from platformdirs import user_config_path  # noqa: PLC0415  # not needed when the file was named

    return user_config_path(APP, appauthor=False) / FILE_NAME


def _config_path(flags: Mapping[str, object], environ: Mapping[str, str]) -> Path | None:
    for place, value in (("--config", flags.get("config")), (CONFIG_ENV, environ.get(CONFIG_ENV))):
        if value is None or value == "":
            continue
        try:
            path = _path(value).absolute()
        except ValueError as error:
            raise ConfigError(f"{place}: {error} · example: {place} ~/{FILE_NAME}") from None
        if not _is_there(path, place):
            raise ConfigError(
                f"{place}: there is no file {shown(str(path), 200)} · leave it out to start with defaults"
            )
        return path
    path = default_config_path()
    return path if _is_there(path, "config file") else None


def _is_there(path: Path, place: str) -> bool:
    # Path.exists hides some errors and raises others; a config that cannot be looked at is not "no config".
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"{place}: {shown(str(path), 200)}: {error.strerror}") from None
    return True


def _read(path: Path) -> _File:
    import tomllib  # noqa: PLC0415  # only a start with a config file pays for it

    name = shown(str(path), 200)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}: byte {error.start} is no UTF-8 · save the file as UTF-8") from None
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        said = (
            "it is nested too deeply" if isinstance(error, RecursionError) else "a number in it is too long"
        )
        if isinstance(error, tomllib.TOMLDecodeError):
            said = _lower_first(str(error))
        raise ConfigError(f"{name}: is no TOML: {shown(said, 120)} · it was left as it is") from None
    return _File(_validated(raw, text, name, path.parent), path)


def _validated(raw: Mapping[str, Any], text: str, name: str, folder: Path) -> dict[str, Any]:
    from pydantic import ValidationError  # noqa: PLC0415  # costs more than the rest of the start

    try:
        model = _model().model_validate(raw)
    except ValidationError as error:
        problems = sorted(_problems(error.errors(include_url=False), text), key=lambda problem: problem[0])
        line, said = problems[0]
        more = f" · and {len(problems) - 1} more" if len(problems) > 1 else ""
        where = f" line {line}" if line else ""
        raise ConfigError(f"{name}{where}: {said}{more}") from None
    values = model.model_dump(exclude_none=True, by_alias=True)
    # A relative path in the file means "beside the file", wherever the program was started.
    if (state := values.get("state_dir")) is not None:
        values["state_dir"] = folder / state
    if (replay := values.get("venue", {}).get("replay")) is not None:
        values["venue"]["replay"] = tuple(folder / path for path in replay)
    return values


def _problems(errors: Sequence[Any], text: str) -> Iterator[tuple[int, str]]:
    """Yield what is wrong with the file: the line (0: not found) and the words."""
    for error in errors:
        path = tuple(str(part) for part in error["loc"] if part != "[key]")
        key, last = ".".join(path), path[-1]
        line = _line_of(path, text)
        if error["type"] == "extra_forbidden":
            table = f"[{'.'.join(path[:-1])}] has" if path[:-1] else "there is"
            yield line, f"{table} no setting {shown(last)}{_near(last, _known_below(path[:-1]))}"
        elif "[key]" in error["loc"]:
            yield line, f"[{shown(key)}]: {error['ctx']['error']} · example: [{path[0]}.my_own]"
        elif error["type"] == "value_error":
            example = _FILE_EXAMPLES.get(key) or next((_toml_line(s) for s in _SETTINGS if s.key == key), "")
            rule = f"{shown(last)} = {_toml_value(error['input'])}: {error['ctx']['error']}"
            yield line, f"{rule} · example: {example}" if example else rule
        else:
            yield (
                line,
                f"{shown(key)} = {_toml_value(error['input'])}: is a table · write [{shown(key)}] on a line of its own",
            )


def _known_below(path: tuple[str, ...]) -> list[str]:
    prefix = ".".join((*path, "")) if path else ""
    known = [*(setting.key for setting in _SETTINGS), *_FILE_EXAMPLES, "sinks."]
    return sorted({key[len(prefix) :].partition(".")[0] for key in known if key.startswith(prefix)})


def _line_of(path: tuple[str, ...], text: str) -> int:
    """Return the line on which ``path`` is set, or its table begins; 0 when it is written in a way not looked for."""
    table: tuple[str, ...] = ()
    nearest = 0
    for number, line in enumerate(text.splitlines(), 1):
        if (header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)) is not None:
            table = _key_parts(header[1])
            if table == path[: len(table)]:
                nearest = number
        elif (key := re.match(r"\s*([^=#\s][^=#]*?)\s*=", line)) is not None:
            found = (*table, *_key_parts(key[1]))
            if found == path[: len(found)]:
                return number
    return nearest


def _key_parts(key: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in key.split("."))


def _toml_line(setting: _Setting) -> str:
    """Return the setting's example as a line of the file."""
    if setting.parse in (_plugins, _files, _market):
        return f"{setting.toml} = [{', '.join(_toml_value(item) for item in setting.example.split(','))}]"
    bare = re.fullmatch(r"true|false|[0-9.]+", setting.example) is not None and setting.example.count(".") < 2
    return f"{setting.toml} = {setting.example if bare else _toml_value(setting.example)}"


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{shown(value)}"' if isinstance(value, str) else shown(str(value))


def _near(word: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(word[:40], list(known), 1)
    return f" (did you mean {near[0]}?)" if near else ""


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


@functools.cache
def _model() -> type[BaseModel]:
    """Return the shape of the file. Values are read by the parsers above; pydantic finds unknown keys and wrong tables."""
    from pydantic import BaseModel, BeforeValidator, ConfigDict, Field  # noqa: PLC0415  # see _validated

    Name: TypeAlias = Annotated[str, BeforeValidator(_name)]

    class Table(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

    class Venue(Table):
        replay: Annotated[tuple[Path, ...] | None, BeforeValidator(_files)] = None
        speed: Annotated[float | None, BeforeValidator(_speed)] = None
        start: Annotated[str | None, BeforeValidator(_start), Field(alias="from")] = None
        market: Annotated[tuple[str, ...] | None, BeforeValidator(_market)] = None
        seed: Annotated[int | None, BeforeValidator(_whole(0, MAX_INT))] = None

    class TradeDefaults(Table):
        quote_age: Annotated[str | None, BeforeValidator(_text_of(words.seconds))] = None
        entry_timeout: Annotated[str | None, BeforeValidator(_text_of(_or_off(words.seconds)))] = None
        max_chase: Annotated[str | None, BeforeValidator(_text_of(_or_off(words.decimal)))] = None
        entry: Annotated[str | None, BeforeValidator(_text_of(words.one_of("limit", "market")))] = None
        tif: Annotated[str | None, BeforeValidator(_text_of(words.tif))] = None
        exit_tif: Annotated[str | None, BeforeValidator(_text_of(words.one_of("gtc", "day")))] = None
        sl_type: Annotated[str | None, BeforeValidator(_text_of(words.one_of("stop_limit", "stop")))] = None
        sl_offset: Annotated[str | None, BeforeValidator(_text_of(words.decimal))] = None
        rth: Annotated[str | None, BeforeValidator(_text_of(words.boolean))] = None
        outside_rth: Annotated[str | None, BeforeValidator(_text_of(words.boolean))] = None
        bar: Annotated[str | None, BeforeValidator(_text_of(words.one_of(*BARS)))] = None
        max_bars: Annotated[str | None, BeforeValidator(_text_of(words.count))] = None

    class Sink(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True)
        enabled: Annotated[bool, BeforeValidator(_boolean)] = True

    class Ibkr(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True)
        host: Annotated[str | None, BeforeValidator(_host)] = None
        port: Annotated[int | None, BeforeValidator(_whole(1, 65535))] = None
        client_id: Annotated[int | None, BeforeValidator(_whole(0, MAX_INT))] = None

    class Brokers(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True)
        __pydantic_extra__: dict[str, dict[str, Any]] = Field(
            init=False
        )  # what a plugin's table holds is its affair
        ibkr: Ibkr | None = None

    class File(Table):
        broker: Name | None = None
        state_dir: Annotated[Path | None, BeforeValidator(_path)] = None
        load_plugins: Annotated[tuple[str, ...] | None, BeforeValidator(_plugins)] = None
        safe_mode: Annotated[bool | None, BeforeValidator(_boolean)] = None
        # A model has a method of this name.
        json_: Annotated[bool | None, BeforeValidator(_boolean), Field(alias="json")] = None
        keep_going: Annotated[bool | None, BeforeValidator(_boolean)] = None
        audit_fsync: Annotated[bool | None, BeforeValidator(_boolean)] = None
        paper_only: Annotated[bool | None, BeforeValidator(_boolean)] = None
        venue: Venue | None = None
        defaults: TradeDefaults | None = None
        brokers: Brokers | None = None
        sinks: dict[Name, Sink] | None = None

    return File


def default_config_text() -> str:
    """Return a config file in which every setting stands at its default, commented out, with what it means."""
    return _DEFAULT_TEXT


_DEFAULT_TEXT = """\
# Settings of tradeshell. A flag wins over an environment variable, that over this file, that over the default.
# Every line that starts with # and a name shows a default: take the # away to change it.

# The broker or venue: one that a plugin offers (`plugins` lists them). --broker, TRADESHELL_BROKER
#broker = "paper"

# Where journals and logs live. Without this: the state directory of your system. --state-dir, TRADESHELL_STATE_DIR
# example: state_dir = "~/trading"

# The plugins to load; without this all that are installed. TRADESHELL_LOAD_PLUGINS=breakout,paper (empty: none)
# example: load_plugins = ["breakout", "jsonl_log", "paper"]

# Load the bundled plugins only. --safe-mode, TRADESHELL_SAFE_MODE
#safe_mode = false

# Refuse every account that is not a paper account. PAPER_ONLY
#paper_only = true

# Wait until an order's intent has reached the disk before the order leaves; costs milliseconds. TRADESHELL_AUDIT_FSYNC
#audit_fsync = false

# For scripts: one JSON object per line on stdout; go on after a failing command. --json, --keep-going
#json = false
#keep_going = false

# What a command falls back to when its word is not given; the keys are those of `breakout`.
#[defaults]
# example: quote_age = 2          # seconds: an older quote decides nothing
# example: entry_timeout = 20     # seconds, or "off": then the unfilled rest of an entry is cancelled
# example: max_chase = 1.50       # USD above the level, or "off": beyond it the entry is rejected
# example: entry = "limit"        # limit (at the ask) or market
# example: tif = "DAY"            # of entries: DAY GTC IOC FOK
# example: exit_tif = "GTC"       # of targets and stops: GTC DAY
# example: sl_type = "stop_limit" # or stop
# example: sl_offset = 0.05       # USD: limit of a stop-limit = sl - offset
# example: rth = true             # bars of regular hours only
# example: outside_rth = false    # orders may work outside regular hours
# example: bar = "1m"             # 1m 2m 3m 5m 15m 30m 1h
# example: max_bars = 60          # give up after so many bars

# How a simulated venue is fed. --replay FILE…, --speed, --from, --market, --seed; paths are relative to this file.
#[venue]
#replay = []                      # recorded bars and quotes; empty: a generated market
#speed = 1                        # a factor, or "max"
#market = []                      # prices of the generated market
#seed = 1
# example: from = "10:30"         # New York, or ISO; earlier bars are history
# example: market = ["DEMO=100"]

# Interactive Brokers. IB_HOST, IB_PORT, IB_CLIENT_ID. Other brokers have tables of their own: [brokers.NAME]
#[brokers.ibkr]
#host = "127.0.0.1"
#port = 7497
#client_id = 7

# Who gets every event. A table switches a sink on, `enabled = false` off; the rest of a table belongs to its plugin.
#[sinks.jsonl]
#enabled = true
# example: path = "~/trading/events.jsonl"    # APPS_EVENT_LOG_PATH wins
"""
