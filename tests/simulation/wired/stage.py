"""What may happen at the far end of the wire in one schedule: acts about the link, and the troubles of a gateway.

Laws: what schedules without a wire ask of their venue is answered here; a trouble means what the documentation of the gateway
says, and ends in time.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace
from tests.simulation.actors import quietly
from tests.simulation.loop import SECOND
from tests.simulation.wired.trouble import Trouble, strange_words
from tests.simulation.wired.venue import CLIENT, WiredVenue

from tradeshell.errors import TradeshellError
from tradeshell_paper.tws.actions import Actions

if TYPE_CHECKING:
    from tests.simulation.wired.world import WiredWorld

LOST = "the connection was lost"  # what hands say when they cut the link
OUTAGES = 0.3  # of such cuts: of the line behind the gateway
LISTS = 3  # of symbols that are looked up in a row


async def _nobody() -> None:
    """Open no port: there is none."""


class _Link:
    """What the schedule asks about the link."""

    def __init__(self, world: WiredWorld) -> None:
        self._world = world

    @property
    def is_told_up(self) -> bool:
        """Whether the host was told last that it is connected."""
        return self._world.is_told_up

    @property
    def dropped_at(self) -> datetime | None:
        """Since when nobody answers."""
        return self._world.down_since


class Stage(WiredVenue):
    """The venue with the acts that concern the link and the broker of the present life."""

    world: WiredWorld

    def set_up(self, world: WiredWorld) -> None:
        """Take whose venue this is."""
        self.world = world
        self._actions = Actions(self.gateway, _nobody, lambda: None)
        self._dice = Random(f"{world.schedule.seed}/outages")
        self._is_outage = False

    @property
    def link(self) -> _Link:
        """The link."""
        return _Link(self.world)

    async def connect(self) -> None:
        """Let the present broker connect."""
        if self.world.broker is not None:
            await self.world.broker.connect()

    async def disconnect(self) -> None:
        """Let the present broker disconnect."""
        if self.world.broker is not None:
            await self.world.broker.disconnect()

    def drop_link(self, why: str, *, lose_orders: bool = True, unnoticed: float = 0.0) -> None:
        """Cut the cable, and let nobody answer."""
        net = self.world.net
        if self.world.down_since is not None:
            return
        if why == LOST and self._dice.random() < OUTAGES:
            # The gateway stays, and loses its own line to the broker: 1100, and later 1101 or 1102.
            self.world.down_since = self._clock.now()
            self._is_outage = True
            self.world.note("gateway", "loses its line")
            self.world.cut("the gateway lost its line")
            self._actions.cut()
            return
        net.is_down = True
        self.world.down_since = self._clock.now()
        if net.cable is not None:
            net.cable.cut(why, loses_up=lose_orders, unnoticed=int(unnoticed * SECOND))

    # --- troubles ---------------------------------------------------------------------------------------------------

    def trouble(self, trouble: Trouble) -> None:
        """Let something go wrong from now on, and let it end in time."""
        begin = getattr(self, f"_{trouble.what}")
        self.world.note("gateway", trouble.what.replace("_", " "), what=trouble.what)
        end = begin(trouble)
        if end is not None:
            self._loop.at(max(trouble.until, self._loop.micros), end)

    def _set(self, **values: Any) -> None:
        house = self.gateway.house
        house.switches = replace(house.switches, **values)

    def _for_a_while(self, **values: Any) -> Callable[[], None]:
        before = {name: getattr(self.gateway.house.switches, name) for name in values}
        self._set(**values)
        return lambda: self._set(**before)

    def _restart(self, trouble: Trouble) -> Callable[[], None] | None:
        """The gateway restarts, as it does once a day."""
        del trouble
        if self.world.down_since is not None:
            return None
        self.world.net.is_down = True
        self.world.down_since = self._clock.now()
        self._actions.drop(reset=False)
        self.gateway.orders.forget_staged()
        return self.restore_link

    def _half_open(self, trouble: Trouble) -> Callable[[], None]:
        """The connection stays, and nothing passes, longer than the program waits for a sign of life."""
        del trouble
        self.world.cut("half open")
        end = self._for_a_while(half_open=True)

        def reset() -> None:
            end()
            self._actions.drop(reset=True)  # what was swallowed never comes: no such connection goes on

        return reset

    def _ghost(self, trouble: Trouble) -> None:
        """The line to the gateway is cut, and it takes the dead program for a living one: its number is in use (326)."""
        if self.world.down_since is None and self.world.net.cable is not None:
            self.world.net.cable.cut(
                "cut", loses_up=bool(trouble.number % 2), unnoticed=0, ghost=trouble.until - self._loop.micros
            )

    def _lose_place(self, trouble: Trouble) -> None:
        """The next order is taken, and the connection ends before a word of it has left."""
        del trouble
        self._set(lose_place="accepted")

    def _swallow_place(self, trouble: Trouble) -> None:
        """The next order is lost with the connection."""
        del trouble
        self._set(lose_place="lost")

    def _strange_words(self, trouble: Trouble) -> None:
        """It says something that nobody knows, about an order of ours or about nothing."""
        code, text = strange_words(trouble.number)
        ours = [record.number for record in self.gateway.news.records.values() if record.client == CLIENT]
        self._actions.say(code, text, ours[-1] if ours and trouble.number % 2 else -1)

    def _no_end_of_executions(self, trouble: Trouble) -> Callable[[], None]:
        """The end mark of executions never comes."""
        del trouble
        return self._for_a_while(withhold=[55])

    def _too_fast(self, trouble: Trouble) -> Callable[[], None]:
        """It takes fewer messages than it should, and drops what comes too fast (100)."""
        return self._for_a_while(messages_per_second=6 + trouble.number % 20)

    def _busy_changes(self, trouble: Trouble) -> None:
        """The next changes come too early for it (2102)."""
        self._set(busy_changes=1 + trouble.number % 3)

    def _cancel_race(self, trouble: Trouble) -> None:
        """The next order that is to be cancelled fills first."""
        del trouble
        self._set(cancel_race=1)

    def _competing(self, trouble: Trouble) -> Callable[[], None]:
        """Another session has the data (10197)."""
        del trouble
        self._actions.set(competing=True)
        return lambda: self._actions.set(competing=False)

    def _farm(self, trouble: Trouble) -> None:
        """A data farm is away."""
        seconds = (trouble.until - self._loop.micros) / SECOND
        self._actions.farm(
            "market" if trouble.number % 2 else "history", max(0.0, seconds), bars_die=trouble.number % 3 == 0
        )

    def _bars_silent(self, trouble: Trouble) -> Callable[[], None]:
        """Bars stop, without a word."""
        del trouble
        return self._for_a_while(bars_silent=True)

    def _mute(self, trouble: Trouble) -> Callable[[], None]:
        """Who connects now gets no answer after the greeting."""
        self._restart(trouble)
        end = self._for_a_while(greeting="mute" if trouble.number % 2 else "silent")
        self.restore_link()
        return end

    def _questions(self, trouble: Trouble) -> None:
        """The operator looks up long lists of symbols, while the next executions of ours are answered."""
        self.world.on_execution += [
            lambda: self._loop.at(
                self._loop.micros + trouble.number * SECOND // 2500,
                self._look_up_many,
                30 + trouble.number % 40,
            )
        ] * LISTS

    def _look_up_many(self, count: int) -> None:
        broker = self.world.broker
        for number in range(count if broker is not None else 0):
            name = f"Q{chr(65 + number // 26)}{chr(65 + number % 26)}"
            self._loop.create_task(quietly(self._ask(broker, name)))

    async def _ask(self, broker: Any, symbol: str) -> None:
        with contextlib.suppress(TradeshellError):
            await broker.qualify(symbol)

    def restore_link(self, why: str = "") -> None:
        """Let the gateway answer again."""
        del why
        self.world.net.is_down = False
        self.world.down_since = None
        if self._is_outage:
            self._is_outage = False
            self._actions.restore(self._dice.choice((1101, 1102)))
