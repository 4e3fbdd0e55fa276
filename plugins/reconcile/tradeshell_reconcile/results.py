"""What ``reconcile`` answers with in ``--json``: the shape of ``Answer.data``."""

from __future__ import annotations

from typing import Literal

from tradeshell import Result, Weight


class Row(Result, frozen=True, kw_only=True):
    """A difference: what is at the broker, what was expected, what was done; ``fix`` is what ``reconcile fix`` would do."""

    row: int
    finding: str
    symbol: str
    broker: str
    expected: str
    done: str
    weight: Weight
    fix: Literal["cancel", "take_up"] | None
