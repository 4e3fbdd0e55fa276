"""One life of the engine: the real session, core, journal and log, from a start to a kill or to the end.

Laws: an ended life has no effect any more: what it would still write, send or hear is dropped at the boundary, without an
exception, exactly as if the process had been killed there. What reaches the engine waits while a step costs time, in order.
"""

from __future__ import annotations

import math
import os
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Protocol

from msgspec.structs import replace
from tests.simulation.faults import Kill
from tests.simulation.loop import SECOND, SimClock, SimLoop, StuckError
from tests.simulation.schedule import Schedule

from tradeshell.core.inputs import Input, LinkChanged
from tradeshell.core.market import Bar, Instrument, Quote, Session
from tradeshell.core.orders import OrderSpec
from tradeshell.core.step import Core
from tradeshell.core.trade import leg_of
from tradeshell.engine.audit import Audit
from tradeshell.engine.crash import CrashFile
from tradeshell.engine.journal import Journal
from tradeshell.engine.recovery import recover
from tradeshell.engine.resumer import Resumer
from tradeshell.engine.session import Session as EngineSession
from tradeshell.ports import Broker, BrokerInfo, Handle, Record, Snapshot, WritesTogether
from tradeshell_breakout.strategy import Breakout
from tradeshell_jsonl_log.lines import encode, seal
from tradeshell_jsonl_log.writer import JsonlLog

BUSY = 1000  # steps in one second that no schedule gives a reason for


class Ears(Protocol):
    """Who is told what a life does at its boundaries."""

    def sent(self, action: str, ref: str, order_id: int) -> None:
        """Hear that an order command has left."""
        ...

    def killed(self, kill: Kill) -> None:
        """Hear that the life has ended."""
        ...


class _Journal(Journal):
    """The journal, whose writes end with the life."""

    life: Life

    def _write(self, line: bytes) -> None:
        life = getattr(self, "life", None)
        if life is None or life.passes("journal", "", lambda: self._tear(line)):
            super()._write(line)
            if life is not None:
                life.after_effect()

    def _tear(self, line: bytes) -> None:
        os.write(self._fd, self.life.torn(line))

    def drop(self) -> None:
        """Close without a word, as the kernel does for a killed process."""
        os.close(self._fd)


class _Log(JsonlLog):
    """The event log, whose lines end with the life and whose ``mono`` is the schedule's time."""

    life: Life
    slow = math.inf  # a busy computer is no slow disk of the schedule's

    def _append(self, records: Sequence[Record]) -> None:
        life = self.life
        for given in records:  # each is a boundary
            record = replace(given, mono=life.loop.micros / 1e6)
            if life.passes("audit", "", partial(self._tear, record)):
                super()._append((record,))
                life.logged(type(record.event).__name__)
                life.after_effect()

    def _tear(self, record: Record) -> None:
        os.write(self._fd, self.life.torn(seal(encode(record, self._seq + 1), self._chain)[0]))


