"""The fast and the slow path race: whichever closes first enters, and there is one entry over all restarts.

Laws: the second of a minute that ends it and the minute itself close in one instant, in either order. A *kill* is a desk rebuilt
from the inputs that were recorded, started again and resumed; what was not recorded has never happened.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import product
from random import Random
from typing import Any

import pytest
from tests.core.support import AAPL, ACCOUNT, OPEN, SESSION, Desktop, bar, d, plan, quote

from tradeshell import US_STOCK_GRID, OperatorError, PriceBand, PriceGrid
from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.market import Bar
from tradeshell.core.orders import OrderSpec, Side
from tradeshell.core.policy import Policy, Resume
from tradeshell.core.strategy import BarNeed
from tradeshell_breakout.events import (
    BreakoutBreakDetected,
    BreakoutConfirmed,
    BreakoutFastTriggered,
    BreakoutStarted,
    BreakoutStopped,
)
from tradeshell_breakout.logic import fast_level
from tradeshell_breakout.policy import check_fast

FAST = {"fast_bar": "1"}  # enters at 190.10: 0.05 % of 190 is 0.095


def second(number: int, close: str, *, high: str | None = None) -> Bar:
    """Return the bar of the ``number``-th second after the open."""
    top = d(high or close)
    return Bar("AAPL", OPEN + timedelta(seconds=number), 1, d(close), max(top, d(close)), d("189"), d(close))


class Race(Desktop):
    """A desk whose inputs are recorded, so that it can be killed."""

    def __init__(self) -> None:
        self.journal: list[i.Input] = []
        self.buys: list[OrderSpec] = []
        super().__init__()
        self.do(i.PolicySet, policy=Policy(resume=Resume.ARM))

    def feed(self, event: i.Input) -> tuple[c.Command, ...]:
        """Feed one input; orders leave after it was recorded."""
        self.journal.append(event)
        super().feed(event)
        self.buys += [p.order for p in self.sent(c.PlaceOrder) if p.order.side is Side.BUY]
        return self.last

    def bars(self, *closed: Bar) -> None:
        """Let bars close, with the touch of that instant."""
        for each in closed:
            self.at = max(self.at, each.end)
            touch = quote(self.at, bid="190.10", ask="190.12")
            self.do(i.BarClosed, bar=each, rth=True, quote=touch, session=SESSION)

    def kill(self, *, forgets: int = 0) -> None:
        """End the program without a word and start it again; the last inputs may not have been recorded."""
        kept = self.journal[: len(self.journal) - forgets]
        self.desk, self.journal = Desk(), []
        for event in kept:
            self.journal.append(event)
            self.desk, _ = self.core.step(self.desk, event)
        self.do(i.Restarted)
        self.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
        epoch = self.desk.link.epoch
        self.do(i.SnapshotAnswered, epoch=epoch, asked_at=self.at, orders=(), executions=(), positions=())
        found = i.Meanwhile(instrument=AAPL, session=SESSION)
        self.do(i.ResumeRequested, watch="br-1", found=found)

    @property
    def phase(self) -> WatchPhase:
        """Where the watcher stands."""
        return self.desk.watchers["br-1"].phase


def armed() -> Race:
    desk = Race()
    desk.watch(words=FAST)
    return desk


# --- one path each ----------------------------------------------------------------------------------------------------


def test_a_watcher_with_a_fast_path_listens_to_both_streams_and_leaves_both() -> None:
    desk = armed()
    assert desk.sent(c.WatchBars) == [
        c.WatchBars("br-1", "AAPL", 60, True),
        c.WatchBars("br-1", "AAPL", 1, True),
    ]
    (started,) = desk.told(BreakoutStarted)
    assert (started.fast_bar, started.fast_level) == (1, d("190.10"))
    assert "watching 1m closes ≥ 190.00, 1s closes ≥ 190.10" in str(started.story())
    desk.do(i.WatchCancelRequested, watch="br-1")
    assert desk.sent(c.UnwatchBars) == [c.UnwatchBars("br-1")]


def test_the_first_second_that_closes_at_level_and_buffer_enters_and_says_so() -> None:
    desk = armed()
    desk.bars(second(5, "190.09"))
    assert [event.close for event in desk.told(BreakoutBreakDetected)] == [d("190.09")]
    assert desk.phase is WatchPhase.ARMED
    desk.bars(second(6, "190.05", high="190.50"), second(7, "190.10"))
    (fast,) = desk.told(BreakoutFastTriggered)
    assert (fast.close, fast.fast_level, fast.bar) == (d("190.10"), d("190.10"), 1)
    assert fast.story() == "a 1s bar closed at 190.10 ≥ 190.10"
    assert fast.label() == "fast"
    (confirmed,) = desk.told(BreakoutConfirmed)
    assert confirmed.bar_start == fast.bar_start
    assert [order.limit for order in desk.buys] == [d("190.12")]
    assert len(desk.ever_told(BreakoutBreakDetected)) == 1


def test_a_minute_that_closes_at_the_level_enters_where_no_second_reached_the_buffer() -> None:
    desk = armed()
    desk.bars(*(second(n, "190.05") for n in range(58)), bar(0, "190.00"))
    assert len(desk.buys) == 1
    assert desk.ever_told(BreakoutFastTriggered) == []
    assert len(desk.ever_told(BreakoutBreakDetected)) == 1


def test_only_slow_bars_count_for_max_bars() -> None:
    desk = Race()
    desk.watch(words=FAST, max_bars="2")
    desk.bars(*(second(n, "190.05") for n in range(50)), bar(0, "189.90"))
    assert desk.phase is WatchPhase.ARMED
    desk.bars(bar(1, "189.90"))
    assert [event.reason for event in desk.told(BreakoutStopped)] == ["max_bars"]


def test_without_the_fast_path_seconds_are_nobodys_bars() -> None:
    desk = Race()
    desk.watch()
    desk.bars(second(7, "190.50"))
    assert desk.phase is WatchPhase.ARMED
    assert desk.buys == []


def test_the_buffer_is_what_was_typed_or_a_twentieth_of_a_percent_and_at_least_a_tick() -> None:
    assert fast_level(d("190"), US_STOCK_GRID, None) == d("190.10")
    assert fast_level(d("190"), US_STOCK_GRID, d("0")) == d("190")
    assert fast_level(d("190"), US_STOCK_GRID, d("0.004")) == d("190.01")
    assert fast_level(d("5"), US_STOCK_GRID, None) == d("5.01")
    nickels = PriceGrid(bands=(PriceBand(low_edge=d("0"), increment=d("0.05")),))
    assert fast_level(d("5"), nickels, None) == d("5.05")


@pytest.mark.parametrize(
    "more,buffer,words",
    [
        ({"chase_limit": d("190.05")}, "", "fast=true: fast closes enter from 190.10, where entries are refused"),
        ({"chase_limit": d("191.50")}, "1.50", "fast_buffer=1.50: fast closes enter from 191.50"),
        ({"chase_limit": None}, "5", "(the first target) · use a smaller buffer, such as fast_buffer=0.01"),
    ],
)  # fmt: skip
def test_a_fast_path_whose_every_entry_would_be_refused_is_not_begun(
    more: dict[str, Any], buffer: str, words: str
) -> None:
    with pytest.raises(OperatorError) as refused:
        Race().watch(words={**FAST, "fast_buffer": buffer}, **more)
    assert words in str(refused.value)
    assert check_fast(plan(chase_limit=None, tps=()), {"fast_buffer": "9"}, US_STOCK_GRID) == d("199")


# --- both -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow_first", [False, True])
def test_both_in_one_instant_enter_once(slow_first: bool) -> None:
    desk = armed()
    desk.at = OPEN + timedelta(seconds=60)
    both = (second(59, "190.10"), bar(0, "190.10"))
    desk.bars(*(reversed(both) if slow_first else both))
    assert len(desk.buys) == 1
    assert len(desk.ever_told(BreakoutConfirmed)) == 1
    assert len(desk.ever_told(BreakoutFastTriggered)) == (not slow_first)


@pytest.mark.parametrize("slow_first,forgets", tuple(product((False, True), (0, 1, 2))))
def test_a_kill_between_the_two_never_buys_twice(slow_first: bool, forgets: int) -> None:
    """Killed after the first of them fired; with 1 forgotten input that trigger was never recorded, and never left."""
    desk = armed()
    desk.bars(second(30, "189.50"))
    fast, slow = second(59, "190.10"), bar(0, "190.10")
    first, then = (slow, fast) if slow_first else (fast, slow)
    desk.bars(first)
    bought = len(desk.buys)
    assert bought == 1
    if forgets:
        desk.buys.clear()  # bytes leave after the record, so these never did
    desk.kill(forgets=forgets)
    desk.bars(then, second(60, "190.20"), bar(1, "190.20"))
    assert len(desk.buys) == (1 if forgets else bought)
    assert desk.desk.watchers["br-1"].fired


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_order_of_bars_and_kills_there_is_one_entry(seed: int) -> None:
    """Some minutes of seconds and minutes around the level, repetitions, killed anywhere: one BUY at most, under one name."""
    dice = Random(f"race {seed}")
    desk = armed()
    for minute in range(3):
        price = "189.90"
        for number in range(60):
            price = dice.choice(
                (price, price, "189.95", "190.02", "190.10" if dice.random() < 0.1 else "189.99")
            )
            closing = [second(minute * 60 + number, price)]
            if number == 59:
                closing.append(bar(minute, price, high="190.50"))
                dice.shuffle(closing)
            for each in closing:
                before = len(desk.buys)
                desk.bars(*[each] * dice.choice((1, 1, 1, 2)))
                if dice.random() < 0.03:
                    is_lost = len(desk.buys) == before and dice.random() < 0.5
                    desk.kill(forgets=int(is_lost))
    assert len(desk.buys) == len({order.ref for order in desk.buys}) <= 1
    assert len(desk.buys) == desk.desk.watchers["br-1"].fired


def test_the_need_of_one_stream_is_as_it_was() -> None:
    assert BarNeed(60, True).lengths == (60,)
    assert BarNeed(60, True, 5).lengths == (60, 5)
