"""Mutants of incidents: exits that vanish, the ladder of protection, alarms, orphans, flatten."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "vanished_stop_not_replaced",
        "V03",
        "A stop that is gone is told, and not replaced.",
        (
            Edit(
                "core.incidents:_replace_stop",
                "return _next_attempt(turn, trade, leg, stops, sales)",
                "return trade",
            ),
        ),
    ),
    Mutant(
        "replacement_without_cancelling_the_sibling",
        "V02",
        "A stop is replaced while the target of its leg still works.",
        (
            Edit(
                "core.incidents:_replace_stop",
                "if living:\n        return trade",
                "if False:\n        return trade",
            ),
            Edit(
                "core.incidents:_replace_stop",
                "if any(shares for key, shares in exposures(orders).items() if key in groups):",
                "if False:",
            ),
            Edit("core.incidents:_send", "if turn.book(trade.plan.symbol).room(trade) < held:", "if False:"),
            Edit(
                "core.incidents:_replace_stop",
                "if not order.cancelling and not rests(order, turn.at):",
                "if False:",
            ),
        ),
    ),
    Mutant(
        "sibling_cancel_not_awaited",
        "V02",
        "A stop is replaced when the cancel of its sibling has left, not when it is answered.",
        (
            Edit(
                "core.incidents:_replace_stop",
                "if living:\n        return trade",
                "if False:\n        return trade",
            ),
            Edit(
                "core.incidents:_replace_stop",
                "if any(shares for key, shares in exposures(orders).items() if key in groups):",
                "if False:",
            ),
            Edit("core.incidents:_send", "if turn.book(trade.plan.symbol).room(trade) < held:", "if False:"),
        ),
    ),
    Mutant(
        "replacement_before_the_truth",
        "V02 D2",
        "A stop is replaced before pictures have explained how the old one ended.",
        (
            Edit(
                "core.incidents:_replace_stop",
                "if any(shares for key, shares in exposures(orders).items() if key in groups):",
                "if False:",
            ),
            Edit("core.incidents:_send", "if turn.book(trade.plan.symbol).room(trade) < held:", "if False:"),
        ),
        caught_by="tests/core/test_unsafe_sequences.py::test_shares_that_a_status_says_are_sold_are_not_armed_again",
        why="what shows it comes together in less than one of 400 days",
    ),
    Mutant(
        "no_pictures_are_asked_for",
        "V03 D2",
        "Nobody asks for the pictures that explain the end of a stop.",
        (
            Edit("core.incidents:seek_explanation", "turn.look_again()", "pass"),
            Edit(
                "core.incidents:seek_explanation",
                'turn.timer("picture", PICTURE_OVERDUE.total_seconds())',
                "pass",
            ),
        ),
    ),
    Mutant(
        "execution_not_waited_for",
        "V02",
        "A stop whose sibling's execution is on its way is replaced at once.",
        (
            Edit("core.incidents:EXECUTION_FIRST", "", "timedelta(0)"),
            Edit(
                "core.incidents:_replace_stop",
                "if any(shares for key, shares in exposures(orders).items() if key in groups):",
                "if False:",
            ),
            Edit("core.incidents:_send", "if turn.book(trade.plan.symbol).room(trade) < held:", "if False:"),
            Edit("core.settle:_place_missing", "not any(awaited(order) for order in history)", "True"),
        ),
    ),
    Mutant(
        "emergency_without_cap",
        "V02",
        "A leg's exits are sent again without a look at the cap.",
        (Edit("core.incidents:_send", "if turn.book(trade.plan.symbol).room(trade) < held:", "if False:"),),
        why="the groups of the leg take nothing and the position agrees whenever it is asked: a second line of defence",
    ),
    Mutant(
        "alarm_rung_ends_everything",
        "V03",
        "The first failure of a stop leads to the alarm, and nothing is tried.",
        (Edit("core.incidents:_rung", 'return Rung.PAIR, ""', 'return Rung.ALARM, ""'),),
    ),
    Mutant(
        "live_account_sold_out",
        "D3",
        "A live account is sold at the market although the operator does not allow it.",
        (
            Edit(
                "core.incidents:_rung",
                "may_flatten = turn.desk.paper or turn.desk.policy.flatten_live",
                "may_flatten = True",
            ),
        ),
        caught_by="tests/faults/test_incidents.py::test_I05_a_live_account_is_not_sold_out_and_alarms_every_fifteen_seconds",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "stops_replaced_without_end",
        "V22",
        "A stop that fails is replaced again and again, and no lower rung is taken.",
        (
            Edit("core.incidents:REPLACEMENTS", "", "10**9"),
            Edit("core.incidents:CUTS", "", "10**9"),
            Edit("core.incidents:ONE_TRY", "", "timedelta(0)"),
        ),
        caught_by="tests/faults/test_incidents.py::test_I04_three_refusals_lead_to_an_emergency_stop_and_then_paper_sells_at_the_market",
        why="V22 is judged on the wire",
    ),
    Mutant(
        "operators_cancel_fought",
        "D8",
        "A stop that the operator cancelled is placed again.",
        (Edit("core.incidents:_replace_stop", "stops[-1].by_operator", "False"),),
        caught_by="tests/core/test_unsafe_beliefs.py::test_a_stop_that_the_operator_cancelled_stays_away",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "refused_order_not_buried",
        "V02",
        "An order that was refused is replaced and left at the broker, where it may come back.",
        (
            Edit(
                "core.incidents:seek_explanation",
                "order.state is OrderState.REFUSED and not order.is_buried",
                "False",
            ),
        ),
        caught_by="tests/faults/test_incidents.py::test_I13_a_replacement_whose_stop_is_refused_is_cleared_and_tried_again",
        why="one seed in 1000 shows it, by a stop that works too late (V03), not by what it risks (V02)",
    ),
    Mutant(
        "orphan_exits_left",
        "V18",
        "Exits of a leg that holds nothing stay at the broker.",
        (Edit("core.settle:_drop", 'turn.cancel(trade, order, "no share is left to protect")', "return"),),
    ),
    Mutant(
        "alarm_never_repeated",
        "V03",
        "The alarm about shares without a stop is told once.",
        (
            Edit(
                "core.settle:_tell_protection",
                "elif trade.alarm_at is not None and turn.at + EARLY >= trade.alarm_at:",
                "elif False:",
            ),
        ),
    ),
    Mutant(
        "flatten_sells_at_once",
        "V02 V01",
        "Flatten sells before the cancels of the exits are acknowledged.",
        (
            Edit(
                "core.incidents:_replace_stop",
                "if living:\n        return trade",
                "if living and not is_selling:\n        return trade",
            ),
            Edit(
                "core.incidents:_replace_stop",
                "if any(shares for key, shares in exposures(orders).items() if key in groups):",
                "if not is_selling and any(shares for key, shares in exposures(orders).items() if key in groups):",
            ),
            Edit(
                "core.incidents:_send",
                "if turn.book(trade.plan.symbol).room(trade) < held:",
                "if not trade.is_flattening and turn.book(trade.plan.symbol).room(trade) < held:",
            ),
        ),
    ),
    Mutant(
        "flatten_sells_foreign_shares",
        "V01 V02 D1",
        "Flatten sells everything that the account holds in the symbol.",
        (
            Edit(
                "core.settle:_correct",
                "wanted = desired_exits(trade, orders)",
                "wanted = desired_exits(trade, orders)\n"
                "    if wanted and trade.is_flattening:\n"
                "        more = wanted[0].qty + turn.book(trade.plan.symbol).foreign()\n"
                "        wanted = (replace(wanted[0], qty=more), *wanted[1:])",
            ),
            Edit(
                "core.incidents:_send",
                "if turn.book(trade.plan.symbol).room(trade) < held:",
                "if trade.is_flattening:\n"
                "        held += turn.book(trade.plan.symbol).foreign()\n"
                "    elif turn.book(trade.plan.symbol).room(trade) < held:",
            ),
        ),
    ),
    Mutant(
        "flatten_does_nothing",
        "V18",
        "Flatten cancels the exits, and sells nothing.",
        (
            Edit("core.exits:exit_pair", "(leg.rung is Rung.FLATTEN or trade.is_flattening)", "False"),
            Edit(
                "core.exits:desired_exits",
                "if inventory(trade, orders) <= 0:",
                "if inventory(trade, orders) <= 0 or trade.is_flattening:",
            ),
        ),
    ),
    Mutant(
        "frozen_symbol_enters",
        "V01",
        "A symbol that was frozen after an oversale takes new entries.",
        (Edit("core.limits:check_stopped", "if book is not None and book.frozen:", "if False:"),),
        caught_by="tests/core/test_guards_limits.py::test_a_frozen_symbol_takes_no_new_order_of_either_side",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "foreign_orders_cancelled",
        "V19",
        "A working order of somebody else in a picture is cancelled.",
        (
            Edit(
                "core.pictures:pictured",
                "shown_refs = {report.ref for report in picture.orders}",
                "shown_refs = {report.ref for report in picture.orders}\n"
                "    from tradeshell.core.commands import CancelOrder\n"
                "    for report in picture.orders:\n"
                "        if turn.desk.order(report.ref) is None:\n"
                "            turn.commands.append(CancelOrder(report.ref, report.order_id))",
            ),
        ),
    ),
)
