"""Live bars out of 5-second bars: what closes them, what is missing, what comes twice or late."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.plugins.ibkr_data.kit import MONDAY, Desk, desk, history_answers

from tradeshell import BrokerError, StreamWord
from tradeshell_ibkr.market_data import DataSettings

SECONDS = range(0, 60, 5)


def _minute(at_desk: Desk, minute: int = 0, *, skip: tuple[int, ...] = (), close: str = "190.5") -> None:
    for second in SECONDS:
        if second not in skip:
            last = close if second == 55 else "190.1"
            at_desk.part(minute * 60 + second, f"190 191 189 {last}", 10)


def test_a_minute_is_handed_on_by_the_message_of_its_last_five_seconds(at_desk: Desk) -> None:
    at_desk.watch(60)
    _minute(at_desk)
    assert at_desk.shown() == ["14:00:00 60 190 191 189 190.5 120"]
    assert at_desk.clock.now() == MONDAY + timedelta(seconds=60.2)


def test_nothing_is_handed_on_while_a_minute_forms(at_desk: Desk) -> None:
    at_desk.watch(60)
    for second in range(0, 55, 5):
        at_desk.part(second)
    at_desk.advance(2)
    assert at_desk.bars == []


@pytest.mark.parametrize("seconds", [5, 60, 120, 180, 300, 900, 1800, 3600])
def test_a_bar_of_every_length_is_the_sum_of_its_five_second_bars(at_desk: Desk, seconds: int) -> None:
    at_desk.watch(seconds)
    for second in range(0, seconds, 5):
        price = f"{190 + second / 100:.2f}"
        at_desk.part(second, f"{price} {price} {price} {price}", 7)
    last = 190 + (seconds - 5) / 100
    assert at_desk.shown()[-1] == (
        f"14:00:00 {seconds} 190.00 {last:.2f} 190.00 {last:.2f} {7 * seconds // 5}"
        if seconds > 5
        else "14:00:00 5 190.00 190.00 190.00 190.00 7"
    )


def test_one_request_serves_every_length_and_listener_of_a_symbol(at_desk: Desk) -> None:
    for seconds in (5, 60, 300, 60):
        at_desk.watch(seconds)
    assert len(at_desk.link.requests("reqRealTimeBars")) == 1


def test_regular_hours_and_all_hours_are_two_requests(at_desk: Desk) -> None:
    at_desk.watch(60, rth=True)
    at_desk.watch(60, rth=False)
    assert [asked.args[4] for asked in at_desk.link.requests("reqRealTimeBars")] == [1, 0]


def test_the_request_ends_with_its_last_listener(at_desk: Desk) -> None:
    first, second = at_desk.watch(60), at_desk.watch(5)
    at_desk.do(first.cancel)
    assert at_desk.link.requests("cancelRealTimeBars") == []
    at_desk.do(second.cancel)
    at_desk.do(second.cancel)
    assert len(at_desk.link.requests("cancelRealTimeBars")) == 1
    at_desk.part(0)
    assert at_desk.bars == []


def test_five_seconds_in_which_nothing_traded_are_no_bar_but_a_sign_of_life(at_desk: Desk) -> None:
    at_desk.watch(5)
    at_desk.part(0, "190 190 190 190", 10)
    at_desk.part(5, "190 190 190 190", 0)
    assert len(at_desk.bars) == 1
    assert at_desk.data.last_heard("AAPL", 5, True) == MONDAY + timedelta(seconds=10.2)


def test_M16_a_bar_that_formed_at_the_start_counts_at_its_close_and_is_completed_from_history() -> None:
    with desk() as at_desk:
        at_desk.until(40)
        at_desk.connect()
        history_answers(at_desk.link, lambda _: [(s, "188 195 187 190", 3) for s in range(0, 40, 5)])
        at_desk.watch(60)
        for second in range(40, 60, 5):
            at_desk.part(second, "190 191 189 190.5", 10)
        assert at_desk.shown() == ["14:00:00 60 188 195 187 190.5 64"]


def test_M16_a_bar_that_closed_before_the_start_is_never_handed_on(at_desk: Desk) -> None:
    at_desk.until(61)
    at_desk.watch(60)
    at_desk.give_part(50, "195 195 195 195")
    at_desk.give_part(55, "195 195 195 195")
    assert at_desk.bars == []


def test_M08_five_seconds_that_are_sent_twice_count_once(at_desk: Desk) -> None:
    at_desk.watch(60)
    at_desk.watch(5)
    at_desk.part(0, "190 190 190 190", 10)
    at_desk.give_part(0, "190 190 190 190", 10)
    for second in range(5, 60, 5):
        at_desk.part(second, "190 190 190 190", 10)
    assert [bar.volume for bar in at_desk.bars if bar.seconds == 60] == [120]
    assert len([bar for bar in at_desk.bars if bar.seconds == 5]) == 12


def test_M08_a_correction_that_comes_while_the_bar_forms_is_its_last_word(at_desk: Desk) -> None:
    at_desk.watch(60)
    at_desk.part(0, "190 199 190 190", 10)
    at_desk.give_part(0, "190 190 190 190", 10)
    for second in range(5, 60, 5):
        at_desk.part(second, "190 190 190 190", 10)
    assert at_desk.shown() == ["14:00:00 60 190 190 190 190 120"]


def test_M08_a_correction_of_a_closed_bar_is_ignored(at_desk: Desk) -> None:
    at_desk.watch(60)
    _minute(at_desk)
    at_desk.give_part(55, "190 190 190 199")
    assert len(at_desk.bars) == 1


def test_M08_parts_out_of_order_make_the_same_bar(at_desk: Desk) -> None:
    at_desk.watch(60)
    for second in (0, 10, 5, 15, 20, 25, 30, 35, 40, 50, 45, 55):
        at_desk.until(second + 5.2)
        at_desk.give_part(second, f"{190 + second} {190 + second} {190 + second} {190 + second}", 1)
    assert at_desk.shown() == ["14:00:00 60 190 245 190 245 12"]


def test_a_gap_inside_a_bar_is_filled_from_history_before_it_closes(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(20, "190 197 190 190", 5), (25, "190 190 180 190", 5)])
    at_desk.watch(60)
    _minute(at_desk, skip=(20, 25))
    assert at_desk.shown() == ["14:00:00 60 190 197 180 190.5 110"]


def test_a_gap_that_history_does_not_fill_leaves_the_bar_with_its_own_close(at_desk: Desk) -> None:
    at_desk.watch(60)
    _minute(at_desk, skip=(20, 25))
    assert at_desk.shown() == ["14:00:00 60 190 191 189 190.5 100"]


def test_a_bar_whose_end_did_not_come_live_is_not_used_and_the_operator_is_told(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(55, "190 199 190 199", 5)])
    at_desk.watch(60)
    _minute(at_desk, skip=(55,))
    at_desk.part(60)
    at_desk.advance(10)
    assert at_desk.bars == []
    (told,) = at_desk.link.told
    assert told[1] == "AAPL: the end of the 60 s bar of 14:00:00 UTC did not come live; it is not used"


def test_a_bar_at_whose_end_nothing_traded_is_handed_on_when_history_says_so(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(50, "190 190 190 190", 5)])
    at_desk.watch(60)
    _minute(at_desk, skip=(55,))
    at_desk.until(60 + 3.1)
    assert at_desk.shown() == ["14:00:00 60 190 191 189 190.1 110"]


def test_a_server_that_skips_quiet_seconds_is_trusted_after_three_such_bars(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [])
    at_desk.watch(60)
    for minute in range(6):
        _minute(at_desk, minute, skip=(50, 55))
    at_desk.advance(15)
    asked = len(at_desk.link.requests("reqHistoricalData"))
    assert len(at_desk.bars) == 6
    _minute(at_desk, 6, skip=(50, 55))
    at_desk.advance(15)
    assert len(at_desk.bars) == 7
    assert len(at_desk.link.requests("reqHistoricalData")) == asked


def test_a_minute_of_which_everything_was_missed_is_never_made_up_from_history(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(s, "199 199 199 199", 5) for s in range(0, 180, 5)])
    at_desk.watch(60)
    _minute(at_desk, 0)
    _minute(at_desk, 2)
    assert [f"{bar.start:%H:%M}" for bar in at_desk.bars] == ["14:00", "14:02"]


@pytest.mark.parametrize(
    "prices",
    [
        "NaN NaN NaN NaN",
        "190 190 190 0",
        "190 190 -1 190",
        "190 189 191 190",
        "sNaN 190 190 190",
        "190 1e309 190 190",
    ],
)
def test_M11_a_part_that_cannot_be_true_spoils_its_bar_as_it_came(at_desk: Desk, prices: str) -> None:
    at_desk.watch(60)
    at_desk.part(0, prices)
    for second in range(5, 60, 5):
        at_desk.part(second)
    (bar,) = at_desk.bars
    words = [str(value) for value in (bar.open, bar.high, bar.low, bar.close)]
    assert words == prices.replace("sNaN", "NaN").replace("1e309", "NaN").split()


@pytest.mark.parametrize(
    "fields",
    [
        ["50", "3"],
        ["50", "3", "ID", "soon", "1", "1", "1", "1", "1", "1", "1"],
        ["50", "3", "ID", "", "1", "1", "1", "1", "1", "1", "1"],
        ["50", "3", "ID", "1783346400", "dear", "1", "1", "1", "1", "1", "1"],
        ["50", "3", "ID", "4102444800", "1", "1", "1", "1", "1", "1", "1"],
        ["50", "3", "999", "1783346400", "1", "1", "1", "1", "1", "1", "1"],
        ["17", "999", "", "", "many"],
        ["90", "999", "", "", "many"],
        ["1", "6", "999", "1", "x", "y", "z"],
    ],
)
def test_M11_a_message_that_makes_no_sense_costs_itself_only(at_desk: Desk, fields: list[str]) -> None:
    at_desk.watch(5)
    number = str(at_desk.link.requests("reqRealTimeBars")[-1].id)
    at_desk.until(5.2)
    at_desk.do(lambda: at_desk.link.send(*(number if field == "ID" else field for field in fields)))
    at_desk.give_part(0, "190 190 190 190")
    assert at_desk.shown() == ["14:00:00 5 190 190 190 190 100"]


def test_M01_a_silent_stream_gets_a_new_number_when_it_is_subscribed_again(at_desk: Desk) -> None:
    other = at_desk.watch(300)
    handle = at_desk.watch(60)
    old = at_desk.link.requests("reqRealTimeBars")[-1].id
    at_desk.part(0)
    at_desk.advance(60)
    at_desk.do(handle.cancel)
    at_desk.watch(60)
    first, second = (asked.id for asked in at_desk.link.requests("reqRealTimeBars"))
    assert first == old != second
    assert [asked.id for asked in at_desk.link.requests("cancelRealTimeBars")] == [old]
    at_desk.give_part(60, "195 195 195 195", req_id=old)
    assert at_desk.data.last_heard("AAPL", 60, True) == MONDAY + timedelta(seconds=5.2)
    at_desk.do(other.cancel)


def test_M01_a_stream_that_speaks_is_shared_by_who_comes_later(at_desk: Desk) -> None:
    at_desk.watch(300)
    at_desk.part(0)
    at_desk.watch(60)
    assert len(at_desk.link.requests("reqRealTimeBars")) == 1


@pytest.mark.parametrize(
    "code, text",
    [
        (10182, "Failed to request live updates (disconnected)."),
        (162, "Historical Market Data Service error message:HMDS query returned no data"),
        (200, "No security definition has been found for the request"),
        (321, "Error validating request.-'bK' : cause - wrong"),
    ],
)
def test_M03_an_error_on_a_live_request_is_told_in_the_brokers_words(
    at_desk: Desk, code: int, text: str
) -> None:
    at_desk.watch(60)
    at_desk.link.error(at_desk.link.requests("reqRealTimeBars")[-1].id, code, text)
    (news,) = at_desk.news
    assert (news.word, news.code, news.text) == (StreamWord.BROKEN, code, text)
    assert (news.symbol, news.seconds, news.rth) == ("AAPL", 60, True)


def test_M03_a_broken_stream_is_asked_for_anew_at_once_when_subscribed_again(at_desk: Desk) -> None:
    handle = at_desk.watch(60)
    at_desk.watch(300)
    at_desk.link.error(
        at_desk.link.requests("reqRealTimeBars")[-1].id, 10182, "Failed to request live updates"
    )
    at_desk.do(handle.cancel)
    at_desk.watch(60)
    assert len(at_desk.link.requests("reqRealTimeBars")) == 2


def test_M03_the_answer_to_a_cancel_of_something_gone_is_no_trouble(at_desk: Desk) -> None:
    at_desk.watch(60)
    at_desk.link.error(at_desk.link.requests("reqRealTimeBars")[-1].id, 366, "No historical data query found")
    assert at_desk.news == []


def test_M05_a_competing_session_is_told_once_and_its_end_when_data_are_back(at_desk: Desk) -> None:
    at_desk.watch(60)
    number = at_desk.link.requests("reqRealTimeBars")[-1].id
    for _ in range(3):
        at_desk.link.error(number, 10197, "No market data during competing live session")
    at_desk.advance(120)
    assert [news.word for news in at_desk.news] == [StreamWord.BLOCKED]
    assert len(at_desk.link.requests("reqRealTimeBars")) == 1
    at_desk.part(125)
    assert [news.word for news in at_desk.news] == [StreamWord.BLOCKED, StreamWord.CLEARED]


def test_a_busted_trade_ends_a_subscription_that_is_made_anew_at_once(at_desk: Desk) -> None:
    at_desk.watch(60)
    at_desk.link.error(at_desk.link.requests("reqRealTimeBars")[-1].id, 10225, "Bust event occurred")
    assert len(at_desk.link.requests("reqRealTimeBars")) == 2
    assert at_desk.news == []


def test_D03_after_1101_each_subscription_is_made_anew_once_and_only_once(at_desk: Desk) -> None:
    for symbol in ("AAPL", "MSFT"):
        at_desk.watch(60, symbol=symbol)
        at_desk.watch(300, symbol=symbol)
        at_desk.do(lambda symbol=symbol: at_desk.data.subscribe_quotes(symbol))  # type: ignore[misc]  # a loop's value
    before = len(at_desk.link.asked)
    at_desk.link.is_served = False
    at_desk.do(at_desk.data.on_lost)
    at_desk.connect(data_lost=True, new=False)
    again = [asked.method for asked in at_desk.link.asked[before:]]
    assert sorted(again) == ["reqMktData"] * 2 + ["reqRealTimeBars"] * 2


def test_D02_after_1102_what_speaks_is_left_alone(at_desk: Desk) -> None:
    at_desk.watch(60)
    at_desk.part(0)
    before = len(at_desk.link.asked)
    at_desk.do(at_desk.data.on_lost)
    at_desk.connect(data_lost=False, new=False)
    assert len(at_desk.link.asked) == before


def test_D02_what_was_subscribed_during_an_outage_is_asked_for_when_it_ends(at_desk: Desk) -> None:
    at_desk.link.is_served = False
    at_desk.watch(60)
    assert at_desk.link.requests("reqRealTimeBars") == []
    at_desk.connect(data_lost=False, new=False)
    assert len(at_desk.link.requests("reqRealTimeBars")) == 1


def test_a_new_connection_is_asked_for_everything_again(at_desk: Desk) -> None:
    at_desk.watch(60)
    at_desk.part(0)
    at_desk.disconnect()
    at_desk.connect(data_lost=False)
    assert len(at_desk.link.requests("reqRealTimeBars")) == 2
    assert len(at_desk.link.requests("cancelRealTimeBars")) == 0
    assert [asked.args for asked in at_desk.link.requests("reqMarketDataType")] == [(1,), (1,)]


def test_a_minute_that_spans_a_lost_link_is_completed_and_closed_by_its_last_live_part(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(s, "190 198 190 190", 1) for s in range(0, 60, 5)])
    at_desk.watch(60)
    at_desk.part(0, "190 190 190 190", 1)
    at_desk.until(20)
    at_desk.disconnect()
    at_desk.until(41)
    at_desk.connect()
    for second in range(40, 60, 5):
        at_desk.part(second, "190 191 190 190.7", 1)
    assert at_desk.shown() == ["14:00:00 60 190 198 190 190.7 12"]


def test_a_length_that_cannot_be_streamed_is_refused_in_one_line(at_desk: Desk) -> None:
    with pytest.raises(BrokerError, match=r"AAPL: no live bars of 7 s; there are those of 1, 5, 10"):
        at_desk.data.subscribe("AAPL", 7, True, at_desk.bars.append)


def test_refused_five_second_bars_are_replaced_by_kept_up_to_date_history(at_desk: Desk) -> None:
    at_desk.watch(60)
    at_desk.watch(300)
    at_desk.link.error(at_desk.link.requests("reqRealTimeBars")[-1].id, 420, "Invalid Real-time Query:pacing")
    assert [asked.args[4] for asked in at_desk.link.requests("reqHistoricalData") if asked.args[8]] == [
        "1 min",
        "5 mins",
    ]
    assert at_desk.news == []


def test_without_a_free_line_bars_come_from_kept_up_to_date_history() -> None:
    with desk(DataSettings(market_lines=1)) as at_desk:
        at_desk.connect()
        at_desk.watch(60)
        at_desk.watch(60, symbol="MSFT")
        assert len(at_desk.link.requests("reqRealTimeBars")) == 1
        assert [
            asked.args[1].symbol for asked in at_desk.link.requests("reqHistoricalData") if asked.args[8]
        ] == ["MSFT"]


def test_M05_a_competing_session_that_is_told_of_nothing_in_particular_is_about_everything(
    at_desk: Desk,
) -> None:
    at_desk.watch(60)
    at_desk.watch(1)
    at_desk.do(lambda: at_desk.data.subscribe_quotes("AAPL"))
    number = at_desk.link.requests("reqMktData")[-1].id
    at_desk.do(lambda: at_desk.link.send(1, 6, number, 1, "190", 100, 1))
    for notice in at_desk.link.notices:
        notice(10197, "No market data during competing live session")
    assert {(news.word, news.seconds) for news in at_desk.news} == {
        (StreamWord.BLOCKED, None),  # of the quotes: about everything
        (StreamWord.BLOCKED, 1),
        (StreamWord.BLOCKED, 60),
    }
    assert at_desk.data.latest("AAPL") is None


def test_before_the_market_opens_nothing_is_asked_of_history() -> None:
    with desk(start=MONDAY.replace(hour=13, minute=29, second=47)) as at_desk:
        at_desk.connect()
        at_desk.watch(3600)
        at_desk.advance(13.2)
        for second in range(-1800, -1770, 5):
            at_desk.part(second)
        assert at_desk.link.requests("reqHistoricalData") == []


def test_D02_what_never_spoke_is_asked_for_again_after_1102(at_desk: Desk) -> None:
    at_desk.watch(60)  # the request may have waited for its turn when the link went
    at_desk.do(at_desk.data.on_lost)
    at_desk.connect(data_lost=False, new=False)
    assert len(at_desk.link.requests("reqRealTimeBars")) == 2


def test_gaps_without_end_do_not_use_up_the_requests_for_history(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [])
    at_desk.watch(300)
    for second in range(0, 300, 10):
        at_desk.part(second)
    assert len(at_desk.link.requests("reqHistoricalData")) == 2


def _skipped(at_desk: Desk, minutes: range) -> int:
    """Let minutes lack their ends; return how many questions history got for the last one."""
    before = 0
    for minute in minutes:
        before = len(at_desk.link.requests("reqHistoricalData"))
        _minute(at_desk, minute, skip=(50, 55))
        at_desk.advance(14)
    return len(at_desk.link.requests("reqHistoricalData")) - before


def test_one_lost_end_in_which_something_traded_takes_the_trust_away(at_desk: Desk) -> None:
    base = int(MONDAY.timestamp())
    traded: list[tuple[int, str, int]] = [(175, "199 199 199 199", 5)]
    history_answers(at_desk.link, lambda _: traded if at_desk.clock.now().timestamp() > base + 160 else [])
    at_desk.watch(60)
    _skipped(at_desk, range(3))  # the third one lost a trade
    assert _skipped(at_desk, range(3, 4)) == 1
    assert [f"{bar.start:%M}" for bar in at_desk.bars] == ["00", "01", "03"]


def test_a_server_that_sends_quiet_seconds_is_never_trusted_with_silence(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [])
    at_desk.watch(60)
    at_desk.watch(60, symbol="MSFT")
    at_desk.part(0, "420 420 420 420", 0)
    number = at_desk.link.requests("reqRealTimeBars")[0].id
    for minute in range(1, 6):
        before = len(at_desk.link.requests("reqHistoricalData"))
        for second in range(0, 50, 5):
            at_desk.part(60 * minute + second, "190 191 189 190", 10, req_id=number)
        at_desk.advance(14)
        assert len(at_desk.link.requests("reqHistoricalData")) > before
