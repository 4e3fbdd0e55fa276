"""What a test reads on the stage: the truth at the venue, and what the program said.

Laws: what is true is asked of the venue's own books, never of the program.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from tests.faults.parts import SCREEN, US, Sent, Venue, Working
from tests.simulation.loop import SimClock, SimLoop

from tradeshell.core.events import Event
from tradeshell.core.orders import Side
from tradeshell.core.trade import Trade, leg_of
from tradeshell.engine.session import Session as EngineSession
from tradeshell.ports import Record
from tradeshell.shell.render import event_line

E = TypeVar("E", bound=Event)


class Looking:
    """The readers of a stage."""

    loop: SimLoop
    clock: SimClock
    venue: Venue
    session: EngineSession
    records: list[Record]
    worst: tuple[int, float]  # most shares that exits could have sold beyond the position, and when

    is_wire = (
        False  # over the wire half of a message may come alone, and nobody is told who cancelled an order
    )

    def because(self, text: str) -> str:
        """Return the broker's words behind an order that has ended, as a line has them."""
        return f" · {text}"

    @property
    def t(self) -> float:
        """Seconds since the start."""
        return self.loop.time()

    # --- what is true -------------------------------------------------------------------------------------------------

    @property
    def account(self) -> str:
        """The account's id at the venue."""
        return self.venue.exchange._floor.rules.account

    @property
    def sent(self) -> list[Sent]:
        """Everything that left the program, in order."""
        return self.venue.sent

    def _tickets(self, client: int = US) -> Iterator[Any]:
        return (ticket for ticket in self.venue.exchange._floor.tickets() if ticket.client == client)

    def number(self, leg: str) -> int:
        """Return the venue's number of the newest order of a leg."""
        return max(int(ticket.order_id) for ticket in self._tickets() if leg_of(ticket.spec.ref) == leg)

    def working(self, leg: str = "", client: int = US) -> list[Working]:
        """Return the orders that live at the venue, oldest first, of legs whose name begins like that."""
        return [
            Working(
                leg_of(ticket.spec.ref), ticket.spec.ref, ticket.order_id, ticket.spec.side, ticket.left, ticket.spec.type,
                ticket.spec.limit, ticket.spec.stop, ticket.oca or "", ticket.state.value,
            )
            for ticket in self._tickets(client)
            if not ticket.is_over and leg_of(ticket.spec.ref).startswith(leg)
        ]  # fmt: skip

    def shares(self, leg: str = "") -> dict[str, int]:
        """Return the living orders' unfilled shares by leg; two living orders of one leg are an error."""
        found = self.working(leg)
        assert len({order.leg for order in found}) == len(found), found
        return {order.leg: order.qty for order in found}

    def position(self, symbol: str = "AAPL") -> int:
        """Return the account's position."""
        return sum(held.qty for held in self.venue.exchange.positions() if held.symbol == symbol)

    def exits_at_most(self) -> int:
        """Return the most shares that our living SELLs could sell: all of each group's largest, and all of the rest."""
        groups: dict[str, int] = {}
        for order in self.working():
            if order.side is Side.SELL and not self._is_child_of_unfilled(order.number):
                key = order.group or order.ref
                groups[key] = max(groups.get(key, 0), order.qty)
        return sum(groups.values())

    def _is_child_of_unfilled(self, number: int) -> bool:
        ticket = next(ticket for ticket in self._tickets() if ticket.order_id == number)
        return ticket.parent is not None and not ticket.parent.is_over

    def sells_at_most(self, position: int) -> None:
        """Assert that our exits could never sell more than was held, ever, and not more than ``position`` shares now."""
        assert self.worst[0] <= 0, f"exits could sell {self.worst[0]} shares too many at {self.worst[1]} s"
        assert self.exits_at_most() <= position, self.working()

    def _witness(self, kind: str, fields: Any) -> None:
        if kind in ("accept", "modify", "state", "exec", "corrected"):
            self.loop.call_soon(self._measure)

    def _measure(self) -> None:
        excess = self.exits_at_most() - max(0, self.position())
        if excess > self.worst[0]:
            self.worst = (excess, self.t)

    # --- what was said ------------------------------------------------------------------------------------------------

    def told(self, kind: type[E]) -> list[E]:
        """Return the announced events of one kind, oldest first."""
        return [record.event for record in self.records if isinstance(record.event, kind)]

    def when(self, kind: type[Event]) -> list[float]:
        """Return when events of one kind were announced, in seconds since the start."""
        start = self.clock.start
        return [(r.ts - start).total_seconds() for r in self.records if isinstance(r.event, kind)]

    def lines(self) -> list[str]:
        """Return the operator's lines as the shell prints them, without the time of day."""
        printed = (event_line(record, SCREEN) for record in self.records)
        return [line[9:] for line in printed if line is not None]

    def line(self, *words: str) -> str:
        """Return the last line with all these words; there must be one."""
        found = [line for line in self.lines() if all(word in line for word in words)]
        assert found, f"no line has {words}:\n" + "\n".join(self.lines())
        return found[-1]

    def trade_of(self, id_: str = "br-1") -> Trade:
        """Return what the program thinks of a trade."""
        found = self.session.desk.trade(id_)
        assert found is not None, id_
        return found
