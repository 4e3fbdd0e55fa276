"""Sequences of messages about whose shares are whose, and about what a lost link leaves behind."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.core.support import AAPL, ACCOUNT, ENTRY, OPEN, SL1, TP1, Desktop, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import InventoryConfirmFailed, Weight
from tradeshell.core.orders import OrderState, Side, Tif
from tradeshell.core.plan import ExitMode
from tradeshell.core.trade import TradePhase

NAKED: dict[str, Any] = {"tps": (), "sl": None, "mode": ExitMode.NONE, "chase_limit": None}
BEFORE = OPEN - timedelta(minutes=10)


def sent_orders(desk: Desktop) -> list[c.Command]:
    """Return the order commands that the last input caused."""
    return [command for command in desk.last if isinstance(command, c.ORDER_COMMANDS)]


def link(desk: Desktop, *, up: bool) -> None:
    """Let the link come or go."""
    desk.do(i.LinkChanged, up=up, account=ACCOUNT, paper=True)


def works(desk: Desktop, ref: str, state: OrderState) -> i.OrderReport:
    """Return an order as a picture shows it: in ``state``, unchanged otherwise."""
    order = desk.order(ref)
    return i.OrderReport(
        ref=ref,
        order_id=order.order_id,
        state=state,
        filled=order.filled,
        remaining=order.remaining,
        limit=order.spec.limit,
        stop=order.spec.stop,
    )


def picture(
    desk: Desktop, *orders: i.OrderReport, executions: tuple[i.ExecutionReport, ...] = (), held: int = 100
) -> None:
    """Let the broker answer with a complete picture of this connection."""
    position = i.PositionReport(
        symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=held, average=d("190")
    )
    desk.do(
        i.SnapshotAnswered,
        epoch=desk.desk.link.epoch,
        orders=orders,
        executions=executions,
        positions=(position,),
    )


def execution(ref: str, qty: int, exec_id: str, at: datetime, side: Side = Side.SELL) -> i.ExecutionReport:
    """Return an execution of AAPL at 189."""
    return i.ExecutionReport(
        exec_id=exec_id,
        ref=ref,
        order_id=0,
        symbol="AAPL",
        account=ACCOUNT,
        side=side,
        qty=qty,
        price=d("189"),
        at=at,
    )


def sold_by_hand(desk: Desktop, qty: int, exec_id: str) -> None:
    """Let somebody sell shares of the account at the broker."""
    desk.do(i.ExecutionReported, execution=execution("manual", qty, exec_id, desk.at))


def hold(desk: Desktop, qty: int, account: str = ACCOUNT) -> None:
    """Let the broker say what is held."""
    desk.do(
        i.PositionReported,
        position=i.PositionReport(
            symbol="AAPL", con_id=AAPL.con_id, account=account, qty=qty, average=d("190")
        ),
    )


def sell(desk: Desktop, qty: int, id_: str = "m-1") -> None:
    """Ask to sell at the bid."""
    wanted = plan(side=Side.SELL, qty=qty, level=None, entry_timeout=None, **NAKED)
    desk.do(i.TradeRequested, id=id_, plan=wanted, instrument=AAPL)
    desk.answer(quote(desk.at), id_)


def in_position(**more: Any) -> Desktop:
    """Return a desk that holds 100 under working exits."""
    desk = Desktop()
    desk.open_position(**more)
    return desk


def staged(**more: Any) -> Desktop:
    """Return a desk whose entry works and whose children wait for it."""
    desk = Desktop()
    desk.trigger(**more)
    desk.report(ENTRY, OrderState.WORKING)
    desk.report(TP1, OrderState.HELD)
    desk.report(SL1, OrderState.HELD)
    return desk


def elected() -> Desktop:
    """Return a desk whose stop was just elected at 187."""
    desk = in_position()
    desk.wait(60)
    desk.report(SL1, OrderState.WORKING)
    return desk


# --- a SELL leaves only for shares that are certainly held and in no other working SELL --------------------------------


def test_shares_are_not_sold_twice_while_the_position_lags() -> None:
    desk = in_position(**NAKED)
    hold(desk, 100)
    sell(desk, 60)
    desk.execute("ts:m-1:sell:1", 60, "190.10", "e9.01")
    sell(desk, 60, "m-2")
    assert sent_orders(desk) == []


def test_children_count_before_the_entrys_execution_arrives() -> None:
    desk = staged()
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    hold(desk, 100)
    sell(desk, 100)
    assert sent_orders(desk) == []


@pytest.mark.parametrize("ref", [TP1, SL1])
def test_a_replaced_quantity_never_exceeds_what_is_held(ref: str) -> None:
    desk = in_position()
    desk.do(i.ReplaceRequested, ref=ref, qty=500)
    assert sent_orders(desk) == []


def test_another_accounts_position_is_not_ours() -> None:
    desk = in_position(**NAKED)
    hold(desk, 100)
    hold(desk, 5000, "DU…9999")
    sell(desk, 1000)
    assert sent_orders(desk) == []


# --- foreign sells take foreign shares first, whatever order position and execution come in -----------------------------


def test_two_foreign_sells_before_the_position_follows() -> None:
    desk = in_position()
    desk.wait(7)
    hold(desk, 150)
    sold_by_hand(desk, 60, "x1.01")
    sold_by_hand(desk, 60, "x2.01")
    assert desk.trade().taken == 70


def test_the_position_may_come_before_the_foreign_execution() -> None:
    desk = in_position()
    desk.wait(7)
    hold(desk, 150)
    hold(desk, 90)
    sold_by_hand(desk, 60, "x1.01")
    assert desk.trade().taken == 10


def test_a_foreign_sell_that_is_busted_gives_back() -> None:
    desk = in_position()
    hold(desk, 100)
    sold_by_hand(desk, 30, "x1.01")
    assert desk.trade().taken == 30
    sold_by_hand(desk, 0, "x1.02")
    assert desk.trade().taken == 0


def test_exits_go_at_once_when_everything_was_sold_elsewhere() -> None:
    desk = in_position()
    hold(desk, 100)
    sold_by_hand(desk, 100, "x1.01")
    assert {cancel.ref for cancel in desk.sent(c.CancelOrder)} == {TP1, SL1}


def test_a_position_below_our_fills_is_looked_at_again_and_told() -> None:
    desk = in_position()
    hold(desk, 60)
    assert [timer.key for timer in desk.sent(c.SetTimer)] == ["position:AAPL"]
    desk.do(i.TimerFired, key="position:AAPL")
    assert len(desk.sent(c.AskSnapshot)) == 1
    desk.wait(1)
    picture(desk, works(desk, TP1, OrderState.WORKING), works(desk, SL1, OrderState.HELD), held=60)
    assert desk.told(InventoryConfirmFailed) == []
    desk.wait(6)  # answers may be seconds old
    picture(desk, works(desk, TP1, OrderState.WORKING), works(desk, SL1, OrderState.HELD), held=60)
    assert [(event.expected, event.actual) for event in desk.told(InventoryConfirmFailed)] == [(100, 60)]
    assert desk.trade().taken == 40


def test_an_oversold_trade_is_an_alarm() -> None:
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.execute(SL1, 100, "187", "e3.01")
    told = [command.event for command in desk.sent(c.Announce)]
    assert any(event.how() is Weight.ALARM for event in told)


def test_executions_from_before_the_trade_take_nothing_from_it() -> None:
    desk = in_position()
    hold(desk, 100)
    link(desk, up=False)
    link(desk, up=True)
    desk.all.clear()
    picture(
        desk,
        works(desk, TP1, OrderState.WORKING),
        works(desk, SL1, OrderState.HELD),
        executions=(
            execution("ts:br-old:entry:1", 100, "m1.01", BEFORE, Side.BUY),
            execution("ts:br-old:tp1:1", 100, "m2.01", BEFORE),
        ),
    )
    desk.wait(2)
    desk.do(i.TimerFired, key="again:br-1:drop")
    assert [command for command in desk.all if isinstance(command, c.CancelOrder)] == []


# --- nothing leaves over a lost link, and what fell due meanwhile is done after it --------------------------------------


def test_a_reprice_that_was_lost_with_the_link_does_not_end_the_chase() -> None:
    desk = elected()
    desk.answer(quote(desk.at, bid="186.50", ask="186.52"), f"chase:{SL1}")
    link(desk, up=False)
    desk.wait(5)
    link(desk, up=True)
    stop = i.OrderReport(
        ref=SL1,
        order_id=desk.order(SL1).order_id,
        state=OrderState.WORKING,
        filled=0,
        remaining=100,
        limit=d("187"),  # the broker never got 186.50
        stop=d("187"),
    )
    picture(desk, works(desk, TP1, OrderState.WORKING), stop)
    desk.wait(2)
    desk.do(i.QuoteSeen, quote=quote(desk.at, bid="186.00", ask="186.02"))
    assert [change.order.limit for change in desk.sent(c.ModifyOrder)] == [d("186.00")]


def test_the_chase_goes_on_after_a_reconnect() -> None:
    desk = elected()
    link(desk, up=False)
    desk.wait(1)
    desk.do(i.TimerFired, key=f"chase:{SL1}")
    link(desk, up=True)
    picture(desk, works(desk, TP1, OrderState.WORKING), works(desk, SL1, OrderState.WORKING))
    assert [ask.key for ask in desk.sent(c.AskQuote)] == [f"chase:{SL1}"]


def test_a_drop_that_fell_due_while_the_link_was_down_is_done_after_it() -> None:
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    link(desk, up=False)
    desk.wait(2)
    desk.do(i.TimerFired, key="again:br-1:drop")
    assert sent_orders(desk) == []
    link(desk, up=True)
    picture(desk, works(desk, SL1, OrderState.HELD), held=0)
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [SL1]


def test_a_timeout_while_the_link_is_down_sends_nothing_and_is_not_forgotten() -> None:
    desk = staged(tif=Tif.GTC)
    link(desk, up=False)
    desk.wait(20)
    desk.do(i.TimerFired, key="entry:br-1")
    assert sent_orders(desk) == []
    link(desk, up=True)
    shown = (works(desk, ENTRY, OrderState.WORKING), works(desk, TP1, OrderState.HELD))
    picture(desk, *shown, works(desk, SL1, OrderState.HELD), held=0)
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [ENTRY]


# --- what a complete picture lacks does not protect, and does not live for ever -----------------------------------------


def test_a_stop_that_the_picture_lacks_protects_nothing() -> None:
    desk = in_position()
    link(desk, up=False)
    link(desk, up=True)
    picture(desk)
    assert desk.trade().protection == "UNPROTECTED"


def test_an_entry_that_never_arrived_ends_with_the_second_picture() -> None:
    desk = Desktop()
    desk.trigger()
    link(desk, up=False)
    link(desk, up=True)
    picture(desk, held=0)
    assert desk.order(ENTRY).state.is_live
    assert desk.desk.busy() != ()
    desk.wait(1)
    desk.do(i.TimerFired, key="picture")
    assert len(desk.sent(c.AskSnapshot)) == 1
    picture(desk, held=0)
    assert desk.trade().phase is TradePhase.CLOSED
    assert desk.desk.busy() == ()


# --- an entry leaves at its trigger and at a believable price, or not at all --------------------------------------------


def test_an_old_trigger_enters_no_more() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.wait(600)
    desk.answer(quote(desk.at))
    assert sent_orders(desk) == []


def test_an_absurd_ask_is_refused_for_a_typed_order_too() -> None:
    desk = Desktop()
    typed = plan(level=None, entry_timeout=None, **NAKED)
    desk.do(i.TradeRequested, id="m-1", plan=typed, instrument=AAPL)
    desk.answer(quote(desk.at, bid="190.10", ask="1900"), "m-1")
    assert sent_orders(desk) == []
