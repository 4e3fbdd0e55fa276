"""A small broker with its own truth, independent of the core: what works, what executed, what is held.

Laws: commands arrive in order. What the broker says about orders, executions, positions and refusals travels in four streams:
each keeps its order, none waits for another. A lost link loses what is under way in both directions, and what is said until it is
back; a picture is true when it is made. A SELL that executes reduces its siblings before anything else happens, as IBKR does it
for attached and OCA orders. A bracket arrives as a whole, and so does a pair of exits.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import TypeAlias

from msgspec.structs import replace
from tests.core.support import AAPL, ACCOUNT, OPEN

from tradeshell.core.commands import AskSnapshot, CancelOrder, ModifyOrder, PlaceOrder
from tradeshell.core.inputs import ExecutionReport, OrderReport, PositionReport, RefusedWhat
from tradeshell.core.orders import OrderSpec, OrderState, Side

NOT_CHANGEABLE = 104
NOT_CANCELLABLE = 10148
NO_AVERAGE = Decimal(0)  # the core decides nothing on it


@dataclass(frozen=True)
class Habits:
    """What one broker does where brokers differ. ``refuses``: how often it refuses a change, 0 to 1."""

    shows_totals: bool
    children_stay: bool  # over what a cancelled entry bought
    refuses: float


@dataclass(frozen=True)
class Refusal:
    """The broker refused a change or a cancel."""

    ref: str
    what: RefusedWhat
    code: int


@dataclass(frozen=True)
class Picture:
    """A complete picture, as it was when the broker made it."""

    epoch: int
    asked_at: datetime
    orders: tuple[OrderReport, ...]
    executions: tuple[ExecutionReport, ...]
    position: PositionReport


Message: TypeAlias = OrderReport | ExecutionReport | PositionReport | Refusal | Picture
Request: TypeAlias = PlaceOrder | ModifyOrder | CancelOrder | AskSnapshot


@dataclass
class AtBroker:
    """An order as it is at the broker; the specification's quantity is the total first asked for."""

    spec: OrderSpec
    order_id: int
    total: int
    state: OrderState
    released: bool  # a child is held until its entry has bought
    filled: int = 0

    @property
    def is_live(self) -> bool:
        """Whether it may still fill."""
        return self.state in (OrderState.HELD, OrderState.WORKING)

    @property
    def left(self) -> int:
        """The shares that it may still buy or sell."""
        return self.total - self.filled if self.is_live else 0

    @property
    def group(self) -> str | None:
        """The name that its siblings share."""
        return self.spec.oca_group or self.spec.parent_ref

    @property
    def is_sell(self) -> bool:
        """Whether it sells."""
        return self.spec.side is Side.SELL


