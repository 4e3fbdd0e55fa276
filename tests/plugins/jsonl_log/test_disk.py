"""Disks that are full, fail, are slow, or lose the file: what is missing is marked, and whoever writes is never held up."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.plugins.jsonl_log.kit import NOON, events, log, numbers, record, records, write
from tests.support.nth import Nth

from tradeshell import StateError
from tradeshell_jsonl_log import writer
from tradeshell_jsonl_log.reader import read_all, read_log

CODES = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS]


@contextmanager
def broken(name: str = "write", code: int = errno.ENOSPC, *, takes: int | None = None) -> Iterator[None]:
    """Let a call to the system fail; ``takes``: a write takes so many bytes instead."""
    real = getattr(os, name)

    def fail(*arguments: Any, **keywords: Any) -> Any:
        if takes is not None:
            return real(arguments[0], arguments[1][:takes])
        raise OSError(code, os.strerror(code))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, name, fail)
        yield


def gaps(path: Path) -> list[tuple[int, int, str]]:
    """Return what the log says it lacks."""
    return [
        (line["lost"], line["late"], line["reason"]) for line in read_all(path) if line["event"] == "AuditGap"
    ]


def session_numbers(path: Path) -> list[int]:
    """Return the numbers that the host gave to the records in the log."""
    return [line["n"] for line in read_all(path) if line["n"]]


# --- full, failing, read-only -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_P01_P02_what_a_disk_refuses_is_counted_and_marked_as_soon_as_it_takes_lines_again(
    tmp_path: Path, code: int
) -> None:
    """Kills: ``writer._lose`` that forgets to count."""
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        with broken(code=code):
            sink.write_all([record(2), record(3)])
            sink(record(4))
            assert sink.trouble == f"event log {path}: {os.strerror(code)}"
        assert numbers(path) == [1]
        sink.write_all([record(5), record(6)])
        assert sink.trouble == ""
        sink(record(7))
    assert events(path) == ["Noted", "AuditGap", "Noted", "Noted", "Noted"]
    assert session_numbers(path) == [1, 5, 6, 7]
    assert gaps(path) == [(3, 0, os.strerror(code))]


@pytest.mark.parametrize("takes", [0, 1, 60, 150])
def test_P01_a_line_that_does_not_fit_whole_is_taken_back(tmp_path: Path, takes: int) -> None:
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        whole = path.read_bytes()
        with broken(takes=takes):
            sink.write_all([record(2), record(3)])
            assert path.read_bytes() == whole
            assert sink.trouble.endswith("the disk is full")
        sink(record(4))
    assert session_numbers(path) == [1, 4]


def test_P01_a_line_that_could_not_be_taken_back_is_before_the_next_one(tmp_path: Path) -> None:
    """Kills: ``writer._make_ready`` without ``_cut``."""
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        with broken(takes=20), broken("ftruncate", errno.EIO):
            sink(record(2))
        assert not path.read_bytes().endswith(b"\n")
        sink(record(3))
    assert events(path) == ["Noted", "AuditGap", "Noted"]
    assert list(tmp_path.glob("*.torn-*")) == []


FULL = """
import resource, signal, sys
from datetime import datetime, timezone
from pathlib import Path
from tradeshell import Event, Record, SinkContext
from tradeshell_jsonl_log.writer import open_log

NOON = datetime(2026, 3, 2, 17, tzinfo=timezone.utc)

class Noted(Event, frozen=True, kw_only=True):
    what: str

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
with open_log(SinkContext(state_dir=Path(sys.argv[1]), settings={}, environ={})) as sink:
    for n in range(1, 100):
        sink(Record(v=1, seq=n, ts=NOON, mono=0.0, session="s", event=Noted(what="x" * 200)))
    print(sink.trouble)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sink(Record(v=1, seq=100, ts=NOON, mono=0.0, session="s", event=Noted(what="room again")))
    print(sink.trouble)
