"""Health of bar streams: what is stalled, what is subscribed again and when. Pure: this decides, ``healer`` looks and does.

Laws:

1. A stream is stalled after ``max(floor, multiplier * length)`` without data while data is due: the link is up, the symbol's
   hours are on, no halt. Time in which nothing is due does not count. What the broker calls broken is stalled at once.
2. One stall is told once, and ends with the first sign of life, whatever brought it.
3. Without ``self_heal_enabled`` nothing is sent. With it: after ``burst`` stalled looks in a row, never more than ``concurrency``
   attempts at a time, for one stream never before its cool-down is over (it doubles with every failure), and at most
   ``max_attempts`` times; then the next change of the link is waited for.
4. While another session of the login has the data nothing is asked for, until data comes, the broker says that it let go, or a
   new connection begins.
5. Every look says when the next one is due; more of them do no harm.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tradeshell.core.data_events import (
    BarStreamCompetingSessionBlocked,
    BarStreamCompetingSessionCleared,
    BarStreamRecovered,
    BarStreamRecoveryFailed,
    BarStreamRecoveryScanScheduled,
    BarStreamRecoveryStarted,
    BarStreamStalled,
)
from tradeshell.core.events import Event
from tradeshell.upkeep import BarHealthSettings, BlindStream, StreamKey, StreamNews, StreamWord

LATE = 5.0  # seconds that data may be under way: a bar after its end, a tick after another session took over
SLOT = 5.0  # seconds for which an attempt that shows no data yet keeps the next one waiting
SETTLE = 10.0  # seconds after a new connection in which streams may come back by themselves
ASIDE = 60.0  # seconds between looks at streams from which nothing is due, or of which halts have to be seen
SHORTEST_HALT = 300.0  # seconds: who may be silent for longer might be halted and go on between two looks
LONGEST_COOLDOWN = 1800.0


class Seen(Struct, frozen=True, kw_only=True):
    """What is seen of one stream now.

    ``since``: when it was first subscribed; ``heard_at``: its last sign of life. ``due_since``: since when its hours are on,
    ``None`` while nothing is due from it (no hours, or a halt). ``urgency``: the smaller, the sooner it is healed; asked for when
    several wait to be.
    """

    key: StreamKey
    since: datetime
    heard_at: datetime | None
    due_since: datetime | None
    watches: tuple[str, ...] = ()
    urgency: Callable[[], tuple[float, ...]] = tuple


class Stream(Struct, frozen=True, kw_only=True):
    """What is known of one stream.

    ``due_from``: silence before it does not count. ``stalled_at``: ``None`` while it is well; ``silent_from`` and ``mark`` are
    then the beginning of its silence and the last sign of life before. ``broken_at``, ``code``, ``reason``: the broker ended it.
    ``started_at``: when the attempt under way began, the ``attempts``-th. ``again_at``: no attempt before.
    """

    due_from: datetime
    stalled_at: datetime | None = None
    silent_from: datetime | None = None
    mark: datetime | None = None
    broken_at: datetime | None = None
    code: int = 0
    reason: str = ""
    attempts: int = 0
    started_at: datetime | None = None
    again_at: datetime | None = None
    has_given_up: bool = False

    def is_alive(self, heard_at: datetime | None) -> bool:
        """Return whether a sign of life came after the stall, and after the broker's word that it is broken."""
        before = [each for each in (self.mark, self.broken_at) if each is not None]
        return heard_at is not None and all(heard_at > each for each in before)


class Board(Struct, frozen=True, kw_only=True):
    """What is known of all streams. ``blocked_at``: since when another session has the data; ``scan_at``: as last told."""

    streams: Mapping[StreamKey, Stream] = MappingProxyType({})
    blocked_at: datetime | None = None
    blocked_since: datetime | None = None
    scan_at: datetime | None = None


class Verdict(Struct, frozen=True, kw_only=True):
    """What a look comes to: what to tell, which streams to subscribe again, when to look again (``None``: no stream)."""

    board: Board
    events: tuple[Event, ...] = ()
    renew: tuple[StreamKey, ...] = ()
    look_at: datetime | None = None


