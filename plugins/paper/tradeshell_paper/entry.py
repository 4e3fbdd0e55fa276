"""Order entry: new orders, staged families, changes and cancels.

Laws: an order that is not transmitted is silent; its family is released by the last member, the parent first, and all are shown
before any of them meets the market; a refused change leaves the old order working.
"""

from __future__ import annotations

from inspect import signature

from msgspec.structs import replace

from tradeshell import Instrument, OrderSpec, OrderState, OrderType, Price, RefusedWhat, Shares, Tif
from tradeshell_paper import checks
from tradeshell_paper.calendar import new_york_day, next_trading_day, session_on
from tradeshell_paper.floor import Floor
from tradeshell_paper.matcher import Matcher
from tradeshell_paper.settings import Refusal, RefuseRule
from tradeshell_paper.tickets import Ticket


class OrderEntry:
    """Takes orders on a floor."""

    def __init__(self, floor: Floor, matcher: Matcher) -> None:
        self._floor = floor
        self._matcher = matcher
        self._number = 0
        self._rule = _asked_about_everything(floor.rules.refuse)

    def place(self, spec: OrderSpec, order_id: int, client: int) -> None:
        """Take a new order, or refuse it."""
        floor = self._floor
        refusal, parent = self._check_new(spec, order_id, client)
        if refusal is not None:
            floor.refuse(client, order_id, spec.ref, RefusedWhat.ORDER, refusal)
            return
        group = spec.oca_group
        if group is None and parent is not None:
            group = f"bracket {parent.number}"  # IBKR groups the children of one parent by itself
        self._number += 1
        spec = _without_idle_prices(spec)
        ticket = Ticket(
            number=self._number,
            client=client,
            order_id=order_id,
            spec=spec,
            since=floor.now,
            qty=spec.qty,
            shown_qty=spec.qty,
            parent=parent,
            has_stop=spec.type.is_stop,
            staged=True,
            oca=group,
        )
        floor.put(ticket)
        if floor.recorder is not None:
            floor.recorder.order("accept", floor.now, ticket, spec)
            floor.recorder.state(floor.now, ticket, floor.line_of(ticket))
        if spec.transmit:
            self._transmit(ticket)

    def modify(self, spec: OrderSpec, order_id: int, client: int) -> None:
        """Take the whole order again with its changed values, or refuse the change."""
        floor, spec = self._floor, _without_idle_prices(spec)
        ticket = floor.ticket(client, order_id)
        if ticket is None:
            floor.refuse(client, order_id, spec.ref, RefusedWhat.CHANGE, checks.unknown(order_id))
            return
        refusal = checks.check_change(ticket, spec)
        if refusal is None:
            refusal = checks.check_values(spec, floor.rules.account, self._instrument(spec.symbol), floor.now)
        if refusal is None and self._rule is not None:
            refusal = self._rule(spec, floor.now, "modify")
        if refusal is not None:
            floor.refuse(client, order_id, spec.ref, RefusedWhat.CHANGE, refusal)
            if not refusal.advisory:
                return
        if floor.recorder is not None:
            floor.recorder.order("modify", floor.now, ticket, _with_fixed_values(spec, ticket.spec))
        if ticket.staged:
            ticket.spec, ticket.qty, ticket.shown_qty = spec, spec.qty, spec.qty
            if spec.transmit:
                self._transmit(ticket)
            elif floor.recorder is not None:
                floor.recorder.state(floor.now, ticket, floor.line_of(ticket))
        else:
            self._change(ticket, spec)

    def alter(self, ticket: Ticket, *, stop: Price | None, limit: Price | None, qty: Shares | None) -> None:
        """Change an order as its owner does in another window: its client hears what it is now."""
        old = ticket.spec
        spec = replace(
            old,
            stop=old.stop if stop is None else stop,
            limit=old.limit if limit is None else limit,
            qty=old.qty if qty is None else qty,
        )
        refusal = checks.check_values(
            spec, self._floor.rules.account, self._instrument(spec.symbol), self._floor.now
        )
        if refusal is not None:
            raise ValueError(refusal.text)
        self._change(ticket, _without_idle_prices(spec))

    def cancel(self, order_id: int, client: int, ref: str) -> None:
        """Cancel an order, or say why that cannot be done."""
        floor = self._floor
        ticket = floor.ticket(client, order_id)
        if floor.recorder is not None:
            floor.recorder.cancel_asked(floor.now, client, order_id, ref)
        if ticket is None:
            floor.refuse(client, order_id, ref, RefusedWhat.CANCEL, checks.unknown_cancel(order_id))
            return
        ref = ticket.spec.ref
        if ticket.is_over:
            floor.refuse(client, order_id, ref, RefusedWhat.CANCEL, checks.finished_cancel(ticket))
            return
        refusal = None if self._rule is None else self._rule(ticket.spec, floor.now, "cancel")
        if refusal is not None:
            floor.refuse(client, order_id, ref, RefusedWhat.CANCEL, refusal)
        if refusal is None or refusal.advisory:
            floor.end_with_group(ticket, "cancelled by the client")

    # --- inside -------------------------------------------------------------------------------------------------------

    def _instrument(self, symbol: str) -> Instrument | None:
        line = self._floor.lines.get(symbol)
        return None if line is None else line.instrument

    def _check_new(self, spec: OrderSpec, order_id: int, client: int) -> tuple[Refusal | None, Ticket | None]:
        floor = self._floor
        if order_id <= 0 or floor.ticket(client, order_id) is not None:
            return checks.DUPLICATE_ID, None
        refusal = checks.check_values(spec, floor.rules.account, self._instrument(spec.symbol), floor.now)
        if refusal is None and spec.oca_group is not None and floor.is_spent(spec.oca_group):
            refusal = checks.GROUP_DONE
        if refusal is not None or spec.parent_ref is None:
            return refusal, None
        parent = floor.by_ref(client, spec.parent_ref)
        if parent is None or parent.is_over:
            return checks.unknown(0 if parent is None else parent.order_id), None
        return None, parent

    def _transmit(self, ticket: Ticket) -> None:
        floor = self._floor
        parent = ticket.parent
        family = [ticket]
        if parent is not None:
            brood = [t for t in floor.tickets() if t.parent is parent and t.staged and not t.is_over]
            family = [*([parent] if parent.staged else []), *brood]
        for member in family:
            if not member.is_over:  # unless its parent was refused a moment ago
                self._accept(member)
        for member in family:
            self._matcher.arrive(member)

    def _accept(self, ticket: Ticket) -> None:
        floor = self._floor
        line = floor.line_of(ticket)
        ticket.staged = False
        ticket.since = floor.now
        line.tickets.append(ticket)
        refusal = None if self._rule is None else self._rule(ticket.spec, floor.now, "place")
        if refusal is None:
            refusal = self._join(ticket)
        if refusal is not None:
            floor.refuse(ticket.client, ticket.order_id, ticket.spec.ref, RefusedWhat.ORDER, refusal)
        if refusal is not None and not refusal.advisory:
            staged = [t for t in floor.tickets() if t.parent is ticket and t.staged]
            floor.end(ticket, OrderState.REFUSED, refusal.text)
            for child in staged:
                floor.end(child, OrderState.CANCELLED, "parent order was rejected")
            return
        self._set_expiry(ticket)
        ticket.after_fill = line.filled_at == floor.now
        floor.settle_state(ticket)
        floor.tell(ticket)

    def _join(self, ticket: Ticket) -> Refusal | None:
        """Size an order that joins a group of the client's own naming in which others live, or say why it may not."""
        floor, group = self._floor, ticket.spec.oca_group
        left = 0 if group is None else floor.left_in_group(ticket)
        if group is None or left == 0:
            return None
        if floor.rules.oca_join == "capped":
            ticket.qty = ticket.shown_qty = min(ticket.qty, left)
        return checks.GROUP_BEGUN if floor.rules.oca_join == "refused" and floor.has_begun(group) else None

    def _change(self, ticket: Ticket, spec: OrderSpec) -> None:
        floor, old = self._floor, ticket.spec
        spec = _with_fixed_values(spec, old)
        if (spec.limit, spec.stop, spec.type) != (old.limit, old.stop, old.type):
            ticket.take_prices(floor.now, spec)
            ticket.is_released = False
            ticket.after_fill = floor.line_of(ticket).filled_at == floor.now
        ticket.spec = spec
        # The old total from a client that was not shown an OCA reduction yet must not undo it.
        if spec.qty < ticket.qty or spec.qty != old.qty or floor.rules.oca_restores:
            ticket.qty = ticket.shown_qty = spec.qty
        if ticket.qty <= ticket.filled:
            ticket.qty = ticket.shown_qty = ticket.filled
            if floor.rules.reduced_is_filled:
                floor.complete(ticket)
            else:
                floor.end(ticket, OrderState.CANCELLED, "reduced to what has filled")
            return
        self._set_expiry(ticket)
        floor.settle_state(ticket)
        floor.tell(ticket)
        self._matcher.arrive(ticket)

    def _set_expiry(self, ticket: Ticket) -> None:
        """Set when time alone ends the order: GTD at its instant, DAY at the end of its hours, of the next day if over."""
        spec, now = ticket.spec, self._floor.now
        ticket.expires = spec.good_till if spec.tif is Tif.GTD else None
        if spec.tif is not Tif.DAY:
            return
        day = new_york_day(now)
        while ticket.expires is None:
            session = session_on(day)
            if session is not None:
                end = session.extended_close if ticket.works_extended else session.close
                ticket.expires = end if end > now else None
            day = next_trading_day(day)


def _with_fixed_values(spec: OrderSpec, old: OrderSpec) -> OrderSpec:
    """Return a change with what a client cannot change and may leave out."""
    return replace(
        spec, parent_ref=old.parent_ref, oca_group=old.oca_group, oca_type=old.oca_type, transmit=True
    )


def _asked_about_everything(rule: RefuseRule | None) -> RefuseRule | None:
    """Return a rule that is asked about each action; one of two arguments has nothing to say about changes and cancels."""
    if rule is None or len(signature(rule).parameters) >= 3:  # order, instant, action
        return rule
    return lambda spec, at, action: rule(spec, at) if action == "place" else None


def _without_idle_prices(spec: OrderSpec) -> OrderSpec:
    """Return the order without prices that its type does not use."""
    limit = spec.limit if spec.type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else None
    stop = spec.stop if spec.type.is_stop else None
    return spec if (limit, stop) == (spec.limit, spec.stop) else replace(spec, limit=limit, stop=stop)
