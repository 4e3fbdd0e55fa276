"""One instrument in one account: its orders, its execution ledger, its position, its trades.

Laws: the book is the only place that builds a SELL. Fills are booked from executions, once per execution stem, in whatever
state the order is believed to be; a correction replaces. Statuses move states, never quantities. What the broker shows of
prices and totals wins over what was asked, unless a change of ours is on its way.

The cap: what our trades hold (by executions, and by the position less what is not ours) less what working, unknown and
unexplained sells could take. No SELL may exceed it.

Whose shares: ``seed`` shares were there before the book opened or came without an execution; executions that are not ours add
to them or take from them; what sales took beyond that was our trades' (``shares``).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct, field
from msgspec.structs import replace

from tradeshell.core.cap import exposures
from tradeshell.core.inputs import ExecutionReport, OrderReport, PositionReport
from tradeshell.core.market import Instrument, Price, Shares
from tradeshell.core.orders import (
    RETRY,
    Order,
    OrderSpec,
    OrderState,
    OrderType,
    Side,
    Signal,
    advance,
    ended,
    parse_ref,
)
from tradeshell.core.shares import Move, returned, taken
from tradeshell.core.trade import SALE, Trade, awaited, entry_of, exits_of, inventory, is_over, leg_of

_SIGNALS = {
    OrderState.HELD: Signal.HELD,
    OrderState.WORKING: Signal.WORKING,
    OrderState.CANCELLED: Signal.CANCELLED,
    OrderState.REFUSED: Signal.REFUSED,
    OrderState.UNKNOWN: Signal.LOST_SIGHT,
}


OLD = timedelta(seconds=6)  # how old an answer or a status may be
LONG = timedelta(seconds=10)  # how long a command may be on its way: what it may have raised stays bound
LAG = timedelta(seconds=3)  # how far a position message may lie behind an execution
GRAIN = timedelta(seconds=1)  # brokers tell the time of an execution in whole seconds, the begun one


class Doubt(Struct, frozen=True):
    """A position that differs: what was said and expected, and when the first picture that said so was asked for."""

    found: tuple[Shares, Shares]
    since: datetime


class Book(Struct, frozen=True, kw_only=True):
    """The book of one instrument. ``position`` and ``average`` are the broker's own words, ``None`` before it spoke."""

    instrument: Instrument
    opened_at: datetime
    orders: dict[str, Order] = field(default_factory=dict)
    executions: dict[str, ExecutionReport] = field(default_factory=dict)
    trades: dict[str, Trade] = field(default_factory=dict)
    fees: frozenset[str] = frozenset()  # executions whose fee is booked
    position: Shares | None = None
    average: Price | None = None
    since_position: Shares = 0  # executed since the broker last said the position
    executed_at: datetime | None = None
    net: Shares = 0  # net shares of all executions since the book opened, anybody's
    has_taken: bool = False  # some trade has lost shares to other sells
    taken_by_us: Shares = 0  # of those, what other trades of ours sold beyond their own
    seed: Shares | None = None  # shares of others when the book opened, and ``moves``
    moves: tuple[Move, ...] = ()  # shares that came or went without an execution, as far as that is believed
    gained: Shares = 0  # of the last of them, what an execution may still explain
    gained_at: datetime | None = (
        None  # when they came, while pictures are to say whether an execution was lost
    )
    differs_at: datetime | None = None  # since when position and ledger disagree
    doubt: Doubt | None = None
    look_at: datetime | None = None  # when the next look at the position is due
    frozen: str = ""  # why no new order leaves in this symbol
    claimed: Shares = (
        0  # shares that sells called as ours could take, although no book has them (``standing``)
    )

    def trade_of(self, ref: str) -> Trade | None:
        """Return the trade that sent ``ref``."""
        parts = parse_ref(ref) if ref in self.orders else None
        return None if parts is None else self.trades[parts.watch]

    def counts(self, execution: ExecutionReport) -> bool:
        """Return whether an execution happened while the book was open; older ones are in the position it began with."""
        return execution.at >= self.opened_at or execution.ref in self.orders

    def is_buying(self) -> bool:
        """Return whether a BUY of ours may be executing: what the position gained then may be its shares."""
        return any(order.spec.side is Side.BUY and order.state.is_live for order in self.orders.values())

    def expected(self) -> Shares:
        """Return the position that follows from where the book began and every execution since."""
        return (self.seed or 0) + self.net

    def held(self) -> Shares:
        """Return the shares that are certainly held: the lower of the position and what executions make of it."""
        if self.position is None:
            return self.expected()
        return min(self.position, self.position + self.since_position, self.expected())

    def committed(self) -> Shares:
        """Return the shares that our sells could still take, those that no record knows included.

        Each OCA group (or bracket) counts its largest order once.
        """
        return sum(exposures(self.orders).values()) + self.claimed

    def own(self) -> Shares:
        """Return the shares that our trades hold by their executions."""
        return sum(inventory(trade, self.orders) for trade in self.trades.values()) + self.taken_by_us

    def foreign(self) -> Shares:
        """Return the shares in the account that are not our trades'."""
        return max(0, self.expected() - self.own())

    def cap(self) -> Shares:
        """Return how many shares a new SELL may take; never more than this is exposed, whatever was lost on the way."""
        own = self.own()
        if self.position is not None:
            # Others may be short, by themselves: that takes nothing from us.
            own = min(own, self.position + self.since_position - (self.expected() - own))
        # What was typed to sell, and what no record knows, takes shares that are not our trades' first.
        exposed = exposures(self.orders)
        typed = sum(qty for ref, qty in exposed.items() if leg_of(ref) == SALE)
        return own - (sum(exposed.values()) - typed) - max(0, typed + self.claimed - self.foreign())

    def room(self, trade: Trade) -> Shares:
        """Return how many shares a new SELL of one trade may take: of its own, whatever others have that is not exposed."""
        exposed = sum(exposures({ref: self.orders[ref] for ref in trade.refs}).values())
        return min(self.cap(), inventory(trade, self.orders) - exposed)

    def agrees(self) -> bool:
        """Return whether the broker has said a position and it is what our executions make it."""
        return self.position is not None and self.position == self.expected()


