"""Market data of IBKR: the data half of the broker port.

Laws: nothing here sends an order or waits without a bound; requests leave behind everything about orders. Ticks and bars go from
the fields of a message to their listener without a stop in between: the library's tickers, bar lists and events are not used.
What was subscribed is subscribed again, once, when data were lost. A message that makes no sense costs itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct, field

from tradeshell import Bar, BrokerError, ConfigError, Handle, Instrument, Quote, Session
from tradeshell_ibkr.asking import Link, Questions
from tradeshell_ibkr.bars import LIVE_LENGTHS
from tradeshell_ibkr.contracts import Contracts
from tradeshell_ibkr.history import History
from tradeshell_ibkr.lines import QuoteLine, Snapshot
from tradeshell_ibkr.source import COMPETING_SESSION, Budget, Report, Room, Routes, Source
from tradeshell_ibkr.streams import Stream
from tradeshell_ibkr.ticks import SecondStream

if TYPE_CHECKING:
    from ib_async.contract import Contract

OnBar = Callable[[Bar], None]
OnQuote = Callable[[Quote], None]
LIVE, FROZEN, DELAYED, DELAYED_FROZEN = 1, 2, 3, 4
# Messages that carry the number of their request in the third field, and those that carry it in the second.
THIRD, SECOND = (1, 2, 45, 46, 50, 57, 58), (17, 81, 90, 99)


class DataSettings(Struct, frozen=True, kw_only=True):
    """The data part of ``[brokers.ibkr]``.

    ``market_lines``: how many the account has. ``tick_lines``: symbols with every trade at once. ``market_data_type``: 1 live
    only; 3 shows delayed data where there are no live ones (nothing is entered on them). ``real_time_bars``: IBKR's
    5-second bars, else kept-up-to-date history. ``primary_exchange``: which listing an ambiguous symbol means.
    """

    market_lines: int = 100
    tick_lines: int = 5
    market_data_type: int = LIVE
    real_time_bars: bool = True
    primary_exchange: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what IBKR does not have."""
        if self.market_data_type not in (LIVE, FROZEN, DELAYED, DELAYED_FROZEN):
            raise ConfigError(
                f"[brokers.ibkr] market_data_type = {self.market_data_type}: it is 1 (live), 2 (frozen), 3 (delayed) or 4"
            )
        if self.market_lines < 1 or self.tick_lines < 0:
            raise ConfigError("[brokers.ibkr] market_lines is at least 1 and tick_lines at least 0")


class _Subscription:
    """A handle that runs its ending once."""

    def __init__(self, end: Callable[[], None]) -> None:
        self._end: Callable[[], None] | None = end

    def cancel(self) -> None:
        """End the subscription; twice is harmless."""
        end, self._end = self._end, None
        if end is not None:
            end()


