"""Kill switches: ``stopentry`` lets no entry leave any more, ``flatten`` sells what our trades hold.

Laws: both work without a link; they say what will happen, and what did not happen in time. Every word is understood before
anything is sent. Shares that our trades did not buy are never sold by ``flatten``.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from tradeshell import words as w
from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.market import Shares
from tradeshell.core.orders import Side
from tradeshell.core.trade import Trade, TradePhase, entry_of, inventory, leg_of, live
from tradeshell.errors import OperatorError
from tradeshell.grammar import Answer, Choices, Command, Flag, Grammar, Key, Words
from tradeshell.ports import Trading, View
from tradeshell.shell import choices, results, targets
from tradeshell.shell.consent import NeedsConsent
from tradeshell.shell.helptext import PROTECT

PATIENCE = 30.0  # seconds that `flatten` waits for the last share
NOW = "now"


# --- stopentry --------------------------------------------------------------------------------------------------------

STOPENTRY = Grammar(
    keys=(
        Key(
            name="switch",
            help="on: no entry leaves; off: entries may leave",
            parse=w.one_of("on", "off"),
            values=(("on", "no entry leaves any more"), ("off", "entries may leave again")),
            default="on",
            example="off",
        ),
    ),
    positionals=("switch",),
    example="stopentry off",
)


def stopentry(trading: Trading, words: Words) -> Answer:
    """Stop or allow entries."""
    on = words.get("switch", "on") == "on"
    before = trading.view().desk
    frozen = [symbol for symbol, book in before.books.items() if book.frozen]
    is_kept = trading.stop_entries(on)
    desk = trading.view().desk
    lines: list[str] = []
    if on and before.stopped:
        lines.append(f"entries are off already ({before.stopped}) · `stopentry off` allows them again")
    if not on and not before.stopped and not frozen:
        lines.append("entries are allowed already")
    unfilled = dict.fromkeys(trade.plan.symbol for trade in _entering(desk)) if on else {}
    if unfilled and not desk.link.is_open:
        lines.append(
            f"not connected: the unfilled entries of {' '.join(unfilled)} are cancelled when the link is back"
        )
    if not is_kept and (on or before.stopped):
        lines.append(
            f"the disk does not take it: the next start would begin with entries {'allowed' if on else 'off'}"
        )
    return Answer(lines=tuple(lines), data={"stopped": desk.stopped, "kept": is_kept})


def _entering(desk: Desk) -> list[Trade]:
    """Return the trades with a BUY entry that may still fill."""
    found = []
    for trade in desk.trades():
        entry = entry_of(trade, desk.books[trade.plan.symbol].orders)
        if trade.plan.side is Side.BUY and entry is not None and entry.state.is_live:
            found.append(trade)
    return found


# --- flatten ----------------------------------------------------------------------------------------------------------


class _Holding(Struct, frozen=True, kw_only=True):
    """What `flatten` finds in one symbol: shares of our trades, orders that go first, shares that stay, watchers that go on."""

    symbol: str
    shares: Shares
    cancels: tuple[str, ...]
    foreign: Shares
    watching: tuple[str, ...]

    def told(self) -> str:
        parts = [f"sells {_count(self.shares, 'share')}" if self.shares else "holds nothing yet"]
        if self.cancels:
            parts.append(f"cancels {' '.join(self.cancels)}")
        if self.foreign:
            parts.append(f"{_count(self.foreign, 'share')} that our trades did not buy stay")
        if self.watching:
            parts.append(f"{' '.join(self.watching)} stays armed (`breakout cancel {self.symbol}` ends it)")
        return f"{self.symbol}: {' · '.join(parts)}"

    def data(self) -> dict[str, Any]:
        return {
            "symbol": self.symbol,
            "shares": self.shares,
            "cancels": self.cancels,
            "foreign": self.foreign,
            "armed": self.watching,
        }


def _held(view: View, before: tuple[str, ...]) -> Choices:
    """Offer the symbols in which our trades are open, and ALL."""
    found = [
        (each.symbol, f"{each.shares} held by our trades")
        for each in _holdings(view.desk)
        if each.symbol not in before
    ]
    return (*found, (targets.ALL, f"all {len(found)} of them")) if found and not before else tuple(found)


FLATTEN = Grammar(
    keys=(
        Key(name="symbol", help="what to sell, or ALL", parse=w.symbol, values=_held, metavar="SYM", example="AAPL"),
        Key(
            name="timeout",
            help="how long to wait for the last share: 30, 30s, 5m",
            parse=w.seconds,
            metavar="TIME",
            default="30s",
            example="1m",
        ),
        Key(
            name=NOW,
            help="do not ask at the terminal",
            parse=w.boolean,
            values=choices.booleans("sell without asking", "ask first"),
            default="false",
        ),
    ),
    rest="symbol",
    required=("symbol",),
    flags=(Flag(word=NOW, key=NOW, value="true", help="do not ask at the terminal"),),
    example="flatten AAPL",
)  # fmt: skip


def flatten(trading: Trading, words: Words) -> Answer:
    """Sell what our trades hold, and wait until that is done."""
    view = trading.view()
    there = {each.symbol: each for each in _holdings(view.desk)}
    is_all = targets.ALL in words.rest
    if is_all and not there:
        return Answer(
            lines=("our trades hold nothing, and no entry works",), data={"symbols": [], "flat": True}
        )
    for symbol in () if is_all else words.rest:
        if symbol not in there:
            raise OperatorError(f"flatten: {symbol}: {_why_not(view.desk, symbol, there)}")
    chosen = [each for symbol, each in there.items() if is_all or symbol in words.rest]
    if not words.get(NOW, False):
        raise NeedsConsent("\n".join(each.told() for each in chosen), "Flatten?", NOW, only_at_terminal=True)
    for symbol in (None,) if is_all else tuple(each.symbol for each in chosen):
        trading.flatten(symbol)
    data: dict[str, Any] = {"symbols": [each.data() for each in chosen], "flat": False}
    link = trading.view().desk.link
    if not link.is_open:
        why = f"not connected ({link.why})" if not link.up else "orders and positions are not known yet"
        return Answer(
            lines=(f"queued: {why}; it is done first when the link is back",), data=data | {"queued": True}
        )
    timeout: float = words.get("timeout", PATIENCE)
    symbols = tuple(each.symbol for each in chosen)
    is_flat = trading.wait_until_flat(symbols, timeout)
    data |= {"flat": is_flat, "queued": False}
    if is_flat:
        return Answer(data=data)
    left = [each for each in _holdings(trading.view().desk) if each.symbol in symbols]
    lines = [
        f"{each.symbol}: not flat after {timeout:g} s · {_count(each.shares, 'share')} held, "
        f"working: {' '.join(each.cancels) or 'nothing'} · it goes on; `orders {each.symbol}` shows how"
        for each in left
    ]
    return Answer(lines=tuple(lines), data=data | {"left": [each.data() for each in left]}, ok=False)


def _holdings(desk: Desk) -> tuple[_Holding, ...]:
    """Return the symbols in which our trades hold shares or may come to."""
    found = []
    for symbol, book in sorted(desk.books.items()):
        trades = [trade for trade in book.trades.values() if trade.phase is not TradePhase.CLOSED]
        if not any(trade.plan.side is Side.BUY for trade in trades):
            continue
        orders = book.orders
        working = [order for trade in trades for order in live(orders[ref] for ref in trade.refs)]
        shares = sum(max(0, inventory(trade, orders)) for trade in trades)
        found.append(
            _Holding(
                symbol=symbol,
                shares=shares,
                cancels=tuple(leg_of(order.spec.ref) for order in working),
                foreign=max(0, book.held() - shares),
                watching=_watching(desk, symbol),
            )
        )
    return tuple(found)


def _watching(desk: Desk, symbol: str) -> tuple[str, ...]:
    return tuple(
        id_
        for id_, watcher in desk.watchers.items()
        if watcher.spec.plan.symbol == symbol and watcher.phase is WatchPhase.ARMED
    )


def _why_not(desk: Desk, symbol: str, there: dict[str, _Holding]) -> str:
    book, told = desk.books.get(symbol), desk.positions.get(symbol)
    held = book.held() if book is not None else 0 if told is None else told.qty
    if held > 0:
        return f"{held} are held, but our trades did not buy them · `sell {symbol} {held}` sells them"
    where = f"our trades are open in {targets.shortened(there)}" if there else "our trades hold nothing"
    return f"nothing of ours is held there; {where}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


COMMANDS = (
    Command(
        name="stopentry",
        help="Stop all entries: unfilled ones are cancelled, exits keep working",
        grammar=STOPENTRY,
        run=stopentry,
        group=PROTECT,
        data=results.Switch,
        examples=("stopentry", "stopentry off"),
        notes="Entries stay off over a restart, until `stopentry off`. Watchers stay armed; one that triggers meanwhile is "
        "refused and used up. Works without a link, too.",
    ),
    Command(
        name="flatten",
        help="Sell all that our trades hold in a symbol, or everywhere",
        grammar=FLATTEN,
        run=flatten,
        group=PROTECT,
        data=results.Flattened,
        examples=("flatten AAPL", "flatten ALL", "flatten ALL now"),
        notes="Exits are cancelled first, then the shares are sold at the market; nothing is sold twice. Asks at a terminal "
        "(not with `now`), never in a script. Shares that our trades did not buy stay. Without a link it is done as soon as "
        "that is back.",
    ),
)  # fmt: skip
