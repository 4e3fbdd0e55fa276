"""A few kills of the campaign over TCP, and that its judge finds what must never be."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.crash.wire_chain import BOUND, Fact
from tests.crash.wire_draw import draw
from tests.crash.wire_judge import Execution, Order, Shown, breaches
from tests.crash.wire_kills import run_chain, summary

SEEDS = range(1000, 1006)
LONGEST = 180  # seconds on a busy machine; six seeds take half a minute

STOP = Order(
    client=7, id=2, ref="ts:m-1:sl1:1", symbol="AAA", side="SELL", type="STP", status="PreSubmitted", qty=100, filled=0,
    left=100, limit="None", stop="99", parent=0, group="g1", over=False,
)  # fmt: skip
TARGET = replace(STOP, id=3, ref="ts:m-1:tp1:1", type="LMT", status="Submitted", limit="103", stop="None")
ENTRY = replace(
    STOP, id=1, ref="ts:m-1:entry:1", side="BUY", type="LMT", status="Filled", group="", over=True
)
BOUGHT = Execution(exec="e1", ref="ts:m-1:entry:1", side="BOT", qty=100, symbol="AAA")


def shown(*orders: Order, held: int = 100, executions: tuple[Execution, ...] = (BOUGHT,)) -> Shown:
    """Return a gateway that shows these orders."""
    return Shown(orders=orders, executions=executions, positions={"DU1": {"AAA": held}}, clients=(7,))


def test_a_protected_position_breaks_no_rule() -> None:
    here = shown(ENTRY, STOP, TARGET)
    assert breaches(here, "AAA") == []
    assert (here.covered("AAA"), here.targeted("AAA"), here.could_sell("AAA")) == (100, 100, 100)


@pytest.mark.parametrize(
    "wrong,words",
    [
        (shown(held=-5), "short"),
        (shown(ENTRY, STOP, replace(TARGET, group="g2")), "200 could be sold"),
        (shown(ENTRY, STOP, replace(STOP, id=9, group="g2")), "an order twice"),
        (shown(ENTRY, STOP, replace(STOP, id=9, ref="ts:m-1:sl1:2")), "two generations"),
        (shown(ENTRY, replace(ENTRY, id=9, ref="ts:m-1:entry:2")), "an entry again"),
        (shown(ENTRY, held=200, executions=(BOUGHT, BOUGHT)), "an execution twice"),
        (shown(ENTRY, STOP, held=200), "executions make 100"),
        (shown(replace(ENTRY, filled=200)), "filled 200 of 100"),
    ],
)
def test_what_must_never_be_is_found(wrong: Shown, words: str) -> None:
    assert any(words in each for each in breaches(wrong, "AAA"))


def test_a_stop_that_waits_for_its_entry_covers_nothing() -> None:
    child = replace(STOP, parent=1)
    assert shown(replace(ENTRY, over=False), child).covered("AAA") == 0
    assert shown(ENTRY, child).covered("AAA") == 100
    assert shown(ENTRY, replace(STOP, status="PendingSubmit")).covered("AAA") == 0


def test_a_seed_draws_the_same_again_and_the_draws_differ() -> None:
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]
    drawn = [draw(seed) for seed in range(300)]
    assert {each.stage for each in drawn} == {"entry", "milestone", "flatten", "replace", "cancel"}
    assert {each.buys for each in drawn} == {"ladder", "resting", "bracket", "resting bracket"}
    assert any(each.again is not None for each in drawn)
    assert {each.kill.fuse.rpartition(":")[2] for each in drawn} == {"", "before", "after", "torn"}


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.timeout(LONGEST)
def test_a_shell_killed_while_it_trades_over_tcp_loses_nothing_and_sends_nothing_twice(
    tmp_path: Path,
) -> None:
    facts: list[Fact] = []
    run_chain(SEEDS, tmp_path / "chain", None, facts.append)
    assert [fact.seed for fact in facts] == list(SEEDS)
    assert [fact.wrong for fact in facts if fact.wrong] == []
    assert sum(fact.kills for fact in facts) >= len(SEEDS)
    assert any(fact.held_after for fact in facts)  # something was at stake
    assert max(fact.naked for fact in facts) <= BOUND
    assert "0 violations" in summary(facts)
