"""Torn ends, flipped bits, missing lines: found, put aside, and nothing good is lost."""

from __future__ import annotations

import io
import signal
import stat
import subprocess
import sys
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest
from tests.plugins.jsonl_log.kit import events, log, numbers, write

from tradeshell import DataError, StateError, Weight
from tradeshell_jsonl_log.events import LogTailRepaired
from tradeshell_jsonl_log.lines import scan
from tradeshell_jsonl_log.reader import Damage, read_all, read_log


def test_a_torn_last_line_is_kept_aside_and_the_log_goes_on(tmp_path: Path) -> None:
    path = write(tmp_path, 2)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v":1,"seq":3,"ts":"2026-03-02T1')
    write(tmp_path, 1, session="s2")
    lines = list(read_log(path))
    assert path.read_bytes().startswith(whole)
    assert [line["seq"] for line in lines] == [1, 2, 3, 4]
    kept = f"events.jsonl.torn-{len(whole)}"
    repaired = {
        "event": "LogTailRepaired",
        "n": 0,
        "torn": 33,
        "kept": kept,
        "session": "s2",
        "ts": lines[3]["ts"],
    }
    assert repaired.items() <= lines[2].items()
    assert (tmp_path / kept).read_bytes() == b'{"v":1,"seq":3,"ts":"2026-03-02T1'
    assert stat.S_IMODE((tmp_path / kept).stat().st_mode) == 0o600


def test_the_repair_is_told_in_words_to_the_operator_too(tmp_path: Path) -> None:
    event = LogTailRepaired(torn=33, kept="events.jsonl.torn-9", whole=12)
    words = "the log is good up to line 12; the 33 damaged bytes after it are kept in events.jsonl.torn-9"
    assert (event.story(), event.label(), event.how()) == (words, "audit", Weight.BAD)
    path = write(tmp_path, 2)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"x" * 33)
    with log(tmp_path) as sink:
        (note,) = sink.notes
    words = f"the 33 damaged bytes after it are kept in events.jsonl.torn-{size}"
    assert note == f"event log {path}: the log is good up to line 2; {words}"
    with log(tmp_path) as sink:
        assert sink.notes == ()


@pytest.mark.parametrize(
    "garbage", [b"\0" * 5000, b"\0" * 700 + b"\n", b"garbage\nmore\n", b"[]\n", b"\xff\xfe", b'{"seq":3}\n']
)
def test_what_a_power_cut_left_behind_the_last_whole_line_is_torn(tmp_path: Path, garbage: bytes) -> None:
    path = write(tmp_path, 2)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(garbage)
    write(tmp_path, 1)
    assert numbers(path) == [1, 2, 3, 4]
    assert (tmp_path / f"events.jsonl.torn-{size}").read_bytes() == garbage


def test_torn_bytes_never_overwrite_earlier_ones(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    whole = path.read_bytes()
    for tail in (b"one", b"two", b"three"):
        path.write_bytes(whole + tail)
        write(tmp_path, 1)
    kept = sorted(each.name for each in tmp_path.glob("*.torn-*"))
    assert kept == [f"events.jsonl.torn-{len(whole)}{suffix}" for suffix in ("", "-2", "-3")]
    assert [(tmp_path / name).read_bytes() for name in kept] == [b"one", b"two", b"three"]


def test_a_log_without_a_single_whole_line_starts_again(tmp_path: Path) -> None:
    for content in (b"{", b'{"v":1,"se', b"\0" * 4096):
        folder = tmp_path / content.hex()[:8]
        folder.mkdir()
        (folder / "events.jsonl").write_bytes(content)
        path = write(folder, 1)
        assert [(line["seq"], line["event"]) for line in read_log(path)] == [
            (1, "LogTailRepaired"),
            (2, "Noted"),
        ]
        assert (folder / "events.jsonl.torn-0").read_bytes() == content


def test_a_damaged_first_line_begins_the_log_anew_and_costs_no_byte(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    content = b"\0" * 50 + path.read_bytes()[50:]
    path.write_bytes(content)
    write(tmp_path, 1)
    assert (tmp_path / "events.jsonl.torn-0").read_bytes() == content
    assert [(line["seq"], line["event"]) for line in read_log(path)] == [(1, "LogTailRepaired"), (2, "Noted")]


KILLED = """
import os, sys
from datetime import datetime, timezone
from pathlib import Path
from tradeshell import Event, Record, SinkContext
from tradeshell_jsonl_log.writer import open_log

NOON = datetime(2026, 3, 2, 17, tzinfo=timezone.utc)

class Noted(Event, frozen=True, kw_only=True):
    what: str

context = SinkContext(state_dir=Path(sys.argv[1]), settings={}, environ={})
with open_log(context) as sink:
    n = 0
    while True:
        n += 1
        sink(Record(v=1, seq=n, ts=NOON, mono=0.0, session="s", event=Noted(what="x" * 500)))
        os.write(1, b".")
"""


def test_a_killed_process_loses_nothing_that_the_sink_took(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        taken = len(process.stdout.read(500))
        process.send_signal(signal.SIGKILL)
        taken += len(process.stdout.read())
    path = tmp_path / "events.jsonl"
    assert path.read_bytes().endswith(b"\n")
    assert taken <= len(numbers(path)) <= taken + 1
    write(tmp_path, 1)
    assert numbers(path) == list(range(1, len(numbers(path)) + 1))


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_line_that_is_still_being_written_ends_the_reading_quietly(tmp_path: Path) -> None:
    path = write(tmp_path, 2)
    content = path.read_bytes()
    for tail in (b"", b"{", b'{"v":1,"seq":3', b"\0\0\0"):
        path.write_bytes(content + tail)
        assert numbers(path) == [1, 2]


@pytest.mark.parametrize(
    "change, bad",
    [
        (lambda lines: lines[:1] + lines[2:], 2),
        (lambda lines: lines[1:], 1),
        (lambda lines: lines[:2] + lines[1:], 3),
        (lambda lines: [lines[0], lines[2], lines[1], lines[3]], 2),
        (lambda lines: [*lines[:2], b"damaged\n", lines[3]], 3),
        (lambda lines: [*lines, b"garbage\n"], 5),
        (lambda lines: [*lines, lines[0]], 5),
    ],
    ids=["missing", "head", "twice", "moved", "damaged", "garbage", "strange"],
)
def test_a_line_that_is_missing_moved_repeated_or_damaged_is_named(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], bad: int
) -> None:
    path = write(tmp_path, 4)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))
    read = []
    with pytest.raises(DataError, match=f"line {bad}: it is damaged · the lines before it are good"):
        read += [line["seq"] for line in read_log(path)]
    damage: list[Damage] = []
    assert [line["seq"] for line in read_all(path, damage.append)] == list(range(1, bad))
    assert [each.line for each in damage] == [bad - 1]


