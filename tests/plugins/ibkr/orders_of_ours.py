"""Orders as the core asks for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace
from tests.plugins.ibkr.peer import ACCOUNT

from tradeshell import OrderSpec, OrderType, Side, Tif

REF = "ts:br1:sl1:1"


def stop(ref: str = REF, **changes: Any) -> OrderSpec:
    spec = OrderSpec(
        ref=ref,
        symbol="AAPL",
        con_id=265598,
        account=ACCOUNT,
        side=Side.SELL,
        qty=100,
        type=OrderType.STOP_LIMIT,
        limit=Decimal("187.00"),
        stop=Decimal("187.00"),
        tif=Tif.GTC,
    )
    return replace(spec, **changes)


def entry(ref: str = "ts:br1:entry:1", **changes: Any) -> OrderSpec:
    values: dict[str, Any] = {
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "limit": Decimal("190.1"),
        "stop": None,
        "tif": Tif.DAY,
    }
    return stop(ref, **(values | changes))
