"""``stopentry`` and ``flatten``: what they say, ask, refuse, and what really happens on the paper venue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.core.support import ENTRY
from tests.shell.support import FakeTrading, d, make_runner, make_shell

from tradeshell.core import inputs as i
from tradeshell.core.orders import OrderState
from tradeshell.engine.journal import read_journal
from tradeshell.engine.store import load
from tradeshell.grammar import complete
from tradeshell.shell import picture
from tradeshell.shell.commands_risk import FLATTEN
from tradeshell.testing.outcome import Runner
from tradeshell.testing.session import open_shell

BUY = "buy DEMO 100 tp=105 sl=98"


@pytest.fixture
def typed(tmp_path: Path) -> tuple[Runner, FakeTrading]:
    """A shell to type into, and the fake behind it."""
    return make_runner(tmp_path)


def foreign(trading: FakeTrading, symbol: str, qty: int) -> None:
    """Let the broker report a position."""
    desktop = trading.desktop
    desktop.wait(
        5
    )  # right after an execution a position may be an old one, and is not believed to be somebody else's
    told = i.PositionReport(
        symbol=symbol, con_id=265598, account=desktop.desk.account, qty=qty, average=d("190")
    )
    desktop.do(i.PositionReported, position=told)


# --- stopentry --------------------------------------------------------------------------------------------------------


def test_stopentry_switches_entries_off_and_on_and_says_what_it_found(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    runner.run("stopentry").assert_ok().assert_says("entries are off (stopentry) · exits keep working")
    assert trading.desktop.desk.stopped == "stopentry"
    again = runner.run("stopentry on").assert_ok()
    assert again.text == "entries are off already (stopentry) · `stopentry off` allows them again\n"
    runner.run("stopentry off").assert_ok().assert_says("entries are allowed again")
    assert runner.run("stopentry off").assert_ok().text == "entries are allowed already\n"
    assert trading.asked == [("stop entries", on) for on in (True, True, False, False)]


def test_a_word_that_is_no_switch_is_refused_and_nothing_is_switched(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    runner.run("stopentry of").assert_refused("stopentry: switch=of: is one of on off · example: switch=off")
    assert trading.asked == []


def test_status_and_toolbar_show_that_entries_are_off(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    assert "entries" not in runner.run("status").text.replace("entries may leave", "")
    assert "ENTRIES OFF" not in [piece.text for piece in picture.toolbar(trading.view(), 200)]
    runner.run("stopentry")
    runner.run("status").assert_says("  entries    OFF (stopentry) · `stopentry off` allows them again")
    runner.run("status").assert_says("  link       up, reconciled\n")
    pieces = {piece.text: piece.style for piece in picture.toolbar(trading.view(), 30)}
    assert pieces["ENTRIES OFF"] == "alarm"  # narrow as it is


def test_without_a_link_the_unfilled_entry_is_named_that_goes_when_the_link_is_back(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    trading.desktop.trigger()
    trading.desktop.report(ENTRY, OrderState.WORKING)
    trading.desktop.do(i.LinkChanged, up=False, account="", paper=True)
    said = runner.run("stopentry").assert_ok()
    said.assert_says("not connected: the unfilled entries of AAPL are cancelled when the link is back")


def test_a_disk_that_does_not_take_the_switch_is_told(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.is_kept = False
    runner.run("stopentry").assert_says(
        "the disk does not take it: the next start would begin with entries allowed"
    )
    runner.run("stopentry off").assert_says("the next start would begin with entries off")


def test_scripts_read_the_switch_as_data(tmp_path: Path) -> None:
    runner, _ = make_runner(tmp_path, as_json=True)
    result = json.loads(runner.run("stopentry").lines[-1])
    assert result["data"] == {"stopped": "stopentry", "kept": True}
    status = json.loads(runner.run("status").lines[-1])
    assert (status["data"]["stopped"], status["data"]["frozen"]) == ("stopentry", {})


# --- flatten ----------------------------------------------------------------------------------------------------------


def test_flatten_sends_what_was_named_waits_and_is_silent_when_all_went_well(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("flatten aapl").assert_ok()
    assert trading.asked == [("flatten", "AAPL"), ("wait until flat", ("AAPL",), 30.0)]


def test_flatten_all_is_one_request(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    runner.run("flatten all timeout=5").assert_ok()
    assert trading.asked == [("flatten", None), ("wait until flat", ("AAPL",), 5.0)]


@pytest.mark.parametrize("line", ["flatten ALL", "flatten ALL now"])
def test_flatten_all_without_anything_to_sell_is_no_failure(
    typed: tuple[Runner, FakeTrading], line: str
) -> None:
    runner, trading = typed
    assert runner.run(line).assert_ok().text == "our trades hold nothing, and no entry works\n"
    assert trading.asked == []


def test_flatten_refuses_before_anything_is_sent_when_one_symbol_is_not_ours(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    trading.hold_position()
    foreign(trading, "MSFT", 40)
    runner.run("flatten AAPL TSLA").assert_refused(
        "flatten: TSLA: nothing of ours is held there; our trades are open in AAPL"
    )
    runner.run("flatten MSFT").assert_refused(
        "MSFT: 40 are held, but our trades did not buy them · `sell MSFT 40` sells them"
    )
    runner.run("flatten").assert_refused("flatten: symbol is missing · example: flatten AAPL")
    runner.run("flatten A/B").assert_refused("a symbol is letters and digits")
    assert trading.asked == []


def test_what_is_not_flat_in_time_is_named_and_fails_a_script(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    trading.becomes_flat = False
    said = runner.run("flatten AAPL timeout=10")
    assert not said.ok
    said.assert_says("AAPL: not flat after 10 s · 100 shares held, working:", "`orders AAPL` shows how")


def test_without_a_link_flatten_is_queued_and_says_so(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    trading.hold_position()
    trading.desktop.do(i.LinkChanged, up=False, account="", paper=True, why="cable")
    runner.run("flatten AAPL").assert_ok().assert_says(
        "queued: not connected (cable); it is done first when the link is back"
    )
    assert trading.asked == [("flatten", "AAPL")]
    assert trading.desktop.trade().is_flattening


@pytest.mark.parametrize("answer, is_sent", [("y", True), ("YES", True), ("n", False), ("", False)])
def test_a_person_is_told_what_will_be_sold_and_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, is_sent: bool
) -> None:
    shell, trading = make_shell(tmp_path)
    asked: list[str] = []

    def read(prompt: str, **_: Any) -> str:
        asked.append(prompt)
        return answer

    monkeypatch.setattr(type(shell), "has_terminal", True)
    monkeypatch.setattr(shell, "read_input", read)
    trading.hold_position()
    trading.desktop.wait(7)  # a position told sooner may be from before the fill
    foreign(trading, "AAPL", 150)
    trading.desktop.watch("br-2")
    said = Runner(shell).run("flatten AAPL")
    assert asked == ["Flatten? [y/N] "]
    said.assert_says(
        "AAPL: sells 100 shares · cancels tp1 sl1 · 50 shares that our trades did not buy stay · "
        "br-2 stays armed (`breakout cancel AAPL` ends it)"
    )
    assert (("flatten", "AAPL") in trading.asked) is is_sent
    assert said.ok is is_sent
    asked.clear()
    Runner(shell).run("flatten AAPL now")
    assert asked == []


def test_completion_offers_what_our_trades_hold_and_all(typed: tuple[Runner, FakeTrading]) -> None:
    _, trading = typed
    nothing = complete(FLATTEN, "", (), trading.view())
    assert not isinstance(nothing, str)
    assert [offer.text for offer in nothing] == ["timeout=", "now=", "now"]
    trading.hold_position()
    foreign(trading, "MSFT", 40)
    offers = complete(FLATTEN, "", (), trading.view())
    assert not isinstance(offers, str)
    assert [(offer.text, offer.meaning) for offer in offers][:2] == [
        ("AAPL", "100 held by our trades"),
        ("ALL", "all 1 of them"),
    ]


# --- on the paper venue -----------------------------------------------------------------------------------------------


def test_stopentry_outlives_the_program_and_holds_before_anything_can_trigger(tmp_path: Path) -> None:
    args = ["--market", "DEMO=100", "--speed", "max", "--state-dir", str(tmp_path)]
    with open_shell(args) as shell:
        runner = Runner(shell)
        runner.run("stopentry").assert_ok()
        saved = load(
            tmp_path / "paper" / "state.toml"
        ).saved  # at once: a program that is killed now has kept it
        assert saved is not None
        assert saved.stopped == "stopentry"
    with open_shell(args) as shell:
        runner = Runner(shell)
        runner.run("status").assert_says("OFF (stopentry)")
        runner.run(BUY).assert_refused("entries_stopped: entries are off (stopentry)")
        runner.run("breakout DEMO 100.05 100 tp=105 sl=98").assert_refused("entries_stopped")
        runner.run("stopentry off").assert_ok()
        runner.run(BUY).assert_ok()
    inputs = [type(entry.input).__name__ for entry in read_journal(tmp_path / "paper" / "journal")]
    assert inputs[:2] == ["PolicySet", "StopEntryRequested"]
    with open_shell(args) as shell:
        assert "entries" not in Runner(shell).run("status").text.replace("entries may leave", "")


def test_what_was_stopped_in_a_replay_stays_in_it(tmp_path: Path) -> None:
    bars = tmp_path / "1m" / "AAPL_2025-07-08_trades.csv"
    bars.parent.mkdir()
    rows = [f"2025-07-08 13:{minute}:00+00:00,190,191,189,190,100" for minute in (30, 31)]
    bars.write_text("\n".join(("ts,open,high,low,close,volume", *rows, "")), encoding="utf-8")
    args = ["--replay", str(bars), "--speed", "max", "--state-dir", str(tmp_path / "state")]
    with open_shell(args) as shell:
        Runner(shell).run("stopentry").assert_ok()
    with open_shell(args) as shell:
        Runner(shell).run("status").assert_says("entries may leave")


def test_stopentry_cancels_the_unfilled_entry_and_leaves_exits_alone() -> None:
    with open_shell("--market DEMO=100 --speed max") as shell:
        runner = Runner(shell)
        runner.run(BUY).assert_ok()
        runner.run("buy DEMO 50 limit=90").assert_ok()
        runner.run("stopentry").assert_ok().assert_says("cancelled · entries are stopped")
        orders = runner.run("orders").text
        assert [leg for leg in ("entry", "tp1", "sl1") if leg in orders] == ["tp1", "sl1"]


def test_flatten_sells_what_our_trades_bought_and_is_flat(tmp_path: Path) -> None:
    with open_shell("--market DEMO=100 --market AAPL=190 --speed max") as shell:
        runner = Runner(shell)
        runner.run(BUY).assert_ok()
        runner.run("buy AAPL 10 sl=180").assert_ok()
        runner.run("flatten DEMO").assert_ok().assert_says("DEMO is flat")
        assert "DEMO" not in runner.run("positions").text
        runner.run("positions").assert_says("AAPL")
        runner.run("flatten ALL").assert_ok().assert_says("AAPL is flat")
        assert runner.run("positions").text == "no position\n"
        assert runner.run("orders").text == "no order is working\n"


def test_flatten_without_a_link_is_done_when_the_link_is_back() -> None:
    with open_shell("--market DEMO=100 --speed max") as shell:
        runner = Runner(shell)
        runner.run(BUY).assert_ok()
        runner.run("disconnect").assert_ok()
        runner.run("flatten DEMO").assert_ok().assert_says("queued: not connected")
        runner.run("connect").assert_ok()
        runner.run("wait DEMO timeout=1m").assert_ok()
        assert runner.run("positions").text == "no position\n"


def test_limits_of_the_config_hold_for_what_is_typed_and_watched(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[limits]\nmax_qty = 50\nmax_orders_per_minute = 2\n", encoding="utf-8")
    with open_shell(["--market", "DEMO=100", "--speed", "max", "--config", str(config)]) as shell:
        runner = Runner(shell)
        runner.run("buy DEMO 51").assert_refused("max_qty: 51 shares are more than 50 in one order")
        runner.run("breakout DEMO 100.05 51 sl=98").assert_refused("max_qty: 51 shares are more than 50")
        runner.run("buy DEMO 10").assert_ok()
        runner.run("buy DEMO 11 limit=99").assert_ok()
        runner.run("buy DEMO 12").assert_refused("max_orders_per_minute")
        runner.run("orders replace DEMO.entry qty=51").assert_refused("max_qty")
        runner.run("orders replace DEMO.entry limit=150").assert_refused(
            "price_collar: limit 150.00 is more than 3 % through the ask"
        )


def test_a_stop_is_not_put_below_where_the_plan_has_it_since_a_target_was_reached(tmp_path: Path) -> None:
    lines = (
        "breakout DEMO 100.05 100 tp=100.40-101.80-102.50 sl=99.50",
        "wait timeout=15m",
        "orders replace DEMO.sl* stop=100.02",
        "orders replace DEMO.sl2 stop=100.10",
    )
    with open_shell("--market DEMO=100 --speed max", folder=tmp_path) as shell:
        runner = Runner(shell)
        said = [runner.run(line) for line in lines]
    said[2].assert_refused(
        "stop=100.02 is below 100.05, where the plan has DEMO.sl2 since target 1 was reached"
    )
    assert "→" not in said[2].text
    said[3].assert_ok().assert_says("stands at 100.10")
