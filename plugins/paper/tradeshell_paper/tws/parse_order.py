"""The placeOrder message: 120 fields whose number depends on the version and on each other.

Laws: every field of every order type of every known client is read; a field that is left over means that the message was not
understood, and is a ``FieldError`` like one that is missing. Nothing is judged here: what an exchange makes of it is elsewhere.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tradeshell_paper.tws.fields import FieldError, Fields
from tradeshell_paper.tws.values import Condition, Leg, WireContract, WireOrder

PEG_BENCH = frozenset({"PEG BENCH", "PEGBENCH"})
PEG_BEST = frozenset({"PEG BEST", "PEGBEST"})
PEG_MID = frozenset({"PEG MID", "PEGMID"})
MOST_PARTS = 1000  # legs, parameters or conditions of one order
# How many fields follow the number of a condition; the first is the conjunction.
CONDITION_FIELDS = {1: 6, 3: 3, 4: 3, 5: 4, 6: 5, 7: 5}


def parse_contract(fields: Fields) -> WireContract:
    """Read the twelve fields of a contract."""
    return WireContract(
        con_id=fields.whole("conId"),
        symbol=fields.text("symbol"),
        sec_type=fields.text("secType"),
        expiry=fields.text("lastTradeDateOrContractMonth"),
        strike=fields.real("strike"),
        right=fields.text("right"),
        multiplier=fields.text("multiplier"),
        exchange=fields.text("exchange"),
        primary_exchange=fields.text("primaryExchange"),
        currency=fields.text("currency"),
        local_symbol=fields.text("localSymbol"),
        trading_class=fields.text("tradingClass"),
    )


def parse_place_order(values: list[str], version: int) -> WireOrder:
    """Read the fields behind the message's number; raises ``FieldError``."""
    fields = Fields(values)
    found: dict[str, Any] = {"order_id": fields.whole("orderId"), "contract": parse_contract(fields)}
    _main(fields, found)
    if found["contract"].sec_type == "BAG":
        _combination(fields, found)
    _details(fields, found, version)
    _delta_neutral(fields, found)
    _scale_and_hedge(fields, found)
    _algo(fields, found)
    _conditions(fields, found)
    _adjusted(fields, found)
    _newest(fields, found, version)
    if fields.left:
        raise FieldError(f"{len(fields.left)} fields are left over, from {fields.left[0][:40]!r} on")
    return WireOrder(**found)


def count(fields: Fields, name: str) -> int:
    """Read how many parts follow."""
    number = fields.whole(name)
    if not 0 <= number <= MOST_PARTS:
        raise FieldError(f"{name}: {number} are too many")
    return number


def _main(fields: Fields, found: dict[str, Any]) -> None:
    found["sec_id_type"] = fields.text("secIdType")
    found["sec_id"] = fields.text("secId")
    found["action"] = fields.text("action")
    found["quantity"] = fields.real("totalQuantity") or Decimal(0)
    found["order_type"] = fields.text("orderType")
    found["limit"] = fields.real("lmtPrice")
    found["aux"] = fields.real("auxPrice")
    found["tif"] = fields.text("tif")
    found["oca_group"] = fields.text("ocaGroup")
    found["account"] = fields.text("account")
    found["open_close"] = fields.text("openClose")
    found["origin"] = fields.whole("origin")
    found["order_ref"] = fields.text("orderRef")
    found["transmit"] = fields.flag("transmit")
    found["parent_id"] = fields.whole("parentId")
    found["block"] = fields.flag("blockOrder")
    found["sweep"] = fields.flag("sweepToFill")
    found["display_size"] = fields.maybe_whole("displaySize")
    found["trigger_method"] = fields.whole("triggerMethod")
    found["outside_rth"] = fields.flag("outsideRth")
    found["hidden"] = fields.flag("hidden")


def _combination(fields: Fields, found: dict[str, Any]) -> None:
    legs = []
    for _ in range(count(fields, "comboLegs")):
        legs.append(
            Leg(
                fields.whole("leg conId"),
                fields.whole("ratio"),
                fields.text("action"),
                fields.text("exchange"),
            )
        )
        for name in ("openClose", "shortSaleSlot", "designatedLocation", "exemptCode"):
            fields.text(f"leg {name}")
    found["legs"] = tuple(legs)
    found["leg_prices"] = tuple(fields.real("leg price") for _ in range(count(fields, "orderComboLegs")))
    found["routing"] = pairs(fields, "smartComboRoutingParams")


