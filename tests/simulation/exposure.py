"""How long bought shares lay open, over a whole campaign: histograms that add up, and the table that shows them.

Laws: a histogram says how many executions took how many hundredths of a second (as text, so that it survives a file); whatever
order chunks are added in, the sum is the same. What does not count is shown beside what counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from tests.simulation.checker.exposure import CAUSES, CLASSES

Histograms = dict[str, dict[str, int]]  # by class or cause: hundredths of a second, how many executions

EXEMPT = "exempt: "


def of_schedule(exposures: Mapping[str, Any]) -> Histograms:
    """Return what the checker measured in one schedule."""
    found: Histograms = {}
    for name, counts in exposures.get("hundredths", {}).items():
        found[name] = {str(hundredths): count for hundredths, count in counts.items()}
    for cause, counts in exposures.get("exempt", {}).items():
        found[EXEMPT + cause] = {str(hundredths): count for hundredths, count in counts.items()}
    return found


def add(to: Histograms, more: Histograms) -> None:
    """Add ``more`` to a sum."""
    for name, counts in more.items():
        into = to.setdefault(name, {})
        for hundredths, count in counts.items():
            into[hundredths] = into.get(hundredths, 0) + count


def quantile(counts: Mapping[str, int], part: float) -> float:
    """Return the time in seconds that ``part`` of the executions did not exceed."""
    left = ceil(part * sum(counts.values()))
    ordered = sorted((int(hundredths), count) for hundredths, count in counts.items())
    for hundredths, count in ordered:
        left -= count
        if left <= 0:
            return hundredths / 100
    raise ValueError("no execution")


def table(sums: Histograms) -> Iterator[str]:
    """Yield the lines that show the sums."""
    if not sums:
        return
    yield "seconds from an execution until a stop works for its shares, connected and not exempt:"
    yield f"  {'':<58}{'executions':>11}{'p50':>8}{'p99':>8}{'most':>9}"
    order = [*CLASSES, *(EXEMPT + cause for cause in CAUSES)]
    for name in sorted(sums, key=order.index):
        counts = sums[name]
        figures = "".join(
            f"{quantile(counts, part):>{width}.2f}" for part, width in ((0.5, 8), (0.99, 8), (1.0, 9))
        )
        yield f"  {name:<58}{sum(counts.values()):>11}{figures}"
