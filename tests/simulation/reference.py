"""The reference runs: one day each, told in full and without chance, to be killed at every boundary.

Laws: no generator is asked; the market walks from price to price of a list; nothing goes wrong but what a run is about. Prices of
the standard ladder: level 190, stop 187, targets 195, 198 and 205, stops follow to 190 and 195.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path as Folder
from typing import Any

from tests.simulation.faults import Act, Habits, Kill, Refusing, Wire
from tests.simulation.life import Life
from tests.simulation.loop import SECOND
from tests.simulation.path import Bar, Move, Path, Shape
from tests.simulation.schedule import MORNING, Ask, Schedule
from tests.simulation.world import Finding, Outcome, World

from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.orders import OrderType
from tradeshell.core.plan import EntryKind, ExitMode
from tradeshell.core.trade import TradePhase

BAR = 5
LAST = 40  # seconds until nothing happens any more but restarts
CALM = 64
QUIET = 12  # seconds in which a restarted program shows that it has nothing to do
TICK = Decimal("0.01")
SHAPE = Shape(TICK, 19000, 300, (19500, 19800, 20500))
HABITS: dict[str, Any] = {
    "partial": False,
    "oca_cancel_spreads": True,
    "oca_shows": "total",
    "oca_race": False,
    "oca_join": "as_sent",
    "oca_restores": False,
    "chased_stops": True,
    "partial_parent": "cancel",
    "reduced_to_filled": "cancelled",
    "unanswered": "fail",
}
WIRE = Wire(
    up=5_000,
    down=5_000,
    spread=0.0,
    slow=0.0,
    slow_by=0,
    lost=0.0,
    doubled=0.0,
    is_ordered=True,
    wild=1.0,
    stale=(0.0, 0.0, 0.0),
    agrees=True,
    silent=0.0,
    position_lag=0,
    faults=0,
)
LAD3: dict[str, Any] = {
    "symbol": "AAPL",
    "qty": 100,
    "entry": EntryKind.TOUCH,
    "level": Decimal(190),
    "tps": (Decimal(195), Decimal(198), Decimal(205)),
    "sl": Decimal(187),
    "sl_type": OrderType.STOP_LIMIT,
    "mode": ExitMode.DETACHED,
    "stop_updates": (Decimal(190), Decimal(195)),
}
LAD2 = LAD3 | {
    "tps": (Decimal(195), Decimal(198)),
    "mode": ExitMode.DETACHED70,
    "stop_updates": (Decimal(190),),
}
BRACKET = LAD3 | {"tps": (Decimal(195),), "mode": ExitMode.ATTACHED, "stop_updates": ()}
ENTER = ((0, 18950), (4, 19010), (6, 19005))
UP3 = (*ENTER, (9, 19520), (13, 19830), (17, 20520))
BACK = (*ENTER, (9, 19520), (13, 19830), (17, 19480), (21, 19400))
DOWN = (*ENTER, (12, 18690), (16, 18650))
BETWEEN = (*ENTER, (9, 19520), (13, 19400))
# Forty shares at 5 s, ten at 6.5 s (a touch and a print of five), and the rest of the entry never.
TOUCH_AND_GO = (
    (0, 18950),
    (4, 19010),
    (5.1, 19030),
    (6.5, 19010),
    (6.6, 19030),
    (13, 19520),
    (17, 19400),
)
# A watcher above the first target, whose level is reached long after most kills.
SECOND_WATCHER = BRACKET | {"level": Decimal(196), "tps": (Decimal(207),), "sl": Decimal(193)}
WAITS = (*ENTER, (9, 19520), (13, 19450), (27, 19610), (33, 19650))
STOP_REFUSED = (201, "Order rejected - reason:We cannot accept an order at this stop price")


def _act(at: float, what: str) -> Act:
    return Act(round(at * SECOND), "start", 1, "operator", what, "AAPL", 0, 1)


def _path(points: tuple[tuple[float, int], ...], sizes: tuple[tuple[float, int], ...]) -> Path:
    """Return a market that stands at each price from its second on; ``sizes``: from when on how many shares are shown."""
    moves: list[Move] = []
    bars: list[Bar] = []
    traded: dict[int, list[int]] = {}
    changes = {round(at * 10) for at, _ in (*points, *sizes)}
    for tenth in range((LAST + CALM + 4 * QUIET) * 10):
        second = tenth / 10
        if tenth not in changes and tenth % (10 if second <= LAST else 80):
            continue
        here = [price for at, price in points if at <= second][-1]
        size = [size for at, size in ((0, 1000), *sizes) if at <= second][-1]
        at = tenth * SECOND // 10
        moves.append(Move(at, "quote", here - 1, here, size))
        moves.append(Move(at, "print", here, 0, size))
        traded.setdefault(int(second) // BAR, []).append(here)
    for number, prices in traded.items():
        begin = number * BAR * SECOND
        if begin < LAST * SECOND:
            bars.append(
                Bar(begin + BAR * SECOND, begin, prices[0], max(prices), min(prices), prices[-1], 5000)
            )
    return Path(SHAPE, tuple(moves), tuple(bars), ())


def _run(
    number: int,
    plan: dict[str, Any],
    points: tuple[tuple[float, int], ...],
    *,
    sizes: tuple[tuple[float, int], ...] = (),
    refusing: tuple[Refusing, ...] = (),
    acts: tuple[Act, ...] = (),
    asks: tuple[Ask, ...] = (),
) -> Schedule:
    return Schedule(
        seed=number,
        start=MORNING,
        seconds=LAST + CALM,
        fault_free_from=LAST * SECOND,
        account="DU0000001",
        is_paper=True,
        flatten_live=False,
        paths={"AAPL": _path(points, sizes)},
        asks=(Ask(200_000, "AAPL", BAR, plan), *asks),
        habits=Habits(HABITS | {"partial": bool(sizes)}, 0),
        wire=WIRE,
        refusing=refusing,
        acts=acts,
        kills=(),
        step_cost=(0, 0.0, 0),
        position_before=0,
    )


_RESTING = {
    "symbol": "AAPL",
    "qty": 50,
    "entry": EntryKind.PRICED,
    "limit": Decimal(180),
    "mode": ExitMode.NONE,
    "entry_timeout": None,
}
REFERENCE = {
    "a ladder of three to its last target": _run(1, LAD3, UP3),
    "a ladder of two stopped out": _run(2, LAD2, DOWN),
    "both milestones, then the last stop": _run(3, LAD3, BACK),
    "a bracket between target and stop": _run(4, BRACKET, ENTER),
    "a ladder that stays open": _run(5, LAD3, BETWEEN),
    "a partial entry, covered, then handed over": _run(
        6, LAD3 | {"entry_timeout": 4.0}, TOUCH_AND_GO, sizes=((4, 40), (5.4, 20), (11, 1000))
    ),
    "a stop refused until the emergency stop": _run(
        7, LAD2, BETWEEN, refusing=(Refusing("place", "sl2", 0, 3, *STOP_REFUSED),)
    ),
    "stops refused until it is flattened": _run(
        8, LAD2, BETWEEN, refusing=(Refusing("place", "sl1", 0, 1000, *STOP_REFUSED),)
    ),
    "flattened by the operator": _run(9, LAD3, BETWEEN, acts=(_act(15, "flatten"),)),
    "entries stopped while one rests": _run(
        10,
        LAD2,
        BETWEEN,
        acts=(_act(8, "stopentry"),),
        asks=(Ask(3 * SECOND, "AAPL", 0, _RESTING),),
    ),
    "a second watcher waits while a ladder runs, and fires": _run(
        11, LAD3, WAITS, asks=(Ask(3 * SECOND, "AAPL", BAR, SECOND_WATCHER),)
    ),
}


class Reference(World):
    """A reference run that ends with restarts from its quiescent state."""

    def __init__(self, schedule: Schedule, folder: Folder, *, restarts: int = 3) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        super().__init__(schedule, folder, kills=False)
        self.restarts = restarts
        self.first: Life

    def _record(self, event: str, fields: dict[str, Any]) -> None:
        super()._record(event, fields)
        if event == "start" and self._number == 1 and self.life is not None:
            self.first = self.life  # its ``passed`` are the boundaries at which it may be killed

    def _judge(self, findings: list[Finding]) -> Outcome:
        states = [canonical(self.life.session.desk)] if self.life is not None else []
        if self.life is None:
            findings.append(Finding("V13", self.loop.micros / SECOND, "it is not running at the end"))
        for _ in range(self.restarts):
            before = len(self._orders_sent())
            if self.life is not None:
                self.life.end(Kill(0, "", "any", 1, "before", "", 0))
            self.loop.run_until(self.loop.micros + SECOND)
            self.loop.call_soon(self.start_life)
            self.loop.run_until(self.loop.micros + QUIET * SECOND)
            sent = self._orders_sent()[before:]
            if sent:
                findings.append(Finding("V12", self.loop.micros / SECOND, f"a restart at rest sent {sent}"))
            if self.life is None or not self.life.session.desk.link.is_open:
                findings.append(Finding("V12", self.loop.micros / SECOND, "a restart did not reconcile"))
                break
            states.append(canonical(self.life.session.desk))
        if len(set(states)) > 1:
            findings.append(Finding("V12", self.loop.micros / SECOND, f"restarts differ: {set(states)}"))
        return super()._judge(findings)

    def _facts(self) -> dict[str, Any]:
        # Twenty seconds are for an order that may have left; whoever is killed twice while he waits, waits twice.
        return super()._facts() | {"bounds": {"unprotected_troubled": 20.0 * max(1, len(self.kills_of))}}

    def _orders_sent(self) -> list[str]:
        return [
            f"{record['event']} {record.get('ref', '')}"
            for record in self.b
            if record["event"] in ("accept", "modify", "cancel_asked", "refuse")
        ]


def canonical(desk: Desk) -> tuple[Any, ...]:
    """Return what of a desk a restart must not change: whatever is open, and nothing of what is over."""
    open_ = [trade for trade in desk.trades() if trade.phase is not TradePhase.CLOSED]
    return (
        desk.stopped,
        tuple(
            (watcher.spec.id, watcher.spec.plan, watcher.phase, watcher.fired, watcher.asks, watcher.state)
            for watcher in desk.watchers.values()
            if watcher.phase is not WatchPhase.DONE
        ),
        tuple(
            (
                trade.id,
                trade.phase,
                trade.legs,
                trade.confirmed,
                trade.taken,
                trade.milestone,
                trade.protection,
            )
            for trade in open_
        ),
        tuple(
            (order.spec, order.state, order.filled, order.order_id)
            for order in desk.orders()
            if order.state.is_live
        ),
    )
