"""The config file: found, read, and checked line by line. Nothing here writes; without a file pydantic is not imported."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from tradeshell import words
from tradeshell.errors import ConfigError
from tradeshell.grammar import shown

if TYPE_CHECKING:
    from pydantic import BaseModel
from tradeshell.config import parsers
from tradeshell.config.table import APP, CONFIG_ENV, FILE_EXAMPLES, MAX_INT, SETTINGS, Setting

FILE_NAME = "config.toml"
BARS = ("1m", "2m", "3m", "5m", "15m", "30m", "1h")


class File:
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


def config_path(flags: Mapping[str, object], environ: Mapping[str, str]) -> Path | None:
    for place, value in (("--config", flags.get("config")), (CONFIG_ENV, environ.get(CONFIG_ENV))):
        if value is None or value == "":
            continue
        try:
            path = parsers.path(value).absolute()
        except ValueError as error:
            raise ConfigError(f"{place}: {error} · example: {place} ~/{FILE_NAME}") from None
        if not is_there(path, place):
            raise ConfigError(
                f"{place}: there is no file {shown(str(path), 200)} · leave it out to start with defaults"
            )
        return path
    path = default_config_path()
    return path if is_there(path, "config file") else None


def is_there(path: Path, place: str) -> bool:
    # Path.exists hides some errors and raises others; a config that cannot be looked at is not "no config".
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise ConfigError(f"{place}: {shown(str(path), 200)}: {error.strerror}") from None
    return True


def read(path: Path) -> File:
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
    # One that says nothing, as the first start writes it, needs nobody to check it.
    return File(_validated(raw, text, name, path.parent) if raw else {}, path)


def _validated(raw: Mapping[str, Any], text: str, name: str, folder: Path) -> dict[str, Any]:
    from pydantic import ValidationError  # noqa: PLC0415  # costs more than the rest of the start

    try:
        checked = model().model_validate(raw)
    except ValidationError as error:
        problems = sorted(_problems(error.errors(include_url=False), text), key=lambda problem: problem[0])
        line, said = problems[0]
        more = f" · and {len(problems) - 1} more" if len(problems) > 1 else ""
        where = f" line {line}" if line else ""
        raise ConfigError(f"{name}{where}: {said}{more}") from None
    values = checked.model_dump(exclude_none=True, by_alias=True)
    # A relative path in the file means "beside the file", wherever the program was started.
    if (state := values.get("state_dir")) is not None:
        values["state_dir"] = folder / state
    for log, place in values.get("logs", {}).items():
        if isinstance(place, Path):
            values["logs"][log] = folder / place
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
            example = FILE_EXAMPLES.get(key) or next((_toml_line(s) for s in SETTINGS if s.key == key), "")
            rule = f"{shown(last)} = {_toml_value(error['input'])}: {error['ctx']['error']}"
            yield line, f"{rule} · example: {example}" if example else rule
        else:
            yield (
                line,
                f"{shown(key)} = {_toml_value(error['input'])}: is a table · write [{shown(key)}] on a line of its own",
            )


def _known_below(path: tuple[str, ...]) -> list[str]:
    prefix = ".".join((*path, "")) if path else ""
    known = [*(setting.key for setting in SETTINGS), *FILE_EXAMPLES, "sinks."]
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


def _toml_line(setting: Setting) -> str:
    """Return the setting's example as a line of the file."""
    if setting.parse in (parsers.plugins, parsers.files, parsers.market):
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
def model() -> type[BaseModel]:
    """Return the shape of the file. Values are read by the parsers above; pydantic finds unknown keys and wrong tables."""
    from pydantic import BaseModel, BeforeValidator, ConfigDict, Field  # noqa: PLC0415  # see _validated

    Name: TypeAlias = Annotated[str, BeforeValidator(parsers.name)]

    class Table(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)

    class Venue(Table):
        replay: Annotated[tuple[Path, ...] | None, BeforeValidator(parsers.files)] = None
        speed: Annotated[float | None, BeforeValidator(parsers.speed)] = None
        start: Annotated[str | None, BeforeValidator(parsers.start), Field(alias="from")] = None
        market: Annotated[tuple[str, ...] | None, BeforeValidator(parsers.market)] = None
        seed: Annotated[int | None, BeforeValidator(parsers.whole(0, MAX_INT))] = None

    class TradeDefaults(Table):
        quote_age: Annotated[str | None, BeforeValidator(parsers.text_of(words.seconds))] = None
        entry_timeout: Annotated[
            str | None, BeforeValidator(parsers.text_of(parsers.or_off(words.seconds)))
        ] = None
        max_chase: Annotated[str | None, BeforeValidator(parsers.text_of(parsers.or_off(words.decimal)))] = (
            None
        )
        entry: Annotated[str | None, BeforeValidator(parsers.text_of(words.one_of("limit", "market")))] = None
        tif: Annotated[str | None, BeforeValidator(parsers.text_of(words.tif))] = None
        exit_tif: Annotated[str | None, BeforeValidator(parsers.text_of(words.one_of("gtc", "day")))] = None
        sl_type: Annotated[
            str | None, BeforeValidator(parsers.text_of(words.one_of("stop_limit", "stop")))
        ] = None
        sl_offset: Annotated[str | None, BeforeValidator(parsers.text_of(words.decimal))] = None
        rth: Annotated[str | None, BeforeValidator(parsers.text_of(words.boolean))] = None
        outside_rth: Annotated[str | None, BeforeValidator(parsers.text_of(words.boolean))] = None
        bar: Annotated[str | None, BeforeValidator(parsers.text_of(words.one_of(*BARS)))] = None
        max_bars: Annotated[str | None, BeforeValidator(parsers.text_of(words.count))] = None

    of = {setting.key: BeforeValidator(setting.parse) for setting in SETTINGS}

    class Limits(Table):
        max_qty: Annotated[Any, of["limits.max_qty"]] = None
        max_notional: Annotated[Any, of["limits.max_notional"]] = None
        max_exposure: Annotated[Any, of["limits.max_exposure"]] = None
        max_open_risk: Annotated[Any, of["limits.max_open_risk"]] = None
        max_daily_loss: Annotated[Any, of["limits.max_daily_loss"]] = None
        max_orders_per_minute: Annotated[Any, of["limits.max_orders_per_minute"]] = None
        max_orders_per_side: Annotated[Any, of["limits.max_orders_per_side"]] = None
        collar: Annotated[Any, of["limits.collar"]] = None
        duplicate_window: Annotated[Any, of["limits.duplicate_window"]] = None

    class Protection(Table):
        flatten_live: Annotated[bool | None, of["protection.flatten_live"]] = None
        stop_on_unconfirmed: Annotated[bool | None, of["protection.stop_on_unconfirmed"]] = None
        hold: Annotated[bool | None, of["protection.hold"]] = None
        hold_through_halt: Annotated[bool | None, of["protection.hold_through_halt"]] = None
        rearm: Annotated[bool | None, of["protection.rearm"]] = None

    class Bars(Table):
        self_heal_enabled: Annotated[bool | None, of["bars.self_heal_enabled"]] = None
        health_poll_secs: Annotated[float | None, of["bars.health_poll_secs"]] = None
        stall_multiplier: Annotated[float | None, of["bars.stall_multiplier"]] = None
        stall_floor_secs: Annotated[float | None, of["bars.stall_floor_secs"]] = None
        recovery_cooldown_secs: Annotated[float | None, of["bars.recovery_cooldown_secs"]] = None
        recovery_max_attempts: Annotated[int | None, of["bars.recovery_max_attempts"]] = None
        recovery_max_concurrency: Annotated[int | None, of["bars.recovery_max_concurrency"]] = None
        recovery_stall_burst_count: Annotated[int | None, of["bars.recovery_stall_burst_count"]] = None

    class Logs(Table):
        ops: Annotated[Any, of["logs.ops"]] = None
        gateway: Annotated[Any, of["logs.gateway"]] = None
        max_mb: Annotated[int | None, of["logs.max_mb"]] = None
        keep: Annotated[int | None, of["logs.keep"]] = None

    class Sink(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True)
        enabled: Annotated[bool, BeforeValidator(parsers.boolean)] = True

    class Ibkr(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True)
        host: Annotated[str | None, BeforeValidator(parsers.host)] = None
        port: Annotated[int | None, BeforeValidator(parsers.whole(1, 65535))] = None
        client_id: Annotated[int | None, BeforeValidator(parsers.whole(0, MAX_INT))] = None
        account: Annotated[str | None, BeforeValidator(parsers.account)] = None
        remote: Annotated[bool | None, BeforeValidator(parsers.boolean)] = None
        live_account: Annotated[None, BeforeValidator(parsers.never_in_a_file)] = None

    class Brokers(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True)
        __pydantic_extra__: dict[str, dict[str, Any]] = Field(
            init=False
        )  # what a plugin's table holds is its affair
        ibkr: Ibkr | None = None

    class Reconcile(BaseModel):
        model_config = ConfigDict(extra="forbid", frozen=True)
        orphan_exit_scope: Annotated[str | None, of["reconcilers.reconcile.orphan_exit_scope"]] = None
        orphan_exit_action: Annotated[str | None, of["reconcilers.reconcile.orphan_exit_action"]] = None

    class Reconcilers(BaseModel):
        model_config = ConfigDict(extra="allow", frozen=True)
        __pydantic_extra__: dict[str, dict[str, Any]] = Field(init=False)  # as above
        reconcile: Reconcile | None = None

    class File(Table):
        broker: Name | None = None
        state_dir: Annotated[Path | None, BeforeValidator(parsers.path)] = None
        load_plugins: Annotated[tuple[str, ...] | None, BeforeValidator(parsers.plugins)] = None
        safe_mode: Annotated[bool | None, BeforeValidator(parsers.boolean)] = None
        # A model has a method of this name.
        json_: Annotated[bool | None, BeforeValidator(parsers.boolean), Field(alias="json")] = None
        keep_going: Annotated[bool | None, BeforeValidator(parsers.boolean)] = None
        audit_fsync: Annotated[bool | None, BeforeValidator(parsers.boolean)] = None
        paper_only: Annotated[bool | None, BeforeValidator(parsers.boolean)] = None
        resume: Annotated[Any, BeforeValidator(parsers.resume)] = None
        limits: Limits | None = None
        protection: Protection | None = None
        bars: Bars | None = None
        logs: Logs | None = None
        venue: Venue | None = None
        defaults: TradeDefaults | None = None
        brokers: Brokers | None = None
        sinks: dict[Name, Sink] | None = None
        reconcilers: Reconcilers | None = None

    return File
