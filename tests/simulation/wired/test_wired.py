"""Wired schedules: no rule is broken in any of them, the rules of the wire bite, and a seed is the same day everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.simulation.mutants.patch import Mutant, applied
from tests.simulation.run import ROOT, memory_folder, run_chunk, run_seed
from tests.simulation.schedule import draw
from tests.simulation.wired.mutants import MUTANTS
from tests.simulation.wired.trouble import KINDS, draw_troubles
from tests.simulation.wired.world import WiredWorld

SEEDS = int(os.environ.get("SIMULATE_WIRED_SEEDS", "500"))
PART = 50  # seeds of one test
BUDGET = 60  # seeds among which one shows a bug
NEEDED = {  # what a schedule has to have for that
    "unknown_words_dropped": "strange_words",
    "no_pacing": "questions",
    "first_come_first_served": "questions",
}

PRINT_HASHES = """
import sys
from tests.simulation.run import memory_folder
from tests.simulation.schedule import draw
from tests.simulation.wired.world import WiredWorld
from tests.simulation.world import run_schedule
folder = memory_folder()
for seed in map(int, sys.argv[1:]):
    print(seed, *run_schedule(draw(seed), folder, WiredWorld).hashes())
for file in folder.iterdir():
    file.unlink()
folder.rmdir()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory."""
    made = memory_folder()
    yield made
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


@pytest.mark.parametrize("begin", range(0, SEEDS, PART))
def test_no_rule_is_broken_in_any_wired_schedule(begin: int) -> None:
    chunk = run_chunk(begin, min(PART, SEEDS - begin), wired=True)
    told = [
        f"seed {seed}: {found.rule} at {found.t:.3f} s: {found.text} · make simulate-replay SEED={seed} WIRE=1"
        for seed, findings in chunk.failures
        for found in findings[:1]
    ]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_rules_of_the_wire_bite(mutant: Mutant, folder: Path) -> None:
    needed = NEEDED.get(mutant.name, "")
    fitting = (
        s for s in range(100 * BUDGET) if not needed or needed in {t.what for t in draw_troubles(draw(s))}
    )
    with applied(mutant):
        for seed in islice(fitting, BUDGET):
            if any(found.rule == mutant.rule for found in run_seed(seed, folder, WiredWorld).findings):
                return
    pytest.fail(f"{BUDGET} seeds pass with: {mutant.text}")


def _hashes(seeds: list[str], **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_HASHES, *seeds],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_wired_seed_leaves_the_same_records_in_every_process() -> None:
    seeds = [str(seed) for seed in (1, 2, 3, 5, 8, 13, 21)]
    here = _hashes(seeds, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    there = _hashes(list(reversed(seeds)), PYTHONHASHSEED="4711", TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    assert sorted(here.splitlines()) == sorted(there.splitlines())
    assert len(here.splitlines()) == len(seeds)


def test_the_campaign_has_kills_and_every_trouble_of_a_gateway() -> None:
    schedules = [draw(seed) for seed in range(SEEDS)]
    drawn = Counter(trouble.what for schedule in schedules for trouble in draw_troubles(schedule))
    assert set(drawn) == set(KINDS)
    assert sum(1 for schedule in schedules if schedule.kills) * 10 > SEEDS
    assert all(
        trouble.until < schedule.fault_free_from
        for schedule in schedules
        for trouble in draw_troubles(schedule)
    )
