"""Questions about orders and executions, answered from the gateway's records.

Laws: an open order is its order (5) followed at once by its status (3); executions are those of the day, each in its last
revision, with their fees; completed orders are those of the day. Every answer ends with its end mark.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta

from tradeshell_paper.calendar import NEW_YORK, new_york_day
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.encode_orders import (
    OrderView,
    commission_report,
    completed_order,
    exec_details,
    open_order,
    order_status,
)
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.house import Client, House
from tradeshell_paper.tws.records import Record
from tradeshell_paper.tws.reports import OrderNews
from tradeshell_paper.tws.requests import ExecutionFilter

SIDES = {"BUY": "BOT", "BOT": "BOT", "SELL": "SLD", "SLD": "SLD", "SSHORT": "SLD"}
NOT_ZERO = "Only API connections with clientId set to 0 can set the auto bind TWS orders property."


class OrderReplies:
    """Answers all clients."""

    def __init__(self, house: House, news: OrderNews) -> None:
        self._house = house
        self._news = news

    def open_orders(self, client: Client) -> None:
        """Take reqOpenOrders: the client's own orders; client 0 binds those of the window."""
        if client.number == 0:
            self.bind(client)
        self._show(client, [r for r in self._records() if self._is_own(client, r)])

    def all_open_orders(self, client: Client) -> None:
        """Take reqAllOpenOrders."""
        self._show(client, self._records())

    def auto_bind(self, client: Client, *, on: bool) -> None:
        """Take reqAutoOpenOrders."""
        if client.number != 0:
            client.error(-1, 327, NOT_ZERO)
        elif on:
            self.bind(client)

    def bind(self, client: Client) -> None:
        """Give the orders of the window numbers for client 0, and tell it of them from now on."""
        was, self._news.binds_manual = self._news.binds_manual, True
        for record in self._living():
            if not was and not record.is_bound:
                client.send(encode(100, record.perm_id, 0, -record.number))

    def _records(self) -> list[Record]:
        return list(self._news.records.values())

    def _living(self) -> list[Record]:
        return [record for record in self._news.records.values() if record.is_told and not record.is_over]

    def _is_own(self, client: Client, record: Record) -> bool:
        return record.client == client.number or (client.number == 0 and not record.is_bound)

    def _show(self, client: Client, records: list[Record]) -> None:
        for record in records:
            view = self._seen(record)
            if view is not None:
                client.send(open_order(view, client.version))
                client.send(order_status(view))
        client.send(encode(*outgoing.OPEN_ORDERS_END))

    def _seen(self, record: Record) -> OrderView | None:
        """Return an order as an answer shows it, ``None`` when it does not: as it was ``open_orders_age`` seconds ago."""
        age = self._house.switches.open_orders_age
        if age <= 0 or not record.past:
            return record.view(self._news.binds_manual) if record.is_told and not record.is_over else None
        then = self._house.now() - timedelta(seconds=age)
        return next((view for at, view in reversed(record.past) if at <= then), None)

    def completed(self, client: Client, *, api_only: bool) -> None:
        """Take reqCompletedOrders."""
        midnight = self._midnight()
        for record in self._news.records.values():
            at = record.completed_at
            if record.is_over and at is not None and at >= midnight and (record.is_bound or not api_only):
                client.send(completed_order(record.view(), client.version))
        client.send(encode(*outgoing.COMPLETED_END))

    def executions(self, client: Client, wanted: ExecutionFilter) -> None:
        """Take reqExecutions."""
        since = self._house.parse_time(wanted.time, "time")
        first = self._midnight()
        if since is not None:
            first = max(first, self._house.shown(since))
        side = SIDES.get(wanted.side.upper(), "")
        for booked in list(self._news.executions.values()):
            view = booked.view
            if view.at < first or (wanted.client not in (0, view.client)):
                continue
            if wanted.account not in ("", view.account) or wanted.symbol not in ("", view.contract.symbol):
                continue
            if wanted.sec_type not in ("", "STK") or (side and view.side != side):
                continue
            if wanted.exchange not in ("", "SMART", view.venue):
                continue
            client.send(exec_details(view, client.version, wanted.request))
            if booked.commission is not None:
                client.send(commission_report(view.exec_id, booked.commission, booked.realized))
        client.send(outgoing.ended(55, wanted.request))

    def _midnight(self) -> datetime:
        """Return the begin of the New York day, as clients see it."""
        now = self._house.shown(self._house.now())
        return datetime.combine(new_york_day(now), time(), NEW_YORK)
