"""What goes wrong in one schedule, drawn from its seed: the venue's habits, the wire, refusals, hands in the account, kills.

Laws: pure functions of the generator given; the median schedule has several faults; nothing here begins in the fault-free suffix.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from tests.simulation.features import Features
from tests.simulation.path import SECOND, Path

HABIT_FAULTS = {"oca_race": False, "oca_restores": False, "partial_parent": "cancel"}  # and what is none
LATE = 3 * SECOND  # with delays of up to three: nothing is told later than pictures may be old
LEGS = ("tp", "sl", "entry", "cover")
QUIET_SPREAD = 0.3  # of the delay's logarithm: one message in a thousand takes thrice as long as usual


class Habits(NamedTuple):
    """What brokers do differently and nobody documents: the venue's settings of this schedule."""

    settings: dict[str, Any]
    faults: int

    def has(self, name: str) -> bool:
        """Return whether it is there, as a fault."""
        return bool(self.settings[name] != HABIT_FAULTS[name])


class Wire(NamedTuple):
    """How messages travel. Delays in microseconds, chances 0 to 1; ``wild`` multiplies chances while the market is wild."""

    up: int  # typical delay to the venue
    down: int  # typical delay of what the venue says
    spread: float  # sigma of the delay's logarithm
    slow: float  # chance of a message that takes ``slow_by`` longer
    slow_by: int
    lost: float
    doubled: float
    is_ordered: bool  # kinds keep their order among each other
    wild: float
    stale: tuple[
        float, float, float
    ]  # seconds that orders, executions, positions of a picture lag behind, at most
    agrees: bool  # one staleness for the three
    silent: float  # chance of a picture that is never answered
    position_lag: int  # positions come so much later
    faults: int


class Refusing(NamedTuple):
    """The venue refuses. ``what``: place, modify, cancel; ``leg`` a name's beginning, empty for all."""

    what: str
    leg: str
    skip: int
    times: int
    code: int
    text: str


class Act(NamedTuple):
    """Something that somebody does ``at`` microseconds after the ``nth`` thing of a kind.

    ``after``: ``start``, ``sent`` (an order command left), ``exec`` (an order of ours executed at the venue).
    """

    at: int
    after: str
    nth: int
    who: str  # operator, outsider, venue, market, link
    what: str
    symbol: str
    pick: int
    number: int


class Kill(NamedTuple):
    """The engine ends at the ``nth`` boundary of a kind after ``at``: before or after its effect, or within (torn).

    ``on``: not at an instant, but after the first event of that name. ``tear``: the part of a torn line that is on disk.
    ``loses``: what was under way to the venue is lost with the process.
    """

    at: int
    on: str
    kind: str  # journal, audit, send, any
    nth: int
    where: str  # before, after, torn
    leg: str
    down: int  # microseconds until it starts again, 0: never
    tear: float = 0.5
    loses: bool = False


def draw_habits(dice: Random) -> Habits:
    """Return the venue's habits; each open question about brokers is a coin."""

    def coin(part: float = 0.5) -> bool:
        return dice.random() < part

    settings: dict[str, Any] = {
        "partial": coin(0.6),
        "oca_cancel_spreads": coin(0.7),
        "oca_shows": "total" if coin() else "remaining",
        "oca_race": coin(0.04),
        "chased_stops": coin(),
        "partial_parent": "cancel" if coin() else "hold",
        "reduced_to_filled": "cancelled" if coin() else "filled",
        "unanswered": "fail" if coin() else "hang",
    }
    own = Random()
    own.setstate(dice.getstate())  # the youngest questions: what a seed draws besides stays as it was
    settings["oca_join"] = own.choice(("as_sent", "capped", "refused"))
    settings["oca_restores"] = (
        own.random() < 0.04
    )  # a change that crosses a fill sells twice then, whoever sends it
    return without_habits(Habits(settings, 0), ())


