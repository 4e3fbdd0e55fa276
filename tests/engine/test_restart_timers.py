"""Timers and questions die with the process: a restart asks again, and looks again at whatever waited."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.core.support import ACCOUNT, ENTRY
from tests.engine.support import Stage
from tests.engine.test_session import arm, break_out

from tradeshell.core import inputs as i
from tradeshell.core.orders import Side
from tradeshell.core.step import Core
from tradeshell.core.trade import TradePhase
from tradeshell.engine.recovery import recover, take_up
from tradeshell_breakout.strategy import Breakout


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A session whose entry has just left."""
    made = Stage(tmp_path)
    made.connect()
    arm(made)
    break_out(made)
    yield made
    made.close()


def fill(stage: Stage) -> None:
    """Let the entry execute."""
    execution = i.ExecutionReport(
        exec_id="e1.01",
        ref=ENTRY,
        order_id=1,
        symbol="AAPL",
        account=ACCOUNT,
        side=Side.BUY,
        qty=100,
        price=Decimal("190.02"),
        at=stage.clock.now(),
    )
    stage.submit(i.ExecutionReported(at=stage.clock.now(), execution=execution))
    assert stage.session.desk.trades()[0].phase is TradePhase.OPEN


def restart(stage: Stage) -> set[str]:
    """Start again as a new process would, and return the timers that run then."""
    for timer in stage.session._timers.values():
        timer.cancel()
    stage.session._timers.clear()
    found = recover(Core({"breakout": Breakout()}), stage.journal.path, "quiet")
    stage.inside(lambda: take_up(stage.session, found))
    return set(stage.session._timers)


def test_an_open_trade_is_looked_at_again_and_asks_for_the_hours_of_its_day(stage: Stage) -> None:
    fill(stage)
    assert {"again:br-1:restart", "hours:br-1"} <= restart(stage)


def test_an_entry_that_works_still_times_out_and_still_minds_a_halt(stage: Stage) -> None:
    assert {"entry:br-1", "halt:br-1"} <= restart(stage)


def test_a_touch_that_was_asked_for_is_asked_for_again(stage: Stage) -> None:
    """A stop that was to be raised when the process died must not wait for an answer that nobody gives."""
    fill(stage)
    desk = stage.session.desk
    book, trade = desk.books["AAPL"], desk.trades()[0]
    asked = replace(trade, asked_raise_at=stage.clock.now(), priced_at=stage.clock.now())
    books = {"AAPL": replace(book, trades={trade.id: asked})}
    stage.inside(lambda: stage.session.restart_from(replace(desk, books=books)))
    after = stage.session.desk.trades()[0]
    assert after.asked_raise_at is None
    assert after.priced_at is None


def test_a_trade_that_is_over_is_left_alone(stage: Stage) -> None:
    for order in stage.session.desk.orders():
        stage.submit(
            i.SendFailed(
                at=stage.clock.now(), ref=order.spec.ref, action="place", reason="no route", certain=True
            )
        )
    assert stage.session.desk.trades()[0].phase is TradePhase.CLOSED
    assert restart(stage) == set()
