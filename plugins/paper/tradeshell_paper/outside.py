"""What happens from outside this program, on demand: to the link, to the account, and to our orders.

Laws: none of it goes over our link; it happens now (foreign orders after ``latency``), with the touches of now in force, and the
host hears of it by the usual way. What is not there, or has ended, is left alone and nothing is told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import datetime

from tradeshell import OrderSpec, Price, Shares
from tradeshell_paper.link import HostLink
from tradeshell_paper.matching import CANCELLED_BY_EXCHANGE, Exchange, Reports


class Outside(ABC):
    """The part of the venue's broker that tests and simulations play with. Orders are ours unless ``client`` says otherwise."""

    exchange: Exchange
    link: HostLink

    @abstractmethod
    def first_order_id(self) -> int:
        """Return the lowest order number that was never used here."""

    @abstractmethod
    def intervene(self, act: Callable[[Exchange, datetime], Reports]) -> None:
        """Let something happen at the exchange now, such as ``lambda exchange, now: exchange.halt(now, "ABC", on=True)``."""

    @abstractmethod
    def _arrival(self, act: Callable[[datetime], Reports], symbol: str | None) -> Callable[[], None]:
        """Return what brings ``act`` to the exchange at the instant it is called."""

    @abstractmethod
    def _review(self) -> None:
        """Play what somebody needs, and nothing else."""

    # --- the link -----------------------------------------------------------------------------------------------------

    def drop_link(self, why: str, *, lose_orders: bool = True, unnoticed: float = 0.0) -> None:
        """Let the link drop from the venue's side, and emit ``LinkChanged`` after ``unnoticed`` seconds.

        Messages under way are lost, orders under way too if ``lose_orders``. Connecting fails until ``restore_link``. (A program
        that dies and starts again is ``disconnect`` and ``connect``.)
        """
        self.link.drop(why, lose_orders=lose_orders, unnoticed=unnoticed)

    def restore_link(self, why: str = "") -> None:
        """Let the link come back and emit ``LinkChanged``, unless the operator has disconnected."""
        self.link.restore(self.first_order_id(), why)
        self._review()

    # --- somebody else who trades the account -------------------------------------------------------------------------

    def place_foreign(self, order: OrderSpec, order_id: int, client: int) -> None:
        """Send an order as somebody else who trades the same account: the host hears of its executions only."""
        self.link.carry(
            self._arrival(lambda now: self.exchange.place(now, order, order_id, client), order.symbol)
        )

    def cancel_foreign(self, order_id: int, client: int) -> None:
        """Cancel such an order."""
        self.link.carry(self._arrival(lambda now: self.exchange.cancel(now, order_id, client), None))

    # --- the owner, in another window ---------------------------------------------------------------------------------

    def alter_order(
        self,
        order_id: int,
        *,
        stop: Price | None = None,
        limit: Price | None = None,
        qty: Shares | None = None,
        client: int = 0,
    ) -> None:
        """Change an order by hand."""
        self.intervene(
            lambda exchange, now: exchange.alter_order(
                now, order_id, stop=stop, limit=limit, qty=qty, client=client
            )
        )

    def cancel_outside(self, order_id: int, client: int = 0) -> None:
        """Cancel an order by hand."""
        self.intervene(lambda exchange, now: exchange.cancel_outside(now, order_id, client))

    # --- the exchange -------------------------------------------------------------------------------------------------

    def kill_order(
        self,
        order_id: int,
        code: int = CANCELLED_BY_EXCHANGE,
        text: str = "Order Canceled - reason:",
        *,
        client: int = 0,
        final: bool = True,
    ) -> None:
        """End an order that nobody asked to end: see ``Exchange.kill_order``."""
        self.intervene(
            lambda exchange, now: exchange.kill_order(now, order_id, code, text, client=client, final=final)
        )

    def revive_order(self, order_id: int, client: int = 0) -> None:
        """Let an order work again that was refused and not ended."""
        self.intervene(lambda exchange, now: exchange.revive_order(now, order_id, client))

    def fill_late(self, order_id: int, qty: Shares, price: Price, client: int = 0) -> None:
        """Execute shares of an order after its cancel was confirmed."""
        self.intervene(lambda exchange, now: exchange.fill_late(now, order_id, qty, price, client))

    def correct(self, exec_id: str, qty: Shares, price: Price | None = None) -> None:
        """Correct an execution by its next revision."""
        self.intervene(lambda exchange, now: exchange.correct(now, exec_id, qty, price))

    def bust(self, exec_id: str) -> None:
        """Break a trade."""
        self.intervene(lambda exchange, now: exchange.bust(now, exec_id))
