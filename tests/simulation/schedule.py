"""One schedule: everything that will happen in one simulated day, drawn from one seed before anything runs.

Laws: ``draw(seed)`` is a pure function; each part has a generator of its own, so that a change to one part leaves the others as
they were. Faults cluster where the market is wild. The last part of a schedule is free of faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.simulation.faults import (
    HABIT_FAULTS,
    Act,
    Habits,
    Kill,
    Refusing,
    Wire,
    draw_acts,
    draw_habits,
    draw_kills,
    draw_limits,
    draw_refusing,
    draw_wire,
    quiet_habits,
    quiet_wire,
    wire_faults,
    without_habits,
    without_wire,
)
from tests.simulation.features import FEATURES, Features
from tests.simulation.path import SECOND, Path, Shape, draw_path, with_seconds

from tradeshell.core.market import US_STOCK_GRID
from tradeshell.core.orders import OrderType, Tif
from tradeshell.core.plan import Cover, EntryKind, ExitMode, TradePlan, check_plan, put_on_grid
from tradeshell.errors import OperatorError

CALM = 75  # seconds without faults at the end
MORNING = datetime(2025, 7, 8, 14, 0, tzinfo=UTC)
CLOSE = datetime(2025, 7, 8, 20, 0, tzinfo=UTC)
KEPT = (14, 30, 28, 16, 12)  # of so many schedules one, two … faults are kept
RATHER = 2.5  # how much rather what is done is kept than what the wire does
QUIET = 0.035  # of all schedules nothing at all goes wrong in
LOOP_LAG = 250_000  # microseconds: a step that stalls longer is a fault of the machine
SIZED, TIMED, FAST = 0.12, 0.1, 0.15  # of the watchers have a risk, are closed by a time, have a fast path
A_CENT = Decimal("0.01")
NEW_YORK = ZoneInfo("America/New_York")
QUANTITIES = (1, 2, 3, 4, 5, 6, 7, 10, 60, 97, 100, 100, 100, 250, 1000)


class Ask(NamedTuple):
    """A watcher (``bars`` seconds) or a typed order (``bars`` 0) that the operator starts at ``at``."""

    at: int  # microseconds
    symbol: str
    bars: int
    plan: dict[str, Any]
    is_fast: bool = False  # with bars of a second beside those


class Schedule(NamedTuple):
    """What happens. Instants are microseconds after ``start``."""

    seed: int
    start: datetime
    seconds: int  # the whole length
    fault_free_from: int
    account: str
    is_paper: bool
    flatten_live: bool
    paths: dict[str, Path]
    asks: tuple[Ask, ...]
    habits: Habits
    wire: Wire
    refusing: tuple[Refusing, ...]
    acts: tuple[Act, ...]
    kills: tuple[Kill, ...]
    step_cost: tuple[int, float, int]  # microseconds of a step, chance of a stall, microseconds of a stall
    position_before: int  # shares of the first symbol that were there before we came
    limits: Mapping[str, Any] = MappingProxyType({})  # of the account, where they are not the program's own
    history: int = 0  # old bars above the level that the feed tells whoever subscribes

    @property
    def faults(self) -> int:
        """How many things go wrong by themselves, as far as they are drawn here."""
        faulty = sum(act.who != "operator" for act in self.acts)
        stalls = self.step_cost[1] > 0 and self.step_cost[2] > LOOP_LAG
        return (
            faulty
            + len(self.refusing)
            + len(self.kills)
            + self.wire.faults
            + self.habits.faults
            + int(stalls)
        )


def draw(seed: int, features: Features = FEATURES, *, dense: bool = False) -> Schedule:
    """Return the schedule of ``seed``; ``dense``: with everything at once that was drawn for it."""
    drawn = _draw(seed, features)
    if Random(f"{seed}/quiet").random() < QUIET:
        return quieted(drawn)
    return drawn if dense else thinned(drawn, Random(f"{seed}/thin"))


def thinned(drawn: Schedule, dice: Random) -> Schedule:
    """Return a schedule with some of its faults: most have two or three, so that a breach can be read, and repeated in thousands.

    What somebody or something does is kept rather than how the wire is, of which there is always much.
    """
    acts = [act for act in drawn.acts if act.who != "operator"]
    things: list[tuple[str, Any]] = [
        *(("wire", name) for name in wire_faults(drawn.wire)),
        *(("act", act) for act in acts),
        *(("kill", kill) for kill in drawn.kills),
        *(("refusing", rule) for rule in drawn.refusing),
        *(("habit", name) for name in HABIT_FAULTS if drawn.habits.has(name)),
    ]
    most = dice.choices(range(1, len(KEPT) + 1), KEPT)[0]
    weighed = sorted(things, key=lambda thing: dice.random() ** (1.0 if thing[0] == "wire" else 1.0 / RATHER))
    kept = weighed[-most:]

    def of(kind: str) -> list[Any]:
        return [thing for what, thing in kept if what == kind]

    return drawn._replace(
        habits=without_habits(drawn.habits, set(HABIT_FAULTS) - set(of("habit"))),
        wire=without_wire(drawn.wire, set(wire_faults(drawn.wire)) - set(of("wire"))),
        refusing=tuple(rule for rule in drawn.refusing if rule in of("refusing")),
        acts=tuple(act for act in drawn.acts if act.who == "operator" or act in of("act")),
        kills=tuple(kill for kill in drawn.kills if kill in of("kill")),
    )


def quieted(drawn: Schedule) -> Schedule:
    """Return a schedule without its faults: market, plans and what the operator does stay as they are."""
    cost, stalls, stall = drawn.step_cost
    return drawn._replace(
        habits=quiet_habits(drawn.habits),
        wire=quiet_wire(drawn.wire),
        refusing=(),
        acts=tuple(act for act in drawn.acts if act.who == "operator"),
        kills=(),
        step_cost=(cost, stalls, min(stall, LOOP_LAG // 5)),
    )


def _draw(seed: int, features: Features) -> Schedule:

    def chance(part: str) -> Random:
        return Random(f"{seed}/{part}")

    dice = chance("frame")
    seconds = dice.choice((45, 60, 60, 75, 90, 120))
    habits = draw_habits(chance("habits"))
    symbols = ("AAPL", "MSFT") if dice.random() < 0.15 else ("AAPL",)
    is_paper = dice.random() < 0.7
    near_close = dice.random() < 0.05
    asks: list[Ask] = []
    paths: dict[str, Path] = {}
    for symbol in symbols:
        part = chance(f"asks {symbol}")
        shape = _draw_shape(part)
        bars = part.choice((5, 5, 10))
        count = part.choice((1, 1, 1, 1, 2))
        asks += [draw_ask(part, symbol, shape, bars, features, near_close) for _ in range(count)]
        paths[symbol] = draw_path(
            chance(f"path {symbol}"), shape, seconds, CALM, bars, partial=habits.settings["partial"]
        )
    kills = draw_kills(chance("kills"), paths[symbols[0]], seconds * SECOND)
    if kills and (later := _draw_waiting(chance("waiting"), asks)) is not None:
        asks.append(later)
    start = CLOSE - timedelta(seconds=dice.randint(20, seconds)) if near_close else _morning(dice)
    asks = [_with_words(chance(f"words {number}"), ask, start, seconds) for number, ask in enumerate(asks)]
    for symbol in {ask.symbol for ask in asks if ask.is_fast}:
        paths[symbol] = with_seconds(paths[symbol], seconds)
    last = seconds * SECOND
    first = paths[symbols[0]]
    return Schedule(
        seed=seed,
        start=start,
        seconds=seconds + CALM,
        fault_free_from=last,
        account="DU0000001" if is_paper else "U0000001",
        is_paper=is_paper,
        flatten_live=dice.random() < 0.5,
        paths=paths,
        asks=tuple(sorted(asks, key=lambda ask: ask.at)),
        habits=habits,
        wire=draw_wire(chance("wire")),
        refusing=draw_refusing(chance("refusing")),
        acts=draw_acts(chance("acts"), symbols, first, last, features),
        kills=kills,
        step_cost=_draw_cost(dice),
        position_before=dice.choice((10, 100, 333)) if dice.random() < 0.1 else 0,
        limits=draw_limits(chance("limits")),
        history=chance("history").choice((0, 0, 0, 1, 3)),
    )


def _morning(dice: Random) -> datetime:
    return MORNING + timedelta(seconds=60 * dice.randrange(240))


def _draw_cost(dice: Random) -> tuple[int, float, int]:
    if dice.random() < 0.4:
        return (dice.choice((0, 50, 300)), 0.0, 0)
    return (
        dice.choice((200, 1000, 5000)),
        dice.choice((0.0, 0.01, 0.03)),
        dice.choice((50_000, 300_000, 1_200_000)),
    )


def _draw_shape(dice: Random) -> Shape:
    if dice.random() < 0.05:
        level, tick = dice.randrange(3000, 8000), Decimal("0.0001")
    else:
        level, tick = (
            dice.choice((dice.randrange(500, 2000), 19_000, dice.randrange(8_000, 40_000))),
            Decimal("0.01"),
        )
    risk = max(6, level * dice.choice((3, 5, 8, 15)) // 1000)
    steps = [dice.choice((0.6, 1.0, 1.5)) for _ in range(4)]
    targets: list[int] = []
    far = level
    for step in steps:
        far += max(3, int(risk * step))
        targets.append(far)
    return Shape(tick, level, risk, tuple(targets))


def draw_ask(dice: Random, symbol: str, shape: Shape, bars: int, features: Features, expires: bool) -> Ask:
    """Return what the operator starts; ``expires``: its exits live for the day, more often than not."""
    is_typed = dice.random() < 0.2
    for _ in range(50):
        plan = _draw_plan(dice, symbol, shape, is_typed, features)
        if expires and dice.random() < 0.7:
            plan["exit_tif"] = Tif.DAY
        try:
            check_plan(put_on_grid(TradePlan(**plan, account="X"), US_STOCK_GRID))
        except OperatorError:
            continue
        at = dice.randrange(3 * SECOND, 25 * SECOND) if is_typed else dice.randrange(200_000, 2 * SECOND)
        return Ask(at, symbol, 0 if is_typed else bars, plan)
    raise AssertionError(f"no plan could be drawn for {symbol}")


def _draw_waiting(dice: Random, asks: list[Ask]) -> Ask | None:
    """Return a watcher that still waits when the program is killed: above the first target of one that was drawn."""
    plans = [
        ask for ask in asks if ask.bars and len(ask.plan["tps"]) > 1 and ask.plan["outside_rth"] is False
    ]
    if not plans or dice.random() < 0.1:
        return None
    ask = dice.choice(plans)
    first, second = ask.plan["tps"][:2]
    plan = ask.plan | {
        "level": first,
        "qty": dice.choice(QUANTITIES),
        "tps": (second,),
        "sl": ask.plan["level"],
        "mode": ExitMode.ATTACHED,
        "weights": (),
        "stop_updates": (),
        "cover": Cover.OWN,
        "chase_limit": None,
    }
    return Ask(ask.at + dice.randrange(100_000, SECOND), ask.symbol, ask.bars, plan)


def _with_words(dice: Random, ask: Ask, start: datetime, seconds: int) -> Ask:
    """Return some watchers with a risk, with a time by which they are flat, or with a fast path."""
    if not ask.bars:
        return ask
    plan = dict(ask.plan)
    if dice.random() < SIZED and plan["sl"] is not None and plan["level"] > plan["sl"]:
        a_share = plan["level"] - plan["sl"]
        risk = (a_share * plan["qty"] * dice.choice((Decimal(1), Decimal("1.05"), Decimal("1.3")))).quantize(
            A_CENT
        )
        qty = int(risk // a_share)
        sized = plan | {"risk_usd": risk, "qty": qty}
        plan = sized if qty and _is_a_plan(sized) else plan
    at = start + timedelta(seconds=dice.randint(15, seconds - 5))
    if dice.random() < TIMED and at < CLOSE - timedelta(minutes=2):
        plan["flat_by"] = at.astimezone(NEW_YORK).time()
    return ask._replace(plan=plan, is_fast=dice.random() < FAST)


def _is_a_plan(plan: dict[str, Any]) -> bool:
    try:
        check_plan(put_on_grid(TradePlan(**plan, account="X"), US_STOCK_GRID))
    except OperatorError:
        return False
    return True


def _draw_plan(dice: Random, symbol: str, shape: Shape, is_typed: bool, features: Features) -> dict[str, Any]:
    modes = [ExitMode.ATTACHED] * 3 + [ExitMode.NONE]
    if features.ladders:
        modes = [ExitMode.ATTACHED] * 3 + [ExitMode.DETACHED70] * 3 + [ExitMode.DETACHED] * 5
    mode = dice.choice(modes) if dice.random() < 0.98 else ExitMode.NONE
    legs = {ExitMode.ATTACHED: 1, ExitMode.NONE: 0, ExitMode.DETACHED70: 2}.get(
        mode, dice.choice((2, 3, 3, 3, 4))
    )
    has_stop = mode.is_detached or (mode is ExitMode.ATTACHED and dice.random() < 0.93)
    if mode is ExitMode.ATTACHED and has_stop and dice.random() < 0.15:
        legs = 0
    tps = tuple(shape.price(target) for target in shape.targets[:legs])
    outside = dice.random() < 0.06
    plan: dict[str, Any] = {
        "symbol": symbol,
        "qty": dice.choice(QUANTITIES),
        "entry": dice.choice((EntryKind.TOUCH, EntryKind.TOUCH, EntryKind.MARKET)),
        "tps": tps,
        "sl": shape.price(shape.level - shape.risk) if has_stop else None,
        "sl_type": OrderType.STOP_LIMIT if outside or dice.random() < 0.6 else OrderType.STOP,
        "sl_offset": dice.choice((Decimal(0), Decimal(0), shape.tick * max(1, shape.risk // 5))),
        "mode": mode,
        "exit_tif": Tif.DAY if dice.random() < 0.1 else Tif.GTC,
        "outside_rth": outside,
        "entry_timeout": dice.choice((1.5, 5.0, 20.0, 20.0)),
        "quote_age": 2.0 if dice.random() < 0.7 else 10.0,
        "chase_limit": shape.price(shape.level + shape.risk) if dice.random() < 0.12 else None,
        "cover": Cover.OWN if dice.random() < 0.75 else Cover.NONE,
    }
    if not is_typed:
        plan["level"] = shape.price(shape.level)
    elif dice.random() < 0.5 or mode.is_detached:
        plan |= {
            "entry": EntryKind.PRICED,
            "limit": shape.price(shape.level + dice.choice((0, shape.risk // 4))),
        }
    if mode.is_detached and dice.random() < 0.5:
        plan["stop_updates"] = _draw_updates(dice, shape, legs)
    if mode is ExitMode.DETACHED and dice.random() < 0.4:
        plan["weights"] = {2: (50, 50), 3: (50, 30, 20), 4: (40, 30, 20, 10)}[legs]
    return plan


def _draw_updates(dice: Random, shape: Shape, legs: int) -> tuple[Decimal, ...]:
    """Return stops after the first targets, each at or above the one before and below its target."""
    places: list[int] = []
    low = shape.level - shape.risk
    for target in shape.targets[: legs - 1]:
        low = dice.randint(low, max(low, target - 2))
        places.append(low)
    return tuple(shape.price(place) for place in places)
