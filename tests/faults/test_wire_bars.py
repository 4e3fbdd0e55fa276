"""Bars that stop, stutter, lie (group M of the scenarios): what the watcher sees, what is asked of the gateway, what is told.

Laws: as in ``test_wire_link``. The gateway makes its bars of what trades, unless a test sends them itself.
"""

# ids of scenarios have capital letters

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from tests.faults.kit import BRACKET, usd
from tests.faults.openings import FULL, buys
from tests.faults.scenes import stops
from tests.faults.wire_kit import WireStage
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
from tradeshell.core.events import DataRejected
from tradeshell.core.market import Bar
from tradeshell.upkeep import BarHealthSettings
from tradeshell_breakout.events import BreakoutBreakDetected, BreakoutConfirmed
from tradeshell_paper.tws import outgoing

Make = Callable[..., WireStage]
HEAL = BarHealthSettings(self_heal_enabled=True)
KEPT = {"real_time_bars": False}
LIMIT = 180.0  # seconds without data after which a stream of minutes counts as stalled


def watched(stage: WireStage, **more: Any) -> WireStage:
    """Let the market trade at 189.50, and a watcher look at it."""
    stage.start_market()
    stage.watch(**more)
    stage.wait(70)
    assert stage.sent == []
    return stage


def breaks(stage: WireStage, price: str = "190.01") -> None:
    """Trade above the level in the last seconds of the present minute, and let the minute end."""
    stage.wait(60 - stage.t % 60 - 2)
    stage.trade(price, 100)
    stage.wait(1)
    stage.quote("190.00", "190.02")
    stage.wait(4)


def requests(stage: WireStage, kind: int, since: float = 0) -> list[float]:
    """Return when bars were asked for."""
    return [at for at, what in stage.requests if what == kind and at >= since]


def fires(stage: WireStage) -> None:
    """Assert that the next break buys, once."""
    breaks(stage)
    assert buys(stage) == ["place"]
    assert len(stage.told(BreakoutConfirmed)) == 1
    assert stage.shares() == FULL


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


def fires_kept(stage: WireStage) -> None:
    """Assert that a break of a history that is kept up to date buys, once."""
    stage.wait(60 - stage.t % 60 - 2)
    stage.trade("190.01", 100)
    stage.quote("190.00", "190.02")
    stage.wait(2.5)
    stage.trade("190.01", 100)  # the next minute begins, and so this one is over
    stage.wait(6)
    assert buys(stage) == ["place"]
    assert len(stage.told(BreakoutConfirmed)) == 1


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


# --- bars that are not what they seem ---------------------------------------------------------------------------------


@pytest.mark.parametrize("broker", [{}, KEPT], ids=["parts", "kept"])
def test_M07_a_bar_that_still_forms_triggers_nothing(make_wire: Make, broker: dict[str, Any]) -> None:
    """190.20 after twenty seconds, 189.80 at its end; the next one closes above.

    Kills: updates of the forming bar that count as closed.
    """
    wire = watched(make_wire(broker=broker))
    wire.wait(60 - wire.t % 60 + 20)
    wire.trade("190.20", 100)
    wire.wait(20)
    wire.trade("189.80", 100)
    wire.wait(15)
    wire.wait(10)
    assert wire.sent == []
    assert wire.told(BreakoutConfirmed) == []
    (fires_kept if broker else fires)(wire)
    wire.line("trigger", "close 190.01")


def test_M08_each_bar_counts_once_with_its_last_word_and_older_ones_not_at_all(make_wire: Make) -> None:
    """A minute at 189.90, a revision to 190.10 when it is over, an older one at 190.30, the same twice: nothing; then a break.

    Kills: a revision that is handed on as another bar; a late older bar that is.
    """
    wire = watched(make_wire(broker=KEPT))
    (session,) = wire.gateway.sessions
    (number,) = session.history._kept
    wire.wait(60 - wire.t % 60)
    start = wire.now - timedelta(seconds=60)

    def told(at: datetime, close: str) -> None:
        bar = Bar(
            "AAPL", at, 60, usd("189.90"), max(usd("190.05"), usd(close)), usd("189.80"), usd(close), 500
        )
        line = outgoing.BarRow(
            str(int(at.timestamp())), bar.open, bar.high, bar.low, bar.close, 500, bar.close, 5
        )
        wire.inside(lambda: session.send(outgoing.historical_update(number, line)))

    for _ in range(2):
        told(start, "189.90")
    told(start + timedelta(seconds=60), "189.90")
    wire.wait(2)
    told(start, "190.10")
    told(start - timedelta(seconds=60), "190.30")
    told(start, "190.10")
    wire.wait(5)
    assert wire.told(BreakoutConfirmed) == []
    assert wire.sent == []
    wire.trade("190.01", 100)
    fires_kept(wire)
    wire.line("trigger", "close 190.01")


