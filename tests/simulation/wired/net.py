"""The network of one schedule: bytes between the program and the gateway, on virtual time.

Laws: bytes of one direction keep their order, whatever delays them; what is under way when a cable is cut is lost towards the
program, and towards the gateway if that is asked for. A cable that is cut carries nothing; who holds its ends hears of it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

from tests.simulation.loop import SECOND, SimLoop
from tests.simulation.schedule import Schedule
from tests.simulation.wire import SimCourier

from tradeshell_paper.tws.session import Session, Wire

PICTURE = (5, 7, 16, 61)  # reqOpenOrders, reqExecutions, reqAllOpenOrders, reqPositions
GREETING = b"API\0"


class Tap(Protocol):
    """Who listens at the wire."""

    def opened(self) -> None:
        """Hear that a connection begins."""
        ...

    def asked(self, kind: int, fields: list[str]) -> None:
        """Hear that a message of the program has left."""
        ...

    def arrived(self, kind: int) -> None:
        """Hear that a message of the program has reached the gateway."""
        ...

    def delivered(self, kind: int, fields: list[str]) -> None:
        """Hear that a message of the gateway has reached the program."""
        ...

    def cut(self, why: str) -> None:
        """Hear that messages do not pass any more."""
        ...

    def when_free(self, act: Callable[..., None], *args: Any) -> None:
        """Let the program's thread do something, when it has time."""
        ...


# What the tap hears of the gateway's messages: orders, executions, fees and positions, not the market's data.
HEARD = frozenset(str(kind).encode() for kind in (3, 4, 11, 59, 61))


def frames(data: bytes) -> Iterator[list[str]]:
    """Yield the fields of the whole frames in ``data``; a greeting has none."""
    at = 0
    while at + 4 <= len(data) and not data.startswith(GREETING, at):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : end].decode(errors="replace").split("\0")[:-1]
        at = end


class _Parcel:
    """Bytes that were written at one instant and travel together, in the pieces in which they were written."""

    __slots__ = ("at", "is_gone", "parts")

    def __init__(self, at: int) -> None:
        self.at = at
        self.parts: list[bytes] = []
        self.is_gone = False


class Cable:
    """One TCP connection; both of its ends."""

    def __init__(self, net: Net, protocol: asyncio.Protocol) -> None:
        self._net = net
        self._protocol = protocol
        self._near_open = self._far_open = True
        self._up_to = self._down_to = 0
        self._loses_up = False
        self._rest = b""
        self._parcel: _Parcel | None = None
        self.session: Session | None = None
        self.near = Near(self)

    # --- towards the gateway ------------------------------------------------------------------------------------------

    def send_up(self, data: bytes) -> None:
        """Take bytes of the program."""
        if not self._near_open:
            return
        kept = []
        for fields in frames(data):
            kind = int(fields[0]) if fields and fields[0].isdigit() else -1
            self._net.tap.asked(kind, fields)
            if kind in PICTURE and self._net.swallows_question():
                continue
            kept.append((kind, fields))
        greeting = data.startswith(GREETING)
        if not greeting and not kept:
            return
        at = self._up_to = max(self._net.loop.micros + self._net.delay_up(), self._up_to)
        if greeting:
            self._net.loop.at(at, self._reach, data, ())
        for kind, fields in kept:
            payload = "\0".join(fields).encode() + b"\0"
            self._net.loop.at(at, self._reach, len(payload).to_bytes(4, "big") + payload, (kind,))

    def _reach(self, data: bytes, kinds: tuple[int, ...]) -> None:
        if self._loses_up or self.session is None or not self._far_open:
            return
        for kind in kinds:
            self._net.tap.arrived(kind)
        half = self._net.split_at(len(data))
        self.session.feed(data[:half])
        session = self._listener()  # which the first half may have ended
        if session is not None:
            session.feed(data[half:])

    def _listener(self) -> Session | None:
        return self.session if self._far_open else None

    # --- towards the program ------------------------------------------------------------------------------------------

    def send_down(self, data: bytes) -> None:
        """Take bytes of the gateway."""
        if not self._far_open:
            return
        net, parcel = self._net, self._parcel
        now = net.loop.micros
        if parcel is None or parcel.is_gone or parcel.at != now:
            parcel = self._parcel = _Parcel(now)
            self._down_to = max(now + net.delay_down(), self._down_to)
            net.loop.at(self._down_to, self._deliver, parcel)
        half = net.split_at(len(data))
        parcel.parts += (data[:half], data[half:]) if half < len(data) else (data,)

    def _deliver(self, parcel: _Parcel) -> None:
        parcel.is_gone = True
        self._net.tap.when_free(self._read, parcel)

    def _read(self, parcel: _Parcel) -> None:
        for data in parcel.parts:
            if not self._near_open or self.is_cut:
                return
            self._hear(data)
            self._protocol.data_received(data)

    def _hear(self, data: bytes) -> None:
        rest = self._rest + data if self._rest else data
        at, size = 0, len(rest)
        while size - at >= 4:
            end = at + 4 + int.from_bytes(rest[at : at + 4], "big")
            if end > size:
                break
            kind = rest[at + 4 : rest.find(b"\0", at + 4, at + 8)]
            if kind in HEARD:
                self._net.tap.delivered(
                    int(kind), rest[at + 4 : end].decode(errors="replace").split("\0")[:-1]
                )
            at = end
        self._rest = rest[at:]

    # --- ends ---------------------------------------------------------------------------------------------------------

    is_cut = False

    def cut(self, why: str, *, loses_up: bool, unnoticed: int, ghost: int = 0) -> None:
        """End it from outside: the gateway knows after ``ghost`` microseconds, the program after ``unnoticed``."""
        if self.is_cut:
            return
        self.is_cut, self._loses_up = True, loses_up
        self._net.tap.cut(why)
        loop = self._net.loop
        # What is under way upwards and not lost arrives at a gateway that has not noticed yet.
        loop.at(max(self._up_to if not loses_up else 0, loop.micros + ghost), self._end_far)
        loop.at(loop.micros + unnoticed, self._end_near, ConnectionResetError("reset by peer"))

    def near_closed(self) -> None:
        """The program has closed its end; what it wrote still arrives."""
        if not self._near_open:
            return
        self._near_open = False
        self._net.tap.cut("closed by the program")
        self._net.loop.at(max(self._up_to, self._net.loop.micros), self._end_far)
        self._net.loop.call_soon(self._protocol.connection_lost, None)

    def far_closed(self, error: Exception | None) -> None:
        """The gateway has closed its end; what it wrote still arrives, unless it was torn off."""
        if not self._far_open:
            return
        self._far_open = False
        self._net.tap.cut("closed by the gateway")
        at = self._down_to if error is None else self._net.loop.micros
        self._net.loop.at(max(at, self._net.loop.micros), self._end_near, error)

    def die(self, *, loses_up: bool) -> None:
        """The program is gone, without a word."""
        self._near_open, self._loses_up = False, loses_up
        self._net.tap.cut("the process is gone")
        self._net.loop.at(max(self._up_to, self._net.loop.micros), self._end_far)

    def _end_far(self) -> None:
        if self._far_open:
            self._far_open = False
            session, self.session = self.session, None
            if session is not None:
                session.lost()

    def _end_near(self, error: Exception | None) -> None:
        if self._near_open:
            self._near_open = False
            self._net.tap.when_free(self._protocol.connection_lost, error)

    @property
    def is_whole(self) -> bool:
        """Whether messages pass in both directions."""
        return self._near_open and self._far_open and not self.is_cut

    @property
    def is_near_open(self) -> bool:
        """Whether the program thinks that it is connected."""
        return self._near_open