def pairs(fields: Fields, name: str) -> tuple[tuple[str, str], ...]:
    """Read a number and that many pairs of texts."""
    return tuple((fields.text(name), fields.text(name)) for _ in range(count(fields, name)))


def _details(fields: Fields, found: dict[str, Any], version: int) -> None:
    fields.text("sharesAllocation")
    found["discretionary"] = fields.real("discretionaryAmt")
    found["good_after"] = fields.text("goodAfterTime")
    found["good_till"] = fields.text("goodTillDate")
    found["fa_group"] = fields.text("faGroup")
    found["fa_method"] = fields.text("faMethod")
    found["fa_percentage"] = fields.text("faPercentage")
    if version < 177:
        found["fa_profile"] = fields.text("faProfile")
    found["model_code"] = fields.text("modelCode")
    found["short_sale_slot"] = fields.whole("shortSaleSlot")
    found["designated_location"] = fields.text("designatedLocation")
    found["exempt_code"] = fields.whole("exemptCode", -1)
    found["oca_type"] = fields.whole("ocaType")
    found["rule_80a"] = fields.text("rule80A")
    found["settling_firm"] = fields.text("settlingFirm")
    found["all_or_none"] = fields.flag("allOrNone")
    found["min_qty"] = fields.maybe_whole("minQty")
    found["percent_offset"] = fields.real("percentOffset")
    fields.flag("eTradeOnly")
    fields.flag("firmQuoteOnly")
    found["nbbo_price_cap"] = fields.real("nbboPriceCap")
    found["auction_strategy"] = fields.whole("auctionStrategy")
    found["starting_price"] = fields.real("startingPrice")
    found["stock_ref_price"] = fields.real("stockRefPrice")
    found["delta"] = fields.real("delta")
    found["range_lower"] = fields.real("stockRangeLower")
    found["range_upper"] = fields.real("stockRangeUpper")
    found["override_constraints"] = fields.flag("overridePercentageConstraints")
    found["volatility"] = fields.real("volatility")
    found["volatility_type"] = fields.maybe_whole("volatilityType")


def _delta_neutral(fields: Fields, found: dict[str, Any]) -> None:
    found["delta_neutral_type"] = fields.text("deltaNeutralOrderType")
    found["delta_neutral_aux"] = fields.real("deltaNeutralAuxPrice")
    if found["delta_neutral_type"]:
        for name in (
            "conId", "settlingFirm", "clearingAccount", "clearingIntent",
            "openClose", "shortSale", "shortSaleSlot", "designatedLocation",
        ):  # fmt: skip
            fields.text(f"deltaNeutral {name}")


def _scale_and_hedge(fields: Fields, found: dict[str, Any]) -> None:
    found["continuous_update"] = fields.flag("continuousUpdate")
    found["reference_price_type"] = fields.maybe_whole("referencePriceType")
    found["trail_stop_price"] = fields.real("trailStopPrice")
    found["trailing_percent"] = fields.real("trailingPercent")
    found["scale_init_size"] = fields.maybe_whole("scaleInitLevelSize")
    found["scale_subs_size"] = fields.maybe_whole("scaleSubsLevelSize")
    increment = found["scale_increment"] = fields.real("scalePriceIncrement")
    if increment is not None and increment > 0:
        for name in (
            "priceAdjustValue", "priceAdjustInterval", "profitOffset", "autoReset",
            "initPosition", "initFillQty", "randomPercent",
        ):  # fmt: skip
            fields.text(f"scale {name}")
    fields.text("scaleTable")
    fields.text("activeStartTime")
    fields.text("activeStopTime")
    found["hedge_type"] = fields.text("hedgeType")
    if found["hedge_type"]:
        found["hedge_param"] = fields.text("hedgeParam")


