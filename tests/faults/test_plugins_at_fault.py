"""Plugins that are slow or hostile (X04): what they can do to the engine, to the log, and to the account.

Laws: a plugin shares the process, so nothing keeps it from doing what Python can do; what it does to others is bounded, named and
told, and no way that it is offered leads to an order but a wish. ``Kills`` names a change of the program that the test does not
survive.
"""

# ids of scenarios have capital letters

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from math import inf
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from tests.faults.kit import Stage
from tests.faults.scenes import RUNNING, commands
from tests.faults.wire_kit import WireStage

from tradeshell.core.checks import CheckContext, PreTradeCheck
from tradeshell.core.events import BrokerMessageUnclassified, RiskRejected, SessionEnded
from tradeshell.core.exit_events import KillSwitchEngaged
from tradeshell.core.step import Core
from tradeshell.core.strategy import Enter, Tell
from tradeshell.core.upkeep_events import EngineLagged, EngineStuck
from tradeshell.engine import watchdog
from tradeshell.engine.nobroker import NoBroker
from tradeshell.engine.runtime import Engine, Plan
from tradeshell.ports import Broker, BrokerContext, BrokerOffer, Record, SinkContext, VenueOptions
from tradeshell_breakout.strategy import Breakout

PATIENCE = 20.0  # seconds of a busy machine
SLOW = """
from contextlib import contextmanager
@contextmanager
def open_sink(context):
    yield take
def take(record):
    if type(record.event).__name__ == "SessionStarted":
        begun.set()
        released.wait(20)
"""


@contextmanager
def nobody(context: BrokerContext) -> Iterator[Broker]:
    """Open no broker."""
    del context
    yield NoBroker()


