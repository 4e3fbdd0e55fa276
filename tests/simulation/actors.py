"""Who does something in a schedule: the operator at the shell, hands in the account, the broker's clerks, the link.

Laws: the operator can do what the shell lets him do at that instant, no more; whoever acts chooses among what is there, by the
number drawn for the act. An act that finds nothing to act on does nothing and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from tests.simulation.faults import Act
from tests.simulation.life import Life
from tests.simulation.loop import SECOND, SimClock, SimLoop
from tests.simulation.schedule import Ask, Schedule
from tests.simulation.venue import SimVenue, contract

from tradeshell.core import inputs as i
from tradeshell.core.guards import check_sell
from tradeshell.core.market import US_STOCK_GRID, Quote
from tradeshell.core.orders import Order, OrderSpec, OrderState, OrderType, Side, Tif
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan, check_plan, put_on_grid
from tradeshell.core.trade import leg_of
from tradeshell.errors import TradeshellError
from tradeshell_paper.matching import Exchange, Reports

TRIES = 40
AGAIN = 700_000  # microseconds between tries
FOREIGN = 99  # the client number of whoever else trades the account


class Stage(Protocol):
    """What actors act on."""

    schedule: Schedule
    loop: SimLoop
    clock: SimClock
    venue: SimVenue
    life: Life | None

    def operated(self, what: str, **about: Any) -> None:
        """Put down what the operator asked for."""
        ...

    def over(self) -> list[i.OrderReport]:
        """Return the orders that the venue holds for ended, as they stand."""
        ...

    def note(self, who: str, text: str, **more: Any) -> None:
        """Write down what somebody did."""
        ...


class Actors:
    """Carries out asks and acts."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._typed = 0
        self._foreign = 0
        self._stopped = False
        self._deeds: dict[str, Callable[[Act], str]] = {
            name.removeprefix("_do_"): getattr(self, name) for name in dir(self) if name.startswith("_do_")
        }

    def act(self, act: Act, tries: int = TRIES) -> None:
        """Do it as soon as there is something to act on, unless the suffix without faults has begun."""
        stage = self._stage
        if stage.loop.micros >= stage.schedule.fault_free_from:
            return
        try:
            said = self._deeds[act.what](act)
        except TradeshellError as refusal:
            said = f"refused: {refusal}"
        if said.startswith("no ") and tries > 0:  # there is nothing to act on yet
            stage.loop.at(stage.loop.micros + AGAIN, self.act, act, tries - 1)
            return
        stage.note(act.who, f"{act.what}: {said}", what=act.what)

    # --- asks ---------------------------------------------------------------------------------------------------------

    def ask(self, ask: Ask, number: int) -> None:
        """Start a watcher or type an order."""
        life = self._stage.life
        if life is None or not life.alive:
            return
        if not life.session.desk.link.up:
            self._stage.loop.at(self._stage.loop.micros + SECOND, self.ask, ask, number)
            return
        life.enter(self._start, life, ask, number)

    def _start(self, life: Life, ask: Ask, number: int) -> None:
        stage, session = self._stage, life.session
        now = stage.clock.now()
        instrument = contract(stage.venue, ask.symbol)
        plan = put_on_grid(TradePlan(**ask.plan, account=session.desk.account), instrument.grid)
        check_plan(plan)
        try:
            if ask.bars:
                watch = i.WatchSpec(
                    id=f"br-{number}",
                    strategy="breakout",
                    plan=plan,
                    params={"bar": str(ask.bars), "rth": str(not plan.outside_rth).lower(), "max_bars": ""},
                    instrument=instrument,
                    session=stage.venue.session(ask.symbol, now),
                )
                session.submit(i.WatchRequested(at=now, watch=watch))
            else:
                session.submit(i.TradeRequested(at=now, id=f"m-{number}", plan=plan, instrument=instrument))
        except TradeshellError as refusal:
            stage.note("operator", f"{ask.symbol}: refused: {refusal}", what="refused ask")
            return
        words = f"breakout {ask.symbol}" if ask.bars else f"buy {ask.symbol}"
        stage.note("operator", f"{words} qty={plan.qty} {plan.mode.value}", what="ask")

    # --- the operator -------------------------------------------------------------------------------------------------

    def _submit(self, make: Callable[[], i.Input], what: str, **about: Any) -> str:
        life = self._stage.life
        if life is None or not life.alive:
            return "nobody there"
        life.enter(self._submit_now, life, make, what, about)
        return "typed"

    def _submit_now(self, life: Life, make: Callable[[], i.Input], what: str, about: dict[str, Any]) -> None:
        self._stage.operated(what, **about)
        try:
            life.session.submit(make())
        except TradeshellError as refusal:
            self._stage.note("operator", f"refused: {refusal}", what="refused")

    def _orders(self, wanted: Callable[[Order], bool]) -> list[Order]:
        """Return our orders that the shell would let the operator change now."""
        life = self._stage.life
        if life is None or not life.alive or not life.session.desk.link.up:
            return []
        return [
            order
            for order in life.session.desk.orders()
            if order.state.is_live and not order.changing and not order.cancelling and wanted(order)
        ]

    def _do_cancel_watch(self, act: Act) -> str:
        life = self._stage.life
        watches = [] if life is None else list(life.session.desk.watchers)
        if not watches:
            return "no watcher"
        watch = watches[act.pick % len(watches)]
        return self._submit(lambda: i.WatchCancelRequested(at=self._stage.clock.now(), watch=watch), "cancel_watch", watch=watch)

    def _do_cancel(self, act: Act) -> str:
        found = self._orders(lambda order: True)
        if not found:
            return "no order"
        ref = found[act.pick % len(found)].spec.ref
        return f"{leg_of(ref)} " + self._submit(lambda: i.CancelRequested(at=self._stage.clock.now(), ref=ref), "cancel", ref=ref)

    def _tick(self, order: Order) -> Decimal:
        return self._stage.schedule.paths[order.spec.symbol].shape.tick

    def _do_replace_stop(self, act: Act) -> str:
        found = self._orders(lambda order: order.spec.stop is not None and order.spec.side is Side.SELL)
        if not found:
            return "no stop"
        order = found[act.pick % len(found)]
        assert order.spec.stop is not None
        stop = US_STOCK_GRID.down(order.spec.stop + self._tick(order) * (act.number - 20))
        return f"{leg_of(order.spec.ref)} {stop} " + self._submit(
            lambda: i.ReplaceRequested(at=self._stage.clock.now(), ref=order.spec.ref, stop=stop), "replace", ref=order.spec.ref
        )

    def _do_replace_limit(self, act: Act) -> str:
        found = self._orders(lambda order: order.spec.type is OrderType.LIMIT)
        if not found:
            return "no limit"
        order = found[act.pick % len(found)]
        assert order.spec.limit is not None
        limit = US_STOCK_GRID.down(order.spec.limit + self._tick(order) * (act.number - 30))
        return f"{leg_of(order.spec.ref)} {limit} " + self._submit(
            lambda: i.ReplaceRequested(at=self._stage.clock.now(), ref=order.spec.ref, limit=limit), "replace", ref=order.spec.ref
        )

    def _do_replace_qty(self, act: Act) -> str:
        found = self._orders(lambda order: order.spec.qty > 1)
        if not found:
            return "no order"
        order = found[act.pick % len(found)]
        qty = 1 + act.number % order.spec.qty
        return f"{leg_of(order.spec.ref)} {qty} " + self._submit(
            lambda: i.ReplaceRequested(at=self._stage.clock.now(), ref=order.spec.ref, qty=qty), "replace", ref=order.spec.ref
        )

    def _trade(self, act: Act, side: Side, qty: int) -> str:
        life = self._stage.life
        if life is None or not life.alive or not life.session.desk.link.up:
            return "not connected"
        book = life.session.desk.books.get(act.symbol)
        if side is Side.SELL:
            held, committed = (0, 0) if book is None else (book.held(), book.committed())
            refusal = check_sell(act.symbol, qty, held, committed)
            if refusal is not None:
                return f"refused: {refusal.reason}"
        self._typed += 1
        id_ = f"m-{100 * life.number + self._typed}"
        plan = TradePlan(
            symbol=act.symbol,
            qty=qty,
            account=life.session.desk.account,
            side=side,
            entry=EntryKind.MARKET if act.pick % 2 else EntryKind.TOUCH,
            mode=ExitMode.NONE,
        )
        instrument = contract(self._stage.venue, act.symbol)
        return f"{qty} " + self._submit(
            lambda: i.TradeRequested(at=self._stage.clock.now(), id=id_, plan=plan, instrument=instrument),
            side.value.lower(),
            sym=act.symbol,
            qty=qty,
        )

    def _do_sell(self, act: Act) -> str:
        return self._trade(act, Side.SELL, act.number)

    def _do_buy(self, act: Act) -> str:
        return self._trade(act, Side.BUY, act.number)

    def _do_flatten(self, act: Act) -> str:
        return self._submit(lambda: i.FlattenRequested(at=self._stage.clock.now(), symbol=act.symbol), "flatten", sym=act.symbol)

    def _do_flatten_all(self, act: Act) -> str:
        return self._submit(lambda: i.FlattenRequested(at=self._stage.clock.now(), symbol=None), "flatten", sym="ALL")

    def _do_stopentry(self, act: Act) -> str:
        self._stopped = not self._stopped
        on = self._stopped
        return f"{on} " + self._submit(lambda: i.StopEntryRequested(at=self._stage.clock.now(), on=on), "stopentry", on=on)

    def _do_disconnect(self, act: Act) -> str:
        stage = self._stage
        stage.operated("disconnect")
        stage.loop.create_task(_quietly(stage.venue.disconnect()))
        stage.loop.at(stage.loop.micros + act.number * SECOND // 6, self._connect)
        return f"for {act.number / 6:.1f} s"

    def _connect(self) -> None:
        self._stage.note("operator", "connect", what="connect")
        self._stage.loop.create_task(_quietly(self._stage.venue.connect()))

    # --- hands in the account -----------------------------------------------------------------------------------------

    def hold_before(self, symbol: str, qty: int) -> None:
        """Let somebody have bought ``qty`` shares before anything begins."""
        stage = self._stage
        path, now = stage.schedule.paths[symbol], stage.clock.now()
        spec = self._foreign_spec(symbol, Side.BUY, qty)
        price = path.shape.price(path.shape.level)
        quote = Quote(symbol=symbol, at=now, bid=price, ask=price, bid_size=qty, ask_size=qty)
        stage.venue.exchange.quote(now, quote)
        stage.venue.exchange.place(now, spec, self._foreign, FOREIGN)

    def _foreign_spec(self, symbol: str, side: Side, qty: int) -> OrderSpec:
        self._foreign += 1
        return OrderSpec(
            ref="",
            symbol=symbol,
            con_id=contract(self._stage.venue, symbol).con_id,
            account=self._stage.schedule.account,
            side=side,
            qty=qty,
            type=OrderType.MARKET,
            tif=Tif.DAY,
        )

    def _place_foreign(self, act: Act, side: Side) -> str:
        spec = self._foreign_spec(act.symbol, side, act.number)
        self._stage.venue.place_foreign(spec, self._foreign, FOREIGN)
        return f"{act.number} {act.symbol}"

    def _do_foreign_buy(self, act: Act) -> str:
        return self._place_foreign(act, Side.BUY)

    def _do_foreign_sell(self, act: Act) -> str:
        return self._place_foreign(act, Side.SELL)

    def _at_venue(self, act: Act) -> i.OrderReport | None:
        """Return a living order of ours, as the venue has it."""
        found = [report for report in self._stage.venue.exchange.open_orders() if report.ref.startswith("ts:")]
        return found[act.pick % len(found)] if found else None

    def _intervene(self, act: Callable[[Exchange, datetime], Reports]) -> None:
        self._stage.venue.intervene(act)

    def _do_cancel_outside(self, act: Act) -> str:
        order = self._at_venue(act)
        if order is None:
            return "no order"
        self._intervene(lambda exchange, now: exchange.cancel_outside(now, order.order_id))
        return order.ref

    def _do_alter(self, act: Act) -> str:
        order = self._at_venue(act)
        if order is None:
            return "no order"
        tick = self._stage.schedule.paths[act.symbol].shape.tick
        if order.stop is not None:
            changes: dict[str, Any] = {"stop": US_STOCK_GRID.down(order.stop + tick * (act.number - 30))}
        elif order.limit is not None:
            changes = {"limit": US_STOCK_GRID.down(order.limit + tick * (act.number - 30))}
        else:
            return "nothing to change"
        if act.pick % 7 == 0 and order.remaining > 1:
            changes = {"qty": order.filled + 1 + act.number % order.remaining}
        try:
            self._intervene(lambda exchange, now: exchange.alter_order(now, order.order_id, **changes))
        except ValueError as refusal:
            return f"{order.ref} {changes} refused: {refusal}"
        return f"{order.ref} {changes}"

    # --- the broker's clerks ------------------------------------------------------------------------------------------

    def _execution(self, act: Act) -> i.ExecutionReport | None:
        found = [e for e in self._stage.venue.exchange.executions() if e.ref.startswith("ts:") and e.qty]
        return found[act.pick % len(found)] if found else None

    def _do_correct(self, act: Act) -> str:
        execution = self._execution(act)
        if execution is None:
            return "no execution"
        tick = self._stage.schedule.paths[execution.symbol].shape.tick
        qty = execution.qty if act.number % 2 else max(1, execution.qty - 1 - act.number % 5)
        price = execution.price + tick
        self._intervene(lambda exchange, now: exchange.correct(now, execution.exec_id, qty, price))
        return f"{execution.ref} {execution.exec_id} from {execution.qty} to {qty}"

    def _do_bust(self, act: Act) -> str:
        execution = self._execution(act)
        if execution is None:
            return "no execution"
        self._intervene(lambda exchange, now: exchange.bust(now, execution.exec_id))
        return f"{execution.ref} {execution.exec_id} of {execution.qty}"

    def _do_kill_order(self, act: Act) -> str:
        """End one of our orders, or let it rest as inactive, to be revived later or not."""
        order = self._at_venue(act)
        if order is None:
            return "no order"
        code, text = (202, "Order Canceled - reason:") if act.number % 2 else (201, "Order rejected - reason:margin")
        final = act.pick % 3 != 0
        self._intervene(lambda exchange, now: exchange.kill_order(now, order.order_id, code, text, final=final))
        if not final:
            stage = self._stage
            back = min(stage.loop.micros + act.number * SECOND // 10, stage.schedule.fault_free_from - SECOND)
            stage.loop.at(max(back, stage.loop.micros + 1), self._revive, order.order_id)
        return f"{order.ref} {code}" + ("" if final else ", for a while")

    def _revive(self, order_id: int) -> None:
        self._intervene(lambda exchange, now: exchange.revive_order(now, order_id))

    def _do_late_fill(self, act: Act) -> str:
        """Let an order execute whose cancel was confirmed, as if the market had been faster."""
        stage = self._stage
        found = [
            report
            for report in stage.over()
            if report.state is OrderState.CANCELLED and report.ref.startswith("ts:") and report.remaining > 0
        ]
        touch = stage.venue.latest(act.symbol)
        if not found or touch is None or touch.bid is None:
            return "no cancelled order"
        order, price = found[act.pick % len(found)], touch.bid
        qty = 1 + act.number % order.remaining
        self._intervene(lambda exchange, now: exchange.fill_late(now, order.order_id, qty, price))
        return f"{order.ref} {qty}"

    # --- the link -----------------------------------------------------------------------------------------------------

    def _drop(self, act: Act, *, loses: bool, seconds: float) -> str:
        stage = self._stage
        unnoticed = (0.0, 0.0, 0.4, 3.0)[act.pick % 4] if seconds > 1 else 0.0
        stage.venue.drop_link("the connection was lost", lose_orders=loses, unnoticed=unnoticed)
        back = min(stage.loop.micros + int(seconds * SECOND), stage.schedule.fault_free_from - SECOND // 2)
        stage.loop.at(max(back, stage.loop.micros + 1), self._restore)
        return f"for {seconds:.2f} s"

    def _restore(self) -> None:
        if self._stage.life is not None:
            self._stage.venue.restore_link()

    def _do_drop(self, act: Act) -> str:
        return self._drop(act, loses=False, seconds=act.number / 8)

    def _do_drop_losing(self, act: Act) -> str:
        return self._drop(act, loses=True, seconds=act.number / 8)

    def _do_reset(self, act: Act) -> str:
        return self._drop(act, loses=bool(act.pick % 2), seconds=0.05)


async def _quietly(work: Any) -> None:
    """Await what the operator asked of the broker; a refusal is an answer."""
    try:
        await work
    except TradeshellError:
        await asyncio.sleep(0)
