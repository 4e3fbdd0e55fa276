"""What is at the broker and in no record of ours, with the reconciler of the plugin (scenarios of groups D and X).

Laws: as in ``test_wire_link``. A journal that is lost is a file that is gone between two lives of the program.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.kit import BRACKET, LAD2, usd
from tests.faults.scenes import RUNNING, commands, stops
from tests.faults.test_wire_restart import again
from tests.faults.wire_kit import WireStage

from tradeshell.core import inputs as i
from tradeshell.core.events import OrderRefused, ReconciliationCompleted, RiskRejected
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.recon_events import (
    DetachedSessionRestored,
    OrphanExitOrderCancelFailed,
    OrphanExitOrderCancelled,
    OutsideOrderChanged,
)
from tradeshell.core.trade import TradePhase
from tradeshell.differences import Difference, TakeUp
from tradeshell.errors import OperatorError
from tradeshell_reconcile.events import (
    DetachedProtectionCoverageGapDetected,
    DetachedProtectionReconciliationCompleted,
    DetachedSessionRestoreCompleted,
    ForeignSellsDetected,
    OrphanExitOrderDetected,
    OrphanExitReconciliationCompleted,
    UnknownSessionDetected,
)

Make = Callable[..., WireStage]
CANCELS = {"orphan_exit_action": "cancel"}
OURS = {"orphan_exit_action": "cancel", "orphan_exit_scope": "client"}


def rows(stage: WireStage) -> list[Difference]:
    """Return what the last comparison found."""
    assert stage.session.reconciling is not None
    return [row.difference for row in stage.session.reconciling.rows]


def lose_journal(stage: WireStage, **more: Any) -> float:
    """Kill the program, lose its journal, start again; return the instant of the start."""
    stage.crash()
    stage.wait(1)
    (stage.folder / "journal").unlink()
    return again(stage, **more)


def take_up(stage: WireStage) -> None:
    """Do what ``reconcile fix`` does with the one session that can be taken up."""
    (fix,) = [row.fix for row in rows(stage) if isinstance(row.fix, TakeUp)]
    stage.submit(
        i.TakeUpRequested(
            at=stage.now,
            id=fix.id,
            plan=fix.plan,
            instrument=stage.instrument("AAPL"),
            executions=fix.executions,
        )
    )
    stage.wait(3)


def name_ours(stage: WireStage, number: int, client: int, ref: str) -> None:
    """Call an order of another client as ours are called."""
    record = stage.gateway.orders.records[client, number]
    values = {name: getattr(record.order, name) for name in record.order.__struct_fields__}
    record.order = type(record.order)(**values | {"order_ref": ref})


# --- D15: an order of ours that the records do not know ---------------------------------------------------------------


def test_D15_exits_that_no_journal_knows_count_so_that_their_shares_are_not_sold_twice(
    make_wire: Make,
) -> None:
    """The journal is lost, six exits work at the broker: `sell` finds no free share, and nothing touches them.

    Kills: orders with our ref that are told and not counted.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    began = lose_journal(stage)
    (told,) = stage.told(UnknownSessionDetected)
    assert (told.watch, told.orders, told.held, told.protected) == ("br-1", 6, 100, 100)
    stage.order_now("m-1", Side.SELL, 50)
    stage.wait(5)
    (refusal,) = stage.told(RiskRejected)
    assert refusal.reason == "would_short"
    assert commands(stage, began) == []
    assert stage.shares() == RUNNING
    assert stage.session.desk.books["AAPL"].claimed == 100
    stage.line("no record knows br-1", "6 orders of ours", "100 of 100 shares have a stop", "reconcile fix")


def test_D15_without_the_plugin_they_count_just_as_well(wire: WireStage) -> None:
    """The core counts them from the picture; a reconciler only tells.

    Kills: a cap that rests on a plugin.
    """
    wire.ladder()
    began = lose_journal(wire)
    wire.order_now("m-1", Side.SELL, 1)
    wire.wait(5)
    assert [event.reason for event in wire.told(RiskRejected)] == ["would_short"]
    assert commands(wire, began) == []


