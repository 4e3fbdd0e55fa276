"""The reconcilers of the plugins, run on the first picture of a connection and when the operator asks.

Laws: a reconciler that raises costs its own findings, is told, and keeps no gate closed. A finding is told once a
connection; the rows keep their numbers until the next comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from tradeshell.core.desk import Desk
from tradeshell.core.events import Event
from tradeshell.core.inputs import Compared, SnapshotAnswered
from tradeshell.core.recon_events import DetachedSessionRestored
from tradeshell.core.resume import restored
from tradeshell.differences import Comparison, CompletedOrder, Difference, Differences, Reconciler


class Row(Struct, frozen=True):
    """A finding as it was numbered."""

    number: int
    owner: str
    difference: Difference


class Reconciling:
    """Runs the reconcilers, and remembers what they said."""

    def __init__(
        self,
        reconcilers: Mapping[str, Reconciler],
        tell: Callable[[Event], None],
        report_fault: Callable[[BaseException, str], None],
    ) -> None:
        self._reconcilers = reconcilers
        self._tell = tell
        self._report_fault = report_fault
        self._told: set[tuple[str, str]] = set()
        self._epoch = 0
        self.rows: tuple[Row, ...] = ()
        self.rounds = 0  # comparisons so far
        self.is_asked = False  # the operator wants one

    def compare(
        self,
        before: Desk,
        desk: Desk,
        answer: SnapshotAnswered,
        completed: tuple[CompletedOrder, ...] | None,
    ) -> Compared:
        """Compare a picture that was booked just now; tell what is new, and return what the core is to know."""
        comparison = Comparison(
            at=answer.at,
            before=before,
            desk=desk,
            others=tuple(each.order for each in desk.outside.values() if not each.is_gone),
            executions=answer.executions,
            positions=answer.positions,
            elsewhere=answer.elsewhere,
            completed=completed,
            is_first=not before.link.reconciled,
        )
        if answer.epoch != self._epoch:
            self._epoch, self._told = answer.epoch, set()
        rows: list[Row] = []
        closing: list[Event] = []
        for name, reconciler in self._reconcilers.items():
            found = self._run(name, reconciler, comparison)
            rows += [Row(0, name, difference) for difference in found.found]
            closing += found.closing
        self.rows = tuple(Row(n, row.owner, row.difference) for n, row in enumerate(rows, 1))
        self.rounds, self.is_asked = self.rounds + 1, False
        for row in self.rows:
            key = row.owner, row.difference.key
            if row.difference.event is not None and key not in self._told:
                self._tell(row.difference.event)
        self._told = {(row.owner, row.difference.key) for row in self.rows}
        if before.takes_up:  # what a program took up is told by somebody, whatever reconcilers there are
            events = [row.difference.event for row in self.rows]
            known = {event.watch for event in events if isinstance(event, DetachedSessionRestored)}
            for session in restored(before, desk, answer.executions, answer.at):
                if session.watch not in known:
                    self._tell(session)
        for event in closing:
            self._tell(event)
        return Compared(
            at=answer.at,
            epoch=answer.epoch,
            asked_at=answer.asked_at,
            shown=tuple(report.ref for report in answer.orders),
            executions=len(answer.executions),
            positions=len(answer.positions),
            cancels=tuple(key for row in self.rows for key in row.difference.cancels),
        )

    def _run(self, name: str, reconciler: Reconciler, comparison: Comparison) -> Differences:
        try:
            found = reconciler(comparison)
            if not isinstance(found, Differences):
                raise TypeError(f"it returned {type(found).__name__}, not tradeshell.Differences")
        except Exception as error:  # noqa: BLE001  # whatever a plugin raises: the account is known without it
            self._report_fault(error, f"reconciler {name}")
            return Differences()
        return found
