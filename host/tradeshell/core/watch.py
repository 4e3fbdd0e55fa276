"""Watchers: strategies at work inside the desk.

Laws: a strategy that raises ends its own watcher and nothing else. A bar counts when it closed after the watcher started and is
not older than its length plus a grace; bars that did not matter change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from tradeshell.core.commands import AskQuote, UnwatchBars, WatchBars
from tradeshell.core.desk import Desk, Watcher, WatchPhase
from tradeshell.core.events import BrokerMessageUnclassified
from tradeshell.core.inputs import BarClosed, WatchSpec
from tradeshell.core.market import Bar, Session
from tradeshell.core.resume_events import WatchDayBegan, WatchRests
from tradeshell.core.strategy import BarNeed, Enter, Finish, News, Over, Strategy, Tell, Wish
from tradeshell.core.turn import Turn
from tradeshell.core.window import Window, clock, end_of, is_later, on_day_of, window
from tradeshell.errors import OperatorError

BAR_GRACE = timedelta(seconds=5)  # a closed bar may reach us this late and still count
CLOSE_GRACE = 1.0  # seconds after its end at which a watcher ends, so that the last bar is still looked at
LOOK_EVERY = 1800.0  # seconds between two questions for the hours of the next day
FLAT_BEFORE = timedelta(minutes=5)  # the close: of an example

WISHES = (Tell, Enter, Finish)
MOST_WISHES = 100  # at once: what is more floods the log and the screen
AskEntry = Callable[[Turn, Watcher, Bar], None]


class Reading(NamedTuple):
    """What a bar means to one watcher: its next state and wishes, or what its strategy raised."""

    watcher: Watcher
    state: Any
    wishes: tuple[Wish, ...]
    error: Exception | None = None


class Watchers:
    """Runs strategies by name. Holds no state; ``strategies`` is what plugins offered."""

    def __init__(self, strategies: Mapping[str, Strategy], ask_entry: AskEntry) -> None:
        self._strategies = strategies
        self._ask_entry = ask_entry

    def start(self, turn: Turn, spec: WatchSpec) -> None:
        """Arm a watcher; raises ``OperatorError`` from the strategy when its words make no sense."""
        strategy = self._strategies[spec.strategy]
        state, wishes = strategy.start(spec, turn.at)
        _check(wishes)
        need = strategy.needs(spec)
        _check_times(spec, need, turn.at)
        watcher = Watcher(spec=spec, phase=WatchPhase.ARMED, started_at=turn.at, need=need, state=state)
        self.arm(turn, watcher, wishes)

    def arm(self, turn: Turn, watcher: Watcher, wishes: tuple[Wish, ...] = ()) -> None:
        """Put a watcher on its bars, and do what its start asks for."""
        watcher = self._timed(turn, watcher)
        spec = watcher.spec
        self.put(turn, replace(watcher, phase=WatchPhase.ARMED))
        symbol = spec.plan.symbol
        armed = turn.desk.armed
        turn.desk = replace(turn.desk, armed={**armed, symbol: (*armed.get(symbol, ()), spec.id)})
        need = watcher.need
        self._heed(turn, watcher, wishes)
        if turn.desk.watchers[spec.id].phase is not WatchPhase.ARMED:
            return  # it has finished already
        turn.commands += [WatchBars(spec.id, symbol, seconds, need.rth) for seconds in need.lengths]
        self._until_the_end(turn, watcher)

    def _timed(self, turn: Turn, watcher: Watcher) -> Watcher:
        """Return the watcher with the times between which bars count on its session's day."""
        if (times := _window_of(watcher.spec, watcher.need)) is None:
            return watcher
        since = turn.at if times.begins is None else max(turn.at, times.begins)
        return replace(watcher, started_at=since, ends_at=times.ends)

    def _until_the_end(self, turn: Turn, watcher: Watcher) -> None:
        if watcher.ends_at is not None:
            left = (watcher.ends_at - turn.at).total_seconds()
            turn.timer(f"close:{watcher.spec.id}", max(0.0, left + CLOSE_GRACE))

    def close_day(self, turn: Turn, id_: str) -> None:
        """End a watcher whose day is over, or let it rest until the next one that it has."""
        watcher = turn.desk.watchers.get(id_)
        if watcher is None or watcher.phase is not WatchPhase.ARMED:
            return
        if watcher.day >= watcher.need.days:
            session, ends = watcher.spec.session, watcher.ends_at
            is_early = session is not None and ends != end_of(session, watcher.spec.plan.outside_rth)
            self.end(turn, id_, "until" if is_early else "session_end")
            return
        spec = watcher.spec
        turn.say(
            WatchRests(
                symbol=spec.plan.symbol,
                watch=id_,
                level=spec.plan.level,
                day=watcher.day,
                days=watcher.need.days,
            )
        )
        turn.timer(f"day:{id_}", LOOK_EVERY)

    def look_for_day(self, turn: Turn, id_: str) -> None:
        """Ask for the hours of the day, for a watcher that rests."""
        watcher = turn.desk.watchers.get(id_)
        if watcher is not None and watcher.phase is WatchPhase.ARMED:
            turn.commands.append(AskQuote(f"day:{id_}", watcher.spec.plan.symbol, LOOK_EVERY, patience=0.1))

    def begin_day(self, turn: Turn, id_: str, session: Session | None) -> None:
        """Let a watcher that rests look again if the hours are those of a later day; else ask again."""
        watcher = turn.desk.watchers.get(id_)
        if watcher is None or watcher.phase is not WatchPhase.ARMED:
            return
        spec = watcher.spec
        if session is None or not is_later(session, spec.session):
            turn.timer(f"day:{id_}", LOOK_EVERY)
            return
        after = self._timed(turn, replace(watcher, spec=replace(spec, session=session), day=watcher.day + 1))
        self.put(turn, after)
        turn.say(
            WatchDayBegan(
                symbol=spec.plan.symbol,
                watch=id_,
                level=spec.plan.level,
                day=after.day,
                days=watcher.need.days,
                since=max(after.started_at, session.open),
            )
        )
        self._until_the_end(turn, after)

    def read_bar(self, desk: Desk, closed: BarClosed) -> list[Reading]:
        """Show a closed bar to the armed watchers of its symbol; returns what it means to those to whom it matters."""
        bar = closed.bar
        ids = desk.armed.get(bar.symbol)
        if ids is None:
            return []
        end = bar.end
        if abs(closed.at - end) > BAR_GRACE:
            return []  # an old bar, or one that cannot be closed yet
        readings: list[Reading] = []
        for id_ in ids:
            watcher = desk.watchers[id_]
            need, spec = watcher.need, watcher.spec
            if bar.seconds not in (need.seconds, need.fast):
                continue
            if need.rth is not closed.rth or end <= watcher.started_at:
                continue
            if watcher.ends_at is not None and end > watcher.ends_at:
                continue
            try:
                state, wishes = self._strategies[spec.strategy].on_bar(spec, watcher.state, bar, closed.at)
                if state is watcher.state and not wishes:
                    continue
                _check(wishes)
            except Exception as error:  # noqa: BLE001  # a plugin may raise anything; it costs only its own watcher
                readings.append(Reading(watcher, watcher.state, (), error))
            else:
                readings.append(Reading(watcher, state, wishes))
        return readings

    def heed_bar(self, turn: Turn, readings: list[Reading]) -> None:
        """Do what a bar's readings ask for."""
        for watcher, state, wishes, error in readings:
            if error is not None:
                self._quarantine(turn, watcher, error)
                continue
            after = replace(watcher, state=state)
            self.put(turn, after)
            self._heed(turn, after, wishes)

    def news(self, turn: Turn, id_: str, news: News) -> None:
        """Tell a watcher's strategy about its own trade."""
        watcher = turn.desk.watchers.get(id_)
        if watcher is None:
            return
        strategy = self._strategies.get(watcher.spec.strategy)
        if strategy is None:  # its plugin is gone; what it left goes on without a word of its own
            return
        try:
            state, wishes = strategy.on_news(watcher.spec, watcher.state, news, turn.at)
            _check(wishes)
        except Exception as error:  # noqa: BLE001  # as above
            self._quarantine(turn, watcher, error)
            return
        if state is not watcher.state:
            self.put(turn, replace(watcher, state=state))
        for wish in wishes:
            if isinstance(wish, Tell):
                turn.say(wish.event)

    def end(self, turn: Turn, id_: str, reason: str) -> None:
        """End a watcher, once."""
        watcher = turn.desk.watchers.get(id_)
        if watcher is None or watcher.phase is WatchPhase.DONE:
            return
        self.disarm(turn, watcher)
        self.put(turn, replace(turn.desk.watchers[id_], phase=WatchPhase.DONE, end_reason=reason))
        self.news(turn, id_, Over(reason))

    def disarm(self, turn: Turn, watcher: Watcher) -> None:
        """Take a watcher off its bars."""
        if watcher.phase is not WatchPhase.ARMED:
            return
        symbol = watcher.spec.plan.symbol
        left = tuple(i for i in turn.desk.armed.get(symbol, ()) if i != watcher.spec.id)
        armed = dict(turn.desk.armed)
        armed.pop(symbol, None)
        if left:
            armed[symbol] = left
        turn.desk = replace(turn.desk, armed=armed)
        turn.commands.append(UnwatchBars(watcher.spec.id))

    def _heed(self, turn: Turn, watcher: Watcher, wishes: tuple[Wish, ...]) -> None:
        for wish in wishes:
            if isinstance(wish, Tell):
                turn.say(wish.event)
            elif isinstance(wish, Finish):
                self.end(turn, watcher.spec.id, wish.reason)
            else:
                self._fire(turn, watcher, wish)

    def _fire(self, turn: Turn, watcher: Watcher, wish: Enter) -> None:
        now = turn.desk.watchers[watcher.spec.id]
        if now.fired or now.phase is not WatchPhase.ARMED:
            return
        self.disarm(turn, now)
        self.put(turn, replace(turn.desk.watchers[now.spec.id], fired=True, phase=WatchPhase.FIRED))
        self._ask_entry(turn, now, wish.bar)

    def _quarantine(self, turn: Turn, watcher: Watcher, error: Exception) -> None:
        turn.say(
            BrokerMessageUnclassified(
                symbol=watcher.spec.plan.symbol,
                watch=watcher.spec.id,
                code=0,
                text=f"strategy {watcher.spec.strategy} raised {type(error).__name__}: {error}; its watcher is stopped",
            )
        )
        self.disarm(turn, watcher)
        self.put(
            turn,
            replace(turn.desk.watchers[watcher.spec.id], phase=WatchPhase.DONE, end_reason="strategy failed"),
        )

    def put(self, turn: Turn, watcher: Watcher) -> None:
        """Replace a watcher."""
        desk = replace(turn.desk, watchers={**turn.desk.watchers, watcher.spec.id: watcher})
        turn.desk = desk.with_active(watcher.spec.id, watcher.spec.plan.symbol)


