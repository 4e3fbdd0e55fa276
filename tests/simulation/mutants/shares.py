"""Mutants of what may be sold: the cap, whose shares are whose, the ledger of executions."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "group_counts_smallest_order",
        "V02",
        "A group of exits counts with its smallest order instead of its largest.",
        (Edit("core.cap:exposures", "key: max(_takes", "key: min(_takes"),),
    ),
    Mutant(
        "unknown_orders_free",
        "V02 D1",
        "An order whose outcome is unknown counts as if it could sell nothing.",
        (
            Edit(
                "core.cap:_takes",
                "if order.state.is_live:",
                'if order.state.value == "unknown":\n        return 0\n    if order.state.is_live:',
            ),
        ),
    ),
    Mutant(
        "reduction_counts_at_once",
        "V02 D3",
        "A reduction frees its shares when it leaves, not when the broker has shown it.",
        (
            Edit(
                "core.cap:could_sell",
                "order.spec.qty if order.before is None else",
                "order.spec.qty if True else",
            ),
        ),
    ),
    Mutant(
        "unexplained_ignored",
        "V02 D2",
        "What an order had left when it ended without a word is free at once.",
        (Edit("core.cap:unexplained", "return max(0, min(order.left, placed - sold))", "return 0"),),
        caught_by="tests/faults/test_incidents.py::test_I01_a_refused_stop_is_replaced_by_a_new_pair_after_pictures",
        why="one seed in 500 shows it, by a stop that works too late (V03), not by what it risks (V02)",
    ),
    Mutant(
        "unexplained_and_awaited_ignored",
        "V02 D2",
        "Only living orders count: neither unexplained ends nor executions that are on their way do.",
        (Edit("core.cap:_takes", "return max(awaited(order), unexplained(order, group))", "return 0"),),
        caught_by="tests/core/test_unsafe_sequences.py::test_shares_that_a_status_says_are_sold_are_not_armed_again",
        why="what shows it comes together in less than one of 400 days",
    ),
    Mutant(
        "committed_ignored",
        "V02 D1",
        "The cap forgets what working sells could take already.",
        (
            Edit(
                "core.book:Book.cap",
                "return own - (sum(exposed.values()) - typed)",
                "return own - 0 * (sum(exposed.values()) - typed)",
            ),
            Edit("core.book:Book.room", "- exposed)", "- 0 * exposed)"),
        ),
    ),
    Mutant(
        "lost_session_ignored",
        "V02 D15",
        "Exits of a session that no record knows count for nothing.",
        (Edit("core.standing:claimed", "return sum(groups.values())", "return 0 * sum(groups.values())"),),
        caught_by="tests/core/test_outside.py::"
        "test_each_group_counts_its_largest_order_and_sells_find_no_free_share",
        why="no schedule loses its journal",
    ),
    Mutant(
        "foreign_shares_ours",
        "V02 D1",
        "Shares that somebody else bought in the account are free for our exits.",
        (Edit("core.book:Book.own", "return sum(", "return max(0, self.expected()) or sum("),),
    ),
    Mutant(
        "foreign_sells_ignored",
        "V02 D1",
        "Sales by somebody else never take anything from our trades.",
        (Edit("core.book:with_taken", "if part != book.trades[id_].taken:", "if False:"),),
    ),
    Mutant(
        "duplicates_booked",
        "V11 V02",
        "An execution that is told twice is booked twice.",
        (
            Edit(
                "core.book:executed",
                "before.revision >= execution.revision",
                "before.revision > execution.revision",
            ),
            Edit(
                "core.book:executed",
                "(0 if before is None else before.qty)",
                "(0 if before is None or before.revision == execution.revision else before.qty)",
            ),
        ),
    ),
    Mutant(
        "corrections_added",
        "V11 V02",
        "A correction is added to the execution that it replaces.",
        (
            Edit(
                "core.book:executed",
                "added = execution.qty - (0 if before is None else before.qty)",
                "added = execution.qty",
            ),
        ),
    ),
    Mutant(
        "corrections_ignored",
        "V11 V02",
        "A correction of an execution is taken for a repetition.",
        (
            Edit(
                "core.book:executed",
                "if before is not None and before.revision >= execution.revision:",
                "if before is not None:",
            ),
        ),
    ),
    Mutant(
        "statuses_move_quantities",
        "V11 D2",
        "A status that claims more filled shares than have executed is booked as a fill.",
        (
            Edit(
                "core.book:shown",
                "told_filled=max(order.told_filled, report.filled),",
                "told_filled=max(order.told_filled, report.filled),\n        filled=max(order.filled, report.filled),",
            ),
        ),
    ),
    Mutant(
        "late_executions_dropped",
        "V11",
        "An execution of an order that has ended is dropped.",
        (
            Edit(
                "core.reports:execution_reported",
                "before, trades_before = book.orders.get(execution.ref), book.trades",
                "before, trades_before = book.orders.get(execution.ref), book.trades\n"
                '    if before is not None and before.state.value == "cancelled":\n        return',
            ),
        ),
    ),
    Mutant(
        "typed_sell_unchecked",
        "V01 D8",
        "A typed sell may take more shares than are free.",
        (Edit("core.guards:check_sell", "if qty <= free:", "if True:"),),
    ),
    Mutant(
        "nearest_target_last",
        "D1",
        "What a foreign sale took is missing from the leg with the farthest target instead of the nearest.",
        (
            Edit(
                "core.trade:leg_shares",
                "for number in sorted(left):",
                "for number in sorted(left, reverse=True):",
            ),
        ),
        caught_by="tests/core/test_unsafe_beliefs.py::test_what_somebody_else_sold_of_a_ladder_is_missing_from_the_leg_with_the_nearest_target",
        why="the checker judges a symbol, not which of its legs pays",
    ),
    Mutant(
        "oldest_trade_pays_first",
        "D1",
        "A foreign sale takes shares from the oldest trade first instead of the newest.",
        (Edit("core.book:with_taken", "for trade in reversed(trades)", "for trade in trades"),),
        caught_by="tests/core/test_unsafe_beliefs.py::test_a_sale_by_somebody_else_takes_from_the_newest_trade_first",
        why="the checker judges a symbol, not which of its trades pays",
    ),
    Mutant(
        "oversold_untold",
        "V01",
        "Shares that the broker sold twice are not told to the operator, and the symbol goes on.",
        (
            Edit(
                "core.trade:protection_state",
                "if held < 0 and entry is not None and has_bought(entry):",
                "if False:",
            ),
        ),
    ),
)