def with_order(book: Book, order: Order) -> Book:
    """Return the book with ``order`` put in its place."""
    return replace(book, orders={**book.orders, order.spec.ref: order})


def with_trade(book: Book, trade: Trade) -> Book:
    """Return the book with ``trade`` put in its place."""
    return replace(book, trades={**book.trades, trade.id: trade})


# --- what the broker says of an order ---------------------------------------------------------------------------------


def shown(order: Order, report: OrderReport, at: datetime) -> Order:
    """Return ``order`` after the broker's report; raises ``IllegalTransition`` for what the table does not allow."""
    if (
        order.state is OrderState.CANCELLED
        and order.lost_at is not None
        and not order.was_told
        and report.state.is_live
    ):
        order = replace(revived(order), state=OrderState.UNKNOWN)  # pictures lacked it, and it speaks
    order = _unveiled(order, report.filled)
    if order.before is not None and order.changing and _tells_old_total(order, report, at):
        report = replace(report, qty=None, stop=order.before.stop, limit=order.before.limit)
    after = _signalled(order, report)
    if _sells_on(order, report):  # it sold more than we knew it could: its total was not what we took it for
        after = replace(order, state=report.state)
    spec, changing, grown = _agreed(order, report, is_live=after.state.is_live)
    is_echo = is_live_echo(order, spec, at)
    if is_echo:  # a word from before our last change; a picture will say whether it is meant
        spec = replace(spec, stop=order.spec.stop, limit=order.spec.limit)
    is_old = after.state.is_live and _is_old_total(order, report, at)
    if is_old:  # it would free shares that a larger total binds
        spec, changing, is_echo = replace(spec, qty=order.spec.qty), order.changing, True
    shows_total = report.qty is not None and not is_old and not _is_behind(order, report)
    is_answer = order.changing and not changing
    is_settled = shows_total and not _is_doubted(order, report, at, is_answer=is_answer)
    doubted = 0 if is_settled else order.doubted
    elected = (
        order.spec.type is OrderType.STOP_LIMIT
        and order.elected_at is None
        and after.state is OrderState.WORKING
        and order.state is not OrderState.WORKING
    )
    is_over = not after.state.is_live
    new = replace(
        after,
        spec=spec,
        order_id=report.order_id or order.order_id,
        told_filled=max(order.told_filled, report.filled),
        told_final=report.filled if report.state is OrderState.FILLED else order.told_final,
        changing=changing and after.state.is_live,
        before=(order.before if is_old else _shrunk(order.before, spec.qty, report)) if changing else None,
        retries=order.retries if changing or order.cancelling else 0,
        grown=grown,
        unseen_since=None if shows_total else order.unseen_since,
        doubted=max(doubted, order.spec.qty if _is_unasked(order, spec, at) else 0),
        was_cut=after.was_cut or (after.state is OrderState.FILLED and report.state is OrderState.CANCELLED),
        absent_at=None,
        is_missed=is_echo,
        cancelling=order.cancelling and after.state.is_live,
        elected_at=at if elected else order.elected_at,
        ended_at=at if is_over and order.ended_at is None else order.ended_at,
        why=report.why or order.why,
    )
    if new.state.is_live and order.lost_at is not None:  # it works again
        return revived(new)
    asked = (order.cancelling or order.is_probed) and report.state is OrderState.CANCELLED
    new = ended(new, at, told=True, asked=asked)
    return replace(new, is_explained=True) if asked else new  # also one that pictures had ended


