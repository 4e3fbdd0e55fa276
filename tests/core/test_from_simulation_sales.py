"""Sequences that random schedules found about what may be sold: totals that cross, purchases taken back, exits too large."""

from __future__ import annotations

from datetime import timedelta

from msgspec.structs import replace as rebuilt
from tests.core.support import ENTRY, SL1, TP1, Desktop, d
from tests.core.test_from_simulation import COVER, LADDER, cancelled, fire, foreign, hold, timers
from tests.core.test_totals_and_pictures import picture, seen

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.book import LONG
from tradeshell.core.cap import could_sell, exposures
from tradeshell.core.events import OrderMissing
from tradeshell.core.incidents import is_cut
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.plan import ExitMode
from tradeshell.core.policy import Policy
from tradeshell.core.reports import REDUCTIONS
from tradeshell.core.trade import leg_of

SL2, TP2 = "ts:br-1:sl2:1", "ts:br-1:tp2:1"


def totals(desk: Desktop) -> list[tuple[str, int]]:
    """Return the changes that the last input sent."""
    return [(change.order.ref, change.order.qty) for change in desk.sent(c.ModifyOrder)]


def refuse(desk: Desktop, ref: str, what: i.RefusedWhat, code: int = 201, text: str = "no") -> None:
    """Let the broker refuse something."""
    desk.do(i.OrderRefusedByBroker, ref=ref, what=what, code=code, text=text)


def armed(*, answered: bool = True) -> Desktop:
    """Return a desk with a ladder of 70 and 30 shares."""
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    hold(desk, 100)
    if answered:
        for ref in desk.refs()[1:]:
            desk.report(ref, OrderState.HELD)
    return desk


# --- the broker reduces a sibling by itself ----------------------------------------------------------------------------


def test_a_stop_that_the_broker_has_not_shown_since_its_target_sold_is_looked_at_before_it_is_reduced() -> (
    None
):
    desk = armed()
    desk.execute(TP1, 20, "195", "e2.01")
    desk.wait(1)
    fire(desk, "again:br-1:calm")
    assert (totals(desk), len(desk.sent(c.AskSnapshot))) == ([], 1)
    assert "again:br-1:calm" in timers(desk)
    desk.wait(1)
    fire(desk, "again:br-1:calm")
    assert totals(desk) == [(SL1, 50)]


def test_a_stop_that_is_shown_as_large_as_before_is_reduced_after_a_second() -> None:
    desk = armed()
    desk.execute(TP1, 20, "195", "e2.01")
    desk.report(SL1, OrderState.HELD, qty=70)
    desk.wait(1)
    fire(desk, "again:br-1:calm")
    assert totals(desk) == [(SL1, 50)]


def test_a_picture_that_was_asked_for_before_the_sale_shows_nothing_of_its_reduction() -> None:
    def shown(asked_after: float | None) -> list[tuple[str, int]]:
        desk = armed()
        desk.wait(10)
        desk.execute(TP1, 20, "195", "e2.01")
        asked_at = None if asked_after is None else desk.at + timedelta(seconds=asked_after)
        desk.wait(0.2)
        orders = (
            seen(desk, SL1, OrderState.HELD, 70),
            seen(desk, TP1, OrderState.WORKING, 70, 20),
            seen(desk, SL2, OrderState.HELD, 30),
            seen(desk, TP2, OrderState.WORKING, 30),
        )
        picture(desk, *orders, asked_at=asked_at, held=80)
        desk.wait(0.9)
        fire(desk, "again:br-1:calm")
        return totals(desk)

    assert shown(0.1) == [(SL1, 50)]
    assert shown(None) == [(SL1, 50)]  # an answer to no question of ours is from now
    assert shown(-0.1) == []


def test_a_larger_total_that_no_change_of_ours_explains_is_an_old_word_at_first() -> None:
    desk = armed()
    desk.wait(10)
    desk.execute(TP1, 2, "195", "e2.01")
    desk.report(SL1, OrderState.HELD, qty=68)
    desk.report(SL1, OrderState.HELD, qty=69)  # the order of words is not always that of events
    assert totals(desk) == []
    desk.wait(1)
    fire(desk, "again:br-1:calm")
    assert totals(desk) == [(SL1, 68)]


