"""The desk: everything the core knows about one account. A value; ``step`` returns the next one.

Laws: watchers only ask for entries; books own orders and are the only emitters of SELLs; a watcher fires at most once over all
restarts (``fired`` is never taken back).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from tradeshell.core.book import Book
from tradeshell.core.cap import is_open_question
from tradeshell.core.inputs import PositionReport, WatchSpec
from tradeshell.core.market import Shares
from tradeshell.core.orders import Order
from tradeshell.core.policy import Policy
from tradeshell.core.standing import Outside
from tradeshell.core.strategy import BarNeed
from tradeshell.core.trade import Rung, Trade, TradePhase, awaited, protection_state


class WatchPhase(StrEnum):
    """Where a watcher stands."""

    PAUSED = "paused"  # left waiting by a program that ended: it looks at no bar until it may go on
    ARMED = "armed"
    FIRED = "fired"
    DONE = "done"


class Watcher(Struct, frozen=True, kw_only=True):
    """One watcher. ``state`` belongs to its strategy; ``fired`` closes it for ever.

    ``day``: the how manieth of its days it is; no bar counts that closes after ``ends_at``, the end of that day for it.
    While it is paused: ``asks``, the word of what somebody is asked about ("" before it was looked at), and ``doubt``, why it has
    to be asked about whatever the broker says.
    """

    spec: WatchSpec
    phase: WatchPhase
    started_at: datetime
    need: BarNeed
    state: Any = None
    fired: bool = False
    day: int = 1
    ends_at: datetime | None = None
    end_reason: str = ""
    asks: str = ""
    doubt: str = ""


class Link(Struct, frozen=True, kw_only=True):
    """The connection. Entries may leave only while it is up *and* reconciled; ``since`` when it is up."""

    up: bool = False
    reconciled: bool = False
    epoch: int = 0
    why: str = "not connected"
    since: datetime | None = None
    is_pictured: bool = False  # its first picture is booked, and is being compared

    @property
    def is_open(self) -> bool:
        """Whether entries may leave."""
        return self.up and self.reconciled


class Desk(Struct, frozen=True, kw_only=True):
    """One account's desk. Dictionaries are replaced, never changed."""

    account: str = ""
    paper: bool = True
    link: Link = Link()
    next_order_id: int = 1
    watchers: dict[str, Watcher] = field(default_factory=dict)
    armed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    books: dict[str, Book] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    positions: dict[str, PositionReport] = field(default_factory=dict)  # the broker's words, of every symbol
    trade_symbols: dict[str, str] = field(default_factory=dict)
    active: dict[str, str] = field(
        default_factory=dict
    )  # id -> symbol of every watcher and trade that is not over
    chased: frozenset[str] = frozenset()  # symbols with an elected stop that works
    feed_over: bool = False
    takes_up: bool = False  # what an earlier program left; until the account is known
    policy: Policy = Policy()
    outside: dict[str, Outside] = field(default_factory=dict)  # orders at the broker that no book has
    stopped: str = ""  # why no entry leaves; "" while they may
    refusals: tuple[datetime, ...] = ()  # when orders were refused lately
    watch_at: datetime | None = None  # when the next look is due that nothing but time asks for
    retired_at: datetime | None = None  # when what is over for long was last forgotten

    def order(self, ref: str) -> Order | None:
        """Return one of our orders by its ref."""
        symbol = self.refs.get(ref)
        return None if symbol is None else self.books[symbol].orders[ref]

    def find_order(self, order_id: int) -> Order | None:
        """Return one of our orders by the broker's number."""
        return next((order for order in self.orders() if order.order_id == order_id), None)

    def orders(self) -> tuple[Order, ...]:
        """Return all our orders, by number."""
        found = [order for book in self.books.values() for order in book.orders.values()]
        return tuple(sorted(found, key=lambda order: order.order_id))

    def trades(self) -> tuple[Trade, ...]:
        """Return all trades, oldest first."""
        found = [trade for book in self.books.values() for trade in book.trades.values()]
        return tuple(sorted(found, key=lambda trade: trade.asked_at))

    def trade(self, id_: str) -> Trade | None:
        """Return one trade."""
        symbol = self.trade_symbols.get(id_)
        return None if symbol is None else self.books[symbol].trades[id_]

    def has_traded(self, since: datetime) -> bool:
        """Return whether an order of ours has executed since then, anything of it: corrections may still come."""
        return any(
            book.executed_at is not None
            and book.executed_at >= since
            and any(o.done for o in book.orders.values())
            for book in self.books.values()
        )

    def busy(self, symbols: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the ids of watchers and trades that are not over, of ``symbols`` or of all.

        After the end of a replay what is still open stays open: nothing can happen to it any more, so nothing is busy.
        """
        if self.feed_over:
            return ()
        return tuple(id_ for id_, symbol in self.active.items() if not symbols or symbol in symbols)

    def _moves(self, trade: Trade) -> bool:
        """Return whether anything can still happen to a trade by itself: shares without a working order just lie there."""
        if trade.phase is TradePhase.ASKING:
            return True
        if trade.phase is TradePhase.CLOSED:
            return False
        if trade.flat_at is not None and not trade.is_flattening:
            return True  # its time will come
        orders = self.books[trade.plan.symbol].orders
        found = [orders.get(ref) for ref in trade.refs]
        if any(order is None or order.state.is_live or awaited(order) for order in found):
            return True
        # Protection that is lost and may come back by itself.
        is_mended = trade.alarm_at is not None and any(leg.rung is not Rung.ALARM for leg in trade.legs)
        if is_mended:
            return True
        is_arming = trade.plan.mode.is_detached and bool(trade.refs) and not trade.is_armed
        return is_arming or any(order is not None and is_open_question(order, orders) for order in found)

    def with_active(self, id_: str, symbol: str) -> Desk:
        """Return the desk with ``id_`` active exactly if its watcher waits or something can still happen to its trade."""
        watcher, trade = self.watchers.get(id_), self.trade(id_)
        waits = watcher is not None and (
            watcher.phase is WatchPhase.ARMED or (watcher.phase is WatchPhase.PAUSED and not watcher.asks)
        )
        is_active = waits or (trade is not None and self._moves(trade))
        if is_active == (id_ in self.active):
            return self
        active = {**self.active, id_: symbol}
        if not is_active:
            del active[id_]
        return replace(self, active=active)

    def protection(self, symbol: str, at: datetime | None = None) -> tuple[Shares, Shares]:
        """Return the shares that trades hold in ``symbol`` and how many of them have a living stop."""
        book = self.books.get(symbol)
        held = covered = 0
        for trade in () if book is None else book.trades.values():
            _, trade_held, trade_covered = protection_state(trade, book.orders, at)  # type: ignore[union-attr]  # book is set here
            held, covered = held + trade_held, covered + trade_covered
        return held, covered
