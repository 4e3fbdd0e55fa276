"""A campaign: many schedules, each by its seed, on some processes.

    python -m tests.simulation.run --seeds 10000 [--from 0] [--jobs 2] [--results FILE]

Laws: a seed gives the same result in whatever process and order; chunks that a results file holds for this very code are not run
again. The last line is ``N schedules, M violations``; the exit code is 1 for a violation, and for a large campaign in which
something never came about that has to.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from types import FrameType
from typing import NamedTuple

from tests.simulation.exposure import Histograms, add, of_schedule, table
from tests.simulation.schedule import draw
from tests.simulation.sometimes import OCCASIONS, met, missing
from tests.simulation.world import Finding, Outcome, World, run_schedule

CHUNK = 100
LARGE = 2000  # schedules from which on every occasion must have come about: the rarest come in one of three hundred
PATIENCE = 20.0  # seconds of real time for one schedule
SHOWN = 40  # failing seeds that are listed
ROOT = Path(__file__).resolve().parents[2]


class Chunk(NamedTuple):
    """The result of some consecutive seeds. ``failures``: of each failing seed its first findings.

    ``exposure``: of each class of executions, and of each cause for which they do not count, a histogram that adds up.
    """

    begin: int
    seeds: int
    violations: int
    failures: list[tuple[int, list[Finding]]]
    occasions: dict[str, int]
    digest: str
    exposure: Histograms


def memory_folder() -> Path:
    """Return a new folder for the files of a process, in memory where that exists."""
    shared = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="tradeshell-simulation-", dir=shared if shared.is_dir() else None))


def run_chunk(begin: int, count: int, *, wired: bool = False, dense: bool = False) -> Chunk:
    """Run consecutive seeds in this process.

    ``wired``: through the real client and the gateway; ``dense``: with everything at once that a seed draws.
    """
    folder = memory_folder()
    gc.disable()  # one collection a chunk instead of some in each schedule
    try:
        return _run_chunk(begin, count, folder, world_of(wired=wired), dense=dense)
    finally:
        gc.enable()
        gc.collect()
        shutil.rmtree(folder, ignore_errors=True)


def world_of(*, wired: bool) -> type[World]:
    """Return what runs a schedule: with the wire between engine and venue, or without."""
    if not wired:
        return World
    from tests.simulation.wired.world import WiredWorld  # ib_async is loaded where it is used

    return WiredWorld


def _run_chunk(begin: int, count: int, folder: Path, world: type[World], *, dense: bool) -> Chunk:
    occasions: Counter[str] = Counter()
    failures: list[tuple[int, list[Finding]]] = []
    violations = 0
    digest = hashlib.sha256()
    exposure: Histograms = {}
    for seed in range(begin, begin + count):
        outcome = run_seed(seed, folder, world, dense=dense)
        occasions.update(met(outcome.counters))
        violations += len(outcome.findings)
        add(exposure, of_schedule(outcome.exposures))
        if outcome.findings:
            failures.append((seed, list(outcome.findings[:5])))
        digest.update("".join(outcome.hashes()).encode())
    return Chunk(begin, count, violations, failures, dict(occasions), digest.hexdigest(), exposure)


class _HangingError(BaseException):  # nothing on the way may take it for an error of its own
    """A schedule took far longer than any does."""


def _hangs(signum: int, frame: FrameType | None) -> None:
    where = (
        ""
        if frame is None
        else f"{frame.f_code.co_name} in {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
    )
    raise _HangingError(f"no end after {PATIENCE} s of real time, in {where}")


def run_seed(seed: int, folder: Path, world: type[World] = World, *, dense: bool = False) -> Outcome:
    """Run one seed; a defect on the way, and a step without an end, is a finding of that seed."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        return run_schedule(draw(seed, dense=dense), folder, world)
    except (Exception, _HangingError) as error:  # noqa: BLE001  # the other seeds of the campaign go on
        trace = traceback.extract_tb(error.__traceback__)[-1]
        words = f"{type(error).__name__}: {error} ({Path(trace.filename).name}:{trace.lineno})"
        return Outcome(seed, (Finding("harness", 0.0, words),), Counter(), [], [], [], {}, [], {})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def code_version() -> str:
    """Return what identifies the code that a campaign exercises."""
    digest = hashlib.sha256()
    for folder in ("host/tradeshell", "plugins", "tests/simulation"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def run_campaign(
    begin: int, count: int, jobs: int, done: dict[int, Chunk], *, wired: bool = False, dense: bool = False
) -> Iterator[Chunk]:
    """Yield the chunks of a campaign as they end; those in ``done`` are taken from there."""
    starts = [(at, min(CHUNK, begin + count - at)) for at in range(begin, begin + count, CHUNK)]
    todo = [(at, size) for at, size in starts if at not in done or done[at].seeds != size]
    yield from (done[at] for at, size in starts if (at, size) not in todo)
    if jobs == 1 or len(todo) == 1:
        yield from (run_chunk(at, size, wired=wired, dense=dense) for at, size in todo)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        waiting: set[Future[Chunk]] = set()
        rest = iter(todo)
        while True:
            while len(waiting) < jobs * 2 and (following := next(rest, None)) is not None:
                waiting.add(pool.submit(run_chunk, *following, wired=wired, dense=dense))
            if not waiting:
                return
            ended, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in ended)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the campaign that the arguments ask for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation.run", description="Run simulated schedules."
    )
    parser.add_argument("--seeds", type=int, required=True, help="how many schedules")
    parser.add_argument("--from", dest="begin", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--results", type=Path, help="a file that keeps results, so that a campaign can go on later"
    )
    parser.add_argument(
        "--wire", action="store_true", help="with the real client and the gateway between engine and venue"
    )
    parser.add_argument("--dense", action="store_true", help="with all faults at once that a seed draws")
    asked = parser.parse_args(arguments)
    how = (" WIRE=1" if asked.wire else "") + (" DENSE=1" if asked.dense else "")
    version = code_version() + how.lower()
    done = _known(asked.results, version)
    occasions: Counter[str] = Counter()
    exposure: Histograms = {}
    schedules = violations = shown = 0
    began = time.monotonic()
    for chunk in run_campaign(
        asked.begin, asked.seeds, asked.jobs, done, wired=asked.wire, dense=asked.dense
    ):
        if asked.results is not None and chunk.begin not in done:
            with asked.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps([version, *chunk]) + "\n")
        schedules += chunk.seeds
        violations += chunk.violations
        occasions.update(chunk.occasions)
        add(exposure, chunk.exposure)
        for seed, findings in chunk.failures:
            shown += 1
            if shown <= SHOWN:
                _show(seed, findings, how)
        took = time.monotonic() - began
        sys.stderr.write(
            f"… {schedules}/{asked.seeds} schedules, {violations} violations, {schedules / took:.0f}/s\n"
        )
    if shown > SHOWN:
        _say(f"… and {shown - SHOWN} more seeds")
    never = _table(occasions, schedules)
    for line in table(exposure):
        _say(line)
    _say(f"code {version}, seeds {asked.begin}-{asked.begin + asked.seeds - 1}")
    _say(f"{schedules} schedules, {violations} violations")
    return 1 if violations or (never and schedules >= LARGE) else 0


