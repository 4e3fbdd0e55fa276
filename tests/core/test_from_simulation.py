"""Sequences that random schedules found, each as short as it can be told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace
from tests.core.support import AAPL, ACCOUNT, ENTRY, OPEN, SL1, TP1, Desktop, d, plan, quote
from tests.core.test_totals_and_pictures import picture, seen

from tradeshell.core import commands as c
from tradeshell.core import incidents
from tradeshell.core import inputs as i
from tradeshell.core.cap import exposures
from tradeshell.core.events import RiskRejected, TradeClosed
from tradeshell.core.exit_events import SymbolFrozen
from tradeshell.core.orders import Order, OrderState, Side
from tradeshell.core.plan import EntryKind, ExitMode
from tradeshell.core.policy import Policy
from tradeshell.core.reports import STORM
from tradeshell.core.shares import Move, returned, taken
from tradeshell.core.trade import Rung, TradePhase, orphans

NAKED: dict[str, Any] = {"tps": (), "sl": None, "mode": ExitMode.NONE, "chase_limit": None}
LADDER: dict[str, Any] = {"tps": (d("195"), d("198")), "mode": ExitMode.DETACHED70}
COVER = "ts:br-1:cover:1"


def hold(desk: Desktop, qty: int) -> None:
    """Let the broker say a position."""
    told = i.PositionReport(symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=qty, average=d("190"))
    desk.do(i.PositionReported, position=told)


def foreign(desk: Desktop, side: Side, qty: int, exec_id: str, at: datetime | None = None) -> None:
    """Let somebody else trade in the account; ``at``: earlier than it is heard."""
    desk.do(
        i.ExecutionReported,
        execution=i.ExecutionReport(
            exec_id=exec_id,
            ref="",
            order_id=0,
            symbol="AAPL",
            account=ACCOUNT,
            side=side,
            qty=qty,
            price=d("191"),
            at=at or desk.at,
        ),
    )


def fire(desk: Desktop, key: str) -> None:
    """Let a timer fire."""
    desk.do(i.TimerFired, key=key)


def timers(desk: Desktop) -> set[str]:
    """Return the timers that the last input set."""
    return {timer.key for timer in desk.sent(c.SetTimer)}


def cancelled(desk: Desktop) -> set[str]:
    """Return the orders that the last input asked to cancel."""
    return {command.ref for command in desk.sent(c.CancelOrder)}


def ladder(qty: int = 100) -> Desktop:
    """Return a desk whose ladder's entry executed and is not confirmed: the cover works."""
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, qty, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    desk.report(COVER, OrderState.HELD)
    return desk


# --- whose shares -----------------------------------------------------------------------------------------------------


def test_an_old_position_after_everything_was_sold_gives_nothing_back() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.wait(5)
    foreign(desk, Side.SELL, 100, "x1.01")
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    desk.wait(5)
    hold(desk, 29)
    assert desk.trade().taken == 100
    assert desk.sent(c.PlaceOrder) == []


def test_a_position_that_comes_before_the_late_execution_is_no_purchase_of_others() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.CANCELLED)
    desk.wait(5)
    hold(desk, 59)
    desk.execute(ENTRY, 59, "190.15", "e1.01")
    assert desk.desk.books["AAPL"].expected() == 59
    assert [command.order.qty for command in desk.sent(c.PlaceOrder)] == [41, 41, 18, 18]


def test_what_was_taken_from_a_trade_stays_taken_from_it_when_another_one_buys() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.wait(5)
    foreign(desk, Side.SELL, 13, "x1.01")
    desk.watch("br-2", **NAKED)
    desk.close_bar(1, "190.12", high="190.20", low="189.90")
    desk.answer(quote(desk.at), "br-2")
    desk.execute("ts:br-2:entry:1", 21, "190.15", "e2.01")
    assert (desk.trade().taken, desk.trade("br-2").taken) == (13, 0)


def test_a_short_position_of_others_takes_nothing_from_shares_bought_later() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    foreign(desk, Side.SELL, 23, "x1.01")
    desk.wait(1)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    foreign(desk, Side.BUY, 5, "x2.01")
    assert desk.trade().taken == 0
    hold(desk, 82)
    assert desk.desk.books["AAPL"].own() == 100


def test_a_sale_by_others_that_is_heard_before_our_earlier_purchase_takes_its_shares() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    bought_at = desk.at
    desk.wait(1)
    foreign(desk, Side.SELL, 15, "x1.01")
    desk.at, heard_at = bought_at, desk.at
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    desk.at = heard_at
    assert desk.trade().taken == 15


