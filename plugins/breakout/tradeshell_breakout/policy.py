"""From parsed words to a trade plan: defaults and rules of a breakout, shared by ``breakout`` and ``plan``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from tradeshell import (
    Cover,
    EntryKind,
    ExitMode,
    OperatorError,
    OrderType,
    PriceGrid,
    Shares,
    Target,
    Tif,
    TradePlan,
    Words,
    check_plan,
    default_weights,
    money,
    parse_quantity,
    shares_at_risk,
    split,
)
from tradeshell_breakout.events import bar_words
from tradeshell_breakout.logic import fast_level

HALF = Decimal("0.5")
ONE_PERCENT = Decimal("0.01")
BELOW, CENT = Decimal("0.98"), Decimal("0.0001")  # of an example


def chase_limit(level: Decimal, sl: Decimal | None, max_chase: Decimal | None) -> Decimal:
    """Return the ask (USD) at which the entry is refused: level + max_chase, by default half of 1 R, without a stop 1 %."""
    if max_chase is not None:
        return level + max_chase
    return level + ((level - sl) * HALF if sl is not None else level * ONE_PERCENT)


DEFAULT_METHOD = "auto"
BY_TARGETS = {1: ExitMode.ATTACHED, 2: ExitMode.DETACHED70, 3: ExitMode.DETACHED}
EXAMPLES = {1: "tp=195 sl=187", 2: "tp=195-198 sl=187", 3: "tp=195-198-205 sl=187"}
NUMBERS = ("no target", "one target", "two targets", "three targets")


def exit_mode(targets: int, has_stop: bool, typed: str | None) -> ExitMode:
    """Return how exits are held: by the number of targets; a ``typed`` tp_exec has to be that of the number."""
    fitting = BY_TARGETS.get(targets, ExitMode.ATTACHED if has_stop else ExitMode.NONE)
    if typed is None or typed == fitting.value:
        return fitting
    if fitting is ExitMode.NONE:
        raise OperatorError(
            f"tp_exec={typed}: says how exits are held, and there is no tp= and no sl= · example: {EXAMPLES[1]}"
        )
    number = next(number for number, mode in BY_TARGETS.items() if mode.value == typed)
    raise OperatorError(
        f"tp_exec={typed}: {'a bracket has' if number == 1 else 'takes'} {NUMBERS[number]}, {NUMBERS[targets]} "
        f"{'is' if targets < 2 else 'are'} given · use {_instead(targets, fitting)} · example: {EXAMPLES[number]}"
    )


def _instead(targets: int, fitting: ExitMode) -> str:
    return f"tp_exec={fitting.value} or leave tp_exec away" if targets else "a target, or leave tp_exec away"


def _refuse_without_ladder(words: Words) -> None:
    """Refuse what only a ladder has."""
    why = {
        "tp_alloc": "splits a ladder over its targets",
        "stop_updates": "moves the later stops of a ladder",
        "cover": "protects a ladder's shares until its legs are armed",
    }
    for name, what in why.items():
        if words.has(name):
            raise OperatorError(
                f"{name}={_as_typed(words.get(name))}: {what}, and this is none · leave it away, or give two or three "
                f"targets: {EXAMPLES[3]}"
            )


def _as_typed(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _weights(mode: ExitMode, qty: Shares, typed: tuple[int, ...]) -> tuple[int, ...]:
    """Return the weights of the legs; two targets are always shared 70 to 30, however that is written."""
    fixed = default_weights(2)
    if not typed or mode is not ExitMode.DETACHED70:
        return typed
    if sum(typed) not in (100, qty) or split(qty, typed) != split(qty, fixed):
        raise OperatorError(
            f"tp_alloc={_as_typed(typed)}: two targets (tp_exec=detached70) are always shared {_as_typed(fixed)} · leave "
            f"tp_alloc away, or give three targets: {EXAMPLES[3]} tp_alloc=50-30-20"
        )
    return fixed


class Wish(Struct, frozen=True):
    """Targets that are to be computed: by which method, and how many."""

    method: str
    count: int


def wanted_targets(words: Words) -> Wish | None:
    """Return which targets are to be computed, ``None`` when prices are named or there is no target.

    Raises ``OperatorError`` for a count beside prices.
    """
    typed = words.get("tp")
    if isinstance(typed, tuple):
        if words.has("tp_count"):
            raise OperatorError(
                f"tp_count={words.get('tp_count')}: counts computed targets, and tp={_as_typed(typed)} names prices · leave "
                f"one of them away · example: tp={DEFAULT_METHOD} tp_count=2"
            )
        return None
    if typed is None and not words.has("tp_count"):
        return None
    return Wish(DEFAULT_METHOD if typed is None else typed.method, words.get("tp_count", 1))


def check_without_targets(
    words: Words, defaults: dict[str, Any], wish: Wish, risk: Decimal | None = None
) -> None:
    """Refuse now what no computed price could repair: nobody should wait for history to hear it."""
    level, sl = words.get("level"), words.get("sl")
    if wish.count > 1 and sl is None:
        raise OperatorError(
            f"sl: a ladder (tp={wish.method} tp_count={wish.count}) needs a stop for every leg · "
            f"example: sl={money((level * BELOW).quantize(CENT))}"
        )
    beyond = tuple(Target(price=level * (1 + number), why="") for number in range(1, wish.count + 1))
    check_plan(replace(trade_plan(words, defaults, "", beyond, risk), stop_updates=()))


def risk_of(words: Words, equity: Callable[[], Decimal]) -> Decimal | None:
    """Return what the trade may lose in USD, ``None`` when its shares are named; a part of the ``equity`` counts as of now.

    Raises ``OperatorError`` when both are given, or none, when there is no stop, and when not even one share would be bought.
    """
    level, sl, risk = words.get("level"), words.get("sl"), words.get("risk")
    if words.has("qty") and risk is not None:
        raise OperatorError(
            f"qty={words.get('qty')} risk={risk}: both say how many shares · leave one of them away · example: risk={risk} sl=187"
        )
    if risk is None:
        if words.has("qty"):
            return None
        raise OperatorError(
            "qty is missing: how many shares, or what they may lose · example: qty=100, or risk=200 sl=187"
        )
    if sl is None:
        raise OperatorError(
            f"risk={risk}: what a share risks is the way from the entry to sl=, and there is none · example: risk={risk} "
            f"sl={money((level * BELOW).quantize(CENT))}"
        )
    amount: Decimal = risk.amount
    if risk.is_percent:
        amount = (equity() * risk.amount / 100).quantize(Decimal("0.01"))
    if sl < level and shares_at_risk(amount, level, sl) < 1:
        raise OperatorError(
            f"risk={risk}: {money(amount)} USD buy no share, one loses {money(level - sl)} from {money(level)} to {money(sl)} · "
            f"example: risk={money((level - sl) * 10)}"
        )
    if sl < level:
        shares = shares_at_risk(amount, level, sl)
        try:
            parse_quantity(str(shares))
        except ValueError as error:  # a stop that all but lies on the level, or a slip in one of them
            raise OperatorError(
                f"risk={risk}: {money(amount)} USD come to {shares} shares between {money(level)} and {money(sl)}, {error} · "
                f"example: sl={money((level * BELOW).quantize(CENT))}"
            ) from None
    return amount


def trade_plan(
    words: Words,
    defaults: dict[str, Any],
    account: str,
    computed: tuple[Target, ...] = (),
    risk: Decimal | None = None,
) -> TradePlan:
    """Return the plan; raises ``OperatorError`` naming word, rule and example when words contradict one another.

    ``defaults`` holds the parsed defaults of the config by key; a key that was typed wins. ``computed`` are the targets of
    ``wanted_targets``, ``risk`` (USD) is that of ``risk_of``.
    """

    def get(name: str, fallback: Any) -> Any:
        return words.get(name, defaults.get(name, fallback))

    level, sl = words.get("level"), words.get("sl")
    wish = wanted_targets(words)
    tps = words.get("tp", ()) if wish is None else tuple(target.price for target in computed)
    rth = get("rth", True)
    outside_rth = get("outside_rth", not rth)
    sl_type = OrderType.STOP if get("sl_type", "stop_limit") == "stop" else OrderType.STOP_LIMIT
    if sl_type is OrderType.STOP and outside_rth and sl is not None:
        raise OperatorError(
            "sl_type=stop: a plain stop does not trigger outside regular hours (outside_rth=true); "
            "use sl_type=stop_limit or outside_rth=false"
        )
    if words.has("sl_offset") and sl_type is OrderType.STOP:
        raise OperatorError(
            "sl_offset: only a stop-limit has a limit; leave sl_offset away or use sl_type=stop_limit"
        )
    if words.has("sl_offset") and sl is not None and words.get("sl_offset") >= sl:
        raise OperatorError(f"sl_offset={words.get('sl_offset')}: the limit sl - offset must stay above zero")
    if get("entry", "limit") == "market" and outside_rth:
        raise OperatorError("entry=market: market orders do not work outside regular hours; use entry=limit")
    for name in ("sl_type", "sl_offset"):
        if words.has(name) and sl is None:
            raise OperatorError(
                f"{name}={words.get(name)}: says how a stop works, and there is no sl= · example: sl=187 {name}={words.get(name)}"
            )
    mode = exit_mode(len(tps), sl is not None, words.get("tp_exec"))
    if not mode.is_detached:
        _refuse_without_ladder(words)
    tif = get("tif", Tif.DAY)
    exit_tif = get("exit_tif", tif if words.has("tif") else Tif.GTC)
    if exit_tif in (Tif.IOC, Tif.FOK):
        exit_tif = Tif.GTC if not words.has("exit_tif") else _refuse_exit_tif(exit_tif)
    chase = get("max_chase", Decimal(-1))
    qty = words.get("qty") if risk is None else max(1, shares_at_risk(risk, level, sl))
    return TradePlan(
        symbol=words.get("symbol"),
        qty=qty,
        account=words.get("account", account),
        level=level,
        entry=EntryKind.MARKET if get("entry", "limit") == "market" else EntryKind.TOUCH,
        tps=tps,
        tp_method="" if wish is None else wish.method,
        tp_why=tuple(target.why for target in computed),
        sl=sl,
        sl_type=sl_type,
        sl_offset=get("sl_offset", Decimal(0)),
        mode=mode,
        weights=_weights(mode, qty, words.get("tp_alloc", ())),
        stop_updates=words.get("stop_updates", ()),
        cover=Cover(get("cover", Cover.OWN.value)),
        tif=tif,
        exit_tif=exit_tif,
        outside_rth=outside_rth,
        client_tag=words.get("client_tag"),
        entry_timeout=get("entry_timeout", 20.0),
        quote_age=get("quote_age", 2.0),
        chase_limit=None if chase is None else chase_limit(level, sl, None if chase == -1 else chase),
        risk_usd=risk,
        flat_by=words.get("flat_by"),
    )


def _refuse_exit_tif(tif: Tif) -> Tif:
    raise OperatorError(f"exit_tif={tif.value}: exits have to rest; use exit_tif=GTC or exit_tif=DAY")


def watch_params(words: Words, defaults: dict[str, Any]) -> dict[str, str]:
    """Return the strategy's own words: bar length in seconds, hours, the bar limit, the fast path, times of day and days.

    Raises ``OperatorError`` for words of the fast path without ``fast=true``, and for times that contradict one another.
    """

    def get(name: str, fallback: Any) -> Any:
        return words.get(name, defaults.get(name, fallback))

    _check_times(words)
    is_fast = get("fast", False)
    for name, example in (("fast_bar", "5s"), ("fast_buffer", "0.10")):
        if words.has(name) and not is_fast:
            typed = words.get(name)
            said = bar_words(typed) if name == "fast_bar" else typed
            raise OperatorError(
                f"{name}={said}: belongs to the fast path, which is off · example: fast=true {name}={example}"
            )
    return {
        "bar": bar_words(get("bar", 60)),
        "rth": "true" if get("rth", True) else "false",
        "max_bars": str(get("max_bars", "")),
        "fast": "true" if is_fast else "",
        "fast_bar": bar_words(get("fast_bar", 1)) if is_fast else "",
        "fast_buffer": str(get("fast_buffer", "")) if is_fast else "",
        "after": f"{words.get('after'):%H:%M}" if words.has("after") else "",
        "until": f"{words.get('until'):%H:%M}" if words.has("until") else "",
        "days": str(days) if (days := words.get("days", 1)) > 1 else "",
    }


def _check_times(words: Words) -> None:
    """Raise ``OperatorError`` for times of day that leave nothing to look at."""
    after = words.get("after")
    for name in ("until", "flat_by"):
        end = words.get(name)
        if after is not None and end is not None and after >= end:
            raise OperatorError(
                f"after={after:%H:%M}: begins when {name}={end:%H:%M} has passed · example: after=10:00 {name}=15:55"
            )


def buffer_of(params: Mapping[str, str]) -> Decimal | None:
    """Return the buffer above the level that was typed for the fast path (USD), ``None`` for the default."""
    typed = params.get("fast_buffer")
    return Decimal(typed) if typed else None


def check_fast(plan: TradePlan, params: Mapping[str, str], grid: PriceGrid) -> Decimal:
    """Return the close (USD) from which a fast bar enters; raises ``OperatorError`` where every such entry would be refused."""
    assert plan.level is not None, "a breakout has a level"
    buffer = buffer_of(params)
    enters_at = fast_level(plan.level, grid, buffer)
    bounds = [] if plan.chase_limit is None else [(plan.chase_limit, "max_chase")]
    bounds += [(plan.tps[0], "the first target")] if plan.tps else []
    bound, name = min(bounds, default=(None, ""))
    if bound is not None and enters_at >= bound:
        word = "fast=true" if buffer is None else f"fast_buffer={buffer}"
        raise OperatorError(
            f"{word}: fast closes enter from {money(enters_at)}, where entries are refused from {money(bound)} on ({name}) · "
            f"use a smaller buffer, such as fast_buffer={grid.increment(plan.level)}"
        )
    return enters_at
