"""The bytes of an order, fast: what ib_async's encoder writes, cut into the parts that never change and the holes between them.

ib_async builds a table of converters for each message and walks 130 fields through it; a stop should not wait for that. The
parts are not ours: they are made once for each server version by letting ib_async encode an order whose variable fields are
marks, so a field that moves, moves here too. A test compares the result with ib_async's, order for order.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from ib_async.client import Client
from ib_async.contract import Contract
from ib_async.order import Order
from msgspec import Struct

MARK = "\x01"


class Ticket(Struct, frozen=True):
    """What varies in an order of ours, as the wire has it. ``contract`` is its twelve fields, ``contract_text`` makes them."""

    order_id: int
    contract: str
    action: str
    qty: int
    type: str
    limit: str
    stop: str
    tif: str
    oca_group: str
    account: str
    ref: str
    transmit: bool
    parent_id: int
    outside_rth: bool
    good_till: str
    oca_type: int


_CONTRACT = "symbol"  # where the mark of the whole contract stands
_HOLES: dict[str, str] = {  # the mark in ib_async's order -> the field above
    "orderId": "order_id",
    _CONTRACT: "contract",
    "action": "action",
    "totalQuantity": "qty",
    "orderType": "type",
    "lmtPrice": "limit",
    "auxPrice": "stop",
    "tif": "tif",
    "ocaGroup": "oca_group",
    "account": "account",
    "orderRef": "ref",
    "transmit": "transmit",
    "parentId": "parent_id",
    "outsideRth": "outside_rth",
    "goodTillDate": "good_till",
    "ocaType": "oca_type",
}


_FLAGS = ("transmit", "outside_rth")  # 0 or 1 on the wire


class _Copyist(Client):
    """An encoder that keeps what it would send."""

    def __init__(self, version: int) -> None:  # the library's own would open a connection object
        self._version, self.text = version, ""

    def serverVersion(self) -> int:  # noqa: N802  # the library's name
        return self._version

    def isConnected(self) -> bool:  # noqa: N802  # the library's name
        return True

    def sendMsg(self, msg: str) -> None:  # noqa: N802  # the library's name
        self.text = msg


def _marked(name: str) -> str:
    return f"{MARK}{name}{MARK}"


@lru_cache(maxsize=8)
def form_of(version: int) -> tuple[str, Callable[[Ticket], tuple[object, ...]]]:
    """Return the constant text of a placeOrder with a ``%`` for each hole, and what takes the holes' fields from a ticket."""
    order: Any = Order()
    for name in _HOLES.keys() - {"orderId", _CONTRACT}:
        setattr(order, name, _marked(name))
    copyist = _Copyist(version)
    copyist.placeOrder(  # type: ignore[no-untyped-call]  # the library's methods carry no types
        _marked("orderId"), Contract(symbol=_marked(_CONTRACT)), order
    )
    # The twelve fields of the contract are one hole.
    text = copyist.text.replace(contract_text(Contract(symbol=_marked(_CONTRACT))), _marked(_CONTRACT))
    pieces = text.replace("%", "%%").split(MARK)
    names = [_HOLES[name] for name in pieces[1::2]]
    holes = ["%d" if name in _FLAGS else "%s" for name in names]
    form = "".join(part for pair in zip(pieces[::2], [*holes, ""], strict=True) for part in pair)
    return form, attrgetter(*names)


def contract_text(contract: Contract) -> str:
    """Return the twelve fields of a contract as a message has them."""
    c = contract
    return "\0".join(
        str(field)
        for field in (
            c.conId,
            c.symbol,
            c.secType,
            c.lastTradeDateOrContractMonth,
            c.strike,
            c.right,
            c.multiplier,
            c.exchange,
            c.primaryExchange,
            c.currency,
            c.localSymbol,
            c.tradingClass,
        )
    )


def place_order(version: int, ticket: Ticket) -> bytes:
    """Return the frame of a placeOrder."""
    form, fields = form_of(version)
    payload = (form % fields(ticket)).encode(errors="backslashreplace")
    return len(payload).to_bytes(4, "big") + payload


def cancel_order(version: int, order_id: int) -> bytes:
    """Return the frame of a cancelOrder."""
    payload = (
        f"4\x001\x00{order_id}\0" + ("\0" if version >= 169 else "")
    ).encode()  # 169: manualCancelOrderTime
    return len(payload).to_bytes(4, "big") + payload