def draw_wire(dice: Random) -> Wire:
    """Return how messages travel."""
    calm = dice.random() < 0.2
    slow = 0.0 if calm else dice.choice((0.0, 0.01, 0.05, 0.15))
    lost = 0.0 if calm else dice.choice((0.0, 0.0, 0.005, 0.03))
    doubled = 0.0 if calm else dice.choice((0.0, 0.0, 0.02, 0.1))
    lags = not calm and dice.random() < 0.5
    stale = tuple(dice.choice((0.0, 0.3, 1.0, 5.0)) if lags else 0.0 for _ in range(3))
    silent = 0.0 if calm else dice.choice((0.0, 0.0, 0.05, 0.3))
    position_lag = 0 if calm else dice.choice((0, 0, 300_000, 2_500_000))
    is_ordered = calm or dice.random() < 0.5
    up, down = (dice.choice((500, 5_000, 40_000, 150_000)) for _ in range(2))
    spread = dice.choice((0.0, 0.3, 1.0))
    wire = Wire(
        up=up,
        down=down,
        spread=spread,
        slow=slow,
        slow_by=dice.choice((500_000, 1_500_000, 4_000_000, 8_000_000)),
        lost=lost,
        doubled=doubled,
        is_ordered=is_ordered,
        wild=dice.choice((1.0, 3.0, 6.0)),
        stale=(stale[0], stale[1], stale[2]),
        agrees=dice.random() < 0.3,
        silent=silent,
        position_lag=position_lag,
        faults=0,
    )
    return wire._replace(faults=len(wire_faults(wire)))


def wire_faults(wire: Wire) -> tuple[str, ...]:
    """Return the names of what is wrong with a wire."""
    has_tail = (
        wire.spread > QUIET_SPREAD and max(wire.up, wire.down) > 100_000
    )  # one in fifty takes over a second
    found = {
        "slow": wire.slow,
        "lost": wire.lost,
        "doubled": wire.doubled,
        "stale": any(wire.stale),
        "silent": wire.silent,
        "position_lag": wire.position_lag,
        "is_ordered": not wire.is_ordered,
        "spread": has_tail,
    }
    return tuple(name for name, is_there in found.items() if is_there)


def without_wire(wire: Wire, names: Collection[str]) -> Wire:
    """Return a wire without some of its faults; what is late is so by three seconds at most."""
    sound: dict[str, Any] = {
        "slow": 0.0,
        "lost": 0.0,
        "doubled": 0.0,
        "stale": (0.0, 0.0, 0.0),
        "silent": 0.0,
        "position_lag": 0,
        "is_ordered": True,
        "spread": QUIET_SPREAD,
    }
    left = wire._replace(slow_by=min(wire.slow_by, LATE), **{name: sound[name] for name in names})
    return left._replace(faults=len(wire_faults(left)))


def quiet_wire(wire: Wire) -> Wire:
    """Return a wire on which nothing goes wrong, as fast as it is."""
    return wire._replace(
        spread=min(wire.spread, QUIET_SPREAD),
        slow=0.0,
        lost=0.0,
        doubled=0.0,
        is_ordered=True,
        stale=(0.0, 0.0, 0.0),
        silent=0.0,
        position_lag=0,
        faults=0,
    )


def quiet_habits(habits: Habits) -> Habits:
    """Return the venue's habits without those that are faults."""
    return without_habits(habits, HABIT_FAULTS)


def without_habits(habits: Habits, names: Collection[str]) -> Habits:
    """Return the venue's habits without some of those that are faults."""
    settings = {**habits.settings, **{name: HABIT_FAULTS[name] for name in names}}
    return Habits(settings, sum(settings[name] != sound for name, sound in HABIT_FAULTS.items()))


def draw_limits(dice: Random) -> dict[str, Any]:
    """Return limits of the account that bite now and then; nearly always none."""
    if dice.random() >= 0.08:  # an entry that is refused leaves a day without a trade
        return {}
    key, values = dice.choice((
        ("max_qty", (2, 60, 99)),
        ("max_notional", (Decimal(500), Decimal(5000), Decimal(20_000))),
        ("max_exposure", (Decimal(2000), Decimal(20_000), Decimal(60_000))),
        ("max_orders_per_minute", (1, 1, 2)),
    ))  # fmt: skip
    return {key: dice.choice(values)}


REFUSALS = {
    "place": (
        (201, "Order rejected - reason:INSUFFICIENT EQUITY"),
        (201, "Order rejected - reason:We cannot accept an order at this stop price"),
        (404, "Shares for this order are not immediately available for short sale"),
        (110, "The price does not conform to the minimum price variation for this contract"),
    ),
    "modify": (
        (201, "Order rejected - reason:The order can not be modified"),
        (104, "Cannot modify a filled order"),
        (10329, "Cannot change the order at this time"),
    ),
    "cancel": ((161, "Cancel attempted when order is not in a cancellable state"),),
}