class MarketData:
    """Contracts, hours, bars and quotes over one link, for as long as the broker is open."""

    def __init__(
        self, link: Link, settings: DataSettings | None = None, report: Report | None = None
    ) -> None:
        self.settings = settings = settings or DataSettings()
        self._link = link
        self._routes: Routes = {}
        self._questions = Questions(link)
        self.contracts = Contracts(link, self._questions, settings.primary_exchange)
        self.past = History(link, self._questions, self.contracts)
        self.budget = Budget(settings.market_lines, settings.tick_lines)
        self._room = Room(link, self.contracts, self.budget, self._routes, report or (lambda _: None))
        self._streams: dict[tuple[str, bool], Stream] = {}
        self._seconds: dict[str, SecondStream] = {}
        self._lines: dict[str, QuoteLine] = {}
        self._changed: dict[str, QuoteLine] = {}
        self._epoch = 0
        self.unreadable = 0  # messages that made no sense
        link.notices.append(self._notice)

    # --- the link -----------------------------------------------------------------------------------------------------

    def on_connected(self, data_lost: bool) -> None:
        """The link is up; with ``data_lost`` (or over a new connection) everything is subscribed anew."""
        data_lost = data_lost or self._epoch != self._link.epoch
        is_new, self._epoch = self._epoch != self._link.epoch, self._link.epoch
        sources = self._sources()
        if is_new:
            self._take_messages()
            with suppress(BrokerError):  # the link is gone again already
                self._link.ask("reqMarketDataType", self.settings.market_data_type)
        if data_lost:
            for source in sources:
                source.lose()
        for source in sources:
            source.restore()

    def on_lost(self) -> None:
        """Nothing will come any more. Questions have failed with the link; what is subscribed stays known."""

    def close(self) -> None:
        """End what is under way."""
        self.contracts.close()
        self.past.close()
        for source in self._sources():
            source.close()

    # --- contracts ----------------------------------------------------------------------------------------------------

    async def qualify(self, symbol: str) -> Instrument:
        """Return the one contract that ``symbol`` means; raises ``BrokerError`` when it is unknown or ambiguous."""
        return await self.contracts.qualify(symbol)

    def session(self, symbol: str, at: datetime) -> Session | None:
        """Return the trading hours of the New York day of ``at``, or ``None`` when it is no trading day."""
        return self.contracts.session(symbol, at)

    def contract(self, con_id: int) -> Contract | None:
        """Return a qualified contract as ib_async writes it."""
        return self.contracts.by_id(con_id)

    # --- bars ---------------------------------------------------------------------------------------------------------

    def subscribe(self, symbol: str, seconds: int, rth: bool, on_bar: OnBar) -> Handle:
        """Call ``on_bar`` for each bar of ``seconds`` once it is closed; raises ``BrokerError`` for a length there is not."""
        if seconds not in LIVE_LENGTHS:
            raise BrokerError(
                f"{symbol}: no live bars of {seconds} s; there are those of {', '.join(map(str, sorted(LIVE_LENGTHS)))} s"
            )
        if seconds == 1:
            return self._subscribe_seconds(symbol, rth, on_bar)
        key = (symbol, rth)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = Stream(
                symbol, rth, self._room, self.past, use_real_time=self.settings.real_time_bars
            )
        stream.add(seconds, on_bar)

        def end() -> None:
            if stream.remove(seconds, on_bar) and self._streams.get(key) is stream:
                del self._streams[key]

        return _Subscription(end)

    def _subscribe_seconds(self, symbol: str, rth: bool, on_bar: OnBar) -> Handle:
        stream = self._seconds.get(symbol)
        if stream is None:
            stream = self._seconds[symbol] = SecondStream(symbol, self._room)
        stream.add(rth, on_bar)

        def end() -> None:
            if stream.remove(rth, on_bar) and self._seconds.get(symbol) is stream:
                del self._seconds[symbol]

        return _Subscription(end)

    async def history(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return up to ``count`` bars that are closed by now, oldest first."""
        return await self.past.bars(symbol, seconds, count, rth)

    def last_heard(self, symbol: str, seconds: int, rth: bool) -> datetime | None:
        """Return the last sign of life of a stream of bars: also of one in which nothing trades."""
        source = self._seconds.get(symbol) if seconds == 1 else self._streams.get((symbol, rth))
        return None if source is None else source.heard_at

    # --- quotes -------------------------------------------------------------------------------------------------------

    async def snapshot(self, symbol: str, patience: float) -> Quote | None:
        """Return a touch requested now, or ``None`` after ``patience`` seconds."""
        if not self._link.is_served:
            return None
        line = self._lines.get(symbol)
        halted = line is not None and line.touch.halted
        return await Snapshot(symbol, self._room, halted=halted).wait(patience)

    def subscribe_quotes(self, symbol: str, on_quote: OnQuote | None = None) -> Handle:
        """Keep the touch of ``symbol``; call ``on_quote`` on each change. Raises ``BrokerError`` when no line is left."""
        line = self._lines.get(symbol)
        if line is None:
            line = QuoteLine(symbol, self._room, self._note_change)
            line.open()
            self._lines[symbol] = line
        line.add(on_quote)

        def end() -> None:
            if line.remove(on_quote) and self._lines.get(symbol) is line:
                del self._lines[symbol]
                self._changed.pop(symbol, None)

        return _Subscription(end)

    def latest(self, symbol: str) -> Quote | None:
        """Return the last touch seen, without waiting."""
        line = self._lines.get(symbol)
        return None if line is None else line.touch.quote()

    # --- messages -----------------------------------------------------------------------------------------------------

    def _take_messages(self) -> None:
        """Take data messages as their fields, ahead of the library's decoder: it makes floats and objects of them."""
        handlers: dict[int, Callable[[list[str]], None]] = self._link.wire.decoder.handlers
        handlers.update(dict.fromkeys(THIRD, self._route_third))
        handlers.update(dict.fromkeys(SECOND, self._route_second))

    def _route_third(self, fields: list[str]) -> None:
        try:
            route = self._routes.get(fields[2])
            if route is not None:
                route(fields)
        except (ValueError, IndexError, ArithmeticError) as error:
            self._cannot_read(fields, error)

    def _route_second(self, fields: list[str]) -> None:
        try:
            route = self._routes.get(fields[1])
            if route is not None:
                route(fields)
            elif fields[0] == "17":
                self.past.on_rows(fields)
        except (ValueError, IndexError, ArithmeticError) as error:
            self._cannot_read(fields, error)

    def _cannot_read(self, fields: list[str], error: Exception) -> None:
        """Count a message that made no sense; what a listener raised is not the message's fault."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        if trace is None or not trace.tb_frame.f_globals.get("__name__", "").startswith("tradeshell_ibkr"):
            raise error
        self.unreadable += 1
        self._link.tell(
            0, f"a message about market data cannot be read and was dropped: {' '.join(fields)[:60]!r}"
        )

    def _notice(self, code: int, text: str) -> None:
        """Take a message that is about no request: that another session has the data is about all of them."""
        if code == COMPETING_SESSION:
            for source in self._sources():
                source.block(code, text)

    def _note_change(self, line: QuoteLine) -> None:
        """Hand the touch on behind the messages of this packet: bid and ask of one change are two of them."""
        if not self._changed:
            self._link.clock.call_soon(self._hand_on)
        self._changed[line.symbol] = line

    def _hand_on(self) -> None:
        changed = tuple(self._changed.values())
        self._changed.clear()
        for line in changed:
            line.hand_on()

    def _sources(self) -> tuple[Source, ...]:
        return (*self._lines.values(), *self._seconds.values(), *self._streams.values())
