"""Rules about the end: fills are conserved, outcomes are known, nothing is left open; and what identifies a run.

Laws: judged only when the fault-free suffix was long enough and the program ran through it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from tests.simulation.checker.model import Order, stem

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay

STATUS = ("OrderStatusChanged", "BracketChildOrderStatusChanged")
FILLS = ("OrderFilled", "BracketChildOrderFilled")


def finish(run: Replay) -> None:
    """Judge the end of a schedule."""
    suffix = run.facts.fault_free_from
    is_settled = suffix is not None and run.now - suffix >= run.facts.bounds.settle and run.is_alive
    _check_pictures(run)
    if is_settled:
        _check_fills(run)
        _check_outcomes(run)
        _check_open(run)


# --- V11 --------------------------------------------------------------------------------------------------------------


def _told_fills(run: Replay) -> dict[str, tuple[int, int]]:
    """Return each execution in the audit: its last revision and shares."""
    fills: dict[str, tuple[int, int]] = {}
    for record in run.log.of(*FILLS):
        _take(fills, record["exec_id"], record["qty"])
    return fills


def _take(fills: dict[str, tuple[int, int]], exec_id: str, qty: int) -> None:
    key, last = stem(exec_id), exec_id.rpartition(".")[2]
    revision = int(last) if last.isascii() and last.isdigit() else 0
    if key not in fills or fills[key][0] <= revision:
        fills[key] = (revision, qty)


def _check_fills(run: Replay) -> None:
    fills = _told_fills(run)
    truth = {
        key: found["qty"]
        for key, found in run.account.executions.items()
        if found["order"] is not None and found["order"].is_own
    }
    if any(key not in fills or fills[key][1] != qty for key, qty in truth.items()):
        for execution in run.journal.executions():  # a kill between the two files: the journal has it
            _take(fills, execution["exec_id"], execution["qty"])
    for key, qty in truth.items():
        run.findings.did("V11")
        told = fills.get(key)
        if told is None or told[1] != qty:
            order = run.account.executions[key]["order"]
            run.findings.breach(
                "V11", run.now, f"{order!r}: execution {key} of {qty} shares, on disk {told and told[1]}"
            )
    for key in fills.keys() - run.account.executions.keys():
        run.findings.breach("V11", run.now, f"execution {key} is on disk and never happened")


def _check_pictures(run: Replay) -> None:
    """What a picture showed is on disk when the reconciliation that it made is told."""
    times: dict[str, float] = {}
    for record in run.log.of(*FILLS):
        times.setdefault(stem(record["exec_id"]), record["mono"])
    happened = [
        (key, found["t"], found["order"])
        for key, found in run.account.executions.items()
        if found["order"] is not None and found["order"].is_own
    ]
    if not happened:
        return
    for record in run.log.by_event.get("ReconciliationCompleted", ()):
        pictures = [executions for t, _, executions in run.delivery.snapshots if t <= record["mono"] + 1e-6]
        for key, t, order in happened if pictures else ():
            run.findings.did("V11")
            if t < pictures[-1] and key not in times and run.starts <= 1:
                run.findings.breach(
                    "V11", record["mono"], f"{order!r}: execution {key} was in a picture and is not told"
                )


# --- V08 --------------------------------------------------------------------------------------------------------------


def _check_outcomes(run: Replay) -> None:
    """Every order that was meant has an outcome, and it is the venue's."""
    log = run.log
    known: dict[str, str] = {}
    for event in ("OrderOutcomeUnknown", *FILLS, "LadderStopLossReplaced"):
        for record in log.by_event.get(event, ()):
            known.setdefault(record["order_ref"], "" if event == "OrderOutcomeUnknown" else "accepted")
            if known[record["order_ref"]] == "" and event != "OrderOutcomeUnknown":
                known[record["order_ref"]] = "accepted"
    ended: set[str] = set()  # by the last word on it
    ever: set[str] = set()  # late news does not wake a finished order
    for record in log.of(*STATUS, "OrderRefused", "OrderSendFailed", "OrderMissing"):
        ref, event = record["order_ref"], record["event"]
        if event == "OrderRefused":
            if record["what"] == "order":
                known[ref] = "refused"
                ended.add(ref)
                ever.add(ref)
        elif event == "OrderSendFailed":
            if record["certain"] and record["action"] == "place":  # without its change it works on
                known[ref] = "not sent"
                ended.add(ref)
                ever.add(ref)
        elif event == "OrderMissing":
            known[ref] = "absent"
            ended.add(ref)
            ever.add(ref)
        elif record["status"] == "unknown":
            known.setdefault(ref, "")
        else:
            known[ref] = record["status"]
            is_end = record["status"] in ("filled", "cancelled", "refused")
            (ended.add if is_end else ended.discard)(ref)
            if is_end:
                ever.add(ref)
    for ref, intent in log.placed.items():
        run.findings.did("V08")
        outcome = known.get(ref)
        order = run.account.by_ref.get(ref)
        if not outcome and run.starts > 1 and run.journal.heard_of(ref):
            run.findings.excused("V08 outcome in the journal only")
        elif not outcome:
            run.findings.breach(
                "V08", run.now, f"{ref} was meant {run.now - intent.t:.0f} s ago and has no outcome"
            )
            rule = "V25" if outcome is not None else None
            if rule is not None:
                run.findings.breach(rule, run.now, f"{ref} is still unknown")
        elif order is not None and order.is_live and order.state != "sent" and ref in ended:
            run.findings.breach("V08", run.now, f"{order!r} lives at the venue and ended ({outcome}) on disk")
        elif order is not None and not order.is_live and ref not in ever and order.state != "filled":
            if run.starts > 1 and run.journal.heard_the_end_of(ref):
                run.findings.excused("V08 outcome in the journal only")
                continue
            if order.executed >= order.total and order.late:  # V11 sees to its executions
                run.findings.excused("V08 sold after its end")
                continue
            run.findings.breach(
                "V08", run.now, f"{order!r} is {order.state} at the venue and lives ({outcome}) on disk"
            )


