"""Control at run time: a second loopback port that takes lines, and the events of a scenario at their time.

Laws: one line, one answer: ``ok``, ``ok JSON`` or ``error: …``. Only this machine can reach it. An event that fails is logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

import msgspec

from tradeshell import ConfigError, Handle
from tradeshell_paper.tws.actions import Actions
from tradeshell_paper.tws.gateway import Gateway
from tradeshell_paper.tws.scenario import Event, Scenario, parse_line
from tradeshell_paper.tws.server import Listener

LONGEST_LINE = 65536


class Control:
    """Runs actions. ``port`` is the true one once it is open."""

    def __init__(self, gateway: Gateway, listener: Listener, scenario: Scenario) -> None:
        self.port = 0
        self._gateway = gateway
        self._scenario = scenario
        self.actions = Actions(gateway, listener.open, listener.close)
        self.actions.spawn = self._spawn
        for event in scenario.events:
            self.actions[event.do]  # an unknown one is said before anything is opened
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Future[Any]] = set()
        self._timers: list[Handle] = []

    async def open(self, port: int) -> None:
        """Listen on the loopback address."""
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", port, limit=LONGEST_LINE)
        self.port = self._server.sockets[0].getsockname()[1]

    def start(self) -> None:
        """Begin to count the seconds of the scenario."""
        for event in self._scenario.events:
            self._timers.append(self._gateway.house.after(event.after, partial(self._happen, event)))

    def close(self) -> None:
        """Stop."""
        for timer in self._timers:
            timer.cancel()
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()

    def answer(self, line: str) -> str:
        """Do what a line says."""
        try:
            action, arguments = parse_line(line)
            result = self.actions.do(action, arguments)
        except ConfigError as error:
            return f"error: {error}"
        return "ok" if result is None else f"ok {msgspec.json.encode(result).decode()}"

    def _happen(self, event: Event) -> None:
        try:
            self.actions.do(event.do, event.arguments)
        except ConfigError as error:
            self._gateway.house.log(f"event {event.do}: {error}")

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            while line := await reader.readline():
                if line.strip():
                    writer.write(self.answer(line.decode("utf-8", "replace")).encode() + b"\n")
                    await writer.drain()
        except (ConnectionError, ValueError):  # it went away, or its line was too long
            pass
        except (
            asyncio.CancelledError
        ):  # the gateway ends; nobody waits for this task, and streams would report it as a fault
            pass
        finally:
            writer.close()
