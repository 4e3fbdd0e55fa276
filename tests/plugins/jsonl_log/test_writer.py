"""The audit log: every event one line, whatever is in it and whatever happens to the file."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradeshell import (
    ConfigError,
    DataError,
    Event,
    OrderFilled,
    Record,
    Side,
    Sink,
    SinkContext,
    StateError,
    Weight,
)
from tradeshell_jsonl_log.writer import LogTailRepaired, encode, open_log, read_log, rotated

NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)  # Monday, 12:00 in New York


class Noted(Event, frozen=True, kw_only=True):
    """An event of a plugin."""

    what: Any = None


def record(n: int = 1, *, ts: datetime = NOON, event: Event | None = None, session: str = "s1") -> Record:
    return Record(v=1, seq=n, ts=ts, mono=12.3456789, session=session, event=event or Noted(what=n))


@contextlib.contextmanager
def log(folder: Path, *, named: str | None = None, **config: object) -> Iterator[Sink]:
    environ = {} if named is None else {"APPS_EVENT_LOG_PATH": named}
    with open_log(SinkContext(state_dir=folder, settings=config, environ=environ)) as sink:
        yield sink


def write(folder: Path, count: int, *, ts: datetime = NOON, session: str = "s1") -> Path:
    with log(folder) as sink:
        for n in range(1, count + 1):
            sink(record(n, ts=ts, session=session))
    return folder / "events.jsonl"


def numbers(path: Path) -> list[int]:
    return [line["seq"] for line in read_log(path)]


# --- lines ------------------------------------------------------------------------------------------------------------


def test_a_line_is_the_envelope_and_the_fields_that_are_set(tmp_path: Path) -> None:
    event = OrderFilled(
        symbol="AAPL",
        leg="tp1",
        order_ref="ts:br-1:tp1:1",
        order_id=17,
        exec_id="0001.01",
        side=Side.SELL,
        qty=60,
        price=Decimal("195.00"),
        cumulative=60,
        order_qty=60,
        at=NOON,
        pnl=None,
    )
    with log(tmp_path) as sink:
        sink(record(5, ts=NOON + timedelta(microseconds=114_000), event=event))
    assert (tmp_path / "events.jsonl").read_text(encoding="utf-8") == (
        '{"v":1,"seq":1,"ts":"2026-03-02T17:00:00.114000Z","mono":12.345679,"session":"s1","n":5,"event":"OrderFilled",'
        '"symbol":"AAPL","leg":"tp1","order_ref":"ts:br-1:tp1:1","order_id":17,"exec_id":"0001.01","side":"SELL","qty":60,'
        '"price":"195.00","cumulative":60,"order_qty":60,"at":"2026-03-02T17:00:00Z"}\n'
    )


def test_a_field_that_is_called_like_one_of_the_envelope_gets_another_name() -> None:
    class Odd(Event, frozen=True, kw_only=True):
        seq: int
        ts: str
        n: int

    line = json.loads(encode(record(3, event=Odd(seq=7, ts="never", n=9)), 2))
    assert (line["seq"], line["n"], line["seq_"], line["ts_"], line["n_"]) == (2, 3, 7, "never", 9)


class Unspeakable:
    def __repr__(self) -> str:
        raise ValueError("no words")

    __str__ = __repr__


class Endless(dict[str, object]):
    def __init__(self) -> None:
        super().__init__()
        self["self"] = self


ODD: list[tuple[object, object]] = [
    (float("nan"), None),
    (float("inf"), None),
    (Decimal("NaN"), "NaN"),
    (Decimal("1E+30"), "1E+30"),
    (2**80, 2**80),
    ("two\nlines\u2028\x00", "two\nlines\u2028\x00"),
    ({1: {2}}, {"1": [2]}),
    ({(1, 2): 3}, {"(1, 2)": 3}),
    (Path("a/b"), "a/b"),
    (timedelta(seconds=90), "PT90S"),
]


@pytest.mark.parametrize("value, read", ODD, ids=[repr(value) for value, _ in ODD])
def test_an_odd_value_is_kept_as_json_knows_it(value: object, read: object) -> None:
    line = json.loads(encode(record(event=Noted(what=value)), 1), parse_constant=pytest.fail)
    assert line.get("what") == read
    assert "unreadable" not in line


@pytest.mark.parametrize("value", ["\ud800", Unspeakable(), Endless()], ids=["surrogate", "repr", "endless"])
def test_a_value_that_cannot_be_kept_costs_its_event_the_fields_not_the_line(value: object) -> None:
    raw = encode(record(event=Noted(what=value, symbol="AAPL")), 1)
    line = json.loads(raw)
    assert raw.count(b"\n") == 1
    assert (line["seq"], line["event"], line["ts"]) == (1, "Noted", "2026-03-02T17:00:00+00:00")
    assert line["unreadable"]
    assert line["fields"]["symbol"] == "'AAPL'"


@pytest.mark.parametrize("days", [0, 1], ids=["one day", "over midnight"])
def test_several_records_at_once_make_the_lines_that_they_make_one_by_one(tmp_path: Path, days: int) -> None:
    records = [record(1), record(2, event=Noted(what="x")), record(3, ts=NOON + timedelta(days=days))]
    for name in ("alone", "together"):
        with open_log(SinkContext(state_dir=tmp_path / name, settings={}, environ={})) as sink:
            sink(record(0))
            if name == "alone":
                for each in records:
                    sink(each)
            else:
                sink.write_all(records)  # type: ignore[attr-defined]  # of this sink, not of every one
            sink(record(4, ts=NOON + timedelta(days=days)))
    alone, together = (sorted((tmp_path / name).iterdir()) for name in ("alone", "together"))
    assert [file.name for file in alone] == [file.name for file in together]
    assert [file.read_bytes() for file in alone] == [file.read_bytes() for file in together]
    assert len(alone) == 1 + days


def test_several_records_that_do_not_fit_are_taken_back_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with log(tmp_path) as sink:
        sink(record(1))
        whole = (tmp_path / "events.jsonl").read_bytes()
        real = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:100]))
        with pytest.raises(StateError, match="full"):
            sink.write_all([record(2), record(3)])  # type: ignore[attr-defined]  # as above
        monkeypatch.undo()
        sink(record(4))
    assert (tmp_path / "events.jsonl").read_bytes() == whole


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals()
    | st.text(st.characters())
    | st.binary()
    | st.datetimes()
    | st.builds(object)
    | st.builds(Unspeakable),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
    max_leaves=8,
)


@given(value=VALUES, session=st.text(st.characters()), mono=st.floats())
def test_whatever_an_event_holds_its_line_is_one_json_object(
    value: object, session: str, mono: float
) -> None:
    raw = encode(Record(v=1, seq=1, ts=NOON, mono=mono, session=session, event=Noted(what=value)), 3)
    assert raw.endswith(b"\n")
    assert raw.count(b"\n") == 1
    line = json.loads(raw, parse_constant=pytest.fail)
    assert (line["v"], line["seq"], line["n"], line["event"]) == (1, 3, 1, "Noted")


# --- where and how it is kept -----------------------------------------------------------------------------------------


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


# --- a torn end -------------------------------------------------------------------------------------------------------


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


def test_the_repair_is_told_in_words() -> None:
    event = LogTailRepaired(torn=33, kept="events.jsonl.torn-9")
    assert event.story() == "the log ended in a torn line; its 33 bytes are kept in events.jsonl.torn-9"
    assert (event.label(), event.how()) == ("audit", Weight.BAD)


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


def test_a_damaged_first_line_does_not_stop_the_log(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    path.write_bytes(b"\0" * 50 + path.read_bytes()[50:])
    write(tmp_path, 1)
    assert json.loads(path.read_bytes().splitlines()[-1])["seq"] == 4


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_wherever_the_file_is_cut_nothing_whole_is_lost(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    path = write(folder, 4)
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    whole = content[:cut].count(b"\n")
    write(folder, 1)
    torn = cut != content[:cut].rfind(b"\n") + 1
    assert numbers(path) == list(range(1, whole + 1 + 1 + torn))
    kept = [each.read_bytes() for each in folder.glob("*.torn-*")]
    assert kept == ([content[:cut].rpartition(b"\n")[2]] if torn else [])


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


# --- a full disk ------------------------------------------------------------------------------------------------------

FULL = """
import resource, signal, sys
from datetime import datetime, timezone
from pathlib import Path
from tradeshell import Event, Record, SinkContext, StateError
from tradeshell_jsonl_log.writer import open_log

