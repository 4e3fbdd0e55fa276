"""What the checker says: breaches, how often each rule was really exercised, and the exposures that were measured.

Laws: a counter that a rule never touched is there and is 0, so that an empty campaign shows; nothing here judges.
"""

from __future__ import annotations

from typing import Any, NamedTuple

RULES = (
    *(
        "V01",
        "V02",
        "V03",
        "V04",
        "V05",
        "V06",
        "V07",
        "V08",
        "V10",
        "V11",
        "V13",
        "V14",
        "V15",
        "V16",
        "V17",
    ),
    *("V18", "V19", "V20", "V21", "V23", "V25", "V28"),
)

# What a campaign must have seen at least sometimes; one that never happened proves nothing about it.
SOMETIMES = (
    "partial entry",
    "cancel/fill race",
    "sibling cancel first",
    "stop refused",
    "both legs fill",
    "torn tail",
    "kill inside arming",
    "kill inside emergency",
    "1100 window",
    "replayed exec",
    "snapshot without end",
    "flatten",
    "late fill",
    "stale snapshot",
    "correction",
    "foreign sell",
    "restart",
    "halt",
    "elected stop",
    "milestone",
    "kill switch",
    "cover stop",
)


class Violation(NamedTuple):
    """One breach: the rule, when (seconds since the schedule's start), and what."""

    rule: str
    t: float
    text: str


class Report(NamedTuple):
    """Everything found in one schedule.

    ``exposures``: ``hundredths`` of a second from executions until a stop works, by class, each with how many took so long, and
    ``exempt`` by cause the same, as ``exposure`` measures them; ``share_seconds`` unprotected while the program
    could act, ``share_seconds_all`` unprotected at all, ``peak`` the most unprotected shares at once.
    """

    violations: list[Violation]
    counters: dict[str, int]
    exposures: dict[str, Any]


class Bounds(NamedTuple):
    """Time bounds in seconds. ``facts["bounds"]`` overrides single ones."""

    race: float = 2.5  # 2 s, and the way to the venue
    unprotected: float = 10.0
    unprotected_troubled: float = (
        20.0  # a replacement was refused, lost, or the stop was elected and did not sell
    )
    stop_works: float = 2.0  # fault-free, p99
    orphan: float = 10.0
    orphan_troubled: float = 20.0
    kill: float = 2.0
    alert: float = 1.0
    alarm_every: float = 30.0
    milestone: float = 8.0  # acknowledgement and picture
    answer: float = 3.0  # to an order, of which nothing is known after that
    settle: float = 60.0
    reconcile: float = 15.0
    lag: float = 1.5  # between a message at the host's door and the step that reads it
    arrived: float = 2.0  # what left on a connection has arrived by then, or was lost with it
    stalls: float = (
        4.0  # the same while steps stall one after another, if the journal shows that it was not read
    )
    elected: float = 2.0  # an elected stop may stay unmarketable for so long and still count
    bar_grace: float = 9.5  # a bar comes within 5 s, its quote within 3 s, and a step may lag


class Findings:
    """Collects what the rules find."""

    def __init__(self) -> None:
        self.violations: list[Violation] = []
        self.counters: dict[str, int] = dict.fromkeys(RULES, 0)
        self.counters.update((f"sometimes {name}", 0) for name in SOMETIMES)

    def breach(self, rule: str, t: float, text: str) -> None:
        """Note a breach."""
        self.violations.append(Violation(rule, t, text))

    def did(self, rule: str) -> None:
        """Note that a rule was really exercised."""
        self.counters[rule] += 1

    def saw(self, name: str) -> None:
        """Note that something happened which a campaign must have seen."""
        self.counters[f"sometimes {name}"] += 1

    def excused(self, what: str) -> None:
        """Note an exemption: exemptions are counted, so that a campaign can cap them."""
        key = f"excused {what}"
        self.counters[key] = self.counters.get(key, 0) + 1
