"""The account as B tells it: orders, trades, and for each stock what is ours, what could be sold, and what is covered.

Laws: quantities follow executions and corrections; what is left of an order is what the venue says is left; whose an order is
follows from L (it has an intent), never from a client number alone.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from tests.simulation.checker.facts import NEVER, Facts, Plan, price

LIVE = frozenset(("sent", "held", "working"))


def stem(exec_id: str) -> str:
    """Return an execution's identity without the number of its revision."""
    return exec_id.rpartition(".")[0] or exec_id


class Order:
    """One order at the venue."""

    def __init__(self, record: dict[str, Any], *, is_own: bool) -> None:
        self.id: int = record["id"]
        self.client: int = record["client"]
        self.ref: str = record["ref"] or ""
        parts = self.ref.split(":")
        is_ours = is_own and len(parts) == 4
        self.watch, self.leg, self.generation = (
            (parts[1], parts[2], int(parts[3])) if is_ours else ("", "", 0)
        )
        self.is_own = is_own
        self.sym: str = record["sym"]
        self.is_sell = record["side"] == "SELL"
        self.kind: str = record["type"]
        self.is_stop = self.kind.startswith("STP")
        self.is_typed = self.leg == "sell"
        self.account: str = record["account"]
        self.con_id: int = record["con_id"]
        self.oca: str = record["oca"] or ""
        self.group: str = self.oca or record["parent"] or self.ref
        self.parent: Order | None = None
        self.trade: Trade | None = None
        self.qty: int = record["qty"]
        self.total: int = self.qty
        self.left: int = self.qty
        self.most: int = self.qty
        self.lmt = price(record["lmt"])
        self.stp = price(record["stp"])
        self.state = "sent"
        self.is_live = True
        self.works: bool | None = None
        self.elected = False
        self.filled: int = 0  # as the venue says
        self.executed: int = 0  # by executions, corrected ones as corrected
        self.late = 0  # shares that it executed after the venue had called it ended
        self.since: float = record["t"]
        self.modified_at = self.since
        self.changed: list[float] = []  # when changes of ours came, also those that were refused
        self.intent_at = self.since
        self.ended_at: float | None = None
        self.known_dead = False
        self.answered_at = NEVER  # when a status of it was first told
        self.end_told_at: float | None = None  # when a status or a refusal told its end
        self.alive_told_at: float | None = None  # when a status told that it lives after all
        self.group_sold = 0  # what its group had sold when the venue last spoke of it
        self.asked_cancel: float | None = None
        self.is_kept = False  # the venue refused our last cancel: it does not end by that one
        self.told = 0  # shares of executions that were told to the host
        self.changes_refused = 0  # changes and cancels
        self.refused_text = ""
        self.operator: float | None = None  # when the operator, or somebody at the venue, touched it
        self.unmarketable: float | None = None

    def waits(self) -> bool:
        """Return whether it is a child that the venue holds because its entry works."""
        return self.parent is not None and self.parent.is_live

    @property
    def is_answered(self) -> bool:
        """Whether a status of it was told."""
        return self.answered_at < NEVER

    def is_dormant(self) -> bool:
        """Return whether it is a child that the venue never let work, of an entry that ended without an execution."""
        return self.parent is not None and self.works is False and not self.parent.executed

    def is_unsent(self) -> bool:
        """Return whether it is such a child that was never transmitted either: no picture shows it, nobody can cancel it."""
        return self.is_dormant() and self.state == "sent"

    def covers(self, now: float, patience: float) -> bool:
        """Return whether it protects what it would sell."""
        if not (self.is_stop or self.kind == "MKT" or self.leg.startswith("flat")) or self.waits():
            return False
        if self.parent is not None and self.works is False and self.parent.state != "filled":
            return False  # a child that stays held although its entry is over
        return not (self.elected and self.unmarketable is not None and now - self.unmarketable > patience)

    def __repr__(self) -> str:
        return f"{self.ref or 'a foreign order'} (#{self.id})"


class Trade:
    """One attempt: its plan, its orders, and its shares by its own executions."""

    def __init__(self, watch: str, sym: str, plan: Plan | None) -> None:
        self.watch, self.sym, self.plan = watch, sym, plan
        self.net = 0
        self.orders: list[Order] = []
        self.entries: list[Order] = []
        self.freed = 0  # shares whose stop the operator took away
        self.staged = 0  # of the shares still to be bought, those that the operator left without a held stop
        self.taken = 0  # shares that others sold
        self.taken_now = 0  # of them, those of the last instant at which they sold
        self.is_busted = False  # an execution of its exits was taken back
        self.cuts: dict[str, int] = {}  # stops of a leg that somebody else cancelled
        self.reached = 0

    def take(self, shares: int) -> None:
        """Let others take shares of it, now."""
        self.taken += shares
        self.taken_now += shares

    @property
    def is_entering(self) -> bool:
        """Whether an entry of it lives."""
        return any(entry.is_live for entry in self.entries)

    def need(self) -> int:
        """Return the shares that should have a working stop now."""
        plan = self.plan
        if plan is None or plan.sl is None or plan.mode == "none" or self.net <= 0:
            return 0
        if self.is_entering:
            if plan.is_detached:
                if plan.cover == "none":
                    return 0
            elif any(order.is_live and order.is_stop for order in self.orders):
                return 0  # held children: the venue releases them with the entry's end
        unbought = sum(max(0, entry.qty - entry.executed) for entry in self.entries)
        return max(0, self.net - self.taken - self.freed - max(0, self.staged - unbought))


class Untold(NamedTuple):
    """What happened at the venue and was not told to the host yet. ``kind``: buy, sell, loss, gain or end."""

    kind: str
    shares: int
    t: float
    position: int  # of the account, afterwards
    before: int | None = None  # of the account, if that is known


class Stock:
    """One symbol of the account."""

    def __init__(self, name: str, before: int) -> None:
        self.name = name
        self.own = 0  # shares of our trades by their executions
        self.ext = (
            before  # everybody else's, and what was typed to be sold; negative: their own short position
        )
        self.taken = 0  # of our trades' shares, what others sold beyond theirs
        self.took = (0.0, 0)  # of that, what they took at the last instant at which they traded
        self.gone: list[tuple[float, int]] = []  # of their own shares, what they sold, and when
        self.owed = 0  # what they sold short at that instant beyond what they took
        self.sold_by = ""  # the execution of their last sale
        self.sells: list[Order] = []  # own SELLs that live
        self.trades: list[Trade] = []
        self.pending: dict[str, Untold] = {}
        self.losses: list[tuple[float, int, float]] = []  # told losses: when, shares, by the time to act
        self.sure: list[
            tuple[float, int, float, str]
        ] = []  # of those, what an execution or a picture has told, when, and which it is
        self.hinted: dict[str, tuple[Untold, float]] = {}  # the others: a position alone may be an old one
        self.sales: list[
            tuple[float, int, Order, float, str]
        ] = []  # told own sales: when, shares, by which order, executed when, and which it is
        self.told_at: dict[str, float] = {}  # executions: when they were told
        self.halted = False
        self.halted_at = 0.0
        self.bid: Decimal | None = None
        self.ask: Decimal | None = None
        self.quotes: list[tuple[float, str, str]] = []  # as the host saw them
        self.dirty = False
        self.by_us: Order | None = None
        self.checks: list[tuple[Order, int, float]] = []
        self.worst = self.cover = self.need = self.uncovered = 0
        self.excess: Any = None
        self.crossed: list[
            tuple[int, set[str], float]
        ] = []  # what totals of ours raised that crossed a sale nobody knew of
        self.gap: Any = None
        self.orphans: dict[str, Any] = {}
        self.short_told = self.short_lost = self.short_raced = 0  # shares short: breached, or excused

    def hints(self, ready: float, patience: float) -> int:
        """Return the losses of which only a position has told, not longer ago than the program may look for them."""
        return sum(untold.shares for untold, since in self.hinted.values() if ready - since <= patience)

    @property
    def inventory(self) -> int:
        """Our shares: what others sold beyond theirs, while we had some, is gone."""
        return self.own - self.taken

    @property
    def position(self) -> int:
        """Shares of the account."""
        return self.own - self.taken + self.ext

    def others(self, change: int, t: float, *, by_us: bool = False) -> None:
        """Let others buy or sell: their own shares first, then ours, the rest is their own short position.

        ``by_us``: what was typed to be sold; the rest is our own doing.
        """
        if t > self.took[0]:
            self.took, self.owed = (t, 0), 0
            for trade in self.trades:
                trade.taken_now = 0
        elif change > 0 and self.took[1]:  # of one instant nobody can tell what came first
            back = min(change, self.took[1])
            self.took = (t, self.took[1] - back)
            self.busted(back)
            change -= back
        if change < 0 and not by_us and self.ext > 0:
            self.gone.append((t, min(self.ext, -change)))
        self.ext += change
        if change < 0 and self.ext < 0:
            part = min(-self.ext, -change)
            if not by_us:
                short, part = part, min(part, max(0, self.own - self.taken))
                self.owed += short - part
            self._take(part, t)
            for trade in reversed(self.trades):
                share = min(part, max(0, trade.net - trade.taken))
                trade.take(share)
                part -= share

    def _take(self, part: int, t: float) -> None:
        self.taken += part
        self.ext += part
        self.took = (t, self.took[1] + part)

    def bought(self, buyer: Trade, qty: int, t: float) -> int:
        """Let a trade of ours buy (its shares are counted already), and return how many of them others have sold.

        Of one instant nobody can tell what came first: what others sold short just then may have been these shares, and what they
        took from an older trade they took from the newest.
        """
        if t > self.took[0]:
            return 0
        part = min(self.owed, qty)
        self.owed -= part
        self._take(part, t)
        buyer.take(part)
        left = qty - part
        for trade in self.trades[: self.trades.index(buyer)]:
            share = min(left, trade.taken_now)
            trade.take(-share)
            buyer.take(share)
            left -= share
        return part

    def sold_first(self, t: float) -> None:
        """Let what we sold at an instant at which others sold come first: what they took then and we had not is theirs."""
        back = min(-self.inventory, self.took[1])
        if t > self.took[0] or back <= 0:
            return
        self.took = (self.took[0], self.took[1] - back)
        self.taken -= back
        self.ext -= back
        for trade in self.trades:
            share = min(back, trade.taken_now)
            trade.take(-share)
            back -= share

    def busted(self, back: int) -> None:
        """Let a sale of others that took our shares not have happened."""
        part = min(self.taken, back)
        self.taken -= part
        self.ext += back - part
        self._give_back(part)

    def lost_purchase(self) -> None:
        """After a purchase of ours that did not happen: what was not there could not be taken."""
        part = max(0, self.taken - max(0, self.own))
        self.taken -= part
        self.ext -= part
        self._give_back(part)

    def _give_back(self, part: int) -> None:
        for trade in self.trades:
            share = min(part, trade.taken)
            trade.taken -= share
            part -= share

    def worst_case(self) -> int:
        """Return the most that living own SELLs could still sell of our shares."""
        groups: dict[str, int] = {}
        typed = 0
        for order in self.sells:
            if order.is_typed:
                typed += order.left
            elif order.left > groups.get(order.group, 0) and not order.waits() and not order.is_dormant():
                groups[order.group] = order.left
        return sum(groups.values()) + (max(0, typed - max(0, self.ext)) if typed else 0)

    def typed_for_gone(self, since: float) -> int:
        """Return the shares that what was typed could sell only because others have sold theirs since then."""
        typed = sum(order.left for order in self.sells if order.is_typed)
        return min(max(0, typed - max(0, self.ext)), sum(shares for t, shares in self.gone if t > since))

    def exposed(self, group: str) -> int:
        """Return what a group of own SELLs could still sell."""
        return max((o.left for o in self.sells if o.group == group and not o.waits()), default=0)

    def covered(self, now: float, patience: float, trade: Trade | None = None) -> int:
        """Return the shares that stops and market orders (of one trade) which can work now would sell, each group once."""
        groups: dict[str, int] = {}
        for order in self.sells:
            if trade is not None and order.trade is not trade:
                continue
            if order.left > groups.get(order.group, 0) and order.covers(now, patience):
                groups[order.group] = order.left
        return sum(groups.values())

    def needed(self) -> int:
        """Return the shares that should be covered: what is typed to be sold no longer counts."""
        need = sum(trade.need() for trade in self.trades)
        if not need:
            return 0
        typed = sum(order.left for order in self.sells if order.is_typed)
        # A stop over shares that the account does not have, because others are short in it, would be a short sale.
        held = min(self.inventory, self.position)
        return max(0, min(need, held - max(0, typed - max(0, self.ext))))


class Account:
    """Everything at the venue."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.orders: dict[tuple[int, int], Order] = {}
        self.by_ref: dict[str, Order] = {}
        self.stocks: dict[str, Stock] = {}
        self.trades: dict[str, Trade] = {}
        self.executions: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, list[Order]] = {}

    def stock(self, sym: str) -> Stock:
        """Return a symbol."""
        found = self.stocks.get(sym)
        if found is None:
            found = self.stocks[sym] = Stock(sym, self.facts.positions.get(sym, 0))
        return found

    def trade(self, watch: str, sym: str) -> Trade:
        """Return a trade."""
        found = self.trades.get(watch)
        if found is None:
            found = self.trades[watch] = Trade(watch, sym, self.facts.plans.get(watch))
            self.stock(sym).trades.append(found)
        return found

    def add(self, order: Order, parent: str) -> None:
        """Take a new order."""
        self.orders[order.client, order.id] = order
        if order.ref:
            self.by_ref[order.ref] = order
        if not order.is_own:
            return
        order.parent = self.by_ref.get(parent) if parent else None
        trade = order.trade = self.trade(order.watch, order.sym)
        trade.orders.append(order)
        if not order.is_sell:
            trade.entries.append(order)
        else:
            self.stock(order.sym).sells.append(order)
            self.groups.setdefault(order.group, []).append(order)

    def overfill(self, group: str) -> int:
        """Return the shares that a group executed beyond its largest total."""
        members = self.groups.get(group, ())
        most = max((order.most for order in members), default=0)
        return max(0, sum(order.executed for order in members) - most)
