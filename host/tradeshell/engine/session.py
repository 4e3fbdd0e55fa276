"""The session: input -> ``step`` -> record -> send -> outcome.

Laws, in this order for every input: the state changes (orders are in flight), the decision is on disk, the audit has it, the
bytes leave, the outcome comes back as an input. An input that changes nothing is not recorded. Nothing here decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections import deque
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

from tradeshell.core import commands as c
from tradeshell.core.desk import Desk
from tradeshell.core.events import EngineFault, Event, OrderSent, SinkMuted
from tradeshell.core.inputs import BarsRefused, Input, QuoteAnswered, SendFailed, SnapshotAnswered, TimerFired
from tradeshell.core.market import Quote
from tradeshell.core.orders import Side
from tradeshell.core.step import Core
from tradeshell.core.trade import leg_of
from tradeshell.engine.accounts import Accounts
from tradeshell.engine.audit import Audit
from tradeshell.engine.feeds import Feeds
from tradeshell.engine.journal import Journal
from tradeshell.errors import BrokerError, TradeshellError
from tradeshell.ports import Broker, Clock, Handle


class CrashFile:
    """Where tracebacks of our own defects go; never to the screen."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, error: BaseException, where: str) -> None:
        """Append one traceback; a disk that refuses is not made worse by a second error."""
        with contextlib.suppress(OSError), self.path.open("a", encoding="utf-8") as file:
            file.write(f"--- {where}\n{''.join(traceback.format_exception(error))}\n")


