"""A complete picture: orders, executions and positions, each answered to its end.

Laws: what a picture shows is true unless a command left after it was asked for; what it lacks is gone once a second one lacks it
too. Pictures may be old: a position that differs is believed only when it stays so; a quantity whose end nobody explained is
free again only after two pictures that agree with the executions we know, asked for after the end and apart from one another.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from msgspec.structs import replace

from tradeshell.core import outside
from tradeshell.core.book import OLD, Book, Doubt, reconciled, revived
from tradeshell.core.cap import is_dormant, is_open_question
from tradeshell.core.commands import SetTimer
from tradeshell.core.desk import Desk
from tradeshell.core.events import InventoryConfirmFailed, OrderMissing
from tradeshell.core.inputs import OrderReport, PositionReport, SnapshotAnswered
from tradeshell.core.market import Price
from tradeshell.core.orders import Order, OrderState, Side, Signal, advance, ended, parse_ref
from tradeshell.core.reports import (
    after,
    execution_reported,
    order_reported,
    position_reported,
    take_back,
    tell_refused_entry,
)
from tradeshell.core.trade import awaited, leg_of, watch_of
from tradeshell.core.turn import EARLY, SECOND_LOOK, Turn
from tradeshell.core.watch import Watchers

ARRIVED = timedelta(seconds=2)  # what left on a connection has arrived by then, or was lost with it


def pictured(turn: Turn, watchers: Watchers, picture: SnapshotAnswered) -> None:
    """Book a complete picture: what it shows is true, what it lacks is gone once a second one lacks it too."""
    for execution in picture.executions:
        execution_reported(turn, watchers, execution)
    outside.pictured(turn, picture)
    shown_refs = {report.ref for report in picture.orders}
    for report in picture.orders:
        order = turn.desk.order(report.ref)
        if order is not None and (_is_newer(order, picture) or _is_old_news(order, report, picture)):
            turn.put_order(replace(order, is_missed=True))
            turn.timer("picture", SECOND_LOOK.total_seconds())
            continue
        if order is not None and _is_lost_change(order, report):
            trade = turn.book(order.spec.symbol).trade_of(order.spec.ref)
            assert trade is not None  # every order of ours belongs to a trade
            take_back(turn, trade, order, True, "it did not reach the broker")
            continue
        if order is not None and (order.changing or order.cancelling):
            # Whatever was on its way has arrived or is lost: the picture was asked for after it left.
            owes = order.owes_answer or order.changing
            most = max(order.doubted, order.spec.qty if order.changing else 0)
            settled = replace(order, changing=False, cancelling=False, before=None, owes_answer=owes)
            turn.put_order(replace(settled, doubted=most))
        order_reported(turn, watchers, report)
        _keep_unseen(turn, order, picture)
        if (now := turn.desk.order(report.ref)) is not None and now.doubted:
            turn.timer("picture", SECOND_LOOK.total_seconds())
    held = {position.symbol for position in picture.positions}
    for position in picture.positions:
        position_reported(turn, watchers, position)
    for symbol, book in tuple(turn.desk.books.items()):
        if symbol not in held:
            flat = PositionReport(
                symbol=symbol,
                con_id=book.instrument.con_id,
                account=turn.desk.account,
                qty=0,
                average=Price(0),
            )
            position_reported(turn, watchers, flat)
    for order in turn.desk.orders():
        if order.state.is_live and order.spec.ref not in shown_refs:
            is_outlived = _is_outlived(turn, order, shown_refs)
            if _is_young(order, picture) and not is_outlived and not _is_established(order, picture):
                turn.put_order(replace(order, is_missed=True))
                turn.timer("picture", SECOND_LOOK.total_seconds())
                continue
            if (
                order.is_veiled and is_outlived
            ):  # its children are released: it has bought, and that was taken back
                order = replace(order, absent_at=order.absent_at or turn.at - SECOND_LOOK)  # noqa: PLW2901  # one look is enough
            _missing(turn, watchers, order)
    living = {report.ref for report in picture.orders if report.state.is_live}
    for book in tuple(turn.desk.books.values()):
        _explain(turn, book, picture.asked_at or turn.at, living)


def ask_about_stranded(
    turn: Turn, shown_refs: Collection[str], asked_at: datetime, *, is_first: bool
) -> None:
    """Ask by a cancel what became of exits whose answers ended with an earlier connection.

    ``shown_refs`` are the orders of a picture that was asked for at ``asked_at``; ``is_first``: of this connection.

    Those of which nothing was ever heard, once their bytes cannot be on the way any more, or whose cancel was not answered.
    Pictures that lack them may be too old to show them for seconds yet, and as long nothing may stand in for them; an answer is
    from now.
    """
    since = turn.desk.link.since or turn.at
    for order in turn.desk.orders():
        is_lost = order.state is OrderState.UNKNOWN or (order.state.is_live and order.cancelling)
        if not is_lost or order.spec.side is not Side.SELL or order.spec.ref in shown_refs:
            continue
        left_at = order.touched_at or turn.at
        if left_at >= since or (order.is_probed and not is_first):
            continue
        book = turn.book(order.spec.symbol)
        trade = book.trade_of(order.spec.ref)
        assert trade is not None  # every order of ours belongs to a trade
        # One of which nothing was heard is asked for in a second anyway when it left long ago. A picture that has not even the
        # shares that we know of is from before it left.
        is_young = order.is_missed and order.absent_at is None and book.agrees()
        is_due = is_young and asked_at - left_at + EARLY >= ARRIVED
        if (order.cancelling or is_due) and not is_dormant(order, book.orders):
            turn.probe(trade, order)


def _keep_unseen(turn: Turn, before: Order | None, picture: SnapshotAnswered) -> None:
    """What a picture shows that was asked for before a sibling executed may be from before the broker reduced the order."""
    if before is None or before.unseen_since is None or picture.asked_at is None:
        return
    now = turn.desk.order(before.spec.ref)
    assert now is not None  # an order of ours stays in our books
    if picture.asked_at < before.unseen_since and now.state.is_live:
        turn.put_order(replace(now, unseen_since=before.unseen_since))


def _explain(turn: Turn, book: Book, asked_at: datetime, living: set[str]) -> None:
    """Let a picture that agrees with our books explain what has ended: the second one, late enough after the first, does."""
    for order in tuple(book.orders.values()):
        if awaited(order) > 0:
            _doubt_awaited(turn, book, order, asked_at)
        if order.lost_at is None or not is_open_question(order, book.orders):
            continue
        if order.spec.ref in living:
            _contradicted(turn, order, asked_at)
        elif asked_at >= order.lost_at and _is_behind(book, asked_at):
            pass  # it neither agrees nor contradicts
        elif asked_at < order.lost_at or not book.agrees():
            turn.put_order(replace(order, gone_at=None))
        elif order.gone_at is None:
            turn.put_order(replace(order, gone_at=asked_at))
        elif asked_at - order.gone_at + EARLY >= (SECOND_LOOK if order.was_told else OLD):
            turn.put_order(replace(order, is_explained=True))
            continue
        turn.timer("picture", SECOND_LOOK.total_seconds())


def _is_behind(book: Book, asked_at: datetime) -> bool:
    """Whether a picture's position still has shares that were sold a moment ago: a sale that is unknown would show fewer."""
    is_young = book.executed_at is not None and asked_at - book.executed_at < OLD
    return is_young and book.position is not None and book.position > book.expected()


