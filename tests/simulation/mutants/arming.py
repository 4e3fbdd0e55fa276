"""Mutants of first protection: cover, confirmation, legs, the handover, shares that come late."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "cover_for_the_whole_plan",
        "V02 D3",
        "The cover stop is as large as the plan, whatever has executed.",
        (
            Edit(
                "core.arming:tend_cover",
                "qty = min(held, turn.book(trade.plan.symbol).room(trade))",
                "qty = trade.plan.qty",
            ),
        ),
    ),
    Mutant(
        "cover_never_placed",
        "V03 D3",
        "What has executed stays without a stop as long as the entry works.",
        (Edit("core.arming:_wants_cover", "return trade.plan.cover is Cover.OWN or", "return False and"),),
    ),
    Mutant(
        "cover_never_raised",
        "V03 D3",
        "The cover stop protects the first execution, and not what follows.",
        (Edit("core.arming:_tend_living", "elif missing > 0 and", "elif False and"),),
        caught_by="tests/faults/test_kill_switches.py::test_I16_flatten_while_the_cover_is_being_raised_sells_nothing_before_its_cancel_is_answered",
        why="entries that fill in parts are over within the 10 s of V03",
    ),
    Mutant(
        "cover_raised_by_a_second_order",
        "V06 D3",
        "When more executes, another cover stop is sent beside the first one.",
        (Edit("core.arming:tend_cover", "if living:", "if living and held <= living[-1].spec.qty:"),),
    ),
    Mutant(
        "cover_kept_beside_legs",
        "V02 D3",
        "Legs are sent although the cover stop still holds their shares.",
        (Edit("core.arming:arm", "if free >= qty:", "if True:"),),
    ),
    Mutant(
        "handover_without_awaiting",
        "V02 D3",
        "A leg leaves together with the reduction of the cover, not after its acknowledgement.",
        (
            Edit(
                "core.arming:arm",
                "_hand_over(turn, trade, covers[-1], qty - max(0, free))",
                "_hand_over(turn, trade, covers[-1], qty - max(0, free))\n"
                "            trade = place_pair(turn, trade, exits)",
            ),
        ),
    ),
    Mutant(
        "handover_of_a_cover_that_trades",
        "V02 D3",
        "The handover goes on while the cover stop is being executed.",
        (
            Edit(
                "core.arming:arm",
                "elif covers and covers[-1].state is OrderState.HELD and covers[-1].filled == 0:",
                "elif covers:",
            ),
            Edit("core.arming:arm", "if free >= qty:", "if free >= qty or (covers and covers[-1].filled):"),
        ),
    ),
    Mutant(
        "cover_given_up_for_unacknowledged_stops",
        "V16 D3",
        "The cover shrinks although the stop of the leg before it is not acknowledged.",
        (Edit("core.arming:_stops_work", "return all(", "return True or all("),),
        caught_by="tests/core/test_unsafe_beliefs.py::test_the_cover_gives_up_no_shares_before_the_stop_of_the_leg_before_is_acknowledged",
        why="the checker excuses a gap that the handover opens for less than 10 s",
    ),
    Mutant(
        "cover_given_up_at_once",
        "V16 D3",
        "The handover begins with the cancel of the whole cover.",
        (Edit("core.arming:_hand_over", "cover.spec.qty - qty,", "0,"),),
        caught_by="tests/core/test_unsafe_beliefs.py::test_the_cover_gives_up_no_shares_before_the_stop_of_the_leg_before_is_acknowledged",
        why="V16 excuses the cover, and the gap is shorter than the 10 s of V03",
    ),
    Mutant(
        "position_gate_skipped",
        "D3",
        "Legs are armed although the broker's position does not confirm the shares.",
        (Edit("core.arming:_may_arm", "or turn.book(trade.plan.symbol).agrees()", "or True"),),
        caught_by="tests/core/test_branches_ladders.py::test_a_leg_that_somebody_sold_before_it_was_armed_keeps_no_ladder_from_being_armed",
        why="the cap looks at the position too, and a ladder of shares that lag behind is seldom wrong for long",
    ),
    Mutant(
        "armed_before_executions",
        "V02 D3",
        "Legs are armed for the whole entry when a status calls it filled, before its executions have come.",
        (
            Edit("core.trade:is_over", "and awaited(order) == 0", ""),
            Edit(
                "core.settle:_assign_legs",
                "first_legs(trade.plan, entry.filled)",
                "first_legs(trade.plan, max(entry.filled, entry.told_filled))",
            ),
            Edit(
                "core.book:Book.agrees",
                "return self.position is not None and self.position == self.expected()",
                "return True",
            ),
            Edit(
                "core.book:Book.own",
                "inventory(trade, self.orders)",
                "max(inventory(trade, self.orders), trade.plan.qty)",
            ),
            Edit("core.book:Book.cap", "if self.position is not None:", "if False:"),
            Edit("core.exits:desired_exits", "if inventory(trade, orders) <= 0:", "if not trade.legs:"),
        ),
    ),
    Mutant(
        "armed_while_the_entry_works",
        "V02 D3",
        "Legs are armed at the first execution, for what the entry will have bought at its end.",
        (
            Edit(
                "core.trade:is_over",
                "return order is not None and not order.state.is_live and awaited(order) == 0",
                "return order is not None and (order.filled > 0 or not order.state.is_live)",
            ),
        ),
    ),
    Mutant(
        "armed_twice_after_a_late_fill",
        "V02 D3",
        "Shares that come late arm a pair for everything that was bought, not for themselves.",
        (
            Edit(
                "core.settle:_resized",
                "legs.append(_late_leg(trade, extra, orders))",
                "legs.append(_late_leg(trade, sum(leg.qty for leg in legs) + extra, orders))",
            ),
            Edit("core.trade:leg_shares", "lost + sum(-qty for qty in left.values() if qty < 0)", "lost + 0"),
            Edit("core.arming:arm", "if free >= qty:", "if True:"),
        ),
    ),
    Mutant(
        "late_fill_unprotected",
        "V03 D3",
        "Shares that execute after the legs were armed get no leg.",
        (Edit("core.settle:_resized", "legs.append(_late_leg(trade, extra, orders))", "pass"),),
    ),
    Mutant(
        "leg_grows_in_its_group",
        "D3",
        "Shares that come late are added to the last leg's orders instead of getting orders of their own.",
        (
            Edit(
                "core.settle:_resized",
                "legs.append(_late_leg(trade, extra, orders))",
                "legs[-1] = replace(legs[-1], qty=legs[-1].qty + extra)",
            ),
            Edit(
                "core.diff:_difference",
                "too_many = order.spec.qty > total",
                "too_many = order.spec.qty != total",
            ),
            Edit("core.diff:_difference", "min(order.spec.qty, total)", "total"),
        ),
        caught_by="tests/core/test_totals_and_pictures.py::test_shares_that_a_position_gives_back_are_not_told_as_protected",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "pair_without_a_group",
        "V02",
        "Target and stop of a leg are sent without an OCA group.",
        (
            Edit(
                "core.arming:place_pair",
                "name = oca_group(trade, exits[0].leg) if group is None and len(exits) > 1 else group",
                "name = None",
            ),
        ),
    ),
    Mutant(
        "one_group_for_all_legs",
        "V03 V16",
        "All legs of a ladder share one OCA group.",
        (
            Edit(
                "core.specs:oca_group",
                'return new_ref(trade, leg).replace(":sl", ":p").replace(":tp", ":p")',
                'return f"ts:{trade.id}:p:1"',
            ),
        ),
    ),
    Mutant(
        "target_without_stop",
        "V03",
        "The pair of a leg is its target alone.",
        (
            Edit(
                "core.exits:exit_pair",
                "if leg.stop is not None:",
                "if leg.stop is not None and leg.tp is None:",
            ),
        ),
    ),
    Mutant(
        "held_children_trusted",
        "V03 D3",
        "Children that the broker still holds after their entry was cut are left as they are.",
        (Edit("core.trade:orphans", "", "lambda trade, orders: frozenset()"),),
    ),
    Mutant(
        "children_of_a_part_not_reduced",
        "V02 D3",
        "A bracket whose entry filled in part keeps children for the whole.",
        (
            Edit(
                "core.settle:_resized",
                "if extra <= 0:\n        return legs",
                "if extra <= 0:\n        return list(trade.legs)",
            ),
        ),
    ),
    Mutant(
        "reduction_crosses_the_broker",
        "V16",
        "After a partial fill our reduction leaves at once and crosses the broker's own.",
        (Edit("core.settle:_change", "if is_calm_needed and", "if False and"),),
    ),
    Mutant(
        "exit_never_reduced",
        "V02",
        "An exit that is larger than the shares of its leg stays so.",
        (Edit("core.diff:_difference", "too_many = order.spec.qty > total", "too_many = False"),),
    ),
)
