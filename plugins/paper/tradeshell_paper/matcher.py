"""The market meets the orders: touches, prints, and recorded bars.

Laws: the fill rule says at which price (``fillrule``), this module who meets what and in which order; an order meets nothing that
traded before it came, nothing while its symbol is halted, nothing outside its hours.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from tradeshell import Bar, OrderState, Price, Quote, Shares, Side, Tif
from tradeshell_paper import fillrule
from tradeshell_paper.floor import Floor
from tradeshell_paper.tickets import Line, Ticket

SMALLEST = Decimal("0.0001")  # USD: no slippage takes a price to nothing
LAST_MOMENT = timedelta(milliseconds=1)


class Band(NamedTuple):
    """Prices (USD) strictly between which no trade concerns an order."""

    low: Price
    high: Price


NO_BAND = Band(Decimal("Infinity"), Decimal("-Infinity"))


class Matcher:
    """Matches the tickets of a floor."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._rules = floor.rules

    # --- orders that come ---------------------------------------------------------------------------------------------

    def arrive(self, ticket: Ticket) -> None:
        """Show an order that came, changed or was released to the touch. IOC and FOK end here, one way or the other."""
        floor = self._floor
        line = floor.line_of(ticket)
        if ticket.is_ready and not line.is_halted:
            price = fillrule.at_touch(ticket, line)
            offered = self._offered(ticket, line)
            too_few = offered is not None and offered < ticket.left
            self._meet_touch(ticket, line, None if too_few and ticket.spec.tif is Tif.FOK else price)
        waits = ticket.parent is not None and not ticket.parent.is_over
        if ticket.spec.tif in (Tif.IOC, Tif.FOK) and not ticket.is_over and not waits:
            floor.end(ticket, OrderState.CANCELLED, f"{ticket.spec.tif.value} could not fill at once")

    def settle(self) -> None:
        """Let what the last event set free happen: groups that raced, children of filled parents."""
        floor = self._floor
        floor.settle_races()
        while floor.released:
            child = floor.released.popleft()
            if not child.is_over:
                self.arrive(child)

    # --- what comes to the orders -------------------------------------------------------------------------------------

    def quote(self, quote: Quote, *, decides: bool, elects: bool) -> None:
        """Put a touch in force; ``decides``: it also fills resting orders that it reaches, ``elects``: and triggers stops."""
        line = self._floor.lines[quote.symbol]
        if (quote.at, quote.bid, quote.ask) != (line.quoted_at, line.bid, line.ask):
            line.quoted_at = quote.at
            line.bid, line.bid_left = quote.bid, quote.bid_size
            line.ask, line.ask_left = quote.ask, quote.ask_size
        if self._floor.recorder is not None:
            self._floor.recorder.touch(self._floor.now, quote.symbol, line)
        if line.is_halted:
            return
        for ticket in line.ready():
            if not ticket.is_ready:
                continue  # an earlier fill of this very event ended it
            if ticket.waits_for_stop:
                if elects:
                    self._elect_by_touch(ticket, line)
            elif ticket.takes_any_price or (ticket.fresh and (decides or not ticket.is_released)):
                self._meet_touch(ticket, line, fillrule.at_touch(ticket, line))
            elif decides:
                self._meet_touch(ticket, line, fillrule.resting_at_touch(ticket, line))

    def trade(self, now: datetime, symbol: str, price: Price, size: Shares) -> None:
        """Match one print."""
        line = self._floor.lines[symbol]
        budget: Shares | None = size if self._rules.partial else None
        for ticket in () if line.is_halted else line.ready():
            if not ticket.is_ready or budget == 0:
                continue
            spec = ticket.spec
            if ticket.waits_for_stop:
                if spec.stop is None or not fillrule.is_reached(spec.stop, spec.side, price):
                    continue
                ticket.elected = True
                ticket.fresh = line.touch(spec.side) is None
                found = fillrule.when_elected(ticket, line, price)
            else:
                found = fillrule.at_print(ticket, line, price)
                ticket.fresh = False
            budget = self._fill_or_rest(ticket, found, budget, now)

    def open_bar(self, now: datetime, symbol: str, price: Price, seconds: int, volume: Shares) -> None:
        """Match the open print of a recorded bar; ``seconds`` and ``volume`` are the whole bar's."""
        line = self._floor.lines[symbol]
        budget = self._bar_budget(volume)
        for ticket in () if line.is_halted else line.ready():
            came_after = ticket.after_fill and ticket.since >= now
            if not ticket.is_ready or came_after or not ticket.was_there(now, seconds) or budget == 0:
                continue
            ticket.opened = now
            found = fillrule.at_open(ticket, price)
            if not ticket.waits_for_stop:
                ticket.fresh = False
            if found is None:
                continue
            if not ticket.waits_for_stop and not ticket.takes_any_price and line.has_stop_beside(ticket):
                continue  # the range may reach that stop, which comes first
            if ticket.waits_for_stop:
                ticket.elected = True
                if not self._rules.chased_stops and not fillrule.limit_allows(ticket, found):
                    found = None
            budget = self._fill_or_rest(ticket, found, budget, now)

    def close_bar(self, bar: Bar) -> None:
        """Match the range of a recorded bar; its fills are dated at its last millisecond."""
        line = self._floor.lines[bar.symbol]
        budget = self._bar_budget(bar.volume)
        executed_at = bar.end - LAST_MOMENT
        for ticket in () if line.is_halted else line.ready():
            if not ticket.is_ready or budget == 0:
                continue
            hit = fillrule.in_range(ticket, bar)
            if ticket.since <= bar.end:
                ticket.former.clear()  # no bar to come meets it where it was
            if hit is None:
                continue
            if ticket.waits_for_stop:
                ticket.elected = True
            budget = self._fill_or_rest(ticket, hit.price, budget, executed_at)

    def band(self, symbol: str) -> Band:
        """Return between which prices nothing happens to the orders of ``symbol`` as they stand."""
        low, high = Decimal("-Infinity"), Decimal("Infinity")
        for ticket in self._floor.lines[symbol].tickets:
            if not ticket.is_ready:
                continue
            if ticket.former:
                return NO_BAND  # the bar that lasts may meet it elsewhere
            spec = ticket.spec
            if ticket.waits_for_stop:
                price, above = spec.stop, spec.side is Side.BUY
            elif ticket.fresh or ticket.takes_any_price:
                return NO_BAND
            else:
                price, above = spec.limit, spec.side is Side.SELL
            if price is None:
                return NO_BAND
            if above:
                high = min(high, price)
            else:
                low = max(low, price)
        return Band(low, high)

    # --- inside -------------------------------------------------------------------------------------------------------

    def _bar_budget(self, volume: Shares) -> Shares | None:
        return max(1, int(volume * self._rules.bar_share)) if self._rules.partial else None

    def _offered(self, ticket: Ticket, line: Line) -> Shares | None:
        if not self._rules.partial:
            return None
        return line.ask_left if ticket.spec.side is Side.BUY else line.bid_left

    def _meet_touch(self, ticket: Ticket, line: Line, price: Price | None) -> None:
        if line.touch(ticket.spec.side) is not None and not ticket.waits_for_stop:
            ticket.fresh = False
        offered = self._offered(ticket, line)
        if price is None or offered == 0:
            return
        left = self._fill_or_rest(ticket, price, offered, self._floor.now)
        if left is not None and ticket.spec.side is Side.BUY:
            line.ask_left = left
        elif left is not None:
            line.bid_left = left

    def _elect_by_touch(self, ticket: Ticket, line: Line) -> None:
        # A market of quotes only: where nothing ever trades, the touch it would sell or buy at elects a stop.
        spec = ticket.spec
        touch = line.touch(spec.side)
        if touch is None or spec.stop is None or not fillrule.is_reached(spec.stop, spec.side, touch):
            return
        ticket.elected = True
        self._meet_touch(ticket, line, fillrule.at_touch(ticket, line))
        self._fill_or_rest(ticket, None, None, self._floor.now)

    def _fill_or_rest(
        self, ticket: Ticket, price: Price | None, budget: Shares | None, at: datetime
    ) -> Shares | None:
        """Fill what ``budget`` (shares; ``None``: any number) allows, or let an elected limit rest; returns the budget left."""
        if price is None:
            if ticket.elected and not ticket.is_over and self._floor.settle_state(ticket):
                self._floor.tell(ticket)
            return budget
        if self._rules.slippage and ticket.takes_any_price:
            price = max(price + self._rules.slippage * ticket.spec.side.sign, SMALLEST)
        qty = ticket.left if budget is None else min(budget, ticket.left)
        self._floor.fill(ticket, qty, price, at)
        return None if budget is None else budget - qty
