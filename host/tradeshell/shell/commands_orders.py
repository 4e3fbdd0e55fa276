"""``orders``: list, cancel, replace.

Law: every word is understood and checked before the first cancel or change leaves; nothing is half done.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from tradeshell import words as w
from tradeshell.core.events import money, order_words
from tradeshell.core.exits import ruled_stop
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import Order, Side
from tradeshell.core.standing import Outside
from tradeshell.core.trade import leg_number, leg_of
from tradeshell.errors import OperatorError, TradeshellError
from tradeshell.grammar import Answer, Column, Command, Flag, Grammar, Key, Table, Verb, Words, shown
from tradeshell.ports import Trading, View
from tradeshell.shell import choices, consent, outsiders, results, targets
from tradeshell.shell.helptext import PROTECT
from tradeshell.shell.picture import STALE
from tradeshell.words import masked

BREAK_EVEN = "be"


def _stop_price(text: str) -> Price | str:
    return BREAK_EVEN if text.lower() == BREAK_EVEN else w.price(text)


_SYMBOL = Key(
    name="symbol",
    help="only these symbols",
    parse=w.symbol,
    values=choices.symbols,
    metavar="SYM",
    example="AAPL",
)
_ORDER_WORDS = Key(
    name="order",
    help="number, symbol, leg such as AAPL.sl1 or AAPL.sl*, or ALL",
    values=choices.orders,
    metavar="ORDER",
    example="AAPL.sl1",
)

_FORCE = Key(
    name=consent.FORCE,
    help="also stops of shares that are held, without asking",
    parse=w.boolean,
    values=choices.booleans("cancel what protects, too", "ask first; refuse in scripts"),
    default="false",
)

ORDERS = Grammar(
    keys=(
        _SYMBOL,
        Key(
            name="show",
            help="which orders",
            parse=w.one_of("working", "all"),
            values=(("working", "those that may still fill"), ("all", "filled, cancelled and refused ones too")),
            default="working",
            example="all",
        ),
    ),
    rest="symbol",
    verbs=(
        Verb(
            word="cancel",
            help="ask to cancel working orders",
            data=results.CancelsAsked,
            grammar=Grammar(
                keys=(_ORDER_WORDS, _FORCE),
                rest="order",
                required=("order",),
                flags=(Flag(word=consent.FORCE, key=consent.FORCE, value="true", help=_FORCE.help),),
                example="orders cancel AAPL",
            ),
        ),
        Verb(
            word="replace",
            help="change a working order",
            data=results.ChangeAsked | list[results.ChangeAsked],
            grammar=Grammar(
                keys=(
                    Key(
                        name="order",
                        help="number, leg such as AAPL.sl1, or AAPL.sl* for every stop",
                        values=choices.changeable,
                        metavar="ORDER",
                        example="12",
                    ),
                    Key(name="limit", help="new limit", parse=w.price, metavar="PRICE", example="191.25"),
                    Key(
                        name="stop",
                        help="new stop price, or be: the average entry",
                        parse=_stop_price,
                        values=((BREAK_EVEN, "the average entry, rounded up"),),
                        metavar="PRICE",
                        example="188",
                    ),
                    Key(name="qty", help="new total quantity", parse=w.quantity, metavar="SHARES", example="50"),
                ),
                positionals=("order",),
                required=("order",),
                example="orders replace 12 limit=191.25",
            ),
        ),
    ),
    example="orders cancel AAPL",
)  # fmt: skip


# --- orders -----------------------------------------------------------------------------------------------------------

_COLUMNS = (
    Column("id", right=True),
    Column("symbol"),
    Column("leg"),
    Column("side"),
    Column("qty", right=True),
    Column("filled", right=True),
    Column("price"),
    Column("tif"),
    Column("state"),
    Column("trade"),
)


def orders(trading: Trading, words: Words) -> Answer:
    """List, cancel or replace orders."""
    if words.verb == "cancel":
        return _cancel(trading, words.rest, is_forced=words.get(consent.FORCE, False))
    if words.verb == "replace":
        return _replace(trading, words)
    desk = trading.view().desk
    show_all = words.get("show") == "all"
    found = [
        order
        for order in desk.orders()
        if (show_all or order.state.is_live) and (not words.rest or order.spec.symbol in words.rest)
    ]
    others = outsiders.living(desk, words.rest)
    if not found and not others:
        where = f" in {' '.join(words.rest)}" if words.rest else ""
        return Answer(lines=(f"no order{'' if show_all else ' is working'}{where}",), data=[])
    rows = (*(_row(order) for order in found), *(outsiders.row(each) for each in others))
    data = [*(as_data(order) for order in found), *(outsiders.as_data(each) for each in others)]
    return Answer(lines=(Table(columns=_COLUMNS, rows=rows),), data=data)


def _row(order: Order) -> tuple[str, ...]:
    spec = order.spec
    return (
        str(order.order_id),
        spec.symbol,
        leg_of(spec.ref),
        spec.side.value,
        str(spec.qty),
        str(order.filled),
        order_words(spec.type, spec.limit, spec.stop),
        spec.tif.value,
        state_words(order),
        targets.owner(order),
    )


def state_words(order: Order) -> str:
    """Return an order's state with what is under way: ``held, changing``."""
    if order.cancelling:
        return f"{order.state.value}, cancelling"
    if order.changing:
        return f"{order.state.value}, changing"
    if order.elected_at is not None and order.state.is_live:
        return "elected"
    return order.state.value


