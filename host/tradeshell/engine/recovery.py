"""After a crash: the desk as the journal says it was.

Laws: one reducer: the recorded inputs go through the same ``step`` that decided them, their commands are not executed again. A
torn last record was never acted upon and is cut off. What the journal cannot know (what became of the last orders, what executed
meanwhile) is asked of the broker: nothing leaves before its first complete picture. From a damaged journal nothing is resumed,
and entries are stopped.

The record wins. A replay that decides otherwise than was recorded (another version of a strategy, a check or the program) is told
in one line, entries are stopped until ``stopentry off``, and the desk follows what was recorded, because that is what left:

1. A check of a plugin that answers differently now is overruled: its answer was yes, or no, as the record shows.
2. An order that both have stands as it was recorded, its number too; protection goes on with it.
3. Where one of them has an order that the other lacks, the desk cannot speak for the symbol any more: an order that never left is
   forgotten, and the symbol is frozen. No new order leaves in it, and what works at the broker stays as it is.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from tradeshell.core.checks import CheckContext, PreTradeCheck
from tradeshell.core.commands import ORDER_COMMANDS, CancelOrder, Command, ModifyOrder, PlaceOrder
from tradeshell.core.desk import Desk, WatchPhase
from tradeshell.core.exit_events import KillSwitchEngaged
from tradeshell.core.guards import Refusal
from tradeshell.core.inputs import StopEntryRequested, WatchRestored
from tradeshell.core.orders import parse_ref
from tradeshell.core.step import Core
from tradeshell.core.trade import TradePhase
from tradeshell.engine.journal import Entry, Header, OrderCommand, read_header, read_journal
from tradeshell.engine.session import Session
from tradeshell.engine.state import Saved
from tradeshell.errors import StateError

CORRECTIONS = timedelta(hours=12)  # an exchange takes executions back on the day on which they happened
DIFFERS = "the journal cannot be repeated"  # why entries are stopped and symbols frozen then


class Recovered(Struct, frozen=True):
    """What a journal tells: the desk after its last record, that record's number, and why it was not used, if so.

    ``differs``: the first decision that this program does not repeat; "" when it repeats them all. ``is_recent``: what executed
    may still be corrected. ``session``, ``before``: the names of the journal and of the one before it; ``over``: watchers and
    trades that have had their turn, in this journal or before it.
    """

    desk: Desk
    written: int = 0
    why_not: str = ""
    differs: str = ""
    is_recent: bool = False
    session: str = ""
    before: str = ""
    over: tuple[str, ...] = ()

    @property
    def goes_on_after(self) -> int:
        """The decision behind which the journal goes on; 0 when all is over and a new one begins."""
        return self.written if self.is_recent or is_open(self.desk) else 0

    @property
    def is_doubted(self) -> bool:
        """Whether the difference still stops anything: the operator may have lifted that since, or all may be over."""
        return bool(self.differs) and (bool(self.desk.stopped) or _has_frozen(self.desk))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the operator has to know."""
        if self.why_not:
            return (f"{self.why_not} · nothing is resumed, entries are stopped; `stopentry off` lifts that",)
        if not self.is_doubted:
            return ()
        frozen = " ".join(symbol for symbol, book in self.desk.books.items() if book.frozen == DIFFERS)
        also = f", {frozen} takes no order at all" if frozen else ""
        return (f"{DIFFERS}: {self.differs} · entries are stopped{also}; `stopentry off` lifts that",)


def recover(core: Core, path: Path, broker: str, now: datetime | None = None) -> Recovered:
    """Return the desk that the journal at ``path`` leads to; an empty one when it is not there, not this broker's, or damaged.

    ``now``: what has executed within ``CORRECTIONS`` of it may be corrected, and belongs to somebody then.
    """
    if not path.exists():
        return Recovered(Desk())
    desk, written, differs, header = Desk(), 0, "", None
    try:
        header = read_header(path)
        if header is None or header.broker != broker:
            return Recovered(Desk())
        for entry in read_journal(path):
            desk, difference = _repeated(core, desk, entry)
            written = entry.n
            if difference and not differs:
                # Here and not at the end: a `stopentry off` later in the record lifts it.
                desk, differs = replace(desk, stopped=desk.stopped or DIFFERS), difference
    except StateError as error:
        return _found(Recovered(Desk(), why_not=str(error)), header, desk)
    if desk.stopped == DIFFERS and not is_open(replace(desk, stopped="")):
        # All over: how it came about concerns nobody any more.
        return _found(Recovered(Desk(), differs=differs), header, desk)
    is_recent = now is not None and desk.has_traded(now - CORRECTIONS)
    return _found(Recovered(desk, written, differs=differs, is_recent=is_recent), header, desk)


