"""The logs for people: what is in them, that they are bounded, and that a disk never makes anybody wait."""

from __future__ import annotations

import logging
import re
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tradeshell.core.data_events import BarStreamStalled
from tradeshell.core.events import ConnectionChanged, EngineFault, Event, OrderFilled, SinkMuted
from tradeshell.core.orders import Side
from tradeshell.engine import logs as module
from tradeshell.engine.accounts import Accounts
from tradeshell.engine.logs import Logs
from tradeshell.ports import Record
from tradeshell.testing.session import open_shell
from tradeshell.upkeep import LogSettings
from tradeshell.words import decimal

WHEN = datetime(2025, 7, 8, 13, 42, 0, 250000, tzinfo=UTC)
STAMP = "2025-07-08T13:42:00.250000Z"


@contextmanager
def logs_in(
    folder: Path, complaints: list[tuple[str, str]] | None = None, **settings: object
) -> Iterator[Logs]:
    """Open logs in a folder; both are on unless the settings say otherwise."""
    chosen = LogSettings(**({"ops": "on", "gateway": "on"} | settings))  # type: ignore[arg-type]  # a test's own words
    said = [] if complaints is None else complaints
    with Logs().opened(
        chosen, folder, Accounts().alias, lambda *words: said.append(words), lambda: WHEN
    ) as logs:
        yield logs


def record(event: Event) -> Record:
    """Return an event in its envelope."""
    return Record(v=1, seq=1, ts=WHEN, mono=1.0, session="s", event=event)


def lines(folder: Path, name: str) -> list[str]:
    """Return the lines of a log."""
    return (folder / f"{name}.log").read_text(encoding="utf-8").splitlines()


# --- the gateway log --------------------------------------------------------------------------------------------------


def test_each_message_is_a_line_with_its_time_and_its_way(tmp_path: Path) -> None:
    with logs_in(tmp_path) as logs:
        assert logs.wire is not None
        logs.wire.sent(b"49\x001\x00")
        logs.wire.received("49\x001\x001720446120\x00")
    assert lines(tmp_path, "gateway") == [f"{STAMP} > 49|1|", f"{STAMP} < 49|1|1720446120|"]


def test_a_message_stays_one_line_whatever_is_in_it(tmp_path: Path) -> None:
    with logs_in(tmp_path) as logs:
        assert logs.wire is not None
        logs.wire.received(b"4\x002\x00a|b\nc\x1b[31m\xff\x00")
    assert lines(tmp_path, "gateway") == [f"{STAMP} < 4|2|a\\|b\\x0ac\\x1b[31m\\xff|"]


@pytest.mark.parametrize(
    "frame, shown",
    [
        (b"15\x001\x00DU1234567,U7654321\x00", "15|1|DU…4567,U…4321|"),
        (b"4\x00Order rejected for account F1234567.\x00", "4|Order rejected for account F…4567.|"),
        (
            b"5\x00DUMMY\x00U12\x00AU1234567\x00ts:br-u123456:sl1\x00",
            "5|DUMMY|U12|AU1234567|ts:br-u123456:sl1|",
        ),
    ],
)
def test_account_ids_are_masked_and_nothing_else_is(tmp_path: Path, frame: bytes, shown: str) -> None:
    with logs_in(tmp_path) as logs:
        assert logs.wire is not None
        logs.wire.received(frame)
    assert lines(tmp_path, "gateway") == [f"{STAMP} < {shown}"]


def test_two_accounts_with_the_same_end_have_two_names_and_keep_them(tmp_path: Path) -> None:
    with logs_in(tmp_path) as logs:
        assert logs.wire is not None
        for account in ("DU1114567", "DU2224567", "DU1114567"):
            logs.wire.received(account)
    first, second, third = (line.rpartition("< ")[2] for line in lines(tmp_path, "gateway"))
    assert first == third == "DU…4567"
    assert second not in (first, "DU2224567")


def test_a_huge_message_is_cut_and_says_how_long_it_was(tmp_path: Path) -> None:
    with logs_in(tmp_path) as logs:
        assert logs.wire is not None
        logs.wire.received(b"x" * 200_000)
    (line,) = lines(tmp_path, "gateway")
    assert len(line) < module.LONGEST + 100
    assert line.endswith("… 200000 characters")


