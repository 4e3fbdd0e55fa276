"""Messages that are late, lost, doubled and overtaken, snapshots that are old, and links that drop."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import pytest
from tests.docs.pages import DOCS, sections, tables
from tests.plugins.paper.venue import Venue, bar, minutes, ny, on_venue, order, quote, told

from tradeshell import (
    Bar,
    BrokerError,
    CommissionReported,
    ConfigError,
    ExecutionReported,
    Handle,
    Input,
    LinkChanged,
    OrderReported,
    OrderState,
    PositionReported,
    Snapshot,
    Tif,
    VenueClock,
)
from tradeshell_paper.courier import CleanCourier, TableCourier
from tradeshell_paper.outside import Outside
from tradeshell_paper.post import Post
from tradeshell_paper.settings import Print, read_settings

TOUCHES = (quote("10:00", "9.99", "10.01"), quote("10:59", "9.99", "10.01"))
STATUS, EXECUTION = OrderReported, ExecutionReported


class Said(CleanCourier):
    """A courier that does what the test says; what it does not name arrives at once."""

    def __init__(
        self,
        *,
        place: Sequence[float] = (0.0,),
        cancel: Sequence[float] = (0.0,),
        host: dict[Any, Sequence[float]] | None = None,
        ages: dict[str, float | None] | None = None,
        answer: float = 0.0,
    ) -> None:
        self.orders = {"place": place, "cancel": cancel}
        self.host = {} if host is None else host
        self.ages = {} if ages is None else ages
        self.answer = answer
        self.asked: list[str] = []

    def to_venue(self, action: str, ref: str, now: datetime) -> Sequence[float]:
        self.asked.append(f"{action} {ref}")
        return self.orders.get(action, (0.0,))

    def to_host(self, message: Input, now: datetime) -> Sequence[float]:
        if isinstance(message, OrderReported) and message.report.state in self.host:
            return self.host[message.report.state]
        return self.host.get(type(message), (0.0,))

    def staleness(self, kind: str, now: datetime) -> float | None:
        return self.ages.get(kind, 0.0)

    def answer_delay(self, now: datetime) -> float:
        return self.answer


def after(seconds: float) -> datetime:
    """Return ten o'clock and ``seconds``."""
    return ny("10:00") + timedelta(seconds=seconds)


def heard(venue: Venue, since: int = 1) -> list[tuple[str, float]]:
    """Return what was told since the connection, each with its second after ten o'clock."""
    return [
        (word, (event.at - ny("10:00")).total_seconds())
        for word, event in zip(told(venue.inputs[since:]), venue.inputs[since:], strict=True)
    ]


def words(found: Snapshot) -> tuple[list[str], list[int], list[int]]:
    """Return a snapshot in few words: orders, executions, positions."""
    return (
        [f"{o.ref} {o.state.value} {o.filled}" for o in found.orders],
        [e.qty for e in found.executions],
        [p.qty for p in found.positions],
    )


# --- a clean courier --------------------------------------------------------------------------------------------------


def day_of(**settings: Any) -> tuple[list[Input], Snapshot]:
    """Play a bracket, a change, a cancel and a reconnection on recorded bars."""

    async def work(venue: Venue) -> tuple[list[Input], Snapshot]:
        broker = venue.broker
        await broker.qualify("ABC")

        def on_bar(closed: Bar) -> None:
            if closed.start == ny("10:01"):
                broker.modify(order("SELL", 100, "STP 9.6", "sl", tif=Tif.GTC), 3)

        broker.subscribe("ABC", 60, True, on_bar)
        venue.place(
            order("BUY", 100, "LMT 10.1", "entry", transmit=False),
            order("SELL", 100, "LMT 11", "tp", tif=Tif.GTC, parent_ref="entry", transmit=False),
            order("SELL", 100, "STP 9.5", "sl", tif=Tif.GTC, parent_ref="entry"),
            order("BUY", 5, "LMT 9", "low"),
        )
        await venue.until("10:02:30")
        broker.cancel("low", 4)
        await venue.until("10:03:30")
        await broker.disconnect()
        await venue.until("10:03:40")
        await broker.connect()
        await venue.until("10:06")
        return venue.inputs, await broker.snapshot_account()

    bars = [*minutes("10:00", 4), bar("10:04", "10 10 9.4 10"), *minutes("10:05", 3)]
    return on_venue(work, bars=bars, **settings)


