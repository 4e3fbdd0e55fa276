"""The scripted broker of the testing kit keeps the broker contract, and says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from tests.contract.scripted_venue import ScriptedUnderTest

from tradeshell import (
    Broker,
    BrokerError,
    ExecutionReported,
    Input,
    Instrument,
    LinkChanged,
    OrderRefusedByBroker,
    OrderReported,
    OrderSpec,
    OrderState,
    OrderType,
    RefusedWhat,
    Side,
    Snapshot,
)
from tradeshell.testing import ScriptedVenue, accepts, fills, refuses, silent, unheard
from tradeshell.testing.broker_contract import BrokerContract, BrokerUnderTest

ORDER = OrderSpec(
    ref="ts:m-abcde:entry:1",
    symbol="ACME",
    con_id=1,
    account="DU0000001",
    side=Side.BUY,
    qty=100,
    type=OrderType.LIMIT,
    limit=Decimal(50),
)
EMPTY = Snapshot(orders=(), executions=(), positions=())
Story = Callable[[ScriptedVenue, Broker, list[Input]], Awaitable[None]]


class TestScripted(BrokerContract):
    """Every card but those about families, groups and hours."""

    def under_test(self, tmp_path: Path) -> BrokerUnderTest:
        """Return a fresh venue."""
        return ScriptedUnderTest()


def tell(story: Story) -> None:
    """Play a story on a connected broker."""

    async def main() -> None:
        venue = ScriptedVenue(Instrument(symbol="ACME", con_id=1))
        with venue.alone() as (broker, told):
            await broker.connect()
            told.clear()
            await story(venue, broker, told)

    asyncio.run(main())


async def placed(broker: Broker, order: OrderSpec = ORDER, number: int = 1) -> None:
    broker.place(order, number)
    await asyncio.sleep(0)


def states(told: list[Input]) -> list[OrderState]:
    return [event.report.state for event in told if isinstance(event, OrderReported)]


def test_left_alone_it_takes_orders_and_lets_nothing_happen() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        await placed(broker)
        assert states(told) == [OrderState.WORKING]
        assert [sent.action for sent in venue.sent] == ["place"]
        assert venue.sent[0].order == ORDER

    tell(story)


def test_answers_are_for_the_next_calls_and_then_as_always() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        venue.answer("place", silent, refuses(201, "no"))
        await placed(broker)
        assert told == []
        await placed(broker, number=2)
        assert isinstance(told[0], OrderRefusedByBroker)
        assert (told[0].what, told[0].code, told[0].text) == (RefusedWhat.ORDER, 201, "no")
        await placed(broker, number=3)
        assert states(told) == [OrderState.REFUSED, OrderState.WORKING]

    tell(story)


def test_what_is_unheard_has_happened_and_is_in_the_snapshot() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        venue.answer("place", unheard)
        await placed(broker)
        assert told == []
        assert [order.ref for order in (await broker.snapshot_account()).orders] == [ORDER.ref]

    tell(story)


def test_an_order_fills_when_the_script_says_so_and_a_snapshot_shows_what_the_books_say() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        venue.scripts["place"] = fills(Decimal("49.98"), 40)
        await placed(broker)
        venue.fill(ORDER.ref, price=Decimal("49.90"))
        executed = [(e.execution.qty, e.execution.price) for e in told if isinstance(e, ExecutionReported)]
        assert executed == [(40, Decimal("49.98")), (60, Decimal("49.90"))]
        (position,) = (await broker.snapshot_account()).positions
        assert (position.qty, position.average) == (100, Decimal("49.932"))

    tell(story)


def test_a_position_turns_and_ends_with_the_average_of_what_opened_it() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        venue.scripts["place"] = fills(Decimal(10))
        await placed(broker)
        venue.scripts["place"] = fills(Decimal(12))
        for number, qty, held, average in ((2, 40, 60, 10), (3, 100, -40, 12)):
            out = OrderSpec(
                ref=f"ts:m-abcde:out:{number}",
                symbol="ACME",
                con_id=1,
                account="DU0000001",
                side=Side.SELL,
                qty=qty,
                type=OrderType.MARKET,
            )
            await placed(broker, out, number)
            position = venue.books.position("ACME")
            assert (position.qty, position.average) == (held, Decimal(average))

    tell(story)


def test_the_test_may_say_what_snapshots_show_and_how_many_times() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        await placed(broker)
        venue.pictures += [EMPTY, BrokerError("no answer for positions")]
        assert await broker.snapshot_account() == EMPTY
        with pytest.raises(BrokerError, match="no answer for positions"):
            await broker.snapshot_account()
        assert len((await broker.snapshot_account()).orders) == 1

    tell(story)


def test_nothing_is_told_while_the_link_is_down_and_the_books_go_on() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        await placed(broker)
        venue.drop("the line was cut")
        assert isinstance(told[-1], LinkChanged)
        known = len(told)
        venue.fill(ORDER.ref)
        assert len(told) == known
        venue.restore()
        assert [type(event) for event in told[known:]] == [LinkChanged]
        assert [e.qty for e in (await broker.snapshot_account()).executions] == [100]

    tell(story)


def test_deaf_is_for_a_while() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        await placed(broker)
        told.clear()
        with venue.deaf():
            venue.fill(ORDER.ref, 10)
        assert told == []
        venue.show(ORDER.ref)
        assert [event.report.filled for event in told if isinstance(event, OrderReported)] == [10]

    tell(story)


def test_a_script_of_the_test_s_own_may_do_anything() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        def twice(venue: ScriptedVenue, sent: object) -> None:
            accepts(venue, venue.sent[-1])
            venue.show(ORDER.ref)

        venue.answer("place", twice)
        await placed(broker)
        assert states(told) == [OrderState.WORKING, OrderState.WORKING]

    tell(story)


def test_a_duplicate_number_and_a_change_of_nothing_are_refused_as_ibkr_does() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        await placed(broker)
        told.clear()
        await placed(broker)
        broker.modify(ORDER, 9)
        await asyncio.sleep(0)
        assert [event.code for event in told if isinstance(event, OrderRefusedByBroker)] == [103, 135]

    tell(story)


def test_a_change_down_to_what_has_filled_ends_the_order() -> None:
    async def story(venue: ScriptedVenue, broker: Broker, told: list[Input]) -> None:
        venue.answer("place", fills(Decimal(50), 40))
        await placed(broker)
        broker.modify(OrderSpec(**{n: getattr(ORDER, n) for n in ORDER.__struct_fields__} | {"qty": 40}), 1)
        await asyncio.sleep(0)
        assert states(told)[-1] is OrderState.CANCELLED

    tell(story)


def test_its_offer_runs_the_clock_only_when_it_was_told_where_to_begin() -> None:
    assert not ScriptedVenue().offer().own_clock
    offer = ScriptedVenue(start=datetime(2025, 12, 22, 15, tzinfo=UTC)).offer("words")
    assert (offer.own_clock, offer.words) == (True, "words")