def test_a_word_from_before_an_execution_that_is_known_says_nothing_of_total_and_prices() -> None:
    desk = armed()
    desk.wait(10)
    desk.execute(TP1, 40, "195", "e2.01")
    desk.report(TP1, OrderState.WORKING, filled=40, qty=70)
    desk.wait(10)
    desk.report(TP1, OrderState.WORKING, filled=10, qty=50, limit=d("194"))
    assert (desk.order(TP1).spec.qty, desk.order(TP1).spec.limit) == (70, d("195"))
    desk.do(i.ReplaceRequested, ref=TP1, qty=60)
    desk.report(TP1, OrderState.WORKING, filled=20, qty=60)
    assert desk.order(TP1).changing  # nor is it the answer to a change
    desk.report(TP1, OrderState.WORKING, filled=40, qty=60)
    assert not desk.order(TP1).changing


def test_a_target_that_ends_with_all_that_was_asked_for_is_filled_whatever_the_broker_calls_it() -> None:
    desk = armed()
    desk.do(i.ReplaceRequested, ref=TP1, qty=40)
    desk.execute(TP1, 40, "195", "e2.01")
    assert desk.order(TP1).state is OrderState.WORKING  # the broker may still work the larger total
    desk.report(TP1, OrderState.CANCELLED, filled=40, qty=40)
    assert desk.order(TP1).state is OrderState.FILLED


def test_a_refusal_may_mean_a_change_that_a_picture_has_settled_before() -> None:
    def covered(*, settled: bool) -> tuple[int, int]:
        desk = Desktop()
        desk.trigger(**LADDER)
        desk.report(ENTRY, OrderState.WORKING)
        desk.execute(ENTRY, 20, "190.15", "e1.01")
        desk.wait(0.5)
        fire(desk, "again:br-1:cover")
        desk.report(COVER, OrderState.HELD, qty=20)
        desk.execute(ENTRY, 20, "190.15", "e2.01")
        desk.wait(6)
        if settled:
            asked_at = desk.at
            desk.wait(0.1)
            orders = (seen(desk, ENTRY, OrderState.WORKING, 100, 40), seen(desk, COVER, OrderState.HELD, 20))
            picture(desk, *orders, asked_at=asked_at, held=40)
            assert totals(desk) == [(COVER, 40)]
        refuse(desk, COVER, i.RefusedWhat.CHANGE)
        asked = len(desk.sent(c.AskSnapshot))
        assert desk.order(COVER).spec.qty == 20
        bound = exposures(desk.desk.books["AAPL"].orders)[COVER]
        desk.wait(LONG.total_seconds())
        desk.report(COVER, OrderState.HELD, qty=20)
        assert desk.order(COVER).doubted == 0
        return bound, asked

    assert covered(settled=True) == (40, 1)
    assert covered(settled=False) == (20, 0)


def test_a_cancel_that_finds_no_order_settles_no_reduction_of_it() -> None:
    desk = armed()
    desk.do(i.ReplaceRequested, ref=SL2, qty=20)
    desk.do(i.CancelRequested, ref=SL2)
    refuse(desk, SL2, i.RefusedWhat.CANCEL, 10148, "state: Filled")
    assert (desk.order(SL2).remaining, could_sell(desk.order(SL2))) == (20, 30)
    desk.wait(LONG.total_seconds())
    desk.report(SL2, OrderState.HELD, qty=20)
    assert could_sell(desk.order(SL2)) == 20


