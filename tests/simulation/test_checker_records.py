"""The checker's rules about the records themselves and about the end; that it is quick, and knows nothing of the program."""

from __future__ import annotations

import ast
import sys
import time
import zlib
from pathlib import Path

import pytest
from tests.simulation.checker import SOMETIMES, digest
from tests.simulation.checker.builder import Story, compact, line

# --- V23 --------------------------------------------------------------------------------------------------------------


def test_records_as_documented_are_read() -> None:
    report = Story().arm().report()
    assert report.violations == []
    assert report.counters["V23"] > 20


@pytest.mark.parametrize(
    "bad",
    [
        b'{"v":1}',
        b"[]",
        b'{"v":1,"seq":2,"ts":"2025-07-08T14:00:00Z","mono":NaN,"session":"s","event":"X"}',
        b'{"v":1,"seq":2,"seq":2,"ts":"2025-07-08T14:00:00Z","mono":1,"session":"s","event":"X"}',
        b'{"v":1,"seq":2,"ts":"2025-07-08T14:00:00Z","mono":1,"session":"s","event":"\xff"}',
        b'{"v":1,"seq":2,"ts":"2025-07-08T14:00:00Z","mono":1,"session":"s","event":"'
        + b"X" * 70_000
        + b'"}',
        b'{"v":1,"seq":2,"ts":"2025-',
    ],
    ids=["envelope", "list", "nan", "twice", "utf8", "long", "torn"],
)
def test_a_line_that_is_not_strict_json_of_that_form_is_found(bad: bytes) -> None:
    story = Story()
    story.audit[1] = bad + b"\n"
    assert "V23" in story.rules()


def test_numbers_are_gapless() -> None:
    story = Story()
    del story.audit[1]
    assert story.rules() == {"V23"}


@pytest.mark.parametrize("at", ["text", "checksum"])
def test_the_checksums_of_the_log_are_a_chain(at: str) -> None:
    story, chain = Story(), 0
    for number, said in enumerate(story.audit):
        text = said.rstrip()[:-1] + b',"crc":"'
        chain = zlib.crc32(text, chain)
        story.audit[number] = text + f'{chain:08x}"}}\n'.encode()
    assert story.rules() == set()
    bad = story.audit[1]
    if at == "text":
        story.audit[1] = bad.replace(b'"epoch":1', b'"epoch":2')
    else:
        story.audit[1] = bad[:-4] + (b"0" if bad[-4:-3] != b"0" else b"1") + bad[-3:]
    assert story.audit[1] != bad
    assert "V23" in story.rules()


def test_only_the_last_line_may_be_torn_and_what_it_said_does_not_count() -> None:
    story = Story()
    story.say("ReplayEnded")
    story.audit[-1] = story.audit[-1][:30]
    report = story.report()
    assert report.violations == []
    assert report.counters["sometimes torn tail"] == 1
    story = Story()
    story.entry()
    story.audit.pop()
    story.audit[-1] = story.audit[-1][:-20]
    assert {"V07", "V08"} <= story.rules()


def test_a_damaged_journal_is_found_and_a_torn_end_of_a_life_is_not() -> None:
    story = Story().arm()
    story.journal[1] = story.journal[1].replace(b"BUY", b"SEL")
    assert "V23" in story.rules()
    story = Story()
    story.decide()
    story.journal[-1] = story.journal[-1][:20]
    assert story.rules() == set()
    assert story.kill().rules() == set()


def test_decisions_are_gapless_unless_a_gap_says_so() -> None:
    story = Story()
    story.decide()
    story.journal.append(
        line(compact({"n": 4, "input": {"input": "X", "at": "2025-07-08T14:00:00Z"}, "orders": []}))
    )
    assert story.rules() == {"V23"}
    story.journal.insert(-1, line(b'{"gap":2,"n":3,"why":"the disk is full"}'))
    assert story.rules() == set()


# --- V11 --------------------------------------------------------------------------------------------------------------


def test_executions_at_the_venue_are_those_on_disk() -> None:
    story = Story()
    ref = story.entry()
    story.fill(ref, 100)
    story.place("cover", 100, stp="187")
    assert story.settled() == set()
    story = Story()
    story.fill(story.entry(), 100, logged=False)
    story.place("cover", 100, stp="187")
    assert story.settled() == {"V11"}


def test_an_execution_that_only_the_journal_has_is_on_disk() -> None:
    story = Story()
    exec_id = story.fill(story.entry(), 100, logged=False)
    story.decide(
        input="ExecutionReported", execution={"exec_id": exec_id, "ref": "ts:br-1:entry:1", "qty": 100}
    )
    story.place("cover", 100, stp="187")
    assert story.settled() == set()


def test_an_execution_on_disk_that_never_happened_is_found() -> None:
    story = Story()
    story.say("OrderFilled", order_ref="ts:br-1:entry:1", exec_id="z.1.01", qty=5)
    assert story.settled() == {"V11"}


def test_a_correction_replaces_what_it_corrects() -> None:
    story = Story()
    ref = story.entry()
    story.fill(ref, 100)
    story.put("corrected", exec_id="x.1.02", qty=90, px="190.01")
    story.put(
        "to_host", kind="exec", id=1, ref=ref, exec_id="x.1.02", sym="AAPL", side="BUY", qty=90, px="190.01"
    )
    story.place("cover", 90, stp="187")
    assert story.settled() == {"V11"}
    story.say("OrderFilled", order_ref=ref, exec_id="x.1.02", qty=90)
    assert story.settled() == set()


