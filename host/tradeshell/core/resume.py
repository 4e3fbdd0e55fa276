"""Watchers that an earlier life of the program left waiting: the stale guard.

Laws: nothing is armed before the account is known. What has fired, or has an order under its name anywhere, is over for ever.
What cannot be armed (no contract, no session, a plan that is refused today) is armed by no policy and no word; what is doubtful
(the level was crossed meanwhile, shares are there, its day is over) is asked, armed or skipped as the policy says. Without a
doubt it is armed: that is how it was left. A watcher that is not armed is never lost: it waits, or its end is told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from tradeshell.core import inputs as i
from tradeshell.core.desk import Desk, Watcher, WatchPhase
from tradeshell.core.events import money
from tradeshell.core.guards import Refusal
from tradeshell.core.limits import check_plan_limits, check_stopped
from tradeshell.core.market import DataKind, Instrument, Price
from tradeshell.core.plan import check_plan, put_on_grid
from tradeshell.core.policy import Resume
from tradeshell.core.recon_events import DetachedSessionRestored
from tradeshell.core.resume_events import WatchHeld, WatchPaused, WatchResumed, WatchSkipped
from tradeshell.core.strategy import BarNeed, Strategy
from tradeshell.core.trade import TradePhase, inventory, protection_state, watch_of
from tradeshell.core.turn import Turn
from tradeshell.core.watch import Watchers
from tradeshell.core.window import is_later, window
from tradeshell.errors import TradeshellError

FOR_EVER = frozenset({"used_up"})  # no later day changes that
FRESH = timedelta(seconds=15)  # an older touch says nothing about where the price stands


def pause(turn: Turn, watchers: Watchers) -> None:
    """Take every armed watcher off its bars: a new process has to see first what happened meanwhile."""
    turn.desk = replace(turn.desk, takes_up=True)
    for id_, watcher in tuple(turn.desk.watchers.items()):
        if watcher.phase is WatchPhase.ARMED:
            watchers.disarm(turn, watcher)
            watchers.put(turn, replace(watcher, phase=WatchPhase.PAUSED, asks=""))
            turn.say(WatchPaused(symbol=watcher.spec.plan.symbol, watch=id_, level=watcher.spec.plan.level))
        elif watcher.phase is WatchPhase.PAUSED:  # asked about in the life before: it is looked at again
            watchers.put(turn, replace(watcher, asks=""))


def restored(
    before: Desk, desk: Desk, executions: Iterable[i.ExecutionReport], at: datetime
) -> tuple[DetachedSessionRestored, ...]:
    """Return what is told of each trade that an earlier program left open, once the broker has shown it.

    ``before`` is the desk before that picture was booked, ``executions`` are those of the picture.
    """
    known = {stem for book in before.books.values() for stem in book.executions}
    missed = Counter(watch_of(each.ref) for each in executions if each.stem not in known)
    found = []
    for trade in desk.trades():
        orders = desk.books[trade.plan.symbol].orders
        if trade.phase is not TradePhase.CLOSED:
            _, held, covered = protection_state(trade, orders, at)
            found.append(
                DetachedSessionRestored(
                    symbol=trade.plan.symbol,
                    watch=trade.id,
                    held=held,
                    protected=covered,
                    orders=sum(orders[ref].state.is_live for ref in trade.refs),
                    missed=missed[trade.id],
                )
            )
    return tuple(found)


def restore(turn: Turn, watchers: Watchers, request: i.WatchRestored) -> None:
    """Take up a watcher that a snapshot holds and no journal; one that is known, or over for ever, stays as it is."""
    spec = request.watch
    if spec.id in turn.desk.watchers or turn.desk.trade(spec.id) is not None:
        return
    watchers.put(
        turn,
        Watcher(
            spec=spec,
            phase=WatchPhase.PAUSED,
            started_at=request.started_at,
            need=BarNeed(0, True),  # its strategy says when it is armed
            day=request.day,
            doubt=request.doubt,
        ),
    )
    turn.say(WatchPaused(symbol=spec.plan.symbol, watch=spec.id, level=spec.plan.level))


def judge(
    turn: Turn, watchers: Watchers, strategies: Mapping[str, Strategy], request: i.ResumeRequested
) -> None:
    """Arm a paused watcher, ask about it, or end it; nothing for one that is not paused."""
    watcher = turn.desk.watchers.get(request.watch)
    if watcher is None or watcher.phase is not WatchPhase.PAUSED or not turn.desk.link.is_open:
        return
    found, policy = request.found, turn.desk.policy.resume
    judged = _cannot(turn.desk, watcher, strategies, found, turn.at)
    if isinstance(judged, Instrument):
        need = strategies[watcher.spec.strategy].needs(watcher.spec)
        doubts = _doubts(turn.desk, watcher, need, found, judged, turn.at)
        if not doubts or request.is_sure or policy is Resume.ARM:
            _arm(turn, watchers, watcher, strategies, found, judged, doubts)
            return
        judged = replace(doubts[0], detail=" · ".join(doubt.detail for doubt in doubts))
    told = {"symbol": watcher.spec.plan.symbol, "watch": watcher.spec.id}
    if judged.reason in FOR_EVER or policy is Resume.SKIP:
        turn.say(WatchSkipped(**told, reason=judged.reason, detail=judged.detail))
        watchers.end(turn, watcher.spec.id, "not_resumed")
        return
    watchers.put(turn, replace(watcher, asks=judged.reason))
    turn.say(
        WatchHeld(
            **told,
            reason=judged.reason,
            detail=judged.detail,
            strategy=watcher.spec.strategy,
            asks=request.can_ask,
        )
    )


def _cannot(
    desk: Desk, watcher: Watcher, strategies: Mapping[str, Strategy], found: i.Meanwhile, at: datetime
) -> Instrument | Refusal:
    """Return the contract that it would trade, or why it cannot be armed now, whoever wants it."""
    spec, plan = watcher.spec, watcher.spec.plan
    if found.used_by:
        return Refusal("used_up", f"it has had its one entry: the broker knows {found.used_by}")
    if spec.strategy not in strategies:
        return Refusal("no_strategy", f"no plugin offers {spec.strategy}; `plugins` lists them")
    if found.instrument is None:
        return Refusal("no_contract", found.missing or f"{plan.symbol} is not known to the broker")
    if plan.account != desk.account:
        return Refusal("wrong_account", f"it trades {plan.account}, the connected account is {desk.account}")
    if found.quote is not None and found.quote.kind is DataKind.DELAYED:
        return Refusal("delayed_data", f"market data of {plan.symbol} is delayed; a watcher needs live data")
    try:
        planned = put_on_grid(plan, found.instrument.grid)
        check_plan(planned)
        strategy = strategies[spec.strategy]
        need = strategy.needs(spec)
        strategy.start(spec, at)
    except Exception as error:  # noqa: BLE001  # a plugin of another version, or words that somebody has edited
        words = str(error) if isinstance(error, TradeshellError) else f"{type(error).__name__}: {error}"
        return Refusal("invalid", f"its words are refused today: {' '.join(words.split())}")
    if _is_over(watcher, need, found, at):
        return Refusal("no_session", f"{plan.symbol} does not trade any more today, or not at its hours")
    return check_plan_limits(desk, planned, planned.level) or found.instrument


def _day(watcher: Watcher, found: i.Meanwhile) -> int:
    """Return the how manieth of its days today is for a watcher."""
    spec = watcher.spec
    is_new = found.session is not None and spec.session is not None and is_later(found.session, spec.session)
    return watcher.day + is_new


def _is_over(watcher: Watcher, need: BarNeed, found: i.Meanwhile, at: datetime) -> bool:
    """Return whether nothing is left of today for a watcher, and no other day follows."""
    if found.session is not None:
        times = window(found.session, need.after, need.until, watcher.spec.plan.outside_rth)
        if at < times.ends:
            return False
    return _day(watcher, found) >= need.days


def _doubts(
    desk: Desk, watcher: Watcher, need: BarNeed, found: i.Meanwhile, instrument: Instrument, at: datetime
) -> list[Refusal]:
    """Return what happened that whoever typed it may not want any more."""
    spec, plan = watcher.spec, watcher.spec.plan
    doubts = []
    if watcher.doubt:
        doubts.append(Refusal("not_recorded", watcher.doubt))
    if spec.session is not None and _day(watcher, found) > need.days:
        doubts.append(Refusal("session_over", f"its session of {spec.session.open:%Y-%m-%d} is over"))
    if instrument.con_id != spec.instrument.con_id:
        doubts.append(
            Refusal("other_contract", f"{plan.symbol} means another contract now ({instrument.con_id})")
        )
    if found.missing:
        doubts.append(Refusal("not_known", f"what {plan.symbol} did meanwhile is not known: {found.missing}"))
    if plan.level is not None and found.highest is not None and found.highest >= plan.level:
        doubts.append(
            Refusal(
                "level_crossed",
                f"the level {money(plan.level)} was crossed meanwhile: a bar closed at {money(found.highest)}",
            )
        )
    elif plan.level is not None and (above := _stands_above(found, plan.level, at)):
        doubts.append(Refusal("level_crossed", above))
    position = desk.positions.get(plan.symbol)
    book = desk.books.get(plan.symbol)
    ours = 0 if book is None else sum(inventory(trade, book.orders) for trade in book.trades.values())
    if position is not None and position.qty != ours:
        doubts.append(Refusal("position", f"the account holds {position.qty - ours} {plan.symbol} already"))
    if (stopped := check_stopped(desk, plan.symbol, plan.side)) is not None:
        doubts.append(stopped)
    return doubts


def _stands_above(found: i.Meanwhile, level: Price, at: datetime) -> str:
    quote = found.quote
    if quote is None or quote.bid is None or quote.age(at) > FRESH.total_seconds() or quote.bid < level:
        return ""
    return f"the price stands above the level {money(level)} now: bid {money(quote.bid)}"


def _arm(
    turn: Turn,
    watchers: Watchers,
    watcher: Watcher,
    strategies: Mapping[str, Strategy],
    found: i.Meanwhile,
    instrument: Instrument,
    doubts: list[Refusal],
) -> None:
    """Arm it, from now on: bars that closed before do not count."""
    spec = watcher.spec
    spec = replace(
        spec,
        plan=put_on_grid(spec.plan, instrument.grid),
        instrument=instrument,
        session=found.session or spec.session,
    )
    strategy = strategies[spec.strategy]
    state = watcher.state if watcher.state is not None else strategy.start(spec, turn.at)[0]
    after = replace(
        watcher,
        spec=spec,
        started_at=turn.at,
        need=strategy.needs(spec),
        state=state,
        day=_day(watcher, found),
        asks="",
        doubt="",
    )
    turn.say(
        WatchResumed(
            symbol=spec.plan.symbol,
            watch=spec.id,
            level=spec.plan.level,
            bars=found.bars,
            highest=found.highest,
            despite=" · ".join(doubt.detail for doubt in doubts),
        )
    )
    watchers.arm(turn, after)
