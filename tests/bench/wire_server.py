"""The neutral end of the wire: a thin scripted TWS that sends bytes, and notes when an order's bytes come back.

It greets, answers what clients ask for before they trade, and then plays. Every frame that is timed was made before; between
the two readings of the clock there is one ``sendall``, one ``recv`` and a look at the kind of a message. All clients get the same
bytes (their request numbers apart), one after the other, and who goes first changes with each trigger.

*Trigger*: the five-second bar of a symbol whose close is above the level, until the first order. *Fill*: the execution of a
ladder's entry with its status, fee and position in one write, until the sixth exit. *Stream*: so many quotes a second of every
symbol for some seconds, and the CPU time that the client's process used.

Prints ``listening on PORT``, takes the ``SCRIPT`` (JSON) from its command line, and ends with one line of JSON.
"""

from __future__ import annotations

import json
import random
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # a script begins in its own folder

import msgspec  # the path is set above

from tradeshell import US_STOCK_GRID
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.encode_orders import ExecutionView, commission_report, exec_details, position
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.outgoing import ContractCard
from tradeshell_paper.tws.values import WireContract

VERSION = 178
ACCOUNT = "DU0000001"
PLACE = b"3\0"
BAR = 5  # seconds
LEVEL = "190"  # USD: what the clients wait for
QUIET_CLOSE, LOUD_CLOSE = "189.95", "190.12"  # USD, below and above it
BID, ASK = "190.13", "190.15"
FILL_PRICE = Decimal("190.15")
LADDER_EXITS = 6
LATE = 3.0  # seconds after which an order does not come any more
SETTLE = (
    0.002  # seconds between the quote that a trigger needs and the trigger, for the client to fall asleep
)
REST = 0.004  # seconds after an order before anybody else is asked
BATCH = 0.005  # seconds between two writes of a stream


class Script(msgspec.Struct, frozen=True):
    """What is played. ``warm`` triggers are not counted; ``stream`` seconds of ``rate`` quotes a second and symbol."""

    clients: tuple[str, ...]  # by client id, from 1
    entries: tuple[str, ...] = ()
    ladders: tuple[str, ...] = ()
    streamed: tuple[str, ...] = ()
    warm: int = 20
    warm_ladders: int = 5
    pace: float = 0.07  # seconds between two triggers of one client
    ladder_pace: float = 0.35
    stream: float = 0.0
    rate: int = 20
    rounds: int = 1
    witnessed: tuple[str, ...] = ()  # files that have to name an order when its bytes are here
    witnesses: str = ""  # of which client

    @property
    def symbols(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.entries, *self.ladders, *self.streamed)


class Lost(Exception):
    """A client did not do what it should."""


def contract_of(script: Script, symbol: str) -> WireContract:
    """Return the contract that a symbol means."""
    return WireContract(
        con_id=1000 + script.symbols.index(symbol),
        symbol=symbol,
        sec_type="STK",
        exchange="SMART",
        primary_exchange="NASDAQ",
        currency="USD",
        local_symbol=symbol,
        trading_class=symbol,
    )


def details(request: str, contract: WireContract) -> bytes:
    """Return the card of a stock whose market is open for days."""
    day = datetime.now(UTC) - timedelta(days=1)
    hours = ";".join(
        f"{day + timedelta(days=n):%Y%m%d}:0000-{day + timedelta(days=n):%Y%m%d}:2359" for n in range(5)
    )
    card = ContractCard(
        contract=contract,
        long_name=contract.symbol,
        min_tick=Decimal("0.01"),
        order_types="LMT,STPLMT,OCA",
        exchanges=("SMART", "NASDAQ"),
        rule=26,
        trading_hours=hours,
        liquid_hours=hours,
    )
    return outgoing.contract_details(int(request), card, VERSION) + outgoing.contract_details_end(
        int(request)
    )


