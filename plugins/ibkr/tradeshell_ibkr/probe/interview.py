"""The order of it all: who may be asked, which trials run, what is cleaned up, and what comes out.

Laws: nothing is placed before account, symbol and market data are what they have to be; a trial that fails costs its own
questions; when something could not be cleaned up no other trial begins; an interruption cleans up first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

from msgspec import Struct

from tradeshell import BrokerError, OperatorError, masked
from tradeshell_ibkr.probe.answers import Asked, Finding, NotHere, Row, row_of
from tradeshell_ibkr.probe.bench import Bench
from tradeshell_ibkr.probe.catalogue import QUESTIONS, TRIALS, Trial
from tradeshell_ibkr.settings import is_paper

TRIES = 3  # of a trial that the market spoilt
Heard = dict[str, Finding | Exception]  # by question; what concerns all of a trial stands under no name
BEFORE_CLOSE = timedelta(minutes=10)  # shares are bought no later than this before the close


class Report(Struct, frozen=True, kw_only=True):
    """What came out. ``stopped``: why not everything was asked; ``remains``: what could not be cleaned up."""

    asked: Asked
    rows: tuple[Row, ...]
    stopped: str = ""
    remains: tuple[str, ...] = ()


def chosen(only: Collection[str]) -> tuple[Trial, ...]:
    """Return the trials that answer these questions, all without any; raises ``OperatorError``."""
    for name in only:
        if name not in QUESTIONS:
            raise OperatorError(f"probe: there is no question {name!r}; `tradeshell probe --list` shows them")
    return tuple(t for t in TRIALS if not only or any(q.name in only for q in t.questions))


async def interview(
    bench: Bench, symbol: str, only: Collection[str] = (), say: Callable[[str], None] = lambda _: None
) -> Report:
    """Ask; raises ``OperatorError`` or ``BrokerError`` when nothing may be asked, and nothing was placed then.

    The task may be cancelled: then it cleans up, once, and returns what it has.
    """
    connection = bench.connection
    trials = chosen(only)
    if not is_paper(connection.account):
        raise OperatorError(
            f"probe: account {masked(connection.account)} is live; a probe trades on paper only"
        )
    try:
        await bench.sit_down(symbol)
    except NotHere as why:
        raise OperatorError(f"probe: {why}") from None
    now = connection.clock.now()
    closed = _closed(bench, symbol, now)
    if closed and all(trial.needs_fills for trial in trials):
        raise OperatorError(f"probe: {closed}, and what is asked needs executions")
    wire = connection.must_be_served()
    asked = Asked(
        at=now, account=masked(connection.account), server_version=wire.serverVersion(), symbol=symbol
    )
    rows: list[Row] = []
    stopped, remains = "", tuple[str, ...]()
    try:
        for trial in trials:
            if closed and trial.needs_fills:
                found: Heard = {"": NotHere(closed)}
            else:
                found, remains = await _ask(bench, trial)
            for question in trial.questions:
                rows.append(row_of(question, found.get(question.name, found.get(""))))
                say(line_of(rows[-1]))
            if remains:
                stopped = "something of the last trial is still there"
                break
    except asyncio.CancelledError:
        task = asyncio.current_task()
        assert task is not None  # it was just cancelled
        task.uncancel()
        stopped = "interrupted"
        say("cleaning up …")
        try:
            remains = await bench.clean()
        except asyncio.CancelledError:  # the second time: what is known has to do
            task.uncancel()
            remains = bench.remains() or ("nothing that is known of, but nobody has looked",)
    done = {row.name for row in rows}
    rows += [row_of(q, None) for t in trials for q in t.questions if q.name not in done]
    return Report(asked=asked, rows=tuple(rows), stopped=stopped, remains=remains)


async def _ask(bench: Bench, trial: Trial) -> tuple[Heard, tuple[str, ...]]:
    """Run a trial and clean up after it."""
    bench.trial = trial.name
    for attempt in range(TRIES):
        found: Heard = {}
        try:
            found.update(await trial.run(bench))
        except (NotHere, BrokerError) as why:
            found[""] = why
        remains = await bench.clean()
        problem = found.get("")
        if remains or not isinstance(problem, NotHere) or not problem.again or attempt == TRIES - 1:
            return found, remains
    raise AssertionError("the last try returns")


def _closed(bench: Bench, symbol: str, now: datetime) -> str:
    session = bench.data.session(symbol, now)
    if session is None or not session.is_regular(now):
        return "the market is closed"
    return "" if now < session.close - BEFORE_CLOSE else "the market closes within ten minutes"


def line_of(row: Row) -> str:
    """Return a row as a line."""
    mark = "≠" if row.differs else " "
    said = f"{row.value} (counted on: {row.default})" if row.value else row.outcome.value
    return f"{mark} {row.name:<22} {said} · {row.seen}"
