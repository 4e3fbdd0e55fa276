"""One turn of ``step``: the desk being replaced and the commands being collected.

The turn is the only mutable thing in the core; it lives for one call of ``step`` and never leaves it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from tradeshell.core.book import Book, outdated, positioned, risen, with_order, with_trade
from tradeshell.core.commands import (
    Announce,
    AskSnapshot,
    CancelOrder,
    Command,
    ModifyOrder,
    PlaceOrder,
    SetTimer,
)
from tradeshell.core.desk import Desk
from tradeshell.core.events import Event, OrderIdAssigned, OrderIntent
from tradeshell.core.market import Bar, Instrument, Price, Quote, Shares
from tradeshell.core.orders import Order, OrderSpec
from tradeshell.core.standing import claimed
from tradeshell.core.trade import Trade, TradePhase, leg_of

ACK_TIMEOUT = timedelta(seconds=3)  # after this an unanswered order is UNKNOWN
SECOND_LOOK = timedelta(seconds=1)  # between two pictures that agree
PICTURE_OVERDUE = timedelta(seconds=3)
SOON = timedelta(milliseconds=50)
EARLY = timedelta(milliseconds=1)  # a timer of floats may come this early


class Evidence(NamedTuple):
    """What an order was decided on, for its intent's record. ``at``: when the touch counted, without it when the trade asked."""

    quote: Quote | None = None
    bar: Bar | None = None
    at: datetime | None = None


