"""Closed bars out of a history that is kept up to date, over a fake link."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.plugins.ibkr_data.kit import MONDAY, Desk, desk, history_answers

from tradeshell import StreamWord
from tradeshell_ibkr.market_data import DataSettings

BASE = int(MONDAY.timestamp())


@pytest.fixture
def keeper() -> Iterator[Desk]:
    """Return a desk whose bars come from kept-up-to-date history."""
    with desk(DataSettings(real_time_bars=False)) as made:
        made.connect()
        yield made


def _update(keeper: Desk, at: float, second: int, close: str, volume: int = 10) -> None:
    """Give an update of the bar that starts ``second``, ``at`` seconds after ten."""
    keeper.until(at)
    number = keeper.link.requests("reqHistoricalData")[-1].id
    keeper.do(
        lambda: keeper.link.send(90, number, 5, BASE + second, "190", close, "199", "180", "190", volume)
    )


def _closes(keeper: Desk) -> list[str]:
    return [f"{bar.start:%H:%M:%S} {bar.close}" for bar in keeper.bars]


def test_M07_a_forming_bar_is_never_handed_on_and_the_final_one_is(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 20, 0, "190.2")
    _update(keeper, 60, 0, "189.8")
    assert keeper.bars == []
    _update(keeper, 60.1, 60, "189.9")
    keeper.advance(0.5)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_M08_a_correction_right_after_the_new_bar_began_is_the_last_word(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 60, 0, "189.8")
    _update(keeper, 60.1, 60, "189.9")
    _update(keeper, 60.2, 0, "190.1")
    keeper.advance(0.5)
    assert _closes(keeper) == ["14:00:00 190.1"]


def test_M08_a_correction_after_the_bar_was_handed_on_is_ignored(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 60, 0, "189.8")
    _update(keeper, 60.1, 60, "189.9")
    _update(keeper, 65, 0, "190.1")
    keeper.advance(5)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_M08_an_older_bar_is_ignored(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 60, 0, "189.8")
    _update(keeper, 60.05, -60, "195")
    _update(keeper, 60.1, 60, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_a_bar_that_is_repeated_after_its_end_is_closed(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 60, 0, "189.8")
    _update(keeper, 62.9, 0, "189.8")
    _update(keeper, 68, 0, "189.8")
    assert _closes(keeper) == ["14:00:00 189.8"]
    _update(keeper, 73, 0, "189.8")
    _update(keeper, 120, 120, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_a_bar_that_had_ended_before_the_start_is_never_handed_on(keeper: Desk) -> None:
    keeper.until(30)
    history_answers(keeper.link, lambda _: [(-60, "195 195 195 195", 5)])
    keeper.watch(60)
    _update(keeper, 30.1, 0, "190")
    keeper.advance(1)
    assert keeper.bars == []
    assert keeper.link.told == []


def test_M01_a_history_that_dies_silently_hands_on_nothing(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 60, 0, "189.8")
    keeper.advance(600)
    assert keeper.bars == []


def test_a_bar_that_is_missing_altogether_is_not_made_up(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 60, 0, "189.8")
    _update(keeper, 60.1, 120, "189.9")
    _update(keeper, 180, 120, "189.9")
    _update(keeper, 180.1, 180, "190")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8", "14:02:00 189.9"]


def test_M07_a_bar_whose_last_word_came_before_its_end_is_asked_for_once_more(keeper: Desk) -> None:
    history_answers(keeper.link, lambda asked: [] if asked.args[8] else [(0, "190 199 180 190.4", 77)])
    keeper.watch(60)
    _update(keeper, 56, 0, "189.8")
    _update(keeper, 61, 60, "189.9")
    keeper.advance(1)
    assert keeper.shown() == ["14:00:00 60 190 199 180 190.4 77"]


@pytest.mark.parametrize("last", [10, 47])
def test_M07_a_bar_of_which_the_end_was_not_heard_at_all_is_not_used(keeper: Desk, last: int) -> None:
    history_answers(keeper.link, lambda asked: [] if asked.args[8] else [(0, "190 199 180 199", 77)])
    keeper.watch(60)
    _update(keeper, last, 0, "199")
    _update(keeper, 61, 60, "189.9")
    keeper.advance(1)
    assert keeper.bars == []
    assert keeper.link.told == [
        (0, "AAPL: the end of the 60 s bar of 14:00:00 UTC did not come live; it is not used")
    ]


def test_a_bar_that_was_heard_to_its_end_is_right_however_late_the_next_one_begins(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 0.1, 0, "189")
    _update(keeper, 60.1, 0, "189.8")
    _update(keeper, 125, 120, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8"]
    assert keeper.link.told == []


def test_M07_a_bar_whose_last_word_cannot_be_had_is_not_used(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 56, 0, "199")
    _update(keeper, 61, 60, "189.9")
    keeper.advance(30)
    assert keeper.bars == []
    assert len(keeper.link.told) == 1


def test_bars_below_a_minute_are_told_as_broken_when_five_second_bars_are_refused(at_desk: Desk) -> None:
    at_desk.watch(5)
    at_desk.link.error(at_desk.link.requests("reqRealTimeBars")[-1].id, 420, "Invalid Real-time Query:pacing")
    assert [(news.word, news.code, news.text) for news in at_desk.news] == [
        (StreamWord.BROKEN, 420, "Invalid Real-time Query:pacing")
    ]


def test_updates_arrive_although_the_first_answer_was_empty(keeper: Desk) -> None:
    history_answers(keeper.link, lambda _: [])
    keeper.watch(60)
    _update(keeper, 60, 0, "189.8")
    _update(keeper, 60.1, 60, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_bars_of_the_first_answer_are_back_filled_and_never_handed_on(keeper: Desk) -> None:
    history_answers(
        keeper.link,
        lambda _: [(-120, "195 195 195 195", 5), (-60, "195 195 195 195", 5), (0, "190 190 190 190", 1)],
    )
    keeper.watch(60)
    keeper.until(60.9)
    _update(keeper, 60.9, 0, "190")
    _update(keeper, 61, 60, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 190"]


@pytest.mark.parametrize(
    "time",
    [
        str(BASE),
        "20260706 10:00:00 US/Eastern",
        "20260706-14:00:00",
        "20260706  10:00:00",
        "20260706 14:00:00 UTC",
    ],
)
def test_M09_every_spelling_of_a_time_is_the_same_instant(keeper: Desk, time: str) -> None:
    keeper.watch(60)
    number = keeper.link.requests("reqHistoricalData")[-1].id
    keeper.until(30)
    keeper.until(60.9)
    keeper.do(lambda: keeper.link.send(90, number, 5, time, "190", "190", "199", "180", "190", 5))
    _update(keeper, 61, 60, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 190"]


def test_M03_10182_on_a_kept_history_is_told_for_its_length_only(keeper: Desk) -> None:
    keeper.watch(60)
    keeper.watch(300)
    first, second = keeper.link.requests("reqHistoricalData")
    keeper.link.error(first.id, 10182, "Failed to request live updates (disconnected).")
    assert [(news.word, news.seconds) for news in keeper.news] == [(StreamWord.BROKEN, 60)]
    assert second.args[4] == "5 mins"


def test_M05_a_session_at_another_address_is_a_competing_one(keeper: Desk) -> None:
    keeper.watch(60)
    keeper.link.error(
        keeper.link.requests("reqHistoricalData")[-1].id,
        162,
        "Historical Market Data Service error message:Trading TWS session is connected from a different IP address",
    )
    assert [news.word for news in keeper.news] == [StreamWord.BLOCKED]


def test_a_history_is_asked_for_anew_after_1102_which_often_leaves_it_dead(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 5, 0, "190")
    keeper.do(keeper.data.on_lost)
    keeper.connect(data_lost=False, new=False)
    assert len(keeper.link.requests("reqHistoricalData")) == 2
    assert len(keeper.link.requests("cancelHistoricalData")) == 1


def test_the_request_asks_for_trades_of_now_in_epoch_seconds(keeper: Desk) -> None:
    keeper.watch(300, rth=False)
    (asked,) = keeper.link.requests("reqHistoricalData")
    assert asked.args[2:] == ("", "900 S", "5 mins", "TRADES", 0, 2, True, [])
