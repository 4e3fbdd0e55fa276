"""Settings come from flag, environment, file, default, in this order, and are refused in one line."""

from __future__ import annotations

import math
import os
import re
import stat
import subprocess
import sys
import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tradeshell.config import (
    CONFIG_ENV,
    FLAGS,
    Settings,
    default_config_path,
    default_config_text,
    first_config,
    load_settings,
    open_state_dir,
)
from tradeshell.config.file import BARS, model
from tradeshell.config.table import SETTINGS
from tradeshell.core.policy import Limits, Policy
from tradeshell.errors import ConfigError, StateError
from tradeshell.upkeep import BarHealthSettings, LogSettings


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the settings of whoever runs the tests out of them."""
    home = tmp_path / "home"
    home.mkdir()
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def read(file: Path, text: str | bytes, environ: dict[str, str] | None = None, **flags: object) -> Settings:
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return load_settings({"config": str(file), **flags}, environ or {})


def refused(file: Path, text: str | bytes) -> str:
    """Return the refusal of a file, checked to be one line that leaves the file alone."""
    with pytest.raises(ConfigError) as caught:
        read(file, text)
    assert file.read_bytes() == (text.encode() if isinstance(text, str) else text)
    said = str(caught.value)
    assert said.startswith(str(file))
    assert said.isprintable()
    assert len(said) < 400
    return said.removeprefix(str(file)).removeprefix(" ")


IBKR = {
    "host": "127.0.0.1",
    "port": 7497,
    "client_id": 7,
    "account": None,
    "remote": False,
    "live_account": None,
    "paper_only": True,
}

# --- defaults ---------------------------------------------------------------------------------------------------------


def test_without_flag_variable_or_file_the_defaults_hold(nobodys_home: Path) -> None:
    settings = load_settings({}, {})
    assert settings.broker == "paper"
    assert settings.config_file is None
    assert settings.load_plugins is None
    assert (settings.safe_mode, settings.json, settings.keep_going, settings.audit_fsync) == (False,) * 4
    assert settings.paper_only is True
    assert settings.venue == type(settings.venue)()
    assert dict(settings.defaults.values) == {}
    assert settings.brokers == {"ibkr": IBKR}
    assert settings.sinks == {"jsonl": {}}
    assert set(settings.sources.values()) == {"default"}
    assert settings.state_dir.is_relative_to(nobodys_home)
    assert settings.state_dir.name == "tradeshell"


def test_settings_cannot_be_changed() -> None:
    settings = load_settings({}, {})
    with pytest.raises(AttributeError):
        settings.broker = "ibkr"  # type: ignore[misc]  # that is the point
    for table in (settings.brokers, settings.brokers["ibkr"], settings.sinks, settings.sources):
        with pytest.raises(TypeError):
            table["x"] = "y"  # type: ignore[index]  # that is the point


def test_the_documented_file_holds_the_defaults(file: Path) -> None:
    text = default_config_text()
    assert same(read(file, text), load_settings({}, {}))
    # Every line "#name = value" and "#[table]" shows a default: without its # nothing changes.
    live = re.sub(r"^#(?=[a-z_\[])", "", text, flags=re.MULTILINE)
    assert same(read(file, live), load_settings({}, {}))
    shown = {f"{table}.{key}" if table else key for table, key in keys_in(tomllib.loads(live))}
    without_default = {"state_dir", "load_plugins", "venue.from"}
    without_default |= {"brokers.ibkr.account", "live_account"}
    assert shown - {"sinks.jsonl.enabled"} == {setting.key for setting in SETTINGS} - without_default


def test_every_example_of_the_documented_file_is_accepted(file: Path) -> None:
    text = re.sub(r"^#(?=\[)", "", default_config_text(), flags=re.MULTILINE)
    live = re.sub(r"^# example: ", "", text, flags=re.MULTILINE)
    settings = read(file, live)
    assert settings.load_plugins == ("breakout", "jsonl_log", "paper")
    assert settings.venue.market == ("DEMO=100",)
    assert settings.sinks["jsonl"] == {"path": "~/trading/events.jsonl"}
    assert set(settings.defaults.values) == set(tables_of(model())["defaults"].model_fields)


def tables_of(shape: Any) -> dict[str, Any]:
    """Return the tables in the shape of the file, by name."""
    found = {}
    for name, field in shape.model_fields.items():
        for kind in getattr(field.annotation, "__args__", ()):
            if hasattr(kind, "model_fields"):
                found[name] = kind
    return found


def keys_in(values: dict[str, Any], table: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            found += keys_in(value, f"{table}.{key}" if table else key)
        else:
            found.append((table, key))
    return found


def same(one: Settings, other: Settings) -> bool:
    """Compare what two runs were told, not where it was said."""
    names = set(Settings.__struct_fields__) - {"config_file", "sources"}
    return all(getattr(one, name) == getattr(other, name) for name in names)


def test_the_file_knows_every_setting_and_no_other() -> None:
    tables = tables_of(model())
    known = {field.alias or name for name, field in model().model_fields.items()} - set(tables)
    for table in ("limits", "protection", "bars", "logs"):
        known |= {f"{table}.{name}" for name in tables[table].model_fields}
    known |= {f"venue.{field.alias or name}" for name, field in tables["venue"].model_fields.items()}
    known |= {f"brokers.ibkr.{name}" for name in tables_of(tables["brokers"])["ibkr"].model_fields}
    (reconcile,) = tables_of(tables["reconcilers"]).values()
    known |= {f"reconcilers.reconcile.{name}" for name in reconcile.model_fields}
    never = {"brokers.ibkr.live_account"}  # known, to be refused by name
    assert known - {"sinks"} - never == {setting.key for setting in SETTINGS} - {"live_account"}
    assert set(tables) == {
        "venue",
        "defaults",
        "brokers",
        "limits",
        "protection",
        "bars",
        "logs",
        "reconcilers",
    }


# --- who wins ---------------------------------------------------------------------------------------------------------


def test_a_flag_wins_over_a_variable_over_the_file_over_the_default(file: Path) -> None:
    text, environ = 'broker = "one"\n', {"TRADESHELL_BROKER": "two"}
    assert load_settings({}, {}).broker == "paper"
    assert read(file, text).broker == "one"
    assert read(file, text, environ).broker == "two"
    assert read(file, text, environ, broker="three").broker == "three"


def test_each_setting_says_where_it_came_from(file: Path) -> None:
    settings = read(file, "keep_going = true\n", {"IB_PORT": "4002"}, broker="paper")
    assert settings.sources["keep_going"] == str(file)
    assert settings.sources["brokers.ibkr.port"] == "IB_PORT"
    assert settings.sources["broker"] == "--broker"
    assert settings.sources["json"] == "default"


@pytest.mark.parametrize("absent", [None, False, [], ()])
def test_a_flag_that_was_not_given_does_not_win(file: Path, absent: object) -> None:
    settings = read(
        file, 'json = true\n[venue]\nmarket = ["DEMO=100"]\n', json=absent, market=absent, broker=None
    )
    assert settings.json is True
    assert settings.venue.market == ("DEMO=100",)


def test_the_variable_switches_off_what_the_file_switched_on(file: Path) -> None:
    assert read(file, "safe_mode = true\n", {"TRADESHELL_SAFE_MODE": "0"}).safe_mode is False


def test_an_empty_variable_counts_as_not_set() -> None:
    settings = load_settings({}, {"IB_PORT": "", "PAPER_ONLY": "", "TRADESHELL_BROKER": "", CONFIG_ENV: ""})
    assert settings.brokers["ibkr"]["port"] == 7497
    assert settings.paper_only is True


@pytest.mark.parametrize(
    "text, names", [("", ()), (" , ", ()), ("paper", ("paper",)), (" a, b-c ,a", ("a", "b-c"))]
)
def test_the_plugins_to_load_are_a_list_and_an_empty_one_means_none(
    text: str, names: tuple[str, ...]
) -> None:
    assert load_settings({}, {"TRADESHELL_LOAD_PLUGINS": text}).load_plugins == names


def test_an_empty_list_of_plugins_in_the_file_means_none(file: Path) -> None:
    assert read(file, "load_plugins = []\n").load_plugins == ()


def test_a_flag_of_another_name_is_a_slip_of_the_program() -> None:
    with pytest.raises(TypeError, match="flags state-dir are none of broker, config"):
        load_settings({"state-dir": "/tmp"}, {})
    assert {"config", "broker", "state_dir", "replay", "speed", "start"} <= FLAGS


# --- values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["true", "TRUE", "yes", "on", "1"])
def test_yes_is_said_in_several_ways(text: str) -> None:
    assert load_settings({}, {"TRADESHELL_JSON": text}).json is True


def test_a_file_cannot_allow_a_live_account(file: Path) -> None:
    said = refused(file, '[brokers.ibkr]\nlive_account = "U1234567"\n')
    assert "is typed when the program asks, or said with --live-account; a file cannot say it" in said
    assert "there is no setting live_account" in refused(file, 'live_account = "U1234567"\n')
    settings = load_settings({"live_account": "U1234567"}, {})
    assert settings.live_account == settings.brokers["ibkr"]["live_account"] == "U1234567"


@pytest.mark.parametrize("text", ["false", "No", "off", "0"])
def test_only_a_clear_no_allows_live_accounts(text: str) -> None:
    assert load_settings({}, {"PAPER_ONLY": text}).paper_only is False


@pytest.mark.parametrize("text", ["flase", "2", "none", "-", "true false"])
def test_an_unclear_no_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^PAPER_ONLY={text}: is true or false · example: PAPER_ONLY=true$"
    ):
        load_settings({}, {"PAPER_ONLY": text})


def test_the_venue_is_fed_as_the_flags_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a, b.csv").touch()
    monkeypatch.chdir(tmp_path)
    flags = {
        "replay": ["a, b.csv"],
        "speed": "max",
        "start": "10:30",
        "market": ["demo=100", "X=0.5"],
        "seed": "7",
    }
    venue = load_settings(flags, {}).venue
    assert venue.replay == (tmp_path / "a, b.csv",)
    assert venue.speed == math.inf
    assert venue.start == "10:30"
    assert venue.market == ("DEMO=100", "X=0.5")
    assert venue.seed == 7


@pytest.mark.parametrize(
    "value, speed", [("60", 60.0), ("0.5", 0.5), (60, 60.0), (2.5, 2.5), ("max", math.inf)]
)
def test_a_speed_is_a_factor_or_max(value: object, speed: float) -> None:
    assert load_settings({"speed": value}, {}).venue.speed == speed


@pytest.mark.parametrize(
    "start",
    ["00:00", "23:59", "2024-01-02", "2024-01-02T10:00", "2024-01-02T10:00:00-05:00", "2024-01-02 10:00"],
)
def test_a_replay_starts_at_a_time_of_day_or_at_an_iso_time(start: str) -> None:
    assert load_settings({"start": start}, {}).venue.start == start


def test_the_file_may_use_the_types_of_toml(file: Path) -> None:
    venue = read(file, '[venue]\nfrom = 2024-01-02T10:00:00\nspeed = 0.5\nmarket = "A=1,B=2"\n').venue
    assert (venue.start, venue.speed, venue.market) == ("2024-01-02T10:00:00", 0.5, ("A=1", "B=2"))
    assert read(file, "[venue]\nfrom = 2024-01-02\n").venue.start == "2024-01-02"


def test_paths_of_the_file_are_beside_it_and_those_of_flags_beside_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nobodys_home: Path
) -> None:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bars.csv").touch()
    monkeypatch.chdir(tmp_path / "here")
    file = tmp_path / "there" / "config.toml"
    text = 'state_dir = "state"\n[venue]\nreplay = ["bars.csv"]\n'
    settings = read(file, text)
    assert (settings.state_dir, settings.venue.replay) == (
        tmp_path / "there/state",
        (tmp_path / "there/bars.csv",),
    )
    settings = read(file, text, state_dir="state", replay=["bars.csv"])
    assert (settings.state_dir, settings.venue.replay) == (
        tmp_path / "here/state",
        (tmp_path / "here/bars.csv",),
    )
    assert read(file, 'state_dir = "~/mine"\n').state_dir == nobodys_home / "mine"


def test_defaults_of_commands_are_kept_as_if_typed(file: Path) -> None:
    settings = read(
        file, '[defaults]\nquote_age = 5\nentry_timeout = "off"\nmax_chase = 1.50\nrth = false\nbar = "5m"\n'
    )
    assert settings.defaults.values == {
        "quote_age": "5",
        "entry_timeout": "off",
        "max_chase": "1.5",
        "rth": "false",
        "bar": "5m",
    }


def test_the_defaults_are_words_that_breakout_understands(file: Path) -> None:
    grammar = pytest.importorskip("tradeshell_breakout.grammar").BREAKOUT_GRAMMAR
    live = re.sub(r"^# example: ", "", default_config_text(), flags=re.MULTILINE)
    table = live[live.index("#[defaults]") + 1 : live.index("# How a simulated")]
    for name, text in read(file, table).defaults.values.items():
        grammar.key(name).parse(text)
    for bar in BARS:
        grammar.key("bar").parse(bar)


def test_the_limits_of_the_config_become_the_policy(file: Path) -> None:
    text = """
    [limits]
    max_qty = 2000
    max_notional = 250_000.50
    max_exposure = "500000"
    max_open_risk = 1500
    max_daily_loss = 1000
    max_orders_per_minute = "off"
    max_orders_per_side = 10
    collar = "1.5 %"
    duplicate_window = 2.5
    [protection]
    flatten_live = true
    stop_on_unconfirmed = false
    rearm = "yes"
    """
    limits = Limits(
        max_qty=2000,
        max_notional=Decimal("250000.5"),
        max_exposure=Decimal(500_000),
        max_open_risk=Decimal(1500),
        max_daily_loss=Decimal(1000),
        max_orders_per_minute=None,
        max_orders_per_side=10,
        collar=Decimal("0.015"),
        duplicate_window=2.5,
    )
    expected = Policy(limits=limits, flatten_live=True, stop_on_unconfirmed=False, rearm=True)
    assert read(file, text).policy == expected


def test_without_a_word_the_policy_is_that_of_the_core() -> None:
    assert load_settings({}, {}).policy == Policy()


def test_a_variable_wins_over_the_limit_of_the_file_and_off_is_not_the_same_as_unset(file: Path) -> None:
    text = "[limits]\nmax_qty = 10\nmax_notional = 500\n"
    environ = {"TRADESHELL_MAX_QTY": "off", "TRADESHELL_COLLAR": "5", "TRADESHELL_FLATTEN_LIVE": "true"}
    policy = read(file, text, environ).policy
    assert (policy.limits.max_qty, policy.limits.max_notional) == (None, Decimal(500))
    assert (policy.limits.collar, policy.flatten_live) == (Decimal("0.05"), True)
    assert read(file, '[limits]\nduplicate_window = "off"\n').policy.limits.duplicate_window == 0


@pytest.mark.parametrize(
    "text, words",
    [
        ("max_qty = 0", "line 2: max_qty = 0: is a whole number of shares from 1 to 10000000, or off · example: max_qty"),
        ("max_qty = 1.5", "max_qty = 1.5: is a whole number of shares"),
        ("max_qty = true", "max_qty = true: is a whole number of shares"),
        ("max_notional = -5", "max_notional = -5: is an amount in USD above zero, or off · example: max_notional = 100000"),
        ('max_notional = "1e6"', "is an amount in USD above zero"),
        ("max_notional = inf", "is an amount in USD above zero"),
        ("max_daily_loss = nan", "is an amount in USD above zero"),
        ("max_orders_per_minute = 0", "is a whole number from 1 to 999999, or off"),
        ("collar = 0.03", "collar = 0.03: is a percentage from 0.1 to 50 · example: collar = 3"),
        ('collar = "off"', "is a percentage from 0.1 to 50"),
        ("duplicate_window = 7200", "is a number of seconds from 0.001 to 3600, or off"),
        ("max_quantity = 5", "[limits] has no setting max_quantity (did you mean max_qty?)"),
        ("[protection]\nflatten_live = 1.5", "flatten_live = 1.5: is true or false"),
        ("[protection]\nflatten = true", "[protection] has no setting flatten (did you mean flatten_live?)"),
    ],
)  # fmt: skip
def test_a_limit_that_makes_no_sense_is_refused_in_one_line(file: Path, text: str, words: str) -> None:
    assert words in refused(file, f"[limits]\n{text}\n")


def test_a_table_switches_a_sink_on_or_off(file: Path) -> None:
    assert read(file, "[sinks.csv]\nsize = [1, 2]\n").sinks == {"jsonl": {}, "csv": {"size": (1, 2)}}
    assert read(file, "[sinks.jsonl]\nenabled = false\n").sinks == {}
    assert read(file, "sinks.csv.enabled = true\n").sinks == {"jsonl": {}, "csv": {}}


def test_the_table_of_a_broker_is_passed_on(file: Path) -> None:
    settings = read(
        file, '[brokers.mine]\nurl = "x"\ndeep = {a = [1]}\n[brokers.ibkr]\nport = 4002\nextra = 1\n'
    )
    assert settings.brokers["mine"] == {"url": "x", "deep": {"a": (1,)}}
    assert settings.brokers["ibkr"] == IBKR | {"port": 4002, "extra": 1}


def test_the_variables_of_ibkr_win_over_its_table(file: Path) -> None:
    environ = {"IB_HOST": "gateway.local", "IB_PORT": "4001", "IB_CLIENT_ID": "0"}
    settings = read(file, "[brokers.ibkr]\nport = 4002\n", environ)
    assert settings.brokers["ibkr"] == IBKR | {"host": "gateway.local", "port": 4001, "client_id": 0}


def test_the_health_of_bar_streams_is_set_in_the_file_and_by_its_variables(file: Path) -> None:
    assert read(file, "").bar_health == BarHealthSettings()
    assert BarHealthSettings().self_heal_enabled is False
    environ = {
        "APPS_BAR_SELF_HEAL_ENABLED": "true",
        "APPS_BAR_HEALTH_POLL_SECS": "2.5",
        "APPS_BAR_STALL_MULTIPLIER": "4",
        "APPS_BAR_STALL_FLOOR_SECS": "0",
        "APPS_BAR_RECOVERY_COOLDOWN_SECS": "90",
        "APPS_BAR_RECOVERY_MAX_ATTEMPTS": "7",
        "APPS_BAR_RECOVERY_MAX_CONCURRENCY": "2",
        "APPS_BAR_RECOVERY_STALL_BURST_COUNT": "3",
    }
    chosen = BarHealthSettings(
        self_heal_enabled=True,
        health_poll_secs=2.5,
        stall_multiplier=4,
        stall_floor_secs=0,
        recovery_cooldown_secs=90,
        recovery_max_attempts=7,
        recovery_max_concurrency=2,
        recovery_stall_burst_count=3,
    )
    assert load_settings({}, environ).bar_health == chosen
    lines = [f"{name.removeprefix('APPS_BAR_').lower()} = {value}" for name, value in environ.items()]
    assert read(file, "\n".join(["[bars]", *lines])).bar_health == chosen


@pytest.mark.parametrize(
    "name, value, rule",
    [
        ("APPS_BAR_HEALTH_POLL_SECS", "0", "is a number from 0.1 to 3600"),
        ("APPS_BAR_STALL_MULTIPLIER", "0.5", "is a number from 1 to 1000"),
        ("APPS_BAR_STALL_FLOOR_SECS", "-1", "is a number from 0 to 86400"),
        ("APPS_BAR_RECOVERY_COOLDOWN_SECS", "1e3", "is a number from 1 to 86400"),
        ("APPS_BAR_RECOVERY_MAX_ATTEMPTS", "0", "is a whole number from 1 to 1000"),
        ("APPS_BAR_RECOVERY_MAX_CONCURRENCY", "none", "is a whole number from 1 to 100"),
        ("APPS_BAR_RECOVERY_STALL_BURST_COUNT", "1.5", "is a whole number from 1 to 1000"),
        ("APPS_BAR_SELF_HEAL_ENABLED", "maybe", "is true or false"),
    ],
)
def test_a_setting_of_bar_health_that_makes_no_sense_is_refused(name: str, value: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        load_settings({}, {name: value})


def test_a_slip_in_the_name_of_a_variable_of_bar_health_is_refused() -> None:
    with pytest.raises(ConfigError, match="did you mean APPS_BAR_SELF_HEAL_ENABLED"):
        load_settings({}, {"APPS_BAR_SELFHEAL_ENABLED": "true"})


def test_logs_are_on_off_or_at_a_path_beside_the_file(file: Path) -> None:
    assert read(file, "").logs == LogSettings(ops="on", gateway="off", max_mb=20, keep=5)
    logs = read(file, '[logs]\nops = "off"\ngateway = "logs/wire.log"\nmax_mb = 1\n').logs
    assert (logs.ops, logs.gateway, logs.max_mb) == ("off", file.parent / "logs/wire.log", 1)
    environ = {"APPS_OPS_LOG_PATH": "ops.txt", "APPS_IB_GATEWAY_LOG_PATH": "ON"}
    assert load_settings({}, environ).logs == LogSettings(ops=Path("ops.txt"), gateway="on")
    with pytest.raises(ConfigError, match="is on, off, or a path"):
        read(file, "[logs]\nops = 3\n")


def test_what_is_done_about_orphans_is_chosen_like_everything_else(file: Path) -> None:
    environ = {"APPS_ORPHAN_EXIT_ACTION": "Cancel"}
    chosen = load_settings({}, environ).reconcilers
    assert chosen == {"reconcile": {"orphan_exit_scope": "all_clients", "orphan_exit_action": "cancel"}}
    text = '[reconcilers.reconcile]\norphan_exit_scope = "client"\n[reconcilers.mine]\nx = 1\n'
    assert read(file, text).reconcilers == {
        "reconcile": {"orphan_exit_scope": "client", "orphan_exit_action": "warn"},
        "mine": {"x": 1},
    }
    with pytest.raises(ConfigError, match="APPS_ORPHAN_EXIT_SCOPE=all: is client or all_clients"):
        load_settings({}, {"APPS_ORPHAN_EXIT_SCOPE": "all"})
    with pytest.raises(ConfigError, match="orphan_exits"):
        read(file, "[reconcilers.reconcile]\norphan_exits = 1\n")


# --- refusals ---------------------------------------------------------------------------------------------------------

BAD: list[tuple[str, str]] = [
    (
        "broker = 3",
        'line 1: broker = 3: is a name of lower-case letters, digits and _ · example: broker = "paper"',
    ),
    ("\n\nbroker = 'a b'", "line 3: broker = "),
    ("brokr = 'x'", "line 1: there is no setting brokr (did you mean broker?)"),
    ("[venues]\nspeed = 1", "line 1: there is no setting venues (did you mean venue?)"),
    ("[venue]\n# a comment\nsped = 1", "line 3: [venue] has no setting sped (did you mean speed?)"),
    ("[venue]\nspeed = 'fast'", 'line 2: speed = "fast": is a factor above 0, or max · example: speed = 60'),
    ("venue.speed = 0", "line 1: speed = 0: is a factor above 0, or max · example: speed = 60"),
    (
        "venue = { seed = 1.5 }",
        "line 1: seed = 1.5: is a whole number from 0 to 2147483647 · example: seed = 7",
    ),
    ("[venue]\nseed = true", "line 2: seed = true: is a whole number from 0"),
    ("[venue]\nspeed = inf", "line 2: speed = inf: is a factor above 0, or max"),
    ("[venue]\nfrom = 10:30:00", "line 2: from = 10:30:00: is a time of day in New York"),
    ("[venue]\nfrom = '24:00'", "line 2: from = "),
    (
        "[venue]\nmarket = ['DEMO']",
        "line 2: market = ['DEMO']: 'DEMO' lacks its price · example: market = [\"DEMO=100\"]",
    ),
    ("[venue]\nmarket = ['DEMO=-1']", "a price has no sign"),
    ("[venue]\nreplay = [1]", 'line 2: replay = [1]: is a path · example: replay = ["AAPL_1m.csv"]'),
    ("[venue]\nreplay = ['none.csv']", "venue.replay: there is no file "),
    ("venue = 3", "line 1: venue = 3: is a table · write [venue] on a line of its own"),
    ("[[venue]]", "venue = [{}]: is a table"),
    (
        "[brokers]\nibkr = 3",
        "line 2: brokers.ibkr = 3: is a table · write [brokers.ibkr] on a line of its own",
    ),
    ("[brokers]\nmine = 3", "line 2: brokers.mine = 3: is a table"),
    (
        "[brokers.ibkr]\nport = 70000",
        "line 2: port = 70000: is a whole number from 1 to 65535 · example: port = 7497",
    ),
    ("[brokers.ibkr]\nhost = 'a b'", "line 2: host = "),
    ("[sinks]\njsonl = true", "line 2: sinks.jsonl = true: is a table"),
    ("[sinks.jsonl]\nenabled = 'maybe'", 'line 2: enabled = "maybe": is true or false'),
    (
        "[sinks.My-Sink]",
        "line 1: [sinks.My-Sink]: is a name of lower-case letters, digits and _ · example: [sinks.my_own]",
    ),
    ("[defaults]\nqty = 100", "line 2: [defaults] has no setting qty"),
    ("[defaults]\nquote_ag = 1", "line 2: [defaults] has no setting quote_ag (did you mean quote_age?)"),
    ("[defaults]\nquote_age = -1", "line 2: quote_age = -1: a time is a number of seconds"),
    (
        "[defaults]\nentry = 'stop'",
        'line 2: entry = "stop": is one of limit market · example: entry = "limit"',
    ),
    ("[defaults]\ntif = [1]", "line 2: tif = [1]: is a number or a text"),
    ("load_plugins = 3", "line 1: load_plugins = 3: is a list"),
    ("load_plugins = ['a b']", 'is a list of plugin names · example: load_plugins = ["breakout", "paper"]'),
    ("state_dir = ''", 'line 1: state_dir = "": is a path'),
    ("state_dir = '~nobody_of_this_name/x'", "starts with ~ and there is no such home"),
    ("paper_only = 'flase'", 'line 1: paper_only = "flase": is true or false'),
    ("broker = 'A'\njson = 3", "line 1: broker = "),
    ("x =", ": is no TOML: invalid value (at end of document) · it was left as it is"),
    ("a = 1\na = 2", ": is no TOML: cannot overwrite a value (at end of document)"),
    ("x = " + "[" * 5000, ": is no TOML: it is nested too deeply"),
    ("seed = " + "9" * 5000, ": is no TOML: a number in it is too long"),
]


@pytest.mark.parametrize("text, words", BAD, ids=[text[:30] for text, _ in BAD])
def test_a_bad_file_is_refused_in_one_line_and_left_alone(file: Path, text: str, words: str) -> None:
    assert words in refused(file, text)


def test_a_suggestion_belongs_to_the_same_table(file: Path) -> None:
    assert refused(file, "[venue]\nbrokr = 1\n") == "line 2: [venue] has no setting brokr"
    assert refused(file, "sped = 1\n") == "line 1: there is no setting sped"


def test_a_file_with_several_faults_names_the_first_and_counts_the_rest(file: Path) -> None:
    said = refused(file, "[venue]\nspeed = 0\n[defaults]\nbar = 7\n[sinks.jsonl]\nenabled = 7\n")
    assert said.startswith("line 2: speed = 0:")
    assert said.endswith(" · and 2 more")


def test_a_file_that_is_no_text_is_refused(file: Path) -> None:
    assert "byte 10 is no UTF-8" in refused(file, b"broker = '\xff'")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(file: Path) -> None:
    assert read(file, b'\xef\xbb\xbfbroker = "one"\r\n').broker == "one"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_settings({"config": str(tmp_path)}, {})


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    for flags, environ, place in (
        ({"config": "none.toml"}, {}, "--config"),
        ({}, {CONFIG_ENV: "none.toml"}, CONFIG_ENV),
    ):
        with pytest.raises(ConfigError, match=f"^{place}: there is no file .*none.toml"):
            load_settings(flags, environ)


def test_a_name_that_is_no_path_is_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"^--config: starts with ~ and there is no such home · example: --config ~/config.toml$",
    ):
        load_settings({"config": "~nobody_of_this_name/c.toml"}, {})


def test_a_path_that_cannot_be_looked_at_is_refused() -> None:
    with pytest.raises(ConfigError, match="File name too long"):
        load_settings({"config": "x" * 5000}, {})


def test_the_file_of_the_user_is_read_when_none_is_named() -> None:
    path = default_config_path()
    path.parent.mkdir(parents=True)
    path.write_text("json = true\n", encoding="utf-8")
    settings = load_settings({}, {})
    assert settings.json is True
    assert settings.config_file == path
    path.write_text("jsn = true\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))} line 1: there is no setting jsn"):
        load_settings({}, {})


FLAGS_AND_VARIABLES: list[tuple[dict[str, object], dict[str, str], str]] = [
    ({"speed": "x"}, {}, "--speed x: is a factor above 0, or max · example: --speed 60"),
    ({"speed": "-1"}, {}, "--speed -1: is a factor above 0, or max · example: --speed 60"),
    ({"speed": "nan"}, {}, "--speed nan: is a factor above 0, or max · example: --speed 60"),
    ({"seed": "1.0"}, {}, "--seed 1.0: is a whole number from 0 to 2147483647 · example: --seed 7"),
    ({"start": "9:30"}, {}, "--from 9:30: is a time of day in New York, or an ISO date and time · example: --from 10:30"),
    ({"market": ["A=1", "B"]}, {}, "--market A=1 B: 'B' lacks its price · example: --market DEMO=100"),
    ({"market": "A=1,5"}, {}, "--market A=1,5: '5' lacks its price · example: --market DEMO=100"),
    ({"broker": "IB KR\n"}, {}, "--broker IB KR?: is a name of lower-case letters, digits and _ · example: --broker paper"),
    ({"state_dir": " "}, {}, "--state-dir  : is a path · example: --state-dir ~/trading"),
    ({}, {"IB_PORT": "x"}, "IB_PORT=x: is a whole number from 1 to 65535 · example: IB_PORT=7497"),
    ({}, {"IB_PORT": "0"}, "IB_PORT=0: is a whole number from 1 to 65535 · example: IB_PORT=7497"),
    ({}, {"IB_CLIENT_ID": "-1"}, "IB_CLIENT_ID=-1: is a whole number from 0 to 2147483647 · example: IB_CLIENT_ID=7"),
    ({}, {"IB_HOST": "a b"}, "IB_HOST=a b: is a host name or an address · example: IB_HOST=127.0.0.1"),
    ({}, {"TRADESHELL_SAFE_MODE": "maybe"}, "TRADESHELL_SAFE_MODE=maybe: is true or false · example: TRADESHELL_SAFE_MODE=true"),
    (
        {},
        {"TRADESHELL_LOAD_PLUGINS": "a b"},
        "TRADESHELL_LOAD_PLUGINS=a b: is a list of plugin names · example: TRADESHELL_LOAD_PLUGINS=breakout,paper",
    ),
    ({}, {"TRADESHELL_BROKR": "x"}, "TRADESHELL_BROKR is no variable of tradeshell · did you mean TRADESHELL_BROKER?"),
]  # fmt: skip


@pytest.mark.parametrize(
    "flags, environ, said", FLAGS_AND_VARIABLES, ids=[said[:30] for _, _, said in FLAGS_AND_VARIABLES]
)
def test_a_bad_flag_or_variable_is_refused_in_one_line(
    flags: dict[str, object], environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(flags, environ)
    assert said == str(caught.value)


def test_a_recording_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^--replay: there is no file .*none\.csv$"):
        load_settings({"replay": [str(tmp_path / "none.csv")]}, {})


def test_a_variable_of_somebody_else_is_left_alone() -> None:
    load_settings({}, {"TRADESHELL_MY_PLUGIN_KEY": "x", "IB_ACCOUNTS": "x"})


@pytest.mark.parametrize("setting", [s for s in SETTINGS if s.env is not None], ids=lambda s: s.key)
def test_file_and_variable_refuse_with_the_same_rule(file: Path, setting: Any) -> None:
    bad = "a b" if setting.key == "load_plugins" else " "
    table, _, key = setting.key.rpartition(".")
    in_file = refused(file, f"{f'[{table}]' if table else ''}\n{key} = '{bad}'\n")
    with pytest.raises(ConfigError) as caught:
        load_settings({}, {setting.env: bad})
    rule = str(caught.value).partition(": ")[2].partition(" · ")[0]
    assert f": {rule} · example: " in in_file


# --- folders and cost -------------------------------------------------------------------------------------------------


def test_folders_of_the_state_are_created_for_their_owner_only(tmp_path: Path) -> None:
    settings = load_settings({"state_dir": str(tmp_path / "a/b")}, {})
    assert not (tmp_path / "a").exists()
    before = os.umask(0)
    try:
        folder = open_state_dir(settings, "paper")
        assert folder == open_state_dir(settings, "paper")
    finally:
        os.umask(before)
    assert folder == tmp_path / "a/b/paper"
    assert {stat.S_IMODE(place.stat().st_mode) for place in (folder, folder.parent, tmp_path / "a")} == {
        0o700
    }


@pytest.mark.parametrize("where", ["", "file", "file/below"])
def test_a_state_directory_that_cannot_be_made_is_one_line(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "paper").touch()
    settings = load_settings({"state_dir": str(tmp_path / where)}, {})
    with pytest.raises(StateError, match=r"^state directory .* · choose another with --state-dir$"):
        open_state_dir(settings, "paper")


@pytest.mark.parametrize(
    "text, heavy",
    [
        (None, "[]"),
        ("", "['tomllib']"),
        ("#broker = 'paper'\n", "['tomllib']"),
        ("json = false\n", "['pydantic', 'tomllib']"),
    ],
)
def test_a_start_without_settings_in_a_file_does_not_pay_for_them(
    file: Path, text: str | None, heavy: str
) -> None:
    flags = "{}"
    if text is not None:
        file.write_text(text, encoding="utf-8")
        flags = f"{{'config': {str(file)!r}}}"
    program = (
        f"import sys; from tradeshell.config import load_settings; load_settings({flags}, {{}})\n"
        "print(sorted({'pydantic', 'tomllib', 'cmd2', 'pluggy.nothing'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == heavy


# --- the first start --------------------------------------------------------------------------------------------------


def test_a_first_config_is_written_where_there_is_none_and_changes_nothing(nobodys_home: Path) -> None:
    path = default_config_path()
    (said,) = first_config(load_settings({}, {}))
    assert (
        said
        == f"settings: ~/{path.relative_to(nobodys_home)} was written, every one at its default and commented out"
    )
    assert path.read_text(encoding="utf-8") == default_config_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    settings = load_settings({}, {})
    assert settings.config_file == path
    assert set(settings.sources.values()) == {"default"}
    assert first_config(settings) == ()


def test_a_config_that_has_just_come_is_not_written_over(nobodys_home: Path) -> None:
    settings = load_settings({}, {})
    path = default_config_path()
    path.parent.mkdir(parents=True)
    path.write_text("broker = 'paper'\n")
    assert first_config(settings) == ()
    assert path.read_text() == "broker = 'paper'\n"


def test_a_home_that_cannot_be_written_needs_no_config(nobodys_home: Path) -> None:
    default_config_path().parent.parent.parent.mkdir(parents=True, exist_ok=True)
    default_config_path().parent.parent.write_text("a file where a folder should be")
    assert first_config(load_settings({}, {})) == ()
