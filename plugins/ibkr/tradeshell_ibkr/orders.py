"""Orders out and what is said about them: the adapter's memory of each, so that the core gets whole reports.

The books are the core's. What is kept here is what the wire needs: numbers, parents, the group that the broker gave an order,
and what was said of an order last, because the protocol says half of it in openOrder and the other half in orderStatus.

Laws: nothing here waits, and nothing is raised once bytes have left. An order goes out under a number above every one known.
A change sends the whole order with the broker's own group and with its parent only while that lives (135, 10326, 10327
otherwise), and only for what the gateway must have: what it does not have, a change would place. An error is a word: what it
refuses is decided by the table of codes and by what is on its way for that order; 202 alone becomes a cancel only when no status
says so within a second. Orders of other clients, other accounts and manual ones are never ours, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from ib_async.contract import Contract
from ib_async.order import Order
from ib_async.order import OrderState as Preview

from tradeshell import (
    BrokerError,
    Input,
    OrderRefusedByBroker,
    OrderReport,
    OrderReported,
    OrderSpec,
    OrderState,
    RefusedWhat,
    SendFailed,
    StandingOrder,
    masked,
    parse_ref,
)
from tradeshell_ibkr.codes import CODES, Effect, about_order, look_up
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.encode import cancel_order, contract_text, form_of, place_order
from tradeshell_ibkr.known import Known, standing_of
from tradeshell_ibkr.order_ids import LAST_ORDER_ID
from tradeshell_ibkr.pacing import Priority
from tradeshell_ibkr.translate import Shown, shares_of, shown_of, state_of, ticket_of
from tradeshell_ibkr.wire import Wire

STATUS_WITHIN = timedelta(seconds=0.25)  # an openOrder is followed by its status at once, or stands alone
CANCEL_WITHIN = timedelta(seconds=1)  # 202 follows its status, or stands alone
DUPLICATE_ID = 103
NOT_FOUND = 135  # of a change: the parent that it names


class Orders:
    """The order side of the adapter."""

    def __init__(
        self,
        connection: Connection,
        emit: Callable[[Input], None],
        contract_text_of: Callable[[int], str | None],
    ) -> None:
        self._connection = connection
        self._emit = emit
        self._contract_text_of = contract_text_of
        self._by_id: dict[int, Known] = {}
        self._by_ref: dict[str, Known] = {}
        self._by_perm: dict[int, Known] = {}
        self._families: dict[int, list[Known]] = {}  # brackets that are not transmitted yet, by their parent
        self._foreign: dict[tuple[int, int], Known] = {}
        self._elsewhere: dict[tuple[int, int], Known] = {}  # orders of other accounts of the login
        self._strangers: dict[int, Known] = {}  # orders of other clients that a cancel was sent for
        # (number, code of an error, its text, what was told of the order when there is no error)
        self.on_preview: Callable[[int, int, str, Preview | None], bool] = lambda *_: False
        self._warned: set[int] = set()  # clients whose orders carry refs like ours
        self._pending: list[Known] = []  # shown, and their status has not come
        self._collected: dict[tuple[int, int], Known] | None = None
        self._expected: list[Known] = []  # what lived when the collecting began
        connection.hub.listen("openOrder", self._open_order)
        connection.hub.listen("orderStatus", self._status)
        connection.after_data(self._data_processed)
        connection.on_order_error = self._error
        connection.on_next_id = self._next_id
        connection.on_up.append(self._link_found)
        connection.on_down.append(self._link_lost)

    # --- out ----------------------------------------------------------------------------------------------------------

    def place(self, spec: OrderSpec, order_id: int) -> None:
        """Send a new order; raises ``BrokerError`` when nothing left."""
        connection = self._connection
        wire = connection.must_be_served()
        self._check(spec, order_id)
        if order_id in self._by_id:
            raise BrokerError(f"order number {order_id} was used before")
        parent_id = 0
        if spec.parent_ref is not None:
            parent = self._by_ref.get(spec.parent_ref)
            if parent is None:
                raise BrokerError("its entry was not sent by this session")
            parent_id = parent.order_id
        known = Known(spec.ref, order_id, spec, parent_id)
        known.epoch = connection.epoch
        self._send(known, "place", _priority(spec), self._frame(wire, spec, order_id, parent_id))
        self._strangers.pop(order_id, None)
        self._by_id[order_id] = self._by_ref[spec.ref] = known
        connection.order_ids.see(order_id)
        connection.order_ids.name(spec.con_id, spec.symbol)
        connection.names.setdefault(spec.con_id, spec.symbol)
        if parent_id:
            self._families.setdefault(parent_id, [self._by_id[parent_id]]).append(known)
            if spec.transmit:  # it releases them all
                for member in self._families.pop(parent_id):
                    member.is_staged = False

    def _frame(self, wire: Wire, spec: OrderSpec, order_id: int, parent_id: int) -> bytes:
        text, ahead = self._contract(spec), self._connection.server_offset
        ticket = ticket_of(spec, order_id, text, parent_id=parent_id, ahead=ahead)
        return place_order(wire.serverVersion(), ticket)

    def modify(self, spec: OrderSpec, order_id: int) -> None:
        """Send an order again with its changed values; raises ``BrokerError`` when nothing left."""
        connection = self._connection
        wire = connection.must_be_served()
        self._check(spec, order_id)
        known = self._by_id.get(order_id)
        if known is None or (known.is_new and (known.is_void or known.epoch != connection.epoch)):
            # It left on a connection that is gone, or never: what the gateway does not have, a change would place.
            raise BrokerError(
                f"order {order_id} was not shown by the gateway since it was sent: a change might place it anew"
            )
        was = known.spec
        if was is not None and (was.side, was.con_id) != (spec.side, spec.con_id):
            raise BrokerError("side and contract of an order cannot be changed; cancel it and place another")
        shown = known.shown
        has_group = shown is not None and shown.oca_group != ""
        ticket = ticket_of(
            spec,
            order_id,
            self._contract(spec),
            parent_id=self._living_parent(known),
            oca=(shown.oca_group, shown.oca_type) if shown is not None and has_group else None,
            transmit=True,
            ahead=connection.server_offset,
        )
        self._send(known, "replace", _priority(spec), place_order(wire.serverVersion(), ticket))
        self._by_id[order_id] = self._by_ref[spec.ref] = known
        known.before, known.spec, known.is_changing = was, spec, True

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask to cancel; raises ``BrokerError`` when nothing left."""
        wire = self._connection.must_be_served()
        known = self._by_id.get(order_id)
        if order_id <= 0 or (known is not None and known.ref != ref):
            raise BrokerError(f"order {order_id} is not ours to cancel")
        if known is None:
            known = Known(ref, order_id)
            known.is_new = False
        self._send(known, "cancel", Priority.CANCEL, cancel_order(wire.serverVersion(), order_id))
        # Another client's order may have the number that our next one gets.
        (self._by_id if parse_ref(ref) is not None else self._strangers).setdefault(order_id, known)
        known.is_cancelling = True

    def _check(self, spec: OrderSpec, order_id: int) -> None:
        account = self._connection.account
        if spec.account != account:
            raise BrokerError(
                f"the order is for account {masked(spec.account)}, connected is {masked(account)}: nothing was sent"
            )
        if not 0 < order_id <= LAST_ORDER_ID:
            raise BrokerError(f"{order_id} is no order number the protocol can carry")

    def _send(self, known: Known, action: str, priority: Priority, frame: bytes) -> None:
        connection = self._connection
        wire = connection.must_be_served()

        def never_left(why: str) -> None:
            known.is_void = known.is_void or action == "place"
            known.is_changing = known.is_cancelling = False
            at = connection.clock.now()
            self._emit(SendFailed(at=at, ref=known.ref, action=action, reason=why, certain=True))

        connection.outbox.post(
            priority, lambda: wire.write(frame), never_left, key=known.order_id, after=known.parent_id
        )

    def _contract(self, spec: OrderSpec) -> str:
        text = self._contract_text_of(spec.con_id)
        if text is None:  # the id says it all; the exchange is where it goes
            text = contract_text(
                Contract(
                    conId=spec.con_id, symbol=spec.symbol, secType="STK", exchange="SMART", currency="USD"
                )
            )
        return text

    def _living_parent(self, known: Known) -> int:
        """Return the parent's number while it lives, 0 afterwards: the gateway knows no dead parents (135)."""
        parent = self._by_id.get(known.parent_id or (0 if known.shown is None else known.shown.parent_id))
        if parent is None or parent.is_void or parent.is_gone or not parent.state.is_live:
            return 0
        return parent.order_id

    # --- what is said -------------------------------------------------------------------------------------------------

    def ref_of(self, client_id: int, order_id: int, perm_id: int, said: str) -> str:
        """Return whose an execution is: our ref for an order of ours, nothing for one that only calls itself so."""
        is_ours = client_id == self._connection.settings.client_id
        if is_ours and parse_ref(said) is not None:
            return said
        known = self._by_id.get(order_id) if is_ours else None
        if known is not None and not known.is_void and (not said or said == known.ref):
            return known.ref
        if not said and perm_id in self._by_perm:
            return self._by_perm[perm_id].ref
        return "" if parse_ref(said) is not None else said

    def collect(self) -> dict[tuple[int, int], Known]:
        """Begin to collect the orders that are shown from now on."""
        self._foreign.clear()
        self._elsewhere.clear()
        self._collected = {}
        self._expected = [known for known in self._by_id.values() if known.state.is_live]
        return self._collected

    def collected(self) -> None:
        """Take note of what a complete answer lacks although it was there, as far as we know, when the question left."""
        shown = {id(known) for known in (self._collected or {}).values()}
        for known in self._expected:
            known.is_gone = known.is_gone or id(known) not in shown
        self._forget()

    def _forget(self) -> None:
        """Forget what ended days ago: as after a restart, its number is known by the pictures alone if it ever comes back."""
        now = self._connection.clock.now()
        for known in [each for each in self._by_id.values() if each.is_long_over(now)]:
            del self._by_id[known.order_id]
            if self._by_ref.get(known.ref) is known:
                del self._by_ref[known.ref]
            if self._by_perm.get(known.perm_id) is known:
                del self._by_perm[known.perm_id]

    def standing(self) -> tuple[StandingOrder, ...]:
        """Return all living orders of the answer that was collected, whoever sent them, in whichever account."""
        collected = (*(self._collected or {}).items(), *self._elsewhere.items())
        number = self._connection.settings.client_id
        found = (standing_of(known, order_id, number) for (_, order_id), known in collected)
        return tuple(order for order in found if order is not None)

    def stop_collecting(self) -> None:
        """Collect no more."""
        self._collected = None
        self._expected = []

    def _open_order(self, order_id: int, contract: Contract, order: Order, preview: Preview) -> None:
        if order.whatIf:
            self.on_preview(order_id, 0, "", preview)
            return
        shown = shown_of(contract, order, preview.warningText, self._connection.names)
        connection = self._connection
        is_mine = shown.client_id == connection.settings.client_id and order_id > 0
        if is_mine:
            connection.order_ids.see(order_id)
        if shown.account and shown.account != connection.account:
            far = Known("", order_id)
            far.shown, far.remaining = shown, shown.qty
            self._elsewhere[(shown.client_id, order_id or shown.perm_id)] = far
            return
        known = self._mine(order_id, shown) if is_mine else self._somebodys(order_id, shown)
        if known is None:
            return
        known.shown, known.shown_status, known.is_gone = shown, preview.status, False
        if is_mine:
            self._number(known, shown.perm_id)
        if preview.status not in ("", "PendingSubmit", "ApiPending"):
            known.is_new = False
        spec = known.spec
        if known.is_changing and spec is not None:
            known.is_changing = (shown.limit, shown.stop, shown.qty) != (
                spec.limit if shown.limit is not None else None,
                spec.stop if shown.stop is not None else None,
                spec.qty,
            )
        known.awaits_status = True
        self._pending.append(known)
        if self._collected is not None:
            self._collected[(shown.client_id, order_id or shown.perm_id)] = known

    def _mine(self, order_id: int, shown: Shown) -> Known | None:
        known = self._by_id.get(order_id)
        if known is not None and not known.is_void and (not shown.ref or shown.ref == known.ref):
            return known
        if known is not None and not known.is_void:
            self._connection.tell(
                0, f"order {order_id} is called {shown.ref!r} there and {known.ref!r} here: not followed"
            )
            return None
        known = Known(shown.ref, order_id, parent_id=shown.parent_id)  # of an earlier run of this program
        known.is_new = False
        self._by_id[order_id] = known
        self._by_ref.setdefault(shown.ref, known)
        return known

    def _somebodys(self, order_id: int, shown: Shown) -> Known:
        key = (shown.client_id, order_id or shown.perm_id)
        known = self._foreign.get(key)
        if known is None:
            if parse_ref(shown.ref) is not None and shown.client_id not in self._warned:
                self._warned.add(shown.client_id)
                self._connection.tell(
                    0,
                    f"client {shown.client_id} has orders that are called as ours are ({shown.ref}): "
                    "another tradeshell trades this account; its orders are not followed",
                )
            # No number: those of other clients are not ours to count on.
            known = self._foreign[key] = Known("" if parse_ref(shown.ref) is not None else shown.ref, 0)
        return known

    def _status(
        self,
        order_id: int,
        status: str,
        filled: float,
        remaining: float,
        average: float = 0.0,
        perm_id: int = 0,
        parent_id: int = 0,
        last: float = 0.0,
        client_id: int = 0,
        *_: object,
    ) -> None:
        del average, parent_id, last
        is_mine = client_id == self._connection.settings.client_id and order_id > 0
        known = self._by_perm.get(perm_id) if perm_id else None
        if known is not None:
            is_mine = True  # whoever cancelled it may be named instead of its owner
        else:
            known = (
                self._by_id.get(order_id) if is_mine else self._foreign.get((client_id, order_id or perm_id))
            )
        if known is None and (far := self._elsewhere.get((client_id, order_id or perm_id))) is not None:
            far.filled, far.remaining = shares_of(filled), shares_of(remaining)
            far.state = state_of(status, far.remaining, far.state, is_staged=False)
            return
        if known is None and is_mine and not state_of(status, 0, OrderState.SENT, is_staged=False).is_live:
            # Of an earlier run, and no openOrder has named it yet: pictures say which one it is.
            self._connection.tell(0, f"order {order_id} is {status}: {filled:g} filled, {remaining:g} left")
        if known is None or known.is_void:
            return
        if is_mine and perm_id and known.perm_id and perm_id != known.perm_id:
            return  # an older order of that number
        if is_mine:
            self._number(known, perm_id)
        known.filled, known.remaining = shares_of(filled), shares_of(remaining)
        known.state = state_of(status, known.remaining, known.state, is_staged=known.is_staged)
        known.has_status, known.awaits_status = True, False
        if known.state is not OrderState.SENT:
            known.is_new = False
        if not known.state.is_live:
            known.is_changing = known.is_cancelling = False
        if is_mine:
            self._emit(OrderReported(at=self._connection.clock.now(), report=known.report()))

    def _number(self, known: Known, perm_id: int) -> None:
        if perm_id > 0 and known.perm_id == 0:
            known.perm_id = perm_id
            self._by_perm[perm_id] = known

    def _data_processed(self) -> None:
        """A packet has been read: what was shown without its status stands alone, unless the next packet brings it."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        alone = [known for known in pending if known.awaits_status]
        if alone:
            at = self._connection.clock.now() + STATUS_WITHIN
            self._connection.clock.call_at(at, lambda: self._stand_alone(alone))

    def _stand_alone(self, orders: list[Known]) -> None:
        for known in orders:
            shown = known.shown
            if (
                not known.awaits_status
                or shown is None
                or known.order_id <= 0
                or not self._connection.is_ready
            ):
                continue
            known.awaits_status = False
            state = state_of(known.shown_status, 0, known.state, is_staged=known.is_staged)
            if state in (OrderState.FILLED, OrderState.SENT):
                continue  # executions say the first, the second says nothing
            known.state = state
            known.remaining = max(0, shown.qty - known.filled)
            self._emit(OrderReported(at=self._connection.clock.now(), report=known.report()))

    def _error(self, order_id: int, code: int, text: str) -> None:
        known = self._by_id.get(order_id) or self._strangers.get(order_id)
        connection = self._connection
        if known is None and self.on_preview(order_id, code, text, None):
            return
        if known is None:
            connection.tell(code, f"order {order_id}: {text}")
            return
        if look_up(code).effect is Effect.CANCELLED:
            known.words = text
            if known.state.is_live:
                connection.clock.call_at(
                    connection.clock.now() + CANCEL_WITHIN, lambda: self._cancelled_without_status(known)
                )
            return
        what = about_order(
            code,
            is_new=known.is_new,
            is_changing=known.is_changing,
            is_cancelling=known.is_cancelling,
        )
        if what is RefusedWhat.ORDER:
            known.words = f"{code}: {text}"
            known.is_void = known.is_void or code == DUPLICATE_ID
        elif what is RefusedWhat.CHANGE:
            parent = self._by_id.get(self._living_parent(known))
            if code == NOT_FOUND and parent is not None:
                parent.is_gone = True  # the next change goes without it
            known.is_changing = False
            known.spec = known.before if known.before is not None else known.spec
        elif what is RefusedWhat.CANCEL:
            known.is_cancelling = False
        self._emit(
            OrderRefusedByBroker(
                at=connection.clock.now(),
                ref=known.ref,
                what=what,
                code=code,
                text=text,
                is_known=code in CODES,
            )
        )
        if code == DUPLICATE_ID and connection.is_ready:
            connection.ask("reqIds", 1, priority=Priority.QUESTION)

    def _cancelled_without_status(self, known: Known) -> None:
        if known.state.is_live and self._connection.is_ready:
            known.state = OrderState.CANCELLED
            known.is_changing = known.is_cancelling = False
            self._emit(OrderReported(at=self._connection.clock.now(), report=known.report()))

    def _next_id(self, order_id: int) -> None:
        """The gateway counts from a higher number than we do: the core has to know before it gives out the next one."""
        seen = OrderReport(ref="", order_id=order_id - 1, state=OrderState.CANCELLED, filled=0, remaining=0)
        self._emit(OrderReported(at=self._connection.clock.now(), report=seen))

    def _link_found(self, is_data_lost: bool) -> None:
        """Make the form of an order now: the first one should not wait for it."""
        del is_data_lost
        form_of(self._connection.must_be_served().serverVersion())

    def _link_lost(self, why: str) -> None:
        """What was on its way has arrived or not; an answer to it will not come any more."""
        del why
        self._pending.clear()
        for known in self._by_id.values():
            known.is_changing = known.is_cancelling = known.awaits_status = False


def _priority(spec: OrderSpec) -> Priority:
    parts = parse_ref(spec.ref)
    return Priority.ENTRY if parts is not None and parts.leg == "entry" else Priority.PROTECTIVE
