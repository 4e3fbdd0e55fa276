"""Commands that end without their answer, and commands on a venue whose time stands still."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from decimal import Decimal
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.core.support import ACCOUNT, plan, quote
from tests.engine.support import Stage
from tests.engine.test_journal import broken_disk
from tests.engine.test_session import stage

from tradeshell.core import inputs as i
from tradeshell.core.limits import check_duplicate
from tradeshell.core.market import Quote
from tradeshell.core.orders import OrderState
from tradeshell.core.plan import ExitMode, TradePlan
from tradeshell.engine import facade
from tradeshell.engine.facade import EngineTrading
from tradeshell.engine.runtime import Engine, Plan
from tradeshell.errors import BrokerError, OperatorError, StateError, TradeshellError
from tradeshell.ports import BrokerOffer, Defaults, Snapshot, VenueOptions
from tradeshell_breakout.strategy import Breakout
from tradeshell_paper import open_venue

__all__ = ["stage"]


def bought(**more: Any) -> TradePlan:
    """Return a plan to buy 100 AAPL now."""
    return plan(**{"level": None, "tps": (), "sl": None, "mode": ExitMode.NONE, "chase_limit": None} | more)


def trading(stage: Stage) -> EngineTrading:
    """Return the commands' side of a stage; a call runs on the stage's loop."""

    def call(work: Coroutine[Any, Any, Any], *_: object) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(60):
                return await work

        return stage.run(bounded())

    engine: Any = SimpleNamespace(
        session=stage.session,
        broker=stage.broker,
        loop=stage.loop,
        venue_loop=stage.loop,
        plan=SimpleNamespace(session="s"),
        call=call,
    )
    return EngineTrading(engine, Defaults(), tuple)


# --- commands that are given up ---------------------------------------------------------------------------------------


def test_a_buy_that_was_given_up_is_not_sent_later(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(*_: object) -> Quote:
        await asyncio.sleep(30)
        return quote(stage.clock.now())

    async def give_up() -> None:
        buy = asyncio.ensure_future(typed._trade(bought(), False))
        await asyncio.sleep(8)
        buy.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert stage.session.desk.busy() == ()
        await asyncio.sleep(60)

    typed = trading(stage)
    monkeypatch.setattr(stage.broker, "snapshot", slow)
    stage.run(give_up())
    assert stage.broker.sent == []
    assert typed._given_up() == "the order was not sent"
    assert (
        check_duplicate(stage.session.desk, bought(), stage.clock.now()) is None
    )  # typing it again is no second order


def test_a_buy_that_was_interrupted_after_it_left_is_not_sent_twice_by_typing_it_again(stage: Stage) -> None:
    typed = trading(stage)

    async def interrupt() -> None:
        stage.broker.quotes["AAPL"] = quote(stage.clock.now())
        buy = asyncio.ensure_future(typed._trade(bought(), False))
        await asyncio.sleep(0.5)
        buy.cancel()
        await asyncio.sleep(0.5)
        with pytest.raises(OperatorError, match="less than 5 s ago"):
            await typed._trade(bought(), False)

    stage.run(interrupt())
    assert len(stage.broker.sent) == 1
    assert typed._given_up() == "the order is out: see `orders`"


def test_an_order_that_was_refused_may_be_typed_again_at_once(stage: Stage) -> None:
    typed = trading(stage)
    for _ in range(2):  # no touch
        with pytest.raises(OperatorError, match="refused before it left"):
            typed.trade(bought())
    stage.broker.quotes["AAPL"] = quote(stage.clock.now())
    stage.broker.fail = BrokerError("not connected")
    for _ in range(2):
        with pytest.raises(BrokerError, match="not connected"):
            typed.trade(bought())


def test_a_watcher_that_could_not_be_put_on_record_is_not_started(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = trading(stage)
    params = {"bar": "60", "rth": "true", "max_bars": ""}
    with broken_disk(monkeypatch), pytest.raises(StateError, match="the watcher was not started"):
        typed.start_watch("breakout", plan(), params)
    assert stage.session.desk.busy() == ()
    assert typed.start_watch("breakout", plan(), params) in stage.session.desk.busy()


def test_what_the_account_is_worth_is_asked_of_a_broker_that_knows(stage: Stage) -> None:
    async def worth() -> Decimal:
        return Decimal(123)

    typed = trading(stage)
    with pytest.raises(OperatorError, match="does not say what the account is worth"):
        typed.equity()
    stage.broker.equity = worth  # type: ignore[attr-defined]  # a broker offers it by having it
    assert typed.equity() == 123
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account=ACCOUNT, paper=True))
    with pytest.raises(OperatorError, match="not connected"):
        typed.equity()


# --- connecting -------------------------------------------------------------------------------------------------------


def test_connect_asks_again_after_a_failed_reconciliation_and_says_in_one_line_when_that_fails_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> Snapshot:
        raise BrokerError("positionEnd never came")

    typed = trading(stage)
    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account=ACCOUNT, paper=True))
    with monkeypatch.context() as patched:
        patched.setattr(stage.broker, "snapshot_account", fails)
        stage.submit(i.LinkChanged(at=stage.clock.now(), up=True, account=ACCOUNT, paper=True))
        stage.run(asyncio.sleep(1))
        with pytest.raises(BrokerError, match="positionEnd never came"):
            typed.connect()
    typed.connect()
    assert stage.session.desk.link.is_open
    with pytest.raises(OperatorError, match="already connected"):
        typed.connect()


def test_connecting_fails_in_one_line_when_the_account_cannot_be_read(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connects() -> None:
        stage.session.receive(i.LinkChanged(at=stage.clock.now(), up=True, account=ACCOUNT, paper=True))

    async def fails() -> Snapshot:
        raise ZeroDivisionError("a defect")

    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account=ACCOUNT, paper=True))
    monkeypatch.setattr(stage.broker, "connect", connects)
    monkeypatch.setattr(stage.broker, "snapshot_account", fails)
    with pytest.raises(BrokerError, match="ZeroDivisionError: a defect; type: connect"):
        trading(stage).connect()


def test_why_connecting_failed_before_says_nothing_about_the_next_time(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def connects() -> None:
        up = i.LinkChanged(at=stage.clock.now(), up=True, account=ACCOUNT, paper=True)
        stage.loop.call_later(1, stage.session.receive, up)

    stage.submit(i.LinkChanged(at=stage.clock.now(), up=False, account=ACCOUNT, paper=True))
    stage.session.unreconciled = "positionEnd never came"
    monkeypatch.setattr(stage.broker, "connect", connects)
    trading(stage).connect()
    assert stage.session.desk.link.is_open


# --- the whole engine, its venue's time held between commands ----------------------------------------------------------


@contextmanager
def engine(folder: Path, **settings: Any) -> Iterator[tuple[Engine, EngineTrading]]:
    """Run the engine on the paper venue."""
    made = Engine(
        Plan(
            session="test",
            version="test",
            broker_name="paper",
            broker=BrokerOffer(open=open_venue, own_clock=True, words="paper"),
            broker_settings=settings,
            options=VenueOptions(speed=inf, market=("DEMO=100",)),
            strategies={"breakout": Breakout()},
            sinks={},
            state_dir=folder,
            hold_between_commands=True,
        )
    )
    made.start()
    try:
        yield made, EngineTrading(made, Defaults(), tuple)
    finally:
        made.stop()


def demo(engine: Engine, **more: Any) -> TradePlan:
    """Return a plan to buy 10 DEMO now."""
    return bought(symbol="DEMO", qty=10, account=engine.session.desk.account, **more)


def test_buy_lets_a_held_venue_answer_and_holds_it_again(tmp_path: Path) -> None:
    with engine(tmp_path, latency=0.1) as (running, typed):
        before = typed.view().now
        id_ = typed.trade(demo(running))
        view = typed.view()
        trade = view.desk.trade(id_)
        assert trade is not None
        order = view.desk.order(trade.refs[0])
        assert order is not None
        assert order.state in {OrderState.WORKING, OrderState.FILLED}
        assert 0.1 <= (view.now - before).total_seconds() < 1
        assert running.venue_loop is not None
        assert running.venue_loop.is_held


def test_a_venue_that_answers_at_once_needs_no_time_to_pass(tmp_path: Path) -> None:
    with engine(tmp_path) as (running, typed):
        before = typed.view().now
        typed.trade(demo(running))
        assert typed.view().now == before


@contextmanager
def silent(engine: Engine, monkeypatch: pytest.MonkeyPatch, what: str) -> Iterator[None]:
    """Let ``what`` of the venue never answer, without time running away."""
    assert engine.venue_loop is not None

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(engine.venue_loop, "release", lambda: None)
        if what == "order":
            patched.setattr(engine.broker, "place", lambda *_: None)
        else:
            patched.setattr(engine.broker, "latest", lambda *_: None)
            patched.setattr(engine.broker, "snapshot", never)
        yield


@pytest.mark.parametrize(
    "what, said", [("order", "the order is out: see `orders`"), ("touch", "was not sent")]
)
def test_a_buy_without_an_answer_says_whether_the_order_is_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    monkeypatch.setattr(facade, "ANSWER_TIMEOUT", 0.3)
    with engine(tmp_path) as (running, typed):
        with silent(running, monkeypatch, what), pytest.raises(TradeshellError, match=said) as error:
            typed.trade(demo(running))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "what, said", [("order", "the order is out: see `orders`"), ("touch", "was not sent")]
)
def test_an_interrupted_buy_says_whether_the_order_is_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    waits = 0

    def ctrl_c() -> None:
        nonlocal waits
        waits += 1
        if waits == 3:
            raise KeyboardInterrupt

    with engine(tmp_path) as (running, typed):
        running.idle = lambda what, waited: ctrl_c()
        with silent(running, monkeypatch, what), pytest.raises(KeyboardInterrupt, match=said):
            typed.trade(demo(running))
        assert typed.view().desk.busy() == ((typed._sending,) if what == "order" else ())
