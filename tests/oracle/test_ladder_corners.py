"""Ladders on short recordings that are made up: the corners of the rules, and where program and rules are known to differ."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from tests.oracle import plain
from tests.oracle.ladder import Course, Ladder, course
from tests.oracle.ladder_runs import agreed, climbed, typed
from tests.oracle.plain import MINUTE, Bar, Quote
from tests.oracle.test_plain import at, bars_from, write_bars, write_quotes

DAY = date(2013, 10, 10)
START = at(DAY, "10:00")
ENTRY = START + 2 * MINUTE
# The level 20.05 is reached by the second bar; the third one is that of the entry at 20.05, and does nothing.
HALF_A_MINUTE = MINUTE / 2
RISE = ("20 20 20 20", "20 20.05 20 20.05", "20.05 20.07 20.02 20.06")
CALM = "20.06 20.07 20.05 20.06"


def prices(text: str) -> tuple[Decimal, ...]:
    return tuple(Decimal(price) for price in text.split())


def ladder(updates: str = "", tps: str = "20.20 20.40 20.60", sl: str = "19.90") -> Ladder:
    targets = prices(tps)
    return Ladder(Decimal("20.05"), START, targets, Decimal(sl), 100, (), prices(updates))


def touches(*bids: str, length: timedelta = MINUTE) -> list[Quote]:
    """Return quotes from the entry on, one after another: ``open close`` of the bid, the ask a cent above; before it 20.04."""
    found = [Quote(START, *prices("20.04 20.04 20.05 20.05"))]
    for number, text in enumerate(bids):
        first, last = prices(f"{text} {text}")[:2] if " " not in text else prices(text)
        cent = Decimal("0.01")
        found.append(Quote(ENTRY + number * length, first, last, first + cent, last + cent))
    return found


def check(
    folder: Path,
    wish: Ladder,
    bars: list[Bar],
    quotes: list[Quote] | None = None,
    length: timedelta = MINUTE,
) -> Course:
    """Assert that program and calculation agree; return the course."""
    files = [write_bars(folder, DAY, bars)]
    if quotes is not None:
        written = write_quotes(folder, DAY, quotes)
        (folder / "quotes").mkdir()  # a name that says no length: it is the smallest distance
        files.append(written.rename(folder / "quotes" / written.name))
    expected = course(wish, bars, quotes, None, length)
    (ours,) = climbed(files, wish.start, typed("XYZ", wish))
    told = expected._replace(has_waited=False, has_settled=False)
    assert agreed(ours, has_quotes=quotes is not None) == told
    return expected


def sold(found: Course) -> list[str]:
    """Return the sells as words: ``tp1 20.20 10:03:59.999``."""
    clock = [fill.at.astimezone(plain.NEW_YORK).time().isoformat() for fill in found.fills[1:]]
    return [f"{fill.leg} {fill.price} {time[:12]}" for fill, time in zip(found.fills[1:], clock, strict=True)]


def moved(found: Course) -> list[str]:
    """Return the moves as words: ``sl2 20.05 10:04:00``."""
    return [
        f"{move.leg} {move.stop} {move.at.astimezone(plain.NEW_YORK).time().isoformat()[:12]}"
        for move in found.moves
    ]


# --- one bar ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bar, expected",
    [
        ("20.06 20.70 19.90 20", ["sl1 19.90", "sl2 19.90", "sl3 19.90"]),
        ("20.30 20.70 19.90 20", ["sl1 19.90", "sl2 19.90", "sl3 19.90"]),
        ("19.80 20.70 19.70 20", ["sl1 19.80", "sl2 19.80", "sl3 19.80"]),
        ("20.06 20.20 19.91 20", ["tp1 20.20"]),
        ("20.06 20.40 20 20.30", ["tp1 20.20", "tp2 20.40"]),
        ("20.30 20.45 20.25 20.30", ["tp1 20.30", "tp2 20.40"]),
        ("20.50 20.70 20.45 20.60", ["tp1 20.50", "tp2 20.50", "tp3 20.60"]),
        ("20.06 20.19 19.91 20", []),
    ],
)
def test_a_bar_fills_every_leg_it_reaches_and_stops_come_first(
    bar: str, expected: list[str], tmp_path: Path
) -> None:
    found = check(tmp_path, ladder(), bars_from(DAY, "10:00", *RISE, bar))
    assert [words.rpartition(" ")[0] for words in sold(found)] == expected


@pytest.mark.parametrize(
    "bar, expected",
    [
        ("20.05 20.45 20 20.30", ["tp1 20.20", "tp2 20.40"]),
        ("20.05 20.45 19.85 20.30", ["sl1 19.90", "sl2 19.90", "sl3 19.90"]),
        ("20.50 20.70 20.45 20.50", ["tp1 20.20", "tp2 20.40", "tp3 20.60"]),
        ("19.80 19.85 19.70 19.80", ["sl1 19.90", "sl2 19.90", "sl3 19.90"]),
    ],
    ids=["two-targets", "both", "above-everything", "below-everything"],
)
def test_the_bar_of_the_entry_fills_legs_at_their_own_prices(
    bar: str, expected: list[str], tmp_path: Path
) -> None:
    bars = bars_from(DAY, "10:00", *RISE[:2], bar, CALM)
    found = check(tmp_path, ladder(), bars, touches("20.04"))
    assert [words.rpartition(" ")[0] for words in sold(found)] == expected


# --- milestones -------------------------------------------------------------------------------------------------------


def test_a_moved_stop_works_from_the_next_bar_on(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 19.95 20.21", "20.21 20.22 20.04 20.10", CALM)
    found = check(tmp_path, ladder(), bars)
    assert moved(found) == ["sl2 20.05 10:04:00", "sl3 20.05 10:04:00"]
    assert sold(found)[1:] == ["sl2 20.05 10:04:59.999", "sl3 20.05 10:04:59.999"]


def test_a_moved_stop_meets_the_open_of_the_next_bar(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 20 20.21", "20.01 20.10 19.95 20", CALM)
    found = check(tmp_path, ladder(), bars, touches("20.05", "20.06", "20.20", "20"))
    assert sold(found)[1:] == ["sl2 20.01 10:04:00", "sl3 20.01 10:04:00"]


def test_two_targets_of_one_bar_move_the_last_stop_to_the_second_update(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.45 20 20.42", "20.42 20.43 20.20 20.30", CALM)
    found = check(tmp_path, ladder(), bars)
    assert moved(found) == ["sl3 20.20 10:04:00"]
    assert sold(found)[2:] == ["sl3 20.20 10:04:59.999"]


@pytest.mark.parametrize("bid, expected", [("20.06", []), ("20.07", ["sl2 20.05 10:04:00"])])
def test_a_stop_moves_when_the_bid_is_more_than_a_tick_above_it(
    bid: str, expected: list[str], tmp_path: Path
) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 20 20.06", CALM)
    quotes = touches("20.05", "20.06", bid)
    assert moved(check(tmp_path, ladder(tps="20.20 20.40"), bars, quotes))[:1] == expected


def test_a_stop_that_had_to_wait_moves_as_soon_as_the_bid_allows(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 20 20.06", CALM, CALM, "20.10 20.30 20.02 20.20", CALM)
    quotes = touches("20.05", "20.06", "20.06", "20.05", "20.15", "20.10")
    found = check(tmp_path, ladder(), bars, quotes)
    assert moved(found) == ["sl2 20.05 10:06:00", "sl3 20.05 10:06:00"]
    assert sold(found)[1:] == ["sl2 20.05 10:06:59.999", "sl3 20.05 10:06:59.999"]


def test_a_bar_that_ends_is_met_by_the_stop_where_it_was_before_it_may_move(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 20 20.06", "20.06 20.30 19.85 20.20", CALM)
    found = check(tmp_path, ladder(), bars, touches("20.05", "20.06", "20.06", "20.20"))
    assert moved(found) == []
    assert sold(found)[1:] == ["sl2 19.90 10:04:59.999", "sl3 19.90 10:04:59.999"]


def test_an_update_below_the_stop_moves_nothing(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 20 20.21", "20.21 20.22 20.18 20.20", CALM)
    found = check(tmp_path, ladder(updates="19.90 19.90"), bars)
    assert moved(found) == []


def test_stops_follow_each_target_up_the_ladder(tmp_path: Path) -> None:
    climb = ("20.06 20.25 20 20.22", "20.22 20.45 20.15 20.42", "20.42 20.65 20.30 20.62")
    found = check(tmp_path, ladder(updates="20.10 20.25"), bars_from(DAY, "10:00", *RISE, *climb, CALM))
    assert moved(found) == ["sl2 20.10 10:04:00", "sl3 20.10 10:04:00", "sl3 20.25 10:05:00"]
    assert found.pnl == 60 * Decimal("0.15") + 30 * Decimal("0.35") + 10 * Decimal("0.55")


def test_a_stop_that_waits_without_quotes_does_not_know_the_next_open(tmp_path: Path) -> None:
    waits = ("20.06 20.25 20 20.03", "20.03 20.21 19.95 20.20", "20.20 20.30 20.15 20.20")
    found = check(tmp_path, ladder(), bars_from(DAY, "10:00", *RISE, *waits))
    assert moved(found) == ["sl2 20.05 10:05:00", "sl3 20.05 10:05:00"]


def test_a_stop_that_moves_within_a_bar_is_met_by_that_bar_where_it_was(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 20 20.06", "20.06 20.30 19.85 20.20", CALM)
    bids = ("20.05", "20.05", "20.06", "20.06", "20.06", "20.20", "20.20")
    found = check(tmp_path, ladder(), bars, touches(*bids, length=HALF_A_MINUTE), HALF_A_MINUTE)
    assert moved(found) == ["sl2 20.05 10:04:30", "sl3 20.05 10:04:30"]
    assert sold(found)[1:] == ["sl2 19.90 10:04:59.999", "sl3 19.90 10:04:59.999"]


def test_a_stop_that_may_not_go_all_the_way_goes_to_the_update_before(tmp_path: Path) -> None:
    bars = bars_from(DAY, "10:00", *RISE, "20.06 20.25 20 20.04", "20.04 20.45 20 20.15", CALM, CALM)
    found = check(tmp_path, ladder(), bars, touches("20.05", "20.06", "20.04", "20.15"))
    assert moved(found) == ["sl3 20.05 10:05:00"]
