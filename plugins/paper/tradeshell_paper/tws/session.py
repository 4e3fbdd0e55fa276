"""One connection: bytes in, bytes out. It knows the protocol and the clock that it is given, and nothing of sockets.

Laws: ``feed`` never raises for what a client sends; what is not this protocol ends the connection, what cannot be read in a
message costs that message and is answered with an error. Frames leave in the order in which they were sent, several in one write;
the answer to the greeting leaves alone.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Protocol

from tradeshell import Handle
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.account import AccountDesk
from tradeshell_paper.tws.fields import FieldError
from tradeshell_paper.tws.frames import (
    FrameReader,
    ProtocolError,
    choose_version,
    decode,
    parse_greeting,
)
from tradeshell_paper.tws.history import HistoryDesk
from tradeshell_paper.tws.house import House
from tradeshell_paper.tws.ids import Ids
from tradeshell_paper.tws.messages import HANDLERS, request_of
from tradeshell_paper.tws.orders import OrderDesk
from tradeshell_paper.tws.pacing import MessagePacing
from tradeshell_paper.tws.quotes import QuoteDesk
from tradeshell_paper.tws.replies import OrderReplies

START_API = 71
FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
TAKEN = "Unable to connect as the client id is already in use. Retry with a unique client id."
TOO_FAST = "Max rate of messages per second has been exceeded:max=50 rec={} ({})"
BREACHES = 3  # after so many a client that asks too fast is dropped
PATIENT = "+PACEAPI"  # the option with which a client asks to be slowed down instead


class Wire(Protocol):
    """The way to the client."""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """Close after what was written has left."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...

    def backlog(self) -> int:
        """Return how many bytes were written and have not left."""
        ...