def _doubt_awaited(turn: Turn, book: Book, order: Order, asked_at: datetime) -> None:
    """A status claims more than has executed: believed until two pictures, far enough apart, agree with our books."""
    if not book.agrees():
        turn.put_order(replace(order, gone_at=None))
    elif order.gone_at is None:
        turn.put_order(replace(order, gone_at=asked_at))
    elif asked_at - order.gone_at >= OLD:
        turn.put_order(replace(order, gone_at=None, untrue=order.untrue + awaited(order)))
        return
    turn.timer("picture", SECOND_LOOK.total_seconds())


def tell_short(turn: Turn, picture: SnapshotAnswered) -> None:
    """Tell a short position where orders of ours sold that no book knows: a sale of an earlier life, of which nobody heard."""
    sold = {e.symbol for e in picture.executions if e.side is Side.SELL and parse_ref(e.ref) is not None}
    for position in picture.positions:
        if position.qty < 0 and position.symbol in sold and position.symbol not in turn.desk.books:
            turn.say(
                InventoryConfirmFailed(
                    symbol=position.symbol, expected=0, actual=position.qty, is_believed=True
                )
            )


def is_wanted(desk: Desk) -> bool:
    """Return whether another picture is needed: the first one, or an order is missing, in doubt, or ended unexplained.

    Shares that came without an execution are looked at, too: one of ours, or its correction, may have been lost.
    """
    if not desk.link.up:
        return False
    if any(book.gained_at is not None for book in desk.books.values()) or outside.is_wanted(desk):
        return True
    return not desk.link.reconciled or any(
        _is_in_doubt(order) or is_open_question(order, book.orders)
        for book in desk.books.values()
        for order in book.orders.values()
    )


