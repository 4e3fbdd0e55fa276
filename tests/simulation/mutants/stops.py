"""Mutants of stops: milestones, prices, the chase of an elected one."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "milestone_on_partial_target",
        "V17",
        "A target counts as reached when a part of it is sold.",
        (
            Edit(
                "core.milestones:tell_milestones",
                "if not any(orders[ref].state is OrderState.FILLED for ref in trade.refs[1:]):",
                "if False:",
            ),
            Edit("core.exits:reached", "or shares[leg.number] > 0", ""),
            Edit(
                "core.exits:reached",
                "or not any(order.state is OrderState.FILLED for order in targets)",
                "or sold == 0",
            ),
        ),
    ),
    Mutant(
        "milestone_by_status",
        "V17",
        "A target counts as reached when a status says so, before its executions.",
        (
            Edit(
                "core.milestones:tell_milestones",
                "if not any(orders[ref].state is OrderState.FILLED for ref in trade.refs[1:]):",
                "if False:",
            ),
            Edit(
                "core.exits:reached",
                "sold = sum(order.filled for",
                "sold = sum(max(order.filled, order.told_filled) for",
            ),
            Edit("core.exits:reached", "or shares[leg.number] > 0", "or sold < leg.qty"),
            Edit(
                "core.exits:reached", "or not any(order.state is OrderState.FILLED for order in targets)", ""
            ),
        ),
        caught_by="tests/core/test_unsafe_beliefs.py::test_a_target_is_reached_by_its_executions_and_not_by_a_status",
        why="the venue has executed what its status says",
    ),
    Mutant(
        "milestone_by_the_stop",
        "V17",
        "A leg that its stop has sold counts as a target that was reached.",
        (
            Edit("core.exits:reached", "or others > 0", ""),
            Edit(
                "core.exits:reached", "or not any(order.state is OrderState.FILLED for order in targets)", ""
            ),
        ),
        caught_by="tests/core/test_unsafe_beliefs.py::test_a_leg_that_its_stop_has_sold_is_no_target_that_was_reached",
        why="a stop that sells takes those of the other legs along",
    ),
    Mutant(
        "milestone_skips_one",
        "V17",
        "After the first target stops go where they belong after the second.",
        (Edit("core.exits:ruled_stop", "updates[step - 1]", "updates[min(step, len(updates) - 1)]"),),
    ),
    Mutant(
        "milestone_one_behind",
        "V17",
        "After the second target stops stay where they belong after the first.",
        (Edit("core.exits:ruled_stop", "updates[step - 1]", "updates[0]"),),
    ),
    Mutant(
        "milestone_never",
        "V17",
        "Targets are reached and no stop follows.",
        (Edit("core.milestones:_pending", "if trade.milestone == 0:", "if True:"),),
    ),
    Mutant(
        "milestone_for_the_last_leg_only",
        "V17",
        "Of several legs only the last one's stop follows a target.",
        (Edit("core.milestones:_pending", "for leg in trade.legs:", "for leg in trade.legs[-1:]:"),),
    ),
    Mutant(
        "milestone_given_up_when_postponed",
        "V17",
        "A stop that may not move at this touch is not tried again.",
        (
            Edit(
                "core.milestones:tell_milestones",
                "if not _pending(trade, orders) or",
                "if not _pending(trade, orders) or any(leg.postponed for leg in trade.legs) or",
            ),
        ),
        caught_by="tests/faults/test_stops.py::test_S06_a_new_stop_at_or_above_the_market_waits_until_the_bid_is_above_it",
        why="V17 excuses a stop whose move was told as postponed",
    ),
    Mutant(
        "milestone_sent_again",
        "V17",
        "The change of a stop is sent again while the first one is on its way.",
        (
            Edit("core.diff:is_patient", "order.changing or", ""),
            Edit(
                "core.diff:_difference",
                "if not too_many and (",
                "if not (order.changing and wanted.stop is not None) and not too_many and (",
            ),
        ),
        caught_by="tests/faults/test_arming_legs.py::test_A08_a_market_above_the_first_target_sells_that_leg_and_moves_the_other_stops",
        why="V17 judges a repeated change only in days without faults",
    ),
    Mutant(
        "stop_loosened_by_a_replacement",
        "V15",
        "A stop that has to be replaced goes back to where the plan began.",
        (
            Edit(
                "core.incidents:_send",
                "exits = exit_pair(trade, leg, held)",
                "exits = exit_pair(trade, replace(leg, stop=trade.plan.sl, stop_limit=None), held)",
            ),
        ),
    ),
    Mutant(
        "stop_loosened_by_a_milestone",
        "V15",
        "A milestone moves a stop down that somebody had put higher.",
        (
            Edit("core.exits:ruled_stop", "max(leg.stop, updates[step - 1])", "updates[step - 1]"),
            Edit("core.milestones:_pending", "stop <= leg.stop", "stop == leg.stop"),
            Edit("core.milestones:answer_raise", "best > leg.stop", "best != leg.stop"),
        ),
        caught_by="tests/core/test_unsafe_beliefs.py::test_a_stop_that_the_operator_put_above_its_rule_stays_there_when_the_target_is_reached",
        why="V15 excuses a leg that the operator has touched",
    ),
    Mutant(
        "stop_moved_down_by_a_milestone",
        "V15",
        "A stop goes down by one tick when a target is reached.",
        (
            Edit(
                "core.milestones:answer_raise",
                "replace(leg, stop=best,",
                "replace(leg, stop=leg.stop - trade.instrument.grid.increment(stop),",
            ),
        ),
    ),
    Mutant(
        "outside_move_overwritten",
        "V15 D4",
        "A stop that somebody moved at the broker is put back to our price.",
        (
            Edit(
                "core.reports:adopted",
                "if leg is None or not is_exit(trade, order.spec.ref):",
                'if leg is None or name.startswith("sl"):',
            ),
        ),
        caught_by="tests/core/test_unsafe_sequences.py::test_a_stop_that_somebody_moved_at_the_broker_is_adopted",
        why="V15 excuses a stop that somebody at the venue has moved",
    ),
    Mutant(
        "milestone_without_a_touch",
        "V17 D4",
        "A stop is raised above the market and sells at once.",
        (
            Edit(
                "core.milestones:_highest_allowed",
                "bid is not None and stop is not None and bid > stop + grid.increment(stop)",
                "stop is not None",
            ),
        ),
        caught_by="tests/faults/test_stops.py::test_S06_a_new_stop_at_or_above_the_market_waits_until_the_bid_is_above_it",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "stop_cancelled_and_placed",
        "V16 D4",
        "A stop is moved by a cancel and a new order.",
        (
            Edit(
                "core.settle:_change",
                "turn.modify(trade, moved(order, qty=change.qty, limit=change.limit, stop=change.stop), reason)",
                "turn.cancel(trade, order, reason)",
            ),
        ),
    ),
    Mutant(
        "elected_stop_never_repriced",
        "V03 D4",
        "The limit of an elected stop stays where it is while the market falls.",
        (
            Edit(
                "core.exits:chased_limit",
                "if limit is None or stop is None or order.changing or order.cancelling:",
                "if True:",
            ),
            Edit("core.exits:is_at_floor", "if limit is None or", "if True or limit is None or"),
        ),
    ),
    Mutant(
        "elected_stop_repriced_upwards",
        "D4",
        "The limit of an elected stop follows the bid upwards, too.",
        (
            Edit(
                "core.exits:chased_limit",
                "return wanted if wanted < limit else None",
                "return wanted if wanted != limit else None",
            ),
        ),
        caught_by="tests/faults/test_elected_stops.py::test_L12_a_stop_elected_into_a_gap_goes_to_the_bid_at_once_and_follows_it_down",
        why="V15 exempts the limit of an elected stop",
    ),
    Mutant(
        "elected_stop_repriced_without_pause",
        "V22 D4",
        "The limit of an elected stop follows every touch, more than once a second.",
        (Edit("core.exits:REPRICE_EVERY", "", "timedelta(0)"),),
        caught_by="tests/core/test_stops_and_changes.py::test_an_elected_stop_is_repriced_at_most_once_a_second_with_one_change_in_flight",
        why="V22 is judged on the wire",
    ),
    Mutant(
        "elected_stop_follows_old_touches",
        "D4",
        "The limit of an elected stop follows touches of any age.",
        (Edit("core.exits:QUOTE_FOR_STOP", "", "1e9"),),
        caught_by="tests/core/test_stops_and_changes.py::test_an_old_touch_or_none_moves_no_stop",
        why="no rule of the checker judges it",
    ),
    Mutant(
        "reprice_with_the_old_total",
        "V02",
        "A new limit of an elected stop asks for the total of before, whatever the target has sold.",
        (
            Edit(
                "core.entry:_chase",
                "qty = most(trade, order, book.orders)",
                "qty = max(order.placed, order.spec.qty)",
            ),
        ),
        caught_by="tests/core/test_totals_and_pictures.py::test_a_chase_asks_for_no_more_than_is_held",
        why="what shows it comes together in less than one of 400 days",
    ),
    Mutant(
        "change_loses_what_was_filled",
        "V02 V16",
        "A change names the shares that are left as the order's total.",
        (Edit("core.diff:_difference", "total = order.done + wanted.qty", "total = wanted.qty"),),
    ),
    Mutant(
        "refused_change_never_tried_again",
        "V17",
        "A change that the broker refused once is not tried again.",
        (Edit("core.diff:rests", "order.retries > RETRY.times or now < order.retry_at", "True"),),
    ),
    Mutant(
        "refused_change_without_pause",
        "V22",
        "A refused change is sent again at once, without limit.",
        (Edit("core.diff:rests", "return order.retry_at is not None and", "return False and"),),
    ),
)
