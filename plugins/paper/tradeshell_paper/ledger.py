"""The account's books: executions, positions with their average cost, fees.

Laws: an execution is never changed, a correction is a further revision that counts in its place; the position is the sum of the
executions; shares are conserved.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from tradeshell import ExecutionReport, Instrument, PositionReport, Price, Shares
from tradeshell_paper.settings import Rules
from tradeshell_paper.tickets import Ticket

CASH = Decimal(1_000_000)  # USD that an account begins with
AVERAGE_STEP = Decimal("0.000001")


class Position(Struct, frozen=True):
    """``qty`` shares (negative: short) at ``average`` USD a share, fees not included."""

    qty: Shares = 0
    average: Price = Decimal(0)

    def after(self, signed: Shares, price: Price) -> Position:
        """Return the position after ``signed`` shares at ``price``: adding averages, reducing keeps the average."""
        qty = self.qty + signed
        if qty == 0:
            return Position()
        if self.qty * signed >= 0:
            cost = self.average * abs(self.qty) + price * abs(signed)
            return Position(qty, cost / abs(qty))
        return Position(qty, self.average if self.qty * qty > 0 else price)


class Ledger:
    """Books fills. Execution ids count up from ``Rules.first_execution``: ``paper.1.01``, then ``paper.2.01``."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._next = rules.first_execution
        self._positions: dict[str, Position] = {}
        self._instruments: dict[str, Instrument] = {}
        self._clients: list[int] = []
        self._fees = Decimal(0)
        self.executions: list[
            ExecutionReport
        ] = []  # each in its last revision, in the order in which they happened

    @property
    def is_flat(self) -> bool:
        """Whether no position is open."""
        return not any(position.qty for position in self._positions.values())

    def book(
        self, ticket: Ticket, instrument: Instrument, qty: Shares, price: Price, at: datetime
    ) -> ExecutionReport:
        """Book ``qty`` shares of ``ticket`` at ``price`` USD, executed at ``at``."""
        spec = ticket.spec
        execution = ExecutionReport(
            exec_id=f"paper.{self._next}.01",
            ref=spec.ref,
            order_id=ticket.order_id,
            symbol=spec.symbol,
            account=self._rules.account,
            side=spec.side,
            qty=qty,
            price=price,
            at=at,
        )
        self._next += 1
        self.executions.append(execution)
        self._clients.append(ticket.client)
        ticket.filled += qty
        ticket.value += price * qty
        position = self._positions.get(spec.symbol, Position())
        self._positions[spec.symbol] = position.after(spec.side.sign * qty, price)
        self._instruments[spec.symbol] = instrument
        return execution

    def correct(self, exec_id: str, qty: Shares, price: Price | None) -> tuple[int, ExecutionReport] | None:
        """Book the next revision of an execution; returns whose it is with it, ``None`` when there is no such execution."""
        stem = exec_id.rpartition(".")[0]
        index = next((n for n, each in enumerate(self.executions) if each.stem == stem), None)
        if index is None:
            return None
        old = self.executions[index]
        revised = replace(
            old,
            exec_id=f"{stem}.{old.revision + 1:02d}",
            qty=qty,
            price=old.price if price is None else price,
        )
        self.executions[index] = revised
        position = Position()
        for each in self.executions:
            if each.symbol == revised.symbol and each.qty:
                position = position.after(each.side.sign * each.qty, each.price)
        self._positions[revised.symbol] = position
        return self._clients[index], revised

    def charge(self, ticket: Ticket) -> Decimal:
        """Return the fee in USD that the ticket's last fill adds. The minimum is charged once an order."""
        fees = self._rules.fees.of_order(ticket.filled, ticket.value)
        added = fees - ticket.fees
        ticket.fees = fees
        self._fees += added
        return added

    def worth(self, mark: Callable[[str], Price | None]) -> Decimal:
        """Return cash and positions in USD; ``mark`` says what a share is worth, ``None``: nobody knows, its cost counts."""
        paid = sum((each.price * each.qty * each.side.sign for each in self.executions), Decimal(0))
        total = CASH - paid - self._fees
        for symbol, position in self._positions.items():
            price = mark(symbol)
            total += position.qty * (position.average if price is None else price)
        return total

    def position(self, symbol: str) -> PositionReport:
        """Return the position in ``symbol``, perhaps of zero shares."""
        position = self._positions.get(symbol, Position())
        return PositionReport(
            symbol=symbol,
            con_id=self._instruments[symbol].con_id,
            account=self._rules.account,
            qty=position.qty,
            average=position.average.quantize(AVERAGE_STEP),
        )

    def positions(self) -> tuple[PositionReport, ...]:
        """Return the open positions."""
        return tuple(self.position(symbol) for symbol, position in self._positions.items() if position.qty)
