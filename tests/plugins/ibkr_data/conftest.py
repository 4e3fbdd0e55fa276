"""A desk for every test: market data over a fake link, on virtual time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.plugins.ibkr_data.kit import Desk, desk


@pytest.fixture
def at_desk() -> Iterator[Desk]:
    """Return a connected desk."""
    with desk() as made:
        made.connect()
        yield made
