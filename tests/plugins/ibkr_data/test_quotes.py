"""Quotes: what a touch is worth, how old it is, and what a snapshot waits for."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from tests.plugins.ibkr_data.kit import MONDAY, Desk, Details, contract_answers, desk

from tradeshell import BrokerError, DataKind, Quote
from tradeshell_ibkr.market_data import DataSettings


def _line(at_desk: Desk, listener: list[Quote] | None = None) -> int:
    at_desk.do(lambda: at_desk.data.subscribe_quotes("AAPL", None if listener is None else listener.append))
    return at_desk.link.requests("reqMktData")[-1].id


def _touch(
    at_desk: Desk, number: int, bid: object = "190.01", ask: object = "190.03", size: object = 300
) -> None:
    def both() -> None:
        at_desk.link.send(1, 6, number, 1, bid, size, 1)
        at_desk.link.send(1, 6, number, 2, ask, size, 1)

    at_desk.do(both)


def _quote(at_desk: Desk) -> Quote:
    quote = at_desk.data.latest("AAPL")
    assert quote is not None
    return quote


def test_a_touch_has_exact_prices_sizes_and_the_time_of_its_last_word(at_desk: Desk) -> None:
    number = _line(at_desk)
    at_desk.until(3)
    _touch(at_desk, number)
    assert _quote(at_desk) == Quote(
        symbol="AAPL",
        at=MONDAY + timedelta(seconds=3),
        bid=Decimal("190.01"),
        ask=Decimal("190.03"),
        bid_size=300,
        ask_size=300,
    )


def test_before_the_first_word_there_is_no_quote(at_desk: Desk) -> None:
    _line(at_desk)
    assert at_desk.data.latest("AAPL") is None
    assert at_desk.data.latest("MSFT") is None


def test_a_size_that_comes_by_itself_confirms_the_touch(at_desk: Desk) -> None:
    number = _line(at_desk)
    _touch(at_desk, number)
    at_desk.until(5)
    at_desk.do(lambda: at_desk.link.send(2, 6, number, 3, 700))
    assert (_quote(at_desk).ask_size, _quote(at_desk).age(at_desk.clock.now())) == (700, 0.0)


def test_a_trade_confirms_nothing_about_the_touch(at_desk: Desk) -> None:
    number = _line(at_desk)
    _touch(at_desk, number)
    at_desk.until(5)
    at_desk.do(lambda: at_desk.link.send(1, 6, number, 4, "190.02", 100, 0))
    at_desk.do(lambda: at_desk.link.send(2, 6, number, 8, 100000))
    assert _quote(at_desk).age(at_desk.clock.now()) == 5.0


@pytest.mark.parametrize(
    "price", ["-1", "-1.0", "0", "NaN", "nan", "Infinity", "1.7976931348623157E308", "x", "0.0"]
)
def test_E02_a_price_that_is_none_leaves_the_side_empty(at_desk: Desk, price: str) -> None:
    number = _line(at_desk)
    _touch(at_desk, number, ask=price)
    quote = _quote(at_desk)
    assert quote.bid == Decimal("190.01")
    assert quote.ask is None


def test_E02_a_side_without_shares_is_empty_until_shares_come(at_desk: Desk) -> None:
    number = _line(at_desk)
    _touch(at_desk, number, size=0)
    assert (_quote(at_desk).bid, _quote(at_desk).ask) == (None, None)
    at_desk.do(lambda: at_desk.link.send(2, 6, number, 3, 100))
    assert _quote(at_desk).ask == Decimal("190.03")


def test_a_price_without_a_size_is_a_price(at_desk: Desk) -> None:
    number = _line(at_desk)
    _touch(at_desk, number, size="")
    assert (_quote(at_desk).ask, _quote(at_desk).ask_size) == (Decimal("190.03"), 0)


@pytest.mark.parametrize(
    "sent, bid, ask",
    [
        ("190.02", "190.02", "190.02"),
        ("190.01999999999998", "190.02", "190.02"),
        ("190.025", "190.02", "190.03"),
        ("0.4275", "0.4275", "0.4275"),
    ],
)
def test_a_touch_is_on_the_grid_and_never_better_than_it_was_sent(
    at_desk: Desk, sent: str, bid: str, ask: str
) -> None:
    number = _line(at_desk)
    _touch(at_desk, number, sent, sent)
    assert (_quote(at_desk).bid, _quote(at_desk).ask) == (Decimal(bid), Decimal(ask))


@pytest.mark.parametrize(
    "kind, expected",
    [(1, DataKind.LIVE), (2, DataKind.FROZEN), (3, DataKind.DELAYED), (4, DataKind.DELAYED)],
)
def test_E04_the_type_of_the_data_goes_with_the_quote(at_desk: Desk, kind: int, expected: DataKind) -> None:
    number = _line(at_desk)
    at_desk.do(lambda: at_desk.link.send(58, 1, number, kind))
    _touch(at_desk, number)
    assert _quote(at_desk).kind is expected


def test_E04_delayed_ticks_make_a_delayed_quote_even_without_a_word_about_it(at_desk: Desk) -> None:
    number = _line(at_desk)
    at_desk.do(lambda: at_desk.link.send(1, 6, number, 67, "190", 100, 0))
    assert _quote(at_desk).kind is DataKind.DELAYED


def test_E04_delayed_instead_of_live_data_is_told_once_and_marks_the_quote(at_desk: Desk) -> None:
    number = _line(at_desk)
    text = "Requested market data is not subscribed. Displaying delayed market data."
    at_desk.link.error(number, 10167, text)
    _touch(at_desk, number)
    assert _quote(at_desk).kind is DataKind.DELAYED
    assert at_desk.link.told == [(10167, f"AAPL: {text}")]


@pytest.mark.parametrize("code", [354, 10089, 10090, 10091, 10168, 10186, 101, 200])
def test_E04_data_that_cannot_be_had_is_told_and_leaves_no_quote(at_desk: Desk, code: int) -> None:
    number = _line(at_desk)
    at_desk.link.error(number, code, "Requested market data is not subscribed.")
    assert at_desk.data.latest("AAPL") is None
    assert at_desk.link.told == [(code, "AAPL: Requested market data is not subscribed.")]


def test_M05_a_competing_session_takes_the_touch_and_its_end_brings_it_back(at_desk: Desk) -> None:
    number = _line(at_desk)
    _touch(at_desk, number)
    at_desk.link.error(number, 10197, "No market data during competing live session")
    assert at_desk.data.latest("AAPL") is None
    _touch(at_desk, number)
    assert _quote(at_desk).ask == Decimal("190.03")
    assert len(at_desk.link.requests("reqMktData")) == 1


@pytest.mark.parametrize(
    "value, halted", [("0", False), ("-1", False), ("1", True), ("2", True), ("1.0", True), ("", False)]
)
def test_M12_a_halt_shows_in_the_quote_and_ends(at_desk: Desk, value: str, halted: bool) -> None:
    number = _line(at_desk)
    _touch(at_desk, number)
    at_desk.do(lambda: at_desk.link.send(45, 6, number, 49, value))
    assert (_quote(at_desk).kind is DataKind.HALTED) is halted
    at_desk.do(lambda: at_desk.link.send(45, 6, number, 49, "0"))
    assert _quote(at_desk).kind is DataKind.LIVE


def test_listeners_hear_bid_and_ask_of_one_packet_together(at_desk: Desk) -> None:
    heard: list[Quote] = []
    number = _line(at_desk, heard)
    _touch(at_desk, number)
    _touch(at_desk, number, "190.05", "190.07")
    assert [(str(quote.bid), str(quote.ask)) for quote in heard] == [
        ("190.01", "190.03"),
        ("190.05", "190.07"),
    ]


def test_listeners_hear_nothing_after_they_cancelled(at_desk: Desk) -> None:
    heard: list[Quote] = []
    handle = at_desk.do(lambda: at_desk.data.subscribe_quotes("AAPL", heard.append))
    number = at_desk.link.requests("reqMktData")[-1].id

    def change_and_cancel() -> None:
        at_desk.link.send(1, 6, number, 1, "190", 100, 1)
        handle.cancel()

    at_desk.do(change_and_cancel)
    assert heard == []


def test_one_line_serves_everybody_and_ends_with_the_last_one(at_desk: Desk) -> None:
    handles = [at_desk.do(lambda: at_desk.data.subscribe_quotes("AAPL")) for _ in range(3)]
    assert len(at_desk.link.requests("reqMktData")) == 1
    for handle in handles:
        at_desk.do(handle.cancel)
        at_desk.do(handle.cancel)
    assert len(at_desk.link.requests("cancelMktData")) == 1
    assert at_desk.data.budget.used == 0


def test_the_line_beyond_the_limit_is_refused_in_words_that_help() -> None:
    with desk(DataSettings(market_lines=2)) as at_desk:
        at_desk.connect()
        at_desk.do(lambda: at_desk.data.subscribe_quotes("A"))
        at_desk.do(lambda: at_desk.data.subscribe_quotes("B"))
        with pytest.raises(
            BrokerError, match=r"C: all 2 market data lines are in use; end a watcher, or set market_lines"
        ):
            at_desk.do(lambda: at_desk.data.subscribe_quotes("C"))


def test_D03_a_touch_of_before_an_outage_is_never_mixed_with_one_of_after(at_desk: Desk) -> None:
    _touch(at_desk, _line(at_desk))
    at_desk.disconnect()
    assert _quote(at_desk).ask == Decimal("190.03")  # as old as it is
    at_desk.connect()
    number = at_desk.link.requests("reqMktData")[-1].id
    at_desk.do(lambda: at_desk.link.send(1, 6, number, 1, "180", 100, 1))
    assert (_quote(at_desk).bid, _quote(at_desk).ask) == (Decimal(180), None)


def test_M12_a_halt_that_ended_during_an_outage_is_over(at_desk: Desk) -> None:
    number = _line(at_desk)
    at_desk.do(lambda: at_desk.link.send(45, 6, number, 49, 1))
    at_desk.disconnect()
    at_desk.connect()
    _touch(at_desk, at_desk.link.requests("reqMktData")[-1].id)
    assert _quote(at_desk).kind is DataKind.LIVE


def test_ticks_of_an_old_request_are_nobodys(at_desk: Desk) -> None:
    old = _line(at_desk)
    at_desk.connect()
    _touch(at_desk, old)
    assert at_desk.data.latest("AAPL") is None


# --- snapshots --------------------------------------------------------------------------------------------------------


def _snapshot(at_desk: Desk, *messages: tuple[object, ...], delay: float = 0.1) -> tuple[Quote | None, float]:
    """Return the snapshot that those messages make, and the seconds it took. ``ID`` is the request's number."""

    def answer(asked: object) -> None:
        from tests.plugins.ibkr_data.kit import Asked

        assert isinstance(asked, Asked)
        if asked.method == "reqMktData" and asked.args[3]:
            at = at_desk.clock.now() + timedelta(seconds=delay)
            for message in messages:
                fields = [asked.id if field == "ID" else field for field in message]
                if fields[0] == 4:
                    at_desk.clock.call_at(at, lambda f=fields: at_desk.link.error(f[2], f[3], f[4]))  # type: ignore[misc]  # a loop's value
                else:
                    at_desk.clock.call_at(at, lambda f=fields: at_desk.link.send(*f))  # type: ignore[misc]  # a loop's value

    at_desk.link.answer = answer
    began = at_desk.clock.now()
    quote = at_desk.run(at_desk.data.snapshot("AAPL", 1.0))
    return quote, (at_desk.clock.now() - began).total_seconds()