def limit(settings: BarHealthSettings, seconds: int) -> float:
    """Return for how many seconds bars of ``seconds`` length may be silent."""
    return max(settings.stall_floor_secs, settings.stall_multiplier * seconds)


def cooldown(settings: BarHealthSettings, attempt: int) -> float:
    """Return the seconds from the beginning of ``attempt`` to the next one."""
    longest = max(LONGEST_COOLDOWN, settings.recovery_cooldown_secs)
    return float(min(settings.recovery_cooldown_secs * 2 ** min(attempt - 1, 20), longest))


def blind(board: Board, seen: Iterable[Seen]) -> tuple[BlindStream, ...]:
    """Return the streams that are stalled, for the screen."""
    found = []
    for each in seen:
        stream = board.streams.get(each.key)
        if stream is None or stream.stalled_at is None or stream.silent_from is None:
            continue
        state = "stalled" if stream.started_at is None else "recovering"
        if board.blocked_at is not None:
            state = "blocked"
        elif stream.has_given_up:
            state = "given up"
        symbol, seconds, rth = each.key
        found.append(
            BlindStream(
                symbol=symbol,
                seconds=seconds,
                rth=rth,
                since=stream.silent_from,
                state=state,
                watches=each.watches,
            )
        )
    return tuple(found)


# --- what the broker says ---------------------------------------------------------------------------------------------


def hear(board: Board, news: StreamNews, at: datetime) -> tuple[Board, tuple[Event, ...]]:
    """Take in what the broker says; what follows from it is decided by the next ``look``."""
    if news.word is StreamWord.CLEARED:
        return _cleared(board, at, "broker")
    events: tuple[Event, ...] = ()
    if news.word is StreamWord.BLOCKED:
        if board.blocked_at is None:
            board = replace(board, blocked_since=at)
            events = (BarStreamCompetingSessionBlocked(symbol=news.symbol, code=news.code, reason=news.text),)
        # Said again, it still has the data: what came since the first word proved nothing.
        board = replace(board, blocked_at=at)
        if news.symbol is None:
            return board, events
    streams = {
        key: replace(stream, broken_at=at, code=news.code, reason=news.text) if news.is_about(key) else stream
        for key, stream in board.streams.items()
    }
    return replace(board, streams=streams), events


def link_changed(board: Board, at: datetime, *, up: bool) -> tuple[Board, tuple[Event, ...]]:
    """Begin anew: nothing was due without a link, attempts count from the first again, a new connection competes with nobody."""
    events: tuple[Event, ...] = ()
    if up:
        board, events = _cleared(board, at, "link")
    again_at = at + timedelta(seconds=SETTLE)
    streams = {
        key: Stream(
            due_from=at,
            stalled_at=stream.stalled_at,
            silent_from=stream.silent_from,
            mark=stream.mark,
            again_at=again_at if up and stream.stalled_at is not None else None,
        )
        for key, stream in board.streams.items()
    }
    return replace(board, streams=streams, scan_at=None), events


def _cleared(board: Board, at: datetime, by: str) -> tuple[Board, tuple[Event, ...]]:
    if board.blocked_at is None or board.blocked_since is None:
        return board, ()
    blocked = (at - board.blocked_since).total_seconds()
    return (
        replace(board, blocked_at=None, blocked_since=None),
        (BarStreamCompetingSessionCleared(by=by, blocked=blocked),),
    )


# --- a look -----------------------------------------------------------------------------------------------------------


