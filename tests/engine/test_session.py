"""The session: state, record, send, outcome, in this order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.core.support import AAPL, ENTRY, SESSION, Desktop, bar, plan, quote
from tests.engine.support import Nothing, Stage

from tradeshell.core import inputs as i
from tradeshell.core.commands import Command, PlaceOrder
from tradeshell.core.desk import Desk
from tradeshell.core.orders import OrderState
from tradeshell.core.step import Core
from tradeshell.core.trade import TradePhase
from tradeshell.engine.journal import read_journal
from tradeshell.errors import BrokerError, OperatorError, StateError
from tradeshell.ports import Record, Snapshot
from tradeshell_breakout.strategy import Breakout


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.connect()
    yield made
    made.close()


def arm(stage: Stage) -> None:
    """Arm the usual watcher."""
    watch = i.WatchSpec(
        id="br-1",
        strategy="breakout",
        plan=plan(),
        params={"bar": "60", "rth": "true", "max_bars": ""},
        instrument=AAPL,
        session=SESSION,
    )
    stage.submit(i.WatchRequested(at=stage.clock.now(), watch=watch))


def break_out(stage: Stage) -> None:
    """Let a bar close above the level with a fresh touch in reach."""
    stage.run(asyncio.sleep(60))
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.deliver(bar(0, "190.12"))


def test_when_the_bytes_leave_the_state_is_in_flight_and_journal_and_audit_have_the_intent(
    stage: Stage,
) -> None:
    seen: list[tuple[OrderState, bool, bool]] = []

    def before_send(ref: str) -> None:
        order = stage.session.desk.order(ref)
        assert order is not None
        on_disk = any(
            isinstance(command, PlaceOrder) and command.order.ref == ref
            for entry in read_journal(stage.journal.path)
            for command in entry.orders
        )
        audited = any(
            type(r.event).__name__ == "OrderIntent" and getattr(r.event, "order_ref", "") == ref
            for r in stage.records
        )
        seen.append((order.state, on_disk, audited))

    stage.broker.before_send = before_send
    arm(stage)
    break_out(stage)
    assert seen == [(OrderState.SENT, True, True)] * 3
    assert [action for action, _, _ in stage.broker.sent] == ["place"] * 3
    assert stage.names().count("OrderSent") == 3


def test_what_no_order_waits_for_waits_until_the_orders_have_left(stage: Stage) -> None:
    shown: list[str] = []
    seen: list[tuple[bool, bool, int]] = []
    stage.session.audit.add("screen", lambda record: shown.append(type(record.event).__name__), shows=True)
    arm(stage)

    def before_send(ref: str) -> None:
        del ref
        seen.append(("OrderIntent" in shown, "bars AAPL 60" in stage.broker.cancelled, len(changes)))

    changes: list[int] = []
    stage.session.changed.append(lambda: changes.append(1))
    stage.broker.before_send = before_send
    break_out(stage)
    assert seen == [(False, False, 0)] * 3
    assert "bars AAPL 60" in stage.broker.cancelled
    assert changes == [1]
    assert shown[-len(stage.names()) :] == stage.names()[-len(shown) :], "the screen has all of it, in order"


def test_a_broker_that_certainly_sent_nothing_refuses_the_order(stage: Stage) -> None:
    stage.broker.fail = BrokerError("not connected")
    arm(stage)
    break_out(stage)
    order = stage.session.desk.order(ENTRY)
    assert order is not None
    assert order.state is OrderState.REFUSED
    assert stage.session.desk.busy() == ()


def test_the_children_of_an_entry_that_did_not_leave_do_not_leave_either(stage: Stage) -> None:
    def only_the_entry(ref: str) -> None:
        stage.broker.fail = BrokerError("refused by the library") if ref == ENTRY else None

    stage.broker.before_send = only_the_entry
    arm(stage)
    break_out(stage)
    assert stage.broker.sent == []
    assert stage.session.desk.busy() == ()


def test_anything_else_that_sending_raises_leaves_the_outcome_unknown(stage: Stage) -> None:
    stage.broker.fail = AssertionError("order is done")
    arm(stage)
    break_out(stage)
    order = stage.session.desk.order(ENTRY)
    assert order is not None
    assert order.state is OrderState.UNKNOWN
    assert stage.session.desk.busy() == ("br-1",)


def test_without_a_journal_entries_are_refused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    arm(stage)

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    break_out(stage)
    monkeypatch.undo()
    assert stage.broker.sent == []
    assert "SinkMuted" in stage.names()
    assert "OrderSendFailed" in stage.names()


def test_a_missing_quote_is_waited_for_a_second_and_then_rejected(stage: Stage) -> None:
    arm(stage)
    stage.run(asyncio.sleep(60))
    stage.deliver(bar(0, "190.12"))
    trade = stage.session.desk.trade("br-1")
    assert trade is not None
    assert trade.phase is TradePhase.ASKING
    stage.run(asyncio.sleep(1.1))
    assert "BreakoutRejected" in stage.names()
    assert stage.broker.sent == []


def test_poison_bars_and_repetitions_never_reach_a_strategy(stage: Stage) -> None:
    arm(stage)
    listen = stage.deliver
    stage.run(asyncio.sleep(120))
    before = stage.session.desk
    listen(bar(0, "189", high="188"))
    listen(bar(0, "NaN"))
    listen(bar(0, "-1"))
    assert stage.names().count("DataRejected") == 3
    listen(bar(1, "189"))
    listen(bar(1, "199"))
    listen(bar(0, "199"))
    assert stage.session.desk is before


def test_a_watcher_whose_bars_cannot_be_had_is_ended_and_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BrokerError("AAPL: 5s bars are finer than what is recorded")

    monkeypatch.setattr(stage.broker, "subscribe", refuse)
    arm(stage)
    assert stage.session.desk.busy() == ()
    assert stage.names()[-3:] == ["BreakoutStarted", "DataRejected", "BreakoutStopped"]


def test_subscriptions_are_shared_and_end_with_their_last_watcher(stage: Stage) -> None:
    for id_ in ("br-1", "br-2"):
        watch = i.WatchSpec(
            id=id_,
            strategy="breakout",
            plan=plan(),
            params={"bar": "60", "rth": "true", "max_bars": ""},
            instrument=AAPL,
            session=SESSION,
        )
        stage.submit(i.WatchRequested(at=stage.clock.now(), watch=watch))
    stage.submit(i.WatchCancelRequested(at=stage.clock.now(), watch="br-1"))
    assert stage.broker.cancelled == []
    stage.submit(i.WatchCancelRequested(at=stage.clock.now(), watch="br-2"))
    assert stage.broker.cancelled == ["bars AAPL 60"]


def test_a_failing_sink_is_muted_and_everything_else_goes_on(stage: Stage) -> None:
    calls: list[Record] = []

    def broken(record: Record) -> None:
        calls.append(record)
        raise OSError("disk on fire")

    stage.session.audit.add("broken", broken)
    arm(stage)
    break_out(stage)
    assert len(calls) == 1
    assert stage.names().count("SinkMuted") == 1
    assert len(stage.broker.sent) == 3


def test_a_strategy_that_raises_ends_only_its_own_watcher(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    arm(stage)
    monkeypatch.setattr(Breakout, "on_bar", broken)
    break_out(stage)
    assert stage.session.desk.busy() == ()
    assert "BrokerMessageUnclassified" in stage.names()


def test_a_defect_of_ours_drops_one_input_and_is_told_in_one_line(stage: Stage, tmp_path: Path) -> None:
    stage.submit(i.TimerFired(at=stage.clock.now(), key="entry:nobody"))
    stage.submit(i.Input(at=stage.clock.now()))
    assert stage.names()[-1] == "EngineFault"
    assert "KeyError" in (tmp_path / "crash.log").read_text()
    arm(stage)
    break_out(stage)
    assert len(stage.broker.sent) == 3


def test_the_recorded_inputs_give_the_same_commands_in_a_fresh_core_and_altered_ones_do_not(
    stage: Stage,
) -> None:
    arm(stage)
    break_out(stage)
    entries = list(read_journal(stage.journal.path))
    assert sum(len(entry.orders) for entry in entries) == 3

    def replayed(inputs: list[i.Input]) -> list[object]:
        fresh = Desktop(connected=False)
        for event in inputs:
            fresh.feed(event)
        return [command for command in fresh.all if isinstance(command, PlaceOrder)]

    recorded = [command for entry in entries for command in entry.orders]
    inputs = [entry.input for entry in entries]
    assert replayed(list(inputs)) == recorded
    (at,) = [n for n, event in enumerate(inputs) if isinstance(event, i.BarClosed)]
    altered = list(inputs)
    altered[at] = i.BarClosed(at=inputs[at].at, bar=bar(0, "189.99"), rth=True)
    assert replayed(list(altered)) == []


def test_inputs_that_change_nothing_are_not_recorded(stage: Stage) -> None:
    arm(stage)
    before = stage.journal.written
    stage.run(asyncio.sleep(120))
    stage.deliver(bar(0, "189"))
    stage.submit(i.TimerFired(at=stage.clock.now(), key="close:nobody"))
    assert stage.journal.written == before


def test_a_journal_is_read_up_to_a_torn_tail_and_damage_before_it_is_named(stage: Stage) -> None:
    arm(stage)
    break_out(stage)
    data = stage.journal.path.read_bytes()
    whole = list(read_journal(stage.journal.path))
    stage.journal.path.write_bytes(data[:-7])
    assert list(read_journal(stage.journal.path)) == whole[:-1]
    flipped = bytearray(data)
    flipped[data.index(b"WatchRequested")] ^= 1
    stage.journal.path.write_bytes(bytes(flipped))
    with pytest.raises(StateError, match=r"line \d+: the checksum does not match"):
        list(read_journal(stage.journal.path))


def test_an_earlier_journal_is_kept_when_a_new_one_begins(tmp_path: Path) -> None:
    first = Stage(tmp_path)
    first.connect()
    first.close()
    second = Stage(tmp_path)
    second.close()
    assert (tmp_path / "journal.1").exists()
    assert len(list(read_journal(tmp_path / "journal.1"))) == 2


def test_the_core_needs_nothing_but_its_strategies() -> None:
    desk = Desktop().desk
    again, commands = Core({}).step(desk, i.TimerFired(at=bar(0, "1").start, key="ack:nobody"))
    assert again is desk
    assert commands == ()


def test_bars_that_are_not_finite_or_have_not_ended_are_poison(stage: Stage) -> None:
    arm(stage)
    stage.run(asyncio.sleep(60))
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.deliver(bar(0, "190.12", high="Infinity"))
    stage.deliver(bar(0, "Infinity", low="189"))
    stage.deliver(bar(1, "190.12"))
    assert stage.names().count("DataRejected") == 3
    assert stage.broker.sent == []
    stage.run(asyncio.sleep(55))  # its end may be 5 s ahead: clocks differ
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.deliver(bar(1, "190.12"))
    assert len(stage.broker.sent) == 3


@pytest.mark.parametrize(
    "error", [BrokerError("no data line"), ZeroDivisionError("a defect"), asyncio.CancelledError()]
)
def test_a_touch_that_cannot_be_had_ends_the_attempt_whatever_the_adapter_raises(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def fails(*_: object) -> None:
        raise error

    arm(stage)
    stage.run(asyncio.sleep(60))
    monkeypatch.setattr(stage.broker, "snapshot", fails)
    stage.deliver(bar(0, "190.12"))
    stage.run(asyncio.sleep(5))
    assert stage.session.desk.busy() == ()
    assert stage.broker.sent == []
    assert {"DataRejected", "EngineFault"} & set(stage.names())


@pytest.mark.parametrize("call", ["latest", "session", "subscribe_quotes", "subscribe"])
@pytest.mark.parametrize("error", [BrokerError("no data line"), ZeroDivisionError("a defect")])
def test_a_failing_market_data_call_neither_escapes_nor_leaves_anything_armed_blind(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(stage.broker, call, fails)
    arm(stage)
    if call in {"latest", "session"}:
        break_out(stage)
        stage.run(asyncio.sleep(2))
    assert stage.session.desk.busy() == () or call == "latest"
    assert {"DataRejected", "EngineFault"} & set(stage.names())


def test_an_elected_stop_is_told_once_that_its_touches_cannot_be_had_and_they_are_asked_for_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise BrokerError("no market data line")

    asked: list[str] = []

    def works(symbol: str, on_quote: object = None) -> Nothing:
        asked.append(symbol)
        return Nothing([], symbol)

    monkeypatch.setattr(stage.broker, "subscribe_quotes", fails)
    for _ in range(3):
        stage.session.feeds.chase(frozenset({"AAPL", "MSFT"}))
    assert stage.names().count("DataRejected") == 2
    monkeypatch.setattr(stage.broker, "subscribe_quotes", works)
    stage.session.feeds.chase(frozenset({"AAPL", "MSFT"}))
    assert asked == ["AAPL", "MSFT"]


def test_a_command_that_fails_does_not_take_the_others_with_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no timers")

    arm(stage)
    stage.run(asyncio.sleep(60))
    monkeypatch.setattr(stage.session, "_set_timer", fails)
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.deliver(bar(0, "190.12"))
    assert len(stage.broker.sent) == 3
    assert "EngineFault" in stage.names()


def test_a_request_that_the_core_refuses_is_raised_after_everything_else_was_processed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = stage.session
    step = session._core.step

    def refuses(desk: Desk, event: i.Input) -> tuple[Desk, tuple[Command, ...]]:
        if isinstance(event, i.WatchRequested):
            session.submit(i.WatchCancelRequested(at=event.at, watch="br-1"))
            session.submit(i.LinkChanged(at=event.at, up=False, account="DU…0001", paper=True, why="gone"))
        if isinstance(event, i.WatchRequested | i.WatchCancelRequested):
            raise OperatorError(f"{type(event).__name__} makes no sense")
        return step(desk, event)

    monkeypatch.setattr(session._core, "step", refuses)
    with pytest.raises(OperatorError, match="WatchRequested makes no sense"):
        arm(stage)
    assert not session.desk.link.up
    assert "EngineFault" in stage.names()


def test_what_makes_no_sense_is_never_raised_back_into_the_adapter(stage: Stage) -> None:
    nobody: Any = None
    stage.inside(
        lambda: stage.session.receive(
            i.LinkChanged(at=stage.clock.now(), up=True, account=nobody, paper=True)
        )
    )
    assert stage.names()[-1] == "EngineFault"


# --- snapshots --------------------------------------------------------------------------------------------------------


class Accountant:
    """Answers snapshots a second after they were requested; ``requested`` says when."""

    def __init__(self, stage: Stage) -> None:
        self.requested: list[float] = []
        self.at_once = 0
        self._stage = stage
        self._began = stage.loop.time()

    async def snapshot_account(self) -> Snapshot:
        """Answer, one at a time."""
        self.requested.append(round(self._stage.loop.time() - self._began, 6))
        self.at_once += 1
        assert self.at_once == 1
        try:
            await asyncio.sleep(1)
        finally:
            self.at_once -= 1
        return Snapshot(orders=(), executions=(), positions=())


def test_a_snapshot_asked_for_while_one_is_in_flight_is_requested_after_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.run(asyncio.sleep(1))
    accountant = Accountant(stage)
    monkeypatch.setattr(stage.broker, "snapshot_account", accountant.snapshot_account)
    stage.inside(stage.session.reconcile)
    stage.run(asyncio.sleep(0.5))
    for _ in range(3):
        stage.inside(stage.session.reconcile)
    stage.run(asyncio.sleep(5))
    assert accountant.requested == [0, 1]


def test_snapshots_are_requested_a_quarter_of_a_second_apart(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested: list[float] = []

    async def at_once() -> Snapshot:
        requested.append(stage.loop.time())
        return Snapshot(orders=(), executions=(), positions=())

    monkeypatch.setattr(stage.broker, "snapshot_account", at_once)
    for _ in range(20):
        stage.inside(stage.session.reconcile)
        stage.run(asyncio.sleep(0.05))
    gaps = [b - a for a, b in pairwise(requested)]
    assert 3 <= len(gaps) <= 5
    assert min(gaps) >= 0.2499


def test_a_new_connection_does_not_wait_for_a_snapshot_of_the_old_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    accountant = Accountant(stage)
    monkeypatch.setattr(stage.broker, "snapshot_account", accountant.snapshot_account)
    for up in (False, True, False, True):
        stage.submit(i.LinkChanged(at=stage.clock.now(), up=up, account="DU…0001", paper=True))
        stage.run(asyncio.sleep(0.1))
    assert accountant.requested == [0.1, 0.3]
    assert not stage.session.desk.link.is_open
    stage.run(asyncio.sleep(1))
    assert stage.session.desk.link.is_open


@pytest.mark.parametrize(
    "error", [BrokerError("positionEnd never came"), ZeroDivisionError("a defect"), asyncio.CancelledError()]
)
def test_a_snapshot_that_fails_is_told_whatever_the_adapter_raises(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    async def fails() -> Snapshot:
        raise error

    monkeypatch.setattr(stage.broker, "snapshot_account", fails)
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account="DU…0001", paper=True))
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=True, account="DU…0001", paper=True))
    stage.run(asyncio.sleep(1))
    assert stage.names()[-1] == "ReconciliationFailed"
    assert stage.session.unreconciled
    assert not stage.session.desk.link.is_open


def test_a_live_account_is_let_go_at_once_while_only_paper_is_allowed(stage: Stage) -> None:
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account="DU…0001", paper=True))

    async def go() -> None:
        stage.session.receive(i.LinkChanged(at=stage.clock.now(), up=True, account="U1234567", paper=False))
        assert not stage.session.desk.link.up
        assert not stage.session.unconfirmed
        stage.session.paper_only = False
        stage.session.live_account = "U1234567"
        stage.session.receive(i.LinkChanged(at=stage.clock.now(), up=True, account="U1234567", paper=False))
        assert stage.session.desk.link.up

    stage.run(go())


@pytest.mark.parametrize("typed", ["", "U…4567", "U7654321", "U12345678"])
def test_a_live_account_whose_whole_id_nobody_has_typed_is_let_go_at_once(stage: Stage, typed: str) -> None:
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account="DU…0001", paper=True))
    stage.session.paper_only = False
    stage.session.live_account = typed

    async def go() -> None:
        stage.session.receive(i.LinkChanged(at=stage.clock.now(), up=True, account="U1234567", paper=False))
        assert not stage.session.desk.link.up
        assert stage.session.unconfirmed == "U1234567"

    stage.run(go())
