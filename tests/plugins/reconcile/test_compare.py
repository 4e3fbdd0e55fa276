"""The comparison is a function of its values: orphans by their own account, gaps, unknown sessions, orders of others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import AAPL, Desktop, d

from tradeshell import (
    CancelOutside,
    Comparison,
    CompletedOrder,
    ConfigError,
    Desk,
    DetachedSessionRestored,
    Difference,
    Differences,
    ExecutionReport,
    ExitMode,
    OcaType,
    OrderState,
    Outside,
    Owner,
    PositionReport,
    Side,
    StandingOrder,
    TakeUp,
    Weight,
)
from tradeshell_reconcile.compare import Settings, compare, read_settings
from tradeshell_reconcile.events import (
    DetachedSessionRestoreCompleted,
    OrphanExitOrderDetected,
    OrphanExitReconciliationCompleted,
)

NOW = datetime(2025, 7, 8, 14, tzinfo=UTC)
US = "DU…0001"
CANCEL = Settings(orphan_exit_action="cancel")


def standing(ref: str = "", **more: Any) -> StandingOrder:
    """Return a sell stop over 50 MSFT that another client has at the broker, unless told otherwise."""
    values: dict[str, Any] = {
        "owner": Owner.CLIENT,
        "ref": ref,
        "order_id": 12,
        "client": 8,
        "account": US,
        "symbol": "MSFT",
        "con_id": 272093,
        "side": Side.SELL,
        "kind": "STP LMT",
        "qty": 50,
        "filled": 0,
        "remaining": 50,
        "state": OrderState.HELD,
        "limit": d("380"),
        "stop": d("380"),
        "tif": "GTC",
        **more,
    }
    return StandingOrder(**values)


def ours(leg: str, qty: int, *, number: int, price: str, **more: Any) -> StandingOrder:
    """Return an exit of a session that no record knows, in the pair of its leg."""
    is_stop = leg.startswith("sl")
    return standing(
        f"ts:br-9:{leg}:1",
        owner=Owner.OURS,
        client=7,
        order_id=number,
        qty=qty,
        remaining=qty,
        kind="STP LMT" if is_stop else "LMT",
        stop=d(price) if is_stop else None,
        limit=d(price),
        oca_group=f"ts:br-9:p{leg[-1]}:1",
        oca_type=OcaType.REDUCE,
        **more,
    )


def execution(ref: str, side: Side, qty: int, price: str, number: int = 1) -> ExecutionReport:
    """Return an execution of today."""
    return ExecutionReport(
        exec_id=f"0001.{number}.01",
        ref=ref,
        order_id=number,
        symbol="MSFT",
        account=US,
        side=side,
        qty=qty,
        price=d(price),
        at=NOW - timedelta(minutes=30 - number),
    )


def held(symbol: str, qty: int, account: str = US) -> PositionReport:
    """Return a position."""
    return PositionReport(symbol=symbol, con_id=272093, account=account, qty=qty, average=d("400"))


def seen(*orders: StandingOrder, desk: Desk | None = None, idle: bool = True, **more: Any) -> Comparison:
    """Return what a reconciler is given; ``idle``: none of the sells has shares in its account."""
    before = Desk(account=US) if desk is None else desk
    outside = {
        order.key: Outside(
            order=order,
            bound=order.remaining,
            idle_since=NOW if idle and order.side is Side.SELL else None,
        )
        for order in orders
    }
    values: dict[str, Any] = {
        "at": NOW,
        "before": before,
        "desk": replace(before, outside=outside),
        "others": orders,
        "executions": (),
        "positions": (),
        "is_first": True,
        **more,
    }
    return Comparison(**values)


def found(what: Differences, finding: str) -> list[Difference]:
    """Return the rows of one kind."""
    return [each for each in what.found if each.finding == finding]


LADDER = (
    ours("sl1", 60, number=2, price="380"),
    ours("tp1", 60, number=3, price="420"),
    ours("sl2", 30, number=4, price="380"),
    ours("tp2", 30, number=5, price="440"),
)
BOUGHT = execution("ts:br-9:entry:1", Side.BUY, 90, "400.01")


# --- settings ---------------------------------------------------------------------------------------------------------


def test_settings_that_are_none_are_refused_in_one_line() -> None:
    assert read_settings({}) == Settings(orphan_exit_scope="all_clients", orphan_exit_action="warn")
    for table in ({"orphan_exit_scope": "everybody"}, {"orphan_exit": "warn"}, {"orphan_exit_action": 1}):
        with pytest.raises(ConfigError, match=r"\[reconcilers.reconcile\]"):
            read_settings(table)


# --- orphan exits -----------------------------------------------------------------------------------------------------


def test_D10_an_exit_is_an_orphan_by_its_own_account_alone() -> None:
    """Ours without shares, one typed by hand, one of another client whose own account holds its shares.

    Kills: orphans that are judged by the positions of the connected account.
    """
    mine = replace(LADDER[0], symbol="MSFT")
    hand = standing(owner=Owner.WINDOW, client=0, order_id=0, perm_id=77, symbol="IBM", qty=10, remaining=10)
    far = standing(client=9, order_id=4, symbol="TSLA", account="DU…0002", qty=30, remaining=30)
    comparison = seen(mine, hand, far)
    outside = comparison.desk.outside
    covered = {**outside, far.key: replace(outside[far.key], idle_since=None)}
    comparison = replace(comparison, desk=replace(comparison.desk, outside=covered))
    what = compare(CANCEL, comparison)
    assert {each.key: each.cancels for each in found(what, "orphan exit")} == {
        f"orphan {mine.key}": (mine.key,),
        f"orphan {hand.key}": (),
    }
    (row,) = found(what, "order of others")
    assert (row.symbol, row.expected) == ("TSLA", "in account DU…0002")
    assert [each.fix for each in found(what, "orphan exit")] == [CancelOutside((mine.key,)), None]
    done = next(each for each in what.closing if isinstance(each, OrphanExitReconciliationCompleted))
    assert (done.found, done.cancelling) == (2, 1)


@pytest.mark.parametrize(
    "scope, action, keys",
    [
        ("all_clients", "warn", []),
        ("all_clients", "cancel", ["ts:br-9:sl1:1", "@8.12"]),
        ("client", "cancel", ["ts:br-9:sl1:1"]),
    ],
)
def test_D10_scope_and_action_are_those_of_the_settings(scope: Any, action: Any, keys: list[str]) -> None:
    what = compare(Settings(orphan_exit_scope=scope, orphan_exit_action=action), seen(LADDER[0], standing()))
    assert [key for each in what.found for key in each.cancels] == keys
    assert len(found(what, "orphan exit")) == (1 if scope == "client" else 2)


def test_an_orphan_says_whose_it_is_and_what_can_be_done() -> None:
    (row,) = found(compare(Settings(), seen(standing())), "orphan exit")
    assert isinstance(row.event, OrphanExitOrderDetected)
    assert row.broker == "#12 SELL 50 stop 380.00 limit 380.00 · client 8"
    assert row.event.story() == (
        "SELL 50 works and nothing is held: client 8 · if it fills, DU…0001 is short · "
        "it is left alone · `reconcile` shows it, `reconcile fix ROW` cancels it"
    )


def test_a_buy_of_somebody_else_is_shown_and_nothing_more() -> None:
    what = compare(CANCEL, seen(standing(side=Side.BUY)))
    (row,) = [each for each in what.found if each.key.startswith("external")]
    assert (row.finding, row.weight, row.fix, row.cancels) == ("order of others", Weight.NOTE, None, ())


# --- sessions that no record knows ------------------------------------------------------------------------------------


def test_D15_a_session_is_read_from_refs_executions_and_what_works() -> None:
    """Two legs, ninety shares bought today: its plan is what its orders say.

    Kills: a plan that is made up.
    """
    what = compare(Settings(), seen(*LADDER, idle=False, executions=(BOUGHT,), positions=(held("MSFT", 90),)))
    (row,) = found(what, "unknown session")
    assert isinstance(row.fix, TakeUp)
    plan = row.fix.plan
    assert (plan.qty, plan.tps, plan.sl, plan.mode) == (
        90,
        (d("420"), d("440")),
        d("380"),
        ExitMode.DETACHED70,
    )
    assert (plan.level, plan.exit_tif.value) == (d("400.01"), "GTC")
    assert row.broker == "br-9: sl1 sl2 tp1 tp2 · stops for 90 of 90 shares"
    assert found(what, "shares of others") == []  # they have a row
    done = next(each for each in what.closing if isinstance(each, DetachedSessionRestoreCompleted))
    assert (done.restored, done.unknown) == (0, 1)


def test_D15_a_target_that_ended_is_known_from_what_it_sold_or_from_completed_orders() -> None:
    sold = execution("ts:br-9:tp1:1", Side.SELL, 60, "420", 3)
    ended = CompletedOrder(
        ref="ts:br-9:tp1:1",
        perm_id=1,
        account=US,
        symbol="MSFT",
        side=Side.SELL,
        filled=0,
        state=OrderState.CANCELLED,
        limit=d("421"),
    )
    left = LADDER[2:]
    by_sale = compare(Settings(), seen(*left, idle=False, executions=(BOUGHT, sold)))
    by_memory = compare(Settings(), seen(*left, idle=False, executions=(BOUGHT,), completed=(ended,)))
    plans = [found(what, "unknown session")[0].fix for what in (by_sale, by_memory)]
    assert [fix.plan.tps for fix in plans if isinstance(fix, TakeUp)] == [
        (d("420"), d("440")),
        (d("421"), d("440")),
    ]


@pytest.mark.parametrize(
    "orders, executions",
    [
        (LADDER, ()),  # bought on another day
        (LADDER[2:], (BOUGHT,)),  # nobody says where the first target was
        (LADDER, (replace(BOUGHT, qty=50),)),  # its exits work for more than it bought
        ((LADDER[1], LADDER[3]), (BOUGHT,)),  # no stop says where one belongs
        ((LADDER[0], replace(LADDER[1], limit=d("450")), *LADDER[2:]), (BOUGHT,)),  # targets that do not rise
    ],
)
def test_D15_what_nobody_says_is_not_guessed(orders: Any, executions: Any) -> None:
    (row,) = found(compare(Settings(), seen(*orders, idle=False, executions=executions)), "unknown session")
    assert row.fix is None
    assert "by number" in row.done


def test_X09_an_order_of_another_client_that_is_called_ours_is_no_session() -> None:
    what = compare(Settings(), seen(standing("ts:br-9:sl1:1"), idle=False))
    (row,) = what.found
    assert (row.finding, row.done, row.weight) == ("order of others", "counted, not followed", Weight.BAD)


# --- our own ----------------------------------------------------------------------------------------------------------


def test_shares_and_positions_that_nobody_explains_have_a_row() -> None:
    what = compare(Settings(), seen(positions=(held("TSLA", 30),)))
    (row,) = what.found
    assert (row.finding, row.symbol, row.broker) == ("shares of others", "TSLA", "30 shares at 400.00")


def test_a_trade_is_told_with_what_it_holds_and_only_on_the_first_picture() -> None:
    desktop = Desktop()
    desktop.open_position()
    book = desktop.desk.books[AAPL.symbol]
    assert book.trades
    for is_first, count in ((True, 1), (False, 0)):
        what = compare(
            Settings(), seen(desk=replace(desktop.desk, account=US), is_first=is_first, at=desktop.at)
        )
        (row,) = [each for each in what.found if each.finding == "session"]
        assert row.broker.startswith("100 shares")
        assert sum(each.event is not None for each in what.found if each.finding == "session") == count


def test_D11_shares_that_were_bought_without_a_stop_are_told_too_and_not_as_good_news() -> None:
    """No stop was planned, so there is no gap; after a restart nobody else would say that the shares stand alone.

    Kills: a restart that is silent about shares without a stop.
    """
    desktop = Desktop()
    desktop.open_position(sl=None, tps=(), mode=ExitMode.NONE)
    left = replace(desktop.desk, account=US, takes_up=True)
    what = compare(Settings(), seen(desk=left, at=desktop.at))
    assert found(what, "no stop") == []
    (row,) = found(what, "session")
    assert isinstance(row.event, DetachedSessionRestored)
    assert (row.event.held, row.event.protected, row.event.source) == (100, 0, "journal")
    assert row.event.how() is Weight.BAD