def test_D15_what_they_sell_is_free_only_when_no_picture_can_be_from_before(make_wire: Make) -> None:
    """The first target sells while the program looks on: its leg counts until pictures have shown less for six seconds.

    Kills: shares that are freed by a status whose execution and position are still to come.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    lose_journal(stage)
    stage.order_now("m-1", Side.SELL, 1)  # opens the book
    stage.quote("195", "195.02")
    stage.quote("194.90", "194.92")
    stage.wait(2)
    claimed = stage.session.desk.books["AAPL"].claimed
    assert (stage.position(), claimed) == (40, 100)
    stage.wait(10)
    assert stage.session.desk.books["AAPL"].claimed == 40
    assert stage.shares() == {"sl2": 30, "tp2": 30, "sl3": 10, "tp3": 10}


def test_D15_shares_bought_later_are_protected_although_exits_of_a_lost_session_work(make_wire: Make) -> None:
    """A new ladder in the same symbol gets all of its stops: the old exits take the old shares first.

    Kills: a cap that takes what is claimed from every trade.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    began = lose_journal(stage)
    stage.quote("190.00", "190.02")
    stage.watch(id_="br-2")
    stage.wait(60 - stage.t % 60)
    stage.close_bar_now("190.01")
    stage.quote("190.10", "190.12")
    stage.wait(5)
    assert stage.position() == 200
    assert stage.trade_of("br-2").protection == "PROTECTED"
    assert not [word for word in commands(stage, began) if "br-1" in word]
    stage.sells_at_most(200)


def test_D15_a_session_that_is_taken_up_goes_on_as_before(make_wire: Make) -> None:
    """`reconcile fix`: nothing is sent, all is known again, and the first target moves the stops.

    Kills: adoption that places a second ladder; seeds that count the shares twice.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    numbers = {order.leg: order.number for order in stage.working()}
    began = lose_journal(stage)
    take_up(stage)
    assert commands(stage, began) == []
    assert stage.trade_of().protection == "PROTECTED"
    book = stage.session.desk.books["AAPL"]
    assert (book.own(), book.foreign(), book.claimed, book.cap()) == (100, 0, 0, 0)
    stage.quote("195", "195.02")
    stage.quote("194.90", "194.92")
    stage.wait(3)
    assert stops(stage) == {"sl2": "190.02", "sl3": "190.02"}  # break-even: what was paid
    assert {order.leg: order.number for order in stage.working()}.items() <= numbers.items()
    stage.line("br-1 restored", "100 shares, 100 protected", "from 6 orders and 1 execution of today")
    stage.sells_at_most(40)


def test_D15_a_session_is_taken_up_after_its_first_target(make_wire: Make) -> None:
    """The target sold while nobody listened: what it sold is booked, the milestone comes, the stops move.

    Kills: legs that are sized anew from what is left.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    stage.crash()
    stage.quote("195", "195.02")
    stage.quote("194.90", "194.92")
    stage.wait(1)
    (stage.folder / "journal").unlink()
    began = again(stage)
    take_up(stage)
    assert stops(stage) == {"sl2": "190.02", "sl3": "190.02"}
    assert not [word for word in commands(stage, began) if not word.startswith("modify")]
    assert [leg.qty for leg in stage.trade_of().legs] == [60, 30, 10]
    stage.line("milestone", "target 1 reached")
    stage.sells_at_most(40)


