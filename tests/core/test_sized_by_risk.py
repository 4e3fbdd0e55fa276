"""Shares that are counted at the trigger: what a risk allows at the ask, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.core.support import ENTRY, Desktop, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.core.events import RiskRejected
from tradeshell.core.orders import OrderState
from tradeshell.core.plan import Cover, EntryKind, ExitMode, check_plan, put_on_grid, shares_at_risk
from tradeshell.core.policy import Limits, Policy
from tradeshell.errors import OperatorError
from tradeshell_breakout.events import BreakoutConfirmed, BreakoutRejected, BreakoutStarted

RISK: dict[str, Any] = {"risk_usd": d("200"), "qty": 66}  # 66 is what it comes to at the level
LADDER: dict[str, Any] = {
    "tps": (d("195"), d("198"), d("205")),
    "mode": ExitMode.DETACHED,
    "cover": Cover.NONE,
}


def triggered(ask: str = "190.15", **more: Any) -> Desktop:
    desk = Desktop()
    desk.watch(**(RISK | more))
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at, bid="189.80", ask=ask))
    return desk


def refusals(desk: Desktop) -> list[tuple[str, str]]:
    return [(event.reason, event.detail) for event in desk.told(BreakoutRejected)]


@pytest.mark.parametrize(
    "risk, price, sl, shares",
    [
        ("200", "190", "187", 66),
        ("200", "190.15", "187", 63),
        ("3", "190", "187", 1),
        ("2.99", "190", "187", 0),
        ("0.50", "0.42", "0.37", 10),
        ("200", "187", "187", 0),
        ("200", "186", "187", 0),
    ],
)
def test_a_risk_allows_so_many_shares_rounded_down(risk: str, price: str, sl: str, shares: int) -> None:
    found = shares_at_risk(d(risk), d(price), d(sl))
    assert found == shares
    assert found * max(d("0"), d(price) - d(sl)) <= d(risk)


@pytest.mark.parametrize("ask, shares", [("190.15", 63), ("191.30", 46), ("190.00", 66), ("189.90", 68)])
def test_the_ask_at_the_trigger_decides_how_many(ask: str, shares: int) -> None:
    desk = triggered(ask)
    assert [place.order.qty for place in desk.sent(c.PlaceOrder)] == [shares] * 3
    trade = desk.trade()
    assert (trade.plan.qty, [leg.qty for leg in trade.legs]) == (shares, [shares])
    assert desk.desk.watchers["br-1"].spec.plan.qty == 66
    (confirmed,) = desk.told(BreakoutConfirmed)
    assert (confirmed.qty, confirmed.risk) == (shares, d("200"))
    assert f"risk 200.00 buys {shares}" in str(confirmed.story())


def test_the_start_says_what_it_comes_to_at_the_level() -> None:
    desk = Desktop()
    desk.watch(**RISK)
    (started,) = desk.told(BreakoutStarted)
    assert (started.qty, started.risk) == (66, d("200"))
    assert "risk 200.00, ~66 shares" in str(started.story())


def test_a_ladder_shares_what_was_counted() -> None:
    desk = triggered(**LADDER)
    assert [place.order.qty for place in desk.sent(c.PlaceOrder)] == [63]
    assert desk.trade().legs == ()
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 63, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.FILLED, filled=63)
    assert [leg.qty for leg in desk.trade().legs] == [38, 19, 6]


def test_a_market_entry_is_counted_at_the_last_price_that_is_known() -> None:
    desk = Desktop()
    desk.watch(entry=EntryKind.MARKET, **RISK)
    desk.close_bar(0, "190.50")
    desk.answer(None)
    assert [place.order.qty for place in desk.sent(c.PlaceOrder)] == [57] * 3


def test_a_market_entry_on_an_old_touch_is_counted_at_the_bar_that_asked() -> None:
    """A touch that nobody would enter on, close to the stop, would buy twenty times as much as was risked."""
    desk = Desktop()
    desk.watch(entry=EntryKind.MARKET, **RISK)
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at - timedelta(seconds=60), bid="187.05", ask="187.10"))
    assert desk.order(ENTRY).spec.qty == shares_at_risk(d("200"), d("190.12"), d("187")) == 64


def test_a_risk_that_buys_no_share_is_refused_with_the_numbers() -> None:
    desk = triggered(risk_usd=d("3"), qty=1)
    ((reason, detail),) = refusals(desk)
    assert reason == "too_small"
    assert detail == ("a risk of 3.00 USD buys no share: from 190.15 to the stop 187.00 one loses 3.15")
    assert desk.sent(c.PlaceOrder) == []
    assert [event.reason for event in desk.told(RiskRejected)] == ["too_small"]
    assert desk.desk.watchers["br-1"].phase is WatchPhase.DONE


def test_a_risk_that_leaves_a_leg_without_a_share_is_refused() -> None:
    ((reason, detail),) = refusals(triggered(risk_usd=d("7"), qty=4, **LADDER))
    assert reason == "too_small"
    assert "leaves leg 3 without a share" in detail


def test_limits_hold_for_what_was_counted_and_not_for_what_it_came_to_at_the_level() -> None:
    def found(most: int) -> Desktop:
        desk = Desktop()
        desk.do(i.PolicySet, policy=Policy(limits=Limits(max_qty=most)))
        desk.watch(**RISK)
        desk.close_bar(0, "190.12")
        desk.answer(quote(desk.at))
        return desk

    assert refusals(found(63)) == []
    assert [reason for reason, _ in refusals(found(62))] == ["max_qty"]
    assert found(62).sent(c.PlaceOrder) == []


@pytest.mark.parametrize(
    "more, words",
    [
        ({"sl": None}, ["risk=200: ", "there is none · example: risk=200 sl=186.20"]),
        ({"sl": None, "level": None}, ["risk=200: ", "example: risk=200"]),
        (
            LADDER | {"weights": (40, 20, 6)},
            ["tp_alloc=40-20-6: with risk= the shares are counted at the trigger", "tp_alloc=60-30-10"],
        ),
    ],
)
def test_what_cannot_be_counted_is_refused_before_it_starts(more: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(OperatorError) as refused:
        check_plan(plan(**(RISK | more)))
    for each in words:
        assert each in str(refused.value)
    check_plan(put_on_grid(plan(**(RISK | LADDER | {"weights": (50, 30, 20)})), desk_grid()))


def desk_grid() -> Any:
    desk = triggered()
    return desk.trade().instrument.grid
