"""Whatever is lost, repeated, delayed or nonsense: no bar that is not true, none twice, nothing that escapes."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plugins.ibkr_data.kit import MONDAY, desk

from tradeshell import Bar, BrokerError
from tradeshell_ibkr.bars import PART, Assembly, Forming, Part, merge
from tradeshell_ibkr.market_data import SECOND, THIRD
from tradeshell_ibkr.seconds import Seconds

BASE = int(MONDAY.timestamp())
MINUTES = 4
COUNT = MINUTES * 12
prices = st.integers(18900, 19100)


def _truth(closes: list[int]) -> dict[int, Part]:
    found, before = {}, closes[0]
    for n, close in enumerate(closes):
        low, high = sorted((before, close))
        opened, top, bottom, last = (Decimal(p) / 100 for p in (before, high, low, close))
        found[BASE + PART * n] = Part(opened, top, bottom, last, n + 1)
        before = close
    return found


def _bar(truth: dict[int, Part], start: int, seconds: int) -> Part | None:
    return merge(truth[s] for s in range(start, start + seconds, PART) if s in truth)


@given(st.lists(prices, min_size=COUNT, max_size=COUNT), st.data())
@settings(max_examples=150, deadline=None)
def test_bars_out_of_parts_that_are_lost_repeated_and_late(closes: list[int], data: st.DataObject) -> None:
    truth = _truth(closes)
    sent = [(start, start) for start in truth if data.draw(st.integers(0, 9)) > 0]
    again = data.draw(st.lists(st.sampled_from(sorted(truth)), max_size=10))
    sent += [(start + data.draw(st.sampled_from((5, 10, 30, 60, 120))), start) for start in again]  # late
    sent.sort()
    assembly = Assembly("AAPL")
    for seconds in (5, 60, 120):
        assembly.want(seconds, BASE)
    told: list[Bar] = []
    live: set[int] = set()
    for at, start in sent:
        if at == start:
            live.add(start)
        closed, lost = assembly.part(start, truth[start], 3)
        told += closed
        for ended in lost:
            if data.draw(st.booleans()):
                after = ended.start + ended.seconds
                assembly.fill(ended.live, after, {s: p for s, p in truth.items() if ended.live <= s < after})
            if (bar := assembly.decide(ended)) is not None:
                told.append(bar)
    keys = [(bar.seconds, bar.start) for bar in told]
    assert len(set(keys)) == len(keys)
    for bar in told:
        start = int(bar.start.timestamp())
        right = _bar(truth, start, bar.seconds)
        assert right is not None
        assert bar.close == right.close
        assert right.low <= bar.low <= bar.open <= bar.high <= right.high
        if all(s in live for s in range(start, start + bar.seconds, PART)):
            assert Part(bar.open, bar.high, bar.low, bar.close, bar.volume) == right
    # every bar whose parts all came, in order, is there
    for seconds in (60, 120):
        for start in range(BASE, BASE + PART * COUNT, seconds):
            if all(s in live for s in range(start, start + seconds, PART)):
                assert any(bar.seconds == seconds and int(bar.start.timestamp()) == start for bar in told)


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 70), prices), max_size=60))
@settings(max_examples=150, deadline=None)
def test_forming_bars_end_once_and_in_order(updates: list[tuple[int, float, int]]) -> None:
    forming = Forming("AAPL", 60, BASE)
    told: list[int] = []
    now = float(BASE)
    for minute, wait, price in updates:
        now += wait / 10
        value = Decimal(price) / 100
        ended, _ = forming.update(BASE + 60 * minute, Part(value, value, value, value, 1), now)
        told += [] if ended is None else [int(ended.bar.start.timestamp())]
    assert told == sorted(set(told))


@given(st.lists(st.tuples(st.integers(0, 20), prices), max_size=80))
@settings(max_examples=150, deadline=None)
def test_seconds_end_once_and_in_order_whatever_order_trades_come_in(trades: list[tuple[int, int]]) -> None:
    seconds = Seconds("AAPL", BASE)
    told: list[int] = []
    for n, (second, price) in enumerate(trades):
        bar = seconds.trade(BASE + second, Decimal(price) / 100, 1, BASE + n / 10)
        told += [] if bar is None else [int(bar.start.timestamp())]
    last = seconds.close()
    told += [] if last is None else [int(last.start.timestamp())]
    assert told == sorted(set(told))


NUMBERS = (
    "",
    "0",
    "1",
    "-1",
    "3",
    "190.01",
    "NaN",
    "sNaN",
    "Infinity",
    "-Infinity",
    "1e309",
    "1e-400",
    "9" * 21,
)
TIMES = (
    str(BASE),
    str(BASE + 5),
    str(BASE - 10**9),
    "20260706",
    "20260706 10:00:00 US/Eastern",
    "20260706 1:2:3 Nowhere/At",
)
WORDS = (*NUMBERS, *TIMES, "x", "\u0661", "1;2;3;4;5;true", ";;;;;", "a" * 5000)


@pytest.mark.parametrize("seed", range(20))
def test_X06_no_message_that_a_gateway_may_send_raises(seed: int) -> None:
    dice = random.Random(seed)
    with desk() as at_desk:
        at_desk.connect()
        for seconds in (1, 5, 60, 3600):
            at_desk.watch(seconds)
        at_desk.watch(1, symbol="MSFT")
        at_desk.link.error(at_desk.link.requests("reqTickByTickData")[-1].id, 10190, "Max number")
        at_desk.link.error(at_desk.link.requests("reqRealTimeBars")[-1].id, 420, "Invalid Real-time Query")
        at_desk.watch(60, symbol="MSFT")
        at_desk.do(lambda: at_desk.data.subscribe_quotes("AAPL", lambda _: None))
        ids = [str(asked.args[0]) for asked in at_desk.link.asked if asked.args]

        def storm() -> None:
            for _ in range(2000):
                kind = dice.choice((*THIRD, *SECOND))
                fields = [str(kind), *(dice.choice(WORDS) for _ in range(dice.randrange(14)))]
                place = 2 if kind in THIRD else 1
                if len(fields) > place and dice.random() < 0.9:
                    fields[place] = dice.choice(ids)
                at_desk.link.send(*fields)
                at_desk.data.latest("AAPL")

        at_desk.do(storm)
        at_desk.advance(30)

        def errors() -> None:
            for req_id in map(int, ids):
                code = dice.choice((0, -1, 162, 200, 321, 366, 2104, 10182, 10197, 10225, 99999))
                at_desk.link.error(req_id, code, "x\n\0y" * 100)

        at_desk.do(errors)
        at_desk.advance(30)
        assert at_desk.data.unreadable > 100
        assert all(len(text) < 400 and "\n" not in text for _, text in at_desk.link.told)


def test_X06_a_defect_of_a_listener_is_not_taken_for_a_bad_message() -> None:
    with desk() as at_desk:
        at_desk.connect()

        def broken(_: Bar) -> None:
            raise BrokerError("a defect of the host")

        at_desk.do(lambda: at_desk.data.subscribe("AAPL", 5, True, broken))
        with pytest.raises(BrokerError, match="a defect of the host"):
            at_desk.part(0)
        assert at_desk.data.unreadable == 0
