"""What a symbol means at IBKR: contract, price grid, hours."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.plugins.ibkr_data.kit import APPLE, MONDAY, Asked, Desk, Details, contract_answers, desk

from tradeshell import US_STOCK_GRID, BrokerError, Instrument, PriceBand, PriceGrid
from tradeshell_ibkr.contracts import grid_of_bands, grid_of_tick
from tradeshell_ibkr.market_data import DataSettings

CENTS = PriceGrid((PriceBand(low_edge=Decimal("0.0"), increment=Decimal("0.01")),))


def test_a_symbol_becomes_the_one_us_stock_with_the_grid_of_its_market_rule(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details(), rule=[(0.0, 0.01)])
    assert at_desk.run(at_desk.data.qualify("AAPL")) == Instrument(symbol="AAPL", con_id=APPLE, grid=CENTS)
    (asked,) = at_desk.link.requests("reqContractDetails")
    wanted = asked.args[1]
    assert (wanted.symbol, wanted.secType, wanted.exchange, wanted.currency) == (
        "AAPL",
        "STK",
        "SMART",
        "USD",
    )
    assert at_desk.link.names == {APPLE: "AAPL"}


def test_orders_get_the_whole_contract_by_its_number(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details())
    assert at_desk.data.contract(APPLE) is None
    at_desk.run(at_desk.data.qualify("AAPL"))
    found = at_desk.data.contract(APPLE)
    assert found is not None
    assert (found.conId, found.exchange, found.primaryExchange, found.tradingClass) == (
        APPLE,
        "SMART",
        "NASDAQ",
        "NMS",
    )


def test_a_symbol_is_asked_for_once_however_many_want_it(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details())

    async def three() -> list[Instrument]:
        return await asyncio.gather(*(at_desk.data.qualify("AAPL") for _ in range(3)))

    assert len(set(map(id, at_desk.run(three())))) == 1
    at_desk.run(at_desk.data.qualify("AAPL"))
    assert len(at_desk.link.requests("reqContractDetails")) == 1


def test_E22_an_ambiguous_symbol_is_refused_with_the_way_to_choose(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details(con_id=1), Details(con_id=2, primaryExchange="NYSE"))
    with pytest.raises(BrokerError) as refusal:
        at_desk.run(at_desk.data.qualify("AAPL"))
    assert str(refusal.value) == (
        "AAPL is ambiguous at IBKR, listed on NASDAQ, NYSE; "
        'say which under [brokers.ibkr.primary_exchange] of the config: "AAPL" = "NASDAQ"'
    )


def test_E22_the_configured_listing_is_asked_for() -> None:
    with desk(DataSettings(primary_exchange={"AAPL": "NYSE"})) as at_desk:
        at_desk.connect()
        contract_answers(at_desk.link, Details())
        at_desk.run(at_desk.data.qualify("AAPL"))
        assert at_desk.link.requests("reqContractDetails")[0].args[1].primaryExchange == "NYSE"


def test_E22_what_is_no_us_stock_is_not_taken_for_one(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details(currency="EUR"), Details(con_id=0), Details(secType="OPT"))
    with pytest.raises(BrokerError, match=r"^AAPL: IBKR knows no US stock of that symbol$"):
        at_desk.run(at_desk.data.qualify("AAPL"))


@pytest.mark.parametrize(
    "code, text, words",
    [
        (
            200,
            "No security definition has been found for the request",
            "AAPL: IBKR knows no US stock of that symbol",
        ),
        (
            200,
            "The contract description specified for AAPL is ambiguous.",
            "AAPL: IBKR says 200: The contract description specified for AAPL is ambiguous.",
        ),
        (
            321,
            "Error validating request.-'bH' :\n cause - x",
            "AAPL: IBKR says 321: Error validating request.-'bH' : cause - x",
        ),
    ],
)
def test_a_refusal_is_one_line(at_desk: Desk, code: int, text: str, words: str) -> None:
    at_desk.link.answer = lambda asked: at_desk.link.error(asked.id, code, text)
    with pytest.raises(BrokerError) as refusal:
        at_desk.run(at_desk.data.qualify("AAPL"))
    assert str(refusal.value) == words


def test_an_advice_is_no_answer(at_desk: Desk) -> None:
    def answer(asked: Asked) -> None:
        if asked.method == "reqContractDetails":
            at_desk.link.error(asked.id, 2158, "Sec-def data farm connection is OK:secdefnj")
            at_desk.link.hub.listeners["contractDetails"](asked.id, Details().value)
            at_desk.link.hub.listeners["contractDetailsEnd"](asked.id)

    at_desk.link.answer = answer
    assert at_desk.run(at_desk.data.qualify("AAPL")).con_id == APPLE


def test_silence_ends_with_a_line_and_the_next_question_is_a_new_one(at_desk: Desk) -> None:
    with pytest.raises(BrokerError, match=r"AAPL: IBKR did not answer what it is within 10 s"):
        at_desk.run(at_desk.data.qualify("AAPL"))
    assert at_desk.clock.now() == MONDAY + timedelta(seconds=10)
    contract_answers(at_desk.link, Details())
    assert at_desk.run(at_desk.data.qualify("AAPL")).con_id == APPLE


def test_without_a_link_the_line_says_so(at_desk: Desk) -> None:
    at_desk.disconnect()
    with pytest.raises(BrokerError, match="not connected"):
        at_desk.run(at_desk.data.qualify("AAPL"))


def test_a_class_of_shares_is_written_with_a_blank_on_the_wire(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details("BRK B"))
    assert at_desk.run(at_desk.data.qualify("BRK.B")).symbol == "BRK.B"
    assert at_desk.link.requests("reqContractDetails")[0].args[1].symbol == "BRK B"
    assert at_desk.link.names == {APPLE: "BRK.B"}


def test_one_stock_has_one_name_here(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details("BRK B"))
    at_desk.run(at_desk.data.qualify("BRK.B"))
    with pytest.raises(BrokerError, match=r"BRK B is the same stock as BRK\.B, which is in use here"):
        at_desk.run(at_desk.data.qualify("BRK B"))


def test_an_unanswered_market_rule_leaves_a_grid_on_which_prices_are_valid(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details(minTick=0.0001))
    assert at_desk.run(at_desk.data.qualify("AAPL")).grid == US_STOCK_GRID


def test_a_server_that_answers_no_market_rules_is_waited_for_once(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details())
    at_desk.run(at_desk.data.qualify("AAPL"))
    asked_at = at_desk.clock.now()
    at_desk.link.answer = lambda _: None
    contract_answers(at_desk.link, Details("MSFT", con_id=2))
    at_desk.run(at_desk.data.qualify("MSFT"))
    assert at_desk.clock.now() == asked_at


def test_the_rule_of_smart_counts_and_is_asked_for_once(at_desk: Desk) -> None:
    details = Details(validExchanges="NYSE,SMART", marketRuleIds="99,26")
    contract_answers(at_desk.link, details, rule=[(0.0, 0.01)])
    at_desk.run(at_desk.data.qualify("AAPL"))
    at_desk.link.answer = lambda _: None
    contract_answers(at_desk.link, Details("MSFT", con_id=2))
    assert at_desk.run(at_desk.data.qualify("MSFT")).grid == CENTS
    assert [asked.args for asked in at_desk.link.requests("reqMarketRule")] == [(26,)]


@pytest.mark.parametrize(
    "bands, grid",
    [
        ([(0.0, 0.0001), (1.0, 0.01)], US_STOCK_GRID),
        ([(1.0, 0.01), (0.0, 0.0001)], US_STOCK_GRID),
        (
            [(1.0, 0.01)],
            PriceGrid((PriceBand(Decimal(0), Decimal("0.01")), PriceBand(Decimal(1), Decimal("0.01")))),
        ),
        ([], None),
        ([(0.0, 0.0)], None),
        ([(0.0, float("nan"))], None),
        ([(-1.0, 0.01)], None),
        ([(0.0, 1e309)], None),
    ],
)
def test_a_market_rule_becomes_a_grid_or_is_not_believed(
    bands: list[tuple[float, float]], grid: PriceGrid | None
) -> None:
    assert grid_of_bands(bands) == grid


@pytest.mark.parametrize(
    "tick, grid",
    [
        (0.01, PriceGrid((PriceBand(Decimal(0), Decimal("0.01")),))),
        (0.0001, US_STOCK_GRID),
        (0.0, US_STOCK_GRID),
        (float("nan"), US_STOCK_GRID),
        (float("inf"), US_STOCK_GRID),
        (-1.0, US_STOCK_GRID),
    ],
)
def test_the_smallest_tick_suggests_a_grid(tick: float, grid: PriceGrid) -> None:
    assert grid_of_tick(tick) == grid


def test_a_day_that_the_details_do_not_tell_of_is_asked_for_in_the_background(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details())
    at_desk.run(at_desk.data.qualify("AAPL"))
    later = MONDAY + timedelta(days=9)
    holiday = "20260713:0400-20260713:2000;20260715:CLOSED;20260716:0400-20260716:2000"
    at_desk.link.answer = lambda _: None
    contract_answers(at_desk.link, Details(tradingHours=holiday, liquidHours=holiday))
    assert (
        at_desk.do(lambda: at_desk.data.session("AAPL", later)) is not None
    )  # a usual weekday, for the moment
    at_desk.advance(1)
    assert at_desk.do(lambda: at_desk.data.session("AAPL", later)) is None
    assert len(at_desk.link.requests("reqContractDetails")) == 2


def test_newer_hours_are_not_asked_for_again_and_again(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details())
    at_desk.run(at_desk.data.qualify("AAPL"))
    for _ in range(50):
        at_desk.do(lambda: at_desk.data.session("AAPL", MONDAY + timedelta(days=9)))
    assert len(at_desk.link.requests("reqContractDetails")) == 2


def test_hours_of_an_unknown_symbol_are_the_usual_ones(at_desk: Desk) -> None:
    assert at_desk.data.session("AAPL", MONDAY) is not None
    assert at_desk.data.session("AAPL", MONDAY - timedelta(days=1)) is None


def test_the_hours_of_a_day_are_looked_up_once_and_those_of_another_day_are_its_own(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details())
    at_desk.run(at_desk.data.qualify("AAPL"))
    monday = at_desk.data.session("AAPL", MONDAY)
    assert monday is not None
    assert at_desk.data.session("AAPL", MONDAY + timedelta(hours=1)) is monday
    tuesday = at_desk.data.session("AAPL", MONDAY + timedelta(days=1))
    assert tuesday is not None
    assert tuesday.open - monday.open == timedelta(days=1)
    assert at_desk.data.session("AAPL", monday.extended_close + timedelta(hours=4)) is not monday
    assert at_desk.data.session("AAPL", MONDAY) == monday
