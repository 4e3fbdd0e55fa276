"""The words of ``breakout`` and ``plan`` as one table: parsing, completion, help and refusals come from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from msgspec import Struct

from tradeshell import (
    Flag,
    Grammar,
    Key,
    Verb,
    View,
    WatchPhase,
    one_of,
    parse_account,
    parse_boolean,
    parse_clock,
    parse_count,
    parse_decimal,
    parse_price,
    parse_quantity,
    parse_seconds,
    parse_symbol,
    parse_tag,
    parse_tif,
    shown,
)
from tradeshell_breakout import results

T = TypeVar("T")

BARS = {"1m": 60, "2m": 120, "3m": 180, "5m": 300, "15m": 900, "30m": 1800, "1h": 3600}
FAST_BARS = {"1s": 1, "5s": 5}
MODES = {
    "attached": "bracket: one target, one stop",
    "detached70": "two pairs of target and stop, 70/30",
    "detached": "three pairs of target and stop",
}
BOOLEANS = (("true", "yes"), ("false", "no"))
EXAMPLE = "breakout AAPL level=190 qty=100 tp=195 sl=187"
EXAMPLE_PARTS = "50-30-20"
MOST_TARGETS = 3
MOST_PERCENT = 100
MOST_DAYS = 250
_METHOD = re.compile(r"[a-z][a-z0-9_]{0,40}", re.ASCII)  # no price begins with a letter


class Computed(Struct, frozen=True):
    """``tp=auto``: targets are computed by the method of that name."""

    method: str


def parse_targets(text: str) -> tuple[Decimal, ...] | Computed:
    """Return the take-profit prices of ``195`` or of a ladder ``195-198-205``, or the method of ``auto``."""
    if _METHOD.fullmatch(text.lower()):
        return Computed(text.lower())
    return _joined(text, parse_price, "target", MOST_TARGETS)


class Risk(Struct, frozen=True):
    """What a trade may lose: USD, or a part of the account's equity in per cent."""

    amount: Decimal
    is_percent: bool

    def __str__(self) -> str:
        return f"{self.amount}{'%' * self.is_percent}"


def parse_risk(text: str) -> Risk:
    """Return the risk of ``200`` (USD) or ``0.5%`` (of the account's equity)."""
    is_percent = text.endswith("%")
    amount = parse_decimal(text.removesuffix("%"))
    if amount <= 0:
        raise ValueError("a risk is above zero")
    if is_percent and amount > MOST_PERCENT:
        raise ValueError(f"at most {MOST_PERCENT} % of the account")
    return Risk(amount, is_percent)


def parse_days(text: str) -> int:
    """Return a number of trading days."""
    days = parse_count(text)
    if days > MOST_DAYS:
        raise ValueError(f"at most {MOST_DAYS} trading days")
    return days


def parse_target_count(text: str) -> int:
    """Return the number of computed targets."""
    count = parse_count(text)
    if count > MOST_TARGETS:
        raise ValueError(f"at most {MOST_TARGETS} targets")
    return count


def parse_updates(text: str) -> tuple[Decimal, ...]:
    """Return the stops after TP1 and after TP1+TP2 of ``190-195``."""
    return _joined(text, parse_price, "stop", MOST_TARGETS - 1)


def parse_parts(text: str) -> tuple[int, ...]:
    """Return the parts of ``50-30-20``: percentages or share counts, which of them the sum says."""
    if "/" in text:
        raise ValueError(f"parts are joined by dashes, such as {EXAMPLE_PARTS}")
    return _joined(text, parse_count, "part", MOST_TARGETS)


def _joined(text: str, parse: Callable[[str], T], what: str, most: int) -> tuple[T, ...]:
    """Return the parsed parts of words joined by dashes; the error names the part that is wrong."""
    parts = text.split("-")
    if len(parts) > most:
        raise ValueError(f"at most {most} {what}s, {len(parts)} are given")
    found = []
    for number, part in enumerate(parts, 1):
        try:
            found.append(parse(part))
        except ValueError as error:
            if len(parts) == 1:
                raise
            why = "is empty" if not part else f"({shown(part, 20)}): {error}"
            raise ValueError(f"{what} {number} {why}") from None
    return tuple(found)


def parse_bar(text: str) -> int:
    """Return the bar length in seconds of ``1m`` … ``1h``."""
    if text.lower() not in BARS:
        raise ValueError(f"is one of {' '.join(BARS)}")
    return BARS[text.lower()]


def parse_fast_bar(text: str) -> int:
    """Return the length in seconds of the fast bars."""
    if text.lower() not in FAST_BARS:
        raise ValueError(f"is one of {' '.join(FAST_BARS)}")
    return FAST_BARS[text.lower()]


def parse_off_or_seconds(text: str) -> float | None:
    """Return seconds, or ``None`` for ``off``."""
    return None if text.lower() == "off" else parse_seconds(text)


def parse_off_or_price(text: str) -> Decimal | None:
    """Return a distance in USD (0 allowed), or ``None`` for ``off``."""
    return None if text.lower() == "off" else parse_decimal(text)


