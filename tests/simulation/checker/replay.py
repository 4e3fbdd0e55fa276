"""Plays B's records in order, keeps the account, and calls the rules at the instants that they are about.

Laws: a rule about a state is judged when an instant is over, a rule about an order when the order is accepted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.simulation.checker.delivery import Delivery
from tests.simulation.checker.disk import Journal, Log
from tests.simulation.checker.facts import NEVER, Facts, price
from tests.simulation.checker.model import LIVE, Account, Order, Stock, Untold, stem
from tests.simulation.checker.report import Findings
from tests.simulation.checker.rules_cover import CoverRules
from tests.simulation.checker.rules_entries import EntryRules
from tests.simulation.checker.rules_orders import OrderRules
from tests.simulation.checker.rules_oversell import OversellRules
from tests.simulation.checker.rules_stops import StopRules


class Replay:
    """One schedule being replayed."""

    def __init__(self, facts: Facts, log: Log, journal: Journal, findings: Findings) -> None:
        self.facts, self.log, self.journal, self.findings = facts, log, journal, findings
        self.account = Account(facts)
        self.now = 0.0
        self.is_alive = True
        self.is_up = True
        self.up_since = 0.0
        self.starts = 0
        self.started: list[float] = []
        self.deaths: list[list[float]] = []  # spans without a program, until the next one is reconciled
        self.operations: list[dict[str, Any]] = []
        self.reconciled = [record["mono"] for record in log.by_event.get("ReconciliationCompleted", ())]
        self.ready_at = self._next_ready(0.0)
        self.was_ready = 0.0  # seconds that the program could act so far
        self.oversell = OversellRules(self)
        self.cover = CoverRules(self)
        self.orders = OrderRules(self)
        self.entries = EntryRules(self)
        self.stops = StopRules(self)
        self.delivery = Delivery(self)
        self._dirty: list[Stock] = []
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            name.removeprefix("_on_"): getattr(self, name) for name in dir(self) if name.startswith("_on_")
        }
        self._handlers |= {"to_host": self.delivery.take, "snapshot": self.delivery.take_picture}
        self._told: dict[str, Callable[[dict[str, Any]], None]] = {
            name.removeprefix("_told_"): getattr(self, name)
            for name in dir(self)
            if name.startswith("_told_")
        }

    def run(self, b: list[dict[str, Any]]) -> None:
        """Replay all records, and go on to the schedule's end."""
        handlers = self._handlers
        for record in b:
            t = record["t"]
            if t > self.now:
                self.go_to(t)
            handlers[record["event"]](record)
        self.go_to(max(self.now, self.facts.end))
        self.settle()

    # --- time ---------------------------------------------------------------------------------------------------------

    def go_to(self, t: float) -> None:
        """Let time pass, over the begins and ends of hours one by one."""
        for border in self.facts.borders(self.now, t):
            self.move_to(border)
        self.move_to(t)

    def move_to(self, t: float) -> None:
        """End this instant, and let time pass."""
        if self._dirty:
            self.settle()
        self.oversell.pass_time(self.now, t)
        self.cover.pass_time(self.now, t)
        self.entries.pass_time(self.now, t)
        self.stops.pass_time(self.now, t)
        self.was_ready += self.ready_time(self.now, t)
        self.now = t

    def settle(self) -> None:
        """Judge what this instant came to."""
        while self._dirty:
            stocks, self._dirty = self._dirty, []
            for stock in stocks:
                stock.dirty = False
                self.oversell.judge(stock)
                self.cover.judge(stock)

    def touch(self, stock: Stock) -> None:
        """Let a symbol be judged when the instant is over."""
        if not stock.dirty:
            stock.dirty = True
            self._dirty.append(stock)

    def ready_time(self, begin: float, end: float) -> float:
        """Return how much of a span the program was up, connected and reconciled (or had the time to be)."""
        return max(0.0, end - max(begin, self.ready_at))

    def _next_ready(self, t: float) -> float:
        if not (self.is_alive and self.is_up):
            return NEVER
        index = bisect_left(self.reconciled, t)
        reconciled = self.reconciled[index] if index < len(self.reconciled) else NEVER
        return min(reconciled, t + self.facts.bounds.reconcile)

    def did_operator(self, order: Order, *words: str, within: float = 30.0) -> bool:
        """Return whether the operator asked for something about an order a moment ago."""
        for operation in reversed(self.operations):
            if self.now - operation["t"] > within:
                return False
            if operation["what"] in words and _is_about(operation, order):
                return True
        return False

    # --- orders at the venue ------------------------------------------------------------------------------------------

    def _on_accept(self, record: dict[str, Any]) -> None:
        ref = record["ref"]
        is_ours = record["client"] == 0
        intent = self.log.placed.get(ref) if is_ours and ref else None
        order = Order(record, is_own=intent is not None or (is_ours and (ref or "").startswith("ts:")))
        before = self.account.by_ref.get(ref) if order.is_own else None
        stock = self.account.stock(order.sym)
        exposed = stock.exposed(order.group) if order.is_own and order.is_sell else 0
        self.account.add(order, record["parent"])
        if intent is not None:
            order.intent_at = intent.t
        if order.is_own or (is_ours and order.id > 0):
            self.orders.accepted(order, record, intent, before)
        if not order.is_own:
            return
        if order.is_sell:
            if order.leg == "cover":
                self.findings.saw("cover stop")
            self.oversell.accepted(stock, order, exposed)
            if order.stp is not None:
                self.stops.accepted(order, intent, is_new=True)
        else:
            self.entries.accepted(stock, order, record, intent)
        self.touch(stock)

    def _on_modify(self, record: dict[str, Any]) -> None:
        order = self.account.orders.get((record["client"], record["id"])) or self.account.by_ref.get(
            record["ref"]
        )
        if order is None:
            return
        stock = self.account.stock(order.sym)
        is_host = record["client"] == order.client and record.get("by", "host") == "host"
        intent = None
        if is_host and order.is_own:
            order.changed.append(self.now)
            intent = self.orders.modified(order, record)
            if order.is_sell:
                exposed = stock.exposed(order.group)
                t = order.modified_at if intent is None else intent.t
                if not order.waits():  # what a held child may sell is its entry's question
                    stock.checks.append((order, exposed, t))
                if record["qty"] < order.total:
                    self.cover.took_away(stock, order, order.total - record["qty"])
        elif order.is_own:
            order.operator = self.now
        order.modified_at = self.now
        if record["qty"] < order.total or not order.is_own or order.state == "sent":
            order.total = record["qty"]
            order.left = max(0, order.total - max(order.filled, order.executed))
        order.qty = record["qty"]
        order.most = max(order.most, order.qty) if not order.is_sell else max(order.qty, order.executed)
        before, order.stp = order.stp, price(record["stp"])
        order.lmt = price(record["lmt"])
        if is_host and order.is_own and order.is_sell and order.stp is not None:
            self.stops.accepted(order, intent, is_new=False, before=before)
        if order.elected:
            self._look(stock, order)
        self.touch(stock)

    def _on_refuse(self, record: dict[str, Any]) -> None:
        order = self.account.orders.get((record["client"], record["id"])) or self.account.by_ref.get(
            record["ref"]
        )
        if order is None or not order.is_own:
            return
        stock = self.account.stock(order.sym)
        order.refused_text = record["text"]
        if record["action"] in ("modify", "cancel"):
            order.changes_refused += 1
            order.changed.append(self.now)
            order.is_kept = order.is_kept or record["action"] == "cancel"
        elif order.is_stop:
            self.findings.saw("stop refused")
        if order.is_sell:
            self.oversell.refused(stock)
            self.cover.refused(stock)

    def _on_cancel_asked(self, record: dict[str, Any]) -> None:
        order = self.account.orders.get((record["client"], record["id"]))
        if record["client"] == 0:
            self.orders.cancel_asked(order, record)
        if order is not None and order.is_own and order.is_live:
            order.asked_cancel, order.is_kept = self.now, False

    def _on_state(self, record: dict[str, Any]) -> None:
        order = self.account.orders.get((record["client"], record["id"]))
        if order is None:
            return
        state, left = record["state"], order.left
        order.filled, order.left, order.total = record["filled"], record["left"], record["total"]
        order.works = record["works"]
        order.lmt = price(record["lmt"])
        order.state = state
        if not order.is_own:
            return
        stock = self.account.stock(order.sym)
        stp = price(record["stp"])
        if stp != order.stp:  # nobody of ours changed it
            order.stp, order.operator = stp, self.now
        was_live, order.is_live = order.is_live, state in LIVE
        if order.is_sell:
            sold = sum(member.executed for member in self.account.groups[order.group])
            if was_live and order.is_live and order.left < left and sold == order.group_sold:
                order.operator = self.now  # nobody of ours, and no execution
                self.cover.shrunk(order, left - order.left)
            order.group_sold = sold
        if record["elected"] and not order.elected:
            order.elected = True
            self.findings.saw("elected stop")
        if order.elected:
            self._look(stock, order)
        if was_live and not order.is_live:
            self._ended(stock, order, left)
        elif order.is_live and not was_live and order.is_sell:
            stock.sells.append(order)
        self.touch(stock)

    def _ended(self, stock: Stock, order: Order, left: int) -> None:
        order.ended_at = self.now
        if order.is_sell:
            stock.sells.remove(order)
            self.cover.ended(stock, order, left)
            if order.leg.startswith("tp"):
                self.stops.target_moved(order)
        else:
            stock.pending[f"end {order.id}"] = Untold("end", 0, self.now, stock.position)
            if order.state != "filled" and max(order.filled, order.executed) > 0:
                self.findings.saw("partial entry")

    def _look(self, stock: Stock, order: Order) -> None:
        """Keep since when an elected stop-limit does not sell."""
        if order.kind != "STP LMT" or (
            stock.bid is not None and (order.lmt is None or stock.bid >= order.lmt)
        ):
            order.unmarketable = None
        elif order.unmarketable is None:
            order.unmarketable = self.now

    # --- executions ---------------------------------------------------------------------------------------------------

    def _on_exec(self, record: dict[str, Any]) -> None:
        order = self.account.orders.get((record["client"], record["id"]))
        stock = self.account.stock(record["sym"])
        qty = record["qty"]
        sign = 1 if record["side"] == "BUY" else -1
        before = stock.inventory
        is_own = order is not None and order.is_own
        self.account.executions[stem(record["exec_id"])] = {
            "order": order,
            "qty": qty,
            "sign": sign,
            "sym": stock.name,
            "t": self.now,
        }
        if order is not None:
            order.executed += qty
            order.left = max(0, order.total - max(order.filled, order.executed))
        if order is not None and is_own:
            self._own_exec(stock, order, qty, sign, record["exec_id"])
        else:
            stock.others(sign * qty, self.facts.instant(self.now))
            change = stock.inventory - before
            if change:
                kind = "loss" if change < 0 else "gain"
                was = stock.position - sign * qty
                stock.pending[record["exec_id"]] = Untold(kind, abs(change), self.now, stock.position, was)
            if sign < 0:
                stock.sold_by = record["exec_id"]
                self.findings.saw("foreign sell")
        self.touch(stock)

    def _own_exec(self, stock: Stock, order: Order, qty: int, sign: int, exec_id: str) -> None:
        trade = order.trade
        assert trade is not None
        if not order.is_live:
            self.findings.saw("late fill")
            order.late += qty
        if order.asked_cancel is not None:
            self.findings.saw("cancel/fill race")
        if order.is_typed:
            stock.others(-qty, self.facts.instant(self.now), by_us=True)
        else:
            stock.own += sign * qty
            trade.net += sign * qty
        kind = "buy" if sign > 0 else "sell"
        stock.pending[exec_id] = Untold(kind, qty, self.now, stock.position)
        if sign > 0:
            if lost := stock.bought(trade, qty, self.facts.instant(self.now)):
                before = stock.pending.get(stock.sold_by)
                lost += before.shares if before is not None else 0
                stock.pending[stock.sold_by] = Untold("loss", lost, self.now, stock.position)
            self.cover.exposure.bought(trade, qty, exec_id)
        else:
            if self.facts.grain:
                stock.sold_first(self.facts.instant(self.now))
            if order.oca and any(
                other.executed for other in self.account.groups[order.group] if other.leg[:2] != order.leg[:2]
            ):
                self.findings.saw("both legs fill")
            self.oversell.sold(stock, order, exec_id)
            if order.leg.startswith("tp"):
                self.stops.target_moved(order)

    def _on_corrected(self, record: dict[str, Any]) -> None:
        found = self.account.executions.get(stem(record["exec_id"]))
        if found is None:
            return
        self.findings.saw("correction")
        stock, order = self.account.stock(found["sym"]), found["order"]
        change = (record["qty"] - found["qty"]) * found["sign"]
        order_change = record["qty"] - found["qty"]
        found["qty"] = record["qty"]
        before = stock.inventory
        if order is not None:
            order.executed += order_change
        if order is not None and order.is_own and not order.is_typed:
            stock.own += change
            order.trade.net += change
            if found["sign"] > 0:
                stock.lost_purchase()
            elif change > 0:
                order.trade.is_busted = True
        elif change > 0:
            stock.busted(change)
        else:
            stock.others(change, self.facts.instant(self.now), by_us=order is not None and order.is_own)
        # What had been sold already when a purchase was taken back was no oversale.
        stock.short_lost += max(0, min(0, before) - stock.inventory)
        moved = stock.inventory - before
        if moved:
            kind = "loss" if moved < 0 else "gain"
            stock.pending[record["exec_id"]] = Untold(kind, abs(moved), self.now, stock.position)
        if moved > 0 and order is not None and order.trade is not None:
            self.cover.exposure.bought(order.trade, moved, record["exec_id"])
        self.touch(stock)

    # --- market, link, operator, lives --------------------------------------------------------------------------------

    def _on_quote(self, record: dict[str, Any]) -> None:
        stock = self.account.stock(record["sym"])
        bid, ask = record["bid"], record["ask"]
        stock.bid = Decimal(bid) if bid else None
        stock.ask = Decimal(ask) if ask else None
        self._halt(stock, on=bool(record["halted"]))
        for order in stock.sells:
            if order.elected:
                self._look(stock, order)
                self.touch(stock)

    def _on_halt(self, record: dict[str, Any]) -> None:
        self._halt(self.account.stock(record["sym"]), on=record["on"])

    def _halt(self, stock: Stock, *, on: bool) -> None:
        if on is not stock.halted:
            stock.halted, stock.halted_at = on, self.now
            if on:
                self.findings.saw("halt")

    def _on_link(self, record: dict[str, Any]) -> None:
        self.is_up = record["up"]
        if self.is_up:
            self.up_since = self.now
        self.ready_at = self._next_ready(self.now)
        if self.deaths and self.deaths[-1][1] == NEVER:  # the link comes up after the start
            self.deaths[-1][1] = max(self.now, self.ready_at)
        if not self.is_up and "1100" in str(record["why"]):
            self.findings.saw("1100 window")

    def _on_kill(self, record: dict[str, Any]) -> None:
        self.settle()
        self.is_alive = False
        self.ready_at = NEVER
        self.deaths.append([self.now, NEVER])
        if any(stock.uncovered for stock in self.account.stocks.values()):
            self.findings.saw("kill inside arming")
        for step in self.log.by_event.get("IncidentStepTaken", ()):
            if self.now - 20 < step["mono"] <= self.now:
                self.findings.saw("kill inside emergency")
                break

    def _on_start(self, record: dict[str, Any]) -> None:
        self.starts += 1
        self.started.append(self.now)
        self.is_alive = True
        self.ready_at = self._next_ready(self.now)
        if self.deaths:
            self.deaths[-1][1] = min(self.deaths[-1][1], max(self.now, self.ready_at))
        if self.starts > 1:
            self.findings.saw("restart")

    def _on_op(self, record: dict[str, Any]) -> None:
        self.operations.append(record)
        if record["what"] == "flatten":
            self.findings.saw("flatten")
        ref = str(record.get("ref") or "")
        intent = self.log.placed.get(ref)
        known = self.account.by_ref.get(ref)
        if record["what"] != "cancel":
            return
        if known is not None and known.is_stop and known.trade is not None and not known.is_live:
            if known.end_told_at is None:  # it had ended, and he could not know; he wants no stop
                known.trade.freed += max(0, known.qty - known.executed)
                self.touch(self.account.stock(known.sym))
        elif intent is not None and known is None:
            trade = self.account.trades.get(ref.split(":")[1])
            if trade is not None and intent.record["type"].startswith("STP"):
                trade.freed += intent.record["qty"]  # the venue never had it; the operator wants no stop
                self.touch(self.account.stock(trade.sym))

    def _on_fault_free(self, record: dict[str, Any]) -> None:
        self.facts.fault_free_from = record["t"]


def _is_about(operation: dict[str, Any], order: Order) -> bool:
    """Return whether what the operator typed names an order, its leg, its trade or its symbol."""
    names = {
        order.ref,
        str(order.id),
        order.sym,
        order.watch,
        f"{order.sym}.{order.leg}",
        "ALL",
        f"{order.sym}.*",
    }
    names.add(f"{order.sym}.{order.leg.rstrip('0123456789')}*")
    leg = f"ts:{order.watch}:{order.leg}:"
    told = [
        str(value)
        for key, value in operation.items()
        if key not in ("t", "event", "what") and value is not None
    ]
    return not told or any(
        word in names or word.startswith(leg) for text in told for word in (text, *text.split())
    )