BOTH = ((1, 6, "ID", 1, "190.01", 100, 1), (1, 6, "ID", 2, "190.03", 200, 1))


def test_a_snapshot_ends_when_both_sides_have_come_and_leaves_nothing_behind(at_desk: Desk) -> None:
    quote, seconds = _snapshot(at_desk, *BOTH)
    assert quote is not None
    assert (str(quote.bid), str(quote.ask), quote.ask_size) == ("190.01", "190.03", 200)
    assert seconds == pytest.approx(0.1)
    assert len(at_desk.link.requests("cancelMktData")) == 1
    assert at_desk.data._routes == {}
    assert at_desk.link.errors == {}


def test_a_snapshot_takes_what_else_is_in_the_same_packet(at_desk: Desk) -> None:
    quote, _ = _snapshot(at_desk, *BOTH, (45, 6, "ID", 49, 1))
    assert quote is not None
    assert quote.kind is DataKind.HALTED


def test_a_snapshot_without_an_answer_is_none_after_its_patience(at_desk: Desk) -> None:
    quote, seconds = _snapshot(at_desk)
    assert quote is None
    assert seconds == pytest.approx(1.0)
    assert len(at_desk.link.requests("cancelMktData")) == 1


def test_a_snapshot_with_one_side_gives_that_side_after_its_patience(at_desk: Desk) -> None:
    quote, seconds = _snapshot(at_desk, BOTH[1])
    assert quote is not None
    assert (quote.bid, str(quote.ask)) == (None, "190.03")
    assert seconds == pytest.approx(1.0)


