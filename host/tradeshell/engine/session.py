"""The session: input -> ``step`` -> record -> send -> outcome.

Laws, in this order for every input: the state changes (orders are in flight), the decision is on disk, the audit has it, the
bytes leave, the outcome comes back as an input. What no order waits for waits for the orders: timers, subscriptions, the screen
are served when no input is left. An input that changes nothing is not recorded. Nothing here decides. Whatever a broker, a disk
or a sink raises costs what it was asked for and nothing else; no entry leaves whose trigger is not on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, TypeVar

from msgspec.structs import replace

from tradeshell.core import commands as c
from tradeshell.core.desk import Desk
from tradeshell.core.events import (
    DataRejected,
    EngineFault,
    Event,
    OrderIntent,
    OrderSent,
    PictureFailed,
    ReconciliationFailed,
    SinkMuted,
)
from tradeshell.core.inputs import (
    BarClosed,
    BarsRefused,
    Input,
    LinkChanged,
    QuoteAnswered,
    Restarted,
    SendFailed,
    SnapshotAnswered,
    TimerFired,
)
from tradeshell.core.market import Quote
from tradeshell.core.market import Session as Hours
from tradeshell.core.orders import Side, parse_ref
from tradeshell.core.step import Core
from tradeshell.core.strategy import Enter
from tradeshell.core.trade import leg_of, watch_of
from tradeshell.core.watch import Reading
from tradeshell.differences import CompletedOrder, ShowsCompleted
from tradeshell.engine.accounts import Accounts, not_typed
from tradeshell.engine.audit import Audit
from tradeshell.engine.crash import CrashFile
from tradeshell.engine.feeds import Feeds
from tradeshell.engine.journal import Journal, NotSafe
from tradeshell.engine.reconciling import Reconciling
from tradeshell.errors import BrokerError, TradeshellError
from tradeshell.ports import Broker, Clock, Handle, WritesTogether

T = TypeVar("T")
SNAPSHOT_WITHIN = 5.0  # seconds in which orders, executions and positions are answered, or asked for again
COMPLETED_WITHIN = 2.0  # seconds in which orders that ended today are told, or done without
NO_PICTURE_EVERY = 15.0  # seconds between two lines about requests that fail
SNAPSHOT_EVERY = 0.25  # seconds between two requests on one connection
ORDER_COMMANDS = frozenset(c.ORDER_COMMANDS)
_NONE: set[str] = set()  # of no order
_ALONE = contextlib.nullcontext()


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
        self.paper_only = True
        self.live_account = ""  # the whole id of the live account that may be traded, as somebody typed it
        self.unconfirmed = ""  # that of a live account that was let go because nobody has
        self.haste = 1.0  # seconds of the loop in one of the computer's; answers of another process take the computer's
        self.changed: list[Callable[[], None]] = []
        self._core = core
        self._journal = journal
        self._crashes = crashes
        self._inbox: deque[Input] = deque()
        self._later: deque[c.Command] = deque()  # what waits until no input is left
        self._has_changed = False  # since that was told
        self._draining = False
        self._packet = _Packet(self._close_packet)
        self._timers: dict[str, Handle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Watchers and trades whose start or trigger is not on disk.
        self._unrecorded: frozenset[str] = frozenset()
        self._wanted = False  # a snapshot that was asked for and is not requested yet
        self._snapshots: asyncio.Task[None] | None = None
        self._snapshots_of = 0  # the epoch that they are requested for
        self._requested_at = -math.inf  # loop time of the last request on this connection
        self._no_picture_until = -math.inf  # loop time until when a failed request is not told again
        self.names: frozenset[str] = frozenset()  # refs in the last picture, ours or not
        self.reconciling: Reconciling | None = None
        self.unreconciled = ""  # why the last snapshot failed; "" while that is not known
        self.broker: Broker
        self._together: Callable[[], contextlib.AbstractContextManager[None]]
        self.feeds: Feeds

    @property
    def journal_seq(self) -> int:
        """The number of the last decision on disk."""
        return 0 if self._journal is None else self._journal.written

    @property
    def journal_name(self) -> str:
        """The name of the journal: the session that began it."""
        return "" if self._journal is None else self._journal.session

    def attach(self, broker: Broker, journal: Journal | None = None) -> None:
        """Use ``broker`` (and ``journal``) from now on; once, before the first input."""
        self._journal = self._journal if journal is None else journal
        self.broker = broker
        self._together = broker.together if isinstance(broker, WritesTogether) else contextlib.nullcontext
        self.feeds = Feeds(broker, self.submit, self.audit.tell, self.clock.now)

    def restart_from(self, desk: Desk) -> None:
        """Go on with a desk that the journal tells; before the first input, after ``attach``."""
        self.desk = desk
        self.submit(Restarted(at=self.clock.now()))

    def receive(self, event: Input) -> None:
        """Take an input from the broker, who knows accounts by their ids; nothing is raised back into the adapter."""
        try:
            self.submit(self.accounts.to_core(self._guarded(event)))
        except Exception as error:  # noqa: BLE001  # an input that makes no sense is dropped and told
            self.report_fault(error, type(event).__name__)

    def _guarded(self, event: Input) -> Input:
        """Refuse a live account that nobody allowed: the link counts as down before anything can be sent."""
        if not isinstance(event, LinkChanged) or not event.up or event.paper:
            return event
        why = "the account is live; PAPER_ONLY=false allows that"
        if not self.paper_only:
            if event.account == self.live_account:
                return event
            self.unconfirmed, why = event.account, not_typed(event.account)
        self._start(self.broker.disconnect())
        return replace(event, up=False, why=why)

    def submit(self, event: Input) -> None:
        """Take an input; it is processed before this returns, unless another one is being processed: then right after it.

        Raises the core's ``TradeshellError`` for a request that it refuses, after everything else was processed. A defect of
        ours drops the input that caused it, is told, and never stops the engine.
        """
        self._inbox.append(event)
        if not self._draining:
            self._drain(event)

    def packet(self) -> contextlib.AbstractContextManager[None]:
        """Return a context around inputs that come in one piece: what could wait waits until its end."""
        return self._packet

    def _close_packet(self) -> None:
        """Do what has waited, behind the last of several."""
        if self._packet.depth == 0 and not self._draining and self._has_changed:
            self._drain(None)

    def _drain(self, event: Input | None) -> None:
        """Process what is in the inbox, ``event`` and whatever follows from it; raises as ``submit`` does."""
        self._draining = True
        refusal: TradeshellError | None = None
        try:
            while self._inbox or (self._has_changed and not self._packet.depth):
                if not self._inbox:
                    self._settle_down()
                    continue
                current = self._inbox.popleft()
                try:
                    refused = self._process(current)
                    if refused is not None and current is not event:
                        raise refused  # nobody typed it: a defect
                    refusal = refusal or refused
                except Exception as error:  # noqa: BLE001  # our own defect: open risk must not die with it
                    self.report_fault(error, type(current).__name__)
        finally:
            self._draining = False
        if refusal is not None:
            raise refusal

    def report_fault(self, error: BaseException, where: str) -> None:
        """Tell a defect in one line and keep its traceback in the crash file."""
        if self._crashes is not None:
            self._crashes.write(error, where)
        path = "" if self._crashes is None else f"; details in {self._crashes.path}"
        self.audit.tell(EngineFault(where=where, reason=f"{type(error).__name__}: {error}{path}"))

    def _process(self, event: Input) -> TradeshellError | None:
        """Let the core decide and do what it says; returns the core's refusal of the input."""
        before = self.desk
        try:
            if type(event) is BarClosed:  # most bars end here
                readings = self._core.watchers.read_bar(before, event)
                if not readings:
                    return None
                if _asks_entry(readings):
                    event = self._with_touch(event)
                desk, commands = self._core.heed(before, event, readings)
            else:
                desk, commands = self._core.step(before, event)
        except TradeshellError as refusal:
            return refusal
        if desk is not before or commands:
            self._follow(before, event, desk, commands)
        return None

    def _follow(self, before: Desk, event: Input, desk: Desk, commands: tuple[c.Command, ...]) -> None:
        """Take a decision over: keep it, then do it."""
        self.desk = desk
        self._has_changed = True
        no_journal = self._record(before, event, commands)
        orders: list[c.Command] = []
        asks: list[c.Command] = []
        told: list[Event] = []
        intents = 0  # how much of it is told before the orders leave: up to the last intent
        for command in commands:
            kind = type(command)
            if kind is c.Announce:
                told.append(command.event)  # type: ignore[attr-defined]  # that is what it is
                if type(told[-1]) is OrderIntent:
                    intents = len(told)
            elif kind in ORDER_COMMANDS:
                orders.append(command)
            elif kind is c.AskQuote:
                asks.append(command)
            else:
                self._later.append(command)
        if orders:
            self.audit.hold(*told[:intents])
            self.audit.keep()
            self.audit.hold(*told[intents:])
            unsent: set[str] = set()
            with self._together() if len(orders) > 1 else _ALONE:
                for command in orders:
                    self._execute(command, no_journal, unsent)
        else:
            self.audit.hold(*told)
        for command in asks:  # now: an order may wait for the answer
            self._execute(command, no_journal, _NONE)

    def _settle_down(self) -> None:
        """Do what could wait."""
        self._has_changed = False
        self.audit.keep()
        if self._journal is not None:
            self._journal.sync_soon()
        later, self._later = self._later, deque()
        for command in later:
            self._execute(command, "", _NONE)
        try:
            self.feeds.chase(self.desk.chased)
            for callback in self.changed:
                callback()
        except Exception as error:  # noqa: BLE001  # our own defect, as above
            self.report_fault(error, "what follows a change")
        self.audit.show()

    def _record(self, before: Desk, event: Input, commands: tuple[c.Command, ...]) -> str:
        """Put the decision on disk; returns why that failed. Entries wait for the disk, protection does not."""
        if self._journal is None:
            return ""
        try:
            self._journal.append(event, commands)
        except Exception as error:  # noqa: BLE001  # what cannot be encoded is no more on disk than what does not fit
            self._unrecorded |= _begun(before, self.desk)
            reason = (isinstance(error, OSError) and error.strerror) or f"{type(error).__name__}: {error}"
            if isinstance(
                error, NotSafe
            ):  # it is written, and nobody knows whether it would outlive the computer
                reason = str(error)
            self.audit.tell(SinkMuted(sink="journal", reason=f"{reason}; entries are refused, exits go on"))
            return reason
        return ""

    def is_recorded(self, id_: str) -> bool:
        """Return whether the start and the trigger of a watcher or trade are on disk, as far as they happened."""
        return id_ not in self._unrecorded

    def _place(self, command: c.PlaceOrder, no_journal: str, unsent: set[str]) -> None:
        """Send a new order, unless it would be an unrecorded entry or the child of an entry that did not leave."""
        order, order_id = command.order, command.order_id
        parts = parse_ref(order.ref)
        if no_journal and order.side is Side.BUY:
            reason = f"the journal cannot be written ({no_journal})"
        elif order.side is Side.BUY and parts is not None and not self.is_recorded(parts.watch):
            reason = "what triggered it could not be written to the journal"
        elif order.side is Side.BUY and (trouble := self.audit.trouble):
            reason = f"it could not be written to the audit log: {trouble}"
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

    def _execute(self, command: c.Command, no_journal: str, unsent: set[str]) -> None:
        """Do one command; a defect on the way costs this one only."""
        try:
            self._do(command, no_journal, unsent)
        except Exception as error:  # noqa: BLE001  # the next command may be the stop of an open position
            self.report_fault(error, type(command).__name__)

    def _do(self, command: c.Command, no_journal: str, unsent: set[str]) -> None:
        match command:
            case c.PlaceOrder():
                self._place(command, no_journal, unsent)
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
                self._ask_snapshot(epoch)

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
        self.audit.hold(
            OrderSent(
                symbol=symbol,
                watch=watch_of(ref),
                leg=leg_of(ref),
                order_ref=ref,
                order_id=order_id,
                action=action,
            )
        )
        return True

    def _fail(self, ref: str, action: str, reason: str, *, certain: bool) -> None:
        self._inbox.append(
            SendFailed(at=self.clock.now(), ref=ref, action=action, reason=reason, certain=certain)
        )

    def _watch(self, key: str, symbol: str, seconds: int, *, rth: bool) -> None:
        try:
            self.feeds.watch(key, symbol, seconds, rth)
        except Exception as error:  # noqa: BLE001  # whatever the adapter raises: armed without bars is armed blind
            reason = str(error) if isinstance(error, BrokerError) else f"{type(error).__name__}: {error}"
            self._inbox.append(BarsRefused(at=self.clock.now(), key=key, reason=reason))

    def _set_timer(self, key: str, at: datetime) -> None:
        old = self._timers.pop(key, None)
        if old is not None:
            old.cancel()

        def due() -> None:
            self._timers.pop(key, None)
            self.submit(TimerFired(at=self.clock.now(), key=key))

        self._timers[key] = self.clock.call_at(at, due)

    def _ask_quote(self, ask: c.AskQuote) -> None:
        quote = self._latest(ask.symbol)
        if quote is not None and quote.age(self.clock.now()) <= ask.max_age:
            self._answer(ask, quote)
        else:
            self._start(self._fetch_quote(ask))

    async def _fetch_quote(self, ask: c.AskQuote) -> None:
        quote: Quote | None = None
        try:
            quote = await _asked(self.broker.snapshot(ask.symbol, ask.patience))
        except Exception as error:  # noqa: BLE001  # whatever the adapter raises: the attempt is waiting for an answer
            self._tell_no_data(ask.symbol, error)
        self._answer(ask, quote if quote is not None else self._latest(ask.symbol))

    def _answer(self, ask: c.AskQuote, quote: Quote | None) -> None:
        now = self.clock.now()
        session = self._hours(ask.symbol, now)
        self.submit(QuoteAnswered(at=now, key=ask.key, quote=quote, session=session))

    def _with_touch(self, closed: BarClosed) -> BarClosed:
        """Return a bar with the touch at hand: one decision instead of two, one record before the order."""
        symbol = closed.bar.symbol
        quote = self._latest(symbol)
        if quote is None:
            return closed
        return replace(closed, quote=quote, session=self._hours(symbol, closed.at))

    def _hours(self, symbol: str, at: datetime) -> Hours | None:
        try:
            return self.broker.session(symbol, at)
        except Exception as error:  # noqa: BLE001  # as above
            self._tell_no_data(symbol, error)
            return None

    def _latest(self, symbol: str) -> Quote | None:
        try:
            return self.broker.latest(symbol)
        except Exception as error:  # noqa: BLE001  # as above
            self._tell_no_data(symbol, error)
            return None

    def _tell_no_data(self, symbol: str, error: Exception) -> None:
        if isinstance(error, BrokerError):
            self.audit.tell(DataRejected(symbol=symbol, reason=str(error)))
        else:
            self.report_fault(error, f"market data of {symbol}")

    # --- orders, executions and positions as the broker has them ------------------------------------------------------

    def reconcile(self) -> None:
        """Request a snapshot on the present connection; ``unreconciled`` says when that failed."""
        self._ask_snapshot(self.desk.link.epoch)

    def _ask_snapshot(self, epoch: int) -> None:
        """Request a snapshot after now: the answer to an earlier request may not know what made us ask."""
        self._wanted, self.unreconciled = True, ""
        if self._snapshots is not None and not self._snapshots.done():
            if epoch == self._snapshots_of:
                return
            self._snapshots.cancel()  # of an earlier connection: nobody can use it, and it may never be answered
        if epoch != self._snapshots_of:
            self._snapshots_of, self._requested_at = epoch, -math.inf
        self._snapshots = self._start(self._take_snapshots(epoch))

    async def _take_snapshots(self, epoch: int) -> None:
        """Request one snapshot after the other, never two at a time, until none is wanted."""
        loop = asyncio.get_running_loop()
        while self._wanted:
            await asyncio.sleep(self._requested_at + SNAPSHOT_EVERY - loop.time())
            self._wanted, self._requested_at = False, loop.time()
            await self._snapshot(epoch)

    async def _completed(self) -> tuple[CompletedOrder, ...] | None:
        """Return the orders that ended today, ``None`` where the broker does not say: nothing waits for it but a comparison."""
        if not isinstance(self.broker, ShowsCompleted):
            return None
        try:
            async with asyncio.timeout(COMPLETED_WITHIN * self.haste):
                found = await _asked(self.broker.completed_orders())
        except Exception:  # noqa: BLE001  # whatever the adapter raises: the picture must not fail for it
            return None
        return tuple(replace(order, account=self.accounts.alias(order.account)) for order in found)

    async def _snapshot(self, epoch: int) -> None:
        before, reconciling = self.desk, self.reconciling
        is_compared = reconciling is not None and (not self.desk.link.reconciled or reconciling.is_asked)
        ended = asyncio.ensure_future(self._completed()) if is_compared else None  # asked beside the picture
        completed: tuple[CompletedOrder, ...] | None = None
        asked_at = self.clock.now()
        try:
            async with asyncio.timeout(SNAPSHOT_WITHIN * self.haste):
                found = await _asked(self.broker.snapshot_account())
            if ended is not None:
                completed = await ended
            answer = SnapshotAnswered(
                at=self.clock.now(),
                epoch=epoch,
                asked_at=asked_at,
                orders=found.orders,
                executions=tuple(self.accounts.execution(report) for report in found.executions),
                positions=tuple(self.accounts.position(report) for report in found.positions),
                others=tuple(
                    replace(order, account=self.accounts.alias(order.account))
                    for order in found.standing
                    if self.desk.order(order.key) is None
                ),
                elsewhere=tuple(self.accounts.position(report) for report in found.elsewhere),
                opens=not is_compared,
            )
        except Exception as error:  # noqa: BLE001  # whatever the adapter raises: without an answer no entry may leave
            if not isinstance(error, BrokerError | TimeoutError) and self._crashes is not None:
                self._crashes.write(error, "snapshot")
            reason = str(error) if isinstance(error, BrokerError) else f"{type(error).__name__}: {error}"
            if isinstance(error, TimeoutError):
                reason = f"not answered within {SNAPSHOT_WITHIN:g} s"
            self._tell_no_picture(reason)
            if not self._wanted:  # otherwise the next request decides
                self.unreconciled = reason
                for callback in self.changed:
                    callback()
            return
        finally:
            if ended is not None:
                ended.cancel()
        self._no_picture_until = -math.inf
        orders = (*(o.ref for o in answer.orders), *(o.ref for o in answer.others))
        self.names = frozenset((*orders, *(e.ref for e in answer.executions)))
        self.submit(answer)
        if is_compared and reconciling is not None and self.desk.link.epoch == epoch:
            self.submit(reconciling.compare(before, self.desk, answer, completed))
            for callback in self.changed:  # who asked for the comparison waits, also when it changed nothing
                callback()

    def _tell_no_picture(self, reason: str) -> None:
        """Tell that orders, executions and positions cannot be had: at once, and again only after a while."""
        now = asyncio.get_running_loop().time()
        if now >= self._no_picture_until:
            self._no_picture_until = now + NO_PICTURE_EVERY
            known = self.desk.link.reconciled
            self.audit.tell(PictureFailed(reason=reason) if known else ReconciliationFailed(reason=reason))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

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


class _Packet:
    """Around what has come in one piece; one for all of them. ``depth``: how many are not dealt with yet."""

    __slots__ = ("_close", "depth")

    def __init__(self, close: Callable[[], None]) -> None:
        self._close, self.depth = close, 0

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        self._close()


async def _asked(answer: Awaitable[T]) -> T:
    """Await a broker's answer. A request that the adapter itself cancels (its link is gone) has failed; it is not our end."""
    try:
        return await answer
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerError("the broker's adapter gave the request up") from None


def _asks_entry(readings: list[Reading]) -> bool:
    """Return whether a bar makes a strategy ask for its entry: then the touch decides."""
    return any(type(wish) is Enter for reading in readings for wish in reading.wishes)


def _begun(before: Desk, after: Desk) -> frozenset[str]:
    """Return the watchers and trades that one step started or fired."""
    fired = (
        id_
        for id_, watcher in after.watchers.items()
        if id_ not in before.watchers or watcher.fired is not before.watchers[id_].fired
    )
    return frozenset((*fired, *(after.trade_symbols.keys() - before.trade_symbols.keys())))
