"""One trade attempt: its plan, its orders, its legs, and how much of it is protected.

Laws: a trade never sends; it says which exits are desired. Its inventory is what its own entry executed, less what its exits
executed, less what was taken from it by other sells. Executions alone move it. A leg is a pair of exits over some of the shares;
shares that arrive late get a leg of their own. What other sells or the cover stop took is missing from the leg with the nearest
target first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from tradeshell.core.market import Bar, Instrument, Price, Session, Shares
from tradeshell.core.orders import Order, OrderState, OrderType, Side, order_ref, parse_ref
from tradeshell.core.plan import TradePlan

ENTRY = "entry"
SALE = "sell"
COVER = "cover"

# Children that ended this long after their entry ended because of it; later ones ended for a reason of their own.
TOGETHER = timedelta(seconds=2)
STUCK = timedelta(seconds=2)  # an elected stop or market order that has not sold after this protects nothing
UNCOVERED = timedelta(seconds=10)  # after this shares without a stop are no longer just being armed


class TradePhase(StrEnum):
    """Where a trade stands."""

    ASKING = "asking"  # triggered; waiting for the touch that decides the entry
    ENTERING = "entering"  # the entry is in flight or working
    OPEN = "open"  # the entry is over and shares are held
    CLOSED = "closed"  # nothing is held and nothing works; late news opens it again


class Rung(StrEnum):
    """How far the protection of a leg has come down."""

    PAIR = "pair"  # its target and its stop, as planned
    EMERGENCY = "emergency"  # a plain stop, no target
    FLATTEN = "flatten"  # sold at the market
    ALARM = "alarm"  # nothing but an alarm that repeats, and a try a minute


class Lack(Struct, frozen=True):
    """Shares of a leg that its stop lacks, and since when it lacks just so many."""

    qty: Shares
    since: datetime


class Leg(Struct, frozen=True):
    """A pair of exits, ``sl<number>`` and ``tp<number>``, over ``qty`` shares of the entry. Prices USD.

    ``step`` is the target of the plan that it follows: leg 4 of a ladder (shares that came late) follows step 1, 2 or 3.
    """

    number: int
    qty: Shares
    step: int = 1
    tp: Price | None = None
    stop: Price | None = None
    stop_limit: Price | None = None  # a limit that somebody gave the stop
    rung: Rung = Rung.PAIR
    tried_at: datetime | None = None  # when its protection was last replaced
    has_room: bool = (
        False  # a target of another leg was given up so that its stop fits under the broker's limit
    )
    postponed: Price | None = None  # where its stop belongs and would be elected at once
    lack: Lack | None = None  # what its stop is smaller than what it holds, without a reason that is known


class Trade(Struct, frozen=True, kw_only=True):
    """One attempt. ``refs`` are all orders ever sent for it, entry first."""

    id: str
    origin: str
    plan: TradePlan
    instrument: Instrument
    phase: TradePhase
    asked_at: datetime
    bar: Bar | None = None
    refs: tuple[str, ...] = ()
    legs: tuple[Leg, ...] = ()
    session: Session | None = None  # trading hours of the entry's day
    filled_at: datetime | None = None  # when the entry was first heard to execute
    taken: Shares = 0
    yielded: Shares = 0  # of what it bought, what its legs gave away for typed sales, or had lost before that
    protection: str = "FLAT"
    short: Shares = 0  # shares sold beyond its own that were told
    fees: Decimal = Decimal(0)
    confirmed: Shares = 0
    cancel_wanted: str = ""  # why the entry is to be cancelled, while that has not happened
    flat_at: datetime | None = None  # when its shares are sold, whatever they bring
    flatten_at: datetime | None = (
        None  # since when its shares are to be sold: the operator asked, or it was time
    )
    is_armed: bool = False  # every leg has had its exits
    is_unconfirmed: bool = False  # the broker did not confirm the shares in time
    milestone: int = 0  # targets that were told to be reached
    asked_raise_at: datetime | None = None  # when a touch was last asked for to raise stops
    priced_at: datetime | None = None  # when the touch was last asked for that prices a sale
    is_priced: bool = False
    flat_limit: Price | None = None  # the limit of a sale outside regular hours; ``None``: the market
    alarm_at: datetime | None = None  # when the alarm about its protection is told again
    room_at: datetime | None = None  # of a sale: when exits had to become smaller for it
    free_at: datetime | None = None  # of such a sale: when they were, and the touch was asked for again
    end_reason: str = ""

    @property
    def is_flattening(self) -> bool:
        """Whether its shares are to be sold at the market."""
        return self.flatten_at is not None


class Fills(Struct, frozen=True):
    """What a trade's orders have executed: shares and USD notional in and out."""

    bought: Shares
    paid: Decimal
    sold: Shares
    received: Decimal


