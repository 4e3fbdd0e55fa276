"""What the comparison tells. Law: each event that needs the operator says what was done and what can be typed."""

from __future__ import annotations

from typing import ClassVar

from tradeshell import Event, Shares, Side, Weight


class OrphanExitOrderDetected(Event, frozen=True, kw_only=True):
    """A sell works at the broker although its account holds no shares that it could sell. ``owner``: whose it is, in words.

    ``action``: ``warn`` or ``cancel``.
    """

    weight: ClassVar[Weight] = Weight.ALARM
    order_ref: str
    order_id: int
    owner: str
    account: str
    qty: Shares
    action: str

    def label(self) -> str:
        return "orphan"

    def story(self) -> str | None:
        done = (
            "it is cancelled once the account has shown no shares for 6 s"
            if self.action == "cancel"
            else "it is left alone · `reconcile` shows it, `reconcile fix ROW` cancels it"
        )
        return f"SELL {self.qty} works and nothing is held: {self.owner} · if it fills, {self.account} is short · {done}"


class OrphanExitReconciliationCompleted(Event, frozen=True, kw_only=True):
    """Exits at the broker were compared with shares: ``found`` without any, ``cancelling`` of them."""

    scope: str
    action: str
    found: int
    cancelling: int


class DetachedProtectionCoverageGapDetected(Event, frozen=True, kw_only=True):
    """Fewer shares of a trade have a living stop than it holds: ``gap`` have none."""

    weight: ClassVar[Weight] = Weight.ALARM
    held: Shares
    protected: Shares
    gap: Shares
    state: str

    def label(self) -> str:
        return "exits"

    def story(self) -> str | None:
        if self.state == "FROZEN":
            done = "no order leaves in this symbol before `stopentry off`"
        else:
            done = f"stops are placed again as soon as the account is known · else: flatten {self.symbol}"
        return f"{self.gap} of {self.held} shares have no stop at the broker · {done}"


class DetachedProtectionReconciliationCompleted(Event, frozen=True, kw_only=True):
    """The stops of all trades were compared with their shares: ``gaps`` of ``trades`` lack some."""

    trades: int
    held: Shares
    protected: Shares
    gaps: int


class DetachedSessionRestoreCompleted(Event, frozen=True, kw_only=True):
    """All sessions were looked for: ``restored`` are looked after, ``unknown`` work at the broker and no record has them."""

    restored: int
    unknown: int
    missed: int


class UnknownSessionDetected(Event, frozen=True, kw_only=True):
    """Orders of ours work at the broker for a session that no record knows: they count, and nothing touches them."""

    weight: ClassVar[Weight] = Weight.ALARM
    orders: int
    held: Shares
    protected: Shares
    can_be_restored: bool

    def label(self) -> str:
        return "reconcile"

    def story(self) -> str | None:
        share = f"{self.protected} of {self.held} shares have a stop"
        can = (
            "`reconcile`, then `reconcile fix ROW` looks after it again"
            if self.can_be_restored
            else "`orders` lists them; cancel or replace them by number"
        )
        return f"no record knows {self.watch}: {self.orders} orders of ours work for it, {share}; none of them moves · {can}"


class ForeignSellsDetected(Event, frozen=True, kw_only=True):
    """Sells that are not ours could take shares of ours: ``working`` shares of them, ``free`` shares that are not ours."""

    weight: ClassVar[Weight] = Weight.ALARM
    side: Side = Side.SELL
    working: Shares
    free: Shares

    def label(self) -> str:
        return "reconcile"

    def story(self) -> str | None:
        return (
            f"sells of others work for {self.working} shares, {self.free} are not ours: they could sell what our stops "
            "protect · cancel them where they were typed; `reconcile` lists them"
        )
