"""Watchers: strategies at work inside the desk.

Laws: a strategy that raises ends its own watcher and nothing else. A bar counts when it closed after the watcher started and is
not older than its length plus a grace; bars that did not matter change nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from msgspec.structs import replace

from tradeshell.core.commands import UnwatchBars, WatchBars
from tradeshell.core.desk import Desk, Watcher, WatchPhase
from tradeshell.core.events import BrokerMessageUnclassified
from tradeshell.core.inputs import BarClosed, WatchSpec
from tradeshell.core.market import Bar
from tradeshell.core.strategy import Enter, Finish, News, Over, Strategy, Tell, Wish
from tradeshell.core.turn import Turn

BAR_GRACE = timedelta(seconds=5)  # a closed bar may reach us this late and still count
CLOSE_GRACE = 1.0  # seconds after the close at which a watcher ends, so that the last bar is still looked at

WISHES = (Tell, Enter, Finish)
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
        watcher = Watcher(
            spec=spec, phase=WatchPhase.ARMED, started_at=turn.at, need=strategy.needs(spec), state=state
        )
        self.arm(turn, watcher, wishes)

    def arm(self, turn: Turn, watcher: Watcher, wishes: tuple[Wish, ...] = ()) -> None:
        """Put a watcher on its bars, and do what its start asks for."""
        spec = watcher.spec
        self.put(turn, replace(watcher, phase=WatchPhase.ARMED))
        symbol = spec.plan.symbol
        armed = turn.desk.armed
        turn.desk = replace(turn.desk, armed={**armed, symbol: (*armed.get(symbol, ()), spec.id)})
        need = watcher.need
        self._heed(turn, watcher, wishes)
        if turn.desk.watchers[spec.id].phase is not WatchPhase.ARMED:
            return  # it has finished already
        turn.commands.append(WatchBars(spec.id, symbol, need.seconds, need.rth))
        if spec.session is not None:
            end = spec.session.extended_close if spec.plan.outside_rth else spec.session.close
            turn.timer(f"close:{spec.id}", (end - turn.at).total_seconds() + CLOSE_GRACE)

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
            if need.seconds != bar.seconds or need.rth is not closed.rth or end <= watcher.started_at:
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
            _put(turn, after)
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
        _put(turn, replace(turn.desk.watchers[now.spec.id], fired=True, phase=WatchPhase.FIRED))
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
        """Replace a watcher that may wait for something else now."""
        _put(turn, watcher)
        turn.desk = turn.desk.with_active(watcher.spec.id, watcher.spec.plan.symbol)


def _put(turn: Turn, watcher: Watcher) -> None:
    """Replace a watcher that is as active as before, or whose trade says so at once."""
    turn.desk = replace(turn.desk, watchers={**turn.desk.watchers, watcher.spec.id: watcher})


def _check(wishes: object) -> None:
    """Raise ``TypeError`` for what is not a tuple of wishes: a plugin's slip must be its own."""
    if isinstance(wishes, tuple):
        for wish in wishes:
            if not isinstance(wish, WISHES):
                break
        else:
            return
    raise TypeError(f"a strategy returns a tuple of Tell, Enter and Finish, not {wishes!r:.80}")
