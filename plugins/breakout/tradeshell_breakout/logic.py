"""The breakout rule, pure: close at or above the level; a fast bar's close at or above the level and a buffer.

Bars come closed, each once, in order.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from tradeshell import Bar, Price, PriceGrid

FAST_PART = Decimal(
    "0.0005"
)  # of the level: the buffer above it that a fast close has to reach, at least one tick


class BreakoutState(Struct, frozen=True):
    """What a watcher remembers: whether the level was touched, and how many slow bars it has counted (only with ``max_bars``)."""

    touched: bool = False
    bars: int = 0


class Reading(Struct, frozen=True):
    """What one bar means."""

    state: BreakoutState
    first_touch: bool = False
    broke_out: bool = False
    gave_up: bool = False


QUIET_STATE = BreakoutState()


def read_bar(state: BreakoutState, bar: Bar, level: Price, max_bars: int | None) -> Reading | None:
    """Return what ``bar`` means against ``level`` (USD), or ``None`` when it does not matter."""
    touches = bar.high >= level
    if max_bars is None and (not touches or (state.touched and bar.close < level)):
        return None
    first = touches and not state.touched
    after = replace(state, touched=state.touched or touches, bars=state.bars + (max_bars is not None))
    broke_out = bar.close >= level
    gave_up = not broke_out and max_bars is not None and after.bars >= max_bars
    return Reading(after, first, broke_out, gave_up)


def fast_level(level: Price, grid: PriceGrid, buffer: Price | None) -> Price:
    """Return the close (USD, on the grid) from which a fast bar enters; without a ``buffer`` of one's own the default."""
    return grid.up(level + (max(grid.increment(level), level * FAST_PART) if buffer is None else buffer))


def read_fast_bar(state: BreakoutState, bar: Bar, level: Price, enters_at: Price) -> Reading | None:
    """Return what a fast bar means that enters when it closes at or above ``enters_at`` (USD); ``None``: it does not matter."""
    if bar.high < level or (state.touched and bar.close < enters_at):
        return None
    after = state if state.touched else replace(state, touched=True)
    return Reading(after, first_touch=not state.touched, broke_out=bar.close >= enters_at)
