"""Orders that ended today, as the gateway remembers them. Asked for when somebody compares; nothing rests on the answer.

Laws: one question at a time, answered up to its end mark or not at all (``BrokerError``). Every account of the login is in it.
"""

from __future__ import annotations

import asyncio

from ib_async.contract import Contract
from ib_async.order import Order
from ib_async.order import OrderState as Shown

from tradeshell import CompletedOrder, OrderState, OrderType, Side
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.pacing import Priority
from tradeshell_ibkr.translate import is_shares, name_of, price_of, ref_of, shares_of, state_of

LIMITS, STOPS = (OrderType.LIMIT, OrderType.STOP_LIMIT), (OrderType.STOP, OrderType.STOP_LIMIT)
ANSWER_WITHIN = 1.5  # seconds


class Ended:
    """Asks for completed orders."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = asyncio.Lock()
        self._found: list[CompletedOrder] | None = None  # while they are collected
        self._done: asyncio.Future[None] | None = None
        connection.hub.listen("completedOrder", self._completed)
        connection.hub.listen("completedOrdersEnd", self._end)

    async def ask(self) -> tuple[CompletedOrder, ...]:
        """Return the orders that ended today; raises ``BrokerError`` when the answer is not complete in time."""
        async with self._lock:
            self._connection.must_be_served()
            found: list[CompletedOrder] = []
            self._found, self._done = found, asyncio.get_running_loop().create_future()
            try:
                self._connection.ask(
                    "reqCompletedOrders", False, priority=Priority.QUESTION
                )  # the library's order
                words = f"completed orders were not answered completely within {ANSWER_WITHIN:g} s"
                await self._connection.within(self._done, ANSWER_WITHIN, words)
            finally:
                self._found = None
            return tuple(found)

    def _completed(self, contract: Contract, order: Order, shown: Shown) -> None:
        if self._found is None or not is_shares(contract) or order.action not in tuple(Side):
            return
        filled = shares_of(order.filledQuantity)
        self._found.append(
            CompletedOrder(
                ref=ref_of(order.orderRef),
                perm_id=order.permId,
                account=order.account,
                symbol=name_of(contract, self._connection.names),
                side=Side(order.action),
                filled=filled,
                state=state_of(shown.status, 0, OrderState.CANCELLED, is_staged=False),
                limit=price_of(order.lmtPrice) if order.orderType in LIMITS else None,
                stop=price_of(order.auxPrice) if order.orderType in STOPS else None,
                why=shown.completedStatus,
                at=shown.completedTime,
            )
        )

    def _end(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)
