"""The replay: recorded files of several days, symbols and resolutions, as one market.

Laws: every file is read and checked before the clock starts; files that contradict each other are refused; the finest recorded
trades decide fills wherever they reach, coarser bars are then only for those who watch bars; likewise the finest quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

from tradeshell import ConfigError, DataError
from tradeshell_paper.calendar import Hours, new_york_day, session_on
from tradeshell_paper.market import FixedMarket, parse_start
from tradeshell_paper.recorded import Recording, read_recording
from tradeshell_paper.series import BarColumns, Prints, Span, Touches, Trades, from_ms
from tradeshell_paper.tape import Tape, bucket_start

_SECOND = timedelta(seconds=1)


def replay_market(files: Sequence[Path], start: str | None) -> FixedMarket:
    """Return the market of ``files``; raises ``DataError`` for what is wrong with one of them."""
    recordings = sorted(
        (read_recording(path) for path in files), key=lambda r: (r.span.first, r.seconds, str(r.path))
    )
    symbols = sorted({recording.symbol for recording in recordings})
    tapes = {symbol: _tape(symbol, [r for r in recordings if r.symbol == symbol]) for symbol in symbols}
    first, last = new_york_day(recordings[0].span.first), new_york_day(max(r.span.last for r in recordings))
    days = f"{first}" if first == last else f"{first} to {last}"
    words = f"replay of {len(recordings)} {'file' if len(recordings) == 1 else 'files'}, {' '.join(symbols)}, {days}"
    market = FixedMarket(tapes, _start(start, recordings[0].span.first), words)
    if new_york_day(market.start) < first:
        raise DataError(f"--from {start}: the recording begins on {first}, with {recordings[0].path}")
    if market.start >= market.end:
        raise ConfigError(f"--from {start}: the recording ends at {market.end:%Y-%m-%d %H:%M} UTC")
    return market


def _start(text: str | None, first: datetime) -> datetime:
    day = new_york_day(first)
    if text is not None:
        return parse_start(text, day)
    session = session_on(day)
    return first if session is None else session.open


def _tape(symbol: str, recordings: list[Recording]) -> Tape:
    tape = Tape(symbol, in_force=True)
    trades = [r for r in recordings if r.touches is None]
    if not trades:
        raise DataError(
            f"{recordings[0].path}: quotes without trades of {symbol}; give {symbol}_…_trades.csv of its days too"
        )
    for seconds in sorted({r.seconds for r in trades}):
        same = [r for r in trades if r.seconds == seconds]
        _refuse_overlaps(same)
        finer = [r.span for r in trades if r.seconds < seconds]
        if seconds == 0:
            tape.prints = Prints(symbol)
            for recording in same:
                assert recording.prints is not None
                tape.prints.extend(recording.prints)
            continue
        columns = _joined(symbol, seconds, [r.bars for r in same if r.bars is not None])
        columns = _with_missing_days(columns, [r for r in trades if r.seconds < seconds])
        columns.finer = finer
        tape.bars[seconds] = columns
    quotes = [r for r in recordings if r.touches is not None]
    if quotes:
        tape.touches = _touches(symbol, quotes)
    return tape


def _refuse_overlaps(recordings: list[Recording]) -> None:
    for earlier, later in pairwise(recordings):
        if later.span.first < earlier.span.last:
            raise DataError(
                f"{later.path} row 2: begins before {earlier.path} ends; give each day of a symbol once"
            )


def _joined(symbol: str, seconds: int, parts: Iterable[BarColumns]) -> BarColumns:
    columns = BarColumns(symbol, seconds)
    for part in parts:
        columns.extend(part)
    return columns


def _with_missing_days(columns: BarColumns, finer: list[Recording]) -> BarColumns:
    """Return the bars with those of days that were recorded in finer trades only: a stream must not have a hole of a day."""
    there = {new_york_day(columns.start(row)) for row in range(len(columns))}
    parts = [columns]
    for recording in finer:
        source: Trades | None = recording.bars if recording.bars is not None else recording.prints
        day = new_york_day(recording.span.first)
        if source is not None and day not in there:
            there.add(day)
            parts.append(_bars_from(source, columns.seconds))
    if len(parts) == 1:
        return columns
    parts.sort(key=lambda part: part.ms[0])
    return _joined(columns.symbol, columns.seconds, parts)


def _bars_from(source: Trades, seconds: int) -> BarColumns:
    columns, hours, row = BarColumns(source.symbol, seconds), Hours(), 0
    while row < len(source):
        start = bucket_start(source.start(row), seconds, hours)
        after = source.find(start + seconds * _SECOND)
        columns.append(source.merge(row, after, start, seconds))
        row = after
    return columns


def _touches(symbol: str, recordings: list[Recording]) -> Touches:
    """Return all quotes in time order, coarser ones only where no finer recording reaches."""
    rows: list[tuple[int, int, int]] = []
    spans: list[Span] = []
    sources: list[Touches] = []
    for seconds in sorted({r.seconds for r in recordings}):
        same = [r for r in recordings if r.seconds == seconds]
        _refuse_overlaps(same)
        for recording in same:
            assert recording.touches is not None
            number = len(sources)
            sources.append(recording.touches)
            rows += [
                (ms, -number, row)
                for row, ms in enumerate(recording.touches.ms)
                if not any(span.first <= from_ms(ms) < span.last for span in spans)
            ]
        spans += [r.span for r in same]
    rows.sort()  # at one instant the finest comes last, and counts
    touches = Touches(symbol)
    for _, number, row in rows:
        touches.extend(sources[-number], (row,))
    return touches
