"""Rules about protection: coverage, exposure, no gap by our own doing, no orphans.

Laws: an obligation begins when the host could know of it, runs only while the program could act, and is excused only by what B
or L shows; every excuse is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.checker.duty import Duty, did_act
from tests.simulation.checker.exposure import Exposure
from tests.simulation.checker.facts import NEVER
from tests.simulation.checker.model import Order, Stock, Trade

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay


_ALARMING = ("UNPROTECTED", "PARTIAL", "EMERGENCY")


class _Handover:
    """A cover that gave up shares: ``until`` is when a stop of a leg of its trade was sent next."""

    __slots__ = ("cover", "ran", "stock", "t", "until")

    def __init__(self, stock: Stock, cover: Order, t: float, until: float) -> None:
        self.stock, self.cover, self.t, self.until, self.ran = stock, cover, t, until, 0.0


class CoverRules:
    """V03, V04, V16, V18."""

    def __init__(self, run: Replay) -> None:
        self._run = run
        self._bounds = run.facts.bounds
        self._tell = run.findings
        self.exposure = Exposure(run)
        self._handovers: list[_Handover] = []
        self.share_seconds = 0.0
        self.share_seconds_all = 0.0
        self.peak = 0
        self.incidents = 0
        self._largest_need = 0
        self._alarms: dict[str, list[float]] = {}
        for record in run.log.of(
            "ProtectionAlarm", "LadderProtectionStateChanged"
        ):  # a state that begins is told, too
            if record["state"] in _ALARMING:
                self._alarms.setdefault(record["symbol"], []).append(record["mono"])
        self._frozen = {
            record["symbol"]: record["mono"] for record in run.log.by_event.get("SymbolFrozen", ())
        }
        self._rungs = [
            (record["mono"], record["symbol"])
            for record in run.log.of("FlattenStarted", "IncidentStepTaken")
            if record["event"] == "FlattenStarted" or record["rung"] in ("emergency", "flatten")
        ]
        for _, _ in self._rungs:
            run.findings.saw("flatten")

    # --- judged when an instant is over -------------------------------------------------------------------------------

    def judge(self, stock: Stock) -> None:
        """Judge a symbol whose orders or shares changed."""
        now = self._run.now
        cover, need = stock.covered(now, self._bounds.elected), stock.needed()
        uncovered = max(0, need - cover)
        if need:
            self._tell.did("V03")
            self._largest_need = max(self._largest_need, need)
        self._judge_gap(stock, uncovered, cover)
        self.exposure.judge(stock, uncovered, self._bounds.elected)
        stock.cover, stock.need, stock.uncovered = cover, need, uncovered
        stock.by_us = None
        for trade in stock.trades:
            self._judge_orphans(stock, trade)

    def _judge_gap(self, stock: Stock, uncovered: int, cover: int) -> None:
        by_us, now = stock.by_us, self._run.now
        if by_us is not None:
            self._tell.did("V16")
            if uncovered > stock.uncovered and cover < stock.cover:
                if self._may_open(stock, by_us, uncovered):
                    self._tell.excused("V16")
                else:
                    self._tell.breach(
                        "V16", now, f"{by_us!r} was taken away by us: {uncovered} shares lost their stop"
                    )
        if uncovered:
            if stock.gap is None:
                stock.gap = Duty(now)
            self.peak = max(self.peak, uncovered)
        elif stock.gap is not None:
            self._close_gap(stock)

    def _may_open(self, stock: Stock, order: Order, uncovered: int) -> bool:
        run = self._run
        if order.leg == "cover":
            self._hand_over(stock, order)
            return True
        if stock.pending:
            return True
        if run.did_operator(order, "flatten", "sell", "cancel", "replace"):
            return True
        if self._was_told_dead(order) or self._was_asked_about(order):
            return True
        if (
            order.trade is not None
            and stock.covered(run.now, self._bounds.elected, order.trade) >= order.trade.need()
        ):
            return True  # it covered shares of others beside its own, and its own are still covered
        if order.parent is not None and order.parent.refused_text and order.parent.executed:
            return True  # the venue had refused its entry, which bought all the same: another stop takes its place
        plan = None if order.trade is None else order.trade.plan
        if plan is not None and plan.flat_at is not None and run.now >= plan.flat_at:
            return True  # its shares are to be sold; a process that is killed just then has not written that down
        if order.trade is not None and self._is_sold_out(order.trade, order):
            return True  # an execution that came late has sold what it was for
        if uncovered <= sum(max(0, -other.net) for other in stock.trades if other is not order.trade):
            return True  # another trade of ours sold more than its own, and that is missing from this one
        change = run.log.last_intent(order.ref, "replace", run.now)
        is_too_large = change is not None and change.record["qty"] < order.total  # for its leg
        if order.changes_refused >= 3 and (is_too_large or stock.cover > stock.need):
            return True  # the venue did not let it become smaller
        placed = run.log.placed.get(order.ref)
        sold = sum(member.executed for member in run.account.groups[order.group])
        if order.is_live and placed is not None and order.left >= placed.record["qty"] - sold:
            return True  # it gives up what its group has sold, and no more
        if change is not None and any(
            t > change.t and _is_correction(key) for key, t in stock.told_at.items()
        ):
            return True  # a sale was taken back while this was under way
        lost_at = [t for t, *_ in stock.losses] + [t for t, *_ in stock.sure]
        if any(run.now - t <= 5.0 for t in lost_at):
            return True  # somebody else sold: exits shrink at once, whatever else is not known yet
        return any(name == stock.name and run.now - 60 <= t <= run.now for t, name in self._rungs)

    @staticmethod
    def _is_sold_out(trade: Trade, stop: Order) -> bool:
        """Return whether all shares of a stop's leg are sold, by other orders of the leg."""
        leg = [order for order in trade.orders if order.leg[2:] == stop.leg[2:]]
        return sum(order.executed for order in leg) >= max(order.qty for order in leg)

    def _hand_over(self, stock: Stock, cover: Order) -> None:
        """What a cover gives up a leg's stop takes over at once, or its shares are sold: L shows when that was sent.

        On a day with faults the answer to the cancel may be late or lost; then V03 sees to the gap.
        """
        now = self._run.now
        if self._run.facts.has_faults:
            return
        sent = (
            intent.t
            for ref, intent in self._run.log.placed.items()
            if intent.t >= now and ref.split(":")[1] == cover.watch and ref.split(":")[2][:2] in ("sl", "fl")
        )
        self._handovers.append(_Handover(stock, cover, now, min(sent, default=NEVER)))

    def _run_handovers(self, begin: float, end: float) -> None:
        run, most = self._run, self._bounds.stop_works
        for handover in tuple(self._handovers):
            stock = handover.stock
            if not (stock.halted or stock.pending):
                handover.ran += run.ready_time(begin, min(end, handover.until))
            is_over = not stock.uncovered or begin >= handover.until
            if is_over or handover.ran > most:
                self._handovers.remove(handover)
            if not is_over and handover.ran > most:
                text = f"{handover.cover!r} was given up, and no stop followed within {most:g} s"
                self._tell.breach("V16", handover.t, text)

    def _was_told_dead(self, order: Order) -> bool:
        """Return whether its cancel was decided when its end had been told and nobody had said that it lives again."""
        asked, told = self._run.log.last_intent(order.ref, "cancel", self._run.now), order.end_told_at
        if order.is_live or asked is None or told is None or told > asked.t + 1e-6:
            return False
        return order.alive_told_at is None or order.alive_told_at > asked.t - self._bounds.lag

    def _was_asked_about(self, order: Order) -> bool:
        """Return whether its cancel asked what had become of it: nobody had told of it, and nobody would.

        It had left on a connection that was gone, so long ago that it had come or was lost, and the pictures of the new one had
        lacked it: stale ones, as it turns out. As far as the program knew its shares had no stop, and V03 sees to the gap.
        """
        run = self._run
        asked = run.log.last_intent(order.ref, "cancel", run.now)
        if order.is_live or asked is None or order.answered_at < asked.t:
            return False
        sent = [i.t for i in run.log.intents[order.ref] if i.t <= asked.t and i.record["action"] != "cancel"]
        pictures = [
            (told, orders)
            for told, orders, _ in run.delivery.snapshots
            if run.up_since <= told <= asked.t + 1e-6
        ]
        return (
            bool(pictures)
            and all(orders < order.since for _, orders in pictures)
            and max(sent, default=NEVER) < run.up_since
            and asked.t - max(sent) >= self._bounds.arrived - 1e-6
        )

    def _close_gap(self, stock: Stock) -> None:
        duty, stock.gap = stock.gap, None
        if duty.alarm_only:
            self._check_alarms(stock, duty)

    def _night_over(self, stock: Stock, since: float, until: float) -> float:
        """Return from when a wait counts: from the next open, if the hours were over when it began."""
        facts = self._run.facts
        is_night = facts.closed_since(since) is not None and facts.closed_since(self._run.now) is None
        if not is_night or not (facts.is_dead(since) or _rests(stock, self._run.now, self._bounds.elected)):
            return since
        return next(facts.borders(since, until), until)

    def _check_alarms(self, stock: Stock, duty: Duty) -> None:
        """An intended UNPROTECTED is told, and told again."""
        run, every = self._run, self._bounds.alarm_every
        told = [t for t in self._alarms.get(stock.name, ()) if t >= duty.opened - every]
        last = duty.opened + self._bounds.unprotected_troubled
        until = run.now
        closed = run.facts.closed_since(run.now)
        is_dead = run.facts.is_dead(run.now)
        if closed is not None and (is_dead or _rests(stock, run.now, self._bounds.elected)):
            # While the market is closed nobody can do anything about it: once has to be enough for a while.
            begin = max(closed, duty.opened)
            if any(t >= begin for t in told):
                return
            until = min(until, max(begin, last) + every + self._bounds.alert + 1.0)
        waited = 0.0
        # Whoever is away tells nothing, and begins again when he is back.
        away = (*run.delivery.downs, *run.deaths)
        for t in sorted([*(t for t in (*told, *(t for span in away for t in span)) if t <= until), until]):
            if not any(begin <= last and t <= end for begin, end in away):
                waited = max(waited, t - self._night_over(stock, last, t))
            last = max(last, t)
        if waited > every + self._bounds.alert:
            self._tell.breach(
                "V03", run.now, f"{stock.name}: without a stop, and no alarm for {waited:.1f} s"
            )

    # --- stops that go away -------------------------------------------------------------------------------------------

    def took_away(self, stock: Stock, order: Order, shares: int) -> None:
        """Note that a change of ours made an exit smaller."""
        trade = order.trade if self._run.did_operator(order, "replace") else None
        if trade is not None and order.is_stop and order.waits():
            trade.staged += shares  # what is bought beyond what he left of it is his to protect
        if not order.covers(self._run.now, self._bounds.elected):
            return
        if trade is not None:
            trade.freed += shares
        else:
            stock.by_us = order

    def shrunk(self, order: Order, shares: int) -> None:
        """Note that somebody else made an exit smaller at the venue: that is his will, as with the operator's own changes."""
        if order.trade is not None and order.is_stop:
            order.trade.freed += shares
            self._tell.excused("V03 shrunk outside")

    def ended(self, stock: Stock, order: Order, left: int) -> None:
        """Note that an own exit ended, with ``left`` shares to go."""
        trade = order.trade
        if trade is None or left <= 0 or order.state == "filled" or not order.is_stop:
            return
        if self._was_cancelled_by_operator(order):
            trade.freed += left
        elif order.asked_cancel is not None and not order.is_kept and order.state == "cancelled":
            if not order.waits():
                stock.by_us = order
        elif not any(
            other.executed and (other.state == "filled" or other.executed >= other.total)
            for other in self._run.account.groups[order.group]
            if other is not order
        ):
            self.exposure.hit(stock)
            if order.state == "refused":  # its refusal was noted
                return
            trade.cuts[order.leg] = trade.cuts.get(order.leg, 0) + 1
            self.incidents += 1
            if stock.gap is not None:
                stock.gap.troubled += 1

    def _was_cancelled_by_operator(self, order: Order) -> bool:
        """Return whether the operator asked to cancel it or its sibling, whose end takes it along; on its way is asked for."""
        return any(self._run.did_operator(other, "cancel") for other in self._run.account.groups[order.group])

    def refused(self, stock: Stock) -> None:
        """Note that the venue refused something about an exit."""
        self.exposure.hit(stock)
        self.incidents += 1
        if stock.gap is not None:
            stock.gap.troubled += 1
        for duty in stock.orphans.values():
            duty.troubled += 1

    # --- V18 ----------------------------------------------------------------------------------------------------------

    def _judge_orphans(self, stock: Stock, trade: Trade) -> None:
        is_orphaned = False
        if trade.net <= 0 or stock.inventory <= 0:
            is_orphaned = not trade.is_entering and any(
                order.is_live and order.is_sell and not order.is_typed and not order.is_unsent()
                for order in trade.orders
            )
        if not is_orphaned:
            stock.orphans.pop(trade.watch, None)
        elif trade.watch not in stock.orphans:
            self._tell.did("V18")
            stock.orphans[trade.watch] = Duty(self._run.now)

    # --- time ---------------------------------------------------------------------------------------------------------

    def pass_time(self, begin: float, end: float) -> None:
        """Let obligations run, and judge those whose time is over."""
        if end <= begin:
            return
        run = self._run
        if self._handovers:
            self._run_handovers(begin, end)
        is_after_hours = run.facts.is_after_hours(begin, end)
        is_dead = run.facts.is_dead((begin + end) / 2)
        for stock in run.account.stocks.values():
            is_closed = is_after_hours and (is_dead or _rests(stock, run.now, self._bounds.elected))
            if stock.uncovered:
                self.share_seconds_all += stock.uncovered * (end - begin)
            if ready := run.ready_time(begin, end):
                self._run_duties(stock, ready, end, is_closed=is_closed)
            self.exposure.pass_time(stock, begin, end, rests=is_closed)

    def _run_duties(self, stock: Stock, ready: float, end: float, *, is_closed: bool) -> None:
        run, bounds = self._run, self._bounds
        if stock.uncovered and not stock.halted and not is_closed:
            self._spend(stock, stock.uncovered * ready)
        is_known = not stock.pending or not run.facts.has_faults
        if stock.gap is not None and is_closed:
            self._leave_to_alarm(stock.gap)
        elif stock.gap is not None and is_known and not stock.halted:
            self._run_gap(stock, stock.gap, ready, end)
        if stock.pending:
            return
        for watch, duty in stock.orphans.items():
            duty.ran += ready
            if duty.ran > bounds.orphan and not duty.is_told:
                self._late_orphan(stock, watch, duty, end)

    def _spend(self, stock: Stock, share_seconds: float) -> None:
        """Add to the sum over the day, unless an alarm is the only answer left."""
        if stock.gap is None or not stock.gap.alarm_only:
            self.share_seconds += share_seconds
            if stock.gap is not None:
                stock.gap.spent += share_seconds

    def _be_alarm(self, duty: Duty) -> None:
        """From now on an alarm is the only answer: what was spent on the way there does not count either."""
        duty.alarm_only = True
        self.share_seconds -= duty.spent

    def _run_gap(self, stock: Stock, duty: Duty, ready: float, end: float) -> None:
        duty.ran += ready
        bounds = self._bounds
        if duty.is_told or duty.ran <= bounds.unprotected:
            return
        patience = bounds.unprotected_troubled + 5.0 * min(2, self._unanswered(duty))
        # A new process has to learn from pictures what became of what the old one had decided.
        patience += 10.0 * sum(t > duty.opened for t in self._run.started)
        # The exit that was lost without a word, and its replacement too.
        replaced = self.lost_exits(stock, duty.opened + 1, end) if self._was_silent(stock, duty.opened) else 0
        patience += 10.0 * (replaced > 0 or self._was_lost_again(stock, duty.opened, end))
        if duty.ran <= patience and (why := self._trouble(stock, duty, end)):
            if not duty.is_excused:
                duty.is_excused = True
                self._tell.excused(f"V03 {why}")
            return
        duty.is_told = True
        if self._may_stay_open(stock, duty):
            self._be_alarm(duty)
            self._tell.excused("V03 alarm")
        else:
            self._tell.breach(
                "V03",
                end,
                f"{stock.name}: {stock.uncovered} shares without a working stop for {duty.ran:.1f} s",
            )

    def _trouble(self, stock: Stock, duty: Duty, end: float) -> str:
        """Return why a gap may last longer, or nothing."""
        bounds = self._bounds
        if duty.troubled:
            return "refused"
        if any(order.elected for order in stock.sells):
            return "elected"
        until = end - duty.ran + bounds.unprotected
        if self.lost_exits(stock, duty.opened, until) or self._was_change_lost(stock, duty.opened, until):
            return "lost"
        if self._was_silent(stock, duty.opened):
            return "silent end"
        if self._was_called_alive(stock, duty.opened):
            return "called alive"
        return "silent venue" if self._unanswered(duty) else ""

    def _unanswered(self, duty: Duty) -> int:
        """Return how many pictures the venue never answered since a gap opened: nothing is replaced without one."""
        return sum(t >= duty.opened - 5.0 for t in self._run.delivery.silent)

    def _was_silent(self, stock: Stock, since: float) -> bool:
        """Return whether an order that a stop waits for ended without a word in time: only pictures tell, and those may be old.

        That is a stop itself, the sibling of one that has ended, and an entry, before whose end no leg is armed.
        """
        groups = self._run.account.groups
        return any(
            self._is_silent(order) and order.ended_at is not None and order.ended_at >= since - 1
            for trade in stock.trades
            for order in trade.orders
            if not order.is_sell or any(each.is_stop and not each.is_live for each in groups[order.group])
        )

    def _was_called_alive(self, stock: Stock, since: float) -> bool:
        """Return whether a stop that had ended, and was told so, was then said to live: pictures take that back in time."""
        return any(
            order.is_stop and not order.is_live and (order.alive_told_at or 0.0) >= since
            for trade in stock.trades
            for order in trade.orders
        )

    def _is_silent(self, order: Order) -> bool:
        """Return whether an order ended without a word in time."""
        if order.ended_at is None or (order.state == "filled" and order.executed >= order.filled):
            return False  # executions tell that, unless they were taken back
        return order.end_told_at is None or order.end_told_at > order.ended_at + self._bounds.lag

    def _leave_to_alarm(self, duty: Duty) -> None:
        """Outside the hours of its orders a share without one has to be told, again and again."""
        if not duty.alarm_only:
            self._be_alarm(duty)
            self._tell.excused("V03 closed")

    def _may_stay_open(self, stock: Stock, duty: Duty) -> bool:
        """Return whether nothing more is to be tried and an alarm has to do."""
        facts = self._run.facts
        if not facts.is_paper and (not facts.flatten_live or any(trade.is_busted for trade in stock.trades)):
            return True
        if self._frozen.get(stock.name, self._run.now + 1) <= self._run.now:
            return True
        if not facts.is_paper and any(self._is_resized(order, duty) for order in stock.sells):
            return True  # the venue may have cut the stop for that; on a live account the operator says what comes next
        if self._unanswered(duty) > 1:
            return True
        brackets = [trade for trade in stock.trades if trade.plan is None or not trade.plan.is_detached]
        if any(entry.is_live and entry.is_kept for trade in brackets for entry in trade.entries):
            return True  # a bracket that has lost its stop, and the venue does not let its entry end
        return duty.troubled > 2 or any(cuts > 1 for trade in stock.trades for cuts in trade.cuts.values())

    def _is_resized(self, order: Order, duty: Duty) -> bool:
        """Return whether the operator made a target smaller, shortly before a gap opened or while it lasts."""
        intent = self._run.log.placed.get(order.ref)
        is_smaller = intent is not None and order.qty < intent.record["qty"]
        since = self._run.now - duty.opened + 30.0
        return is_smaller and not order.is_stop and self._run.did_operator(order, "replace", within=since)

    def _late_orphan(self, stock: Stock, watch: str, duty: Duty, end: float) -> None:
        acted = duty.troubled or did_act(
            self._run, stock, duty.opened - 10, end - duty.ran + self._bounds.orphan
        )
        if acted and duty.ran <= self._bounds.orphan_troubled:
            return
        duty.is_told = True
        if duty.troubled > 2:
            self._tell.excused("V18 refused")
            return
        live = [o for o in stock.sells if o.watch == watch]
        self._tell.breach("V18", end, f"{watch} holds nothing, and for {duty.ran:.1f} s there lived {live}")

    def lost_exits(self, stock: Stock, since: float, until: float) -> int:
        """Return how many exits L shows that were sent in time and never reached the venue, or came late."""
        run = self._run
        count = 0
        for ref, intent in run.log.placed.items():
            if since - 1 <= intent.t <= until and intent.record["symbol"] == stock.name:
                count += self._is_lost(ref, intent.t)
        for (ref, command), written in run.journal.commands.items():  # a kill between the two files
            is_unknown = ref not in run.log.placed and ref not in run.account.by_ref
            if command == "PlaceOrder" and is_unknown and since - 1 <= written[0].t <= until:
                count += written[0].order["symbol"] == stock.name
        return count

    def _was_change_lost(self, stock: Stock, since: float, until: float) -> bool:
        """Return whether L shows a change of a living stop, sent in time, that never reached the venue, or came late."""
        return any(
            since - 1 <= change.t <= until and not any(change.t <= t <= change.t + 1.0 for t in order.changed)
            for order in stock.sells
            if order.is_stop
            for change in self._run.log.changes.get(order.ref, ())
        )

    def _is_lost(self, ref: str, t: float) -> bool:
        """Return whether what was sent at ``t`` never reached the venue, or came late."""
        order = self._run.account.by_ref.get(ref)
        return order is None or order.since > t + 1.0

    def _lost_stops(self) -> int:
        """Return how many stops were lost on the way, or ended without a word: each is an incident of its own."""
        run = self._run
        ended = [order for order in run.account.by_ref.values() if order.is_own and order.state != "filled"]
        unsent = [
            (ref, written[0].t)  # a kill between the two files
            for (ref, command), written in run.journal.commands.items()
            if command == "PlaceOrder" and ref not in run.log.placed
        ]
        sent = [*unsent, *((ref, intent.t) for ref, intent in run.log.placed.items())]
        lost = sum(self._is_lost(ref, t) for ref, t in sent if ref.split(":")[2].startswith(("sl", "cover")))
        return lost + sum(self._is_silent(order) for order in ended if order.is_sell and order.is_stop)

    def _was_lost_again(self, stock: Stock, since: float, until: float) -> bool:
        """Return whether a stop and the one that replaced it were both lost on the way."""
        placed = self._run.log.placed
        for ref, intent in placed.items():
            head, _, generation = ref.rpartition(":")
            is_stop = head.rpartition(":")[2].startswith("sl") and intent.record["symbol"] == stock.name
            before = placed.get(f"{head}:{int(generation) - 1}") if is_stop else None
            if before is None or not since - 1 <= before.t < intent.t <= until:
                continue
            if self._is_lost(ref, intent.t) and self._is_lost(f"{head}:{int(generation) - 1}", before.t):
                return True
        return False

    # --- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Judge what is still open, and the sums."""
        run, bounds = self._run, self._bounds
        for stock in run.account.stocks.values():
            if stock.gap is not None and stock.gap.alarm_only:
                self._check_alarms(stock, stock.gap)
        self.exposure.finish()
        waited = sorted(
            ran for seconds in self.exposure.seconds.values() for ran in seconds
        )  # of a quiet day: each once
        if waited or self.share_seconds_all:
            self._tell.did("V04")
        limit = (
            self._largest_need
            * bounds.unprotected
            * (1 + self.incidents + len(run.delivery.downs) + run.starts + self._lost_stops())
        )
        if self.share_seconds > limit:
            text = f"{self.share_seconds:.0f} unprotected share-seconds, at most {limit:.0f}"
            self._tell.breach("V04", run.now, text)
        if not run.facts.has_faults and waited:
            late = waited[-(1 + len(waited) // 100)]
            if late > bounds.stop_works:
                self._tell.breach(
                    "V04", run.now, f"fault-free, and a stop worked only {late:.2f} s after its execution"
                )


def _is_correction(key: str) -> bool:
    """Return whether what was told is an execution that replaces an earlier one."""
    return "." in key and key.rpartition(".")[2] > "01"


def _rests(stock: Stock, now: float, patience: float) -> bool:
    """Return whether the regular hours are the only ones in which the shares that lack a stop could have one."""
    return not any(
        trade.plan is not None
        and trade.plan.outside_rth
        and trade.need() > stock.covered(now, patience, trade)
        for trade in stock.trades
    )
