"""What the checker excuses about single orders, records and entries: each excuse, and the day beside it that has none."""

from __future__ import annotations

from typing import Any

from tests.simulation.checker.builder import PLAN, Story

ONE = {**PLAN, "qty": 60}
STOP: dict[str, Any] = {"stp": "187", "lmt": "187"}
SL1 = "ts:br-1:sl1:1"


def refusal(story: Story, ref: str, action: str, text: str = "no") -> None:
    """Let the venue refuse something."""
    story.put("refuse", id=story.orders[ref]["id"], client=0, ref=ref, action=action, code=201, text=text)


# --- V06: a generation after another ----------------------------------------------------------------------------------


def test_a_stop_that_two_pictures_lacked_may_have_a_successor_although_it_comes_late() -> None:
    def late(*, pictures: int) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, accepted=False, **STOP)
        for _ in range(pictures):
            story.wait(1).reconcile()
        story.wait(0.1)
        story.place("sl1", 60, written=False, journaled=False, **STOP)
        story.place("sl1", 60, generation=2, **STOP)
        return story.rules()

    assert "V06" not in late(pictures=2)
    assert "V06" in late(pictures=1)


def test_a_group_that_the_venue_does_not_revise_gets_a_new_pair_while_the_old_one_ends() -> None:
    def replaced(text: str) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, **STOP)
        refusal(story, SL1, "modify", text)
        story.place("sl1", 60, generation=2, **STOP)
        return story.rules()

    assert "V06" not in replaced("OCA group revision is not allowed")
    assert "V06" in replaced("Cannot change the order at this time")


def test_what_never_left_needs_no_picture() -> None:
    def again(*, event: str, ref: str = SL1, certain: bool = True, action: str = "place") -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, accepted=False, **STOP)
        told = {"symbol": "AAPL", "watch": "br-1", "leg": "sl1", "order_ref": ref}
        if event == "OrderSendFailed":
            story.say(event, certain=certain, action=action, reason="no link", **told)
        elif event:
            story.say(event, what="order", code=201, text="no", **told)
        story.place("sl1", 60, generation=2, **STOP)
        return story.rules()

    assert "V06" not in again(event="OrderSendFailed")
    assert "V06" in again(event="OrderSendFailed", certain=False)
    assert "V06" in again(event="OrderSendFailed", action="replace")
    assert "V06" not in again(event="OrderRefused")
    assert "V06" in again(event="OrderRefused", ref="ts:br-1:tp1:1")
    assert "V06" in again(event="")


# --- V14, V15, V19 ----------------------------------------------------------------------------------------------------


def test_in_the_dark_the_operator_may_give_up_a_stop_and_nobody_else() -> None:
    def cancelled(*, by_operator: bool) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, **STOP)
        story.drop(3)
        story.wait(2)
        if by_operator:
            story.put("op", what="cancel", ref=SL1)
        story.cancel(SL1)
        story.reconcile()
        return story.rules()

    assert "V14" not in cancelled(by_operator=True)
    assert "V14" in cancelled(by_operator=False)


def test_an_elected_stop_may_follow_the_touch_in_the_dark_and_its_stop_price_may_not_move() -> None:
    def changed(**new: Any) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, **STOP)
        story.state(SL1, "working", elected=True, left=60)
        story.drop(3)
        story.wait(2)
        story.change(SL1, **new)
        story.reconcile()
        return story.rules()

    assert "V14" not in changed(lmt="186.5")
    assert "V14" in changed(stp="187.5", lmt="187.5")


def test_the_next_generation_stands_where_somebody_put_the_one_before_and_no_lower() -> None:
    def placed(stp: str) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, **STOP)
        story.state(SL1, "held", stp="186", lmt="186", left=60)
        story.wait(40).end(SL1, "cancelled")
        story.place("sl1", 60, generation=2, stp=stp, lmt=stp)
        return story.rules()

    assert "V15" not in placed("186")
    assert "V15" in placed("185.5")


