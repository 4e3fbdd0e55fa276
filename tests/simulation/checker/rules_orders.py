"""Rules about single orders: written before they are sent, sent once, to the right account, not in the dark, nobody else's.

Laws: an order at the venue is compared with what L says was decided; what L does not hold was never decided.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulation.checker.disk import Intent, same_price
from tests.simulation.checker.facts import NEVER, Plan, is_account
from tests.simulation.checker.model import Order

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay

SLACK = 1e-3  # seconds: two clocks of one schedule, rounded
DOOR = 10.0  # seconds that a message may wait behind others while steps stall


class OrderRules:
    """V05, V06, V07, V08, V10, V14, V19."""

    def __init__(self, run: Replay) -> None:
        self._run = run
        self._tell = run.findings
        self._entered: dict[str, int] = {}
        self._used: dict[str, int] = {}  # how many changes of an order have been matched
        self._no_bytes = {
            record["order_ref"]
            for record in run.log.by_event.get("OrderSendFailed", ())
            if record["certain"] and record["action"] == "place"
        }

    # --- new orders ---------------------------------------------------------------------------------------------------

    def accepted(
        self, order: Order, record: dict[str, Any], intent: Intent | None, before: Order | None
    ) -> None:
        """Judge a new order of ours."""
        run = self._run
        self._tell.did("V08")
        if intent is None:
            self._tell.breach("V08", run.now, f"{order!r} is at the venue, and nothing on disk says so")
            self._tell.breach("V07", run.now, f"{order!r} accepted without an intent in the audit")
            return
        self._tell.did("V06")
        if before is not None:
            self._tell.breach(
                "V06", run.now, f"{order!r}: the same intent is at the venue twice, also as #{before.id}"
            )
        self._check_written(order, record, intent)
        self._check_place(record, order, intent)
        self._check_earlier(order, intent)
        if not order.is_sell and order.leg == "entry":
            self._check_single(order, intent)
        self._check_link(order, intent, is_new=True)

    def _check_single(self, order: Order, intent: Intent) -> None:
        self._tell.did("V05")
        count = self._entered[order.watch] = self._entered.get(order.watch, 0) + 1
        if count > 1:
            self._tell.breach("V05", self._run.now, f"{order.watch} entered {count} times: {order!r}")
        plan = self._run.facts.plans.get(order.watch)
        if plan is None:
            return
        if plan.risk is not None:
            self._check_size(order, plan, intent)
        elif order.qty > plan.qty:
            self._tell.breach(
                "V05", self._run.now, f"{order!r}: {order.qty} shares, the plan buys {plan.qty}"
            )
        if plan.flat_at is not None and intent.t >= plan.flat_at + SLACK:
            self._tell.breach(
                "V05", self._run.now, f"{order!r} was decided behind the time by which it is flat"
            )

    def _check_size(self, order: Order, plan: Plan, intent: Intent) -> None:
        """Its shares are those that its risk allows at the price of its order; what is not known is not judged."""
        told = intent.record
        # A market order leaves on a touch that is too old to say what it costs: then the bar that asked says it.
        keys = ("limit",) if told.get("limit") is not None else ("ask", "bar_close")
        prices = [Decimal(str(told[key])) for key in keys if told.get(key) is not None]
        if not prices or plan.sl is None or plan.risk is None:
            return
        most = [plan.risk // (price - plan.sl) for price in prices]
        if order.qty not in most:
            words = f"{order!r}: {order.qty} shares, its risk allows {most[0]}"
            self._tell.breach("V05", self._run.now, words)

    def _check_written(self, order: Order, record: dict[str, Any], intent: Intent) -> None:
        run = self._run
        self._tell.did("V07")
        if intent.t > run.now + SLACK:
            self._tell.breach(
                "V07", run.now, f"{order!r} accepted {intent.t - run.now:.3f} s before its intent was written"
            )
        if (wrong := _differs(record, intent.record)) is not None:
            self._tell.breach("V07", run.now, f"{order!r}: {wrong} is not what the audit says")
        self._check_journal(order, record, "PlaceOrder")

    def _check_journal(self, order: Order, record: dict[str, Any], command: str) -> None:
        run = self._run
        wrong = ""
        for written in reversed(run.journal.commands.get((order.ref, command), ())):
            if written.order_id == order.id and written.t <= run.now + SLACK:
                differs = _differs(record, written.order)
                if differs is None:
                    return
                wrong = wrong or differs
        if wrong:
            self._tell.breach("V07", run.now, f"{order!r}: {wrong} is not what the journal says")
        elif run.journal.has_gap and order.is_sell:
            self._tell.excused("V07 gap")
        else:
            self._tell.breach("V07", run.now, f"{order!r} is not in the journal")

    def _check_place(self, record: dict[str, Any], order: Order, intent: Intent) -> None:
        run = self._run
        self._tell.did("V10")
        if run.facts.account and not is_account(record["account"], run.facts.account):
            self._tell.breach(
                "V10", run.now, f"{order!r}: account {record['account']}, not {run.facts.account}"
            )
        elif not is_account(record["account"], intent.record["account"]):
            self._tell.breach("V10", run.now, f"{order!r}: account {record['account']} is not the intent's")
        qualified = run.facts.contracts.get(order.sym, record["con_id"])
        if not record["con_id"] or not record["con_id"] == intent.record["con_id"] == qualified:
            self._tell.breach(
                "V10", run.now, f"{order!r}: contract {record['con_id']}, not {intent.record['con_id']}"
            )

    def _check_earlier(self, order: Order, intent: Intent) -> None:
        """A further generation of a leg needs the end of the one before, and the host must have been told of it."""
        if order.generation <= 1 or order.trade is None:
            return
        run = self._run
        self._tell.did("V06")
        for other in order.trade.orders:
            if other is order or other.leg != order.leg or other.generation >= order.generation:
                continue
            if other.is_live:
                seen = sum(
                    other.intent_at < t <= intent.t and of < other.since
                    for t, of, _ in run.delivery.snapshots
                )
                if seen >= 2:
                    self._tell.excused("V06 absent in two pictures")
                elif "revision" in other.refused_text:
                    self._tell.excused("V06 group revision")
                else:
                    self._tell.breach("V06", run.now, f"{order!r} accepted while {other!r} lives")
            elif not other.known_dead and not self._was_shown_dead(other):
                self._tell.breach(
                    "V06", run.now, f"{order!r} accepted, and nobody told that {other!r} had ended"
                )
        self._check_absent(order, intent)

    def _was_shown_dead(self, other: Order) -> bool:
        ended = other.ended_at
        return ended is not None and any(of >= ended for _, of, _ in self._run.delivery.snapshots)

    def _check_absent(self, order: Order, intent: Intent) -> None:
        """The generation before may have never reached the venue: the venue says so to its cancel, or two pictures show it."""
        run = self._run
        ref = f"ts:{order.watch}:{order.leg}:{order.generation - 1}"
        earlier = run.log.placed.get(ref)
        if ref in run.account.by_ref or earlier is None or ref in self._no_bytes:
            return
        if any(record["order_ref"] == ref for record in run.log.by_event.get("OrderRefused", ())):
            return
        if run.delivery.denied.get(ref, NEVER) <= intent.t + SLACK:
            self._tell.excused("V06 the venue has no such order")
            return
        if sum(earlier.t < t <= intent.t + SLACK for t, _, _ in run.delivery.snapshots) < 2:
            self._tell.breach("V06", run.now, f"{order!r} accepted, and no two pictures lacked {ref}")

    # --- changes and cancels ------------------------------------------------------------------------------------------

    def modified(self, order: Order, record: dict[str, Any]) -> Intent | None:
        """Judge a change of ours, and return its intent."""
        run = self._run
        self._tell.did("V07")
        intents = run.log.changes.get(order.ref, [])
        used = self._used.get(order.ref, 0)
        for row in (*range(used, len(intents)), *range(used)):
            intent: Intent = intents[row]
            if intent.t <= run.now + SLACK and _differs(record, intent.record) is None:
                self._used[order.ref] = row + 1
                break
        else:
            self._tell.breach("V07", run.now, f"{order!r} changed, and no intent in the audit says so")
            return None
        self._check_journal(order, record, "ModifyOrder")
        if not is_account(record["account"], intent.record["account"]):
            self._tell.breach("V10", run.now, f"{order!r}: the change names account {record['account']}")
        is_reprice = order.elected and same_price(record["stp"], str(order.stp))
        if order.is_stop and not is_reprice:
            self._check_link(order, intent, is_new=False)
        return intent

    def cancel_asked(self, order: Order | None, record: dict[str, Any]) -> None:
        """Judge a cancel that came from us."""
        run = self._run
        self._tell.did("V19")
        intent = run.log.last_intent(record["ref"], "cancel", run.now)
        if order is not None and not order.is_own:
            if run.facts.may_cancel_orphans and order.is_sell:
                self._tell.excused("V19 orphan")
            else:
                self._tell.breach("V19", run.now, f"a cancel of {order!r}, which is not ours")
            return
        if intent is None:
            self._tell.breach(
                "V08", run.now, f"a cancel of {record['ref'] or record['id']}, and no intent says so"
            )
        elif order is not None and order.is_stop:
            self._check_link(order, intent, is_new=False)

    def _read_at(self, lost: float) -> float:
        """Return when the loss of a link at ``lost`` was known: steps that stall let it wait at the door, but not for long."""
        read = (
            r["mono"]
            for r in self._run.log.of("ConnectionChanged")
            if r["link"] == "lost" and r["mono"] >= lost
        )
        return max(lost + self._run.facts.bounds.lag, min(next(read, lost), lost + DOOR))

    def _check_link(self, order: Order, intent: Intent, *, is_new: bool) -> None:
        """Nothing is decided between the loss of the link and the end of the next reconciliation."""
        run = self._run
        if is_new and order.is_sell:
            return
        self._tell.did("V14")
        in_the_dark = not intent.is_ready
        for begin, end in reversed(run.delivery.downs):
            in_the_dark = in_the_dark or self._read_at(begin) < intent.t < end - SLACK
        if not in_the_dark:
            return
        if not is_new and run.did_operator(order, "cancel", "replace", "flatten"):
            self._tell.excused("V14 operator")
        else:
            what = "entered" if is_new else "changed or cancelled"
            self._tell.breach("V14", run.now, f"{order!r} {what} before the account was known again")

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Judge what only L shows."""
        log = self._run.log
        for intent in log.placed_twice:
            self._tell.breach("V06", intent.t, f"{intent.record['order_ref']} was meant to be placed twice")
        seen: set[str] = set()
        for record in log.by_event.get("BreakoutConfirmed", ()):
            self._tell.did("V05")
            if record["watch"] in seen:
                self._tell.breach("V05", record["mono"], f"{record['watch']} was confirmed twice")
            seen.add(record["watch"])
        for ref, intents in log.intents.items():
            self._tell.did("V19")
            if ref not in log.placed and not self._run.facts.may_cancel_orphans:
                if (ref, "PlaceOrder") in self._run.journal.commands and self._run.starts > 1:
                    # A kill between the two files: it was decided, and may have left.
                    self._tell.excused("V19 placed in the journal only")
                    continue
                action = intents[0].record["action"]
                self._tell.breach("V19", intents[0].t, f"{action} of {ref}, which we never placed")


_NAMES = (("side", "side"), ("qty", "qty"), ("type", "type"), ("tif", "tif"), ("rth", "outside_rth"))


def _differs(record: dict[str, Any], written: dict[str, Any]) -> str | None:
    """Return what of an order at the venue is not what was written, or ``None``."""
    for name, theirs in _NAMES:
        if record[name] != written[theirs]:
            return f"{theirs} {record[name]} (written: {written[theirs]})"
    for name, theirs in (("lmt", "limit"), ("stp", "stop")):
        if not same_price(record[name], written.get(theirs)):
            return f"{theirs} {record[name]} (written: {written.get(theirs)})"
    return None
