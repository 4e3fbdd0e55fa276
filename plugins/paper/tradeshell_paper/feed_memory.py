"""Markets from memory: bars that exist already (benchmarks, tests), and scripts of single events (tests).

Laws: ready-made bars are shared, not copied; each symbol and length must be in time order. A script's bars, quotes, prints and
halts may come in any order of kinds, each kind in time order. The clock starts with the first of them, or where ``--from`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from tradeshell import Bar, DataError, Quote
from tradeshell_paper.calendar import new_york_day
from tradeshell_paper.market import FixedMarket, parse_start
from tradeshell_paper.series import BarList, Prints, Touches, to_ms
from tradeshell_paper.settings import Halt, Print
from tradeshell_paper.tape import Tape


def memory_market(bars: Sequence[Bar], start: str | None) -> FixedMarket:
    """Return a market that plays ``bars``."""
    return _market(
        (*_tapes_of_bars(bars, {}).values(),), min(bar.start for bar in bars), start, "bars from memory"
    )


def script_market(script: Iterable[Any], start: str | None) -> FixedMarket:
    """Return a market that plays ``Bar``, ``Quote``, ``Print`` and ``Halt`` objects."""
    events = tuple(script)
    tapes = _tapes_of_bars([event for event in events if isinstance(event, Bar)], {})
    first: list[datetime] = []
    for event in events:
        if isinstance(event, Bar):
            first.append(event.start)
            continue
        tape = tapes.setdefault(event.symbol, Tape(event.symbol, in_force=False))
        first.append(event.at)
        if isinstance(event, Quote):
            _add_quote(tape, event)
        elif isinstance(event, Print):
            tape.prints = Prints(event.symbol) if tape.prints is None else tape.prints
            _must_rise(tape.symbol, tape.prints.ms[-1:], to_ms(event.at))
            tape.prints.append(event.at, event.price, event.size)
        elif isinstance(event, Halt):
            tape.halts.append((event.at, event.on))
    return _market(tuple(tapes.values()), min(first), start, "a script")


def _add_quote(tape: Tape, quote: Quote) -> None:
    tape.touches = Touches(quote.symbol) if tape.touches is None else tape.touches
    tape.in_force = quote.in_force
    _must_rise(tape.symbol, tape.touches.ms[-1:], to_ms(quote.at))
    tape.touches.append(to_ms(quote.at), quote.bid, quote.ask, quote.bid_size, quote.ask_size)


def _must_rise(symbol: str, last: Sequence[int], ms: int) -> None:
    if len(last) and ms < last[0]:
        raise DataError(f"{symbol}: the events of a market from memory must be in time order")


def _tapes_of_bars(bars: Sequence[Bar], tapes: dict[str, Tape]) -> dict[str, Tape]:
    sorted_out: dict[tuple[str, int], list[Bar]] = {}
    for bar in bars:
        sorted_out.setdefault((bar.symbol, bar.seconds), []).append(bar)
    for (symbol, seconds), series in sorted_out.items():
        if any(later.start <= earlier.start for earlier, later in pairwise(series)):
            raise DataError(f"{symbol}: the {seconds} s bars of a market from memory must be in time order")
        tapes.setdefault(symbol, Tape(symbol, in_force=True)).bars[seconds] = BarList(series)
    return tapes


def _market(tapes: Sequence[Tape], first: datetime, start: str | None, words: str) -> FixedMarket:
    at = first if start is None else parse_start(start, new_york_day(first))
    # Milliseconds are the finest the tape knows.
    at -= timedelta(microseconds=at.microsecond % 1000)
    return FixedMarket({tape.symbol: tape for tape in tapes}, at, words)
