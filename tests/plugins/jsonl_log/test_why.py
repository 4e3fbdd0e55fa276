"""``why``: each situation is played on the venue, and the answer is compared with the events that were announced.

Laws: no log is written by hand. ``because`` must hold the very records; the values that were decided on stand in the words.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.faults.kit import Stage
from tests.plugins.jsonl_log import played as situations
from tests.plugins.jsonl_log.played import Played, played

from tradeshell.errors import OperatorError
from tradeshell_jsonl_log.lines import encode
from tradeshell_jsonl_log.reader import read_all
from tradeshell_jsonl_log.tale import NEW_YORK, shown_price
from tradeshell_jsonl_log.why import Why

Play = Callable[[Stage], None]


class Case(NamedTuple):
    """A situation: how it is played, what is asked, the word for it, and the values that decided, as ``Event.field``."""

    play: Play
    word: str
    situation: str
    decided: tuple[str, ...]
    live: bool = False


ENTRY = "BreakoutConfirmed.close BreakoutConfirmed.level BreakoutConfirmed.ask BreakoutConfirmed.bar_start"
PLAN = "BreakoutStarted.level BreakoutStarted.qty BreakoutStarted.sl"
BAR = "BreakoutRejected.close BreakoutRejected.bar_start BreakoutRejected.ask BreakoutRejected.reason BreakoutRejected.detail"

CASES = {
    "not fired yet": Case(situations.armed, "AAPL", "not_fired_yet", (PLAN,)),
    "touched": Case(
        situations.touched,
        "AAPL",
        "not_fired_yet",
        (PLAN, "BreakoutBreakDetected.high BreakoutBreakDetected.close BreakoutBreakDetected.bar_start"),
    ),
    "not fired": Case(
        situations.cancelled, "AAPL", "not_fired", (PLAN, "BreakoutBreakDetected.high BreakoutStopped.ts")
    ),
    "blind": Case(
        situations.blind, "AAPL", "blind", (PLAN, "BarStreamStalled.silent BarStreamStalled.limit")
    ),
    "stale": Case(situations.stale, "AAPL", "refused", (PLAN, BAR)),
    "halted": Case(situations.halted, "AAPL", "refused", (PLAN, BAR)),
    "chased": Case(situations.chased, "AAPL", "refused", (PLAN, BAR)),
    "entries off": Case(situations.stopped, "AAPL", "refused", (PLAN, BAR, "RiskRejected.detail")),
    "refused by the broker": Case(
        situations.refused_by_broker,
        "AAPL",
        "refused_by_broker",
        (PLAN, ENTRY, "OrderRefused.code OrderRefused.text"),
    ),
    "unheard": Case(
        situations.unheard, "AAPL", "unknown_outcome", (ENTRY, "OrderIntent.limit OrderOutcomeUnknown.ts")
    ),
    "working": Case(
        situations.working, "AAPL", "entry_working", (ENTRY, "OrderIntent.bid OrderIntent.limit")
    ),
    "not filled": Case(situations.timed_out, "AAPL", "not_filled", (ENTRY, "OrderIntent.limit")),
    "fired": Case(
        situations.ladder, "AAPL", "fired", (PLAN, ENTRY, "OrderIntent.bid OrderIntent.ask OrderFilled.price")
    ),
    "typed": Case(situations.typed, "AAPL", "fired", ("OrderIntent.bid OrderIntent.ask OrderFilled.price",)),
    "entry": Case(
        situations.ladder,
        "AAPL.entry",
        "filled",
        ("OrderIntent.limit OrderIntent.bid OrderIntent.ask OrderFilled.price",),
    ),
    "cover": Case(
        situations.partly,
        "AAPL.cover",
        "cover",
        ("CoverStopPlaced.stop CoverStopPlaced.qty OrderIntent.stop",),
    ),
    "stop as planned": Case(situations.half_a_target, "AAPL.sl2", "stop_placed", ("OrderIntent.stop",)),
    "stop moved": Case(
        situations.first_target,
        "AAPL.sl2",
        "stop_moved",
        (
            "MilestoneReached.stop MilestoneReached.ts LadderStopLossReplaced.stop BracketChildOrderFilled.order_qty",
        ),
    ),
    "stop moved by the operator": Case(
        situations.moved_by_hand, "AAPL.sl2", "stop_moved_by_operator", ("LadderStopLossReplaced.stop",)
    ),
    "stop moved elsewhere": Case(
        situations.moved_elsewhere,
        "AAPL.sl2",
        "stop_moved_elsewhere",
        ("LadderStopLossReplaced.stop LadderStopLossReplaced.reason",),
    ),
    "stop not moved": Case(
        situations.postponed,
        "AAPL.sl2",
        "stop_not_moved",
        ("StopUpdatePostponed.stop StopUpdatePostponed.bid MilestoneReached.ts OrderIntent.stop",),
    ),
    "change refused": Case(
        situations.change_refused,
        "AAPL.sl2",
        "change_refused",
        ("LadderStopLossReplaceFailed.reason LadderStopLossReplaceFailed.ts",),
    ),
    "stop follows the bid": Case(
        situations.elected,
        "AAPL.sl1",
        "stop_follows_bid",
        ("OrderIntent.limit BracketChildOrderStatusChanged.remaining",),
    ),
    "stopped out": Case(
        situations.stopped_out,
        "AAPL.sl1",
        "stop_filled",
        ("BracketChildOrderFilled.price BracketChildOrderFilled.qty",),
    ),
    "target": Case(situations.half_a_target, "AAPL.tp2", "target_placed", ("OrderIntent.limit",)),
    "target filled": Case(
        situations.first_target, "AAPL.tp1", "target_filled", ("BracketChildOrderFilled.price",)
    ),
    "its sibling sold": Case(
        situations.first_target, "AAPL.sl1", "ended_with_sibling", ("BracketChildOrderFilled.price",)
    ),
    "replacement": Case(
        situations.stop_lost,
        "AAPL.sl2",
        "replacement",
        (
            "LadderStopLossCancelled.held LadderStopLossCancelled.reason IncidentStepTaken.rung OrderIntent.stop",
        ),
    ),
    "target sent again": Case(
        situations.target_lost,
        "AAPL.tp2",
        "target_replaced",
        ("LadderTakeProfitLost.reason OrderIntent.limit",),
    ),
    "emergency": Case(
        situations.emergency,
        "AAPL",
        "emergency",
        (
            PLAN,
            ENTRY,
            "LadderProtectionStateChanged.state LadderProtectionStateChanged.held IncidentStepTaken.reason ProtectionAlarm.held",
        ),
        live=True,
    ),
    "stop refused": Case(
        situations.emergency, "AAPL.sl1", "order_refused", ("OrderRefused.code OrderRefused.text",), live=True
    ),
    "sold by the last rung": Case(
        situations.emergency,
        "AAPL.flat1",
        "filled",
        ("IncidentStepTaken.reason BracketChildOrderFilled.price",),
    ),
    "flattened": Case(
        situations.flattened,
        "AAPL",
        "flattened",
        (ENTRY, "TradeClosed.entry TradeClosed.exit TradeClosed.pnl"),
    ),
    "closed": Case(
        situations.bracket,
        "AAPL",
        "closed",
        (ENTRY, "TradeClosed.entry TradeClosed.exit TradeClosed.pnl TradeClosed.qty"),
    ),
}


def words_for(value: Any) -> str:
    """Return how a value of a record stands in an answer."""
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return f"{at.astimezone(NEW_YORK):%H:%M:%S}"
        try:
            return shown_price(Decimal(value))
        except ArithmeticError:
            return value
    return str(value)


def assert_is_of_the_events(why: Why, told: Played) -> None:
    """Assert that an answer rests on the records that were announced, each as it was, and in their order."""
    announced = {record.seq: record for record in told.records}
    assert why.because
    assert [raw["seq"] for raw in why.because] == sorted({raw["seq"] for raw in why.because})
    for raw in why.because:
        record = announced[raw["n"]]
        assert json.loads(encode(record, raw["seq"])) == {k: v for k, v in raw.items() if k != "crc"}


@pytest.mark.parametrize("name", CASES)
def test_why_names_the_values_that_it_was_decided_on(name: str, tmp_path: Path) -> None:
    """Kills: an answer that takes a value from anywhere but the record that decided."""
    case = CASES[name]
    with played(tmp_path, case.play, live=case.live) as told:
        why = told.why(case.word)
    assert why.situation == case.situation, why
    assert_is_of_the_events(why, told)
    text = "\n".join(why.lines)
    for asked in " ".join(case.decided).split():
        event, _, field = asked.partition(".")
        values = [raw[field] for raw in why.because if raw["event"] == event and field in raw]
        assert values, f"{asked} is not among {[raw['event'] for raw in why.because]}"
        assert words_for(values[-1]) in text, (asked, values[-1], text)


def test_there_are_many_situations() -> None:
    assert len({case.situation for case in CASES.values()}) >= 15


def test_the_storyboard(tmp_path: Path) -> None:
    with played(tmp_path, situations.first_target) as told:
        why = told.why("aapl.sl3")
    assert why.about == "AAPL.sl3 br-1"
    assert why.lines == (
        "sl3 stands at 190.00 because tp1 was filled in full at 10:01:03 (60 of 60, 1 execution) and stop_updates[0] is 190.00",
        "  asked 10:01:03.020 · broker shows it 10:01:03.020 · it was 187.00 since 10:01:00",
        "  decided on bid 195.00 ask 195.02 (0.0 s old)",
        "  it moves to 195.00 (stop_updates[1]) when tp2 has sold all of its shares: 0 of 30 so far",
    )


@pytest.mark.parametrize("word", ["AAPL.sl2", "aapl.SL2", "br-1.sl2", "ts:br-1:sl2:1", "NUMBER"])
def test_an_order_has_several_names(tmp_path: Path, word: str) -> None:
    with played(tmp_path, situations.ladder) as told:
        asked = word.replace("NUMBER", str(told.stage.number("sl2")))
        why = told.why(asked)
    assert (why.about, why.situation) == ("AAPL.sl2 br-1", "stop_placed")


@pytest.mark.parametrize("word", ["AAPL", "br-1", "AAPL.entry"])
def test_a_watcher_that_sent_nothing_is_explained_under_each_of_its_names(tmp_path: Path, word: str) -> None:
    with played(tmp_path, situations.stopped) as told:
        assert told.why(word).situation == "refused"


def test_the_newest_watcher_of_a_symbol_answers_and_the_earlier_ones_are_named(tmp_path: Path) -> None:
    def twice(stage: Stage) -> None:
        situations.timed_out(stage)
        stage.watch(id_="br-2")

    with played(tmp_path, twice) as told:
        assert told.why("AAPL").about == "AAPL br-2"
        assert told.others("AAPL") == ("  earlier on AAPL: br-1 · why br-1",)
        assert told.why("br-1").situation == "not_filled"
        assert told.why("AAPL.entry").situation == "not_fired_yet"


@pytest.mark.parametrize(
    "word",
    ["MSFT", "AAPL.sl9", "br-9", "br-1.tp7", "ts:br-9:sl1:1", "999999", "9" * 30, ".", '"', "\\"],
)
def test_what_the_log_does_not_know_is_refused_in_one_line(tmp_path: Path, word: str) -> None:
    with (
        played(tmp_path, situations.ladder) as told,
        pytest.raises(OperatorError, match=r"^why: the log says nothing about ") as caught,
    ):
        told.why(word)
    assert "\n" not in str(caught.value)


def test_an_answer_of_another_day_says_which(tmp_path: Path) -> None:
    with played(tmp_path, situations.ladder) as told:
        why = told.why("AAPL.sl1", now=datetime.fromisoformat("2025-07-09T14:00:00+00:00"))
    assert "since 2025-07-08 10:01:00" in why.lines[0]


def test_a_damaged_log_answers_as_far_as_it_is_good(tmp_path: Path) -> None:
    """Kills: ``reader`` that reads on behind a damaged line."""
    with played(tmp_path, situations.first_target) as told:
        content = told.path.read_bytes()
        at = content.index(b"MilestoneReached")
        told.path.write_bytes(content[:at] + b"X" + content[at + 1 :])
        why = told.why("AAPL.sl2")
        assert why.situation == "stop_placed"
        assert told.log.warnings()[0].startswith("events.jsonl is damaged after line ")


def test_every_record_of_every_situation_can_be_asked_about(tmp_path: Path) -> None:
    """Kills: an answer that raises for a situation that nobody thought of."""
    plays = {case.play: case.live for case in CASES.values()}
    for number, (play, live) in enumerate(plays.items()):
        (folder := tmp_path / str(number)).mkdir()
        with played(folder, play, live=live) as told:
            records = list(read_all(told.path))
            for raw in records:
                for word in {
                    raw.get("symbol"),
                    raw.get("watch"),
                    raw.get("order_ref"),
                    str(raw.get("order_id", "")),
                }:
                    if word:
                        why = told.why(word)
                        assert why.lines[0]
                        assert why.because
