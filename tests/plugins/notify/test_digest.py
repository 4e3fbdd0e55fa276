"""Which events are told, and when a message may leave."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tradeshell import Event, OrderFilled, Record, Side, Weight
from tradeshell_notify.digest import HOLD, LINES, RETRY, WIDTH, Digest, Told, Wanted, told

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)


class Noted(Event, frozen=True, kw_only=True):
    """An event of a plugin, as loud as it is told to be."""

    what: str | None = "it happened"
    loud: Weight = Weight.NOTE

    def story(self) -> str | None:
        return self.what

    def how(self) -> Weight:
        return self.loud


def line(text: str = "a", weight: Weight = Weight.GOOD, name: str = "Noted") -> Told:
    return Told(name, weight, text)


def filled(digest: Digest, count: int, weight: Weight = Weight.GOOD) -> Digest:
    for n in range(count):
        digest.add(line(f"line {n}", weight))
    return digest


# --- the filter -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", list(Weight))
def test_all_but_notes_is_told_where_nothing_is_said(weight: Weight) -> None:
    assert Wanted().takes(Noted(loud=weight)) is (weight is not Weight.NOTE)


def test_an_event_for_the_log_only_is_told_by_name_alone() -> None:
    silent = Noted(what=None, loud=Weight.ALARM)
    assert not Wanted().takes(silent)
    assert Wanted(events=frozenset({"Noted"})).takes(silent)


def test_a_named_event_is_told_whatever_its_weight_and_never_wins() -> None:
    assert Wanted(weights=frozenset(), events=frozenset({"Noted"})).takes(Noted())
    both = Wanted(events=frozenset({"Noted"}), never=frozenset({"Noted"}))
    assert not both.takes(Noted(loud=Weight.ALARM))


@pytest.mark.parametrize("symbol, is_told", [("AAPL", True), ("MSFT", False), (None, True)])
def test_of_other_symbols_nothing_is_told_and_what_has_none_is(symbol: str | None, is_told: bool) -> None:
    wanted = Wanted(symbols=frozenset({"AAPL"}))
    assert wanted.takes(Noted(symbol=symbol, loud=Weight.ALARM)) is is_told


def test_a_line_reads_as_on_the_screen() -> None:
    event = OrderFilled(
        symbol="AAPL", watch="br-1", leg="tp1", order_ref="r", exec_id="e", order_id=7, side=Side.SELL, qty=60,
        price=Decimal("100.80"), cumulative=60, order_qty=60, at=NOON, pnl=Decimal("28.80"),
    )  # fmt: skip
    record = Record(v=1, seq=1, ts=NOON, mono=1.0, session="s", event=event)
    assert told(record) == Told("OrderFilled", Weight.GOOD, "12:00:00 AAPL tp1 filled 60 @ 100.80 · +28.80")


def test_a_line_of_a_log_event_is_its_name_and_a_long_one_says_that_it_goes_on() -> None:
    def text(what: str | None) -> str:
        return told(Record(v=1, seq=1, ts=NOON, mono=1.0, session="s", event=Noted(what=what))).text

    assert text(None) == "12:00:00 Noted"
    assert len(text("x" * 1000)) == WIDTH
    assert text("x" * 1000).endswith("…")
    assert text("two\nlines") == "12:00:00 note two lines"


# --- messages ---------------------------------------------------------------------------------------------------------


def test_nothing_to_tell_is_no_message() -> None:
    assert Digest(6).message(0.0) is None


def test_what_came_meanwhile_is_one_message_in_its_order() -> None:
    message = filled(Digest(6), 3).message(0.0)
    assert message is not None
    assert message.body.splitlines() == ["line 0", "line 1", "line 2"]
    assert (message.title, message.kind) == ("tradeshell", "success")


def test_a_message_is_marked_as_the_loudest_of_its_lines() -> None:
    digest = filled(Digest(6), 2)
    digest.add(line("stop lost", Weight.ALARM))
    message = digest.message(0.0)
    assert message is not None
    assert (message.title, message.kind) == ("tradeshell · ALARM", "failure")


def test_of_many_lines_the_loudest_are_shown_and_the_rest_is_summed_up() -> None:
    digest = filled(Digest(6), LINES + 5)
    digest.add(line("stop lost", Weight.ALARM))
    message = digest.message(0.0)
    assert message is not None
    lines = message.body.splitlines()
    assert len(lines) == LINES + 1
    assert lines[-2] == "stop lost"
    assert lines[-1] == "… and 6 more: 6 Noted"


def test_what_is_more_than_can_be_held_and_what_came_too_fast_is_counted() -> None:
    digest = filled(Digest(6), HOLD + 7)
    digest.miss(9)
    assert digest.waiting == HOLD + 7 + 9
    message = digest.message(0.0)
    assert message is not None
    assert message.body.splitlines()[-1] == (
        f"… and {HOLD - LINES + 16} more: {HOLD - LINES + 7} Noted, 9 events that came too fast"
    )


# --- how often --------------------------------------------------------------------------------------------------------


def sent(digest: Digest, now: float, weight: Weight = Weight.GOOD) -> str | None:
    """Return what leaves at ``now`` when something happens, and have it taken."""
    digest.add(line(f"at {now:g}", weight))
    message = digest.message(now)
    if message is None:
        return None
    digest.done(now, taken=True)
    return message.body


def test_messages_beyond_the_limit_wait_and_leave_in_one() -> None:
    digest = Digest(3)
    assert [sent(digest, now) for now in (0.0, 1.0, 2.0, 30.0)] == ["at 0", "at 1", None, None]
    assert digest.waiting == 2
    assert sent(digest, 60.0) == "at 2\nat 30\nat 60"
    assert digest.waiting == 0


def test_the_last_message_of_a_minute_is_kept_for_an_alarm() -> None:
    digest = Digest(3)
    assert sent(digest, 0.0) is not None
    assert sent(digest, 1.0) is not None
    assert sent(digest, 2.0) is None
    assert sent(digest, 3.0, Weight.ALARM) == "at 2\nat 3"
    assert sent(digest, 4.0, Weight.ALARM) is None  # not even these without end
    assert sent(digest, 60.0, Weight.ALARM) == "at 4\nat 60"


def test_one_message_a_minute_is_one() -> None:
    digest = Digest(1)
    assert sent(digest, 0.0) == "at 0"
    assert sent(digest, 59.0, Weight.ALARM) is None
    assert sent(digest, 60.0) == "at 59\nat 60"


def test_what_nobody_took_is_said_again_a_little_later() -> None:
    digest = filled(Digest(6), 1)
    assert digest.message(0.0) is not None
    digest.done(0.5, taken=False)
    assert digest.message(0.5 + RETRY - 0.1) is None
    digest.add(line("later"))
    message = digest.message(0.5 + RETRY)
    assert message is not None
    assert message.body == "line 0\nlater"
