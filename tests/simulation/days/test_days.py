"""Runs of some days: no rule is broken over nights, a weekend, the change of clocks, a holiday and a half day.

``make days`` plays thirty days in one run; here are the weeks that have something special, a few days each.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from tests.simulation.days.calendar import AUTUMNS, Autumn, trading_days
from tests.simulation.days.draw import draw_run
from tests.simulation.days.run import grown
from tests.simulation.days.world import DaysWorld, Evening
from tests.simulation.run import memory_folder

from tradeshell_paper.calendar import session_on

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory."""
    made = memory_folder()
    yield made
    shutil.rmtree(made)


# The first is the Friday before the clocks change, the second the day before Thanksgiving: a holiday and a half day follow.
@pytest.mark.parametrize("seed, first", [(11, date(2025, 10, 31)), (12, date(2025, 11, 26))])
def test_days_over_nights_and_weekends_break_no_rule(seed: int, first: date, folder: Path) -> None:
    world = DaysWorld(draw_run(seed, 3, first), folder)
    outcome = world.run()
    assert outcome.findings == ()
    assert outcome.counters["operator ask"] >= 6
    assert len(outcome.audit) == sum(1 for line in outcome.audit if line.endswith(b"\n"))
    assert len(list(folder.glob("events-*.jsonl"))) >= 2  # the log turns its page every day
    assert len(world.life_spans) >= 4  # started again at night, or at rest at the end


@pytest.mark.parametrize("autumn", AUTUMNS)
def test_the_calendar_told_by_hand_is_the_exchanges(autumn: Autumn) -> None:
    days = list(trading_days(autumn, 30))
    for day in days:
        session = session_on(day.day)
        assert session is not None
        assert (session.open, session.close) == (day.open, day.close)
    assert len({(day.close - day.open) for day in days}) == 2  # one of them is a half day
    assert len({day.open.hour for day in days}) == 2  # the clocks change


def test_memory_that_grows_is_a_breach() -> None:
    def evening(day: int, heap: int) -> Evening:
        return Evening(day, heap, 0, 0, 0, 0)

    assert grown([evening(9, 0), evening(10, 200_000), evening(30, 500_000)]) == []
    assert [found.rule for found in grown([evening(10, 200_000), evening(30, 1_100_000)])] == ["memory"]
