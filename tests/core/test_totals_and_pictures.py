"""Totals never exceed what a leg still holds; a picture knows nothing of what left after it was asked for."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from tests.core.support import AAPL, ACCOUNT, ENTRY, OPEN, SL1, TP1, Desktop, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.inputs import RefusedWhat
from tradeshell.core.orders import OrderState as S
from tradeshell.core.orders import Side


def seen(desk: Desktop, ref: str, state: S, qty: int = 100, filled: int = 0, **m: Any) -> i.OrderReport:
    """Return a report of an order as a picture shows it."""
    o = desk.order(ref)
    return i.OrderReport(
        ref=ref,
        order_id=o.order_id,
        state=state,
        filled=filled,
        remaining=qty - filled,
        qty=qty,
        limit=m.get("limit", o.spec.limit),
        stop=m.get("stop", o.spec.stop),
    )


def pos(q: int) -> i.PositionReport:
    """Return a position of ``q`` shares."""
    return i.PositionReport(symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=q, average=d("190"))


def picture(
    desk: Desktop,
    *orders: i.OrderReport,
    asked_at: datetime | None = None,
    held: int = 100,
    executions: tuple[i.ExecutionReport, ...] = (),
) -> None:
    """Let a complete picture arrive."""
    desk.do(
        i.SnapshotAnswered,
        epoch=1,
        asked_at=asked_at,
        orders=orders,
        executions=executions,
        positions=(pos(held),),
    )


def ex(exec_id: str, ref: str, side: Side, qty: int) -> i.ExecutionReport:
    """Return an execution."""
    return i.ExecutionReport(
        exec_id=exec_id,
        ref=ref,
        order_id=1,
        symbol="AAPL",
        account=ACCOUNT,
        side=side,
        qty=qty,
        price=d("190"),
        at=OPEN,
    )


def test_a_reduction_waits_a_second_after_every_siblings_execution() -> None:
    desk = Desktop()
    desk.open_position()
    desk.report(TP1, S.WORKING, qty=100)
    desk.report(SL1, S.WORKING, qty=100)
    desk.execute(TP1, 49, "195", "e2.01")
    desk.wait(0.4)
    desk.execute(SL1, 7, "187", "e3.01")
    assert desk.sent(c.ModifyOrder) == []


def test_an_operators_move_does_not_undo_a_reduction() -> None:
    desk = Desktop()
    desk.open_position()
    desk.report(TP1, S.WORKING, qty=100)
    desk.report(SL1, S.HELD, qty=100)
    desk.execute(TP1, 89, "195", "e2.01")
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    assert all(m.order.qty <= 11 for m in desk.sent(c.ModifyOrder))


def test_an_operators_move_over_no_shares_is_not_sent() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    assert desk.sent(c.ModifyOrder) == []


def test_a_chase_asks_for_no_more_than_is_held() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.wait(1.2)
    desk.report(SL1, S.WORKING)
    desk.answer(quote(desk.at, bid="186", ask="186.02"), f"chase:{SL1}")
    assert desk.sent(c.ModifyOrder) == []


def test_an_older_picture_does_not_undo_the_operators_move() -> None:
    desk = Desktop()
    desk.open_position()
    desk.wait(60)
    tp, sl = seen(desk, TP1, S.WORKING), seen(desk, SL1, S.HELD)
    desk.do(i.TimerFired, key="picture")
    asked = desk.at
    desk.wait(0.1)
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    picture(desk, tp, sl, asked_at=asked)
    assert desk.order(SL1).changing
    assert desk.trade().legs[0].stop == d("188")


def test_pictures_asked_before_an_order_left_do_not_end_it() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, S.WORKING)
    desk.execute(ENTRY, 43, "190.15", "e1.01")
    desk.do(i.TimerFired, key="picture")
    desk.do(i.TimerFired, key="picture")
    desk.report(TP1, S.CANCELLED)
    desk.report(SL1, S.CANCELLED)
    desk.report(ENTRY, S.CANCELLED, filled=43)
    desk.wait(1.1)
    picture(desk, asked_at=OPEN + timedelta(seconds=60), held=43)
    desk.wait(1.1)
    picture(desk, asked_at=OPEN + timedelta(seconds=60), held=43)  # both made before the exits arrived
    assert desk.order("ts:br-1:sl1:2").state.is_live


def test_a_picture_older_than_a_known_execution_corrects_no_inventory() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, S.WORKING)
    desk.execute(ENTRY, 72, "190.15", "e0.01")
    desk.do(i.PositionReported, position=pos(90))
    desk.wait(1)
    desk.do(i.TimerFired, key="position:AAPL")
    asked = desk.at
    desk.wait(0.1)
    desk.execute(ENTRY, 23, "190.15", "e1.01")
    desk.execute(ENTRY, 5, "190.15", "e2.01")
    desk.wait(3)
    picture(
        desk,
        seen(desk, ENTRY, S.WORKING, filled=95),
        seen(desk, TP1, S.HELD),
        seen(desk, SL1, S.HELD),
        held=95,
        asked_at=asked,
        executions=(ex("e0.01", ENTRY, Side.BUY, 72), ex("e1.01", ENTRY, Side.BUY, 23)),
    )
    assert desk.trade().taken == 0


def test_an_exit_that_sold_more_than_we_knew_it_could_is_still_taken_down() -> None:
    desk = Desktop()
    desk.open_position()
    desk.report(TP1, S.WORKING, qty=57)
    desk.report(SL1, S.HELD, qty=57)
    desk.execute(TP1, 73, "195", "e2.01")
    desk.report(TP1, S.WORKING, filled=73, qty=100)  # 27 more may sell
    desk.wait(3)
    desk.do(i.TimerFired, key="again:br-1:drop")
    assert desk.order(TP1).state.is_live
    assert desk.order(TP1).remaining == 27


def test_shares_that_a_position_gives_back_are_not_told_as_protected() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.PositionReported, position=pos(98))
    desk.wait(4)
    picture(desk, seen(desk, TP1, S.WORKING), seen(desk, SL1, S.HELD), held=98)
    desk.report(TP1, S.WORKING, qty=98)
    desk.report(SL1, S.HELD, qty=98)
    desk.wait(5)
    desk.do(i.PositionReported, position=pos(100))
    assert desk.trade().taken == 0
    assert desk.order(SL1).remaining == 98
    assert desk.trade().protection == "PARTIAL"


def test_a_cancel_that_two_programs_did_not_hear_the_answer_of_is_asked_about_by_the_third() -> None:
    """Pictures that lack it are from two lives; without an answer they would have to be six seconds apart."""
    desk = Desktop()
    desk.open_position()
    desk.do(i.PositionReported, position=pos(100))
    desk.wait(30)
    desk.do(i.CancelRequested, ref=TP1)
    for epoch in (2, 3):
        desk.wait(1)
        desk.do(i.Restarted)
        desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
        desk.wait(1)
        _look(desk, epoch)
        assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [TP1], epoch
        assert desk.order(TP1).state.is_live
    desk.do(
        i.OrderRefusedByBroker, ref=TP1, what=RefusedWhat.CANCEL, code=10147, text="OrderId 2 is not found"
    )
    for _ in range(2):
        desk.wait(1)
        _look(desk, 3)
    assert desk.order(TP1).state is S.CANCELLED
    assert desk.order(TP1).is_explained


def _look(desk: Desktop, epoch: int) -> None:
    """Let a picture come that shows the stop and no target."""
    shown = (seen(desk, SL1, S.HELD),)
    desk.do(
        i.SnapshotAnswered, epoch=epoch, asked_at=desk.at, orders=shown, executions=(), positions=(pos(100),)
    )
