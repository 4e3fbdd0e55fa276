"""What a campaign must have seen at least once, or its silence proves nothing.

Laws: an occasion is counted from the venue's record, the program's events and what the schedule did, once a schedule; a large
campaign in which one of them never came about has failed, whatever the checker says.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from tests.simulation.features import FEATURES

from tradeshell.core.trade import leg_of


class Occasion(NamedTuple):
    """One thing that sometimes happens. ``counters``: any of them above zero shows it; empty: ``look`` finds it in the record."""

    name: str
    counters: tuple[str, ...]
    is_possible: bool = True


OCCASIONS = (
    Occasion("partial entry", ("B partial entry",)),
    Occasion("cancel/fill race", ("B cancel/fill race",)),
    Occasion("sibling cancel first", ("B sibling cancel first",)),
    Occasion("stop refused", ("stop refused",)),
    Occasion("change refused", ("modify refused",)),
    Occasion("cancel refused", ("cancel refused",)),
    Occasion("refusal burst", ("B refusal burst",)),
    Occasion("both legs fill", ("B both legs fill",)),
    Occasion("late fill", ("B late fill",)),
    Occasion("replayed execution", ("B replayed execution",)),
    Occasion("link lost window", ("B link lost window",)),
    Occasion("snapshot without end", ("snapshot without end",)),
    Occasion("stale snapshot", ("B stale snapshot",)),
    Occasion("message lost", ("message lost",)),
    Occasion("message slow", ("message slow",)),
    Occasion("message doubled", ("message doubled",)),
    Occasion("order swallowed", ("order swallowed",)),
    Occasion("correction", ("B correction",)),
    Occasion("bust", ("B bust",)),
    Occasion("changed outside", ("B changed outside",)),
    Occasion("cancelled outside", ("B cancelled outside",)),
    Occasion("foreign sell", ("outsider foreign_sell",)),
    Occasion("halt with a position", ("B halt with a position",)),
    Occasion("stop chased", ("B stop chased",)),
    Occasion("expiry", ("B expiry",)),
    Occasion("replacement", ("B replacement",)),
    Occasion("entry refused", ("BreakoutRejected",)),
    Occasion("outcome unknown", ("OrderOutcomeUnknown", "OrderMissing")),
    Occasion("trade closed", ("TradeClosed",)),
    Occasion("torn tail", ("kill torn journal", "kill torn audit"), FEATURES.resume),
    Occasion("kill inside arming", ("kill inside arming",), FEATURES.resume),
    Occasion(
        "kill inside emergency", ("kill inside emergency", "sometimes kill inside emergency"), FEATURES.resume
    ),
    Occasion("watcher resumed", ("WatchResumed",), FEATURES.resume),
    Occasion("watcher asked about", ("WatchHeld",), FEATURES.resume),
    Occasion("cover placed", ("CoverStopPlaced",), FEATURES.ladders),
    Occasion("ladder armed", ("LadderArmed",), FEATURES.ladders),
    Occasion("milestone", ("MilestoneReached",), FEATURES.ladders),
    Occasion("legs gave way", ("LegsGaveWay",), FEATURES.ladders),
    Occasion("handover interrupted", ("B handover interrupted",), FEATURES.ladders),
    Occasion("emergency stop", ("B emergency stop",), FEATURES.ladders),
    Occasion("freeze", ("SymbolFrozen",), FEATURES.ladders),
    Occasion("flatten", ("FlattenStarted",), FEATURES.flatten),
    Occasion("fast entry", ("BreakoutFastTriggered",)),
    Occasion("kill switch", ("KillSwitchEngaged",), FEATURES.stopentry),
)


def met(counters: Counter[str]) -> frozenset[str]:
    """Return the occasions that one schedule met."""
    return frozenset(
        occasion.name for occasion in OCCASIONS if any(counters[key] for key in occasion.counters)
    )


def missing(schedules: Counter[str]) -> tuple[str, ...]:
    """Return the occasions that no schedule of a campaign met though the program can do what they need."""
    return tuple(each.name for each in OCCASIONS if each.is_possible and not schedules[each.name])


class _Order:
    """What the venue said of one order of ours."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record
        self.leg = leg_of(record["ref"])
        self.oca: str = record["oca"]
        self.filled = 0
        self.is_over = False
        self.elected = False
        self.cancel_asked = False


