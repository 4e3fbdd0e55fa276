"""A shell on the real core without an engine: the broker answers in the same instant, time is the test's."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.core.support import AAPL, ENTRY, Desktop, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import Event
from tradeshell.core.market import Bar, Instrument, Price, Quote, Session, Shares
from tradeshell.core.orders import OrderState
from tradeshell.core.plan import TradePlan
from tradeshell.core.targets import Target
from tradeshell.core.trade import first_leg
from tradeshell.differences import Difference
from tradeshell.engine.accounts import not_typed
from tradeshell.errors import BrokerError, OperatorError
from tradeshell.grammar import Command
from tradeshell.ports import BrokerInfo, Defaults, PluginReport, Record, Sink, View
from tradeshell.shell.app import TradeShell
from tradeshell.shell.commands import BUILTIN_COMMANDS
from tradeshell.shell.pump import EventPump
from tradeshell.testing.outcome import Runner
from tradeshell.upkeep import BlindStream, Finding, LogFile, Margin
from tradeshell.words import masked

ACCOUNT = "DU1230001"
PAPER = BrokerInfo(name="paper", account=ACCOUNT, paper=True, words="paper venue", embedded=True)
LIVE = BrokerInfo(name="ibkr", account="U7654321", paper=False, words="Interactive Brokers")
WHEN = datetime(2025, 7, 8, 13, 42, tzinfo=UTC)  # 09:42 in New York


def record(event: Event, seq: int = 1, at: datetime = WHEN) -> Record:
    """Return an event in its envelope."""
    return Record(v=1, seq=seq, ts=at, mono=float(seq), session="s", event=event)


class Line(Event, frozen=True, kw_only=True):
    """An event that tells whatever a test wants."""

    words: str
    tag: str = "line"

    def label(self) -> str:
        return self.tag

    def story(self) -> str | None:
        return self.words


class FakeTrading:
    """``Trading`` over a core driven by hand. Orders are acknowledged at once; ``fill`` executes them."""

    def __init__(self, pump: EventPump, broker: BrokerInfo = PAPER) -> None:
        self.defaults = Defaults()
        self.pump = pump
        self.broker = broker
        self.desktop = Desktop()
        self.quotes: dict[str, Quote] = {"AAPL": quote(self.desktop.at)}
        self.bars: tuple[Bar, ...] = ()
        self.symbols: tuple[str, ...] = ("AAPL", "MSFT")
        self.replaying = False
        self.reports: tuple[PluginReport, ...] = ()
        self.findings: tuple[Finding, ...] = ()
        self.differences: tuple[Difference, ...] = ()
        self.blind: tuple[BlindStream, ...] = ()
        self.blocked = False
        self.logs: tuple[LogFile, ...] = ()
        self.fail: BaseException | None = None
        self.asked: list[tuple[Any, ...]] = []
        self.over = threading.Event()  # what ``wait`` waits for
        self.on_wait: Callable[[], None] = lambda: None
        self.is_kept = True  # the disk takes the state
        self.margin: Margin | None = None
        self.waits_for_id = ""  # of the live account that is not traded yet
        self.becomes_flat = True
        self._seq = 0
        self._trades = 0

    # --- what a test does ---------------------------------------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Announce an event as the engine does."""
        self._seq += 1
        self.pump.post(record(event, self._seq, self.desktop.at))

    def announce(self) -> None:
        """Announce what the last input caused."""
        for command in self.desktop.last:
            if isinstance(command, c.Announce):
                self.post(command.event)

    def hold_position(self) -> None:
        """Let a breakout enter 100 AAPL at 190.15 with a target at 195 and a stop at 187."""
        self.desktop.open_position()
        self.quotes["AAPL"] = quote(self.desktop.at, "191.10", "191.15")

    # --- Trading ------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        return View(
            now=self.desktop.at,
            desk=self.desktop.desk,
            broker=self.broker,
            quotes=self.quotes,
            symbols=self.symbols,
            replaying=self.replaying,
            blind=self.blind,
            blocked=self.blocked,
            logs=self.logs,
            take_profits=(("auto", "earlier highs"),),
            unconfirmed=masked(self.waits_for_id),
        )

    def glance(self) -> View | None:
        return self.view()

    def equity(self) -> Price:
        self._may_fail()
        return Decimal(100_000)

    def instrument(self, symbol: str) -> Instrument:
        self._may_fail()
        if symbol == "NONE":
            raise BrokerError("NONE: no such contract")
        return AAPL if symbol == "AAPL" else Instrument(symbol=symbol, con_id=abs(hash(symbol)) % 10**6 + 1)

    def quote(self, symbol: str) -> Quote | None:
        self._may_fail()
        return self.quotes.get(symbol)

    def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        self._may_fail()
        self.asked.append(("history", symbol, seconds, count, rth))
        return self.bars[-count:]

    def session(self, symbol: str) -> Session | None:
        raise AssertionError("no command asks for hours")

    def take_profits(
        self, method: str, symbol: str, level: Price, count: int, rth: bool, sl: Price | None = None
    ) -> tuple[Target, ...]:
        self._may_fail()
        self.asked.append(("targets", method, symbol, level, count, rth, sl))
        if method != "auto":
            raise OperatorError(f"tp={method}: no such method")
        return tuple(
            Target(price=level + 2 * n, why=f"{n} highs {level + 2 * n} · 5m bars, {n} days")
            for n in range(1, count + 1)
        )

    def preview(self, plan: TradePlan) -> Margin | None:
        self._may_fail()
        return self.margin

    def start_watch(
        self, strategy: str, plan: TradePlan, params: Mapping[str, str], another: bool = False
    ) -> str:
        self._may_fail()
        self.asked.append(("watch", plan))
        return "br-9"

    def cancel_watch(self, watch: str) -> None:
        self.asked.append(("cancel watch", watch))

    def resume_watch(self, watch: str) -> None:
        self._may_fail()
        self.asked.append(("resume watch", watch))

    def trade(self, plan: TradePlan, again: bool = False) -> str:
        self._may_fail()
        self.asked.append(("trade", plan, again))
        self._trades += 1
        id_ = f"m-{self._trades}"
        desktop = self.desktop
        desktop.do(i.TradeRequested, id=id_, plan=plan, instrument=self.instrument(plan.symbol))
        desktop.answer(self.quotes.get(plan.symbol), key=id_)
        self.announce()
        entry = f"ts:{id_}:{first_leg(plan)}:1"
        if desktop.desk.order(entry) is None:
            raise OperatorError(f"{plan.symbol}: the order was refused before it left")
        desktop.report(entry, OrderState.WORKING)
        self.announce()
        return id_

    def cancel_order(self, ref: str) -> None:
        self._may_fail()
        self.asked.append(("cancel", ref))
        self.desktop.do(i.CancelRequested, ref=ref)
        self.announce()

    def replace_order(self, ref: str, limit: Price | None, stop: Price | None, qty: Shares | None) -> None:
        self._may_fail()
        self.asked.append(("replace", ref, limit, stop, qty))
        self.desktop.do(i.ReplaceRequested, ref=ref, limit=limit, stop=stop, qty=qty)
        self.announce()

    def stop_entries(self, on: bool) -> bool:
        self._may_fail()
        self.asked.append(("stop entries", on))
        self.desktop.do(i.StopEntryRequested, on=on)
        self.announce()
        return self.is_kept

    def flatten(self, symbol: str | None) -> None:
        self._may_fail()
        self.asked.append(("flatten", symbol))
        self.desktop.do(i.FlattenRequested, symbol=symbol)
        self.announce()

    def wait_until_flat(self, symbols: tuple[str, ...], timeout: float) -> bool:
        self._may_fail()
        self.asked.append(("wait until flat", symbols, timeout))
        return self.becomes_flat

    def wait(self, symbols: tuple[str, ...], timeout: float | None) -> bool:
        self._may_fail()
        self.asked.append(("wait", symbols, timeout))
        self.on_wait()
        waited = 0.0
        while not self.over.wait(0.02):  # short turns, so that Ctrl-C is heard on every system
            waited += 0.02
            if timeout is not None and waited >= timeout:
                return False
        return True

    def connect(self) -> None:
        self._may_fail()
        self.asked.append(("connect",))
        if self.waits_for_id:
            raise BrokerError(not_typed(self.waits_for_id))

    def confirm_live(self, typed: str) -> None:
        self.asked.append(("confirm", typed))
        if typed != self.waits_for_id:
            raise OperatorError(f"that is not the id of {masked(self.waits_for_id)}: it is not traded")
        self.waits_for_id = ""

    def disconnect(self) -> None:
        self._may_fail()
        self.asked.append(("disconnect",))

    def reconcile(self) -> tuple[Difference, ...]:
        self._may_fail()
        self.asked.append(("reconcile",))
        return self.differences

    def settle_difference(self, row: int) -> Difference:
        self._may_fail()
        self.asked.append(("settle", row))
        return self.differences[row - 1]

    def plugins(self) -> tuple[PluginReport, ...]:
        return self.reports

    def sink(self, name: str) -> Sink | None:
        return None

    def examine(self) -> tuple[Finding, ...]:
        self._may_fail()
        return self.findings

    def _may_fail(self) -> None:
        if self.fail is not None:
            raise self.fail