def test_a_full_file_is_set_aside_and_only_so_many_are_kept(tmp_path: Path) -> None:
    with logs_in(tmp_path, max_mb=1, keep=2) as logs:
        assert logs.wire is not None
        for _ in range(100):
            logs.wire.received(b"x" * 49_000)
    found = sorted(path.name for path in tmp_path.glob("gateway.log*"))
    assert found == ["gateway.log", "gateway.log.1", "gateway.log.2"]
    assert all(path.stat().st_size <= 1_000_000 for path in tmp_path.glob("gateway.log*"))
    assert any("gateway.log is full: it is" in line for line in lines(tmp_path, "ops"))


def test_the_logs_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    with logs_in(tmp_path):
        pass
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_a_log_that_is_off_costs_nothing_and_says_so(tmp_path: Path) -> None:
    with logs_in(tmp_path, gateway="off", ops="off") as logs:
        assert logs.wire is None
        assert [(each.name, each.path, each.why) for each in logs.files()] == [
            ("gateway", None, "off"),
            ("ops", None, "off"),
        ]
    assert list(tmp_path.iterdir()) == []


def test_a_log_goes_where_the_operator_wants_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "wire.txt"
    with logs_in(tmp_path, gateway=path) as logs:
        assert logs.files()[0].path == path
    assert path.exists()