def test_reading_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="No such file or directory"):
        list(read_log(tmp_path / "none.jsonl"))
    assert list(read_all(tmp_path / "none.jsonl")) == []
    assert list(read_all(tmp_path / "nowhere" / "none.jsonl")) == []


def test_reading_can_look_for_a_text_only(tmp_path: Path) -> None:
    path = write(tmp_path, 12)
    assert [line["seq"] for line in read_all(path, holding=(b'"what":3', b'"what":7'))] == [3, 7]


# --- every prefix, every bit ------------------------------------------------------------------------------------------


def taken_up(folder: Path, content: bytes, whole: int) -> None:
    """Give a start the file ``content``, of which ``whole`` lines are good: nothing good is lost, nothing bad is kept."""
    path = folder / "events.jsonl"
    for old in folder.iterdir():
        old.unlink()
    path.write_bytes(content)
    good = b"".join(content.splitlines(keepends=True)[:whole])
    write(folder, 2, session="s2")
    kept = [each.read_bytes() for each in folder.glob("*.torn-*")]
    assert kept == ([content[len(good) :]] if len(content) > len(good) else [])
    assert path.read_bytes().startswith(good)
    assert numbers(path) == list(range(1, whole + len(kept) + 3))
    assert events(path)[whole:] == ["LogTailRepaired"] * len(kept) + ["Noted", "Noted"]


def test_P03_R06_every_byte_prefix_of_the_last_two_records_is_found_and_what_is_good_goes_on(
    tmp_path: Path,
) -> None:
    """Kills: ``writer._take_up`` that appends behind a torn line."""
    lines = write(tmp_path, 5).read_bytes().splitlines(keepends=True)
    first = len(b"".join(lines[:3]))
    content = b"".join(lines)
    (tmp_path / "cut").mkdir()
    for end in range(first, len(content) + 1):
        taken_up(tmp_path / "cut", content[:end], content[:end].count(b"\n"))


def test_P03_every_flipped_bit_of_a_log_is_found_and_the_longest_good_beginning_stays(tmp_path: Path) -> None:
    """Kills: ``lines.check`` that compares the seal as a number (a flipped bit makes ``a`` an ``A``)."""
    lines = write(tmp_path, 40).read_bytes().splitlines(keepends=True)
    content = bytearray(b"".join(lines))
    starts = list(accumulate((len(line) for line in lines), initial=0))
    for at, byte in enumerate(bytes(content)):
        line = bisect_right(starts, at) - 1
        for bit in range(8):
            content[at] = byte ^ (1 << bit)
            found = scan(io.BytesIO(content))
            assert (found.count, found.size) == (line, starts[line]), (at, bit)
        content[at] = byte


def test_P03_a_start_keeps_what_is_good_before_a_flipped_bit_and_puts_the_rest_aside(tmp_path: Path) -> None:
    """Kills: ``writer._refuse_foreign`` that knows a log by its first bytes only."""
    lines = write(tmp_path, 40).read_bytes().splitlines(keepends=True)
    content = b"".join(lines)
    starts = list(accumulate((len(line) for line in lines), initial=0))
    (tmp_path / "flip").mkdir()
    ends = [edge for start in starts[:-1] for edge in (start, start + 3)] + [end - 1 for end in starts[1:]]
    for at in ends:
        for bit in (0, 5):
            flipped = content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :]
            taken_up(tmp_path / "flip", flipped, bisect_right(starts, at) - 1)
