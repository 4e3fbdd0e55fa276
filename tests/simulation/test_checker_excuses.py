"""What the checker excuses: each excuse holds for what the program could not know or did not do, and for nothing beside it."""

from __future__ import annotations

from tests.simulation.checker.builder import PLAN, Story
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
        story.foreign("SELL", 60)
        story.put("to_host", kind="position", sym="AAPL", qty=0)
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
