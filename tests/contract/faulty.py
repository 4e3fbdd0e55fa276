"""Small defects of brokers, one for each card: wrappers around a broker that keeps the contract."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tradeshell import (
    Broker,
    BrokerContext,
    BrokerError,
    CommissionReported,
    ExecutionReport,
    ExecutionReported,
    Input,
    Instrument,
    LinkChanged,
    OrderRefusedByBroker,
    OrderReport,
    OrderReported,
    OrderSpec,
    OrderType,
    PositionReported,
    RefusedWhat,
    Session,
    Tif,
)
from tradeshell.testing import BrokerUnderTest

NEW_YORK = ZoneInfo("America/New_York")


class Fault:
    """A broker around another one. Without an override it does what the inner one does."""

    def __init__(self, context: BrokerContext) -> None:
        self.context = context
        self.inner: Any = None  # any Broker; what is not overridden is found here

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def hear(self, event: Input) -> None:
        """Take what the inner broker tells."""
        self.context.emit(event)

    def tell_report(self, report: OrderReport) -> None:
        """Tell a report."""
        self.context.emit(OrderReported(at=self.context.clock.now(), report=report))

    def closed(self) -> None:
        """Act after the close."""


def with_fault(under_test: BrokerUnderTest, fault: type[Fault]) -> BrokerUnderTest:
    """Return ``under_test`` with a broker that has a defect."""
    open_ = under_test.open

    @contextmanager
    def faulty(context: BrokerContext) -> Iterator[Broker]:
        wrapper = fault(context)
        with open_(replace(context, emit=wrapper.hear)) as inner:
            wrapper.inner = inner
            yield wrapper
        wrapper.closed()

    setattr(under_test, "open", faulty)  # noqa: B010  # mypy: a method is replaced on one object
    return under_test


class Reports(Fault):
    """Tells reports and executions other than they are."""

    def report(self, report: OrderReport) -> OrderReport:
        return report

    def execution(self, execution: ExecutionReport) -> ExecutionReport:
        return execution

    def hear(self, event: Input) -> None:
        if isinstance(event, OrderReported):
            event = replace(event, report=self.report(event.report))
        elif isinstance(event, ExecutionReported):
            event = replace(event, execution=self.execution(event.execution))
        self.context.emit(event)


class Orders(Fault):
    """Sends orders other than they are."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return order

    def place(self, order: OrderSpec, order_id: int) -> None:
        self.inner.place(self.changed(order), order_id)


# --- link -------------------------------------------------------------------------------------------------------------


class SaysUpTwice(Fault):
    """Tells the connection twice."""

    def hear(self, event: Input) -> None:
        self.context.emit(event)
        if isinstance(event, LinkChanged) and event.up:
            self.context.emit(event)


class KnowsNoAccount(Fault):
    """Tells the link before it knows the account."""

    def hear(self, event: Input) -> None:
        self.context.emit(replace(event, account="") if isinstance(event, LinkChanged) else event)


class TalksAfterTheEnd(Fault):
    """Passes on what was in its queue when the link ended."""

    last: Input | None = None

    def hear(self, event: Input) -> None:
        self.context.emit(event)
        if isinstance(event, LinkChanged) and not event.up and self.last is not None:
            self.context.emit(self.last)
        self.last = event


class ConnectsToNothing(Fault):
    """Takes a failed connection for one that will come."""

    async def connect(self) -> None:
        with suppress(BrokerError):
            await self.inner.connect()


class DropsWithoutWhy(Fault):
    """Does not say why the link dropped."""

    def hear(self, event: Input) -> None:
        self.context.emit(replace(event, why="") if isinstance(event, LinkChanged) else event)


class StaysAway(Fault):
    """Never tells that the link is back."""

    ups = 0

    def hear(self, event: Input) -> None:
        if isinstance(event, LinkChanged) and event.up:
            self.ups += 1
            if self.ups > 1:
                return
        self.context.emit(event)


