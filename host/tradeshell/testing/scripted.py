"""A broker whose every answer a test scripts: ``ScriptedVenue`` is the test's side of it, ``ScriptedBroker`` the port's.

``venue = ScriptedVenue(...)`` and ``venue.offer()`` or ``venue.open(context)`` put it under an engine or a bench. Left alone it
takes every order, reports it, and lets nothing happen; what happens is what the test says::

    venue.answer("place", refuses(201, "Order rejected - reason:no"))  # the next order
    venue.answer("cancel", silent)  # the next cancel is never answered
    venue.fill(ref, 30, Decimal("100.05"))  # an execution, the report, the position, the fee
    venue.drop("the line was cut")

Laws: nothing is told inside a call of the host; the books are kept whether or not anything is told, so that a snapshot shows the
truth, unless the test says otherwise; what is told while the link is down is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

from tradeshell.core import inputs as i
from tradeshell.core.market import Bar, Instrument, Price, Quote, Session, Shares
from tradeshell.core.orders import OrderState
from tradeshell.engine.clock import WallClock
from tradeshell.errors import BrokerError
from tradeshell.ports import Broker, BrokerContext, BrokerOffer, Clock, Snapshot, VenueOptions
from tradeshell.testing.scripted_books import Books
from tradeshell.testing.scripted_broker import ScriptedBroker, Sent

Script: TypeAlias = "Callable[[ScriptedVenue, Sent], None]"


# --- scripts ----------------------------------------------------------------------------------------------------------


def accepts(venue: ScriptedVenue, sent: Sent) -> None:
    """Do what was asked for, and report it; what cannot be done is refused with the codes of IBKR's catalogue."""
    order, books = sent.order, venue.books
    known = books.by_id(sent.order_id)
    if sent.action == "place" and order is not None:
        if known is not None:
            venue.refuse(sent.ref, i.RefusedWhat.ORDER, 103, "Duplicate order id")
            return
        books.add(order, sent.order_id)
        venue.show(sent.ref)
    elif known is None and sent.action == "cancel":
        text = f"OrderId {sent.order_id} that needs to be cancelled is not found."
        venue.refuse(sent.ref, i.RefusedWhat.CANCEL, 10147, text)
    elif known is None:
        venue.refuse(sent.ref, i.RefusedWhat.CHANGE, 135, f"Can't find order with id ={sent.order_id}")
    elif not known.state.is_live and sent.action == "cancel":
        text = (
            f"OrderId {sent.order_id} that needs to be cancelled cannot be cancelled, state: {known.state}."
        )
        venue.refuse(sent.ref, i.RefusedWhat.CANCEL, 10148, text)
    elif not known.state.is_live:
        venue.refuse(sent.ref, i.RefusedWhat.CHANGE, 104, "Cannot modify a filled order.")
    elif sent.action == "cancel":
        venue.end(sent.ref, OrderState.CANCELLED, "cancelled by the client")
    elif order is not None:
        books.change(order, sent.order_id)
        venue.show(sent.ref)


def silent(venue: ScriptedVenue, sent: Sent) -> None:
    """Do nothing and say nothing, as if it had been lost."""
    del venue, sent


def unheard(venue: ScriptedVenue, sent: Sent) -> None:
    """Do what was asked for, and say nothing: the answer was lost."""
    with venue.deaf():
        accepts(venue, sent)


def refuses(code: int, text: str, *, advisory: bool = False) -> Script:
    """Return a script that refuses with the broker's code and words; ``advisory`` only says so and does it all the same."""

    def script(venue: ScriptedVenue, sent: Sent) -> None:
        about = {"place": i.RefusedWhat.ORDER, "modify": i.RefusedWhat.CHANGE}
        what = i.RefusedWhat.NOTHING if advisory else about.get(sent.action, i.RefusedWhat.CANCEL)
        venue.refuse(sent.ref, what, code, text)
        if advisory:
            accepts(venue, sent)
        elif sent.action == "place" and sent.order is not None:
            venue.books.add(sent.order, sent.order_id)
            venue.end(sent.ref, OrderState.REFUSED, text)

    return script


def fills(price: Price, qty: Shares | None = None) -> Script:
    """Return a script that takes an order and executes ``qty`` shares of it (``None``: all) at ``price`` USD."""

    def script(venue: ScriptedVenue, sent: Sent) -> None:
        accepts(venue, sent)
        venue.fill(sent.ref, qty, price)

    return script


# --- the test's side --------------------------------------------------------------------------------------------------