class Session:
    """Runs the core against one broker, on one loop."""

    def __init__(
        self,
        core: Core,
        clock: Clock,
        journal: Journal | None,
        audit: Audit,
        crashes: CrashFile | None = None,
    ) -> None:
        self.desk = Desk()
        self.audit = audit
        self.clock = clock
        self.accounts = Accounts()
        self.changed: list[Callable[[], None]] = []
        self._core = core
        self._journal = journal
        self._crashes = crashes
        self._inbox: deque[Input] = deque()
        self._draining = False
        self._timers: dict[str, Handle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.broker: Broker
        self.feeds: Feeds

    @property
    def journal_seq(self) -> int:
        """The number of the last decision on disk."""
        return 0 if self._journal is None else self._journal.written

    def attach(self, broker: Broker) -> None:
        """Use ``broker`` from now on; once, before the first input."""
        self.broker = broker
        self.feeds = Feeds(broker, self.submit, self.audit.tell, self.clock.now)

    def receive(self, event: Input) -> None:
        """Take an input from the broker, who knows accounts by their ids."""
        self.submit(self.accounts.to_core(event))

    def submit(self, event: Input) -> None:
        """Take an input; it is processed before this returns, unless another one is being processed: then right after it.

        Raises ``OperatorError`` for a request that the core refuses. A defect of ours drops the input that caused it, is told,
        and never stops the engine.
        """
        self._inbox.append(event)
        if self._draining:
            return
        self._draining = True
        try:
            while self._inbox:
                current = self._inbox.popleft()
                try:
                    self._process(current)
                except TradeshellError:
                    raise
                except Exception as error:  # noqa: BLE001  # our own defect: open risk must not die with it
                    self.report_fault(error, type(current).__name__)
        finally:
            self._draining = False

    def report_fault(self, error: BaseException, where: str) -> None:
        """Tell a defect in one line and keep its traceback in the crash file."""
        if self._crashes is not None:
            self._crashes.write(error, where)
        path = "" if self._crashes is None else f"; details in {self._crashes.path}"
        self.audit.tell(EngineFault(where=where, reason=f"{type(error).__name__}: {error}{path}"))

    def _process(self, event: Input) -> None:
        desk, commands = self._core.step(self.desk, event)
        if desk is self.desk and not commands:
            return
        self.desk = desk
        no_journal = self._record(event, commands)
        unsent: set[str] = set()
        for command in commands:
            if isinstance(command, c.Announce):
                self.audit.tell(command.event)
            elif isinstance(command, c.PlaceOrder):
                self._place(command, no_journal, unsent)
            else:
                self._execute(command)
        self.feeds.chase(desk.chased)
        for callback in self.changed:
            callback()

    def _record(self, event: Input, commands: tuple[c.Command, ...]) -> str:
        """Put the decision on disk; returns why that failed. Entries wait for the disk, protection does not."""
        if self._journal is None:
            return ""
        try:
            self._journal.append(event, commands)
        except OSError as error:
            reason = error.strerror or str(error)
            self.audit.tell(SinkMuted(sink="journal", reason=f"{reason}; entries are refused, exits go on"))
            return reason
        return ""

    def _place(self, command: c.PlaceOrder, no_journal: str, unsent: set[str]) -> None:
        """Send a new order, unless it would be an unrecorded entry or the child of an entry that did not leave."""
        order, order_id = command.order, command.order_id
        if no_journal and order.side is Side.BUY:
            reason = f"the journal cannot be written ({no_journal})"
        elif order.parent_ref in unsent:
            reason = "its entry was not sent"
        elif self._send(
            order.ref, order_id, "place", lambda: self.broker.place(self.accounts.to_broker(order), order_id)
        ):
            return
        else:
            reason = ""  # the failure was told where it happened
        unsent.add(order.ref)
        if reason:
            self._fail(order.ref, "place", reason, certain=True)

    def _execute(self, command: c.Command) -> None:
        match command:
            case c.ModifyOrder(order, order_id):
                self._send(
                    order.ref,
                    order_id,
                    "replace",
                    lambda: self.broker.modify(self.accounts.to_broker(order), order_id),
                )
            case c.CancelOrder(ref, order_id):
                self._send(ref, order_id, "cancel", lambda: self.broker.cancel(ref, order_id))
            case c.AskQuote():
                self._ask_quote(command)
            case c.WatchBars(key, symbol, seconds, rth):
                self._watch(key, symbol, seconds, rth=rth)
            case c.UnwatchBars(key):
                self.feeds.unwatch(key)
            case c.SetTimer(key, at):
                self._set_timer(key, at)
            case c.AskSnapshot(epoch):
                self._start(self._snapshot(epoch))

    def _send(self, ref: str, order_id: int, action: str, send: Callable[[], None]) -> bool:
        """Hand one command over; say whether it may have left."""
        try:
            send()
        except BrokerError as error:
            self._fail(ref, action, str(error), certain=True)
            return False
        except Exception as error:  # noqa: BLE001  # a client library may raise after bytes left: unknown
            self._fail(ref, action, f"{type(error).__name__}: {error}", certain=False)
            return True
        order = self.desk.order(ref)
        symbol = None if order is None else order.spec.symbol
        self.audit.tell(
            OrderSent(symbol=symbol, leg=leg_of(ref), order_ref=ref, order_id=order_id, action=action)
        )
        return True

    def _fail(self, ref: str, action: str, reason: str, *, certain: bool) -> None:
        self._inbox.append(
            SendFailed(at=self.clock.now(), ref=ref, action=action, reason=reason, certain=certain)
        )

    def _watch(self, key: str, symbol: str, seconds: int, *, rth: bool) -> None:
        try:
            self.feeds.watch(key, symbol, seconds, rth)
        except BrokerError as error:
            self._inbox.append(BarsRefused(at=self.clock.now(), key=key, reason=str(error)))

    def _set_timer(self, key: str, at: datetime) -> None:
        old = self._timers.pop(key, None)
        if old is not None:
            old.cancel()

        def due() -> None:
            self._timers.pop(key, None)
            self.submit(TimerFired(at=self.clock.now(), key=key))

        self._timers[key] = self.clock.call_at(at, due)

    def _ask_quote(self, ask: c.AskQuote) -> None:
        quote = self.broker.latest(ask.symbol)
        if quote is not None and quote.age(self.clock.now()) <= ask.max_age:
            self._answer(ask, quote)
        else:
            self._start(self._fetch_quote(ask))

    async def _fetch_quote(self, ask: c.AskQuote) -> None:
        quote = await self.broker.snapshot(ask.symbol, ask.patience)
        self._answer(ask, quote if quote is not None else self.broker.latest(ask.symbol))

    def _answer(self, ask: c.AskQuote, quote: Quote | None) -> None:
        now = self.clock.now()
        session = self.broker.session(ask.symbol, now)
        self.submit(QuoteAnswered(at=now, key=ask.key, quote=quote, session=session))

    async def _snapshot(self, epoch: int) -> None:
        try:
            found = await self.broker.snapshot_account()
        except BrokerError as error:
            self.audit.tell(
                SinkMuted(sink="reconciliation", reason=f"{error}; no entries until `connect` succeeds")
            )
            return
        self.submit(
            SnapshotAnswered(
                at=self.clock.now(),
                epoch=epoch,
                orders=found.orders,
                executions=tuple(self.accounts.execution(report) for report in found.executions),
                positions=tuple(self.accounts.position(report) for report in found.positions),
            )
        )

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tell(self, event: Event) -> None:
        """Announce an event that follows from no input (start, end)."""
        self.audit.tell(event)

    async def close(self) -> None:
        """End timers, tasks and subscriptions; orders stay where they are."""
        for handle in self._timers.values():
            handle.cancel()
        self._timers.clear()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.feeds.close()
