"""`plan` over the wire asks the broker what the entry would change, by an order of which nothing comes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from ib_async.order import OrderState as Told
from tests.gateway.process import running_gateway

from tradeshell import Margin
from tradeshell_ibkr.preview import margin_of

pytestmark = pytest.mark.timeout(120)


def test_margin_comes_from_the_broker_and_no_order_is_left(tmp_path: Path) -> None:
    with running_gateway(tmp_path / "gateway", "--market", "AAPL=189") as gateway:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("IB_", "APPS_"))}
        words = [
            sys.executable,
            "-m",
            "tradeshell",
            "--state-dir",
            str(tmp_path),
            "--broker",
            "ibkr",
            "--json",
        ]
        words += [
            "-c",
            "plan AAPL 190 100 tp=195 sl=187",
            "-c",
            "orders show=all",
            "-c",
            "plan AAPL 190 49000 sl=187",
        ]
        done = subprocess.run(
            words,
            env=environ | {"IB_PORT": str(gateway.port)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    results = [each for line in done.stdout.splitlines() if "result" in (each := json.loads(line))]
    planned, orders, large = (each["data"] for each in results)
    assert Decimal(planned["margin"]["initial"]) > 0
    assert Decimal(planned["margin"]["commission"]) > 0
    assert Decimal(planned["margin"]["equity_after"]) > Decimal(planned["margin"]["initial_after"])
    assert planned["margin_refused"] is None
    assert orders == []
    assert large["margin"] is not None or large["margin_refused"]


def test_what_the_broker_leaves_out_is_not_a_number() -> None:
    told = Told(initMarginChange="4750.0", maintMarginChange="", equityWithLoanAfter="1.7976931348623157E308")
    told.commission = 1.7976931348623157e308
    assert margin_of(told) == Margin(initial=Decimal("4750.0"))
