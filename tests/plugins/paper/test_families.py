"""Parents, children and OCA groups."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace
from tests.plugins.paper.venue import Floor, order

from tradeshell import OcaType, OrderSpec, Tif
from tradeshell_paper.settings import Rules


def bracket(entry: str = "LMT 10", qty: int = 100, tp: str = "11", sl: str = "9") -> tuple[OrderSpec, ...]:
    more = {"parent_ref": "entry", "tif": Tif.GTC}
    return (
        order("BUY", qty, entry, "entry", transmit=False),
        order("SELL", qty, f"LMT {tp}", "tp", transmit=False, **more),
        order("SELL", qty, f"STP LMT {sl} {sl}", "sl", **more),
    )


def group(kind: OcaType, *sizes: int) -> list[OrderSpec]:
    """Return a target and stops of one group."""
    words = ["LMT 11", "STP 9", "STP 8"]
    return [
        order("SELL", size, words[n], f"o{n}", oca_group="g", oca_type=kind) for n, size in enumerate(sizes)
    ]


# --- brackets ---------------------------------------------------------------------------------------------------------


def test_a_staged_family_is_silent_until_the_last_member_transmits_it_parent_first() -> None:
    floor = Floor()
    floor.quote("9.90", "10.10")
    entry, tp, sl = bracket()
    assert floor.send(entry, tp) == []
    assert floor.send(sl) == ["O entry working 0/100", "O tp held 0/100", "O sl held 0/100"]


def test_children_are_held_until_the_parent_is_completely_filled() -> None:
    floor = Floor(Rules(partial=True))
    floor.send(*bracket())
    floor.trade("10", 60)
    assert floor.states() == {"entry": "working", "tp": "held", "sl": "held"}
    assert floor.trade("11") == []  # a target that is not there yet
    reports = floor.trade("10", 40)
    assert reports[:5] == [
        "E BUY 40@10",
        "O entry filled 100/0",
        "P 100@10",
        "K 0.00",
        "O tp working 0/100",
    ]
    assert floor.states() == {"entry": "filled", "tp": "working", "sl": "held"}


def test_all_members_are_shown_before_a_marketable_parent_fills() -> None:
    floor = Floor()
    floor.quote("9.98", "10.00")
    reports = floor.send(*bracket())
    assert reports[:4] == [
        "O entry working 0/100",
        "O tp held 0/100",
        "O sl held 0/100",
        "E BUY 100@10.00",
    ]


def test_one_child_filled_cancels_the_other() -> None:
    floor = Floor()
    floor.quote("9.98", "10.00", decides=False)
    floor.send(*bracket())
    assert floor.trade("11") == [
        "E SELL 100@11",
        "O tp filled 100/0",
        "P 0@0",
        "K 1.00",
        "O sl cancelled 0/100",
    ]


def test_a_child_partly_filled_reduces_the_other() -> None:
    floor = Floor(Rules(partial=True))
    floor.quote("9.98", "10.00", decides=False)
    floor.send(*bracket())
    assert "O sl held 0/70" in floor.trade("11", 30)
    sl = floor.exchange.order(3)
    assert sl is not None
    assert sl.qty == 70


def test_a_cancelled_parent_takes_its_children_along() -> None:
    floor = Floor()
    floor.send(*bracket())
    assert floor.drop("entry") == ["O entry cancelled 0/100", "O tp cancelled 0/100", "O sl cancelled 0/100"]


@pytest.mark.parametrize("holds, state", [(False, "cancelled"), (True, "held")])
def test_children_of_a_partly_filled_and_cancelled_parent_die_or_stay_held_as_set(
    holds: bool, state: str
) -> None:
    floor = Floor(Rules(partial=True, holds_orphans=holds))
    floor.send(*bracket())
    floor.trade("10", 60)
    floor.drop("entry")
    assert floor.states() == {"entry": "cancelled", "tp": state, "sl": state}
    assert floor.trade("11") == []


def test_a_child_cancelled_by_hand_takes_its_sibling_and_leaves_the_parent() -> None:
    floor = Floor()
    floor.send(*bracket())
    assert floor.drop("tp") == ["O tp cancelled 0/100", "O sl cancelled 0/100"]
    assert floor.states()["entry"] == "working"


def test_a_child_of_a_finished_parent_is_refused() -> None:
    floor = Floor()
    floor.quote("9.98", "10.00")
    floor.send(order("BUY", 1, "MKT", "entry"))
    assert floor.send(order("SELL", 1, "LMT 11", "tp", parent_ref="entry")) == ["X tp 135 order"]


def test_changing_the_parents_size_does_not_change_the_children() -> None:
    floor = Floor()
    entry, tp, sl = bracket()
    floor.send(entry, tp, sl)
    floor.change(replace(entry, qty=50, transmit=True))
    shown = [floor.exchange.order(number) for number in (1, 2, 3)]
    assert [report.qty for report in shown if report is not None] == [50, 100, 100]


def test_a_child_can_be_changed_before_and_after_its_parent_has_filled() -> None:
    floor = Floor()
    entry, tp, sl = bracket()
    floor.send(entry, tp, sl)
    assert floor.change(replace(sl, stop=Decimal("9.5"), limit=Decimal("9.5"))) == ["O sl held 0/100"]
    floor.trade("10")
    assert floor.change(replace(sl, stop=Decimal("9.6"), limit=Decimal("9.6"))) == ["O sl held 0/100"]
    assert floor.change(replace(sl, stop=Decimal("9.7"), limit=Decimal("9.7"), parent_ref=None)) == [
        "O sl held 0/100"
    ]
    assert "E SELL 100@9.7" in floor.play("10:01", "9.8 9.9 9.5 9.6")


def test_a_staged_order_can_be_changed_and_is_transmitted_with_its_new_values() -> None:
    floor = Floor()
    spec = order("BUY", 100, "LMT 10", "a", transmit=False)
    assert floor.send(spec) == []
    assert floor.change(replace(spec, qty=50, transmit=True)) == ["O a working 0/50"]


# --- OCA --------------------------------------------------------------------------------------------------------------


def test_type_1_cancels_the_siblings_on_any_fill_and_lets_the_partly_filled_order_work_on() -> None:
    floor = Floor(Rules(partial=True))
    floor.send(*group(OcaType.CANCEL, 100, 100))
    floor.trade("11", 30)
    assert floor.states() == {"o0": "working", "o1": "cancelled"}
    floor.trade("11", 70)
    assert floor.states()["o0"] == "filled"


@pytest.mark.parametrize("kind", [OcaType.REDUCE, OcaType.REDUCE_UNBLOCKED])
def test_types_2_and_3_reduce_the_siblings_in_proportion(kind: OcaType) -> None:
    floor = Floor(Rules(partial=True))
    floor.send(*group(kind, 100, 100, 50))
    reports = floor.trade("11", 30)
    assert reports[-2:] == ["O o1 held 0/70", "O o2 held 0/35"]
    floor.trade("11", 70)
    assert floor.states() == {"o0": "filled", "o1": "cancelled", "o2": "cancelled"}


def test_a_reduction_can_be_shown_as_smaller_remaining_only() -> None:
    floor = Floor(Rules(partial=True, oca_shows_total=False))
    floor.send(*group(OcaType.REDUCE, 100, 100))
    floor.trade("11", 30)
    shown = floor.exchange.order(2)
    assert shown is not None
    assert (shown.qty, shown.remaining) == (100, 70)


def test_naming_the_old_total_does_not_undo_a_reduction() -> None:
    floor = Floor(Rules(partial=True))
    target, stop = group(OcaType.REDUCE, 100, 100)
    floor.send(target, stop)
    floor.trade("11", 30)
    floor.change(replace(stop, stop=Decimal("9.5")))
    shown = floor.exchange.order(2)
    assert shown is not None
    assert (shown.stop, shown.remaining) == (Decimal("9.5"), 70)


def test_type_3_can_overfill_when_the_scenario_wants_the_race() -> None:
    for race, sold in ((False, 100), (True, 200)):
        floor = Floor(Rules(oca_race=race))
        floor.send(*group(OcaType.REDUCE_UNBLOCKED, 100, 100))
        floor.play("10:00", "10 12 8 10")
        assert floor.position() == -sold


@pytest.mark.parametrize("kind", [OcaType.CANCEL, OcaType.REDUCE])
def test_types_1_and_2_never_race(kind: OcaType) -> None:
    floor = Floor(Rules(oca_race=True))
    floor.send(*group(kind, 100, 100))
    floor.play("10:00", "10 12 8 10")
    assert floor.position() == -100


@pytest.mark.parametrize("spreads, state", [(True, "cancelled"), (False, "held")])
def test_cancelling_one_member_by_hand_spreads_as_set(spreads: bool, state: str) -> None:
    floor = Floor(Rules(oca_cancel_spreads=spreads))
    floor.send(*group(OcaType.REDUCE, 100, 100))
    floor.drop("o0")
    assert floor.states()["o1"] == state


def test_a_group_that_has_filled_cannot_be_used_again_and_a_living_one_can_be_joined() -> None:
    floor = Floor()
    target, stop = group(OcaType.REDUCE, 100, 100)
    floor.send(target)
    floor.send(stop)
    floor.trade("11")
    assert floor.states() == {"o0": "filled", "o1": "cancelled"}
    assert floor.send(replace(stop, ref="again")) == ["X again 201 order"]