def look(
    board: Board,
    seen: Iterable[Seen],
    at: datetime,
    settings: BarHealthSettings,
    *,
    link_up: bool,
    data_at: datetime | None = None,
) -> Verdict:
    """Decide on all streams. ``data_at``: the latest live quote of any symbol; it shows that no other session has the data."""
    found = _Look({each.key: each for each in seen}, at, settings, link_up=link_up)
    if board.blocked_at is not None and found.latest_sign(data_at) > board.blocked_at + timedelta(
        seconds=LATE
    ):
        board, cleared = _cleared(board, at, "data")
        found.events += cleared
    for key, each in found.seen.items():
        found.judge(board.streams.get(key, Stream(due_from=each.since)), each)
    renew: tuple[StreamKey, ...] = ()
    scan_at: datetime | None = None
    if settings.self_heal_enabled and link_up:
        found.end_attempts()
        if board.blocked_at is None:
            renew = found.begin_attempts()
            scan_at = found.next_scan()
        if scan_at is not None and scan_at != board.scan_at:
            waiting = sum(found.is_waiting(key) for key in found.streams)
            found.events.append(BarStreamRecoveryScanScheduled(next_at=scan_at, waiting=waiting))
    board = replace(board, streams=found.streams, scan_at=scan_at)
    return Verdict(board=board, events=tuple(found.events), renew=renew, look_at=found.next_look(board))


