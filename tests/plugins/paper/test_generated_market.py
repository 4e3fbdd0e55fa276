"""The generated market: the same everywhere, at any price, alive."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from tests.plugins.paper.venue import Venue, ny, on_venue, order

from tradeshell import US_STOCK_GRID, Bar, ConfigError, Quote, VenueOptions
from tradeshell_paper.calendar import session_on
from tradeshell_paper.feed_generated import GeneratedMarket, default_price

TUESDAY = date(2025, 7, 8)


async def day_of(venue: Venue, symbol: str, seconds: int = 60) -> list[Bar]:
    bars: list[Bar] = []
    venue.broker.subscribe(symbol, seconds, True, bars.append)
    await asyncio.sleep(6.5 * 3600)
    return bars


PROGRAM = """
import asyncio, json, sys
from tests.plugins.paper.venue import on_venue
from tests.plugins.paper.test_generated_market import day_of

async def work(venue):
    for symbol in sys.argv[1:]:
        venue.broker.latest(symbol)
    history = await venue.broker.history("DEMO", 300, 100, False)
    bars = await day_of(venue, "DEMO", 30)
    quote = venue.broker.latest("DEMO")
    return [str(bar) for bar in (*history, *bars, quote)]

print(json.dumps(on_venue(work, seed=7)))
"""


def test_the_market_is_the_same_in_every_process_and_whoever_is_looked_at_first() -> None:
    def run(hash_seed: str, *symbols: str) -> list[str]:
        env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *symbols], capture_output=True, text=True, check=True, env=env
        )
        found: list[str] = json.loads(done.stdout)
        return found

    first = run("0")
    assert len(first) == 100 + 780 + 1
    assert run("1", "AAPL", "DEMO") == first
    assert run("4242", "ZZZ") == first


def test_another_seed_is_another_market() -> None:
    async def work(venue: Venue) -> list[Decimal]:
        return [bar.close for bar in await day_of(venue, "DEMO")]

    assert on_venue(work, seed=1) != on_venue(work, seed=2)


def test_it_starts_at_the_open_of_a_fixed_day_with_the_price_asked_for() -> None:
    async def work(venue: Venue) -> None:
        assert venue.clock.now() == ny("09:30", TUESDAY)
        for symbol, price in (("DEMO", "100.00"), ("ABC", "3.17"), ("PENNY", "0.0123"), ("DEAR", "98765.43")):
            quote = venue.broker.latest(symbol)
            assert quote is not None
            assert quote.bid is not None
            assert quote.ask is not None
            assert quote.bid < quote.ask
            assert Decimal(price) in (quote.bid, quote.ask)
            assert quote.age(venue.clock.now()) == 0.0
            assert not quote.in_force

    on_venue(work, market=("ABC=3.17", "PENNY=0.0123", "DEAR=98765.43"))


def test_from_moves_the_start_and_the_price_asked_for_with_it() -> None:
    async def work(venue: Venue) -> None:
        assert venue.clock.now() == ny("11:15", TUESDAY)
        quote = venue.broker.latest("ABC")
        assert quote is not None
        assert Decimal(50) in (quote.bid, quote.ask)
        bars = await venue.broker.history("ABC", 60, 200, True)
        assert bars[-1].end == ny("11:15", TUESDAY)
        assert len({bar.start.date() for bar in bars}) == 2

    on_venue(work, start="11:15", market=("ABC=50",))


def test_a_start_on_a_day_without_trading_leads_to_the_next_one() -> None:
    async def work(venue: Venue) -> None:
        bars: list[Bar] = []
        venue.broker.subscribe("DEMO", 60, True, bars.append)
        await asyncio.sleep(86400 * 3)
        assert bars[0].start == ny("09:30", date(2025, 7, 7))

    on_venue(work, start="2025-07-04T12:00")


def test_history_reaches_back_over_days_and_joins_the_present() -> None:
    async def work(venue: Venue) -> None:
        await asyncio.sleep(3600)
        bars = await venue.broker.history("DEMO", 3600, 60, True)
        assert len(bars) == 60
        assert [b.start for b in bars] == sorted({b.start for b in bars})
        assert all(abs(later.open / earlier.close - 1) < Decimal("0.02") for earlier, later in pairwise(bars))
        assert all(session_on(b.start.date()) is not None for b in bars)
        every = await venue.broker.history("DEMO", 3600, 100_000, True)
        assert 400 < len(every) < 450

    on_venue(work)


def test_it_goes_on_over_the_following_business_days() -> None:
    async def work(venue: Venue) -> None:
        bars: list[Bar] = []
        venue.broker.subscribe("DEMO", 1800, True, bars.append)
        await asyncio.sleep(86400 * 7)
        assert len(bars) == 13 * 5
        assert {b.start.date().isoformat() for b in bars} == {
            f"2025-07-{day:02}" for day in (8, 9, 10, 11, 14)
        }

    on_venue(work)


def test_prices_lie_on_the_grid_and_spreads_are_one_to_five_increments() -> None:
    async def work(venue: Venue) -> None:
        quotes: list[Quote] = []
        for symbol in ("DEMO", "PENNY", "EDGE"):
            venue.broker.subscribe_quotes(symbol, quotes.append)
        bars = await asyncio.gather(*(day_of(venue, symbol) for symbol in ("DEMO", "PENNY", "EDGE")))
        assert len(quotes) > 60_000
        for quote in quotes:
            assert quote.bid is not None
            assert quote.ask is not None
            assert 0 < quote.bid < quote.ask
            assert US_STOCK_GRID.holds(quote.bid)
            assert US_STOCK_GRID.holds(quote.ask)
            assert quote.ask - quote.bid <= 5 * US_STOCK_GRID.increment(quote.ask)
            assert quote.bid_size > 0
        for found in bars:
            assert all(
                US_STOCK_GRID.holds(price) for b in found for price in (b.open, b.high, b.low, b.close)
            )

    on_venue(work, market=("PENNY=0.42", "EDGE=1.0000"))


@pytest.mark.parametrize("symbol", ["DEMO", "AAPL", "XRTX", "QQQ"])
def test_an_hour_or_two_are_enough_for_targets_and_stops_of_half_a_percent(symbol: str) -> None:
    reached = 0
    for seed in range(1, 11):

        async def work(venue: Venue) -> bool:
            bars = (await day_of(venue, symbol))[:120]
            first = bars[0].open
            return any(b.high >= first * Decimal("1.005") or b.low <= first * Decimal("0.995") for b in bars)

        reached += on_venue(work, seed=seed)
    assert reached >= 8


def test_orders_fill_against_the_touch_of_the_second() -> None:
    async def work(venue: Venue) -> None:
        broker = venue.broker
        await broker.qualify("DEMO")
        await venue.until("09:31:30", TUESDAY)
        before = broker.latest("DEMO")
        assert before is not None
        venue.place(order("BUY", 100, "MKT", "in", symbol="DEMO"))
        await venue.answered()
        (bought,) = venue.executions()
        assert (bought.price, bought.at) == (before.ask, ny("09:31:30", TUESDAY))
        assert before.bid is not None
        venue.place(
            order("SELL", 100, f"LMT {before.bid + 1}", "tp", symbol="DEMO", oca_group="g"),
            order(
                "SELL", 100, f"STP LMT {before.bid - Decimal('0.10')} 1", "sl", symbol="DEMO", oca_group="g"
            ),
        )
        await asyncio.sleep(3600 * 3)
        assert len(venue.executions()) == 2

    on_venue(work)


def test_extended_hours_are_thin_and_prints_keep_coming() -> None:
    async def work(venue: Venue) -> None:
        bars: list[Bar] = []
        venue.broker.subscribe("DEMO", 300, False, bars.append)
        await asyncio.sleep(3600)
        assert len(bars) == 12
        assert all(0 < b.volume < 30_000 for b in bars)

    on_venue(work, start="08:00")


def test_only_symbols_that_were_asked_for_exist() -> None:
    market = GeneratedMarket(VenueOptions(market=("AAA=1", "BBB=2")))
    market.tape("CCC")
    assert list(market._symbols) == ["CCC"]
    assert Decimal(20) <= default_price("CCC") < Decimal(220)
    assert default_price("DEMO") == Decimal("100.00")


@pytest.mark.parametrize("words", ["DEMO", "DEMO=", "DEMO=-1", "=5", "D$=5"])
def test_a_price_that_cannot_be_is_refused(words: str) -> None:
    with pytest.raises(ConfigError, match="--market"):
        GeneratedMarket(VenueOptions(market=(words,)))


def test_a_year_without_anybody_looking_costs_nothing() -> None:
    async def work(venue: Venue) -> None:
        await asyncio.sleep(86400 * 365)
        assert venue.clock.now() - ny("09:30", TUESDAY) == timedelta(days=365)

    on_venue(work)
