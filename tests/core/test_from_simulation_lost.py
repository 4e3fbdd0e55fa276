"""Sequences that random schedules found, about exits that were lost on the way: each as short as it can be told."""

from __future__ import annotations

from tests.core.support import ENTRY, Desktop
from tests.core.test_from_simulation import LADDER, cancelled, fire, hold
from tests.core.test_totals_and_pictures import picture, pos, seen

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import OrderMissing
from tradeshell.core.orders import OrderState, Side

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


def look(desk: Desktop) -> None:
    """Let a picture come that shows what was heard of."""
    shown = (seen(desk, ref, OrderState.HELD, 30) for ref in HEARD)
    picture(desk, *shown, asked_at=desk.at)


def deny(desk: Desktop, ref: str, code: int = 10147) -> None:
    """Let the broker answer a cancel: it has no such order."""
    desk.do(
        i.OrderRefusedByBroker,
        ref=ref,
        what=i.RefusedWhat.CANCEL,
        code=code,
        text="needs to be cancelled is not found",
    )


def sales(desk: Desktop) -> list[str]:
    """Return the exits that the last input sent."""
    return [command.order.ref for command in desk.sent(c.PlaceOrder) if command.order.side is Side.SELL]


def test_an_exit_that_never_came_is_asked_for_by_a_cancel_and_sent_again_when_the_broker_has_none() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    assert cancelled(desk) == LOST
    look(desk)
    assert not cancelled(desk)  # once
    for ref in LOST:
        deny(desk, ref)
        assert [event.order_ref for event in desk.told(OrderMissing)] == [ref]
    desk.wait(0.5)
    fire(desk, "again:br-1:stop1")
    assert sales(desk) == ["ts:br-1:sl1:2", "ts:br-1:tp1:2"]


def test_the_answer_that_comes_after_pictures_have_ended_it_explains_it_still() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    desk.wait(1)
    look(desk)
    assert {event.order_ref for event in desk.told(OrderMissing)} == LOST
    desk.wait(1)
    for ref in LOST:
        assert not desk.order(ref).is_explained
        deny(desk, ref)
        assert not desk.told(OrderMissing)
    assert sales(desk) == ["ts:br-1:sl1:2", "ts:br-1:tp1:2"]
    deny(desk, min(LOST))
    assert desk.last == ()


def test_an_answer_that_the_broker_has_no_such_order_ends_none_that_was_heard_of() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    desk.execute("ts:br-1:sl1:1", 10, "186.90", "e2.01")
    deny(desk, "ts:br-1:sl1:1")
    assert desk.order("ts:br-1:sl1:1").state.is_live


def test_a_cancel_that_meets_the_exit_after_all_sends_another_one() -> None:
    desk = ladder_without_its_first_leg()
    look(desk)
    for ref in sorted(LOST):
        desk.report(ref, OrderState.CANCELLED)
    for _ in range(2):
        desk.wait(1)
        look(desk)
    assert sales(desk) == ["ts:br-1:sl1:2", "ts:br-1:tp1:2"]


def test_what_died_with_the_link_is_asked_for_after_the_first_picture_of_the_next_one() -> None:
    desk = ladder_without_its_first_leg()
    desk.do(i.LinkChanged, up=False, account=desk.desk.account, paper=True, first_order_id=1, why="lost")
    desk.do(i.LinkChanged, up=True, account=desk.desk.account, paper=True, first_order_id=100, why="back")
    assert not cancelled(desk)
    shown = tuple(seen(desk, ref, OrderState.HELD, 30) for ref in HEARD)
    desk.do(i.SnapshotAnswered, epoch=2, asked_at=desk.at, orders=shown, executions=(), positions=(pos(100),))
    assert cancelled(desk) == LOST