def test_D15_a_stop_that_is_missing_is_placed_when_the_session_is_taken_up(make_wire: Make) -> None:
    """One stop was cancelled meanwhile: after the fix every share has one again.

    Kills: sessions that are called protected because they were found.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    number = stage.working("sl2")[0].number
    stage.crash()
    stage.act("cancel", order=number, client=7)
    (stage.folder / "journal").unlink()
    again(stage)
    (told,) = stage.told(UnknownSessionDetected)
    assert (told.held, told.protected) == (100, 70)
    take_up(stage)
    stage.wait(20)
    assert stage.trade_of().protection == "PROTECTED"
    stage.sells_at_most(100)


def test_D15_they_can_be_cancelled_and_replaced_by_hand_and_never_grow(make_wire: Make) -> None:
    """An order of an earlier life obeys the operator by its number; more shares than it works are refused.

    Kills: adopted orders that nobody can address; a total that grows with no record of what it protects.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    began = lose_journal(stage)
    stage.submit(i.ReplaceRequested(at=stage.now, ref="ts:br-1:sl2:1", stop=usd(188), limit=usd(188)))
    stage.wait(1)
    stage.submit(i.ReplaceRequested(at=stage.now, ref="ts:br-1:sl3:1", qty=50))
    stage.wait(1)
    stage.submit(i.CancelRequested(at=stage.now, ref="ts:br-1:tp3:1"))
    stage.wait(1)
    assert stops(stage) == {"sl1": "187", "sl2": "188"}  # the broker cancels a group as a whole
    assert len(commands(stage, began)) == 2
    assert [(event.stop, event.refused) for event in stage.told(OutsideOrderChanged)] == [(usd(188), "")]
    assert [event.order_ref for event in stage.told(OrphanExitOrderCancelled)] == ["ts:br-1:tp3:1"]


def test_D15_a_session_whose_shares_are_gone_is_not_taken_up(make_wire: Make) -> None:
    """Its executions make more than the broker holds: refused in one line, and nothing changes.

    Kills: a ladder over shares that somebody else has sold.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    stage.crash()
    stage.act("manual", side="SELL", symbol="AAPL", qty=40)
    (stage.folder / "journal").unlink()
    began = again(stage)
    with pytest.raises(OperatorError, match="executions make 100 shares, the broker has 60"):
        take_up(stage)
    assert commands(stage, began) == []
    assert stage.session.desk.trade("br-1") is None


# --- D10: exits without shares ----------------------------------------------------------------------------------------


def orphans(stage: WireStage) -> tuple[int, int]:
    """Leave three exits without shares: two of ours, one typed by hand, one of another client; return the last two numbers."""
    stage.ladder(LAD2)
    hand = stage.act("manual", side="SELL", symbol="MSFT", qty=10, kind="LMT", limit=900)
    other = stage.foreign(Side.SELL, 30, client=8, symbol="MSFT", type=OrderType.STOP, stop=usd(1))
    stage.crash()
    stage.act("manual", side="SELL", symbol="AAPL", qty=100)
    stage.wait(1)
    (stage.folder / "journal").unlink()
    assert stage.position() == 0
    return hand, other


def test_D10_warn_tells_each_orphan_by_its_owner_and_sends_nothing(make_wire: Make) -> None:
    """Ours, another client's, one typed by hand: classified, and left alone.

    Kills: an orphan that is cancelled although nobody asked for that.
    """
    stage = make_wire(reconcile={})
    orphans(stage)
    began = again(stage)
    stage.wait(30)
    assert commands(stage, began) == []
    owners = sorted(event.owner.split(",")[0] for event in stage.told(OrphanExitOrderDetected))
    assert owners == ["client 8", "ours", "ours", "ours", "ours", "typed by hand"]
    done = stage.told(OrphanExitReconciliationCompleted)[-1]
    assert (done.found, done.cancelling) == (6, 0)
    stage.line("orphan", "typed by hand", "left alone")


def test_D10_cancel_with_scope_client_cancels_ours_and_nothing_else(make_wire: Make) -> None:
    """Only what was sent under our client number, and only after pictures have agreed for six seconds.

    Kills: a cancel on the first picture; a scope that nobody looks at.
    """
    stage = make_wire(reconcile=OURS)
    orphans(stage)
    began = again(stage, after=3.0)
    stage.wait(10)
    sent = [each for each in stage.sent if each.t >= began]
    assert {each.ref for each in sent} == {f"ts:br-1:{leg}:1" for leg in ("sl1", "tp1", "sl2", "tp2")}
    assert {each.action for each in sent} == {"cancel"}
    assert min(each.t for each in sent) - stage.when(ReconciliationCompleted)[-1] >= 5.9
    assert max(each.t for each in sent) - began <= 10
    assert len(stage.told(OrphanExitOrderCancelled)) == 4
    assert stage.told(OrphanExitOrderCancelFailed) == []
    assert len(stage.working(client=8)) == 1


def test_D10_cancel_for_all_clients_tells_what_the_broker_does_not_let_us_cancel(make_wire: Make) -> None:
    """10147 for another client's order: told as failed, once; the one typed by hand is not even tried.

    Kills: a cancel that is repeated for ever; a hand's order that is touched.
    """
    stage = make_wire(reconcile=CANCELS)
    _, other = orphans(stage)
    again(stage)
    stage.wait(60)
    (failed,) = stage.told(OrphanExitOrderCancelFailed)
    assert (failed.order_id, failed.code) == (other, 10147)
    assert len(stage.told(OrphanExitOrderCancelled)) == 4
    assert len(stage.working(client=8)) == 1
    manual = [
        each for each in stage.gateway.orders.records.values() if not each.is_bound and not each.is_over
    ]
    assert len(manual) == 1
    stage.line("orphan", "was not cancelled (10147)")


def test_D07_an_empty_answer_about_positions_makes_no_orphan_that_is_cancelled(make_wire: Make) -> None:
    """Positions come empty, as they do while a login loads, and then right: the stops of an unknown session stay.

    Kills: an orphan that is judged by one picture.
    """
    stage = make_wire(reconcile=CANCELS)
    stage.ladder()
    stage.crash()
    stage.wait(1)
    (stage.folder / "journal").unlink()
    until = stage.t + 9

    def without(frame: bytes, fields: list[str]) -> bytes:
        return b"" if fields[0] == "61" and stage.t < until else frame

    stage.net.answers = without
    began = again(stage)
    stage.wait(30)
    assert len(stage.told(OrphanExitOrderDetected)) == 6
    assert commands(stage, began) == []
    assert stage.shares() == RUNNING
    assert not any(each.is_unwanted for each in stage.session.desk.outside.values())


# --- D11, D12: what is ours -------------------------------------------------------------------------------------------


def test_D12_a_restart_tells_that_its_session_is_restored_and_sends_nothing(make_wire: Make) -> None:
    """The journal knows all: one line says what is held, what is protected, what was missed; the gate opens last.

    Kills: a restart that leaves the operator to guess.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    stage.crash()
    began = again(stage)
    assert commands(stage, began) == []
    (told,) = stage.told(DetachedSessionRestored)
    assert (told.held, told.protected, told.orders, told.missed, told.source) == (100, 100, 6, 0, "journal")
    assert [row.finding for row in rows(stage)] == ["session"]
    names = [type(record.event).__name__ for record in stage.records]
    last = len(names) - 1 - names[::-1].index("ReconciliationCompleted")
    assert names[last - 4 : last] == [
        "DetachedSessionRestored",
        "OrphanExitReconciliationCompleted",
        "DetachedProtectionReconciliationCompleted",
        "DetachedSessionRestoreCompleted",
    ]
    stage.line("reconcile", "br-1 restored · 100 shares, 100 protected · nothing missed")


