"""Market data for the desk: subscriptions shared and counted, poison kept out.

Laws: one subscription per (symbol, length, hours) however many watch it; a bar that cannot be true (prices out of order or not
finite, an end that has not come) is told and dropped; each bar is handed on once and never out of order.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import InvalidOperation

from tradeshell.core.events import DataRejected, Event
from tradeshell.core.inputs import BarClosed, Input, QuoteSeen
from tradeshell.core.market import Bar, Quote
from tradeshell.ports import Broker, Handle

Stream = tuple[str, int, bool]
AHEAD = timedelta(seconds=5)  # a bar's end may be this far in the future: the broker's clock is not ours


class Feeds:
    """Keeps the bar and quote subscriptions that watchers and elected stops need."""

    def __init__(
        self,
        broker: Broker,
        submit: Callable[[Input], None],
        tell: Callable[[Event], None],
        now: Callable[[], datetime],
    ) -> None:
        self._broker = broker
        self._submit = submit
        self._tell = tell
        self._now = now
        self._streams: dict[Stream, Handle] = {}
        self._keys: dict[str, Stream] = {}
        self._quotes: dict[str, Handle] = {}
        self._chased: dict[str, Handle] = {}
        self._unheard: frozenset[str] = frozenset()

    def watch(self, key: str, symbol: str, seconds: int, rth: bool) -> None:
        """Subscribe ``key`` to bars, and keep the symbol's touch; raises ``BrokerError`` when there are none."""
        stream = (symbol, seconds, rth)
        self.keep_quote(symbol)
        if stream not in self._streams:
            self._streams[stream] = self._broker.subscribe(symbol, seconds, rth, self._listener(rth))
        self._keys[key] = stream

    def unwatch(self, key: str) -> None:
        """End ``key``'s subscription; the stream ends with its last key."""
        stream = self._keys.pop(key, None)
        if stream is not None and stream not in self._keys.values():
            self._streams.pop(stream).cancel()

    def keep_quote(self, symbol: str) -> None:
        """Keep the touch of ``symbol`` from now on."""
        if symbol not in self._quotes:
            self._quotes[symbol] = self._broker.subscribe_quotes(symbol)

    def chase(self, symbols: frozenset[str]) -> None:
        """Push each new touch of ``symbols`` to the desk, and of no others.

        What cannot be had is told once and tried again at the next call; the core asks every second meanwhile.
        """
        self._unheard &= symbols
        for symbol in sorted(symbols - self._chased.keys()):
            self._chase(symbol)
        for symbol in sorted(self._chased.keys() - symbols):
            self._chased.pop(symbol).cancel()

    def _chase(self, symbol: str) -> None:
        try:
            self._chased[symbol] = self._broker.subscribe_quotes(symbol, self._on_quote)
        except Exception as error:  # noqa: BLE001  # whatever the adapter raises, the other stops are chased
            if symbol not in self._unheard:
                self._unheard |= {symbol}
                self._tell(DataRejected(symbol=symbol, reason=f"no stream of touches for its stop: {error}"))
        else:
            self._unheard -= {symbol}

    def close(self) -> None:
        """End every subscription."""
        for handle in (*self._streams.values(), *self._quotes.values(), *self._chased.values()):
            handle.cancel()
        self._streams, self._keys, self._quotes, self._chased = {}, {}, {}, {}

    def _listener(self, rth: bool) -> Callable[[Bar], None]:
        submit, now = self._submit, self._now
        last: datetime | None = None

        def on_bar(bar: Bar) -> None:
            nonlocal last
            if last is not None and bar.start <= last:
                return  # a repetition or a late older bar: each bar time is looked at once
            try:
                # What is highest bounds the others: if it is finite, they are.
                sane = 0 < bar.low <= bar.open <= bar.high and bar.low <= bar.close <= bar.high
                sane = sane and bar.high.is_finite()
            except InvalidOperation:  # NaN does not compare
                sane = False
            at = now()
            if not sane or bar.end > at + AHEAD:
                self._tell(
                    DataRejected(
                        symbol=bar.symbol,
                        reason=f"bar {bar.start:%H:%M:%S} o {bar.open} h {bar.high} l {bar.low} c {bar.close}"
                        + (f" ends {(bar.end - at).total_seconds():g} s from now" if sane else ""),
                    )
                )
                return
            last = bar.start
            submit(BarClosed(at=at, bar=bar, rth=rth))

        return on_bar

    def _on_quote(self, quote: Quote) -> None:
        self._submit(QuoteSeen(at=self._now(), quote=quote))
