"""Rules about selling too much: never short, and no exits that could make us short.

Laws: what the program could know decides about what it sends, what it must know by now about what it leaves standing; a sale that
the venue made by itself is no fault of ours, but it has to be told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.checker.duty import Duty, did_act
from tests.simulation.checker.model import Order, Stock, stem

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay


class OversellRules:
    """V01 and V02."""

    def __init__(self, run: Replay) -> None:
        self._run = run
        self._bounds = run.facts.bounds
        self._tell = run.findings
        self._alerts: list[
            tuple[Stock, float, str]
        ] = []  # oversales to be told: executed when, by which execution

    def finish(self) -> None:
        """Judge what can only be judged when all that was delivered is known."""
        for stock, t, exec_id in self._alerts:
            self._judge_alert(stock, t, exec_id)

    # --- V01 ----------------------------------------------------------------------------------------------------------

    def sold(self, stock: Stock, order: Order, exec_id: str) -> None:
        """Judge an own SELL that executed."""
        run = self._run
        self._tell.did("V01")
        short = -stock.inventory
        if short <= 0:
            stock.short_told = stock.short_lost = stock.short_raced = 0
            return
        before = max(
            0, short - run.account.executions[stem(exec_id)]["qty"]
        )  # what came back excuses nothing
        stock.short_lost, stock.short_raced = min(stock.short_lost, before), min(stock.short_raced, before)
        excuse = self._double_fill(stock, order, short - stock.short_lost)
        if excuse:
            stock.short_raced = max(0, short - stock.short_lost)
            self._tell.excused(f"V01 {excuse}")
            if run.ready_time(run.now, run.now + 1.0):
                self._alerts.append((stock, run.now, exec_id))
            return
        untold = sum(u.shares for u in stock.pending.values() if u.kind == "loss")
        untold += stock.hints(run.was_ready, self._bounds.orphan_troubled)
        untold += self._still_crossed(stock, asked=did_act(run, stock, run.now - 10, run.now))
        # A process that died before it read what was told could do nothing about it.
        fresh = sum(
            shares for _, shares, ready, _ in stock.sure if run.was_ready - ready <= self._bounds.race
        )
        asked = (
            order.asked_cancel is not None
            or order.changes_refused
            or did_act(run, stock, run.now - 10, run.now)
        )
        lost = sum(shares for _, shares, _ in stock.losses) if asked else 0
        if short - stock.short_raced <= untold + max(fresh, lost):
            stock.short_lost = max(0, short - stock.short_raced)
            self._tell.excused("V01 untold loss")
            return
        if short > stock.short_told:
            self._tell.breach("V01", run.now, f"{stock.name}: {short} shares short after {order!r} executed")
            stock.short_told = short

    def _double_fill(self, stock: Stock, order: Order, short: int) -> str:
        """Return why the venue sold twice what we asked it to sell once, or nothing."""
        sells = [o for trade in stock.trades for o in trade.orders if o.is_sell]
        if short <= sum(o.late for o in sells):
            return "late fill"  # of orders that it had called ended
        if not (self._run.facts.oca_race and order.oca):
            return ""
        over = sum(self._run.account.overfill(group) for group in {o.group for o in sells if o.oca})
        cap = max((o.most for o in self._run.account.groups[order.group]), default=0)
        return "oca_race" if short <= min(over, cap) else ""

    def _judge_alert(self, stock: Stock, t: float, exec_id: str) -> None:
        """An oversale that the venue caused has to be told: looked up in L, ``alert`` after the execution at the latest.

        One whose execution the wire held back longer is told ``alert`` after that has come.
        """
        told = self._run.log.of(
            "ProtectionAlarm", "SymbolFrozen", "LadderProtectionStateChanged", "InventoryConfirmFailed"
        )
        until = t + self._bounds.alert + self._bounds.race + 3.0  # delivery may be slow
        heard = stock.told_at.get(exec_id, t)
        if heard > until - self._bounds.alert:
            self._tell.excused("V01 told late")
            until = heard + self._bounds.alert + self._bounds.lag
        if died := [end for begin, end in self._run.deaths if t <= begin <= until]:
            until = (
                max(died) + self._bounds.alarm_every + self._bounds.alert
            )  # the next one repeats it, when it is due again
        if not any(
            record.get("symbol") == stock.name
            and t - 1e-6 <= record["mono"] <= until
            and record.get("state", "OVERSOLD") == "OVERSOLD"
            for record in told
        ):
            self._tell.breach(
                "V01", t, f"{stock.name}: a double fill of one group was not told to the operator"
            )

    # --- V02 ----------------------------------------------------------------------------------------------------------

    def accepted(self, stock: Stock, order: Order, exposed_before: int) -> None:
        """Judge a new own SELL against what the program could know."""
        if order.waits():
            return
        self._tell.did("V02")
        self._check_worst(stock, order, exposed_before, order.intent_at)

    def _check_worst(self, stock: Stock, order: Order, exposed_before: int, decided: float) -> None:
        if stock.exposed(order.group) <= exposed_before:
            return
        # Shares of others that they sold just then a typed sale may have counted on.
        worst = stock.worst_case() - stock.typed_for_gone(decided - self._bounds.lag)
        worst -= self._released_untold(stock, order, decided)
        known = stock.inventory
        for key, untold in stock.pending.items():
            if untold.kind == "gain":
                known -= untold.shares
            elif untold.kind == "buy" and not self._has_children(key):
                known -= max(0, untold.shares - self._sold_by_children(key))
            elif untold.kind == "loss" or (untold.kind == "sell" and self._may_be_unknown(key, order)):
                known += untold.shares
        unread = decided - self._bounds.lag
        for t, shares, seller, executed, _ in stock.sales:
            if t <= unread:
                continue
            if seller.group == order.group or seller.late or self._joined_late(seller, executed):
                known += shares
            else:
                known += min(shares, self._crossed(seller, executed, t))
        known += sum(shares for t, shares, _ in stock.losses if t > unread)
        if worst <= max(0, known):
            self._note_crossing(stock, order, worst)
        elif worst <= max(0, known + self._unread(stock, order, decided)):
            self._tell.excused("V02 unread")
            self._note_crossing(stock, order, worst)
        else:
            self._tell.breach(
                "V02",
                self._run.now,
                f"{order!r} accepted: {worst} shares could be sold of {known} that are known",
            )

    def _unread(self, stock: Stock, order: Order, decided: float) -> int:
        """Return the shares gone that were told in time, and that the program read after its decision, by its journal.

        Steps may stall one after another; what waits at the door for longer than that counts as known.
        """
        since, until = decided - self._bounds.stalls, decided - self._bounds.lag
        told = [(t, shares, key) for t, shares, _, key in stock.sure]
        told += [(t, shares, key) for t, shares, seller, _, key in stock.sales if seller.group == order.group]
        return sum(
            shares
            for t, shares, key in told
            if since < t <= until and self._run.journal.is_read_after(key, decided)
        )

    def _note_crossing(self, stock: Stock, order: Order, worst: int) -> None:
        """Note by how much a total raised what its group sells, because its sibling had executed and nobody could know."""
        unknown = {
            exec_id
            for exec_id, untold in stock.pending.items()
            if untold.kind == "sell"
            and self._run.account.executions[stem(exec_id)]["order"].group == order.group
        }
        more = min(worst - max(0, stock.inventory), stock.exposed(order.group))
        if order.modified_at > order.since and more > 0:
            stock.crossed.append((more, unknown, self._run.was_ready))

    def _still_crossed(self, stock: Stock, *, asked: bool) -> int:
        """Return how much of that nobody can have taken back yet: the sale is not told, was a moment ago, or it is under way."""
        run, found = self._run, 0
        for more, unknown, ready in stock.crossed:
            is_fresh = run.was_ready - ready <= self._bounds.race + self._bounds.lag
            if asked or is_fresh or any(exec_id in stock.pending for exec_id in unknown):
                found = max(found, more)
        return found

    def _released_untold(self, stock: Stock, order: Order, decided: float) -> int:
        """Return what children could sell beyond the purchases of their entry, whose end the program has not heard of.

        One that only a picture lacks ends with the next one.
        """
        run, more = self._run, 0
        for entry in (entry for trade in stock.trades for entry in trade.entries):
            if entry.ended_at is None:
                continue
            is_silent = entry.end_told_at is None and run.now - entry.ended_at <= self._bounds.orphan_troubled
            if entry.end_told_at is not None:
                is_silent = entry.end_told_at > decided - self._bounds.lag
            children = [o for o in stock.sells if o.parent is entry]
            if (
                (is_silent or f"end {entry.id}" in stock.pending)
                and children
                and children[0].group != order.group
            ):
                more += max(0, max(o.left for o in children) - entry.executed)
        return more

    def _may_be_unknown(self, exec_id: str, order: Order) -> bool:
        """Return whether an untold sale makes an order seem too large that was not when it was decided."""
        found = self._run.account.executions[stem(exec_id)]
        seller: Order = found["order"]
        if seller.group == order.group:
            return True  # a change gives the group's total as it was known
        if seller.ended_at is not None and found["t"] > seller.ended_at:
            return True  # of an order that the venue had called ended
        return self._joined_late(seller, found["t"])

    def _joined_late(self, seller: Order, t: float) -> bool:
        """Return whether an exit was on its way while its sibling executed: the venue does not reduce that one."""
        members = self._run.account.groups.get(seller.group, ())
        return any(m is not seller and m.is_live and m.intent_at < t <= m.since for m in members)

    def _crossed(self, seller: Order, executed: float, told: float) -> int:
        """Return how many shares more its group sells because a total of ours was on its way when it executed.

        Decided before that was read, it undid what the venue had taken from the sibling. Nobody could know.
        """
        run = self._run
        members = run.account.groups.get(seller.group, ())
        placed = [run.log.placed[m.ref].record["qty"] for m in members if m.ref in run.log.placed]
        sold = sum(m.executed for m in members)
        more = 0
        for m in members:
            change = run.log.last_intent(m.ref, "replace", told + self._bounds.lag)
            if m is seller or not m.is_live or change is None:
                continue
            if m.modified_at > executed:
                more = max(more, m.left + sold - max(placed, default=0))
        return more

    def _has_children(self, exec_id: str) -> bool:
        """Return whether a bracket's own children sell what was bought: the venue released them, whoever knows of it."""
        trade = self._run.account.executions[stem(exec_id)]["order"].trade
        return any(o.is_live and o.is_sell and o.parent is not None for o in trade.orders)

    def _sold_by_children(self, exec_id: str) -> int:
        """Return the sales of a bracket's children, told or not: what they sold was bought, whatever came first."""
        entry: Order = self._run.account.executions[stem(exec_id)]["order"]
        return (
            sum(o.executed for o in entry.trade.orders if o.parent is entry) if entry.trade is not None else 0
        )

    # --- judged when an instant is over -------------------------------------------------------------------------------

    def judge(self, stock: Stock) -> None:
        """Judge a symbol whose orders or shares changed."""
        if stock.checks:
            for order, exposed_before, decided in stock.checks:
                self._tell.did("V02")
                self._check_worst(stock, order, exposed_before, decided)
            stock.checks.clear()
        held = max(0, stock.inventory)
        stock.worst = stock.worst_case()
        if stock.worst > held:
            stock.excess = stock.excess or Duty(self._run.now)
        else:
            stock.excess = None
            stock.crossed.clear()

    def refused(self, stock: Stock) -> None:
        """Note that the venue refused something about an exit."""
        if stock.excess is not None:
            stock.excess.troubled += 1

    def pass_time(self, begin: float, end: float) -> None:
        """Let what could be sold too much stand, for as long as is allowed."""
        run = self._run
        for stock in run.account.stocks.values():
            if stock.excess is not None and not stock.pending and (ready := run.ready_time(begin, end)):
                self._run_excess(stock, stock.excess, ready, end)

    def _run_excess(self, stock: Stock, duty: Duty, ready: float, end: float) -> None:
        if self._is_unanswered(stock) or self._is_hinted(stock):
            wait = min(ready, max(0.0, self._bounds.orphan_troubled - duty.waited))
            duty.waited += wait
            ready -= wait
        duty.ran += ready
        if duty.ran <= self._bounds.race or duty.is_told:
            return
        acted = duty.troubled or did_act(
            self._run, stock, duty.opened - 10, end - duty.ran + self._bounds.race
        )
        if (acted or self._is_silent(stock, duty.opened)) and duty.ran <= self._bounds.orphan_troubled:
            return
        if duty.troubled > 2:  # the venue takes no cancel and no change any more
            self._tell.excused("V02 refused")
        else:
            more = stock.worst - max(0, stock.inventory)
            self._tell.breach(
                "V02", end, f"{stock.name}: exits could sell {more} shares too many for {duty.ran:.1f} s"
            )
        duty.is_told = True

    def _is_unanswered(self, stock: Stock) -> bool:
        """Return whether exits that nobody has answered account for the excess: what is in flight is left alone."""
        unanswered = sum(o.left for o in stock.sells if not o.is_answered and not o.waits())
        return unanswered >= stock.worst - max(0, stock.inventory)

    def _is_hinted(self, stock: Stock) -> bool:
        """Return whether it is a loss of which a position alone has told: exits shrink when an execution or pictures say it."""
        hints = stock.hints(self._run.was_ready, self._bounds.orphan_troubled)
        return hints >= stock.worst - max(0, stock.inventory)

    def _is_silent(self, stock: Stock, since: float) -> bool:
        """Return whether an entry ended without a word in time: only pictures tell what its children may sell, and may be old."""
        return any(
            entry.ended_at is not None
            and entry.ended_at >= since - 1
            and (entry.end_told_at is None or entry.end_told_at > entry.ended_at + self._bounds.lag)
            for trade in stock.trades
            for entry in trade.entries
        )