def test_what_one_trade_sells_too_much_is_missing_from_the_others() -> None:
    at = [OPEN + timedelta(seconds=second) for second in range(4)]
    moves = [Move(at[0], "a", 10), Move(at[1], "b", 10), Move(at[2], "a", -10), Move(at[3], "a", -1)]
    assert taken(0, moves, ["b", "a"], {"a", "b"}) == ({"b": 1, "a": 0}, 1)
    assert taken(0, moves, ["b", "a"], {"b"}) == ({"b": 0, "a": 0}, 0)  # its purchases are not all known


def test_what_one_trade_sold_too_much_is_missing_from_what_another_buys_later() -> None:
    at = [OPEN + timedelta(seconds=second) for second in range(4)]
    moves = [Move(at[0], "a", 10), Move(at[1], "a", -11), Move(at[2], "b", 10)]
    assert taken(0, moves, ["b", "a"], {"a", "b"}) == ({"b": 1, "a": 0}, 1)
    assert taken(0, moves, ["b", "a"], {"b"}) == ({"b": 0, "a": 0}, 0)  # its purchases are not all known
    assert taken(0, [*moves, Move(at[3], "b", 5)], ["b", "a"], {"a", "b"}) == ({"b": 1, "a": 0}, 1)


def test_shares_that_are_there_again_were_never_gone_and_more_is_no_move() -> None:
    gone = (Move(OPEN, None, 5), Move(OPEN, None, -3), Move(OPEN, None, -2))
    assert returned(gone, 4) == (Move(OPEN, None, 5), Move(OPEN, None, -1))
    assert returned(gone, 9) == (Move(OPEN, None, 5),)


def test_positions_that_lag_behind_executions_do_not_make_shares_free_to_sell() -> None:
    desk = Desktop()
    desk.open_position(**NAKED)
    desk.execute(ENTRY, 0, "190.15", "e9.01")
    hold(desk, 100)
    foreign(desk, Side.SELL, 30, "x1.01")
    foreign(desk, Side.SELL, 30, "x2.01")
    hold(desk, 70)  # after the first of them
    assert desk.desk.books["AAPL"].held() == 40


# --- pictures and words that are lost or late -------------------------------------------------------------------------


def test_a_picture_that_fails_is_asked_for_again() -> None:
    desk = Desktop()
    desk.trigger()
    desk.wait(3)
    fire(desk, f"ack:{ENTRY}")
    assert len(desk.sent(c.AskSnapshot)) == 1
    assert "picture" in timers(desk)
    desk.wait(3)
    fire(desk, "picture")
    assert len(desk.sent(c.AskSnapshot)) == 1
    assert "picture" in timers(desk)


def test_a_late_word_about_a_price_that_we_have_changed_since_moves_no_stop_back() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    desk.report(SL1, OrderState.HELD)
    desk.report(SL1, OrderState.HELD, stop=d("187"), limit=d("187"))
    assert desk.order(SL1).spec.stop == d("188")
    assert "picture" in timers(desk)
    desk.wait(10)
    desk.report(SL1, OrderState.HELD, stop=d("187"), limit=d("187"))
    assert desk.order(SL1).spec.stop == d("187")  # that is somebody's will


def test_an_execution_that_comes_after_its_correction_leaves_nothing_to_wait_for() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 96, "190.15", "e1.02")
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    assert desk.order(ENTRY).state is OrderState.FILLED
    assert (desk.order(ENTRY).filled, desk.trade().phase) == (96, TradePhase.OPEN)


def test_while_orders_work_the_broker_is_asked_now_and_then_and_not_afterwards() -> None:
    desk = Desktop()
    desk.do(i.PolicySet, policy=Policy(look_every=10.0))
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    assert "watch" in timers(desk)
    desk.wait(10)
    fire(desk, "watch")
    assert len(desk.sent(c.AskSnapshot)) == 1
    assert "watch" in timers(desk)
    for ref in desk.refs():
        desk.report(ref, OrderState.CANCELLED)
    desk.wait(10)
    fire(desk, "watch")
    assert desk.last == ()


def test_a_broker_that_ends_with_the_program_is_not_asked() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    assert "watch" not in timers(desk)


# --- exits ------------------------------------------------------------------------------------------------------------


