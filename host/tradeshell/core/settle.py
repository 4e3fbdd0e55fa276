"""Settling: after anything happened to a trade, bring phase, legs, exits and protection in line with what is true.

Laws: level-triggered and idempotent: settling twice does nothing more. Nothing is sent while the link is not reconciled. What
needs no picture never waits for one (changes of price, reductions, cancels); shares that were never protected are protected up
to the cap (``arming``); shares whose protection vanished wait for agreeing pictures (``incidents``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from tradeshell.core import arming, hours, incidents, yielding
from tradeshell.core.book import OLD, moved
from tradeshell.core.diff import ChangeExit, DropExit, PlaceExit, compare, is_patient
from tradeshell.core.events import (
    InventoryConfirmed,
    LadderProtectionStateChanged,
    TradeClosed,
    TradeReopened,
)
from tradeshell.core.exit_events import FlattenCompleted, ProtectionAlarm, SymbolFrozen
from tradeshell.core.exits import DesiredExit, desired_exits, first_legs
from tradeshell.core.milestones import tell_milestones
from tradeshell.core.orders import Order, OrderState, OrderType, Side
from tradeshell.core.trade import (
    COVER,
    STUCK,
    TOGETHER,
    UNCOVERED,
    Lack,
    Leg,
    Rung,
    Trade,
    TradePhase,
    awaited,
    begun,
    ended_with,
    entry_of,
    exits_of,
    fills_of,
    find_leg,
    has_bought,
    inventory,
    is_closed,
    is_over,
    leg_number,
    leg_of,
    leg_orders,
    leg_shares,
    live,
    orders_of,
    orphans,
    protection_state,
    selling_since,
    with_leg,
)
from tradeshell.core.turn import EARLY, Turn

# What the broker gets to cancel an OCA sibling before we ask ourselves, and to reduce one before we do.
SIBLING_PATIENCE = timedelta(seconds=2)
REDUCTION_PATIENCE = timedelta(seconds=1)
UNSEEN_PATIENCE = timedelta(seconds=2)  # as long as it has not shown the order since
ALARM_EVERY = timedelta(seconds=15)
ALARM_AT_NIGHT = timedelta(minutes=15)  # while the market is closed nobody can do anything about it
ALARMING = ("UNPROTECTED", "PARTIAL", "EMERGENCY", "OVERSOLD")
FINAL_WORDS = {OrderState.REFUSED: "rejected", OrderState.CANCELLED: "unfilled"}


def settle(turn: Turn, trade: Trade) -> Trade:
    """Bring one trade's exits, phase and protection in line with its orders; returns the trade as it now stands.

    Those of other trades of its symbol, too, when a sale needs their shares or needs them no more.
    """
    symbol = trade.plan.symbol
    if changed := yielding.rearrange(turn, symbol):
        for id_ in changed:
            _settle(turn, turn.book(symbol).trades[id_])
        trade = turn.book(symbol).trades[trade.id]
    trade = _settle(turn, trade)
    yielding.look(turn, symbol)
    return trade


def _settle(turn: Turn, trade: Trade) -> Trade:
    if trade.phase is TradePhase.ASKING or not trade.refs:
        return trade
    trade = _reopen_if_needed(turn, trade)
    if trade.phase is TradePhase.CLOSED:
        if trade.plan.side is Side.SELL and turn.desk.link.is_open:
            incidents.seek_explanation(turn, trade)  # the exchange took back what it had sold
        return _repeat_short(turn, trade)
    trade = hours.flatten_by(turn, _start_clocks(turn, trade))
    trade = _assign_legs(turn, _advance_phase(turn, trade))
    if trade.plan.side is Side.BUY:
        trade = tell_milestones(turn, trade)
    if turn.desk.link.is_open:
        trade = _cancel_entry(turn, trade)
        incidents.seek_explanation(turn, trade)
        if trade.plan.side is Side.BUY:
            trade = _correct(turn, trade)
    trade = _close_if_over(turn, _tell_protection(turn, trade))
    if trade.phase is not TradePhase.CLOSED and any(
        _orders(turn, trade)[ref].state.is_live for ref in trade.refs
    ):
        turn.watch()
    turn.desk = turn.desk.with_active(trade.id, trade.plan.symbol)
    return trade


def _orders(turn: Turn, trade: Trade) -> dict[str, Order]:
    return turn.book(trade.plan.symbol).orders


def _reopen_if_needed(turn: Turn, trade: Trade) -> Trade:
    orders = _orders(turn, trade)
    held = inventory(trade, orders)
    is_oversold = held < 0 and -held > trade.short and has_bought(orders[trade.refs[0]])
    lives = held > 0 or is_oversold or bool(live(orders[ref] for ref in trade.refs))
    if trade.phase is not TradePhase.CLOSED or not lives:
        return trade
    trade = replace(trade, phase=TradePhase.OPEN, end_reason="")
    turn.put_trade(trade)
    turn.say(TradeReopened(symbol=trade.plan.symbol, watch=trade.id, held=held))
    return trade


def _start_clocks(turn: Turn, trade: Trade) -> Trade:
    """From the first execution of the entry: the cover's patience, and the time in which shares must be protected."""
    entry = _orders(turn, trade)[trade.refs[0]]
    if trade.filled_at is not None or entry.filled == 0 or trade.plan.side is Side.SELL:
        return trade
    trade = replace(trade, filled_at=turn.at)
    turn.put_trade(trade)
    turn.again(trade, turn.at + UNCOVERED + EARLY, "uncovered")
    hours.start(turn, trade)
    return trade


