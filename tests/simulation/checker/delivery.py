"""What was delivered to the program: from then on it could know.

Laws: a message delivers what it says and a picture what is older than it; nothing is delivered to a program that is not there.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.simulation.checker.facts import NEVER
from tests.simulation.checker.model import LIVE, Order, Stock, stem

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay

NOT_THERE = 10147  # the venue's code for a cancel of an order that it does not have


class Delivery:
    """Takes what is on the way to the host from what it does not know yet."""

    def __init__(self, run: Replay) -> None:
        self._run = run
        self._account = run.account
        self.downs: list[
            list[float]
        ] = []  # spans in which the host knew that the link was down, until it was reconciled
        self.silent: list[float] = []  # pictures that were asked for and never answered
        self.denied: dict[str, float] = {}  # cancels that the venue had no order for, and when it said so
        self.snapshots: list[tuple[float, float, float]] = []  # told at, orders as of, executions as of
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            name.removeprefix("_told_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("_told_")
        }

    def take(self, record: dict[str, Any]) -> None:
        """Take a message."""
        handler = self._handlers.get(record["kind"])
        if handler is not None and self._run.is_alive:
            handler(record)

    def _told_status(self, record: dict[str, Any]) -> None:
        order = self._account.orders.get((0, record["id"]))
        if order is None:
            return
        order.answered_at = min(order.answered_at, self._run.now)
        if record["state"] in LIVE:
            if order.end_told_at is not None:
                order.alive_told_at = order.alive_told_at or self._run.now
            return
        order.known_dead = True
        order.end_told_at = order.end_told_at or self._run.now
        stock = self._account.stock(order.sym)
        self._deliver(stock, f"end {order.id}")
        if record["state"] == "cancelled" and order.oca and order.is_own:
            for exec_id, untold in stock.pending.items():
                if untold.kind == "sell":
                    other = self._account.executions[stem(exec_id)]["order"]
                    if other is not order and other.group == order.group:
                        self._run.findings.saw("sibling cancel first")

    def _told_exec(self, record: dict[str, Any]) -> None:
        stock = self._account.stock(record["sym"])
        exec_id = record["exec_id"]
        # A correction tells the execution that it corrects.
        earlier = [key for key in stock.pending if stem(key) == stem(exec_id) and key < exec_id]
        for key in earlier:
            self._deliver(stock, key)
        if exec_id not in stock.pending and not earlier:
            if exec_id in stock.hinted:
                self._deliver(stock, exec_id)
            else:
                self._run.findings.saw("replayed exec")
            return
        order = self._account.orders.get((0, record["id"]))
        # Another client may have an order of the same number.
        if order is not None and record.get("ref", order.ref) == order.ref:
            self._count(order, record["qty"])
        self._deliver(stock, exec_id)

    @staticmethod
    def _count(order: Order, shares: int) -> None:
        """Count what a message or a picture shows of an order's executions: all of them are its end, too."""
        order.told += shares
        if order.told >= order.total:
            order.known_dead = True

    def _told_refusal(self, record: dict[str, Any]) -> None:
        order = self._account.by_ref.get(record["ref"])
        if order is None:
            if record["what"] == "cancel" and record["code"] == NOT_THERE:
                self.denied.setdefault(record["ref"], self._run.now)
            return
        order.known_dead = order.known_dead or not order.is_live
        if not order.is_live or record["what"] == "order":
            order.end_told_at = order.end_told_at or self._run.now

    def _told_position(self, record: dict[str, Any]) -> None:
        """Take a position: it tells what others did, unless executions of ours that are not told may explain it.

        One from before what another has told takes that back: nobody knows which of them is the older one.
        """
        stock = self._account.stock(record["sym"])
        for key, (untold, ready) in tuple(stock.hinted.items()):
            if untold.before == record["qty"] != stock.position:
                stock.pending[key] = untold
                del stock.hinted[key]
                stock.losses = [told for told in stock.losses if told[1:] != (untold.shares, ready)]
        if not stock.pending or any(untold.kind in ("buy", "sell") for untold in stock.pending.values()):
            return
        qty = record["qty"]
        moves = [key for key, untold in stock.pending.items() if untold.kind in ("loss", "gain")]
        last = len(moves) if qty == stock.position else 0
        for row, key in enumerate(moves):
            if stock.pending[key].position == qty:
                last = max(last, row + 1)
        for key in moves[:last]:
            untold = stock.pending[key]
            self._deliver(stock, key, is_sure=False)
            if untold.kind == "loss":
                stock.hinted[key] = (untold, self._run.was_ready)

    def _told_link(self, record: dict[str, Any]) -> None:
        if record["up"]:
            if self.downs and self.downs[-1][1] == NEVER:
                index = bisect_left(self._run.reconciled, self._run.now)
                self.downs[-1][1] = (
                    self._run.reconciled[index] if index < len(self._run.reconciled) else NEVER
                )
        else:
            self.downs.append([self._run.now, NEVER])

    def _told_quote(self, record: dict[str, Any]) -> None:
        self._account.stock(record["sym"]).quotes.append(
            (self._run.now, record["bid"] or "", record["ask"] or "")
        )

    def take_picture(self, record: dict[str, Any]) -> None:
        """Take a snapshot: what happened before the instants that it is of is known now."""
        orders, executions, positions = (
            record["orders_as_of"],
            record["executions_as_of"],
            record["positions_as_of"],
        )
        if orders is None or executions is None or positions is None:
            self._run.findings.saw("snapshot without end")
            self.silent.append(self._run.now)
            return
        if min(orders, executions, positions) < self._run.now - 1.0:
            self._run.findings.saw("stale snapshot")
        if not self._run.is_alive:
            return
        self.snapshots.append((self._run.now, orders, executions))
        for stock in self._account.stocks.values():
            for key, (hinted, _) in tuple(stock.hinted.items()):
                if hinted.t <= max(executions, positions):
                    self._deliver(stock, key)
            for key, untold in tuple(stock.pending.items()):
                seen = orders if untold.kind == "end" else executions
                if untold.kind in ("loss", "gain"):
                    seen = max(executions, positions)
                if untold.t <= seen:
                    if untold.kind in ("buy", "sell"):
                        self._count(self._account.executions[stem(key)]["order"], untold.shares)
                    self._deliver(stock, key)

    def _deliver(self, stock: Stock, key: str, *, is_sure: bool = True) -> None:
        untold = stock.pending.pop(key, None)
        stock.told_at.setdefault(key, self._run.now)
        hinted = stock.hinted.pop(key, None)
        if hinted is not None:
            stock.sure.append((self._run.now, hinted[0].shares, self._run.was_ready, key))
        elif untold is not None and untold.kind == "loss":
            told = (self._run.now, untold.shares, self._run.was_ready)
            stock.losses.append(told)
            if is_sure:
                stock.sure.append((*told, key))
        elif untold is not None and untold.kind == "sell":
            order = self._account.executions[stem(key)]["order"]
            stock.sales.append((self._run.now, untold.shares, order, untold.t, key))
