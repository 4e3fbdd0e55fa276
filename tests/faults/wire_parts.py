"""Parts of the stage over the wire: the scripted market as a gateway looks it up, the venue behind the gateway, the network.

Laws: what is true is what the gateway's exchange has; the network does with messages what the test said, whole messages at a
time, and everything else arrives at once, in order. A message that is delayed lets those behind it pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, NamedTuple

from msgspec.structs import replace
from tests.simulation.loop import SECOND, SimClock, SimLoop
from tests.simulation.path import Move
from tests.simulation.wired.net import GREETING, Cable, Net, frames
from tests.simulation.wired.venue import CLIENT, WiredVenue

from tradeshell.core.market import Bar, Quote
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.session import Session, Wire
from tradeshell_paper.tws.view import DayStats, Trade

ORDER, CANCEL, STATUS, ERROR, OPEN_ORDER, EXECUTION, FEE, POSITION = 3, 4, 3, 4, 5, 11, 59, 61
CANCELLED = "202"
LONG = 10**15  # microseconds: never


class Message(NamedTuple):
    """A message of the gateway about orders or positions: its frames, and what rules ask of it.

    ``what``: status execution commission position refusal; an order and its status that follow each other are one message.
    """

    what: str
    number: int
    frames: tuple[bytes, ...]
    fields: list[str]


class ScriptView:
    """The gateway's view of a market that a test plays. ``is_beating``: the gateway sends 5-second bars by itself."""

    def __init__(self, symbols: Sequence[str], start: datetime) -> None:
        self.is_beating = False
        self.trades: dict[str, list[Trade]] = {symbol: [] for symbol in symbols}
        self.bars: list[Bar] = []  # told by the test
        self.older: list[Bar] = []  # of before the test: history only
        self._start = start

    def has(self, symbol: str) -> bool:
        """Return whether there is such a stock."""
        return symbol in self.trades

    def made(self, symbol: str, start: datetime, seconds: int) -> Bar | None:
        """Return the bar that starts there, made of what was traded."""
        end = start + timedelta(seconds=seconds)
        found = [t for t in self.trades[symbol] if start <= t.at < end]
        if not found:
            return None
        prices = [t.price for t in found]
        size = sum(t.size for t in found)
        return Bar(symbol, start, seconds, prices[0], max(prices), min(prices), prices[-1], size)

    def past(self, symbol: str, seconds: int, rth: bool, until: datetime, count: int) -> Iterator[list[Bar]]:
        """Yield closed bars that end by ``until``, newest first."""
        del rth
        if seconds == 5 and not self.is_beating:
            return
        told = {
            bar.start: bar
            for bar in (*self.older, *self.bars)
            if (bar.symbol, bar.seconds) == (symbol, seconds)
        }
        start = datetime.fromtimestamp(int(until.timestamp()) // seconds * seconds, until.tzinfo)
        found: list[Bar] = []
        first = min((self._start, *told))
        while start > first and len(found) < count:
            start -= timedelta(seconds=seconds)
            bar = told.get(start) or self.made(symbol, start, seconds)
            if bar is not None and bar.end <= until:
                found.append(bar)
        yield found

    def forming(self, symbol: str, seconds: int, rth: bool, now: datetime) -> Bar | None:
        """Return the bar that lasts, as far as it has traded."""
        del rth
        start = datetime.fromtimestamp(int(now.timestamp()) // seconds * seconds, now.tzinfo)
        return self.made(symbol, start, seconds)

    def last(self, symbol: str, now: datetime) -> Trade | None:
        """Return the newest trade."""
        return next((t for t in reversed(self.trades[symbol]) if t.at <= now), None)

    def prints(self, symbol: str, first: datetime, after: datetime) -> list[Trade]:
        """Return the trades in ``[first, after)``."""
        return [t for t in self.trades[symbol] if first <= t.at < after]

    def has_prints(self, symbol: str) -> bool:
        """Say that single trades are known."""
        return True

    def touches(self, symbol: str, first: datetime, after: datetime) -> list[Quote]:
        """Return none: nobody asks for past touches here."""
        return []

    def day(self, symbol: str, now: datetime) -> DayStats:
        """Return nothing of the day."""
        return DayStats()

    def begin(self, symbol: str) -> datetime:
        """Return since when there is data."""
        return self._start


class WireVenue(WiredVenue):
    """The exchange behind its gateway, with the words in which the stage speaks to a venue."""

    def __init__(
        self,
        loop: SimLoop,
        clock: SimClock,
        settings: dict[str, Any],
        account: str,
        witness: Callable[[str, dict[str, Any]], None],
        refuse: Callable[..., Any],
        symbols: Sequence[str],
    ) -> None:
        paths = {symbol: SimpleNamespace(moves=()) for symbol in symbols}
        schedule: Any = SimpleNamespace(
            start=clock.start, account=account, paths=paths, history=0, seed=0, faults=0, fault_free_from=LONG,
            habits=SimpleNamespace(settings=settings),
        )  # fmt: skip
        super().__init__(schedule, loop, clock, witness, refuse)
        self.view = ScriptView(symbols, clock.start)
        self.gateway.house.view = self.view
        self.gateway.house.highest_version = 178
        self.market: Any = self.house._market

    def on_touch(self, now: datetime, symbol: str) -> None:
        """Let the touch be seen."""
        self.house.on_touch(now, symbol)

    def move(self, symbol: str, move: Move, tick: Decimal) -> None:
        """Do one thing that the market does."""
        if move.kind == "print":
            trade = Trade(self._clock.now(), tick * move.a, move.size)
            self.view.trades[symbol].append(trade)
        super().move(symbol, move, tick)
        if move.kind == "print":
            self.house.on_touch(self._clock.now(), symbol)

    def cancel_outside(self, order_id: int) -> None:
        """Cancel an order of ours by hand."""
        self.intervene(lambda exchange, now: exchange.cancel_outside(now, order_id))

    def alter_order(self, order_id: int, **changes: Any) -> None:
        """Change an order of ours by hand."""
        self.intervene(lambda exchange, now: exchange.alter_order(now, order_id, **changes))

    def kill_order(self, order_id: int, code: int, text: str, *, final: bool) -> None:
        """End an order that nobody asked to end."""
        self.intervene(lambda exchange, now: exchange.kill_order(now, order_id, code, text, final=final))

    def fill_late(self, order_id: int, qty: int, price: Decimal) -> None:
        """Let a cancelled order execute."""
        self.intervene(lambda exchange, now: exchange.fill_late(now, order_id, qty, price))

    def bust(self, exec_id: str) -> None:
        """Break a trade."""
        self.intervene(lambda exchange, now: exchange.bust(now, exec_id))

    @property
    def listeners(self) -> dict[tuple[str, int], list[Any]]:
        """Who is told bars of 60 seconds: whoever asked for their parts, in one telling."""
        wanted = {symbol for s in self.gateway.sessions for _, symbol in s.history.real_time.values()}
        return {(symbol, 60): [SimpleNamespace(on_bar=self.tell_bar)] for symbol in wanted}

    def tell_bar(self, bar: Bar) -> None:
        """Send a bar that has ended as its 5-second parts, to who asked for those of its symbol."""
        self.view.bars.append(bar)
        house = self.gateway.house
        for listener in tuple(self.house.listeners.get((bar.symbol, bar.seconds), ())):
            listener.on_bar(bar)  # histories that are kept up to date
        if house.switches.bars_silent or house.is_cut_off:
            return
        for session in tuple(self.gateway.sessions):
            for number, (_, symbol) in tuple(session.history.real_time.items()):
                if symbol != bar.symbol:
                    continue
                for part in parts_of(bar):
                    session.send(outgoing.real_time_bar(number, part, house.shown(part.start), part.close, 1))


def parts_of(bar: Bar) -> Iterator[Bar]:
    """Yield the 5-second bars that a longer one is made of: its range is in the first, its close in the rest."""
    for offset in range(0, bar.seconds, 5):
        start = bar.start + timedelta(seconds=offset)
        if offset == 0:
            yield Bar(bar.symbol, start, 5, bar.open, bar.high, bar.low, bar.close, max(1, bar.volume))
        else:
            yield Bar(bar.symbol, start, 5, bar.close, bar.close, bar.close, bar.close, 1)


class ScriptedNet(Net):
    """The network of the stage. ``up`` and ``down`` say what becomes of a message, in seconds of delay for each copy."""

    def __init__(self, loop: SimLoop, gateway: Callable[[], Gateway], tap: Any) -> None:
        schedule: Any = SimpleNamespace(seed=0, wire=None)
        courier: Any = SimpleNamespace(tally=Counter())
        super().__init__(schedule, loop, courier, lambda wire: gateway().connect(wire), tap)
        self.up: Callable[[int, list[str]], Sequence[float]] = lambda _kind, _fields: (0.0,)
        self.down: Callable[[Message], Sequence[float] | None] = lambda _message: (0.0,)
        self.answers: Callable[[bytes, list[str]], bytes] = lambda frame, _fields: frame
        self.dials: list[float] = []

    async def connector(self, factory: Callable[[], Any]) -> tuple[Any, Any]:
        """Connect a program; raises ``OSError`` when nobody answers."""
        self.dials.append(self.loop.time())
        if self.is_down:
            raise ConnectionRefusedError("nobody answers")
        protocol = factory()
        cable = self.cable = ScriptedCable(self, protocol)
        self.tap.opened()
        cable.session = self._connect(_Far(cable))
        protocol.connection_made(cable.near)
        return cable.near, protocol

    def delay_up(self) -> int:
        """Nothing takes time."""
        return 0

    def delay_down(self) -> int:
        """Nothing takes time."""
        return 0

    def split_at(self, size: int) -> int:
        """Nothing comes apart."""
        return size


class _Far(Wire):
    """The gateway's end of a cable."""

    def __init__(self, cable: ScriptedCable) -> None:
        self._cable = cable

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._cable.send_down(data)

    def close(self) -> None:
        """Close after what was written."""
        self._cable.far_closed(None)

    def abort(self) -> None:
        """Close at once."""
        self._cable.far_closed(ConnectionResetError("reset by peer"))

    def backlog(self) -> int:
        """Return nothing."""
        return 0


class ScriptedCable(Cable):
    """One connection whose messages have fates."""

    _net: ScriptedNet
    session: Session | None

    def send_up(self, data: bytes) -> None:
        """Take bytes of the program."""
        if not self._near_open:
            return
        if data.startswith(GREETING):
            super().send_up(data)
            return
        net = self._net
        for fields in frames(data):
            kind = int(fields[0]) if fields and fields[0].isdigit() else -1
            net.tap.asked(kind, fields)
            payload = "\0".join(fields).encode() + b"\0"
            frame = len(payload).to_bytes(4, "big") + payload
            for delay in net.up(kind, fields):
                at = net.loop.micros + round(delay * SECOND)
                self._up_to = max(self._up_to, at)
                net.loop.at(at, self._reach, frame, (kind,))

    def send_down(self, data: bytes) -> None:
        """Take bytes of the gateway."""
        session = self.session
        if session is None or session.version == 0 or not session.is_started:
            super().send_down(data)
            return
        kept: list[bytes] = []
        for message in messages(data):
            if not isinstance(message, Message):
                kept.append(self._net.answers(*message))
                continue
            for delay in self._net.down(message) or ():
                if delay == 0:
                    kept += message.frames
                else:
                    at = self._net.loop.micros + round(delay * SECOND)
                    self._net.loop.at(at, super().send_down, b"".join(message.frames))
        if any(kept):
            super().send_down(b"".join(kept))

    def send_whole(self, data: bytes) -> None:
        """Send bytes as they are."""
        super().send_down(data)

    def send_again(self, message: Message) -> None:
        """Send a message that was kept back."""
        super().send_down(b"".join(message.frames))


def messages(data: bytes) -> Iterator[Message | tuple[bytes, list[str]]]:
    """Yield the messages in a write: those that rules are about, and the frames of all others.

    What stands before the end mark of an answer is the answer, and no news.
    """
    parted: list[tuple[bytes, list[str]]] = []
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        parted.append((data[at:end], data[at + 4 : end].decode(errors="replace").split("\0")[:-1]))
        at = end
    kinds = [fields[0] for _, fields in parted]
    index = 0
    while index < len(parted):
        frame, fields = parted[index]
        kind, rest = fields[0], kinds[index:]
        index += 1
        if kind == "5" and "53" not in rest:
            follows = parted[index : index + 1]
            if follows and follows[0][1][:2] == ["3", fields[1]]:
                index += 1
                yield Message("status", int(fields[1]), (frame, follows[0][0]), follows[0][1])
            else:
                yield Message("status", int(fields[1]), (frame,), fields)
        elif kind == "3" and "53" not in rest:
            yield Message("status", int(fields[1]), (frame,), fields)
        elif kind == "11" and fields[1] == "-1":
            yield Message("execution", int(fields[2]), (frame,), fields)
        elif kind == "59" and "55" not in rest:
            yield Message("commission", 0, (frame,), fields)
        elif kind == "61" and "62" not in rest:
            yield Message("position", 0, (frame,), fields)
        elif kind == "4" and int(fields[2]) > 0:
            yield Message("status" if fields[3] == CANCELLED else "refusal", int(fields[2]), (frame,), fields)
        else:
            yield frame, fields


class Named:
    """A ticket of the gateway's exchange under the client's name."""

    def __init__(self, ticket: Any, ref: str) -> None:
        self._ticket = ticket
        self.spec = replace(ticket.spec, ref=ref)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ticket, name)


__all__ = ["CLIENT", "Message", "Named", "ScriptedNet", "WireVenue"]
