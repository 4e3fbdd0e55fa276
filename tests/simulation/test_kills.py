"""Killed at every write and every send of the reference runs, started again, and run to the end: no rule is broken.

A kill point is one boundary of a run (a journal record, an audit line, an order command) and one way to die there: before it,
within the line (at several bytes), after it; what was under way to the venue arrives or is lost; the program comes back at
once, or after the market has moved and targets have filled; it may be killed once more while it comes back. Every record of the
journal and every order command is played once by default, of the audit's lines (which no recovery reads) every third, the ways
taking turns; ``KILLS=all`` plays every way at every boundary.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.simulation.faults import Kill
from tests.simulation.loop import SECOND
from tests.simulation.reference import REFERENCE, Reference
from tests.simulation.run import memory_folder
from tests.simulation.world import Finding, Outcome

EVERY_WAY = os.environ.get("KILLS") == "all"
SOON, LATE = round(0.7 * SECOND), 9 * SECOND
TEARS = (
    0.0,
    0.04,
    0.5,
    0.97,
    1.0,
)  # the first byte, within the checksum, the middle, without the end, without the newline
PARTS = 4  # tests of one run
AUDITED = 3  # of so many lines of the audit one is played
ABOUT = dict(
    zip(
        REFERENCE,
        (
            ("LadderArmed", "TradeClosed", "MilestoneReached"),
            ("LadderArmed", "TradeClosed", "sometimes elected stop"),
            ("TradeClosed", "sometimes milestone", "sometimes elected stop"),
            ("BreakoutConfirmed", "OrderFilled"),
            ("LadderArmed", "MilestoneReached"),
            ("CoverStopPlaced", "InventoryConfirmed", "LadderArmed", "sometimes partial entry"),
            ("stop refused", "IncidentStepTaken", "LadderArmed"),
            ("stop refused", "sometimes flatten", "IncidentStepTaken"),
            ("FlattenStarted", "FlattenCompleted", "TradeClosed"),
            ("KillSwitchEngaged", "sometimes kill switch"),
            ("LadderArmed", "MilestoneReached", "BreakoutConfirmed"),
        ),
        strict=True,
    )
)


class Way(NamedTuple):
    """One way to die at a boundary."""

    where: str
    tear: float
    loses: bool
    down: int


WRITES = tuple(
    itertools.chain(
        (Way("before", 0.5, loses, down) for down in (SOON, LATE) for loses in (False, True)),
        (Way("torn", tear, tear < 0.5, down) for tear in TEARS for down in (LATE, SOON)),
        (Way("after", 0.5, loses, down) for down in (SOON, LATE) for loses in (False, True)),
    )
)
SENDS = tuple(
    Way(where, 0.5, loses, down)
    for down in (SOON, LATE)
    for where in ("after", "before")
    for loses in (False, True)
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory."""
    made = memory_folder()
    yield made
    for file in made.iterdir():
        file.unlink()
    made.rmdir()


def ways(kind: str) -> tuple[Way, ...]:
    """Return every way to die at a boundary of that kind."""
    return SENDS if kind == "send" else WRITES


def kill_points(name: str, folder: Path) -> list[tuple[int, Way]]:
    """Return the boundaries of a run, counted from 1, each with the ways to die there that are asked for."""
    world = Reference(REFERENCE[name], folder, restarts=0)
    assert not world.run().findings
    points: list[tuple[int, Way]] = []
    turn = itertools.count()
    for nth, kind in enumerate(world.first.passed, 1):
        if kind == "audit" and nth % AUDITED and not EVERY_WAY:
            continue
        possible = ways(kind)
        # Five is prime to the number of ways: the turns visit all of them.
        chosen = possible if EVERY_WAY else (possible[next(turn) * 5 % len(possible)],)
        points += [(nth, way) for way in chosen]
    return points


def play(
    name: str, folder: Path, nth: int, way: Way, *, again: int = 0, restarts: int = 1
) -> tuple[Outcome, Reference]:
    """Play a run that is killed at its ``nth`` boundary, and its second life at its boundary ``again``."""
    world = Reference(REFERENCE[name], folder, restarts=restarts)
    world.kills_of[1] = Kill(0, "", "any", nth, way.where, "", way.down, way.tear, way.loses)
    if again:
        world.kills_of[2] = Kill(0, "", "any", again, "torn", "", SOON, way.tear, way.loses)
    return world.run(), world


def told(name: str, nth: int, way: Way, again: int, findings: tuple[Finding, ...]) -> list[str]:
    """Return what was found, with what it takes to see it again."""
    return [
        f"{name}: killed at {nth} {way}, again {again}: {f.rule} at {f.t:.3f} s: {f.text}"
        for f in findings[:2]
    ]


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", REFERENCE)
def test_killed_at_any_boundary_it_comes_back_and_breaks_no_rule(
    name: str, part: int, folder: Path, record_property: Callable[[str, object], None]
) -> None:
    found: list[str] = []
    points = kill_points(name, folder)[part::PARTS]
    for row, (nth, way) in enumerate(points):
        # Some are killed again within their recovery, some are started three times more when all is quiet.
        again = 1 + (row * 7 + part) % 40 if row % 4 == 2 else 0
        outcome, world = play(name, folder, nth, way, again=again, restarts=3 if row % 4 == 0 else 0)
        assert not world.first.alive
        found += told(name, nth, way, again, outcome.findings)
    record_property("kill points", len(points))
    assert not found, f"{len(found)} findings at {len(points)} kill points\n" + "\n".join(found[:20])


@pytest.mark.parametrize("name", REFERENCE)
def test_a_reference_run_is_about_what_its_name_says(name: str, folder: Path) -> None:
    """A run that does not come to what it is about would be killed in vain."""
    outcome = Reference(REFERENCE[name], folder, restarts=3).run()
    assert not outcome.findings
    for event in ABOUT[name]:
        assert outcome.counters[event], event
