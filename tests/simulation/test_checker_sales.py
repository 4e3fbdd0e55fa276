"""What the checker excuses about sales: what nobody could know of losses and totals, and nothing beside it."""

from __future__ import annotations

from typing import Any

from tests.simulation.checker.builder import PLAN, Story


def bust(story: Story, exec_id: str, ref: str, *, told: bool) -> None:
    """Take an execution of 60 shares back."""
    corrected = exec_id.removesuffix(".01") + ".02"
    story.put("corrected", exec_id=corrected, qty=0, px="190.01")
    if told:
        tell(story, corrected, ref, qty=0)


def tell(story: Story, exec_id: str, ref: str, *, qty: int = 60) -> None:
    """Let the host hear of an execution."""
    order = story.orders[ref]
    named = {"id": order["id"], "ref": ref, "sym": "AAPL", "side": order["side"], "qty": qty, "px": "190.01"}
    story.put("to_host", kind="exec", exec_id=exec_id, **named)


def test_a_position_tells_no_loss_of_shares_whose_purchase_is_not_told() -> None:
    def armed(*, bought_first: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        ref = story.entry(60)
        exec_id = story.fill(ref, 60, told=False)
        if bought_first:
            tell(story, exec_id, ref)
        bust(story, exec_id, ref, told=False)
        story.put("to_host", kind="position", sym="AAPL", qty=0)
        story.wait(3)
        if not bought_first:
            tell(story, exec_id, ref)
        story.pair(1, 60)
        return story.rules()

    assert "V02" not in armed(bought_first=False)
    assert "V02" in armed(bought_first=True)


def test_a_position_from_before_a_loss_takes_back_what_another_has_told_of_it() -> None:
    def armed(*positions: int) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.foreign("SELL", 60)
        for qty in positions:
            story.wait(3).put("to_host", kind="position", sym="AAPL", qty=qty)
        story.wait(3).pair(1, 60)
        return story.rules()

    assert "V02" not in armed(0, 60)
    assert "V02" in armed(60, 0)
    assert "V02" in armed(0, 60, 0)


def test_exits_shrink_when_more_than_a_position_tells_of_a_loss_and_do_not_wait_for_ever() -> None:
    def stands(seconds: float, *, told: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.foreign("SELL", 20, told=told)
        story.put("to_host", kind="position", sym="AAPL", qty=40)
        for _ in range(int(seconds)):
            story.wait(1).quote("189.99", "190.01")
        return story.rules()

    assert "V02" not in stands(10, told=False)
    assert "V02" in stands(10, told=True)
    assert "V02" in stands(30, told=False)


def test_a_picture_tells_a_loss_of_which_a_position_has_told() -> None:
    def stands(*, pictured: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.foreign("SELL", 60)
        story.put("to_host", kind="position", sym="AAPL", qty=0)
        story.wait(1)
        if pictured:
            story.put("snapshot", orders_as_of=story.t, executions_as_of=story.t, positions_as_of=story.t)
        story.wait(8).fill("ts:br-1:tp1:1", 60)
        return story.rules()

    assert "V01" not in stands(pictured=False)
    assert "V01" in stands(pictured=True)


def test_what_waits_at_the_door_while_steps_stall_is_not_known_before_the_journal_shows_that_it_was_read() -> (
    None
):
    def placed(
        waits: float, *, read_before: bool = False, read_after: bool = True, sale: int = 20
    ) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.foreign("SELL", 20, told=True)
        told = {"execution": {"exec_id": story.b[-1]["exec_id"]}, "input": "ExecutionReported"}
        if read_before:
            story.decide(**told)
        story.wait(waits).place("cover", 40 + sale, stp="187")
        if read_after:
            story.wait(0.01).decide(**told)
        return story.rules()

    assert "V02" not in placed(1)
    assert "V02" not in placed(3)
    assert "V02" in placed(3, read_before=True)
    assert "V02" in placed(3, read_after=False)  # lost, not late
    assert "V02" in placed(3, sale=21)  # which nobody sold
    assert "V02" in placed(5)


def test_what_came_back_after_an_oversale_does_not_excuse_the_next_one() -> None:
    def sold(*, corrected: bool, fresh: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        exec_id = story.fill(story.entry(60), 60)
        cover = story.place("cover", 60, stp="187")
        story.pair(1, 60)
        story.fill("ts:br-1:tp1:1", 30, px="195")
        sale = f"x.{story._executions}"
        bust(story, exec_id, "ts:br-1:entry:1", told=True)
        story.say("LadderProtectionStateChanged", symbol="AAPL", state="OVERSOLD", held=-30, protected=0)
        if corrected:
            story.put("corrected", exec_id=f"{sale}.02", qty=10, px="195")
            tell(story, f"{sale}.02", "ts:br-1:tp1:1", qty=10)
        story.wait(1 if fresh else 30).fill(cover, 15, px="187")
        return story.rules()

    assert "V01" not in sold(corrected=False, fresh=True)
    assert "V01" not in sold(corrected=True, fresh=True)  # and no double fill that would have to be told
    assert "V01" in sold(corrected=True, fresh=False)


def test_an_order_is_not_accepted_over_shares_that_a_position_lacks() -> None:
    story = Story({**PLAN, "qty": 60}).hold(60)
    story.foreign("SELL", 60)
    story.put("to_host", kind="position", sym="AAPL", qty=0)
    story.wait(3).pair(1, 60)
    assert "V02" in story.rules()


def test_a_stop_may_be_taken_away_that_the_venue_does_not_let_become_smaller() -> None:
    def cancelled(*, refusals: int, sale: int) -> set[str]:
        story = Story({**PLAN, "qty": 90}).hold(90)
        story.pair(1, 60)
        story.pair(2, 30)
        if sale:
            story.foreign("SELL", sale, told=True)
        story.wait(6)
        ref = "ts:br-1:sl1:1"
        for _ in range(refusals):
            order = story.orders[ref]
            story.put("refuse", id=order["id"], client=0, ref=ref, action="modify", code=201, text="no")
        story.cancel(ref)
        story.end(ref, "cancelled")
        return story.rules()

    assert "V16" not in cancelled(refusals=3, sale=20)
    assert "V16" in cancelled(refusals=2, sale=20)
    assert "V16" in cancelled(refusals=3, sale=0)


def test_a_stop_gives_up_what_another_trade_of_ours_sold_beyond_its_own() -> None:
    def shrunk(*, oversold: int) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        story.plans["br-2"] = {**PLAN, "qty": 60}
        story.plans["br-3"] = {**PLAN, "qty": 60, "mode": "none", "sl": None, "tps": ()}
        for watch in ("br-1", "br-2", "br-3"):
            story.fill(story.entry(60, watch=watch), 60)
        story.place("sl1", 60, stp="187", lmt="187", watch="br-2")
        story.fill(story.place("sl1", 60, stp="187", lmt="187", watch="br-1"), 60, px="187")
        story.fill(story.place("flat1", oversold, watch="br-1"), oversold, px="187")
        story.wait(8)
        story.change("ts:br-2:sl1:1", qty=40)
        return story.rules()

    assert "V16" not in shrunk(oversold=20)
    assert "V16" in shrunk(oversold=10)


def test_what_was_sold_when_a_purchase_is_taken_back_is_no_oversale_and_what_is_sold_later_is() -> None:
    def sold(*, late: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        ref = story.entry(60)
        exec_id = story.fill(ref, 60)
        cover = story.place("cover", 60, stp="187")
        if late:
            story.cancel(cover)
            story.end(cover, "cancelled")
        story.pair(1, 60)
        story.take(1, 60)
        bust(story, exec_id, ref, told=True)
        story.say("LadderProtectionStateChanged", symbol="AAPL", state="OVERSOLD", held=-60, protected=0)
        story.wait(30).fill(cover, 40)
        story.say("LadderProtectionStateChanged", symbol="AAPL", state="OVERSOLD", held=-100, protected=0)
        return story.rules()

    assert "V01" not in sold(late=True)
    assert "V01" in sold(late=False)


def test_a_total_that_crossed_a_sale_is_taken_back_once_that_is_known() -> None:
    def sold(*, told: bool, acts: bool = False) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        exec_id = story.fill("ts:br-1:tp1:1", 20, told=False)
        story.state("ts:br-1:sl1:1", "held", qty=40, left=40)
        story.change("ts:br-1:sl1:1", qty=60, stp="188", lmt="188")
        if told:
            tell(story, exec_id, "ts:br-1:tp1:1", qty=20)
        story.wait(12)
        if acts:
            story.say(
                "OrderIntent", symbol="AAPL", leg="sl1", order_ref="ts:br-1:sl1:1", action="cancel", reason=""
            )
        story.wait(2).fill("ts:br-1:sl1:1", 60, told=False)
        return story.rules()

    assert "V01" not in sold(told=False)
    assert "V01" in sold(told=True)
    assert "V01" not in sold(told=True, acts=True)


def test_a_sale_that_executed_while_its_target_was_on_its_way_binds_no_other_exit() -> None:
    def placed(*, on_its_way: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        group: dict[str, Any] = {"oca": "p1", "oca_type": 2}
        target: dict[str, Any] = {**group, "lmt": "195"}
        story.place("sl1", 50, stp="187", **group)
        story.place("tp1", 50, accepted=False, **target)
        story.place("sl2", 10, accepted=False, stp="187")
        if not on_its_way:
            story.place("tp1", 50, written=False, journaled=False, **target)
        exec_id = story.wait(0.1).fill("ts:br-1:sl1:1", 1, told=False)
        if on_its_way:
            story.place("tp1", 50, written=False, journaled=False, **target)
        tell(story, exec_id, "ts:br-1:sl1:1", qty=1)
        story.wait(0.1)
        story.place("sl2", 10, written=False, journaled=False, stp="187")
        return {v.text for v in story.report().violations if "sl2:1" in v.text and v.rule == "V02"}

    assert placed(on_its_way=True) == set()
    assert placed(on_its_way=False) != set()


def test_a_typed_sale_may_count_on_shares_that_others_sell_just_then() -> None:
    def typed(seconds_before: float) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.wait(10).foreign("SELL", 20, told=True)
        story.wait(seconds_before)
        story.place("sell", 20, watch="m-1", lmt="189.99")
        story.end("ts:m-1:sell:1", "cancelled")
        return story.rules(positions={"AAPL": 20})

    assert typed(0.5) == set()
    assert "V02" in typed(5)
