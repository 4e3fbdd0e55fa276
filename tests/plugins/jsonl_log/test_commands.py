"""The commands at the prompt: widths, completion, JSON, logs that are not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from tests.plugins.jsonl_log import played as situations
from tests.plugins.jsonl_log.played import played
from tests.plugins.jsonl_log.test_trades import all_targets

from tradeshell.grammar import Answer, Table, Words, complete
from tradeshell.shell.render import Screen, answer_text
from tradeshell.testing import Runner, open_shell
from tradeshell_jsonl_log.commands import COMMANDS, TRADES, WHY, trades, why

LADDER = "breakout DEMO 100.30 100 tp=101.20-101.5-102 sl=99.80"
ARGS = "--market DEMO=100 --seed 3 --speed max"


@pytest.fixture(scope="module")
def after() -> Iterator[Runner]:
    """A shell in which a ladder was traded and an order was typed."""
    with open_shell(ARGS) as shell:
        runner = Runner(shell)
        for line in ("buy DEMO 100 tp=100.5 sl=99.80", LADDER, "wait", "breakout AAPL 999 10"):
            runner.run(line).assert_ok()
        yield runner


def answers(runner: Runner) -> list[Answer]:
    trading = runner.shell.trading
    asked = ["DEMO", "AAPL", *(f"DEMO.{leg}" for leg in ("entry", "sl1", "sl2", "sl3", "tp1", "tp2", "tp3"))]
    return [*(why(trading, Words(values={"about": word})) for word in asked), trades(trading, Words())]


@pytest.mark.parametrize("width", [80, 160])
def test_every_answer_fits_the_screen(after: Runner, width: int) -> None:
    for answer in answers(after):
        text = answer_text(answer.lines, Screen(width=width, wrap=True, colour=False))
        assert [line for line in text.split("\n") if cell_len(line) > width] == []


def test_the_table_of_trades_is_a_table_at_eighty_columns(after: Runner) -> None:
    answer = trades(after.shell.trading, Words())
    assert isinstance(answer.lines[0], Table)
    text = answer_text(answer.lines, Screen(width=80, wrap=True, colour=False))
    assert text.split("\n")[0].split() == " ".join(column.name for column in answer.lines[0].columns).split()


def test_completion_offers_symbols_watchers_legs_and_numbers(after: Runner) -> None:
    view = after.shell.trading.view()
    offers = complete(WHY, "", (), view)
    assert not isinstance(offers, str)
    found = {offer.text: offer.meaning for offer in offers}
    (watcher,) = (watch for watch in view.desk.watchers.values() if watch.spec.plan.symbol == "DEMO")
    assert {"DEMO", "AAPL", "DEMO.sl2", "DEMO.entry", watcher.spec.id} <= found.keys()
    numbers = [text for text in found if text.isdigit()]
    assert sorted(map(int, numbers)) == sorted(order.order_id for order in view.desk.orders())
    for word in found:
        after.run(f"why {word}").assert_ok()
    narrowed = complete(WHY, "DEMO.s", (), view)
    assert {offer.text for offer in narrowed if not isinstance(offer, str)} == {
        "DEMO.sl1",
        "DEMO.sl2",
        "DEMO.sl3",
    }


def test_completion_of_trades_offers_symbols_and_keys(after: Runner) -> None:
    view = after.shell.trading.view()
    offers = complete(TRADES, "", (), view)
    assert {offer.text for offer in offers if not isinstance(offer, str)} == {"DEMO", "since=", "n=", "today"}
    assert complete(TRADES, "", ("DEMO", "today", "n=5"), view) == "symbol  only these symbols"


def test_json_holds_the_records_and_the_figures(tmp_path: Path) -> None:
    with open_shell(f"{ARGS} --json --state-dir {tmp_path}") as shell:
        runner = Runner(shell)
        for line in (LADDER, "wait"):
            runner.run(line).assert_ok()
        told = json.loads(runner.run("why DEMO.sl2").text.splitlines()[-1])["data"]
        assert told["situation"] == "ended_with_sibling"
        assert {record["event"] for record in told["because"]} >= {"OrderIntent", "BracketChildOrderFilled"}
        found = json.loads(runner.run("trades").text.splitlines()[-1])["data"]
    (trade,) = found["trades"]
    assert (trade["state"], trade["qty"], trade["pnl"], trade["fees"]) == ("closed", 100, "98.00", "4.00")
    assert [part["leg"] for part in trade["exits"]] == ["tp1", "tp2", "sl3"]
    assert (found["totals"]["trades"], found["totals"]["net"]) == (1, "94.00")


def test_without_a_log_both_commands_say_so_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[sinks.jsonl]\nenabled = false\n", encoding="utf-8")
    with open_shell(f"{ARGS} --config {config}") as shell:
        runner = Runner(shell)
        for line in ("why DEMO", "trades"):
            runner.run(line).assert_refused(f"{line.split()[0]}: there is no log of events to read")


def test_a_log_that_is_damaged_says_so_under_the_answer(tmp_path: Path) -> None:
    with played(tmp_path, all_targets) as of:
        lines = of.path.read_bytes().splitlines(keepends=True)
        of.path.write_bytes(b"".join([*lines[:-3], b"garbage\n"]))
        list(of.log.read(b""))
        (warning,) = of.log.warnings()
    assert warning == f"events.jsonl is damaged after line {len(lines) - 3}: 8 bytes of it were not used"


def test_trades_of_earlier_days_and_sessions_are_there(tmp_path: Path) -> None:
    with open_shell(f"{ARGS} --state-dir {tmp_path}") as shell:
        for line in ("buy DEMO 100 tp=100.5 sl=99.80", "wait"):
            Runner(shell).run(line).assert_ok()
    with open_shell(f"{ARGS} --state-dir {tmp_path}") as shell:
        runner = Runner(shell)
        runner.run("trades").assert_says("1 trade · 1 won, 0 lost")
        runner.run("trades since=2030-01-01").assert_says("no trade")
        runner.run("why DEMO").assert_says("is closed since")


def test_examples_work_as_typed(tmp_path: Path) -> None:
    with played(tmp_path, situations.ladder):
        pass
    for command in COMMANDS:
        assert all(example.startswith(command.name) for example in command.examples)
