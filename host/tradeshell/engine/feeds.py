"""Market data for the desk: subscriptions shared and counted, poison kept out.

Laws: one subscription per (symbol, length, hours) however many watch it; a bar that cannot be true (prices out of order or not
finite, an end that has not come) is told and dropped; each bar is handed on once and never out of order, also when the stream is
subscribed anew: a bar that closed before that is back-filled, and is nobody's live bar.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import InvalidOperation

from tradeshell.core.events import DataRejected, Event
from tradeshell.core.inputs import BarClosed, Input, QuoteSeen
from tradeshell.core.market import Bar, Price, Quote
from tradeshell.ports import Broker, Handle
from tradeshell.upkeep import StreamKey

AHEAD = timedelta(seconds=5)  # a bar's end may be this far in the future: the broker's clock is not ours


class Stream:
    """One subscription to bars. ``since``: when it was first asked for; ``heard_at`` and ``close`` are its last bar's.

    ``traded``: the start of its last bar in which anything traded.
    """

    __slots__ = ("close", "fresh_from", "handle", "heard_at", "last", "since", "traded", "turn")

    def __init__(self, since: datetime) -> None:
        self.since = since
        self.heard_at: datetime | None = None
        self.close: Price | None = None
        self.handle: Handle | None = None
        self.last: datetime | None = None  # start of the last bar that was handed on
        self.traded: datetime | None = None
        self.fresh_from: datetime | None = (
            None  # since when the present subscription runs, unless it is the first
        )
        self.turn = 0  # the number of the present subscription: earlier ones are not listened to


def _nobody() -> None:
    """Be told of a new stream."""


class Feeds:
    """Keeps the bar and quote subscriptions that watchers and elected stops need. ``on_stream`` is called for each new stream."""

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
        self.on_stream: Callable[[], None] = _nobody
        self._streams: dict[StreamKey, Stream] = {}
        self._keys: dict[str, tuple[StreamKey, ...]] = {}
        self._quotes: dict[str, Handle] = {}
        self._chased: dict[str, Handle] = {}
        self._unheard: frozenset[str] = frozenset()

    def watch(self, key: str, symbol: str, seconds: int, rth: bool) -> None:
        """Subscribe ``key`` to bars beside those it has, and keep the touch; raises ``BrokerError`` when there are none."""
        stream = (symbol, seconds, rth)
        self.keep_quote(symbol)
        if stream not in self._streams:
            made = Stream(self._now())
            made.handle = self._broker.subscribe(symbol, seconds, rth, self._listener(made, rth))
            self._streams[stream] = made
            self.on_stream()
        self._keys[key] = tuple(dict.fromkeys((*self._keys.get(key, ()), stream)))

    def unwatch(self, key: str) -> None:
        """End ``key``'s subscriptions; a stream ends with its last key."""
        left = self._keys.pop(key, ())
        heard = {stream for streams in self._keys.values() for stream in streams}
        for stream in left:
            if stream not in heard:
                _end(self._streams.pop(stream))

    @property
    def streams(self) -> Mapping[StreamKey, Stream]:
        """The streams that somebody listens to."""
        return self._streams

    def listeners(self) -> dict[StreamKey, tuple[str, ...]]:
        """Return who listens to each stream."""
        found: dict[StreamKey, tuple[str, ...]] = {}
        for key, streams in self._keys.items():
            for stream in streams:
                found[stream] = (*found.get(stream, ()), key)
        return found

    def renew(self, key: StreamKey) -> None:
        """End a stream's subscription and make a new one; raises what the broker raises, the stream then has none."""
        stream = self._streams[key]
        _end(stream)
        stream.turn += 1
        stream.fresh_from = self._now()
        stream.handle = self._broker.subscribe(*key, self._listener(stream, key[2]))

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
        for stream in self._streams.values():
            _end(stream)
        for handle in (*self._quotes.values(), *self._chased.values()):
            handle.cancel()
        self._streams, self._keys, self._quotes, self._chased = {}, {}, {}, {}

    def _listener(self, stream: Stream, rth: bool) -> Callable[[Bar], None]:
        submit, now = self._submit, self._now
        turn = stream.turn

        def on_bar(bar: Bar) -> None:
            last = stream.last
            if (last is not None and bar.start <= last) or turn != stream.turn:
                return  # a repetition or a late older bar: each bar time is looked at once
            if stream.fresh_from is not None and bar.end <= stream.fresh_from:
                return  # back-filled
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
            stream.last, stream.heard_at, stream.close = bar.start, at, bar.close
            if bar.volume:
                stream.traded = bar.start
            submit(BarClosed(at=at, bar=bar, rth=rth))

        return on_bar

    def _on_quote(self, quote: Quote) -> None:
        self._submit(QuoteSeen(at=self._now(), quote=quote))


def _end(stream: Stream) -> None:
    if stream.handle is not None:
        handle, stream.handle = stream.handle, None
        handle.cancel()
