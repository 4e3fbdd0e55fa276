"""The comparison: one picture of the broker's and our desk in, differences out. Pure.

Laws: an exit is an orphan only by its own account's shares; what was typed by hand is never to be cancelled; what the core
heals by itself is told as such, and not done twice. All is linear in orders, executions and positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tradeshell import (
    CancelOutside,
    Comparison,
    ConfigError,
    DetachedSessionRestored,
    Difference,
    Differences,
    Order,
    Owner,
    Shares,
    Side,
    StandingOrder,
    Trade,
    TradePhase,
    Weight,
    inventory,
    money,
    protection_state,
)
from tradeshell_reconcile.events import (
    DetachedProtectionCoverageGapDetected,
    DetachedProtectionReconciliationCompleted,
    DetachedSessionRestoreCompleted,
    ForeignSellsDetected,
    OrphanExitOrderDetected,
    OrphanExitReconciliationCompleted,
    UnknownSessionDetected,
)
from tradeshell_reconcile.sessions import Session, find_sessions, largest, leg_of, restore, watch_of


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[reconcilers.reconcile]``."""

    orphan_exit_scope: Literal["client", "all_clients"] = "all_clients"
    orphan_exit_action: Literal["warn", "cancel"] = "warn"


def read_settings(table: Mapping[str, Any]) -> Settings:
    """Return the settings; raises ``ConfigError``."""
    try:
        return msgspec.convert(dict(table), Settings)
    except msgspec.ValidationError as error:
        raise ConfigError(f"[reconcilers.reconcile] {error}") from None


def compare(settings: Settings, seen: Comparison) -> Differences:
    """Return what differs between a picture and our desk."""
    sessions = tuple(_sessions(seen))
    gaps = tuple(_gaps(seen))
    unknown = find_sessions(seen.others, seen.executions, seen.completed or (), seen.desk.account)
    positions = tuple(_positions(seen, unknown))
    orphans = tuple(_orphans(settings, seen))
    found_keys = {key for each in orphans for key in _keys(each)}
    strange = tuple(_unknown(session, found_keys) for session in unknown if not _is_all(session, found_keys))
    foreign = tuple(_foreign(seen, found_keys))
    restored = [each.event for each in sessions if isinstance(each.event, DetachedSessionRestored)]
    if not seen.is_first:  # they were restored when the connection came up
        sessions = tuple(replace(each, event=None) for each in sessions)
    return Differences(
        found=(*gaps, *orphans, *strange, *foreign, *positions, *sessions),
        closing=(
            OrphanExitReconciliationCompleted(
                scope=settings.orphan_exit_scope,
                action=settings.orphan_exit_action,
                found=len(orphans),
                cancelling=sum(bool(each.cancels) for each in orphans),
            ),
            DetachedProtectionReconciliationCompleted(
                trades=len(restored),
                held=sum(each.held for each in restored),
                protected=sum(each.protected for each in restored),
                gaps=len(gaps),
            ),
            DetachedSessionRestoreCompleted(
                restored=len(restored), unknown=len(strange), missed=sum(each.missed for each in restored)
            ),
        ),
    )


# --- our own trades ---------------------------------------------------------------------------------------------------


def _trades(seen: Comparison) -> Iterator[tuple[Trade, dict[str, Order]]]:
    """Yield the trades that bought and are not over, or were not when the broker was asked, with their books' orders."""
    for symbol, book in seen.desk.books.items():
        before = seen.before.books.get(symbol)
        for id_, trade in book.trades.items():
            was = None if before is None else before.trades.get(id_)
            was_open = was is not None and was.phase is not TradePhase.CLOSED
            if (
                trade.plan.side is Side.BUY
                and trade.refs
                and (trade.phase is not TradePhase.CLOSED or was_open)
            ):
                yield trade, book.orders


