"""An independent checker: judges one schedule from the venue's own record (B) and the bytes on disk (L), and nothing else.

Laws: nothing of the program is imported, and no view of its own is asked; a rule that cannot be judged from B and L is not
pretended to be. Each rule counts how often it was really exercised, each excuse how often it was given.

**B** is a list of plain records in the order in which things happened, each with ``event`` (its kind) and ``t`` (seconds since
the schedule's start): at the venue ``accept`` ``modify`` ``refuse`` ``cancel_asked`` ``state`` ``exec`` ``corrected`` ``quote``
``halt`` ``link``; delivered to the program ``to_host`` (with a ``kind``) and ``snapshot`` (instants in seconds); from the harness
``op`` ``kill`` ``start`` ``fault_free``. ``state.works`` says whether the order may trigger or fill now; a change that is not
ours has a ``by``, or comes as a ``state`` with other prices.

**L** is the audit's lines and the journal's. ``mono`` of the audit is the schedule's time.

**Facts** are told, never inferred: ``account`` ``plans`` (by watch, or a list with ``watch``) ``is_paper`` ``flatten_live``
``oca_race`` ``has_faults`` ``fault_free_from`` ``end`` ``start`` ``limits`` ``contracts``; ``positions`` are shares that are
there before and that no execution in B explains; ``hours`` are those of several days, ``log_begins`` the lines with which files
of the audit begin; ``bounds`` overrides single time bounds. ``oca_race``: a group may sell more
than it was told to, because its orders fill in one moment, or because a change on its way undoes a reduction.

Not judged here, and why:

- V09: whether an account was verified before the first order of a connection is seen on the wire only.
- V12: needs several restarts of one state folder; one schedule has one history.
- V22: the rate of all messages and what queued behind what is seen on the wire only. V24: needs stderr and the loop's own faults.
- V27: what the screen displayed is in neither record. V29: needs real time. V30: needs stdout and tracebacks.
- V03: why nothing more is tried is believed when L says so (``SymbolFrozen``), but then an alarm must repeat, and it is counted.
- V13 is judged as a condition on the final state; the difference to the unkilled run needs that run.
- V20: the session and the collar of a typed limit need the calendar and the quote that the operator saw.
- V23: the audit's sequence and the chain of its checksums are checked, and each line of the journal by its CRC.
"""

from __future__ import annotations

from typing import Any

from tests.simulation.checker.disk import Journal, Log
from tests.simulation.checker.facts import Facts
from tests.simulation.checker.replay import Replay
from tests.simulation.checker.report import RULES, SOMETIMES, Bounds, Findings, Report, Violation
from tests.simulation.checker.rules_end import digest, finish

__all__ = ["RULES", "SOMETIMES", "Bounds", "Report", "Violation", "check", "digest"]


def check(
    b: list[dict[str, Any]], audit_lines: list[bytes], journal_lines: list[bytes], facts: dict[str, Any]
) -> Report:
    """Judge one schedule."""
    told = Facts(facts)
    findings = Findings()
    log = Log(audit_lines, findings, told.log_begins)
    journal = Journal(journal_lines, log.start or told.start, findings)
    run = Replay(told, log, journal, findings)
    run.run(b)
    run.oversell.finish()
    run.cover.finish()
    run.orders.finish()
    run.entries.finish()
    finish(run)
    exposures = {
        **run.cover.exposure.told(),
        "share_seconds": run.cover.share_seconds,
        "share_seconds_all": run.cover.share_seconds_all,
        "peak": run.cover.peak,
    }
    findings.violations.sort(key=lambda violation: (violation.t, violation.rule))
    return Report(findings.violations, findings.counters, exposures)
