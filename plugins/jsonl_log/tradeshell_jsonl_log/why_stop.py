"""Why a stop is where it is: where it was put, what moved it, what keeps it, what it does once it is elected.

Laws: as in ``why``.
"""

from __future__ import annotations

from tradeshell_jsonl_log.tale import Said, shares, shown_price
from tradeshell_jsonl_log.why import Why, step_words, touch_words
from tradeshell_jsonl_log.why_asked import Asked

BY_OPERATOR = "changed by the operator"


def why_stop(asked: Asked) -> Why:
    """Explain a stop that lives."""
    moved = asked.moves[-1] if asked.moves else None
    failed = asked.last("LadderStopLossReplaceFailed")
    postponed = asked.tale.last("StopUpdatePostponed", leg=asked.leg)
    if (elected := asked.elected()) is not None:
        return _elected(asked, elected)
    if postponed is not None and (moved is None or postponed.seq > moved.seq):
        return _postponed(asked, moved, postponed)
    if failed is not None and (moved is None or failed.seq > moved.seq):
        return _refused(asked, moved, failed)
    if moved is not None:
        return _moved(asked, moved)
    if (step := asked.step("replacement", "emergency", "flatten")) is not None:
        return _sent_by(asked, step)
    if asked.leg == "cover":
        return _cover(asked)
    sentence = f"{asked.leg} stands at {asked.placed.cash('stop')} since {asked.when(asked.placed)}"
    number = _next_target(asked)
    sold = asked.tale.all("BracketChildOrderFilled", leg=f"tp{number}") if number else []
    return asked.answer(
        "stop_placed",
        f"{sentence}, where the plan put it; nothing has moved it",
        asked.tale.last("BreakoutStarted"),
        asked.tale.last("MilestoneReached"),
        *asked.changes,
        *sold,
        details=[_next_move(asked), *asked.change_lines()],
    )


def _elected(asked: Asked, elected: Said) -> Why:
    stands = asked.moves[-1] if asked.moves else asked.placed
    changes = [each for each in asked.changes if each.seq > elected.seq][-5:]
    sentence = f"{asked.leg} is elected since {asked.when(elected)}: the market traded at its stop {stands.cash('stop')}"
    if changes:
        sentence += f" · its limit follows the bid, now {changes[-1].cash('limit')}"
    else:
        sentence += f" · its limit {elected.cash('limit')} has not had to follow the bid"
    details = [
        f"{asked.when(each)} limit {each.cash('limit')} · {touch_words(each) or 'no touch'}"
        for each in changes
    ]
    details.append(
        f"{shares(asked.executions)} sold, {elected.number('remaining')} were left at the election"
    )
    return asked.answer("stop_follows_bid", sentence, *asked.moves[-1:], elected, *changes, details=details)


def _postponed(asked: Asked, moved: Said | None, postponed: Said) -> Why:
    stands = moved or asked.placed
    reached = asked.tale.last("MilestoneReached")
    since = (
        "its rule says so"
        if reached is None
        else f"target {reached.number('number')} was reached at {asked.when(reached)}"
    )
    bid = postponed.price("bid")
    seen = (
        "there was no fresh bid"
        if bid is None
        else f"the bid was {shown_price(bid)}, a stop there would have sold at once"
    )
    return asked.answer(
        "stop_not_moved",
        f"{asked.leg} stands at {stands.cash('stop')} and not yet at {postponed.cash('stop')}, where it belongs since {since}",
        moved,
        reached,
        postponed,
        details=[f"{asked.when(postponed)} {seen} · tried again every second", _since(asked, stands)],
    )


def _refused(asked: Asked, moved: Said | None, failed: Said) -> Why:
    stands = moved or asked.placed
    wanted = [each for each in asked.changes if each.seq < failed.seq][-1:]
    to = wanted[0].cash("stop") if wanted else "another price"
    refused = [each for each in asked.tale.all("OrderRefused", ref=asked.ref) if each.seq <= failed.seq][-1:]
    return asked.answer(
        "change_refused",
        f"{asked.leg} stands at {stands.cash('stop')}: its change to {to} was refused at {asked.when(failed)}",
        moved,
        asked.tale.last("MilestoneReached"),
        *wanted,
        *refused,
        failed,
        details=[f"the broker said: {failed.text('reason')}", _since(asked, stands)],
    )


def _since(asked: Asked, stands: Said) -> str:
    return f"it stands there since {asked.when(stands)}"


