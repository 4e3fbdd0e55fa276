"""Mutants of what is believed: pictures, orders that they lack, words about orders, positions."""

from __future__ import annotations

from tests.simulation.mutants.patch import Edit, Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "one_picture_explains",
        "V02 D2",
        "The first picture that agrees explains the end of an order, instead of the second.",
        (
            Edit(
                "core.pictures:_explain",
                "elif order.gone_at is None:\n            turn.put_order(replace(order, gone_at=asked_at))",
                "elif order.gone_at is None:\n            turn.put_order(replace(order, is_explained=True))",
            ),
        ),
        caught_by="tests/faults/test_incidents.py::test_I01_a_refused_stop_is_replaced_by_a_new_pair_after_pictures",
        why="one seed in 500 shows it, by a stop that works too late (V03), not by what it risks (V02)",
    ),
    Mutant(
        "old_pictures_explain",
        "V02 D2",
        "A picture that was asked for before the end of an order explains it.",
        (
            Edit(
                "core.pictures:_explain",
                "elif asked_at < order.lost_at or not book.agrees():",
                "elif not book.agrees():",
            ),
            Edit(
                "core.pictures:_explain",
                "elif order.gone_at is None:\n            turn.put_order(replace(order, gone_at=asked_at))",
                "elif order.gone_at is None:\n            turn.put_order(replace(order, is_explained=True))",
            ),
        ),
        caught_by="tests/faults/test_incidents.py::test_I01_a_refused_stop_is_replaced_by_a_new_pair_after_pictures",
        why="one seed in 500 shows it, by a stop that works too late (V03), not by what it risks (V02)",
    ),
    Mutant(
        "pictures_close_together",
        "V02 D2",
        "Two pictures explain an end however close together they were asked for.",
        (
            Edit(
                "core.pictures:_explain",
                "elif asked_at - order.gone_at + EARLY >= (SECOND_LOOK if order.was_told else OLD):",
                "else:",
            ),
        ),
        caught_by="tests/faults/test_incidents.py::test_I01_a_refused_stop_is_replaced_by_a_new_pair_after_pictures",
        why="one seed in 500 shows it, by a stop that works too late (V03), not by what it risks (V02)",
    ),
    Mutant(
        "disagreeing_picture_explains",
        "V02 D2",
        "A picture explains an end although its position does not agree with the executions, and the cap ignores it too.",
        (
            Edit("core.pictures:_explain", "or not book.agrees()", ""),
            Edit("core.book:Book.cap", "if self.position is not None:", "if False:"),
        ),
        caught_by="tests/core/test_unsafe_beliefs.py::test_an_exit_whose_shares_may_have_been_sold_is_not_replaced_while_the_position_says_so",
        why="what shows it comes together in less than one of 400 days",
    ),
    Mutant(
        "living_order_ignored",
        "V06 D2",
        "A picture that shows an order as living does not hinder that its end is explained.",
        (Edit("core.pictures:_explain", "if order.spec.ref in living:", "if False:"),),
        caught_by="tests/core/test_unsafe_beliefs.py::test_an_exit_that_a_picture_shows_as_living_is_not_replaced_because_a_status_ended_it",
        why="the venue never says of a living order that it has ended",
    ),
    Mutant(
        "absent_once_is_gone",
        "V06 D2",
        "An order that one picture lacks has ended.",
        (
            Edit("core.pictures:_missing", "if order.absent_at is None:", "if False:"),
            Edit(
                "core.pictures:_missing",
                "is_late = turn.at - order.absent_at >= SECOND_LOOK - EARLY and awaited(order) == 0",
                "order = replace(order, absent_at=turn.at)\n    is_late = awaited(order) == 0",
            ),
        ),
        caught_by="tests/core/test_unsafe_shares.py::test_an_entry_that_never_arrived_ends_with_the_second_picture",
        why="what shows it comes together in less than one of 400 days",
    ),
    Mutant(
        "young_orders_missed",
        "V06 D2",
        "A picture may lack an order that has only just been sent, and the order counts as missing.",
        (Edit("core.pictures:_is_young", "", "lambda order, picture: False"),),
        caught_by="tests/core/test_totals_and_pictures.py::test_pictures_asked_before_an_order_left_do_not_end_it",
        why="one seed in 500 shows it",
    ),
    Mutant(
        "older_picture_believed",
        "V02 D2",
        "A picture that was asked for before the last command about an order left is believed about that order.",
        (
            Edit("core.pictures:_is_newer", "", "lambda order, picture: False"),
            Edit("core.pictures:_is_young", "", "lambda order, picture: False"),
        ),
    ),
    Mutant(
        "old_news_believed",
        "V02 D2",
        "A picture that shows fewer executions than are known, or values of before, is believed.",
        (Edit("core.pictures:_is_old_news", "if asked_at is None:", "if True:"),),
        caught_by="tests/core/test_unsafe_beliefs.py::test_an_old_picture_does_not_put_a_stop_back_that_was_moved_since",
        why="the next picture repairs it before it costs anything",
    ),
    Mutant(
        "position_believed_at_once",
        "V02 D2",
        "A position that differs from the executions is believed in the first picture.",
        (
            Edit(
                "core.pictures:position_confirmed",
                "if is_older or asked_at - doubt.since < OLD:",
                "if False:",
            ),
        ),
    ),
    Mutant(
        "pictures_bring_no_executions",
        "V11",
        "Executions that only a picture shows are not booked.",
        (Edit("core.pictures:pictured", "for execution in picture.executions:", "for execution in ():"),),
    ),
    Mutant(
        "picture_of_another_connection",
        "V14 D6",
        "A picture of an earlier connection is taken for one of this.",
        (Edit("core.step:Core._snapshot", "event.epoch != turn.desk.link.epoch or", ""),),
        caught_by="tests/core/test_stops_and_changes.py::test_orders_in_flight_at_the_drop_are_unknown_until_the_broker_shows_them",
        why="the session gives up requests of an earlier connection itself",
    ),
    Mutant(
        "silence_is_refusal",
        "V06 V02",
        "An order that is not answered in time counts as refused instead of unknown.",
        (
            Edit(
                "core.reports:ack_overdue",
                "turn.put_order(advance(order, Signal.LOST_SIGHT))",
                "turn.put_order(ended(advance(order, Signal.REFUSED), turn.at, told=True, asked=True))",
            ),
        ),
    ),
    Mutant(
        "silence_is_nothing",
        "V08 V25",
        "An order that is not answered is waited for without end.",
        (
            Edit(
                "core.reports:ack_overdue",
                "if order is None or order.state is not OrderState.SENT:",
                "if True:",
            ),
        ),
        caught_by="tests/core/test_stops_and_changes.py::test_silence_after_three_seconds_is_told_once",
        why="other looks at the account find the order within the bounds",
    ),
    Mutant(
        "refused_cancel_is_cancelled",
        "V02 D2",
        "A cancel that finds no order (10147, 10148) counts as a cancelled order.",
        (
            Edit(
                "core.reports:refused",
                "if refusal.code in NOT_FOUND:\n            _denied(turn, trade, order, refusal)",
                "if refusal.code in NOT_FOUND:\n            "
                "turn.put_order(ended(advance(order, Signal.CANCELLED), turn.at, told=True, asked=True))",
            ),
        ),
    ),
    Mutant(
        "refused_change_ends_the_order",
        "V06 V02",
        "A refused change counts as the end of the order, and another stop takes its place.",
        (
            Edit(
                "core.reports:refused",
                "if refusal.what is RefusedWhat.ORDER:",
                "if refusal.what in (RefusedWhat.ORDER, RefusedWhat.CHANGE):",
            ),
            Edit("core.reports:refused", "told=True, asked=False", "told=True, asked=True"),
        ),
    ),
    Mutant(
        "refused_change_stands",
        "V02 V16",
        "After a refused change the order is believed to work with the values that were refused.",
        (
            Edit(
                "core.book:reverted",
                "spec = order.spec if order.before is None else order.before",
                "spec = order.spec",
            ),
        ),
    ),
    Mutant(
        "end_always_explained",
        "V02 D2",
        "However an order ended, its shares are free at once and are sold again.",
        (Edit("core.orders:ended", "is_explained=asked,", "is_explained=True,"),),
        caught_by="tests/faults/test_incidents.py::test_I01_a_refused_stop_is_replaced_by_a_new_pair_after_pictures",
        why="one seed in 500 shows it, by a stop that works too late (V03), not by what it risks (V02)",
    ),
    Mutant(
        "filled_by_status",
        "V11 V02 D2",
        "A status ends an order as filled before its executions have come.",
        (
            Edit("core.book:_signalled", "0 < report.filled <= order.done", "True"),
            Edit("core.trade:awaited", "", "lambda order: 0"),
        ),
    ),
    Mutant(
        "revived_order_ignored",
        "V08",
        "An order that was taken for ended and works again stays ended in our books.",
        (
            Edit("core.book:shown", "and not order.was_told", "and False"),
            Edit("core.book:shown", "if new.state.is_live and order.lost_at is not None:", "if False:"),
            Edit(
                "core.book:_signalled",
                "return advance(order, _SIGNALS[report.state])",
                "return order if order.lost_at is not None else advance(order, _SIGNALS[report.state])",
            ),
            Edit(
                "core.pictures:_contradicted",
                "if order.ended_at is not None and asked_at - order.ended_at >= OLD:",
                "if False:",
            ),
        ),
        caught_by="tests/core/test_unsafe_beliefs.py::test_an_order_that_was_taken_for_gone_and_speaks_again_lives",
        why="what shows it comes together in less than one of 400 days",
    ),
)
