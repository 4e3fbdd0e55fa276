"""What the exchange keeps: one ticket for each order, one line for each listed symbol.

Both are the exchange's own and change in place; what leaves the exchange is frozen. A ticket knows nothing of prices in the
market, a line nothing of orders' rules.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct, field

from tradeshell import (
    Instrument,
    OcaType,
    OrderReport,
    OrderSpec,
    OrderState,
    Price,
    Shares,
    Side,
)

# A range counts for orders that were there during (nearly) all of it: a program that answers a bar's close needs a moment,
# and a replay at the pace of the clock must not lose the minute in which it entered.
ARRIVAL_PART = 60
LONGEST_BAR = timedelta(days=1)


class Terms(NamedTuple):
    """The prices (USD) of an order from ``since`` on; ``opened`` is the begin of the recorded bar whose open they met last."""

    since: datetime
    stop: Price | None
    limit: Price | None
    opened: datetime | None


class Ticket(Struct, kw_only=True, eq=False):
    """One order at the exchange. ``qty`` is its total as it stands now; ``number`` its permanent number."""

    number: int
    client: int
    order_id: int
    spec: OrderSpec
    since: datetime  # entered, released, or its price changed: what traded before does not concern it
    qty: Shares
    state: OrderState = OrderState.SENT
    filled: Shares = 0
    value: Decimal = Decimal(0)  # USD, sum of price x shares
    fees: Decimal = Decimal(0)  # USD
    staged: bool = False  # kept back until its family is transmitted
    parent: Ticket | None = None
    elected: bool = False
    has_stop: bool = False
    is_over: bool = False
    is_held: bool = True  # for a reason other than a stop that waits: may neither trigger nor fill
    fresh: bool = True  # has not met a touch since it came or changed
    is_released: bool = (
        False  # by its parent, or to rest again: recorded trades meet it, no touch beside them
    )
    opened: datetime | None = None  # begin of the recorded bar whose open it met last
    former: list[Terms] = field(default_factory=list)  # that a bar which lasts may still meet, oldest first
    after_fill: bool = False  # came at an instant at which its symbol had just executed
    expires: datetime | None = None
    oca: str | None = None
    shown_qty: Shares = 0
    why: str = ""
    is_inactive: bool = False  # refused after it was taken; it may work again
    witnessed: object = None  # what a witness was told last

    @property
    def left(self) -> Shares:
        """Shares that may still fill."""
        return 0 if self.is_over else self.qty - self.filled

    @property
    def oca_type(self) -> OcaType:
        """The kind of its group. Children of a bracket get type 3 by themselves (IBKR); a named group without one gets 1."""
        if self.spec.oca_group is None:
            return OcaType.REDUCE_UNBLOCKED
        return OcaType.CANCEL if self.spec.oca_type is None else self.spec.oca_type

    @property
    def waits_for_stop(self) -> bool:
        """Whether its stop price has not been reached."""
        return self.has_stop and not self.elected

    @property
    def takes_any_price(self) -> bool:
        """Whether it is a market order now: entered as one, or an elected stop."""
        return self.spec.limit is None and (self.elected or not self.has_stop)

    @property
    def works_extended(self) -> bool:
        """Whether it works outside regular hours: only limits do, a market or plain stop order has no meaning there."""
        return self.spec.outside_rth and self.spec.limit is not None

    @property
    def is_ready(self) -> bool:
        """Whether it may trigger or fill."""
        return not self.is_held and not self.is_over

    @property
    def held_by(self) -> tuple[str, ...]:
        """What it waits for: ``child`` its parent, ``trigger`` its stop price; of hours and refusals nothing is said."""
        if self.state is not OrderState.HELD:
            return ()
        waits = self.parent is not None and self.parent.state is not OrderState.FILLED
        if self.waits_for_stop:
            return ("child", "trigger") if waits else ("trigger",)
        return ("child",) if waits else ()

    @property
    def awaits_touch(self) -> bool:
        """Whether the next touch concerns it: it has met none yet, or takes whatever comes."""
        return self.is_ready and not self.waits_for_stop and (self.fresh or self.takes_any_price)

    def was_there(self, start: datetime, seconds: int) -> bool:
        """Return whether a bar counts for it with the prices that it has now."""
        return self.since <= start or self.since <= start + timedelta(seconds=seconds / ARRIVAL_PART)

    def terms_during(self, start: datetime, seconds: int) -> list[Terms]:
        """Return the prices it had while a bar lasted, those at its begin first; none when it came later."""
        now = Terms(self.since, self.spec.stop, self.spec.limit, self.opened)
        if self.was_there(start, seconds):
            return [now]
        begun = start + timedelta(seconds=seconds / ARRIVAL_PART)
        at_begin = sum(terms.since <= begun for terms in self.former)
        return [*self.former[at_begin - 1 :], now] if at_begin > 0 else []

    def begin(self, now: datetime) -> None:
        """Count as new: what traded before ``now`` does not concern it, and it has met no touch."""
        self.since, self.fresh, self.opened = now, True, None
        self.former.clear()

    def take_prices(self, now: datetime, spec: OrderSpec) -> None:
        """Take changed prices. The others stay known for the bar that lasts."""
        self.former.append(Terms(self.since, self.spec.stop, self.spec.limit, self.opened))
        while len(self.former) > 1 and self.former[1].since <= now - LONGEST_BAR:
            self.former.pop(0)
        self.spec, self.since, self.fresh, self.opened = spec, now, True, None

    def report(self) -> OrderReport:
        """Return what the exchange shows of it. ``why`` is empty while it lives."""
        return OrderReport(
            ref=self.spec.ref,
            order_id=self.order_id,
            state=self.state,
            filled=self.filled,
            remaining=self.qty - self.filled,
            qty=self.shown_qty,
            limit=self.spec.limit,
            stop=self.spec.stop,
            why=self.why,
        )


class Line(Struct, kw_only=True, eq=False):
    """The market in one symbol: the touch (USD, ``None`` is a side without a price) and our living orders in it."""

    instrument: Instrument
    bid: Price | None = None
    ask: Price | None = None
    bid_left: Shares = 0  # of the touch's size, not yet taken by our own fills
    ask_left: Shares = 0
    quoted_at: datetime | None = None
    is_halted: bool = False
    filled_at: datetime | None = None  # instant of the last execution
    tickets: list[Ticket] = field(default_factory=list)
    queue: list[Ticket] = field(default_factory=list)
    is_stale: bool = False  # the queue is not what the tickets say

    def touch(self, side: Side) -> Price | None:
        """Return the price at which an order of ``side`` meets the market."""
        return self.ask if side is Side.BUY else self.bid

    def has_stop_beside(self, ticket: Ticket) -> bool:
        """Return whether a stop of the order's own group may trigger now."""
        return ticket.oca is not None and any(
            other.oca == ticket.oca and other.is_ready and other.waits_for_stop for other in self.tickets
        )

    def ready(self) -> list[Ticket]:
        """Return the orders that may trigger or fill now, stops first, nearest price first, then first come."""
        if self.is_stale:
            self.is_stale = False
            self.queue = sorted((ticket for ticket in self.tickets if ticket.is_ready), key=_priority)
        return self.queue


def _priority(ticket: Ticket) -> tuple[int, Decimal, int]:
    spec = ticket.spec
    if ticket.waits_for_stop and spec.stop is not None:
        # A falling market reaches the highest SELL stop first, a rising one the lowest BUY stop.
        return 0, spec.stop if spec.side is Side.BUY else -spec.stop, ticket.number
    if ticket.takes_any_price or spec.limit is None:
        return 1, Decimal(0), ticket.number
    return 2, -spec.limit if spec.side is Side.BUY else spec.limit, ticket.number
