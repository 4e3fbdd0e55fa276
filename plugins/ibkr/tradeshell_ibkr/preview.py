"""A preview: the broker looks at an order that is never placed, which shows whether it would take one.

Laws: what is sent carries the preview's mark, so that no order comes of it whatever the gateway's settings are.
"""

from __future__ import annotations

import asyncio

from ib_async.contract import Contract
from ib_async.order import Order

from tradeshell import BrokerError, RefusedWhat
from tradeshell_ibkr.codes import about_order
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.orders import Orders
from tradeshell_ibkr.pacing import Priority

ANSWER_WITHIN = 4.0  # seconds


async def preview(connection: Connection, orders: Orders, contract: Contract) -> None:
    """Have one share previewed far below the market; raises ``BrokerError`` when orders are not taken."""
    connection.must_be_served()
    number = connection.first_order_id()
    order = Order(
        action="BUY",
        totalQuantity=1,
        orderType="LMT",
        lmtPrice=1.0,
        tif="DAY",
        account=connection.account,
        whatIf=True,
    )
    answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(order_id: int, code: int, text: str) -> bool:
        if order_id != number:
            return False
        refuses = about_order(code, is_new=True, is_changing=False, is_cancelling=False)
        if code == 0 and not answer.done():
            answer.set_result(None)
        elif refuses is RefusedWhat.ORDER and not answer.done():
            answer.set_exception(BrokerError(f"{code} {text}"))
        return True

    before, orders.on_preview = orders.on_preview, heard
    try:
        connection.ask("placeOrder", number, contract, order, priority=Priority.QUESTION)
        await connection.within(answer, ANSWER_WITHIN, f"no answer within {ANSWER_WITHIN:g} s")
    finally:
        orders.on_preview = before