def test_what_a_picture_showed_is_told_with_the_reconciliation() -> None:
    story = Story()
    story.fill(story.entry(), 100, told=False)
    story.wait(1).reconcile()
    assert story.rules() == {"V11"}


# --- V13 and V25 ------------------------------------------------------------------------------------------------------


def test_a_minute_after_the_last_fault_nothing_is_open() -> None:
    assert Story().arm().settled() == set()
    assert "V25" in Story().hold().settled()


def test_a_link_that_stays_down_and_an_order_that_stays_unknown_are_found() -> None:
    story = Story()
    story.put("link", up=False, why="lost")
    assert story.settled() == {"V25"}
    story = Story()
    ref = story.entry(accepted=False)
    story.say("OrderOutcomeUnknown", order_ref=ref)
    assert story.settled() == {"V08", "V25"}
    assert Story().drop(1).settled() == {"V25"}  # up, and never reconciled
    assert Story().drop(1).reconcile().settled() == set()


def test_an_order_that_was_never_transmitted_may_count_as_absent() -> None:
    def missing(state: str) -> set[str]:
        story = Story()
        ref = story.entry()
        story.state(ref, state)
        story.say("OrderMissing", order_ref=ref)
        return story.settled()

    assert missing("sent") == set()
    assert missing("working") == {"V08"}


def test_the_end_is_in_the_allowed_set() -> None:
    story = Story().arm()
    story.foreign("SELL", 30)
    story.put("to_host", kind="position", sym="AAPL", qty=70)
    assert "V13" in story.settled()
    story = Story().hold()
    story.place("sl1", 100, stp="186", lmt="186")
    assert {"V13", "V17"} <= story.settled()


def test_a_suffix_that_is_too_short_or_a_program_that_is_gone_is_not_judged() -> None:
    assert Story().hold().rules(fault_free_from=0.0) == set()
    story = Story().hold()
    story.put("kill")
    assert story.settled() == set()


# --- V26, counters, cost ----------------------------------------------------------------------------------------------


def test_equal_records_have_equal_digests_and_others_have_not() -> None:
    one, same, other = Story().arm(), Story().arm(), Story().arm().take(1, 60)
    assert digest(one.b, one.audit, one.journal) == digest(same.b, same.audit, same.journal)
    assert digest(one.b, one.audit, one.journal) != digest(other.b, other.audit, other.journal)
    renamed = [text.replace(b'"s1"', b'"s7"') for text in one.audit]
    assert digest(one.b, renamed, one.journal) != digest(one.b, one.audit, one.journal)
    assert digest(one.b, renamed, [], (b'"s1"', b'"s7"')) == digest(one.b, one.audit, [], (b'"s1"', b'"s7"'))


def test_what_happens_sometimes_is_counted() -> None:
    story = Story()
    ref = story.entry()
    exec_id = story.fill(ref, 40)
    story.put(
        "to_host", kind="exec", id=1, ref=ref, exec_id=exec_id, sym="AAPL", side="BUY", qty=40, px="190.01"
    )
    story.put("cancel_asked", id=1, client=0, ref=ref)
    story.fill(ref, 10)
    story.end(ref, "cancelled")
    story.fill(ref, 5)
    story.place("cover", 55, stp="187")
    story.put("halt", sym="AAPL", on=True)
    story.put("snapshot", orders_as_of=0.0, executions_as_of=0.0, positions_as_of=0.0)
    story.put("op", what="flatten", sym="AAPL")
    story.put("link", up=False, why="1100 connectivity lost")
    story.put("link", up=True, why="")
    story.kill()
    counters = story.report().counters
    seen = {name for name in SOMETIMES if counters[f"sometimes {name}"]}
    assert seen == {
        *(
            "replayed exec",
            "cancel/fill race",
            "late fill",
            "partial entry",
            "cover stop",
            "halt",
            "stale snapshot",
        ),
        *("flatten", "1100 window", "restart"),
    }


def test_the_sibling_that_ends_first_and_the_kill_without_cover_are_seen() -> None:
    story = Story().arm()
    exec_id = story.fill("ts:br-1:tp1:1", 60, told=False)
    story.end("ts:br-1:sl1:1", "cancelled")
    assert exec_id
    assert story.report().counters["sometimes sibling cancel first"] == 1
    story = Story().hold()
    story.say("IncidentStepTaken", symbol="AAPL", rung="emergency", held=100, reason="")
    story.kill()
    counters = story.report().counters
    assert counters["sometimes kill inside arming"] == 1
    assert counters["sometimes kill inside emergency"] == 1


def test_a_schedule_costs_a_few_milliseconds() -> None:
    story = Story()
    for _ in range(80):
        story.wait(0.5).quote("189.99", "190.01")
    story.arm().take(1, 60)
    for step in range(40):
        for number in (2, 3):
            price = f"190.{step:02d}"
            story.change(f"ts:br-1:sl{number}:1", stp=price, lmt=price)
        story.wait(1).quote("191", "191.01")
    facts = {"plans": story.plans, "end": story.t, "account": "DU0000001"}
    from tests.simulation.checker import check

    best = 1.0
    for _ in range(5):
        begin = time.process_time()
        check(story.b, story.audit, story.journal, facts)
        best = min(best, time.process_time() - begin)
    assert len(story.b) > 350
    assert best < 0.02  # ten times what it costs on an idle machine: a change of its order of growth is found


def test_the_checker_imports_the_standard_library_msgspec_and_itself() -> None:
    known = {*sys.stdlib_module_names, "msgspec"}
    for file in (Path(__file__).parent / "checker").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                is_own = name.startswith("tests.simulation.checker")
                assert is_own or name.partition(".")[0] in known, f"{file.name} imports {name}"
