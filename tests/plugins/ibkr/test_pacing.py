"""The outbox by itself, on a clock that a test turns."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from tests.plugins.ibkr.peer import START

from tradeshell import BrokerError
from tradeshell_ibkr.pacing import LIMITS, Outbox, Priority


class _Call:
    def __init__(self, at: datetime, callback: Callable[[], None]) -> None:
        self.at, self.callback, self.is_off = at, callback, False

    def cancel(self) -> None:
        self.is_off = True


class TurnedClock:
    """Stands still until it is turned, forwards or back."""

    def __init__(self) -> None:
        self.time = START
        self.calls: list[_Call] = []

    def now(self) -> datetime:
        return self.time

    def call_at(self, when: datetime, callback: Callable[[], None]) -> _Call:
        self.calls.append(_Call(when, callback))
        return self.calls[-1]

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.call_at(self.time, callback)

    def turn(self, seconds: float) -> None:
        """Turn it, and run what is due by then."""
        self.time += timedelta(seconds=seconds)
        due = [call for call in self.calls if call.at <= self.time]
        self.calls = [call for call in self.calls if call.at > self.time]
        for call in due:
            if not call.is_off:
                call.callback()


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.mark.parametrize("priority", Priority)
def test_each_kind_has_its_limit_within_a_second(clock: TurnedClock, priority: Priority) -> None:
    outbox, left = Outbox(clock), list[int]()
    for number in range(100):
        outbox.post(priority, lambda number=number: left.append(number))  # type: ignore[misc]  # a default binds it now
    assert left == list(range(LIMITS[priority]))
    clock.turn(0.5)
    assert len(left) == LIMITS[priority]
    clock.turn(0.6)
    assert len(left) == min(100, 2 * LIMITS[priority])


def test_data_leave_room_for_entries_and_both_for_protection(clock: TurnedClock) -> None:
    outbox, left = Outbox(clock), list[Priority]()
    for priority in (Priority.DATA, Priority.ENTRY, Priority.QUESTION, Priority.CANCEL, Priority.PROTECTIVE):
        for _ in range(60):
            outbox.post(priority, lambda priority=priority: left.append(priority))  # type: ignore[misc]  # as above
    assert [left.count(priority) for priority in Priority] == [2, 2, 6, 10, 24]
    clock.turn(1.1)
    assert left[44:] == [Priority.PROTECTIVE] * 44


def test_a_clock_that_is_set_back_holds_nothing_up(clock: TurnedClock) -> None:
    outbox, left = Outbox(clock), list[int]()
    for number in range(44):
        outbox.post(Priority.PROTECTIVE, lambda number=number: left.append(number))  # type: ignore[misc]  # as above
    clock.time -= timedelta(minutes=5)
    outbox.post(Priority.PROTECTIVE, lambda: left.append(99))
    assert left[-1] == 99


def test_what_cannot_be_sent_raises_when_it_leaves_at_once(clock: TurnedClock) -> None:
    outbox = Outbox(clock)

    def gone() -> None:
        raise BrokerError("gone")

    with pytest.raises(BrokerError):
        outbox.post(Priority.PROTECTIVE, gone)
    assert outbox.waiting == 0


def test_what_cannot_be_sent_after_it_waited_is_told_and_the_next_one_leaves(clock: TurnedClock) -> None:
    outbox, told, left = Outbox(clock), list[str](), list[int]()

    def gone() -> None:
        raise BrokerError("gone")

    for _ in range(44):
        outbox.post(Priority.PROTECTIVE, lambda: None)
    outbox.post(Priority.PROTECTIVE, gone, told.append)
    outbox.post(Priority.PROTECTIVE, lambda: left.append(1), told.append)
    clock.turn(1.1)
    assert (told, left) == (["gone"], [1])


def test_what_waits_can_be_dropped_once(clock: TurnedClock) -> None:
    outbox, told = Outbox(clock), list[str]()
    for _ in range(50):
        outbox.post(Priority.PROTECTIVE, lambda: None, told.append)
    outbox.drop_all("the link")
    outbox.drop_all("the link")
    clock.turn(5)
    assert told == ["the link"] * 6


def test_messages_about_one_order_keep_their_order_whatever_their_kind(clock: TurnedClock) -> None:
    outbox, left = Outbox(clock), list[str]()
    for _ in range(34):
        outbox.post(Priority.ENTRY, lambda: None)
    outbox.post(Priority.ENTRY, lambda: left.append("place"), key=7)
    outbox.post(Priority.PROTECTIVE, lambda: left.append("child"), key=8, after=7)
    outbox.post(Priority.CANCEL, lambda: left.append("cancel"), key=7)
    outbox.post(Priority.PROTECTIVE, lambda: left.append("other"), key=9)
    assert left == ["other"]
    clock.turn(1.1)
    assert left == ["other", "place", "child", "cancel"]
