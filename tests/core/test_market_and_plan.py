"""Price grids, sessions, and what makes a plan sensible."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.support import OPEN, SESSION, bar, d, plan, quote

from tradeshell.core.desk import Desk
from tradeshell.core.events import money, order_words, signed
from tradeshell.core.market import US_STOCK_GRID
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.plan import ExitMode, check_plan, put_on_grid
from tradeshell.errors import OperatorError

PRICES = st.decimals(min_value="0.0001", max_value="5000", places=6)


@given(PRICES)
def test_a_snapped_price_lies_on_the_grid_next_to_the_price(price: Decimal) -> None:
    tick = US_STOCK_GRID.increment(price)
    low, high, near = US_STOCK_GRID.down(price), US_STOCK_GRID.up(price), US_STOCK_GRID.nearest(price)
    assert low <= price <= high
    assert high - low in (0, tick)
    assert near in (low, high)
    assert all(p % tick == 0 for p in (low, high, near))


def test_below_a_dollar_prices_have_four_decimals() -> None:
    assert US_STOCK_GRID.up(d("0.42005")) == d("0.4201")
    assert US_STOCK_GRID.up(d("1.00001")) == d("1.01")
    assert US_STOCK_GRID.holds(d("0.4201"))
    assert not US_STOCK_GRID.holds(d("190.005"))


@given(PRICES, PRICES, PRICES)
def test_a_stop_is_never_looser_and_a_target_never_further_than_asked(
    level: Decimal, sl: Decimal, tp: Decimal
) -> None:
    wanted = plan(level=level, sl=sl, tps=(tp,), chase_limit=None)
    snapped = put_on_grid(wanted, US_STOCK_GRID)
    assert snapped.sl is not None
    assert snapped.level is not None
    assert snapped.sl >= sl
    assert snapped.tps[0] <= tp
    assert snapped.level >= level


def test_a_typed_limit_never_pays_more_or_takes_less_than_it_says() -> None:
    bought = put_on_grid(
        plan(level=None, limit=d("190.001"), sl=None, tps=(), chase_limit=None), US_STOCK_GRID
    )
    sold = put_on_grid(
        plan(level=None, limit=d("190.009"), sl=None, tps=(), chase_limit=None, side=Side.SELL), US_STOCK_GRID
    )
    assert (bought.limit, sold.limit) == (d("190.00"), d("190.01"))


@pytest.mark.parametrize(
    "words,said",
    [
        ({"sl": d("190")}, "sl=190.00: the stop of a long trade lies below the level 190.00"),
        ({"sl": d("191")}, "example: sl=186.20"),
        ({"tps": (d("190"),)}, "tp=190.00: tp 190.00 must lie above the level 190.00"),
        ({"tps": (d("195"), d("194"))}, "tp2 194.00 must lie above the tp1 195.00"),
        ({"level": None, "limit": d("186")}, "below the limit 186.00"),
        ({"level": None, "tps": (d("180"),)}, "the stop lies below the target"),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused_with_word_rule_and_example(
    words: dict[str, object], said: str
) -> None:
    with pytest.raises(OperatorError) as refusal:
        check_plan(plan(**words))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(PRICES, PRICES, PRICES, PRICES)
def test_whatever_is_accepted_is_strictly_ordered(
    level: Decimal, sl: Decimal, tp1: Decimal, tp2: Decimal
) -> None:
    wanted = plan(level=level, sl=sl, tps=(tp1, tp2), mode=ExitMode.DETACHED70)
    try:
        check_plan(wanted)
    except OperatorError:
        assert not sl < level < tp1 < tp2
    else:
        assert sl < level < tp1 < tp2


def test_risk_is_the_distance_to_the_stop() -> None:
    assert plan().risk == d("3")
    assert plan(sl=None).risk is None
    assert plan(level=None, limit=d("189")).risk == d("2")


def test_regular_and_extended_hours_exclude_their_closing_instant() -> None:
    assert SESSION.is_regular(OPEN)
    assert not SESSION.is_regular(SESSION.close)
    assert SESSION.is_extended(SESSION.close)
    assert not SESSION.is_extended(SESSION.extended_close)


def test_a_bar_ends_after_its_length_and_a_quote_ages_unless_it_is_recorded() -> None:
    assert bar(0, "190").end == OPEN + timedelta(seconds=60)
    now = OPEN + timedelta(seconds=90)
    assert quote(OPEN).age(now) == 90
    assert quote(OPEN, in_force=True).age(now) == 0


@pytest.mark.parametrize(
    "value,text",
    [("190", "190.00"), ("0.4275", "0.4275"), ("190.10", "190.10"), ("1E+2", "100.00"), ("0", "0.00")],
)
def test_money_has_two_decimals_at_least_and_no_exponent(value: str, text: str) -> None:
    assert money(Decimal(value)) == text


def test_words_for_prices() -> None:
    assert order_words(OrderType.MARKET, None, None) == "market"
    assert order_words(OrderType.LIMIT, d("190.15"), None) == "190.15 limit"
    assert order_words(OrderType.STOP, None, d("187")) == "stop 187.00"
    assert order_words(OrderType.STOP_LIMIT, d("186.9"), d("187")) == "stop 187.00 limit 186.90"
    assert order_words(OrderType.STOP_LIMIT, None, None) == "stop – limit –"
    assert signed(d("291.6")) == "+291.60"


def test_an_empty_desk_protects_nothing() -> None:
    assert Desk().protection("AAPL") == (0, 0)
    assert Desk().find_order(1) is None
