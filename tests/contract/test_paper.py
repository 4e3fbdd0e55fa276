"""The paper venue in this process keeps the broker contract."""

from __future__ import annotations

from pathlib import Path

from tests.contract.paper_venue import PaperUnderTest

from tradeshell.testing.broker_contract import BrokerContract, BrokerUnderTest


class TestPaper(BrokerContract):
    """Every card that a venue without a life of its own can be asked for."""

    def under_test(self, tmp_path: Path) -> BrokerUnderTest:
        """Return a fresh venue."""
        return PaperUnderTest()
