"""Inputs of ``step``: everything that may change a decision, each with the instant ``at`` (UTC) at which it reached us.

Laws: an input is complete in itself, so that a recorded one can be fed again in a fresh process; it says what was seen or
asked, never what to do about it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

from tradeshell.core.market import Bar, Instrument, Price, Quote, Session, Shares
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.plan import TradePlan
from tradeshell.core.policy import Policy


class Input(Struct, frozen=True, kw_only=True, tag_field="input", tag=True):
    """Base of all inputs."""

    at: datetime


# --- market data ------------------------------------------------------------------------------------------------------


class BarClosed(Input, frozen=True, kw_only=True):
    """A bar was completed. ``rth``: it comes from a stream of regular-hours bars only. Back-filled bars never come here.

    A bar that asks for an entry brings the touch of that instant and the hours of its day, if they are at hand.
    """

    bar: Bar
    rth: bool
    quote: Quote | None = None
    session: Session | None = None


class QuoteSeen(Input, frozen=True, kw_only=True):
    """A new touch, handed on only while an elected stop has to be chased."""

    quote: Quote


class QuoteAnswered(Input, frozen=True, kw_only=True):
    """The answer to ``AskQuote``: the freshest touch that could be had in time, or ``None``."""

    key: str
    quote: Quote | None
    session: Session | None


class BarsRefused(Input, frozen=True, kw_only=True):
    """The bars that a watcher wants cannot be had."""

    key: str
    reason: str


class FeedEnded(Input, frozen=True, kw_only=True):
    """No more market data will come (a replay is over)."""


# --- operator ---------------------------------------------------------------------------------------------------------


class WatchSpec(Struct, frozen=True, kw_only=True):
    """What one watcher watches and would trade. ``params`` are the strategy's own words, as text."""

    id: str
    strategy: str
    plan: TradePlan
    params: dict[str, str]
    instrument: Instrument
    session: Session | None


class WatchRequested(Input, frozen=True, kw_only=True):
    """The operator started a watcher."""

    watch: WatchSpec


class WatchRestored(Input, frozen=True, kw_only=True):
    """A snapshot holds a watcher that the journal does not know. ``doubt``: why that is so, for whoever is asked."""

    watch: WatchSpec
    started_at: datetime
    doubt: str


class Meanwhile(Struct, frozen=True, kw_only=True):
    """What became of the market while a watcher did not look.

    ``highest``: of the closes (USD) of ``bars`` bars since it began to watch. ``used_by``: an order or execution under its name.
    ``missing``: what could not be had, and why.
    """

    instrument: Instrument | None
    session: Session | None
    bars: int = 0
    highest: Price | None = None
    quote: Quote | None = None
    used_by: str = ""
    missing: str = ""


class ResumeRequested(Input, frozen=True, kw_only=True):
    """A paused watcher may go on, if nothing speaks against it. ``is_sure``: somebody has said so, whatever there is to doubt.

    ``can_ask``: somebody sits at a terminal.
    """

    watch: str
    found: Meanwhile
    can_ask: bool = False
    is_sure: bool = False


class WatchCancelRequested(Input, frozen=True, kw_only=True):
    """The operator cancelled a watcher. After the trigger: an unfilled entry is cancelled, exits are kept."""

    watch: str


class TradeRequested(Input, frozen=True, kw_only=True):
    """The operator asked for an order now (``buy``, ``sell``), perhaps with a bracket."""

    id: str
    plan: TradePlan
    instrument: Instrument


class TradeAbandoned(Input, frozen=True, kw_only=True):
    """Whoever asked for an order has stopped waiting for it: one that has not left must not leave any more."""

    id: str


class CancelRequested(Input, frozen=True, kw_only=True):
    """The operator asked to cancel one order."""

    ref: str


class ReplaceRequested(Input, frozen=True, kw_only=True):
    """The operator asked to change one order; ``None`` leaves a value as it is. Prices USD, ``qty`` shares."""

    ref: str
    limit: Price | None = None
    stop: Price | None = None
    qty: Shares | None = None


