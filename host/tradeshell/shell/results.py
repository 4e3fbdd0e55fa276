"""What the host's commands answer with in ``--json``: the shapes of ``Answer.data``.

Laws: scripts rely on these: a field may be added, none changes its meaning. A shape has every field that it ever prints and no
other. Prices and amounts are USD and written as text (``"190.25"``), quantities shares, times UTC; accounts are masked.
``tests/shell/test_json_lines.py`` holds every command to its shape, and docs/json.md is written from here.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from tradeshell.core.market import DataKind, Price, Shares
from tradeshell.core.orders import OrderState, Side
from tradeshell.grammar import Result
from tradeshell.upkeep import BlindStream, Finding


class Text(Result, frozen=True, kw_only=True):
    """What help and cmd2's own commands print, line by line."""

    text: tuple[str, ...]


# --- orders -----------------------------------------------------------------------------------------------------------


class OrderRow(Result, frozen=True, kw_only=True):
    """An order. ``type`` and ``tif`` are the broker's words where no book has it; ``leg`` is ``null`` where it is not ours.

    Only orders that no book has carry ``external`` (whose it is, or ``no_record``) and ``client`` (the number of the client that
    sent it); they lack ``average``, ``client_tag``, ``sent_at`` and ``why``, which is the last reason that the broker gave.
    """

    id: int
    order_ref: str
    symbol: str
    leg: str | None
    side: Side
    qty: Shares
    filled: Shares
    average: Price | None = None
    type: str
    limit: Price | None
    stop: Price | None
    tif: str
    outside_rth: bool
    state: OrderState
    account: str
    client_tag: str | None = None
    sent_at: datetime | None = None
    why: str | None = None
    external: str | None = None
    client: int | None = None


class Sent(Result, frozen=True, kw_only=True):
    """What ``buy`` and ``sell`` sent: the id of the trade, and its orders as they are now."""

    trade: str
    orders: tuple[OrderRow, ...]


class CancelsAsked(Result, frozen=True, kw_only=True):
    """The orders that the broker was asked to cancel, as they were."""

    asked: tuple[OrderRow, ...]


class ChangeAsked(Result, frozen=True, kw_only=True):
    """A change that the broker was asked for: the order's ref and number, and what is new (``null``: as it was)."""

    asked: str
    id: int
    limit: Price | None
    stop: Price | None
    qty: Shares | None


# --- switches ---------------------------------------------------------------------------------------------------------


class Switch(Result, frozen=True, kw_only=True):
    """Why entries are off, "" while they may leave; ``kept``: that is on disk and outlives the program."""

    stopped: str
    kept: bool


class Holding(Result, frozen=True, kw_only=True):
    """What our trades have in a symbol: shares, legs of working orders, shares of others that stay, watchers that stay armed."""

    symbol: str
    shares: Shares
    cancels: tuple[str, ...]
    foreign: Shares
    armed: tuple[str, ...]


class Flattened(Result, frozen=True, kw_only=True):
    """What was to be sold and whether it is. ``queued``: the link is down, it is done first when that is back.

    ``left``: what was not sold in time.
    """

    symbols: tuple[Holding, ...]
    flat: bool
    queued: bool = False
    left: tuple[Holding, ...] = ()


# --- account ----------------------------------------------------------------------------------------------------------


class WorkingLeg(Result, frozen=True, kw_only=True):
    """A working exit of a position."""

    leg: str
    qty: Shares
    limit: Price | None
    stop: Price | None
    state: OrderState


class PositionRow(Result, frozen=True, kw_only=True):
    """What is held in a symbol. ``last`` is the bid; ``origin`` watchers and trades, ``manual`` or ``external``.

    ``state`` is that of its protection, ``NONE`` where no trade of ours has a part in it; ``protected`` percent of the shares
    with a living stop. ``planned_targets`` are not sent yet.
    """

    symbol: str
    qty: Shares
    average: Price | None
    last: Price | None
    pnl: Decimal | None
    origin: tuple[str, ...]
    targets: tuple[Price, ...]
    planned_targets: tuple[Price, ...]
    stops: tuple[Price, ...]
    state: str
    protected: int | None
    legs: tuple[WorkingLeg, ...]