def test_an_order_that_only_the_journal_of_a_killed_program_holds_was_decided() -> None:
    def touched(*, killed: bool) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, written=False, accepted=False, **STOP)
        if killed:
            story.kill()
        named = {"symbol": "AAPL", "leg": "sl1", "order_ref": SL1, "action": "cancel", "reason": ""}
        story.say("OrderIntent", **named, side="SELL", qty=60, type="STP LMT")
        return story.rules()

    assert "V19" not in touched(killed=True)
    assert "V19" in touched(killed=False)


# --- V17: milestones --------------------------------------------------------------------------------------------------


def milestone(**words: Any) -> set[str]:
    """Reach the first milestone, let something happen about the stops, and wait."""
    story = Story().arm()
    if words.get("moved"):
        for number in (2, 3):
            story.state(f"ts:br-1:sl{number}:1", "held", stp="186.9", lmt="186.9", left=40 - 10 * number + 10)
    story.take(1, 60)
    for number in (2, 3):
        ref = f"ts:br-1:sl{number}:1"
        if words.get("refused"):
            refusal(story, ref, "modify")
        if words.get("given_up"):
            told = {"symbol": "AAPL", "watch": "br-1", "leg": f"sl{number}", "order_ref": ref}
            story.say("OrderChangeGivenUp", **told)
    if watch := words.get("postponed"):
        story.say("StopUpdatePostponed", symbol="AAPL", watch=watch, leg="sl2", stop="190", bid="189")
    if words.get("sold_by_stop"):
        story.fill("ts:br-1:sl2:1", 5, px="187")
    for _ in range(8):
        story.wait(2).quote("189.99", "190.01")
    return story.rules()


def test_a_stop_may_follow_its_milestone_later_when_the_program_died_twice() -> None:
    def moved(deaths: int, *, wait: float) -> set[str]:
        story = Story().arm().take(1, 60)
        for _ in range(deaths):
            story.wait(0.5).kill(0.5)
        for _ in range(int(wait)):
            story.wait(1).quote("189.99", "190.01")
        return story.rules()

    assert "V17" not in moved(2, wait=8)
    assert "V17" in moved(2, wait=9)
    assert "V17" in moved(1, wait=8)


def test_a_stop_stays_behind_its_milestone_for_a_reason_only() -> None:
    assert "V17" in milestone()
    assert "V17" not in milestone(moved=True)
    assert "V17" not in milestone(refused=True)
    assert "V17" not in milestone(given_up=True)
    assert "V17" not in milestone(postponed="br-1")
    assert "V17" in milestone(postponed="br-2")


def test_a_change_that_was_sent_in_time_may_be_under_way() -> None:
    def changed(after: float, *, wait: float) -> set[str]:
        story = Story().arm().take(1, 60)
        story.wait(after)
        for number in (2, 3):
            ref = f"ts:br-1:sl{number}:1"
            told = {
                "symbol": "AAPL",
                "leg": f"sl{number}",
                "order_ref": ref,
                "side": "SELL",
                "type": "STP LMT",
            }
            qty = story.orders[ref]["qty"]
            story.say("OrderIntent", action="replace", qty=qty, limit="190", stop="190", reason="", **told)
        for _ in range(int(wait)):
            story.wait(1).quote("189.99", "190.01")
        return story.rules()

    assert "V17" not in changed(1, wait=15)
    assert "V17" in changed(1, wait=25)
    assert "V17" in changed(10, wait=5)


def test_a_milestone_waits_for_what_is_not_told_and_for_a_halt() -> None:
    def waits(*, halted: bool = False, told: bool = True) -> set[str]:
        story = Story().arm()
        story.fill("ts:br-1:tp1:1", 60, told=told, px="195")
        story.state("ts:br-1:sl1:1", "cancelled")
        if halted:
            story.put("halt", sym="AAPL", on=True)
        for _ in range(8):
            story.wait(2)
            story.put("quote", sym="AAPL", bid="189.99", ask="190.01", halted=halted)
        return story.rules()

    assert "V17" not in waits(halted=True)
    assert "V17" not in waits(told=False)
    assert "V17" in waits()


