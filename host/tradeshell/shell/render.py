"""Records, answers and errors as text or JSON. Pure: text in, text out.

Laws: nothing is cut off silently: what does not fit is wrapped. Text that came from a broker, a file or a plugin cannot steer the
terminal: control characters become ``?``. Colour says mode, gain or loss, and alarm, nothing else. Times are New York.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from rich.cells import cell_len

from tradeshell.core.events import Weight
from tradeshell.grammar import Answer, Figure, Table
from tradeshell.ports import Record
from tradeshell.words import masked

NARROW, WIDE = 80, 160  # columns between which tables are fitted
FALLBACK_HEIGHT = 30  # rows, where there is no terminal
LEAST_TALL, TALLEST = 14, 32  # rows of a picture
SYMBOL_WIDTH = 5
LABEL_WIDTH = 9
LEAST_COLUMN = 8  # a column of words is not squeezed below this

RESET = "\x1b[0m"
GREEN = "\x1b[32m"
RED = "\x1b[31m"
ALARM = "\x1b[1;31m"
BOLD = "\x1b[1m"
DIM = "\x1b[2m"
_WEIGHTS = {Weight.NOTE: "", Weight.GOOD: GREEN, Weight.BAD: RED, Weight.ALARM: ALARM}
_STYLES = {"": "", "good": GREEN, "bad": RED, "strong": BOLD, "dim": DIM}
_GAIN = re.compile(r"\+[0-9]")
_LOSS = re.compile(r"[-−][0-9]")  # a typeset minus sign is meant


class Screen(NamedTuple):
    """What text is made for. ``width`` columns for tables; ``wrap``: lines are wrapped to it; ``colour``: ANSI styles.

    ``height`` is for pictures.
    """

    width: int
    wrap: bool
    colour: bool
    height: int = 24


def clean(text: str) -> str:
    """Return ``text`` without anything that could steer a terminal: one line, printable characters only."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in text)


def styled(text: str, style: str, screen: Screen) -> str:
    """Return ``text`` in ``style`` where colour is wanted."""
    return f"{style}{text}{RESET}" if style and screen.colour and text else text


@lru_cache(maxsize=1)
def new_york() -> ZoneInfo:
    """Return the time zone of the exchanges."""
    return ZoneInfo("America/New_York")


def clock(at: datetime) -> str:
    """Return the New York time of day: ``09:42:00``."""
    return f"{at.astimezone(new_york()):%H:%M:%S}"


def day(at: datetime) -> date:
    """Return the New York date."""
    return at.astimezone(new_york()).date()


# --- lines ------------------------------------------------------------------------------------------------------------


