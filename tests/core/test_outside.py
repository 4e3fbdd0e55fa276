"""Orders at the broker that no book has: what they count for, what may be done about them, and sessions that are taken up."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.core.support import AAPL, ACCOUNT, ENTRY, Desktop, d, plan, quote

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import (
    BrokerMessageUnclassified,
    OrderIntent,
    ReconciliationCompleted,
    RiskRejected,
)
from tradeshell.core.orders import OcaType, OrderState, OrderType, Side, Tif
from tradeshell.core.plan import ExitMode, TradePlan
from tradeshell.core.recon_events import (
    DetachedSessionRestored,
    OrphanExitOrderCancelFailed,
    OrphanExitOrderCancelled,
    OutsideOrderChanged,
    OutsideOrderExecuted,
)
from tradeshell.core.standing import Outside, changed
from tradeshell.core.trade import TradePhase
from tradeshell.errors import OperatorError

SL1, TP1, SL2 = "ts:br-9:sl1:1", "ts:br-9:tp1:1", "ts:br-9:sl2:1"
FOREIGN = "@8.77"


def standing(ref: str = SL1, **more: Any) -> i.StandingOrder:
    """Return an exit of an earlier life: a stop over 60 shares in a group with its target, unless told otherwise."""
    number = {SL1: 901, TP1: 902, SL2: 903}.get(ref, 77)
    is_stop = ":sl" in ref or not ref
    values: dict[str, Any] = {
        "owner": i.Owner.OURS if ref else i.Owner.CLIENT,
        "ref": ref,
        "order_id": number,
        "client": 7 if ref else 8,
        "account": ACCOUNT,
        "symbol": "AAPL",
        "con_id": AAPL.con_id,
        "side": Side.SELL,
        "kind": "STP LMT" if is_stop else "LMT",
        "qty": 60,
        "filled": 0,
        "remaining": 60,
        "state": OrderState.HELD,
        "limit": d("187") if is_stop else d("195"),
        "stop": d("187") if is_stop else None,
        "tif": "GTC",
        "oca_group": f"{ref[:-5]}p{ref[-3]}" if ref else None,
        "oca_type": OcaType.REDUCE if ref else None,
        **more,
    }
    return i.StandingOrder(**values)


def execution(ref: str, side: Side, qty: int, price: str, number: int = 1) -> i.ExecutionReport:
    """Return an execution of this morning."""
    return i.ExecutionReport(
        exec_id=f"0001.{number}.01",
        ref=ref,
        order_id=number,
        symbol="AAPL",
        account=ACCOUNT,
        side=side,
        qty=qty,
        price=d(price),
        at=Desktop().at,
    )


def picture(desktop: Desktop, *others: i.StandingOrder, qty: int | None = 100, **more: Any) -> None:
    """Let a complete picture come; the account holds ``qty`` AAPL."""
    held = i.PositionReport(
        symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=qty or 0, average=d("190")
    )
    desktop.do(
        i.SnapshotAnswered,
        epoch=desktop.desk.link.epoch,
        asked_at=desktop.at,
        orders=more.pop("orders", ()),
        executions=more.pop("executions", ()),
        positions=(held,) if qty else (),
        others=others,
        **more,
    )


@pytest.fixture
def desktop() -> Desktop:
    """A desk whose account holds 100 AAPL, for which exits work that no book has."""
    made = Desktop()
    made.wait(600)
    picture(made, standing(), standing(TP1), standing(SL2, qty=40, remaining=40))
    return made


def claimed(desktop: Desktop) -> int:
    """Return what they count for in the book of AAPL, which is opened for that."""
    if "AAPL" not in desktop.desk.books:
        desktop.do(
            i.TradeRequested,
            id="m-1",
            plan=TradePlan(symbol="AAPL", qty=1, account=ACCOUNT, side=Side.SELL),
            instrument=AAPL,
        )
        desktop.answer(quote(desktop.at), key="m-1")
    return desktop.desk.books["AAPL"].claimed


# --- what they count for ----------------------------------------------------------------------------------------------


def test_each_group_counts_its_largest_order_and_sells_find_no_free_share(desktop: Desktop) -> None:
    assert claimed(desktop) == 100
    assert [event.reason for event in desktop.ever_told(RiskRejected)] == ["would_short"]
    assert desktop.desk.books["AAPL"].cap() == 0


def test_orders_of_others_other_accounts_and_buys_count_for_nothing(desktop: Desktop) -> None:
    others = (
        standing("", order_id=77),
        standing(SL1, account="DU…0002", order_id=78),
        standing("ts:br-9:entry:1", side=Side.BUY, order_id=79),
    )
    desktop.desk = replace(desktop.desk, outside={})
    picture(desktop, *others)
    assert claimed(desktop) == 0


def test_less_is_believed_when_pictures_have_shown_it_for_as_long_as_they_may_be_old(
    desktop: Desktop,
) -> None:
    """Kills: a claim that falls with the first picture that shows less."""
    assert claimed(desktop) == 100
    small = standing(qty=20, remaining=20), standing(TP1, qty=20, remaining=20)
    picture(desktop, *small)
    assert (claimed(desktop), desktop.sent(c.SetTimer)[-1].key) == (100, "picture")
    desktop.wait(5)
    picture(desktop, *small)
    assert claimed(desktop) == 100
    desktop.wait(1)
    picture(desktop, *small)
    assert claimed(desktop) == 20
    assert set(desktop.desk.outside) == {SL1, TP1}
    picture(desktop, standing(), standing(TP1))
    assert claimed(desktop) == 60  # more is believed at once


def test_an_order_that_pictures_lack_only_once_counts_on(desktop: Desktop) -> None:
    assert claimed(desktop) == 100
    picture(desktop)
    assert all(each.is_gone for each in desktop.desk.outside.values())
    desktop.wait(3)
    picture(desktop, standing(), standing(TP1), standing(SL2, qty=40, remaining=40))
    assert not any(each.is_gone for each in desktop.desk.outside.values())
    desktop.wait(4)
    picture(desktop)
    assert claimed(desktop) == 100
    desktop.do(i.TimerFired, key="picture")
    assert desktop.sent(c.AskSnapshot)


def test_the_shares_of_a_trade_are_not_taken_by_what_claims_older_ones() -> None:
    """The account held 60 shares before; a trade buys 100 and gets all of its stops.

    Kills: a cap that takes what is claimed from every trade.
    """
    desktop = Desktop()
    picture(desktop, standing(), qty=60)
    desktop.trigger(mode=ExitMode.DETACHED, tps=(d("195"), d("198"), d("205")))
    book = desktop.desk.books["AAPL"]
    assert (book.claimed, book.foreign()) == (60, 60)
    desktop.report(ENTRY, OrderState.WORKING)
    desktop.execute(ENTRY, 100, "190.15", "e1.01")
    book = desktop.desk.books["AAPL"]
    assert (book.own(), book.foreign(), book.cap()) == (100, 60, 100)


def test_while_any_is_there_the_account_is_looked_at_now_and_then(desktop: Desktop) -> None:
    desktop.do(i.PolicySet, policy=replace(desktop.desk.policy, look_every=30.0))
    picture(desktop, standing())
    assert "watch" in [each.key for each in desktop.sent(c.SetTimer)]
    desktop.wait(30)
    desktop.do(i.TimerFired, key="watch")
    assert desktop.sent(c.AskSnapshot)


# --- what the broker says of them -------------------------------------------------------------------------------------


def report(desktop: Desktop, ref: str, state: OrderState, **more: Any) -> None:
    """Let the broker speak about one."""
    values = {"filled": 0, "remaining": 60, **more}
    desktop.do(i.OrderReported, report=i.OrderReport(ref=ref, order_id=901, state=state, **values))


def test_a_status_is_a_hint_and_a_picture_is_asked_for(desktop: Desktop) -> None:
    assert claimed(desktop) == 100
    report(desktop, SL1, OrderState.SENT)
    assert desktop.last == ()
    report(desktop, SL1, OrderState.FILLED, filled=60, remaining=0)
    (told,) = desktop.told(OutsideOrderExecuted)
    assert told.story() == "order 901, which no record knows: SELL 60 filled · `reconcile`"
    assert replace(told, remaining=7).story() == (
        "order 901, which no record knows: SELL 60 filled, 7 left · `reconcile`"
    )
    assert told.label() == "order"
    assert claimed(desktop) == 100
    assert [each.key for each in desktop.sent(c.SetTimer)] == ["picture"]
    desktop.do(i.TimerFired, key="picture")
    assert desktop.sent(c.AskSnapshot)
    assert desktop.told(OrphanExitOrderCancelled) == []


def test_one_that_speaks_before_any_picture_is_told_once_the_account_is_known(desktop: Desktop) -> None:
    report(desktop, "ts:br-8:sl1:1", OrderState.WORKING)
    assert len(desktop.told(BrokerMessageUnclassified)) == 1
    unknown = Desktop(connected=False)
    unknown.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True)
    report(unknown, "ts:br-8:sl1:1", OrderState.WORKING)
    assert unknown.told(BrokerMessageUnclassified) == []


# --- cancels ----------------------------------------------------------------------------------------------------------


def test_the_operator_cancels_one_by_its_key(desktop: Desktop) -> None:
    desktop.do(i.CancelRequested, ref=SL1)
    assert desktop.sent(c.CancelOrder) == [c.CancelOrder(SL1, 901)]
    assert [(event.action, event.order_ref) for event in desktop.told(OrderIntent)] == [("cancel", SL1)]
    desktop.do(i.CancelRequested, ref=SL1)
    assert desktop.last == ()  # one is on its way
    report(desktop, SL1, OrderState.CANCELLED, filled=5, remaining=55)
    (told,) = desktop.told(OrphanExitOrderCancelled)
    assert told.story() == "order 901 is cancelled · 5 shares had executed"
    desktop.do(i.CancelRequested, ref=SL1)
    assert desktop.last == ()
    report(desktop, SL1, OrderState.CANCELLED, filled=5, remaining=55)
    assert desktop.told(OrphanExitOrderCancelled) == []


@pytest.mark.parametrize(
    "text, cancelled",
    [
        ("OrderId 901 that needs to be cancelled is not found.", False),
        ("OrderId 901 that needs to be cancelled cannot be cancelled, state: Filled.", False),
        ("OrderId 901 that needs to be cancelled cannot be cancelled, state: Cancelled.", True),
    ],
)
def test_a_refused_cancel_is_told_unless_the_order_had_been_cancelled(
    desktop: Desktop, text: str, cancelled: bool
) -> None:
    desktop.do(i.CancelRequested, ref=SL1)
    desktop.do(i.OrderRefusedByBroker, ref=SL1, what=i.RefusedWhat.CANCEL, code=10148, text=text)
    assert bool(desktop.told(OrphanExitOrderCancelled)) is cancelled
    assert [event.code for event in desktop.told(OrphanExitOrderCancelFailed)] == [10148] * (not cancelled)
    assert not desktop.desk.outside[SL1].cancelling


def test_a_cancel_that_is_not_answered_or_not_sent_is_told(desktop: Desktop) -> None:
    desktop.do(i.CancelRequested, ref=SL1)
    desktop.do(i.TimerFired, key=f"outside:{SL1}")
    (told,) = desktop.told(OrphanExitOrderCancelFailed)
    assert told.story() == (
        "order 901 was not cancelled: the broker did not answer · cancel it where it was typed"
    )
    assert desktop.sent(c.AskSnapshot)
    desktop.do(i.TimerFired, key=f"outside:{SL1}")
    assert desktop.last == ()
    desktop.do(i.CancelRequested, ref=SL1)
    desktop.do(i.SendFailed, ref=SL1, action="cancel", reason="not connected", certain=True)
    assert [event.reason for event in desktop.told(OrphanExitOrderCancelFailed)] == ["not connected"]
    desktop.do(i.SendFailed, ref="ts:x:sl1:1", action="cancel", reason="not connected", certain=True)
    assert desktop.last == ()


def test_what_was_typed_by_hand_and_what_cannot_be_reached_is_not_cancelled(desktop: Desktop) -> None:
    hand = standing("", owner=i.Owner.WINDOW, client=0, order_id=0, perm_id=5)
    picture(desktop, hand, standing())
    desktop.do(i.CancelRequested, ref="@0.5")
    assert [event.reason for event in desktop.told(OrphanExitOrderCancelFailed)] == [
        "it was typed in the broker's own window"
    ]
    desktop.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True, why="socket closed")
    desktop.do(i.CancelRequested, ref=SL1)
    (told,) = desktop.told(OrphanExitOrderCancelFailed)
    assert told.reason == "nothing was sent: socket closed"
    assert desktop.sent(c.CancelOrder) == []


# --- orphans ----------------------------------------------------------------------------------------------------------


def compared(desktop: Desktop, *keys: str) -> None:
    """Let a reconciler want these gone."""
    desktop.do(i.Compared, epoch=desktop.desk.link.epoch, shown=(), executions=0, positions=0, cancels=keys)


def test_an_exit_without_shares_is_cancelled_when_pictures_have_said_so_for_six_seconds() -> None:
    """Kills: a cancel on one picture; a cancel of what has shares again."""
    desktop = Desktop()
    desktop.wait(60)
    picture(desktop, standing(""), standing(), qty=None)
    compared(desktop, FOREIGN, SL1, "ts:gone:sl1:1")
    assert desktop.sent(c.CancelOrder) == []
    assert [each.key for each in desktop.sent(c.SetTimer)] == ["picture"]
    desktop.wait(5)
    picture(desktop, standing(""), standing(), qty=None)
    assert desktop.sent(c.CancelOrder) == []
    desktop.wait(1)
    picture(desktop, standing(""), standing(), qty=None)
    assert {each.order_id for each in desktop.sent(c.CancelOrder)} == {77, 901}
    picture(desktop, standing(""), standing(), qty=None)
    assert desktop.sent(c.CancelOrder) == []


def test_an_exit_that_has_shares_again_is_wanted_by_nobody() -> None:
    desktop = Desktop()
    desktop.wait(60)
    picture(desktop, standing(""), qty=None)
    compared(desktop, FOREIGN)
    desktop.wait(7)
    picture(desktop, standing(""), qty=60)
    assert (desktop.sent(c.CancelOrder), desktop.desk.outside[FOREIGN].is_unwanted) == ([], False)
    desktop.wait(7)
    picture(desktop, standing(""), qty=None)
    assert desktop.sent(c.CancelOrder) == []
    compared(desktop, SL1)
    assert desktop.last == ()


@pytest.mark.parametrize("where", ["elsewhere", "waiting", "hand"])
def test_no_orphan_is_what_its_own_account_covers_what_waits_for_its_entry_and_what_a_hand_typed(
    where: str,
) -> None:
    """Kills: the children of a bracket that are taken for orphans while its entry works."""
    desktop = Desktop()
    desktop.wait(60)
    exit_ = standing("", account="DU…0002" if where == "elsewhere" else ACCOUNT)
    if where == "hand":
        exit_ = standing("", owner=i.Owner.WINDOW, client=8)
    entry = (standing("", side=Side.BUY, order_id=76),) if where == "waiting" else ()
    far = i.PositionReport(symbol="AAPL", con_id=1, account="DU…0002", qty=60, average=d("1"))
    more = {"elsewhere": (far,)} if where == "elsewhere" else {}
    for _ in range(3):
        picture(desktop, exit_, *entry, qty=None, **more)
        compared(desktop, FOREIGN)
        desktop.wait(7)
    assert [each for each in desktop.all if isinstance(each, c.CancelOrder)] == []
    assert (desktop.desk.outside[FOREIGN].idle_since is None) is (where != "hand")


def test_the_exits_of_our_own_working_entry_are_no_orphans() -> None:
    desktop = Desktop()
    desktop.trigger()
    desktop.report(ENTRY, OrderState.WORKING)
    desktop.wait(60)
    orders = tuple(
        i.OrderReport(ref=o.spec.ref, order_id=o.order_id, state=o.state, filled=0, remaining=o.spec.qty)
        for o in desktop.desk.orders()
    )
    picture(desktop, standing(""), qty=None, orders=orders)
    assert desktop.desk.outside[FOREIGN].idle_since is None


# --- the gate ---------------------------------------------------------------------------------------------------------


def is_open(desktop: Desktop) -> bool:
    """Return whether entries may leave."""
    return desktop.desk.link.is_open


def test_a_picture_that_is_being_compared_opens_nothing_before_the_comparison_came() -> None:
    """Kills: entries that leave before the reconcilers have looked."""
    desktop = Desktop(connected=False)
    desktop.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True)
    compared(desktop)
    assert not is_open(desktop)  # no picture has come
    picture(desktop, opens=False)
    assert not is_open(desktop)
    assert desktop.told(ReconciliationCompleted) == []
    desktop.do(i.Compared, epoch=7, shown=(), executions=0, positions=0)
    assert not is_open(desktop)  # of another connection
    compared(desktop)
    assert is_open(desktop)
    assert len(desktop.told(ReconciliationCompleted)) == 1
    compared(desktop)
    assert desktop.told(ReconciliationCompleted) == []


def test_what_waits_for_the_gate_happens_when_it_opens() -> None:
    """An elected stop is chased, a trade is settled: in the step of the comparison."""
    desktop = Desktop()
    desktop.open_position()
    stop = next(ref for ref in desktop.refs() if ":sl1:" in ref)
    desktop.report(stop, OrderState.WORKING)
    desktop.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True)
    desktop.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True)
    orders = tuple(
        i.OrderReport(ref=o.spec.ref, order_id=o.order_id, state=o.state, filled=0, remaining=100)
        for o in desktop.desk.orders()
        if o.state.is_live
    )
    picture(desktop, orders=orders, opens=False)
    compared(desktop)
    assert any(isinstance(each, c.AskQuote) for each in desktop.last)


# --- changes ----------------------------------------------------------------------------------------------------------


def test_the_operator_changes_prices_and_takes_shares_off(desktop: Desktop) -> None:
    desktop.do(i.ReplaceRequested, ref=SL1, stop=d("188"), limit=d("188"), qty=50)
    (sent,) = desktop.sent(c.ModifyOrder)
    spec = sent.order
    assert (sent.order_id, spec.ref, spec.qty, spec.stop, spec.limit) == (901, SL1, 50, d("188"), d("188"))
    assert (spec.tif, spec.oca_type, spec.type) == (Tif.GTC, OcaType.REDUCE, OrderType.STOP_LIMIT)
    report(desktop, SL1, OrderState.HELD)
    assert desktop.told(OutsideOrderChanged) == []  # the old values
    report(desktop, SL1, OrderState.HELD, qty=50, remaining=50, stop=d("188"), limit=d("188"))
    (told,) = desktop.told(OutsideOrderChanged)
    assert told.story() == "order 901 stands at 50 stop 188.00 limit 188.00"


@pytest.mark.parametrize("how", ["refused", "lost", "not sent"])
def test_a_change_that_did_not_happen_is_told(desktop: Desktop, how: str) -> None:
    desktop.do(i.ReplaceRequested, ref=TP1, limit=d("196"))
    if how == "refused":
        desktop.do(i.OrderRefusedByBroker, ref=TP1, what=i.RefusedWhat.CHANGE, code=110, text="no")
    elif how == "lost":
        desktop.do(i.TimerFired, key=f"outside:{TP1}")
    else:
        desktop.do(i.SendFailed, ref=TP1, action="replace", reason="no", certain=True)
    (told,) = desktop.told(OutsideOrderChanged)
    why = "the broker did not answer" if how == "lost" else "no"
    assert told.story() == f"order 902 works as before, its change was refused: {why}"
    assert not desktop.desk.outside[TP1].changing
    desktop.do(i.ReplaceRequested, ref=TP1, limit=d("196"))
    report(desktop, TP1, OrderState.WORKING, qty=60, limit=d("196"))
    assert desktop.told(OutsideOrderChanged)[0].story() == "order 902 stands at 60 limit 196.00"


@pytest.mark.parametrize(
    "more",
    [
        {"ref": FOREIGN, "qty": 1},
        {"ref": SL1, "qty": 61},
        {"ref": SL2, "stop": d("1")},
        {"ref": "ts:x:sl1:1"},
    ],
)
def test_a_change_that_may_not_leave_does_not(desktop: Desktop, more: dict[str, Any]) -> None:
    picture(desktop, standing(), standing(TP1), standing(""), standing(SL2, filled=0))
    desktop.do(i.CancelRequested, ref=SL2)
    desktop.do(i.ReplaceRequested, **more)
    assert desktop.sent(c.ModifyOrder) == []


def test_without_a_link_nothing_is_changed(desktop: Desktop) -> None:
    desktop.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True, why="gone")
    desktop.do(i.ReplaceRequested, ref=SL1, qty=1)
    assert desktop.sent(c.ModifyOrder) == []


def test_an_order_of_a_type_that_we_never_send_is_described_as_well_as_can_be() -> None:
    trail = Outside(order=standing("", kind="TRAIL", tif="OPG", limit=None), bound=60)
    assert (trail.spec.type, trail.spec.tif, trail.spec.ref) == (OrderType.STOP, Tif.DAY, FOREIGN)
    assert changed(trail, None, None, None) == trail.spec
    assert trail.order.is_adoptable is False


# --- sessions that are taken up ---------------------------------------------------------------------------------------

LADDER = plan(tps=(d("195"), d("198")), mode=ExitMode.DETACHED70, chase_limit=None)
BOUGHT = execution("ts:br-9:entry:1", Side.BUY, 100, "190.02")


def take_up(desktop: Desktop, *executions: i.ExecutionReport, **more: Any) -> None:
    """Ask for the session."""
    values = {"id": "br-9", "plan": LADDER, "instrument": AAPL, "executions": executions or (BOUGHT,), **more}
    desktop.do(i.TakeUpRequested, **values)


def test_a_session_is_taken_up_with_its_orders_its_shares_and_its_legs(desktop: Desktop) -> None:
    picture(desktop, standing(), standing(TP1), standing(SL2, qty=40, remaining=40), standing(""))
    take_up(desktop)
    trade = desktop.trade("br-9")
    assert [(leg.number, leg.qty, leg.tp, leg.stop) for leg in trade.legs] == [
        (1, 60, d("195"), d("187")),
        (2, 40, d("198"), d("187")),
    ]
    book = desktop.desk.books["AAPL"]
    assert (book.own(), book.foreign(), book.claimed, book.agrees()) == (100, 0, 0, True)
    assert set(desktop.desk.outside) == {FOREIGN}
    (told,) = desktop.told(DetachedSessionRestored)
    assert (told.held, told.protected, told.orders, told.source) == (100, 100, 3, "broker")
    assert (
        told.story() == "br-9 restored · 100 shares, 100 protected · from 3 orders and 1 execution of today"
    )
    picture(
        desktop,
        standing(),  # an adapter may go on to show it so
        orders=tuple(
            i.OrderReport(ref=o.spec.ref, order_id=o.order_id, state=o.state, filled=0, remaining=o.spec.qty)
            for o in desktop.desk.orders()
            if o.state.is_live
        ),
        executions=(BOUGHT,),
    )
    assert SL1 not in desktop.desk.outside
    assert desktop.desk.books["AAPL"].own() == 100


def test_a_leg_that_has_sold_and_an_elected_stop_are_taken_up_as_they_are(desktop: Desktop) -> None:
    """The target of leg 1 sold 20: its stop works 40; the other stop is elected, with a limit of its own."""
    picture(
        desktop,
        standing(qty=60, filled=0, remaining=40),
        standing(SL2, qty=40, remaining=40, state=OrderState.WORKING, limit=d("186.50")),
        qty=80,
    )
    take_up(desktop, BOUGHT, execution(TP1, Side.SELL, 20, "195", 2))
    trade = desktop.trade("br-9")
    assert [leg.qty for leg in trade.legs] == [60, 40]
    assert desktop.order(SL1).spec.qty == 40
    assert desktop.order(SL2).elected_at is not None
    assert desktop.order(TP1).state is OrderState.FILLED
    assert desktop.desk.books["AAPL"].own() == 80


def test_a_leg_whose_orders_are_gone_gets_the_shares_that_are_left(desktop: Desktop) -> None:
    picture(desktop, standing(SL2, qty=40, remaining=40, limit=d("186")))
    take_up(desktop)
    legs = desktop.trade("br-9").legs
    assert [(leg.qty, leg.stop_limit) for leg in legs] == [(60, None), (40, d("186"))]


def test_an_entry_that_still_works_is_taken_up_too_and_a_plan_without_targets(desktop: Desktop) -> None:
    entry = standing(
        "ts:br-9:entry:1",
        side=Side.BUY,
        kind="LMT",
        qty=100,
        filled=60,
        remaining=40,
        stop=None,
        oca_group=None,
    )
    picture(desktop, entry, qty=60)
    alone = replace(LADDER, tps=(), mode=ExitMode.NONE, sl=None)
    take_up(desktop, replace(BOUGHT, qty=60), plan=alone)
    trade = desktop.trade("br-9")
    assert (trade.phase, trade.is_armed, trade.legs) == (TradePhase.ENTERING, False, ())
    assert desktop.order("ts:br-9:entry:1").remaining == 40


@pytest.mark.parametrize(
    "case, words",
    [
        ("down", "not connected"),
        ("twice", "is known already"),
        ("changing", "is on its way"),
        ("sold", "make no shares"),
        ("fewer", "executions make 100 shares, the broker has 99 for it"),
        ("nothing", "executions make 100 shares, the broker has 0 for it"),
    ],
)
def test_what_makes_no_session_is_refused_in_one_line(desktop: Desktop, case: str, words: str) -> None:
    if case == "down":
        desktop.do(i.LinkChanged, up=False, account=ACCOUNT, paper=True, why="gone")
    elif case == "twice":
        take_up(desktop)
    elif case == "changing":
        desktop.do(i.ReplaceRequested, ref=SL1, qty=50)
    elif case in ("fewer", "nothing"):
        picture(desktop, standing(), qty=99 if case == "fewer" else None)
        desktop.desk = replace(desktop.desk, positions={} if case == "nothing" else desktop.desk.positions)
    executions = (BOUGHT, execution(SL1, Side.SELL, 100, "187", 2)) if case == "sold" else ()
    before = desktop.desk
    with pytest.raises(OperatorError, match=words):
        take_up(desktop, *executions)
    assert desktop.desk is before


def test_a_watcher_that_only_the_state_file_knew_makes_way_for_its_session_once_it_is_over(
    desktop: Desktop,
) -> None:
    """The journal is gone: the watcher comes from the snapshot, and has had its entry meanwhile."""
    picture(desktop, standing())
    spec = i.WatchSpec(id="br-9", strategy="breakout", plan=LADDER, params={}, instrument=AAPL, session=None)
    desktop.do(i.WatchRestored, watch=spec, started_at=desktop.at, doubt="no journal")
    with pytest.raises(OperatorError, match="is known already"):
        take_up(desktop)
    desktop.do(i.ResumeRequested, watch="br-9", found=i.Meanwhile(instrument=AAPL, session=None, used_by=SL1))
    take_up(desktop)
    assert desktop.trade("br-9").phase is TradePhase.OPEN


def test_shares_of_another_trade_are_not_those_of_a_session_that_is_taken_up() -> None:
    """The account holds 100, all of them a trade's: the session has none."""
    desktop = Desktop()
    desktop.open_position()
    desktop.wait(60)
    held = i.PositionReport(symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=100, average=d("190"))
    desktop.do(i.PositionReported, position=held)
    with pytest.raises(OperatorError, match="the broker has 0 for it"):
        take_up(desktop)
    for told in (DetachedSessionRestored(held=1, protected=1, orders=1, missed=2, watch="br-1"),):
        assert told.story() == "br-1 restored · 1 shares, 1 protected · 2 executions missed, booked now"
    assert DetachedSessionRestored(held=1, protected=1, orders=1).label() == "reconcile"
    assert OutsideOrderChanged(order_ref="", order_id=1, qty=1).label() == "order"
    assert OrphanExitOrderCancelled(order_ref="", order_id=1).label() == "orphan"
    failed = OrphanExitOrderCancelFailed(order_ref="", order_id=1, reason="not found", code=10147)
    assert (failed.label(), "(10147)" in (failed.story() or "")) == ("orphan", True)