def test_a_late_word_from_before_a_raise_does_not_answer_the_reduction_that_followed() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 10, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    desk.report(COVER, OrderState.HELD, qty=10)
    desk.execute(ENTRY, 30, "190.15", "e2.01")
    desk.report(COVER, OrderState.HELD, qty=40)
    desk.report(ENTRY, OrderState.CANCELLED, filled=40)
    hold(desk, 40)
    assert totals(desk) == [(COVER, 28)]
    desk.report(COVER, OrderState.HELD, qty=10)
    assert (desk.order(COVER).changing, could_sell(desk.order(COVER))) == (True, 40)
    assert desk.sent(c.PlaceOrder) == []
    desk.report(COVER, OrderState.HELD, qty=28)
    assert [order.order.qty for order in desk.sent(c.PlaceOrder)] == [12, 12]


def test_a_cover_that_is_shown_smaller_right_after_our_change_binds_what_we_asked_for() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 10, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    desk.report(COVER, OrderState.HELD, qty=10)
    desk.execute(ENTRY, 30, "190.15", "e2.01")
    desk.report(COVER, OrderState.HELD, qty=40)
    desk.report(ENTRY, OrderState.CANCELLED, filled=40)
    hold(desk, 40)
    desk.report(COVER, OrderState.HELD, qty=24)  # somebody has changed it, before ours or after it
    assert (desk.order(COVER).remaining, could_sell(desk.order(COVER))) == (24, 28)
    assert [order.order.qty for order in desk.sent(c.PlaceOrder)] == [12, 12]


def test_a_raise_that_pictures_do_not_show_stays_bound_as_long_as_it_may_be_on_its_way() -> None:
    def bound(*, shown: int) -> tuple[list[tuple[str, int]], int, bool]:
        desk = Desktop()
        desk.trigger(**LADDER)
        desk.report(ENTRY, OrderState.WORKING)
        desk.execute(ENTRY, 10, "190.15", "e1.01")
        desk.wait(0.5)
        fire(desk, "again:br-1:cover")
        desk.report(COVER, OrderState.HELD, qty=10)
        desk.execute(ENTRY, 30, "190.15", "e2.01")
        desk.report(ENTRY, OrderState.CANCELLED, filled=40)
        desk.wait(7)
        asked_at = desk.at
        desk.wait(0.1)
        picture(desk, seen(desk, COVER, OrderState.HELD, shown), asked_at=asked_at, held=40)
        return totals(desk), could_sell(desk.order(COVER)), "picture" in timers(desk)

    assert bound(shown=10) == ([(COVER, 40)], 40, True)  # it is asked for again, and binds nothing more
    assert bound(shown=40) == ([(COVER, 28)], 40, False)


# --- purchases that are taken back -------------------------------------------------------------------------------------


def test_a_purchase_that_is_taken_back_before_it_is_heard_of_leaves_its_children_nothing_to_sell() -> None:
    desk = Desktop()
    desk.trigger()
    for ref in desk.refs():
        desk.report(ref, OrderState.WORKING if ref == ENTRY else OrderState.HELD)
    desk.execute(ENTRY, 0, "190.15", "e1.02")  # the execution itself was lost
    assert cancelled(desk) == set()
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    assert cancelled(desk) == {TP1, SL1}
    desk.execute(ENTRY, 100, "190.15", "e1.01")
    assert desk.trade().protection == "FLAT"


def test_an_exit_that_sells_after_an_unheard_purchase_was_taken_back_is_an_oversale() -> None:
    desk = Desktop()
    desk.trigger()
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    for ref in desk.refs():
        desk.report(ref, OrderState.CANCELLED)
    desk.execute(SL1, 5, "187", "e2.01")
    assert desk.trade().protection == "OVERSOLD"


def test_what_else_a_purchase_bought_counts_though_a_part_was_taken_back_unheard() -> None:
    desk = Desktop()
    desk.trigger()
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    assert desk.order(ENTRY).state is OrderState.FILLED
    desk.execute(ENTRY, 60, "190.15", "e2.01")
    assert (desk.order(ENTRY).filled, desk.order(ENTRY).done) == (60, 100)


