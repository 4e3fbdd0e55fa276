"""The venue's clock: time from timer to timer, the same at every speed."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tradeshell.engine.clock import LoopClock, VenueLoop, WallClock

START = datetime(2025, 7, 8, 13, 30, tzinfo=UTC)


@contextmanager
def venue(speed: float = math.inf) -> Iterator[tuple[VenueLoop, LoopClock]]:
    loop = VenueLoop(speed)
    clock = LoopClock(loop)
    clock.start_at(START)
    try:
        yield loop, clock
    finally:
        loop.close()


def test_a_day_passes_at_once_and_stops_exactly_at_each_timer() -> None:
    with venue() as (loop, clock):
        seen: list[datetime] = []
        for hours in (5, 1, 24):
            clock.call_at(START + timedelta(hours=hours), lambda: seen.append(clock.now()))
        began = time.monotonic()
        loop.run_until_complete(asyncio.sleep(25 * 3600))
        assert seen == [START + timedelta(hours=h) for h in (1, 5, 24)]
        assert clock.now() == START + timedelta(hours=25)
        assert time.monotonic() - began < 5


def test_timers_of_one_instant_run_in_the_order_in_which_they_were_set() -> None:
    with venue() as (loop, clock):
        seen: list[int] = []
        for number in range(100):
            clock.call_at(START + timedelta(seconds=1), partial(seen.append, number))
        loop.run_until_complete(asyncio.sleep(2))
        assert seen == list(range(100))


def test_a_cancelled_timer_does_not_run_and_does_not_disturb() -> None:
    with venue() as (loop, clock):
        seen: list[str] = []
        handles = [clock.call_at(START + timedelta(seconds=1), lambda: seen.append("no")) for _ in range(300)]
        for handle in handles:
            handle.cancel()
        clock.call_at(START + timedelta(seconds=2), lambda: seen.append("yes"))
        loop.run_until_complete(asyncio.sleep(3))
        assert seen == ["yes"]


def test_no_timer_runs_before_its_instant_however_close_the_one_before_it_is() -> None:
    with venue() as (loop, clock):
        due = [START + timedelta(microseconds=10 + n) for n in range(3000)]
        ran: list[tuple[datetime, datetime]] = []
        due += [START + timedelta(seconds=1, microseconds=10 * n) for n in range(100)]
        for at in due:
            if at.microsecond % 10 == 0:  # between two microseconds, as `sleep` makes them
                loop.call_at(at.timestamp() - 6e-7, lambda: None)
            clock.call_at(at, lambda at=at: ran.append((at, clock.now())))  # type: ignore[misc]  # a bound default
        loop.run_until_complete(asyncio.sleep(2))
        assert ran == [(at, at) for at in due]


@pytest.mark.parametrize("speed", [600.0, math.inf])
def test_what_happens_is_dated_the_same_at_every_speed(speed: float) -> None:
    with venue(speed) as (loop, clock):
        seen: list[datetime] = []

        def tick() -> None:
            seen.append(clock.now())
            if len(seen) < 20:
                clock.call_at(clock.now() + timedelta(seconds=7), tick)

        clock.call_at(START, tick)
        loop.run_until_complete(asyncio.sleep(7 * 20))
        assert seen == [START + timedelta(seconds=7 * n) for n in range(20)]


def test_at_a_finite_speed_the_venue_is_never_ahead_of_the_wall_clock() -> None:
    with venue(1000.0) as (loop, clock):
        began = time.monotonic()
        loop.run_until_complete(asyncio.sleep(100))
        assert time.monotonic() - began >= 0.099
        assert clock.now() == START + timedelta(seconds=100)


def test_no_time_passes_while_held_but_calls_from_other_threads_are_heard() -> None:
    with venue() as (loop, clock):
        seen: list[datetime] = []
        clock.call_at(START + timedelta(seconds=1), lambda: seen.append(clock.now()))
        loop.hold()
        heard = threading.Event()

        def outside() -> None:
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(5)
            assert seen == []
            heard.set()
            loop.call_soon_threadsafe(loop.release)

        threading.Thread(target=outside).start()
        loop.run_until_complete(asyncio.sleep(2))
        assert heard.is_set()
        assert seen == [START + timedelta(seconds=1)]


def test_a_feed_may_advance_by_itself_only_while_nothing_else_is_due() -> None:
    with venue() as (loop, clock):
        clock.call_at(START + timedelta(seconds=10), lambda: None)

        async def feed() -> list[bool]:
            answers = [clock.try_advance(START + timedelta(seconds=s)) for s in (5, 9, 10, 11)]
            clock.call_soon(lambda: None)
            return [*answers, clock.try_advance(START + timedelta(seconds=9.5))]

        assert loop.run_until_complete(feed()) == [True, True, False, False, False]
        assert clock.now() == START + timedelta(seconds=9)


def test_a_feed_does_not_advance_by_itself_at_a_finite_speed_or_while_held() -> None:
    with venue(60.0) as (_, clock):
        assert not clock.try_advance(START + timedelta(seconds=1))
    with venue() as (loop, clock):
        loop.hold()
        assert not clock.try_advance(START + timedelta(seconds=1))
        loop.release()
        assert clock.try_advance(START + timedelta(seconds=1))


def test_time_never_goes_back() -> None:
    with venue() as (loop, clock):
        loop.move_to(START.timestamp() + 5)
        loop.move_to(START.timestamp() + 1)
        assert clock.now() == START + timedelta(seconds=5)


def test_the_wall_clock_is_utc_and_calls_at_once_what_is_past() -> None:
    async def run() -> datetime:
        clock = WallClock(asyncio.get_running_loop())
        called: asyncio.Future[datetime] = asyncio.get_running_loop().create_future()
        clock.call_at(START, lambda: clock.call_soon(lambda: called.set_result(clock.now())))
        return await called

    assert abs(asyncio.run(run()) - datetime.now(UTC)) < timedelta(seconds=5)


def test_at_a_finite_speed_time_goes_on_while_nothing_is_due() -> None:
    with venue(1000.0) as (loop, clock):
        seen: list[datetime] = []

        def later() -> None:
            time.sleep(0.05)
            loop.call_soon_threadsafe(lambda: seen.append(clock.now()))
            loop.call_soon_threadsafe(loop.stop)

        threading.Thread(target=later).start()
        loop.run_forever()
        assert seen[0] - START >= timedelta(seconds=45)
