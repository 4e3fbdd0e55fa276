"""The state folder: one program, a snapshot that is whole or set aside."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.support import Desktop

from tradeshell.core import inputs as i
from tradeshell.core.desk import WatchPhase
from tradeshell.engine.store import Keeper, Saved, StateFolder, load, save, snapshot
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
    saved, notes = load(path)
    assert saved == picture()
    assert notes == ()
    assert [(w.id, w.phase, w.fired) for w in picture().watchers] == [
        ("br-1", WatchPhase.FIRED, True),
        ("br-2", WatchPhase.ARMED, False),
    ]


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
    assert load(path) == (picture(), ())


def test_a_missing_snapshot_is_no_snapshot(tmp_path: Path) -> None:
    assert load(tmp_path / "state.toml") == (None, ())


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\0\0", b"\xff\xfe", b"version = 1", b"version = 'x'", b"version = 1\nversion = 1", b"[[["],
)
def test_a_damaged_snapshot_is_set_aside_and_the_generation_before_is_used(
    tmp_path: Path, damage: bytes
) -> None:
    path = tmp_path / "state.toml"
    save(path.with_name("state.toml.1"), picture())
    path.write_bytes(damage)
    saved, notes = load(path)
    assert saved == picture()
    assert len(notes) == 1
    assert "\n" not in notes[0]
    assert (tmp_path / "state.toml.damaged-1").read_bytes() == damage
    path.write_bytes(damage)
    assert load(path)[0] == picture()
    assert (tmp_path / "state.toml.damaged-2").read_bytes() == damage


def test_a_snapshot_of_a_newer_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    path.write_text("version = 99\n")
    with pytest.raises(StateError, match="newer tradeshell"):
        load(path)
    assert path.read_text() == "version = 99\n"


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.booleans())
def test_whatever_happens_to_the_file_loading_never_raises_anything_else(
    tmp_path: Path, at: int, byte: int, cut: bool
) -> None:
    path = tmp_path / "state.toml"
    save(path, picture())
    data = bytearray(path.read_bytes())
    at %= len(data)
    path.write_bytes(bytes(data[:at]) if cut else bytes(data[:at] + bytes([byte]) + data[at + 1 :]))
    newer = b"version = 1" not in path.read_bytes() and b"version = " in path.read_bytes()
    try:
        saved, notes = load(path)
    except StateError:
        assert newer
        return
    assert saved is None or isinstance(saved, Saved)
    assert all("\n" not in note for note in notes)
    for leftover in tmp_path.iterdir():
        leftover.unlink()


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
    assert load(path)[0] == picture()
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
    saved, notes = load(path)
    assert saved is not None
    assert (saved.stopped, notes) == ("storm of refusals", ())
    path.write_text(
        'version = 1\nsession = "s"\nbroker = "paper"\naccount = ""\njournal_seq = 0\n', encoding="utf-8"
    )
    older, notes = load(path)
    assert older is not None
    assert (older.stopped, notes) == ("", ())


def test_the_keeper_saves_at_once_when_it_is_asked_to_and_says_whether_it_did(tmp_path: Path) -> None:
    path = tmp_path / "state.toml"
    keeper = Keeper(path, picture, lambda words: None, every=3600)
    assert keeper.save_now()
    assert load(path)[0] == picture()
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
    assert load(path)[0] == picture()


def test_a_folder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="choose another --state-dir"):
        StateFolder(tmp_path / "missing", may_move=False)
