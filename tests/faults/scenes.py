"""What the scenario tests of running ladders ask the stage, in few words.

Laws: everything here is read from the venue or from what left the program, never from what the program believes.
"""

from __future__ import annotations

from typing import Any

from tests.faults.kit import Sent, Stage, usd

from tradeshell.core import inputs as i
from tradeshell.core.exit_events import IncidentStepTaken, ProtectionAlarm

RUNNING = {"sl1": 60, "tp1": 60, "sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}
REFUSED = "Order rejected - reason: not today"


def commands(stage: Stage, since: float) -> list[str]:
    """Return what left the program from ``since`` (seconds) on: ``place sl2 30 stop 187``, ``cancel tp2``."""
    return [_words(sent) for sent in stage.sent if sent.t >= since]


def placed(stage: Stage, since: float, leg: str = "") -> list[str]:
    """Return the orders and changes among ``commands``, of legs whose name begins like that."""
    return [_words(sent) for sent in stage.sent if sent.t >= since and sent.spec and sent.leg.startswith(leg)]


def _words(sent: Sent) -> str:
    if sent.spec is None:
        return f"{sent.action} {sent.leg}"
    spec = sent.spec
    price = (
        f"stop {usual(spec.stop)}"
        if spec.type.is_stop
        else "MKT"
        if spec.limit is None
        else usual(spec.limit)
    )
    return f"{sent.action} {sent.leg} {spec.qty} {price}"


def usual(price: Any) -> str:
    """Return a price as people write it: whole dollars without cents, and no more digits than it has."""
    plain = price.normalize()
    return (
        f"{plain:f}"
        if plain == plain.to_integral_value()
        else f"{price:.2f}"
        if price == round(price, 2)
        else f"{plain:f}"
    )


def stops(stage: Stage) -> dict[str, str]:
    """Return the stop price of each stop that lives at the venue."""
    return {order.leg: usual(order.stop) for order in stage.working() if order.stop is not None}


def limits(stage: Stage, leg: str, since: float) -> list[tuple[float, str]]:
    """Return when the limit of a leg was changed, in seconds from ``since`` on, and to what."""
    found = [sent for sent in stage.sent if sent.leg == leg and sent.action == "modify" and sent.t >= since]
    return [
        (round(sent.t - since, 2), usual(sent.spec.limit)) for sent in found if sent.spec and sent.spec.limit
    ]


def rungs(stage: Stage, leg: str) -> list[str]:
    """Return the rungs that were announced for a leg's protection, in their order."""
    return [step.rung for step in stage.told(IncidentStepTaken) if step.leg == leg]


def alarms(stage: Stage) -> list[float]:
    """Return when the alarm about shares without a stop was repeated, in seconds since the start."""
    return stage.when(ProtectionAlarm)


def elect(stage: Stage, bid: Any = None, ask: Any = "187.05", *, size: int = 0, traded: Any = "187") -> float:
    """Let the market trade one share at the stops while the touch is ``bid``/``ask``; return that instant in seconds.

    ``size`` is what the bid takes: without any the stops are elected and sell nothing.
    """
    stage.quote(bid, ask, size=size)
    stage.trade(traded, 1)
    return stage.t


def flatten(stage: Stage, symbol: str | None = None) -> None:
    """Type ``flatten``."""
    stage.submit(i.FlattenRequested(at=stage.now, symbol=symbol))


def stop_entries(stage: Stage, *, on: bool = True) -> None:
    """Type ``stopentry`` or ``stopentry off``."""
    stage.submit(i.StopEntryRequested(at=stage.now, on=on))


def price(text: str) -> Any:
    """Return a price."""
    return usd(text)
