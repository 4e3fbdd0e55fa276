"""Refusals of plans and touches, and what events say: words that people read."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.support import AAPL, ENTRY, SL1, Desktop, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import (
    AuditInterrupted,
    AuditResumed,
    BrokerMessageUnclassified,
    DataRejected,
    EngineFault,
    Event,
    LadderProtectionStateChanged,
    OrderSendFailed,
    ReconciliationFailed,
    ReplayEnded,
    RiskRejected,
    SinkMuted,
)
from tradeshell.core.exit_events import SymbolFrozen
from tradeshell.core.market import DataKind
from tradeshell.core.orders import TRANSITIONS, OrderState, OrderType, Side, Signal
from tradeshell.core.plan import EntryKind, ExitMode, check_plan
from tradeshell.core.policy import Policy
from tradeshell.errors import OperatorError


@pytest.mark.parametrize(
    "words,said",
    [
        (
            {"mode": ExitMode.ATTACHED, "tps": (d("195"), d("198"))},
            "a bracket has one target, 2 were given · use tp_exec=detached70",
        ),
        (
            {"mode": ExitMode.ATTACHED, "tps": (d("195"), d("198"), d("201"))},
            "a bracket has one target, 3 were given · use tp_exec=detached,",
        ),
        ({"weights": (100,)}, "tp_alloc and stop_updates belong to a ladder"),
        ({"stop_updates": (d("190"),)}, "tp_alloc and stop_updates belong to a ladder"),
        ({"mode": ExitMode.DETACHED70}, "detached70: takes two targets, 1 were given"),
        (
            {"mode": ExitMode.DETACHED70, "tps": (d("195"), d("198")), "weights": (50, 50)},
            "detached70 is always 70-30",
        ),
        ({"mode": ExitMode.DETACHED, "tps": ()}, "needs a target for every leg"),
        (
            {"mode": ExitMode.DETACHED, "tps": (d("195"), d("198")), "side": Side.SELL},
            "a ladder protects shares that are bought",
        ),
    ],
)
def test_exits_that_do_not_fit_their_mode_are_refused_with_the_rule(words: dict[str, Any], said: str) -> None:
    with pytest.raises(OperatorError) as refusal:
        check_plan(plan(**words))
    assert said in str(refusal.value)


# --- the touch --------------------------------------------------------------------------------------------------------


def entered(touch: dict[str, Any], policy: Policy | None = None, **more: Any) -> Desktop:
    """Return a desk on which an order was typed and this touch came."""
    desk = Desktop()
    if policy is not None:
        desk.do(i.PolicySet, policy=policy)
    typed = plan(
        **({"level": None, "sl": None, "tps": (), "mode": ExitMode.NONE, "chase_limit": None} | more)
    )
    desk.do(i.TradeRequested, id="m-1", plan=typed, instrument=AAPL)
    desk.answer(quote(desk.at, **touch), "m-1")
    return desk


def test_a_market_order_with_a_good_touch_leaves_at_the_market() -> None:
    (order,) = entered({}, entry=EntryKind.MARKET).sent(c.PlaceOrder)
    assert (order.order.type, order.order.limit) == (OrderType.MARKET, None)


@pytest.mark.parametrize("ask", [None, "-1", "0"])
def test_a_typed_limit_is_the_operators_word_where_the_touch_has_no_other_side(ask: str | None) -> None:
    (order,) = entered({"ask": ask}, entry=EntryKind.PRICED, limit=d("500")).sent(c.PlaceOrder)
    assert order.order.limit == d("500")
    far = entered({"ask": "190.15"}, entry=EntryKind.PRICED, limit=d("500"))
    assert [event.reason for event in far.told(RiskRejected)] == ["price_collar"]


def test_a_typed_limit_does_not_leave_in_a_halt_unless_it_may_rest_in_one() -> None:
    priced: dict[str, Any] = {"entry": EntryKind.PRICED, "limit": d("189")}
    halted = entered({"kind": DataKind.HALTED}, **priced)
    assert halted.sent(c.PlaceOrder) == []
    (refused,) = halted.told(RiskRejected)
    assert (refused.reason, refused.detail[:14]) == ("halted", "AAPL is halted")
    assert "hold_through_halt" in refused.detail
    assert entered({"kind": DataKind.LIVE}, **priced).sent(c.PlaceOrder)
    resting = entered({"kind": DataKind.HALTED}, Policy(hold_through_halt=True), **priced)
    assert len(resting.sent(c.PlaceOrder)) == 1


def test_an_entry_that_works_is_cancelled_when_its_symbol_is_halted_and_kept_otherwise() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.WORKING)
    for touch in (None, quote(desk.at)):
        desk.answer(touch, "halt:br-1")
        assert desk.sent(c.CancelOrder) == []
    desk.answer(quote(desk.at, kind=DataKind.HALTED), "halt:br-1")
    assert [cancel.ref for cancel in desk.sent(c.CancelOrder)] == [ENTRY]
    assert desk.trade().cancel_wanted == "the symbol is halted"
    desk.answer(quote(desk.at, kind=DataKind.HALTED), "halt:br-1")
    assert desk.last == ()


@pytest.mark.parametrize(
    "price,nearest",
    [("190.004", "190.00"), ("190.005", "190.01"), ("0.42004", "0.4200"), ("0.42005", "0.4201")],
)
def test_the_nearest_price_of_the_grid_is_half_a_tick_away_at_most(price: str, nearest: str) -> None:
    assert AAPL.grid.nearest(d(price)) == d(nearest)


# --- an order's life --------------------------------------------------------------------------------------------------


def test_a_word_that_the_table_has_no_row_for_is_shown_and_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desktop()
    desk.trigger()
    monkeypatch.delitem(TRANSITIONS, (OrderState.SENT, Signal.HELD))
    before = desk.desk
    desk.report(SL1, OrderState.HELD)
    (words,) = desk.told(BrokerMessageUnclassified)
    assert words.text == f"{SL1}: sent -> held"
    assert desk.desk is before
    assert len(desk.last) == 1


# --- stories ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event,label,story",
    [
        (ReconciliationFailed(reason="no answer"), "link", "not reconciled: no answer"),
        (SinkMuted(sink="jsonl", reason="disk full"), "audit", "sink jsonl failed and is muted: disk full"),
        (
            AuditInterrupted(sink="jsonl", reason="disk full"),
            "audit",
            "disk full · no entry leaves until it can be written, exits go on",
        ),
        (
            AuditResumed(sink="jsonl"),
            "audit",
            "sink jsonl is written again, what is missing is marked in it · entries may leave",
        ),
        (EngineFault(where="step", reason="KeyError"), "fault", "internal error in step: KeyError"),
        (DataRejected(symbol="AAPL", reason="high below low"), "data", "dropped: high below low"),
        (ReplayEnded(), "replay", "the recorded data ends here"),
        (SymbolFrozen(symbol="AAPL", reason="odd"), "frozen", "AAPL frozen: odd · no new orders in it"),
        (
            LadderProtectionStateChanged(symbol="AAPL", state="OVERSOLD", held=-5, protected=0),
            "exits",
            "OVERSOLD · 5 shares more were sold than this trade bought",
        ),
        (
            LadderProtectionStateChanged(symbol="AAPL", state="PROTECTED", held=9, protected=9, selling=4),
            "exits",
            "protected 100 % · 5 of 9 shares have a stop, 4 are being sold at the market",
        ),
        (
            LadderProtectionStateChanged(symbol="AAPL", state="DEFERRED", held=5, protected=5),
            "exits",
            "the stops of 5 shares rest",
        ),
    ],
)
def test_an_event_names_its_place_and_says_what_happened(event: Event, label: str, story: str) -> None:
    assert event.label() == label
    assert story in (event.story() or "")


@pytest.mark.parametrize(
    "action,certain,story",
    [
        ("place", True, "not sent: gone"),
        ("place", False, "sending failed, outcome unknown: gone"),
        ("replace", True, "change not sent: gone"),
        ("cancel", True, "cancel not sent: gone"),
    ],
)
def test_a_failed_sending_says_what_was_to_be_sent_and_whether_anything_left(
    action: str, certain: bool, story: str
) -> None:
    failed = OrderSendFailed(order_ref=SL1, reason="gone", certain=certain, action=action)
    assert failed.story() == story


def test_a_code_that_nobody_knows_is_told_as_such_and_moves_nothing() -> None:
    desk = Desktop()
    desk.open_position()
    before = desk.desk
    desk.do(
        i.OrderRefusedByBroker,
        ref=SL1,
        what=i.RefusedWhat.NOTHING,
        code=90_001,
        text="of another day",
        is_known=False,
    )
    (told,) = desk.told(BrokerMessageUnclassified)
    assert (told.code, told.order_ref, told.text) == (90_001, SL1, "of another day")
    assert desk.desk == before