class Near(asyncio.Transport):
    """The program's end, as asyncio's protocols know one."""

    def __init__(self, cable: Cable) -> None:
        super().__init__()
        self._cable = cable

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        self._cable.send_up(bytes(data))

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return not self._cable.is_near_open

    def get_write_buffer_size(self) -> int:
        """Return nothing: what is written has left."""
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return nothing: there is no socket."""
        return default

    def close(self) -> None:
        """Close."""
        self._cable.near_closed()

    def abort(self) -> None:
        """Close at once."""
        self._cable.near_closed()


class _Far(Wire):
    """The gateway's end."""

    def __init__(self, cable: Cable) -> None:
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
        """Return nothing: a program on virtual time always reads."""
        return 0


class Net:
    """Where programs find the gateway. ``is_down``: nobody answers."""

    def __init__(
        self,
        schedule: Schedule,
        loop: SimLoop,
        courier: SimCourier,
        connect: Callable[[Wire], Session | None],
        tap: Tap,
    ) -> None:
        self.loop = loop
        self.tap = tap
        self.is_down = False
        self.cable: Cable | None = None
        self._courier = courier
        self._wire = schedule.wire
        self._connect = connect
        self._chance = Random(f"{schedule.seed}/net")
        self._splits = self._chance.random() < 0.1
        self.tally: Counter[str] = courier.tally

    async def connector(self, factory: Callable[[], Any]) -> tuple[Any, Any]:
        """Connect a program; raises ``OSError`` when nobody answers."""
        wait = self.loop.create_future()
        self.loop.at(self.loop.micros + self.delay_up() + self.delay_down(), _go_on, wait)
        await wait
        if self.is_down:
            raise ConnectionRefusedError("nobody answers")
        protocol = factory()
        cable = self.cable = Cable(self, protocol)
        self.tap.opened()
        cable.session = self._connect(_Far(cable))
        protocol.connection_made(cable.near)
        return cable.near, protocol

    def delay_up(self) -> int:
        """Return how long bytes take to the gateway, in microseconds."""
        return self._courier._delay(self._wire.up) + self._slow(1 / 3)

    def delay_down(self) -> int:
        """Return how long bytes take to the program."""
        return self._courier._delay(self._wire.down) + self._slow(1 / 10)

    def _slow(self, part: float) -> int:
        wire, chance = self._wire, self._chance
        if self._courier.is_calm or not wire.slow:
            return 0
        if chance.random() >= wire.slow * part * self._courier._factor():
            return 0
        self.tally["message slow"] += 1
        return chance.randrange(min(wire.slow_by, 3 * SECOND))

    def swallows_question(self) -> bool:
        """Return whether a question for a picture is never answered."""
        wire = self._wire
        if self._courier.is_calm or not wire.silent or self._chance.random() >= wire.silent / 8:
            return False
        self.tally["snapshot without end"] += 1
        return True

    def split_at(self, size: int) -> int:
        """Return where bytes come apart on their way: at their end, mostly."""
        return self._chance.randrange(size) if self._splits and size > 1 else size


def _go_on(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