"""


def test_P01_a_real_file_that_cannot_grow_and_then_can(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    path = tmp_path / "events.jsonl"
    full, well = done.stdout.split("\n")[:2]
    assert full.startswith(f"event log {path}: ")
    assert well == ""
    *before, gap, last = read_log(path)
    assert (gap["event"], gap["lost"], last["n"]) == ("AuditGap", 99 - len(before), 100)
    assert [line["n"] for line in before] == list(range(1, len(before) + 1))


@pytest.mark.parametrize("code", CODES)
def test_P05_a_disk_that_is_full_or_read_only_at_the_start_is_told_and_tried_again(
    tmp_path: Path, code: int
) -> None:
    path = write(tmp_path, 2)
    with broken("open", code), log(tmp_path) as sink:
        assert sink.notes == (f"event log {path}: {os.strerror(code)}",)
        sink(record(1, session="s2"))
        assert sink.trouble == f"event log {path}: {os.strerror(code)}"
    with broken("open", code):
        opened = log(tmp_path)
        sink = opened.__enter__()
    sink(record(1, session="s2"))
    assert sink.trouble == ""
    opened.__exit__(None, None, None)
    assert numbers(path) == [1, 2, 3]


def test_P05_a_folder_that_may_not_be_written_is_a_refusal_in_one_line(tmp_path: Path) -> None:
    with (
        broken("open", errno.EACCES),
        pytest.raises(StateError, match="Permission denied · choose another"),
        log(tmp_path),
    ):
        pytest.fail("opened")


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["open", "rename"])
def test_a_page_that_cannot_be_turned_is_trouble_until_it_can(tmp_path: Path, name: str) -> None:
    path = tmp_path / "events.jsonl"
    tomorrow = NOON + timedelta(days=1)
    with log(tmp_path) as sink:
        sink(record(1))
        with broken(name, errno.EACCES):
            sink.write_all([record(2), record(3, ts=tomorrow)])
            assert sink.trouble == f"event log {path}: Permission denied"
        sink(record(4, ts=tomorrow))
        assert sink.trouble == ""
    assert [line["seq"] for line in read_all(path)] == [1, 2, 3, 4]
    assert session_numbers(path) == [1, 2, 4]
    assert gaps(path) == [(1, 0, "Permission denied")]
    assert [line["n"] for line in read_log(path)] == [0, 4]


# --- moved, cut, replaced ---------------------------------------------------------------------------------------------


def removed(path: Path) -> None:
    path.unlink()


def moved(path: Path) -> None:
    path.rename(path.with_name("moved"))


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 10)


def copied(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


def appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"somebody else\n")


@pytest.mark.parametrize(
    "change, why, kept",
    [
        (removed, "the file was moved away or removed", []),
        (moved, "the file was moved away or removed", []),
        (emptied, "the file was cut", []),
        (cut, "the file was cut", [1, 2]),
        (copied, "another file has taken its place", [1, 2, 3]),
        (appended, "somebody else has written to it", [1, 2, 3]),
    ],
)
def test_P04_P13_a_file_that_is_taken_away_is_noticed_and_the_log_goes_on_in_the_one_that_is_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    why: str,
    kept: list[int],
) -> None:
    """Kills: ``writer._what_happened`` that looks at the size only, or at the file only."""
    monkeypatch.setattr(writer, "LOOK_EVERY", 0.0)
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        for each in records(3):
            sink(each)
        change(path)
        sink.write_all([record(4), record(5)])
        sink(record(6))
    lines = list(read_log(path))
    assert [line["n"] for line in lines if line["n"]] == [*kept, 4, 5, 6]
    assert [line["reason"] for line in lines if line["event"] == "LogRestarted"] == [why]
    assert b"\0" not in path.read_bytes()
    repaired = [line["torn"] for line in lines if line["event"] == "LogTailRepaired"]
    assert bool(repaired) is (change in (cut, appended))


def test_P04_it_is_noticed_within_a_second_of_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(writer, "monotonic", lambda: now[0])
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        path.unlink()
        now[0] += 0.9
        sink(record(2))
        assert not path.exists()
        now[0] += 0.2
        sink(record(3))
    assert session_numbers(path) == [3]


def test_P13_another_program_that_takes_the_place_of_the_file_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LOOK_EVERY", 0.0)
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        path.unlink()
        with log(tmp_path) as other:
            other(record(1, session="s2"))
            sink(record(2))
            assert "is being written by another program" in sink.trouble
        sink(record(3))
        assert sink.trouble == ""
    assert [(line["session"], line["event"]) for line in read_log(path)] == [
        ("s2", "Noted"),
        ("s1", "LogRestarted"),
        ("s1", "AuditGap"),
        ("s1", "Noted"),
    ]


# --- slow -------------------------------------------------------------------------------------------------------------


class SlowDisk:
    """A disk whose writes wait until somebody lets them go, and take as long as ``took`` says."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        self.go.set()
        self.took = 0.0
        self.now = 1000.0
        self._write, self._sync = os.write, os.fdatasync
        patched.setattr(writer, "monotonic", lambda: self.now)
        patched.setattr(os, "write", self.write)
        patched.setattr(os, "fdatasync", self.sync)

    def write(self, fd: int, data: bytes) -> int:
        """Write, late."""
        if data.startswith(b'{"v":'):
            self.go.wait(10)
            self.now += self.took
        return self._write(fd, data)

    def sync(self, fd: int) -> None:
        """Sync, late."""
        self.now += self.took
        self._sync(fd)


def settled(sink: writer.JsonlLog) -> None:
    """Wait for the end of the log's thread."""
    assert sink._thread is not None
    sink._thread.join(10)
    assert not sink._thread.is_alive()


