"""Kill switches and restarts, whatever stands on the desk; hours and sales outside of them; changes that an operator types."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.core.support import AAPL, ACCOUNT, ENTRY, SESSION, SL1, TP1, Desktop, d, plan, quote
from tests.core.test_unsafe_shares import NAKED, elected, hold, in_position, sell, staged

from tradeshell.core import commands as c
from tradeshell.core import hours
from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.core.diff import DropExit, compare
from tradeshell.core.events import LadderProtectionStateChanged, RiskRejected
from tradeshell.core.exit_events import FlattenStarted, KillSwitchEngaged, KillSwitchLifted, ProtectionAlarm
from tradeshell.core.exits import DesiredExit
from tradeshell.core.orders import OrderState, OrderType, Side
from tradeshell.core.trade import TradePhase
from tradeshell.core.turn import Turn


def timers(desk: Desktop) -> set[str]:
    """Return the timers that the last input set."""
    return {timer.key for timer in desk.sent(c.SetTimer)}


def cancels(desk: Desktop) -> set[str]:
    """Return the orders that the last input cancelled."""
    return {cancel.ref for cancel in desk.sent(c.CancelOrder)}


# --- stopentry --------------------------------------------------------------------------------------------------------


def test_entries_are_stopped_once_and_allowed_once() -> None:
    desk = Desktop()
    desk.do(i.StopEntryRequested, on=False)
    assert desk.last == ()
    desk.do(i.StopEntryRequested, on=True, reason="lunch")
    desk.do(i.StopEntryRequested, on=True, reason="again")
    assert [event.reason for event in desk.ever_told(KillSwitchEngaged)] == ["lunch"]
    assert desk.desk.stopped == "lunch"
    desk.do(i.StopEntryRequested, on=False)
    desk.do(i.StopEntryRequested, on=False)
    assert len(desk.ever_told(KillSwitchLifted)) == 1


def test_allowing_entries_thaws_what_was_frozen_and_says_why() -> None:
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.execute(SL1, 20, "187", "e3.01")
    assert desk.desk.books["AAPL"].frozen == "20 shares more were sold than br-1 bought"
    desk.do(i.StopEntryRequested, on=False, reason="looked at")
    assert desk.desk.books["AAPL"].frozen == ""
    assert [event.reason for event in desk.told(KillSwitchLifted)] == ["looked at"]


# --- flatten ----------------------------------------------------------------------------------------------------------


def test_flattening_another_symbol_touches_nothing() -> None:
    desk = in_position()
    desk.do(i.FlattenRequested, symbol="MSFT")
    assert desk.last == ()


def test_flattening_ends_an_attempt_whose_touch_has_not_come() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.do(i.FlattenRequested)
    assert (desk.trade().phase, desk.trade().end_reason) == (TradePhase.CLOSED, "flatten")
    assert desk.desk.watchers["br-1"].phase is WatchPhase.DONE
    desk.answer(quote(desk.at))
    assert desk.sent(c.PlaceOrder) == []


def test_flattening_makes_what_was_typed_to_sell_give_way_and_is_told_once() -> None:
    desk = in_position(**NAKED)
    hold(desk, 100)
    sell(desk, 60)
    desk.report("ts:m-1:sell:1", OrderState.WORKING)
    desk.do(i.FlattenRequested)
    assert cancels(desk) == {"ts:m-1:sell:1"}
    assert [event.held for event in desk.told(FlattenStarted)] == [100]
    desk.do(i.FlattenRequested)
    assert desk.told(FlattenStarted) == []


def test_what_is_being_sold_is_not_told_to_have_a_stop() -> None:
    desk = in_position()
    hold(desk, 100)
    desk.do(i.FlattenRequested)
    for ref in sorted(cancels(desk)):
        desk.report(ref, OrderState.CANCELLED)
    desk.report("ts:br-1:flat1:1", OrderState.WORKING)
    (told,) = desk.told(LadderProtectionStateChanged)
    assert (told.state, told.protected, told.selling) == ("PROTECTED", 100, 100)
    assert told.story() == "100 shares are being sold at the market"


# --- restart ----------------------------------------------------------------------------------------------------------


def test_after_a_restart_an_elected_stop_is_looked_at_again() -> None:
    desk = elected()
    desk.do(i.Restarted)
    assert f"chase:{SL1}" in timers(desk)
    assert not desk.desk.link.up


def test_a_restart_ends_an_attempt_whose_touch_has_not_come() -> None:
    desk = Desktop()
    desk.watch()
    desk.close_bar(0, "190.12")
    desk.do(i.Restarted)
    assert (desk.trade().phase, desk.trade().end_reason) == (TradePhase.CLOSED, "restarted")
    assert desk.desk.watchers["br-1"].end_reason == "restarted"
    assert timers(desk) == set()


@pytest.mark.parametrize("timeout,expected", [(15.0, {"entry:br-1"}), (None, set())])
def test_after_a_restart_the_timeout_of_an_entry_runs_on(timeout: float | None, expected: set[str]) -> None:
    desk = staged(entry_timeout=timeout)
    desk.wait(5)
    desk.do(i.Restarted)
    assert timers(desk) == {"again:br-1:restart", "hours:br-1", "halt:br-1"} | expected
    due = {timer.key: timer.at for timer in desk.sent(c.SetTimer)}
    assert due.get("entry:br-1", desk.at + timedelta(seconds=10)) == desk.at + timedelta(seconds=10)


def test_a_restart_pauses_watchers_that_wait_and_does_not_know_what_became_of_orders_in_flight() -> None:
    desk = Desktop()
    desk.trigger()
    desk.watch("br-2")
    desk.do(i.Restarted)
    assert desk.desk.watchers["br-2"].phase is WatchPhase.PAUSED
    assert desk.desk.armed == {}
    assert {order.state for order in desk.desk.orders()} == {OrderState.UNKNOWN}
    assert desk.trade().phase is TradePhase.ENTERING


def test_after_a_restart_a_closed_trade_is_left_alone() -> None:
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.report(SL1, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    desk.do(i.Restarted)
    assert desk.last == ()


def test_after_a_restart_an_alarm_goes_on() -> None:
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.execute(SL1, 20, "187", "e3.01")
    assert desk.trade().protection == "OVERSOLD"
    desk.do(i.Restarted)
    assert "again:br-1:alarm" in timers(desk)


# --- hours ------------------------------------------------------------------------------------------------------------


def test_when_nobody_knows_the_hours_they_are_asked_for_again() -> None:
    desk = in_position()
    desk.answer(None, "hours:br-1", session=None)
    (timer,) = [timer for timer in desk.sent(c.SetTimer) if timer.key == "hours:br-1"]
    assert timer.at - desk.at == hours.LOOK_EVERY


@pytest.mark.parametrize(
    "key", ["hours:br-1", "raise:br-1", "flat:br-1", "armed:br-1", "halt:br-1", "hours:no"]
)
def test_touches_and_hours_that_come_after_a_trade_is_over_mean_nothing_to_it(key: str) -> None:
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.report(SL1, OrderState.CANCELLED)
    assert desk.trade().phase is TradePhase.CLOSED
    desk.do(i.TimerFired, key=key)
    assert desk.last == ()
    desk.answer(quote(desk.at), key)
    assert desk.last == ()


def test_a_trade_whose_hours_are_not_known_sets_no_timer_for_their_end() -> None:
    desk = in_position()
    turn = Turn(desk.desk, desk.at)
    hours.start(turn, replace(desk.trade(), session=None))
    assert turn.commands == []
    hours.start(turn, desk.trade())
    assert len(turn.commands) == 1


def extended() -> Desktop:
    """Return a desk that holds 100 of a trade that works outside regular hours, and is to be sold before they begin."""
    desk = Desktop()
    desk.at = SESSION.extended_open + timedelta(hours=1)
    typed = plan(level=None, outside_rth=True, **NAKED)
    desk.do(i.TradeRequested, id="m-1", plan=typed, instrument=AAPL)
    desk.answer(quote(desk.at), "m-1")
    desk.report("ts:m-1:entry:1", OrderState.WORKING)
    desk.execute("ts:m-1:entry:1", 100, "190.15", "e1.01")
    desk.report("ts:m-1:entry:1", OrderState.FILLED, filled=100)
    hold(desk, 100)
    desk.do(i.FlattenRequested)
    assert [ask.key for ask in desk.sent(c.AskQuote)] == ["flat:m-1"]
    assert desk.sent(c.PlaceOrder) == []
    return desk


def test_outside_regular_hours_shares_are_sold_at_a_limit_below_the_bid() -> None:
    desk = extended()
    desk.answer(None, "flat:m-1")
    assert desk.sent(c.PlaceOrder) == []  # no bid, no price
    desk.answer(quote(desk.at, bid="190.00"), "flat:m-1")
    (sale,) = desk.sent(c.PlaceOrder)
    assert (sale.order.type, sale.order.limit) == (OrderType.LIMIT, d("188.10"))
    desk.answer(None, "flat:m-1")
    assert desk.sent(c.ModifyOrder) == []  # the last price stands while there is no other


def test_once_regular_hours_begin_they_are_sold_at_the_market() -> None:
    desk = extended()
    desk.at = SESSION.open
    desk.answer(quote(desk.at), "flat:m-1")
    (sale,) = desk.sent(c.PlaceOrder)
    assert (sale.order.type, sale.order.limit) == (OrderType.MARKET, None)


# --- changes that an operator types -----------------------------------------------------------------------------------


def test_a_sell_grows_only_into_shares_that_are_free() -> None:
    desk = in_position(**NAKED)
    hold(desk, 100)
    sell(desk, 60)
    ref = "ts:m-1:sell:1"
    desk.report(ref, OrderState.WORKING)
    desk.do(i.ReplaceRequested, ref=ref, qty=101)
    assert [event.reason for event in desk.told(RiskRejected)] == ["would_short"]
    desk.do(i.ReplaceRequested, ref=ref, qty=100)
    assert [change.order.qty for change in desk.sent(c.ModifyOrder)] == [100]


@pytest.mark.parametrize("qty", [50, 150])
def test_the_entry_of_a_bracket_keeps_its_total_and_one_without_exits_may_change(qty: int) -> None:
    desk = staged()
    desk.do(i.ReplaceRequested, ref=ENTRY, qty=qty)
    assert [event.reason for event in desk.told(RiskRejected)] == ["bracket_quantity"]
    bare = Desktop()
    bare.trigger(**NAKED)
    bare.report(ENTRY, OrderState.WORKING)
    bare.do(i.ReplaceRequested, ref=ENTRY, qty=qty)
    assert [change.order.qty for change in bare.sent(c.ModifyOrder)] == [qty]


def test_children_of_a_working_entry_keep_their_totals_when_their_prices_are_changed() -> None:
    desk = staged()
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    assert [(change.order.stop, change.order.qty) for change in desk.sent(c.ModifyOrder)] == [(d("188"), 100)]


def test_an_exit_whose_shares_are_sold_already_is_not_moved() -> None:
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    assert [event.reason for event in desk.told(RiskRejected)] == ["exit_busy"]
    desk.wait(1.5)
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    assert desk.last == ()


def test_an_entry_of_which_nothing_was_heard_is_cancelled_and_looked_for() -> None:
    desk = Desktop()
    desk.trigger()
    desk.wait(3)
    desk.do(i.TimerFired, key=f"ack:{ENTRY}")
    assert desk.order(ENTRY).state is OrderState.UNKNOWN
    desk.do(i.WatchCancelRequested, watch="br-1")
    assert cancels(desk) == {ENTRY}
    assert len(desk.sent(c.AskSnapshot)) == 1


# --- elected stops and exits that came back ---------------------------------------------------------------------------


def test_an_elected_stop_follows_a_bid_without_an_ask() -> None:
    desk = elected()
    desk.answer(quote(desk.at, bid="185.40", ask=None), f"chase:{SL1}")
    assert [change.order.limit for change in desk.sent(c.ModifyOrder)] == [d("185.40")]


def test_of_two_living_exits_of_a_leg_the_older_one_goes() -> None:
    desk = in_position()
    older = desk.order(SL1)
    newer = replace(older, spec=replace(older.spec, ref="ts:br-1:sl1:2"))
    wanted = DesiredExit(
        leg="sl1", qty=100, type=OrderType.STOP_LIMIT, stop=older.spec.stop, limit=older.spec.limit
    )
    assert compare([wanted], [older, newer], desk.at) == (DropExit(older),)
    assert compare([wanted], [replace(older, cancelling=True), newer], desk.at) == ()


@pytest.mark.parametrize("is_probed", [False, True])
def test_a_stop_that_belongs_higher_waits_while_the_broker_is_asked_whether_it_has_it(
    is_probed: bool,
) -> None:
    desk = in_position()
    lost = replace(desk.order(SL1), state=OrderState.UNKNOWN, is_probed=is_probed)
    assert lost.spec.stop is not None
    wanted = DesiredExit(
        leg="sl1", qty=100, type=OrderType.STOP_LIMIT, stop=lost.spec.stop + 1, limit=lost.spec.limit
    )
    assert bool(compare([wanted], [lost], desk.at)) is not is_probed


# --- more sold than bought --------------------------------------------------------------------------------------------


def oversold() -> Desktop:
    """Return a desk whose trade has sold 20 shares that nobody had, and has ended."""
    desk = in_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.execute(SL1, 20, "187", "e3.01")
    desk.report(SL1, OrderState.CANCELLED, filled=20)
    desk.report(TP1, OrderState.FILLED, filled=100)
    assert (desk.trade().phase, desk.trade().protection) == (TradePhase.CLOSED, "OVERSOLD")
    return desk


def test_an_oversale_is_told_again_and_again_although_the_trade_is_over() -> None:
    desk = oversold()
    for _ in range(3):
        desk.do(i.TimerFired, key="again:br-1:alarm")
        assert desk.told(ProtectionAlarm) == []  # not before its time
        desk.wait(15)
        desk.do(i.TimerFired, key="again:br-1:alarm")
        (alarm,) = desk.told(ProtectionAlarm)
        assert (alarm.state, alarm.held) == ("OVERSOLD", -20)
        assert (
            alarm.story()
            == "OVERSOLD · 20 AAPL shares more were sold than bought · buy them back in TWS, then `stopentry off`"
        )
        assert "again:br-1:alarm" in timers(desk)
    desk.do(i.Restarted)
    assert "again:br-1:alarm" in timers(desk)


def test_the_operator_ends_the_alarm_of_an_oversale() -> None:
    desk = oversold()
    desk.do(i.StopEntryRequested, on=False)
    assert desk.trade().alarm_at is None
    desk.wait(15)
    desk.do(i.TimerFired, key="again:br-1:alarm")
    assert desk.told(ProtectionAlarm) == []


def test_an_oversale_that_was_bought_back_is_no_alarm_any_more() -> None:
    desk = oversold()
    desk.do(
        i.ExecutionReported,
        execution=i.ExecutionReport(
            exec_id="f1.01",
            ref="",
            order_id=0,
            symbol="AAPL",
            account=ACCOUNT,
            side=Side.BUY,
            qty=20,
            price=d("190"),
            at=desk.at,
        ),
    )
    desk.wait(15)
    desk.do(i.TimerFired, key="again:br-1:alarm")
    assert desk.told(ProtectionAlarm) == []
    assert desk.trade().alarm_at is None