def first_leg(plan: TradePlan) -> str:
    """Return the leg of the order that starts a trade: ``entry``, or ``sell`` for one that only sells."""
    return ENTRY if plan.side is Side.BUY else SALE


def is_exit(trade: Trade, ref: str) -> bool:
    """Return whether ``ref`` is one of the trade's exits."""
    return ref in trade.refs[1:]


@lru_cache(maxsize=4096)
def leg_of(ref: str) -> str:
    """Return the leg's name (``entry``, ``tp1``, ``sl1``) in one of our orderRefs."""
    parts = parse_ref(ref)
    return "" if parts is None else parts.leg


def watch_of(ref: str) -> str:
    """Return the id of the watcher or trade in one of our orderRefs."""
    parts = parse_ref(ref)
    return "" if parts is None else parts.watch


def entry_of(trade: Trade, orders: Mapping[str, Order]) -> Order | None:
    """Return the trade's entry order, ``None`` before it was sent."""
    return orders[trade.refs[0]] if trade.refs else None


def exits_of(trade: Trade, orders: Mapping[str, Order]) -> tuple[Order, ...]:
    """Return every exit ever sent for the trade."""
    return tuple(orders[ref] for ref in trade.refs[1:])


def fills_of(trade: Trade, orders: Mapping[str, Order]) -> Fills:
    """Return the sums over the trade's executions."""
    entry = entry_of(trade, orders)
    exits = exits_of(trade, orders)
    return Fills(
        bought=0 if entry is None else entry.filled,
        paid=Decimal(0) if entry is None else entry.notional,
        sold=sum(order.filled for order in exits),
        received=sum((order.notional for order in exits), Decimal(0)),
    )


def inventory(trade: Trade, orders: Mapping[str, Order]) -> Shares:
    """Return the shares the trade owns by its executions; 0 for a trade that only sells."""
    if trade.plan.side is Side.SELL:
        return 0
    fills = fills_of(trade, orders)
    return fills.bought - fills.sold - trade.taken


def awaited(order: Order) -> Shares:
    """Return the shares that statuses claim to be filled and whose executions have not arrived."""
    return max(0, order.told_filled - order.untrue - order.done)


def is_over(order: Order | None) -> bool:
    """Return whether an order is final *and* every execution it was told about has arrived."""
    return order is not None and not order.state.is_live and awaited(order) == 0


