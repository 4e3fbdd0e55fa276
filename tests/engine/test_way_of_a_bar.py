"""What stands between a bar and its order: one decision, one record, one piece; and what has to wait."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.core.support import ENTRY, bar, quote
from tests.engine.support import Stage
from tests.engine.test_session import arm, break_out

from tradeshell.core import inputs as i
from tradeshell.core.commands import PlaceOrder
from tradeshell.core.desk import Desk
from tradeshell.core.orders import OrderState
from tradeshell.core.step import Core
from tradeshell.engine import syncer
from tradeshell.engine.journal import read_journal
from tradeshell_breakout.strategy import Breakout


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.connect()
    yield made
    made.close()


def test_a_bar_with_a_fresh_touch_at_hand_is_one_record_that_closes_the_watcher_and_holds_the_orders(
    stage: Stage,
) -> None:
    arm(stage)
    before = stage.journal.written
    break_out(stage)
    assert stage.journal.written == before + 1
    last = list(read_journal(stage.journal.path))[-1]
    assert isinstance(last.input, i.BarClosed)
    assert last.input.quote == stage.broker.quotes["AAPL"]
    assert len(last.orders) == 3
    assert stage.session.desk.watchers["br-1"].fired


def test_a_bar_that_asks_for_no_entry_is_recorded_without_a_touch(stage: Stage) -> None:
    arm(stage)
    stage.run(asyncio.sleep(60))
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.deliver(bar(0, "189.90", high="190.05"))
    last = list(read_journal(stage.journal.path))[-1]
    assert isinstance(last.input, i.BarClosed)
    assert last.input.quote is None


def test_a_broker_whose_touch_raises_is_told_and_the_touch_is_asked_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(stage)

    def broken(symbol: str) -> None:
        raise RuntimeError(symbol)

    monkeypatch.setattr(stage.broker, "latest", broken)
    break_out(stage)
    assert "EngineFault" in stage.names()
    assert stage.session.desk.watchers["br-1"].fired
    assert stage.broker.sent == []
    stage.run(asyncio.sleep(1.1))
    assert len(stage.broker.sent) == 3, "the touch that was fetched decides"


def test_the_orders_of_one_decision_leave_in_one_piece_and_a_single_one_by_itself(stage: Stage) -> None:
    told: list[object] = []

    @contextmanager
    def together() -> Iterator[None]:
        told.append("begin")
        yield
        told.append([ref for _, ref, _ in stage.broker.sent])

    stage.broker.together = together  # type: ignore[attr-defined]  # offered by having it
    stage.session.attach(stage.broker)
    arm(stage)
    break_out(stage)
    assert told == ["begin", [ref for _, ref, _ in stage.broker.sent]]
    assert len(stage.broker.sent) == 3
    stage.submit(i.CancelRequested(at=stage.clock.now(), ref=ENTRY))
    assert len(told) == 2


def test_what_no_order_waits_for_waits_for_the_end_of_a_packet_and_orders_do_not(stage: Stage) -> None:
    arm(stage)
    changes: list[int] = []
    stage.session.changed.append(lambda: changes.append(len(stage.broker.sent)))
    stage.run(asyncio.sleep(60))
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())

    def packet() -> None:
        with stage.session.packet(), stage.session.packet():
            stage.broker.listeners["AAPL", 60, True](bar(0, "190.12"))
            assert len(stage.broker.sent) == 3, "an order waits for no packet"
            report = i.OrderReport(ref=ENTRY, order_id=1, state=OrderState.WORKING, filled=0, remaining=100)
            stage.session.submit(i.OrderReported(at=stage.clock.now(), report=report))
            assert changes == []
            assert "bars AAPL 60" not in stage.broker.cancelled

    stage.inside(packet)
    assert changes == [3]
    assert "bars AAPL 60" in stage.broker.cancelled


def test_the_number_of_an_order_is_told_after_it_has_left_and_all_is_told_in_the_order_it_was_decided(
    stage: Stage,
) -> None:
    arm(stage)
    seen: list[list[str]] = []
    stage.broker.before_send = lambda ref: seen.append(stage.names())
    break_out(stage)
    assert [names[-1] for names in seen] == ["OrderIntent"] * 3
    names = stage.names()
    first = names.index("OrderIntent")
    assert names[first - 1] == "BreakoutConfirmed"
    assert names[first : first + 6] == ["OrderIntent", "OrderIdAssigned"] * 3
    assert [record.seq for record in stage.records] == list(range(1, len(names) + 1))


def test_the_journal_of_a_program_that_asked_in_two_steps_is_still_repeated(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    entries = list(read_journal(stage.journal.path))
    closed = entries[-1].input
    assert isinstance(closed, i.BarClosed)
    step = Core({"breakout": Breakout()}).step
    found = []
    now = Desk()
    for entry in entries[:-1]:
        now, _ = step(now, entry.input)
    old = i.BarClosed(at=closed.at, bar=closed.bar, rth=closed.rth)
    answer = i.QuoteAnswered(at=closed.at, key="br-1", quote=closed.quote, session=closed.session)
    for event in (old, answer):
        now, commands = step(now, event)
        found += [each for each in commands if isinstance(each, PlaceOrder)]
    assert tuple(found) == entries[-1].orders


def test_what_was_written_is_synced_soon_after_the_decision_and_not_by_a_thread_that_looks_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syncer, "SYNC_ANYWAY", 3600.0)
    synced = threading.Event()
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.set())
    stage = Stage(tmp_path)
    try:
        assert not synced.is_set()
        stage.connect()
        assert synced.wait(10)
    finally:
        stage.close()