class Session:
    """One client. Made by the gateway when a connection comes; ``lost`` ends it."""

    def __init__(self, house: House, wire: Wire, ids: Ids, orders: OrderDesk, replies: OrderReplies) -> None:
        self.house = house
        self.orders = orders
        self.replies = replies
        self.ids = ids
        self.number = -1
        self.version = 0
        self.is_open = True
        self.is_started = False
        self.history = HistoryDesk(house, self)
        self.quotes = QuoteDesk(house, self, lambda: len(self.history.real_time))
        self.account = AccountDesk(house, self)
        self._wire = wire
        self._reader = FrameReader()
        self._pacing = MessagePacing()
        self._is_patient = False
        self._waiting: list[bytes] = []  # messages that came too fast from a patient client
        self._out: list[bytes] = []
        self._is_flushing = False
        self._timers: set[Handle] = set()
        self.on_end: Callable[[Session], None] = lambda _: None

    # --- in -----------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Take bytes as they come."""
        if not self.is_open or self.house.switches.half_open:
            return
        try:
            for payload in self._reader.feed(data):
                self._take(payload)
                if self._has_ended():
                    return
        except ProtocolError as error:
            self.house.log(f"closed a connection: {error}")
            self.close()

    def _has_ended(self) -> bool:
        return not self.is_open

    def lost(self) -> None:
        """Take that the connection is gone."""
        if self.is_open:
            self.is_open = False
            self._end()

    def _take(self, payload: bytes) -> None:
        if self.version == 0:
            self._greet(payload)
            return
        switches = self.house.switches
        limit = switches.messages_per_second
        if switches.pacing == "off" or (not self._waiting and self._pacing.allows(self.house.now(), limit)):
            self._handle(payload)
        elif switches.pacing == "delay" or self._is_patient:
            self._wait(payload)
        else:
            self._pacing.breaches += 1
            self.error(-1, 100, TOO_FAST.format(limit + 1, self._pacing.breaches))
            if self._pacing.breaches >= BREACHES:
                self.close()

    def _wait(self, payload: bytes) -> None:
        self._waiting.append(payload)
        if len(self._waiting) == 1:
            self._later(self._pacing.free_at(self.house.now()), self._go_on)

    def _go_on(self) -> None:
        limit = self.house.switches.messages_per_second
        while self._waiting and self.is_open and self._pacing.allows(self.house.now(), limit):
            self._handle(self._waiting.pop(0))
        if self._waiting and self.is_open:
            self._later(self._pacing.free_at(self.house.now()), self._go_on)

    def _greet(self, payload: bytes) -> None:
        if self.house.switches.greeting == "silent":
            return
        greeting = parse_greeting(payload)
        version = choose_version(greeting, self.house.highest_version)
        if version is None:
            raise ProtocolError(f"no common version with {greeting.lowest}..{greeting.highest}")
        self.version = version
        self._is_patient = PATIENT in greeting.options.split()
        # Alone in its write: a client of 2020 reads it with one call and loses what comes with it.
        self._wire.write(outgoing.handshake(version, self.house.shown(self.house.now())))

    def _handle(self, payload: bytes) -> None:
        values = decode(payload)
        try:
            message = int(values[0])
        except (ValueError, IndexError):
            self.error(-1, 320, "Error reading request.-'??' : cause - Unable to parse the message")
            return
        if not self.is_started:
            if message == START_API:
                self._start(values)
            return
        if message in self.house.switches.ignore:
            return
        handler = HANDLERS.get(message)
        if handler is None:
            self.house.log(f"client {self.number}: message {message} is not known")
            return
        try:
            handler(self, values[1:])
        except FieldError as error:
            text = str(error).encode("ascii", "replace").decode("ascii")
            said = f"Error reading request.-'b{message}' : cause - {text}"
            self.error(request_of(message, values), 320, said)
        except Exception as error:  # noqa: BLE001  # a defect of ours costs the message that shows it, and is told
            self.house.defects.append(error)
            self.house.log(f"client {self.number}: message {message} failed: {traceback.format_exc()}")
            said = f"Error processing request.-'b{message}' : cause - a defect of the gateway"
            self.error(request_of(message, values), 322, said)

    def _start(self, values: list[str]) -> None:
        house = self.house
        try:
            number = int(values[2])
        except (ValueError, IndexError):
            self.error(-1, 320, "Error reading request.-'b71' : cause - no client id")
            return
        if number < 0 or number >= 2**31:
            self.error(-1, 321, "Error validating request.-'b71' : cause - the client id is out of range")
            self.close()
            return
        if number in house.clients:
            self.error(-1, 326, TAKEN)
            self.close()
            return
        if house.switches.greeting == "mute":
            return
        self.number = number
        self.is_started = True
        house.clients[number] = self
        house.on_started()
        self.send(outgoing.managed_accounts(house.accounts))
        delay = house.switches.next_id_delay
        if delay > 0:
            self._later_by(delay, self._tell_next_id)
        else:
            self._tell_next_id()
        for code, text in FARMS:
            self.error(-1, code, text)

    def _tell_next_id(self) -> None:
        self.send(outgoing.next_valid_id(self.ids.next_order(self.number)))

    # --- out ----------------------------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send frames, together with what else is sent in this turn."""
        if not self.is_open or self.house.switches.half_open:
            return
        withheld = self.house.switches.withhold
        if withheld and int(frame[4 : frame.index(b"\0", 4)]) in withheld:
            return
        self._out.append(frame)
        if not self._is_flushing:
            self._is_flushing = True
            joined = self.house.switches.join_writes
            if joined > 0:
                self._later_by(joined, self._flush)
            else:
                self.house.clock.call_soon(self._flush)

    def error(self, request: int, code: int, text: str, reject: str = "") -> None:
        """Send an error message."""
        self.send(outgoing.error(request, code, text, self.version, reject))

    def _flush(self) -> None:
        self._is_flushing = False
        if not self.is_open or not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        piece = self.house.switches.split_writes
        if piece > 0:
            for at in range(0, len(data), piece):
                self._wire.write(data[at : at + piece])
        else:
            self._wire.write(data)
        if self._wire.backlog() > self.house.switches.max_backlog:
            self.house.log(f"client {self.number} does not read: dropped")
            self.abort()

    # --- ends ---------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the connection after what was sent has left."""
        if self.is_open:
            self._flush()
        if self.is_open:
            self.is_open = False
            self._wire.close()
            self._end()

    def abort(self) -> None:
        """End the connection at once."""
        if self.is_open:
            self.is_open = False
            self._wire.abort()
            self._end()

    def _end(self) -> None:
        if self.house.clients.get(self.number) is self:
            del self.house.clients[self.number]
        self.quotes.end()
        self.history.end()
        self.account.end()
        for timer in tuple(self._timers):
            timer.cancel()
        self._timers.clear()
        self._waiting.clear()
        self._out.clear()
        self.on_end(self)

    # --- time ---------------------------------------------------------------------------------------------------------

    def _later_by(self, seconds: float, call: Callable[[], None]) -> None:
        self._keep(self.house.after, seconds, call)

    def _later(self, at: object, call: Callable[[], None]) -> None:
        self._keep(self.house.clock.call_at, at, call)

    def _keep(self, schedule: Callable[..., Handle], when: object, call: Callable[[], None]) -> None:
        def go() -> None:
            self._timers.discard(timer)
            if self.is_open:
                call()

        timer = schedule(when, go)
        self._timers.add(timer)
