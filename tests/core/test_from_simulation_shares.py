"""Sequences that random schedules found, about whose shares a position shows: each as short as it can be told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.core.support import ACCOUNT, ENTRY, SL1, TP1, Desktop, quote
from tests.core.test_from_simulation import LADDER, NAKED, cancelled, fire, foreign, hold, timers
from tests.core.test_totals_and_pictures import ex, picture, pos, seen

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.cap import exposures
from tradeshell.core.events import InventoryConfirmFailed
from tradeshell.core.exit_events import SymbolFrozen
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.trade import Leg, TradePhase, leg_shares, orphans

LOOK = "position:AAPL"


def sold_out(qty: int = 100) -> Desktop:
    """Return a desk whose trade's target sold everything, and is over."""
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.wait(1)
    desk.execute(TP1, qty, "195", "e2.01")
    desk.report(SL1, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    hold(desk, 0)
    desk.wait(10)
    return desk


def test_shares_that_come_back_after_the_close_are_looked_for_in_pictures_until_those_cannot_be_old() -> None:
    desk = sold_out()
    hold(desk, 100)
    assert LOOK in timers(desk)
    desk.wait(1)
    fire(desk, LOOK)
    assert desk.sent(c.AskSnapshot)
    picture(desk, asked_at=desk.at)  # an old one: the correction is not in it
    assert LOOK in timers(desk)
    desk.wait(5)
    fire(desk, "picture")  # one that was never answered
    assert desk.sent(c.AskSnapshot)
    picture(desk, asked_at=desk.at)
    assert LOOK not in timers(desk)
    assert desk.trade().phase is TradePhase.CLOSED  # somebody bought them
    fire(desk, "picture")
    assert not desk.sent(c.AskSnapshot)


def test_a_lost_correction_that_a_picture_shows_protects_the_shares_that_the_position_had_shown() -> None:
    desk = sold_out()
    hold(desk, 100)
    desk.wait(1)
    busted = replace(ex("e2.02", TP1, Side.SELL, 0), at=desk.at - timedelta(seconds=11))
    picture(desk, asked_at=desk.at, executions=(busted,))
    assert desk.trade().phase is TradePhase.OPEN
    assert desk.desk.books["AAPL"].own() == desk.desk.books["AAPL"].expected() == 100
    assert desk.desk.books["AAPL"].foreign() == 0


def test_a_correction_explains_no_more_of_what_came_than_it_brings() -> None:
    desk = sold_out()
    hold(desk, 130)
    desk.wait(1)
    desk.do(
        i.ExecutionReported,
        execution=replace(ex("e2.02", TP1, Side.SELL, 0), at=desk.at - timedelta(seconds=11)),
    )
    assert desk.desk.books["AAPL"].foreign() == 30
    picture(desk, asked_at=desk.at, held=130)
    assert LOOK in timers(desk)  # the others may still be ours


def test_an_old_figure_of_a_picture_after_a_sale_is_no_purchase_of_others() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.wait(1)
    desk.execute(TP1, 40, "195", "e2.01")
    hold(desk, 60)
    desk.wait(5)
    hold(desk, 100)  # as it was five seconds ago
    assert desk.desk.books["AAPL"].expected() == 60
    desk.wait(1)
    hold(desk, 60)
    assert desk.desk.books["AAPL"].agrees()


def test_what_others_sold_just_before_the_book_opened_takes_nothing_from_our_trades() -> None:
    desk = Desktop()
    desk.trigger(**LADDER, cover="none")
    before = desk.desk.books["AAPL"].opened_at
    foreign(desk, Side.SELL, 2, "x1.01", before - timedelta(seconds=1))
    foreign(desk, Side.SELL, 1, "x2.01", before - timedelta(seconds=1))
    foreign(desk, Side.SELL, 5, "x3.01", before - timedelta(seconds=7))
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 97)
    assert not desk.desk.books["AAPL"].agrees()  # it may be an old figure
    desk.wait(3)
    hold(desk, 97)
    assert desk.desk.books["AAPL"].agrees()
    assert desk.trade().taken == 0
    assert [command.order.qty for command in desk.sent(c.PlaceOrder)] == [70, 70, 30, 30]


