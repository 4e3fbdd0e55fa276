"""Computed targets on every level of every recorded day: from the past alone, rising, on the grid, explained, highs first."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.oracle.cases import DATA
from tests.targets import report
from tests.targets.recorded import ABSENT, Case, cases, computed, past_of, tape

from tradeshell import US_STOCK_GRID
from tradeshell.testing import open_shell
from tradeshell.testing.outcome import Runner
from tradeshell_paper.series import BarColumns, to_ms
from tradeshell_paper.tape import Tape
from tradeshell_tp_auto.calculator import GAP, begin_of_scale, scale_of, source_of

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=ABSENT)
COUNTS = (1, 2, 3)
LATER = datetime(2030, 1, 1, tzinfo=UTC)  # everything recorded is past


def all_cases() -> list[Any]:
    if not DATA.is_dir():
        return []
    return [pytest.param(case, id=f"{case.symbol} {case.date} {case.level}") for case in cases()]


@pytest.mark.parametrize("case", all_cases())
def test_targets_rise_lie_on_the_grid_and_explain_themselves(case: Case) -> None:
    for count in COUNTS:
        targets = computed(case, count=count)
        if targets is None:
            continue
        prices = [case.price, *(target.price for target in targets)]
        assert prices == sorted(set(prices))
        assert len(targets) == count
        assert all(US_STOCK_GRID.holds(price) for price in prices)
        assert all(" bars, " in target.why and " day" in target.why for target in targets)


def with_another_future(known: Tape, case: Case, factor: Decimal) -> Tape:
    """Return the tape with every minute that had not closed at the case's instant multiplied by ``factor``."""
    other = Tape(known.symbol, in_force=True)
    for seconds, bars in known.bars.items():
        assert isinstance(bars, BarColumns)
        columns = BarColumns(known.symbol, seconds)
        columns.extend(bars)
        first = next(
            (row for row, ms in enumerate(columns.ms) if ms + 1000 * seconds > to_ms(case.at)), len(columns)
        )
        for column in (columns.opens, columns.highs, columns.lows, columns.closes):
            column[first:] = [price * factor for price in column[first:]]
        other.bars[seconds] = columns
    return other


@cache
def closes(symbol: str) -> list[Decimal]:
    return [bar.close for bar in past_of(tape(symbol), LATER)(60, 10**6, False)]


@pytest.mark.parametrize("factor", ["0.5", "0.97", "1.03", "3"])
def test_another_future_changes_no_target(factor: str) -> None:
    changed = 0
    for case in cases():
        known = tape(case.symbol)
        other = with_another_future(known, case, Decimal(factor))
        assert computed(case, other) == computed(case), case
        changed += [bar.close for bar in past_of(other, LATER)(60, 10**6, False)] != closes(case.symbol)
    assert changed > 100


def test_where_earlier_highs_lie_above_the_level_the_first_target_comes_from_them() -> None:
    """The highs are looked for here without the plugin: the highest regular five-minute bar of the last days."""
    seen = 0
    for case in cases():
        targets = computed(case, count=1)
        bars = past_of(tape(case.symbol), case.at)(300, 390, True)
        oldest = case.at - timedelta(days=10)
        bars = tuple(bar for bar in bars if bar.start >= oldest)
        begins = begin_of_scale(bars)
        bars = tuple(bar for bar in bars if begins is None or bar.start >= begins)
        if targets is None or not bars or bars[-1].close > 2 * case.price:
            continue
        scale = scale_of(bars, source_of(bars, rth=True, cut=False))
        if scale is None or max(bar.high for bar in bars) < case.price + scale.part(GAP) + Decimal("0.01"):
            continue
        seen += 1
        assert not targets[0].why.startswith("projected"), case
    assert seen > 50


def test_a_recorded_day_is_traded_at_the_computed_prices(tmp_path: Path) -> None:
    """The whole program: SPY breaks the high of its first five minutes, with the days before as its past."""
    days = sorted(DATA.glob("1m/SPY_2013-10-*_*.csv.gz"))
    before = [f"--replay={path}" for path in days if path.name < "SPY_2013-10-11"]
    args = [*before, "--speed", "max", "--from", "2013-10-10T09:35", "--state-dir", str(tmp_path)]
    with open_shell(args) as shell:
        runner = Runner(shell)
        runner.run("breakout SPY 167.48 100 tp-3 sl=166.64 max_chase=off").assert_ok()
        runner.run("wait ALL timeout=8h")
        executions = runner.run("executions").text
    events = [json.loads(line) for line in (tmp_path / "replay/events.jsonl").read_text("utf-8").splitlines()]
    (computed_,) = (event for event in events if event["event"] == "AutoTpComputed")
    (started,) = (event for event in events if event["event"] == "BreakoutStarted")
    assert computed_["seq"] < started["seq"]
    assert computed_["tp"] == started["tp"]
    assert computed_["why"] == started["tp_why"]
    intents = {e["leg"]: e for e in events if e["event"] == "OrderIntent" and str(e["leg"]).startswith("tp")}
    assert [Decimal(intents[f"tp{n}"]["limit"]) for n in (1, 2, 3)] == [Decimal(p) for p in started["tp"]]
    sold = [line.split()[2:6] for line in executions.splitlines() if "SELL" in line]
    assert [leg[0] for leg in sold] == ["tp1", "tp2", "sl3"]
    assert [Decimal(leg[3]) for leg in sold] == [Decimal(started["tp"][n]) for n in (0, 1, 0)]


def test_the_report_has_a_line_for_every_symbol_day(capsys: pytest.CaptureFixture[str]) -> None:
    assert report.main() == 0
    told = capsys.readouterr().out
    days = {f"{case.symbol} {case.date}" for case in cases()}
    assert all(day in told for day in days)
    assert f"{len(days)} symbol-days" in told
    assert max(map(len, told.splitlines())) <= 120