def _advance_phase(turn: Turn, trade: Trade) -> Trade:
    book = turn.book(trade.plan.symbol)
    entry = entry_of(trade, book.orders)
    if trade.phase is TradePhase.ENTERING and is_over(entry):
        trade = replace(trade, phase=TradePhase.OPEN)
        turn.put_trade(trade)
        if (
            trade.plan.side is Side.BUY and trade.filled_at is not None
        ):  # until then they count as being armed
            turn.again(trade, turn.at + UNCOVERED + EARLY, "uncovered")
    is_known = not trade.plan.mode.is_detached or book.agrees()
    if trade.phase is TradePhase.OPEN and entry is not None and entry.filled != trade.confirmed and is_known:
        trade = replace(trade, confirmed=entry.filled)
        turn.put_trade(trade)
        turn.say(InventoryConfirmed(symbol=trade.plan.symbol, watch=trade.id, leg="entry", qty=entry.filled))
    return trade


def _assign_legs(turn: Turn, trade: Trade) -> Trade:
    """Give every executed share a leg, once the entry is over: fewer shares shrink legs, late ones get their own."""
    orders = _orders(turn, trade)
    entry = entry_of(trade, orders)
    if entry is None or not is_over(entry) or trade.plan.side is Side.SELL:
        return trade
    if trade.plan.sl is None and not trade.plan.tps and not trade.is_flattening:
        return trade
    if trade.plan.mode.is_detached and not begun(trade):
        legs = list(first_legs(trade.plan, entry.filled))  # nothing has left for any leg: they are sized anew
    else:
        extra = entry.filled - trade.yielded - sum(leg.qty for leg in trade.legs)
        legs = _resized(trade, extra, orders)
    if tuple(legs) == trade.legs:
        return trade
    trade = replace(trade, legs=tuple(legs))
    turn.put_trade(trade)
    return trade


def _resized(trade: Trade, extra: int, orders: dict[str, Order]) -> list[Leg]:
    """Return the legs for more or fewer shares. What is gone is taken where no exit lives first: no stop ends for it."""
    legs = list(trade.legs)
    held = leg_shares(trade, orders)
    for n, leg in reversed(tuple(enumerate(legs))):
        if extra < 0 and not live(leg_orders(trade, leg, orders)):
            part = min(-extra, held[leg.number])
            legs[n] = replace(leg, qty=leg.qty - part)
            extra += part
    while extra < 0 and any(leg.qty for leg in legs):
        last = max(n for n, leg in enumerate(legs) if leg.qty)
        part = min(-extra, legs[last].qty)
        legs[last] = replace(legs[last], qty=legs[last].qty - part)
        extra += part
    if extra <= 0:
        return legs
    if not legs:
        return [Leg(1, extra)]
    own = leg_orders(trade, legs[-1], orders)
    wanted, living = held[legs[-1].number] + extra, live(own)
    if living and all(order.sure >= wanted and not order.cancelling for order in living):
        # Its exits were sent for them, and live: the entry was taken for over too early.
        legs[-1] = replace(legs[-1], qty=legs[-1].qty + extra)
    elif any(order.state.is_live or order.filled or order.spec.parent_ref is None for order in own):
        legs.append(_late_leg(trade, extra, orders))
    else:  # nothing lives or has executed under this leg yet: it may be sized anew
        legs[-1] = replace(legs[-1], qty=legs[-1].qty + extra)
    return legs


