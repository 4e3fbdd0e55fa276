"""Shows for each mutant the seed, or the test, that catches it.

    python -m tests.simulation.mutants [--only NAME] [--budget N] [--from N] [--jobs N]

The last line is ``K of N mutants caught``; the exit code is 1 when one survives that nobody explains, or one is stale.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from tests.simulation.mutants.hunt import Baseline, Catch, baseline, run_one
from tests.simulation.mutants.listed import MUTANTS, named
from tests.simulation.mutants.patch import Mutant, stale_words

BUDGET = 2000  # the campaign of a plain `make test`
PART = 50


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the list, or what of it the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description="Run mutants.")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="this mutant, and no other (repeatable)"
    )
    parser.add_argument("--budget", type=int, default=BUDGET, help="seeds for each mutant")
    parser.add_argument("--from", dest="begin", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    asked = parser.parse_args(arguments)
    names = [mutant.name for mutant in MUTANTS if not asked.only or mutant.name in asked.only]
    for unknown in set(asked.only or ()) - set(names):
        parser.error(f"there is no mutant {unknown}")
    stale = {name: words for name in names if (words := stale_words(named(name)))}
    for name, words in stale.items():
        _say(f"{name:<44}stale: {words}")
    caught, unexplained = 0, len(stale)
    needed: list[int] = []
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        known = _baseline(pool, asked.begin, asked.budget)
        for mutant, catch in _hunts(
            pool, [name for name in names if name not in stale], asked.begin, asked.budget, known
        ):
            caught += catch is not None
            unexplained += catch is None and not mutant.why
            needed += [catch.seeds] if catch is not None and catch.seeds else []
            _say(_row(mutant, catch, asked.budget))
    within = ", ".join(f"{sum(n <= most for n in needed)} within {most}" for most in (10, 100, 1000, 10_000))
    _say(f"by seeds: {within}; by a test: {caught - len(needed)}")
    _say(f"{caught} of {len(names)} mutants caught")
    return 1 if unexplained else 0


def _baseline(pool: ProcessPoolExecutor, begin: int, budget: int) -> Baseline:
    parts = [
        pool.submit(baseline, at, min(PART, begin + budget - at)) for at in range(begin, begin + budget, PART)
    ]
    known: Baseline = {}
    for part in parts:
        known |= part.result()
    broken = sum(bool(rules) for rules in known.values())
    sys.stderr.write(f"… without a mutant {broken} of {len(known)} seeds break a rule\n")
    return known


def _hunts(
    pool: ProcessPoolExecutor, names: list[str], begin: int, budget: int, known: Baseline
) -> Iterator[tuple[Mutant, Catch | None]]:
    waiting: dict[Future[Catch | None], Mutant] = {}
    for name in names:
        waiting[pool.submit(run_one, name, begin, budget, known)] = named(name)
    for future in as_completed(waiting):
        yield waiting[future], future.result()


def _row(mutant: Mutant, catch: Catch | None, budget: int) -> str:
    if catch is None:
        return f"{mutant.name:<44}{mutant.rule:<12}survives {budget} seeds  {mutant.why}".rstrip()
    found = f"{catch.seeds:>6} seeds  {catch.rule:<8}" if catch.seeds else f"{'test':>12}  "
    return f"{mutant.name:<44}{mutant.rule:<12}{found}{catch.text}"[:200]


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
