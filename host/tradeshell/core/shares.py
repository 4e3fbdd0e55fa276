"""Whose shares a sale took.

Laws: shares belong to the trade whose order executed. Whoever else sells sells his own first; what exceeds them at that moment
was taken from our trades, newest first, and what exceeds those too is his own short position. What he buys later is his. The same
holds for a trade of ours that sold more than it had, and what none of ours had then is missing from what another buys later: the
shares of all our trades together are no more than they bought less what they sold. The order of events is the broker's, not that
in which messages came.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from tradeshell.core.market import Shares


class Move(NamedTuple):
    """Shares that came (positive) or went. ``trade`` is whose of ours, ``None`` anybody else's."""

    at: datetime
    trade: str | None
    shares: Shares


class Taken(NamedTuple):
    """What was taken from each trade, and how much of it by other trades of ours."""

    by_trade: dict[str, Shares]
    by_us: Shares


def taken(start: Shares, moves: Iterable[Move], newest_first: list[str], complete: set[str]) -> Taken:
    """Return what sales took from our trades.

    ``start``: shares of others when the book opened. ``complete``: trades of which every purchase is known; of others a sale may
    come before the purchase that it follows.
    """
    others = start
    held = dict.fromkeys(newest_first, 0)
    gone = dict.fromkeys(newest_first, 0)
    by_us = 0

    def take(wanted: Shares, seller: str | None) -> Shares:
        left = wanted
        for trade in newest_first:
            if trade != seller and left > 0 and held[trade] > 0:
                part = min(left, held[trade])
                held[trade] -= part
                gone[trade] += part
                left -= part
        return wanted - left

    for move in sorted(moves, key=lambda each: (each.at, each.shares < 0)):
        if move.trade is None:
            others += move.shares
            if move.shares < 0 and others < 0:
                others += take(min(-others, -move.shares), None)
        else:
            held[move.trade] += move.shares
            if move.shares < 0 and held[move.trade] < 0 and move.trade in complete:
                part = take(min(-held[move.trade], -move.shares), move.trade)
                held[move.trade] += part
                by_us += part
            for short in newest_first if move.shares > 0 else ():
                if short in complete and held[short] < 0 < held[move.trade]:
                    part = min(-held[short], held[move.trade])
                    held[move.trade] -= part
                    gone[move.trade] += part
                    held[short] += part
                    by_us += part
    return Taken(gone, by_us)


def returned(moves: tuple[Move, ...], shares: Shares) -> tuple[Move, ...]:
    """Return ``moves`` after so many shares are there again: they were never gone."""
    kept = list(moves)
    while shares > 0 and kept and kept[-1].shares < 0:
        back = min(shares, -kept[-1].shares)
        shares -= back
        last = kept.pop()
        if last.shares + back:
            kept.append(last._replace(shares=last.shares + back))
    return tuple(kept)
