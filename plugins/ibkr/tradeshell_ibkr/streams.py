"""Live bars of 5 s and more: which requests give them, when they are made anew, and to whom closed bars go.

Laws: one set of requests for each (symbol, hours), however many lengths and listeners. Bars come from IBKR's 5-second bars; when
those are refused (line or pacing limits), bars of a minute and more come from a history that is kept up to date, and the last
word about each is asked for once more unless it came at its end. Parts of a bar that were missed while it formed are asked for
too, from history. Who subscribes to a stream that is dead or silent gets new requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime

from tradeshell import Bar, BrokerError, Handle
from tradeshell_ibkr.bars import (
    PART,
    SETTLE,
    Assembly,
    Ended,
    Forming,
    Open,
    believable,
    instant,
    is_sane,
    read_part,
)
from tradeshell_ibkr.history import History, read_rows, read_time, size_words
from tradeshell_ibkr.source import BUSTED, Lengths, Room, Source

OnBar = Callable[[Bar], None]
GRACE = 2.5  # seconds after its end in which the last part of a bar may still come
REAL_TIME_REFUSED = frozenset({101, 309, 354, 420, 10089, 10090, 10091})
TRUSTED_AFTER = (
    3  # bars that history found complete although parts were missing: the server skips what did not trade
)
FUTURE = 3600.0  # seconds: a bar that far ahead is nonsense
KEPT_FROM = (
    60  # seconds: shorter bars cannot be had from kept-up-to-date history, which is told every 5 s only
)
MOST_SILENCE = 12.0  # seconds: two updates of a kept-up-to-date history
REPAIRS = 2  # requests for what is missing of the bars that form


class Stream(Source):
    """Bars of one symbol, in regular hours only or in all of them."""

    def __init__(self, symbol: str, rth: bool, room: Room, history: History, *, use_real_time: bool) -> None:
        super().__init__(symbol, room)
        self.rth = rth
        self._history = history
        self._use_real_time = use_real_time
        self._listeners: dict[int, tuple[OnBar, ...]] = {}
        self._since: dict[int, float] = {}
        self._assembly = Assembly(symbol)
        self._real: int | None = None
        self._kept: dict[int, int] = {}  # length -> number of the request
        self._expected = 0  # start of the next part
        self._repairs = 0  # what is left of them until a part comes in order again
        self._is_repairing = False
        self._lead: float | None = None  # how much later than its end a part came, at best
        self._timer: Handle | None = None
        self._settling: dict[int, Handle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # --- subscriptions ------------------------------------------------------------------------------------------------

    def add(self, seconds: int, on_bar: OnBar) -> None:
        """Hand bars of ``seconds`` that end after now to ``on_bar``."""
        is_new = seconds not in self._listeners
        self._listeners[seconds] = (*self._listeners.get(seconds, ()), on_bar)
        if is_new:
            self._since[seconds] = now = self._now()
            self._assembly.want(seconds, now)
        if not self._link.is_served:
            return
        if not self.is_asked or self.must_be_renewed():
            self.start()
        elif is_new and self._real is None and seconds >= KEPT_FROM:
            self._keep(seconds)
        elif is_new and self._real is None:
            self.start()
        elif is_new:
            self._look_back()

    def remove(self, seconds: int, on_bar: OnBar) -> bool:
        """Remove a listener; return whether nobody is left."""
        left = list(self._listeners.get(seconds, ()))
        left.remove(on_bar)  # the first of its kind: the same function may have subscribed twice
        if left:
            self._listeners[seconds] = tuple(left)
            return False
        del self._listeners[seconds], self._since[seconds]
        self._assembly.forget(seconds)
        self._stop_kept(seconds)
        if not self._listeners:
            self.stop()
        return not self._listeners

    def lengths(self) -> Lengths:
        """Return which bars are made here."""
        return tuple((seconds, self.rth) for seconds in self._listeners)

    @property
    def is_asked(self) -> bool:
        """Whether the broker was asked for this stream."""
        return self._real is not None or bool(self._kept)

    def start(self) -> None:
        """Ask for the stream, anew if it was asked for before."""
        self.stop()
        self._asked_at, self._is_dead, self._expected, self._lead = self._link.clock.now(), False, 0, None
        if not self._use_real_time and min(self._listeners) >= KEPT_FROM:
            self._keep_all(0, "")
        elif not self._budget.may_ask_real_time(self._now()):
            self._keep_all(420, "too many requests for 5-second bars within 10 minutes")
        elif not self._take_line():
            self._keep_all(101, f"all {self._budget.lines} market data lines are in use")
        else:
            self._real = self._request(
                self._on_part, self._real_error, "reqRealTimeBars", PART, "TRADES", int(self.rth), []
            )
            self._look_back()

    def stop(self) -> None:
        """End the requests; the parts of bars that form stay."""
        real, self._real = self._real, None
        if real is not None:
            self._cancel("cancelRealTimeBars", real)
        for seconds in tuple(self._kept):
            self._stop_kept(seconds)
        self._calm()

    def lose(self) -> None:
        """Forget the requests."""
        real, self._real = self._real, None
        for req_id in (*self._kept.values(), *(() if real is None else (real,))):
            self._drop(req_id)
        self._history.pacing.open -= len(self._kept)
        self._kept.clear()
        self._calm()

    def restore(self) -> None:
        """Ask again for what often does not live on: histories that were kept up to date."""
        kept = tuple(self._kept)
        super().restore()
        for seconds in kept:
            self._stop_kept(seconds)
            self._keep(seconds)

    def close(self) -> None:
        """End what is under way."""
        for task in self._tasks:
            task.cancel()
        self._calm()

    def _calm(self) -> None:
        """Stop what runs by the clock."""
        self._give_line()
        for timer in (self._timer, *self._settling.values()):
            if timer is not None:
                timer.cancel()
        self._timer = None
        self._settling.clear()

    def _hand_on(self, bar: Bar) -> None:
        for on_bar in self._listeners.get(bar.seconds, ()):
            on_bar(bar)

    # --- five-second bars ---------------------------------------------------------------------------------------------

    def _on_part(self, fields: list[str]) -> None:
        """Take a ``realtimeBar``: version, number, start, open, high, low, close, volume, average, trades."""
        _, _, _, when, opened, high, low, close, volume, _, trades = fields[:11]
        start = int(when)
        part = read_part(opened, high, low, close, volume)
        now = self._hear()
        if volume == "0":
            self._budget.sends_quiet = True
        expected = self._expected
        if start != expected and start > now.timestamp() + FUTURE:
            raise ValueError(f"a bar that starts at {start} is not here yet")
        closed, lost = self._assembly.part(start, part, int(trades or 0))
        for bar in closed:
            for on_bar in self._listeners.get(bar.seconds, ()):
                on_bar(bar)
        self._expected = max(start + PART, expected)
        if start == expected:
            self._repairs = REPAIRS
        else:
            self._repair()
        if self._assembly.is_forming:
            lead = now.timestamp() - start - PART
            if self._lead is None or lead < self._lead:
                self._lead = lead
            if self._timer is None:
                self._watch_end()
        if lost:
            self._ended_unfinished(lost)

    def _watch_end(self) -> None:
        """Look after the end of the bar that ends first whether its last part has come."""
        end = self._assembly.next_end()
        if end is not None and self._lead is not None:
            self._timer = self._link.clock.call_at(instant(end + self._lead + GRACE), self._end_is_due)

    def _end_is_due(self) -> None:
        self._timer = None
        # A hundredth: a clock of floats may stand a little before the instant it was asked for.
        lost = self._assembly.overdue(self._now() - (self._lead or 0.0) + 0.01, GRACE)
        if lost:
            self._ended_unfinished(lost)
        self._watch_end()

    def _look_back(self) -> None:
        """Ask for the part of the bars of now that is over already."""
        now = int(self._now())
        first = min((now - now % seconds for seconds in self._listeners), default=now)
        self._repairs = REPAIRS
        self._fill_later(first, now - now % PART)

    def _repair(self) -> None:
        """Ask for what is missing of the bars that form."""
        first = self._assembly.first_forming()
        if first is not None:
            self._fill_later(first, self._assembly.live_end)

    def _fill_later(self, first: int, after: int) -> None:
        if self.rth:  # nothing is missing of the hour of nine before the market has opened
            session = self._room.contracts.session(self.symbol, self._link.clock.now())
            first = after if session is None else max(first, int(session.open.timestamp()))
        gaps = self._assembly.gaps(first, after)
        if gaps and self._repairs > 0 and not self._is_repairing:
            self._repairs -= 1
            self._is_repairing = True
            self._run(self._fill(gaps[0], gaps[-1] + PART))

    async def _fill(self, first: int, after: int) -> None:
        try:
            self._assembly.fill(first, after, await self._history.parts(self.symbol, self.rth, first, after))
        except BrokerError:
            return  # the bar is closed with what came live: its close is right
        finally:
            self._is_repairing = False
        self._repair()  # what was missed while history was asked

    def _ended_unfinished(self, lost: list[Open]) -> None:
        """Decide about bars that have ended without their last part."""
        if self._budget.found_quiet >= TRUSTED_AFTER and not self._budget.sends_quiet:
            for bar in lost:
                if (closed := self._assembly.decide(bar, silence_is_quiet=True)) is not None:
                    self._hand_on(closed)
        else:
            self._run(self._ask_about(lost))

    async def _ask_about(self, lost: list[Open]) -> None:
        """Ask history whether anything traded in the missing parts of bars that have ended."""
        first, after = min(bar.live for bar in lost), max(bar.start + bar.seconds for bar in lost)
        why = ""
        try:
            self._assembly.fill(first, after, await self._history.parts(self.symbol, self.rth, first, after))
        except BrokerError as error:
            why = f" ({error})"
        for bar in sorted(lost, key=lambda each: each.seconds):
            closed = self._assembly.decide(bar)
            if closed is not None:
                self._budget.found_quiet += 1
                self._hand_on(closed)
            elif self._assembly.is_wanted(bar):
                self._budget.found_quiet = 0
                self._tell_unfinished(bar.seconds, instant(bar.start), why)

    def _tell_unfinished(self, seconds: int, start: datetime, why: str = "") -> None:
        self._link.tell(
            0,
            f"{self.symbol}: the end of the {seconds} s bar of {start:%H:%M:%S} UTC did not come live; it is not used{why}",
        )

    def _real_error(self, code: int, text: str) -> None:
        if code in REAL_TIME_REFUSED and self._real is not None:
            self._drop(self._real)
            self._real = None
            self._give_line()
            self._keep_all(code, text)
        elif code == BUSTED:
            self.start()  # a trade was broken; the words ask for a new subscription at once
        else:
            self._fail(code, text)

    # --- history that is kept up to date ------------------------------------------------------------------------------

    def _keep_all(self, code: int, text: str) -> None:
        """Take every length from history; ``code`` and ``text`` say why there are no 5-second bars."""
        for seconds in self._listeners:
            self._keep(seconds, code, text)

    def _keep(self, seconds: int, code: int = 0, text: str = "5-second bars are refused") -> None:
        if seconds in self._kept:
            return
        if seconds < KEPT_FROM:
            self._fail(code, text, ((seconds, self.rth),))
            return
        forming = Forming(self.symbol, seconds, self._since[seconds])
        self._kept[seconds] = self._request(
            lambda fields: self._on_kept(seconds, forming, fields),
            lambda code, text: self._kept_error(seconds, code, text),
            "reqHistoricalData",
            "",
            f"{max(seconds * 3, 60)} S",
            size_words(seconds),
            "TRADES",
            int(self.rth),
            2,
            True,
            [],
        )
        self._history.pacing.open += 1

    def _stop_kept(self, seconds: int) -> None:
        req_id = self._kept.pop(seconds, None)
        if req_id is not None:
            self._history.pacing.open -= 1
            self._cancel("cancelHistoricalData", req_id)
        timer = self._settling.pop(seconds, None)
        if timer is not None:
            timer.cancel()

    def _on_kept(self, seconds: int, forming: Forming, fields: list[str]) -> None:
        """Take the first answer, or an update: number, trades, start, open, close, high, low, average, volume."""
        now = self._hear().timestamp()
        if fields[0] == "17":
            for start, part in read_rows(fields)[0]:
                forming.seed(start - start % seconds, part, now)
            return
        start = read_time(fields[3])
        if start > now + FUTURE:
            raise ValueError(f"a bar that starts at {start} is not here yet")
        part = read_part(fields[4], fields[6], fields[7], fields[5], fields[9])
        part = part if is_sane(part) else believable(part)  # the host rejects it in its own words
        ended, is_settling = forming.update(start - start % seconds, part, now)
        if ended is not None:
            self._on_ended(ended)
        if is_settling and seconds not in self._settling:
            self._settling[seconds] = self._link.clock.call_at(
                instant(now + SETTLE), lambda: self._settle(seconds, forming)
            )

    def _settle(self, seconds: int, forming: Forming) -> None:
        self._settling.pop(seconds, None)
        ended = forming.settle()
        if ended is not None:
            self._on_ended(ended)

    def _on_ended(self, ended: Ended) -> None:
        """Hand an ended bar on, if its last word was heard."""
        if ended.silence <= SETTLE:
            self._hand_on(ended.bar)
        elif ended.silence <= MOST_SILENCE:
            self._run(self._ask_last_word(ended.bar))
        else:
            self._tell_unfinished(ended.bar.seconds, ended.bar.start)

    async def _ask_last_word(self, bar: Bar) -> None:
        why = ""
        final: Bar | None = None
        try:
            final = await self._history.final(self.symbol, bar.seconds, bar.start, self.rth)
        except BrokerError as error:
            why = f" ({error})"
        if final is not None:
            self._hand_on(final)
        else:
            self._tell_unfinished(bar.seconds, bar.start, why)

    def _kept_error(self, seconds: int, code: int, text: str) -> None:
        if code == BUSTED:
            self._stop_kept(seconds)
            self._keep(seconds)
        else:
            self._fail(code, text, ((seconds, self.rth),))

    # --- inside -------------------------------------------------------------------------------------------------------

    def _run(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _now(self) -> float:
        return self._link.clock.now().timestamp()
