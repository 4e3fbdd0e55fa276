"""The whole list of mutants."""

from __future__ import annotations

from tests.simulation.mutants import arming, entries, incidents, records, shares, stops, truth, yielding
from tests.simulation.mutants.patch import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *shares.MUTANTS,
    *truth.MUTANTS,
    *arming.MUTANTS,
    *stops.MUTANTS,
    *incidents.MUTANTS,
    *entries.MUTANTS,
    *records.MUTANTS,
    *yielding.MUTANTS,
)


def named(name: str) -> Mutant:
    """Return one of them. Raises ``KeyError``."""
    return {mutant.name: mutant for mutant in MUTANTS}[name]