# --- V18: orphans -----------------------------------------------------------------------------------------------------


def test_an_exit_of_nothing_is_cancelled_in_ten_seconds_or_at_least_asked_for() -> None:
    def sold(seconds: float, *, asked: bool = False, refused: int = 0) -> set[str]:
        story = Story(ONE).hold(60)
        story.pair(1, 60)
        story.fill("ts:br-1:tp1:1", 60)
        story.wait(1)
        if asked:
            named = {"symbol": "AAPL", "leg": "sl1", "order_ref": SL1, "action": "cancel", "reason": ""}
            story.say("OrderIntent", **named, side="SELL", qty=60, type="STP LMT")
        for _ in range(refused):
            refusal(story, SL1, "cancel")
        for _ in range(int(seconds / 2)):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V18" in sold(14)
    assert "V18" not in sold(14, asked=True)
    assert "V18" in sold(24, asked=True)
    assert "V18" in sold(24, refused=2)
    assert "V18" not in sold(24, refused=3)


# --- V20, V28 ---------------------------------------------------------------------------------------------------------


def test_entries_whose_cancel_was_sent_in_time_may_live_a_little() -> None:
    def stopped(*, asked: float) -> set[str]:
        story = Story()
        ref = story.entry(100)
        story.put("op", what="stopentry", on=True)
        story.say("KillSwitchEngaged", reason="stopentry")
        story.wait(asked)
        named = {"symbol": "AAPL", "leg": "entry", "order_ref": ref, "action": "cancel", "reason": ""}
        story.say("OrderIntent", **named, side="BUY", qty=100, type="LMT")
        for _ in range(5):
            story.wait(1).quote("189.99", "190.01")
        return story.rules()

    assert "V28" not in stopped(asked=1)
    assert "V28" in stopped(asked=3)


def test_a_stopentry_that_nobody_could_hear_is_not_in_the_audit() -> None:
    def typed(*, alive: bool, on: bool = False) -> set[str]:
        story = Story()
        if on:
            story.say("KillSwitchEngaged", reason="storm")
            story.wait(1)
        if not alive:
            story.put("kill")
        story.put("op", what="stopentry", on=True)
        return story.wait(5).rules()

    assert "V28" in typed(alive=True)
    assert "V28" not in typed(alive=False)
    assert "V28" not in typed(alive=True, on=True)


# --- V08, V11, V13, V25 -----------------------------------------------------------------------------------------------


def test_an_outcome_may_be_in_the_journal_of_a_killed_program_only() -> None:
    def ended(*, killed: bool, heard: bool) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, **STOP)
        story.place("tp1", 60, lmt="195", accepted=False)
        if heard:
            report = {"ref": "ts:br-1:tp1:1", "state": "refused"}
            story.decide(input="OrderReported", report=report)
        if killed:
            story.kill()
        return story.settled()

    assert "V08" not in ended(killed=True, heard=True)
    assert "V08" in ended(killed=True, heard=False)
    assert "V08" in ended(killed=False, heard=True)


def test_an_end_may_be_in_the_journal_of_a_killed_program_only() -> None:
    def ended(*, killed: bool, state: str) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, **STOP)
        ref = story.place("tp1", 60, lmt="195")
        story.state(ref, "cancelled")
        story.decide(input="OrderReported", report={"ref": ref, "state": state})
        if killed:
            story.kill()
        return story.settled()

    assert "V08" not in ended(killed=True, state="cancelled")
    assert "V08" in ended(killed=True, state="working")
    assert "V08" in ended(killed=False, state="cancelled")


def test_at_the_end_a_halt_excuses_a_share_without_a_stop() -> None:
    def ends(*, halted: bool) -> set[str]:
        story = Story(ONE).hold(60)
        story.put("halt", sym="AAPL", on=halted)
        return story.settled()

    assert "V25" not in ends(halted=True)
    assert "V25" in ends(halted=False)


