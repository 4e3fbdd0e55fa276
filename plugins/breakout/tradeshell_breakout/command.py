"""The commands ``breakout``, ``breakouts`` and ``plan``."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from tradeshell import (
    Answer,
    BrokerError,
    Column,
    Command,
    Desk,
    Grammar,
    Margin,
    OperatorError,
    Table,
    Target,
    TradePlan,
    Trading,
    Watcher,
    WatchPhase,
    Words,
    check_plan,
    money,
    put_on_grid,
    split,
)
from tradeshell_breakout import planned, results
from tradeshell_breakout.events import bar_words, seconds_of
from tradeshell_breakout.grammar import BREAKOUT_GRAMMAR, PLAN_GRAMMAR
from tradeshell_breakout.policy import (
    check_fast,
    check_without_targets,
    risk_of,
    trade_plan,
    wanted_targets,
    watch_params,
)


def _defaults(trading: Trading) -> dict[str, Any]:
    """Return the configured defaults as parsed values; the config has checked the names."""
    found = {}
    for name, text in trading.defaults.values.items():
        key = BREAKOUT_GRAMMAR.key(name)
        if key is not None:
            try:
                found[name] = key.parse(text)
            except ValueError as error:
                raise OperatorError(
                    f"config default {name}={text}: {error}; change it in the config file"
                ) from None
    return found


def _plan(trading: Trading, words: Words) -> tuple[TradePlan, dict[str, str]]:
    defaults = _defaults(trading)
    account = trading.view().desk.account
    params = watch_params(words, defaults)
    wish = wanted_targets(words)
    risk = risk_of(words, trading.equity)
    computed: tuple[Target, ...] = ()
    if wish is not None:
        check_without_targets(words, defaults, wish, risk)
        symbol, level, sl = words.get("symbol"), words.get("level"), words.get("sl")
        computed = trading.take_profits(wish.method, symbol, level, wish.count, params["rth"] == "true", sl)
    plan = trade_plan(words, defaults, account, computed, risk)
    check_plan(plan)
    return plan, params


def run_breakout(trading: Trading, words: Words) -> Answer:
    """Start a watcher, or cancel some."""
    if words.verb == "cancel":
        return _cancel(trading, words)
    if words.verb == "resume":
        return _resume(trading, words)
    plan, params = _plan(trading, words)
    id_ = trading.start_watch("breakout", plan, params, words.get("another", False))
    data = {"watch": id_, "symbol": plan.symbol, "level": plan.level, "qty": plan.qty}
    return Answer(data=data | ({"tp": plan.tps, "tp_why": plan.tp_why} if plan.tp_why else {}))


def _cancel(trading: Trading, words: Words) -> Answer:
    live = [w for w in trading.view().desk.watchers.values() if w.phase is not WatchPhase.DONE]
    wanted = set(words.rest)
    chosen = [w for w in live if "ALL" in wanted or w.spec.plan.symbol in wanted]
    unknown = wanted - {"ALL"} - {w.spec.plan.symbol for w in live}
    if unknown:
        raise OperatorError(
            f"breakout cancel: no watcher on {' '.join(sorted(unknown))}; `breakouts` lists them"
        )
    lines = []
    for watcher in chosen:
        trading.cancel_watch(watcher.spec.id)
        if watcher.phase is WatchPhase.FIRED:
            lines.append(_kept(trading, watcher))
    if not chosen:
        lines.append("no watcher is running")
    return Answer(lines=tuple(lines), data={"cancelled": [w.spec.id for w in chosen]})


def _resume(trading: Trading, words: Words) -> Answer:
    """Arm watchers that an earlier session left waiting, whatever there is to doubt."""
    paused = [w for w in trading.view().desk.watchers.values() if w.phase is WatchPhase.PAUSED]
    wanted = set(words.rest)
    unknown = wanted - {"ALL"} - {w.spec.plan.symbol for w in paused}
    if unknown:
        raise OperatorError(
            f"breakout resume: no watcher on {' '.join(sorted(unknown))} waits to go on; `breakouts` lists them"
        )
    chosen = [w for w in paused if "ALL" in wanted or w.spec.plan.symbol in wanted]
    for watcher in chosen:
        trading.resume_watch(watcher.spec.id)
    lines = () if chosen else ("no watcher waits to go on",)
    return Answer(lines=lines, data={"resumed": [w.spec.id for w in chosen]})


def _kept(trading: Trading, watcher: Watcher) -> str:
    """Return what a cancel after the trigger leaves as it is."""
    symbol = watcher.spec.plan.symbol
    held, _ = trading.view().desk.protection(symbol)
    rest = (
        f"{held} {'share is' if held == 1 else 'shares are'} held, with exits that are kept · `flatten {symbol}` sells"
        if held > 0
        else "exits of what has filled are kept"
    )
    return f"{symbol} {watcher.spec.id}: already triggered · an unfilled entry is cancelled · {rest}"


def run_breakouts(trading: Trading, words: Words) -> Answer:
    """List watchers."""
    del words
    view = trading.view()
    watchers = tuple(view.desk.watchers.values())
    blind = {id_ for stream in view.blind for id_ in stream.watches}
    if not watchers:
        return Answer(lines=("no watchers; try: breakout AAPL level=190 qty=100 tp=195 sl=187",), data=[])
    watchers = tuple(_as_sized(w, view.desk) for w in watchers)
    columns = (
        Column("watch"),
        Column("symbol"),
        Column("state"),
        Column("level", True),
        Column("qty", True),
        Column("targets"),
        Column("sl", True),
        Column("bar"),
        Column("since"),
    )
    return Answer(
        lines=(Table(columns=columns, rows=tuple(_row(w, blind, view.now) for w in watchers)),),
        data=[_data(w, blind) for w in watchers],
    )


def _as_sized(watcher: Watcher, desk: Desk) -> Watcher:
    """Return the watcher with the shares that its trade was sized to, once it was."""
    trade = desk.trade(watcher.spec.id)
    if trade is None or trade.plan.risk_usd is None:
        return watcher
    return replace(watcher, spec=replace(watcher.spec, plan=trade.plan))


def _state(watcher: Watcher, blind: Collection[str], now: datetime) -> str:
    """Return what a watcher is doing; one whose bars do not come is armed in name only."""
    if watcher.spec.id in blind:
        return f"{watcher.phase.value}, BLIND"
    if watcher.phase is WatchPhase.ARMED and watcher.ends_at is not None and now > watcher.ends_at:
        return f"rests, day {watcher.day} of {watcher.need.days}"
    why = watcher.asks or watcher.end_reason
    return watcher.phase.value + (f" ({why})" if why else "")


def _row(watcher: Watcher, blind: Collection[str], now: datetime) -> tuple[str, ...]:
    plan = watcher.spec.plan
    return (
        watcher.spec.id,
        plan.symbol,
        _state(watcher, blind, now),
        "–" if plan.level is None else money(plan.level),
        str(plan.qty) if plan.risk_usd is None or watcher.fired else f"~{plan.qty}",
        _targets(plan),
        "–" if plan.sl is None else money(plan.sl),
        " ".join(map(bar_words, watcher.need.lengths)) if watcher.need.seconds else "–",
        f"{watcher.started_at.astimezone(ZoneInfo('America/New_York')):%H:%M:%S}",
    )


def _targets(plan: TradePlan) -> str:
    """Return the targets, those of a ladder with their shares: ``60@195.00 30@198.00 10@205.00``."""
    if not plan.mode.is_detached:
        return " ".join(map(money, plan.tps)) or "–"
    shares = split(plan.qty, plan.parts)
    return " ".join(f"{qty}@{money(tp)}" for qty, tp in zip(shares, plan.tps, strict=True))


def _data(watcher: Watcher, blind: Collection[str]) -> dict[str, Any]:
    plan = watcher.spec.plan
    return {
        "watch": watcher.spec.id,
        "symbol": plan.symbol,
        "state": watcher.phase.value,
        "reason": watcher.asks or watcher.end_reason,
        "blind": watcher.spec.id in blind,
        "level": plan.level,
        "qty": plan.qty,
        "risk": plan.risk_usd,
        "after": watcher.spec.params.get("after") or None,
        "until": watcher.spec.params.get("until") or None,
        "day": watcher.day,
        "days": watcher.need.days,
        "flat_by": None if plan.flat_by is None else f"{plan.flat_by:%H:%M}",
        "tp": plan.tps,
        "tp_why": plan.tp_why,
        "sl": plan.sl,
        "mode": plan.mode,
        "legs": split(plan.qty, plan.parts) if plan.mode.is_detached else (),
        "stop_updates": plan.updates,
        "cover": plan.cover if plan.mode.is_detached else None,
        "bar": watcher.need.seconds,
        "fast_bar": watcher.need.fast,
        "since": watcher.started_at,
    }


def run_plan(trading: Trading, words: Words) -> Answer:
    """Say what a breakout would do, without doing it."""
    plan, params = _plan(trading, words)
    instrument = trading.instrument(plan.symbol)
    plan = put_on_grid(plan, instrument.grid)
    check_plan(plan)
    fast = None
    if params["fast_bar"]:
        fast = planned.Fast(seconds_of(params["fast_bar"]), check_fast(plan, params, instrument.grid))
    bar = seconds_of(params["bar"])
    legs = planned.legs_of(plan)
    lines: list[str | Table] = [*planned.head(plan, bar, fast)]
    if legs:
        lines.append(planned.table(legs))
    margin = _margin(trading, plan)
    lines += planned.sentences(plan, margin)
    return Answer(lines=tuple(lines), data=planned.data(plan, bar, fast, margin))


def _margin(trading: Trading, plan: TradePlan) -> Margin | str | None:
    """Return what the broker would ask for, why it would refuse, or nothing where it does not say."""
    try:
        return trading.preview(plan)
    except BrokerError as error:
        return str(error)


def commands() -> tuple[Command, ...]:
    """Return the plugin's commands."""
    return (
        Command(
            name="breakout",
            help="watch a level and trade its breakout, once",
            grammar=BREAKOUT_GRAMMAR,
            run=run_breakout,
            group="Enter",
            data=results.Started,
            examples=(
                "breakout AAPL level=190 qty=100 tp=195 sl=187",
                "breakout AAPL level=190 qty=1",
                "breakout AAPL level=190 qty=100 tp=195-198 sl=187",
                "breakout AAPL level=190 qty=100 tp=195-198-205 sl=187 tp_alloc=50-30-20",
                "breakout AAPL level=190 qty=100 tp=auto tp_count=3 sl=187",
                "breakout AAPL 190 100 tp-2 sl=187",
                "breakout AAPL 190 100 sl=187 bar=5m",
                "breakout AAPL 190 100 sl=187 fast=true fast_bar=5s",
                "breakout AAPL level=190 risk=200 tp=195-198 sl=187 flat_by=15:55",
                "breakout AAPL 190 100 sl=187 after=10:00 until=15:30 days=3",
                "breakout cancel AAPL",
                "breakout resume AAPL",
                "breakout cancel ALL",
            ),
            notes="Enters at the ask when a closed bar closes at or above the level; one entry, for ever. Two or three targets "
            "make a ladder: a pair of target and stop for each, armed when the bought shares are confirmed; when a target is "
            "filled the later stops move up. tp=auto computes targets from earlier bars when the line is "
            "typed, and says how each was found; they stay as they are. risk= counts the shares at the trigger. "
            "fast=true lets bars of a second race the slow ones. after, until and flat_by are times of day in New York. "
            "`plan` with the same words shows it.",
        ),
        Command(
            name="breakouts",
            help="list watchers",
            grammar=Grammar(),
            run=run_breakouts,
            group="Enter",
            data=list[results.WatcherRow],
            examples=("breakouts",),
        ),
        Command(
            name="plan",
            help="say what a breakout would send, without sending",
            grammar=PLAN_GRAMMAR,
            run=run_plan,
            group="Enter",
            data=results.Plan,
            examples=(
                "plan AAPL 190 100 tp=195 sl=187",
                "plan AAPL 190 100 tp=195-198-205 sl=187",
                "plan AAPL 190 100 tp-3 sl=187",
                "plan AAPL 190 risk=0.5% tp=195 sl=187",
            ),
        ),
    )
