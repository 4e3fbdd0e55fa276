"""Runs of many days, one after another.

    python -m tests.simulation.days.run --days 30 --seed 1 [--runs 3]

It tells how the files grew from day to day, how much memory the program held after the tenth day and at the end, how long the
journal takes to be read, what happened how often, and each breach. The last line is ``N days, M violations``; the exit code is 1
when there is one. Memory that grew by more than 40 KB a day is one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from tests.simulation.days.draw import draw_run
from tests.simulation.days.world import DaysWorld, Evening
from tests.simulation.run import memory_folder
from tests.simulation.world import Finding, Outcome

from tradeshell.core.step import Core
from tradeshell.engine.recovery import recover
from tradeshell_breakout.strategy import Breakout

FIRST = 10  # the day after which memory is measured first, in runs that are twice as long
# Bytes a day: an adapter keeps a kilobyte of each order of its session, and the desk its watchers.
MOST = 40_000
SHOWN = (
    "operator ask", "BreakoutConfirmed", "TradeClosed", "LadderArmed", "MilestoneReached", "ConnectionChanged",
    "ReconciliationCompleted", "SessionStarted", "DetachedSessionRestored", "OrderIntent", "ProtectionAlarm",
)  # fmt: skip


def grown(evenings: list[Evening]) -> list[Finding]:
    """Return a breach if the program holds more at the end than after the first days."""
    measured = [evening for evening in evenings if evening.heap]
    if len(measured) < 2:
        return []
    first, last = measured[0], measured[-1]
    if last.heap - first.heap <= MOST * (last.day - first.day):
        return []
    return [
        Finding("memory", 0.0, f"{first.heap} bytes after day {first.day}, {last.heap} after day {last.day}")
    ]


def play(seed: int, days: int, folder: Path) -> tuple[Outcome, DaysWorld]:
    """Play one run in an empty folder."""
    measured = (FIRST, days // 2 + FIRST // 2, days) if days >= 2 * FIRST else ()
    world = DaysWorld(draw_run(seed, days), folder, measured)
    return world.run(), world


def tell(outcome: Outcome, world: DaysWorld, folder: Path, seconds: float) -> str:
    """Return what a run came to."""
    lines = [f"seed {outcome.seed}: {world.days.days[0].day} to {world.days.days[-1].day}, {seconds:.0f} s"]
    for evening in world.evenings:
        heap = f", {evening.heap / 1e3:.0f} KB held" if evening.heap else ""
        lines.append(
            f"  day {evening.day:2}: log {evening.log / 1e6:.2f} MB, journal {evening.journal / 1e6:.2f} MB, "
            f"{evening.trades} trades in the desk, {evening.working} orders work{heap}"
        )
    began = time.monotonic()
    found = recover(Core({"breakout": Breakout()}), folder / "journal", "paper")
    took = time.monotonic() - began
    size = (folder / "journal").stat().st_size / 1e6
    lines.append(f"  the journal of the last life: {size:.2f} MB, read in {took:.2f} s{found.differs}")
    lines.append("  " + ", ".join(f"{outcome.counters[name]} {name}" for name in SHOWN))
    lines += [f"  memory that grew: {words}" for words in world.grown[:5]]
    lines += [
        f"  {found.rule} at {world.clock.instant(int(found.t * 1e6))}: {found.text[:300]}"
        for found in outcome.findings[:20]
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the runs."""
    parser = argparse.ArgumentParser(prog="days", description="Runs of many simulated trading days.")
    parser.add_argument("--days", type=int, default=30, help="trading days of a run, 30 at most")
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--runs", type=int, default=1, help="how many seeds")
    options = parser.parse_args(arguments)
    violations = 0
    for seed in range(options.seed, options.seed + options.runs):
        folder = memory_folder()
        try:
            began = time.monotonic()
            outcome, world = play(seed, options.days, folder)
            outcome = outcome._replace(findings=(*outcome.findings, *grown(world.evenings)))
            violations += len(outcome.findings)
            sys.stdout.write(tell(outcome, world, folder, time.monotonic() - began) + "\n")
            sys.stdout.flush()
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(f"{options.days * options.runs} days, {violations} violations\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