@pytest.mark.parametrize("latency", [0.0, 0.25])
def test_with_a_clean_courier_every_input_is_the_same_as_without_one(latency: float) -> None:
    plain = day_of(latency=latency)
    assert len(plain[0]) > 15
    assert day_of(latency=latency, courier=CleanCourier()) == plain
    assert day_of(latency=latency, courier={}) == plain


# --- to the venue -----------------------------------------------------------------------------------------------------


def test_an_order_reaches_the_venue_when_the_courier_says_after_the_latency() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "a"))
        await venue.until(after(1))
        assert heard(venue) == [("O a working 0/1", 0.35)]

    on_venue(work, script=TOUCHES, latency=0.25, courier=Said(place=(0.1,)))


def test_a_lost_order_never_was_and_nobody_says_so() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "a"))
        await venue.until(after(60))
        assert heard(venue) == []
        assert (await venue.broker.snapshot_account()).orders == ()

    on_venue(work, script=TOUCHES, courier=Said(place=()))


def test_an_order_that_arrives_twice_is_refused_the_second_time_and_the_first_lives_on() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "a"))
        await venue.until(after(1))
        assert heard(venue) == [("O a working 0/1", 0.1), ("X a 103 order", 0.3)]
        assert venue.broker.exchange.lives(1)

    on_venue(work, script=TOUCHES, courier=Said(place=(0.1, 0.3)))


def test_a_cancel_may_overtake_its_order() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "a"))
        venue.broker.cancel("a", 1)
        await venue.until(after(1))
        assert heard(venue) == [("X a 10147 cancel", 0.0), ("O a working 0/1", 0.2)]

    courier = Said(place=(0.2,))
    on_venue(work, script=TOUCHES, courier=courier)
    assert courier.asked == ["place a", "cancel a"]


# --- to the host ------------------------------------------------------------------------------------------------------


def test_messages_of_equal_delay_keep_their_order_and_tell_when_they_arrived() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until(after(1))
        said = ["O a working 0/100", "E BUY 100@10.01", "O a filled 100/0", "P 100@10.01", "K 1.00"]
        assert heard(venue) == [(word, 0.3) for word in said]
        (execution,) = venue.executions()
        assert execution.at == ny("10:00")  # when it happened

    kinds: list[type[Input]] = [OrderReported, ExecutionReported, PositionReported, CommissionReported]
    on_venue(work, script=TOUCHES, courier=Said(host=dict.fromkeys(kinds, (0.3,))))


def test_a_message_sent_at_once_does_not_overtake_one_that_is_due_at_that_instant() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        # This timer was set before the one that hands the status over: it runs first.
        venue.clock.call_at(after(1), lambda: venue.broker.kill_order(1))
        venue.place(order("BUY", 1, "LMT 9", "a"))
        await venue.until(after(2))
        assert heard(venue) == [("O a working 0/1", 1.0), ("O a cancelled 0/1", 1.0)]

    on_venue(work, script=TOUCHES, courier=Said(host={OrderState.WORKING: (1.0,)}))


