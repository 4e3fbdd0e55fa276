"""From parsed words to a trade plan: defaults and rules of a breakout, shared by ``breakout`` and ``plan``."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradeshell import (
    EntryKind,
    ExitMode,
    OperatorError,
    OrderType,
    Tif,
    TradePlan,
    Words,
)

HALF = Decimal("0.5")
ONE_PERCENT = Decimal("0.01")


def chase_limit(level: Decimal, sl: Decimal | None, max_chase: Decimal | None) -> Decimal:
    """Return the ask (USD) at which the entry is refused: level + max_chase, by default half of 1 R, without a stop 1 %."""
    if max_chase is not None:
        return level + max_chase
    return level + ((level - sl) * HALF if sl is not None else level * ONE_PERCENT)


def trade_plan(words: Words, defaults: dict[str, Any], account: str) -> TradePlan:
    """Return the plan; raises ``OperatorError`` naming word, rule and example when words contradict one another.

    ``defaults`` holds the parsed defaults of the config by key; a key that was typed wins.
    """

    def get(name: str, fallback: Any) -> Any:
        return words.get(name, defaults.get(name, fallback))

    level, sl = words.get("level"), words.get("sl")
    tps = words.get("tp", ())
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
    tif = get("tif", Tif.DAY)
    exit_tif = get("exit_tif", tif if words.has("tif") else Tif.GTC)
    if exit_tif in (Tif.IOC, Tif.FOK):
        exit_tif = Tif.GTC if not words.has("exit_tif") else _refuse_exit_tif(exit_tif)
    chase = get("max_chase", Decimal(-1))
    return TradePlan(
        symbol=words.get("symbol"),
        qty=words.get("qty"),
        account=words.get("account", account),
        level=level,
        entry=EntryKind.MARKET if get("entry", "limit") == "market" else EntryKind.TOUCH,
        tps=tps,
        sl=sl,
        sl_type=sl_type,
        sl_offset=get("sl_offset", Decimal(0)),
        mode=ExitMode.ATTACHED if tps or sl is not None else ExitMode.NONE,
        tif=tif,
        exit_tif=exit_tif,
        outside_rth=outside_rth,
        client_tag=words.get("client_tag"),
        entry_timeout=get("entry_timeout", 20.0),
        quote_age=get("quote_age", 2.0),
        chase_limit=None if chase is None else chase_limit(level, sl, None if chase == -1 else chase),
    )


def _refuse_exit_tif(tif: Tif) -> Tif:
    raise OperatorError(f"exit_tif={tif.value}: exits have to rest; use exit_tif=GTC or exit_tif=DAY")


def watch_params(words: Words, defaults: dict[str, Any]) -> dict[str, str]:
    """Return the strategy's own words: bar length in seconds, hours, and the bar limit."""
    rth = words.get("rth", defaults.get("rth", True))
    return {
        "bar": str(words.get("bar", defaults.get("bar", 60))),
        "rth": "true" if rth else "false",
        "max_bars": str(words.get("max_bars", defaults.get("max_bars", ""))),
    }