class StopEntryRequested(Input, frozen=True, kw_only=True):
    """The operator stops (``on``) or allows entries: no entry leaves, unfilled ones are cancelled, exits keep working."""

    on: bool
    reason: str = "stopentry"


class FlattenRequested(Input, frozen=True, kw_only=True):
    """The operator wants the shares of our trades sold at the market, in ``symbol`` or everywhere."""

    symbol: str | None = None


class PolicySet(Input, frozen=True, kw_only=True):
    """What the operator allows, from the config; the first input of a session."""

    policy: Policy


class Restarted(Input, frozen=True, kw_only=True):
    """The program starts again on what its journal says: the link is down, no timer runs, nobody listens to bars."""


# --- broker -----------------------------------------------------------------------------------------------------------


class OrderReport(Struct, frozen=True, kw_only=True):
    """What the broker shows of one order (openOrder and orderStatus together)."""

    ref: str
    order_id: int
    state: OrderState
    filled: Shares
    remaining: Shares
    qty: Shares | None = None
    limit: Price | None = None
    stop: Price | None = None
    why: str = ""


def exec_stem(exec_id: str) -> str:
    """Return an execution's identity without the number of its revision."""
    return exec_id.rpartition(".")[0] or exec_id


class ExecutionReport(Struct, frozen=True, kw_only=True):
    """One execution. ``exec_id`` ends in a revision (``….01``): the stem identifies it, a later revision replaces it."""

    exec_id: str
    ref: str
    order_id: int
    symbol: str
    account: str
    side: Side
    qty: Shares
    price: Price
    at: datetime

    @property
    def stem(self) -> str:
        """The execution's identity without its revision."""
        return exec_stem(self.exec_id)

    @property
    def revision(self) -> int:
        """Which correction this is; 0 for an id without a number at its end."""
        last = self.exec_id.rpartition(".")[2]
        return int(last) if last.isascii() and last.isdigit() else 0


class PositionReport(Struct, frozen=True, kw_only=True):
    """The account's position in one instrument; ``average`` USD a share."""

    symbol: str
    con_id: int
    account: str
    qty: Shares
    average: Price


class OrderReported(Input, frozen=True, kw_only=True):
    """The broker spoke about an order."""

    report: OrderReport


class ExecutionReported(Input, frozen=True, kw_only=True):
    """An order of the account executed."""

    execution: ExecutionReport


class CommissionReported(Input, frozen=True, kw_only=True):
    """The fee of one execution, USD."""

    exec_id: str
    amount: Decimal


class PositionReported(Input, frozen=True, kw_only=True):
    """The broker's position in one instrument."""

    position: PositionReport


class RefusedWhat(StrEnum):
    """What a refusal is about; an adapter's code table decides it."""

    ORDER = "order"
    CHANGE = "change"
    CANCEL = "cancel"
    NOTHING = "nothing"  # advisory: the order lives on


class OrderRefusedByBroker(Input, frozen=True, kw_only=True):
    """The broker refused something about an order, with its code and own words. ``is_known``: its code is in our tables."""

    ref: str
    what: RefusedWhat
    code: int
    text: str
    is_known: bool = True


class SendFailed(Input, frozen=True, kw_only=True):
    """A command could not be handed over. ``certain``: nothing left; otherwise the outcome is unknown."""

    ref: str
    action: str
    reason: str
    certain: bool


class LinkChanged(Input, frozen=True, kw_only=True):
    """The link came up or went down. ``first_order_id``: the lowest order number the broker will take."""

    up: bool
    account: str
    paper: bool
    first_order_id: int = 1
    why: str = ""


class SnapshotAnswered(Input, frozen=True, kw_only=True):
    """Complete answers (each with its end mark) to a request for orders, executions and positions."""

    epoch: int
    asked_at: datetime | None = None  # when it was requested: what left later is not in it
    orders: tuple[OrderReport, ...]
    executions: tuple[ExecutionReport, ...]
    positions: tuple[PositionReport, ...]


# --- time -------------------------------------------------------------------------------------------------------------


class TimerFired(Input, frozen=True, kw_only=True):
    """A timer set by ``SetTimer`` is due."""

    key: str
