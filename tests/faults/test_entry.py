"""Faults between the trigger and the entry's end (group E of the scenarios): what must not leave, what was heard wrongly or late.

Laws: each scenario asserts the orders at the venue, the events, and the operator's line, and names a change of the program that
it notices (``Kills``).
"""

# ids of scenarios have capital letters

from __future__ import annotations

import pytest
from tests.faults.kit import BRACKET, Stage, usd
from tests.faults.openings import (
    ENTRY,
    FULL,
    Make,
    break_out,
    buys,
    is_rejected,
)

from tradeshell.core import inputs as i
from tradeshell.core.events import OrderRefused, RiskRejected
from tradeshell.core.market import DataKind
from tradeshell.core.orders import OrderState
from tradeshell.core.policy import Policy
from tradeshell_breakout.events import BreakoutConfirmed, BreakoutRejected, BreakoutStopped

# --- quotes that must not decide --------------------------------------------------------------------------------------


def test_E01_a_quote_that_went_stale_before_the_trigger_stops_the_entry(stage: Stage) -> None:
    """The last touch is over a minute old when the bar closes: nothing leaves, and the line has age and limit.

    Kills: `guards` not comparing the quote's age with `quote_age`.
    """
    stage.watch()
    stage.wait(1)
    stage.silence()
    stage.wait(60 - stage.t % 60)
    stage.close_bar_now("190.10")
    stage.wait(5)
    is_rejected(stage, "stale_quote")
    age = stage.told(BreakoutRejected)[0].detail
    assert 58 <= float(age.split(" is ")[1].split(" s old")[0]) < 62, age
    assert "quote_age=2" in stage.line("rejected", "stale_quote")


@pytest.mark.parametrize("ask", [None, "NaN", "0", "-1"])
def test_E02_an_ask_that_is_no_price_stops_the_entry(stage: Stage, ask: str | None) -> None:
    """IBKR sends -1, 0 or nothing when there is no ask.

    Kills: `guards` asking only whether the ask is missing.
    """
    break_out(stage, ask=ask)
    is_rejected(stage, "no_ask")
    assert "no_ask: AAPL has no ask · nothing was sent" in stage.line("rejected")


def test_E03_a_crossed_quote_stops_the_entry(stage: Stage) -> None:
    """Bid 190.50 above ask 189.90.

    Kills: `guards` not looking at the other side.
    """
    break_out(stage, "190.50", "189.90")
    is_rejected(stage, "crossed_quote")
    assert "bid 190.50 above ask 189.90" in stage.line("rejected")


def test_E03_an_absurd_ask_stops_the_entry_and_the_refusal_names_the_numbers(stage: Stage) -> None:
    """An ask ten times the bar's close.

    Kills: `guards` without the collar around the trigger bar's close.
    """
    break_out(stage, "190.00", "1900.00")
    is_rejected(stage, "price_collar")
    assert [event.reason for event in stage.told(RiskRejected)] == ["price_collar"]
    assert "ask 1900.00 is more than 3 % away from 190.01" in stage.line("entry", "price_collar")


@pytest.mark.parametrize("kind", [DataKind.DELAYED, DataKind.FROZEN])
def test_E04_data_that_is_not_live_stops_the_entry(stage: Stage, kind: DataKind) -> None:
    """The feed has silently changed to delayed data; its touch looks fresh.

    Kills: `guards` not looking at the kind of the data.
    """
    break_out(stage, kind=kind)
    is_rejected(stage, "delayed_data")
    assert f"the quotes of AAPL are {kind.value}, not live" in stage.line("rejected")


# --- refusals ---------------------------------------------------------------------------------------------------------

EQUITY = "Order rejected - reason:INSUFFICIENT EQUITY to cover it"


def words_of(stage: Stage, lost: str) -> str:
    """Return the broker's words as far as they were heard: over the wire a status has none."""
    return "" if stage.is_wire and lost == "refusal" else EQUITY


