"""What the checker excuses: each excuse holds for what the program could not know or did not do, and for nothing beside it."""

from __future__ import annotations

from tests.simulation.checker.builder import BRACKET, PLAN, Story
from tests.simulation.checker.report import Report


def test_a_correction_tells_the_execution_that_it_corrects() -> None:
    def bought(*, told: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        ref = story.entry(60)
        story.fill(ref, 60, told=False)
        if told:
            exec_id = next(r["exec_id"] for r in story.b if r["event"] == "exec").removesuffix(".01") + ".02"
            story.put(
                "to_host",
                kind="exec",
                id=1,
                ref=ref,
                exec_id=exec_id,
                sym="AAPL",
                side="BUY",
                qty=60,
                px="190",
            )
        story.pair(1, 60)
        return story.rules()

    assert "V02" not in bought(told=True)
    assert "V02" in bought(told=False)


def test_a_process_that_dies_on_hearing_of_a_loss_is_not_short_by_its_own_doing() -> None:
    def sold(*, dies: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.foreign("SELL", 60, told=True)
        if dies:
            story.put("kill")
        story.wait(8)
        story.fill("ts:br-1:tp1:1", 60, told=not dies)
        return story.rules()

    assert "V01" not in sold(dies=True)
    assert "V01" in sold(dies=False)


def test_a_short_position_of_others_is_none_of_ours() -> None:
    story = Story({**PLAN, "qty": 60})
    story.foreign("SELL", 23)
    story.put("to_host", kind="position", sym="AAPL", qty=-23)
    story.hold(60)
    story.pair(1, 60)
    story.take(1, 60)
    assert "V01" not in story.rules()


def test_after_the_close_a_share_without_a_stop_needs_an_alarm_and_no_stop() -> None:
    def closed(*, alarms: bool) -> Report:
        story = Story(is_started=False)
        story.wait(6 * 3600 - 20).start()
        story.hold(60)
        story.pair(1, 60)
        story.wait(25)
        for ref in ("ts:br-1:sl1:1", "ts:br-1:tp1:1"):
            story.state(ref, "cancelled", left=0)
        for _ in range(8):
            story.wait(15)
            if alarms:
                story.say(
                    "ProtectionAlarm", symbol="AAPL", watch="br-1", state="UNPROTECTED", held=60, protected=0
                )
            story.quote("189.99", "190.01")
        return story.report()

    told = closed(alarms=True)
    assert {violation.rule for violation in told.violations} == set()
    assert told.counters["excused V03 closed"] == 1
    assert "V03" in {violation.rule for violation in closed(alarms=False).violations}


def test_after_the_close_the_orders_of_another_trade_that_work_on_protect_nothing_else() -> None:
    def closed(*, covered: bool) -> set[str]:
        story = Story(is_started=False)
        story.plans["br-2"] = {**PLAN, "qty": 60, "outside_rth": True}
        story.wait(6 * 3600 - 20).start()
        for watch in ("br-1", "br-2"):
            story.fill(story.entry(60, watch=watch), 60)
            story.place("sl1", 60, stp="187", lmt="187", watch=watch)
        story.wait(25)
        for watch in ("br-1",) if covered else ("br-1", "br-2"):
            story.state(f"ts:{watch}:sl1:1", "cancelled", left=0)
        story.say("ProtectionAlarm", symbol="AAPL", watch="br-1", state="UNPROTECTED", held=60, protected=0)
        for _ in range(8):
            story.wait(15).quote("189.99", "190.01")
        return story.rules()

    assert "V03" not in closed(covered=True)
    assert "V03" in closed(covered=False)


def test_a_stop_that_somebody_else_made_smaller_covers_what_he_left() -> None:
    def shrunk(*, sold: int) -> Report:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        if sold:
            story.fill("ts:br-1:tp1:1", sold)
        story.state("ts:br-1:sl1:1", "held", qty=40, left=40)
        for _ in range(8):
            story.wait(4).quote("189.99", "190.01")
        return story.report()

    assert {violation.rule for violation in shrunk(sold=0).violations} == set()
    assert shrunk(sold=0).counters["excused V03 shrunk outside"] == 1
    assert "excused V03 shrunk outside" not in shrunk(sold=20).counters


def test_a_stop_that_ended_without_a_word_may_take_as_long_as_pictures_take() -> None:
    def lost(*, told: bool, wait: int) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.state("ts:br-1:sl1:1", "cancelled")
        if told:
            story.tell("ts:br-1:sl1:1", "cancelled")
        for _ in range(wait // 2):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V03" not in lost(told=False, wait=18)
    assert "V03" in lost(told=False, wait=24)
    assert "V03" in lost(told=True, wait=18)


def test_a_target_that_ended_without_a_word_with_its_stop_takes_as_long_as_pictures_take() -> None:
    def lost(*, leg: int, told: bool, wait: int) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 30)
        story.pair(2, 30)
        story.state("ts:br-1:sl1:1", "cancelled")
        story.tell("ts:br-1:sl1:1", "cancelled")
        story.state(f"ts:br-1:tp{leg}:1", "cancelled")
        if told:
            story.tell(f"ts:br-1:tp{leg}:1", "cancelled")
        for _ in range(wait // 2):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V03" not in lost(leg=1, told=False, wait=18)
    assert "V03" in lost(leg=1, told=False, wait=24)
    assert "V03" in lost(leg=1, told=True, wait=18)
    assert "V03" in lost(leg=2, told=False, wait=18)  # the other stop lives, nothing waits for its target


def test_an_entry_that_ended_without_a_word_takes_as_long_as_pictures_take() -> None:
    def cut(*, told: bool, wait: int) -> set[str]:
        story = Story({**PLAN, "cover": "none"})
        ref = story.entry(100)
        story.fill(ref, 60)
        story.state(ref, "cancelled")
        if told:
            story.tell(ref, "cancelled")
        story.reconcile()
        for _ in range(wait // 2):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V03" not in cut(told=False, wait=18)
    assert "V03" in cut(told=False, wait=24)
    assert "V03" in cut(told=True, wait=18)


def test_a_venue_that_answers_no_picture_leaves_an_alarm_as_the_only_answer() -> None:
    def silent(*, alarms: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.state("ts:br-1:sl1:1", "cancelled")
        story.tell("ts:br-1:sl1:1", "cancelled")
        for _ in range(20):
            story.put("snapshot", orders_as_of=None, executions_as_of=None, positions_as_of=None)
            story.wait(5).quote("189.99", "190.01")
            if alarms:
                story.say(
                    "ProtectionAlarm", symbol="AAPL", watch="br-1", state="UNPROTECTED", held=60, protected=0
                )
        return story.rules()

    assert "V03" not in silent(alarms=True)
    assert "V03" in silent(alarms=False)


def test_exits_may_shrink_at_once_when_somebody_else_has_sold() -> None:
    def shrunk(*, sale: int) -> set[str]:
        story = Story().arm()
        if sale:
            story.foreign("SELL", sale)
            story.put("to_host", kind="position", sym="AAPL", qty=100 - sale)
        story.state("ts:br-1:sl2:1", "cancelled")
        story.wait(0.1)
        story.change("ts:br-1:sl1:1", qty=40)
        return story.rules()

    assert "V16" not in shrunk(sale=20)
    assert "V16" in shrunk(sale=0)


def test_an_oversale_is_told_when_its_execution_has_come() -> None:
    def told(*, after: float) -> Report:
        story = Story({**PLAN, "qty": 60})
        story.hold(60)
        story.pair(1, 60)
        story.fill("ts:br-1:tp1:1", 60)
        story.fill("ts:br-1:sl1:1", 60, told=False)
        exec_id = next(r["exec_id"] for r in reversed(story.b) if r["event"] == "exec")
        story.wait(8)
        story.put(
            "to_host", kind="exec", id=3, exec_id=exec_id, sym="AAPL", side="SELL", qty=60, ref="", px="187"
        )
        story.wait(after)
        story.say("LadderProtectionStateChanged", symbol="AAPL", state="OVERSOLD", held=-60, protected=0)
        return story.report(oca_race=True)

    assert "V01" not in {violation.rule for violation in told(after=0.5).violations}
    assert told(after=0.5).counters["excused V01 told late"] == 1
    assert "V01" in {violation.rule for violation in told(after=4).violations}


def test_an_exit_that_nobody_has_answered_is_made_smaller_once_somebody_has() -> None:
    def sold(*, answered: bool, reacts: bool = True, seconds: float = 5) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        ref = story.place("sl1", 60, stp="187", lmt="187", answered=answered)
        story.foreign("SELL", 20, told=True)
        story.wait(seconds)
        story.put("to_host", kind="status", id=2, ref=ref, state="held", filled=0, left=60)
        if reacts:
            story.wait(0.1).change(ref, qty=40)
        story.wait(5).quote("189.99", "190.01")
        return story.rules()

    assert "V02" not in sold(answered=False)
    assert "V02" in sold(answered=True)
    assert "V02" in sold(answered=False, reacts=False)
    assert "V02" in sold(answered=False, seconds=30)


def test_a_total_that_crossed_a_sale_binds_no_other_exit() -> None:
    def placed(*, crossed: bool) -> set[str]:
        story = Story({**PLAN, "qty": 90}).hold(90)
        story.pair(1, 60)
        story.fill("ts:br-1:tp1:1", 4, told=not crossed)
        story.state("ts:br-1:sl1:1", "held", qty=56, left=56)
        story.wait(2).change("ts:br-1:sl1:1", qty=60)
        if crossed:
            exec_id = next(r["exec_id"] for r in reversed(story.b) if r["event"] == "exec")
            story.put(
                "to_host",
                kind="exec",
                id=3,
                exec_id=exec_id,
                sym="AAPL",
                side="SELL",
                qty=4,
                ref="",
                px="195",
            )
        story.pair(2, 30)
        return {
            violation.text
            for violation in story.report().violations
            if "sl2:1 (#4) accepted" in violation.text
        }

    assert placed(crossed=True) == set()
    assert placed(crossed=False) != set()


def test_shares_beyond_a_held_stop_that_the_operator_made_smaller_are_his_to_protect() -> None:
    def bought(qty: int, *, by_operator: bool) -> set[str]:
        story = Story(BRACKET)
        entry = story.entry(100)
        stop = story.place("sl1", 100, stp="187", lmt="187", parent=entry, venue={"works": False})
        if by_operator:
            story.put("op", what="replace", ref=stop, qty=60)
        story.change(stop, qty=60)
        story.fill(entry, qty)
        if qty < 100:
            story.wait(31).quote("189.99", "190.01")
            story.change(stop, qty=40)
            story.end(entry, "cancelled")
        for _ in range(15):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V03" not in bought(100, by_operator=True)
    assert "V03" in bought(100, by_operator=False)
    assert "V03" in bought(60, by_operator=True)  # he left a stop for all of these


def test_a_stop_may_give_up_shares_that_only_other_trades_have_left() -> None:
    def shrunk(to: int) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        story.plans["br-2"] = {**PLAN, "qty": 60}
        for watch in ("br-1", "br-2"):
            story.fill(story.entry(60, watch=watch), 60)
            story.place("sl1", 60, stp="187", lmt="187", watch=watch)
        story.fill(story.place("tp1", 20, lmt="195", watch="br-2"), 20, px="195")
        story.state("ts:br-1:sl1:1", "cancelled")
        story.wait(0.1)
        story.change("ts:br-2:sl1:1", qty=to)
        return story.rules()

    assert "V16" not in shrunk(40)
    assert "V16" in shrunk(39)


def test_a_state_of_alarm_that_begins_is_told_as_an_alarm_is() -> None:
    def lost(state: str) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        for seconds in range(0, 90, 5):
            story.put("snapshot", orders_as_of=None, executions_as_of=None, positions_as_of=None)
            story.wait(5).quote("189.99", "190.01")
            told = {"symbol": "AAPL", "watch": "br-1", "held": 60, "protected": 0}
            if seconds in (10, 70):
                story.say("ProtectionAlarm", state="UNPROTECTED", **told)
            elif seconds == 40:
                story.say("LadderProtectionStateChanged", state=state, **told)
        return story.rules()

    assert "V03" not in lost("EMERGENCY")
    assert "V03" in lost("ARMING")


def test_a_stop_that_is_lost_on_the_way_and_so_is_its_replacement_takes_longer() -> None:
    def lost(*, again: bool) -> Report:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.place("sl1", 60, stp="187", lmt="187", accepted=False, answered=False)
        story.wait(15)
        story.place("sl1", 60, stp="187", lmt="187", generation=2, accepted=not again, answered=False)
        if not again:
            story.end("ts:br-1:sl1:2", "cancelled")
        for _ in range(6):
            story.wait(2).quote("189.99", "190.01")
        return story.report()

    assert "V03" not in {violation.rule for violation in lost(again=True).violations}
    assert "V03" in {violation.rule for violation in lost(again=False).violations}


def test_every_stop_that_is_lost_on_the_way_is_an_incident() -> None:
    def open_for(seconds: int, *, sent: int) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        for generation in range(1, sent + 1):
            story.place(
                "sl1", 60, stp="187", lmt="187", accepted=False, answered=False, generation=generation
            )
        for _ in range(seconds // 2):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V04" in open_for(28, sent=0)
    assert "V04" not in open_for(28, sent=2)


def test_a_target_that_the_operator_made_smaller_is_sold_when_its_successor_is() -> None:
    def sold(*, rest: bool) -> Report:
        story = Story().arm()
        story.put("op", what="replace", ref="ts:br-1:tp1:1", qty=50)
        story.change("ts:br-1:tp1:1", qty=50)
        story.take(1, 50)
        story.pair(1, 10, generation=2)
        story.wait(10).quote("189.99", "190.01")
        if rest:
            story.fill("ts:br-1:tp1:2", 10, px="195")
            story.end("ts:br-1:sl1:2", "cancelled")
            story.wait(10).quote("189.99", "190.01")
        return story.report()

    assert "V17" not in {violation.rule for violation in sold(rest=False).violations}
    assert "V17" in {violation.rule for violation in sold(rest=True).violations}


def test_a_child_that_was_never_transmitted_outlives_its_entry_unseen() -> None:
    def ended(state: str) -> set[str]:
        story = Story(BRACKET)
        entry = story.entry(100)
        stop = story.place(
            "sl1", 100, stp="187", lmt="187", parent=entry, venue={"works": False}, answered=False
        )
        story.state(stop, state, works=False)
        story.end(entry, "cancelled")
        for _ in range(10):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V18" not in ended("sent")
    assert "V18" in ended("held")


def test_an_exit_that_shrank_while_a_sale_was_taken_back_was_decided_before() -> None:
    def shrunk(*, told: str) -> set[str]:
        story = Story({**PLAN, "qty": 90}).hold(90)
        story.pair(1, 60)
        story.pair(2, 30)
        exec_id = story.fill("ts:br-1:tp1:1", 60, px="195").removesuffix(".01") + ".02"
        story.end("ts:br-1:sl1:1", "cancelled")
        back = {"id": 3, "ref": "ts:br-1:tp1:1", "exec_id": exec_id, "sym": "AAPL", "side": "SELL", "qty": 0}
        story.put("corrected", exec_id=exec_id, qty=0, px="195")
        if told == "before":
            story.put("to_host", kind="exec", px="195", **back)
            story.wait(0.1)
        story.change("ts:br-1:sl2:1", qty=20)
        if told == "meanwhile":
            index = next(n for n, record in enumerate(story.b) if record["event"] == "modify")
            story.b.insert(index, {**back, "event": "to_host", "kind": "exec", "px": "195", "t": story.t})
        return story.rules()

    assert "V16" not in shrunk(told="meanwhile")
    assert "V16" in shrunk(told="before")


def test_an_order_that_sold_after_its_end_needs_no_other_end() -> None:
    def sold(qty: int) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        stop = story.place("sl1", 60, stp="187", lmt="187")
        story.end(stop, "cancelled", told=False)
        story.fill(stop, qty, told=False)
        exec_id = next(record["exec_id"] for record in reversed(story.b) if record["event"] == "exec")
        story.state(stop, "cancelled")
        told = {"qty": qty, "side": "SELL", "leg": "sl1", "order_ref": stop, "exec_id": exec_id}
        story.say("BracketChildOrderFilled", **told)
        return story.settled()

    assert "V08" not in sold(60)
    assert "V08" in sold(59)


def test_an_exit_may_give_up_what_its_group_has_sold_while_another_stop_is_gone() -> None:
    def shrunk(to: int) -> set[str]:
        story = Story({**PLAN, "qty": 90}).hold(90)
        story.pair(1, 60)
        story.pair(2, 30)
        story.state("ts:br-1:sl2:1", "cancelled")
        story.fill("ts:br-1:tp1:1", 6)
        story.state("ts:br-1:sl1:1", "held", qty=58, left=58)
        story.wait(0.1)
        story.change("ts:br-1:sl1:1", qty=to)
        return story.rules()

    assert "V16" not in shrunk(54)
    assert "V16" in shrunk(53)


def test_what_a_brackets_children_have_sold_was_bought() -> None:
    def placed(*, sold: int) -> set[str]:
        story = Story({**BRACKET, "qty": 10})
        story.plans["br-2"] = {**PLAN, "qty": 5}
        entry = story.entry(10)
        story.place("tp1", 10, lmt="195", parent=entry)
        story.fill(entry, 10, told=False)
        story.fill("ts:br-1:tp1:1", sold)
        story.end("ts:br-1:tp1:1", "cancelled")
        story.fill(story.entry(5, watch="br-2"), 5)
        story.place("sl1", 5, stp="187", lmt="187", watch="br-2")
        return story.rules()

    assert "V02" not in placed(sold=10)


def test_an_entry_that_was_never_transmitted_cannot_be_cancelled() -> None:
    def stopped(*, transmitted: bool) -> Report:
        story = Story(BRACKET)
        ref = story.entry(100, answered=transmitted)
        if not transmitted:
            story.state(ref, "sent")
        story.put("op", what="stopentry", on=True)
        story.say("KillSwitchEngaged", reason="stopentry")
        for _ in range(5):
            story.wait(2).quote("189.99", "190.01")
        return story.report()

    assert "V28" not in {violation.rule for violation in stopped(transmitted=False).violations}
    assert stopped(transmitted=False).counters["excused V28 never transmitted"] == 1
    assert "V28" in {violation.rule for violation in stopped(transmitted=True).violations}


def test_a_leg_of_its_own_has_the_stop_that_the_operator_gave_the_first() -> None:
    def ends(*, by_operator: bool) -> set[str]:
        story = Story(BRACKET).hold()
        ref = story.place("sl1", 100, stp="187", lmt="187")
        if by_operator:
            story.put("op", what="replace", ref=ref)
        story.change(ref, qty=52, stp="188", lmt="188")
        story.place("sl2", 48, stp="188", lmt="188")
        return {
            v.text
            for v in story.report(end=story.t + 61, fault_free_from=story.t).violations
            if "sl2" in v.text
        }

    assert not any("no stop of its plan" in text for text in ends(by_operator=True))
    assert any("no stop of its plan" in text for text in ends(by_operator=False))


def test_a_stop_that_ended_without_a_word_is_an_incident() -> None:
    def ended(*, told: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        stop = story.place("sl1", 60, stp="187", lmt="187")
        story.cancel(stop, told=told)
        for _ in range(12):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V04" not in ended(told=False)
    assert "V04" in ended(told=True)


def test_executions_that_a_picture_shows_are_the_end_of_an_order_as_well() -> None:
    def covered_again(*, shown: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.fill(story.place("cover", 40, stp="187"), 40, told=False)
        if shown:
            story.reconcile()
        story.place("cover", 20, stp="187", generation=2)
        return story.rules()

    assert "V06" not in covered_again(shown=True)
    assert "V06" in covered_again(shown=False)


def test_what_a_bracket_bought_and_sold_before_anybody_was_told_takes_nothing_from_others() -> None:
    def placed(*, sold: int) -> set[str]:
        story = Story({**PLAN, "qty": 60})
        story.plans["br-2"] = {**BRACKET, "qty": 60}
        story.hold(60)
        entry = story.entry(60, watch="br-2")
        stop = story.place("sl1", 60, stp="187", lmt="187", watch="br-2", parent=entry)
        story.fill(entry, 60, told=False)
        story.fill(stop, sold, told=False, px="187")
        story.state(stop, "cancelled")
        if sold < 60:
            story.foreign("SELL", 60 - sold, told=True)
            story.wait(30).quote("189.99", "190.01")
        story.pair(1, 60)
        return story.rules()

    assert "V02" not in placed(sold=60)
    assert "V02" in placed(sold=40)


def test_a_raise_of_a_stop_that_never_arrived_takes_as_long_as_pictures_take() -> None:
    def raised(*, written: bool, wait: int) -> set[str]:
        story = Story(PLAN)
        ref = story.entry(100)
        story.fill(ref, 20)
        cover = story.place("cover", 20, stp="187")
        story.fill(ref, 40)
        if written:
            story.change(cover, qty=60, accepted=False)
        for _ in range(wait // 2):
            story.wait(2).quote("189.99", "190.01")
        return story.rules()

    assert "V03" not in raised(written=True, wait=18)
    assert "V03" in raised(written=True, wait=24)
    assert "V03" in raised(written=False, wait=18)


def test_after_the_close_only_a_trade_with_orders_outside_of_it_that_lacks_a_stop_needs_one() -> None:
    def closed(*, covered: bool) -> set[str]:
        story = Story(is_started=False)
        story.plans["br-2"] = {**PLAN, "qty": 60, "outside_rth": True}
        story.wait(6 * 3600 - 20).start()
        story.hold(60)
        story.fill(story.entry(60, watch="br-2"), 60)
        if covered:
            story.place("sl1", 60, watch="br-2", stp="187", lmt="187")
        else:
            story.pair(1, 60)
        story.wait(25)
        for _ in range(8):
            story.wait(4)
            story.say("ProtectionAlarm", symbol="AAPL", watch="br-1", state="PARTIAL", held=120, protected=60)
            story.quote("189.99", "190.01")
        return story.rules()

    assert "V03" not in closed(covered=True)
    assert "V03" in closed(covered=False)


def test_a_stop_that_ends_after_the_venue_refused_to_cancel_it_was_not_taken_away_by_us() -> None:
    def ended(*, refused: bool) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        ref = "ts:br-1:sl1:1"
        story.cancel(ref, told=False)
        if not refused:
            return story.rules()
        end = story.b.pop()  # the state that the cancel made
        story.put("refuse", id=end["id"], client=0, ref=ref, action="cancel", code=161, text="not now")
        story.wait(5).state(ref, "cancelled")
        return story.rules()

    assert "V16" not in ended(refused=True)
    assert "V16" in ended(refused=False)
