"""Trades that are over for days leave the desk; what it says of the account stays as it was."""

from __future__ import annotations

from datetime import datetime, timedelta

from tests.core.support import AAPL, ACCOUNT, SESSION, Desktop, d, plan, quote

from tradeshell.core import inputs as i
from tradeshell.core.market import Session
from tradeshell.core.orders import OrderState, Side
from tradeshell.core.plan import EntryKind
from tradeshell.core.retire import KEPT, without_old

DAY = timedelta(days=1)


def picture(desk: Desktop) -> None:
    """Let the broker show the account as the book has it."""
    book = desk.desk.books["AAPL"]
    held = book.expected()
    position = i.PositionReport(
        symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=held, average=d("190")
    )
    living = tuple(
        i.OrderReport(
            ref=order.spec.ref,
            order_id=order.order_id,
            state=order.state,
            filled=order.filled,
            remaining=order.remaining,
        )
        for order in desk.desk.orders()
        if order.state.is_live
    )
    desk.do(
        i.SnapshotAnswered,
        epoch=desk.desk.link.epoch,
        asked_at=desk.at,
        orders=living,
        executions=(),
        positions=(position,) if held else (),
    )


def hours_of(at: datetime) -> Session:
    """Return the hours of the day of ``at``."""
    later = (at - SESSION.open) // DAY * DAY
    return Session(**{name: getattr(SESSION, name) + later for name in SESSION.__struct_fields__})


def execute(desk: Desktop, ref: str, qty: int, price: str) -> None:
    """Let an order execute whole."""
    order = desk.order(ref)
    desk.execute(ref, qty, price, f"{ref}.01.01")
    desk.report(ref, OrderState.FILLED, filled=order.spec.qty)


def trade(desk: Desktop, id_: str, *, is_closed: bool = True) -> None:
    """Buy 100 with a bracket, and let the target sell them."""
    bracket = plan(entry=EntryKind.PRICED, limit=d("190"))
    desk.do(i.TradeRequested, id=id_, plan=bracket, instrument=AAPL)
    desk.answer(quote(desk.at), key=id_, session=hours_of(desk.at))
    for leg in ("entry", "tp1", "sl1"):
        desk.report(f"ts:{id_}:{leg}:1", OrderState.WORKING if leg == "entry" else OrderState.HELD)
    execute(desk, f"ts:{id_}:entry:1", 100, "190")
    if is_closed:
        desk.wait(5)
        execute(desk, f"ts:{id_}:tp1:1", 100, "195")
        desk.report(f"ts:{id_}:sl1:1", OrderState.CANCELLED)
    desk.wait(5)


def foreign(desk: Desktop, side: Side, qty: int, number: int) -> None:
    """Let somebody else trade."""
    desk.do(
        i.ExecutionReported,
        execution=i.ExecutionReport(
            exec_id=f"f{number}.01.01", ref="", order_id=number, symbol="AAPL", account=ACCOUNT, side=side, qty=qty,
            price=d("191"), at=desk.at,
        ),
    )  # fmt: skip
    desk.wait(1)


def days_later(desk: Desktop, days: float) -> None:
    """Let days pass, and the broker show the account."""
    desk.wait(days * DAY.total_seconds())
    picture(desk)


def test_a_trade_that_is_over_for_days_is_forgotten_with_its_orders_and_executions() -> None:
    desk = Desktop()
    trade(desk, "m-1")
    days_later(desk, 1)
    assert desk.desk.trade("m-1") is not None
    days_later(desk, 1.1)
    book = desk.desk.books["AAPL"]
    assert (book.trades, book.orders, book.executions, book.fees) == ({}, {}, {}, frozenset())
    assert (desk.desk.refs, desk.desk.trade_symbols) == ({}, {})
    assert book.agrees()
    trade(desk, "m-2")
    assert desk.trade("m-2").phase.value == "closed"
    assert desk.desk.books["AAPL"].expected() == 0


