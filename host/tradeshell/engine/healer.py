"""Looks after the bar streams of a session: sees, lets ``health`` decide, tells, and subscribes again.

Laws: it only looks, tells, and asks for data: nothing here reaches an order. Every timer is the engine's clock's. What a broker
raises here costs this look or this attempt. Bars that history tells afterwards are told to the operator and to nobody else.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial

from tradeshell.core.data_events import BarStreamGapRead, BarStreamRecovered, BarStreamStalled
from tradeshell.core.events import DataRejected, Event
from tradeshell.core.market import DataKind
from tradeshell.engine import health
from tradeshell.engine.feeds import Stream
from tradeshell.engine.session import Session
from tradeshell.ports import Handle
from tradeshell.upkeep import BarHealthSettings, BlindStream, StreamKey, StreamNews, StreamWitness, StreamWord

MINUTE = 60  # seconds
MOST_MISSED = 500  # bars that history is asked for after a gap


class Healer:
    """Watches the streams of one session. ``hear`` may be given to the broker before there is one."""

    def __init__(self, session: Session, settings: BarHealthSettings) -> None:
        self._session = session
        self._settings = settings
        self._board = health.Board()
        self._link_up = False
        self._timer: Handle | None = None
        self._timer_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._is_started = False
        self._is_closed = False
        self._witness: StreamWitness | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._gaps: dict[StreamKey, datetime] = {}  # of stalled streams: the start of the last bar before

    def start(self) -> None:
        """Look after the session's streams from now on; after it was attached to its broker."""
        session = self._session
        self._is_started = True
        self._link_up = session.desk.link.up
        self._witness = session.broker if isinstance(session.broker, StreamWitness) else None
        session.feeds.on_stream = self._look_soon
        session.changed.append(self._on_change)

    def close(self) -> None:
        """Look no more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in tuple(self._tasks):
            task.cancel()

    @property
    def is_blocked(self) -> bool:
        """Whether another session of the login has the market data."""
        return self._board.blocked_at is not None

    def blind(self) -> tuple[BlindStream, ...]:
        """Return the streams that are stalled."""
        streams = self._board.streams
        if all(stream.stalled_at is None for stream in streams.values()):
            return ()
        return health.blind(self._board, self._seen())

    def hear(self, news: StreamNews) -> None:
        """Take what the broker says about its streams; what follows is done on a later turn of the loop."""
        self._session.clock.call_soon(lambda: self._take_in(news))

    # --- when ---------------------------------------------------------------------------------------------------------

    def _look_soon(self) -> None:
        self._set_timer(self._session.clock.now())

    def _on_change(self) -> None:
        up = self._session.desk.link.up
        if up is self._link_up:
            return
        self._link_up = up
        self._board, events = health.link_changed(self._board, self._session.clock.now(), up=up)
        self._tell(events)
        self._look_soon()

    def _take_in(self, news: StreamNews) -> None:
        if self._is_closed or not self._is_started:
            return
        self._look()  # a stream that is asked for just now gets its place on the board
        self._board, events = health.hear(self._board, news, self._session.clock.now())
        self._tell(events)
        self._look()

    def _set_timer(self, at: datetime) -> None:
        if self._is_closed or (self._timer_at is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._session.clock.call_at(at, self._due)

    def _due(self) -> None:
        self._timer = self._timer_at = None
        self._look()

    # --- a look -------------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        session = self._session
        try:
            seen, now = self._seen(), session.clock.now()
            self._looked_at = now
            verdict = health.look(
                self._board,
                seen,
                now,
                self._settings,
                link_up=self._link_up,
                data_at=self._data_at() if self.is_blocked else None,
            )
            self._board = verdict.board
            self._tell(verdict.events)
            for key in verdict.renew:
                self._renew(key)
            if verdict.look_at is not None:
                self._set_timer(verdict.look_at)
        except Exception as error:  # noqa: BLE001  # a defect of ours: trading goes on, and so do the looks
            session.report_fault(error, "the health of bar streams")
            self._set_timer(session.clock.now() + timedelta(seconds=health.ASIDE))

    def _tell(self, events: Iterable[Event]) -> None:
        for event in events:
            self._session.tell(event)
            if isinstance(event, BarStreamStalled | BarStreamRecovered):
                self._mind_the_gap(event)
        if events:
            for callback in self._session.changed:
                callback()

    def _mind_the_gap(self, event: BarStreamStalled | BarStreamRecovered) -> None:
        """Remember where a gap begins, and have it read when it is over."""
        assert event.symbol is not None
        key = (event.symbol, event.seconds, event.rth)
        stream = self._session.feeds.streams[key]
        if isinstance(event, BarStreamStalled):
            self._gaps[key] = stream.since if stream.last is None else stream.last
            return
        begin = self._gaps.pop(key, None)
        if begin is None or event.missed == 0 or not self._settings.self_heal_enabled:
            return
        now = self._session.clock.now()
        end = now if stream.last is None or stream.last <= begin else stream.last
        task = asyncio.get_running_loop().create_task(self._read_gap(event, begin, end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _renew(self, key: StreamKey) -> None:
        try:
            self._session.feeds.renew(key)
        except Exception as error:  # noqa: BLE001  # whatever the adapter raises, the attempt has failed
            symbol, seconds, rth = key
            self.hear(
                StreamNews(
                    word=StreamWord.BROKEN, symbol=symbol, seconds=seconds, rth=rth, text=_words(error)
                )
            )

    async def _read_gap(self, event: BarStreamRecovered, begin: datetime, end: datetime) -> None:
        """Tell what history says about the bars that did not come: those that start after ``begin`` and are over at ``end``."""
        assert event.symbol is not None
        count = min(event.missed + 2, MOST_MISSED)
        try:
            bars = await self._session.broker.history(event.symbol, event.seconds, count, event.rth)
        except Exception as error:  # noqa: BLE001  # the stream works again: what it missed is a remark
            self._session.tell(
                DataRejected(
                    symbol=event.symbol, reason=f"no history of the bars that were missed: {_words(error)}"
                )
            )
            return
        missed = [bar for bar in bars if begin < bar.start and bar.end <= end]
        if missed:
            self._session.tell(
                BarStreamGapRead(
                    symbol=event.symbol,
                    seconds=event.seconds,
                    rth=event.rth,
                    watches=event.watches,
                    count=len(missed),
                    low=min(bar.low for bar in missed),
                    high=max(bar.high for bar in missed),
                )
            )

    # --- what is seen -------------------------------------------------------------------------------------------------

    def _seen(self) -> list[health.Seen]:
        feeds, now = self._session.feeds, self._session.clock.now()
        listeners = feeds.listeners()
        due: dict[tuple[str, bool], datetime | None] = {}
        seen = []
        for key, stream in feeds.streams.items():
            symbol, _, rth = key
            if (symbol, rth) not in due:
                due[symbol, rth] = self._due_since(symbol, rth=rth, now=now)
            heard_at, watches = self._heard_at(key, stream), listeners.get(key, ())
            due_since = due[symbol, rth]
            # What spoke since the last look is not halted: its touch, which may be dear, is not asked for.
            has_spoken = heard_at is not None and self._looked_at is not None and heard_at > self._looked_at
            if due_since is not None and not has_spoken and self._is_halted(symbol):
                due_since = None
            seen.append(
                health.Seen(
                    key=key,
                    since=stream.since,
                    heard_at=now if self._is_only_quiet(key, stream) else heard_at,
                    due_since=due_since,
                    watches=watches,
                    urgency=partial(self._urgency, symbol, stream, watches),
                )
            )
        return seen

    def _is_only_quiet(self, key: StreamKey, stream: Stream) -> bool:
        """Return whether a stream of seconds may be silent because nothing trades: a second without a trade is no bar.

        A slower stream of the symbol shows what trades; a bar of it that began after the last second, and has trades, was missed.
        """
        symbol, seconds, rth = key
        if seconds >= MINUTE:
            return False
        slower = [
            other
            for (name, length, hours), other in self._session.feeds.streams.items()
            if (name, hours) == (symbol, rth) and length >= MINUTE
        ]
        since = stream.since if stream.last is None else stream.last
        return bool(slower) and all(other.traded is None or other.traded <= since for other in slower)

    def _heard_at(self, key: StreamKey, stream: Stream) -> datetime | None:
        told = None if self._witness is None else self._witness.last_heard(*key)
        if told is None or stream.heard_at is None:
            return stream.heard_at if told is None else told
        return max(told, stream.heard_at)

    def _due_since(self, symbol: str, *, rth: bool, now: datetime) -> datetime | None:
        """Return since when bars of ``symbol`` are due but for a halt, ``None`` outside its hours."""
        hours = self._session.broker.session(symbol, now)
        if hours is None or not (hours.is_regular(now) if rth else hours.is_extended(now)):
            return None
        return hours.open if rth else hours.extended_open

    def _is_halted(self, symbol: str) -> bool:
        quote = self._session.broker.latest(symbol)
        return quote is not None and quote.kind is DataKind.HALTED

    def _data_at(self) -> datetime | None:
        """Return when the latest live quote of a watched symbol was confirmed."""
        symbols = {symbol for symbol, _, _ in self._session.feeds.streams}
        quotes = (self._session.broker.latest(symbol) for symbol in symbols)
        return max(
            (quote.at for quote in quotes if quote is not None and quote.kind is DataKind.LIVE), default=None
        )

    def _urgency(self, symbol: str, stream: Stream, watches: Iterable[str]) -> tuple[float, ...]:
        """Return what is healed first: symbols with working orders, then watchers whose level is near."""
        desk = self._session.desk
        book = desk.books.get(symbol)
        has_orders = book is not None and any(order.state.is_live for order in book.orders.values())
        distance = math.inf
        if stream.close is not None:
            for id_ in watches:
                watcher = desk.watchers.get(id_)
                level = None if watcher is None else watcher.spec.plan.level
                if level is not None and level > 0:
                    distance = min(distance, float(abs(stream.close - level) / level))
        return (0.0 if has_orders else 1.0, distance)


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
