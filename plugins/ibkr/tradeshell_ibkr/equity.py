"""What the account is worth: one question, called off when it is answered.

Laws: only USD counts as an answer; an account that is kept in another currency says so.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from tradeshell import BrokerError, Price
from tradeshell_ibkr.asking import Questions
from tradeshell_ibkr.connection import Connection

TAG = "NetLiquidation"
ANSWER_WITHIN = 4.0  # seconds
USD = "USD"


class _Value(NamedTuple):
    account: str
    amount: str
    currency: str


class Equity:
    """Asks for the net liquidation value."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._questions = Questions(connection)
        connection.hub.listen("accountSummary", self._part)
        connection.hub.listen("accountSummaryEnd", self._end)

    async def ask(self) -> Price:
        """Return it in USD; raises ``BrokerError`` when it cannot be had."""
        connection = self._connection
        connection.must_be_served()
        words = f"the account's equity was not answered within {ANSWER_WITHIN:g} s"
        found: list[_Value] = await self._questions.ask(
            "reqAccountSummary",
            "All",
            TAG,
            patience=ANSWER_WITHIN,
            words=words,
            cancel="cancelAccountSummary",
        )
        ours = [value for value in found if value.account == connection.account]
        if not ours:
            raise BrokerError("the broker does not say what the account is worth")
        if ours[0].currency != USD:
            raise BrokerError(f"the account's equity is told in {ours[0].currency}, not in {USD}")
        try:
            amount = Decimal(ours[0].amount)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not amount.is_finite() or amount <= 0:
            raise BrokerError(f"the account's equity is told as {ours[0].amount[:20]!r}")
        return amount

    def _end(self, number: int) -> None:
        if self._questions.end(str(number)) and self._connection.is_ready:
            self._connection.ask("cancelAccountSummary", number)  # else it is told again every few minutes

    def _part(self, number: int, account: str, tag: str, value: str, currency: str) -> None:
        if tag == TAG:
            self._questions.part(str(number), _Value(account, value, currency))
