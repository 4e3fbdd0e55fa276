"""Market data over TCP from the paper gateway: bars and quotes against what the exchange really printed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.plugins.ibkr_data.venue import Pair, pair

from tradeshell import BrokerError, DataKind, StreamWord


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[Pair]:
    """Return a gateway and an adapter that is connected to it."""
    with pair(tmp_path) as made:
        yield made


@pytest.mark.parametrize("seconds", [5, 60, 120, 180, 300])
def test_bars_of_every_length_are_those_of_the_exchange(venue: Pair, seconds: int) -> None:
    venue.watch(seconds)
    venue.advance(max(4 * seconds, 120) + 1)
    assert venue.bars == venue.truth(seconds)
    assert len(venue.bars) >= 3


def test_an_hour_is_that_of_the_exchange_although_it_was_joined_in_the_middle(venue: Pair) -> None:
    venue.advance(1003)
    venue.watch(3600)
    venue.watch(60)
    since = venue.clock.now()
    venue.advance(3600 - 1003 + 1)
    minutes = [bar for bar in venue.bars if bar.seconds == 60]
    assert minutes == venue.truth(60, since=since)
    assert [bar for bar in venue.bars if bar.seconds == 3600] == venue.truth(3600)


def test_M16_a_minute_that_was_joined_in_the_middle_is_whole(venue: Pair) -> None:
    venue.advance(37)
    venue.watch(60)
    venue.advance(24)
    assert venue.bars == venue.truth(60)
    assert len(venue.bars) == 1


def test_seconds_are_those_of_the_exchange(venue: Pair) -> None:
    venue.advance(5)
    since = venue.clock.now()
    venue.watch(1)
    venue.advance(40)
    told = {bar.start: bar for bar in venue.bars}
    late, early = venue.clock.now() - timedelta(seconds=3), since + timedelta(seconds=1)
    truth = [bar for bar in venue.truth(1, since=since) if early <= bar.start <= late]
    assert len(told) == len(venue.bars)
    assert [told.get(bar.start) for bar in truth] == truth
    assert len(truth) > 5


@pytest.mark.parametrize("rth", [True, False])
@pytest.mark.parametrize("seconds", [5, 60, 300, 900, 3600, 86400])
def test_history_is_that_of_the_exchange(venue: Pair, seconds: int, rth: bool) -> None:
    count = {3600: 60, 86400: 10}.get(seconds, 500)
    bars = venue.run(venue.broker.history("AAPL", seconds, count, rth))
    chunks = venue.gateway.house.view.past("AAPL", seconds, rth, venue.clock.now(), count)
    truth = sorted((bar for chunk in chunks for bar in chunk), key=lambda bar: bar.start)[-count:]
    assert [(bar.start, bar.close, bar.volume) for bar in bars] == [
        (bar.start, bar.close, bar.volume) for bar in truth
    ]
    assert bars == tuple(truth)
    assert len(bars) == count or (
        seconds == 3600 and len(bars) > 400
    )  # the market's past is as long as it is


def test_a_contract_has_its_hours_and_its_grid(venue: Pair) -> None:
    instrument = venue.run(venue.broker.qualify("AAPL"))
    assert instrument.symbol == "AAPL"
    assert venue.broker.connection.names == {instrument.con_id: "AAPL"}
    assert instrument == venue.gateway.house.data_venue.instrument("AAPL")
    session = venue.broker.session("AAPL", venue.clock.now())
    assert session is not None
    assert (f"{session.open:%H:%M}", f"{session.close:%H:%M}") == ("13:30", "20:00")


def test_an_unknown_symbol_is_refused_in_one_line(venue: Pair) -> None:
    venue.switch("unknown_symbols", ["NONE"])
    with pytest.raises(BrokerError, match=r"^NONE: IBKR knows no US stock of that symbol$"):
        venue.run(venue.broker.qualify("NONE"))


def _quotes(venue: Pair, symbol: str = "AAPL") -> None:
    async def subscribe() -> None:
        venue.broker.subscribe_quotes(symbol)

    venue.run(subscribe())


def test_a_kept_touch_is_that_of_the_exchange(venue: Pair) -> None:
    _quotes(venue)
    for _ in range(20):
        venue.advance(1.3)
        ours, theirs = venue.broker.latest("AAPL"), venue.gateway.house.data_venue.latest("AAPL")
        assert ours is not None
        assert theirs is not None
        assert (ours.bid, ours.ask, ours.kind) == (theirs.bid, theirs.ask, DataKind.LIVE)
        assert ours.age(venue.clock.now()) <= theirs.age(venue.clock.now()) + 0.001


def test_a_snapshot_is_the_touch_of_now(venue: Pair) -> None:
    venue.advance(30)
    quote = venue.run(venue.broker.snapshot("MSFT", 1.0))
    theirs = venue.gateway.house.data_venue.latest("MSFT")
    assert quote is not None
    assert theirs is not None
    assert (quote.bid, quote.ask) == (theirs.bid, theirs.ask)
    assert quote.age(venue.clock.now()) < 0.1


@pytest.mark.parametrize("switch", ["refused", "unsubscribed"])
def test_E04_without_a_subscription_to_the_data_there_is_no_quote(venue: Pair, switch: str) -> None:
    venue.switch("market_data", switch)
    _quotes(venue)
    venue.advance(2)
    assert venue.broker.latest("AAPL") is None
    assert len([text for _, text in venue.notices() if text.startswith("AAPL: Requested market data")]) == 1


def test_E04_delayed_data_that_were_not_configured_give_no_quote_to_trade_on(venue: Pair) -> None:
    venue.switch("market_data", "delayed")
    _quotes(venue)
    venue.advance(5)
    quote = venue.broker.latest("AAPL")
    assert quote is None or quote.kind is DataKind.DELAYED


def test_E04_configured_delayed_data_are_shown_as_what_they_are(tmp_path: Path) -> None:
    with pair(tmp_path, {"market_data_type": 3}) as venue:
        venue.switch("market_data", "delayed")
        _quotes(venue)
        venue.advance(5)
        quote = venue.broker.latest("AAPL")
        assert quote is not None
        assert quote.kind is DataKind.DELAYED


def test_M05_a_competing_session_is_told_and_its_end_too(venue: Pair) -> None:
    venue.watch(60)
    _quotes(venue)
    venue.advance(12)
    venue.switch("competing", True)
    venue.do(
        "say", code=10197, text="No market data during competing live session", request=_bar_request(venue)
    )
    venue.switch("bars_silent", True)
    venue.advance(120)
    assert [news.word for news in venue.news] == [StreamWord.BLOCKED]
    venue.switch("competing", False)
    venue.switch("bars_silent", False)
    venue.advance(65)
    assert [news.word for news in venue.news] == [StreamWord.BLOCKED, StreamWord.CLEARED]


def _bar_request(venue: Pair) -> int:
    number = venue.broker.data._streams["AAPL", True]._real
    assert number is not None
    return number


def test_M01_silent_bars_are_silent_and_subscribing_again_brings_them_back(venue: Pair) -> None:
    handle = venue.watch(60)
    venue.advance(61)
    venue.switch("bars_silent", True)
    venue.advance(180)
    assert len(venue.bars) == 1
    old = _bar_request(venue)
    venue.switch("bars_silent", False)

    async def again() -> None:
        handle.cancel()

    venue.run(again())
    venue.watch(60)
    assert _bar_request(venue) != old
    venue.advance(121)
    assert venue.bars[-1] == venue.truth(60)[-1]


def test_a_minute_that_lost_its_end_to_silence_is_not_made_up(venue: Pair) -> None:
    venue.watch(60)
    venue.advance(31)
    venue.switch("bars_silent", True)
    venue.advance(60)
    venue.switch("bars_silent", False)
    venue.advance(90)
    told = [bar.start for bar in venue.bars]
    truth = venue.truth(60)
    assert told == [bar.start for bar in truth[1:]]
    assert venue.bars == truth[1:]  # the gap in the second minute was filled from history
    assert [text for _, text in venue.notices() if "did not come live" in text] != []


def _requests(venue: Pair) -> int:
    (session,) = venue.gateway.sessions
    return len(session.history.real_time)


def test_D03_after_1101_bars_and_quotes_come_again_once_each(venue: Pair) -> None:
    venue.watch(60)
    venue.watch(5)
    _quotes(venue)
    venue.advance(62)
    first = _bar_request(venue)
    venue.do("outage", seconds=20, code=1101)
    venue.advance(25)
    assert _bar_request(venue) != first
    since = venue.clock.now()
    venue.bars.clear()
    venue.advance(120)
    assert [bar for bar in venue.bars if bar.seconds == 5] == venue.truth(5, since=since)
    assert [bar for bar in venue.bars if bar.seconds == 60] == venue.truth(60, since=since)
    quote = venue.broker.latest("AAPL")
    assert quote is not None
    assert quote.age(venue.clock.now()) < 30


def test_D02_after_1102_bars_go_on_and_the_minute_of_the_outage_is_whole(venue: Pair) -> None:
    venue.watch(60)
    venue.advance(65)
    venue.do("outage", seconds=20, code=1102)
    venue.advance(120)
    assert venue.bars == venue.truth(60)
    assert _requests(venue) == 1


def test_a_dropped_connection_is_followed_by_one_subscription_each(venue: Pair) -> None:
    venue.watch(60)
    venue.watch(300)
    _quotes(venue)
    venue.advance(65)
    venue.do("drop")
    venue.advance(230)
    assert _requests(venue) == 1
    venue.bars.clear()
    since = venue.clock.now()
    venue.advance(120)
    assert [bar for bar in venue.bars if bar.seconds == 60] == venue.truth(60, since=since)


# --- history that is kept up to date ----------------------------------------------------------------------------------


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Pair]:
    """Return a pair whose bars come from kept-up-to-date history."""
    with pair(tmp_path, {"real_time_bars": False}) as made:
        yield made


@pytest.mark.parametrize("seconds", [60, 120])
def test_kept_histories_give_the_bars_of_the_exchange(keeper: Pair, seconds: int) -> None:
    keeper.watch(seconds)
    keeper.advance(4 * max(seconds, 30) + 6)
    truth = keeper.truth(seconds)
    assert keeper.bars == truth[: len(keeper.bars)]
    assert len(keeper.bars) >= len(truth) - 1 >= 3


def test_M08_a_late_correction_changes_no_bar_that_was_handed_on(keeper: Pair) -> None:
    keeper.switch("bars_corrected", True)
    keeper.watch(60)
    keeper.advance(190)
    assert keeper.bars == keeper.truth(60)


def test_M08_old_bars_out_of_order_are_ignored(keeper: Pair) -> None:
    keeper.switch("bars_out_of_order", 3)
    keeper.watch(60)
    keeper.advance(250)
    assert keeper.bars == keeper.truth(60)


def test_a_missing_bar_is_missing_and_the_others_are_right(keeper: Pair) -> None:
    keeper.watch(60)
    keeper.advance(62)
    keeper.switch("bars_missing", 1)
    keeper.advance(240)
    truth = keeper.truth(60)
    assert [bar for bar in truth if bar not in keeper.bars] == [truth[2]]
    assert len(keeper.bars) == len(truth) - 1


def test_an_empty_first_answer_is_followed_by_bars_all_the_same(keeper: Pair) -> None:
    keeper.switch("bars_empty", True)
    keeper.watch(60)
    keeper.advance(70)
    assert keeper.bars == keeper.truth(60)


def test_M03_a_kept_history_that_dies_is_told_with_its_code(keeper: Pair) -> None:
    keeper.watch(60)
    keeper.advance(62)
    keeper.do("bars_die", code=10182)
    keeper.advance(100)
    assert [(news.word, news.code) for news in keeper.news] == [(StreamWord.BROKEN, 10182)]
    assert len(keeper.bars) == 1


# --- limits -----------------------------------------------------------------------------------------------------------


def test_M13_thirty_symbols_with_bars_and_quotes_stay_below_the_limits_of_the_gateway(tmp_path: Path) -> None:
    with pair(tmp_path) as venue:
        for n in range(30):
            venue.watch(60, symbol=f"S{n}")
            _quotes(venue, f"S{n}")
        venue.advance(125)
        assert {news.code for news in venue.news} == set()
        assert len({bar.symbol for bar in venue.bars}) == 30


def test_refused_five_second_bars_are_replaced_without_a_gap_in_minutes(venue: Pair) -> None:
    venue.switch("lines", 1)
    _quotes(venue, "MSFT")
    venue.advance(1)
    venue.watch(60)
    venue.advance(190)
    assert venue.news == []
    assert venue.bars == venue.truth(60)[: len(venue.bars)]
    assert len(venue.bars) >= 2


def test_the_sixth_symbol_of_seconds_is_served_from_its_quotes(venue: Pair) -> None:
    for n in range(6):
        venue.watch(1, symbol=f"S{n}")
    venue.advance(60)
    assert venue.news == []
    assert {bar.symbol for bar in venue.bars} == {f"S{n}" for n in range(6)}
