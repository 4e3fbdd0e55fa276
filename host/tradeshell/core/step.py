"""``step(desk, input) -> (desk, commands)``: the only way in which anything about money changes.

The way of a bar: ``BarClosed`` -> ``watch.read_bar`` -> the strategy asks to enter -> ``entry.ask_entry`` (the watcher is
closed for ever) -> the touch that came with the bar, or is asked for and comes as ``QuoteAnswered`` -> ``guards.check_entry``
-> ``specs.entry_specs`` -> ``PlaceOrder``. What the broker answers comes back through ``reports`` and ends in ``settle``, which
compares desired and actual exits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from tradeshell.core import entry, hours, kill, outside, pictures, reports, resume, retire, takeup
from tradeshell.core import inputs as i
from tradeshell.core.changes import check_replace, replaced
from tradeshell.core.checks import PreTradeCheck
from tradeshell.core.commands import Command
from tradeshell.core.desk import Desk, Link, WatchPhase
from tradeshell.core.events import (
    ConnectionChanged,
    DataRejected,
    ReconciliationCompleted,
    ReconciliationStarted,
    ReplayEnded,
    RiskRejected,
)
from tradeshell.core.guards import Refusal
from tradeshell.core.limits import check_change
from tradeshell.core.orders import Order, Side, Signal, advance
from tradeshell.core.settle import sibling_just_executed
from tradeshell.core.strategy import Strategy
from tradeshell.core.trade import Trade, TradePhase, entry_of, is_exit, leg_of, most
from tradeshell.core.turn import Turn
from tradeshell.core.watch import Reading, Watchers

NOTHING: tuple[Command, ...] = ()


LATE = timedelta(minutes=15)  # how long after an execution more of them, or corrections, are looked for


class Core:
    """The core with its strategies and the plugins' pre-trade checks: a function of (desk, input) and nothing else."""

    def __init__(self, strategies: Mapping[str, Strategy], checks: Sequence[PreTradeCheck] = ()) -> None:
        self._strategies = strategies
        self._checks = checks
        self.watchers = Watchers(strategies, entry.ask_entry)
        self._handlers: dict[type[i.Input], Callable[[Turn, Any], None]] = {
            i.QuoteSeen: lambda turn, event: entry.see_quote(turn, event.quote),
            i.QuoteAnswered: lambda turn, event: entry.answer_quote(turn, self.watchers, event, checks),
            i.BarsRefused: self._bars_refused,
            i.FeedEnded: self._feed_ended,
            i.WatchRequested: lambda turn, event: self.watchers.start(turn, event.watch),
            i.WatchRestored: lambda turn, event: resume.restore(turn, self.watchers, event),
            i.ResumeRequested: lambda turn, event: resume.judge(turn, self.watchers, strategies, event),
            i.WatchCancelRequested: self._cancel_watch,
            i.TradeRequested: entry.request_trade,
            i.TradeAbandoned: lambda turn, event: entry.abandon(turn, self.watchers, event.id),
            i.CancelRequested: self._cancel_order,
            i.ReplaceRequested: self._replace_order,
            i.StopEntryRequested: self._stop_entry,
            i.FlattenRequested: self._flatten,
            i.PolicySet: self._policy,
            i.TakeUpRequested: self._take_up,
            i.Restarted: self._restarted,
            i.OrderReported: lambda turn, event: reports.order_reported(turn, self.watchers, event.report),
            i.ExecutionReported: lambda turn, event: reports.execution_reported(
                turn, self.watchers, event.execution
            ),
            i.CommissionReported: reports.commission_reported,
            i.PositionReported: lambda turn, event: reports.position_reported(
                turn, self.watchers, event.position
            ),
            i.OrderRefusedByBroker: lambda turn, event: reports.refused(turn, self.watchers, event),
            i.SendFailed: lambda turn, event: reports.send_failed(turn, self.watchers, event),
            i.LinkChanged: self._link,
            i.SnapshotAnswered: self._snapshot,
            i.Compared: self._compared,
            i.TimerFired: self._timer,
        }

    def with_checks(self, checks: Sequence[PreTradeCheck]) -> Core:
        """Return a core with other checks and the same strategies."""
        return Core(self._strategies, checks)

    def step(self, desk: Desk, event: i.Input) -> tuple[Desk, tuple[Command, ...]]:
        """Return the next desk and what to do. The same desk and no command: the input did not matter."""
        if type(event) is i.BarClosed:
            # The hot path: most bars matter to nobody, and cost no turn.
            readings = self.watchers.read_bar(desk, event)
            return self.heed(desk, event, readings) if readings else (desk, NOTHING)
        turn = Turn(desk, event.at)
        self._handlers[type(event)](turn, event)
        return turn.desk, tuple(turn.commands)

    def heed(
        self, desk: Desk, closed: i.BarClosed, readings: list[Reading]
    ) -> tuple[Desk, tuple[Command, ...]]:
        """Do what a bar means to those to whom it matters: the second half of ``step``.

        The readings are of that desk and that bar, which may have got its touch since: they do not depend on it.
        """
        turn = Turn(desk, closed.at)
        self.watchers.heed_bar(turn, readings)
        if closed.quote is not None:
            entry.answer_with_bar(turn, self.watchers, closed, closed.quote, self._checks)
        return turn.desk, tuple(turn.commands)

    # --- market and time ----------------------------------------------------------------------------------------------

    def _bars_refused(self, turn: Turn, event: i.BarsRefused) -> None:
        watcher = turn.desk.watchers.get(event.key)
        if watcher is not None and watcher.phase is WatchPhase.ARMED:
            turn.say(DataRejected(symbol=watcher.spec.plan.symbol, watch=event.key, reason=event.reason))
            self.watchers.end(turn, event.key, "no_bars")

    def _feed_ended(self, turn: Turn, event: i.FeedEnded) -> None:
        del event
        turn.say(ReplayEnded())
        for id_, watcher in turn.desk.watchers.items():
            if watcher.phase is not WatchPhase.DONE:
                self.watchers.end(turn, id_, "replay_end")
        turn.desk = replace(turn.desk, feed_over=True)

    def _timer(self, turn: Turn, event: i.TimerFired) -> None:
        kind, _, rest = event.key.partition(":")
        if kind == "ack":
            reports.ack_overdue(turn, self.watchers, rest)
        elif kind == "answer":
            reports.answer_overdue(turn, rest)
        elif kind == "ask":
            entry.overdue(turn, self.watchers, rest)
        elif kind == "room":
            entry.look_for_room(turn, self.watchers, rest)
        elif kind == "entry":
            self._end_entry(turn, rest, "entry_timeout")
        elif kind == "picture":
            if pictures.is_wanted(turn.desk):
                turn.look_again()
        elif kind == "position":
            turn.look_again()
        elif kind == "watch":
            turn.desk = replace(turn.desk, watch_at=None)
            is_busy = bool(turn.desk.outside) or any(order.state.is_live for order in turn.desk.orders())
            if is_busy or turn.desk.has_traded(turn.at - LATE):
                turn.look_again()
                turn.watch()
        elif kind == "close":
            self.watchers.close_day(turn, rest)
        elif kind == "day":
            self.watchers.look_for_day(turn, rest)
        elif kind == "hours":
            if (open_ := turn.desk.trade(rest)) is not None:
                hours.look(turn, open_)
        elif kind == "halt":
            if (entering := turn.desk.trade(rest)) is not None:
                entry.look_at_entry(turn, entering)
        elif kind == "again":
            reports.after(turn, self.watchers, turn.desk.trade(rest.partition(":")[0]))
        elif kind == "retry":
            order = turn.desk.order(rest)
            trade = None if order is None else turn.book(order.spec.symbol).trade_of(rest)
            reports.after(turn, self.watchers, trade)
        elif kind == "outside":
            outside.overdue(turn, rest)
        elif kind == "bury":
            reports.bury_again(turn, rest)
        elif kind == "chase":
            order = turn.desk.order(rest)
            if order is not None and order.is_chased and turn.desk.link.up:
                entry.look_at_stop(turn, order)

    # --- operator -----------------------------------------------------------------------------------------------------

    def _cancel_watch(self, turn: Turn, event: i.WatchCancelRequested) -> None:
        watcher = turn.desk.watchers.get(event.watch)
        if watcher is None or watcher.phase is WatchPhase.DONE:
            return
        trade = turn.desk.trade(event.watch)
        if trade is None:
            self.watchers.end(turn, event.watch, "cancelled")
        elif trade.phase is TradePhase.ASKING:
            turn.put_trade(replace(trade, phase=TradePhase.CLOSED, end_reason="cancelled"))
            self.watchers.end(turn, event.watch, "cancelled")
        else:
            self._end_entry(turn, event.watch, "cancelled")

    def _end_entry(self, turn: Turn, id_: str, reason: str) -> None:
        """Want the entry cancelled; settling does it as soon as the link allows."""
        trade = turn.desk.trade(id_)
        order = None if trade is None else entry_of(trade, turn.book(trade.plan.symbol).orders)
        if trade is not None and order is not None and order.state.is_live:
            if trade.plan.side is Side.SELL:
                reason = "it was not sold in time, and its shares have no stop"
            turn.put_trade(replace(trade, cancel_wanted=reason))
            reports.after(turn, self.watchers, trade)

    def _cancel_order(self, turn: Turn, event: i.CancelRequested) -> None:
        if event.ref in turn.desk.outside:
            outside.cancel(turn, event.ref, "cancelled by the operator")
            return
        order = turn.desk.order(event.ref)
        trade = None if order is None else turn.book(order.spec.symbol).trade_of(event.ref)
        if order is None or trade is None or not order.state.is_live or order.cancelling:
            return
        if not turn.desk.link.is_open:
            turn.say(_not_sent(turn, trade, order))
        else:
            turn.cancel(trade, replace(order, by_operator=True), "cancelled by the operator")

    def _stop_entry(self, turn: Turn, event: i.StopEntryRequested) -> None:
        for trade in kill.stop_entries(turn, event):
            reports.after(turn, self.watchers, trade)

    def _flatten(self, turn: Turn, event: i.FlattenRequested) -> None:
        for trade in kill.flatten(turn, self.watchers, event.symbol):
            reports.after(turn, self.watchers, trade)

    def _policy(self, turn: Turn, event: i.PolicySet) -> None:
        turn.desk = replace(turn.desk, policy=event.policy)

    def _restarted(self, turn: Turn, event: i.Restarted) -> None:
        del event
        kill.restart(turn, self.watchers)

    def _replace_order(self, turn: Turn, event: i.ReplaceRequested) -> None:
        outside.change(turn, event)
        order = turn.desk.order(event.ref)
        trade = None if order is None else turn.book(order.spec.symbol).trade_of(event.ref)
        if order is None or trade is None or not order.state.is_live:
            return
        if not turn.desk.link.is_open:
            turn.say(_not_sent(turn, trade, order))
            return
        if order.changing or order.cancelling:
            refusal: Refusal | None = Refusal(
                "exit_busy", "a change or a cancel of it is on its way; try again when it is answered"
            )
        else:
            refusal = check_replace(turn.book(order.spec.symbol), order, event.qty)
        refusal = refusal or check_change(turn.desk, trade, order, event.qty, event.limit, turn.at)
        if refusal is None and sibling_just_executed(trade, order, turn):
            refusal = Refusal("exit_busy", "its sibling has just executed; try again in a second")
        elif refusal is None and order.is_in_doubt:
            refusal = Refusal(
                "exit_busy", "nothing was heard of it and the broker is asked; try again in a second"
            )
        if refusal is not None:
            turn.say(
                RiskRejected(
                    symbol=order.spec.symbol,
                    watch=trade.id,
                    leg=leg_of(event.ref),
                    reason=refusal.reason,
                    detail=refusal.detail,
                    side=order.spec.side,
                    qty=event.qty or order.spec.qty,
                )
            )
            return
        changed = replaced(order, trade, event)
        if is_exit(trade, event.ref):  # the broker's own reductions may be on their way
            qty = min(changed.spec.qty, most(trade, order, turn.book(order.spec.symbol).orders))
            if qty <= order.done:
                return
            changed = replace(changed, spec=replace(changed.spec, qty=qty))
        turn.put_trade(reports.adopted(trade, changed))
        turn.modify(trade, changed, "changed by the operator")

    # --- link ---------------------------------------------------------------------------------------------------------

    def _link(self, turn: Turn, event: i.LinkChanged) -> None:
        desk = turn.desk
        if event.up:
            epoch = desk.link.epoch + 1
            turn.desk = replace(
                desk,
                account=event.account,
                paper=event.paper,
                link=Link(up=True, epoch=epoch, why=event.why, since=turn.at),
                next_order_id=max(desk.next_order_id, event.first_order_id),
            )
            turn.say(ConnectionChanged(link="up", epoch=epoch, why=event.why, account=event.account))
            turn.say(ReconciliationStarted(epoch=epoch))
            turn.look_again()
        elif desk.link.up:
            turn.desk = replace(desk, link=Link(epoch=desk.link.epoch, why=event.why))
            for order in desk.orders():
                if (lost := advance(order, Signal.LOST_SIGHT)) is not order:
                    turn.put_order(lost)
            turn.say(ConnectionChanged(link="lost", epoch=desk.link.epoch, why=event.why))

    def _snapshot(self, turn: Turn, event: i.SnapshotAnswered) -> None:
        if event.epoch != turn.desk.link.epoch or not turn.desk.link.up:
            return
        before = turn.desk
        pictures.pictured(turn, self.watchers, event)
        asked_at = event.asked_at or turn.at
        shown = tuple(report.ref for report in event.orders)
        is_first = not before.link.reconciled
        if is_first:
            if event.opens:
                self._open(turn, event.epoch, len(shown), len(event.executions), len(event.positions))
            else:
                turn.desk = replace(turn.desk, link=replace(turn.desk.link, is_pictured=True))
            pictures.tell_short(turn, event)
        if turn.desk.link.reconciled:
            pictures.ask_about_stranded(turn, shown, asked_at, is_first=is_first)
        outside.cancel_idle(turn, asked_at)
        self._look_at_all(turn, event)
        if is_first and event.opens and before.takes_up:
            for told in resume.restored(before, turn.desk, event.executions, turn.at):
                turn.say(told)
        if turn.desk.link.reconciled:
            retire.retire(turn)
        if turn.desk == before:  # most looks show what is known: nobody has to remember them
            turn.desk = before

    def _open(self, turn: Turn, epoch: int, orders: int, executions: int, positions: int) -> None:
        """Open the gate for entries: the account is known."""
        turn.desk = replace(turn.desk, link=replace(turn.desk.link, reconciled=True), takes_up=False)
        turn.say(
            ReconciliationCompleted(epoch=epoch, orders=orders, executions=executions, positions=positions)
        )

    def _compared(self, turn: Turn, event: i.Compared) -> None:
        if event.epoch != turn.desk.link.epoch or not turn.desk.link.up:
            return
        outside.want_gone(turn, event.cancels)
        if turn.desk.link.is_pictured and not turn.desk.link.reconciled:
            self._open(turn, event.epoch, len(event.shown), event.executions, event.positions)
            pictures.ask_about_stranded(turn, event.shown, event.asked_at or turn.at, is_first=True)
            for trade in turn.desk.trades():
                reports.after(turn, self.watchers, trade)
            self._chase_all(turn)

    def _take_up(self, turn: Turn, event: i.TakeUpRequested) -> None:
        reports.after(turn, self.watchers, takeup.take_up(turn, event))
        self._chase_all(turn)

    def _look_at_all(self, turn: Turn, event: i.SnapshotAnswered) -> None:
        for book in tuple(turn.desk.books.values()):
            pictures.position_confirmed(turn, self.watchers, book, event)
            for trade in tuple(turn.book(book.instrument.symbol).trades.values()):
                reports.after(turn, self.watchers, trade)
        self._chase_all(turn)

    def _chase_all(self, turn: Turn) -> None:
        for order in turn.desk.orders():
            if order.is_chased:
                entry.look_at_stop(turn, order)


def _not_sent(turn: Turn, trade: Trade, order: Order) -> RiskRejected:
    """Return what an operator is told whose order cannot be touched now."""
    why = turn.desk.link.why or "the link is up, orders and positions are not known yet"
    return RiskRejected(
        symbol=order.spec.symbol,
        watch=trade.id,
        leg=leg_of(order.spec.ref),
        reason="not_connected",
        detail=f"nothing was sent: {why}",
        side=order.spec.side,
        qty=order.spec.qty,
    )
