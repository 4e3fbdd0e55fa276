"""Incidents: exits that vanished, were refused, or do not sell.

Laws: first the truth (pictures that agree), then a replacement, then an emergency stop, then the market (on paper, or where the
operator allows it live), and an alarm that repeats when nothing more is tried. Quantity that vanished is not used again before
its end is explained. The last living exit is only given up when keeping it could sell shares twice. What the operator cancelled
stays cancelled; what somebody cancels at the broker is replaced once, then not fought over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from tradeshell.core import hours
from tradeshell.core.arming import place_pair
from tradeshell.core.cap import exposures, group_of, is_open_question
from tradeshell.core.diff import rests
from tradeshell.core.exit_events import IncidentStepTaken, LadderStopLossCancelled, LadderTakeProfitLost
from tradeshell.core.exits import DesiredExit, exit_pair
from tradeshell.core.orders import Order, OrderState
from tradeshell.core.trade import (
    Leg,
    Rung,
    Trade,
    ended_with,
    find_leg,
    leg_of,
    leg_orders,
    leg_shares,
    live,
    orders_of,
    with_leg,
)
from tradeshell.core.turn import EARLY, PICTURE_OVERDUE, Turn

EXECUTION_FIRST = timedelta(seconds=0.5)  # an OCA cancel may come before the fill that caused it
TOO_MANY = "maximum number of"  # IBKR's words when 20 orders of a side work already
WINDOW = timedelta(seconds=60)
REPLACEMENTS = 3  # a leg's stops that may fail within the window
CUTS = 2  # cancels by somebody else that are not fought over any more
ONE_TRY = timedelta(seconds=1)  # between two protective attempts of a leg
AGAIN = timedelta(seconds=60)  # between two tries after everything failed


def seek_explanation(turn: Turn, trade: Trade) -> None:
    """Ask for pictures while shares of our sells ended without a word that explains it."""
    orders = turn.book(trade.plan.symbol).orders
    for ref in trade.refs:
        order = orders[ref]
        if order.lost_at == turn.at and is_open_question(order, orders):
            if hours.has_expired(order, trade):
                turn.put_order(replace(order, is_expired=True))
            elif order.state is OrderState.REFUSED and not order.is_buried:
                turn.bury(trade, order)
            turn.look_again()
            turn.timer("picture", PICTURE_OVERDUE.total_seconds())


def tend(turn: Turn, trade: Trade, leg: Leg, missing: tuple[DesiredExit, ...]) -> Trade:
    """Take the next step for a leg that had exits and lacks ``missing`` ones."""
    orders = turn.book(trade.plan.symbol).orders
    entry = orders[trade.refs[0]]
    history = [order for order in leg_orders(trade, leg, orders) if not ended_with(entry, order)]
    if all(exit_.leg.startswith("tp") for exit_ in missing):
        return _replace_target(turn, trade, leg, missing[0], history)
    return _replace_stop(turn, trade, leg, history)


def _replace_stop(turn: Turn, trade: Trade, leg: Leg, history: list[Order]) -> Trade:
    orders = turn.book(trade.plan.symbol).orders
    gone = [order for order in history if not order.state.is_live and order.lost_at is not None]
    stops = [
        order for order in gone if leg_of(order.spec.ref).startswith("sl") and not _gave_way(order, history)
    ]
    sales = [order for order in gone if leg_of(order.spec.ref).startswith("flat")]
    is_selling = leg.rung is Rung.FLATTEN or trade.is_flattening
    if stops and not is_selling and stops[-1].by_operator:
        return trade
    if stops and not is_selling and stops[-1].is_expired and not hours.may_rearm(turn, trade, stops[-1]):
        return trade
    since = max((order.lost_at for order in gone if order.lost_at is not None), default=turn.at)
    if stops and turn.at + EARLY < since + EXECUTION_FIRST and not is_selling:
        turn.again(trade, since + EXECUTION_FIRST, f"stop{leg.number}")
        return trade
    trade = _tell_gone(turn, trade, leg, stops)
    living = live(history)
    for order in living:  # its answer is evidence: a sibling that can be cancelled has not been filled
        if not order.cancelling and not rests(order, turn.at):
            words = (
                "its entry ended early, and held children protect nothing"
                if order.spec.type.is_stop
                else "its stop is gone"
            )
            turn.cancel(trade, order, "its shares are to be sold" if is_selling else words)
    if living:
        return trade
    groups = {group_of(order) for order in history}
    if any(shares for key, shares in exposures(orders).items() if key in groups):
        return trade  # pictures are under way
    return _next_attempt(turn, trade, leg, stops, sales)


def _tell_gone(turn: Turn, trade: Trade, leg: Leg, stops: list[Order]) -> Trade:
    """Tell the loss of a stop once, and that pictures are looked at first."""
    if not stops or stops[-1].is_mourned or stops[-1].cancel_reason:
        return trade
    last = stops[-1]
    held = leg_shares(trade, turn.book(trade.plan.symbol).orders)[leg.number]
    turn.put_order(replace(last, is_mourned=True))
    who = {"symbol": trade.plan.symbol, "watch": trade.id, "leg": f"sl{leg.number}"}
    turn.say(
        LadderStopLossCancelled(
            **who, order_ref=last.spec.ref, held=held, reason=last.why or last.cancel_reason
        )
    )
    turn.say(IncidentStepTaken(**who, rung="barrier", held=held))
    return trade


def _next_attempt(turn: Turn, trade: Trade, leg: Leg, stops: list[Order], sales: list[Order]) -> Trade:
    """Everything of the leg has ended and is explained: replace it, one rung lower when that has failed."""
    pause = ONE_TRY * 2 ** min(len(sales), 5)
    if leg.tried_at is not None and turn.at + EARLY < leg.tried_at + pause:
        turn.again(trade, leg.tried_at + pause, f"stop{leg.number}")
        return trade
    rung, reason = _rung(turn, trade, leg, stops)
    if rung is Rung.PAIR and stops and TOO_MANY in stops[-1].why:
        victim = None if leg.has_room else _dispensable(turn, trade, leg)
        if victim is not None:
            return _make_room(turn, trade, leg, victim)
        rung, reason = Rung.EMERGENCY, "the broker takes no more orders on this side"
    orders = turn.book(trade.plan.symbol).orders
    held = leg_shares(trade, orders)[leg.number]
    who = {"symbol": trade.plan.symbol, "watch": trade.id, "leg": f"sl{leg.number}"}
    if rung is Rung.ALARM:
        if leg.rung is not Rung.ALARM:
            trade = with_leg(trade, replace(leg, rung=rung, tried_at=turn.at))
            turn.put_trade(trade)
            turn.say(IncidentStepTaken(**who, rung="alarm", held=held, reason=reason))
        elif leg.tried_at is not None and not is_cut(stops, leg_orders(trade, leg, orders)):
            if turn.at + EARLY < leg.tried_at + AGAIN:
                turn.again(trade, leg.tried_at + AGAIN, f"stop{leg.number}")
                return trade
            return _send(turn, trade, replace(leg, tried_at=turn.at), held)
        return trade
    return _send(turn, trade, replace(leg, rung=rung, tried_at=turn.at), held, reason)


def _dispensable(turn: Turn, trade: Trade, leg: Leg) -> Leg | None:
    """Return the other leg with the farthest target that nothing has executed of yet; a stop is worth more than a target."""
    orders = turn.book(trade.plan.symbol).orders
    for other in reversed(trade.legs):
        living = live(orders_of(trade, f"tp{other.number}", orders))
        if other.number != leg.number and other.tp is not None and living and living[-1].filled == 0:
            return other
    return None


def _make_room(turn: Turn, trade: Trade, leg: Leg, victim: Leg) -> Trade:
    """Give a target up, so that the stop of ``leg`` fits under the broker's limit of orders."""
    orders = turn.book(trade.plan.symbol).orders
    target = live(orders_of(trade, f"tp{victim.number}", orders))[-1]
    trade = with_leg(trade, replace(victim, tp=None))
    trade = with_leg(trade, replace(leg, has_room=True, tried_at=turn.at))
    turn.put_trade(trade)
    if not target.cancelling:
        turn.cancel(trade, target, f"it makes room for the stop of leg {leg.number}")
    turn.again(trade, turn.at + ONE_TRY, f"stop{leg.number}")
    return trade


