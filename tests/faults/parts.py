"""Parts of the stage: what lives at the venue, what was sent, the courier that does as it is told, the ladders of the catalogue.

Laws: rules about messages are asked in the order in which they were made; each is used up by what it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

from tests.simulation.loop import SimClock, SimLoop
from tests.simulation.venue import SimVenue

from tradeshell.core import inputs as i
from tradeshell.core.orders import OrderSpec, OrderType, Side
from tradeshell.core.plan import ExitMode
from tradeshell.core.trade import leg_of
from tradeshell.shell.render import Screen
from tradeshell_paper.courier import MESSAGES, CleanCourier

MORNING = datetime.fromisoformat("2025-07-08T14:00:00+00:00")  # ten in New York
CENT = Decimal("0.01")
SCREEN = Screen(width=400, wrap=False, colour=False)
US = 0  # our client number; other programs have their own

LAD3: dict[str, Any] = {
    "mode": ExitMode.DETACHED,
    "tps": (Decimal(195), Decimal(198), Decimal(205)),
    "stop_updates": (Decimal(190), Decimal(195)),
}
LAD2: dict[str, Any] = {
    "mode": ExitMode.DETACHED70,
    "tps": (Decimal(195), Decimal(198)),
    "stop_updates": (Decimal(190),),
}
BRACKET: dict[str, Any] = {"mode": ExitMode.ATTACHED, "tps": (Decimal(195),)}


class Working(NamedTuple):
    """An order that lives at the venue. ``qty``: shares that may still fill; ``group``: its OCA group, "" for none."""

    leg: str
    ref: str
    number: int
    side: Side
    qty: int
    type: OrderType
    limit: Decimal | None
    stop: Decimal | None
    group: str
    state: str


class Sent(NamedTuple):
    """An order, a change or a cancel that left the program ``t`` seconds after the start; a cancel has no ``spec``."""

    t: float
    action: str
    leg: str
    ref: str
    spec: OrderSpec | None


class Rule:
    """What becomes of messages of one kind, some number of times."""

    def __init__(self, what: str, leg: str, wanted: Callable[[Any], bool], times: int, fate: Any) -> None:
        self.what, self.leg, self.wanted, self.times, self.fate = what, leg, wanted, times, fate

    def takes(self, what: str, leg: str, message: Any) -> bool:
        """Return whether the rule is about this message; it is used up by that."""
        if self.times <= 0 or what != self.what or not leg.startswith(self.leg) or not self.wanted(message):
            return False
        self.times -= 1
        return True


class ScriptedCourier(CleanCourier):
    """Does with messages what the test said, in the order in which it was said; everything else arrives at once."""

    def __init__(self) -> None:
        self.rules: list[Rule] = []
        self.ages: dict[str, float | None] = {}
        self.answer = 0.0

    def to_venue(self, action: str, ref: str, now: datetime) -> Sequence[float]:
        """Return the fate of an order."""
        return self._fate(action, leg_of(ref), None)

    def to_host(self, message: i.Input, now: datetime) -> Sequence[float]:
        """Return the fate of a message."""
        return self._fate(MESSAGES.get(type(message), ""), leg_of(ref_of(message)), message)

    def staleness(self, kind: str, now: datetime) -> float | None:
        """Return the age of a part of a picture."""
        return self.ages.get(kind, 0.0)

    def answer_delay(self, now: datetime) -> float:
        """Return how long a picture takes."""
        return self.answer

    def _fate(self, what: str, leg: str, message: Any) -> Sequence[float]:
        for rule in self.rules:
            if rule.takes(what, leg, message):
                fate: Sequence[float] = rule.fate
                return fate
        return (0.0,)


class Venue(SimVenue):
    """The simulation's venue, that also writes down what the program sent it."""

    def __init__(
        self,
        loop: SimLoop,
        clock: SimClock,
        hear: Callable[[i.Input], None],
        settings: dict[str, Any],
        account: str,
    ) -> None:
        paths = {"AAPL": None, "MSFT": None}
        schedule: Any = SimpleNamespace(start=clock.start, account=account, paths=paths, history=0)
        super().__init__(schedule, loop, clock, hear, settings)
        self.market: Any = self._market
        self.sent: list[Sent] = []

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order."""
        self._note("place", order.ref, order)
        super().place(order, order_id)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send a change."""
        self._note("modify", order.ref, order)
        super().modify(order, order_id)

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask for a cancel."""
        self._note("cancel", ref, None)
        super().cancel(ref, order_id)

    def _note(self, action: str, ref: str, spec: OrderSpec | None) -> None:
        self.sent.append(Sent(self._loop.time(), action, leg_of(ref), ref, spec))


def ref_of(message: Any) -> str:
    """Return the orderRef that a message of the venue is about, "" for none."""
    about = getattr(message, "report", None) or getattr(message, "execution", None) or message
    return str(getattr(about, "ref", ""))


def usd(price: Decimal | str | int) -> Decimal:
    """Return a price."""
    return Decimal(price)


def any_message(message: Any) -> bool:
    return True
