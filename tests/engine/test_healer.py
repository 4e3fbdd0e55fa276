"""A session whose streams of bars fall silent: what is told, what is asked of the broker, and what never reaches the core."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import AAPL, OPEN, SESSION, bar, plan, quote
from tests.engine.support import Stage

from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.core.events import Event
from tradeshell.core.market import Bar, DataKind
from tradeshell.engine.healer import Healer
from tradeshell.errors import BrokerError
from tradeshell.ports import Handle
from tradeshell.upkeep import BarHealthSettings, StreamNews, StreamWord

HEAL = BarHealthSettings(self_heal_enabled=True)
STREAM = ("AAPL", 60, True)


class Clinic(Stage):
    """A stage with a healer. ``subscribed``: when the stream was subscribed, in seconds after the open."""

    def __init__(self, folder: Path, settings: BarHealthSettings = HEAL) -> None:
        super().__init__(folder)
        self.healer = Healer(self.session, settings)
        self.subscribed: list[float] = []
        self.listeners: list[Callable[[Bar], None]] = []
        self.past: list[Bar] = []
        self.refuses: Exception | None = None
        self.broker.subscribe = self._subscribe  # type: ignore[method-assign]  # the test's own broker
        self.broker.history = self._history  # type: ignore[method-assign]  # as above
        self.healer.start()
        self.connect()

    def _subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        self.subscribed.append(self.now)
        if self.refuses is not None and len(self.subscribed) > 1:
            raise self.refuses
        self.listeners.append(on_bar)
        return type(self.broker).subscribe(self.broker, symbol, seconds, rth, on_bar)

    async def _history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        return tuple(self.past[-count:])

    @property
    def now(self) -> float:
        """Seconds after the open."""
        return round((self.clock.now() - OPEN).total_seconds(), 3)

    def watch(self, id_: str = "br-1", bar_length: str = "60", fast: str = "") -> None:
        """Arm a watcher on bars of so many seconds, and on ``fast`` ones, level 190."""
        spec = i.WatchSpec(
            id=id_,
            strategy="breakout",
            plan=plan(),
            params={"bar": bar_length, "rth": "true", "max_bars": "", "fast_bar": fast},
            instrument=AAPL,
            session=SESSION,
        )
        self.submit(i.WatchRequested(at=self.clock.now(), watch=spec))

    def wait_until(self, seconds: float) -> None:
        """Let time pass up to so many seconds after the open."""
        self.run(asyncio.sleep(seconds - self.now))

    def close_bar(self, minute: int, close: str = "189", listener: int = -1) -> None:
        """Let a subscription (the last) deliver the bar of a minute at its end, or now."""
        self.wait_until(max(self.now, 60.0 * (minute + 1)))
        self.inside(lambda: self.listeners[listener](bar(minute, close)))

    def close_second(self, second: int) -> None:
        """Let the second subscription deliver the bar of a second at its end."""
        self.wait_until(second + 1.0)
        told = replace(bar(0, "189"), start=OPEN + timedelta(seconds=second), seconds=1)
        self.inside(lambda: self.listeners[1](told))

    def of(self, name: str) -> list[tuple[float, Any]]:
        """Return the events of one name, with when they were told."""
        return [
            ((record.ts - OPEN).total_seconds(), record.event)
            for record in self.records
            if type(record.event).__name__ == name
        ]

    def close(self) -> None:
        self.healer.close()
        super().close()


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    clinic = Clinic(tmp_path)
    yield clinic
    clinic.close()


def test_a_silent_stream_is_told_and_subscribed_again_with_the_old_subscription_ended(clinic: Clinic) -> None:
    clinic.watch()
    clinic.close_bar(0)
    clinic.wait_until(400)
    assert [when for when, _ in clinic.of("BarStreamStalled")] == [240]
    assert clinic.subscribed[1:] == [245, 310]
    assert clinic.broker.cancelled.count("bars AAPL 60") == 2


def test_a_stream_that_speaks_is_left_alone(clinic: Clinic) -> None:
    clinic.watch()
    for minute in range(10):
        clinic.close_bar(minute)
    assert len(clinic.subscribed) == 1
    assert clinic.of("BarStreamStalled") == []
    assert clinic.healer.blind() == ()


def test_seconds_in_which_nothing_trades_are_no_stall_and_those_that_are_missed_are_one(
    tmp_path: Path,
) -> None:
    """Seconds come until 0:50; until 5:00 no minute trades, then one does, of which no second was told.

    Kills: a fast path that is blind whenever a stock rests; one whose end nobody notices.
    """
    clinic = Clinic(tmp_path, BarHealthSettings())
    clinic.watch(fast="1s")
    for second in (10, 50):
        clinic.close_second(second)
    clinic.close_bar(0, listener=0)
    quiet = bar(1, "189")
    for minute in range(1, 5):
        clinic.wait_until(60.0 * (minute + 1))
        told = replace(quiet, start=OPEN + timedelta(minutes=minute), volume=0)
        clinic.inside(lambda told=told: clinic.listeners[0](told))  # type: ignore[misc]  # a lambda's default has no type
    assert clinic.of("BarStreamStalled") == []
    clinic.close_bar(5, listener=0)
    clinic.wait_until(372)
    assert [event.seconds for _, event in clinic.of("BarStreamStalled")] == [1]
    clinic.close_second(380)
    clinic.wait_until(392)
    assert [event.by for _, event in clinic.of("BarStreamRecovered")] == ["self"]
    clinic.close()


def test_without_self_healing_a_stall_is_told_and_nothing_is_asked_for(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path, BarHealthSettings())
    clinic.watch()
    clinic.wait_until(3000)
    clinic.close_bar(50)
    clinic.wait_until(3100)
    assert len(clinic.of("BarStreamStalled")) == 1
    assert [event.by for _, event in clinic.of("BarStreamRecovered")] == ["self"]
    assert clinic.of("BarStreamGapRead") == []
    assert len(clinic.subscribed) == 1
    clinic.close()


def test_the_first_bar_after_a_new_subscription_is_live_and_may_trigger(clinic: Clinic) -> None:
    clinic.watch()
    clinic.wait_until(200)
    assert clinic.subscribed[1:] == pytest.approx([185], abs=0.2)
    clinic.broker.quotes["AAPL"] = quote(OPEN + timedelta(seconds=240))
    clinic.close_bar(3, "190.10")
    assert clinic.session.desk.watchers["br-1"].fired


def test_the_end_of_a_stall_says_what_brought_it(clinic: Clinic) -> None:
    clinic.watch()
    clinic.wait_until(200)
    clinic.close_bar(3)
    clinic.wait_until(246)
    assert [event.by for _, event in clinic.of("BarStreamRecovered")] == ["resubscription"]
    assert clinic.healer.blind() == ()


def test_a_bar_that_closed_before_the_new_subscription_is_back_filled_and_triggers_nothing(
    clinic: Clinic,
) -> None:
    clinic.watch()
    clinic.wait_until(182)
    clinic.inside(lambda: clinic.session.feeds.renew(STREAM))
    clinic.inside(lambda: clinic.listeners[-1](bar(2, "190.10")))  # it closed two seconds ago
    watcher = clinic.session.desk.watchers["br-1"]
    assert (watcher.fired, watcher.phase) == (False, WatchPhase.ARMED)
    clinic.close_bar(3, "190.10")
    assert clinic.session.desk.watchers["br-1"].fired


def test_what_the_ended_subscription_still_delivers_is_nobodys_bar(clinic: Clinic) -> None:
    clinic.watch()
    clinic.wait_until(200)
    clinic.close_bar(3, "190.10", listener=0)
    assert not clinic.session.desk.watchers["br-1"].fired
    assert clinic.of("BarStreamRecovered") == []


def test_history_of_the_gap_is_told_and_never_reaches_a_watcher(clinic: Clinic) -> None:
    clinic.watch()
    clinic.close_bar(0)
    clinic.past = [bar(n, "195", high="196", low="188") for n in range(6)]
    clinic.wait_until(300)
    clinic.close_bar(5)
    clinic.wait_until(366)
    ((_, event),) = clinic.of("BarStreamGapRead")
    assert (event.count, str(event.low), str(event.high)) == (4, "188", "196")
    assert not clinic.session.desk.watchers["br-1"].fired


def test_a_history_that_cannot_be_had_costs_a_remark(clinic: Clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> tuple[Bar, ...]:
        raise BrokerError("pacing violation")

    monkeypatch.setattr(clinic.broker, "history", fails)
    clinic.watch()
    clinic.wait_until(200)
    clinic.close_bar(3)
    clinic.wait_until(246)
    assert [event.reason for _, event in clinic.of("DataRejected")] == [
        "no history of the bars that were missed: pacing violation"
    ]


def test_a_new_subscription_that_is_refused_is_an_attempt_that_failed_and_the_next_one_waits(
    clinic: Clinic,
) -> None:
    clinic.refuses = BrokerError("max number of tickers has been reached")
    clinic.watch()
    clinic.wait_until(400)
    failed = [event for _, event in clinic.of("BarStreamRecoveryFailed")]
    assert [event.reason for event in failed] == ["max number of tickers has been reached"] * 3
    assert clinic.subscribed[1:] == pytest.approx([185, 245, 365], abs=0.2)
    assert clinic.of("EngineFault") == []


def test_a_watcher_that_is_cancelled_while_its_stream_has_no_subscription_ends_as_usual(
    clinic: Clinic,
) -> None:
    clinic.refuses = BrokerError("no")
    clinic.watch()
    clinic.wait_until(200)
    clinic.submit(i.WatchCancelRequested(at=clinic.clock.now(), watch="br-1"))
    clinic.wait_until(2000)
    assert clinic.session.desk.watchers["br-1"].phase is WatchPhase.DONE
    assert clinic.of("EngineFault") == []
    assert len(clinic.subscribed) == 2


def test_what_the_broker_says_while_it_subscribes_finds_the_stream(clinic: Clinic) -> None:
    subscribe = clinic.broker.subscribe

    def refused_later(symbol: str, seconds: int, rth: bool, on_bar: Callable[[Bar], None]) -> Handle:
        clinic.healer.hear(StreamNews(word=StreamWord.BROKEN, symbol=symbol, code=366, text="no such query"))
        return subscribe(symbol, seconds, rth, on_bar)

    clinic.broker.subscribe = refused_later  # type: ignore[method-assign]  # the test's own broker
    clinic.watch()
    clinic.wait_until(1)
    ((when, event),) = clinic.of("BarStreamStalled")
    assert when < 1
    assert event.code == 366


def test_a_halt_is_no_stall(clinic: Clinic) -> None:
    clinic.watch()
    clinic.broker.quotes["AAPL"] = quote(OPEN, kind=DataKind.HALTED)
    clinic.wait_until(1200)
    assert clinic.of("BarStreamStalled") == []
    clinic.broker.quotes["AAPL"] = quote(OPEN + timedelta(seconds=1200))
    clinic.close_bar(20)
    assert clinic.of("BarStreamStalled") == []


@pytest.mark.parametrize("bar_length, stalls_at", [("60", 480), ("3600", 361 + 3 * 3600)])
def test_the_shortest_halt_is_seen_and_the_silence_counts_from_its_end(
    clinic: Clinic, bar_length: str, stalls_at: float
) -> None:
    clinic.watch(bar_length=bar_length)
    clinic.close_bar(0)
    clinic.wait_until(61)
    clinic.broker.quotes["AAPL"] = quote(OPEN, kind=DataKind.HALTED)
    clinic.wait_until(361)
    clinic.broker.quotes["AAPL"] = quote(OPEN + timedelta(seconds=361))
    clinic.wait_until(stalls_at - 61)
    assert clinic.of("BarStreamStalled") == []
    clinic.wait_until(stalls_at + 61)
    assert len(clinic.of("BarStreamStalled")) == 1


def test_a_competing_session_is_told_with_what_to_do_and_a_fresh_quote_ends_it(clinic: Clinic) -> None:
    clinic.watch()
    clinic.wait_until(100)
    news = StreamNews(
        word=StreamWord.BLOCKED, code=10197, text="No market data during competing live session"
    )
    clinic.inside(lambda: clinic.healer.hear(news))
    clinic.wait_until(1000)
    assert clinic.healer.blind()[0].state == "blocked"
    assert len(clinic.subscribed) == 1
    ((_, event),) = clinic.of("BarStreamCompetingSessionBlocked")
    assert "log that one off" in event.story()
    clinic.broker.quotes["AAPL"] = quote(OPEN + timedelta(seconds=1000))
    clinic.wait_until(1020)
    assert not clinic.healer.is_blocked
    assert len(clinic.subscribed) == 2


def test_a_quote_that_is_not_live_does_not_end_a_competing_session(clinic: Clinic) -> None:
    clinic.watch()
    clinic.inside(lambda: clinic.healer.hear(StreamNews(word=StreamWord.BLOCKED, code=10197)))
    clinic.broker.quotes["AAPL"] = quote(OPEN + timedelta(seconds=500), kind=DataKind.DELAYED)
    clinic.wait_until(600)
    assert clinic.healer.is_blocked


def test_a_lost_link_is_no_stall_and_the_new_one_is_given_time(clinic: Clinic) -> None:
    clinic.watch()
    clinic.submit(i.LinkChanged(at=clinic.clock.now(), up=False, account="", paper=True, why="gone"))
    clinic.wait_until(900)
    assert clinic.of("BarStreamStalled") == []
    clinic.connect()
    clinic.wait_until(1079)
    assert clinic.of("BarStreamStalled") == []
    clinic.wait_until(1081)
    assert len(clinic.of("BarStreamStalled")) == 1


def test_a_broker_that_hears_more_than_closed_bars_is_believed(tmp_path: Path) -> None:
    clinic = Clinic(tmp_path)
    heard: list[datetime] = []
    clinic.broker.last_heard = lambda *_: heard[-1] if heard else None  # type: ignore[attr-defined]  # a StreamWitness
    clinic.healer.start()
    clinic.watch()
    for seconds in range(0, 1000, 50):
        clinic.wait_until(seconds + 0.5)
        heard.append(clinic.clock.now())
    assert clinic.of("BarStreamStalled") == []
    clinic.wait_until(1200)
    assert len(clinic.of("BarStreamStalled")) == 1
    clinic.close()


def test_a_broker_that_raises_when_it_is_looked_at_stops_neither_looks_nor_trading(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("hours")

    clinic.watch()
    monkeypatch.setattr(clinic.broker, "session", fails)
    clinic.wait_until(200)
    assert clinic.of("EngineFault") != []
    monkeypatch.undo()
    clinic.wait_until(400)
    assert len(clinic.of("BarStreamStalled")) == 1


def test_two_watchers_of_one_stream_are_both_named_and_healed_once(clinic: Clinic) -> None:
    clinic.watch("br-1")
    clinic.watch("br-2")
    clinic.wait_until(200)
    ((_, event),) = clinic.of("BarStreamStalled")
    assert event.watches == ("br-1", "br-2")
    assert clinic.subscribed == pytest.approx([0, 185], abs=0.2)
    (blind,) = clinic.healer.blind()
    assert (blind.symbol, blind.state, blind.watches) == ("AAPL", "recovering", ("br-1", "br-2"))


def test_without_streams_there_is_no_timer(clinic: Clinic) -> None:
    clinic.wait_until(10)
    assert clinic.loop._scheduled == []


def test_an_event_of_health_is_on_record_like_any_other(clinic: Clinic) -> None:
    clinic.watch()
    clinic.wait_until(200)
    told = [record.event for record in clinic.records]
    assert all(isinstance(event, Event) for event in told)
    assert [record.seq for record in clinic.records] == list(range(1, len(told) + 1))
