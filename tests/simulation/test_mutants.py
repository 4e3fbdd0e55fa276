"""Mutants: each is still a change of the program, none outlives its use, and a campaign still has its teeth.

The whole list runs with `make mutants`; here only those that a few seeds catch.
"""

from __future__ import annotations

import pytest
from tests.simulation.mutants.__main__ import main
from tests.simulation.mutants.hunt import Baseline, baseline, hunt
from tests.simulation.mutants.listed import MUTANTS, named
from tests.simulation.mutants.patch import Edit, Mutant, StaleMutantError, applied, stale_words
from tests.simulation.run import ROOT

from tradeshell.core import book, cap, exits, trade

SEEDS = 30
BEGIN = {"gate_open": 130}  # what few schedules bring about is looked for where one does
SAMPLE = (
    "committed_ignored",
    "duplicates_booked",
    "statuses_move_quantities",
    "pictures_bring_no_executions",
    "cover_for_the_whole_plan",
    "cover_raised_by_a_second_order",
    "pair_without_a_group",
    "one_group_for_all_legs",
    "target_without_stop",
    "milestone_on_partial_target",
    "milestone_skips_one",
    "milestone_never",
    "stop_moved_down_by_a_milestone",
    "stop_cancelled_and_placed",
    "vanished_stop_not_replaced",
    "entry_sent_twice",
    "entry_larger_than_its_plan",
    "close_below_the_level",
    "stale_touch",
    "limit_above_the_ask",
    "wrong_contract",
    "gate_open",
    "sent_before_the_journal",
    "sent_before_the_audit",
    "intent_differs_from_order",
    "change_without_an_intent",
    "cancel_without_an_intent",
)


@pytest.fixture(scope="module")
def known() -> Baseline:
    """What the program itself breaks in the seeds of the sample."""
    return {seed: rules for begin in {0, *BEGIN.values()} for seed, rules in baseline(begin, SEEDS).items()}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_campaign_of_a_few_seeds_notices(name: str, known: Baseline) -> None:
    begin = BEGIN.get(name, 0)
    assert hunt(named(name), begin, SEEDS, known) is not None, f"{SEEDS} seeds pass with: {named(name).text}"


def test_every_mutant_still_changes_the_program() -> None:
    stale = [f"{mutant.name}: {words}" for mutant in MUTANTS if (words := stale_words(mutant))]
    assert not stale, "\n".join(stale)


def test_every_mutant_has_a_name_of_its_own_and_the_test_that_is_to_catch_it_exists() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    for mutant in MUTANTS:
        file, _, test = mutant.caught_by.partition("::")
        if file:
            assert f"def {test.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8"), mutant.name
            assert mutant.why, f"{mutant.name}: why no campaign catches it"


def _in_force() -> tuple[object, ...]:
    """Return what core modules know under names that are mutated here."""
    names = (
        (cap, "exposures"),
        (book, "exposures"),
        (trade, "awaited"),
        (cap, "awaited"),
        (book.Book, "cap"),
    )
    return tuple(vars(owner)[name] for owner, name in (*names, (exits, "REPRICE_EVERY")))


def test_what_a_mutant_replaced_is_put_back() -> None:
    before = _in_force()
    edits = (
        Edit("core.cap:exposures", "key: max(_takes", "key: min(_takes"),
        Edit("core.trade:awaited", "", "lambda order: 0"),
        Edit("core.book:Book.cap", "own = self.own()", "own = 1000"),
        Edit("core.exits:REPRICE_EVERY", "", "timedelta(0)"),
    )
    with applied(Mutant("test", "V02", "A test.", edits)):
        during = _in_force()
    assert all(new is not old for new, old in zip(during, before, strict=True))
    assert during[0] is during[1]  # wherever a function was imported, it is the same one
    assert all(new is old for new, old in zip(_in_force(), before, strict=True))


@pytest.mark.parametrize(
    "edit",
    [
        Edit("core.cap:exposures", "words that are not there", ""),
        Edit("core.cap:exposures", "order", "other"),
        Edit("core.cap:no_such_name", "", "1"),
    ],
)
def test_a_change_of_words_that_are_not_there_or_not_unique_is_stale_and_changes_nothing(edit: Edit) -> None:
    before = _in_force()
    good = Edit("core.trade:awaited", "", "lambda order: 0")
    with pytest.raises(StaleMutantError), applied(Mutant("test", "V02", "A test.", (good, edit))):
        pass
    assert all(new is old for new, old in zip(_in_force(), before, strict=True))


def test_the_runner_tells_what_catches_a_mutant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "entry_sent_twice", "--budget", "5", "--jobs", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["entry_sent_twice", "V05"]
    assert lines[-1] == "1 of 1 mutants caught"
