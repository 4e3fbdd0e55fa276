"""Words of the fast path, of risk and of times: what they become, what is refused, what is offered and shown."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.shell.support import FakeTrading, make_runner

from tradeshell import BrokerError, OperatorError, TradePlan
from tradeshell.grammar import Words, complete, parse
from tradeshell.testing.outcome import Runner
from tradeshell_breakout.command import commands
from tradeshell_breakout.events import bar_words, seconds_of
from tradeshell_breakout.grammar import BREAKOUT_GRAMMAR
from tradeshell_breakout.policy import risk_of, trade_plan, watch_params

EQUITY = Decimal(100_000)


def words(line: str) -> Words:
    return parse("breakout", BREAKOUT_GRAMMAR, line.split())


def made(line: str) -> tuple[TradePlan, dict[str, str]]:
    """Return plan and params of a line, as the command makes them."""
    parsed = words(line)
    params = watch_params(parsed, {})
    return trade_plan(parsed, {}, "DU…0001", (), risk_of(parsed, lambda: EQUITY)), params


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Runner, FakeTrading]:
    """Return a shell of eighty columns with the plugin's commands, and the desk behind it."""
    monkeypatch.setenv("COLUMNS", "80")
    return make_runner(tmp_path, extra=[("breakout", command) for command in commands()])


# --- what they become -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, params",
    [
        ("", {"fast": "", "fast_bar": "", "fast_buffer": ""}),
        ("fast=true", {"fast": "true", "fast_bar": "1s", "fast_buffer": ""}),
        ("fast=true fast_bar=5s fast_buffer=0.10", {"fast_bar": "5s", "fast_buffer": "0.10"}),
        ("fast=true fast_buffer=0", {"fast_buffer": "0"}),
        ("fast=false", {"fast": "", "fast_bar": ""}),
        ("bar=5m after=10:00 until=15:30 days=3", {"bar": "5m", "after": "10:00", "until": "15:30", "days": "3"}),
        ("days=1", {"after": "", "until": "", "days": ""}),
    ],
)  # fmt: skip
def test_the_strategy_gets_words_that_could_be_typed_again(line: str, params: dict[str, str]) -> None:
    _, found = made(f"AAPL 190 100 {line}")
    assert found | params == found
    again = " ".join(f"{key}={value}" for key, value in found.items() if value)
    assert made(f"AAPL 190 100 {again}")[1] == found


def test_lengths_of_bars_are_words_or_seconds_as_earlier_versions_wrote_them() -> None:
    for seconds in (1, 5, 60, 120, 300, 1800, 3600):
        assert seconds_of(bar_words(seconds)) == seconds_of(str(seconds)) == seconds


@pytest.mark.parametrize(
    "line, qty, risk",
    [
        ("AAPL 190 100 sl=187", 100, None),
        ("AAPL 190 risk=200 sl=187", 66, Decimal(200)),
        ("AAPL 190 risk=0.5% sl=187", 166, Decimal("500.00")),
        ("AAPL 190 risk=0.333% sl=187", 111, Decimal("333.00")),
        ("AAPL level=190 sl=187 risk=200 tp=195-198-205", 66, Decimal(200)),
    ],
)
def test_a_risk_is_so_many_shares_at_the_level(line: str, qty: int, risk: Decimal | None) -> None:
    plan, _ = made(line)
    assert (plan.qty, plan.risk_usd) == (qty, risk)


def test_flat_by_is_a_time_of_day_in_new_york() -> None:
    assert made("AAPL 190 100 flat_by=15:55")[0].flat_by == time(15, 55)
    assert made("AAPL 190 100 flat_by=9:45")[0].flat_by == time(9, 45)
    assert made("AAPL 190 100")[0].flat_by is None


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, said",
    [
        ("AAPL 190", ["qty is missing", "example: qty=100, or risk=200 sl=187"]),
        ("AAPL 190 100 risk=200 sl=187", ["qty=100 risk=200: both say how many shares", "example: risk=200"]),
        ("AAPL 190 risk=200", ["risk=200: what a share risks", "there is none", "example: risk=200 sl=186.20"]),
        ("AAPL 190 risk=2 sl=187", ["risk=2: 2.00 USD buy no share, one loses 3.00", "example: risk=30.00"]),
        ("AAPL 190 risk=0.001% sl=187", ["risk=0.001%: 1.00 USD buy no share"]),
        (
            "AAPL 190 risk=50 sl=189.999999",
            ["risk=50: 50.00 USD come to 50000000 shares", "at most 10000000 shares", "example: sl=186.20"],
        ),
        ("AAPL 190 risk=0 sl=187", ["risk=0: a risk is above zero", "example: risk=200"]),
        ("AAPL 190 risk=101% sl=187", ["risk=101%: at most 100 % of the account"]),
        ("AAPL 190 risk=-5 sl=187", ["risk=-5: ", "example: risk=200"]),
        ("AAPL 190 risk=5%% sl=187", ["risk=5%%: "]),
        ("AAPL 190 risk=% sl=187", ["risk=%: "]),
        ("AAPL 190 100 fast_bar=5s", ["fast_bar=5s: belongs to the fast path", "example: fast=true fast_bar=5s"]),
        ("AAPL 190 100 fast=false fast_buffer=1", ["fast_buffer=1: belongs to the fast path", "fast=true fast_buffer="]),
        ("AAPL 190 100 fast=true fast_bar=1m", ["fast_bar=1m: is one of 1s 5s", "example: fast_bar=5s"]),
        ("AAPL 190 100 fast=maybe", ["fast=maybe: is true or false"]),
        ("AAPL 190 100 flat_by=4pm", ["flat_by=4pm: a time of day is written HH:MM", "example: flat_by=15:55"]),
        ("AAPL 190 100 flat_by=24:00", ["flat_by=24:00: a time of day"]),
        ("AAPL 190 100 after=9:5", ["after=9:5: a time of day", "example: after=10:00"]),
        ("AAPL 190 100 until=1\u0665:00", ["until=1\u0665:00: a time of day"]),
        ("AAPL 190 100 after=11:00 until=11:00", ["after=11:00: begins when until=11:00 has passed", "example: after=10:00"]),
        ("AAPL 190 100 after=15:55 flat_by=15:55", ["after=15:55: begins when flat_by=15:55"]),
        ("AAPL 190 100 days=0", ["days=0: ", "example: days=3"]),
        ("AAPL 190 100 days=251", ["days=251: at most 250 trading days"]),
    ],
)  # fmt: skip
def test_a_refusal_names_the_word_the_rule_and_an_example(line: str, said: list[str]) -> None:
    with pytest.raises(OperatorError) as refused:
        made(line)
    told = str(refused.value)
    assert "\n" not in told
    for each in said:
        assert each in told