def draw_refusing(dice: Random) -> tuple[Refusing, ...]:
    """Return the venue's refusals: single ones, bursts, and some for good."""
    found: list[Refusing] = []
    while len(found) < 3 and dice.random() < 0.33:
        what = dice.choice(("place", "place", "modify", "modify", "cancel"))
        leg = (
            dice.choice(("", "sl", "sl", "tp", "entry", "cover"))
            if what == "place"
            else dice.choice(("", "sl", "tp"))
        )
        times = dice.choice((1, 1, 1, 2, 3, 1000))
        code, text = dice.choice(REFUSALS[what])
        found.append(Refusing(what, leg, dice.choice((0, 0, 0, 1, 2)), times, code, text))
    return tuple(found)


OPERATOR = (
    "cancel_watch",
    "cancel",
    "cancel",
    "replace_stop",
    "replace_stop",
    "replace_limit",
    "replace_qty",
    "sell",
    "buy",
)
OUTSIDER = ("foreign_buy", "foreign_sell", "alter", "cancel_outside", "cancel_outside")
VENUE = ("correct", "bust", "kill_order", "kill_order", "late_fill")
MARKET = ("plunge", "plunge", "spike")
LINK = ("drop", "drop", "drop_losing", "reset")


def draw_acts(
    dice: Random, symbols: tuple[str, ...], path: Path, last: int, features: Features
) -> tuple[Act, ...]:
    """Return what operator, outsiders, the venue and the link do."""
    operator = list(OPERATOR)
    if features.flatten:
        operator += ["flatten", "flatten_all", "flatten"]
    if features.stopentry:
        operator += ["stopentry", "stopentry"]
    operator += ["disconnect"]
    kinds = (
        ("operator", operator, 0.55),
        ("outsider", OUTSIDER, 0.3),
        ("venue", VENUE, 0.2),
        ("market", MARKET, 0.3),
        ("link", LINK, 0.3),
    )
    acts: list[Act] = []
    for who, words, first in kinds:
        likely = first
        while len(acts) < 10 and dice.random() < likely:
            acts.append(_draw_act(dice, who, dice.choice(words), symbols, path, last))
            likely *= 0.6
    return tuple(acts)


def _draw_act(dice: Random, who: str, what: str, symbols: tuple[str, ...], path: Path, last: int) -> Act:
    # Most of it follows on the heels of an order or an execution: that is where races are.
    after = dice.choice(("start", "sent", "sent", "exec", "exec"))
    nth = dice.choice((1, 2, 3, 3, 4, 5, 6, 8)) if after == "sent" else dice.choice((1, 1, 1, 2, 2, 3))
    at = dice.choice((0, 300, 5_000, 40_000, 150_000, 600_000, 2_000_000, 7_000_000))
    if after == "start":
        at = path.wildest(dice, last)
    return Act(at, after, nth, who, what, dice.choice(symbols), dice.randrange(1 << 30), dice.randint(1, 60))


def draw_kills(dice: Random, path: Path, last: int) -> tuple[Kill, ...]:
    """Return where the engine is killed, and for how long it stays down."""
    kills: list[Kill] = []
    while len(kills) < 3 and dice.random() < 0.22:
        kind = dice.choice(("journal", "audit", "send", "send", "send"))
        kills.append(
            Kill(
                at=path.wildest(dice, last - 15 * SECOND),
                on=dice.choice(
                    (
                        "",
                        "",
                        "CoverStopPlaced",
                        "IncidentStepTaken",
                        "IncidentStepTaken",
                        "InventoryConfirmed",
                    )
                ),
                kind=kind,
                nth=dice.randint(1, 5),
                where=dice.choice(("before", "after", "torn") if kind != "send" else ("before", "after")),
                leg=dice.choice(("", "", "sl", "tp", "entry", "cover")) if kind == "send" else "",
                down=dice.choice((500_000, 2 * SECOND, 6 * SECOND, 12 * SECOND)),
            )
        )
    return tuple(sorted(kills))
