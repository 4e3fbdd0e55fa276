"""The journal on a disk that fails: whole records only, and a mark where decisions are missing."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import pytest
from tests.core.support import ENTRY, OPEN, Desktop, bar, quote
from tests.engine.support import Stage
from tests.engine.test_session import arm, break_out, stage

from tradeshell.core import inputs as i
from tradeshell.core.events import SinkMuted
from tradeshell.core.orders import OrderState, Side
from tradeshell.engine.journal import AnyInput, Journal, NotSafe, read_gaps, read_journal

__all__ = ["stage"]


@contextmanager
def broken_disk(monkeypatch: pytest.MonkeyPatch, *, takes: int = 0) -> Iterator[None]:
    """Let the disk take ``takes`` bytes of each write."""
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if not takes:
            raise OSError(28, "No space left on device")
        return real(fd, data[:takes])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        yield


def timer(key: str) -> i.TimerFired:
    """Return an input that the journal can hold."""
    return i.TimerFired(at=OPEN, key=key)


@pytest.mark.parametrize("takes", [0, 20])
def test_a_decision_that_could_not_be_written_is_a_gap_and_what_follows_is_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: int
) -> None:
    journal = Journal(tmp_path / "journal", "s", "quiet")
    journal.append(timer("a"), ())
    whole = journal.path.read_bytes()
    with broken_disk(monkeypatch, takes=takes):
        for key in ("b", "c"):
            with pytest.raises(OSError, match=r"[Nn]o space|full"):
                journal.append(timer(key), ())
    assert journal.path.read_bytes() == whole
    assert journal.written == 1
    journal.append(timer("d"), ())
    journal.append(timer("e"), ())
    journal.close()
    assert [(entry.n, entry.input) for entry in read_journal(journal.path)] == [
        (1, timer("a")),
        (4, timer("d")),
        (5, timer("e")),
    ]
    ((missing, last),) = [(gap.gap, gap.n) for gap in read_gaps(journal.path)]
    assert (missing, last) == (2, 3)
    assert journal.written == 5


def test_what_cannot_be_cut_off_at_once_is_cut_off_before_the_next_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(fd: int, length: int) -> None:
        raise OSError(5, "Input/output error")

    journal = Journal(tmp_path / "journal", "s", "quiet")
    with broken_disk(monkeypatch, takes=20), monkeypatch.context() as patched:
        patched.setattr(os, "ftruncate", stuck)
        with pytest.raises(OSError, match="full"):
            journal.append(timer("a"), ())
    assert list(read_journal(journal.path)) == []
    journal.append(timer("b"), ())
    journal.close()
    assert [entry.input for entry in read_journal(journal.path)] == [timer("b")]


def append_until_told(journal: Journal, key: str, desk: Desktop) -> None:
    """Append until it raises: without `audit_fsync` nobody waits until a disk is known to be slow, or to have failed."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        journal.append(timer(key), desk.last)


@pytest.mark.parametrize("fsync", [False, True])
def test_P02_after_a_sync_that_failed_nothing_counts_as_safe_and_everything_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fsync: bool
) -> None:
    """The kernel may have thrown away what it could not write, and says so once.

    Kills: a sync that is tried again, succeeds and is believed.
    """

    def failing(fd: int) -> None:
        tried.set()
        raise OSError(5, "Input/output error")

    tried = threading.Event()
    desk = Desktop()
    desk.trigger()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", failing)
        journal = Journal(tmp_path / "journal", "s", "quiet", fsync=fsync)
        assert tried.wait(10)
    for key in ("a", "b"):
        with pytest.raises(NotSafe, match="a sync has failed: Input/output error"):
            append_until_told(journal, key, desk)
    journal.close()
    entries = [entry.n for entry in read_journal(journal.path)]
    assert entries == list(range(1, journal.written + 1))
    assert read_gaps(journal.path) == ()


