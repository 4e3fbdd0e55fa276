"""Orders as clients send them: new ones, changes, cancels, what-if; from the message to the exchange.

Laws: what a client may not do is answered with an error and changes nothing; everything else reaches the exchange, and what that
says comes back through ``reports``. An order id belongs to a client; ids rise.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial

from msgspec.structs import replace

from tradeshell import OrderRefusedByBroker, OrderSpec, RefusedWhat, Side
from tradeshell_paper import checks
from tradeshell_paper.floor import Report
from tradeshell_paper.matching import Reports
from tradeshell_paper.settings import Refusal
from tradeshell_paper.tws.book import MARGIN
from tradeshell_paper.tws.encode_orders import open_order
from tradeshell_paper.tws.fields import FieldError
from tradeshell_paper.tws.house import AccountVenue, Client, House
from tradeshell_paper.tws.ids import Ids
from tradeshell_paper.tws.records import MANUAL, Record, check_shape, to_spec
from tradeshell_paper.tws.reports import OrderNews
from tradeshell_paper.tws.values import WireOrder

NO_ACCOUNT = Refusal(435, "You must specify an account.")
NO_PARENT = 135
BUSY = Refusal(2102, "Unable to modify this order as it is still being processed.")
LOCATING = "Order held while securities are located."
STOP_IGNORED = Refusal(
    2109,
    "Order Event Warning: Attribute 'Outside Regular Trading Hours' is ignored based on the order type and destination. "
    "PlaceOrder is now being processed.",
    advisory=True,
)
STOP_REFUSED = Refusal(201, "Order rejected - reason:stop orders do not work outside regular trading hours")
TIF_PRESET = "Order TIF was set to DAY based on order preset."


class OrderDesk:
    """Takes orders of all clients."""

    def __init__(self, house: House, ids: Ids, news: OrderNews) -> None:
        self._house = house
        self._ids = ids
        self._news = news
        self.records = news.records
        self._used: set[tuple[int, int]] = set()  # ids of orders that were refused before they existed
        self._queue: list[Callable[[], None]] = []  # what came while the line to the exchange was cut

    # --- new orders and changes ---------------------------------------------------------------------------------------

    def place(self, client: Client, order: WireOrder) -> None:
        """Take a placeOrder message."""
        record = self.records.get(self._address(client.number, order.order_id))
        refusal = check_shape(order)
        found = self._house.resolve(order.contract)
        if found is None:
            refusal = checks.NO_SECURITY
        account = order.account or (self._house.accounts[0] if len(self._house.accounts) == 1 else "")
        if refusal is None:
            refusal = NO_ACCOUNT if account == "" else None
        if refusal is None and account not in self._house.accounts:
            refusal = checks.FOREIGN_ACCOUNT
        if found is None or refusal is not None:
            client.error(order.order_id, *_said(refusal or checks.NO_SECURITY))
            return
        if order.what_if:
            self._what_if(client, order, account)
        elif record is not None:
            self._change(client, record, order, account)
        else:
            self._new(client, order, account)

    def _new(self, client: Client, order: WireOrder, account: str) -> None:
        house, number = self._house, client.number
        refusal = self._check_id(number, order.order_id)
        parent = self.records.get((number, order.parent_id)) if order.parent_id else None
        if refusal is None and order.parent_id and (parent is None or parent.is_over):
            refusal = Refusal(NO_PARENT, f"Can't find order with id ={order.parent_id}")
        if refusal is None:
            refusal = self._news.verdict(order, "place", accepted=False)
            if refusal is None:
                refusal = self._outside_hours(order)
            if refusal is not None and refusal.advisory:
                client.error(order.order_id, *_said(refusal))
                refusal = None
        found = house.resolve(order.contract)
        if refusal is not None or found is None:
            if refusal is not checks.DUPLICATE_ID:
                self._used.add((number, order.order_id))
            client.error(order.order_id, *_said(refusal or checks.NO_SECURITY))
            return
        record = Record(order, found[1], found[0], number, self._ids.perm_id())
        record.account, record.parent = account, parent
        if parent is not None and not order.oca_group:
            record.oca_group, record.oca_type = str(parent.perm_id), 3
        spec = to_spec(order, record, house.offset, is_change=False)
        if isinstance(spec, Refusal):
            client.error(order.order_id, *_said(spec))
            return
        self._ids.used(number, order.order_id)
        if house.switches.lose_place != "no":
            self._lose(client, record, spec)
            return
        self.records[record.client, record.number] = record
        if house.switches.tif_preset and order.tif == "":
            client.error(order.order_id, 10349, TIF_PRESET)
        self._start(record, spec)

    def _outside_hours(self, order: WireOrder) -> Refusal | None:
        """Return what is said of a plain stop that is to work outside regular hours."""
        if order.order_type != "STP" or not order.outside_rth:
            return None
        return {"ignored": STOP_IGNORED, "refused": STOP_REFUSED}.get(self._house.switches.stop_outside_rth)

    def _lose(self, client: Client, record: Record, spec: OrderSpec) -> None:
        """Let the socket end around a new order: the client cannot know whether it was taken."""
        house = self._house
        was_taken = house.switches.lose_place == "accepted"
        house.switches = replace(house.switches, lose_place="no")
        client.abort()
        if was_taken:
            self.records[record.client, record.number] = record
            self._start(record, spec)

    def _start(self, record: Record, spec: OrderSpec) -> None:
        """Bring an order to the exchange, now or when it may go."""
        house, order = self._house, record.order
        delay = 0.0
        try:
            at = house.parse_time(order.good_after, "goodAfterTime")
        except FieldError as error:
            self._news.discard(record)
            self._news.error_to(
                record.client, record.number, 321, f"Error validating request.-'bK' : cause - {error}"
            )
            return
        if at is not None:
            delay = (at - house.now()).total_seconds()
        held = ""
        if house.switches.locate > 0 and self._is_short(record, spec):
            delay, held = max(delay, house.switches.locate), "locate"
        if delay <= 0 or not order.transmit:
            self._send(record, lambda now: self._put(record, spec, now))
            return
        if held:
            self._news.error_to(record.client, record.number, 404, LOCATING)

        def go() -> None:
            record.waits, record.why_held = None, ""
            fresh = to_spec(record.order, record, house.offset, is_change=False)
            if isinstance(fresh, OrderSpec):
                self._send(record, lambda now: self._put(record, fresh, now))

        record.waits = house.after(delay, go)
        record.status, record.why_held = "PreSubmitted", held
        self._news.show(record)

    def _change(self, client: Client, record: Record, order: WireOrder, account: str) -> None:
        number = order.order_id
        found = self._house.resolve(order.contract)
        if found is None or found[0] != record.instrument or account != record.account:
            client.error(number, *_said(checks.MISMATCH))
            return
        if self._house.take("busy_changes"):
            client.error(number, *_said(BUSY))
            return
        parent = record.parent
        if order.parent_id and (parent is None or parent.number != order.parent_id):
            refusal = checks.PARENT_CHANGED if parent is not None or not record.is_over else checks.FILLED
            client.error(number, *_said(refusal))
            return
        if order.parent_id and parent is not None and parent.is_over and not record.is_over:
            client.error(number, NO_PARENT, f"Can't find order with id ={order.parent_id}")
            return
        spec = to_spec(order, record, self._house.offset, is_change=True)
        if isinstance(spec, Refusal):
            client.error(number, *_said(spec))
            return
        if record.waits is not None:
            record.order, record.total, record.left = order, int(order.quantity), int(order.quantity)
            self._news.show(record)
            return
        self._send(record, lambda now: self._modify(record, order, spec, now))

    def _modify(self, record: Record, order: WireOrder, spec: OrderSpec, now: datetime) -> Reports:
        reports = self._venue(record).exchange.modify(now, spec, record.number, record.client)
        if not any(_refuses(report, record, RefusedWhat.CHANGE) for report in reports):
            record.order = order
        return reports

    def _put(self, record: Record, spec: OrderSpec, now: datetime) -> Reports:
        exchange = self._venue(record).exchange
        reports = exchange.place(now, spec, record.number, record.client)
        if exchange.order(record.number, record.client) is None:  # refused before it existed
            self._news.discard(record)
            self._used.add((record.client, record.number))
        return reports

    def _what_if(self, client: Client, order: WireOrder, account: str) -> None:
        if not order.transmit:
            client.error(order.order_id, 413, "What-if order should have the transmit flag set to true.")
            return
        refusal = self._news.verdict(order, "place", accepted=False)
        found = self._house.resolve(order.contract)
        if refusal is not None or found is None:
            client.error(order.order_id, *_said(refusal or checks.NO_SECURITY))
            return
        record = Record(order, found[1], found[0], client.number, 0)
        record.account, record.status = account, "PreSubmitted"
        spec = to_spec(order, record, self._house.offset, is_change=False)
        wrong = (
            spec
            if isinstance(spec, Refusal)
            else checks.check_values(spec, account, found[0], self._house.now())
        )
        if wrong is not None:
            client.error(order.order_id, *_said(wrong))
            return
        price = order.limit or order.aux or self._house.mark(found[0].symbol) or Decimal(0)
        venue = self._venue(record)
        book = self._house.books[account]
        values = book.values()
        equity = Decimal(values["EquityWithLoanValue"][0])
        before = Decimal(values["InitMarginReq"][0])
        held = book.holdings.get(found[0].symbol)
        shares = 0 if held is None else held.shares
        after = shares + record.total * (1 if order.action == "BUY" else -1)
        margin = price * (abs(after) - abs(shares)) * MARGIN
        fee = venue.fees.of_order(record.total, price * record.total)
        margins = (before, margin, before + margin) * 2 + (equity, -fee, equity - fee)
        view = replace(record.view(), margins=margins, commission=fee)
        client.send(open_order(view, client.version))

    # --- cancels ------------------------------------------------------------------------------------------------------

    def cancel(self, client: Client, number: int) -> None:
        """Take a cancelOrder message."""
        record = self.records.get(self._address(client.number, number))
        if record is None and self._house.switches.foreign_cancel:
            record = next(
                (
                    each
                    for each in self.records.values()
                    if each.number == number and not each.is_over and each.client not in self._house.clients
                ),
                None,
            )
        if record is None:
            client.error(number, *_said(checks.unknown_cancel(number)))
            return
        self.cancel_record(record)

    def cancel_record(self, record: Record) -> None:
        """Cancel an order for its owner."""
        if record.waits is not None:
            record.waits.cancel()
            record.waits = None
            self._news.end_waiting(record)
            return
        if record.is_over and record.status == "Filled" and self._house.switches.filled_cancel == 161:
            text = f"{checks.NOT_CANCELLABLE.text}  Order permId ={record.perm_id}"
            self._news.error_to(record.client, record.number, 161, text)
            return
        record.was_asked_to_end = True
        exchange = self._venue(record).exchange
        if not record.is_over and self._house.switches.pending_cancel and record.is_told:
            record.status = "PendingCancel"
            self._news.show(record, with_order=False)
        if not record.is_over and self._house.take("cancel_race"):
            price = self._house.mark(record.instrument.symbol) or record.order.limit or Decimal(1)
            price = record.instrument.grid.nearest(record.order.limit or price)
            self._send(record, lambda now: exchange.execute(now, record.number, price, client=record.client))
        self._send(record, lambda now: exchange.cancel(now, record.number, record.client, record.ref))

    def cancel_all(self) -> None:
        """Take a reqGlobalCancel message."""
        for record in list(self.records.values()):
            if not record.is_over:
                self.cancel_record(record)

    def forget_staged(self) -> None:
        """Lose what was never transmitted, as a restart does."""
        for key, record in list(self.records.items()):
            if not record.is_told and not record.is_over and not record.order.transmit:
                self._send(record, partial(self._drop, record))
                del self.records[key]

    def _drop(self, record: Record, now: datetime) -> Reports:
        return self._venue(record).exchange.kill_order(now, record.number, client=record.client)

    # --- the line to the exchange -------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Let what waited for the line to the exchange arrive."""
        queue, self._queue = self._queue, []
        for act in queue:
            act()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _send(self, record: Record, act: Callable[[datetime], Reports]) -> None:
        house = self._house

        def go() -> None:
            self._venue(record).act(record.instrument.symbol, act)

        if house.is_cut_off:
            self._queue.append(go)
        elif house.switches.latency > 0:
            house.after(house.switches.latency, go)
        else:
            go()

    def _venue(self, record: Record) -> AccountVenue:
        return self._house.venues[record.account]

    def _address(self, client: int, number: int) -> tuple[int, int]:
        """Return whose order a client means; orders of the window have negative numbers for client 0."""
        if client == 0 and number < 0:
            return MANUAL, -number
        return client, number

    def _check_id(self, client: int, number: int) -> Refusal | None:
        if number <= 0:
            return checks.DUPLICATE_ID
        if (client, number) in self._used:
            return None if self._house.switches.refused_ids_again else checks.DUPLICATE_ID
        rises = number >= self._ids.next_order(client)
        return checks.DUPLICATE_ID if self._house.switches.ids_must_rise and not rises else None

    def _is_short(self, record: Record, spec: OrderSpec) -> bool:
        held = self._house.books[record.account].holdings.get(spec.symbol)
        return spec.side is Side.SELL and spec.qty > (0 if held is None else held.shares)


def _said(refusal: Refusal) -> tuple[int, str]:
    return refusal.code, refusal.text


def _refuses(report: Report, record: Record, what: RefusedWhat) -> bool:
    said = report.input
    return isinstance(said, OrderRefusedByBroker) and said.what is what and said.ref == record.ref
