"""What goes wrong at the gateway and on its line in one wired schedule, beyond what every schedule has: drawn from the seed.

Laws: a pure function of the seed; everything ends a moment before the fault-free suffix, and nothing begins within it. Each thing
means what the gateway's documentation says it means.
"""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from tests.simulation.path import SECOND
from tests.simulation.schedule import Schedule
from tests.simulation.wired.rules import UNKNOWN

from tradeshell_paper.tws.switches import Switches

UNHEARD = 26 * SECOND
DELAYS = ("execution_delay", "status_delay", "ack_delay", "commission_delay", "next_id_delay")
MOST_DELAYS = 2  # of one schedule, so that a breach can be read
OFTEN = 0.4  # of schedules with faults: those with one of these at least


class Trouble(NamedTuple):
    """One thing, from ``at`` to ``until`` (microseconds). ``what`` is a way in which ``Stage`` can trouble a schedule."""

    at: int
    until: int
    what: str
    number: int = 0


# Each with how often it is drawn, and the longest that it lasts, in seconds.
KINDS = {
    "restart": (2, 9.0),
    "half_open": (2, 35.0),
    "ghost": (2, 12.0),
    "lose_place": (3, 0.0),
    "swallow_place": (3, 0.0),
    "strange_words": (3, 0.0),
    "no_end_of_executions": (2, 10.0),
    "too_fast": (1, 1.5),
    "busy_changes": (2, 0.0),
    "cancel_race": (1, 0.0),
    "competing": (1, 8.0),
    "farm": (1, 6.0),
    "bars_silent": (1, 12.0),
    "mute": (1, 10.0),
    "questions": (5, 0.0),
}


def draw_troubles(schedule: Schedule) -> tuple[Trouble, ...]:
    """Return what troubles a schedule, by time."""
    dice = Random(f"{schedule.seed}/trouble")
    last = schedule.fault_free_from - SECOND
    if schedule.faults == 0 or last < 5 * SECOND:
        return ()
    found: list[Trouble] = []
    names, weights = list(KINDS), [weight for weight, _ in KINDS.values()]
    likely = OFTEN
    while len(found) < 4 and dice.random() < likely:
        what = dice.choices(names, weights)[0]
        at = dice.randrange(2 * SECOND, last)
        length = int(KINDS[what][1] * SECOND * (0.2 + 0.8 * dice.random()))
        if what == "questions":  # it waits for executions
            at = min(at, 3 * SECOND)
        if what == "half_open":  # the program notices a silence of 20 s, when it looks again
            length = max(length, UNHEARD)
            if at + length > last:
                continue
        found.append(Trouble(at, min(at + length, last), what, dice.randrange(1000)))
        likely = 0.5
    return tuple(sorted(found))


def draw_switches(schedule: Schedule) -> Switches:
    """Return how the gateway behaves in a schedule; the documented habits where nothing is drawn."""
    dice = Random(f"{schedule.seed}/gateway")
    if schedule.faults == 0:
        return Switches()

    def coin(part: float) -> bool:
        return dice.random() < part

    settings: dict[str, Any] = {
        "split_writes": 7 if coin(0.05) else 0,
        "join_writes": dice.choice((0.0, 0.0, 0.0, 0.0, 0.05)),
        "repeat_status": coin(0.2),
        "skip_status": dice.choice(([], [], [], ["PreSubmitted"], ["Submitted"])),
        "filled_first": coin(0.15),
        "execution_first": coin(0.15),
        "flash_presubmitted": coin(0.3),
        "pending_cancel": coin(0.3),
        "commission": dice.choice(("after", "after", "before", "never")),
        "commission_delay": dice.choice((0.0, 0.0, 1.0, 20.0)),
        "execution_delay": dice.choice((0.0, 0.0, 0.0, 0.3, 1.5)),
        "status_delay": dice.choice((0.0, 0.0, 0.0, 0.3, 1.0)),
        "position_delay": schedule.wire.position_lag / SECOND,
        "open_orders_age": schedule.wire.stale[0] * dice.random() ** 3,
        "unsolicited_completed": coin(0.2),
        "tif_preset": coin(0.2),
        "ack_delay": dice.choice((0.0, 0.0, 0.0, 0.0, 0.4)),
        "next_id_delay": dice.choice((0.0, 0.0, 0.0, 1.5)),
        "bars_missing": dice.choice((0, 0, 0, 2)),
        "bars_out_of_order": dice.choice((0, 0, 0, 1)),
        "bars_corrected": coin(0.1),
    }
    if settings["skip_status"]:  # nothing would be heard of an order at all, for as long as answers are old
        settings["open_orders_age"] = 0.0
    late = [name for name in DELAYS if settings[name]]
    for name in dice.sample(late, max(0, len(late) - MOST_DELAYS)):
        settings[name] = 0.0
    return Switches(**settings)


def strange_words(number: int) -> tuple[int, str]:
    """Return a code that nobody knows, and its text."""
    return UNKNOWN + number, f"A message of another day, number {number}."