def wrapped(line: str, width: int, indent: int) -> list[str]:
    """Return ``line`` broken at blanks into lines of at most ``width`` cells, later ones indented; long words are broken."""
    lines: list[str] = []
    indent = max(
        0, min(indent, width // 2, width - 2)
    )  # a character may take two cells: each line takes at least one
    while cell_len(line) > width:
        head = _head(line, width)
        floor = len(line) - len(line.lstrip()) if not lines else indent
        cut = head.rfind(" ", floor + 1)
        if len(line) > len(head) and line[len(head)] == " ":
            cut = len(head)
        if cut <= floor:
            cut = len(head)
        lines.append(line[:cut].rstrip())
        line = " " * indent + line[cut:].lstrip()
    lines.append(line)
    return lines


def _head(text: str, width: int) -> str:
    """Return as much of ``text`` as fits into ``width`` cells, at least one character."""
    head = text[:width]
    while len(head) > 1 and cell_len(head) > width:
        head = head[:-1]
    return head


def _fold(text: str, indent: int, screen: Screen) -> str:
    return "\n".join(wrapped(text, screen.width, indent)) if screen.wrap else text


def event_line(record: Record, screen: Screen) -> str | None:
    """Return the narrative line of a record, or ``None`` when the event is for the log only."""
    event = record.event
    story = event.story()
    if story is None:
        return None
    symbol = "" if event.symbol is None else f"{clean(event.symbol):<{SYMBOL_WIDTH}} "
    label = f"{clean(event.label()):<{LABEL_WIDTH}} "
    head = f"{clock(record.ts)} {symbol}{label}"
    text = _fold(head + clean(story), len(head), screen)
    style = _WEIGHTS[event.how()]
    # The time stays plain: colour belongs to what happened.
    return text[:9] + styled(text[9:], style, screen)


def error_line(message: str, screen: Screen) -> str:
    """Return an error as one red line (folded on a terminal that is narrower)."""
    return styled(_fold(clean(message), 2, screen), RED, screen)


# --- answers ----------------------------------------------------------------------------------------------------------


def answer_text(lines: Sequence[str | Table | Figure], screen: Screen) -> str:
    """Return an answer's lines and tables as text without a final newline."""
    out: list[str] = []
    for line in lines:
        if isinstance(line, Table):
            out += table_lines(line, screen)
            continue
        if isinstance(line, Figure):
            out += _figure_lines(line, screen)
            continue
        for part in line.split("\n"):
            text = clean(part)
            indent = len(text) - len(text.lstrip()) + 2
            out.append(_fold(text, indent, screen))
    return "\n".join(out)


def _figure_lines(figure: Figure, screen: Screen) -> list[str]:
    """Return a picture's lines, drawn for the screen."""
    return [
        "".join(styled(clean(span.text), _STYLES[span.style], screen) for span in line).rstrip()
        for line in figure.draw(min(WIDE, screen.width), min(TALLEST, max(LEAST_TALL, screen.height)))
    ]


def table_lines(table: Table, screen: Screen) -> list[str]:
    """Return a table fitted to the screen: wide gaps if there is room, else narrow ones and words wrapped inside columns."""
    rows = [tuple(clean(cell) for cell in row) for row in table.rows]
    header = tuple(column.name for column in table.columns)
    rights = tuple(column.right for column in table.columns)
    natural = [max(map(cell_len, cells)) for cells in zip(header, *rows, strict=True)]
    width = max(NARROW, min(WIDE, screen.width))
    gap = 3 if 2 + sum(natural) + 3 * (len(natural) - 1) <= width else 2
    longest = [
        max(cell_len(word) for cell in cells for word in cell.split() or [""])
        for cells in zip(header, *rows, strict=True)
    ]
    widths = _fit(natural, longest, rights, width - 2 - gap * (len(natural) - 1))
    if widths is None:
        return _stacked(header, rows, width)
    out = [styled(line, DIM, screen) for line in _row(header, widths, rights, gap, None)]
    for row in rows:
        out += _row(row, widths, rights, gap, screen)
    return out


def _fit(
    natural: Sequence[int], longest: Sequence[int], rights: Sequence[bool], room: int
) -> list[int] | None:
    """Return column widths whose sum is at most ``room``; only columns of words give way, the widest first, words last."""
    widths = list(natural)
    for floors in ([max(LEAST_COLUMN, word) for word in longest], [LEAST_COLUMN] * len(longest)):
        while sum(widths) > room:
            loose = [i for i, right in enumerate(rights) if not right and widths[i] > floors[i]]
            if not loose:
                break
            widest = max(loose, key=lambda i: widths[i])
            widths[widest] -= 1
    return widths if sum(widths) <= room else None


def _row(
    cells: Sequence[str], widths: Sequence[int], rights: Sequence[bool], gap: int, screen: Screen | None
) -> list[str]:
    parts = [wrapped(cell, width, 0) for cell, width in zip(cells, widths, strict=True)]
    out = []
    for number in range(max(map(len, parts))):
        line = []
        for part, width, right in zip(parts, widths, rights, strict=True):
            text = part[number] if number < len(part) else ""
            pad = " " * (width - cell_len(text))
            line.append(pad + _tinted(text, screen) if right else _tinted(text, screen) + pad)
        out.append(("  " + (" " * gap).join(line)).rstrip())
    return out


def _tinted(text: str, screen: Screen | None) -> str:
    if screen is None or not screen.colour:
        return text
    style = GREEN if _GAIN.match(text) else RED if _LOSS.match(text) else ""
    return styled(text, style, screen)


def _stacked(header: Sequence[str], rows: Iterable[Sequence[str]], width: int) -> list[str]:
    """Return each row as one folded line of ``name value`` pairs, for tables that no terminal of this width can hold."""
    out: list[str] = []
    for row in rows:
        text = " · ".join(f"{name} {cell}".strip() for name, cell in zip(header, row, strict=True) if cell)
        out += wrapped("  " + text, width, 4)
    return out


# --- JSON -------------------------------------------------------------------------------------------------------------


def _plain(thing: Any) -> Any:
    """Turn what msgspec does not know into text; a plugin may put anything into its data."""
    return str(thing)


def _json(thing: dict[str, Any]) -> str:
    """Return an object as one line; what could steer a terminal that shows it is escaped, which JSON reads as the same."""
    text = msgspec.json.encode(thing, enc_hook=_plain).decode()
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def event_json(record: Record) -> str:
    """Return a record as one flat JSON object: its envelope, then the event's fields that are set. Accounts are masked."""
    fields = msgspec.to_builtins(record.event, enc_hook=_plain)
    if isinstance(account := fields.get("account"), str):
        fields["account"] = masked(account)
    out = {
        "v": record.v,
        "seq": record.seq,
        "ts": record.ts,
        "mono": record.mono,
        "session": record.session,
        **{name: value for name, value in fields.items() if value is not None},
    }
    return _json(out)


def answer_data(answer: Answer) -> Any:
    """Return an answer's data for scripts; without any, its lines and tables take the place."""
    if answer.data is not None or not answer.lines:
        return answer.data
    found: list[Any] = []
    for line in answer.lines:
        if isinstance(line, Table):
            names = [column.name for column in line.columns]
            found += [dict(zip(names, row, strict=True)) for row in line.rows]
        elif isinstance(line, str):
            found.append(line)
    return {"lines": found}


def result_json(line: str, *, ok: bool, data: Any, error: str | None) -> str:
    """Return the outcome of one command line as one JSON object."""
    return _json({"result": line, "ok": ok, "data": data, "error": error})
