"""``buy`` and ``sell``.

Laws: words become a checked plan before anything leaves; what the desk or the broker then decides is told by events. A refusal
is one line and nothing was sent.
"""

from __future__ import annotations

from tradeshell import words as w
from tradeshell.core.market import Price
from tradeshell.core.orders import OrderType, Side, Tif
from tradeshell.core.plan import EntryKind, ExitMode, TradePlan, check_plan, put_on_grid
from tradeshell.errors import OperatorError
from tradeshell.grammar import Answer, Command, Flag, Grammar, Key, Words
from tradeshell.ports import Trading
from tradeshell.shell import choices, results, targets
from tradeshell.shell.commands_orders import as_data
from tradeshell.shell.helptext import ENTER, PROTECT


def _target(text: str) -> Price:
    if "-" in text:
        raise ValueError("one target here; ladders are `breakout`'s")
    return w.price(text)


_STOP_TYPES = {"stop_limit": OrderType.STOP_LIMIT, "stop": OrderType.STOP}

_SYMBOL = Key(
    name="symbol", help="what to trade", parse=w.symbol, values=choices.symbols, metavar="SYM", example="AAPL"
)
_QTY = Key(name="qty", help="whole shares", parse=w.quantity, metavar="SHARES", example="100")
_LIMIT = Key(
    name="limit",
    help="rest at this price instead of the touch",
    parse=w.price,
    metavar="PRICE",
    example="190.25",
)
_TIF = Key(
    name="tif",
    help="how long the order works",
    parse=w.tif,
    values=(
        ("DAY", "until today's close"),
        ("GTC", "until cancelled"),
        ("IOC", "at once, the rest is cancelled"),
        ("FOK", "at once and whole, or not at all"),
    ),
    default="DAY",
    example="DAY",
)
_OUTSIDE = Key(
    name="outside_rth",
    help="may fill outside regular hours",
    parse=w.boolean,
    values=choices.booleans("regular and extended hours", "regular hours only"),
    default="false",
    example="true",
)
_ACCOUNT = Key(
    name="account",
    help="must be the connected one",
    parse=w.account,
    metavar="ID",
    default="the session's",
    example="DU1234567",
)
_TAG = Key(
    name="client_tag",
    help="a label of your own, kept with the order",
    parse=w.tag,
    metavar="TEXT",
    example="swing",
)
_AGAIN = Key(
    name="again",
    help="send it although the same order left within 5 s",
    parse=w.boolean,
    values=choices.booleans("send it again", "refuse a duplicate"),
    default="false",
)
_ENTRY_VALUES = ("limit", "market")


def _entry(side: str) -> Key:
    return Key(
        name="entry",
        help="how it is priced without limit=",
        parse=w.one_of(*_ENTRY_VALUES),
        values=(("limit", f"limit at the {side}"), ("market", "at any price")),
        default="limit",
        example="market",
    )


_AGAIN_FLAG = Flag(word="again", key="again", value="true", help=_AGAIN.help)

BUY = Grammar(
    keys=(
        _SYMBOL,
        _QTY,
        _LIMIT,
        _entry("ask"),
        Key(name="tp", help="take profit: sells at this price", parse=_target, metavar="PRICE", default="none", example="195"),
        Key(name="sl", help="stop loss: sells below this price", parse=w.price, metavar="PRICE", default="none", example="187"),
        Key(
            name="sl_type",
            help="what the stop becomes when it is elected",
            parse=w.one_of(*_STOP_TYPES),
            values=(("stop_limit", "a limit that follows the bid down"), ("stop", "a market order")),
            default="stop_limit",
            example="stop",
        ),
        _TIF,
        _OUTSIDE,
        _ACCOUNT,
        _TAG,
        _AGAIN,
    ),
    positionals=("symbol", "qty"),
    required=("symbol", "qty"),
    flags=(_AGAIN_FLAG,),
    example="buy AAPL 100 sl=187",
)  # fmt: skip

SELL = Grammar(
    keys=(
        Key(name="symbol", help="what to sell", parse=w.symbol, values=choices.held, metavar="SYM", example="AAPL"),
        Key(
            name="qty",
            help="whole shares, at most what is held",
            parse=w.quantity,
            values=choices.quantities,
            metavar="SHARES",
            example="50",
        ),
        _LIMIT,
        _entry("bid"),
        _TIF,
        _OUTSIDE,
        _ACCOUNT,
        _TAG,
        _AGAIN,
    ),
    positionals=("symbol", "qty"),
    required=("symbol", "qty"),
    flags=(_AGAIN_FLAG,),
    example="sell AAPL 50",
)  # fmt: skip


