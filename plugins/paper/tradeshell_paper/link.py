"""The link between the venue and the host: whether it is up, and everything that goes over it.

Laws: the venue trades on whatever the link does. What is under way when the link drops is lost, and so is what happens while it
is down: it is seen again in snapshots only. A drop is always told, at the latest when the link comes back. While a drop lasts,
connecting fails.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from tradeshell import BrokerError, Input, LinkChanged, Snapshot, VenueClock
from tradeshell_paper.courier import KINDS
from tradeshell_paper.matching import Exchange, Reports
from tradeshell_paper.past import AccountPast
from tradeshell_paper.post import Post
from tradeshell_paper.pump import Pump
from tradeshell_paper.settings import Settings
from tradeshell_paper.witness import Recorder

OUR_CLIENT = 0
NOT_CONNECTED = "not connected to the paper venue; type: connect"


class HostLink:
    """The link. ``pump.is_up`` says whether anything passes, ``is_told_up`` what the host was told last."""

    def __init__(
        self,
        emit: Callable[[Input], None],
        clock: VenueClock,
        settings: Settings,
        exchange: Exchange,
        pump: Pump,
    ) -> None:
        self._emit = emit
        self._clock = clock
        self._settings = settings
        self._exchange = exchange
        self._pump = pump
        self._latency = timedelta(seconds=settings.latency)
        self._courier = settings.courier
        self.recorder = None if settings.witness is None else Recorder(settings.witness)
        self._post = (
            None
            if settings.courier is None
            else Post(clock, settings.courier, self._latency, self._hand_over)
        )
        self._past = None if settings.courier is None else AccountPast(exchange)
        self._waiting: set[asyncio.Future[None]] = set()
        self._is_wanted = False
        self._drops = 0
        self._emptied = 0  # the last drop that took the orders under way along
        self._why = ""  # the last drop
        self.dropped_at: datetime | None = None
        self.is_told_up = False

    # --- up and down --------------------------------------------------------------------------------------------------

    def connect(self, first_order_id: int) -> bool:
        """Connect; returns whether that changed anything."""
        if self.dropped_at is not None:
            raise BrokerError("the paper venue cannot be reached: its link is down")
        if self._pump.is_up:
            return False
        self._is_wanted = True
        self._come_up(first_order_id, "")
        return True

    def disconnect(self) -> None:
        """Disconnect; orders under way arrive, messages do not."""
        self._is_wanted = False
        if self._pump.is_up:
            self._go_down("disconnected by the operator", lose_orders=False)
        if self.is_told_up:
            self._tell_down("disconnected by the operator")

    def drop(self, why: str, *, lose_orders: bool, unnoticed: float) -> None:
        """Let the link drop; nothing happens when it is down already."""
        if not self._pump.is_up:
            return
        self._go_down(why, lose_orders=lose_orders)
        self.dropped_at, self._why = self._clock.now(), why
        drop = self._drops

        def notice() -> None:
            if self.is_told_up and self.dropped_at is not None and self._drops == drop:
                self._tell_down(why)

        if unnoticed > 0:
            self._clock.call_at(self.dropped_at + timedelta(seconds=unnoticed), notice)
        else:
            notice()

    def restore(self, first_order_id: int, why: str) -> None:
        """Let a link that dropped come back."""
        if self.dropped_at is None:
            return
        self.dropped_at = None
        if self.is_told_up:
            self._tell_down(self._why)
        if self._is_wanted:
            self._come_up(first_order_id, why)

    def close(self) -> None:
        """Carry nothing any more."""
        self._pump.is_up = False
        if self._post is not None:
            self._post.close()

    def _come_up(self, first_order_id: int, why: str) -> None:
        self._pump.is_up = self.is_told_up = True
        if self.recorder is not None:
            self.recorder.link(self._clock.now(), why, up=True)
        self._tell_link(first_order_id, why)

    def _go_down(self, why: str, *, lose_orders: bool) -> None:
        self._pump.is_up = False
        self._drops += 1
        if lose_orders:
            self._emptied = self._drops
        if self._post is not None:
            self._post.lose(orders=lose_orders)
        if self.recorder is not None:
            self.recorder.link(self._clock.now(), why, up=False)

    def _tell_down(self, why: str) -> None:
        self.is_told_up = False
        self._tell_link(1, why)
        for waiting in tuple(self._waiting):
            if not waiting.done():
                waiting.set_exception(BrokerError(f"the request was lost with the link: {why}"))

    def _tell_link(self, first_order_id: int, why: str) -> None:
        account, now, up = self._settings.rules.account, self._clock.now(), self.is_told_up
        self.tell(
            LinkChanged(at=now, up=up, account=account, paper=True, first_order_id=first_order_id, why=why)
        )

    # --- to the host --------------------------------------------------------------------------------------------------

    def tell(self, message: Input) -> None:
        """Hand a message to the host, now."""
        if self.recorder is not None:
            self.recorder.to_host(self._clock.now(), message)
        self._emit(message)

    def _hand_over(self, message: Input) -> None:
        self._pump.has_spoken = True
        self.tell(message)

    def report(self, reports: Reports) -> None:
        """Send what the exchange says, as far as it concerns us."""
        past, post, pump = self._past, self._post, self._pump
        for report in reports:
            if past is not None:
                past.note(report)
            if pump.is_up and (report.client == OUR_CLIENT or report.concerns_account):
                if post is None:
                    self.tell(report.input)
                else:
                    post.to_host(report.input)

    async def snapshot(self, since: datetime) -> Snapshot:
        """Return living orders, the executions at or after ``since``, and positions: as the courier says, each as of its time."""
        self.must_be_up()
        courier, exchange, past = self._courier, self._exchange, self._past
        now = self._clock.now()
        orders_at = executions_at = positions_at = now
        if courier is not None:
            orders_at, executions_at, positions_at = await self._ages(now)
            now = self._clock.now()
        if self.recorder is not None:
            self.recorder.snapshot(now, (orders_at, executions_at, positions_at))
        if past is None:
            return Snapshot(
                orders=exchange.open_orders(),
                executions=exchange.executions(since),
                positions=exchange.positions(),
            )
        return Snapshot(
            orders=exchange.open_orders() if orders_at == now else past.orders(orders_at),
            executions=exchange.executions(since)
            if executions_at == now
            else past.executions(executions_at, since),
            positions=exchange.positions() if positions_at == now else past.positions(positions_at),
        )

    async def _ages(self, now: datetime) -> list[datetime]:
        """Wait for the answer; return as of when each part of it is."""
        courier = self._courier
        assert courier is not None
        delay = courier.answer_delay(now)
        ages = [courier.staleness(kind, now) for kind in KINDS]
        if not self._pump.is_up:  # the link is gone and nobody has noticed
            await self._wait(None)
        if delay > 0:
            await self._wait(delay)
        missing = [kind for kind, age in zip(KINDS, ages, strict=True) if age is None]
        if missing and self._settings.hangs:
            await self._wait(None)
        if missing:
            raise BrokerError(f"the paper venue did not answer the request for {' and '.join(missing)}")
        now = self._clock.now()
        return [now - timedelta(seconds=age) if age else now for age in ages]

    async def _wait(self, delay: float | None) -> None:
        """Wait ``delay`` seconds (``None``: for ever); raises ``BrokerError`` when the link goes down meanwhile."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        handle = None
        if delay is not None:
            at = self._clock.now() + timedelta(seconds=delay)
            handle = self._clock.call_at(at, lambda: None if done.done() else done.set_result(None))
        self._waiting.add(done)
        try:
            await done
        finally:
            self._waiting.discard(done)
            if handle is not None:
                handle.cancel()

    # --- to the venue -------------------------------------------------------------------------------------------------

    def must_be_up(self) -> None:
        """Raise ``BrokerError`` when the host knows that the link is down."""
        if not self.is_told_up:
            raise BrokerError(NOT_CONNECTED)

    def send(self, action: str, ref: str, arrive: Callable[[], None]) -> None:
        """Send an order of ours; it leaves for nowhere when the link is gone and nobody has noticed."""
        self.must_be_up()
        if not self._pump.is_up:
            return
        if self._post is not None:
            self._post.to_venue(action, ref, arrive)
        elif self._latency:
            drops = self._drops
            self.carry(lambda: arrive() if self._emptied <= drops else None)
        else:
            self._clock.call_soon(arrive)

    def carry(self, arrive: Callable[[], None]) -> None:
        """Bring something to the venue by a way that is not ours."""
        if self._latency:
            self._clock.call_at(self._clock.now() + self._latency, arrive)
        else:
            self._clock.call_soon(arrive)
