"""The hands of the probe: places, changes and cancels over a connection, hears what comes of it, and cleans up.

Laws: an order is written down before its bytes leave; a wait ends by its bound or with the link; what counts as bought and sold
is our own executions alone; nothing is sold that these do not show as bought.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from ib_async.contract import Contract
from ib_async.objects import CommissionReport, Execution, ExecutionFilter
from ib_async.order import Order, OrderState
from msgspec.structs import replace

from tradeshell import BrokerError, DataKind, Instrument, Price, Quote, RefusedWhat, Shares
from tradeshell_ibkr.codes import about_order
from tradeshell_ibkr.connection import Connection
from tradeshell_ibkr.encode import Ticket, cancel_order, contract_text, place_order
from tradeshell_ibkr.market_data import MarketData
from tradeshell_ibkr.pacing import Priority
from tradeshell_ibkr.probe.answers import NotHere
from tradeshell_ibkr.probe.tape import CANCELLED, FINAL, Said, Tape
from tradeshell_ibkr.translate import price_text, shares_of

REF = "probe"  # orders are called probe:TRIAL:NUMBER
ACK_WITHIN = 8.0  # seconds for the first word about an order
FILL_WITHIN = 45.0
QUOTE_WITHIN = 5.0
ANSWER_WITHIN = 4.0
BACK_WITHIN = 60.0  # seconds in which a lost link has to be back for cleaning up
BACK_EVERY = 0.5
OLD = 8.0  # seconds by which what is said of open orders and positions may lie behind
CLEANINGS = 3
NEVER_LEFT = (10147, 135)  # errors by which the gateway says that there is no such order
FINISHED = 10148


class Placed:
    """One order of ours."""

    def __init__(self, ticket: Ticket, sent_at: float) -> None:
        self.ticket, self.sent_at = ticket, sent_at
        self.is_over = False
        self.refused = 0  # the code of its refusal

    def words(self) -> str:
        """Return it in words."""
        t = self.ticket
        prices = "/".join(text for text in (t.stop, t.limit) if text) or "market"
        return f"order {t.order_id}: {t.action} {t.qty} {t.type} {prices} {t.tif or 'DAY'}"


class Bench:
    """One symbol of one paper account, and the orders that were placed in it from here."""

    def __init__(self, connection: Connection, data: MarketData) -> None:
        self.connection, self.data = connection, data
        self.tape = Tape()
        self.orders: dict[int, Placed] = {}
        self.others: list[str] = []  # orders in the symbol that are not ours, of the last answer
        self.trial = ""
        self.whole_fills = 0  # orders of two shares that filled in one moment
        self.instrument: Instrument
        self._contract = ""
        self._executions: dict[str, tuple[int, Shares]] = {}  # revision and signed shares, by execution
        self._positions: dict[int, Shares] = {}
        self._shown: set[int] | None = None  # while open orders are answered
        self._waiting: set[asyncio.Future[None]] = set()
        self._ended: set[str] = set()  # answers that are complete
        self._was_lost, self._lost_at = False, 0.0
        self._con_id = 0
        hub = connection.hub
        hub.listen("openOrder", self._order)
        hub.listen("orderStatus", self._status)
        hub.listen("execDetails", self._execution)
        hub.listen("commissionReport", self._fee)
        hub.listen("position", self._position)
        hub.listen("completedOrder", self._completed)
        hub.listen("openOrderEnd", lambda: self._end("orders"))
        hub.listen("positionEnd", lambda: self._end("positions"))
        hub.listen("completedOrdersEnd", lambda: self._end("completed"))
        hub.listen("execDetailsEnd", lambda number: self._end(f"executions {number}"))
        connection.on_order_error = self._error
        connection.on_down.append(self._lost)

    # --- time and waiting ---------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """Seconds of the loop's clock."""
        return asyncio.get_running_loop().time()

    async def until(self, check: Callable[[], object], seconds: float) -> bool:
        """Wait until something is true, for so long at most; return whether it is. Raises ``BrokerError`` when the link goes."""
        end = self.now + seconds
        while not check():
            self.connection.must_be_served()
            if self.now >= end:
                return False
            word: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(word)
            try:
                await asyncio.wait((word,), timeout=end - self.now)
            finally:
                self._waiting.discard(word)
        return True

    async def pause(self, seconds: float) -> None:
        """Let time pass and hear what comes."""
        await self.until(bool, seconds)

    def _wake(self) -> None:
        for word in self._waiting:
            if not word.done():
                word.set_result(None)

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

    def executed(self, number: int) -> Shares:
        """Return how many shares of an order have executed."""
        return sum(s.filled for s in self.tape.of(number, "execution"))

    def last_error(self, number: int) -> str:
        """Return the broker's last words about an order."""
        errors = self.tape.errors(number)
        return f"{errors[-1].code} {errors[-1].text}" if errors else "without a word"

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
            raise NotHere("both shares filled in one moment, and the question is about a part")

    # --- questions to the gateway -------------------------------------------------------------------------------------

    async def open_orders(self) -> set[int] | None:
        """Return which of our orders are open by a fresh answer, ``None`` when it is not complete in time."""
        self._shown = shown = set[int]()
        self.others.clear()
        try:
            return shown if await self._answered("orders", "reqAllOpenOrders") else None
        finally:
            self._shown = None

    async def held(self) -> Shares | None:
        """Return the position in the symbol by a fresh answer, ``None`` when it is not complete in time."""
        self._positions.pop(self._con_id, None)
        if await self._answered("positions", "reqPositions"):
            return self._positions.get(self._con_id, 0)
        return None

    async def completed(self) -> bool:
        """Ask for completed orders; return whether the answer was complete in time."""
        return await self._answered("completed", "reqCompletedOrders", True)

    async def executions(self, client_id: int) -> bool:
        """Ask for executions in the symbol; return whether the answer was complete in time."""
        connection = self.connection
        number = connection.request_id()
        wanted = ExecutionFilter(
            clientId=client_id, acctCode=connection.account, symbol=self.instrument.symbol
        )
        return await self._answered(f"executions {number}", "reqExecutions", number, wanted)

    async def _answered(self, name: str, method: str, *args: Any) -> bool:
        self._ended.discard(name)
        self.connection.ask(method, *args, priority=Priority.QUESTION)
        return await self.until(lambda: name in self._ended, ANSWER_WITHIN)

    # --- coming and leaving -------------------------------------------------------------------------------------------

    async def sit_down(self, symbol: str) -> None:
        """Look the symbol up and what is in it; raises ``NotHere`` when the probe must not trade it."""
        self.instrument = await self.data.qualify(symbol)
        con_id = self._con_id = self.instrument.con_id
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

    def bought(self) -> Shares:
        """Return what our executions add up to: shares bought less shares sold."""
        return sum(shares for _, shares in self._executions.values())

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
                if not self.connection.is_served and self.now - self._lost_at > BACK_WITHIN:
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
        if not self._was_lost:
            return
        await self.executions(0)
        alive = await self._open_by_now()
        for number, placed in self.orders.items():
            placed.is_over = number not in alive
        self._was_lost = False

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
        net = self.bought()
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

    # --- what is said -------------------------------------------------------------------------------------------------

    def _hear(self, said: Said) -> None:
        self.tape.said.append(said)
        self._wake()

    def _order(self, number: int, contract: Contract, order: Order, state: OrderState) -> None:
        is_mine = order.clientId == self.connection.settings.client_id and number in self.orders
        if not is_mine:
            if contract.conId == self._con_id and order.account in ("", self.connection.account):
                self.others.append(
                    f"an order of client {order.clientId} ({order.action} {order.totalQuantity:g})"
                )
            return
        if self._shown is not None:
            self._shown.add(number)
        price = order.auxPrice if order.orderType == "STP" else order.lmtPrice
        total = shares_of(order.totalQuantity)
        self._hear(
            Said(
                at=self.now,
                kind="order",
                order=number,
                status=state.status,
                total=total,
                price=float(price or 0),
            )
        )

    def _status(
        self, number: int, status: str, filled: float, remaining: float, average: float = 0.0, perm: int = 0,
        parent: int = 0, last: float = 0.0, client: int = 0, *_: object,
    ) -> None:  # fmt: skip
        del average, perm, parent, last
        placed = self.orders.get(number)
        if placed is None or client != self.connection.settings.client_id:
            return
        placed.is_over = placed.is_over or status in FINAL
        self._hear(
            Said(
                at=self.now,
                kind="status",
                order=number,
                status=status,
                filled=shares_of(filled),
                remaining=shares_of(remaining),
            )
        )

    def _execution(self, number: int, contract: Contract, execution: Execution) -> None:
        del number
        is_mine = execution.orderRef.startswith(f"{REF}:") and execution.orderId in self.orders
        if not is_mine or contract.conId != self._con_id:
            return
        stem, _, revision = execution.execId.rpartition(".")
        known = self._executions.get(stem)
        shares = shares_of(execution.shares)
        if known is not None and known[0] >= int(revision or 0):
            return
        self._executions[stem] = (int(revision or 0), shares if execution.side == "BOT" else -shares)
        order = execution.orderId
        self._hear(Said(at=self.now, kind="execution", order=order, filled=shares, exec_id=execution.execId))

    def _fee(self, report: CommissionReport) -> None:
        self._hear(Said(at=self.now, kind="fee", exec_id=report.execId))

    def _position(self, account: str, contract: Contract, qty: float, average: float) -> None:
        del average
        if account == self.connection.account and contract.secType == "STK":
            self._positions[contract.conId] = shares_of(qty)
            if contract.conId == self._con_id:
                self._hear(Said(at=self.now, kind="position", filled=shares_of(qty)))

    def _completed(self, contract: Contract, order: Order, state: OrderState) -> None:
        del contract
        _, _, number = order.orderRef.rpartition(":")
        if order.orderRef.startswith(f"{REF}:") and number.isdigit():
            self._hear(Said(at=self.now, kind="completed", order=int(number), status=state.status))

    def _error(self, number: int, code: int, text: str) -> None:
        placed = self.orders.get(number)
        if placed is None:
            return
        is_new = self.tape.last(number, "status") is None and self.executed(number) == 0
        if code == CANCELLED:
            placed.is_over = True
        elif (
            is_new
            and about_order(code, is_new=True, is_changing=False, is_cancelling=False) is RefusedWhat.ORDER
        ):
            placed.refused, placed.is_over = code, True
        self._hear(Said(at=self.now, kind="error", order=number, code=code, text=text))

    def _end(self, name: str) -> None:
        self._ended.add(name)
        self._wake()

    def _lost(self, why: str) -> None:
        del why
        self._was_lost, self._lost_at = True, self.now
        self._wake()


def _says_gone(said: Said) -> bool:
    return said.code in NEVER_LEFT or (said.code == FINISHED and "Pending" not in said.text)