def revived(order: Order) -> Order:
    """Return an order that was taken for ended and lives: nothing has cut it, its children wait as before."""
    return replace(
        order,
        was_cut=False,
        ended_at=None,
        left=0,
        is_explained=False,
        lost_at=None,
        gone_at=None,
        was_told=False,
        is_mourned=False,
    )


def _unveiled(order: Order, told: Shares) -> Order:
    """Return a purchase of which a correction was heard first, after a word about its count: what is missing was taken back.

    Of a sale nobody believes that before pictures agree; of a purchase it would be careless not to.
    """
    return replace(order, undone=max(order.undone, told - order.filled)) if order.is_veiled else order


def _sells_on(order: Order, report: OrderReport) -> bool:
    if order.state is not OrderState.FILLED or report.state is not OrderState.WORKING or report.qty is None:
        return False
    return report.filled >= order.filled > order.spec.qty and report.remaining > 0


def _signalled(order: Order, report: OrderReport) -> Order:
    # Executions alone fill an order: a status only says how many to expect. Echoes of our own sending say nothing.
    if report.state in (OrderState.FILLED, OrderState.SENT):
        is_filled = report.state is OrderState.FILLED and 0 < report.filled <= order.done
        return advance(order, Signal.FULL_FILL) if is_filled else order
    if (
        report.state is OrderState.CANCELLED and order.done >= order.spec.qty
    ):  # it has sold all that was asked for
        return advance(order, Signal.FULL_FILL)
    return advance(order, _SIGNALS[report.state])


def _agreed(order: Order, report: OrderReport, *, is_live: bool) -> tuple[OrderSpec, bool, bool]:
    """Return the order as broker and we agree on it, whether a change is still in flight, and whether it grew."""
    spec = order.spec
    if not is_live:
        return spec, False, False
    if _is_behind(order, report):
        return spec, order.changing, False
    stop = spec.stop if report.stop is None or not spec.type.is_stop else report.stop
    limit = spec.limit if report.limit is None or not order.has_limit else report.limit
    total = spec.qty
    if report.qty is not None:
        # Brokers show a reduced sibling as a smaller total, or as the old total with less remaining.
        total = max(min(report.qty, report.filled + report.remaining), order.done)
    if order.changing:
        prices_agree = (stop, limit) == (spec.stop, spec.limit)
        if report.qty is None and order.before is not None and spec.qty != order.before.qty:
            return spec, True, False  # a bare status says nothing about a total
        if order.before is not None and spec.qty > order.before.qty:  # a raise has to be seen
            return spec, not (prices_agree and total == spec.qty), False
        return replace(spec, qty=min(spec.qty, total)), not (prices_agree and total <= spec.qty), False
    return replace(spec, stop=stop, limit=limit, qty=total), False, total > spec.qty


def is_live_echo(order: Order, shown_now: OrderSpec, at: datetime) -> bool:
    """Return whether prices are shown that we have changed a moment ago: statuses may be late, in whatever order."""
    if order.changing or order.touched_at is None or at - order.touched_at >= OLD:
        return False
    prices = (shown_now.stop, shown_now.limit)
    return prices != (order.spec.stop, order.spec.limit) and prices in order.outdated


