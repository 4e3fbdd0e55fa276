"""Forgetting: trades that are over for days leave the desk, so that a program that runs for weeks stays as small and as quick.

Laws: a book is cut at an instant at which nothing of ours was open in it, and which is so long ago that no answer of a broker
reaches back to it. What is left says the same as before: position, whose shares, what may be sold, what others took; a cut after
which it would not is not made. Nobody is told: the log has it all.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from tradeshell.core.book import Book, with_taken
from tradeshell.core.cap import is_open_question
from tradeshell.core.trade import Trade, TradePhase, awaited
from tradeshell.core.turn import Turn

KEPT = timedelta(days=2)  # brokers repeat the executions of a day, and take back what is no older
EVERY = timedelta(hours=6)


def retire(turn: Turn) -> None:
    """Forget what is over for long, now and then."""
    desk = turn.desk
    if desk.retired_at is not None and turn.at - desk.retired_at < EVERY:
        return
    books = {symbol: without_old(book, turn.at - KEPT) for symbol, book in desk.books.items()}
    turn.desk = replace(
        desk,
        retired_at=turn.at,
        books=books,
        refs={ref: symbol for ref, symbol in desk.refs.items() if ref in books[symbol].orders},
        trade_symbols={id_: s for id_, s in desk.trade_symbols.items() if id_ in books[s].trades},
    )


def without_old(book: Book, before: datetime) -> Book:
    """Return the book without the trades that were over ``before``, as far as it says the same without them."""
    if book.seed is None or book.frozen or not book.agrees() or book.gained or book.doubt is not None:
        return book
    trades = sorted(book.trades.values(), key=lambda trade: trade.asked_at)
    count = _how_many(book, trades, before)
    if count == 0:
        return book
    moment = trades[count].asked_at if count < len(trades) else before
    gone = {ref for trade in trades[:count] for ref in trade.refs}
    dropped = {
        stem: e
        for stem, e in book.executions.items()
        if e.ref in gone or (e.ref not in book.orders and e.at < moment)
    }
    net = sum(e.side.sign * e.qty for e in dropped.values() if book.counts(e))
    ids = {e.exec_id for e in dropped.values()}
    cut = with_taken(
        replace(
            book,
            opened_at=moment,
            trades={trade.id: trade for trade in trades[count:]},
            orders={ref: order for ref, order in book.orders.items() if ref not in gone},
            executions={stem: e for stem, e in book.executions.items() if stem not in dropped},
            fees=frozenset(each for each in book.fees if each not in ids),
            moves=tuple(move for move in book.moves if move.at >= moment),
            net=book.net - net,
            seed=book.seed + net,
        )
    )
    return cut if _meaning(cut, cut) == _meaning(book, cut) else book


def _how_many(book: Book, trades: list[Trade], before: datetime) -> int:
    """Return how many of the oldest trades were over before any other began, and long ago."""
    found, until = 0, None
    for number, trade in enumerate(trades):
        if until is not None and until < trade.asked_at:
            found = number
        if not _is_over(book, trade):
            return found
        last = _last_word(book, trade)
        until = last if until is None else max(until, last)
        if until >= before:
            return found
    return len(trades)


def _is_over(book: Book, trade: Trade) -> bool:
    """Return whether nothing can happen to a trade any more, as far as anybody knows."""
    return trade.phase is TradePhase.CLOSED and not any(
        order.state.is_live or awaited(order) or is_open_question(order, book.orders)
        for order in (book.orders[ref] for ref in trade.refs)
    )


def _last_word(book: Book, trade: Trade) -> datetime:
    """Return when something of a trade was last heard."""
    times = [trade.asked_at]
    for ref in trade.refs:
        order = book.orders[ref]
        times += (at for at in (order.touched_at, order.ended_at, order.lost_at) if at is not None)
    times += (e.at for e in book.executions.values() if e.ref in trade.refs)
    return max(times)


def _meaning(book: Book, kept: Book) -> tuple[object, ...]:
    """Return what a book says, and what it says of the trades that are kept."""
    return (
        book.expected(),
        book.held(),
        book.own(),
        book.foreign(),
        book.cap(),
        book.committed(),
        [book.trades[id_] for id_ in kept.trades],
    )