def test_a_sale_that_is_taken_back_before_it_is_heard_of_is_waited_for() -> None:
    desk = Desktop()
    desk.open_position()
    desk.execute(TP1, 0, "195", "e2.02")
    desk.report(TP1, OrderState.FILLED, filled=100)
    desk.report(SL1, OrderState.CANCELLED)
    desk.wait(1)
    fire(desk, "again:br-1:stop1")
    assert desk.sent(c.PlaceOrder) == []


def test_a_picture_with_children_and_without_their_entry_shows_that_it_is_over() -> None:
    def looked(*, with_children: bool) -> list[OrderMissing]:
        desk = Desktop()
        desk.trigger()
        asked = []
        for _ in range(2):
            desk.wait(1.1)
            asked.append(desk.at)
            children = (seen(desk, TP1, OrderState.WORKING), seen(desk, SL1, OrderState.HELD))
            desk.wait(0.1)
            picture(desk, *(children if with_children else ()), asked_at=asked[-1])
        return [event for event in desk.ever_told(OrderMissing) if event.order_ref == ENTRY]

    assert len(looked(with_children=True)) == 1
    assert looked(with_children=False) == []  # it may be older than the orders


def test_children_outlive_at_once_an_entry_whose_purchase_was_taken_back_unheard() -> None:
    desk = Desktop()
    desk.trigger()
    desk.execute(ENTRY, 0, "190.15", "e1.02")
    desk.wait(4)
    children = (seen(desk, TP1, OrderState.WORKING), seen(desk, SL1, OrderState.HELD))
    picture(desk, *children, asked_at=desk.at, held=0)
    assert cancelled(desk) == {TP1, SL1}


def test_exits_on_their_way_shrink_at_once_when_a_purchase_is_taken_back() -> None:
    desk = armed(answered=False)
    desk.execute(ENTRY, 80, "190.15", "e1.02")
    assert totals(desk) == [(SL2, 10), (TP2, 10)]
    desk.execute(ENTRY, 75, "190.15", "e1.03")  # one change at a time
    assert totals(desk) == []
    for ref in (SL2, TP2):
        desk.report(ref, OrderState.HELD, qty=30)  # the answer to what was sent first
        assert desk.order(ref).changing
        desk.report(ref, OrderState.HELD, qty=10)
    assert totals(desk) == [(TP2, 5)]


def test_after_a_trade_the_broker_is_asked_for_a_while_whether_something_came_late() -> None:
    desk = Desktop()
    desk.do(i.PolicySet, policy=Policy(look_every=60.0))
    desk.open_position()
    desk.execute(TP1, 100, "195", "e2.01")
    desk.report(SL1, OrderState.CANCELLED)
    asked = []
    for _ in range(16):
        desk.wait(60)
        fire(desk, "watch")
        asked.append(len(desk.sent(c.AskSnapshot)))
    assert asked == [1] * 15 + [0]


# --- a cover and legs --------------------------------------------------------------------------------------------------


def test_legs_over_shares_that_no_cover_covers_wait_for_nobody() -> None:
    desk = Desktop()
    desk.trigger(**LADDER | {"tps": (d("195"), d("198"), d("199")), "mode": ExitMode.DETACHED})
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 20, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    desk.report(COVER, OrderState.HELD)
    desk.execute(ENTRY, 80, "190.15", "e2.01")
    refuse(desk, COVER, i.RefusedWhat.CHANGE)
    hold(desk, 100)
    placed = [order.order.ref for order in desk.all if isinstance(order, c.PlaceOrder)]
    assert [ref for ref in placed if ":sl" in ref] == ["ts:br-1:sl3:1", SL2]
    assert placed[-1].startswith("ts:br-1:tp2")


def test_children_of_an_entry_that_was_cut_are_replaced_though_its_executions_came_first() -> None:
    def ended(state: OrderState) -> list[str]:
        desk = Desktop()
        desk.trigger()
        for ref in desk.refs():
            desk.report(ref, OrderState.WORKING if ref == ENTRY else OrderState.HELD)
        desk.execute(ENTRY, 100, "190.15", "e1.01")
        desk.report(ENTRY, state, filled=100)
        desk.wait(2)
        fire(desk, "again:br-1:orphans")
        return sorted(cancelled(desk))

    assert ended(OrderState.CANCELLED) == [SL1, TP1]
    assert ended(OrderState.FILLED) == []


