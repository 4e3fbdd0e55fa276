"""The questions: what is asked, what the program counts on, and what rests on it. ``docs/ibkr.md`` has the same table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from msgspec import Struct

from tradeshell_ibkr.probe import filling, resting
from tradeshell_ibkr.probe.answers import Question
from tradeshell_ibkr.probe.bench import Bench
from tradeshell_ibkr.probe.resting import Found

_PART = "a pair of two shares in one group, of which the target fills in part"


class Trial(Struct, frozen=True, kw_only=True):
    """One sequence of orders and the questions that it answers."""

    name: str
    run: Callable[[Bench], Awaitable[Found]]
    questions: tuple[Question, ...]

    @property
    def needs_fills(self) -> bool:
        """Whether it buys shares, so that the market has to be open."""
        return any(question.shares for question in self.questions)


def _q(
    name: str,
    asks: str,
    how: str,
    default: str,
    rests: str,
    answers: Mapping[str, str] = MappingProxyType({}),
    *,
    shares: int = 0,
    limit: float | None = None,
) -> Question:
    return Question(
        name=name,
        asks=asks,
        how=how,
        default=default,
        rests=rests,
        shares=shares,
        limit=limit,
        answers=MappingProxyType(dict(answers)),
    )


_ONE = "a buy of one share 30 % below the bid, heard for 3 s"
_CANCELLED = "the cancel of that buy"
_BOUGHT = "one share bought at a limit above the ask"

TRIALS: tuple[Trial, ...] = (
    Trial(name="empty", run=resting.empty, questions=(
        _q("executions_end", "Is the end of an empty list of executions told?",
           "executions are asked for before there are any",
           "told", "account.py asks twice and counts twice silent as empty",
           {"told": "the end mark comes", "missing": "nothing comes within 4 s"}),
    )),
    Trial(name="resting", run=resting.resting, questions=(
        _q("ack_delay", "How long until the first word about an order?",
           _ONE,
           "at most 3 s", "core/turn.py ACK_TIMEOUT: then the order is unknown and a picture is asked for",
           limit=3.0),
        _q("status_flash", "Does a limit order pass through PreSubmitted?",
           _ONE,
           "no", "core/entry.py: an entry that is only held looks the same for a moment",
           {"yes": "it does, for a moment", "no": "Submitted at once"}),
        _q("status_repeats", "Is a status told twice?",
           _ONE,
           "no", "core/book.py takes repeated statuses as nothing new",
           {"yes": "the same words come again", "no": "each comes once"}),
        _q("open_orders_age", "How old may the answer to a request for open orders be?",
           "open orders are asked for until that buy is there, and after its cancel until it is gone",
           "at most 6 s", "core/book.py OLD: an order that a younger picture lacks counts as ended",
           limit=6.0),
        _q("pending_cancel", "Is a cancel first told as PendingCancel?",
           _CANCELLED,
           "no", "translate.py takes the word as nothing",
           {"yes": "PendingCancel, then the end", "no": "the end at once"}),
        _q("cancel_words", "What ends a cancelled order: a status, error 202, or both?",
           _CANCELLED,
           "status first", "orders.py CANCEL_WITHIN: 202 alone counts as the end after a second",
           {"status first": "a status, then 202", "202 first": "202, then a status", "202 only": "no status comes",
            "status only": "no 202 comes"}),
        _q("unsolicited_completed", "Is an order that ends told as completed without being asked for?",
           _CANCELLED,
           "no", "nothing listens to completed orders",
           {"yes": "it is", "no": "only on request"}),
        _q("completed", "Are completed orders listed with their reference?",
           "completed orders are asked for after that cancel",
           "listed", "nothing: pictures use open orders and executions",
           {"listed": "the cancelled order is there", "not listed": "it is not", "unanswered": "no end mark within 4 s"}),
    )),
    Trial(name="numbers", run=resting.numbers, questions=(
        _q("ids_must_rise", "Must order numbers rise?",
           "a buy far below numbered five ahead, then one of a number left out",
           "yes", "connection.py first_order_id: a number is above every one known",
           {"yes": "a lower unused number is refused (103)", "no": "it is taken"}),
    )),
    Trial(name="again", run=resting.again, questions=(
        _q("id_reuse", "May a number be used again whose order was refused?",
           "a buy between two prices of the grid is refused, another one has its number",
           "yes", "nothing: a number is never used twice",
           {"yes": "it is taken", "no": "it is refused (103)"}),
    )),
    Trial(name="preset", run=resting.preset, questions=(
        _q("tif_preset", "Is an order without a time in force told to have got one?",
           "a buy far below without one",
           "silent", "codes.py 10349 is a comment, and our orders name theirs",
           {"told": "10349 comes", "silent": "nothing is said"}),
    )),
    Trial(name="gtd", run=resting.gtd, questions=(
        _q("gtd", "Does an order end by itself at its time?",
           "a buy far below, good for six seconds",
           "ends", "core/specs.py: an entry has an expiry so that it cannot rest while nobody looks",
           {"ends": "it ends within 15 s of its time", "stays": "it works on", "refused": "it is not taken"}),
    )),
    Trial(name="outside", run=resting.outside, questions=(
        _q("stop_outside_rth", "Does a plain stop work outside regular hours?",
           "a buy stop far above that says so",
           "taken", "breakout/policy.py refuses sl_type=stop with outside_rth, whatever the answer is",
           {"taken": "it is taken without a word", "ignored": "2109: the wish is ignored", "refused": "it is not taken"}),
    )),
    Trial(name="oca", run=resting.group, questions=(
        _q("oca_change", "Is a change refused because it names the order's group again?",
           "one of two buys of a group gets another price",
           "taken", "orders.py modify sends the group that is shown, and core/exits.py raises stops in groups",
           {"taken": "the new price is shown", "refused": "an error, or nothing"}),
        _q("oca_cancel_spreads", "Does cancelling one order of a group cancel the others?",
           "that buy is cancelled",
           "spreads", "core/incidents.py sends the stop again that went along",
           {"spreads": "the other ends too", "alone": "the other works on"}),
    )),
    Trial(name="fill", run=filling.fill, questions=(
        _q("fill_order", "What comes first: the execution, or the status Filled?",
           _BOUGHT,
           "execution first", "core/trade.py waits for executions that a status claims",
           {"execution first": "the execution", "status first": "the status"},
           shares=1),
        _q("first_word", "Can an execution come before the first status of its order?",
           _BOUGHT,
           "status", "core/reports.py books executions whatever the order is believed to be",
           {"status": "a status comes first", "execution": "it can"},
           shares=1),
        _q("position_lag", "How long after an execution is the position told?",
           _BOUGHT,
           "at most 3 s", "core/book.py LAG: an older position message is not believed",
           limit=3.0, shares=1),
        _q("commission", "When is the fee told?",
           _BOUGHT,
           "after", "account.py keeps a fee that comes early; TradeClosed goes without one that never comes",
           {"after": "after the execution", "before": "before it", "never": "not within 8 s"},
           shares=1),
        _q("commission_delay", "How long after an execution is the fee told?",
           _BOUGHT,
           "at most 3 s", "reports of a closed trade: what comes later is missing from its result",
           limit=3.0, shares=1),
        _q("filled_cancel", "Which error gets a cancel of a filled order?",
           "that order is cancelled after it has filled",
           "10148", "core/reports.py: 10147 and 10148 say that an order is gone, 161 does not",
           {"10148": "cannot be cancelled, state: Filled", "161": "not in a cancellable state", "silent": "none within 8 s"},
           shares=1),
    )),
    Trial(name="reached", run=filling.reached, questions=(
        _q("stop_reached", "Does a plain stop sell at once whose price is reached when it is sent?",
           "one share bought, and a stop sent 1 % above the ask",
           "sells", "core/incidents.py: the emergency stop counts on it",
           {"sells": "it sells", "refused": "it is refused", "rests": "neither within 45 s"},
           shares=1),
    )),
    Trial(name="reduction", run=filling.reduction, questions=(
        _q("oca_shows", "How is a reduction of a group shown?",
           f"{_PART}; the stop is looked at",
           "total", "core/book.py takes the smaller of both; core/settle.py cuts what is not reduced in time",
           {"total": "a smaller total", "remaining": "a smaller remaining only"},
           shares=2),
    )),
    Trial(name="restoring", run=filling.restoring, questions=(
        _q("oca_restores", "Does a change with the total from before undo a reduction?",
           f"{_PART}; the stop is sent again with another price and two shares",
           "kept", "core/step.py waits for the reduction before it changes a price; an overfill without it",
           {"kept": "the reduction stays", "restored": "two shares work again", "refused": "an error"},
           shares=2),
    )),
    Trial(name="joining", run=filling.joining, questions=(
        _q("oca_join", "How is an order sized that joins a living group?",
           f"two buys of a group, one twice the other; then {_PART}, joined by a stop for two",
           "as_sent", "core/incidents.py sends a target once more into its group",
           {"as_sent": "as it was sent", "capped": "at what is left in the group", "refused": "it is not taken"},
           shares=2),
    )),
    Trial(name="family", run=filling.family, questions=(
        _q("children_partial", "Do children work for what has filled of their entry?",
           "a bracket for two shares that fills in part",
           "wait", "core/trade.py counts a waiting stop as no protection",
           {"wait": "they wait", "work": "they work"},
           shares=2),
        _q("partial_parent", "Do children die with an entry that has filled in part?",
           "the rest of that entry is cancelled",
           "cancel", "core/settle.py sends a pair of its own, or reduces children that live",
           {"cancel": "they end", "hold": "they live"},
           shares=2),
    )),
    Trial(name="reducing", run=filling.reducing, questions=(
        _q("reduced_to_filled", "What becomes of an order that is reduced to what has filled?",
           "a buy of two shares that fills in part is reduced to one",
           "cancelled", "core/reports.py books either; an order that lives would fill on",
           {"cancelled": "it is cancelled", "filled": "it is filled", "lives": "it works on", "refused": "the change is refused"},
           shares=2),
    )),
)  # fmt: skip

QUESTIONS = {question.name: question for trial in TRIALS for question in trial.questions}
