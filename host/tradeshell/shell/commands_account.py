"""What is held, what was executed, and what it costs now.

Law: figures come from one picture of the desk per command, so that a table agrees with itself.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradeshell import words as w
from tradeshell.core.book import Book
from tradeshell.core.events import money, signed
from tradeshell.core.inputs import PositionReport
from tradeshell.core.market import DataKind, Price, Quote, Shares
from tradeshell.core.orders import Order, parse_ref
from tradeshell.core.trade import inventory, leg_of
from tradeshell.grammar import Answer, Column, Command, Grammar, Key, Table, Words
from tradeshell.ports import Trading, View
from tradeshell.shell import choices, outsiders, results
from tradeshell.shell import protection as protecting
from tradeshell.shell.helptext import LOOK
from tradeshell.shell.render import clock

NOTHING = Grammar()

_SYMBOLS = Key(
    name="symbol",
    help="only these symbols",
    parse=w.symbol,
    values=choices.symbols,
    metavar="SYM",
    example="AAPL",
)
FILTERED = Grammar(keys=(_SYMBOLS,), rest="symbol")


# --- positions --------------------------------------------------------------------------------------------------------

_POSITION_COLUMNS = (
    Column("symbol"),
    Column("qty", right=True),
    Column("avg", right=True),
    Column("last", right=True),
    Column("P&L", right=True),
    Column("origin"),
    Column("targets"),
    Column("stop"),
    Column("protected"),
)


def positions(trading: Trading, words: Words) -> Answer:
    """Show what is held, where it came from, and how it is protected."""
    view = trading.view()
    found = [
        _position(view, symbol, book)
        for symbol, book in sorted(view.desk.books.items())
        if book.held() != 0 and (not words.rest or symbol in words.rest)
    ]
    found += [
        _foreign(view, report)
        for symbol, report in sorted(view.desk.positions.items())
        if symbol not in view.desk.books and report.qty != 0 and (not words.rest or symbol in words.rest)
    ]
    if not found:
        where = f" in {' '.join(words.rest)}" if words.rest else ""
        return Answer(lines=(f"no position{where}",), data=[])
    return Answer(
        lines=(Table(columns=_POSITION_COLUMNS, rows=tuple(_position_row(position) for position in found)),),
        data=[{name: value for name, value in each.items() if name != "words"} for each in found],
    )


def _position(view: View, symbol: str, book: Book) -> dict[str, Any]:
    held = book.held()
    trades = [t for t in book.trades.values() if inventory(t, book.orders) > 0]
    average = (
        book.average if book.position is not None and book.average is not None else _ledger_average(book)
    )
    last = _mark(view.quotes.get(symbol))
    owned = sum(inventory(trade, book.orders) for trade in trades)
    origins = [trade.id if trade.origin != "manual" else "manual" for trade in trades]
    if owned < held:
        origins.append("external")
    protection = protecting.of_book(symbol, book, view.now)
    working = [order for trade in trades for order in protecting.working(trade, book)]
    stops = [stop for trade in trades for stop in protecting.stops_of(trade, book)]
    return {
        "symbol": symbol,
        "qty": held,
        "average": average,
        "last": last,
        "pnl": None if average is None or last is None else (last - average) * held,
        "origin": list(dict.fromkeys(origins)),
        "targets": [price for trade in trades for price in protecting.targets_of(trade, book)],
        "planned_targets": [price for trade in trades for price in protecting.planned_targets(trade, book)],
        "stops": sorted({price for _, price in stops}),
        "state": protection.state if trades else "NONE",
        "protected": protection.share(held),
        "legs": [_leg(order) for order in working],
        "words": (protecting.target_words(trades, book), protecting.stop_words(stops)),
    }


def _leg(order: Order) -> dict[str, Any]:
    """Return a working exit as scripts read it."""
    return {
        "leg": leg_of(order.spec.ref),
        "qty": order.remaining,
        "limit": order.spec.limit,
        "stop": order.spec.stop,
        "state": order.state,
    }


def _foreign(view: View, report: PositionReport) -> dict[str, Any]:
    """Return a position that nothing of ours has to do with."""
    last = _mark(view.quotes.get(report.symbol))
    exits = outsiders.exits(view.desk, report.symbol)
    return {
        "symbol": report.symbol,
        "qty": report.qty,
        "average": report.average,
        "last": last,
        "pnl": None if last is None else (last - report.average) * report.qty,
        "origin": list(exits.owners) or ["external"],
        "targets": list(exits.targets),
        "planned_targets": [],
        "stops": list(exits.stops),
        "state": "NONE",
        "protected": min(exits.covered, report.qty) * 100 // report.qty if report.qty > 0 else None,
        "legs": [],
        "words": exits.words,
    }


def _position_row(position: dict[str, Any]) -> tuple[str, ...]:
    def priced(value: Price | None) -> str:
        return "–" if value is None else money(_four(value))

    target_words, stop_words = position["words"]
    return (
        position["symbol"],
        str(position["qty"]),
        priced(position["average"]),
        priced(position["last"]),
        "–" if position["pnl"] is None else signed(position["pnl"]),
        " ".join(position["origin"]) or "–",
        target_words,
        stop_words,
        protecting.share_words(position["state"], position["protected"]),
    )


def _four(value: Price) -> Price:
    """Return an average as people read it: at most four decimals."""
    return round(value, 4)


def _ledger_average(book: Book) -> Price | None:
    """Return the average entry over the trades that hold shares, when the broker has not told one."""
    bought = paid = Decimal(0)
    for trade in book.trades.values():
        entry = book.orders[trade.refs[0]] if trade.refs else None
        held = inventory(trade, book.orders)
        if entry is not None and entry.average is not None and held > 0:
            bought += held
            paid += entry.average * held
    return paid / bought if bought else None


def _mark(quote: Quote | None) -> Price | None:
    """Return the price at which a long position is marked: the bid, or the ask when there is no bid."""
    if quote is None:
        return None
    return quote.bid if quote.bid is not None else quote.ask


# --- executions -------------------------------------------------------------------------------------------------------

_EXECUTION_COLUMNS = (
    Column("time"),
    Column("symbol"),
    Column("leg"),
    Column("side"),
    Column("qty", right=True),
    Column("price", right=True),
    Column("trade"),
    Column("execution"),
)


def executions(trading: Trading, words: Words) -> Answer:
    """List today's executions, oldest first."""
    desk = trading.view().desk
    found = sorted(
        (
            execution
            for symbol, book in desk.books.items()
            for execution in book.executions.values()
            if not words.rest or symbol in words.rest
        ),
        key=lambda execution: execution.at,
    )
    if not found:
        where = f" in {' '.join(words.rest)}" if words.rest else ""
        return Answer(lines=(f"no execution{where}",), data=[])
    rows = []
    data = []
    for execution in found:
        parts = parse_ref(execution.ref)
        leg, trade = ("external", "–") if parts is None else (parts.leg, parts.watch)
        rows.append((
            clock(execution.at), execution.symbol, leg, execution.side.value, str(execution.qty),
            money(execution.price), trade, execution.exec_id,
        ))  # fmt: skip
        data.append({
            "at": execution.at, "symbol": execution.symbol, "leg": leg, "side": execution.side, "qty": execution.qty,
            "price": execution.price, "trade": None if parts is None else trade, "exec_id": execution.exec_id,
            "order_ref": execution.ref,
        })  # fmt: skip
    return Answer(lines=(Table(columns=_EXECUTION_COLUMNS, rows=tuple(rows)),), data=data)