def _is_in_doubt(order: Order) -> bool:
    if awaited(order) > 0:
        return True
    is_open = order.is_missed or order.absent_at is not None or order.changing or order.cancelling
    is_open = is_open or order.doubted > 0
    return order.state.is_live and (is_open or order.state is OrderState.UNKNOWN)


def _contradicted(turn: Turn, order: Order, asked_at: datetime) -> None:
    """A picture shows an order as living that was said to have ended: an old picture, or the order lives after all."""
    assert order.lost_at is not None
    if order.ended_at is not None and asked_at - order.ended_at >= OLD:
        turn.put_order(replace(revived(order), state=OrderState.HELD))
    else:
        turn.put_order(replace(order, gone_at=None))


def _is_lost_change(order: Order, report: OrderReport) -> bool:
    """Whether a change of ours is not in a picture that was asked for long after it left."""
    if not order.changing or order.before is None or not report.state.is_live:
        return False
    was, spec = order.before, order.spec
    return (was.stop, was.limit) != (spec.stop, spec.limit) and (report.stop, report.limit) == (
        was.stop,
        was.limit,
    )


def _is_newer(order: Order, picture: SnapshotAnswered) -> bool:
    """Whether a command about the order left after the picture was requested: the picture cannot know what became of it."""
    return (
        picture.asked_at is not None and order.touched_at is not None and order.touched_at >= picture.asked_at
    )


def _is_young(order: Order, picture: SnapshotAnswered) -> bool:
    """Whether its last command left so shortly before the request that an old answer may lack the order."""
    asked_at = picture.asked_at
    if asked_at is None or order.touched_at is None:
        return False
    if order.denied_at is not None and order.denied_at >= order.touched_at:
        return asked_at < order.denied_at  # the broker says so itself
    return asked_at - order.touched_at < OLD


def _is_established(order: Order, picture: SnapshotAnswered) -> bool:
    """Whether it was placed so long before the request that no answer can be from before it: one that lacks it shows its end.

    A change or a cancel that left since then may be unanswered; it cannot hide the order.
    """
    asked_at, sent_at = picture.asked_at, order.sent_at
    return asked_at is not None and sent_at is not None and asked_at - sent_at >= OLD


def _is_outlived(turn: Turn, order: Order, shown_refs: set[str]) -> bool:
    """Whether a picture shows a child of the order, which was placed after it: it is not too old to show the order."""
    children = (o for o in turn.desk.orders() if o.spec.parent_ref == order.spec.ref)
    return any(child.spec.ref in shown_refs for child in children)


def _is_old_news(order: Order, report: OrderReport, picture: SnapshotAnswered) -> bool:
    """Whether what a picture shows of an order may be older than what we know of it.

    Fewer executions than we have, an election taken back, or other values shortly after a command of ours.
    """
    asked_at = picture.asked_at
    if asked_at is None:
        return False
    if report.filled < order.done:
        return True
    is_refused = order.state is OrderState.REFUSED and report.state.is_live
    if is_refused and order.ended_at is not None and asked_at - order.ended_at < OLD:
        return True
    if order.elected_at is not None and report.state is OrderState.HELD and asked_at - order.elected_at < OLD:
        return True
    spec = order.spec
    shown_now = (report.stop or spec.stop, report.limit or spec.limit, report.qty or spec.qty)
    return order.is_ours and _is_young(order, picture) and shown_now != (spec.stop, spec.limit, spec.qty)


