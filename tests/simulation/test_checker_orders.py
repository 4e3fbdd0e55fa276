"""The checker's rules about orders, stops and entries: each passes what is right and finds what is wrong."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.simulation.checker.builder import PLAN, Story

# --- V05 and V06 ------------------------------------------------------------------------------------------------------


def test_a_watcher_enters_once_over_all_lives() -> None:
    story = Story()
    story.end(story.entry(), "cancelled")
    assert story.rules() == set()
    story.kill()
    story.entry(generation=2)
    assert story.rules() == {"V05"}


def test_an_entry_larger_than_its_plan_and_a_second_confirmation_are_found() -> None:
    story = Story()
    story.entry(101)
    assert story.rules() == {"V05"}
    story = Story()
    story.say("BreakoutConfirmed", watch="br-1")
    assert story.rules() == set()
    story.say("BreakoutConfirmed", watch="br-1")
    assert story.rules() == {"V05"}


@pytest.mark.parametrize("qty, is_right", [(99, False), (100, True), (101, False)])
def test_shares_that_a_risk_does_not_allow_at_the_price_of_the_order_are_found(
    qty: int, is_right: bool
) -> None:
    story = Story(PLAN | {"risk_usd": "302", "qty": 66})  # a share loses 3.01 from 190.01 to 187
    story.entry(qty)
    assert story.rules() == (set() if is_right else {"V05"})


@pytest.mark.parametrize("flat_at, is_right", [(8.0, True), (3.0, False)])
def test_an_entry_behind_the_time_by_which_it_is_flat_is_found(flat_at: float, is_right: bool) -> None:
    story = Story(PLAN | {"flat_at": flat_at})
    story.wait(5)
    story.entry()
    assert story.rules() == (set() if is_right else {"V05"})


def test_one_intent_reaches_the_venue_once() -> None:
    story = Story().hold(60)
    story.end(story.place("sl1", 60, stp="187", lmt="187"), "cancelled")
    story.place("sl1", 60, stp="187", lmt="187", written=False)
    assert "V06" in story.rules()


def test_a_next_generation_needs_the_end_of_the_one_before() -> None:
    story = Story().hold(60)
    story.place("sl1", 30, stp="187", lmt="187")
    story.place("sl1", 30, stp="187", lmt="187", generation=2)
    assert story.rules() == {"V06"}


def test_a_next_generation_needs_that_the_end_was_told() -> None:
    def again(*, told: bool) -> set[str]:
        story = Story().hold(60)
        story.end(story.place("sl1", 60, stp="187", lmt="187"), "cancelled", told=told)
        story.place("sl1", 60, stp="187", lmt="187", generation=2)
        return story.rules()

    assert again(told=True) == set()
    assert again(told=False) == {"V06"}


def test_an_order_that_never_arrived_is_sent_again_after_two_pictures() -> None:
    def again(pictures: int) -> set[str]:
        story = Story().hold(60)
        story.place("sl1", 60, stp="187", lmt="187", accepted=False)
        for _ in range(pictures):
            story.wait(1.5).reconcile()
        story.place("sl1", 60, stp="187", lmt="187", generation=2)
        return story.rules()

    assert again(2) == set()
    assert again(1) == {"V06"}


# --- V07 and V08 ------------------------------------------------------------------------------------------------------


def test_an_order_without_an_intent_is_found() -> None:
    story = Story()
    story.entry(written=False)
    assert {"V07", "V08"} <= story.rules()


def test_an_order_that_is_not_in_the_journal_is_found() -> None:
    story = Story()
    story.entry(journaled=False)
    assert story.rules() == {"V07"}


@pytest.mark.parametrize(
    "wrong",
    [{"qty": 99}, {"lmt": "190.02"}, {"side": "SELL"}, {"type": "MKT"}, {"tif": "GTC"}, {"rth": True}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_order_that_is_not_as_written_is_found(wrong: dict[str, Any]) -> None:
    story = Story()
    story.entry(venue=wrong)
    assert "V07" in story.rules()


def test_an_intent_after_the_order_is_found() -> None:
    story = Story()
    story.entry()
    assert b"OrderIntent" in story.audit[-2]
    story.audit[-2] = re.sub(rb'"mono":[0-9.]+', b'"mono":1.5', story.audit[-2])
    assert story.rules() == {"V07"}


def test_equal_prices_may_be_written_differently() -> None:
    story = Story()
    story.entry(intent={"limit": "190.0100"})
    assert "V07" not in story.rules()


@pytest.mark.parametrize(
    "wrong", [{"written": False}, {"journaled": False}, {"says": {"qty": 99}}, {"says": {"stop": "186"}}]
)
def test_a_change_that_is_not_as_written_is_found(wrong: dict[str, Any]) -> None:
    story = Story().hold()
    ref = story.place("sl1", 100, stp="187", lmt="187")
    story.change(ref, lmt="186.90", **wrong)
    assert "V07" in story.rules()


def test_a_stop_that_is_missing_in_a_journal_with_a_gap_is_excused_and_an_entry_is_not() -> None:
    from tests.simulation.checker.builder import line

    story = Story()
    story.hold()
    story.journal.append(line(b'{"gap":1,"n":2,"why":"the disk is full"}'))
    story.place("sl1", 100, stp="187", lmt="187", journaled=False)
    assert story.rules() == set()
    story.entry(watch="br-2", journaled=False)
    assert "V07" in story.rules()


def test_every_intent_has_an_outcome_at_the_end() -> None:
    story = Story()
    story.end(story.entry(), "cancelled")
    assert story.settled() == set()
    story = Story()
    story.entry(accepted=False)
    assert story.settled() == {"V08"}


def test_an_order_whose_change_was_not_sent_has_not_ended_and_one_that_was_not_sent_has() -> None:
    def failed(action: str, *, certain: bool = True) -> set[str]:
        story = Story()
        story.arm()
        told = {"symbol": "AAPL", "watch": "br-1", "leg": "sl1", "order_ref": "ts:br-1:sl1:1"}
        story.say("OrderSendFailed", action=action, certain=certain, reason="no link", **told)
        return story.settled()

    assert failed("replace") == failed("cancel") == set()
    assert failed("place", certain=False) == set()
    assert failed("place") == {"V08"}


def test_an_outcome_on_disk_is_the_venues() -> None:
    story = Story()
    ref = story.entry()
    story.tell(ref, "cancelled")
    assert story.settled() == {"V08"}
    story = Story()
    story.end(story.entry(), "cancelled", told=False)
    assert story.settled() == {"V08"}


# --- V10, V14, V19 ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"account": "DU0000002"}, {"con_id": 0}, {"con_id": 7}])
def test_an_order_for_another_account_or_contract_is_found(wrong: dict[str, Any]) -> None:
    story = Story()
    story.entry(venue=wrong)
    assert story.rules() == {"V10"}


def test_a_contract_is_the_one_that_was_qualified() -> None:
    story = Story()
    story.entry()
    assert story.rules(contracts={"AAPL": 265598}) == set()
    assert story.rules(contracts={"AAPL": 1}) == {"V10"}


def test_no_entry_between_the_loss_of_the_link_and_the_reconciliation() -> None:
    story = Story().drop(2)
    story.entry()
    assert story.rules() == {"V14"}
    story = Story().drop(2).reconcile()
    story.entry()
    assert story.rules() == set()


def test_no_entry_before_the_first_reconciliation() -> None:
    story = Story(is_started=False)
    story.put("start")
    story.say("SessionStarted", version="x", broker="paper")
    story.entry()
    assert "V14" in story.rules()


def test_what_the_audit_says_of_the_link_is_not_believed_alone() -> None:
    story = Story()
    story.put("to_host", kind="link", up=False, why="lost")
    story.wait(5).entry()
    assert story.rules() == {"V14"}


def test_no_stop_is_changed_in_the_dark_but_an_elected_one_may_follow_the_touch() -> None:
    def changed(*, elected: bool) -> set[str]:
        story = Story().hold()
        ref = story.place("sl1", 100, stp="187", lmt="187")
        story.state(ref, "working", elected=elected)
        story.drop(1)
        story.change(ref, lmt="186.50")
        return story.rules()

    assert changed(elected=True) == set()
    assert changed(elected=False) == {"V14"}


def test_a_stop_that_is_cancelled_in_the_dark_is_found() -> None:
    story = Story().arm().drop(1)
    story.cancel("ts:br-1:sl1:1")
    assert "V14" in story.rules()


def test_orders_of_others_are_left_alone() -> None:
    story = Story().hold()
    ours = dict(story.orders["ts:br-1:entry:1"])
    hidden = ("state", "filled", "left", "elected", "works")
    foreign = {name: value for name, value in ours.items() if name not in hidden} | {
        "id": 7,
        "client": 99,
        "ref": "",
    }
    story.put("accept", **foreign)
    story.put("cancel_asked", id=7, client=99, ref="")
    assert "V19" not in story.rules()
    story.put("accept", **{**foreign, "client": 0, "id": -7})
    story.put("cancel_asked", id=-7, client=0, ref="")
    assert "V19" in story.rules()


def test_an_intent_to_touch_what_we_never_placed_is_found() -> None:
    story = Story()
    story.say(
        "OrderIntent",
        order_ref="ts:br-9:sl1:1",
        action="cancel",
        symbol="AAPL",
        leg="sl1",
        side="SELL",
        qty=1,
    )
    assert story.rules() == {"V19"}


# --- V15 and V17 ------------------------------------------------------------------------------------------------------


def test_a_stop_never_goes_down_unless_the_operator_says_so() -> None:
    def lowered(*, by_operator: bool) -> set[str]:
        story = Story().hold()
        ref = story.place("sl1", 100, stp="187", lmt="187")
        if by_operator:
            story.put("op", what="replace", ref=ref, stop="186")
        story.change(ref, stp="186", lmt="186")
        return story.rules()

    assert lowered(by_operator=True) == set()
    assert "V15" in lowered(by_operator=False)


def test_a_next_generation_of_a_stop_is_not_looser() -> None:
    story = Story().hold()
    story.end(story.place("sl1", 100, stp="187", lmt="187"), "cancelled")
    story.place("sl1", 100, stp="186", lmt="186", generation=2)
    assert "V15" in story.rules()


def test_a_next_generation_may_stand_where_the_operator_wanted_the_one_before() -> None:
    story = Story().hold()
    ref = story.place("sl1", 100, stp="187", lmt="187")
    story.put("op", what="replace", ref=ref, stop="186")
    story.end(ref, "cancelled")
    story.place("sl1", 100, stp="186", lmt="186", generation=2)
    assert "V15" not in story.rules()


def test_a_stop_moves_only_when_its_targets_are_fully_sold() -> None:
    def moved(sold: int, to: str) -> set[str]:
        story = Story().arm()
        story.fill("ts:br-1:tp1:1", sold, px="195")
        story.state("ts:br-1:sl1:1", "held" if sold < 60 else "cancelled", qty=60 - sold, left=60 - sold)
        for number in (2, 3):
            story.change(f"ts:br-1:sl{number}:1", stp=to, lmt=to)
        return story.rules()

    assert moved(60, "190") == set()
    assert moved(59, "190") == {"V17"}
    assert moved(60, "191") == {"V17"}  # no price of the plan
    assert moved(60, "195") == {"V17"}  # two targets too early


def test_a_milestone_outlives_the_correction_of_its_target() -> None:
    story = Story().arm().take(1, 60)
    story.put("corrected", exec_id="x.2.02", qty=20, px="195")
    for number in (2, 3):
        story.change(f"ts:br-1:sl{number}:1", stp="190", lmt="190")
    assert "V17" not in story.rules()


def test_a_milestone_is_reached_in_time() -> None:
    def after(seconds: float, **postponed: Any) -> set[str]:
        story = Story().arm().take(1, 60).wait(seconds)
        if postponed:
            story.say("StopUpdatePostponed", watch="br-1", symbol="AAPL", **postponed)
        return story.rules()

    assert after(5) == set()
    assert after(9) == {"V17"}
    assert after(9, stop="190", bid="189.99") == set()


def test_a_stop_at_the_milestone_satisfies_it() -> None:
    story = Story().arm().take(1, 60)
    for number in (2, 3):
        story.change(f"ts:br-1:sl{number}:1", stp="190", lmt="190")
    assert story.wait(30).rules() == set()


def test_the_same_milestone_is_not_sent_twice() -> None:
    story = Story().arm().take(1, 60)
    for number in (2, 3, 3):
        story.change(f"ts:br-1:sl{number}:1", stp="190", lmt="190")
    assert story.rules(has_faults=False) == {"V17"}


# --- V20 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"quote_age": 2.5},
        {"bid": "190.02"},
        {"ask": "NaN"},
        {"ask": "0"},
        {"ask": None},
        {"limit": "190.50", "ask": "190.01"},
        {"bar_close": "180.00"},
    ],
    ids=str,
)
def test_an_entry_on_a_bad_touch_is_found(wrong: dict[str, Any]) -> None:
    story = Story()
    bar = {"bar_start": "2025-07-08T13:59:00Z", "bar_close": "190.00"}
    story.entry(intent=bar)
    assert story.rules() == set()
    story = Story()
    story.entry(intent=bar | wrong)
    assert "V20" in story.rules()


def test_a_touch_that_was_never_shown_or_was_replaced_long_ago_is_found() -> None:
    story = Story()
    story.entry(intent={"bid": "189.98"})
    assert story.rules() == {"V20"}
    story = Story().quote("190.00", "190.02").wait(1)
    story.entry()
    assert story.rules() == set()
    story = Story().quote("190.00", "190.02").wait(3)
    story.entry()
    assert story.rules() == {"V20"}


@pytest.mark.parametrize("limit", ["190.01", "189.50"])
def test_an_entry_in_a_halt_is_found_also_one_with_a_limit_that_was_typed(limit: str) -> None:
    def entered(seconds: float) -> set[str]:
        story = Story()
        story.put("halt", sym="AAPL", on=True)
        story.wait(seconds).entry(intent={"limit": limit}, venue={"lmt": limit})
        return story.rules()

    assert entered(2) == {"V20"}
    assert entered(1) == set()  # it may not have been read yet


@pytest.mark.parametrize(
    "start, close, is_good",
    [
        ("2025-07-08T14:00:01Z", "190", True),
        ("2025-07-08T14:00:58Z", "190", False),  # not closed yet
        ("2025-07-08T13:59:00Z", "190", False),  # closed before the watcher was armed
        ("2025-07-08T14:00:01Z", "189.99", False),  # below the level
    ],
)
def test_the_bar_that_triggers_is_closed_new_and_high_enough(start: str, close: str, is_good: bool) -> None:
    story = Story()
    story.say("BreakoutStarted", symbol="AAPL", watch="br-1", level="190", qty=100, bar=5)
    story.wait(6)
    story.entry(intent={"bar_start": start, "bar_close": close})
    assert story.rules() == (set() if is_good else {"V20"})


@pytest.mark.parametrize(
    "start, close, is_good",
    [
        ("2025-07-08T14:00:04Z", "190.10", True),
        ("2025-07-08T14:00:04Z", "190.09", False),  # below level and buffer
        ("2025-07-08T14:00:08Z", "190.10", False),  # not closed yet
    ],
)
def test_a_fast_bar_that_triggers_is_one_of_its_own_length_at_level_and_buffer(
    start: str, close: str, is_good: bool
) -> None:
    story = Story()
    story.say("BreakoutStarted", symbol="AAPL", watch="br-1", level="190", qty=100, bar=60, fast_bar=1)
    story.wait(6)
    fast = {"fast_level": "190.10", "close": close, "bar": 1, "bar_start": start}
    story.say("BreakoutFastTriggered", symbol="AAPL", watch="br-1", level="190", **fast)
    story.entry(intent={"bar_start": start, "bar_close": close})
    assert story.rules() == (set() if is_good else {"V20"})


def test_an_old_bar_does_not_trigger() -> None:
    story = Story()
    story.say("BreakoutStarted", symbol="AAPL", watch="br-1", level="190", qty=100, bar=5)
    story.wait(60)
    story.entry(intent={"bar_start": "2025-07-08T14:00:01Z", "bar_close": "190"})
    assert story.rules() == {"V20"}


@pytest.mark.parametrize("resumes_after,is_good", [(None, False), (0.2, True), (3.0, False)])
def test_a_watcher_that_waits_to_be_resumed_enters_on_no_bar_before_that(
    resumes_after: float | None, is_good: bool
) -> None:
    story = Story()
    story.say("BreakoutStarted", symbol="AAPL", watch="br-1", level="190", qty=100, bar=1)
    story.say("WatchPaused", symbol="AAPL", watch="br-1", level="190")
    if resumes_after is not None:
        story.wait(resumes_after)
        story.say("WatchResumed", symbol="AAPL", watch="br-1", level="190", bars=0)
    story.wait(4 - (resumes_after or 0))
    story.entry(intent={"bar_start": "2025-07-08T14:00:02Z", "bar_close": "190"})
    assert story.rules() == (set() if is_good else {"V20"})


# --- V21 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits, is_good",
    [
        ({"max_qty": 100, "max_notional": "19001", "max_exposure": "20000"}, True),
        ({"max_qty": 99}, False),
        ({"max_notional": "19000"}, False),
        ({"max_exposure": "15000"}, False),
    ],
)
def test_an_entry_keeps_the_limits(limits: dict[str, Any], is_good: bool) -> None:
    story = Story()
    story.entry()
    assert story.rules(limits=limits) == (set() if is_good else {"V21"})


def test_orders_a_minute_are_counted() -> None:
    story = Story()
    for number in range(3):
        story.entry(watch=f"br-{number + 2}")
    assert story.rules(limits={"max_orders_per_minute": 3}) == set()
    assert story.rules(limits={"max_orders_per_minute": 2}) == {"V21"}


def test_the_same_typed_order_needs_the_word_again() -> None:
    def twice(*, again: bool, pause: float = 1.0) -> set[str]:
        story = Story()
        story.entry(watch="m-1")
        story.wait(pause)
        story.put("op", what="buy", sym="AAPL", again=again)
        story.entry(watch="m-2")
        return story.rules(limits={"duplicate_window": 5.0})

    assert twice(again=True) == set()
    assert twice(again=False, pause=6) == set()
    assert twice(again=False) == {"V21"}


# --- V28 --------------------------------------------------------------------------------------------------------------


def _stop(story: Story) -> None:
    story.put("op", what="stopentry", on=True)
    story.say("KillSwitchEngaged", reason="stopentry")


def test_no_entry_is_decided_after_the_switch_also_not_in_the_next_life() -> None:
    for restarts in (False, True):
        story = Story()
        _stop(story)
        if restarts:
            story.kill()
        story.wait(1).entry()
        assert "V28" in story.rules()


def test_entries_may_leave_again_when_the_switch_is_lifted() -> None:
    story = Story()
    _stop(story)
    story.put("op", what="stopentry", on=False)
    story.say("KillSwitchLifted", reason="")
    story.wait(1).entry()
    assert story.rules() == set()


def test_a_working_entry_is_cancelled_within_two_seconds_of_the_switch() -> None:
    def after(seconds: float) -> set[str]:
        story = Story()
        ref = story.entry()
        _stop(story)
        story.wait(seconds).cancel(ref)
        return story.rules()

    assert after(1) == set()
    assert after(3) == {"V28"}


def test_an_entry_waits_for_the_link_to_be_cancelled() -> None:
    story = Story()
    ref = story.entry()
    _stop(story)
    story.drop(30).reconcile()
    story.wait(1).cancel(ref)
    assert story.rules() == set()


def test_a_typed_stopentry_is_in_the_audit() -> None:
    story = Story()
    story.put("op", what="stopentry", on=True)
    assert story.wait(3).rules() == {"V28"}
    assert PLAN["qty"] == 100


def test_a_lost_order_may_be_sent_again_when_the_venue_says_that_it_has_none() -> None:
    def again(*, ref: str, code: int = 10147) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.place("sl1", 60, stp="187", lmt="187", accepted=False, answered=False)
        story.wait(6)
        story.put("to_host", kind="refusal", ref=ref, what="cancel", code=code, text="")
        story.pair(1, 60, generation=2)
        return story.rules()

    assert "V06" not in again(ref="ts:br-1:sl1:1")
    assert "V06" in again(ref="ts:br-1:sl1:1", code=161)
    assert "V06" in again(ref="ts:br-1:tp1:1")