# --- quote ------------------------------------------------------------------------------------------------------------

_QUOTE_COLUMNS = (
    Column("symbol"),
    Column("bid", right=True),
    Column("size", right=True),
    Column("ask", right=True),
    Column("size", right=True),
    Column("spread", right=True),
    Column("age", right=True),
    Column("data"),
)


def quote(trading: Trading, words: Words) -> Answer:
    """Show the touch now."""
    rows = []
    data: list[dict[str, Any]] = []
    missing = []
    for symbol in dict.fromkeys(words.rest):
        found = trading.quote(symbol)
        if found is None:
            missing.append(symbol)
            continue
        now = trading.view().now
        rows.append(_quote_row(found, max(0.0, found.age(now))))
        data.append({
            "symbol": found.symbol, "bid": found.bid, "bid_size": found.bid_size, "ask": found.ask,
            "ask_size": found.ask_size, "at": found.at, "kind": found.kind,
        })  # fmt: skip
    lines: list[str | Table] = [Table(columns=_QUOTE_COLUMNS, rows=tuple(rows))] if rows else []
    if missing:
        lines.append(
            f"no quote for {' '.join(missing)} within a second · is the market open? `status` shows the link"
        )
    return Answer(lines=tuple(lines), data={"quotes": data, "missing": missing}, ok=not missing)


def _quote_row(found: Quote, age: float) -> tuple[str, ...]:
    def side(price: Price | None, size: Shares) -> tuple[str, str]:
        return ("–", "–") if price is None else (money(price), str(size))

    spread = "–" if found.bid is None or found.ask is None else money(found.ask - found.bid)
    kind = found.kind.value if found.kind is DataKind.LIVE else f"{found.kind.value}: not for entries"
    return (
        found.symbol,
        *side(found.bid, found.bid_size),
        *side(found.ask, found.ask_size),
        spread,
        "in force" if found.in_force else f"{age:.1f} s",
        kind,
    )


COMMANDS = (
    Command(
        name="positions",
        help="Show what is held: P&L, origin, targets, stop, protected share",
        grammar=FILTERED,
        run=positions,
        group=LOOK,
        examples=("positions", "pos", "positions AAPL"),
        data=list[results.PositionRow],
        notes="last is the bid, at which a sale would fill. protected says how many of the shares have a living stop, and "
        "what is going on when that is not simply so: ARMING, PARTIAL, EMERGENCY, UNPROTECTED, FROZEN, or DEFERRED (its hours "
        "are over). Targets in brackets are planned and not sent yet.",
    ),
    Command(
        name="executions",
        help="List today's executions",
        grammar=FILTERED,
        run=executions,
        group=LOOK,
        examples=("executions", "executions AAPL"),
        data=list[results.ExecutionRow],
    ),
    Command(
        name="quote",
        help="Show bid and ask now",
        grammar=Grammar(keys=(_SYMBOLS,), rest="symbol", required=("symbol",), example="quote AAPL"),
        run=quote,
        group=LOOK,
        examples=("quote AAPL", "quote AAPL MSFT"),
        data=results.Quotes,
    ),
)