def _late_leg(trade: Trade, qty: int, orders: dict[str, Order]) -> Leg:
    """Return the leg of shares that came late: they follow the nearest target that is still open."""
    shares = leg_shares(trade, orders)
    model = next((leg for leg in trade.legs if shares[leg.number] > 0), trade.legs[-1])
    tp = trade.plan.tps[model.step - 1] if trade.plan.tps else None
    return Leg(trade.legs[-1].number + 1, qty, step=model.step, tp=tp, stop=trade.plan.sl)


def _cancel_entry(turn: Turn, trade: Trade) -> Trade:
    """Cancel the rest of an entry that timed out, was cancelled, or whose stop is gone or trades already."""
    orders = _orders(turn, trade)
    entry = orders[trade.refs[0]]
    if not entry.state.is_live:
        return trade
    if not trade.cancel_wanted:
        exits = exits_of(trade, orders)
        stops = [order for order in exits if order.spec.type.is_stop]
        words = ""
        if any(order.filled > 0 or order.state is OrderState.WORKING for order in stops):
            words = "its stop trades already"
        elif stops and not any(order.state.is_live for order in stops):
            words = "its stop is gone"
        elif entry.undone > 0 and not (entry.is_veiled or trade.plan.mode.is_detached) and exits:
            words = "part of it was taken back"  # the broker releases its children for all of it, which is too much
        if words:
            trade = replace(trade, cancel_wanted=words)
            turn.put_trade(trade)
    if not trade.cancel_wanted:
        return trade
    if entry.state is OrderState.UNKNOWN:
        turn.look_again()
    if not entry.cancelling and (entry.retry_at is None or not is_patient(entry, turn.at)):
        turn.cancel(trade, entry, trade.cancel_wanted)
    return trade


# --- exits ------------------------------------------------------------------------------------------------------------


def _correct(turn: Turn, trade: Trade) -> Trade:
    """Send what makes the living exits the desired ones, as far as it may be sent now."""
    trade = arming.tend_cover(turn, hours.price_sale(turn, trade))
    trade = _split_off(turn, trade)
    orders = _orders(turn, trade)
    wanted = desired_exits(trade, orders)
    if wanted is None:
        return trade
    entry = orders[trade.refs[0]]
    living = live(order for order in exits_of(trade, orders) if leg_of(order.spec.ref) != COVER)
    if entry.ended_at is not None and (held := orphans(trade, orders)):
        due = entry.ended_at + TOGETHER  # children of an entry that was cut die with it, or are replaced
        if turn.at + EARLY < due:
            turn.again(trade, due, "orphans")
        else:
            # Those that nothing takes the place of are dropped below, those that are too large become smaller.
            names = {each.leg: each.qty for each in wanted}
            living = tuple(
                order
                for order in living
                if order.spec.ref not in held or order.sure > names.get(leg_of(order.spec.ref), 0)
            )
    missing: list[DesiredExit] = []
    waits = trade.yielded > 0 and yielding.holds_stops(trade, orders)
    for change in compare(wanted, living, turn.at):
        if waits and not isinstance(change, PlaceExit) and change.order.spec.type.is_stop and _gives(change):
            continue
        if isinstance(change, ChangeExit):
            _change(turn, trade, change)
        elif isinstance(change, DropExit):
            _drop(turn, trade, change.order)
        else:
            missing.append(change.exit)
    if turn.book(trade.plan.symbol).frozen and not trade.is_flattening:
        return trade
    return _place_missing(turn, trade, missing)


def _gives(change: ChangeExit | DropExit) -> bool:
    """Whether a change makes an exit smaller."""
    return isinstance(change, DropExit) or change.qty < change.order.spec.qty


