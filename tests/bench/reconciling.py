"""What reconciling costs beside the broker's own answers: 50 positions, 200 orders, 1,000 executions over the gateway.

The gateway is a process of its own. It is asked for open orders, executions, positions and completed orders by three, in turns:
a *reader*, a socket that reads bytes up to the last end mark and looks into none of them; a *script*, the barest program on
ib_async that awaits the same four answers; and the program with all its parts, whose `reconcile` asks, decodes, books, compares
and writes what it writes.
"""

from __future__ import annotations

import asyncio
import io
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from ib_async import IB
from tests.crash.wire_parts import CLIENT, Control
from tests.gateway.process import running_gateway

from tradeshell.bootstrap import Program, Run, program
from tradeshell.config import load_settings
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan
from tradeshell_paper.tws.frames import encode

POSITIONS, FILLS, SHARES = 50, 20, 10  # symbols, executions of each entry, shares of each execution
PRICE = 100
ENDS = {b"53", b"55", b"62", b"102"}  # open orders, executions, positions, completed orders
REST = 0.6  # seconds between two questions: pictures are asked for at most four times a second
READY_WITHIN = 20.0  # seconds for one ladder


class Found(NamedTuple):
    """Seconds of each round, and what was there."""

    reader: list[float]
    script: list[float]
    ours: list[float]
    positions: int
    orders: int
    executions: int


class Reader:
    """Asks and reads, and does nothing else."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        versions = b"v157..178"
        self._socket.sendall(b"API\0" + len(versions).to_bytes(4, "big") + versions)
        self._data = b""
        self._until({b"178"})
        self._socket.sendall(encode(71, 2, 55, ""))
        self._until({b"9"})

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self) -> float:
        """Ask for everything; return the seconds until the last answer was complete."""
        questions = encode(99, 0) + encode(16, 1) + encode(7, 3, 1, 0, "", "", "", "", "", "") + encode(61, 1)
        began = time.perf_counter()
        self._socket.sendall(questions)
        self._until(ENDS)
        return time.perf_counter() - began

    def _until(self, kinds: set[bytes]) -> None:
        wanted = set(kinds)
        while wanted:
            data, at = self._data, 0
            while len(data) >= at + 4 and len(data) >= (
                end := at + 4 + int.from_bytes(data[at : at + 4], "big")
            ):
                wanted.discard(data[at + 4 : data.index(b"\0", at + 4)])
                at = end
            self._data = data[at:]
            if wanted:
                self._data += self._socket.recv(1 << 18)


class Asker:
    """The barest program on ib_async, on a loop of its own: the library would leave one behind that nobody closes."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._ib = IB()
        self._ib.connect("127.0.0.1", port, clientId=56)

    def close(self) -> None:
        """Hang up."""
        self._ib.disconnect()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()
        asyncio.set_event_loop(None)

    def ask(self) -> float:
        """Ask for everything; return the seconds until all of it was there."""
        ib = self._ib

        async def answers() -> None:
            await asyncio.gather(
                ib.reqCompletedOrdersAsync(apiOnly=False),
                ib.reqAllOpenOrdersAsync(),
                ib.reqExecutionsAsync(),
                ib.reqPositionsAsync(),
            )

        began = time.perf_counter()
        ib.run(answers())
        return time.perf_counter() - began


def measure(folder: Path, rounds: int, positions: int = POSITIONS, fills: int = FILLS) -> Found:
    """Open the positions, then measure in turns."""
    folder.mkdir()
    symbols = [f"S{number:03d}" for number in range(positions)]
    market = [f"{symbol}={PRICE}" for symbol in symbols]
    with (
        running_gateway(folder / "gateway", "--control", "0", "--market", *market, day=()) as gateway,
        closing(Control(gateway.control)) as control,
        _program(folder, gateway.port) as running,
    ):
        control.say("set pacing=off")
        _open(running, control, symbols, fills)
        times: dict[str, list[float]] = {"reader": [], "script": [], "ours": []}
        with closing(Reader(gateway.port)) as reader, closing(Asker(gateway.port)) as script:
            askers: dict[str, Callable[[], float]] = {
                "reader": reader.ask,
                "script": script.ask,
                "ours": lambda: _timed(running),
            }
            for number in range(rounds + 1):
                for name, ask in askers.items():
                    took = ask()
                    if number:  # the first round warms up
                        times[name].append(took)
                    time.sleep(REST)
        shown = control.show()
        held = sum(1 for qty in next(iter(shown.positions.values())).values() if qty)
        return Found(
            **times,
            positions=held,
            orders=sum(not o.over for o in shown.orders),
            executions=len(shown.executions),
        )


def _timed(running: Program) -> float:
    began = time.perf_counter()
    running.trading.reconcile()
    return time.perf_counter() - began


@contextmanager
def _program(folder: Path, port: int) -> Iterator[Program]:
    environ = {
        "IB_PORT": str(port),
        "TRADESHELL_MAX_ORDERS_PER_MINUTE": "off",
        "TRADESHELL_MAX_EXPOSURE": "off",
    }
    config = folder / "config.toml"
    config.write_text("", encoding="utf-8")
    flags = {"broker": "ibkr", "state_dir": str(folder / "state"), "config": str(config)}
    with program(
        load_settings(flags, environ), Run(batch=True, commands=(), stdout=io.StringIO()), environ
    ) as running:
        yield running


def _open(running: Program, control: Control, symbols: list[str], fills: int) -> None:
    """Buy in every symbol, each entry in so many executions, and wait until two pairs of exits work for each."""
    trading = running.trading
    account = trading.view().desk.account
    limit = Decimal(PRICE * 9) / 10
    for count, symbol in enumerate(symbols, 1):
        trading.trade(
            TradePlan(
                symbol=symbol,
                qty=fills * SHARES,
                account=account,
                entry=EntryKind.PRICED,
                limit=limit,
                tps=(Decimal(PRICE * 2), Decimal(PRICE * 3)),
                sl=Decimal(PRICE // 2),
                mode=ExitMode.DETACHED70,
                entry_timeout=None,
            ),
            again=True,
        )
        (entry,) = [order for order in control.show().orders if not order.over and order.symbol == symbol]
        for _ in range(fills):
            control.say(f"fill order={entry.id} client={CLIENT} price={limit} qty={SHARES}")
        until = time.perf_counter() + READY_WITHIN
        while sum(not order.over for order in control.show().orders) != 4 * count:
            if time.perf_counter() > until:
                raise TimeoutError(f"the ladder of {symbol} did not arm")
            time.sleep(0.1)
