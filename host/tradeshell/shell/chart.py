"""Bars and prices as a picture of characters. Pure.

Laws: the picture fits the width and height it is given, and says the same without colour: rising bars are full, falling ones are
shaded, every line has its price and its name at the right. A price too far away to be drawn beside the bars is named above the
picture, never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from msgspec import Struct
from rich.cells import cell_len

from tradeshell.core.events import money
from tradeshell.core.market import Bar, Price, Shares
from tradeshell.core.orders import Side
from tradeshell.grammar import Span
from tradeshell.shell.render import new_york, wrapped

RISING, FALLING, FLAT, WICK = "█", "▒", "┼", "│"
BOUGHT, SOLD = "▲", "▼"
STROKES = {"level": "╌", "entry": "─"}  # all others are exits
EXIT = "┄"
LEGEND = f"{RISING} rising  {FALLING} falling  {BOUGHT} bought  {SOLD} sold"
FARTHEST = 1  # a price so many heights of the bars away is still drawn
WIDEST_LABEL = 30
LEAST_ROWS = 6
MINUTES = (5, 10, 15, 30, 60, 120, 240, 480, 1440)


class Mark(Struct, frozen=True, kw_only=True):
    """A price that matters: ``level``, ``entry``, ``tp1``, ``sl1`` …; USD. ``planned``: no order of it works yet."""

    what: str
    price: Price
    qty: Shares | None = None
    planned: bool = False
    trade: str = ""


class Fill(Struct, frozen=True, kw_only=True):
    """An execution: when, what, at which price (USD)."""

    at: datetime
    leg: str
    side: Side
    qty: Shares
    price: Price
    trade: str | None = None


class Chart(Struct, frozen=True, kw_only=True):
    """What is drawn, and what scripts get."""

    symbol: str
    seconds: int
    bars: tuple[Bar, ...]
    marks: tuple[Mark, ...] = ()
    fills: tuple[Fill, ...] = ()
    bid: Price | None = None
    ask: Price | None = None


class _Scale(NamedTuple):
    """Prices onto rows: row 0 is the highest price."""

    high: Price
    low: Price
    rows: int

    def row(self, price: Price) -> int:
        """Return the row of a price."""
        return round((self.high - price) / (self.high - self.low) * (self.rows - 1))

    def holds(self, price: Price) -> bool:
        """Return whether a price lies within."""
        return self.low <= price <= self.high


def draw(chart: Chart, width: int, height: int) -> tuple[tuple[Span, ...], ...]:
    """Return the picture's lines for ``width`` columns and about ``height`` rows; ``chart`` has a bar at least."""
    rows = max(LEAST_ROWS, height - 4)  # head, times and legend, and a line to spare
    labels = _labels(chart.marks)
    label_width = min(WIDEST_LABEL, width // 3, max((cell_len(text) for _, text in labels), default=0))
    # The axis takes room from the bars, and the bars say what stands at the axis.
    bars, scale = chart.bars, _scale(chart.bars, chart, rows)
    axis = room = 0
    for _ in range(2):
        axis = max((axis, *(len(money(price)) for price in _ticks(scale))))
        room = max(1, width - axis - label_width - 5)
        bars = chart.bars[-room:]
        scale = _scale(bars, chart, rows)
    step = 2 if len(bars) * 2 <= room else 1
    columns = len(bars) * step
    cells = [[Span(" ")] * columns for _ in range(rows)]
    shown = [(price, text) for price, text in labels if scale.holds(price)]
    for mark in sorted(chart.marks, key=lambda mark: mark.what in STROKES):
        if scale.holds(mark.price):
            stroke = Span(STROKES.get(mark.what, EXIT), "dim")
            cells[scale.row(mark.price)] = [stroke] * columns
    for number, bar in enumerate(bars):
        _put_bar(cells, number * step, bar, scale)
    for fill in chart.fills:
        _put_fill(cells, bars, step, fill, scale)
    ticks = {scale.row(price): money(price) for price in _ticks(scale)}
    axis = max((axis, *map(len, ticks.values())))
    beside, without = _placed(shown, scale, label_width)
    told = (_head(chart, bars), _elsewhere(labels, scale, without))
    out: list[tuple[Span, ...]] = [(Span(part),) for line in told if line for part in wrapped(line, width, 4)]
    for number, row in enumerate(cells):
        left = Span(f"{ticks.get(number, ''):>{axis}} {'┤' if number in ticks else '│'}", "dim")
        out.append((Span("  "), left, *_joined(row), Span(f" {beside.get(number, '')}".rstrip())))
    out.append((Span(" " * (axis + 4) + _times(bars, step), "dim"),))
    out.append((Span(f"  {LEGEND}", "dim"),))
    return tuple(tuple(_cut(line, width)) for line in out)


def _head(chart: Chart, bars: Sequence[Bar]) -> str:
    first, last = bars[0], bars[-1]
    begin, end = (at.astimezone(new_york()) for at in (first.start, last.end))
    day = "%H:%M" if begin.date() == end.date() else "%m-%d %H:%M"
    parts = [chart.symbol, f"{length(chart.seconds)} bars", f"{begin:{day}} – {end:{day}}"]
    parts.append(f"close {money(last.close)}")
    if chart.bid is not None and chart.ask is not None:
        parts.append(f"bid {money(chart.bid)} ask {money(chart.ask)}")
    return " · ".join(parts)


def length(seconds: int) -> str:
    """Return a bar's length as operators type it: ``1m``, ``5s``."""
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _labels(marks: Iterable[Mark]) -> list[tuple[Price, str]]:
    """Return a label for each price, highest first: ``100.05 level sl2 sl3``; what is planned stands in brackets."""
    named: dict[Price, list[str]] = {}
    for mark in marks:
        name = f"({mark.what})" if mark.planned else mark.what
        names = named.setdefault(mark.price, [])
        if name not in names:
            names.append(name)
    return [
        (price, f"{money(round(price, 4))} {' '.join(names)}")
        for price, names in sorted(named.items(), reverse=True)
    ]


def _scale(bars: Sequence[Bar], chart: Chart, rows: int) -> _Scale:
    """Return a scale that shows the bars, and the prices that are not too far from them."""
    low, high = min(bar.low for bar in bars), max(bar.high for bar in bars)
    least = high / 500 or Decimal(1)
    reach = max(high - low, least) * FARTHEST
    near = [mark.price for mark in chart.marks if low - reach <= mark.price <= high + reach]
    near += [fill.price for fill in chart.fills if bars[0].start <= fill.at]
    low, high = min((low, *near)), max((high, *near))
    if high - low < least:
        middle = (high + low) / 2
        low, high = middle - least / 2, middle + least / 2
    return _Scale(high, low, rows)


def _elsewhere(labels: Iterable[tuple[Price, str]], scale: _Scale, without: Sequence[str]) -> str:
    """Return a line that names the prices beyond the picture, and those that had no room beside it."""
    above = [text for price, text in labels if price > scale.high]
    below = [text for price, text in labels if price < scale.low]
    parts = [f"above: {', '.join(above)}"] if above else []
    parts += [f"below: {', '.join(below)}"] if below else []
    parts += [f"also: {', '.join(without)}"] if without else []
    return f"  {' · '.join(parts)}" if parts else ""


def _put_bar(cells: list[list[Span]], column: int, bar: Bar, scale: _Scale) -> None:
    style = "good" if bar.close > bar.open else "bad" if bar.close < bar.open else ""
    body = RISING if bar.close > bar.open else FALLING if bar.close < bar.open else FLAT
    for row in range(scale.row(bar.high), scale.row(bar.low) + 1):
        cells[row][column] = Span(WICK, style)
    ends = sorted((scale.row(bar.open), scale.row(bar.close)))
    for row in range(ends[0], ends[1] + 1):
        cells[row][column] = Span(body, style)


def _put_fill(cells: list[list[Span]], bars: Sequence[Bar], step: int, fill: Fill, scale: _Scale) -> None:
    """Put a fill at its bar; one that is newer than the last closed bar at the last one."""
    found = [number for number, bar in enumerate(bars) if bar.start <= fill.at]
    if found and scale.holds(fill.price):
        mark = BOUGHT if fill.side is Side.BUY else SOLD
        cells[scale.row(fill.price)][found[-1] * step] = Span(mark, "strong")


def _placed(
    labels: Sequence[tuple[Price, str]], scale: _Scale, width: int
) -> tuple[dict[int, str], tuple[str, ...]]:
    """Return the labels by row, and those without room; one whose row is taken goes to a free row next to it."""
    found: dict[int, str] = {}
    without = []
    for price, text in labels:
        row = scale.row(price)
        free = next((r for r in (row, row + 1, row - 1) if r not in found and 0 <= r < scale.rows), None)
        if free is not None:
            found[free] = text if cell_len(text) <= width else text.partition(" ")[0][:width]
        if free is None or found[free] != text:
            without.append(text)
    return found, tuple(without)


def _ticks(scale: _Scale) -> Iterable[Price]:
    """Return round prices for the axis, about one in four rows."""
    span = scale.high - scale.low
    wanted = span / max(4, scale.rows // 4)
    unit = Decimal(1).scaleb(wanted.adjusted())
    size = next(unit * n for n in (Decimal(1), Decimal(2), Decimal(5), Decimal(10)) if unit * n >= wanted)
    price = (scale.low / size).to_integral_value(rounding="ROUND_CEILING") * size
    while price <= scale.high:
        yield price
        price += size


def _times(bars: Sequence[Bar], step: int) -> str:
    """Return the line of times: round ones, and the date where a day begins that is not the first."""
    minutes = next((m for m in MINUTES if m * 60 / bars[0].seconds * step >= 9), MINUTES[-1])
    out = ""
    day = bars[0].start.astimezone(new_york()).date()
    for number, bar in enumerate(bars):
        at = bar.start.astimezone(new_york())
        text = ""
        if at.date() != day:
            day, text = at.date(), f"{at:%m-%d}"
        elif (at.hour * 60 + at.minute) % minutes == 0 and at.second == 0:
            text = f"{at:%H:%M}"
        if text and len(out) <= number * step and number * step + len(text) <= len(bars) * step:
            out = f"{out:<{number * step}}{text} "
    return out.rstrip()


def _cut(line: Iterable[Span], width: int) -> Iterator[Span]:
    """Yield a line's spans as far as they fit: on a screen that is narrower than any chart."""
    for span in line:
        yield Span(span.text[:width], span.style)
        width = max(0, width - len(span.text))


def _joined(row: Iterable[Span]) -> list[Span]:
    """Return a row with neighbours of one style made one."""
    out: list[Span] = []
    for span in row:
        if out and out[-1].style == span.style:
            out[-1] = Span(out[-1].text + span.text, span.style)
        else:
            out.append(span)
    return out
