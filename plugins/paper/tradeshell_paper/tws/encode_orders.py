"""Server messages about orders, executions and positions, as pure functions of values; the version says which fields there are.

Laws: the order of the fields is the protocol's, and some decoders count them; a field that means nothing for a stock order has
the value that a gateway sends for it. Quantities are whole shares.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec import Struct

from tradeshell_paper.tws.fields import UNSET_DOUBLE as UD
from tradeshell_paper.tws.fields import UNSET_INT, number, optional, price_text, real, stamp
from tradeshell_paper.tws.frames import encode
from tradeshell_paper.tws.values import WireContract, WireOrder

NO_OWNER = "Not an insider or substantial shareholder"


class OrderView(Struct, frozen=True, kw_only=True):
    """An order as the gateway shows it: what was sent, with what the exchange made of it. ``total``, ``filled`` in shares."""

    order: WireOrder
    contract: WireContract
    client: int
    order_id: int
    perm_id: int
    account: str
    status: str
    total: int
    filled: int = 0
    remaining: int = 0
    average: Decimal = Decimal(0)
    last_price: Decimal = Decimal(0)
    parent_id: int = 0
    parent_perm_id: int = 0
    oca_group: str = ""
    oca_type: int = 3
    why_held: str = ""
    commission: Decimal | None = None
    margins: tuple[Decimal, ...] = ()  # before, change, after of: initial, maintenance, equity; what-if only
    warning: str = ""
    completed_at: datetime | None = None
    completed_status: str = ""

    @property
    def limit(self) -> Decimal | None:
        """Its limit, where its type has one."""
        return self.order.limit if self.order.order_type in ("LMT", "STP LMT") else None

    @property
    def aux(self) -> Decimal | None:
        """Its stop price, where its type has one."""
        return self.order.aux if self.order.order_type in ("STP", "STP LMT") else None

    @property
    def tif(self) -> str:
        """Its time in force, filled in as the gateway does."""
        return self.order.tif or "DAY"


class ExecutionView(Struct, frozen=True, kw_only=True):
    """One execution. ``shares`` and ``cumulative`` in shares, prices USD."""

    exec_id: str
    at: datetime
    order_id: int
    client: int
    perm_id: int
    contract: WireContract
    account: str
    venue: str
    side: str
    shares: int
    price: Decimal
    cumulative: int
    average: Decimal
    order_ref: str
    liquidity: int = 2


def _eleven(c: WireContract, exchange: str) -> tuple[object, ...]:
    right = c.right or "?"
    strike = number(c.strike or 0)
    return (
        c.con_id, c.symbol, c.sec_type, c.expiry, strike, right, c.multiplier,
        exchange, c.currency, c.local_symbol, c.trading_class,
    )  # fmt: skip


def open_order(v: OrderView, version: int) -> bytes:
    """Return message 5."""
    o = v.order
    stop = v.aux if o.order_type == "STP" else None
    fields: list[object] = [
        5, v.order_id, *_eleven(v.contract, v.contract.exchange),
        o.action, v.total, o.order_type, real(v.limit), real(v.aux), v.tif, v.oca_group, v.account,
        o.open_close, o.origin, o.order_ref, v.client, v.perm_id, o.outside_rth, o.hidden,
        number(o.discretionary or 0), o.good_after,
        f"{v.perm_id}.0/{v.account}/100",
        o.fa_group, o.fa_method, o.fa_percentage,
        *((o.fa_profile,) if version < 177 else ()),
        o.model_code, o.good_till, o.rule_80a, optional(o.percent_offset), o.settling_firm,
        o.short_sale_slot, o.designated_location, o.exempt_code,
        o.auction_strategy, optional(o.starting_price), optional(o.stock_ref_price), optional(o.delta),
        optional(o.range_lower), optional(o.range_upper),
        UNSET_INT if not o.display_size else o.display_size, o.block, o.sweep, o.all_or_none, o.min_qty,
        v.oca_type, False, False, optional(o.nbbo_price_cap),
        v.parent_id, o.trigger_method, optional(o.volatility), o.volatility_type or 0,
        "None", "", 0, "", "", "", "?", 0, 0, "",
        o.continuous_update, o.reference_price_type or 0, optional(stop), optional(o.trailing_percent),
        "", "", "",
        0, 0, 0,
        UNSET_INT, UNSET_INT, "",
        "", o.opt_out_smart, o.clearing_account, o.clearing_intent or "IB", o.not_held, 0,
        "", o.solicited, o.what_if,
        v.status, *_margins(v),
        optional(v.commission), "", "", "USD" if v.commission is not None else "", v.warning,
        o.randomize_size, o.randomize_price, 0,
        "None", optional(o.trigger_price, UD), optional(stop, UD), optional(o.limit_offset, UD),
        optional(o.adjusted_stop, UD), optional(o.adjusted_stop_limit, UD),
        optional(o.adjusted_trailing, UD), o.adjustable_unit,
        o.soft_dollar_name, o.soft_dollar_value, "", number(o.cash_qty or 0),
        not o.no_auto_hedge_price, o.oms_container, o.discretionary_to_limit, bool(o.price_management),
    ]  # fmt: skip
    if version >= 159:
        fields.append(UNSET_INT if o.duration is None else o.duration)
    if version >= 160:
        fields.append(UNSET_INT if o.post_to_ats is None else o.post_to_ats)
    if version >= 162:
        fields.append(o.auto_cancel_parent)
    if version >= 170:
        fields += ("", "", "", "", "")
    return encode(*fields)


def _margins(v: OrderView) -> tuple[str, ...]:
    if not v.margins:
        return (UD,) * 9
    # given as (before, change, after) of each: sent as all befores, all changes, all afters
    return tuple(number(v.margins[kind * 3 + when]) for when in range(3) for kind in range(3))


def order_status(v: OrderView) -> bytes:
    """Return message 3."""
    return encode(
        3, v.order_id, v.status, v.filled, v.remaining, number(v.average), v.perm_id, v.parent_id,
        number(v.last_price), v.client, v.why_held, 0,
    )  # fmt: skip


def completed_order(v: OrderView, version: int) -> bytes:
    """Return message 101."""
    o = v.order
    stop = v.aux if o.order_type == "STP" else None
    at = "" if v.completed_at is None else stamp(v.completed_at)
    total = 0 if v.status == "Filled" else v.total
    fields: list[object] = [
        101, *_eleven(v.contract, v.contract.exchange),
        o.action, total, o.order_type, real(v.limit), real(v.aux), v.tif, v.oca_group, v.account,
        o.open_close, o.origin, o.order_ref, v.perm_id, o.outside_rth, o.hidden,
        number(o.discretionary or 0), o.good_after,
        o.fa_group, o.fa_method, o.fa_percentage,
        *((o.fa_profile,) if version < 177 else ()),
        o.model_code, o.good_till, o.rule_80a, optional(o.percent_offset), o.settling_firm,
        o.short_sale_slot, o.designated_location, o.exempt_code,
        optional(o.starting_price), optional(o.stock_ref_price), optional(o.delta),
        optional(o.range_lower), optional(o.range_upper),
        UNSET_INT if not o.display_size else o.display_size, o.sweep, o.all_or_none, o.min_qty,
        v.oca_type, o.trigger_method, optional(o.volatility), o.volatility_type or 0,
        "None", "", 0, 0, 0, "",
        o.continuous_update, o.reference_price_type or 0, optional(stop), optional(o.trailing_percent), "",
        0, 0, 0,
        UNSET_INT, UNSET_INT, "",
        "", o.clearing_account, o.clearing_intent or "IB", o.not_held, 0,
        "", o.solicited, v.status, o.randomize_size, o.randomize_price, 0,
        optional(stop, UD), optional(o.limit_offset, UD), number(o.cash_qty or 0), not o.no_auto_hedge_price,
        o.oms_container, "", v.filled, UNSET_INT, o.auto_cancel_parent, NO_OWNER, False, False,
        v.parent_perm_id, at, v.completed_status,
    ]  # fmt: skip
    if version >= 170:
        fields += ("", "", "", "", "")
    return encode(*fields)


def exec_details(e: ExecutionView, version: int, request: int = -1) -> bytes:
    """Return message 11; ``request`` is -1 for a live fill."""
    c = e.contract
    fields: list[object] = [
        11, request, e.order_id, c.con_id, c.symbol, c.sec_type, c.expiry, "0.0", c.right, c.multiplier,
        e.venue, c.currency, c.local_symbol, c.trading_class,
        e.exec_id, stamp(e.at), e.account, e.venue, e.side, e.shares, price_text(e.price), e.perm_id,
        e.client, 0, e.cumulative, number(e.average), e.order_ref, "", "", "", e.liquidity,
    ]  # fmt: skip
    if version >= 178:
        fields.append(0)
    return encode(*fields)


def commission_report(exec_id: str, commission: Decimal, realized: Decimal | None) -> bytes:
    """Return message 59; ``realized`` USD is ``None`` for an opening fill."""
    return encode(59, 1, exec_id, number(commission), "USD", optional(realized, UD), UD, "")


def position(account: str, c: WireContract, shares: int, average: Decimal) -> bytes:
    """Return message 61."""
    return encode(
        61, 3, account, c.con_id, c.symbol, c.sec_type, c.expiry, "0.0", c.right, c.multiplier,
        c.primary_exchange, c.currency, c.local_symbol, c.trading_class, shares, number(average),
    )  # fmt: skip


def position_multi(request: int, account: str, c: WireContract, shares: int, average: Decimal) -> bytes:
    """Return message 71."""
    return encode(
        71, 1, request, account, c.con_id, c.symbol, c.sec_type, c.expiry, "0.0", c.right, c.multiplier,
        c.primary_exchange, c.currency, c.local_symbol, c.trading_class, shares, number(average), "",
    )  # fmt: skip


def portfolio_value(
    account: str, c: WireContract, shares: int, mark: Decimal, average: Decimal, realized: Decimal
) -> bytes:
    """Return message 7; prices and profit in USD."""
    value = mark * shares
    unrealized = (mark - average) * shares if shares else Decimal(0)
    return encode(
        7, 8, c.con_id, c.symbol, c.sec_type, c.expiry, "0", c.right or "0", c.multiplier,
        c.primary_exchange, c.currency, c.local_symbol, c.trading_class, shares, number(mark),
        number(value), number(average), number(unrealized), number(realized), account,
    )  # fmt: skip
