"""The variables that traders were promised, with the defaults that they were promised."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tradeshell.config import load_settings, table
from tradeshell.testing import Runner, open_shell


class Variable(NamedTuple):
    """A variable, the setting it is, its default, and another value as it is typed."""

    name: str
    key: str
    default: Any
    typed: str


VARIABLES = (
    Variable("IB_HOST", "brokers.ibkr.host", "127.0.0.1", "localhost"),
    Variable("IB_PORT", "brokers.ibkr.port", 7497, "4002"),
    Variable("IB_CLIENT_ID", "brokers.ibkr.client_id", 7, "8"),
    Variable("PAPER_ONLY", "paper_only", True, "false"),
    Variable("APPS_BAR_SELF_HEAL_ENABLED", "bars.self_heal_enabled", False, "true"),
    Variable("APPS_BAR_HEALTH_POLL_SECS", "bars.health_poll_secs", 5, "6"),
    Variable("APPS_BAR_STALL_MULTIPLIER", "bars.stall_multiplier", 3, "4"),
    Variable("APPS_BAR_STALL_FLOOR_SECS", "bars.stall_floor_secs", 30, "40"),
    Variable("APPS_BAR_RECOVERY_COOLDOWN_SECS", "bars.recovery_cooldown_secs", 60, "70"),
    Variable("APPS_BAR_RECOVERY_MAX_ATTEMPTS", "bars.recovery_max_attempts", 5, "6"),
    Variable("APPS_BAR_RECOVERY_MAX_CONCURRENCY", "bars.recovery_max_concurrency", 1, "2"),
    Variable("APPS_BAR_RECOVERY_STALL_BURST_COUNT", "bars.recovery_stall_burst_count", 2, "3"),
    Variable("APPS_ORPHAN_EXIT_SCOPE", "reconcilers.reconcile.orphan_exit_scope", "all_clients", "client"),
    Variable("APPS_ORPHAN_EXIT_ACTION", "reconcilers.reconcile.orphan_exit_action", "warn", "cancel"),
)


@pytest.mark.parametrize("variable", VARIABLES, ids=attrgetter("name"))
def test_a_variable_that_was_promised_is_a_setting_with_its_default(variable: Variable) -> None:
    (setting,) = (setting for setting in table.SETTINGS if setting.env == variable.name)
    assert (setting.key, setting.default) == (variable.key, variable.default)
    assert load_settings({}, {variable.name: variable.typed}) != load_settings({}, {})


@pytest.mark.parametrize(
    "name, what",
    [
        ("APPS_EVENT_LOG_PATH", '"BreakoutStarted"'),
        ("APPS_OPS_LOG_PATH", "ReconciliationCompleted"),
    ],
)
def test_a_log_goes_where_its_variable_says(tmp_path: Path, name: str, what: str) -> None:
    path = tmp_path / "there.log"
    with open_shell(["--speed", "max"], environ={name: str(path)}) as shell:
        Runner(shell).run("breakout AAPL level=220 qty=1").assert_ok()
    assert what in path.read_text(encoding="utf-8")