class Turn:
    """Collects one step's effects."""

    __slots__ = ("at", "commands", "desk", "seen")

    def __init__(self, desk: Desk, at: datetime) -> None:
        self.desk = desk
        self.at = at
        self.commands: list[Command] = []
        self.seen: Quote | None = None  # the touch that this step decides on

    def say(self, event: Event) -> None:
        """Announce ``event``."""
        self.commands.append(Announce(event))

    def look_again(self) -> None:
        """Ask for a complete picture: orders, executions and positions."""
        if self.desk.link.up and not any(isinstance(command, AskSnapshot) for command in self.commands):
            self.commands.append(AskSnapshot(self.desk.link.epoch))
            self.timer(
                "picture", PICTURE_OVERDUE.total_seconds()
            )  # one that is never answered is asked for again

    def timer(self, key: str, after: float) -> None:
        """Ask for a timer ``after`` seconds from now."""
        self.commands.append(SetTimer(key, self.at + timedelta(seconds=after)))

    def again(self, trade: Trade, at: datetime, why: str) -> None:
        """Settle ``trade`` again at ``at``."""
        # One that is due would come at this very instant, again and again.
        self.commands.append(SetTimer(f"again:{trade.id}:{why}", max(at, self.at + SOON)))

    def look_later(self, symbol: str) -> None:
        """Ask for a picture in a moment, unless that is arranged already."""
        book = self.book(symbol)
        if book.look_at is None or book.look_at <= self.at:
            self.put_book(symbol, replace(book, look_at=self.at + SECOND_LOOK))
            self.commands.append(SetTimer(f"position:{symbol}", self.at + SECOND_LOOK))

    def watch(self) -> None:
        """While orders work: ask for a picture now and then, however quiet it is."""
        every = self.desk.policy.look_every
        if every is not None and (self.desk.watch_at is None or self.desk.watch_at <= self.at):
            self.desk = replace(self.desk, watch_at=self.at + timedelta(seconds=every))
            self.timer("watch", every)

    def book(self, symbol: str, instrument: Instrument | None = None) -> Book:
        """Return the book of ``symbol``, opening it for ``instrument`` when there is none."""
        book = self.desk.books.get(symbol)
        if book is None:
            assert instrument is not None, f"no book for {symbol}"
            others = claimed(self.desk.outside.values(), symbol, self.desk.account)
            book = Book(instrument=instrument, opened_at=self.at, claimed=others)
            known = self.desk.positions.get(symbol)
            if known is not None:
                book = positioned(book, known, self.at)
            elif self.desk.link.is_open:
                book = replace(book, seed=0)  # a complete picture named no position in it
            self.put_book(symbol, book)
        return book

    def put_book(self, symbol: str, book: Book) -> None:
        """Replace the book of ``symbol``."""
        self.desk = replace(self.desk, books={**self.desk.books, symbol: book})

    def put_trade(self, trade: Trade) -> None:
        """Replace a trade."""
        symbol = trade.plan.symbol
        self.put_book(symbol, with_trade(self.book(symbol), trade))
        if trade.id not in self.desk.trade_symbols:
            self.desk = replace(self.desk, trade_symbols={**self.desk.trade_symbols, trade.id: symbol})
        if trade.phase is TradePhase.CLOSED or trade.id not in self.desk.active:
            self.desk = self.desk.with_active(trade.id, symbol)  # what is over otherwise, settling finds out

    def put_order(self, order: Order) -> None:
        """Replace an order."""
        symbol = order.spec.symbol
        self.put_book(symbol, with_order(self.book(symbol), order))
        self.mark_chased(symbol, order)

    def mark_chased(self, symbol: str, order: Order) -> None:
        """Keep ``desk.chased`` true after ``order`` changed."""
        chased = self.desk.chased
        if order.elected_at is None or order.is_chased == (symbol in chased):
            return
        others = any(other.is_chased for other in self.book(symbol).orders.values())
        self.desk = replace(self.desk, chased=chased | {symbol} if others else chased - {symbol})

    # --- order commands: in-flight state first, then the intent on record, then the command --------------------------

    def place(self, trade: Trade, specs: tuple[OrderSpec, ...], evidence: Evidence | None = None) -> Trade:
        """Send new orders for ``trade``; returns the trade that knows them."""
        symbol, first = trade.plan.symbol, self.desk.next_order_id
        placed = {
            spec.ref: Order(spec=spec, order_id=number, sent_at=self.at, touched_at=self.at, placed=spec.qty)
            for number, spec in enumerate(specs, first)
        }
        trade = replace(trade, refs=trade.refs + tuple(placed))
        book = self.book(symbol)
        self.put_book(symbol, replace(book, orders=book.orders | placed))
        self.put_trade(trade)
        refs = self.desk.refs | dict.fromkeys(placed, symbol)
        self.desk = replace(self.desk, refs=refs, next_order_id=first + len(specs))
        for number, spec in enumerate(specs, first):
            self.say(_intent(spec, "place", trade, "", evidence if spec.ref == trade.refs[0] else None))
            self.say(OrderIdAssigned(**_who(spec, trade), order_ref=spec.ref, order_id=number))
        for number, spec in enumerate(specs, first):
            self.commands.append(PlaceOrder(spec, number))
            self.commands.append(SetTimer(f"ack:{spec.ref}", self.at + ACK_TIMEOUT))
        return trade

    def modify(self, trade: Trade, order: Order, reason: str) -> None:
        """Send ``order`` again as it now is."""
        self.put_order(replace(
            order,
            touched_at=self.at,
            is_ours=True,
            placed=max(order.placed, order.spec.qty),
            outdated=outdated(order, self.at),
            risen=risen(order, self.at),
        ))  # fmt: skip
        self.say(_intent(order.spec, "replace", trade, reason, Evidence(self.seen, at=self.at)))
        self.commands.append(ModifyOrder(order.spec, order.order_id))
        self.commands.append(SetTimer(f"answer:{order.spec.ref}", self.at + ACK_TIMEOUT))

    def bury(self, trade: Trade, order: Order) -> None:
        """Cancel an order that was refused: some come back by themselves."""
        self.put_order(replace(order, is_buried=True, touched_at=self.at))
        self.say(_intent(order.spec, "cancel", trade, "it was refused and must not come back", None))
        self.commands.append(CancelOrder(order.spec.ref, order.order_id))

    def probe(self, trade: Trade, order: Order) -> None:
        """Cancel an order that was never answered and is in no picture: on one connection it cannot come after that."""
        self.put_order(replace(order, is_probed=True))
        self.say(
            _intent(order.spec, "cancel", trade, "nothing was heard of it, and it must not come late", None)
        )
        self.commands.append(CancelOrder(order.spec.ref, order.order_id))

    def cancel(self, trade: Trade, order: Order, reason: str) -> None:
        """Ask to cancel ``order``."""
        self.put_order(replace(order, cancelling=True, cancel_reason=reason, touched_at=self.at))
        self.say(_intent(order.spec, "cancel", trade, reason, None))
        self.commands.append(CancelOrder(order.spec.ref, order.order_id))
        self.commands.append(SetTimer(f"answer:{order.spec.ref}", self.at + ACK_TIMEOUT))


def _who(spec: OrderSpec, trade: Trade) -> dict[str, str]:
    return {"symbol": spec.symbol, "watch": trade.id, "leg": leg_of(spec.ref)}


def _intent(
    spec: OrderSpec, action: str, trade: Trade, reason: str, evidence: Evidence | None
) -> OrderIntent:
    quote, bar, at = evidence or Evidence()
    asked_at = trade.asked_at if at is None else at
    bid: Price | None = None if quote is None else quote.bid
    qty: Shares = spec.qty
    return OrderIntent(
        symbol=spec.symbol,
        watch=trade.id,
        leg=leg_of(spec.ref),
        order_ref=spec.ref,
        action=action,
        side=spec.side,
        qty=qty,
        type=spec.type,
        limit=spec.limit,
        stop=spec.stop,
        tif=spec.tif,
        outside_rth=spec.outside_rth,
        account=spec.account,
        con_id=spec.con_id,
        oca_group=spec.oca_group,
        parent_ref=spec.parent_ref,
        good_till=spec.good_till,
        reason=reason,
        bid=bid,
        ask=None if quote is None else quote.ask,
        quote_age=None if quote is None else max(0.0, (asked_at - quote.at).total_seconds()),
        bar_start=None if bar is None else bar.start,
        bar_close=None if bar is None else bar.close,
    )