def as_data(order: Order) -> dict[str, Any]:
    """Return an order as scripts read it."""
    spec = order.spec
    return {
        "id": order.order_id,
        "order_ref": spec.ref,
        "symbol": spec.symbol,
        "leg": leg_of(spec.ref),
        "side": spec.side,
        "qty": spec.qty,
        "filled": order.filled,
        "average": order.average,
        "type": spec.type,
        "limit": spec.limit,
        "stop": spec.stop,
        "tif": spec.tif,
        "outside_rth": spec.outside_rth,
        "state": order.state,
        "account": masked(spec.account),
        "client_tag": spec.client_tag,
        "sent_at": order.sent_at,
        "why": order.why,
    }


def _cancel(trading: Trading, wanted: tuple[str, ...], *, is_forced: bool) -> Answer:
    desk = trading.view().desk
    # Every word is understood before the first cancel leaves: nothing is half done.
    others = {each.order.key: each for word in wanted if (each := outsiders.find(desk, word)) is not None}
    numbers = {str(each.order.order_id) for each in others.values()}
    wanted = tuple(word for word in wanted if word not in numbers)
    if not targets.working(desk) and any(word.upper() == targets.ALL for word in wanted):
        return Answer(lines=("no order is working",), data={"asked": []})
    found = {order.spec.ref: order for word in wanted for order in targets.find(desk, word)}
    told = [consent.lost_protection(desk, found.values()), outsiders.lost(others.values())]
    if not is_forced and any(told):
        raise consent.NeedsConsent(f"orders cancel: {'; '.join(filter(None, told))}", "Cancel?")
    for key in others:
        trading.cancel_order(key)
    for ref in found:
        order = trading.view().desk.order(ref)
        # A sibling may have taken it along.
        if order is not None and order.state.is_live and not order.cancelling:
            trading.cancel_order(ref)
    asked = [*(as_data(order) for order in found.values()), *(outsiders.as_data(o) for o in others.values())]
    return Answer(data={"asked": asked})


def _replace(trading: Trading, words: Words) -> Answer:
    view = trading.view()
    limit: Price | None = words.get("limit")
    wanted: Price | str | None = words.get("stop")
    qty: Shares | None = words.get("qty")
    if limit is None and wanted is None and qty is None:
        raise OperatorError("orders replace: nothing to change · example: orders replace 12 limit=191.25")
    if (known := outsiders.find(view.desk, words.get("order"))) is not None:
        return _replace_outside(trading, known, limit, wanted, qty)
    changes = []
    # Every order is looked at before the first change leaves: nothing is half done.
    for order in _meant(view, words.get("order"), limit, qty):
        stop = targets.break_even(view.desk, order) if isinstance(wanted, str) else wanted
        _check_change(order, limit, stop, qty)
        _check_stop(order, stop, view)
        _check_rule(order, stop, view)
        changes.append((order, stop))
    asked: list[str] = []
    for order, stop in changes:
        try:
            trading.replace_order(order.spec.ref, limit, stop, qty)
        except TradeshellError as error:
            if not asked:
                raise
            raise OperatorError(
                f"{targets.address(order)}: {error} · changed before it: {' '.join(asked)}"
            ) from None
        asked.append(targets.address(order))
    data = [
        {"asked": order.spec.ref, "id": order.order_id, "limit": limit, "stop": stop, "qty": qty}
        for order, stop in changes
    ]
    return Answer(data=data[0] if len(data) == 1 else data)


