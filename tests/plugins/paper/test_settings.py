"""The table of settings."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.plugins.paper.venue import ny, order

from tradeshell import ConfigError
from tradeshell_paper.settings import Fees, Refusal, Rules, Settings, read_settings


def test_an_empty_table_is_a_clean_venue() -> None:
    assert read_settings({}) == Settings()


def test_every_key_is_read() -> None:
    settings = read_settings(
        {
            "account": "DU7654321",
            "first_order_id": 100,
            "first_execution": 50,
            "latency": 0.25,
            "partial": True,
            "bar_share": 0.05,
            "fee_per_share": "0.0035",
            "fee_minimum": 0.35,
            "fee_max_share": 0.005,
            "oca_cancel_spreads": False,
            "oca_shows": "remaining",
            "oca_race": True,
            "chased_stops": False,
            "partial_parent": "hold",
            "reduced_to_filled": "filled",
        }
    )
    assert settings == Settings(
        first_order_id=100,
        latency=0.25,
        rules=Rules(
            account="DU7654321",
            first_execution=50,
            partial=True,
            bar_share=Decimal("0.05"),
            fees=Fees(per_share=Decimal("0.0035"), minimum=Decimal("0.35"), max_share=Decimal("0.005")),
            oca_cancel_spreads=False,
            oca_shows_total=False,
            oca_race=True,
            chased_stops=False,
            holds_orphans=True,
            reduced_is_filled=True,
        ),
    )


@pytest.mark.parametrize(
    "table, words",
    [
        ({"latencey": 1}, "no setting 'latencey' · did you mean latency?"),
        ({"qqq": 1}, "no setting 'qqq' · known: account"),
        ({"latency": -1}, "latency = -1: is a number of seconds"),
        ({"latency": float("nan")}, "latency = nan"),
        ({"partial": "yes"}, "partial = 'yes': is true or false"),
        ({"account": "U1234567"}, "a paper account begins with D"),
        ({"account": "??"}, "account = '??'"),
        ({"fee_minimum": -1}, "fee_minimum = -1"),
        ({"bar_share": 2}, "bar_share = 2"),
        ({"oca_shows": "both"}, "is one of total remaining"),
        ({"first_order_id": 0}, "first_order_id = 0"),
        ({"refuse": "all"}, "refuse = 'all': is a list of tables"),
        ({"refuse": [{"side": "BOTH"}]}, "side = 'BOTH': is one of BUY SELL"),
        ({"refuse": [{"cod": 201}]}, "[[brokers.paper.refuse]] has no setting 'cod' · did you mean code?"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_line(table: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(table)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_of_refusals_match_by_symbol_side_type_and_leg_and_wear_out() -> None:
    rule = read_settings(
        {"refuse": [{"leg": "sl1", "code": 404, "text": "held", "times": 1}, {"symbol": "XYZ"}]}
    ).rules.refuse
    assert rule is not None
    stop = order("SELL", 1, "STP 9", "ts:br-1:sl1:1")
    assert rule(stop, ny("10:00")) == Refusal(404, "held")
    assert rule(stop, ny("10:00")) is None
    assert rule(order("BUY", 1, "MKT", "ts:br-1:entry:1"), ny("10:00")) is None
    foreign = rule(order("BUY", 1, symbol="XYZ"), ny("10:00"))
    assert foreign is not None
    assert foreign.code == 201
