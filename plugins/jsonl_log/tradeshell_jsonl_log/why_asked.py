"""One order as the log tells it, for the answers about it. Laws: as in ``why``."""

from __future__ import annotations

from collections.abc import Iterable

from tradeshell_jsonl_log.tale import FILLS, STATUSES, Said, Tale, shares
from tradeshell_jsonl_log.why import Case, Why, step_words

OVER = ("filled", "cancelled", "refused", "missing", "not sent")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def is_living(tale: Tale, ref: str) -> bool:
    """Return whether an order may still fill, as far as the log says."""
    return state_of(tale, ref) not in OVER


def state_of(tale: Tale, ref: str) -> str:
    """Return where an order stands: a status, ``missing``, ``not sent``, ``unknown`` or ``sent``."""
    state = "sent"
    for each in tale.all(ref=ref):
        if each.event in STATUSES:
            state = each.text("status")
        elif each.event == "OrderMissing":
            state = "missing"
        elif each.event == "OrphanExitOrderCancelled":
            state = "cancelled"
        elif each.event == "OrderRefused" and each.text("what") == "order" and not each.raw.get("is_late"):
            state = "refused"
        elif each.event == "OrderOutcomeUnknown" and state == "sent":
            state = "unknown"
        elif each.event == "OrderSendFailed" and state == "sent" and each.raw.get("certain"):
            state = "not sent"
    fills = tale.all(*FILLS, ref=ref)
    is_full = bool(fills) and fills[-1].number("cumulative") >= fills[-1].number("order_qty")
    return "filled" if is_full else state


def number_of(leg: str) -> int:
    """Return the number of a leg's pair, 0 for one that has none."""
    digits = leg.lstrip(_LETTERS)
    return int(digits) if digits.isdigit() else 0


class Asked:
    """An order that somebody asks about; ``placed`` is the intent that sent it."""

    def __init__(self, case: Case, leg: str, ref: str, placed: Said) -> None:
        """Collect what the log says of it."""
        self.case, self.tale, self.leg, self.ref, self.placed = case, case.tale, leg, ref, placed
        self.state = state_of(self.tale, ref)
        self.number = number_of(leg)
        self.qty = placed.number("qty")
        self.is_stop = placed.price("stop") is not None
        self.moves = self.tale.all("LadderStopLossReplaced", ref=ref)
        self.changes = self.tale.intents("replace", ref=ref)
        self.executions = self.tale.executions(ref=ref)
        self.fills = self.tale.all(*FILLS, ref=ref)
        self.sold = f"{shares(self.executions)} of {self.qty} had filled"

    def answer(
        self, situation: str, sentence: str, *because: Said | None, details: Iterable[str] = ()
    ) -> Why:
        """Put an answer together."""
        about = f"{self.tale.symbol}.{self.leg} {self.tale.id}"
        return self.case.why(about, situation, sentence, self.placed, *because, details=details)

    def when(self, said: Said, *, fine: bool = False) -> str:
        """Return when a record was made, in a trader's words."""
        return self.case.when(said, fine=fine)

    def last(self, *events: str) -> Said | None:
        """Return the last record about this order of some kinds."""
        return self.tale.last(*events, ref=self.ref)

    def elected(self) -> Said | None:
        """Return the word that this stop is elected."""
        told = [each for each in self.tale.all(*STATUSES, ref=self.ref) if each.text("status") == "elected"]
        return told[-1] if told else None

    def confirmed(self) -> Said | None:
        """Return the trigger, when this is the entry that it sent."""
        return self.tale.last("BreakoutConfirmed") if self.leg == "entry" else None

    def step(self, *rungs: str) -> Said | None:
        """Return the step of an incident that sent this order."""
        earlier = [
            each
            for each in self.tale.all("IncidentStepTaken")
            if each.seq < self.placed.seq
            and each.at == self.placed.at
            and each.text("rung") in rungs
            and number_of(each.text("leg")) == self.number
        ]
        return earlier[-1] if earlier else None

    def steps(self) -> list[Said]:
        """Return the steps that were taken for this leg."""
        return [
            each for each in self.tale.all("IncidentStepTaken") if number_of(each.text("leg")) == self.number
        ]

    def step_lines(self) -> list[str]:
        """Return those steps in words."""
        return [f"{self.when(each)} {step_words(each)}" for each in self.steps()]

    def change_lines(self) -> list[str]:
        """Return what was asked to be changed, in words."""
        return [
            f"{self.when(each)} asked for {each.number('qty')}, {each.order_words()}: {each.text('reason')}"
            for each in self.changes
        ]
