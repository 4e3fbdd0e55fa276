"""The report of the fast path says what the real program does on the recorded seconds."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.fast import report
from tests.fast.report import Case, Entry
from tests.oracle.cases import ABSENT, DATA, played

pytestmark = pytest.mark.skipif(not report.SECONDS.is_dir(), reason=ABSENT)
DAY = "IBM_2013-10-10"


def entered(folder: Path, case: Case, since: str, *words: str) -> Entry | None:
    """Return how the real program enters."""
    names = [str(path) for path in sorted(report.SECONDS.glob(f"{DAY}_*.csv.gz"))]
    folder.mkdir(parents=True)
    line = f"breakout {case.symbol} {case.price} 10 {' '.join(words)}"
    assert played(folder, names, since, line) == 0
    log = [json.loads(line) for line in (folder / "replay" / "events.jsonl").read_text("utf-8").splitlines()]
    asks: list[dict[str, Any]] = [record for record in log if record["event"] == "BreakoutConfirmed"]
    if not asks:
        return None
    (one,) = asks
    is_fast = any(record["event"] == "BreakoutFastTriggered" for record in log)
    end = datetime.fromisoformat(one["bar_start"]) + timedelta(seconds=1 if is_fast else 60)
    return Entry(end, is_fast, Decimal(one["ask"]))


def test_the_program_enters_when_and_where_the_report_says(tmp_path: Path) -> None:
    (trades,) = [path for path in report.files() if path.name.startswith(DAY)]
    oracle = json.loads((DATA / "oracle.json").read_text(encoding="utf-8"))
    (day,) = [case for case in oracle["cases"] if f"{case['symbol']}_{case['date']}" == DAY]
    since = {level["level"]: level["search_from"] for level in day["levels"]}
    found = [case for case in report.cases(trades) if case.race is not None]
    assert sum(bool(case.gained) for case in found) >= 3
    for case in found:
        folder = tmp_path / case.level
        assert entered(folder / "slow", case, since[case.level]) == case.slow
        assert entered(folder / "race", case, since[case.level], "fast=true") == case.race


def test_the_race_never_enters_later_and_the_table_has_every_recorded_day(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert report.main() == 0
    told = capsys.readouterr().out.splitlines()
    days = {" ".join(path.name.split("_")[:2]) for path in report.files()}
    assert {" ".join(line.split()[:2]) for line in told[2:-1]} == days
    for trades in report.files()[:3]:
        for case in report.cases(trades):
            assert case.gained is None or case.gained >= 0
            assert (case.slow is None) or (case.race is not None)


def test_without_the_recorded_market_the_report_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(report, "SECONDS", tmp_path / "nothing")
    assert report.main() == 0
    assert capsys.readouterr().out == f"{ABSENT}\n"
