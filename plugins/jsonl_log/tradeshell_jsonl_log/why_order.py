"""Why an order is what it is: what placed it, what keeps it, how it ended (``why_stop`` has the stops that live).

Laws: as in ``why``; an order is the newest of its leg, one that lives before one that has ended.
"""

from __future__ import annotations

from datetime import datetime

from tradeshell_jsonl_log.tale import STATUSES, Said, Tale, Tales, average, shares, shown_price
from tradeshell_jsonl_log.why import Case, Why, broker_words, reason_words, step_words, touch_words
from tradeshell_jsonl_log.why_asked import OVER, Asked, is_living
from tradeshell_jsonl_log.why_outside import why_orphan
from tradeshell_jsonl_log.why_stop import why_stop

NOBODY = "nobody said why"


def why_order(tales: Tales, tale: Tale, leg: str, now: datetime, ref: str = "") -> Why:
    """Explain the order ``ref`` of a leg, its newest one without."""
    case = Case(tale, tuple(tales.general), now)
    refs = tale.refs(leg)
    living = [each for each in refs if is_living(tale, each)]
    return _why(case, leg, ref or (living or refs)[-1])


def leg_line(case: Case, leg: str) -> str:
    """Return the sentence about a leg's newest order."""
    return _why(case, leg, case.tale.refs(leg)[-1]).lines[0]


def _why(case: Case, leg: str, ref: str) -> Why:
    if (orphan := why_orphan(case, leg, ref)) is not None:
        return orphan
    placed = case.tale.intents("place", ref=ref)
    if not placed:
        known = case.tale.all(ref=ref)[:1]
        return case.why(
            f"{case.tale.symbol}.{leg}", "unknown", f"{leg}: the log does not say how it began", *known
        )
    asked = Asked(case, leg, ref, placed[0])
    unheard = asked.last("OrderOutcomeUnknown")
    if asked.state == "filled":
        return _filled(asked)
    if asked.state in OVER:
        return _ended(asked)
    if asked.state == "unknown" and unheard is not None:
        sent = f"{leg} was sent at {asked.when(asked.placed)}"
        sentence = f"{sent} and nothing was heard of it by {asked.when(unheard)}: it counts as working"
        return asked.answer("unknown_outcome", sentence, unheard)
    if asked.is_stop:
        return why_stop(asked)
    return _target(asked) if leg.startswith("tp") else _working(asked)


def _target(asked: Asked) -> Why:
    """A target that lives."""
    lost = [
        each for each in asked.tale.all("LadderTakeProfitLost", leg=asked.leg) if each.seq < asked.placed.seq
    ]
    price, at = asked.placed.cash("limit"), asked.when(asked.placed)
    details = [asked.sold, *asked.change_lines()]
    if asked.changes and asked.changes[-1].price("limit") != asked.placed.price("limit"):
        last = asked.changes[-1]
        sentence = f"{asked.leg} stands at {last.cash('limit')}: {last.text('reason')} at {asked.when(last)}"
        return asked.answer(
            "target_moved", sentence, *asked.changes, details=[f"it was {price} since {at}", *details]
        )
    if lost:
        why = lost[-1].text("reason") or NOBODY
        sentence = (
            f"{asked.leg} stands at {price} since {at}: sent again, because the one before was lost ({why})"
        )
        return asked.answer("target_replaced", sentence, lost[-1], details=details)
    if (step := asked.step("replacement")) is not None:
        sentence = f"{asked.leg} stands at {price} since {at}: sent again beside a new stop, the pair before was lost"
        return asked.answer("target_replaced", sentence, *asked.steps(), details=[*details, step_words(step)])
    sentence = (
        f"{asked.leg} stands at {price} since {at}, where the plan put it: targets stay where they are sent"
    )
    started = asked.tale.last("BreakoutStarted")
    return asked.answer("target_placed", sentence, started, *asked.fills, *asked.changes, details=details)


def _working(asked: Asked) -> Why:
    """An entry or a sale that lives."""
    causes = _causes(asked)
    stands = asked.changes[-1] if asked.changes else asked.placed
    order = f"{stands.text('side')} {stands.number('qty')} {stands.order_words()}"
    sentence = (
        f"{asked.leg} works since {asked.when(asked.placed)}: {order}, {shares(asked.executions)} filled"
    )
    details = [*_decided(asked), *_cause_lines(causes), *asked.change_lines()]
    return asked.answer(
        "working", sentence, asked.confirmed(), *causes, *asked.changes, *asked.fills, details=details
    )