def test_what_is_open_stays_with_everything_that_began_before_it_ended() -> None:
    """A trade that was open while the position lasted is a part of its story."""
    desk = Desktop()
    trade(desk, "m-1")
    trade(desk, "m-2", is_closed=False)
    trade(desk, "m-3")
    days_later(desk, 3)
    assert list(desk.desk.trade_symbols) == ["m-2", "m-3"]
    assert set(desk.desk.books["AAPL"].trades) == {"m-2", "m-3"}
    assert desk.desk.books["AAPL"].own() == 100
    assert desk.desk.protection("AAPL") == (100, 100)


def test_trades_of_an_old_and_of_a_new_day_are_parted_between_them() -> None:
    desk = Desktop()
    trade(desk, "m-1")
    desk.wait(3 * DAY.total_seconds())
    trade(desk, "m-2")
    picture(desk)
    assert list(desk.desk.trade_symbols) == ["m-2"]


def test_shares_of_others_are_theirs_as_before() -> None:
    """They bought before, between and after; some of it they have sold."""
    desk = Desktop()
    trade(desk, "m-1")
    foreign(desk, Side.BUY, 70, 71)
    foreign(desk, Side.SELL, 20, 72)
    desk.wait(3 * DAY.total_seconds())
    foreign(desk, Side.BUY, 5, 73)
    trade(desk, "m-2", is_closed=False)
    desk.do(
        i.PositionReported,
        position=i.PositionReport(
            symbol="AAPL", con_id=AAPL.con_id, account=ACCOUNT, qty=155, average=d("190")
        ),
    )
    days_later(desk, 0.1)
    book = desk.desk.books["AAPL"]
    assert (list(book.trades), book.expected(), book.own(), book.foreign()) == (["m-2"], 155, 100, 55)
    assert book.room(book.trades["m-2"]) == 0  # its stop has them all


def test_an_execution_of_a_forgotten_trade_that_is_told_again_moves_nothing() -> None:
    desk = Desktop()
    trade(desk, "m-1")
    told = next(iter(desk.desk.books["AAPL"].executions.values()))
    days_later(desk, 2.1)
    desk.do(i.ExecutionReported, execution=told)
    book = desk.desk.books["AAPL"]
    assert (book.expected(), book.own(), book.agrees()) == (0, 0, True)


def test_nothing_is_forgotten_while_position_and_executions_differ() -> None:
    desk = Desktop()
    trade(desk, "m-1")
    foreign(desk, Side.BUY, 10, 71)
    book = desk.desk.books["AAPL"]
    assert not book.agrees()
    assert without_old(book, desk.at + 9 * DAY) is book


def test_a_cut_that_would_change_what_others_took_is_not_made() -> None:
    """Of a trade whose shares somebody else sold, the rest of the story knows why it is over."""
    desk = Desktop()
    trade(desk, "m-1", is_closed=False)
    foreign(desk, Side.SELL, 100, 71)
    for leg in ("sl1", "tp1"):
        desk.report(f"ts:m-1:{leg}:1", OrderState.CANCELLED)
    days_later(desk, 0.1)
    days_later(desk, 3)
    trade(desk, "m-2")
    book = desk.desk.books["AAPL"]
    before = (book.expected(), book.own(), book.foreign())
    days_later(desk, 0.3)
    book = desk.desk.books["AAPL"]
    assert (book.expected(), book.own(), book.foreign()) == before


def test_it_is_done_every_few_hours_and_no_more() -> None:
    desk = Desktop()
    trade(desk, "m-1")
    days_later(desk, 1)
    at = desk.desk.retired_at
    days_later(desk, 0.1)
    assert desk.desk.retired_at == at
    days_later(desk, 0.2)
    assert isinstance(desk.desk.retired_at, datetime)
    assert desk.desk.retired_at > (at or desk.at)
    assert KEPT == 2 * DAY


def test_a_picture_that_shows_what_is_known_changes_nothing() -> None:
    """A look every thirty seconds through a night is no reason to write anything down."""
    desk = Desktop()
    trade(desk, "m-1", is_closed=False)
    days_later(desk, 0.1)
    before = desk.desk
    desk.wait(30)
    picture(desk)
    assert desk.desk is before
    assert desk.last == ()
