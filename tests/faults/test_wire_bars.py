"""Bars that stop, stutter, lie (group M of the scenarios): what the watcher sees, what is asked of the gateway, what is told.

Laws: as in ``test_wire_link``. The gateway makes its bars of what trades, unless a test sends them itself.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from tests.faults.kit import BRACKET, usd
from tests.faults.scenes import stops
from tests.faults.wire_bars import HEAL, KEPT, LIMIT, Make, fires, fires_kept, requests, watched
from tests.faults.wire_messages import HISTORY, REAL_TIME

from tradeshell.core.data_events import (
    BarStreamCompetingSessionBlocked,
    BarStreamCompetingSessionCleared,
    BarStreamGapRead,
    BarStreamRecovered,
    BarStreamRecoveryFailed,
    BarStreamRecoveryScanScheduled,
    BarStreamRecoveryStarted,
    BarStreamStalled,
)
from tradeshell.upkeep import BarHealthSettings

# --- silence ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("farm", [False, True])
def test_M01_bars_that_stop_without_a_word_are_told_once_and_subscribed_anew(
    make_wire: Make, farm: bool
) -> None:
    """The socket is fine, also after 2103 and 2104: one alarm, one new request with a new number, the old one cancelled.

    Kills: a stream whose silence nobody measures; a renewal under the number of the dead request.
    """
    wire = watched(make_wire(bar_health=HEAL))
    (session,) = wire.gateway.sessions
    (number,) = session.history.real_time
    began = wire.t
    if farm:
        wire.act("farm", kind="market", seconds=5)
    wire.switch(bars_silent=True)
    wire.wait(60)
    wire.trade("190.10", 100)  # in a bar that nobody hears of
    wire.wait(60)
    wire.trade("189.50", 100)
    wire.wait(LIMIT - 130)
    assert wire.told(BarStreamStalled) == []
    wire.wait(30)
    (stalled,) = wire.told(BarStreamStalled)
    assert (stalled.symbol, stalled.seconds, stalled.watches) == ("AAPL", 60, ("br-1",))
    assert wire.healer.blind()
    wire.line("1m bars have stalled", "blind: br-1 · nothing is entered on old data")
    assert len(wire.told(BarStreamRecoveryStarted)) == 1
    assert len(requests(wire, REAL_TIME, began)) == 1
    (renewed,) = session.history.real_time
    assert renewed != number
    wire.switch(bars_silent=False)
    wire.wait(20)
    (back,) = wire.told(BarStreamRecovered)
    assert (back.by, back.attempts) == ("resubscription", 1)
    assert wire.healer.blind() == ()
    (gap,) = wire.told(BarStreamGapRead)
    assert gap.high == usd("190.10")
    wire.line("AAPL", "missed bars between 189.50 and 190.10 · what happened in them triggers nothing")
    assert wire.sent == []
    fires(wire)


def test_M02_bars_that_come_back_by_themselves_are_not_asked_for(make_wire: Make) -> None:
    """They come again before the second stalled look: recovered, and no request has left.

    Kills: a recovery that goes on after the data have come back.
    """
    wire = watched(
        make_wire(bar_health=BarHealthSettings(self_heal_enabled=True, recovery_stall_burst_count=9))
    )
    began = wire.t
    wire.switch(bars_silent=True)
    wire.wait(LIMIT + 12)
    assert len(wire.told(BarStreamStalled)) == 1
    assert wire.told(BarStreamRecoveryScanScheduled)
    wire.switch(bars_silent=False)
    wire.wait(70)
    assert [event.by for event in wire.told(BarStreamRecovered)] == ["self"]
    assert wire.told(BarStreamRecoveryStarted) == []
    assert requests(wire, REAL_TIME, began) == []
    wire.line("1m bars come again")
    fires(wire)


@pytest.mark.parametrize(
    "code, text",
    [
        (10182, "Failed to request live updates (disconnected)."),
        (366, "No historical data query found for ticker id"),
    ],
)
def test_M03_updates_that_the_gateway_ends_are_asked_for_anew_with_its_words_kept(
    make_wire: Make, code: int, text: str
) -> None:
    """Kills: an error of a live request that counts as an answer; "the subscription exists already"."""
    wire = watched(make_wire(bar_health=HEAL, broker=KEPT))
    (session,) = wire.gateway.sessions
    (number,) = session.history._kept
    began = wire.t
    if code == 366:
        wire.act("bars_die", code=0)
        wire.act("say", code=code, text=text, request=number)
        wire.wait(LIMIT + 20)
    else:
        wire.act("bars_die", code=code)
        wire.wait(10)
        (stalled,) = wire.told(BarStreamStalled)
        assert (stalled.code, stalled.reason) == (code, text)
        wire.line("1m bars have stalled", text)
    wire.wait(70)
    assert len(wire.told(BarStreamStalled)) == 1
    assert len(requests(wire, HISTORY, began)) >= 1
    (renewed,) = (each for each in session.history._kept.values() if not each.is_dead)
    assert renewed._request.request != number
    assert len(wire.told(BarStreamRecovered)) == 1
    fires_kept(wire)


def test_M04_pacing_slows_the_bars_and_no_order(make_wire: Make) -> None:
    """Each renewal is refused for pacing: later each time, a bounded number of times; the ladder's stops move at once.

    Kills: a renewal at each look; orders that wait behind requests for data.
    """
    wire = make_wire(bar_health=HEAL)
    wire.ladder()
    wire.start_market()
    wire.watch(id_="br-2", level=usd(194))
    wire.wait(70)
    began = wire.t
    wire.refuse_data(
        REAL_TIME, 420, "Invalid Real-time Query:Historical data request pacing violation", times=99
    )
    pacing = "Historical Market Data Service error message:Historical data request pacing violation"
    wire.refuse_data(HISTORY, 162, pacing, times=999)
    wire.act("say", code=100, text="Max rate of messages per second has been exceeded:max=50 rec=51 (1)")
    wire.switch(bars_silent=True)
    wire.wait(LIMIT + 30)
    wire.quote("195", "195.02")
    wire.quote("194.90", "194.92")
    wire.wait(0.5)
    assert stops(wire) == {"sl2": "190", "sl3": "190"}
    wire.wait(2400)
    starts = wire.when(BarStreamRecoveryStarted)
    assert 2 <= len(starts) <= HEAL.recovery_max_attempts
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert min(pauses) >= HEAL.recovery_cooldown_secs
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert len(requests(wire, REAL_TIME, began)) <= 2 * HEAL.recovery_max_attempts
    wire.line("Max rate of messages per second")
    assert max(Counter(int(at) for at, _ in wire.requests).values()) < 45


def test_M05_data_that_another_session_takes_are_not_fought_for(make_wire: Make) -> None:
    """10197 for ten minutes: one alarm that says what to do, no request for data, and back when the other one ends.

    Kills: 10197 as an error like any other (a request at each look).
    """
    wire = watched(make_wire(bar_health=HEAL))
    began = wire.t
    wire.switch(competing=True, bars_silent=True)
    wire.wait(600)
    (blocked,) = wire.told(BarStreamCompetingSessionBlocked)
    assert blocked.code == 10197
    assert requests(wire, REAL_TIME, began) == []
    assert wire.told(BarStreamRecoveryStarted) == []
    wire.line("another session of this login takes the market data (10197", "log that one off")
    wire.switch(competing=False, bars_silent=False)
    wire.quote("190.01", "190.03")
    wire.wait(70)
    assert len(wire.told(BarStreamCompetingSessionCleared)) == 1
    wire.line("market data is back")
    fires(wire)


# --- many, and for ever -----------------------------------------------------------------------------------------------


NAMES = tuple(f"{first}{second}" for first in "ABCDE" for second in "KLMNPQ")


def test_M13_thirty_streams_that_stall_at_once_come_back_one_after_the_other(make_wire: Make) -> None:
    """The nearest to its level first, one at a time, below the message limits, all within ten minutes.

    Kills: renewals of all at once; an order of symbols instead of urgency.
    """
    wire = make_wire(
        bar_health=BarHealthSettings(self_heal_enabled=True, recovery_cooldown_secs=1.0),
        symbols=("AAPL", *NAMES),
    )
    wire.trades_on = True
    wire.start_market()
    for number, symbol in enumerate(NAMES):
        wire.quote("190.00", "190.02", symbol=symbol)
        level = usd(200 + len(NAMES) - number)  # the last one is the nearest
        wire.watch(BRACKET, id_=f"br-{symbol}", symbol=symbol, level=level, tps=(usd(300),), chase_limit=None)
        wire.wait(2)
    wire.wait(120)
    (session,) = wire.gateway.sessions
    first = wire.t
    old = set(session.history.real_time)
    real = session.history._tell_real_time
    session.history._tell_real_time = lambda number, *more: None if number in old else real(number, *more)  # type: ignore[method-assign]  # nothing comes for what was asked for; what is asked for anew lives
    wire.wait(LIMIT + 600)
    assert len(wire.told(BarStreamStalled)) == len(NAMES)
    assert len(wire.told(BarStreamRecovered)) == len(NAMES)
    order = [event.symbol for event in wire.told(BarStreamRecoveryStarted)]
    assert order[0] == NAMES[-1]
    assert order == list(reversed(NAMES))
    spans = wire.when(BarStreamRecoveryStarted)
    assert all(later > earlier for earlier, later in pairwise(spans))
    assert max(Counter(int(at) for at, _ in wire.requests if at >= first).values()) < 45
    assert wire.healer.blind() == ()
    wire.line("1m bars are subscribed again")


def test_M14_recovery_that_gives_up_leaves_a_blind_watcher_and_tries_again_when_the_link_changes(
    make_wire: Make,
) -> None:
    """Five attempts in vain: an alarm, the watcher stays blind; after 1100 and 1102 it begins anew and succeeds.

    Kills: attempts without an end; a stream that is given up for the rest of the day.
    """
    wire = watched(make_wire(bar_health=HEAL))
    wire.switch(bars_silent=True)
    wire.wait(3600)
    failed = wire.told(BarStreamRecoveryFailed)
    assert (failed[-1].attempt, failed[-1].most, failed[-1].again_at) == (5, 5, None)
    attempts = len(wire.told(BarStreamRecoveryStarted))
    assert attempts == 5
    assert [stream.state for stream in wire.healer.blind()] == ["given up"]
    wire.line("1m bars do not come back (5 of 5)", "given up until the link changes", "blind: br-1")
    wire.wait(3600)
    assert len(wire.told(BarStreamRecoveryStarted)) == attempts
    wire.act("outage", seconds=5, code=1102)
    wire.wait(10)
    wire.switch(bars_silent=False)
    wire.wait(LIMIT + 60)
    assert wire.healer.blind() == ()
    fires(wire)
