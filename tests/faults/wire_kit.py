"""The stage over the wire: engine, journal, audit and the ``ibkr`` broker on one side, the gateway on the other, virtual time.

Every word of the stage means the same here; what the embedded venue does with a message is done to the bytes on their way. More
is possible than there: the gateway's switches and actions, messages that only a wire has, the end and the restart of the program
at any write, the restart of the gateway.

Laws: as those of the stage. What left is what was written to the socket. A life of the program that ended says and hears nothing
any more, and the next one has what was on disk, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

from msgspec.structs import replace
from tests.faults.parts import MORNING, Sent
from tests.faults.wire_messages import NotedBroker, OnTheWire
from tests.faults.wire_parts import CLIENT, Named, ScriptedNet, WireVenue
from tests.simulation.faults import Kill
from tests.simulation.life import Gate, Life
from tests.simulation.loop import Call, SimClock

from tradeshell.core import inputs as i
from tradeshell.core.events import SessionStarted
from tradeshell.core.market import Instrument
from tradeshell.core.policy import Policy
from tradeshell.differences import CompletedOrder
from tradeshell.engine.healer import Healer
from tradeshell.engine.reconciling import Reconciling
from tradeshell.engine.recovery import take_up
from tradeshell.engine.session import Session as EngineSession
from tradeshell.errors import TradeshellError
from tradeshell.ports import BrokerContext, VenueOptions
from tradeshell.upkeep import BarHealthSettings
from tradeshell_paper.tws.actions import Actions
from tradeshell_reconcile import make

T = TypeVar("T")
SYMBOLS = ("AAPL", "MSFT")
LOOK_EVERY = 30.0  # seconds between looks at the account while orders work: as the program has it


class _Clock:
    """The clock of one life's broker: its timers die with it."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self.is_alive = True
        self.now = clock.now

    def _call(self, callback: Callable[[], None]) -> None:
        if self.is_alive:
            callback()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Call:
        """Call at ``when`` if the life lasts."""
        return self._clock.call_at(when, lambda: self._call(callback))

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call before time moves if the life lasts."""
        self._clock.call_soon(lambda: self._call(callback))


class _Gate(Gate):
    """The broker of one life, with what it knows of streams."""

    def last_heard(self, symbol: str, seconds: int, rth: bool) -> datetime | None:
        """Return the last sign of life of a stream of bars."""
        return self._broker.last_heard(symbol, seconds, rth)  # type: ignore[attr-defined,no-any-return]  # the real one has it

    async def completed_orders(self) -> tuple[CompletedOrder, ...]:
        """Return the orders that ended today."""
        return await self._broker.completed_orders()  # type: ignore[attr-defined,no-any-return]  # as above


class WireStage(OnTheWire):
    """One program, connected over the wire, on a market that stands at 190.00/190.02."""

    is_wire = True

    def __init__(
        self,
        folder: Path,
        *,
        live: bool = False,
        policy: Policy | None = None,
        start: datetime = MORNING,
        connect: bool = True,
        look_every: float | None = LOOK_EVERY,
        bar_health: BarHealthSettings | None = None,
        symbols: Sequence[str] = SYMBOLS,
        broker: dict[str, Any] | None = None,
        reconcile: dict[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.life: Life
        self.broker: NotedBroker
        self.healer: Healer
        self.lives = 0
        self.cables = 0
        self.hellos: set[int] = set()  # as which clients it has introduced itself
        self.requests: list[tuple[float, int]] = []  # when each message of the program left, and its kind
        self.down_since: float | None = None
        self._look_every = look_every
        self._bar_health = bar_health or BarHealthSettings()
        self._symbols = tuple(symbols)
        self._broker_settings = broker or {}
        self._reconcile = reconcile
        self.trades_on = bool(broker)
        self._refused: list[tuple[int, int, str]] = []  # requests for data to be refused: kind, code, text
        self.respell: Callable[[str], str] = str
        self._broker_clock: _Clock
        self._sent: list[Sent] = []
        self._placed: set[int] = set()
        self._ages: dict[str, float | None] = {}
        self._answer = 0.0
        self._known_at: dict[str, float] = {}  # when each execution happened
        self._positions: list[tuple[float, dict[str, int]]] = []
        self._is_silent = False
        self._data_type = 1  # live
        self._shift = 0.0
        self._cut_at = ("", "", False)  # action, leg, and whether it arrives
        super().__init__(folder, live=live, policy=policy, start=start, connect=connect, **settings)

    # --- both ends ----------------------------------------------------------------------------------------------------

    def _open_venue(self, settings: dict[str, Any], account: str) -> Any:
        known = {"partial": True, **settings}
        venue = WireVenue(
            self.loop, self.clock, known, account, self._witness_wire, self._refuse, self._symbols
        )
        self.net = ScriptedNet(self.loop, lambda: venue.gateway, self)
        self.net.up, self.net.down, self.net.answers = self._up, self._down, self._answered
        self.loop.connector = self.net.connector
        self.gateway = venue.gateway
        self.actions = Actions(venue.gateway, self._open_port, self._close_port)
        self.actions.spawn = self.loop.create_task  # type: ignore[assignment]  # what is spawned is a coroutine
        return venue

    async def _open_port(self) -> None:
        self.net.is_down = False

    def _close_port(self) -> None:
        self.net.is_down = True

    def _start_session(self) -> None:
        """Start a life of the program on what is on disk."""
        self.lives += 1
        own = SimClock(self.loop, self.clock.start + timedelta(seconds=self._shift))
        clock = self._broker_clock = _Clock(own)
        account = self.account
        settings: dict[str, Any] = {"host": "127.0.0.1", "port": 4002, "client_id": CLIENT}
        if self.live:
            settings |= {"paper_only": False, "live_account": account}
        settings |= self._broker_settings
        context = BrokerContext(
            emit=lambda event: self.hear(event) if clock.is_alive else None,
            clock=clock,
            venue_clock=None,
            options=VenueOptions(),
            settings=settings,
            state_dir=self.folder,
            packet=lambda: self.session.packet(),  # noqa: PLW0108  # as below
            stream_news=lambda news: self.healer.hear(news),  # noqa: PLW0108  # it is made below
        )
        self.broker = NotedBroker(context)
        schedule: Any = SimpleNamespace(
            seed=0, step_cost=(0, 0.0, 0), is_paper=not self.live, account=account
        )
        ears: Any = SimpleNamespace(sent=lambda *_: None, killed=self._killed)
        life = self.life = Life(self.lives, schedule, self.loop, own, self.broker, self.folder, ears)
        life.session.attach(_Gate(life, self.broker, is_paper=not self.live), life.journal)
        life.session.audit.add("list", self.records.append)
        if self._reconcile is not None:
            life.session.reconciling = Reconciling(
                {"reconcile": make(self._reconcile)}, life.session.tell, life.session.report_fault
            )
        self.session: EngineSession = life.session
        self.healer = Healer(life.session, self._bar_health)
        self.healer.start()
        take_up(life.session, life.found)
        life.session.tell(SessionStarted(version="scenario", broker="ibkr"))

    def _begin(self, *, connect: bool) -> None:
        now = self.session.clock.now()
        self.submit(i.PolicySet(at=now, policy=replace(self._policy, look_every=self._look_every)))
        self.inside(self.life.resumer.start)
        if connect and self.life.alive:
            self.connect()
            self.wait(0.5)

    def connect(self) -> None:
        """Type ``connect``: an attempt at once."""
        self.inside(lambda: self.loop.create_task(_quietly(self.broker.connect())))

    def crash(self, *, loses: bool = False) -> None:
        """Kill the program, now. ``loses``: what was under way is lost with it."""
        self.inside(lambda: self.life.end(_kill("send", "before", loses=loses)))

    def crash_at(
        self,
        kind: str,
        where: str = "before",
        *,
        nth: int = 1,
        leg: str = "",
        tear: float = 0.5,
        loses: bool = False,
    ) -> None:
        """Let the program be killed before, after or within the ``nth`` write from now: ``journal``, ``audit``, or ``send``."""
        self.life.arm(_kill(kind, where, nth=nth, leg=leg, tear=tear, loses=loses))

    def _killed(self, kill: Kill) -> None:
        clock, healer, broker = self._broker_clock, self.healer, self.broker
        clock.is_alive = False
        healer.close()
        cable = self.net.cable

        def cut() -> None:
            if cable is not None:
                cable.die(loses_up=kill.loses)
            connection = broker.connection
            connection._is_wanted = False
            connection._stop_trying()

        self.loop.call_soon(cut)

    def restart(self, *, connect: bool = True, shift: float = 0.0) -> None:
        """Start the program again. ``shift``: seconds by which its computer's clock is ahead of the gateway's now."""
        self._shift = shift
        assert not self.life.alive, "it was not killed"
        self.wait(0)
        self.inside(self._start_session)
        self._begin(connect=connect)

    def close(self) -> None:
        """End: timers, tasks and files."""
        if self.life.alive:
            self.inside(lambda: self.loop.create_task(self.session.close()))
            self.healer.close()
            self.broker.close()
            self.life.end(None)
        self.venue.close()

    def switch(self, **values: Any) -> None:
        """Set switches of the gateway."""
        self.inside(lambda: self.actions.set(**values))

    def act(self, name: str, **arguments: Any) -> Any:
        """Do an action of the gateway."""
        found: list[Any] = []
        self.inside(lambda: found.append(self.actions.do(name, arguments)))
        return found[0]

    def restart_gateway(self, seconds: float = 5.0) -> None:
        """Restart the gateway: every socket ends, nobody answers for a while."""
        self.act("restart", seconds=seconds)

    def ask(self, work: Coroutine[Any, Any, T], seconds: float = 30.0) -> T:
        """Await something, and let time pass while it takes time; raises what it raises."""
        task: list[Any] = []
        self.inside(lambda: task.append(self.loop.create_task(work)))
        until = self.t + seconds
        while not task[0].done() and self.t < until:
            self.wait(0.05)
        result: T = task[0].result()
        return result

    # --- what the engine hears ----------------------------------------------------------------------------------------

    def hear(self, event: i.Input) -> None:
        """Take what the broker says."""
        self.life.hear(event)

    def instrument(self, symbol: str) -> Instrument:
        """Return the contract as the gateway has it."""
        return self.ask(self.broker.qualify(symbol))

    def because(self, text: str) -> str:
        """Return the words of a refusal with its code; the status of a cancel comes before its words."""
        return f" · 201: {text}" if text.startswith("Order rejected") else ""

    @property
    def sent(self) -> list[Sent]:
        """Everything about orders that was written to the socket, in order."""
        return self._sent

    def _tickets(self, client: int = 0) -> Iterator[Any]:
        number = client or CLIENT
        for ticket in self.venue.exchange._floor.tickets():
            if ticket.client == number:
                yield Named(ticket, self.venue.ref_of(ticket.spec.ref))

    def position(self, symbol: str = "AAPL") -> int:
        """Return the account's position."""
        return sum(held.qty for held in self.venue.house.exchange.positions() if held.symbol == symbol)

    def _witness_wire(self, kind: str, fields: dict[str, Any]) -> None:
        if kind in ("exec", "corrected"):
            self._known_at[str(fields["exec_id"])] = self.t
            self._positions.append((self.t, {symbol: self.position(symbol) for symbol in self._symbols}))
        self._witness(kind, fields)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """Await an attempt whose failure the program tells by itself."""
    try:
        await work
    except TradeshellError:
        return


def _kill(
    kind: str, where: str, *, nth: int = 1, leg: str = "", tear: float = 0.5, loses: bool = False
) -> Kill:
    return Kill(at=0, on="", kind=kind, nth=nth, where=where, leg=leg, down=0, tear=tear, loses=loses)


@contextmanager
def wired(folder: Path, **more: Any) -> Iterator[WireStage]:
    """Open a stage over the wire, and close it at the end."""
    stage = WireStage(folder, **more)
    try:
        yield stage
    finally:
        stage.close()
