"""Past bars: how they are asked for, and how often that may be done.

Laws: no more is asked than IBKR allows (bars of 30 s or less: 60 requests in 10 minutes; five for one contract within 2 s;
nothing twice within 15 s; 50 at once); what has to wait longer than its patience is refused in one line that says how long. A
pacing violation that comes nevertheless holds everything back, longer each time. Answers are closed bars, in order, each once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime, timedelta
from math import ceil
from zoneinfo import ZoneInfo

from msgspec import Struct

from tradeshell import Bar, BrokerError
from tradeshell_ibkr.asking import Link, Questions, Refused, rest
from tradeshell_ibkr.bars import DAY, HOUR, PART, Part, floor_bar, instant, is_sane, merge, read_part
from tradeshell_ibkr.contracts import Contracts
from tradeshell_ibkr.hours import NEW_YORK, zone_of

PATIENCE = 60.0  # seconds for a history, waiting for its turn included
PART_PATIENCE = 10.0  # seconds for the missing parts of a bar that still forms
REFUSED_SETTINGS = 321
SERVICE = 162
NO_DATA = 165
ROOM = frozenset({322, 386})
SMALL = 30  # seconds: bars up to this length are counted
WORDS = {
    1: "1 secs",
    5: "5 secs",
    10: "10 secs",
    15: "15 secs",
    30: "30 secs",
    60: "1 min",
    120: "2 mins",
    180: "3 mins",
    300: "5 mins",
    600: "10 mins",
    900: "15 mins",
    1200: "20 mins",
    1800: "30 mins",
    HOUR: "1 hour",
    2 * HOUR: "2 hours",
    3 * HOUR: "3 hours",
    4 * HOUR: "4 hours",
    8 * HOUR: "8 hours",
    DAY: "1 day",
}
LAST_SECOND = 4_102_444_800  # 2100: later ones are no times of bars
REGULAR_DAY, LONG_DAY = 23_400, 57_600  # seconds of trading
SECONDS_AT_ONCE = 2000  # the most that is given of 1-second bars
ROWS_AT_ONCE = 6000  # bars: more take the servers long
DAYS_AT_ONCE = 365
TRADING_YEAR = 250  # days
ROUNDS = 12  # requests for one history
BACK_OFFS = (15.0, 30.0, 60.0, 120.0)  # seconds after a pacing violation


class Request(Struct, frozen=True):
    """One request: ``duration`` in IBKR's words back from ``end`` (``None``: now)."""

    symbol: str
    seconds: int
    duration: str
    rth: bool
    end: datetime | None = None

    @property
    def end_words(self) -> str:
        """The end as the request spells it, in UTC."""
        return "" if self.end is None else f"{self.end:%Y%m%d-%H:%M:%S}"


def size_words(seconds: int) -> str:
    """Return how IBKR calls bars of ``seconds``; raises ``BrokerError`` for a length that it does not have."""
    words = WORDS.get(seconds)
    if words is None:
        raise BrokerError(f"IBKR has no bars of {seconds} s; it has {', '.join(WORDS.values())}")
    return words