class _LifeClock:
    """The schedule's clock for one life: its timers wait their turn behind other inputs, and die with it."""

    def __init__(self, clock: SimClock, life: Life) -> None:
        self._clock, self._life = clock, life
        self.now = clock.now

    def call_at(self, when: Any, callback: Callable[[], None]) -> Handle:
        """Call at ``when`` if the life lasts."""
        return self._clock.call_at(when, lambda: self._life.enter(callback))

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call before time moves if the life lasts."""
        self._clock.call_soon(lambda: self._life.enter(callback))


class Life:
    """One process of the program."""

    def __init__(
        self,
        number: int,
        schedule: Schedule,
        loop: SimLoop,
        clock: SimClock,
        broker: Broker,
        folder: Path,
        ears: Ears,
    ) -> None:
        self.number = number
        self.loop = loop
        self.alive = True
        self.steps = 0
        self.count: Counter[str] = Counter()
        self._ears = ears
        self.kills_on: dict[str, Kill] = {}
        self.passed: list[str] = []  # the boundaries, in order: journal, audit, send
        self._kill: Kill | None = None
        self._left = 0
        self._ending: Kill | None = None
        self._chance = Random(f"{schedule.seed}/life {number}")
        self._cost = schedule.step_cost
        self._busy_until = 0
        self._second = self._in_second = 0
        self._waiting: deque[tuple[Callable[..., None], tuple[Any, ...], bool]] = deque()
        self._clock = clock
        life_clock = _LifeClock(clock, self)
        self._log = _Log(folder / "events.jsonl")
        self._log.life = self
        audit = Audit(f"s{number}", clock.now)
        audit.add("jsonl", self._log.write)
        core = Core({"breakout": Breakout()})
        self.session = EngineSession(core, life_clock, None, audit, CrashFile(folder / "crash.log"))
        self.session.paper_only, self.session.live_account = schedule.is_paper, schedule.account
        self.found = recover(core, folder / "journal", "paper", clock.now())
        self.journal = _Journal(
            folder / "journal",
            f"s{number}",
            "paper",
            outlives_us=False,
            after=self.found.goes_on_after,
            before=self.found.session,
            over=self.found.over,
        )
        self.journal.life = self
        self.session.attach(Gate(self, broker, is_paper=schedule.is_paper), self.journal)
        self.resumer = Resumer(self.session, can_ask=False)

    # --- what comes in ------------------------------------------------------------------------------------------------

    def hear(self, event: Input) -> None:
        """Take an input from the venue."""
        self.enter(self._receive, event)

    def _receive(self, event: Input) -> None:
        now = self._clock.now()
        self.session.receive(event if event.at == now else replace(event, at=now))

    def hear_at_once(self, event: Input) -> None:
        """Take an input from a broker that runs on the engine's thread itself: nothing comes between."""
        if self.alive:
            self._run(self._receive, (event,))

    def enter(self, act: Callable[..., None], *args: Any, is_step: bool = True) -> None:
        """Do something on the engine's thread: now, or when it is no longer busy. Not a step: what costs no time of its own."""
        if not self.alive:
            return
        if self._waiting or self.loop.micros < self._busy_until:
            self._waiting.append((act, args, is_step))
            if len(self._waiting) == 1:
                self.loop.at(self._busy_until, self._catch_up)
        elif is_step:
            self._run(act, args)
        else:
            act(*args)

    def _catch_up(self) -> None:
        while self.alive and self._waiting and self.loop.micros >= self._busy_until:
            act, args, is_step = self._waiting.popleft()
            if is_step:
                self._run(act, args)
            else:
                act(*args)
        if self.alive and self._waiting:
            self.loop.at(self._busy_until, self._catch_up)

    def _run(self, act: Callable[..., None], args: tuple[Any, ...]) -> None:
        act(*args)
        self.steps += 1
        self._count_step(act)
        cost, stalls, stall = self._cost
        if stalls and self._chance.random() < stalls:
            cost += stall
        self._busy_until = max(self._busy_until, self.loop.micros) + cost

    def _count_step(self, act: Callable[..., None]) -> None:
        second = self.loop.micros // SECOND
        self._second, self._in_second = second, self._in_second + 1 if second == self._second else 1
        if self._in_second > BUSY:
            keys = sorted(self.session._timers)
            raise StuckError(f"more than {BUSY} steps of the engine in one second; timers {keys}")

    # --- where it may be killed ---------------------------------------------------------------------------------------

    def arm(self, kill: Kill) -> None:
        """Let the life end at the boundary that ``kill`` names."""
        self._kill, self._left = kill, kill.nth

    def logged(self, name: str) -> None:
        """Count an event that is on disk, and arm what waits for it."""
        self.count[name] += 1
        if name in self.kills_on:
            self.arm(self.kills_on.pop(name))

    def passes(self, kind: str, leg: str, tear: Callable[[], None] | None = None) -> bool:
        """Return whether something at a boundary takes effect; the life may end here."""
        if not self.alive:
            return False
        self.passed.append(kind)
        kill = self._kill
        if kill is None or kill.kind not in (kind, "any") or not leg.startswith(kill.leg):
            return True
        self._left -= 1
        if self._left > 0:
            return True
        if kill.where == "after":
            self._ending = kill
            return True
        if kill.where == "torn" and tear is not None:
            tear()
        self.end(kill)
        return False

    def torn(self, line: bytes) -> bytes:
        """Return what of a line is on disk when the life ends within it: one byte at least, and never all."""
        part = 0.5 if self._kill is None else self._kill.tear
        return line[: min(len(line) - 1, max(1, round(part * len(line))))]

    def after_effect(self) -> None:
        """End if the life was to end right after this."""
        if self._ending is not None:
            self.end(self._ending)

    def end(self, kill: Kill | None) -> None:
        """End: nothing that this life does takes effect any more."""
        if not self.alive:
            return
        self.alive = False
        self._waiting.clear()
        self.resumer.close()
        for task in tuple(self.session._tasks):
            task.cancel()
        self.journal.drop()
        self._log.close()
        if kill is not None:
            self._ears.killed(kill)

    def sent(self, action: str, ref: str, order_id: int) -> None:
        """Tell that an order command has left."""
        self._ears.sent(action, ref, order_id)