@lru_cache(maxsize=256)
def leg_number(name: str) -> int:
    """Return the number in a leg's name (``tp2`` -> 2), 0 for ``entry``, ``sell`` and ``cover``."""
    digits = name.lstrip("abcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits.isdigit() else 0


def orders_of(trade: Trade, name: str, orders: Mapping[str, Order]) -> tuple[Order, ...]:
    """Return every order ever sent under a leg's name (``sl1``, ``cover``), oldest first."""
    return tuple(orders[ref] for ref in trade.refs[1:] if leg_of(ref) == name)


def leg_orders(trade: Trade, leg: Leg, orders: Mapping[str, Order]) -> tuple[Order, ...]:
    """Return every exit ever sent for a leg."""
    return tuple(orders[ref] for ref in trade.refs[1:] if leg_number(leg_of(ref)) == leg.number)


def leg_shares(trade: Trade, orders: Mapping[str, Order]) -> dict[int, Shares]:
    """Return the shares still held in each leg, by number.

    What others and the cover stop sold is missing first from shares that legs gave away, then where no stop ever worked for it:
    no stop ends for that. While an entry works again the cover sells what that has bought beyond the legs.
    """
    entry = entry_of(trade, orders)
    bare = 0 if entry is None or is_over(entry) else entry.filled - sum(leg.qty for leg in trade.legs)
    left = {leg.number: leg.qty for leg in trade.legs}
    exposed = dict.fromkeys(left, 0)
    lost = trade.taken
    for ref in trade.refs[1:]:
        number, order = leg_number(leg_of(ref)), orders[ref]
        if number in left:
            left[number] -= order.filled
            if order.state is not OrderState.REFUSED and not leg_of(ref).startswith("tp"):
                exposed[number] = max(exposed[number], order.placed)
        else:  # the cover stop sold for all of them
            part = min(order.filled, max(0, bare))
            bare -= part
            lost += order.filled - part
    lost = max(0, lost + sum(-qty for qty in left.values() if qty < 0) - trade.yielded)
    if lost:
        for leg in trade.legs:
            bare = min(lost, max(0, left[leg.number]), max(0, leg.qty - exposed[leg.number]))
            left[leg.number] -= bare
            lost -= bare
    for number in sorted(left):
        held = max(0, left[number])
        left[number] = held - min(lost, held)
        lost -= min(lost, held)
    return left


def most(trade: Trade, order: Order, orders: Mapping[str, Order]) -> Shares:
    """Return the largest total that a change may ask for: what the order sold and what its leg still holds.

    While the entry works its children keep the totals they were staged with.
    """
    if not is_exit(trade, order.spec.ref) or not is_over(entry_of(trade, orders)):
        return order.spec.qty
    name = leg_of(order.spec.ref)
    held = inventory(trade, orders) if name == COVER else leg_shares(trade, orders).get(leg_number(name), 0)
    return min(order.spec.qty, order.done + max(0, held))


def ended_with(entry: Order, child: Order) -> bool:
    """Return whether a child ended unused because its entry was cut: nobody has to explain that."""
    is_child = child.spec.parent_ref is not None and child.filled == 0 and not child.cancel_reason
    if not is_child or not entry.was_cut or child.ended_at is None or entry.ended_at is None:
        return False
    return child.ended_at <= entry.ended_at + TOGETHER


def has_bought(entry: Order) -> bool:
    """Return whether all that an entry executed is known, also when it was taken back: an exit's word may come earlier."""
    return is_over(entry) and (entry.done > 0 or entry.untrue > 0 or entry.executed_at is not None)


def begun(trade: Trade) -> frozenset[int]:
    """Return the numbers of the legs that have had exits sent for them; a cover stop is none."""
    return frozenset(leg_number(leg_of(ref)) for ref in trade.refs[1:]) - {0}


def has_legs(trade: Trade, orders: Mapping[str, Order]) -> bool:
    """Return whether the legs have exits of their own: the entry is over, or it came back to life after they were armed."""
    if is_over(entry_of(trade, orders)):
        return True
    return trade.plan.mode.is_detached and bool(begun(trade))


def orphans(trade: Trade, orders: Mapping[str, Order]) -> frozenset[str]:
    """Return the living children of an entry that was cut after a part of it had filled: some brokers hold them for ever.

    When the rest filled late, children of which one works were released as usual.
    """
    entry = entry_of(trade, orders)
    if entry is None or not entry.was_cut or entry.filled == 0:
        return frozenset()
    children = [order for order in live(exits_of(trade, orders)) if order.spec.parent_ref is not None]
    is_full = entry.filled >= entry.spec.qty
    if is_full and any(child.state is OrderState.WORKING or child.filled for child in children):
        return frozenset()
    return frozenset(child.spec.ref for child in children)


def find_leg(trade: Trade, ref: str) -> Leg | None:
    """Return the leg that an exit belongs to, ``None`` for the entry, the cover, and before the legs are known."""
    number = leg_number(leg_of(ref))
    return next((leg for leg in trade.legs if leg.number == number), None)


def with_leg(trade: Trade, leg: Leg) -> Trade:
    """Return the trade with one leg put in its place."""
    return replace(trade, legs=tuple(leg if each.number == leg.number else each for each in trade.legs))


def generation(trade: Trade, leg: str) -> int:
    """Return the next generation number of ``leg``."""
    return 1 + sum(1 for ref in trade.refs if leg_of(ref) == leg)


def new_ref(trade: Trade, leg: str) -> str:
    """Return the orderRef of the next order of ``leg``."""
    return order_ref(trade.id, leg, generation(trade, leg))


def protected(trade: Trade, orders: Mapping[str, Order], at: datetime | None = None) -> Shares:
    """Return the shares that a living stop (or a market order that sells them) protects.

    An order in flight does not count yet, one that a complete picture lacked no longer, an elected stop or a market order that
    does not sell protects nothing, nor does a child whose entry still works: the broker holds it.
    """
    is_over_ = has_legs(trade, orders)
    shares = leg_shares(trade, orders) if is_over_ else {}
    covered = 0
    by_leg: dict[int, Shares] = {}
    held = orphans(trade, orders)
    for order in exits_of(trade, orders):
        works = order.state in (OrderState.HELD, OrderState.WORKING) and order.absent_at is None
        rests = order.state is OrderState.HELD
        works = works and not (rests and order.spec.type is OrderType.MARKET)
        works = works and not (rests and order.spec.ref in held)
        if (
            not works
            or not (order.spec.type.is_stop or order.spec.type is OrderType.MARKET)
            or is_stuck(order, at)
        ):
            continue
        number = leg_number(leg_of(order.spec.ref))
        if number == 0:
            covered += order.sure
        elif is_over_:
            by_leg[number] = by_leg.get(number, 0) + order.sure
    covered += sum(min(shares.get(number, 0), qty) for number, qty in by_leg.items())
    if trade.yielded:  # stops are still as large as they were, or a sale that came to nothing left them so
        spare = sum(max(0, qty - shares.get(number, 0)) for number, qty in by_leg.items())
        covered += max(0, min(spare, inventory(trade, orders) - sum(shares.values())))
    return covered


def selling_since(order: Order) -> datetime | None:
    """Return since when an exit ought to be selling: an elected stop, or a market order that works; ``None`` for others."""
    if order.state is not OrderState.WORKING:
        return None
    return order.sent_at if order.spec.type is OrderType.MARKET else order.elected_at


def is_stuck(order: Order, at: datetime | None) -> bool:
    """Return whether an exit ought to have sold for so long that it protects nothing."""
    since = selling_since(order)
    return at is not None and since is not None and at - since > STUCK


def protection_state(
    trade: Trade, orders: Mapping[str, Order], at: datetime | None = None
) -> tuple[str, Shares, Shares]:
    """Return the protection state and the shares held and protected. ``NONE``: no stop was asked for."""
    held = inventory(trade, orders)
    entry = entry_of(trade, orders)
    if held < 0 and entry is not None and has_bought(entry):
        return "OVERSOLD", held, 0
    if held <= 0:
        return "FLAT", 0, 0
    if trade.plan.sl is None and not trade.is_flattening:
        return "NONE", held, 0
    covered = min(held, protected(trade, orders, at))
    if covered >= held:
        return ("DEFERRED" if is_closed(trade, at) else "PROTECTED"), held, covered
    exits = exits_of(trade, orders)
    if any(is_stuck(order, at) for order in exits) or any(leg.rung is not Rung.PAIR for leg in trade.legs):
        return "EMERGENCY", held, covered
    flying = any(order.spec.type.is_stop and order.state is OrderState.SENT for order in exits)
    since = trade.filled_at if entry is None or entry.ended_at is None else entry.ended_at
    is_new = at is None or since is None or at - since < UNCOVERED
    if flying or (is_new and not trade.is_armed):
        return "ARMING", held, covered
    return ("PARTIAL" if covered else "UNPROTECTED"), held, covered


def is_closed(trade: Trade, at: datetime | None) -> bool:
    """Whether the trade's orders rest because their hours are over."""
    session = trade.session
    if at is None or session is None:
        return False
    return not (session.is_extended(at) if trade.plan.outside_rth else session.is_regular(at))


def live(orders: Iterable[Order]) -> tuple[Order, ...]:
    """Return the orders that may still fill."""
    return tuple(order for order in orders if order.state.is_live)
