"""What is asked twice: a command that takes protection away says what follows and wants a yes.

Laws: at a terminal a person is asked; a script, a pipe or a line of a script file is refused, with the word that consents in
advance. Nothing is done before the answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from tradeshell.core.cap import group_of
from tradeshell.core.desk import Desk
from tradeshell.core.orders import Order, Side
from tradeshell.core.trade import inventory
from tradeshell.errors import OperatorError
from tradeshell.shell import targets

FORCE = "force"


class NeedsConsent(OperatorError):
    """A command wants a yes. ``told`` says what follows, ``word`` at the end of the line consents in advance.

    ``only_at_terminal``: where nobody can be asked the line itself is consent enough.
    """

    def __init__(
        self, told: str, question: str, word: str = FORCE, *, only_at_terminal: bool = False
    ) -> None:
        super().__init__(f"{told} · nothing was done; `{word}` at the end of the line does it")
        self.told = told
        self.question = question
        self.word = word
        self.only_at_terminal = only_at_terminal


class NeedsAccount(OperatorError):
    """A live account waits for its id; ``refusal`` is what is said where nobody can type it. ``account`` is its alias."""

    def __init__(self, account: str, refusal: str) -> None:
        super().__init__(refusal)
        self.told = f"{account} is a live account: what is sent there costs real money."
        self.question = "Type its whole id to trade it, Enter to leave it: "


def lost_protection(desk: Desk, chosen: Iterable[Order]) -> str:
    """Return what follows from cancelling ``chosen`` for shares that are held, empty when no stop of theirs is touched."""
    named = {order.spec.ref: order for order in chosen if not order.cancelling}
    parts = []
    for symbol in dict.fromkeys(order.spec.symbol for order in named.values()):
        stops = [order for order in _stops(desk, symbol) if not order.cancelling]
        direct = [order for order in stops if order.spec.ref in named]
        groups = {group_of(order) for order in named.values()}
        along = [order for order in stops if order not in direct and group_of(order) in groups]
        if direct:
            parts.append(_of_stops(direct, _siblings(desk, direct, named)))
        if along:
            pulled = [o for o in named.values() if group_of(o) in {group_of(stop) for stop in along}]
            parts.append(
                f"{_addresses(pulled)} {_is_or_are(pulled)} in one group with the stop{'s' * (len(along) > 1)} "
                f"{_addresses(along)}: the broker may cancel it along, and {_shares(along)} would have no stop"
            )
    return "; ".join(parts)


def _of_stops(stops: list[Order], siblings: list[Order]) -> str:
    told = f"{_addresses(stops)} protect{'s' * (len(stops) == 1)} {_shares(stops)}, which would have no stop and get no new one"
    if siblings:
        told += (
            f"; {_addresses(siblings)} of the same group{'s' * (len(siblings) > 1)} may be cancelled along"
        )
    return told


def _siblings(desk: Desk, stops: list[Order], named: dict[str, Order]) -> list[Order]:
    groups = {group_of(stop) for stop in stops}
    book = desk.books[stops[0].spec.symbol]
    return [
        order
        for order in book.orders.values()
        if order.state.is_live
        and order.spec.side is Side.SELL
        and order.spec.ref not in named
        and group_of(order) in groups
    ]


def _stops(desk: Desk, symbol: str) -> list[Order]:
    """Return the living stops of trades that hold shares."""
    book = desk.books[symbol]
    holding = {trade.id for trade in book.trades.values() if inventory(trade, book.orders) > 0}
    return [
        order
        for order in book.orders.values()
        if order.state.is_live
        and order.spec.side is Side.SELL
        and order.spec.type.is_stop
        and targets.owner(order) in holding
    ]


def _addresses(orders: Iterable[Order]) -> str:
    return targets.shortened(targets.address(order) for order in orders)


def _shares(stops: Iterable[Order]) -> str:
    count = sum(order.remaining for order in stops)
    return f"{count} share{'' if count == 1 else 's'}"


def _is_or_are(orders: list[Order]) -> str:
    return "is" if len(orders) == 1 else "are"
