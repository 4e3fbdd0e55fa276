"""Rehearsals: nothing leaves, nothing is written, nobody is told, and the desk stays as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.core.support import AAPL, ENTRY, SESSION, d, plan
from tests.engine.support import Stage
from tests.engine.test_session import arm, break_out

from tradeshell.core import inputs as i
from tradeshell.core.checks import CheckContext, PreTradeCheck
from tradeshell.core.guards import Refusal
from tradeshell.core.orders import OrderSpec, OrderState
from tradeshell.core.plan import ExitMode
from tradeshell.core.step import Core
from tradeshell.engine import rehearsal
from tradeshell.engine.rehearsal import Rehearsal
from tradeshell.ports import Record, SinkContext
from tradeshell_breakout.strategy import Breakout
from tradeshell_jsonl_log.writer import open_log


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(rehearsal, "EVERY", 0.0)
    made = Stage(tmp_path)
    made.connect()
    yield made
    made.close()


class Theatre:
    """A stage with a broker that rehearses, and what it was asked to."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.orders: list[tuple[OrderSpec, int]] = []
        stage.broker.rehearse = lambda order, number: self.orders.append((order, number))  # type: ignore[attr-defined]  # offered by having it
        self.asked: list[str] = []

        def check(context: CheckContext) -> Refusal | None:
            self.asked.append(context.plan.symbol)
            return None

        checks = [PreTradeCheck(name="spy", owner="test", check=check)]
        self.rehearsal = Rehearsal(stage.session, Core({"breakout": Breakout()}, checks))

    def rehearse(self) -> None:
        self.stage.inside(self.rehearsal.rehearse)


def test_the_entry_of_an_armed_watcher_is_rehearsed_and_nothing_comes_of_it(stage: Stage) -> None:
    arm(stage)
    theatre = Theatre(stage)
    before = (stage.session.desk, stage.journal.written, len(stage.records), stage.journal.path.read_bytes())
    theatre.rehearse()
    assert [order.ref for order, _ in theatre.orders][:1] == [ENTRY]
    assert len(theatre.orders) == 3
    assert stage.broker.sent == []
    assert theatre.asked == [], "checks of plugins are not asked"
    after = (stage.session.desk, stage.journal.written, len(stage.records), stage.journal.path.read_bytes())
    assert after == before
    assert after[0] is before[0]
    stage.run(asyncio.sleep(30))
    assert stage.session.desk is before[0], "no timer of a rehearsal is ever due"


def test_what_was_rehearsed_a_thousand_times_happens_once_and_as_always(stage: Stage) -> None:
    arm(stage)
    theatre = Theatre(stage)
    for _ in range(1000):
        theatre.rehearse()
    rehearsed = theatre.orders[-3:]
    break_out(stage)
    assert [(ref, number) for _, ref, number in stage.broker.sent] == [(o.ref, n) for o, n in rehearsed]
    assert stage.names().count("OrderSent") == 3


def test_while_a_ladders_entry_works_its_fill_and_its_exits_are_rehearsed(stage: Stage) -> None:
    ladder = plan(mode=ExitMode.DETACHED, tps=(d("195"), d("198"), d("202")))
    watch = i.WatchSpec(
        id="br-1",
        strategy="breakout",
        plan=ladder,
        params={"bar": "60", "rth": "true", "max_bars": ""},
        instrument=AAPL,
        session=SESSION,
    )
    stage.submit(i.WatchRequested(at=stage.clock.now(), watch=watch))
    break_out(stage)
    theatre = Theatre(stage)
    before = stage.session.desk
    theatre.rehearse()
    assert {order.side.value for order, _ in theatre.orders} == {"SELL"}
    assert len(theatre.orders) == 6
    assert [ref for _, ref, _ in stage.broker.sent] == [ENTRY]
    assert stage.session.desk is before
    order = before.order(ENTRY)
    assert order is not None
    assert (order.state, order.filled) == (OrderState.SENT, 0)


def test_nothing_is_rehearsed_without_a_watcher_or_a_link_or_before_it_is_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    theatre = Theatre(stage)
    theatre.rehearse()
    assert theatre.orders == []
    arm(stage)
    monkeypatch.setattr(rehearsal, "EVERY", 3600.0)
    theatre.rehearse()
    theatre.rehearse()
    assert len(theatre.orders) == 3
    monkeypatch.setattr(rehearsal, "EVERY", 0.0)
    fresh = Theatre(stage)
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account="", paper=True, why="gone"))
    fresh.rehearse()
    assert fresh.orders == []


def test_a_defect_ends_the_rehearsals_with_one_line_and_trading_goes_on(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    arm(stage)
    theatre = Theatre(stage)

    def broken(symbol: str) -> None:
        raise ZeroDivisionError(symbol)

    with monkeypatch.context() as patched:
        patched.setattr(stage.broker, "latest", broken)
        theatre.rehearse()
        theatre.rehearse()
    theatre.rehearse()
    assert stage.names().count("EngineFault") == 1
    assert theatre.orders == []
    break_out(stage)
    assert len(stage.broker.sent) == 3


def test_a_sink_that_can_rehearse_gets_the_records_and_writes_none_and_others_get_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    with open_log(SinkContext(state_dir=tmp_path, settings={}, environ={})) as log:
        rehearsed: list[list[Record]] = []
        real = log.rehearse  # type: ignore[attr-defined]  # of this sink

        def rehearse(records: list[Record]) -> None:
            rehearsed.append(list(records))
            real(records)

        log.rehearse = rehearse  # type: ignore[attr-defined]  # as above
        stage.session.audit.add("jsonl", log)
        arm(stage)
        size = (tmp_path / "events.jsonl").stat().st_size
        theatre = Theatre(stage)
        theatre.rehearse()
        assert any(
            type(record.event).__name__ == "OrderIntent" for records in rehearsed for record in records
        )
        assert (tmp_path / "events.jsonl").stat().st_size == size
        told = stage.names().count("OrderIntent")
        assert told == 0
        break_out(stage)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert sum('"event":"OrderIntent"' in line for line in lines) == 3
