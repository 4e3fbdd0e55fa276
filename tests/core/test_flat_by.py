"""A trade that is closed by a time of day: as `flatten` closes it, that trade only, over restarts and lost links."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import ACCOUNT, ENTRY, OPEN, SESSION, SL1, TP1, Desktop, bar, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.exit_events import FlattenCompleted, FlattenStarted
from tradeshell.core.market import Bar
from tradeshell.core.orders import OrderState, OrderType, Side
from tradeshell.core.plan import EntryKind, ExitMode
from tradeshell.core.trade import TradePhase
from tradeshell.core.window import flat_at
from tradeshell_breakout.events import BreakoutRejected

BY: dict[str, Any] = {"flat_by": time(15, 55)}
DUE = OPEN + timedelta(hours=6, minutes=25)
FLAT = "ts:br-1:flat1:1"


def opened(**more: Any) -> Desktop:
    desk = Desktop()
    desk.open_position(**(BY | more))
    return desk


def due(desk: Desktop, at: datetime = DUE, id_: str = "br-1") -> None:
    """Let the timer come that the entry has set."""
    desk.at = max(desk.at, at)
    desk.do(i.TimerFired, key=f"again:{id_}:flat_by")


def cancelled(desk: Desktop) -> set[str]:
    return {command.ref for command in desk.sent(c.CancelOrder)}


def gone(desk: Desktop, *refs: str) -> None:
    for ref in refs:
        desk.report(ref, OrderState.CANCELLED)


# --- when -------------------------------------------------------------------------------------------------------------


def test_a_time_of_day_is_new_yorks_on_the_sessions_day() -> None:
    assert flat_at(SESSION, time(15, 55), False) == datetime(2025, 7, 8, 19, 55, tzinfo=UTC)
    assert flat_at(SESSION, None, False) is None
    assert flat_at(None, time(15, 55), False) is None


def test_behind_the_close_of_a_half_day_it_is_a_minute_before_it() -> None:
    half = replace(SESSION, close=OPEN + timedelta(hours=3, minutes=30))
    assert flat_at(half, time(15, 55), False) == half.close - timedelta(minutes=1)
    assert flat_at(half, time(15, 55), True) == DUE


def test_the_entry_sets_the_timer_and_an_entry_behind_it_is_refused() -> None:
    desk = Desktop()
    desk.trigger(**BY)
    timers = {timer.key: timer.at for timer in desk.sent(c.SetTimer)}
    assert timers["again:br-1:flat_by"] == DUE == desk.trade().flat_at
    late = Desktop()
    late.watch(**BY)
    late.at = DUE - timedelta(seconds=1)
    late.do(i.BarClosed, bar=bar_until(late.at), rth=True)
    late.at = DUE
    late.answer(quote(late.at))
    assert [event.reason for event in late.told(BreakoutRejected)] == ["past_flat_by"]
    assert late.sent(c.PlaceOrder) == []


def bar_until(end: datetime) -> Bar:
    return replace(bar(0, "190.12"), start=end - timedelta(minutes=1))


# --- what -------------------------------------------------------------------------------------------------------------


def test_at_its_time_exits_are_cancelled_first_and_then_all_is_sold_at_the_market() -> None:
    desk = opened()
    due(desk, DUE - timedelta(seconds=1))
    assert cancelled(desk) == set()
    assert desk.told(FlattenStarted) == []
    due(desk)
    (told,) = desk.told(FlattenStarted)
    assert (told.held, told.reason, told.watch) == (100, "flat_by=15:55", "br-1")
    assert str(told.story()).startswith("flat_by=15:55: selling 100 AAPL shares")
    assert cancelled(desk) == {SL1, TP1}
    gone(desk, SL1, TP1)
    order = desk.order(FLAT)
    assert (order.spec.type, order.spec.side, order.spec.qty) == (OrderType.MARKET, Side.SELL, 100)
    desk.report(FLAT, OrderState.WORKING)
    desk.execute(FLAT, 100, "191", "e2.01")
    desk.report(FLAT, OrderState.FILLED, filled=100)
    assert desk.trade().phase is TradePhase.CLOSED
    assert len(desk.ever_told(FlattenCompleted)) == 1
    assert len(desk.ever_told(FlattenStarted)) == 1


def test_an_entry_that_has_not_filled_is_cancelled() -> None:
    desk = Desktop()
    desk.trigger(**BY, entry_timeout=None)
    desk.report(ENTRY, OrderState.WORKING)
    due(desk)
    assert cancelled(desk) == {ENTRY}
    gone(desk, ENTRY, SL1, TP1)
    assert desk.trade().phase is TradePhase.CLOSED


def test_shares_that_come_late_are_sold_too() -> None:
    desk = Desktop()
    desk.trigger(**BY, entry_timeout=None)
    desk.report(ENTRY, OrderState.WORKING)
    due(desk)
    gone(desk, ENTRY, SL1, TP1)
    desk.wait(1)
    desk.execute(ENTRY, 40, "190.15", "e9.01")
    assert desk.trade().is_flattening
    assert [event.held for event in desk.told(FlattenStarted)] == [40]


def test_a_trade_without_exits_is_sold_too_and_others_of_the_symbol_are_left_alone() -> None:
    desk = opened()
    desk.watch("br-2", tps=(), sl=None, mode=ExitMode.NONE)
    desk.close_bar(3, "190.12")
    desk.answer(quote(desk.at), key="br-2")
    other = "ts:br-2:entry:1"
    desk.report(other, OrderState.WORKING)
    desk.execute(other, 100, "190.15", "e5.01")
    desk.report(other, OrderState.FILLED, filled=100)
    due(desk)
    gone(desk, SL1, TP1)
    desk.report(FLAT, OrderState.WORKING)
    desk.execute(FLAT, 100, "191", "e2.01")
    desk.report(FLAT, OrderState.FILLED, filled=100)
    assert desk.trade("br-1").phase is TradePhase.CLOSED
    assert not desk.trade("br-2").is_flattening
    assert desk.ever_told(FlattenCompleted) == []  # the symbol is not flat


def test_shares_that_just_lie_there_are_waited_for_while_their_time_will_come() -> None:
    desk = opened(tps=(), sl=None, mode=ExitMode.NONE)
    assert desk.desk.busy() == ("br-1",)
    due(desk)
    desk.report(FLAT, OrderState.WORKING)
    desk.execute(FLAT, 100, "191", "e2.01")
    desk.report(FLAT, OrderState.FILLED, filled=100)
    assert desk.desk.busy() == ()
    held = Desktop()
    held.open_position(tps=(), sl=None, mode=ExitMode.NONE)
    assert held.desk.busy() == ()


def test_an_order_that_was_typed_to_sell_some_of_the_shares_makes_way() -> None:
    desk = opened(tps=(), sl=None, mode=ExitMode.NONE)
    typed = plan(
        side=Side.SELL, qty=30, level=None, entry=EntryKind.PRICED, limit=d("200"), tps=(), sl=None,
        mode=ExitMode.NONE, chase_limit=None,
    )  # fmt: skip
    position = i.PositionReport(symbol="AAPL", con_id=265598, account=ACCOUNT, qty=100, average=d("190.15"))
    desk.do(i.PositionReported, position=position)
    desk.do(i.TradeRequested, id="m-1", plan=typed, instrument=desk.trade().instrument)
    desk.answer(quote(desk.at), key="m-1")
    sale = "ts:m-1:sell:1"
    desk.report(sale, OrderState.WORKING)
    due(desk)
    again = {timer.key for timer in desk.sent(c.SetTimer)}
    assert "again:m-1:flat_by" in again
    due(desk, id_="m-1")
    assert sale in cancelled(desk)


# --- what may come between --------------------------------------------------------------------------------------------


def reconnect(desk: Desktop) -> None:
    desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=50)
    position = i.PositionReport(symbol="AAPL", con_id=265598, account=ACCOUNT, qty=100, average=d("190.15"))
    shown = tuple(
        i.OrderReport(
            ref=ref,
            order_id=desk.order(ref).order_id,
            state=OrderState.WORKING,
            filled=0,
            remaining=100,
            qty=100,
            limit=desk.order(ref).spec.limit,
            stop=desk.order(ref).spec.stop,
        )
        for ref in (SL1, TP1)
    )
    epoch = desk.desk.link.epoch
    desk.do(
        i.SnapshotAnswered, epoch=epoch, asked_at=desk.at, orders=shown, executions=(), positions=(position,)
    )


def test_a_lost_link_delays_it_until_the_account_is_known() -> None:
    desk = opened()
    desk.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True, first_order_id=1, why="gone")
    due(desk)
    assert [event.reason for event in desk.told(FlattenStarted)] == ["flat_by=15:55"]
    assert cancelled(desk) == set()
    reconnect(desk)
    assert cancelled(desk) == {SL1, TP1}


@pytest.mark.parametrize("minutes_late", [-60, 0, 45])
def test_it_outlives_the_program(minutes_late: int) -> None:
    desk = opened()
    desk.at = DUE + timedelta(minutes=minutes_late)
    desk.do(i.Restarted)
    timers = {timer.key: timer.at for timer in desk.sent(c.SetTimer)}
    assert timers["again:br-1:flat_by"] == max(DUE, desk.at + timedelta(milliseconds=50))
    reconnect(desk)
    assert cancelled(desk) == ({SL1, TP1} if minutes_late >= 0 else set())
    due(desk)
    assert len(desk.ever_told(FlattenStarted)) == 1
    assert all(desk.order(ref).cancelling for ref in (SL1, TP1))
