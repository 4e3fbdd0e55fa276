"""What the checker excuses about stops that go away and milestones: each excuse holds where it should, and nowhere beside it."""

from __future__ import annotations

from tests.simulation.checker.builder import PLAN, Story


def test_a_stop_whose_end_was_told_may_be_cancelled_so_that_it_does_not_come_back() -> None:
    def buried(*, told: bool, revived: bool = False) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        stop = story.place("sl1", 60, stp="187", lmt="187")
        story.state(stop, "refused")
        if told:
            story.tell(stop, "refused")
        if revived:
            story.state(stop, "held", left=60)
            story.tell(stop, "held")
            story.wait(3)
        asked = story.t
        story.state(stop, "held", left=60)
        story.cancel(stop)
        assert story.t > asked
        return story.rules()

    assert "V16" not in buried(told=True)
    assert "V16" in buried(told=False)
    assert "V16" in buried(told=True, revived=True)


def test_a_target_that_the_venue_filled_is_sold_though_a_part_of_it_was_taken_back() -> None:
    def moved(*, filled: int) -> set[str]:
        story = Story().arm()
        exec_id = story.fill("ts:br-1:tp1:1", 20, px="195")
        corrected = exec_id.removesuffix(".01") + ".02"
        story.put("corrected", exec_id=corrected, qty=0, px="195")
        back = {"id": 6, "ref": "ts:br-1:tp1:1", "sym": "AAPL", "side": "SELL"}
        story.put("to_host", kind="exec", exec_id=corrected, qty=0, px="195", **back)
        story.fill("ts:br-1:tp1:1", filled - 20, px="195")
        story.change("ts:br-1:sl2:1", stp="190", lmt="190")
        return story.rules()

    assert "V17" not in moved(filled=60)
    assert "V17" in moved(filled=59)


def test_a_leg_that_is_split_off_stands_where_the_operator_has_put_the_stop_of_another() -> None:
    def placed(stop: str) -> set[str]:
        story = Story().arm()
        story.put("op", what="replace", ref="ts:br-1:sl1:1", stp="187.50")
        story.change("ts:br-1:sl1:1", qty=40, stp="187.50", lmt="187.50")
        story.put("state", **{**story.orders["ts:br-1:sl1:1"], "stp": "187.50"}, total=40)
        story.pair(4, 20, stp=stop)
        return {v.text for v in story.report().violations if v.rule == "V17" and "sl4" in v.text}

    assert placed("187.50") == set()
    assert placed("187.60") != set()


def test_a_leg_that_is_split_off_may_stand_at_a_milestone_s_price_where_the_operator_has_put_another() -> (
    None
):
    def placed(*, typed: bool) -> set[str]:
        story = Story().arm()
        if typed:
            story.put("op", what="replace", ref="ts:br-1:sl3:1", stp="190")
            story.change("ts:br-1:sl3:1", stp="190", lmt="190")
        story.pair(4, 5, stp="190")
        return {v.text for v in story.report().violations if v.rule == "V17" and "sl4" in v.text}

    assert placed(typed=True) == set()
    assert placed(typed=False) != set()


def test_a_target_whose_successor_is_on_its_way_is_not_sold() -> None:
    def sold(*, sent: bool) -> set[str]:
        story = Story().hold()
        story.pair(3, 10)
        story.pair(2, 30)
        story.pair(1, 40)
        story.take(1, 40)
        story.wait(7.5)
        if sent:
            story.place("tp1", 20, lmt="195", generation=2, accepted=False, answered=False)
        story.wait(1).quote("189.99", "190.01")
        return story.rules()

    assert "V17" not in sold(sent=True)
    assert "V17" in sold(sent=False)


def test_a_later_target_makes_no_milestone_while_an_earlier_leg_has_shares_left() -> None:
    def sold(*, rest: bool) -> set[str]:
        story = Story().hold()
        story.pair(3, 10)
        story.pair(2, 30)
        story.pair(1, 40)
        story.take(1, 40)
        story.take(2, 30)
        if rest:
            story.pair(1, 20, generation=2)
        story.wait(10).quote("189.99", "190.01")
        return story.rules()

    assert "V17" not in sold(rest=True)
    assert "V17" in sold(rest=False)


def test_a_change_that_undoes_another_is_no_repetition_of_the_one_before() -> None:
    def changed(*totals: int) -> set[str]:
        story = Story().hold()
        cover = story.place("cover", 100, stp="187")
        for total in totals:
            story.change(cover, qty=total)
        return story.rules(has_faults=False)

    assert "V17" not in changed(90, 80, 90)
    assert "V17" in changed(90, 90)


def test_a_leg_of_its_own_stands_where_the_operator_put_the_stop_of_its_shares() -> None:
    def placed(stp: str) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.put("op", what="replace", ref="ts:br-1:sl1:1")
        story.change("ts:br-1:sl1:1", stp="188", lmt="188")
        story.state("ts:br-1:sl1:1", "held", qty=40, left=40)
        story.wait(1)
        story.place("sl4", 20, stp=stp, lmt=stp)
        return story.rules()

    assert "V17" not in placed("188")
    assert "V17" in placed("188.5")


def test_an_oversale_that_a_kill_kept_from_being_told_is_told_by_the_next_process() -> None:
    def told(after: float, *, killed: bool = True) -> set[str]:
        story = Story({**PLAN, "qty": 60}).hold(60)
        story.pair(1, 60)
        story.take(1, 60)
        story.wait(2).fill("ts:br-1:sl1:1", 1, px="187")
        if killed:
            story.kill(2.0).reconcile()
        story.wait(after)
        story.say("ProtectionAlarm", symbol="AAPL", watch="br-1", state="OVERSOLD", held=-1, protected=0)
        return {v.text for v in story.wait(60).report().violations if "told to the operator" in v.text}

    assert told(20) == set()
    assert told(90) != set()
    assert told(20, killed=False) != set()
