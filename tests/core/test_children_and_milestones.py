"""Children of entries that came back or were corrected, and targets whose shares somebody else sold."""

from __future__ import annotations

from tests.core.support import ENTRY, SL1, TP1, Desktop, d, quote
from tests.core.test_from_simulation import COVER, foreign, hold
from tests.core.test_totals_and_pictures import picture, seen
from tests.core.test_unsafe_beliefs import armed

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.exit_events import MilestoneReached
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.plan import ExitMode
from tradeshell.core.trade import orphans

TP2 = "ts:br-1:tp2:1"


def test_children_of_an_entry_that_was_refused_for_a_while_are_released_as_usual() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.HELD)
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.REFUSED, filled=40)
    assert orphans(desk.trade(), desk.desk.books["AAPL"].orders) == {TP1, SL1}
    desk.report(ENTRY, OrderState.WORKING, filled=40)
    desk.execute(ENTRY, 60, "190.15", "e2.01")
    assert orphans(desk.trade(), desk.desk.books["AAPL"].orders) == frozenset()


def test_children_that_were_not_made_smaller_meanwhile_hold_what_such_an_entry_buys() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.HELD)
    desk.report(ENTRY, OrderState.REFUSED)
    desk.report(ENTRY, OrderState.WORKING)
    before = len(desk.all)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    sent = [
        each for each in desk.all[before:] if isinstance(each, c.CancelOrder | c.ModifyOrder | c.PlaceOrder)
    ]
    assert sent == []
    assert [(leg.number, leg.qty) for leg in desk.trade().legs] == [(1, 100)]


def test_an_entry_that_the_broker_calls_filled_was_not_cut_though_a_correction_took_a_share() -> None:
    def ended(words: str) -> frozenset[str]:
        desk = Desktop()
        desk.trigger()
        desk.report(ENTRY, OrderState.WORKING)
        for ref in (TP1, SL1):
            desk.report(ref, OrderState.HELD)
        desk.execute(ENTRY, 99, "190.15", "e1.02")  # the first time that it is heard of
        desk.do(i.WatchCancelRequested, watch="br-1")
        desk.do(i.OrderRefusedByBroker, ref=ENTRY, what=i.RefusedWhat.CANCEL, code=10148, text=words)
        for _ in range(2):
            desk.wait(7)
            children = [seen(desk, ref, OrderState.HELD) for ref in (TP1, SL1)]
            picture(desk, *children, asked_at=desk.at, held=99)
        assert not desk.order(ENTRY).state.is_live
        return orphans(desk.trade(), desk.desk.books["AAPL"].orders)

    assert ended("OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled.") == frozenset()
    assert ended("OrderId 1 that needs to be cancelled cannot be cancelled, state: Cancelled.") == {TP1, SL1}


def test_a_target_whose_last_shares_somebody_else_sold_is_not_reached() -> None:
    desk = armed()
    desk.execute(TP1, 60, "195", "e2.01")
    desk.execute(TP2, 5, "198", "e3.01")
    foreign(desk, Side.SELL, 30, "x1.01")
    hold(desk, 5)
    assert [told.number for told in desk.ever_told(MilestoneReached)] == [1]


def test_a_stop_of_which_the_answer_was_lost_is_raised_all_the_same() -> None:
    def raised(*, is_lost: bool) -> dict[str, int]:
        desk = Desktop()
        desk.trigger(tps=(d("195"), d("198")), mode=ExitMode.DETACHED70)
        desk.execute(ENTRY, 100, "190.15", "e1.01")
        hold(desk, 100)
        if is_lost:
            desk.wait(3)
            desk.do(i.TimerFired, key="ack:ts:br-1:sl2:1")
        desk.execute(TP1, 70, "195", "e2.01")
        desk.answer(quote(desk.at, "195.00", "195.05"), "raise:br-1")
        return {change.order.ref: change.order.qty for change in desk.sent(c.ModifyOrder)}

    assert raised(is_lost=True) == {"ts:br-1:sl2:1": 30}
    assert raised(is_lost=False) == {}  # it is on its way: its answer comes first


def test_a_target_that_sells_all_that_somebody_else_left_it_is_reached() -> None:
    desk = armed()
    foreign(desk, Side.SELL, 55, "x1.01")
    hold(desk, 45)
    desk.report(TP1, OrderState.WORKING, qty=5)
    desk.execute(TP1, 5, "195", "e2.01")
    assert len(desk.ever_told(MilestoneReached)) == 1


def covered(bought: int, rest: int) -> Desktop:
    """Return a desk whose cover over ``bought`` shares has sold ten when the entry ends with ``rest`` more."""
    desk = Desktop()
    desk.trigger(tps=(d("195"), d("198")), mode=ExitMode.DETACHED70)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, bought, "190.15", "e1.01")
    desk.wait(0.5)
    desk.do(i.TimerFired, key="again:br-1:cover")
    desk.report(COVER, OrderState.HELD)
    desk.report(COVER, OrderState.WORKING)
    desk.execute(COVER, 10, "187", "e2.01")
    if rest:
        desk.execute(ENTRY, rest, "190.15", "e3.01")
    desk.report(
        ENTRY, OrderState.FILLED if bought + rest == 100 else OrderState.CANCELLED, filled=bought + rest
    )
    hold(desk, bought + rest - 10)
    return desk


def test_shares_beyond_a_cover_that_trades_get_the_last_leg_which_its_sales_leave_alone() -> None:
    desk = covered(60, 40)
    assert [(order.spec.ref, order.spec.qty) for order in desk.desk.orders() if ":sl" in order.spec.ref] == [
        ("ts:br-1:sl2:1", 30)
    ]
    desk.report("ts:br-1:sl2:1", OrderState.HELD)
    assert desk.order("ts:br-1:sl1:1").spec.qty == 10
    desk.report("ts:br-1:sl1:1", OrderState.HELD)
    desk.execute(COVER, 20, "187", "e4.01")
    hold(desk, 70)
    assert desk.sent(c.ModifyOrder) == []


def test_no_leg_is_armed_beside_a_cover_that_trades_and_covers_all() -> None:
    desk = covered(60, 0)
    assert [order.spec.ref for order in desk.desk.orders()] == [ENTRY, COVER]
