"""The bench on which a broker is put: what a card works with.

Laws: a card knows the ``Broker`` port and this bench, nothing else; it looks at orders and executions of its own only, so that it
may be played on an account where others trade. Who calls back, and when, is watched while any card runs.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from tradeshell.core.inputs import (
    ExecutionReport,
    ExecutionReported,
    Input,
    LinkChanged,
    OrderRefusedByBroker,
    OrderReport,
    OrderReported,
)
from tradeshell.core.market import Instrument, Price, Shares
from tradeshell.core.orders import OrderSpec, OrderState, OrderType, Side
from tradeshell.engine.clock import LoopClock, WallClock
from tradeshell.errors import BrokerError
from tradeshell.ports import Broker, BrokerContext, Snapshot
from tradeshell.testing.broker_contract_venue import BrokerUnderTest, ContractBroken, ensure

T = TypeVar("T")
TURNS = 25  # turns of the loop that everything which needs no time may take
POLL = 0.02  # seconds of the loop between two looks
BLOCKING = 0.25  # seconds of real time after which a call counts as one that waits


class Bench:
    """What a card works with: an open broker, everything it has told, and short words for orders."""

    def __init__(self, under_test: BrokerUnderTest, state_dir: Path, clock: LoopClock | WallClock) -> None:
        self.venue = under_test
        self.clock = clock
        self.inputs: list[Input] = []
        self.strays: list[str] = []  # what was called back where or when nothing may be
        self.numbers: dict[str, int] = {}  # order numbers by ref
        self.next_id = 0  # 0: what the link says
        self.broker: Broker
        self.instrument: Instrument  # set by ``ready``
        self._state_dir = state_dir
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._opened = ExitStack()
        self._made = 0  # orders
        self._opening = 0
        self._opened_at = 0  # how many inputs had come when the broker was opened last

    # --- the broker ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the broker."""
        self._opening += 1
        self._opened_at = len(self.inputs)
        self.next_id = 0
        self.broker = self._opened.enter_context(
            self.venue.open(
                BrokerContext(
                    emit=self._watched(self.inputs.append, "an input", self._opening),
                    clock=self.clock,
                    venue_clock=self.clock if isinstance(self.clock, LoopClock) else None,
                    options=self.venue.options,
                    settings=self.venue.settings,
                    state_dir=self._state_dir,
                )
            )
        )

    def close(self) -> None:
        """Close the broker; from now on nothing may be called back."""
        opened, self._opened = self._opened, ExitStack()
        opened.close()
        self._opening += 1

    def listener(self, into: list[T]) -> Callable[[T], None]:
        """Return a callback for bars or quotes that keeps what it is given."""
        return self._watched(into.append, "a bar or quote", self._opening)

    def _watched(self, take: Callable[[T], None], what: str, opening: int) -> Callable[[T], None]:
        def called(thing: T) -> None:
            if threading.get_ident() != self._thread or asyncio._get_running_loop() is not self._loop:  # noqa: SLF001  # the public one raises
                self.strays.append(f"{what} was handed over on another thread or loop than the engine's")
            elif opening != self._opening:
                self.strays.append(f"{what} was handed over after the broker was closed")
            else:
                take(thing)

        return called

    async def ready(self, *, touch: bool = True) -> Instrument:
        """Connect and qualify the symbol; with ``touch`` the market is two cents wide around ``price``."""
        if not self.links or not self.links[-1].up:
            await self.connect()
        self.instrument = await self.broker.qualify(self.venue.symbol)
        if touch:
            await self.touch("-0.01", "0.01")
        return self.instrument

    async def connect(self) -> LinkChanged:
        """Connect and return what was told of it."""
        before = len(self.links)
        await self.broker.connect()
        return await self.until(
            lambda: next((link for link in self.links[before:] if link.up), None), "LinkChanged(up=True)"
        )

    # --- waiting ------------------------------------------------------------------------------------------------------

    async def until(self, found: Callable[[], T | None], words: str) -> T:
        """Return what ``found`` returns once that is neither ``None`` nor ``False``; broken after ``patience``."""
        deadline = self._loop.time() + self.venue.patience
        turns = 0
        while (result := found()) is None or result is False:
            ensure(self._loop.time() < deadline, f"{words}: did not happen within {self.venue.patience:g} s")
            turns += 1
            await asyncio.sleep(0 if turns < TURNS else POLL)
        return result

    async def quiet(self) -> None:
        """Return when everything that is under way must have arrived."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
        known, since = len(self.inputs), self._loop.time()
        while self._loop.time() < since + self.venue.calm:
            await asyncio.sleep(min(POLL, self.venue.calm))
            if len(self.inputs) != known:
                known, since = len(self.inputs), self._loop.time()

    def now(self) -> datetime:
        """Return the venue's time."""
        return self.venue.now() or self.clock.now()

    # --- the market ---------------------------------------------------------------------------------------------------

    def at(self, distance: str | int) -> Price:
        """Return the price that lies ``distance`` USD from where the cards trade."""
        return self.venue.price + Decimal(distance)

    async def touch(
        self, bid: str | None, ask: str | None, bid_size: Shares = 5000, ask_size: Shares = 5000
    ) -> None:
        """Let the market have this touch, by distances from ``price``."""
        bid_price = None if bid is None else self.at(bid)
        ask_price = None if ask is None else self.at(ask)
        await self.venue.touch(bid_price, ask_price, bid_size, ask_size)

    async def trade(self, distance: str | int, size: Shares = 1000) -> None:
        """Let one trade happen."""
        await self.venue.trade(self.at(distance), size)

    # --- orders -------------------------------------------------------------------------------------------------------

    def order(
        self,
        side: Side,
        qty: Shares,
        *,
        limit: str | None = None,
        stop: str | None = None,
        leg: str = "entry",
        **more: Any,
    ) -> OrderSpec:
        """Return an order for the symbol: market, limit, stop or stop-limit by what is given, as distances from ``price``."""
        kinds = {
            (False, False): OrderType.MARKET,
            (True, False): OrderType.LIMIT,
            (False, True): OrderType.STOP,
            (True, True): OrderType.STOP_LIMIT,
        }
        self._made += 1
        return OrderSpec(
            ref=f"ts:bt-cards:{leg}:{self._made}",
            symbol=self.instrument.symbol,
            con_id=self.instrument.con_id,
            account=self.links[-1].account,
            side=side,
            qty=qty,
            type=kinds[limit is not None, stop is not None],
            limit=None if limit is None else self.at(limit),
            stop=None if stop is None else self.at(stop),
            **more,
        )

    def buy(self, qty: Shares, **more: Any) -> OrderSpec:
        """Return an order that buys."""
        return self.order(Side.BUY, qty, **more)

    def sell(self, qty: Shares, **more: Any) -> OrderSpec:
        """Return an order that sells."""
        return self.order(Side.SELL, qty, leg=more.pop("leg", "tp1"), **more)

    def send(self, *orders: OrderSpec) -> None:
        """Place orders under the next numbers."""
        for order in orders:
            self.next_id = self.next_id or self.links[-1].first_order_id
            self.numbers[order.ref] = self.next_id
            self.next_id += 1
            self.broker.place(order, self.numbers[order.ref])

    def change(self, order: OrderSpec) -> None:
        """Send an order again."""
        self.broker.modify(order, self.numbers[order.ref])

    def cancel(self, order: OrderSpec) -> None:
        """Ask to cancel an order."""
        self.broker.cancel(order.ref, self.numbers[order.ref])

    async def hold(self, qty: Shares) -> OrderSpec:
        """Buy shares at the market and return the order once it has filled."""
        order = self.buy(qty)
        self.send(order)
        await self.shown(order, OrderState.FILLED)
        return order

    # --- what was told ------------------------------------------------------------------------------------------------

    @property
    def links(self) -> list[LinkChanged]:
        """What was told of the link since the broker was opened."""
        return [event for event in self.inputs[self._opened_at :] if isinstance(event, LinkChanged)]

    def reports(self, order: OrderSpec) -> list[OrderReport]:
        """Return what was told of an order."""
        return [
            event.report
            for event in self.inputs
            if isinstance(event, OrderReported) and event.report.ref == order.ref
        ]

    def executions(self, order: OrderSpec) -> list[ExecutionReport]:
        """Return the executions of an order in their latest revision, in the order in which they were told."""
        found: dict[str, ExecutionReport] = {}
        for event in self.inputs:
            if isinstance(event, ExecutionReported) and event.execution.ref == order.ref:
                known = found.get(event.execution.stem)
                if known is None or known.revision <= event.execution.revision:
                    found[event.execution.stem] = event.execution
        return list(found.values())

    def bought(self, order: OrderSpec) -> Shares:
        """Return the executed shares of an order."""
        return sum(execution.qty for execution in self.executions(order))

    def refusals(self, order: OrderSpec) -> list[OrderRefusedByBroker]:
        """Return the refusals about an order."""
        return [
            event
            for event in self.inputs
            if isinstance(event, OrderRefusedByBroker) and event.ref == order.ref
        ]

    def state(self, order: OrderSpec) -> OrderState | None:
        """Return where an order stands by what was told last."""
        reports = self.reports(order)
        return reports[-1].state if reports else None

    async def shown(self, order: OrderSpec, *states: OrderState) -> OrderReport:
        """Return the first report of an order from now on, or the last one so far, that is in one of ``states``."""
        names = " or ".join(state.value for state in states)
        await self.until(lambda: self.state(order) in states, f"{order.ref} reported as {names}")
        return self.reports(order)[-1]

    async def executed(self, order: OrderSpec, qty: Shares) -> list[ExecutionReport]:
        """Return an order's executions once they are ``qty`` shares."""
        await self.until(lambda: self.bought(order) >= qty, f"{order.ref} executed {qty} shares")
        ensure(self.bought(order) == qty, f"{order.ref} executed {self.bought(order)} shares, not {qty}")
        return self.executions(order)

    async def picture(self) -> Snapshot:
        """Return a snapshot of the account."""
        return await asyncio.wait_for(self.broker.snapshot_account(), self.venue.patience)

    async def living(self, order: OrderSpec) -> OrderReport | None:
        """Return an order as a snapshot shows it, ``None`` when the snapshot has no such living order."""
        found = [
            each for each in (await self.picture()).orders if each.ref == order.ref and each.state.is_live
        ]
        ensure(len(found) < 2, f"a snapshot shows {order.ref} {len(found)} times")
        return found[0] if found else None

    # --- errors -------------------------------------------------------------------------------------------------------

    def refuses(self, act: Callable[[], object], words: str) -> None:
        """Make sure that a call raises ``BrokerError`` with one line."""
        try:
            act()
        except BrokerError as error:
            one_line(error)
        else:
            raise ContractBroken(f"{words}: raised nothing")

    async def fails(self, asked: Awaitable[object], words: str) -> str:
        """Make sure that a request raises ``BrokerError`` with one line within ``patience``, and return the line."""
        try:
            await asyncio.wait_for(asked, self.venue.patience)
        except BrokerError as error:
            return one_line(error)
        except TimeoutError:
            raise ContractBroken(f"{words}: no BrokerError within {self.venue.patience:g} s") from None
        raise ContractBroken(f"{words}: raised nothing")

    def story(self) -> str:
        """Return everything that was told, for whoever reads why a card is broken."""
        lines = [f"  {_words(event)}" for event in self.inputs]
        return "\n".join(lines or ["  (nothing)"])


def one_line(error: BrokerError) -> str:
    """Return the words of an error, which must be one line."""
    words = str(error)
    ensure(bool(words.strip()) and "\n" not in words, f"a BrokerError has to be one line, not {words!r}")
    return words


def is_utc(at: datetime) -> bool:
    """Return whether an instant is aware and UTC."""
    offset = at.utcoffset()
    return offset is not None and not offset and at.tzinfo is not None


def _words(event: Input) -> str:
    fields = {name: getattr(event, name) for name in event.__struct_fields__ if name != "at"}
    inner = next((value for value in fields.values() if isinstance(value, Struct)), None)
    if inner is not None:
        fields = {name: getattr(inner, name) for name in inner.__struct_fields__ if name != "at"}
    shown = " ".join(f"{name}={value}" for name, value in fields.items() if value not in (None, ""))
    return f"{event.at.astimezone(UTC):%H:%M:%S.%f} {type(event).__name__} {shown}"
