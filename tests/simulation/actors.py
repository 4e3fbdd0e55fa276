"""Who does something in a schedule, first of all the operator at the shell; ``hands`` has the others.

Laws: the operator can do what the shell lets him do at that instant, no more; whoever acts chooses among what is there, by the
number drawn for the act. An act that finds nothing to act on does nothing and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.simulation.faults import Act
from tests.simulation.hands import Hands, Stage
from tests.simulation.life import Life
from tests.simulation.loop import SECOND
from tests.simulation.schedule import Ask
from tests.simulation.venue import contract

from tradeshell.core import inputs as i
from tradeshell.core.guards import check_sell
from tradeshell.core.market import US_STOCK_GRID
from tradeshell.core.orders import Order, OrderType, Side
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan, check_plan, put_on_grid
from tradeshell.core.trade import leg_of
from tradeshell.core.yielding import check_sale
from tradeshell.errors import TradeshellError

TRIES = 40
AGAIN = 700_000  # microseconds between tries


class Actors:
    """Carries out asks and acts."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._typed = 0
        self._stopped = False
        self.hands = Hands(stage)
        self._deeds: dict[str, Callable[[Act], str]] = {
            name.removeprefix("_do_"): getattr(who, name)
            for who in (self, self.hands)
            for name in dir(who)
            if name.startswith("_do_")
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
        self._stage.look_up(ask.symbol, lambda: life.enter(self._start, life, ask, number))

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
                    params={
                        "bar": str(ask.bars),
                        "rth": str(not plan.outside_rth).lower(),
                        "max_bars": "",
                        "fast_bar": "1s" if ask.is_fast else "",
                    },
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
        return self._submit(
            lambda: i.WatchCancelRequested(at=self._stage.clock.now(), watch=watch),
            "cancel_watch",
            watch=watch,
        )

    def _do_cancel(self, act: Act) -> str:
        found = self._orders(lambda order: True)
        if not found:
            return "no order"
        ref = found[act.pick % len(found)].spec.ref
        return f"{leg_of(ref)} " + self._submit(
            lambda: i.CancelRequested(at=self._stage.clock.now(), ref=ref), "cancel", ref=ref
        )

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
            lambda: i.ReplaceRequested(at=self._stage.clock.now(), ref=order.spec.ref, stop=stop),
            "replace",
            ref=order.spec.ref,
        )

    def _do_replace_limit(self, act: Act) -> str:
        found = self._orders(lambda order: order.spec.type is OrderType.LIMIT)
        if not found:
            return "no limit"
        order = found[act.pick % len(found)]
        assert order.spec.limit is not None
        limit = US_STOCK_GRID.down(order.spec.limit + self._tick(order) * (act.number - 30))
        return f"{leg_of(order.spec.ref)} {limit} " + self._submit(
            lambda: i.ReplaceRequested(at=self._stage.clock.now(), ref=order.spec.ref, limit=limit),
            "replace",
            ref=order.spec.ref,
        )

    def _do_replace_qty(self, act: Act) -> str:
        found = self._orders(lambda order: order.spec.qty > 1)
        if not found:
            return "no order"
        order = found[act.pick % len(found)]
        qty = 1 + act.number % order.spec.qty
        return f"{leg_of(order.spec.ref)} {qty} " + self._submit(
            lambda: i.ReplaceRequested(at=self._stage.clock.now(), ref=order.spec.ref, qty=qty),
            "replace",
            ref=order.spec.ref,
        )

    def _trade(self, act: Act, side: Side, qty: int) -> str:
        life = self._stage.life
        if life is None or not life.alive or not life.session.desk.link.up:
            return "not connected"
        book = life.session.desk.books.get(act.symbol)
        if side is Side.SELL and act.pick % 3:  # else the shell looked a moment too early
            refusal = check_sell(act.symbol, qty, 0, 0) if book is None else check_sale(book, qty)
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
        return self._submit(
            lambda: i.FlattenRequested(at=self._stage.clock.now(), symbol=act.symbol),
            "flatten",
            sym=act.symbol,
        )

    def _do_flatten_all(self, act: Act) -> str:
        return self._submit(
            lambda: i.FlattenRequested(at=self._stage.clock.now(), symbol=None), "flatten", sym="ALL"
        )

    def _do_stopentry(self, act: Act) -> str:
        self._stopped = not self._stopped
        on = self._stopped
        return f"{on} " + self._submit(
            lambda: i.StopEntryRequested(at=self._stage.clock.now(), on=on), "stopentry", on=on
        )

    def _do_disconnect(self, act: Act) -> str:
        stage = self._stage
        if stage.life is None or not stage.life.alive:
            return "nobody there"
        stage.operated("disconnect")
        stage.loop.create_task(quietly(stage.venue.disconnect()))
        stage.loop.at(stage.loop.micros + act.number * SECOND // 6, self._connect)
        return f"for {act.number / 6:.1f} s"

    def _connect(self) -> None:
        """Connect, again and again while the venue cannot be reached."""
        stage = self._stage
        if stage.life is None or stage.venue.link.is_told_up:
            return
        stage.note("operator", "connect", what="connect")
        stage.loop.create_task(quietly(stage.venue.connect()))
        stage.loop.at(stage.loop.micros + SECOND, self._connect)


async def quietly(work: Any) -> None:
    """Await what the operator asked of the broker; a refusal is an answer."""
    try:
        await work
    except TradeshellError:
        await asyncio.sleep(0)
