"""Desks with a ladder on them, put together by hand: what the screen shows of it needs no broker."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec.structs import replace
from tests.core.support import AAPL, ACCOUNT, OPEN, d, plan, quote
from tests.shell.support import FakeTrading

from tradeshell.core.book import Book
from tradeshell.core.orders import OcaType, Order, OrderSpec, OrderState, OrderType, Side, order_ref
from tradeshell.core.plan import ExitMode
from tradeshell.core.trade import Leg, Trade, TradePhase

SHARES = (60, 30, 10)
TPS = ("195", "198", "205")
ARMED = (
    ("sl1", 60, "187"), ("tp1", 60, "195"), ("sl2", 30, "187"), ("tp2", 30, "198"), ("sl3", 10, "187"), ("tp3", 10, "205"),
)  # fmt: skip


def exit_order(number: int, leg: str, qty: int, price: str, **more: Any) -> Order:
    """Return a living exit of the ladder: a stop-limit that is held, a target that works, in one group with its sibling."""
    is_stop = not leg.startswith("tp")
    spec = OrderSpec(
        ref=order_ref("br-1", leg, 1),
        symbol="AAPL",
        con_id=AAPL.con_id,
        account=ACCOUNT,
        side=Side.SELL,
        qty=qty,
        type=OrderType.STOP_LIMIT if is_stop else OrderType.LIMIT,
        limit=d(price),
        stop=d(price) if is_stop else None,
        oca_group=None if leg == "cover" else f"br-1.{leg[2:]}",
        oca_type=None if leg == "cover" else OcaType.REDUCE,
    )
    state = OrderState.HELD if is_stop else OrderState.WORKING
    return replace(Order(spec=spec, state=state, order_id=number), **more)


def hold_ladder(
    trading: FakeTrading,
    exits: tuple[tuple[str, int, str], ...] = ARMED,
    changed: Mapping[str, Mapping[str, Any]] | None = None,
    frozen: str = "",
) -> None:
    """Let the desk hold what a ladder of 100 AAPL, bought at 190.15, still has: 100 less what of its legs is gone.

    ``exits`` are (leg, shares, price) of the living ones; ``changed`` replaces fields of the order of a leg.
    """
    spec = OrderSpec(
        ref=order_ref("br-1", "entry", 1), symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, side=Side.BUY, qty=100,
        type=OrderType.LIMIT, limit=d("190.15"),
    )  # fmt: skip
    entry = Order(spec=spec, state=OrderState.FILLED, order_id=11, filled=100, notional=Decimal(19015))
    orders = {entry.spec.ref: entry}
    for number, (leg, qty, price) in enumerate(exits, 12):
        order = exit_order(number, leg, qty, price, **(changed or {}).get(leg, {}))
        orders[order.spec.ref] = order
    trade = Trade(
        id="br-1",
        origin="breakout",
        plan=plan(tps=tuple(map(d, TPS)), mode=ExitMode.DETACHED),
        instrument=AAPL,
        phase=TradePhase.OPEN,
        asked_at=OPEN,
        refs=tuple(orders),
        legs=tuple(
            Leg(number=n, qty=qty, step=n, tp=d(tp), stop=d("187"))
            for n, (qty, tp) in enumerate(zip(SHARES, TPS, strict=True), 1)
        ),
        is_armed="cover" not in {leg for leg, _, _ in exits} and bool(exits),
        filled_at=OPEN,
    )
    left = 100 - sum(order.filled for order in orders.values() if order.spec.side is Side.SELL)
    book = Book(
        instrument=AAPL,
        opened_at=OPEN,
        orders=orders,
        trades={trade.id: trade},
        position=left,
        net=left,
        seed=0,
        frozen=frozen,
    )
    desktop = trading.desktop
    desktop.desk = replace(
        desktop.desk,
        books={"AAPL": book},
        refs=dict.fromkeys(orders, "AAPL"),
        trade_symbols={trade.id: "AAPL"},
        active={trade.id: "AAPL"},
        next_order_id=50,
    )
    trading.quotes["AAPL"] = quote(desktop.at, "194.80", "194.85")
