"""Sequences that random schedules found, about entries that were refused and work again: each as short as it can be told."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace
from tests.core.support import ENTRY, SL1, Desktop
from tests.core.test_from_simulation import COVER, LADDER, cancelled, fire, foreign, hold

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.cap import exposures
from tradeshell.core.exit_events import CoverStopPlaced
from tradeshell.core.incidents import is_cut
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.trade import leg_shares

SL2, SL3, TP1, TP2 = (f"ts:br-1:{leg}:1" for leg in ("sl2", "sl3", "tp1", "tp2"))


def refuse(desk: Desktop) -> None:
    """Let the broker refuse the rest of the entry."""
    desk.do(i.OrderRefusedByBroker, ref=ENTRY, what=i.RefusedWhat.ORDER, code=201, text="margin")


def again(**more: Any) -> Desktop:
    """Return a desk whose ladder is armed for 50 shares, and whose refused entry works again."""
    desk = Desktop()
    desk.trigger(**LADDER, **more)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 50, "190.15", "e1.01")
    hold(desk, 50)
    refuse(desk)
    for ref in (SL1, TP1, SL2, TP2):
        desk.report(ref, OrderState.HELD)
    desk.wait(1)
    desk.report(ENTRY, OrderState.WORKING, filled=50)
    return desk


def exposed(desk: Desktop) -> int:
    """Return what our sells could take."""
    return sum(exposures(desk.desk.books["AAPL"].orders).values())


def placed(desk: Desktop) -> list[tuple[str, int]]:
    """Return the orders that the last input placed."""
    return [(command.order.ref, command.order.qty) for command in desk.sent(c.PlaceOrder)]


def changed(desk: Desktop) -> list[tuple[str, int]]:
    """Return the orders that the last input changed."""
    return [(command.order.ref, command.order.qty) for command in desk.sent(c.ModifyOrder)]


def test_what_an_entry_that_works_again_buys_is_covered_at_once_and_gets_its_leg_at_the_end() -> None:
    desk = again()
    desk.execute(ENTRY, 3, "190.15", "e2.01")
    assert placed(desk) == [(COVER, 3)]
    hold(desk, 53)
    assert (placed(desk), changed(desk)) == ([], [])
    desk.report(COVER, OrderState.HELD)
    assert desk.trade().protection == "PROTECTED"
    desk.execute(ENTRY, 4, "190.15", "e3.01")
    assert changed(desk) == [(COVER, 7)]
    desk.execute(ENTRY, 2, "190.15", "e4.01")
    hold(desk, 59)
    desk.report(COVER, OrderState.HELD, qty=7)
    assert changed(desk) == [(COVER, 9)]  # although the broker has confirmed them: they get no leg yet
    desk.report(COVER, OrderState.HELD, qty=9)
    assert exposed(desk) == 59
    desk.report(ENTRY, OrderState.CANCELLED, filled=59)
    assert cancelled(desk) == {COVER}
    desk.report(COVER, OrderState.CANCELLED)
    assert (SL3, 9) in placed(desk)
    assert exposed(desk) == 59


def test_such_a_cover_is_not_for_a_leg_that_the_operator_left_without_a_stop() -> None:
    desk = again()
    for ref in (SL1, TP1):
        desk.do(i.CancelRequested, ref=ref)
        desk.report(ref, OrderState.CANCELLED)
    desk.execute(ENTRY, 3, "190.15", "e2.01")
    hold(desk, 53)
    assert desk.order(COVER).spec.qty == 3


def test_without_a_cover_shares_of_an_entry_that_works_again_wait_for_its_end() -> None:
    desk = again(cover="none")
    desk.execute(ENTRY, 3, "190.15", "e2.01")
    hold(desk, 53)
    assert COVER not in desk.refs()
    desk.report(ENTRY, OrderState.CANCELLED, filled=53)
    assert (SL3, 3) in placed(desk)


def test_what_such_a_cover_has_sold_is_missing_from_no_leg() -> None:
    desk = again()
    desk.execute(ENTRY, 3, "190.15", "e2.01")
    desk.report(COVER, OrderState.HELD)
    hold(desk, 53)
    desk.execute(COVER, 3, "187", "e3.01")
    hold(desk, 50)
    assert (changed(desk), cancelled(desk)) == ([], set())
    orders = desk.desk.books["AAPL"].orders
    assert leg_shares(desk.trade(), orders) == {1: 35, 2: 15}
    desk.report(ENTRY, OrderState.CANCELLED, filled=53)
    assert leg_shares(desk.trade(), orders) == {1: 35, 2: 15, 3: 0}
    assert placed(desk) == []


def test_what_others_sold_makes_a_leg_smaller_and_what_the_entry_buys_is_covered_all_the_same() -> None:
    desk = again()
    foreign(desk, Side.SELL, 3, "x1.01")
    desk.execute(ENTRY, 3, "190.15", "e2.01")
    assert [qty for ref, qty in placed(desk) if ref == COVER] == []  # the larger total may still work
    for ref in (SL1, TP1):
        desk.report(ref, OrderState.HELD, qty=32)
    assert placed(desk) == [(COVER, 3)]


def test_an_entry_that_works_again_stops_a_handover_that_has_begun_until_it_is_over() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 50, "190.15", "e1.01")
    desk.wait(0.5)
    fire(desk, "again:br-1:cover")
    desk.report(COVER, OrderState.HELD)
    hold(desk, 50)
    refuse(desk)
    assert changed(desk) == [(COVER, 35)]
    desk.report(COVER, OrderState.HELD, qty=35)
    assert placed(desk)[0] == (SL2, 15)
    desk.report(ENTRY, OrderState.WORKING, filled=50)
    desk.report(SL2, OrderState.HELD)
    desk.report(TP2, OrderState.WORKING)
    assert (cancelled(desk), changed(desk)) == (set(), [])  # the rest of the cover stands
    desk.execute(ENTRY, 2, "190.15", "e2.01")
    assert changed(desk) == [(COVER, 37)]
    desk.report(COVER, OrderState.HELD, qty=37)
    hold(desk, 52)
    assert (cancelled(desk), changed(desk)) == (set(), [])
    desk.report(ENTRY, OrderState.CANCELLED, filled=52)
    assert changed(desk) == [(COVER, 35)]
    assert exposed(desk) == 52


def test_late_shares_that_are_not_confirmed_in_time_are_covered_as_far_as_the_position_has_them() -> None:
    desk = again()
    desk.report(ENTRY, OrderState.CANCELLED, filled=50)
    foreign(desk, Side.BUY, 5, "x1.01")
    desk.execute(ENTRY, 3, "190.15", "e2.01")
    hold(desk, 57)  # one more than anybody bought
    assert COVER not in desk.refs()
    desk.wait(5.1)
    fire(desk, "again:br-1:confirm")
    assert desk.trade().is_unconfirmed
    fire(desk, "again:br-1:cover")
    assert placed(desk) == [(COVER, 2)]
    assert exposed(desk) == 52


def test_a_bracket_whose_entry_is_partly_taken_back_buys_no_more_than_its_children_may_sell() -> None:
    desk = Desktop()
    desk.trigger()
    for ref, state in ((ENTRY, OrderState.WORKING), (TP1, OrderState.HELD), (SL1, OrderState.HELD)):
        desk.report(ref, state)
    desk.execute(ENTRY, 30, "190.15", "e1.01")
    assert not cancelled(desk)
    desk.execute(ENTRY, 0, "190.15", "e1.02")  # the broker would release children for all of it: 30 too many
    assert cancelled(desk) == {ENTRY}


def test_a_bracket_s_stop_that_ended_with_a_target_made_smaller_was_cut_by_nobody() -> None:
    desk = Desktop()
    desk.open_position()
    target = desk.order(TP1)
    target = replace(target, spec=replace(target.spec, qty=2))
    stop = replace(desk.order(SL1), state=OrderState.CANCELLED, was_told=True)
    assert is_cut([stop, stop], (target, stop))
    assert not is_cut([stop, stop], (replace(target, state=OrderState.FILLED), stop))


def test_a_cover_that_somebody_raised_is_followed_by_one_that_is_no_looser() -> None:
    desk = Desktop()
    desk.trigger(**LADDER)
    desk.report(ENTRY, OrderState.WORKING)
    desk.execute(ENTRY, 20, "190.15", "e1.01")
    desk.wait(1)
    fire(desk, "again:br-1:cover")
    desk.report(COVER, OrderState.HELD)
    raised = desk.order(COVER).spec.stop
    assert raised is not None
    desk.report(COVER, OrderState.HELD, stop=raised + 2)
    desk.execute(ENTRY, 5, "190.15", "e2.01")
    desk.report(COVER, OrderState.HELD, qty=25)
    assert desk.ever_told(CoverStopPlaced)[-1].stop == raised + 2
    desk.execute(COVER, 25, "188", "e3.01")
    desk.execute(ENTRY, 30, "190.15", "e4.01")
    desk.wait(2)
    fire(desk, "again:br-1:cover")
    (second,) = desk.sent(c.PlaceOrder)
    assert (second.order.qty, second.order.stop) == (30, raised + 2)


def test_a_correction_that_came_before_its_execution_takes_nothing_back_once_that_is_known() -> None:
    desk = Desktop()
    desk.trigger()
    for ref, state in ((ENTRY, OrderState.WORKING), (TP1, OrderState.HELD), (SL1, OrderState.HELD)):
        desk.report(ref, state)
    desk.execute(ENTRY, 60, "190.10", "e1.02")  # its price was corrected
    desk.execute(ENTRY, 60, "190.15", "e1.01")
    desk.report(ENTRY, OrderState.FILLED, filled=100)
    assert (cancelled(desk), changed(desk)) == (set(), [])  # the other 40 are on their way
    assert desk.order(ENTRY).undone == 0
