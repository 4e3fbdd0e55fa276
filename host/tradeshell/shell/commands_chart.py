"""``chart``: bars in the terminal with what is held, planned and done at which price.

Law: what is drawn as working works at the broker; what is only planned stands in brackets.
"""

from __future__ import annotations

from collections.abc import Iterator

from tradeshell import words as w
from tradeshell.core.book import Book
from tradeshell.core.desk import Watcher, WatchPhase
from tradeshell.core.market import Price
from tradeshell.core.orders import parse_ref
from tradeshell.core.plan import TradePlan
from tradeshell.core.trade import entry_of, inventory, leg_of
from tradeshell.errors import OperatorError
from tradeshell.grammar import Answer, Command, Figure, Grammar, Key, Words
from tradeshell.ports import Trading, View
from tradeshell.shell import choices, outsiders, results
from tradeshell.shell import protection as protecting
from tradeshell.shell.chart import Chart, Fill, Mark, draw
from tradeshell.shell.helptext import LOOK
from tradeshell.shell.picture import open_trades

LENGTHS = {"1m": 60, "2m": 120, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600}
BARS, MOST_BARS = 120, 400


def _count(text: str) -> int:
    number = w.count(text)
    if number > MOST_BARS:
        raise ValueError(f"at most {MOST_BARS} bars")
    return number


def _length(text: str) -> int:
    return LENGTHS[w.one_of(*LENGTHS)(text)]


CHART = Grammar(
    keys=(
        Key(
            name="symbol",
            help="what to look at",
            parse=w.symbol,
            values=choices.symbols,
            metavar="SYM",
            example="AAPL",
        ),
        Key(
            name="bar",
            help="length of a bar",
            parse=_length,
            values=tuple((name, "") for name in LENGTHS),
            default="1m",
            example="5m",
        ),
        Key(
            name="n",
            help="how many bars; as many of them are drawn as fit",
            parse=_count,
            metavar="COUNT",
            default=str(BARS),
            example="60",
        ),
        Key(
            name="rth",
            help="bars of regular hours only",
            parse=w.boolean,
            values=choices.booleans("regular hours only", "all hours"),
            default="true",
        ),
    ),
    positionals=("symbol",),
    required=("symbol",),
    example="chart AAPL bar=5m",
)


def chart(trading: Trading, words: Words) -> Answer:
    """Draw bars with the prices that matter."""
    symbol: str = words.get("symbol")
    seconds: int = words.get("bar", 60)
    bars = trading.history(symbol, seconds, words.get("n", BARS), words.get("rth", True))
    if not bars:
        raise OperatorError(
            f"chart: {symbol} has no closed bars yet · rth=false shows those of extended hours, too"
        )
    view = trading.view()
    quote = view.quotes.get(symbol)
    found = Chart(
        symbol=symbol,
        seconds=seconds,
        bars=bars,
        marks=marks_of(view, symbol),
        fills=tuple(_fills(view.desk.books.get(symbol))),
        bid=None if quote is None else quote.bid,
        ask=None if quote is None else quote.ask,
    )
    return Answer(lines=(Figure(draw=lambda width, height: draw(found, width, height)),), data=found)


def marks_of(view: View, symbol: str) -> tuple[Mark, ...]:
    """Return the prices that matter in ``symbol``: of watchers, of open trades, of positions and orders that no trade has."""
    desk = view.desk
    found: list[Mark] = []
    for watcher in desk.watchers.values():
        if watcher.spec.plan.symbol == symbol and watcher.phase in (WatchPhase.ARMED, WatchPhase.PAUSED):
            found += _of_watcher(watcher)
    for trade in open_trades(desk):
        if trade.plan.symbol != symbol:
            continue
        book = desk.books[symbol]
        entry = entry_of(trade, book.orders)
        held = inventory(trade, book.orders)
        if trade.plan.level is not None:
            found.append(Mark(what="level", price=trade.plan.level, trade=trade.id))
        if held > 0 and entry is not None and entry.average is not None:
            found.append(Mark(what="entry", price=entry.average, qty=held, trade=trade.id))
        elif entry is not None and entry.state.is_live and entry.spec.limit is not None:
            found.append(
                Mark(what="entry", price=entry.spec.limit, qty=entry.remaining, planned=True, trade=trade.id)
            )
        for order in protecting.working(trade, book):
            price = order.spec.stop if order.spec.type.is_stop else order.spec.limit
            if price is not None:
                found.append(
                    Mark(what=leg_of(order.spec.ref), price=price, qty=order.remaining, trade=trade.id)
                )
        found += _targets(trade.plan, protecting.planned_targets(trade, book), trade.id)
    found += _outside(view, symbol)
    return tuple(found)


def _of_watcher(watcher: Watcher) -> Iterator[Mark]:
    plan, id_ = watcher.spec.plan, watcher.spec.id
    if plan.level is not None:
        yield Mark(what="level", price=plan.level, qty=plan.qty, trade=id_)
    yield from _targets(plan, plan.tps, id_)
    if plan.sl is not None:
        yield Mark(what="sl", price=plan.sl, planned=True, trade=id_)


def _targets(plan: TradePlan, planned: tuple[Price, ...], id_: str) -> Iterator[Mark]:
    for number, price in enumerate(plan.tps, 1):
        if price in planned:
            yield Mark(what=f"tp{number}", price=price, planned=True, trade=id_)


def _outside(view: View, symbol: str) -> Iterator[Mark]:
    """Yield the average of shares that no trade of ours has, and the exits that no book has."""
    report = view.desk.positions.get(symbol)
    if symbol not in view.desk.books and report is not None and report.qty:
        yield Mark(what="entry", price=report.average, qty=report.qty)
    exits = outsiders.exits(view.desk, symbol)
    yield from (Mark(what="tp", price=price) for price in exits.targets)
    yield from (Mark(what="sl", price=price) for price in exits.stops)


def _fills(book: Book | None) -> Iterator[Fill]:
    if book is None:
        return
    for execution in sorted(book.executions.values(), key=lambda each: each.at):
        parts = parse_ref(execution.ref)
        yield Fill(
            at=execution.at,
            leg="external" if parts is None else parts.leg,
            side=execution.side,
            qty=execution.qty,
            price=execution.price,
            trade=None if parts is None else parts.watch,
        )


COMMANDS = (
    Command(
        name="chart",
        help="Draw bars with level, entry, targets, stops and fills",
        grammar=CHART,
        run=chart,
        group=LOOK,
        data=results.Charted,
        examples=("chart AAPL", "chart AAPL bar=5m", "chart AAPL n=60 rth=false"),
        notes="Full bars rise, shaded ones fall. What is only planned stands in brackets; a price that is too far away to be "
        "drawn is named above the picture.",
    ),
)
