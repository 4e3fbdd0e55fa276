"""The adapter for Interactive Brokers keeps the broker contract: ib_async, TCP, and a gateway in another process."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.contract.ibkr_gateway import GatewayUnderTest

from tradeshell.testing.broker_contract import BrokerContract, BrokerUnderTest

pytestmark = pytest.mark.slow


class TestIbkr(BrokerContract):
    """Every card that the gateway can be asked for."""

    def under_test(self, tmp_path: Path) -> BrokerUnderTest:
        """Return an adapter and a gateway of its own."""
        return GatewayUnderTest(tmp_path)
