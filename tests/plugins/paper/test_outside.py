"""What the exchange, the account's owner and other people do to orders, and refusals of every action."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from tests.plugins.paper.venue import Floor, Venue, ny, on_venue, order, quote, told

from tradeshell import ExecutionReported, OcaType, OrderSpec, OrderState, PositionReported, Tif
from tradeshell_paper.settings import Print, Refusal, RefuseRule, Rules, read_settings

TOUCHES = (quote("10:00", "9.99", "10.01"), quote("10:59", "9.99", "10.01"))


def bought(rules: Rules | None = None) -> Floor:
    """Return a floor on which 100 shares were bought at 10 in two executions."""
    floor = Floor(rules or Rules(partial=True))
    floor.send(order("BUY", 100, "LMT 10", "entry"))
    floor.trade("10", 60)
    floor.trade("10", 40)
    assert floor.position() == 100
    return floor


# --- corrections ------------------------------------------------------------------------------------------------------


def test_a_correction_is_the_next_revision_and_moves_the_position() -> None:
    floor = bought()
    reports = floor.exchange.correct(floor.now, "paper.2.01", 10, Decimal("9.90"))
    assert told(reports) == ["E BUY 10@9.90", "P 70@9.985714"]
    first = reports[0].input
    assert isinstance(first, ExecutionReported)
    assert (first.execution.exec_id, first.execution.revision) == ("paper.2.02", 2)
    again = told(floor.exchange.correct(floor.now, "paper.2.02", 40))
    assert again == ["E BUY 40@9.90", "P 100@9.96"]
    assert [(e.exec_id, e.qty) for e in floor.executions()] == [("paper.1.01", 60), ("paper.2.03", 40)]


def test_a_correction_leaves_what_the_order_says_of_itself() -> None:
    floor = bought()
    floor.exchange.bust(floor.now, "paper.1.01")
    assert told(floor.exchange.cancel(floor.now, 1)) == ["X entry 10148 cancel"]
    shown = floor.exchange.order(1)
    assert shown is not None
    assert (shown.state, shown.filled) == (OrderState.FILLED, 100)


def test_a_busted_trade_has_no_shares_and_may_leave_the_account_short() -> None:
    floor = bought()
    floor.send(order("SELL", 100, "LMT 10", "out"))
    floor.trade("10", 100)
    reports = floor.exchange.bust(floor.now, "paper.1.01")
    assert told(reports) == ["E BUY 0@10", "P -60@10"]
    assert [p.qty for p in floor.exchange.positions()] == [-60]


def test_the_bust_of_the_only_trade_leaves_no_position() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.send(order("BUY", 5))
    assert told(floor.exchange.bust(floor.now, "paper.1.01"))[1] == "P 0@0"
    assert floor.exchange.is_flat()


def test_an_unknown_execution_is_left_alone() -> None:
    assert bought().exchange.bust(ny("10:01"), "paper.9.01") == ()


# --- orders that end by themselves ------------------------------------------------------------------------------------


def group(floor: Floor) -> None:
    """Place a target and a stop of one group."""
    more: dict[str, Any] = {"oca_group": "g", "oca_type": OcaType.REDUCE}
    floor.send(order("SELL", 100, "LMT 11", "tp", **more), order("SELL", 100, "STP 9", "sl", **more))


def test_an_order_that_the_exchange_cancels_leaves_its_group() -> None:
    floor = Floor()
    group(floor)
    assert told(floor.exchange.kill_order(floor.now, 2)) == ["O sl cancelled 0/100"]
    assert floor.states() == {"tp": "working", "sl": "cancelled"}


def test_an_order_cancelled_by_hand_in_another_window_takes_its_group_along() -> None:
    floor = Floor()
    group(floor)
    reports = floor.exchange.cancel_outside(floor.now, 2)
    assert told(reports) == ["O sl cancelled 0/100", "O tp cancelled 0/100"]


def test_a_parent_that_the_exchange_cancels_takes_its_children_along() -> None:
    floor = Floor()
    floor.send(
        order("BUY", 100, "LMT 9", "entry", transmit=False),
        order("SELL", 100, "STP 8", "sl", parent_ref="entry"),
    )
    assert told(floor.exchange.kill_order(floor.now, 1)) == [
        "O entry cancelled 0/100",
        "O sl cancelled 0/100",
    ]


def test_an_order_may_be_refused_after_it_was_taken() -> None:
    floor = Floor()
    group(floor)
    reports = floor.exchange.kill_order(floor.now, 2, 201, "no margin")
    assert told(reports) == ["X sl 201 order", "O sl refused 0/100"]
    assert floor.exchange.revive_order(floor.now, 2) == ()
    assert [o.ref for o in floor.exchange.open_orders()] == ["tp"]


def test_an_inactive_order_is_shown_does_not_fill_and_may_work_again() -> None:
    floor = Floor()
    group(floor)
    floor.exchange.kill_order(floor.now, 2, 201, "no margin", final=False)
    assert [(o.ref, o.state.value, o.why) for o in floor.exchange.open_orders()] == [
        ("tp", "working", ""),
        ("sl", "refused", "no margin"),
    ]
    assert floor.trade("8.99") == []
    assert told(floor.exchange.revive_order(floor.now, 2)) == ["O sl held 0/100"]
    assert "E SELL 100@8.98" in floor.trade("8.98")


def test_an_inactive_order_is_reduced_cancelled_and_expired_like_any_other() -> None:
    floor = Floor(Rules(partial=True))
    group(floor)
    floor.exchange.kill_order(floor.now, 2, 201, "no margin", final=False)
    assert "O sl refused 0/70" in floor.trade("11", 30)
    assert floor.pass_time("16:00") == ["O tp cancelled 30/70", "O sl cancelled 0/70"]
    assert floor.exchange.revive_order(floor.now, 2) == ()


def test_a_revived_limit_meets_the_touch() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.send(order("BUY", 10, "LMT 9", "a"))
    floor.exchange.kill_order(floor.now, 1, 201, "held", final=False)
    floor.quote("8.90", "8.95")
    assert told(floor.exchange.revive_order(floor.now, 1))[:2] == ["O a working 0/10", "E BUY 10@8.95"]


def test_what_has_ended_or_never_was_is_left_alone() -> None:
    floor = bought()
    exchange, now = floor.exchange, floor.now
    for number in (1, 7):
        assert exchange.kill_order(now, number) == ()
        assert exchange.revive_order(now, number) == ()
        assert exchange.alter_order(now, number, qty=5) == ()
        assert exchange.cancel_outside(now, number) == ()
        assert exchange.fill_late(now, number, 5, Decimal(10)) == ()


# --- orders that change by themselves ---------------------------------------------------------------------------------


def test_an_order_changed_by_hand_in_another_window_is_told_as_it_is_now() -> None:
    floor = Floor()
    floor.send(order("SELL", 100, "STP LMT 9 8.95", "sl"))
    (report,) = floor.exchange.alter_order(floor.now, 1, stop=Decimal("8.50"), limit=Decimal("8.40"), qty=60)
    assert told([report]) == ["O sl held 0/60"]
    shown = floor.exchange.order(1)
    assert shown is not None
    assert (shown.stop, shown.limit, shown.qty) == (Decimal("8.50"), Decimal("8.40"), 60)
    assert floor.trade("8.90") == []


def test_an_order_made_marketable_by_hand_fills() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.send(order("BUY", 100, "LMT 9", "a"))
    reports = floor.exchange.alter_order(floor.now, 1, limit=Decimal("10.01"))
    assert told(reports)[:2] == ["O a working 0/100", "E BUY 100@10.01"]


def test_nobody_can_make_an_order_what_no_order_can_be() -> None:
    floor = Floor()
    floor.send(order("BUY", 100, "LMT 9", "a"))
    with pytest.raises(ValueError, match="minimum price variation"):
        floor.exchange.alter_order(floor.now, 1, limit=Decimal("9.001"))
    assert floor.states() == {"a": "working"}


# --- executions that are heard late -----------------------------------------------------------------------------------


def test_the_market_may_have_been_faster_than_a_confirmed_cancel() -> None:
    floor = Floor()
    floor.send(order("BUY", 100, "LMT 9", "a"))
    assert floor.drop("a") == ["O a cancelled 0/100"]
    late = told(floor.exchange.fill_late(floor.now, 1, 40, Decimal(9)))
    assert late == ["E BUY 40@9", "O a cancelled 40/60", "P 40@9", "K 1.00"]
    assert told(floor.exchange.fill_late(floor.now, 1, 400, Decimal(9)))[0] == "E BUY 60@9"
    assert floor.exchange.fill_late(floor.now, 1, 1, Decimal(9)) == ()


def test_a_late_execution_reduces_what_still_lives_of_its_group() -> None:
    floor = Floor()
    group(floor)
    floor.exchange.kill_order(floor.now, 2)
    assert "O tp working 0/70" in told(floor.exchange.fill_late(floor.now, 2, 30, Decimal(9)))


# --- refusals of every action -----------------------------------------------------------------------------------------


def refusing(code: int, *actions: str, advisory: bool = False) -> RefuseRule:
    """Return a rule that refuses these actions."""

    def rule(spec: OrderSpec, at: datetime, action: str) -> Refusal | None:
        return Refusal(code, "refused by the test", advisory) if action in actions else None

    return rule


def test_a_refused_change_leaves_the_old_order_working() -> None:
    floor = Floor(Rules(refuse=refusing(201, "modify")))
    floor.send(order("SELL", 100, "STP 9", "sl"))
    assert floor.change(order("SELL", 100, "STP 9.5", "sl")) == ["X sl 201 change"]
    assert [(o.stop, o.state) for o in floor.exchange.open_orders()] == [(Decimal(9), OrderState.HELD)]


def test_a_refused_cancel_leaves_the_order_working() -> None:
    floor = Floor(Rules(refuse=refusing(161, "cancel")))
    floor.send(order("SELL", 100, "STP 9", "sl"))
    assert floor.drop("sl") == ["X sl 161 cancel"]
    assert floor.states() == {"sl": "held"}


def test_an_advice_is_told_and_everything_is_done_all_the_same() -> None:
    floor = Floor(Rules(refuse=refusing(399, "place", "modify", "cancel", advisory=True)))
    assert floor.send(order("SELL", 100, "STP 9", "sl")) == ["X sl 399 nothing", "O sl held 0/100"]
    assert floor.change(order("SELL", 50, "STP 9", "sl")) == ["X sl 399 nothing", "O sl held 0/50"]
    assert floor.drop("sl") == ["X sl 399 nothing", "O sl cancelled 0/50"]


def test_a_rule_of_two_arguments_is_asked_about_new_orders_only() -> None:
    asked: list[str] = []

    def rule(spec: OrderSpec, at: datetime) -> Refusal | None:
        asked.append(spec.ref)
        return None

    floor = Floor(Rules(refuse=rule))
    floor.send(order("SELL", 100, "STP 9", "sl"))
    floor.change(order("SELL", 50, "STP 9", "sl"))
    floor.drop("sl")
    assert asked == ["sl"]


def test_a_table_refuses_one_action() -> None:
    rule = read_settings(
        {"refuse": [{"action": "cancel", "code": 10147, "times": 1, "advisory": False}]}
    ).rules.refuse
    floor = Floor(Rules(refuse=rule))
    floor.send(order("SELL", 100, "STP 9", "sl"))
    assert floor.change(order("SELL", 50, "STP 9", "sl")) == ["O sl held 0/50"]
    assert floor.drop("sl") == ["X sl 10147 cancel"]
    assert floor.drop("sl") == ["O sl cancelled 0/50"]


# --- through the broker -----------------------------------------------------------------------------------------------


def test_what_happens_outside_is_told_to_the_host_like_everything_else() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        venue.place(order("BUY", 10, "MKT", "entry"), order("SELL", 10, "STP 9", "sl", tif=Tif.GTC))
        await venue.until("10:01")
        before = len(venue.inputs)
        broker.alter_order(2, stop=Decimal("8.5"))
        broker.kill_order(2, 201, "no margin", final=False)
        broker.revive_order(2)
        broker.correct("paper.1.01", 6)
        broker.bust("paper.1.01")
        broker.cancel_outside(2)
        broker.fill_late(2, 3, Decimal("8.5"))
        assert told(venue.inputs[before:]) == [
            "O sl held 0/10",
            "X sl 201 order",
            "O sl refused 0/10",
            "O sl held 0/10",
            "E BUY 6@10.01",
            "P 6@10.01",
            "E BUY 0@10.01",
            "P 0@0",
            "O sl cancelled 0/10",
            "E SELL 3@8.5",
            "O sl cancelled 3/7",
            "P -3@8.5",
            "K 0.26",
        ]
        assert {event.at for event in venue.inputs[before:]} == {ny("10:01")}

    on_venue(work, script=TOUCHES)


def test_other_people_trade_the_account_whatever_our_link_does() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("ABC")
        venue.place(order("BUY", 10, "MKT", "entry"))
        await venue.answered()
        broker.drop_link("gone")
        broker.place_foreign(order("SELL", 4, "MKT", ""), 1, client=9)
        broker.place_foreign(order("SELL", 6, "LMT 12", ""), 2, client=9)
        await venue.answered()
        broker.cancel_foreign(2, client=9)
        await venue.answered()
        broker.restore_link()
        found = await broker.snapshot_account()
        assert ([p.qty for p in found.positions], found.orders) == ([6], ())
        assert not any(isinstance(event, PositionReported) for event in venue.inputs[6:])

    on_venue(work, script=TOUCHES)


def test_an_order_brought_to_the_market_from_outside_meets_the_touch_of_now() -> None:
    async def work(venue: Venue) -> None:
        await venue.broker.qualify("ABC")
        venue.place(order("BUY", 10, "LMT 9", "a"))
        await venue.until("10:05:01")
        venue.broker.alter_order(1, limit=Decimal("9.60"))
        (execution,) = venue.executions()
        assert execution.price == Decimal("9.55")

    script = (
        quote("10:00", "9.99", "10.01", in_force=True),
        quote("10:05", "9.50", "9.55", in_force=True),
        Print("ABC", ny("10:00"), Decimal(10)),
        Print("ABC", ny("10:59"), Decimal(10)),
    )
    on_venue(work, script=script)
