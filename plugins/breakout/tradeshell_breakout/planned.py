"""What a plan would send: its legs as a table, as sentences and as data. Pure.

Laws: figures are those of the level, not of a fill; a gain or a risk of a leg is its own, the last row is the whole.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from tradeshell import (
    Column,
    Cover,
    EntryKind,
    Margin,
    OrderType,
    Price,
    Shares,
    Table,
    TradePlan,
    masked,
    money,
    signed,
    split,
)
from tradeshell_breakout.events import bar_words

NONE = "–"
CENT = Decimal("0.01")


class PlannedLeg(Struct, frozen=True, kw_only=True):
    """One leg as it would be armed. Prices and amounts USD; ``stops`` are its stop after each target before it."""

    number: int
    qty: Shares
    tp: Price | None
    sl: Price | None
    stops: tuple[Price, ...]
    gain: Decimal | None
    risk: Decimal | None

    @property
    def orders(self) -> tuple[str, ...]:
        """The names of its orders: ``tp1``, ``sl1``."""
        return tuple(
            f"{name}{self.number}" for name, price in (("tp", self.tp), ("sl", self.sl)) if price is not None
        )


class StopUpdate(Struct, frozen=True):
    """After the targets ``after`` are filled in full the stops ``legs`` go to ``stop`` (USD)."""

    after: tuple[str, ...]
    legs: tuple[str, ...]
    stop: Price


class Fast(Struct, frozen=True):
    """The fast path: its bars' length in seconds, and the close (USD) from which they enter."""

    bar: int
    level: Price


def legs_of(plan: TradePlan) -> tuple[PlannedLeg, ...]:
    """Return the legs of a plan that has exits; a bracket, or a lone target or stop, is one leg."""
    base = plan.level if plan.level is not None else plan.limit
    shares = split(plan.qty, plan.parts) if plan.mode.is_detached else (plan.qty,)
    tps = plan.tps or (None,)
    if plan.tps or plan.sl is not None:
        return tuple(
            PlannedLeg(
                number=number,
                qty=qty,
                tp=tp,
                sl=plan.sl,
                stops=plan.updates[: number - 1],
                gain=None if tp is None or base is None else (tp - base) * qty,
                risk=None if plan.risk is None else plan.risk * qty,
            )
            for number, (qty, tp) in enumerate(zip(shares, tps, strict=True), 1)
        )
    return ()


def updates_of(plan: TradePlan) -> tuple[StopUpdate, ...]:
    """Return how the stops of later legs move, target by target."""
    count = len(plan.tps)
    return tuple(
        StopUpdate(
            after=tuple(f"tp{n}" for n in range(1, number + 1)),
            legs=tuple(f"sl{n}" for n in range(number + 1, count + 1)),
            stop=stop,
        )
        for number, stop in enumerate(plan.updates, 1)
    )


def in_r(amount: Decimal | None, risk: Decimal | None) -> str:
    """Return an amount in units of what is risked for it: ``1.67``."""
    return NONE if amount is None or not risk else f"{amount / risk:.2f}"


def _dollars(amount: Decimal | None) -> str:
    return NONE if amount is None else money(amount.quantize(CENT))


def _gain(amount: Decimal | None) -> str:
    return NONE if amount is None else signed(amount.quantize(CENT))


