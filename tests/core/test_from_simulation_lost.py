"""Sequences that random schedules found, about exits that were lost on the way: each as short as it can be told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.core.support import ENTRY, Desktop
from tests.core.test_from_simulation import LADDER, cancelled, fire, hold, timers
from tests.core.test_totals_and_pictures import pos, seen

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.cap import exposures
from tradeshell.core.events import OrderMissing, RiskRejected
from tradeshell.core.incidents import is_cut
from tradeshell.core.orders import Order, OrderState, Side

LOST = {"ts:br-1:sl1:1", "ts:br-1:tp1:1"}
HEARD = ("ts:br-1:sl2:1", "ts:br-1:tp2:1")


def ladder_without_its_first_leg() -> Desktop:
    """Return a desk that armed two legs of which the first one was lost on the way, six seconds later."""
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)
    for ref in HEARD:
        desk.report(ref, OrderState.HELD)
    desk.wait(3)
    for ref in LOST:
        fire(desk, f"ack:{ref}")
    look(desk)
    assert not cancelled(desk)  # it may be an old one
    desk.wait(3)
    return desk


def look(desk: Desktop, epoch: int = 1, ago: float = 0) -> None:
    """Let a picture come that was asked for ``ago`` seconds ago and shows what was heard of."""
    shown = tuple(seen(desk, ref, OrderState.HELD, 30) for ref in HEARD)
    told = {"orders": shown, "executions": (), "positions": (pos(100),)}
    desk.do(i.SnapshotAnswered, epoch=epoch, asked_at=desk.at - timedelta(seconds=ago), **told)


def deny(desk: Desktop, ref: str, code: int = 10147, words: str = "is not found.") -> None:
    """Let the broker answer a cancel: it has no such order."""
    desk.do(i.OrderRefusedByBroker, ref=ref, what=i.RefusedWhat.CANCEL, code=code, text=words)


def sales(desk: Desktop) -> list[str]:
    """Return the exits that the last input sent."""
    return [command.order.ref for command in desk.sent(c.PlaceOrder) if command.order.side is Side.SELL]


def test_an_exit_that_never_came_is_asked_for_by_a_cancel_and_sent_again_when_the_broker_has_none() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    assert not cancelled(desk)  # a second picture has to lack it, too
    desk.wait(1)
    look(desk)
    assert {event.order_ref for event in desk.told(OrderMissing)} == LOST
    assert cancelled(desk) == LOST
    deny(desk, "ts:br-1:sl1:1")
    desk.wait(0.5)
    fire(desk, "again:br-1:stop1")
    assert not sales(desk)  # the target may have sold
    deny(desk, "ts:br-1:tp1:1")
    assert sales(desk) == ["ts:br-1:sl1:2", "ts:br-1:tp1:2"]
    deny(desk, "ts:br-1:sl1:1")
    assert not sales(desk)


def test_an_answer_that_the_broker_has_no_such_order_explains_none_that_has_sold() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    desk.wait(1)
    look(desk)
    desk.execute("ts:br-1:sl1:1", 10, "186.90", "e2.01")
    deny(desk, "ts:br-1:sl1:1")
    assert not desk.order("ts:br-1:sl1:1").is_explained


def test_a_cancel_that_meets_the_exit_after_all_is_ours_and_nobody_elses() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    desk.wait(1)
    look(desk)
    desk.report("ts:br-1:sl1:1", OrderState.HELD)  # it came late, and the cancel after it
    for ref in sorted(LOST):
        desk.report(ref, OrderState.CANCELLED)
        assert desk.order(ref).is_explained
    assert not is_cut([desk.order("ts:br-1:sl1:1")] * 2, ())


def test_what_died_with_the_link_is_asked_for_once_the_account_is_known_again() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    desk.do(i.LinkChanged, up=False, account=desk.desk.account, paper=True, first_order_id=1, why="lost")
    desk.wait(1)
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=100, why="back")
    look(desk, epoch=2)
    assert not desk.told(OrderMissing)
    assert not cancelled(desk)
    assert "picture" in timers(desk)
    look(desk, epoch=2)
    assert cancelled(desk) == LOST


def test_an_exit_that_the_broker_calls_filled_is_not_explained_by_pictures_that_may_be_old() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.wait(10)
    desk.do(i.CancelRequested, ref="ts:br-1:tp1:1")
    deny(desk, "ts:br-1:tp1:1", 10148, "cannot be cancelled, state: Filled.")
    desk.report("ts:br-1:sl1:1", OrderState.CANCELLED)  # its group has sold
    for _ in range(6):
        desk.wait(1)
        desk.do(
            i.SnapshotAnswered, epoch=1, asked_at=desk.at, orders=(), executions=(), positions=(pos(100),)
        )
        assert not sales(desk)
    assert not desk.order("ts:br-1:tp1:1").is_explained


def test_a_stop_that_had_sold_before_its_reduction_frees_nothing_when_its_cancel_meets_nothing() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    desk.report("ts:br-1:cover:1", OrderState.HELD)
    hold(desk, 100)
    assert [change.order.qty for change in desk.sent(c.ModifyOrder)] == [
        70
    ]  # all of it has sold, and nobody told
    desk.do(i.FlattenRequested)
    assert cancelled(desk) == {"ts:br-1:cover:1"}
    deny(desk, "ts:br-1:cover:1", 10148, "cannot be cancelled, state: Filled.")
    assert not sales(desk)
    assert desk.desk.books["AAPL"].cap() == 0


def test_an_old_total_of_a_cover_frees_nothing_while_its_reduction_is_on_its_way() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 10, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    cover = "ts:br-1:cover:1"
    desk.report(cover, OrderState.HELD)
    desk.execute(ENTRY, 90, "190.15", "e2.01")
    desk.report(cover, OrderState.HELD, qty=100)  # raised
    hold(desk, 100)
    assert [change.order.qty for change in desk.sent(c.ModifyOrder)] == [70]
    desk.report(cover, OrderState.HELD, qty=10)  # from before the raise, late
    assert not sales(desk)
    assert desk.order(cover).changing
    desk.wait(6)
    desk.report(cover, OrderState.HELD, qty=10)  # nobody is that late
    assert not desk.order(cover).changing


def test_a_stop_that_the_broker_took_along_with_its_target_was_cut_by_nobody() -> None:
    def cut(*, asked_first: bool) -> bool:
        desk = Desktop()
        desk.open_position()
        if asked_first:
            desk.do(i.CancelRequested, ref="ts:br-1:tp1:1")
            desk.wait(1)
        desk.report("ts:br-1:sl1:1", OrderState.CANCELLED)
        if not asked_first:
            desk.wait(1)
            desk.do(i.CancelRequested, ref="ts:br-1:tp1:1")
        orders = tuple(order for order in desk.desk.orders() if order.spec.side is Side.SELL)
        return is_cut([desk.order("ts:br-1:sl1:1")] * 2, orders)

    assert cut(asked_first=False)
    assert not cut(asked_first=True)


# --- what left on a connection that is gone ---------------------------------------------------------------------------


def stranded(away: float = 2) -> Desktop:
    """Return a desk whose process died when it had armed two legs, and is back; of the first leg nothing was ever heard."""
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)
    for ref in HEARD:
        desk.report(ref, OrderState.HELD)
    desk.wait(away)
    desk.do(i.Restarted)
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=1)
    return desk


def test_the_first_picture_of_a_new_connection_has_exits_asked_for_that_were_never_heard_of() -> None:
    desk = stranded()
    look(desk, epoch=2)
    assert cancelled(desk) == LOST
    for ref in LOST:
        deny(desk, ref)
    look(desk, epoch=2)
    assert not sales(desk)  # a second picture has to lack them, too
    desk.wait(1)
    look(desk, epoch=2)
    assert {event.order_ref for event in desk.told(OrderMissing)} == LOST
    assert not cancelled(desk)  # what was asked is not asked again
    assert sales(desk) == ["ts:br-1:sl1:2", "ts:br-1:tp1:2"]


def test_they_are_not_asked_for_while_their_bytes_may_be_on_the_way_nor_twice() -> None:
    desk = stranded(away=1)
    look(desk, epoch=2)
    assert not cancelled(desk)
    desk.wait(1)
    look(desk, epoch=2, ago=0.5)  # asked for while they were
    assert not cancelled(desk)
    look(desk, epoch=2)
    assert cancelled(desk) == LOST
    desk.wait(1)
    look(desk, epoch=2)
    assert not cancelled(desk)


def test_a_picture_that_lacks_shares_we_know_of_is_too_old_to_ask_for_the_exits_it_lacks() -> None:
    desk = stranded()
    nothing = {"orders": (), "executions": (), "positions": ()}
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, **nothing)
    assert not cancelled(desk)
    look(desk, epoch=2)
    assert cancelled(desk) == LOST


def test_a_connection_that_ends_before_the_broker_has_answered_has_them_asked_for_on_the_next_one() -> None:
    desk = stranded()
    look(desk, epoch=2)
    assert cancelled(desk) == LOST
    desk.do(i.LinkChanged, up=False, account=desk.desk.account, paper=True, first_order_id=1, why="gone")
    desk.wait(1)
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=1)
    look(desk, epoch=3)
    assert cancelled(desk) == LOST


def test_what_left_on_this_connection_and_was_not_heard_of_waits_for_its_pictures() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.do(i.LinkChanged, up=False, account=desk.desk.account, paper=True, first_order_id=1, why="gone")
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=1)
    working = (seen(desk, ENTRY, OrderState.WORKING, 100),)
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, orders=working, executions=(), positions=())
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)  # all within one instant: the exits leave as the connection begins
    assert {order.spec.ref for order in desk.desk.orders()} >= LOST
    desk.wait(3)
    for ref in LOST:
        fire(desk, f"ack:{ref}")
    look(desk, epoch=2)
    assert not cancelled(desk)


def test_an_exit_that_was_there_all_the_same_ends_by_that_cancel_and_another_takes_its_place() -> None:
    desk = stranded()
    look(desk, epoch=2)
    desk.report("ts:br-1:sl1:1", OrderState.CANCELLED)
    desk.report("ts:br-1:tp1:1", OrderState.CANCELLED)
    desk.wait(0.5)
    fire(desk, "again:br-1:stop1")
    assert sales(desk) == ["ts:br-1:sl1:2", "ts:br-1:tp1:2"]


@pytest.mark.parametrize("away", [1, 60])
def test_a_cancel_whose_answer_ended_with_the_connection_is_asked_again(away: int) -> None:
    desk = stranded()
    look(desk, epoch=2)
    desk.do(i.FlattenRequested)
    asked = cancelled(desk)
    assert set(HEARD) <= asked
    desk.do(i.LinkChanged, up=False, account=desk.desk.account, paper=True, first_order_id=1, why="gone")
    desk.wait(away)
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=1)
    desk.do(i.SnapshotAnswered, epoch=3, asked_at=desk.at, orders=(), executions=(), positions=(pos(100),))
    assert set(HEARD) <= cancelled(desk)


def test_children_that_wait_for_an_entry_that_has_bought_nothing_are_not_asked_for() -> None:
    desk = Desktop()
    desk.trigger()
    desk.wait(2)
    desk.do(i.Restarted)
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=1)
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, orders=(), executions=(), positions=())
    assert not cancelled(desk)


def test_an_exit_that_the_broker_calls_cancelled_has_ended_and_frees_what_its_target_sold() -> None:
    def bound(words: str, sold: int) -> tuple[bool, int]:
        desk = Desktop()
        desk.open_position(**LADDER)
        hold(desk, 100)
        for ref in ("ts:br-1:sl1:1", "ts:br-1:tp1:1", *HEARD):
            desk.report(ref, OrderState.HELD)
        desk.execute("ts:br-1:tp1:1", sold, "195", "e2.01")
        desk.do(i.CancelRequested, ref="ts:br-1:sl1:1")
        deny(desk, "ts:br-1:sl1:1", 10148, words)
        stop = desk.order("ts:br-1:sl1:1")
        assert not stop.by_operator
        return stop.state.is_live, exposures({stop.spec.ref: stop, **sales_of(desk)}).get("ts:br-1:p1:1", 0)

    assert bound("cannot be cancelled, state: Cancelled.", 70) == (False, 0)
    assert bound("cannot be cancelled, state: Cancelled.", 30) == (False, 40)  # nobody said what it had sold
    assert bound("cannot be cancelled, state: Filled.", 70) == (True, 70)
    assert bound("cannot be cancelled, state: PendingCancel.", 70) == (True, 70)


def sales_of(desk: Desktop) -> dict[str, Order]:
    """Return what was sent under the target of the first leg."""
    return {"ts:br-1:tp1:1": desk.order("ts:br-1:tp1:1")}


def test_children_of_an_entry_that_ended_are_asked_for_when_nothing_was_ever_heard_of_them() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.do(i.Restarted)
    desk.wait(9)
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=1)
    nothing = {"orders": (), "executions": (), "positions": ()}
    desk.report(ENTRY, OrderState.CANCELLED)
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, **nothing)
    assert not cancelled(desk)
    desk.wait(1)
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, **nothing)
    assert cancelled(desk) == {
        "ts:br-1:tp1:1",
        "ts:br-1:sl1:1",
    }  # a broker may keep them, and show them to nobody


def test_an_exit_that_is_asked_for_is_not_changed_because_a_change_could_arrive_as_a_new_order() -> None:
    desk = stranded()
    look(desk, epoch=2)
    assert cancelled(desk) == LOST
    desk.do(i.ReplaceRequested, ref="ts:br-1:tp1:1", limit=Decimal(196))
    assert not desk.sent(c.ModifyOrder)
    assert [event.reason for event in desk.told(RiskRejected)] == ["exit_busy"]
