"""The checker's rules about shares: each passes what is right and finds what is wrong."""

from __future__ import annotations

import pytest
from tests.simulation.checker import RULES
from tests.simulation.checker.builder import BRACKET, PLAN, Story


def test_a_ladder_that_goes_well_breaks_no_rule_and_exercises_nearly_all() -> None:
    story = Story().arm().take(1, 60)
    story.change("ts:br-1:sl2:1", stp="190", lmt="190")
    story.change("ts:br-1:sl3:1", stp="190", lmt="190")
    story.wait(9).take(2, 30)
    story.change("ts:br-1:sl3:1", stp="195", lmt="195")
    story.wait(9).take(3, 10)
    begin = story.t
    story.wait(61)
    report = story.report(fault_free_from=begin, has_faults=False)
    assert report.violations == []
    idle = {rule for rule in RULES if not report.counters[rule]}
    assert idle == {"V16"}


# --- V01 --------------------------------------------------------------------------------------------------------------


def test_selling_more_than_was_bought_is_short() -> None:
    story = Story().hold(60)
    ref = story.place("tp1", 100, lmt="195", accepted=True)
    story.fill(ref, 100)
    assert "V01" in story.rules()


def test_selling_all_that_was_bought_is_not_short() -> None:
    assert Story().arm().take(1, 60).take(2, 30).take(3, 10).rules() == set()


def test_a_double_fill_by_the_venue_is_excused_when_it_may_happen_and_is_told() -> None:
    def both() -> Story:
        story = Story({**PLAN, "qty": 60})
        story.hold(60)
        story.pair(1, 60)
        story.fill("ts:br-1:tp1:1", 60)
        story.fill("ts:br-1:sl1:1", 60)
        story.say("LadderProtectionStateChanged", symbol="AAPL", state="OVERSOLD", held=-60, protected=0)
        return story

    report = both().report(oca_race=True)
    assert "V01" not in {violation.rule for violation in report.violations}
    assert report.counters["excused V01 oca_race"] == 1
    assert "V01" in both().rules(oca_race=False)
    untold = both()
    untold.audit.pop()
    assert "V01" in untold.rules(oca_race=True)


def test_an_execution_of_an_order_that_the_venue_had_cancelled_is_the_venues() -> None:
    story = Story({**PLAN, "qty": 60}).hold(60)
    story.pair(1, 60)
    story.take(1, 60)
    story.fill("ts:br-1:sl1:1", 60)
    assert "V01" in story.rules()  # and the operator was not told
    story.say("SymbolFrozen", symbol="AAPL", reason="60 shares more were sold than were bought")
    assert "V01" not in story.rules()


def test_shares_that_somebody_else_sold_a_moment_ago_are_no_short_of_ours() -> None:
    story = Story({**PLAN, "qty": 60}).hold(60)
    story.pair(1, 60)
    story.foreign("SELL", 60)
    story.fill("ts:br-1:tp1:1", 60)
    assert "V01" not in story.rules()


def test_shares_that_somebody_else_sold_long_ago_are() -> None:
    story = Story({**PLAN, "qty": 60}).hold(60)
    story.pair(1, 60)
    story.foreign("SELL", 60)
    story.put("to_host", kind="position", sym="AAPL", qty=0)
    story.wait(30).fill("ts:br-1:tp1:1", 60)
    assert {"V01", "V02"} <= story.rules()


def test_a_typed_sell_may_take_shares_that_are_not_ours() -> None:
    def sell(positions: dict[str, int]) -> set[str]:
        story = Story()
        story.fill(story.place("sell", 50, watch="m-1", lmt="189.99"), 50)
        return story.rules(positions=positions)

    assert sell({"AAPL": 50}) == set()
    assert {"V01", "V02"} <= sell({})


# --- V02 --------------------------------------------------------------------------------------------------------------


def test_an_exit_beyond_the_shares_held_is_an_oversell_at_once() -> None:
    story = Story().hold(60)
    story.place("sl1", 61, stp="187", lmt="187")
    assert "V02" in story.rules()


def test_two_orders_of_one_group_count_once_and_two_groups_twice() -> None:
    story = Story({**PLAN, "qty": 60}).hold(60)
    story.pair(1, 60)
    assert story.rules() == set()
    story.place("sl2", 1, stp="187", lmt="187")
    assert story.rules() == {"V02"}


def test_shares_whose_execution_was_not_delivered_cannot_be_sold_yet() -> None:
    story = Story()
    story.fill(story.entry(), 100, told=False)
    story.place("sl1", 100, stp="187", lmt="187")
    assert story.rules() == {"V02"}


