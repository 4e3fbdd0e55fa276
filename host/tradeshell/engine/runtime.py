"""The engine's thread: one loop, one broker, one session; and how the main thread talks to it.

Laws: everything about trading runs on the loop; the main thread asks with a bound and reads immutable pictures; the engine never
prints and never waits for the shell. What was opened is closed, in reverse, whatever happens.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import gc
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from tradeshell.core.checks import PreTradeCheck
from tradeshell.core.data_events import LogFailed
from tradeshell.core.desk import Desk
from tradeshell.core.events import Event, SessionEnded, SessionStarted, SinkMuted
from tradeshell.core.inputs import PolicySet, StopEntryRequested
from tradeshell.core.policy import Policy
from tradeshell.core.step import Core
from tradeshell.core.strategy import Strategy
from tradeshell.core.upkeep_events import EngineEnded
from tradeshell.differences import Reconciler
from tradeshell.engine.audit import Audit
from tradeshell.engine.clock import LoopClock, Pace, VenueLoop, WallClock
from tradeshell.engine.crash import CrashFile
from tradeshell.engine.healer import Healer
from tradeshell.engine.journal import Journal
from tradeshell.engine.logs import Logs
from tradeshell.engine.reconciling import Reconciling
from tradeshell.engine.recovery import Recovered, disagreement, left_waiting, recover, take_up
from tradeshell.engine.resumer import Resumer
from tradeshell.engine.session import Session
from tradeshell.engine.state import Saved, snapshot
from tradeshell.engine.store import SAVE_EVERY, SAVE_EVERY_EMBEDDED, Keeper, set_aside
from tradeshell.engine.watchdog import Watchdog
from tradeshell.errors import BrokerError, PluginError, TradeshellError
from tradeshell.ports import (
    Broker,
    BrokerContext,
    BrokerOffer,
    Record,
    Sink,
    SinkContext,
    SinkOpener,
    VenueOptions,
)
from tradeshell.upkeep import BarHealthSettings, KeepsTime, LogFile, LogSettings

T = TypeVar("T")
NOT_RUNNING = "the engine is not running any more; leave with `quit` and start again"
START_TIMEOUT = 120.0  # seconds of real time: a large replay is read and checked before the clock starts
CALL_TIMEOUT = 10.0
POLL = 0.05
# Seconds that another thread (a command, the state file) may keep Python's lock while the loop waits for it at one of its writes;
# Python's own 5 ms, several times on the way of one order, would be the longest part of it.
SWITCH_EVERY = 0.0001
LOOK_EVERY = 30.0  # seconds between pictures of a broker that outlives the program, while orders work


class Unanswered(TradeshellError):
    """The engine or the broker did not answer in time; what was asked may still happen."""


class Plan(Struct, frozen=True, kw_only=True):
    """What the engine runs."""

    session: str
    version: str
    broker_name: str
    broker: BrokerOffer
    broker_settings: dict[str, Any]
    options: VenueOptions
    strategies: dict[str, Strategy]
    sinks: dict[str, tuple[SinkOpener, SinkContext]]
    state_dir: Path
    checks: tuple[PreTradeCheck, ...] = ()
    reconcilers: Mapping[str, Reconciler] = field(default_factory=dict)
    policy: Policy = Policy()
    bar_health: BarHealthSettings = BarHealthSettings()
    logs: LogSettings = LogSettings()
    stopped: str = ""  # why entries were off when the session before ended: they still are
    audit_fsync: bool = False
    paper_only: bool = True
    live_account: str = ""
    hold_between_commands: bool = False
    pace: Pace | None = None
    can_ask: bool = False  # somebody sits at a terminal
    saved: Saved | None = None  # the snapshot of the session before
    doubt: str = ""  # why its watchers are asked about, whatever the journal says


class Engine:
    """Owns the thread. ``start`` and ``stop`` are called once each, from the main thread."""

    def __init__(self, plan: Plan, screen: Sink | None = None) -> None:
        self._plan = plan
        self._screen = screen
        self._stop = asyncio.Event()
        self._started: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._switched_every = sys.getswitchinterval()
        self.idle: Callable[[str, float], None] = _say_nothing  # what is waited for, and how long (s) already
        self.has_ended = False  # by itself
        self._watchdog: Watchdog | None = None
        self.notes: tuple[str, ...] = ()
        self.logs = Logs()
        self._keeper: Keeper
        self.healer: Healer
        self.resumer: Resumer
        self.loop: asyncio.AbstractEventLoop
        self.session: Session
        self.broker: Broker

    @property
    def plan(self) -> Plan:
        """What this engine was built from."""
        return self._plan

    @property
    def venue_loop(self) -> VenueLoop | None:
        """The venue's loop, or ``None`` on the wall clock."""
        return self.loop if isinstance(self.loop, VenueLoop) else None

    def start(self) -> None:
        """Start the thread, open the broker and the sinks; raises ``TradeshellError`` with one line when that fails."""
        sys.setswitchinterval(SWITCH_EVERY)
        self._thread.start()
        self._await(self._started, START_TIMEOUT, "the engine did not start")
        self._watchdog = Watchdog(
            self._thread,
            self.loop,
            tell=self.session.tell,
            alarm=self._alarm,
            crashes=self._plan.state_dir / "crash.log",
            is_embedded=self._plan.broker.own_clock or self._plan.pace is not None,
            packages=_packages(self._plan),
            held_up=self._held_up,
        )
        self._watchdog.start()

    def _held_up(self) -> None:
        """A plugin held the engine up for long: it would again, and what is bought then has no stop meanwhile."""
        if not self.session.desk.stopped:
            self.session.submit(StopEntryRequested(at=self.session.clock.now(), on=True))

    def stop(self) -> None:
        """Close everything that was opened; safe to call twice."""
        if self._watchdog is not None:
            self._watchdog.close()
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError, AttributeError):  # the loop has just ended, or never began
                self.loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(10)
        sys.setswitchinterval(self._switched_every)

    def call(
        self, work: Coroutine[Any, Any, T], timeout: float | None = CALL_TIMEOUT, what: str = "the engine"
    ) -> T:
        """Run ``work`` on the loop and return its result; ``timeout`` in real seconds, ``None`` waits for ever.

        Ctrl-C leaves the call, never the engine.
        """
        if not self._thread.is_alive():
            work.close()
            raise TradeshellError(NOT_RUNNING)
        return self._await(
            asyncio.run_coroutine_threadsafe(work, self.loop), timeout, f"{what} did not answer", what
        )

    def _await(
        self, future: concurrent.futures.Future[T], timeout: float | None, words: str, what: str = "the start"
    ) -> T:
        waited = 0.0
        try:
            while True:
                try:
                    return future.result(POLL)
                except concurrent.futures.TimeoutError:
                    if future.done():  # it came just now, or this is its own time-out
                        return future.result()
                    if not self._thread.is_alive() and not future.done():  # nobody is left to answer
                        raise TradeshellError(NOT_RUNNING) from None
                    self.idle(what, waited)
                    waited += POLL
                    if timeout is not None and waited >= timeout:
                        raise Unanswered(f"{words} within {timeout:g} s") from None
        except concurrent.futures.CancelledError:  # the loop ends, or an adapter gave up what it was asked
            self._thread.join(1.0)
            if not self._thread.is_alive():
                raise TradeshellError(NOT_RUNNING) from None
            raise Unanswered(f"{words}: the request was given up") from None
        except BaseException:
            future.cancel()
            raise

    def _run(self) -> None:
        plan = self._plan
        if plan.broker.own_clock:
            self.loop = VenueLoop(plan.options.speed)
        else:
            self.loop = asyncio.new_event_loop() if plan.pace is None else VenueLoop(plan.pace.speed)
        asyncio.set_event_loop(self.loop)
        # The runner ends what is still under way, ``_main`` too, when something ends the loop from inside.
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            try:
                runner.run(self._main())
            except BaseException as error:  # noqa: BLE001  # SystemExit of a plugin's callback: the main thread notices
                CrashFile(self._plan.state_dir / "crash.log").write(error, "the engine's end")
                if not self._started.done():
                    self._started.set_exception(BrokerError(f"the engine did not start: {_one_line(error)}"))

    async def _main(self) -> None:
        with ExitStack() as opened:
            try:
                self._open(opened)
                await self._connect()
            except TradeshellError as error:
                self._started.set_exception(error)
                return
            except BaseException as error:  # noqa: BLE001  # a broker plugin may raise anything while it opens, SystemExit too
                self._started.set_exception(
                    BrokerError(f"broker {self._plan.broker_name} cannot be opened: {_one_line(error)}")
                )
                return
            gc.freeze()  # what start-up made stays; collections while trading are then short
            self._started.set_result(None)
            await self._stop.wait()
            self.session.tell(SessionEnded(reason="quit"))
            await self.session.close()

    def _open(self, opened: ExitStack) -> None:
        plan, loop = self._plan, self.loop
        clock = LoopClock(loop) if isinstance(loop, VenueLoop) else WallClock(loop)
        venue = clock if plan.broker.own_clock and isinstance(clock, LoopClock) else None
        if plan.pace is not None and isinstance(clock, LoopClock):
            clock.start_at(plan.pace.start)
        audit = Audit(plan.session, clock.now)
        for name, (opener, settings) in plan.sinks.items():
            try:
                sink = opened.enter_context(opener(replace(settings, tell=self._tell_of_sink)))
                audit.add(name, sink)
                self.notes = (*self.notes, *getattr(sink, "notes", ()))
            except TradeshellError as error:  # trading goes on without it; `status` and this line say so
                self.notes = (*self.notes, f"sink {name} is off: {error}")
            except BaseException as error:  # noqa: BLE001  # a defect of the plugin, SystemExit too: without it nobody would know
                raise PluginError(f"sink {name} cannot be opened: {_one_line(error)}") from None
        if self._screen is not None:
            audit.add("screen", self._screen, shows=True)
        core = Core(plan.strategies, plan.checks)
        self.session = Session(core, clock, None, audit, CrashFile(plan.state_dir / "crash.log"))
        self.session.paper_only, self.session.live_account = plan.paper_only, plan.live_account
        self.session.haste = 1.0 if plan.pace is None else plan.pace.speed
        alias = self.session.accounts.alias
        opened.enter_context(
            self.logs.opened(plan.logs, plan.state_dir, alias, self._complain_of_log, clock.now)
        )
        self.notes = (*self.notes, *self.logs.notes)
        audit.add("ops", self.logs.sink, shows=True)
        self.healer = Healer(self.session, plan.bar_health)
        opened.callback(self.healer.close)
        loop.set_exception_handler(self._loop_fault)
        context = BrokerContext(
            emit=self.session.receive,
            clock=clock,
            venue_clock=venue,
            options=plan.options,
            settings=plan.broker_settings,
            state_dir=plan.state_dir,
            stream_news=self.healer.hear,
            wire=self.logs.wire,
            packet=self.session.packet,
        )
        self.broker = opened.enter_context(plan.broker.open(context))
        # Only now: a start that fails must leave the records of the session before as they are.
        path = plan.state_dir / "journal"
        found = recover(core, path, plan.broker_name, clock.now()) if venue is None else Recovered(Desk())
        self.notes = (*self.notes, *found.notes)
        if found.why_not:
            self.notes = (*self.notes, f"the journal as it was is {set_aside(path, 'damaged').name}")
        journal = Journal(
            path,
            found.session if found.goes_on_after else plan.session,
            plan.broker_name,
            fsync=plan.audit_fsync,
            outlives_us=venue is None,
            after=found.goes_on_after,
            before=found.session,
            over=found.over,
        )
        opened.callback(journal.close)
        self.session.attach(self.broker, journal)
        if plan.reconcilers:
            self.session.reconciling = Reconciling(
                plan.reconcilers, self.session.tell, self.session.report_fault
            )
        self.healer.start()
        take_up(self.session, found)
        self._take_what_is_left(found, is_embedded=venue is not None)
        self._keeper = keeper = Keeper(
            plan.state_dir / "state.toml",
            self._picture,
            self._complain,
            every=SAVE_EVERY if venue is None else SAVE_EVERY_EMBEDDED,
        )
        opened.callback(keeper.close)
        self.session.changed.append(keeper.touch)
        self.session.tell(SessionStarted(version=plan.version, broker=plan.broker_name))
        # Before anything can trigger: the broker has not been connected yet.
        policy = replace(plan.policy, look_every=LOOK_EVERY if venue is None else None)
        self.session.submit(PolicySet(at=clock.now(), policy=policy))
        if plan.stopped:
            self.session.submit(StopEntryRequested(at=clock.now(), on=True, reason=plan.stopped))
        self.resumer = Resumer(self.session, can_ask=plan.can_ask)
        opened.callback(self.resumer.close)
        self.resumer.start()

    def _take_what_is_left(self, found: Recovered, *, is_embedded: bool) -> None:
        """Take up what a snapshot holds and no journal: watchers, to be asked about; stop entries where the two contradict."""
        plan, now = self._plan, self.session.clock.now()
        if is_embedded:
            differs = ""
            doubt = "the venue that it watched ended with the program"
        else:
            differs = disagreement(plan.saved, found, plan.broker_name)
            doubt = differs or plan.doubt or found.why_not or "the journal does not know it"
        if differs:
            self.notes = (*self.notes, f"state: {differs} · entries are stopped; `stopentry off` lifts that")
            self.session.submit(StopEntryRequested(at=now, on=True, reason=differs))
        if plan.saved is not None and plan.saved.broker != plan.broker_name:
            return  # another broker's; its words stay in the generation before
        for each in left_waiting(plan.saved, found, doubt, now):
            self.session.submit(each)

    def _alarm(self, event: Event) -> None:
        """Show what the engine cannot tell any more; on the watchdog's thread."""
        self.has_ended = self.has_ended or isinstance(event, EngineEnded)
        if self._screen is not None:
            self._screen(
                Record(
                    v=1,
                    seq=0,
                    ts=datetime.now(UTC),
                    mono=time.monotonic(),
                    session=self._plan.session,
                    event=event,
                )
            )

    def keep(self) -> bool:
        """Save the state before returning, on the caller's thread; say whether that worked."""
        return self._keeper.save_now()

    def _picture(self) -> Saved:
        """Return what is saved; on the keeper's thread."""
        written = self.session.journal_seq  # before the desk: what is on disk by now has changed it already
        return snapshot(
            self.session.desk,
            session=self.session.journal_name,
            broker=self._plan.broker_name,
            journal_seq=written,
        )

    def _tell_of_sink(self, event: Event) -> None:
        """Announce an event of a sink's own; on any thread, and in the loop's next turn: its records come in their order."""
        with contextlib.suppress(RuntimeError):  # as below
            self.loop.call_soon_threadsafe(lambda: self.session.tell(event))

    def _complain(self, words: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may have ended just now
            self.loop.call_soon_threadsafe(self.session.tell, SinkMuted(sink="state", reason=words))

    def _complain_of_log(self, log: str, words: str) -> None:
        with contextlib.suppress(RuntimeError):  # as above; asked on the log's own thread
            self.loop.call_soon_threadsafe(self.session.tell, LogFailed(log=log, reason=words))

    def log_files(self) -> tuple[LogFile, ...]:
        """Return the logs that `tail` can show."""
        return (*self.logs.files(), self.session.audit.log_file())

    def _loop_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        del loop
        error = context.get("exception")
        fault = error if isinstance(error, BaseException) else RuntimeError(str(context.get("message")))
        self.session.report_fault(fault, "a callback of the engine")

    async def _connect(self) -> None:
        """Connect; a broker out of reach is a note, not the end: the shell starts and `connect` tries again."""
        loop, pace = self.loop, self._plan.pace
        if isinstance(loop, VenueLoop) and (self._plan.hold_between_commands or pace is not None):
            loop.hold()
        try:
            await self.broker.connect()
        except BrokerError as error:
            self.notes = (*self.notes, str(error))
        if isinstance(loop, VenueLoop) and pace is not None:
            await self._join(loop)
        for _ in range(20):  # the first snapshot of an in-process venue needs turns of the loop, not time
            await asyncio.sleep(0)

    async def _join(self, loop: VenueLoop) -> None:
        """Take the other side's time, which is told in whole seconds, and let ours flow from there."""
        if isinstance(self.broker, KeepsTime):
            with contextlib.suppress(BrokerError):
                loop.move_to((await self.broker.broker_time()).timestamp() + 1.0)
        loop.release()


def _say_nothing(what: str, waited: float) -> None:
    """Wait in silence."""
    del what, waited


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _packages(plan: Plan) -> frozenset[str]:
    """Return the packages of the plugins whose code runs on the engine's loop, the broker's included."""
    called: list[object] = [
        plan.broker.open,
        *(check.check for check in plan.checks),
        *plan.reconcilers.values(),
    ]
    called += (opener for opener, _ in plan.sinks.values())
    called += (type(strategy) for strategy in plan.strategies.values())
    names = (getattr(each, "__module__", None) or type(each).__module__ for each in called)
    return frozenset(name.partition(".")[0] for name in names) - {"tradeshell", "builtins", "functools"}
