"""The breakout rule, pure: close at or above the level. Bars come closed, each once, in order."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from tradeshell import Bar, Price


class BreakoutState(Struct, frozen=True):
    """What a watcher remembers: whether the level was touched, and how many bars it has counted (only with ``max_bars``)."""

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
