"""What `doctor` finds out about the link: the address, the API's answer, the client id, the account and its mode, the picture.

Laws: nothing is sent that could become an order. Each finding ends by itself.
"""

from __future__ import annotations

from tradeshell import BrokerError, Finding, Outcome, masked
from tradeshell_ibkr.account import Account
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.settings import is_paper


async def examine(connection: Connection, account: Account) -> tuple[Finding, ...]:
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
    return tuple(found)
