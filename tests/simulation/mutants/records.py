"""Mutants of the records and the link: write-ahead, replay, restarts, orders in the dark."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "sent_before_the_journal",
        "V07 D5",
        "Orders leave before their decision is in the journal.",
        (
            Edit(
                "engine.session:Session._follow",
                "no_journal = self._record(before, event, commands)",
                'no_journal = ""\n    self._late = [*getattr(self, "_late", []), (before, event, commands)]',
            ),
            Edit(
                "engine.session:Session._settle_down",
                "self._has_changed = False",
                'self._has_changed = False\n    [self._record(*late) for late in self.__dict__.pop("_late", [])]',
            ),
        ),
    ),
    Mutant(
        "sent_before_the_audit",
        "V07 D5",
        "Orders leave before their intent is in the audit.",
        (
            Edit(
                "engine.session:Session._follow",
                "self.audit.keep()",
                "pass",
            ),
        ),
    ),
    Mutant(
        "intent_differs_from_order",
        "V07 D5",
        "The audit names another quantity than the order has.",
        (Edit("core.turn:_intent", "qty: Shares = spec.qty", "qty: Shares = spec.qty + 1"),),
    ),
    Mutant(
        "intent_price_differs",
        "V07 D5",
        "The audit names another stop than the changed order has.",
        (
            Edit(
                "core.turn:_intent",
                "stop=spec.stop,",
                "stop=trade.plan.sl if spec.stop is not None else None,",
            ),
        ),
    ),
    Mutant(
        "change_without_an_intent",
        "V07",
        "A change leaves without a word in the audit.",
        (
            Edit(
                "core.turn:Turn.modify",
                'self.say(_intent(order.spec, "replace", trade, reason, Evidence(self.seen, at=self.at)))',
                "pass",
            ),
        ),
    ),
    Mutant(
        "cancel_without_an_intent",
        "V08",
        "A cancel leaves without a word in the audit.",
        (
            Edit(
                "core.turn:Turn.cancel",
                'self.say(_intent(order.spec, "cancel", trade, reason, None))',
                "pass",
            ),
        ),
    ),
    Mutant(
        "only_decisions_with_orders_recorded",
        "replay D5",
        "The journal holds only inputs that led to orders.",
        (
            Edit(
                "engine.session:Session._record",
                "self._journal.append(event, commands)",
                "if any(isinstance(each, c.PlaceOrder | c.ModifyOrder | c.CancelOrder) for each in commands):\n"
                "            self._journal.append(event, commands)",
            ),
        ),
    ),
    Mutant(
        "journal_without_orders",
        "V07 D5",
        "The journal holds inputs and not the orders that followed.",
        (
            Edit(
                "engine.journal:decision",
                "orders = [each for each in commands if type(each) in _ORDERS]",
                "orders = []",
            ),
        ),
    ),
    Mutant(
        "decisions_depend_on_history",
        "replay V26",
        "An order's name depends on what happened in the process before.",
        (
            Edit(
                "core.trade:new_ref",
                "",
                "lambda trade, leg, seen=[]: "
                "seen.append(leg) or order_ref(trade.id, leg, generation(trade, leg) + len(seen) % 7)",
            ),
        ),
    ),
    Mutant(
        "unrecorded_entry_leaves",
        "V07 D5",
        "An entry leaves although the journal cannot be written.",
        (
            Edit("engine.session:Session._place", "if no_journal and order.side is Side.BUY:", "if False:"),
            Edit(
                "engine.session:Session._place",
                "elif order.side is Side.BUY and parts is not None and not self.is_recorded(parts.watch):",
                "elif False:",
            ),
        ),
        caught_by="tests/engine/test_session.py::test_without_a_journal_entries_are_refused",
        why="the disk of a day never fails",
    ),
    Mutant(
        "execution_not_told",
        "V11",
        "Executions of exits are not told.",
        (
            Edit(
                "core.reports:_tell_fill",
                "leg = leg_of(order.spec.ref)",
                'leg = leg_of(order.spec.ref)\n    if leg.startswith("sl"):\n        return',
            ),
        ),
    ),
    Mutant(
        "exits_change_in_the_dark",
        "V14",
        "Stops are changed and cancelled before the account is known again.",
        (Edit("core.settle:_settle", "    if turn.desk.link.is_open:", "    if turn.desk.link.up:"),),
    ),
    Mutant(
        "orders_while_the_link_is_down",
        "V14",
        "Orders are sent while the link is down.",
        (Edit("core.settle:_settle", "    if turn.desk.link.is_open:", "    if True:"),),
    ),
    Mutant(
        "orders_in_flight_sent_again",
        "V06",
        "When the link comes up, orders are sent again whose outcome is not known.",
        (
            Edit(
                "core.step:Core._link",
                "turn.look_again()",
                "from tradeshell.core.commands import PlaceOrder\n"
                "        turn.look_again()\n"
                "        for order in desk.orders():\n"
                '            if order.state.value == "unknown":\n'
                "                turn.commands.append(PlaceOrder(order.spec, order.order_id))",
            ),
        ),
    ),
    Mutant(
        "restart_rearms_fired_watchers",
        "V05",
        "After a restart a watcher that has fired asks for its entry again.",
        (
            Edit(
                "core.kill:restart",
                "if trade.phase is TradePhase.ASKING:",
                "if trade.phase in (TradePhase.ENTERING, TradePhase.CLOSED) and trade.bar is not None:\n"
                "            from tradeshell.core.commands import AskQuote\n"
                "            turn.put_trade(replace(trade, phase=TradePhase.ASKING, asked_at=turn.at, refs=()))\n"
                "            turn.commands.append(AskQuote(trade.id, trade.plan.symbol, trade.plan.quote_age, 10.0))\n"
                "        elif trade.phase is TradePhase.ASKING:",
            ),
            Edit("core.entry:_gate", "if not link.up:", "if False:"),
            Edit("core.entry:_gate", "if not link.reconciled:", "if False:"),
        ),
    ),
    Mutant(
        "reconciled_without_a_picture",
        "V14 D6",
        "A new connection counts as reconciled at once.",
        (
            Edit(
                "core.step:Core._link",
                "link=Link(up=True, epoch=epoch, why=event.why,",
                "link=Link(up=True, epoch=epoch, why=event.why, reconciled=True,",
            ),
        ),
    ),
    Mutant(
        "order_numbers_used_again",
        "V06 D5",
        "After a reconnection order numbers begin with the broker's, whatever was used.",
        (
            Edit(
                "core.step:Core._link",
                "next_order_id=max(desk.next_order_id, event.first_order_id)",
                "next_order_id=event.first_order_id",
            ),
        ),
        caught_by="tests/core/test_unsafe_beliefs.py::test_order_numbers_are_not_used_again_when_the_broker_begins_below_them",
        why="the venue never names a number below one that it has seen",
    ),
    Mutant(
        "outcome_lost_with_the_link",
        "V08 V25",
        "Orders in flight when the link drops stay in flight for ever.",
        (
            Edit(
                "core.step:Core._link",
                "if (lost := advance(order, Signal.LOST_SIGHT)) is not order:",
                "if False:",
            ),
            Edit("core.reports:ack_overdue", "turn.put_order(advance(order, Signal.LOST_SIGHT))", "return"),
        ),
        caught_by="tests/core/test_stops_and_changes.py::test_silence_after_three_seconds_is_told_once",
        why="other looks at the account find the order within the bounds",
    ),
    Mutant(
        "level_crossed_forgotten",
        "V20 D5",
        "A watcher whose level was crossed while nobody looked is armed by itself.",
        (Edit("core.resume:_doubts", "found.highest >= plan.level", "False"),),
        caught_by="tests/faults/test_wire_resume.py::"
        "test_R07_a_level_that_was_crossed_while_nobody_was_there_is_told_and_nothing_is_bought",
        why="an entry at a later break breaks no rule of the venue",
    ),
    Mutant(
        "paused_watchers_look_at_bars",
        "V14 V20",
        "A watcher that was left waiting stays on its bars while the account is not known.",
        (Edit("core.resume:pause", "watchers.disarm(turn, watcher)", "pass"),),
        caught_by="tests/core/test_resume.py::test_a_watcher_that_was_left_waiting_looks_at_no_bar_before_it_may_go_on",
        why="the feed of a new process knows no listener, so no bar comes",
    ),
    Mutant(
        "over_is_forgotten_with_its_journal",
        "V05 D5",
        "A new journal does not know what was over in the one before.",
        (Edit("engine.recovery:_found", "(*header.over, *fired, *desk.trade_symbols)", "()"),),
        caught_by="tests/engine/test_state_and_journal.py::"
        "test_R12_a_snapshot_from_before_the_trigger_never_arms_what_has_fired",
        why="the simulation keeps no state file",
    ),
)
