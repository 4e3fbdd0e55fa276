"""The touch that comes with the bar: one decision, and the same as in two."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.core.support import OPEN, SESSION, Desktop, bar, d, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.commands import Command
from tradeshell.core.desk import WatchPhase
from tradeshell.core.market import DataKind, Quote
from tradeshell.core.orders import OrderSpec
from tradeshell_breakout.events import BreakoutRejected

CLOSE = OPEN + timedelta(minutes=1)


def armed(*ids: str) -> Desktop:
    desk = Desktop()
    for id_ in ids or ("br-1",):
        desk.watch(id_)
    desk.at = CLOSE
    return desk


def close(desk: Desktop, touch: Quote | None) -> tuple[Command, ...]:
    return desk.do(i.BarClosed, bar=bar(0, "190.12"), rth=True, quote=touch, session=SESSION)


def orders(desk: Desktop) -> list[OrderSpec]:
    return [place.order for place in desk.sent(c.PlaceOrder)]


@pytest.mark.parametrize(
    "touch",
    [
        quote(CLOSE),
        quote(CLOSE, bid="190.20", ask="190.10"),
        quote(CLOSE, ask=None),
        quote(CLOSE, kind=DataKind.HALTED),
        quote(CLOSE, bid="191.60", ask="191.70"),
        quote(CLOSE - timedelta(seconds=1)),
    ],
    ids=["good", "crossed", "no ask", "halted", "too far", "a second old"],
)
def test_the_touch_decides_the_same_whether_it_comes_with_the_bar_or_is_asked_for(touch: Quote) -> None:
    at_once, asked = armed(), armed()
    close(at_once, touch)
    close(asked, None)
    assert [ask.key for ask in asked.last if isinstance(ask, c.AskQuote)] == ["br-1"]
    asked.answer(touch)
    assert at_once.desk == asked.desk
    told, also = ([each for each in desk.all if isinstance(each, c.Announce)] for desk in (at_once, asked))
    assert told == also
    assert orders(at_once) == orders(asked)
    assert at_once.desk.watchers["br-1"].fired
    assert not any(isinstance(each, c.AskQuote) for each in at_once.last)


def test_no_timer_runs_for_a_touch_that_has_come_and_those_of_others_do() -> None:
    desk = armed()
    close(desk, quote(CLOSE))
    assert any(isinstance(each, c.SetTimer) and each.key == "ack:ts:br-1:entry:1" for each in desk.last)
    assert not any(timer.key.startswith("ask:") for timer in desk.last if isinstance(timer, c.SetTimer))


def test_a_touch_that_is_too_old_for_the_plan_is_asked_for_anew() -> None:
    desk = armed()
    close(desk, quote(CLOSE - timedelta(minutes=1)))
    assert orders(desk) == []
    assert [ask.key for ask in desk.sent(c.AskQuote)] == ["br-1"]
    assert [t.key for t in desk.last if isinstance(t, c.SetTimer)] == ["ask:br-1"]
    assert desk.desk.watchers["br-1"].fired
    desk.answer(quote(CLOSE))
    assert [order.limit for order in orders(desk)][:1] == [d("190.15")]


def test_every_watcher_of_the_bar_is_closed_before_the_first_order_and_each_enters_once() -> None:
    desk = armed("br-1", "br-2")
    close(desk, quote(CLOSE))
    disarmed = [n for n, each in enumerate(desk.last) if isinstance(each, c.UnwatchBars)]
    placed = [n for n, each in enumerate(desk.last) if isinstance(each, c.PlaceOrder)]
    assert len(disarmed) == 2
    assert max(disarmed) < min(placed)
    refs = [order.ref for order in orders(desk)]
    assert len(refs) == len(set(refs)) == 6
    desk.do(i.BarClosed, bar=bar(0, "190.12"), rth=True, quote=quote(CLOSE), session=SESSION)
    assert desk.last == ()


def test_a_refusal_ends_the_watcher_in_the_same_step() -> None:
    desk = armed()
    desk.do(i.BarClosed, bar=bar(0, "190.12"), rth=True, quote=quote(CLOSE), session=None)
    assert [event.reason for event in desk.told(BreakoutRejected)] == ["session_closed"]
    assert desk.desk.watchers["br-1"].phase is WatchPhase.DONE
    assert orders(desk) == []


def test_a_bar_that_asks_for_nothing_makes_nothing_of_its_touch() -> None:
    desk = armed()
    desk.do(
        i.BarClosed,
        bar=bar(0, "189.90", high="190.05", low="189.50"),
        rth=True,
        quote=quote(CLOSE),
        session=SESSION,
    )
    assert orders(desk) == []
    assert desk.desk.watchers["br-1"].phase is WatchPhase.ARMED
