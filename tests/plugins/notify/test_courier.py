"""The sink: what it takes never waits, whatever the services do, and what becomes of it is told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from tests.plugins.notify.services import hanging, nobody, service

from tradeshell import ConnectionChanged, Event, Outcome, Record, Weight
from tradeshell_notify import courier as module
from tradeshell_notify.courier import Courier
from tradeshell_notify.events import NotifyFailed, NotifyRestored
from tradeshell_notify.settings import Settings

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
TICK = 0.02


class Rang(Event, frozen=True, kw_only=True):
    """An alarm."""

    weight = Weight.ALARM
    what: str = "bell"

    def story(self) -> str | None:
        return self.what


class Broken(Event, frozen=True, kw_only=True):
    """An event that cannot be told."""

    def how(self) -> Weight:
        raise ValueError("no weight")


class Heard:
    """What the sink told of itself; ``came`` is set with each."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.came = threading.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self.came.set()


@contextlib.contextmanager
def courier(*urls: str, heard: Heard | None = None, is_silent: bool = False) -> Iterator[Courier]:
    opened = Courier(Settings(urls=urls), heard or Heard(), is_silent=is_silent, tick=TICK)
    try:
        yield opened
    finally:
        opened.close()


def record(event: Event | None = None) -> Record:
    return Record(v=1, seq=1, ts=NOON, mono=1.0, session="s", event=event or Rang())


def eventually(what: Callable[[], bool]) -> bool:
    """Wait for what another thread does; ``False`` when it does not."""
    until = time.monotonic() + 20
    while not what():
        if time.monotonic() > until:
            return False
        threading.Event().wait(0.01)
    return True


def test_an_alarm_arrives_and_names_the_account() -> None:
    with service() as there, courier(there.url) as sink:
        sink(record(ConnectionChanged(link="up", epoch=1, account="DU…0001")))
        sink(record())
        assert there.arrived.wait(20)
    (got,) = there.got
    assert got["title"] == "tradeshell DU…0001 · ALARM"
    assert got["message"] == "12:00:00 note bell"


@pytest.mark.parametrize("behaviour", ["hangs", "refuses", "fails"])
def test_taking_records_costs_nothing_whatever_the_service_does(behaviour: str) -> None:
    with contextlib.ExitStack() as opened:
        if behaviour == "refuses":
            sink = opened.enter_context(courier(nobody()))
            sink(record())
        else:
            there = opened.enter_context(hanging() if behaviour == "hangs" else service(500))
            sink = opened.enter_context(courier(there.url))
            sink(record())
            assert there.arrived.wait(20)  # its thread is busy now
        event = record()
        began = time.monotonic()
        for _ in range(5000):
            sink(event)
        assert time.monotonic() - began < 1.0  # a single wait for the service would be longer
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < 2 * module.CLOSE_WITHIN


def test_more_than_the_queue_holds_is_counted_and_said() -> None:
    with service() as there, courier(there.url) as sink:
        sink.queue = 3
        burst = sink._records
        while len(burst) < 3:  # its thread may take some meanwhile
            sink(record())
        sink.queue = 0
        for _ in range(7):
            sink(record())
        assert sink.state().missed == 7
        assert eventually(lambda: "7 events that came too fast" in str(there.got))


def test_a_failing_address_is_told_once_and_again_when_it_works() -> None:
    heard = Heard()
    with service(500) as there, courier(there.url, heard=heard) as sink:
        sink(record())
        assert heard.came.wait(20)
        assert eventually(lambda: sink.state().failed == 1)
        state = sink.state()
        assert (state.sent, state.waiting) == (0, 1)  # it is not given up
        sink._learn(state.addresses)  # failing goes on
        assert [type(event) for event in heard.events] == [NotifyFailed]
        sink._learn(tuple(type(each)(address=each.address, ok=True) for each in state.addresses))
    assert [type(event) for event in heard.events] == [NotifyFailed, NotifyRestored]
    assert "5ecret" not in str(heard.events)


def test_an_address_that_is_none_is_told_before_anything_happens() -> None:
    heard = Heard()
    with courier("nonsense://5ecret", heard=heard):
        assert heard.came.wait(20)
    (event,) = heard.events
    assert isinstance(event, NotifyFailed)
    assert (event.address, event.reason) == ("1 nonsense", "apprise does not understand this address")


def test_what_is_told_of_notifications_is_not_sent_and_what_cannot_be_told_is_left_out() -> None:
    with service() as there, courier(there.url) as sink:
        sink(record(NotifyFailed(address="1 json", reason="x")))
        sink(record(Broken()))
        sink(record())
        assert there.arrived.wait(20)
    assert [got["message"] for got in there.got] == ["12:00:00 note bell"]


def test_what_happened_just_before_the_end_is_sent() -> None:
    with service() as there:
        with courier(there.url) as sink:
            assert eventually(lambda: sink._sender._child is not None)
            sink(record())
        assert len(there.got) == 1


def test_a_defect_of_a_turn_goes_to_the_log_and_the_next_turn_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with service() as there, courier(there.url) as sink:
        sink._digest.add(None)  # type: ignore[arg-type]  # whatever a defect may leave there
        assert eventually(lambda: "a turn of the notifications failed" in caplog.text)
        sink._digest._held.clear()
        sink(record())
        assert there.arrived.wait(20)


def test_in_a_replay_nothing_is_sent_but_a_test() -> None:
    with service() as there, courier(there.url, is_silent=True) as sink:
        sink(record())
        assert sink.state().waiting == 0
        assert [each.ok for each in sink.test()] == [True]
    assert [got["message"] for got in there.got] == ["A test: notifications arrive here."]


def test_doctor_sees_how_it_does() -> None:
    def row(sink: Courier) -> tuple[Outcome, str, str]:
        (finding,) = asyncio.run(sink.examine())
        assert finding.name == "notify"
        return finding.outcome, finding.told, finding.remedy

    heard = Heard()
    with courier("nonsense://5ecret", heard=heard) as sink:
        assert row(sink) == (Outcome.OK, "1 addresses · 0 messages sent", "")
        assert heard.came.wait(20)
        outcome, told, remedy = row(sink)
    assert outcome is Outcome.WARNING
    assert told.endswith("1 nonsense: apprise does not understand this address")
    assert "notify test" in remedy
