"""Reconcilers at work in the engine: what they get, what they may cost, and the rows that an operator settles."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.support import OPEN, Desktop

from tradeshell.core.desk import Desk
from tradeshell.core.events import EngineFault, Event
from tradeshell.core.inputs import Restarted, SnapshotAnswered
from tradeshell.core.recon_events import DetachedSessionRestored
from tradeshell.differences import Comparison, Difference, Differences
from tradeshell.engine.reconciling import Reconciling
from tradeshell.testing.session import open_runner


class Seen(Event, frozen=True, kw_only=True):
    """Told by a reconciler."""


class Closed(Event, frozen=True, kw_only=True):
    """Told at the end of a comparison."""


def difference(key: str, **more: Any) -> Difference:
    """Return a finding."""
    return Difference(
        key=key, finding="f", symbol="AAPL", broker="b", expected="e", done="d", event=Seen(), **more
    )


def reconciling(told: list[Event], **reconcilers: Any) -> Reconciling:
    """Return reconcilers at work."""

    def fault(error: BaseException, where: str) -> None:
        told.append(EngineFault(where=where, reason=str(error)))

    return Reconciling(reconcilers, told.append, fault)


def answer(epoch: int = 1) -> SnapshotAnswered:
    """Return an empty picture."""
    return SnapshotAnswered(at=OPEN, epoch=epoch, orders=(), executions=(), positions=())


def test_a_finding_is_told_once_a_connection_and_wishes_reach_the_core() -> None:
    told: list[Event] = []
    found = Differences(found=(difference("x", cancels=("k",)), difference("y")), closing=(Closed(),))
    at_work = reconciling(told, one=lambda _: found)
    desk = Desk()
    compared = at_work.compare(desk, desk, answer(), None)
    assert compared.cancels == ("k",)
    assert [type(event) for event in told] == [Seen, Seen, Closed]
    at_work.compare(desk, desk, answer(), None)
    assert [type(event) for event in told[3:]] == [Closed]
    at_work.compare(desk, desk, answer(epoch=2), None)
    assert [type(event) for event in told[4:]] == [Seen, Seen, Closed]
    assert [(row.number, row.owner, row.difference.key) for row in at_work.rows] == [
        (1, "one", "x"),
        (2, "one", "y"),
    ]


def test_a_session_that_is_taken_up_is_told_once_whether_a_reconciler_speaks_of_it_or_not() -> None:
    desktop = Desktop()
    desktop.open_position()
    desktop.do(Restarted)
    by_itself = Difference(
        key="s",
        finding="f",
        symbol="AAPL",
        broker="b",
        expected="e",
        done="d",
        event=DetachedSessionRestored(watch="br-1", held=100, protected=100, orders=2, source="journal"),
    )
    for said in (Differences(), Differences(found=(by_itself,))):
        told: list[Event] = []
        reconciling(told, third_party=lambda _, said=said: said).compare(
            desktop.desk, desktop.desk, answer(), None
        )
        (event,) = told
        assert isinstance(event, DetachedSessionRestored)
        assert (event.watch, event.held, event.protected) == ("br-1", 100, 100)
    told = []
    reconciling(told, third_party=lambda _: Differences()).compare(Desk(), desktop.desk, answer(), None)
    assert told == []  # the program was there all the time


def test_a_reconciler_that_raises_or_answers_nonsense_costs_its_own_findings() -> None:
    def raises(seen: Comparison) -> Differences:
        raise ZeroDivisionError("a defect")

    told: list[Event] = []
    at_work = reconciling(
        told, bad=raises, odd=lambda _: None, good=lambda _: Differences(found=(difference("x"),))
    )
    desk = Desk()
    compared = at_work.compare(desk, desk, answer(), ())
    assert (compared.epoch, len(at_work.rows)) == (1, 1)
    faults = [(event.where, event.reason) for event in told if isinstance(event, EngineFault)]
    assert faults == [
        ("reconciler bad", "a defect"),
        ("reconciler odd", "it returned NoneType, not tradeshell.Differences"),
    ]


def test_the_gate_opens_after_the_comparison_and_rows_can_be_settled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The whole program: the closing events come before the gate; `reconcile` compares again and numbers the rows."""
    monkeypatch.setenv("COLUMNS", "120")  # no cell of the table is folded
    with open_runner("--market DEMO=100 --speed max") as runner:
        assert runner.run("reconcile").assert_ok().text.startswith("nothing differs")
        runner.run("buy DEMO 100 tp=105 sl=98").assert_ok()
        said = runner.run("reconcile").assert_ok()
        said.assert_says("session", "100 shares, 2 orders: sl1", "nothing needs you")
        runner.run("reconcile fix 1").assert_refused("row 1: nothing is to be done here")
        runner.run("reconcile fix 2").assert_refused("row 2: there are 1 rows")
        runner.run("disconnect").assert_ok()
        runner.run("reconcile").assert_refused("not connected to the broker")
        text = runner.run("connect").assert_ok().text
        assert text.index("restored · 100 shares, 100 protected") < text.index("entries open again")
