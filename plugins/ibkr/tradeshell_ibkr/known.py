"""What the wire has told of one order."""

from __future__ import annotations

from tradeshell import OrderReport, OrderSpec, OrderState, Shares
from tradeshell_ibkr.translate import Shown


class Known:
    """One order, as far as the wire has told. It changes in place and never leaves this distribution."""

    __slots__ = (
        "awaits_status",
        "before",
        "epoch",
        "filled",
        "has_status",
        "is_cancelling",
        "is_changing",
        "is_gone",
        "is_new",
        "is_staged",
        "is_void",
        "order_id",
        "parent_id",
        "perm_id",
        "ref",
        "remaining",
        "shown",
        "shown_status",
        "spec",
        "state",
        "words",
    )

    def __init__(self, ref: str, order_id: int, spec: OrderSpec | None = None, parent_id: int = 0) -> None:
        self.ref, self.order_id, self.spec, self.parent_id = ref, order_id, spec, parent_id
        self.epoch = 0  # of the connection that it was placed on; 0 for one of an earlier run
        self.before: OrderSpec | None = None  # what it was until the change that is on its way
        self.state = OrderState.SENT
        self.filled: Shares = 0
        self.remaining: Shares = 0 if spec is None else spec.qty
        self.perm_id = 0  # the broker's own number of it; 0 while that is not known
        self.shown: Shown | None = None
        self.shown_status = ""
        self.words = ""  # the broker's last words of a refusal or a cancel
        self.is_new = True  # nothing was heard that says it was taken
        self.is_gone = False  # a picture lacks it: it ended while nobody told us
        self.has_status = False
        self.is_changing = self.is_cancelling = self.awaits_status = self.is_void = False
        self.is_staged = spec is not None and not spec.transmit

    def report(self) -> OrderReport:
        """Return what the broker shows of it."""
        shown = self.shown
        return OrderReport(
            ref=self.ref,
            order_id=self.order_id,
            state=self.state,
            filled=self.filled,
            remaining=self.remaining,
            qty=None if shown is None else shown.qty,
            limit=None if shown is None else shown.limit,
            stop=None if shown is None else shown.stop,
            why="" if self.state.is_live else self.words,
        )