def test_the_account_is_only_asked_for_a_part_of_it() -> None:
    def never() -> Decimal:
        raise AssertionError("nobody needs to know")

    assert risk_of(words("AAPL 190 100"), never) is None
    assert risk_of(words("AAPL 190 risk=200 sl=187"), never) == 200


def test_a_broker_that_does_not_say_what_the_account_is_worth_refuses_the_line(
    shell: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = shell
    trading.fail = BrokerError("the account's equity is told in EUR, not in USD")
    told = runner.run("plan AAPL 190 risk=1% sl=187")
    assert not told.ok
    told.assert_says("told in EUR")


# --- what is offered and shown ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, offered",
    [
        ("fas", ["fast=", "fast_bar=", "fast_buffer="]),
        ("fast_bar=", ["1s", "5s"]),
        ("ris", ["risk="]),
        ("risk=", ["0.5%", "1%"]),
        ("flat", ["flat_by="]),
        ("flat_by=", ["15:55"]),
        ("da", ["days="]),
        ("unt", ["until="]),
        ("aft", ["after="]),
    ],
)
def test_every_key_is_offered_and_what_is_offered_is_accepted(text: str, offered: list[str]) -> None:
    found = complete(BREAKOUT_GRAMMAR, text, ("AAPL", "190"), None)
    assert not isinstance(found, str)
    assert [offer.display for offer in found] == offered
    for offer in found:
        if "=" in offer.text and not offer.open:
            more = "" if offer.text.startswith("risk") else " qty=100"
            made(f"AAPL 190 sl=187 fast=true{more} {offer.text}")


def test_a_free_value_is_explained() -> None:
    hint = complete(BREAKOUT_GRAMMAR, "until=", ("AAPL", "190", "100"), None)
    assert hint == "until=HH:MM  look at no bar that closes after this time of the day, New York"


def test_a_plan_shows_the_fast_level_the_size_and_the_end(shell: tuple[Runner, FakeTrading]) -> None:
    runner, trading = shell
    told = runner.run("plan AAPL 190 risk=0.2% sl=187 tp=195-198-205 fast=true flat_by=15:55").assert_ok()
    told.assert_says(
        "  or when a 1s bar closes at or above 190.10",
        "  buy ~66 · limit at the ask",
        "  shares: 200.00 / (ask at the trigger - 187.00), rounded down; 66 at the level",
        "  sold by 15:55 New York of its day, whatever it brings",
    )
    assert [line for line in told.lines if len(line) > 80] == []
    assert trading.asked == []
    refused = runner.run("plan AAPL 190 100 sl=187 fast=true fast_buffer=2")
    assert not refused.ok
    refused.assert_says("fast_buffer=2: fast closes enter from 192.00, where entries are refused from 191.50")


def data(tmp_path: Path, line: str, *before: str) -> Any:
    """Return what a script reads of a line's answer."""
    runner, _ = make_runner(tmp_path, extra=[("breakout", command) for command in commands()], as_json=True)
    for each in before:
        runner.run(each).assert_ok()
    return msgspec.json.decode(runner.run(line).assert_ok().text)["data"]


def test_scripts_read_the_same(tmp_path: Path) -> None:
    found = data(tmp_path, "plan AAPL 190 risk=200 sl=187 fast=true fast_bar=5s flat_by=15:55")
    assert (found["fast_bar"], found["fast_level"], found["qty"]) == (5, "190.10", 66)
    assert (found["plan"]["risk_usd"], found["plan"]["flat_by"]) == ("200", "15:55:00")
