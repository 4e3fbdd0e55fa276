"""The state folder: one program, a snapshot that is whole or set aside."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import threading
from datetime import time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.core.support import SESSION, Desktop

from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.core.market import Session
from tradeshell.engine.state import Saved, snapshot
from tradeshell.engine.store import NEWER, Keeper, Loaded, StateFolder, load, save
from tradeshell.errors import StateError


def picture() -> Saved:
    """Return the snapshot of a desk with a watcher that fired and one that waits."""
    desk = Desktop()
    desk.open_position()
    desk.watch("br-2", sl=None, tps=())
    return snapshot(desk.desk, session="s1", broker="paper", journal_seq=17)


def test_a_snapshot_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    save(path, picture())
    assert load(path) == Loaded(saved=picture())
    assert [(w.id, w.phase, w.fired) for w in picture().watchers] == [
        ("br-1", WatchPhase.FIRED, True),
        ("br-2", WatchPhase.ARMED, False),
    ]


def test_targets_that_were_computed_come_back_with_how_they_were_found(tmp_path: Path) -> None:
    """A watcher that is taken up keeps the targets that were computed when it was typed, and says so."""
    path, why = tmp_path / "state.toml", ("2 highs 195.00–195.20 · 5m bars, 5 days",)
    desk = Desktop()
    desk.watch(tp_method="auto", tp_why=why)
    save(path, snapshot(desk.desk, session="s1", broker="paper", journal_seq=3))
    found = load(path).saved
    assert found is not None
    spec = found.watchers[0].spec
    assert spec is not None
    assert (spec.plan.tp_method, spec.plan.tp_why, found.left_out) == ("auto", why, ())


def test_size_times_and_days_of_a_watcher_come_back(tmp_path: Path) -> None:
    """A watcher that is taken up keeps its risk, the time by which it is flat, and the day that it is on."""
    path = tmp_path / "state.toml"
    words = {
        "fast": "true",
        "fast_bar": "5s",
        "fast_buffer": "0.10",
        "after": "10:00",
        "until": "15:00",
        "days": "3",
    }
    desk = Desktop()
    desk.watch(words=words, risk_usd=Decimal("200.50"), flat_by=time(15, 55))
    desk.do(i.TimerFired, key="close:br-1")
    desk.at = desk.at + timedelta(days=1)
    later = {name: getattr(SESSION, name) + timedelta(days=1) for name in SESSION.__struct_fields__}
    desk.answer(None, key="day:br-1", session=Session(**later))
    before = snapshot(desk.desk, session="s1", broker="paper", journal_seq=3)
    save(path, before)
    found = load(path).saved
    assert found is not None
    assert found == before
    (watcher,) = found.watchers
    assert watcher.spec is not None
    assert (watcher.day, watcher.spec.plan.risk_usd, watcher.spec.plan.flat_by) == (
        2,
        Decimal("200.50"),
        time(15, 55),
    )
    assert {**watcher.spec.params, **words} == watcher.spec.params


@pytest.mark.parametrize(
    "line, words",
    [
        ('flat_by = "15:55"', "flat_by"),
        ('flat_by = "25:00:00"', "flat_by"),
        ("flat_by = 15:55:00", "flat_by"),
        ('risk_usd = "-5"', "risk_usd"),
    ],
)
def test_a_size_or_time_that_was_edited_badly_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "state.toml"
    desk = Desktop()
    desk.watch(risk_usd=Decimal(200), flat_by=time(15, 55))
    save(path, snapshot(desk.desk, session="s1", broker="paper", journal_seq=3))
    key = line.partition(" ")[0]
    text = re.sub(rf"(?m)^{key} = .*$", line, path.read_text("utf-8"))
    path.write_text(text, encoding="utf-8")
    saved = load(path).saved
    assert saved is not None
    assert saved.watchers == ()
    assert words in saved.left_out[0]


def test_the_snapshot_is_for_its_owner_alone_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    save(path, picture())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["state.toml"]


def test_a_snapshot_that_was_written_in_part_does_not_replace_one_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real = tmp_path / "state.toml", os.write
    save(path, picture())
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:20]))
    with pytest.raises(OSError, match="full"):
        save(path, picture())
    monkeypatch.undo()
    assert load(path) == Loaded(saved=picture())


def test_a_missing_snapshot_is_no_snapshot(tmp_path: Path) -> None:
    assert load(tmp_path / "state.toml") == Loaded(saved=None)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0\0\0",
        b"\xff\xfe",
        b"version = 1",
        b"version = 2",
        b"version = 'x'",
        b"version = true",
        b"version = 0",
        b"version = 1\nversion = 1",
        b"[[[",
        b"a = " + b"[" * 10_000,
        b"version = 1\nwatchers = 5",
    ],
)
def test_a_damaged_snapshot_is_set_aside_and_the_generation_before_is_used(
    tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "state.toml"
    save(path.with_name("state.toml.1"), picture())
    path.write_bytes(damage)
    found = load(path)
    assert found.saved == picture()
    assert len(found.notes) == 2
    assert not [note for note in found.notes if "\n" in note]
    assert found.why_doubted
    assert (tmp_path / "state.toml.damaged-1").read_bytes() == damage
    path.write_bytes(damage)
    assert load(path).saved == picture()
    assert (tmp_path / "state.toml.damaged-2").read_bytes() == damage


def test_a_snapshot_of_a_newer_version_is_set_aside_whole_and_named(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    path.write_text("version = 99\n")
    found = load(path)
    assert (found.saved, found.why_doubted) == (None, NEWER)
    assert "version 99, this program reads 2" in found.notes[0]
    assert "state.toml.newer-1" in found.notes[0]
    assert (tmp_path / "state.toml.newer-1").read_text() == "version = 99\n"


OLD = """version = 1
session = "s"
broker = "paper"
account = ""
journal_seq = 0
"""


def test_a_snapshot_of_the_version_before_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    path.write_text(
        OLD
        + """
