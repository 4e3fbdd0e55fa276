"""What the account has: executions, fees and positions as they happen, and complete pictures on request.

A picture is three requests made after the call: all orders, today's executions, positions, each answered up to its end mark.
Open orders and positions are answered without a number, so their ends are counted: an answer that was given up and comes late
after all must not end the next request. reqAllOpenOrders is used, which shows the orders of other clients and manual ones too;
the first picture of a connection asks reqOpenOrders before, which has the gateway send us the statuses of ours.

Laws: a picture that is not complete is no picture (``BrokerError``); after three in a row the connection is given up. Executions
are told once per id, fees after their execution, whichever comes first. Only this account, only shares, only since midnight in
New York: the gateway may be set to show a week.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from ib_async.contract import Contract
from ib_async.objects import CommissionReport, Execution, ExecutionFilter
from ib_async.util import parseIBDatetime

from tradeshell import (
    BrokerError,
    CommissionReported,
    ExecutionReport,
    ExecutionReported,
    Input,
    OrderReport,
    PositionReport,
    PositionReported,
    Snapshot,
)
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.known import Known
from tradeshell_ibkr.orders import Orders
from tradeshell_ibkr.pacing import Priority
from tradeshell_ibkr.states import LinkState
from tradeshell_ibkr.translate import UNSET, average_of, execution_of, is_shares, name_of, ref_of, shares_of

NEW_YORK = ZoneInfo("America/New_York")
EXECUTION, EXECUTION_ID, EXECUTION_TIME = 11, 14, 15  # the message's kind, and where in it id and time stand
ANSWER_WITHIN = 4.0  # seconds for the whole picture
NO_END_AFTER = 1.2  # seconds after the rest is complete: a gateway without executions may forget to say so
GIVE_UP_AFTER = 3  # pictures in a row that did not come


class _Ends:
    """The end marks that are still owed by one kind of answer without numbers."""

    def __init__(self, what: str) -> None:
        self.what = what
        self.owed = 0
        self.done: asyncio.Future[None] | None = None

    def expect(self, count: int) -> asyncio.Future[None]:
        self.owed += count
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    def came(self) -> None:
        self.owed = max(0, self.owed - 1)
        if self.owed == 0 and self.done is not None and not self.done.done():
            self.done.set_result(None)


class Account:
    """The account side of the adapter."""

    def __init__(self, connection: Connection, emit: Callable[[Input], None], orders: Orders) -> None:
        self._connection = connection
        self._emit = emit
        self._orders = orders
        self._lock = asyncio.Lock()
        self._order_ends, self._position_ends = _Ends("open orders"), _Ends("positions")
        self._requests: dict[int, asyncio.Future[None]] = {}  # of executions, by number
        self._executions: dict[str, ExecutionReport] = {}  # today's, by full id
        self._stems: set[str] = set()  # of those: a fee may be for what was corrected before we heard of it
        self._early_fees: dict[str, Decimal] = {}
        self._fees: dict[str, Decimal] = {}  # as told, by execution
        self._said: dict[str, list[str]] = {}  # executions in the words in which they were told last
        self._positions: dict[int, PositionReport] | None = None  # while they are collected
        self._elsewhere: dict[tuple[str, int], PositionReport] = {}  # of other accounts, of the same answer
        self._socket = 0  # the connection whose answers are owed
        self._is_bound = False
        self._failures = 0
        hub = connection.hub
        hub.listen("openOrderEnd", self._order_ends.came)
        hub.listen("positionEnd", self._position_ends.came)
        hub.listen("position", self._position)
        hub.listen("execDetails", self._execution)
        connection.hear(EXECUTION, self._read_execution)
        hub.listen("execDetailsEnd", self._executions_end)
        hub.listen("commissionReport", self._fee)
        connection.on_up.append(self._up)

    # --- pictures -----------------------------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """Request orders, executions and positions; raises ``BrokerError`` unless all three are answered completely."""
        async with self._lock:
            self._connection.must_be_served()
            epoch = self._connection.epoch
            try:
                found = await self._ask()
            except BrokerError as error:
                if epoch == self._connection.epoch and self._connection.is_served:
                    self._failures += 1
                    if self._failures >= GIVE_UP_AFTER:
                        self._failures = 0
                        self._connection.drop(LinkState.UNANSWERED, str(error))
                raise
            self._failures = 0
            return found

    async def _ask(self) -> Snapshot:
        connection, orders = self._connection, self._orders
        since = self._forget_yesterday()
        is_first, self._is_bound = not self._is_bound, True
        collected = orders.collect()
        positions: dict[int, PositionReport] = {}
        self._positions, self._elsewhere = positions, {}
        asked = (
            (self._order_ends, self._order_ends.expect(2 if is_first else 1)),
            (self._position_ends, self._position_ends.expect(1)),
        )
        try:
            if is_first:
                connection.ask("reqOpenOrders", priority=Priority.QUESTION)
            connection.ask("reqAllOpenOrders", priority=Priority.QUESTION)
            first = self._ask_executions()
            connection.ask("reqPositions", priority=Priority.QUESTION)
            start = asyncio.get_running_loop().time()
            for ends, done in asked:
                left = start + ANSWER_WITHIN - asyncio.get_running_loop().time()
                await connection.within(
                    done, left, f"{ends.what} were not answered completely within {ANSWER_WITHIN:g} s"
                )
            await self._executions_answered(first, start + ANSWER_WITHIN)
            orders.collected()
            standing = orders.standing()
        finally:
            orders.stop_collecting()
            self._positions = None
            for number in self._requests:
                connection.forget(number)
            self._requests.clear()
        return Snapshot(
            orders=tuple(_report(known) for known in collected.values()),
            executions=_newest(e for e in self._executions.values() if e.at >= since),
            positions=tuple(positions.values()),
            standing=standing,
            elsewhere=tuple(self._elsewhere.values()),
        )

    def _ask_executions(self) -> asyncio.Future[None]:
        connection = self._connection
        number = connection.request_id()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests[number] = done

        def failed(code: int, text: str) -> None:
            if not done.done():
                done.set_exception(BrokerError(f"executions were not answered: {code} {text}"))

        connection.on_error(number, failed)
        connection.ask(
            "reqExecutions", number, ExecutionFilter(acctCode=connection.account), priority=Priority.QUESTION
        )
        return done

    async def _executions_answered(self, first: asyncio.Future[None], until: float) -> None:
        """Wait for the end of executions. A gateway that has none may leave the end mark away, twice: then there are none."""
        words = f"executions were not answered completely within {ANSWER_WITHIN:g} s"
        try:
            await self._connection.within(first, NO_END_AFTER, words)
        except BrokerError:
            if (first.done() and not first.cancelled()) or self._executions or not self._connection.is_served:
                raise
            second = self._ask_executions()
            left = min(NO_END_AFTER, until - asyncio.get_running_loop().time())
            try:
                await self._connection.within(second, left, words)
            except BrokerError:
                if (second.done() and not second.cancelled()) or self._executions:
                    raise
                self._connection.must_be_served()

    def _forget_yesterday(self) -> datetime:
        now = self._connection.clock.now().astimezone(NEW_YORK)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for exec_id in [e.exec_id for e in self._executions.values() if e.at < midnight - timedelta(days=1)]:
            del self._executions[exec_id]
            self._said.pop(exec_id, None)
            self._fees.pop(exec_id, None)
            self._stems.discard(exec_id.rpartition(".")[0])
        return midnight

    def _up(self, is_data_lost: bool) -> None:
        """A new connection, or a gateway that found Interactive Brokers again."""
        del is_data_lost
        if self._socket != self._connection.epoch:  # on the same socket a late answer may still come
            self._socket = self._connection.epoch
            self._order_ends.owed, self._position_ends.owed = 0, 1
            # Asking for positions subscribes to them, whether or not a picture is ever asked for.
            self._connection.ask("reqPositions", priority=Priority.QUESTION)
        self._is_bound = False

    # --- as it happens ------------------------------------------------------------------------------------------------

    def _read_execution(self, fields: list[str]) -> None:
        """Decode an execution; one whose time is written in a way nobody can read has happened all the same: now."""
        wire = self._connection.wire
        if wire is None:
            return
        exec_id, said = fields[EXECUTION_ID], fields[2:]  # all but the kind and the number of the question
        if self._said.get(exec_id) == said:
            return  # every picture repeats the whole day
        try:
            at: Any = parseIBDatetime(fields[EXECUTION_TIME])
            second = int((at if at.tzinfo is not None else at.replace(tzinfo=NEW_YORK)).timestamp())
        except Exception:  # noqa: BLE001  # names of zones come from another computer, and any may be unknown here
            second = int(self._connection.clock.now().timestamp())
        fields[EXECUTION_TIME] = str(second)  # which the decoder reads again, and much faster
        wire.decoder.execDetails(fields)  # type: ignore[no-untyped-call]  # the library's methods carry no types
        known = self._executions.get(exec_id)
        if known is not None and known.ref:  # whose one without a ref is may be found out later
            self._said[exec_id] = said

    def _execution(self, number: int, contract: Contract, execution: Execution) -> None:
        del number
        connection = self._connection
        if execution.acctNumber != connection.account:
            return
        ref = self._orders.ref_of(
            execution.clientId, execution.orderId, execution.permId, ref_of(execution.orderRef)
        )
        report = execution_of(contract, execution, ref, connection.names, connection.clock.now())
        if report is None or self._executions.get(report.exec_id) == report:
            return
        midnight = (
            connection.clock.now().astimezone(NEW_YORK).replace(hour=0, minute=0, second=0, microsecond=0)
        )
        self._executions[report.exec_id] = report
        self._stems.add(report.stem)
        if report.at < midnight:
            return  # of another day, whose picture is over
        now = connection.clock.now()
        self._emit(ExecutionReported(at=now, execution=report))
        fee = self._early_fees.pop(report.exec_id, None)
        if fee is not None:
            self._fees[report.exec_id] = fee
            self._emit(CommissionReported(at=now, exec_id=report.exec_id, amount=fee))

    def _executions_end(self, number: int) -> None:
        done = self._requests.get(number)
        if done is not None and not done.done():
            done.set_result(None)

    def _fee(self, report: CommissionReport) -> None:
        amount = report.commission
        if not report.execId or not math.isfinite(amount) or abs(amount) >= UNSET:
            return
        fee = Decimal(repr(amount))
        if report.execId in self._executions or report.execId.rpartition(".")[0] in self._stems:
            if self._fees.get(report.execId) == fee:
                return  # as above: repeated with its execution
            self._fees[report.execId] = fee
            self._emit(CommissionReported(at=self._connection.clock.now(), exec_id=report.execId, amount=fee))
        elif len(self._early_fees) < 10_000:
            self._early_fees[report.execId] = fee

    def _position(self, account: str, contract: Contract, qty: float, average: float) -> None:
        connection = self._connection
        if not is_shares(contract):
            return
        report = PositionReport(
            symbol=name_of(contract, connection.names),
            con_id=contract.conId,
            account=account,
            qty=shares_of(qty),
            average=average_of(average),
        )
        if account != connection.account:
            self._elsewhere[account, contract.conId] = report
            return
        if self._positions is not None:
            if report.qty:
                self._positions[contract.conId] = report
            else:
                self._positions.pop(contract.conId, None)
        self._emit(PositionReported(at=connection.clock.now(), position=report))


def _newest(executions: Iterable[ExecutionReport]) -> tuple[ExecutionReport, ...]:
    """Return each execution once, as it was corrected last."""
    found: dict[str, ExecutionReport] = {}
    for execution in executions:
        known = found.get(execution.stem)
        if known is None or execution.revision >= known.revision:
            found[execution.stem] = execution
    return tuple(found.values())


def _report(known: Known) -> OrderReport:
    if not known.has_status:
        raise BrokerError(f"order {known.order_id} was shown without its status")
    return known.report()