def _algo(fields: Fields, found: dict[str, Any]) -> None:
    found["opt_out_smart"] = fields.flag("optOutSmartRouting")
    found["clearing_account"] = fields.text("clearingAccount")
    found["clearing_intent"] = fields.text("clearingIntent")
    found["not_held"] = fields.flag("notHeld")
    skip_delta_neutral(fields)
    found["algo_strategy"] = fields.text("algoStrategy")
    if found["algo_strategy"]:
        found["algo_params"] = pairs(fields, "algoParams")
    found["algo_id"] = fields.text("algoId")
    found["what_if"] = fields.flag("whatIf")
    found["misc_options"] = fields.text("orderMiscOptions")
    found["solicited"] = fields.flag("solicited")
    found["randomize_size"] = fields.flag("randomizeSize")
    found["randomize_price"] = fields.flag("randomizePrice")


def skip_delta_neutral(fields: Fields) -> None:
    """Read over a delta-neutral contract, if there is one."""
    if fields.flag("deltaNeutralContract"):
        for name in ("conId", "delta", "price"):
            fields.text(f"deltaNeutralContract {name}")


def _conditions(fields: Fields, found: dict[str, Any]) -> None:
    if found["order_type"] in PEG_BENCH:
        for name in (
            "referenceContractId", "isPeggedChangeAmountDecrease", "peggedChangeAmount",
            "referenceChangeAmount", "referenceExchangeId",
        ):  # fmt: skip
            fields.text(name)
    conditions = []
    for _ in range(count(fields, "conditions")):
        kind = fields.whole("condition type")
        if kind not in CONDITION_FIELDS:
            raise FieldError(f"condition type {kind} is not known")
        parts = tuple(fields.text(f"condition {kind}") for _ in range(CONDITION_FIELDS[kind]))
        conditions.append(Condition(kind, parts))
    found["conditions"] = tuple(conditions)
    if conditions:
        found["conditions_ignore_rth"] = fields.flag("conditionsIgnoreRth")
        found["conditions_cancel"] = fields.flag("conditionsCancelOrder")


def _adjusted(fields: Fields, found: dict[str, Any]) -> None:
    found["adjusted_type"] = fields.text("adjustedOrderType")
    found["trigger_price"] = fields.real("triggerPrice")
    found["limit_offset"] = fields.real("lmtPriceOffset")
    found["adjusted_stop"] = fields.real("adjustedStopPrice")
    found["adjusted_stop_limit"] = fields.real("adjustedStopLimitPrice")
    found["adjusted_trailing"] = fields.real("adjustedTrailingAmount")
    found["adjustable_unit"] = fields.whole("adjustableTrailingUnit")


def _newest(fields: Fields, found: dict[str, Any], version: int) -> None:
    found["ext_operator"] = fields.text("extOperator")
    found["soft_dollar_name"] = fields.text("softDollarTier name")
    found["soft_dollar_value"] = fields.text("softDollarTier value")
    found["cash_qty"] = fields.real("cashQty")
    for name in ("decisionMaker", "decisionAlgo", "executionTrader", "executionAlgo"):
        fields.text(f"mifid2 {name}")
    found["no_auto_hedge_price"] = fields.flag("dontUseAutoPriceForHedge")
    found["oms_container"] = fields.flag("isOmsContainer")
    found["discretionary_to_limit"] = fields.flag("discretionaryUpToLimitPrice")
    managed = fields.maybe_whole("usePriceMgmtAlgo")
    found["price_management"] = None if managed is None else managed != 0
    if version >= 158:
        found["duration"] = fields.maybe_whole("duration")
    if version >= 160:
        found["post_to_ats"] = fields.maybe_whole("postToAts")
    if version >= 162:
        found["auto_cancel_parent"] = fields.flag("autoCancelParent")
    if version >= 166:
        found["error_override"] = fields.text("advancedErrorOverride")
    if version >= 169:
        found["manual_time"] = fields.text("manualOrderTime")
    if version >= 170:
        _pegged(fields, found)


def _pegged(fields: Fields, found: dict[str, Any]) -> None:
    if found["contract"].exchange == "IBKRATS":
        fields.text("minTradeQty")
    has_offsets = found["order_type"] in PEG_MID
    if found["order_type"] in PEG_BEST:
        fields.text("minCompeteSize")
        offset = fields.real("competeAgainstBestOffset")
        has_offsets = offset is not None and offset.is_infinite()
    if has_offsets:
        fields.text("midOffsetAtWhole")
        fields.text("midOffsetAtHalf")
