"""What an operator is promised about orders that work, typed into the real shell on the paper venue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tradeshell.testing import Runner

Open = Callable[[str], Runner]
MARKET = "--market DEMO=100 --seed 3 --speed max"


@pytest.fixture
def laddered(tradeshell_runner: Open) -> Runner:
    """Return a shell that holds 100 DEMO, bought at 100.13, behind a ladder of 60, 30 and 10."""
    runner = tradeshell_runner(MARKET)
    runner.run("breakout DEMO 100.05 100 tp=102-104-106 sl=98").assert_ok()
    runner.run("wait DEMO timeout=10m").assert_says("armed 60 + 30 + 10 shares")
    return runner


@pytest.fixture
def entering(tradeshell_runner: Open, tmp_path: Path) -> Runner:
    """Return a shell whose entry for 600 has filled 300 and works on."""
    config = tmp_path / "partial.toml"
    config.write_text("[brokers.paper]\npartial = true\n", encoding="utf-8")
    runner = tradeshell_runner(f"--config {config} --market DEMO=100 --speed max")
    runner.run("breakout DEMO 100.30 600 tp=100.80-101.20 sl=99.80").assert_ok()
    runner.run("wait timeout=241s").assert_says("filled 100 @ 100.32 (300 of 600)", "SELL 300 @ stop 99.80")
    return runner


def working(runner: Runner) -> dict[str, int]:
    """Return the shares of the orders that ``orders`` shows, by leg."""
    rows = [line.split() for line in runner.run("orders").assert_ok().lines[1:]]
    return {row[2]: int(row[4]) for row in rows}


# --- selling under exits ----------------------------------------------------------------------------------------------


def test_sell_under_a_full_ladder_makes_every_leg_smaller_and_sells(laddered: Runner) -> None:
    told = laddered.run("sell DEMO 50").assert_ok()
    told.assert_says("make room: 50 shares are to be sold and lose their stop, the legs keep 30 + 15 + 5")
    told.assert_says("filled 50 @", "protected 100 % · 50 of 50 shares have a stop")
    assert working(laddered) == {"sl1": 30, "tp1": 30, "sl2": 15, "tp2": 15, "sl3": 5, "tp3": 5}


def test_sell_of_more_than_is_held_is_refused_and_says_what_is(laddered: Runner) -> None:
    laddered.run("sell DEMO 101").assert_refused("would_short: 100 of DEMO are free to sell (100 held)")
    assert working(laddered)["sl1"] == 60


def test_sell_above_the_bid_takes_no_stop_away(laddered: Runner) -> None:
    laddered.run("sell DEMO 50 limit=101").assert_refused(
        "would_rest", "have no stop while a sale at 101.00 rests"
    )
    assert working(laddered)["sl1"] == 60


def test_the_same_sell_within_five_seconds_needs_again(laddered: Runner) -> None:
    laddered.run("sell DEMO 10").assert_ok()
    laddered.run("sell DEMO 10").assert_refused("sent less than 5 s ago", "again=true sends it once more")
    laddered.run("sell DEMO 10 again").assert_ok()
    assert working(laddered) == {"sl1": 48, "tp1": 48, "sl2": 24, "tp2": 24, "sl3": 8, "tp3": 8}


# --- legs by their address --------------------------------------------------------------------------------------------


def test_a_leg_is_moved_to_break_even_and_all_stops_together(laddered: Runner) -> None:
    laddered.run("orders replace DEMO.sl2 stop=be").assert_ok().assert_says("sl2       stands at 100.13")
    told = laddered.run("orders replace DEMO.sl* stop=98.50").assert_ok()
    told.assert_says(*(f"sl{number}       stands at 98.50" for number in (1, 2, 3)))


def test_a_leg_is_cancelled_by_its_address_once_that_is_meant(laddered: Runner) -> None:
    laddered.run("orders cancel DEMO.tp1").assert_refused("in one group with the stop DEMO.sl1")
    laddered.run("orders cancel DEMO.tp1 force").assert_ok().assert_says("tp1       cancelled")
    laddered.run("wait timeout=1m").assert_says("protected 100 % · 100 of 100 shares have a stop")
    assert working(laddered) == {"sl1": 60, "sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}


# --- entries that work ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ["breakout cancel DEMO", "stopentry"])
def test_the_rest_of_an_entry_is_cancelled_and_what_it_bought_keeps_its_exits(
    entering: Runner, line: str
) -> None:
    entering.run(line).assert_ok().assert_says("entry     cancelled", "armed 210 + 90 shares")
    assert working(entering) == {"sl1": 210, "tp1": 210, "sl2": 90, "tp2": 90}


def test_a_break_is_told_once_however_many_bars_touch_the_level(tradeshell_runner: Open) -> None:
    runner = tradeshell_runner("--market DEMO=100 --seed 6 --speed max")
    runner.run("breakout DEMO 100.30 10 tp=110 sl=90").assert_ok()
    told = runner.run("wait timeout=30m").text
    assert told.index("high 100.30 touched the level 100.30, close 100.28") < told.index("trigger")
    assert told.count("touched the level") == 1


# --- what is not said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, words",
    [
        ("plan DEMO 100.05 10 tp=102 sl=98", ("ask, below 101.08", "exits GTC")),  # half of 2.05
        ("plan DEMO 100.05 10 tp=102", ("ask, below 101.06", "exits GTC")),  # 1 %
        ("plan DEMO 100.05 10 tp=102 sl=98 tif=DAY", ("exits DAY",)),
        ("plan DEMO 100.05 10 tp=102 sl=98 tif=GTC exit_tif=DAY", ("exits DAY",)),
        ("plan DEMO 100.05 10 tp=102 sl=98 max_chase=0.20", ("ask, below 100.25",)),
    ],
)
def test_a_plan_shows_what_holds_where_nothing_was_said(
    tradeshell_runner: Open, line: str, words: tuple[str, ...]
) -> None:
    tradeshell_runner(MARKET).run(line).assert_ok().assert_says(*words)


def test_an_order_for_a_symbol_of_which_nobody_has_a_quote_fetches_one(tradeshell_runner: Open) -> None:
    tradeshell_runner(MARKET).run("buy DEMO 100").assert_ok().assert_says(
        "BUY 100 @ 100.00 limit", "filled 100"
    )
