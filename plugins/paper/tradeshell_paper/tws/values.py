"""What clients name on the wire: contracts and orders, as they were sent.

Laws: a value keeps what the client wrote, so that it can be echoed; what it means at the exchange is decided in ``orders``.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct


class WireContract(Struct, frozen=True, kw_only=True):
    """The twelve fields with which a client names a contract."""

    con_id: int = 0
    symbol: str = ""
    sec_type: str = ""
    expiry: str = ""
    strike: Decimal | None = None
    right: str = ""
    multiplier: str = ""
    exchange: str = ""
    primary_exchange: str = ""
    currency: str = ""
    local_symbol: str = ""
    trading_class: str = ""


class Leg(Struct, frozen=True):
    """One leg of a combination."""

    con_id: int
    ratio: int
    action: str
    exchange: str


class Condition(Struct, frozen=True):
    """A condition of an order: its number and its fields as they were sent."""

    kind: int
    fields: tuple[str, ...]


class WireOrder(Struct, frozen=True, kw_only=True):
    """A placeOrder message. Numbers are ``None`` where the client left them unset; names follow the protocol's."""

    order_id: int
    contract: WireContract
    sec_id_type: str = ""
    sec_id: str = ""
    action: str = ""
    quantity: Decimal = Decimal(0)
    order_type: str = ""
    limit: Decimal | None = None
    aux: Decimal | None = None
    tif: str = ""
    oca_group: str = ""
    account: str = ""
    open_close: str = ""
    origin: int = 0
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    block: bool = False
    sweep: bool = False
    display_size: int | None = None
    trigger_method: int = 0
    outside_rth: bool = False
    hidden: bool = False
    legs: tuple[Leg, ...] = ()
    leg_prices: tuple[Decimal | None, ...] = ()
    routing: tuple[tuple[str, str], ...] = ()
    discretionary: Decimal | None = None
    good_after: str = ""
    good_till: str = ""
    fa_group: str = ""
    fa_method: str = ""
    fa_percentage: str = ""
    fa_profile: str = ""
    model_code: str = ""
    short_sale_slot: int = 0
    designated_location: str = ""
    exempt_code: int = -1
    oca_type: int = 0
    rule_80a: str = ""
    settling_firm: str = ""
    all_or_none: bool = False
    min_qty: int | None = None
    percent_offset: Decimal | None = None
    nbbo_price_cap: Decimal | None = None
    auction_strategy: int = 0
    starting_price: Decimal | None = None
    stock_ref_price: Decimal | None = None
    delta: Decimal | None = None
    range_lower: Decimal | None = None
    range_upper: Decimal | None = None
    override_constraints: bool = False
    volatility: Decimal | None = None
    volatility_type: int | None = None
    delta_neutral_type: str = ""
    delta_neutral_aux: Decimal | None = None
    continuous_update: bool = False
    reference_price_type: int | None = None
    trail_stop_price: Decimal | None = None
    trailing_percent: Decimal | None = None
    scale_init_size: int | None = None
    scale_subs_size: int | None = None
    scale_increment: Decimal | None = None
    hedge_type: str = ""
    hedge_param: str = ""
    opt_out_smart: bool = False
    clearing_account: str = ""
    clearing_intent: str = ""
    not_held: bool = False
    algo_strategy: str = ""
    algo_params: tuple[tuple[str, str], ...] = ()
    algo_id: str = ""
    what_if: bool = False
    misc_options: str = ""
    solicited: bool = False
    randomize_size: bool = False
    randomize_price: bool = False
    conditions: tuple[Condition, ...] = ()
    conditions_ignore_rth: bool = False
    conditions_cancel: bool = False
    adjusted_type: str = ""
    trigger_price: Decimal | None = None
    limit_offset: Decimal | None = None
    adjusted_stop: Decimal | None = None
    adjusted_stop_limit: Decimal | None = None
    adjusted_trailing: Decimal | None = None
    adjustable_unit: int = 0
    ext_operator: str = ""
    soft_dollar_name: str = ""
    soft_dollar_value: str = ""
    cash_qty: Decimal | None = None
    no_auto_hedge_price: bool = False
    oms_container: bool = False
    discretionary_to_limit: bool = False
    price_management: bool | None = None
    duration: int | None = None
    post_to_ats: int | None = None
    auto_cancel_parent: bool = False
    error_override: str = ""
    manual_time: str = ""
