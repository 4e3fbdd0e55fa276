"""Contracts: which one a symbol means, its price grid, its trading hours.

Laws: a symbol means exactly one US stock in USD on SMART, or nothing: an ambiguous one is refused in one line that says how to
choose. The price grid is the market rule of SMART; without an answer about it, a grid on which every price is valid. What
was learned stays good over reconnects; hours are asked again before they run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from ib_async.contract import Contract, ContractDetails

from tradeshell import US_STOCK_GRID, BrokerError, Instrument, PriceBand, PriceGrid, Session
from tradeshell_ibkr.asking import Link, Questions, Refused
from tradeshell_ibkr.encode import contract_text
from tradeshell_ibkr.hours import TradingHours, new_york_day, read_hours

PATIENCE = 10.0  # seconds for contract details
RULE_PATIENCE = 3.0  # seconds for a market rule
RETRY = timedelta(minutes=1)  # between two attempts to learn newer hours
NO_SUCH_SECURITY = 200
CENT = Decimal("0.01")


class Listed:
    """What is known of one symbol."""

    __slots__ = ("asked", "contract", "hours", "instrument", "known", "text")

    def __init__(self, instrument: Instrument, contract: Contract, hours: TradingHours) -> None:
        self.instrument = instrument
        self.contract = contract
        self.text = contract_text(contract)  # now: an order should not wait for it
        self.hours = hours
        self.asked: datetime | None = None
        self.known: tuple[datetime, datetime, Session] | None = (
            None  # from, until: the day that was asked for last
        )


class Contracts:
    """Every symbol that was asked for. ``primary`` names the primary exchange of symbols that would be ambiguous."""

    def __init__(self, link: Link, questions: Questions, primary: Mapping[str, str]) -> None:
        self._link = link
        self._questions = questions
        self._primary = primary
        self._listed: dict[str, Listed] = {}
        self._by_id: dict[int, Listed] = {}
        self._rules: dict[str, PriceGrid] = {}
        self._silent: set[str] = set()  # rules about which nothing was answered
        self._running: dict[str, asyncio.Task[Listed]] = {}
        link.hub.listen("contractDetails", self._on_details)
        link.hub.listen("contractDetailsEnd", self._on_details_end)
        link.hub.listen("marketRule", self._on_rule)

    async def qualify(self, symbol: str) -> Instrument:
        """Return the contract that ``symbol`` means; raises ``BrokerError`` when it means none or several."""
        found = self._listed.get(symbol)
        if found is None:
            found = await asyncio.shield(self._learn(symbol))
        return found.instrument

    def instrument(self, symbol: str) -> Instrument | None:
        """Return the contract if it was qualified."""
        found = self._listed.get(symbol)
        return None if found is None else found.instrument

    def grid(self, symbol: str) -> PriceGrid:
        """Return the price grid, the usual one before it is known."""
        found = self._listed.get(symbol)
        return US_STOCK_GRID if found is None else found.instrument.grid

    def contract(self, symbol: str) -> Contract:
        """Return what a request names: the qualified contract, or the symbol as such before."""
        found = self._listed.get(symbol)
        return self._bare(symbol) if found is None else found.contract

    def by_id(self, con_id: int) -> Contract | None:
        """Return a qualified contract."""
        found = self._by_id.get(con_id)
        return None if found is None else found.contract

    def text(self, con_id: int) -> str | None:
        """Return the fields of a qualified contract as an order has them."""
        found = self._by_id.get(con_id)
        return None if found is None else found.text

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the hours of the New York day of ``at``; asks for newer ones when that day is not known."""
        found = self._listed.get(symbol)
        if found is None:
            return TradingHours({}).session(at)
        if found.known is not None and found.known[0] <= at < found.known[1]:
            return found.known[2]
        now = self._link.clock.now()
        wanted = new_york_day(at)
        is_news = wanted >= new_york_day(now) and not found.hours.knows(wanted)
        if is_news and self._link.is_ready and (found.asked is None or now - found.asked >= RETRY):
            found.asked = now
            self._learn(symbol)
        session = found.hours.session(at)
        if session is not None and found.hours.knows(wanted) and _is_of(session, wanted):
            found.known = (session.extended_open, session.extended_close, session)
        return session

    def close(self) -> None:
        """End what is under way."""
        for task in self._running.values():
            task.cancel()

    def _learn(self, symbol: str) -> asyncio.Task[Listed]:
        """Ask about a symbol, once however many want to know."""
        task = self._running.get(symbol)
        if task is None:
            task = self._running[symbol] = asyncio.ensure_future(self._ask(symbol))
            task.add_done_callback(lambda done: self._learned(symbol, done))
        return task

    def _learned(self, symbol: str, task: asyncio.Task[Listed]) -> None:
        self._running.pop(symbol, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; a refresh in the background tries again later

    async def _ask(self, symbol: str) -> Listed:
        try:
            answers = await self._questions.ask(
                "reqContractDetails",
                self._bare(symbol),
                patience=PATIENCE,
                words=f"{symbol}: IBKR did not answer what it is within {PATIENCE:g} s",
            )
        except Refused as refusal:
            if refusal.code == NO_SUCH_SECURITY and "ambiguous" not in refusal.text.lower():
                raise BrokerError(f"{symbol}: IBKR knows no US stock of that symbol") from None
            raise BrokerError(f"{symbol}: {refusal}") from None
        details = self._choose(symbol, answers)
        found = details.contract
        assert found is not None
        known = self._listed.get(symbol)
        other = self._link.names.get(found.conId, symbol)
        if other != symbol and other in self._listed:  # two names for one position would be two books
            raise BrokerError(f"{symbol} is the same stock as {other}, which is in use here: call it {other}")
        hours = read_hours(details.tradingHours, details.liquidHours, details.timeZoneId)
        instrument = Instrument(
            symbol=symbol,
            con_id=found.conId,
            exchange="SMART",
            currency="USD",
            grid=await self._grid(details),
        )
        contract = Contract(
            secType="STK",
            conId=found.conId,
            symbol=found.symbol,
            exchange="SMART",
            primaryExchange=found.primaryExchange,
            currency="USD",
            localSymbol=found.localSymbol,
            tradingClass=found.tradingClass,
        )
        listed = Listed(instrument, contract, hours)
        listed.asked = None if known is None else known.asked
        self._listed[symbol] = self._by_id[found.conId] = listed
        self._link.names[found.conId] = symbol
        return listed

    def _choose(self, symbol: str, answers: list[Any]) -> ContractDetails:
        """Return the one stock among the answers."""
        found: dict[int, ContractDetails] = {}
        for details in answers:
            contract = details.contract
            if (
                contract is not None
                and contract.conId
                and contract.secType == "STK"
                and contract.currency == "USD"
            ):
                found.setdefault(contract.conId, details)
        if not found:
            raise BrokerError(f"{symbol}: IBKR knows no US stock of that symbol")
        if len(found) > 1:
            names = ", ".join(
                sorted({each.contract.primaryExchange or "?" for each in found.values() if each.contract})
            )
            raise BrokerError(
                f"{symbol} is ambiguous at IBKR, listed on {names}; "
                f'say which under [brokers.ibkr.primary_exchange] of the config: "{symbol}" = "{names.split(", ")[0]}"'
            )
        return next(iter(found.values()))

    def _bare(self, symbol: str) -> Contract:
        """Return a symbol as IBKR writes it: a class stands behind a blank (``BRK B``)."""
        return Contract(
            secType="STK",
            symbol=symbol.replace(".", " ").replace("-", " "),
            exchange="SMART",
            currency="USD",
            primaryExchange=self._primary.get(symbol, ""),
        )

    # --- price grid ---------------------------------------------------------------------------------------------------

    async def _grid(self, details: ContractDetails) -> PriceGrid:
        exchanges = details.validExchanges.split(",")
        rules = details.marketRuleIds.split(",")
        at = exchanges.index("SMART") if "SMART" in exchanges else 0
        rule = rules[at].strip() if at < len(rules) else ""
        if rule in self._rules:
            return self._rules[rule]
        if rule.isascii() and rule.isdigit() and rule not in self._silent:
            # An older or another server has no rules: the smallest increment of the details is what is left.
            with suppress(BrokerError):
                await self._questions.ask(
                    "reqMarketRule",
                    int(rule),
                    patience=RULE_PATIENCE,
                    words=f"market rule {rule} was not answered",
                    key=f"rule {rule}",
                )
            if rule in self._rules:
                return self._rules[rule]
            self._silent.add(rule)
        return grid_of_tick(details.minTick)

    def _on_rule(self, rule: int, bands: list[Any]) -> None:
        grid = grid_of_bands([(band.lowEdge, band.increment) for band in bands])
        if grid is not None:
            self._rules[str(rule)] = grid
        self._questions.end(f"rule {rule}")

    def _on_details(self, req_id: int, details: ContractDetails) -> None:
        self._questions.part(str(req_id), details)

    def _on_details_end(self, req_id: int) -> None:
        self._questions.end(str(req_id))


def _is_of(session: Session, day: date) -> bool:
    """Return whether the hours are those of one New York day and no longer."""
    return new_york_day(session.extended_open) == day == new_york_day(session.extended_close)


def grid_of_bands(bands: list[tuple[float, float]]) -> PriceGrid | None:
    """Return the grid of a market rule, ``None`` when it makes no sense."""
    found: dict[Decimal, Decimal] = {}
    for low, increment in bands:
        try:
            edge, step = Decimal(str(low)), Decimal(str(increment))
        except InvalidOperation:
            return None
        if not (edge.is_finite() and step.is_finite() and edge >= 0 and step > 0):
            return None
        found[edge] = step
    if not found:
        return None
    edges = sorted(found)
    found.setdefault(Decimal(0), found[edges[0]])
    return PriceGrid(tuple(PriceBand(low_edge=edge, increment=found[edge]) for edge in sorted(found)))


def grid_of_tick(min_tick: float) -> PriceGrid:
    """Return the grid that the smallest increment of a contract suggests.

    It is the smallest of all its rules: a cent or more holds at every price; less is the sub-dollar rule of US stocks.
    """
    step = Decimal(str(min_tick)) if isfinite(min_tick) else Decimal(0)
    if step >= CENT:
        return PriceGrid((PriceBand(low_edge=Decimal(0), increment=step),))
    return US_STOCK_GRID