class StrictClock:
    """A clock on which everything that is called soon runs before the next timer, also one of the same instant."""

    def __init__(self) -> None:
        self.at = ny("10:00")
        self.soon: deque[Callable[[], None]] = deque()
        self.timers: list[tuple[datetime, int, Callable[[], None], list[bool]]] = []

    def now(self) -> datetime:
        return self.at

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_at(self, when: datetime, callback: Callable[[], None]) -> Handle:
        gone: list[bool] = []
        self.timers.append((when, len(self.timers), callback, gone))

        class Timer:
            def cancel(self) -> None:
                gone.append(True)

        return Timer()

    def run(self) -> None:
        while self.soon or self.timers:
            if self.soon:
                self.soon.popleft()()
                continue
            timer = min(self.timers)
            self.timers.remove(timer)
            if not timer[3]:
                self.at = timer[0]
                timer[2]()


def test_an_order_sent_at_once_does_not_overtake_one_that_is_due_at_that_instant() -> None:
    clock, arrived = StrictClock(), list[str]()
    courier = Said(place=(1.0,))
    post = Post(cast("VenueClock", clock), courier, timedelta(), lambda _message: None)
    clock.call_at(after(1), lambda: post.to_venue("cancel", "a", lambda: arrived.append("cancel")))
    post.to_venue("place", "a", lambda: arrived.append("place"))
    clock.run()
    assert arrived == ["place", "cancel"]


def test_a_status_may_say_filled_before_the_execution_is_heard() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until(after(1))
        said = [word for word in heard(venue) if word[0][0] in "OE"]
        assert said == [("O a working 0/100", 0.0), ("O a filled 100/0", 0.0), ("E BUY 100@10.01", 0.8)]

    on_venue(work, script=TOUCHES, courier=Said(host={EXECUTION: (0.8,)}))


def test_the_first_status_of_an_order_may_come_after_its_execution() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until(after(1))
        assert [word for word, _ in heard(venue) if word[0] in "OE"] == [
            "E BUY 100@10.01",
            "O a working 0/100",
            "O a filled 100/0",
        ]

    on_venue(work, script=TOUCHES, courier=Said(host={STATUS: (0.2,)}))


def test_an_execution_may_be_heard_after_the_cancel_of_its_order_was_confirmed() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "LMT 10.01", "a"))
        await venue.until(after(1))
        venue.broker.cancel("a", 1)
        await venue.until(after(5))
        assert [word for word in heard(venue) if word[0][0] in "OE"] == [
            ("O a cancelled 40/60", 1.0),
            ("E BUY 40@10.01", 4.0),
        ]

    script = (quote("10:00", "9.99", "10.01", size=40), quote("10:59", "9.99", "10.01"))
    courier = Said(host={EXECUTION: (4.0,), OrderState.WORKING: ()})
    on_venue(work, script=script, partial=True, courier=courier)


def test_an_order_may_stay_held_for_ever_in_the_eyes_of_the_host() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("SELL", 1, "STP LMT 9.9 9.95", "sl", tif=Tif.GTC))
        await venue.until(after(2))
        assert heard(venue) == [("O sl held 0/1", 0.0)]
        shown = venue.broker.exchange.order(1)
        assert shown is not None
        assert shown.state is OrderState.WORKING  # elected: its limit rests

    script = (
        quote("10:00", "9.85", "9.91"),
        Print("ABC", after(1), Decimal("9.9")),
        quote("10:59", "9.85", "9.91"),
    )
    on_venue(work, script=script, courier=Said(host={OrderState.WORKING: ()}))


def test_every_message_may_come_twice() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until(after(1))
        assert [word for word in heard(venue) if word[0][0] == "E"] == [
            ("E BUY 100@10.01", 0.0),
            ("E BUY 100@10.01", 0.5),
        ]

    on_venue(work, script=TOUCHES, courier=Said(host={EXECUTION: (0.0, 0.5)}))