@pytest.mark.parametrize("fsync", [False, True])
def test_P14_on_a_disk_that_takes_seconds_no_entry_leaves_and_no_exit_waits(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, fsync: bool, tmp_path: Path
) -> None:
    """A sync hangs while a trigger is decided: the entry is refused, the loop waits a quarter of a second at most.

    Kills: a loop that waits for the disk.
    """
    arm(stage)
    released, waits = threading.Event(), threading.Event()

    def hanging(fd: int) -> None:
        waits.set()
        released.wait(30)

    monkeypatch.setattr(os, "fdatasync", hanging)
    slow = Journal(tmp_path / "slow", "s", "quiet", fsync=fsync)
    desk = Desktop()
    desk.trigger()
    assert waits.wait(10)
    began = time.monotonic()
    with pytest.raises(NotSafe, match="the disk is slow"):
        append_until_told(slow, "a", desk)
    assert time.monotonic() - began < 2
    stage.session._journal = slow
    stage.run(asyncio.sleep(60))
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.deliver(bar(0, "190.12"))
    stage.run(asyncio.sleep(2))
    assert stage.broker.sent == []
    told = [record.event for record in stage.records if isinstance(record.event, SinkMuted)]
    assert "the disk is slow" in told[0].reason
    assert "entries are refused, exits go on" in told[0].reason
    monkeypatch.undo()
    released.set()
    slow.close()


def test_no_entry_leaves_when_its_trigger_is_not_on_disk(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(stage)
    stage.run(asyncio.sleep(60))
    with broken_disk(monkeypatch):
        stage.deliver(bar(0, "190.12"))
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.run(asyncio.sleep(2))
    assert stage.broker.sent == []
    assert stage.session.desk.busy() == ()
    fresh = Desktop(connected=False)
    for entry in read_journal(stage.journal.path):
        fresh.feed(entry.input)
    assert fresh.desk.orders() == ()
    assert [gap.gap for gap in read_gaps(stage.journal.path)] == [1]


def test_a_watcher_whose_start_is_not_on_disk_does_not_enter_and_a_later_one_does(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broken_disk(monkeypatch):
        arm(stage)
    assert not stage.session.is_recorded("br-1")
    break_out(stage)
    assert stage.broker.sent == []
    assert stage.session.desk.busy() == ()
    later = i.WatchSpec(
        id="br-2",
        strategy="breakout",
        plan=stage.session.desk.watchers["br-1"].spec.plan,
        params={"bar": "60", "rth": "true", "max_bars": ""},
        instrument=stage.session.desk.watchers["br-1"].spec.instrument,
        session=stage.session.desk.watchers["br-1"].spec.session,
    )
    stage.submit(i.WatchRequested(at=stage.clock.now(), watch=later))
    stage.run(asyncio.sleep(60))
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.deliver(bar(1, "190.12"))
    assert next(ref for _, ref, _ in stage.broker.sent) == "ts:br-2:entry:1"


def test_an_input_that_cannot_be_encoded_still_sends_the_exits(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    at = stage.clock.now()
    execution = i.ExecutionReport(
        exec_id="e1.01", ref=ENTRY, order_id=0, symbol="AAPL", account=stage.session.desk.account,
        side=Side.BUY, qty=43, price=bar(0, "190.12").close, at=at,
    )  # fmt: skip
    stage.submit(i.ExecutionReported(at=at, execution=execution))
    stage.broker.positions = (
        i.PositionReport(
            symbol="AAPL", con_id=265598, account=execution.account, qty=43, average=execution.price
        ),
    )
    for ref in ("ts:br-1:tp1:1", "ts:br-1:sl1:1", ENTRY):
        order = stage.session.desk.order(ref)
        assert order is not None
        ended = i.OrderReport(
            ref=ref, order_id=order.order_id, state=OrderState.CANCELLED, filled=order.filled, remaining=0,
            why="caf\udce9",
        )  # fmt: skip
        stage.submit(i.OrderReported(at=stage.clock.now(), report=ended))
    placed = [ref for action, ref, _ in stage.broker.sent if action == "place"]
    assert {"ts:br-1:sl1:2", "ts:br-1:tp1:2"} <= set(placed)
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account="DU…0001", paper=True))
    assert read_gaps(stage.journal.path)[-1].why.startswith("UnicodeEncodeError")


def test_every_input_can_be_read_back() -> None:
    """An input that the journal writes and cannot read would cost all that comes after it."""
    known = {kind for kind in vars(i).values() if isinstance(kind, type) and issubclass(kind, i.Input)}
    assert set(get_args(AnyInput)) == known - {i.Input}