def test_a_held_target_that_is_too_large_is_made_smaller_though_nothing_takes_its_place() -> None:
    desk = Desktop()
    desk.trigger()
    for ref in desk.refs():
        desk.report(ref, OrderState.WORKING if ref == ENTRY else OrderState.HELD)
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.CANCELLED, filled=40)
    refuse(desk, TP1, i.RefusedWhat.CHANGE)
    desk.do(i.CancelRequested, ref=SL1)
    desk.report(SL1, OrderState.CANCELLED)
    desk.wait(3)
    fire(desk, f"retry:{TP1}")
    assert totals(desk) == [(TP1, 40)]


def test_held_children_over_no_shares_are_cancelled_however_often_that_is_refused() -> None:
    desk = Desktop()
    desk.trigger()
    for ref in desk.refs():
        desk.report(ref, OrderState.WORKING if ref == ENTRY else OrderState.HELD)
    desk.execute(ENTRY, 40, "190.15", "e1.01")
    foreign(desk, Side.SELL, 40, "x1.01")
    desk.report(ENTRY, OrderState.CANCELLED, filled=40)
    for seconds in (1, 2, 4):
        assert cancelled(desk) == {TP1, SL1}
        for ref in (TP1, SL1):
            refuse(desk, ref, i.RefusedWhat.CANCEL)
        desk.wait(seconds)
        fire(desk, f"retry:{SL1}")


def test_a_leg_that_is_split_off_has_no_target_that_the_operator_has_cancelled() -> None:
    def split(*, by_operator: bool) -> list[str]:
        desk = armed()
        if by_operator:
            desk.do(i.CancelRequested, ref=TP2)
            desk.report(TP2, OrderState.CANCELLED)
        desk.wait(10)
        for ref in (SL2,) if by_operator else (SL2, TP2):
            desk.report(ref, OrderState.HELD, qty=20)  # somebody made it smaller
        hold(desk, 100)
        for _ in range(3):
            desk.wait(7)
            fire(desk, "again:br-1:split")
        return [
            each.order.ref for each in desk.all if isinstance(each, c.PlaceOrder) if "3:1" in each.order.ref
        ]

    assert split(by_operator=True) == ["ts:br-1:sl3:1"]
    assert split(by_operator=False) == ["ts:br-1:sl3:1", "ts:br-1:tp3:1"]


def test_shares_of_an_entry_that_came_back_belong_to_the_children_that_live() -> None:
    def bought(*, cancelling: bool) -> list[str]:
        desk = Desktop()
        desk.trigger()
        for ref in desk.refs():
            desk.report(ref, OrderState.WORKING if ref == ENTRY else OrderState.HELD)
        refuse(desk, ENTRY, i.RefusedWhat.ORDER)
        if cancelling:
            desk.wait(2)
            fire(desk, "again:br-1:drop")
        assert cancelled(desk) == ({TP1, SL1} if cancelling else set())
        desk.execute(ENTRY, 100, "190.15", "e1.01")
        assert cancelled(desk) == set()
        for ref in (TP1, SL1) if cancelling else ():
            desk.report(ref, OrderState.CANCELLED)
        return [leg_of(order.order.ref) for order in desk.sent(c.PlaceOrder)]

    assert bought(cancelling=False) == []
    assert bought(cancelling=True) == ["sl2", "tp2"]


def test_a_stop_that_went_along_with_a_target_of_ours_was_cancelled_by_nobody_else() -> None:
    def cut(*, by_us: bool) -> bool:
        desk = armed()
        members = []
        for generation in (1, 2):
            for leg in ("tp1", "sl1"):
                order = desk.order(SL1 if leg == "sl1" else TP1)
                spec = rebuilt(
                    order.spec, ref=f"ts:br-1:{leg}:{generation}", oca_group=f"ts:br-1:p1:{generation}"
                )
                reason = "ours" if by_us and leg == "tp1" and generation == 1 else ""
                members.append(
                    rebuilt(
                        order,
                        spec=spec,
                        state=OrderState.CANCELLED,
                        was_told=True,
                        cancel_reason=reason,
                        lost_at=desk.at,
                        touched_at=desk.at,
                    )
                )
        return is_cut([order for order in members if order.spec.type.is_stop], tuple(members))

    assert cut(by_us=False)
    assert not cut(by_us=True)


