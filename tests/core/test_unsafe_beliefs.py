"""Sequences in which believing too early would sell twice, loosen a stop, or leave shares open; no campaign sees them at once."""

from __future__ import annotations

from decimal import Decimal

from tests.core.support import AAPL, ACCOUNT, ENTRY, SL1, TP1, Desktop, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.exit_events import MilestoneReached
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.plan import ExitMode
from tradeshell.core.trade import leg_shares

COVER = "ts:br-1:cover:1"
LADDER = {"tps": (d("195"), d("198"), d("205")), "mode": ExitMode.DETACHED}


def in_position() -> Desktop:
    """Return a desk that holds 100 under a bracket."""
    desk = Desktop()
    desk.open_position()
    return desk


def as_shown(desk: Desktop, ref: str, state: OrderState, stop: Decimal | None = None) -> i.OrderReport:
    """Return an order as a picture shows it."""
    order = desk.order(ref)
    return i.OrderReport(
        ref=ref,
        order_id=order.order_id,
        state=state,
        filled=order.filled,
        remaining=order.spec.qty - order.filled,
        qty=order.spec.qty,
        limit=order.spec.limit,
        stop=order.spec.stop if stop is None else stop,
    )


def picture(desk: Desktop, *orders: i.OrderReport, held: int = 100) -> None:
    """Let the broker answer with a complete picture."""
    position = i.PositionReport(
        symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=held, average=d("190")
    )
    desk.do(
        i.SnapshotAnswered, epoch=1, asked_at=desk.at, orders=orders, executions=(), positions=(position,)
    )


def hold(desk: Desktop, qty: int) -> None:
    """Let the broker say what is held."""
    position = i.PositionReport(symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=qty, average=d("190"))
    desk.do(i.PositionReported, position=position)


def placed(desk: Desktop, since: int = 0) -> list[str]:
    """Return the refs of all new orders after the first ``since`` commands."""
    return [command.order.ref for command in desk.all[since:] if isinstance(command, c.PlaceOrder)]


def armed() -> Desktop:
    """Return a desk that holds 100 under three armed legs of 60, 30 and 10."""
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    hold(desk, 100)
    for ref in desk.refs()[1:]:
        desk.report(ref, OrderState.HELD if ":sl" in ref else OrderState.WORKING)
    return desk


# --- whose shares -----------------------------------------------------------------------------------------------------


def test_a_sale_by_somebody_else_takes_from_the_newest_trade_first() -> None:
    desk = in_position()
    desk.watch("br-2")
    desk.close_bar(1, "190.12", high="190.20", low="189.90")
    desk.answer(quote(desk.at), "br-2")
    entry = "ts:br-2:entry:1"
    desk.report(entry, OrderState.WORKING)
    desk.execute(entry, 100, "190.15", "e2.01")
    desk.report(entry, OrderState.FILLED, filled=100)
    sale = i.ExecutionReport(
        exec_id="x1.01", ref="", order_id=0, symbol="AAPL", account=ACCOUNT, side=Side.SELL, qty=40,
        price=d("190"), at=desk.at,
    )  # fmt: skip
    desk.do(i.ExecutionReported, execution=sale)
    assert (desk.trade("br-1").taken, desk.trade("br-2").taken) == (0, 40)


def test_what_somebody_else_sold_of_a_ladder_is_missing_from_the_leg_with_the_nearest_target() -> None:
    desk = armed()
    sale = i.ExecutionReport(
        exec_id="x1.01", ref="", order_id=0, symbol="AAPL", account=ACCOUNT, side=Side.SELL, qty=40,
        price=d("190"), at=desk.at,
    )  # fmt: skip
    desk.do(i.ExecutionReported, execution=sale)
    assert leg_shares(desk.trade(), desk.desk.books["AAPL"].orders) == {1: 20, 2: 30, 3: 10}


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_an_exit_that_a_picture_shows_as_living_is_not_replaced_because_a_status_ended_it() -> None:
    desk = in_position()
    desk.wait(30)
    for ref in (SL1, TP1):
        desk.report(ref, OrderState.CANCELLED)
    since = len(desk.all)
    for _ in range(3):
        desk.wait(1.5)
        picture(desk, as_shown(desk, SL1, OrderState.HELD), as_shown(desk, TP1, OrderState.WORKING))
    assert placed(desk, since) == []


def test_an_exit_whose_shares_may_have_been_sold_is_not_replaced_while_the_position_says_so() -> None:
    desk = in_position()
    desk.wait(30)
    for ref in (SL1, TP1):
        desk.report(ref, OrderState.CANCELLED)
    since = len(desk.all)
    for _ in range(3):
        desk.wait(1.5)
        picture(desk, held=0)
    assert placed(desk, since) == []


