"""Announced events: what the log keeps, the screen tells and scripts read.

Laws: names are past participles or nouns of something that happened; an event is announced by the same step that decided it;
``story`` is the words of one line for the operator (``None``: the event is for the log only), ``label`` its second column.
Event names, fields are documented in ``docs/events.md``, which a test compares with this file.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct

from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import OrderType, Side, Tif


class Weight(StrEnum):
    """How loudly an event is told."""

    NOTE = "note"
    GOOD = "good"
    BAD = "bad"
    ALARM = "alarm"


def money(value: Decimal) -> str:
    """Return ``value`` with at least two decimals and no exponent: ``190.00``, ``0.4275``."""
    text = format(value.normalize() if value else Decimal(0), "f")
    whole, _, part = text.partition(".")
    return f"{whole}.{part.ljust(2, '0')}"


def signed(value: Decimal) -> str:
    """Return ``value`` rounded to cents with its sign: ``+291.60``."""
    return f"{value.quantize(Decimal('0.01')):+f}"


class Event(Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """Base of everything announced. Plugins subclass it; the class name is the event's name in every record."""

    weight: ClassVar[Weight] = Weight.NOTE

    symbol: str | None = None
    watch: str | None = None
    leg: str | None = None

    def label(self) -> str:
        """Return the word for the line's second column; by default the leg."""
        return self.leg or "note"

    def story(self) -> str | None:
        """Return the words for the operator, or ``None`` when the event is for the log only."""
        return None

    def how(self) -> Weight:
        """Return how loudly this very event is told; by default the class's weight."""
        return self.weight


# --- host -------------------------------------------------------------------------------------------------------------


class SessionStarted(Event, frozen=True, kw_only=True):
    """The program started: first record of every session."""

    version: str
    broker: str


class SessionEnded(Event, frozen=True, kw_only=True):
    """The program ended in good order: last record of a session."""

    reason: str


class ConnectionChanged(Event, frozen=True, kw_only=True):
    """The link to the broker went up, went down, or is suspect. ``account``: the alias of the one that was verified."""

    link: str
    epoch: int
    why: str = ""
    account: str = ""

    def label(self) -> str:
        return "link"

    def story(self) -> str | None:
        if self.link == "up":
            return None if self.epoch == 1 else "back · reconciling, no entries until that is done"
        return f"{self.link}{' · ' + self.why if self.why else ''} · orders at the broker keep working"


class ReconciliationStarted(Event, frozen=True, kw_only=True):
    """The broker was asked for orders, executions and positions."""

    epoch: int


class ReconciliationFailed(Event, frozen=True, kw_only=True):
    """Orders, executions and positions could not be had: no entry leaves until they are."""

    weight: ClassVar[Weight] = Weight.ALARM
    reason: str

    def label(self) -> str:
        return "link"

    def story(self) -> str | None:
        return f"not reconciled: {self.reason} · no entries until `connect` succeeds"


class PictureFailed(Event, frozen=True, kw_only=True):
    """Orders, executions and positions were asked for again and could not be had; it is tried again."""

    weight: ClassVar[Weight] = Weight.BAD
    reason: str

    def label(self) -> str:
        return "link"

    def story(self) -> str | None:
        return f"the broker does not show orders and positions: {self.reason} · asked again"


class ReconciliationCompleted(Event, frozen=True, kw_only=True):
    """Orders, executions and positions of this connection are known: entries may leave again."""

    epoch: int
    orders: int
    executions: int
    positions: int

    def label(self) -> str:
        return "link"

    def story(self) -> str | None:
        if self.epoch == 1:
            return None
        return f"reconciled · {self.orders} orders, {self.positions} positions · entries open again"


class SinkMuted(Event, frozen=True, kw_only=True):
    """An event sink failed and gets no more events."""

    weight: ClassVar[Weight] = Weight.ALARM
    sink: str
    reason: str

    def label(self) -> str:
        return "audit"

    def story(self) -> str | None:
        return f"sink {self.sink} failed and is muted: {self.reason}"


class AuditInterrupted(Event, frozen=True, kw_only=True):
    """A log of events cannot be written at present: no entry leaves until it can, everything else goes on."""

    weight: ClassVar[Weight] = Weight.ALARM
    sink: str
    reason: str

    def label(self) -> str:
        return "audit"

    def story(self) -> str | None:
        return f"{self.reason} · no entry leaves until it can be written, exits go on"


