"""What one client is told of the accounts: positions, values, summaries, profit and loss.

Laws: every question ends with its end mark, also when the answer is empty; what was subscribed is pushed when a position changes,
profit once a second, everything else every three minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from tradeshell import Handle
from tradeshell_paper.tws import encode_orders, outgoing
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.house import Client, House
from tradeshell_paper.tws.values import WireContract

REPEAT = 180.0  # seconds
PROFIT = 1.0
SUMMARY_EXTRA = frozenset(
    {"AccountType", "Cushion", "LookAheadNextChange", "DayTradesRemaining", "Leverage-S"}
)
ZERO = Decimal(0)


class AccountDesk:
    """The account questions of one client."""

    def __init__(self, house: House, client: Client) -> None:
        self._house = house
        self._client = client
        self._wants_positions = False
        self._account = ""  # whose values are subscribed
        self._multi: dict[int, tuple[str, ...]] = {}
        self._values_multi: dict[int, str] = {}
        self._summaries: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._profits: dict[int, str] = {}
        self._single: dict[int, tuple[str, int]] = {}
        self._slow: Handle | None = None
        self._fast: Handle | None = None

    # --- positions ----------------------------------------------------------------------------------------------------

    def positions(self) -> None:
        """Take reqPositions."""
        self._wants_positions = True
        for account in self._house.accounts:
            for contract, shares, average in self._held(account):
                self._client.send(encode_orders.position(account, contract, shares, average))
        self._client.send(encode(*outgoing.POSITIONS_END))

    def cancel_positions(self) -> None:
        """Take cancelPositions."""
        self._wants_positions = False

    def positions_multi(self, request: int, account: str) -> None:
        """Take reqPositionsMulti."""
        accounts = self._chosen(account)
        self._multi[request] = accounts
        for each in accounts:
            for contract, shares, average in self._held(each):
                self._client.send(encode_orders.position_multi(request, each, contract, shares, average))
        self._client.send(outgoing.ended(72, request))

    def cancel_positions_multi(self, request: int) -> None:
        """Take cancelPositionsMulti."""
        self._multi.pop(request, None)

    def pushed(self, account: str, symbol: str) -> None:
        """A position has changed."""
        contract, shares, average = self._position(account, symbol)
        if self._wants_positions:
            self._client.send(encode_orders.position(account, contract, shares, average))
        for request, accounts in self._multi.items():
            if account in accounts:
                self._client.send(encode_orders.position_multi(request, account, contract, shares, average))
        if account == self._account:
            self._send_portfolio(account, symbol)
            self._send_values(account)

    def _held(self, account: str) -> Iterable[tuple[WireContract, int, Decimal]]:
        for report in self._house.venues[account].exchange.positions():
            yield self._position(account, report.symbol)

    def _position(self, account: str, symbol: str) -> tuple[WireContract, int, Decimal]:
        held = {each.symbol: each for each in self._house.venues[account].exchange.positions()}.get(symbol)
        found = self._house.resolve(WireContract(symbol=symbol))
        contract = WireContract(symbol=symbol, sec_type="STK", currency="USD") if found is None else found[1]
        return (contract, 0, ZERO) if held is None else (contract, held.qty, held.average)

    def _chosen(self, account: str) -> tuple[str, ...]:
        return (account,) if account in self._house.accounts else self._house.accounts

    # --- values -------------------------------------------------------------------------------------------------------

    def account_updates(self, *, on: bool, account: str) -> None:
        """Take reqAccountUpdates: one account at a time."""
        if not on:
            self._account = ""
            return
        account = account or self._house.accounts[0]
        if account not in self._house.accounts:
            self._client.error(-1, 321, "Error validating request.-'bL' : cause - Invalid account code")
            self._client.send(outgoing.account_end(account))
            return
        self._account = account
        self._send_values(account)
        for symbol in self._house.books[account].holdings:
            self._send_portfolio(account, symbol)
        self._client.send(outgoing.account_time(self._house.shown(self._house.now())))
        self._client.send(outgoing.account_end(account))
        self._keep_repeating()

    def account_updates_multi(self, request: int, account: str) -> None:
        """Take reqAccountUpdatesMulti."""
        for each in self._chosen(account):
            for key, (value, currency) in self._house.books[each].values().items():
                self._client.send(outgoing.account_update_multi(request, each, key, value, currency))
        self._client.send(outgoing.ended(74, request))
        self._values_multi[request] = account

    def cancel_account_updates_multi(self, request: int) -> None:
        """Take cancelAccountUpdatesMulti."""
        self._values_multi.pop(request, None)

    def summary(self, request: int, group: str, tags: str) -> None:
        """Take reqAccountSummary."""
        if len(self._summaries) >= 2 and request not in self._summaries:
            self._client.error(request, 322, "Error processing request.-'bT' : cause - Maximum number of account summary requests exceeded.")  # fmt: skip  # noqa: E501  # one text
            return
        wanted = tuple(tag.strip() for tag in tags.split(",") if tag.strip())
        self._summaries[request] = (group, wanted)
        self._send_summary(request)
        self._client.send(outgoing.ended(64, request))
        self._keep_repeating()

    def cancel_summary(self, request: int) -> None:
        """Take cancelAccountSummary."""
        self._summaries.pop(request, None)

    def _send_summary(self, request: int) -> None:
        _, tags = self._summaries[request]
        for account in self._house.accounts:
            values = self._house.books[account].values()
            for tag in tags:
                if tag.startswith("$LEDGER"):
                    for key in (
                        "CashBalance",
                        "StockMarketValue",
                        "RealizedPnL",
                        "UnrealizedPnL",
                        "ExchangeRate",
                    ):
                        self._client.send(
                            outgoing.account_summary(request, account, key, values[key][0], "USD")
                        )
                elif tag in values:
                    self._client.send(outgoing.account_summary(request, account, tag, *values[tag]))

    def _send_values(self, account: str) -> None:
        for key, (value, currency) in self._house.books[account].values().items():
            self._client.send(outgoing.account_value(key, value, currency, account))

    def _send_portfolio(self, account: str, symbol: str) -> None:
        book = self._house.books[account]
        held = book.holdings.get(symbol)
        if held is None:
            return
        contract, shares, average = self._position(account, symbol)
        self._client.send(
            encode_orders.portfolio_value(
                account, contract, shares, book.mark(symbol), average, held.realized
            )
        )

    # --- profit and loss ----------------------------------------------------------------------------------------------

    def profit(self, request: int, account: str) -> None:
        """Take reqPnL."""
        self._profits[request] = account
        self._send_profit(request)
        self._keep_counting()

    def profit_single(self, request: int, account: str, con_id: int) -> None:
        """Take reqPnLSingle."""
        self._single[request] = (account, con_id)
        self._send_single(request)
        self._keep_counting()

    def cancel_profit(self, request: int) -> None:
        """Take cancelPnL and cancelPnLSingle."""
        self._profits.pop(request, None)
        self._single.pop(request, None)

    def _send_profit(self, request: int) -> None:
        unrealized = realized = ZERO
        for account in self._chosen(self._profits[request]):
            book = self._house.books[account]
            for symbol, held in book.holdings.items():
                unrealized += book.unrealized(symbol)
                realized += held.realized
        self._client.send(outgoing.pnl(request, unrealized + realized, unrealized, realized))

    def _send_single(self, request: int) -> None:
        account, con_id = self._single[request]
        for each in self._chosen(account):
            book = self._house.books[each]
            for symbol, held in book.holdings.items():
                if self._position(each, symbol)[0].con_id == con_id:
                    open_profit = book.unrealized(symbol)
                    value = book.mark(symbol) * held.shares
                    self._client.send(
                        outgoing.pnl_single(
                            request,
                            held.shares,
                            open_profit + held.realized,
                            open_profit,
                            held.realized,
                            value,
                        )
                    )
                    return
        self._client.send(outgoing.pnl_single(request, 0, ZERO, ZERO, ZERO, ZERO))

    # --- again and again ----------------------------------------------------------------------------------------------

    def _keep_counting(self) -> None:
        if self._fast is None and (self._profits or self._single):
            self._fast = self._house.after(PROFIT, self._count)

    def _count(self) -> None:
        self._fast = None
        for request in self._profits:
            self._send_profit(request)
        for request in self._single:
            self._send_single(request)
        self._keep_counting()

    def _keep_repeating(self) -> None:
        if self._slow is None and (self._account or self._summaries):
            self._slow = self._house.after(REPEAT, self._repeat)

    def _repeat(self) -> None:
        self._slow = None
        if self._account:
            self._send_values(self._account)
            for symbol in self._house.books[self._account].holdings:
                self._send_portfolio(self._account, symbol)
            self._client.send(outgoing.account_time(self._house.shown(self._house.now())))
        for request in self._summaries:
            self._send_summary(request)
        self._keep_repeating()

    def end(self) -> None:
        """End everything."""
        for handle in (self._slow, self._fast):
            if handle is not None:
                handle.cancel()
        self._slow = self._fast = None
        self._wants_positions, self._account = False, ""
        for table in (self._multi, self._values_multi, self._summaries, self._profits, self._single):
            table.clear()
