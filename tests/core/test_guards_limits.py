"""Limits of the account: what may not leave, what it says, and what goes on all the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import ENTRY, SL1, Desktop, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import RiskRejected
from tradeshell.core.limits import check_change, check_duplicate, exits_needed, exposure, open_risk, realised
from tradeshell.core.market import Instrument
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan
from tradeshell.core.policy import Limits, Policy
from tradeshell.core.trade import first_leg

OFF = Limits(max_qty=None, max_notional=None, max_orders_per_minute=None, max_orders_per_side=None)


def typed(**more: Any) -> TradePlan:
    """Return a buy of 100 AAPL at 190.00 without exits."""
    plain: dict[str, Any] = {"level": None, "tps": (), "sl": None, "mode": ExitMode.NONE, "chase_limit": None}
    return plan(**(plain | {"entry": EntryKind.PRICED, "limit": d("190"), "entry_timeout": None} | more))


def ladder(**more: Any) -> TradePlan:
    """Return a ladder of three targets."""
    return plan(**({"tps": (d("195"), d("198"), d("205")), "mode": ExitMode.DETACHED} | more))


def desk_with(**limits: Any) -> Desktop:
    """Return a connected desk that has these limits and no others."""
    desk = Desktop()
    allow(desk, **limits)
    return desk


def allow(desk: Desktop, **limits: Any) -> None:
    base = {name: getattr(OFF, name) for name in Limits.__struct_fields__}
    desk.do(i.PolicySet, policy=Policy(limits=Limits(**(base | limits))))


def send(desk: Desktop, wanted: TradePlan, id_: str = "m-1", *, touch: bool = True) -> str:
    """Type an order and answer with a touch; return the reason of its refusal, empty when it left."""
    instrument = Instrument(symbol=wanted.symbol, con_id=1)
    desk.do(i.TradeRequested, id=id_, plan=wanted, instrument=instrument)
    desk.answer(quote(desk.at) if touch else None, key=id_)
    trade = desk.trade(id_)
    assert bool(desk.sent(c.PlaceOrder)) is (trade.end_reason == "")
    return trade.end_reason


def refusal(desk: Desktop) -> str:
    """Return the words of the one refusal that the last input told."""
    (told,) = desk.told(RiskRejected)
    return told.detail


def fill(desk: Desktop, id_: str, price: str, qty: int = 100) -> None:
    """Let the first order of a trade fill completely."""
    ref = f"ts:{id_}:{first_leg(desk.trade(id_).plan)}:1"
    desk.report(ref, OrderState.WORKING)
    desk.execute(ref, qty, price, f"{id_}-{len(desk.all)}.01")
    desk.report(ref, OrderState.FILLED, filled=qty)


# --- one order --------------------------------------------------------------------------------------------------------


def test_the_most_shares_of_an_order_are_allowed_and_one_more_is_not() -> None:
    desk = desk_with(max_qty=100)
    assert send(desk, typed(qty=100)) == ""
    assert send(desk, typed(qty=101), "m-2") == "max_qty"
    assert (
        refusal(desk)
        == "101 shares are more than 100 in one order · max_qty in [limits] of the config sets that"
    )


def test_an_order_may_cost_so_much_and_not_a_cent_more() -> None:
    desk = desk_with(max_notional=d("19000"))
    assert send(desk, typed(limit=d("190"))) == ""
    assert send(desk, typed(limit=d("190.01")), "m-2") == "max_notional"
    assert refusal(desk) == (
        "100 shares at 190.01 are 19001.00 USD, more than 19000.00 USD in one order · "
        "max_notional in [limits] of the config sets that"
    )


def test_an_order_at_the_touch_is_measured_at_the_ask_it_would_pay() -> None:
    desk = desk_with(max_notional=d("19014.99"))
    assert send(desk, typed(entry=EntryKind.TOUCH, limit=None)) == "max_notional"
    assert "100 shares at 190.15 are 19015.00 USD" in refusal(desk)


def test_a_market_order_whose_price_nobody_knows_is_refused_while_amounts_are_limited() -> None:
    market = typed(entry=EntryKind.MARKET, limit=None)
    assert send(desk_with(max_notional=d("1000000")), market, touch=False) == "no_price"
    assert send(desk_with(), market, touch=False) == ""


def test_a_watcher_that_triggers_is_held_to_the_limits_and_used_up() -> None:
    desk = desk_with(max_notional=d("19000"))
    desk.trigger()
    assert desk.sent(c.PlaceOrder) == []
    assert desk.trade().end_reason == "max_notional"
    assert refusal(desk).startswith("100 shares at 190.15 are 19015.00 USD")
    desk.close_bar(5, "190.50")
    assert desk.last == ()


def test_the_limits_are_in_force_from_the_policy_that_was_set_last() -> None:
    desk = desk_with(max_qty=10)
    assert send(desk, typed()) == "max_qty"
    allow(desk, max_qty=100)
    assert send(desk, typed(), "m-2") == ""


def test_the_collar_is_the_policys() -> None:
    desk = desk_with(collar=d("0.001"))
    assert send(desk, typed(limit=d("190.50"))) == "price_collar"
    assert refusal(desk) == (
        "limit 190.50 is more than 0.1 % through the ask 190.15 · collar in [limits] of the config sets that"
    )
    allow(desk, collar=d("0.01"))
    assert send(desk, typed(limit=d("190.50")), "m-2") == ""


# --- many orders ------------------------------------------------------------------------------------------------------


def test_so_many_orders_a_minute_leave_and_the_next_one_when_the_minute_is_over() -> None:
    desk = desk_with(max_orders_per_minute=2)
    assert [send(desk, typed(), f"m-{n}") for n in (1, 2, 3)] == ["", "", "max_orders_per_minute"]
    assert "2 orders were sent in the last minute, 2 are allowed" in refusal(desk)
    desk.wait(59.9)
    assert send(desk, typed(), "m-4") == "max_orders_per_minute"
    desk.wait(0.1)
    assert send(desk, typed(), "m-5") == ""


def test_orders_of_some_minutes_ago_do_not_count_for_the_pace() -> None:
    desk = desk_with(max_orders_per_minute=1)
    assert send(desk, typed()) == ""
    desk.wait(600)
    assert send(desk, typed(), "m-2") == ""
    assert send(desk, typed(), "m-3") == "max_orders_per_minute"
    desk.wait(600)
    assert send(desk, typed(), "m-4") == ""


def test_an_order_that_the_broker_refused_counts_for_the_pace_because_it_was_sent() -> None:
    desk = desk_with(max_orders_per_minute=1)
    send(desk, typed())
    desk.report("ts:m-1:entry:1", OrderState.REFUSED)
    assert send(desk, typed(), "m-2") == "max_orders_per_minute"


def test_exits_are_counted_before_the_entry_leaves() -> None:
    assert exits_needed(plan()) == 2
    assert exits_needed(plan(tps=())) == 1
    assert exits_needed(typed()) == 0
    assert exits_needed(ladder()) == 6
    desk = desk_with(max_orders_per_side=6)
    assert send(desk, ladder(level=None, chase_limit=None, qty=90)) == ""
    assert send(desk, plan(level=None, tps=(), chase_limit=None), "m-2") == "max_orders_per_side"
    assert refusal(desk).startswith("AAPL would have 7 working SELLs (6 now), more than 6")
    assert send(desk, typed(), "m-3") == ""  # no exit, no SELL
    assert send(desk, plan(level=None, symbol="MSFT", tps=(), chase_limit=None), "m-4") == ""


def test_working_buys_of_a_symbol_are_counted_too() -> None:
    desk = desk_with(max_orders_per_side=1)
    assert send(desk, typed()) == ""
    assert send(desk, typed(), "m-2") == "max_orders_per_side"
    desk.report("ts:m-1:entry:1", OrderState.CANCELLED)
    assert send(desk, typed(), "m-3") == ""


def test_the_same_typed_order_within_the_window_is_a_duplicate_unless_it_came_to_nothing() -> None:
    desk = desk_with(duplicate_window=5.0)
    wanted = typed()
    assert check_duplicate(desk.desk, wanted, desk.at) is None
    send(desk, wanted)
    desk.wait(4.9)
    found = check_duplicate(desk.desk, wanted, desk.at)
    assert found is not None
    assert found.detail == "the same order was sent less than 5 s ago; again=true sends it once more"
    assert check_duplicate(desk.desk, typed(qty=99), desk.at) is None
    desk.wait(0.1)
    assert check_duplicate(desk.desk, wanted, desk.at) is None
    send(desk, wanted, "m-2")
    desk.report("ts:m-2:entry:1", OrderState.REFUSED)
    assert check_duplicate(desk.desk, wanted, desk.at) is None
    allow(desk, max_qty=1)
    assert send(desk, wanted, "m-3") == "max_qty"
    assert check_duplicate(desk.desk, wanted, desk.at) is None


def test_an_order_that_still_asks_for_its_touch_makes_the_next_one_a_duplicate() -> None:
    desk = desk_with()
    desk.do(i.TradeRequested, id="m-1", plan=typed(), instrument=Instrument(symbol="AAPL", con_id=1))
    assert check_duplicate(desk.desk, typed(), desk.at) is not None
    assert check_duplicate(desk_with(duplicate_window=0.0).desk, typed(), desk.at) is None


# --- the account ------------------------------------------------------------------------------------------------------


def test_exposure_is_what_is_held_at_cost_and_what_may_still_be_bought() -> None:
    desk = desk_with(max_exposure=d("38000"))
    assert send(desk, typed()) == ""
    desk.report("ts:m-1:entry:1", OrderState.WORKING)
    desk.execute("ts:m-1:entry:1", 40, "189.50", "e1.01")
    assert exposure(desk.desk) == 40 * d("189.50") + 60 * d("190")
    assert send(desk, typed(limit=d("190.20")), "m-2") == ""  # 18980 + 19020: to the dollar
    assert send(desk, typed(qty=1, limit=d("1")), "m-3") == "max_exposure"
    assert refusal(desk) == (
        "positions and working entries would be 38001.00 USD (38000.00 USD now), more than 38000.00 USD · "
        "max_exposure in [limits] of the config sets that"
    )


def test_shares_that_are_not_ours_and_short_ones_are_exposure_too() -> None:
    desk = desk_with(max_exposure=d("30000"))
    for symbol, qty in (("MSFT", 20), ("TSLA", -30)):
        told = i.PositionReport(symbol=symbol, con_id=7, account=desk.desk.account, qty=qty, average=d("300"))
        desk.do(i.PositionReported, position=told)
    assert exposure(desk.desk) == 15_000
    assert send(desk, typed()) == "max_exposure"
    assert send(desk, typed(qty=78), "m-2") == ""


def test_a_position_is_not_counted_twice_when_the_broker_reports_what_our_trade_bought() -> None:
    desk = desk_with()
    desk.open_position()
    told = i.PositionReport(
        symbol="AAPL", con_id=265598, account=desk.desk.account, qty=100, average=d("190.15")
    )
    desk.do(i.PositionReported, position=told)
    assert exposure(desk.desk) == 100 * d("190.15")


def test_a_working_market_order_of_unknown_price_closes_the_account_for_entries() -> None:
    desk = desk_with(max_exposure=d("1000000"))
    allow(desk)
    send(desk, typed(entry=EntryKind.MARKET, limit=None), touch=False)
    allow(desk, max_exposure=d("1000000"))
    assert send(desk, typed(), "m-2") == "max_exposure"
    assert "the price of a market order is not known" in refusal(desk)


def test_open_risk_is_what_the_stops_would_lose() -> None:
    desk = desk_with()
    desk.open_position()
    assert open_risk(desk.desk) == 100 * (d("190.15") - d("187"))
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("190"))
    desk.report(SL1, OrderState.WORKING)
    assert open_risk(desk.desk) == 100 * d("0.15")


def test_an_entry_whose_stop_would_lose_too_much_together_with_the_others_is_refused() -> None:
    desk = desk_with(max_open_risk=d("600"))
    protected = plan(level=None, entry=EntryKind.PRICED, limit=d("190"), chase_limit=None, entry_timeout=None)
    assert send(desk, protected) == ""
    assert open_risk(desk.desk) == 300
    assert send(desk, protected, "m-2") == ""
    assert send(desk, typed(qty=1, sl=d("189.99"), mode=ExitMode.ATTACHED), "m-3") == "max_open_risk"
    assert refusal(desk).startswith(
        "the risk to all stops would be 600.01 USD (600.00 USD now), more than 600.00 USD"
    )


def test_shares_without_a_stop_risk_all_they_cost() -> None:
    desk = desk_with(max_open_risk=d("18999"))
    assert send(desk, typed()) == "max_open_risk"
    allow(desk, max_open_risk=d("19000"))
    assert send(desk, typed(), "m-2") == ""


# --- the day ----------------------------------------------------------------------------------------------------------


def lost_desk(**limits: Any) -> Desktop:
    """Return a desk that bought 100 at 190, sold them at 185 and paid 2 in fees."""
    desk = desk_with(**limits)
    send(desk, typed())
    fill(desk, "m-1", "190")
    desk.do(
        i.CommissionReported, exec_id=next(iter(desk.desk.books["AAPL"].executions)) + ".01", amount=d("2")
    )
    told = i.PositionReport(symbol="AAPL", con_id=1, account=desk.desk.account, qty=100, average=d("190"))
    desk.do(i.PositionReported, position=told)
    assert send(desk, typed(side=Side.SELL, limit=d("185"), tps=(), sl=None), "m-2", touch=False) == ""
    fill(desk, "m-2", "185")
    return desk


def test_what_was_lost_today_counts_with_its_fees_however_it_was_sold() -> None:
    desk = lost_desk()
    assert realised(desk.desk, desk.at) == -502


def test_the_loss_of_the_day_ends_entries_at_the_limit_and_not_before() -> None:
    assert send(lost_desk(max_daily_loss=d("502.01")), typed(), "m-3") == ""
    desk = lost_desk(max_daily_loss=d("502"))
    assert send(desk, typed(), "m-3") == "daily_loss"
    assert refusal(desk) == (
        "502.00 USD were lost today, fees included; 502.00 USD end the day for entries · "
        "max_daily_loss in [limits] of the config sets that"
    )


def test_the_day_ends_at_midnight_in_new_york() -> None:
    desk = lost_desk()
    desk.wait(14 * 3600 + 29 * 60)  # 23:59 in New York
    assert realised(desk.desk, desk.at) == -502
    desk.wait(60)
    assert realised(desk.desk, desk.at) == 0


def test_a_sale_of_shares_that_this_program_did_not_buy_is_no_loss() -> None:
    desk = desk_with()
    told = i.PositionReport(symbol="AAPL", con_id=1, account=desk.desk.account, qty=100, average=d("250"))
    desk.do(i.PositionReported, position=told)
    assert send(desk, typed(side=Side.SELL, limit=d("185")), touch=False) == ""
    fill(desk, "m-1", "185")
    assert realised(desk.desk, desk.at) == 0


def test_after_the_loss_of_the_day_shares_can_still_be_sold() -> None:
    desk = lost_desk()
    allow(desk, max_daily_loss=d("1"), max_exposure=d("1"), max_open_risk=d("1"))
    desk.wait(7)  # right after executions a position may be an old one
    told = i.PositionReport(symbol="AAPL", con_id=1, account=desk.desk.account, qty=50, average=d("190"))
    desk.do(i.PositionReported, position=told)
    assert send(desk, typed(side=Side.SELL, qty=50, limit=d("189")), "m-3", touch=False) == ""


# --- stopped, frozen --------------------------------------------------------------------------------------------------


def test_while_entries_are_stopped_no_watcher_and_no_buy_sends_anything() -> None:
    desk = desk_with()
    desk.watch()
    desk.do(i.StopEntryRequested, on=True)
    desk.close_bar(0, "190.12", high="190.20", low="189.90")
    desk.answer(quote(desk.at))
    assert desk.trade().end_reason == "entries_stopped"
    assert refusal(desk) == "entries are off (stopentry) · `stopentry off` allows them again"
    assert send(desk, typed()) == "entries_stopped"
    desk.do(i.StopEntryRequested, on=False)
    assert send(desk, typed(), "m-2") == ""


def test_while_entries_are_stopped_held_shares_can_be_sold_and_stops_moved() -> None:
    desk = desk_with()
    desk.open_position()
    desk.wait(7)  # right after executions a position may be an old one
    told = i.PositionReport(
        symbol="AAPL", con_id=265598, account=desk.desk.account, qty=150, average=d("190")
    )
    desk.do(i.PositionReported, position=told)
    desk.do(i.StopEntryRequested, on=True)
    assert send(desk, typed(side=Side.SELL, qty=50, limit=d("189")), touch=False) == ""
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
    assert [command.order.stop for command in desk.sent(c.ModifyOrder)] == [d("188")]


def test_a_frozen_symbol_takes_no_new_order_of_either_side() -> None:
    desk = desk_with()
    desk.open_position()
    book = desk.desk.books["AAPL"]
    desk.desk = replace(
        desk.desk, books={"AAPL": replace(book, frozen="10 shares cannot be explained", position=200)}
    )
    assert send(desk, typed()) == "symbol_frozen"
    assert send(desk, typed(side=Side.SELL, qty=10, limit=d("189")), "m-2") == "symbol_frozen"
    assert "AAPL takes no new order (10 shares cannot be explained)" in refusal(desk)
    assert send(desk, typed(symbol="MSFT"), "m-3") == ""


# --- changes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits, change, reason",
    [
        ({"max_qty": 100}, {"qty": 101}, "max_qty"),
        ({"max_notional": Decimal(19_000)}, {"qty": 101}, "max_notional"),
        ({"max_notional": Decimal(19_000)}, {"limit": Decimal("190.01")}, "max_notional"),
        ({"max_exposure": Decimal(19_000)}, {"qty": 101}, "max_exposure"),
        ({"max_exposure": Decimal(19_000)}, {"limit": Decimal("190.01")}, "max_exposure"),
        ({"max_open_risk": Decimal(19_000)}, {"qty": 101}, "max_open_risk"),
    ],
)
def test_an_entry_does_not_grow_beyond_a_limit_by_a_change(
    limits: dict[str, Any], change: dict[str, Any], reason: str
) -> None:
    desk = desk_with(**limits)
    assert send(desk, typed()) == ""
    desk.report("ts:m-1:entry:1", OrderState.WORKING)
    desk.do(i.ReplaceRequested, ref="ts:m-1:entry:1", **change)
    assert desk.sent(c.ModifyOrder) == []
    assert [told.reason for told in desk.told(RiskRejected)] == [reason]


def test_an_entry_may_always_shrink_and_get_cheaper() -> None:
    desk = desk_with()
    send(desk, typed())
    desk.report("ts:m-1:entry:1", OrderState.WORKING)
    allow(
        desk, max_qty=1, max_notional=d("1"), max_exposure=d("1"), max_open_risk=d("1"), max_daily_loss=d("1")
    )
    desk.do(i.ReplaceRequested, ref="ts:m-1:entry:1", qty=50, limit=d("189"))
    assert [(sent.order.qty, sent.order.limit) for sent in desk.sent(c.ModifyOrder)] == [(50, d("189"))]


def test_an_entry_does_not_grow_while_entries_are_stopped() -> None:
    desk = desk_with()
    send(desk, typed())
    desk.report("ts:m-1:entry:1", OrderState.WORKING)
    desk.do(i.StopEntryRequested, on=True)  # the cancel of the entry may be refused or lost
    found = check_change(desk.desk, desk.trade("m-1"), desk.order("ts:m-1:entry:1"), 101, None, desk.at)
    assert found is not None
    assert found.reason == "entries_stopped"


def test_exits_are_never_held_to_a_limit() -> None:
    desk = desk_with()
    desk.open_position()
    allow(
        desk,
        max_qty=1,
        max_notional=d("1"),
        max_orders_per_minute=1,
        max_orders_per_side=1,
        max_daily_loss=d("0.01"),
    )
    desk.do(i.ReplaceRequested, ref=SL1, stop=d("188.50"))
    assert [command.order.stop for command in desk.sent(c.ModifyOrder)] == [d("188.50")]
    assert desk.order(ENTRY).filled == 100