class AuditResumed(Event, frozen=True, kw_only=True):
    """A log of events is written again; what is missing in it is marked there."""

    weight: ClassVar[Weight] = Weight.GOOD
    sink: str

    def label(self) -> str:
        return "audit"

    def story(self) -> str | None:
        return f"sink {self.sink} is written again, what is missing is marked in it · entries may leave"


class EngineFault(Event, frozen=True, kw_only=True):
    """A defect of ours: the input that caused it was dropped, everything else goes on."""

    weight: ClassVar[Weight] = Weight.ALARM
    where: str
    reason: str

    def label(self) -> str:
        return "fault"

    def story(self) -> str | None:
        return f"internal error in {self.where}: {self.reason} · check orders with `orders`, then please report it"


class ReplayEnded(Event, frozen=True, kw_only=True):
    """The recorded data is used up; positions stay open, marked at the last regular close."""

    def label(self) -> str:
        return "replay"

    def story(self) -> str | None:
        return "the recorded data ends here"


class DataRejected(Event, frozen=True, kw_only=True):
    """A bar or quote that cannot be true was dropped before anything looked at it."""

    weight: ClassVar[Weight] = Weight.BAD
    reason: str

    def label(self) -> str:
        return "data"

    def story(self) -> str | None:
        return f"dropped: {self.reason}"


# --- orders -----------------------------------------------------------------------------------------------------------


class OrderIntent(Event, frozen=True, kw_only=True):
    """What is about to be sent, on record before its bytes leave. ``action`` is ``place``, ``replace`` or ``cancel``.

    An entry's intent carries what it was decided on: bid, ask, the quote's age in seconds, the bar's start and close. That of a
    change carries the touch, where one decided.
    """

    order_ref: str
    action: str
    side: Side
    qty: Shares
    type: OrderType
    limit: Price | None = None
    stop: Price | None = None
    tif: Tif
    outside_rth: bool
    account: str
    con_id: int
    oca_group: str | None = None
    parent_ref: str | None = None
    good_till: datetime | None = None
    reason: str = ""
    bid: Price | None = None
    ask: Price | None = None
    quote_age: float | None = None
    bar_start: datetime | None = None
    bar_close: Price | None = None

    def story(self) -> str | None:
        if self.action == "cancel":
            return f"cancel asked{' · ' + self.reason if self.reason else ''}"
        price = order_words(self.type, self.limit, self.stop)
        if self.action == "replace":
            return f"{self.side.value} {self.qty} → {price}{' · ' + self.reason if self.reason else ''}"
        return f"{self.side.value} {self.qty} @ {price}"


def order_words(type_: OrderType, limit: Price | None, stop: Price | None) -> str:
    """Return an order's price in a trader's words: ``190.15 limit``, ``stop 187.00 limit 187.00``, ``market``."""
    if type_ is OrderType.MARKET:
        return "market"
    if type_ is OrderType.LIMIT and limit is not None:
        return f"{money(limit)} limit"
    if type_ is OrderType.STOP and stop is not None:
        return f"stop {money(stop)}"
    return f"stop {'–' if stop is None else money(stop)} limit {'–' if limit is None else money(limit)}"


class OrderIdAssigned(Event, frozen=True, kw_only=True):
    """The number under which the broker knows the order."""

    order_ref: str
    order_id: int


class OrderSent(Event, frozen=True, kw_only=True):
    """The bytes left (or were handed to the client library)."""

    order_ref: str
    order_id: int
    action: str


class OrderSendFailed(Event, frozen=True, kw_only=True):
    """The order, its change or its cancel could not be handed over; ``certain`` says that nothing left."""

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str
    reason: str
    certain: bool
    action: str  # what was not sent; an order whose change was not works on as before

    def story(self) -> str | None:
        what = {"place": "", "replace": "change "}.get(self.action, f"{self.action} ")
        words = "not sent" if self.certain else "sending failed, outcome unknown"
        return f"{what}{words}: {self.reason}"