def test_a_defect_of_the_host_costs_one_late_message_and_no_other() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        emit, left = broker.link._emit, [1]

        def tell(event: Input) -> None:
            if isinstance(event, ExecutionReported) and left:
                left.clear()
                raise RuntimeError("a defect")
            emit(event)

        broker.link._emit = tell
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until(after(1))
        assert [word for word, _ in heard(venue)] == [
            "O a working 0/100",
            "O a filled 100/0",
            "P 100@10.01",
            "K 1.00",
        ]

    kinds: list[type[Input]] = [OrderReported, ExecutionReported, PositionReported, CommissionReported]
    on_venue(work, script=TOUCHES, courier=Said(host=dict.fromkeys(kinds, (0.3,))))


# --- snapshots --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ages, wanted",
    [
        ({}, (["low working 0"], [100], [100])),
        ({"orders": 2.0}, (["low working 0", "a working 0"], [100], [100])),
        ({"executions": 2.0}, (["low working 0"], [], [100])),
        ({"positions": 2.0}, (["low working 0"], [100], [])),
        ({"orders": 1.0, "executions": 1.0, "positions": 1.0}, (["low working 0"], [100], [100])),
        ({"orders": 700.0, "executions": 700.0, "positions": 700.0}, ([], [], [])),
    ],
)
def test_each_part_of_a_snapshot_is_as_old_as_the_courier_says(
    ages: dict[str, float | None], wanted: tuple[list[str], list[int], list[int]]
) -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "low"), order("BUY", 100, "LMT 10", "a"))
        await venue.until(after(3))  # the second order filled two seconds ago less a moment
        assert words(await venue.broker.snapshot_account()) == wanted

    script = (*TOUCHES, Print("ABC", after(1.5), Decimal(10)))
    on_venue(work, script=script, courier=Said(ages=ages))


def test_a_snapshot_is_as_old_as_said_when_it_is_answered_not_when_it_was_asked_for() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "LMT 10", "a"))
        await venue.until(after(1))
        found = await venue.broker.snapshot_account()  # answered at 2.5 s, as of 1.5 s
        assert venue.clock.now() == after(2.5)
        assert words(found) == ([], [100], [100])

    script = (*TOUCHES, Print("ABC", after(1.5), Decimal(10)))
    ages: dict[str, float | None] = dict.fromkeys(("orders", "executions", "positions"), 1.0)
    on_venue(work, script=script, courier=Said(ages=ages, answer=1.5))


def test_an_old_snapshot_shows_an_execution_in_the_revision_of_its_time() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until(after(2))
        broker.correct("paper.1.01", 60)
        await venue.until(after(3))
        old = await broker.snapshot_account()
        await venue.until(after(5))
        new = await broker.snapshot_account()
        assert [(e.exec_id, e.qty) for e in (*old.executions, *new.executions)] == [
            ("paper.1.01", 100),
            ("paper.1.02", 60),
        ]

    on_venue(work, script=TOUCHES, courier=Said(ages={"executions": 2.0}))


def test_the_past_is_kept_for_ten_minutes_and_what_is_older_is_its_oldest_picture() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "a"))
        await venue.until("10:20")
        venue.place(order("BUY", 1, "LMT 9", "b"))
        await venue.answered()
        found = await broker.snapshot_account()
        assert [o.ref for o in found.orders] == ["a"]

    on_venue(work, script=TOUCHES, courier=Said(ages={"orders": 1500.0}))


def test_an_unanswered_snapshot_fails_naming_what_was_not_answered() -> None:
    async def work(venue: Venue) -> None:
        with pytest.raises(BrokerError, match="did not answer the request for executions and positions"):
            await venue.broker.snapshot_account()
        assert venue.clock.now() == after(2)

    ages: dict[str, float | None] = {"executions": None, "positions": None}
    on_venue(work, script=TOUCHES, courier=Said(ages=ages, answer=2.0))


def test_an_unanswered_snapshot_may_hang_until_the_link_drops() -> None:
    async def work(venue: Venue) -> None:
        asked = asyncio.ensure_future(venue.broker.snapshot_account())
        await venue.until("10:30")
        assert not asked.done()
        venue.broker.drop_link("gone")
        with pytest.raises(BrokerError, match="lost with the link: gone"):
            await asked

    on_venue(work, script=TOUCHES, courier=Said(ages={"orders": None}), unanswered="hang")


