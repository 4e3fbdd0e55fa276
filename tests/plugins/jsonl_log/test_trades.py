"""``trades``: figures of trades that were played, against what the venue and the core's own result say."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from tests.faults.kit import Stage
from tests.plugins.jsonl_log import played as situations
from tests.plugins.jsonl_log.played import Played, played

from tradeshell.core.events import CommissionCharged, TradeClosed
from tradeshell_jsonl_log.commands import results_in
from tradeshell_jsonl_log.reader import read_all
from tradeshell_jsonl_log.tale import told
from tradeshell_jsonl_log.trades import Result, totals_of

Play = Callable[[Stage], None]


def results(of: Played) -> list[Result]:
    """Return what the log says of trades."""
    return results_in(told(read_all(of.path)).tales)


def all_targets(stage: Stage) -> None:
    """Every target of a ladder sells."""
    stage.ladder()
    for price in ("195", "198", "205"):
        stage.quote(price, Decimal(price) + Decimal("0.02"))
        stage.wait(2)


@pytest.mark.parametrize(
    "play", [all_targets, situations.stopped_out, situations.flattened, situations.bracket]
)
def test_a_closed_trade_has_the_figures_that_were_told_when_it_closed(tmp_path: Path, play: Play) -> None:
    """Kills: ``trades.result_of`` that counts an execution twice, or forgets one."""
    with played(tmp_path, play) as of:
        (result,) = results(of)
        (closed,) = of.stage.told(TradeClosed)
        fees = sum(event.amount for event in of.stage.told(CommissionCharged))
    assert (result.state, result.id, result.symbol) == ("closed", "br-1", "AAPL")
    assert (result.qty, result.sold) == (100, closed.qty)
    assert (result.entry, result.exit, result.pnl) == (closed.entry, closed.exit, closed.pnl)
    assert result.r is not None
    assert closed.r == result.r.quantize(Decimal("0.0001"))
    assert result.fees == fees > 0
    assert result.net == closed.pnl - fees


def test_a_ladder_tells_each_leg_and_how_long_it_took(tmp_path: Path) -> None:
    with played(tmp_path, all_targets) as of:
        (result,) = results(of)
    assert [(part.leg, part.qty, part.price) for part in result.exits] == [
        ("tp1", 60, Decimal(195)),
        ("tp2", 30, Decimal(198)),
        ("tp3", 10, Decimal(205)),
    ]
    assert result.lasted is not None
    assert 6 < result.lasted.total_seconds() < 9


def test_slippage_is_against_the_ask_and_the_stop_that_were_decided_on(tmp_path: Path) -> None:
    """100 bought at the ask of 190.02, sold at 186.90 under stops at 187.00: ten dollars lost to the market.

    Kills: ``trades._slip`` against the limit, or with the other sign.
    """
    with played(tmp_path, situations.stopped_out) as of:
        (result,) = results(of)
    assert (result.asked, result.entry) == (Decimal("190.02"), Decimal("190.02"))
    assert result.slippage == Decimal("-10.00")
    assert {part.leg: part.slippage for part in result.exits} == {
        "sl1": Decimal("-6.00"),
        "sl2": Decimal("-3.00"),
        "sl3": Decimal("-1.00"),
    }


def test_a_stop_that_was_moved_slips_against_where_it_stood(tmp_path: Path) -> None:
    """Kills: ``trades._slip`` that looks at the first stop only."""

    def moved(stage: Stage) -> None:
        situations.first_target(stage)
        stage.move_to("189.95")
        stage.wait(2)

    with played(tmp_path, moved) as of:
        (result,) = results(of)
    assert {part.leg: part.slippage for part in result.exits} == {
        "tp1": None,
        "sl2": Decimal("-1.50"),
        "sl3": Decimal("-0.50"),
    }


def test_an_open_trade_says_what_it_has_sold_so_far(tmp_path: Path) -> None:
    with played(tmp_path, situations.first_target) as of:
        (result,) = results(of)
    assert (result.state, result.qty, result.sold, result.lasted) == ("open", 100, 60, None)
    assert result.pnl == Decimal("298.80")


def test_what_was_never_bought_is_no_trade(tmp_path: Path) -> None:
    with played(tmp_path, situations.timed_out) as of:
        assert results(of) == []


def test_an_execution_that_the_exchange_took_back_counts_no_more(tmp_path: Path) -> None:
    """Kills: ``tale.executions`` that keeps what a correction replaces."""

    def busted(stage: Stage) -> None:
        situations.first_target(stage)
        stage.quote("194", "194.02")
        stage.bust("tp1")
        stage.wait(12)

    with played(tmp_path, busted) as of:
        (result,) = results(of)
    assert (result.state, result.sold, result.pnl) == ("open", 0, Decimal(0))


def test_totals_are_sums_and_a_trade_has_won_after_fees(tmp_path: Path) -> None:
    with played(tmp_path, situations.bracket) as of:
        won = results(of)
    (tmp_path / "2").mkdir()
    with played(tmp_path / "2", situations.stopped_out) as of:
        lost = results(of)
    found = [*won, *lost]
    totals = totals_of(found)
    assert (totals.trades, totals.open, totals.won, totals.lost) == (2, 0, 1, 1)
    assert totals.pnl == Decimal("498.00") - Decimal("312.00")
    assert totals.net == totals.pnl - totals.fees
    assert totals.r == sum(each.r or 0 for each in found)
    assert totals.expectancy == totals.r / 2
    assert totals_of(()).expectancy is None


def test_a_replay_that_is_run_again_is_another_trade(tmp_path: Path) -> None:
    """Kills: ``tale.told`` that puts two runs of one recording together (200 shares bought)."""
    with played(tmp_path, situations.bracket) as of:
        records = list(read_all(of.path))
    start = {**records[0], "event": "SessionStarted"}
    twice = told([start, *records, start, *records])
    assert [(result.id, result.qty) for result in results_in(twice.tales)] == [("br-1", 100), ("br-1", 100)]