class Client:
    """One program at the other end."""

    def __init__(self, sock: socket.socket, script: Script) -> None:
        self.sock, self.name, self.pid = sock, "", 0
        self._script = script
        self._data = b""
        self.bars: dict[str, str] = {}  # symbol -> number of its request
        self.quotes: dict[str, str] = {}
        self.placed: list[list[str]] = []
        self.orders: list[list[str]] = []  # all that came: symbol, side, shares, type, limit, stop
        sock.settimeout(LATE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def greet(self) -> None:
        """Agree on the version."""
        greeting = b""
        while len(greeting) < 8 or len(greeting) < 8 + int.from_bytes(greeting[4:8], "big"):
            greeting += self.sock.recv(4096)
        self._data = greeting[8 + int.from_bytes(greeting[4:8], "big") :]
        self.sock.sendall(outgoing.handshake(VERSION, datetime.now(UTC)))

    def frames(self) -> Iterator[bytes]:
        """Yield the messages that are there whole."""
        while len(self._data) >= 4:
            end = 4 + int.from_bytes(self._data[:4], "big")
            if len(self._data) < end:
                return
            frame, self._data = self._data[4:end], self._data[end:]
            yield frame

    def read(self) -> None:
        """Take what has come."""
        data = self.sock.recv(1 << 16)
        if not data:
            raise Lost(f"{self.name or 'a client'} has left")
        self._data += data

    def serve(self) -> None:
        """Answer what was asked."""
        for frame in self.frames():
            self._answer(frame.decode().split("\0")[:-1])

    def _answer(self, fields: list[str]) -> None:
        kind = fields[0]
        if kind == "71":
            self.name = self._script.clients[int(fields[2]) - 1]
            self.sock.sendall(outgoing.managed_accounts([ACCOUNT]) + outgoing.next_valid_id(1))
        elif kind == "9":
            wanted = next(f for f in fields if f in self._script.symbols)
            self.sock.sendall(details(fields[2], contract_of(self._script, wanted)))
        elif kind == "91":
            self.sock.sendall(outgoing.market_rule(int(fields[1]), US_STOCK_GRID))
        elif kind == "1":
            self.quotes[fields[4]] = fields[2]
        elif kind == "50":
            self.bars[fields[4]] = fields[2]
        elif kind == "49":
            self.sock.sendall(outgoing.current_time(datetime.now(UTC)))
        elif kind in ("5", "16"):
            self.sock.sendall(encode(*outgoing.OPEN_ORDERS_END))
        elif kind == "61":
            self.sock.sendall(encode(*outgoing.POSITIONS_END))
        elif kind == "7":
            self.sock.sendall(encode(55, 1, fields[2]))
        elif kind == "3":
            self.placed.append(fields)

    # --- what is timed ------------------------------------------------------------------------------------------------

    def time_orders(self, frame: bytes, count: int) -> float:
        """Send ``frame``; return the seconds until the last of ``count`` orders was here."""
        self.placed.clear()
        sock, clock = self.sock, time.perf_counter
        found, orders, late = self._data, [], clock() + LATE
        began = clock()
        sock.sendall(frame)
        while True:
            data = sock.recv(1 << 16)
            took = clock()
            found += data
            while len(found) >= 4 and len(found) >= (end := 4 + int.from_bytes(found[:4], "big")):
                if found.startswith(PLACE, 4):
                    orders.append(found[4:end])
                else:
                    self._answer(found[4:end].decode().split("\0")[:-1])
                found = found[end:]
            if len(orders) >= count:
                break
            if not data or took > late:
                raise Lost(f"{self.name}: {len(orders)} orders of {count} came")
        self._data = found
        self.placed = [order.decode().split("\0")[:-1] for order in orders]
        self.orders += [[order[3], *order[16:21]] for order in self.placed]
        if self._script.witnesses == self.name:
            self._look_at_the_records()
        return took - began

    def _look_at_the_records(self) -> None:
        """See that what is here is on disk there. Only a test asks for it: it takes its time."""
        for path in self._script.witnessed:
            said = Path(path).read_bytes()
            for order in self.placed:
                if f'"{order[26]}"'.encode() not in said:
                    raise Lost(f"{order[26]} has come and is not in {path}")

    # --- frames -------------------------------------------------------------------------------------------------------

    def touch(self, symbol: str) -> bytes:
        """Return both sides of the market."""
        number = self.quotes[symbol]
        return b"".join(
            (
                encode(1, 6, number, 1, BID, 200, 1),
                encode(2, 6, number, 0, 200),
                encode(1, 6, number, 2, ASK, 300, 1),
                encode(2, 6, number, 3, 300),
            )
        )

    def bar(self, symbol: str, close: str) -> bytes:
        """Return the bar that has just closed."""
        now = int(time.time())
        start = now - now % BAR - BAR
        return encode(50, 3, self.bars[symbol], start, "189.8", "190.2", "189.7", close, 5000, "190.0", 40)

    def ended(self, order: list[str], word: str, filled: str = "0", left: str = "0") -> bytes:
        """Return an orderStatus."""
        number = int(order[1])
        return encode(3, number, word, filled, left, "0", 900_000 + number, 0, "0", self.client_id, "", "0")

    @property
    def client_id(self) -> int:
        """Under which number it is connected."""
        return self._script.clients.index(self.name) + 1

    def executed(self, symbol: str, order: list[str], price: Decimal, after: int) -> bytes:
        """Return the execution of a whole order, as a gateway tells it: execution, status, fee, position."""
        number, qty = int(order[1]), int(order[17])
        contract = contract_of(self._script, symbol)
        exec_id = f"0000e0d5.{number:08x}.01.01"
        view = ExecutionView(
            exec_id=exec_id,
            at=datetime.now(UTC),
            order_id=number,
            client=self.client_id,
            perm_id=900_000 + number,
            contract=contract,
            account=ACCOUNT,
            venue="NASDAQ",
            side="BOT" if order[16] == "BUY" else "SLD",
            shares=qty,
            price=price,
            cumulative=qty,
            average=price,
            order_ref=order[26],
        )
        return (
            exec_details(view, VERSION)
            + self.ended(order, "Filled", str(qty), "0")
            + commission_report(exec_id, Decimal("1.0"), None)
            + position(ACCOUNT, contract, after, price)
        )


class Play:
    """The clients and the script."""

    def __init__(self, script: Script, clients: list[Client]) -> None:
        self.script = script
        self.clients = sorted(clients, key=lambda client: script.clients.index(client.name))

    def idle(self, until: float) -> None:
        """Serve the clients until an instant of ``perf_counter``."""
        while (left := until - time.perf_counter()) > 0:
            for client in _readable(self.clients, left):
                client.read()
                client.serve()

    def wait_until(self, ready: Callable[[], bool], seconds: float, words: str) -> None:
        """Serve the clients until something is so."""
        end = time.perf_counter() + seconds
        while not ready():
            if time.perf_counter() > end:
                raise Lost(words)
            self.idle(time.perf_counter() + 0.05)

    def order(self, turn: int) -> list[Client]:
        """Return whose turn it is, another one first each time."""
        at = turn % len(self.clients)
        return self.clients[at:] + self.clients[:at]

    def trigger(self, symbol: str, turn: int, count: int, then: Callable[[Client, float], None]) -> None:
        """Let one symbol break out at every client."""
        for client in self.order(turn):
            client.sock.sendall(client.touch(symbol))
            self.idle(time.perf_counter() + SETTLE)
            then(client, client.time_orders(client.bar(symbol, LOUD_CLOSE), count))
            self.idle(time.perf_counter() + REST)

    def entries(self) -> dict[str, list[float]]:
        """Play all entries; return the seconds of each client."""
        found: dict[str, list[float]] = {client.name: [] for client in self.clients}

        def note(client: Client, took: float) -> None:
            found[client.name].append(took)
            client.sock.sendall(client.ended(client.placed[0], "Cancelled", "0", client.placed[0][17]))

        for turn, symbol in enumerate(self.script.entries):
            began = time.perf_counter()
            self.trigger(symbol, turn, 1, note)
            self.idle(began + self.script.pace)
        return {name: times[self.script.warm :] for name, times in found.items()}

    def ladders(self) -> dict[str, list[tuple[float, float]]]:
        """Play all ladders; return the seconds to the entry, and from its fill to the last exit."""
        found: dict[str, list[tuple[float, float]]] = {client.name: [] for client in self.clients}
        for turn, symbol in enumerate(self.script.ladders):
            began = time.perf_counter()

            def fill(client: Client, took: float, symbol: str = symbol) -> None:
                entry = client.placed[0]
                frame = client.executed(symbol, entry, FILL_PRICE, int(entry[17]))
                self.idle(time.perf_counter() + SETTLE)
                exits = client.time_orders(frame, LADDER_EXITS)
                found[client.name].append((took, exits))
                self._close(client, symbol, client.placed)

            self.trigger(symbol, turn, 1, fill)
            self.idle(began + self.script.ladder_pace)
        return {name: times[self.script.warm_ladders :] for name, times in found.items()}

    def _close(self, client: Client, symbol: str, exits: list[list[str]]) -> None:
        """Sell the ladder at its targets, so that nothing of it stays open."""
        left = sum(int(order[17]) for order in exits if order[18] == "LMT")
        for order in exits:
            if order[18] == "LMT":
                left -= int(order[17])
                client.sock.sendall(client.executed(symbol, order, Decimal(order[19]), left))
            else:
                client.sock.sendall(client.ended(order, "Cancelled", "0", order[17]))
        self.idle(time.perf_counter() + REST)

    def streams(self) -> dict[str, list[dict[str, float]]]:
        """Stream to one client after the other, the same quotes; return the CPU seconds of each."""
        found: dict[str, list[dict[str, float]]] = {client.name: [] for client in self.clients}
        for number in range(self.script.rounds + 1):
            for client in self.order(number):
                cost = self._stream(client, random.Random(number))
                if number:  # the first round warms up
                    found[client.name].append(cost)
        return found

    def _stream(self, client: Client, chance: random.Random) -> dict[str, float]:
        script = self.script
        batch = round(len(script.streamed) * script.rate * BATCH)
        batches = [self._quotes(client, batch, chance) for _ in range(round(script.stream / BATCH))]
        before, began = cpu_of(client.pid), time.perf_counter()
        for number, frames in enumerate(batches, 1):
            client.sock.sendall(frames)
            self.idle(began + number * BATCH)
        took = time.perf_counter() - began
        self.idle(time.perf_counter() + 0.2)  # what is still on its way is theirs, too
        return {"cpu": cpu_of(client.pid) - before, "wall": took, "quotes": float(batch * len(batches))}

    def _quotes(self, client: Client, count: int, chance: random.Random) -> bytes:
        """Return quotes of symbols by chance: a side with its price and size, as TWS sends one change."""
        frames = []
        for _ in range(count):
            number = client.quotes[chance.choice(self.script.streamed)]
            cents, is_ask = chance.randrange(50), chance.random() < 0.5
            price, size = f"{189 + is_ask}.{cents:02}", chance.randrange(1, 9) * 100
            frames.append(encode(1, 6, number, 2 if is_ask else 1, price, size, 1))
        return b"".join(frames)


def cpu_of(pid: int) -> float:
    """Return the CPU seconds that a process has used, all its threads."""
    return time.clock_gettime((~pid << 3) | 2)  # Linux: the CPU clock of a process, by its number


def _readable(clients: list[Client], seconds: float) -> list[Client]:
    found, _, _ = select.select([client.sock for client in clients], [], [], seconds)
    return [client for client in clients if client.sock in found]


def play(script: Script) -> dict[str, Any]:
    """Wait for the clients, play, and return what was found."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        print(f"listening on {listening.getsockname()[1]}", flush=True)
        clients = []
        for _ in script.clients:
            client = Client(listening.accept()[0], script)
            clients.append(client)
            client.greet()
            while not client.name:
                client.serve()
                if not client.name:
                    client.read()
    game = Play(script, clients)
    wanted = len(script.symbols)
    game.wait_until(
        lambda: all(
            len(c.quotes) == wanted and len(c.bars) == wanted - len(script.streamed) for c in game.clients
        ),
        120.0,
        "a client did not subscribe to everything",
    )
    for client in game.clients:  # the first words about a symbol are no change
        for symbol in script.symbols:
            client.sock.sendall(client.touch(symbol))
    # A bar counts when it began to close after its watcher was started: the next one that ends does.
    game.idle(time.perf_counter() + BAR - time.time() % BAR + 0.5)
    for line in sys.stdin.readline().split():  # the processes behind the sockets, by name
        name, _, pid = line.partition("=")
        next(client for client in clients if client.name == name).pid = int(pid)
    found: dict[str, Any] = {}
    if script.entries:
        found["entries"] = game.entries()
    if script.ladders:
        found["ladders"] = game.ladders()
    if script.stream:
        found["streams"] = game.streams()
    found["orders"] = {client.name: client.orders for client in clients}
    for client in clients:
        client.sock.close()
    return found


if __name__ == "__main__":
    print(json.dumps(play(msgspec.json.decode(sys.argv[1], type=Script))))
