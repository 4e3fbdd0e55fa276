"""Targets from bars: highs first, nearest first, the strongest of near ones, projections beyond."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.tp_auto.bars import OPEN, drawn, quiet

from tradeshell import US_STOCK_GRID, Bar
from tradeshell_tp_auto.calculator import (
    GAP,
    RUNNER,
    Found,
    Scale,
    begin_of_scale,
    highs_of,
    is_other_scale,
    scale_of,
    source_of,
    targets_from,
)

GRID = US_STOCK_GRID


def scale(bars: Sequence[Bar]) -> Scale:
    found = scale_of(bars, source_of(bars, rth=True, cut=False))
    assert found is not None
    return found


def found(bars: Sequence[Bar], anchor: str, count: int = 3) -> Found:
    source = source_of(bars, rth=True, cut=False)
    highs = highs_of(bars, source, Decimal(anchor), GRID)
    return targets_from(highs, Decimal(anchor), count, scale(bars), GRID)


def prices(bars: Sequence[Bar], anchor: str, count: int = 3) -> list[str]:
    return [str(target.price) for target in found(bars, anchor, count).targets]


def peaks(*tops: float) -> list[float]:
    """Return highs of a day around 100 with these peaks, one after the other."""
    highs = quiet(20)
    for top in tops:
        highs += [round(top - 0.2, 2), top, round(top - 0.2, 2), *quiet(20)]
    return highs


def test_targets_are_the_earlier_highs_above_the_level_from_below() -> None:
    assert prices(drawn(peaks(110, 105, 103)), "101") == ["103", "105", "110"]


def test_the_price_of_a_target_is_one_that_traded_and_its_words_say_when() -> None:
    (target,) = found(drawn(peaks(105)), "101", 1).targets
    assert target.price == Decimal(105)
    assert target.why == "high of Mar 2 11:15, 1000 shares · 5m bars, 1 day"


def test_a_high_between_two_prices_of_the_grid_gives_the_one_below() -> None:
    assert prices(drawn(peaks(105.2575)), "101", 1) == ["105.25"]


def test_highs_close_to_one_another_are_one_level_with_its_touches_and_volume_at_the_lowest() -> None:
    (target,) = found(drawn(peaks(105.1, 105, 105.04)), "101", 1).targets
    assert target.price == Decimal(105)
    assert target.why.startswith("3 highs 105.00–105.10, 3000 shares · ")


def test_of_levels_within_one_gap_the_one_that_was_touched_more_often_counts() -> None:
    bars = drawn(peaks(105, 105.3, 105.31))
    assert float(scale(bars).part(GAP)) > 0.3 > float(scale(bars).part(0.05))
    assert prices(bars, "101", 1) == ["105.3"]


def test_of_levels_touched_as_often_the_one_with_more_volume_counts() -> None:
    highs = peaks(105, 105.3)
    bars = drawn(highs)
    bars[highs.index(105.3)] = drawn([105.3], start=bars[highs.index(105.3)].start, volume=5000)[0]
    assert prices(bars, "101", 1) == ["105.3"]


def test_a_high_that_is_nearer_than_the_gap_is_no_target() -> None:
    bars = drawn(peaks(105, 101.2))
    assert scale(bars).part(GAP) > Decimal("0.2")
    assert prices(bars, "101", 1) == ["105"]


def test_equal_highs_side_by_side_are_one_touch() -> None:
    bars = drawn([*quiet(6), 104, 105, 105, 104, *quiet(8)])
    assert found(bars, "101", 1).targets[0].why.startswith("high of ")


@pytest.mark.parametrize("where", ["first", "last"])
def test_the_highest_bar_counts_also_at_an_end_of_the_past(where: str) -> None:
    highs = [104.0, *quiet(20)] if where == "first" else [*quiet(20), 104.0]
    assert prices(drawn(highs), "101", 1) == ["104.0"]


def test_the_last_of_several_is_a_runner_where_a_high_lies_so_far() -> None:
    bars = drawn(peaks(110, 102.1, 101.5))
    runner = scale(bars).part(RUNNER)
    assert Decimal("1.1") < runner < Decimal(9)
    answer = found(bars, "101", 2)
    assert [str(target.price) for target in answer.targets] == ["101.5", "110"]
    assert answer.is_settled


def test_a_runner_without_a_high_so_far_takes_the_farthest_and_asks_for_more_past() -> None:
    bars = drawn(peaks(102.1, 101.5))
    answer = found(bars, "101", 2)
    assert [str(target.price) for target in answer.targets] == ["101.5", "102.1"]
    assert not answer.is_settled


def test_beyond_the_last_high_targets_are_projected_and_say_so() -> None:
    bars = drawn(peaks(105))
    answer = found(bars, "101", 3)
    first, second, third = answer.targets
    assert first.price == Decimal(105)
    for target in (second, third):
        assert target.why.startswith("projected ")
        assert "no earlier high from " in target.why
    assert not answer.is_settled


def test_without_a_high_above_targets_are_parts_of_a_days_range() -> None:
    bars = drawn(quiet(40))
    day = scale(bars).part(1)
    targets = found(bars, "101", 3).targets
    for target, part in zip(targets, (Decimal("0.25"), Decimal("0.5"), Decimal(1)), strict=True):
        assert abs(target.price - 101 - day * part) < Decimal("0.02")
        assert f"projected {part:.2f} of a day's range" in target.why
    assert "ATR 0.40" in targets[0].why


def test_one_target_alone_is_projected_half_a_days_range_away() -> None:
    bars = drawn(quiet(40))
    (target,) = found(bars, "101", 1).targets
    assert abs(target.price - 101 - scale(bars).part(0.5)) < Decimal("0.02")


def test_too_few_bars_and_bars_that_do_not_move_give_no_scale() -> None:
    few = drawn(quiet(14))
    assert scale_of(few, source_of(few, rth=True, cut=False)) is None
    flat = [Bar("AAPL", bar.start, 300, *(Decimal(100),) * 4, 1) for bar in drawn(quiet(40))]
    assert scale_of(flat, source_of(flat, rth=True, cut=False)) is None


def test_one_false_print_does_not_make_every_distance_larger() -> None:
    bars = drawn(quiet(40))
    bars[20] = Bar("AAPL", bars[20].start, 300, Decimal(100), Decimal(190), Decimal(99), Decimal(100), 1)
    assert scale(bars).atr < 1.2 * scale(drawn(quiet(40))).atr


def test_a_stock_that_mostly_stands_still_has_a_range_all_the_same() -> None:
    bars = [Bar("AAPL", bar.start, 300, *(Decimal(100),) * 4, 1) for bar in drawn(quiet(30))]
    bars[10] = drawn([101], start=bars[10].start)[0]
    assert scale(bars).atr > 0


def test_a_night_is_no_part_of_a_true_range() -> None:
    day, next_day = drawn(quiet(20)), drawn(quiet(20, 120), start=OPEN + timedelta(days=1))
    assert scale(day + next_day).atr == pytest.approx(scale(day).atr)


def test_a_day_has_the_same_range_whatever_the_length_of_the_bars() -> None:
    bars = drawn(quiet(30))
    twice = [
        Bar("AAPL", bar.start, 1200, bar.open, bar.high + Decimal("0.4"), bar.low, bar.close, 1)
        for bar in bars
    ]
    assert scale(twice).day_range == pytest.approx(scale(bars).day_range, rel=0.01)


# --- another scale ----------------------------------------------------------------------------------------------------


def test_the_past_before_a_split_overnight_is_another_scale() -> None:
    old, new = drawn(quiet(20, 700)), drawn(quiet(20), start=OPEN + timedelta(days=1))
    assert begin_of_scale(old + new) == new[0].start
    assert begin_of_scale(new) is None


def test_a_gap_that_news_can_make_is_no_split() -> None:
    old, new = drawn(quiet(20, 125)), drawn(quiet(20), start=OPEN + timedelta(days=1))
    assert begin_of_scale(old + new) is None


def test_within_a_day_only_a_price_that_doubles_or_halves_from_bar_to_bar_is_another_scale() -> None:
    later = OPEN + timedelta(hours=2)
    assert begin_of_scale(drawn(quiet(20, 150)) + drawn(quiet(20), start=later)) is None
    assert begin_of_scale(drawn(quiet(20, 220)) + drawn(quiet(20), start=later)) == later


def test_a_bar_with_prices_of_both_scales_belongs_to_neither() -> None:
    bars = drawn(quiet(20))
    bars[3] = Bar("AAPL", bars[3].start, 300, Decimal(700), Decimal(700), Decimal(99), Decimal(100), 1)
    assert begin_of_scale(bars) == bars[3].end


@pytest.mark.parametrize(
    "anchor, other", [("70", True), ("80", False), ("101", False), ("190", False), ("210", True)]
)
def test_a_level_far_below_the_last_price_or_beyond_twice_it_is_of_another_scale(
    anchor: str, other: bool
) -> None:
    assert is_other_scale(drawn(quiet(5)), Decimal(anchor)) is other
    assert not is_other_scale([], Decimal(anchor))


# --- whatever the past ------------------------------------------------------------------------------------------------

STEPS = st.lists(st.integers(-60, 60), min_size=20, max_size=120)


@given(
    steps=STEPS,
    start=st.sampled_from([42, 900, 19_000, 60_000]),
    over=st.integers(-200, 200),
    count=st.integers(1, 4),
)
def test_targets_rise_on_the_grid_a_gap_apart_and_highs_come_before_projections(
    steps: list[int], start: int, over: int, count: int
) -> None:
    unit = Decimal(start) / 100 / 1000
    mid, bars = Decimal(start) / 100, []
    for number, step in enumerate(steps):
        opened, mid = mid, mid + unit * step / 10
        high, low = GRID.nearest(max(opened, mid) + unit), GRID.nearest(min(opened, mid) - unit)
        at = OPEN + number * timedelta(minutes=5)
        bars.append(Bar("AAPL", at, 300, GRID.nearest(opened), high, low, GRID.nearest(mid), 100 + number))
    anchor = GRID.nearest(mid + unit * over / 10)
    source = source_of(bars, rth=True, cut=False)
    measure = scale_of(bars, source)
    if measure is None:
        return
    targets = targets_from(highs_of(bars, source, anchor, GRID), anchor, count, measure, GRID).targets
    assert len(targets) == count
    gap = max(measure.part(GAP), GRID.increment(anchor))
    last = anchor
    is_projected = False
    for target in targets:
        assert GRID.holds(target.price)
        assert target.price >= last + gap
        assert target.why.isprintable()
        assert len(target.why) <= 200
        if not target.why.startswith("projected"):
            assert not is_projected
            assert any(GRID.down(bar.high) == target.price for bar in bars)
        else:
            is_projected = True
            assert not any(bar.high >= GRID.up(last + GRID.up(gap)) for bar in bars)
        last = target.price