def test_a_request_given_up_by_the_host_leaves_nothing_behind() -> None:
    async def work(venue: Venue) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(venue.broker.snapshot_account(), 1.0)
        assert not venue.broker.link._waiting
        await venue.until(after(10))

    on_venue(work, script=TOUCHES, courier=Said(answer=5.0))


# --- the link ---------------------------------------------------------------------------------------------------------


def test_while_the_link_is_down_the_venue_trades_on_and_nothing_of_it_is_told_afterwards() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        bars: list[Bar] = []
        broker.subscribe("ABC", 60, True, bars.append)
        venue.place(order("BUY", 1, "LMT 9.9", "a", tif=Tif.GTC))
        await venue.until("10:01:30")
        broker.drop_link("1100: connectivity was lost")
        assert [(e.up, e.why) for e in venue.inputs if isinstance(e, LinkChanged)][1:] == [
            (False, "1100: connectivity was lost")
        ]
        with pytest.raises(BrokerError, match="not connected"):
            broker.place(order("BUY", 1), 2)
        with pytest.raises(BrokerError, match="its link is down"):
            await broker.connect()
        before = len(venue.inputs)
        await venue.until("10:03:30")
        broker.restore_link()
        assert venue.inputs[before:] == [
            LinkChanged(at=ny("10:03:30"), up=True, account="DU0000001", paper=True, first_order_id=2)
        ]
        await venue.until("10:04:30")
        assert told(venue.inputs[before + 1 :]) == []
        assert [b.start for b in bars] == [ny("10:00"), ny("10:03")]
        assert words(await broker.snapshot_account()) == ([], [1], [1])

    on_venue(work, bars=[*minutes("10:00", 2), bar("10:02", "10 10 9.8 10"), *minutes("10:03", 5)])


@pytest.mark.parametrize("courier", [None, Said(place=(0.0,), host={STATUS: (0.5,)})])
@pytest.mark.parametrize("lose_orders, lives", [(True, False), (False, True)])
def test_orders_under_way_are_lost_with_the_link_if_that_is_asked_for(
    courier: Said | None, lose_orders: bool, lives: bool
) -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "a"))
        await venue.until(after(0.2))
        venue.broker.drop_link("gone", lose_orders=lose_orders)
        venue.broker.restore_link()
        await venue.until(after(1))
        assert venue.broker.exchange.lives(1) is lives

    extra: dict[str, Any] = {} if courier is None else {"courier": courier}
    on_venue(work, script=TOUCHES, latency=0.25, **extra)


def test_a_message_under_way_is_lost_with_the_link_even_if_that_is_back_in_time() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 1, "LMT 9", "a"))
        await venue.until(after(0.2))
        venue.broker.drop_link("gone")
        venue.broker.restore_link("1102: restored")
        await venue.until(after(1))
        assert [type(event) for event in venue.inputs] == [LinkChanged] * 3
        assert words(await venue.broker.snapshot_account())[0] == ["a working 0"]

    on_venue(work, script=TOUCHES, courier=Said(host={STATUS: (0.5,)}))


def test_a_drop_that_nobody_notices_swallows_orders_and_is_told_later() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        broker.drop_link("gone", unnoticed=5.0)
        venue.place(order("BUY", 1, "LMT 9", "a"))
        asked = asyncio.ensure_future(broker.snapshot_account())
        seen = broker.latest("ABC")
        await venue.until(after(4))
        assert venue.inputs[1:] == []
        assert broker.latest("ABC") == seen == quote("10:00", "9.99", "10.01")
        await venue.until(after(6))
        assert [(e.at, e.why) for e in venue.inputs[1:] if isinstance(e, LinkChanged)] == [(after(5), "gone")]
        with pytest.raises(BrokerError, match="lost with the link"):
            await asked
        assert not broker.exchange.lives(1)

    script = (quote("10:00", "9.99", "10.01"), quote(after(2), "8", "8.01"), TOUCHES[1])
    on_venue(work, script=script, courier=CleanCourier())