@pytest.mark.parametrize("lost", ["nothing", "status", "refusal"])
def test_E05_a_refused_entry_ends_once_with_the_brokers_words_whichever_message_is_lost(
    stage: Stage, lost: str
) -> None:
    """Error 201 first and "Inactive" after it, only the error, only the status: one end, no exits, no second try.

    Kills: `settle` ending a refused entry as merely unfilled.
    """
    stage.refuse("place", "entry", 201, EQUITY)
    if lost != "nothing":
        stage.lose(lost, "entry", times=9)
    break_out(stage, wait=90)
    assert stage.working() == []
    assert stage.position() == 0
    assert buys(stage) == ["place"]
    assert [event.reason for event in stage.told(BreakoutStopped)] == ["rejected"]
    assert words_of(stage, lost) in stage.line("entry  ", "refused")
    assert len([line for line in stage.lines() if "entry  " in line and "refused" in line]) == 1


@pytest.mark.parametrize("lost", ["nothing", "status", "refusal"])
def test_E05_a_refused_entry_is_told_as_a_rejected_breakout(stage: Stage, lost: str) -> None:
    """Whoever counts rejected breakouts finds the broker's refusals among them, once each, with the broker's words.

    Kills: a refusal of the entry that its watcher never hears of.
    """
    stage.refuse("place", "entry", 201, EQUITY)
    if lost != "nothing":
        stage.lose(lost, "entry", times=9)
    break_out(stage, wait=30)
    (rejected,) = stage.told(BreakoutRejected)
    assert rejected.reason == "broker_refusal"
    assert (words_of(stage, lost) or "no reason given") in rejected.detail
    assert words_of(stage, lost) in stage.line("rejected  ", "broker_refusal")
    assert stage.working() == []


def test_E05_the_line_of_a_refused_entry_does_not_say_that_nothing_was_sent(stage: Stage) -> None:
    """It was sent, and the broker refused it.

    Kills: one end of the line for every rejected breakout.
    """
    stage.refuse("place", "entry", 201, EQUITY)
    break_out(stage)
    assert "nothing was sent" not in stage.line("rejected  ", "broker_refusal")
    assert [event.reason for event in stage.told(BreakoutRejected)] == ["broker_refusal"]
    assert buys(stage) == ["place"]


def test_E06_an_order_that_is_too_large_for_the_brokers_presets_is_not_split(stage: Stage) -> None:
    """451: size limit of the precautionary settings.

    Kills: the refusal's line without the broker's own words.
    """
    stage.refuse("place", "entry", 451, "The order size exceeds the Size Limit of 500.", times=9)
    break_out(stage, wait=90)
    assert buys(stage) == ["place"]
    assert stage.position() == 0
    (refused,) = stage.told(OrderRefused)
    assert refused.code == 451
    assert "refused by the broker (451): The order size exceeds the Size Limit of 500." in stage.line(
        "entry  ", "refused"
    )


def test_E07_a_remark_about_a_live_entry_does_not_end_it(stage: Stage) -> None:
    """10349 "Order TIF was set to DAY": the order works on, fills, and gets its ladder; it is bought once.

    Kills: `reports` taking a remark for a refusal of the order.
    """
    stage.trigger(0)
    stage.say(
        i.OrderRefusedByBroker(
            at=stage.now,
            ref=ENTRY,
            what=i.RefusedWhat.NOTHING,
            code=10349,
            text="Order TIF was set to DAY based on order preset.",
        )
    )
    assert [order.leg for order in stage.working()] == ["entry"]
    assert stage.told(BreakoutStopped) == []
    stage.move_to("190.00")
    stage.wait(1)
    assert stage.shares() == FULL
    assert buys(stage) == ["place"]
    assert stage.sent[0].spec is not None
    assert stage.sent[0].spec.tif.value == "GTD"  # always said, so that nobody else decides it
    assert stage.line("10349") == (
        "AAPL  entry     the broker says (10349): Order TIF was set to DAY based on order preset. · the order lives on"
    )


