"""Faults while legs give way to a sale that was typed (scenario E20): no share is sold twice or left without a stop.

Laws: as in ``test_entry``. ``sells_at_most`` asserts that our sells together never exceeded the position at the venue.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.kit import BRACKET, Stage, usd
from tests.faults.wire_kit import WireStage

from tradeshell.core import inputs as i
from tradeshell.core.events import RiskRejected
from tradeshell.core.exit_events import LegsGaveWay, LegsTookBack, ProtectionAlarm
from tradeshell.core.orders import Side
from tradeshell.core.plan import EntryKind
from tradeshell.core.trade import TradePhase

LEGS = {"sl1": 60, "sl2": 30, "sl3": 10}
GIVEN = {"sl1": 30, "sl2": 15, "sl3": 5}  # of 50 in proportion


@pytest.fixture
def laddered(stage: Stage) -> Stage:
    """Return a stage with 100 shares behind the six exits of a ladder."""
    stage.ladder()
    return stage


def sell(stage: Stage, qty: int = 50, id_: str = "m-2", **more: Any) -> None:
    """Type a sale of shares that are behind exits."""
    stage.order_now(id_, Side.SELL, qty, **more)


def sales(stage: Stage) -> list[str]:
    """Return what left for the sale."""
    return [sent.action for sent in stage.sent if sent.leg == "sell"]


def reasons(stage: Stage) -> list[str]:
    """Return why orders were refused before they left."""
    return [event.reason for event in stage.told(RiskRejected)]


def is_protected(stage: Stage, shares: int) -> None:
    """Assert that so many shares are held, all behind stops, and that nothing was ever offered twice."""
    assert stage.position() == shares
    assert sum(stage.shares("sl").values()) == shares
    stage.sells_at_most(shares)
    assert stage.trade_of().protection in ("PROTECTED", "FLAT")


# --- as it should be --------------------------------------------------------------------------------------------------


def test_E20_every_leg_gives_its_part_and_no_price_moves(laddered: Stage) -> None:
    """By largest remainder: 30 of 60, 15 of 30, 5 of 10.

    Kills: the whole sale taken from one leg.
    """
    before = {order.leg: (order.limit, order.stop) for order in laddered.working()}
    sell(laddered)
    laddered.wait(5)
    assert laddered.shares("sl") == GIVEN
    assert laddered.shares("tp") == {"tp1": 30, "tp2": 15, "tp3": 5}
    assert {order.leg: (order.limit, order.stop) for order in laddered.working()} == before
    is_protected(laddered, 50)
    assert [(told.qty, told.legs) for told in laddered.told(LegsGaveWay)] == [(50, (30, 15, 5))]
    laddered.line(
        "exits", "make room: 50 shares are to be sold and lose their stop, the legs keep 30 + 15 + 5"
    )
    assert laddered.told(ProtectionAlarm) == []


def test_E20_the_sale_leaves_only_when_the_broker_has_shown_every_smaller_exit(laddered: Stage) -> None:
    """One of six changes is on its way for a second.

    Kills: `yielding.look` that asks for the touch without looking at what is free.
    """
    laddered.delay("modify", 1.0, "tp3")
    sell(laddered)
    laddered.wait(0.9)
    assert sales(laddered) == []
    laddered.wait(4)
    assert sales(laddered) == ["place"]
    is_protected(laddered, 50)


def test_E20_all_that_is_held_can_be_sold_under_a_ladder(laddered: Stage) -> None:
    """Kills: legs that keep a share which is to be sold."""
    sell(laddered, 100)
    laddered.wait(5)
    assert laddered.position() == 0
    assert laddered.working() == []
    laddered.sells_at_most(0)
    assert laddered.trade_of().phase is TradePhase.CLOSED


def test_E20_what_is_left_goes_on_to_its_targets_and_its_stops_follow(laddered: Stage) -> None:
    """After a sale of 50 the first target is reached with 30 shares, and the other stops go to break-even.

    Kills: a milestone that counts the shares which the plan had.
    """
    sell(laddered)
    laddered.wait(5)
    laddered.move_to("195.10")
    laddered.wait(5)
    assert laddered.position() == 20
    assert {order.leg: str(order.stop) for order in laddered.working("sl")} == {"sl2": "190", "sl3": "190"}
    is_protected(laddered, 20)


def test_E20_a_bracket_gives_way_too(stage: Stage) -> None:
    """Kills: children of an entry that is over, left as they are."""
    stage.trigger(kind=BRACKET)
    stage.wait(3)
    sell(stage, 40)
    stage.wait(5)
    assert stage.shares("sl") == {"sl1": 60}
    is_protected(stage, 60)


def test_E20_what_was_sold_while_the_ladder_was_armed_stays_missing_from_the_leg_that_lacks_it(
    stage: Stage,
) -> None:
    """40 of 100 are sold before the legs are armed, then 20 more under the ladder: every stop covers its leg.

    Kills: `yielding._smaller` that forgets of which leg others have sold.
    """
    stage.delay("status", 0.4, "entry", times=9)
    stage.hold("position")
    stage.trigger()
    sell(stage, 40, entry=EntryKind.MARKET)
    stage.wait(0.3)
    stage.release()
    stage.wait(5)
    held = sum(stage.shares("sl").values())
    assert held == stage.position() == 60
    sell(stage, 20, "m-3")
    stage.wait(0.5)
    is_protected(stage, 40)


def test_E20_shares_that_are_free_are_sold_before_any_leg_gives_way(laddered: Stage) -> None:
    """Somebody else's 30 shares are free: the ladder gives 20.

    Kills: `yielding._wanted` without shares that are not ours.
    """
    laddered.foreign(Side.BUY, 30)
    laddered.wait(12)
    sell(laddered)
    laddered.wait(5)
    assert laddered.position() == 80
    assert sum(laddered.shares("sl").values()) == 80
    laddered.sells_at_most(80)


def test_E20_two_sales_one_after_the_other_take_what_they_say(laddered: Stage) -> None:
    """Kills: a second sale that counts what the first one freed as its own."""
    sell(laddered, 30)
    sell(laddered, 40, "m-3")
    laddered.wait(6)
    is_protected(laddered, 30)


@pytest.fixture
def twice(laddered: Stage) -> Stage:
    """Return a stage with a second ladder of 100 shares, asked for later."""
    laddered.quote("189.90", "189.92")
    laddered.watch(id_="br-2", level=usd("190.05"))
    laddered.wait(60 - laddered.t % 60)
    laddered.quote("190.04", "190.06")
    laddered.close_bar_now("190.07")
    laddered.quote("190.10", "190.12")
    laddered.wait(5)
    assert laddered.position() == 200
    return laddered


def test_E20_the_newest_trade_gives_way_first(twice: Stage) -> None:
    """As with a sale by somebody else. One that is larger than it takes the rest from the trade before.

    Kills: `yielding._buys` in another order than `book.with_taken` has.
    """
    sell(twice, 30)
    twice.wait(5)
    assert [told.watch for told in twice.told(LegsGaveWay)] == ["br-2"]
    assert [(twice.trade_of(id_).taken, twice.trade_of(id_).yielded) for id_ in ("br-1", "br-2")] == [
        (0, 0),
        (30, 30),
    ]
    sell(twice, 100, "m-3")
    twice.wait(6)
    assert [(told.watch, told.qty) for told in twice.told(LegsGaveWay)[1:]] == [("br-2", 70), ("br-1", 30)]
    assert twice.position() == 70
    assert twice.exits_at_most() == 70
    assert twice.worst[0] <= 0


def test_E20_only_the_trade_that_gave_way_takes_its_shares_back(twice: Stage) -> None:
    """Kills: shares given to a trade that they are not of."""
    twice.refuse("place", "sell")
    sell(twice, 30)
    twice.wait(15)
    assert [(told.watch, told.qty) for told in twice.told(LegsTookBack)] == [("br-2", 30)]
    assert twice.exits_at_most() == 200
    assert twice.worst[0] <= 0


# --- what is refused --------------------------------------------------------------------------------------------------


def test_E20_more_than_is_held_is_short_whatever_the_legs_do(laddered: Stage) -> None:
    """Kills: `yielding.check_sale` that lets everything pass."""
    sell(laddered, 101)
    laddered.wait(5)
    assert reasons(laddered) == ["would_short"]
    assert laddered.shares("sl") == LEGS


def test_E20_a_sale_that_would_rest_takes_no_stop_away(laddered: Stage) -> None:
    """`sell AAPL 50 limit=196`: the shares would have no stop while it waits for a buyer.

    Kills: `entry._make_room` without a look at the bid.
    """
    sell(laddered, entry=EntryKind.PRICED, limit=usd(196))
    laddered.wait(5)
    assert reasons(laddered) == ["would_rest"]
    assert laddered.shares("sl") == LEGS
    laddered.line("would_rest", "have no stop while a sale at 196.00 rests (the bid is 190.10)")


def test_E20_in_a_halt_no_leg_gives_way(laddered: Stage) -> None:
    """Kills: legs that shrink before the market was asked."""
    laddered.halt()
    sell(laddered)
    laddered.wait(5)
    assert reasons(laddered) == ["halted"]
    assert laddered.shares("sl") == LEGS


# --- the legs do not give way -----------------------------------------------------------------------------------------


def test_E20_no_stop_becomes_smaller_before_every_target_is(laddered: Stage) -> None:
    """The broker refuses to change one target: the sale ends, and no stop was touched. What lost its target is told.

    Kills: `yielding.holds_stops`.
    """
    laddered.refuse("modify", "tp2", times=100)
    sell(laddered)
    laddered.wait(20)
    assert [sent.leg for sent in laddered.sent if sent.action == "modify" and sent.leg.startswith("sl")] == []
    assert laddered.shares("sl") == LEGS
    assert reasons(laddered) == ["no_room"]
    laddered.line(
        "exits", "50 shares were not sold: they get their stop again, and 35 have no target any more"
    )
    assert laddered.trade_of().protection == "PROTECTED"


def test_E20_a_sale_waits_until_nothing_of_the_legs_is_on_its_way(laddered: Stage) -> None:
    """A stop is being moved by hand; only then the legs give way, and the broker takes its time with that too.

    Kills: `yielding._is_busy`; a sale that gives up while what it asked for is on its way.
    """
    stop = laddered.working("sl2")[0].stop
    assert stop is not None
    laddered.delay("modify", 1.5, "sl2")
    laddered.submit(i.ReplaceRequested(at=laddered.now, ref="ts:br-1:sl2:1", stop=stop + 1))
    sell(laddered)
    laddered.wait(1.4)
    assert laddered.told(LegsGaveWay) == []
    laddered.delay("modify", 1.8, "tp1")
    laddered.wait(1.7)
    assert sales(laddered) == []
    laddered.wait(5)
    assert sales(laddered) == ["place"]
    is_protected(laddered, 50)


def test_E20_what_is_being_flattened_gives_nothing_away(laddered: Stage) -> None:
    """`flatten`, and `sell` while its market orders are on their way.

    Kills: shares taken from a leg that is being sold.
    """
    laddered.delay("place", 0.8, "flat", times=3)
    laddered.flatten()
    laddered.wait(0.2)
    sell(laddered)
    laddered.wait(15)
    assert laddered.told(LegsGaveWay) == []
    assert laddered.position() == 0
    assert sales(laddered) == []
    laddered.sells_at_most(0)


def test_E20_flatten_ends_a_sale_that_waits(laddered: Stage) -> None:
    """Kills: a sale that leaves after `flatten`."""
    laddered.delay("modify", 1.0, "tp1")
    sell(laddered)
    laddered.wait(0.5)
    laddered.flatten()
    laddered.wait(15)
    assert laddered.position() == 0
    assert sales(laddered) == []
    laddered.sells_at_most(0)


@pytest.mark.parametrize("leg", ["sl1", "sl3"])
def test_E20_a_refused_reduction_ends_the_sale_and_every_share_has_its_stop(
    laddered: Stage, leg: str
) -> None:
    """The broker does not let one exit become smaller: the sale waits 2.5 s, then the others get theirs back.

    Kills: a sale that waits for ever; shares that no leg takes back.
    """
    laddered.refuse("modify", leg, times=100)
    sell(laddered)
    laddered.wait(20)
    assert sales(laddered) == []
    assert reasons(laddered) == ["no_room"]
    is_protected(laddered, 100)
    assert laddered.told(ProtectionAlarm) == []


def test_E20_a_reduction_that_was_refused_once_is_asked_again_and_the_sale_goes_on(laddered: Stage) -> None:
    """Kills: a sale that gives up at the first refusal."""
    laddered.refuse("modify", "sl2")
    sell(laddered)
    laddered.wait(6)
    assert sales(laddered) == ["place"]
    is_protected(laddered, 50)


def test_E20_a_reduction_that_got_lost_ends_the_sale(laddered: Stage) -> None:
    """Kills: shares that wait for an answer which never comes."""
    laddered.lose("modify", "sl1", times=3)
    sell(laddered)
    laddered.wait(30)
    assert sales(laddered) == []
    is_protected(laddered, 100)


def test_E20_the_target_fills_while_the_legs_shrink(laddered: Stage) -> None:
    """The first target sells all of its 60 before its reduction arrives: 40 are left, and the sale of 50 would be short.

    Kills: a sale that counts on shares which the target has sold.
    """
    laddered.delay("modify", 0.5, "tp1")
    laddered.delay("modify", 0.5, "sl1")
    sell(laddered)
    laddered.wait(0.1)
    laddered.move_to("195.10")
    laddered.quote("194.00", "194.02")
    laddered.wait(12)
    assert laddered.position() == 40
    assert sales(laddered) == []
    assert reasons(laddered) == ["would_short"]
    is_protected(laddered, 40)


def test_E20_a_smaller_sale_goes_on_with_what_the_target_left(laddered: Stage) -> None:
    """As before, with a sale of 20: the other legs give what the first one cannot give any more.

    Kills: a leg that gives what it has sold.
    """
    laddered.delay("modify", 0.5, "tp1")
    laddered.delay("modify", 0.5, "sl1")
    sell(laddered, 20)
    laddered.wait(0.1)
    laddered.move_to("195.10")
    laddered.wait(12)
    assert sales(laddered) == ["place"]
    is_protected(laddered, 20)


def test_E20_the_stops_are_elected_while_the_legs_shrink(laddered: Stage) -> None:
    """Every stop sells its shares, and the sale finds none.

    Kills: a leg whose stop sells and that is to give way.
    """
    for leg in ("sl1", "sl2", "sl3"):
        laddered.delay("modify", 0.5, leg)
    sell(laddered)
    laddered.wait(0.1)
    laddered.quote("186.90", "186.92")
    laddered.trade("186.90")
    laddered.wait(15)
    assert laddered.position() == 0
    assert laddered.working() == []
    laddered.sells_at_most(0)


def test_E20_a_stop_that_sells_gives_nothing(laddered: Stage) -> None:
    """The stops are elected and find no buyer: the sale is refused, they go on.

    Kills: `yielding._may_shrink` that lets an elected stop become smaller.
    """
    laddered.quote(None, "187.50")
    laddered.trade("186.95", 1)
    laddered.wait(0.1)
    sell(laddered, 30, entry=EntryKind.MARKET)
    laddered.wait(6)
    assert laddered.told(LegsGaveWay) == []
    assert reasons(laddered) == ["no_room"]
    laddered.sells_at_most(laddered.position())


def test_E20_a_sale_waits_for_a_ladder_that_is_being_armed(stage: Stage) -> None:
    """The entry still works and a cover stands: nothing gives way, and the sale ends.

    Kills: legs that give way before they are known.
    """
    stage.trigger(60)
    stage.wait(1)
    assert stage.shares("cover") == {"cover": 60}
    sell(stage, 30)
    stage.wait(4)
    assert reasons(stage) == ["no_room"]
    stage.wait(30)
    assert stage.position() == 60
    stage.sells_at_most(60)


def test_E20_a_stop_that_is_lost_while_a_sale_works_is_replaced_all_the_same(laddered: Stage) -> None:
    """The sale of 50 rests, somebody cancels the stop of the first leg: its 30 shares get a new one, the sale keeps its 50.

    Kills: `yielding._bare` that takes a leg whose stop was lost for shares that are free.
    """
    laddered.delay("place", 0.01, "sell")
    sell(laddered)
    laddered.quote("190.00", "190.02")
    laddered.wait(1)
    laddered.cancel_outside("sl1")
    laddered.wait(5)
    assert laddered.shares("sl") == GIVEN
    assert laddered.shares("sell") == {"sell": 50}
    assert laddered.told(LegsTookBack) == []
    laddered.sells_at_most(100)


def test_E20_shares_whose_stop_the_operator_cancelled_are_sold_before_any_leg_gives_way(
    laddered: Stage,
) -> None:
    """Kills: `yielding._is_given_up`."""
    for leg in ("sl1", "tp1"):
        laddered.submit(i.CancelRequested(at=laddered.now, ref=f"ts:br-1:{leg}:1"))
    laddered.wait(3)
    sell(laddered, 70)
    laddered.wait(5)
    assert [told.qty for told in laddered.told(LegsGaveWay)] == [10]
    assert laddered.position() == 30
    laddered.sells_at_most(30)


def test_E20_the_children_of_an_entry_that_was_cut_give_nothing_before_they_are_replaced(
    make_stage: Callable[..., Stage],
) -> None:
    """Some brokers hold them for ever: they protect nothing, and a pair of their own is about to take their place.

    Kills: `yielding._able` that takes held children for exits.
    """
    stage = make_stage(partial_parent="hold")
    stage.trigger(60, kind=BRACKET, entry_timeout=5.0)
    stage.wait(5.2)
    sell(stage, 20)
    stage.wait(1)
    assert stage.told(LegsGaveWay) == []
    stage.wait(10)
    assert sum(stage.shares("sl").values()) == stage.position() == stage.exits_at_most()


# --- link and process -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lose_orders", [False, True])
def test_E20_the_link_drops_while_the_legs_shrink(laddered: Stage, lose_orders: bool) -> None:
    """Kills: a sale that leaves later on another connection; shares without a stop after it."""
    laddered.delay("modify", 0.3, "")
    laddered.delay("status", 0.3, "sl", times=6)
    sell(laddered)
    laddered.wait(0.05)
    laddered.drop_link(lose_orders=lose_orders)
    laddered.wait(8)
    laddered.restore_link()
    laddered.wait(30)
    assert sales(laddered) == []
    is_protected(laddered, 100)


def test_E20_the_link_drops_while_the_sale_works(laddered: Stage) -> None:
    """The sale is sent and the link is gone before anything is heard: it fills, and is counted once.

    Kills: shares of a sale whose outcome is unknown given a stop.
    """
    laddered.hold("status", "sell")
    laddered.hold("execution", "sell")
    sell(laddered)
    laddered.wait(0.1)
    laddered.drop_link(lose_orders=False)
    laddered.wait(5)
    laddered.restore_link()
    laddered.wait(30)
    is_protected(laddered, 50)


@pytest.mark.parametrize("after", [0.0, 0.5, 0.999, 1.0, 1.001, 1.5])
def test_E20_the_program_is_killed_between_the_smaller_legs_and_the_sale(
    wire: WireStage, after: float
) -> None:
    """The journal knows legs that gave way for a sale which never left, or has: the next program protects what is held.

    Kills: a sale that a restarted program sends late; shares that the journal's legs lack.
    """
    wire.ladder()
    wire.delay("modify", 1.0, "tp3")
    sell(wire)
    wire.wait(after)
    assert (sales(wire) == []) == (after < 1.0)
    wire.crash()
    wire.wait(3)
    wire.restart()
    wire.wait(30)
    assert wire.position() == (50 if sales(wire) else 100)
    is_protected(wire, wire.position())


def test_E20_the_program_is_killed_while_the_sale_rests(wire: WireStage) -> None:
    """Somebody buys 20 of 50; the next program ends the sale, and 30 shares get their stop again.

    Kills: a sale without an end of its own after a restart.
    """
    wire.ladder()
    wire.quote("190.10", "190.12", size=20)
    sell(wire)
    wire.quote("190.00", "190.02")
    wire.wait(1)
    assert wire.shares("sell") == {"sell": 30}
    wire.crash()
    wire.wait(3)
    wire.restart()
    wire.wait(30)
    assert wire.shares("sell") == {}
    is_protected(wire, 80)


# --- the sale itself --------------------------------------------------------------------------------------------------


def test_E20_a_sale_that_the_broker_refuses_gives_the_shares_back(laddered: Stage) -> None:
    """Kills: shares of a refused sale that stay without a stop."""
    laddered.refuse("place", "sell")
    sell(laddered)
    laddered.wait(15)
    assert laddered.shares("sl") == {**GIVEN, "sl4": 50}
    assert laddered.shares("tp") == {"tp1": 30, "tp2": 15, "tp3": 5, "tp4": 50}
    is_protected(laddered, 100)
    assert [told.qty for told in laddered.told(LegsTookBack)] == [50]
    laddered.line("exits", "50 shares were not sold: they get their stop again")
    assert laddered.told(ProtectionAlarm) == []


def test_E20_a_sale_that_finds_no_buyer_is_cancelled_and_the_rest_gets_its_stop(laddered: Stage) -> None:
    """20 of 50 sell, then the bid is gone: after ten seconds the sale ends, and 30 shares get a leg of their own.

    Kills: a sale that rests over shares without a stop.
    """
    laddered.quote("190.10", "190.12", size=20)
    sell(laddered)
    laddered.quote("190.00", "190.02")
    laddered.wait(9)
    assert sales(laddered) == ["place"]
    laddered.wait(6)
    assert sales(laddered) == ["place", "cancel"]
    assert laddered.shares("sl") == {**GIVEN, "sl4": 30}
    is_protected(laddered, 80)


def test_E20_a_sale_that_the_operator_cancels_gives_the_shares_back(laddered: Stage) -> None:
    """Kills: shares that wait for the timeout of a sale which has ended."""
    laddered.delay("place", 0.01, "sell")
    sell(laddered)
    laddered.quote("190.00", "190.02")
    laddered.wait(1)
    laddered.submit(i.CancelRequested(at=laddered.now, ref="ts:m-2:sell:1"))
    laddered.wait(2)
    assert laddered.shares("sl") == {**GIVEN, "sl4": 50}
    is_protected(laddered, 100)


def test_E20_shares_that_come_back_get_the_highest_stop_of_their_trade(laddered: Stage) -> None:
    """A stop was moved up to 189 by hand before the sale that did not happen.

    Kills: a stop at the plan's price for shares that had a better one.
    """
    stop = laddered.working("sl2")[0].stop
    assert stop is not None
    laddered.submit(i.ReplaceRequested(at=laddered.now, ref="ts:br-1:sl2:1", stop=stop + 2))
    laddered.wait(1)
    laddered.refuse("place", "sell")
    sell(laddered)
    laddered.wait(15)
    assert {order.leg: str(order.stop) for order in laddered.working("sl4")} == {"sl4": "189"}
    is_protected(laddered, 100)


def test_E20_a_foreign_sale_meanwhile_ends_ours_and_the_stops_keep_theirs(laddered: Stage) -> None:
    """Somebody else sells 20 while ours of 50 rests: ours is cancelled, 80 shares are behind stops.

    Kills: `yielding._give_up` that lets a sale of shares stand which are gone.
    """
    laddered.delay("place", 0.01, "sell")
    sell(laddered)
    laddered.quote("190.00", "190.02")
    laddered.wait(1)
    laddered.foreign(Side.SELL, 20)
    laddered.wait(8)
    assert laddered.position() == 80
    assert sum(laddered.shares("sl").values()) == 80
    assert laddered.exits_at_most() == 80


def test_E20_a_sale_of_free_shares_that_somebody_else_sells_first_is_cancelled(stage: Stage) -> None:
    """No leg gave anything: the shares had no exits at all. What is left of our sale would be short.

    Kills: a sale that rests over shares which are gone.
    """
    stage.order_now("m-1", Side.BUY, 100)
    stage.wait(3)
    stage.delay("place", 0.01, "sell")
    sell(stage, 100)
    stage.quote("189.90", "189.92")
    stage.wait(1)
    stage.foreign(Side.SELL, 60)
    stage.wait(3)
    assert sales(stage) == ["place", "cancel"]
    assert stage.position() == 40
    stage.move_to("190.20")
    stage.wait(3)
    assert stage.position() == 40


def test_E20_flatten_takes_the_shares_of_a_sale_too(laddered: Stage) -> None:
    """Kills: shares that legs gave away and that nobody sells."""
    laddered.delay("place", 0.01, "sell")
    sell(laddered)
    laddered.quote("190.00", "190.02")
    laddered.wait(1)
    laddered.flatten()
    laddered.wait(15)
    assert laddered.position() == 0
    assert laddered.working() == []
    laddered.sells_at_most(0)


def test_E20_a_sale_that_is_given_up_before_it_left_gives_the_shares_back(laddered: Stage) -> None:
    """The command's call was interrupted while the legs shrink.

    Kills: an abandoned sale whose shares stay without a stop.
    """
    laddered.delay("modify", 0.5, "sl1")
    sell(laddered)
    laddered.wait(0.1)
    laddered.submit(i.TradeAbandoned(at=laddered.now, id="m-2"))
    laddered.wait(10)
    assert sales(laddered) == []
    is_protected(laddered, 100)


@pytest.mark.parametrize("live", [False, True])
def test_E20_a_sale_that_is_taken_back_by_the_exchange_leaves_its_shares_with_a_stop(
    make_stage: Callable[..., Stage], live: bool
) -> None:
    """On a live account too: nobody sells them again, a stop waits for them.

    Kills: shares that came back in no leg; a sale taken back that no picture explains.
    """
    stage = make_stage(live=live)
    stage.ladder()
    sell(stage)
    stage.wait(5)
    stage.bust("sell")
    stage.wait(30)
    is_protected(stage, 100)