def _split_off(turn: Turn, trade: Trade) -> Trade:
    """Give shares of a living leg that its stop lacks a leg of their own: no group ever grows.

    They came back (an execution was taken back), or could not be exposed when the leg was armed. On a live account the operator
    says what becomes of shares that came back, or that he left without a stop.
    """
    book = turn.book(trade.plan.symbol)
    if not trade.is_armed or trade.is_flattening or not book.agrees():
        return trade
    shares = leg_shares(trade, book.orders)
    for leg in trade.legs:
        extra = _lacking(trade, leg, shares[leg.number], book.orders)
        if not turn.desk.paper:
            exposed = max((order.placed for order in leg_orders(trade, leg, book.orders)), default=leg.qty)
            extra = min(extra, max(0, leg.qty - exposed))
        if not extra or leg.lack is None or leg.lack.qty != extra:
            trade = _note_lack(turn, trade, leg, extra)
            continue
        due = leg.lack.since + OLD  # what its target has sold pictures will have shown by then
        if turn.at + EARLY < due:
            turn.again(trade, due, "split")
        elif extra <= book.cap():
            number = trade.legs[-1].number + 1
            targets = orders_of(trade, f"tp{leg.number}", book.orders)
            tp = None if targets and targets[-1].by_operator else leg.tp  # what he cancelled stays away
            own = replace(leg, tp=tp, number=number, qty=extra, stop_limit=None, tried_at=None, lack=None)
            trade = with_leg(trade, replace(leg, qty=leg.qty - extra, lack=None))
            trade = replace(trade, legs=(*trade.legs, own))
            turn.put_trade(trade)
            return trade
    return trade


def _lacking(trade: Trade, leg: Leg, held: int, orders: dict[str, Order]) -> int:
    """Return the shares that a leg's waiting stop lacks, as far as nothing that is under way says why."""
    stops = [order for order in orders_of(trade, f"sl{leg.number}", orders) if order.state is OrderState.HELD]
    if not stops or stops[-1].changing or stops[-1].cancelling:
        return 0
    if any(awaited(order) for order in leg_orders(trade, leg, orders)):
        return 0
    return max(0, held - stops[-1].sure)


def _note_lack(turn: Turn, trade: Trade, leg: Leg, extra: int) -> Trade:
    """Keep since when a stop is too small, and let a picture say whether its target has sold: the broker may reduce it first."""
    lack = Lack(extra, turn.at) if extra else None
    if lack == leg.lack:
        return trade
    trade = with_leg(trade, replace(leg, lack=lack))
    turn.put_trade(trade)
    if lack is not None:
        turn.look_later(trade.plan.symbol)
        turn.again(trade, turn.at + OLD, "split")
    return trade


def _place_missing(turn: Turn, trade: Trade, missing: list[DesiredExit]) -> Trade:
    """Arm legs that never had exits, and tend those that lost them."""
    if not missing:
        return arming.arm(turn, trade, [])
    entry = _orders(turn, trade)[trade.refs[0]]
    fresh: list[tuple[Leg, tuple[DesiredExit, ...]]] = []
    for leg in trade.legs:
        exits = tuple(exit_ for exit_ in missing if leg_number(exit_.leg) == leg.number)
        history = [
            order for order in leg_orders(trade, leg, _orders(turn, trade)) if not ended_with(entry, order)
        ]
        if exits and not history:
            fresh.append((leg, exits))
        elif exits and not any(awaited(order) for order in history):  # executions on their way come first
            trade = incidents.tend(turn, trade, leg, exits)
    return arming.arm(turn, trade, fresh)


def _change(turn: Turn, trade: Trade, change: ChangeExit) -> None:
    order = change.order
    is_reduction = change.qty < order.spec.qty
    has_sibling = order.spec.oca_group is not None or order.spec.parent_ref is not None
    # An exit that joined its group later may not be among those that the broker reduces.
    joined_late = order.spec.oca_group is not None and not order.spec.oca_group.endswith(
        f":{order.spec.ref.rpartition(':')[2]}"
    )
    # What grew by a change of ours goes down at once; without one, an old word has come late.
    is_touched = order.is_ours and order.touched_at is not None and turn.at - order.touched_at < OLD
    is_calm_needed = is_reduction and has_sibling and not joined_late and not (order.grown and is_touched)
    if is_calm_needed and (due := _calm_at(turn, trade, order)) is not None:
        turn.again(trade, due, "calm")
        return
    if order.needs_new_group:  # a pair in a group of its own takes its place once both are gone
        turn.cancel(trade, order, "the broker does not change orders of its group")
        return
    words = "its shares are to be sold" if trade.yielded else "quantity follows the shares held"
    reason = words if is_reduction else "price as planned"
    if not is_reduction and change.stop != order.spec.stop and trade.milestone:
        reason = f"target {trade.milestone} reached"
    turn.modify(trade, moved(order, qty=change.qty, limit=change.limit, stop=change.stop), reason)


