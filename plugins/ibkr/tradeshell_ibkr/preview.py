"""A preview: the broker looks at an order that is never placed, which shows whether it would take one.

Laws: what is sent carries the preview's mark, so that no order comes of it whatever the gateway's settings are.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal, InvalidOperation

from ib_async.contract import Contract
from ib_async.order import Order
from ib_async.order import OrderState as Told

from tradeshell import BrokerError, Margin, OrderSpec, OrderType, RefusedWhat, Side, Tif
from tradeshell_ibkr.codes import about_order
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.orders import Orders
from tradeshell_ibkr.pacing import Priority

ANSWER_WITHIN = 4.0  # seconds
UNSET = Decimal(10) ** 15  # the API's largest double stands for an amount that is not there


async def preview_one(connection: Connection, orders: Orders, contract: Contract) -> Margin:
    """Have one share previewed far below the market; raises ``BrokerError`` when orders are not taken."""
    spec = OrderSpec(
        ref="preview",
        symbol=contract.symbol,
        con_id=contract.conId,
        account=connection.account,
        side=Side.BUY,
        qty=1,
        type=OrderType.LIMIT,
        limit=Decimal(1),
        tif=Tif.DAY,
    )
    return await preview(connection, orders, contract, spec)


async def preview(connection: Connection, orders: Orders, contract: Contract, spec: OrderSpec) -> Margin:
    """Have an order previewed; raises ``BrokerError`` when it would not be taken."""
    connection.must_be_served()
    number = connection.first_order_id()
    order = Order(
        action=spec.side,
        totalQuantity=spec.qty,
        orderType=spec.type,
        lmtPrice=float(spec.limit or 0),
        tif=spec.tif,
        outsideRth=spec.outside_rth,
        account=spec.account,
        whatIf=True,
    )
    answer: asyncio.Future[Margin] = asyncio.get_running_loop().create_future()

    def heard(order_id: int, code: int, text: str, told: Told | None) -> bool:
        if order_id != number:
            return False
        refuses = about_order(code, is_new=True, is_changing=False, is_cancelling=False)
        if code == 0 and not answer.done():
            answer.set_result(Margin() if told is None else margin_of(told))
        elif refuses is RefusedWhat.ORDER and not answer.done():
            answer.set_exception(BrokerError(f"{code} {text}"))
        return True

    before, orders.on_preview = orders.on_preview, heard
    try:
        connection.ask("placeOrder", number, contract, order, priority=Priority.QUESTION)
        return await connection.within(answer, ANSWER_WITHIN, f"no answer within {ANSWER_WITHIN:g} s")
    finally:
        orders.on_preview = before


def margin_of(told: Told) -> Margin:
    """Return what the broker told of a previewed order."""
    return Margin(
        initial=_usd(told.initMarginChange),
        maintenance=_usd(told.maintMarginChange),
        initial_after=_usd(told.initMarginAfter),
        equity_after=_usd(told.equityWithLoanAfter),
        commission=_usd(told.commission),
    )


def _usd(told: object) -> Decimal | None:
    """Return an amount; none for an empty field and for the number that stands for "not set"."""
    try:
        value = Decimal(str(told))
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < UNSET else None
