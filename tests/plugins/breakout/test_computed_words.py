"""`tp=auto`, `tp_count=` and `tp-2`: what a method is asked, what becomes of its answer, what is refused before."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.shell.support import FakeTrading, make_runner

from tradeshell import ExitMode, Instrument, Session, TradePlan, WatchSpec
from tradeshell.core.strategy import Tell
from tradeshell.grammar import complete
from tradeshell.testing.outcome import Runner
from tradeshell_breakout.command import commands
from tradeshell_breakout.events import AutoTpComputed, BreakoutStarted
from tradeshell_breakout.grammar import BREAKOUT_GRAMMAR
from tradeshell_breakout.strategy import Breakout


@pytest.fixture
def typed(tmp_path: Path) -> tuple[Runner, FakeTrading]:
    return make_runner(tmp_path, extra=[("breakout", command) for command in commands()])


def plan_of(trading: FakeTrading) -> TradePlan:
    (plan,) = [asked[1] for asked in trading.asked if asked[0] == "watch"]
    assert isinstance(plan, TradePlan)
    return plan


@pytest.mark.parametrize(
    "words, count, sl, mode, weights",
    [
        ("level=190 qty=100 tp=auto", 1, None, ExitMode.ATTACHED, ()),
        ("level=190 qty=100 tp-1 sl=187", 1, "187", ExitMode.ATTACHED, ()),
        ("level=190 qty=100 tp=auto tp_count=2 sl=187", 2, "187", ExitMode.DETACHED70, ()),
        ("190 100 tp-2 sl=187", 2, "187", ExitMode.DETACHED70, ()),
        ("190 100 tp_count=3 sl=187", 3, "187", ExitMode.DETACHED, ()),
        ("190 100 tp=AUTO tp-3 sl=187 tp_alloc=50-30-20", 3, "187", ExitMode.DETACHED, (50, 30, 20)),
        ("190 100 tp-3 sl=187 tp_exec=detached", 3, "187", ExitMode.DETACHED, ()),
    ],
)
def test_the_words_ask_for_targets_and_the_answer_becomes_the_plan(
    typed: tuple[Runner, FakeTrading],
    words: str,
    count: int,
    sl: str | None,
    mode: ExitMode,
    weights: tuple[int, ...],
) -> None:
    runner, trading = typed
    runner.run(f"breakout AAPL {words}").assert_ok()
    stop = None if sl is None else Decimal(sl)
    assert trading.asked[0] == ("targets", "auto", "AAPL", Decimal(190), count, True, stop)
    plan = plan_of(trading)
    assert plan.tps == tuple(Decimal(190 + 2 * n) for n in range(1, count + 1))
    assert (plan.mode, plan.weights, plan.tp_method) == (mode, weights, "auto")
    assert [why.partition(" ")[0] for why in plan.tp_why] == [str(n) for n in range(1, count + 1)]


def test_rth_false_asks_for_extended_hours(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("breakout AAPL 190 100 tp-1 rth=false").assert_ok()
    assert trading.asked[0][5] is False


def test_prices_that_are_named_ask_no_method(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("breakout AAPL 190 100 tp=195-198 sl=187").assert_ok()
    assert [asked[0] for asked in trading.asked] == ["watch"]
    assert plan_of(trading).tp_why == ()
    assert plan_of(trading).tp_method == ""


@pytest.mark.parametrize(
    "words, said",
    [
        ("190 100 tp-2", "sl: a ladder (tp=auto tp_count=2) needs a stop for every leg · example: sl=186.20"),
        ("190 100 tp-3 sl=191", "sl=191.00: the stop of a long trade lies below the level 190.00"),
        ("190 2 tp-3 sl=187", "qty=2: split 60-30-10 leaves leg 3 without a share"),
        ("190 100 tp-3 sl=187 tp_alloc=50-30-30", "sums to 110"),
        ("190 100 tp-2 sl=187 tp_alloc=50-50", "two targets (tp_exec=detached70) are always shared 70-30"),
        (
            "190 100 tp-2 sl=187 tp_exec=attached",
            "tp_exec=attached: a bracket has one target, two targets are given",
        ),
        ("190 100 tp-1 sl=187 cover=none", "cover=none: protects a ladder's shares"),
        ("190 100 tp=195 tp_count=2", "tp_count=2: counts computed targets, and tp=195 names prices"),
    ],
)
def test_what_no_price_could_repair_is_refused_before_a_method_is_asked(
    typed: tuple[Runner, FakeTrading], words: str, said: str
) -> None:
    runner, trading = typed
    for command in ("breakout", "plan"):
        told = runner.run(f"{command} AAPL {words}")
        assert not told.ok
        assert said in told.text
    assert trading.asked == []


def test_stop_updates_are_held_against_the_computed_targets(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    told = runner.run("breakout AAPL 190 100 tp-3 sl=187 stop_updates=190-195")
    assert "195.00 is not below tp2 194.00" in told.text
    assert [asked[0] for asked in trading.asked] == ["targets"]
    runner.run("breakout AAPL 190 100 tp-3 sl=187 stop_updates=190-193").assert_ok()


def test_another_method_is_asked_by_its_name(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    assert not runner.run("breakout AAPL 190 100 tp=mine tp_count=2 sl=187").ok
    assert trading.asked[0][1] == "mine"
    assert len(trading.asked) == 1


def test_a_plan_says_how_each_target_was_found(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    told = runner.run("plan AAPL 190 100 tp-2 sl=187").assert_ok()
    lines = [line.strip() for line in told.lines]
    assert lines[lines.index("tp1 192.00: 1 highs 192") + 1] == "5m bars, 1 days"
    assert "tp2 194.00: 2 highs 194" in lines
    assert [asked[0] for asked in trading.asked] == ["targets"]


def test_scripts_read_how_each_target_was_found(tmp_path: Path) -> None:
    runner, _ = make_runner(tmp_path, extra=[("breakout", command) for command in commands()], as_json=True)
    data: Any = msgspec.json.decode(runner.run("plan AAPL 190 100 tp-2 sl=187").text)["data"]
    assert data["tp_method"] == "auto"
    assert [leg["tp_why"] for leg in data["legs"]] == [
        "1 highs 192 · 5m bars, 1 days",
        "2 highs 194 · 5m bars, 2 days",
    ]
    started: Any = msgspec.json.decode(runner.run("breakout AAPL 190 100 tp-1").text)["data"]
    assert started["tp"] == ["192"]
    assert started["tp_why"] == ["1 highs 192 · 5m bars, 1 days"]
    named: Any = msgspec.json.decode(runner.run("plan AAPL 190 100 tp=195").text)["data"]
    assert named["tp_method"] is None
    assert named["legs"][0]["tp_why"] is None


def test_the_methods_are_offered_where_a_target_is_typed(typed: tuple[Runner, FakeTrading]) -> None:
    _, trading = typed
    found = complete(BREAKOUT_GRAMMAR, "tp=", ("AAPL", "190", "100"), trading.view())
    assert not isinstance(found, str)
    assert [(offer.text, offer.meaning) for offer in found] == [("tp=auto", "earlier highs")]


@pytest.mark.parametrize(
    "words, offered", [(("tp-2",), ["70-30"]), (("tp=auto", "tp_count=3"), ["60-30-10", "50-30-20"])]
)
def test_splits_that_fit_the_number_of_computed_targets_are_offered(
    words: tuple[str, ...], offered: list[str]
) -> None:
    found = complete(BREAKOUT_GRAMMAR, "tp_alloc=", ("AAPL", "190", "100", *words), None)
    assert not isinstance(found, str)
    assert [offer.display for offer in found] == offered


def test_the_start_line_and_the_log_say_how_each_target_was_found(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("breakout AAPL 190 100 tp-2 sl=187").assert_ok()
    plan, at = plan_of(trading), trading.view().now
    session = Session(open=at, close=at, extended_open=at, extended_close=at)
    watch = WatchSpec(
        id="br-1",
        strategy="breakout",
        plan=plan,
        params={"bar": "60", "rth": "true", "max_bars": ""},
        instrument=Instrument(symbol="AAPL", con_id=1),
        session=session,
    )
    _, (computed, started) = Breakout().start(watch, at)
    assert isinstance(computed, Tell)
    assert isinstance(started, Tell)
    assert computed.event == AutoTpComputed(
        symbol="AAPL", watch="br-1", method="auto", level=Decimal(190), tp=plan.tps, why=plan.tp_why
    )
    assert computed.event.story() is None
    assert isinstance(started.event, BreakoutStarted)
    assert started.event.story() == (
        "br-1 · detached70 70/30 tp 192.00 194.00 sl 187.00 · watching 1m closes ≥ 190.00 · "
        "tp1: 1 highs 192 · tp2: 2 highs 194"
    )