def whole(amounts: list[Decimal | None]) -> Decimal | None:
    """Return the sum, ``None`` when there is nothing to add."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known else None


def head(plan: TradePlan, bar: int, fast: Fast | None = None) -> tuple[str, ...]:
    """Return when and how the plan would enter."""
    assert plan.level is not None, "a breakout has a level"
    price = "limit at the ask" if plan.entry is EntryKind.TOUCH else "at the market"
    chase = "" if plan.chase_limit is None else f", below {money(plan.chase_limit)}"
    return (
        f"breakout {plan.symbol} · enter when a {bar_words(bar)} bar closes at or above {money(plan.level)}",
        *(
            ()
            if fast is None
            else (f"  or when a {bar_words(fast.bar)} bar closes at or above {money(fast.level)}",)
        ),
        f"  buy {'' if plan.risk_usd is None else '~'}{plan.qty} · {price}{chase} · quote ≤ {plan.quote_age:g} s old",
    )


def table(legs: tuple[PlannedLeg, ...]) -> Table:
    """Return one row a leg, and for several a row of sums."""
    columns = (
        Column("leg", True),
        Column("qty", True),
        Column("orders"),
        Column("take profit", True),
        Column("stop", True),
        Column("risk", True),
        Column("gain", True),
        Column("R", True),
    )
    rows = [
        (
            str(leg.number),
            str(leg.qty),
            "<->".join(leg.orders),
            NONE if leg.tp is None else money(leg.tp),
            NONE if leg.sl is None else money(leg.sl),
            _dollars(leg.risk),
            _gain(leg.gain),
            in_r(leg.gain, leg.risk),
        )
        for leg in legs
    ]
    if len(legs) > 1:
        risk, gain = whole([leg.risk for leg in legs]), whole([leg.gain for leg in legs])
        qty = sum(leg.qty for leg in legs)
        rows.append(("all", str(qty), "", "", "", _dollars(risk), _gain(gain), in_r(gain, risk)))
    return Table(columns=columns, rows=tuple(rows))


def sentences(plan: TradePlan, margin: Margin | str | None = None) -> tuple[str, ...]:
    """Return what a table of legs does not say: computed targets, pairs, cover, how stops move, kind of stop, margin, risk."""
    lines = []
    if plan.risk_usd is not None and plan.sl is not None:
        lines.append(
            f"shares: {_dollars(plan.risk_usd)} / (ask at the trigger - {money(plan.sl)}), rounded down; "
            f"{plan.qty} at the level"
        )
    for number, (price, why) in enumerate(zip(plan.tps, plan.tp_why, strict=False), 1):
        what, _, detail = why.partition(" · ")
        lines.append(f"tp{number} {money(price)}: {what}")
        lines += [f"    {detail}"] if detail else []
    if plan.mode.is_detached:
        lines += [
            f"{len(plan.tps)} OCA pairs, type 2: a fill reduces the other order of its pair",
            "armed once, when the entry is over and its shares are confirmed",
        ]
        assert plan.sl is not None, "a ladder has a stop"
        lines.append(
            f"cover: until then one stop at {money(plan.sl)} over what has executed"
            if plan.cover is Cover.OWN
            else "cover: none, until then what has executed has no stop"
        )
        lines += [
            f"after {' '.join(update.after)}: {' '.join(update.legs)} → {money(update.stop)}"
            for update in updates_of(plan)
        ]
    exits = []
    if plan.sl is not None:
        exits.append(_stop_words(plan))
    if plan.tps or plan.sl is not None:
        exits.append(f"exits {plan.exit_tif.value}")
    if exits:
        lines.append(" · ".join(exits))
    if plan.flat_by is not None:
        lines.append(f"sold by {plan.flat_by:%H:%M} New York of its day, whatever it brings")
    lines += _margin_words(margin)
    lines.append(_risk_words(plan))
    return tuple(f"  {line}" for line in lines)


def _margin_words(margin: Margin | str | None) -> list[str]:
    """Return what the broker said about the entry at the level; nothing where it says nothing."""
    if margin is None:
        return []
    if isinstance(margin, str):
        return [f"margin: the broker would not take the entry: {margin}"]
    told = (
        ("initial", _gain(margin.initial)),
        ("maintenance", _gain(margin.maintenance)),
        ("then", _dollars(margin.initial_after)),
        ("of equity", _dollars(margin.equity_after)),
        ("commission", _dollars(margin.commission)),
    )
    words = " · ".join(f"{name} {amount}" for name, amount in told if amount != NONE)
    return [f"margin at the level, by the broker: {words}"] if words else []


def _stop_words(plan: TradePlan) -> str:
    several = "s" if len(plan.tps) > 1 else ""
    if plan.sl_type is OrderType.STOP:
        return f"plain stop{several}, a market order once elected"
    offset = f", limit {money(plan.sl_offset)} below" if plan.sl_offset else ""
    return f"stop-limit{several}{offset}, following the bid once elected"


def _risk_words(plan: TradePlan) -> str:
    if plan.risk is None:
        return "no stop: the whole position is at risk · nothing was sent"
    return f"risk {_dollars(plan.risk * plan.qty)} (1 R = {money(plan.risk)} a share, from the level) · nothing was sent"


def data(
    plan: TradePlan, bar: int, fast: Fast | None = None, margin: Margin | str | None = None
) -> dict[str, Any]:
    """Return the plan as scripts read it; the account is masked."""
    legs = legs_of(plan)
    risk, gain = whole([leg.risk for leg in legs]), whole([leg.gain for leg in legs])
    return {
        "symbol": plan.symbol,
        "qty": plan.qty,
        "level": plan.level,
        "mode": plan.mode,
        "tp_method": plan.tp_method or None,
        "cover": plan.cover if plan.mode.is_detached else None,
        "bar": bar,
        "fast_bar": None if fast is None else fast.bar,
        "fast_level": None if fast is None else fast.level,
        "chase_limit": plan.chase_limit,
        "exit_tif": plan.exit_tif,
        "legs": [
            {
                "leg": leg.number,
                "qty": leg.qty,
                "orders": leg.orders,
                "tp": leg.tp,
                "tp_why": plan.tp_why[leg.number - 1] if plan.tp_why else None,
                "sl": leg.sl,
                "stops": leg.stops,
                "risk_usd": leg.risk,
                "gain_usd": leg.gain,
                "r": None if leg.gain is None or not leg.risk else round(leg.gain / leg.risk, 4),
            }
            for leg in legs
        ],
        "stop_updates": [
            {"after": update.after, "legs": update.legs, "stop": update.stop} for update in updates_of(plan)
        ],
        "risk_usd": risk,
        "gain_usd": gain,
        "r_usd": plan.risk,
        "margin": margin if isinstance(margin, Margin) else None,
        "margin_refused": margin if isinstance(margin, str) else None,
        "r": None if gain is None or not risk else round(gain / risk, 4),
        "plan": {name: getattr(plan, name) for name in plan.__struct_fields__}
        | {"account": masked(plan.account)},
    }