def test_a_place_that_cannot_be_written_is_a_note_and_not_the_end(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with logs_in(tmp_path, gateway=tmp_path / "file" / "gateway.log") as logs:
        assert logs.wire is None
        assert "gateway log is off" in logs.notes[0]
        assert "file" in logs.files()[0].why


# --- a slow or full disk ----------------------------------------------------------------------------------------------


def test_a_disk_that_stands_still_holds_nobody_up_and_what_does_not_fit_is_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    write = module._Writer._write
    monkeypatch.setattr(module, "WAITING", 100)
    monkeypatch.setattr(module._Writer, "_write", lambda *words: (gate.wait(30), write(*words)))
    with logs_in(tmp_path) as logs:
        assert logs.wire is not None
        began = time.perf_counter()
        for _ in range(1000):
            logs.wire.received(b"x")
        assert time.perf_counter() - began < 1.0
        assert 890 <= logs.files()[0].lost <= 900  # the thread may have taken one already
        gate.set()
        while logs.files()[0].waiting:
            time.sleep(0.001)
        logs.wire.received(b"y")
    said = [line for line in lines(tmp_path, "gateway") if "lost here" in line]
    assert len(said) == 1
    assert re.search(r"… (89\d|900) lines were lost here: the disk is too slow", said[0])


def test_the_end_of_the_program_does_not_wait_for_a_dead_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    monkeypatch.setattr(module, "CLOSE_WITHIN", 0.05)
    monkeypatch.setattr(module._Writer, "_write", lambda *_: gate.wait(30))
    began = time.perf_counter()
    with logs_in(tmp_path) as logs:
        assert logs.wire is not None
        logs.wire.received(b"x")
    assert time.perf_counter() - began < 5
    gate.set()
    for thread in threading.enumerate():
        if "_monitor" in thread.name:
            thread.join(5)


def test_a_disk_that_refuses_is_told_once_and_every_further_line_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.Event()
    full.set()
    emit = logging.FileHandler.emit

    def refuses(handler: logging.FileHandler, line: logging.LogRecord) -> None:
        if not full.is_set():
            emit(handler, line)
            return
        try:
            raise OSError(28, "No space left on device")
        except OSError:
            handler.handleError(line)

    monkeypatch.setattr(logging.FileHandler, "emit", refuses)
    complaints: list[tuple[str, str]] = []
    with logs_in(tmp_path, complaints, ops="off") as logs:
        assert logs.wire is not None
        for _ in range(5):
            logs.wire.received(b"lost")
        while logs.files()[0].waiting:
            time.sleep(0.001)
        full.clear()
        logs.wire.received(b"kept")
        while logs.files()[0].waiting:
            time.sleep(0.001)
        assert logs.files()[0].lost == 5
    assert complaints == [("gateway", "No space left on device")]
    assert lines(tmp_path, "gateway") == [f"{STAMP} < kept"]


# --- the operations log -----------------------------------------------------------------------------------------------


def test_what_concerns_operations_is_in_the_ops_log_with_its_weight(tmp_path: Path) -> None:
    with logs_in(tmp_path) as logs:
        logs.sink(record(ConnectionChanged(link="lost", epoch=2, why="socket closed")))
        logs.sink(record(BarStreamStalled(symbol="AAPL", seconds=60, rth=True, silent=180, limit=180)))
        logs.sink(record(EngineFault(where="x", reason="y")))
        logs.sink(record(SinkMuted(sink="jsonl", reason="full")))
    words = [line.removeprefix(f"{STAMP} ").split()[:3] for line in lines(tmp_path, "ops")]
    assert words == [
        ["INFO", "tradeshell", "ConnectionChanged"],
        ["WARNING", "tradeshell", "BarStreamStalled"],
        ["ERROR", "tradeshell", "EngineFault"],
        ["WARNING", "tradeshell", "SinkMuted"],
    ]


def test_fills_that_are_as_they_should_be_are_not_operations(tmp_path: Path) -> None:
    fill = OrderFilled(
        symbol="AAPL",
        order_ref="r",
        order_id=1,
        exec_id="e",
        side=Side.BUY,
        qty=1,
        price=decimal("1"),
        cumulative=1,
        order_qty=1,
        at=WHEN,
    )
    with logs_in(tmp_path) as logs:
        logs.sink(record(fill))
    assert lines(tmp_path, "ops") == []


def test_what_libraries_log_is_in_the_ops_log_and_not_on_the_screen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    library = logging.getLogger("some_library.client")
    with logs_in(tmp_path):
        library.warning("peer closed connection of %s\nsecond line", "DU1234567")
        try:
            raise ValueError("boom")
        except ValueError:
            library.exception("it raised")
        library.info("chatter")
        logging.getLogger("tradeshell.ibkr").info("back-off 2 s")
    first, *rest = lines(tmp_path, "ops")
    assert first.endswith("WARNING some_library.client peer closed connection of DU…4567\\x0asecond line")
    assert rest[0].endswith("ERROR   some_library.client it raised")
    assert all(line.startswith("    ") for line in rest[1:-1])
    assert rest[-2] == "    ValueError: boom"
    assert rest[-1].endswith("INFO    tradeshell.ibkr back-off 2 s")
    assert capfd.readouterr() == ("", "")


def test_without_an_ops_log_libraries_are_silent_all_the_same(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with logs_in(tmp_path, ops="off"):
        logging.getLogger("some_library").warning("not for the screen")
    assert capfd.readouterr() == ("", "")


def test_after_the_end_the_root_logger_is_as_it_was(tmp_path: Path) -> None:
    before = (list(logging.getLogger().handlers), logging.getLogger("tradeshell").level)
    with logs_in(tmp_path):
        pass
    assert (list(logging.getLogger().handlers), logging.getLogger("tradeshell").level) == before


def test_a_library_whose_words_cannot_be_made_costs_its_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # those of the test runner raise
    with logs_in(tmp_path):
        logging.getLogger("some_library").warning("%d shares", "ten")
        logging.getLogger("some_library").warning("next")
    assert [line[-4:] for line in lines(tmp_path, "ops")] == ["next"]
    assert capfd.readouterr() == ("", "")


def test_a_whole_program_writes_its_ops_log_and_hands_the_broker_the_wire(tmp_path: Path) -> None:
    environ = {"APPS_IB_GATEWAY_LOG_PATH": str(tmp_path / "wire.log")}
    with open_shell(["--speed", "max", "--state-dir", str(tmp_path)], environ=environ):
        pass
    said = [line.split()[3] for line in lines(tmp_path / "paper", "ops")]
    assert said == [
        "SessionStarted",
        "ConnectionChanged",
        "ReconciliationStarted",
        "ReconciliationCompleted",
        "SessionEnded",
    ]
    assert (tmp_path / "wire.log").exists()