[[watchers]]
id = "br-1"
symbol = "AAPL"
strategy = "breakout"
phase = "armed"
fired = false
started_at = 2025-07-08T13:30:00+00:00
qty = 100
level = "190"
tp = ["195"]
sl = "187"
params = {bar = "60"}

[[trades]]
id = "br-2"
symbol = "AAPL"
phase = "open"
origin = "breakout"
refs = ["ts:br-2:entry:1"]
""",
        encoding="utf-8",
    )
    found = load(path)
    assert found.saved is not None
    assert found.notes == ()
    (watcher,) = found.saved.watchers
    assert (watcher.id, watcher.phase, watcher.spec) == ("br-1", WatchPhase.ARMED, None)
    assert [trade.refs for trade in found.saved.trades] == [("ts:br-2:entry:1",)]


@pytest.mark.parametrize(
    "old,new,said",
    [
        ("qty = 100", 'qty = "100"', "plan.qty = 100: input should be a valid integer"),
        ("qty = 100", "qty = 0", "plan.qty = 0"),
        ("qty = 100", "qty = 1.5", "plan.qty = 1.5"),
        ("qty = 100", "qty = true", "plan.qty = True"),
        ('level = "190"', "level = nan", "plan.level = nan"),
        ('level = "190"', 'level = "nan"', "plan.level = nan"),
        ('level = "190"', 'level = "-190"', "plan.level = -190"),
        ('level = "190"', 'level = "180"', "the stop of a long trade lies below the level 180.00"),
        ('level = "190"', "levle = 190", "plan.level: field required"),
        ('strategy = "breakout"', 'strategy = "breakout"\nstrange = 1', "strange: extra inputs"),
        ('symbol = "AAPL"\nstrategy', 'symbol = "../../etc"\nstrategy', "symbol = ../../etc"),
        ('symbol = "AAPL"\nstrategy', 'symbol = "MSFT"\nstrategy', "the watcher's symbol is MSFT"),
        ('id = "br-2"', 'id = "br-2\\u001b[2J"', "id = br-2"),
        ('side = "BUY"', 'side = "SELL"', "plan.side = SELL"),
        ('phase = "armed"', 'phase = "loaded"', "phase = loaded"),
        ("entry_timeout = 20.0", "entry_timeout = inf", "plan.entry_timeout = inf"),
        ("started_at = 2025-07-08 13:31:00+00:00", "started_at = 2025-07-08", "started_at"),
        ("started_at = 2025-07-08 13:31:00+00:00", "started_at = 2025-07-08 13:31:00", "started_at"),
    ],
)
def test_a_watcher_that_was_edited_badly_is_named_with_line_and_key_and_the_others_count(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "state.toml"
    save(path, picture())
    before, second = path.read_text(encoding="utf-8").rsplit("[[watchers]]", 1)
    second, trades = second.split("[[trades]]")
    if old not in second:
        second = second.replace("[watchers.plan]", '[watchers.plan]\nsl = "187"')
    if "the stop" in said:
        second = second.replace("[watchers.plan]", '[watchers.plan]\nsl = "187"')
    assert old in second
    edited = before + "[[watchers]]" + second.replace(old, new) + "[[trades]]" + trades
    path.write_text(edited, encoding="utf-8")
    found = load(path)
    assert found.saved is not None
    assert [watcher.id for watcher in found.saved.watchers] == ["br-1"]
    (left_out, aside) = found.notes
    assert said in left_out
    assert "it was left out" in left_out
    assert "\x1b" not in left_out
    if "plan." in said and "required" not in said:
        number = next(n for n, line in enumerate(edited.splitlines(), 1) if line == new)
        assert f"line {number}," in left_out
    assert "state.toml.edited-1" in aside
    assert (tmp_path / "state.toml.edited-1").read_text(encoding="utf-8") == edited


def test_two_watchers_of_one_id_are_both_left_out_because_nobody_knows_which_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    save(path, picture())
    path.write_text(path.read_text(encoding="utf-8").replace('id = "br-2"', 'id = "br-1"'), encoding="utf-8")
    found = load(path)
    assert found.saved is not None
    assert found.saved.watchers == ()
    assert "there are several of this id" in found.notes[0]


@pytest.mark.parametrize("change", [lambda text: "\ufeff" + text, lambda text: text.replace("\n", "\r\n")])
def test_a_byte_order_mark_and_the_line_ends_of_another_system_are_no_damage(
    tmp_path: Path, change: Any
) -> None:
    path = tmp_path / "state.toml"
    save(path, picture())
    path.write_bytes(change(path.read_text(encoding="utf-8")).encode())
    assert load(path) == Loaded(saved=picture())


def test_a_timeout_that_is_off_stays_off(tmp_path: Path) -> None:
    desk = Desktop()
    desk.watch(entry_timeout=None)
    path = tmp_path / "state.toml"
    save(path, snapshot(desk.desk, session="s1", broker="paper", journal_seq=1))
    saved = load(path).saved
    assert saved is not None
    assert saved.watchers[0].spec == desk.desk.watchers["br-1"].spec


def test_a_file_that_cannot_be_read_is_left_as_it_is_and_told(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    path.mkdir()
    found = load(path)
    assert (found.saved, found.why_doubted) == (None, "the state file cannot be read")
    assert "cannot be read: Is a directory" in found.notes[0]
    assert path.is_dir()


def test_a_folder_belongs_to_one_process_and_says_to_which(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, may_move=False)
    with pytest.raises(StateError, match=f"process {os.getpid()}"):
        StateFolder(tmp_path, may_move=False)
    folder.close()
    StateFolder(tmp_path, may_move=False).close()


def test_a_venue_of_our_own_may_take_the_next_folder(tmp_path: Path) -> None:
    base = tmp_path / "paper"
    base.mkdir()
    first = StateFolder(base, may_move=True)
    second = StateFolder(base, may_move=True)
    assert [first.path.name, second.path.name] == ["paper", "paper-2"]
    first.close()
    second.close()


def test_the_lock_of_a_killed_process_is_gone(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tradeshell.engine.store import StateFolder; "
        "f = StateFolder(Path(sys.argv[1]), may_move=False); print('locked', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with pytest.raises(StateError):
            StateFolder(tmp_path, may_move=False)
        process.kill()
        process.wait()
    StateFolder(tmp_path, may_move=False).close()


def test_the_keeper_saves_what_changed_keeps_a_generation_and_complains_once(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    path.write_text("version = 1\nold = true\n")
    complaints: list[str] = []
    keeper = Keeper(path, picture, complaints.append)
    keeper.touch()
    keeper.close()
    assert load(path).saved == picture()
    assert "old" in (tmp_path / "state.toml.1").read_text()
    gone = tmp_path / "nowhere" / "state.toml"
    keeper = Keeper(gone, picture, complaints.append)
    keeper.touch()
    keeper.close()
    assert len(complaints) == 1
    assert "cannot be written" in complaints[0]
    assert threading.active_count() < 20


def test_why_entries_are_stopped_is_in_the_snapshot_and_nothing_is_in_an_older_one(tmp_path: Path) -> None:
    desk = Desktop()
    desk.do(i.StopEntryRequested, on=True, reason="storm of refusals")
    path = tmp_path / "state.toml"
    save(path, snapshot(desk.desk, session="s1", broker="paper", journal_seq=17))
    saved = load(path).saved
    assert saved is not None
    assert saved.stopped == "storm of refusals"
    path.write_text(OLD, encoding="utf-8")
    older = load(path)
    assert older.saved is not None
    assert (older.saved.stopped, older.notes) == ("", ())


def test_the_keeper_saves_at_once_when_it_is_asked_to_and_says_whether_it_did(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    keeper = Keeper(path, picture, lambda words: None, every=3600)
    assert keeper.save_now()
    assert load(path).saved == picture()
    keeper.close()
    keeper = Keeper(tmp_path / "nowhere" / "state.toml", picture, lambda words: None, every=3600)
    assert not keeper.save_now()
    keeper.close()


def test_the_keeper_does_not_save_in_the_middle_of_what_follows_a_change(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    asked = threading.Event()

    def asked_picture() -> Saved:
        asked.set()
        return picture()

    keeper = Keeper(path, asked_picture, lambda words: None, every=3600)
    keeper.touch()
    assert not asked.wait(0.1)
    keeper.close()
    assert load(path).saved == picture()


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="choose another --state-dir"):
        StateFolder(tmp_path / "missing", may_move=False)
