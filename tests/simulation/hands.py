"""Whoever else touches the account and its link: hands in another window, the broker's clerks, the network.

Laws: what they do happens at the venue at once, and the host hears of it by the usual way, if at all. An act that finds
nothing to act on says so.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from tests.simulation.faults import Act
from tests.simulation.life import Life
from tests.simulation.loop import SECOND, SimClock, SimLoop
from tests.simulation.path import Move
from tests.simulation.schedule import Schedule
from tests.simulation.venue import SimVenue, contract

from tradeshell.core import inputs as i
from tradeshell.core.market import US_STOCK_GRID, Quote
from tradeshell.core.orders import OrderSpec, OrderType, Side, Tif
from tradeshell_paper.matching import Exchange, Reports

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

    def look_up(self, symbol: str, then: Callable[[], None]) -> None:
        """Ask the broker for a contract, and go on when it is known."""
        ...

    def cancelled(self) -> list[i.OrderReport]:
        """Return the orders that were cancelled and whose market may have been faster."""
        ...

    def note(self, who: str, text: str, **more: Any) -> None:
        """Write down what somebody did."""
        ...


class Hands:
    """Carries out what others do."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._foreign = 0

    # --- hands in the account -----------------------------------------------------------------------------------------

    def hold_before(self, symbol: str, qty: int) -> None:
        """Let somebody have bought ``qty`` shares before anything begins."""
        stage = self._stage
        path, now = stage.schedule.paths[symbol], stage.clock.now()
        spec = self._foreign_spec(symbol, Side.BUY, qty)
        price = path.shape.price(path.shape.level)
        quote = Quote(symbol=symbol, at=now, bid=price, ask=price, bid_size=qty, ask_size=qty)
        stage.venue.exchange.quote(now, quote)
        # As an intervention, so that the venue remembers it: a picture may be of a moment ago.
        number = self._foreign
        stage.venue.intervene(lambda exchange, at: exchange.place(at, spec, number, FOREIGN))

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
        found = [
            report for report in self._stage.venue.exchange.open_orders() if report.ref.startswith("ts:")
        ]
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
        code, text = (
            (202, "Order Canceled - reason:") if act.number % 2 else (201, "Order rejected - reason:margin")
        )
        final = act.pick % 3 != 0
        self._intervene(
            lambda exchange, now: exchange.kill_order(now, order.order_id, code, text, final=final)
        )
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
            report for report in stage.cancelled() if report.ref.startswith("ts:") and report.remaining > 0
        ]
        touch = stage.venue.latest(act.symbol)
        if not found or touch is None or touch.bid is None:
            return "no cancelled order"
        order, price = found[act.pick % len(found)], touch.bid
        qty = 1 + act.number % order.remaining
        self._intervene(lambda exchange, now: exchange.fill_late(now, order.order_id, qty, price))
        return f"{order.ref} {qty}"

    # --- the market, on the heels of an order -------------------------------------------------------------------------

    def _jump(self, symbol: str, ticks: int) -> str:
        """Let the market trade somewhere at once; it goes on where it was."""
        stage = self._stage
        path = stage.schedule.paths[symbol]
        for kind, a, b in (("quote", ticks - 1, ticks + 1), ("print", ticks, 0), ("print", ticks, 0)):
            stage.venue.move(
                symbol, Move(stage.loop.micros, kind, max(1, a), max(2, b), 500), path.shape.tick
            )
        return f"{symbol} to {path.shape.price(ticks)}"

    def _do_plunge(self, act: Act) -> str:
        shape = self._stage.schedule.paths[act.symbol].shape
        return self._jump(act.symbol, max(3, shape.level - shape.risk - act.number % (1 + shape.risk // 4)))

    def _do_spike(self, act: Act) -> str:
        shape = self._stage.schedule.paths[act.symbol].shape
        return self._jump(act.symbol, shape.targets[act.pick % 3] + act.number % 5)

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
