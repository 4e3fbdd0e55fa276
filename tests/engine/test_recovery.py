"""After a crash the journal alone gives the desk back: what was sent, what fired, what is stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.core.support import ACCOUNT, ENTRY, TP1, bar, d
from tests.engine.support import Stage
from tests.engine.test_session import arm, break_out, stage

from tradeshell.core import inputs as i
from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.step import Core
from tradeshell.engine.journal import Journal, read_journal
from tradeshell.engine.recovery import CORRECTIONS, is_open, recover
from tradeshell_breakout.strategy import Breakout

__all__ = ["stage"]


def core() -> Core:
    """Return a core as a new process builds it."""
    return Core({"breakout": Breakout()})


def test_the_recorded_inputs_lead_to_the_same_desk(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    found = recover(core(), stage.journal.path, "quiet")
    assert found.desk == stage.session.desk
    assert found.written == stage.session.journal_seq
    assert is_open(found.desk)


def test_a_restart_sends_nothing_and_doubts_what_was_in_flight(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    sent = len(stage.broker.sent)
    stage.inside(lambda: stage.session.restart_from(recover(core(), stage.journal.path, "quiet").desk))
    assert len(stage.broker.sent) == sent
    order = stage.session.desk.order(ENTRY)
    assert order is not None
    assert order.state is OrderState.UNKNOWN
    assert not stage.session.desk.link.up


def test_a_watcher_that_has_not_fired_waits_for_its_turn_and_looks_at_no_bar(stage: Stage) -> None:
    arm(stage)
    stage.inside(lambda: stage.session.restart_from(recover(core(), stage.journal.path, "quiet").desk))
    watcher = stage.session.desk.watchers["br-1"]
    assert watcher.phase is WatchPhase.PAUSED
    stage.connect()
    stage.run(asyncio.sleep(60))
    stage.deliver(bar(0, "190.12"))
    assert stage.broker.sent == []


def test_what_was_traded_today_is_known_after_a_restart_because_it_may_be_taken_back(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    for ref, side, number in ((ENTRY, Side.BUY, 1), (TP1, Side.SELL, 2)):
        execution = i.ExecutionReport(
            exec_id=f"e{number}.01",
            ref=ref,
            order_id=number,
            symbol="AAPL",
            account=ACCOUNT,
            side=side,
            qty=100,
            price=d("191"),
            at=stage.clock.now(),
        )
        stage.submit(i.ExecutionReported(at=stage.clock.now(), execution=execution))
    for order in stage.session.desk.orders():
        report = i.OrderReport(
            ref=order.spec.ref, order_id=order.order_id, state=OrderState.CANCELLED, filled=0, remaining=100
        )
        stage.submit(i.OrderReported(at=stage.clock.now(), report=report))
    now, path = stage.clock.now(), stage.journal.path
    assert not is_open(stage.session.desk)
    assert recover(core(), path, "quiet", now).goes_on_after == stage.session.journal_seq
    assert recover(core(), path, "quiet", now + CORRECTIONS * 2).goes_on_after == 0


def test_a_stop_of_entries_is_kept(stage: Stage) -> None:
    stage.submit(i.StopEntryRequested(at=stage.clock.now(), on=True))
    assert recover(core(), stage.journal.path, "quiet").desk.stopped == "stopentry"


def test_a_torn_last_record_is_cut_off_and_the_journal_goes_on_behind_it(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    stage.journal.close()
    path = stage.journal.path
    whole = path.read_bytes()
    before = recover(core(), path, "quiet")
    path.write_bytes(whole + whole.splitlines()[-1][:40])
    found = recover(core(), path, "quiet")
    assert found == before
    journal = Journal(path, "later", "quiet", after=found.written)
    journal.append(i.Restarted(at=stage.clock.now()), ())
    journal.close()
    assert path.read_bytes().startswith(whole)
    assert [entry.n for entry in read_journal(path)] == list(range(1, found.written + 2))


@pytest.mark.parametrize("content", [b"", b"0000", b"00000000 {}\n"])
def test_a_journal_that_says_nothing_leads_to_an_empty_desk(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    assert recover(core(), path, "quiet").desk == Desk()


def test_a_damaged_journal_is_named_and_another_brokers_is_not_used(stage: Stage) -> None:
    arm(stage)
    stage.journal.close()
    path = stage.journal.path
    assert recover(core(), path, "another") == recover(core(), path.with_name("none"), "quiet")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1][:-5] + b"xxxxx", *lines[2:]]))
    assert "the checksum does not match" in recover(core(), path, "quiet").why_not
