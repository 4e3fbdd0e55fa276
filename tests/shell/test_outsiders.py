"""Orders that no book has: listed last, addressed by number, ours obey and those of others are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import ACCOUNT as DESK_ACCOUNT
from tests.plugins.reconcile.test_compare import ours, standing
from tests.shell.support import FakeTrading, d, make_runner

from tradeshell.core.inputs import Owner, PositionReport, StandingOrder
from tradeshell.core.plan import TradePlan
from tradeshell.core.standing import Outside
from tradeshell.differences import CancelOutside, Difference, TakeUp
from tradeshell.grammar import complete
from tradeshell.shell.commands_orders import ORDERS
from tradeshell.testing.outcome import Runner
from tradeshell_reconcile.command import RECONCILE

STOP = ours("sl1", 60, number=901, price="380", account=DESK_ACCOUNT)
TARGET = ours("tp1", 60, number=902, price="420", account=DESK_ACCOUNT)
FOREIGN = standing(order_id=77, account=DESK_ACCOUNT)
BY_HAND = standing(
    owner=Owner.WINDOW, client=0, order_id=0, perm_id=9, kind="TRAIL", limit=None, stop=None, symbol="IBM"
)


@pytest.fixture
def typed(tmp_path: Path) -> tuple[Runner, FakeTrading]:
    """A shell on an account at which orders work that no book has."""
    runner, trading = make_runner(tmp_path, extra=(("reconcile", RECONCILE),))
    put(trading, STOP, TARGET, FOREIGN, BY_HAND)
    return runner, trading


def put(trading: FakeTrading, *orders: StandingOrder, **more: Any) -> None:
    """Let these orders stand at the broker."""
    outside = {order.key: Outside(order=order, bound=order.remaining) for order in orders}
    trading.desktop.desk = replace(trading.desktop.desk, outside=outside, **more)


def test_orders_lists_them_with_whose_they_are(typed: tuple[Runner, FakeTrading]) -> None:
    runner, _ = typed
    rows = [line.split() for line in runner.run("orders").assert_ok().text.splitlines()[1:]]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        ("901", "MSFT", "sl1"),
        ("902", "MSFT", "tp1"),
        ("77", "MSFT", "–"),
        ("–", "IBM", "–"),
    ]
    text = runner.run("orders").text
    for words in ("br-9: no record", "external: client 8", "external: by hand", "TRAIL"):
        assert words in text
    assert len(runner.run("orders IBM").text.splitlines()) == 2


def test_O07_an_order_that_is_not_ours_is_neither_cancelled_nor_changed(
    typed: tuple[Runner, FakeTrading],
) -> None:
    """By its number, alone or beside one of ours: refused in one line, and nothing is sent.

    Kills: a number that is looked up among all orders of the account.
    """
    runner, trading = typed
    for line in ("orders cancel 77", "orders cancel 901 77", "orders replace 77 limit=381"):
        said = runner.run(line).assert_refused()
        assert "77: this order is not ours (external: client 8)" in said.text
    runner.run("orders cancel 4711").assert_refused().assert_says("4711: no working order is meant by that")
    assert trading.asked == []


def test_an_order_of_an_earlier_life_is_cancelled_by_number_after_a_yes(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    said = runner.run("orders cancel 901").assert_refused()
    said.assert_says("no record says what 901 protects; the broker may cancel the rest of its group along")
    assert trading.asked == []
    runner.run("orders cancel 901 force").assert_ok()
    assert trading.asked == [("cancel", "ts:br-9:sl1:1")]


def test_all_and_a_symbol_mean_orders_of_our_books_only(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    runner.run("orders cancel ALL force").assert_ok().assert_says("no order is working")
    runner.run("orders cancel MSFT force").assert_refused()
    assert trading.asked == []


def test_a_stop_that_is_changed_takes_its_limit_along(typed: tuple[Runner, FakeTrading]) -> None:
    runner, trading = typed
    put(trading, replace(STOP, limit=d("379.50")), TARGET)
    runner.run("orders replace 901 stop=385").assert_ok()
    runner.run("orders replace 902 limit=425").assert_ok()
    runner.run("orders replace 901 stop=be").assert_refused().assert_says("no record says what this order")
    assert trading.asked == [
        ("replace", "ts:br-9:sl1:1", d("384.50"), d("385"), None),
        ("replace", "ts:br-9:tp1:1", d("425"), None, None),
    ]


def test_completion_offers_those_that_obey(typed: tuple[Runner, FakeTrading]) -> None:
    _, trading = typed
    offers = complete(ORDERS, "", ["cancel"], trading.view())
    assert not isinstance(offers, str)
    found = {offer.text: offer.meaning for offer in offers}
    assert found["901"] == "MSFT sl1 SELL 60 stop 380.00 limit 380.00 · br-9: no record"
    assert "77" not in found


def test_positions_show_the_stops_of_a_session_that_no_record_knows(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    shares = PositionReport(symbol="MSFT", con_id=1, account=DESK_ACCOUNT, qty=80, average=d("400"))
    trading.desktop.desk = replace(trading.desktop.desk, positions={"MSFT": shares})
    row = runner.run("positions").assert_ok().text.splitlines()[-1]
    assert "br-9: no record" in row
    assert row.split()[-4:] == ["420.00", "380.00", "75", "%"]


# --- reconcile --------------------------------------------------------------------------------------------------------


def difference(**more: Any) -> Difference:
    """Return an orphan exit."""
    values: dict[str, Any] = {
        "key": "orphan x",
        "finding": "orphan exit",
        "symbol": "MSFT",
        "broker": "#901 SELL 60",
        "expected": "no exit",
        "done": "left alone · `reconcile fix ROW` cancels it",
        "fix": CancelOutside(("x",)),
        **more,
    }
    return Difference(**values)


def test_reconcile_shows_a_row_for_each_difference_and_fix_does_what_it_offers(
    typed: tuple[Runner, FakeTrading],
) -> None:
    runner, trading = typed
    said = runner.run("reconcile").assert_ok()
    assert said.text == "nothing differs · 0 orders of ours, 4 of others, 0 positions\n"
    plan = TradePlan(symbol="MSFT", qty=60, account=DESK_ACCOUNT)
    trading.differences = (
        difference(),
        difference(finding="unknown session", fix=TakeUp(id="br-9", plan=plan, executions=())),
    )
    text = runner.run("reconcile").assert_ok().text
    for words in ("at the broker", "expected", "done / what you can do", "reconcile fix 1"):
        assert words in " ".join(text.split())
    runner.run("reconcile fix 1").assert_ok().assert_says("row 1: MSFT orphan exit: cancel asked")
    runner.run("reconcile fix 2").assert_ok().assert_says("br-9 is looked after again")
    runner.run("reconcile fix").assert_refused().assert_says("row is missing")
    runner.run("reconcile fix x").assert_refused()
    assert trading.asked == [("reconcile",), ("reconcile",), ("settle", 1), ("settle", 2)]
