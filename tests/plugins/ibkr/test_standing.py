"""Living orders whoever sent them, positions of other accounts, a cancel of somebody else's order, orders that ended today."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from tests.plugins.ibkr.orders_of_ours import stop
from tests.plugins.ibkr.peer import ACCOUNT, Peer, Scene, open_order, play, position, status

from tradeshell import (
    BrokerError,
    OcaType,
    OrderRefusedByBroker,
    OrderReported,
    OrderState,
    Owner,
    RefusedWhat,
    Side,
    StandingOrder,
)
from tradeshell_paper.tws.encode_orders import OrderView, completed_order
from tradeshell_paper.tws.frames import decode
from tradeshell_paper.tws.values import WireContract, WireOrder

REF, FAR = "ts:br1:sl1:1", "DU0000002"


def found(tmp_path: Path, *orders: tuple[str, ...], **settings: int) -> dict[int, StandingOrder]:
    """Return what a picture shows of these orders, by the broker's number."""
    kept: list[StandingOrder] = []

    async def story(scene: Scene) -> None:
        scene.next_peers = [
            Peer(open_orders=list(orders), positions=[position(90), position(30, account=FAR)])
        ]
        await scene.broker.connect()
        answer = await scene.broker.snapshot_account()
        kept.extend(answer.standing)
        assert [(p.account, p.qty) for p in answer.elsewhere] == [(FAR, 30)]
        assert [p.qty for p in answer.positions] == [90]

    play(tmp_path, story, **settings)
    return {order.perm_id: order for order in kept}


def test_a_picture_has_every_living_order_with_whose_it_is(tmp_path: Path) -> None:
    shown = found(
        tmp_path,
        open_order(14, REF, group="g1"), status(14, "PreSubmitted", 10, 90),
        open_order(3, "their own", client=9, perm=51, kind="LMT"), status(3, "Submitted", 0, 100, client=9, perm=51),
        open_order(0, "", client=0, perm=52, kind="TRAIL", side="BUY"), status(0, "Submitted", client=0, perm=52),
        open_order(8, REF, client=9, perm=53), status(8, "PreSubmitted", client=9, perm=53),
        open_order(5, "", client=7, perm=54, account=FAR), status(5, "PreSubmitted", 40, 60, perm=54),
        open_order(6, "", client=9, perm=55, security="OPT"), status(6, "Submitted", client=9, perm=55),
    )  # fmt: skip
    assert {perm: order.owner for perm, order in shown.items()} == {
        1_000_014: Owner.OURS,
        51: Owner.CLIENT,
        52: Owner.WINDOW,
        53: Owner.CLIENT,
        54: Owner.OURS,
    }
    mine = shown[1_000_014]
    assert (mine.key, mine.order_id, mine.account, mine.is_adoptable) == (REF, 14, ACCOUNT, True)
    assert (mine.kind, mine.limit, mine.stop, mine.tif) == ("STP LMT", Decimal(187), Decimal(187), "GTC")
    assert (mine.filled, mine.remaining, mine.state) == (10, 90, OrderState.HELD)
    assert (mine.oca_group, mine.oca_type) == ("g1", OcaType.REDUCE_UNBLOCKED)
    assert (shown[51].key, shown[51].is_called_ours, shown[51].state) == ("@9.3", False, OrderState.WORKING)
    hand = shown[52]
    assert (hand.key, hand.order_id, hand.side, hand.kind) == ("@0.52", 0, Side.BUY, "TRAIL")
    assert (shown[53].key, shown[53].is_called_ours, shown[53].is_adoptable) == ("@9.8", True, False)
    assert (shown[54].account, shown[54].remaining, shown[54].is_adoptable) == (FAR, 60, False)


def test_for_client_0_its_own_numbers_are_no_hands(tmp_path: Path) -> None:
    shown = found(
        tmp_path,
        open_order(14, REF, client=0), status(14, "PreSubmitted", client=0),
        open_order(0, "", client=0, perm=52), status(0, "Submitted", client=0, perm=52),
        client_id=0,
    )  # fmt: skip
    assert {order.owner for order in shown.values()} == {Owner.OURS, Owner.WINDOW}


# --- a cancel of somebody else's order --------------------------------------------------------------------------------


def test_a_cancel_that_meets_another_clients_order_is_refused_under_its_key(tmp_path: Path) -> None:
    """And its number stays free for an order of our own.

    Kills: a stranger that takes the place of our next order.
    """

    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.cancel("@9.3", 3)
        await scene.settle()
        scene.peer.error(3, 10147, "OrderId 3 that needs to be cancelled is not found.")
        await scene.settle()
        scene.broker.place(stop(), 3)
        await scene.settle()
        scene.peer.error(3, 201, "Order rejected - reason:no")
        await scene.settle()

    scene = play(tmp_path, story)
    told = [(event.ref, event.what, event.code) for event in scene.of(OrderRefusedByBroker)]
    assert told == [("@9.3", RefusedWhat.CANCEL, 10147), (stop().ref, RefusedWhat.ORDER, 201)]


def test_a_cancel_of_a_stranger_that_works_after_all_is_told_under_its_key(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.broker.connect()
        scene.broker.cancel("@9.3", 3)
        await scene.settle()
        scene.peer.error(3, 202, "Order Canceled - reason:")
        await scene.pass_time(2)

    reports = [event.report for event in play(tmp_path, story).of(OrderReported) if event.report.ref]
    assert [(report.ref, report.state) for report in reports] == [("@9.3", OrderState.CANCELLED)]


# --- orders that ended today ------------------------------------------------------------------------------------------


def ended(ref: str, status_: str) -> list[str]:
    """Return a completedOrder as the gateway writes it."""
    contract = WireContract(con_id=265598, symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
    order = WireOrder(
        order_id=14,
        contract=contract,
        action="SELL",
        quantity=Decimal(60),
        order_type="STP LMT",
        limit=Decimal(187),
        aux=Decimal(188),
        account=ACCOUNT,
        order_ref=ref,
    )
    view = OrderView(
        order=order,
        contract=contract,
        client=7,
        order_id=14,
        perm_id=77,
        account=ACCOUNT,
        status=status_,
        total=60,
        completed_status="Cancelled by Trader",
    )
    frame = completed_order(view, 178)
    return decode(frame[4:])


def test_orders_that_ended_today_come_with_what_became_of_them(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        def answer(_: list[str]) -> None:
            scene.peer.say(*ended(REF, "Cancelled"))
            scene.peer.say("102")

        scene.next_peers = [Peer(answers={"99": answer})]
        await scene.broker.connect()
        (order,) = await scene.broker.completed_orders()
        assert (order.ref, order.perm_id, order.account, order.symbol) == (REF, 77, ACCOUNT, "AAPL")
        assert (order.side, order.state, order.why) == (
            Side.SELL,
            OrderState.CANCELLED,
            "Cancelled by Trader",
        )
        assert (order.limit, order.stop) == (Decimal(187), Decimal(188))

    play(tmp_path, story)


def test_an_answer_that_does_not_end_is_none(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.next_peers = [Peer(unanswered={"99"})]
        await scene.broker.connect()
        with pytest.raises(BrokerError, match="completed orders were not answered completely"):
            await scene.broker.completed_orders()
        scene.peer.say(*ended(REF, "Filled"))  # too late: nobody waits
        scene.peer.say("102")
        await scene.settle()

    play(tmp_path, story)
