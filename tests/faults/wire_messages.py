"""The stage over the wire, its network: what becomes of messages, of the market's data, and of the connection.

Laws: what is done to a message is done to its bytes; nobody but the gateway's exchange decides what is true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from msgspec.structs import replace
from tests.faults.kit import Stage
from tests.faults.parts import CENT, Sent
from tests.faults.wire_parts import CLIENT, Message, ScriptedCable, ScriptedNet, WireVenue
from tests.simulation.loop import SECOND
from tests.simulation.path import Move

from tradeshell.core import inputs as i
from tradeshell.core.market import Bar, DataKind
from tradeshell.core.orders import OrderSpec
from tradeshell.core.trade import leg_of
from tradeshell.ports import BrokerContext
from tradeshell_ibkr.broker import IbkrBroker
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.encode_orders import open_order, order_status
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.records import STATUS as NAMES
from tradeshell_paper.tws.records import Record

MINUTE = 60 * SECOND
HELLO, HISTORY, REAL_TIME = 71, 20, 50  # messages of the program
QUESTIONS = {5: "orders", 16: "orders", 7: "executions", 61: "positions"}  # of a picture
PRICES = [1, 2, 45, 46, 57]  # what a gateway says of touches


class NotedBroker(IbkrBroker):
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


class OnTheWire(Stage):
    """The part of the stage that has its hands on the bytes."""

    venue: WireVenue  # type: ignore[assignment]  # it has the stage's words
    net: ScriptedNet
    gateway: Gateway
    actions: Actions
    broker: NotedBroker
    trades_on: bool
    respell: Callable[[str], str]
    requests: list[tuple[float, int]]
    hellos: set[int]
    cables: int
    _symbols: tuple[str, ...]
    _sent: list[Sent]
    _placed: set[int]
    _ages: dict[str, float | None]
    _answer: float
    _known_at: dict[str, float]
    _positions: list[tuple[float, dict[str, int]]]
    _refused: list[tuple[int, int, str]]
    _is_silent: bool
    _data_type: int
    _cut_at: tuple[str, str, bool]

    def connect(self) -> None:
        """Type ``connect``."""
        raise NotImplementedError

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
            if bar is not None and seconds == 60:
                for listener in tuple(listeners):
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
        frames = tuple(self._in_bytes(event))

        def send() -> None:
            for session in tuple(self.gateway.sessions):
                for frame in frames:
                    session.send(frame)

        self.inside(send)

    def _record_of(self, ref: str) -> Record:
        return next(
            record
            for record in reversed(self.gateway.orders.records.values())
            if record.order.order_ref == ref
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
            raise TypeError(f"no bytes for {event}")

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