def test_a_cover_is_given_up_while_a_change_of_it_is_unanswered() -> None:
    desk = ladder()
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    hold(desk, 100)
    assert desk.order(COVER).changing
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    assert cancelled(desk) == {COVER}


def test_children_of_an_entry_that_was_cut_are_held_though_the_rest_filled_late() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.HELD)
    desk.execute(ENTRY, 75, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.CANCELLED, filled=75)
    desk.execute(ENTRY, 25, "190.15", "e2.01")
    assert orphans(desk.trade(), desk.desk.books["AAPL"].orders) == {TP1, SL1}
    desk.report(TP1, OrderState.WORKING)
    assert orphans(desk.trade(), desk.desk.books["AAPL"].orders) == frozenset()


def test_children_whose_entry_works_bind_no_more_than_it_has_bought() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 30, "190.15", "e1.01")
    assert sum(exposures(desk.desk.books["AAPL"].orders).values()) == 30
    desk.report(ENTRY, OrderState.CANCELLED, filled=30)
    assert sum(exposures(desk.desk.books["AAPL"].orders).values()) == 100


def test_legs_of_an_entry_that_is_busted_and_comes_back_to_life_are_given_up() -> None:
    desk = ladder()
    desk.report(ENTRY, OrderState.REFUSED, filled=100)
    hold(desk, 100)
    desk.report(COVER, OrderState.CANCELLED)
    for ref in desk.refs():
        if desk.order(ref).state is OrderState.SENT:
            desk.report(ref, OrderState.HELD)
    desk.report(ENTRY, OrderState.WORKING, filled=100)
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    working = {ref for ref in desk.refs() if desk.order(ref).state is OrderState.HELD}
    assert working
    assert cancelled(desk) >= working


def test_an_oversale_that_grows_is_told_again() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.execute(SL1, 10, "187", "e3.01")
    assert desk.told(SymbolFrozen)
    assert desk.trade().short == 10
    desk.wait(60)
    desk.execute(SL1, 5, "187", "e4.01")
    assert desk.trade().short == 15


def test_an_exit_that_is_heard_before_its_entrys_executions_is_no_oversale() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 5, "190.15", "e1.01")
    desk.execute(TP1, 100, "195", "e3.01")
    assert desk.ever_told(SymbolFrozen) == []
    desk.execute(ENTRY, 95, "190.15", "e2.01")
    assert desk.ever_told(SymbolFrozen) == []


def test_when_refusals_stop_entries_those_that_work_are_cancelled() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    priced = {**NAKED, "entry": EntryKind.PRICED, "limit": d("189"), "level": None, "entry_timeout": None}
    for number in range(STORM):
        desk.do(i.TradeRequested, id=f"m-{number}", plan=plan(**priced), instrument=AAPL)
        desk.answer(quote(desk.at), f"m-{number}")
        ref = f"ts:m-{number}:entry:1"
        desk.do(i.OrderRefusedByBroker, ref=ref, what=i.RefusedWhat.ORDER, code=201, text="no equity")
    assert desk.desk.stopped == "storm"
    assert cancelled(desk) == {ENTRY}


def test_a_target_without_a_stop_that_the_broker_holds_for_ever_is_replaced_by_one_of_the_shares_held() -> (
    None
):
    desk = Desktop()
    desk.trigger(sl=None)
    desk.report(ENTRY, OrderState.WORKING)
    desk.report(TP1, OrderState.HELD)
    desk.execute(ENTRY, 10, "190.15", "e1.01")
    desk.do(i.WatchCancelRequested, watch="br-1")
    desk.report(ENTRY, OrderState.CANCELLED, filled=10)
    hold(desk, 10)
    desk.report(TP1, OrderState.HELD, qty=10)
    desk.wait(2)
    fire(desk, "again:br-1:orphans")
    assert cancelled(desk) == {TP1}
    desk.report(TP1, OrderState.CANCELLED)
    desk.wait(0.5)
    fire(desk, "again:br-1:target1")
    assert [(each.order.ref, each.order.qty) for each in desk.sent(c.PlaceOrder)] == [("ts:br-1:tp1:2", 10)]


def test_a_stop_whose_target_executed_was_cut_by_nobody_when_the_execution_is_taken_back() -> None:
    desk = Desktop()
    desk.open_position()
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.HELD)
    desk.execute(TP1, 100, "195", "e2.01")
    desk.report(TP1, OrderState.FILLED, filled=100)
    desk.report(SL1, OrderState.CANCELLED)
    desk.execute(TP1, 95, "195", "e2.02")
    assert desk.trade().legs[0].rung is Rung.PAIR
    assert desk.trade().phase is TradePhase.OPEN


