"""Sessions that no record knows, read from the refs of their orders and executions. Pure.

Laws: what nobody says is not guessed: a session without today's executions of its entry, or with a target of no known price, is
shown and not offered.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import ROUND_UP, Decimal

from msgspec import Struct

from tradeshell import (
    CompletedOrder,
    ExecutionReport,
    ExitMode,
    OrderType,
    Price,
    Shares,
    Side,
    StandingOrder,
    TakeUp,
    Tif,
    TradePlan,
    parse_ref,
)

CENT = Decimal("0.01")
MODES = {1: ExitMode.ATTACHED, 2: ExitMode.DETACHED70}


class Session(Struct, frozen=True, kw_only=True):
    """What the broker has of a session: its living orders, its executions and the orders of it that ended today."""

    id: str
    symbol: str
    account: str
    orders: tuple[StandingOrder, ...]
    executions: tuple[ExecutionReport, ...]
    ended: tuple[CompletedOrder, ...] = ()

    @property
    def exits(self) -> tuple[StandingOrder, ...]:
        """Its living sells."""
        return tuple(order for order in self.orders if order.side is Side.SELL)

    @property
    def held(self) -> Shares:
        """The shares that today's executions make, at least what its exits work for."""
        net = sum(each.side.sign * each.qty for each in self.executions)
        return max(net, largest(self.exits))

    @property
    def protected(self) -> Shares:
        """The shares of its living stops."""
        return largest(order for order in self.exits if order.stop is not None)


def watch_of(ref: str) -> str:
    """Return whose session a ref belongs to, empty for anybody else's text."""
    parts = parse_ref(ref)
    return "" if parts is None else parts.watch


def leg_of(ref: str) -> str:
    """Return the leg in one of our refs."""
    parts = parse_ref(ref)
    return "" if parts is None else parts.leg


def largest(orders: Iterable[StandingOrder]) -> Shares:
    """Return the shares that orders could take; each OCA group counts its largest."""
    groups: dict[str, Shares] = {}
    for order in orders:
        group = order.oca_group or order.key
        groups[group] = max(groups.get(group, 0), order.remaining)
    return sum(groups.values())


def find_sessions(
    orders: Sequence[StandingOrder],
    executions: Sequence[ExecutionReport],
    completed: Sequence[CompletedOrder],
    account: str,
) -> tuple[Session, ...]:
    """Return the sessions that living orders of ours belong to, in the order in which they are shown."""
    found: dict[tuple[str, str], list[StandingOrder]] = {}
    for order in orders:
        if order.is_adoptable and order.account == account:
            found.setdefault((watch_of(order.ref), order.symbol), []).append(order)
    return tuple(
        Session(
            id=id_,
            symbol=symbol,
            account=account,
            orders=tuple(standing),
            executions=tuple(
                each
                for each in executions
                if watch_of(each.ref) == id_
                and each.symbol == symbol
                and each.account == account
                and each.qty
            ),
            ended=tuple(each for each in completed if watch_of(each.ref) == id_ and each.account == account),
        )
        for (id_, symbol), standing in found.items()
    )


def restore(session: Session) -> TakeUp | None:
    """Return the session as it can be taken up, ``None`` when what the broker has does not say enough."""
    entries = [each for each in session.executions if each.side is Side.BUY]
    bought = sum(each.qty for each in entries)
    sold = sum(each.qty for each in session.executions if each.side is Side.SELL)
    stops = [order.stop for order in session.exits if order.stop is not None]
    if bought <= sold or not stops or largest(session.exits) > bought - sold:
        return None
    last = max((_number(ref) for ref in _refs(session)), default=0)
    targets = [_target(session, number) for number in range(1, last + 1)]
    if any(target is None for target in targets):
        return None
    tps = tuple(target for target in targets if target is not None)
    if list(tps) != sorted(set(tps)):
        return None
    average = sum((each.price * each.qty for each in entries), Decimal(0)) / bought
    exits = session.exits
    return TakeUp(
        id=session.id,
        executions=session.executions,
        plan=TradePlan(
            symbol=session.symbol,
            qty=bought,
            account=session.account,
            level=average.quantize(CENT, ROUND_UP),
            tps=tps,
            sl=min(stops),
            sl_type=OrderType.STOP
            if all(order.kind == OrderType.STOP for order in exits if order.stop is not None)
            else OrderType.STOP_LIMIT,
            mode=MODES.get(len(tps), ExitMode.DETACHED) if tps else ExitMode.NONE,
            exit_tif=Tif.DAY if all(order.tif == Tif.DAY for order in exits) else Tif.GTC,
            outside_rth=any(order.outside_rth for order in exits),
        ),
    )


def _refs(session: Session) -> tuple[str, ...]:
    orders, executions, ended = session.orders, session.executions, session.ended
    return (*(o.ref for o in orders), *(e.ref for e in executions), *(o.ref for o in ended))


def _number(ref: str) -> int:
    digits = leg_of(ref).removeprefix("sl").removeprefix("tp")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def _target(session: Session, number: int) -> Price | None:
    """Return a target's price: where it works or worked, or what it was sold at."""
    name = f"tp{number}"
    works = [order.limit for order in session.orders if leg_of(order.ref) == name]
    sold = [each.price for each in session.executions if leg_of(each.ref) == name]
    ended = [order.limit for order in session.ended if leg_of(order.ref) == name]
    return next((price for price in (*works, *ended, *sold) if price is not None), None)