def test_a_sale_of_the_very_second_in_which_the_book_opened_may_be_younger_than_it() -> None:
    def told(position: int, *, buying: bool, sale: int = 29) -> int:
        desk = Desktop()
        desk.at += timedelta(seconds=0.4)
        desk.trigger(**NAKED)
        second = desk.at.replace(microsecond=0)
        if desk.at == second:
            desk.at += timedelta(seconds=0.4)
        desk.desk = replace(
            desk.desk,
            books={"AAPL": replace(desk.desk.books["AAPL"], opened_at=second + timedelta(seconds=0.4))},
        )
        desk.execute(ENTRY, 60 if buying else 100, "190.15", "e1.01")
        foreign(desk, Side.SELL if sale > 0 else Side.BUY, abs(sale), "x1.01", second)
        hold(desk, position)
        return desk.desk.books["AAPL"].expected()

    assert told(71, buying=False) == 71  # brokers tell whole seconds: the position says that it came later
    assert told(31, buying=True) == 31
    assert told(100, buying=False) == 100
    assert told(72, buying=False) == 100  # something else is missing
    assert told(89, buying=True, sale=-29) == 60  # ours, which may be buying


def test_what_others_bought_in_the_second_of_the_opening_is_sold_before_our_shares_when_the_position_says_so() -> (
    None
):
    def exits_changed(position: int) -> bool:
        desk = Desktop()
        desk.trigger(**NAKED)
        second = desk.at.replace(microsecond=0)
        opened = replace(desk.desk.books["AAPL"], opened_at=second + timedelta(seconds=0.4))
        desk.desk = replace(desk.desk, books={"AAPL": opened})
        desk.execute(ENTRY, 100, "190.15", "e1.01")
        hold(desk, 100)
        hold(desk, position)
        foreign(desk, Side.BUY, 55, "x1.01", second)
        foreign(desk, Side.SELL, 44, "x2.01", second + timedelta(seconds=1))
        return desk.trade().taken > 0

    assert not exits_changed(111)
    assert exits_changed(56)


def test_a_loss_that_no_execution_from_before_makes_is_not_explained_by_those() -> None:
    desk = Desktop()
    desk.trigger(**NAKED)
    before = desk.desk.books["AAPL"].opened_at
    foreign(desk, Side.SELL, 3, "x1.01", before - timedelta(seconds=1))
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    desk.wait(3)
    hold(desk, 90)
    assert desk.desk.books["AAPL"].differs_at == desk.at
    assert not cancelled(desk)


def test_shares_that_could_not_be_exposed_when_their_leg_was_armed_get_a_leg_of_their_own_on_a_live_account() -> (
    None
):
    desk = Desktop()
    desk.desk = replace(desk.desk, paper=False)
    desk.trigger(**LADDER)
    desk.execute(ENTRY, 1, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")  # the cover is lost on the way
    desk.execute(ENTRY, 99, "190.15", "e2.01")
    hold(desk, 100)
    refs = ("ts:br-1:sl2:1", "ts:br-1:tp2:1")
    for ref in refs:
        desk.report(ref, OrderState.HELD)

    def look() -> None:
        living = [o for o in desk.desk.orders() if o.state is OrderState.HELD]
        picture(
            desk, *(seen(desk, o.spec.ref, OrderState.HELD, o.spec.qty) for o in living), asked_at=desk.at
        )

    desk.wait(7)
    look()
    desk.wait(1)
    look()
    assert [command.order.qty for command in desk.sent(c.PlaceOrder)] == [69, 69]
    for ref in ("ts:br-1:sl1:1", "ts:br-1:tp1:1"):
        desk.report(ref, OrderState.HELD)
    desk.wait(6)
    fire(desk, "again:br-1:split")
    assert not desk.sent(c.PlaceOrder)  # the cover may have sold it
    look()  # it explains the cover
    assert [(command.order.ref, command.order.qty) for command in desk.sent(c.PlaceOrder)] == [
        ("ts:br-1:sl3:1", 1),
        ("ts:br-1:tp3:1", 1),
    ]


def test_held_children_of_an_entry_whose_purchase_was_taken_back_take_nothing_from_other_trades() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 1, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.WORKING, filled=1)
    book = desk.desk.books["AAPL"]
    assert exposures(book.orders) == {ENTRY: 1}
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    assert exposures(desk.desk.books["AAPL"].orders) == {}
    desk.report(ENTRY, OrderState.WORKING, filled=3)  # two more, and their execution is on its way
    assert exposures(desk.desk.books["AAPL"].orders) == {ENTRY: 2}
    desk.report(ENTRY, OrderState.CANCELLED, filled=3)  # released, as far as anybody knows
    assert exposures(desk.desk.books["AAPL"].orders) == {ENTRY: 100}