def test_children_of_a_working_entry_wait_at_the_venue() -> None:
    story = Story(BRACKET)
    parent = story.entry()
    story.place("tp1", 100, lmt="195", parent=parent)
    story.place("sl1", 100, stp="187", lmt="187", parent=parent)
    story.fill(parent, 100)
    assert story.rules() == set()


def test_released_children_do_not_make_another_trades_exit_an_oversell() -> None:
    story = Story(BRACKET)
    story.plans["br-2"] = {**PLAN, "qty": 60}
    story.fill(story.entry(60, watch="br-2"), 60)
    parent = story.entry()
    story.place("sl1", 100, stp="187", lmt="187", parent=parent)
    story.fill(parent, 100, told=False)
    story.place("sl1", 60, watch="br-2", stp="187", lmt="187")
    assert story.rules() == set()


def test_a_change_that_crosses_a_fill_of_its_group_is_no_oversell_yet() -> None:
    def crossed(*, group: int) -> set[str]:
        story = Story().arm()
        story.fill("ts:br-1:tp1:1", 4, told=False)
        story.state("ts:br-1:sl1:1", "held", qty=56, left=56)
        ref = f"ts:br-1:sl{group}:1"
        story.change(ref, qty=story.orders[ref]["qty"] + 4)
        return story.rules()

    assert crossed(group=1) == set()
    assert crossed(group=2) == {"V02"}


def test_a_change_decided_before_a_fill_was_told_is_judged_by_what_was_known_then() -> None:
    def changed(pause: float) -> set[str]:
        story = Story().arm()
        story.fill("ts:br-1:tp1:1", 4)
        story.state("ts:br-1:sl1:1", "held", qty=56, left=56)
        story.wait(pause).change("ts:br-1:sl1:1", qty=60)
        return story.rules()

    assert changed(0.5) == set()
    assert changed(2) == {"V02"}


def test_a_reduction_that_does_not_follow_a_foreign_sell_is_an_oversell() -> None:
    def sold(seconds: float) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.place("sl1", 60, stp="187", lmt="187")
        story.foreign("SELL", 20, told=True)
        story.wait(seconds).change("ts:br-1:sl1:1", qty=40)
        return story.rules()

    assert sold(1.0) == set()
    assert sold(13.0) == {"V02"}


def test_a_quantity_that_grows_beyond_the_shares_is_an_oversell() -> None:
    story = Story({**PLAN, "qty": 60}).hold(60)
    story.place("sl1", 60, stp="187", lmt="187")
    story.change("ts:br-1:sl1:1", qty=70)
    assert story.rules() == {"V02"}


# --- V03 and V04 ------------------------------------------------------------------------------------------------------


def test_shares_without_a_stop_for_more_than_ten_seconds_are_uncovered() -> None:
    assert "V03" not in Story().hold().wait(9).rules()
    assert "V03" in Story().hold().wait(11).rules()


def test_a_stop_in_time_covers() -> None:
    story = Story().hold().wait(5)
    story.place("cover", 100, stp="187")
    assert story.wait(60).rules() == set()


def test_a_refused_stop_gives_twenty_seconds() -> None:
    def refused(seconds: float) -> set[str]:
        story = Story().hold().wait(1)
        ref = story.place("sl1", 100, stp="187", lmt="187")
        story.put(
            "refuse", id=story.orders[ref]["id"], client=0, ref=ref, action="place", code=201, text="no"
        )
        story.end(ref, "refused")
        return story.wait(seconds).rules()

    assert refused(15) == set()
    assert "V03" in refused(21)


def test_the_clock_rests_while_the_link_is_down_or_trading_is_halted() -> None:
    assert "V03" not in Story().hold().drop(60).rules()
    story = Story().hold()
    story.put("halt", sym="AAPL", on=True)
    assert "V03" not in story.wait(60).rules()


def test_a_child_that_stays_held_after_its_entry_covers_nothing() -> None:
    def cancelled(*, works: bool) -> set[str]:
        story = Story(BRACKET)
        parent = story.entry()
        child = story.place("sl1", 100, stp="187", lmt="187", parent=parent)
        story.fill(parent, 40)
        story.cancel(parent)
        story.change(child, qty=40)
        story.state(child, "held", works=works)
        return story.wait(30).rules()

    assert "V03" in cancelled(works=False)
    assert "V03" not in cancelled(works=True)


def test_with_no_cover_wanted_the_clock_begins_at_the_end_of_the_entry() -> None:
    story = Story({**PLAN, "cover": "none"})
    ref = story.entry()
    story.fill(ref, 40)
    assert story.wait(30).rules() == set()
    story.cancel(ref)
    assert "V03" in story.wait(12).rules()


