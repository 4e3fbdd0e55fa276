"""What `plan` and `breakouts` show of a ladder, on the screen and to scripts; neither sends anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.shell.support import FakeTrading, d, make_runner

from tradeshell import BrokerError, Margin, TradePlan
from tradeshell.testing.outcome import Runner
from tradeshell_breakout.command import commands

LADDER = "plan AAPL 190 100 tp=195-198-205 sl=187"


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Runner, FakeTrading]:
    """Return a shell with the plugin's commands at eighty columns, and the desk behind it."""
    monkeypatch.setenv("COLUMNS", "80")
    return make_runner(tmp_path, extra=[("breakout", command) for command in commands()])


def cells(line: str) -> list[str]:
    return line.split()


def data(tmp_path: Path, line: str) -> Any:
    """Return what a script reads of a line's answer."""
    runner, _ = make_runner(tmp_path, extra=[("breakout", command) for command in commands()], as_json=True)
    told = msgspec.json.decode(runner.run(line).text)
    assert told["ok"], told
    return told["data"]


def test_a_plan_shows_every_leg_and_the_whole(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    told = runner.run(LADDER).assert_ok()
    assert told.lines[0] == "breakout AAPL · enter when a 1m bar closes at or above 190.00"
    assert told.lines[1] == "  buy 100 · limit at the ask, below 191.50 · quote ≤ 2 s old"
    assert [cells(line) for line in told.lines[3:7]] == [
        ["1", "60", "tp1<->sl1", "195.00", "187.00", "180.00", "+300.00", "1.67"],
        ["2", "30", "tp2<->sl2", "198.00", "187.00", "90.00", "+240.00", "2.67"],
        ["3", "10", "tp3<->sl3", "205.00", "187.00", "30.00", "+150.00", "5.00"],
        ["all", "100", "300.00", "+690.00", "2.30"],
    ]
    told.assert_says(
        "3 OCA pairs, type 2",
        "cover: until then one stop at 187.00",
        "after tp1: sl2 sl3 → 190.00",
        "after tp1 tp2: sl3 → 195.00",
        "exits GTC",
        "risk 300.00 (1 R = 3.00 a share, from the level) · nothing was sent",
    )
    assert trading.asked == []


@pytest.mark.parametrize("more", ["", " sl_type=stop", " cover=none sl_offset=0.05", " tp_alloc=34-33-33"])
@pytest.mark.parametrize("line", [LADDER, "plan AAPL 190 1000000 tp=1950-1980.25-2050 sl=187"])
def test_a_plan_fits_eighty_columns_as_it_stands(
    typed: tuple[Runner, FakeTrading], line: str, more: str
) -> None:
    runner, _ = typed
    told = runner.run(line + more).assert_ok()
    assert [long for long in told.lines if len(long) > 80] == []


@pytest.mark.parametrize(
    "words, said, unsaid",
    [
        ("AAPL 190 100 tp=195-198 sl=187", ["2 OCA pairs", "after tp1: sl2 → 190.00"], ["tp3", "after tp1 tp2"]),
        ("AAPL 190 100 tp=195-198 sl=187 cover=none", ["cover: none, until then"], ["one stop at"]),
        ("AAPL 190 100 tp=195-198-205 sl=187 stop_updates=191-196", ["sl2 sl3 → 191.00", "sl3 → 196.00"], ["→ 190.00"]),
        ("AAPL 190 100 tp=195 sl=187", ["tp1<->sl1", "+500.00", "1.67"], ["OCA", "cover", "after tp1", "all"]),
        ("AAPL 190 100 sl=187 sl_type=stop", ["plain stop, a market order once elected", "risk 300.00"], ["tp1"]),
        ("AAPL 190 100 sl=187 sl_offset=0.05", ["limit 0.05 below"], []),
        ("AAPL 190 100 tp=195", ["no stop: the whole position is at risk"], ["sl1"]),
        ("AAPL 190 1", ["no stop: the whole position is at risk"], ["leg", "exits"]),
    ],
)  # fmt: skip
def test_a_plan_says_what_it_has_and_nothing_else(
    typed: tuple[Runner, FakeTrading], words: str, said: list[str], unsaid: list[str]
) -> None:
    runner, _ = typed
    told = runner.run(f"plan {words}").assert_ok().assert_says(*said)
    assert [word for word in unsaid if word in told.text] == []


def test_prices_off_the_grid_are_planned_where_they_would_be_sent(typed: tuple[Runner, FakeTrading]) -> None:
    runner, _ = typed
    told = runner.run("plan AAPL 190.001 100 tp=195.009-198 sl=187.001 stop_updates=190.509").assert_ok()
    told.assert_says("190.01", "195.00", "187.01", "→ 190.50")


def test_scripts_read_legs_updates_and_risk(tmp_path: Path) -> None:
    found = data(tmp_path, f"{LADDER} tp_alloc=50-30-20")
    assert [(leg["leg"], leg["qty"], leg["orders"], leg["stops"]) for leg in found["legs"]] == [
        (1, 50, ["tp1", "sl1"], []),
        (2, 30, ["tp2", "sl2"], ["190"]),
        (3, 20, ["tp3", "sl3"], ["190", "195"]),
    ]
    assert [leg["risk_usd"] for leg in found["legs"]] == ["150", "90", "60"]
    assert [leg["gain_usd"] for leg in found["legs"]] == ["250", "240", "300"]
    assert found["stop_updates"] == [
        {"after": ["tp1"], "legs": ["sl2", "sl3"], "stop": "190"},
        {"after": ["tp1", "tp2"], "legs": ["sl3"], "stop": "195"},
    ]
    assert (found["risk_usd"], found["gain_usd"], found["r_usd"]) == ("300", "790", "3")
    assert (found["mode"], found["cover"]) == ("detached", "own")


def test_the_account_is_masked_for_scripts_too(tmp_path: Path) -> None:
    found = data(tmp_path, f"{LADDER} account=DU7654321")
    assert found["plan"]["account"] == "DU…4321"


def test_what_is_refused_sends_nothing(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    for words in ("tp=195-198-205 sl=191", "tp=195-198", "tp=195-198-205 sl=187 tp_exec=attached", "tpp=195"):
        for command in ("plan", "breakout"):
            told = runner.run(f"{command} AAPL 190 100 {words}").assert_refused()
            assert trading.asked == [], told


def test_a_ladder_is_watched_with_the_plan_that_was_shown(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("breakout AAPL level=190 qty=100 tp=195-198-205 sl=187 tp_alloc=50-30-20").assert_ok()
    ((what, plan),) = trading.asked
    assert what == "watch"
    assert (plan.mode.value, plan.weights, [str(tp) for tp in plan.tps]) == (
        "detached",
        (50, 30, 20),
        ["195", "198", "205"],
    )


def test_breakouts_shows_the_targets_of_a_ladder_with_their_shares(
    typed: tuple[Runner, FakeTrading],
) -> None:
    from tests.core.support import d

    from tradeshell.core.plan import ExitMode

    runner, trading = typed
    trading.desktop.watch(tps=(d("195"), d("198"), d("205")), mode=ExitMode.DETACHED)
    trading.desktop.watch("br-2")
    told = runner.run("breakouts").assert_ok()
    assert max(map(len, told.lines)) <= 80
    words = " ".join(told.text.split())
    for target in ("60@195.00", "30@198.00", "10@205.00"):
        assert target in words
    assert " 195.00 187.00 1m" in words  # the bracket of the other one


def test_cancelling_after_the_fill_keeps_the_exits_and_says_what_sells(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("breakout cancel AAPL").assert_ok().assert_says(
        "br-1: already triggered", "100 shares are held", "kept", "`flatten AAPL` sells"
    )
    assert trading.asked == [("cancel watch", "br-1")]


# --- margin -----------------------------------------------------------------------------------------------------------


def test_margin_is_told_where_the_broker_says_it(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    assert "margin" not in runner.run(LADDER).assert_ok().text
    trading.margin = Margin(
        initial=d("4750"),
        maintenance=d("4750"),
        initial_after=d("9500"),
        equity_after=d("99999"),
        commission=d("1"),
    )
    told = " ".join(runner.run(LADDER).assert_ok().text.split())
    assert (
        "margin at the level, by the broker: initial +4750.00 · maintenance +4750.00 · then 9500.00 · "
        "of equity 99999.00 · commission 1.00" in told
    )
    trading.margin = Margin(initial=d("4750"))
    told = " ".join(runner.run(LADDER).assert_ok().text.split())
    assert "by the broker: initial +4750.00 risk" in told


def test_an_entry_that_the_broker_would_not_take_is_still_planned_and_says_so(
    typed: tuple[Runner, FakeTrading], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, trading = typed

    def refuses(plan: TradePlan) -> Margin | None:
        raise BrokerError("201 the available funds are not sufficient")

    monkeypatch.setattr(trading, "preview", refuses)
    told = " ".join(runner.run(LADDER).assert_ok().text.split())
    assert "margin: the broker would not take the entry: 201 the available funds are not sufficient" in told
    assert "risk 300.00" in told