class KeepsForLater(Fault):
    """Keeps orders while it is down, and sends them when the link is back."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.kept: list[tuple[OrderSpec, int]] = []

    def place(self, order: OrderSpec, order_id: int) -> None:
        try:
            self.inner.place(order, order_id)
        except BrokerError:
            self.kept.append((order, order_id))
            raise

    async def connect(self) -> None:
        await self.inner.connect()
        for order, order_id in self.kept:
            self.inner.place(order, order_id)
        self.kept.clear()


class CallsAfterTheClose(Fault):
    """Has a message left when it is closed."""

    last: Input | None = None

    def hear(self, event: Input) -> None:
        self.last = event
        self.context.emit(event)

    def closed(self) -> None:
        last = self.last
        if last is not None:
            self.context.clock.call_soon(lambda: self.context.emit(last))


class CallsFromAThread(Fault):
    """Hands over on the thread of its socket."""

    def hear(self, event: Input) -> None:
        thread = threading.Thread(target=self.context.emit, args=(event,))
        if isinstance(event, ExecutionReported):
            thread.start()
            thread.join()
        else:
            self.context.emit(event)


class LogsNormalEvents(Fault):
    """Logs a refusal as an error."""

    def hear(self, event: Input) -> None:
        if isinstance(event, OrderRefusedByBroker):
            logging.getLogger("a_broker").error("Error %s: %s", event.code, event.text)
        self.context.emit(event)


# --- contracts, hours, numbers ----------------------------------------------------------------------------------------


class NumbersNothing(Fault):
    """Returns a contract that was never qualified."""

    async def qualify(self, symbol: str) -> Instrument:
        found: Instrument = await self.inner.qualify(symbol)
        return replace(found, con_id=0)


class QualifiesAnything(Fault):
    """Makes a contract of any symbol."""

    async def qualify(self, symbol: str) -> Instrument:
        try:
            found: Instrument = await self.inner.qualify(symbol)
        except BrokerError:
            return Instrument(symbol=symbol, con_id=1)
        return found


class HoursOfTheUtcDay(Fault):
    """Takes the day of London for that of New York."""

    def session(self, symbol: str, at: datetime) -> Session | None:
        day = at.astimezone(UTC).date()
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=NEW_YORK)
        found: Session | None = self.inner.session(symbol, noon)
        return found


class KnowsNoHalfDays(Fault):
    """Closes at four on every day."""

    def session(self, symbol: str, at: datetime) -> Session | None:
        found: Session | None = self.inner.session(symbol, at)
        return None if found is None else replace(found, close=found.open + timedelta(hours=6, minutes=30))


class NeverCloses(Fault):
    """Knows no holidays."""

    def session(self, symbol: str, at: datetime) -> Session | None:
        found: Session | None = self.inner.session(symbol, at)
        return found or self.inner.session(symbol, datetime(2025, 12, 22, 17, tzinfo=UTC))


class BeginsAtOne(Fault):
    """Offers number 1 again."""

    def first_order_id(self) -> int:
        return 1


class ReconnectsAtOne(Fault):
    """Tells number 1 with each link."""

    def hear(self, event: Input) -> None:
        self.context.emit(replace(event, first_order_id=1) if isinstance(event, LinkChanged) else event)


# --- orders -----------------------------------------------------------------------------------------------------------


class Waits(Fault):
    """Waits for the answer."""

    def place(self, order: OrderSpec, order_id: int) -> None:
        time.sleep(0.3)
        self.inner.place(order, order_id)


class ForgetsLimits(Orders):
    """Sends every order at the market."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, type=OrderType.MARKET) if order.type is OrderType.LIMIT else order


class TellsCents(Reports):
    """Tells prices in cents."""

    def execution(self, execution: ExecutionReport) -> ExecutionReport:
        return replace(execution, price=execution.price * 100)


class StopsAtOnce(Orders):
    """Sends a stop at the market."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, type=OrderType.MARKET) if order.type is OrderType.STOP else order


class ForgetsLimitsOfStops(Orders):
    """Sends a stop-limit as a stop."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, type=OrderType.STOP) if order.type is OrderType.STOP_LIMIT else order


class CountsLastFill(Reports):
    """Tells what remains as if nothing had filled."""

    def report(self, report: OrderReport) -> OrderReport:
        return replace(report, remaining=report.filled + report.remaining)


class OneIdForAnOrder(Reports):
    """Makes the id of an execution of its order's number."""

    def execution(self, execution: ExecutionReport) -> ExecutionReport:
        return replace(execution, exec_id=f"{execution.order_id}.01")


class TellsLocalTime(Reports):
    """Tells when it happened by the clock on the wall."""

    def execution(self, execution: ExecutionReport) -> ExecutionReport:
        return replace(execution, at=execution.at.astimezone(NEW_YORK).replace(tzinfo=None))


class CutsRefs(Reports):
    """Keeps the first 16 letters of a ref."""

    def report(self, report: OrderReport) -> OrderReport:
        return replace(report, ref=report.ref[:16])

    def execution(self, execution: ExecutionReport) -> ExecutionReport:
        return replace(execution, ref=execution.ref[:16])


class ForgetsPositions(Fault):
    """Tells no positions."""

    def hear(self, event: Input) -> None:
        if not isinstance(event, PositionReported):
            self.context.emit(event)


class ForgetsFees(Fault):
    """Tells no fees."""

    def hear(self, event: Input) -> None:
        if not isinstance(event, CommissionReported):
            self.context.emit(event)


class CorrectionsAreNews(Reports):
    """Takes a correction for another execution."""

    def execution(self, execution: ExecutionReport) -> ExecutionReport:
        first = execution.revision <= 1
        return execution if first else replace(execution, exec_id=f"new.{execution.exec_id}")


class LosesTheWords(Fault):
    """Says that an order was refused, and not why."""

    def hear(self, event: Input) -> None:
        self.context.emit(
            replace(event, text="refused") if isinstance(event, OrderRefusedByBroker) else event
        )


class TakesAdviceForRefusal(Fault):
    """Takes each message with a code for a refusal."""

    def hear(self, event: Input) -> None:
        if isinstance(event, OrderRefusedByBroker) and event.what is RefusedWhat.NOTHING:
            event = replace(event, what=RefusedWhat.ORDER)
        self.context.emit(event)


class GoodForEver(Orders):
    """Forgets until when an order is good."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, tif=Tif.GTC, good_till=None)


class SortsByHaste(Fault):
    """Sends the newest order first."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.waiting: list[tuple[OrderSpec, int]] = []

    def place(self, order: OrderSpec, order_id: int) -> None:
        self.waiting.append((order, order_id))
        self.context.clock.call_soon(lambda: self.inner.place(*self.waiting.pop()))
