"""``why`` after a restart: sessions that were found again, exits that no shares stand behind. Played over the wire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.wire_kit import WireStage

from tradeshell_jsonl_log.commands import Log, answer
from tradeshell_jsonl_log.why import Why

# The scenes of a reconciler; without that plugin there is nothing to play.
scenes: Any = pytest.importorskip("tests.faults.test_wire_reconcile")

Make = Callable[..., WireStage]


def ask(stage: WireStage, word: str) -> Why:
    """Ask the log on the disk, and compare what the answer rests on with the events that were announced."""
    why, _ = answer(Log(stage.folder / "events.jsonl"), word, stage.now)
    announced = [(record.ts, type(record.event).__name__) for record in stage.records]
    for raw in why.because:
        assert any(
            raw["event"] == name and raw["ts"].startswith(f"{ts:%Y-%m-%dT%H:%M:%S}") for ts, name in announced
        )
    return why


def test_why_tells_of_a_ladder_that_was_found_again_and_of_what_was_missed(make_wire: Make) -> None:
    stage = make_wire(reconcile={})
    stage.ladder()
    stage.crash()
    stage.quote("195", "195.02")
    stage.quote("194.90", "194.92")
    scenes.again(stage)
    why = ask(stage, "AAPL")
    assert why.situation == "restored"
    assert any(
        "from the journal: 40 shares, 40 protected, 1 execution missed meanwhile" in x for x in why.lines
    )
    assert ask(stage, "AAPL.sl2").situation == "stop_moved"
    assert ask(stage, "AAPL.tp1").situation == "target_filled"


def test_why_tells_of_a_session_that_no_record_knew_and_that_was_adopted(make_wire: Make) -> None:
    stage = make_wire(reconcile={})
    stage.ladder()
    scenes.lose_journal(stage)
    why = ask(stage, "AAPL")
    assert why.situation == "unknown_session"
    assert "6 orders of ours work for it, 100 of 100 shares have a stop, none of them moves" in why.lines[0]
    scenes.take_up(stage)
    why = ask(stage, "AAPL")
    assert why.situation == "restored"
    assert any("from the broker: 100 shares, 100 protected, found in 6 orders" in line for line in why.lines)


def test_why_tells_of_orphans_whose_they_are_and_what_became_of_them(make_wire: Make) -> None:
    stage = make_wire(reconcile=scenes.CANCELS)
    _, other = scenes.orphans(stage)
    scenes.again(stage)
    stage.wait(60)
    why = ask(stage, str(other))
    assert why.situation == "orphan"
    assert "holds none that it could sell" in why.lines[0]
    assert any("not cancelled (10147)" in line for line in why.lines)
    why = ask(stage, "AAPL.sl1")
    assert why.situation == "orphan"
    assert [raw["event"] for raw in why.because] == [
        "OrderIntent",
        "OrphanExitOrderDetected",
        "OrphanExitOrderCancelled",
    ]
