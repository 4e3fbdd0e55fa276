"""Bars of a second, out of single trades."""

from __future__ import annotations

import pytest
from tests.plugins.ibkr_data.kit import MONDAY, Desk, desk

from tradeshell import StreamWord
from tradeshell_ibkr.market_data import DataSettings

BASE = int(MONDAY.timestamp())


def _tick(at_desk: Desk, at: float, second: int, price: str, size: int = 10, mask: int = 0) -> None:
    at_desk.until(at)
    number = at_desk.link.requests("reqTickByTickData")[-1].id
    at_desk.do(lambda: at_desk.link.send(99, number, 1, BASE + second, price, size, mask, "ISLAND", ""))


def test_a_second_is_handed_on_by_the_first_trade_of_a_later_one(at_desk: Desk) -> None:
    at_desk.watch(1)
    _tick(at_desk, 1.1, 1, "190")
    _tick(at_desk, 1.4, 1, "190.5")
    _tick(at_desk, 1.9, 1, "189.9", 5)
    assert at_desk.bars == []
    _tick(at_desk, 2.05, 2, "190")
    assert at_desk.shown() == ["14:00:01 1 190 190.5 189.9 189.9 25"]


def test_a_second_without_a_later_trade_is_handed_on_when_it_is_certainly_over(at_desk: Desk) -> None:
    at_desk.watch(1)
    _tick(at_desk, 1.1, 1, "190")
    at_desk.until(2.3)
    assert at_desk.bars == []
    at_desk.until(2.4)
    assert len(at_desk.bars) == 1


def test_the_time_at_which_a_second_is_over_closes_no_later_one(at_desk: Desk) -> None:
    """The second 1 would be over for certain at 2.35; it was closed at 2.1, and the second 2 forms until 3."""
    at_desk.watch(1)
    _tick(at_desk, 1.1, 1, "190")
    _tick(at_desk, 2.1, 2, "191")
    _tick(at_desk, 2.9, 2, "192")
    assert at_desk.shown() == ["14:00:01 1 190 190 190 190 10"]
    at_desk.until(4)
    assert at_desk.shown()[1:] == ["14:00:02 1 191 192 191 192 20"]


def test_a_clock_that_is_wrong_here_does_not_close_a_second_early(at_desk: Desk) -> None:
    at_desk.watch(1)
    _tick(at_desk, 31.1, 1, "190")  # our clock is half a minute ahead
    _tick(at_desk, 31.9, 1, "191")
    at_desk.advance(2)
    assert at_desk.shown() == ["14:00:01 1 190 191 190 191 20"]


def test_a_late_trade_of_a_closed_second_is_dropped(at_desk: Desk) -> None:
    at_desk.watch(1)
    _tick(at_desk, 1.1, 1, "190")
    _tick(at_desk, 2.1, 2, "190")
    _tick(at_desk, 2.2, 1, "199")
    _tick(at_desk, 3.1, 3, "190")
    assert [str(bar.high) for bar in at_desk.bars] == ["190", "190"]


def test_a_late_trade_of_the_second_that_was_closed_last_is_dropped_too(at_desk: Desk) -> None:
    at_desk.watch(1)
    _tick(at_desk, 1.1, 1, "190")
    _tick(at_desk, 2.6, 1, "199")
    _tick(at_desk, 3.1, 3, "190")
    assert at_desk.shown() == ["14:00:01 1 190 190 190 190 10"]


def test_a_second_in_which_nothing_traded_does_not_exist(at_desk: Desk) -> None:
    at_desk.watch(1)
    for second in (1, 4, 5):
        _tick(at_desk, second + 0.1, second, "190")
    assert [f"{bar.start:%S}" for bar in at_desk.bars] == ["01", "04"]


def test_an_unreported_trade_is_no_trade(at_desk: Desk) -> None:
    at_desk.watch(1)
    _tick(at_desk, 1.1, 1, "190")
    _tick(at_desk, 1.2, 1, "250", mask=2)
    _tick(at_desk, 2.1, 2, "190")
    assert at_desk.shown() == ["14:00:01 1 190 190 190 190 10"]


@pytest.mark.parametrize("price", ["NaN", "-1", "0", "", "x", "Infinity"])
def test_M11_a_trade_that_cannot_be_true_is_dropped(at_desk: Desk, price: str) -> None:
    at_desk.watch(1)
    _tick(at_desk, 1.1, 1, "190")
    _tick(at_desk, 1.2, 1, price)
    _tick(at_desk, 2.1, 2, "190")
    assert at_desk.shown() == ["14:00:01 1 190 190 190 190 10"]
    assert at_desk.data.unreadable == 1


