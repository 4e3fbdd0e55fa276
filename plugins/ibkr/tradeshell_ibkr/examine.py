"""What `doctor` finds out about the link.

The address, the API's answer, the client id, the account and its mode, a complete picture, market data, and whether orders
would be taken.

Laws: nothing is sent that could become an order. Each finding ends by itself.
"""

from __future__ import annotations

from ib_async.contract import Contract

from tradeshell import BrokerError, DataKind, Finding, Outcome, masked
from tradeshell_ibkr.account import Account
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.market_data import MarketData
from tradeshell_ibkr.orders import Orders
from tradeshell_ibkr.preview import preview_one
from tradeshell_ibkr.settings import is_paper

SAMPLE = "SPY"
QUOTE_WITHIN = 3.0  # seconds


async def examine(
    connection: Connection, account: Account, orders: Orders, data: MarketData
) -> tuple[Finding, ...]:
    """Examine the link, connected or not."""
    settings = connection.settings
    wire = connection.wire
    found = [
        Finding(
            name="gateway",
            outcome=Outcome.OK if connection.is_served else Outcome.FAILED,
            told=connection.words,
            remedy=""
            if connection.is_served
            else "docs/ibkr.md says how TWS and IB Gateway are set up; then `connect`",
        )
    ]
    if wire is None:
        return tuple(found)
    found.append(
        Finding(
            name="api",
            outcome=Outcome.OK if wire.unreadable == 0 else Outcome.WARNING,
            told=f"server version {wire.serverVersion()}, client id {settings.client_id}, "
            f"next order {connection.first_order_id()}"
            + (
                f", {wire.unreadable} messages could not be read: {wire.complaint}" if wire.unreadable else ""
            ),
        )
    )
    is_live = not is_paper(connection.account)
    found.append(
        Finding(
            name="account",
            outcome=Outcome.WARNING if is_live else Outcome.OK,
            told=f"{masked(connection.account)}, {'LIVE: orders are real' if is_live else 'paper'}",
        )
    )
    try:
        picture = await account.snapshot()
    except BrokerError as error:
        found.append(
            Finding(name="picture", outcome=Outcome.FAILED, told=str(error), remedy="`reconcile` asks again")
        )
    else:
        found.append(
            Finding(
                name="picture",
                outcome=Outcome.OK,
                told=f"{len(picture.orders)} orders, {len(picture.executions)} executions today, "
                f"{len(picture.positions)} positions, completely answered",
            )
        )
    return (*found, *await _market(connection, orders, data))


async def _market(connection: Connection, orders: Orders, data: MarketData) -> tuple[Finding, ...]:
    """Look up a stock that everybody may see, look at its touch, and have an order for it previewed."""
    try:
        stock = await data.qualify(SAMPLE)
        contract = data.contract(stock.con_id) or Contract(conId=stock.con_id, exchange="SMART")
    except BrokerError as error:
        return (
            Finding(
                name="contracts",
                outcome=Outcome.FAILED,
                told=str(error),
                remedy="contracts come from Interactive Brokers: see `status`, then ask again",
            ),
        )
    quote = await data.snapshot(SAMPLE, QUOTE_WITHIN)
    kind = None if quote is None else quote.kind
    seen = Finding(
        name="market data",
        outcome=Outcome.OK if kind is DataKind.LIVE else Outcome.WARNING,
        told=f"no quote of {SAMPLE} within {QUOTE_WITHIN:g} s" if kind is None else f"{SAMPLE}: {kind.value}",
        remedy=""
        if kind is DataKind.LIVE
        else "entries need live data: subscriptions, one live session, market hours",
    )
    try:
        await preview_one(connection, orders, contract)
    except BrokerError as error:
        return (
            seen,
            Finding(
                name="orders",
                outcome=Outcome.FAILED,
                told=f"a preview was refused: {error}",
                remedy="switch Read-Only API off in the API settings of TWS or IB Gateway",
            ),
        )
    return seen, Finding(name="orders", outcome=Outcome.OK, told="a preview was answered: the API may trade")