def test_D12_what_was_missed_is_booked_before_it_is_told(make_wire: Make) -> None:
    """The first target sold while the program was down: one missed execution, its milestone, its stops.

    Kills: executions that are counted as missed and never booked.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    stage.crash()
    stage.quote("195", "195.02")
    stage.quote("194.90", "194.92")
    again(stage)
    (told,) = stage.told(DetachedSessionRestored)
    assert (told.held, told.protected, told.missed) == (40, 40, 1)
    (done,) = stage.told(DetachedSessionRestoreCompleted)[-1:]
    assert (done.restored, done.unknown, done.missed) == (1, 0, 1)
    assert stops(stage) == {"sl2": "190", "sl3": "190"}
    assert rows(stage)[0].broker.startswith("40 shares, 4 orders: sl2 sl3 tp2 tp3 · ")
    assert "tp1 Filled" in rows(stage)[0].broker
    assert "sl1 Cancelled" in rows(stage)[0].broker  # completed orders say what became of it


def test_D11_a_gap_in_the_protection_is_told_and_healed(make_wire: Make) -> None:
    """A stop was cancelled while nobody listened: 30 shares without one, told at the connect, healed in time.

    Kills: a comparison that counts orders and not shares.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    number = stage.working("sl2")[0].number
    stage.crash()
    stage.act("cancel", order=number, client=7)
    began = again(stage)
    (told,) = stage.told(DetachedProtectionCoverageGapDetected)
    assert (told.held, told.protected, told.gap) == (100, 70, 30)
    (done,) = stage.told(DetachedProtectionReconciliationCompleted)[-1:]
    assert (done.trades, done.gaps) == (1, 1)
    stage.wait(20)
    assert stage.trade_of().protection == "PROTECTED"
    assert stage.trade_of().phase is TradePhase.OPEN
    assert began < stage.t
    stage.line("exits", "30 of 100 shares have no stop at the broker")
    stage.sells_at_most(100)


