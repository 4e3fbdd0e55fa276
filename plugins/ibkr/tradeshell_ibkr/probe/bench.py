"""The hands of the probe: places, changes and cancels over a connection, hears what comes of it, and cleans up.

Laws: an order is written down before its bytes leave; a wait ends by its bound or with the link; what counts as bought and sold
is our own executions alone; nothing is sold that these do not show as bought.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from ib_async.contract import Contract
from msgspec.structs import replace

from tradeshell import BrokerError, DataKind, Instrument, Price, Quote, Shares
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.encode import Ticket, cancel_order, contract_text, place_order
from tradeshell_ibkr.market_data import MarketData
from tradeshell_ibkr.pacing import Priority
from tradeshell_ibkr.probe.answers import NotHere
from tradeshell_ibkr.probe.hearing import ANSWER_WITHIN, REF, Hearing, Placed
from tradeshell_ibkr.probe.tape import Said
from tradeshell_ibkr.translate import price_text

ACK_WITHIN = 8.0  # seconds for the first word about an order
FILL_WITHIN = 45.0
QUOTE_WITHIN = 5.0
BACK_WITHIN = 60.0  # seconds in which a lost link has to be back for cleaning up
BACK_EVERY = 0.5
OLD = 8.0  # seconds by which what is said of open orders and positions may lie behind
CLEANINGS = 3
NEVER_LEFT = (10147, 135)  # errors by which the gateway says that there is no such order
FINISHED = 10148


class Bench(Hearing):
    """One symbol of one paper account, and the orders that were placed in it from here."""

    def __init__(self, connection: Connection, data: MarketData) -> None:
        super().__init__(connection)
        self.data = data
        self.trial = ""
        self.whole_fills = 0  # orders of two shares that filled in one moment
        self.instrument: Instrument
        self._contract = ""

    # --- orders -------------------------------------------------------------------------------------------------------

    def next_id(self) -> int:
        """Return a number above every one that is known."""
        return max(self.connection.first_order_id(), max(self.orders, default=0) + 1)

    def place(
        self,
        action: str,
        qty: Shares,
        kind: str,
        *,
        limit: Price | None = None,
        stop: Price | None = None,
        order_id: int = 0,
        **more: Any,
    ) -> int:
        """Send an order and return its number. ``more``: fields of ``Ticket``."""
        wire = self.connection.must_be_served()
        number = order_id or self.next_id()
        values: dict[str, Any] = {
            "tif": "DAY", "oca_group": "", "transmit": True, "parent_id": 0, "outside_rth": False, "good_till": "",
            "oca_type": 0,
        } | more  # fmt: skip
        ticket = Ticket(
            order_id=number,
            contract=self._contract,
            action=action,
            qty=qty,
            type=kind,
            limit=price_text(limit),
            stop=price_text(stop),
            account=self.connection.account,
            ref=f"{REF}:{self.trial}:{number}",
            **values,
        )
        self.orders[number] = Placed(ticket, self.now)
        self.connection.order_ids.see(number)
        frame = place_order(wire.serverVersion(), ticket)
        self.connection.outbox.post(Priority.ENTRY, lambda: wire.write(frame), key=number)
        return number

    def change(self, number: int, **values: Any) -> int:
        """Send an order again with changed fields of its ``Ticket``; return where on the tape the answer begins."""
        wire = self.connection.must_be_served()
        ticket = replace(self.orders[number].ticket, **values)
        self.orders[number].ticket = ticket
        frame = place_order(wire.serverVersion(), ticket)
        self.connection.outbox.post(Priority.ENTRY, lambda: wire.write(frame), key=number)
        return len(self.tape.said)

    def cancel(self, number: int) -> int:
        """Ask to cancel; return where on the tape the answer begins."""
        wire = self.connection.must_be_served()
        frame = cancel_order(wire.serverVersion(), number)
        self.connection.outbox.post(Priority.CANCEL, lambda: wire.write(frame), key=number)
        return len(self.tape.said)

    async def rests(self, number: int) -> bool:
        """Wait for the first word about an order; return whether it was taken. Raises ``NotHere`` when nothing comes."""
        placed = self.orders[number]

        def heard() -> bool:
            return placed.refused > 0 or placed.is_over or self.tape.last(number, "status") is not None

        if not await self.until(heard, ACK_WITHIN):
            raise NotHere(f"nothing was heard of {placed.words()} within {ACK_WITHIN:g} s")
        return placed.refused == 0

    async def must_rest(self, *numbers: int) -> None:
        """Wait until orders are taken; raises ``NotHere`` with the broker's words when one is refused."""
        for number in numbers:
            if not await self.rests(number):
                raise NotHere(f"{self.orders[number].words()} was refused: {self.last_error(number)}")

    async def is_over(self, number: int, seconds: float) -> bool:
        """Wait for the end of an order, so long at most."""
        return await self.until(lambda: self.orders[number].is_over, seconds)

    # --- prices -------------------------------------------------------------------------------------------------------

    async def quote(self) -> Quote:
        """Return a live touch with both sides; raises ``NotHere``."""
        found = await self.data.snapshot(self.instrument.symbol, QUOTE_WITHIN)
        if found is None or found.bid is None or found.ask is None:
            raise NotHere(f"no touch of {self.instrument.symbol} within {QUOTE_WITHIN:g} s")
        if found.kind is not DataKind.LIVE:
            raise NotHere(f"the touch of {self.instrument.symbol} is {found.kind.value}, not live")
        return found

    async def price(self, side: str, factor: str) -> Price:
        """Return ``factor`` times the ``bid`` or the ``ask`` of now, on the grid."""
        quote = await self.quote()
        touch = quote.bid if side == "bid" else quote.ask
        assert touch is not None  # what ``quote`` returns has both
        return self.instrument.grid.nearest(touch * Decimal(factor))

    # --- what every trial may need ------------------------------------------------------------------------------------

    async def buy(self, qty: Shares) -> int:
        """Buy shares at a limit above the ask; raises ``NotHere`` when they are not had within the bound."""
        number = self.place("BUY", qty, "LMT", limit=await self.price("ask", "1.005"))
        await self.must_rest(number)
        if not await self.until(lambda: self.executed(number) >= qty, FILL_WITHIN):
            raise NotHere(f"{self.orders[number].words()} did not fill within {FILL_WITHIN:g} s")
        return number

    def must_fill_in_parts(self) -> None:
        """Raise ``NotHere`` when orders of two shares have filled in one moment again and again."""
        if self.whole_fills >= 2:
            raise NotHere("two shares fill in one moment here: no order was filled in part")

    async def in_part(self, number: int) -> None:
        """Wait for the first execution of an order of two shares; raises ``NotHere`` unless only one of them has executed."""
        if not await self.until(lambda: self.executed(number) > 0, FILL_WITHIN):
            raise NotHere(f"{self.orders[number].words()} did not fill within {FILL_WITHIN:g} s")
        await self.pause(0.3)
        if self.executed(number) >= self.orders[number].ticket.qty:
            self.whole_fills += 1
            raise NotHere("both shares filled in one moment, and the question is about a part", again=True)

    def must_be_in_part(self, number: int) -> None:
        """Raise ``NotHere`` unless exactly one share of an order has executed by now: what was seen would mean nothing."""
        if self.executed(number) != 1:
            raise NotHere("the rest filled while it was looked at", again=True)

    # --- coming and leaving -------------------------------------------------------------------------------------------

    async def sit_down(self, symbol: str) -> None:
        """Look the symbol up and what is in it; raises ``NotHere`` when the probe must not trade it."""
        self.instrument = await self.data.qualify(symbol)
        con_id = self.con_id = self.instrument.con_id
        found = self.data.contract(con_id) or Contract(
            conId=con_id, symbol=symbol, secType="STK", exchange="SMART", currency="USD"
        )
        self._contract = contract_text(found)
        held, orders = await self.held(), await self.open_orders()
        if held is None or orders is None:
            raise NotHere("positions and open orders were not answered: nothing was placed")
        if held or self.others or orders:
            there = [f"{held} shares"] if held else []
            raise NotHere(
                f"{symbol} has {', '.join([*there, *self.others])}: choose a symbol with no position and no order"
            )
        await self.quote()

    def remains(self) -> tuple[str, ...]:
        """Return what is left of ours as far as is known, in words."""
        left = [placed.words() for placed in self.orders.values() if not placed.is_over]
        net = self.bought()
        return (*left, *([f"{net} {self.instrument.symbol} shares"] if net else []))

    async def clean(self) -> tuple[str, ...]:
        """Cancel what lives, sell what was bought, and look whether it is so; return what remains, in words."""
        why = ""
        for _ in range(CLEANINGS):
            try:
                await self._be_back()
                await self._cancel_all()
                await self._flatten()
                left = await self._verified()
            except BrokerError as error:
                why = str(error)
                if not self.connection.is_served and self.now - self.lost_at > BACK_WITHIN:
                    break
                continue
            if not left:
                return ()
            why = ""
        left = self.remains()
        return left or (f"not verified: {why}" if why else "the account does not show that it is clean",)

    async def _be_back(self) -> None:
        """Wait for a lost link, and learn what happened meanwhile."""
        connection, end = self.connection, self.now + BACK_WITHIN
        while not connection.is_served and self.now < end:  # noqa: ASYNC110  # it comes back by itself, whoever waits
            await asyncio.sleep(BACK_EVERY)
        connection.must_be_served()
        if not self.was_lost:
            return
        await self.executions(0, self.instrument.symbol)
        alive = await self._open_by_now()
        for number, placed in self.orders.items():
            placed.is_over = number not in alive
        self.was_lost = False

    async def _open_by_now(self) -> set[int]:
        """Return which of our orders are open by answers that cannot be too old."""
        until, found = self.now + OLD, await self.open_orders()
        while self.now < until:
            await self.pause(1.0)
            newer = await self.open_orders()
            found = newer if found is None else found | (newer or set())
        newest = await self.open_orders()
        if newest is None:
            raise BrokerError("open orders were not answered completely")
        return newest

    async def _cancel_all(self) -> None:
        for number, placed in self.orders.items():
            if placed.is_over:
                continue
            since = self.cancel(number)

            def ended(number: int = number, placed: Placed = placed, since: int = since) -> bool:
                return placed.is_over or any(_says_gone(said) for said in self.tape.errors(number, since))

            placed.is_over = await self.until(ended, ACK_WITHIN)
        if any(not placed.is_over for placed in self.orders.values()):
            raise BrokerError("a cancel was not confirmed")

    async def _flatten(self) -> None:
        if not self.orders:
            return
        await self.executions(0, self.instrument.symbol)  # some may not have been told yet
        if self.bought() == 0:
            return
        net = await self._agreed()
        if net == 0:
            return
        trial, self.trial = self.trial, "flatten"
        number = self.place("SELL" if net > 0 else "BUY", abs(net), "MKT")
        self.trial = trial
        await self.until(lambda: self.bought() == 0 or self.orders[number].refused, FILL_WITHIN)
        await self.until(lambda: self.orders[number].is_over, ANSWER_WITHIN)
        if self.bought() != 0:
            raise BrokerError(f"{self.orders[number].words()} did not fill: {self.last_error(number)}")
        self.orders[number].is_over = True

    async def _agreed(self) -> Shares:
        """Return what executions say that is ours and the position shows too: nothing else may be sold."""
        end, held = self.now + OLD, await self.held()
        while held != self.bought() and self.now < end:
            await self.executions(0, self.instrument.symbol)
            await self.pause(0.5)
            held = await self.held()
        net = self.bought()
        if held is None or held * net < 0:
            raise BrokerError(f"executions say {net} shares, the position says {held}")
        return min(net, held) if net > 0 else max(net, held)

    async def _verified(self) -> tuple[str, ...]:
        """Return what orders and positions still show of ours, once what they show cannot be old any more."""
        end, left = self.now + OLD, tuple[str, ...](("it was not answered",))
        while self.now < end:
            orders, held = await self.open_orders(), await self.held()
            if orders is not None and held is not None:
                left = (
                    *(f"order {number}" for number in sorted(orders)),
                    *([f"{held} shares"] if held else []),
                )
                if not left:
                    return ()
            await self.pause(0.5)
        return left


def _says_gone(said: Said) -> bool:
    return said.code in NEVER_LEFT or (said.code == FINISHED and "Pending" not in said.text)