def _is_doubted(order: Order, report: OrderReport, at: datetime, *, is_answer: bool) -> bool:
    """Return whether a larger total may still come although a smaller one is shown: its command left not long ago.

    What answers a later change comes after it.
    """
    is_on_its_way = not is_answer and order.touched_at is not None and at - order.touched_at < LONG
    return is_on_its_way and report.filled + report.remaining < order.doubted


def _is_unasked(order: Order, shown_now: OrderSpec, at: datetime) -> bool:
    """Return whether an exit that is alone in its group is shown smaller than we asked for a moment ago: perhaps an old word."""
    is_alone = order.spec.oca_group is None and order.spec.parent_ref is None
    is_young = order.is_ours and order.touched_at is not None and at - order.touched_at < LONG
    return is_alone and is_young and shown_now.qty < order.spec.qty


def _is_behind(order: Order, report: OrderReport) -> bool:
    """Return whether a report is older than what is known of its order, whatever else it says."""
    return report.filled < max(order.told_filled, order.done)


def _is_old_total(order: Order, report: OrderReport, at: datetime) -> bool:
    """Return whether a total is shown that we have raised a moment ago; nobody reduces exits that are alone in their group."""
    if report.qty is None or order.touched_at is None or at - order.touched_at >= OLD:
        return False
    total = min(report.qty, report.filled + report.remaining)
    return total < order.spec.qty and total in order.risen


def _tells_old_total(order: Order, report: OrderReport, at: datetime) -> bool:
    """Return whether a word that comes while a change is on its way shows a total from before an earlier raise."""
    if report.qty is None or order.touched_at is None or at - order.touched_at >= OLD:
        return False
    total = min(report.qty, report.filled + report.remaining)
    return total < order.spec.qty and total in order.risen


def risen(order: Order, at: datetime) -> tuple[Shares, ...]:
    """Return the totals that raises of ours make old, with those of our other raises that are young."""
    was = order.before
    kept = () if order.touched_at is None or at - order.touched_at >= OLD else order.risen
    return kept if was is None or was.qty >= order.spec.qty else (*kept, was.qty)


def outdated(order: Order, at: datetime) -> tuple[tuple[Price | None, Price | None], ...]:
    """Return the prices that a change of ours makes old, with those of our other changes that are young."""
    was = order.before
    kept = () if order.touched_at is None or at - order.touched_at >= OLD else order.outdated
    if was is None or (was.stop, was.limit) == (order.spec.stop, order.spec.limit):
        return kept
    return (*kept, (was.stop, was.limit))


def _shrunk(before: OrderSpec | None, qty: Shares, report: OrderReport) -> OrderSpec | None:
    """Return what a refused change would fall back to: the broker's own reductions hold for it too."""
    if before is None or report.qty is None:
        return before
    shown_total = min(report.qty, report.filled + report.remaining)
    return replace(before, qty=min(before.qty, max(shown_total, qty)))


def reverted(order: Order, at: datetime) -> Order:
    """Return the order as the broker works it after it refused a change or a cancel; it is left alone for a while."""
    spec = order.spec if order.before is None else order.before
    is_doubtful = order.owes_answer and order.changing and order.spec.qty > spec.qty
    return replace(
        order,
        spec=replace(spec, transmit=True),
        before=None,
        owes_answer=False,
        doubted=order.spec.qty if is_doubtful else order.doubted,
        changing=False,
        cancelling=False,
        cancel_reason="" if order.cancelling else order.cancel_reason,
        by_operator=order.by_operator and not order.cancelling,
        retries=order.retries + 1,
        retry_at=at + RETRY.delay(order.retries),
    )


def moved(order: Order, *, qty: Shares, limit: Price | None, stop: Price | None) -> Order:
    """Return the order with new values asked for and the change in flight; a change always transmits."""
    spec = replace(order.spec, qty=qty, limit=limit, stop=stop, transmit=True)
    return replace(order, spec=spec, before=order.spec, changing=True, grown=False)


# --- executions and positions -----------------------------------------------------------------------------------------


