"""The same rule in tradeshell itself: breakout plugin, engine with journal and audit log, paper exchange, at speed ``max``.

Nothing is left out or replaced: it is the engine that ``tradeshell --replay … --speed max`` runs, on its own thread, with its
state folder, its journal and its audit file. Only the screen is missing, and the bars come from memory.
"""

from __future__ import annotations

import gc
import resource
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from math import inf
from pathlib import Path
from typing import NamedTuple

from tests.bench.market import QTY, Columns, Market, Plan, Trade

from tradeshell.core import inputs as i
from tradeshell.core import trade as core_trade
from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.market import Bar, Instrument, Session
from tradeshell.core.plan import ExitMode, TradePlan
from tradeshell.engine.runtime import Engine
from tradeshell.engine.runtime import Plan as EnginePlan
from tradeshell.ports import BrokerOffer, Sink, SinkContext, VenueOptions
from tradeshell_breakout.strategy import Breakout
from tradeshell_jsonl_log.writer import open_log
from tradeshell_paper import open_venue

CENT = Decimal("0.01")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BEFORE_THE_OPEN = timedelta(seconds=30)  # when a day's watchers are started
PATIENCE = 600.0  # seconds that a replay may take


class Replay(NamedTuple):
    """What a replay cost and what it did. ``build`` made the bars, ``start`` opened the engine, ``run`` is the replay itself.

    Seconds of wall time; ``cpu`` is what the engine's own thread used of ``run``.
    """

    build: float
    start: float
    run: float
    cpu: float
    events: int
    decisions: int
    trades: list[Trade]
    rss_mb: float


def instant(seconds: int) -> datetime:
    """Return an instant from seconds since the epoch."""
    return EPOCH + timedelta(seconds=seconds)


def make_bars(symbol: str, columns: Columns) -> list[Bar]:
    """Return the bars of one symbol as the program's own values."""
    known: dict[
        int, Decimal
    ] = {}  # a price that was met before is the same object, as in the reader of recorded files

    def price(cents: int) -> Decimal:
        found = known.get(cents)
        if found is None:
            found = known[cents] = cents * CENT
        return found

    return [
        Bar(symbol, instant(start), 60, price(o), price(h), price(low), price(c), volume)
        for start, o, h, low, c, volume in zip(*columns, strict=True)
    ]


def make_plan(plan: Plan, account: str) -> TradePlan:
    """Return a plan as ``breakout SYM level QTY tp=… sl=… max_chase=…`` makes it."""
    return TradePlan(
        symbol=plan.symbol,
        qty=QTY,
        account=account,
        level=plan.level * CENT,
        tps=(plan.tp * CENT,),
        sl=plan.sl * CENT,
        mode=ExitMode.ATTACHED,
        chase_limit=plan.chase * CENT,
    )


def make_engine(bars: tuple[Bar, ...], folder: Path, extra_sink: Sink | None = None) -> Engine:
    """Return the engine on a market of ``bars``, time standing still until it is released."""
    folder.mkdir()
    return Engine(
        EnginePlan(
            session="bench",
            version="bench",
            broker_name="paper",
            broker=BrokerOffer(open=open_venue, own_clock=True, words="bars from memory"),
            broker_settings={"bars": bars},
            options=VenueOptions(speed=inf),
            strategies={"breakout": Breakout()},
            sinks={"jsonl": (open_log, SinkContext(state_dir=folder, settings={}, environ={}))},
            state_dir=folder,
            hold_between_commands=True,
        ),
        extra_sink,
    )


def replay(
    market: Market,
    folder: Path,
    extra_sink: Sink | None = None,
    around: AbstractContextManager[object] | None = None,
) -> Replay:
    """Run the whole market and return what it cost. ``folder`` gets the files; ``around`` is entered on the engine's thread."""
    gc.collect()
    began = time.perf_counter()
    bars = tuple(bar for symbol, columns in market.bars.items() for bar in make_bars(symbol, columns))
    built = time.perf_counter()
    engine = make_engine(bars, folder, extra_sink)
    engine.start()
    started = time.perf_counter()
    try:
        ran, cpu = engine.call(
            _run(engine, market, nullcontext() if around is None else around), PATIENCE, "the replay"
        )
        desk = engine.session.desk
        decisions = engine.session.journal_seq
    finally:
        engine.stop()
    events = sum(log.read_bytes().count(b"\n") for log in folder.glob("events*.jsonl"))
    return Replay(
        build=built - began,
        start=started - built,
        run=ran,
        cpu=cpu,
        events=events,
        decisions=decisions,
        trades=trades_of(desk),
        rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


async def _run(engine: Engine, market: Market, around: AbstractContextManager[object]) -> tuple[float, float]:
    session, loop = engine.session, engine.venue_loop
    assert loop is not None
    instruments = {symbol: await engine.broker.qualify(symbol) for symbol in market.bars}
    hours = {plan.day: engine.broker.session(plan.symbol, instant(plan.day)) for plan in market.plans}
    days: dict[int, list[Plan]] = {}
    for plan in market.plans:
        days.setdefault(plan.day, []).append(plan)
    for day, plans in days.items():
        at = max(instant(day) - BEFORE_THE_OPEN, session.clock.now())
        session.clock.call_at(at, partial(_start, engine, plans, instruments, hours[day]))
    over = loop.create_future()
    last = max(columns.starts[-1] for columns in market.bars.values())
    session.clock.call_at(instant(last + 120), lambda: over.set_result(None))
    with around:
        began, cpu = time.perf_counter(), time.thread_time()
        loop.release()
        await over
        took, cpu = time.perf_counter() - began, time.thread_time() - cpu
    loop.hold()
    running = [id_ for id_, watcher in session.desk.watchers.items() if watcher.phase is not WatchPhase.DONE]
    assert not running, f"{len(running)} watchers did not see the end of their day"
    return took, cpu


def _start(
    engine: Engine, plans: list[Plan], instruments: dict[str, Instrument], hours: Session | None
) -> None:
    session = engine.session
    now = session.clock.now()
    for plan in plans:
        session.submit(
            i.WatchRequested(
                at=now,
                watch=i.WatchSpec(
                    id=f"br-{plan.symbol.lower()}-{plan.day}",
                    strategy="breakout",
                    plan=make_plan(plan, session.desk.account),
                    params={"bar": "60", "rth": "true", "max_bars": ""},
                    instrument=instruments[plan.symbol],
                    session=hours,
                ),
            )
        )


def trades_of(desk: Desk) -> list[Trade]:
    """Return the trades of a desk: what its own ledger of executions says."""
    found: list[Trade] = []
    for symbol, book in desk.books.items():
        legs = {
            (trade.id, core_trade.leg_of(execution.ref)): execution
            for execution in book.executions.values()
            if (trade := book.trade_of(execution.ref)) is not None
        }
        for trade in book.trades.values():
            entry = legs.get((trade.id, "entry"))
            if entry is None:
                continue
            kind = next((leg for leg in ("tp1", "sl1") if (trade.id, leg) in legs), None)
            exit_ = None if kind is None else legs[trade.id, kind]
            found.append(
                Trade(
                    symbol,
                    _ms(entry.at),
                    _cents(entry.price),
                    None if exit_ is None else _ms(exit_.at),
                    None if exit_ is None else _cents(exit_.price),
                    "open" if kind is None else kind[:2],
                )
            )
    return found


def _ms(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def _cents(price: Decimal) -> int:
    cents = price / CENT
    if cents != int(cents):
        raise ValueError(f"{price} is no whole number of cents")
    return int(cents)
