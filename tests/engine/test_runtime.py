"""The engine's thread: what ends it is noticed and said in one line."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tradeshell.engine.nobroker import NoBroker
from tradeshell.engine.runtime import Engine, Plan
from tradeshell.errors import BrokerError, PluginError, TradeshellError
from tradeshell.ports import Broker, BrokerContext, BrokerOffer, Sink, SinkContext, VenueOptions


@contextmanager
def nobody(context: BrokerContext) -> Iterator[Broker]:
    yield NoBroker()


def leaves(*_: object) -> AbstractContextManager[Any]:
    raise SystemExit("as a\nplugin may")


def interrupts(*_: object) -> AbstractContextManager[Any]:
    raise KeyboardInterrupt


def make(folder: Path, open_broker: Any = nobody, open_sink: Any = None) -> Engine:
    """Return an engine without a market."""
    context = SinkContext(state_dir=folder, settings={}, environ={})
    return Engine(
        Plan(
            session="test",
            version="test",
            broker_name="odd",
            broker=BrokerOffer(open=open_broker, own_clock=True, words="odd"),
            broker_settings={},
            options=VenueOptions(speed=inf),
            strategies={},
            sinks={} if open_sink is None else {"odd": (open_sink, context)},
            state_dir=folder,
        )
    )


@pytest.mark.parametrize("opener", [leaves, interrupts])
def test_a_broker_whose_opener_wants_to_leave_ends_start_up_at_once_with_one_line(
    tmp_path: Path, opener: Any
) -> None:
    engine = make(tmp_path, open_broker=opener)
    with pytest.raises(BrokerError, match="broker odd cannot be opened") as error:
        engine.start()
    assert "\n" not in str(error.value)
    engine.stop()


def test_a_sink_whose_opener_wants_to_leave_ends_start_up_at_once_and_is_named(tmp_path: Path) -> None:
    engine = make(tmp_path, open_sink=leaves)
    with pytest.raises(PluginError, match="sink odd cannot be opened: SystemExit: as a plugin may"):
        engine.start()
    engine.stop()


def test_a_call_without_a_bound_notices_that_the_engine_ended_and_everything_was_closed(
    tmp_path: Path,
) -> None:
    closed: list[str] = []

    @contextmanager
    def noted(context: SinkContext) -> Iterator[Sink]:
        try:
            yield lambda record: None
        finally:
            closed.append("sink")

    async def for_ever() -> None:
        await asyncio.Event().wait()

    def leave() -> None:
        raise SystemExit

    engine = make(tmp_path, open_sink=noted)
    engine.start()
    engine.loop.call_soon_threadsafe(engine.loop.call_later, 0.1, leave)
    with pytest.raises(TradeshellError, match="not running any more"):
        engine.call(for_ever(), None)
    engine._thread.join(5)
    assert engine._watchdog is not None
    engine._watchdog._thread.join(20)
    assert engine.has_ended
    assert closed == ["sink"]
    assert "SystemExit" in (tmp_path / "crash.log").read_text()
    with pytest.raises(TradeshellError, match="not running any more"):
        engine.call(for_ever(), None)
    engine.stop()


def test_a_request_that_an_adapter_gives_up_is_one_line_and_the_engine_goes_on(tmp_path: Path) -> None:
    async def given_up() -> None:
        raise asyncio.CancelledError

    async def works() -> int:
        return 7

    engine = make(tmp_path)
    engine.start()
    with pytest.raises(TradeshellError, match="the lookup did not answer: the request was given up"):
        engine.call(given_up(), what="the lookup")
    assert engine.call(works()) == 7
    engine.stop()


def test_a_saved_picture_never_claims_a_decision_that_it_does_not_contain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(tmp_path)
    read: list[str] = []

    class Watched:
        """A session that notes in which order it is read."""

        journal_name = "s1"

        @property
        def journal_seq(self) -> int:
            read.append("journal")
            return 7

        @property
        def desk(self) -> Any:
            read.append("desk")
            return SimpleNamespace(account="DU…0001", stopped="", watchers={}, trades=tuple)

    engine.session = Watched()  # type: ignore[assignment]  # all that the picture needs
    assert engine._picture().journal_seq == 7
    assert read == ["journal", "desk"]


def test_the_end_of_the_engine_is_shown_although_nobody_asks_and_an_end_on_purpose_is_not(
    tmp_path: Path,
) -> None:
    def leave() -> None:
        raise SystemExit

    shown: queue.Queue[str] = queue.Queue()
    engine = make(tmp_path)
    engine._screen = lambda record: shown.put(type(record.event).__name__)
    engine.start()
    engine.loop.call_soon_threadsafe(leave)
    while shown.get(timeout=20) != "EngineEnded":
        pass
    engine.stop()
    other = make(tmp_path / "other")
    (tmp_path / "other").mkdir()
    other.start()
    other.stop()
    assert not other.has_ended
