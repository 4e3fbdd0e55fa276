"""What follows from what: reports, fills, ends of orders, and what they do to parents, children and OCA groups.

Laws: a fill is told as execution, order, position, fee, in this order, and only then what follows from it; an order that has
ended never moves again, except by an execution that is heard late; a group of type 1 or 2 never sells more than its largest
order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct

from tradeshell import (
    CommissionReported,
    ExecutionReport,
    ExecutionReported,
    Input,
    OcaType,
    OrderRefusedByBroker,
    OrderReported,
    OrderState,
    PositionReported,
    Price,
    RefusedWhat,
    Session,
    Shares,
)
from tradeshell_paper.ledger import Ledger
from tradeshell_paper.settings import Refusal, Rules
from tradeshell_paper.tickets import Line, Ticket
from tradeshell_paper.witness import ACTION_OF, Recorder, Witness


class Report(Struct, frozen=True):
    """Something the exchange tells: ``client`` is whose order it is about; executions and positions concern the account.

    Of an order: ``held_by`` is what it waits for (``child``: its parent, ``trigger``: its stop price), ``is_over``: it has ended.
    """

    client: int
    input: Input
    held_by: tuple[str, ...] = ()
    is_over: bool = False

    @property
    def concerns_account(self) -> bool:
        """Whether everybody who trades the account hears of it."""
        return isinstance(self.input, ExecutionReported | PositionReported | CommissionReported)


class Floor:
    """Tickets and lines, and the consequences of what happens to them. ``now`` is set by each call of the exchange."""

    def __init__(self, rules: Rules, witness: Witness | None = None) -> None:
        self.rules = rules
        self.recorder = None if witness is None else Recorder(witness)
        self.ledger = Ledger(rules)
        self.lines: dict[str, Line] = {}
        self.now = datetime.min.replace(tzinfo=UTC)
        self.session: Session | None = None
        self.released: deque[Ticket] = deque()  # children set free by a fill, to be shown the touch
        self._tickets: dict[tuple[int, int], Ticket] = {}
        self._by_ref: dict[tuple[int, str], Ticket] = {}
        self._spent_groups: set[str] = set()
        self._begun_groups: set[str] = set()
        self._races: list[tuple[Ticket, Shares, Shares]] = []
        self._out: list[Report] = []

    # --- telling ------------------------------------------------------------------------------------------------------

    def drain(self) -> tuple[Report, ...]:
        """Return what was told since the last call."""
        out, self._out = self._out, []
        return tuple(out)

    def tell(self, ticket: Ticket) -> None:
        """Show an order as it now stands."""
        line = self.line_of(ticket)
        line.is_stale = True
        if self.recorder is not None:
            self.recorder.state(self.now, ticket, line)
        said = OrderReported(at=self.now, report=ticket.report())
        self._out.append(Report(ticket.client, said, ticket.held_by, ticket.is_over))

    def refuse(
        self, client: int, order_id: int, ref: str, what: RefusedWhat, refusal: Refusal, action: str = ""
    ) -> None:
        """Tell a refusal. ``action`` is what was refused where ``what`` does not say it."""
        if self.recorder is not None:
            action = action or ACTION_OF[what]
            self.recorder.refusal(self.now, client, order_id, ref, action, refusal.code, refusal.text)
        what = RefusedWhat.NOTHING if refusal.advisory else what
        said = OrderRefusedByBroker(at=self.now, ref=ref, what=what, code=refusal.code, text=refusal.text)
        self._out.append(Report(client, said))

    # --- looking ------------------------------------------------------------------------------------------------------

    def put(self, ticket: Ticket) -> None:
        """Keep a new ticket; a later order of the same ref is the one that children name."""
        self._tickets[ticket.client, ticket.order_id] = ticket
        self._by_ref[ticket.client, ticket.spec.ref] = ticket

    def ticket(self, client: int, order_id: int) -> Ticket | None:
        """Return an order by its address."""
        return self._tickets.get((client, order_id))

    def by_ref(self, client: int, ref: str) -> Ticket | None:
        """Return a client's newest order of that ref."""
        return self._by_ref.get((client, ref))

    def tickets(self) -> Iterator[Ticket]:
        """Return every order there ever was, oldest first."""
        return iter(self._tickets.values())

    def line_of(self, ticket: Ticket) -> Line:
        """Return the line of an order's symbol."""
        return self.lines[ticket.spec.symbol]

    def children(self, parent: Ticket) -> list[Ticket]:
        """Return a parent's living children, oldest first."""
        return [
            ticket
            for ticket in self.line_of(parent).tickets
            if ticket.parent is parent and not ticket.is_over
        ]

    def is_spent(self, group: str) -> bool:
        """Return whether an order of the OCA group has filled completely: the group cannot be used again."""
        return group in self._spent_groups

    def has_begun(self, group: str) -> bool:
        """Return whether something of the OCA group has executed."""
        return group in self._begun_groups

    def left_in_group(self, ticket: Ticket) -> Shares:
        """Return what is left of the largest other order of an order's OCA group; 0 when there is none."""
        return max((sibling.left for sibling in self._siblings(ticket)), default=0)

    # --- hours and holding --------------------------------------------------------------------------------------------

    def is_open_for(self, ticket: Ticket) -> bool:
        """Return whether an order works at this hour."""
        session = self.session
        if session is None:
            return False
        return session.is_extended(self.now) if ticket.works_extended else session.is_regular(self.now)

    def settle_state(self, ticket: Ticket) -> bool:
        """Set whether an order is held and its state accordingly; returns whether the state changed."""
        waits = ticket.parent is not None and ticket.parent.state is not OrderState.FILLED
        ticket.is_held = waits or ticket.is_inactive or not self.is_open_for(ticket)
        held = ticket.is_held or ticket.waits_for_stop
        state = OrderState.HELD if held else OrderState.WORKING
        if ticket.is_inactive:
            state = OrderState.REFUSED
        changed = state is not ticket.state
        ticket.state = state
        line = self.line_of(ticket)
        line.is_stale = True
        if self.recorder is not None:
            self.recorder.state(self.now, ticket, line)
        return changed

    # --- fills and ends -----------------------------------------------------------------------------------------------

    def fill(self, ticket: Ticket, qty: Shares, price: Price, at: datetime) -> None:
        """Fill ``qty`` shares at ``price`` USD, executed at ``at``, with everything that follows."""
        line = self.line_of(ticket)
        before = ticket.left
        execution = self.ledger.book(ticket, line.instrument, qty, price, at)
        line.filled_at = at
        ticket.is_over = ticket.filled >= ticket.qty
        ticket.state = OrderState.FILLED if ticket.is_over else OrderState.WORKING
        self._tell_fill(ticket, execution)
        if ticket.is_over:
            self._leave(ticket)
            if ticket.oca is not None:
                self._spent_groups.add(ticket.oca)
        self._take_from_group(ticket, qty, before)
        if ticket.is_over:
            self._release_children(ticket)

    def _tell_fill(self, ticket: Ticket, execution: ExecutionReport) -> None:
        client = ticket.client
        if self.recorder is not None:
            self.recorder.execution(self.now, client, execution)
        self._out.append(Report(client, ExecutionReported(at=self.now, execution=execution)))
        self.tell(ticket)
        self._tell_position(client, execution.symbol)
        fee = self.ledger.charge(ticket)
        self._out.append(
            Report(client, CommissionReported(at=self.now, exec_id=execution.exec_id, amount=fee))
        )

    def _tell_position(self, client: int, symbol: str) -> None:
        position = self.ledger.position(symbol)
        self._out.append(Report(client, PositionReported(at=self.now, position=position)))

    def _take_from_group(self, ticket: Ticket, qty: Shares, before: Shares) -> None:
        if ticket.oca is not None:
            self._begun_groups.add(ticket.oca)
            if ticket.oca_type is OcaType.REDUCE_UNBLOCKED and self.rules.oca_race:
                self._races.append((ticket, qty, before))
            else:
                self._reduce_group(ticket, qty, before)

    def late_fill(self, ticket: Ticket, qty: Shares, price: Price) -> None:
        """Book what an order that was cancelled had executed before the cancel reached the market."""
        line = self.line_of(ticket)
        before = ticket.qty - ticket.filled
        execution = self.ledger.book(ticket, line.instrument, qty, price, self.now)
        line.filled_at = self.now
        self._tell_fill(ticket, execution)
        self._take_from_group(ticket, qty, before)

    def correct(self, exec_id: str, qty: Shares, price: Price | None) -> None:
        """Correct an execution; ``price`` ``None`` leaves its price. The order's own numbers stay as they are."""
        found = self.ledger.correct(exec_id, qty, price)
        if found is None:
            return
        client, execution = found
        if self.recorder is not None:
            self.recorder.corrected(self.now, execution.exec_id, qty, execution.price)
        self._out.append(Report(client, ExecutionReported(at=self.now, execution=execution)))
        self._tell_position(client, execution.symbol)

    def complete(self, ticket: Ticket) -> None:
        """End an order as filled, because its total was reduced to what has filled."""
        ticket.state = OrderState.FILLED
        ticket.is_over = True
        self._leave(ticket)
        self.tell(ticket)
        self._release_children(ticket)

    def settle_races(self) -> None:
        """Reduce the groups whose orders were allowed to run in this event (``oca_race``)."""
        races, self._races = self._races, []
        for ticket, qty, before in races:
            self._reduce_group(ticket, qty, before)

    def end(self, ticket: Ticket, state: OrderState, why: str) -> None:
        """End an order without a fill, and its children with it."""
        if ticket.is_over:
            return
        children = self.children(ticket)
        ticket.state = state
        ticket.is_over = True
        ticket.why = why
        self._leave(ticket)
        self.tell(ticket)
        if ticket.filled > 0 and self.rules.holds_orphans:
            return
        for child in children:
            self.end(child, OrderState.CANCELLED, "parent order ended without a complete fill")

    def end_with_group(self, ticket: Ticket, why: str) -> None:
        """Cancel an order by hand; the rest of its group goes too, unless the rules say otherwise."""
        self.end(ticket, OrderState.CANCELLED, why)
        if self.rules.oca_cancel_spreads:
            for sibling in self._siblings(ticket):
                self.end(sibling, OrderState.CANCELLED, why)

    def _leave(self, ticket: Ticket) -> None:
        tickets = self.line_of(ticket).tickets
        if ticket in tickets:
            tickets.remove(ticket)

    def _siblings(self, ticket: Ticket) -> list[Ticket]:
        if ticket.oca is None:
            return []
        return [
            other
            for line in self.lines.values()
            for other in line.tickets
            if other.oca == ticket.oca and other is not ticket and not other.is_over and not other.staged
        ]

    def _reduce_group(self, ticket: Ticket, qty: Shares, before: Shares) -> None:
        """Take from the siblings the fraction ``qty`` / ``before`` of what is left of them; type 1 takes everything."""
        for sibling in self._siblings(ticket):
            left = 0 if ticket.oca_type is OcaType.CANCEL else sibling.left * (before - qty) // before
            if left <= 0:
                self.end(sibling, OrderState.CANCELLED, "OCA: an order of its group executed")
            elif left < sibling.left:
                sibling.qty = sibling.filled + left
                if self.rules.oca_shows_total:
                    sibling.shown_qty = sibling.qty
                self.tell(sibling)

    def _release_children(self, parent: Ticket) -> None:
        for child in self.children(parent):
            if child.staged:
                continue
            child.begin(self.now)
            child.is_released = True
            child.after_fill = self.line_of(child).filled_at == self.now
            self.settle_state(child)
            self.tell(
                child
            )  # repeated even when the state is the same: the reason why it is held has changed
            self.released.append(child)