def _calm_at(turn: Turn, trade: Trade, order: Order) -> datetime | None:
    """Return when a total of ours crosses no reduction of the broker's own any more, ``None`` when that is over.

    An order that the broker has not shown since its sibling executed is looked at first: it may be smaller already.
    """
    since = sibling_executed_at(turn, trade, order)
    if since is None:
        return None
    if turn.at + EARLY < since + REDUCTION_PATIENCE:
        return since + REDUCTION_PATIENCE
    if order.unseen_since is None or turn.at + EARLY >= since + UNSEEN_PATIENCE:
        return None
    turn.look_again()
    return since + UNSEEN_PATIENCE


def sibling_just_executed(trade: Trade, order: Order, turn: Turn) -> bool:
    """Return whether the broker may be reducing this order itself right now: a total of ours would cross that."""
    at = sibling_executed_at(turn, trade, order)
    return at is not None and turn.at + EARLY < at + REDUCTION_PATIENCE


def sibling_executed_at(turn: Turn, trade: Trade, order: Order) -> datetime | None:
    """Return when another exit of the order's leg was last heard to execute."""
    number = leg_number(leg_of(order.spec.ref))
    others = (
        other
        for other in exits_of(trade, _orders(turn, trade))
        if other.spec.ref != order.spec.ref and leg_number(leg_of(other.spec.ref)) == number
    )
    return max((other.executed_at for other in others if other.executed_at is not None), default=None)


def _drop(turn: Turn, trade: Trade, order: Order) -> None:
    """Cancel an exit that nothing needs.

    When a sibling executed or the entry bought nothing, the broker gets its time to cancel by itself; when the shares went
    elsewhere, or are to be sold at the market, nobody else will do it.
    """
    orders = _orders(turn, trade)
    leg = find_leg(trade, order.spec.ref)
    if leg is not None and leg_shares(trade, orders)[leg.number] > 0:
        if leg.rung is Rung.ALARM and not trade.is_flattening:
            return  # nothing takes its place: its cancel would take a stop of its group along
        turn.cancel(
            trade,
            order,
            "its shares are to be sold" if trade.is_flattening else "another exit takes its place",
        )
        return
    since = sibling_executed_at(turn, trade, order)
    if since is None and fills_of(trade, orders).bought == 0:
        entry = orders[trade.refs[0]]
        # What was bought and taken back has released its children: the broker cancels none of them.
        since = None if entry.undone or entry.is_veiled else entry.ended_at
        if (
            order.state is OrderState.SENT and order.sent_at is not None
        ):  # it has just left; the answer comes first
            since = order.sent_at if since is None else max(since, order.sent_at)
    if since is not None and turn.at + EARLY < since + SIBLING_PATIENCE:
        turn.again(trade, since + SIBLING_PATIENCE, "drop")
        return
    turn.cancel(trade, order, "no share is left to protect")


# --- what is told -----------------------------------------------------------------------------------------------------


def _tell_protection(turn: Turn, trade: Trade) -> Trade:
    orders = _orders(turn, trade)
    state, held, covered = protection_state(trade, orders, turn.at)
    stuck_at = [at + STUCK + EARLY for order in exits_of(trade, orders) if (at := selling_since(order))]
    if any(turn.at < at for at in stuck_at):  # what sells by then is protected, what does not is told
        turn.again(trade, min(at for at in stuck_at if turn.at < at), "stuck")
    sale = yielding.since(trade, turn.book(trade.plan.symbol))
    selling_at = trade.flatten_at if sale is None else sale.room_at
    if state in ALARMING and selling_at is not None and held > 0:
        due = selling_at + UNCOVERED
        if turn.at + EARLY < due:  # they are being sold, as was asked for: an alarm only when that takes long
            turn.again(trade, due, "flatten")
            state = "ARMING"
    short = max(0, -held) if state == "OVERSOLD" else 0
    if state != trade.protection or short > trade.short:
        alarm_at = turn.at + ALARM_EVERY if state in ALARMING else None
        trade = replace(trade, protection=state, short=short, alarm_at=alarm_at)
        turn.put_trade(trade)
        turn.say(
            LadderProtectionStateChanged(
                symbol=trade.plan.symbol,
                watch=trade.id,
                state=state,
                held=held,
                protected=covered,
                selling=_selling(trade, orders),
            )
        )
        if state == "OVERSOLD":
            _freeze(turn, trade, f"{-held} shares more were sold than {trade.id} bought")
        if trade.alarm_at is not None:
            turn.again(trade, trade.alarm_at, "alarm")
    elif trade.alarm_at is not None and turn.at + EARLY >= trade.alarm_at:
        due = turn.at + (ALARM_AT_NIGHT if is_closed(trade, turn.at) else ALARM_EVERY)
        trade = replace(trade, alarm_at=due)
        turn.put_trade(trade)
        turn.again(trade, due, "alarm")
        turn.say(
            ProtectionAlarm(
                symbol=trade.plan.symbol, watch=trade.id, state=state, held=held, protected=covered
            )
        )
    return trade