def test_regular_hours_are_kept_although_ticks_know_none() -> None:
    with desk(start=MONDAY.replace(hour=13, minute=29, second=58)) as at_desk:
        at_desk.connect()
        regular: list[str] = []
        at_desk.do(
            lambda: at_desk.data.subscribe(
                "AAPL", 1, True, lambda bar: regular.append(f"{bar.start:%H:%M:%S}")
            )
        )
        at_desk.watch(1, rth=False)
        first = int(at_desk.clock.now().timestamp())
        number = at_desk.link.requests("reqTickByTickData")[-1].id
        for second in range(5):
            at_desk.advance(1)
            at_desk.do(
                lambda second=second: at_desk.link.send(99, number, 1, first + second, "190", 1, 0, "", "")  # type: ignore[misc]  # a loop's value
            )
        assert regular == ["13:30:00", "13:30:01"]
        assert [f"{bar.start:%S}" for bar in at_desk.bars] == ["58", "59", "00", "01"]


def test_the_sixth_symbol_takes_its_trades_from_a_quote_line(at_desk: Desk) -> None:
    for symbol in ("A", "B", "C", "D", "E", "F"):
        at_desk.watch(1, symbol=symbol)
    assert len(at_desk.link.requests("reqTickByTickData")) == 5
    (line,) = at_desk.link.requests("reqMktData")
    assert (line.args[1].symbol, line.args[2]) == ("F", "233")


@pytest.mark.parametrize("code", [10189, 10190])
def test_refused_ticks_are_replaced_by_a_quote_line(at_desk: Desk, code: int) -> None:
    at_desk.watch(1)
    at_desk.link.error(
        at_desk.link.requests("reqTickByTickData")[-1].id, code, "Max number of tick-by-tick requests"
    )
    assert len(at_desk.link.requests("reqMktData")) == 1
    assert at_desk.news == []


def _line(at_desk: Desk) -> int:
    at_desk.watch(1)
    at_desk.link.error(at_desk.link.requests("reqTickByTickData")[-1].id, 10190, "Max number")
    return at_desk.link.requests("reqMktData")[-1].id


def test_trades_of_a_quote_line_are_put_into_the_second_of_their_own_time(at_desk: Desk) -> None:
    number = _line(at_desk)
    for at, milliseconds, price in ((1.9, 1100, "190"), (2.1, 1900, "191"), (2.4, 2100, "192")):
        at_desk.until(at)
        words = f"{price};10;{BASE * 1000 + milliseconds};1000;190;true"
        at_desk.do(lambda words=words: at_desk.link.send(46, 6, number, 48, words))  # type: ignore[misc]  # a loop's value
        at_desk.do(lambda price=price: at_desk.link.send(1, 6, number, 4, price, 10, 0))  # type: ignore[misc]  # a loop's value
    assert at_desk.shown() == ["14:00:01 1 190 191 190 191 20"]


def test_a_server_without_trade_words_gives_trades_by_their_arrival(at_desk: Desk) -> None:
    number = _line(at_desk)
    for at, price in ((1.2, "190"), (1.8, "191"), (2.2, "192")):
        at_desk.until(at)
        at_desk.do(lambda price=price: at_desk.link.send(1, 6, number, 4, price, 10, 0))  # type: ignore[misc]  # a loop's value
    assert at_desk.shown() == ["14:00:01 1 190 191 190 191 20"]


def test_delayed_trades_make_no_bars(at_desk: Desk) -> None:
    number = _line(at_desk)
    for second in range(1, 4):
        at_desk.until(second)
        at_desk.do(lambda: at_desk.link.send(1, 6, number, 68, "190", 10, 0))
    at_desk.advance(5)
    assert at_desk.bars == []


def test_two_requests_for_the_ticks_of_a_symbol_are_fifteen_seconds_apart(at_desk: Desk) -> None:
    at_desk.watch(1).cancel()
    at_desk.advance(5)
    at_desk.watch(1)
    assert len(at_desk.link.requests("reqTickByTickData")) == 1
    at_desk.until(15.1)
    assert len(at_desk.link.requests("reqTickByTickData")) == 2


def test_no_line_at_all_is_told_as_a_broken_stream() -> None:
    with desk(DataSettings(market_lines=1, tick_lines=0)) as at_desk:
        at_desk.connect()
        at_desk.do(lambda: at_desk.data.subscribe_quotes("MSFT"))
        at_desk.watch(1)
        assert [(news.word, news.code) for news in at_desk.news] == [(StreamWord.BROKEN, 101)]


def test_everything_is_given_back_at_the_end(at_desk: Desk) -> None:
    handles = [at_desk.watch(1, symbol=symbol) for symbol in "ABCDEFG"]
    for handle in handles:
        at_desk.do(handle.cancel)
    assert (at_desk.data.budget.used, at_desk.data.budget.ticking) == (0, 0)
    assert len(at_desk.link.requests("cancelTickByTickData")) == 5
    assert len(at_desk.link.requests("cancelMktData")) == 2