class ExecutionRow(Result, frozen=True, kw_only=True):
    """An execution of today. ``trade`` is ``null`` and ``leg`` ``external`` for one that is not ours."""

    at: datetime
    symbol: str
    leg: str
    side: Side
    qty: Shares
    price: Price
    trade: str | None
    exec_id: str
    order_ref: str


class QuoteRow(Result, frozen=True, kw_only=True):
    """A touch; ``null`` and 0 shares where a side is missing."""

    symbol: str
    bid: Price | None
    bid_size: Shares
    ask: Price | None
    ask_size: Shares
    at: datetime
    kind: DataKind


class Quotes(Result, frozen=True, kw_only=True):
    """Touches, and the symbols for which none came in time."""

    quotes: tuple[QuoteRow, ...]
    missing: tuple[str, ...]


class BarRow(Result, frozen=True, kw_only=True):
    """A closed bar, from ``start`` for ``seconds``."""

    symbol: str
    start: datetime
    seconds: int
    open: Price
    high: Price
    low: Price
    close: Price
    volume: Shares


class MarkRow(Result, frozen=True, kw_only=True):
    """A price that matters: ``level``, ``entry``, ``tp1``, ``sl1`` …; ``planned``: no order works there yet."""

    what: str
    price: Price
    qty: Shares | None
    planned: bool
    trade: str


class FillRow(Result, frozen=True, kw_only=True):
    """An execution; ``trade`` is ``null`` and ``leg`` ``external`` for one that is not ours."""

    at: datetime
    leg: str
    side: Side
    qty: Shares
    price: Price
    trade: str | None


class Charted(Result, frozen=True, kw_only=True):
    """What ``chart`` draws: bars, oldest first, prices that matter, executions, and the touch where there is one."""

    symbol: str
    seconds: int
    bars: tuple[BarRow, ...]
    marks: tuple[MarkRow, ...]
    fills: tuple[FillRow, ...]
    bid: Price | None
    ask: Price | None


# --- session ----------------------------------------------------------------------------------------------------------


class LinkState(Result, frozen=True, kw_only=True):
    """The link to the broker: whether it is up, whether orders and positions are known, and why it is down."""

    up: bool
    reconciled: bool
    why: str


class Status(Result, frozen=True, kw_only=True):
    """The desk at a glance. ``stopped`` is why entries are off, ``frozen`` why in a symbol; ``armed`` and ``open`` are ids.

    ``risk``: USD lost if every stop is hit, ``risk_r`` the same in R, ``without_stop`` shares not counted in it; ``protected``:
    percent of the shares held with a living stop, ``null`` when nothing is held; ``blind``: stalled streams of bars; ``blocked``:
    another session takes the data; ``audit``: the sinks, ``audit_trouble`` why they cannot keep events.
    """

    mode: str
    broker: str
    account: str
    link: LinkState
    stopped: str
    frozen: dict[str, str]
    now: datetime
    armed: tuple[str, ...]
    open: tuple[str, ...]
    working_orders: int
    risk: Decimal
    risk_r: Decimal
    without_stop: Shares
    protected: int | None
    blind: tuple[BlindStream, ...]
    blocked: bool
    audit: tuple[str, ...]
    audit_trouble: str


class Linked(Result, frozen=True, kw_only=True):
    """Where the link stands after ``connect`` or ``disconnect``."""

    link: Literal["up", "down"]


class Waited(Result, frozen=True, kw_only=True):
    """Whether all is over, and else what is not."""

    over: bool
    busy: tuple[str, ...]


class LogTail(Result, frozen=True, kw_only=True):
    """The end of a log: its name, file, lines that it lost, and the last lines."""

    log: str
    path: str
    lost: int
    lines: tuple[str, ...]


class Examined(Result, frozen=True, kw_only=True):
    """What ``doctor`` found; ``ok``: no check failed."""

    ok: bool
    findings: tuple[Finding, ...]


class Left(Result, frozen=True, kw_only=True):
    """``quit`` was asked and the answer was no; without a terminal nobody is asked, and there is no data."""

    left: bool
