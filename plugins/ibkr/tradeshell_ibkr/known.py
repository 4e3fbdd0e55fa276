"""What the wire has told of one order."""

from __future__ import annotations

from datetime import datetime, timedelta

from tradeshell import OcaType, OrderReport, OrderSpec, OrderState, Owner, Shares, Side, StandingOrder
from tradeshell_ibkr.translate import Shown

KEPT = timedelta(
    days=2
)  # nobody asks about an order that ended longer ago, and the broker speaks of it no more


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
        "over_since",
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
        self.over_since: datetime | None = None  # since a picture that found it ended
        self.has_status = False
        self.is_changing = self.is_cancelling = self.awaits_status = self.is_void = False
        self.is_staged = spec is not None and not spec.transmit

    def is_long_over(self, now: datetime) -> bool:
        """Note whether it has ended, and return whether it had for so long that it need not be remembered."""
        if self.state.is_live and not self.is_void and not self.is_gone:
            self.over_since = None
            return False
        self.over_since = self.over_since or now
        return now - self.over_since >= KEPT

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


def standing_of(known: Known, order_id: int, client_id: int) -> StandingOrder | None:
    """Return a living order of an answer with all that it shows; ``None`` for what is no order of shares.

    What client 0 sent may have been typed in the gateway's window, and counts as that unless we are client 0.
    """
    shown = known.shown
    if shown is None or not shown.is_shares or shown.side not in tuple(Side) or not known.state.is_live:
        return None
    owner = Owner.OURS if shown.client_id == client_id else Owner.CLIENT
    if order_id <= 0 or order_id == shown.perm_id or (shown.client_id == 0 and client_id != 0):
        owner = Owner.WINDOW
    kinds = [kind.value for kind in OcaType]
    return StandingOrder(
        owner=owner,
        ref=shown.ref,
        order_id=0 if order_id == shown.perm_id else order_id,
        perm_id=shown.perm_id,
        client=shown.client_id,
        account=shown.account,
        symbol=shown.symbol,
        con_id=shown.con_id,
        side=Side(shown.side),
        kind=shown.kind,
        qty=shown.qty,
        filled=known.filled,
        remaining=known.remaining,
        state=known.state,
        limit=shown.limit,
        stop=shown.stop,
        tif=shown.tif,
        outside_rth=shown.outside_rth,
        oca_group=shown.oca_group or None,
        oca_type=OcaType(shown.oca_type) if shown.oca_group and shown.oca_type in kinds else None,
    )
