"""Cards, and how one is played.

Laws: every card runs on an open broker and a loop of its own; what must hold always is watched while any card runs: nothing is
called back elsewhere or after the close, and nothing is logged as an error.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from tradeshell.engine.clock import LoopClock, VenueLoop, WallClock
from tradeshell.testing.broker_contract_bench import Bench
from tradeshell.testing.broker_contract_venue import BrokerUnderTest, Can, ContractBroken, NotPlayed

ONE_CARD = 300.0  # seconds of real time that a card may take

Body = Callable[[Bench], Awaitable[None]]


class Card(Struct, frozen=True):
    """One sentence about what any broker does, with the body that finds out. ``needs``: what it takes to play it."""

    id: str
    sentence: str
    needs: frozenset[Can]
    body: Body

    def __str__(self) -> str:
        return self.id


def card(number: str, *needs: Can) -> Callable[[Body], Card]:
    """Make a card of a coroutine function; its docstring is the sentence."""

    def made(body: Body) -> Card:
        return Card(number, " ".join((body.__doc__ or "").split()), frozenset(needs), body)

    return made


def cards_in(names: Mapping[str, object]) -> tuple[Card, ...]:
    """Return the cards among the names of a module, in order of their numbers."""
    return tuple(sorted((thing for thing in names.values() if isinstance(thing, Card)), key=str))


class _Log(logging.Handler):
    """Keeps what is logged as an error, or with a traceback."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR or record.exc_info:
            self.told.append(f"{record.name} logged: {record.getMessage()}")


def play(chosen: Card, under_test: BrokerUnderTest, state_dir: Path | None = None) -> None:
    """Play a card; raises ``ContractBroken`` with the story, or ``NotPlayed`` when it needs more than there is.

    ``state_dir`` is where the broker may keep files; without it, a folder that is gone afterwards.
    """
    missing = chosen.needs - under_test.can
    if missing:
        raise NotPlayed(f"{chosen.id} needs: {', '.join(sorted(missing))}")
    if state_dir is None:
        with tempfile.TemporaryDirectory(prefix="tradeshell-card-") as scratch:
            play(chosen, under_test, Path(scratch))
        return
    loop: asyncio.AbstractEventLoop = VenueLoop() if under_test.own_clock else asyncio.new_event_loop()
    try:
        loop.run_until_complete(_play(chosen, under_test, state_dir))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


async def _play(chosen: Card, under_test: BrokerUnderTest, state_dir: Path) -> None:
    loop = asyncio.get_running_loop()
    log = _Log()
    loop.set_exception_handler(lambda _, said: log.told.append(f"the loop was told: {said.get('message')}"))
    logging.getLogger().addHandler(log)
    bench = Bench(under_test, state_dir, LoopClock(loop) if isinstance(loop, VenueLoop) else WallClock(loop))
    try:
        async with asyncio.timeout(None if under_test.own_clock else ONE_CARD):
            await under_test.start()
            try:
                bench.open()
                await chosen.body(bench)
            finally:
                bench.close()
                await bench.quiet()
                await under_test.stop()
        _watch(bench.strays, log.told)
    except Exception as error:
        why = str(error) if isinstance(error, ContractBroken) else f"{type(error).__name__}: {error}"
        why = "\n".join(dict.fromkeys((*bench.strays, why)))
        told = f"what the broker told:\n{bench.story()}"
        raise ContractBroken(f"{chosen.id}: {chosen.sentence}\n{why}\n{told}") from error
    finally:
        logging.getLogger().removeHandler(log)
        await _end_tasks()


def _watch(strays: Iterable[str], logged: Iterable[str]) -> None:
    for said in (*strays, *logged):
        raise ContractBroken(said)


async def _end_tasks() -> None:
    """End what a broken broker has left behind, so that it costs its own card only."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
