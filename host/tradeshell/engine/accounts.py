"""Account ids at the border: the core, the journal, the audit and the screen know an alias (``DU…0001``), the broker the id.

Laws: an account id is written to no file and shown on no screen; the alias is stable, so that a
record of today can be compared with one of last month; an alias means one account for as long as the program runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from msgspec.structs import replace

from tradeshell.core.inputs import (
    ExecutionReport,
    ExecutionReported,
    Input,
    LinkChanged,
    PositionReport,
    PositionReported,
)
from tradeshell.core.orders import OrderSpec
from tradeshell.words import masked


class Accounts:
    """Turns the connected account's id into its alias and back."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._aliases: dict[str, str] = {}

    def alias(self, account: str) -> str:
        """Return the alias of ``account`` and remember whose it is; one that another account has is lengthened."""
        if "…" in account:
            return account
        known = self._aliases.get(account)
        if known is None:
            known = next(name for name in _names(account) if self._ids.setdefault(name, account) == account)
            self._aliases[account] = known
        return known

    def meant_by(self, typed: str) -> str | None:
        """Return the alias of the known account that an operator typed, by its id or by its alias."""
        return typed if typed in self._ids else self._aliases.get(typed)

    def to_core(self, event: Input) -> Input:
        """Return a broker's input with the account's alias in it."""
        if isinstance(event, LinkChanged):
            return replace(event, account=self.alias(event.account))
        if isinstance(event, ExecutionReported):
            return replace(event, execution=self.execution(event.execution))
        if isinstance(event, PositionReported):
            return replace(event, position=self.position(event.position))
        return event

    def execution(self, report: ExecutionReport) -> ExecutionReport:
        """Return an execution with the alias in it."""
        return replace(report, account=self.alias(report.account))

    def position(self, report: PositionReport) -> PositionReport:
        """Return a position with the alias in it."""
        return replace(report, account=self.alias(report.account))

    def to_broker(self, order: OrderSpec) -> OrderSpec:
        """Return an order with the account's id in it, as the broker wants it."""
        account = self._ids.get(order.account, order.account)
        return order if account == order.account else replace(order, account=account)


def not_typed(account: str) -> str:
    """Return why a live account is not traded whose id nobody has typed for this start."""
    return f"account {masked(account)} is live: to trade it, start with --live-account and its full id"


def _names(account: str) -> Iterator[str]:
    """Yield what ``account`` may be called, shortest first, never the whole id."""
    short = masked(account)
    yield short
    head, _, tail = short.partition("…")
    yield from (f"{head}…{account[-n:]}" for n in range(len(tail) + 1, len(account) - len(head)))
    yield from (f"{short}#{n}" for n in count(2))