def executed(book: Book, execution: ExecutionReport) -> tuple[Book, Shares]:
    """Return the book with the execution booked and the net change of its quantity (0 for a repetition).

    A later revision of the same stem replaces the earlier one (IBKR: the last part of ``execId`` counts corrections).
    """
    before = book.executions.get(execution.stem)
    if before is not None and before.revision >= execution.revision:
        return _outdated_execution(book, before, execution), 0
    is_last = book.executed_at is None or execution.at > book.executed_at
    added = execution.qty - (0 if before is None else before.qty)
    book = replace(
        book,
        executions={**book.executions, execution.stem: execution},
        since_position=book.since_position + execution.side.sign * added,
        executed_at=execution.at if book.executed_at is None else max(book.executed_at, execution.at),
    )
    if book.counts(execution):
        book = replace(book, net=book.net + execution.side.sign * added)
    if (came := execution.side.sign * added) > 0:
        book = _explained(book, execution, came)
    order = book.orders.get(execution.ref)
    if order is not None:
        value = execution.price * execution.qty - (
            Decimal(0) if before is None else before.price * before.qty
        )
        if before is None and execution.revision > 1 and execution.side is Side.BUY:
            order = replace(order, is_veiled=True)
        book = with_order(book, _filled(order, added, value, execution.at, is_correction=before is not None))
    else:
        book = _begun_earlier(book, GRAIN, sales_only=book.is_buying())
    # One that happened before others that we have heard may be what they took from.
    return book if is_last and _is_plain(book, book.trade_of(execution.ref)) else with_taken(book), added


def _outdated_execution(book: Book, known: ExecutionReport, old: ExecutionReport) -> Book:
    """Return the book after an execution came later than its correction: what the correction took is claimed by statuses, too."""
    order = book.orders.get(old.ref)
    lost = old.qty - known.qty
    if order is None or old.revision == known.revision:
        return book
    if order.is_veiled and order.state.is_live:  # nobody has to guess any more what the correction took
        order = replace(order, is_veiled=False, undone=max(order.untrue, lost))
        book = with_order(book, order)
    if lost <= order.untrue:
        return book
    order = replace(order, untrue=lost, undone=max(order.undone, lost))
    if order.told_final is not None and order.done >= order.told_final > 0:
        order = replace(advance(order, Signal.FULL_FILL), ended_at=order.ended_at or old.at)
    return with_order(book, order)


def _explained(book: Book, execution: ExecutionReport, came: Shares) -> Book:
    """Return the book in which a purchase, or a sale taken back, explains shares that a position had shown before it was told."""
    if not book.gained or execution.at > book.moves[-1].at:
        return book
    part = min(came, book.gained)
    last = book.moves[-1]._replace(shares=book.moves[-1].shares - part)
    moves = (*book.moves[:-1], last) if last.shares else book.moves[:-1]
    left = book.gained - part
    gained_at = book.gained_at if left else None
    return replace(book, seed=(book.seed or 0) - part, moves=moves, gained=left, gained_at=gained_at)


def _filled(order: Order, added: Shares, value: Decimal, at: datetime, *, is_correction: bool) -> Order:
    filled = order.filled + added
    undone = max(0, order.undone - added) if is_correction or order.is_veiled else order.undone
    if order.is_veiled:
        undone = max(undone, order.told_filled - filled)
    # While a reduction is on its way the broker may still work the larger total.
    total = order.spec.qty if order.before is None else max(order.spec.qty, order.before.qty)
    is_full = filled + undone >= total or (order.told_final is not None and filled >= order.told_final > 0)
    # What was counted before the order was refused does not wake it; anything else does.
    is_counted = order.state is OrderState.REFUSED and not is_full and 0 <= added <= awaited(order)
    after = order if is_counted else advance(order, Signal.FULL_FILL if is_full else Signal.PART_FILL)
    after = replace(
        after,
        filled=filled,
        notional=order.notional + value,
        undone=undone,
        absent_at=None,
        is_missed=False,
        left=max(0, order.left - max(0, added)),
    )
    if after.state.is_live:
        return after if order.lost_at is None else revived(after)
    if added < 0:  # an execution was taken back from an order that is over: nobody sells those shares now
        after = replace(
            after, lost_at=at, gone_at=None, left=order.left - added, was_told=True, is_explained=False
        )
    return replace(after, changing=False, cancelling=False, ended_at=order.ended_at or at)