def test_children_of_an_entry_that_was_cut_are_replaced_also_when_its_executions_were_heard_first() -> None:
    desk = Desktop()
    desk.trigger(tps=())
    desk.report(ENTRY, OrderState.WORKING)
    desk.report(SL1, OrderState.HELD)
    desk.execute(ENTRY, 10, "190.15", "e1.01")
    desk.execute(ENTRY, 90, "190.15", "e2.01")  # late: the broker had cancelled it
    assert orphans(desk.trade(), desk.desk.books["AAPL"].orders) == frozenset()
    desk.report(ENTRY, OrderState.CANCELLED, filled=10)
    assert orphans(desk.trade(), desk.desk.books["AAPL"].orders) == {SL1}
    desk.wait(2)
    fire(desk, "again:br-1:orphans")
    assert cancelled(desk) == {SL1}


def test_a_short_position_that_orders_of_an_earlier_life_left_is_told_once_the_account_is_known() -> None:
    def starts(*, held: int, ref: str) -> list[InventoryConfirmFailed]:
        desk = Desktop(connected=False)
        desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
        told = {"orders": (), "executions": (ex("e1.01", ref, Side.SELL, 5),), "positions": (pos(held),)}
        desk.do(i.SnapshotAnswered, epoch=1, **told)
        found = desk.told(InventoryConfirmFailed)
        desk.do(i.SnapshotAnswered, epoch=1, **told)
        assert not desk.told(InventoryConfirmFailed)
        return found

    assert [(event.symbol, event.expected, event.actual) for event in starts(held=-5, ref=TP1)] == [
        ("AAPL", 0, -5)
    ]
    assert starts(held=5, ref=TP1) == []
    assert starts(held=-5, ref="") == []  # others may be short, by themselves


def test_a_sale_after_a_purchase_of_which_only_the_end_was_heard_is_more_than_was_bought() -> None:
    def sold(*, heard: bool) -> Desktop:
        desk = Desktop()
        desk.trigger(tps=())
        desk.report(ENTRY, OrderState.WORKING)
        desk.report(SL1, OrderState.HELD)
        if heard:
            desk.execute(ENTRY, 0, "190.15", "e1.02")  # it was taken back before anybody heard of it
        desk.report(ENTRY, OrderState.CANCELLED)
        desk.report(SL1, OrderState.CANCELLED)
        desk.execute(SL1, 5, "186.90", "e2.01")
        return desk

    assert sold(heard=True).told(SymbolFrozen)
    assert not sold(heard=False).told(SymbolFrozen)  # the purchase may be on its way


def test_a_handover_uses_no_shares_of_another_trade() -> None:
    desk = Desktop()
    desk.trigger(**NAKED)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)
    desk.watch("br-2", **LADDER)
    desk.close_bar(1, "190.12", high="190.20", low="189.90")
    desk.answer(quote(desk.at), "br-2")
    entry, cover = "ts:br-2:entry:1", "ts:br-2:cover:1"
    desk.report(entry, OrderState.WORKING)
    desk.execute(entry, 100, "190.15", "e2.01")
    desk.wait(0.5)
    fire(desk, "again:br-2:cover")
    desk.report(cover, OrderState.HELD)
    hold(desk, 200)
    assert desk.desk.books["AAPL"].cap() == 100  # they are the other's, which asked for no stop
    assert not desk.sent(c.PlaceOrder)
    assert [change.order.qty for change in desk.sent(c.ModifyOrder)] == [70]
    desk.report(cover, OrderState.HELD, qty=70)
    assert [command.order.qty for command in desk.sent(c.PlaceOrder)] == [30, 30]


