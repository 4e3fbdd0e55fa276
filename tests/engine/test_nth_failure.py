"""Whichever call to the system fails while journal and snapshot are written: what is there is whole, and says what it lacks."""

from __future__ import annotations

import errno
from collections import Counter
from pathlib import Path

import pytest
from tests.core.support import OPEN
from tests.engine.test_store import picture
from tests.support.nth import Nth

from tradeshell.core import inputs as i
from tradeshell.engine.journal import Journal, read_gaps, read_journal
from tradeshell.engine.store import load, save
from tradeshell.errors import StateError

MODES = pytest.mark.parametrize("is_for_good", [False, True], ids=["once", "for good"])


def written(path: Path, session: str = "s1") -> list[int]:
    """Write a journal as a session does, and return the numbers of the decisions that were said to be on disk."""
    found = []
    journal = Journal(path, session, "quiet", fsync=True, outlives_us=False)
    for number in range(1, 8):
        try:
            journal.append(i.TimerFired(at=OPEN, key=f"k{number}"), ())
        except OSError:
            continue
        found.append(number)
    journal.close()
    return found


@MODES
def test_P01_P02_a_journal_holds_what_it_said_it_holds_whichever_call_fails(
    tmp_path: Path, is_for_good: bool
) -> None:
    written(tmp_path / "before", "s0")
    before = (tmp_path / "before").read_bytes()
    failed: Counter[str] = Counter()
    for nth in range(1, 1000):
        path = tmp_path / str(nth) / "journal"
        path.parent.mkdir()
        path.write_bytes(before)
        kept: list[int] = []
        with pytest.MonkeyPatch.context() as patched:
            calls = Nth(patched, nth, errno.ENOSPC, is_for_good=is_for_good)
            try:
                kept = written(path)
            except StateError as error:  # it could not even be begun
                kept = [] if "\n" not in str(error) else [-1]
        failed += calls.failed
        earlier = path.with_name("journal.1")
        assert before in (
            earlier.read_bytes() if earlier.exists() else b"",
            path.read_bytes() if path.exists() else b"",
        )
        if path.exists() and path.stat().st_size and path.read_bytes() != before:
            found = [entry.n for entry in read_journal(path)]
            assert found == kept, (nth, calls.failed)
            missing = sum(gap.gap for gap in read_gaps(path))
            if found and found[-1] == 7:
                assert missing == 7 - len(found)
        else:
            assert kept == []
        if not calls.failed:
            break
    else:
        pytest.fail("it never got through")
    assert {"write", "open", "replace"} <= set(failed)


@MODES
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_P01_P02_a_snapshot_is_the_old_one_or_the_new_one_whichever_call_fails(
    tmp_path: Path, code: int, is_for_good: bool
) -> None:
    failed: Counter[str] = Counter()
    for nth in range(1, 1000):
        path = tmp_path / str(nth) / "state.toml"
        path.parent.mkdir()
        old = picture()
        save(path, old)
        new = type(old)(**{**{name: getattr(old, name) for name in old.__struct_fields__}, "journal_seq": 99})
        with pytest.MonkeyPatch.context() as patched:
            calls = Nth(patched, nth, code, is_for_good=is_for_good)
            try:
                save(path, new)
            except OSError:
                said = False
            else:
                said = True
        failed += calls.failed
        loaded = load(path)
        assert loaded.saved in ((new,) if said else (old, new)), (nth, calls.failed)
        assert loaded.notes == ()
        if not calls.failed:
            break
    else:
        pytest.fail("it never got through")
    assert {"write", "fsync", "open", "replace"} <= set(failed)
