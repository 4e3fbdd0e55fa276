"""One schedule, run: the venue, the lives of the engine, everybody who acts, and the two records of what happened.

Laws: nothing here decides about money and nothing repairs anything. The records are the venue's own (B) and what the program
left on disk (L); the checker gets both, and what it must be told about the schedule, and nothing of the program's own views.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from tests.simulation.actors import Actors
from tests.simulation.checker import check
from tests.simulation.faults import Act, Kill, Refusing
from tests.simulation.features import FEATURES
from tests.simulation.life import Life, as_live
from tests.simulation.loop import SECOND, SimClock, SimLoop, StuckError
from tests.simulation.recover import Journals
from tests.simulation.schedule import CLOSE, NEW_YORK, Schedule
from tests.simulation.sometimes import look
from tests.simulation.venue import SimVenue, contract
from tests.simulation.wire import SimCourier

from tradeshell.core.events import SessionStarted
from tradeshell.core.inputs import Input, OrderReport, PolicySet
from tradeshell.core.orders import OrderSpec, OrderState
from tradeshell.core.policy import Limits, Policy, Resume
from tradeshell.core.trade import leg_of
from tradeshell.engine.reconciling import Reconciling
from tradeshell.engine.recovery import take_up
from tradeshell.ports import Broker
from tradeshell_paper.settings import Refusal
from tradeshell_reconcile import make

LOOK_EVERY = 10.0  # seconds between the program's looks while orders work
REPLAYED = 8  # of so many schedules one is fed to a fresh core


class Finding(NamedTuple):
    """One breach: the rule, when (seconds), and what."""

    rule: str
    t: float
    text: str


class Note(NamedTuple):
    """What somebody did or what befell the engine, for the story."""

    micros: int
    who: str
    text: str


class Outcome(NamedTuple):
    """What one schedule came to."""

    seed: int
    findings: tuple[Finding, ...]
    counters: Counter[str]
    b: list[dict[str, Any]]
    audit: list[bytes]
    journal: list[bytes]
    facts: dict[str, Any]
    notes: list[Note]
    exposures: dict[str, Any]  # as the checker measured them

    def hashes(self) -> tuple[str, str]:
        """Return what identifies both records."""
        venue = hashlib.sha256()
        for record in self.b:
            venue.update(repr(record).encode())
        log = hashlib.sha256(b"".join(self.audit) + b"".join(self.journal))
        return venue.hexdigest(), log.hexdigest()


class World:
    """Runs one schedule in ``folder``, which it leaves as it ends. ``kills``: also the kills that it holds."""

    look_every = LOOK_EVERY

    def __init__(self, schedule: Schedule, folder: Path, *, kills: bool = FEATURES.resume) -> None:
        self.schedule = schedule
        self.folder = folder
        self.loop = SimLoop()
        self.clock = SimClock(self.loop, schedule.start)
        self.courier = SimCourier(schedule, self.loop)
        self.b: list[dict[str, Any]] = []
        self.notes: list[Note] = []
        self.seen: Counter[str] = Counter()
        self.courier.on_silence = self._silent
        self.life: Life | None = None
        self.life_spans: list[dict[str, Any]] = []
        self.journals = Journals(folder)
        self.kills_of: dict[int, Kill] = {}  # in which life, from its first record on
        self._number = 0
        self._passes: Counter[str] = Counter()
        self._kills = list(schedule.kills) if kills else []
        self._kills_on = {kill.on: kill for kill in self._kills if kill.on}
        self._refusing = [[rule.skip, rule.times] for rule in schedule.refusing]
        self.venue = self.make_venue()
        self.actors = Actors(self)
        self._after: dict[tuple[str, int], list[Act]] = {}
        for act in schedule.acts:
            if act.after != "start":
                self._after.setdefault((act.after, act.nth), []).append(act)

    def make_venue(self) -> SimVenue:
        """Return the venue of this schedule."""
        settings = {
            **self.schedule.habits.settings,
            "courier": self.courier,
            "witness": self._witness,
            "refuse": self._refuse,
        }
        return SimVenue(self.schedule, self.loop, self.clock, self._hear, settings)

    def make_broker(self) -> Broker:
        """Return what a new life trades through."""
        return self.venue

    def connect_life(self) -> None:
        """Let a new life connect."""
        if self.venue.link.dropped_at is None:
            self.loop.create_task(self.venue.connect())
        else:
            self.venue.restore_link()

    # --- running ------------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Run it all, and return the records with what the checker says of them."""
        schedule, loop = self.schedule, self.loop
        self._before_us()
        self.venue.play()
        loop.at(0, self.start_life)
        for number, ask in enumerate(schedule.asks, 1):
            loop.at(ask.at, self.actors.ask, ask, number)
        for act in schedule.acts:
            if act.after == "start":
                loop.at(act.at, self.actors.act, act)
        for kill in self._kills:
            if not kill.on:
                loop.at(kill.at, self._arm, kill)
        findings: list[Finding] = []
        try:
            loop.run_until(schedule.seconds * SECOND)
        except StuckError as error:
            findings.append(Finding("V25", loop.micros / SECOND, str(error)))
        return self._judge(findings)

    def _before_us(self) -> None:
        if self.schedule.position_before:
            symbol = next(iter(self.schedule.paths))
            contract(self.venue, symbol)
            self.actors.hands.hold_before(symbol, self.schedule.position_before)

    def start_life(self) -> None:
        """Start the program."""
        self._number += 1
        self.journals.look()
        life = Life(self._number, self.schedule, self.loop, self.clock, self.make_broker(), self.folder, self)
        self.journals.went_on(life.found)
        life.count = self.seen
        life.kills_on = self._kills_on
        self.life = life
        self.life_spans.append({"from": self.loop.micros / SECOND, "to": None})
        self.note("engine", "starts")
        self._record("start", {})
        if self._number in self.kills_of:
            life.arm(self.kills_of[self._number])
        session = life.session
        session.reconciling = Reconciling(
            {"reconcile": make({"orphan_exit_action": "cancel"})}, session.tell, session.report_fault
        )
        take_up(session, life.found)
        life.session.tell(SessionStarted(version="simulation", broker="paper"))
        if PolicySet in life.session._core._handlers:
            policy = Policy(
                flatten_live=self.schedule.flatten_live,
                look_every=self.look_every,
                limits=Limits(**self.schedule.limits),
                # A doubt about a watcher that was left waiting leaves it as it is, or arms it.
                resume=Resume.ARM if self.schedule.seed % 2 else Resume.ASK,
            )
            life.session.submit(PolicySet(at=self.clock.now(), policy=policy))
        life.resumer.start()
        if not life.alive:  # killed before it could connect
            return
        self.connect_life()

    def _arm(self, kill: Kill) -> None:
        calm = self.loop.micros >= self.schedule.fault_free_from
        if self.life is not None and self.life.alive and not calm:
            self.life.arm(kill)

    # --- what lives and the venue tell --------------------------------------------------------------------------------

    def _hear(self, event: Input) -> None:
        if self.life is not None:
            self.life.hear(as_live(event, self.schedule.is_paper))

    def _witness(self, kind: str, fields: Any) -> None:
        if kind == "snapshot":
            for key in ("orders_as_of", "executions_as_of", "positions_as_of"):
                fields[key] = self.clock.micros_of(datetime.fromisoformat(fields[key])) / SECOND
        self._record(kind, fields)
        if kind == "exec" and fields["client"] == 0:
            self._passed("exec")

    def _silent(self) -> None:
        self._record("snapshot", dict.fromkeys(("orders_as_of", "executions_as_of", "positions_as_of")))

    def _record(self, event: str, fields: dict[str, Any]) -> None:
        fields["event"], fields["t"] = event, self.loop.micros / SECOND
        self.b.append(fields)

    def operated(self, what: str, **about: Any) -> None:
        """Put down what the operator asked for."""
        self._record("op", {"what": what, **about})

    def look_up(self, symbol: str, then: Callable[[], None]) -> None:
        """Go on at once: the embedded venue knows its contracts."""
        del symbol
        then()

    def sent(self, action: str, ref: str, order_id: int) -> None:
        """Count an order command, and let follow what was to follow it."""
        self._passed("sent")

    def _passed(self, kind: str) -> None:
        self._passes[kind] += 1
        for act in self._after.pop((kind, self._passes[kind]), ()):
            self.loop.at(self.loop.micros + act.at, self.actors.act, act)

    def killed(self, kill: Kill) -> None:
        """Take the dead engine's connection down, keep its journal, and start it again later."""
        self.note("engine", f"killed {kill.where} {kill.kind} {kill.leg}")
        self._record("kill", {})
        self.seen[f"kill {kill.where} {kill.kind}"] += 1
        life = self.life
        assert life is not None
        self.life_spans[-1]["to"] = self.loop.micros / SECOND
        self._kill_counters(life)
        self.loop.call_soon(self._cut, kill)
        self.life = None
        if FEATURES.resume and kill.down:
            again = min(self.loop.micros + kill.down, self.schedule.fault_free_from - SECOND)
            self.loop.at(max(again, self.loop.micros + 1), self.start_life)

    def _cut(self, kill: Kill) -> None:
        self.venue.drop_link("the process is gone", lose_orders=kill.loses)

    def _kill_counters(self, life: Life) -> None:
        for book in life.session.desk.books.values():
            for trade in book.trades.values():
                if trade.protection in ("ARMING", "EMERGENCY"):
                    self.seen[f"kill inside {trade.protection.lower()}"] += 1

    def cancelled(self) -> list[OrderReport]:
        """Return the orders that were cancelled and whose market may have been faster.

        A group that has executed has reduced its other orders at the venue; that it has not is what ``oca_race`` says. A child
        whose entry never executed was never at the market.
        """
        tickets = [ticket for ticket in self.venue.exchange._floor.tickets() if ticket.client == 0]
        spent = {ticket.oca for ticket in tickets if ticket.filled} - {None}
        races = self.schedule.habits.settings["oca_race"]
        return [
            ticket.report()
            for ticket in tickets
            if ticket.state is OrderState.CANCELLED
            and (races or ticket.oca not in spent)
            and (ticket.parent is None or ticket.parent.filled)
        ]

    def note(self, who: str, text: str, **more: Any) -> None:
        """Write down what somebody did."""
        self.notes.append(Note(self.loop.micros, who, text))
        if "what" in more:
            self.seen[f"{who} {more['what']}"] += 1

    def _refuse(self, spec: OrderSpec, at: datetime, action: str) -> Refusal | None:
        if self.loop.micros >= self.schedule.fault_free_from or not spec.ref:
            return None
        for rule, state in zip(self.schedule.refusing, self._refusing, strict=True):
            if not _matches(rule, spec, action) or state[1] <= 0:
                continue
            if state[0] > 0:
                state[0] -= 1
                continue
            state[1] -= 1
            self.seen[f"{action} refused"] += 1
            if action == "place" and spec.type.is_stop:
                self.seen["stop refused"] += 1
            return Refusal(rule.code, rule.text)
        return None

    # --- the end ------------------------------------------------------------------------------------------------------

    def _judge(self, findings: list[Finding]) -> Outcome:
        schedule, life = self.schedule, self.life
        if life is not None:
            life.end(None)
        self.venue.close()
        on_disk, journal = self._audit_lines(), self.journals.lines()
        # The folder has another name in every process, and a defect that was told names it.
        audit = [line.replace(bytes(self.folder), b"state") for line in on_disk]
        facts = self._facts()
        findings += [
            Finding("V25", self.loop.micros / SECOND, f"a callback raised {error!r}")
            for error in self.loop.faults
        ]
        for _ in range(self.seen["EngineFault"]):
            findings.append(Finding("V24", 0.0, "a defect was reported: " + _first_fault(audit)))
        if schedule.seed % REPLAYED == 0 and (difference := self.journals.differ()):
            findings.append(Finding("replay", 0.0, difference))
        report = check(self.b, on_disk, journal, facts)
        findings += [Finding(found.rule, found.t, found.text) for found in report.violations]
        counters = (
            self.seen
            + Counter(report.counters)
            + self.courier.tally
            + look(self.b, (CLOSE - schedule.start).total_seconds())
        )
        return Outcome(
            schedule.seed,
            tuple(findings),
            counters,
            self.b,
            audit,
            journal,
            facts,
            self.notes,
            report.exposures,
        )

    def _audit_lines(self) -> list[bytes]:
        path = self.folder / "events.jsonl"
        torn = sorted(self.folder.glob("events.jsonl.torn-*"))
        self.seen["torn tail"] += len(torn)
        return path.read_bytes().splitlines(keepends=True)

    def _facts(self) -> dict[str, Any]:
        schedule = self.schedule
        return {
            "seed": schedule.seed,
            "start": schedule.start.isoformat(),
            "end": schedule.seconds,
            "fault_free_from": schedule.fault_free_from / SECOND,
            "account": schedule.account,
            "is_paper": schedule.is_paper,
            "flatten_live": schedule.flatten_live,
            "oca_race": schedule.habits.settings["oca_race"] or schedule.habits.settings["oca_restores"],
            "has_faults": schedule.faults > 0 or len(self.life_spans) > 1,  # a kill is one
            "limits": {key: _plain(value) for key, value in schedule.limits.items()},
            "habits": dict(schedule.habits.settings),
            "lives": self.life_spans,
            "halts": {
                symbol: [(move.at / SECOND, bool(move.a)) for move in path.moves if move.kind == "halt"]
                for symbol, path in schedule.paths.items()
            },
            "contracts": {symbol: contract(self.venue, symbol).con_id for symbol in schedule.paths},
            "plans": {
                (f"br-{number}" if ask.bars else f"m-{number}"): {
                    key: _plain(value) for key, value in ask.plan.items()
                }
                | {"flat_at": _seconds_until(schedule.start, ask.plan.get("flat_by"))}
                for number, ask in enumerate(schedule.asks, 1)
            },
        }


def _seconds_until(start: datetime, flat_by: time | None) -> float | None:
    if flat_by is None:
        return None
    return (datetime.combine(start.astimezone(NEW_YORK).date(), flat_by, NEW_YORK) - start).total_seconds()


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, int | float | bool) else str(value)


def _matches(rule: Refusing, spec: OrderSpec, action: str) -> bool:
    return rule.what == action and leg_of(spec.ref).startswith(rule.leg)


def _first_fault(audit: list[bytes]) -> str:
    return next((line.decode(errors="replace")[:400] for line in audit if b'"EngineFault"' in line), "")


def run_schedule(schedule: Schedule, folder: Path, world: type[World] = World, **more: Any) -> Outcome:
    """Run one schedule in an emptied ``folder``."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    return world(schedule, folder, **more).run()
