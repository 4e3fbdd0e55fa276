"""Why a watcher fired, and how its trade stands.

Laws: as in ``why``; what matters most comes first: bought nothing, closed, frozen, without protection, reopened, held.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from tradeshell import signed
from tradeshell_jsonl_log.tale import STATUSES, Said, Tale, Tales, average, clock, shares, shown_price
from tradeshell_jsonl_log.why import Case, Why, name_of, reason_words, step_words, touch_words
from tradeshell_jsonl_log.why_asked import is_living
from tradeshell_jsonl_log.why_order import leg_line
from tradeshell_jsonl_log.why_watch import armed_words, trigger_words, why_not_fired, why_refused

BAD_STATES = ("EMERGENCY", "UNPROTECTED", "PARTIAL", "OVERSOLD")
STEPS = 6  # of an incident are told


def why_trade(tales: Tales, tale: Tale, now: datetime) -> Why:
    """Explain a watcher or trade: why it fired or did not, and how it stands."""
    case = Case(tale, tuple(tales.general), now)
    found = _why_unknown(case) or why_refused(case) or why_not_fired(case) or _why_entered(case)
    name = name_of(tale)
    return found or case.why(name, "unknown", f"{name}: the log does not say how it began", *tale.said[:1])


class Entered(Struct):
    """A trade whose entry was to be sent: what the answer about it says first, and on which records."""

    case: Case
    entry: Said
    details: list[str]
    because: list[Said | None]

    @property
    def tale(self) -> Tale:
        """The trade's records."""
        return self.case.tale

    def answer(self, situation: str, words: str, *because: Said | None, details: tuple[str, ...] = ()) -> Why:
        """Put an answer together."""
        name = name_of(self.tale)
        return self.case.why(
            name, situation, f"{name} {words}", *self.because, *because, details=[*self.details, *details]
        )


def _why_entered(case: Case) -> Why | None:
    tale = case.tale
    placed = tale.intents("place")
    if not placed:
        return None
    entry, ref = placed[0], tale.entry_ref()
    confirmed, restored = tale.last("BreakoutConfirmed"), tale.last("DetachedSessionRestored")
    details = [armed_words(case)]
    if confirmed is not None:
        details.append(f"fired at {case.when(confirmed)}: {trigger_words(case, confirmed)}")
    order = f"{entry.text('side')} {entry.number('qty')} {entry.order_words()}"
    touch = f" · {words}" if (words := touch_words(entry)) else ""
    details.append(f"entry {case.when(entry)}: {order}{touch}")
    if restored is not None:
        details.append(_restored_words(case, restored))
    fills = tale.all("OrderFilled", ref=ref)
    because = [tale.last("BreakoutStarted"), confirmed, entry, *fills, restored]
    entered = Entered(case, entry, details, because)
    bought = tale.executions(ref=ref)
    if not bought:
        return _unfilled(entered, ref)
    verb = "bought" if entry.text("side") == "BUY" else "sold"
    details.append(f"{verb} {shares(bought)} at {shown_price(average(bought))}, {case.when(fills[-1])}")
    details += _sold_lines(case, ref)
    closed, reopened = tale.last("TradeClosed"), tale.last("TradeReopened")
    if closed is not None and (reopened is None or reopened.seq < closed.seq):
        return _closed(entered, closed)
    return _open(entered, shares(tale.bought()) - shares(tale.sold()), reopened)


def _restored_words(case: Case, restored: Said) -> str:
    found = f"{restored.number('held')} shares, {restored.number('protected')} protected"
    number = f"{restored.number('missed')} execution{'' if restored.number('missed') == 1 else 's'}"
    missed = f"{number} missed meanwhile"
    if restored.text("source") == "broker":
        missed = f"found in {restored.number('orders')} orders and {number} of the broker's"
    return f"restored at {case.when(restored)} from the {restored.text('source')}: {found}, {missed}"


def _why_unknown(case: Case) -> Why | None:
    """Orders of ours work for it, and no record of the program knows it."""
    name = name_of(case.tale)
    unknown, restored = case.tale.last("UnknownSessionDetected"), case.tale.last("DetachedSessionRestored")
    if unknown is None or (restored is not None and restored.seq > unknown.seq):
        return None
    stops = f"{unknown.number('protected')} of {unknown.number('held')} shares have a stop"
    orders = f"{unknown.number('orders')} orders of ours work for it, {stops}, none of them moves"
    fix = "`reconcile` lists it, `reconcile fix ROW` looks after it again"
    return case.why(
        name,
        "unknown_session",
        f"{name} is in no record of the program since {case.when(unknown)}: {orders}",
        unknown,
        details=[fix if unknown.raw.get("can_be_restored") else ""],
    )


def _sold_lines(case: Case, entry: str) -> list[str]:
    lines = []
    sold = [each for each in case.tale.sold() if each.ref != entry]
    for leg in dict.fromkeys(each.leg for each in sold):
        mine = [each for each in sold if each.leg == leg]
        at = clock(max(each.at for each in mine), case.now)
        lines.append(f"{leg} sold {shares(mine)} at {shown_price(average(mine))}, {at}")
    return lines


