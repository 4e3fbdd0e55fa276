"""The pump loses nothing, keeps the order, never makes the engine wait, and leaves typed text alone."""

from __future__ import annotations

import threading
import time

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session, get_app
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from tests.shell.support import Line, record

from tradeshell.ports import Record
from tradeshell.shell.pump import EventPump

PATIENCE = 10.0  # seconds until a test gives up; none of them waits for as long when the code is right


def tell(posted: Record) -> str | None:
    """Return the words of a test's event."""
    return posted.event.story()


def numbered(count: int, first: int = 0) -> list[Record]:
    """Return so many events with their numbers as words."""
    return [record(Line(words=str(number)), seq=number + 1) for number in range(first, first + count)]


def shown(written: list[str]) -> list[str]:
    """Return the lines that were written."""
    return "".join(written).splitlines()


class StuckScreen:
    """A terminal that takes nothing until it is released (Ctrl-S)."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.reached = threading.Event()
        self.written: list[str] = []

    def write(self, text: str) -> None:
        """Wait, then take the text."""
        self.reached.set()
        assert self.released.wait(PATIENCE)
        self.written.append(text)


def test_without_a_prompt_everything_is_printed_in_order() -> None:
    written: list[str] = []
    pump = EventPump()
    pump.attach(tell, written.append, live=True)
    for posted in numbered(10_000):
        pump.post(posted)
    pump.close()
    assert shown(written) == [str(number) for number in range(10_000)]


def test_events_of_several_threads_are_all_printed_each_in_its_own_order() -> None:
    written: list[str] = []
    pump = EventPump()
    pump.attach(tell, written.append, live=True)

    def post(first: int) -> None:
        for posted in numbered(1000, first):
            pump.post(posted)

    threads = [threading.Thread(target=post, args=(first,)) for first in (0, 1000, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pump.close()
    found = [int(line) for line in shown(written)]
    assert sorted(found) == list(range(3000))
    for first in (0, 1000, 2000):
        mine = [number for number in found if first <= number < first + 1000]
        assert mine == sorted(mine)


def test_posting_never_waits_for_the_screen() -> None:
    screen = StuckScreen()
    pump = EventPump()
    pump.attach(tell, screen.write, live=True)
    pump.post(numbered(1)[0])
    assert screen.reached.wait(PATIENCE)

    def post() -> None:
        for posted in numbered(5000, 1):
            pump.post(posted)

    poster = threading.Thread(target=post)
    poster.start()
    poster.join(PATIENCE)
    assert not poster.is_alive()
    assert screen.written == []
    screen.released.set()
    pump.close()
    assert shown(screen.written) == [str(number) for number in range(5001)]


def test_a_screen_that_takes_nothing_for_long_is_told_how_much_it_missed() -> None:
    written: list[str] = []
    pump = EventPump(limit=10)
    for posted in numbered(25):
        pump.post(posted)
    pump.attach(tell, written.append, live=False)
    pump.drain()
    assert shown(written) == [*map(str, range(10)), "… 15 events were not shown; the event log has them"]


def test_what_is_posted_before_there_is_a_screen_is_shown_when_there_is_one() -> None:
    written: list[str] = []
    pump = EventPump()
    pump.post(numbered(1)[0])
    pump.drain()
    pump.attach(tell, written.append, live=False)
    pump.drain()
    assert shown(written) == ["0"]


def test_nothing_is_printed_over_a_prompt_and_nothing_is_lost_by_it() -> None:
    written: list[str] = []
    pump = EventPump()
    pump.attach(tell, written.append, live=True)
    pump.enter_prompt()
    for posted in numbered(3):
        pump.post(posted)
    pump.drain()
    assert written == []
    pump.leave_prompt()
    pump.close()
    assert shown(written) == ["0", "1", "2"]


def test_a_muted_screen_gets_nothing() -> None:
    written: list[str] = []
    pump = EventPump()
    pump.attach(tell, written.append, live=False)
    pump.mute()
    pump.post(numbered(1)[0])
    pump.close()
    assert written == []


def test_a_closed_pump_takes_events_without_a_word() -> None:
    pump = EventPump()
    pump.attach(tell, lambda text: None, live=True)
    pump.close()
    pump.post(numbered(1)[0])
    pump.close()


def test_typed_text_stays_intact_at_a_thousand_events_a_second() -> None:
    typed = "breakout AAPL 190 100 sl=187"
    count = 2000
    written: list[str] = []
    pump = EventPump()
    pump.attach(tell, written.append, live=True)
    posted_all = threading.Event()

    def post() -> None:
        start = time.monotonic()
        for number, posted in enumerate(numbered(count), 1):
            pump.post(posted)
            time.sleep(max(0.0, start + number / 1000 - time.monotonic()))
        posted_all.set()

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        session: PromptSession[str] = PromptSession()

        def type_() -> None:
            for char in typed:
                keys.send_text(char)
                time.sleep(0.04)  # a fast typist, in the middle of the flood
            assert posted_all.wait(PATIENCE)
            deadline = time.monotonic() + PATIENCE
            while len(shown(written)) < count and time.monotonic() < deadline:
                time.sleep(0.01)
            keys.send_text("\r")

        def begin() -> None:
            pump.enter_prompt()
            get_app().create_background_task(pump.at_prompt())
            threading.Thread(target=post, daemon=True).start()
            threading.Thread(target=type_, daemon=True).start()

        line = session.prompt("paper> ", pre_run=begin)
    pump.leave_prompt()
    pump.close()
    assert line == typed
    assert shown(written) == [str(number) for number in range(count)]


def test_events_posted_while_the_prompt_ends_are_shown_afterwards() -> None:
    written: list[str] = []
    pump = EventPump()
    pump.attach(tell, written.append, live=True)
    stop = threading.Event()
    count = 0

    def post() -> None:
        nonlocal count
        while not stop.is_set():
            pump.post(record(Line(words=str(count))))
            count += 1

    thread = threading.Thread(target=post, daemon=True)

    def begin() -> None:
        pump.enter_prompt()
        get_app().create_background_task(pump.at_prompt())

    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        session: PromptSession[str] = PromptSession()
        thread.start()
        for _ in range(20):
            keys.send_text("x\r")
            assert session.prompt("> ", pre_run=begin) == "x"
            pump.leave_prompt()
            pump.drain()
        stop.set()
        thread.join(PATIENCE)
    pump.close()
    missed = sum(int(line.split()[1]) for line in shown(written) if line.startswith("…"))
    found = [int(line) for line in shown(written) if not line.startswith("…")]
    assert found == sorted(found)
    assert len(found) + missed == count