def _sessions(seen: Comparison) -> Iterator[Difference]:
    missed = _missed(seen)
    ended = {order.ref: order.why or order.state.value for order in seen.completed or ()}
    for trade, orders in _trades(seen):
        symbol = trade.plan.symbol
        _, held, covered = protection_state(trade, orders, seen.at)
        working = [
            order for ref in trade.refs if (order := orders[ref]).state.is_live and order.absent_at is None
        ]
        was = seen.before.books.get(symbol)
        then = 0 if was is None or trade.id not in was.trades else inventory(was.trades[trade.id], was.orders)
        gone = [
            f"{leg_of(ref)} {ended.get(ref, orders[ref].why or orders[ref].state.value)}"
            for ref in trade.refs
            if was is not None
            and ref in was.orders
            and was.orders[ref].state.is_live
            and (ref in ended or not orders[ref].state.is_live)
        ]
        count = missed.get(trade.id, 0)
        is_over = trade.phase is TradePhase.CLOSED
        booked = f"{count} missed executions booked" if count else "nothing missed"
        yield Difference(
            key=f"session {trade.id}",
            finding="closed while away" if is_over else "session",
            symbol=symbol,
            broker=f"{held} shares, {len(working)} orders: {_legs(working)}"
            + (f" · {', '.join(gone)}" if gone else ""),
            expected=f"{then} shares of {trade.id}",
            done=booked if is_over else f"looked after, {covered} of {held} protected · {booked}",
            weight=Weight.GOOD,
            event=None
            if is_over
            else DetachedSessionRestored(
                symbol=symbol,
                watch=trade.id,
                held=held,
                protected=covered,
                orders=len(working),
                missed=count,
                source="journal" if seen.desk.takes_up else "link",
            ),
        )


def _missed(seen: Comparison) -> dict[str, int]:
    """Return how many executions of each trade were not in our books when the broker was asked."""
    found: dict[str, int] = {}
    for execution in seen.executions:
        book = seen.before.books.get(execution.symbol)
        id_ = watch_of(execution.ref)
        if book is not None and id_ in book.trades and execution.stem not in book.executions:
            found[id_] = found.get(id_, 0) + 1
    return found


def _legs(orders: list[Order]) -> str:
    names = sorted(leg_of(order.spec.ref) for order in orders)
    return " ".join(names) or "none"


def _gaps(seen: Comparison) -> Iterator[Difference]:
    for trade, orders in _trades(seen):
        symbol, frozen = trade.plan.symbol, seen.desk.books[trade.plan.symbol].frozen
        state, held, covered = protection_state(trade, orders, seen.at)
        gap = held - covered
        if gap <= 0 or state in ("FLAT", "NONE") or (state == "ARMING" and not trade.is_armed):
            continue
        done = (
            "stops are placed again by themselves" if not frozen else f"{symbol} is frozen: `stopentry off`"
        )
        yield Difference(
            key=f"gap {trade.id} {gap}",
            finding="no stop",
            symbol=symbol,
            broker=f"stops for {covered} of {held} shares",
            expected=f"stops for all {held} of {trade.id}",
            done=f"{done} · else: flatten {symbol}",
            weight=Weight.ALARM,
            event=DetachedProtectionCoverageGapDetected(
                symbol=symbol,
                watch=trade.id,
                held=held,
                protected=covered,
                gap=gap,
                state="FROZEN" if frozen else state,
            ),
        )


# --- positions --------------------------------------------------------------------------------------------------------


def _positions(seen: Comparison, unknown: Sequence[Session]) -> Iterator[Difference]:
    held = {each.symbol: each for each in seen.positions}
    for symbol in sorted({*held, *seen.desk.books}):
        book = seen.desk.books.get(symbol)
        there = held[symbol].qty if symbol in held else 0
        if book is not None and book.position is not None and not book.agrees():
            yield Difference(
                key=f"position {symbol} {there}",
                finding="position",
                symbol=symbol,
                broker=f"{there} shares",
                expected=f"{book.expected()} by executions",
                done="asked again until it is the same for 6 s, then the broker is believed",
                weight=Weight.BAD,
            )
            continue
        foreign = there if book is None else book.foreign()
        foreign -= sum(
            session.held for session in unknown if session.symbol == symbol
        )  # they have rows of their own
        if foreign > 0:
            average = held[symbol].average if symbol in held else None
            yield Difference(
                key=f"shares {symbol} {foreign}",
                finding="shares of others",
                symbol=symbol,
                broker=f"{foreign} shares" + ("" if not average else f" at {money(average)}"),
                expected="none of our trades holds them",
                done="left alone; no stop of a trade protects them",
            )


# --- orders that no book has ------------------------------------------------------------------------------------------


def _keys(difference: Difference) -> tuple[str, ...]:
    return (difference.key.partition(" ")[2],)


def _is_all(session: Session, keys: set[str]) -> bool:
    return all(order.key in keys for order in session.orders)


def whose(order: StandingOrder) -> str:
    """Return whose an order is, in words."""
    if order.owner is Owner.WINDOW:
        return "typed by hand"
    if order.owner is Owner.CLIENT:
        return f"client {order.client}" + (" (its ref looks like ours)" if order.is_called_ours else "")
    return f"ours, {order.ref}" if order.is_called_ours else "sent under our client number"


