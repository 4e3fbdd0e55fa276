"""The breakout strategy: a pure machine over closed bars that asks for one entry."""

from __future__ import annotations

from datetime import datetime, time

from tradeshell import (
    Bar,
    BarNeed,
    Enter,
    Entered,
    Finish,
    News,
    Over,
    Refused,
    Tell,
    WatchSpec,
    Wish,
    split,
)
from tradeshell_breakout.events import (
    AutoTpComputed,
    BreakoutBreakDetected,
    BreakoutConfirmed,
    BreakoutFastTriggered,
    BreakoutRejected,
    BreakoutStarted,
    BreakoutStopped,
    seconds_of,
)
from tradeshell_breakout.logic import QUIET_STATE, BreakoutState, fast_level, read_bar, read_fast_bar
from tradeshell_breakout.policy import buffer_of, check_fast

NOTHING: tuple[Wish, ...] = ()


def _clock(text: str | None) -> time | None:
    return time.fromisoformat(text) if text else None


class Breakout:
    """Enter when a closed bar's close is at or above ``plan.level``; single-fire is the host's promise.

    ``params``: ``bar`` (``1m``), ``rth`` (``true``/``false``), ``max_bars`` (a count, or empty). With ``fast_bar`` (``1s``, or
    empty) the bars of a second stream race them: they enter when they close at or above the level and ``fast_buffer`` (USD, or
    empty: the default). ``after``, ``until`` (``HH:MM`` New York, or empty) and ``days``: when it looks; never later than
    ``plan.flat_by``.
    """

    def needs(self, watch: WatchSpec) -> BarNeed:
        """Return the bars this watcher looks at."""
        params = watch.params
        ends = [end for end in (_clock(params.get("until")), watch.plan.flat_by) if end is not None]
        return BarNeed(
            seconds_of(params["bar"]),
            params["rth"] == "true",
            seconds_of(params["fast_bar"]) if params.get("fast_bar") else None,
            after=_clock(params.get("after")),
            until=min(ends, default=None),
            days=int(params.get("days") or 1),
        )

    def start(self, watch: WatchSpec, at: datetime) -> tuple[BreakoutState, tuple[Wish, ...]]:
        """Return an untouched state and the start's announcement."""
        del at
        plan = watch.plan
        assert plan.level is not None, "the command always gives a level"
        fast = self.needs(watch).fast
        started = BreakoutStarted(
            symbol=plan.symbol,
            watch=watch.id,
            level=plan.level,
            qty=plan.qty,
            tp=plan.tps,
            sl=plan.sl,
            mode=plan.mode.value,
            bar=seconds_of(watch.params["bar"]),
            legs=split(plan.qty, plan.parts) if plan.mode.is_detached else (),
            updates=plan.updates,
            max_bars=int(watch.params["max_bars"]) if watch.params["max_bars"] else None,
            tp_why=plan.tp_why,
            risk=plan.risk_usd,
            after=watch.params.get("after") or None,
            until=watch.params.get("until") or None,
            days=int(watch.params.get("days") or 1),
            flat_by=None if plan.flat_by is None else f"{plan.flat_by:%H:%M}",
            fast_bar=fast,
            fast_level=None if fast is None else check_fast(plan, watch.params, watch.instrument.grid),
        )
        if not plan.tp_method:
            return QUIET_STATE, (Tell(started),)
        computed = AutoTpComputed(
            symbol=plan.symbol,
            watch=watch.id,
            method=plan.tp_method,
            level=plan.level,
            tp=plan.tps,
            why=plan.tp_why,
        )
        return QUIET_STATE, (Tell(computed), Tell(started))

    def on_bar(
        self, watch: WatchSpec, state: BreakoutState, bar: Bar, at: datetime
    ) -> tuple[BreakoutState, tuple[Wish, ...]]:
        """Return what a closed bar means; most mean nothing."""
        del at
        level = watch.plan.level
        assert level is not None, "the command always gives a level"
        params = watch.params
        enters_at = level
        if is_slow := bar.seconds == seconds_of(params["bar"]):
            reading = read_bar(state, bar, level, int(params["max_bars"]) if params["max_bars"] else None)
        elif bar.high < level:
            return state, NOTHING
        else:
            enters_at = fast_level(level, watch.instrument.grid, buffer_of(params))
            reading = read_fast_bar(state, bar, level, enters_at)
        if reading is None:
            return state, NOTHING
        wishes: list[Wish] = []
        if reading.first_touch:
            wishes.append(
                Tell(
                    BreakoutBreakDetected(
                        symbol=bar.symbol,
                        watch=watch.id,
                        level=level,
                        high=bar.high,
                        close=bar.close,
                        bar_start=bar.start,
                    )
                )
            )
        if reading.broke_out:
            if not is_slow:
                wishes.append(
                    Tell(
                        BreakoutFastTriggered(
                            symbol=bar.symbol,
                            watch=watch.id,
                            level=level,
                            fast_level=enters_at,
                            close=bar.close,
                            bar=bar.seconds,
                            bar_start=bar.start,
                        )
                    )
                )
            wishes.append(Enter(bar))
        elif reading.gave_up:
            wishes.append(Finish("max_bars"))
        return reading.state, tuple(wishes)

    def on_news(
        self, watch: WatchSpec, state: BreakoutState, news: News, at: datetime
    ) -> tuple[BreakoutState, tuple[Wish, ...]]:
        """Tell what became of the entry."""
        who = {"symbol": watch.plan.symbol, "watch": watch.id}
        if isinstance(news, Entered):
            assert news.bar is not None, "a watcher enters because of a bar"
            assert watch.plan.level is not None, "the command always gives a level"
            confirmed = BreakoutConfirmed(
                **who,
                level=watch.plan.level,
                close=news.bar.close,
                bar_start=news.bar.start,
                ask=news.ask,
                quote_age=news.quote_age,
                order_ref=news.order_ref,
                qty=news.qty or None,
                risk=watch.plan.risk_usd,
            )
            return state, (Tell(confirmed),)
        if isinstance(news, Refused):
            bar, quote = news.bar, news.quote
            rejected = BreakoutRejected(
                **who,
                reason=news.reason,
                detail=news.detail,
                level=watch.plan.level,
                close=None if bar is None else bar.close,
                bar_start=None if bar is None else bar.start,
                bid=None if quote is None else quote.bid,
                ask=None if quote is None else quote.ask,
                quote_age=None if quote is None else max(0.0, quote.age(at)),
            )
            return state, (Tell(rejected),)
        assert isinstance(news, Over)
        return state, (Tell(BreakoutStopped(**who, reason=news.reason)),)