def with_taken(book: Book) -> Book:
    """Return the book with the shares that other sales took from our trades, newest trade first."""
    ours = {ref: t.id for t in book.trades.values() if t.plan.side is Side.BUY for ref in t.refs}
    moves = [
        Move(e.at, ours.get(e.ref), e.side.sign * e.qty)
        for e in book.executions.values()
        if e.ref in ours or book.counts(e)
    ]
    trades = sorted(book.trades.values(), key=lambda trade: trade.asked_at)
    newest = [trade.id for trade in reversed(trades) if trade.plan.side is Side.BUY]
    complete = {id_ for id_ in newest if is_over(entry_of(book.trades[id_], book.orders))}
    start = (book.seed or 0) - sum(move.shares for move in book.moves)
    found = taken(start, [*moves, *book.moves], newest, complete)
    for id_, part in found.by_trade.items():
        if part != book.trades[id_].taken:
            book = with_trade(book, replace(book.trades[id_], taken=part))
    return replace(book, has_taken=any(found.by_trade.values()), taken_by_us=found.by_us)


def _is_plain(book: Book, trade: Trade | None) -> bool:
    """Whether an execution of a trade can take nothing from any other, nor others anything from it."""
    if trade is None or trade.plan.side is Side.SELL or book.has_taken or (book.seed or 0) < 0:
        return False
    held = [inventory(each, book.orders) for each in book.trades.values()]
    return min(held) >= 0 and book.expected() >= sum(held)


def positioned(book: Book, report: PositionReport, at: datetime) -> Book:
    """Return the book with the broker's position; a first one tells how many shares were there before."""
    # The old figure again, right after executions, is an old message: it says nothing about them.
    is_old = report.qty == book.position and report.qty != book.expected()
    since = book.since_position if is_old else 0
    book = replace(book, position=report.qty, average=report.average, since_position=since)
    calm = timedelta(0) if book.is_buying() else OLD if book.executed_at is None else at - book.executed_at
    book = _begun_earlier(book, OLD if calm >= LAG else GRAIN, sales_only=book.is_buying())
    more = report.qty - book.expected()
    if book.seed is None and (more > 0 or not book.executions):
        book = with_taken(replace(book, seed=report.qty - book.net))
    elif more > 0 and calm >= OLD and not any(move.shares < 0 for move in book.moves):
        # Somebody else's shares from now on. What others sold before is not given back for that: the figure may be an old one.
        # Less is never believed at once, nor that what went without an execution comes back (``reconciled`` does).
        # What came a moment ago may be of the same purchase: its executions, still to come, explain both.
        before = 0 if book.gained_at is None else book.gained
        gained, kept = before + more, book.moves[:-1] if before else book.moves
        moves = (*kept, Move(at, None, gained))
        book = replace(book, seed=(book.seed or 0) + more, moves=moves, gained=gained, gained_at=at)
    if report.qty == book.expected():
        return replace(book, differs_at=None)
    return book if book.differs_at is not None else replace(book, differs_at=at)


def _begun_earlier(book: Book, most: timedelta, *, sales_only: bool) -> Book:
    """Return the book begun a little earlier, if executions from just before it opened make the position that differs.

    What was known of the position when it opened may have been from before them; those of its very second may be younger than it.
    """
    early = [e for e in book.executions.values() if not book.counts(e) and book.opened_at - e.at < most]
    net = 0
    for at in sorted({e.at for e in early}, reverse=True):
        net += sum(e.side.sign * e.qty for e in early if e.at == at)
        if book.seed is None or net == 0 or (sales_only and net > 0):
            continue
        if book.position == book.expected() + net:
            return with_taken(replace(book, opened_at=at, net=book.net + net))
    return book


def reconciled(book: Book, at: datetime) -> Book:
    """Return the book that believes the broker's position: what differs came or went without an execution we saw.

    What went, went just now; what came, beyond what had gone, was there from the beginning, as far as anybody knows.
    """
    assert book.position is not None  # it is what differs
    change = book.position - book.expected()
    moves = (*book.moves, Move(at, None, change)) if change < 0 else returned(book.moves, change)
    seed = (book.seed or 0) + change
    return with_taken(
        replace(book, seed=seed, moves=moves, gained=0, gained_at=None, differs_at=None, doubt=None)
    )


def stops_of(book: Book, trade: Trade) -> tuple[Order, ...]:
    """Return the trade's elected stop-limits that still work."""
    return tuple(order for order in exits_of(trade, book.orders) if order.is_chased)