def _window_of(spec: WatchSpec, need: BarNeed) -> Window | None:
    return (
        None if spec.session is None else window(spec.session, need.after, need.until, spec.plan.outside_rth)
    )


def _check_times(spec: WatchSpec, need: BarNeed, at: datetime) -> None:
    """Raise ``OperatorError`` for times of day between which nothing could be seen, or at which nothing could be sold."""
    session, plan = spec.session, spec.plan
    if session is None:
        return
    times, end = window(session, need.after, need.until, plan.outside_rth), end_of(session, plan.outside_rth)
    if plan.flat_by is not None and on_day_of(session, plan.flat_by) >= end:
        raise OperatorError(
            f"flat_by={plan.flat_by:%H:%M}: nothing can be sold then, the hours of its orders end at {clock(end)} New York · "
            f"example: flat_by={clock(end - FLAT_BEFORE)}"
        )
    if times.ends <= at:
        raise OperatorError(
            f"{plan.symbol}: the watcher would end at {clock(times.ends)} New York (until, flat_by or the close), and it is "
            f"{clock(at)} · example: until={clock(end)}"
        )
    if times.begins is not None and times.begins >= times.ends:
        raise OperatorError(
            f"after={clock(times.begins)}: the watcher would end before, at {clock(times.ends)} New York · "
            f"example: after={clock(session.open)}"
        )


def _check(wishes: object) -> None:
    """Raise ``TypeError`` for what is not a tuple of wishes: a plugin's slip must be its own."""
    if isinstance(wishes, tuple):
        if len(wishes) > MOST_WISHES:
            raise TypeError(f"a strategy may wish for {MOST_WISHES} things at once, not for {len(wishes)}")
        for wish in wishes:
            if not isinstance(wish, WISHES):
                break
        else:
            return
    raise TypeError(f"a strategy returns a tuple of Tell, Enter and Finish, not {wishes!r:.80}")
