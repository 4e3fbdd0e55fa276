"""What changed between two looks at the desk, in a few words. Pure.

Law: it is read off the two pictures, not off what was told meanwhile: what came and went again is not news, what stayed is.
"""

from __future__ import annotations

from collections.abc import Iterator

from tradeshell.core.book import Book
from tradeshell.core.desk import Watcher, WatchPhase
from tradeshell.core.events import money, signed
from tradeshell.core.market import Price
from tradeshell.core.orders import Side
from tradeshell.core.trade import Trade, TradePhase, fills_of
from tradeshell.ports import View
from tradeshell.shell import protection as protecting
from tradeshell.shell.render import clock


def changes(before: View, now: View) -> tuple[str, ...]:
    """Return what is different in ``now``, the most urgent first; empty when nothing is."""
    symbols = sorted({*before.desk.books, *now.desk.books})
    pairs = [(symbol, before.desk.books.get(symbol), now.desk.books.get(symbol)) for symbol in symbols]
    return (
        *(words for symbol, old, new in pairs for words in _alarms(symbol, old, new, before, now)),
        *_link(before, now),
        *(words for symbol, old, new in pairs for words in _trading(symbol, old, new)),
        *_watchers(before, now),
    )


def line(before: View, found: tuple[str, ...]) -> str:
    """Return one line about them: ``since 09:41:02: DEMO bought 100, stop 99.50``."""
    told = " · ".join(found) or "nothing changed"
    return f"since {clock(before.now)}: {told}"


def _alarms(symbol: str, old: Book | None, new: Book | None, before: View, now: View) -> Iterator[str]:
    if new is None:
        return
    state = protecting.of_book(symbol, new, now.now)
    earlier = "FLAT" if old is None else protecting.of_book(symbol, old, before.now).state
    if state.is_alarming and state.state != earlier:
        yield f"{symbol} {protecting.share_words(state.state, state.share())}"


def _link(before: View, now: View) -> Iterator[str]:
    if now.desk.link.is_open:
        if now.desk.link.epoch != before.desk.link.epoch:
            yield "the link was lost and is back" if before.desk.link.is_open else "the link is up"
    elif before.desk.link.is_open:
        yield "reconciling" if now.desk.link.up else f"the link is down ({now.desk.link.why})"
    if now.desk.stopped and not before.desk.stopped:
        yield f"entries are off ({now.desk.stopped})"


def _trading(symbol: str, old: Book | None, new: Book | None) -> Iterator[str]:
    """Yield what was bought and sold, which trades ended and how, and where stops went."""
    if new is None:
        return
    known = {} if old is None else old.executions
    fresh = [each for key, each in new.executions.items() if key not in known]
    parts = []
    for side, word in ((Side.BUY, "bought"), (Side.SELL, "sold")):
        if count := sum(each.qty for each in fresh if each.side is side):
            parts.append(f"{word} {count}")
    stop, earlier = _stop(new), None if old is None else _stop(old)
    if stop is not None and stop != earlier:
        parts.append(f"stop {money(stop)}" if earlier is None else f"stop {money(earlier)} → {money(stop)}")
    parts += [_ended(trade, new) for trade in new.trades.values() if _has_ended(trade, old)]
    if parts:
        yield f"{symbol} {', '.join(parts)}"


def _stop(book: Book) -> Price | None:
    """Return the lowest stop that works."""
    prices = [price for trade in book.trades.values() for _, price in protecting.stops_of(trade, book)]
    return min(prices, default=None)


def _has_ended(trade: Trade, old: Book | None) -> bool:
    earlier = None if old is None else old.trades.get(trade.id)
    return trade.phase is TradePhase.CLOSED and (earlier is None or earlier.phase is not TradePhase.CLOSED)


def _ended(trade: Trade, book: Book) -> str:
    fills = fills_of(trade, book.orders)
    if trade.plan.side is Side.SELL or not fills.bought or not fills.sold:
        return f"{trade.id} over ({trade.end_reason})"
    return f"{trade.id} closed {signed(fills.received - fills.paid / fills.bought * fills.sold)}"


def _watchers(before: View, now: View) -> Iterator[str]:
    for id_, watcher in now.desk.watchers.items():
        earlier = before.desk.watchers.get(id_)
        phase = None if earlier is None else earlier.phase
        if watcher.phase is not phase:
            yield f"{watcher.spec.plan.symbol} {id_} {_phase(watcher)}"


def _phase(watcher: Watcher) -> str:
    if watcher.phase is WatchPhase.DONE:
        return f"over ({watcher.end_reason})" if watcher.end_reason else "over"
    return watcher.phase.value
