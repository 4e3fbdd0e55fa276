"""The commands ``why`` and ``trades``: both read the log and nothing else.

Laws: nothing here reaches an order. What a word means is looked up in the log; completion offers what the published picture
knows. A damaged log is used as far as it is good, and that is said.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tradeshell import (
    Answer,
    Column,
    Command,
    Flag,
    Grammar,
    Key,
    OperatorError,
    Table,
    Trading,
    View,
    Words,
    parse_count,
    parse_ref,
    parse_symbol,
    shown,
    signed,
)
from tradeshell_jsonl_log.reader import Damage, read_all
from tradeshell_jsonl_log.results import Because, Trades, log_record
from tradeshell_jsonl_log.tale import NEW_YORK, Tale, Tales, clock, shown_price, told
from tradeshell_jsonl_log.trades import Result, Totals, result_of, totals_of
from tradeshell_jsonl_log.why import Why
from tradeshell_jsonl_log.why_order import why_order
from tradeshell_jsonl_log.why_outside import outside_lines, why_outside
from tradeshell_jsonl_log.why_trade import why_trade

GROUP = "Look"
LATEST = 20
OF_A_TRADE = (
    b'OrderFilled"', b'"event":"OrderIntent"', b'"event":"CommissionCharged"', b'"event":"SessionStarted"',
    b'"event":"BreakoutStarted"', b'"event":"LadderStopLossReplaced"', b'"event":"TradeClosed"',
    b'"event":"TradeReopened"', b'"event":"FlattenCompleted"',
)  # fmt: skip


def _path(trading: Trading, name: str) -> Path:
    log = next((each for each in trading.view().logs if each.name == "events"), None)
    if log is None or log.path is None:
        why = "no sink keeps events" if log is None else log.why
        raise OperatorError(
            f"{name}: there is no log of events to read ({why}) · `plugins` shows whether jsonl_log is there"
        )
    return log.path


class Log:
    """The log of a program, and what is damaged in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damage: list[Damage] = []

    def read(self, *holding: bytes) -> Iterable[dict[str, Any]]:
        """Return the records whose line holds one of these texts."""
        self.damage.clear()
        return read_all(self.path, self.damage.append, holding)

    def warnings(self) -> tuple[str, ...]:
        """Return a line for each file that could not be read to its end."""
        return tuple(
            f"{each.path.name} is damaged after line {each.line}: {each.lost} bytes of it were not used"
            for each in self.damage
        )


# --- why --------------------------------------------------------------------------------------------------------------


