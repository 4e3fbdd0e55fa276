"""The plan of one trade: what is bought, how it is protected, and whether that makes sense.

Laws: a plan is checked once, before anything is started; what ``check_plan`` accepts satisfies sl < level < tp1 < tp2 < …;
prices are put on the grid by side, a stop never looser. Commands, strategies and guards share these helpers.
"""

from __future__ import annotations

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
    ATTACHED = "attached"


class TradePlan(Struct, frozen=True, kw_only=True):
    """One trade as asked for. Prices USD on the grid, ``qty`` shares, ages and timeouts seconds."""

    symbol: str
    qty: Shares
    account: str
    side: Side = Side.BUY
    level: Price | None = None
    entry: EntryKind = EntryKind.TOUCH
    limit: Price | None = None
    tps: tuple[Price, ...] = ()
    sl: Price | None = None
    sl_type: OrderType = OrderType.STOP_LIMIT
    sl_offset: Price = Decimal(0)
    mode: ExitMode = ExitMode.NONE
    tif: Tif = Tif.DAY
    exit_tif: Tif = Tif.GTC
    outside_rth: bool = False
    client_tag: str | None = None
    entry_timeout: float | None = 20.0
    quote_age: float = 2.0
    chase_limit: Price | None = None  # the entry is refused when the ask reaches this price

    @property
    def risk(self) -> Price | None:
        """1 R: the distance from the level (or the limit) to the stop, USD a share."""
        base = self.level if self.level is not None else self.limit
        return None if base is None or self.sl is None else abs(base - self.sl)


def put_on_grid(plan: TradePlan, grid: PriceGrid) -> TradePlan:
    """Return the plan with prices on the grid: a long stop rounds up, a target down, a level up.

    A stop that is rounded towards the market is never looser than asked; a level rounds up so that the plan never enters below
    the price that was named; a limit that was typed never pays more or takes less than it said.
    """
    return replace(
        plan,
        level=None if plan.level is None else grid.up(plan.level),
        limit=None if plan.limit is None else (grid.down if plan.side is Side.BUY else grid.up)(plan.limit),
        tps=tuple(grid.down(tp) for tp in plan.tps),
        sl=None if plan.sl is None else grid.up(plan.sl),
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


def _below(price: Price) -> Price:
    return (price * Decimal("0.98")).quantize(Decimal("0.01"))


def _above(price: Price) -> Price:
    return (price * Decimal("1.02")).quantize(Decimal("0.01"))
