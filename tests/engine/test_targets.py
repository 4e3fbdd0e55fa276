"""What a method is told, what it may see, and what its failures cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from tradeshell import Bar, BrokerError, Instrument, OperatorError, PastBars, Target, TargetsWanted
from tradeshell.engine.targets import compute_targets
from tradeshell.errors import PluginError, TradeshellError
from tradeshell.ports import TakeProfitOffer

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
ONE = Decimal(1)


def bar(start: datetime, seconds: int = 60) -> Bar:
    return Bar("AAPL", start, seconds, ONE, ONE, ONE, ONE, 100)


def trading(*bars: Bar) -> Any:
    return SimpleNamespace(
        view=lambda: SimpleNamespace(now=NOON),
        instrument=lambda symbol: Instrument(symbol=symbol, con_id=1),
        history=lambda symbol, seconds, count, rth: bars,
    )


def ask(
    find: Callable[[TargetsWanted, PastBars], Sequence[Target]], *bars: Bar, level: str = "190"
) -> tuple[Target, ...]:
    offers = {"mine": TakeProfitOffer(find=find, words="")}
    return compute_targets(
        trading(*bars), offers, "mine", "AAPL", Decimal(level), 1, rth=False, sl=Decimal(187)
    )


def far(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
    return [Target(price=wanted.anchor_price + 5, why="far away")]


def test_a_method_is_told_what_is_wanted_and_its_answer_comes_back() -> None:
    told: list[TargetsWanted] = []

    def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
        told.append(wanted)
        return far(wanted, bars)

    assert ask(find) == (Target(price=Decimal(195), why="far away"),)
    assert told == [
        TargetsWanted(symbol="AAPL", anchor_price=Decimal(190), count=1, at=NOON, rth=False, sl=Decimal(187))
    ]


def test_the_anchor_is_the_level_on_the_grid_as_the_watcher_will_have_it() -> None:
    assert ask(far, level="190.001")[0].price == Decimal("195.01")


def test_a_bar_that_had_not_closed_when_the_method_was_asked_is_kept_from_it() -> None:
    closed, forming, later = bar(NOON - timedelta(minutes=1)), bar(NOON - timedelta(seconds=59)), bar(NOON)
    seen: list[Bar] = []

    def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
        seen.extend(bars(60, 10, True))
        return far(wanted, bars)

    ask(find, closed, forming, later)
    assert seen == [closed]


def test_a_method_that_is_not_there_is_refused_with_those_that_are() -> None:
    offers = {"auto": TakeProfitOffer(find=far, words="")}
    with pytest.raises(
        OperatorError, match=r"^tp=atuo: is neither a price nor a method .* methods: tp=auto$"
    ):
        compute_targets(trading(), offers, "atuo", "AAPL", Decimal(190), 1, rth=True, sl=None)
    with pytest.raises(OperatorError, match="methods: none is installed"):
        compute_targets(trading(), {}, "auto", "AAPL", Decimal(190), 1, rth=True, sl=None)


@pytest.mark.parametrize("error", [OperatorError("tp=mine: no"), BrokerError("AAPL: no history")])
def test_a_refusal_of_a_method_is_shown_as_it_stands(error: TradeshellError) -> None:
    def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
        raise error

    with pytest.raises(type(error), match=str(error)):
        ask(find)


def test_a_defect_of_a_method_costs_its_line_only() -> None:
    def find(wanted: TargetsWanted, bars: PastBars) -> list[Target]:
        raise ZeroDivisionError("by zero\nand more")

    with pytest.raises(
        PluginError, match=r"^tp=mine failed: ZeroDivisionError: by zero and more · nothing was started"
    ):
        ask(find)


def test_an_answer_that_breaks_a_rule_is_refused() -> None:
    with pytest.raises(PluginError, match="tp=mine: 1 targets were asked for, 0 came"):
        ask(lambda wanted, bars: [])
