"""What the checker must be told about a schedule, in the forms in which it is told.

Laws: plain values in, plain values out; a missing fact has a cautious default, and no fact comes from the program's own views.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.simulation.checker.report import Bounds

NEVER = float("inf")


def price(value: Any) -> Decimal | None:
    """Return a price that was told as text, number or Decimal; ``""`` and ``None`` are no price."""
    return None if value in (None, "") else Decimal(str(value))


class Plan:
    """What one trade was asked to be."""

    def __init__(self, watch: str, told: dict[str, Any]) -> None:
        self.watch = watch
        self.symbol: str = told["symbol"]
        self.qty: int = told["qty"]
        self.side: str = told.get("side", "BUY")
        self.level = price(told.get("level"))
        self.sl = price(told.get("sl"))
        self.tps = [Decimal(str(tp)) for tp in told.get("tps") or ()]
        self.mode: str = told.get("mode", "none")
        self.cover: str = told.get("cover", "own")
        self.quote_age = float(told.get("quote_age", 2.0))
        self.entry_timeout = told.get("entry_timeout", 20.0)
        self.risk = price(told.get("risk_usd"))  # USD; its shares are counted at the trigger
        self.flat_at: float | None = told.get("flat_at")  # seconds: from then on its shares are sold
        self.outside_rth = bool(told.get("outside_rth", False))
        self.updates = [Decimal(str(update)) for update in told.get("stop_updates") or ()]
        if not self.updates and self.is_detached:
            base = self.level if self.level is not None else price(told.get("limit"))
            self.updates = [] if base is None else [base, *self.tps][: max(0, len(self.tps) - 1)]

    @property
    def is_detached(self) -> bool:
        """Whether its exits are orders of their own, armed after the entry."""
        return self.mode.startswith("detached")


class Facts:
    """Everything told about one schedule."""

    def __init__(self, told: dict[str, Any]) -> None:
        plans = told.get("plans") or ()
        items = plans.items() if isinstance(plans, dict) else ((plan["watch"], plan) for plan in plans)
        self.plans = {watch: Plan(watch, plan) for watch, plan in items}
        self.account: str = told.get("account", "")
        self.is_paper = bool(told.get("paper", told.get("is_paper", True)))
        self.flatten_live = bool(told.get("flatten_live", False))
        self.oca_race = bool(told.get("oca_race", False))
        self.end = float(told.get("end", 0.0))
        since = told.get("fault_free_from")
        self.fault_free_from = None if since is None else float(since)
        self.grain = float(told.get("grain", 0.0))  # seconds: how exactly the times of executions are told
        self.has_faults = bool(told.get("has_faults", True))
        self.limits: dict[str, Any] = dict(told.get("limits") or {})
        self.positions: dict[str, int] = dict(told.get("positions") or {})
        self.contracts: dict[str, int] = dict(told.get("contracts") or {})
        self.may_cancel_orphans = (
            told.get("orphan_action") == "cancel" and told.get("orphan_scope") == "all_clients"
        )
        self.bounds = Bounds(**(told.get("bounds") or {}))
        start = told.get("start")
        self.start = None if start is None else datetime.fromisoformat(start)
        close = NEVER if self.start is None else _seconds_to_close(self.start)
        # Regular hours, in seconds; of a schedule of one day only their end is told apart.
        self.has_nights = bool(told.get("hours"))
        self.hours: list[tuple[float, float]] = [(a, b) for a, b in told.get("hours") or [(-NEVER, close)]]
        self.log_begins = frozenset(int(row) for row in told.get("log_begins") or ())
        self._opens = [begin for begin, _ in self.hours]

    def borders(self, begin: float, end: float) -> Iterator[float]:
        """Yield when hours begin or end within a span, in order; of a schedule of one day nothing."""
        if not self.has_nights:
            return
        row = max(0, bisect_right(self._opens, begin) - 1)
        while row < len(self.hours) and self.hours[row][0] < end:
            yield from (t for t in self.hours[row] if begin < t < end)
            row += 1

    def is_after_hours(self, begin: float, end: float) -> bool:
        """Return whether the hours are over in a span: within it no night begins or ends, or it is the one day's close."""
        return self.closed_since((begin + end) / 2 if self.has_nights else end) is not None

    def closed_since(self, t: float) -> float | None:
        """Return since when the regular hours are over at ``t``; ``None`` within them."""
        row = bisect_right(self._opens, t) - 1
        if row < 0:
            return -NEVER
        end = self.hours[row][1]
        return end if t > end else None

    def instant(self, t: float) -> float:
        """Return a time as executions tell it: what happened at one such instant, nobody can tell apart."""
        return t - t % self.grain if self.grain else t


def _seconds_to_close(start: datetime) -> float:
    """Return when the regular hours of ``start``'s day end, in seconds after it: 16:00 in New York."""
    there = start.astimezone(ZoneInfo("America/New_York"))
    return (there.replace(hour=16, minute=0, second=0, microsecond=0) - there).total_seconds()


def is_account(one: str, other: str) -> bool:
    """Return whether two texts name one account: in full, or one of them as its alias (``DU…0001``)."""
    if one == other:
        return True
    for alias, full in ((one, other), (other, one)):
        head, mark, tail = alias.partition("…")
        if mark and full.startswith(head) and full.endswith(tail):
            return True
    return False
