"""A session on the venue's clock with a broker that only does what the test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.core.support import AAPL, ACCOUNT, OPEN, SESSION

from tradeshell.core import inputs as i
from tradeshell.core.market import Bar, Instrument, Quote, Session
from tradeshell.core.orders import OrderSpec
from tradeshell.core.step import Core
from tradeshell.engine.audit import Audit
from tradeshell.engine.clock import LoopClock, VenueLoop
from tradeshell.engine.crash import CrashFile
from tradeshell.engine.journal import Journal
from tradeshell.engine.session import Session as EngineSession
from tradeshell.ports import BrokerInfo, Handle, Record, Snapshot
from tradeshell_breakout.strategy import Breakout

T = TypeVar("T")


class Nothing:
    """A handle that records its cancel."""

    def __init__(self, cancelled: list[str], name: str) -> None:
        self._cancelled, self._name = cancelled, name

    def cancel(self) -> None:
        """Record it."""
        self._cancelled.append(self._name)


class QuietBroker:
    """Takes orders and says nothing; ``sent`` is what it got, ``fail`` what it raises."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, int]] = []
        self.cancelled: list[str] = []
        self.listeners: dict[tuple[str, int, bool], Callable[[Bar], None]] = {}
        self.quotes: dict[str, Quote] = {}
        self.fail: Exception | None = None
        self.positions: tuple[i.PositionReport, ...] = ()
        self.before_send: Callable[[str], None] = lambda ref: None

    def info(self) -> BrokerInfo:
        """Return who this is."""
        return BrokerInfo(name="quiet", account=ACCOUNT, paper=True, words="a test")

    async def connect(self) -> None:
        """Do nothing."""

    async def disconnect(self) -> None:
        """Do nothing."""

    async def qualify(self, symbol: str) -> Instrument:
        """Return AAPL."""
        del symbol
        return AAPL

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the test's session."""
        del symbol, at
        return SESSION

    def first_order_id(self) -> int:
        """Return 1."""
        return 1

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Record it."""
        self._take("place", order.ref, order_id)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Record it."""
        self._take("modify", order.ref, order_id)

    def cancel(self, ref: str, order_id: int) -> None:
        """Record it."""
        self._take("cancel", ref, order_id)

    def _take(self, action: str, ref: str, order_id: int) -> None:
        self.before_send(ref)
        if self.fail is not None:
            raise self.fail
        self.sent.append((action, ref, order_id))

    async def snapshot_account(self) -> Snapshot:
        """Return an empty account."""
        return Snapshot(orders=(), executions=(), positions=self.positions)

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        """Keep the listener."""
        self.listeners[symbol, seconds, rth] = on_bar
        return Nothing(self.cancelled, f"bars {symbol} {seconds}")

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return nothing."""
        del symbol, seconds, count, rth
        return ()

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Wait in vain."""
        await asyncio.sleep(patience)
        return self.quotes.get(symbol)

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Handle:
        """Take note."""
        return Nothing(self.cancelled, f"quotes {symbol} {on_quote is not None}")

    def latest(self, symbol: str) -> Quote | None:
        """Return what the test put there."""
        return self.quotes.get(symbol)


class Stage:
    """A whole session for one test."""

    def __init__(self, folder: Path) -> None:
        self.loop = VenueLoop()
        clock = LoopClock(self.loop)
        clock.start_at(OPEN)
        self.clock = clock
        self.records: list[Record] = []
        self.journal = Journal(folder / "journal", "test", "quiet")
        audit = Audit("test", clock.now)
        audit.add("list", self.records.append)
        self.session = EngineSession(
            Core({"breakout": Breakout()}), clock, self.journal, audit, CrashFile(folder / "crash.log")
        )
        self.broker = QuietBroker()
        self.session.attach(self.broker)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` on the venue's time."""
        return self.loop.run_until_complete(work)

    def connect(self) -> None:
        """Bring the link up and let the empty account be read."""
        self.submit(i.LinkChanged(at=self.clock.now(), up=True, account=ACCOUNT, paper=True))
        self.run(asyncio.sleep(0.1))

    def submit(self, event: i.Input) -> None:
        """Submit on the loop, as everything is."""
        self.inside(lambda: self.session.submit(event))

    def deliver(self, bar: Bar) -> None:
        """Deliver a one-minute bar to the stream's listener."""
        self.inside(lambda: self.broker.listeners[bar.symbol, 60, True](bar))

    def inside(self, act: Callable[[], None]) -> None:
        """Run ``act`` on the loop."""

        async def work() -> None:
            act()

        self.run(work())

    def names(self) -> list[str]:
        """Return the names of everything announced."""
        return [type(record.event).__name__ for record in self.records]

    def close(self) -> None:
        """Close everything."""
        self.run(self.session.close())
        self.journal.close()
        self.loop.close()