NOON = datetime(2026, 3, 2, 17, tzinfo=timezone.utc)

class Noted(Event, frozen=True, kw_only=True):
    what: str

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
with open_log(SinkContext(state_dir=Path(sys.argv[1]), settings={}, environ={})) as sink:
    for n in range(1, 100):
        try:
            sink(Record(v=1, seq=n, ts=NOON, mono=0.0, session="s", event=Noted(what="x" * 200)))
        except StateError as error:
            print(n, error)
"""


def test_a_line_that_does_not_fit_is_taken_back_and_the_failure_told_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    path = tmp_path / "events.jsonl"
    whole = numbers(path)
    assert path.read_bytes().endswith(b"\n")
    assert 1900 - 400 < path.stat().st_size <= 2000
    (said,) = done.stdout.splitlines()
    assert said == (
        f"{len(whole) + 1} event log {path}: the disk is full · nothing is logged from here on; make room and start again"
    )
    write(tmp_path, 1)
    assert numbers(path) == [*whole, len(whole) + 1]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_an_error_of_the_disk_is_told_once_and_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    with log(tmp_path) as sink:
        sink(record(1))

        def fail(fd: int, data: bytes) -> int:
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as broken:
            broken.setattr(os, "write", fail)
            with pytest.raises(StateError, match=f"{os.strerror(code)} · nothing is logged from here on"):
                sink(record(2))
        sink(record(3))
    assert numbers(tmp_path / "events.jsonl") == [1]


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


def test_a_file_that_was_moved_away_while_it_was_written_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with log(tmp_path) as sink:
        sink(record(1))
        path.rename(tmp_path / "moved")
        sink(record(2, ts=NOON + timedelta(days=1)))
    assert numbers(tmp_path / "moved") == [1]
    assert numbers(path) == [2]


def test_a_page_that_cannot_be_turned_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with log(tmp_path) as sink:
        sink(record(1))

        def fail(*arguments: object, **keywords: object) -> int:
            raise OSError(errno.EACCES, "Permission denied")

        with monkeypatch.context() as broken:
            broken.setattr(os, "open", fail)
            with pytest.raises(StateError, match="Permission denied · nothing is logged from here on"):
                sink(record(2, ts=NOON + timedelta(days=1)))
        sink(record(3, ts=NOON + timedelta(days=1)))
    assert not (tmp_path / "events.jsonl").exists()


def test_a_torn_first_line_of_a_new_page_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_all = os.write
    with log(tmp_path) as sink:
        sink(record(1))
        monkeypatch.setattr(os, "write", lambda fd, data: write_all(fd, data[:10]))
        with pytest.raises(StateError, match="the disk is full"):
            sink(record(2, ts=NOON + timedelta(days=1)))
    assert (tmp_path / "events.jsonl").read_bytes() == b""
    assert numbers(tmp_path / "events-2026-03-02.jsonl") == [1]


def test_a_path_that_was_taken_while_the_page_was_turned_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with contextlib.ExitStack() as opened, log(tmp_path) as sink:
        sink(record(1))

        def rename_and_lose(path: Path, target: Path) -> None:
            path.replace(target)
            other = opened.enter_context(path.open("ab"))
            fcntl.flock(other, fcntl.LOCK_EX)

        monkeypatch.setattr(Path, "rename", rename_and_lose)
        with pytest.raises(StateError, match="is being written by another program"):
            sink(record(2, ts=NOON + timedelta(days=1)))
        sink(record(3, ts=NOON + timedelta(days=1)))
    assert (tmp_path / "events.jsonl").read_bytes() == b""


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


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_torn_last_line_ends_the_reading_quietly(tmp_path: Path) -> None:
    path = write(tmp_path, 2)
    content = path.read_bytes()
    for tail in (b"", b"{", b'{"v":1,"seq":3', b"\0\0\0", b"garbage\n"):
        path.write_bytes(content + tail)
        assert numbers(path) == [1, 2]


def test_a_missing_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, 4)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(DataError, match="line 2: number 3 where 2 belongs · lines are missing"):
        list(read_log(path))


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"damaged\n" + lines[2])
    with pytest.raises(DataError, match="line 2: it is damaged · the lines before it are good"):
        list(read_log(path))


def test_reading_what_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="No such file or directory"):
        list(read_log(tmp_path / "none.jsonl"))
