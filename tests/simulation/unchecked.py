"""Stands in for the checker where there is none: finds nothing."""

from __future__ import annotations

from typing import Any, NamedTuple


class Violation(NamedTuple):
    """One breach."""

    rule: str
    t: float
    text: str


class Report(NamedTuple):
    """What a checker finds."""

    violations: list[Violation]
    counters: dict[str, int]
    exposures: dict[str, Any]


def check(
    b: list[dict[str, Any]], audit_lines: list[bytes], journal_lines: list[bytes], facts: dict[str, Any]
) -> Report:
    """Find nothing."""
    return Report([], {}, {})
