"""Watchers whose strategy misbehaves or says something unusual, and timers and data that nobody waits for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import AAPL, ENTRY, SESSION, SL1, Desktop, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.core.events import BrokerMessageUnclassified, DataRejected, ReplayEnded, RiskRejected
from tradeshell.core.market import Bar
from tradeshell.core.policy import Policy
from tradeshell.core.step import Core
from tradeshell.core.strategy import BarNeed, Enter, Finish, News, Over, Tell
from tradeshell.core.trade import TradePhase


class Scripted:
    """A strategy that says what it was told to say; an exception in its place is raised."""

    def __init__(self, *, start: Any = (), bar: Any = (), news: Any = ()) -> None:
        self.at_start, self.at_bar, self.at_news = start, bar, news

    def needs(self, watch: i.WatchSpec) -> BarNeed:
        return BarNeed(seconds=60, rth=True)

    def start(self, watch: i.WatchSpec, at: datetime) -> tuple[Any, Any]:
        return "started", said(self.at_start, None)

    def on_bar(self, watch: i.WatchSpec, state: Any, bar: Bar, at: datetime) -> tuple[Any, Any]:
        return "saw a bar", said(self.at_bar, bar)

    def on_news(self, watch: i.WatchSpec, state: Any, news: News, at: datetime) -> tuple[Any, Any]:
        return f"heard {type(news).__name__}", said(self.at_news, None)


def said(script: Any, bar: Bar | None) -> Any:
    """Return the scripted wishes, ``Enter`` (the class) standing for an entry on ``bar``."""
    if isinstance(script, Exception):
        raise script
    if not isinstance(script, tuple):
        return script
    return tuple(Enter(bar) if wish is Enter and bar is not None else wish for wish in script)


def watched(strategy: Scripted, **more: Any) -> Desktop:
    """Return a desk on which ``strategy`` watches AAPL."""
    desk = Desktop()
    desk.core = Core({"breakout": strategy})
    spec = i.WatchSpec(
        id="br-1", strategy="breakout", plan=plan(), params={}, instrument=AAPL, session=SESSION
    )
    desk.do(i.WatchRequested, watch=replace(spec, **more))
    return desk


def test_a_strategy_that_raises_at_news_loses_its_watcher_and_its_trade_goes_on() -> None:
    desk = watched(Scripted(bar=(Enter,), news=ValueError("no such word")))
    desk.close_bar(0, "190.12")
    desk.answer(quote(desk.at))
    (words,) = desk.told(BrokerMessageUnclassified)
    assert "strategy breakout raised ValueError: no such word" in words.text
    assert desk.desk.watchers["br-1"].end_reason == "strategy failed"
    assert desk.trade().phase is TradePhase.ENTERING
    assert len(desk.sent(c.PlaceOrder)) == 3


def test_news_may_change_a_strategys_state_and_only_what_it_tells_is_heeded() -> None:
    desk = watched(Scripted(news=(Finish("again"), Tell(ReplayEnded()))))
    desk.do(i.WatchCancelRequested, watch="br-1")
    watcher = desk.desk.watchers["br-1"]
    assert (watcher.state, watcher.end_reason) == (f"heard {Over.__name__}", "cancelled")
    assert len(desk.told(ReplayEnded)) == 1


@pytest.mark.parametrize("wishes", [[Finish("a list")], ("a word",), None])
def test_a_strategy_that_returns_anything_but_wishes_is_stopped_with_its_words_shown(wishes: Any) -> None:
    desk = watched(Scripted(bar=wishes))
    desk.close_bar(0, "190.12")
    (words,) = desk.told(BrokerMessageUnclassified)
    assert "a strategy returns a tuple of Tell, Enter and Finish" in words.text
    assert desk.desk.watchers["br-1"].phase is WatchPhase.DONE
    assert desk.desk.armed == {}


def test_a_strategy_that_wishes_for_more_than_a_screen_can_show_is_stopped() -> None:
    desk = watched(Scripted(bar=(Tell(ReplayEnded()),) * 101))
    desk.close_bar(0, "190.12")
    (words,) = desk.told(BrokerMessageUnclassified)
    assert "may wish for 100 things at once, not for 101" in words.text
    assert desk.told(ReplayEnded) == []
    assert desk.desk.watchers["br-1"].phase is WatchPhase.DONE


def test_a_strategy_that_starts_with_anything_but_wishes_is_not_started() -> None:
    with pytest.raises(TypeError, match="tuple of Tell, Enter and Finish"):
        watched(Scripted(start=("go",)))


@pytest.mark.parametrize("wishes", [(Enter, Enter), (Enter, Finish("late")), (Enter,)])
def test_however_often_a_strategy_asks_it_enters_once(wishes: Any) -> None:
    desk = watched(Scripted(bar=wishes))
    desk.close_bar(0, "190.12")
    assert [ask.key for ask in desk.sent(c.AskQuote)] == ["br-1"]
    desk.close_bar(1, "190.12")
    assert desk.last == ()


def test_a_strategy_that_has_finished_does_not_enter_any_more() -> None:
    desk = watched(Scripted(bar=(Finish("enough"), Enter)))
    desk.close_bar(0, "190.12")
    assert desk.sent(c.AskQuote) == []
    assert desk.desk.watchers["br-1"].end_reason == "enough"


def test_a_strategy_that_finishes_at_once_never_gets_a_bar() -> None:
    desk = watched(Scripted(start=(Finish("nothing to do"),)))
    assert desk.desk.watchers["br-1"].end_reason == "nothing to do"
    assert desk.sent(c.WatchBars) == []
    assert desk.sent(c.SetTimer) == []


def test_without_known_hours_a_watcher_has_no_end_of_its_own() -> None:
    assert [timer.key for timer in watched(Scripted()).sent(c.SetTimer)] == ["close:br-1"]
    assert watched(Scripted(), session=None).sent(c.SetTimer) == []


def test_the_end_of_the_data_ends_the_watchers_that_wait_and_no_other() -> None:
    desk = watched(Scripted())
    desk.do(i.WatchCancelRequested, watch="br-1")
    desk.do(
        i.WatchRequested,
        watch=replace(desk.desk.watchers["br-1"].spec, id="br-2"),
    )
    desk.do(i.FeedEnded)
    assert len(desk.told(ReplayEnded)) == 1
    ends = {id_: watcher.end_reason for id_, watcher in desk.desk.watchers.items()}
    assert ends == {"br-1": "cancelled", "br-2": "replay_end"}


# --- words that nobody waits for --------------------------------------------------------------------------------------


def test_refused_bars_end_the_watcher_that_waits_for_them_and_no_other() -> None:
    desk = watched(Scripted())
    desk.do(i.BarsRefused, key="br-9", reason="no such contract")
    assert desk.last == ()
    desk.do(i.BarsRefused, key="br-1", reason="no such contract")
    assert [event.reason for event in desk.told(DataRejected)] == ["no such contract"]
    desk.do(i.BarsRefused, key="br-1", reason="no such contract")
    assert desk.last == ()


@pytest.mark.parametrize(
    "key",
    [
        "ack:ts:no:entry:1",
        "answer:ts:no:entry:1",
        "again:no:stop1",
        "ask:no",
        "chase:ts:no:sl1:1",
        "close:no",
        "entry:no",
        "halt:no",
        "hours:no",
        "retry:ts:no:sl1:1",
        "picture",
        "a word of tomorrow",
    ],
)
def test_a_timer_for_what_is_not_there_does_nothing(key: str) -> None:
    desk = Desktop()
    before = desk.desk
    desk.do(i.TimerFired, key=key)
    assert desk.last == ()
    assert desk.desk is before


def test_while_orders_work_pictures_are_asked_for_at_the_interval_of_the_policy() -> None:
    desk = Desktop()
    desk.do(i.PolicySet, policy=Policy(look_every=30.0))
    desk.open_position()
    assert desk.desk.watch_at is not None
    desk.at = desk.desk.watch_at
    desk.do(i.TimerFired, key="watch")
    assert len(desk.sent(c.AskSnapshot)) == 1
    assert "watch" in [timer.key for timer in desk.sent(c.SetTimer)]


def test_where_no_order_works_no_picture_is_asked_for() -> None:
    desk = Desktop()
    desk.do(i.PolicySet, policy=Policy(look_every=30.0))
    desk.do(i.TimerFired, key="watch")
    assert desk.last == ()
    assert desk.desk.watch_at is None


def test_what_an_operator_wants_of_an_order_without_a_link_is_refused_with_the_reason() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.LinkChanged, up=False, account="", paper=True, why="the socket closed")
    desk.do(i.CancelRequested, ref=SL1)
    desk.do(i.ReplaceRequested, ref=SL1, stop=None, qty=50)
    words = [event.detail for event in desk.ever_told(RiskRejected)]
    assert words == ["nothing was sent: the socket closed"] * 2
    assert not desk.order(SL1).cancelling
    desk.do(i.LinkChanged, up=True, account=plan().account, paper=True)
    desk.do(i.CancelRequested, ref=SL1)
    (refusal,) = desk.told(RiskRejected)
    assert refusal.detail == "nothing was sent: the link is up, orders and positions are not known yet"


def test_an_order_that_is_over_is_neither_cancelled_nor_changed() -> None:
    desk = Desktop()
    desk.open_position()
    desk.do(i.CancelRequested, ref=ENTRY)
    assert desk.last == ()
    desk.do(i.ReplaceRequested, ref=ENTRY, qty=50)
    assert desk.last == ()
