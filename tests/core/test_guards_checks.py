"""Checks of plugins: what they are told, and that none of them lets anything through by failing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.core.support import AAPL, ACCOUNT, OPEN, Desktop, d, quote
from tests.core.test_guards_limits import fill, refusal, send, typed

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.checks import Check, CheckContext, PreTradeCheck
from tradeshell.core.events import RiskRejected
from tradeshell.core.guards import Refusal
from tradeshell.core.orders import Side
from tradeshell.core.step import Core
from tradeshell_breakout.strategy import Breakout


def desk_with(*checks: Check) -> Desktop:
    """Return a connected desk whose core asks these checks, called c0, c1 and so on, of a plugin ``desk_rules``."""
    desk = Desktop()
    asked = [PreTradeCheck(name=f"c{n}", owner="desk_rules", check=check) for n, check in enumerate(checks)]
    desk.core = Core({"breakout": Breakout()}, asked)
    return desk


def no_apples(context: CheckContext) -> Refusal | None:
    """Refuse one symbol."""
    if context.plan.symbol != "AAPL":
        return None
    return Refusal("no_apples", "this desk does not trade AAPL")


def test_a_check_that_refuses_keeps_the_order_and_is_named() -> None:
    desk = desk_with(no_apples)
    assert send(desk, typed()) == "no_apples"
    assert refusal(desk) == "this desk does not trade AAPL (check c0 of plugin desk_rules)"
    assert send(desk, typed(symbol="MSFT"), "m-2") == ""


def test_a_watchers_entry_is_asked_about_when_it_triggers() -> None:
    desk = desk_with(no_apples)
    desk.trigger()
    assert desk.sent(c.PlaceOrder) == []
    assert desk.trade().end_reason == "no_apples"
    assert [told.reason for told in desk.told(RiskRejected)] == ["no_apples"]


def test_a_core_with_other_checks_knows_the_same_strategies_and_asks_only_those() -> None:
    desk = desk_with(no_apples)
    desk.core = desk.core.with_checks([])
    desk.trigger()
    assert len(desk.sent(c.PlaceOrder)) == 3


def test_the_first_check_that_refuses_ends_the_asking() -> None:
    asked: list[str] = []

    def note(name: str, answer: Refusal | None) -> Check:
        def check(context: CheckContext) -> Refusal | None:
            asked.append(name)
            return answer

        return check

    desk = desk_with(note("a", None), note("b", Refusal("no", "never")), note("c", None))
    assert send(desk, typed()) == "no"
    assert asked == ["a", "b"]


def test_checks_are_not_asked_about_what_the_host_refuses_itself() -> None:
    def never(context: CheckContext) -> Refusal | None:
        raise AssertionError("asked")

    desk = desk_with(never)
    desk.do(i.StopEntryRequested, on=True)
    assert send(desk, typed()) == "entries_stopped"


def raising(error: BaseException) -> Check:
    def check(context: CheckContext) -> Refusal | None:
        raise error

    return check


def answering(thing: object) -> Callable[[CheckContext], Any]:
    return lambda context: thing


@pytest.mark.parametrize(
    "check, words",
    [
        (raising(ValueError("no\nsuch file")), "raised ValueError: no such file"),
        (raising(SystemExit(3)), "raised SystemExit: 3"),
        (raising(RecursionError()), "raised RecursionError:"),
        (answering(True), "answered with bool, not a Refusal"),
        (answering("no"), "answered with str, not a Refusal"),
        (
            answering(Refusal("", "no reason")),
            "answered with Refusal, not a Refusal with a reason of one word",
        ),
        (
            answering(Refusal("two words", "x")),
            "answered with Refusal, not a Refusal with a reason of one word",
        ),
    ],
)
def test_a_check_that_fails_refuses_the_order_in_one_line_and_is_named(check: Check, words: str) -> None:
    desk = desk_with(check)
    assert send(desk, typed()) == "check_failed"
    said = refusal(desk)
    assert said.startswith(f"check c0 of plugin desk_rules {words}")
    assert "\n" not in said
    assert send(desk, typed(), "m-2") == "check_failed"


def test_held_shares_can_be_sold_whatever_a_check_says() -> None:
    desk = desk_with(raising(ValueError("broken")))
    told = i.PositionReport(symbol="AAPL", con_id=1, account=ACCOUNT, qty=100, average=d("190"))
    desk.do(i.PositionReported, position=told)
    assert send(desk, typed(side=Side.SELL, limit=d("189"))) == ""


def test_a_check_is_told_the_order_its_price_and_the_account() -> None:
    seen: list[CheckContext] = []

    def look(context: CheckContext) -> Refusal | None:
        seen.append(context)
        return None

    desk = desk_with(look)
    told = i.PositionReport(symbol="MSFT", con_id=7, account=ACCOUNT, qty=10, average=d("400"))
    desk.do(i.PositionReported, position=told)
    send(desk, typed())
    fill(desk, "m-1", "190")
    desk.watch()
    desk.close_bar(0, "190.12", high="190.20", low="189.90")
    desk.answer(quote(desk.at))
    first, second = seen
    assert (first.plan, first.origin, first.price, first.now) == (typed(), "manual", d("190"), OPEN)
    assert (first.desk.positions, first.desk.exposure, first.desk.paper) == ({"MSFT": 10}, d("4000"), True)
    assert (second.origin, second.price, second.instrument) == ("breakout", d("190.15"), AAPL)
    assert second.quote == quote(desk.at)
    assert second.desk.positions == {"MSFT": 10, "AAPL": 100}
    assert (second.desk.open_risk, second.desk.realised) == (d("19000"), d("0"))
    with pytest.raises(TypeError):
        second.desk.positions["AAPL"] = 0  # type: ignore[index]  # that is the point
