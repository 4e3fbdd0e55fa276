"""The books of a scripted broker: its orders, executions and positions, as a snapshot shows them.

Laws: plain bookkeeping without policy; an order is named by its ref, the newest one of that ref; numbers are never forgotten.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from tradeshell.core.inputs import ExecutionReport, OrderReport, PositionReport
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import OrderSpec, OrderState
from tradeshell.ports import Snapshot


class Books:
    """What a broker knows of one account."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.highest_id = 0
        self._specs: dict[int, OrderSpec] = {}
        self._reports: dict[int, OrderReport] = {}
        self._ids: dict[str, int] = {}
        self._executions: dict[str, ExecutionReport] = {}  # by stem, in the latest revision

    # --- looking ------------------------------------------------------------------------------------------------------

    def by_id(self, order_id: int) -> OrderReport | None:
        """Return an order by its number."""
        return self._reports.get(order_id)

    def report(self, ref: str) -> OrderReport:
        """Return an order by its ref; raises ``KeyError``."""
        return self._reports[self._ids[ref]]

    def spec(self, ref: str) -> OrderSpec:
        """Return what was asked for last under a ref; raises ``KeyError``."""
        return self._specs[self._ids[ref]]

    def living(self) -> tuple[OrderReport, ...]:
        """Return the orders that may still fill, oldest first."""
        return tuple(report for report in self._reports.values() if report.state.is_live)

    def position(self, symbol: str) -> PositionReport:
        """Return the position in a symbol: shares with a sign, average USD a share of what opened it."""
        qty, average = 0, Decimal(0)
        for execution in self._executions.values():
            if execution.symbol != symbol:
                continue
            change = execution.side.sign * execution.qty
            after = qty + change
            if qty * change >= 0 and after:
                average = (average * abs(qty) + execution.price * abs(change)) / abs(after)
            elif qty * after < 0:
                average = execution.price
            qty = after
        con_id = next((spec.con_id for spec in self._specs.values() if spec.symbol == symbol), 0)
        return PositionReport(
            symbol=symbol,
            con_id=con_id,
            account=self.account,
            qty=qty,
            average=average if qty else Decimal(0),
        )

    def picture(self) -> Snapshot:
        """Return everything as it is."""
        symbols = dict.fromkeys(execution.symbol for execution in self._executions.values())
        held = (self.position(symbol) for symbol in symbols)
        return Snapshot(
            orders=self.living(),
            executions=tuple(self._executions.values()),
            positions=tuple(position for position in held if position.qty),
        )

    # --- keeping ------------------------------------------------------------------------------------------------------

    def add(self, order: OrderSpec, order_id: int) -> None:
        """Enter a new order: a stop is held, anything else works."""
        self.highest_id = max(self.highest_id, order_id)
        self._specs[order_id] = order
        self._ids[order.ref] = order_id
        self._reports[order_id] = OrderReport(
            ref=order.ref,
            order_id=order_id,
            state=OrderState.HELD if order.type.is_stop else OrderState.WORKING,
            filled=0,
            remaining=order.qty,
            qty=order.qty,
            limit=order.limit,
            stop=order.stop,
        )

    def change(self, order: OrderSpec, order_id: int) -> None:
        """Enter a change; a total that has filled already ends the order."""
        report = self._reports[order_id]
        self._specs[order_id] = order
        left = max(0, order.qty - report.filled)
        state = report.state if left else OrderState.CANCELLED
        self._reports[order_id] = replace(
            report, qty=order.qty, remaining=left, limit=order.limit, stop=order.stop, state=state
        )

    def elect(self, ref: str) -> None:
        """Let a stop be elected: it works from now on."""
        report = self.report(ref)
        self._reports[report.order_id] = replace(report, state=OrderState.WORKING)

    def end(self, ref: str, state: OrderState, why: str) -> None:
        """End an order."""
        report = self.report(ref)
        self._reports[report.order_id] = replace(report, state=state, why=why)

    def fill(self, ref: str, qty: Shares | None, price: Price, at: datetime) -> ExecutionReport:
        """Execute shares of an order, also of one that has ended; returns the execution."""
        report, order = self.report(ref), self.spec(ref)
        shares = report.remaining if qty is None else min(qty, report.remaining)
        left = report.remaining - shares
        state = OrderState.WORKING if report.state.is_live else report.state
        self._reports[report.order_id] = replace(
            report,
            filled=report.filled + shares,
            remaining=left,
            state=state if left else OrderState.FILLED,
        )
        execution = ExecutionReport(
            exec_id=f"scripted.{len(self._executions) + 1}.01",
            ref=ref,
            order_id=report.order_id,
            symbol=order.symbol,
            account=self.account,
            side=order.side,
            qty=shares,
            price=price,
            at=at,
        )
        self._executions[execution.stem] = execution
        return execution

    def correct(self, exec_id: str, qty: Shares, price: Price) -> ExecutionReport:
        """Correct an execution by its next revision and return that; raises ``KeyError``."""
        (stem,) = {stem for stem, known in self._executions.items() if known.exec_id == exec_id}
        known = self._executions[stem]
        self._executions[stem] = replace(
            known, exec_id=f"{stem}.{known.revision + 1:02d}", qty=qty, price=price
        )
        return self._executions[stem]
