"""What ``why`` and ``trades`` answer with in ``--json``: the shapes of ``Answer.data``. Prices and amounts USD as text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias

from tradeshell import Result
from tradeshell_jsonl_log.lines import ENVELOPE
from tradeshell_jsonl_log.trades import Part, Totals

Value: TypeAlias = str | int | float | bool | list[str | int] | None
COMMON = (*ENVELOPE, "symbol", "watch", "leg", "crc")  # what a record has beside the fields of its event


class LogRecord(Result, frozen=True, kw_only=True):
    """A record of the log. ``fields`` are those of its event, by the names that docs/events.md gives them."""

    seq: int
    ts: datetime
    session: str
    n: int
    event: str
    symbol: str | None
    watch: str | None
    leg: str | None
    fields: dict[str, Value]


class Because(Result, frozen=True, kw_only=True):
    """An answer of ``why``: what it is about, its situation in one word, its lines, and the records that it rests on."""

    about: str
    situation: str
    lines: tuple[str, ...]
    because: tuple[LogRecord, ...]


class TradeRow(Result, frozen=True, kw_only=True):
    """One trade. ``state`` is ``open`` or ``closed``; ``asked`` the ask at which its entry left; ``exits`` what each leg sold.

    ``pnl`` is before fees, ``net`` after them; ``slippage`` against the prices that were decided on, a cost is negative;
    ``seconds`` how long it lasted.
    """

    trade: str
    symbol: str
    state: str
    qty: int
    sold: int
    entry: Decimal
    entry_at: datetime
    asked: Decimal | None
    exit: Decimal | None
    exit_at: datetime | None
    exits: tuple[Part, ...]
    sl: Decimal | None
    pnl: Decimal
    r: Decimal | None
    slippage: Decimal | None
    fees: Decimal
    net: Decimal
    seconds: float | None


class Trades(Result, frozen=True, kw_only=True):
    """Trades, the latest last, and what all that were asked about came to."""

    trades: tuple[TradeRow, ...]
    totals: Totals


def log_record(raw: Mapping[str, Any]) -> LogRecord:
    """Return a record of the log in its shape."""
    return LogRecord(
        seq=raw["seq"],
        ts=datetime.fromisoformat(raw["ts"]),
        session=raw["session"],
        n=raw["n"],
        event=raw["event"],
        symbol=raw.get("symbol"),
        watch=raw.get("watch"),
        leg=raw.get("leg"),
        fields={name: value for name, value in raw.items() if name not in COMMON},
    )