def test_P14_after_one_slow_write_nobody_waits_for_the_disk_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kills: ``writer._begin_to_wait`` that leaves the loop with the disk."""
    monkeypatch.setattr(writer, "PROBE_EVERY", 0.001)
    disk, path = SlowDisk(monkeypatch), tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        assert sink.trouble == ""
        disk.took = 0.3
        sink(record(2))
        assert sink.trouble == f"event log {path}: the disk needs more than 0.25 s for a line"
        disk.go.clear()
        for n in range(3, 103):
            sink(record(n))  # would wait for ever if it waited
        disk.took = 0.0
        disk.go.set()
        settled(sink)
        assert sink.trouble == ""
        sink(record(103))
    assert session_numbers(path) == list(range(1, 104))
    assert numbers(path) == list(range(1, len(numbers(path)) + 1))
    assert sum(late for _, late, _ in gaps(path)) == 100
    assert {(lost, why) for lost, _, why in gaps(path)} == {(0, "the disk needs more than 0.25 s for a line")}


def test_P14_what_waits_for_a_slow_disk_is_bounded_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PROBE_EVERY", 0.001)
    monkeypatch.setattr(writer, "QUEUE", 10)
    disk, path = SlowDisk(monkeypatch), tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        disk.took = 0.3
        sink(record(2))
        disk.go.clear()
        for n in range(3, 103):
            sink(record(n))
        disk.took = 0.0
        disk.go.set()
        settled(sink)
        sink(record(103))
        assert sink.trouble == ""
    found = session_numbers(path)
    assert found == sorted(found)
    assert found[-1] == 103
    lost = sum(lost for lost, _, _ in gaps(path))
    assert len(found) + lost == 103
    assert lost >= 80


def test_P14_a_slow_disk_that_refuses_too_is_told_as_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PROBE_EVERY", 0.001)
    disk, path = SlowDisk(monkeypatch), tmp_path / "events.jsonl"

    def fail(fd: int, data: bytes) -> int:
        disk.now += disk.took
        raise OSError(errno.EIO, "Input/output error")

    with log(tmp_path) as sink:
        sink(record(1))
        disk.took = 0.3
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", fail)
            sink(record(2))
            assert sink.trouble == f"event log {path}: Input/output error"
        disk.took = 0.0
        settled(sink)
        sink(record(3))
        assert sink.trouble == ""
    assert session_numbers(path) == [1, 3]
    assert gaps(path) == [(1, 0, "Input/output error")]


def test_P14_the_end_does_not_wait_for_a_disk_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CLOSE_WITHIN", 0.01)
    disk = SlowDisk(monkeypatch)
    sink = writer.JsonlLog(tmp_path / "events.jsonl")
    sink(record(1))
    disk.took = 0.3
    sink(record(2))
    disk.go.clear()
    sink(record(3))
    sink.close()
    assert sink._thread is not None
    assert sink._thread.is_alive()
    disk.go.set()
    settled(sink)
    sink.close()
    assert session_numbers(tmp_path / "events.jsonl") == [1, 2, 3]


# --- the N-th call ----------------------------------------------------------------------------------------------------


def day_of_trading(folder: Path) -> list[int]:
    """Take up a torn log, write over midnight, and return the numbers of the records that were said to be kept."""
    kept: list[int] = []
    with log(folder) as sink:
        for n in range(1, 9):
            two = [record(10 * n, session="s2"), record(10 * n + 1, session="s2")]
            sink.write_all([replace(each, ts=NOON + timedelta(hours=6 * n)) for each in two])
            if not sink.trouble:
                kept += [10 * n, 10 * n + 1]
    return kept


@pytest.mark.parametrize("is_for_good", [False, True], ids=["once", "for good"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_P01_P02_whichever_call_to_the_system_fails_the_log_is_good_and_says_what_it_lacks(
    tmp_path: Path, code: int, is_for_good: bool
) -> None:
    """Kills: every call whose failure nobody thought of."""
    failed: Counter[str] = Counter()
    for nth in range(1, 1000):
        folder = tmp_path / str(nth)
        folder.mkdir()
        path = write(folder, 3)
        with path.open("ab") as file:
            file.write(b'{"v":1,"seq":4,"ts":"2026')
        before = path.read_bytes()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(writer, "LOOK_EVERY", 0.0)
            calls = Nth(patched, nth, code, is_for_good=is_for_good)
            try:
                kept = day_of_trading(folder)
            except StateError:  # refused at the start, in one line
                kept = []
        failed += calls.failed
        # The next start, on a disk that is well, finds all that was said to be there, and what is missing is said.
        write(folder, 1, session="s3", ts=NOON + timedelta(days=9))
        lines = list(read_all(path))
        assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
        found = [line["n"] for line in lines if line["session"] == "s2" and line["n"]]
        assert set(kept) <= set(found), (nth, calls.failed)
        assert found == sorted(set(found))
        lost = sum(line["lost"] for line in lines if line["event"] == "AuditGap")
        if 81 in found:  # written again before the end: whatever is missing is marked
            assert len(found) + lost == 16, (nth, calls.failed)
        torn = b"".join(each.read_bytes() for each in sorted(folder.glob("*.torn-*")))
        assert before[-25:] in torn or before[-25:] in path.read_bytes()
        if not calls.failed:
            break
    else:
        pytest.fail("it never got through")
    assert {"open", "write", "rename"} <= set(failed)
