"""All other server messages as pure functions: session, errors, contracts, account, market data.

Laws: those of ``encode_orders``. The end of every answer is a message of its own, and is always sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from tradeshell import Bar, PriceGrid, Shares
from tradeshell_paper.tws.fields import epoch, number, price_text, stamp
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.values import WireContract

# Ends of answers: message -> whether it has a version field.
POSITIONS_END, OPEN_ORDERS_END, COMPLETED_END = (62, 1), (53, 1), (102,)


class BarRow(Struct, frozen=True):
    """A bar as it is sent. ``when`` is its start as the request wants it; of bars without trades volume and count are -1."""

    when: str
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: int
    wap: Decimal
    count: int


def handshake(version: int, now: datetime) -> bytes:
    """Return the answer to a greeting: the only frame without a number."""
    return encode(version, stamp(now))


def error(request: int, code: int, text: str, version: int, reject: str = "") -> bytes:
    """Return message 4. The text is cleaned: a backslash in it would be read as an escape."""
    clean = text.replace("\\", "/").encode("ascii", "replace").decode("ascii")
    return encode(4, 2, request, code, clean, *((reject,) if version >= 166 else ()))


def managed_accounts(accounts: Iterable[str]) -> bytes:
    """Return message 15."""
    return encode(15, 1, ",".join(accounts))


def next_valid_id(number_: int) -> bytes:
    """Return message 9."""
    return encode(9, 1, number_)


def current_time(now: datetime) -> bytes:
    """Return message 49."""
    return encode(49, 1, epoch(now))


# --- contracts --------------------------------------------------------------------------------------------------------


class ContractCard(Struct, frozen=True, kw_only=True):
    """What is known of a stock."""

    contract: WireContract
    long_name: str
    min_tick: Decimal
    order_types: str
    exchanges: tuple[str, ...]
    rule: int
    trading_hours: str
    liquid_hours: str


def contract_details(request: int, card: ContractCard, version: int) -> bytes:
    """Return message 10."""
    c = card.contract
    fields: list[object] = [
        10, *((8,) if version < 164 else ()), request,
        c.symbol, c.sec_type, "", "0", "", c.exchange, c.currency, c.local_symbol, c.trading_class,
        c.trading_class, c.con_id, number(card.min_tick), *((100,) if version < 164 else ()),
        "", card.order_types, ",".join(card.exchanges), 1, 0, card.long_name,
        c.primary_exchange, "", "Technology", "Computers", "Computers", "US/Eastern",
        card.trading_hours, card.liquid_hours, "", "0", 1, "ISIN", f"US{c.con_id:010}", 1, "", "",
        ",".join(str(card.rule) for _ in card.exchanges), "", "COMMON",
        *((100,) if version == 163 else ()),
        *(("1", "1", "100") if version >= 164 else ()),
    ]  # fmt: skip
    return encode(*fields)


def contract_details_end(request: int) -> bytes:
    """Return message 52."""
    return encode(52, 1, request)


def market_rule(rule: int, grid: PriceGrid) -> bytes:
    """Return message 93."""
    bands = [number(value) for band in grid.bands for value in (band.low_edge, band.increment)]
    return encode(93, rule, len(grid.bands), *bands)


def symbol_samples(request: int, cards: Sequence[ContractCard], version: int) -> bytes:
    """Return message 79."""
    fields: list[object] = [79, request, len(cards)]
    for card in cards:
        c = card.contract
        fields += (c.con_id, c.symbol, c.sec_type, c.primary_exchange, c.currency, 0)
        if version >= 176:
            fields += (card.long_name, "")
    return encode(*fields)


# --- account ----------------------------------------------------------------------------------------------------------


def account_value(key: str, value: str, currency: str, account: str) -> bytes:
    """Return message 6."""
    return encode(6, 2, key, value, currency, account)


def account_time(now: datetime) -> bytes:
    """Return message 8."""
    return encode(8, 1, f"{stamp(now)[9:14]}")


def account_end(account: str) -> bytes:
    """Return message 54."""
    return encode(54, 1, account)


def account_summary(request: int, account: str, tag: str, value: str, currency: str) -> bytes:
    """Return message 63."""
    return encode(63, 1, request, account, tag, value, currency)


def account_update_multi(request: int, account: str, key: str, value: str, currency: str) -> bytes:
    """Return message 73."""
    return encode(73, 1, request, account, "", key, value, currency)


def pnl(request: int, daily: Decimal, unrealized: Decimal, realized: Decimal) -> bytes:
    """Return message 94."""
    return encode(94, request, number(daily), number(unrealized), number(realized))


def pnl_single(
    request: int, shares: Shares, daily: Decimal, unrealized: Decimal, realized: Decimal, value: Decimal
) -> bytes:
    """Return message 95."""
    return encode(95, request, shares, number(daily), number(unrealized), number(realized), number(value))


def ended(message: int, request: int) -> bytes:
    """Return the end of an answer that has version and request: 52, 55, 57, 64, 72, 74."""
    return encode(message, 1, request)


# --- market data ------------------------------------------------------------------------------------------------------


def tick_price(request: int, kind: int, price: Decimal, size: Shares, mask: int = 0) -> bytes:
    """Return message 1."""
    return encode(1, 6, request, kind, price_text(price), size, mask)


def tick_size(request: int, kind: int, size: Shares) -> bytes:
    """Return message 2."""
    return encode(2, 6, request, kind, size)


def tick_generic(request: int, kind: int, value: int) -> bytes:
    """Return message 45."""
    return encode(45, 6, request, kind, value)


def tick_string(request: int, kind: int, text: str) -> bytes:
    """Return message 46."""
    return encode(46, 6, request, kind, text)


def market_data_type(request: int, kind: int) -> bytes:
    """Return message 58."""
    return encode(58, 1, request, kind)


def tick_parameters(request: int, min_tick: Decimal) -> bytes:
    """Return message 81."""
    return encode(81, request, number(min_tick), "9c0001", 3)


def historical_data(request: int, start: datetime, end: datetime, rows: Sequence[BarRow]) -> bytes:
    """Return message 17: all bars, and the end of the request."""
    fields: list[object] = [17, request, stamp(start), stamp(end), len(rows)]
    for r in rows:
        fields += (
            r.when, price_text(r.open), price_text(r.high), price_text(r.low), price_text(r.close),
            r.volume, number(r.wap), r.count,
        )  # fmt: skip
    return encode(*fields)


def historical_update(request: int, r: BarRow) -> bytes:
    """Return message 90, whose prices stand in another order than those of 17."""
    return encode(
        90, request, r.count, r.when, price_text(r.open), price_text(r.close), price_text(r.high),
        price_text(r.low), number(r.wap), r.volume,
    )  # fmt: skip


def historical_schedule(
    request: int, start: str, end: str, sessions: Sequence[tuple[str, str, str]]
) -> bytes:
    """Return message 106; a session is its start, its end and its day."""
    flat = [text for each in sessions for text in each]
    return encode(106, request, start, end, "US/Eastern", len(sessions), *flat)


def real_time_bar(request: int, bar: Bar, at: datetime, wap: Decimal, count: int) -> bytes:
    """Return message 50; ``at`` is the bar's start."""
    return encode(
        50, 3, request, epoch(at), price_text(bar.open), price_text(bar.high), price_text(bar.low),
        price_text(bar.close), bar.volume, number(wap), count,
    )  # fmt: skip


