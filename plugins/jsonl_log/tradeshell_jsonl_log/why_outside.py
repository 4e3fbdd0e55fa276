"""Why an order outside our books is spoken of: an exit without shares, an order of a session that no record knows.

Laws: as in ``why``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tradeshell_jsonl_log.tale import Said, Tale, Tales
from tradeshell_jsonl_log.why import Case, Why

OF_ORDERS = (
    "OrphanExitOrderDetected",
    "OrphanExitOrderCancelled",
    "OrphanExitOrderCancelFailed",
    "OutsideOrderChanged",
)


def why_orphan(case: Case, leg: str, ref: str) -> Why | None:
    """Explain an exit of ours that was found without shares, ``None`` for one that was not."""
    said = case.tale.all(*OF_ORDERS, ref=ref)
    found = [each for each in said if each.event == "OrphanExitOrderDetected"]
    if not found:
        return None
    sells = f"it sells {found[-1].number('qty')} shares, and {found[-1].text('account')} holds none that it could sell"
    sentence = f"{leg} is an orphan since {case.when(found[-1])}: {sells}"
    placed = case.tale.intents("place", ref=ref)
    details = [f"{case.when(each)} {_words(each)}" for each in said]
    return case.why(
        f"{case.tale.symbol}.{leg} {case.tale.id}", "orphan", sentence, *placed, *said, details=details
    )


def why_outside(tales: Tales, symbol: str, order_id: int, ref: str, now: datetime) -> Why | None:
    """Explain an order that no watcher or trade of the log has sent, ``None`` when nothing is said of it."""
    tale = Tale(id="", symbol=symbol, said=_about(tales, symbol))
    case = Case(tale, (), now)
    said = [
        each
        for each in tale.all(*OF_ORDERS)
        if (order_id and each.number("order_id") == order_id) or (ref and each.text("order_ref") == ref)
    ]
    if not said:
        return None
    last = said[-1]
    about = f"{symbol} order {last.number('order_id')}"
    found = [each for each in said if each.event == "OrphanExitOrderDetected"]
    details = [f"{case.when(each)} {_words(each)}" for each in said]
    if not found:
        return case.why(about, "outside", f"{about} is in none of our books", *said, details=details)
    first = found[0]
    sentence = (
        f"{about} is an orphan since {case.when(first)}: it sells {first.number('qty')} shares, and "
        f"{first.text('account')} holds none that it could sell"
    )
    return case.why(
        about, "orphan", sentence, *said, details=[f"whose it is: {first.text('owner')}", *details]
    )


def outside_lines(tales: Tales, symbol: str, now: datetime) -> list[str]:
    """Return a line for each orphan of a symbol that the log has not seen the end of."""
    orders = {each.number("order_id") for each in _about(tales, symbol) if each.event == OF_ORDERS[0]}
    ended = {each.number("order_id") for each in _about(tales, symbol) if each.event == OF_ORDERS[1]}
    found = (why_outside(tales, symbol, number, "", now) for number in sorted(orders - ended))
    return [f"  {each.lines[0]} · why {each.about.rpartition(' ')[2]}" for each in found if each is not None]


def _about(tales: Tales, symbol: str) -> list[Said]:
    """Return everything that is said about a symbol, in its order."""
    everything: Iterable[Said] = (*tales.general, *(each for tale in tales.tales for each in tale.said))
    return sorted((each for each in everything if each.text("symbol") == symbol), key=lambda each: each.seq)


def _words(said: Said) -> str:
    if said.event == "OrphanExitOrderDetected":
        return (
            "found, it is to be cancelled"
            if said.text("action") == "cancel"
            else "found, it is left alone (warn)"
        )
    if said.event == "OrphanExitOrderCancelled":
        return f"cancelled, {said.number('filled')} shares had executed"
    if said.event == "OrphanExitOrderCancelFailed":
        code = f" ({said.number('code')})" if said.number("code") else ""
        return f"not cancelled{code}: {said.text('reason')}"
    return said.text("refused") or f"stands at {said.number('qty')}, {said.order_words()}"
