"""The adapter for Interactive Brokers under test, against a gateway in another process: ib_async and TCP between them.

Both live in a week of 2025 that has a half day and a holiday: the gateway's market starts there, and the adapter's clock is moved
to where the gateway is.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tradeshell import Broker, BrokerContext, Clock, Handle, Price, Shares
from tradeshell.testing.broker_contract import BrokerUnderTest, Can
from tradeshell_ibkr.broker import open_ibkr

ROOT = Path(__file__).parents[2]
START = datetime(2025, 11, 26, 15, tzinfo=UTC)  # 10:00 New York on the day before Thanksgiving
CLIENT = 7
SPEED = 4
MOMENT = 0.002  # seconds between what happens at the market, and what happens next
SNAPSHOT_REQUESTS = [5, 7, 16, 61]  # open orders, executions, all open orders, positions
UNTIL_LISTENING = 30.0
TO_EVENING = 6.5 * 3600
RULES = """
[exchange]
partial = true

[switches]
latency = 0.1  # seconds of the market that an order is on its way: a trade may be faster than a cancel
"""


class MarketTime:
    """Where the gateway's clock stands: ``SPEED`` seconds of the market for one on the wall."""

    def __init__(self) -> None:
        self._begun = datetime.now(UTC)
        self._start = START

    def now(self) -> datetime:
        """Return the market's instant."""
        return self._start + (datetime.now(UTC) - self._begun) * SPEED

    def real(self, at: datetime) -> datetime:
        """Return when the market will be at ``at``."""
        return self._begun + (at - self._start) / SPEED

    def jump(self, seconds: float) -> None:
        """Go forward."""
        self._start += timedelta(seconds=seconds)


class MarketClock:
    """The clock of the adapter: the market's time on the loop's timers."""

    def __init__(self, inner: Clock, time: MarketTime) -> None:
        self._inner = inner
        self._time = time

    def now(self) -> datetime:
        """Return the market's instant."""
        return self._time.now()

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Handle:
        """Call ``callback`` then."""
        return self._inner.call_at(self._time.real(when), callback)

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on the loop's next turn."""
        self._inner.call_soon(callback)


class GatewayUnderTest(BrokerUnderTest):
    """The ibkr broker and a gateway of its own. Every card costs a process."""

    can = frozenset(Can) - {Can.AMBIGUOUS}
    account = "DU0000001"
    unknown = "NOSUCH"
    bar_seconds = 5
    patience = 10.0
    calm = 0.15
    regular_day = date(2025, 11, 26)
    half_day: date | None = date(2025, 11, 28)
    closed_days = (date(2025, 11, 27), date(2025, 11, 29))

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._time = MarketTime()
        self.port = 0

    # --- opening ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the gateway and talk to its control port."""
        scenario = self._folder / "scenario.toml"
        scenario.write_text(RULES, encoding="utf-8")
        words = ("--state-dir", str(self._folder / "gateway"), "gateway", "--port", "0", "--control", "0")
        more = (
            "--account",
            self.account,
            "--scenario",
            str(scenario),
            "--from",
            START.isoformat(),
            "--speed",
            str(SPEED),
        )
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.contract.gateway_main", *words, *more),
            cwd=ROOT,
            env={**os.environ, "HOME": str(self._folder)},
            stdout=asyncio.subprocess.PIPE,
        )
        control = await self._told("control on ")
        self.port = await self._told("listening on ")
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", control)
        self._time = MarketTime()

    async def _told(self, words: str) -> int:
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), UNTIL_LISTENING)).decode()
        assert line.startswith(words), f"the gateway said {line!r}, not {words}"
        return int(line.rpartition(":")[2])

    async def stop(self) -> None:
        """End the gateway; it has to end orderly."""
        self._writer.close()
        self._process.terminate()
        code = await asyncio.wait_for(self._process.wait(), UNTIL_LISTENING)
        assert code == 0, f"the gateway ended with {code}"

    @contextmanager
    def open(self, context: BrokerContext) -> Iterator[Broker]:
        """Open the adapter on the port of the gateway, in the gateway's week."""
        clock = MarketClock(context.clock, self._time)
        settings = {"port": self.port, "client_id": CLIENT}
        with open_ibkr(replace(context, clock=clock, settings=settings)) as broker:
            yield broker

    def now(self) -> datetime | None:
        """Return where the gateway's clock stands."""
        return self._time.now()

    async def _do(self, action: str, **arguments: Any) -> Any:
        words = (f"{name}={json.dumps(value)}" for name, value in arguments.items() if value is not None)
        self._writer.write(f"{action} {' '.join(words)}\n".encode())
        answer = (await self._reader.readline()).decode().strip()
        assert answer.startswith("ok"), f"{action} {arguments}: {answer}"
        return json.loads(answer[3:]) if answer != "ok" else None

    async def pass_time(self, seconds: float) -> None:
        """Let the market's time pass."""
        await asyncio.sleep(seconds / SPEED)

    # --- the market ---------------------------------------------------------------------------------------------------

    async def touch(
        self, bid: Price | None, ask: Price | None, bid_size: Shares = 5000, ask_size: Shares = 5000
    ) -> None:
        """Let the market have a touch."""
        await asyncio.sleep(MOMENT)
        prices = {name: None if price is None else str(price) for name, price in (("bid", bid), ("ask", ask))}
        await self._do("touch", **prices, bid_size=bid_size, ask_size=ask_size)
        await asyncio.sleep(MOMENT)

    async def trade(self, price: Price, size: Shares = 1000) -> None:
        """Let a trade happen."""
        await asyncio.sleep(MOMENT)
        await self._do("trade", price=str(price), size=size)
        await asyncio.sleep(MOMENT)

    async def leave_regular_hours(self) -> None:
        """Move both clocks to 16:30 New York."""
        await self._do("jump", seconds=TO_EVENING)
        self._time.jump(TO_EVENING)
        await self.touch(self.price, self.price)

    # --- trouble ------------------------------------------------------------------------------------------------------

    async def cut(self) -> None:
        """Close the port, and every connection."""
        await self._do("close_port")
        await self._do("drop")

    async def mend(self) -> None:
        """Open the port."""
        await self._do("open_port")

    async def stall(self) -> None:
        """Ignore what a snapshot asks for."""
        await self._do("set", ignore=SNAPSHOT_REQUESTS)

    async def refuse_next(self, action: str, code: int, text: str, *, advisory: bool = False) -> None:
        """Refuse once."""
        said = "true" if advisory else "false"
        table = f'[{{action = "{action}", code = {code}, text = "{text}", advisory = {said}, times = 1}}]'
        self._writer.write(f"set refuse={table}\n".encode())
        answer = (await self._reader.readline()).decode().strip()
        assert answer == "ok", answer

    async def correct(self, exec_id: str, qty: Shares, price: Price) -> None:
        """Correct the last execution of the order that executed it."""
        shown = await self._do("show")
        (perm,) = {each["perm"] for each in shown["executions"] if each["exec"] == exec_id}
        (order,) = {each["id"] for each in shown["orders"] if each["perm"] == perm}
        await self._do("correct", order=order, qty=qty, price=str(price), client=CLIENT)

    async def fill_late(self, order_id: int, qty: Shares, price: Price) -> None:
        """Execute a cancelled order."""
        await self._do("late_fill", order=order_id, qty=qty, price=str(price), client=CLIENT)