def _about(view: View, before: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return what completion offers: symbols, watchers and trades, legs, numbers of orders."""
    if before:
        return ()
    desk = view.desk
    found: dict[str, str] = {}
    for symbol in sorted({*desk.books, *(watcher.spec.plan.symbol for watcher in desk.watchers.values())}):
        found[symbol] = "its newest watcher or trade"
    for id_, watcher in desk.watchers.items():
        found[id_] = f"{watcher.spec.plan.symbol}, {watcher.phase.value}"
    for order in desk.orders():
        parts = parse_ref(order.spec.ref)
        if parts is not None:
            found.setdefault(parts.watch, order.spec.symbol)
            found[f"{order.spec.symbol}.{parts.leg}"] = f"number {order.order_id}, {order.state.value}"
    for order in desk.orders():
        parts = parse_ref(order.spec.ref)
        found[str(order.order_id)] = (
            f"{order.spec.symbol} {'' if parts is None else parts.leg} {order.state.value}"
        )
    return tuple(found.items())


def _word(text: str) -> str:
    if len(text) > 80 or not text.isprintable():
        raise ValueError("a symbol, an order or a watcher is one short word")
    return text


WHY = Grammar(
    keys=(
        Key(
            name="about",
            help="a symbol, an order (number, AAPL.sl2, orderRef) or a watcher",
            parse=_word,
            values=_about,
            metavar="SYM|ORDER",
            example="AAPL.sl2",
        ),
    ),
    positionals=("about",),
    required=("about",),
    example="why AAPL.sl2",
)


def why(trading: Trading, words: Words) -> Answer:
    """Say why a watcher, a trade or an order is what it is."""
    log = Log(_path(trading, "why"))
    word: str = words.get("about")
    now = trading.view().now
    found, others = answer(log, word, now)
    return Answer(
        lines=(*found.lines, *others, *log.warnings()),
        data={
            "about": found.about,
            "situation": found.situation,
            "lines": found.lines,
            "because": [log_record(raw) for raw in found.because],
        },
    )


def answer(log: Log, word: str, now: datetime) -> tuple[Why, tuple[str, ...]]:
    """Return the answer about ``word``, and lines about what else it may mean; raises ``OperatorError`` when it is unknown."""
    symbol, watch, leg, ref = _meant(log, word)
    tales = told(log.read(_field("symbol", symbol), b'"event":"SessionStarted"', b'"event":"KillSwitch'))
    on = tales.on(symbol)
    tale = tales.named(watch) if watch else _newest(on, leg if leg != "entry" else "")
    if tale is not None and leg == "entry" and not tale.refs(leg):
        leg = ""  # nothing was sent: why not is told of the watcher
    if leg and tale is not None and tale.refs(leg):
        return why_order(tales, tale, leg, now, ref), ()
    number = int(word) if _is_number(word) else 0
    if (number or ref) and (outside := why_outside(tales, symbol, number, ref, now)) is not None:
        return outside, ()
    if tale is None or leg:
        raise OperatorError(f"why: the log says nothing about {shown(word)}{_there_is(tales, symbol)}")
    earlier = [each.id for each in on if each is not tale][-6:]
    others = (
        [f"  earlier on {symbol}: {' '.join(earlier)} · why {earlier[-1]}"] if earlier and not watch else []
    )
    return why_trade(tales, tale, now), (*others, *outside_lines(tales, symbol, now))


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdigit() and len(word) <= 18


def _newest(on: list[Tale], leg: str) -> Tale | None:
    """Return the newest tale, of those that had an order of ``leg`` if one is named."""
    return next((tale for tale in reversed(on) if not leg or tale.refs(leg)), None)


def _field(name: str, value: str) -> bytes:
    return f'"{name}":"{value}"'.encode()


def _meant(log: Log, word: str) -> tuple[str, str, str, str]:
    """Return symbol, watcher, leg and orderRef that ``word`` names, "" for what it leaves open."""
    if _is_number(word):
        said = _last(log, f'"order_id":{int(word)},'.encode(), f'"order_id":{int(word)}}}'.encode())
        return (
            (said["symbol"], said.get("watch", ""), said.get("leg", ""), said["order_ref"])
            if said
            else ("", "", "", "")
        )
    if (parts := parse_ref(word)) is not None:
        said = _last(log, _field("order_ref", word))
        return (said["symbol"] if said else "", parts.watch, parts.leg, word)
    head, dot, leg = word.rpartition(".")
    for name, of in ((word, ""), (head, leg.lower())) if dot else ((word, ""),):
        said = _last(log, _field("watch", name))
        if said is not None:
            return said.get("symbol", ""), name, of, ""
        if _last(log, _field("symbol", name.upper())) is not None:
            return name.upper(), "", of, ""
    return "", "", "", ""


def _last(log: Log, *holding: bytes) -> dict[str, Any] | None:
    """Return the last record about an order or a symbol that holds one of these texts."""
    found = None
    for record in log.read(*holding):
        if "symbol" in record and ("order_ref" in record or not holding[0].startswith(b'"order_')):
            found = record
    return found


def _there_is(tales: Tales, symbol: str) -> str:
    legs = [leg for tale in tales.on(symbol)[-1:] for leg in tale.legs()]
    return (
        f" · of {symbol} it knows {' '.join(legs)}" if legs else " · `trades` and `orders` list what there is"
    )


# --- trades -----------------------------------------------------------------------------------------------------------


def _since(text: str) -> date | None:
    if text == "today":
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("a day is written 2026-03-02, or today") from None


TRADES = Grammar(
    keys=(
        Key(
            name="symbol",
            help="only these symbols",
            parse=parse_symbol,
            values=lambda view, before: tuple(
                (name, "") for name in sorted(view.desk.books) if name not in before
            ),
            metavar="SYM",
            example="AAPL",
        ),
        Key(
            name="since",
            help="from this New York day on",
            parse=_since,
            values=(("today", "this day only"),),
            metavar="DAY",
            default="the log's first",
            example="2026-03-02",
        ),
        Key(
            name="n",
            help="how many of the latest are listed; totals count all",
            parse=parse_count,
            metavar="N",
            default=str(LATEST),
            example="100",
        ),
    ),
    rest="symbol",
    flags=(Flag(word="today", key="since", value="today", help="this day only"),),
    example="trades AAPL since=2026-03-02",
)

_COLUMNS = (
    Column("closed"),
    Column("trade"),
    Column("qty", right=True),
    Column("entry → exit"),
    Column("P&L", right=True),
    Column("R", right=True),
    Column("slip", right=True),
    Column("fees", right=True),
    Column("lasted", right=True),
)


def trades(trading: Trading, words: Words) -> Answer:
    """List trades with their results, and totals."""
    log = Log(_path(trading, "trades"))
    now = trading.view().now
    results = results_in(told(log.read(*OF_A_TRADE)).tales)
    if words.has("since"):
        first = words.get("since") or now.astimezone(NEW_YORK).date()
        results = [each for each in results if _day(each) >= first]
    if words.rest:
        results = [each for each in results if each.symbol in words.rest]
    if not results:
        return Answer(lines=("no trade", *log.warnings()), data={"trades": [], "totals": totals_of(())})
    shown_ = results[-words.get("n", LATEST) :]
    lines: list[str | Table] = [Table(columns=_COLUMNS, rows=tuple(_row(each, now) for each in shown_))]
    if len(shown_) < len(results):
        lines.append(f"  the latest {len(shown_)} of {len(results)} · n={len(results)} lists all")
    totals = totals_of(results)
    return Answer(
        lines=(*lines, *_total_lines(totals), *log.warnings()),
        data={"trades": [_data(each) for each in shown_], "totals": totals},
    )


def results_in(tales: Iterable[Tale]) -> list[Result]:
    """Return the results of all tales that bought something, in the order in which they began."""
    found = (result_of(tale) for tale in tales)
    return sorted((each for each in found if each is not None), key=lambda each: each.entry_at)


def _day(result: Result) -> date:
    return (result.exit_at or result.entry_at).astimezone(NEW_YORK).date()


def _row(result: Result, now: datetime) -> tuple[str, ...]:
    at = "open" if result.state == "open" or result.exit_at is None else clock(result.exit_at, now)
    return (
        at,
        f"{result.symbol} {result.id}",
        str(result.qty),
        f"{shown_price(result.entry)} → {shown_price(result.exit)}",
        _signed(result.pnl if result.sold else None),
        _signed(result.r),
        _signed(result.slippage),
        shown_price(result.fees),
        _lasted(result),
    )


def _signed(value: Decimal | None) -> str:
    return "–" if value is None else signed(value)


def _lasted(result: Result) -> str:
    if result.lasted is None:
        return "–"
    seconds = int(result.lasted.total_seconds())
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds:02}s"


def _total_lines(totals: Totals) -> tuple[str, ...]:
    count = f"{totals.trades} trade{'' if totals.trades == 1 else 's'}"
    parts = [count, f"{totals.won} won, {totals.lost} lost"]
    parts += [f"{totals.open} open"] if totals.open else []
    money = [
        f"P&L {signed(totals.pnl)}",
        f"fees {shown_price(totals.fees)}",
        f"net {signed(totals.net)}",
        f"slippage {signed(totals.slippage)}",
    ]
    each = (
        [] if totals.expectancy is None else [f"{signed(totals.r)} R, {signed(totals.expectancy)} R a trade"]
    )
    return (f"  {' · '.join(parts)}", f"  {' · '.join([*money, *each])}")


def _data(result: Result) -> dict[str, Any]:
    return {
        "trade": result.id, "symbol": result.symbol, "state": result.state, "qty": result.qty, "sold": result.sold,
        "entry": result.entry, "entry_at": result.entry_at, "asked": result.asked, "exit": result.exit, "exit_at": result.exit_at,
        "exits": result.exits, "sl": result.sl, "pnl": result.pnl, "r": result.r, "slippage": result.slippage,
        "fees": result.fees, "net": result.net,
        "seconds": None if result.lasted is None else result.lasted.total_seconds(),
    }  # fmt: skip


COMMANDS = (
    Command(
        name="why",
        help="Say why a watcher, a trade or an order is what it is, from the log",
        grammar=WHY,
        run=why,
        data=Because,
        group=GROUP,
        examples=("why AAPL", "why AAPL.sl2", "why 17", "why br-7f3ac"),
        notes="Answers from the log of events alone, of this session and earlier ones: what it saw, what it decided on that, "
        "what the broker said. A symbol means its newest watcher or trade. With --json `because` holds the records.",
    ),
    Command(
        name="trades",
        help="List trades: result in R, slippage, fees, and totals",
        grammar=TRADES,
        run=trades,
        data=Trades,
        group=GROUP,
        examples=("trades", "trades today", "trades AAPL since=2026-03-02"),
        notes="P&L is before fees, R in multiples of entry - stop. slip is what entry and stops brought against the ask and the "
        "stop that were decided on: a cost is negative. Everything comes from the log of events, over all sessions.",
    ),
)  # fmt: skip