def test_an_entry_with_children_is_not_made_smaller_by_hand() -> None:
    desk = Desktop()
    desk.trigger()
    for ref in desk.refs():
        desk.report(ref, OrderState.HELD)
    desk.do(i.ReplaceRequested, ref=ENTRY, qty=39)
    assert desk.sent(c.ModifyOrder) == []
    assert [event.reason for event in desk.told(RiskRejected)] == ["bracket_quantity"]


def test_an_exit_that_sells_although_the_entry_was_taken_back_is_an_oversale() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    desk.execute(TP1, 40, "195", "e2.01")
    assert desk.trade().protection == "OVERSOLD"
    assert [event.reason for event in desk.told(SymbolFrozen)] == [
        "40 shares more were sold than br-1 bought"
    ]
    for ref in (TP1, SL1):
        desk.report(ref, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    assert desk.ever_told(TradeClosed) == []  # there is no result where nothing was bought


def test_a_target_that_was_told_counts_though_a_part_of_it_is_taken_back() -> None:
    desk = Desktop()
    desk.trigger(
        tps=(d("195"), d("198"), d("200")), mode=ExitMode.DETACHED, stop_updates=(d("190"), d("194"))
    )
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    hold(desk, 100)
    for ref in desk.refs()[1:]:
        desk.report(ref, OrderState.HELD)
    desk.execute(TP1, desk.order(TP1).spec.qty, "195", "e2.01")
    assert desk.trade().milestone == 1
    desk.execute(TP1, desk.order(TP1).spec.qty - 5, "195", "e2.02")
    tp2 = "ts:br-1:tp2:1"
    desk.execute(tp2, desk.order(tp2).spec.qty, "198", "e3.01")
    assert desk.trade().milestone == 2


def test_exits_of_a_purchase_that_is_taken_back_are_cancelled_though_nobody_answered() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    assert cancelled(desk) == set()
    desk.wait(2)
    fire(desk, "again:br-1:drop")
    assert cancelled(desk) == {SL1, TP1, "ts:br-1:sl2:1", "ts:br-1:tp2:1"}


def test_a_stop_that_is_shown_smaller_right_after_our_change_lacks_nothing() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)
    for ref in desk.refs()[1:]:
        desk.report(ref, OrderState.HELD)
    desk.do(i.ReplaceRequested, ref=TP1, qty=40)
    desk.report(TP1, OrderState.HELD, qty=40)
    desk.execute(TP1, 1, "195", "e2.01")
    hold(desk, 99)
    desk.wait(2)  # the venue has not shown the stop since
    fire(desk, "again:br-1:calm")
    assert [(each.order.ref, each.order.qty) for each in desk.sent(c.ModifyOrder)] == [(SL1, 69)]
    desk.wait(0.3)
    desk.report(SL1, OrderState.HELD, qty=66)  # the venue had taken three for the one that was sold
    assert desk.sent(c.PlaceOrder) == []
    assert "position:AAPL" in timers(desk)  # its target may have sold more than we know
    desk.wait(3)
    fire(desk, "again:br-1:split")
    assert desk.sent(c.PlaceOrder) == []
    desk.wait(3)
    fire(desk, "again:br-1:split")
    assert [each.order.qty for each in desk.sent(c.PlaceOrder)] == [3, 3]


def test_a_stop_that_goes_on_being_reduced_lacks_nothing_until_that_is_over() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    for left in (90, 80, 70):
        desk.wait(4)
        desk.report(SL1, OrderState.HELD, qty=left)  # its target sells, and no execution comes
        assert desk.sent(c.PlaceOrder) == []
    desk.wait(4)
    desk.execute(TP1, 30, "195", "e2.01")
    hold(desk, 70)
    desk.wait(4)
    fire(desk, "again:br-1:split")
    assert desk.sent(c.PlaceOrder) == []


def test_an_old_picture_does_not_wake_a_stop_that_was_refused() -> None:
    desk = Desktop()
    desk.open_position()
    desk.report(SL1, OrderState.REFUSED)
    desk.wait(1.5)
    picture(desk, seen(desk, SL1, OrderState.HELD), asked_at=desk.at)
    assert desk.order(SL1).state is OrderState.REFUSED
    desk.wait(10)
    picture(desk, seen(desk, SL1, OrderState.HELD), asked_at=desk.at)
    assert desk.order(SL1).state is OrderState.HELD