def _found(found: Recovered, header: Header | None, desk: Desk) -> Recovered:
    """Return what was found with the names of the journal, and of what is over, as far as it could be read."""
    if header is None:
        return found
    fired = (
        id_ for id_, watcher in desk.watchers.items() if watcher.fired or watcher.phase is WatchPhase.DONE
    )
    over = tuple(dict.fromkeys((*header.over, *fired, *desk.trade_symbols)))
    return replace(found, session=header.session, before=header.before, over=over)


def disagreement(saved: Saved | None, found: Recovered, broker: str) -> str:
    """Return how snapshot and journal contradict each other, "" if they do not: one of them is not the last that was written."""
    if saved is None or saved.broker != broker or found.why_not or not saved.journal_seq:
        return ""
    if saved.session == found.session:
        if saved.journal_seq <= found.written or not (found.written or _has_open(saved)):
            return ""
        return (
            f"the journal ends with decision {found.written}, the state was saved after {saved.journal_seq}"
        )
    if saved.session == found.before or not _has_open(saved):
        return ""
    return "the journal is missing" if not found.session else "the journal is not that of the state file"


def _has_open(saved: Saved) -> bool:
    return any(watcher.phase is not WatchPhase.DONE for watcher in saved.watchers) or any(
        trade.phase != TradePhase.CLOSED for trade in saved.trades
    )


def left_waiting(
    saved: Saved | None, found: Recovered, doubt: str, at: datetime
) -> tuple[WatchRestored, ...]:
    """Return the watchers that a snapshot has waiting and no journal knows, each with ``doubt``; none of those that are over."""
    known = {*found.over, *found.desk.watchers, *found.desk.trade_symbols}
    return tuple(
        WatchRestored(at=at, watch=each.spec, started_at=each.started_at, doubt=doubt, day=each.day)
        for each in (() if saved is None else saved.watchers)
        if each.phase in (WatchPhase.ARMED, WatchPhase.PAUSED)
        and not each.fired
        and each.spec is not None
        and each.id not in known
    )


def take_up(session: Session, found: Recovered) -> None:
    """Go on with what was recovered, unless all is over; after ``attach``, before the first input."""
    if found.why_not:  # whatever is open at the broker is not known here
        reason = "the journal cannot be read"
        session.submit(StopEntryRequested(at=session.clock.now(), on=True, reason=reason))
    if not found.goes_on_after:
        return
    session.restart_from(found.desk)
    if found.is_doubted:
        session.tell(KillSwitchEngaged(reason=f"{DIFFERS}: {found.differs}"))


def _has_frozen(desk: Desk) -> bool:
    return any(book.frozen for book in desk.books.values())


def is_open(desk: Desk) -> bool:
    """Return whether anything of a desk is still to be looked after."""
    return (
        bool(desk.stopped)
        or _has_frozen(desk)
        or any(watcher.phase is not WatchPhase.DONE for watcher in desk.watchers.values())
        or any(trade.phase is not TradePhase.CLOSED for trade in desk.trades())
    )


# --- the record against the replay ------------------------------------------------------------------------------------