def _send(turn: Turn, trade: Trade, leg: Leg, held: int, reason: str = "") -> Trade:
    """Send the leg's exits as its rung says, once the cap allows it; a target that the operator cancelled stays away."""
    if turn.book(trade.plan.symbol).room(trade) < held:
        turn.look_later(trade.plan.symbol)
        turn.again(trade, turn.at + ONE_TRY, f"stop{leg.number}")
        return trade
    before = next(each for each in trade.legs if each.number == leg.number)
    if leg.rung is not before.rung or leg.rung is Rung.PAIR:
        words = {Rung.PAIR: "replacement", Rung.EMERGENCY: "emergency", Rung.FLATTEN: "flatten"}
        turn.say(
            IncidentStepTaken(
                symbol=trade.plan.symbol,
                watch=trade.id,
                leg=f"sl{leg.number}",
                rung=words.get(leg.rung, "emergency"),
                held=held,
                reason=reason,
            )
        )
    trade = with_leg(trade, leg)
    turn.put_trade(trade)
    targets = orders_of(trade, f"tp{leg.number}", turn.book(trade.plan.symbol).orders)
    exits = exit_pair(trade, leg, held)
    if targets and targets[-1].by_operator:
        exits = tuple(exit_ for exit_ in exits if not exit_.leg.startswith("tp"))
    return place_pair(turn, trade, exits)