def hold_off(stage: Stage) -> None:
    """Let the broker take the entry and say that it will not work before tomorrow."""
    stage.trigger(0)
    text = "Warning: your order will not be placed at the exchange until 2025-07-09 09:30:00 US/Eastern"
    stage.say(
        i.OrderRefusedByBroker(at=stage.now, ref=ENTRY, what=i.RefusedWhat.NOTHING, code=399, text=text)
    )
    stage.say(
        i.OrderReported(
            at=stage.now,
            report=i.OrderReport(
                ref=ENTRY,
                order_id=stage.number("entry"),
                state=OrderState.HELD,
                filled=0,
                remaining=100,
                qty=100,
                limit=usd("190.02"),
            ),
        )
    )


def test_E08_an_entry_that_cannot_work_now_is_cancelled_at_once(stage: Stage) -> None:
    """399: what fills tomorrow is not the breakout of today.

    Kills: a 399 that is only told.
    """
    hold_off(stage)
    stage.wait(1)
    assert stage.working() == []
    assert buys(stage) == ["place", "cancel"]
    assert len(stage.told(BreakoutStopped)) == 1
    assert "(399): Warning: your order will not be placed" in stage.line("the broker says")
    assert "cancel asked · it cannot work now" in stage.line("entry  ", "cancel asked")


def test_E08_an_entry_that_is_kept_is_no_refusal_and_is_never_armed_before_it_fills(make_stage: Make) -> None:
    """With hold it goes on waiting: nothing is sold for it, and its timeout ends it.

    Kills: no timer for the end of an entry.
    """
    stage = make_stage(policy=Policy(hold=True))
    hold_off(stage)
    stage.wait(5)
    assert [order.leg for order in stage.working()] == ["entry"]
    assert stage.told(BreakoutStopped) == []
    stage.wait(30)
    assert stage.working() == []
    assert buys(stage) == ["place", "cancel"]
    assert {sent.leg for sent in stage.sent} == {"entry"}
    assert [event.reason for event in stage.told(BreakoutStopped)] == ["entry_timeout"]
    assert "the entry was not filled in time" in stage.line("stopped")


@pytest.mark.parametrize(
    "code, text",
    [(110, "The price does not conform to the minimum price variation."), (200, "No security definition")],
)
def test_E16_a_price_off_the_grid_is_refused_once_and_not_tried_again(
    stage: Stage, code: int, text: str
) -> None:
    """110 on the entry must not happen; when it does it ends the attempt.

    Kills: `settle` not closing an attempt whose entry was refused.
    """
    stage.refuse("place", "entry", code, text, times=9)
    break_out(stage, wait=60)
    assert buys(stage) == ["place"]
    assert stage.working() == []
    assert [event.reason for event in stage.told(BreakoutStopped)] == ["rejected"]
    assert f"refused by the broker ({code}): {text}" in stage.line("entry  ", "refused")


def test_E16_what_is_sent_lies_on_the_grid_a_buy_above_the_ask_a_stop_never_looser(stage: Stage) -> None:
    """Ask 190.0234, sl 186.994, tp 195.006: 190.03, 187.00 and 195.00 are sent.

    Kills: `guards` pricing the entry at the bare ask.
    """
    stage.watch(BRACKET, sl=usd("186.994"), tps=(usd("195.006"),))
    stage.wait(60 - stage.t % 60)
    stage.quote("190.00", "190.0234")
    stage.close_bar_now("190.01")
    stage.wait(1)
    (entry, target, stop) = (sent.spec for sent in stage.sent)
    assert entry is not None
    assert stop is not None
    assert target is not None
    assert (entry.limit, stop.stop, target.limit) == (usd("190.03"), usd("187.00"), usd("195.00"))
    assert "BUY 100 @ 190.03 limit" in stage.line("entry", "BUY")


# --- two things at one instant ----------------------------------------------------------------------------------------