@pytest.mark.parametrize("sold_after, taken", [(2, 4), (4, 0)])
def test_a_purchase_that_is_heard_late_is_what_was_sold_right_after_it(sold_after: int, taken: int) -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    begin = desk.at
    desk.wait(5)
    foreign(desk, Side.SELL, 4, "y1.01", begin + timedelta(seconds=sold_after))
    foreign(desk, Side.BUY, 42, "y2.01", begin + timedelta(seconds=3))
    bought = replace(ex("e1.01", ENTRY, Side.BUY, 100), at=begin + timedelta(seconds=1))
    desk.do(i.ExecutionReported, execution=bought)
    assert desk.trade().taken == taken
    assert desk.desk.books["AAPL"].own() == 100 - taken


def test_shares_that_a_position_showed_in_two_steps_are_explained_by_the_executions_that_follow() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.wait(10)
    bought_at = desk.at
    hold(desk, 101)
    hold(desk, 131)
    foreign(desk, Side.BUY, 1, "x1.01", bought_at)
    foreign(desk, Side.BUY, 30, "x2.01", bought_at)
    book = desk.desk.books["AAPL"]
    assert (book.expected(), book.foreign(), book.gained) == (131, 31, 0)
    assert book.agrees()


def test_of_shares_that_came_in_two_steps_what_no_execution_explains_stays() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.wait(10)
    bought_at = desk.at
    hold(desk, 101)
    hold(desk, 131)
    foreign(desk, Side.BUY, 30, "x2.01", bought_at)
    book = desk.desk.books["AAPL"]
    assert (book.expected(), book.foreign(), book.gained) == (131, 31, 1)


def test_what_a_cover_sold_is_missing_first_from_shares_that_no_exit_was_sent_for() -> None:
    def held(*placed: int, state: OrderState = OrderState.HELD) -> dict[int, int]:
        desk = Desktop()
        desk.trigger(**LADDER)
        desk.execute(ENTRY, 100, "190.15", "e1.01")
        desk.wait(0.5)
        fire(desk, "again:br-1:cover")
        cover = replace(desk.order("ts:br-1:cover:1"), filled=80)
        legs = (Leg(1, 70), Leg(2, 30, step=2))
        orders = {ENTRY: desk.order(ENTRY), cover.spec.ref: cover}
        for number, qty in enumerate(placed, 1):
            ref = f"ts:br-1:sl{number}:1"
            spec = replace(cover.spec, ref=ref, qty=qty)
            orders[ref] = replace(cover, spec=spec, filled=0, placed=qty, state=state)
        return leg_shares(replace(desk.trade(), refs=tuple(orders), legs=legs), orders)

    assert held() == {1: 0, 2: 20}
    assert held(0, 20) == {1: 0, 2: 20}
    assert held(17, 3) == {1: 17, 2: 3}
    assert held(17, 3, state=OrderState.REFUSED) == {1: 0, 2: 20}
    assert held(70, 30) == {1: 0, 2: 20}  # all have exits: the nearest target gives first


def test_exits_sell_no_shares_that_are_missing_because_an_earlier_trade_sold_too_many() -> None:
    desk = Desktop()
    desk.open_position()
    bought_at = desk.at
    desk.wait(1)
    desk.execute(TP1, 100, "195", "e2.01")
    desk.report(SL1, OrderState.CANCELLED)
    desk.watch("br-2", **LADDER)
    desk.close_bar(1, "190.12", high="190.20", low="189.90")
    desk.answer(quote(desk.at), "br-2")
    desk.do(i.ExecutionReported, execution=replace(ex("e1.02", ENTRY, Side.BUY, 99), at=bought_at))
    assert desk.trade().protection == "OVERSOLD"
    desk.wait(1)
    desk.execute("ts:br-2:entry:1", 100, "190.15", "e3.01")
    assert desk.trade("br-2").taken == 1
    assert desk.desk.books["AAPL"].own() == 99
