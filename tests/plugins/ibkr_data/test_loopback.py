"""Market data over TCP from the paper gateway: bars and quotes against what the exchange really printed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.plugins.ibkr_data.venue import Pair, pair
from tradeshell import BrokerError, DataKind, StreamWord


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Pair]:
    """Return a gateway and an adapter that is connected to it."""
    with pair(tmp_path) as made:
        yield made


@pytest.mark.parametrize("seconds", [5, 60, 120, 180, 300])
def test_bars_of_every_length_are_those_of_the_exchange(venue: Pair, seconds: int) -> None:
    venue.watch(seconds)
    venue.advance(max(4 * seconds, 120) + 1)
    assert venue.bars == venue.truth(seconds)
    assert len(venue.bars) >= 3