def test_a_position_from_before_a_sale_does_not_contradict_that_a_stop_is_gone() -> None:
    desk = Desktop()
    desk.open_position()
    hold(desk, 100)
    desk.report(SL1, OrderState.CANCELLED)
    desk.wait(0.5)
    picture(desk, asked_at=desk.at)
    gone_at = desk.order(SL1).gone_at
    assert gone_at is not None
    foreign(desk, Side.SELL, 10, "x1.01")
    picture(desk, asked_at=desk.at)
    assert desk.order(SL1).gone_at == gone_at
    picture(desk, asked_at=desk.at, held=80)  # fewer than are known: somebody sold
    assert desk.order(SL1).gone_at is None


def test_shares_that_are_there_are_armed_when_some_of_a_leg_are_not() -> None:
    desk = Desktop()
    desk.watch("br-2", qty=3)
    desk.trigger(**LADDER)
    desk.answer(quote(desk.at), "br-2")
    desk.execute(
        "ts:br-2:entry:1", 0, "190.15", "e5.02"
    )  # what was bought was taken back, what it sold was not
    desk.execute("ts:br-2:tp1:1", 3, "195", "e6.01")
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 97)
    sl2 = "ts:br-1:sl2:1"
    assert sl2 not in desk.refs()
    desk.wait(5)
    fire(desk, "again:br-1:cap")
    assert desk.order(sl2).spec.qty == 27


def test_a_late_word_about_a_total_that_we_have_raised_since_frees_no_share() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 2, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    desk.report(COVER, OrderState.HELD, qty=2)
    desk.execute(ENTRY, 98, "190.15", "e2.01")
    desk.report(COVER, OrderState.HELD, qty=100)
    desk.wait(1)
    desk.report(COVER, OrderState.HELD, qty=2)
    assert desk.order(COVER).spec.qty == 100
    assert desk.sent(c.ModifyOrder) == []
    desk.wait(6)
    desk.report(COVER, OrderState.HELD, qty=2)
    assert [command.order.qty for command in desk.sent(c.ModifyOrder)] == [100]  # somebody made it smaller


def test_an_entry_that_cannot_be_cancelled_because_it_is_filled_is_not_missing_in_old_pictures() -> None:
    def end(words: str) -> OrderState:
        desk = Desktop()
        desk.trigger(**LADDER)
        desk.report(ENTRY, OrderState.WORKING)
        desk.do(i.WatchCancelRequested, watch="br-1")
        desk.do(i.OrderRefusedByBroker, ref=ENTRY, what=i.RefusedWhat.CANCEL, code=10148, text=words)
        for _ in range(2):
            desk.wait(1)
            picture(desk, asked_at=desk.at, held=0)
        return desk.order(ENTRY).state

    assert end("OrderId 1 that needs to be cancelled cannot be cancelled, state: Filled.").is_live
    assert (
        end("OrderId 1 that needs to be cancelled cannot be cancelled, state: Cancelled.")
        is OrderState.CANCELLED
    )


def test_shares_of_an_entry_that_filled_slowly_are_an_alarm_when_nothing_may_be_sent_for_them() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 20, "190.15", "e1.01")
    frozen = replace(desk.desk.books["AAPL"], frozen="sold twice")
    desk.desk = replace(desk.desk, books={"AAPL": frozen})
    desk.wait(8)
    desk.execute(ENTRY, 80, "190.15", "e2.01")
    assert "again:br-1:uncovered" in timers(desk)
    desk.wait(10.1)
    fire(desk, "again:br-1:uncovered")
    assert desk.trade().protection == "UNPROTECTED"


def test_a_stop_that_went_with_its_filled_target_was_cancelled_by_nobody() -> None:
    desk = Desktop()
    desk.open_position()
    stop, target = desk.order(SL1), desk.order(TP1)

    def gone(group: str) -> Order:
        return replace(
            stop,
            state=OrderState.CANCELLED,
            was_told=True,
            lost_at=desk.at,
            spec=replace(stop.spec, oca_group=group),
        )

    stops = [gone("p1"), gone("p2")]
    filled = replace(target, state=OrderState.FILLED, spec=replace(target.spec, oca_group="p2"))
    assert incidents.is_cut(stops, tuple(stops))
    assert not incidents.is_cut(stops, (*stops, filled))
