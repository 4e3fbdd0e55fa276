"""Looks for the first seed whose findings show a rule that the program without the mutant does not break in that seed.

Laws: seeds are tried in order from the first; what the real program breaks in a seed is no merit of the mutant there; a test
that is to catch a mutant passes without it and fails with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from typing import NamedTuple

from tests.simulation.mutants.listed import named
from tests.simulation.mutants.patch import Mutant, applied
from tests.simulation.run import ROOT, memory_folder, run_seed

ENVIRONMENT = "TRADESHELL_MUTANT"

Baseline = dict[int, frozenset[str]]


class Catch(NamedTuple):
    """What caught a mutant: after how many seeds, in which seed, which rule and its words; or which test."""

    seeds: int
    seed: int
    rule: str
    text: str


def run_one(name: str, begin: int, budget: int, known: Baseline) -> Catch | None:
    """Look for what catches one mutant."""
    mutant = named(name)
    return hunt_by_test(mutant) if mutant.caught_by else hunt(mutant, begin, budget, known)


def baseline(begin: int, count: int) -> Baseline:
    """Return the rules that the program itself breaks, by seed; seeds without any are there, too."""
    folder = memory_folder()
    try:
        return {
            seed: frozenset(found.rule for found in run_seed(seed, folder).findings)
            for seed in range(begin, begin + count)
        }
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hunt(mutant: Mutant, begin: int, budget: int, known: Baseline) -> Catch | None:
    """Run seeds under the mutant until one shows it; ``None`` when none of ``budget`` seeds does."""
    folder = memory_folder()
    try:
        with applied(mutant):
            for seed in range(begin, begin + budget):
                for found in run_seed(seed, folder).findings:
                    if found.rule not in known[seed]:
                        return Catch(seed - begin + 1, seed, found.rule, found.text)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hunt_by_test(mutant: Mutant) -> Catch | None:
    """Run the test that is to catch a mutant; ``None`` when it does not. Raises when it fails without the mutant."""
    if _run(mutant.caught_by, "") != 0:
        raise RuntimeError(f"{mutant.caught_by} does not pass without {mutant.name}")
    code = _run(mutant.caught_by, mutant.name)
    if code > 1:
        raise RuntimeError(f"{mutant.caught_by} cannot be run with {mutant.name}: pytest says {code}")
    return Catch(0, -1, "test", mutant.caught_by) if code else None


@cache
def _run(test: str, mutant: str) -> int:
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "-p", "tests.simulation.mutants.under")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, test],
        cwd=ROOT,
        env={**os.environ, ENVIRONMENT: mutant},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode
