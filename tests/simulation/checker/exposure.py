"""How long bought shares lay open: from each execution until a stop works for its shares.

Laws: every second since the execution is counted, whether the program has heard of it or not, unless it is exempt; what is exempt
is counted too, by its cause. Shares for which no stop came are counted with all the time that they had.
"""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, Any

from tests.simulation.checker.model import Stock, Trade

if TYPE_CHECKING:
    from tests.simulation.checker.replay import Replay

OWN = "ladder, cover=own"
OTHER = "bracket, or cover=none"
QUIET = "quiet day · {}"
FAULTS = "faults · {}"
TAKEN = "faults · {} · exits taken as sent"
HIT = "faults · {} · an exit refused, lost or cut"
TOLD = "faults · {} · since the program was told"
CLASSES = tuple(kind.format(which) for kind in (QUIET, FAULTS, TAKEN, HIT, TOLD) for which in (OWN, OTHER))

# Causes for which a lot, or a part of its time, does not count.
AWAY = "no program, no link, or not reconciled"
HALTED = "trading is halted"
RESTS = "its hours are over"
NO_COVER = "cover=none, the entry works"
BRACKET = "a bracket, the entry works: the broker holds its stop"
ALARM = "an alarm is the only answer left"
HAND = "somebody took the stop away by hand"
CAUSES = (AWAY, HALTED, RESTS, NO_COVER, BRACKET, ALARM, HAND)


class Lot:
    """Shares of one execution that no stop covers yet.

    ``ran`` is the time that counts, in seconds, ``unheard`` the part of it in which the program had not been told of them.
    """

    __slots__ = ("exec_id", "exempt", "is_hit", "ran", "shares", "since", "unheard")

    def __init__(self, shares: int, since: float, exec_id: str) -> None:
        self.shares, self.since, self.exec_id = shares, since, exec_id
        self.ran = self.unheard = 0.0
        self.is_hit = False  # the venue refused or ended an exit meanwhile, or one was lost on its way
        self.exempt: dict[str, float] = {}


class Exposure:
    """Keeps the lots of all trades."""

    def __init__(self, run: Replay) -> None:
        self._run = run
        self._open: dict[str, list[Lot]] = {}
        self.seconds: dict[str, list[float]] = {}
        self.exempt: dict[str, list[float]] = {}  # by cause

    def bought(self, trade: Trade, shares: int, exec_id: str) -> None:
        """Note shares that need a stop from now on."""
        plan = trade.plan
        if plan is not None and plan.sl is not None and plan.mode != "none":
            self._open.setdefault(trade.watch, []).append(Lot(shares, self._run.now, exec_id))

    def hit(self, stock: Stock) -> None:
        """Note that the venue refused or ended an exit."""
        for trade in stock.trades:
            for lot in self._open.get(trade.watch, ()):
                lot.is_hit = True

    def judge(self, stock: Stock, uncovered: int, patience: float) -> None:
        """Close the lots for which a stop works now. ``uncovered``: the shares of the symbol that lack one."""
        for trade in stock.trades:
            lots = self._open.get(trade.watch)
            if not lots or (trade.net > 0 and self._wait(trade)):
                continue
            cover = stock.covered(self._run.now, patience, trade)
            missing = min(uncovered, max(0, trade.need() - cover))
            given_up = 0 if trade.net <= 0 else min(trade.net - trade.taken, trade.freed + trade.staged)
            bare = missing + max(0, given_up - max(0, cover - trade.need()))
            open_ = sum(lot.shares for lot in lots)
            while lots and open_ - lots[0].shares >= missing:
                if given_up and open_ - lots[0].shares < bare:
                    lots[0].exempt.setdefault(HAND, 0.0)
                open_ -= lots[0].shares
                self._close(trade, lots.pop(0))

    @staticmethod
    def _wait(trade: Trade) -> str:
        """Return which wait the plan permits a trade now, or nothing."""
        plan = trade.plan
        if plan is None or not trade.is_entering or trade.need():
            return ""
        if plan.is_detached:
            return NO_COVER if plan.cover == "none" else ""
        return BRACKET if any(order.is_live and order.is_stop for order in trade.orders) else ""

    def _close(self, trade: Trade, lot: Lot) -> None:
        plan = trade.plan
        assert plan is not None  # lots are of trades with a plan
        for cause, seconds in lot.exempt.items():
            self.exempt.setdefault(cause, []).append(seconds)
        if ALARM in lot.exempt or HAND in lot.exempt:
            return
        which = OWN if plan.is_detached and plan.cover != "none" else OTHER
        if not self._run.facts.has_faults:
            self._count(QUIET.format(which), lot.ran)
            return
        self._count(FAULTS.format(which), lot.ran)
        self._count(TOLD.format(which), lot.ran - lot.unheard)
        run = self._run
        is_hit = lot.is_hit or run.cover.lost_exits(run.account.stock(trade.sym), lot.since + 1.0, run.now)
        self._count((HIT if is_hit else TAKEN).format(which), lot.ran)

    def _count(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)

    def pass_time(self, stock: Stock, begin: float, end: float, *, rests: bool) -> None:
        """Let the lots of a symbol wait."""
        for trade in stock.trades:
            lots = self._open.get(trade.watch)
            if not lots:
                continue
            ready = self._run.ready_time(begin, end)
            cause = self._cause(stock, trade, rests=rests)
            for lot in lots:
                if end - begin > ready:
                    lot.exempt[AWAY] = lot.exempt.get(AWAY, 0.0) + end - begin - ready
                if cause and ready:
                    lot.exempt[cause] = lot.exempt.get(cause, 0.0) + ready
                elif not cause:
                    lot.ran += ready
                    lot.unheard += ready if lot.exec_id in stock.pending else 0.0

    def _cause(self, stock: Stock, trade: Trade, *, rests: bool) -> str:
        if stock.halted:
            return HALTED
        if rests:
            return RESTS
        if stock.gap is not None and stock.gap.alarm_only:
            return ALARM
        return self._wait(trade)

    def finish(self) -> None:
        """Close what is still open: it counts with the time that it had."""
        for watch, lots in self._open.items():
            for lot in lots:
                self._close(self._run.account.trades[watch], lot)
            lots.clear()

    def told(self) -> dict[str, Any]:
        """Return what was measured as plain values that add up: how many lots took how many hundredths of a second."""
        return {
            "hundredths": {name: _histogram(seconds) for name, seconds in self.seconds.items()},
            "exempt": {cause: _histogram(seconds) for cause, seconds in self.exempt.items()},
        }


def _histogram(seconds: list[float]) -> dict[int, int]:
    return dict(Counter(ceil(each * 100 - 1e-6) for each in seconds))
