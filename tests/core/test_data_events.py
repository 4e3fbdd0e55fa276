"""What is told of streams of bars and of logs, word by word: length, time, who is blind, and what to do."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tradeshell.core import data_events as e
from tradeshell.core.events import Event, Weight

AT = datetime(2025, 7, 8, 14, 31, 40, tzinfo=UTC)
STREAM: dict[str, Any] = {"symbol": "AAPL", "seconds": 60, "rth": True, "watches": ("br-1",)}


@pytest.mark.parametrize(
    "event, words",
    [
        (
            e.BarStreamStalled(**STREAM, silent=200.0, limit=180.0),
            "1m bars have stalled: none for 200 s, 180 s are allowed · blind: br-1 · nothing is entered on old data",
        ),
        (
            e.BarStreamStalled(**STREAM, silent=200.0, limit=180.0, code=162, reason="pacing"),
            "1m bars have stalled: pacing (162) · blind: br-1 · nothing is entered on old data",
        ),
        (
            e.BarStreamStalled(
                symbol="X", seconds=3600, rth=True, silent=1.0, limit=1.0, reason="the feed ended"
            ),
            "1h bars have stalled: the feed ended · nothing is entered on old data",
        ),
        (
            e.BarStreamRecovered(symbol="X", seconds=5, rth=False, by="self", silent=700.0),
            "5s bars come again by itself, silent for 12 min",
        ),
        (
            e.BarStreamRecovered(**STREAM, by="resubscription", silent=95.0, attempts=1, missed=2),
            "1m bars come again after 1 new subscription, silent for 95 s · 2 bars missed, they decide nothing",
        ),
        (e.BarStreamRecoveryStarted(**STREAM, attempt=2, most=5), "1m bars are subscribed again (2 of 5)"),
        (
            e.BarStreamRecoveryFailed(**STREAM, attempt=2, most=5, reason="no bar", again_at=AT),
            "1m bars do not come back (2 of 5): no bar · tried again",
        ),
        (
            e.BarStreamRecoveryFailed(**STREAM, attempt=5, most=5, reason="no bar"),
            (
                "1m bars do not come back (5 of 5): no bar · given up until the link changes · blind: br-1 · "
                "`disconnect`, `connect` tries again"
            ),
        ),
        (e.BarStreamRecoveryScanScheduled(next_at=AT, waiting=3), None),
        (
            e.BarStreamGapRead(**STREAM, count=1, low=Decimal("189.1"), high=Decimal(190)),
            "1 missed bar between 189.10 and 190.00 · what happened in them triggers nothing",
        ),
        (
            e.BarStreamCompetingSessionBlocked(code=10197, reason="competing live session"),
            (
                "another session of this login takes the market data (10197: competing live session) · log that one off, "
                "or give it a user of its own; streams are not asked for again before data is back"
            ),
        ),
        (
            e.BarStreamCompetingSessionCleared(by="data", blocked=95.0),
            "market data is back after 95 s: the other session has let go of it",
        ),
        (
            e.BarStreamCompetingSessionCleared(by="link", blocked=95.0),
            "a new connection: market data is asked for again",
        ),
        (
            e.LogFailed(log="ops", reason="disk full"),
            "the ops log cannot be written: disk full · trading goes on, `tail ops` shows how far it goes",
        ),
    ],
)
def test_each_says_what_happened_and_what_it_means(event: Event, words: str | None) -> None:
    assert event.story() == words
    expected = "log" if isinstance(event, e.LogFailed) else "data"
    assert words is None or event.label() == expected


def test_a_stream_that_is_given_up_is_an_alarm_and_one_that_is_tried_again_is_not() -> None:
    tried = e.BarStreamRecoveryFailed(**STREAM, attempt=2, most=5, reason="no bar", again_at=AT)
    given_up = e.BarStreamRecoveryFailed(**STREAM, attempt=5, most=5, reason="no bar")
    assert (tried.how(), given_up.how()) == (Weight.BAD, Weight.ALARM)
