"""Orders at the broker that no book of ours has, as `orders` shows, cancels and changes them: by number alone. Pure.

Laws: a number means an order of our books first; what another client sent or a hand typed is shown, and refused to be touched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tradeshell.core.desk import Desk
from tradeshell.core.events import money, order_words
from tradeshell.core.inputs import Owner
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import OrderType
from tradeshell.core.standing import Outside, claimed, is_living
from tradeshell.core.trade import leg_of, watch_of
from tradeshell.errors import OperatorError
from tradeshell.grammar import Choices
from tradeshell.shell import targets

NOTHING = "–"


def living(desk: Desk, symbols: Iterable[str] = ()) -> tuple[Outside, ...]:
    """Return those that may still execute, of ``symbols`` or of all."""
    wanted = tuple(symbols)
    return tuple(
        each
        for each in desk.outside.values()
        if is_living(each) and (not wanted or each.order.symbol in wanted)
    )


def owner(known: Outside) -> str:
    """Return whose it is, in a few words."""
    order = known.order
    if order.owner is Owner.WINDOW:
        return "external: by hand"
    if order.owner is Owner.CLIENT:
        return f"external: client {order.client}"
    return f"{watch_of(order.ref)}: no record" if order.is_adoptable else "external: our number"


class Exits(NamedTuple):
    """What living orders that no record knows do for the shares of a symbol; ``covered`` shares have one of their stops."""

    targets: tuple[Price, ...]
    stops: tuple[Price, ...]
    covered: Shares
    owners: tuple[str, ...]

    @property
    def words(self) -> tuple[str, str]:
        """Targets and stops as `positions` shows them."""
        return " ".join(map(money, self.targets)) or NOTHING, " ".join(map(money, self.stops)) or NOTHING


def exits(desk: Desk, symbol: str) -> Exits:
    """Return what orders of an earlier life of the program do for the shares of ``symbol``."""
    found = [
        each
        for each in living(desk, (symbol,))
        if each.order.is_adoptable and each.is_exit and each.order.account == desk.account
    ]
    stops = [each for each in found if each.order.stop is not None]
    return Exits(
        targets=tuple(sorted({o.limit for each in found if (o := each.order).stop is None and o.limit})),
        stops=tuple(sorted({each.order.stop for each in stops if each.order.stop is not None})),
        covered=claimed(stops, symbol, desk.account),
        owners=tuple(dict.fromkeys(owner(each) for each in found)),
    )


def price_words(known: Outside) -> str:
    """Return its prices: ``stop 187.00 limit 187.00``; its type in the broker's words when we send none like it."""
    order = known.order
    if order.kind in tuple(OrderType):
        return order_words(OrderType(order.kind), order.limit, order.stop)
    parts = [f"stop {money(order.stop)}"] if order.stop is not None else []
    parts += [f"limit {money(order.limit)}"] if order.limit is not None else []
    return " ".join(parts) or order.kind


def row(known: Outside) -> tuple[str, ...]:
    """Return its row in the table of `orders`."""
    order = known.order
    state = f"{order.state.value}, cancelling" if known.cancelling else order.state.value
    return (
        str(order.order_id) if order.order_id else NOTHING,
        order.symbol,
        leg_of(order.ref) if order.is_adoptable else NOTHING,
        order.side.value,
        str(order.qty),
        str(order.filled),
        price_words(known),
        order.tif,
        state,
        owner(known),
    )


def as_data(known: Outside) -> dict[str, Any]:
    """Return it as scripts read it."""
    order = known.order
    return {
        "id": order.order_id,
        "order_ref": order.ref,
        "symbol": order.symbol,
        "leg": leg_of(order.ref) if order.is_adoptable else None,
        "side": order.side,
        "qty": order.qty,
        "filled": order.filled,
        "type": order.kind,
        "limit": order.limit,
        "stop": order.stop,
        "tif": order.tif,
        "outside_rth": order.outside_rth,
        "state": order.state,
        "account": order.account,
        "external": order.owner.value if not order.is_adoptable else "no_record",
        "client": order.client,
    }


def find(desk: Desk, word: str) -> Outside | None:
    """Return the one that a number means, ``None`` when it means none; raises ``OperatorError`` for what is not ours."""
    if not targets.is_number(word) or any(order.order_id == int(word) for order in targets.working(desk)):
        return None
    found = [each for each in living(desk) if each.order.order_id == int(word)]
    ours = [each for each in found if each.order.is_adoptable]
    if found and not ours:
        raise OperatorError(
            f"{word}: this order is not ours ({owner(found[0])}): cancel or change it where it was sent; "
            "an exit without shares can be cancelled with `reconcile fix`"
        )
    return ours[0] if ours else None


def lost(found: Iterable[Outside]) -> str:
    """Return what follows from cancelling them, empty when no stop is among them or in one group with them."""
    stops = [each for each in found if each.is_exit]
    if not stops:
        return ""
    numbers = " ".join(str(each.order.order_id) for each in stops)
    return f"no record says what {numbers} protects; the broker may cancel the rest of its group along, a stop too"


def limit_along(known: Outside, limit: Price | None, stop: Price | None) -> Price | None:
    """Return the limit that goes with a stop that moves: as far from it as before, unless one is named."""
    order = known.order
    if limit is not None or stop is None or order.kind != OrderType.STOP_LIMIT:
        return limit
    return limit if order.limit is None or order.stop is None else order.limit + stop - order.stop


def choices(desk: Desk) -> Choices:
    """Return those that can be named, by number."""
    return tuple(
        (str(each.order.order_id), _described(each)) for each in living(desk) if each.order.is_adoptable
    )


def _described(known: Outside) -> str:
    order = known.order
    head = f"{order.symbol} {leg_of(order.ref)} {order.side.value} {order.remaining}"
    return f"{head} {price_words(known)} · {owner(known)}"
