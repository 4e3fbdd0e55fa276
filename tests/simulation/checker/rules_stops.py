"""Rules about stop prices: never looser, and moved exactly by the milestones of the plan.

Laws: what the operator moved, or somebody at the venue, is theirs: from then on only upwards from there is asked.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from tests.simulation.checker.disk import Intent
from tests.simulation.checker.facts import price as as_price
from tests.simulation.checker.model import Order, Trade

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay


class _Move:
    """A milestone that was reached and whose stops must follow."""

    __slots__ = ("number", "opened", "ran", "trade")

    def __init__(self, trade: Trade, number: int, opened: float) -> None:
        self.trade, self.number, self.opened, self.ran = trade, number, opened, 0.0


class StopRules:
    """V15 and V17."""

    def __init__(self, run: Replay) -> None:
        self._run = run
        self._highest: dict[tuple[str, str], tuple[Decimal, float]] = {}
        self._moves: list[_Move] = []
        self._postponed = [
            (record["mono"], record["watch"]) for record in run.log.by_event.get("StopUpdatePostponed", ())
        ]
        self._given_up = {record["order_ref"] for record in run.log.by_event.get("OrderChangeGivenUp", ())}

    def accepted(
        self,
        order: Order,
        intent: Intent | None,
        *,
        is_new: bool,
        before: Decimal | None = None,
    ) -> None:
        """Judge a stop price that the venue took from us."""
        run, stop = self._run, order.stp
        assert stop is not None
        key = (order.watch, order.leg)
        last, since = self._highest.get(key, (None, order.since))
        within = run.now - since + 30.0  # what was typed since, and what was still under way then
        by_operator = order.operator is not None or run.did_operator(order, "replace", within=within)
        if is_new and order.trade is not None:  # where somebody put the one before
            by_operator = by_operator or any(
                other.leg == order.leg and other.operator is not None and other.stp == stop
                for other in order.trade.orders
                if other is not order
            )
        self._highest[key] = (stop, run.now)
        if last is not None:
            run.findings.did("V15")
            if stop < last and not by_operator:
                run.findings.breach("V15", run.now, f"{order!r}: the stop went down from {last} to {stop}")
        if by_operator:
            order.operator = run.now
            return
        if is_new or stop != before:
            self._check_rule(order, stop)
        elif (
            intent is not None
            and not order.elected
            and not run.facts.has_faults
            and self._is_repeated(order, intent)
        ):
            run.findings.breach("V17", run.now, f"{order!r}: the same change was sent twice")

    def _is_repeated(self, order: Order, intent: Intent) -> bool:
        """Return whether the intent before it asked for exactly the same."""
        same = ("action", "qty", "stop", "limit")
        earlier = [other.record for other in self._run.log.intents[order.ref] if other.at < intent.at]
        return any(all(each.get(name) == intent.record.get(name) for name in same) for each in earlier[-1:])

    # --- V17 ----------------------------------------------------------------------------------------------------------

    def _check_rule(self, order: Order, stop: Decimal) -> None:
        trade = order.trade
        plan = None if trade is None else trade.plan
        if (
            trade is None
            or plan is None
            or plan.sl is None
            or not plan.is_detached
            or not order.leg.startswith("sl")
        ):
            return
        run = self._run
        if stop == plan.sl:
            return
        leg = int(order.leg[2:]) if order.leg[2:].isdigit() else 0
        legs = len(plan.tps)
        rows = [
            row for row, update in enumerate(plan.updates) if update == stop and (leg > row + 1 or leg > legs)
        ]
        if not rows:
            if self._was_moved(trade, order):
                run.findings.excused("V17 moved by hand")
            else:
                run.findings.breach("V17", run.now, f"{order!r}: {stop} is no stop of the plan for this leg")
            return
        run.findings.did("V17")
        missing = [number for number in range(1, rows[0] + 2) if not self._may_count(trade, number)]
        if missing and self._was_moved(trade, order):
            run.findings.excused("V17 moved by hand")
        elif missing:
            run.findings.breach(
                "V17", run.now, f"{order!r}: moved to {stop}, but tp{missing[0]} is not fully sold"
            )

    @staticmethod
    def _was_moved(trade: Trade, stop: Order) -> bool:
        """Return whether the operator moved this leg's stop: its next generations stand where he put it.

        So does a leg of its own that the plan lacks, for shares of one that he moved.
        """
        assert trade.plan is not None  # only stops of plans are asked for
        is_extra = stop.leg[2:].isdigit() and int(stop.leg[2:]) > max(1, len(trade.plan.tps))
        return any(
            o.operator is not None and (o.leg == stop.leg or (is_extra and o.stp == stop.stp))
            for o in trade.orders
            if o is not stop
        )

    def _may_count(self, trade: Trade, number: int) -> bool:
        """Return whether a target may count as fully sold: it is, or was (a correction undoes nothing), or cannot be told.

        What was taken back of one that the venue has filled is sold by an exit of its own.

        It cannot be told when its stop sold a part, and when there was no such target.
        """
        if number <= trade.reached:
            return True
        targets = [order for order in trade.orders if order.leg == f"tp{number}"]
        is_filled = trade.is_busted and any(order.state == "filled" for order in targets)
        return not targets or is_filled or self._is_sold(trade, number) or self._stop_sold(trade, number)

    def _goes_on(self, trade: Trade, number: int, t: float) -> bool:
        """Return whether a target works again, or is about to: it had fewer shares than its leg, by operator or cap."""
        run = self._run
        targets = [order for order in trade.orders if order.leg == f"tp{number}"]
        refs = {order.ref for order in targets}
        was_typed = any(op["what"] == "replace" and op.get("ref") in refs for op in run.operations)
        placed = max((run.log.placed[ref].record["qty"] for ref in refs if ref in run.log.placed), default=0)
        is_short = was_typed and sum(order.executed for order in targets) + trade.taken < placed
        coming = run.log.placed.get(f"ts:{trade.watch}:tp{number}:{len(targets) + 1}")
        is_coming = coming is not None and coming.t <= t
        return is_short or is_coming or any(order.is_live for order in targets)

    @staticmethod
    def _is_sold(trade: Trade, number: int) -> bool:
        return any(
            order.leg == f"tp{number}"
            and order.executed > 0
            and order.executed >= order.total
            and not order.left
            for order in trade.orders
        )

    @staticmethod
    def _stop_sold(trade: Trade, number: int) -> bool:
        return any(order.leg == f"sl{number}" and order.executed > 0 for order in trade.orders)

    def target_moved(self, order: Order) -> None:
        """See whether a target that executed makes a milestone."""
        trade = order.trade
        plan = None if trade is None else trade.plan
        if trade is None or plan is None or not plan.is_detached:
            return
        number = trade.reached
        while (
            number < len(plan.updates)
            and self._is_sold(trade, number + 1)
            and not self._stop_sold(trade, number + 1)
        ):
            number += 1
        if number > trade.reached:
            trade.reached = number
            self._run.findings.saw("milestone")
            self._moves.append(_Move(trade, number, self._run.now))

    def pass_time(self, begin: float, end: float) -> None:
        """Let milestones wait for their stops."""
        if not self._moves:
            return
        run, bounds = self._run, self._run.facts.bounds
        ready = run.ready_time(begin, end)
        for move in tuple(self._moves):
            stock = run.account.stock(move.trade.sym)
            if not stock.halted and not stock.pending:
                move.ran += ready
            # A process that dies again before its orders were answered leaves the next one to wait for that anew.
            again = max(0, sum(t > move.opened for t in run.started) - 1)
            if move.ran <= bounds.milestone + bounds.answer * again:
                continue
            behind = [] if move.trade.reached > move.number else self._behind(move)
            if (
                behind
                and move.ran <= bounds.unprotected_troubled
                and self._is_under_way(behind, move.opened, end - move.ran + bounds.milestone)
            ):
                continue
            self._moves.remove(move)
            run.findings.did("V17")
            open_ = next((n for n in range(1, move.number + 1) if self._goes_on(move.trade, n, end)), 0)
            if open_ or not self._is_sold(move.trade, move.number):
                run.findings.excused("V17 taken back")
                if (
                    open_ and not move.trade.is_busted
                ):  # once that is sold, too, its milestone is reached again
                    move.trade.reached = min(move.trade.reached, open_ - 1)
                continue
            for order in behind:
                if self._is_excused(order, move):
                    run.findings.excused("V17 stop stays")
                else:
                    update = move.trade.plan.updates[move.number - 1] if move.trade.plan else ""
                    run.findings.breach(
                        "V17", end, f"{order!r}: tp{move.number} is sold, the stop is not at {update}"
                    )

    def _behind(self, move: _Move) -> list[Order]:
        plan = move.trade.plan
        assert plan is not None
        price = plan.updates[move.number - 1]
        return [
            order
            for order in move.trade.orders
            if order.is_live
            and order.is_stop
            and order.leg[2:].isdigit()
            and move.number < self._step(move.trade, order) <= len(plan.tps)
            and not order.elected
            and order.stp is not None
            and order.stp < price
            and order.since <= move.opened
        ]

    def _step(self, trade: Trade, stop: Order) -> int:
        """Return which target a stop's leg follows: shares that came late have a leg with a number of its own."""
        number = int(stop.leg[2:])
        intent = self._run.log.placed.get(f"ts:{stop.watch}:tp{number}:1")
        limit = None if intent is None else as_price(intent.record.get("limit"))
        tps = [] if trade.plan is None else trade.plan.tps
        return tps.index(limit) + 1 if limit in tps else number

    def _is_under_way(self, orders: list[Order], since: float, until: float) -> bool:
        log = self._run.log
        found = (log.last_intent(order.ref, "replace", until) for order in orders)
        return any(intent is not None and intent.t >= since - 1e-6 for intent in found)

    def _is_excused(self, order: Order, move: _Move) -> bool:
        if order.operator is not None or order.changes_refused or order.ref in self._given_up:
            return True
        return any(watch == order.watch and t >= move.opened - 1e-6 for t, watch in self._postponed)
