"""What the exchange says, turned into messages: who hears of it, in which order, and how late.

Laws: an order's news go to the client that owns it, those of the window to client 0 once it has bound them, everything to the
master client. Without a switch an order is shown (5) and its status told (3) together, an execution (11) before the status that
follows from it, its fee (59) last; a cancel is a status and then error 202. News are for who is connected when they leave.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from tradeshell import (
    CommissionReported,
    ExecutionReport,
    ExecutionReported,
    OrderRefusedByBroker,
    OrderReport,
    OrderReported,
    OrderSpec,
    OrderState,
    PositionReported,
)
from tradeshell_paper.calendar import Hours, session_at
from tradeshell_paper.floor import Report
from tradeshell_paper.matching import Reports
from tradeshell_paper.settings import Refusal
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.encode_orders import (
    ExecutionView,
    commission_report,
    completed_order,
    exec_details,
    open_order,
    order_status,
)
from tradeshell_paper.tws.fields import stamp
from tradeshell_paper.tws.house import House
from tradeshell_paper.tws.records import MANUAL, STATUS, Record, address_of
from tradeshell_paper.tws.switches import Refuse
from tradeshell_paper.tws.told import Booked, Told, has, moved_up
from tradeshell_paper.tws.values import WireOrder

REMEMBERED = 50  # states of an order that an old answer may show
VENUES = ("ISLAND", "ARCA", "IEX", "DRCTEDGE", "BATS")


class OrderNews:
    """Keeps the records of orders and executions, and tells of them."""

    def __init__(self, house: House, run: int) -> None:
        self.house = house
        self.records: dict[tuple[int, int], Record] = {}
        self.executions: dict[
            str, Booked
        ] = {}  # by the execution's identity; in the order in which they happened
        self.on_position: Callable[[str, str], None] = lambda _account, _symbol: None
        self.binds_manual = False
        self._run = run
        self._hours = Hours()
        self._held_up: list[Told] = []  # while the line to the exchange is cut
        for venue in house.venues.values():
            venue.listener = self.hear

    # --- refusals that a scenario asks for ----------------------------------------------------------------------------

    def verdict(self, order: WireOrder, action: str, *, accepted: bool) -> Refusal | None:
        """Return the refusal of the first rule that matches, and count it."""
        rules = self.house.switches.refuse
        for index, rule in enumerate(rules):
            if rule.action != action or (action == "place" and rule.accepted is not accepted):
                continue
            if rule.times == 0 or not _matches(rule, order) or rule.revive is not None:
                continue
            self._count(index, rule)
            return Refusal(rule.code, rule.text, rule.advisory)
        return None

    def _count(self, index: int, rule: Refuse) -> None:
        if rule.times is not None:
            rules = list(self.house.switches.refuse)
            rules[index] = replace(rule, times=rule.times - 1)
            self.house.switches = replace(self.house.switches, refuse=rules)

    def rule(self, spec: OrderSpec, at: datetime, action: str) -> Refusal | None:
        """Answer the exchange, which asks about orders that it has taken, changes and cancels."""
        del at
        record = self.records.get(address_of(spec.ref))
        return None if record is None else self.verdict(record.order, action, accepted=True)

    # --- hearing ------------------------------------------------------------------------------------------------------

    def hear(self, account: str, reports: Reports) -> None:
        """Take what the exchange of an account says: book all of it, then tell it."""
        told: list[Told] = []
        moved: list[str] = []
        for report in reports:
            said = report.input
            if isinstance(said, OrderReported):
                record = self.records.get((report.client, said.report.order_id))
                if record is not None:
                    told += self._order(record, said.report, report)
            elif isinstance(said, ExecutionReported):
                record = self.records.get((report.client, said.execution.order_id))
                if record is not None:
                    told.append(self._execution(account, record, said.execution))
            elif isinstance(said, CommissionReported):
                told += self._commission(account, said)
            elif isinstance(said, OrderRefusedByBroker):
                told += self._refusal(said)
            elif isinstance(said, PositionReported):
                moved.append(said.position.symbol)
        for each in self._as_switched(told):
            self.tell(each)
        for symbol in dict.fromkeys(moved):
            self._tell_position(account, symbol)

    def _order(self, record: Record, report: OrderReport, told_by: Report) -> list[Told]:
        record.total = record.total if report.qty is None else report.qty
        record.order = _as_it_stands(record.order, report)
        record.left, status = report.remaining, STATUS[report.state]
        record.why_held = ",".join(told_by.held_by)
        record.status = status
        if told_by.is_over:
            record.is_over = True
            record.completed_at = self.house.shown(self.house.now())
            record.completed_status = _ending(record, report)
        kind = "status" if record.is_told else "ack"
        told: list[Told] = []
        if not record.is_told and status == "PreSubmitted" and not record.why_held.startswith("child"):
            told += self._hours_note(record)
        if not record.is_told and status == "Submitted" and self.house.switches.flash_presubmitted:
            record.status = "PreSubmitted"
            told.append(self._pair(kind, record))
            record.status, kind = status, "status"
        if status == "Cancelled":
            told.append(self._status_only(kind, record))
            told.append(self._error(record, 202, "Order Canceled - reason:"))
        else:
            told.append(self._pair(kind, record))
        if not record.is_told and not record.is_over:
            self._send_back_later(record)
        record.is_told = True
        if record.is_over and self.house.switches.unsolicited_completed:
            view = record.view()
            told.append(Told("status", record, lambda version: completed_order(view, version)))
        return told

    def _hours_note(self, record: Record) -> list[Told]:
        now = self.house.now()
        session = session_at(now)
        has_limit = record.order.order_type in ("LMT", "STP LMT")
        extended = record.order.outside_rth and has_limit
        is_open = session is not None and (session.is_extended(now) if extended else session.is_regular(now))
        if is_open or not self.house.switches.hours_note:
            return []
        until = self._next_open(now, extended=extended)
        order = record.order
        text = (
            f"Order Message:\n{order.action} {record.total} {record.contract.symbol} NASDAQ.NMS\n"
            f"Warning: Your order will not be placed at the exchange until {_dashed(self.house.shown(until))}."
        )
        return [self._error(record, 399, text)]

    def _next_open(self, now: datetime, *, extended: bool) -> datetime:
        at = now
        while True:
            at = self._hours.next_boundary(at)
            session = session_at(at)
            if session is not None and at == (session.extended_open if extended else session.open):
                return at

    def _execution(self, account: str, record: Record, execution: ExecutionReport) -> Told:
        stem, number, revision = execution.stem, _serial(execution.exec_id), execution.revision
        place = self.house.accounts.index(account)
        known = self.executions.get(f"{account} {stem}")
        if known is None:
            record.filled += execution.qty
            record.value += execution.price * execution.qty
            record.last_price = execution.price
        else:
            record.value += execution.price * execution.qty - known.view.price * known.view.shares
        book = self.house.books[account]
        if known is not None:
            book.trade(execution.symbol, -execution.side.sign * known.view.shares, known.view.price)
        realized = book.trade(execution.symbol, execution.side.sign * execution.qty, execution.price)
        filled = record.filled or 1
        view = ExecutionView(
            exec_id=f"{place:04x}{self._run % 65536:04x}.{number:08x}.01.{revision:02d}",
            at=self.house.shown(execution.at),
            order_id=record.number if record.is_bound else 0,
            client=record.client if record.is_bound else 0,
            perm_id=record.perm_id,
            contract=record.contract,
            account=account,
            venue=VENUES[number % len(VENUES)],
            side="BOT" if execution.side.sign > 0 else "SLD",
            shares=execution.qty,
            price=execution.price,
            cumulative=record.filled,
            average=(record.value / filled).quantize(Decimal("0.000001")),
            order_ref=record.order.order_ref,
            liquidity=1 if record.order.order_type == "LMT" and record.is_told else 2,
        )
        old = None if known is None else known.commission
        self.executions[f"{account} {stem}"] = Booked(view, execution.symbol, record, old, realized)
        return Told("execution", record, lambda version: exec_details(view, version))

    def _commission(self, account: str, said: CommissionReported) -> list[Told]:
        key = f"{account} {said.exec_id.rpartition('.')[0]}"
        booked = self.executions.get(key)
        if booked is None:
            return []
        record = booked.record
        self.house.books[account].charge(booked.symbol, said.amount)
        record.commission = (record.commission or Decimal(0)) + said.amount
        realized = None if booked.realized is None else booked.realized - said.amount
        self.executions[key] = replace(booked, commission=said.amount, realized=realized)
        told = []
        if record.status == "Filled":
            told.append(self._pair("status", record))  # once more, with the fee in it
        exec_id = booked.view.exec_id
        fee = Told("commission", record, lambda _: commission_report(exec_id, said.amount, realized))
        return [*told, fee]

    def _refusal(self, said: OrderRefusedByBroker) -> list[Told]:
        client, number = address_of(said.ref)
        record = self.records.get((client, number))
        if record is not None:
            return [self._error(record, said.code, said.text)]
        self.error_to(client, number, said.code, said.text)
        return []

    def _send_back_later(self, record: Record) -> None:
        """Let an order that was taken be shown as Inactive, and come back, if a rule says so."""
        for index, rule in enumerate(self.house.switches.refuse):
            if (
                rule.revive is not None
                and rule.action == "place"
                and rule.times != 0
                and _matches(rule, record.order)
            ):
                self._count(index, rule)
                self._fall_and_rise(record, rule, rule.revive)
                return

    def _fall_and_rise(self, record: Record, rule: Refuse, wait: float) -> None:
        venue, number, client = self.house.venues[record.account], record.number, record.client
        exchange = venue.exchange

        def fall() -> None:
            venue.act(
                None,
                lambda now: exchange.kill_order(
                    now, number, rule.code, rule.text, client=client, final=False
                ),
            )

        def rise() -> None:
            venue.act(record.instrument.symbol, lambda now: exchange.revive_order(now, number, client))

        self.house.clock.call_soon(fall)
        self.house.after(wait, rise)

    # --- messages -----------------------------------------------------------------------------------------------------

    def _pair(self, kind: str, record: Record) -> Told:
        view = record.view(self.binds_manual)
        return Told(kind, record, lambda version: open_order(view, version) + order_status(view), view.status)

    def _status_only(self, kind: str, record: Record) -> Told:
        view = record.view(self.binds_manual)
        return Told(kind, record, lambda _: order_status(view), view.status)

    def _error(self, record: Record, code: int, text: str) -> Told:
        number = record.view(self.binds_manual).order_id
        return Told("error", record, lambda version: outgoing.error(number, code, text, version))

    def show(self, record: Record, *, with_order: bool = True) -> None:
        """Tell an order as it stands."""
        kind = "status" if record.is_told else "ack"
        record.is_told = True
        self.tell(self._pair(kind, record) if with_order else self._status_only(kind, record))

    def end_waiting(self, record: Record) -> None:
        """Cancel an order that has not reached the exchange."""
        record.status, record.is_over, record.why_held = "Cancelled", True, ""
        record.completed_at = self.house.shown(self.house.now())
        record.completed_status = "Cancelled by Trader"
        self.tell(self._status_only("status", record))
        self.tell(self._error(record, 202, "Order Canceled - reason:"))

    def discard(self, record: Record) -> None:
        """Forget an order that never came to be."""
        self.records.pop((record.client, record.number), None)

    def error_to(self, client: int, number: int, code: int, text: str) -> None:
        """Send an error to one client."""
        self.house.broadcast(lambda version: outgoing.error(number, code, text, version), (client,))

    # --- telling ------------------------------------------------------------------------------------------------------

    def _as_switched(self, told: list[Told]) -> list[Told]:
        switches = self.house.switches
        if switches.execution_first:
            told = sorted(told, key=lambda each: each.kind == "ack" and has(told, each.record, "execution"))
        if switches.filled_first:
            told = moved_up(told, lambda each: each.status == "Filled", "execution")
        if switches.commission == "before":
            told = moved_up(told, lambda each: each.kind == "commission", "execution")
        return told

    def tell(self, told: Told) -> None:
        """Send a message as the switches say: late, twice, or not at all."""
        switches = self.house.switches
        if self.house.is_cut_off:
            self._held_up.append(told)
            return
        if switches.open_orders_age > 0 and told.kind in ("ack", "status"):
            self._remember(told.record)
        if told.kind == "commission" and switches.commission == "never":
            return
        if told.kind in ("ack", "status") and told.status in switches.skip_status:
            return
        delay: float = 0.0 if told.kind == "error" else getattr(switches, f"{told.kind}_delay")
        times = 2 if switches.repeat_status and told.kind in ("ack", "status") else 1

        def go() -> None:
            for _ in range(times):
                self.house.broadcast(told.build, self._hearers(told.record))

        if delay > 0:
            self.house.after(delay, go)
        else:
            go()

    def _remember(self, record: Record) -> None:
        """Keep what an order is now for answers that are old."""
        view = None if record.is_over else record.view(self.binds_manual)
        record.past.append((self.house.now(), view))
        del record.past[:-REMEMBERED]

    def restore(self) -> None:
        """Tell what was held up while the line to the exchange was cut."""
        held, self._held_up = self._held_up, []
        for each in held:
            self.tell(each)

    def _hearers(self, record: Record) -> set[int]:
        owner = record.client if record.is_bound else 0 if self.binds_manual else MANUAL
        master = self.house.switches.master_client
        return {owner} if master is None else {owner, master}

    def _tell_position(self, account: str, symbol: str) -> None:
        delay = self.house.switches.position_delay
        if delay > 0:
            self.house.after(delay, lambda: self.on_position(account, symbol))
        else:
            self.on_position(account, symbol)


def _matches(rule: Refuse, order: WireOrder) -> bool:
    return (
        rule.symbol in ("", order.contract.symbol)
        and rule.side in ("", order.action)
        and rule.type in ("", order.order_type)
        and rule.ref in order.order_ref
    )


def _as_it_stands(order: WireOrder, report: OrderReport) -> WireOrder:
    """Return the order with the prices that the exchange has: its owner may have changed them by hand."""
    changes: dict[str, Decimal] = {}
    if order.order_type in ("LMT", "STP LMT") and report.limit not in (None, order.limit):
        changes["limit"] = report.limit
    if order.order_type in ("STP", "STP LMT") and report.stop not in (None, order.aux):
        changes["aux"] = report.stop
    return replace(order, **changes) if changes else order


def _ending(record: Record, report: OrderReport) -> str:
    if report.state is OrderState.FILLED:
        return f"Filled Size: {record.filled}"
    if report.state is OrderState.REFUSED:
        return f"Rejected by System:{report.why}"
    return "Cancelled by Trader" if record.was_asked_to_end else f"Cancelled by System:{report.why}"


def _serial(exec_id: str) -> int:
    return int(exec_id.split(".")[1])


def _dashed(at: datetime) -> str:
    text = stamp(at)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"