def test_an_old_picture_does_not_put_a_stop_back_that_was_moved_since() -> None:
    desk = in_position()
    desk.wait(30)
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    desk.report(SL1, OrderState.HELD)
    desk.wait(1)
    picture(desk, as_shown(desk, SL1, OrderState.HELD, d("187")), as_shown(desk, TP1, OrderState.WORKING))
    assert desk.order(SL1).spec.stop == d("188")


def test_an_order_that_was_taken_for_gone_and_speaks_again_lives() -> None:
    desk = in_position()
    desk.wait(30)
    for _ in range(3):
        picture(desk, as_shown(desk, TP1, OrderState.WORKING))
        desk.wait(1.5)
    assert desk.order(SL1).state is OrderState.CANCELLED
    desk.report(SL1, OrderState.HELD)
    assert desk.order(SL1).state.is_live


# --- the handover -----------------------------------------------------------------------------------------------------


def covered() -> Desktop:
    """Return a ladder whose 100 shares are bought and covered, and which the position confirms."""
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 60, "190.15", "e1.01")
    desk.wait(0.5)
    desk.do(i.TimerFired, key="again:br-1:cover")
    desk.report(COVER, OrderState.HELD)
    desk.execute(ENTRY, 40, "190.15", "e2.01")
    desk.report(COVER, OrderState.HELD, qty=100)
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    hold(desk, 100)
    return desk


def test_the_cover_gives_up_no_shares_before_the_stop_of_the_leg_before_is_acknowledged() -> None:
    desk = covered()
    assert [(order.order.ref, order.order.qty) for order in desk.sent(c.ModifyOrder)] == [(COVER, 90)]
    desk.report(COVER, OrderState.HELD, qty=90)
    assert [order.order.ref for order in desk.sent(c.PlaceOrder)] == ["ts:br-1:sl3:1", "ts:br-1:tp3:1"]
    desk.report("ts:br-1:tp3:1", OrderState.WORKING)
    assert desk.sent(c.ModifyOrder) == []
    desk.report("ts:br-1:sl3:1", OrderState.HELD)
    assert [(order.order.ref, order.order.qty) for order in desk.sent(c.ModifyOrder)] == [(COVER, 60)]


# --- stops that follow targets ----------------------------------------------------------------------------------------


def test_a_target_is_reached_by_its_executions_and_not_by_a_status() -> None:
    desk = armed()
    desk.report("ts:br-1:tp1:1", OrderState.FILLED, filled=60)
    assert desk.ever_told(MilestoneReached) == []
    desk.execute("ts:br-1:tp1:1", 60, "195", "e2.01")
    assert len(desk.ever_told(MilestoneReached)) == 1


def test_a_leg_that_its_stop_has_sold_is_no_target_that_was_reached() -> None:
    desk = armed()
    desk.execute("ts:br-1:sl1:1", 60, "187", "e2.01")
    desk.report("ts:br-1:sl1:1", OrderState.FILLED, filled=60)
    assert desk.ever_told(MilestoneReached) == []


def test_a_stop_that_the_operator_put_above_its_rule_stays_there_when_the_target_is_reached() -> None:
    desk = armed()
    desk.do(i.ReplaceRequested, ref="ts:br-1:sl3:1", stop=d("193"))
    desk.report("ts:br-1:sl3:1", OrderState.HELD)
    desk.execute("ts:br-1:tp1:1", 60, "195", "e2.01")
    desk.answer(quote(desk.at, "195.00", "195.05"), "raise:br-1")
    moved = {order.order.ref: order.order.stop for order in desk.sent(c.ModifyOrder)}
    assert moved == {"ts:br-1:sl2:1": d("190")}


def test_a_stop_that_the_operator_cancelled_stays_away() -> None:
    desk = in_position()
    desk.wait(30)
    desk.do(i.CancelRequested, ref=SL1)
    desk.report(SL1, OrderState.CANCELLED)
    desk.report(TP1, OrderState.CANCELLED)
    since = len(desk.all)
    for _ in range(6):
        desk.wait(1.5)
        picture(desk)
        desk.do(i.TimerFired, key="again:br-1:stop1")
    assert placed(desk, since) == []


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_order_numbers_are_not_used_again_when_the_broker_begins_below_them() -> None:
    desk = in_position()
    desk.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True)
    desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
    assert desk.desk.next_order_id == 4
