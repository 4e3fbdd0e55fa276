"""An answer of a method becomes targets only when it breaks no rule."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tradeshell import Target, TargetsWanted
from tradeshell.core.targets import LONGEST_REASON, check_targets
from tradeshell.errors import PluginError

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)


def wanted(count: int = 2, anchor: str = "190") -> TargetsWanted:
    return TargetsWanted(symbol="AAPL", anchor_price=Decimal(anchor), count=count, at=NOON)


def targets(*prices: str, why: str = "a high") -> list[Target]:
    return [Target(price=Decimal(price), why=why) for price in prices]


def test_targets_that_rise_on_the_grid_are_taken_as_they_are() -> None:
    found = targets("190.01", "195.5")
    assert check_targets("mine", wanted(), found) == tuple(found)


@pytest.mark.parametrize(
    "found, said",
    [
        (7, "answered with something else than targets"),
        ("ab", "answered with something else than targets"),
        ([1, 2], "answered with something else than targets"),
        ([], "2 targets were asked for, 0 came"),
        (targets("195"), "2 targets were asked for, 1 came"),
        (targets("195", "196", "197"), "2 targets were asked for, 3 came"),
        (targets("190", "195"), "tp1 190 does not lie above the level 190.00"),
        (targets("189", "195"), "tp1 189 does not lie above the level 190.00"),
        (targets("195", "195"), "tp2 195 does not lie above tp1 195.00"),
        (targets("NaN", "195"), "tp1 NaN does not lie above the level"),
        (targets("195", "Infinity"), "tp2 Infinity does not lie above tp1"),
        (targets("195.005", "196"), "tp1 195.005 is not on the price grid"),
        (targets("195", "196", why="  "), "tp1 does not say in one line"),
        (targets("195", "196", why="a\nb"), "tp1 does not say in one line"),
        (targets("195", "196", why="x" * (LONGEST_REASON + 1)), "tp1 does not say in one line"),
    ],
)
def test_an_answer_that_breaks_a_rule_is_refused_in_one_line_that_names_the_method(
    found: Any, said: str
) -> None:
    with pytest.raises(PluginError) as caught:
        check_targets("mine", wanted(), found)
    assert str(caught.value).startswith("tp=mine: ")
    assert said in str(caught.value)
    assert "nothing was started" in str(caught.value)
    assert "\n" not in str(caught.value)
