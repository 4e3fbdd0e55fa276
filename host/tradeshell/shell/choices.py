"""What completion offers, read from the published picture. Called on a completion thread: pure, no waiting."""

from __future__ import annotations

from collections import Counter

from tradeshell.core.desk import WatchPhase
from tradeshell.core.orders import Order
from tradeshell.core.trade import leg_of
from tradeshell.grammar import Choices
from tradeshell.ports import View
from tradeshell.shell import outsiders, targets
from tradeshell.shell.picture import open_trades

Before = tuple[str, ...]


def symbols(view: View, before: Before) -> Choices:
    """Return symbols that are held, watched, traded or were looked at."""
    del before
    found: dict[str, str] = {}
    for symbol, book in sorted(view.desk.books.items()):
        if (held := book.held()) != 0:
            found[symbol] = f"{held} held"
    for symbol in sorted(view.desk.armed):
        found[symbol] = f"{found[symbol]}, watched" if symbol in found else "watched"
    for symbol in sorted(view.desk.books):
        found.setdefault(symbol, "traded")
    for symbol in view.symbols:
        found.setdefault(symbol, "")
    return tuple(found.items())


def held(view: View, before: Before) -> Choices:
    """Return the symbols that are held."""
    del before
    return tuple(
        (symbol, f"{book.held()} held") for symbol, book in sorted(view.desk.books.items()) if book.held() > 0
    )


def quantities(view: View, before: Before) -> Choices:
    """Return the quantity that closes the position of the symbol typed before."""
    book = view.desk.books.get(before[0].upper()) if before else None
    if book is None or book.held() <= 0:
        return ()
    free = book.held() - book.committed()
    note = "all that is held" if free == book.held() else f"all that is held, {free} free of working sells"
    return ((str(book.held()), note),)


def orders(view: View, before: Before) -> Choices:
    """Return working orders by number and by leg, symbols that have any, and ALL."""
    del before
    working = targets.working(view.desk)
    found: dict[str, str] = {}
    for order in working:
        found[str(order.order_id)] = f"{targets.described(order)} · {order.state.value}"
    for order in working:
        found.setdefault(targets.address(order), f"number {order.order_id}")
    for symbol, count in sorted(Counter(order.spec.symbol for order in working).items()):
        found.setdefault(symbol, f"its {count} order{'' if count == 1 else 's'}")
    found |= _all_stops(working)
    if working:
        found[targets.ALL] = f"all {len(working)} working orders"
    for number, meaning in outsiders.choices(view.desk):
        found.setdefault(number, meaning)
    return tuple(found.items())


def _all_stops(working: tuple[Order, ...]) -> dict[str, str]:
    """Return a word for the stops of each symbol that has several: ``AAPL.sl*``."""
    counts = Counter(
        order.spec.symbol
        for order in working
        if order.spec.type.is_stop and leg_of(order.spec.ref).startswith("sl")
    )
    return {f"{symbol}.sl*": f"its {count} stops" for symbol, count in sorted(counts.items()) if count > 1}


def changeable(view: View, before: Before) -> Choices:
    """Return working orders by number and by leg, and the stops of a ladder as one word."""
    return tuple(
        (word, meaning)
        for word, meaning in orders(view, before)
        if targets.is_number(word) or meaning.startswith("number ") or word.endswith(".sl*")
    )


def busy(view: View, before: Before) -> Choices:
    """Return symbols with watchers or trades that are not over, and ALL."""
    del before
    found = {trade.plan.symbol: trade.phase.value for trade in open_trades(view.desk)}
    for watcher in view.desk.watchers.values():
        if watcher.phase is WatchPhase.ARMED:
            found.setdefault(watcher.spec.plan.symbol, "armed")
    return (*sorted(found.items()), (targets.ALL, "everything"))


def booleans(meaning_true: str, meaning_false: str) -> Choices:
    """Return the two values of a switch with their meanings."""
    return (("true", meaning_true), ("false", meaning_false))
