"""What the gateway's own record says about one account: what is held, what protects it, and what must never be.

Laws: it reads the answer to ``show`` and nothing of the program; one answer is one instant of the gateway.
"""

from __future__ import annotations

from collections import Counter

import msgspec
from msgspec import Struct

WORKS = ("PreSubmitted", "Submitted")


class Order(Struct, frozen=True):
    """One order, as the gateway shows it."""

    client: int
    id: int
    ref: str
    symbol: str
    side: str
    type: str
    status: str
    qty: int
    filled: int
    left: int
    limit: str
    stop: str
    parent: int
    group: str
    over: bool

    @property
    def trade(self) -> str:
        """Whose order it is."""
        return self.ref.split(":")[1]

    @property
    def leg(self) -> str:
        """Which of the trade's orders it is."""
        return self.ref.split(":")[2]

    @property
    def is_stop(self) -> bool:
        """Whether it sells when the price falls."""
        return self.side == "SELL" and self.type.startswith("STP")

    @property
    def is_target(self) -> bool:
        """Whether it sells when the price has risen."""
        return self.side == "SELL" and self.leg.startswith("tp")


class Execution(Struct, frozen=True):
    """One execution. ``side``: BOT or SLD."""

    exec: str
    ref: str
    side: str
    qty: int
    symbol: str


class Shown(Struct, frozen=True):
    """The gateway at one instant."""

    orders: tuple[Order, ...]
    executions: tuple[Execution, ...]
    positions: dict[str, dict[str, int]]
    clients: tuple[int, ...]

    def held(self, symbol: str) -> int:
        """Return the shares that are held."""
        return sum(each.get(symbol, 0) for each in self.positions.values())

    def living(self, symbol: str) -> list[Order]:
        """Return the orders that are not over."""
        return [order for order in self.orders if order.symbol == symbol and not order.over]

    def _can_sell(self, symbol: str) -> list[Order]:
        alive = {(order.client, order.id) for order in self.orders if not order.over}
        return [
            order
            for order in self.living(symbol)
            if order.side == "SELL" and order.status in WORKS and (order.client, order.parent) not in alive
        ]

    def covered(self, symbol: str) -> int:
        """Return for how many shares a stop works."""
        return sum(order.left for order in self._can_sell(symbol) if order.is_stop)

    def could_sell(self, symbol: str) -> int:
        """Return how many shares working orders could sell: of a group the largest member."""
        groups: dict[str, int] = {}
        for order in self._can_sell(symbol):
            key = order.group or order.ref
            groups[key] = max(groups.get(key, 0), order.left)
        return sum(groups.values())

    def targeted(self, symbol: str) -> int:
        """Return for how many shares a target works."""
        return sum(order.left for order in self._can_sell(symbol) if order.is_target)


decode = msgspec.json.Decoder(Shown).decode


def breaches(shown: Shown, symbol: str) -> list[str]:
    """Return what must never be, at any instant, of one symbol."""
    found = []
    held, could = shown.held(symbol), shown.could_sell(symbol)
    if held < 0:
        found.append(f"short: {held} held")
    if could > max(0, held):
        found.append(f"{could} could be sold, {held} are held")
    mine = [order for order in shown.orders if order.symbol == symbol]
    twice = [ref for ref, count in Counter(order.ref for order in mine).items() if count > 1]
    if twice:
        found.append(f"an order twice: {twice}")
    legs = Counter((order.trade, order.leg) for order in mine if not order.over)
    found += [f"two generations of {leg} of {trade}" for (trade, leg), count in legs.items() if count > 1]
    found += [
        f"an entry again: {order.ref}" for order in mine if order.leg == "entry" and order.ref[-2:] != ":1"
    ]
    ids = Counter(execution.exec for execution in shown.executions)
    found += [f"an execution twice: {name}" for name, count in ids.items() if count > 1]
    bought = Counter[str]()
    for execution in shown.executions:
        if execution.symbol == symbol:
            bought[symbol] += execution.qty if execution.side == "BOT" else -execution.qty
    if bought[symbol] != held:
        found.append(f"{held} held, executions make {bought[symbol]}")
    found += [f"{o.ref} filled {o.filled} of {o.qty}" for o in mine if o.filled > o.qty]
    return found
