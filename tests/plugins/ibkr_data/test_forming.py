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
    _update(keeper, 58, 0, "189.8")
    assert keeper.bars == []
    _update(keeper, 62, 60, "189.9")
    keeper.advance(0.5)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_M08_a_correction_right_after_the_new_bar_began_is_the_last_word(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 58, 0, "189.8")
    _update(keeper, 62, 60, "189.9")
    _update(keeper, 62.1, 0, "190.1")
    keeper.advance(0.5)
    assert _closes(keeper) == ["14:00:00 190.1"]


def test_M08_a_correction_after_the_bar_was_handed_on_is_ignored(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 58, 0, "189.8")
    _update(keeper, 62, 60, "189.9")
    _update(keeper, 65, 0, "190.1")
    keeper.advance(5)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_M08_an_older_bar_is_ignored(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 58, 0, "189.8")
    _update(keeper, 59, -60, "195")
    _update(keeper, 62, 60, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_a_bar_that_is_repeated_after_its_end_is_closed(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 58, 0, "189.8")
    _update(keeper, 63, 0, "189.8")
    _update(keeper, 68, 0, "189.8")
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_M01_a_history_that_dies_silently_hands_on_nothing(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 58, 0, "189.8")
    keeper.advance(600)
    assert keeper.bars == []


def test_a_bar_that_is_missing_altogether_is_not_made_up(keeper: Desk) -> None:
    keeper.watch(60)
    _update(keeper, 58, 0, "189.8")
    _update(keeper, 122, 120, "189.9")
    _update(keeper, 182, 180, "190")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8", "14:02:00 189.9"]


def test_updates_arrive_although_the_first_answer_was_empty(keeper: Desk) -> None:
    history_answers(keeper.link, lambda _: [])
    keeper.watch(60)
    _update(keeper, 58, 0, "189.8")
    _update(keeper, 62, 60, "189.9")
    keeper.advance(1)
    assert _closes(keeper) == ["14:00:00 189.8"]


def test_bars_of_the_first_answer_are_back_filled_and_never_handed_on(keeper: Desk) -> None:
    history_answers(
        keeper.link,
        lambda _: [(-120, "195 195 195 195", 5), (-60, "195 195 195 195", 5), (0, "190 190 190 190", 1)],
    )
    keeper.watch(60)
    keeper.advance(1)
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
