"""Between the core's values and the wire's: pure, total, and the only place that knows both spellings.

Laws: what cannot be said exactly is not said. Prices are Decimals on the grid's finest step, an unset double or a zero is no
price. Only shares are shares: options and other listings of the same letters never pass for the symbol. A status word that is
not known moves nothing.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ib_async.contract import Contract
from ib_async.objects import Execution
from ib_async.order import Order
from msgspec import Struct

from tradeshell import ExecutionReport, OrderSpec, OrderState, OrderType, Price, Shares, Side, parse_ref
from tradeshell_ibkr.encode import Ticket

UNSET = 1e300  # doubles above are IBKR's "not set" (the largest double)
CENT = Decimal("0.01")
FINEST = Decimal("0.0001")  # USD: the finest step of a US stock's prices
NOISE = Decimal("0.000001")  # USD: what a double may add to a price
TAG = "|"  # between our ref and the operator's tag in an orderRef

_STATES = {
    "PendingSubmit": OrderState.SENT,
    "ApiPending": OrderState.SENT,
    "PreSubmitted": OrderState.HELD,
    "Submitted": OrderState.WORKING,
    "Cancelled": OrderState.CANCELLED,
    "ApiCancelled": OrderState.CANCELLED,
    "Filled": OrderState.FILLED,
    "Inactive": OrderState.REFUSED,  # refused or held after all; the core knows that it may work again
}
_CANCELLING = ("PendingCancel", "PreCancelled")  # it may still fill, and where it stands is not said


def state_of(status: str, remaining: Shares, before: OrderState, *, is_staged: bool) -> OrderState:
    """Return the state that a status word means. ``before``: what was known; ``is_staged``: we have not transmitted it."""
    found = _STATES.get(status)
    if status in _CANCELLING or found is None:
        return before if before.is_live else OrderState.HELD
    if found is OrderState.FILLED and remaining > 0:
        return OrderState.WORKING
    if found is OrderState.REFUSED and is_staged:
        return OrderState.SENT
    return found


# --- to the wire ------------------------------------------------------------------------------------------------------


def ticket_of(
    spec: OrderSpec,
    order_id: int,
    contract: str,
    *,
    parent_id: int = 0,
    oca: tuple[str, int] | None = None,
    transmit: bool | None = None,
    ahead: float = 0.0,
) -> Ticket:
    """Return an order as the wire has it. ``oca``: the group the broker shows; ``ahead``: seconds its clock is ahead of ours."""
    group, kind = (spec.oca_group or "", int(spec.oca_type or 0)) if oca is None else oca
    return Ticket(
        order_id=order_id,
        contract=contract,
        action=spec.side,
        qty=spec.qty,
        type=spec.type,
        limit=price_text(spec.limit) if spec.type in (OrderType.LIMIT, OrderType.STOP_LIMIT) else "",
        stop=price_text(spec.stop) if spec.type.is_stop else "",
        tif=spec.tif,
        oca_group=group,
        account=spec.account,
        ref=ref_text(spec),
        transmit=spec.transmit if transmit is None else transmit,
        parent_id=parent_id,
        outside_rth=spec.outside_rth,
        good_till="" if spec.good_till is None else time_text(spec.good_till + timedelta(seconds=ahead)),
        oca_type=kind if group else 0,
    )


def price_text(price: Price | None) -> str:
    """Return a price without an exponent; nothing for none."""
    return "" if price is None else f"{price:f}"


def time_text(at: datetime) -> str:
    """Return an instant in the form with a dash, which is UTC whatever zone the gateway was set to."""
    text = at.astimezone(UTC).isoformat(" ", "seconds")  # strftime takes ten times as long
    return f"{text[:4]}{text[5:7]}{text[8:10]}-{text[11:19]}"


def ref_text(spec: OrderSpec) -> str:
    """Return the orderRef: our ref, and the operator's tag behind it."""
    return spec.ref if spec.client_tag is None else f"{spec.ref}{TAG}{spec.client_tag}"


# --- from the wire ----------------------------------------------------------------------------------------------------


