"""Why a watcher did not fire, or may not enter although it did.

Laws: as in ``why``.
"""

from __future__ import annotations

from tradeshell_jsonl_log.tale import Said, shown_price
from tradeshell_jsonl_log.why import Case, Why, bar_words, broker_words, name_of, reason_words, touch_words


def armed_words(case: Case) -> str:
    """Return what the watcher was armed with, "" for a trade that was typed."""
    started = case.tale.last("BreakoutStarted")
    if started is None:
        return ""
    exits = [f"targets {' '.join(map(shown_price, started.prices('tp')))}"] if started.prices("tp") else []
    exits += [f"stop {started.cash('sl')}"] if started.price("sl") is not None else []
    length = bar_words(started.number("bar"))
    wants = f"{started.number('qty')} shares when a {length} bar closes at or above {started.cash('level')}"
    return " · ".join([f"armed at {case.when(started)}: {wants}", *exits])


def trigger_words(case: Case, said: Said) -> str:
    """Return the bar and the touch of a decision."""
    at = case.clock_of(said.text("bar_start"))
    bar = f"the bar from {at} closed at {said.cash('close')}, the level is {said.cash('level')}"
    return " · ".join(filter(None, [bar if said.text("close") else "", touch_words(said)]))


def why_refused(case: Case) -> Why | None:
    """It triggered, or was typed, and may not enter."""
    tale = case.tale
    said = tale.last("BreakoutRejected")
    risk = tale.last("RiskRejected")
    if said is None and (risk is None or tale.intents("place")):
        return None
    told = said or risk
    assert told is not None, "one of the two is there"
    refused = tale.last("OrderRefused", "OrderSendFailed", leg="entry") if tale.intents("place") else None
    sent = "nothing was sent" if refused is None else "the broker did not take the order"
    confirmed = tale.last("BreakoutConfirmed")
    trigger = trigger_words(case, said) if said is not None else ""
    asked = trigger_words(case, confirmed) if confirmed is not None and refused is not None else ""
    return case.why(
        name_of(tale),
        "refused" if refused is None else "refused_by_broker",
        f"{name_of(tale)} did not enter at {case.when(told)}: {told.text('reason')}, {told.text('detail')} · {sent}",
        tale.last("BreakoutStarted"),
        confirmed if refused is not None else None,
        risk,
        refused,
        said,
        details=[
            armed_words(case),
            trigger or asked,
            "" if refused is None else broker_words(refused),
        ],
    )


def why_not_fired(case: Case) -> Why | None:
    """It watches, or has ended, and never triggered."""
    tale = case.tale
    started = tale.last("BreakoutStarted")
    if started is None or tale.intents("place"):
        return None
    ended, touched = tale.last("BreakoutStopped"), tale.last("BreakoutBreakDetected")
    level = started.cash("level")
    because: list[Said | None] = [started, touched, ended]
    length = bar_words(started.number("bar"))
    if touched is None:
        seen = f"no {length} bar since {case.when(started)} has touched {level}"
    else:
        at = case.clock_of(touched.text("bar_start"))
        seen = f"the bar from {at} touched {level} (high {touched.cash('high')}) and closed at {touched.cash('close')}"
        seen += ", below it" if (touched.price("close") or 0) < (touched.price("level") or 0) else ""
    if ended is not None:
        reason = ended.text("reason")
        more = [f"max_bars {started.number('max_bars')}"] if reason == "max_bars" else []
        rejected = tale.last("DataRejected")
        more += [rejected.text("reason")] if rejected is not None else []
        sentence = f"{name_of(tale)} did not fire and ended at {case.when(ended)}: {reason_words(reason)}"
        return case.why(
            name_of(tale),
            "not_fired",
            " · ".join([sentence, *more]),
            *because,
            rejected,
            details=[armed_words(case), seen],
        )
    blind = _blind(case)
    off = _entries_off(case)
    details = [armed_words(case), seen]
    if blind is not None:
        details.append(
            f"blind since {case.when(blind)}: its {length} bars have stalled, {blind.text('silent')} s silent where "
            f"{blind.text('limit')} s are allowed"
        )
    if off is not None:
        details.append(f"entries are off since {case.when(off)} ({off.text('reason')}): it would be refused")
    return case.why(
        name_of(tale),
        "blind" if blind is not None else "not_fired_yet",
        f"{name_of(tale)} has not fired: it waits for a {length} bar that closes at or above {level}",
        *because,
        blind,
        off,
        details=details,
    )


def _blind(case: Case) -> Said | None:
    """Return the word that the watcher's bars have stalled, if they still do."""
    about = [
        each
        for each in case.general
        if each.event in ("BarStreamStalled", "BarStreamRecovered")
        and case.tale.id in (each.raw.get("watches") or ())
    ]
    return about[-1] if about and about[-1].event == "BarStreamStalled" else None


def _entries_off(case: Case) -> Said | None:
    """Return the word that entries are off, if they still are."""
    about = [each for each in case.general if each.event in ("KillSwitchEngaged", "KillSwitchLifted")]
    return about[-1] if about and about[-1].event == "KillSwitchEngaged" else None
