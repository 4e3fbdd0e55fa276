"""How long bought shares lie open: what counts, what does not and is told beside it; the figures of a campaign add up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.simulation.checker.builder import BRACKET, PLAN, Story
from tests.simulation.checker.exposure import (
    ALARM,
    AWAY,
    FAULTS,
    HALTED,
    HAND,
    HIT,
    NO_COVER,
    OTHER,
    OWN,
    QUIET,
    RESTS,
    TAKEN,
    TOLD,
)
from tests.simulation.checker.exposure import (
    BRACKET as HELD,
)
from tests.simulation.exposure import EXEMPT, Histograms, add, of_schedule, quantile, table
from tests.simulation.run import main


def seconds(story: Story, name: str, *, exempt: bool = False, **facts: Any) -> list[float]:
    """Return the times of one class, or of one cause, in tenths of a second."""
    found = story.report(**facts).exposures["exempt" if exempt else "hundredths"].get(name, {})
    return [round(hundredths / 100, 1) for hundredths, count in sorted(found.items()) for _ in range(count)]


def covered(after: float = 1.5, plan: dict[str, Any] | None = None) -> Story:
    """Return a story in which a stop works so long after the purchase."""
    story = Story(plan).hold().wait(after)
    story.place("cover", 100, stp="187")
    return story


def test_days_without_faults_are_told_apart() -> None:
    assert seconds(covered(), QUIET.format(OWN), has_faults=False) == [1.5]
    assert seconds(covered(), FAULTS.format(OWN), has_faults=False) == []
    assert seconds(covered(), FAULTS.format(OWN)) == [1.5]
    assert seconds(covered(), QUIET.format(OWN)) == []
    assert seconds(covered(plan={**PLAN, "cover": "none"}), FAULTS.format(OTHER)) == [1.5]


def test_every_execution_counts_from_its_own_instant() -> None:
    story = Story()
    ref = story.entry(100)
    story.fill(ref, 40)
    story.wait(1.0)
    story.fill(ref, 60)
    story.wait(1.0)
    story.place("cover", 100, stp="187")
    assert seconds(story, FAULTS.format(OWN)) == [1.0, 2.0]


def test_a_stop_for_a_part_of_the_shares_covers_the_oldest() -> None:
    story = Story()
    ref = story.entry(100)
    story.fill(ref, 40)
    story.fill(ref, 60)
    story.wait(1.0)
    story.place("cover", 40, stp="187")
    story.wait(2.0).quote("189.99", "190.01")
    assert seconds(story, FAULTS.format(OWN)) == [1.0, 3.0]


def test_what_never_gets_a_stop_counts_with_all_its_time() -> None:
    assert seconds(Story().hold().wait(9.0).quote("189.99", "190.01"), FAULTS.format(OWN)) == [9.0]


def test_time_without_a_link_is_exempt_and_told() -> None:
    story = Story().hold().wait(1.0).drop(7.0)
    story.reconcile()
    story.wait(1.0)
    story.place("cover", 100, stp="187")
    assert seconds(story, FAULTS.format(OWN)) == [2.0]
    assert seconds(story, AWAY, exempt=True) == [7.0]


def test_time_in_a_halt_is_exempt_and_told() -> None:
    story = Story().hold()
    story.put("halt", sym="AAPL", on=True)
    story.wait(5.0).put("halt", sym="AAPL", on=False)
    story.wait(1.0)
    story.place("cover", 100, stp="187")
    assert seconds(story, FAULTS.format(OWN)) == [1.0]
    assert seconds(story, HALTED, exempt=True) == [5.0]


def test_time_after_the_close_is_exempt_and_told() -> None:
    story = Story(is_started=False)
    story.wait(6 * 3600 - 4).start().hold()
    story.wait(1.0)
    for _ in range(4):
        story.wait(1.0).quote("189.99", "190.01")
    assert seconds(story, RESTS, exempt=True)
    assert seconds(story, ALARM, exempt=True) == []
    assert len(seconds(story, FAULTS.format(OWN))) == 1


def test_a_wait_that_the_plan_permits_is_exempt_and_told() -> None:
    def waited(plan: dict[str, Any]) -> Story:
        story = Story(plan)
        ref = story.entry(100)
        if plan is BRACKET:
            story.state(story.place("sl1", 100, stp="187", lmt="187", parent=ref), "held", works=False)
        story.fill(ref, 40)
        story.wait(6.0)
        story.cancel(ref)
        story.wait(1.0)
        story.place("sl2", 40, stp="187", lmt="187")
        return story

    for plan, cause in (({**PLAN, "cover": "none"}, NO_COVER), (BRACKET, HELD)):
        assert seconds(waited(plan), cause, exempt=True) == [6.0]
        assert seconds(waited(plan), FAULTS.format(OTHER)) == [1.0]
    assert seconds(waited(PLAN), FAULTS.format(OWN)) == [7.0]


def test_an_exit_that_the_venue_refused_is_told_apart() -> None:
    def sold(*, refused: bool) -> Story:
        story = Story().hold()
        ref = story.place("cover", 100, stp="187", answered=not refused)
        if refused:
            number = story.orders[ref]["id"]
            story.put("refuse", id=number, client=0, ref=ref, action="place", code=201, text="no")
            story.end(ref, "refused")
        return story

    late = Story().hold()
    late.place("cover", 100, stp="187", accepted=False)
    late.wait(2.0)
    late.place("cover", 100, stp="187", generation=2)
    assert len(seconds(sold(refused=False), TAKEN.format(OWN))) == 1
    assert seconds(sold(refused=False), HIT.format(OWN)) == []
    assert seconds(late, HIT.format(OWN)) == [2.0]
    assert seconds(late, FAULTS.format(OWN)) == [2.0]


def test_time_before_the_program_was_told_is_counted_and_shown_apart() -> None:
    story = Story()
    ref = story.entry(100)
    exec_id = story.fill(ref, 100, told=False)
    story.wait(4.0)
    story.put(
        "to_host", kind="exec", exec_id=exec_id, id=1, ref=ref, sym="AAPL", side="BUY", qty=100, px="190"
    )
    story.wait(1.0)
    story.place("cover", 100, stp="187")
    assert seconds(story, FAULTS.format(OWN)) == [5.0]
    assert seconds(story, TOLD.format(OWN)) == [1.0]


def test_shares_for_which_an_alarm_is_the_only_answer_do_not_count() -> None:
    story = Story().hold()
    for _ in range(8):
        story.wait(15)
        story.say("ProtectionAlarm", symbol="AAPL", state="UNPROTECTED", held=100, protected=0)
        story.quote("189.99", "190.01")
    assert seconds(story, FAULTS.format(OWN), is_paper=False) == []
    assert len(seconds(story, ALARM, exempt=True, is_paper=False)) == 1
    assert len(seconds(story, FAULTS.format(OWN), is_paper=True)) == 1


def test_shares_whose_stop_the_operator_took_away_do_not_count() -> None:
    def cancelled(*, by_operator: bool) -> Story:
        story = Story(BRACKET)
        entry = story.entry(100)
        stop = story.place("sl1", 100, stp="187", lmt="187", parent=entry, venue={"works": False})
        story.fill(entry, 60)
        if by_operator:
            story.put("op", what="cancel", ref=stop)
        story.cancel(stop)
        story.cancel(entry)
        story.wait(3.0).quote("189.99", "190.01")
        return story

    assert seconds(cancelled(by_operator=True), FAULTS.format(OTHER)) == []
    assert len(seconds(cancelled(by_operator=True), HAND, exempt=True)) == 1
    assert len(seconds(cancelled(by_operator=False), FAULTS.format(OTHER))) == 1


# --- over a campaign --------------------------------------------------------------------------------------------------


def test_sums_do_not_depend_on_the_order_and_show_what_is_exempt() -> None:
    one: Histograms = {FAULTS.format(OWN): {"10": 98, "20": 1}}
    other: Histograms = {FAULTS.format(OWN): {"900": 1}, EXEMPT + AWAY: {"700": 2}}
    here: Histograms = {}
    there: Histograms = {}
    add(here, one)
    add(here, other)
    add(there, other)
    add(there, one)
    assert here == there
    lines = list(table(here))
    assert lines[2].split()[-4:] == ["100", "0.10", "0.20", "9.00"]
    assert lines[3].split()[-4:] == ["2", "7.00", "7.00", "7.00"]
    assert list(table({})) == []


@pytest.mark.parametrize("part, expected", [(0.5, 0.1), (0.99, 0.2), (1.0, 9.0)])
def test_a_quantile_is_what_so_many_did_not_exceed(part: float, expected: float) -> None:
    assert quantile({"900": 1, "10": 98, "20": 1}, part) == expected


def test_a_schedule_is_added_as_it_was_measured() -> None:
    told = of_schedule(covered().report().exposures)
    assert told[FAULTS.format(OWN)] == {"152": 1}


def test_a_campaign_prints_the_exposure_and_takes_it_from_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--seeds", "12", "--jobs", "1", "--results", str(tmp_path / "results.jsonl")]
    main(asked)
    first = capsys.readouterr().out
    main(asked)
    assert capsys.readouterr().out == first
    assert any(line.strip().startswith("faults · ") for line in first.splitlines())
