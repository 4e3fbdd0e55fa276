"""One wired schedule, run: each life of the program has the ``ibkr`` broker and connects to the gateway through the network.

Laws: as without a wire. What the host is told is what the adapter hands it; that the adapter hands on what it must is a rule of
its own (``rules``), judged from the bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from tests.simulation.actors import quietly
from tests.simulation.faults import Kill
from tests.simulation.loop import SECOND, Call, SimClock
from tests.simulation.schedule import Schedule
from tests.simulation.wired.net import Net
from tests.simulation.wired.noises import Noises
from tests.simulation.wired.rules import PLACE, Ledger
from tests.simulation.wired.stage import Stage
from tests.simulation.wired.trouble import Trouble, draw_troubles
from tests.simulation.wired.venue import CLIENT
from tests.simulation.world import Finding, Outcome, World

from tradeshell.core.inputs import Input, LinkChanged, OrderReport
from tradeshell.core.market import DataKind, Quote
from tradeshell.core.orders import OrderState
from tradeshell.errors import TradeshellError
from tradeshell.ports import BrokerContext, Snapshot, VenueOptions
from tradeshell_ibkr.broker import IbkrBroker
from tradeshell_paper.witness import Recorder

THOROUGH = 50  # of so many schedules the last one looks through what nobody holds any more of all of them
ASKS = {16: "orders", 7: "executions", 61: "positions"}


class _Clock:
    """The schedule's clock for the broker of one life: its timers die with it."""

    def __init__(self, clock: SimClock, when_free: Callable[..., None]) -> None:
        self._clock, self._when_free = clock, when_free
        self.is_alive = True
        self.now = clock.now

    def _call(self, callback: Callable[[], None]) -> None:
        if self.is_alive:
            self._when_free(callback)

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Call:
        """Call at ``when`` if the life lasts."""
        return self._clock.call_at(when, lambda: self._call(callback))

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call before time moves if the life lasts."""
        self._clock.call_soon(lambda: self._call(callback))


class _Broker(IbkrBroker):
    """The broker of one life, as shipped; a witness sees what it hands to the host."""

    witness: Recorder
    world: WiredWorld

    async def snapshot_account(self) -> Snapshot:
        """Return a picture, and put down how old its parts are."""
        world = self.world
        try:
            found = await super().snapshot_account()
        except TradeshellError:
            world._silent()
            raise
        world.pictured()
        return found

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch, and put it down."""
        quote = super().latest(symbol)
        if quote is not None:
            self._show(quote)
        return quote

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return a touch asked for now, and put it down."""
        quote = await super().snapshot(symbol, patience)
        if quote is not None:
            self._show(quote)
        return quote

    def subscribe_quotes(self, symbol: str, on_quote: Callable[[Quote], None] | None = None) -> Any:
        """Keep the touch, and put down each that the host hears."""
        if on_quote is None:
            return super().subscribe_quotes(symbol)
        listener = on_quote

        def told(quote: Quote) -> None:
            self._show(quote)
            listener(quote)

        return super().subscribe_quotes(symbol, told)

    def _show(self, quote: Quote) -> None:
        self.witness.quote_to_host(self.connection.clock.now(), quote, halted=quote.kind is DataKind.HALTED)


class WiredWorld(World):
    """Runs one schedule with the wire."""

    venue: Stage  # type: ignore[assignment]  # it answers what the base asks of its venue

    def __init__(self, schedule: Schedule, folder: Path, **more: Any) -> None:
        self.broker: _Broker | None = None
        self.noises: Noises
        self.is_told_up = False
        self.down_since: datetime | None = None
        self.on_execution: list[Callable[[], object]] = []
        self._answered: dict[str, float] = {}
        self._passes_up = self._is_over = False
        self._broker_clock: _Clock | None = None
        super().__init__(schedule, folder, **more)
        self.net = Net(schedule, self.loop, self.courier, self.venue.gateway.connect, self)
        self.loop.connector = self.net.connector
        self.ledger = Ledger()

    def make_venue(self) -> Any:
        """Return the venue behind its gateway."""
        stage = Stage(self.schedule, self.loop, self.clock, self._witness, self._refuse)
        stage.set_up(self)
        return stage

    def make_broker(self) -> Any:
        """Return the broker of a new life."""
        schedule = self.schedule
        clock = self._broker_clock = _Clock(self.clock, self.when_free)
        recorder = Recorder(self._witness)

        def emit(event: Input) -> None:
            if not clock.is_alive:
                return
            if isinstance(event, LinkChanged):
                self._link_told(event)
            recorder.to_host(self.clock.now(), event)
            self._hear(event)

        settings: dict[str, Any] = {"host": "127.0.0.1", "port": 4002, "client_id": CLIENT}
        settings["paper_only"] = schedule.is_paper
        if not schedule.is_paper:
            settings["live_account"] = schedule.account
        context = BrokerContext(
            emit=emit, clock=clock, venue_clock=None, options=VenueOptions(), settings=settings,
            state_dir=self.folder,
            packet=lambda: nullcontext() if self.life is None else self.life.session.packet(),
        )  # fmt: skip
        self.broker = _Broker(context)
        self.broker.witness, self.broker.world = recorder, self
        return self.broker

    def connect_life(self) -> None:
        """Let a new life connect, again and again while nobody answers."""
        if self.down_since is not None:
            self.venue.restore_link()
        self.loop.create_task(quietly(self.venue.connect()))

    def look_up(self, symbol: str, then: Callable[[], None]) -> None:
        """Ask the gateway, as the shell does; without an answer the operator tries again."""
        self.loop.create_task(self._look_up(symbol, then))

    async def _look_up(self, symbol: str, then: Callable[[], None]) -> None:
        for _ in range(3):
            broker = self.broker
            if broker is None:
                return
            try:
                await broker.qualify(symbol)
            except TradeshellError as refusal:
                self.note("operator", f"{symbol}: {refusal}")
                await asyncio.sleep(2.0)
            else:
                then()
                return

    def run(self) -> Outcome:
        """Run it all; what is logged, printed or thrown away on the way is kept."""
        for trouble in draw_troubles(self.schedule):
            self.loop.at(trouble.at, self._trouble, trouble)
        with Noises(self.loop, self.ledger.noise) as self.noises:
            return super().run()

    def _trouble(self, trouble: Trouble) -> None:
        if self.life is not None:
            self.venue.trouble(trouble)

    # --- what the network tells ---------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Hear that a connection begins."""
        self.ledger.opened(self.loop.micros)

    def asked(self, kind: int, fields: list[str]) -> None:
        """Hear a message of the program."""
        self.ledger.asked(self.loop.micros, kind, fields, self._on_disk() if kind == PLACE else 0)
        if kind in (3, 4):
            self.note("> wire", " ".join(field for field in fields if field not in ("", "0"))[:120])

    def _on_disk(self) -> int:
        return (self.folder / "events.jsonl").stat().st_size

    def arrived(self, kind: int) -> None:
        """Note when the gateway looked."""
        name = ASKS.get(kind)
        if name is not None:
            self._answered[name] = self.loop.micros / SECOND

    def delivered(self, kind: int, fields: list[str]) -> None:
        """Hear a message of the gateway."""
        self.ledger.delivered(self.loop.micros, kind, fields)
        if kind in (3, 4, 11):
            self.note("< wire", " ".join(fields)[:110])

    def cut(self, why: str) -> None:
        """Put down that messages do not pass any more."""
        self.ledger.cut(self.loop.micros)
        self._pass(up=False, why=why)

    def _pass(self, *, up: bool, why: str) -> None:
        if self._passes_up is not up and not self._is_over:
            self._passes_up = up
            self._record("link", {"up": up, "why": why})

    def _link_told(self, event: LinkChanged) -> None:
        self.is_told_up = event.up
        self._pass(up=event.up, why=event.why)

    def pictured(self) -> None:
        """Put down how old the parts of a picture are."""
        ages = {f"{name}_as_of": self._answered.get(name, 0.0) for name in ASKS.values()}
        ages["orders_as_of"] = max(
            0.0, ages["orders_as_of"] - self.venue.gateway.house.switches.open_orders_age
        )
        self._record("snapshot", dict(ages))

    def _hear(self, event: Input) -> None:
        if self.life is not None:
            self.life.hear_at_once(event)

    def when_free(self, act: Callable[..., None], *args: Any) -> None:
        """Let the program's one thread read or call back: when it is not at work."""
        if self.life is None:
            act(*args)
        else:
            self.life.enter(act, *args, is_step=False)

    def _passed(self, kind: str) -> None:
        super()._passed(kind)
        if kind == "exec" and self.on_execution:
            self.on_execution.pop()()

    # --- lives --------------------------------------------------------------------------------------------------------

    def _cut(self, kill: Kill) -> None:
        if self._broker_clock is not None:
            self._broker_clock.is_alive = False
        self.broker, self.is_told_up = None, False
        if self.net.cable is not None:
            self.net.cable.die(loses_up=kill.loses)

    def cancelled(self) -> list[OrderReport]:
        """Return the orders that were cancelled and whose market may have been faster."""
        tickets = [ticket for ticket in self.venue.exchange._floor.tickets() if ticket.client == CLIENT]
        spent = {ticket.oca for ticket in tickets if ticket.filled} - {None}
        races = self.schedule.habits.settings["oca_race"]
        return [
            replace(ticket.report(), ref=self.venue.ref_of(ticket.spec.ref))
            for ticket in tickets
            if ticket.state is OrderState.CANCELLED
            and (races or ticket.oca not in spent)
            and (ticket.parent is None or ticket.parent.filled)
        ]

    def _facts(self) -> dict[str, Any]:
        return {**super()._facts(), "grain": 1.0}  # the wire tells the times of executions in whole seconds

    def _judge(self, findings: list[Finding]) -> Outcome:
        self._is_over = True  # what ends from here on ends with the schedule
        self.noises.look(thoroughly=self.schedule.seed % THOROUGH == THOROUGH - 1)
        audit = self._audit_lines()
        findings += [
            Finding(*each) for each in self.ledger.judge(self.b, audit, self.schedule, self.life_spans)
        ]
        return super()._judge(findings)