def _replace_outside(
    trading: Trading, known: Outside, limit: Price | None, stop: Price | str | None, qty: Shares | None
) -> Answer:
    """Change an order of an earlier life of the program, which no record knows."""
    if isinstance(stop, str):
        raise OperatorError(
            f"orders replace: stop={BREAK_EVEN}: no record says what this order's shares cost"
        )
    limit = outsiders.limit_along(known, limit, stop)
    trading.replace_order(known.order.key, limit, stop, qty)
    return Answer(
        data={"asked": known.order.key, "id": known.order.order_id, "limit": limit, "stop": stop, "qty": qty}
    )


def _meant(view: View, word: str, limit: Price | None, qty: Shares | None) -> tuple[Order, ...]:
    """Return the orders to change: one, or the stops of a word with a star when only their stop price changes."""
    if "*" not in word:
        return (targets.find_one(view.desk, word),)
    if qty is not None or limit is not None:
        raise OperatorError(
            f"orders replace: {shown(word)}: several orders take a stop= only · example: orders replace AAPL.sl* stop=188"
        )
    return targets.find(view.desk, word)


def _check_change(order: Order, limit: Price | None, stop: Price | None, qty: Shares | None) -> None:
    name = f"{order.order_id} ({targets.address(order)})"
    if limit is not None and order.spec.limit is None:
        raise OperatorError(f"orders replace: {name} is a {order.spec.type.value} order, it has no limit")
    if stop is not None and order.spec.stop is None:
        raise OperatorError(
            f"orders replace: {name} is a {order.spec.type.value} order, it has no stop price"
        )
    if qty is not None and qty <= order.filled:
        raise OperatorError(
            f"orders replace: qty={qty}: {order.filled} of {name} are filled already; cancel it instead"
        )
    if order.cancelling:
        raise OperatorError(f"orders replace: a cancel of {name} is under way")
    if order.changing:
        raise OperatorError(f"orders replace: a change of {name} is under way, wait for the broker's answer")


def _check_stop(order: Order, stop: Price | None, view: View) -> None:
    """Refuse a stop at or above the bid: it would be elected at once, which nobody means by moving a stop."""
    if stop is None or order.spec.side is not Side.SELL or order.elected_at is not None:
        return
    quote = view.quotes.get(order.spec.symbol)
    if quote is not None and quote.bid is not None and stop >= quote.bid and quote.age(view.now) <= STALE:
        raise OperatorError(
            f"orders replace: stop={money(stop)} is not below the bid {money(quote.bid)}: it would sell at once · "
            f"cancel {targets.address(order)} and sell if that is wanted"
        )


def _check_rule(order: Order, stop: Price | None, view: View) -> None:
    """Refuse a stop below where the plan has it since a target was reached: it would be raised again at once."""
    trade = view.desk.books[order.spec.symbol].trade_of(order.spec.ref)
    name = leg_of(order.spec.ref)
    if stop is None or trade is None or not name.startswith("sl"):
        return
    leg = next((leg for leg in trade.legs if leg.number == leg_number(name)), None)
    ruled = None if leg is None else ruled_stop(trade, replace(leg, stop=stop), trade.milestone)
    if ruled is not None and ruled > stop:
        raise OperatorError(
            f"orders replace: stop={money(stop)} is below {money(ruled)}, where the plan has {targets.address(order)} since "
            f"target {trade.milestone} was reached: it would be raised again at once · example: stop={money(ruled)}"
        )


ORDERS_COMMAND = Command(
    name="orders",
    help="List working orders; cancel or replace them",
    grammar=ORDERS,
    run=orders,
    group=PROTECT,
    data=list[results.OrderRow],
    examples=(
        "orders",
        "orders AAPL show=all",
        "orders cancel 12 AAPL.tp1",
        "orders cancel ALL",
        "orders cancel AAPL.sl2 force",
        "orders replace AAPL.sl1 stop=be",
        "orders replace AAPL.sl* stop=188",
    ),
    notes="An order is named by its number, by its leg (AAPL.sl1, AAPL.sl*), by its symbol or by its trade. Cancelling what "
    "protects shares is asked twice; in a script `force` says so in advance. Orders that no book has are listed last: those of "
    "an earlier life of the program obey their number, those of others are shown as external.",
)  # fmt: skip

COMMANDS = (ORDERS_COMMAND,)
