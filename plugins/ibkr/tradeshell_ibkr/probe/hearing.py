"""What the bench hears: every message about its orders and its symbol, and answers to what it asks.

Laws: a wait ends by its bound or with the link; an execution counts once, as it was corrected last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ib_async.contract import Contract
from ib_async.objects import CommissionReport, Execution, ExecutionFilter
from ib_async.order import Order, OrderState

from tradeshell import RefusedWhat, Shares
from tradeshell_ibkr.codes import about_order
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.encode import Ticket
from tradeshell_ibkr.pacing import Priority
from tradeshell_ibkr.probe.tape import CANCELLED, FINAL, Said, Tape
from tradeshell_ibkr.translate import shares_of

REF = "probe"  # orders are called probe:TRIAL:NUMBER
ANSWER_WITHIN = 4.0  # seconds


class Placed:
    """One order of ours."""

    def __init__(self, ticket: Ticket, sent_at: float) -> None:
        self.ticket, self.sent_at = ticket, sent_at
        self.is_over = False
        self.refused = 0  # the code of its refusal

    def words(self) -> str:
        """Return it in words."""
        t = self.ticket
        prices = "/".join(text for text in (t.stop, t.limit) if text) or "market"
        return f"order {t.order_id}: {t.action} {t.qty} {t.type} {prices} {t.tif or 'DAY'}"


class Hearing:
    """One symbol of one account: what is said of it. ``con_id`` is 0 until it is known."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.tape = Tape()
        self.orders: dict[int, Placed] = {}
        self.others: list[str] = []  # orders in the symbol that are not ours, of the last answer
        self._executions: dict[str, tuple[int, Shares]] = {}  # revision and signed shares, by execution
        self._positions: dict[int, Shares] = {}
        self._shown: set[int] | None = None  # while open orders are answered
        self._waiting: set[asyncio.Future[None]] = set()
        self._ended: set[str] = set()  # answers that are complete
        self.was_lost, self.lost_at = False, 0.0
        self.con_id = 0
        hub = connection.hub
        hub.listen("openOrder", self._order)
        hub.listen("orderStatus", self._status)
        hub.listen("execDetails", self._execution)
        hub.listen("commissionReport", self._fee)
        hub.listen("position", self._position)
        hub.listen("completedOrder", self._completed)
        hub.listen("openOrderEnd", lambda: self._end("orders"))
        hub.listen("positionEnd", lambda: self._end("positions"))
        hub.listen("completedOrdersEnd", lambda: self._end("completed"))
        hub.listen("execDetailsEnd", lambda number: self._end(f"executions {number}"))
        connection.on_order_error = self._error
        connection.on_down.append(self._lost)

    # --- time and waiting ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    async def until(self, check: Callable[[], object], seconds: float) -> bool:
        """Wait until something is true, for so long at most; return whether it is. Raises ``BrokerError`` when the link goes."""
        end = self.now + seconds
        while not check():
            self.connection.must_be_served()
            if self.now >= end:
                return False
            word: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(word)
            try:
                await asyncio.wait((word,), timeout=end - self.now)
            finally:
                self._waiting.discard(word)
        return True

    async def pause(self, seconds: float) -> None:
        """Let time pass and hear what comes."""
        await self.until(bool, seconds)

    def _wake(self) -> None:
        for word in self._waiting:
            if not word.done():
                word.set_result(None)

    # --- questions to the gateway -------------------------------------------------------------------------------------

    async def open_orders(self) -> set[int] | None:
        """Return which of our orders are open by a fresh answer, ``None`` when it is not complete in time."""
        self._shown = shown = set[int]()
        self.others.clear()
        try:
            return shown if await self._answered("orders", "reqAllOpenOrders") else None
        finally:
            self._shown = None

    async def held(self) -> Shares | None:
        """Return the position in the symbol by a fresh answer, ``None`` when it is not complete in time."""
        self._positions.pop(self.con_id, None)
        if await self._answered("positions", "reqPositions"):
            return self._positions.get(self.con_id, 0)
        return None

    async def completed(self) -> bool:
        """Ask for completed orders; return whether the answer was complete in time."""
        return await self._answered("completed", "reqCompletedOrders", True)

    async def executions(self, client_id: int, symbol: str) -> bool:
        """Ask for executions in the symbol; return whether the answer was complete in time."""
        connection = self.connection
        number = connection.request_id()
        wanted = ExecutionFilter(clientId=client_id, acctCode=connection.account, symbol=symbol)
        return await self._answered(f"executions {number}", "reqExecutions", number, wanted)

    async def _answered(self, name: str, method: str, *args: Any) -> bool:
        self._ended.discard(name)
        self.connection.ask(method, *args, priority=Priority.QUESTION)
        return await self.until(lambda: name in self._ended, ANSWER_WITHIN)

    # --- what is known ------------------------------------------------------------------------------------------------

    def executed(self, number: int) -> Shares:
        """Return how many shares of an order have executed."""
        return sum(s.filled for s in self.tape.of(number, "execution"))

    def last_error(self, number: int) -> str:
        """Return the broker's last words about an order."""
        errors = self.tape.errors(number)
        return f"{errors[-1].code} {errors[-1].text}" if errors else "without a word"

    def bought(self) -> Shares:
        """Return what our executions add up to: shares bought less shares sold."""
        return sum(shares for _, shares in self._executions.values())

    # --- what is said -------------------------------------------------------------------------------------------------

    def _hear(self, said: Said) -> None:
        self.tape.said.append(said)
        self._wake()

    def _order(self, number: int, contract: Contract, order: Order, state: OrderState) -> None:
        is_mine = order.clientId == self.connection.settings.client_id and number in self.orders
        if not is_mine:
            if contract.conId == self.con_id and order.account in ("", self.connection.account):
                self.others.append(
                    f"an order of client {order.clientId} ({order.action} {order.totalQuantity:g})"
                )
            return
        if self._shown is not None:
            self._shown.add(number)
        price = order.auxPrice if order.orderType == "STP" else order.lmtPrice
        total = shares_of(order.totalQuantity)
        self._hear(
            Said(
                at=self.now,
                kind="order",
                order=number,
                status=state.status,
                total=total,
                price=float(price or 0),
            )
        )

    def _status(
        self, number: int, status: str, filled: float, remaining: float, average: float = 0.0, perm: int = 0,
        parent: int = 0, last: float = 0.0, client: int = 0, *_: object,
    ) -> None:  # fmt: skip
        del average, perm, parent, last
        placed = self.orders.get(number)
        if placed is None or client != self.connection.settings.client_id:
            return
        placed.is_over = placed.is_over or status in FINAL
        self._hear(
            Said(
                at=self.now,
                kind="status",
                order=number,
                status=status,
                filled=shares_of(filled),
                remaining=shares_of(remaining),
            )
        )

    def _execution(self, number: int, contract: Contract, execution: Execution) -> None:
        del number
        is_mine = execution.orderRef.startswith(f"{REF}:") and execution.orderId in self.orders
        if not is_mine or contract.conId != self.con_id:
            return
        stem, _, revision = execution.execId.rpartition(".")
        known = self._executions.get(stem)
        shares = shares_of(execution.shares)
        if known is not None and known[0] >= int(revision or 0):
            return
        self._executions[stem] = (int(revision or 0), shares if execution.side == "BOT" else -shares)
        order = execution.orderId
        self._hear(Said(at=self.now, kind="execution", order=order, filled=shares, exec_id=execution.execId))

    def _fee(self, report: CommissionReport) -> None:
        self._hear(Said(at=self.now, kind="fee", exec_id=report.execId))

    def _position(self, account: str, contract: Contract, qty: float, average: float) -> None:
        del average
        if account == self.connection.account and contract.secType == "STK":
            self._positions[contract.conId] = shares_of(qty)
            if contract.conId == self.con_id:
                self._hear(Said(at=self.now, kind="position", filled=shares_of(qty)))

    def _completed(self, contract: Contract, order: Order, state: OrderState) -> None:
        del contract
        _, _, number = order.orderRef.rpartition(":")
        if order.orderRef.startswith(f"{REF}:") and number.isdigit():
            self._hear(Said(at=self.now, kind="completed", order=int(number), status=state.status))

    def _error(self, number: int, code: int, text: str) -> None:
        placed = self.orders.get(number)
        if placed is None:
            return
        is_new = self.tape.last(number, "status") is None and self.executed(number) == 0
        if code == CANCELLED:
            placed.is_over = True
        elif (
            is_new
            and about_order(code, is_new=True, is_changing=False, is_cancelling=False) is RefusedWhat.ORDER
        ):
            placed.refused, placed.is_over = code, True
        self._hear(Said(at=self.now, kind="error", order=number, code=code, text=text))

    def _end(self, name: str) -> None:
        self._ended.add(name)
        self._wake()

    def _lost(self, why: str) -> None:
        del why
        self.was_lost, self.lost_at = True, self.now
        self._wake()
