"""A log of events that cannot be written: no entry leaves, protection goes on, and it is told when it begins and when it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.engine.support import Stage
from tests.engine.test_session import arm, break_out, stage
from tests.faults.kit import Stage as Venue
from tests.faults.scenes import stops

from tradeshell.core.events import AuditInterrupted, AuditResumed
from tradeshell.engine.doctor import _audit
from tradeshell.ports import SinkContext
from tradeshell.upkeep import LogFile, Outcome
from tradeshell_jsonl_log.reader import read_all
from tradeshell_jsonl_log.writer import open_log

__all__ = ["stage"]

MakeStage = Callable[..., Venue]


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nothing be written to the log of events; the journal is on another disk."""
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if data.startswith(b'{"v":'):
            raise OSError(28, "No space left on device")
        return real(fd, data)

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        yield


def test_P01_while_the_log_cannot_be_written_no_entry_leaves_and_it_is_told_once(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: ``session._place`` that does not ask the audit."""
    folder = tmp_path / "log"
    with open_log(SinkContext(state_dir=folder, settings={}, environ={})) as log:
        stage.session.audit.add("jsonl", log)
        arm(stage)
        with full_disk(monkeypatch):
            break_out(stage)
            assert stage.broker.sent == []
            assert stage.session.desk.busy() == ()
            where = stage.session.audit.log_file()
            assert where.why == f"event log {folder / 'events.jsonl'}: No space left on device"
        stage.run(asyncio.sleep(60))
    assert stage.names().count("AuditInterrupted") == 1
    failed = next(r.event for r in stage.records if type(r.event).__name__ == "OrderSendFailed")
    assert "could not be written to the audit log" in failed.reason  # type: ignore[attr-defined]  # of that event


def test_P01_stops_move_while_the_log_cannot_be_written_and_what_it_lacks_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: ``session._place`` that refuses exits too."""
    venue = Venue(tmp_path)
    with open_log(SinkContext(state_dir=tmp_path / "log", settings={}, environ={})) as log:
        venue.session.audit.add("jsonl", log)
        venue.ladder()
        with full_disk(monkeypatch):
            venue.quote("195", "195.02")  # the first target
            venue.wait(2)
            assert stops(venue) == {"sl2": "190", "sl3": "190"}
            assert len(venue.told(AuditInterrupted)) == 1
            assert venue.told(AuditResumed) == []
        venue.quote("198", "198.02")
        venue.wait(2)
        assert stops(venue) == {"sl3": "195"}
        assert len(venue.told(AuditResumed)) == 1
        venue.close()
    lines = list(read_all(tmp_path / "log" / "events.jsonl"))
    (gap,) = (line for line in lines if line["event"] == "AuditGap")
    numbers = [line["n"] for line in lines if line["n"]]
    missing = set(range(numbers[0], numbers[-1] + 1)) - set(numbers)
    assert gap["lost"] == len(missing) > 5


def test_P01_shares_that_are_bought_while_the_log_cannot_be_written_get_their_exits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: ``session._place`` that asks the audit for every order and not for entries alone."""
    venue = Venue(tmp_path)
    with open_log(SinkContext(state_dir=tmp_path / "log", settings={}, environ={})) as log:
        venue.session.audit.add("jsonl", log)
        venue.trigger(0)
        with full_disk(monkeypatch):
            venue.quote("190.00", "190.02")
            venue.wait(3)
            assert venue.position() == 100
            assert stops(venue) == {"sl1": "187", "sl2": "187", "sl3": "187"}
        venue.close()


def test_the_doctor_says_that_the_log_cannot_be_written(stage: Stage) -> None:
    class Looked:
        logs = (LogFile(name="events", path=Path("x"), why="event log x: No space left on device"),)

    finding = _audit(Looked())  # type: ignore[arg-type]  # all that it looks at
    assert (finding.outcome, finding.told) == (Outcome.FAILED, "event log x: No space left on device")
    assert "no entry leaves" in finding.remedy