# --- exits that the broker does not let become smaller, or go -----------------------------------------------------------


def test_an_exit_whose_reduction_is_refused_again_and_again_makes_way_for_a_smaller_one() -> None:
    desk = armed()
    desk.execute(ENTRY, 80, "190.15", "e1.02")
    hold(desk, 80)
    for number in range(1, REDUCTIONS + 1):
        for ref in (SL2, TP2):
            assert desk.order(ref).changing
            refuse(desk, ref, i.RefusedWhat.CHANGE)
            assert cancelled(desk) == ({ref} if number == REDUCTIONS else set())
        desk.wait(5)
        for ref in (SL2, TP2):
            fire(desk, f"retry:{ref}")
    for ref in (SL2, TP2):
        desk.report(ref, OrderState.CANCELLED)
    desk.wait(0.5)
    fire(desk, "again:br-1:stop2")
    assert [(order.order.ref, order.order.qty) for order in desk.sent(c.PlaceOrder)] == [
        ("ts:br-1:sl2:2", 10),
        ("ts:br-1:tp2:2", 10),
    ]


def test_a_price_that_is_refused_again_and_again_costs_no_stop() -> None:
    desk = Desktop()
    desk.open_position()
    for _ in range(REDUCTIONS + 1):
        desk.do(i.ReplaceRequested, ref=SL1, stop=d("188"))
        refuse(desk, SL1, i.RefusedWhat.CHANGE)
        assert cancelled(desk) == set()
        desk.wait(10)


def test_an_execution_that_was_counted_before_the_refusal_wakes_no_order() -> None:
    def woken(*, counted: int) -> bool:
        desk = Desktop()
        desk.trigger()
        desk.report(ENTRY, OrderState.REFUSED, filled=counted)
        desk.execute(ENTRY, 3, "190.15", "e1.01")
        return desk.order(ENTRY).state.is_live

    assert not woken(counted=3)
    assert woken(counted=0)


def test_a_refused_order_that_cannot_be_cancelled_now_is_buried_later() -> None:
    desk = armed()
    refuse(desk, TP1, i.RefusedWhat.ORDER)
    assert cancelled(desk) == {TP1}
    asked = []
    for seconds in (1, 2, 4, 8, 16):
        refuse(desk, TP1, i.RefusedWhat.CANCEL, 161)
        asked.append(f"bury:{TP1}" in timers(desk))
        desk.wait(seconds)
        fire(desk, f"bury:{TP1}")
    assert asked == [True, True, True, True, False]
    desk.report(TP1, OrderState.WORKING)
    fire(desk, f"bury:{TP1}")  # it came back: now it is an order like others
    assert cancelled(desk) == set()


def test_an_order_that_cannot_be_cancelled_now_is_not_gone_because_old_pictures_lack_it() -> None:
    def ended(code: int) -> bool:
        desk = armed()
        desk.report(SL1, OrderState.CANCELLED)
        desk.wait(0.5)
        fire(desk, "again:br-1:stop1")
        assert cancelled(desk) == {TP1}
        refuse(desk, TP1, i.RefusedWhat.CANCEL, code, "not in a cancellable state")
        for _ in range(2):
            desk.wait(1.1)
            asked_at = desk.at
            desk.wait(0.1)
            others = (seen(desk, SL2, OrderState.HELD, 30), seen(desk, TP2, OrderState.WORKING, 30))
            picture(desk, *others, asked_at=asked_at)
        return not desk.order(TP1).state.is_live

    assert ended(10147)
    assert not ended(161)
