"""How much of the past is looked at, what a projection rests on, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.plugins.tp_auto.bars import NOON, OPEN, Past, drawn, quiet, wanted

from tradeshell import Bar, BrokerError, OperatorError
from tradeshell_tp_auto.service import STEPS, find_targets

DAY = timedelta(days=1)
NEAR = [*quiet(8), 104.8, 105.0, 104.8, *quiet(12)]
NO_DATA = BrokerError("AAPL: no history: IBKR says 162: HMDS query returned no data")


def test_the_nearest_past_is_enough_when_it_has_the_targets() -> None:
    past = Past({300: drawn([*NEAR[:-1], 110])})
    targets = find_targets(wanted("101", 2), past)
    assert [target.price for target in targets] == [Decimal("105.0"), Decimal(110)]
    assert past.asked == [(300, True), (60, True)]


def test_where_the_nearest_past_has_no_high_above_older_and_coarser_bars_are_looked_at() -> None:
    older = drawn([*quiet(10), 106, *quiet(10)], seconds=3600, start=OPEN - 20 * DAY)
    past = Past({300: drawn(quiet(20)), 3600: older})
    (target,) = find_targets(wanted("101", 1), past)
    assert target.price == Decimal(106)
    assert target.why.endswith("1h bars, 2 days")
    assert past.asked == [(300, True), (60, True), (900, True), (3600, True)]


def test_a_high_that_was_seen_in_fine_bars_is_not_counted_again_in_coarse_ones() -> None:
    coarse = drawn([100, 105, *quiet(14)], seconds=900, start=OPEN)
    past = Past({300: drawn(NEAR), 900: coarse})
    first, _ = find_targets(wanted("101", 2), past)
    assert first.why.startswith("high of Mar 2 10:15, 1000 shares")


def test_all_steps_are_tried_before_a_target_is_projected() -> None:
    past = Past({300: drawn(quiet(20))})
    targets = find_targets(wanted("101"), past)
    assert all(target.why.startswith("projected") for target in targets)
    assert [seconds for seconds, _ in past.asked] == [300, 60, 900, 3600, 86_400]


def test_minutes_are_looked_at_where_five_minute_bars_are_too_few() -> None:
    past = Past({300: drawn(quiet(5)), 60: drawn([*quiet(26), 103, 101], seconds=60)})
    (target,) = find_targets(wanted("101", 1), past)
    assert target.price == Decimal(103)
    assert "1m bars" in target.why


def test_a_high_of_the_last_minutes_counts_before_its_five_minute_bar_has_closed() -> None:
    latest = drawn([101, 103, 101], seconds=60, start=drawn(NEAR)[-1].end)
    first, second = find_targets(wanted("101", 2), Past({300: drawn(NEAR), 60: latest}))
    assert first.price == Decimal(103)
    assert first.why.endswith("1m bars, 1 day")
    assert second.price == Decimal("105.0")


def test_bars_of_another_season_are_not_called_the_last_days() -> None:
    past = Past({300: drawn(NEAR, start=OPEN - 30 * DAY)})
    with pytest.raises(OperatorError, match="there are no bars"):
        find_targets(wanted("101", 1), past)


def test_extended_hours_count_where_regular_ones_have_too_few_bars_and_that_is_said() -> None:
    past = Past({300: drawn(NEAR)}, only_extended=True)
    (target,) = find_targets(wanted("101", 1), past)
    assert target.why.endswith("5m bars, 1 day, extended hours")
    assert (300, False) in past.asked


def test_with_rth_false_extended_hours_are_asked_at_once() -> None:
    past = Past({300: drawn(NEAR)})
    find_targets(wanted("101", 1, rth=False), past)
    assert past.asked == [(300, False), (60, False)]


# --- the future -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-50, 0.5, 9, 500])
def test_bars_that_close_later_change_nothing_whatever_they_show(shift: float) -> None:
    known = drawn(NEAR)
    at = known[-1].end
    later = drawn([max(1, 105 + shift)] * 30, start=at - timedelta(seconds=1))
    want = wanted("101", 3, at)
    assert find_targets(want, Past({300: known + later})) == find_targets(want, Past({300: known}))


# --- refusals ---------------------------------------------------------------------------------------------------------


def refusal(past: Past, anchor: str = "101", count: int = 3) -> str:
    with pytest.raises(OperatorError) as caught:
        find_targets(wanted(anchor, count), past)
    said = str(caught.value)
    assert said.startswith(
        f"tp=auto: targets above {anchor}.00 cannot be computed from the history of AAPL: "
    )
    assert "nothing was started; name prices · example: tp=" in said
    assert "\n" not in said
    return said


def test_no_bars_at_all_is_a_refusal() -> None:
    past = Past({})
    assert "there are no bars" in refusal(past)
    assert len(past.asked) == 2 * len(STEPS)


def test_a_few_bars_are_a_refusal_that_says_how_many_are_needed() -> None:
    assert "14 bars, 15 that move are needed" in refusal(Past({300: drawn(quiet(14))}))
    assert "1 bar, 15 that move are needed" in refusal(Past({300: drawn(quiet(1))}))


def test_bars_that_never_move_are_a_refusal() -> None:
    still = [Bar("AAPL", bar.start, 300, *(Decimal(100),) * 4, 1) for bar in drawn(quiet(30))]
    assert "30 bars, 15 that move are needed" in refusal(Past({300: still}))


def test_a_broker_that_gives_no_history_is_quoted() -> None:
    past = Past({step.seconds: NO_DATA for step in STEPS})
    assert "IBKR says 162: HMDS query returned no data" in refusal(past)
    assert past.asked == [(300, True), (60, True)]  # each refusal may take long


def test_one_length_of_bars_that_a_broker_does_not_have_is_passed_over() -> None:
    past = Past({300: NO_DATA, 60: drawn([*quiet(20), 103, 101], seconds=60)})
    assert find_targets(wanted("101", 1), past)[0].price == Decimal(103)


def test_a_level_of_another_scale_is_a_refusal_that_names_the_last_price() -> None:
    assert "the last price was 99.71, of another scale than the level (a split?)" in refusal(
        Past({300: drawn(quiet(20))}), "14"
    )


def test_the_example_of_a_refusal_has_as_many_prices_as_targets_were_wanted() -> None:
    assert "example: tp=103.02" in refusal(Past({}), count=1)
    assert "example: tp=103.02-105.04-107.06" in refusal(Past({}))


def test_a_step_that_cannot_be_had_is_named_where_a_projection_rests_on_it() -> None:
    past = Past({300: drawn(quiet(20)), 900: NO_DATA})
    (target,) = find_targets(wanted("101", 1), past)
    assert target.why.endswith("5m bars, 1 day, some missing")


# --- another scale ----------------------------------------------------------------------------------------------------


def test_highs_of_before_a_split_are_no_targets_also_where_coarse_bars_do_not_show_the_split() -> None:
    before = drawn([*quiet(10, 700), 705, *quiet(10, 700)], start=OPEN - 3 * DAY)
    after = drawn(quiet(20))
    coarse = drawn([*quiet(10, 700), 708, *quiet(10, 700)], seconds=3600, start=OPEN - 9 * DAY)
    targets = find_targets(wanted("101", 2), Past({300: before + after, 3600: coarse}))
    assert all(target.price < 120 for target in targets)
    assert "5m bars, 1 day since a price jump" in targets[0].why


def test_noon_is_after_the_bars_that_these_tests_draw() -> None:
    assert drawn(NEAR)[-1].end < NOON