def test_X04_a_plugin_that_blocks_the_loop_is_named_with_its_line_and_no_entry_leaves_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink waits for ten seconds (here for a fifth of one) at its first record.

    Kills: a watchdog that says only that something is slow; a plugin that may hold up the next entry's stop, too.
    """
    for name in ("LOOK_EVERY", "LAG", "STUCK"):
        monkeypatch.setattr(watchdog, name, getattr(watchdog, name) / 50)
    slow: Any = ModuleType("slow_plugin")
    slow.begun, slow.released = threading.Event(), threading.Event()
    exec(SLOW, vars(slow))
    shown: list[Record] = []
    plan = Plan(
        session="test",
        version="test",
        broker_name="none",
        broker=BrokerOffer(open=nobody, own_clock=False, words="none"),
        broker_settings={},
        options=VenueOptions(speed=inf),
        strategies={},
        sinks={"slow": (slow.open_sink, SinkContext(state_dir=tmp_path, settings={}, environ={}))},
        state_dir=tmp_path,
    )
    engine = Engine(plan, shown.append)
    engine.start()
    stuck: list[EngineStuck] = []
    try:
        alarmed = threading.Event()

        def alarm(event: Any) -> None:
            stuck.append(event)
            alarmed.set()

        assert engine._watchdog is not None
        engine._watchdog._alarm = alarm
        engine.loop.call_soon_threadsafe(lambda: slow.take(_started()))
        assert alarmed.wait(PATIENCE)
        slow.released.set()

        async def stopped() -> str:
            return engine.session.desk.stopped

        for _ in range(1000):
            if engine.call(stopped()):
                break
        assert engine.call(stopped()) != ""
    finally:
        slow.released.set()
        engine.stop()
    assert "in plugin slow_plugin (take, line " in (stuck[0].story() or "")
    told = [record.event for record in shown]
    (lagged,) = (event for event in told if isinstance(event, EngineLagged) and event.stops_entries)
    assert lagged.where.startswith("slow_plugin (take, line ")
    assert any(isinstance(event, KillSwitchEngaged) for event in told)


def _started() -> Any:
    """Return a record of the kind that the slow sink waits at."""
    event = type("SessionStarted", (), {})()
    return type("Record", (), {"event": event})()


class Flood(Breakout):
    """A strategy that tells a hundred thousand things of one bar, and asks to enter besides."""

    def on_bar(self, watch: Any, state: Any, bar: Any, at: Any) -> Any:
        """Wish for too much."""
        return state, (*[Tell(SessionEnded(reason="flood"))] * 100_000, Enter(bar))


def test_X04_a_strategy_that_floods_is_ended_before_a_line_of_it_is_written(stage: Stage) -> None:
    """Over a running ladder, which goes on.

    Kills: ``watch._check`` without a bound (100,000 lines in the log and on the screen within one step).
    """
    stage.ladder()
    stage.session._core = Core({"breakout": Flood()})
    stage.watch(id_="br-2")
    began, lines = stage.t, len(stage.records)
    stage.close_bar("190.50")
    stage.wait(2)
    assert stage.told(SessionEnded) == []
    assert len(stage.records) - lines < 20
    assert commands(stage, began) == []
    (told,) = stage.told(BrokerMessageUnclassified)
    assert "may wish for 100 things at once, not for 100001" in told.text
    assert stage.session.desk.watchers["br-2"].end_reason == "strategy failed"
    assert stage.shares() == RUNNING


def _change_positions(context: CheckContext) -> None:
    context.desk.positions["AAPL"] = 10**6  # type: ignore[index]  # that is what it tries


def _change_plan(context: CheckContext) -> None:
    context.plan.qty = 10**6  # type: ignore[misc]  # as above


def _change_exposure(context: CheckContext) -> None:
    context.desk.exposure = Decimal(0)  # type: ignore[misc]  # as above


def _leave(context: CheckContext) -> None:
    raise SystemExit(f"no {context.plan.symbol}")


@pytest.mark.parametrize("change", [_change_positions, _change_plan, _change_exposure, _leave])
def test_X04_a_check_that_would_change_what_it_is_shown_changes_nothing_and_refuses_the_order(
    stage: Stage, change: Callable[[CheckContext], Any]
) -> None:
    """Kills: a check that is handed the desk itself; one whose failure lets the order pass."""
    stage.ladder()
    check = PreTradeCheck(name="greedy", owner="hostile", check=change)
    stage.session._core = Core({"breakout": Breakout()}, (check,))
    began, desk = stage.t, stage.session.desk
    stage.order_now("m-1", qty=5)
    stage.wait(2)
    assert commands(stage, began) == []
    (told,) = stage.told(RiskRejected)
    assert told.reason == "check_failed"
    assert "check greedy of plugin hostile raised" in told.detail
    assert stage.session.desk.books["AAPL"].trades["br-1"].plan == desk.books["AAPL"].trades["br-1"].plan
    assert stage.session.desk.books["AAPL"].held() == 100
    stage.sells_at_most(100)


def test_X04_an_order_that_goes_around_the_engine_is_told_and_counted(
    make_wire: Callable[..., WireStage],
) -> None:
    """A plugin gets hold of the client and sells 100 shares at a limit far above, over a ladder that protects 100.

    Kills: an order of our own client that nobody knows and nobody is told of.
    """
    wire = make_wire(reconcile={"orphan_exit_action": "warn"})
    wire.ladder()
    from ib_async import LimitOrder, Stock

    contract = Stock("AAPL", "SMART", "USD")
    contract.conId = wire.instrument("AAPL").con_id
    order = LimitOrder("SELL", 100, 250, account=wire.account, tif="GTC", orderRef="mine")
    connection = wire.broker.connection
    assert connection.wire is not None
    wire.inside(lambda: connection.wire.placeOrder(900_001, contract, order))  # type: ignore[union-attr]  # asserted above
    wire.wait(45)  # the next look at the account
    (told,) = wire.told(BrokerMessageUnclassified)
    assert told.order_ref == "mine"
    wire.line(
        "order 900001 works under this program's number, which did not send it: SELL 100 AAPL · see `reconcile`"
    )
    assert wire.shares() == RUNNING | {"": 100}
    wire.wait(60)
    assert len(wire.told(BrokerMessageUnclassified)) == 1  # once is enough
    assert wire.session.desk.books["AAPL"].cap() == 0  # nothing more is sold