def _repeated(core: Core, desk: Desk, entry: Entry) -> tuple[Desk, str]:
    """Return the desk after a recorded decision, and how the replay differs from the record."""
    numbers = [command.order_id for command in entry.orders if isinstance(command, PlaceOrder)]
    if numbers and desk.next_order_id != min(numbers):  # after a difference only
        desk = replace(desk, next_order_id=min(numbers))
    after, orders, refusal = _decided(core, desk, entry)
    if orders == entry.orders and not refusal:
        return after, ""
    said = f"would {refusal or 'send ' + _words(orders)}"
    difference = f"decision {entry.n} sent {_words(entry.orders)}, this program {said}"
    for checks in ((), (_NO,)):
        overruled, same, refusal = _decided(core.with_checks(checks), desk, entry)
        if same == entry.orders and not refusal:
            return overruled, difference
    return _followed(after, orders, entry.orders), difference


def _decided(core: Core, desk: Desk, entry: Entry) -> tuple[Desk, tuple[Command, ...], str]:
    """Return the next desk, its orders, and why the core does not take the input any more."""
    try:
        after, commands = core.step(desk, entry.input)
    except Exception as error:  # noqa: BLE001  # a plugin that is gone or raises: what is open must not be given up for it
        return desk, (), f"refuse: {type(error).__name__}: {' '.join(str(error).split())}"
    return after, tuple(command for command in commands if isinstance(command, ORDER_COMMANDS)), ""


def _refuse(context: CheckContext) -> Refusal:
    return Refusal("recorded", f"the record holds no order in {context.plan.symbol}")


_NO = PreTradeCheck(name="recorded", owner="tradeshell", check=_refuse)


def _followed(desk: Desk, planned: tuple[Command, ...], recorded: tuple[OrderCommand, ...]) -> Desk:
    """Return the desk with the orders as they were recorded, and frozen where it cannot know them."""
    left = {command.order.ref for command in recorded if isinstance(command, PlaceOrder)}
    for command in planned:
        if isinstance(command, PlaceOrder) and command.order.ref not in left:
            desk = _frozen(_without(desk, command.order.ref), command.order.symbol)
    for each in recorded:
        if isinstance(each, CancelOrder):
            continue  # a picture tells what became of it
        order = desk.order(each.order.ref)
        if order is None:
            desk = _frozen(desk, each.order.symbol)
            continue
        book = desk.books[each.order.symbol]
        orders = {**book.orders, each.order.ref: replace(order, spec=each.order, order_id=each.order_id)}
        desk = replace(
            desk,
            books={**desk.books, each.order.symbol: replace(book, orders=orders)},
            next_order_id=max(desk.next_order_id, each.order_id + 1),
        )
    return desk


def _without(desk: Desk, ref: str) -> Desk:
    """Return the desk without an order that never left; its number would address another one."""
    symbol, parts = desk.refs[ref], parse_ref(ref)
    book = desk.books[symbol]
    trades = book.trades
    if parts is not None and parts.watch in trades:
        trade = trades[parts.watch]
        trades = {
            **trades,
            trade.id: replace(trade, refs=tuple(other for other in trade.refs if other != ref)),
        }
    orders = {key: order for key, order in book.orders.items() if key != ref}
    refs = {key: value for key, value in desk.refs.items() if key != ref}
    return replace(desk, refs=refs, books={**desk.books, symbol: replace(book, orders=orders, trades=trades)})


def _frozen(desk: Desk, symbol: str) -> Desk:
    book = desk.books.get(symbol)
    if book is None:  # nothing is known of it, not even that it was traded
        return replace(desk, stopped=f"{DIFFERS} in {symbol}") if desk.stopped in ("", DIFFERS) else desk
    if book.frozen:
        return desk
    return replace(desk, books={**desk.books, symbol: replace(book, frozen=DIFFERS)})


def _words(commands: tuple[Command, ...]) -> str:
    """Return order commands in a few words."""
    said: list[str] = []
    for command in commands:
        if isinstance(command, CancelOrder):
            said.append(f"cancel {command.ref} (#{command.order_id})")
        elif isinstance(command, PlaceOrder | ModifyOrder):
            order, verb = command.order, "place" if isinstance(command, PlaceOrder) else "change"
            at = order.stop if order.stop is not None else order.limit
            price = "" if at is None else f" at {at}"
            said.append(f"{verb} {order.ref} (#{command.order_id}) {order.side} {order.qty}{price}")
    return ", ".join(said) or "nothing"
