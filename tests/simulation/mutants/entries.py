"""Mutants of entries: data, limits, single fire, the end of an entry, kill switches."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "second_entry_on_a_second_bar",
        "V05",
        "A watcher that has fired goes on watching, and enters once more.",
        (
            Edit(
                "core.watch:Watchers._fire",
                "if now.fired or now.phase is not WatchPhase.ARMED:",
                "if now.phase is WatchPhase.DONE:",
            ),
            Edit("core.watch:Watchers._fire", "self.disarm(turn, now)", "pass"),
            Edit("core.watch:Watchers._fire", "fired=True, phase=WatchPhase.FIRED", "fired=True"),
        ),
    ),
    Mutant(
        "entry_sent_twice",
        "V05 V06",
        "The entry of a plan is two orders.",
        (
            Edit(
                "core.entry:answer_quote",
                "trade = turn.place(trade, specs, Evidence(answer.quote, trade.bar))",
                "trade = turn.place(trade, specs, Evidence(answer.quote, trade.bar))\n"
                '    again = replace(specs[0], ref=specs[0].ref[:-1] + "2", transmit=True)\n'
                "    trade = turn.place(trade, (again,), Evidence(answer.quote, trade.bar))",
            ),
        ),
    ),
    Mutant(
        "entry_larger_than_its_plan",
        "V05",
        "An entry buys one share more than was asked for.",
        (Edit("core.specs:entry_specs", "qty=plan.qty,", "qty=plan.qty + 1,"),),
    ),
    Mutant(
        "old_bars_count",
        "V20",
        "A bar that closed before the watcher was started may trigger.",
        (
            Edit("core.watch:Watchers.read_bar", "or end <= watcher.started_at", ""),
            Edit("core.watch:Watchers.read_bar", "if abs(closed.at - end) > BAR_GRACE:", "if False:"),
        ),
    ),
    Mutant(
        "close_below_the_level",
        "V20",
        "A bar triggers whose high reached the level and whose close did not.",
        (
            Edit(
                "tradeshell_breakout.logic:read_bar", "broke_out = bar.close >= level", "broke_out = touches"
            ),
        ),
    ),
    Mutant(
        "fast_close_below_its_buffer",
        "V20",
        "A fast bar triggers that closes at the level.",
        (
            Edit(
                "tradeshell_breakout.logic:read_fast_bar",
                "broke_out=bar.close >= enters_at",
                "broke_out=bar.close >= level",
            ),
            Edit("tradeshell_breakout.logic:read_fast_bar", "bar.close < enters_at", "bar.close < level"),
        ),
    ),
    Mutant(
        "sized_at_the_level",
        "V05",
        "A risk buys the shares that it allows at the level, whatever they cost.",
        (Edit("core.entry:_sized", "shares_at_risk(plan.risk_usd, price, plan.sl)", "plan.qty"),),
    ),
    Mutant(
        "entry_behind_its_end",
        "V05",
        "An entry leaves although its trade is to be closed already.",
        (Edit("core.entry:_judge", "if flat is not None and turn.at >= flat:", "if False:"),),
        caught_by="tests/core/test_flat_by.py::test_the_entry_sets_the_timer_and_an_entry_behind_it_is_refused",
        why="a watcher ends when its trade would have to",
    ),
    Mutant(
        "never_flat_by_the_clock",
        "V25",
        "A trade is not closed at the time by which it was to be flat.",
        (Edit("core.hours:flatten_by", "if trade.flat_at is None", "if True"),),
    ),
    Mutant(
        "stale_touch",
        "V20",
        "An entry is priced at a touch of any age.",
        (Edit("core.guards:_check_quote", "if age > plan.quote_age:", "if False:"),),
    ),
    Mutant(
        "late_touch",
        "V20",
        "A touch that comes long after its trigger still decides.",
        (Edit("core.entry:TOO_LATE", "", "1e9"),),
        caught_by="tests/core/test_unsafe_shares.py::test_an_old_trigger_enters_no_more",
        why="a touch comes within its patience in every day",
    ),
    Mutant(
        "halted_touch",
        "V20",
        "An entry leaves while its symbol is halted.",
        (
            Edit("core.guards:_check_quote", "if quote.kind is DataKind.HALTED:", "if False:"),
            Edit("core.guards:_check_quote", "if quote.kind is not DataKind.LIVE:", "if False:"),
        ),
    ),
    Mutant(
        "crossed_touch",
        "V20",
        "An entry is priced at a bid above its ask.",
        (Edit("core.guards:_check_quote", "if (bid, ask) != (quote.bid, quote.ask):", "if False:"),),
        caught_by="tests/core/test_breakout_trade.py::test_an_entry_that_may_not_leave_uses_the_watcher_up_and_sends_nothing",
        why="the market of a day is never crossed",
    ),
    Mutant(
        "limit_above_the_ask",
        "V20",
        "The limit of an entry is one percent above the ask.",
        (
            Edit(
                "core.guards:check_entry",
                "grid.up(touch) if plan.side is Side.BUY",
                'grid.up(touch * Decimal("1.01")) if plan.side is Side.BUY',
            ),
        ),
    ),
    Mutant(
        "no_collar",
        "V20",
        "A touch far away from the trigger's close is believed.",
        (Edit("core.guards:_check_price", "abs(touch - base) > base * collar", "False"),),
        caught_by="tests/core/test_breakout_trade.py::test_an_entry_that_may_not_leave_uses_the_watcher_up_and_sends_nothing",
        why="no gap of a day is that wide at the trigger",
    ),
    Mutant(
        "chase_limit_ignored",
        "D8",
        "An entry leaves although the ask has run away.",
        (
            Edit(
                "core.guards:_check_price",
                "if plan.chase_limit is not None and touch >= plan.chase_limit:",
                "if False:",
            ),
        ),
        caught_by="tests/core/test_breakout_trade.py::test_an_entry_that_may_not_leave_uses_the_watcher_up_and_sends_nothing",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "limits_not_applied",
        "V21",
        "No limit of the account is looked at.",
        (Edit("core.limits:check_limits", "plan = trade.plan", "return None\n    plan = trade.plan"),),
    ),
    Mutant(
        "entry_size_unlimited",
        "V21",
        "The shares of one order are not limited.",
        (Edit("core.limits:_check_shares", "if limits.max_qty is None or", "if True or"),),
    ),
    Mutant(
        "exposure_unlimited",
        "V21",
        "The amount of all positions and entries is not limited.",
        (Edit("core.limits:_check_exposure", "if most is None or", "if True or"),),
    ),
    Mutant(
        "pace_unlimited",
        "V21",
        "The number of orders a minute is not limited.",
        (Edit("core.limits:_check_pace", "if most is None:", "if True:"),),
        caught_by="tests/core/test_guards_limits.py::test_so_many_orders_a_minute_leave_and_the_next_one_when_the_minute_is_over",
        why="what shows it comes together in less than one of 400 days",
    ),
    Mutant(
        "wrong_account",
        "V10",
        "Exits name another account than the entry.",
        (Edit("core.specs:exit_spec", "account=plan.account,", 'account="DU0000002",'),),
    ),
    Mutant(
        "wrong_contract",
        "V10",
        "Orders name no contract.",
        (Edit("core.specs:entry_specs", "con_id=trade.instrument.con_id,", "con_id=0,"),),
    ),
    Mutant(
        "gate_open",
        "V14",
        "An entry leaves while orders and positions of the connection are not known yet.",
        (Edit("core.entry:_gate", "if not link.reconciled:", "if False:"),),
    ),
    Mutant(
        "entry_after_stopentry",
        "V28",
        "Entries leave although the operator has stopped them.",
        (Edit("core.limits:check_stopped", "if desk.stopped and side is Side.BUY:", "if False:"),),
    ),
    Mutant(
        "stopentry_leaves_entries",
        "V28",
        "`stopentry` does not cancel entries that work already.",
        (Edit("core.kill:want_no_entries", "", "lambda turn: []"),),
    ),
    Mutant(
        "stopentry_forgotten_at_restart",
        "V28",
        "A restart forgets that entries are stopped.",
        (Edit("core.kill:restart", "feed_over=False", 'feed_over=False, stopped=""'),),
        caught_by="tests/faults/test_kill_switches.py::test_I16_stopentry_survives_a_restart",
        why="what shows it comes together in less than one of 400 days",
    ),
    Mutant(
        "stopentry_cancels_exits",
        "V28 V16",
        "`stopentry` cancels the exits as well.",
        (
            Edit(
                "core.kill:want_no_entries",
                "found = []",
                "found = []\n"
                "    from tradeshell.core.trade import exits_of\n"
                "    for trade in turn.desk.trades():\n"
                "        for order in exits_of(trade, turn.book(trade.plan.symbol).orders):\n"
                "            if order.state.is_live:\n"
                '                turn.cancel(trade, order, "entries are stopped")',
            ),
        ),
    ),
    Mutant(
        "entry_never_times_out",
        "D3",
        "An entry that does not fill in time is not cancelled.",
        (Edit("core.step:Core._timer", 'self._end_entry(turn, rest, "entry_timeout")', "pass"),),
        caught_by="tests/core/test_breakout_trade.py::test_an_entry_that_is_not_filled_in_time_is_cancelled_and_the_trade_ends",
        why="the broker itself drops the entry five seconds later",
    ),
    Mutant(
        "entry_without_expiry",
        "D3",
        "The entry has no expiry of its own and may fill while the program is gone.",
        (
            Edit(
                "core.specs:entry_specs",
                "if plan.entry_timeout is not None and plan.tif is Tif.DAY and",
                "if False and",
            ),
        ),
        caught_by="tests/core/test_breakout_trade.py::test_the_entry_is_a_limit_at_the_ask_with_an_expiry_and_its_children_are_staged",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "entry_goes_on_while_its_stop_sells",
        "D3",
        "The rest of an entry stays when its stop trades already.",
        (Edit("core.settle:_cancel_entry", "if words:", "if False:"),),
        caught_by="tests/core/test_unsafe_sequences.py::test_an_entry_whose_stop_was_refused_does_not_go_on",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "refused_entry_tried_again",
        "V05",
        "An entry that the broker refused is sent once more.",
        (
            Edit(
                "core.reports:refused",
                "_count_refusal(turn, watchers)",
                "_count_refusal(turn, watchers)\n"
                '        if leg_of(order.spec.ref) == "entry":\n'
                '            spec = replace(order.spec, ref=order.spec.ref[:-1] + "2", transmit=True)\n'
                "            turn.place(turn.book(order.spec.symbol).trades[trade.id], (spec,))",
            ),
        ),
    ),
)