class ScriptedVenue:
    """The test's side. It lives on when the broker is closed, and may be opened again: a program that restarts.

    ``instruments`` are the contracts there are: two of one symbol make it ambiguous. ``start``: the venue runs the engine's clock
    and this is where it begins; without it the clock is the wall's. ``days`` overrides the hours of single days.
    """

    def __init__(
        self,
        *instruments: Instrument,
        account: str = "DU0000001",
        paper: bool = True,
        start: datetime | None = None,
    ) -> None:
        self.instruments = instruments
        self.account = account
        self.paper = paper
        self.start = start
        self.books = Books(account)
        self.fee = Decimal(1)
        self.days: dict[date, Session | None] = {}
        self.scripts: dict[str, Script] = dict.fromkeys(("place", "modify", "cancel"), accepts)
        self.sent: list[Sent] = []
        self.pictures: list[Snapshot | BrokerError] = []  # what the next snapshots say; then the books again
        self.is_stalled = False  # snapshots are not answered
        self.is_cut = False
        self.bars: list[Bar] = []
        self.broker: ScriptedBroker | None = None
        self._once: dict[str, list[Script]] = {}
        self._touches: dict[str, Quote] = {}
        self._is_deaf = False
        self._clock: Clock | None = None

    # --- opening ------------------------------------------------------------------------------------------------------

    def offer(self, words: str = "a broker of a test") -> BrokerOffer:
        """Return what a plugin registers, or an engine is given."""
        return BrokerOffer(open=self.open, own_clock=self.start is not None, words=words)

    @contextmanager
    def open(self, context: BrokerContext) -> Iterator[Broker]:
        """Open the broker; again after it was closed."""
        if self.start is not None and context.venue_clock is not None and self._clock is None:
            context.venue_clock.start_at(self.start)
        self._clock = context.clock
        self.broker = broker = ScriptedBroker(self, context)
        try:
            yield broker
        finally:
            broker.close()
            self.broker = None

    @contextmanager
    def alone(self) -> Iterator[tuple[Broker, list[i.Input]]]:
        """Open the broker without an engine, on the running loop; also gives the list of everything that it tells."""
        told: list[i.Input] = []
        context = BrokerContext(
            emit=told.append,
            clock=WallClock(asyncio.get_running_loop()),
            venue_clock=None,
            options=VenueOptions(),
            settings={},
            state_dir=Path(),
        )
        with self.open(context) as broker:
            yield broker, told

    def answer(self, action: str, *scripts: Script) -> None:
        """Answer the next calls of ``action``, one after the other, by ``scripts``; then as ``self.scripts`` says again."""
        self._once.setdefault(action, []).extend(scripts)

    def take(self, sent: Sent) -> None:
        """Run the script for what the host has sent."""
        once = self._once.get(sent.action)
        (once.pop(0) if once else self.scripts[sent.action])(self, sent)

    # --- telling ------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The instant by the clock of the broker that was opened last."""
        assert self._clock is not None, "the broker was never opened"
        return self._clock.now()

    @contextmanager
    def deaf(self) -> Iterator[None]:
        """Tell nothing for a while; the books are kept."""
        before, self._is_deaf = self._is_deaf, True
        try:
            yield
        finally:
            self._is_deaf = before

    def tell(self, *told: i.Input) -> None:
        """Tell the host something, as long as the link is up."""
        for event in told:
            if self.broker is not None and self.broker.is_up and not self._is_deaf:
                self.broker.context.emit(event)

    def show(self, ref: str) -> None:
        """Report an order as it stands in the books."""
        self._tell(lambda at: i.OrderReported(at=at, report=self.books.report(ref)))

    def refuse(self, ref: str, what: i.RefusedWhat, code: int, text: str) -> None:
        """Say that the broker refuses something; the books stay as they are."""
        self._tell(lambda at: i.OrderRefusedByBroker(at=at, ref=ref, what=what, code=code, text=text))

    def end(self, ref: str, state: OrderState, why: str = "") -> None:
        """End an order, and report it."""
        self.books.end(ref, state, why)
        self.show(ref)

    def fill(self, ref: str, qty: Shares | None = None, price: Price = Decimal(100)) -> str:
        """Execute ``qty`` shares of an order (``None``: what is left) at ``price`` USD; returns the execution's id."""
        execution = self.books.fill(ref, qty, price, self.now)
        self._tell(lambda at: i.ExecutionReported(at=at, execution=execution))
        self.show(ref)
        self._tell_position(execution.symbol)
        self._tell(lambda at: i.CommissionReported(at=at, exec_id=execution.exec_id, amount=self.fee))
        return execution.exec_id

    def correct(self, exec_id: str, qty: Shares, price: Price) -> None:
        """Correct an execution by its next revision."""
        execution = self.books.correct(exec_id, qty, price)
        self._tell(lambda at: i.ExecutionReported(at=at, execution=execution))
        self._tell_position(execution.symbol)

    def _tell_position(self, symbol: str) -> None:
        self._tell(lambda at: i.PositionReported(at=at, position=self.books.position(symbol)))

    def _tell(self, make: Callable[[datetime], i.Input]) -> None:
        if self.broker is not None:
            self.tell(make(self.now))

    # --- the link -----------------------------------------------------------------------------------------------------

    def drop(self, why: str = "the line was cut") -> None:
        """Let the link drop; connecting fails until ``restore``."""
        self.is_cut = True
        if self.broker is not None:
            self.broker.go_down(why)

    def restore(self) -> None:
        """Let the link be possible again; a broker that wants it has it at once."""
        self.is_cut = False
        if self.broker is not None:
            self.broker.come_back()

    # --- market data --------------------------------------------------------------------------------------------------

    def touch(self, symbol: str, bid: Price | None, ask: Price | None, size: Shares = 1000) -> None:
        """Let the market have this touch."""
        quote = Quote(symbol=symbol, at=self.now, bid=bid, ask=ask, bid_size=size, ask_size=size)
        self._touches[symbol] = quote
        if self.broker is not None:
            self.broker.hand_quote(quote)

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch of a symbol."""
        return self._touches.get(symbol)

    def close_bar(self, bar: Bar) -> None:
        """Let a bar close now."""
        self.bars.append(bar)
        if self.broker is not None:
            self.broker.hand_bar(bar)
