"""One run of days: the program and the gateway over the wire, from the first open to the last close, and what grows meanwhile.

Laws: as for a schedule over the wire. The program looks as often as it is shipped to. What is measured is measured in the
evening, when the day is over and nothing is on its way.
"""

from __future__ import annotations

import gc
import tracemalloc
from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from tests.simulation.days.draw import LAST_SPEECH, Run, Window
from tests.simulation.faults import Act, Kill
from tests.simulation.loop import SECOND
from tests.simulation.reference import canonical
from tests.simulation.wired.market import SimView
from tests.simulation.wired.rules import PLACE, Ledger
from tests.simulation.wired.trouble import Trouble
from tests.simulation.wired.world import WiredWorld
from tests.simulation.world import Finding, Note, Outcome

from tradeshell.core.market import Bar
from tradeshell_jsonl_log.reader import Damage, files, read_all

CANCEL = 4
RESTARTS = 3  # of a program at rest, at the end
QUIET = 60  # seconds for each of them
READS = 45  # seconds after the open at which the operator has read the screen
EVENING = timedelta(hours=3)  # after the close
# Whose memory is looked at: the program's, and what its client needs. The venue remembers everything, and so does the harness.
OURS = tuple(
    f"*/{name}/*"
    for name in (
        "tradeshell",
        "tradeshell_ibkr",
        "tradeshell_jsonl_log",
        "tradeshell_breakout",
        "tradeshell_reconcile",
        "ib_async",
    )
)
NOTHING: list[str] = []


class Evening(NamedTuple):
    """What there is at the end of a trading day. ``heap``: bytes that the program holds, 0 when nobody asked."""

    day: int
    heap: int
    journal: int
    log: int
    trades: int
    working: int


class LongView(SimView):
    """The market as a gateway looks it up, of many days with hours of silence between them."""

    def past(self, symbol: str, seconds: int, rth: bool, until: datetime, count: int) -> Iterator[list[Bar]]:
        """Yield closed bars that end by ``until``, newest first; over what is silent at a leap."""
        del rth
        prints = self._prints[symbol]
        length = timedelta(seconds=seconds)
        start = self._bucket(until, seconds) - length
        found: list[Bar] = []
        while len(found) < count:
            row = bisect_left(prints.times, self._micros(start + length)) - 1
            if row < 0:
                break
            start = self._bucket(self._start + timedelta(microseconds=prints.times[row]), seconds)
            bar = self.between(symbol, start, seconds)
            if bar is not None:
                found.append(bar)
            start -= length
        yield found


class _Ledger(Ledger):
    """What crossed the network, without the words of what is no order."""

    def asked(self, micros: int, kind: int, fields: list[str], on_disk: int) -> None:
        """Take a message of the program."""
        super().asked(micros, kind, fields if kind in (PLACE, CANCEL) else NOTHING, on_disk)


