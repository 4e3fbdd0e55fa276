"""The program on the same wire: engine, core, journal, audit log and the ibkr plugin.

Run as ``wire_ours.py PORT CLIENT_ID SCRIPT FOLDER``. Nothing is left out: the engine that the shell starts, on its own thread,
with its state folder; each decision in the journal and each event in the audit log before the order that follows. Only the
screen is missing, and while it subscribes the limits of the wire are lifted, for nobody waits for that; they hold again before
the first trigger.
"""

from __future__ import annotations

import sys
import threading
from decimal import Decimal
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])  # a script begins in its own folder

import msgspec  # the path is set above
from msgspec.structs import replace
from tests.bench.wire_server import LEVEL, Script

from tradeshell.core import inputs as i
from tradeshell.core.events import ConnectionChanged
from tradeshell.core.plan import ExitMode, TradePlan
from tradeshell.core.policy import Limits, Policy
from tradeshell.engine.runtime import Engine, Plan
from tradeshell.ports import BrokerOffer, Record, SinkContext, VenueOptions
from tradeshell_breakout.strategy import Breakout
from tradeshell_ibkr import open_broker, pacing, source
from tradeshell_jsonl_log.writer import open_log

MANY = 1_000_000


def make_plan(symbol: str, account: str, *, is_ladder: bool) -> TradePlan:
    """Return a breakout: the entry alone, or with three legs of a stop and a target each once it is filled."""
    bare = TradePlan(symbol=symbol, qty=100, account=account, level=Decimal(LEVEL))
    if not is_ladder:
        return bare
    targets = (Decimal("195.00"), Decimal("198.00"), Decimal("202.00"))
    return replace(bare, mode=ExitMode.DETACHED, tps=targets, sl=Decimal("187.00"))


def make_engine(port: int, client_id: int, folder: Path, gone: threading.Event) -> Engine:
    """Return the engine as the shell makes it."""

    def screen(record: Record) -> None:
        if isinstance(record.event, ConnectionChanged) and record.event.link == "lost":
            gone.set()

    folder.mkdir(exist_ok=True)
    return Engine(
        Plan(
            session="bench",
            version="bench",
            broker_name="ibkr",
            broker=BrokerOffer(open=open_broker, own_clock=False, words="the wire"),
            broker_settings={"port": port, "client_id": client_id, "market_lines": MANY},
            options=VenueOptions(),
            strategies={"breakout": Breakout()},
            sinks={"jsonl": (open_log, SinkContext(state_dir=folder, settings={}, environ={}))},
            state_dir=folder,
            # It would end the benchmark; a desk that has it never has more than 30 orders of the last minute to count.
            policy=Policy(limits=Limits(max_orders_per_minute=None)),
        ),
        screen,
    )


async def arm(engine: Engine, script: Script) -> None:
    """Watch every symbol, and keep the touch of those that are streamed."""
    session, broker = engine.session, engine.broker
    for symbol in script.symbols:
        instrument = await broker.qualify(symbol)
        if symbol in script.streamed:
            session.feeds.keep_quote(symbol)
            continue
        plan = make_plan(symbol, session.desk.account, is_ladder=symbol in script.ladders)
        spec = i.WatchSpec(
            id=f"br-{symbol.lower()}",
            strategy="breakout",
            plan=plan,
            params={"bar": "5", "rth": "true", "max_bars": ""},
            instrument=instrument,
            session=broker.session(symbol, session.clock.now()),
        )
        session.submit(i.WatchRequested(at=session.clock.now(), watch=spec))


def main(port: int, client_id: int, script: Script, folder: Path) -> None:
    """Run it until the server hangs up."""
    limits, real_time = dict(pacing.LIMITS), source.NEW_REAL_TIME
    pacing.LIMITS.update(dict.fromkeys(pacing.LIMITS, MANY))
    source.NEW_REAL_TIME = (MANY, 600.0)  # for as long as it subscribes
    gone = threading.Event()
    engine = make_engine(port, client_id, folder, gone)
    engine.start()
    try:
        engine.call(arm(engine, script), 120.0)
        pacing.LIMITS.update(limits)
        source.NEW_REAL_TIME = real_time
        gone.wait()
    finally:
        engine.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), msgspec.json.decode(sys.argv[3], type=Script), Path(sys.argv[4]))
