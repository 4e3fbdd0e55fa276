"""The in-process face of the venue: the ``Broker`` port over the venue and a link that may fail.

Laws: nothing is told inside a call of the host: orders reach the exchange on a later turn of the loop (after ``latency``), bars
and reports come from the pump.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from tradeshell import (
    Bar,
    Broker,
    BrokerContext,
    BrokerError,
    BrokerInfo,
    DataKind,
    FeedEnded,
    Finding,
    Handle,
    Instrument,
    OrderSpec,
    Price,
    Quote,
    Snapshot,
    VenueClock,
)
from tradeshell_paper.calendar import new_york_day, new_york_instant
from tradeshell_paper.checkup import Streams, examine
from tradeshell_paper.cursors import OnBar
from tradeshell_paper.feed import make_market
from tradeshell_paper.link import OUR_CLIENT, HostLink
from tradeshell_paper.market import MarketData, Named
from tradeshell_paper.matching import Reports
from tradeshell_paper.outside import Outside
from tradeshell_paper.settings import Settings, read_settings
from tradeshell_paper.venue import Venue


class PaperBroker(Venue, Outside):
    """The venue as a broker."""

    def __init__(
        self, context: BrokerContext, clock: VenueClock, settings: Settings, market: MarketData
    ) -> None:
        super().__init__(clock, market, settings.rules, settings.witness)
        self._settings = settings
        self.link = HostLink(context.emit, clock, settings, self.exchange, self._pump)
        self._streams = Streams(clock, settings.dead_streams)

    def close(self) -> None:
        """Stop playing."""
        self._pump.close()
        self.link.close()

    # --- what the venue says ------------------------------------------------------------------------------------------

    def hear(self, reports: Reports) -> None:
        """Send what the exchange says over the link."""
        self.link.report(reports)

    def hear_end(self, now: datetime) -> None:
        """Tell the host that no more market data will come."""
        self.link.tell(FeedEnded(at=now))

    def seen_at(self) -> datetime:
        """Return now, or when the link dropped: what the host sees stands still from then on."""
        return self.link.dropped_at or self._clock.now()

    def show_quote(self, quote: Quote) -> None:
        """Tell a witness what the host is shown."""
        if self.link.recorder is not None:
            halted = quote.kind is DataKind.HALTED
            self.link.recorder.quote_to_host(self._clock.now(), quote, halted=halted)

    # --- who and when -------------------------------------------------------------------------------------------------

    def info(self) -> BrokerInfo:
        """Return who this is."""
        return BrokerInfo(
            name="paper",
            account=self._settings.rules.account,
            paper=True,
            words=f"paper venue · {self._market.words}",
            embedded=True,
        )

    def symbols(self) -> tuple[str, ...]:
        """Return the symbols of the market."""
        return self._market.names if isinstance(self._market, Named) else ()

    async def connect(self) -> None:
        """Connect and emit ``LinkChanged``."""
        if self.link.connect(self.first_order_id()):
            self._review()

    async def disconnect(self) -> None:
        """Disconnect and emit ``LinkChanged``; orders go on working, unheard."""
        self.link.disconnect()

    async def qualify(self, symbol: str) -> Instrument:
        """Return the contract of a symbol that the market has."""
        return self.instrument(symbol)

    async def broker_time(self) -> datetime:
        """Return the venue's time: the host's own."""
        return self._clock.now()

    async def examine(self) -> tuple[Finding, ...]:
        """Return what `doctor` shows of the venue."""
        symbol = next((symbol for symbol, _, _ in self._bars), None)
        quote = None if symbol is None else self.latest(symbol)
        return examine(self.info(), quote, self._clock.now())

    async def equity(self) -> Price:
        """Return what the account is worth, USD: a million, and what was made of it since; shares at their bid."""
        return self.exchange.worth(self._bid)

    def _bid(self, symbol: str) -> Price | None:
        quote = self.latest(symbol)
        return None if quote is None else quote.bid

    def first_order_id(self) -> int:
        """Return the lowest order number that was never used here."""
        return max(self._settings.first_order_id, self.exchange.highest_order_id(OUR_CLIENT) + 1)

    # --- market data --------------------------------------------------------------------------------------------------

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: OnBar) -> Handle:
        """Call ``on_bar`` for each bar that closes from now on, unless the stream is dead."""
        listener = self._streams.listener((symbol, seconds, rth), on_bar)
        return super().subscribe(symbol, seconds, rth, listener)

    def last_heard(self, symbol: str, seconds: int, rth: bool) -> datetime | None:
        """Return when the stream was alive last."""
        return self._streams.last_heard((symbol, seconds, rth))

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return up to ``count`` bars that are closed by now, oldest first."""
        found: list[Bar] = []
        for bars in self._market.tape(symbol).look_back(seconds, count, rth, self._clock.now()):
            found += bars
            await asyncio.sleep(0)  # a generated day of the past takes milliseconds: others have their turn
        return tuple(reversed(found))

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return the touch as it is now; a simulated market has nothing to wait for."""
        del patience
        return self.latest(symbol)

    # --- orders -------------------------------------------------------------------------------------------------------

    def place(self, order: OrderSpec, order_id: int) -> None:
        """Send a new order."""
        arrive = self._arrival(lambda now: self.exchange.place(now, order, order_id), order.symbol)
        self.link.send("place", order.ref, arrive)

    def modify(self, order: OrderSpec, order_id: int) -> None:
        """Send an order again with its changed values."""
        arrive = self._arrival(lambda now: self.exchange.modify(now, order, order_id), order.symbol)
        self.link.send("modify", order.ref, arrive)

    def cancel(self, ref: str, order_id: int) -> None:
        """Ask to cancel."""
        arrive = self._arrival(lambda now: self.exchange.cancel(now, order_id, OUR_CLIENT, ref), None)
        self.link.send("cancel", ref, arrive)

    async def snapshot_account(self) -> Snapshot:
        """Return living orders, the executions of the New York day, and positions."""
        return await self.link.snapshot(
            new_york_instant(new_york_day(self._clock.now()), datetime.min.time())
        )


@contextmanager
def open_paper(context: BrokerContext) -> Iterator[Broker]:
    """Open the venue: read the settings, make the market, start the clock."""
    clock = context.venue_clock
    if clock is None:
        raise BrokerError("the paper venue runs on a clock of its own, and none was given")
    settings = read_settings(context.settings)
    broker = PaperBroker(context, clock, settings, make_market(context.options, settings))
    broker.start()
    try:
        yield broker
    finally:
        broker.close()