# --- X09: an order of another client that is called as ours -----------------------------------------------------------


def test_X09_an_order_of_another_client_with_our_ref_counts_and_is_not_ours(make_wire: Make) -> None:
    """It could sell, so its shares are not free; it is neither adopted nor changed.

    Kills: ownership by the ref alone; a worst case that counts only what is surely ours.
    """
    stage = make_wire(reconcile={})
    stage.order_now("m-1", qty=100)
    stage.wait(2)
    number = stage.foreign(Side.SELL, 30, client=8, type=OrderType.STOP, stop=usd(150))
    name_ours(stage, number, 8, "ts:br-9:sl1:1")
    stage.crash()
    began = again(stage)
    (known,) = stage.session.desk.outside.values()
    assert (known.order.client, known.bound) == (8, 30)
    assert stage.session.desk.books["AAPL"].claimed == 30
    stage.order_now("m-2", Side.SELL, 80)
    stage.wait(2)
    assert [event.reason for event in stage.told(RiskRejected)] == ["would_short"]
    stage.submit(i.ReplaceRequested(at=stage.now, ref=known.order.key, qty=1))
    assert commands(stage, began) == []
    assert stage.told(UnknownSessionDetected) == []
    (row,) = [row for row in rows(stage) if row.finding == "order of others"]
    assert "its ref looks like ours" in row.broker
    assert row.fix is None


def test_D10_sells_of_others_beyond_their_shares_are_an_alarm(make_wire: Make) -> None:
    """Another client's stop works for shares that only our ladder holds.

    Kills: orders of others that nobody compares with their shares.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    stage.foreign(Side.SELL, 30, client=8, type=OrderType.STOP, stop=usd(150))
    stage.crash()
    began = again(stage)
    (told,) = stage.told(ForeignSellsDetected)
    assert (told.working, told.free) == (30, 0)
    assert commands(stage, began) == []
    assert stage.told(OrderRefused) == []


def test_D15_a_bracket_is_taken_up_and_its_target_closes_it(make_wire: Make) -> None:
    """One target and one stop of a lost journal: looked after again, sold at the target, closed with its result.

    Kills: a plan whose mode does not fit the orders that work.
    """
    stage = make_wire(reconcile={})
    stage.trigger(kind=BRACKET)
    stage.wait(3)
    assert stage.shares() == {"tp1": 100, "sl1": 100}
    began = lose_journal(stage)
    take_up(stage)
    assert commands(stage, began) == []
    assert stage.trade_of().protection == "PROTECTED"
    stage.quote("195", "195.02")
    stage.trade("195", 1000)
    stage.wait(10)
    assert stage.position() == 0
    assert commands(stage, began) == []
    assert stage.trade_of().phase is TradePhase.CLOSED
    stage.line("closed", "100 shares", "190.02 → 195.00")
    stage.line("tp1", "filled 100 @ 195.00")
    stage.sells_at_most(100)


def test_D15_a_stop_that_was_elected_meanwhile_is_chased_once_it_is_taken_up(make_wire: Make) -> None:
    """The market fell through the stops while no record knew them: they rest at 187, then follow the bid.

    Kills: an elected stop that is taken for one that waits.
    """
    stage = make_wire(reconcile={})
    stage.ladder()
    stage.crash()
    stage.quote("186", "186.02")
    stage.trade("186.50", 10)
    stage.wait(1)
    (stage.folder / "journal").unlink()
    again(stage)
    assert stage.position() == 100
    take_up(stage)
    assert stage.position() == 0  # within three seconds
    assert stage.trade_of().phase is TradePhase.CLOSED
    stage.sells_at_most(100)