def test_a_drop_that_nobody_noticed_is_told_when_the_link_comes_back() -> None:
    async def work(venue: Venue) -> None:
        venue.broker.drop_link("gone", unnoticed=60.0)
        await venue.until(after(1))
        venue.broker.restore_link()
        await venue.until("10:02")
        links = [e for e in venue.inputs[1:] if isinstance(e, LinkChanged)]
        assert [(e.at, e.up) for e in links] == [(after(1), False), (after(1), True)]

    on_venue(work, script=TOUCHES)


def test_a_link_comes_back_only_if_the_operator_still_wants_it() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        broker.drop_link("gone")
        await broker.disconnect()
        broker.restore_link()
        assert [e.up for e in venue.inputs if isinstance(e, LinkChanged)] == [True, False]
        await broker.connect()
        assert [e.up for e in venue.inputs if isinstance(e, LinkChanged)] == [True, False, True]
        broker.restore_link()  # nothing has dropped
        assert len(venue.inputs) == 3

    on_venue(work, script=TOUCHES)


# --- the courier of the config ----------------------------------------------------------------------------------------


def test_a_table_makes_a_courier() -> None:
    courier = read_settings(
        {
            "courier": {
                "to_venue": 0.1,
                "cancel": [],
                "execution": [0.5, 0.7],
                "orders_age": 3,
                "positions_age": "never",
                "answer": 1,
            }
        }
    ).courier
    assert isinstance(courier, TableCourier)
    now = ny("10:00")
    assert [tuple(courier.to_venue(action, "a", now)) for action in ("place", "modify", "cancel")] == [
        (0.1,),
        (0.1,),
        (),
    ]
    fee = CommissionReported(at=now, exec_id="paper.1.01", amount=Decimal(1))
    assert tuple(courier.to_host(fee, now)) == (0.0,)
    ages = [courier.staleness(kind, now) for kind in ("orders", "executions", "positions")]
    assert ages == [3.0, 0.0, None]
    assert courier.answer_delay(now) == 1.0

    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 100, "MKT", "a"))
        await venue.until(after(2))
        assert [at for word, at in heard(venue) if word[0] == "E"] == [0.6, 0.8]

    on_venue(work, script=TOUCHES, courier={"to_venue": 0.1, "execution": [0.5, 0.7]})


@pytest.mark.parametrize(
    "value, said",
    [
        ("slow", "is a table such as"),
        ({"status": -1}, "[brokers.paper.courier] status = -1: is a number of seconds"),
        ({"statsu": 1}, "[brokers.paper.courier] has no setting 'statsu' · did you mean status?"),
        ({"orders_age": "old"}, "[brokers.paper.courier] orders_age = 'old'"),
    ],
)
def test_a_wrong_courier_is_refused_in_one_line(value: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"courier": value})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_page_lists_every_key_of_the_table() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"courier": {"!": 1}})
    known = str(caught.value).partition("known: ")[2].split(", ")
    listed = tables(sections(DOCS / "paper.md")["Faults on demand"])[0]
    said = [key.strip("` ") for row in listed for key in row["key of `[brokers.paper.courier]`"].split(",")]
    assert sorted(said) == sorted(known)


def test_the_page_lists_what_can_be_done_to_the_venue() -> None:
    listed = tables(sections(DOCS / "paper.md")["Faults on demand"])[1]
    words = " ".join(re.sub(r"\(.*?\)", "", row["of the broker"]) for row in listed)
    there = {name for name in vars(Outside) if not name.startswith("_")} - {"first_order_id"}
    assert set(re.findall("[a-z_]+", words)) | {"revive_order"} == there