class OrderStatusChanged(Event, frozen=True, kw_only=True):
    """The broker's view of an order changed."""

    order_ref: str
    order_id: int
    status: str
    filled: Shares
    remaining: Shares
    limit: Price | None = None
    stop: Price | None = None
    reason: str = ""

    def story(self) -> str | None:
        if self.status in ("cancelled", "refused"):  # a refusal may come without an error message
            return f"{self.status}{' · ' + self.reason if self.reason else ''}"
        return None


class BracketChildOrderStatusChanged(OrderStatusChanged, frozen=True, kw_only=True):
    """The broker's view of a take profit or stop changed."""

    def story(self) -> str | None:
        if self.status == "elected":
            return f"stop elected · {self.remaining} left at limit {'–' if self.limit is None else money(self.limit)}"
        return OrderStatusChanged.story(self)


class OrderRefused(Event, frozen=True, kw_only=True):
    """The broker refused an order, a change or a cancel, in its own words."""

    weight: ClassVar[Weight] = Weight.BAD
    order_ref: str
    what: str
    code: int
    text: str
    is_late: bool = False  # the order had ended before; nothing is lost

    def story(self) -> str | None:
        if self.is_late:
            return None
        if self.what == "nothing":
            return f"the broker says ({self.code}): {self.text} · the order lives on"
        return f"{self.what} refused by the broker ({self.code}): {self.text}"


class OrderMissing(Event, frozen=True, kw_only=True):
    """An order that should live was in none of two complete pictures of the broker's: it counts as ended."""

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str

    def story(self) -> str | None:
        return "the broker does not have this order any more; it counts as ended"


class OrderOutcomeUnknown(Event, frozen=True, kw_only=True):
    """Nothing was heard of an order in time; it counts as working until the broker shows the truth."""

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str

    def story(self) -> str | None:
        return "no answer from the broker yet · it counts as working until the broker shows otherwise"


class OrderFilled(Event, frozen=True, kw_only=True):
    """One execution of one of our orders. ``price`` USD; ``cumulative`` shares of the order so far."""

    weight: ClassVar[Weight] = Weight.GOOD
    order_ref: str
    order_id: int
    exec_id: str
    side: Side
    qty: Shares
    price: Price
    cumulative: Shares
    order_qty: Shares
    at: datetime
    pnl: Decimal | None = None

    def story(self) -> str | None:
        if self.qty == 0:
            return f"the exchange took an execution back · {self.cumulative} of {self.order_qty} stay filled"
        share = "" if self.cumulative == self.order_qty else f" ({self.cumulative} of {self.order_qty})"
        gain = "" if self.pnl is None else f" · {signed(self.pnl)}"
        return f"filled {self.qty} @ {money(self.price)}{share}{gain}"

    def how(self) -> Weight:
        return Weight.BAD if self.pnl is not None and self.pnl < 0 else Weight.GOOD


class BracketChildOrderFilled(OrderFilled, frozen=True, kw_only=True):
    """One execution of a take profit or a stop; ``pnl`` is realised USD before fees."""


class CommissionCharged(Event, frozen=True, kw_only=True):
    """The broker's fee for one execution, USD."""

    order_ref: str
    exec_id: str
    amount: Decimal


class LadderStopLossReplaced(Event, frozen=True, kw_only=True):
    """The broker shows a stop at its new price. ``reason`` says which rule moved it."""

    order_ref: str
    stop: Price
    limit: Price | None = None
    reason: str = ""

    def story(self) -> str | None:
        limit = "" if self.limit is None or self.limit == self.stop else f" limit {money(self.limit)}"
        return f"stands at {money(self.stop)}{limit}{' · ' + self.reason if self.reason else ''}"


class LadderStopLossReplaceFailed(Event, frozen=True, kw_only=True):
    """A change of a stop was refused; the old stop still works."""

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str
    reason: str

    def story(self) -> str | None:
        return f"change refused, the old stop still works: {self.reason}"