class DaysWorld(WiredWorld):
    """Runs the days. ``measured``: after which days the heap is looked at (numbers of trading days, from 1)."""

    look_every = 30.0

    def __init__(self, run: Run, folder: Path, measured: tuple[int, ...] = ()) -> None:
        self.days = run
        self.evenings: list[Evening] = []
        self.grown: list[str] = []  # where memory grew most between the first and the last measure
        self._measured = measured
        self._before: tracemalloc.Snapshot | None = None
        self._shown: set[str] = set()
        super().__init__(run.schedule, folder)
        self.ledger = _Ledger()
        self.venue.gateway.house.view = LongView(run.schedule)

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Run the days, and then restart a program that has nothing to do."""
        if self._measured:
            tracemalloc.start()
        run, at = self.days, self.loop.at
        for window in run.windows:
            at(window.begin, self._open, window)
        for trouble in run.troubles:
            at(trouble.at, self._trouble, trouble)
        for begin, away in run.nights:
            at(begin, self._end_life, away)
        for flap in run.flaps:
            at(flap.at, self.actors.act, flap)
        for number, instant in enumerate(run.flattens):
            at(
                instant,
                self.actors.act,
                Act(instant, "start", 1, "operator", "flatten_all", "AAPL", number, 1),
            )
        for number, day in enumerate(run.days, 1):
            at(run.micros(day.open) - SECOND, self._begin_day)
            at(run.micros(day.open) + READS * SECOND, self._heed_alarms)
            at(
                run.micros(day.close + EVENING if day != run.days[-1] else day.close) + 600 * SECOND,
                self._look,
                number,
            )
        return super().run()

    def note(self, who: str, text: str, **more: Any) -> None:
        """Write down what somebody did, and let the story not outgrow the run."""
        if who in ("> wire", "< wire"):
            return
        super().note(who, text, **more)

    def _open(self, window: Window) -> None:
        for act in window.acts:
            if act.after == "start":
                self.loop.at(window.begin + act.at, self.actors.act, act)
            else:  # counted from the window's begin
                self._after.setdefault((act.after, self._passes[act.after] + act.nth), []).append(act)
        for kill in window.kills:
            self.loop.at(window.begin + kill.at, self._arm, kill)

    def _begin_day(self) -> None:
        """The operator comes: what was switched off yesterday evening is switched on again, and the shell is connected."""
        if self.actors._stopped:
            self.actors.act(Act(0, "start", 1, "operator", "stopentry", "AAPL", 0, 1))

    def _heed_alarms(self) -> None:
        """The operator reads what the screen has said since yesterday: shares without a stop are sold."""
        trades = () if self.life is None else self.life.session.desk.trades()
        for symbol in sorted({trade.plan.symbol for trade in trades if trade.protection == "UNPROTECTED"}):
            self.actors.act(Act(0, "start", 1, "operator", "flatten", symbol, 0, 1))

    def _end_life(self, away: int) -> None:
        if self.life is not None and self.life.alive:
            self.life.end(Kill(0, "", "any", 1, "before", "", away))

    def _trouble(self, trouble: Trouble) -> None:
        if trouble.what == "restart" or self.life is not None:
            self.venue.trouble(trouble)

    # --- looking ------------------------------------------------------------------------------------------------------

    def _look(self, number: int) -> None:
        life = self.life
        heap = 0
        if number in self._measured:
            heap = self._measure()
        desk = None if life is None else life.session.desk
        self.evenings.append(
            Evening(
                number,
                heap,
                (self.folder / "journal").stat().st_size,
                self._on_disk(),
                0 if desk is None else sum(1 for _ in desk.trades()),
                0 if desk is None else sum(order.state.is_live for order in desk.orders()),
            )
        )

    def _measure(self) -> int:
        gc.collect()
        found = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, name) for name in OURS])
        if self._before is None:
            self._before = found
        else:
            grown = found.compare_to(self._before, "lineno")
            self.grown = [str(each) for each in grown[:12] if each.size_diff > 0]
        return sum(trace.size for trace in found.traces)

    # --- the end ------------------------------------------------------------------------------------------------------

    def _judge(self, findings: list[Finding]) -> Outcome:
        if not any(each.rule == "V25" for each in findings):
            findings += self._restart_at_rest()
        findings += self._read_log()
        return super()._judge(findings)

    def _restart_at_rest(self) -> Iterator[Finding]:
        """Start the program again and again: it sends nothing, and knows what it knew."""
        states = [] if self.life is None else [canonical(self.life.session.desk)]
        for _ in range(RESTARTS):
            before = self._orders_asked()
            self._end_life(0)
            self.loop.run_until(self.loop.micros + SECOND)
            self.loop.call_soon(self.start_life)
            self.loop.run_until(self.loop.micros + QUIET * SECOND)
            t = self.loop.micros / SECOND
            if self._orders_asked() > before:
                yield Finding("V12", t, "a restart at rest sent orders")
            if self.life is None or not self.life.session.desk.link.is_open:
                yield Finding("V12", t, "a restart did not reconcile")
                return
            states.append(canonical(self.life.session.desk))
        if len(set(states)) > 1:
            yield Finding("V12", self.loop.micros / SECOND, f"restarts differ: {set(states)}")

    def _orders_asked(self) -> int:
        return sum(each.kind in (PLACE, CANCEL) for each in self.ledger._asked)

    def _read_log(self) -> Iterator[Finding]:
        """Read the log over all its files by the reader library: nothing is damaged, nothing is missing."""
        damage: list[Damage] = []
        count = 0
        for count, record in enumerate(read_all(self.folder / "events.jsonl", damage.append), 1):
            if record["seq"] != count:
                yield Finding("V23", record["mono"], f"seq {record['seq']} where {count} belongs")
                break
        for each in damage:
            yield Finding("V23", 0.0, f"{each.path.name} line {each.line}: {each.words}")
        for path in self.folder.iterdir():
            if path.is_file() and self.schedule.account.encode() in path.read_bytes():
                yield Finding("V30", 0.0, f"{path.name} has the account's id in full")

    def _audit_lines(self) -> list[bytes]:
        self.seen["torn tail"] += len(list(self.folder.glob("events.jsonl.torn-*")))
        lines: list[bytes] = []
        self._begins: list[int] = []
        for path in files(self.folder / "events.jsonl"):
            self._begins.append(len(lines))
            lines += path.read_bytes().splitlines(keepends=True)
        return lines

    def _on_disk(self) -> int:
        return sum(path.stat().st_size for path in files(self.folder / "events.jsonl"))

    def _facts(self) -> dict[str, Any]:
        run = self.days
        return {
            **super()._facts(),
            "hours": [(run.micros(day.open) / SECOND, run.micros(day.close) / SECOND) for day in run.days],
            "end": self.loop.micros / SECOND,
            "log_begins": self._begins,
        }


__all__ = ["LAST_SPEECH", "DaysWorld", "Evening", "Note"]
