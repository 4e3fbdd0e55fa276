"""What an operator may write for a ladder, what it means, and what is refused in one line."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from tests.plugins.breakout.words import planned

from tradeshell import Cover, ExitMode, OperatorError, TradePlan, split
from tradeshell.grammar import complete
from tradeshell_breakout.grammar import BREAKOUT_GRAMMAR

D = Decimal


# --- what the words mean ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, mode, shares",
    [
        ("AAPL level=190 qty=1", ExitMode.NONE, (1,)),
        ("AAPL level=190 qty=1 tp=195 sl=187", ExitMode.ATTACHED, (1,)),
        ("AAPL level=190 qty=1 sl=187", ExitMode.ATTACHED, (1,)),
        ("AAPL level=190 qty=100 tp=195-198 sl=187", ExitMode.DETACHED70, (70, 30)),
        ("AAPL level=190 qty=100 tp=195-198 sl=187 tp_alloc=70-30", ExitMode.DETACHED70, (70, 30)),
        ("AAPL level=190 qty=10 tp=195-198 sl=187 tp_alloc=7-3", ExitMode.DETACHED70, (7, 3)),
        ("AAPL level=190 qty=100 tp=195-198 sl=187 tp_exec=detached70", ExitMode.DETACHED70, (70, 30)),
        ("AAPL level=190 qty=100 tp=195-198-205 sl=187", ExitMode.DETACHED, (60, 30, 10)),
        ("AAPL level=190 qty=100 tp=195-198-205 sl=187 tp_alloc=50-30-20", ExitMode.DETACHED, (50, 30, 20)),
        ("AAPL level=190 qty=8 tp=195-198-205 sl=187 tp_alloc=5-2-1", ExitMode.DETACHED, (5, 2, 1)),
        ("AAPL level=190 qty=7 tp=195-198-205 sl=187 tp_alloc=50-30-20", ExitMode.DETACHED, (4, 2, 1)),
        ("AAPL 190 100 tp=195-198-205 sl=187 tp_exec=detached", ExitMode.DETACHED, (60, 30, 10)),
    ],
)  # fmt: skip
def test_targets_say_how_exits_are_held_and_how_shares_are_split(
    line: str, mode: ExitMode, shares: tuple[int, ...]
) -> None:
    plan = planned(line)
    assert plan.mode is mode
    assert split(plan.qty, plan.parts) == shares


def test_stops_of_a_ladder_move_to_the_level_then_to_the_first_target_unless_told() -> None:
    assert planned("AAPL 190 100 tp=195-198-205 sl=187").updates == (D(190), D(195))
    assert planned("AAPL 190 100 tp=195-198 sl=187").updates == (D(190),)
    assert planned("AAPL 190 100 tp=195-198-205 sl=187 stop_updates=191-193.5").updates == (
        D(191),
        D("193.5"),
    )
    assert planned("AAPL 190 100 tp=195 sl=187").updates == ()


def test_a_ladder_is_covered_until_it_is_armed_unless_told() -> None:
    assert planned("AAPL 190 100 tp=195-198 sl=187").cover is Cover.OWN
    assert planned("AAPL 190 100 tp=195-198 sl=187 cover=none").cover is Cover.NONE


# --- refusals ---------------------------------------------------------------------------------------------------------

LADDER = "AAPL 190 100 tp=195-198-205 sl=187"


@pytest.mark.parametrize(
    "line, said",
    [
        (f"{LADDER} tp_alloc=50-30-30", ["tp_alloc=50-30-30", "sums to 110", "qty=100"]),
        (f"{LADDER} tp_alloc=50-50", ["tp_alloc=50-50", "3 targets take 3 parts", "60-30-10"]),
        (f"{LADDER} tp_alloc=60-40-0", ["tp_alloc=60-40-0", "part 3", "above zero"]),
        (f"{LADDER} tp_alloc=60/30/10", ["joined by dashes", "50-30-20"]),
        (f"{LADDER} tp_alloc=33.3-33.3-33.4", ["part 1 (33.3)", "a whole number"]),
        (f"{LADDER} tp_exec=attached", ["tp_exec=attached", "a bracket has one target", "tp_exec=detached"]),
        (f"{LADDER} tp_exec=detached70", ["tp_exec=detached70", "takes two targets, three targets are given"]),
        (f"{LADDER} tp_exec=ladder", ["tp_exec=ladder", "attached detached70 detached"]),
        (f"{LADDER} stop_updates=190", ["stop_updates=190", "3 targets take 2 prices"]),
        (f"{LADDER} stop_updates=186-190", ["stop_updates=186.00-190.00", "never loosened", "187.00"]),
        (f"{LADDER} stop_updates=194-193", ["stop_updates=194.00-193.00", "never loosened"]),
        (f"{LADDER} stop_updates=195-196", ["not below tp1 195.00"]),
        (f"{LADDER} stop_updates=190-195-198", ["at most 2 stops, 3 are given"]),
        (f"{LADDER} cover=some", ["cover=some", "own none"]),
        ("AAPL 190 100 tp=195-198 sl=187 tp_alloc=50-50", ["tp_alloc=50-50", "always shared 70-30", "three targets"]),
        ("AAPL 190 100 tp=195-198 sl=187 tp_exec=attached", ["tp_exec=attached", "use tp_exec=detached70"]),
        ("AAPL 190 100 tp=195-198 sl=187 tp_exec=detached", ["tp_exec=detached", "takes three targets", "tp_exec=detached70"]),
        ("AAPL 190 100 tp=195 sl=187 tp_exec=detached70", ["takes two targets, one target is given", "tp=195-198"]),
        ("AAPL 190 100 sl=187 tp_exec=detached", ["takes three targets, no target is given", "tp=195-198-205"]),
        ("AAPL 190 100 tp_exec=attached", ["there is no tp= and no sl="]),
        ("AAPL 190 100 tp=195-198", ["a ladder (tp=195.00-198.00) needs a stop", "sl=186.20"]),
        ("AAPL 190 100 tp=198-195-205 sl=187", ["tp2 195.00 must lie above the tp1 198.00"]),
        ("AAPL 190 100 tp=189-195-205 sl=187", ["tp1 189.00 must lie above the level 190.00"]),
        ("AAPL 190 100 tp=195-198-205 sl=191", ["sl=191.00", "below the level 190.00"]),
        ("AAPL 190 100 tp=195-198-205-210 sl=187", ["at most 3 targets, 4 are given", "195-198-205"]),
        ("AAPL 190 100 tp=195--205 sl=187", ["target 2 is empty"]),
        ("AAPL 190 100 tp=195-1e3 sl=187", ["target 2 (1e3)", "exponents"]),
        ("AAPL 190 100 tp=195-198,5 sl=187", ["target 2 (198,5)", "a comma is not read"]),
        ("AAPL 190 100 tp=195 tp_count=2 sl=187", ["tp_count=2", "tp=195 names prices", "tp=auto tp_count=2"]),
        ("AAPL 190 100 tp=195 tp-1 sl=187", ["tp_count=1", "tp=195 names prices"]),
        ("AAPL 190 100 tp=auto tp_count=4 sl=187", ["tp_count=4", "at most 3 targets"]),
        ("AAPL 190 100 tp=auto tp_count=0 sl=187", ["tp_count=0"]),
        ("AAPL 190 100 tp-2 tp-3 sl=187", ["tp_count is given twice"]),
        ("AAPL 190 2 tp=195-198-205 sl=187", ["qty=2", "without a share", "fewer targets"]),
        ("AAPL 190 1 tp=195-198 sl=187", ["qty=1", "without a share"]),
        ("AAPL 190 100 tp=195 sl=187 tp_alloc=100", ["tp_alloc=100", "splits a ladder"]),
        ("AAPL 190 100 tp=195 sl=187 stop_updates=190", ["stop_updates=190", "a ladder"]),
        ("AAPL 190 100 tp=195 sl=187 cover=none", ["cover=none", "a ladder"]),
        ("AAPL 190 100 tp=195 sl_type=stop", ["sl_type=stop", "there is no sl="]),
        ("AAPL 190 100 tp=195 sl_offset=0.05", ["sl_offset=0.05", "there is no sl="]),
        ("AAPL 190 100 tpp=195", ["unknown key tpp", "did you mean tp?"]),
        ("AAPL 190 100 tp_aloc=50-30-20", ["unknown key tp_aloc", "did you mean tp_alloc?"]),
    ],
)  # fmt: skip
def test_what_makes_no_ladder_is_refused_in_one_line_that_says_what_is_wrong(
    line: str, said: list[str]
) -> None:
    with pytest.raises(OperatorError) as caught:
        planned(line)
    told = str(caught.value)
    assert "\n" not in told
    for words in said:
        assert words in told


def test_targets_that_the_grid_makes_equal_are_refused() -> None:
    with pytest.raises(OperatorError, match=r"tp2 195\.00 must lie above the tp1 195\.00"):
        planned("AAPL 190 100 tp=195.001-195.009-205 sl=187")


# --- whatever is accepted ---------------------------------------------------------------------------------------------

PRICES = st.integers(1800, 2200).map(lambda tenths: f"{Decimal(tenths) / 10}") | st.integers(
    180_000, 220_000
).map(lambda mills: f"{Decimal(mills) / 1000}")
RISING = st.lists(PRICES, min_size=6, max_size=6, unique_by=Decimal).map(
    lambda texts: sorted(texts, key=Decimal)
)
PARTS = st.lists(st.integers(1, 100), min_size=1, max_size=3) | st.sampled_from(
    ([70, 30], [60, 30, 10], [50, 30, 20], [34, 33, 33], [98, 1, 1])
)


def holds(plan: TradePlan) -> None:
    """Assert what is promised of every plan that is accepted."""
    shares = split(plan.qty, plan.parts) if plan.mode.is_detached else (plan.qty,)
    assert sum(shares) == plan.qty
    assert 0 not in shares
    assert plan.level is not None
    prices = [*([] if plan.sl is None else [plan.sl]), plan.level, *plan.tps]
    assert prices == sorted(set(prices))
    assert plan.mode.is_detached is (len(plan.tps) > 1)
    if plan.mode.is_detached:
        assert plan.sl is not None
        stops = [plan.sl, *plan.updates]
        assert stops == sorted(stops)
        assert len(stops) == len(plan.tps) == len(shares)
        assert all(stop < target for stop, target in zip(stops[1:], plan.tps, strict=False))


ODD = ("order", "stop", "parts", "updates", "mode")


@settings(max_examples=300)
@given(
    prices=RISING,
    picks=st.permutations(range(6)),
    targets=st.sampled_from([0, 1, 2, 2, 3, 3, 3, 4]),
    qty=st.integers(1, 300),
    parts=PARTS,
    updates=st.integers(1, 3),
    mode=st.sampled_from(["attached", "detached70", "detached"]),
    odd=st.sets(st.sampled_from(ODD), max_size=2),
)
def test_whatever_is_accepted_is_a_sound_ladder(
    prices: list[str],
    picks: list[int],
    targets: int,
    qty: int,
    parts: list[int],
    updates: int,
    mode: str,
    odd: set[str],
) -> None:
    chosen = [prices[i] for i in picks] if "order" in odd else prices
    start = 0 if "stop" in odd else 1  # without a stop the first price is the level
    level, tps = chosen[start], chosen[start + 1 : start + 1 + targets]
    line = f"AAPL {level} {qty}"
    line += f" tp={'-'.join(tps)}" if tps else ""
    line += f" sl={chosen[0]}" if start else ""
    line += f" tp_alloc={'-'.join(map(str, parts))}" if "parts" in odd else ""
    line += f" stop_updates={'-'.join(chosen[start : start + updates])}" if "updates" in odd else ""
    line += f" tp_exec={mode}" if "mode" in odd else ""
    try:
        plan = planned(line)
    except OperatorError as error:
        event("refused")
        is_one_line = "\n" not in str(error)
        assert is_one_line
        return
    event(f"accepted: {plan.mode.value}")
    holds(plan)


@given(
    qty=st.integers(3, 100_000),
    cents=st.lists(st.integers(1, 500), min_size=4, max_size=4),
    parts=st.none() | PARTS,
)
def test_a_sound_ladder_is_accepted(qty: int, cents: list[int], parts: list[int] | None) -> None:
    gaps = [Decimal(c) / 100 for c in cents]
    prices = [D(100), *(D(100) + sum(gaps[: n + 1], D(0)) for n in range(4))]
    chosen = parts if parts is not None and len(parts) == 3 and sum(parts) in (100, qty) else None
    assume(0 not in split(qty, chosen or (60, 30, 10)))
    line = f"AAPL {prices[1]} {qty} sl={prices[0]} tp={'-'.join(map(str, prices[2:]))}"
    plan = planned(line + (f" tp_alloc={'-'.join(map(str, chosen))}" if chosen else ""))
    assert plan.mode is ExitMode.DETACHED
    holds(plan)


# --- completion -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, offered",
    [
        ("tp_exec=", ["attached", "detached70", "detached"]),
        ("tp_exec=d", ["detached70", "detached"]),
        ("cover=", ["own", "none"]),
        ("stop_u", ["stop_updates="]),
    ],
)
def test_the_words_of_a_ladder_are_completed(text: str, offered: list[str]) -> None:
    found = complete(BREAKOUT_GRAMMAR, text, ("AAPL", "190", "100"), None)
    assert not isinstance(found, str)
    assert [offer.display for offer in found] == offered


@pytest.mark.parametrize(
    "targets, offered",
    [
        ("tp=195-198", ["70-30"]),
        ("tp=195-198-205", ["60-30-10", "50-30-20"]),
        ("", ["70-30", "60-30-10", "50-30-20"]),
    ],
)
def test_splits_that_fit_the_targets_are_offered_and_accepted(targets: str, offered: list[str]) -> None:
    before = ("AAPL", "190", "100", *([targets] if targets else []))
    found = complete(BREAKOUT_GRAMMAR, "tp_alloc=", before, None)
    assert not isinstance(found, str)
    assert [offer.display for offer in found] == offered
    for offer in found if targets else ():
        holds(planned(f"AAPL 190 100 sl=187 {targets} {offer.text}"))


def test_keys_that_begin_alike_are_offered_together() -> None:
    found = complete(BREAKOUT_GRAMMAR, "tp", ("AAPL", "190", "100"), None)
    assert not isinstance(found, str)
    assert {offer.text for offer in found} == {
        "tp=",
        "tp_count=",
        "tp-1",
        "tp-2",
        "tp-3",
        "tp_exec=",
        "tp_alloc=",
    }
