"""Simulated schedules, by seed: no rule is broken in any of them; and a seed is the same day everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.simulation.run import ROOT, memory_folder, run_chunk
from tests.simulation.schedule import draw
from tests.simulation.world import run_schedule

SEEDS = int(os.environ.get("SIMULATE_SEEDS", "2000"))
FROM = int(os.environ.get("SIMULATE_FROM", "0"))
PART = 250  # seeds of one test
KILLED = 60  # schedules with a kill in them

PRINT_HASHES = """
import sys
from tests.simulation.run import memory_folder
from tests.simulation.schedule import draw
from tests.simulation.world import run_schedule
folder = memory_folder()
for seed in map(int, sys.argv[1:]):
    print(seed, *run_schedule(draw(seed), folder).hashes())
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


@pytest.mark.parametrize("begin", range(FROM, FROM + SEEDS, PART))
def test_no_rule_is_broken_in_any_schedule(begin: int) -> None:
    chunk = run_chunk(begin, min(PART, FROM + SEEDS - begin))
    told = [
        f"seed {seed}: {found.rule} at {found.t:.3f} s: {found.text} · make simulate-replay SEED={seed}"
        for seed, findings in chunk.failures
        for found in findings[:1]
    ]
    assert not told, "\n".join(told)


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


def test_a_seed_leaves_the_same_records_in_every_process() -> None:
    seeds = [str(seed) for seed in (1, 2, 3, 5, 8, 13, 21)]
    here = _hashes(seeds, PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    there = _hashes(list(reversed(seeds)), PYTHONHASHSEED="4711", TZ="Asia/Tokyo", LC_ALL="C.UTF-8")
    assert sorted(here.splitlines()) == sorted(there.splitlines())
    assert len(here.splitlines()) == len(seeds)


def test_what_a_killed_program_sent_was_on_disk_before(folder: Path) -> None:
    """Write-ahead and whole records at whatever instant the process ends; what comes after a restart is judged elsewhere."""
    rules = {"V05", "V06", "V07", "V23"}
    told: list[str] = []
    killed = seed = 0
    while killed < KILLED:
        schedule = draw(seed)
        seed += 1
        if not schedule.kills:
            continue
        outcome = run_schedule(schedule, folder, kills=True)
        killed += any(note.text.startswith("killed") for note in outcome.notes)
        told += [f"seed {seed - 1}: {found}" for found in outcome.findings if found.rule in rules]
    assert not told, "\n".join(told)