def test_an_elected_stop_that_does_not_sell_covers_nothing() -> None:
    def elected(limit: str) -> set[str]:
        story = Story().hold()
        ref = story.place("sl1", 100, stp="187", lmt=limit)
        story.quote("186.50", "186.60")
        story.state(ref, "working", elected=True)
        story.wait(3).quote("186.50", "186.61")
        return story.wait(30).rules()

    assert elected("186.50") == set()
    assert "V03" in elected("187")


def test_a_stop_that_the_operator_cancelled_is_not_missed() -> None:
    def cancelled(*, by_operator: bool) -> set[str]:
        story = Story().hold()
        ref = story.place("sl1", 100, stp="187", lmt="187")
        if by_operator:
            story.put("op", what="cancel", ref=ref)
        story.cancel(ref)
        return story.wait(30).rules()

    assert cancelled(by_operator=True) == set()
    assert {"V03", "V16"} <= cancelled(by_operator=False)


def test_on_a_live_account_an_alarm_that_repeats_is_enough() -> None:
    def live(every: float, **facts: bool) -> set[str]:
        story = Story().hold()
        for _ in range(int(120 / every)):
            story.wait(every)
            story.say("ProtectionAlarm", symbol="AAPL", state="UNPROTECTED", held=100, protected=0)
        return story.rules(is_paper=False, **facts)

    assert live(15) == set()
    assert "V03" in live(40)
    assert "V03" in live(15, flatten_live=True)


def test_fault_free_a_stop_works_within_two_seconds() -> None:
    def covered(seconds: float) -> set[str]:
        story = Story().hold().wait(seconds)
        story.place("cover", 100, stp="187")
        return story.rules(has_faults=False)

    assert covered(1.5) == set()
    assert covered(2.5) == {"V04"}


def test_exposure_is_measured() -> None:
    story = Story().hold().wait(1.5)
    story.place("cover", 100, stp="187")
    exposures = story.report().exposures
    assert exposures["hundredths"]["faults · ladder, cover=own"] == {152: 1}
    assert exposures["share_seconds"] == pytest.approx(153, abs=2)
    assert exposures["peak"] == 100


def test_too_many_unprotected_share_seconds_are_found() -> None:
    story = Story()
    ref = story.entry(100)
    for _ in range(20):  # never ten seconds at once, and always again
        story.fill(ref, 5)
        story.wait(9)
        cover = story.place("cover", story.orders[ref]["filled"], stp="187", generation=1 + len(story.orders))
        story.put("op", what="flatten", sym="AAPL")
        story.cancel(cover)
    assert "V04" in story.rules()


# --- V16 --------------------------------------------------------------------------------------------------------------


def test_reducing_a_stop_below_the_shares_opens_a_gap() -> None:
    story = Story().hold()
    ref = story.place("sl1", 100, stp="187", lmt="187")
    story.change(ref, qty=40)
    assert story.rules() == {"V16"}


def test_a_cover_that_hands_over_and_a_stop_that_moves_open_none() -> None:
    story = Story().hold()
    cover = story.place("cover", 100, stp="187")
    story.change(cover, qty=40)
    story.pair(1, 60)
    story.change("ts:br-1:sl1:1", stp="188", lmt="188", says={})
    assert "V16" not in story.rules()


# --- V18 --------------------------------------------------------------------------------------------------------------


def test_an_exit_of_a_trade_that_holds_nothing_is_an_orphan() -> None:
    def sold(seconds: float) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.fill("ts:br-1:tp1:1", 60)
        story.wait(seconds).end("ts:br-1:sl1:1", "cancelled")
        return story.rules()

    assert sold(2) == set()
    assert "V18" in sold(11)


def test_of_one_instant_others_sold_what_the_newest_trade_bought_in_it() -> None:
    def sold(*, later: float, stop: int) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        story.plans["br-0"] = {**PLAN, "qty": 7, "sl": "", "tps": [], "mode": "none"}
        story.fill(story.entry(7, watch="br-0"), 7)
        ref = story.entry(60)
        story.foreign("SELL", 20)
        story.wait(later)
        story.fill(ref, 60)
        story.put("to_host", kind="position", sym="AAPL", qty=47)
        story.pair(1, stop)
        for _ in range(8):
            story.wait(3).quote("189.99", "190.01")
        return story.rules()

    assert sold(later=0.0, stop=40) == set()
    assert "V03" in sold(later=0.1, stop=40)
    assert sold(later=0.1, stop=47) == set()