def test_a_stop_ends_at_a_price_of_its_plan_or_where_somebody_put_it() -> None:
    def ends(*, by: str) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, stp="188.2" if by == "us" else "187", lmt="187")
        if by == "outside":
            story.state(SL1, "held", stp="188.2", lmt="187", left=60)
        return story.settled()

    assert "V13" not in ends(by="outside")
    assert "V13" in ends(by="us")


# --- V01, V02 ---------------------------------------------------------------------------------------------------------


def test_a_double_fill_is_the_venues_as_far_as_one_group_goes() -> None:
    def sold(extra: int) -> set[str]:
        story = Story(ONE).hold(60)
        story.pair(1, 60)
        story.fill("ts:br-1:tp1:1", 60)
        story.fill(SL1, 60)
        story.say("LadderProtectionStateChanged", symbol="AAPL", state="OVERSOLD", held=-60, protected=0)
        if extra:
            story.fill(story.place("tp2", extra, lmt="198"), extra)
        return story.rules(oca_race=True)

    assert "V01" not in sold(0)
    assert "V01" in sold(5)


def test_exits_that_are_too_large_are_changed_in_time_or_that_was_asked_for() -> None:
    def large(seconds: float, *, asked: bool = False, refused: int = 0) -> set[str]:
        story = Story(ONE).hold(60)
        story.place("sl1", 60, **STOP)
        story.foreign("SELL", 20)
        story.put("to_host", kind="position", sym="AAPL", qty=40)
        story.reconcile()
        if asked:
            told = {"symbol": "AAPL", "leg": "sl1", "order_ref": SL1, "side": "SELL", "type": "STP LMT"}
            story.say("OrderIntent", action="replace", qty=40, limit="187", stop="187", reason="", **told)
        for _ in range(refused):
            refusal(story, SL1, "modify")
        for _ in range(int(seconds)):
            story.wait(1).quote("189.99", "190.01")
        return story.rules()

    assert "V02" in large(5)
    assert "V02" not in large(15, asked=True)
    assert "V02" in large(25, asked=True)
    assert "V02" not in large(25, refused=3)
    assert "V02" in large(25, refused=2)


def test_shares_that_came_and_are_not_told_cannot_be_sold_yet() -> None:
    def placed(*, told: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        exec_id = story.fill("ts:br-1:tp1:1", 60, px="195").removesuffix(".01") + ".02"
        story.end(SL1, "cancelled")
        story.wait(5)
        back = {"id": 3, "ref": "ts:br-1:tp1:1", "exec_id": exec_id, "sym": "AAPL", "side": "SELL", "qty": 0}
        story.put("corrected", exec_id=exec_id, qty=0, px="195")
        if told:
            story.put("to_host", kind="exec", px="195", **back)
        story.place("sl1", 60, generation=2, **STOP)
        return story.rules()

    assert "V02" not in placed(told=True)
    assert "V02" in placed(told=False)


def test_what_is_decided_before_the_loss_of_a_link_was_read_is_not_decided_in_the_dark() -> None:
    def changed(*, read_first: bool) -> set[str]:
        story = Story(ONE).hold(60)
        stop = story.place("sl1", 60, stp="187", lmt="187")
        story.wait(1)
        story.put("link", up=False, why="lost")
        story.put("to_host", kind="link", up=False, why="lost")
        if read_first:
            story.say("ConnectionChanged", link="lost", epoch=1, why="lost")
        story.wait(5).change(stop, qty=40)
        if not read_first:
            story.say("ConnectionChanged", link="lost", epoch=1, why="lost")
        story.put("link", up=True, why="")
        story.put("to_host", kind="link", up=True, why="")
        story.say("ConnectionChanged", link="up", epoch=2, why="")
        return {rule for rule in story.reconcile().rules() if rule == "V14"}

    assert changed(read_first=True) == {"V14"}
    assert changed(read_first=False) == set()
