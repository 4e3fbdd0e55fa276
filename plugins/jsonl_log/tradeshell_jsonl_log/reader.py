"""Reading the log: its records in order, over all its files, and nothing that is not as it was written.

Laws: a file is read up to its first damaged line and no further; reading never changes a file, waits for nobody and may happen
while the log is written; memory holds one line at a time. For people and tools: no recovery reads the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from tradeshell import DataError
from tradeshell_jsonl_log.files import refusals, rotated
from tradeshell_jsonl_log.lines import good_lines, parsed


class Damage(Struct, frozen=True):
    """What is wrong with a log: the file, its last good line (0: none), how many bytes follow it, in words."""

    path: Path
    line: int
    lost: int
    words: str


def files(path: Path) -> tuple[Path, ...]:
    """Return the files of the log at ``path``, oldest first; raises ``StateError``."""
    with refusals(path):
        running = (path,) if path.exists() else ()
        return (*(rotated(path) if path.parent.exists() else ()), *running)


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of one log file, oldest first; a line that is still being written ends it quietly.

    Raises ``DataError`` at the first damaged line, ``StateError`` when the file cannot be opened.
    """
    damage: list[Damage] = []
    yield from _records(path, damage.append, None)
    if damage and b"\n" in _behind(path, damage[0].lost):
        raise DataError(f"event log {path} line {damage[0].line + 1}: {damage[0].words}")


def read_all(
    path: Path, tell: Callable[[Damage], None] | None = None, holding: tuple[bytes, ...] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the records of the log at ``path`` over all its files, oldest first; a damaged rest of a file is told and left out.

    ``holding``: only records whose line holds one of these texts. Raises ``StateError`` when a file cannot be opened.
    """
    hear = tell or _unheard
    for each in files(path):
        yield from _records(each, hear, holding)


def _unheard(damage: Damage) -> None:
    """Take damage for a reader that wants to know of none."""
    del damage


def _records(
    path: Path, hear: Callable[[Damage], None], holding: tuple[bytes, ...] | None
) -> Iterator[dict[str, Any]]:
    """Yield the records of the good beginning of a file, and tell what follows it."""
    read = count = 0
    expected: int | None = None
    why = "it is damaged · the lines before it are good"
    with refusals(path), path.open("rb") as file:
        for line, _ in good_lines(file):
            if holding is None or any(text in line for text in holding):
                try:
                    record = parsed(line)
                except (ValueError, KeyError, TypeError) as error:
                    why = f"it is no record ({error})"
                    break
                if holding is None and expected not in (None, record["seq"]):
                    why = f"number {record['seq']} where {expected} belongs"
                    break
                expected = record["seq"] + 1
                yield record
            read += len(line)
            count += 1
        lost = file.seek(0, 2) - read
    if lost > 0:
        hear(Damage(path, count, lost, why))


def _behind(path: Path, lost: int) -> bytes:
    """Return the last ``lost`` bytes of a file, a megabyte of them at most."""
    with refusals(path), path.open("rb") as file:
        file.seek(-lost, 2)
        return file.read(1 << 20)
