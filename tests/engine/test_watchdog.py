"""The watchdog: an engine that is late, stuck or gone is told, and nothing is told of one that answers."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tradeshell.core.events import Event
from tradeshell.core.upkeep_events import EngineEnded, EngineLagged, EngineStuck
from tradeshell.engine import watchdog

PATIENCE = 20.0  # seconds of a busy machine


class Held(Event, frozen=True, kw_only=True):
    """The engine was told that a plugin has held it up."""


class Bench:
    """A loop on a thread of its own, and a watchdog beside it."""

    def __init__(self, folder: Path, *, is_embedded: bool = False) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.told: queue.Queue[Event] = queue.Queue()
        self.alarms: queue.Queue[Event] = queue.Queue()
        self.crashes = folder / "crash.log"
        self.dog = watchdog.Watchdog(
            self.thread,
            self.loop,
            tell=self.told.put,
            alarm=self.alarms.put,
            crashes=self.crashes,
            is_embedded=is_embedded,
            packages=frozenset({"slow_plugin"}),
            held_up=lambda: self.told.put(Held()),
        )
        self.dog.start()

    def hold(self, module: str = "") -> Callable[[], None]:
        """Keep the loop busy, by code of a module if one is named; returns what releases it."""
        released, holds = threading.Event(), threading.Event()

        def busy() -> None:
            holds.set()
            released.wait(PATIENCE)

        if module:
            own: dict[str, Any] = {"__name__": module, "busy": busy}
            exec("def on_bar():\n    busy()", own)  # code of a module that there is not
            busy = own["on_bar"]
        self.loop.call_soon_threadsafe(busy)
        assert holds.wait(PATIENCE)
        return released.set

    def close(self) -> None:
        """End it."""
        self.dog.close()
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)
        self.dog._thread.join(PATIENCE)
        self.loop.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench on which a second is a hundredth."""
    for name in ("LOOK_EVERY", "LAG", "STUCK", "STUCK_EVERY"):
        monkeypatch.setattr(watchdog, name, getattr(watchdog, name) / 50)
    made = Bench(tmp_path)
    yield made
    made.close()


def test_an_engine_that_does_not_answer_is_told_while_it_lasts_and_where_it_is_stuck_is_put_down(
    bench: Bench,
) -> None:
    release = bench.hold()
    stuck = bench.alarms.get(timeout=PATIENCE)
    again = bench.alarms.get(timeout=PATIENCE)
    assert isinstance(stuck, EngineStuck)
    assert isinstance(again, EngineStuck)
    assert again.seconds > stuck.seconds
    assert "exits at the broker keep working" in (stuck.story() or "")
    assert "in busy" in bench.crashes.read_text()
    release()
    lagged = bench.told.get(timeout=PATIENCE)
    assert isinstance(lagged, EngineLagged)
    assert lagged.seconds >= again.seconds
    assert "waited" in (lagged.story() or "")


def test_a_plugin_that_holds_the_engine_up_is_named_with_its_line_and_stops_entries(bench: Bench) -> None:
    release = bench.hold("slow_plugin.strategy")
    stuck = bench.alarms.get(timeout=PATIENCE)
    assert "in plugin slow_plugin.strategy (on_bar, line 2): nothing is watched" in (stuck.story() or "")
    release()
    lagged = bench.told.get(timeout=PATIENCE)
    assert "in plugin slow_plugin.strategy (on_bar, line 2)" in (lagged.story() or "")
    assert "entries are off; start without it, or `stopentry off`" in (lagged.story() or "")
    assert isinstance(bench.told.get(timeout=PATIENCE), Held)


def test_an_engine_that_has_ended_is_told_once(bench: Bench) -> None:
    bench.loop.call_soon_threadsafe(bench.loop.stop)
    ended = bench.alarms.get(timeout=PATIENCE)
    assert isinstance(ended, EngineEnded)
    assert "start again" in (ended.story() or "")
    bench.dog._thread.join(PATIENCE)
    assert not bench.dog._thread.is_alive()
    assert bench.alarms.empty()


def test_one_that_ends_while_it_is_stuck_is_told_too(bench: Bench) -> None:
    release = bench.hold()
    assert isinstance(bench.alarms.get(timeout=PATIENCE), EngineStuck)
    bench.loop.call_soon_threadsafe(bench.loop.stop)
    release()
    while not isinstance(bench.alarms.get(timeout=PATIENCE), EngineEnded):
        pass


def test_a_disk_that_takes_no_traceback_keeps_nothing_from_being_told(bench: Bench) -> None:
    bench.crashes.mkdir()
    release = bench.hold()
    assert isinstance(bench.alarms.get(timeout=PATIENCE), EngineStuck)
    release()


def test_a_watchdog_that_was_closed_tells_nothing(bench: Bench) -> None:
    bench.dog.close()
    bench.dog._thread.join(PATIENCE)
    bench.loop.call_soon_threadsafe(bench.loop.stop)
    bench.thread.join(PATIENCE)
    assert bench.alarms.empty()


def test_a_venue_whose_turn_is_a_day_is_not_called_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOOK_EVERY", "LAG", "STUCK"):
        monkeypatch.setattr(watchdog, name, getattr(watchdog, name) / 1000)
    asked: list[Any] = []
    bench = Bench(tmp_path, is_embedded=True)
    monkeypatch.setattr(bench.dog, "_look", lambda: asked.append(1))
    bench.loop.call_soon_threadsafe(bench.loop.stop)
    assert isinstance(bench.alarms.get(timeout=PATIENCE), EngineEnded)
    assert asked == []
    bench.close()
