"""``size``: how many shares a risk in USD buys between an entry and its stop."""

from tradeshell import Answer, Command, Grammar, Key, OperatorError, Register, Trading, View, Words, hookimpl
from tradeshell import parse_price as usd
from tradeshell import parse_symbol as stock

EXAMPLE = "size AAPL level=190 sl=187 risk=200"
RISKS = (("100", "USD"), ("200", "USD"), ("500", "USD"))


def seen(view: View, _before: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(symbol, "seen in this session") for symbol in view.symbols]


def size(trading: Trading, words: Words) -> Answer:
    """Answer with risk / (level - sl) in whole shares; without ``level`` the ask counts."""
    symbol, sl, risk = words.get("symbol"), words.get("sl"), words.get("risk")
    quote = None if words.has("level") else trading.quote(symbol)
    level = words.get("level", None if quote is None else quote.ask)
    if level is None or sl >= level:
        raise OperatorError(f"size: sl={sl}: it must lie below the entry ({level}) · example: {EXAMPLE}")
    shares = int(risk / (level - sl))
    line = f"{symbol} · {shares} shares · risk {shares * (level - sl)} of {risk} · costs {shares * level}"
    return Answer(lines=(line,), data={"symbol": symbol, "shares": shares})


KEYS = (
    Key(name="symbol", help="the stock", parse=stock, values=seen, metavar="SYMBOL"),
    Key(name="level", help="entry, USD", parse=usd, metavar="PRICE", example="190", default="the ask"),
    Key(name="sl", help="stop loss, USD", parse=usd, metavar="PRICE", example="187"),
    Key(name="risk", help="most to lose, USD", parse=usd, values=RISKS, metavar="USD", example="200"),
)
GRAMMAR = Grammar(keys=KEYS, positionals=("symbol",), required=("symbol", "sl", "risk"), example=EXAMPLE)
SIZE = Command(name="size", help="Shares for a risk in USD", grammar=GRAMMAR, run=size, examples=(EXAMPLE,))


@hookimpl
def register_commands(register: Register[Command]) -> None:
    register("size", SIZE)
