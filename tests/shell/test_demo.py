"""The demo tells the story of a ladder, by itself, on a market that nobody arranged."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tradeshell import demo
from tradeshell.testing import Runner, open_shell


@cache
def told(seed: int) -> str:
    """Return what the demo prints for a seed."""
    market = f"{demo.SYMBOL}={demo.price_of(seed)}"
    with open_shell(f"--speed max --seed {seed} --market {market}") as shell:
        runner = Runner(shell)
        return "".join(runner.run(line).assert_ok().text for line in demo.script(seed))


def in_order(text: str, *patterns: str) -> None:
    """Assert that the patterns are found one after the other."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern).search(text, at)
        assert found is not None, f"{pattern!r} does not follow in:\n{text}"
        at = found.end()


def test_the_usual_demo_tells_the_whole_story() -> None:
    text = told(1)
    in_order(
        text,
        r"armed +br-\w+ · detached 60/30/10",
        r"trigger +close",
        r"entry +filled 100",
        r"sl[123] +SELL",
        r"protected 100 %",
        r"tp1 +filled 60",
        r"sl[23] +stands at",
        r"tp2 +filled 30",
        r"sl3 +stands at",
        r"closed +100 shares",
        r"stopped +br-\w+ · the trade is closed",
        r"no order is working",
        r"no position",
    )
    assert text.count("milestone") == 2


@pytest.mark.parametrize("seed", range(2, 12))
def test_another_seed_tells_another_story_and_ends_well(seed: int) -> None:
    text = told(seed)
    assert text != told(1)
    in_order(text, r"stopped +br-", r"no order is working", r"no position")
    assert "UNPROTECTED" not in text


def test_stories_differ() -> None:
    milestones = {told(seed).count("milestone") for seed in range(1, 12)}
    assert milestones >= {0, 2}


def test_the_demo_takes_a_minute_at_most() -> None:
    day = 6.5 * 3600
    assert day / float(demo.SPEED) < 60
