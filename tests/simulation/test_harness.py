"""The harness keeps its own promises: time, seeds, faults, kills."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.simulation.faults import Kill
from tests.simulation.loop import SECOND, SimLoop, StuckError
from tests.simulation.run import Chunk, main, memory_folder, run_campaign
from tests.simulation.schedule import draw, quieted
from tests.simulation.sometimes import OCCASIONS, missing
from tests.simulation.story import tell
from tests.simulation.world import Outcome, World, run_schedule


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory."""
    made = memory_folder()
    yield made
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


def test_timers_of_one_instant_run_in_the_order_in_which_they_were_set() -> None:
    loop = SimLoop()
    heard: list[Any] = []
    for name in "abc":
        loop.at(5, heard.append, name)
    loop.at(3, heard.append, "earlier")
    loop.run_until(10)
    assert heard == ["earlier", "a", "b", "c"]
    assert loop.micros == 10


def test_a_timer_that_was_called_off_does_not_run() -> None:
    loop = SimLoop()
    heard: list[Any] = []
    loop.at(5, heard.append, "never").cancel()
    loop.run_until(10)
    assert heard == []


def test_a_task_sleeps_in_virtual_time() -> None:
    loop = SimLoop()
    heard: list[Any] = []

    async def sleep() -> None:
        await asyncio.sleep(3600)
        heard.append(loop.time())

    loop.call_soon(lambda: loop.create_task(sleep()))
    loop.run_until(2 * 3600 * SECOND)
    assert heard == [3600.0]


def test_callbacks_without_end_are_found() -> None:
    loop = SimLoop()

    def again() -> None:
        loop.call_soon(again)

    loop.call_soon(again)
    with pytest.raises(StuckError):
        loop.run_until(1)


def test_a_seed_is_one_schedule_and_another_seed_another() -> None:
    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_a_median_schedule_has_two_faults_or_more_and_one_in_twenty_five_has_none() -> None:
    faults = [draw(seed).faults for seed in range(1000)]
    assert statistics.median(faults) >= 2
    assert 30 <= faults.count(0) <= 65


def test_a_quiet_schedule_keeps_its_market_its_plans_and_its_operator() -> None:
    loud = next(schedule for schedule in map(draw, range(100)) if schedule.kills and schedule.refusing)
    quiet = quieted(loud)
    assert quiet.faults == 0
    assert (quiet.paths, quiet.asks) == (loud.paths, loud.asks)
    assert quiet.acts == tuple(act for act in loud.acts if act.who == "operator")


def test_the_checker_is_told_whether_anything_goes_wrong(folder: Path) -> None:
    loud = next(schedule for schedule in map(draw, range(100)) if schedule.faults)
    assert run_schedule(loud, folder).facts["has_faults"]
    assert not run_schedule(quieted(loud), folder).facts["has_faults"]


def test_nothing_goes_wrong_in_the_last_minute() -> None:
    for seed in range(200):
        schedule = draw(seed)
        calm = schedule.fault_free_from
        assert schedule.seconds * SECOND - calm >= 60 * SECOND
        assert all(kill.at < calm for kill in schedule.kills)
        for path in schedule.paths.values():
            halts = [move for move in path.moves if move.kind == "halt"]
            assert all(not move.a for move in halts if move.at >= calm)


def test_a_bar_is_made_of_the_prints_inside_it_and_told_at_its_end() -> None:
    path = next(iter(draw(3).paths.values()))
    for bar in path.bars:
        prices = [m.a for m in path.moves if m.kind == "print" and bar.begin <= m.at < bar.at]
        assert (bar.open, bar.high, bar.low, bar.close) == (prices[0], max(prices), min(prices), prices[-1])


def _first_with(folder: Path, wanted: str) -> tuple[int, Outcome]:
    for seed in range(200):
        outcome = run_schedule(draw(seed), folder)
        if outcome.counters[wanted]:
            return seed, outcome
    raise AssertionError(f"no seed with {wanted}")


def test_schedules_trade(folder: Path) -> None:
    _, outcome = _first_with(folder, "TradeClosed")
    assert any(record["event"] == "exec" for record in outcome.b)
    assert outcome.audit
    assert outcome.journal


@pytest.mark.parametrize("kind", ["journal", "audit", "send"])
@pytest.mark.parametrize("where", ["before", "after", "torn"])
def test_nothing_of_a_killed_engine_takes_effect(folder: Path, kind: str, where: str) -> None:
    seed, whole = _first_with(folder, "TradeClosed")
    kill = Kill(at=0, on="", kind=kind, nth=3, where=where, leg="", down=0)
    cut = run_schedule(draw(seed)._replace(kills=(kill,)), folder, kills=True)
    assert any(note.text.startswith("killed") for note in cut.notes)
    assert len(cut.audit) < len(whole.audit)
    assert len(cut.journal) < len(whole.journal)
    torn = where == "torn" and kind != "send"
    last = {"journal": cut.journal, "audit": cut.audit}.get(kind, cut.audit)[-1]
    assert last.endswith(b"\n") is not torn


def test_a_busy_engine_hears_everything_later_and_in_order(folder: Path) -> None:
    seed, _ = _first_with(folder, "TradeClosed")
    schedule = draw(seed)
    slow = World(schedule._replace(step_cost=(50_000, 0.0, 0)), folder)
    times: list[int] = []
    slow_run = slow.run()
    times += [note.micros for note in slow_run.notes]
    assert times == sorted(times)
    assert slow.life is not None
    assert slow.life.steps > 5


def test_a_campaign_does_not_run_again_what_it_knows() -> None:
    known = Chunk(0, 100, 0, [], {"partial entry": 7}, "", {"a class": {"12": 3}})
    assert list(run_campaign(0, 100, 1, {0: known})) == [known]


def test_a_campaign_says_how_it_went_in_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--seeds", "3", "--jobs", "1"])
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 schedules, ")


def test_what_never_came_about_is_named() -> None:
    seen = {occasion.name: 1 for occasion in OCCASIONS}
    from collections import Counter

    assert missing(Counter(seen)) == ()
    assert missing(Counter({**seen, "partial entry": 0})) == ("partial entry",)


def test_a_story_names_the_rule_that_was_broken(folder: Path) -> None:
    from tests.simulation.world import Finding

    schedule = draw(1)
    outcome = run_schedule(schedule, folder)
    lines = tell(schedule, outcome._replace(findings=(Finding("V01", 4.5, "short by 3"),)))
    assert any(">>> V01" in line and "short by 3" in line for line in lines)
    assert lines[-1] == "1 violations"
