"""The scripted broker of the testing kit keeps the broker contract, and says what a test tells it to."""

from __future__ import annotations

from pathlib import Path

from tests.contract.scripted_venue import ScriptedUnderTest

from tradeshell.testing.broker_contract import BrokerContract, BrokerUnderTest


class TestScripted(BrokerContract):
    """Every card but those about families, groups and extended hours."""

    def under_test(self, tmp_path: Path) -> BrokerUnderTest:
        """Return a fresh venue."""
        return ScriptedUnderTest()