def _selling(trade: Trade, orders: dict[str, Order]) -> int:
    """Return the shares that working orders at the market are selling."""
    working = (order for order in exits_of(trade, orders) if order.state is OrderState.WORKING)
    return sum(order.sure for order in working if order.spec.type is OrderType.MARKET)


def _repeat_short(turn: Turn, trade: Trade) -> Trade:
    """Repeat the alarm of a trade that has sold too much and is over, while the account is short and nobody has acted."""
    if trade.alarm_at is None or (turn.at + EARLY < trade.alarm_at and _is_short(turn, trade)):
        return trade
    due = turn.at + (ALARM_AT_NIGHT if is_closed(trade, turn.at) else ALARM_EVERY)
    trade = replace(trade, alarm_at=due if _is_short(turn, trade) else None)
    turn.put_trade(trade)
    if trade.alarm_at is not None:
        turn.again(trade, trade.alarm_at, "alarm")
        held = inventory(trade, _orders(turn, trade))
        turn.say(ProtectionAlarm(
            symbol=trade.plan.symbol, watch=trade.id, state=trade.protection, held=held, protected=0
        ))  # fmt: skip
    return trade


def _is_short(turn: Turn, trade: Trade) -> bool:
    """Whether the account is short in the symbol, it is frozen for that, and this trade has sold more than it bought."""
    book = turn.book(trade.plan.symbol)
    return trade.protection == "OVERSOLD" and bool(book.frozen) and book.expected() < 0


def _freeze(turn: Turn, trade: Trade, reason: str) -> None:
    book = turn.book(trade.plan.symbol)
    if not book.frozen:
        turn.put_book(trade.plan.symbol, replace(book, frozen=reason))
        turn.say(SymbolFrozen(symbol=trade.plan.symbol, watch=trade.id, reason=reason))


def _close_if_over(turn: Turn, trade: Trade) -> Trade:
    orders = _orders(turn, trade)
    entry = entry_of(trade, orders)
    exits = exits_of(trade, orders)
    if entry is None or not is_over(entry) or live(exits) or any(awaited(order) for order in exits):
        return trade
    fills = fills_of(trade, orders)
    held = inventory(trade, orders)
    is_early = fills.sold > fills.bought == 0 and not has_bought(entry)
    if held > 0 or is_early:  # an exit may execute before the entry's execution arrives
        return trade
    if trade.plan.side is Side.SELL or fills.bought == 0:
        reason = (
            "done" if entry.filled else entry.cancel_reason or FINAL_WORDS.get(entry.state, entry.state.value)
        )
    else:
        reason = "trade_closed"
    was_flattening = trade.is_flattening
    alarm_at = trade.alarm_at if _is_short(turn, trade) else None
    trade = replace(trade, phase=TradePhase.CLOSED, end_reason=reason, flatten_at=None, alarm_at=alarm_at)
    turn.put_trade(trade)
    if trade.plan.side is Side.BUY and fills.sold > 0 and fills.bought > 0:
        _tell_result(turn, trade)
    book = turn.book(trade.plan.symbol)
    others = sum(inventory(each, book.orders) for each in book.trades.values())
    if was_flattening and others <= 0 and not any(each.is_flattening for each in book.trades.values()):
        turn.say(FlattenCompleted(symbol=trade.plan.symbol, watch=trade.id, left=book.foreign()))
    return trade


def _tell_result(turn: Turn, trade: Trade) -> None:
    fills = fills_of(trade, _orders(turn, trade))
    entry, exit_ = fills.paid / fills.bought, fills.received / fills.sold
    pnl = fills.received - entry * fills.sold
    r: Decimal | None = None
    if trade.plan.sl is not None and entry > trade.plan.sl:
        r = ((exit_ - entry) / (entry - trade.plan.sl)).quantize(Decimal("0.0001"))
    turn.say(
        TradeClosed(
            symbol=trade.plan.symbol,
            watch=trade.id,
            qty=fills.sold,
            entry=entry,
            exit=exit_,
            pnl=pnl,
            fees=trade.fees,
            r=r,
        )
    )