def _known(path: Path | None, version: str) -> dict[int, Chunk]:
    if path is None or not path.exists():
        return {}
    found: dict[int, Chunk] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        whose, *fields = json.loads(line)
        if whose == version:
            chunk = Chunk(*fields)
            parsed = [(seed, [Finding(*each) for each in findings]) for seed, findings in chunk.failures]
            found[chunk.begin] = chunk._replace(failures=parsed)
    return found


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _show(seed: int, findings: list[Finding], how: str) -> None:
    for finding in findings[:2]:
        _say(f"seed {seed} at {finding.t:.6f} s: {finding.rule}: {finding.text}")
    _say(f"  make simulate-replay SEED={seed}{how}")


def _table(occasions: Counter[str], schedules: int) -> tuple[str, ...]:
    never = missing(occasions)
    for occasion in OCCASIONS:
        count = occasions[occasion.name]
        if count or occasion.is_possible:
            note = "  never" if not count else "  rare" if count * 100 < schedules else ""
            _say(f"  {occasion.name:<24}{count:>8}{count / max(1, schedules):>8.1%}{note}")
    if never and schedules >= LARGE:
        _say(f"a campaign in which nothing of this came about proves nothing: {', '.join(never)}")
    return never


if __name__ == "__main__":
    sys.exit(main())
