"""Small defects of brokers, continued: changes and cancels, groups and pictures, market data."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from msgspec.structs import replace
from tests.contract.faulty import Fault, Orders, Reports

from tradeshell import (
    Bar,
    BrokerContext,
    BrokerError,
    ExecutionReported,
    Handle,
    Input,
    OrderRefusedByBroker,
    OrderReport,
    OrderReported,
    OrderSpec,
    OrderState,
    Quote,
    RefusedWhat,
    Snapshot,
)

# --- changes and cancels ----------------------------------------------------------------------------------------------


class BelievesItself(Fault):
    """Reports a change when it should send it."""

    def modify(self, order: OrderSpec, order_id: int) -> None:
        self.tell_report(
            OrderReport(
                ref=order.ref,
                order_id=order_id,
                state=OrderState.HELD if order.type.is_stop else OrderState.WORKING,
                filled=0,
                remaining=order.qty,
                qty=order.qty,
                limit=order.limit,
                stop=order.stop,
            )
        )


class SendsTheRestAsTotal(Fault):
    """Sends what should remain as the new total."""

    def modify(self, order: OrderSpec, order_id: int) -> None:
        self.inner.modify(replace(order, qty=order.qty - 30), order_id)


class RefusedIsRefused(Fault):
    """Does not tell what a refusal is about."""

    def hear(self, event: Input) -> None:
        if isinstance(event, OrderRefusedByBroker):
            event = replace(event, what=RefusedWhat.ORDER)
        self.context.emit(event)


class ErrorsEndOrders(Fault):
    """Takes an order for cancelled when any error names it."""

    def hear(self, event: Input) -> None:
        self.context.emit(event)
        if isinstance(event, OrderRefusedByBroker) and event.what is not RefusedWhat.ORDER:
            self.tell_report(
                OrderReport(
                    ref=event.ref, order_id=1, state=OrderState.CANCELLED, filled=0, remaining=10, qty=10
                )
            )


class CancelledIsUnfilled(Reports):
    """Tells of a cancelled order that nothing filled."""

    def report(self, report: OrderReport) -> OrderReport:
        return replace(report, filled=0) if report.state is OrderState.CANCELLED else report


class DeadOrdersAreDead(Fault):
    """Forgets an order once it was cancelled."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.dead: set[str] = set()

    def hear(self, event: Input) -> None:
        if isinstance(event, OrderReported) and event.report.state is OrderState.CANCELLED:
            self.dead.add(event.report.ref)
        if not isinstance(event, ExecutionReported) or event.execution.ref not in self.dead:
            self.context.emit(event)


# --- groups and pictures ----------------------------------------------------------------------------------------------


class TransmitsAtOnce(Orders):
    """Keeps nothing back."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, transmit=True)


class ForgetsParents(Orders):
    """Sends children as orders of their own, and shows them as they should be."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, parent_ref=None, transmit=True)

    def hear(self, event: Input) -> None:
        if isinstance(event, OrderReported) and ":tp" in event.report.ref:
            event = replace(event, report=replace(event.report, state=OrderState.HELD))
        self.context.emit(event)


class ChildrenStayHeld(Reports):
    """Does not hear that a child began to work."""

    def report(self, report: OrderReport) -> OrderReport:
        is_child = ":tp" in report.ref and report.state is OrderState.WORKING
        return replace(report, state=OrderState.HELD) if is_child else report


class ChildrenStayAlive(Fault):
    """Does not hear that children ended with their parent."""

    def hear(self, event: Input) -> None:
        is_end = isinstance(event, OrderReported) and event.report.state is OrderState.CANCELLED
        if not is_end or ":entry" in str(event):
            self.context.emit(event)


class HidesReductions(Reports):
    """Tells what remains of an order from what was sent."""

    def report(self, report: OrderReport) -> OrderReport:
        return replace(report, remaining=100 - report.filled, qty=100) if ":sl" in report.ref else report