@dataclass
class BrokerModel:
    """One account in one instrument. ``seen`` counts what makes a story worth telling."""

    chance: Random
    habits: Habits
    now: datetime = OPEN
    is_linked: bool = True
    position: int = 0
    orders: dict[str, AtBroker] = field(default_factory=dict)
    executions: list[ExecutionReport] = field(default_factory=list)
    requests: deque[Request] = field(default_factory=deque)
    asked: deque[datetime] = field(default_factory=deque)
    statuses: deque[Message] = field(default_factory=deque)
    trades: deque[Message] = field(default_factory=deque)
    positions: deque[Message] = field(default_factory=deque)
    refusals: deque[Message] = field(default_factory=deque)
    seen: Counter[str] = field(default_factory=Counter)

    # --- what a story asks about the truth ----------------------------------------------------------------------------

    def living(self) -> list[AtBroker]:
        """Return the orders that may still fill."""
        return [order for order in self.orders.values() if order.is_live]

    def at_work(self) -> list[AtBroker]:
        """Return the orders that the market can fill or elect."""
        return [order for order in self.living() if order.released]

    def exposure(self) -> int:
        """Return the shares that released SELLs could still take; siblings count once."""
        groups: dict[str, int] = {}
        for order in self.at_work():
            if order.is_sell:
                key = order.group or order.spec.ref
                groups[key] = max(groups.get(key, 0), order.left)
        return sum(groups.values())

    def excess(self) -> int:
        """Return by how many shares the account could become short."""
        return max(0, self.exposure() - max(0, self.position))

    def cover(self) -> int:
        """Return the shares under stops that work for them."""
        return sum(order.left for order in self.at_work() if order.spec.type.is_stop)

    def streams(self) -> list[deque[Message]]:
        """Return the streams in which something is under way."""
        return [stream for stream in (self.statuses, self.trades, self.positions, self.refusals) if stream]

    # --- what the core asks -------------------------------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        """Put a request under way."""
        self.requests.append(request)
        if isinstance(request, AskSnapshot):
            self.asked.append(self.now)

    def take_next(self) -> str:
        """Let the oldest request arrive, a bracket as a whole; return what it was."""
        request = self.requests.popleft()
        before = self.excess()
        said = self._take(request)
        while isinstance(request, PlaceOrder) and self._goes_on(request.order):
            request = self.requests.popleft()
            said += "; " + self._take(request)
        if self.excess() > before:
            self.seen["placed too much" if isinstance(request, PlaceOrder) else "changes crossed"] += 1
        return said

    def _goes_on(self, spec: OrderSpec) -> bool:
        """Whether the next request belongs to the order just taken."""
        if not spec.transmit:
            return True
        after = self.requests[0] if self.requests else None
        if spec.oca_group is None or not isinstance(after, PlaceOrder):
            return False
        return after.order.oca_group == spec.oca_group

    def _take(self, request: Request) -> str:
        if isinstance(request, PlaceOrder):
            return self._place(request)
        if isinstance(request, ModifyOrder):
            return self._modify(request)
        if isinstance(request, CancelOrder):
            return self._cancel(request)
        self._say(self.statuses, self._picture(request.epoch))
        return "is asked for a picture"

    def _place(self, request: PlaceOrder) -> str:
        spec = request.order
        waits = spec.parent_ref is not None or spec.type.is_stop
        order = AtBroker(
            spec=spec,
            order_id=request.order_id,
            total=spec.qty,
            state=OrderState.HELD if waits else OrderState.WORKING,
            released=spec.parent_ref is None,
        )
        self.orders[spec.ref] = order
        self._show(order)
        return f"takes {spec.ref} over {spec.qty}"

    def _modify(self, request: ModifyOrder) -> str:
        wanted = request.order
        order = self.orders.get(wanted.ref)
        if order is None or not order.is_live or self.chance.random() < self.habits.refuses:
            self.seen["refused change"] += 1
            self._say(self.refusals, Refusal(wanted.ref, RefusedWhat.CHANGE, NOT_CHANGEABLE))
            return f"refuses to change {wanted.ref}"
        order.spec = replace(order.spec, limit=wanted.limit, stop=wanted.stop)
        order.total = wanted.qty
        if order.total <= order.filled:
            order.state = OrderState.FILLED if order.total == order.filled > 0 else OrderState.CANCELLED
        self._show(order)
        return f"changes {wanted.ref} to {wanted.qty}"

    def _cancel(self, request: CancelOrder) -> str:
        order = self.orders.get(request.ref)
        if order is None or not order.is_live:
            if order is not None and order.state is OrderState.FILLED:
                self.seen["cancel and fill raced"] += 1
            self._say(self.refusals, Refusal(request.ref, RefusedWhat.CANCEL, NOT_CANCELLABLE))
            return f"refuses to cancel {request.ref}"
        self.end(order)
        return f"cancels {request.ref}"

    # --- what happens at the broker -----------------------------------------------------------------------------------

    def fill(self, order: AtBroker, qty: int) -> None:
        """Let an order execute; a SELL reduces its siblings, a filled entry releases its children."""
        order.filled += qty
        order.state = OrderState.FILLED if order.left == 0 else OrderState.WORKING
        self.position += order.spec.side.sign * qty
        self._execute(order, qty)
        self._show(order)
        if order.is_sell:
            self._reduce_siblings(order, qty)
        elif order.state is OrderState.FILLED:
            self._release_children(order)

    def elect(self, order: AtBroker) -> None:
        """Let a stop become a working order."""
        order.state = OrderState.WORKING
        self._show(order)

    def end(self, order: AtBroker) -> None:
        """Cancel an order, and what belongs to it."""
        order.state = OrderState.CANCELLED
        self._show(order)
        if order.is_sell:
            for sibling in self._siblings(order):
                sibling.state = OrderState.CANCELLED
                self._show(sibling)
            return
        if order.filled:
            self.seen["partial entry"] += 1
        for child in self._children(order):
            if order.filled and self.habits.children_stay:
                child.released = True
                child.total = order.filled
            else:
                child.state = OrderState.CANCELLED
            self._show(child)

    def lose_link(self) -> None:
        """Lose all that is said, and all that is asked from some request on."""
        self.is_linked = False
        while self.requests and self.chance.random() < 0.5:
            self.take_next()
        self.requests.clear()
        self.asked.clear()
        for stream in self.streams():
            stream.clear()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _say(self, stream: deque[Message], message: Message) -> None:
        if self.is_linked:
            stream.append(message)

    def _siblings(self, order: AtBroker) -> Iterator[AtBroker]:
        for other in self.orders.values():
            if other is not order and other.is_live and other.group and other.group == order.group:
                yield other

    def _children(self, entry: AtBroker) -> Iterator[AtBroker]:
        for other in self.orders.values():
            if other.spec.parent_ref == entry.spec.ref and other.is_live:
                yield other

    def _reduce_siblings(self, order: AtBroker, qty: int) -> None:
        for sibling in self._siblings(order):
            sibling.total = max(sibling.total - qty, sibling.filled)
            if sibling.left == 0:
                sibling.state = OrderState.CANCELLED
            if sibling.filled:
                self.seen["both legs filled"] += 1
            self._show(sibling)

    def _release_children(self, entry: AtBroker) -> None:
        for child in self._children(entry):
            child.released = True
            if not child.spec.type.is_stop:
                child.state = OrderState.WORKING
            self._show(child)

    def _execute(self, order: AtBroker, qty: int) -> None:
        price = order.spec.limit if order.spec.limit is not None else order.spec.stop
        assert price is not None, order.spec.ref
        report = ExecutionReport(
            exec_id=f"e{len(self.executions)}.01",
            ref=order.spec.ref,
            order_id=order.order_id,
            symbol=AAPL.symbol,
            account=ACCOUNT,
            side=order.spec.side,
            qty=qty,
            price=price,
            at=self.now,
        )
        self.executions.append(report)
        self._say(self.trades, report)
        self._say(self.positions, self._held())

    def _held(self) -> PositionReport:
        return PositionReport(
            symbol=AAPL.symbol, con_id=AAPL.con_id, account=ACCOUNT, qty=self.position, average=NO_AVERAGE
        )

    def _show(self, order: AtBroker) -> None:
        self._say(self.statuses, self._report(order, shows_total=self.habits.shows_totals))

    def _report(self, order: AtBroker, *, shows_total: bool) -> OrderReport:
        return OrderReport(
            ref=order.spec.ref,
            order_id=order.order_id,
            state=order.state,
            filled=order.filled,
            remaining=max(0, order.total - order.filled),
            qty=order.total if shows_total else None,
            limit=order.spec.limit,
            stop=order.spec.stop,
        )

    def _picture(self, epoch: int) -> Picture:
        shown = tuple(self._report(order, shows_total=True) for order in self.living())
        return Picture(epoch, self.asked.popleft(), shown, tuple(self.executions), self._held())
