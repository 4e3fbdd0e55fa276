"""Rehearsals: what has to be quick when it comes is done before, on values that nobody keeps.

A decision that was not made for a while takes twice as long as one that was just made: the processor has neither the
program nor its data at hand. So the decision that may come next is made again and again while data come in: the entry of one
armed watcher after the other, and while an entry works, its fill with the exits that follow.

Laws: nothing leaves, nothing is written, nobody is told, no timer runs, no request is made; the desk that trades is read and
never replaced. No strategy is shown a bar that never was, no check of a plugin is asked. At most one rehearsal every ``EVERY``
seconds, and none while nothing is armed or the link is not open. A defect ends the rehearsals and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any

from tradeshell.core import inputs as i
from tradeshell.core.commands import Command
from tradeshell.core.desk import Desk, Watcher
from tradeshell.core.market import Bar, Quote, is_usable
from tradeshell.core.market import Session as Hours
from tradeshell.core.orders import Order, OrderSpec, OrderState
from tradeshell.core.step import Core
from tradeshell.core.strategy import Enter
from tradeshell.core.trade import TradePhase, entry_of
from tradeshell.core.watch import Reading
from tradeshell.engine.journal import decision
from tradeshell.engine.session import Session
from tradeshell.ports import Broker, Clock, Rehearses

EVERY = 0.020  # seconds
LOOKED_AT = (
    100  # watchers whose touch is looked at each time: about what an account has market data lines for
)


class Rehearsal:
    """Rehearses what one session may have to do next."""

    def __init__(self, session: Session, core: Core) -> None:
        self._session = session
        self._broker = session.broker
        self._dry = _Dry(session, core.with_checks(()))
        self._core = core.with_checks(())
        self._next = 0.0
        self._turn = 0
        self._desk: Desk | None = None
        self._armed: tuple[Watcher, ...] = ()
        self._entering: tuple[Order, ...] = ()
        self._touches: dict[str, Quote | None] = {}
        self._is_off = False

    def rehearse(self) -> None:
        """Rehearse one thing, if it is time for that."""
        now = time.monotonic()
        desk = self._session.desk
        if desk is not self._desk and not self._is_off:
            before = self._entering
            self._look_at(desk)
            if self._entering and self._entering != before:
                self._next = now  # its fill may come any moment
        if now < self._next or self._is_off or not desk.link.is_open:
            return
        self._next = now + EVERY
        self._turn += 1
        try:
            if self._entering:
                self._fill(self._entering[self._turn % len(self._entering)])
            elif self._armed:
                self._trigger(self._likeliest())
        except Exception as error:  # noqa: BLE001  # what only makes things quicker must not cost more than itself
            self._is_off = True
            self._session.report_fault(error, "a rehearsal; there are no more of them")

    def _look_at(self, desk: Desk) -> None:
        """Take note of what may come next."""
        self._desk = desk
        self._armed = tuple(desk.watchers[id_] for ids in desk.armed.values() for id_ in ids)
        found: list[Order] = []
        for id_, symbol in desk.active.items():
            trade = desk.books[symbol].trades.get(id_) if symbol in desk.books else None
            if trade is not None and trade.phase is TradePhase.ENTERING:
                order = entry_of(trade, desk.books[symbol].orders)
                if order is not None and order.remaining:
                    found.append(order)
        self._entering = tuple(found)

    def _likeliest(self) -> Watcher:
        """Return a watcher whose touch has moved since it was looked at, the next one in turn when none has."""
        found = self._armed[self._turn % len(self._armed)]
        for watcher in self._armed[:LOOKED_AT]:
            symbol = watcher.spec.plan.symbol
            quote = self._broker.latest(symbol)
            if quote is not self._touches.get(symbol):
                self._touches[symbol] = quote
                found = watcher
        return found

    def _trigger(self, watcher: Watcher) -> None:
        """Let a watcher enter at its level, or where the touch is."""
        plan, need, now = watcher.spec.plan, watcher.need, self._session.clock.now()
        quote = self._broker.latest(plan.symbol)
        price = plan.level if plan.level is not None or quote is None else quote.ask
        if price is None or not is_usable(price):
            return
        start = now - timedelta(seconds=need.seconds)
        bar = Bar(plan.symbol, start, need.seconds, price, price, price, price, 1)
        touch = Quote(symbol=plan.symbol, at=now, bid=price, ask=price)
        hours = self._broker.session(plan.symbol, now)
        closed = i.BarClosed(at=now, bar=bar, rth=need.rth, quote=touch, session=hours)
        dry = self._dry
        before = dry.begin(self._session.desk, touch)
        desk, commands = self._core.heed(before, closed, [Reading(watcher, watcher.state, (Enter(bar),))])
        dry.follow(before, closed, desk, commands)

    def _fill(self, order: Order) -> None:
        """Let an entry fill."""
        spec, now, desk = order.spec, self._session.clock.now(), self._session.desk
        known = desk.positions.get(spec.symbol)
        price = next((p for p in (spec.limit, spec.stop) if p is not None), None)
        if price is None:
            return
        dry = self._dry
        dry.begin(desk, Quote(symbol=spec.symbol, at=now, bid=price, ask=price))
        qty = order.remaining
        execution = i.ExecutionReport(
            exec_id=f"rehearsal.{self._turn}.01",
            ref=spec.ref,
            order_id=order.order_id,
            symbol=spec.symbol,
            account=spec.account,
            side=spec.side,
            qty=qty,
            price=price,
            at=now,
        )
        report = i.OrderReport(
            ref=spec.ref, order_id=order.order_id, state=OrderState.FILLED, filled=spec.qty, remaining=0
        )
        position = i.PositionReport(
            symbol=spec.symbol,
            con_id=spec.con_id,
            account=spec.account,
            qty=(0 if known is None else known.qty) + spec.side.sign * qty,
            average=price,
        )
        dry.submit(i.ExecutionReported(at=now, execution=execution))
        dry.submit(i.OrderReported(at=now, report=report))
        dry.submit(i.PositionReported(at=now, position=position))
        dry.forget()


class _Dry(Session):
    """A session to which nothing is real but the desk it is given."""

    def __init__(self, session: Session, core: Core) -> None:
        super().__init__(core, _NoTimers(session.clock), None, session.audit.stand_in())
        self.accounts = session.accounts
        self._stage = _Stage(session.broker)
        self.attach(self._stage)  # type: ignore[arg-type]  # of a broker it has what a decision needs

    def begin(self, desk: Desk, touch: Quote) -> Desk:
        """Stand where the real session stands, with a touch."""
        self.desk = desk
        self._stage.touch = touch
        return desk

    def follow(self, before: Desk, event: i.Input, desk: Desk, commands: tuple[Command, ...]) -> None:
        """Do what was decided, in vain."""
        self._follow(before, event, desk, commands)
        self.forget()

    def forget(self) -> None:
        """Drop what is left of a rehearsal."""
        self._later.clear()
        self._inbox.clear()
        self._has_changed = False
        self.audit.forget()
        self.desk = Desk()

    def _record(self, before: Desk, event: i.Input, commands: tuple[Command, ...]) -> str:
        del before
        decision(0, event, commands)
        return ""

    def _settle_down(self) -> None:
        self._has_changed = False
        self._later.clear()
        self.audit.keep()
        self.audit.forget()

    def _ask_snapshot(self, epoch: int) -> None:
        del epoch

    def _start(self, work: Coroutine[Any, Any, None]) -> Any:
        work.close()


class _NoTimers:
    """The session's clock, on which nothing is ever due."""

    def __init__(self, clock: Clock) -> None:
        self.now = clock.now

    def call_at(self, when: datetime, callback: Callable[[], None]) -> _Nothing:
        """Do nothing."""
        del when, callback
        return _Nothing()

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Do nothing."""
        del callback


class _Nothing:
    def cancel(self) -> None:
        """Do nothing."""


class _Stage:
    """A broker that orders never leave."""

    def __init__(self, broker: Broker) -> None:
        self.touch: Quote | None = None
        self.session: Callable[[str, datetime], Hours | None] = broker.session
        self._rehearse = broker.rehearse if isinstance(broker, Rehearses) else None

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Have the bytes made, if the broker can do that."""
        if self._rehearse is not None:
            self._rehearse(order, order_id)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Do nothing."""

    def cancel(self, ref: str, order_id: int) -> None:
        """Do nothing."""

    def together(self) -> AbstractContextManager[None]:
        """Do nothing."""
        return nullcontext()

    def latest(self, symbol: str) -> Quote | None:
        """Return the touch of the rehearsal."""
        del symbol
        return self.touch
