"""Seeded bugs of the adapter: each breaks a rule of the wire, and a few schedules show it."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS = (
    Mutant(
        "executions_dropped",
        "V24",
        "An execution that is pushed is not handed on.",
        (
            Edit(
                "tradeshell_ibkr.account:Account._execution",
                "self._emit(ExecutionReported(at=now, execution=report))",
                "pass",
            ),
        ),
    ),
    Mutant(
        "fees_dropped",
        "V24",
        "Fees are not handed on.",
        (
            Edit(
                "tradeshell_ibkr.account:Account._fee", "if not report.execId", "if True or not report.execId"
            ),
        ),
    ),
    Mutant(
        "positions_dropped",
        "V24",
        "Positions are not handed on.",
        (
            Edit(
                "tradeshell_ibkr.account:Account._position",
                "if account != connection.account",
                "if self._positions is None or account != connection.account",
            ),
        ),
    ),
    Mutant(
        "ends_dropped",
        "V24",
        "That an order was cancelled is not handed on.",
        (
            Edit(
                "tradeshell_ibkr.orders:Orders._status",
                "self._emit(OrderReported(",
                "known.state is OrderState.CANCELLED or self._emit(OrderReported(",
            ),
        ),
    ),
    Mutant(
        "refusals_dropped",
        "V24",
        "Errors about orders are not handed on.",
        (
            Edit(
                "tradeshell_ibkr.orders:Orders._error",
                "what = about_order(",
                "return; what = about_order(",
            ),
        ),
    ),
    Mutant(
        "unknown_words_dropped",
        "V24",
        "What nobody knows is not told.",
        (
            Edit("tradeshell_ibkr.connection:Connection._notice", " or code not in CODES", ""),
            Edit(
                "tradeshell_ibkr.orders:Orders._error",
                "known = self._by_id.get(order_id) or self._strangers.get(order_id)",
                "known = self._by_id.get(order_id) or self._strangers.get(order_id)\n    if code not in CODES: return",
            ),
        ),
    ),
    Mutant(
        "error_logged",
        "V24",
        "A lost link is logged as an error.",
        (
            Edit(
                "tradeshell_ibkr.connection:Connection._came_down",
                "self.outbox.drop_all(why)",
                "__import__('logging').getLogger('tradeshell.ibkr').error('lost'); self.outbox.drop_all(why)",
            ),
        ),
    ),
    Mutant(
        "result_never_awaited",
        "V24",
        "A coroutine is made and thrown away.",
        (
            Edit(
                "tradeshell_ibkr.connection:Connection._came_down",
                "self.outbox.drop_all(why)",
                "self.connect(); self.outbox.drop_all(why)",
            ),
        ),
    ),
    Mutant(
        "sent_before_the_account_was_verified",
        "V09",
        "An order leaves as soon as the gateway has answered.",
        (
            Edit(
                "tradeshell_ibkr.connection:Connection._dial",
                "account = check_account(",
                "wire.send(3, 9999, *[''] * 14, 'BUY', 1, 'LMT', 1, '', 'DAY', '', wire.accounts[0], '', '', 'x'); "
                "account = check_account(",
            ),
        ),
    ),
    Mutant(
        "sent_for_another_account",
        "V09",
        "Orders name a live account.",
        (
            Edit(
                "tradeshell_ibkr.translate:ticket_of",
                "account=spec.account",
                "account=spec.account.replace('DU', 'U')",
            ),
        ),
    ),
    Mutant(
        "no_pacing",
        "V22",
        "Everything leaves at once.",
        (
            Edit(
                "tradeshell_ibkr.pacing:Outbox._may_leave",
                "return len(left) < LIMITS[priority]",
                "return True",
            ),
        ),
    ),
    Mutant(
        "first_come_first_served",
        "V22",
        "A stop waits behind what the operator looks up.",
        (
            Edit(
                "tradeshell_ibkr.pacing:Outbox.post",
                "if not self._waiting or not self._is_behind(priority):",
                "if not self._waiting:",
            ),
        ),
    ),
)