def head_timestamp(request: int, text: str) -> bytes:
    """Return message 88."""
    return encode(88, request, text)


def histogram(request: int, rows: Sequence[tuple[Decimal, int]]) -> bytes:
    """Return message 89."""
    return encode(89, request, len(rows), *(text for price, size in rows for text in (number(price), size)))


def tick_by_tick_last(
    request: int, kind: int, at: datetime, price: Decimal, size: Shares, venue: str
) -> bytes:
    """Return message 99 of kind 1 (Last) or 2 (AllLast)."""
    return encode(99, request, kind, epoch(at), price_text(price), size, 0, venue, "")


def tick_by_tick_touch(
    request: int, at: datetime, bid: Decimal, ask: Decimal, bid_size: Shares, ask_size: Shares
) -> bytes:
    """Return message 99 of kind 3."""
    return encode(99, request, 3, epoch(at), price_text(bid), price_text(ask), bid_size, ask_size, 0)


def tick_by_tick_middle(request: int, at: datetime, middle: Decimal) -> bytes:
    """Return message 99 of kind 4."""
    return encode(99, request, 4, epoch(at), number(middle))


def historical_ticks(request: int, rows: Sequence[tuple[object, ...]], message: int) -> bytes:
    """Return message 96, 97 or 98: rows of that message's fields, and that there are no more."""
    return encode(message, request, len(rows), *(value for row in rows for value in row), 1)
