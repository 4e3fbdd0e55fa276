"""Questions about contracts: details, trading hours, market rules, matching symbols."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from tradeshell import US_STOCK_GRID, BrokerError
from tradeshell_paper.calendar import new_york_day, session_on
from tradeshell_paper.market import stock
from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.fields import minute_text
from tradeshell_paper.tws.house import EXCHANGES, Client, House
from tradeshell_paper.tws.outgoing import ContractCard
from tradeshell_paper.tws.requests import DetailsRequest
from tradeshell_paper.tws.values import WireContract

RULE = 26  # the market rule of US stocks
ORDER_TYPES = "ACTIVETIM,DAY,FOK,GTC,GTD,IOC,LMT,MKT,OCA,STP,STPLMT,WHATIF"
HOURS_DAYS = 6  # days of trading hours in the details


def hours(house: House, *, regular: bool) -> str:
    """Return the trading hours of the days from now on, as clients see them."""
    day = new_york_day(house.now())
    return ";".join(
        _hours_on(day + timedelta(days=ahead), house.offset, regular=regular) for ahead in range(HOURS_DAYS)
    )


def _hours_on(day: date, offset: timedelta, *, regular: bool) -> str:
    session = session_on(day)
    if session is None:
        shown = datetime.combine(day, time(12)) + offset
        return f"{shown:%Y%m%d}:CLOSED"
    first, last = (
        (session.open, session.close) if regular else (session.extended_open, session.extended_close)
    )
    return f"{minute_text(first + offset)}-{minute_text(last + offset)}"


def card(house: House, wanted: WireContract) -> ContractCard | None:
    """Return what is known of a stock."""
    found = house.resolve(wanted)
    if found is None:
        return None
    instrument, contract = found
    price = house.mark(instrument.symbol)
    return ContractCard(
        contract=contract,
        long_name=f"{instrument.symbol} SIMULATED INC",
        min_tick=instrument.grid.increment(Decimal(1) if price is None else price),
        order_types=ORDER_TYPES,
        exchanges=EXCHANGES,
        rule=RULE,
        trading_hours=hours(house, regular=False),
        liquid_hours=hours(house, regular=True),
    )


def details(house: House, client: Client, request: DetailsRequest) -> None:
    """Take reqContractDetails."""
    found = card(house, request.contract)
    if found is None:
        client.error(request.request, 200, "No security definition has been found for the request")
        return
    client.send(outgoing.contract_details(request.request, found, client.version))
    client.send(outgoing.contract_details_end(request.request))


def market_rule(client: Client, rule: int) -> None:
    """Take reqMarketRule."""
    if rule == RULE:
        client.send(outgoing.market_rule(rule, US_STOCK_GRID))
    else:
        client.error(-1, 321, f"Error validating request.-'b7' : cause - Invalid market rule id: {rule}")


def matching(house: House, client: Client, request: int, pattern: str) -> None:
    """Take reqMatchingSymbols."""
    try:
        found = card(house, WireContract(symbol=stock(pattern).symbol))
    except BrokerError:
        found = None
    client.send(outgoing.symbol_samples(request, [] if found is None else [found], client.version))