def words(order: StandingOrder) -> str:
    """Return an order in a few words."""
    prices = [f"stop {money(order.stop)}"] if order.stop is not None else []
    prices += [f"limit {money(order.limit)}"] if order.limit is not None else []
    number = f"#{order.order_id} " if order.order_id else ""
    return f"{number}{order.side.value} {order.remaining} {order.kind if not prices else ' '.join(prices)}"


def _orphans(settings: Settings, seen: Comparison) -> Iterator[Difference]:
    """Yield the exits whose account holds nothing that they could sell."""
    for order in seen.others:
        known = seen.desk.outside.get(order.key)
        if known is None or known.idle_since is None:
            continue
        if settings.orphan_exit_scope == "client" and order.owner is not Owner.OURS:
            continue
        by_hand = order.owner is Owner.WINDOW
        cancels = settings.orphan_exit_action == "cancel" and not by_hand
        if by_hand:
            done = "left alone: typed by hand · cancel it there"
        elif cancels:
            done = "cancelled once the account has shown no shares for 6 s"
        else:
            done = "left alone · `reconcile fix ROW` cancels it"
        yield Difference(
            key=f"orphan {order.key}",
            finding="orphan exit",
            symbol=order.symbol,
            broker=f"{words(order)} · {whose(order)}",
            expected=f"no exit: {order.account} holds none",
            done=done,
            weight=Weight.ALARM,
            event=OrphanExitOrderDetected(
                symbol=order.symbol,
                order_ref=order.key,
                order_id=order.order_id,
                owner=whose(order),
                account=order.account,
                qty=order.remaining,
                action="cancel" if cancels else "warn",
            ),
            cancels=(order.key,) if cancels else (),
            fix=None if by_hand else CancelOutside((order.key,)),
        )


def _unknown(session: Session, orphans: set[str]) -> Difference:
    """Return a session that no record knows."""
    fix = None if any(order.key in orphans for order in session.orders) else restore(session)
    legs = " ".join(sorted(leg_of(order.ref) for order in session.orders))
    can = (
        "`reconcile fix ROW` takes it up"
        if fix is not None
        else "`orders cancel`, `orders replace` by number"
    )
    return Difference(
        key=f"unknown {session.id} {session.symbol}",
        finding="unknown session",
        symbol=session.symbol,
        broker=f"{session.id}: {legs} · stops for {session.protected} of {session.held} shares",
        expected="no such session",
        done=f"counted, not touched · {can}",
        weight=Weight.ALARM,
        event=UnknownSessionDetected(
            symbol=session.symbol,
            watch=session.id,
            orders=len(session.orders),
            held=session.held,
            protected=session.protected,
            can_be_restored=fix is not None,
        ),
        fix=fix,
    )


def _foreign(seen: Comparison, orphans: set[str]) -> Iterator[Difference]:
    """Yield the orders of others, and where their sells could take shares of ours."""
    selling: dict[str, list[StandingOrder]] = {}
    for order in seen.others:
        if order.is_adoptable and order.account == seen.desk.account:
            continue
        if order.side is Side.SELL and order.account == seen.desk.account:
            selling.setdefault(order.symbol, []).append(order)
        if order.key not in orphans:
            counts = order.is_called_ours and order.account == seen.desk.account
            yield Difference(
                key=f"external {order.key}",
                finding="order of others",
                symbol=order.symbol,
                broker=f"{words(order)} · {whose(order)}",
                expected="not ours" if order.account == seen.desk.account else f"in account {order.account}",
                done="counted, not followed" if counts else "shown as external, left alone",
                weight=Weight.BAD if counts else Weight.NOTE,
            )
    for symbol, orders in selling.items():
        if (difference := _beyond(seen, symbol, largest(orders))) is not None:
            yield difference


def _beyond(seen: Comparison, symbol: str, working: Shares) -> Difference | None:
    book = seen.desk.books.get(symbol)
    if book is None or book.own() <= 0 or working <= book.foreign():
        return None
    return Difference(
        key=f"beyond {symbol} {working}",
        finding="sells of others",
        symbol=symbol,
        broker=f"{working} shares in sells that are not ours",
        expected=f"at most the {book.foreign()} shares that are not ours",
        done="left alone · cancel them where they were typed",
        weight=Weight.ALARM,
        event=ForeignSellsDetected(symbol=symbol, working=working, free=book.foreign()),
    )


__all__ = ["Settings", "compare", "read_settings", "whose", "words"]