def _missing(turn: Turn, watchers: Watchers, order: Order) -> None:
    """An order of ours that should live is not in a complete picture.

    An exit of which nothing was ever heard is asked for by a cancel when it counts as ended: without that word pictures would
    have to show, for as long as they may be old, that it sold nothing.
    """
    is_new = order.state in (OrderState.SENT, OrderState.UNKNOWN)
    is_probed = is_new and order.spec.side is Side.SELL
    orders = turn.book(order.spec.symbol).orders
    if is_dormant(
        order, orders
    ):  # nothing waits for it; but the broker may keep a child whose family was never transmitted
        is_probed = is_probed and not orders[order.spec.parent_ref or ""].state.is_live
    if order.absent_at is None:
        turn.put_order(replace(order, absent_at=turn.at))
        turn.timer("picture", SECOND_LOOK.total_seconds())
        return
    is_late = turn.at - order.absent_at >= SECOND_LOOK - EARLY and awaited(order) == 0
    # One whose cancel an earlier connection left unanswered is asked about on this one first: an answer is from now.
    is_asked = is_probed or (order.cancelling and order.spec.side is Side.SELL)
    if not is_late or (is_asked and not turn.desk.link.is_open):
        turn.timer("picture", SECOND_LOOK.total_seconds())
        return
    # One that the broker called filled has bought what its executions say, also when one of them was corrected since.
    signal = Signal.FULL_FILL if order.is_bought and order.filled else Signal.CANCELLED
    gone = replace(advance(order, signal), why="not at the broker any more")
    gone = ended(gone, order.absent_at, told=order.denied_at is not None, asked=False)
    gone = replace(gone, gone_at=order.absent_at)
    turn.put_order(gone)
    trade = turn.book(order.spec.symbol).trade_of(order.spec.ref)
    assert trade is not None  # every order of ours belongs to a trade
    if is_new:  # one that had worked was not refused
        tell_refused_entry(turn, watchers, trade, order, "the broker does not have it")
    turn.say(
        OrderMissing(
            symbol=order.spec.symbol,
            watch=watch_of(order.spec.ref),
            leg=leg_of(order.spec.ref),
            order_ref=order.spec.ref,
        )
    )
    if is_probed and not order.is_probed:
        turn.probe(trade, gone)


def position_confirmed(turn: Turn, watchers: Watchers, book: Book, picture: SnapshotAnswered) -> None:
    """A complete picture has come: believe a position that has differed long enough, or look once more."""
    symbol = book.instrument.symbol
    asked_at = picture.asked_at or turn.at
    came_at = book.gained_at
    if came_at is not None and asked_at - came_at >= OLD:
        book = replace(book, gained_at=None)
        turn.put_book(symbol, book)
    elif came_at is not None:  # an old picture may lack the execution, or the correction, that brought them
        turn.commands.append(SetTimer(f"position:{symbol}", came_at + OLD))
    if book.differs_at is None or book.position is None:
        turn.put_book(symbol, replace(book, doubt=None))
        return
    found = (book.position, book.expected())
    doubt = book.doubt
    if doubt is None or doubt.found != found:
        doubt = Doubt(found, asked_at)
        turn.put_book(symbol, replace(book, doubt=doubt))
    is_older = book.executed_at is not None and book.executed_at >= asked_at
    if is_older or asked_at - doubt.since < OLD:
        turn.look_later(symbol)
        return
    turn.say(
        InventoryConfirmFailed(
            symbol=symbol, expected=book.expected(), actual=book.position, is_believed=True
        )
    )
    turn.put_book(symbol, reconciled(book, turn.at))
    for each in tuple(turn.book(symbol).trades.values()):
        after(turn, watchers, each)
