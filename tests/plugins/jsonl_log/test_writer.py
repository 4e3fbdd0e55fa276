"""Where the log is and how it is kept: files, folders, sessions, days."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.plugins.jsonl_log.kit import NOON, Noted, log, numbers, record, write

from tradeshell import ConfigError, SinkContext, StateError
from tradeshell_jsonl_log import writer
from tradeshell_jsonl_log.files import rotated
from tradeshell_jsonl_log.reader import read_all, read_log
from tradeshell_jsonl_log.writer import JsonlLog, open_log


def test_the_variable_names_the_file_then_the_config_then_the_state_directory(tmp_path: Path) -> None:
    for keywords, path in (
        ({"named": str(tmp_path / "named.jsonl"), "path": "config.jsonl"}, "named.jsonl"),
        ({"named": "", "path": "config.jsonl"}, "state/config.jsonl"),
        ({"path": str(tmp_path / "absolute.jsonl")}, "absolute.jsonl"),
        ({}, "state/events.jsonl"),
    ):
        with log(tmp_path / "state", **keywords) as sink:
            sink(record())
        assert numbers(tmp_path / path) == [1]


def test_a_home_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with log(tmp_path / "state", named="~/deep/er/events.jsonl") as sink:
        sink(record())
    assert numbers(tmp_path / "deep/er/events.jsonl") == [1]


@pytest.mark.parametrize("config", [{"pth": "x"}, {"path": 3}, {"path": ""}])
def test_a_setting_that_is_not_known_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    with (
        pytest.raises(ConfigError, match=r"^\[sinks\.jsonl\] pt?a?th? = .*: the one setting is path"),
        log(tmp_path, **config),
    ):
        pytest.fail("opened")


def test_files_and_folders_are_for_their_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = write(tmp_path / "deep/er", 1)
        path.chmod(0o644)
        write(tmp_path / "deep/er", 1, ts=NOON + timedelta(days=1))
    finally:
        os.umask(before)
    modes = [
        stat.S_IMODE(each.stat().st_mode) for each in (path, *rotated(path), path.parent, tmp_path / "deep")
    ]
    assert modes == [0o600, 0o600, 0o700, 0o700]


def test_a_record_has_left_the_process_before_the_sink_returns(tmp_path: Path) -> None:
    with log(tmp_path) as sink:
        for n in (1, 2, 3):
            sink(record(n))
            assert numbers(tmp_path / "events.jsonl") == list(range(1, n + 1))


def test_numbers_go_on_over_sessions_and_n_counts_within_one(tmp_path: Path) -> None:
    write(tmp_path, 2, session="s1")
    path = write(tmp_path, 3, session="s2")
    lines = list(read_log(path))
    assert [line["seq"] for line in lines] == [1, 2, 3, 4, 5]
    assert [(line["session"], line["n"]) for line in lines] == [
        ("s1", 1),
        ("s1", 2),
        ("s2", 1),
        ("s2", 2),
        ("s2", 3),
    ]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "real/log.jsonl")
    write(tmp_path, 2)
    write(tmp_path, 1, ts=NOON + timedelta(days=1))
    assert (tmp_path / "events.jsonl").is_symlink()
    assert [numbers(path) for path in (*rotated(tmp_path / "real/log.jsonl"), tmp_path / "events.jsonl")] == [
        [1, 2],
        [3],
    ]


def test_a_second_program_cannot_write_the_same_log(tmp_path: Path) -> None:
    with log(tmp_path) as sink:
        sink(record(1))
        with pytest.raises(StateError, match="is being written by another program"), log(tmp_path):
            pytest.fail("opened")
        sink(record(2))
    assert numbers(tmp_path / "events.jsonl") == [1, 2]


@pytest.mark.parametrize("days", [0, 1], ids=["one day", "over midnight"])
def test_several_records_at_once_make_the_lines_that_they_make_one_by_one(tmp_path: Path, days: int) -> None:
    said = [record(1), record(2, event=Noted(what="x")), record(3, ts=NOON + timedelta(days=days))]
    for name in ("alone", "together"):
        with open_log(SinkContext(state_dir=tmp_path / name, settings={}, environ={})) as sink:
            sink(record(0))
            assert isinstance(sink, JsonlLog)
            if name == "alone":
                for each in said:
                    sink(each)
            else:
                sink.write_all(said)
            sink(record(4, ts=NOON + timedelta(days=days)))
    alone, together = (sorted((tmp_path / name).iterdir()) for name in ("alone", "together"))
    assert [file.name for file in alone] == [file.name for file in together]
    assert [file.read_bytes() for file in alone] == [file.read_bytes() for file in together]
    assert len(alone) == 1 + days


# --- what is not a log ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", [b"hello\n", b"no line end", b'{"a": 1}\n', b'{"event": "X", "seq": "1"}\n', b"a" * 3_000_000]
)
def test_a_file_of_somebody_else_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(content)
    with (
        pytest.raises(StateError, match=r"is no event log of ours, it was left as it is") as caught,
        log(tmp_path),
    ):
        pytest.fail("opened")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_or_a_device_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for named in (None, str(tmp_path / "pipe"), os.devnull):
        with pytest.raises(StateError, match="is no file"), log(tmp_path, named=named):
            pytest.fail("opened")


def test_a_place_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(StateError, match="Not a directory · choose another APPS_EVENT_LOG_PATH"),
        log(tmp_path / "file"),
    ):
        pytest.fail("opened")


# --- rotation ---------------------------------------------------------------------------------------------------------


def test_a_day_ends_at_midnight_in_new_york(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        for n, ts in enumerate(
            (
                NOON,
                datetime(2026, 3, 3, 4, 59, 59, tzinfo=UTC),  # 23:59:59, though UTC is a day further
                datetime(2026, 3, 3, 5, tzinfo=UTC),
                datetime(2026, 3, 9, 4, tzinfo=UTC),  # midnight of daylight-saving time
            ),
            start=1,
        ):
            sink(record(n, ts=ts))
    assert [(each.name, numbers(each)) for each in (*rotated(path), path)] == [
        ("events-2026-03-02.jsonl", [1, 2]),
        ("events-2026-03-03.jsonl", [3]),
        ("events.jsonl", [4]),
    ]


def test_the_file_of_an_earlier_day_is_put_aside_at_the_first_record_of_the_next(tmp_path: Path) -> None:
    path = write(tmp_path, 2)
    with log(tmp_path):
        assert rotated(path) == []  # nothing happened yet today
    write(tmp_path, 1, ts=NOON + timedelta(days=3))
    assert [(each.name, numbers(each)) for each in (*rotated(path), path)] == [
        ("events-2026-03-02.jsonl", [1, 2]),
        ("events.jsonl", [3]),
    ]


def test_a_replay_of_an_old_day_does_not_turn_the_page(tmp_path: Path) -> None:
    path = write(tmp_path, 1)
    write(tmp_path, 1, ts=NOON - timedelta(days=800))
    write(tmp_path, 1)
    assert rotated(path) == []
    assert numbers(path) == [1, 2, 3]


def test_a_day_that_comes_a_second_time_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(3):
        write(tmp_path, 1)
        write(tmp_path, 1, ts=NOON + timedelta(days=1))
        path.unlink()
    assert [each.name for each in rotated(path)] == [
        f"events-2026-03-02{part}.jsonl" for part in ("", ".1", ".2")
    ]
    assert [numbers(each) for each in rotated(path)] == [[1], [2], [3]]


def test_numbers_go_on_after_the_newest_rotated_file_when_the_running_one_is_gone(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    write(tmp_path, 2, ts=NOON + timedelta(days=1))
    path.unlink()
    write(tmp_path, 1, ts=NOON + timedelta(days=1))
    assert numbers(path) == [4]


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_no_file_stays_open_whatever_happens(tmp_path: Path) -> None:
    before = open_files()
    foreign = tmp_path / "foreign"
    foreign.write_bytes(b"hello\n")
    with log(tmp_path) as sink:
        sink(record(1))
        sink(record(2, ts=NOON + timedelta(days=1)))
        for named in (foreign, tmp_path / "events.jsonl"):
            with contextlib.suppress(StateError), log(tmp_path, named=str(named)):
                pytest.fail("opened")
        assert open_files() == before + 1
    assert open_files() == before


def test_other_files_beside_the_log_are_no_part_of_it(tmp_path: Path) -> None:
    for name in (
        "events-2026-03-02.jsonl.gz",
        "events-x.jsonl",
        "myevents-2026-03-02.jsonl",
        "events-2026-3-2.jsonl",
    ):
        (tmp_path / name).write_text("x", encoding="utf-8")
    assert rotated(tmp_path / "events.jsonl") == []
    assert numbers(write(tmp_path, 1)) == [1]


def test_a_file_that_is_full_is_put_aside_under_its_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "FULL", 200)
    path = write(tmp_path, 7)
    assert [each.name for each in rotated(path)] == [
        f"events-2026-03-02{part}.jsonl" for part in ("", ".1", ".2")
    ]
    assert [numbers(each) for each in (*rotated(path), path)] == [[1, 2], [3, 4], [5, 6], [7]]
    assert [line["seq"] for line in read_all(path)] == [1, 2, 3, 4, 5, 6, 7]


def test_P12_a_clock_that_goes_backwards_changes_no_number(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        for n, hours in enumerate((0, -3, 1, -200, 0), start=1):
            sink(record(n, ts=NOON + timedelta(hours=hours)))
    lines = list(read_log(path))
    assert [(line["seq"], line["n"]) for line in lines] == [(n, n) for n in range(1, 6)]
    assert [line["ts"] for line in lines] != sorted(line["ts"] for line in lines)
    assert {line["mono"] for line in lines} == {12.345679}


@pytest.mark.alone
def test_P09_a_start_reads_no_more_than_one_file_and_a_full_one_within_three_seconds(tmp_path: Path) -> None:
    """Kills: a start that reads the files of earlier days, or parses every line."""
    full = JsonlLog(tmp_path / "events.jsonl")
    many = [record(n, event=Noted(what="x" * 220)) for n in range(2000)]
    while full._size < writer.FULL - 2_000_000:
        full.write_all(many)
    full.close()
    (tmp_path / "events-2026-03-01.jsonl").write_bytes(b"never read")
    began = time.monotonic()
    with log(tmp_path) as sink:
        assert time.monotonic() - began < 3
        assert sink._seq > 150_000
        assert sink.notes == ()
