"""Scenarios of the wire in real time: the shell's process and the gateway's, over TCP.

Laws: what is true is the gateway's record; processes are ended by their own handle; nothing here waits without a bound.
"""

# ids of scenarios have capital letters

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.crash.wire_judge import Shown, breaches
from tests.crash.wire_parts import CLIENT, Control, Life
from tests.gateway.process import running_gateway

LADDER = "ladder AAPL qty=100 targets=3 up=3 down=3 timeout=20"
LEGS = {"sl1", "sl2", "sl3", "tp1", "tp2", "tp3"}
KNOWS = '"held":100,"protected":100'  # told when it becomes so, or of a session that is restored so
PATIENCE = 40.0  # seconds of real time on a busy machine

pytestmark = pytest.mark.timeout(180)


class Pair:
    """A gateway's process and the lives of the program beside it."""

    def __init__(self, folder: Path, port: int, control: Control) -> None:
        self.folder, self.port, self.control = folder, port, control
        self.lives = 0

    def start(self, folder: str = "program") -> Life:
        """Start the program, and wait until it knows its account."""
        self.lives += 1
        own = self.folder / folder
        own.mkdir(exist_ok=True)
        life = Life(own, self.port, self.lives)
        self.until(lambda: life.is_reconciled, "the account is known")
        return life

    def until(self, check: Callable[[], object], what: str) -> float:
        """Wait until something is true; return how long that took."""
        began = time.monotonic()
        while not check():
            assert time.monotonic() - began < PATIENCE, f"not in time: {what}\n{self.control.say('show')!r}"
            time.sleep(0.02)
        return time.monotonic() - began

    def legs(self) -> list[str]:
        """Return the legs of the exits that work."""
        return sorted(order.leg for order in self.shown().orders if not order.over and order.side == "SELL")

    def shown(self) -> Shown:
        """Return the gateway's record; it must break no rule."""
        found = self.control.show()
        assert breaches(found, "AAPL") == []
        return found

    def arm(self, life: Life) -> None:
        """Buy, and wait for the ladder."""
        life.say(LADDER)
        self.until(lambda: set(self.legs()) == LEGS, "the ladder works")


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    """Open a gateway that listens, with a market around 190."""
    with running_gateway(folder / "gateway", "--control", "0", "--market", "AAPL=190", day=()) as gateway:
        control = Control(gateway.control)
        try:
            yield Pair(folder, gateway.port, control)
        finally:
            control.close()


def said(folder: Path) -> str:
    """Return all that the program's lives have printed."""
    return "".join(path.read_text(errors="replace") for path in sorted(folder.glob("life-*.*")))


def test_R02_R03_killed_while_a_ladder_arms_and_started_again_leaves_one_ladder(tmp_path: Path) -> None:
    """SIGKILL as soon as the gateway shows the first exit.

    Kills: orders of a killed process that are placed again; legs that nobody completes.
    """
    with pair(tmp_path) as both:
        life = both.start()
        life.say(LADDER)
        both.until(both.legs, "an exit works")
        life.kill()
        after = both.start()
        took = both.until(lambda: set(both.legs()) == LEGS and len(both.legs()) == 6, "the ladder is whole")
        assert took < 10
        shown = both.shown()
        assert shown.held("AAPL") == 100
        assert sum(order.side == "BUY" for order in shown.orders) == 1
        both.until(lambda: KNOWS in said(tmp_path / "program"), "the program knows that")
        assert after.end() == 0
        assert "Traceback" not in said(tmp_path / "program")


def test_D01_D12_a_connection_that_is_reset_comes_back_by_itself_and_what_filled_meanwhile_is_booked(
    tmp_path: Path,
) -> None:
    """The gateway resets the connection and fills the first target before the program is back.

    Kills: fills that are heard live only.
    """
    with pair(tmp_path) as both:
        life = both.start()
        both.arm(life)
        before = {order.leg: order.id for order in both.shown().orders if not order.over}
        target = next(order for order in both.shown().orders if order.leg == "tp1")
        both.control.say("close_port")
        both.control.say("drop")
        both.control.say(f"fill order={target.id} price={target.limit} client={CLIENT}")
        both.control.say("open_port")
        took = both.until(
            lambda: (
                '"event":"MilestoneReached"' in (life.folder / "state" / "live" / "events.jsonl").read_text()
            ),
            "the fill is booked",
        )
        assert took < 15
        living = {order.leg: order.id for order in both.shown().orders if not order.over}
        assert set(living) == LEGS - {"sl1", "tp1"}
        assert living.items() <= before.items()
        assert life.end() == 0
        assert '"orders":4' in said(tmp_path / "program")
        assert "Traceback" not in said(tmp_path / "program")


def test_R09_a_second_program_on_the_same_folder_is_refused_with_the_number_of_the_first(
    tmp_path: Path,
) -> None:
    """And a third one starts, once the first is gone: a lock dies with its process.

    Kills: a lock that is a file; one that nobody asks for.
    """
    with pair(tmp_path) as both:
        life = both.start()
        both.arm(life)
        second = Life(life.folder, both.port, 2)
        both.until(lambda: not second.is_alive, "the second one ends")
        assert second.end() != 0
        words = (life.folder / "life-2.err").read_text() + (life.folder / "life-2.out").read_text()
        assert str(life._process.pid) in words
        assert life.is_alive
        assert both.shown().clients == (CLIENT,)
        life.kill()
        both.lives = 2
        third = both.start()
        assert set(both.legs()) == LEGS
        assert third.end() == 0


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_R13_a_signal_while_a_ladder_arms_ends_in_order_and_exits_stay(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """It ends within five seconds with its code and no traceback; what works at the broker works on, the next start completes it.

    Kills: an end that cancels exits, or leaves a journal from which the next start cannot go on.
    """
    with pair(tmp_path) as both:
        life = both.start()
        life.say(LADDER)
        both.until(lambda: both.shown().held("AAPL"), "shares are held")
        began = time.monotonic()
        life._process.send_signal(number)
        both.until(lambda: not life.is_alive, "it ends")
        assert time.monotonic() - began < 5
        assert life.end() in (0, code)
        assert both.shown().held("AAPL") == 100
        after = both.start()
        both.until(lambda: set(both.legs()) == LEGS and len(both.legs()) == 6, "the ladder is whole")
        assert sum(order.side == "BUY" for order in both.shown().orders) == 1
        assert after.end() == 0
        assert "Traceback" not in said(tmp_path / "program")
        assert KNOWS in said(tmp_path / "program")
