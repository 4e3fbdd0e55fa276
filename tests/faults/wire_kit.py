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
from tests.faults.kit import Stage
from tests.faults.parts import CENT, MORNING, Sent
from tests.faults.wire_parts import CLIENT, Message, Named, ScriptedCable, ScriptedNet, WireVenue
from tests.simulation.faults import Kill
from tests.simulation.life import Gate, Life
from tests.simulation.loop import SECOND, Call, SimClock
from tests.simulation.path import Move

from tradeshell.core import inputs as i
from tradeshell.core.events import SessionStarted
from tradeshell.core.market import Bar, DataKind, Instrument
from tradeshell.core.orders import OrderSpec
from tradeshell.core.policy import Policy
from tradeshell.core.trade import leg_of
from tradeshell.engine.healer import Healer
from tradeshell.engine.recovery import take_up
from tradeshell.engine.session import Session as EngineSession
from tradeshell.errors import TradeshellError
from tradeshell.ports import BrokerContext, VenueOptions
from tradeshell.upkeep import BarHealthSettings
from tradeshell_ibkr.broker import IbkrBroker
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.encode_orders import open_order, order_status
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.records import STATUS as NAMES
from tradeshell_paper.tws.records import Record

T = TypeVar("T")
SYMBOLS = ("AAPL", "MSFT")
LOOK_EVERY = 30.0  # seconds between looks at the account while orders work: as the program has it
QUESTIONS = {5: "orders", 16: "orders", 7: "executions", 61: "positions"}  # of a picture
MINUTE = 60 * SECOND
HELLO, HISTORY, REAL_TIME = 71, 20, 50
PRICES = [1, 2, 45, 46, 57]  # what a gateway says of touches


class _Broker(IbkrBroker):
    """The broker as shipped; what it is asked to send is remembered with its values, until its bytes have left."""

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self.specs: dict[int, OrderSpec] = {}

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order."""
        self.specs[order_id] = order
        super().place(order, order_id)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send an order again."""
        self.specs[order_id] = order
        super().modify(order, order_id)


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


