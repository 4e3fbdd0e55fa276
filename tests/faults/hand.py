"""A running ladder in the core alone: for orders of messages that no venue makes, and for accounts that no venue has.

Laws: nothing answers here but the test; ``said`` is what the operator reads.
"""

from __future__ import annotations

from typing import Any

from tests.core.support import ACCOUNT, ENTRY, Desktop, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.orders import OrderState
from tradeshell.core.plan import Cover, ExitMode
from tradeshell.core.policy import Policy

LADDER: dict[str, Any] = {
    "tps": (d("195"), d("198"), d("205")),
    "mode": ExitMode.DETACHED,
    "stop_updates": (d("190"), d("195")),
    "cover": Cover.NONE,
}


def ref(leg: str, generation: int = 1) -> str:
    """Return the orderRef of a leg of the ladder."""
    return f"ts:br-1:{leg}:{generation}"


class Hand(Desktop):
    """A desk with the ladder 60 + 30 + 10 of 100 AAPL, every message typed by hand."""

    def __init__(self, *, paper: bool = True, flatten_live: bool = False) -> None:
        super().__init__(connected=False)
        self.do(i.PolicySet, policy=Policy(flatten_live=flatten_live))
        self.do(i.LinkChanged, up=True, account=ACCOUNT, paper=paper, first_order_id=1)
        self.do(i.SnapshotAnswered, epoch=1, orders=(), executions=(), positions=())

    def run(self, **more: Any) -> Hand:
        """Buy 100, confirm them, and acknowledge all six exits."""
        self.trigger(**(LADDER | more))
        self.report(ENTRY, OrderState.WORKING)
        self.execute(ENTRY, 100, "190.15", "e1.01")
        self.report(ENTRY, OrderState.FILLED, filled=100)
        self.position(100)
        for leg in ("1", "2", "3"):
            self.held(f"sl{leg}")
            self.works(f"tp{leg}")
        self.wait(60)
        self.all.clear()
        return self

    # --- feeding ------------------------------------------------------------------------------------------------------

    def position(self, qty: int) -> None:
        """Let the broker say the position."""
        self.do(i.PositionReported, position=self.holding(qty))

    @staticmethod
    def holding(qty: int) -> i.PositionReport:
        """Return a position in AAPL."""
        return i.PositionReport(symbol="AAPL", con_id=265598, account=ACCOUNT, qty=qty, average=d("190.15"))

    def held(self, leg: str, generation: int = 1, **more: Any) -> None:
        """Show an exit as waiting (PreSubmitted)."""
        self.report(ref(leg, generation), OrderState.HELD, **more)

    def works(self, leg: str, generation: int = 1, **more: Any) -> None:
        """Show an exit as working (Submitted); for a stop this means elected."""
        self.report(ref(leg, generation), OrderState.WORKING, **more)

    def cancelled(self, leg: str, generation: int = 1, **more: Any) -> None:
        """Show an exit as cancelled."""
        self.report(ref(leg, generation), OrderState.CANCELLED, **more)

    def refuse(self, leg: str, code: int, text: str, *, what: str = "order", generation: int = 1) -> None:
        """Refuse an order, a change or a cancel."""
        self.do(
            i.OrderRefusedByBroker, ref=ref(leg, generation), what=i.RefusedWhat(what), code=code, text=text
        )

    def fire(self, key: str) -> None:
        """Let a timer be due."""
        self.do(i.TimerFired, key=key)

    def touch(self, bid: str | None, ask: str | None, key: str = "raise:br-1", **more: Any) -> None:
        """Answer a question for the touch."""
        self.answer(quote(self.at, bid=bid, ask=ask, **more), key)

    def picture(self, position: int, *gone: str) -> None:
        """Answer a request for a picture made a moment ago: all living orders but ``gone``, and the position."""
        orders = tuple(
            i.OrderReport(
                ref=order.spec.ref,
                order_id=order.order_id,
                state=OrderState.HELD if order.spec.type.is_stop else OrderState.WORKING,
                filled=order.filled,
                remaining=order.remaining,
                qty=order.spec.qty,
                limit=order.spec.limit,
                stop=order.spec.stop,
            )
            for order in self.desk.orders()
            if order.state.is_live and order.spec.ref not in gone
        )
        asked = self.at
        self.wait(0.01)
        positions = (self.holding(position),) if position else ()
        self.do(
            i.SnapshotAnswered,
            epoch=self.desk.link.epoch,
            asked_at=asked,
            orders=orders,
            executions=(),
            positions=positions,
        )

    # --- looking ------------------------------------------------------------------------------------------------------

    @property
    def left(self) -> list[str]:
        """Return the order commands of the last input, as short texts."""
        return [word for command in self.last if (word := _word(command))]

    @property
    def ever_left(self) -> list[str]:
        """Return the order commands since the ladder ran, as short texts."""
        return [word for command in self.all if (word := _word(command))]

    @property
    def said(self) -> list[str]:
        """Return the operator's lines since the ladder ran."""
        lines = []
        for command in self.all:
            if isinstance(command, c.Announce) and (story := command.event.story()) is not None:
                lines.append(f"{command.event.label()} | {story}")
        return lines


def _word(command: c.Command) -> str:
    match command:
        case c.PlaceOrder(order):
            return f"place {_leg(order.ref)} {order.qty} {order.type.value} {order.stop or order.limit or ''}".strip()
        case c.ModifyOrder(order):
            return f"modify {_leg(order.ref)} {order.qty} {order.stop or ''} {order.limit or ''}".replace(
                "  ", " "
            ).strip()
        case c.CancelOrder(order_ref):
            return f"cancel {_leg(order_ref)}"
        case _:
            return ""


def _leg(order_ref: str) -> str:
    """``sl2`` of the first generation, ``sl2:2`` of the second."""
    _, _, leg, generation = order_ref.split(":")
    return leg if generation == "1" else f"{leg}:{generation}"