class ForgetsGroups(Orders):
    """Sends every order on its own."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, oca_group=None, oca_type=None)


class WorksAllNight(Orders):
    """Sends every order for all hours."""

    def changed(self, order: OrderSpec) -> OrderSpec:
        return replace(order, outside_rth=True)


class ForgetsWhatIsHeld(Fault):
    """Answers without positions."""

    async def snapshot_account(self) -> Snapshot:
        found: Snapshot = await self.inner.snapshot_account()
        return replace(found, positions=())


class RemembersThePicture(Fault):
    """Answers with what it was told first."""

    first: Snapshot | None = None

    async def snapshot_account(self) -> Snapshot:
        self.first = self.first or await self.inner.snapshot_account()
        return self.first


class HalfIsEnough(Fault):
    """Answers with what has come when the link drops."""

    async def snapshot_account(self) -> Snapshot:
        try:
            found: Snapshot = await self.inner.snapshot_account()
        except BrokerError:
            return Snapshot(orders=(), executions=(), positions=())
        return found


class KnowsWhatItHeard(Fault):
    """Answers with the executions that it was told as they happened."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.heard: set[str] = set()

    def hear(self, event: Input) -> None:
        if isinstance(event, ExecutionReported):
            self.heard.add(event.execution.exec_id)
        self.context.emit(event)

    async def snapshot_account(self) -> Snapshot:
        found: Snapshot = await self.inner.snapshot_account()
        return replace(found, executions=tuple(e for e in found.executions if e.exec_id in self.heard))


# --- market data ------------------------------------------------------------------------------------------------------


class _Bars(Fault):
    """Hands over bars other than they are."""

    def bars(self, bar: Bar) -> tuple[Bar, ...]:
        return (bar,)

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        def heard(bar: Bar) -> None:
            for each in self.bars(bar):
                on_bar(each)

        handle: Handle = self.inner.subscribe(symbol, seconds, rth, heard)
        return handle


class StampsTheEnd(_Bars):
    """Stamps a bar with its end."""

    def bars(self, bar: Bar) -> tuple[Bar, ...]:
        return (replace(bar, start=bar.end),)


class BarsOfTwoPrices(_Bars):
    """Makes a bar of its first and its last price."""

    def bars(self, bar: Bar) -> tuple[Bar, ...]:
        return (replace(bar, high=max(bar.open, bar.close), low=min(bar.open, bar.close)),)


class BarsTwice(_Bars):
    """Hands a bar over again when it is corrected."""

    def bars(self, bar: Bar) -> tuple[Bar, ...]:
        return (bar, bar)


class AllHours(Fault):
    """Forgets that regular hours were asked for."""

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        handle: Handle = self.inner.subscribe(symbol, seconds, False, on_bar)
        return handle


class NewestFirst(Fault):
    """Returns the past backwards."""

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        return tuple(reversed(await self.inner.history(symbol, seconds, count, rth)))


class WaitsForEver(Fault):
    """Waits for bars that will never come."""

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        await asyncio.Event().wait()
        return ()


class RemembersTheTouch(Fault):
    """Shows the touch that it was told first."""

    first: Quote | None = None

    def latest(self, symbol: str) -> Quote | None:
        self.first = self.first or self.inner.latest(symbol)
        return self.first

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        return self.latest(symbol)


class NeverUnsubscribes(Fault):
    """Goes on after the end of a subscription."""

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        self.inner.subscribe_quotes(symbol, on_quote)
        handle: Handle = self.inner.subscribe_quotes(symbol)
        return handle


class ZeroIsNoPrice(Fault):
    """Shows a missing side as 0."""

    def latest(self, symbol: str) -> Quote | None:
        found: Quote | None = self.inner.latest(symbol)
        return None if found is None else replace(found, bid=found.bid or Decimal(0))


class HasNoPatience(Fault):
    """Raises when there is no touch."""

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        found: Quote | None = await self.inner.snapshot(symbol, patience)
        if found is None:
            raise BrokerError(f"{symbol}: no quote")
        return found
