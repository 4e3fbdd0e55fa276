"""What the screen says about the desk as a whole: prompt, toolbar, first line, last words. Pure.

Laws: the mode comes from the account, never from a port; an account is shown masked; what cannot be known is shown as unknown.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import NamedTuple

from tradeshell.core.data_events import length_words
from tradeshell.core.desk import Desk, Watcher, WatchPhase
from tradeshell.core.events import money
from tradeshell.core.orders import OrderType, Side
from tradeshell.core.trade import Trade, TradePhase, entry_of, exits_of, inventory, leg_of, live
from tradeshell.ports import View
from tradeshell.shell import protection as protecting
from tradeshell.words import masked

STALE = 15.0  # seconds: an older touch of something watched or held is worth a word in the toolbar


CENT, TENTH = Decimal("0.01"), Decimal("0.1")
EXAMPLE_SYMBOL = "DEMO"  # starts at 100.00 in the generated market

SHOWN = 2  # symbols named in the toolbar because of their protection


class Piece(NamedTuple):
    """A part of the toolbar: its words, a style name (``live``, ``alarm`` or empty), and what goes first when it is narrow."""

    text: str
    style: str = ""
    rank: int = 0


def mode(view: View) -> str:
    """Return ``paper``, ``LIVE`` or ``replay``."""
    if view.replaying:
        return "replay"
    return "paper" if view.broker.paper else "LIVE"


def armed(desk: Desk) -> tuple[Watcher, ...]:
    """Return the watchers that still wait for their trigger."""
    return tuple(watcher for watcher in desk.watchers.values() if watcher.phase is WatchPhase.ARMED)


def held_back(desk: Desk) -> tuple[Watcher, ...]:
    """Return the watchers that an earlier session left waiting and somebody is asked about."""
    return tuple(w for w in desk.watchers.values() if w.phase is WatchPhase.PAUSED and w.asks)


def open_trades(desk: Desk) -> tuple[Trade, ...]:
    """Return the trades that are not over."""
    return tuple(trade for trade in desk.trades() if trade.phase is not TradePhase.CLOSED)


class OpenRisk(NamedTuple):
    """What is lost if every stop is hit at its price: ``usd``, and ``r`` in units of what each trade risked when it was bought.

    ``bare``: open trades of which some shares have no stop.
    """

    usd: Decimal = Decimal(0)
    r: Decimal = Decimal(0)
    bare: int = 0

    @property
    def words(self) -> str:
        """Return ``64.00 (1.0 R)``."""
        usd = money(self.usd.quantize(CENT))
        return f"{usd} ({self.r.quantize(TENTH)} R)" if self.r else usd


def open_risk(desk: Desk) -> OpenRisk:
    """Return what the open trades risk now."""
    risk = units = Decimal(0)
    bare = 0
    for trade in open_trades(desk):
        orders = desk.books[trade.plan.symbol].orders
        held = inventory(trade, orders)
        entry = entry_of(trade, orders)
        if held <= 0 or entry is None or entry.average is None:
            continue
        own = Decimal(0)
        for order in live(exits_of(trade, orders)):
            if order.spec.type.is_stop and order.spec.stop is not None:
                share = min(held, order.remaining)
                own += max(Decimal(0), entry.average - order.spec.stop) * share
                held -= share
        risk += own
        if trade.plan.sl is not None and entry.average > trade.plan.sl:
            units += own / ((entry.average - trade.plan.sl) * entry.filled)
        if held > 0:
            bare += 1
    return OpenRisk(risk, units, bare)


def protected_share(view: View) -> int | None:
    """Return the percentage of held shares that have a living stop, rounded down; ``None`` when nothing is held."""
    found = protecting.everywhere(view.desk.books, view.now)
    held = sum(each.held for each in found)
    return None if held <= 0 else sum(each.covered for each in found) * 100 // held


def stale(view: View) -> tuple[tuple[str, float | None], ...]:
    """Return symbols that are watched or held and whose touch is old (with its age in seconds) or missing (``None``)."""
    desk = view.desk
    symbols = set(desk.armed) | {trade.plan.symbol for trade in open_trades(desk)}
    found: list[tuple[str, float | None]] = []
    for symbol in sorted(symbols):
        quote = view.quotes.get(symbol)
        age = None if quote is None else quote.age(view.now)
        if age is None or age > STALE:
            found.append((symbol, age))
    return tuple(found)


def blind_words(view: View) -> tuple[str, ...]:
    """Return a few words about each stream of bars that is stalled: ``AAPL 1m bars stalled 3 min``."""
    return tuple(
        f"{each.symbol} {length_words(each.seconds)} bars {each.state} {_age((view.now - each.since).total_seconds())}"
        for each in view.blind
    )


def toolbar(view: View, width: int) -> tuple[Piece, ...]:
    """Return the toolbar's parts from left to right, the least important left out until they fit ``width`` columns."""
    desk = view.desk
    live_mode = not view.broker.paper and not view.replaying
    pieces = [Piece(mode(view), "live" if live_mode else "", 9)]
    if desk.link.is_open:
        pieces.append(Piece("link up", "", 4))
    else:
        words = "reconciling" if desk.link.up else "link down"
        pieces.append(Piece(words, "alarm", 8))
    if desk.stopped:
        pieces.append(Piece("ENTRIES OFF", "alarm", 8))
    pieces.append(Piece(masked(desk.account or view.broker.account), "", 3))
    if watchers := len(armed(desk)):
        pieces.append(Piece(f"{watchers} armed", "", 5))
    if asked := len(held_back(desk)):
        pieces.append(Piece(f"{asked} asked about", "alarm", 5))
    risk = open_risk(desk)
    if risk.usd or open_trades(desk):
        pieces.append(Piece(f"risk {risk.words}", "", 6))
    pieces += _protection(view)
    if view.blocked:
        pieces.append(Piece("DATA TAKEN BY ANOTHER SESSION", "alarm", 7))
    blind = blind_words(view)
    pieces += [Piece(words, "alarm", 7) for words in blind[:SHOWN]]
    if len(blind) > SHOWN:
        pieces.append(Piece(f"+{len(blind) - SHOWN} blind", "alarm", 6))
    for symbol, age in stale(view)[:2]:
        words = f"{symbol} no quote" if age is None else f"{symbol} quote {_age(age)} old"
        pieces.append(Piece(words, "alarm", 2))
    while len(pieces) > 1 and sum(len(piece.text) + 3 for piece in pieces) > width:
        pieces.remove(min(pieces, key=lambda piece: piece.rank))
    return tuple(pieces)


