"""What an operator's word for orders means: a number, a symbol, a leg (``AAPL.sl1``, ``AAPL.sl*``), a trade, or ALL. Pure.

Law: a word means exactly what is found on the desk, or is refused with what there is; nothing is guessed from a near miss.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from tradeshell.core.desk import Desk
from tradeshell.core.events import order_words
from tradeshell.core.market import Price
from tradeshell.core.orders import Order, parse_ref
from tradeshell.core.trade import entry_of, leg_of
from tradeshell.errors import OperatorError

ALL = "ALL"


def working(desk: Desk) -> tuple[Order, ...]:
    """Return our orders that may still fill, by number."""
    return tuple(order for order in desk.orders() if order.state.is_live)


def address(order: Order) -> str:
    """Return the leg's address: ``AAPL.sl1``."""
    return f"{order.spec.symbol}.{leg_of(order.spec.ref)}"


def owner(order: Order) -> str:
    """Return the id of the trade that sent the order."""
    parts = parse_ref(order.spec.ref)
    return "" if parts is None else parts.watch


def described(order: Order) -> str:
    """Return what an order is in a few words: ``AAPL sl1 SELL 60 stop 187.00``."""
    spec = order.spec
    price = order_words(spec.type, spec.limit, spec.stop)
    return f"{spec.symbol} {leg_of(spec.ref)} {spec.side.value} {order.remaining} {price}"


def find(desk: Desk, word: str) -> tuple[Order, ...]:
    """Return the working orders that ``word`` means; raises ``OperatorError`` when there is none."""
    orders = working(desk)
    symbols = frozenset(order.spec.symbol for order in orders)
    found = tuple(order for order in orders if _is_meant(word, order, symbols))
    if not found:
        raise OperatorError(f"{word}: no working order is meant by that{_there_are(desk, word)}")
    return found


def find_one(desk: Desk, word: str) -> Order:
    """Return the one working order that ``word`` means; raises ``OperatorError`` for none and for several."""
    found = find(desk, word)
    if len(found) > 1:
        several = " ".join(f"{order.order_id} ({address(order)})" for order in found)
        raise OperatorError(f"{word}: {len(found)} orders are meant, name one: {several}")
    return found[0]


def break_even(desk: Desk, order: Order) -> Price:
    """Return the average entry of the order's trade, rounded up to the price grid; raises ``OperatorError`` without one."""
    book = desk.books[order.spec.symbol]
    trade = book.trade_of(order.spec.ref)
    entry = None if trade is None else entry_of(trade, book.orders)
    if entry is None or entry.average is None or trade is None:
        raise OperatorError(f"stop=be: nothing of {address(order)} has been bought yet")
    return trade.instrument.grid.up(entry.average)


def _is_meant(word: str, order: Order, symbols: frozenset[str]) -> bool:
    upper = word.upper()
    if upper == ALL:
        return True
    if is_number(word):
        return order.order_id == int(word)
    if upper in symbols:  # a class share such as BRK.B is a symbol before it is a leg
        return order.spec.symbol == upper
    head, dot, leg = word.rpartition(".")
    if not dot:
        return owner(order) == word
    return (head.upper() == order.spec.symbol or head == owner(order)) and fnmatchcase(
        leg_of(order.spec.ref), leg.lower()
    )


def is_number(word: str) -> bool:
    """Return whether ``word`` is an order's number."""
    return word.isascii() and word.isdigit() and len(word) <= 18


def _there_are(desk: Desk, word: str) -> str:
    if is_number(word) and (known := desk.find_order(int(word))) is not None:
        return f"; {known.order_id} ({address(known)}) is {known.state.value}"
    orders = working(desk)
    if not orders:
        return "; no order is working"
    return f"; working are {shortened(f'{order.order_id} ({address(order)})' for order in orders)}"


def shortened(names: Iterable[str], most: int = 6) -> str:
    """Return ``names`` in one line: the first few, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return " ".join(listed[:most]) + more