def _unfilled(entered: Entered, ref: str) -> Why:
    """The entry bought nothing: it works, was cancelled, or nobody knows."""
    case, tale = entered.case, entered.tale
    cancels = tale.intents("cancel", ref=ref)
    ended = tale.last("BreakoutStopped")
    status = tale.last(
        "OrderStatusChanged", "OrderMissing", "OrderOutcomeUnknown", "OrderSendFailed", ref=ref
    )
    if status is not None and status.event == "OrderOutcomeUnknown":
        words = f"has an entry of which nothing was heard by {case.when(status)}: it counts as working"
        return entered.answer("unknown_outcome", words, status)
    if status is not None and status.event == "OrderSendFailed":
        return entered.answer(
            "not_sent", f"did not enter: the order was not sent, {status.text('reason')}", status
        )
    if cancels:
        why = reason_words(cancels[-1].text("reason"))
        words = f"bought nothing: its entry was cancelled at {case.when(cancels[-1])}, {why}"
        return entered.answer("not_filled", words, cancels[-1], status, ended)
    if status is not None and status.text("status") in ("cancelled", "refused"):
        words = f"bought nothing: its entry was {status.text('status')} at {case.when(status)}, {status.text('reason')}"
        return entered.answer("not_filled", words, status, ended)
    return entered.answer("entry_working", "has fired, its entry works and has bought nothing yet", status)


def _closed(entered: Entered, closed: Said) -> Why:
    case, tale = entered.case, entered.tale
    pnl, r = closed.price("pnl"), closed.price("r")
    result = f"{closed.number('qty')} shares {closed.cash('entry')} → {closed.cash('exit')}"
    result += "" if pnl is None else f", {signed(pnl)} USD"
    result += "" if r is None else f", {signed(r)} R"
    typed = [each for each in case.on_symbol("FlattenStarted") if entered.entry.seq < each.seq < closed.seq]
    is_flattened = bool(typed) and any(each.leg.startswith("flat") for each in tale.sold())
    why = "it was flattened" if is_flattened else "every share is sold"
    return entered.answer(
        "flattened" if is_flattened else "closed",
        f"is closed since {case.when(closed)}: {why} · {result}",
        *(typed[-1:] if is_flattened else ()),
        *tale.all("BracketChildOrderFilled"),
        closed,
    )


def _open(entered: Entered, held: int, reopened: Said | None) -> Why:
    case, tale = entered.case, entered.tale
    state, frozen = tale.last("LadderProtectionStateChanged"), tale.last("SymbolFrozen")
    legs = [
        leg_line(case, leg)
        for leg in tale.legs()
        if leg.startswith(("sl", "cover")) and is_living(tale, tale.refs(leg)[-1])
    ]
    sold = tale.all("BracketChildOrderFilled")
    if state is not None:
        covered = f"{state.number('protected')} of {state.number('held')} shares had a stop then"
        legs.insert(0, f"{state.text('state')} since {case.when(state)}: {covered}")
    if frozen is not None and not _is_lifted(case, frozen):
        words = f"is frozen since {case.when(frozen)}: {frozen.text('reason')} · no new order leaves, living stops stay"
        return entered.answer("frozen", words, *sold, frozen, state, details=tuple(legs))
    if state is not None and state.text("state") in BAD_STATES:
        steps = tale.all(
            "IncidentStepTaken", "LadderStopLossCancelled", "OrderRefused", "OrderMissing", "ProtectionAlarm"
        )[-STEPS:]
        bare = state.number("held") - state.number("protected")
        words = f"is {state.text('state')} since {case.when(state)}: {bare} of {state.number('held')} shares have no working stop"
        elected = [each for each in tale.all(*STATUSES) if each.text("status") == "elected"]
        told = [f"{case.when(each)} {each.text('leg') or 'exits'}: {step_words(each)}" for each in steps]
        return entered.answer("emergency", words, *sold, *elected, *steps, state, details=(*told, *legs))
    if reopened is not None:
        words = f"was closed and is open again since {case.when(reopened)}: {reopened.number('held')} shares are held after all"
        return entered.answer(
            "reopened", words, tale.last("TradeClosed"), reopened, state, details=tuple(legs)
        )
    confirmed = tale.last("BreakoutConfirmed")
    why = ""
    if confirmed is not None:
        why = f" because a bar closed at {confirmed.cash('close')}, at or above {confirmed.cash('level')}"
    words = (
        f"holds {held} shares{why}"
        if entered.entry.text("side") == "BUY"
        else f"sold {shares(tale.sold())} shares"
    )
    restored = tale.last("DetachedSessionRestored") is not None
    return entered.answer("restored" if restored else "fired", words, *sold, state, details=tuple(legs))


def _is_lifted(case: Case, frozen: Said) -> bool:
    return any(each.event == "KillSwitchLifted" and each.seq > frozen.seq for each in case.general)