def _rung(turn: Turn, trade: Trade, leg: Leg, stops: list[Order]) -> tuple[Rung, str]:
    """Return how the leg is protected next, and why."""
    may_flatten = turn.desk.paper or turn.desk.policy.flatten_live
    if trade.is_flattening or leg.rung is Rung.FLATTEN:
        return Rung.FLATTEN, ""
    if leg.rung is Rung.ALARM:
        return Rung.ALARM, ""
    if is_cut(stops, leg_orders(trade, leg, turn.book(trade.plan.symbol).orders)):
        return Rung.ALARM, "somebody else cancelled its stop twice"
    if leg.rung is Rung.EMERGENCY:
        if may_flatten:
            return Rung.FLATTEN, "the emergency stop failed too"
        return Rung.ALARM, "the emergency stop failed too; a live account is not sold out by itself"
    if _failed(stops, turn.at) >= REPLACEMENTS:
        return Rung.EMERGENCY, f"{REPLACEMENTS} stops failed within a minute"
    return Rung.PAIR, ""


def _gave_way(stop: Order, history: list[Order]) -> bool:
    """Whether a stop ended because its target executed, as it should; that an execution was taken back later is nobody's cut."""
    group = group_of(stop)
    return any(o is not stop and group_of(o) == group and o.told_filled >= stop.left > 0 for o in history)


def _failed(stops: list[Order], at: datetime) -> int:
    """Return how many of a leg's stops ended within the window without our asking."""
    return sum(
        1
        for order in stops
        if order.lost_at is not None
        and at - order.lost_at < WINDOW
        and not (order.cancel_reason or order.is_expired)
    )


def is_cut(stops: list[Order], members: tuple[Order, ...]) -> bool:
    """Whether somebody else has cancelled the leg's stop as often as is answered; a group ends with what fills in it."""
    filled = {group_of(order) for order in members if order.state is OrderState.FILLED}
    cut = [
        o
        for o in stops
        if o.state is OrderState.CANCELLED and o.was_told and not (o.cancel_reason or o.is_probed)
        if not (o.is_expired or _went_along(o, members))
        if group_of(o) not in filled
    ]
    return len(cut) >= CUTS


def _went_along(stop: Order, members: tuple[Order, ...]) -> bool:
    """Whether a stop ended after we had asked to cancel its sibling: some brokers take the whole group along."""
    ended_at = stop.lost_at
    return ended_at is not None and any(
        member.cancel_reason and member.touched_at is not None and member.touched_at <= ended_at
        for member in members
        if member is not stop and group_of(member) == group_of(stop)
    )


def _replace_target(turn: Turn, trade: Trade, leg: Leg, wanted: DesiredExit, history: list[Order]) -> Trade:
    """A target is missing beside its living stop: send it once more into the same group, then only tell."""
    orders = turn.book(trade.plan.symbol).orders
    targets = [order for order in history if leg_of(order.spec.ref).startswith("tp")]
    stops = [order for order in history if order.state.is_live and order.spec.type.is_stop]
    if not targets or targets[-1].by_operator:
        return trade
    last = targets[-1]
    if last.state.is_live:  # a child that the broker holds although its entry is over
        if not last.cancelling and not rests(last, turn.at):
            turn.cancel(trade, last, "its entry ended early, and held children sell nothing")
        return trade
    if last.lost_at is None or turn.at + EARLY < last.lost_at + EXECUTION_FIRST:
        if last.lost_at is not None:
            turn.again(trade, last.lost_at + EXECUTION_FIRST, f"target{leg.number}")
        return trade
    if is_open_question(last, orders):
        return trade  # pictures are under way
    if not last.is_mourned:
        turn.put_order(replace(last, is_mourned=True))
        turn.say(
            LadderTakeProfitLost(
                symbol=trade.plan.symbol,
                watch=trade.id,
                leg=f"tp{leg.number}",
                order_ref=last.spec.ref,
                reason=last.why or last.cancel_reason,
            )
        )
    if leg.stop is None and len(targets) == 1 and turn.book(trade.plan.symbol).cap() >= wanted.qty:
        return place_pair(turn, trade, (wanted,))
    if (
        len(targets) > 1
        or not stops
        or stops[-1].spec.oca_group is None
        or stops[-1].state is not OrderState.HELD
    ):
        return trade
    return place_pair(turn, trade, (wanted,), stops[-1].spec.oca_group)


def tend_stuck(turn: Turn, trade: Trade, order: Order) -> Trade:
    """An elected stop has come down as far as it may and does not sell: the market takes the rest, where that is allowed."""
    leg = find_leg(trade, order.spec.ref)
    if leg is None or leg.rung in (Rung.FLATTEN, Rung.ALARM):
        return trade
    allowed = turn.desk.paper or turn.desk.policy.flatten_live
    held = leg_shares(trade, turn.book(trade.plan.symbol).orders)[leg.number]
    trade = with_leg(trade, replace(leg, rung=Rung.FLATTEN if allowed else Rung.ALARM, tried_at=turn.at))
    turn.put_trade(trade)
    turn.say(
        IncidentStepTaken(
            symbol=trade.plan.symbol,
            watch=trade.id,
            leg=f"sl{leg.number}",
            rung="flatten" if allowed else "alarm",
            held=held,
            reason="its stop is elected and finds no buyer within 3 % of it",
        )
    )
    return trade
