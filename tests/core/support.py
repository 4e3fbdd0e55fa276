"""A core driven by hand: inputs in, commands out, no broker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, TypeVar

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import Desk
from tradeshell.core.events import Event
from tradeshell.core.market import Bar, Instrument, Quote, Session
from tradeshell.core.orders import Order, OrderState
from tradeshell.core.plan import ExitMode, TradePlan
from tradeshell.core.step import Core
from tradeshell.core.trade import Trade
from tradeshell_breakout.strategy import Breakout

OPEN = datetime(2025, 7, 8, 13, 30, tzinfo=UTC)
SESSION = Session(
    open=OPEN,
    close=OPEN + timedelta(hours=6, minutes=30),
    extended_open=OPEN - timedelta(hours=5, minutes=30),
    extended_close=OPEN + timedelta(hours=10, minutes=30),
)
AAPL = Instrument(symbol="AAPL", con_id=265598)
ACCOUNT = "DU…0001"

E = TypeVar("E", bound=Event)
C = TypeVar("C", bound=c.Command)


def d(text: str) -> Decimal:
    """Return a price."""
    return Decimal(text)


def plan(**more: Any) -> TradePlan:
    """Return the bracket that most tests trade: 100 AAPL above 190, target 195, stop 187."""
    values: dict[str, Any] = {
        "symbol": "AAPL",
        "qty": 100,
        "account": ACCOUNT,
        "level": d("190"),
        "tps": (d("195"),),
        "sl": d("187"),
        "mode": ExitMode.ATTACHED,
        "chase_limit": d("191.50"),
    }
    return TradePlan(**(values | more))


def bar(
    minute: int, close: str, *, high: str | None = None, low: str | None = None, seconds: int = 60
) -> Bar:
    """Return the bar that starts ``minute`` minutes after the open."""
    top = d(high) if high is not None else d(close)
    bottom = d(low) if low is not None else d(close)
    return Bar("AAPL", OPEN + timedelta(minutes=minute), seconds, d(close), top, bottom, d(close), 1000)


def quote(at: datetime, bid: str | None = "190.10", ask: str | None = "190.15", **more: Any) -> Quote:
    """Return a touch."""
    return Quote(
        symbol="AAPL", at=at, bid=None if bid is None else d(bid), ask=None if ask is None else d(ask), **more
    )


class Desktop:
    """Holds the desk between inputs and remembers what the last input caused."""

    def __init__(self, *, connected: bool = True) -> None:
        self.core = Core({"breakout": Breakout()})
        self.desk = Desk()
        self.at = OPEN
        self.last: tuple[c.Command, ...] = ()
        self.all: list[c.Command] = []
        if connected:
            self.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
            self.do(i.SnapshotAnswered, epoch=1, orders=(), executions=(), positions=())

    # --- feeding ------------------------------------------------------------------------------------------------------

    def do(self, kind: type[i.Input], **values: Any) -> tuple[c.Command, ...]:
        """Feed one input at the present instant."""
        return self.feed(kind(at=self.at, **values))

    def feed(self, event: i.Input) -> tuple[c.Command, ...]:
        """Feed one input."""
        self.desk, self.last = self.core.step(self.desk, event)
        self.all += self.last
        return self.last

    def wait(self, seconds: float) -> None:
        """Let time pass; timers are fed by hand."""
        self.at += timedelta(seconds=seconds)

    def watch(
        self,
        id_: str = "br-1",
        *,
        bar_seconds: int = 60,
        max_bars: str = "",
        words: Mapping[str, str] = MappingProxyType({}),
        **more: Any,
    ) -> None:
        """Arm a watcher; ``words`` are further ones of the strategy's own."""
        spec = i.WatchSpec(
            id=id_,
            strategy="breakout",
            plan=plan(**more),
            params={"bar": str(bar_seconds), "rth": "true", "max_bars": max_bars, **words},
            instrument=AAPL,
            session=SESSION,
        )
        self.do(i.WatchRequested, watch=spec)

    def close_bar(self, minute: int, close: str, **more: Any) -> None:
        """Deliver a closed bar at its end."""
        closed = bar(minute, close, **more)
        self.at = max(self.at, closed.end)
        self.do(i.BarClosed, bar=closed, rth=True)

    def answer(self, touch: Quote | None, key: str = "br-1", session: Session | None = SESSION) -> None:
        """Answer the question for the touch."""
        self.do(i.QuoteAnswered, key=key, quote=touch, session=session)

    def trigger(self, **more: Any) -> None:
        """Arm, break out and enter at 190.15."""
        self.watch(**more)
        self.close_bar(0, "190.12", high="190.20", low="189.90")
        self.answer(quote(self.at))

    def report(self, ref: str, state: OrderState, *, filled: int = 0, **more: Any) -> None:
        """Let the broker speak about an order."""
        order = self.order(ref)
        self.do(
            i.OrderReported,
            report=i.OrderReport(
                ref=ref,
                order_id=order.order_id,
                state=state,
                filled=filled,
                remaining=more.get("qty", order.spec.qty) - filled,
                limit=more.pop("limit", order.spec.limit),
                stop=more.pop("stop", order.spec.stop),
                **more,
            ),
        )

    def execute(self, ref: str, qty: int, price: str, exec_id: str) -> None:
        """Let an order execute."""
        order = self.order(ref)
        self.do(
            i.ExecutionReported,
            execution=i.ExecutionReport(
                exec_id=exec_id,
                ref=ref,
                order_id=order.order_id,
                symbol=order.spec.symbol,
                account=ACCOUNT,
                side=order.spec.side,
                qty=qty,
                price=d(price),
                at=self.at,
            ),
        )

    def open_position(self, **more: Any) -> None:
        """Trigger, acknowledge the bracket, fill the entry and release the children."""
        self.trigger(**more)
        self.report(ENTRY, OrderState.WORKING)
        for ref in self.refs()[1:]:
            self.report(ref, OrderState.HELD)
        self.execute(ENTRY, 100, "190.15", "e1.01")
        self.report(ENTRY, OrderState.FILLED, filled=100)

    # --- looking ------------------------------------------------------------------------------------------------------

    def order(self, ref: str) -> Order:
        """Return one order."""
        found = self.desk.order(ref)
        assert found is not None, ref
        return found

    def refs(self) -> tuple[str, ...]:
        """Return every ref in order of sending."""
        return tuple(order.spec.ref for order in self.desk.orders())

    def trade(self, id_: str = "br-1") -> Trade:
        """Return one trade."""
        found = self.desk.trade(id_)
        assert found is not None, id_
        return found

    def sent(self, kind: type[C]) -> list[C]:
        """Return the commands of one kind that the last input caused."""
        return [command for command in self.last if isinstance(command, kind)]

    def told(self, kind: type[E]) -> list[E]:
        """Return the events of one kind that the last input caused."""
        return events(self.last, kind)

    def ever_told(self, kind: type[E]) -> list[E]:
        """Return the events of one kind announced so far."""
        return events(self.all, kind)


def events(commands: Iterable[c.Command], kind: type[E]) -> list[E]:
    """Return the announced events of one kind."""
    return [
        command.event
        for command in commands
        if isinstance(command, c.Announce) and isinstance(command.event, kind)
    ]


ENTRY = "ts:br-1:entry:1"
TP1 = "ts:br-1:tp1:1"
SL1 = "ts:br-1:sl1:1"