class Gate:
    """The broker port of one life: passes everything on while the life lasts, nothing afterwards."""

    def __init__(self, life: Life, broker: Broker, *, is_paper: bool) -> None:
        self._life, self._broker, self._is_paper = life, broker, is_paper

    def info(self) -> BrokerInfo:
        """Return who this is."""
        return replace(self._broker.info(), paper=self._is_paper)

    def together(self) -> AbstractContextManager[None]:
        """Return a context in which orders are written as one piece, if the broker has one."""
        broker = self._broker
        return broker.together() if isinstance(broker, WritesTogether) else nullcontext()

    async def connect(self) -> None:
        """Connect."""
        if self._life.alive:
            await self._broker.connect()

    async def disconnect(self) -> None:
        """Disconnect."""
        if self._life.alive:
            await self._broker.disconnect()

    async def qualify(self, symbol: str) -> Instrument:
        """Return the contract."""
        return await self._broker.qualify(symbol)

    def session(self, symbol: str, at: Any) -> Session | None:
        """Return the trading hours."""
        return self._broker.session(symbol, at)

    def first_order_id(self) -> int:
        """Return the lowest order number."""
        return self._broker.first_order_id()

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order."""
        self._send("place", order.ref, order_id, lambda: self._broker.place(order, order_id))

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send a changed order."""
        self._send("modify", order.ref, order_id, lambda: self._broker.modify(order, order_id))

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask to cancel."""
        self._send("cancel", ref, order_id, lambda: self._broker.cancel(ref, order_id))

    def _send(self, action: str, ref: str, order_id: int, send: Callable[[], None]) -> None:
        life = self._life
        if life.passes("send", leg_of(ref)):
            send()
            life.sent(action, ref, order_id)
            life.after_effect()

    async def snapshot_account(self) -> Snapshot:
        """Request a picture."""
        return await self._broker.snapshot_account()

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """Listen to bars."""
        return self._broker.subscribe(symbol, seconds, rth, lambda bar: self._life.enter(on_bar, bar))

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return past bars."""
        return await self._broker.history(symbol, seconds, count, rth)

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return a touch."""
        return await self._broker.snapshot(symbol, patience)

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Listen to touches."""
        if on_quote is None:
            return self._broker.subscribe_quotes(symbol)
        listener = on_quote
        return self._broker.subscribe_quotes(symbol, lambda quote: self._life.enter(listener, quote))

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch."""
        return self._broker.latest(symbol)


def as_live(event: Input, is_paper: bool) -> Input:
    """Return what a venue of paper says as a live one would say it."""
    return replace(event, paper=False) if isinstance(event, LinkChanged) and not is_paper else event
