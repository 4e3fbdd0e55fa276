"""Orders outside our books, and what may be done about them: shown, counted, cancelled or changed when somebody asks.

Laws: pictures alone say what there is; a status is only a hint. Nothing leaves for one unless the operator asks, or a
reconciler wants an exit gone that has had no shares for as long as a picture may be old. Orders of the broker's own window are
never touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from tradeshell.core.commands import CancelOrder, ModifyOrder, SetTimer
from tradeshell.core.desk import Desk
from tradeshell.core.events import BrokerMessageUnclassified, OrderIntent
from tradeshell.core.inputs import (
    OrderRefusedByBroker,
    OrderReport,
    Owner,
    RefusedWhat,
    ReplaceRequested,
    SendFailed,
    SnapshotAnswered,
    StandingOrder,
)
from tradeshell.core.orders import OrderSpec, OrderState, Side
from tradeshell.core.recon_events import (
    OrphanExitOrderCancelFailed,
    OrphanExitOrderCancelled,
    OutsideOrderChanged,
    OutsideOrderExecuted,
)
from tradeshell.core.standing import (
    Outside,
    changed,
    claimed,
    is_living,
    is_surely_idle,
    judged,
    lacked,
    seen,
)
from tradeshell.core.turn import ACK_TIMEOUT, SECOND_LOOK, Turn

CANCELLED = "state: Cancelled"  # IBKR's words with 10148
BY_HAND = "it was typed in the broker's own window"


def put(turn: Turn, outside: Mapping[str, Outside]) -> None:
    """Replace what is outside our books, and what of it counts in them."""
    turn.desk = replace(turn.desk, outside=dict(outside))
    for symbol, book in tuple(turn.desk.books.items()):
        shares = claimed(outside.values(), symbol, turn.desk.account)
        if shares != book.claimed:
            turn.put_book(symbol, replace(book, claimed=shares))


def _put_one(turn: Turn, known: Outside) -> None:
    put(turn, {**turn.desk.outside, known.order.key: known})


def pictured(turn: Turn, picture: SnapshotAnswered) -> None:
    """Take from a picture what is not in our books."""
    asked_at = picture.asked_at or turn.at
    held = {(each.account, each.symbol): each.qty for each in (*picture.positions, *picture.elsewhere)}
    # The exits of a bracket wait for its entry, whoever sent both.
    buys = [(o.account, o.symbol) for o in picture.others if o.side is Side.BUY]
    ours = (order.spec for order in turn.desk.orders() if order.remaining)
    for where in (*buys, *((spec.account, spec.symbol) for spec in ours if spec.side is Side.BUY)):
        held.setdefault(where, 1)
    shown = {order.key: order for order in picture.others}
    found: dict[str, Outside] = {}
    for key in dict.fromkeys((*turn.desk.outside, *shown)):
        if turn.desk.order(key) is not None:
            continue  # it was taken up
        before = turn.desk.outside.get(key)
        if (order := shown.get(key)) is not None:
            found[key] = judged(
                seen(before, order, asked_at), held.get((order.account, order.symbol), 0), asked_at
            )
            if before is None and order.owner is Owner.OURS and turn.desk.link.reconciled:
                _tell_stranger(turn, order)
        elif before is not None and (left := lacked(before, asked_at)) is not None:
            found[key] = left
    if found != turn.desk.outside:
        put(turn, found)
    if found:
        turn.watch()  # nobody tells when others change theirs
    if is_wanted(turn.desk):
        turn.timer("picture", SECOND_LOOK.total_seconds())


def _tell_stranger(turn: Turn, order: StandingOrder) -> None:
    """Tell of an order under our own client number that appears while we are connected: somebody sends orders besides us."""
    what = f"{order.side.value} {order.remaining} {order.symbol}"
    turn.say(
        BrokerMessageUnclassified(
            code=0,
            text=f"order {order.order_id} works under this program's number, which did not send it: {what} · see `reconcile`",
            order_ref=order.ref or None,
        )
    )


def is_wanted(desk: Desk) -> bool:
    """Return whether another picture is needed: an order shows less than it counts for, or is to be cancelled."""
    return any(_shows_less(each) or _waits(each) for each in desk.outside.values())


def _shows_less(known: Outside) -> bool:
    return known.less_since is not None or known.is_gone or known.order.remaining < known.bound


def _waits(known: Outside) -> bool:
    return known.is_unwanted and known.idle_since is not None and not known.cancelling and is_living(known)


def want_gone(turn: Turn, keys: tuple[str, ...]) -> None:
    """Note what reconcilers want cancelled: exits without shares, and nothing that was typed by hand."""
    for key in keys:
        known = turn.desk.outside.get(key)
        if known is not None and known.idle_since is not None and known.order.owner is not Owner.WINDOW:
            _put_one(turn, replace(known, is_unwanted=True))
    if is_wanted(turn.desk):
        turn.timer("picture", SECOND_LOOK.total_seconds())


def cancel_idle(turn: Turn, asked_at: datetime) -> None:
    """Cancel what is wanted gone, once pictures have agreed for long enough that it has no shares."""
    for key, known in tuple(turn.desk.outside.items()):
        if turn.desk.link.is_open and _waits(known) and is_surely_idle(known, asked_at):
            cancel(turn, key, "an exit without shares")


def cancel(turn: Turn, key: str, reason: str) -> None:
    """Ask to cancel an order outside our books."""
    known = turn.desk.outside.get(key)
    if known is None or not is_living(known) or known.cancelling:
        return
    order = known.order
    if order.owner is Owner.WINDOW or order.order_id <= 0:
        _failed(turn, known, BY_HAND)
        return
    if not turn.desk.link.is_open:
        _failed(turn, known, f"nothing was sent: {turn.desk.link.why or 'orders are not known yet'}")
        return
    _put_one(turn, replace(known, cancelling=True))
    turn.say(_intent(known.spec, "cancel", reason))
    turn.commands.append(CancelOrder(key, order.order_id))
    turn.commands.append(SetTimer(f"outside:{key}", turn.at + ACK_TIMEOUT))


def change(turn: Turn, request: ReplaceRequested) -> None:
    """Change an order of ours from an earlier life: its prices, or down in quantity."""
    known = turn.desk.outside.get(request.ref)
    if known is None or why_not_change(turn.desk, known, request.qty):
        return
    spec = changed(known, request.limit, request.stop, request.qty)
    _put_one(turn, replace(known, changing=True))
    turn.say(_intent(spec, "replace", "changed by the operator"))
    turn.commands.append(ModifyOrder(spec, known.order.order_id))
    turn.commands.append(SetTimer(f"outside:{request.ref}", turn.at + ACK_TIMEOUT))


def why_not_change(desk: Desk, known: Outside, qty: int | None) -> str:
    """Return why an order outside our books cannot be changed, empty when it can."""
    if not known.order.is_adoptable:
        return "it is not ours to change"
    if not is_living(known) or known.changing or known.cancelling:
        return "it has ended, or a change or a cancel of it is on its way"
    if qty is not None and not known.order.filled < qty <= known.order.qty:
        return f"no record says what it protects: it works {known.order.qty} shares and does not grow"
    return "" if desk.link.is_open else desk.link.why


def reported(turn: Turn, report: OrderReport) -> bool:
    """Note what the broker says of an order outside our books; return whether it is one. Pictures decide what it counts for."""
    known = turn.desk.outside.get(report.ref)
    if known is None:
        return False
    was = known.order
    if report.state is OrderState.SENT:
        return True
    order = replace(
        was,
        state=report.state,
        filled=max(was.filled, report.filled),
        remaining=report.remaining,
        qty=was.qty if report.qty is None else report.qty,
        limit=was.limit if report.limit is None else report.limit,
        stop=was.stop if report.stop is None else report.stop,
    )
    is_over = not report.state.is_live
    new = replace(
        known, order=order, is_gone=known.is_gone or is_over, bound=max(known.bound, report.remaining)
    )
    if order.filled > was.filled:
        turn.say(
            OutsideOrderExecuted(
                symbol=order.symbol,
                order_ref=order.key,
                order_id=order.order_id,
                side=order.side,
                filled=order.filled,
                remaining=report.remaining,
            )
        )
    if known.changing and (order.limit, order.stop, order.qty) != (was.limit, was.stop, was.qty):
        new = replace(new, changing=False)
        turn.say(
            OutsideOrderChanged(
                symbol=order.symbol,
                order_ref=order.key,
                order_id=order.order_id,
                qty=order.qty,
                limit=order.limit,
                stop=order.stop,
            )
        )
    if is_over and known.cancelling and report.state is OrderState.CANCELLED:
        turn.say(
            OrphanExitOrderCancelled(
                symbol=order.symbol, order_ref=order.key, order_id=order.order_id, filled=order.filled
            )
        )
    if is_over:
        new = replace(new, cancelling=False, changing=False)
        turn.timer("picture", SECOND_LOOK.total_seconds())
    _put_one(turn, new)
    return True


def refused(turn: Turn, refusal: OrderRefusedByBroker) -> bool:
    """Tell that the broker refused something about an order outside our books; return whether it is one."""
    known = turn.desk.outside.get(refusal.ref)
    if known is None:
        return False
    if CANCELLED in refusal.text:  # its group took it along
        order = known.order
        over = OrderReport(
            ref=refusal.ref,
            order_id=order.order_id,
            state=OrderState.CANCELLED,
            filled=order.filled,
            remaining=order.remaining,
        )
        return reported(turn, over)
    _no(turn, known, refusal.text, refusal.code, is_change=refusal.what is RefusedWhat.CHANGE)
    return True


def send_failed(turn: Turn, failure: SendFailed) -> None:
    """Tell that something about an order outside our books could not be handed over."""
    known = turn.desk.outside.get(failure.ref)
    if known is not None:
        _no(turn, known, failure.reason, 0, is_change=failure.action == "replace")


def overdue(turn: Turn, key: str) -> None:
    """A cancel or a change of an order outside our books was not answered in time."""
    known = turn.desk.outside.get(key)
    if known is not None and (known.cancelling or known.changing):
        _no(turn, known, "the broker did not answer", 0, is_change=known.changing)
        turn.look_again()


def _no(turn: Turn, known: Outside, why: str, code: int, *, is_change: bool) -> None:
    order = known.order
    after = replace(known, cancelling=False, changing=False, is_unwanted=False)
    _put_one(turn, after)
    if is_change:
        turn.say(
            OutsideOrderChanged(
                symbol=order.symbol,
                order_ref=order.key,
                order_id=order.order_id,
                qty=order.qty,
                limit=order.limit,
                stop=order.stop,
                refused=why,
            )
        )
    else:
        _failed(turn, after, why, code)


def _failed(turn: Turn, known: Outside, why: str, code: int = 0) -> None:
    order = known.order
    turn.say(
        OrphanExitOrderCancelFailed(
            symbol=order.symbol, order_ref=order.key, order_id=order.order_id, reason=why, code=code
        )
    )


def _intent(spec: OrderSpec, action: str, reason: str) -> OrderIntent:
    return OrderIntent(
        symbol=spec.symbol,
        order_ref=spec.ref,
        action=action,
        side=spec.side,
        qty=spec.qty,
        type=spec.type,
        limit=spec.limit,
        stop=spec.stop,
        tif=spec.tif,
        outside_rth=spec.outside_rth,
        account=spec.account,
        con_id=spec.con_id,
        oca_group=spec.oca_group,
        reason=reason,
    )
