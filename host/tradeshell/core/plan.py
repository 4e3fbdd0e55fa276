"""The plan of one trade: what is bought, how it is protected, and whether that makes sense.

Laws: a plan is checked once, before anything is started; what ``check_plan`` accepts satisfies sl < level < tp1 < tp2 < …;
prices are put on the grid by side, a stop never looser. Shares are split by largest remainder, no share is lost and no leg
gets more than its part rounded up. Commands, strategies and guards share these helpers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from tradeshell.core.events import money
from tradeshell.core.market import Price, PriceGrid, Shares
from tradeshell.core.orders import OrderType, Side, Tif
from tradeshell.errors import OperatorError


class EntryKind(StrEnum):
    """How the entry is priced."""

    TOUCH = "limit"  # limit at the ask (BUY) or the bid (SELL) at the moment of the trigger
    MARKET = "market"
    PRICED = "priced"  # limit at a price the operator named


class ExitMode(StrEnum):
    """How the exits are held (``tp_exec``)."""

    NONE = "none"
    ATTACHED = "attached"  # children of the entry, held by the broker until it fills
    DETACHED70 = "detached70"  # two pairs of our own, 70/30
    DETACHED = "detached"  # a pair of our own for each target

    @property
    def is_detached(self) -> bool:
        """Whether the exits are orders of their own, armed once the entry is over and its shares are confirmed."""
        return self in (ExitMode.DETACHED70, ExitMode.DETACHED)


class Cover(StrEnum):
    """What protects the shares of a detached ladder until its legs are armed."""

    OWN = "own"  # a plain stop of ours over what has executed
    NONE = "none"


DEFAULT_WEIGHTS = {1: (100,), 2: (70, 30), 3: (60, 30, 10)}


class TradePlan(Struct, frozen=True, kw_only=True):
    """One trade as asked for. Prices USD on the grid, ``qty`` shares, ages and timeouts seconds.

    With ``risk_usd`` the shares are counted at the trigger: as many as lose no more than that (USD) from the price paid to the
    stop; until then ``qty`` is what that comes to at the level.
    """

    symbol: str
    qty: Shares
    account: str
    side: Side = Side.BUY
    level: Price | None = None
    entry: EntryKind = EntryKind.TOUCH
    limit: Price | None = None
    tps: tuple[Price, ...] = ()
    tp_method: str = ""  # what computed ``tps``; empty: they were typed
    tp_why: tuple[str, ...] = ()  # how each of ``tps`` was found, when they were computed
    sl: Price | None = None
    sl_type: OrderType = OrderType.STOP_LIMIT
    sl_offset: Price = Decimal(0)
    mode: ExitMode = ExitMode.NONE
    weights: tuple[
        int, ...
    ] = ()  # how legs share the shares: percentages, or counts for the whole of ``qty``
    stop_updates: tuple[Price, ...] = ()  # where stops go after TP1, after TP1+TP2, … (USD)
    cover: Cover = Cover.OWN
    tif: Tif = Tif.DAY
    exit_tif: Tif = Tif.GTC
    outside_rth: bool = False
    client_tag: str | None = None
    entry_timeout: float | None = 20.0
    quote_age: float = 2.0
    chase_limit: Price | None = None  # the entry is refused when the ask reaches this price
    risk_usd: Price | None = None
    flat_by: time | None = None  # New York: what was entered is sold by then, on the day on which it was

    @property
    def risk(self) -> Price | None:
        """1 R: the distance from the level (or the limit) to the stop, USD a share."""
        base = self.level if self.level is not None else self.limit
        return None if base is None or self.sl is None else abs(base - self.sl)

    @property
    def parts(self) -> tuple[int, ...]:
        """The weights of the legs: as asked for, or the default for so many targets."""
        return self.weights or default_weights(max(1, len(self.tps)))

    @property
    def updates(self) -> tuple[Price, ...]:
        """The stop after each target but the last (USD): as asked for, or the level, then the targets reached before."""
        if self.stop_updates or not self.mode.is_detached:
            return self.stop_updates
        base = self.level if self.level is not None else self.limit
        return () if base is None else default_updates(base, self.tps)


def default_weights(legs: int) -> tuple[int, ...]:
    """Return how ``legs`` legs share a position: 70/30, 60/30/10, and halves of what is left beyond three."""
    return DEFAULT_WEIGHTS.get(legs) or tuple(2 ** (legs - number) for number in range(1, legs + 1))


def default_updates(level: Price, tps: Sequence[Price]) -> tuple[Price, ...]:
    """Return where stops go after each target but the last: break-even (the level), then the target before."""
    return tuple([level, *tps][: max(0, len(tps) - 1)])


def split(qty: Shares, weights: Sequence[int]) -> tuple[Shares, ...]:
    """Return ``qty`` shares split by ``weights``, by largest remainder (ties go to the earlier leg); parts may be 0."""
    total = sum(weights)
    parts = [qty * weight // total for weight in weights]
    by_rest = sorted(range(len(weights)), key=lambda i: (-(qty * weights[i] % total), i))
    for index in by_rest[: qty - sum(parts)]:
        parts[index] += 1
    return tuple(parts)


def shares_at_risk(risk: Price, price: Price, sl: Price) -> Shares:
    """Return how many shares, bought at ``price`` and sold at ``sl``, lose no more than ``risk`` (all USD); 0: not even one."""
    return int(risk // (price - sl)) if price > sl else 0


def put_on_grid(plan: TradePlan, grid: PriceGrid) -> TradePlan:
    """Return the plan with prices on the grid: a long stop rounds up, a target down, a level up.

    A stop that is rounded towards the market is never looser than asked; a stop update rounds down, never above its rule; a
    level rounds up so that the plan never enters below the price that was named; a limit that was typed never pays more or
    takes less than it said.
    """
    return replace(
        plan,
        level=None if plan.level is None else grid.up(plan.level),
        limit=None if plan.limit is None else (grid.down if plan.side is Side.BUY else grid.up)(plan.limit),
        tps=tuple(grid.down(tp) for tp in plan.tps),
        sl=None if plan.sl is None else grid.up(plan.sl),
        stop_updates=tuple(grid.down(price) for price in plan.stop_updates),
        chase_limit=None if plan.chase_limit is None else grid.up(plan.chase_limit),
    )


def check_plan(plan: TradePlan) -> None:
    """Raise ``OperatorError`` naming the word, the rule and an example when the plan contradicts itself."""
    base, name = (plan.level, "level") if plan.level is not None else (plan.limit, "limit")
    if plan.sl is not None and base is not None and plan.sl >= base:
        raise OperatorError(
            f"sl={money(plan.sl)}: the stop of a long trade lies below the {name} {money(base)} · "
            f"example: sl={money(_below(base))}"
        )
    last, last_name = base, name
    for number, tp in enumerate(plan.tps, 1):
        word = "tp" if len(plan.tps) == 1 else f"tp{number}"
        if last is not None and tp <= last:
            raise OperatorError(
                f"tp={'-'.join(money(p) for p in plan.tps)}: {word} {money(tp)} must lie above the "
                f"{last_name} {money(last)} · example: tp={money(_above(last))}"
            )
        last, last_name = tp, word
    if plan.sl is not None and plan.tps and plan.sl >= plan.tps[0]:
        raise OperatorError(f"sl={money(plan.sl)}: the stop lies below the target tp={money(plan.tps[0])}")
    if plan.risk_usd is not None and plan.sl is None:
        raise OperatorError(
            f"risk={plan.risk_usd}: what a share risks is the way to its stop, and there is none · example: "
            f"risk={plan.risk_usd}" + ("" if base is None else f" sl={money(_below(base))}")
        )
    _check_mode(plan)
    if plan.mode.is_detached:
        _check_ladder(plan)


def _check_mode(plan: TradePlan) -> None:
    targets = len(plan.tps)
    if plan.mode in (ExitMode.ATTACHED, ExitMode.NONE):
        if targets > 1:
            raise OperatorError(
                f"tp_exec={plan.mode.value}: a bracket has one target, {targets} were given · use tp_exec="
                f"{'detached70' if targets == 2 else 'detached'}, or one tp="  # two targets
            )
        if plan.weights or plan.stop_updates:
            raise OperatorError(
                "tp_alloc and stop_updates belong to a ladder: give two targets or more · example: tp=195-198"
            )
    elif plan.mode is ExitMode.DETACHED70 and targets != 2:  # 70 and 30
        raise OperatorError(
            f"tp_exec=detached70: takes two targets, {targets} were given · example: tp=195-198"
        )
    elif plan.mode is ExitMode.DETACHED70 and plan.parts != DEFAULT_WEIGHTS[2]:
        raise OperatorError(
            "tp_alloc: detached70 is always 70-30 · three targets (tp_exec=detached) take another split"
        )
    elif plan.mode is ExitMode.DETACHED and targets < 1:
        raise OperatorError("tp_exec=detached: needs a target for every leg · example: tp=195-198-205")


def _check_ladder(plan: TradePlan) -> None:
    targets = len(plan.tps)
    if plan.side is not Side.BUY:
        raise OperatorError("a ladder protects shares that are bought; a sell takes no tp and no sl")
    if plan.sl is None:
        base = plan.level if plan.level is not None else plan.tps[0]
        raise OperatorError(
            f"sl: a ladder (tp={'-'.join(map(money, plan.tps))}) needs a stop for every leg · "
            f"example: sl={money(_below(base))}"
        )
    if len(plan.parts) != targets or any(part <= 0 for part in plan.parts):
        raise OperatorError(
            f"tp_alloc={'-'.join(map(str, plan.parts))}: {targets} targets take {targets} parts above zero · "
            f"example: tp_alloc={'-'.join(map(str, default_weights(targets)))}"
        )
    if plan.risk_usd is not None and sum(plan.parts) != 100:  # per cent
        raise OperatorError(
            f"tp_alloc={'-'.join(map(str, plan.parts))}: with risk= the shares are counted at the trigger, so the parts are "
            f"percentages that sum to 100 · example: tp_alloc={'-'.join(map(str, default_weights(targets)))}"
        )
    if sum(plan.parts) not in (100, plan.qty):
        raise OperatorError(
            f"tp_alloc={'-'.join(map(str, plan.parts))}: sums to {sum(plan.parts)}; percentages sum to 100, shares to "
            f"qty={plan.qty} · example: tp_alloc={'-'.join(map(str, default_weights(targets)))}"
        )
    shares = split(plan.qty, plan.parts)
    if 0 in shares:
        raise OperatorError(
            f"qty={plan.qty}: split {'-'.join(map(str, plan.parts))} leaves leg {shares.index(0) + 1} without a share · "
            f"use a larger qty or fewer targets"
        )
    _check_updates(plan)


def _check_updates(plan: TradePlan) -> None:
    typed, targets = plan.stop_updates, len(plan.tps)
    if typed and len(typed) != targets - 1:
        raise OperatorError(
            f"stop_updates={'-'.join(map(money, typed))}: {targets} targets take {targets - 1} "
            f"{'price' if targets == 2 else 'prices'}, one after each target but the last · "
            f"example: stop_updates={_example(plan)}"
        )
    last = plan.sl
    for number, (price, target) in enumerate(zip(typed, plan.tps, strict=False), 1):
        if last is not None and price < last:
            raise OperatorError(
                f"stop_updates={'-'.join(map(money, typed))}: a stop is never loosened, {money(price)} lies "
                f"below {money(last)} · "
                f"example: stop_updates={_example(plan)}"
            )
        if price >= target:
            raise OperatorError(
                f"stop_updates={'-'.join(map(money, typed))}: {money(price)} is not below tp{number} {money(target)}, the "
                f"stop would be elected at once · example: stop_updates={_example(plan)}"
            )
        last = price


def _example(plan: TradePlan) -> str:
    base = plan.level if plan.level is not None else plan.sl or plan.tps[0]
    return "-".join(map(money, default_updates(base, plan.tps)))


def _below(price: Price) -> Price:
    return (price * Decimal("0.98")).quantize(Decimal("0.01"))


def _above(price: Price) -> Price:
    return (price * Decimal("1.02")).quantize(Decimal("0.01"))
