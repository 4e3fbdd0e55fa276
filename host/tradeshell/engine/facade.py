"""``Trading`` for commands: bounded questions to the engine, asked from the main thread.

Laws: a refusal is an ``OperatorError`` with one line; nothing is half started; after a command has returned, what it caused at
once has been announced. A command that ends without its answer (time is up, Ctrl-C) sends nothing later, and says what is out.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from msgspec.structs import replace

from tradeshell.core import inputs as i
from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.guards import Refusal, check_limit, check_sell
from tradeshell.core.limits import check_change, check_duplicate, check_plan_limits, check_stopped
from tradeshell.core.market import Bar, DataKind, Instrument, Price, Quote, Session, Shares
from tradeshell.core.orders import Order, OrderSpec, OrderState, OrderType, Side
from tradeshell.core.outside import why_not_change
from tradeshell.core.plan import TradePlan, check_plan, put_on_grid
from tradeshell.core.standing import claimed
from tradeshell.core.targets import Target
from tradeshell.core.trade import Trade, TradePhase, entry_of
from tradeshell.core.yielding import check_sale
from tradeshell.differences import CancelOutside, Difference, TakeUp
from tradeshell.engine.accounts import not_typed
from tradeshell.engine.doctor import Facts, examine_broker, examine_host, examine_sinks
from tradeshell.engine.reconciling import Reconciling
from tradeshell.engine.runtime import Engine, Unanswered
from tradeshell.engine.targets import compute_targets
from tradeshell.errors import BrokerError, Interrupted, OperatorError, StateError, TradeshellError
from tradeshell.ports import Defaults, KnowsEquity, PluginReport, Sink, TakeProfitOffer, View
from tradeshell.upkeep import EXAMINE_WITHIN, ConfirmsLive, Finding, Margin, NamesSymbols, PreviewsOrders
from tradeshell.words import masked

QUOTE_AGE = 2.0  # seconds: an older touch says nothing about a limit that is typed
HISTORY_TIMEOUT = 30.0  # real seconds: a broker that limits questions has them wait for their turn
RESUME_TIMEOUT = 25.0  # real seconds for what is asked of the broker about a watcher that was left waiting
ANSWER_TIMEOUT = 4.0  # real seconds a command gives the broker to answer an order


class EngineTrading:
    """Implements ``ports.Trading`` over an ``Engine``."""

    def __init__(
        self,
        engine: Engine,
        defaults: Defaults,
        reports: Callable[[], tuple[PluginReport, ...]],
        facts: Facts = Facts(),  # noqa: B008  # frozen
        take_profits: Mapping[str, TakeProfitOffer] | None = None,
    ) -> None:
        self.defaults = defaults
        self._take_profits = take_profits or {}
        self._methods = tuple((name, offer.words) for name, offer in self._take_profits.items())
        self._facts = facts
        self._engine = engine
        self._reports = reports
        self._counter = 0
        self._symbols: dict[str, None] = {}
        self._sending = ""  # the trade that `trade` waits for
        self._last_view: View | None = None

    # --- looking ------------------------------------------------------------------------------------------------------

    def view(self) -> View:
        """Return the present picture."""
        self._last_view = self._engine.call(self._look(), what="the engine")
        return self._last_view

    def glance(self) -> View | None:
        """Return the last picture without waiting, and have a new one made for the next glance."""

        def renew() -> None:
            self._last_view = self._picture()

        self._engine.loop.call_soon_threadsafe(renew)
        return self._last_view

    async def _look(self) -> View:
        return self._picture()

    def _picture(self) -> View:
        session, broker = self._engine.session, self._engine.broker
        known = dict.fromkeys((*session.desk.books, *session.desk.armed, *self._symbols))
        quotes = {symbol: quote for symbol in known if (quote := broker.latest(symbol)) is not None}
        named = broker.symbols() if isinstance(broker, NamesSymbols) else ()
        return View(
            now=session.clock.now(),
            desk=session.desk,
            broker=broker.info(),
            quotes=quotes,
            symbols=tuple(dict.fromkeys((*known, *named))),
            sinks=session.audit.names,
            replaying=bool(self._engine.plan.options.replay),
            blind=self._engine.healer.blind(),
            blocked=self._engine.healer.is_blocked,
            logs=self._engine.log_files(),
            take_profits=self._methods,
            unconfirmed=masked(self._unconfirmed()),
        )

    def instrument(self, symbol: str) -> Instrument:
        """Return the qualified contract."""
        return self._engine.call(self._qualify(symbol), what="the contract lookup")

    async def _qualify(self, symbol: str) -> Instrument:
        instrument = await self._engine.broker.qualify(symbol)
        self._symbols[symbol] = None
        return instrument

    def quote(self, symbol: str) -> Quote | None:
        """Return a fresh touch."""

        async def ask() -> Quote | None:
            await self._qualify(symbol)
            return await self._engine.broker.snapshot(symbol, 1.0) or self._engine.broker.latest(symbol)

        return self._engine.call(ask(), what="the quote")

    def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return past bars."""

        async def ask() -> tuple[Bar, ...]:
            await self._qualify(symbol)
            return await self._engine.broker.history(symbol, seconds, count, rth)

        return self._engine.call(ask(), HISTORY_TIMEOUT, f"the history of {symbol}")

    def take_profits(
        self, method: str, symbol: str, level: Price, count: int, rth: bool, sl: Price | None = None
    ) -> tuple[Target, ...]:
        """Ask a method for targets."""
        offers = self._take_profits
        return compute_targets(self, offers, method, symbol, level, count, rth, sl)

    def session(self, symbol: str) -> Session | None:
        """Return today's trading hours."""

        async def ask() -> Session | None:
            return self._engine.broker.session(symbol, self._engine.session.clock.now())

        return self._engine.call(ask(), what="the trading hours")

    def equity(self) -> Price:
        """Ask what the account is worth."""

        async def ask() -> Price:
            self._must_be_connected()
            broker = self._engine.broker
            if not isinstance(broker, KnowsEquity):
                raise OperatorError(f"{broker.info().name} does not say what the account is worth")
            with self._flowing():
                return await broker.equity()

        return self._engine.call(ask(), ANSWER_TIMEOUT * 2, "the account's equity")

    def plugins(self) -> tuple[PluginReport, ...]:
        """Return what is loaded and what was refused."""
        return self._reports()

    def sink(self, name: str) -> Sink | None:
        """Return an open sink."""
        return next((sink for its, sink in self._engine.session.audit.sinks if its == name), None)

    def examine(self) -> tuple[Finding, ...]:
        """Examine the host, then the broker."""
        engine = self._engine
        found = examine_host(self._facts, self._reports(), self.view())

        async def ask() -> tuple[Finding, ...]:
            with self._flowing():
                sinks = await examine_sinks(engine.session.audit.sinks)
                return (*sinks, *await examine_broker(engine.broker, engine.session.clock))

        return (*found, *engine.call(ask(), EXAMINE_WITHIN * 2, "the broker"))

    # --- watchers -----------------------------------------------------------------------------------------------------

    def preview(self, plan: TradePlan) -> Margin | None:
        """Ask the broker what the plan's entry would change; an order of which nothing comes."""
        limit = plan.level if plan.level is not None else plan.limit

        async def ask() -> Margin | None:
            broker, desk = self._engine.broker, self._engine.session.desk
            if not isinstance(broker, PreviewsOrders) or not desk.link.is_open or limit is None:
                return None
            instrument = await self._qualify(plan.symbol)
            order = OrderSpec(
                ref="preview",
                symbol=plan.symbol,
                con_id=instrument.con_id,
                account=plan.account,
                side=plan.side,
                qty=plan.qty,
                type=OrderType.LIMIT,
                limit=limit,
                tif=plan.tif,
                outside_rth=plan.outside_rth,
            )
            return await broker.preview(self._engine.session.accounts.to_broker(order))

        return self._engine.call(ask(), what="the margin")

    def start_watch(
        self, strategy: str, plan: TradePlan, params: Mapping[str, str], another: bool = False
    ) -> str:
        """Start a watcher."""
        return self._engine.call(self._start_watch(strategy, plan, dict(params), another))

    async def _start_watch(
        self, strategy: str, plan: TradePlan, params: dict[str, str], another: bool
    ) -> str:
        session, broker = self._engine.session, self._engine.broker
        self._must_be_connected()
        instrument = await self._qualify(plan.symbol)
        plan = put_on_grid(plan, instrument.grid)
        check_plan(plan)
        plan = self._own_account(plan)
        _refuse(check_stopped(session.desk, plan.symbol, plan.side))
        _refuse(check_plan_limits(session.desk, plan, plan.level))
        now = session.clock.now()
        hours = broker.session(plan.symbol, now)
        end = None if hours is None else (hours.extended_close if plan.outside_rth else hours.close)
        if hours is None or end is None or now >= end:
            raise OperatorError(
                f"{plan.symbol}: the session of {now:%Y-%m-%d} is over; watchers end at its close"
            )
        quote = broker.latest(plan.symbol)
        if quote is not None and quote.kind is DataKind.DELAYED:
            raise OperatorError(f"{plan.symbol}: market data is delayed; a watcher needs live data")
        running = [
            w.spec.id
            for w in session.desk.watchers.values()
            if w.spec.plan.symbol == plan.symbol and w.phase is not WatchPhase.DONE
        ]
        if running and not another:
            first = session.desk.watchers[running[0]]
            what = (
                f"is watched already by {running[0]}: another=true starts a second one, "
                f"`breakout cancel {plan.symbol}` ends the first"
                if first.phase is WatchPhase.ARMED
                else f"has the watcher {running[0]} that was left waiting: `{first.spec.strategy} resume {plan.symbol}` "
                f"arms it, `{first.spec.strategy} cancel {plan.symbol}` ends it"
                if first.phase is WatchPhase.PAUSED
                else f"has an open trade of {running[0]}: another=true starts a second watcher beside it"
            )
            raise OperatorError(f"{plan.symbol} {what}")
        id_ = self._new_id(strategy[:2])
        watch = i.WatchSpec(
            id=id_, strategy=strategy, plan=plan, params=params, instrument=instrument, session=hours
        )
        session.submit(i.WatchRequested(at=now, watch=watch))
        started = session.desk.watchers[id_]
        if started.end_reason == "no_bars":
            raise OperatorError(f"{plan.symbol}: these bars cannot be had; the watcher was not started")
        if not session.is_recorded(id_):
            session.submit(i.WatchCancelRequested(at=now, watch=id_))
            raise StateError(f"{plan.symbol}: the journal cannot be written; the watcher was not started")
        return id_

    def cancel_watch(self, watch: str) -> None:
        """Cancel a watcher."""

        async def cancel() -> None:
            session = self._engine.session
            session.submit(i.WatchCancelRequested(at=session.clock.now(), watch=watch))
            await self._breathe()

        self._engine.call(cancel())

    def resume_watch(self, watch: str) -> None:
        """Arm a paused watcher all the same."""

        async def resume() -> None:
            self._must_be_connected()
            with self._flowing():
                await self._engine.resumer.resume(watch)
            await self._breathe()

        self._engine.call(resume(), RESUME_TIMEOUT, "the broker")
        watcher = self.view().desk.watchers.get(watch)
        if watcher is not None and watcher.phase is WatchPhase.PAUSED:
            raise OperatorError(f"{watcher.spec.plan.symbol} {watch} is not armed: {watcher.asks}")

    # --- orders -------------------------------------------------------------------------------------------------------

    def trade(self, plan: TradePlan, again: bool = False) -> str:
        """Send an order now."""
        self._sending = ""
        try:
            return self._engine.call(self._trade(plan, again), ANSWER_TIMEOUT * 2, "the broker")
        except (Unanswered, KeyboardInterrupt) as error:
            words = self._given_up()
            if isinstance(error, Unanswered):
                raise Unanswered(f"{plan.symbol}: {error}; {words}") from None
            raise Interrupted(f"{plan.symbol}: interrupted; {words}") from None

    def _given_up(self) -> str:
        """Say what became of the order whose call was given up; only the engine knows whether it left before it heard so."""

        async def is_out() -> bool:
            await self._breathe()  # let the call end: it has the trade abandoned
            return self._has_left(self._sending)

        try:
            found = self._engine.call(is_out(), ANSWER_TIMEOUT)
        except TradeshellError:
            return "whether the order is out is not known: see `orders`"
        return "the order is out: see `orders`" if found else "the order was not sent"

    async def _trade(self, plan: TradePlan, again: bool) -> str:
        session = self._engine.session
        self._must_be_connected()
        instrument = await self._qualify(plan.symbol)
        plan = put_on_grid(plan, instrument.grid)
        check_plan(plan)
        plan = self._own_account(plan)
        now = session.clock.now()
        _refuse(check_stopped(session.desk, plan.symbol, plan.side))
        if not again and (duplicate := check_duplicate(session.desk, plan, now)) is not None:
            raise OperatorError(f"{plan.side.value.lower()} {plan.symbol} {plan.qty}: {duplicate.detail}")
        if plan.side is Side.SELL:
            book = session.desk.books.get(plan.symbol)
            others = check_sell(plan.symbol, plan.qty, *self._others(plan.symbol)) if book is None else None
            _refuse(others if book is None else check_sale(book, plan.qty))
        _refuse(check_plan_limits(session.desk, plan, self._price_of(plan)))
        self._sending = id_ = self._new_id("m")
        try:
            session.submit(i.TradeRequested(at=now, id=id_, plan=plan, instrument=instrument))
            await self._until_in_time(lambda: self._has_answer(id_))
        except asyncio.CancelledError:
            # Nothing may be sent any more for a trade that still asks for its touch; one whose orders left goes on.
            session.submit(i.TradeAbandoned(at=session.clock.now(), id=id_))
            raise
        trade = session.desk.trade(id_)
        assert trade is not None
        entry = self._entry(trade)
        if entry is None:
            raise OperatorError(f"{plan.symbol}: the order was refused before it left ({trade.end_reason})")
        if entry.state is OrderState.REFUSED:
            raise BrokerError(f"{plan.symbol}: the broker refused the order: {entry.why}")
        await self._breathe()
        return id_

    def _price_of(self, plan: TradePlan) -> Price | None:
        """Return what a share is about to cost (USD), as far as it is known without waiting."""
        if plan.limit is not None or plan.level is not None:
            return plan.limit if plan.limit is not None else plan.level
        quote = self._engine.broker.latest(plan.symbol)
        return None if quote is None else (quote.ask if plan.side is Side.BUY else quote.bid)

    def _others(self, symbol: str) -> tuple[Shares, Shares]:
        """Return the shares of a symbol that was never traded here, and those that orders called as ours could sell."""
        desk = self._engine.session.desk
        position = desk.positions.get(symbol)
        held = 0 if position is None else max(0, position.qty)
        return held, claimed(desk.outside.values(), symbol, desk.account)

    def _has_left(self, id_: str) -> bool:
        trade = self._engine.session.desk.trade(id_)
        entry = None if trade is None else self._entry(trade)
        return entry is not None and entry.state is not OrderState.REFUSED

    def _has_answer(self, id_: str) -> bool:
        trade = self._engine.session.desk.trade(id_)
        if trade is None or trade.phase is TradePhase.ASKING:
            return False
        entry = self._entry(trade)
        return entry is None or entry.state is not OrderState.SENT

    def _entry(self, trade: Trade) -> Order | None:
        return entry_of(trade, self._engine.session.desk.books[trade.plan.symbol].orders)

    def cancel_order(self, ref: str) -> None:
        """Ask to cancel an order."""
        self._engine.call(self._ask_about(ref, lambda at: i.CancelRequested(at=at, ref=ref)))

    def replace_order(self, ref: str, limit: Price | None, stop: Price | None, qty: Shares | None) -> None:
        """Ask to change an order."""

        def request(at: datetime) -> i.Input:
            desk = self._engine.session.desk
            if (known := desk.outside.get(ref)) is not None and (why := why_not_change(desk, known, qty)):
                raise OperatorError(f"order {known.order.order_id}: {why}")
            order = desk.order(ref)
            trade = None if order is None else desk.books[order.spec.symbol].trade_of(ref)
            if order is not None and trade is not None:
                _refuse(check_change(desk, trade, order, qty, limit, at))
            if order is not None and limit is not None and order.spec.type is OrderType.LIMIT:
                _refuse(self._check_limit(order, limit, at))
            return i.ReplaceRequested(at=at, ref=ref, limit=limit, stop=stop, qty=qty)

        self._engine.call(self._ask_about(ref, request))

    def _check_limit(self, order: Order, limit: Price, at: datetime) -> Refusal | None:
        quote = self._engine.broker.latest(order.spec.symbol)
        collar = self._engine.session.desk.policy.limits.collar
        return check_limit(order.spec.side, limit, quote, QUOTE_AGE, collar, at)

    def stop_entries(self, on: bool) -> bool:
        """Stop or allow entries."""

        async def stop() -> None:
            session = self._engine.session
            session.submit(i.StopEntryRequested(at=session.clock.now(), on=on))
            await self._breathe()

        self._engine.call(stop())
        return self._engine.keep()

    def flatten(self, symbol: str | None) -> None:
        """Have the shares of our trades sold."""

        async def flatten() -> None:
            session = self._engine.session
            session.submit(i.FlattenRequested(at=session.clock.now(), symbol=symbol))
            await self._breathe()

        self._engine.call(flatten())

    async def _ask_about(self, ref: str, make: Callable[[datetime], i.Input]) -> None:
        session = self._engine.session
        self._must_be_connected()
        if ref in session.desk.outside:
            session.submit(make(session.clock.now()))
            await self._breathe()
            return
        order = session.desk.order(ref)
        if order is None or not order.state.is_live:
            state = "unknown" if order is None else order.state.value
            raise OperatorError(f"{ref}: this order is {state}; `orders` lists those that work")
        if order.changing or order.cancelling:
            raise OperatorError(f"{ref}: a change or a cancel is on its way; try again when it is answered")
        session.submit(make(session.clock.now()))
        await self._breathe()
        after = session.desk.order(ref)
        if after is not None and after.why and after.why != order.why and after.state.is_live:
            raise BrokerError(f"{ref}: {after.why}")

    # --- time and link ------------------------------------------------------------------------------------------------

    def wait(self, symbols: tuple[str, ...], timeout: float | None) -> bool:
        """Block until watchers and trades are over."""
        return self._engine.call(self._wait(symbols, timeout), None, "the end of watchers and trades")

    async def _wait(self, symbols: tuple[str, ...], seconds: float | None) -> bool:
        with self._flowing():
            try:
                async with asyncio.timeout(seconds):
                    await self._until(lambda: not self._engine.session.desk.busy(symbols))
            except TimeoutError:
                return False
        return True

    def wait_until_flat(self, symbols: tuple[str, ...], timeout: float) -> bool:
        """Block until our trades are flat."""

        async def wait() -> bool:
            try:
                async with asyncio.timeout(timeout):
                    await self._until_in_time(lambda: is_flat(self._engine.session.desk, symbols))
            except TimeoutError:
                return False
            return True

        return self._engine.call(wait(), None, "the last share to be sold")

    def connect(self) -> None:
        """Connect and reconcile."""

        async def connect() -> None:
            session = self._engine.session
            if session.desk.link.is_open:
                raise OperatorError("already connected; `status` shows to whom")
            session.unreconciled = session.unconfirmed = ""  # of the attempt before
            if session.desk.link.up:
                session.reconcile()
            else:
                await self._engine.broker.connect()
            await self._until_in_time(
                lambda: session.desk.link.is_open or session.unreconciled != "" or session.unconfirmed != ""
            )
            if session.unconfirmed:
                raise BrokerError(not_typed(session.unconfirmed))
            if session.unreconciled:
                raise BrokerError(
                    f"connected, but orders and positions are not known: {session.unreconciled}; type: connect"
                )

        self._engine.call(connect(), 30.0, "the broker")

    def confirm_live(self, typed: str) -> None:
        """Allow a live account for as long as the program runs; its whole id has to be typed, an alias is none."""

        async def confirm() -> None:
            session, broker, waiting = self._engine.session, self._engine.broker, self._unconfirmed()
            if not waiting:
                raise OperatorError("no live account waits for its id")
            if typed.strip().upper() != waiting:
                raise OperatorError(
                    f"that is not the id of {masked(waiting)}: it is not traded · `connect` asks again"
                )
            session.live_account, session.unconfirmed = waiting, ""
            if isinstance(broker, ConfirmsLive):
                broker.confirm_live(waiting)

        self._engine.call(confirm())

    def _unconfirmed(self) -> str:
        """Return the whole id of the live account that waits for it to be typed."""
        broker = self._engine.broker
        return self._engine.session.unconfirmed or (
            broker.unconfirmed() if isinstance(broker, ConfirmsLive) else ""
        )

    def reconcile(self) -> tuple[Difference, ...]:
        """Compare with the broker now."""

        async def compare() -> tuple[Difference, ...]:
            session = self._engine.session
            self._must_be_connected()
            reconciling = self._reconciling()
            done = reconciling.rounds
            reconciling.is_asked = True
            session.reconcile()
            await self._until_in_time(lambda: reconciling.rounds > done or session.unreconciled != "")
            if session.unreconciled:
                raise BrokerError(f"orders and positions are not known: {session.unreconciled}; try again")
            return tuple(row.difference for row in reconciling.rows)

        return self._engine.call(compare(), 30.0, "the broker")

    def settle_difference(self, row: int) -> Difference:
        """Do what a row offers."""

        async def settle() -> Difference:
            rows = self._reconciling().rows
            if not 1 <= row <= len(rows):
                said = f"there are {len(rows)} rows" if rows else "nothing was found"
                raise OperatorError(f"row {row}: {said}; `reconcile` compares again and numbers them")
            difference = rows[row - 1].difference
            await self._settle(row, difference)
            await self._breathe()
            return difference

        return self._engine.call(settle(), ANSWER_TIMEOUT * 2, "the broker")

    async def _settle(self, row: int, difference: Difference) -> None:
        session = self._engine.session
        self._must_be_connected()
        match difference.fix:
            case None:
                raise OperatorError(f"row {row}: nothing is to be done here: {difference.done}")
            case CancelOutside(keys):
                living = [key for key in keys if key in session.desk.outside]
                if not living:
                    raise OperatorError(f"row {row}: that order is not there any more; type: reconcile")
                for key in living:
                    session.submit(i.CancelRequested(at=session.clock.now(), ref=key))
            case TakeUp(id=id_, plan=plan, executions=executions):
                instrument = await self._qualify(plan.symbol)
                session.submit(
                    i.TakeUpRequested(
                        at=session.clock.now(),
                        id=id_,
                        plan=put_on_grid(self._own_account(plan), instrument.grid),
                        instrument=instrument,
                        executions=executions,
                    )
                )

    def _reconciling(self) -> Reconciling:
        found = self._engine.session.reconciling
        if found is None:
            raise OperatorError("no reconciler is installed: pip install 'tradeshell[all]'")
        return found

    def disconnect(self) -> None:
        """Disconnect."""

        async def disconnect() -> None:
            if not self._engine.session.desk.link.up:
                raise OperatorError("not connected; `connect` connects")
            await self._engine.broker.disconnect()

        self._engine.call(disconnect(), 10.0, "the broker")

    def _must_be_connected(self) -> None:
        link = self._engine.session.desk.link
        if not link.is_open:
            raise OperatorError(f"not connected to the broker ({link.why}); {link.way_back}")

    def _own_account(self, plan: TradePlan) -> TradePlan:
        """Return the plan with the connected account's alias; raises ``OperatorError`` when another one was typed."""
        session = self._engine.session
        if session.desk.account not in (plan.account, session.accounts.meant_by(plan.account)):
            raise OperatorError(
                f"account={masked(plan.account)} is not the connected account; leave account= away"
            )
        return replace(plan, account=session.desk.account)

    async def _until_in_time(self, is_true: Callable[[], bool]) -> None:
        """Wait until ``is_true``; a venue's held time flows meanwhile, unless turns of the loop suffice."""
        if (loop := self._engine.venue_loop) is not None and loop.is_held:
            await self._breathe()
        with self._flowing():
            await self._until(is_true)

    @contextmanager
    def _flowing(self) -> Iterator[None]:
        loop = self._engine.venue_loop
        if loop is None or not loop.is_held:
            yield
            return
        loop.release()
        try:
            yield
        finally:
            loop.hold()

    async def _until(self, is_true: Callable[[], bool]) -> None:
        """Wait until ``is_true``; looked at after every change of the desk."""
        if is_true():
            return
        done = asyncio.get_running_loop().create_future()

        def look() -> None:
            if not done.done() and is_true():
                done.set_result(None)

        changed = self._engine.session.changed
        changed.append(look)
        try:
            await done
        finally:
            changed.remove(look)

    async def _breathe(self) -> None:
        """Let what is ready happen, without any time passing: an in-process venue answers in the same instant."""
        for _ in range(20):
            await asyncio.sleep(0)

    def _new_id(self, prefix: str) -> str:
        self._counter += 1
        seed = f"{self._engine.plan.session}:{self._counter}".encode()
        nonce = base64.b32encode(hashlib.blake2s(seed, digest_size=5).digest()).decode().lower()[:5]
        return f"{prefix}-{nonce}"


def _refuse(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise OperatorError(f"{refusal.reason}: {refusal.detail}")


def is_flat(desk: Desk, symbols: tuple[str, ...]) -> bool:
    """Return whether our trades in ``symbols`` hold nothing and none of their orders is at work."""
    return not any(
        trade.phase is not TradePhase.CLOSED
        for symbol in symbols
        if (book := desk.books.get(symbol)) is not None
        for trade in book.trades.values()
    )
