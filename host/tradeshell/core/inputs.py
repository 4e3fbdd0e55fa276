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
from tradeshell.core.orders import OcaType, OrderState, OrderType, Side, parse_ref
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
    day: int = 1


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


class TakeUpRequested(Input, frozen=True, kw_only=True):
    """The operator takes up a session that no record knows: its orders are at the broker, its executions are these.

    ``plan`` is what its orders say of how it was protected; ``id`` the watcher in their refs.
    """

    id: str
    plan: TradePlan
    instrument: Instrument
    executions: tuple[ExecutionReport, ...]


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


class Owner(StrEnum):
    """Whose an order at the broker is."""

    OURS = "ours"  # sent under our client number, by this program or an earlier one
    CLIENT = "client"  # another client's
    WINDOW = "window"  # typed in the broker's own window


class StandingOrder(Struct, frozen=True, kw_only=True):
    """A living order as the broker shows it, whoever sent it. ``kind`` is its type in the broker's words; prices USD."""

    owner: Owner
    ref: str
    order_id: int
    perm_id: int = 0
    client: int = 0
    account: str
    symbol: str
    con_id: int
    side: Side
    kind: str
    qty: Shares
    filled: Shares
    remaining: Shares
    state: OrderState
    limit: Price | None = None
    stop: Price | None = None
    tif: str = "DAY"
    outside_rth: bool = False
    oca_group: str | None = None
    oca_type: OcaType | None = None

    @property
    def is_called_ours(self) -> bool:
        """Whether its ref is one that this program gives; another program's may be called so too."""
        return parse_ref(self.ref) is not None

    @property
    def is_adoptable(self) -> bool:
        """Whether it is an order of ours from an earlier life: our client, our ref, a type that we send."""
        return self.owner is Owner.OURS and self.is_called_ours and self.kind in tuple(OrderType)

    @property
    def key(self) -> str:
        """What it is known by here: its ref when it is ours, else its number, which no ref of ours looks like."""
        is_ours = self.owner is Owner.OURS and self.is_called_ours
        return self.ref if is_ours else f"@{self.client}.{self.order_id or self.perm_id}"


class SnapshotAnswered(Input, frozen=True, kw_only=True):
    """Complete answers (each with its end mark) to a request for orders, executions and positions.

    ``others``: living orders that are not in our books, whoever sent them; ``elsewhere``: positions of other
    accounts of the login. ``opens``: entries may leave once it is booked; otherwise ``Compared`` follows at once and says so.
    """

    epoch: int
    asked_at: datetime | None = None  # when it was requested: what left later is not in it
    orders: tuple[OrderReport, ...]
    executions: tuple[ExecutionReport, ...]
    positions: tuple[PositionReport, ...]
    others: tuple[StandingOrder, ...] = ()
    elsewhere: tuple[PositionReport, ...] = ()
    opens: bool = True


class Compared(Input, frozen=True, kw_only=True):
    """The picture before was compared by the reconcilers. ``cancels``: orders outside our books that they want gone, by key.

    ``shown`` are the refs of the picture's orders; ``asked_at`` and the counts are its, too.
    """

    epoch: int
    asked_at: datetime | None = None
    shown: tuple[str, ...]
    executions: int
    positions: int
    cancels: tuple[str, ...] = ()


# --- time -------------------------------------------------------------------------------------------------------------


class TimerFired(Input, frozen=True, kw_only=True):
    """A timer set by ``SetTimer`` is due."""

    key: str
