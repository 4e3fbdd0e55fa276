"""The kill switches in every state: ``stopentry`` stops buying and nothing else, ``flatten`` sells what is ours and nothing else.

``Kills`` names a change of the program that the test does not survive.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import pytest
from tests.core.support import ACCOUNT, Desktop, quote
from tests.faults.kit import Stage, usd
from tests.faults.scenes import REFUSED, RUNNING, alarms, commands, elect, flatten, placed, stop_entries

from tradeshell.core import commands as c
from tradeshell.core import inputs as i
from tradeshell.core.events import InventoryConfirmed, RiskRejected, TradeReopened
from tradeshell.core.exit_events import FlattenCompleted, FlattenStarted, KillSwitchEngaged, KillSwitchLifted
from tradeshell.core.orders import OrderType, Side

MakeStage = Callable[..., Stage]
EVENING = datetime.fromisoformat("2025-07-08T21:00:00+00:00")  # an hour after the close
BOTH_HANDS = pytest.mark.parametrize("spreads", [True, False])
SOLD = ["place flat1 60 MKT", "place flat2 30 MKT", "place flat3 10 MKT"]


def is_flat(stage: Stage) -> None:
    """Assert that nothing of ours is held or works, and that exits never exceeded what was held."""
    assert (stage.position(), stage.working()) == (0, [])
    assert len(stage.told(FlattenCompleted)) == 1
    stage.line("flatten", "AAPL is flat")
    stage.sells_at_most(0)


# --- stopentry --------------------------------------------------------------------------------------------------------


def test_I16_stopentry_cancels_what_is_unfilled_and_protects_what_filled(stage: Stage) -> None:
    """Kills: ``kill.stop_entries`` that cancels no working entry (90 shares could still be bought)."""
    stage.trigger(filled=10)
    stage.wait(1)
    assert stage.shares() == {"entry": 90, "cover": 10}
    began = stage.t
    stop_entries(stage)
    stage.wait(2)
    assert commands(stage, began)[0] == "cancel entry"
    assert stage.shares() == {"sl1": 6, "tp1": 6, "sl2": 3, "tp2": 3, "sl3": 1, "tp3": 1}
    assert stage.position() == 10
    assert [event.qty for event in stage.told(InventoryConfirmed)] == [10]
    stage.line(
        "stopentry", "entries are off (stopentry) · exits keep working · `stopentry off` allows entries again"
    )
    stage.line("entry", "cancelled · entries are stopped")
    stage.sells_at_most(10)


def test_I16_stopentry_leaves_running_ladders_and_refuses_triggers_and_typed_buys(stage: Stage) -> None:
    """Kills: ``limits.check_stopped`` that looks at frozen symbols alone."""
    stage.ladder()
    stage.watch(id_="br-2")
    stop_entries(stage)
    began = stage.t
    stage.wait(60 - stage.t % 60)
    stage.close_bar_now("190.50")
    stage.order_now("m-1", qty=5)
    stage.wait(3)
    assert commands(stage, began) == []
    assert stage.shares() == RUNNING
    assert [event.reason for event in stage.told(RiskRejected)] == ["entries_stopped"] * 2
    stop_entries(stage, on=False)
    assert len(stage.told(KillSwitchLifted)) == 1
    stage.line("stopentry", "entries are allowed again")
    stage.order_now("m-2", qty=5)
    stage.wait(1)
    assert [sent.leg for sent in stage.sent if sent.t > began] == ["entry"]  # the watcher stays used up


def test_I16_a_milestone_still_moves_stops_while_entries_are_off(stage: Stage) -> None:
    """Kills: ``milestones.tell_milestones`` that rests while ``desk.stopped`` is set."""
    stage.ladder()
    stop_entries(stage)
    stage.quote("195", "195.02")
    stage.wait(2)
    assert {order.leg: order.stop for order in stage.working("sl")} == {"sl2": usd(190), "sl3": usd(190)}


def test_I16_stopentry_while_the_link_is_down_is_the_first_thing_after_it_is_back(stage: Stage) -> None:
    """Kills: ``settle._cancel_entry`` that forgets what was wanted while the link was down."""
    stage.trigger(filled=10)
    stage.wait(1)
    stage.drop_link()
    began = stage.t
    stop_entries(stage)
    stage.wait(2)
    assert commands(stage, began) == []
    stage.restore_link()
    stage.wait(2)
    assert commands(stage, began)[0] == "cancel entry"
    assert stage.shares("entry") == {}
    assert sum(stage.shares("sl").values()) == 10
    assert len(stage.told(KillSwitchEngaged)) == 1


def test_I16_stopentry_survives_a_restart() -> None:
    """Kills: ``kill.restart`` that begins with ``stopped`` empty."""
    desk = Desktop()
    desk.do(i.StopEntryRequested, on=True)
    desk.do(i.Restarted)
    desk.do(i.LinkChanged, up=True, account=ACCOUNT, paper=True, first_order_id=1)
    desk.do(i.SnapshotAnswered, epoch=desk.desk.link.epoch, orders=(), executions=(), positions=())
    desk.watch()
    desk.close_bar(0, "190.12", high="190.20", low="189.90")
    desk.answer(quote(desk.at))
    assert desk.sent(c.PlaceOrder) == []
    assert [event.reason for event in desk.told(RiskRejected)] == ["entries_stopped"]


# --- flatten ----------------------------------------------------------------------------------------------------------


@BOTH_HANDS
def test_I16_flatten_clears_the_exits_of_a_ladder_and_sells_exactly_what_it_holds(
    make_stage: MakeStage, spreads: bool
) -> None:
    """Kills: ``exits.exit_pair`` that goes on wanting pairs while the trade is flattening."""
    stage = make_stage(oca_cancel_spreads=spreads)
    stage.ladder()
    began = stage.t
    flatten(stage)
    stage.wait(2)
    assert commands(stage, began) == [f"cancel {leg}" for leg in RUNNING] + SOLD
    is_flat(stage)
    stage.line("flatten", "selling 100 AAPL shares: exits are cancelled first, nothing more is bought")


def test_I16_flatten_twice_sells_once(stage: Stage) -> None:
    """Kills: ``kill.flatten`` that tells its beginning each time, and starts its clock anew."""
    stage.ladder()
    stage.delay("place", 1.0, "flat", times=9)
    began = stage.t
    flatten(stage)
    stage.wait(0.5)
    flatten(stage)
    stage.wait(5)
    assert placed(stage, began) == SOLD
    assert len(stage.told(FlattenStarted)) == 1
    is_flat(stage)


def test_I16_flatten_while_the_entry_works_and_a_cover_holds_ends_both_and_sells_what_was_bought(
    stage: Stage,
) -> None:
    """Kills: ``arming.tend_cover`` that keeps a living cover while the trade is flattening (10 shares, 20 for sale)."""
    stage.trigger(filled=10)
    stage.wait(1)
    assert stage.shares() == {"entry": 90, "cover": 10}
    began = stage.t
    flatten(stage)
    stage.wait(5)
    assert sorted(commands(stage, began)[:2]) == ["cancel cover", "cancel entry"]
    assert sum(sent.spec.qty for sent in stage.sent if sent.spec and sent.leg.startswith("flat")) == 10
    is_flat(stage)


def test_I16_flatten_while_the_cover_is_being_raised_sells_nothing_before_its_cancel_is_answered(
    stage: Stage,
) -> None:
    """Kills: ``cap.could_sell`` that counts nothing of an order whose cancel was sent (200 shares for sale)."""
    stage.trigger(filled=43)
    stage.wait(1)
    stage.delay("modify", 0.5, "cover", times=9)
    stage.delay("cancel", 0.8, "cover", times=9)
    stage.quote("190.00", "190.02", size=57)  # the rest fills, the cover is being raised
    stage.wait(0.2)
    assert stage.position() == 100
    began = stage.t
    flatten(stage)
    stage.wait(0.7)
    assert placed(stage, began, "flat") == []
    assert sum(stage.shares("cover").values()) > 0
    stage.wait(6)
    assert sum(sent.spec.qty for sent in stage.sent if sent.spec and sent.leg.startswith("flat")) == 100
    is_flat(stage)


def test_I16_flatten_with_elected_stops_sells_each_share_once(stage: Stage) -> None:
    """Kills: ``incidents._replace_stop`` and the cap, waiting for no living stop (200 shares for sale)."""
    stage.ladder()
    elect(stage, "186.99", "187.05")
    stage.wait(0.5)
    stage.delay("cancel", 0.4, times=9)
    stage.quote("186.50", "186.55", size=25)
    flatten(stage)
    stage.wait(0.2)
    stage.trade("187.00", 50)  # an elected stop sells while its cancel is under way
    stage.wait(20)
    is_flat(stage)
    sold = [e.qty for e in stage.venue.exchange.executions() if e.side is Side.SELL]
    assert sum(sold) == 100


def test_I16_flatten_counts_a_target_that_fills_while_it_is_cancelled(stage: Stage) -> None:
    """Kills: ``exits.desired_exits`` that sells a leg whose shares are gone."""
    stage.ladder()
    stage.delay("cancel", 0.3, times=9)
    stage.quote("194.90", "194.92")
    began = stage.t
    flatten(stage)
    stage.wait(0.1)
    stage.trade("195", 60)
    stage.wait(6)
    assert placed(stage, began, "flat") == SOLD[1:]
    is_flat(stage)
    stage.line("tp1", "filled 60 @ 195.00")


def test_I16_flatten_while_the_link_is_down_is_carried_out_when_it_is_back(stage: Stage) -> None:
    """Kills: ``settle.settle`` that corrects exits without an open link."""
    stage.ladder()
    stage.drop_link()
    began = stage.t
    flatten(stage)
    stage.wait(5)
    assert commands(stage, began) == []
    assert stage.shares() == RUNNING
    stage.restore_link()
    stage.wait(3)
    assert placed(stage, began) == SOLD
    is_flat(stage)


def test_I16_a_refused_market_order_of_flatten_is_sent_again_with_growing_pauses(stage: Stage) -> None:
    """Kills: ``incidents._next_attempt`` with a pause that does not grow."""
    stage.ladder()
    stage.refuse("place", "flat1", 201, REFUSED, times=3)
    flatten(stage)
    stage.wait(30)
    times = [sent.t for sent in stage.sent if sent.leg == "flat1" and sent.spec]
    assert [round(later - earlier) for earlier, later in pairwise(times)] == [2, 4, 8]
    is_flat(stage)
    stage.line("flat1", f"order refused by the broker (201): {REFUSED}")


@pytest.mark.parametrize("live", [True, False])
def test_I16_flatten_that_the_broker_refuses_for_good_is_an_alarm_that_repeats(
    make_stage: MakeStage, live: bool
) -> None:
    """Kills: ``settle._tell_protection`` that stays silent for as long as a flatten lasts."""
    stage = make_stage(live=live)
    stage.ladder()
    stage.refuse("place", "flat", 201, REFUSED, times=999)
    began = stage.t
    flatten(stage)
    stage.wait(60)
    assert stage.position() == 100
    assert len(placed(stage, began, "flat1")) <= 6
    assert len(alarms(stage)) == 3
    assert "100 of 100 AAPL shares have no working stop" in stage.line("exits")
    stage.sells_at_most(100)


def test_I16_flatten_before_anything_filled_ends_the_attempt(stage: Stage) -> None:
    """Kills: ``kill.flatten`` that leaves an entry which has bought nothing alone."""
    stage.trigger(filled=0)
    stage.wait(1)
    flatten(stage)
    stage.wait(3)
    is_flat(stage)
    assert commands(stage, 60)[-1] == "cancel entry"


def test_I16_shares_that_come_after_a_flatten_are_protected_and_told(stage: Stage) -> None:
    """Kills: ``settle._reopen_if_needed`` that leaves closed trades closed (40 shares that nobody protects)."""
    stage.trigger(filled=0)
    stage.wait(1)
    flatten(stage)
    stage.wait(2)
    stage.fill_late("entry", 40, "190.02")
    stage.wait(5)
    assert len(stage.told(TradeReopened)) == 1
    assert (stage.position(), sum(stage.shares("sl").values())) == (40, 40)
    stage.line("reopened", "40 shares are held after all")
    stage.sells_at_most(40)


def test_I16_flatten_during_an_incident_waits_for_what_may_have_sold_the_shares(
    make_stage: MakeStage,
) -> None:
    """Kills: ``cap.unexplained`` that is always 0 (60 are sold at the market that the lost stop has sold before)."""
    stage = make_stage(oca_cancel_spreads=False)
    stage.ladder()
    began = stage.t
    stage.kill("sl1")
    flatten(stage)
    stage.wait(0.6)
    stage.fill_late("sl1", 60, "187")  # it had sold when it was said to be cancelled
    stage.wait(8)
    assert placed(stage, began) == SOLD[1:]
    is_flat(stage)
    stage.line("sl1", "filled 60 @ 187.00")


def test_I16_flatten_touches_no_order_and_no_share_that_is_not_ours(stage: Stage) -> None:
    """Kills: ``book.foreign`` that is always 0 (the end would be told as if the account were empty)."""
    stage.ladder()
    stage.foreign(Side.BUY, 50)
    number = stage.foreign(Side.SELL, 50, type=OrderType.LIMIT, limit=usd(250))
    stage.wait(3)
    flatten(stage)
    stage.wait(5)
    assert stage.position() == 50
    assert stage.working() == []
    assert [order.number for order in stage.working(client=3)] == [number]
    stage.line("flatten", "AAPL is flat · 50 shares that are not ours stay")


def test_I16_flatten_outside_regular_hours_sells_with_a_marketable_limit(make_stage: MakeStage) -> None:
    """Kills: ``exits.exit_pair`` that sends a market order at any hour (it rests until the open, and nothing else works)."""
    stage = make_stage(start=EVENING)
    stage.ladder(outside_rth=True)
    began = stage.t
    flatten(stage)
    stage.wait(3)
    sales = [sent.spec for sent in stage.sent if sent.t >= began and sent.spec is not None]
    assert {(spec.type, spec.outside_rth) for spec in sales} == {(OrderType.LIMIT, True)}
    assert all(spec.limit is not None and usd(187) < spec.limit < usd("190.10") for spec in sales)
    is_flat(stage)