class LadderProtectionStateChanged(Event, frozen=True, kw_only=True):
    """How much of a position has a living stop. States: ARMING, PROTECTED, PARTIAL, UNPROTECTED, OVERSOLD, FLAT.

    ``selling``: the shares that orders at the market are selling; those are no worse off than with a stop.
    """

    state: str
    held: Shares
    protected: Shares
    selling: Shares = 0

    def label(self) -> str:
        return "exits"

    def story(self) -> str | None:
        if self.state == "PROTECTED":
            if (stopped := self.protected - self.selling) <= 0:
                return f"{self.held} shares are being sold at the market"
            rest = f", {self.selling} are being sold at the market" if self.selling else ""
            return f"protected 100 % · {stopped} of {self.held} shares have a stop{rest}"
        if self.state == "DEFERRED":
            return f"the market is closed · the stops of {self.protected} shares rest until it opens again"
        if self.state == "OVERSOLD":
            return (
                f"OVERSOLD · {-self.held} shares more were sold than this trade bought · "
                f"look at `positions`; the account may be short {self.symbol}"
            )
        if self.state in ("UNPROTECTED", "PARTIAL", "EMERGENCY"):
            short = self.held - self.protected
            return (
                f"{self.state} · {short} of {self.held} shares have no working stop · "
                f"`flatten {self.symbol}` sells what is held"
            )
        return None

    def how(self) -> Weight:
        alarming = ("UNPROTECTED", "PARTIAL", "EMERGENCY", "OVERSOLD")
        return Weight.ALARM if self.state in alarming else Weight.NOTE


class TradeReopened(Event, frozen=True, kw_only=True):
    """Late news: a trade that was over holds shares, or has an order that lives."""

    weight: ClassVar[Weight] = Weight.ALARM
    held: Shares

    def label(self) -> str:
        return "reopened"

    def story(self) -> str | None:
        what = f"{self.held} shares are held after all" if self.held else "one of its orders works again"
        return f"{self.watch} · {what} (an execution or a status came late)"


class InventoryConfirmFailed(Event, frozen=True, kw_only=True):
    """The broker's position and the executions we know do not agree, and stay so."""

    weight: ClassVar[Weight] = Weight.ALARM
    expected: Shares
    actual: Shares
    is_believed: bool = False

    def label(self) -> str:
        return "position"

    def story(self) -> str | None:
        if not self.is_believed:
            return f"the broker says {self.actual}, executions make it {self.expected}: the ladder is not armed before they agree"
        return (
            f"the broker holds {self.actual}, executions make it {self.expected}: the broker is believed · "
            "shares moved without an execution that was reported"
        )


class OrderChangeGivenUp(Event, frozen=True, kw_only=True):
    """The broker refused a change or a cancel again and again; it is not asked any more."""

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str

    def story(self) -> str | None:
        return "change or cancel refused again and again; not asked any more · see `orders`, act in TWS if it must go"


class InventoryConfirmed(Event, frozen=True, kw_only=True):
    """Executions, statuses and (where known) the position agree on what the entry bought."""

    qty: Shares


class RiskRejected(Event, frozen=True, kw_only=True):
    """A pre-trade check refused an order; ``detail`` names the numbers."""

    weight: ClassVar[Weight] = Weight.BAD
    reason: str
    detail: str
    side: Side
    qty: Shares

    def label(self) -> str:
        return self.leg or "risk"

    def story(self) -> str | None:
        return f"{self.side.value} {self.qty} refused ({self.reason}): {self.detail}"


class TradeClosed(Event, frozen=True, kw_only=True):
    """Entry and exits of a trade are over and no share is left. ``pnl`` and ``fees`` USD, ``r`` in multiples of the risk."""

    qty: Shares
    entry: Price
    exit: Price
    pnl: Decimal
    fees: Decimal
    r: Decimal | None = None

    def label(self) -> str:
        return "closed"

    def story(self) -> str | None:
        r = "" if self.r is None else f" · {self.r:+.2f} R"
        return f"{self.qty} shares · {money(self.entry)} → {money(self.exit.quantize(Decimal('0.0001')))} · {signed(self.pnl)}{r}"

    def how(self) -> Weight:
        return Weight.BAD if self.pnl < 0 else Weight.GOOD


class BrokerMessageUnclassified(Event, frozen=True, kw_only=True):
    """Something the broker said that fits no row of our tables; nothing was decided on it. ``code`` 0: from its adapter."""

    weight: ClassVar[Weight] = Weight.ALARM
    code: int
    text: str
    order_ref: str | None = None

    def label(self) -> str:
        return "broker"

    def story(self) -> str | None:
        return f"unexpected message {self.code}: {self.text}" if self.code else self.text