def known_symbols(view: View, before: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return symbols that were seen, are held or are watched."""
    del before
    found = []
    for symbol in view.symbols:
        quote = view.quotes.get(symbol)
        last = "" if quote is None or quote.ask is None else f"ask {quote.ask}"
        found.append((symbol, last))
    return found


def watched_symbols(view: View, before: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the symbols of watchers that are not over, and ALL."""
    del before
    live = [w for w in view.desk.watchers.values() if w.phase is not WatchPhase.DONE]
    found = dict.fromkeys(w.spec.plan.symbol for w in live)
    return [*((symbol, "watched") for symbol in found), *([("ALL", "every watcher")] if live else [])]


def methods(view: View, before: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the methods that compute targets."""
    del before
    return list(view.take_profits)


def paused_symbols(view: View, before: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return the symbols of watchers that an earlier session left waiting, and ALL."""
    del before
    paused = [w for w in view.desk.watchers.values() if w.phase is WatchPhase.PAUSED]
    found = {w.spec.plan.symbol: w.asks for w in paused}
    return [*found.items(), *([("ALL", "every one that waits")] if paused else [])]


def usual_parts(view: View, before: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return splits that fit the targets typed before."""
    del view
    targets = next((word.count("-") + 1 for word in before if word.startswith("tp=") and "-" in word), None)
    for word in before:  # targets that are computed
        if word.startswith(("tp_count=", "tp-")) and word[-1].isdigit():
            targets = int(word[-1])
    offers = {
        2: [("70-30", "two targets are always shared so")],
        3: [("60-30-10", "the default"), ("50-30-20", "percentages that sum to 100")],
    }
    return [*offers[2], *offers[3]] if targets is None else offers.get(targets, [])


def _key(name: str, help_: str, parse: Any = str, **more: Any) -> Key:
    return Key(name=name, help=help_, parse=parse, **more)


KEYS = (
    _key("symbol", "the stock", parse_symbol, values=known_symbols, metavar="SYMBOL", example="AAPL"),
    _key("level", "enter when a bar closes at or above it, USD", parse_price, metavar="PRICE", example="190"),
    _key(
        "qty", "whole shares", parse_quantity, metavar="SHARES", example="100", default="from risk, if given"
    ),
    _key(
        "risk",
        "instead of qty: what the way to the stop may cost, USD or % of the account's equity",
        parse_risk,
        values=(("0.5%", "of the account's equity"), ("1%", "of the account's equity")),
        metavar="USD|PERCENT%",
        example="200",
        default="none",
    ),
    _key(
        "tp",
        "take profit, USD; two or three joined by dashes make a ladder; auto computes tp_count of them",
        parse_targets,
        values=methods,
        metavar="PRICE[-PRICE…]|auto",
        example="195-198-205",
        default="none",
    ),
    _key(
        "tp_count",
        "number of computed targets, 1 to 3; tp-2 stands for tp=auto tp_count=2",
        parse_target_count,
        values=(("1", "a bracket"), ("2", "two pairs, 70/30"), ("3", "three pairs, 60/30/10")),
        metavar="COUNT",
        example="3",
        default="1, of computed ones",
    ),
    _key("sl", "stop loss, USD", parse_price, metavar="PRICE", example="187", default="none"),
    _key(
        "tp_exec",
        "how the exits are held",
        one_of(*MODES),
        values=tuple(MODES.items()),
        default="by the number of targets",
        example="detached",
    ),
    _key(
        "tp_alloc",
        "how a ladder of three shares the shares: percentages, or counts that sum to qty",
        parse_parts,
        values=usual_parts,
        metavar="PART-PART-PART",
        example=EXAMPLE_PARTS,
        default="70-30, or 60-30-10",
    ),
    _key(
        "stop_updates",
        "where a ladder's stops go after TP1 and after TP1+TP2, USD",
        parse_updates,
        metavar="PRICE[-PRICE]",
        example="190-195",
        default="the level, then TP1",
    ),
    _key(
        "cover",
        "what protects a ladder's shares until its legs are armed",
        one_of("own", "none"),
        values=(("own", "a stop over what has executed"), ("none", "nothing before the legs")),
        default="own, for a ladder",
        example="none",
    ),
    _key(
        "entry",
        "how the entry is priced",
        one_of("limit", "market"),
        values=(("limit", "at the ask"), ("market", "at any price")),
        default="limit",
    ),
    _key(
        "quote_age",
        "oldest acceptable quote, seconds",
        parse_seconds,
        metavar="SECONDS",
        example="2",
        default="2",
    ),
    _key(
        "max_chase",
        "refuse the entry when the ask is this far above the level, USD",
        parse_off_or_price,
        values=(("off", "no limit"),),
        metavar="USD",
        example="1.50",
        default="half of level - sl, else 1 %",
    ),
    _key("rth", "only regular-hours bars", parse_boolean, values=BOOLEANS, example="false", default="true"),
    _key(
        "outside_rth",
        "orders may work outside regular hours",
        parse_boolean,
        values=BOOLEANS,
        example="true",
        default="the opposite of rth",
    ),
    _key(
        "bar",
        "bar length",
        parse_bar,
        values=tuple((b, "") for b in BARS),
        metavar="BAR",
        example="5m",
        default="1m",
    ),
    _key(
        "fast",
        "enter on fast bars too, whichever closes first",
        parse_boolean,
        values=BOOLEANS,
        example="true",
        default="false",
    ),
    _key(
        "fast_bar",
        "length of the fast bars",
        parse_fast_bar,
        values=tuple((b, "") for b in FAST_BARS),
        metavar="BAR",
        example="5s",
        default="1s",
    ),
    _key(
        "fast_buffer",
        "fast bars enter when they close at or above level + this, USD",
        parse_decimal,
        metavar="USD",
        example="0.10",
        default="0.05 % of the level, at least a tick",
    ),
    _key(
        "max_bars", "give up after so many bars", parse_count, metavar="COUNT", example="30", default="none"
    ),
    _key(
        "tif",
        "time in force of the orders",
        parse_tif,
        values=(("DAY", "until the close"), ("GTC", "until cancelled"), ("IOC", ""), ("FOK", "")),
        metavar="TIF",
        example="DAY",
        default="DAY",
    ),
    _key(
        "exit_tif",
        "time in force of the exits",
        parse_tif,
        values=(("GTC", "until cancelled"), ("DAY", "until the close")),
        metavar="TIF",
        example="GTC",
        default="GTC, or tif if given",
    ),
    _key(
        "account", "must be the connected account", parse_account, metavar="ACCOUNT", default="the session's"
    ),
    _key("client_tag", "a label of your own on every order", parse_tag, metavar="TEXT", example="morning"),
    _key(
        "entry_timeout",
        "cancel what is unfilled of the entry, seconds",
        parse_off_or_seconds,
        values=(("off", "leave it working"),),
        metavar="SECONDS",
        example="20",
        default="20",
    ),
    _key(
        "sl_type",
        "kind of stop",
        one_of("stop_limit", "stop"),
        values=(("stop_limit", "limit follows the bid once elected"), ("stop", "market once elected")),
        default="stop_limit",
    ),
    _key(
        "sl_offset",
        "stop-limit: limit = sl - offset, USD",
        parse_decimal,
        metavar="USD",
        example="0.05",
        default="0",
    ),
    _key(
        "flat_by",
        "sell what was bought by this time of the day, New York",
        parse_clock,
        values=(("15:55", "five minutes before the close"),),
        metavar="HH:MM",
        example="15:55",
        default="none",
    ),
    _key(
        "after",
        "look at bars that close after this time of the day, New York",
        parse_clock,
        metavar="HH:MM",
        example="10:00",
        default="at once",
    ),
    _key(
        "until",
        "look at no bar that closes after this time of the day, New York",
        parse_clock,
        metavar="HH:MM",
        example="11:30",
        default="the close, or flat_by",
    ),
    _key(
        "days",
        "watch on so many trading days",
        parse_days,
        values=(("2", "today and the next session"), ("5", "a week")),
        metavar="COUNT",
        example="3",
        default="1",
    ),
    _key("another", "allow a second watcher on the symbol", parse_boolean, values=BOOLEANS, default="false"),
)

PLAN_GRAMMAR = Grammar(
    keys=KEYS,
    positionals=("symbol", "level", "qty"),
    required=("symbol", "level"),
    flags=tuple(
        Flag(word=f"tp-{n}", key="tp_count", value=str(n), help=f"{n} computed target{'s' * (n > 1)}")
        for n in (1, 2, 3)
    ),
    example=EXAMPLE,
)

CANCEL_GRAMMAR = Grammar(
    keys=(
        Key(
            name="which", help="symbols, or ALL", parse=parse_symbol, values=watched_symbols, metavar="SYMBOL"
        ),
    ),
    rest="which",
    required=("which",),
    example="breakout cancel AAPL",
)

RESUME_GRAMMAR = Grammar(
    keys=(
        Key(
            name="which", help="symbols, or ALL", parse=parse_symbol, values=paused_symbols, metavar="SYMBOL"
        ),
    ),
    rest="which",
    required=("which",),
    example="breakout resume AAPL",
)

BREAKOUT_GRAMMAR = Grammar(
    keys=PLAN_GRAMMAR.keys,
    positionals=PLAN_GRAMMAR.positionals,
    required=PLAN_GRAMMAR.required,
    flags=PLAN_GRAMMAR.flags,
    verbs=(
        Verb(
            word="cancel",
            help="end watchers; exits of open trades are kept",
            grammar=CANCEL_GRAMMAR,
            data=results.Cancelled,
        ),
        Verb(
            word="resume",
            help="arm watchers that an earlier session left waiting, whatever there is to doubt",
            grammar=RESUME_GRAMMAR,
            data=results.Resumed,
        ),
    ),
    example=EXAMPLE,
)