# --- buy and sell -----------------------------------------------------------------------------------------------------


def _plan(trading: Trading, words: Words, side: Side, name: str) -> TradePlan:
    limit: Price | None = words.get("limit")
    entry = words.get("entry")
    if limit is not None and entry == "market":
        raise OperatorError(f"{name}: limit= and entry=market contradict each other; leave one out")
    kind = (
        EntryKind.PRICED if limit is not None else EntryKind.MARKET if entry == "market" else EntryKind.TOUCH
    )
    if kind is EntryKind.MARKET and words.get("outside_rth"):
        raise OperatorError(f"{name}: market orders do not fill outside regular hours; name a limit= instead")
    tp: Price | None = words.get("tp")
    sl: Price | None = words.get("sl")
    if words.has("sl_type") and sl is None:
        raise OperatorError(
            f"{name}: sl_type= says how a stop works, and there is no sl= · example: sl=187 sl_type=stop"
        )
    sl_type = _STOP_TYPES[words.get("sl_type", "stop_limit")]
    if sl is not None and sl_type is OrderType.STOP and words.get("outside_rth"):
        raise OperatorError(
            f"{name}: sl_type=stop does not work outside regular hours; sl_type=stop_limit does"
        )
    symbol = words.get("symbol")
    instrument = trading.instrument(symbol)
    plan = TradePlan(
        symbol=symbol,
        qty=words.get("qty"),
        account=words.get("account") or trading.view().desk.account,
        side=side,
        entry=kind,
        limit=limit,
        tps=() if tp is None else (tp,),
        sl=sl,
        sl_type=sl_type,
        mode=ExitMode.NONE if tp is None and sl is None else ExitMode.ATTACHED,
        tif=words.get("tif", Tif.DAY),
        exit_tif=_exit_tif(words),
        outside_rth=words.get("outside_rth", False),
        client_tag=words.get("client_tag"),
        entry_timeout=None,  # an order that was typed rests until it fills, ends with its day or is cancelled
    )
    plan = put_on_grid(plan, instrument.grid)
    check_plan(plan)
    return plan


def _exit_tif(words: Words) -> Tif:
    """Return how long the exits rest: as the operator said for the order, where exits can rest so, else until cancelled."""
    said = words.get("tif", Tif.GTC)
    return said if said in (Tif.DAY, Tif.GTC) else Tif.GTC


def _trade(trading: Trading, words: Words, side: Side, name: str) -> Answer:
    plan = _plan(trading, words, side, name)
    id_ = trading.trade(plan, again=words.get("again", False))
    orders = [order for order in trading.view().desk.orders() if targets.owner(order) == id_]
    data = {"trade": id_, "orders": [as_data(order) for order in orders]}
    return Answer(data=data)


def buy(trading: Trading, words: Words) -> Answer:
    """Send a buy order, with a take profit and a stop if asked for."""
    return _trade(trading, words, Side.BUY, "buy")


def sell(trading: Trading, words: Words) -> Answer:
    """Send a sell order for shares that are held."""
    return _trade(trading, words, Side.SELL, "sell")


BUY_COMMAND = Command(
    name="buy",
    help="Buy shares now; tp= and sl= protect them",
    grammar=BUY,
    run=buy,
    group=ENTER,
    data=results.Sent,
    examples=("buy AAPL 100", "buy AAPL 100 limit=189.50 tif=GTC", "buy AAPL 100 tp=195 sl=187", "buy AAPL 100 entry=market"),
    notes="A limit at the ask, unless limit= or entry= say otherwise. "
    "The order rests until it fills, its time ends or it is cancelled. tp= and sl= wait at the broker, hold one another "
    "(one fills, the other is reduced) and start to work when the entry has filled.",
)  # fmt: skip

SELL_COMMAND = Command(
    name="sell",
    help="Sell shares that are held",
    grammar=SELL,
    run=sell,
    group=PROTECT,
    data=results.Sent,
    examples=("sell AAPL 50", "sell AAPL 50 limit=198", "sell AAPL 50 entry=market"),
    notes="A limit at the bid, unless limit= or entry= say otherwise. Shares behind exits are sold too: the exits become smaller "
    "first, and what is not sold within 10 s has its stop again. Selling more than is held is refused: this shell never goes "
    "short by accident.",
)

COMMANDS = (BUY_COMMAND, SELL_COMMAND)
