"""How the shares of a symbol are protected, as the screen shows it: state, share, the legs that work. Pure.

Laws: what is shown works at the broker; what is only planned stands in brackets, and a stop that is only planned is not shown.
Of several trades in a symbol the worst state counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from tradeshell.core.book import Book
from tradeshell.core.events import money
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import Order
from tradeshell.core.trade import (
    Trade,
    exits_of,
    inventory,
    leg_number,
    leg_of,
    live,
    protection_state,
)

NOTHING = "–"
FROZEN = "FROZEN"
NORMAL = ("PROTECTED", "NONE", "FLAT")  # said by the share alone
WORST_FIRST = (
    "OVERSOLD", FROZEN, "UNPROTECTED", "EMERGENCY", "PARTIAL", "ARMING", "DEFERRED", "NONE", "PROTECTED", "FLAT",
)  # fmt: skip
ALARMING = WORST_FIRST[:5]


class Protection(Struct, frozen=True, kw_only=True):
    """The protection of a symbol's shares: ``covered`` of the ``held`` shares of our trades have a living stop."""

    symbol: str
    state: str
    held: Shares
    covered: Shares

    @property
    def is_alarming(self) -> bool:
        """Whether somebody should look."""
        return self.state in ALARMING

    def share(self, held: Shares | None = None) -> int | None:
        """Return the percentage of ``held`` shares (by default the trades') that a stop covers, rounded down."""
        total = self.held if held is None else held
        return None if total <= 0 else min(self.covered, total) * 100 // total


def of_book(symbol: str, book: Book, at: datetime) -> Protection:
    """Return how the trades of a book are protected at ``at``."""
    found = [protection_state(trade, book.orders, at) for trade in book.trades.values()]
    states = {state for state, held, _ in found if held != 0 or state != "FLAT"}
    if book.frozen and states:
        states.add(FROZEN)
    return Protection(
        symbol=symbol,
        state=min(states, key=rank, default="FLAT"),
        held=sum(held for _, held, _ in found),
        covered=sum(covered for _, _, covered in found),
    )


def rank(state: str) -> int:
    """Return how bad a state is, the worst is 0; one that is not known is as bad as it gets."""
    return WORST_FIRST.index(state) if state in WORST_FIRST else 0


def everywhere(books: Mapping[str, Book], at: datetime) -> tuple[Protection, ...]:
    """Return the protection of every symbol in which our trades hold shares (or sold too many), the worst first."""
    found = (of_book(symbol, book, at) for symbol, book in sorted(books.items()))
    return tuple(sorted((each for each in found if each.held != 0), key=lambda each: rank(each.state)))


def share_words(state: str, share: int | None) -> str:
    """Return ``100 %``, or what is the matter: ``60 % PARTIAL``."""
    if share is None:
        return NOTHING if state in NORMAL else state
    return f"{share} %" if state in NORMAL else f"{share} % {state}"


def working(trade: Trade, book: Book) -> tuple[Order, ...]:
    """Return the exits of a trade that may still fill, by leg, targets before stops."""
    return tuple(
        sorted(
            live(exits_of(trade, book.orders)),
            key=lambda order: (order.spec.type.is_stop, leg_number(leg_of(order.spec.ref))),
        )
    )


def targets_of(trade: Trade, book: Book) -> tuple[Price, ...]:
    """Return the targets that work."""
    prices = (order.spec.limit for order in working(trade, book) if not order.spec.type.is_stop)
    return tuple(price for price in prices if price is not None)


def planned_targets(trade: Trade, book: Book) -> tuple[Price, ...]:
    """Return the targets of a trade whose exits have not been sent yet."""
    was_sent = any(leg_of(ref).startswith("tp") for ref in trade.refs)
    return () if was_sent or inventory(trade, book.orders) <= 0 else trade.plan.tps


def target_words(trades: Iterable[Trade], book: Book) -> str:
    """Return the targets, those that are only planned in brackets: ``198.00 205.00``, ``(195.00 198.00)``."""
    parts = []
    for trade in trades:
        parts += [money(price) for price in targets_of(trade, book)]
        if planned := planned_targets(trade, book):
            parts.append(f"({' '.join(map(money, planned))})")
    return " ".join(parts) or NOTHING


def stops_of(trade: Trade, book: Book) -> tuple[tuple[str, Price], ...]:
    """Return the stops that work with their legs: ``sl2``, ``cover``."""
    return tuple(
        (leg_of(order.spec.ref), order.spec.stop)
        for order in working(trade, book)
        if order.spec.type.is_stop and order.spec.stop is not None
    )


def stop_words(stops: Sequence[tuple[str, Price]]) -> str:
    """Return the stop, or each leg's where they differ: ``190.00``, ``sl2@190.00 sl3@195.00``; a cover says that it is one."""
    prices = {price for _, price in stops}
    if len(prices) == 1 and not any(leg == "cover" for leg, _ in stops):
        return money(next(iter(prices)))
    return " ".join(f"{leg}@{money(price)}" for leg, price in stops) or NOTHING
