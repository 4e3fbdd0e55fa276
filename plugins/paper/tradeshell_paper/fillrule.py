"""The fill rule: at which price an order meets the market. Pure functions; ``None`` means that it does not.

*Touch.* An order that arrives and is marketable fills at the touch: a BUY at the ask, a SELL at the bid.

*Print.* A resting limit fills at its limit when a trade touches it. A stop is elected by a trade at or through it and then meets
the market as it is: the worse of the touch and the print that elected it.

*Recorded bar.* Its open is a print of its own: what it reaches beyond a limit or a stop fills at the open (a gap), better for a
limit, worse for a stop. A stop-limit that is elected by such a gap fills at the open too: on a live market this program follows
the touch within a second, and that chase is invisible inside a bar. The rest of the bar is a range without order: a limit fills
at its limit when touched, a stop (stop-limits too) at its stop price. Stops are matched before limits: when one bar reaches both,
the worse outcome is booked. Therefore a limit beside a stop of its group (a target) that the open gaps over waits for the range,
and fills after the stops, still at the open: max(target, open). What comes at the first instant of a bar because an entry filled
there (its exits) has met no open: that bar's range fills it at its own price, also where the whole range lies beyond it.

*Changed while a bar lasts.* Whether its extreme traded before or after the change is unknown, and the worse is booked. A stop is
met where it was when the bar began: not reached there, its new price counts from the next bar on; reached, it fills at the worst
of its prices in that bar that the range reaches. A limit fills only where the range reaches all its prices in that bar, at the
worst of them; one that the open gapped over before the change has filled there. A limit that became a market order waits for the
next open.
"""

from __future__ import annotations

from typing import NamedTuple

from tradeshell import Bar, Price, Side
from tradeshell_paper.tickets import Line, Terms, Ticket


class Hit(NamedTuple):
    """A range reaches an order: it fills at ``price`` USD, or with ``None`` is elected and its limit rests."""

    price: Price | None


def is_reached(stop: Price, side: Side, price: Price) -> bool:
    """Return whether a trade at ``price`` elects a stop of ``side``."""
    return price >= stop if side is Side.BUY else price <= stop


def is_touched(limit: Price, side: Side, price: Price) -> bool:
    """Return whether a trade at ``price`` is at or beyond a limit of ``side``."""
    return price <= limit if side is Side.BUY else price >= limit


def limit_allows(ticket: Ticket, price: Price) -> bool:
    """Return whether the order's limit, if it has one, lets it fill at ``price``."""
    return ticket.spec.limit is None or is_touched(ticket.spec.limit, ticket.spec.side, price)


def at_touch(ticket: Ticket, line: Line) -> Price | None:
    """Return the price at which an order that arrives meets the touch."""
    if ticket.waits_for_stop:
        return None
    touch = line.touch(ticket.spec.side)
    if touch is None or ticket.takes_any_price:
        return touch
    limit = ticket.spec.limit
    return touch if limit is not None and is_touched(limit, ticket.spec.side, touch) else None


def resting_at_touch(ticket: Ticket, line: Line) -> Price | None:
    """Return the price at which the touch, coming to a resting order, fills it: its own limit."""
    price = at_touch(ticket, line)
    return ticket.spec.limit if price is not None and not ticket.takes_any_price else price


def at_print(ticket: Ticket, line: Line, price: Price) -> Price | None:
    """Return the price at which a trade at ``price`` fills an order that does not wait for a stop."""
    if ticket.takes_any_price:
        return price
    limit = ticket.spec.limit
    if limit is None or not is_touched(limit, ticket.spec.side, price):
        return None
    # An order that has met no touch yet was marketable all along: it gets the market's price, not its own.
    is_first = ticket.fresh and (ticket.is_released or line.touch(ticket.spec.side) is None)
    return price if is_first else limit


def when_elected(ticket: Ticket, line: Line, price: Price) -> Price | None:
    """Return the price at which a stop elected by a trade at ``price`` fills at once; ``None``: its limit rests."""
    side = ticket.spec.side
    touch = line.touch(side)
    if touch is None:
        touch = price
    elif side is Side.BUY:
        touch = max(touch, price)
    else:
        touch = min(touch, price)
    if ticket.takes_any_price:
        return touch
    limit = ticket.spec.limit
    return touch if limit is not None and is_touched(limit, side, touch) else None


def at_open(ticket: Ticket, opening: Price) -> Price | None:
    """Return the price at which the open of a recorded bar fills an order, or elects it: the open, when it reaches it."""
    spec = ticket.spec
    if ticket.takes_any_price:
        return opening
    if ticket.waits_for_stop:
        return opening if spec.stop is not None and is_reached(spec.stop, spec.side, opening) else None
    return opening if spec.limit is not None and is_touched(spec.limit, spec.side, opening) else None


def in_range(ticket: Ticket, bar: Bar) -> Hit | None:
    """Return what the range of a recorded bar does to an order. Market orders wait for the next open."""
    terms = ticket.terms_during(bar.start, bar.seconds)
    if ticket.takes_any_price or not terms:
        return None
    side = ticket.spec.side
    worst = max if side is Side.BUY else min
    if ticket.waits_for_stop:
        edge = bar.high if side is Side.BUY else bar.low
        reached = [each for each in terms if each.stop is not None and is_reached(each.stop, side, edge)]
        if terms[0] not in reached:
            return None
        filled = [
            each.stop
            for each in reached
            if each.stop is not None and (each.limit is None or is_touched(each.limit, side, each.stop))
        ]
        return Hit(worst(filled, default=None))
    if _was_gapped_over(terms[0], side, bar):
        return Hit(bar.open)
    edge = bar.low if side is Side.BUY else bar.high
    limits = [each.limit for each in terms if each.limit is not None and is_touched(each.limit, side, edge)]
    return Hit(worst(limits)) if len(limits) == len(terms) else None


def _was_gapped_over(terms: Terms, side: Side, bar: Bar) -> bool:
    return terms.opened == bar.start and terms.limit is not None and is_touched(terms.limit, side, bar.open)