def epoch(text: str) -> datetime:
    """Return the instant of an epoch second."""
    return datetime.fromtimestamp(int(text), UTC)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "epoch": str,
    "eastern": lambda text: f"{epoch(text) - timedelta(hours=4):%Y%m%d %H:%M:%S} US/Eastern",
    "new york": lambda text: f"{epoch(text) - timedelta(hours=4):%Y%m%d %H:%M:%S} America/New_York",
    "utc": lambda text: f"{epoch(text):%Y%m%d-%H:%M:%S}",
    "zurich": lambda text: f"{epoch(text) + timedelta(hours=2):%Y%m%d %H:%M:%S} Europe/Zurich",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_M09_a_bar_is_the_same_whatever_zone_its_time_is_written_in(make_wire: Make, spelling: str) -> None:
    """Kills: a time without its zone that is taken for that of this computer."""
    wire = make_wire(broker=KEPT)
    wire.respell = SPELLINGS[spelling]
    watched(wire)
    fires_kept(wire)
    (trigger,) = wire.told(BreakoutConfirmed)
    assert trigger.bar_start == wire.clock.start + timedelta(
        seconds=wire.when(BreakoutConfirmed)[0] // 60 * 60 - 60
    )
    wire.line("trigger", "close 190.01")


@pytest.mark.parametrize(
    "close, more",
    [("0", {}), ("-1", {}), ("NaN", {}), ("1e9", {}), ("190.10", {"low": "190.50", "high": "190.00"})],
)
def test_M11_a_bar_that_cannot_be_true_is_told_and_triggers_nothing(
    wire: WireStage, close: str, more: Any
) -> None:
    """Kills: a check of bars that looks at their order only, or not at all."""
    wire.watch()
    wire.wait(60 - wire.t % 60)
    good = wire.bar("190.10")
    low, high = (Decimal(more.get(name, close)) for name in ("low", "high"))
    bad = Bar("AAPL", good.start, 60, Decimal(close), high, low, Decimal(close), 1000)
    wire.tell_bar(bad)
    wire.wait(5)
    assert wire.told(BreakoutConfirmed) == []
    assert wire.told(BreakoutBreakDetected) == []
    (rejected,) = wire.told(DataRejected)
    assert rejected.symbol == "AAPL"
    wire.line("AAPL", "bar", "o ")
    wire.close_bar("190.01")
    wire.wait(2)
    assert buys(wire) == ["place"]


@pytest.mark.parametrize("broker", [{}, KEPT], ids=["parts", "kept"])
def test_M12_a_halt_is_no_stall(make_wire: Make, broker: dict[str, Any]) -> None:
    """Ten minutes without a bar while trading is halted; the first bar afterwards counts like any other.

    Kills: silence that is measured while a symbol is halted.
    """
    wire = watched(make_wire(bar_health=HEAL, broker=broker))
    wire.halt()
    wire.switch(bars_silent=True)
    began = wire.t
    wire.wait(600)
    assert wire.told(BarStreamStalled) == []
    assert wire.told(BarStreamRecoveryStarted) == []
    assert requests(wire, REAL_TIME, began) == []
    assert len(requests(wire, HISTORY, began)) <= 1  # what became of the minute of the halt
    wire.switch(bars_silent=False)
    wire.halt(on=False)
    (fires_kept if broker else fires)(wire)
    wire.line("trigger", "close 190.01")


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
        wire.watch(
            id_=f"br-{symbol}",
            kind=BRACKET,
            symbol=symbol,
            level=usd(200 + len(NAMES) - number),
            tps=(usd(300),),
            chase_limit=None,
        )
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


def test_M16_a_bar_that_was_over_before_the_start_does_not_fire_and_the_one_that_forms_does_at_its_close(
    make_wire: Make,
) -> None:
    """The watcher starts forty seconds into a minute; the minute before closed above the level.

    Kills: history that is handed on as live bars.
    """
    wire = make_wire(broker=KEPT)
    wire.start_market("190.30")
    wire.wait(60 - wire.t % 60 + 40)
    wire.watch()
    wire.wait(5)
    assert wire.told(BreakoutConfirmed) == []
    fires_kept(wire)
    (fired,) = wire.when(BreakoutConfirmed)
    assert 120 <= fired < 122
    wire.line("trigger", "close 190.01")
