"""A breakout's words made into a plan, as `breakout` and `plan` do it."""

from __future__ import annotations

from tradeshell import US_STOCK_GRID, TradePlan, check_plan, put_on_grid
from tradeshell.grammar import parse
from tradeshell_breakout.grammar import BREAKOUT_GRAMMAR
from tradeshell_breakout.policy import trade_plan


def planned(line: str) -> TradePlan:
    """Return the checked plan of the words behind `breakout`, on the grid; raises ``OperatorError`` as the command does."""
    words = parse("breakout", BREAKOUT_GRAMMAR, line.split())
    plan = trade_plan(words, {}, "DU…0001")
    check_plan(plan)
    plan = put_on_grid(plan, US_STOCK_GRID)
    check_plan(plan)
    return plan
