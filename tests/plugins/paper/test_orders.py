"""Orders at the exchange: types, times in force, hours, changes, cancels, refusals."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace
from tests.plugins.paper.venue import Floor, ny, order

from tradeshell import OrderSpec, Tif
from tradeshell_paper.settings import Fees, Refusal, Rules

# --- types ------------------------------------------------------------------------------------------------------------


def test_a_market_order_buys_at_the_ask_and_sells_at_the_bid() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    assert floor.send(order("BUY", 100)) == [
        "O BUY 100 MKT working 0/100",
        "E BUY 100@10.01",
        "O BUY 100 MKT filled 100/0",
        "P 100@10.01",
        "K 1.00",
    ]
    assert "E SELL 40@9.99" in floor.send(order("SELL", 40))
    assert floor.position() == 60


def test_a_market_order_without_a_touch_waits_for_the_next_print() -> None:
    floor = Floor()
    assert floor.send(order("BUY", 100)) == ["O BUY 100 MKT working 0/100"]
    assert "E BUY 100@10.05" in floor.trade("10.05")


def test_a_market_order_without_a_touch_takes_the_next_open_of_a_recorded_bar_not_its_range() -> None:
    floor = Floor(start="10:00:30")
    floor.send(order("BUY", 100))
    floor.play("10:00", "10 10.2 9.9 10.1")
    assert floor.executions() == ()
    floor.play("10:01", "10.10 10.2 9.9 10")
    assert [(e.price, e.at) for e in floor.executions()] == [(Decimal("10.10"), ny("10:01"))]


def test_a_marketable_limit_fills_at_once_at_the_touch() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    assert "E BUY 100@10.01" in floor.send(order("BUY", 100, "LMT 10.05"))
    assert "E SELL 100@9.99" in floor.send(order("SELL", 100, "LMT 9.90"))


def test_a_resting_limit_fills_at_its_limit_when_a_print_touches_it() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    assert floor.send(order("BUY", 100, "LMT 9.95")) == ["O BUY 100 LMT 9.95 working 0/100"]
    assert floor.trade("9.96") == []
    assert "E BUY 100@9.95" in floor.trade("9.94")


def test_a_resting_limit_fills_at_its_limit_when_the_touch_comes_to_it() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.send(order("SELL", 100, "LMT 10.05"))
    assert floor.quote("10.04", "10.06") == []
    assert "E SELL 100@10.05" in floor.quote("10.06", "10.08")


def test_recorded_quotes_beside_trades_do_not_fill_resting_orders() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01", decides=False)
    floor.send(order("SELL", 100, "LMT 10.05"))
    assert floor.quote("10.06", "10.08", decides=False) == []


def test_a_stop_waits_held_and_sells_at_the_bid_once_a_trade_reaches_it() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    assert floor.send(order("SELL", 100, "STP 9.90")) == ["O SELL 100 STP 9.90 held 0/100"]
    assert floor.quote("9.80", "9.82") == []  # trades elect a stop, not quotes
    assert floor.trade("9.91") == []
    assert "E SELL 100@9.80" in floor.trade("9.90")


def test_an_elected_stop_never_fills_better_than_the_print_that_elected_it() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01", decides=False)  # an old touch of a coarser recording
    floor.send(order("SELL", 100, "STP 9.90"))
    assert "E SELL 100@9.85" in floor.trade("9.85")


def test_an_elected_stop_limit_works_and_rests_when_the_market_is_beyond_its_limit() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    spec = order("SELL", 100, "STP LMT 9.90 9.90", "sl")
    floor.send(spec)
    floor.quote("9.87", "9.89")
    assert floor.trade("9.88") == ["O sl working 0/100"]
    assert "E SELL 100@9.87" in floor.change(replace(spec, limit=Decimal("9.87")))


def test_an_elected_stop_limit_fills_at_once_when_its_limit_allows() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.send(order("SELL", 100, "STP LMT 9.90 9.80", "sl"))
    floor.quote("9.87", "9.89")
    assert floor.trade("9.88") == ["E SELL 100@9.87", "O sl filled 100/0", "P -100@9.87", "K 1.00"]


def test_a_buy_stop_mirrors_a_sell_stop() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.send(order("BUY", 100, "STP 10.10"))
    floor.quote("10.11", "10.13")
    assert "E BUY 100@10.13" in floor.trade("10.10")


def test_where_nothing_ever_trades_the_touch_elects_a_stop() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.send(order("SELL", 100, "STP 9.90", "sl"))
    assert "E SELL 100@9.90" in floor.quote("9.90", "9.92", elects=True)


# --- partial fills ----------------------------------------------------------------------------------------------------

PARTIAL = Rules(partial=True)


def test_partial_fills_take_the_size_of_the_touch_once() -> None:
    floor = Floor(PARTIAL)
    floor.quote("9.99", "10.01", size=60)
    assert "O BUY 100 LMT 10.05 working 60/40" in floor.send(order("BUY", 100, "LMT 10.05"))
    floor.send(order("BUY", 10, "LMT 10.05", "late"))
    assert floor.states()["late"] == "working"  # the ask is used up until it changes
    floor.at("10:00:01").quote("9.99", "10.02", size=500)
    assert [e.qty for e in floor.executions()] == [60, 40, 10]


def test_partial_fills_take_the_size_of_the_print() -> None:
    floor = Floor(PARTIAL)
    floor.send(order("BUY", 100, "LMT 10"))
    floor.trade("10", 30)
    floor.trade("9.99", 300)
    assert [(e.qty, e.price) for e in floor.executions()] == [(30, Decimal(10)), (70, Decimal(10))]


def test_partial_fills_take_a_part_of_a_bars_volume() -> None:
    floor = Floor(Rules(partial=True, bar_share=Decimal("0.01")))
    floor.send(order("BUY", 100, "LMT 10"))
    floor.play("10:00", "10.1 10.2 9.9 10.1", volume=3000)
    floor.play("10:01", "10.1 10.2 9.9 10.1", volume=90_000)
    assert [e.qty for e in floor.executions()] == [30, 70]


def test_without_the_setting_orders_fill_completely() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01", size=1)
    floor.send(order("BUY", 100_000))
    assert [e.qty for e in floor.executions()] == [100_000]


# --- time in force ----------------------------------------------------------------------------------------------------


def test_day_orders_end_at_the_close_and_gtc_orders_wait_for_the_next_day() -> None:
    floor = Floor()
    floor.send(order("BUY", 1, "LMT 9", "day"), order("BUY", 1, "LMT 9", "gtc", tif=Tif.GTC))
    assert floor.pass_time("15:59:59") == []
    assert floor.pass_time("16:00") == ["O day cancelled 0/1", "O gtc held 0/1"]
    assert floor.pass_time(ny("09:30", date(2013, 10, 11))) == ["O gtc working 0/1"]


def test_a_day_order_of_extended_hours_ends_with_them() -> None:
    floor = Floor()
    floor.send(order("BUY", 1, "LMT 9", outside_rth=True))
    assert floor.pass_time("16:00") == []
    assert floor.pass_time("20:00") == ["O BUY 1 LMT 9 cancelled 0/1"]


def test_a_day_order_sent_after_the_close_is_for_the_next_trading_day() -> None:
    floor = Floor(start=ny("16:30", date(2013, 10, 11)))  # a Friday
    floor.send(order("BUY", 1, "LMT 9"))
    assert floor.exchange.due(floor.now) == ny("20:00", date(2013, 10, 11))
    assert floor.pass_time(ny("09:30", date(2013, 10, 14))) == ["O BUY 1 LMT 9 working 0/1"]
    assert floor.pass_time(ny("16:00", date(2013, 10, 14))) == ["O BUY 1 LMT 9 cancelled 0/1"]


def test_gtd_ends_at_its_instant() -> None:
    floor = Floor()
    until = ny("10:00:25")
    floor.send(order("BUY", 1, "LMT 9", tif=Tif.GTD, good_till=until))
    assert floor.exchange.due(floor.now) == until
    assert floor.pass_time("10:00:24") == []
    assert floor.pass_time("10:00:25") == ["O BUY 1 LMT 9 cancelled 0/1"]


def test_ioc_fills_what_it_can_and_cancels_the_rest() -> None:
    floor = Floor(PARTIAL)
    floor.quote("9.99", "10.01", size=60)
    reports = floor.send(order("BUY", 100, "LMT 10.01", tif=Tif.IOC))
    assert reports[-1] == "O BUY 100 LMT 10.01 cancelled 60/40"
    assert [e.qty for e in floor.executions()] == [60]


def test_fok_fills_whole_or_not_at_all() -> None:
    floor = Floor(PARTIAL)
    floor.quote("9.99", "10.01", size=60)
    assert floor.send(order("BUY", 100, "LMT 10.01", "a", tif=Tif.FOK))[-1] == "O a cancelled 0/100"
    assert "O b filled 60/0" in floor.send(order("BUY", 60, "LMT 10.01", "b", tif=Tif.FOK))


# --- hours and halts --------------------------------------------------------------------------------------------------


def test_without_outside_rth_an_order_is_held_until_the_open() -> None:
    floor = Floor(start="08:00")
    assert floor.send(order("BUY", 1, "LMT 10")) == ["O BUY 1 LMT 10 held 0/1"]
    assert floor.trade("9") == []
    assert floor.play("08:01", "9 9 8 8.5") == []
    assert floor.pass_time("09:30") == ["O BUY 1 LMT 10 working 0/1"]
    assert "E BUY 1@9.95" in floor.quote("9.93", "9.95", decides=False)


def test_with_outside_rth_a_limit_works_and_a_stop_limit_triggers_in_extended_hours() -> None:
    floor = Floor(start="08:00")
    floor.send(order("BUY", 1, "LMT 10", outside_rth=True))
    assert "E BUY 1@10" in floor.trade("10")
    floor.send(order("SELL", 1, "STP LMT 9.9 9.8", "sl", outside_rth=True))
    assert floor.trade("9.85")[0] == "E SELL 1@9.85"


@pytest.mark.parametrize("words", ["MKT", "STP 9.9"])
def test_market_and_plain_stop_orders_never_work_outside_regular_hours(words: str) -> None:
    floor = Floor(start="08:00")
    assert floor.send(order("SELL", 1, words, "x", outside_rth=True)) == ["O x held 0/1"]
    assert floor.trade("9") == []


def test_nothing_works_at_night_or_on_a_holiday() -> None:
    for start in (ny("02:00"), ny("11:00", date(2013, 10, 12))):
        floor = Floor(start=start)
        assert floor.send(order("BUY", 1, "LMT 10", outside_rth=True)) == ["O BUY 1 LMT 10 held 0/1"]
        assert floor.trade("9") == []


def test_an_order_of_regular_hours_sleeps_through_the_evening() -> None:
    floor = Floor(start="15:59")
    floor.send(order("SELL", 1, "STP LMT 9 9", "sl", tif=Tif.GTC))
    floor.pass_time("16:00")
    assert floor.at("16:05").trade("8") == []
    assert floor.states() == {"sl": "held"}


def test_a_halt_takes_orders_and_matches_nothing() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    floor.exchange.halt(floor.now, "ABC", on=True)
    assert floor.send(order("BUY", 1)) == ["O BUY 1 MKT working 0/1"]
    assert floor.quote("9.98", "10.02") == []
    assert floor.trade("10") == []
    assert floor.play("10:00", "10 11 9 10") == []
    floor.exchange.halt(floor.now, "ABC", on=False)
    assert "E BUY 1@10.03" in floor.quote("9.98", "10.03")


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spec, code",
    [
        (order("BUY", 1, "LMT 10.005"), 110),
        (order("SELL", 1, "STP 9.001"), 110),
        (order("BUY", 1, "LMT 0.50005"), 110),
        (order("BUY", 0, "LMT 10"), 434),
        (replace(order("BUY", 1, "LMT 10"), limit=None), 463),
        (replace(order("SELL", 1, "STP 9"), stop=None), 463),
        (replace(order("BUY", 1, "LMT 10"), limit=Decimal("NaN")), 463),
        (order("BUY", 1, "LMT 10", tif=Tif.GTD), 321),
        (order("BUY", 1, "LMT 10", tif=Tif.GTD, good_till=ny("10:00")), 201),
        (order("SELL", 1, "STP 9", tif=Tif.IOC), 111),
        (replace(order("BUY", 1), account="U7654321"), 321),
        (replace(order("BUY", 1), symbol="XYZ"), 200),
        (replace(order("BUY", 1), con_id=5), 200),
        (order("SELL", 1, "LMT 10", parent_ref="nobody"), 135),
    ],
)
def test_what_cannot_be_is_refused_with_the_code_of_the_broker(spec: OrderSpec, code: int) -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    assert floor.send(spec) == [f"X {spec.ref} {code} order"]
    assert floor.exchange.open_orders() == ()


def test_prices_below_a_dollar_have_four_decimals() -> None:
    floor = Floor()
    assert floor.send(order("BUY", 1, "LMT 0.4275")) == ["O BUY 1 LMT 0.4275 working 0/1"]


def test_a_number_can_be_used_once() -> None:
    floor = Floor()
    floor.send(order("BUY", 1, "LMT 9", "a"))
    reports = floor.exchange.place(floor.now, order("BUY", 1, "LMT 9", "b"), 1)
    assert [type(r.input).__name__ for r in reports] == ["OrderRefusedByBroker"]
    assert floor.states() == {"a": "working"}


def test_a_rule_refuses_an_order_and_its_children_die_with_it() -> None:
    rules = Rules(refuse=lambda spec, _at: Refusal(201, "no margin") if spec.ref == "entry" else None)
    floor = Floor(rules)
    reports = floor.send(
        order("BUY", 1, "LMT 10", "entry", transmit=False),
        order("SELL", 1, "LMT 11", "tp", parent_ref="entry", transmit=False),
        order("SELL", 1, "STP 9", "sl", parent_ref="entry"),
    )
    assert reports == ["X entry 201 order", "O entry refused 0/1", "O tp cancelled 0/1", "O sl cancelled 0/1"]


# --- changes and cancels ----------------------------------------------------------------------------------------------


def test_a_change_of_price_is_shown_and_works() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    spec = order("BUY", 100, "LMT 9", "a")
    floor.send(spec)
    assert floor.change(replace(spec, limit=Decimal("9.50"))) == ["O a working 0/100"]
    shown = floor.exchange.order(1)
    assert shown is not None
    assert (shown.limit, shown.qty) == (Decimal("9.50"), 100)
    assert "E BUY 100@10.01" in floor.change(replace(spec, limit=Decimal("10.10")))


def test_a_limit_may_become_a_market_order_and_nothing_else() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    spec = order("BUY", 100, "LMT 9", "a")
    floor.send(spec)
    assert floor.change(replace(order("BUY", 100, "STP 11"), ref="a")) == ["X a 329 change"]
    assert "E BUY 100@10.01" in floor.change(replace(order("BUY", 100), ref="a"))


@pytest.mark.parametrize(
    "more, code",
    [
        ({"side": order("SELL", 1).side}, 105),
        ({"limit": Decimal("9.001")}, 110),
        ({"qty": 0}, 434),
        ({"parent_ref": "other"}, 10341),
        ({"oca_group": "g"}, 10326),
    ],
)
def test_a_refused_change_leaves_the_old_order_working(more: dict[str, object], code: int) -> None:
    floor = Floor()
    spec = order("BUY", 100, "LMT 9", "a")
    floor.send(spec)
    assert floor.change(replace(spec, **more)) == [f"X a {code} change"]
    assert "E BUY 100@9" in floor.trade("9")


def test_finished_orders_cannot_be_changed_or_cancelled() -> None:
    floor = Floor()
    floor.quote("9.99", "10.01")
    filled, dead = order("BUY", 1, "MKT", "filled"), order("BUY", 1, "LMT 9", "dead")
    floor.send(filled, dead)
    assert floor.drop("dead") == ["O dead cancelled 0/1"]
    assert floor.change(filled) == ["X filled 104 change"]
    assert floor.change(dead) == ["X dead 161 change"]
    assert floor.drop("filled") == ["X filled 10148 cancel"]
    assert floor.drop("dead") == ["X dead 10148 cancel"]


def test_unknown_orders_cannot_be_changed_or_cancelled() -> None:
    floor = Floor()
    floor.numbers["ghost"] = 99
    assert floor.change(order("BUY", 1, "LMT 9", "ghost")) == ["X ghost 135 change"]
    assert floor.drop("ghost") == ["X ghost 10147 cancel"]


@pytest.mark.parametrize("ends_filled, state", [(False, "cancelled"), (True, "filled")])
def test_reducing_an_order_to_what_has_filled_ends_it(ends_filled: bool, state: str) -> None:
    floor = Floor(Rules(partial=True, reduced_is_filled=ends_filled))
    spec = order("BUY", 100, "LMT 10", "a")
    floor.send(spec)
    floor.trade("10", 40)
    assert floor.change(replace(spec, qty=40)) == [f"O a {state} 40/0"]


def test_a_changed_order_does_not_fill_on_what_traded_before_the_change() -> None:
    floor = Floor(start="09:59")
    spec = order("SELL", 1, "LMT 11", "a")
    floor.send(spec)
    floor.at("10:00:30").change(replace(spec, limit=Decimal("10.5")))
    floor.play("10:00", "10 10.8 9 10")
    assert floor.states() == {"a": "working"}
    floor.play("10:01", "10 10.8 9 10")
    assert floor.states() == {"a": "filled"}


# --- account ----------------------------------------------------------------------------------------------------------


def test_positions_average_in_and_keep_their_average_out() -> None:
    floor = Floor()
    for side, qty, price in [
        ("BUY", 100, "10"),
        ("BUY", 100, "11"),
        ("SELL", 150, "12"),
        ("SELL", 100, "12"),
    ]:
        floor.send(order(side, qty, f"LMT {price}", f"{side}{qty}{price}"))
        floor.trade(price)
    positions = floor.exchange.positions()
    assert [(p.qty, p.average) for p in positions] == [(-50, Decimal("12.000000"))]


def test_execution_ids_count_up() -> None:
    floor = Floor(Rules(first_execution=7))
    floor.quote("9.99", "10.01")
    floor.send(order("BUY", 1, "MKT", "a"), order("BUY", 1, "MKT", "b"))
    assert [(e.exec_id, e.stem) for e in floor.executions()] == [
        ("paper.7.01", "paper.7"),
        ("paper.8.01", "paper.8"),
    ]


@pytest.mark.parametrize(
    "shares, price, fee",
    [
        (1, "100", "1.00"),
        (200, "100", "1.00"),
        (1000, "100", "5.00"),
        (100, "0.42", "0.42"),
        (1000, "0.42", "4.20"),
    ],
)
def test_fees_are_half_a_cent_a_share_with_a_floor_and_a_ceiling(shares: int, price: str, fee: str) -> None:
    assert Fees().of_order(shares, shares * Decimal(price)) == Decimal(fee)


def test_the_minimum_fee_is_charged_once_an_order() -> None:
    floor = Floor(PARTIAL)
    floor.send(order("BUY", 400, "LMT 10"))
    fees = [word for _ in range(4) for word in floor.trade("10", 100) if word.startswith("K")]
    assert fees == ["K 1.00", "K 0.00", "K 0.50", "K 0.50"]


def test_clients_number_their_orders_each_for_themselves() -> None:
    floor = Floor()
    floor.send(order("BUY", 1, "LMT 9", "a"))
    reports = floor.exchange.place(floor.now, order("BUY", 1, "LMT 9", "theirs"), 1, client=5)
    assert [report.client for report in reports] == [5]
    assert floor.exchange.highest_order_id(5) == 1
    assert len(floor.exchange.open_orders()) == 2


def test_time_passes_only_for_living_orders() -> None:
    floor = Floor()
    assert floor.exchange.due(floor.now) is None
    floor.send(order("BUY", 1, "LMT 9", tif=Tif.GTC))
    assert floor.exchange.due(floor.now) == ny("16:00")
    assert floor.exchange.due(ny("16:00")) == ny("16:00") + timedelta(hours=4)
