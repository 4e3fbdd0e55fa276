"""The simulated exchange: orders in, market in, frozen reports out.

Laws: no clock, no I/O, no threads, no chance: every call takes ``now`` and returns what is to be told, in order, so that the same
calls give the same reports anywhere. The order of things at one instant is the caller's: ranges that end, time, quotes, arrivals,
opens and prints.

The parts: ``entry`` takes orders, ``checks`` refuses, ``matcher`` says who meets what, ``fillrule`` at which price, ``floor``
what follows, ``ledger`` keeps the account. What an order does not meet:

- a range that began before it came; one that began before its price changed meets it where it was (``fillrule.in_range``);
- the open of a bar that begins at the instant of an execution in its symbol, when it came after that execution. A bracket
  whose entry fills at the first instant of a bar is protected through that bar's range, and no gap is read into its open;
- a touch beside recorded trades, when it is a limit that rested before its hours began again, or that a bar's fill set free;
- anything while its symbol is halted, or outside its hours.

``IOC`` and ``FOK`` meet the touch on arrival and never rest. ``DAY`` ends at the regular close, or at the end of extended hours
for an order that works there; entered after that, at the end of the next trading day.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from tradeshell import (
    Bar,
    ExecutionReport,
    Instrument,
    OrderReport,
    OrderSpec,
    OrderState,
    PositionReport,
    Price,
    Quote,
    RefusedWhat,
    Shares,
)
from tradeshell_paper.calendar import Hours
from tradeshell_paper.entry import OrderEntry
from tradeshell_paper.floor import Floor, Report
from tradeshell_paper.matcher import Band, Matcher
from tradeshell_paper.settings import Refusal, Rules
from tradeshell_paper.tickets import Line, Ticket
from tradeshell_paper.witness import Witness

Reports: TypeAlias = tuple[Report, ...]
CANCELLED_BY_EXCHANGE = 202


class Exchange:
    """One exchange with one account. ``client`` tells apart who sends: order numbers are unique for each."""

    def __init__(self, rules: Rules | None = None, witness: Witness | None = None) -> None:
        self._floor = Floor(Rules() if rules is None else rules, witness)
        self._matcher = Matcher(self._floor)
        self._entry = OrderEntry(self._floor, self._matcher)
        self._hours = Hours()
        self._bands: dict[str, Band] = {}  # dropped whenever anything may have changed

    # --- looking ------------------------------------------------------------------------------------------------------

    def list_stock(self, instrument: Instrument) -> None:
        """Make an instrument tradable; listing it twice is harmless."""
        self._floor.lines.setdefault(instrument.symbol, Line(instrument=instrument))

    def is_listed(self, symbol: str) -> bool:
        """Return whether ``symbol`` can be traded."""
        return symbol in self._floor.lines

    def live_symbols(self) -> frozenset[str]:
        """Return the symbols in which an order lives."""
        return frozenset(symbol for symbol, line in self._floor.lines.items() if line.tickets)

    def awaits_touch(self, symbol: str) -> bool:
        """Return whether the next touch of ``symbol`` concerns an order that does not rest yet."""
        return any(ticket.awaits_touch for ticket in self._floor.lines[symbol].tickets)

    def is_out_of_reach(self, symbol: str, low: Price, high: Price) -> bool:
        """Return whether a recorded bar's trades from ``low`` to ``high`` cannot concern any order of ``symbol``."""
        band = self._bands.get(symbol)
        if band is None:
            band = self._bands[symbol] = self._matcher.band(symbol)
        return band.low < low and high < band.high

    def is_flat(self) -> bool:
        """Return whether no position is open."""
        return self._floor.ledger.is_flat

    def worth(self, mark: Callable[[str], Price | None]) -> Price:
        """Return what the account is worth in USD: see ``Ledger.worth``."""
        return self._floor.ledger.worth(mark)

    def order(self, order_id: int, client: int = 0) -> OrderReport | None:
        """Return an order as it stands, ``None`` when there never was one."""
        ticket = self._floor.ticket(client, order_id)
        return None if ticket is None else ticket.report()

    def lives(self, order_id: int, client: int = 0) -> bool:
        """Return whether an order was transmitted and has not ended; one that is inactive lives, it may work again."""
        ticket = self._floor.ticket(client, order_id)
        return ticket is not None and not ticket.is_over and not ticket.staged

    def open_orders(self) -> tuple[OrderReport, ...]:
        """Return every living order that was transmitted, oldest first."""
        return tuple(t.report() for t in self._floor.tickets() if not t.is_over and not t.staged)

    def executions(self, since: datetime | None = None) -> tuple[ExecutionReport, ...]:
        """Return the executions at or after ``since``, oldest first."""
        return tuple(e for e in self._floor.ledger.executions if since is None or e.at >= since)

    def positions(self) -> tuple[PositionReport, ...]:
        """Return the open positions."""
        return self._floor.ledger.positions()

    def highest_order_id(self, client: int = 0) -> int:
        """Return the highest order number a client has used, 0 for none."""
        return max((t.order_id for t in self._floor.tickets() if t.client == client), default=0)

    # --- orders -------------------------------------------------------------------------------------------------------

    def place(self, now: datetime, spec: OrderSpec, order_id: int, client: int = 0) -> Reports:
        """Take a new order."""
        self._at(now)
        self._entry.place(spec, order_id, client)
        return self._done()

    def modify(self, now: datetime, spec: OrderSpec, order_id: int, client: int = 0) -> Reports:
        """Take the whole order again with its changed values."""
        self._at(now)
        self._entry.modify(spec, order_id, client)
        return self._done()

    def cancel(self, now: datetime, order_id: int, client: int = 0, ref: str = "") -> Reports:
        """Cancel an order; ``ref`` is what a refusal names when there is none of that number."""
        self._at(now)
        self._entry.cancel(order_id, client, ref)
        return self._done()

    # --- market -------------------------------------------------------------------------------------------------------

    def quote(self, now: datetime, quote: Quote, *, decides: bool = True, elects: bool = False) -> Reports:
        """Take a touch that is in force from ``now``; the same one again changes nothing.

        ``decides``: it fills resting orders that it reaches. Recorded quotes do not where trades are recorded too; they are
        met by orders that arrive, and by market orders that wait. ``elects``: it triggers stops, in a market of quotes only.
        """
        self._at(now)
        self._matcher.quote(quote, decides=decides, elects=elects)
        return self._done()

    def no_quote(self, now: datetime, symbol: str) -> Reports:
        """Forget the touch of ``symbol``: none is in force."""
        return self.quote(now, Quote(symbol=symbol, at=now, bid=None, ask=None), decides=False)

    def trade(self, now: datetime, symbol: str, price: Price, size: Shares) -> Reports:
        """Take one print: ``size`` shares traded at ``price`` USD."""
        self._at(now)
        self._matcher.trade(now, symbol, price, size)
        return self._done()

    def open_bar(self, now: datetime, symbol: str, price: Price, seconds: int, volume: Shares) -> Reports:
        """Take the open print of a recorded bar that begins at ``now``; ``seconds`` and ``volume`` are the whole bar's."""
        self._at(now)
        self._matcher.open_bar(now, symbol, price, seconds, volume)
        return self._done_without_touch()

    def close_bar(self, now: datetime, bar: Bar) -> Reports:
        """Take the range of a recorded bar that has ended; its fills are dated at its last millisecond.

        Nothing finer is known of when they happened, and rounding that instant down gives the bar.
        """
        self._at(now)
        self._matcher.close_bar(bar)
        return self._done_without_touch()

    def halt(self, now: datetime, symbol: str, *, on: bool) -> Reports:
        """Begin or end a trading halt: nothing is matched meanwhile, orders are taken and wait."""
        self._at(now)
        line, recorder = self._floor.lines[symbol], self._floor.recorder
        changes, line.is_halted = on is not line.is_halted, on
        if recorder is not None and changes:
            recorder.halt(self._floor.now, symbol, on=on)
            for ticket in line.tickets:
                recorder.state(self._floor.now, ticket, line)
        return self._done()

    # --- what others do -----------------------------------------------------------------------------------------------
    #
    # What is not there, or has ended, is left alone and nothing is told: the market may have been faster.

    def correct(self, now: datetime, exec_id: str, qty: Shares, price: Price | None = None) -> Reports:
        """Correct an execution to ``qty`` shares at ``price`` USD (``None``: as it was) by its next revision.

        The position follows; what the order says of itself does not: the exchange corrects trades, not orders.
        """
        self._at(now)
        self._floor.correct(exec_id, qty, price)
        return self._done()

    def bust(self, now: datetime, exec_id: str) -> Reports:
        """Break a trade: its next revision has no shares."""
        return self.correct(now, exec_id, 0)

    def kill_order(
        self,
        now: datetime,
        order_id: int,
        code: int = CANCELLED_BY_EXCHANGE,
        text: str = "Order Canceled - reason:",
        *,
        client: int = 0,
        final: bool = True,
    ) -> Reports:
        """End an order that nobody asked to end: 202 cancels it, any other code refuses it after all ("Inactive").

        Its group stays, its children go. Not ``final``: a refused order only rests and may be brought back by ``revive_order``.
        """
        self._at(now)
        floor, ticket = self._floor, self._alive(order_id, client)
        if ticket is None:
            return self._done()
        if code == CANCELLED_BY_EXCHANGE:
            floor.end(ticket, OrderState.CANCELLED, text)
            return self._done()
        floor.refuse(client, order_id, ticket.spec.ref, RefusedWhat.ORDER, Refusal(code, text), "kill")
        if final:
            floor.end(ticket, OrderState.REFUSED, text)
        else:
            ticket.is_inactive, ticket.why = True, text
            floor.settle_state(ticket)
            floor.tell(ticket)
        return self._done()

    def revive_order(self, now: datetime, order_id: int, client: int = 0) -> Reports:
        """Let an order work again that ``kill_order`` refused and did not end."""
        self._at(now)
        ticket = self._alive(order_id, client)
        if ticket is not None and ticket.is_inactive:
            ticket.is_inactive, ticket.why = False, ""
            ticket.begin(self._floor.now)
            ticket.is_released = False
            self._floor.settle_state(ticket)
            self._floor.tell(ticket)
            self._matcher.arrive(ticket)
        return self._done()

    def alter_order(
        self,
        now: datetime,
        order_id: int,
        *,
        stop: Price | None = None,
        limit: Price | None = None,
        qty: Shares | None = None,
        client: int = 0,
    ) -> Reports:
        """Change an order as its owner does by hand in another window. Raises ``ValueError`` for what no order can be."""
        self._at(now)
        ticket = self._alive(order_id, client)
        if ticket is not None:
            self._entry.alter(ticket, stop=stop, limit=limit, qty=qty)
        return self._done()

    def cancel_outside(self, now: datetime, order_id: int, client: int = 0) -> Reports:
        """Cancel an order as its owner does by hand in another window."""
        self._at(now)
        ticket = self._alive(order_id, client)
        if ticket is not None:
            self._floor.end_with_group(ticket, "cancelled outside this program")
        return self._done()

    def fill_late(self, now: datetime, order_id: int, qty: Shares, price: Price, client: int = 0) -> Reports:
        """Execute up to ``qty`` shares of an order after its cancel was confirmed: the market was faster and is heard now."""
        self._at(now)
        ticket = self._floor.ticket(client, order_id)
        if ticket is not None and ticket.state is OrderState.CANCELLED and ticket.qty > ticket.filled:
            self._floor.late_fill(ticket, min(qty, ticket.qty - ticket.filled), price)
        return self._done()

    def execute(
        self, now: datetime, order_id: int, price: Price, qty: Shares | None = None, client: int = 0
    ) -> Reports:
        """Execute up to ``qty`` shares (``None``: all that are left) of a living order, whatever the market says."""
        self._at(now)
        ticket = self._alive(order_id, client)
        if ticket is not None:
            self._floor.fill(
                ticket, ticket.left if qty is None else min(qty, ticket.left), price, self._floor.now
            )
        return self._done()

    # --- time ---------------------------------------------------------------------------------------------------------

    def due(self, now: datetime) -> datetime | None:
        """Return the next instant at which time alone changes an order; ``None`` when no order lives."""
        tickets = [ticket for line in self._floor.lines.values() for ticket in line.tickets]
        if not tickets:
            return None
        ends = [ticket.expires for ticket in tickets if ticket.expires is not None]
        return min((self._hours.next_boundary(now), *ends))

    def pass_time(self, now: datetime) -> Reports:
        """End what has expired; hold and release orders as their hours end and begin."""
        self._at(now)
        floor = self._floor
        for line in floor.lines.values():
            for ticket in tuple(line.tickets):
                if ticket.is_over:
                    continue  # a sibling's end took it along
                if ticket.expires is not None and ticket.expires <= now:
                    floor.end(ticket, OrderState.CANCELLED, f"expired ({ticket.spec.tif.value})")
                    continue
                was_held = ticket.is_held
                if floor.settle_state(ticket):
                    floor.tell(ticket)
                if was_held and not ticket.is_held:
                    # What traded while it was held does not concern it, and it has met nothing of these hours.
                    ticket.is_released = ticket.is_released or not ticket.fresh
                    ticket.begin(now)
                    ticket.after_fill = False
        return self._done()

    # --- inside -------------------------------------------------------------------------------------------------------

    def _at(self, now: datetime) -> None:
        # At the pace of a wall clock an answer may come before the last prints of its instant were played: what is told is
        # told in the order of time, executions keep the instant of the market.
        self._floor.now = max(self._floor.now, now)
        self._floor.session = self._hours.session(self._floor.now)

    def _alive(self, order_id: int, client: int) -> Ticket | None:
        ticket = self._floor.ticket(client, order_id)
        return None if ticket is None or ticket.is_over or ticket.staged else ticket

    def _done_without_touch(self) -> Reports:
        # The touch known here is older than the fills of a recorded bar: what they set free waits for the next one.
        self._floor.released.clear()
        return self._done()

    def _done(self) -> Reports:
        self._matcher.settle()
        self._bands.clear()
        return self._floor.drain()
