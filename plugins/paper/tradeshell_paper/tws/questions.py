"""Smaller questions about the past: since when there is data, volume by price, single ticks."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from tradeshell_paper.tws import outgoing
from tradeshell_paper.tws.fields import epoch, number, stamp
from tradeshell_paper.tws.house import Client, House
from tradeshell_paper.tws.requests import StreamRequest, TicksRequest
from tradeshell_paper.tws.view import TICK

NO_SECURITY = "No security definition has been found for the request"
MOST_TICKS = 1000


def head(house: House, client: Client, request: StreamRequest) -> None:
    """Take reqHeadTimeStamp."""
    found = house.resolve(request.contract)
    if found is None:
        client.error(request.request, 200, NO_SECURITY)
        return
    at = house.shown(house.view.begin(found[0].symbol))
    text = str(epoch(at)) if request.date_format == 2 else stamp(at)[:17].replace(" ", "-")
    client.send(outgoing.head_timestamp(request.request, text))


def histogram(house: House, client: Client, request: StreamRequest) -> None:
    """Take reqHistogramData: today's volume by price."""
    found = house.resolve(request.contract)
    if found is None:
        client.error(request.request, 200, NO_SECURITY)
        return
    now = house.now()
    volumes: dict[Decimal, int] = {}
    for trade in house.view.prints(found[0].symbol, now - timedelta(days=1), now + TICK):
        volumes[trade.price] = volumes.get(trade.price, 0) + trade.size
    client.send(outgoing.histogram(request.request, sorted(volumes.items())))


def ticks(house: House, client: Client, request: TicksRequest) -> None:
    """Take reqHistoricalTicks."""
    number_ = request.request
    found = house.resolve(request.contract)
    if found is None:
        client.error(number_, 200, NO_SECURITY)
        return
    start, end = (
        house.parse_time(request.start, "startDateTime"),
        house.parse_time(request.end, "endDateTime"),
    )
    if (start is None) is (end is None):
        client.error(number_, 321, "Error validating request.-'cB' : cause - Either start or end is needed.")
        return
    if request.what not in ("TRADES", "BID_ASK", "MIDPOINT") or not 0 < request.count <= MOST_TICKS:
        client.error(
            number_, 321, "Error validating request.-'cB' : cause - Number of ticks or kind is invalid."
        )
        return
    now = house.now() + TICK
    first = start if start is not None else min(end or now, now) - timedelta(days=1)
    after = now if start is not None else min(end or now, now)
    client.send(_rows(house, number_, found[0].symbol, request, first, after, newest=start is None))


def _rows(
    house: House,
    number_: int,
    symbol: str,
    request: TicksRequest,
    first: datetime,
    after: datetime,
    *,
    newest: bool,
) -> bytes:
    def cut(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        return rows[-request.count :] if newest else rows[: request.count]

    shown, view = house.shown, house.view
    if request.what == "TRADES":
        trades = view.prints(symbol, first, after)
        rows: list[tuple[object, ...]] = [
            (epoch(shown(t.at)), 0, number(t.price), t.size, "ISLAND", "") for t in trades
        ]
        return outgoing.historical_ticks(number_, cut(rows), 98)
    # A day of touches is a lot to look through: those of the last minutes are enough for the newest ones.
    if newest:
        first = max(first, after - timedelta(seconds=30 * request.count))
    quotes = [q for q in view.touches(symbol, first, after) if q.bid is not None and q.ask is not None]
    if request.what == "BID_ASK":
        rows = [
            (epoch(shown(q.at)), 0, number(q.bid or 0), number(q.ask or 0), q.bid_size, q.ask_size)
            for q in quotes
        ]
        return outgoing.historical_ticks(number_, cut(rows), 97)
    rows = [(epoch(shown(q.at)), 0, number(((q.bid or 0) + (q.ask or 0)) / 2), 0) for q in quotes]
    return outgoing.historical_ticks(number_, cut(rows), 96)