class _Look:
    """Walks through the venue's record once."""

    def __init__(self, close: float) -> None:
        self.close = close
        self.found: Counter[str] = Counter()
        self.orders: dict[int, _Order] = {}
        self.told: set[str] = set()
        self.executed: dict[str, int] = {}
        self.position: Counter[str] = Counter()
        self.cancels_told: set[int] = set()
        self.refusals = 0
        self.altered: set[int] = set()

    def order(self, record: dict[str, Any]) -> _Order | None:
        return self.orders.get(record["id"]) if record.get("client", 0) == 0 else None

    def accept(self, record: dict[str, Any]) -> None:
        if record["client"] != 0:
            return
        order = self.orders[record["id"]] = _Order(record)
        generation = int(record["ref"].rpartition(":")[2])
        self.found["B replacement"] += generation > 1 and order.leg[:2] in ("sl", "tp")
        self.found["B emergency stop"] += generation > 1 and record["type"] == "STP" and not record["oca"]
        self.refusals = 0

    def modify(self, record: dict[str, Any]) -> None:
        order = self.order(record)
        if order is not None:
            self.found["B stop chased"] += order.elected and record["type"] == "STP LMT"
            order.record = record

    def refuse(self, record: dict[str, Any]) -> None:
        self.refusals += 1
        self.found["B refusal burst"] += self.refusals >= 2
        self.found["B cancel/fill race"] += record["code"] == 10148

    def cancel_asked(self, record: dict[str, Any]) -> None:
        order = self.order(record)
        if order is not None:
            order.cancel_asked = True

    def state(self, record: dict[str, Any]) -> None:
        order = self.order(record)
        if order is None:
            return
        order.elected = record["elected"]
        is_over = record["state"] in ("filled", "cancelled", "refused")
        ended = is_over and not order.is_over
        order.is_over = is_over
        self.found["B expiry"] += ended and record["state"] == "cancelled" and record["t"] == self.close
        changed = (record["stp"], record["lmt"]) != (order.record["stp"], order.record["lmt"])
        self.found["B changed outside"] += changed and not is_over
        self.found["B cancelled outside"] += (
            ended and record["state"] == "cancelled" and not order.cancel_asked
        )

    def exec(self, record: dict[str, Any]) -> None:
        sign = 1 if record["side"] == "BUY" else -1
        self.position[record["sym"]] += sign * record["qty"]
        order = self.order(record)
        if order is None:
            return
        order.filled += record["qty"]
        self.executed[record["exec_id"]] = record["id"]
        self.found["B late fill"] += order.is_over and order.record["qty"] != order.filled
        self.found["B cancel/fill race"] += order.cancel_asked
        self.found["B partial entry"] += order.leg == "entry" and order.filled < order.record["qty"]
        pair = [
            other
            for other in self.orders.values()
            if order.oca and other.oca == order.oca and other is not order
        ]
        self.found["B both legs fill"] += any(other.filled for other in pair)
        armed = any(other.leg.startswith("sl") and not other.is_over for other in self.orders.values())
        self.found["B handover interrupted"] += order.leg == "cover" and armed

    def corrected(self, record: dict[str, Any]) -> None:
        self.found["B bust" if record["qty"] == 0 else "B correction"] += 1

    def to_host(self, record: dict[str, Any]) -> None:
        said = record["kind"]
        if said == "exec":
            self.found["B replayed execution"] += record["exec_id"] in self.told
            self.told.add(record["exec_id"])
            order = self.orders.get(record["id"])
            if order is not None and order.oca:
                siblings = (
                    o.record["id"] for o in self.orders.values() if o.oca == order.oca and o is not order
                )
                self.found["B sibling cancel first"] += any(id_ in self.cancels_told for id_ in siblings)
        elif said == "status" and record["state"] == "cancelled":
            self.cancels_told.add(record["id"])

    def snapshot(self, record: dict[str, Any]) -> None:
        keys = ("orders_as_of", "executions_as_of", "positions_as_of")
        self.found["B stale snapshot"] += any(
            record[key] is not None and record[key] < record["t"] for key in keys
        )

    def link(self, record: dict[str, Any]) -> None:
        lives = any(not order.is_over for order in self.orders.values())
        self.found["B link lost window"] += not record["up"] and lives

    def halt(self, record: dict[str, Any]) -> None:
        self.found["B halt with a position"] += record["on"] and self.position[record["sym"]] > 0


def look(b: list[dict[str, Any]], close: float) -> Counter[str]:
    """Return what the venue's record shows. ``close``: seconds until the regular session ends."""
    walk = _Look(close)
    for record in b:
        step = getattr(walk, record["event"], None)
        if step is not None:
            step(record)
    return +walk.found
