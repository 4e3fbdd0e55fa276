"""Orders: what is asked for, and the life-cycle of an order as a table.

Laws:

1. An order's identity is its ``ref`` (account + watcher + leg + generation); the broker's number only addresses it.
2. In flight is a state: what was sent counts as asked for until the broker speaks. A timeout is not a refusal.
3. A fill is booked in whatever state the order is believed to be; the table has rows for it (real feeds do this).
4. ``advance`` raises ``IllegalTransition`` for a cell that is not in the table and changes nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from tradeshell.core.market import Price, Shares


class Side(StrEnum):
    """Which way shares move."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """Order types as IBKR abbreviates them."""

    MARKET = "MKT"
    LIMIT = "LMT"
    STOP = "STP"
    STOP_LIMIT = "STP LMT"

    @property
    def is_stop(self) -> bool:
        """Whether the order waits for its stop price."""
        return self in (OrderType.STOP, OrderType.STOP_LIMIT)


class Tif(StrEnum):
    """Time in force. ``GTD`` needs ``good_till``."""

    DAY = "DAY"
    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTD = "GTD"


class OcaType(IntEnum):
    """One-cancels-all kinds (IBKR order reference): 1 and 2 route one order at a time, 3 does not."""

    CANCEL = 1
    REDUCE = 2
    REDUCE_UNBLOCKED = 3


class OrderSpec(Struct, frozen=True, kw_only=True):
    """Everything the broker is told about one order. Prices USD on the grid, ``qty`` shares."""

    ref: str
    symbol: str
    con_id: int
    account: str
    side: Side
    qty: Shares
    type: OrderType
    limit: Price | None = None
    stop: Price | None = None
    tif: Tif = Tif.DAY
    good_till: datetime | None = None
    outside_rth: bool = False
    parent_ref: str | None = None
    oca_group: str | None = None
    oca_type: OcaType | None = None
    transmit: bool = True
    client_tag: str | None = None


class OrderState(StrEnum):
    """Where an order stands, as far as the broker has said."""

    SENT = "sent"  # in flight: recorded and sent, nothing heard
    HELD = "held"  # accepted but waiting: a stop not elected, a child of a working parent, out of hours
    WORKING = "working"  # at the exchange; for a stop this means elected
    UNKNOWN = "unknown"  # nothing heard in time, or the link dropped while it was in flight
    FILLED = "filled"
    CANCELLED = "cancelled"
    REFUSED = "refused"

    @property
    def is_live(self) -> bool:
        """Whether the order may still fill."""
        return self in _LIVE


_LIVE = frozenset({OrderState.SENT, OrderState.HELD, OrderState.WORKING, OrderState.UNKNOWN})


class Signal(StrEnum):
    """What can happen to an order."""

    HELD = "held"
    WORKING = "working"
    PART_FILL = "part fill"
    FULL_FILL = "full fill"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    LOST_SIGHT = "lost sight"


class IllegalTransition(Exception):
    """The broker said something that the table does not allow; the state is unchanged."""


_S, _G = OrderState, Signal

# (state, signal) -> state. A missing cell is illegal. The reasons stand where a row looks impossible.
TRANSITIONS: dict[tuple[OrderState, Signal], OrderState] = {
    (_S.SENT, _G.HELD): _S.HELD,
    (_S.SENT, _G.WORKING): _S.WORKING,
    (_S.SENT, _G.PART_FILL): _S.WORKING,  # statuses may be missing: an execution can be the first word
    (_S.SENT, _G.FULL_FILL): _S.FILLED,
    (_S.SENT, _G.CANCELLED): _S.CANCELLED,
    (_S.SENT, _G.REFUSED): _S.REFUSED,
    (_S.SENT, _G.LOST_SIGHT): _S.UNKNOWN,
    (_S.HELD, _G.HELD): _S.HELD,
    (_S.HELD, _G.WORKING): _S.WORKING,
    (_S.HELD, _G.PART_FILL): _S.WORKING,
    (_S.HELD, _G.FULL_FILL): _S.FILLED,
    (_S.HELD, _G.CANCELLED): _S.CANCELLED,
    (_S.HELD, _G.REFUSED): _S.REFUSED,  # IBKR's Inactive after acceptance
    (_S.HELD, _G.LOST_SIGHT): _S.HELD,  # accepted orders live at the broker whatever the link does
    (_S.WORKING, _G.HELD): _S.HELD,  # a working order goes back to held outside its hours
    (_S.WORKING, _G.WORKING): _S.WORKING,
    (_S.WORKING, _G.PART_FILL): _S.WORKING,
    (_S.WORKING, _G.FULL_FILL): _S.FILLED,
    (_S.WORKING, _G.CANCELLED): _S.CANCELLED,
    (_S.WORKING, _G.REFUSED): _S.REFUSED,
    (_S.WORKING, _G.LOST_SIGHT): _S.WORKING,
    (_S.UNKNOWN, _G.HELD): _S.HELD,
    (_S.UNKNOWN, _G.WORKING): _S.WORKING,
    (_S.UNKNOWN, _G.PART_FILL): _S.WORKING,
    (_S.UNKNOWN, _G.FULL_FILL): _S.FILLED,
    (_S.UNKNOWN, _G.CANCELLED): _S.CANCELLED,
    (_S.UNKNOWN, _G.REFUSED): _S.REFUSED,
    (_S.UNKNOWN, _G.LOST_SIGHT): _S.UNKNOWN,
    # Terminal states repeat themselves, and late news does not wake a finished order ...
    (_S.FILLED, _G.HELD): _S.FILLED,
    (_S.FILLED, _G.WORKING): _S.FILLED,
    (_S.FILLED, _G.PART_FILL): _S.FILLED,
    (_S.FILLED, _G.FULL_FILL): _S.FILLED,
    (_S.FILLED, _G.CANCELLED): _S.FILLED,  # "10148 cannot be cancelled, state: Filled"
    (_S.FILLED, _G.REFUSED): _S.FILLED,  # "104 cannot modify a filled order"
    (_S.FILLED, _G.LOST_SIGHT): _S.FILLED,
    (_S.CANCELLED, _G.HELD): _S.CANCELLED,  # statuses overtake one another
    (_S.CANCELLED, _G.WORKING): _S.CANCELLED,
    (_S.CANCELLED, _G.PART_FILL): _S.CANCELLED,  # ... but a fill after a confirmed cancel is real
    (_S.CANCELLED, _G.FULL_FILL): _S.FILLED,
    (_S.CANCELLED, _G.CANCELLED): _S.CANCELLED,
    (_S.CANCELLED, _G.REFUSED): _S.CANCELLED,
    (_S.CANCELLED, _G.LOST_SIGHT): _S.CANCELLED,
    (_S.REFUSED, _G.HELD): _S.HELD,  # Inactive is not final in general: it may work again
    (_S.REFUSED, _G.WORKING): _S.WORKING,
    (_S.REFUSED, _G.PART_FILL): _S.WORKING,
    (_S.REFUSED, _G.FULL_FILL): _S.FILLED,
    (_S.REFUSED, _G.CANCELLED): _S.REFUSED,
    (_S.REFUSED, _G.REFUSED): _S.REFUSED,
    (_S.REFUSED, _G.LOST_SIGHT): _S.REFUSED,
}


class Retry(Struct, frozen=True):
    """How long to wait after a refusal: ``first`` seconds, doubling; after ``times`` refusals no more."""

    first: float = 1.0
    times: int = 3

    def delay(self, refusals: int) -> timedelta:
        """Return the pause after so many earlier refusals in a row."""
        return timedelta(seconds=self.first * 2**refusals)


RETRY = Retry()


class Order(Struct, frozen=True, kw_only=True):
    """One of our orders: what was asked last, and what the broker has shown of it.

    ``filled`` and ``notional`` come from executions only, never from statuses. While a change is in flight ``before`` is what the
    broker worked on until then: a refused change leaves that working.
    """

    spec: OrderSpec
    state: OrderState = OrderState.SENT
    order_id: int = 0
    filled: Shares = 0
    notional: Price = Price(0)
    told_filled: Shares = 0  # what statuses claim; ahead of ``filled`` while executions are on their way
    untrue: Shares = 0  # of that, what pictures did not show
    undone: Shares = 0  # executed shares that corrections took back: the broker does not work them again
    is_veiled: bool = (
        False  # of a purchase, the first word was a correction: nobody said how much it took back
    )
    told_final: Shares | None = None  # the broker called it filled at this many shares
    before: OrderSpec | None = None
    changing: bool = False  # a modify has left and is not acknowledged
    owes_answer: bool = False  # a picture has settled a change whose own answer may still come
    doubted: Shares = 0  # a larger total that it may work; until the broker shows it
    cancelling: bool = False  # a cancel has left and is not answered
    cancel_reason: str = ""
    retries: int = 0  # refusals of a change or a cancel in a row
    retry_at: datetime | None = None  # no change and no cancel leaves before
    grown: bool = False  # the broker shows more than was last agreed: down at once
    is_missed: bool = False  # a picture lacked it that may be older than its last command
    absent_at: datetime | None = None  # a complete picture lacked it; a second one, later, ends it
    ended_at: datetime | None = None
    was_cut: bool = False  # it ended by a cancel or a refusal, whatever executed afterwards
    is_bought: bool = False  # a cancel met nothing: the broker called it filled
    left: Shares = 0  # unfilled shares with which it ended
    is_explained: bool = False  # why they ended is known: we asked, it never left, or two pictures agree
    lost_at: datetime | None = None  # since when they are unexplained; pictures asked for later count
    gone_at: datetime | None = (
        None  # when the first picture was asked for that agrees with our books since then
    )
    is_expired: bool = False  # it ended with its day
    denied_at: datetime | None = None  # when the broker said that it has no such order to cancel
    is_mourned: bool = False  # its loss was told
    was_told: bool = False  # a status with its counts ended it, not a bare error and not silence
    by_operator: bool = False  # the operator asked for its cancel; that is honoured
    placed: Shares = 0  # the total it was sent with first
    executed_at: datetime | None = None  # when an execution was last heard of
    elected_at: datetime | None = None
    repriced_at: datetime | None = None
    sent_at: datetime | None = None
    touched_at: datetime | None = None  # when its last command left
    unseen_since: datetime | None = None  # when a sibling executed, until the broker shows this total again
    is_ours: bool = False  # its last change was ours
    outdated: tuple[tuple[Price | None, Price | None], ...] = ()  # (stop, limit) before our latest changes
    risen: tuple[Shares, ...] = ()  # totals before our latest raises
    needs_new_group: bool = False  # the broker does not change orders of its group
    is_buried: bool = False  # it was refused, and a cancel was sent so that it cannot come back
    is_probed: bool = False  # no picture shows what was never answered: a cancel asks whether it is there
    why: str = ""  # the broker's own words when it refused or cancelled

    @property
    def has_limit(self) -> bool:
        """Whether the order has a limit of its own (some brokers show one where there is none)."""
        return self.spec.type in (OrderType.LIMIT, OrderType.STOP_LIMIT)

    @property
    def done(self) -> Shares:
        """Shares that the broker counts as filled: what has executed, and what was taken back afterwards."""
        return self.filled + self.undone

    @property
    def remaining(self) -> Shares:
        """Shares that may still fill."""
        return max(0, self.spec.qty - self.done) if self.state.is_live else 0

    @property
    def sure(self) -> Shares:
        """Shares that certainly work: a larger total on its way counts once the broker shows it."""
        total = self.spec.qty if self.before is None else min(self.spec.qty, self.before.qty)
        return max(0, total - self.done) if self.state.is_live else 0

    @property
    def is_in_doubt(self) -> bool:
        """Whether a cancel asks if the broker has it at all: where it was lost, a change would arrive as a new order."""
        return self.is_probed and self.state is OrderState.UNKNOWN

    @property
    def is_chased(self) -> bool:
        """Whether this is an elected stop whose limit has to follow the touch."""
        return self.elected_at is not None and self.state is OrderState.WORKING

    @property
    def average(self) -> Price | None:
        """Average fill price in USD, or ``None`` before the first execution."""
        return None if self.filled == 0 else self.notional / self.filled


def advance(order: Order, signal: Signal) -> Order:
    """Return ``order`` after ``signal``, the same object when nothing changes.

    Raises ``IllegalTransition`` when the table has no such cell.
    """
    try:
        state = TRANSITIONS[order.state, signal]
    except KeyError:
        raise IllegalTransition(f"{order.spec.ref}: {order.state.value} -> {signal.value}") from None
    return order if state is order.state else replace(order, state=state)


def ended(order: Order, at: datetime, *, told: bool, asked: bool) -> Order:
    """Return an order that is over with what is known of its end; one that lives, is filled or has ended before is unchanged.

    ``asked``: we asked for it, or it never left. What ended otherwise is unexplained until pictures agree.
    """
    if order.state.is_live or order.state is OrderState.FILLED or order.lost_at is not None:
        return order
    return replace(
        order,
        ended_at=order.ended_at or at,
        was_cut=True,
        left=max(0, max(order.spec.qty, order.doubted) - order.done),
        is_explained=asked,
        lost_at=at,
        was_told=told,
        changing=False,
        cancelling=False,
    )


def order_ref(watch: str, leg: str, generation: int) -> str:
    """Return the orderRef, a pure function of (watcher, leg, generation), so that a restart knows its own orders."""
    return f"ts:{watch}:{leg}:{generation}"


class RefParts(Struct, frozen=True):
    """An orderRef of ours, taken apart."""

    watch: str
    leg: str
    generation: int


@lru_cache(maxsize=4096)  # every look at a trade takes the refs of its orders apart
def parse_ref(ref: str) -> RefParts | None:
    """Return the parts of one of our orderRefs, or ``None`` for anybody else's text."""
    parts = ref.split(":")
    if len(parts) != 4 or parts[0] != "ts" or not parts[3].isascii() or not parts[3].isdigit():
        return None
    return RefParts(parts[1], parts[2], int(parts[3]))