def _protection(view: View) -> list[Piece]:
    """Return the share that is protected, and by name the symbols in which that is not simply so, the worst first."""
    found = protecting.everywhere(view.desk.books, view.now)
    share = protected_share(view)
    pieces = []
    if share is not None:
        pieces.append(
            Piece(f"protected {share} %", "alarm" if any(each.is_alarming for each in found) else "", 7)
        )
    if bare := sum(each.state == "NONE" for each in found):
        pieces.append(Piece(f"{bare} without a stop", "alarm", 7))
    unusual = [each for each in found if each.state not in protecting.NORMAL]
    for each in unusual[:SHOWN]:
        words = protecting.share_words(each.state, each.share())
        pieces.append(
            Piece(f"{each.symbol} {words}", "alarm" if each.is_alarming else "", 8 if each.is_alarming else 5)
        )
    if len(unusual) > SHOWN:
        pieces.append(
            Piece(f"+{len(unusual) - SHOWN} more", "alarm" if unusual[SHOWN].is_alarming else "", 5)
        )
    return pieces


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def as_of(desk: Desk) -> tuple[str, ...]:
    """Return what has to be said below a picture of the account while nobody knows whether it is still true."""
    if desk.link.is_open:
        return ()
    why = "the account is being read again" if desk.link.up else "the link is down"
    return (f"{why}: this is what was known last, and the broker may have done more",)


def intro(view: View, version: str, plugins: int, commands: Collection[str]) -> tuple[str, str]:
    """Return the first lines on the screen: where one is, and what to type next."""
    short = ".".join(version.split(".")[:2])
    account = masked(view.desk.account or view.broker.account)
    where = view.broker.words
    if not (view.desk.link.up or is_embedded(view)):  # why has just been told
        where = f"{where.partition(' · ')[0]} · not connected"
    parts = [f"tradeshell {short}", where, f"account {account}" if account else "no account yet"]
    parts.append(f"{plugins} plugin{'' if plugins == 1 else 's'}")
    return " · ".join(parts), f"type `help`{_try(view, commands)}"


def _try(view: View, commands: Collection[str]) -> str:
    """Return a line that is worth a try where one is."""
    if not view.desk.link.up and not view.broker.embedded:
        return ", or `doctor`: it says what keeps the link down"
    if view.replaying and view.symbols:
        return f", or try: chart {view.symbols[0]}"
    if view.broker.embedded and EXAMPLE_SYMBOL in view.symbols and "breakout" in commands:
        return f", or try: breakout {EXAMPLE_SYMBOL} 101 100 tp-3 sl=99"
    return ", or try: status"


def left_open(view: View) -> tuple[str, ...]:
    """Return what an earlier program left, while nobody could ask the broker about it yet."""
    share, trades = protected_share(view), open_trades(view.desk)
    if view.desk.link.is_open or is_embedded(view) or not trades:
        return ()
    symbols = ", ".join(dict.fromkeys(trade.plan.symbol for trade in trades))
    held = "" if share is None else f", {share} % of the shares had a stop"
    return (f"left open: {symbols}{held} · the broker is asked as soon as the link is up",)


def leaving(view: View) -> tuple[str, ...]:
    """Return what stays and what stops when the program ends now; empty when nothing is going on."""
    desk = view.desk
    embedded = is_embedded(view)
    later = "" if embedded else "; the next start takes it up again"
    lines = [
        f"{w.spec.plan.symbol} {w.spec.id} is armed and stops watching when this program ends{later}."
        for w in armed(desk)
    ]
    chased = False
    for trade in open_trades(desk):
        orders = desk.books[trade.plan.symbol].orders
        working = [order for ref in trade.refs if (order := orders[ref]).state.is_live]
        legs = " ".join(leg_of(order.spec.ref) for order in working)
        held = inventory(trade, orders)
        what = f"has {held} shares open" if held else "has an order working"
        where = (
            f" At the broker and working without this program: {legs}."
            if legs
            else " No order protects them."
        )
        lines.append(f"{trade.plan.symbol} {trade.id} {what}.{'' if embedded else where}")
        chased = chased or any(
            order.spec.type is OrderType.STOP_LIMIT and order.spec.side is Side.SELL for order in working
        )
    if embedded and lines:
        lines.append("The venue lives inside this program: its orders and positions end with it.")
    elif chased:
        lines.append("Stop-limits need this program to chase the price once elected.")
    return tuple(lines)


def is_embedded(view: View) -> bool:
    """Return whether the venue is simulated inside this program."""
    return view.broker.embedded