def _sent_by(asked: Asked, step: Said) -> Why:
    """A stop that an incident sent."""
    lost = [
        each
        for each in asked.tale.all("LadderStopLossCancelled", leg=step.text("leg"))
        if each.seq < asked.placed.seq
    ]
    words = "an emergency stop" if step.text("rung") == "emergency" else "a new stop"
    at = f"{words} for {asked.qty} shares since {asked.when(asked.placed)}"
    return asked.answer(
        step.text("rung"),
        f"{asked.leg} stands at {asked.placed.cash('stop')}: {at}, because the one before was lost",
        *lost,
        *asked.steps(),
        details=[
            f"{asked.when(each)} {step_words(each)}"
            for each in sorted((*lost, *asked.steps()), key=lambda each: each.seq)
        ],
    )


def _cover(asked: Asked) -> Why:
    told = asked.last("CoverStopPlaced")
    qty = asked.qty if told is None else told.number("qty")
    at = f"{asked.placed.cash('stop')} since {asked.when(asked.placed)}"
    sentence = (
        f"cover stands at {at}: it protects {qty} shares that the entry has bought until the legs are armed"
    )
    entry = asked.tale.all("OrderFilled", ref=asked.tale.entry_ref())
    return asked.answer("cover", sentence, *entry, told, details=asked.change_lines())


# --- moved ------------------------------------------------------------------------------------------------------------


def _moved(asked: Asked, moved: Said) -> Why:
    price = moved.cash("stop")
    wanted = [
        each for each in asked.changes if each.seq < moved.seq and each.price("stop") == moved.price("stop")
    ]
    intent = None if moved.text("reason") or not wanted else wanted[-1]
    before = asked.moves[-2] if len(asked.moves) > 1 else asked.placed
    times = [f"asked {asked.when(intent, fine=True)}"] if intent is not None else []
    times += [f"broker shows it {asked.when(moved, fine=True)}"]
    times += [f"it was {before.cash('stop')} since {asked.when(before)}"]
    details = [" · ".join(times), _next_move(asked)]
    stands = f"{asked.leg} stands at {price}"
    if intent is None:
        sentence = f"{stands} because it was {moved.text('reason') or 'changed'}"
        return asked.answer("stop_moved_elsewhere", sentence, before, moved, details=details)
    reason = intent.text("reason")
    if reason == BY_OPERATOR:
        sentence = f"{stands} because the operator put it there"
        return asked.answer("stop_moved_by_operator", sentence, before, intent, moved, details=details)
    reached = [each for each in asked.tale.all("MilestoneReached") if each.seq < intent.seq]
    if not reached or not reason.startswith("target "):
        return asked.answer("stop_moved", f"{stands}: {reason}", before, intent, moved, details=details)
    number = reached[-1].number("number")
    leg = f"tp{number}"
    fills = asked.tale.executions(leg=leg)
    told = asked.tale.all("BracketChildOrderFilled", leg=leg)
    many = f"{len(fills)} execution{'' if len(fills) == 1 else 's'}"
    of = f"{shares(fills)} of {told[-1].number('order_qty') if told else shares(fills)}, {many}"
    rule = f"stop_updates[{number - 1}] is {reached[-1].cash('stop')}"
    sentence = f"{stands} because {leg} was filled in full at {asked.when(reached[-1])} ({of}) and {rule}"
    if touch := touch_words(intent):
        details.insert(1, f"decided on {touch}")
    return asked.answer("stop_moved", sentence, before, *told, reached[-1], intent, moved, details=details)


def _next_target(asked: Asked) -> int:
    """Return the target whose fill would move this stop next, 0 when none does."""
    reached = asked.tale.last("MilestoneReached")
    number = 1 if reached is None else reached.number("number") + 1
    return number if number < asked.number else 0


def _next_move(asked: Asked) -> str:
    """Return what would move this stop next, "" when nothing does."""
    number = _next_target(asked)
    started = asked.tale.last("BreakoutStarted")
    updates = () if started is None else started.prices("updates")
    if not number or number > len(updates):
        return ""
    target = asked.tale.intents("place", leg=f"tp{number}")
    sold = shares(asked.tale.executions(leg=f"tp{number}"))
    of = f"{sold} of {target[-1].number('qty')} so far" if target else "it has not been sent yet"
    goal = f"{shown_price(updates[number - 1])} (stop_updates[{number - 1}])"
    return f"it moves to {goal} when tp{number} has sold all of its shares: {of}"