def ref_of(order_ref: str) -> str:
    """Return the ref in an orderRef: ours without its tag, anybody else's as it is."""
    ours = order_ref.partition(TAG)[0]
    return ours if parse_ref(ours) is not None else order_ref


def price_of(value: Any) -> Price | None:
    """Return a price; ``None`` for an unset double, a zero and whatever is no number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    if not math.isfinite(number) or number <= 0 or number >= UNSET:
        return None
    exact = Decimal(str(value)) if isinstance(value, str | Decimal) else Decimal(repr(number))
    for step in (CENT, FINEST):
        near = exact.quantize(step)
        if abs(exact - near) <= NOISE:
            return near
    return exact


def shares_of(value: Any) -> Shares:
    """Return whole shares; fractions, which we never trade, are cut towards zero, and what is no number is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0
    return int(number) if math.isfinite(number) and abs(number) < UNSET else 0


def is_shares(contract: Contract) -> bool:
    """Return whether a contract is a stock or ETF, and not an option on one."""
    return contract.secType == "STK"


def name_of(contract: Contract, names: dict[int, str]) -> str:
    """Return what an instrument is called here: by its contract id; a namesake is called otherwise, with its exchange."""
    known = names.get(contract.conId)
    if known is not None:
        return known
    symbol = contract.symbol.replace(" ", ".")  # a class of shares: BRK B there, BRK.B here
    if contract.currency not in ("", "USD") or symbol in names.values():
        return f"{symbol}@{contract.currency or contract.exchange}.{contract.conId}"
    return symbol


class Shown(Struct, frozen=True):
    """What an openOrder shows."""

    ref: str
    client_id: int
    perm_id: int
    account: str
    con_id: int
    symbol: str
    is_shares: bool
    side: str
    kind: str
    tif: str
    outside_rth: bool
    qty: Shares
    limit: Price | None
    stop: Price | None
    oca_group: str
    oca_type: int
    parent_id: int
    words: str


def shown_of(contract: Contract, order: Order, words: str, names: dict[int, str]) -> Shown:
    """Return what an openOrder shows, prices only where the order's type has them: held stops show a derived limit."""
    has_limit = order.orderType in (OrderType.LIMIT, OrderType.STOP_LIMIT)
    has_stop = order.orderType in (OrderType.STOP, OrderType.STOP_LIMIT)
    return Shown(
        ref=ref_of(order.orderRef),
        client_id=order.clientId,
        perm_id=order.permId,
        account=order.account,
        con_id=contract.conId,
        symbol=name_of(contract, names),
        is_shares=is_shares(contract),
        side=order.action,
        kind=order.orderType,
        tif=order.tif,
        outside_rth=order.outsideRth,
        qty=shares_of(order.totalQuantity),
        limit=price_of(order.lmtPrice) if has_limit else None,
        stop=price_of(order.auxPrice) if has_stop else None,
        oca_group=order.ocaGroup,
        oca_type=order.ocaType if order.ocaGroup else 0,
        parent_id=order.parentId,
        words=words,
    )


def execution_of(
    contract: Contract, execution: Execution, ref: str, names: dict[int, str], now: datetime
) -> ExecutionReport | None:
    """Return an execution of shares; ``None`` for anything else, or when it says nothing that could be booked."""
    side = {"BOT": Side.BUY, "SLD": Side.SELL}.get(execution.side)
    price = price_of(execution.price)
    if not is_shares(contract) or side is None or not execution.execId:
        return None
    qty = shares_of(execution.shares)
    if price is None and qty:
        return None
    return ExecutionReport(
        exec_id=execution.execId,
        ref=ref,
        order_id=execution.orderId if 0 < execution.orderId < 2**31 - 1 else 0,
        symbol=name_of(contract, names),
        account=execution.acctNumber,
        side=side,
        qty=qty,
        price=Decimal(0) if price is None else price,
        at=execution.time if execution.time.year > 1990 else now,
    )


def average_of(value: Any) -> Price:
    """Return an average cost in USD; 0 when there is none."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return Decimal(0)
    return (
        Decimal(repr(number)).quantize(NOISE) if math.isfinite(number) and 0 < number < UNSET else Decimal(0)
    )
