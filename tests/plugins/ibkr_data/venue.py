"""The gateway and the adapter on one loop of virtual time, with TCP between them.

What the exchange really printed is read from the gateway's own tape, so that bars can be compared with the truth.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tradeshell import Bar, BrokerContext, Input, OrderRefusedByBroker, StreamNews, VenueOptions
from tradeshell.engine.clock import LoopClock, VenueLoop
from tradeshell_ibkr.asking import rest
from tradeshell_ibkr.broker import IbkrBroker
from tradeshell_paper.feed import make_market
from tradeshell_paper.settings import read_settings
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.house import AccountVenue
from tradeshell_paper.tws.server import Listener
from tradeshell_paper.tws.switches import changed
from tradeshell_paper.tws.view import TapeView

MARKET = ("AAPL=190", "MSFT=420", "XRTX=0.42")


class Pair:
    """Both ends. The market begins at ten on a Tuesday in July 2025."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], start: str) -> None:
        self.loop = VenueLoop(math.inf)
        self.clock = LoopClock(self.loop)
        self.bars: list[Bar] = []
        self.news: list[StreamNews] = []
        self.said: list[Input] = []
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, fault: self.faults.append(fault))
        rules = read_settings({"account": "DU0000001"})
        self.market = make_market(VenueOptions(start=start, market=MARKET, seed=3), rules)
        self._folder, self._settings, self._rules = folder, settings, rules

    async def open(self) -> None:
        self.clock.start_at(self.market.start)
        venue = AccountVenue(self.clock, self.market, self._rules.rules)
        venue.start()
        self.gateway = Gateway(self.clock, TapeView(self.market), {"DU0000001": venue})
        self.listener = Listener(self.gateway, "127.0.0.1", 0)
        await self.listener.open()
        self.actions = Actions(self.gateway, self.listener.open, self.listener.close)
        self.actions.spawn = _spawn
        context = BrokerContext(
            emit=self.said.append,
            clock=self.clock,
            venue_clock=None,
            options=VenueOptions(),
            settings={**self._settings, "port": self.listener.port},
            state_dir=self._folder,
            stream_news=self.news.append,
        )
        self.broker = IbkrBroker(context)
        await self.broker.connect()

    def close(self) -> None:
        self.broker.close()
        self.listener.close()
        self.gateway.close()
        self.run(asyncio.sleep(0.1))
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.run(asyncio.sleep(0.1))
        self.loop.close()

    def run(self, work: Any) -> Any:
        """Run something to its end."""
        return self.loop.run_until_complete(work)

    def advance(self, seconds: float) -> None:
        """Let the market go on."""
        self.run(rest(self.clock, seconds))

    def switch(self, name: str, value: Any) -> None:
        """Set a switch of the gateway."""
        house = self.gateway.house
        house.switches = changed(house.switches, name, value)

    def do(self, name: str, **arguments: Any) -> None:
        """Let something happen at the gateway."""

        async def act() -> None:
            self.actions.do(name, arguments)
            await asyncio.sleep(0)

        self.run(act())

    def watch(self, seconds: int, *, symbol: str = "AAPL", rth: bool = True) -> Any:
        """Subscribe to bars and collect them."""

        async def subscribe() -> Any:
            return self.broker.subscribe(symbol, seconds, rth, self.bars.append)

        return self.run(subscribe())

    def truth(
        self, seconds: int, *, symbol: str = "AAPL", rth: bool = True, since: datetime | None = None
    ) -> list[Bar]:
        """Return what the exchange printed in bars that end after ``since``, oldest first."""
        since = self.market.start if since is None else since
        found = [
            bar
            for bars in self.gateway.house.view.past(symbol, seconds, rth, self.clock.now(), 5000)
            for bar in bars
            if bar.end > since
        ]
        return sorted(found, key=lambda bar: bar.start)

    def notices(self) -> list[tuple[int, str]]:
        """Return what the operator was told."""
        return [(each.code, each.text) for each in self.said if isinstance(each, OrderRefusedByBroker)]


@contextmanager
def pair(
    folder: Path, settings: Mapping[str, Any] | None = None, start: str = "2025-07-08T10:00"
) -> Iterator[Pair]:
    """Open both ends, and close them; whatever escaped from a handler fails the test."""
    made = Pair(folder, settings or {}, start)
    asyncio.set_event_loop(made.loop)
    try:
        made.run(made.open())
        yield made
        assert made.faults == []
        assert made.broker.data.unreadable == 0
    finally:
        made.close()
        asyncio.set_event_loop(None)


def _spawn(work: Awaitable[None]) -> None:
    asyncio.ensure_future(work)  # noqa: RUF006  # the loop of a test outlives it