def test_E18_two_bars_in_one_instant_buy_once(stage: Stage) -> None:
    """Two closed bars above the level reach the watcher in the same turn of the loop, and one a minute later.

    Kills: a watcher that is neither taken off its bars nor marked as fired when it enters.
    """
    stage.watch()
    stage.wait(60 - stage.t % 60)
    stage.quote("190.00", "190.02")
    bars = [stage.bar("190.01"), stage.bar("190.05")]
    listener = stage.venue.listeners["AAPL", 60][0]
    stage.inside(lambda: [listener.on_bar(bar) for bar in bars])
    stage.close_bar("190.30")
    stage.wait(5)
    assert buys(stage) == ["place"]
    assert len(stage.told(BreakoutConfirmed)) == 1
    assert stage.position() == 100
    assert len([line for line in stage.lines() if "trigger" in line]) == 1


def test_E18_two_watchers_on_one_level_are_two_trades_that_share_nothing(stage: Stage) -> None:
    """One bar fires both: one entry each, and exits in groups of their own.

    Kills: OCA groups that do not carry the watcher.
    """
    stage.watch()
    stage.watch(id_="br-2")
    stage.wait(60 - stage.t % 60)
    stage.quote("190.00", "190.02")
    stage.close_bar_now("190.01")
    stage.wait(3)
    assert buys(stage) == ["place", "place"]
    assert {event.watch for event in stage.told(BreakoutConfirmed)} == {"br-1", "br-2"}
    assert stage.position() == 200
    assert len({order.group for order in stage.working()}) == 6
    assert len(stage.working()) == 12
    stage.sells_at_most(200)
    assert len([line for line in stage.lines() if "trigger" in line]) == 2


def test_E18_a_cancel_before_the_bar_means_no_order(stage: Stage) -> None:
    """The operator's cancel is processed first: nothing is bought, and that is what is said.

    Kills: `breakout cancel` leaving the watcher at its bars.
    """
    stage.watch()
    stage.wait(60 - stage.t % 60)
    bar = stage.bar("190.01")
    listener = stage.venue.listeners["AAPL", 60][0]

    def both() -> None:
        stage.session.submit(i.WatchCancelRequested(at=stage.now, watch="br-1"))
        listener.on_bar(bar)

    stage.inside(both)
    stage.wait(5)
    assert stage.sent == []
    assert [event.reason for event in stage.told(BreakoutStopped)] == ["cancelled"]
    assert stage.line("stopped") == "AAPL  stopped   br-1 · cancelled"


def test_E18_a_cancel_between_the_trigger_and_its_quote_means_no_order(stage: Stage) -> None:
    """The bar has fired, the touch is being fetched: the cancel still comes in time.

    Kills: `breakout cancel` ignoring an attempt that waits for its touch.
    """
    stage.watch()
    stage.silence()
    stage.wait(60 - stage.t % 60)
    bar = stage.bar("190.01")
    listener = stage.venue.listeners["AAPL", 60][0]

    def both() -> None:
        listener.on_bar(bar)
        stage.session.submit(i.WatchCancelRequested(at=stage.now, watch="br-1"))
        stage.venue.market.tapes["AAPL"].show(stage.touch("190.00", "190.02"))

    stage.inside(both)
    stage.wait(5)
    assert stage.sent == []
    assert [event.reason for event in stage.told(BreakoutStopped)] == ["cancelled"]
    assert stage.line("stopped") == "AAPL  stopped   br-1 · cancelled"


def test_E18_a_cancel_after_the_order_left_is_told_for_what_it_is(stage: Stage) -> None:
    """The entry is on its way when the cancel is typed: it fills, nobody says "cancelled", the shares are protected.

    Kills: `breakout cancel` closing a trade whose entry has left.
    """
    stage.watch()
    stage.wait(60 - stage.t % 60)
    stage.quote("190.00", "190.02")
    stage.delay("place", 1, "entry")
    stage.close_bar_now("190.01")
    stage.submit(i.WatchCancelRequested(at=stage.now, watch="br-1"))
    stage.wait(5)
    assert stage.position() == 100
    assert stage.shares() == FULL
    assert stage.told(BreakoutStopped) == []
    assert "cancel asked" in stage.line("entry", "cancel asked")
    assert not any("entry     cancelled" in line or "br-1 · cancelled" in line for line in stage.lines())
