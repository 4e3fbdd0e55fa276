"""Every setting in all its places: flag, environment variable, file and default, with one parser for all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from tradeshell.config import parsers
from tradeshell.core.policy import Resume

APP = "tradeshell"
MAX_INT = 2**31 - 1  # what the TWS protocol can carry


class Setting(Struct, frozen=True, kw_only=True):
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


def _limit(key: str, parse: Callable[[object], Any], example: str, default: Any) -> Setting:
    return Setting(
        key=f"limits.{key}", parse=parse, example=example, default=default, env=f"TRADESHELL_{key.upper()}"
    )


_USD = parsers.limit(parsers.amount)
_ORDERS = parsers.limit(parsers.orders)
_LIMITS = (
    _limit("max_qty", parsers.limit(parsers.shares), "2000", 50_000),
    _limit("max_notional", _USD, "100000", Decimal(1_000_000)),
    _limit("max_exposure", _USD, "250000", parsers.OFF),
    _limit("max_open_risk", _USD, "2500", parsers.OFF),
    _limit("max_daily_loss", _USD, "1000", parsers.OFF),
    _limit("max_orders_per_minute", _ORDERS, "30", 30),
    _limit("max_orders_per_side", _ORDERS, "15", 15),
    _limit("collar", parsers.collar, "3", Decimal(3)),
    _limit("duplicate_window", parsers.limit(parsers.window), "5", 5.0),
)
_PROTECTION = tuple(
    Setting(
        key=f"protection.{key}",
        parse=parsers.boolean,
        example=example,
        default=default,
        env=f"TRADESHELL_{key.upper()}",
    )
    for key, example, default in (
        ("flatten_live", "true", False),
        ("stop_on_unconfirmed", "true", True),
        ("hold", "true", False),
        ("hold_through_halt", "true", False),
        ("rearm", "true", False),
    )
)

_BARS = tuple(
    Setting(
        key=f"bars.{key}", parse=parse, example=example, default=default, env=f"APPS_BAR_{key.upper()}",
    )
    for key, parse, example, default in (
        ("self_heal_enabled", parsers.boolean, "true", False),
        ("health_poll_secs", parsers.span(0.1, 3600), "5", 5.0),
        ("stall_multiplier", parsers.span(1, 1000), "3", 3.0),
        ("stall_floor_secs", parsers.span(0, 86400), "30", 30.0),
        ("recovery_cooldown_secs", parsers.span(1, 86400), "60", 60.0),
        ("recovery_max_attempts", parsers.whole(1, 1000), "5", 5),
        ("recovery_max_concurrency", parsers.whole(1, 100), "1", 1),
        ("recovery_stall_burst_count", parsers.whole(1, 1000), "2", 2),
    )
)  # fmt: skip
_LOGS = (
    Setting(key="logs.ops", parse=parsers.log, example="on", default="on", env="APPS_OPS_LOG_PATH"),
    Setting(
        key="logs.gateway", parse=parsers.log, example="on", default="off", env="APPS_IB_GATEWAY_LOG_PATH"
    ),
    Setting(key="logs.max_mb", parse=parsers.whole(1, 10_000), example="20", default=20),
    Setting(key="logs.keep", parse=parsers.whole(1, 1000), example="5", default=5),
)

# Said for each start anew: a file that says it would be a live account that nobody has typed.
LIVE_ACCOUNT = Setting(
    key="live_account", parse=parsers.account, example="U1234567", default=None,
    flag="live_account", option="--live-account",
)  # fmt: skip

SETTINGS: tuple[Setting, ...] = (
    Setting(
        key="broker", parse=parsers.name, example="paper", default="paper",
        flag="broker", option="--broker", env="TRADESHELL_BROKER",
    ),
    Setting(
        key="state_dir", parse=parsers.path, example="~/trading", default=None,
        flag="state_dir", option="--state-dir", env="TRADESHELL_STATE_DIR",
    ),
    Setting(
        key="load_plugins", parse=parsers.plugins, example="breakout,paper", default=None,
        env="TRADESHELL_LOAD_PLUGINS",
    ),
    Setting(
        key="safe_mode", parse=parsers.boolean, example="true", default=False,
        flag="safe_mode", option="--safe-mode", env="TRADESHELL_SAFE_MODE",
    ),
    Setting(
        key="json", parse=parsers.boolean, example="true", default=False,
        flag="json", option="--json", env="TRADESHELL_JSON",
    ),
    Setting(
        key="keep_going", parse=parsers.boolean, example="true", default=False,
        flag="keep_going", option="--keep-going", env="TRADESHELL_KEEP_GOING",
    ),
    Setting(
        key="audit_fsync", parse=parsers.boolean, example="true", default=False, env="TRADESHELL_AUDIT_FSYNC",
    ),
    Setting(
        key="resume", parse=parsers.resume, example="arm", default=Resume.ASK, env="TRADESHELL_RESUME",
    ),
    Setting(key="paper_only", parse=parsers.boolean, example="true", default=True, env="PAPER_ONLY"),
    LIVE_ACCOUNT,
    *_LIMITS,
    *_PROTECTION,
    *_BARS,
    *_LOGS,
    Setting(
        key="venue.replay", parse=parsers.files, example="AAPL_1m.csv", default=(), flag="replay", option="--replay",
    ),
    Setting(key="venue.speed", parse=parsers.speed, example="60", default=1.0, flag="speed", option="--speed"),
    Setting(key="venue.from", parse=parsers.start, example="10:30", default=None, flag="start", option="--from"),
    Setting(
        key="venue.market", parse=parsers.market, example="DEMO=100", default=(), flag="market", option="--market",
    ),
    Setting(
        key="venue.seed", parse=parsers.whole(0, MAX_INT), example="7", default=1, flag="seed", option="--seed",
    ),
    Setting(key="brokers.ibkr.host", parse=parsers.host, example="127.0.0.1", default="127.0.0.1", env="IB_HOST"),
    Setting(key="brokers.ibkr.port", parse=parsers.whole(1, 65535), example="7497", default=7497, env="IB_PORT"),
    Setting(
        key="brokers.ibkr.client_id", parse=parsers.whole(0, MAX_INT), example="7", default=7, env="IB_CLIENT_ID",
    ),
    Setting(key="brokers.ibkr.account", parse=parsers.account, example="DU1234567", default=None, env="IB_ACCOUNT"),
    Setting(key="brokers.ibkr.remote", parse=parsers.boolean, example="true", default=False, env="IB_REMOTE"),
    Setting(
        key="reconcilers.reconcile.orphan_exit_scope", parse=parsers.choice("client", "all_clients"),
        example="all_clients", default="all_clients", env="APPS_ORPHAN_EXIT_SCOPE",
    ),
    Setting(
        key="reconcilers.reconcile.orphan_exit_action", parse=parsers.choice("warn", "cancel"),
        example="warn", default="warn", env="APPS_ORPHAN_EXIT_ACTION",
    ),
)  # fmt: skip

FLAGS = frozenset(setting.flag for setting in SETTINGS if setting.flag is not None) | {"config"}
CONFIG_ENV = "TRADESHELL_CONFIG"
EVENT_LOG_ENV = "APPS_EVENT_LOG_PATH"  # read by the sink that writes events
NOTIFY_URLS_ENV = "TRADESHELL_NOTIFY_URLS"  # read by the sink that sends them to phones and chats

# Examples for what the file has beyond the table above.
FILE_EXAMPLES: Mapping[str, str] = MappingProxyType(
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