# --- V13 and V25 ------------------------------------------------------------------------------------------------------


def _was_moved(stop: Order) -> bool:
    """Return whether the operator moved this stop, or the one whose shares got a leg of their own that the plan lacks."""
    trade = stop.trade
    assert trade is not None
    assert trade.plan is not None  # asked for stops of plans only
    number = int(stop.leg[2:]) if stop.leg[2:].isdigit() else 0
    is_extra = number > max(1, len(trade.plan.tps))
    return any(
        o.operator is not None and (o.leg == stop.leg or (is_extra and o.stp == stop.stp))
        for o in trade.orders
    )


def _check_open(run: Replay) -> None:
    findings, suffix = run.findings, run.facts.fault_free_from or 0.0
    if not run.is_up:
        findings.breach("V25", run.now, "the link is still down")
    elif not any(t >= run.up_since for t in run.reconciled[-1:]):
        findings.breach("V25", run.now, f"up since {run.up_since:.1f} s and never reconciled")
    for stock in run.account.stocks.values():
        findings.did("V25")
        findings.did("V13")
        if stock.uncovered and not stock.halted and not (stock.gap is not None and stock.gap.alarm_only):
            told = (
                "and the alarm is the only answer" if stock.gap is None else f"since {stock.gap.opened:.1f} s"
            )
            findings.breach(
                "V25", run.now, f"{stock.name}: {stock.uncovered} shares without a working stop {told}"
            )
        if stock.worst > max(0, stock.inventory):
            findings.breach(
                "V13",
                run.now,
                f"{stock.name}: exits could sell {stock.worst} of {stock.inventory} shares at the end",
            )
        for trade in stock.trades:
            flat_at = None if trade.plan is None else trade.plan.flat_at
            held = trade.net - trade.taken  # what others sold of it is nobody's to sell again
            if (
                flat_at is not None
                and flat_at < suffix
                and min(held, stock.inventory) > 0
                and not stock.halted
            ):
                findings.breach(
                    "V25",
                    run.now,
                    f"{trade.watch} was to be flat at {flat_at:.1f} s and holds {held} shares",
                )
        for order in stock.sells:
            plan = None if order.trade is None else order.trade.plan
            if plan is None or plan.sl is None or order.stp is None or order.operator is not None:
                continue
            if order.stp not in (plan.sl, *plan.updates) and not _was_moved(order):
                findings.breach(
                    "V13", run.now, f"{order!r} ends at {order.stp}, which is no stop of its plan"
                )


# --- V26 --------------------------------------------------------------------------------------------------------------


def digest(
    b: list[dict[str, Any]],
    audit_lines: list[bytes],
    journal_lines: list[bytes],
    without: tuple[bytes, ...] = (),
) -> str:
    """Return what identifies both records of a run; the same seed, code and config must give the same.

    ``without``: texts that may differ (a session's random id), blanked wherever they stand.
    """
    whole = hashlib.sha256(msgspec.json.encode(b, order="deterministic"))
    for lines in (audit_lines, journal_lines):
        whole.update(b"\0%d\0" % len(lines))
        for line in lines:
            left = line.rstrip(b"\n")
            for text in without:
                left = left.replace(text, b"")
            whole.update(left + b"\n")
    return whole.hexdigest()