def make_shell(
    folder: Path,
    *,
    extra: Iterable[tuple[str, Command]] = (),
    broker: BrokerInfo = PAPER,
    **settings: Any,
) -> tuple[TradeShell, FakeTrading]:
    """Return a shell on the fake, and the fake. Nothing is read; ``settings`` go to ``TradeShell``."""
    pump = EventPump()
    trading = FakeTrading(pump, broker)
    plugins = tuple(extra)
    commands = {
        command.name: command for command in (*BUILTIN_COMMANDS, *(command for _, command in plugins))
    }
    chosen: dict[str, Any] = {"stdin": io.StringIO(), "live": False} | settings
    shell = TradeShell(
        commands=commands,
        owners={command.name: owner for owner, command in plugins},
        trading=trading,
        pump=pump,
        state_dir=folder,
        **chosen,
    )
    return shell, trading


def make_runner(folder: Path, **settings: Any) -> tuple[Runner, FakeTrading]:
    """Return a shell to type into, and the fake."""
    shell, trading = make_shell(folder, **settings)
    return Runner(shell), trading


__all__ = [
    "ACCOUNT",
    "ENTRY",
    "LIVE",
    "PAPER",
    "WHEN",
    "FakeTrading",
    "Line",
    "d",
    "make_runner",
    "make_shell",
    "record",
]