class _Look:
    """One look at all streams: what is decided about each, and what is told."""

    def __init__(
        self, seen: Mapping[StreamKey, Seen], at: datetime, settings: BarHealthSettings, *, link_up: bool
    ) -> None:
        self.seen = seen
        self.streams: dict[StreamKey, Stream] = {}
        self.events: list[Event] = []
        self._at = at
        self._settings = settings
        self._link_up = link_up
        self._poll = timedelta(seconds=settings.health_poll_secs)

    def latest_sign(self, data_at: datetime | None) -> datetime:
        """Return when anything live was last heard."""
        heard = (each.heard_at for each in self.seen.values() if each.heard_at is not None)
        return max(
            (*heard, *(() if data_at is None else (data_at,))),
            default=datetime.min.replace(tzinfo=self._at.tzinfo),
        )

    def judge(self, stream: Stream, each: Seen) -> None:
        """Decide whether a stream is well."""
        at = self._at
        if stream.stalled_at is not None and stream.is_alive(each.heard_at):
            stream = self._recover(stream, each)
        if not self._link_up or each.due_since is None:
            stream = replace(
                stream, due_from=at, attempts=0, started_at=None, again_at=None, has_given_up=False
            )
        elif stream.stalled_at is None:
            heard_at = each.heard_at or each.since
            is_broken = stream.broken_at is not None and stream.broken_at >= heard_at
            silent_from = max(heard_at, stream.due_from, each.due_since)
            silent = (at - silent_from).total_seconds()
            most = limit(self._settings, each.key[1])
            if is_broken or silent >= most:
                stream = replace(
                    stream,
                    stalled_at=at,
                    silent_from=silent_from,
                    mark=each.heard_at,
                    broken_at=stream.broken_at if is_broken else None,
                )
                code, reason = (stream.code, stream.reason) if is_broken else (0, "")
                self.events.append(
                    BarStreamStalled(**_about(each), silent=silent, limit=most, code=code, reason=reason)
                )
        self.streams[each.key] = stream

    def _recover(self, stream: Stream, each: Seen) -> Stream:
        assert each.heard_at is not None
        assert stream.silent_from is not None
        silent = (each.heard_at - stream.silent_from).total_seconds()
        self.events.append(
            BarStreamRecovered(
                **_about(each),
                by="resubscription" if stream.attempts else "self",
                silent=silent,
                attempts=stream.attempts,
                missed=max(0, math.ceil(silent / each.key[1]) - 1),
            )
        )
        return Stream(due_from=stream.due_from)

    # --- healing ------------------------------------------------------------------------------------------------------

    def end_attempts(self) -> None:
        """Call attempts failed that brought no data in time, or were refused."""
        most = self._settings.recovery_max_attempts
        for key, stream in self.streams.items():
            if stream.started_at is None:
                continue
            patience = key[1] + LATE
            is_refused = stream.broken_at is not None and stream.broken_at >= stream.started_at
            if not is_refused and (self._at - stream.started_at).total_seconds() < patience:
                continue
            again_at = max(
                self._at, stream.started_at + timedelta(seconds=cooldown(self._settings, stream.attempts))
            )
            is_last = stream.attempts >= most
            said = f"{stream.reason} ({stream.code})" if stream.code else stream.reason
            self.events.append(
                BarStreamRecoveryFailed(
                    **_about(self.seen[key]),
                    attempt=stream.attempts,
                    most=most,
                    reason=said if is_refused else f"no data within {patience:g} s",
                    again_at=None if is_last else again_at,
                )
            )
            self.streams[key] = replace(
                stream, started_at=None, again_at=again_at, has_given_up=is_last, broken_at=None
            )

    def begin_attempts(self) -> tuple[StreamKey, ...]:
        """Return the streams whose turn it is to be subscribed again."""
        ready = [key for key in self.streams if self.is_waiting(key) and self._ready_at(key) <= self._at]
        ready.sort(key=lambda key: (self.seen[key].urgency(), key))
        free = self._settings.recovery_max_concurrency - len(self._running())
        chosen = tuple(ready[: max(0, free)])
        for key in chosen:
            stream = self.streams[key]
            attempt = stream.attempts + 1
            self.streams[key] = replace(
                stream, attempts=attempt, started_at=self._at, again_at=None, broken_at=None
            )
            self.events.append(
                BarStreamRecoveryStarted(
                    **_about(self.seen[key]), attempt=attempt, most=self._settings.recovery_max_attempts
                )
            )
        return chosen

    def is_waiting(self, key: StreamKey) -> bool:
        """Return whether a stream is stalled and its turn will come."""
        stream = self.streams[key]
        return (
            stream.stalled_at is not None
            and stream.started_at is None
            and not stream.has_given_up
            and self.seen[key].due_since is not None
        )

    def _ready_at(self, key: StreamKey) -> datetime:
        """Return from when on a waiting stream may be subscribed again."""
        stream = self.streams[key]
        assert stream.stalled_at is not None
        if stream.broken_at is not None:  # certain, but what broke it may break it again right away
            ready = stream.broken_at + self._poll
        else:
            ready = stream.stalled_at + self._poll * (self._settings.recovery_stall_burst_count - 1)
        return ready if stream.again_at is None else max(ready, stream.again_at)

    def _running(self) -> list[datetime]:
        """Return when the attempts end that keep others waiting."""
        ends = [
            stream.started_at + timedelta(seconds=SLOT)
            for stream in self.streams.values()
            if stream.started_at is not None
        ]
        return [end for end in ends if end > self._at]

    def next_scan(self) -> datetime | None:
        """Return when the next of the stalled streams that wait may have its turn."""
        running = self._running()
        is_full = len(running) >= self._settings.recovery_max_concurrency
        free_at = min(running) if is_full else self._at
        times = [max(self._ready_at(key), free_at) for key in self.streams if self.is_waiting(key)]
        return min(times, default=None)

    # --- when to look again -------------------------------------------------------------------------------------------

    def next_look(self, board: Board) -> datetime | None:
        """Return when anything may have to be decided; not before a poll has passed, except for the scan that was told."""
        if not self.seen:
            return None
        soon = self._at + self._poll
        aside = self._at + max(self._poll, timedelta(seconds=ASIDE))
        times = []
        if board.blocked_at is not None and self._link_up:
            times.append(soon)
        for key, stream in self.streams.items():
            each = self.seen[key]
            if not self._link_up or each.due_since is None:
                times.append(aside)
                continue
            if stream.stalled_at is not None:
                times.append(soon)
                continue
            silent_from = max(each.heard_at or each.since, stream.due_from, each.due_since)
            most = limit(self._settings, key[1])
            times.append(max(soon, silent_from + timedelta(seconds=most)))
            if most > SHORTEST_HALT:
                times.append(aside)
        if board.scan_at is not None:
            times.append(board.scan_at)
        return min(times)


def _about(each: Seen) -> dict[str, Any]:
    symbol, seconds, rth = each.key
    return {"symbol": symbol, "seconds": seconds, "rth": rth, "watches": each.watches}
