"""The books of one account as the API shows them: cash, positions with their value, profit and loss.

Laws: they follow from executions and fees alone; amounts are USD. Profit counts from the start of the gateway; the average cost
leaves fees out, the realised profit of a closing fill contains its fee.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from tradeshell import Price, Shares
from tradeshell_paper.ledger import CASH

MARGIN = Decimal("0.25")  # of a position's value: what a margin account must keep
CENT = Decimal("0.01")
ZERO = Decimal(0)


class Holding:
    """One position."""

    def __init__(self) -> None:
        self.shares: Shares = 0
        self.average: Price = ZERO
        self.realized: Decimal = ZERO


class Book:
    """Cash and holdings of an account. ``mark`` gives the price of a share now, ``None`` when nobody knows it."""

    def __init__(self, mark: Callable[[str], Price | None]) -> None:
        self.holdings: dict[str, Holding] = {}
        self.cash = CASH
        self._mark = mark

    def trade(self, symbol: str, signed: Shares, price: Price) -> Decimal | None:
        """Book ``signed`` shares; returns the profit that they realise, ``None`` when they only open."""
        held = self.holdings.setdefault(symbol, Holding())
        self.cash -= price * signed
        closed = min(abs(signed), abs(held.shares)) if held.shares * signed < 0 else 0
        gain = (price - held.average) * closed * (1 if held.shares > 0 else -1)
        after = held.shares + signed
        if held.shares * signed >= 0 and after:
            held.average = (held.average * abs(held.shares) + price * abs(signed)) / abs(after)
        elif held.shares * after < 0:
            held.average = price
        held.shares = after
        if after == 0:
            held.average = ZERO
        held.realized += gain
        return gain if closed else None

    def charge(self, symbol: str, fee: Decimal) -> None:
        """Book a fee."""
        self.cash -= fee
        self.holdings.setdefault(symbol, Holding()).realized -= fee

    def mark(self, symbol: str) -> Price:
        """Return what a share is worth; its average where nobody knows."""
        price = self._mark(symbol)
        return self.holdings[symbol].average if price is None else price

    def unrealized(self, symbol: str) -> Decimal:
        """Return the open profit of a position."""
        held = self.holdings[symbol]
        return (self.mark(symbol) - held.average) * held.shares if held.shares else ZERO

    def values(self) -> dict[str, tuple[str, str]]:
        """Return the account's values: key -> text and currency."""
        marks = {symbol: self.mark(symbol) for symbol, held in self.holdings.items() if held.shares}
        stock = sum((marks[s] * self.holdings[s].shares for s in marks), ZERO)
        gross = sum((abs(marks[s] * self.holdings[s].shares) for s in marks), ZERO)
        unrealized = sum((self.unrealized(s) for s in marks), ZERO)
        realized = sum((held.realized for held in self.holdings.values()), ZERO)
        worth = self.cash + stock
        margin = gross * MARGIN
        amounts = {
            "NetLiquidation": worth,
            "TotalCashValue": self.cash,
            "TotalCashBalance": self.cash,
            "CashBalance": self.cash,
            "SettledCash": self.cash,
            "AccruedCash": ZERO,
            "EquityWithLoanValue": worth,
            "PreviousDayEquityWithLoanValue": CASH,
            "GrossPositionValue": gross,
            "StockMarketValue": stock,
            "InitMarginReq": margin,
            "MaintMarginReq": margin,
            "FullInitMarginReq": margin,
            "FullMaintMarginReq": margin,
            "AvailableFunds": worth - margin,
            "FullAvailableFunds": worth - margin,
            "ExcessLiquidity": worth - margin,
            "FullExcessLiquidity": worth - margin,
            "BuyingPower": (worth - margin) / MARGIN,
            "UnrealizedPnL": unrealized,
            "RealizedPnL": realized,
            "RegTEquity": worth,
            "SMA": worth,
        }
        plain = {"AccountType": ("INDIVIDUAL", ""), "AccountReady": ("true", ""), "Leverage-S": ("0.00", "")}
        plain |= {"Currency": ("USD", "USD"), "ExchangeRate": ("1.00", "USD"), "Cushion": ("1", "")}
        plain |= {"LookAheadNextChange": ("0", ""), "DayTradesRemaining": ("-1", "")}
        return plain | {key: (str(amount.quantize(CENT)), "USD") for key, amount in amounts.items()}
