"""Orders that work at the broker and are in none of our books: another life's, another client's, those of the broker's window.

Laws: one that is called as ours are may sell shares, so it counts, whoever sent it, until pictures have lacked it (or shown
it smaller) for as long as they may be old. They take the shares that are not our trades' first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from tradeshell.core.book import OLD
from tradeshell.core.inputs import StandingOrder
from tradeshell.core.market import Price, Shares
from tradeshell.core.orders import OrderSpec, OrderState, OrderType, Side, Tif


class Outside(Struct, frozen=True, kw_only=True):
    """One such order. ``bound``: the most that it may still execute, as far as pictures can be believed.

    ``idle_since``: when the first picture was asked for that shows no shares in its account that it could sell.
    """

    order: StandingOrder
    bound: Shares
    less_since: datetime | None = None  # since when pictures show less than that, or lack it
    idle_since: datetime | None = None
    is_gone: bool = False  # the last picture lacks it, or the broker has said that it ended
    is_unwanted: bool = False  # a reconciler wants it gone, once that is safe
    cancelling: bool = False
    changing: bool = False

    @property
    def is_exit(self) -> bool:
        """Whether it sells."""
        return self.order.side is Side.SELL

    @property
    def spec(self) -> OrderSpec:
        """The order in our own words; a type that we never send counts as a stop."""
        order = self.order
        kind = OrderType(order.kind) if order.kind in tuple(OrderType) else OrderType.STOP
        return OrderSpec(
            ref=order.key,
            symbol=order.symbol,
            con_id=order.con_id,
            account=order.account,
            side=order.side,
            qty=order.qty,
            type=kind,
            limit=order.limit,
            stop=order.stop,
            tif=Tif(order.tif) if order.tif in tuple(Tif) else Tif.DAY,
            outside_rth=order.outside_rth,
            oca_group=order.oca_group,
            oca_type=order.oca_type,
        )


def seen(known: Outside | None, order: StandingOrder, asked_at: datetime) -> Outside:
    """Return what is known of an order that a picture shows; less than before is believed when it stays so."""
    if known is None:
        return Outside(order=order, bound=order.remaining)
    known = replace(known, order=order, is_gone=False)
    if order.remaining >= known.bound:
        return replace(known, bound=order.remaining, less_since=None)
    return _less(known, order.remaining, asked_at)


def lacked(known: Outside, asked_at: datetime) -> Outside | None:
    """Return what is known of an order that a picture lacks: ``None`` once no older picture can be meant."""
    known = _less(replace(known, is_gone=True, cancelling=False, changing=False), 0, asked_at)
    return None if known.bound == 0 else known


def _less(known: Outside, shown: Shares, asked_at: datetime) -> Outside:
    since = asked_at if known.less_since is None else known.less_since
    if asked_at - since >= OLD:
        return replace(known, bound=shown, less_since=None)
    return replace(known, less_since=since)


def judged(known: Outside, held: Shares, asked_at: datetime) -> Outside:
    """Return the order with what a picture says of its account's shares: an exit without any is idle."""
    if held > 0 or not known.is_exit:
        return replace(known, idle_since=None, is_unwanted=False)
    return replace(known, idle_since=asked_at if known.idle_since is None else known.idle_since)


def is_surely_idle(known: Outside, at: datetime) -> bool:
    """Return whether pictures have shown no shares for an exit for as long as any of them may be old."""
    return known.idle_since is not None and at - known.idle_since >= OLD


def claimed(outside: Iterable[Outside], symbol: str, account: str) -> Shares:
    """Return the shares of ``symbol`` that orders called as ours may still sell; each OCA group counts its largest."""
    groups: dict[str, Shares] = {}
    for each in outside:
        order = each.order
        if order.symbol == symbol and order.account == account and each.is_exit and order.is_called_ours:
            group = order.oca_group or order.key
            groups[group] = max(groups.get(group, 0), each.bound)
    return sum(groups.values())


def changed(known: Outside, limit: Price | None, stop: Price | None, qty: Shares | None) -> OrderSpec:
    """Return the order with new values asked for; ``None`` leaves a value as it is."""
    spec = known.spec
    return replace(
        spec,
        limit=spec.limit if limit is None else limit,
        stop=spec.stop if stop is None else stop,
        qty=spec.qty if qty is None else qty,
    )


def is_living(known: Outside) -> bool:
    """Return whether it may still execute, as far as the broker has said."""
    return not known.is_gone and known.order.state.is_live and known.order.state is not OrderState.UNKNOWN