def duration_words(seconds: int, count: int, rth: bool) -> str:
    """Return the duration that holds about ``count`` bars, within what one request may ask for."""
    if seconds == 1:
        return f"{min(max(count, 60), SECONDS_AT_ONCE)} S"
    if seconds >= DAY:
        return f"{min(ceil(count / TRADING_YEAR), 10)} Y"
    a_day = max((REGULAR_DAY if rth else LONG_DAY) // seconds, 1)
    most = max(min(ROWS_AT_ONCE // a_day, DAYS_AT_ONCE), 1)
    # A day more than the bars fill: the present one has only begun.
    return f"{min(ceil(count / a_day) + (a_day < count), most)} D"


class Pacing:
    """When the next request may leave. Times are epoch seconds of our clock."""

    def __init__(self) -> None:
        self._small: deque[float] = deque()
        self._latest: dict[Request, float] = {}
        self._contract: dict[str, deque[float]] = {}
        self._not_before = 0.0
        self._violations = 0
        self.open = 0  # requests that are unanswered, kept-up-to-date ones included

    def wait(self, request: Request, now: float) -> float:
        """Return how many seconds ``request`` has to wait from ``now``."""
        self._forget(now)
        until = max(self._not_before, self._latest.get(request, now - 15) + 15)
        if request.seconds <= SMALL and len(self._small) >= 60:
            until = max(until, self._small[-60] + 600)
        recent = self._contract.get(request.symbol)
        if recent is not None and len(recent) >= 5:
            until = max(until, recent[-5] + 2)
        if self.open >= 50:
            until = max(until, now + 1)
        return max(until - now, 0.0)

    def sent(self, request: Request, now: float) -> None:
        """Count a request."""
        self._latest[request] = now
        if request.seconds <= SMALL:
            self._small.append(now)
        self._contract.setdefault(request.symbol, deque(maxlen=5)).append(now)

    def violated(self, now: float) -> float:
        """Hold everything back; return for how many seconds."""
        seconds = BACK_OFFS[min(self._violations, len(BACK_OFFS) - 1)]
        self._violations += 1
        self._not_before = max(self._not_before, now + seconds)
        return seconds

    def answered(self) -> None:
        """Take note that a request was served: the next violation is a first one again."""
        self._violations = 0

    def _forget(self, now: float) -> None:
        while self._small and self._small[0] <= now - 600:
            self._small.popleft()
        if len(self._latest) > 500:
            self._latest = {request: at for request, at in self._latest.items() if at > now - 15}
        if len(self._contract) > 500:
            self._contract = {name: times for name, times in self._contract.items() if times[-1] > now - 2}


def read_time(text: str, zone: ZoneInfo = NEW_YORK) -> int:
    """Return the epoch second that a bar's time means; raises ``ValueError``.

    We ask for epoch seconds; days come as dates all the same, and other servers write what they like. A time without a zone is
    the exchange's, never that of this computer.
    """
    try:
        second = int(text) if text.isdigit() and len(text) != 8 else _read_words(text, zone)
    except ValueError:
        second = -1
    if not 0 <= second < LAST_SECOND:
        raise ValueError(f"not a time: {text[:40]!r}")
    return second


def _read_words(text: str, zone: ZoneInfo) -> int:
    words = text.replace("  ", " ").split(" ", 2)
    if len(words) == 1 and len(text) == 8:
        return int(datetime.strptime(f"{text} +0000", "%Y%m%d %z").replace(tzinfo=zone).timestamp())
    if len(words) == 1:
        return int(datetime.strptime(f"{text} +0000", "%Y%m%d-%H:%M:%S %z").timestamp())
    clock = datetime.strptime(f"{words[0]} {words[1]} +0000", "%Y%m%d %H:%M:%S %z")
    return int(clock.replace(tzinfo=zone_of(words[2]) if len(words) > 2 else zone).timestamp())


def read_rows(fields: list[str]) -> tuple[list[tuple[int, Part]], int]:
    """Return the bars of a ``historicalData`` message (start, prices), and how many could not be read."""
    rows: list[tuple[int, Part]] = []
    unreadable = 0
    for at in range(5, len(fields) - 7, 8):
        try:
            rows.append((read_time(fields[at]), read_part(*fields[at + 1 : at + 6])))
        except ValueError:
            unreadable += 1
    return rows, unreadable


class History:
    """Past bars of every symbol."""

    def __init__(self, link: Link, questions: Questions, contracts: Contracts) -> None:
        self._link = link
        self._questions = questions
        self._contracts = contracts
        self._running: dict[tuple[str, int, int, bool], asyncio.Task[tuple[Bar, ...]]] = {}
        self.pacing = Pacing()

    async def bars(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        """Return up to ``count`` bars that are closed by now, oldest first; asked for once however many want them."""
        size_words(seconds)
        if count <= 0:
            return ()
        key = (symbol, seconds, count, rth)
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.ensure_future(self._collect(*key))
            task.add_done_callback(lambda done: self._collected(key, done))
        return await asyncio.shield(task)

    async def parts(self, symbol: str, rth: bool, first: int, after: int) -> dict[int, Part]:
        """Return the five-second bars in ``[first, after)``; what is not among them did not trade."""
        now = self._now()
        seconds = ceil((max(now, after) - first) / 60 + 1) * 60
        request = Request(symbol, PART, f"{min(seconds, DAY)} S", rth)
        rows = await self._fetch(request, now + PART_PATIENCE)
        return {start: part for start, part in rows if first <= start < after and is_sane(part)}

    async def final(self, symbol: str, seconds: int, start: datetime, rth: bool) -> Bar | None:
        """Return one bar that has just ended, ``None`` when history does not know it."""
        request = Request(symbol, seconds, f"{seconds * 3} S", rth)
        rows = await self._fetch(request, self._now() + PART_PATIENCE)
        parts = [
            part for at, part in sorted(rows) if floor_bar(instant(at), seconds) == start and is_sane(part)
        ]
        merged = merge(parts)
        return None if merged is None else Bar(symbol, start, seconds, *merged)

    def on_rows(self, fields: list[str]) -> bool:
        """Take a ``historicalData`` message; return whether it answers a question of ours."""
        return self._questions.part(fields[1], fields) and self._questions.end(fields[1])

    def close(self) -> None:
        """End what is under way."""
        for task in self._running.values():
            task.cancel()

    def _collected(self, key: tuple[str, int, int, bool], task: asyncio.Task[tuple[Bar, ...]]) -> None:
        self._running.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it

    async def _collect(self, symbol: str, seconds: int, count: int, rth: bool) -> tuple[Bar, ...]:
        deadline = self._now() + PATIENCE
        found: dict[datetime, dict[int, Part]] = {}
        end: datetime | None = None
        for _ in range(ROUNDS):
            duration = duration_words(seconds, count - len(found), rth)
            rows = await self._fetch(Request(symbol, seconds, duration, rth, end), deadline)
            closed_by = self._link.clock.now()
            before = len(found)
            for start, part in rows:
                at = floor_bar(instant(start), seconds)
                if at + timedelta(seconds=seconds) <= closed_by and is_sane(part):
                    found.setdefault(at, {})[start] = part
            if len(found) >= count or len(found) == before or not rows:
                break
            end = instant(min(start for start, _ in rows))
        return tuple(
            Bar(symbol, at, seconds, *merged)
            for at in sorted(found)[-count:]
            if (merged := merge(part for _, part in sorted(found[at].items()))) is not None
        )

    async def _fetch(self, request: Request, deadline: float) -> list[tuple[int, Part]]:
        """Send one request when it may leave and return its bars; raises ``BrokerError``."""
        while True:
            if request.end is None and self.pacing.wait(request, self._now()) > 2:
                # The same question would have to wait; the same with its end spelled out is another one.
                request = Request(
                    request.symbol, request.seconds, request.duration, request.rth, instant(int(self._now()))
                )
            await self._turn(request, deadline)
            self.pacing.sent(request, self._now())
            self.pacing.open += 1
            try:
                (fields,) = await self._questions.ask(
                    "reqHistoricalData",
                    self._contracts.contract(request.symbol),
                    request.end_words,
                    request.duration,
                    size_words(request.seconds),
                    "TRADES",
                    int(request.rth),
                    2,
                    False,
                    [],
                    patience=max(deadline - self._now(), 1.0),
                    words=f"{request.symbol}: no history of {size_words(request.seconds)} bars came in time",
                    cancel="cancelHistoricalData",
                )
            except Refused as refusal:
                if not self._may_try_again(request, refusal):
                    return []
            else:
                self.pacing.answered()
                return read_rows(fields)[0]
            finally:
                self.pacing.open -= 1

    def _may_try_again(self, request: Request, refusal: Refused) -> bool:
        """Return whether to wait for a turn again; ``False``: there are no bars. Anything else is raised."""
        text = refusal.text.lower()
        if refusal.code == NO_DATA or (refusal.code == SERVICE and "no data" in text):
            return False
        if refusal.code in ROOM or (refusal.code == SERVICE and "pacing" in text):
            self.pacing.violated(self._now())
            return True
        raise BrokerError(f"{request.symbol}: no history: {refusal}")

    async def _turn(self, request: Request, deadline: float) -> None:
        """Wait until ``request`` may leave."""
        while (wait := self.pacing.wait(request, self._now())) > 0:
            if self._now() + wait > deadline:
                raise BrokerError(
                    f"{request.symbol}: IBKR limits requests for history; the next one may leave in {ceil(wait)} s"
                )
            await rest(self._link.clock, wait)

    def _now(self) -> float:
        return self._link.clock.now().timestamp()
