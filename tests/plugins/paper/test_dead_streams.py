"""Streams of bars that go dead on demand: what is heard, and what a fresh subscription hears."""

from __future__ import annotations

from typing import Any

import pytest
from tests.plugins.paper.venue import NEW_YORK, Venue, minutes, on_venue

from tradeshell import Bar, ConfigError, Diagnosable, KeepsTime, StreamWitness
from tradeshell_paper.settings import read_settings

BARS = minutes("09:30", 60)


def heard(dead: Any, *, again_at: str = "") -> list[str]:
    """Return at which New York minutes a bar was heard, by one that subscribes at the open, and anew at ``again_at``."""

    async def work(venue: Venue) -> list[str]:
        got: list[Bar] = []
        handle = venue.broker.subscribe("ABC", 60, True, got.append)
        if again_at:
            await venue.until(again_at)
            handle.cancel()
            venue.broker.subscribe("ABC", 60, True, got.append)
        await venue.until("10:20")
        return [f"{bar.end.astimezone(NEW_YORK):%H:%M}" for bar in got]

    return on_venue(work, bars=BARS, dead_streams=dead)


def test_a_dead_subscription_hears_nothing_any_more_and_a_new_one_does() -> None:
    assert heard("ABC@09:40")[-1] == "09:40"
    found = heard(["ABC@09:40"], again_at="09:45:30")
    assert found[found.index("09:40") + 1] == "09:46"


def test_an_outage_is_deaf_for_everybody_and_ends_by_itself() -> None:
    found = heard("ALL@09:40-09:50", again_at="09:45:30")
    assert found[found.index("09:40") + 1] == "09:51"


def test_streams_of_other_symbols_are_left_alone() -> None:
    assert "09:55" in heard("XYZ@09:40")


def test_the_broker_says_when_a_dead_stream_was_heard_last() -> None:
    async def work(venue: Venue) -> tuple[bool, float]:
        assert isinstance(venue.broker, StreamWitness)
        venue.broker.subscribe("ABC", 60, True, lambda bar: None)
        await venue.until("09:35")
        alive = venue.broker.last_heard("ABC", 60, True) == venue.clock.now()
        await venue.until("09:41")
        before = venue.broker.last_heard("ABC", 60, True)
        await venue.until("10:00")
        after = venue.broker.last_heard("ABC", 60, True)
        assert before is not None
        assert after is not None
        return alive, (after - before).total_seconds()

    assert on_venue(work, bars=BARS, dead_streams="ABC@09:40") == (True, 0.0)


@pytest.mark.parametrize("value", ["ABC", "ABC@25:00", "ABC@9:40", "ABC@10:00-09:00", 7, [7], "@09:40"])
def test_what_cannot_be_understood_is_refused_with_the_rule(value: Any) -> None:
    with pytest.raises(ConfigError, match="dead_streams"):
        read_settings({"dead_streams": value})


def test_the_venue_can_be_examined_and_asked_for_its_time() -> None:
    async def work(venue: Venue) -> list[str]:
        broker = venue.broker
        assert isinstance(broker, Diagnosable)
        assert isinstance(broker, KeepsTime)
        assert await broker.broker_time() == venue.clock.now()
        return [finding.name for finding in await broker.examine()]

    assert on_venue(work, bars=BARS) == ["venue", "account", "market data"]
