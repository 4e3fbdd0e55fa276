"""History: what is asked for, in which words, how often, and what comes out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from tests.plugins.ibkr_data.kit import MONDAY, Asked, Desk, desk, history_answers

from tradeshell import Bar, BrokerError
from tradeshell_ibkr.bars import Part
from tradeshell_ibkr.history import Pacing, Request, duration_words, read_rows, read_time, size_words

NO_DATA = "Historical Market Data Service error message:HMDS query returned no data: AAPL@SMART Trades"
PACING = "Historical Market Data Service error message:Historical data request pacing violation"


def _history(at_desk: Desk, seconds: int = 60, count: int = 3, *, rth: bool = True) -> tuple[Bar, ...]:
    return at_desk.run(at_desk.data.history("AAPL", seconds, count, rth))


def _starts(bars: tuple[Bar, ...]) -> list[str]:
    return [f"{bar.start:%d %H:%M:%S}" for bar in bars]


def test_only_bars_that_are_closed_by_now_are_given_oldest_first(at_desk: Desk) -> None:
    at_desk.until(30)
    history_answers(at_desk.link, lambda _: [(-120, "1 2 1 2", 5), (-60, "2 3 2 3", 5), (0, "9 9 9 9", 5)])
    bars = _history(at_desk)
    assert _starts(bars) == ["06 13:58:00", "06 13:59:00"]
    assert (str(bars[-1].close), bars[-1].volume, bars[-1].seconds) == ("3", 5, 60)


def test_the_request_asks_for_trades_in_epoch_seconds(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [])
    _history(at_desk, 300, 10, rth=False)
    (asked,) = at_desk.link.requests("reqHistoricalData")
    assert asked.args[2:] == ("", "1 D", "5 mins", "TRADES", 0, 2, False, [])


def test_days_before_are_asked_for_until_there_are_enough(at_desk: Desk) -> None:
    def rows(asked: Asked) -> list[tuple[int, str, int]]:
        end = MONDAY if not asked.args[2] else datetime.strptime(asked.args[2] + "+0000", "%Y%m%d-%H:%M:%S%z")
        last = int((end - MONDAY).total_seconds())
        return [(last - 60 * n, "1 1 1 1", 1) for n in (3, 2, 1)]

    history_answers(at_desk.link, rows)
    bars = _history(at_desk, 60, 8)
    assert len(bars) == 8
    assert [asked.args[2] for asked in at_desk.link.requests("reqHistoricalData")] == [
        "",
        "20260706-13:57:00",
        "20260706-13:54:00",
    ]


def test_a_history_that_ends_gives_what_there_is(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda asked: [] if asked.args[2] else [(-60, "1 1 1 1", 1)])
    assert len(_history(at_desk, 60, 100)) == 1


def test_M15_no_data_is_an_empty_history(at_desk: Desk) -> None:
    at_desk.link.answer = lambda asked: at_desk.link.error(asked.id, 162, NO_DATA)
    assert _history(at_desk) == ()


@pytest.mark.parametrize(
    "code, text",
    [
        (162, "Historical Market Data Service error message:No market data permissions for ISLAND STK"),
        (
            162,
            "Historical Market Data Service error message:Trading TWS session is connected from a different IP address",
        ),
        (200, "No security definition has been found for the request"),
        (321, "Error validating request.-'bK' : cause - Historical data bar size setting is invalid."),
        (10187, "Failed to request historical ticks:No market data permissions"),
    ],
)
def test_a_refused_history_is_one_line_with_the_brokers_words(at_desk: Desk, code: int, text: str) -> None:
    at_desk.link.answer = lambda asked: at_desk.link.error(asked.id, code, text)
    with pytest.raises(BrokerError) as refusal:
        _history(at_desk)
    assert str(refusal.value) == f"AAPL: no history: IBKR says {code}: {text}"
    assert at_desk.clock.now() == MONDAY


def test_M04_a_pacing_violation_is_waited_out_longer_each_time(at_desk: Desk) -> None:
    at_desk.link.answer = lambda asked: at_desk.link.error(asked.id, 162, PACING)
    with pytest.raises(
        BrokerError, match=r"AAPL: IBKR limits requests for history; the next one may leave in \d+ s"
    ):
        _history(at_desk)
    times = [(asked.at - MONDAY).total_seconds() for asked in at_desk.link.requests("reqHistoricalData")]
    assert times == [0, 15, 45]


def test_M04_after_a_pacing_violation_the_history_comes(at_desk: Desk) -> None:
    def answer(asked: Asked) -> None:
        if len(at_desk.link.requests("reqHistoricalData")) == 1:
            at_desk.link.error(asked.id, 162, PACING)
        else:
            at_desk.link.send(17, asked.id, "", "", 1, int(MONDAY.timestamp()) - 60, 1, 1, 1, 1, 5, 1, 1)

    at_desk.link.answer = answer
    assert len(_history(at_desk, count=1)) == 1


def test_silence_ends_with_a_line_and_a_cancel(at_desk: Desk) -> None:
    with pytest.raises(BrokerError, match=r"AAPL: no history of 1 min bars came in time"):
        _history(at_desk)
    assert len(at_desk.link.requests("cancelHistoricalData")) == 1
    assert at_desk.data.past.pacing.open == 0
    assert at_desk.clock.now() == MONDAY + timedelta(seconds=60)


def test_a_lost_link_ends_it(at_desk: Desk) -> None:
    at_desk.clock.call_at(MONDAY + timedelta(seconds=1), at_desk.link.lose)
    with pytest.raises(BrokerError, match="lost with the connection"):
        _history(at_desk)


def test_the_same_history_is_asked_for_once_however_many_want_it(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(-60, "1 1 1 1", 1)])

    async def two() -> list[tuple[Bar, ...]]:
        return await asyncio.gather(*(at_desk.data.history("AAPL", 60, 1, True) for _ in range(2)))

    assert [len(bars) for bars in at_desk.run(two())] == [1, 1]
    assert len(at_desk.link.requests("reqHistoricalData")) == 1


def test_the_same_question_soon_after_spells_out_its_end_and_need_not_wait(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(-60, "1 1 1 1", 1)])
    _history(at_desk, count=1)
    at_desk.until(5)
    _history(at_desk, count=1)
    assert [asked.args[2] for asked in at_desk.link.requests("reqHistoricalData")] == [
        "",
        "20260706-14:00:05",
    ]
    assert at_desk.clock.now() == MONDAY + timedelta(seconds=5)


def test_the_first_regular_hour_is_the_bar_of_nine(at_desk: Desk) -> None:
    history_answers(at_desk.link, lambda _: [(-1800, "190 191 189 190.5", 5)])
    (bar,) = _history(at_desk, 3600, 1)
    assert (f"{bar.start:%H:%M}", bar.end) == ("13:00", MONDAY)


def test_poison_and_garbage_in_an_answer_cost_themselves(at_desk: Desk) -> None:
    def answer(asked: Asked) -> None:
        rows: list[tuple[int | str, str]] = [
            (-240, "NaN"),
            (-180, "0"),
            ("soon", "1"),
            (-120, "x"),
            (-60, "2"),
        ]
        flat: list[object] = []
        for second, price in rows:
            start = second if isinstance(second, str) else int(MONDAY.timestamp()) + second
            flat += [start, price, price, price, price, 5, 1, 1]
        at_desk.link.send(17, asked.id, "", "", len(rows), *flat)

    at_desk.link.answer = answer
    assert _starts(_history(at_desk, count=1)) == ["06 13:59:00"]


def test_answers_in_any_order_and_twice_are_put_right(at_desk: Desk) -> None:
    history_answers(
        at_desk.link,
        lambda _: [(-60, "3 3 3 3", 1), (-180, "1 1 1 1", 1), (-60, "3 3 3 3", 1), (-120, "2 2 2 2", 1)],
    )
    assert _starts(_history(at_desk)) == ["06 13:57:00", "06 13:58:00", "06 13:59:00"]


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_is_asked_for_when_nothing_is_wanted(at_desk: Desk, count: int) -> None:
    assert _history(at_desk, count=count) == ()
    assert at_desk.link.requests("reqHistoricalData") == []


def test_a_length_that_ibkr_lacks_is_refused_with_those_it_has(at_desk: Desk) -> None:
    with pytest.raises(BrokerError, match=r"IBKR has no bars of 7 s; it has 1 secs, 5 secs"):
        _history(at_desk, 7)


@pytest.mark.parametrize(
    "seconds, words",
    [
        (1, "1 secs"),
        (5, "5 secs"),
        (60, "1 min"),
        (120, "2 mins"),
        (180, "3 mins"),
        (300, "5 mins"),
        (900, "15 mins"),
        (1800, "30 mins"),
        (3600, "1 hour"),
        (86400, "1 day"),
    ],
)
def test_each_length_has_ibkrs_word(seconds: int, words: str) -> None:
    assert size_words(seconds) == words


@pytest.mark.parametrize(
    "seconds, count, rth, words",
    [
        (1, 30, True, "60 S"),
        (1, 5000, True, "2000 S"),
        (5, 100, True, "1 D"),
        (5, 100_000, True, "1 D"),
        (60, 390, True, "1 D"),
        (60, 391, True, "3 D"),
        (60, 100_000, True, "15 D"),
        (60, 960, False, "1 D"),
        (300, 390, True, "6 D"),
        (3600, 60, True, "11 D"),
        (3600, 100_000, True, "365 D"),
        (86400, 20, True, "1 Y"),
        (86400, 600, True, "3 Y"),
        (86400, 10**6, True, "10 Y"),
    ],
)
def test_a_duration_holds_the_bars_within_what_may_be_asked_at_once(
    seconds: int, count: int, rth: bool, words: str
) -> None:
    assert duration_words(seconds, count, rth) == words


# --- pacing -----------------------------------------------------------------------------------------------------------


def _request(n: int, seconds: int = 5, symbol: str | None = None) -> Request:
    return Request(symbol or f"S{n}", seconds, f"{60 + n} S", True)


def test_the_sixty_first_small_request_waits_until_ten_minutes_have_passed() -> None:
    pacing = Pacing()
    for n in range(60):
        assert pacing.wait(_request(n), 1000.0 + n) == 0
        pacing.sent(_request(n), 1000.0 + n)
    assert pacing.wait(_request(60), 1100.0) == 500.0
    assert pacing.wait(_request(60), 1600.0) == 0
    assert pacing.wait(_request(60, 60), 1100.0) == 0  # bars of a minute are not counted


def test_the_same_request_waits_fifteen_seconds() -> None:
    pacing = Pacing()
    pacing.sent(_request(1), 1000.0)
    assert pacing.wait(_request(1), 1004.0) == 11.0
    assert pacing.wait(_request(2), 1004.0) == 0


def test_the_sixth_request_for_one_contract_waits_two_seconds() -> None:
    pacing = Pacing()
    for n in range(5):
        pacing.sent(_request(n, symbol="AAPL"), 1000.0)
    assert pacing.wait(_request(9, symbol="AAPL"), 1000.5) == 1.5
    assert pacing.wait(_request(9, symbol="MSFT"), 1000.5) == 0


def test_fifty_open_requests_are_all_that_may_be() -> None:
    pacing = Pacing()
    pacing.open = 50
    assert pacing.wait(_request(1), 1000.0) == 1.0


def test_M04_violations_hold_everything_back_longer_each_time_until_an_answer() -> None:
    pacing = Pacing()
    assert [pacing.violated(1000.0) for _ in range(5)] == [15, 30, 60, 120, 120]
    assert pacing.wait(_request(1, 60), 1000.0) == 120
    pacing.answered()
    assert pacing.violated(2000.0) == 15


def test_pacing_remembers_a_bounded_number_of_requests() -> None:
    pacing = Pacing()
    for n in range(20_000):
        pacing.wait(_request(n), n * 20.0)
        pacing.sent(_request(n), n * 20.0)
    assert max(len(pacing._latest), len(pacing._contract), len(pacing._small)) <= 501


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "1783346400",
        "20260706 10:00:00 US/Eastern",
        "20260706-14:00:00",
        "20260706  10:00:00",
        "20260706 10:00:00",
        "20260706 16:00:00 Europe/Amsterdam",
        "20260706 14:00:00 UTC",
    ],
)
def test_M09_every_spelling_is_the_same_instant_whatever_zone_this_computer_is_in(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert read_time(text) == int(MONDAY.timestamp())
    finally:
        monkeypatch.undo()
        time.tzset()


def test_M09_a_day_begins_at_midnight_of_new_york() -> None:
    assert read_time("20261102") == int(datetime(2026, 11, 2, 5, tzinfo=UTC).timestamp())


def test_M09_the_night_of_daylight_saving_is_told_apart_by_epoch_seconds() -> None:
    assert read_time("1793509200") != read_time("1793512800")  # both are 01:00 in New York


@pytest.mark.parametrize("text", ["", "soon", "2026-07-06", "99999999", "20260706 25:00:00", "NaN"])
def test_a_time_that_makes_no_sense_is_an_error_of_its_own(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # Python's own words
        read_time(text)


def test_rows_that_are_cut_off_are_not_rows() -> None:
    assert read_rows(
        ["17", "1", "", "", "2", "1783346400", "1", "1", "1", "1", "5", "1", "1", "1783346460", "1"]
    )[0] == [(1783346400, Part(Decimal(1), Decimal(1), Decimal(1), Decimal(1), 5))]


def test_one_second_history_is_asked_for_in_pieces_of_two_thousand_seconds() -> None:
    with desk() as at_desk:
        at_desk.connect()

        def rows(asked: Asked) -> list[tuple[int, str, int]]:
            end = (
                MONDAY
                if not asked.args[2]
                else datetime.strptime(asked.args[2] + "+0000", "%Y%m%d-%H:%M:%S%z")
            )
            last = int((end - MONDAY).total_seconds())
            return [(last - n, "1 1 1 1", 1) for n in range(2000, 0, -1)]

        history_answers(at_desk.link, rows)
        bars = _history(at_desk, 1, 5000)
        assert len(bars) == 5000
        assert [asked.args[3] for asked in at_desk.link.requests("reqHistoricalData")] == [
            "2000 S",
            "2000 S",
            "1000 S",
        ]
