"""What the commands answer with in ``--json``: the shapes of ``Answer.data``. Prices are USD as text, quantities shares."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from tradeshell import Cover, ExitMode, Margin, Price, Result, Shares, Tif, TradePlan


class Started(Result, frozen=True, kw_only=True):
    """A watcher that was started; ``tp`` and ``tp_why`` only where targets were computed."""

    watch: str
    symbol: str
    level: Price
    qty: Shares
    tp: tuple[Price, ...] = ()
    tp_why: tuple[str, ...] = ()


class Cancelled(Result, frozen=True, kw_only=True):
    """The ids of the watchers that were cancelled."""

    cancelled: tuple[str, ...]


class Resumed(Result, frozen=True, kw_only=True):
    """The ids of the watchers that go on."""

    resumed: tuple[str, ...]


class WatcherRow(Result, frozen=True, kw_only=True):
    """A watcher. ``reason`` is why it ended or what it asks about; ``blind``: the bars that it waits for do not come.

    ``legs`` are the shares of each target of a ladder; ``bar`` and ``fast_bar`` lengths in seconds (``null``: no fast path);
    ``risk`` where the shares are counted at the trigger; ``after``, ``until``, ``flat_by``: New York, ``10:00``.
    """

    watch: str
    symbol: str
    state: str
    reason: str
    blind: bool
    level: Price | None
    qty: Shares
    risk: Decimal | None
    after: str | None
    until: str | None
    day: int
    days: int
    flat_by: str | None
    tp: tuple[Price, ...]
    tp_why: tuple[str, ...]
    sl: Price | None
    mode: ExitMode
    legs: tuple[Shares, ...]
    stop_updates: tuple[Price, ...]
    cover: Cover | None
    bar: int
    fast_bar: int | None
    since: datetime


class PlanLeg(Result, frozen=True, kw_only=True):
    """One leg as it would be armed; ``stops``: its stop after each target before it, ``r``: its gain in multiples of its risk."""

    leg: int
    qty: Shares
    orders: tuple[str, ...]
    tp: Price | None
    tp_why: str | None
    sl: Price | None
    stops: tuple[Price, ...]
    risk_usd: Decimal | None
    gain_usd: Decimal | None
    r: Decimal | None


class PlanUpdate(Result, frozen=True, kw_only=True):
    """After the targets ``after`` the stops ``legs`` go to ``stop``."""

    after: tuple[str, ...]
    legs: tuple[str, ...]
    stop: Price


PlanWords = msgspec.defstruct(
    "PlanWords",
    [
        (field.name, field.type)
        for field in msgspec.structs.fields(TradePlan)
    ],
    bases=(Result,),
    frozen=True,
    kw_only=True,
    module=__name__,
    namespace={"__doc__": "The plan as the core gets it; the account is masked."},
)  # fmt: skip


class Plan(Result, frozen=True, kw_only=True):
    """What a breakout would send. ``r_usd`` is 1 R, USD a share; ``bar`` seconds; ``chase_limit``: no entry from there on.

    ``margin`` is what the broker says that the entry would change, ``margin_refused`` why it would not take it; ``null`` where
    it is not asked.
    """

    symbol: str
    qty: Shares
    level: Price
    mode: ExitMode
    tp_method: str | None
    cover: Cover | None
    bar: int
    fast_bar: int | None
    fast_level: Price | None
    chase_limit: Price | None
    exit_tif: Tif
    legs: tuple[PlanLeg, ...]
    stop_updates: tuple[PlanUpdate, ...]
    risk_usd: Decimal | None
    gain_usd: Decimal | None
    r_usd: Decimal | None
    margin: Margin | None
    margin_refused: str | None
    r: Decimal | None
    plan: PlanWords  # type: ignore[valid-type]  # made from the core's own fields: nobody has to write them twice