def _decided(asked: Asked) -> list[str]:
    return [f"decided on {words}"] if (words := touch_words(asked.placed)) else []


def _causes(asked: Asked) -> list[Said]:
    """Return what sent a sale or a stop that no plan asked for: the operator's word, the step of an incident."""
    step = asked.step("flatten", "emergency", "replacement")
    typed = [each for each in asked.case.on_symbol("FlattenStarted") if each.seq < asked.placed.seq]
    return [*(typed[-1:] if asked.leg.startswith("flat") else ()), *([] if step is None else [step])]


def _cause_lines(causes: list[Said]) -> list[str]:
    return ["`flatten` was typed" if each.event == "FlattenStarted" else step_words(each) for each in causes]


# --- over -------------------------------------------------------------------------------------------------------------


def _filled(asked: Asked) -> Why:
    kind = "stop_filled" if asked.is_stop else "target_filled" if asked.leg.startswith("tp") else "filled"
    verb = "bought" if asked.placed.text("side") == "BUY" else "sold"
    elected, causes = asked.elected(), _causes(asked)
    moved = asked.moves[-1] if asked.moves else None
    sentence = f"{asked.leg} {verb} {shares(asked.executions)} at {shown_price(average(asked.executions))}"
    sentence += f", the last at {asked.when(asked.fills[-1])}"
    if asked.is_stop:
        sentence += f": the market came to its stop {(moved or asked.placed).cash('stop')}"
    elif asked.placed.price("limit") is not None:
        sentence += f": its limit was {(asked.changes[-1] if asked.changes else asked.placed).cash('limit')}"
    details = (
        [f"elected {asked.when(elected)}, its limit was {elected.cash('limit')}"]
        if elected is not None
        else []
    )
    details += [*_decided(asked), *_cause_lines(causes)]
    return asked.answer(
        kind, sentence, asked.confirmed(), *causes, moved, elected, *asked.fills, details=details
    )


def _ended(asked: Asked) -> Why:
    """An order that ended without having filled."""
    lost = asked.last("LadderStopLossCancelled", "LadderTakeProfitLost")
    status = asked.last(*STATUSES, "OrderMissing", "OrderSendFailed")
    ended = asked.placed if status is None else status
    at = f"{asked.leg} at {asked.when(ended)}"
    cancels = asked.tale.intents("cancel", ref=asked.ref)
    if asked.state == "not sent":
        return asked.answer("not_sent", f"{at} was not sent: {ended.text('reason')}", status)
    if asked.state == "missing":
        sentence = f"{at} counts as ended: two complete pictures of the broker's lack it"
        return asked.answer("missing", sentence, status, lost, *asked.steps(), details=asked.step_lines())
    if asked.state == "refused":
        told = asked.tale.all("OrderRefused", ref=asked.ref)
        refused = next((each for each in told if each.text("what") == "order"), None)
        said = (
            f"the broker said: {ended.text('reason') or NOBODY}" if refused is None else broker_words(refused)
        )
        sentence = f"{at} was refused: {said}"
        return asked.answer(
            "order_refused", sentence, refused, status, *asked.steps(), details=asked.step_lines()
        )
    if lost is not None:
        word = "stop_lost" if lost.event == "LadderStopLossCancelled" else "target_lost"
        sentence = f"{at} was lost: {lost.text('reason') or NOBODY}, no fill explains it"
        return asked.answer(
            word, sentence, status, lost, *asked.steps(), details=[asked.sold, *asked.step_lines()]
        )
    if cancels:
        sentence = f"{at} was cancelled: {reason_words(cancels[-1].text('reason'))}"
        return asked.answer("cancelled", sentence, cancels[-1], status, details=[asked.sold])
    sibling = f"{'sl' if asked.leg.startswith('tp') else 'tp'}{asked.number}"
    fills = asked.tale.executions(leg=sibling)
    if asked.number and fills:
        sentence = (
            f"{at} ended with its sibling: {sibling} sold {shares(fills)} at {shown_price(average(fills))}"
        )
        told = asked.tale.all("BracketChildOrderFilled", leg=sibling)
        return asked.answer("ended_with_sibling", sentence, *told, status, details=[asked.sold])
    sentence = f"{at} was cancelled: {ended.text('reason') or NOBODY}"
    return asked.answer("cancelled", sentence, status, details=[asked.sold])
