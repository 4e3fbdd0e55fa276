"""Client messages about data and accounts, read into values. Pure; raises ``FieldError`` for what cannot be read."""

from __future__ import annotations

from msgspec import Struct

from tradeshell_paper.tws.fields import Fields
from tradeshell_paper.tws.parse_order import count, parse_contract, skip_delta_neutral
from tradeshell_paper.tws.values import WireContract


class QuoteRequest(Struct, frozen=True):
    """reqMktData."""

    request: int
    contract: WireContract
    generic: tuple[int, ...]
    snapshot: bool


class HistoryRequest(Struct, frozen=True):
    """reqHistoricalData, as it was worded."""

    request: int
    contract: WireContract
    end: str
    bar_size: str
    duration: str
    rth: bool
    what: str
    date_format: int
    keep: bool


class StreamRequest(Struct, frozen=True):
    """reqRealTimeBars, reqTickByTickData, reqHeadTimeStamp: a contract, and what of it."""

    request: int
    contract: WireContract
    what: str
    rth: bool = False
    date_format: int = 1
    count: int = 0


class TicksRequest(Struct, frozen=True):
    """reqHistoricalTicks."""

    request: int
    contract: WireContract
    start: str
    end: str
    count: int
    what: str
    rth: bool


class DetailsRequest(Struct, frozen=True):
    """reqContractDetails."""

    request: int
    contract: WireContract


class ExecutionFilter(Struct, frozen=True):
    """reqExecutions; empty texts and client 0 mean any."""

    request: int
    client: int
    account: str
    time: str
    symbol: str
    sec_type: str
    exchange: str
    side: str


def _legs(fields: Fields, contract: WireContract) -> None:
    if contract.sec_type == "BAG":
        for _ in range(count(fields, "comboLegs")):
            for name in ("conId", "ratio", "action", "exchange"):
                fields.text(f"leg {name}")


def parse_quotes(values: list[str]) -> QuoteRequest:
    """Read message 1 behind its number."""
    fields = Fields(values)
    fields.whole("version")
    request, contract = fields.whole("reqId"), parse_contract(fields)
    _legs(fields, contract)
    skip_delta_neutral(fields)
    words = fields.text("genericTickList").replace(":", ",").split(",")
    generic = tuple(int(word) for word in words if word.strip().isascii() and word.strip().isdigit())
    return QuoteRequest(request, contract, generic, fields.flag("snapshot"))


def parse_history(values: list[str]) -> HistoryRequest:
    """Read message 20 behind its number."""
    fields = Fields(values)
    request, contract = fields.whole("reqId"), parse_contract(fields)
    fields.flag("includeExpired")
    end, size, duration = fields.text("endDateTime"), fields.text("barSize"), fields.text("duration")
    rth, what, form = fields.flag("useRTH"), fields.text("whatToShow"), fields.whole("formatDate", 1)
    _legs(fields, contract)
    return HistoryRequest(
        request, contract, end, size, duration, rth, what.upper(), form, fields.flag("keepUpToDate")
    )


def parse_real_time(values: list[str]) -> StreamRequest:
    """Read message 50 behind its number."""
    fields = Fields(values)
    fields.whole("version")
    request, contract = fields.whole("reqId"), parse_contract(fields)
    fields.whole("barSize")
    what = fields.text("whatToShow").upper()
    return StreamRequest(request, contract, what, fields.flag("useRTH"))


def parse_tick_by_tick(values: list[str]) -> StreamRequest:
    """Read message 97 behind its number."""
    fields = Fields(values)
    request, contract, what = fields.whole("reqId"), parse_contract(fields), fields.text("tickType")
    return StreamRequest(request, contract, what, count=fields.whole("numberOfTicks"))


def parse_head(values: list[str]) -> StreamRequest:
    """Read message 87 behind its number."""
    fields = Fields(values)
    request, contract = fields.whole("reqId"), parse_contract(fields)
    fields.flag("includeExpired")
    rth, what = fields.flag("useRTH"), fields.text("whatToShow").upper()
    return StreamRequest(request, contract, what, rth, fields.whole("formatDate", 1))


def parse_histogram(values: list[str]) -> StreamRequest:
    """Read message 88 behind its number; ``what`` is the period."""
    fields = Fields(values)
    request, contract = fields.whole("reqId"), parse_contract(fields)
    fields.flag("includeExpired")
    rth = fields.flag("useRTH")
    return StreamRequest(request, contract, fields.text("timePeriod"), rth)


def parse_ticks(values: list[str]) -> TicksRequest:
    """Read message 96 behind its number."""
    fields = Fields(values)
    request, contract = fields.whole("reqId"), parse_contract(fields)
    fields.flag("includeExpired")
    start, end, number = fields.text("start"), fields.text("end"), fields.whole("numberOfTicks")
    what = fields.text("whatToShow").upper()
    return TicksRequest(request, contract, start, end, number, what, fields.flag("useRth"))


def parse_details(values: list[str]) -> DetailsRequest:
    """Read message 9 behind its number."""
    fields = Fields(values)
    fields.whole("version")
    return DetailsRequest(fields.whole("reqId"), parse_contract(fields))


def parse_executions(values: list[str]) -> ExecutionFilter:
    """Read message 7 behind its number."""
    fields = Fields(values)
    fields.whole("version")
    return ExecutionFilter(
        fields.whole("reqId"),
        fields.whole("clientId"),
        fields.text("acctCode"),
        fields.text("time"),
        fields.text("symbol"),
        fields.text("secType"),
        fields.text("exchange"),
        fields.text("side"),
    )
