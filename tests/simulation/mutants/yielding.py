"""Mutants of legs that give way to a sale which was typed."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

SALES = "tests/faults/test_sales.py::test_E20_"
RARE = "few days have a sale under a ladder, and fewer one in which this matters"

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "sale_before_the_exits_gave_way",
        "V02 D8",
        "A sale leaves together with the changes that make room for it.",
        (
            Edit(
                "core.entry:answer_quote",
                "not yielding.is_free(turn.book(trade.plan.symbol), trade.plan.qty)",
                "trade.room_at is None",
            ),
            Edit("core.yielding:look", "is_free(book, sale.plan.qty)", "True"),
        ),
        caught_by=SALES + "the_sale_leaves_only_when_the_broker_has_shown_every_smaller_exit",
        why=RARE,
    ),
    Mutant(
        "legs_give_way_one_by_one",
        "V03 D8",
        "Legs give way while others cannot yet: one of them gives what all should give.",
        (
            Edit(
                "core.yielding:_able",
                "if any(_is_busy(turn, exits) for _, exits in held):",
                "held = [each for each in held if not _is_busy(turn, each[1])]\n    if False:",
            ),
        ),
        caught_by=SALES + "a_sale_waits_until_nothing_of_the_legs_is_on_its_way",
        why=RARE,
    ),
    Mutant(
        "elected_stop_gives_way",
        "V02 D8",
        "A stop that sells already is made smaller for a sale.",
        (
            Edit(
                "core.yielding:_may_shrink",
                "(order.spec.type.is_stop and order.state is OrderState.WORKING)",
                "False",
            ),
        ),
        caught_by=SALES + "a_stop_that_sells_gives_nothing",
        why=RARE,
    ),
    Mutant(
        "stops_give_way_first",
        "V03 D8",
        "Stops become smaller together with their targets: a target that may not costs protection.",
        (Edit("core.yielding:holds_stops", "return any(", "return False and any("),),
        caught_by=SALES + "no_stop_becomes_smaller_before_every_target_is",
        why="the shares have a stop again within the time that V03 allows",
    ),
    Mutant(
        "sale_waits_for_ever",
        "V03 D8",
        "A sale waits as long as it takes until its exits have given way.",
        (Edit("core.yielding:ROOM_WITHIN", "", "timedelta(days=1)"),),
        caught_by=SALES + "a_refused_reduction_ends_the_sale_and_every_share_has_its_stop",
        why=RARE,
    ),
    Mutant(
        "sale_rests",
        "D8",
        "A sale rests for ever over shares that have no stop.",
        (Edit("core.yielding:SOLD_WITHIN", "", "36000.0"),),
        caught_by=SALES + "a_sale_that_finds_no_buyer_is_cancelled_and_the_rest_gets_its_stop",
        why="what is being sold needs no stop, says the checker: for how long the operator decides",
    ),
    Mutant(
        "unsold_shares_stay_bare",
        "V03 V25 D8",
        "What a sale leaves unsold gets no stop again.",
        (Edit("core.yielding:rearrange", "if missing < 0:", "if False:"),),
        caught_by=SALES + "a_sale_that_the_broker_refuses_gives_the_shares_back",
        why=RARE,
    ),
    Mutant(
        "unsold_shares_get_the_plans_stop",
        "D8",
        "What a sale leaves unsold gets the stop of the plan, however far the trade's stops have moved up.",
        (Edit("core.yielding:_own_leg", "_highest(leg.stop for leg in held)", "trade.plan.sl"),),
        caught_by=SALES + "shares_that_come_back_get_the_highest_stop_of_their_trade",
        why="a stop at the price of the plan is one, says the checker",
    ),
    Mutant(
        "given_shares_count_twice",
        "V03 D8",
        "What a sale took is missing from the legs once more.",
        (Edit("core.trade:leg_shares", "if qty < 0) - trade.yielded)", "if qty < 0))"),),
        caught_by=SALES + "every_leg_gives_its_part_and_no_price_moves",
        why=RARE,
    ),
    Mutant(
        "sale_of_shares_that_are_gone",
        "V01 V02 D8",
        "A sale works on although somebody else has sold its shares.",
        (Edit("core.yielding:_give_up", "if not sale.cancel_wanted", "if False"),),
        caught_by=SALES + "a_sale_of_free_shares_that_somebody_else_sells_first_is_cancelled",
        why=RARE,
    ),
    Mutant(
        "one_leg_gives_all",
        "D8",
        "The first leg gives all that a sale needs, before the others give anything.",
        (
            Edit(
                "core.yielding:shared",
                "return dict(zip(weights, split(qty, tuple(weights.values())), strict=True))",
                "given = {}\n    for number, held in legs.items():\n"
                "        given[number] = min(qty - sum(given.values()), held)\n    return given",
            ),
        ),
        caught_by=SALES + "every_leg_gives_its_part_and_no_price_moves",
        why="the checker judges a symbol, not which of its legs pays",
    ),
)