def test_a_snapshot_that_the_broker_ends_is_over(at_desk: Desk) -> None:
    quote, seconds = _snapshot(at_desk, BOTH[0], (57, 1, "ID"))
    assert quote is not None
    assert seconds == pytest.approx(0.1)
    assert at_desk.link.requests("cancelMktData") == []


@pytest.mark.parametrize("code", [354, 10089, 10197, 200, 101])
def test_a_snapshot_that_is_refused_is_none_at_once(at_desk: Desk, code: int) -> None:
    quote, seconds = _snapshot(at_desk, (4, 2, "ID", code, "no"))
    assert quote is None
    assert seconds == pytest.approx(0.1)


def test_E04_a_delayed_snapshot_says_so(at_desk: Desk) -> None:
    quote, _ = _snapshot(
        at_desk, (4, 2, "ID", 10167, "delayed"), (1, 6, "ID", 66, "190", 1, 0), (1, 6, "ID", 67, "191", 1, 0)
    )
    assert quote is not None
    assert quote.kind is DataKind.DELAYED


def test_a_snapshot_of_a_halted_symbol_knows_the_halt_from_its_line(at_desk: Desk) -> None:
    number = _line(at_desk)
    at_desk.do(lambda: at_desk.link.send(45, 6, number, 49, 1))
    quote, _ = _snapshot(at_desk, *BOTH)
    assert quote is not None
    assert quote.kind is DataKind.HALTED


def test_without_a_link_a_snapshot_is_none_at_once(at_desk: Desk) -> None:
    at_desk.disconnect()
    assert at_desk.run(at_desk.data.snapshot("AAPL", 1.0)) is None
    assert at_desk.clock.now() == MONDAY


def test_a_lost_link_ends_a_snapshot(at_desk: Desk) -> None:
    at_desk.clock.call_at(MONDAY + timedelta(seconds=0.2), at_desk.link.lose)
    assert at_desk.run(at_desk.data.snapshot("AAPL", 1.0)) is None
    assert at_desk.clock.now() == MONDAY + timedelta(seconds=0.2)


def test_a_line_uses_the_grid_that_was_learned(at_desk: Desk) -> None:
    contract_answers(at_desk.link, Details(), rule=[(0, 0.05)])
    at_desk.run(at_desk.data.qualify("AAPL"))
    _touch(at_desk, _line(at_desk), "190.02", "190.03")
    assert (_quote(at_desk).bid, _quote(at_desk).ask) == (Decimal("190.00"), Decimal("190.05"))