class WireStage(Stage):
    """One program, connected over the wire, on a market that stands at 190.00/190.02."""

    is_wire = True
    venue: WireVenue  # type: ignore[assignment]  # it has the stage's words

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
        **settings: Any,
    ) -> None:
        self.life: Life
        self.broker: _Broker
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
        self.actions.spawn = lambda work: self.loop.create_task(work)  # type: ignore[arg-type,return-value]  # a coroutine
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
        settings |= self._broker_settings
        if self.live:
            settings |= {"paper_only": False, "live_account": account}
        context = BrokerContext(
            emit=lambda event: self.hear(event) if clock.is_alive else None,
            clock=clock,
            venue_clock=None,
            options=VenueOptions(),
            settings=settings,
            state_dir=self.folder,
            stream_news=lambda news: self.healer.hear(news),
        )
        self.broker = _Broker(context)
        schedule: Any = SimpleNamespace(seed=0, step_cost=(0, 0.0, 0), is_paper=not self.live)
        ears: Any = SimpleNamespace(sent=lambda *_: None, killed=self._killed)
        life = self.life = Life(
            self.lives, schedule, self.loop, own, self.broker, self.folder, ears
        )
        life.session.attach(_Gate(life, self.broker, is_paper=not self.live), life.journal)
        life.session.audit.add("list", self.records.append)
        self.session: EngineSession = life.session
        self.healer = Healer(life.session, self._bar_health)
        self.healer.start()
        take_up(life.session, life.found)
        life.session.tell(SessionStarted(version="scenario", broker="ibkr"))

    def _begin(self, *, connect: bool) -> None:
        now = self.session.clock.now()
        self.submit(i.PolicySet(at=now, policy=replace(self._policy, look_every=self._look_every)))
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
        self, kind: str, where: str = "before", *, nth: int = 1, leg: str = "", tear: float = 0.5, loses: bool = False
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

    # --- the market ---------------------------------------------------------------------------------------------------

    def quote(self, bid: Any, ask: Any, *, symbol: str = "AAPL", **more: Any) -> None:
        """Put a touch in force."""
        kind = more.get("kind", DataKind.LIVE)
        if self._is_silent:
            self._withhold([])
        number = {DataKind.DELAYED: 3, DataKind.FROZEN: 2}.get(kind, 1)
        if number != self._data_type:
            self._data_type = number
            self._to_lines(symbol, lambda line: outgoing.market_data_type(line, number))
        super().quote(bid, ask, symbol=symbol, **more)
        if self._is_silent:
            self._withhold(PRICES)

    def start_market(self, price: Any = "189.50") -> None:
        """Let the gateway make the 5-second bars by itself, of what trades."""
        self.venue.view.is_beating = True
        for symbol in self._symbols:
            self.trade(price, 100, symbol=symbol)
        self.loop.at((self.loop.micros // MINUTE + 1) * MINUTE, self._close_minute)
        self._trade_on()

    def _trade_on(self) -> None:
        self._trade_a_little()
        self.loop.at(self.loop.micros + 5 * SECOND, self._trade_on)

    def _trade_a_little(self) -> None:
        """Let one share trade at the last price where histories are kept up to date: they are updated by trades."""
        for symbol in self._symbols if self.trades_on else ():
            last = self.venue.view.last(symbol, self.now)
            if last is not None:
                self.venue.move(symbol, Move(0, "print", int(last.price / CENT), 0, 1), CENT)

    def _close_minute(self) -> None:
        """Tell histories that are kept up to date that a minute is over."""
        for (symbol, seconds), listeners in tuple(self.venue.house.listeners.items()):
            bar = self.venue.view.made(symbol, self.now - timedelta(seconds=seconds), seconds)
            for listener in tuple(listeners) if bar is not None and seconds == 60 else ():
                listener.on_bar(bar)
        self._trade_a_little()  # the next minute begins with a trade
        self.loop.at(self.loop.micros + MINUTE, self._close_minute)

    def refuse_data(self, kind: int, code: int, text: str, times: int = 1) -> None:
        """Refuse the next requests of a kind for bars, with an error and nothing else."""
        self._refused += [(kind, code, text)] * times

    def silence(self) -> None:
        """Tell nothing about touches any more, also when asked."""
        super().silence()
        self._is_silent = True
        self._withhold(PRICES)

    def _withhold(self, kinds: list[int]) -> None:
        switches = self.gateway.house.switches
        self.wait(0)
        self.gateway.house.switches = replace(switches, withhold=kinds)

    def _to_lines(self, symbol: str, build: Callable[[int], bytes]) -> None:
        def tell() -> None:
            for session in tuple(self.gateway.sessions):
                for number, line in session.quotes.lines.items():
                    if line.symbol == symbol:
                        session.send(build(number))

        self.inside(tell)

    def tell_bar(self, bar: Bar) -> None:
        """Send a closed bar as 5-second bars."""
        self.inside(lambda: self.venue.tell_bar(bar))

    # --- faults of messages -------------------------------------------------------------------------------------------

    def _ref(self, number: int) -> str:
        record = self.gateway.orders.records.get((CLIENT, number))
        return "" if record is None else record.order.order_ref

    def _up(self, kind: int, fields: list[str]) -> Sequence[float]:
        if kind == 3:
            number, fate = int(fields[1]), (0.0,)
            spec = self.broker.specs.get(number)
            ref = "" if spec is None else spec.ref
            action = "modify" if number in self._placed else "place"
            self._placed.add(number)
            self._sent.append(Sent(self.t, action, leg_of(ref), ref, spec))
            if self._cut_at[:2] == (action, leg_of(ref)):
                arrives, self._cut_at = self._cut_at[2], ("", "", False)
                self.loop.call_soon(lambda: self._cut_now(arrives=arrives))
            return self.courier._fate(action, leg_of(ref), None) if ref else fate
        if kind == 4:
            number = int(fields[2])
            ref = self._ref(number) or getattr(self.broker.specs.get(number), "ref", "")
            self._sent.append(Sent(self.t, "cancel", leg_of(ref), ref, None))
            return self.courier._fate("cancel", leg_of(ref), None)
        refusal = next((each for each in self._refused if each[0] == kind), None)
        if refusal is not None:
            self._refused.remove(refusal)
            number = int(fields[1] if kind == HISTORY else fields[2])
            self.loop.call_soon(lambda: self.actions.say(code=refusal[1], text=refusal[2], request=number))
            return ()
        what = QUESTIONS.get(kind)
        if what is not None:
            if self._ages.get(what, 0.0) is None:
                return ()
            return (self._answer,)
        return (0.0,)

    def _down(self, message: Message) -> Sequence[float] | None:
        ref = self._ref(message.number) if message.number else ""
        shown: Any = None
        if message.what == "execution":
            shares = int(message.fields[19])
            shown = SimpleNamespace(execution=SimpleNamespace(ref=ref, qty=shares))
        if any(rule.takes(message.what, leg_of(ref), shown) for rule in self._holds):
            self._held.append(message)
            return None
        return self.courier._fate(message.what, leg_of(ref), shown)

    def _answered(self, frame: bytes, fields: list[str]) -> bytes:
        """Return a frame of an answer as old as it is to be, and data as live as they are to be."""
        if fields[0] == "90":
            return encode(*fields[:3], self.respell(fields[3]), *fields[4:])
        if fields[0] == "58":
            return outgoing.market_data_type(int(fields[2]), self._data_type)
        age = self._ages.get("executions")
        if age and fields[0] == "11" and self._known_at.get(fields[14], -1e9) > self.t - age:
            return b""
        age = self._ages.get("positions")
        if age and fields[0] == "61":
            then = next((held for at, held in reversed(self._positions) if at <= self.t - age), {})
            shares = then.get(fields[4], 0)
            return encode(*fields[:14], shares, *fields[15:]) if shares else b""
        return frame

    def pictures(self, *, answer: float = 0.0, **ages: float | None) -> None:
        """Say how old parts of a picture are; ``None`` is never answered."""
        self._answer, self._ages = answer, dict(ages)

    def release(self) -> None:
        """Hand over what was kept back, in its order."""
        held, self._held, self._holds = self._held, [], []
        cable = self.net.cable
        assert isinstance(cable, ScriptedCable)
        for message in held:
            self.inside(lambda heard=message: cable.send_again(heard))  # type: ignore[misc]  # a lambda's default has no type

    def release_around(self, frame: bytes, after: int = 1) -> None:
        """Hand over what was kept back, in one packet, with another message behind the first ``after`` of it."""
        held, self._held, self._holds = self._held, [], []
        parts = [b"".join(message.frames) for message in held]
        cable = self.net.cable
        assert isinstance(cable, ScriptedCable)
        self.inside(lambda: cable.send_whole(b"".join((*parts[:after], frame, *parts[after:]))))

    def say(self, event: i.Input) -> None:
        """Let the gateway say something that it would never say by itself."""
        frames = list(self._in_bytes(event))
        self.inside(lambda: [session.send(frame) for session in self.gateway.sessions for frame in frames])

    def _record_of(self, ref: str) -> Record:
        return next(
            record for record in reversed(self.gateway.orders.records.values()) if record.order.order_ref == ref
        )

    def _in_bytes(self, event: i.Input) -> Iterator[bytes]:
        if isinstance(event, i.OrderRefusedByBroker):
            number = self._record_of(event.ref).number if event.ref else -1
            yield outgoing.error(number, event.code, event.text, 178)
        elif isinstance(event, i.OrderReported):
            report = event.report
            record = self._record_of(self.venue.ref_of(report.ref))
            order = record.order
            if report.stop is not None:
                order = replace(order, aux=report.stop)
            if report.limit is not None:
                order = replace(order, limit=report.limit)
            view = replace(
                record.view(),
                order=order,
                status=NAMES.get(report.state, "PreSubmitted"),
                filled=report.filled,
                remaining=report.remaining,
            )
            yield open_order(view, 178)
            yield order_status(view)
        else:
            raise AssertionError(f"no bytes for {event}")

    # --- the link -----------------------------------------------------------------------------------------------------

    def drop_link(
        self, why: str = "socket closed", *, lose_orders: bool = True, unnoticed: float = 0.0
    ) -> None:
        """Cut the connection, and let nobody answer."""
        self.net.is_down = True
        self.cut_cable(why, lose_orders=lose_orders, unnoticed=unnoticed)

    def cut_cable(
        self, why: str = "reset", *, lose_orders: bool = True, unnoticed: float = 0.0, ghost: float = 0.0
    ) -> None:
        """Cut the connection; a new one can be made. ``ghost``: seconds for which the gateway takes the old one for alive."""
        cable = self.net.cable
        assert cable is not None
        self.inside(
            lambda: cable.cut(
                why, loses_up=lose_orders, unnoticed=int(unnoticed * SECOND), ghost=int(ghost * SECOND)
            )
        )

    def cut_at(self, leg: str, *, arrives: bool, action: str = "place") -> None:
        """Cut the connection, and let nobody answer, as the next order of a leg leaves: it arrives, or it is lost."""
        self._cut_at = (action, leg, arrives)

    def _cut_now(self, *, arrives: bool) -> None:
        cable = self.net.cable
        assert cable is not None
        self.net.is_down = True
        cable.cut("reset", loses_up=not arrives, unnoticed=0)

    def restore_link(self, *, by_itself: bool = False) -> None:
        """Let the gateway answer again; ``by_itself``: the program has to find out."""
        self.net.is_down = False
        if not by_itself:
            self.connect()

    # --- what the network tells ---------------------------------------------------------------------------------------

    def opened(self) -> None:
        """Hear that a connection begins."""
        self.cables += 1

    def asked(self, kind: int, fields: list[str]) -> None:
        """Hear that a message of the program has left."""
        self.requests.append((self.t, kind))
        if kind == HELLO:
            self.hellos.add(int(fields[2]))

    def arrived(self, kind: int) -> None:
        """Hear that a message has reached the gateway."""

    def delivered(self, kind: int, fields: list[str]) -> None:
        """Hear that a message has reached the program."""

    def cut(self, why: str) -> None:
        """Hear that messages do not pass any more."""

    def when_free(self, act: Callable[..., None], *args: Any) -> None:
        """Let the program do something: it is never busy."""
        act(*args)


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """Await an attempt whose failure the program tells by itself."""
    try:
        await work
    except TradeshellError:
        return


def _kill(kind: str, where: str, *, nth: int = 1, leg: str = "", tear: float = 0.5, loses: bool = False) -> Kill:
    return Kill(at=0, on="", kind=kind, nth=nth, where=where, leg=leg, down=0, tear=tear, loses=loses)


@contextmanager
def wired(folder: Path, **more: Any) -> Iterator[WireStage]:
    """Open a stage over the wire, and close it at the end."""
    stage = WireStage(folder, **more)
    try:
        yield stage
    finally:
        stage.close()
